"""How the served artwork is drawn: policies as immutable values with exact propensities, and a draw without state.

A score of minus infinity means "may not be shown": limits apply before the draw, so the propensity is of what was
served. The draw needs no stored state: the keyed hash of member, title and epoch falls on the cumulative distribution.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Protocol

import numpy as np

from keyart import seeding
from keyart.errors import ConfigError

__all__ = [
    "KINDS",
    "Best",
    "EpsilonGreedy",
    "Exploration",
    "Softmax",
    "Uniform",
    "draw",
    "from_spec",
    "hashed_uniforms",
    "to_spec",
]


class Exploration(Protocol):
    """A rule from scores to probabilities; what is stored is the value, its kind and its parameters."""

    kind: ClassVar[str]

    def propensities(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities (..., A) for scores (..., A); each row sums to 1, artworks of score -inf have exactly 0."""
        ...


@dataclass(frozen=True)
class Uniform:
    """All artworks alike: what logs are easiest to learn from."""

    kind: ClassVar[str] = "uniform"

    def propensities(self, scores: np.ndarray) -> np.ndarray:
        """As ``Exploration`` says.

        >>> Uniform().propensities(np.array([0.3, 0.1, -np.inf])).tolist()
        [0.5, 0.5, 0.0]
        """
        allowed = _allowed(scores)
        return allowed / allowed.sum(axis=-1, keepdims=True)


@dataclass(frozen=True)
class Best:
    """Always the best score; the first of equals."""

    kind: ClassVar[str] = "best"

    def propensities(self, scores: np.ndarray) -> np.ndarray:
        """As ``Exploration`` says."""
        _allowed(scores)
        best = np.argmax(scores, axis=-1)[..., None]
        return (np.arange(scores.shape[-1]) == best).astype(np.float64)


@dataclass(frozen=True)
class EpsilonGreedy:
    """The best score, but a share ``epsilon`` of decisions is drawn uniformly (the best among them)."""

    epsilon: float
    kind: ClassVar[str] = "epsilon-greedy"

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ConfigError(f"epsilon is {self.epsilon}, allowed is 0 to 1")

    def propensities(self, scores: np.ndarray) -> np.ndarray:
        """As ``Exploration`` says.

        >>> EpsilonGreedy(0.5).propensities(np.array([0.3, 0.1])).tolist()
        [0.75, 0.25]
        """
        return self.epsilon * Uniform().propensities(scores) + (1 - self.epsilon) * Best().propensities(scores)


@dataclass(frozen=True)
class Softmax:
    """Probabilities in proportion to exp(score / temperature)."""

    temperature: float
    kind: ClassVar[str] = "softmax"

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ConfigError(f"temperature is {self.temperature}, it must be above 0 (best is the limit)")

    def propensities(self, scores: np.ndarray) -> np.ndarray:
        """As ``Exploration`` says."""
        _allowed(scores)
        shifted = (scores - np.max(scores, axis=-1, keepdims=True)) / self.temperature
        odds = np.exp(shifted)
        return odds / odds.sum(axis=-1, keepdims=True)


KINDS: dict[str, type] = {kind.kind: kind for kind in (Uniform, Best, EpsilonGreedy, Softmax)}


def to_spec(exploration: Exploration) -> dict[str, object]:
    """The policy as plain values, for the policies table."""
    return {"kind": exploration.kind, **asdict(exploration)}  # type: ignore[call-overload]


def from_spec(spec: Mapping[str, object]) -> Exploration:
    """The policy that ``to_spec`` wrote; ConfigError where the kind or a parameter is unknown."""
    parameters = dict(spec)
    kind = parameters.pop("kind", None)
    if kind not in KINDS:
        raise ConfigError(f"there is no exploration {kind!r}; known are {', '.join(KINDS)}")
    try:
        return KINDS[str(kind)](**parameters)
    except TypeError as error:
        raise ConfigError(f"exploration {kind}: {error}") from error


def hashed_uniforms(salt: str, keys: Iterable[tuple[object, ...]]) -> np.ndarray:
    """One number in [0, 1) for each (user_key, title_id, epoch), the same wherever it is computed."""
    return np.fromiter((seeding.uniform(salt, *key) for key in keys), dtype=np.float64)


def draw(propensities: np.ndarray, uniforms: np.ndarray | float) -> np.ndarray:
    """Index of what is served, for propensities (..., A) and numbers in [0, 1) of shape (...).

    The first artwork whose cumulative probability exceeds the number; rounding never serves one of probability 0.

    >>> draw(np.array([[0.25, 0.75, 0.0], [0.25, 0.75, 0.0]]), np.array([0.2, 0.9999999999999999])).tolist()
    [0, 1]
    """
    cumulative = np.cumsum(propensities, axis=-1)
    passed = (cumulative <= np.asarray(uniforms)[..., None]).sum(axis=-1)
    last = propensities.shape[-1] - 1 - np.argmax(propensities[..., ::-1] > 0, axis=-1)
    return np.minimum(passed, last)


def _allowed(scores: np.ndarray) -> np.ndarray:
    """Which artworks may be shown, (..., A); ValueError where a row has none or a score is not a number."""
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    allowed = scores > -np.inf
    if not allowed.any(axis=-1).all():
        raise ValueError("no artwork is left that may be shown")
    return allowed
