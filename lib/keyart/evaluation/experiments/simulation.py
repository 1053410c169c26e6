"""Rehearsals: simulated experiments through the same statistics, to see whether they keep their promises.

Members differ in how readily they take, their totals are skewed and mostly small, and what they did before tells
something about what they do in the experiment. The true effect is known.
"""

from dataclasses import dataclass

import numpy as np

from keyart.evaluation.estimators import Moments
from keyart.evaluation.experiments.comparison import Line, compare
from keyart.evaluation.experiments.power import Baseline
from keyart.evaluation.experiments.sequential import e_value
from keyart.seeding import rng

__all__ = ["LINES", "Runs", "audience", "peeked_p", "population", "runs"]

SIMULATED = ("members", "decisions", "takes", "reward", "before_takes", "before_reward")
DECISIONS, TAKE, QUALITY = 20, (1.5, 30.0), (2.0, 2.0)
"""Mean decisions beyond the first; Beta distributions of take fraction and of the quality of a take."""


def _line(top: str, bottom: str) -> Line:
    return tuple(np.array([float(name == wanted) for name in SIMULATED]) for wanted in (top, bottom))  # type: ignore[return-value]


LINES: dict[str, tuple[Line, Line | None]] = {
    "reward": (_line("reward", "members"), None),
    "reward, CUPED": (_line("reward", "members"), _line("before_reward", "members")),
    "take fraction": (_line("takes", "decisions"), None),
}
"""Metric and covariate."""


def audience(draw: np.random.Generator, members: int, effect: float = 0.0) -> np.ndarray:
    """Totals of simulated members, (members, SIMULATED); ``effect`` is relative, on the chance of a take."""
    decisions = 1 + draw.poisson(DECISIONS, members)
    taste = draw.beta(*TAKE, members)
    takes = draw.binomial(decisions, taste * (1 + effect))
    before = draw.binomial(decisions, taste)
    quality = draw.beta(*QUALITY, (2, members))
    columns = [np.ones(members), decisions, takes, takes * quality[0], before, before * quality[1]]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def population(metric: str) -> float:
    """The metric's true value without effect."""
    take = TAKE[0] / sum(TAKE)
    return take if metric == "take fraction" else (1 + DECISIONS) * take * QUALITY[0] / sum(QUALITY)


def baseline(metric: str, seed: int = 0, members: int = 400_000) -> Baseline:
    """What a plan is made from, of a large audience."""
    rows = audience(rng(seed, "baseline"), members)
    (top, bottom), covariate = LINES[metric]

    def contribution(line: Line) -> np.ndarray:
        value = (rows @ line[0]).sum() / (rows @ line[1]).sum()
        return (rows @ line[0] - value * (rows @ line[1])) / (rows @ line[1]).mean()

    y = contribution((top, bottom))
    correlation = float(np.corrcoef(y, contribution(covariate))[0, 1]) if covariate else 0.0
    return Baseline(0, 0, population(metric), float(y.std(ddof=1)), correlation)


@dataclass(frozen=True)
class Runs:
    """Of simulated experiments (runs,): p-values, intervals, the true difference, relative differences and errors."""

    p: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    truth: float
    relative: np.ndarray
    relative_error: np.ndarray

    @property
    def rejected(self) -> float:
        """Share of runs with p of at most 0.05."""
        return float((self.p <= 0.05).mean())

    @property
    def covered(self) -> float:
        """Share of runs whose 95% interval holds the truth."""
        return float(((self.lower <= self.truth) & (self.truth <= self.upper)).mean())


def runs(metric: str, count: int, control: int, variant: int, effect: float = 0.0, seed: int = 1) -> Runs:
    """``count`` experiments with so many members, judged once at the end."""
    line, covariate = LINES[metric]
    found = []
    for run in range(count):
        draw = rng(seed, "run", metric, run)
        sides = [Moments.of(audience(draw, n, e)) for n, e in ((control, 0.0), (variant, effect))]
        one = compare(sides[0], sides[1], line, covariate)
        found.append((one.p_value(), *one.interval(), one.relative, one.relative_variance**0.5))
    p, lower, upper, relative, error = np.array(found).T
    return Runs(p, lower, upper, effect * population(metric), relative, error)


def peeked_p(
    count: int, members: int, looks: int, effect: float = 0.0, planned: float = 0.1, days: int = 1, seed: int = 2
) -> np.ndarray:
    """The smallest always-valid p-value (count,) of experiments that are looked at ``looks`` times.

    Members of each side come in evenly; with ``days`` above 1 each stays for so many looks and adds to their total at
    every one, so that the looks' totals overlap. The mixture is tuned to a ``planned`` relative effect.
    """
    smallest = np.ones(count)
    arriving = np.array_split(np.arange(members), looks)
    edges = np.array([part[-1] + 1 for part in arriving])
    # A member is known from the look at which they come; from then on one more day at each look.
    since = np.repeat(np.arange(looks), [len(part) for part in arriving])
    for run in range(count):
        draw = rng(seed, "peek", run)
        sums = []
        for e in (0.0, effect):
            taste = draw.beta(*TAKE, members) * (1 + e)
            totals = np.zeros(members)
            rows = []
            for look in range(looks):
                there = np.flatnonzero((since <= look) & (since > look - days))
                takes = draw.binomial(DECISIONS, taste[there])
                totals[there] += takes * draw.beta(*QUALITY, len(there))
                seen = totals[: edges[look]]
                rows.append((seen.mean(), seen.var(ddof=1) / len(seen)))
            sums.append(np.array(rows))
        difference = sums[1][:, 0] - sums[0][:, 0]
        variance = sums[0][:, 1] + sums[1][:, 1]
        evidence = [
            e_value(d, v, (planned * base) ** 2)
            for d, v, base in zip(difference, variance, sums[0][:, 0], strict=True)
            if v > 0
        ]
        smallest[run] = min(1.0, 1 / max(evidence))
    return smallest
