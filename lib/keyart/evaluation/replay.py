"""Logged decisions against what each behaviour would have shown, down to moments over members, slice by slice."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keyart.evaluation.estimators import Layout, Moments, importance_weights, member_sums
from keyart.evaluation.reward_model import RewardModel

__all__ = ["LAYOUT", "Evidence", "LoggedDecisions", "empty_evidence", "replay"]

LAYOUT = Layout(targets=("uniform", "global", "region", "user"), metrics=("reward", "take"))
GREEDY = LAYOUT.targets[1:]


@dataclass(frozen=True)
class LoggedDecisions:
    """Decisions of whole members as arrays (n,); candidate sets are laid end to end and cut by ``offsets`` (n + 1,).

    Artworks are positions of a common list, -1 where it does not have them; so are titles.
    """

    member: np.ndarray
    title: np.ndarray
    cell: np.ndarray  # of the response model, for the decision's region
    served: np.ndarray
    propensity: np.ndarray
    outcome: Mapping[str, np.ndarray]  # by metric
    offsets: np.ndarray
    candidates: np.ndarray
    candidate_propensities: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What a slice of the log says, in sums: those of disjoint groups of members add up (largest weights: maximum)."""

    moments: Moments
    largest: np.ndarray  # (targets,)
    seen: float  # decisions
    left_out: float  # decisions that some behaviour's choice had no chance in

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            self.moments + other.moments,
            np.maximum(self.largest, other.largest),
            self.seen + other.seen,
            self.left_out + other.left_out,
        )

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """As two vectors, one to add and one to take the maximum of, so that Spark can bring workers' sums together."""
        sums = [self.moments.members, self.seen, self.left_out], self.moments.sums, self.moments.products.ravel()
        return np.concatenate(sums).astype(np.float64), self.largest

    @classmethod
    def unflat(cls, sums: np.ndarray, largest: np.ndarray) -> "Evidence":
        """What ``flat`` laid out."""
        columns = len(LAYOUT.names)
        products = sums[3 + columns :].reshape(columns, columns)
        return cls(Moments(round(sums[0]), sums[3 : 3 + columns], products), largest, sums[1], sums[2])


def empty_evidence() -> Evidence:
    """Of no decisions."""
    columns = len(LAYOUT.names)
    return Evidence(
        Moments(0, np.zeros(columns), np.zeros((columns, columns))), np.zeros(len(LAYOUT.targets)), 0.0, 0.0
    )


def replay(
    log: LoggedDecisions,
    choices: Mapping[str, np.ndarray],
    model: RewardModel,
    standard: np.ndarray,
    slices: Mapping[str, np.ndarray],
) -> dict[str, Evidence]:
    """Evidence by slice, for the greedy ``choices`` (n,) by target and masks ``slices`` (n,) by name.

    A choice with no logged chance (not among the candidates, or with propensity 0) cannot be judged from this decision;
    such decisions are left out for all targets, so that these stay comparable, and counted.
    """
    owner = np.repeat(np.arange(len(log.member)), np.diff(log.offsets))
    size = np.diff(log.offsets)
    ratios = model.ratios(standard, log.member[owner], log.cell[owner], log.candidates)
    # Base rates are of the average artwork: so an even draw is worth the base rate, by the model's word too.
    ratios /= (_sum(ratios, log.offsets) / size)[owner]
    here = {"served": log.candidates == log.served[owner]}
    for target in GREEDY:
        chosen = choices[target]
        here[target] = (log.candidates == chosen[owner]) & (chosen[owner] >= 0) & (log.candidate_propensities > 0)
    judged = np.logical_and.reduce([_any(here[target], log.offsets) for target in GREEDY])
    weights = {"uniform": importance_weights(1.0 / size, log.propensity)}
    for target in GREEDY:
        weights[target] = importance_weights(choices[target] == log.served, log.propensity)
    served, expected = {}, {}
    for metric in LAYOUT.metrics:
        q = model.predict(metric, log.title[owner], ratios)
        # An artwork stands once in a set; one that the common list does not know counts as the average of these.
        served[metric] = _sum(q * here["served"], log.offsets) / np.maximum(_sum(here["served"], log.offsets), 1)
        expected["uniform", metric] = _sum(q, log.offsets) / size
        for target in GREEDY:
            expected[target, metric] = _sum(q * here[target], log.offsets)
    rows = LAYOUT.rows(weights, log.outcome, served, expected)
    found = {}
    for name, mask in slices.items():
        kept = mask & judged
        largest = np.array([weights[target][kept].max(initial=0.0) for target in LAYOUT.targets])
        moments = Moments.of(member_sums(rows[kept], log.member[kept]))
        found[name] = Evidence(moments, largest, float(mask.sum()), float((mask & ~judged).sum()))
    return found


def _sum(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sums of the pieces between offsets; no piece is empty."""
    return np.add.reduceat(values.astype(np.float64), offsets[:-1]) if len(offsets) > 1 else np.zeros(0)


def _any(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return _sum(values, offsets) > 0
