"""How many members an experiment needs, and what a given number of them can show.

A variant's mean against control's, two-sided: power is that of the normal test with both tails (as statsmodels'
NormalIndPower). With several variants each comparison is made at alpha over their number, which Holm's procedure never
needs less than: the plan errs on the safe side. CUPED (Deng et al. 2013) leaves 1 - correlation^2 of the variance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from scipy.optimize import brentq
from scipy.stats import norm

from keyart.errors import ConfigError
from keyart.evaluation.experiments.sequential import power_looking
from keyart.settings import ExperimentSettings

__all__ = [
    "Baseline",
    "Plan",
    "described",
    "detectable_effect",
    "given_baseline",
    "guardrail_lines",
    "member_plan",
    "members_needed",
    "power_of",
]

LOOKS = 14
"""Looks that a plan for continuous looking counts with; more of them add little power."""
TAYLOR = 1.5
"""Power of the mean that the variance goes with (Taylor 1961): 1 for counts, 2 for what is only scaled."""


@dataclass(frozen=True)
class Baseline:
    """The metric as it is: mean and standard deviation of a member, ``members`` seen in ``days`` days.

    ``correlation`` is that of a member's value with the one of as long a time before (0 where unknown). ``days`` 0 says
    that ``members`` are newcomers a day, and 0 of them that nobody knows.
    """

    days: int
    members: float
    mean: float
    sd: float
    correlation: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What to run: members of each variant and days; ``enough`` is False where no window of the logs gives them."""

    members: tuple[int, ...]
    days: int
    effect: float  # relative, that is found with the wanted power; the smallest one possible where not enough
    alpha: float  # of each comparison
    enough: bool
    baseline: Baseline


def power_of(
    difference: float, sd: float, control: float, variant: float, alpha: float, looks: str = "once", planned: float = 0
) -> float:
    """Chance that a true difference is found with so many members of control and variant.

    For continuous looks, by the end; the mixture is tuned to the ``planned`` difference (0: to the true one).

    >>> round(power_of(0.1, 1.0, 1570, 1570, 0.05), 2)
    0.8
    """
    variance = sd**2 * (1 / control + 1 / variant)
    shift = abs(difference) / sqrt(variance)
    if looks != "once":
        return power_looking(shift, (planned or difference) ** 2 / variance, LOOKS, alpha)
    reach = norm.isf(alpha / 2)
    return float(norm.sf(reach - shift) + norm.cdf(-reach - shift))


def members_needed(
    difference: float, sd: float, alpha: float, power: float, ratio: float = 1.0, looks: str = "once"
) -> float:
    """Members of control, where the variant has ``ratio`` times as many; not rounded.

    ConfigError where no number of members can be computed: no difference, no spread, or a power not above alpha.
    """
    if not difference or not sd > 0:
        raise ConfigError("a plan needs an effect other than 0 and a metric that varies; set experiment.minimum_effect")
    if not alpha < power < 1:
        raise ConfigError(f"a power of {power:g} is not between alpha {alpha:g} and 1; set experiment.power")
    guess = (sd / difference) ** 2 * (1 + 1 / ratio) * (norm.isf(alpha / 2) + norm.ppf(power)) ** 2
    return float(
        brentq(
            lambda n: power_of(difference, sd, n, n * ratio, alpha, looks) - power,
            guess * 1e-3,
            guess * 8,
            xtol=guess * 1e-12,
        )
    )


def detectable_effect(
    sd: float, control: float, variant: float, alpha: float, power: float, looks: str = "once"
) -> float:
    """The smallest difference found with that power."""
    scale = sd * sqrt(1 / control + 1 / variant)
    gap = lambda d: power_of(d, sd, control, variant, alpha, looks) - power  # noqa: E731
    return float(brentq(gap, 1e-2 * scale, 40 * scale))


