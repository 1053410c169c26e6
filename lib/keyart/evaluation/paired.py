"""Two policies on the same decisions: sums by member of both side by side, so that their difference is paired."""

import numpy as np

from keyart.evaluation.moments import Layout, Moments, member_sums
from keyart.evaluation.replay import Evidence
from keyart.evaluation.targets import METRICS

__all__ = ["CANDIDATE", "CHAMPION", "PAIR", "paired_evidence"]

CANDIDATE, CHAMPION = "candidate", "champion"
PAIR = Layout((CANDIDATE, CHAMPION), METRICS)


def paired_evidence(
    member: np.ndarray,
    offsets: np.ndarray,
    slot: np.ndarray,
    support: np.ndarray,
    propensity: np.ndarray,
    outcome: np.ndarray,
    pi: np.ndarray,
    q: np.ndarray,
    least: float,
) -> Evidence:
    """Evidence in the layout PAIR from whole members' decisions.

    ``pi`` (pairs, 2) are the target probabilities of candidate and champion, ``q`` (pairs, metrics) predictions,
    ``outcome`` (n, metrics); candidates of decision i are pairs offsets[i] to offsets[i + 1]. A decision counts where
    both policies have at least ``least`` of their probability on what the log could show (``support``), scaled to it.
    """
    starts, size = offsets[:-1], np.diff(offsets)
    shown = np.where(support[:, None], np.asarray(pi, dtype=np.float64), 0.0)
    total = np.add.reduceat(shown, starts, axis=0)
    both = np.all(total >= max(least, 1e-12), axis=1)
    shown = shown / np.repeat(np.where(total > 0, total, 1.0), size, axis=0)
    served = starts + slot
    weights = (shown[served] / propensity[:, None])[both]
    expected = {
        (target, metric): np.add.reduceat(shown[:, t] * q[:, m], starts)[both]
        for t, target in enumerate(PAIR.targets)
        for m, metric in enumerate(METRICS)
    }
    rows = PAIR.rows(
        dict(zip(PAIR.targets, weights.T, strict=True)),
        dict(zip(METRICS, outcome[both].T, strict=True)),
        dict(zip(METRICS, q[served][both].T, strict=True)),
        expected,
        propensity[both],
    )
    largest = weights.max(axis=0, initial=0.0)
    return Evidence(
        PAIR,
        Moments.of(member_sums(rows, member[both])),
        largest,
        np.zeros(len(PAIR.targets)),
        np.zeros((0, len(PAIR.names))),
        float(len(offsets) - 1),
        float(np.sum(~both)),
    )
