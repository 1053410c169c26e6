"""Choices from sums: the strength, the cells, the quality effects and the final arrays."""

import numpy as np
import pytest

from keyart.learning.coordinates import artwork_coordinates
from keyart.learning.fit import (
    cells_of,
    chosen_strength,
    quality_effects,
    response_arrays,
    spread_counts,
    validation_metrics,
)
from keyart.learning.predict import PREDICTORS, user_scores
from keyart.learning.shrinkage import Posterior, Variances
from keyart.seeding import rng

TITLES = np.repeat(np.arange(10), 6)
CELLS = cells_of(["BR", "SE", "unknown"], {"SE": "nordics", "NO": "nordics", "BR": "americas"})


def sums(gain: list[float], squares: list[float]) -> dict[str, np.ndarray]:
    return {
        "rows": np.asarray(100),
        "gain": np.array([1.0, *gain]),
        "gain_squares": np.array([1.0, *squares]),
        "loss": np.arange(len(gain) + 2.0),
        "slope": np.ones((len(gain), 2)),
    }


@pytest.mark.parametrize(
    ("gain", "scores", "expected"),
    [
        ([1.0, 5.0, 3.0], [9.0, 5.0, 4.5], 1),
        ([1.0, 5.0, 3.0], [9.0, 3.0, 9.0], None),  # what predicts best is no more than chance
        ([-4.0, -1.0], [9.0, 9.0], None),  # an effect that does not last
        ([0.0, 0.0], [9.0, 9.0], None),  # no late rows
    ],
)
def test_a_strength_must_predict_later_days_and_be_beyond_chance(gain, scores, expected):
    assert chosen_strength(sums(gain, [1.0] * len(gain)), scores) == expected


def test_metrics_are_per_decision_and_absent_without_late_rows():
    found = validation_metrics(sums([1.0, 5.0], [1.0, 4.0]), (10.0, 20.0))
    assert found["validation_log_loss_member"] == 0.03
    assert found["validation_log_loss_l2_10"] == 0.02
    assert found["validation_member_gain_z"] == 2.5
    assert found["validation_calibration_slope"] == 2
    assert validation_metrics(sums([0.0], [0.0]) | {"rows": np.asarray(0)}, (10.0,)) == {"validation_rows": 0.0}


def test_cells_are_general_before_special_and_know_configured_regions():
    names = [(cell["level"], cell["cell"], cell["parent"]) for cell in CELLS.about]
    assert names == [
        ("global", "*", None),
        ("parent", "americas", "*"),
        ("parent", "nordics", "*"),
        ("parent", "other", "*"),
        ("region", "BR", "americas"),
        ("region", "NO", "nordics"),
        ("region", "SE", "nordics"),
        ("region", "unknown", "other"),
    ]
    assert [names[cell][1] for cell in CELLS.observed] == ["BR", "SE", "unknown"]
    counts = spread_counts(CELLS, np.array([[1.0], [2.0], [4.0]]))[:, 0]
    assert counts.tolist() == [7, 1, 2, 4, 1, 0, 2, 4]


def test_quality_of_clickbait_is_found_and_chance_is_not():
    random = rng(1, "quality")
    x = artwork_coordinates(random.normal(size=(60, 4)), TITLES, 4)
    takes = np.full((3, 60), 40.0)
    truth = np.where(np.arange(60) % 6 == 0, -0.4, 0.08)
    for effect in (truth, np.zeros(60)):
        usual = random.uniform(0.4, 0.7, 10)[TITLES] * np.exp(effect)
        drawn = random.beta(4 * usual, 4 * (1 - usual), size=(40, 3, 60))
        found = quality_effects(CELLS, takes, drawn.sum(axis=0), (drawn**2).sum(axis=0), x, TITLES)
        if effect.any():
            assert np.corrcoef(found.mean[0], truth)[0, 1] > 0.95
            assert found.mean[0][::6].max() < -0.2
        else:
            assert np.abs(found.mean).max() < 0.06


def arrays(active: np.ndarray) -> dict[str, np.ndarray]:
    random = rng(2, "arrays")
    x = artwork_coordinates(random.normal(size=(60, 4)), TITLES, 3)
    some = Variances(np.ones(3), np.ones(3))
    taken, liked = (
        Posterior(
            random.normal(size=(8, 60)),
            np.full((8, 60), 0.3),
            random.normal(size=(8, 3)),
            np.tile(0.04 * np.eye(3), (8, 1, 1)),
            0.0,
            some,
            np.zeros((8, 60)),
        )
        for _ in range(2)
    )
    counts = {"n": np.ones((3, 60)), "takes": np.zeros((3, 60))}
    taste = {"member_mean": np.array([1.0, 2.0]), "member_scale": np.array([0.5, 2.0])}
    weights = random.normal(size=(2, 3))
    return response_arrays(CELLS, x, TITLES, active, taken, liked, weights, 0.1, counts, taste)


def test_scores_are_relative_to_the_titles_average_active_artwork():
    active = np.ones(60, dtype=bool)
    active[[0, 7, *range(54, 60)]] = False  # the last title has none
    found = arrays(active)
    for title in range(10):
        shown = (title == TITLES) & (active | (title == 9))
        np.testing.assert_allclose(found["cell_mean"][:, shown].mean(axis=1), 0, atol=1e-12)
    assert found["cell_sd"][0, 0] == pytest.approx(0.3 * 2**0.5)
    expected = 0.2 * 2**0.5 * np.linalg.norm(found["loadings"], axis=1)  # independent coordinates, two effects
    np.testing.assert_allclose(found["region_weights_sd"], np.tile(expected, (8, 1)))


def test_scores_of_the_average_member_are_the_cells_and_the_served_model_agrees():
    found = arrays(np.ones(60, dtype=bool))
    members = np.array([[1.0, 2.0], [2.0, 2.0]])
    scores = user_scores(found, members, np.array([4, 4]))
    np.testing.assert_allclose(scores[0], found["cell_mean"][4])
    np.testing.assert_allclose(scores[1] - scores[0], 2 * found["features"] @ found["weights"][0])
    served = PREDICTORS["response"](found, np.column_stack([members, [4.0, 4.0]]))
    np.testing.assert_array_equal(served, scores)
