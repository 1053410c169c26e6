"""The most specific level answers and says so; limits come first; what is logged can be recomputed."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import product

import numpy as np
import pytest
from scipy.stats import chisquare

from keyart.errors import ConfigError, LimitError, ModelError, TableError
from keyart.policy.choices import DEFAULTS, GreedyChoices, level_choices, of_segments, segment_choices, user_choices
from keyart.policy.contexts import ONLINE
from keyart.policy.exploration import EpsilonGreedy, Softmax, draw, hashed_uniforms
from keyart.policy.levels import Levels, segment_cell
from keyart.policy.remembering import RememberingResolver
from keyart.policy.resolve import ArtworkResolver, Override, OwnChoices
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


NARROWED = {  # taste-1 has a shelf beside SE's and the world's, taste-2 beside the nordics'
    ("segment", "SE/taste-1", "A"): {"a1": 0.2, "a2": 0.4, "a3": 0.1},
    ("segment", "nordics/*/taste-2", "A"): {"a1": 0.5, "a2": 0.1, "a3": 0.0},
    ("segment", "*/taste-1", "A"): {"a1": 0.3, "a2": 0.0, "a3": 0.1},
}


def narrowed():
    """Rows with the segments'."""
    for (level, cell, title), means in NARROWED.items():
        top = max(means.values())
        for artwork, mean in means.items():
            yield {
                "policy_id": "p", "level": level, "cell": cell, "context": "*", "title_id": title,
                "artwork_id": artwork, "mean": mean, "sd": SD, "is_default": mean == top, "reason": f"{cell} likes it",
            }  # fmt: skip
    yield from rows()


@pytest.mark.parametrize("kind", [ArtworkResolver, RememberingResolver])
@pytest.mark.parametrize(
    ("region", "segment", "level", "cell", "best"),
    [
        ("SE", "taste-1", "segment", "SE/taste-1", "a2"),
        ("SE", "taste-2", "region", "SE", "a1"),  # the nordics' shelf is not Sweden's
        ("NO", "taste-2", "segment", "nordics/*/taste-2", "a1"),
        ("NO", "taste-1", "parent", "nordics", "a2"),
        ("JP", "taste-1", "segment", "*/taste-1", "a1"),
        ("SE", "unheard-of", "region", "SE", "a1"),
        ("SE", "", "region", "SE", "a1"),
    ],
)
def test_a_segment_narrows_the_cell_that_would_answer(kind, region, segment, level, cell, best):
    own = kind.of(POLICY, narrowed(), overrides=lambda user: OwnChoices({}, segment))
    for _ in range(2):  # remembered, too
        found = own.resolve("u", "A", region, epoch=DAY)
        assert (found.level, found.cell) == (level, cell)
        assert found.candidate_set[int(np.argmax(found.probabilities))] == best
        assert own.resolve("u", "A", region, epoch=DAY, kids=True).level == level.replace("segment", own._find(
            "A", region, "*", "")[0])  # fmt: skip
    own = kind.of(POLICY, narrowed(), overrides=lambda user: OwnChoices({"A": Override("a3", 0.05)}, segment))
    assert own.resolve("u", "A", region, epoch=DAY).level == "user"
    greedy = GreedyChoices.of(
        [tuple(r[name] for name in DEFAULTS) for r in narrowed() if r["is_default"]],
        POLICY.parents,
        [],
    )
    shown = segment_choices(greedy, [region], [segment])[0]
    assert greedy.artwork_ids[shown[0]] == best and greedy.artwork_ids[shown[1]] == "b1"


def test_a_segment_without_a_shelf_of_its_own_shares_what_is_remembered():
    one = RememberingResolver.of(POLICY, narrowed())
    for region, title in (("NO", "A"), ("JP", "A"), ("?", "B")):
        plain = one.offer(title, region, epoch=DAY)
        other = one.offer(title, region, epoch=DAY, segment="taste-9")
        assert other is plain
        own = Override("a1", 0.5, "likes it")
        assert one.offer(title, region, own=own, epoch=DAY) == one.offer(
            title, region, own=own, epoch=DAY, segment="taste-9"
        )
    with pytest.raises(TableError):
        one.offer("C", "SE", epoch=DAY, segment="taste-9")


