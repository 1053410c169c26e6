"""The jobs as a chain: each stage runs when what it reads has changed since it last finished, else it is skipped.

What a stage reads is known by Delta versions, by the listing of a folder of films or logs, and by the settings. The key
is taken after the stage has finished, because some stages complete rows of a table that they also read.
"""

import hashlib
import importlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from keyart import __version__
from keyart.policy.placement_spark import day_of, placement_of
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["STAGES", "Stage", "StageResult", "run_stages", "stages_for"]


@dataclass(frozen=True)
class Stage:
    """A job, the tables it reads, the sections of the settings it obeys, and paths outside the tables it reads."""

    job: str
    reads: tuple[str, ...]
    sections: tuple[str, ...]
    paths: Callable[[Settings], tuple[str, ...]] = lambda settings: ()
    today: Callable[[Settings, Tables], object] = lambda settings, tables: ()
    """What else it depends on that changes by the day alone."""


STAGES: tuple[Stage, ...] = (
    Stage(
        "ingest-catalog",
        (),
        ("catalog",),
        lambda s: (s.catalog.videos, s.catalog.manifest, s.catalog.images, s.catalog.overrides),
    ),
    Stage("scan-videos", ("videos",), ("scan",)),
    Stage(
        "select-artwork", ("titles", "title_names", "videos", "candidates", "editor_overrides", "moments"), ("select",)
    ),
    Stage("ingest-events", ("titles", "artworks"), ("events", "privacy"), lambda s: (s.events.events,)),
    Stage("train-taste", ("titles", "events", "decisions", "opt_outs"), ("taste", "time", "tracking")),
    Stage(
        "train-response", ("decisions", "artworks", "taste", "opt_outs"), ("response", "time", "regions", "tracking")
    ),
    Stage(
        "assign-artwork",
        ("artworks", "taste", "editor_overrides", "opt_outs"),
        ("assign", "regions", "tracking", "responsibility"),
        today=lambda s, tables: placement_of(tables).said(day_of(s.assign)),
    ),
    Stage("evaluate-policy", ("decisions", "policies", "user_assignments"), ("evaluate", "time")),
    Stage(
        "measure-policy",
        ("decisions", "artworks", "titles", "policies", "user_assignments"),
        ("responsibility", "privacy", "time"),
    ),
    Stage(
        "promote",
        ("decisions", "policies", "user_assignments", "policy_measures", "promotions"),
        ("promote", "evaluate", "time", "responsibility", "tracking"),
    ),
    Stage(
        "build-report",
        ("titles", "artworks", "decisions", "evaluations", "user_assignments", "policy_measures", "promotions"),
        ("report",),
    ),
)
NEEDS_EVENTS = {"train-taste", "train-response", "assign-artwork", "evaluate-policy", "measure-policy", "promote"}
ANSWERS = {"promote"}
"""Stages whose status 1 is an answer (a candidate is refused), not a failure: the chain goes on and they are done."""


@dataclass(frozen=True)
class StageResult:
    """What became of a stage: ``seconds`` of the run that did the work, this one or, if ``skipped``, an earlier one."""

    job: str
    seconds: float
    skipped: bool


def stages_for(settings: Settings, tables: Tables) -> list[Stage]:
    """The stages that have something to read: without logs, now or earlier, only the films' side runs."""
    has_catalog = any(asdict(settings.catalog).values())
    has_events = bool(settings.events.events)
    learns = has_events or tables.exists("decisions")
    return [
        stage
        for stage in STAGES
        if (stage.job != "ingest-catalog" or has_catalog)
        and (stage.job != "ingest-events" or has_events)
        and (stage.job not in NEEDS_EVENTS or learns)
    ]


def run_stages(
    spark: Any,
    settings: Settings,
    stages: Iterable[Stage],
    force: bool = False,
    progress: bool = True,
) -> list[StageResult]:
    """Run the stages in order and record each in the table ``runs``; a failure stops the chain where it is.

    A stage whose inputs are as they were when it last finished is skipped, unless ``force`` or an earlier stage of this
    call did run and so may have retrained a model.
    """
    tables = Tables(spark, settings.tables)
    finished = _finished(tables)
    results: list[StageResult] = []
    fresh = force
    steps = tqdm(list(stages), desc="pipeline", unit="stage", disable=not progress)
    for stage in steps:
        steps.set_postfix_str(stage.job)
        known = finished.get(stage.job)
        if not fresh and known and known["input_key"] == input_key(stage, settings, tables):
            results.append(StageResult(stage.job, known["seconds"], skipped=True))
            continue
        start = time.monotonic()
        job = importlib.import_module(f"keyart.jobs.{stage.job.replace('-', '_')}")
        status = job.run(spark, settings)
        seconds = time.monotonic() - start
        results.append(StageResult(stage.job, seconds, skipped=False))
        fresh = True
        if not status or stage.job in ANSWERS:
            _record(tables, stage, settings, seconds)
    return results


def input_key(stage: Stage, settings: Settings, tables: Tables) -> str:
    """Hash of everything the stage reads, as it is now."""
    sections = {name: getattr(settings, name) for name in stage.sections}
    parts = [
        __version__,
        {name: tables.version(name) for name in stage.reads},
        {name: asdict(value) if hasattr(value, "__dataclass_fields__") else value for name, value in sections.items()},
        [_listing(path) for path in stage.paths(settings) if path],
        stage.today(settings, tables),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _listing(path: str) -> Sequence[object]:
    """What tells one state of a local file or folder from another; a URL stands for itself."""
    root = Path(path)
    if root.is_file():
        return [path, root.stat().st_size, root.stat().st_mtime_ns]
    files = sorted(child for child in root.rglob("*") if child.is_file()) if root.is_dir() else []
    return [path, [[str(f.relative_to(root)), f.stat().st_size, f.stat().st_mtime_ns] for f in files]]


def _finished(tables: Tables) -> dict[str, dict[str, Any]]:
    rows = tables.read_or_empty("runs").orderBy("finished_at").collect()  # one row a stage and run: a few hundred
    return {row["stage"]: row.asDict() for row in rows}


def _record(tables: Tables, stage: Stage, settings: Settings, seconds: float) -> None:
    row = (stage.job, input_key(stage, settings, tables), seconds, datetime.now(UTC))
    tables.append("runs", tables.spark.createDataFrame([row], TABLES["runs"].schema))
