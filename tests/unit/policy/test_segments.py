"""Segments of like taste: found again where they were planted, joined by nearness, and what a level shows to them."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyart.learning.members import standardised
from keyart.learning.predict import user_scores
from keyart.policy.assignment import best_of_title, build_slate, overrides
from keyart.policy.exploration import EpsilonGreedy, Softmax
from keyart.policy.floors import Floor
from keyart.policy.leaning import leaning_shelf, pull_of
from keyart.policy.levels import GLOBAL, Levels
from keyart.policy.placement import EVERYWHERE, Placement, Rule, place
from keyart.policy.segments import NOBODY, Segments, clusters, named, segment_defaults

MODEL_IDS = [f"{title}{i}" for title in "abc" for i in range(4)]
ACTIVE = [(artwork, artwork[0].upper(), int(artwork[1])) for artwork in MODEL_IDS] + [("c9", "C", 9)]  # c9 is new
FEATURES, MEMBERS = ("warmth", "face_share"), ("factor 1", "genre drama", "genre action")
CELLS = (GLOBAL, ("parent", "nordics"), ("region", "SE"))
LEVELS = Levels(CELLS, {"SE": "nordics"})


def model(seed: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(12, 2))
    return {
        "features": values,
        "feature_values": values,
        "loadings": np.eye(2),
        "weights": np.array([[0.0, 0.0], [0.4, 0.0], [0.0, -0.4]]),
        "member_mean": np.array([0.0, 0.5, 0.5]),
        "member_scale": np.array([1.0, 0.1, 0.1]),
        "cell_mean": rng.normal(size=(3, 12)) * 0.2,
        "cell_sd": np.full((3, 12), 0.05),
        "cell_n": np.full((3, 12), 100.0),
        "cell_takes": np.full((3, 12), 3.0),
        "region_weights": rng.normal(size=(3, 2)),
    }


def audience(n: int = 400, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Three crowds, three, two and one parts large: drama, action, neither. The factor is large and says nothing."""
    rng = np.random.default_rng(seed)
    crowd = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    middle = np.array([[0, 0.8, 0.2], [0, 0.2, 0.8], [0, 0.5, 0.5]])
    return middle[crowd] + rng.normal(size=(n, 3)) * [5.0, 0.03, 0.03], crowd


def found(vectors: np.ndarray, arrays: dict[str, np.ndarray], most: int = 3, smallest: int = 1) -> Segments:
    centres, size = clusters(vectors, arrays, most, smallest, seed=7)
    return Segments.of(arrays, *named(arrays, centres, MEMBERS, FEATURES), size / size.sum(), centres)


def test_planted_crowds_are_found_whatever_does_not_matter_for_artworks():
    arrays, (vectors, crowd) = model(), audience()
    segments = found(vectors, arrays)
    joined = segments.joined(standardised(arrays, vectors) @ arrays["weights"], np.ones(len(vectors)))
    np.testing.assert_array_equal(joined, crowd)  # the largest is first
    np.testing.assert_allclose(segments.shares, np.bincount(crowd) / len(crowd))
    assert segments.names == ("taste-1", "taste-2", "taste-3")
    assert segments.descriptions[0] == "watches more drama than most; likes more face share and more warmth"
    assert segments.descriptions[1].startswith("watches more action than most; likes less ")
    for k in range(3):
        np.testing.assert_allclose(segments.centres[k], standardised(arrays, vectors)[crowd == k].mean(axis=0))


def test_the_order_of_members_does_not_matter_and_a_seed_is_a_result():
    arrays, (vectors, _) = model(), audience()
    one, size = clusters(vectors, arrays, 3, 1, seed=7)
    again, same = clusters(vectors, arrays, 3, 1, seed=7)
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(size, same)
    other, sizes = clusters(vectors[::-1], arrays, 3, 1, seed=7)
    np.testing.assert_allclose(one, other, atol=1e-9)
    np.testing.assert_array_equal(size, sizes)


def test_small_clusters_are_dissolved_and_one_is_none():
    arrays, (vectors, crowd) = model(), audience()
    smallest = int(np.bincount(crowd)[2]) + 1
    two = found(vectors, arrays, smallest=smallest)
    assert len(two) == 2 and sum(two.shares) == pytest.approx(1)
    joined = two.joined(standardised(arrays, vectors) @ arrays["weights"], np.ones(len(vectors)))
    assert np.bincount(joined).min() >= smallest
    assert len(found(vectors, arrays, smallest=len(vectors))) == 0
    assert len(found(vectors, arrays, most=1)) == 0
    assert len(found(vectors[:0], arrays)) == 0
    assert len(found(np.repeat(vectors[:1], 50, axis=0), arrays)) == 0, "all alike"
    nothing = {**arrays, "weights": np.zeros((3, 2))}
    assert len(found(vectors, nothing)) == 0, "vectors that say nothing of artworks"


def test_fewer_members_than_clusters_are_each_their_own():
    arrays, (vectors, _) = model(), audience(4)
    assert 2 <= len(found(vectors, arrays, most=8)) <= 4


