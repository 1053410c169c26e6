"""The paired difference against its closed form and against the truth, and each check of a promotion."""

from datetime import date
from statistics import NormalDist

import numpy as np
import pytest

from keyart.evaluation.estimators import effective_size
from keyart.evaluation.paired import paired_evidence
from keyart.evaluation.promotion import calibrated, compare, enough, exposed, gains, in_time, tried_before
from keyart.policy.champions import rolled_back, standing
from keyart.settings import EvaluateSettings, PromoteSettings

K = 3
LOGGED = np.array([0.5, 0.3, 0.2])
CANDIDATE, CHAMPION = np.array([0.1, 0.2, 0.7]), np.array([0.2, 0.1, 0.7])


def log_of(rng, members=400, worth=(0.2, 0.3, 0.4), unsupported=False):
    """Members of one to six decisions with a mood of their own; rewards by artwork, predictions that are wrong."""
    member = np.repeat(np.arange(members), rng.integers(1, 7, members))
    n = len(member)
    slot = rng.choice(K, n, p=LOGGED)
    mood = rng.uniform(0.5, 1.5, members)[member]
    take = (rng.random(n) < mood * np.array(worth)[slot]).astype(float)
    support = np.ones(n * K, dtype=bool)
    if unsupported:
        support[2 : K * (n // 2) : K] = False
        slot = np.where(~support[2::K] & (slot == 2), 0, slot)
    return {
        "member": member,
        "offsets": np.arange(n + 1) * K,
        "slot": slot,
        "support": support,
        "propensity": LOGGED[slot],
        "outcome": np.stack([0.5 * take, take], axis=1),
        "pi": np.tile(np.stack([CANDIDATE, CHAMPION], axis=1), (n, 1)),
        "q": np.tile(np.array([[0.05, 0.1], [0.2, 0.4], [0.1, 0.2]]), (n, 1)),
        "least": 0.9,
    }


def values_of(log, target):
    """Each decision's doubly robust value of the reward, by its textbook formula."""
    q = log["q"].reshape(-1, K, 2)[..., 0]
    at = np.arange(len(q)), log["slot"]
    return q @ target + target[log["slot"]] / log["propensity"] * (log["outcome"][:, 0] - q[at])


def test_the_difference_has_the_variance_of_a_plus_b_less_twice_the_covariance():
    log = log_of(np.random.default_rng(1))
    found = compare(paired_evidence(**log), 0.95, 1)
    one, other = values_of(log, CANDIDATE), values_of(log, CHAMPION)
    n, members = len(one), log["member"].max() + 1
    assert found.difference == pytest.approx(one.mean() - other.mean())
    assert found.champion == pytest.approx(other.mean())
    # Clustered by member: residual sums of each policy, and their covariance.
    sums = np.stack([np.bincount(log["member"], v - v.mean(), minlength=members) for v in (one, other)])
    covariance = np.cov(sums) * members / n**2
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    reach = NormalDist().inv_cdf(0.975) * np.sqrt(variance)
    assert found.difference - found.lower == pytest.approx(reach)
    assert found.upper - found.difference == pytest.approx(reach)
    # Pairing is what makes it narrow: the two agree in most of what they show.
    assert variance < 0.2 * (covariance[0, 0] + covariance[1, 1])


def test_pieces_of_members_add_up():
    log = log_of(np.random.default_rng(2), members=50)
    cut = int(np.searchsorted(log["member"], 20))
    parts = [
        {
            name: value[at] if name in {"member", "slot", "propensity", "outcome"} else value
            for name, value in log.items()
        }
        | {name: log[name][K * at.start : K * at.stop] for name in ("support", "pi", "q")}
        | {"offsets": np.arange(at.stop - at.start + 1) * K}
        for at in (slice(0, cut), slice(cut, len(log["member"])))
    ]
    whole, (one, other) = paired_evidence(**log), (paired_evidence(**part) for part in parts)
    again = one + other
    assert again.moments.members == whole.moments.members == 50
    np.testing.assert_allclose(again.moments.products, whole.moments.products)
    assert again.seen == whole.seen


def test_the_bound_holds_as_often_as_it_says():
    """97.5% of the first comparison, 99.75% of the fourth: over 1500 logs the truth lies above the bound that often."""
    truth = 0.5 * float((CANDIDATE - CHAMPION) @ np.array([0.2, 0.3, 0.4]))
    rng = np.random.default_rng(3)
    logs = [paired_evidence(**log_of(rng, members=150)) for _ in range(1500)]
    for tried, level in ((1, 0.975), (4, 0.9975)):
        held = np.mean([compare(evidence, 0.95, tried).lower < truth for evidence in logs])
        assert abs(held - level) < 4 * np.sqrt(level * (1 - level) / len(logs)) + 0.003


def test_what_the_log_could_not_show_is_left_out_and_refused():
    log = log_of(np.random.default_rng(4), unsupported=True)
    evidence = paired_evidence(**log)
    half = len(log["slot"]) // 2
    assert evidence.left_out == half and evidence.seen == len(log["slot"])
    assert evidence.moments.sums[0] == evidence.seen - half
    checks = {check.name: check for check in enough(evidence, EvaluateSettings(), 20, None)}
    assert not checks["overlap"].passed and "could not have shown" in checks["overlap"].reason


def test_too_few_decisions_that_agree_are_refused():
    evidence = paired_evidence(**log_of(np.random.default_rng(5)))
    size = min(effective_size(evidence.moments, evidence.layout, name) for name in evidence.layout.targets)
    for needed, passed in ((size - 1, True), (size + 1, False)):
        settings = EvaluateSettings(smallest_ess=needed)
        assert [check.passed for check in enough(evidence, settings, 20, None)] == [passed, passed]


def test_the_margin_is_a_share_of_the_champions_reward():
    found = compare(paired_evidence(**log_of(np.random.default_rng(6), worth=(0.3, 0.3, 0.3))), 0.95, 1)
    assert found.lower < 0
    share = -found.lower / found.champion
    assert gains(found, PromoteSettings(margin=share * 1.01)).passed
    refused = gains(found, PromoteSettings(margin=share * 0.99))
    assert not refused.passed and f"{found.lower:+.3g}" in refused.reason


@pytest.mark.parametrize(
    ("slope", "sd", "passed"),
    [(1.0, 0.01, True), (0.8, 0.01, False), (0.8, 0.2, True), (1.3, 0.05, False), (None, 0.0, False)],
)
def test_calibration_is_refused_where_its_interval_lies_outside(slope, sd, passed):
    known = {} if slope is None else {"validation_chance_slope": slope, "validation_chance_slope_sd": sd}
    assert calibrated(known, PromoteSettings()).passed is passed


def test_the_artworks_share_is_looked_at_where_it_is_known():
    known = {"validation_chance_slope": 1.0, "validation_chance_slope_sd": 0.01}
    known |= {"validation_artwork_slope": 0.3, "validation_artwork_slope_sd": 0.1}
    assert not calibrated(known, PromoteSettings()).passed


def test_days_that_either_policy_learned_from_are_refused():
    day = date(2026, 1, 15)
    assert in_time(day, {"a": day, "b": date(2026, 1, 8)}).passed
    assert "b learned" in in_time(day, {"a": day, "b": date(2026, 1, 16)}).reason
    assert not in_time(day, {"a": None}).passed


def test_limits_are_obeyed():
    row = {"behaviour": "user", "measure": "gini", "segment": "*", "value": 0.7, "limit": "..0.6", "within": False}
    assert "gini (*) is 0.7, allowed ..0.6" in exposed([row], ["gini"]).reason
    assert exposed([{**row, "within": True}], ["gini"]).passed
    assert exposed([{**row, "behaviour": "logged"}], []).passed  # what was logged is nobody's fault
    assert not exposed([], ["gini"]).passed


def test_however_many_comparisons_err_in_five_of_a_hundred_together():
    evidence = paired_evidence(**log_of(np.random.default_rng(3)))
    levels = np.array([compare(evidence, 0.95, k).level for k in range(1, 10_001)])
    assert 0.0499 < np.sum(1 - levels) < 0.05


def test_every_look_counts_where_days_overlap():
    def row(policy, champion, first, last, action="refuse"):
        days = {"from_day": date(2026, 1, first), "to_day": date(2026, 1, last)}
        return {"policy_id": policy, "champion_id": champion, "action": action, **days}

    rows = [row("a", "x", 1, 8), row("a", "x", 1, 9), row("b", "x", 7, 14), row("c", "x", 8, 14), row("d", "y", 1, 8)]
    days = date(2026, 1, 1), date(2026, 1, 8)
    assert tried_before(rows, "x", days) == 3, "twice a, once b"
    assert tried_before(rows, None, days) == 0


def test_rollbacks_go_back_one_by_one():
    def row(number, action, policy, champion=None):
        return {"number": number, "action": action, "policy_id": policy, "champion_id": champion}

    rows = [
        row(1, "promote", "a"),
        row(2, "refuse", "b", "a"),
        row(3, "promote", "c", "a"),
        row(4, "promote", "d", "c"),
    ]
    assert standing(rows) == ("a", "c", "d") and not rolled_back(rows)
    rows.append(row(5, "rollback", "c", "d"))
    assert standing(reversed(rows)) == ("a", "c") and rolled_back(rows) == {"d"}
    rows.append(row(6, "promote", "d", "c"))
    assert standing(rows) == ("a", "c", "d") and not rolled_back(rows)
