"""A floor under every artwork, more of it for cold titles, within a budget, and propensities that stay exact."""

from collections import Counter
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import chisquare

from keyart.errors import ConfigError
from keyart.learning.shrinkage import rate_effects, tree_of
from keyart.policy.assignment import build_slate, level_probabilities
from keyart.policy.budget import Spending, cold_shares, floor_within, spendings, within_budget
from keyart.policy.exploration import Best, EpsilonGreedy, Softmax, Thompson
from keyart.policy.floors import NO_FLOOR, Floor, mixed
from keyart.policy.levels import Levels
from keyart.policy.placement import EVERYWHERE, Placement, Rule, place
from keyart.policy.resolve import ArtworkResolver, Override
from keyart.policy.specification import Policy

DAY = date(2026, 2, 1)
LEVELS = Levels((("global", "*"), ("region", "SE")), {"SE": "nordics"})


@given(
    scores=hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(-3, 3)),
    shut=st.integers(0, 7),
    least=st.floats(0, 0.5),
    cold=st.floats(0, 1),
)
def test_every_artwork_that_may_be_shown_gets_the_floor(scores, shut, least, cold):
    allowed = (np.arange(len(scores)) != shut) | (len(scores) == 1)
    share = Floor(least, {"T": cold}).shares(["T"], allowed.sum(keepdims=True))[0]
    found = mixed(Softmax(0.1).propensities(np.where(allowed, scores, -np.inf)), allowed, share)
    assert found.sum() == pytest.approx(1)
    assert (found[~allowed] == 0).all()
    assert (found[allowed] >= min(least, 1 / allowed.sum()) - 1e-12).all()
    assert (found[allowed] >= cold / allowed.sum() - 1e-12).all()


def test_without_a_floor_nothing_changes():
    drawn = np.array([0.1, 0.7, 0.2])
    assert mixed(drawn, drawn > 0, float(NO_FLOOR.shares(["T"], np.array([3]))[0])) is drawn
    assert NO_FLOOR.of_titles(drawn[None], drawn[None] > 0, np.zeros(3, int), ["T"])[0] is not None


@settings(deadline=None)
@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(
            hnp.arrays(np.int64, n, elements=st.integers(1, 9)),
            hnp.arrays(np.int64, n, elements=st.integers(0, 10_000)),
            hnp.arrays(np.float64, n, elements=st.floats(0, 1)),
        )
    ),
    st.floats(0, 0.02),
    st.floats(0.25, 1),
    st.floats(0.15, 1),
)
def test_what_is_spent_stays_within_the_budgets(titles, least, budget, reward_budget):
    sizes, seen, cold = titles
    epsilon, names = 0.05, [f"t{i}" for i in range(len(sizes))]
    # The k-th artwork of a title brings 1 / k of what the best does.
    worth = [1 / np.arange(1.0, k + 1) for k in sizes]
    even = np.array([1 - values.mean() for values in worth])
    budgets = {
        "budget": (Spending.of(seen, epsilon * (1 - 1 / sizes), 1 - 1 / sizes), budget),
        "reward_budget": (Spending.of(seen * 0.5, epsilon * even, even), reward_budget),
    }
    floor = within_budget(names, sizes, budgets, cold, least)
    share = floor.shares(names, sizes)
    assert (share >= np.minimum(1, least * sizes)).all()
    # The same, from the propensities of each title.
    drawn = [
        mixed(EpsilonGreedy(epsilon).propensities(np.arange(k, 0.0, -1)), np.ones(k, bool), s)
        for k, s in zip(sizes, share, strict=True)
    ]
    aside = [1 - propensities[0] for propensities in drawn]
    lost = [1 - propensities @ values for propensities, values in zip(drawn, worth, strict=True)]
    spent = []
    for values, (name, (spending, most)) in zip((aside, lost), budgets.items(), strict=True):
        spent.append(spending.spent(share))
        assert spent[-1] <= most + 1e-9, name
        assert spent[-1] == pytest.approx(np.average(values, weights=spending.weight), abs=1e-9)
    wanted = np.where(sizes > 1, np.maximum(cold, np.minimum(1, least * sizes)), share)
    assert (share <= wanted + 1e-12).all()
    if spent[0] < budget - 0.01 and spent[1] < reward_budget - 0.01:  # nothing was cut but for rounding
        np.testing.assert_allclose(share, wanted, atol=1.1e-4)