def test_members_join_the_nearest_and_those_of_whom_nothing_is_known_none():
    arrays, (vectors, _) = model(), audience()
    segments = found(vectors, arrays)
    taste = standardised(arrays, vectors) @ arrays["weights"]
    spread = arrays["features"].std(axis=0)
    gap = (((taste[:, None] - segments.tastes) * spread) ** 2).sum(axis=2)
    history = np.arange(len(vectors)) % 3
    np.testing.assert_array_equal(segments.joined(taste, history), np.where(history > 0, gap.argmin(axis=1), -1))
    assert (NOBODY.joined(taste, history) == -1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.3))
def test_a_segments_default_is_what_its_members_gain_by_on_average(seed, minimum):
    arrays, (vectors, _) = model(seed), audience(60, seed)
    slate = build_slate(ACTIVE, MODEL_IDS, arrays)
    segments = found(vectors, arrays)
    shown = segment_defaults(slate, segments, minimum)
    assert shown.shape == (3, 1 + len(segments), 3)
    np.testing.assert_array_equal(shown[:, 0], best_of_title(slate.arrays["cell_mean"], slate))
    joined = segments.joined(standardised(arrays, vectors) @ arrays["weights"], np.ones(len(vectors)))
    for c in range(3):
        scores = user_scores(slate.arrays, vectors, np.full(len(vectors), c))
        for k in range(len(segments)):
            if not (joined == k).any():
                continue
            mean = scores[joined == k].mean(axis=0)
            # The centre is that of the members it was found among, who have all joined it: k-means came to rest.
            np.testing.assert_allclose(
                mean, slate.arrays["cell_mean"][c] + pull_of(segments.tastes[k], slate), atol=1e-9
            )
            for t, usual in enumerate(shown[c, 0]):
                here = np.flatnonzero(slate.title_index == t)
                best = here[mean[here].argmax()]
                leaves = mean[best] - mean[usual] >= minimum and best != usual
                assert shown[c, 1 + k, t] == (best if leaves else usual)


def test_members_need_fewer_artworks_of_their_own_beside_their_segments_default():
    arrays, (vectors, _) = model(), audience()
    slate = build_slate(ACTIVE, MODEL_IDS, arrays)
    segments = found(vectors, arrays)
    shown = segment_defaults(slate, segments, 0.02)
    joined = segments.joined(standardised(arrays, vectors) @ arrays["weights"], np.ones(len(vectors)))
    scores = user_scores(slate.arrays, vectors, np.zeros(len(vectors), dtype=int))
    alone = overrides(scores, shown[np.zeros(len(vectors), int), 0], slate, 0.02)
    beside = overrides(scores, shown[0, 1 + joined], slate, 0.02)
    assert len(beside.member) < 0.5 * len(alone.member)


def shelves(placement: Placement = EVERYWHERE):
    return place(build_slate(ACTIVE, MODEL_IDS, model()), LEVELS, placement, date(2026, 3, 1))


@pytest.mark.parametrize("exploration", [EpsilonGreedy(0.1), Softmax(0.3)], ids=lambda e: e.kind)
def test_a_segments_shelf_is_a_distribution_of_its_own_scores_under_the_same_floor(exploration):
    arrays, (vectors, _) = model(), audience()
    segments, all_of = found(vectors, arrays), shelves()
    seen = 0
    for c in range(3):
        for k in range(len(segments)):
            own, differs = leaning_shelf(all_of, [segments.tastes[k]], c, 0.02)
            scores = all_of.means[c] + segments.tastes[k] @ all_of.slate.arrays["features"].T
            np.testing.assert_allclose(own.means[0], scores)
            floor = Floor(0.03)
            drawn = own.probabilities(exploration, 0, floor)
            usual = segment_defaults(all_of.slate, segments, 0.02)[c]
            for t in range(3):
                here = np.flatnonzero(all_of.slate.title_index == t)
                share = 0.03 * len(here)
                expected = (1 - share) * exploration.propensities(scores[here]) + share / len(here)
                np.testing.assert_allclose(drawn[here], expected)
                assert differs[here].all() == differs[here].any() == (usual[1 + k, t] != usual[0, t])
                if differs[here].any():
                    seen += 1
                    assert own.defaults(0)[usual[1 + k, t]] and own.defaults(0)[here].sum() == 1
    assert seen > 5


def test_what_may_not_be_shown_in_a_cell_is_no_segments_default_there():
    arrays, (vectors, _) = model(), audience()
    segments, free = found(vectors, arrays), shelves()
    best = int(segment_defaults(free.slate, segments, 0.0)[2, 1, 0])
    banned = str(free.slate.artwork_ids[best])
    held = shelves(Placement((Rule("A", banned, "ban", ("SE",)),)))
    shown = segment_defaults(held.slate, segments, 0.0)
    assert best not in shown[2] and best in segment_defaults(held.slate, segments, 0.0)[:2]
    own, _ = leaning_shelf(held, [segments.tastes[0]], 2, 0.0)
    drawn = own.probabilities(EpsilonGreedy(0.1), 0)
    assert drawn[best] == 0 and drawn[held.slate.title_index == 0].sum() == pytest.approx(1)
    assert not own.possible[0, best] and not own.defaults(0)[best]
