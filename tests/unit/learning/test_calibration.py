"""Calibration on simulated decisions whose true chances are known: slopes, reliability and uplift by tenths."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from keyart.learning.blocks import total_of
from keyart.learning.calibration import Calibration, Judged, calibration
from keyart.learning.offset import Offset
from keyart.learning.response import Base
from keyart.seeding import rng

REGIONS = ("BR", "SE")
SHARES = np.array([[0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]])


def world(seed: int, count: int = 60_000, members: int = 3000) -> tuple[dict[str, np.ndarray], Judged]:
    """Two titles of four artworks, logged by two distributions; ``Judged`` is the truth itself."""
    random = rng(seed, "calibration")
    z, features = random.normal(size=(members, 2)), random.normal(size=(8, 2))
    effects, weights = 0.4 * random.normal(size=(2, 8)), np.array([[0.5, 0.0], [0.0, -0.4]])
    member, title = np.sort(random.integers(0, members, count)), random.integers(0, 2, count)
    region, bold = (np.arange(members) % 2)[member], random.integers(0, 2, count)
    artwork = (random.random(count)[:, None] > np.cumsum(SHARES[bold], axis=1)).sum(axis=1) + 4 * title
    personal, likes = member % 10 > 0, random.normal(size=(count, 1))
    x = features[artwork] - np.einsum("ns,nsp->np", SHARES[bold], features[4 * title[:, None] + np.arange(4)])
    own = np.einsum("nk,kp,np->n", z[member], weights, x) * personal
    odds = -1.5 + 0.7 * likes[:, 0] + effects[region, artwork] + own
    design = 2 * title + bold
    pairs, combination = np.unique(artwork * 4 + design, return_inverse=True)
    block = {
        "z": z,
        "member": member,
        "combination": combination,
        "artwork": pairs // 4,
        "design": pairs % 4,
        "group": title * 2 + region,
        "take": (random.random(count) < expit(odds)).astype(np.uint8),
        "late": random.random(count) < 0.5,
        "personal": personal,
        "weight": np.ones(count),
        "covariates": likes,
        "design_offsets": np.arange(0, 17, 4),
        "design_artworks": np.concatenate([np.tile(np.arange(4) + 4 * t, 2) for t in range(2)]),
        "design_shares": np.tile(SHARES.ravel(), 2),
    }
    offset = Offset(np.full(4, -1.5), np.array([0.7]), np.full(4, -1.5))
    return block, Judged(Base(offset, np.zeros(1), np.ones(1), 2, 8), effects, features, weights)


def found(block, judged):
    return calibration(total_of([block]), judged, REGIONS)


def test_the_truth_is_calibrated():
    told = found(*world(1))
    slope, sd = np.moveaxis(told.slopes, -1, 0)
    assert (sd < 0.12).all()
    assert (np.abs(slope - 1) < 3.5 * sd).all()
    for table in (*told.reliability, told.uplift):
        n, predicted, observed, error = table.T
        assert (n > 0).all()
        assert (np.abs(observed - predicted) < 4 * error).all()
    everywhere = told.reliability[-1]
    assert np.ptp(everywhere[:, 0]) < 0.1 * everywhere[:, 0].mean()  # tenths are tenths
    np.testing.assert_allclose(told.reliability[:2, :, 0].sum(axis=0), everywhere[:, 0])
    assert (np.diff(told.uplift[:, 1]) > 0).all()


def test_an_overstated_artwork_has_a_slope_below_one_and_the_chances_hardly_show_it():
    block, judged = world(2)
    doubled = replace(judged, effects=2 * judged.effects, weights=2 * judged.weights)
    told = found(block, doubled)
    assert told.slopes[1, -1, 0] == pytest.approx(0.5, abs=0.05)
    _, predicted, observed, error = told.uplift.T
    assert predicted[-1] - observed[-1] > 4 * error[-1]
    assert found(block, judged).slopes[1, -1, 0] == pytest.approx(1, abs=0.1)


def test_slopes_are_those_of_the_logistic_regression():
    block, judged = world(3, count=8000, members=8000)
    told = found(block, judged)
    late = block["late"]
    keep = block | {name: block[name][late] for name in ("member", "combination", "group", "take", "personal")}
    x = judged.features[keep["artwork"]] - np.stack(
        [SHARES[d % 2] @ judged.features[4 * (d // 2) : 4 * (d // 2) + 4] for d in keep["design"]]
    )
    own = np.einsum("rk,kp,rp->r", keep["z"][keep["member"]], judged.weights, x[keep["combination"]])
    artwork = keep["artwork"][keep["combination"]]
    region = keep["group"] % 2
    odds = -1.5 + 0.7 * block["covariates"][late, 0] + judged.effects[region, artwork] + own * keep["personal"]
    for place, chosen in enumerate([region == 0, region == 1, region >= 0]):
        o, y = odds[chosen], keep["take"][chosen].astype(float)

        def loss(ab, o=o, y=y):
            return np.sum(np.logaddexp(0, ab[0] + ab[1] * o) - y * (ab[0] + ab[1] * o))

        exact = minimize(loss, [0.0, 1.0], method="BFGS", options={"gtol": 1e-6}).x[1]
        assert told.slopes[0, place, 0] == pytest.approx(exact, abs=2e-3)


def test_standard_errors_cover():
    """Over seeds, slopes stray from 1 by as much as their errors say."""
    strayed = []
    for seed in range(10, 40):
        told = found(*world(seed, count=4000, members=400))
        strayed.append((told.slopes[:, -1, 0] - 1) / told.slopes[:, -1, 1])
    assert np.mean(np.abs(strayed) < 1.96) > 0.85
    assert 0.7 < np.std(strayed) < 1.35


def test_uplift_of_a_guess_is_told_from_the_logs():
    """Where the model is wrong about every artwork, the doubly robust estimate says so."""
    block, judged = world(5, count=200_000)
    shuffled = replace(judged, effects=-judged.effects, weights=-judged.weights)
    _, predicted, observed, error = found(block, shuffled).uplift.T
    assert (predicted > 0).all()
    assert (observed + 3 * error < predicted).all()
    assert observed[-1] < 0


def test_what_a_model_keeps_gives_the_same_figures():
    told = found(*world(7, count=4000))
    kept = Calibration.kept(told.arrays(), REGIONS)
    assert kept is not None and kept.figures() == told.figures() and kept.lines() == told.lines()
    assert len(told.figures()) == 2 * 3 + 3 * 10 + 10
    everywhere = [row.decisions for row in told.figures() if (row.measure, row.region) == ("reliability", "*")]
    assert sum(everywhere) == next(row.decisions for row in told.figures() if row.region == "*")
    assert Calibration.kept({}, REGIONS) is None
    assert Calibration.kept(told.arrays(), ("BR",)) is None, "arrays of other regions"


def test_without_late_days_or_effects_nothing_is_claimed():
    block, judged = world(6, count=2000)
    early = found(block | {"late": np.zeros(2000, dtype=bool)}, judged)
    assert np.isnan(early.slopes).all()
    assert early.metrics() == {"validation_regions_miscalibrated": 0.0}
    none = replace(judged, effects=0 * judged.effects, weights=0 * judged.weights)
    told = found(block, none)
    assert np.isnan(told.slopes[1]).all() and np.isfinite(told.slopes[0]).all()
    assert told.lines()[1].startswith("slope of chance,BR,,")