def test_contexts_without_a_shelf_share_what_is_remembered_and_made_up_ones_take_no_room():
    special = [{**row, "context": "tv|evening"} for row in rows() if (row["level"], row["cell"]) == ("region", "SE")]
    special = [{**row, "mean": -row["mean"], "is_default": row["artwork_id"] == "a3"} for row in special]
    one, plain = RememberingResolver.of(POLICY, [*rows(), *special]), ArtworkResolver.of(POLICY, [*rows(), *special])
    for title, region, context in product("AB", ("SE", "NO", "?"), ("*", "tv|evening", "phone|night")):
        for _ in range(2):
            assert one.offer(title, region, context, epoch=DAY) == plain.offer(title, region, context, epoch=DAY)
    assert one.offer("A", "NO", "tv|evening", epoch=DAY) is one.offer("A", "NO", epoch=DAY)
    assert one.offer("A", "SE", "tv|evening", epoch=DAY) != one.offer("A", "SE", epoch=DAY)
    known = one._plain.cache_info().currsize
    for number in range(50):
        assert one.offer("A", "SE", f"made up {number}", epoch=DAY) is one.offer("A", "SE", epoch=DAY)
    assert one._plain.cache_info().currsize == known


def test_an_override_stands_above_the_segments_best():
    own = ArtworkResolver.of(
        replace(POLICY, exploration=Softmax(1.0)), narrowed(),
        overrides=lambda user: OwnChoices({"A": Override("a3", 0.5)}, "taste-1"),
    )  # fmt: skip
    expected = np.exp([0.2, 0.4, 0.9])
    np.testing.assert_allclose(own.resolve("u", "A", "SE", epoch=DAY).probabilities, expected / expected.sum())


def test_what_a_stream_moved_is_narrowed_by_what_it_moved_only():
    turned = {"a1": -0.3, "a2": -0.1, "a3": 0.1}
    moved = [
        {**row, "context": ONLINE, "mean": turned[row["artwork_id"]], "is_default": row["artwork_id"] == "a3"}
        for row in rows()
        if row["cell"] == "SE"
    ]
    lookup = {"overrides": lambda user: OwnChoices({}, "taste-1")}
    plain = ArtworkResolver.of(POLICY, [*rows(), *moved]).resolve("u", "A", "SE", epoch=DAY)
    assert plain.candidate_set[int(np.argmax(plain.probabilities))] == "a3", "it answers also where no context is named"
    own = ArtworkResolver.of(POLICY, [*narrowed(), *moved], **lookup)
    assert own.resolve("u", "A", "SE", epoch=DAY).level == "region"  # its segment's shelf is of before
    both = [{**row, "context": ONLINE} for row in narrowed() if row["cell"] == "SE/taste-1"]
    own = ArtworkResolver.of(POLICY, [*narrowed(), *moved, *both], **lookup)
    assert own.resolve("u", "A", "SE", epoch=DAY).level == "segment"


def test_withdrawn_artworks_are_not_a_segments_either():
    own = ArtworkResolver.of(POLICY, narrowed(), overrides=lambda user: OwnChoices({}, "taste-1"), inactive={"a2"})
    found = own.resolve("u", "A", "SE", epoch=DAY)
    assert found.level == "segment" and found.candidate_set == ("a1", "a3") and sum(found.probabilities) == 1
    assert found.probabilities[0] > found.probabilities[1]


def test_members_of_segments_are_looked_up_by_pairs():
    greedy = GreedyChoices.of(
        [tuple(r[name] for name in DEFAULTS) for r in narrowed() if r["is_default"]],
        POLICY.parents,
        [],
    )
    region, segment = np.array([0, 1, 0, 0, 1]), np.array([0, 0, 1, -1, 0])
    shown, row = of_segments(greedy, (region, ["SE", None]), (segment, ["taste-1", None]))
    assert len(shown) == 3 + (len(np.unique(np.stack([region, segment]), axis=1).T) - 3)
    assert [greedy.artwork_ids[shown[r][0]] for r in row] == ["a2", "a1", "a1", "a1", "a1"]


def test_names_of_cells_tell_a_parent_from_a_region_of_its_name():
    cells = {segment_cell(*cell, "taste-1") for cell in (("region", "other"), ("parent", "other"), ("global", "*"))}
    assert len(cells) == 3


def test_a_policy_says_its_segments_and_older_ones_have_none():
    among = {"taste-1": "watches more drama than most", "taste-2": "likes more warmth"}
    policy = replace(POLICY, segments=among)
    assert Policy.parse("p", policy.spec(), "salt") == policy
    assert '["user", "segment", "region", "parent", "global"]' in policy.spec()
    assert "segment" not in POLICY.spec() and Policy.parse("p", POLICY.spec(), "salt").segments == {}
    with pytest.raises(ConfigError, match="segments have a description each"):
        replace(POLICY, segments={"taste-1": 3})
    with pytest.raises(ConfigError, match="segments have a description each"):
        Policy.parse("p", policy.spec().replace('"likes more warmth"', "[]"), "salt")


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
    defaults = [tuple(r[name] for name in DEFAULTS) for r in rows() if r["is_default"]]
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
