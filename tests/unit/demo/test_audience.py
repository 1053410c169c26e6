"""The simulated audience does what its truth says, and its log is one that a learner may trust."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keyart.demo.audience import Audience, figures, simulate_audience
from keyart.demo.backcatalogue import GENRES, back_catalogue, genre_vector, write_manifest
from keyart.demo.logbook import FIRST_DAY, KINDS, POLICY
from keyart.demo.worlds import EDITORS_SHARE
from keyart.errors import InputError
from keyart.feedback.events import LOG_COLUMNS
from keyart.settings import DemoSettings

REGIONS = {"SE": "north", "NO": "north", "JP": "asia", "IN": "asia", "US": "americas", "BR": "americas"}
DEMO = DemoSettings(members=3_000)
MICROSECONDS_A_DAY = 86_400_000_000


def picture(seed: int) -> bytes:
    """A soft blot before a tinted ground, different in every descriptor from seed to seed."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:90, 0:160]
    distance = np.hypot(y - random.uniform(20, 70), x - random.uniform(30, 130))
    blot = np.exp(-((distance / random.uniform(8, 60)) ** 2))
    colours = random.uniform(0, 255, (2, 3))
    image = colours[0] + blot[..., None] * (colours[1] - colours[0])
    image += random.uniform(0, 30) * random.standard_normal((90, 160, 1))
    return cv2.imencode(".jpg", np.clip(image, 0, 255).astype(np.uint8))[1].tobytes()


def shelves(titles: int = 12, artworks: int = 6):
    names = [f"film-{number}" for number in range(titles)]
    listed = [(name, [GENRES[n % len(GENRES)]], 30.0) for n, name in enumerate(names)]
    return listed, {
        name: [(f"{name}-art-{n}", picture(100 * t + n)) for n in range(artworks)] for t, name in enumerate(names)
    }


@pytest.fixture(scope="module")
def taste() -> Audience:
    return simulate_audience(*shelves(), DEMO, REGIONS)


@pytest.fixture(scope="module")
def log(taste, tmp_path_factory) -> tuple[pa.Table, dict[str, int], Path]:
    folder = tmp_path_factory.mktemp("logs")
    counts = taste.write_logs(folder)
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("events-0*"))]), counts, folder


@pytest.fixture(scope="module")
def decided(taste) -> dict[str, np.ndarray]:
    """The log's decisions by code: member, title, day, artwork, and the reward that followed the same day."""
    events, titles = taste.log.events(), len(taste.truth.title_ids)
    day = np.floor(events["seconds"] / 86_400.0).astype(np.int64)
    pair = events["member"].astype(np.int64) * titles + events["title"]
    key = pair * 1_000 + day
    shown = (events["kind"] == KINDS.index("impression")) & (events["started"] == 0)
    decision, first = np.unique(key[shown], return_index=True)
    taken = (events["kind"] == KINDS.index("take")) & (events["source"] != 2)
    ended = np.isin(events["kind"], [KINDS.index(kind) for kind in ("stop", "complete", "abandon")])
    ended &= events["title"] < titles
    stopped, at = np.unique(pair[ended], return_index=True)  # the first: what followed the take
    reward = np.zeros(len(decision))
    place = np.searchsorted(decision, key[taken])
    assert np.array_equal(decision[place], key[taken]), "a take without a decision of its day"
    watched = events["watched"][ended][at][np.searchsorted(stopped, pair[taken])]
    reward[place] = np.minimum(1.0, watched / 30.0)
    take = np.zeros(len(decision))
    take[place] = 1.0
    columns = {name: events[name][shown][first] for name in ("member", "title", "artwork")}
    return columns | {"day": day[shown][first], "reward": reward, "take": take}


def test_the_log_has_the_columns_that_ingestion_reads(log):
    untold = {"local_weekday", "segment", "ranker_id", "rating", "opted_out"}
    assert set(log[0].column_names) == set(LOG_COLUMNS) - untold


def test_the_truth_holds_the_decisions_of_the_log(taste, decided):
    pages = taste.truth.pages
    seen = pages.title >= 0
    visit, slot = np.nonzero(seen)
    mine = (pages.member[visit] * 100 + pages.title[visit, slot]) * 1_000 + pages.day[visit]
    theirs = (decided["member"] * 100 + decided["title"]) * 1_000 + decided["day"]
    assert np.array_equal(np.sort(mine), np.sort(theirs))


def test_take_rate_and_oracle_lift_are_what_was_asked_for(taste):
    found = figures(taste.truth.within(19, 28))
    assert found["take_rate_uniform"] == pytest.approx(DEMO.take_rate, rel=0.05)
    assert found["lift_oracle_observable"] == pytest.approx(DEMO.oracle_lift, rel=0.12)
    assert 0.05 <= found["lift_oracle_observable"] <= 0.30


def test_members_and_regions_differ_in_the_taste_world(taste):
    found = figures(taste.truth.within(19, 28))
    assert found["lift_best_region"] > found["lift_best_single"] + 0.01
    assert found["lift_oracle_observable"] > found["lift_best_region"] + 0.05
    assert found["lift_oracle_full"] > found["lift_oracle_observable"] + 0.03


