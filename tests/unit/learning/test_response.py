"""Blocks of decisions and the passes over them: what is centred, what is weighted, what is compared."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from keyart.learning.decisions import Artworks, block_builder
from keyart.learning.logistic import full_hessian, ridge_step
from keyart.learning.offset import Offset
from keyart.learning.response import Base, compare, member_sums, offset_pass, opening_sums
from keyart.seeding import rng
from keyart.tracking import ModelArrays

ARTWORKS = Artworks(
    artwork_ids=["a0", "a1", "a2", "b0", "b1"],
    title_ids=["a", "b"],
    title_index=np.array([0, 0, 0, 1, 1]),
    vectors=np.zeros((5, 2)),
    active=np.ones(5, dtype=bool),
    feature_version="test",
)
TASTE = ModelArrays(
    "als",
    {"titles": np.array([[2.0], [5.0]]), "member_mean": np.array([1.0, 0.5]), "member_scale": np.array([2.0, 0.1])},
    {"title_ids": ["a", "elsewhere"]},
)
FEATURES = np.array([[1.0], [2.0], [6.0], [1.0], [-1.0]])


def rows(*decisions: dict, vectors: tuple[dict, ...] = ()) -> pa.Table:
    usual = {
        "user_key": "m",
        "epoch": date(2026, 1, 1),
        "title_id": "a",
        "artwork_id": "a0",
        "region": "SE",
        "kids": False,
        "context": -1,
        "row": 0,
        "position": 1,
        "ranker_score": None,
        "take": 0,
        "propensity": 0.5,
        "candidate_set": ["a0", "a1"],
        "candidate_propensities": [0.5, 0.5],
        "design": 1,
    }
    empty = dict.fromkeys([*usual, "factors", "genre_mix", "history"])
    schema = pa.schema(
        [
            ("user_key", pa.string()),
            ("epoch", pa.date32()),
            ("title_id", pa.string()),
            ("artwork_id", pa.string()),
            ("region", pa.string()),
            ("kids", pa.bool_()),
            ("context", pa.int16()),
            ("row", pa.int32()),
            ("position", pa.int32()),
            ("ranker_score", pa.float64()),
            ("take", pa.int32()),
            ("propensity", pa.float64()),
            ("candidate_set", pa.list_(pa.string())),
            ("candidate_propensities", pa.list_(pa.float64())),
            ("design", pa.int64()),
            ("factors", pa.list_(pa.float32())),
            ("genre_mix", pa.list_(pa.float32())),
            ("history", pa.int32()),
        ]
    )
    filled = [empty | taste for taste in vectors] + [empty | usual | decision for decision in decisions]
    return pa.Table.from_pylist(sorted(filled, key=lambda r: (r["user_key"], r["epoch"] is not None)), schema=schema)


def build(table: pa.Table) -> dict[str, np.ndarray]:
    return block_builder(ARTWORKS, ["BR", "SE"], TASTE, date(2026, 1, 3), weight_clip=3.0)(table)


def test_block_says_what_the_rows_said():
    block = build(
        rows(
            {"user_key": "k", "kids": True, "region": "BR", "take": 1, "ranker_score": 0.25},
            {"user_key": "m", "artwork_id": "a1", "position": 3},
            {"user_key": "m", "epoch": date(2026, 1, 3), "title_id": "b", "artwork_id": "b0", "design": 2,
             "candidate_set": ["b1", "b0"], "candidate_propensities": [0.9, 0.1], "propensity": 0.1},
            {"user_key": "m", "epoch": date(2026, 1, 4)},
            {"user_key": "m", "artwork_id": "forgotten"},
            vectors=({"user_key": "m", "factors": [5.0], "genre_mix": [0.5], "history": 3},
                     {"user_key": "nobody", "factors": [5.0], "genre_mix": [0.5], "history": 3}),
        )
    )  # fmt: skip
    assert block["z"].tolist() == [[0, 0], [2, 0]]  # who has no vectors is average
    assert block["member"].tolist() == [0, 1, 1, 1]
    assert block["artwork"][block["combination"]].tolist() == [0, 1, 3, 0]
    assert block["group"].tolist() == [0, 1, 3, 1]
    assert block["take"].tolist() == [1, 0, 0, 0]
    assert block["late"].tolist() == [False, False, True, True]
    assert block["personal"].tolist() == [False, True, True, True]
    np.testing.assert_allclose(block["weight"], [1, 1, 3, 1])  # 1 / (2 x 0.1) is clipped
    ranker, affinity, position, _, times, looked = block["covariates"].T
    assert ranker[0] == 0.25
    assert np.isnan(ranker[1:]).all()
    assert affinity.tolist() == [2, 10, 0, 10]  # title b has no taste factors
    np.testing.assert_allclose(position, np.log1p([1, 3, 1, 1]))
    np.testing.assert_allclose(times, np.log1p([0, 0, 0, 1]))
    assert np.isnan(looked).all()  # measure-sessions has not run


def test_examination_is_a_covariate_where_it_is_known():
    """Logs add up over position and row; a place that is not identified says nothing."""
    looked_at = {"position": np.array([0.0, -0.5]), "row": np.array([0.0, np.nan])}
    builder = block_builder(ARTWORKS, ["BR", "SE"], TASTE, date(2026, 1, 3), 3.0, looked_at)
    places = ({"position": 1, "row": 0}, {"position": 1, "row": 1}, {"position": 7, "row": 1}, {"position": None})
    found = builder(rows(*places))["covariates"][:, -1]
    np.testing.assert_allclose(found, [-0.5, -0.5, np.nan, 0.0])


def test_features_are_centred_under_each_decisions_own_propensities():
    block = build(
        rows(
            {"candidate_set": ["a0", "a1"], "candidate_propensities": [0.25, 0.75], "design": 7},
            {"candidate_set": ["a1", "a2", "gone"], "candidate_propensities": [0.3, 0.3, 0.4], "design": 8,
             "artwork_id": "a2"},
        )
    )  # fmt: skip
    base = Base(Offset(np.zeros(4), np.zeros(6), np.zeros(4)), np.zeros(6), np.ones(6), 2, 5)
    block["z"] = np.ones((1, 1))
    sums = member_sums(block, base, np.zeros((2, 5)), FEATURES, np.zeros((1, 1, 1)), early_only=False, hessian=True)
    x = np.array([1 - 1.75, 6 - 4.0])  # what is gone leaves the others' shares summing to 1
    assert sums["gradient"].item() == pytest.approx((-0.5 * x).sum())
    assert sums["hessian"].item() == pytest.approx((0.25 * x**2).sum())


def test_a_block_of_vectors_alone_is_empty():
    block = build(rows(vectors=({"user_key": "m", "factors": [5.0], "genre_mix": [0.5], "history": 3},)))
    assert len(block["take"]) == len(block["z"]) == 0
    assert opening_sums(block, 2, 4)["known"].tolist() == [0] * 6


def test_cells_weight_takes_and_expectations_of_the_rows_kept():
    block = build(
        rows({"take": 1}, {"propensity": 0.25, "artwork_id": "a1"}, {"epoch": date(2026, 1, 5), "region": "BR"})
    )
    base = Base(Offset(np.full(4, -1.0), np.zeros(6), np.zeros(4)), np.zeros(6), np.ones(6), 2, 5)
    chance, late = expit(-1.0), block["late"]
    found = base.covariates(block)
    early, later = (offset_pass(block, base, found, keep)["cells"] for keep in (~late, late))
    assert early[:, 1, 0].tolist() == pytest.approx([1, chance, chance])
    assert early[:, 1, 1].tolist() == pytest.approx([0, 2 * chance, 4 * chance])
    assert later[:, 0, 0].tolist() == pytest.approx([0, chance, chance])
    np.testing.assert_allclose(offset_pass(block, base, found, late | ~late)["cells"], early + later)


def test_a_fit_starts_from_counts_of_early_days_and_of_all():
    block = build(
        rows({"take": 1}, {"propensity": 0.25, "artwork_id": "a1"}, {"epoch": date(2026, 1, 5), "region": "BR"})
    )
    found = opening_sums(block, 2, 4)
    assert found["n"].tolist() == [[0, 2, 0, 0], [1, 2, 0, 0]]
    assert found["takes"].tolist() == [[0, 1, 0, 0], [0, 1, 0, 0]]
    assert found["weights"].tolist() == [[1, 1, 1], [2, 3, 5]]  # one decision counts twice
    assert found["known"].tolist() == [0, 3, 3, 3, 3, 0]


def personalised_logs(seed: int, effect: np.ndarray, count: int = 120_000) -> tuple[dict[str, np.ndarray], Base]:
    """Members like titles by their vector, and a policy that knew it served artworks by the same vector."""
    random = rng(seed, "personalised")
    z = random.normal(size=(2000, 2))
    member, title = np.sort(random.integers(0, 2000, count)), random.integers(0, 2, count)
    features = random.normal(size=(8, 2))
    bold = (z[:, 0] > 0).astype(int)[member]  # the two distributions of each title
    shares = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7]])
    artwork = (random.random(count)[:, None] > np.cumsum(shares[bold], axis=1)).sum(axis=1) + 4 * title
    x = features[artwork] - np.einsum("ns,nsp->np", shares[bold], features[4 * title[:, None] + np.arange(4)])
    odds = -2 + 0.6 * z[member, 0] * (2 * title - 1) + np.einsum("nk,kp,np->n", z[member], effect, x)
    designs = np.repeat(np.arange(4), 8)  # title x distribution
    inside = np.tile(np.arange(8), 4).reshape(4, 8)
    of_design = np.zeros((4, 8))
    for t, b in np.ndindex(2, 2):
        of_design[2 * t + b, 4 * t : 4 * t + 4] = shares[b]
    pairs, combination = np.unique(artwork * 4 + 2 * title + bold, return_inverse=True)
    block = {
        "z": z,
        "member": member,
        "combination": combination,
        "artwork": pairs // 4,
        "design": pairs % 4,
        "group": title,
        "take": (random.random(count) < expit(odds)).astype(np.uint8),
        "late": random.random(count) < 0.25,
        "personal": np.ones(count, dtype=bool),
        "weight": np.ones(count),
        "covariates": np.zeros((count, 1)),
        "design_offsets": np.searchsorted(designs, np.arange(5)),
        "design_artworks": inside.ravel(),
        "design_shares": of_design.ravel(),
    }
    base = Base(Offset(np.full(2, -2.0), np.zeros(1), np.full(2, -2.0)), np.zeros(1), np.ones(1), 1, 8)
    return block | {"features": features}, base


def fitted(block: dict[str, np.ndarray], base: Base, l2: float = 1e-6, early_only: bool = False):
    weights, none = np.zeros((2, 2)), np.zeros((1, 8))
    for _ in range(5):
        sums = member_sums(block, base, none, block["features"], weights[None], early_only, hessian=True)
        hessian = full_hessian(sums["hessian"], 2, 2)
        weights = ridge_step(hessian, sums["gradient"][0], weights, l2)
    return weights, np.sqrt(np.diag(np.linalg.inv(hessian))).reshape(2, 2)


def test_affinity_is_no_artwork_effect_even_under_personalised_logging():
    """The offset knows nothing of affinity here and the logged artwork goes with it: only centring parts them."""
    block, base = personalised_logs(1, effect=np.zeros((2, 2)))
    weights, error = fitted(block, base)
    assert np.abs(weights / error).max() < 3.5
    uncentred = block | {"design_shares": block["design_shares"] * 0}
    wrong, _ = fitted(uncentred, base)
    assert np.abs(wrong / error).max() > 6


def test_a_real_effect_is_found_under_personalised_logging():
    truth = np.array([[0.3, 0.0], [0.0, -0.2]])
    weights, error = fitted(*personalised_logs(2, truth))
    assert np.abs((weights - truth) / error).max() < 4
    np.testing.assert_allclose(weights, truth, atol=0.08)


def test_comparison_is_the_late_rows_log_loss_and_its_error_is_over_members():
    block, base = personalised_logs(3, np.array([[0.4, 0.0], [0.0, -0.4]]), count=20_000)
    weights, _ = fitted(block, base, early_only=True)
    none, tried = np.zeros((1, 8)), np.stack([weights, 0.5 * weights, 3 * weights])
    found = compare(block, base, none, block["features"], tried)
    late = block["late"]
    assert found["rows"] == late.sum()
    odds = np.full(late.sum(), -2.0)
    take = block["take"][late].astype(float)
    assert found["loss"][0] == pytest.approx(np.sum(np.log1p(np.exp(odds)) - take * odds))
    np.testing.assert_allclose(found["gain"][1:], found["loss"][1] - found["loss"][2:])
    assert found["gain"][0] == 0
    assert found["gain"][1] > 3 * found["gain_squares"][1] ** 0.5
    assert found["gain"][1] > found["gain"][3]
    slope = 1 + found["slope"][:, 0] / found["slope"][:, 1]
    assert slope[0] == pytest.approx(1, abs=0.35)
    assert slope[1] > 1.3 > 0.7 > slope[2]
