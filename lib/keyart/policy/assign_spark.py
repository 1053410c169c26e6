"""assign-artwork: which artwork each region and each member gets, by streaming members past the models.

The slate (catalogue side) reaches the workers in the closure; members come as taste rows and leave as their overrides.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits

from keyart.clock import after, instant
from keyart.errors import ModelError
from keyart.feedback.spark import opted_in, windows_of
from keyart.learning.calibration import Calibration
from keyart.learning.members import standardised
from keyart.learning.newest_spark import newest_vectors
from keyart.learning.predict import user_scores
from keyart.policy.assignment import Overrides, Slate, build_slate, overrides, scored_overrides
from keyart.policy.budget import floor_within
from keyart.policy.columns import per_text
from keyart.policy.contexts import ANYWHERE, EVERY, PolicyContexts, alone_of, moved
from keyart.policy.exploration import Exploration, chosen
from keyart.policy.floors import NO_FLOOR, Floor
from keyart.policy.leaning import leaning_shelf
from keyart.policy.levels import GLOBAL, SEGMENT, Levels, segment_cell
from keyart.policy.limiting import COSTS, Limits, cost_of, cost_rows, limit_rows, within_limits, worth_of
from keyart.policy.limits import is_available
from keyart.policy.limits_spark import limits_for, with_looks
from keyart.policy.placement import Placed, Placement, Shelves, place
from keyart.policy.placement_spark import day_of, placement_of
from keyart.policy.reasons import level_reasons, member_reasons
from keyart.policy.scope import Scope
from keyart.policy.segments import NOBODY, Segments, segment_defaults
from keyart.policy.segments_spark import learned_segments, segment_rows, vectors_of
from keyart.policy.specification import Policy, content_hash, derived_id
from keyart.policy.staying import same_period, stayed
from keyart.policy.staying_spark import COLUMNS as BEFORE
from keyart.policy.staying_spark import Before, before_of, policy_before, with_choices_before
from keyart.policy.versions import days_of
from keyart.schemas import TABLES
from keyart.settings import AssignSettings, Settings
from keyart.tables import Tables
from keyart.tracking import LoadedModel, ModelArrays, Tracking

__all__ = [
    "Assignment",
    "Catalogue",
    "Ground",
    "catalogue_of",
    "contexts_of",
    "ground_of",
    "limit_costs",
    "plan_assignment",
    "policy_calibration",
    "policy_weights",
    "region_assignments",
    "scope_of",
    "user_assignments",
    "write_assignment",
]

CELLS = 4_000_000  # members x artworks scored at a time: 32 MB an array
ENTRIES = 4_000_000
"""Members x titles decided at a time: room for as many overrides."""
EXPLORED = ("decisions_explored", "reward_explored")
"""Expected shares of decisions beside the best of the world's level, and of its reward that these cost."""
LOOKED_AT = ("region", "factors", "genre_mix", "history")
"""Of a member's row of taste."""
SEED = 7
"""Of the segments."""
LEVEL_ROWS = pa.schema(
    [
        *((name, pa.string()) for name in ("policy_id", "level", "cell", "context", "title_id", "artwork_id")),
        *((name, pa.float64()) for name in ("probability", "mean", "sd")),
        *((name, pa.int64()) for name in ("n", "takes")),
        ("is_default", pa.bool_()),
        ("reason", pa.string()),
    ]
)
GENRE = "genre "
"""Begins the names of a member's shares of genres."""
CONTRACT = ("artwork_ids", "title_ids", "cells", "feature_names", "feature_version", "taste_version", "member_names")


