"""measure-policy: one pass over the test days' decisions, judging what the policy shows beside what was shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.evaluation.concentration import alike_scores, prominence, roles
from keyart.evaluation.estimators import Moments
from keyart.evaluation.experiments.comparison import flat, unflat
from keyart.evaluation.experiments.pass_spark import EPOCH, Key, add_up
from keyart.evaluation.launches_spark import launches_of
from keyart.evaluation.measures import LAUNCH_MEASURES, Findings, Pictures, limits_of, measure_rows
from keyart.evaluation.responsibility import Catalogue, Shown, member_figures, previous_of
from keyart.feedback.spark import windows_of
from keyart.learning.newest_spark import newest_vectors
from keyart.policy.choices import GreedyChoices, level_choices, of_segments, user_choices
from keyart.policy.columns import codes, owners, per_text
from keyart.policy.limits import look_of
from keyart.policy.spark import greedy_choices, newest_policy
from keyart.policy.versions import ASSIGNED
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["measure_policy", "write_measures"]

COLUMNS = (
    "title_id", "artwork_id", "region", "device", "kids", "propensity", "candidate_set", "candidate_propensities",
    "take", "abandoned", "reward",
)  # fmt: skip
BEHAVIOURS = ("logged", "uniform", "region", "user")
DAYS = ("from_day", "to_day")
ALL = "*"
SCALE = 1e-9


@dataclass(frozen=True)
class _Judge:
    """What a worker needs: catalogue-sized, handed over by closure."""

    choices: GreedyChoices
    catalogue: Catalogue
    middle: int  # first day of the second half
    genres: tuple[str, ...]


def measure_policy(tables: Tables, settings: Settings) -> list[dict[str, Any]]:
    """Rows of policy_measures for the policy that is asked for; ModelError without test decisions."""
    policy, _ = newest_policy(tables, settings.responsibility.policy_id)
    limits = limits_of(settings.responsibility.limits)
    decisions = tables.read("decisions")
    windows = windows_of(decisions, settings.time)
    rows = tables.read("artworks").select(
        "artwork_id", "title_id", "features", "moods", "shot_type", "cast_clusters", "cast_prominence"
    ).collect()  # fmt: skip
    artworks = {row["artwork_id"]: row for row in rows}
    choices = greedy_choices(tables, policy, artworks)
    titles = {row["title_id"]: row for row in tables.read_or_empty("titles").collect()}
    genres, genre_names = _shares(choices.title_ids, {title: row["genres"] for title, row in titles.items()})
    creators, _ = _shares(choices.title_ids, {title: row["creators"] or () for title, row in titles.items()})
    pictures = _pictures(choices, artworks, creators)
    role, share = _cast(choices, artworks)
    catalogue = Catalogue(pictures.look, role, genres, share)
    middle = windows.t1 + timedelta(days=(windows.end - windows.t1).days // 2)
    judge = _Judge(choices, catalogue, (middle - EPOCH).days, tuple(genre_names))
    found = _findings(tables, decisions, judge, policy.policy_id, (windows.t1, windows.end))
    if (BEHAVIOURS[0], ALL) not in found.moments:
        raise ModelError(f"no matured decision lies in [{windows.t1}, {windows.end}); ingest later logs or set time.t1")
    shares, smallest = settings.responsibility.niche_share, settings.privacy.smallest_cell
    launched, days = launches_of(tables)
    found = replace(found, launches=launched)
    judged = dict(zip(DAYS, (windows.t1, windows.end), strict=True))
    whole = dict(zip(DAYS, days or (windows.t1, windows.end), strict=True))
    return [
        {"policy_id": policy.policy_id, **(whole if row["measure"] in LAUNCH_MEASURES else judged), **row}
        for row in measure_rows(found, pictures, limits, shares, smallest)
    ]


def write_measures(tables: Tables, rows: list[dict[str, Any]], behaviour: str = "") -> None:
    """Replace what was known of the policy; what limits cost is assign-artwork's own (``behaviour`` limits)."""
    schema, policy_id = TABLES["policy_measures"].schema, rows[0]["policy_id"]
    frame = tables.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)
    kept = f"behaviour = '{behaviour}'" if behaviour else "behaviour <> 'limits'"
    tables.replace("policy_measures", frame, f"policy_id = '{policy_id}' AND {kept}")


def _pictures(choices: GreedyChoices, artworks: Mapping[str, Any], creators: np.ndarray) -> Pictures:
    """In the order of the choices' artworks; an artwork that is gone from the table has average features."""
    known = [artworks.get(artwork) for artwork in choices.artwork_ids]
    width = max((len(row["features"]) for row in known if row), default=0)
    raw = np.array([row["features"] if row and len(row["features"]) == width else [np.nan] * width for row in known])
    mean, sd = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
    features = np.nan_to_num((raw - mean) / np.where(sd > SCALE, sd, 1.0))
    looks = [look_of(row["moods"], row["shot_type"]) if row else "" for row in known]
    title = codes(pa.array([row["title_id"] if row else None for row in known], pa.string()), choices.title_ids)
    _, look = np.unique(looks, return_inverse=True)
    return Pictures(features, np.maximum(title, 0), look, creators)


