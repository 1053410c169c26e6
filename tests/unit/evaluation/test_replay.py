"""From logged decisions to verdicts, in a simulated world whose truth is known, and where nothing may be said."""

from dataclasses import replace

import numpy as np
import pytest

from keyart.evaluation.estimators import ESTIMATORS, interval
from keyart.evaluation.findings import COMPARISONS, REPORTED, findings, summary
from keyart.evaluation.replay import LAYOUT, Evidence, LoggedDecisions, empty_evidence, replay
from keyart.evaluation.reward_model import RewardModel
from keyart.settings import EvaluateSettings

SETTINGS = EvaluateSettings()
K, P, TITLES, EACH = 3, 2, 4, 3
ARTWORKS = TITLES * EACH


def arrays(rng):
    return {
        "features": rng.normal(size=(ARTWORKS, P)),
        "weights": 0.25 * rng.normal(size=(K, P)),
        "cell_mean": 0.1 * rng.normal(size=(2, ARTWORKS)),
    }


def world(seed: int, members: int = 3000, each: int = 8, response: float = 1.0):
    """Logged with uneven propensities; takes follow the model's scores, times ``response``."""
    rng = np.random.default_rng(seed)
    model = arrays(rng)
    n = members * each
    standard = rng.normal(size=(members, K))
    member, title = np.repeat(np.arange(members), each), rng.integers(0, TITLES, n)
    cell = (member % 2).astype(np.int64)
    candidates = (title[:, None] * EACH + np.arange(EACH)).ravel()
    distribution = np.tile([0.5, 0.3, 0.2], (n, 1))
    place = (rng.random(n)[:, None] > np.cumsum(distribution, axis=1)).sum(axis=1)
    served = title * EACH + place
    base = {"reward": np.full(TITLES + 1, 0.04), "take": np.full(TITLES + 1, 0.08)}
    reward_model = RewardModel.of(model, np.arange(ARTWORKS), base)
    every = np.repeat(np.arange(n), EACH)
    ratio = reward_model.ratios(standard, member[every], cell[every], candidates).reshape(n, EACH) ** response
    ratio /= ratio.mean(axis=1, keepdims=True)
    mean = np.minimum(0.08 * ratio, 1)
    take = (rng.random(n) < mean[np.arange(n), place]).astype(float)
    log = LoggedDecisions(
        member=member,
        title=title,
        cell=cell,
        served=served,
        propensity=distribution[np.arange(n), place],
        outcome={"take": take, "reward": 0.5 * take},
        offsets=np.arange(n + 1) * EACH,
        candidates=candidates,
        candidate_propensities=distribution.ravel(),
    )
    best = title * EACH + ratio.argmax(axis=1)
    by_cell = reward_model.cell_mean[:, :ARTWORKS].reshape(2, TITLES, EACH).argmax(axis=2)
    region = title * EACH + by_cell[cell, title]
    choices = {"user": best, "region": region, "global": title * EACH}
    truth = {t: mean[np.arange(n), c - title * EACH].mean() for t, c in choices.items()}
    truth["uniform"] = mean.mean()
    return log, choices, reward_model, standard, truth


def everything(log):
    return {"*": np.ones(len(log.member), dtype=bool), "region=a": log.cell == 0, "region=b": log.cell == 1}


def test_estimates_reach_the_truth_of_each_behaviour():
    log, choices, model, standard, truth = world(1)
    found = replay(log, choices, model, standard, everything(log))["*"]
    for target in LAYOUT.targets:
        for name in REPORTED:
            estimate = ESTIMATORS[name](found.moments, LAYOUT, target, "take")
            low, high = interval(estimate, found.moments, 0.999)
            assert low <= truth[target] <= high, (name, target)
            if name in ("ips", "snips"):  # what the model says is clipped at 1, at different scores
                reward = ESTIMATORS[name](found.moments, LAYOUT, target, "reward")
                assert reward.value == pytest.approx(estimate.value / 2)


def test_rows_claim_what_is_there_and_refuse_what_is_not():
    log, choices, model, standard, truth = world(2)
    rows = list(findings("*", replay(log, choices, model, standard, everything(log))["*"], SETTINGS, 50))
    assert len(rows) == len(COMPARISONS) * len(REPORTED) * len(LAYOUT.metrics)
    assert {row["verdict"] for row in rows} == {"ok"}
    by = {(r["target"], r["baseline"], r["estimator"], r["metric"]): r for r in rows}
    user = by["user", "uniform", "dr", "take"]
    assert user["claim"]
    assert user["lift_lower"] <= truth["user"] / truth["uniform"] - 1 <= user["lift_upper"]
    assert by["uniform", "uniform", "dr", "take"]["lift"] is None
    assert not any(row["claim"] for row in rows if row["estimator"] == "dm")
    assert "user +" in summary([{**row, "policy_id": "p"} for row in rows])