@dataclass(frozen=True)
class Assignment:
    """Everything an assignment is computed from: catalogue-sized, on the driver, handed to workers by closure."""

    policy: Policy
    slate: Slate
    levels: Levels
    shelves: Shelves
    written: np.ndarray  # (C, A) whether the artwork has a row in the cell
    learned: int  # cells of the model; those after it are regions that a placement names
    feature_names: tuple[str, ...]
    member_names: tuple[str, ...]
    models: str  # JSON for the policies table
    limits: Limits
    scope: Scope
    free: Slate  # with the artworks that limits withhold, to say what these cost
    stay_gain: float = 0.0
    before: Before | None = None  # whose choices members keep until their border
    calibration: Calibration | None = None  # of the response model, where it kept it
    explored: Mapping[str, float] = field(default_factory=dict)  # EXPLORED
    segments: Segments = NOBODY
    contexts: PolicyContexts = ANYWHERE

    @property
    def ways(self) -> int:
        """In which members may be narrowed: those of no segment or of one, in no context or in one."""
        return (1 + len(self.segments)) * (1 + len(self.contexts))

    def defaults(self, slate: Slate) -> np.ndarray:
        """(C x (1 + K), T) what each cell shows of a slate, to those of no segment and of each (``_Members.shelf``)."""
        found = segment_defaults(slate, self.segments, self.policy.minimum_gain)
        return found.reshape(-1, found.shape[2])


def plan_assignment(tables: Tables, tracking: Tracking, settings: Settings) -> Assignment:
    """Read models, active artworks and titles, and name the policy.

    ModelError where a model is missing, nothing is active, or no member has vectors of the response model's taste.
    """
    taste, response = tracking.load("taste"), tracking.load("response")
    about: Mapping[str, Any] = response.model.about
    catalogue = catalogue_of(tables, settings)
    ground = ground_of(catalogue, response.model, settings.regions, tables)
    levels, shelves, slate, free, limits = ground.levels, ground.shelves, ground.slate, ground.free, ground.limits
    placement, day = catalogue.placement, catalogue.day
    artworks = [row for row in catalogue.artworks if row[0] not in limits.withheld]
    version, as_of = str(about["taste_version"]), _newest_taste(tables, str(about["taste_version"]), settings)
    content = content_hash(response.model.arrays, {key: about[key] for key in CONTRACT})
    assign = settings.assign
    exploration = chosen(
        assign.explore,
        epsilon=assign.exploration,
        temperature=assign.temperature,
        draws=assign.draws,
        seed=assign.salt,
    )
    scope = scope_of(taste, version, free, assign.likely_titles)
    taste_rows = opted_in(newest_vectors(_taste_of(tables, version), as_of), tables)
    smallest = settings.privacy.smallest_cell
    segments = learned_segments(taste_rows, response.model, assign.segments, smallest, SEED)
    contexts = contexts_of(response.model, assign)
    floor, spent, floors = _floor(assign, shelves, levels, exploration)
    said = (*limits.said, *placement.said(day), *scope.said, *floors)
    parts = [
        content,
        exploration,
        assign.minimum_gain,
        assign.salt,
        as_of,
        sorted(levels.parents.items()),
        sorted(artworks),
        floor,
        *said,
        *(("segments", assign.segments, smallest) if assign.segments else ()),
        *(("contexts", *contexts.names) if len(contexts) else ()),
    ]
    inputs, before = derived_id(parts), None
    if assign.stay_days > 1:
        said = (*said, f"an artwork stays {assign.stay_days} days unless the gain exceeds {assign.stay_gain:g}")
        inputs = derived_id([*parts, said[-1]])
        earlier = policy_before(tables, assign.policy_id, inputs, as_of)
        before = None if earlier is None else before_of(tables, earlier, slate)
    name = assign.policy_id or (inputs if before is None else derived_id([inputs, before.policy_id]))
    gain, stay = assign.minimum_gain, assign.stay_days
    among = dict(zip(segments.names, segments.descriptions, strict=True))
    policy = Policy(name, exploration, assign.salt, gain, version, as_of, levels.parents, said, floor, stay, among)
    genres = [str(name).removeprefix(GENRE) for name in about["member_names"] if str(name).startswith(GENRE)]
    models = json.dumps(
        {
            "response": _said(response),
            "taste": _said(taste),
            "content": content,
            "segments": genres,
            "contexts": list(contexts.names),
            "inputs": inputs,
        },
        sort_keys=True,
    )
    return Assignment(
        policy,
        slate,
        levels,
        shelves,
        ground.written,
        len(about["cells"]),
        tuple(about["feature_names"]),
        tuple(about["member_names"]),
        models,
        limits,
        scope,
        free,
        assign.stay_gain,
        before,
        Calibration.kept(response.model.arrays, [str(name) for name in about.get("regions", ())]),
        spent,
        segments,
        contexts,
    )


