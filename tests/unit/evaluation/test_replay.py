"""From logged decisions to verdicts, in a simulated world whose truth is known, and where nothing may be said."""

from dataclasses import replace

import numpy as np
import pytest

from keyart.evaluation.book import judge
from keyart.evaluation.estimators import ESTIMATORS, PAGE_ESTIMATORS, interval, member_sums
from keyart.evaluation.findings import COMPARISONS, REPORTED, findings, plans, summary
from keyart.evaluation.replay import ALL, LAYOUT, WHOLE, Evidence, Limits, LoggedDecisions, add_all
from keyart.evaluation.targets import BEHAVIOURS, PolicyTables, Targets
from keyart.policy.exploration import Best
from keyart.settings import EvaluateSettings

SETTINGS = EvaluateSettings()
TITLES, EACH = 4, 3
LOGGED = np.array([0.5, 0.3, 0.2])
TARGETS = Targets((PolicyTables("p", Best(), *[np.zeros(0)] * 6),), np.zeros(0))
EPSILON = 0.1


def world(seed: int, members: int = 3000, each: int = 8, response: float = 1.0):
    """Logged with uneven propensities; every member likes one artwork of a title twice as much, times ``response``."""
    rng = np.random.default_rng(seed)
    n = members * each
    member, title = np.repeat(np.arange(members), each), rng.integers(0, TITLES, n)
    region = member % 2
    place = (rng.random(n)[:, None] > np.cumsum(LOGGED)).sum(axis=1)
    liked = (member * 7 + title) % EACH
    ratio = np.ones((n, EACH)) + response * np.eye(EACH)[liked]
    ratio[np.arange(n), (region + title) % EACH] += 0.5 * response
    ratio /= ratio.mean(axis=1, keepdims=True)
    mean = 0.08 * ratio
    take = (rng.random(n) < mean[np.arange(n), place]).astype(float)
    log = LoggedDecisions(
        member=member,
        codes=rng.integers(0, 2**63, members).astype(np.uint64),
        page=np.arange(n) // 2,
        slot=place,
        best=np.zeros(n, dtype=np.int64),
        propensity=LOGGED[place],
        outcome=np.stack([0.5 * take, take], axis=1),
        offsets=np.arange(n + 1) * EACH,
        support=np.ones(n * EACH, dtype=bool),
    )
    best = mean.argmax(axis=1)
    shown = {
        "uniform": np.full((n, EACH), 1 / EACH),
        "global": np.eye(EACH)[title % EACH],
        "region": np.eye(EACH)[(region + title) % EACH],
        "context": np.eye(EACH)[(region + title + title % 2) % EACH],
        "segment": np.eye(EACH)[np.where(member % 3 == 0, best, (region + title) % EACH)],
        "user": np.eye(EACH)[best],
        "served": EPSILON / EACH + (1 - EPSILON) * np.eye(EACH)[best],
    }
    pi = np.stack([shown[name].ravel() for name in BEHAVIOURS], axis=1)
    q = np.stack([0.5 * (0.7 * mean + 0.02).ravel(), (0.7 * mean + 0.02).ravel()], axis=1)  # a model roughly right
    truth = {name: (probabilities * mean).sum(axis=1).mean() for name, probabilities in shown.items()}
    slices = {"region": (region, ("a", "b")), "device": (title % 2, ("tv", "phone"))}
    return log, pi, q, slices, truth


def _whole(log, pi, q):
    return [(slice(0, len(log.member)), pi.copy(), q)]