def test_where_artwork_does_not_matter_little_is_claimed():
    claims = 0
    for seed in range(30):
        log, choices, model, standard, _ = world(100 + seed, members=600, response=0.0)
        rows = findings("*", replay(log, choices, model, standard, everything(log))["*"], SETTINGS, 50)
        claims += next(
            r["claim"]
            for r in rows
            if (r["target"], r["baseline"], r["estimator"], r["metric"]) == ("user", "uniform", "dr", "take")
        )
    assert claims <= 2  # 0.5% each are expected


def test_slices_and_splits_of_members_add_up():
    log, choices, model, standard, _ = world(3, members=200)
    found = replay(log, choices, model, standard, everything(log))
    assert found["region=a"].seen + found["region=b"].seen == found["*"].seen
    whole = found["region=a"] + found["region=b"]  # members of the two cells differ here
    assert whole.moments.members == found["*"].moments.members
    np.testing.assert_allclose(whole.moments.products, found["*"].moments.products)
    again = Evidence.unflat(*whole.flat())
    np.testing.assert_array_equal(again.moments.products, whole.moments.products)
    assert (again.seen, again.left_out, again.moments.members) == (whole.seen, whole.left_out, whole.moments.members)
    np.testing.assert_array_equal((empty_evidence() + whole).largest, whole.largest)


def test_choices_without_a_chance_are_left_out_for_all_and_counted():
    log, choices, model, standard, _ = world(4, members=300)
    chance = log.candidate_propensities.copy()
    lost = np.flatnonzero(choices["user"] != log.served)[:50]
    chance[lost * EACH + choices["user"][lost] % EACH] = 0.0
    unknown = {**choices, "region": np.where(np.arange(len(log.member)) >= 2350, -1, choices["region"])}
    found = replay(replace(log, candidate_propensities=chance), unknown, model, standard, everything(log))["*"]
    expected = len(set(lost) | set(range(2350, len(log.member))))
    assert found.left_out == expected
    assert found.moments.sums[0] == found.seen - expected
    strict = EvaluateSettings(largest_no_overlap=0.01)
    rows = list(findings("*", found, strict, 50))
    assert all(row["verdict"].startswith("no overlap") and row["estimate"] is None and not row["claim"] for row in rows)


def test_artworks_unknown_to_the_policy_count_as_average_candidates():
    log, choices, model, standard, _ = world(5, members=100)
    strange = replace(log, candidates=np.where(log.candidates % EACH == 2, -1, log.candidates))
    strange = replace(strange, served=np.where(log.served % EACH == 2, -1, log.served))
    inside = {t: np.where(c % EACH == 2, c - 1, c) for t, c in choices.items()}
    found = replay(strange, inside, model, standard, everything(log))["*"]
    assert found.left_out == 0
    assert np.isfinite(found.moments.products).all()


@pytest.mark.parametrize(
    ("settings", "smallest", "says"),
    [
        (EvaluateSettings(smallest_ess=1e6), 50, "too few decisions that agree"),
        (SETTINGS, 10_000, "too few members"),
    ],
)
def test_small_evidence_is_refused(settings, smallest, says):
    log, choices, model, standard, _ = world(6, members=200)
    rows = list(findings("*", replay(log, choices, model, standard, everything(log))["*"], settings, smallest))
    assert all(says in row["verdict"] and row["estimate"] is None and row["lift"] is None for row in rows)


def test_wrong_propensities_are_noticed():
    log, choices, model, standard, _ = world(7)
    wrong = replace(log, propensity=np.full(len(log.member), 1 / 3))
    rows = list(findings("*", replay(wrong, choices, model, standard, everything(log))["*"], SETTINGS, 50))
    assert any("logged propensities" in row["verdict"] for row in rows if row["target"] == "global")


def test_a_refusal_from_outside_refuses_all():
    rows = list(findings("*", empty_evidence(), SETTINGS, 50, "learned on the test days"))
    assert {row["verdict"] for row in rows} == {"learned on the test days"}
    assert {row["verdict"] for row in findings("*", empty_evidence(), SETTINGS, 50)} == {"no decisions"}


def test_the_reward_model_is_the_contract():
    rng = np.random.default_rng(9)
    model = arrays(rng)
    position = np.array([3, -1, 0])
    known = RewardModel.of(model, position, {"take": np.array([0.1, 0.02, 0.05])})
    standard, member = rng.normal(size=(2, K)), np.array([0, 1, 1, 0])
    cell, artwork = np.array([0, 1, 1, 0]), np.array([0, 2, 1, -1])
    expected = [
        np.exp(model["cell_mean"][0, 3] + standard[0] @ model["weights"] @ model["features"][3]),
        np.exp(model["cell_mean"][1, 0] + standard[1] @ model["weights"] @ model["features"][0]),
        1.0,
        1.0,
    ]
    ratios = known.ratios(standard, member, cell, artwork)
    np.testing.assert_allclose(ratios, expected)
    np.testing.assert_allclose(
        known.predict("take", np.array([0, 1, -1, 0]), np.array([1.0, 2.0, 1.0, 50.0])), [0.1, 0.04, 0.05, 1.0]
    )
