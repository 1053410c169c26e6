"""Figures of the stages as a text file that Prometheus' node exporter, or anything that reads its format, collects."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from keyart.errors import ConfigError

__all__ = ["STATES", "write_metrics"]

STATES = ("done", "skipped", "failed", "blocked")


def write_metrics(
    path: str, done: Mapping[str, Mapping[str, Any]], states: Mapping[str, str], quarantined: Mapping[str, int]
) -> None:
    """Write the file whole or not at all: readers never see half of it.

    ``done`` are the stages' newest rows of ``stage_runs`` that are done, ``states`` what became of them in this run,
    ``quarantined`` the rows set aside by reason. ConfigError where the file cannot be written.
    """
    registry = CollectorRegistry()

    def gauge(name: str, about: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> None:
        made = Gauge(f"keyart_{name}", about, labels, registry=registry)
        for given, value in values:
            made.labels(*given).set(value)

    gauge(
        "stage_seconds",
        "Seconds that the stage's newest finished run took.",
        ("stage",),
        (((stage,), row["seconds"]) for stage, row in done.items()),
    )
    gauge(
        "stage_rows",
        "Rows that the stage's newest finished run added or set.",
        ("stage", "table"),
        (((stage, one["table"]), one["rows"]) for stage, row in done.items() for one in row["written"]),
    )
    gauge(
        "stage_cost",
        "What the stage's newest finished run cost, in the currency of session.cost_per_core_hour.",
        ("stage",),
        (((stage,), row["cost"]) for stage, row in done.items() if row["cost"] is not None),
    )
    gauge(
        "stage_last_success_timestamp_seconds",
        "When the stage last finished, Unix time.",
        ("stage",),
        (((stage,), _unix(row["finished_at"])) for stage, row in done.items()),
    )
    gauge(
        "stage_state",
        "1 for what became of the stage in the newest run.",
        ("stage", "state"),
        (((stage, state), float(state == found)) for stage, found in states.items() for state in STATES),
    )
    gauge(
        "quarantined_rows",
        "Log rows set aside, by reason.",
        ("reason",),
        (((reason,), rows) for reason, rows in quarantined.items()),
    )
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(path, registry)
    except OSError as error:
        raise ConfigError(f"metrics.file: {path} cannot be written ({error.strerror})") from error


def _unix(at: datetime) -> float:
    return at.timestamp()
