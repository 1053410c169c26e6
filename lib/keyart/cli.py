"""The ``keyart`` command and the entry of every job: arguments, configuration, session, one call, an exit status.

0 done; 1 the job failed; 2 bad arguments, configuration or input, with one line that says what to mend.
"""

import argparse
import importlib
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import ModuleType

from keyart import __version__, logs
from keyart.alone import alone
from keyart.config import load, with_values
from keyart.errors import KeyartError
from keyart.secrecy import hidden
from keyart.settings import Settings
from keyart.troubles import plainly

__all__ = ["JOBS", "guard", "main", "run_job", "task"]

log = logging.getLogger(__name__)

JOBS: dict[str, str] = {
    "ingest-catalog": "read a folder or manifest of films into titles and videos",
    "scan-videos": "decode every frame once: signals, shots, candidate frames",
    "select-artwork": "look closely at the candidates and choose a small diverse set per title",
    "explain-artwork": "what a picture shows, why it was chosen or not, and who is shown it",
    "models": "list model files and fetch those that are missing, by checksum, from their official addresses",
    "ingest-events": "read logs into events, impressions, decisions and artwork_stats",
    "stream-feedback": "ingest what has arrived since the last run: new files of a folder, or a Kafka topic",
    "measure-sessions": "sessions, return and leaving by day; how likely each place on the page is looked at",
    "train-taste": "learn member and title factors (ALS)",
    "train-response": "learn what an image does, by region and by member",
    "assign-artwork": "write which artwork each region and each user gets",
    "explain": "what a member sees of a title, the artworks side by side, and what decided, in words",
    "evaluate-policy": "tell from the logs what a policy would have been worth",
    "measure-policy": "what a policy does to members and catalogue, against the limits that were set",
    "promote": "let a candidate policy become champion where the logs allow it, or go back to the one before",
    "experiment": "plan an experiment (members, days), or register it",
    "analyze-experiment": "compare an experiment's variants: ship, don't ship or keep running",
    "publish": "write a policy as a checksummed bundle that the service answers from",
    "serve": "answer over HTTP which artwork a member sees, from a bundle",
    "build-report": "write the page people look at",
    "erase-members": "remove members everywhere, keep them out, and prove it by decoding every file",
    "maintain": "compact tables, remove rows older than privacy.retention allows and files that nothing needs",
    "export-member": "write all that is known of a member as JSON",
    "run-pipeline": "all that has something new to read, in the order of what depends on what",
    "status": "what became of the pipeline's newest run: progress, durations, rows, cost, on one screen",
    "simulate": "make up logs, of any size, for trials of ingestion and learning",
}

ACTIONS: dict[str, tuple[str, tuple[str, ...]]] = {"experiment": ("experiment.action", ("plan", "register"))}
"""Jobs with a first word of their own, and the setting it stands for."""

BESIDE = {"explain-artwork", "models", "explain", "serve", "export-member", "status", "simulate", "run-pipeline"}
"""Jobs that write no table, and the one whose stages each take the lock of their job; all others run one at a time."""

LIGHT = {"ingest-catalog", "scan-videos", "select-artwork", "explain", "explain-artwork", "status"}
"""Jobs whose rows are few or pass through Python: to compile the JVM's code well would be much of their work."""

POSITIONAL = {"explain-artwork": ("explain.artwork_id", "ID", "an artwork's id or its beginning, or an image's hash")}
"""Jobs that take one thing by name, the setting it stands for, and what it is called in the help."""