def test_a_budget_that_exploration_alone_exceeds_is_refused():
    spending = Spending.of(np.array([10]), np.array([0.04]), np.array([0.8]))
    for name, whole in (("budget", "decisions"), ("reward_budget", "the reward")):
        with pytest.raises(ConfigError, match=rf"assign.{name} is 0.03, and assign.* spends 0.0400 of {whole}"):
            within_budget(["a"], np.array([5]), {name: (spending, 0.03)}, np.zeros(1), 0.0)
    with pytest.raises(ConfigError, match="allowed is 0 to 1"):
        Floor(1.5)


def assigned(placement=EVERYWHERE, **options):
    """Two titles: one long known, one with an artwork that nobody has seen."""
    artworks = [("new0", "New", 0), ("new1", "New", 1), ("old0", "Old", 0), ("old1", "Old", 1), ("old2", "Old", 2)]
    n = np.array([500.0, 0.0, 9000.0, 9000.0, 9000.0])
    arrays = {
        "features": np.zeros((5, 1)), "feature_values": np.zeros((5, 1)), "cell_takes": np.tile(n / 10, (2, 1)),
        "cell_mean": np.tile([0.1, 0.0, 0.2, 0.1, 0.0], (2, 1)), "cell_n": np.tile(n, (2, 1)),
        "cell_sd": np.full((2, 5), 0.1),
    }  # fmt: skip
    shelves = place(build_slate(artworks, [a for a, *_ in artworks], arrays), LEVELS, placement, DAY)
    asked = {"least": 0.01, "cold": 0.5, "half": 1000.0, "budget": 1.0} | options
    return shelves, *floor_within(shelves, 0, EpsilonGreedy(0.05), **asked)


def test_cold_titles_are_explored_more_and_warm_up():
    shelves, floor, spent, _ = assigned()
    assert floor.cold == {"New": 0.5, "Old": 0.05}
    found = shelves.probabilities(EpsilonGreedy(0.05), 0, floor)
    np.testing.assert_allclose(found[:2], [0.5 * 0.975 + 0.25, 0.5 * 0.025 + 0.25])
    assert found[2:].min() >= 0.01
    aside = np.array([1 - found[0], 1 - found[2]])
    assert spent == pytest.approx(np.average(aside, weights=[max(500, 13750), 27000]))
    tight = assigned(budget=0.06)
    assert tight[2] <= 0.06 < spent and 0 < tight[1].cold["New"] < 0.5
    assert cold_shares(np.array([0.0, 1e12]), 0.3, 100)[1] < 1e-9


def test_what_exploration_costs_in_reward():
    """By hand: rates of an average artwork, what artworks bring beside it, and what is drawn instead of the best."""
    shelves, floor, _, spent = assigned()
    found = shelves.probabilities(EpsilonGreedy(0.05), 0, floor)
    n, takes, worth = np.array([500.0, 27000.0]), np.array([50.0, 2700.0]), np.exp([0.1, 0, 0.2, 0.1, 0])
    title = np.array([0, 0, 1, 1, 1])
    rate = (takes + 1) / (n + n.sum() / takes.sum())
    average = np.bincount(title, worth) / [2, 3]
    best = rate * worth[[0, 2]] / average
    brought = rate * np.bincount(title, found * worth) / average
    weight = np.maximum(n, n.mean())
    assert spent == pytest.approx(1 - weight @ brought / (weight @ best))
    tight = assigned(reward_budget=0.008)
    assert tight[3] <= 0.008 < spent and 0 < tight[1].cold["New"] < 0.5
    assert assigned(budget=0.06, reward_budget=1.0)[1] == assigned(budget=0.06)[1]
    decisions, reward = spendings(shelves, 0, Best())
    assert decisions.spent(np.zeros(2)) == reward.spent(np.zeros(2)) == pytest.approx(0, abs=1e-12)
    assert 0 < reward.spent(np.ones(2)) < decisions.spent(np.ones(2)), (
        "what is drawn instead of the best brings something"
    )
    with pytest.raises(ConfigError, match="reward_budget"):
        assigned(reward_budget=0.001)


def test_a_title_that_may_not_be_shown_spends_nothing():
    rules = tuple(Rule("New", f"new{a}", "ban") for a in range(2))
    _, _, spent, lost = assigned(Placement(rules), cold=0.0)
    shelves, floor, _, _ = assigned(cold=0.0)
    old = shelves.probabilities(EpsilonGreedy(0.05), 0, floor)[2:]
    assert 0 < spent < 1 - old[0] and 0 < lost < spent


