"""ALS against the dense objective of Hu, Koren and Volinsky, written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from keyart.learning import als
from keyart.seeding import rng

L2 = 0.7


def world(seed: int, members: int = 30, titles: int = 12) -> csr_array:
    random = rng(seed, "als", "test")
    confidence = np.where(random.random((members, titles)) < 0.25, 1 + 10 * random.random((members, titles)), 0)
    return csr_array(confidence)


def dense_objective(confidence: np.ndarray, members: np.ndarray, titles: np.ndarray) -> float:
    c, p = np.where(confidence > 0, confidence, 1.0), (confidence > 0).astype(float)
    return float(np.sum(c * (p - members @ titles.T) ** 2) + L2 * (np.sum(members**2) + np.sum(titles**2)))


@pytest.mark.parametrize("chunk", [7, 8192])
def test_member_half_solves_the_normal_equations(monkeypatch, chunk):
    monkeypatch.setattr(als, "CHUNK", chunk)
    confidence, titles = world(1), als.first_titles(12, 4, seed=3)
    found = als.member_factors(confidence, titles, L2)
    dense = confidence.toarray()
    for user, row in enumerate(dense):
        c, p = np.where(row > 0, row, 1.0), row > 0
        normal = titles.T @ np.diag(c) @ titles + L2 * np.eye(4)
        np.testing.assert_allclose(found[user], np.linalg.solve(normal, titles.T @ (c * p)), rtol=1e-9)


@pytest.mark.parametrize("chunk", [7, 8192])
def test_title_half_is_the_member_half_of_the_transposed_world(monkeypatch, chunk):
    monkeypatch.setattr(als, "CHUNK", chunk)
    confidence = world(2)
    members = rng(4, "members").normal(size=(30, 3))
    found = als.solve_titles(als.title_sums(confidence, members), L2)
    np.testing.assert_allclose(found, als.member_factors(confidence.T.tocsr(), members, L2), rtol=1e-9)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_objective_from_sums_is_the_dense_one_and_never_rises(seed):
    confidence, titles = world(seed), als.first_titles(12, 3, seed)
    dense, last = confidence.toarray(), np.inf
    for _ in range(4):
        members = als.member_factors(confidence, titles, L2)
        sums = als.title_sums(confidence, members)
        after_members = als.objective(sums, titles, L2)
        assert after_members == pytest.approx(dense_objective(dense, members, titles), rel=1e-9)
        titles = als.solve_titles(sums, L2)
        after_titles = als.objective(sums, titles, L2)
        assert after_titles == pytest.approx(dense_objective(dense, members, titles), rel=1e-9)
        assert last + 1e-9 >= after_members >= after_titles - 1e-9
        last = after_titles


def test_sums_of_two_blocks_are_those_of_one():
    confidence, members = world(5), rng(5, "m").normal(size=(30, 3))
    whole = als.title_sums(confidence, members)
    parts = [als.title_sums(confidence[rows], members[rows]) for rows in (slice(0, 11), slice(11, 30))]
    for name, value in vars(whole).items():
        np.testing.assert_allclose(sum(getattr(part, name) for part in parts), value)


def test_two_tastes_are_told_apart():
    """Members who watch only even titles score unseen even titles above odd ones."""
    random = rng(6, "tastes")
    likes = (np.arange(60)[:, None] + np.arange(20)) % 2 == 0
    confidence = csr_array(np.where(likes & (random.random((60, 20)) < 0.5), 11.0, 0))
    titles = als.first_titles(20, 2, seed=1)
    for _ in range(8):
        titles = als.solve_titles(als.title_sums(confidence, als.member_factors(confidence, titles, 0.1)), 0.1)
    scores = als.member_factors(confidence, titles, 0.1) @ titles.T
    unseen = confidence.toarray() == 0
    assert scores[unseen & likes].min() > scores[unseen & ~likes].max()