# Shorthands that read better than --set; which job knows which.
SHORTHANDS: dict[str, dict[str, tuple[str, str]]] = {
    "ingest-catalog": {
        "videos": ("catalog.videos", "folder of films (mp4, mkv, mov, webm, gif)"),
        "manifest": ("catalog.manifest", "CSV or JSON lines that names the films"),
        "images": ("catalog.images", "images of items without films: a folder, or a table with a line an image"),
        "overrides": ("catalog.overrides", "CSV of editors' pins, bans and uploads"),
    },
    "ingest-events": {"events": ("events.events", "log file or folder")},
    "stream-feedback": {
        "events": ("events.events", "folder in which files of JSON lines appear"),
        "checkpoint": ("stream.checkpoint", "folder that remembers what was read"),
    },
    "evaluate-policy": {
        "policy": ("evaluate.policy_id", "policies to judge, with commas between them, or all (the newest)"),
        "plan": ("evaluate.plan_width", "also say how much a log must explore for an interval this wide"),
    },
    "promote": {"policy": ("promote.policy_id", "the candidate (the newest policy)")},
    "experiment": {
        "metric": ("experiment.metric", "what decides, such as reward or minutes"),
        "effect": ("experiment.minimum_effect", "relative effect worth finding"),
        "power": ("experiment.power", "chance of finding it"),
        "id": ("experiment.experiment_id", "name of the experiment"),
    },
    "analyze-experiment": {"id": ("experiment.experiment_id", "name of the experiment")},
    "publish": {
        "policy": ("publish.policy_id", "policy to write; else the one that serves"),
        "out": ("publish.folder", "folder that bundles are written to"),
    },
    "serve": {"bundle": ("serve.bundle", "bundle, or the folder that publish wrote to")},
    "build-report": {"report": ("report.folder", "folder that the site is written to")},
    "simulate": {"out": ("simulate.out", "folder that the log is written to")},
    "explain-artwork": {"out": ("explain.out", "HTML file to write, with the picture in it")},
    "explain": {
        "user": ("explain.user", "the member's id as the logs have it, or their user_key"),
        "title": ("explain.title", "the title's id or name"),
        "context": ("explain.context", "device and part of the day, such as 'tv|evening' (default: in none)"),
        "out": ("explain.out", "HTML file to write, with the pictures in it"),
    },
    "erase-members": {
        "members": ("erase.members", "file of ids as the logs have them, one a line, or a CSV"),
        "user": ("erase.user", "one member's id"),
        "request": ("erase.request_id", "name of the request; else it is called after its members"),
    },
    "export-member": {"user": ("erase.user", "the member's id"), "out": ("erase.out", "JSON file to write")},
}
NUMBERS = {"effect": "NUMBER", "power": "NUMBER", "plan": "WIDTH"}
NAMES = {"metric": "NAME", "id": "NAME", "policy": "NAMES", "user": "ID", "request": "NAME", "title": "NAME"}
SHORTHANDS["run-pipeline"] = {
    key: value for job in ("ingest-catalog", "ingest-events", "build-report") for key, value in SHORTHANDS[job].items()
}

# Switches, in the same way.
SWITCHES: dict[str, dict[str, tuple[str, str]]] = {
    "stream-feedback": {"once": ("stream.forever=false", "end once all that has arrived is read")},
    "status": {"json": ("pipeline.json", "answer with JSON")},
    "scan-videos": {"plan": ("scan.plan", "print what would be scanned and the expected time, and stop")},
    "promote": {"rollback": ("promote.rollback", "let the champion before serve again, without a comparison")},
    "erase-members": {
        "prove": ("erase.prove", "only look for the members, remove nothing"),
        "retention": ("erase.retention", "remove what is older than privacy.retention allows, nobody in particular"),
    },
}


