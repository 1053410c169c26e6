"""``keyart status``: what became of the newest run, stage by stage, as one screen or as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from textwrap import wrap
from typing import Any

__all__ = ["Screen", "StageLine", "as_json", "as_text", "is_alive", "screen_of"]

SILENT = 5
"""Heartbeats that a running stage may miss before it counts as interrupted."""
WIDTH = 100
WORDS = {"skipped": "up to date"}
ROW = "{:<16} {:<11} {:>5} {:>6} {:>13} {:>9}  {}"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class StageLine:
    """What is known of a stage. ``seconds`` of the work: so far, of this run, or of the one that did it last;
    ``last_seconds`` is how long an earlier run took, where this one has not finished it."""

    stage: str
    state: str
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    last_seconds: float | None
    rows: int | None
    written: Mapping[str, int]
    cost: float | None
    tasks_done: int | None
    tasks: int | None
    error: str | None


@dataclass(frozen=True)
class Screen:
    """A run and its stages, as of ``now``. ``settled`` of ``of`` stages need nothing more."""

    tables: str
    now: datetime
    run_id: str | None
    state: str
    started_at: datetime | None
    seconds: float
    cost: float | None
    settled: int
    of: int
    stages: Sequence[StageLine]


def screen_of(
    tables: str, jobs: Sequence[str], last: Mapping[str, Row], done: Mapping[str, Row], now: datetime, beat: float
) -> Screen:
    """What to show of ``stage_runs``: of each stage the newest row of any run (``last``), and the newest done.

    A stage that says it runs was interrupted where a newer run began or it was silent for SILENT beats of ``beat``
    seconds.
    """
    newest = max(last.values(), key=lambda row: (row["started_at"], row["run_id"]), default=None)
    run_id = newest["run_id"] if newest else None
    alive = any(row["run_id"] == run_id and is_alive(row, now, beat) for row in last.values())
    order = {job: place for place, job in enumerate(jobs)}
    named = sorted({*jobs, *last}, key=lambda job: (order.get(job, len(order)), job))
    lines = [_line(job, last.get(job), done.get(job), run_id, alive, now, beat) for job in named]
    mine = [line for line in lines if line.stage in last and last[line.stage]["run_id"] == run_id]
    begun = [row["started_at"] for row in last.values() if row["run_id"] == run_id]
    over = [row["at"] for row in last.values() if row["run_id"] == run_id]
    costs = [line.cost for line in mine if line.cost is not None and line.state in ("done", "failed")]
    states = {line.state for line in mine}
    worst = next((state for state in ("failed", "interrupted") if state in states), "done" if mine else "never run")
    start = min(begun, default=None)
    return Screen(
        tables=tables,
        now=now,
        run_id=run_id,
        state="running" if alive else worst,
        started_at=start,
        seconds=((now if alive else max(over)) - start).total_seconds() if start else 0.0,
        cost=sum(costs) if costs else None,
        settled=sum(line.state in ("done", "skipped") for line in mine),
        of=len(lines) if alive else len(mine),
        stages=lines,
    )


def is_alive(row: Row, now: datetime, beat: float) -> bool:
    """Whether a stage says it runs, and was heard of within SILENT beats of ``beat`` seconds."""
    return bool(row["state"] == "running" and now - row["at"] <= timedelta(seconds=SILENT * beat))


def _line(
    job: str, row: Row | None, done: Row | None, run_id: str | None, alive: bool, now: datetime, beat: float
) -> StageLine:
    same = row is not None and done is not None and row["run_id"] == done["run_id"]
    before = done["seconds"] if done and not same else None
    if row is None or (row["run_id"] != run_id and row["state"] != "running" and alive):
        # This run has not come to it; whether it will, only the run knows.
        shown = done or {}
        state = "waiting" if alive else "never run"
        return _made(job, state, shown, shown.get("seconds"), before, None)
    state = row["state"]
    if state == "running" and (row["run_id"] != run_id or not is_alive(row, now, beat)):
        state = "interrupted"
    if state == "running":
        return _made(job, state, row, (now - row["started_at"]).total_seconds(), before, row["error"])
    figures = done if state == "skipped" and done else row
    return _made(job, state, figures, figures["seconds"], before, row["error"])


def _made(job: str, state: str, row: Row, seconds: float | None, before: float | None, error: str | None) -> StageLine:
    running = state in ("running", "interrupted")
    return StageLine(
        stage=job,
        state=state,
        started_at=row.get("started_at"),
        finished_at=row.get("finished_at"),
        seconds=seconds,
        last_seconds=before,
        rows=row.get("rows"),
        written={one["table"]: one["rows"] for one in row.get("written") or ()},
        cost=row.get("cost"),
        tasks_done=row.get("tasks_done") if running else None,
        tasks=row.get("tasks") if running else None,
        error=error,
    )


def as_json(screen: Screen) -> str:
    """The screen as JSON; times as ISO in UTC, costs in the currency of the settings."""
    return json.dumps(asdict(screen), indent=2, default=lambda value: value.isoformat())


def as_text(screen: Screen) -> str:
    """The screen as text of at most WIDTH columns."""
    if screen.run_id is None:
        lines = [f"no run of run-pipeline yet under {screen.tables}"]
    else:
        cost = "" if screen.cost is None else f", cost {screen.cost:,.2f}"
        lines = [
            f"run {screen.run_id}: {screen.state}, {screen.settled} of {screen.of} stages settled, "
            f"{_span(screen.seconds)}{cost}",
            f"began {_moment(screen.started_at)}, now {_moment(screen.now)}; tables {screen.tables}",
            "",
            ROW.format("stage", "state", "took", "before", "rows written", "cost", "").rstrip(),
        ]
        lines += [_text(line) for line in screen.stages]
        for line in screen.stages:
            if line.state == "failed":
                lines += ["", *wrap(f"{line.stage} failed: {line.error}", WIDTH, subsequent_indent="  ")]
    return "\n".join(line if len(line) <= WIDTH else line[: WIDTH - 3] + "..." for line in lines)


def _text(line: StageLine) -> str:
    if line.error and line.state == "blocked":
        rest = line.error
    elif line.state == "running":
        rest = f"{line.tasks_done} of {line.tasks} tasks" if line.tasks else f"since {_moment(line.started_at)}"
        if line.last_seconds:
            rest = f"{min(0.99, (line.seconds or 0) / line.last_seconds):.0%} by time; {rest}"
    elif line.state == "interrupted":
        rest = "run again to go on"
    else:
        rest = _moment(line.finished_at)
    return ROW.format(
        line.stage,
        WORDS.get(line.state, line.state),
        _span(line.seconds),
        _span(line.last_seconds),
        "-" if line.rows is None else f"{line.rows:,}",
        "-" if line.cost is None else f"{line.cost:,.2f}",
        rest,
    ).rstrip()


def _moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if value else "-"


def _span(seconds: float | None) -> str:
    """Short: 48s, 10m, 1h30.

    >>> _span(48.2), _span(600), _span(5400), _span(None)
    ('48s', '10m', '1h30', '-')
    """
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    return f"{minutes}m" if minutes < 90 else f"{minutes // 60}h{minutes % 60:02d}"