def test_half_of_the_differences_between_members_is_private(taste):
    world = taste.world
    member = world.observable + world.private
    known = np.column_stack([np.eye(len(REGIONS))[world.members.region], world.members.genres])
    explained = known @ np.linalg.lstsq(known, member, rcond=None)[0]
    assert explained.var(axis=0) / member.var(axis=0) == pytest.approx(np.full(member.shape[1], 0.5), abs=1e-9)


def test_nothing_can_be_gained_in_the_null_world():
    audience = simulate_audience(*shelves(), replace(DEMO, world="null", members=500), REGIONS)
    found = figures(audience.truth)
    assert [found[name] for name in found if name.startswith("lift_")] == pytest.approx([0.0] * 4, abs=1e-12)
    assert not audience.truth.quality_shift.any()
    assert not audience.truth.take_shift.any()


def test_one_artwork_for_all_is_nearly_best_where_all_are_alike():
    audience = simulate_audience(*shelves(), replace(DEMO, world="homogeneous", members=1_000), REGIONS)
    found = figures(audience.truth)
    assert found["lift_best_single"] > 0.05
    # The oracle also knows the page: where titles compete, a shouting artwork pays on some pages only.
    assert found["lift_oracle_full"] == pytest.approx(found["lift_best_single"], abs=0.004)
    assert found["lift_oracle_observable"] == found["lift_oracle_full"]


def test_served_artworks_follow_the_logged_propensities(taste, decided):
    chance = taste.world.catalogue.propensity
    shown = np.bincount(decided["title"], minlength=12)
    expected = chance * shown[taste.world.catalogue.title_of]
    statistic = ((np.bincount(decided["artwork"], minlength=len(chance)) - expected) ** 2 / expected).sum()
    freedom = len(chance) - 12
    assert abs(statistic - freedom) < 4.5 * np.sqrt(2 * freedom)
    assert chance.reshape(12, -1).sum(axis=1) == pytest.approx(np.ones(12))
    assert chance[0] == pytest.approx(EDITORS_SHARE + (1 - EDITORS_SHARE) / 6)


@pytest.mark.parametrize("metric", ["take", "reward"])
def test_the_log_says_of_uniform_artwork_what_is_true(taste, decided, metric):
    weighted = decided[metric] / 6 / taste.world.catalogue.propensity[decided["artwork"]]
    error = weighted.std() / np.sqrt(len(weighted))
    assert weighted.mean() == pytest.approx(taste.truth.value_of(taste.truth.uniform(), metric), abs=4 * error)


def test_the_log_says_of_single_decisions_what_is_true(taste, decided):
    truth, catalogue = taste.truth, taste.world.catalogue
    choice = truth.best_of_groups(truth.region)
    slot = np.nonzero(catalogue.slots >= 0)[1]
    followed = slot[decided["artwork"]] == choice[decided["member"], decided["title"]]
    weighted = followed * decided["reward"] / catalogue.propensity[decided["artwork"]]
    error = weighted.std() / np.sqrt(len(weighted))
    assert weighted.mean() == pytest.approx(truth.value_alone(choice), abs=4 * error)


def test_an_artwork_stays_for_the_day_on_every_device(taste):
    events = taste.log.events()
    shown = (events["kind"] == KINDS.index("impression")) & (events["started"] == 0)
    day = np.floor(events["seconds"][shown] / 86_400.0).astype(np.int64)
    key = np.stack([events["member"][shown], events["title"][shown], day], axis=1)
    decisions, first, which = np.unique(key, axis=0, return_index=True, return_inverse=True)
    artwork, device = events["artwork"][shown], events["device"][shown]
    assert len(decisions) < len(key), "some decisions are seen twice"
    assert np.array_equal(artwork[first][which.ravel()], artwork)
    assert (device[first][which.ravel()] != device).any(), "and on another device"


def test_started_titles_leave_the_draw(taste):
    events = taste.log.events()
    played = (events["kind"] == KINDS.index("play")) & (events["title"] < 12)
    since = np.full((DEMO.members, 12), np.inf)
    np.minimum.at(since, (events["member"][played], events["title"][played]), events["seconds"][played])
    shown = events["kind"] == KINDS.index("impression")
    before = since[events["member"][shown], events["title"][shown]] < events["seconds"][shown]
    assert np.array_equal(before, events["started"][shown] == 1)
    kept = events["candidates"][shown][before]
    assert np.array_equal(kept, 12 + events["artwork"][shown][before])