def judged(log, pi, q, slices, limits=Limits()):  # noqa: B008
    found = judge(log, _whole(log, pi, q), TARGETS, slices, limits)
    return {name: evidence for (_, name), evidence in found.items()}


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_the_compiled_pass_is_the_plain_one(precision):
    log, pi, q, slices, _ = world(1, members=50)
    pi, q = pi.astype(precision), q.astype(precision)
    found = judged(log, pi, q, slices, Limits(clip=2.5, switch=2.5))
    at = log.offsets[:-1] + log.slot
    weights = {name: pi[at, t] / log.propensity for t, name in enumerate(BEHAVIOURS)}
    rewards = {m: log.outcome[:, k] for k, m in enumerate(LAYOUT.metrics)}
    served = {m: q[at, k] for k, m in enumerate(LAYOUT.metrics)}
    expected = {
        (name, m): np.add.reduceat(pi[:, t] * q[:, k].astype(float), log.offsets[:-1])
        for t, name in enumerate(BEHAVIOURS)
        for k, m in enumerate(LAYOUT.metrics)
    }
    rows = LAYOUT.rows(weights, rewards, served, expected, log.propensity, 2.5, 2.5)
    tolerance = 1e-12 if precision is np.float64 else 1e-6
    sums = member_sums(rows, log.member)
    core = found[ALL].moments
    np.testing.assert_allclose(core.sums[: rows.shape[1]], sums.sum(axis=0), rtol=tolerance, atol=tolerance)
    width = rows.shape[1]
    np.testing.assert_allclose(core.products[:width, :width], sums.T @ sums, rtol=tolerance, atol=1e2 * tolerance)
    np.testing.assert_allclose(found[ALL].largest, [weights[t].max() for t in BEHAVIOURS], rtol=tolerance)
    tv = rows[slices["device"][0] == 0], log.member[slices["device"][0] == 0]
    np.testing.assert_allclose(
        found["device=tv"].moments.products, (s := member_sums(*tv)).T @ s, rtol=tolerance, atol=1e2 * tolerance
    )
    assert found["device=tv"].moments.members == len(np.unique(tv[1]))


def test_estimates_reach_the_truth_of_each_behaviour():
    log, pi, q, slices, truth = world(1)
    found = judged(log, pi, q, slices)[ALL]
    for target in LAYOUT.targets:
        for name in ("ips", "snips", "dr", "sndr", "clipped", "switch"):  # no weight is beyond the clip here
            estimate = ESTIMATORS[name](found.moments, WHOLE, target, "take")
            low, high = interval(estimate, found.moments, 0.999)
            assert low <= truth[target] <= high, (name, target)
            reward = ESTIMATORS[name](found.moments, WHOLE, target, "reward")
            assert reward.value == pytest.approx(estimate.value / 2)


def test_rows_claim_what_is_there_and_say_how_sure_they_are():
    log, pi, q, slices, truth = world(2)
    rows = list(findings(ALL, judged(log, pi, q, slices)[ALL], SETTINGS, 50))
    assert len(rows) == len(COMPARISONS) * (len(REPORTED) + len(PAGE_ESTIMATORS)) * len(LAYOUT.metrics)
    assert {row["verdict"] for row in rows} == {"ok"}
    by = {(r["target"], r["baseline"], r["estimator"], r["metric"]): r for r in rows}
    user = by["user", "uniform", "dr", "take"]
    assert user["claim"]
    assert user["lift_lower"] <= truth["user"] / truth["uniform"] - 1 <= user["lift_upper"]
    assert by["uniform", "uniform", "dr", "take"]["lift"] is None
    assert not any(row["claim"] for row in rows if row["estimator"] in ("dm", "replay", "clipped", "switch"))
    # Exploration costs something, and the estimates of both behaviours know it.
    assert by["served", "uniform", "dr", "take"]["lift"] < user["lift"]
    # Bootstrap and delta method tell the same of smooth statistics.
    for row in rows:
        if row["estimator"] != "dm":
            assert row["boot_upper"] - row["boot_lower"] == pytest.approx(row["upper"] - row["lower"], rel=0.45)
            assert (
                abs(row["boot_lower"] + row["boot_upper"] - row["lower"] - row["upper"]) < row["upper"] - row["lower"]
            )
    assert "user +" in summary([{**row, "policy_id": "p"} for row in rows])


def test_pages_add_up_where_titles_leave_each_other_alone():
    log, pi, q, slices, truth = world(3)
    found = judged(log, pi, q, slices)[ALL]
    for name, function in PAGE_ESTIMATORS.items():
        estimate = function(found.moments, WHOLE, "user", "take")
        low, high = interval(estimate, found.moments, 0.999)
        assert low <= 2 * truth["user"] <= high, name  # two decisions a page
    spread = {
        name: np.ptp(interval(function(found.moments, WHOLE, "user", "take"), found.moments))
        for name, function in PAGE_ESTIMATORS.items()
    }
    assert spread["page-items"] < spread["page-additive"] < spread["page-ips"]