def test_resolver_and_written_rows_agree_where_artworks_may_not_be_shown():
    placement = Placement((Rule("Old", "old2", "ban", ("SE",)),))
    shelves, floor, *_ = assigned(placement)
    policy = Policy("p", EpsilonGreedy(0.05), "salt", 0.0, "t", DAY, {"SE": "nordics"}, (), floor)
    assert Policy.parse("p", policy.spec(), "salt") == policy
    slate, rows = shelves.slate, []
    for cell, (level, name) in enumerate(LEVELS.cells):
        drawn, default = shelves.probabilities(policy.exploration, cell, floor), shelves.defaults(cell)
        rows += [
            {
                "policy_id": "p", "level": level, "cell": name, "context": "*", "reason": "", "sd": 0.1,
                "title_id": str(slate.title_ids[slate.title_index[a]]), "artwork_id": str(slate.artwork_ids[a]),
                "mean": float(shelves.means[cell, a]), "is_default": bool(default[a]), "probability": drawn[a],
            }
            for a in range(5)
        ]  # fmt: skip
    resolver = ArtworkResolver.of(policy, rows, placement=placement)
    for region, cell in (("SE", "SE"), ("BR", "*")):
        for title in ("New", "Old"):
            found = resolver.resolve("u", title, region, epoch=DAY)
            stored = {r["artwork_id"]: r["probability"] for r in rows if (r["cell"], r["title_id"]) == (cell, title)}
            for artwork, probability in zip(found.candidate_set, found.probabilities, strict=True):
                assert probability == pytest.approx(stored[artwork], rel=1e-12)
    # Draws follow the propensities, for a member's own artwork too.
    own = ArtworkResolver.of(policy, rows, placement=placement, overrides=lambda user: {"New": Override("new1", 0.1)})
    for resolver_, expected in ((resolver, "global"), (own, "user")):
        days = [DAY + timedelta(days=i) for i in range(3000)]
        served = Counter(resolver_.resolve("u", "New", "BR", epoch=day).artwork_id for day in days)
        found = resolver_.resolve("u", "New", "BR", epoch=DAY)
        assert found.level == expected
        counts = [served[artwork] for artwork in found.candidate_set]
        assert chisquare(counts, np.array(found.probabilities) * len(days)).pvalue > 1e-4


def test_a_new_artwork_with_good_features_has_a_chance_at_once():
    """Its prior is what its features promise: before anyone has seen it Thompson sampling serves it more often than one
    with bad features, and a floor serves either."""
    rng = np.random.default_rng(3)
    features = np.linspace(-1, 1, 60)[:, None]
    expected = np.full((1, 60), 200.0)
    expected[0, [2, 57]] = 0  # nobody was shown the bad one and the good one
    seen = rng.poisson(expected * np.exp(0.5 * features[:, 0]))
    found = rate_effects(tree_of([-1]), seen.astype(float), expected, features)
    assert found.mean[0, 57] > 0.25 > -0.25 > found.mean[0, 2]
    artworks = [("bad", "T", 1), ("good", "T", 2), ("known", "T", 0)]
    columns = [2, 57, 30]
    arrays = {
        "features": features[columns], "feature_values": features[columns], "cell_mean": found.mean[:, columns],
        "cell_sd": found.sd[:, columns], "cell_n": expected[:, columns], "cell_takes": seen[:, columns],
    }  # fmt: skip
    slate = build_slate(artworks, ["bad", "good", "known"], arrays)
    chance = {}
    for exploration in (Thompson(256, "salt"), Best()):
        noise = exploration.noise(slate.artwork_ids)
        drawn = level_probabilities(exploration, slate.arrays["cell_mean"], slate.arrays["cell_sd"], slate, noise)[0]
        chance[exploration.kind] = dict(zip(slate.artwork_ids, drawn, strict=True))
    assert chance["thompson"]["good"] > 0.5 > 0.1 > chance["thompson"]["bad"]
    assert chance["best"]["good"] == 1
    floored = Floor(0.02).of_titles(drawn[None], np.ones((1, 3), bool), slate.title_index, slate.title_ids)[0]
    assert floored.min() == pytest.approx(0.02) and floored.sum() == pytest.approx(1)


def test_a_titles_share_is_the_same_alone_and_among_others():
    floor, titles = Floor(0.07, {"new": 0.3, "all": 1.0}), ["old", "new", "all"]
    for size in (1, 2, 5, 14, 15, 200):
        among = floor.shares(titles, np.full(3, size)).tolist()
        assert [floor.share(title, size) for title in titles] == among
