"""Blocks of engagement: who trains, what a member's vector is, and what unknown members get."""

import numpy as np
import pytest

from keyart.errors import ModelError
from keyart.learning.als import Ridge, TitleSums
from keyart.learning.blocks import add, pack, unpack
from keyart.learning.members import genre_mix, member_names, member_vectors, title_genres
from keyart.learning.taste import TasteModel, add_half, fold_in, misfit, moments, population, trained_on

GENRES = title_genres([["drama"], ["drama", "comedy"], ["comedy"]], ["comedy", "drama"])


def block() -> dict[str, np.ndarray]:
    """Four members: 0 watched two titles early, 1 one only late, 2 is held out, 3 was only seen."""
    nan = np.nan
    return {
        "user_key": np.array([b"a", b"b", b"c", b"d"]),
        "user_bucket": np.array([9, 9, 0, 9], dtype=np.uint8),
        "member": np.array([0, 0, 1, 2]),
        "title": np.array([0, 1, 2, 2]),
        "early": np.array([1.0, 0.5, nan, 1.0], dtype=np.float32),
        "late": np.array([1.0, 0.5, 1.0, 1.0], dtype=np.float32),
        "searched_early": np.zeros((4, 2)),
        "searched_late": np.array([[0, 0], [0, 0], [0, 0], [4.0, 0]]),
        "mark": np.array([2**63], dtype=np.uint64),
    }


def model(mean: float = 0.0) -> TasteModel:
    titles = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    shares, engagements = np.array([0.5, 0.5]), np.array([1, 1, 0])
    return TasteModel(titles, GENRES, shares, np.full(4, mean), Ridge(0.5), engagements, 10.0, 0.25, 2.0, held_out=1)


def test_only_early_engagement_of_members_not_held_out_trains():
    assert trained_on(block(), 3, held_out=1).toarray().tolist() == [[1.0, 0.5, 0.0], [0] * 3, [0] * 3, [0] * 3]
    assert trained_on(block(), 3, held_out=0).toarray()[2].tolist() == [0, 0, 1]
    found = population(block(), GENRES, held_out=1)
    assert found["members"] == 1
    assert found["engagements"].tolist() == [1, 1, 0]
    np.testing.assert_allclose(found["genres"], [0.25, 1.25])


def test_half_adds_only_training_members():
    sums = TitleSums.zero(3, 2)
    add_half(sums, block(), model(), slice(0, 3))
    assert not sums.right[2].any()
    folded = fold_in(block(), model(), "early").factors[0]
    np.testing.assert_allclose(sums.gram, np.outer(folded, folded), rtol=1e-5)
    assert sums.value == pytest.approx(float(misfit(block(), model())["value"]))


def test_titles_without_a_factor_count_in_history_and_genres_only():
    """Title 2 is new: member c, who watched nothing else, stands at the mean but likes comedies."""
    fresh = model(mean=0.125)
    fresh = fresh.with_titles(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]]))
    late = fold_in(block(), fresh, "late")
    np.testing.assert_array_equal(late.factors[[1, 2]], 0.125)
    assert late.history.tolist() == [2, 1, 1, 0]
    assert late.mix[2, 0] > 0.5 > late.mix[0, 0]
    assert late.factors[0].all()


def test_vectors_as_of_two_days_differ_only_by_what_happened_between():
    early, late = fold_in(block(), model(), "early"), fold_in(block(), model(), "late")
    assert early.history.tolist() == [2, 0, 1, 0]
    assert late.history.tolist() == [2, 1, 1, 0]
    np.testing.assert_array_equal(early.factors[[0, 2]], late.factors[[0, 2]])
    assert late.factors[1, 1] > 0.5 > late.factors[1, 0]


def test_unknown_members_stand_at_the_mean_and_a_search_moves_their_genres_only():
    late = fold_in(block(), model(mean=0.125), "late")
    np.testing.assert_array_equal(late.factors[3], 0.125)
    np.testing.assert_allclose(late.mix[3], [(4 * 0.25 + 1) / 3, 1 / 3])
    early = fold_in(block(), model(mean=0.125), "early")
    np.testing.assert_array_equal(early.mix[3], 0.125)


def test_moments_are_those_of_training_members():
    found, folded = moments(block(), model()), fold_in(block(), model(), "early")
    assert found["n"] == 1
    np.testing.assert_allclose(found["sum"], np.concatenate([folded.factors[0], folded.mix[0]]))


def test_genre_mix_sums_to_one_and_leans_on_the_population():
    prior = np.array([0.8, 0.2])
    found = genre_mix(np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 1e6]]), prior, strength=2.0)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[0], prior)
    np.testing.assert_allclose(found[1], [1.6 / 3, 1.4 / 3])
    assert found[2, 1] > 0.999


def test_vectors_have_a_name_for_each_component():
    z = member_vectors(np.ones((3, 2)), np.ones((3, 2)), np.ones(3))
    assert z.shape[1] == len(member_names(2, ["comedy", "drama"]))
    with pytest.raises(ModelError, match="do not go together"):
        member_vectors(np.ones((3, 2)), np.ones((2, 2)), np.ones(3))


def test_packing_keeps_types_shapes_and_values():
    arrays = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.array([b"x", b"long"]), "c": np.asarray(2.5)}
    for name, array in unpack(pack(arrays)).items():
        assert (array.dtype, array.shape) == (arrays[name].dtype, arrays[name].shape)
        np.testing.assert_array_equal(array, arrays[name])


def test_sums_add_by_name_and_counters_wrap():
    top = {"mark": np.array([2**64 - 1], dtype=np.uint64), "n": np.asarray(2)}
    total = add(add(None, top), {"mark": np.array([3], dtype=np.uint64), "n": np.asarray(3)})
    assert (int(total["mark"][0]), int(total["n"])) == (2, 5)