def contexts_of(model: ModelArrays, assign: AssignSettings) -> PolicyContexts:
    """The contexts in which a policy of the model may show another default: none where artworks are to stay for days,
    for then a member's does not change with the device either."""
    return PolicyContexts.of(model.about, model.arrays) if assign.contexts and assign.stay_days == 1 else ANYWHERE


@dataclass(frozen=True)
class Catalogue:
    """What may be shown where, as things are now: read from the tables."""

    artworks: Sequence[tuple[str, str, int]]  # active ones as (artwork_id, title_id, rank)
    limits: Limits
    placement: Placement
    regions: Mapping[str, Sequence[str]]  # title: where it may be shown; empty: everywhere
    day: date


def catalogue_of(tables: Tables, settings: Settings) -> Catalogue:
    """Read the active artworks, what limits them and where their titles may be shown."""
    rows = tables.read("artworks").where("active").select("artwork_id", "title_id", "rank").collect()
    artworks = [tuple(row) for row in rows]
    titles = tables.read_or_empty("titles").select("title_id", "regions").collect()
    return Catalogue(
        artworks,
        limits_for(tables, settings, artworks),
        placement_of(tables),
        {row[0]: row[1] for row in titles},
        day_of(settings.assign),
    )


@dataclass(frozen=True)
class Ground:
    """A catalogue seen through a response model: what any policy of it chooses from."""

    levels: Levels
    shelves: Shelves
    slate: Slate
    free: Slate
    limits: Limits
    written: np.ndarray  # (C, A) as Assignment has it


def ground_of(catalogue: Catalogue, model: ModelArrays, parents: Mapping[str, str], tables: Tables) -> Ground:
    """The slate, the levels and what each may show on the catalogue's day; ModelError where nothing is active."""
    about: Mapping[str, Any] = model.about
    artworks, limits, placement, day = catalogue.artworks, catalogue.limits, catalogue.placement, catalogue.day
    placed = Placed.of(Levels.of(about["cells"], parents), model.arrays, placement.regions)
    shelves = place(build_slate(artworks, about["artwork_ids"], placed.arrays), placed.levels, placement, day)
    free = shelves.slate
    if limits.withheld:
        left = [row for row in artworks if row[0] not in limits.withheld]
        shelves = place(build_slate(left, about["artwork_ids"], placed.arrays), placed.levels, placement, day)
    limits = with_looks(tables, limits, shelves.slate.artwork_ids)
    written = _written(catalogue.regions, shelves, placed)
    return Ground(placed.levels, shelves, shelves.slate, free, limits, written)


def _written(regions: Mapping[str, Sequence[str]], shelves: Shelves, placed: Placed) -> np.ndarray:
    """(C, A): which rows are written; a region's own only for titles that may be shown there (unknown ones may)."""
    slate = shelves.slate
    available = np.array(
        [
            [level != "region" or is_available(regions.get(title, ()), (), cell) for title in slate.title_ids]
            for level, cell in placed.levels.cells
        ]
    )
    return shelves.written(placed.instead) & available[:, slate.title_index]


