"""Artwork coordinates: centred within title, unit size, exact in the named features."""

import numpy as np
import pytest

from keyart.learning.coordinates import artwork_coordinates, centred_within
from keyart.seeding import rng

TITLES = np.repeat(np.arange(6), 5)


def vectors() -> np.ndarray:
    random = rng(1, "coordinates")
    found = random.normal(size=(30, 7)) + 10 * random.normal(size=(6, 7))[TITLES]
    found[:, 3] = random.normal(size=6)[TITLES]  # the same for all of a title
    return found


def test_values_are_centred_and_of_unit_variance_where_they_differ():
    found = artwork_coordinates(vectors(), TITLES, 4)
    np.testing.assert_allclose(centred_within(found.values, TITLES), found.values, atol=1e-12)
    spread = np.sqrt(np.mean(found.values**2, axis=0))
    np.testing.assert_allclose(spread, [1, 1, 1, 0, 1, 1, 1], atol=1e-9)


def test_coordinates_are_linear_in_the_values_and_of_unit_length_on_average():
    found = artwork_coordinates(vectors(), TITLES, 4)
    assert found.features.shape == (30, 4)
    np.testing.assert_array_equal(found.features, found.values @ found.loadings)
    assert np.mean(np.sum(found.features**2, axis=1)) == pytest.approx(1)


def test_all_directions_keep_all_differences():
    found = artwork_coordinates(vectors(), TITLES, 64)
    assert found.features.shape[1] == 6
    distances = [np.linalg.norm(a[:, None] - a[None], axis=2) for a in (found.features, found.values)]
    np.testing.assert_allclose(distances[0] / distances[0].max(), distances[1] / distances[1].max(), atol=1e-9)


def test_what_a_title_shares_does_not_count():
    shifted = vectors() + 100 * rng(2, "shift").normal(size=(6, 7))[TITLES]
    a, b = artwork_coordinates(vectors(), TITLES, 3), artwork_coordinates(shifted, TITLES, 3)
    np.testing.assert_allclose(a.features, b.features, atol=1e-8)


def test_artworks_that_do_not_differ_have_no_coordinates():
    found = artwork_coordinates(np.ones((4, 3)), np.array([0, 0, 1, 1]), 2)
    assert not found.features.any()
    assert np.isfinite(found.loadings).all()
