"""The table ``stage_runs``: every state that a stage of a run reached is one appended row.

Appends never conflict and are cheap, and wherever a run is killed the rows before are whole. Of a stage in a run the
newest row counts; all but "running" are its last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import functions as F

from keyart.clock import after, instant
from keyart.operations.heartbeat import beating
from keyart.operations.status import is_alive
from keyart.schemas import STAGE_RUNS
from keyart.session import cores, tasks_under_way
from keyart.settings import SessionSettings
from keyart.tables import Tables

__all__ = ["TABLE", "Known", "Ledger", "known"]

TABLE = "stage_runs"
INSTANTS = ("at", "started_at", "finished_at")


@dataclass(frozen=True)
class Known:
    """Rows by stage: the newest of any run, and the newest that is "done"."""

    last: dict[str, dict[str, Any]]
    done: dict[str, dict[str, Any]]

    @property
    def newest(self) -> datetime | None:
        """When the newest row was written."""
        return max((row["at"] for row in self.last.values()), default=None)

    def at_work(self, stages: Collection[str], now: datetime, beat: float) -> dict[str, Any] | None:
        """The row of one of ``stages`` that another run seems to be at, if there is one."""
        return next((row for row in self.last.values() if row["stage"] in stages and is_alive(row, now, beat)), None)


def known(tables: Tables) -> Known:
    """What the table says of the stages."""
    # At the same instant, whatever ended comes after what began.
    order = F.struct("at", F.col("state") != "running", "run_id")
    # As numbers: a collected timestamp is in the driver's own time zone.
    rows = tables.read_or_empty(TABLE).withColumns({name: F.unix_micros(name) for name in INSTANTS})
    whole = F.struct("*")
    newest = rows.groupBy("stage").agg(
        F.max_by(whole, order).alias("last"), F.max_by(whole, F.when(F.col("state") == "done", order)).alias("done")
    )
    found: tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]] = ({}, {})
    for row in newest.collect():
        for kind, name in zip(found, ("last", "done"), strict=True):
            if row[name] is not None:
                one = row[name].asDict(recursive=True)
                kind[row["stage"]] = one | {name: instant(one[name]) for name in INSTANTS}
    return Known(*found)


@dataclass
class Ledger:
    """Writes what becomes of the stages of one run. Rows of stages that did not run wait for the next write."""

    tables: Tables
    run_id: str
    session: SessionSettings
    heartbeat_seconds: float
    newest: datetime | None = None
    """Of earlier rows. Rows of this run come after it, also where the clock went back: the newest row counts."""
    _waiting: list[dict[str, Any]] = field(default_factory=list)

    def running(self, stage: str, started: datetime) -> Any:
        """Write that the stage runs, now and with every heartbeat until the ``with`` block is left."""
        self._write(stage, "running", started)
        return beating(lambda: self._beat(stage, started), self.heartbeat_seconds)

    def done(
        self, stage: str, started: datetime, seconds: float, input_key: str, written: Mapping[str, int]
    ) -> dict[str, Any]:
        """Write that the stage has finished, and what it wrote; returns the row."""
        row = self._row(
            stage,
            "done",
            started,
            seconds=seconds,
            input_key=input_key,
            written=[{"table": table, "rows": count} for table, count in sorted(written.items())],
            rows=sum(written.values()),
            cost=self._cost(seconds),
        )
        self._waiting.append(row)
        self.flush()
        return row

    def failed(self, stage: str, started: datetime, seconds: float, error: str) -> None:
        """Write that the stage has failed, and why."""
        self._write(stage, "failed", started, seconds=seconds, error=error, cost=self._cost(seconds))

    def skipped(self, stage: str, seconds: float | None) -> None:
        """Note that the stage is up to date; ``seconds`` are those of the run that did the work."""
        self._note(stage, "skipped", datetime.now(UTC), seconds=seconds)

    def blocked(self, stage: str, behind: Sequence[str]) -> None:
        """Note that the stage cannot run because others failed."""
        self._note(stage, "blocked", datetime.now(UTC), error=f"needs {', '.join(behind)}")

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            rows, self._waiting = self._waiting, []
            self._append(rows)

    def _append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        values = [tuple(row[name] for name in STAGE_RUNS.names) for row in rows]
        self.tables.append(TABLE, self.tables.spark.createDataFrame(values, STAGE_RUNS))

    def _beat(self, stage: str, started: datetime) -> None:
        done, tasks = tasks_under_way(self.tables.spark) or (None, None)
        seconds = max(0.0, (datetime.now(UTC) - started).total_seconds())
        self._append([self._row(stage, "running", started, seconds=seconds, tasks_done=done, tasks=tasks)])

    def _write(self, stage: str, state: str, started: datetime, **rest: Any) -> None:
        self._note(stage, state, started, **rest)
        self.flush()

    def _note(self, stage: str, state: str, started: datetime, **rest: Any) -> None:
        self._waiting.append(self._row(stage, state, started, **rest))

    def _row(self, stage: str, state: str, started: datetime, **rest: Any) -> dict[str, Any]:
        now = self.newest = after(self.newest)
        known = {
            "run_id": self.run_id,
            "stage": stage,
            "state": state,
            "at": now,
            "started_at": started,
            "finished_at": None if state == "running" else now,
            "written": [],
        }
        return dict.fromkeys(STAGE_RUNS.names) | known | rest

    def _cost(self, seconds: float) -> float | None:
        number = self.session.cores or cores(self.tables.spark)
        if not number or not self.session.cost_per_core_hour:
            return None
        return seconds / 3600 * number * self.session.cost_per_core_hour
