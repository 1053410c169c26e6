"""Ship, don't ship, keep running, or invalid; each with its reasons. Decided by what was registered beforehand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ABSENT", "BROKEN", "HOLDS", "OPEN", "Evidence", "Verdict", "decide"]

HOLDS, OPEN, BROKEN, ABSENT = "holds", "open", "broken", "not in the logs"
"""Of a guardrail: the loss is shown to be smaller than its margin, not yet known, shown to be larger; or the logs hold
nothing of the kind on either side, so that it says nothing, and the verdict says so."""

SMALLEST_RATIO_P = 0.001
MOST_FOREIGN = 0.02


@dataclass(frozen=True)
class Evidence:
    """What a verdict on one variant rests on. Effects are relative to control and signed so that more is better."""

    sample_ratio_p: float
    foreign: float  # share of the arms' decisions that another policy served
    adjusted_p: float  # of the primary metric, over variants
    effect: float
    lower: float  # of the simultaneous interval
    upper: float
    guardrails: Mapping[str, str]
    reached: bool  # the planned members and days
    cost_per_minute: float | None  # of an incremental minute; infinite without gain, None without a price
    trend_p: float = 1.0
    trend: float = 0.0  # of the effect a day, signed so that more is better
    enough: bool = True  # members on both sides: the intervals are those of many


@dataclass(frozen=True)
class Verdict:
    """The word and why."""

    word: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.word}: {'; '.join(self.reasons)}"


def decide(
    evidence: Evidence, alpha: float, minimum_effect: float, most_per_minute: float, looks: str = "continuous"
) -> Verdict:
    """The verdict on a variant; ``looks`` once says nothing before the planned members and days are reached.

    A gain is claimed where the adjusted p-value allows it; shipping also needs every guardrail to hold and the price to
    be met. A guardrail that is broken, or a loss, stops at once.
    """
    invalid = _invalid(evidence)
    if invalid:
        return Verdict("invalid", tuple(invalid))
    if not evidence.enough:
        return Verdict("keep running", ("too few members to say anything",))
    broken = [name for name, state in evidence.guardrails.items() if state == BROKEN]
    if broken:
        return Verdict("don't ship", tuple(f"guardrail {name} is broken" for name in broken))
    shown = f"{evidence.effect:+.2%} ({evidence.lower:+.2%} to {evidence.upper:+.2%})"
    early = looks == "once" and not evidence.reached
    if early:
        return Verdict("keep running", (f"one look was planned and is not due yet; so far {shown}",))
    clear = evidence.adjusted_p <= alpha
    if clear and evidence.effect < 0:
        return Verdict("don't ship", (f"a loss: {shown}",))
    if clear:
        return _with_gain(evidence, shown, most_per_minute)
    if evidence.upper < minimum_effect:
        return Verdict("don't ship", (f"a gain of {minimum_effect:.2%} is ruled out: {shown}",))
    if evidence.reached:
        return Verdict("don't ship", (f"no gain was shown with the members and days that were planned: {shown}",))
    return Verdict("keep running", (f"nothing is clear yet: {shown}",))


def _with_gain(evidence: Evidence, shown: str, most_per_minute: float) -> Verdict:
    gain = f"a gain: {shown}"
    price = evidence.cost_per_minute
    if most_per_minute and price is not None and price > most_per_minute:
        return Verdict("don't ship", (gain, f"an incremental minute costs {price:.3g}, at most {most_per_minute:g}"))
    fading = evidence.trend_p <= 0.01 and evidence.trend < 0
    notes: tuple[str, ...] = ("the effect fades with days since exposure",) if fading else ()
    absent = [name for name, state in evidence.guardrails.items() if state == ABSENT]
    notes += (f"not in the logs: {', '.join(absent)}",) if absent else ()
    waiting = [name for name, state in evidence.guardrails.items() if state == OPEN]
    if waiting and not evidence.reached:
        return Verdict("keep running", (gain, f"not yet known of guardrails: {', '.join(waiting)}", *notes))
    if waiting:
        missing = f"the planned members could not show that these guardrails hold: {', '.join(waiting)}"
        return Verdict("don't ship", (gain, missing, *notes))
    held = "every guardrail holds" if HOLDS in evidence.guardrails.values() else "no guardrail was measured"
    return Verdict("ship", (gain, held, *notes))


def _invalid(evidence: Evidence) -> Sequence[str]:
    reasons = []
    if evidence.sample_ratio_p < SMALLEST_RATIO_P:
        reasons.append(f"members are not split as planned (p = {evidence.sample_ratio_p:.2g}): find out why first")
    if evidence.foreign > MOST_FOREIGN:
        reasons.append(f"{evidence.foreign:.1%} of the decisions were served by a policy that is not the member's")
    return reasons