def _cast(choices: GreedyChoices, artworks: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Role and prominence of whom each artwork shows, as ``Catalogue`` wants them."""
    known = [artworks.get(artwork) for artwork in choices.artwork_ids]
    title = [row["title_id"] if row else "" for row in known]
    people = [row["cast_clusters"] if row else () for row in known]
    share = prominence(people, [row["cast_prominence"] if row else None for row in known], title)
    return roles(people, title, share), share


def _shares(titles: Sequence[str], said: Mapping[str, Sequence[str]]) -> tuple[np.ndarray, list[str]]:
    """Titles' parts in what is said of them (titles, names), each row summing to 1 or empty; and the names."""
    known = {title: sorted(set(names)) for title, names in said.items()}
    order = sorted({name for names in known.values() for name in names})
    place = {name: i for i, name in enumerate(order)}
    shares = np.zeros((len(titles), len(order)))
    for t, title in enumerate(titles):
        for name in known.get(title, ()):
            shares[t, place[name]] = 1 / len(known[title])
    return shares, order


def _findings(tables: Tables, decisions: DataFrame, judge: _Judge, policy_id: str, days: tuple[date, date]) -> Findings:
    kept = decisions.where(
        (F.col("epoch") >= F.lit(days[0])) & (F.col("epoch") < F.lit(days[1])) & F.col("reward").isNotNull()
    ).where(F.array_contains("candidate_set", F.col("artwork_id")))
    at = F.array_position("candidate_set", F.col("artwork_id"))
    row = (F.unix_date("epoch").alias("day"), at.alias("place"))
    own = tables.read("user_assignments").where(F.col("policy_id") == policy_id).where(ASSIGNED)
    members = (
        kept.groupBy("user_key")
        .agg(F.collect_list(F.struct(*row, *COLUMNS)).alias("decisions"))
        .join(own.select("user_key", "title_ids", "artwork_ids", "gains", "segment"), on="user_key", how="left")
        # Lists that are null make Arrow's writer slow: what it does for each row grows with how many there were.
        .withColumns({name: F.coalesce(name, F.array()) for name in ("title_ids", "artwork_ids", "gains")})
    )
    sums = add_up(members, lambda batch: _judge(judge, batch))
    taste = tables.read_or_empty("taste")
    audience = newest_vectors(taste).groupBy("region").agg(F.count("*").alias("n")).collect()
    place = dict(enumerate(BEHAVIOURS))
    moments = {(place[b], name): unflat(v) for (kind, b, name), v in sums.items() if kind == "members"}
    return Findings(
        moments=moments,
        exposure={place[b]: v for (kind, b, _), v in sums.items() if kind == "exposure"},
        takes={place[b]: v for (kind, b, _), v in sums.items() if kind == "takes"},
        gains={name: unflat(v) for (kind, _, name), v in sums.items() if kind == "gains"},
        members={name: m.members for (b, name), m in moments.items() if b == BEHAVIOURS[0]},
        audience={row["region"] or "unknown": row["n"] for row in audience},
        alike=_alike(tables, policy_id),
    )


def _alike(tables: Tables, policy_id: str) -> float:
    world = tables.read("region_assignments").where(
        (F.col("policy_id") == policy_id) & (F.col("level") == "global") & (F.col("context") == "*")
    )
    rows = world.select("title_id", "mean", "sd").collect()
    _, title = np.unique([row["title_id"] for row in rows], return_inverse=True)
    return alike_scores(np.array([row["mean"] for row in rows]), np.array([row["sd"] for row in rows]), title)


def _judge(judge: _Judge, batch: pa.RecordBatch) -> Iterator[tuple[Key, np.ndarray]]:
    nested = batch.column("decisions")
    columns = {name: nested.flatten().field(name) for name in ("day", "place", *COLUMNS)}
    member, choices = owners(nested), judge.choices
    sizes = np.asarray(pc.list_value_length(columns["candidate_set"]))
    shown = _shown(judge, columns, member, sizes)
    region, regions = per_text(columns["region"])
    chosen, gains = _choices(judge, batch, columns, shown, region, regions)
    owner, logged = shown.owner, np.asarray(columns["candidate_propensities"].flatten())
    behaviours = {"logged": logged, "uniform": 1.0 / sizes[owner]}
    for level, choice in chosen.items():
        hit = (shown.candidates == choice[owner]) & (shown.candidates >= 0)
        has = np.bincount(owner, hit, minlength=len(member)) > 0
        behaviours[level] = np.where(has[owner], hit, behaviours["uniform"])
    segments = dict(_segments(columns, member, region, regions)) | dict(_tastes(judge, shown))
    for b, name in enumerate(BEHAVIOURS):
        probabilities = behaviours[name].astype(np.float64)
        figures = member_figures(shown, probabilities, judge.catalogue)
        for segment, rows in segments.items():
            if len(rows):
                yield ("members", b, segment), flat(Moments.of(figures[rows]))
        known = shown.candidates >= 0
        yield (
            ("exposure", b, ALL),
            np.bincount(shown.candidates[known], probabilities[known], minlength=len(choices.artwork_ids)),
        )
        weight = shown.weights(probabilities)
        there = shown.title >= 0
        takes = np.bincount(shown.title[there], (weight * shown.take)[there], minlength=len(choices.title_ids))
        yield ("takes", b, ALL), takes
    yield from _gain_rows(shown, chosen, gains, segments, batch.num_rows)


def _shown(judge: _Judge, columns: Mapping[str, pa.Array], member: np.ndarray, sizes: np.ndarray) -> Shown:
    artworks = judge.choices.artwork_ids
    day = np.asarray(columns["day"], dtype=np.int64)
    title = codes(columns["title_id"], judge.choices.title_ids)
    served = codes(columns["artwork_id"], artworks)
    return Shown(
        member=member,
        late=day >= judge.middle,
        title=title,
        served=served,
        place=np.asarray(columns["place"], dtype=np.int64) - 1,
        previous=np.where(title >= 0, previous_of(member, title, day, served), -1),
        propensity=np.asarray(columns["propensity"]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        candidates=codes(columns["candidate_set"].flatten(), artworks),
        take=np.asarray(columns["take"].fill_null(0), dtype=np.float64),
        abandoned=np.asarray(columns["abandoned"].fill_null(False)).astype(np.float64),
        reward=np.asarray(columns["reward"], dtype=np.float64),
    )


def _choices(
    judge: _Judge,
    batch: pa.RecordBatch,
    columns: Mapping[str, pa.Array],
    shown: Shown,
    region: np.ndarray,
    regions: list[str | None],
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the policy would show in each decision by level, and the gain that an override promises (0 without)."""
    choices, title = judge.choices, shown.title
    default = np.where(title >= 0, level_choices(choices, "region", regions)[region, title], -1)
    kids = np.asarray(columns["kids"].fill_null(False)) | (title < 0)
    segment, segments = per_text(batch.column("segment"))
    among, row = of_segments(choices, (region, regions), (np.where(kids, -1, segment[shown.member]), segments))
    standing = np.where(title >= 0, among[row, title], -1)
    own = owners(batch.column("title_ids"))
    titles = codes(batch.column("title_ids").flatten(), choices.title_ids)
    artworks = codes(batch.column("artwork_ids").flatten(), choices.artwork_ids)
    at = (shown.member, np.maximum(title, 0), own, titles)
    promised = np.asarray(batch.column("gains").flatten(), dtype=np.float64)
    personal = np.where(kids, default, user_choices(standing, *at, artworks))
    gains = np.where(kids, 0.0, user_choices(np.zeros(len(title)), *at, promised))
    return {"region": default, "segment": standing, "user": personal}, gains


def _segments(
    columns: Mapping[str, pa.Array], member: np.ndarray, region: np.ndarray, regions: list[str | None]
) -> Iterator[tuple[str, np.ndarray]]:
    """Members of each segment, by their first decision; of several on the first day, by the first name."""
    device, devices = per_text(columns["device"])
    pairs = ((device, devices), (region, regions))
    names = [np.argsort(np.argsort([str(name) for name in known]))[code] for code, known in pairs]
    order = np.lexsort((*names, np.asarray(columns["day"]), member))
    members, at = np.unique(member[order], return_index=True)
    first = order[at]
    yield ALL, members
    for dimension, code, known in (("region", region, regions), ("device", device, devices)):
        for i, name in enumerate(known):
            yield f"{dimension}={name}", members[code[first] == i]
    kids = np.asarray(columns["kids"].fill_null(False))[first]
    yield "kids=yes", members[kids]
    yield "kids=no", members[~kids]


def _tastes(judge: _Judge, shown: Shown) -> Iterator[tuple[str, np.ndarray]]:
    """Members by the genre that they take most of, of equals the first; members without takes are in none."""
    took = (shown.take > 0) & (shown.title >= 0)
    counts = np.zeros((int(shown.member.max(initial=-1)) + 1, len(judge.genres)))
    np.add.at(counts, shown.member[took], judge.catalogue.genres[shown.title[took]])
    known = counts.any(axis=1)
    for g, name in enumerate(judge.genres):
        yield f"genre={name}", np.flatnonzero(known & (counts.argmax(axis=1) == g))


def _gain_rows(
    shown: Shown,
    chosen: Mapping[str, np.ndarray],
    gains: np.ndarray,
    segments: Mapping[str, np.ndarray],
    members: int,
) -> Iterator[tuple[Key, np.ndarray]]:
    has = gains > 0
    parts = [
        np.bincount(shown.member[has], values[has], minlength=members)
        for values in (
            np.ones(len(gains)),
            gains,
            (chosen["user"] == shown.served) / shown.propensity * shown.reward,
            (chosen["segment"] == shown.served) / shown.propensity * shown.reward,
        )
    ]
    figures = np.stack(parts, axis=1)
    for segment, rows in segments.items():
        kept = rows[figures[rows, 0] > 0]
        if len(kept):
            yield ("gains", 0, segment), flat(Moments.of(figures[kept]))
