"""keyart experiment plan: what the metric looks like in the logs, in windows of several lengths, in one pass."""

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from keyart.errors import ConfigError
from keyart.evaluation.estimators import Moments
from keyart.evaluation.experiments.comparison import flat, ratio, unflat
from keyart.evaluation.experiments.design import Design
from keyart.evaluation.experiments.members import exposed_members
from keyart.evaluation.experiments.metrics import Metric, unit
from keyart.evaluation.experiments.pass_spark import EPOCH, Key, add_up, days_of, member_days
from keyart.evaluation.experiments.power import Baseline
from keyart.schemas import TABLES
from keyart.tables import Tables

__all__ = ["WINDOWS", "baseline_of", "baselines", "register"]

WINDOWS = (7, 14, 21, 28, 42, 56)
"""Days; a week is the shortest, for weekends are not like other days."""


def baseline_of(moments: Moments, metric: Metric, days: int) -> Baseline:
    """Mean, standard deviation and correlation with the time before, of a ratio's contribution by member."""
    y = ratio(moments, unit(metric.top), unit(metric.bottom))
    lines = [y.gradient]
    if metric.covariate:
        lines.append(ratio(moments, unit(metric.covariate[0]), unit(metric.covariate[1])).gradient)
    joint = np.stack(lines) @ moments.covariance() @ np.stack(lines).T
    known = len(lines) == 2 and np.isfinite(joint).all() and joint[1, 1] > 0 and joint[0, 0] > 0
    correlation = float(joint[0, 1] / np.sqrt(joint[0, 0] * joint[1, 1])) if known else 0.0
    return Baseline(days, moments.members, y.value, float(np.sqrt(joint[0, 0] * moments.members)), correlation)


def baselines(tables: Tables, metrics: Sequence[Metric]) -> dict[str, list[Baseline]]:
    """The metrics in the last days of the logs, by window that these cover; none without matured decisions."""
    decisions = tables.read_or_empty("decisions")
    matured = decisions.where(F.col("reward").isNotNull())
    row = matured.agg(F.min(F.unix_date("epoch")), F.max(F.unix_date("epoch"))).first()
    if row is None or row[0] is None:
        return {metric.name: [] for metric in metrics}
    first, end = int(row[0]), int(row[1]) + 1
    windows = [days for days in WINDOWS if days <= end - first] or [end - first]
    longest = windows[-1]
    events = tables.read("events") if tables.exists("events") else None

    def judge(batch: pa.RecordBatch) -> Iterator[tuple[Key, np.ndarray]]:
        days = days_of(batch)
        for window in windows:
            moments = Moments.of(exposed_members(days, end - window, end, window).columns)
            yield ("window", window, "*"), flat(moments)

    members = member_days(decisions, events, _day(end - 2 * longest), _day(end - longest), _day(end))
    added = add_up(members, judge).items()
    sums = [(window, unflat(v)) for (_, window, _), v in sorted(added, key=lambda one: one[0]) if v[0] >= 2]
    return {
        metric.name: [
            baseline_of(moments, metric, window)
            for window, moments in sums
            if metric.top != "titles" or window == longest  # titles of a short window are not told from a long one's
        ]
        for metric in metrics
    }


def register(tables: Tables, design: Design) -> None:
    """Write the experiment's row; one of the same id is replaced, unless it was analysed: ConfigError."""
    schema, row = TABLES["experiments"].schema, design.row()
    mine = F.col("experiment_id") == design.experiment_id
    before = tables.read_or_empty("experiments").where(mine).first()
    changed = before is not None and before.asDict(recursive=True) != row
    if changed and tables.read_or_empty("experiment_results").where(mine).first() is not None:
        raise ConfigError(
            f"experiment {design.experiment_id} was analysed already: what it is judged by is settled; "
            "set another experiment.experiment_id"
        )
    frame = tables.spark.createDataFrame([tuple(row[name] for name in schema.names)], schema)
    tables.replace("experiments", frame, f"experiment_id = '{design.experiment_id}'")


def _day(number: int) -> date:
    return date.fromordinal(EPOCH.toordinal() + number)
