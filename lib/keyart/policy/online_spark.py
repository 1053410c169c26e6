"""What a batch of a stream changes at once: taste of the members it met, levels with new rewards, their artwork.

Of the policy that serves, with the models it stands on held fixed. Each step computes from what the tables hold and
sets it (taste by member and day, levels by title) or says which batch it is of (overrides), so that a batch that comes
again after a kill between two tables changes nothing or completes what is missing.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.feedback.spark import opted_in, running
from keyart.feedback.windows import Windows
from keyart.learning.blocks_spark import blocks_of
from keyart.learning.engagement_spark import block_builder, engagement
from keyart.learning.engagement_spark import catalogue_of as titles_of
from keyart.learning.levels_online import KEPT, SUMS, moved_levels
from keyart.learning.taste_spark import Learned, taste_of, taste_rows
from keyart.policy.assign_spark import region_assignments, user_assignments
from keyart.policy.contexts import ANYWHERE, OF_STREAM, PolicyContexts
from keyart.policy.placement_spark import day_of
from keyart.policy.plan import Assignment
from keyart.policy.planning_spark import Catalogue, catalogue_of, ground_of, scope_of
from keyart.policy.scope import Scope
from keyart.policy.segments import Segments
from keyart.policy.segments_spark import stored_segments
from keyart.policy.spark import newest_policy, serving_policy
from keyart.policy.specification import Policy
from keyart.policy.versions import online_version
from keyart.settings import Settings
from keyart.tables import Tables, quoted
from keyart.tracking import LoadedModel, ModelArrays, Tracking

__all__ = ["Folded", "Online", "Updated", "folded_in", "in_buckets"]

log = logging.getLogger(__name__)

READ = ("policies", "promotions", "policy_measures", "artworks", "titles", "videos", "editor_overrides")
"""Catalogue-sized tables: read again where one of them changed."""
LOOKED_AT = (
    "user_key", "user_bucket", "event_type", "event_date", "title_id", "region", "kids", "watched_seconds", "query",
)  # fmt: skip
"""Of events, what engagement is made of."""
LOOK_SECONDS = 30.0
"""A catalogue's change or a promotion is seen as late: asking seven tables for their versions costs a second."""
MANY = 500
"""Titles from which on all rows of the levels are written rather than named."""


@dataclass(frozen=True)
class Folded:
    """Members of a batch as of a day."""

    rows: DataFrame  # of taste
    members: int
    as_of: date
    buckets: str  # SQL condition


@dataclass(frozen=True)
class Updated:
    """What a batch changed."""

    policy_id: str
    members: int
    as_of: date
    titles: int


@dataclass(frozen=True)
class _Standing:
    """The policy that serves and what it stands on, all of the catalogue's size."""

    policy: Policy
    models: str  # as the policies row names them
    response: LoadedModel
    learned: Learned
    catalogue: Catalogue
    running: DataFrame  # title_id, running_seconds
    scope: Scope
    segments: Segments
    contexts: PolicyContexts


