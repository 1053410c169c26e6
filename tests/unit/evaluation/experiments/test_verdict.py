"""What is decided, from evidence, and from simulated moments through to rows."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from keyart.config import load
from keyart.errors import ConfigError, TableError
from keyart.evaluation.estimators import Moments
from keyart.evaluation.experiments.design import Design, design_of
from keyart.evaluation.experiments.findings import EMPTY, experiment_rows, summary
from keyart.evaluation.experiments.gathered import Gathered
from keyart.evaluation.experiments.metrics import COLUMNS
from keyart.evaluation.experiments.quantiles import grid
from keyart.evaluation.experiments.randomisation import HOLDOUT
from keyart.evaluation.experiments.verdict import ABSENT, BROKEN, HOLDS, OPEN, Evidence, decide

GOOD = Evidence(
    sample_ratio_p=0.4,
    foreign=0.0,
    adjusted_p=0.001,
    effect=0.03,
    lower=0.01,
    upper=0.05,
    guardrails={"abandonment": HOLDS},
    reached=False,
    cost_per_minute=None,
)


@pytest.mark.parametrize(
    ("change", "word", "reason"),
    [
        ({}, "ship", "every guardrail holds"),
        ({"guardrails": {}}, "ship", "no guardrail was measured"),
        ({"guardrails": {"return": HOLDS, "cancellation": ABSENT}}, "ship", "not in the logs: cancellation"),
        ({"sample_ratio_p": 1e-4}, "invalid", "not split as planned"),
        ({"foreign": 0.1}, "invalid", "a policy that is not the member's"),
        ({"guardrails": {"return": BROKEN}}, "don't ship", "guardrail return is broken"),
        ({"guardrails": {"return": OPEN}}, "keep running", "not yet known of guardrails: return"),
        ({"guardrails": {"return": OPEN}, "reached": True}, "don't ship", "could not show"),
        ({"effect": -0.03, "lower": -0.05, "upper": -0.01}, "don't ship", "a loss"),
        ({"adjusted_p": 0.2, "lower": -0.02}, "keep running", "nothing is clear yet"),
        ({"adjusted_p": 0.2, "effect": 0.0, "lower": -0.02, "upper": 0.015}, "don't ship", "2.00% is ruled out"),
        ({"adjusted_p": 0.2, "lower": -0.02, "reached": True}, "don't ship", "no gain was shown"),
        ({"cost_per_minute": 0.3}, "don't ship", "an incremental minute costs 0.3, at most 0.2"),
        ({"cost_per_minute": 0.1}, "ship", "a gain"),
        ({"enough": False}, "keep running", "too few members"),
        ({"trend_p": 0.001, "trend": -0.1}, "ship", "fades"),
    ],
)
def test_verdicts(change, word, reason):
    said = decide(replace(GOOD, **change), 0.05, 0.02, 0.2)
    assert said.word == word
    assert reason in str(said)


def test_one_look_says_nothing_before_its_time_but_stops_at_harm():
    assert decide(GOOD, 0.05, 0.02, 0.0, "once").word == "keep running"
    assert decide(replace(GOOD, reached=True), 0.05, 0.02, 0.0, "once").word == "ship"
    assert decide(replace(GOOD, guardrails={"return": BROKEN}), 0.05, 0.02, 0.0, "once").word == "don't ship"


SET = [
    "experiment.experiment_id=e", "experiment.variants=[a, b, c]", "experiment.from_day=2026-01-01",
    "experiment.to_day=2026-01-15", "experiment.cost_per_1000_decisions=2",
    "experiment.guardrails={abandonment: 0.3, return: 0.1, cancellation: 0.4}",
]  # fmt: skip


def design(*more):
    return design_of(load(None, [*SET, *more]).experiment, (2000, 2000, 2000), 14)


def test_a_design_survives_its_table():
    made = design("experiment.holdout=0.1")
    assert Design.parse(made.row()) == made
    assert made.split.shares == pytest.approx((1 / 3,) * 3)
    with pytest.raises(TableError, match="rules"):
        Design.parse({**made.row(), "rules": "{}"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("experiment.experiment_id=", "experiment_id"),
        ("experiment.variants=[a]", "variants"),
        ("experiment.variants=[a, a]", "variants"),
        ("experiment.metric=clicks", "clicks"),
        ("experiment.secondary=[clicks]", "clicks"),
        ("experiment.metric=take_fraction", "decided by what was watched"),
        ("experiment.to_day=2025-01-01", "to_day"),
        ("experiment.guardrails={return: lots}", "guardrails"),
        ("experiment.guardrails={return: -1}", "guardrails"),
    ],
)
def test_a_design_that_does_not_fit_names_the_key(change, said):
    with pytest.raises(ConfigError, match=said):
        design(change)


def simulated(seed, members, effect=0.0, extra=0.0):
    """Members' COLUMNS: reward and minutes with an effect, everything else as control's."""
    rng = np.random.default_rng(seed)
    taste = rng.gamma(3, 0.3, members)
    decisions = 1 + rng.poisson(20, members)
    takes = rng.poisson(taste * (1 + effect))
    before = rng.poisson(taste)
    column = {
        "members": 1, "decisions": decisions, "takes": takes, "reward": 0.5 * takes, "watched": 20 * takes + 5,
        "abandoned": rng.binomial(takes, 0.2 + extra), "sessions": 1 + takes,
        "active_days": 1 + rng.poisson(3, members),
        "could_return": 1, "returned": rng.random(members) < 0.7, "cancelled": rng.random(members) < 0.2,
        "titles": np.minimum(takes, 4), "days": 5, "before_reward": 0.5 * before, "before_takes": before,
        "before_decisions": 20, "before_watched": 20 * before, "before_sessions": 1 + before, "before_active_days": 3,
    }  # fmt: skip
    return np.stack([np.broadcast_to(column.get(name, 0.0), members) for name in COLUMNS], axis=1).astype(float)


def gathered(arms, elapsed=14):
    moments = {(arm, "*"): Moments.of(rows) for arm, rows in arms.items()}
    moments |= {(arm, "region=SE"): Moments.of(rows[: len(rows) // 2]) for arm, rows in arms.items()}
    moments |= {(arm, "region=NO"): Moments.of(rows[:20]) for arm, rows in arms.items()}
    return Gathered(moments, {}, {}, grid(0.1, 1000), elapsed)


def rows_of(arms, *settings, elapsed=14):
    return experiment_rows(design(*settings), gathered(arms, elapsed), (0.5,), 50)


def find(rows, kind, variant, metric=None):
    return [r for r in rows if r["kind"] == kind and r["variant"] == variant and metric in (None, r["metric"])]


def test_a_gain_ships_and_a_copy_of_control_does_not():
    arms = {0: simulated(1, 8000), 1: simulated(2, 8000, 0.2), 2: simulated(3, 8000)}
    rows = rows_of({**arms, HOLDOUT: simulated(4, 4000, -0.1)})
    assert {frozenset(r) for r in rows} == {frozenset([*EMPTY, "experiment_id", "kind", "variant", "metric",
                                                       "sample_ratio_p"])}  # fmt: skip
    (good,), (copy,) = find(rows, "primary", "b"), find(rows, "primary", "c")
    assert good["verdict"].startswith("ship: a gain")
    assert copy["verdict"].startswith("don't ship")
    assert good["correction"] == "Holm over 2 variants"
    assert good["lower"] < 0.2 * good["control_mean"] < good["upper"]
    assert good["sequential_lower"] < good["lower"]
    assert good["variance_kept"] < 0.95
    assert {r["correction"] for r in find(rows, "secondary", "b")} == {"Benjamini-Hochberg over 6 tests"}
    assert {r["segment"] for r in find(rows, "segment", "b")} == {"region=SE"}, "20 members are too few to show"
    assert {r["variant"] for r in rows if r["kind"] == "incrementality"} == {"a", "b", "c"}
    (cost,) = find(rows, "cost", "b")
    assert "a minute" in cost["verdict"]
    assert cost["lower"] < cost["difference"] < cost["upper"]
    assert summary(rows).startswith("b: ship")
    assert all(r["difference"] is None or np.isfinite(r["difference"]) for r in rows)


def test_a_picture_that_promises_too_much_is_stopped_by_its_guardrail():
    arms = {0: simulated(1, 8000), 1: simulated(2, 8000, 0.2, extra=0.2), 2: simulated(3, 8000)}
    rows = rows_of(arms)
    assert find(rows, "primary", "b")[0]["verdict"] == "don't ship: guardrail abandonment is broken"
    assert find(rows, "guardrail", "b", "abandonment")[0]["verdict"] == BROKEN


def test_a_broken_split_makes_everything_invalid():
    rows = rows_of({0: simulated(1, 8000), 1: simulated(2, 7000, 0.2), 2: simulated(3, 8000)})
    assert find(rows, "primary", "b")[0]["verdict"].startswith("invalid")


def test_a_handful_of_members_says_nothing():
    arms = {arm: simulated(arm, 40, 5.0 * (arm == 1)) for arm in range(3)}
    assert find(rows_of(arms), "primary", "b")[0]["verdict"] == "keep running: too few members to say anything"


def test_few_days_keep_running():
    arms = {0: simulated(1, 400), 1: simulated(2, 400, 0.05), 2: simulated(3, 400)}
    for looks in ("continuous", "once"):
        said = find(rows_of(arms, f"experiment.looks={looks}", elapsed=3), "primary", "b")[0]["verdict"]
        assert said.startswith("keep running")


def test_without_a_gain_a_minute_has_no_price():
    arms = {0: simulated(1, 4000, 0.3), 1: simulated(2, 4000), 2: simulated(3, 4000)}
    (cost,) = find(rows_of(arms), "cost", "b")
    assert cost["difference"] < 0 and "a minute" not in cost["verdict"]
    assert not np.isfinite(inf) and summary([]) == "no variant has members yet"


def test_a_guardrail_that_the_logs_do_not_hold_blocks_nothing():
    arms = {arm: simulated(arm + 1, 8000, 0.2 * (arm == 1)) for arm in range(3)}
    for rows in arms.values():
        rows[:, COLUMNS.index("cancelled")] = 0
    rows = rows_of(arms)
    assert find(rows, "guardrail", "b", "cancellation")[0]["verdict"] == ABSENT
    said = find(rows, "primary", "b")[0]["verdict"]
    assert said.startswith("ship") and said.endswith("not in the logs: cancellation")
