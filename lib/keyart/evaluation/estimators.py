"""Off-policy estimators on sums: what a behaviour would have been worth, told from decisions that another one made.

A member's decisions depend on each other, so the member is the unit. Each decision is a row of columns (weights,
weighted outcomes, predictions); rows are added up by member and members' sums into first and second moments. Every
estimator is a smooth function of the first moments with a known gradient, and the second moments give its variance
(delta method, cluster-robust), also of differences and of relative lifts, which are paired because they share the
moments. Moments add up, so workers compute them on their members and nothing the size of the members travels.

Weights are w = target probability of what was served / its logged propensity. Sources: Horvitz and Thompson 1952 (IPS);
Ionides 2008 (clipped); Li et al. 2011 (replay); Swaminathan and Joachims 2015 (SNIPS); Dudik, Langford and Li 2011
(DR); Thomas and Brunskill 2016 (SNDR); Wang, Agarwal and Dudik 2017 (Switch-DR); Swaminathan et al. 2017 (pages).
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from keyart.evaluation.moments import Layout, Moments, member_sums

__all__ = [
    "ESTIMATORS",
    "PAGE_ESTIMATORS",
    "Functional",
    "Layout",
    "Moments",
    "clipped",
    "difference",
    "dm",
    "dr",
    "effective_size",
    "effective_takes",
    "importance_weights",
    "interval",
    "ips",
    "lift",
    "mean_weight",
    "member_sums",
    "replayed",
    "sndr",
    "snips",
    "standard_error",
    "switch",
]


def importance_weights(target: np.ndarray, propensity: np.ndarray, largest: float = np.inf) -> np.ndarray:
    """Target probability over logged propensity, clipped at ``largest``: clipping trades variance for a bias towards 0.

    ValueError where a propensity is not in (0, 1]: such a decision cannot have been drawn.
    """
    propensity = np.asarray(propensity, dtype=np.float64)
    if not ((propensity > 0) & (propensity <= 1)).all():
        raise ValueError("a logged propensity is not in (0, 1]")
    return np.minimum(np.asarray(target, dtype=np.float64) / propensity, largest)


@dataclass(frozen=True)
class Functional:
    """A function of the first moments: its value and its gradient (J,)."""

    value: float
    gradient: np.ndarray


def _ratio(moments: Moments, top: np.ndarray, bottom: np.ndarray) -> Functional:
    below = float(bottom @ moments.sums)
    if below == 0:
        return Functional(float("nan"), np.full_like(top, np.nan))
    value = float(top @ moments.sums) / below
    return Functional(value, (top - value * bottom) / below)


def ips(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Inverse propensity: mean of w r. Unbiased where propensities are right; rows of clipped weights: clipped IPS."""
    return _ratio(moments, layout.unit("wr", target, metric), layout.unit("n"))


