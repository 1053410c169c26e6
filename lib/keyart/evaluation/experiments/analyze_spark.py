"""analyze-experiment: from decisions and events to rows of experiment_results, in one pass over the members."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from keyart.errors import ConfigError, ModelError
from keyart.evaluation.estimators import Moments
from keyart.evaluation.experiments.artworks_spark import artwork_rows
from keyart.evaluation.experiments.comparison import flat, unflat
from keyart.evaluation.experiments.design import Design
from keyart.evaluation.experiments.findings import experiment_rows
from keyart.evaluation.experiments.gathered import ALL, Gathered, effect_of, variants
from keyart.evaluation.experiments.members import by_day, exposed_members
from keyart.evaluation.experiments.metrics import metric_named, place
from keyart.evaluation.experiments.pass_spark import EPOCH, Key, add_up, days_of, member_days
from keyart.evaluation.experiments.quantiles import Sketch, grid
from keyart.evaluation.experiments.randomisation import OUTSIDE
from keyart.policy.columns import owners, per_text
from keyart.schemas import TABLES
from keyart.settings import ExperimentSettings, Settings
from keyart.tables import Tables

__all__ = ["analyse", "gather", "registered", "write_results"]

THRESHOLDS = grid(0.1, 1000.0, 200)
"""Minutes."""


def registered(tables: Tables, experiment_id: str) -> Design:
    """The design as registered; ConfigError where there is none of that name."""
    rows = tables.read_or_empty("experiments")
    found = rows.where(F.col("experiment_id") == experiment_id).first()
    if found is None:
        known = ", ".join(row[0] for row in rows.select("experiment_id").orderBy("experiment_id").limit(20).collect())
        raise ConfigError(
            f"experiment.experiment_id is {experiment_id!r}; registered are: "
            f"{known or 'none (keyart experiment register)'}"
        )
    return Design.parse(found.asDict(recursive=True))


def analyse(tables: Tables, settings: Settings) -> list[dict[str, Any]]:
    """Rows of experiment_results; ModelError where no decision of the experiment has matured."""
    design = registered(tables, settings.experiment.experiment_id)
    found = gather(tables, design, settings.experiment)
    if not any(effect_of(found, metric_named(design.metric), arm) for arm in variants(design)):
        raise ModelError(
            f"experiment {design.experiment_id}: control or every variant has fewer than two members with matured "
            "decisions; ingest later logs"
        )
    smallest = settings.privacy.smallest_cell
    rows = experiment_rows(design, found, settings.experiment.quantiles, smallest)
    if settings.experiment.artworks:
        days = (F.col("epoch") >= F.lit(design.from_day)) & (F.col("epoch") < F.lit(_end(tables, design)))
        rows += artwork_rows(tables.read("decisions").where(days), design, smallest, rows[0]["sample_ratio_p"])
    return rows


def write_results(tables: Tables, rows: list[dict[str, Any]]) -> None:
    """Replace what was known about the experiment."""
    schema = TABLES["experiment_results"].schema
    frame = tables.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)
    tables.replace("experiment_results", frame, f"experiment_id = '{rows[0]['experiment_id']}'")


def gather(tables: Tables, design: Design, settings: ExperimentSettings) -> Gathered:
    """One pass: moments by arm and segment, by day since exposure, and sketches of minutes a take."""
    decisions = tables.read("decisions")
    end = _end(tables, design)
    events = tables.read("events") if tables.exists("events") else None
    start, before = _number(design.from_day), settings.before_days
    members = member_days(decisions, events, _day(start - before), design.from_day, end, variants=design.variants)
    worker = _Worker(design, start, _number(end), before, settings.novelty_days)
    sums = add_up(members, worker.judge)
    moments = {(arm, name): unflat(v) for (kind, arm, name), v in sums.items() if kind == "totals"}
    days = {arm: unflat(v) for (kind, arm, _), v in sums.items() if kind == "days"}
    sketches = {arm: Sketch.unflat(v) for (kind, arm, _), v in sums.items() if kind == "minutes"}
    return Gathered(moments, days, sketches, THRESHOLDS, worker.end - worker.start)


class _Worker:
    """What a worker does with a batch of members; catalogue-free and small, handed over by closure."""

    def __init__(self, design: Design, start: int, end: int, before: int, novelty_days: int) -> None:
        self.split, self.metric = design.split, metric_named(design.metric)
        self.start, self.end, self.before = start, end, before
        self.most = max(1, min(novelty_days, end - start))

    def judge(self, batch: pa.RecordBatch) -> Iterator[tuple[Key, np.ndarray]]:
        """Vectors of sums by key."""
        arms = self.split.arms(batch.column("user_key").to_pylist())
        inside = arms != OUTSIDE
        batch, arms = batch.filter(pa.array(inside)), arms[inside]
        if not batch.num_rows:
            return
        days = days_of(batch, arms)
        exposed = exposed_members(days, self.start, self.end, self.before)
        arm = arms[exposed.member]
        curve = by_day(days, exposed, self.metric, self.end, self.most)
        for segment, rows in self._segments(batch, exposed.member, exposed.columns):
            for one in np.unique(arm[rows]):
                mine = rows[arm[rows] == one]
                yield ("totals", int(one), segment), flat(Moments.of(exposed.columns[mine]))
                if segment == ALL and curve is not None:
                    yield ("days", int(one), ALL), flat(Moments.of(curve[mine]))
        minutes = batch.column("minutes")
        owner, values = owners(minutes), np.asarray(minutes.flatten(), dtype=np.float64)
        for one in np.unique(arms):
            mine = arms[owner] == one
            if mine.any():
                yield ("minutes", int(one), ALL), Sketch.of(values[mine], owner[mine], THRESHOLDS).flat()

    @staticmethod
    def _segments(batch: pa.RecordBatch, member: np.ndarray, columns: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Names and rows of the segments, by what was so before the experiment could change it."""
        yield ALL, np.arange(len(member))
        context = batch.column("context")
        for dimension in ("region", "device"):
            code, names = per_text(context.field(dimension).take(pa.array(member)))
            for i, name in enumerate(names):
                yield f"{dimension}={name}", np.flatnonzero(code == i)
        known = columns[:, place("before_active_days")] > 0
        yield "activity=before", np.flatnonzero(known)
        yield "activity=new", np.flatnonzero(~known)


def _end(tables: Tables, design: Design) -> date:
    """The day after the last one with matured decisions, not after the experiment's own end."""
    matured = tables.read("decisions").where(F.col("reward").isNotNull())
    last = matured.agg(F.max(F.unix_date("epoch"))).first()
    if last is None or last[0] is None or last[0] < _number(design.from_day):
        raise ModelError(f"no decision since {design.from_day} has matured; ingest later logs")
    end = _day(last[0] + 1)
    return min(end, design.to_day) if design.to_day else end


def _number(day: date) -> int:
    return (day - EPOCH).days


def _day(number: int) -> date:
    return date.fromordinal(EPOCH.toordinal() + number)