def write_assignment(tables: Tables, plan: Assignment) -> None:
    """Replace the policy's rows; the policies row comes last, so that a policy that can be seen is complete."""
    mine = f"policy_id = '{plan.policy.policy_id}'"
    tables.replace("region_assignments", region_assignments(tables, plan), mine)
    tables.replace("policy_weights", policy_weights(tables, plan), mine)
    tables.replace("policy_calibration", policy_calibration(tables, plan), mine)
    tables.replace("policy_segments", segment_rows(tables, plan.policy.policy_id, plan.segments), mine)
    taste = _taste_of(tables, plan.policy.taste_version)
    members = opted_in(newest_vectors(taste, plan.policy.taste_as_of), tables)
    known = members if plan.before is None else with_choices_before(members, tables, plan.before.policy_id)
    tables.replace("user_assignments", known.transform(user_assignments, plan), mine)
    rows = limit_rows(plan.explored, plan.policy.policy_id, plan.policy.taste_as_of)
    if plan.limits.said:
        rows += limit_costs(tables, members, plan)
    schema = TABLES["policy_measures"].schema
    frame = tables.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)
    tables.replace("policy_measures", frame, f"{mine} AND behaviour = 'limits'")
    tables.replace("policies", _policy_row(tables, plan), mine)


def region_assignments(
    tables: Tables, plan: Assignment, online: bool = False, titles: np.ndarray | None = None
) -> DataFrame:
    """Rows of region_assignments, one cell, or segment of a cell's members, in one context at a time in the workers;
    ``online`` as a stream moved them, ``titles`` (T,) says of which."""
    schema = TABLES["region_assignments"].schema
    cells = tables.spark.range(len(plan.levels.cells) * plan.ways)
    if titles is not None:
        here = titles[plan.slate.title_index]
        plan = replace(plan, shelves=plan.shelves.of_titles(titles), written=plan.written[:, here])

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for cell in batch.column("id").to_pylist():
                yield _level_rows(plan, cell, online)

    return cells.mapInArrow(write, schema)


def policy_weights(tables: Tables, plan: Assignment) -> DataFrame:
    """Rows of policy_weights: what the model learned of each cell's liking of each feature, and of what devices and
    parts of the day add to it, for people to read."""
    schema = TABLES["policy_weights"].schema
    arrays, policy_id = plan.slate.arrays, plan.policy.policy_id
    weights, sds = np.asarray(arrays["region_weights"]), arrays.get("region_weights_sd")  # (C, F)
    cells = [(cell, *named) for cell, named in enumerate(plan.levels.cells[: plan.learned])]
    rows = [
        (policy_id, level, name, feature, float(weights[cell, f]), None if sds is None else float(sds[cell, f]))
        for cell, level, name in cells
        for f, feature in enumerate(plan.feature_names)
    ]
    for name, leaning, unsure in zip(plan.contexts.names, plan.contexts.leanings, plan.contexts.sds, strict=True):
        kind, alone = alone_of(name)
        liking = np.asarray(arrays["loadings"]) @ leaning
        found = zip(plan.feature_names, liking.tolist(), unsure.tolist(), strict=True)
        rows += [(policy_id, kind, alone, *one) for one in found if kind]
    return tables.spark.createDataFrame(rows, schema)


def policy_calibration(tables: Tables, plan: Assignment) -> DataFrame:
    """Rows of policy_calibration: how the model's predictions came true on later days; what is not known has no row."""
    figures = plan.calibration.figures() if plan.calibration else []
    rows = [(plan.policy.policy_id, *row) for row in figures if isfinite(row.observed) and isfinite(row.standard_error)]
    return tables.spark.createDataFrame(rows, TABLES["policy_calibration"].schema)