def test_rows_are_complete_and_ids_unique(log, taste):
    table, counts, _ = log
    ids = table["event_id"].to_numpy()
    assert len(np.unique(ids)) == len(ids) == counts["events"]
    assert np.array_equal(np.sort(ids), ids)
    impressions = table.filter(pa.compute.equal(table["event_type"], "impression"))
    assert impressions.num_rows == counts["impression"]
    for name in ("title_id", "artwork_id", "propensity", "candidate_set", "candidate_propensities", "row", "position"):
        assert impressions[name].null_count == 0
    assert set(impressions["policy_id"].to_pylist()) == {POLICY}
    some = impressions.slice(0, 300).to_pylist()
    for row in some:
        chances = dict(zip(row["candidate_set"], row["candidate_propensities"], strict=True))
        assert chances[row["artwork_id"]] == row["propensity"]
        assert sum(chances.values()) == pytest.approx(1.0)
        assert all(artwork.startswith(row["title_id"] + "-art-") for artwork in chances)
    watched = pa.compute.is_valid(table["watched_seconds"])
    ends = pa.compute.is_in(table["event_type"], pa.array(["stop", "complete", "abandon"]))
    assert watched.equals(ends)


def test_times_keep_their_order(log):
    table, _, _ = log
    micros = table["ts"].cast(pa.int64()).to_numpy()
    first = np.datetime64(FIRST_DAY, "us").astype(np.int64)
    assert (np.diff(micros) >= 0).all()
    assert micros[0] >= first - DEMO.days * MICROSECONDS_A_DAY - MICROSECONDS_A_DAY
    kinds = table["event_type"].to_numpy(zero_copy_only=False)
    decisions = micros[kinds == "impression"]
    assert first <= decisions[0] and decisions[-1] < first + DEMO.days * MICROSECONDS_A_DAY
    assert micros[-1] > decisions[-1] + 2 * MICROSECONDS_A_DAY, "every outcome is final when the log ends"


def test_every_member_has_a_history(taste):
    events = taste.log.events()
    before = (events["kind"] == KINDS.index("play")) & (events["seconds"] < 0)
    assert (events["title"][before] >= 12).all(), "films came out on day 0"
    plays = np.bincount(events["member"][before], minlength=DEMO.members)
    assert plays.min() >= 4
    assert 5 <= plays.mean() <= 12
    assert plays.max() > 3 * plays.mean()


def test_history_tells_what_members_like(taste):
    events, back = taste.log.events(), taste.back
    before = (events["kind"] == KINDS.index("play")) & (events["seconds"] < 0)
    mix = np.stack([genre_vector(title.title_id, title.genres) for title in back])
    counted = np.zeros((DEMO.members, len(GENRES)))
    np.add.at(counted, events["member"][before], mix[events["title"][before] - 12])
    shares = counted / counted.sum(axis=1, keepdims=True)
    assert np.corrcoef(shares.ravel(), taste.world.members.genres.ravel())[0, 1] > 0.75


def test_faults_can_be_counted(log):
    table, counts, folder = log
    late = pq.read_table(folder / "events-late.parquet")
    faults = {name: counts[name] for name in ("delivered twice", "unknown title", "far future", "without member")}
    assert late.num_rows == sum(faults.values()) > 0
    known = set(table["event_id"].to_pylist())
    assert sum(event in known for event in late["event_id"].to_pylist()) == faults["delivered twice"]
    assert late["title_id"].to_pylist().count("no-such-title") == faults["unknown title"]
    assert late["user_id"].null_count == faults["without member"]


def test_same_seed_same_log(tmp_path):
    small = replace(DEMO, members=300, days=8)
    listed, pictures = shelves(3, 3)
    for folder in ("one", "two"):
        simulate_audience(listed, pictures, small, REGIONS).write_logs(tmp_path / folder)
    other = simulate_audience(listed, pictures, replace(small, seed=8), REGIONS)
    other.write_logs(tmp_path / "other")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    one, two, three = (
        [pq.read_table(tmp_path / folder / name) for name in names] for folder in ("one", "two", "other")
    )
    assert one == two
    assert one != three


@pytest.mark.parametrize(("titles", "artworks"), [(1, 3), (2, 1), (25, 2)])
def test_any_catalogue_will_do(titles, artworks, tmp_path):
    listed, pictures = shelves(titles, artworks)
    bare = [(name, [], seconds) for name, _, seconds in listed]
    audience = simulate_audience(bare, pictures, replace(DEMO, members=300, days=7), {})
    assert audience.write_logs(tmp_path)["impression"] > 100
    assert audience.truth.decisions > 100
    if artworks == 1:
        assert figures(audience.truth)["lift_oracle_full"] == pytest.approx(0.0, abs=1e-12)


def test_titles_without_artworks_are_refused():
    listed, pictures = shelves(2, 2)
    with pytest.raises(InputError, match="film-1"):
        simulate_audience(listed, {"film-0": pictures["film-0"]}, DEMO, REGIONS)
    with pytest.raises(InputError, match="at least one"):
        simulate_audience([], {}, DEMO, REGIONS)


def test_the_back_catalogue_covers_all_genres_and_repeats_itself_exactly(tmp_path):
    titles = back_catalogue(7)
    assert titles == back_catalogue(7) != back_catalogue(8)
    assert {genre for title in titles for genre in title.genres} == set(GENRES)
    write_manifest(tmp_path / "back.csv", titles)
    lines = (tmp_path / "back.csv").read_text().splitlines()
    assert lines[0] == "title_id,name,uri,genres"
    assert len(lines) == 61
    assert lines[1].split(",")[2] == ""
