"""ALS against the dense objective of Hu, Koren and Volinsky, written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from keyart.learning import als
from keyart.learning.als import Against, Ridge, TitleSums
from keyart.seeding import rng

HU, MLLIB = Ridge(0.7), Ridge(0.05, scaling=1.0)
ALL = slice(0, 12)


def world(seed: int, members: int = 30, titles: int = 12, share: float = 0.25) -> csr_array:
    random = rng(seed, "als", "test")
    quality = random.random((members, titles)) * (random.random((members, titles)) < 0.8)  # some of no quality: c = 1
    return csr_array(np.where(random.random((members, titles)) < share, 1 + 10 * quality, 0))


def dense_objective(confidence: np.ndarray, members: np.ndarray, titles: np.ndarray, ridge: Ridge) -> float:
    seen = confidence > 0
    c = np.where(seen, confidence, 1.0)
    l2 = ridge.of(seen.sum(axis=1)) @ np.sum(members**2, axis=1) + ridge.of(seen.sum(axis=0)) @ np.sum(
        titles**2, axis=1
    )
    return float(np.sum(c * (seen - members @ titles.T) ** 2) + l2)


def dense_half(confidence: np.ndarray, other: np.ndarray, ridge: Ridge) -> np.ndarray:
    """Factors of the rows in closed form."""
    solved = []
    for row, l2 in zip(confidence, ridge.of((confidence > 0).sum(axis=1)), strict=True):
        c, p = np.where(row > 0, row, 1.0), row > 0
        solved.append(np.linalg.solve(other.T @ (c[:, None] * other) + l2 * np.eye(other.shape[1]), other.T @ (c * p)))
    return np.array(solved)


def sums_of(confidence: csr_array, members: np.ndarray, value: float = 0.0, titles: slice = ALL) -> TitleSums:
    sums = TitleSums.zero(titles.stop - titles.start, members.shape[1])
    sums.add(confidence, members.astype(np.float32), value, titles)
    return sums


def title_l2(confidence: csr_array, ridge: Ridge) -> np.ndarray:
    return ridge.of((confidence.toarray() > 0).sum(axis=0))


@pytest.mark.parametrize("ridge", [HU, MLLIB], ids=["hu", "mllib"])
@pytest.mark.parametrize("titles", [12, 700], ids=["few entries", "many entries"])
def test_member_half_is_the_closed_form_solution(ridge, titles):
    confidence, factors = world(1, titles=titles, share=0.6), als.first_titles(titles, 9, seed=3)
    found, _ = als.member_factors(confidence, Against.titles(factors), ridge)
    np.testing.assert_allclose(found, dense_half(confidence.toarray(), factors, ridge), rtol=1e-3, atol=1e-5)


def test_member_half_holds_where_confidences_are_large():
    """Its system is worse conditioned the larger they are."""
    confidence, factors = world(7, titles=700, share=0.3), als.first_titles(700, 9, seed=3)
    confidence.data = 1 + 200 * (confidence.data - 1)  # up to 2,000
    found, _ = als.member_factors(confidence, Against.titles(factors), HU)
    np.testing.assert_allclose(found, dense_half(confidence.toarray(), factors, HU), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("ridge", [HU, MLLIB], ids=["hu", "mllib"])
def test_title_half_is_the_closed_form_solution_of_the_transposed_world(ridge):
    confidence = world(2, members=900)  # more than a panel a title
    members = rng(4, "members").normal(size=(900, 5))
    found, _ = als.solve_titles(sums_of(confidence, members), np.zeros((12, 5)), title_l2(confidence, ridge))
    np.testing.assert_allclose(found, dense_half(confidence.toarray().T, members, ridge), rtol=1e-3, atol=1e-5)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), ridge=st.sampled_from([HU, MLLIB]), parts=st.sampled_from([1, 3]))
def test_objective_from_sums_is_the_dense_one_and_never_rises(seed, ridge, parts):
    confidence, titles = world(seed), als.first_titles(12, 3, seed)
    dense, last = confidence.toarray(), np.inf
    rows, l2 = 12 // parts, title_l2(confidence, ridge)
    for turn in range(4 * parts):
        part = slice(turn % parts * rows, (turn % parts + 1) * rows)
        members, value = als.member_factors(confidence, Against.titles(titles), ridge)
        standing = l2 * np.sum(titles**2, axis=1)
        after_members = value + standing.sum()
        assert after_members == pytest.approx(dense_objective(dense, members, titles, ridge), rel=1e-5)
        solved, change = als.solve_titles(sums_of(confidence, members, value, part), titles[part], l2[part])
        after_titles = value + change + standing.sum() - standing[part].sum()
        titles = np.concatenate([titles[: part.start], solved, titles[part.stop :]])
        assert after_titles == pytest.approx(dense_objective(dense, members, titles, ridge), rel=1e-5)
        assert last * (1 + 1e-6) >= after_members >= after_titles * (1 - 1e-6)
        last = after_titles


def test_sums_of_two_blocks_are_those_of_one():
    confidence, members = world(5), rng(5, "m").normal(size=(30, 3)).astype(np.float32)
    whole, parts = sums_of(confidence, members, 3.0), TitleSums.zero(12, 3)
    parts.add(confidence[:11], members[:11], 1.0, ALL)
    parts.add(confidence[11:], members[11:], 2.0, ALL)
    for name, value in vars(whole).items():
        np.testing.assert_allclose(vars(parts)[name], value, rtol=1e-5)


def test_who_engaged_with_nothing_and_what_nobody_engaged_with_get_zero():
    confidence = csr_array(np.array([[11.0, 0, 0], [0, 0, 0]]))
    members, _ = als.member_factors(confidence, Against.titles(als.first_titles(3, 2, 1)), HU)
    assert members[0].any() and not members[1].any()
    titles, _ = als.solve_titles(sums_of(confidence, members, titles=slice(0, 3)), np.ones((3, 2)), HU.of(np.zeros(3)))
    assert titles[0].any() and not titles[1:].any()


def test_slices_keep_the_sums_within_the_budget():
    assert als.slices(10_000, 64, megabytes=512) == [slice(0, 10_000)]
    parts = als.slices(10_000, 64, megabytes=50)
    assert max(part.stop - part.start for part in parts) * 8 * 64 * 65 / 2 < 50e6
    assert np.concatenate([np.arange(10_000)[part] for part in parts]).tolist() == list(range(10_000))
    assert len(als.slices(3, 256, megabytes=0.001)) == 3


def test_two_tastes_are_told_apart():
    """Members who watch only even titles score unseen even titles above odd ones."""
    random = rng(6, "tastes")
    likes = (np.arange(60)[:, None] + np.arange(20)) % 2 == 0
    confidence = csr_array(np.where(likes & (random.random((60, 20)) < 0.5), 11.0, 0))
    titles = als.first_titles(20, 2, seed=1)
    for _ in range(8):
        members, _ = als.member_factors(confidence, Against.titles(titles), Ridge(0.1))
        titles, _ = als.solve_titles(
            sums_of(confidence, members, titles=slice(0, 20)), titles, Ridge(0.1).of(np.ones(20))
        )
    scores = als.member_factors(confidence, Against.titles(titles), Ridge(0.1))[0] @ titles.T
    unseen = confidence.toarray() == 0
    assert scores[unseen & likes].min() > scores[unseen & ~likes].max()