def test_only_the_joint_weight_is_right_where_titles_steal():
    """The page's outcome is 1 only where both decisions show the target's artwork: no sum over decisions knows that."""
    log, pi, q, slices, _ = world(4, members=20_000, each=4)
    hit = pi[log.offsets[:-1] + log.slot, BEHAVIOURS.index("user")] == 1
    both = np.repeat(hit.reshape(-1, 2).all(axis=1), 2)
    outcome = np.stack([both, both], axis=1) * np.array([[0.25, 0.5]])  # half a page's outcome each
    found = judged(replace(log, outcome=outcome), pi, q, slices)[ALL]
    values = {name: f(found.moments, WHOLE, "user", "take") for name, f in PAGE_ESTIMATORS.items()}
    low, high = interval(values["page-ips"], found.moments, 0.999)
    assert low <= 1.0 <= high
    assert values["page-additive"].value < 0.9
    assert values["page-items"].value < 0.9


def test_where_artwork_does_not_matter_little_is_claimed():
    claims = 0
    for seed in range(30):
        log, pi, q, slices, _ = world(100 + seed, members=600, response=0.0)
        rows = findings(ALL, judged(log, pi, q, slices, Limits(replicates=0))[ALL], SETTINGS, 50)
        claims += next(
            r["claim"]
            for r in rows
            if (r["target"], r["baseline"], r["estimator"], r["metric"]) == ("user", "uniform", "dr", "take")
        )
    assert claims <= 2  # 0.5% each are expected


def _part(log, pi, q, slices, first, last):
    """Members first to last alone."""
    rows = (log.member >= first) & (log.member < last)
    pairs = np.repeat(rows, EACH)
    part = replace(
        log,
        member=log.member[rows] - first,
        codes=log.codes[first:last],
        page=log.page[rows],
        slot=log.slot[rows],
        best=log.best[rows],
        propensity=log.propensity[rows],
        outcome=log.outcome[rows],
        offsets=np.arange(rows.sum() + 1) * EACH,
        support=log.support[pairs],
    )
    return part, pi[pairs], q[pairs], {name: (codes[rows], values) for name, (codes, values) in slices.items()}


def test_slices_splits_and_travel_add_up():
    log, pi, q, slices, _ = world(3, members=200)
    found = judge(log, _whole(log, pi, q), TARGETS, slices, Limits())
    parts: dict = {}
    for first, last in ((0, 37), (37, 150), (150, 200)):
        one, *rest = _part(log, pi, q, slices, first, last)
        add_all(parts, judge(one, _whole(one, *rest[:2]), TARGETS, rest[2], Limits()))
    assert parts.keys() == found.keys()
    for key, evidence in found.items():
        again = Evidence.of(LAYOUT, parts[key].arrays())
        np.testing.assert_allclose(again.moments.products, evidence.moments.products, rtol=1e-9, atol=1e-9)
        # Replicates hang on the members' codes, not on who counted them.
        np.testing.assert_allclose(again.replicated, evidence.replicated, rtol=1e-9, atol=1e-9)
        assert (again.seen, again.left_out, again.moments.members) == (
            evidence.seen,
            evidence.left_out,
            evidence.moments.members,
        )
        np.testing.assert_array_equal(again.largest, evidence.largest)
    assert found[0, "region=a"].seen + found[0, "region=b"].seen == found[0, ALL].seen
    np.testing.assert_allclose(
        found[0, "region=a"].moments.sums + found[0, "region=b"].moments.sums,
        found[0, ALL].moments.sums[: len(LAYOUT.names)],
    )


