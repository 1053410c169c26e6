"""What an evaluation needs before it reads a decision: policies, models, candidate sets, rates; no member."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import ConfigError, ModelError
from keyart.evaluation.blocks_spark import remembered, source_of
from keyart.evaluation.examination import SLICES, Examination
from keyart.evaluation.log_spark import (
    About,
    about,
    candidate_sets,
    fitted_rates,
    judged,
    raw_about,
    raw_rates,
    raw_sets,
)
from keyart.evaluation.replay import Limits
from keyart.evaluation.reward_model import RewardModel
from keyart.evaluation.targets import BEHAVIOURS, PolicyTables, Targets, policy_tables
from keyart.feedback.spark import windows_of
from keyart.feedback.windows import Windows, holdout_buckets
from keyart.policy.choices import DEFAULTS, RANKED, GreedyChoices, Kept
from keyart.policy.contexts import EVERY, OF_STREAM
from keyart.policy.levels import SEGMENT, Levels
from keyart.policy.placement import Placement
from keyart.policy.placement_spark import placement_of
from keyart.policy.spark import assigned_on, newest_policy
from keyart.policy.specification import Policy
from keyart.settings import EvaluateSettings, Settings
from keyart.tables import Tables
from keyart.tracking import LoadedModel, Tracking

__all__ = ["Evaluation", "folds_of", "plan_evaluation"]

log = logging.getLogger(__name__)

CONTEXT = "context"
LEAST_MISSING = 0.1
"""Probability that a draw may put on artworks which the log could not show: it is judged by the others."""


@dataclass(frozen=True)
class Evaluation:
    """What is to be evaluated, and all that the rows say of it besides figures."""

    policies: tuple[Policy, ...]
    windows: Windows
    examination: Examination
    about: About
    taste: DataFrame  # rows with vectors that the response model understands
    held_out: int
    reward_model: str
    source: str  # of the blocks
    has_blocks: bool
    found: Mapping[str, list[Any]]  # in the log, to be kept with the blocks


def plan_evaluation(tables: Tables, tracking: Tracking, settings: Settings) -> Evaluation:
    """Policies, reward model and candidate sets; ModelError where a policy, a model or a decision is missing."""
    given = settings.evaluate
    named = [newest_policy(tables, name) for name in _named(tables, given)]
    policies = tuple(policy for policy, _ in named)
    response = tracking.load("response")
    for policy, row in named:
        if response.version != json.loads(row["models"])["response"]["version"]:
            log.warning(
                "policy %s was made by an older response model; %s predicts here", policy.policy_id, response.version
            )
    decisions = tables.read("decisions")
    windows, held_out = windows_of(decisions, settings.time), holdout_buckets(settings.time)
    names = [policy.policy_id for policy in policies]
    about_blocks = (names, windows, held_out, given.folds, given.seed, response.name, response.version)
    source = source_of(tables, *about_blocks)
    before = remembered(tables, source)
    found: Mapping[str, list[Any]] = before or _searched(decisions, windows, given)
    taste, lengths = _taste(tables, response, windows)
    known = about(found["about"])
    return Evaluation(
        policies,
        windows,
        _examination(
            tables, policies, response, known, found["sets"], found["rates"], lengths, given, settings.regions
        ),
        known,
        taste,
        held_out,
        _said(response, given),
        source,
        before is not None,
        found,
    )


def _searched(decisions: DataFrame, windows: Windows, settings: EvaluateSettings) -> dict[str, list[Any]]:
    """What the log says before members are looked at: three aggregations, of the catalogue's size."""
    sets = raw_sets(judged(decisions, windows.t1, windows.end))
    if not sets:
        raise ModelError(
            f"no matured decision with a choice lies in [{windows.t1}, {windows.end}); ingest later logs or set time.t1"
        )
    end = windows.end if settings.folds >= 2 else windows.t1
    rates = raw_rates(judged(decisions, windows.t0, end), folds_of(settings), settings.seed)
    if not rates:
        raise ModelError(
            f"no matured decision lies in [{windows.t0}, {windows.t1}): nothing says what titles are worth"
        )
    return {"about": raw_about(decisions, windows), "sets": sets, "rates": rates}


def _named(tables: Tables, settings: EvaluateSettings) -> list[str]:
    """The policies to evaluate; an empty name is the newest."""
    if settings.policy_id.strip() != "all":
        return list(dict.fromkeys(name.strip() for name in settings.policy_id.split(",")))
    names = sorted(row[0] for row in tables.read_or_empty("policies").select("policy_id").collect())
    return names or [""]


def _behaviours(settings: EvaluateSettings, without: set[str]) -> tuple[str, ...]:
    """In their order; the even draw is what lifts are relative to. Those ``without`` anything of their own in any
    policy are left out. ConfigError for names that nobody knows."""
    wanted = {"uniform", *settings.behaviours}
    if unknown := wanted - set(BEHAVIOURS) | set(settings.slices) - set(SLICES):
        known = ", ".join((*BEHAVIOURS, *SLICES))
        raise ConfigError(f"evaluate.behaviours and evaluate.slices know {known}, not {', '.join(sorted(unknown))}")
    return tuple(name for name in BEHAVIOURS if name in wanted - without)


def folds_of(settings: EvaluateSettings) -> int:
    """Folds of members for the reward model; 1 where nothing is left out."""
    return settings.folds if settings.folds >= 2 else 1


def _said(response: LoadedModel, settings: EvaluateSettings) -> str:
    folds, model = settings.folds, f"{response.name} {response.version}"
    if folds >= 2:
        return f"rates cross-fitted by member over {folds} folds; {model} for held-out members"
    return f"rates from before the test days; {model} for all members"


