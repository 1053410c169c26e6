"""Logs at any size: a block depends on its number alone, tails are heavy, propensities exact, faults come on demand."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from keyart.demo.faults import BROKEN, DELIVERY
from keyart.demo.simulate import Crowd, block_log, blocks, crowd_of, invented
from keyart.feedback.events import LOG_COLUMNS
from keyart.settings import DemoSettings, SimulateSettings

SIZE = SimulateSettings(members=2_300, titles=120, artworks=5, days=7)
REGIONS = {"SE": "north", "US": "americas"}
FAULTS = {"duplicates": 0.02, "future": 0.002, "malformed": 0.008, "unknown": 0.004, "disordered": 0.1, "late": 0.05}


def crowd(settings: SimulateSettings) -> Crowd:
    return crowd_of(invented(settings), settings, DemoSettings(), REGIONS, 5_400.0)


@pytest.fixture(scope="module")
def people() -> Crowd:
    return crowd(SIZE)


@pytest.fixture(scope="module")
def log(people) -> pa.Table:
    return block_log(people, 0)


def test_blocks_make_up_all_members_and_share_no_id(people, log):
    other = block_log(people, 1)
    assert blocks(SIZE) == 2
    members = [set(part["user_id"].to_pylist()) for part in (log, other)]
    assert (len(members[0]), len(members[1])) == (2_000, 300)
    assert not members[0] & members[1]
    for name in ("event_id", "session_id"):
        assert not set(log[name].to_pylist()) & set(other[name].to_pylist())
    assert len(set(log["event_id"].to_pylist())) == log.num_rows


def test_a_block_depends_on_seed_and_number_alone(people, log):
    assert block_log(crowd(SIZE), 0).equals(log)
    assert not block_log(crowd(replace(SIZE, seed=8)), 0).equals(log)


def test_the_log_has_the_columns_that_ingestion_reads(log):
    untold = {"local_weekday", "segment", "ranker_id", "rating", "opted_out"}
    assert log.column_names == [*(name for name in LOG_COLUMNS if name not in untold), DELIVERY]
    times = log["ts"].cast(pa.int64()).to_numpy()
    assert (np.diff(times) >= 0).all()


def test_propensities_are_exact(log):
    shown = log.filter(pc.and_(pc.equal(log["event_type"], "impression"), pc.equal(log["already_started"], False)))
    table = shown.select(["user_id", "title_id", "ts", "artwork_id", "propensity", "candidate_set"]).to_pandas()
    table["day"] = table.ts.dt.date
    once = table.drop_duplicates(["user_id", "title_id", "day"])
    assert len(table.drop_duplicates(["user_id", "title_id", "day", "artwork_id"])) == len(once)
    default = once.artwork_id == once.candidate_set.str[0]
    assert once.propensity.to_numpy() == pytest.approx(np.where(default, 0.32, 0.17))
    expected, chance = len(once) * 0.32, np.sqrt(len(once) * 0.32 * 0.68)
    assert abs(default.sum() - expected) < 4 * chance


def test_some_members_and_titles_have_most_of_the_events(log):
    for name, few in (("user_id", 200), ("title_id", 15)):
        counts = np.sort(log[name].drop_null().to_pandas().value_counts().to_numpy())[::-1]
        assert counts[:few].sum() > 0.22 * counts.sum()  # a tenth of them


def test_takes_drift_where_asked_for():
    def by_half(drift: float) -> np.ndarray:
        made = block_log(crowd(replace(SIZE, drift=drift, days=28, members=2_000, title_tail=0.0, titles=12)), 0)
        table = made.filter(pc.equal(made["event_type"], "take")).select(["title_id", "ts"]).to_pandas()
        late = table.ts.dt.day + 31 * (table.ts.dt.month - 1) > 18
        half = [table.title_id[rows].value_counts(normalize=True) for rows in (~late, late)]
        return (half[1] - half[0]).fillna(0.0).abs().sum()

    assert by_half(3.0) > 2 * by_half(0.0)


def test_bots_are_busy_and_watch_nothing():
    made = block_log(crowd(replace(SIZE, bots=0.02)), 0)
    counts = made.filter(pc.equal(made["event_type"], "take"))["user_id"].to_pandas().value_counts()
    busy = set(counts[counts > 100].index)
    assert 15 <= len(busy) <= 70
    watched = made.filter(pc.is_in(made["user_id"], pa.array(sorted(busy))))
    watched = watched.filter(pc.equal(watched["event_type"], "abandon"))
    assert pc.min(watched["watched_seconds"]).as_py() < 1.0


def test_a_faulty_log_holds_every_event_of_the_clean_one(log):
    faulty = block_log(crowd(replace(SIZE, deliveries=3, **FAULTS)), 0)
    good = faulty.to_pandas()
    future = good.ts.dt.year == 2099
    hour, unknown = good.local_hour > 23, good.title_id.eq("no-such-title") | good.artwork_id.eq("no-such-artwork")
    chance = good.propensity > 1
    bad = future | hour | unknown | chance | good.user_id.isna() | good.event_type.eq(BROKEN)
    assert 0.007 < bad.mean() < 0.02
    assert future.any() and hour.any() and unknown.any() and chance.any() and good.user_id.isna().any()
    clean = good[~bad]
    assert 0.015 < clean.event_id.duplicated().mean() < 0.025
    assert set(clean.event_id) == set(log["event_id"].to_pylist())
    assert set(good[DELIVERY]) == {0, 1, 2}
    late = (clean.ts.dt.day < 7) & (clean.ts.dt.month == 1) & (clean[DELIVERY] > 0)
    assert 0 < late.mean() < 0.1
    assert (np.diff(clean.ts.astype("int64")) < 0).mean() > 0.05