def test_choices_without_a_chance_are_left_out_for_all_and_counted():
    log, pi, q, slices, _ = world(4, members=300)
    lost = np.flatnonzero(pi[log.offsets[:-1] + log.slot, 3] == 0)[:50]  # the user's artwork could not be shown
    support = log.support.copy()
    support[lost * EACH + pi[:, 3].reshape(-1, EACH)[lost].argmax(axis=1)] = False
    pi[:, 2] = np.where(np.arange(len(pi)) >= 2350 * EACH, 0.0, pi[:, 2])  # the region has no word on these
    found = judged(replace(log, support=support), pi, q, slices)[ALL]
    expected = len(set(lost) | set(range(2350, len(log.member))))
    assert found.left_out == expected
    assert found.moments.sums[0] == found.seen - expected
    strict = EvaluateSettings(largest_no_overlap=0.01)
    rows = list(findings(ALL, found, strict, 50))
    assert all(row["verdict"].startswith("no overlap") and row["estimate"] is None and not row["claim"] for row in rows)


@pytest.mark.parametrize(
    ("settings", "smallest", "says"),
    [
        (EvaluateSettings(smallest_ess=1e6), 50, "too few decisions that agree"),
        (EvaluateSettings(largest_weight_share=1e-3), 50, "one take of weight"),
        (SETTINGS, 10_000, "too few members"),
    ],
)
def test_small_evidence_is_refused(settings, smallest, says):
    log, pi, q, slices, _ = world(6, members=200)
    rows = list(findings(ALL, judged(log, pi, q, slices)[ALL], settings, smallest))
    assert all(says in row["verdict"] and row["estimate"] is None and row["lift"] is None for row in rows)


def test_long_pages_are_refused_where_decisions_are_not():
    log, pi, q, slices, _ = world(6, members=600)
    found = judged(replace(log, page=log.member), pi, q, slices)[ALL]  # eight decisions a page: weights up to 5^8
    rows = list(findings(ALL, found, SETTINGS, 50))
    pages = [row for row in rows if row["metric"].startswith("page") and row["target"] == "user"]
    assert pages and all("page" in row["verdict"] and row["estimate"] is None for row in pages)
    assert all(row["verdict"] == "ok" for row in rows if not row["metric"].startswith("page"))


def test_wrong_propensities_are_noticed():
    log, pi, q, slices, _ = world(7)
    wrong = replace(log, propensity=np.full(len(log.member), 1 / 3))
    rows = list(findings(ALL, judged(wrong, pi, q, slices)[ALL], SETTINGS, 50))
    assert any("logged propensities" in row["verdict"] for row in rows if row["target"] == "global")


def test_a_refusal_from_outside_refuses_all():
    rows = list(findings(ALL, Evidence.empty(WHOLE), SETTINGS, 50, "learned on the test days"))
    assert {row["verdict"] for row in rows} == {"learned on the test days"}
    assert {row["verdict"] for row in findings(ALL, Evidence.empty(LAYOUT), SETTINGS, 50)} == {"no decisions"}


def test_the_plan_is_what_the_planned_log_gives():
    """A log planned from one log, then simulated with the rate that the plan names, has the wanted interval."""
    log, pi, q, slices, _ = world(8, members=4000)
    found = judged(log, pi, q, slices)[ALL]
    wide = interval(ESTIMATORS["ips"](found.moments, WHOLE, "user", "take"), found.moments)
    wanted = 1.5 * (wide[1] - wide[0])
    plan = plans(found, wanted, "take")["user"]
    rate = plan.exploration
    assert 0 < rate < 1
    logged = np.full(EACH, rate / EACH)
    logged[0] += 1 - rate
    rng = np.random.default_rng(9)
    member = log.member
    widths = []
    for _ in range(20):
        place = (rng.random(len(member))[:, None] > np.cumsum(logged)).sum(axis=1)
        chance = (q[:, 1].reshape(-1, EACH)[np.arange(len(member)), place] - 0.02) / 0.7
        take = (rng.random(len(member)) < chance).astype(float)
        again = replace(log, slot=place, propensity=logged[place], outcome=np.stack([0.5 * take, take], axis=1))
        evidence = judged(again, pi, q, {}, Limits(replicates=0))[ALL]
        low, high = interval(ESTIMATORS["ips"](evidence.moments, WHOLE, "user", "take"), evidence.moments)
        widths.append(high - low)
    assert np.mean(widths) == pytest.approx(wanted, rel=0.1)
    assert "must explore" in plan.sentence("user", "take")
    hopeless = plans(found, wanted / 50, "take")["user"]
    assert hopeless.exploration is None and "too small" in hopeless.sentence("user", "take")