def _taste(tables: Tables, response: LoadedModel, windows: Windows) -> tuple[DataFrame, tuple[int, int]]:
    """Vectors that the response model understands, as of the last day before the test, and their lengths."""
    rows = tables.read("taste").where(
        (F.col("taste_version") == str(response.model.about["taste_version"])) & (F.col("as_of") <= F.lit(windows.t1))
    )
    row = rows.orderBy(F.desc("as_of")).select("as_of", F.size("factors"), F.size("genre_mix")).first()
    if row is None:  # nobody is known: the rates speak alone
        return rows, (len(response.model.arrays["weights"]), 0)
    return rows.where(F.col("as_of") == F.lit(row[0])), (int(row[1]), int(row[2]))


def _examination(
    tables: Tables,
    policies: tuple[Policy, ...],
    response: LoadedModel,
    known: About,
    sets: list[Any],
    rates: list[Any],
    lengths: tuple[int, int],
    settings: EvaluateSettings,
    parents: Mapping[str, str],
) -> Examination:
    arrays = response.model.arrays
    described: Mapping[str, Any] = response.model.about
    assigned, placement = _assigned(tables, policies), placement_of(tables)
    days = {policy.policy_id: assigned_on(tables, policy.policy_id) for policy in policies if placement.rules}
    pairs = {(row["title_id"], artwork) for row in sets for artwork in row["candidate_set"]}
    pairs |= {(row["title_id"], row["artwork_id"]) for row in assigned}
    title_by_artwork = {artwork: title for title, artwork in sorted(pairs)}
    ordered = sorted((title, artwork) for artwork, title in title_by_artwork.items())
    title_ids = tuple(sorted({title for title, _ in pairs}))
    artwork_ids = tuple(artwork for _, artwork in ordered)
    title_of = np.searchsorted(title_ids, [title for title, _ in ordered])
    place = {artwork: i for i, artwork in enumerate(described["artwork_ids"])}
    position = np.array([place.get(artwork, -1) for artwork in artwork_ids])
    scores = None if settings.folds >= 2 else _scores(response, position, known.regions, parents)
    fitted = fitted_rates(rates, folds_of(settings), known.regions, artwork_ids, title_of, len(title_ids), scores)
    contexts = (EVERY, *sorted({row["context"] for row in assigned} - {EVERY}))
    names = [str(name).removeprefix("genre ") for name in described["member_names"][lengths[0] :]]
    tables_of = tuple(
        _tables_of(policy, [row for row in assigned if row["policy_id"] == policy.policy_id],
                   artwork_ids, title_ids, title_of, known.regions, contexts, placement,
                   days.get(policy.policy_id, date.min))
        for policy in policies
    )  # fmt: skip
    without = {SEGMENT} if not any(each.segments for each in tables_of) else set()
    without |= {CONTEXT} if len(contexts) == 1 else set()
    return Examination(
        targets=Targets(tables_of, title_of, _behaviours(settings, without)),
        model=RewardModel.of(arrays, position, fitted),
        sets=candidate_sets(sets, artwork_ids, title_ids),
        artwork_ids=artwork_ids,
        title_ids=title_ids,
        regions=known.regions,
        first_days=np.array([_day(known.first_days.get(title, known.start)) for title in title_ids]),
        log_start=_day(known.start),
        arrays={name: np.array(arrays[name]) for name in ("member_mean", "member_scale")},
        lengths=lengths,
        segments=tuple(names) if len(names) == lengths[1] else (),
        of_held_out_only=settings.folds >= 2,
        slices=settings.slices,
        contexts=contexts,
        limits=Limits(
            settings.weight_clip,
            settings.weight_clip,
            1 - LEAST_MISSING,
            settings.replicates,
            settings.pages or settings.plan_width > 0,
        ),
    )


def _scores(
    response: LoadedModel, position: np.ndarray, regions: tuple[str, ...], parents: Mapping[str, str]
) -> np.ndarray:
    """(R, A) the response model's scores of regions; 0, the average, for artworks that it does not know."""
    cells: Any = response.model.about["cells"]
    levels, means = Levels.of(cells, parents), np.asarray(response.model.arrays["cell_mean"])
    rows = [means[levels.chain(region)[0]] for region in regions]
    return np.where(position >= 0, np.stack(rows)[:, position], 0.0)


def _assigned(tables: Tables, policies: tuple[Policy, ...]) -> list[Any]:
    """Rows of region_assignments of these policies, of the catalogue's size: as assigned, in no context and in those
    that a decision can be in, of which the part of the day is always known."""
    names = [policy.policy_id for policy in policies]
    rows = tables.read("region_assignments").where(F.col("policy_id").isin(names)).where(f"NOT {OF_STREAM}")
    return (
        rows.where(~F.col("context").endswith(f"|{EVERY}"))
        .select("policy_id", *DEFAULTS, "mean", "sd", "is_default")
        .collect()
    )


def _tables_of(
    policy: Policy,
    rows: list[Any],
    artwork_ids: tuple[str, ...],
    title_ids: tuple[str, ...],
    title_of: np.ndarray,
    regions: tuple[str, ...],
    contexts: tuple[str, ...],
    placement: Placement,
    day: date,
) -> PolicyTables:
    defaults = [tuple(row[name] for name in DEFAULTS) for row in rows if row["is_default"]]
    kept = Kept.of(placement, day, [tuple(row[name] for name in RANKED) for row in rows])
    choices = GreedyChoices.of(defaults, policy.parents, artwork_ids, kept)
    columns = ("level", "cell", "context", "artwork_id", "mean", "sd", "is_default")
    levels = [tuple(row[name] for name in columns) for row in rows]
    return policy_tables(
        policy.policy_id, policy.exploration, choices, levels, artwork_ids, title_ids, title_of, regions, policy.floor,
        tuple(policy.segments), contexts,
    )  # fmt: skip


def _day(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()
