"""The most specific level answers and says so; limits come first; what is logged can be recomputed."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from scipy.stats import chisquare

from keyart.errors import ConfigError, LimitError, ModelError, TableError
from keyart.policy.choices import GreedyChoices, level_choices, user_choices
from keyart.policy.exploration import EpsilonGreedy, Softmax, draw, hashed_uniforms
from keyart.policy.levels import Levels
from keyart.policy.resolve import ArtworkResolver, Override
from keyart.policy.specification import Policy, content_hash, derived_id

DAY = date(2026, 2, 1)
POLICY = Policy("p", EpsilonGreedy(0.1), "salt", 0.02, "t1", DAY, {"SE": "nordics", "NO": "nordics", "JP": "asia"})
SD = 0.2
MEANS = {
    ("region", "SE", "A"): {"a1": 0.3, "a2": 0.1, "a3": -0.1},
    ("parent", "nordics", "A"): {"a1": 0.0, "a2": 0.2, "a3": -0.1},
    ("global", "*", "A"): {"a1": 0.0, "a2": -0.2, "a3": 0.1},
    ("global", "*", "B"): {"b1": 0.0},
}


def rows(exploration=POLICY.exploration):
    for (level, cell, title), means in MEANS.items():
        ids, scores = list(means), np.array(list(means.values()))
        probabilities = exploration.propensities(scores, np.full(len(ids), SD), exploration.noise(ids))
        for artwork, mean, probability in zip(ids, scores, probabilities, strict=True):
            yield {
                "policy_id": "p",
                "level": level,
                "cell": cell,
                "context": "*",
                "title_id": title,
                "artwork_id": artwork,
                "probability": probability,
                "mean": mean,
                "sd": SD,
                "is_default": bool(mean == scores.max()),
                "reason": f"{level} likes {artwork}",
            }


def resolver(**options):
    return ArtworkResolver.of(POLICY, rows(), **options)


@pytest.mark.parametrize(
    ("region", "level", "cell", "best"),
    [
        ("SE", "region", "SE", "a1"),
        ("NO", "parent", "nordics", "a2"),
        ("JP", "global", "*", "a3"),
        ("?", "global", "*", "a3"),
    ],
)
def test_the_most_specific_level_answers(region, level, cell, best):
    found = resolver().resolve("u", "A", region, epoch=DAY)
    assert (found.level, found.cell) == (level, cell)
    stored = {
        r["artwork_id"]: r["probability"]
        for r in rows()
        if (r["level"], r["cell"], r["title_id"]) == (level, cell, "A")
    }
    assert dict(zip(found.candidate_set, found.probabilities, strict=True)) == pytest.approx(stored)
    assert max(stored, key=stored.__getitem__) == best
    assert found.propensity == pytest.approx(stored[found.artwork_id])


def test_context_cells_win_over_the_general_one():
    special = [
        {**row, "context": "tv|evening", "cell": "SE", "level": "region"} for row in rows() if row["title_id"] == "B"
    ]
    own = ArtworkResolver.of(POLICY, [*rows(), *special])
    assert own.resolve("u", "B", "SE", "tv|evening", epoch=DAY).level == "region"
    assert own.resolve("u", "B", "SE", "phone|night", epoch=DAY).level == "global"


def test_a_members_override_wins_and_is_explored_around():
    own = resolver(overrides=lambda user: {"A": Override("a3", 0.05, "more warmth")})
    days = [DAY + timedelta(days=i) for i in range(4000)]
    served = Counter(own.resolve("u", "A", "SE", epoch=day).artwork_id for day in days)
    found = own.resolve("u", "A", "SE", epoch=DAY)
    assert (found.level, found.candidate_set) == ("user", ("a1", "a2", "a3"))
    np.testing.assert_allclose(found.probabilities, [0.1 / 3, 0.1 / 3, 0.9 + 0.1 / 3])
    counts = [served[artwork] for artwork in found.candidate_set]
    assert chisquare(counts, np.array(found.probabilities) * len(days)).pvalue > 1e-4


def test_an_override_gains_what_it_says_under_softmax():
    policy = Policy("p", Softmax(1.0), "salt", 0.02, "t1", DAY, POLICY.parents)
    found = ArtworkResolver.of(policy, rows(Softmax(1.0)), overrides=lambda user: {"A": Override("a3", 0.5)}).resolve(
        "u", "A", "SE", epoch=DAY
    )
    expected = np.exp([0.3, 0.1, 0.8])
    np.testing.assert_allclose(found.probabilities, expected / expected.sum())


def test_kids_get_their_levels_artwork():
    own = resolver(overrides=lambda user: {"A": Override("a3", 0.05)})
    assert own.resolve("u", "A", "SE", epoch=DAY, kids=True).level == "region"


def test_withdrawn_artworks_are_never_drawn_and_the_rest_adds_up():
    own = resolver(overrides=lambda user: {"A": Override("a3", 0.05)}, inactive={"a3"})
    for i in range(300):
        found = own.resolve(f"u{i}", "A", "SE", epoch=DAY)
        assert found.level == "region"
        assert "a3" not in found.candidate_set
        assert sum(found.probabilities) == pytest.approx(1)
        assert found.artwork_id in found.candidate_set


def test_a_log_can_be_recomputed_from_what_it_holds():
    found = resolver().resolve("u", "A", "SE", epoch=DAY)
    again = int(draw(np.array(found.probabilities), hashed_uniforms("salt", [("u", "A", DAY)])[0]))
    assert found.candidate_set[again] == found.artwork_id


def test_equals_keep_the_default_that_was_written():
    tied = [{**row, "mean": 0.0, "is_default": row["artwork_id"] == "a2"} for row in rows() if row["level"] == "region"]
    found = ArtworkResolver.of(POLICY, tied).resolve("u", "A", "SE", epoch=DAY)
    assert found.candidate_set[int(np.argmax(found.probabilities))] == "a2"


def test_refusals_say_why():
    with pytest.raises(TableError, match="title C"):
        resolver().resolve("u", "C", "SE", epoch=DAY)
    with pytest.raises(LimitError, match="no active"):
        resolver(inactive={"b1"}).resolve("u", "B", "SE", epoch=DAY)
    with pytest.raises(LimitError, match="may not be shown in SE"):
        resolver(titles={"A": (["JP"], [])}).resolve("u", "A", "SE", epoch=DAY)


def test_a_policy_survives_its_row():
    assert Policy.parse("p", POLICY.spec(), "salt") == POLICY
    with pytest.raises(TableError, match="cannot be read"):
        Policy.parse("p", "{}", "salt")
    with pytest.raises(ConfigError, match="policy_id"):
        Policy("a' OR '1'='1", EpsilonGreedy(0.1), "salt", 0.0, "t", DAY)


def test_names_follow_content_not_noise():
    arrays = {"weights": np.array([[0.1, -0.2]])}
    same = {"weights": np.array([[0.1 + 1e-12, -0.2]])}
    other = {"weights": np.array([[0.1 + 1e-3, -0.2]])}
    assert content_hash(arrays, {"v": 1}) == content_hash(same, {"v": 1})
    assert content_hash(arrays, {"v": 1}) != content_hash(other, {"v": 1})
    assert content_hash(arrays, {"v": 1}) != content_hash(arrays, {"v": 2})
    assert derived_id(["a", 1]).startswith("artwork-")
    assert derived_id(["a", 1]) != derived_id(["a", 2])


def test_levels_need_a_global_cell_and_prefer_the_models_word_on_parents():
    with pytest.raises(ModelError, match="global"):
        Levels.of([{"level": "region", "cell": "SE", "parent": None}], {})
    cells = [
        {"level": "global", "cell": "*", "parent": None},
        {"level": "parent", "cell": "north", "parent": None},
        {"level": "region", "cell": "SE", "parent": "north"},
    ]
    levels = Levels.of(cells, {"SE": "nordics"})
    assert levels.chain("SE") == [2, 1, 0]
    assert levels.chain("XX") == levels.chain(None) == [0]


def test_greedy_choices_fall_back_as_resolve_does():
    defaults = [(r["level"], r["cell"], r["title_id"], r["artwork_id"]) for r in rows() if r["is_default"]]
    greedy = GreedyChoices.of(defaults, POLICY.parents, ["a1", "a2", "a3", "b1"])
    regions = ["SE", "NO", "JP", None]
    shown = level_choices(greedy, "region", regions)
    for i, region in enumerate(regions):
        for t, title in enumerate(greedy.title_ids):
            found = resolver().resolve("u", title, region or "unknown", epoch=DAY)
            assert found.candidate_set[int(np.argmax(found.probabilities))] == greedy.artwork_ids[shown[i, t]]
    np.testing.assert_array_equal(level_choices(greedy, "global", ["SE"]), level_choices(greedy, "region", [None]))


def test_overrides_replace_only_their_member_and_title():
    member, title = np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)
    found = user_choices(np.zeros(12, int), member, title, np.array([2, 0]), np.array([1, 3]), np.array([7, 8]))
    assert {(m, t): a for m, t, a in zip(member, title, found, strict=True) if a} == {(2, 1): 7, (0, 3): 8}


@pytest.mark.parametrize("exploration", [EpsilonGreedy(0.3), Softmax(0.3)], ids=lambda one: one.kind)
def test_a_members_draw_is_that_of_arrays(exploration):
    """One number is drawn as many are: what evaluation recomputes by arrays is what was served."""
    own = ArtworkResolver.of(replace(POLICY, exploration=exploration), rows(exploration), inactive={"a2"})
    users, offer = [f"u{i}" for i in range(3000)], own.offer("A", "JP", epoch=DAY)
    numbers = hashed_uniforms(POLICY.salt, [(user, "A", DAY) for user in users])
    served = draw(np.tile(offer.probabilities, (len(users), 1)), numbers)
    assert [offer.drawn(user).artwork_id for user in users] == [offer.artwork_ids[i] for i in served]
    assert len(set(served.tolist())) == 2
