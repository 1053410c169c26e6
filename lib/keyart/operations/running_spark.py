"""One run of the graph: each stage is run, skipped or blocked, and ``stage_runs`` hears of it."""

import importlib
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tqdm import tqdm

from keyart.alone import alone
from keyart.errors import ConfigError, KeyartError
from keyart.logs import bound, context, new_run_id
from keyart.operations.graph import Stage, behind, requirements
from keyart.operations.ledger_spark import Ledger, known
from keyart.operations.lines import one_line
from keyart.operations.metrics import write_metrics
from keyart.operations.versions_spark import Versions, input_key
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.troubles import plainly

__all__ = ["StageError", "StageResult", "run_stages"]

log = logging.getLogger(__name__)


class StageError(KeyartError):
    """A job ended with a status that is not 0."""


@dataclass(frozen=True)
class StageResult:
    """What became of a stage: done, skipped, failed or blocked; ``seconds`` of the run that did the work, this one or,
    if it was skipped, an earlier one; ``error`` in one line."""

    job: str
    seconds: float
    state: str
    error: str = ""

    @property
    def skipped(self) -> bool:
        """Whether it was up to date."""
        return self.state == "skipped"


def run_stages(
    spark: Any,
    settings: Settings,
    stages: Iterable[Stage],
    force: bool = False,
    progress: bool = True,
) -> list[StageResult]:
    """Run the stages in order and write to ``stage_runs`` what becomes of each.

    A stage whose inputs are as they were when it last finished is skipped, unless ``force``. One that fails does not
    raise: its result says why, those that depend on it are blocked, and the others go on.
    """
    run = _Run(spark, settings, list(stages), force)
    steps = tqdm(run.stages, desc="pipeline", unit="stage", disable=not progress)
    with bound(run_id=run.ledger.run_id):
        for stage in steps:
            steps.set_postfix_str(stage.job)
            with bound(stage=stage.job):
                run.take(stage)
            result = run.results[-1]
            about = {"state": result.state, "seconds": round(result.seconds, 1)}
            run.measure(stage)
            log.info("%s %s", stage.job, result.state, extra={"stage": stage.job, "data": about})
    run.ledger.flush()
    return run.results


class _Run:
    """What one call of run_stages knows while it goes."""

    def __init__(self, spark: Any, settings: Settings, stages: list[Stage], force: bool) -> None:
        self.spark, self.settings, self.stages, self.force = spark, settings, stages, force
        self.tables = Tables(spark, settings.tables)
        self.versions = Versions(self.tables)
        self.versions.look(name for stage in stages for name in (*stage.reads, *stage.writes))
        rows, beat = known(self.tables), settings.pipeline.heartbeat_seconds
        self.finished = rows.done
        if other := rows.at_work({stage.job for stage in stages}, datetime.now(UTC), beat):
            ago = (datetime.now(UTC) - other["at"]).total_seconds()
            log.warning(
                "%s was at %s %.0f s ago; if it still is, both do the same work", other["run_id"], other["stage"], ago
            )
        run_id = context().get("run_id") or new_run_id()
        self.ledger = Ledger(self.tables, run_id, settings.session, beat, rows.newest)
        self.needs = requirements(stages)
        self.results: list[StageResult] = []
        self._quarantined: dict[str, int] | None = None

    def take(self, stage: Stage) -> None:
        """Run the stage, or say why not."""
        down = {result.job: result.state for result in self.results if result.state in ("failed", "blocked")}
        broken = () if stage.anyway else behind(stage.job, self.needs, down)
        if broken:
            self.ledger.blocked(stage.job, broken)
            self._result(stage, 0.0, "blocked", f"needs {', '.join(broken)}")
            return
        started, clock = datetime.now(UTC), time.monotonic()
        try:
            read = {name: self.versions[name].data for name in stage.reads}
            known = self.finished.get(stage.job)
            if known and not self.force and known["input_key"] == self._key(stage, read):
                self.ledger.skipped(stage.job, known["seconds"])
                self._result(stage, known["seconds"], "skipped")
                return
            with self.ledger.running(stage.job, started):
                written = self._work(stage)
            seconds = time.monotonic() - clock
            # Tables that it completes, as they are now; all others as they were before, for they may have grown since.
            read |= {name: self.versions[name].data for name in stage.writes if name in read}
            key = self._key(stage, read)
        except Exception as error:  # whatever a stage raises, the others go on
            seconds, line = time.monotonic() - clock, one_line(error)
            log.error("%s failed: %s", stage.job, line, exc_info=error, extra={"quiet": True})
            self.ledger.failed(stage.job, started, seconds, line)
            self._result(stage, seconds, "failed", line)
            return
        self.finished[stage.job] = self.ledger.done(stage.job, started, seconds, key, written)
        self._result(stage, seconds, "done")

    def measure(self, stage: Stage) -> None:
        """Write ``metrics.file``, where the settings name one."""
        if not self.settings.metrics.file:
            return
        if self._quarantined is None or "quarantine" in stage.writes:
            rows = self.tables.read_or_empty("quarantine").groupBy("reason").count().collect()
            self._quarantined = {row["reason"]: row["count"] for row in rows}
        states = {result.job: result.state for result in self.results}
        try:
            write_metrics(self.settings.metrics.file, self.finished, states, self._quarantined)
        except ConfigError as error:  # a full disk over there is no reason to stop here
            log.warning("%s", error)

    def _work(self, stage: Stage) -> dict[str, int]:
        """Run the job; returns the rows it wrote, by table."""
        job = importlib.import_module(f"keyart.jobs.{stage.job.replace('-', '_')}")
        with plainly(self.settings.tables), alone(stage.job, self.settings.tables):
            status = job.run(self.spark, self.settings)
        written = self.versions.written(stage.writes)
        if status and not (stage.answers and status == 1):
            raise StageError(f"{stage.job} ended with status {status}; what it printed says why")
        return written

    def _key(self, stage: Stage, read: Mapping[str, int | None]) -> str:
        models = {job: self.finished.get(job, {}).get("run_id") for job in stage.after}
        return input_key(stage, self.settings, self.tables, read, models)

    def _result(self, stage: Stage, seconds: float, state: str, error: str = "") -> None:
        self.results.append(StageResult(stage.job, seconds, state, error))
