"""Rows of levels and of members, as workers make them, against the choices written out."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from keyart.policy import member_rows as rows_of_members
from keyart.policy.assignment import build_slate
from keyart.policy.exploration import EpsilonGreedy
from keyart.policy.level_rows import level_rows
from keyart.policy.levels import GLOBAL, Levels
from keyart.policy.limiting import Limits
from keyart.policy.placement import EVERYWHERE, place
from keyart.policy.plan import Assignment
from keyart.policy.scope import Scope
from keyart.policy.specification import Policy

ROWS = [(f"{title}{i}", title, i) for title in "ABC" for i in range(3)]
CELLS = (GLOBAL, ("region", "SE"))
LEAST, DAY = 0.15, date(2026, 3, 1)
MEMBERS = 40


@pytest.fixture(scope="module")
def plan() -> Assignment:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(len(ROWS), 2))
    arrays = {
        "features": values, "feature_values": values, "loadings": np.eye(2),
        "weights": np.array([[0.3, 0.0], [0.0, -0.3], [0.1, 0.1]]),
        "member_mean": np.array([0.0, 0.5, 0.5]), "member_scale": np.array([1.0, 0.2, 0.2]),
        "cell_mean": rng.normal(size=(2, len(ROWS))) * 0.2, "cell_sd": np.full((2, len(ROWS)), 0.05),
        "cell_n": np.full((2, len(ROWS)), 100.0), "cell_takes": np.full((2, len(ROWS)), 3.0),
        "region_weights": rng.normal(size=(2, 2)),
    }  # fmt: skip
    slate, levels = build_slate(ROWS, [row[0] for row in ROWS], arrays), Levels(CELLS, {})
    shelves = place(slate, levels, EVERYWHERE, DAY)
    policy = Policy("p", EpsilonGreedy(0.1), "salt", LEAST, "taste", DAY)
    named = ("warmth", "face_share"), ("factor 1", "genre drama", "genre action")
    return Assignment(policy, slate, levels, shelves, shelves.allowed, 2, *named, "{}", Limits(), Scope(), slate)


@pytest.fixture(scope="module")
def members() -> pa.RecordBatch:
    rng = np.random.default_rng(5)
    return pa.RecordBatch.from_pydict(
        {
            "user_key": [f"{u:032x}" for u in range(MEMBERS)],
            "user_bucket": pa.array(range(MEMBERS), pa.int32()),
            "region": [("SE", "FR", None)[u % 3] for u in range(MEMBERS)],  # nobody learned of FR: the world answers
            "factors": rng.normal(size=(MEMBERS, 1)).tolist(),
            "genre_mix": rng.dirichlet([1, 1], MEMBERS).tolist(),
            "history": pa.array([3] * MEMBERS, pa.int32()),
        }
    )


def scores_of(plan: Assignment, members: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
    """(n, A) of members and of their regions, in words of the model alone."""
    arrays = plan.slate.arrays
    vectors = np.hstack([np.array(members.column(name).to_pylist()) for name in ("factors", "genre_mix")])
    taste = (vectors - arrays["member_mean"]) / arrays["member_scale"] @ arrays["weights"]
    level = arrays["cell_mean"][[int(region == "SE") for region in members.column("region").to_pylist()]]
    return level + taste @ arrays["features"].T, level


@pytest.mark.parametrize("room", [1, 4_000_000], ids=["a member at a time", "all at once"])
def test_members_have_the_artwork_that_gains_enough_over_their_regions_best(plan, members, room, monkeypatch):
    monkeypatch.setattr(rows_of_members, "ENTRIES", room)
    found = pa.Table.from_batches(rows_of_members.member_rows(plan, plan.defaults(plan.slate), members, None))
    scores, level = scores_of(plan, members)
    wanted = {}
    for u, key in enumerate(members.column("user_key").to_pylist()):
        own = {}
        for t, title in enumerate("ABC"):
            here = slice(3 * t, 3 * t + 3)
            best, default = scores[u, here].argmax(), level[u, here].argmax()
            gain = scores[u, here][best] - scores[u, here][default]
            if best != default and gain >= LEAST:
                own[title] = (f"{title}{best}", pytest.approx(gain, abs=1e-5))
        if own:
            wanted[key] = own
    assert 5 < len(wanted) < MEMBERS
    lists = (found.column(name).to_pylist() for name in ("user_key", "title_ids", "artwork_ids", "gains"))
    assert {
        key: dict(zip(t, zip(a, g, strict=True), strict=True)) for key, t, a, g in zip(*lists, strict=True)
    } == wanted
    assert set(found.column("policy_id").to_pylist()) == {"p"} and found.column("segment").null_count == len(found)


def test_with_a_version_members_without_an_override_take_back_what_was_said(plan, members):
    batch = next(rows_of_members.member_rows(plan, plan.defaults(plan.slate), members, 7))
    assert batch.num_rows == MEMBERS and set(batch.column("version").to_pylist()) == {7}
    assert [] in batch.column("title_ids").to_pylist()


def test_a_level_says_of_each_title_what_it_shows_and_how_often(plan):
    for cell, (level, name) in enumerate(CELLS):
        table = level_rows(plan, cell, online=False).to_pylist()
        assert {(row["level"], row["cell"], row["context"]) for row in table} == {(level, name, "*")}
        assert [row["artwork_id"] for row in table] == [row[0] for row in ROWS]
        means = plan.slate.arrays["cell_mean"][cell].reshape(3, 3)
        best = [3 * t + means[t].argmax() for t in range(3)]
        assert np.flatnonzero([row["is_default"] for row in table]).tolist() == best
        shown = np.array([row["probability"] for row in table]).reshape(3, 3)
        np.testing.assert_allclose(shown.sum(axis=1), 1)
        np.testing.assert_allclose(shown.max(axis=1), 1 - 0.1 + 0.1 / 3)