def run_job(job: str, arguments: Sequence[str] | None = None) -> int:
    """Run one job as its script or sub-command does and return the exit status."""
    parser = argparse.ArgumentParser(prog=f"keyart {job}", description=JOBS[job])
    _add_arguments(parser, job)
    return guard(lambda: _execute(job, parser.parse_args(arguments)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The ``keyart`` command."""
    parser = argparse.ArgumentParser(
        prog="keyart",
        description="Choose which artwork each viewer sees: scan films, select artwork, learn from logs, assign.",
        epilog="Start with: keyart run-pipeline --videos FOLDER --events LOGS --tables build/tables",
    )
    parser.add_argument("--version", action="version", version=f"keyart {__version__}")
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB", title="jobs, in the order they run")
    for job, about in JOBS.items():
        _add_arguments(jobs.add_parser(job, help=about, description=about), job)
    parsed = parser.parse_args(arguments)
    return guard(lambda: _execute(parsed.job, parsed))


def task() -> None:
    """``main`` for schedulers that call a function and look at exceptions alone, as Databricks does with a wheel: a
    status that is not 0 is raised as SystemExit."""
    if status := main():
        sys.exit(status)


def _add_arguments(parser: argparse.ArgumentParser, job: str) -> None:
    if job in ACTIONS:
        parser.add_argument("action", choices=ACTIONS[job][1])
    if job in POSITIONAL:
        parser.add_argument("name", metavar=POSITIONAL[job][1], help=POSITIONAL[job][2])
    parser.add_argument("--config", metavar="FILE", help="configuration, such as conf/local.yaml")
    parser.add_argument(
        "--tables", metavar="ROOT", help="where the Delta tables lie (folder, URL or catalog:NAME.SCHEMA)"
    )
    for name, (_, about) in SHORTHANDS.get(job, {}).items():
        kind, metavar = (float, NUMBERS[name]) if name in NUMBERS else (str, NAMES.get(name, "PATH"))
        parser.add_argument(f"--{name}", type=kind, metavar=metavar, help=about)
    for name, (_, about) in SWITCHES.get(job, {}).items():
        parser.add_argument(f"--{name}", action="store_true", help=about)
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one setting; may be repeated"
    )
    parser.add_argument("--verbose", action="store_true", help="log what is done, and stack traces of failures")


def _execute(job: str, parsed: argparse.Namespace) -> int:
    logs.set_up(Settings(), parsed.verbose)  # for what the configuration itself has to say
    overrides = list(parsed.set)
    given = vars(parsed)
    chosen = [target for name, (target, _) in SWITCHES.get(job, {}).items() if given[name]]
    overrides += [target if "=" in target else f"{target}=true" for target in chosen]
    settings = load(parsed.config, overrides)
    # Paths are data, not YAML: a folder called 2001 stays text.
    short = {target: given[name] for name, (target, _) in SHORTHANDS.get(job, {}).items() if given.get(name)}
    if job in ACTIONS:
        short[ACTIONS[job][0]] = parsed.action
    if job in POSITIONAL:
        short[POSITIONAL[job][0]] = parsed.name
    if parsed.tables:
        short["tables"] = parsed.tables
    settings = with_values(settings, short)
    logs.set_up(settings, parsed.verbose)
    with logs.bound(run_id=settings.pipeline.run_id or logs.new_run_id(), job=job):
        return _logged(lambda: _run(job, settings))


def _logged(call: Callable[[], int]) -> int:
    """Call, and log that it began and how it ended."""
    log.info("begun")
    start = time.monotonic()
    try:
        status = call()
    except KeyartError as error:
        log.error("failed: %s", error, exc_info=error, extra={"quiet": True})
        raise
    except Exception as error:
        log.error("failed", exc_info=error, extra={"quiet": True})
        raise
    took = {"seconds": round(time.monotonic() - start, 1), "status": status}
    log.info("ended with status %d", status, extra={"data": took})
    return status


def _run(job: str, settings: Settings) -> int:
    """The job, with a session where it needs one."""
    module = importlib.import_module(f"keyart.jobs.{job.replace('-', '_')}")
    if not getattr(module, "needs_session", lambda _: True)(settings):
        return int(module.run(None, settings) or 0)
    with ExitStack() as stack:
        stack.enter_context(plainly(settings.tables))
        if job not in BESIDE:
            stack.enter_context(alone(job, settings.tables))
        return _in_session(module, settings, job in LIGHT)


def _in_session(module: ModuleType, settings: Settings, light: bool) -> int:
    # Only now that the arguments are known to be good: importing pyspark takes seconds.
    from keyart.session import is_running, open_session

    ours = not is_running()
    with ExitStack() as stack:
        spark = open_session(settings.session, light)
        if ours:
            stack.callback(spark.stop)
        return int(module.run(spark, settings) or 0)


def guard(call: Callable[[], int]) -> int:
    """Call, and turn what keyart raises on purpose into one line on stderr and an exit status."""
    try:
        return call()
    except KeyartError as error:
        print(f"keyart: {hidden(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("keyart: stopped; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
