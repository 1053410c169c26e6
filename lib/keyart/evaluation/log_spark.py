"""What an evaluation asks of the log: which decisions count, what lies outside, candidate sets, rates by fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.evaluation.examination import CandidateSets
from keyart.evaluation.reward_model import cross_fitted_rates, response_rates
from keyart.evaluation.targets import METRICS
from keyart.feedback.windows import Windows

__all__ = [
    "About",
    "about",
    "candidate_sets",
    "coded",
    "fitted_rates",
    "judged",
    "member_code",
    "raw_about",
    "raw_rates",
    "raw_sets",
]

MOST_WEIGHT = 20.0
"""Of a decision in the rates, relative to an even draw."""


def _matured(first: date, end: date) -> Column:
    """Whether a decision lies in [first, end) and its outcome is final; already started titles are apart."""
    days = (F.col("epoch") >= F.lit(first)) & (F.col("epoch") < F.lit(end))
    return days & F.col("reward").isNotNull() & ~F.col("already_started")


SINGLE = "size(candidate_set) < 2"
FALLBACK = f"NOT ({SINGLE}) AND NOT array_contains(candidate_set, artwork_id)"
PINNED = f"NOT ({SINGLE}) AND array_contains(candidate_set, artwork_id) AND propensity >= 1"
OUTSIDE = {"single": SINGLE, "pinned": PINNED, "fallback": FALLBACK}
"""Why nothing was drawn, as SQL conditions of which at most one holds."""
DRAWN = f"NOT ({' OR '.join(f'({why})' for why in OUTSIDE.values())})"


def judged(decisions: DataFrame, first: date, end: date) -> DataFrame:
    """Matured decisions of [first, end) that were drawn: more than one artwork, none pinned, what was served among the
    candidates."""
    return decisions.where(_matured(first, end)).where(DRAWN)


@dataclass(frozen=True)
class About:
    """What is known of the log besides the decisions that are judged."""

    first_days: dict[str, date]  # of each title's first decision
    regions: tuple[str, ...]
    outside: dict[str, float | None]  # shares of the matured decisions of the test days, by why nothing was drawn
    earlier_rate: float | None = None  # takes a drawn decision between t0 and t1

    @property
    def start(self) -> date:
        """The log's first day."""
        return min(self.first_days.values())


def raw_about(decisions: DataFrame, windows: Windows) -> list[Any]:
    """By title: first day, regions, matured decisions of the test days and those of OUTSIDE, drawn decisions of the
    days before and their takes; one aggregation."""
    inside = _matured(windows.t1, windows.end)
    earlier = _matured(windows.t0, windows.t1) & F.expr(DRAWN)
    shares = [F.count_if(inside & F.expr(why)).alias(name) for name, why in OUTSIDE.items()]
    return (
        decisions.groupBy("title_id")
        .agg(
            F.min("epoch").cast("string").alias("first"),
            F.collect_set("region").alias("regions"),
            F.count_if(inside).alias("n"),
            F.count_if(earlier).alias("earlier"),
            F.sum(F.when(earlier, F.col("take")).otherwise(0)).cast("double").alias("earlier_takes"),
            *shares,
        )
        .collect()
    )


def about(rows: Sequence[Any]) -> About:
    """From ``raw_about``."""
    n = sum(row["n"] for row in rows)
    outside = {f"outside_{name}": sum(row[name] for row in rows) / n if n else None for name in OUTSIDE}
    regions = sorted({region for row in rows for region in row["regions"]})
    earlier, takes = (sum(row[name] for row in rows) for name in ("earlier", "earlier_takes"))
    first_days = {row["title_id"]: date.fromisoformat(row["first"]) for row in rows}
    return About(first_days, tuple(regions), outside, takes / earlier if takes else None)


def _set_hash() -> Column:
    """Of title, candidates and which of them could be shown: as many as the catalogue had, not one a decision."""
    some = F.xxhash64("title_id", "candidate_set", F.transform("candidate_propensities", lambda p: p > 0))
    # Nearly all: a lambda an element is what takes time here.
    return F.when(F.array_min("candidate_propensities") > 0, F.xxhash64("title_id", "candidate_set")).otherwise(some)


