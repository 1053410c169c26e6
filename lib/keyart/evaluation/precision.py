"""The plan: how much a log must explore for an interval of a wanted width, told from a log that is there.

A logger that shows its best artwork with probability 1 - c e (c = 1 - 1/k) and any other of k with e / k gives the
weighted outcome of a greedy target the second moment

    A / (1 - c e) + B / e,   A = E[r^2 where the target's artwork is the logger's best],  B = E[k r^2 where it is not],

of what the target shows. A and B are estimated from the present log by inverse propensity, and members' dependence by
the present ratio of clustered to independent variance (Kish's design effect).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from keyart.evaluation.estimators import ips, standard_error
from keyart.evaluation.moments import Layout, Moments

__all__ = ["Plan", "exploration_needed", "plan_of"]


@dataclass(frozen=True)
class Plan:
    """What a target's interval needs; ``exploration`` is None where no rate is enough with as many decisions."""

    exploration: float | None
    width: float
    decisions: int
    agree: float  # A
    differ: float  # B
    design_effect: float
    even: float  # width that an even draw (exploration 1) would give

    def sentence(self, target: str, metric: str) -> str:
        """For people."""
        about = f"{target}, {metric}: for an interval {self.width:.3g} wide on {self.decisions} decisions"
        if self.exploration is None:
            more = (self.even / self.width) ** 2 if self.width > 0 else float("inf")
            return f"{about} even a log drawn evenly is too small (it gives {self.even:.3g}); {more:.1f} times as many"
        return f"{about} the log must explore in {self.exploration:.2%} of them"


def exploration_needed(agree: float, differ: float, allowed: float, candidates: float) -> float | None:
    """Smallest e in (0, 1] with A / (1 - c e) + B / e at most ``allowed``, c = 1 - 1 / candidates; None without one.

    The closed form: the smaller root of  allowed c e^2 + (A - B c - allowed) e + B = 0.

    >>> round(exploration_needed(agree=0.1, differ=0.02, allowed=0.5, candidates=4), 6)
    0.050497
    """
    share = 1.0 - 1.0 / candidates
    if differ <= 0.0:
        return 0.0 if agree <= allowed else None
    a, b, c = allowed * share, agree - differ * share - allowed, differ
    root = b * b - 4.0 * a * c
    if root < 0.0 or b >= 0.0:
        return None
    found = 2.0 * c / (-b + np.sqrt(root))  # the stable form of the smaller root
    return float(found) if found <= 1.0 else None


def plan_of(moments: Moments, layout: Layout, target: str, metric: str, width: float, level: float = 0.95) -> Plan:
    """For a two-sided IPS interval ``width`` wide at ``level`` on as many decisions as the log has.

    ``layout`` has extras: ragree is the sum of w r^2 where the target's artwork is the logged policy's best, rdiffer
    that of w r^2 k where it is not, w2r2 that of (w r)^2. ValueError without a decision.
    """
    n = float(layout.unit("n") @ moments.sums)
    if not n:
        raise ValueError("there is no decision to plan from")
    agree, differ, squares = (
        float(layout.unit(kind, target, metric) @ moments.sums) / n for kind in ("ragree", "rdiffer", "w2r2")
    )
    candidates = float(layout.unit("size") @ moments.sums) / n
    value = ips(moments, layout, target, metric)
    alone = (squares - value.value**2) / n
    effect = max(standard_error(value, moments) ** 2 / alone, 1.0) if alone > 0 else 1.0
    reach = 2.0 * NormalDist().inv_cdf(0.5 + level / 2)
    allowed = (width / reach) ** 2 * n / effect + value.value**2
    even = agree * candidates + differ
    return Plan(
        exploration_needed(agree, differ, allowed, candidates),
        width,
        round(n),
        agree,
        differ,
        effect,
        reach * float(np.sqrt(max(even - value.value**2, 0.0) * effect / n)),
    )
