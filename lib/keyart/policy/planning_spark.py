"""What an assignment is computed from, read from models and tables; the policy gets its name here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.feedback.spark import opted_in, windows_of
from keyart.learning.calibration import Calibration
from keyart.learning.newest_spark import newest_vectors
from keyart.policy.assignment import Slate, build_slate
from keyart.policy.budget import floor_within
from keyart.policy.contexts import ANYWHERE, PolicyContexts
from keyart.policy.exploration import Exploration, chosen
from keyart.policy.floors import NO_FLOOR, Floor
from keyart.policy.levels import GLOBAL, Levels
from keyart.policy.limiting import Limits
from keyart.policy.limits import is_available
from keyart.policy.limits_spark import limits_for, with_looks
from keyart.policy.placement import Placed, Placement, Shelves, place
from keyart.policy.placement_spark import day_of, placement_of
from keyart.policy.plan import Assignment
from keyart.policy.scope import Scope
from keyart.policy.segments_spark import learned_segments
from keyart.policy.specification import Policy, content_hash, derived_id
from keyart.policy.staying_spark import before_of, policy_before
from keyart.settings import AssignSettings, Settings
from keyart.tables import Tables
from keyart.tracking import LoadedModel, ModelArrays, Tracking

__all__ = [
    "Catalogue", "Ground", "catalogue_of", "contexts_of", "ground_of", "members_as_of", "plan_assignment", "scope_of",
]  # fmt: skip

EXPLORED = ("decisions_explored", "reward_explored")
"""Expected shares of decisions beside the best of the world's level, and of its reward that these cost."""
SEED = 7
"""Of the segments."""
GENRE = "genre "
"""Begins the names of a member's shares of genres."""
CONTRACT = ("artwork_ids", "title_ids", "cells", "feature_names", "feature_version", "taste_version", "member_names")


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
    taste_rows = members_as_of(tables, version, as_of)
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


def members_as_of(tables: Tables, version: str, as_of: date) -> DataFrame:
    """Rows of taste, the newest of each member by a day, of a version; without those who opted out."""
    taste = tables.read("taste").where(F.col("taste_version") == version)
    return opted_in(newest_vectors(taste, as_of), tables)


def scope_of(taste: LoadedModel, version: str, slate: Slate, most: int) -> Scope:
    """For which titles members may have artwork of their own; ModelError where that needs another taste model."""
    about: Mapping[str, Any] = taste.model.about
    if most and about["taste_version"] != version:
        raise ModelError(
            f"assign.likely_titles needs the titles' factors of taste {version}, which the response model was trained "
            f"on, not of {about['taste_version']}; run train-response"
        )
    return Scope.of(most, slate.title_ids, about["title_ids"], taste.model.arrays["titles"]) if most else Scope()


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