def raw_sets(decisions: DataFrame) -> list[Any]:
    """The distinct candidate sets as rows: set, title_id, candidate_set, support."""
    can = F.transform("candidate_propensities", lambda p: p > 0)
    return (
        decisions.groupBy(_set_hash().alias("set"))
        .agg(
            F.first("title_id").alias("title_id"),
            F.first("candidate_set").alias("candidate_set"),
            F.first(can).alias("support"),
        )
        .collect()
    )


def candidate_sets(rows: Sequence[Any], artwork_ids: Sequence[str], title_ids: Sequence[str]) -> CandidateSets:
    """``raw_sets`` as codes; ModelError where there is no set."""
    if not rows:
        raise ModelError("no decision of the test days had a choice")
    ordered = sorted(rows, key=lambda row: row["set"])
    artwork, title = ({name: i for i, name in enumerate(names)} for names in (artwork_ids, title_ids))
    return CandidateSets(
        np.array([row["set"] for row in ordered], dtype=np.int64),
        np.array([title[row["title_id"]] for row in ordered]),
        np.concatenate([[0], np.cumsum([len(row["candidate_set"]) for row in ordered])]),
        np.array([artwork[name] for row in ordered for name in row["candidate_set"]]),
        np.array([can for row in ordered for can in row["support"]], dtype=bool),
    )


def fold_of(folds: int, seed: int) -> Column:
    """A member's fold by a keyed hash of the user_key."""
    return F.pmod(F.xxhash64(F.lit(f"fold {seed}"), "user_key"), F.lit(folds)).cast("int")


def raw_rates(decisions: DataFrame, folds: int, seed: int) -> list[Any]:
    """Weighted counts and sums of the metrics by fold, region and artwork, as an even draw would have shown them."""
    even = F.least(1.0 / F.size("candidate_set") / F.col("propensity"), F.lit(MOST_WEIGHT))
    sums = [F.sum(even).alias("n"), *(F.sum(even * F.col(metric)).alias(metric) for metric in METRICS)]
    return decisions.groupBy(fold_of(folds, seed).alias("fold"), "region", "artwork_id").agg(*sums).collect()


def fitted_rates(
    rows: Sequence[Any],
    folds: int,
    regions: Sequence[str],
    artwork_ids: Sequence[str],
    title_of: np.ndarray,
    titles: int,
    scores: np.ndarray | None,
) -> np.ndarray:
    """Rates (folds, R, A, metrics) from ``raw_rates``: cross-fitted, or with ``scores`` (R, A) the response model's."""
    place = {artwork: i for i, artwork in enumerate(artwork_ids)}
    row_of = {region: i for i, region in enumerate(regions)}
    counts = np.zeros((1 + len(METRICS), folds, len(regions), len(artwork_ids)))
    for row in rows:
        if row["artwork_id"] in place and row["region"] in row_of:
            at = row["fold"], row_of[row["region"]], place[row["artwork_id"]]
            counts[(slice(None), *at)] = row["n"], *(row[metric] for metric in METRICS)
    if scores is None:
        fitted = [cross_fitted_rates(counts[0], successes, title_of, titles) for successes in counts[1:]]
    else:
        fitted = [response_rates(counts[0, 0], s[0], title_of, titles, scores) for s in counts[1:]]
    return np.stack(fitted, axis=3)


def member_code(seed: int) -> Column:
    """A member as 64 bits: what blocks, folds and bootstrap know of them. Two of 10^8 members have the same with a
    chance of 0.03%, and would count as one."""
    return F.xxhash64(F.lit(f"bootstrap {seed}"), "user_key")


def coded(decisions: DataFrame, folds: int, seed: int, held_out: int) -> DataFrame:
    """What blocks need of a decision: numbers, and the candidate set as its hash."""
    best = F.array_position("candidate_propensities", F.array_max("candidate_propensities")) - 1
    return decisions.select(
        member_code(seed).alias("code"),
        fold_of(folds, seed).cast("byte").alias("fold"),
        (F.col("user_bucket") < held_out).alias("held"),
        "epoch",
        "region",
        "device",
        "day_part",
        "kids",
        _set_hash().alias("set"),
        (F.array_position("candidate_set", F.col("artwork_id")) - 1).cast("short").alias("slot"),
        best.cast("short").alias("best"),
        "propensity",
        F.col("reward").cast("double").alias("reward"),
        F.col("take").cast("double").alias("take"),
    )