def user_assignments(members: DataFrame, plan: Assignment, version: int | None = None) -> DataFrame:
    """Rows of user_assignments from taste rows: members without a segment or override have none, and kids' profiles
    neither.

    With a ``version`` members without an override have an empty row, which takes back what an older one says. Where the
    plan knows an earlier policy, members come with their choices under it (``with_choices_before``).
    """
    schema = TABLES["user_assignments"].schema
    defaults = plan.defaults(plan.slate)

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        step = max(1, ENTRIES // len(plan.slate.title_ids))
        with threadpool_limits(1):  # a task a core
            for batch in batches:
                for start in range(0, batch.num_rows, step):
                    yield _member_rows(plan, defaults, batch.slice(start, step), version)

    return (
        members.where(~F.col("kids"))
        .select("user_key", "user_bucket", *LOOKED_AT, *(BEFORE if plan.before else ()))
        .mapInArrow(write, schema)
    )


def limit_costs(tables: Tables, members: DataFrame, plan: Assignment) -> list[dict[str, Any]]:
    """What each limit took of the expected reward, as rows of policy_measures: a pass more, where limits are set.

    Of fresh choices: what members keep from an earlier policy is left out on both sides.
    """
    defaults, free_defaults = (plan.defaults(slate) for slate in (plan.slate, plan.free))

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        step = max(1, CELLS // len(plan.free.artwork_ids))
        for batch in batches:
            for start in range(0, batch.num_rows, step):
                part = batch.slice(start, step)
                members = _members(plan, part)
                before, after, scores = _found(plan, plan.slate, defaults, members)
                without = worth_of(scores, defaults[members.shelf], before)
                free = without
                if plan.free is not plan.slate:
                    freely, _, all_scores = _found(plan, plan.free, free_defaults, members)
                    free = worth_of(all_scores, free_defaults[members.shelf], freely)
                worth = worth_of(scores, defaults[members.shelf], after)
                yield pa.RecordBatch.from_pylist([cost_of(part.num_rows, before, after, free, without, worth)])

    rows = (
        members.where(~F.col("kids"))
        .select(*LOOKED_AT)
        .mapInArrow(work, ", ".join(f"{name} double" for name in COSTS))
        .agg(*(F.coalesce(F.sum(name), F.lit(0.0)).alias(name) for name in COSTS))
        .collect()
    )
    return cost_rows(rows[0].asDict(), plan.policy.policy_id, len(plan.limits.withheld), plan.policy.taste_as_of)


def _floor(
    assign: AssignSettings, shelves: Shelves, levels: Levels, exploration: Exploration
) -> tuple[Floor, dict[str, float], tuple[str, ...]]:
    """The floor, what is explored (EXPLORED), and what of it and of the budgets the policy's row says."""
    bounds = {"least": assign.floor, "cold": assign.cold_exploration, "half": assign.cold_decisions}
    budgets = {"budget": assign.budget, "reward_budget": assign.reward_budget}
    floor, *shares = floor_within(shelves, levels.cells.index(GLOBAL), exploration, **bounds, **budgets)
    spent = dict(zip(EXPLORED, shares, strict=True))
    if not assign.floor and not assign.cold_exploration and min(budgets.values()) >= 1:
        return NO_FLOOR, spent, ()
    return (
        floor,
        spent,
        (
            f"every artwork at least {assign.floor:.2%}, {len(floor.cold)} cold titles more; exploration shows another "
            f"than the best in {shares[0]:.2%} of decisions, at most {assign.budget:.2%}, and costs {shares[1]:.2%} of "
            f"the best's expected reward, at most {assign.reward_budget:.2%}",
        ),
    )


def scope_of(taste: LoadedModel, version: str, slate: Slate, most: int) -> Scope:
    """For which titles members may have artwork of their own; ModelError where that needs another taste model."""
    about: Mapping[str, Any] = taste.model.about
    if most and about["taste_version"] != version:
        raise ModelError(
            f"assign.likely_titles needs the titles' factors of taste {version}, which the response model was trained "
            f"on, not of {about['taste_version']}; run train-response"
        )
    return Scope.of(most, slate.title_ids, about["title_ids"], taste.model.arrays["titles"]) if most else Scope()


def _taste_of(tables: Tables, version: str) -> DataFrame:
    return tables.read("taste").where(F.col("taste_version") == version)


def _newest_taste(tables: Tables, version: str, settings: Settings) -> date:
    """The newest day that taste is known of, but none of the test days, where a stream goes on folding members in."""
    rows = tables.read("taste").where(F.col("taste_version") == version)
    days = sorted(row[0] for row in rows.select("as_of").distinct().collect())
    if not days:
        raise ModelError(
            f"no member has vectors of taste {version}, which the response model was trained on; run train-response"
        )
    if len(days) > 2:  # train-taste alone leaves two
        t1 = windows_of(tables.read("decisions"), settings.time).t1
        days = [day for day in days if day <= t1] or days
    return days[-1]


def _said(loaded: LoadedModel) -> dict[str, str]:
    return {"name": loaded.name, "version": loaded.version, "run_id": loaded.run_id}


def _policy_row(tables: Tables, plan: Assignment) -> DataFrame:
    policy, schema = plan.policy, TABLES["policies"].schema
    before = tables.read_or_empty("policies").where(F.col("policy_id") == policy.policy_id).first()
    content = json.loads(plan.models)["content"]
    same = before is not None and before["spec"] == policy.spec() and json.loads(before["models"])["content"] == content
    versions = {table: tables.version(table) for table in ("artworks", "titles", "taste")}
    newest = tables.read_or_empty("policies").agg(F.unix_micros(F.max("created_at"))).collect()[0][0]
    row = {
        "policy_id": policy.policy_id,
        "kind": policy.exploration.kind,
        "spec": policy.spec(),
        "salt": policy.salt,
        "parent_policy_id": plan.before.policy_id if plan.before else None,
        "models": plan.models,
        "data_versions": json.dumps(versions, sort_keys=True),
        # A policy that is assigned again keeps its birthday.
        "created_at": before["created_at"] if before is not None and same else after(instant(newest)),
    }
    return tables.spark.createDataFrame([tuple(row[name] for name in schema.names)], schema)


def _level_rows(plan: Assignment, place: int, online: bool) -> pa.RecordBatch:
    cell, way = divmod(place, plan.ways)
    segment, where = divmod(way, 1 + len(plan.contexts))  # 0 is all members, 0 is everywhere
    shelves, row, (level, name), context = plan.shelves, cell, plan.levels.cells[cell], EVERY
    wanted, leanings = plan.written[cell], []
    if segment:
        leanings.append(plan.segments.tastes[segment - 1])
        level, name = SEGMENT, segment_cell(level, name, plan.segments.names[segment - 1])
    if where:
        leanings.append(plan.contexts.leanings[where - 1])
        context = plan.contexts.names[where - 1]
    if leanings:
        shelves, differs = leaning_shelf(shelves, leanings, cell, plan.policy.minimum_gain)
        wanted, row = wanted & differs, 0
    slate, arrays = shelves.slate, shelves.slate.arrays
    means, kept = shelves.means[row], np.flatnonzero(wanted)
    if not len(kept):
        return pa.RecordBatch.from_pylist([], LEVEL_ROWS)
    unmasked = {**arrays, "cell_mean": shelves.means}
    columns = {
        "policy_id": [plan.policy.policy_id] * len(kept),
        "level": [level] * len(kept),
        "cell": [name] * len(kept),
        "context": [moved(context) if online else context] * len(kept),
        "title_id": slate.title_ids[slate.title_index[kept]],
        "artwork_id": slate.artwork_ids[kept],
        "probability": shelves.probabilities(plan.policy.exploration, row, plan.policy.floor)[kept],
        "mean": means[kept].astype(np.float64),
        "sd": np.asarray(arrays["cell_sd"])[row, kept].astype(np.float64),
        "n": np.asarray(arrays["cell_n"])[row, kept].round().astype(np.int64),
        "takes": np.asarray(arrays["cell_takes"])[row, kept].round().astype(np.int64),
        "is_default": shelves.defaults(row)[kept],
        "reason": level_reasons(unmasked, row, slate.known, plan.feature_names, kept),
    }
    return pa.RecordBatch.from_pydict(columns, LEVEL_ROWS)


@dataclass(frozen=True)
class _Members:
    """A batch's members: n of them."""

    vectors: np.ndarray  # (n, V)
    cell: np.ndarray  # (n,) of the model: their region's
    segment: np.ndarray  # (n,) -1 is none
    shelf: np.ndarray  # (n,) row of ``Assignment.defaults``
    taste: np.ndarray  # (n, D)


def _members(plan: Assignment, batch: pa.RecordBatch) -> _Members:
    region, regions = per_text(batch.column("region"))
    cell = np.array([plan.levels.chain(name)[0] for name in regions], dtype=np.int64)[region]
    vectors, arrays = vectors_of(batch), plan.slate.arrays
    taste = standardised(arrays, vectors) @ np.asarray(arrays["weights"])
    segment = plan.segments.joined(taste, np.asarray(batch.column("history")))
    return _Members(vectors, cell, segment, cell * (1 + len(plan.segments)) + 1 + segment, taste)


def _found(
    plan: Assignment, slate: Slate, defaults: np.ndarray, members: _Members
) -> tuple[Overrides, Overrides, np.ndarray]:
    """Members' overrides before and after the limit on looks (which knows the looks of the policy's own slate), and
    their scores."""
    scores, standing = user_scores(slate.arrays, members.vectors, members.cell), defaults[members.shelf]
    found = plan.scope.within(
        overrides(scores, standing, slate, plan.policy.minimum_gain), members.vectors, slate.title_ids
    )
    return found, within_limits(found, standing, plan.limits) if slate is plan.slate else found, scores


def _member_rows(plan: Assignment, defaults: np.ndarray, batch: pa.RecordBatch, version: int | None) -> pa.RecordBatch:
    slate, members = plan.slate, _members(plan, batch)
    level = np.asarray(slate.arrays["cell_mean"])
    least = plan.policy.minimum_gain
    found = scored_overrides(members.taste, members.cell, level, defaults, slate, least, members.shelf)
    found = plan.scope.within(found, members.vectors, slate.title_ids)
    standing = defaults[members.shelf]
    if plan.before is not None:
        policy, users = plan.policy, batch.column("user_key").to_pylist()
        held = same_period(policy.salt, users, plan.before.as_of, policy.taste_as_of, policy.stay_days)
        shown, features = plan.before.shown(batch), np.asarray(slate.arrays["features"])
        found = stayed(
            found, standing, shown, held, members.taste, members.cell, level, features, plan.stay_gain
        )  # fmt: skip
    found = within_limits(found, standing, plan.limits)
    texts, reason = member_reasons(slate.arrays, members.vectors, found, plan.feature_names, plan.member_names)
    each = np.bincount(found.member, minlength=batch.num_rows)
    rows = np.flatnonzero((each > 0) | (members.segment >= 0)) if version is None else np.arange(batch.num_rows)
    counts = each[rows]
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    kept = pa.array(rows)
    lists = {
        "title_ids": pa.array(slate.title_ids, pa.string()).take(pa.array(found.title)),
        "artwork_ids": pa.array(slate.artwork_ids, pa.string()).take(pa.array(found.artwork)),
        "gains": pa.array(found.gain.astype(np.float32)),
        "reasons": pa.array(texts, pa.string()).take(pa.array(reason)),
    }
    if version is None:
        version = days_of(plan.policy.taste_as_of)
    nowhere = members.segment[rows] < 0
    return pa.RecordBatch.from_pydict(
        {
            "policy_id": pa.array([plan.policy.policy_id] * len(rows), pa.string()),
            "user_key": batch.column("user_key").take(kept),
            "user_bucket": batch.column("user_bucket").take(kept),
            "version": pa.array([version] * len(rows), pa.int64()),
            "region": batch.column("region").take(kept),
            **{name: pa.ListArray.from_arrays(offsets, values) for name, values in lists.items()},
            "segment": pa.array(plan.segments.names, pa.string()).take(pa.array(members.segment[rows], mask=nowhere)),
        }
    )