class Online:
    """Updates batch after batch of the stream of this id; what does not change between them is read once."""

    def __init__(self, tables: Tables, settings: Settings, stream: str) -> None:
        self.tables, self.settings, self.stream = tables, settings, stream
        self._looked: float | None = None
        self._key: tuple = ()
        self._standing: _Standing | None = None
        self._models: dict[tuple, LoadedModel] = {}
        self._levels: dict[str, bytes] | None = None  # by title, a mark of the rows as they stand
        self._told: set[str] = set()

    @contextmanager
    def folded(self, members: DataFrame) -> Iterator[Folded | None]:
        """A batch's members (user_key, user_bucket) with all they ever did, persisted meanwhile; nothing is written.

        None where no policy serves yet, or there are no events.
        """
        standing = self._stand()
        newest = self.tables.read("events").agg(F.max("event_date")).first() if standing else None
        if standing is None or newest is None or newest[0] is None:
            yield None
            return
        as_of, buckets = newest[0] + timedelta(days=1), in_buckets(members)
        met = opted_in(self.tables.read("events"), self.tables).where(buckets).select(*LOOKED_AT)
        met = met.join(F.broadcast(members.select("user_key")), on="user_key", how="left_semi")
        with folded_in(met, standing.learned, standing.running, as_of, self.settings) as rows:
            yield Folded(rows, rows.count(), as_of, buckets)

    def update(self, folded: Folded, number: int) -> Updated | None:
        """Move the levels, write the taste of a batch's members and their artwork; None where nothing serves.

        The batch of a ``number``, or a smaller one, writes artwork once.
        """
        standing, rows, count, as_of = self._standing, folded.rows, folded.members, folded.as_of
        if standing is None:
            return None
        steady = standing.policy.stay_days > 1
        if steady:
            self._tell(f"artworks of policy {standing.policy.policy_id} stay for days: only taste is updated meanwhile")
        plan, news = self._plan(standing)
        # Side by side, for a commit is mostly waiting: none needs another's rows, and each is made good by itself.
        with ThreadPoolExecutor(2) as pool:
            levels = None if steady else pool.submit(self._move_levels, plan, news)
            if count:
                place = f"t.as_of = DATE'{as_of}' AND t.{folded.buckets}"
                taste = pool.submit(self.tables.merge, "taste", rows, within=place)
                if not steady:
                    self._append(rows, plan, as_of, number)
                taste.result()
            titles = levels.result() if levels else 0
        return Updated(standing.policy.policy_id, count, as_of, titles)

    def _stand(self) -> _Standing | None:
        """The policy that serves, read again where a catalogue-sized table or the day has changed, as last looked."""
        if self._looked is not None and time.monotonic() - self._looked < LOOK_SECONDS:
            return self._standing
        self._looked = time.monotonic()
        with ThreadPoolExecutor(len(READ)) as pool:
            key = (day_of(self.settings.assign), *pool.map(self.tables.version, READ))
        if key != self._key:
            try:
                policy = serving_policy(self.tables)
                standing = self._standing_of(policy)
            except ModelError as error:
                self._tell(f"members' artwork is not updated yet: {error}")
                standing = None
            self._key, self._standing, self._levels = key, standing, None
        return self._standing

    def _standing_of(self, policy: Policy) -> _Standing:
        models = newest_policy(self.tables, policy.policy_id)[1]["models"]
        response, taste = (self._load(json.loads(models)[kind]) for kind in ("response", "taste"))
        learned = taste_of(taste.model, titles_of(self.tables.read("titles")))
        if learned.version != policy.taste_version:
            raise ModelError(
                f"policy {policy.policy_id} stands on taste {policy.taste_version}, and its taste model is "
                f"{learned.version}; run train-response and assign-artwork"
            )
        catalogue = catalogue_of(self.tables, self.settings)
        slate = ground_of(catalogue, response.model, policy.parents, self.tables).free
        scope = scope_of(taste, policy.taste_version, slate, self.settings.assign.likely_titles)
        # Of the catalogue's size, and the same for every batch: on the driver it costs no job a batch.
        seconds = self.tables.spark.createDataFrame(
            running(self.tables).collect(), "title_id string, running_seconds double"
        )
        segments = stored_segments(self.tables, policy.policy_id, response.model)
        contexts = PolicyContexts.of(response.model.about, response.model.arrays)
        if not json.loads(models).get("contexts"):  # the policy was written without
            contexts = ANYWHERE
        return _Standing(policy, models, response, learned, catalogue, seconds, scope, segments, contexts)

    def _load(self, said: Mapping[str, str]) -> LoadedModel:
        key = (said["name"], said["version"])
        if key not in self._models:
            tracking = Tracking(self.settings.tracking, self.settings.tables)
            self._models[key] = tracking.load_version(said)
        return self._models[key]

    def _plan(self, standing: _Standing) -> tuple[Assignment, np.ndarray]:
        """The policy's assignment with its levels as later rewards move them, and which titles (T,) have any."""
        policy, model = standing.policy, standing.response.model
        arrays, sums = model.arrays, self._rewards(model)
        if sums:
            arrays = moved_levels(arrays, model.about["cells"], sums)  # type: ignore[arg-type]
        moved = ModelArrays(model.kind, arrays, model.about)
        ground = ground_of(standing.catalogue, moved, policy.parents, self.tables)
        met = sum(of_region[0] for of_region in sums.values()) if sums else np.zeros(0)
        met_ids = {artwork for artwork, n in zip(model.about["artwork_ids"], met, strict=False) if n}  # type: ignore[call-overload]
        known = np.array([str(artwork) in met_ids for artwork in ground.slate.artwork_ids])
        return (
            Assignment(
                policy,
                ground.slate,
                ground.levels,
                ground.shelves,
                ground.written,
                len(model.about["cells"]),  # type: ignore[arg-type]
                tuple(model.about["feature_names"]),  # type: ignore[arg-type]
                tuple(model.about["member_names"]),  # type: ignore[arg-type]
                standing.models,
                ground.limits,
                standing.scope,
                ground.free,
                segments=standing.segments,
                contexts=standing.contexts,
            ),
            np.logical_or.reduceat(known, ground.slate.starts),
        )

    def _rewards(self, model: ModelArrays) -> dict[str, np.ndarray]:
        """SUMS (6, A) by region of the days that the model was not trained on.

        Rounded: Spark adds in any order, and a last bit must not look like news.
        """
        until = model.about.get("learned_until")
        if until is None or any(name not in model.arrays for name in KEPT):
            self._tell(
                "levels stay as they are: train-response has to run once more for them to move between trainings"
            )
            return {}
        later = self.tables.read_or_empty("artwork_stats").where(F.col("event_date") >= F.lit(until))
        rows = later.groupBy("region", "artwork_id").agg(*(F.sum(name).alias(name) for name in SUMS)).collect()
        place = {artwork: a for a, artwork in enumerate(cast(list[str], model.about["artwork_ids"]))}
        found: dict[str, np.ndarray] = {}
        for region, artwork, *values in sorted(rows, key=lambda row: row[:2]):
            if artwork in place:
                found.setdefault(region, np.zeros((len(SUMS), len(place))))[:, place[artwork]] = np.round(values, 6)
        return found

    def _move_levels(self, plan: Assignment, news: np.ndarray) -> int:
        """Set the rows of the titles that have news and differ from what stands; returns how many titles."""
        fresh = _marks(plan, np.flatnonzero(news))
        where = f"policy_id = '{plan.policy.policy_id}' AND {OF_STREAM}"
        if self._levels is None:  # what stands is another run's or another catalogue's
            there = self.tables.read("region_assignments").where(where)
            changed, everything = set(fresh), bool(fresh) or not there.isEmpty()
        else:
            changed = {title for title, mark in fresh.items() if self._levels.get(title) != mark}
            everything = len(changed) > MANY
        if everything or changed:
            titles = np.isin(plan.slate.title_ids, list(fresh if everything else changed))
            rows = region_assignments(self.tables, plan, True, titles)
            if not everything:
                where += f" AND title_id IN ({', '.join(map(quoted, sorted(changed)))})"
            self.tables.replace("region_assignments", rows, where)
        self._levels = fresh
        return len(changed)

    def _append(self, rows: DataFrame, plan: Assignment, as_of: date, number: int) -> None:
        """The members' overrides, newer than what stands, once a batch and policy."""
        version = online_version(as_of, (self.tables.version("user_assignments") or 0) + 1)
        once = (f"{self.stream} {plan.policy.policy_id}", number)
        self.tables.append("user_assignments", user_assignments(rows, plan, version), once)

    def _tell(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            log.info(line)


@contextmanager
def folded_in(
    events: DataFrame, learned: Learned, seconds: DataFrame, as_of: date, settings: Settings
) -> Iterator[DataFrame]:
    """Rows of taste of some members from all that they ever did, as of a day, persisted meanwhile.

    ``seconds`` are title_id, running_seconds.
    """
    windows = Windows(as_of, as_of, as_of + timedelta(days=1))
    unknown, genres = settings.events.default_duration_seconds, learned.catalogue.genres
    # Looked at three times, each in a few columns: that is cheaper than to keep all of them.
    did = engagement(events, F.broadcast(seconds), windows, genres, unknown, settings.taste)
    with blocks_of(did, block_builder(learned.catalogue), few=True) as blocks:
        rows = taste_rows(blocks, learned, {"late": as_of}).persist()
        try:
            yield rows
        finally:
            rows.unpersist()


def in_buckets(members: DataFrame) -> str:
    """SQL condition for the buckets of some members, so that files of others are not read."""
    found = sorted(row[0] for row in members.select("user_bucket").distinct().collect())
    return f"user_bucket IN ({', '.join(map(str, found)) or 'NULL'})"


def _marks(plan: Assignment, titles: np.ndarray) -> dict[str, bytes]:
    """A hash of what region_assignments says of each title."""
    arrays, ends = plan.slate.arrays, np.append(plan.slate.starts[1:], len(plan.slate.artwork_ids))
    parts = [plan.written, plan.shelves.allowed, *(np.asarray(arrays[n]) for n in ("cell_mean", "cell_sd", "cell_n"))]
    return {
        str(plan.slate.title_ids[t]): hashlib.blake2b(
            b"".join(np.ascontiguousarray(part[:, plan.slate.starts[t] : ends[t]]).tobytes() for part in parts),
            digest_size=8,
        ).digest()
        for t in titles
    }
