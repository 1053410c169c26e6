"""How the served artwork is drawn: policies as immutable values with exact propensities, and a draw without state.

A score of minus infinity means "may not be shown": limits apply before the draw, so the propensity is of what was
served. The draw needs no stored state: the keyed hash of member, title and epoch falls on the cumulative distribution.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import ClassVar, Protocol

import numpy as np
from numba import guvectorize, njit, types
from scipy.special import ndtri

from keyart import seeding
from keyart.errors import ConfigError

__all__ = [
    "KINDS",
    "Best",
    "EpsilonGreedy",
    "Exploration",
    "Softmax",
    "Thompson",
    "Uniform",
    "chosen",
    "draw",
    "from_spec",
    "hashed_uniforms",
    "to_spec",
]


class Exploration(Protocol):
    """A rule from scores to probabilities; what is stored is the value, its kind and its parameters."""

    kind: ClassVar[str]

    def noise(self, artwork_ids: Sequence[str] | np.ndarray) -> np.ndarray:
        """(A, M) standard normal numbers of each artwork's posterior draws; M is 0 where nothing is drawn."""
        ...

    def propensities(
        self, scores: np.ndarray, sds: np.ndarray | None = None, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """Probabilities (..., A) for scores (..., A); each row sums to 1, artworks of score -inf have exactly 0.

        ``sds`` (..., A) are the scores' standard deviations and ``noise`` (..., A, M) what ``noise`` gave for the
        artworks; only Thompson sampling reads them.
        """
        ...


class _Certain:
    """Rules that go by the scores alone."""

    def noise(self, artwork_ids: Sequence[str] | np.ndarray) -> np.ndarray:
        """As ``Exploration`` says: none."""
        return np.empty((len(artwork_ids), 0))


@dataclass(frozen=True)
class Uniform(_Certain):
    """All artworks alike: what logs are easiest to learn from."""

    kind: ClassVar[str] = "uniform"

    def propensities(
        self, scores: np.ndarray, sds: np.ndarray | None = None, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """As ``Exploration`` says.

        >>> Uniform().propensities(np.array([0.3, 0.1, -np.inf])).tolist()
        [0.5, 0.5, 0.0]
        """
        allowed = _allowed(scores)
        return allowed / allowed.sum(axis=-1, keepdims=True)


@dataclass(frozen=True)
class Best(_Certain):
    """Always the best score; the first of equals."""

    kind: ClassVar[str] = "best"

    def propensities(
        self, scores: np.ndarray, sds: np.ndarray | None = None, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """As ``Exploration`` says."""
        _allowed(scores)
        best = np.argmax(scores, axis=-1)[..., None]
        return (np.arange(scores.shape[-1]) == best).astype(np.float64)


@dataclass(frozen=True)
class EpsilonGreedy(_Certain):
    """The best score, but a share ``epsilon`` of decisions is drawn uniformly (the best among them)."""

    epsilon: float
    kind: ClassVar[str] = "epsilon-greedy"

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ConfigError(f"epsilon is {self.epsilon}, allowed is 0 to 1")

    def propensities(
        self, scores: np.ndarray, sds: np.ndarray | None = None, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """As ``Exploration`` says.

        >>> EpsilonGreedy(0.5).propensities(np.array([0.3, 0.1])).tolist()
        [0.75, 0.25]
        """
        if scores.ndim == 1:  # what a resolver asks, thousands of times a second
            best, allowed = _best(scores), scores > -np.inf
            drawn = allowed * (self.epsilon * (1 / np.count_nonzero(allowed)))
            drawn[best] += 1 - self.epsilon
            return drawn
        allowed = _allowed(scores)
        drawn = self.epsilon * (allowed / allowed.sum(axis=-1, keepdims=True))
        return drawn + (1 - self.epsilon) * (np.arange(scores.shape[-1]) == np.argmax(scores, axis=-1)[..., None])


@dataclass(frozen=True)
class Softmax(_Certain):
    """Probabilities in proportion to exp(score / temperature)."""

    temperature: float
    kind: ClassVar[str] = "softmax"

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ConfigError(f"temperature is {self.temperature}, it must be above 0 (best is the limit)")

    def propensities(
        self, scores: np.ndarray, sds: np.ndarray | None = None, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """As ``Exploration`` says."""
        if scores.ndim == 1:  # as above: the same numbers in half of the time
            odds = np.exp((scores - scores[_best(scores)]) / self.temperature)
            return odds / np.add.reduce(odds)
        _allowed(scores)
        shifted = (scores - np.max(scores, axis=-1, keepdims=True)) / self.temperature
        odds = np.exp(shifted)
        return odds / odds.sum(axis=-1, keepdims=True)


@dataclass(frozen=True)
class Thompson:
    """Each artwork as often as it is best among ``draws`` draws from the posterior (mean, sd) of a title's artworks.

    The draws are a keyed hash of seed, artwork and number, so that nothing but this value is stored; they are the same
    in all cells, so that cells of one posterior serve alike. A propensity is a multiple of 1 / draws; of equals in a
    draw the first wins. Source: Chapelle and Li 2011, "An empirical evaluation of Thompson sampling".
    """

    draws: int
    seed: str
    kind: ClassVar[str] = "thompson"

    def __post_init__(self) -> None:
        if not 1 <= self.draws <= 4096:
            raise ConfigError(f"draws is {self.draws}, allowed is 1 to 4096")

    def noise(self, artwork_ids: Sequence[str] | np.ndarray) -> np.ndarray:
        """As ``Exploration`` says; 53 bits of SHAKE-128 each, by the normal distribution's quantiles."""
        keys = (f"{self.seed}\x1f{artwork}".encode() for artwork in artwork_ids)
        drawn = b"".join(hashlib.shake_128(key).digest(8 * self.draws) for key in keys)
        numbers = np.frombuffer(drawn, dtype=">u8").reshape(len(artwork_ids), self.draws) >> 11
        return ndtri((numbers + 0.5) * 2.0**-53)

    def propensities(
        self, scores: np.ndarray, sds: np.ndarray | None = None, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """As ``Exploration`` says; ValueError without sds and noise."""
        if sds is None or noise is None or noise.shape[-1] != self.draws:
            raise ValueError("Thompson sampling needs the scores' sds and its own noise")
        if scores.ndim == 1 and noise.ndim == 2:
            _best(scores)
            return _won(*(np.ascontiguousarray(values, np.float64) for values in (scores, sds, noise)))
        _allowed(scores)
        wins = _wins(scores.astype(np.float64), np.asarray(sds, np.float64), noise)
        return wins / self.draws


@guvectorize(["void(float64[:], float64[:], float64[:,:], float64[:])"], "(a),(a),(a,m)->(a)", cache=True)
def _wins(scores, sds, noise, wins):
    """How often each artwork is the first of the best."""
    wins[:] = 0.0
    for m in range(noise.shape[1]):
        best, top = 0, -np.inf
        for a in range(len(scores)):
            value = scores[a] + sds[a] * noise[a, m]
            if value > top:
                best, top = a, value
        wins[best] += 1.0


_ROW, _GRID = (types.Array(types.float64, dimensions, "C", readonly=True) for dimensions in (1, 2))


@njit(types.Array(types.float64, 1, "C")(_ROW, _ROW, _GRID), cache=True)
def _won(scores, sds, noise):
    """``_wins`` of one title as shares (A,), artwork by artwork, so that the draws are compared many at a time."""
    draws = noise.shape[1]
    top, best, shares = np.full(draws, -np.inf), np.zeros(draws, np.int64), np.zeros(len(scores))
    for a in range(len(scores)):
        for m in range(draws):
            value = scores[a] + sds[a] * noise[a, m]
            better = value > top[m]
            best[m] = a if better else best[m]
            top[m] = value if better else top[m]
    for m in range(draws):
        shares[best[m]] += 1.0
    return shares / draws


KINDS: dict[str, type] = {kind.kind: kind for kind in (Uniform, Best, EpsilonGreedy, Softmax, Thompson)}


def chosen(kind: str, *, epsilon: float, temperature: float, draws: int, seed: str) -> Exploration:
    """The rule that settings name, with those of the parameters that are its own."""
    parameters = {"epsilon": epsilon, "temperature": temperature, "draws": draws, "seed": seed}
    own = {field.name for field in fields(KINDS[kind])}
    return from_spec({"kind": kind, **{name: value for name, value in parameters.items() if name in own}})


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


def _best(scores: np.ndarray) -> int:
    """Place of the first of the best (A,); errors as ``_allowed``."""
    best = int(scores.argmax())
    if not scores[best] > -np.inf:
        _allowed(scores)
    return best


def _allowed(scores: np.ndarray) -> np.ndarray:
    """Which artworks may be shown, (..., A); ValueError where a row has none or a score is not a number."""
    best = scores.max(axis=-1, initial=-np.inf)
    if scores.ndim > 1 or not best > -np.inf:
        if np.isnan(best).any():
            raise ValueError("a score is not a number")
        if (best == -np.inf).any():
            raise ValueError("no artwork is left that may be shown")
    return scores > -np.inf
