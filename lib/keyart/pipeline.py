"""The jobs as a graph: each stage runs when what it reads has changed since it last finished, else it is skipped.

What a stage reads is known by the data versions of its tables, by the runs that trained its models, by the listing of a
folder of films or logs, and by the settings. One that fails keeps only those from running that depend on it.
"""

from dataclasses import asdict

from keyart.errors import ConfigError
from keyart.operations.graph import Stage
from keyart.operations.ledger_spark import TABLE
from keyart.operations.running_spark import StageResult, run_stages
from keyart.policy.placement_spark import day_of, placement_of
from keyart.policy.spark import champions, refused_policies
from keyart.schemas import TABLES
from keyart.serving.policy_bundle import bundles_folder, current_name
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["STAGES", "Stage", "StageResult", "run_stages", "stages_for"]

STAGES: tuple[Stage, ...] = (
    Stage(
        "ingest-catalog",
        (),
        ("catalog", "sources"),
        lambda s: (s.catalog.videos, s.catalog.manifest, s.catalog.images, s.catalog.overrides),
        writes=("titles", "title_names", "videos", "scan_failures", "images", "candidates", "editor_overrides"),
    ),
    Stage(
        "scan-videos",
        ("videos",),
        ("scan",),
        writes=("videos", "frames", "shots", "images", "candidates", "scan_failures", "scan_segments"),
    ),
    Stage(
        "select-artwork",
        # moments are what the run before learned of viewers: measure-sessions comes later.
        ("titles", "title_names", "videos", "candidates", "editor_overrides", "moments"),
        ("select",),
        writes=("candidates", "images", "artworks"),
    ),
    Stage(
        "ingest-events",
        ("titles", "artworks", "videos"),
        ("events", "privacy", "sources"),
        lambda s: (s.events.events,),
        writes=("events", "quarantine", "impressions", "decisions", "artwork_stats", "data_quality", "opt_outs"),
    ),
    Stage(
        "measure-sessions",
        ("events", "decisions"),
        ("privacy",),
        writes=("sessions", "session_stats", "examination", "moments"),
    ),
    Stage(
        "train-taste",
        ("titles", "videos", "events", "decisions", "opt_outs"),
        ("taste", "time", "tracking"),
        writes=("taste",),
    ),
    Stage(
        "train-response",
        ("decisions", "artworks", "taste", "opt_outs", "examination"),
        ("response", "time", "regions", "tracking"),
    ),
    Stage(
        "assign-artwork",
        ("titles", "artworks", "taste", "editor_overrides", "opt_outs"),
        ("assign", "regions", "tracking", "responsibility", "privacy"),
        today=lambda s, tables: (*placement_of(tables).said(day_of(s.assign)), *_followed(s, tables)),
        writes=(
            "region_assignments",
            "user_assignments",
            "policies",
            "policy_weights",
            "policy_calibration",
            "policy_segments",
            "policy_measures",
        ),
        after=("train-taste", "train-response"),
    ),
    Stage(
        "evaluate-policy",
        ("titles", "artworks", "decisions", "taste", "opt_outs", "policies", "region_assignments", "user_assignments"),
        ("evaluate", "time", "tracking"),
        writes=("evaluations", "evaluation_blocks"),
    ),
    Stage(
        "measure-policy",
        (
            "decisions",
            "artworks",
            "titles",
            "taste",
            "policies",
            "region_assignments",
            "user_assignments",
            "evaluations",
            "artwork_stats",
        ),
        ("responsibility", "privacy", "time"),
        writes=("policy_measures",),
    ),
    Stage(
        "promote",
        (
            "titles",
            "artworks",
            "decisions",
            "taste",
            "opt_outs",
            "policies",
            "region_assignments",
            "user_assignments",
            "policy_measures",
            "promotions",
        ),
        ("promote", "evaluate", "time", "responsibility", "tracking"),
        writes=("promotions", "evaluation_blocks"),
        answers=True,
    ),
    Stage(
        "publish",
        (
            "titles",
            "artworks",
            "images",
            "editor_overrides",
            "opt_outs",
            "policies",
            "region_assignments",
            "user_assignments",
            "policy_measures",
            "promotions",
        ),
        ("publish",),
        today=lambda s, tables: current_name(bundles_folder(s)),
    ),
    Stage(
        "build-report",
        # Its Operations page tells of all tables; the last two say nothing of catalogue or members.
        tuple(table for table in TABLES if table not in (TABLE, "evaluation_blocks")),
        ("report", "evaluate", "regions", "privacy"),
        anyway=True,
    ),
)
NEEDS_EVENTS = {
    "measure-sessions", "train-taste", "train-response", "assign-artwork", "evaluate-policy", "measure-policy",
    "promote", "publish",
}  # fmt: skip


def stages_for(settings: Settings, tables: Tables) -> list[Stage]:
    """The stages that have something to read: without logs, now or earlier, only the films' side runs; what serves is
    published where bundles have a folder (``publish.folder``, or the one beside the tables since somebody published).

    Of these ``pipeline.stages``, where it names some; ConfigError where it names one that there is not.
    """
    wanted = settings.pipeline.stages
    if unknown := sorted(set(wanted) - {stage.job for stage in STAGES}):
        known = ", ".join(stage.job for stage in STAGES)
        raise ConfigError(f"pipeline.stages: no stage is called {', '.join(unknown)}; known are {known}")
    has_catalog = any(asdict(settings.catalog).values())
    has_events = bool(settings.events.events)
    learns = has_events or tables.exists("decisions")
    is_served = bool(settings.publish.folder) or (":" not in settings.tables and bundles_folder(settings).is_dir())
    return [
        stage
        for stage in STAGES
        if (not wanted or stage.job in wanted)
        and (stage.job != "ingest-catalog" or has_catalog)
        and (stage.job != "ingest-events" or has_events)
        and (stage.job not in NEEDS_EVENTS or learns)
        and (stage.job != "publish" or is_served)
    ]


def _followed(settings: Settings, tables: Tables) -> tuple[str, ...]:
    """The champion whose choices stay for a while, where they do."""
    if settings.assign.stay_days == 1:
        return ()
    refused = refused_policies(tables)
    return tuple(name for name in champions(tables) if name not in refused)[-1:]
