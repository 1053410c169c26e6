"""Slates, the best of each title, level distributions, overrides and their reasons, against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyart.errors import ModelError
from keyart.policy import assignment
from keyart.policy.assignment import best_of_title, build_slate, level_probabilities, overrides, scored_overrides
from keyart.policy.exploration import EpsilonGreedy, Softmax, Thompson
from keyart.policy.reasons import level_reasons, member_reasons

# The model's order is not the slate's: two titles interleaved, one artwork withdrawn, one new.
MODEL_IDS = ["a1", "b1", "a2", "b2", "a3"]
ACTIVE = [("b2", "B", 2), ("b1", "B", 1), ("a1", "A", 2), ("a3", "A", 1), ("new", "B", 3), ("c1", "C", 1)]
FEATURES = ("warmth", "face_share")
MEMBERS = ("factor 1", "genre drama", "genre action")


def model(cells: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(5, 2))
    return {
        "features": values,
        "feature_values": values,
        "loadings": np.eye(2),
        "weights": np.array([[0.0, 0.0], [1.0, 0.0], [0.0, -2.0]]),
        "member_mean": np.array([0.0, 0.2, 0.3]),
        "member_scale": np.array([1.0, 0.1, 0.2]),
        "cell_mean": rng.normal(size=(cells, 5)) * 0.1,
        "cell_sd": np.full((cells, 5), 0.05) + np.arange(5) * 0.01,
        "cell_n": np.arange(cells * 5).reshape(cells, 5) * 100.0,
        "cell_takes": np.arange(cells * 5).reshape(cells, 5) * 3.0,
        "region_weights": rng.normal(size=(cells, 2)),
    }


def test_a_slate_stands_by_title_and_rank():
    arrays = model()
    slate = build_slate(ACTIVE, MODEL_IDS, arrays)
    assert slate.artwork_ids.tolist() == ["a3", "a1", "b1", "b2", "new", "c1"]
    assert slate.title_ids.tolist() == ["A", "B", "C"]
    assert slate.title_index.tolist() == [0, 0, 1, 1, 1, 2]
    assert slate.starts.tolist() == [0, 2, 5]
    assert slate.sizes.tolist() == [2, 3, 1]
    assert slate.known.tolist() == [True, True, True, True, False, False]
    np.testing.assert_array_equal(slate.arrays["cell_mean"][:, :4], arrays["cell_mean"][:, [4, 0, 1, 3]])
    np.testing.assert_array_equal(slate.arrays["features"][:4], arrays["features"][[4, 0, 1, 3]])


def test_new_artworks_count_as_their_titles_average_with_the_widest_doubt():
    slate = build_slate(ACTIVE, MODEL_IDS, model())
    for name in ("cell_mean", "cell_n", "cell_takes"):
        assert (slate.arrays[name][:, 4:] == 0).all()
    assert (slate.arrays["features"][4:] == 0).all()
    np.testing.assert_allclose(slate.arrays["cell_sd"][:, 4:], 0.09)


def test_nothing_active_is_an_error():
    with pytest.raises(ModelError, match="select-artwork"):
        build_slate([], MODEL_IDS, model())


@settings(max_examples=50, deadline=None)  # compiles once
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    members=st.integers(1, 8),
    minimum=st.floats(0, 2),
    seed=st.integers(0, 999),
)
def test_overrides_against_a_loop(sizes, members, minimum, seed):
    rng = np.random.default_rng(seed)
    ids = [(f"{t}-{a}", f"title {t}", a) for t, size in enumerate(sizes) for a in range(size)]
    slate = build_slate(
        ids, [], {**model(), **{k: v[:0] for k, v in model().items() if k.startswith("feature")}, **empty()}
    )
    scores = np.round(rng.normal(size=(members, len(ids))), 1)  # rounded: there are ties
    defaults = np.stack(
        [rng.integers(start, start + size, members) for start, size in zip(slate.starts, sizes, strict=True)], 1
    )
    expected = []
    for m in range(members):
        for t, (start, size) in enumerate(zip(slate.starts, sizes, strict=True)):
            best = max(range(start, start + size), key=lambda a, m=m: (scores[m, a], -a))
            assert best_of_title(scores, slate)[m, t] == best
            gain = scores[m, best] - scores[m, defaults[m, t]]
            if best != defaults[m, t] and gain >= minimum:
                expected.append((m, t, best, defaults[m, t], gain))
    found = overrides(scores, defaults, slate, minimum)
    assert [*zip(found.member, found.title, found.artwork, found.default, found.gain, strict=True)] == expected


@pytest.mark.parametrize("held", [1, 1_000_000])
def test_scores_that_are_never_held_give_the_same_overrides(monkeypatch, held):
    monkeypatch.setattr(assignment, "HELD", held)
    slate, rng = build_slate(ACTIVE, MODEL_IDS, model()), np.random.default_rng(3)
    taste, cells, level = rng.normal(size=(200, 2)), rng.integers(0, 2, 200), slate.arrays["cell_mean"]
    defaults = best_of_title(level, slate)
    found = scored_overrides(taste, cells, level, defaults, slate, 0.1)
    whole = overrides(level[cells] + taste @ slate.arrays["features"].T, defaults[cells], slate, 0.1)
    for name in ("member", "title", "artwork", "default"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    np.testing.assert_allclose(found.gain, whole.gain, rtol=1e-4)
    assert len(found.gain) > 50
    assert not len(scored_overrides(taste[:0], cells[:0], level, defaults, slate, 0.1).gain)


def empty() -> dict[str, np.ndarray]:
    """Cell arrays of a model that knows one artwork nobody asks for."""
    one = {name: np.zeros((2, 1)) for name in ("cell_mean", "cell_n", "cell_takes", "cell_sd")}
    return {**one, "features": np.zeros((1, 2)), "feature_values": np.zeros((1, 2))}


@pytest.mark.parametrize("policy", [EpsilonGreedy(0.3), Softmax(0.4), Thompson(8, "salt")], ids=lambda p: p.kind)
def test_level_probabilities_are_each_titles_own(policy):
    slate = build_slate(ACTIVE, MODEL_IDS, model())
    scores, sds, noise = slate.arrays["cell_mean"], slate.arrays["cell_sd"], policy.noise(slate.artwork_ids)
    found = level_probabilities(policy, scores, sds, slate, noise)
    for cell in range(2):
        for start, size in zip(slate.starts, slate.sizes, strict=True):
            part = slice(start, start + size)
            alone = policy.propensities(scores[cell, part], sds[cell, part], noise[part])
            np.testing.assert_allclose(found[cell, part], alone)
    np.testing.assert_array_equal(found[:, 5], 1.0)  # the only artwork of its title


def test_a_members_reason_names_feature_and_taste():
    slate = build_slate([("a1", "A", 1), ("a2", "A", 2)], ["a1", "a2"], two(np.array([[0.0, 0.0], [1.0, 0.1]])))
    # Drama watcher: +1 standard deviation x weight 1 on warmth; a2 is warmer.
    members = np.array([[0.0, 0.3, 0.3]])
    found = overrides(np.array([[0.0, 1.0]]), np.array([[0]]), slate, 0.02)
    texts, which = member_reasons(slate.arrays, members, found, FEATURES, MEMBERS)
    assert [texts[i] for i in which] == ["more warmth; watches more drama than most"]
    # Watches little action, whose watchers dislike faces: weight -2 x -1 sd on face_share.
    members = np.array([[0.0, 0.2, 0.1]])
    slate = build_slate([("a1", "A", 1), ("a2", "A", 2)], ["a1", "a2"], two(np.array([[0.0, 0.0], [0.1, 1.0]])))
    texts, which = member_reasons(slate.arrays, members, found, FEATURES, MEMBERS)
    assert [texts[i] for i in which] == ["more face share; watches less action than most"]


def two(values: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {k: v[:, :2] if k.startswith("cell") else v for k, v in model().items()}
    return {**arrays, "features": values, "feature_values": values}


def test_a_levels_reason_names_a_feature_or_the_record():
    values = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    arrays = {
        "feature_values": values,
        "region_weights": np.array([[0.2, 0.0]]),
        "cell_mean": np.array([[0.2, -0.2, 0.5]]),
        "cell_n": np.array([[10.0, 10.0, 4000.0]]),
        "cell_takes": np.array([[1.0, 1.0, 120.0]]),
    }
    assert level_reasons(arrays, 0, np.array([True, True, True]), FEATURES, np.arange(3)) == [
        "gains by more warmth",
        "loses by less warmth",
        "gains by its own record here: 120 takes of 4000",
    ]
    assert level_reasons(arrays, 0, np.array([False, True, True]), FEATURES, np.array([0]))[0].startswith("new")
