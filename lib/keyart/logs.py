"""How a job logs: lines of text for people, or JSON lines for machines, with run, job and stage in each.

What is logged must name no member: values in quotes are left out of what libraries raise, secrets and ids that the
configuration knows out of every line.
"""

import json
import logging
import os
import sys
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from keyart.errors import ConfigError, KeyartError
from keyart.operations.lines import one_line
from keyart.secrecy import HIDDEN, hidden, of_run
from keyart.settings import Settings

__all__ = ["HIDDEN", "JsonLines", "bound", "context", "new_run_id", "set_up"]

_context: dict[str, str] = {}
"""Of this process, which runs one job: threads of a pool log with it too."""


def new_run_id() -> str:
    """A name for a run that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """While the body runs, every line says so: run_id, job, stage."""
    before = dict(_context)
    _context.update(fields)
    try:
        yield
    finally:
        _context.clear()
        _context.update(before)


def context() -> dict[str, str]:
    """What lines say now."""
    return dict(_context)


class JsonLines(logging.Formatter):
    """A record as one line of JSON; secrets stand in none."""

    def format(self, record: logging.LogRecord) -> str:
        """ts, level, logger, message, then run_id, job and stage where known, then ``extra={"data": {...}}`` and the
        exception's type, line and frames."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_context,
        }
        if stage := getattr(record, "stage", None):
            line["stage"] = stage
        line |= getattr(record, "data", {})
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _told(record.exc_info[1])
        return hidden(json.dumps(line, default=str, ensure_ascii=False))


class _Text(logging.Formatter):
    """For people: the level and the message. ``kept`` in a file it has the time, and exceptions without values."""

    def __init__(self, kept: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s" if kept else "%(levelname)s %(message)s")
        self._kept = kept

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # the base class keeps what another formatter made of it
        text = hidden(super().format(record))
        record.exc_text = None
        return text

    def formatException(self, ei: Any) -> str:
        if not self._kept or ei[1] is None:
            return super().formatException(ei)
        told = _told(ei[1])
        return "\n".join([*told["frames"], f"{told['type']}: {told['message']}"])


def _told(error: BaseException) -> dict[str, Any]:
    """Type, one line without values, and where it was raised; of what keyart raises, the causes too."""
    frames = traceback.extract_tb(error.__traceback__)
    told: dict[str, Any] = {
        "type": type(error).__name__,
        "message": one_line(error),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, KeyartError) and error.__cause__ is not None:
        told["cause"] = _told(error.__cause__)
    return told


def secrets_of(settings: Settings) -> list[str]:
    """What must stand in no line: the keys of the environment, and ids of members that the command names."""
    variables = (settings.privacy.key_variable, settings.privacy.suppression_variable)
    return [*(os.environ.get(name, "") for name in variables), settings.erase.user, settings.explain.user]


def set_up(settings: Settings, verbose: bool) -> None:
    """Log as ``logging`` of the settings says; ConfigError where the file cannot be written.

    To stderr go warnings, and with ``verbose`` what is done and stack traces; to a file all that is done.
    JSON without a file goes to stderr.
    """
    wanted = settings.logging
    of_run(*secrets_of(settings))
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if getattr(handler, "keyart", False)]:
        root.removeHandler(handler)
        handler.close()
    json_lines = JsonLines()
    machine = wanted.format == "json" and not wanted.file
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.INFO if verbose or machine else logging.WARNING)
    console.setFormatter(json_lines if machine else _Text())
    if not verbose and not machine:
        # Failures that get their line anyway; their frames are for the file.
        console.addFilter(lambda record: not getattr(record, "quiet", False))
    handlers: list[logging.Handler] = [console]
    if wanted.file:
        try:
            Path(wanted.file).parent.mkdir(parents=True, exist_ok=True)
            file = WatchedFileHandler(wanted.file, encoding="utf-8")  # logrotate may move it away
        except OSError as error:
            raise ConfigError(f"logging.file: {wanted.file} cannot be written ({error.strerror})") from error
        file.setLevel(logging.INFO)
        file.setFormatter(json_lines if wanted.format == "json" else _Text(kept=True))
        handlers.append(file)
    for handler in handlers:
        handler.keyart = True  # type: ignore[attr-defined]
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    # Ours tell what is done; of libraries only what is wrong.
    logging.getLogger("keyart").setLevel(logging.INFO)