def clipped(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Mean of min(w, clip) r: less variance, and a bias of -E[(w - clip)+ r], towards 0 for rewards that are not
    negative."""
    return _ratio(moments, layout.unit("cr", target, metric), layout.unit("n"))


def replayed(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Replay: the mean outcome where the logged choice is the target's; unbiased for logs drawn evenly.

    A target that draws agrees with probability p: sum of p r over sum of p is the expectation of its replay over its
    own draws (without one more draw's noise), and for a greedy target the replay itself.
    """
    return _ratio(moments, layout.unit("pr", target, metric), layout.unit("p", target))


def snips(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Self-normalised: sum of w r over sum of w. Stays within the rewards' range; bias of order 1/n."""
    return _ratio(moments, layout.unit("wr", target, metric), layout.unit("w", target))


def dm(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Direct method: the reward model's own word. Its interval knows nothing of the model's error."""
    return _ratio(moments, layout.unit("q", target, metric), layout.unit("n"))


def dr(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Doubly robust: the model's word plus the weighted mean of its errors; right if either is."""
    top = layout.unit("q", target, metric) + layout.unit("wd", target, metric)
    return _ratio(moments, top, layout.unit("n"))


def sndr(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Doubly robust with the correction self-normalised."""
    model = dm(moments, layout, target, metric)
    correction = _ratio(moments, layout.unit("wd", target, metric), layout.unit("w", target))
    return Functional(model.value + correction.value, model.gradient + correction.gradient)


def switch(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Switch-DR: doubly robust, but where w exceeds the switch the model alone; bias E[1(w > switch) w (q - r)]."""
    top = layout.unit("q", target, metric) + layout.unit("sd", target, metric)
    return _ratio(moments, top, layout.unit("n"))


ESTIMATORS: dict[str, Callable[[Moments, Layout, str, str], Functional]] = {
    "replay": replayed,
    "ips": ips,
    "clipped": clipped,
    "snips": snips,
    "dm": dm,
    "dr": dr,
    "sndr": sndr,
    "switch": switch,
}


def page_ips(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Outcome per page, by the product of the page's weights: holds whatever titles do to each other on the page."""
    return _ratio(moments, layout.unit("pwr", target, metric), layout.unit("pages"))


def page_snips(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """The same, self-normalised."""
    return _ratio(moments, layout.unit("pwr", target, metric), layout.unit("pw", target))


def page_additive(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Outcome per page by the pseudo-inverse weight 1 + sum of (w - 1): holds where titles' effects on the page's
    outcome add up; far less variance than the product."""
    return _ratio(moments, layout.unit("pir", target, metric), layout.unit("pages"))


def page_items(moments: Moments, layout: Layout, target: str, metric: str) -> Functional:
    """Outcome per page as the sum of its decisions' w r (item-position): holds where an artwork moves its own title's
    outcome only."""
    return _ratio(moments, layout.unit("wr", target, metric), layout.unit("pages"))


PAGE_ESTIMATORS: dict[str, Callable[[Moments, Layout, str, str], Functional]] = {
    "page-ips": page_ips,
    "page-snips": page_snips,
    "page-additive": page_additive,
    "page-items": page_items,
}


def difference(one: Functional, other: Functional) -> Functional:
    """One minus the other, on the same decisions."""
    return Functional(one.value - other.value, one.gradient - other.gradient)


def lift(one: Functional, baseline: Functional) -> Functional:
    """One relative to the baseline, minus 1, on the same decisions; not a number for a baseline of 0."""
    if not baseline.value:
        return Functional(float("nan"), np.full_like(one.gradient, np.nan))
    ratio = one.value / baseline.value
    return Functional(ratio - 1, (one.gradient - ratio * baseline.gradient) / baseline.value)


def mean_weight(moments: Moments, layout: Layout, target: str) -> Functional:
    """Mean of the weights: 1 in expectation, so far from 1 the logged propensities are not those of what was served."""
    return _ratio(moments, layout.unit("w", target), layout.unit("n"))


def effective_size(moments: Moments, layout: Layout, target: str, pages: bool = False) -> float:
    """Kish 1965: (sum of w) squared over sum of w squared, of decisions or of pages; 0 where nothing matched."""
    first, second = ("pw", "pw2") if pages else ("w", "w2")
    squares = float(layout.unit(second, target) @ moments.sums)
    return float(layout.unit(first, target) @ moments.sums) ** 2 / squares if squares > 0 else 0.0


def effective_takes(moments: Moments, layout: Layout, target: str, rate: float) -> float:
    """Takes of alike weight that would make an estimate as skewed as these weights do: rate (sum w^2)^3 / (sum w^3)^2.

    Of takes that come at ``rate`` whatever the weight, weighted sums have skewness sum w^3 / (rate^1/2 (sum w^2)^3/2),
    and m takes of weight 1 have 1 / m^1/2. By Hall's expansion (1992, section 2.3) a 95% interval of m takes covers
    about 0.25 / m less. It is at most rate x effective size, and 0 where nothing matched.
    """
    squares, cubes = (float(layout.unit(kind, target) @ moments.sums) for kind in ("w2", "w3"))
    return rate * squares**3 / cubes**2 if cubes > 0 else 0.0


def standard_error(functional: Functional, moments: Moments) -> float:
    """Cluster-robust, by the delta method: the root of gradient x covariance x gradient."""
    variance = float(functional.gradient @ moments.covariance() @ functional.gradient)
    return float(np.sqrt(max(variance, 0.0))) if np.isfinite(variance) else float("nan")


def interval(functional: Functional, moments: Moments, level: float = 0.95) -> tuple[float, float]:
    """Two-sided normal interval at a level in (0, 1).

    >>> m = Moments.of(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    >>> [round(x, 3) for x in interval(_ratio(m, np.array([0.0, 1.0]), np.array([1.0, 0.0])), m)]
    [-0.066, 1.066]
    """
    reach = NormalDist().inv_cdf(0.5 + level / 2) * standard_error(functional, moments)
    return functional.value - reach, functional.value + reach