def member_plan(
    baselines: Sequence[Baseline],
    shares: Sequence[float],
    effect: float,
    alpha: float,
    power: float,
    traffic: float = 1.0,
    looks: str = "once",
) -> Plan:
    """The shortest of the ``baselines``' windows in which enough members come by, for a relative ``effect``.

    ``traffic`` is the share of members that the experiment gets. Every variant is compared with control; the one with
    the smallest share decides. Where no window suffices, the one that shows the smallest effect is returned with it.
    """
    if not baselines:
        raise ConfigError("nothing to plan from: no matured decisions, and no experiment.baseline_mean and baseline_sd")
    each = alpha / (len(shares) - 1)
    # A variant with a larger mean has a larger variance: members of it count for less.
    ratio = min(shares[1:]) / shares[0] / (1 + effect) ** TAYLOR
    short: list[Plan] = []
    for base in sorted(baselines, key=lambda b: b.days):
        if not base.mean:
            raise ConfigError("the metric's mean is 0, so that no effect can be relative to it")
        sd = base.sd * sqrt(1 - base.correlation**2)
        control = members_needed(effect * base.mean, sd, each, power, ratio, looks)
        members = tuple(ceil(control * share / shares[0]) for share in shares)
        there = base.members * traffic
        if not base.days:
            return Plan(members, ceil(sum(members) / there) if there else 0, effect, each, True, base)
        if sum(members) <= there:
            return Plan(members, base.days, effect, each, True, base)
        given = tuple(int(there * share) for share in shares)
        if min(given) >= 2:
            found = detectable_effect(sd, given[0], given[0] * ratio, each, power, looks) / abs(base.mean)
            short.append(Plan(given, base.days, found, each, False, base))
    if not short:
        raise ConfigError("fewer than two members a variant: give the experiment more traffic or more days of logs")
    return min(short, key=lambda plan: plan.effect)


def guardrail_lines(
    plan: Plan,
    known: Mapping[str, Sequence[Baseline]],
    margins: Mapping[str, float],
    alpha: float,
    power: float,
    looks: str = "once",
) -> list[str]:
    """For each guardrail whether the plan's members can show that a loss is smaller than its margin, where none is.

    Non-inferiority, one-sided at ``alpha``; the variance is that of the plan's own window.
    """  # fmt: skip
    lines = []
    control, ratio = plan.members[0], min(plan.members[1:]) / plan.members[0]
    for name, margin in margins.items():
        base = next((one for one in known.get(name, ()) if one.days == plan.days and one.mean and one.sd), None)
        if base is None:
            lines.append(f"guardrail {name}: nothing in the logs tells how much it varies")
            continue
        sd = base.sd * sqrt(1 - base.correlation**2)
        shown = detectable_effect(sd, control, control * ratio, 2 * alpha, power, looks) / abs(base.mean)
        needed = members_needed(margin * base.mean, sd, 2 * alpha, power, ratio, looks)
        enough = "enough for" if shown <= margin else f"{ceil(needed):,} in control are needed for"
        lines.append(f"guardrail {name}: these members can rule out a loss of {shown:.2%}; {enough} {margin:.2%}")
    return lines


def given_baseline(settings: ExperimentSettings) -> Baseline | None:
    """What the settings say the metric is; None where the logs are to be asked."""
    if not (settings.baseline_mean and settings.baseline_sd):
        return None
    return Baseline(0, settings.baseline_members, settings.baseline_mean, settings.baseline_sd)


def described(plan: Plan, metric: str, power: float) -> str:
    """The lines a user reads."""
    base = plan.baseline
    days = f"{plan.days} days" if plan.days else "as many days as it takes for them to come by"
    shares = " + ".join(f"{members:,}" for members in plan.members)
    seen = f"{metric}: mean {base.mean:.4g}, standard deviation {base.sd:.4g} a member"
    seen += f" in {base.days} days; correlation with the days before {base.correlation:.2f}" if base.days else ""
    if plan.enough:
        said = f"{sum(plan.members):,} members ({shares}) and {days} find {plan.effect:.2%} with power {power:g}"
    else:
        said = (
            f"not enough members: the logs' {base.days} days bring {sum(plan.members):,} ({shares}), which find "
            f"{plan.effect:.2%} with power {power:g}; run longer, raise the effect or give more traffic"
        )
    return f"{seen}\n{said}; each comparison at alpha {plan.alpha:.3g}"
