"""``make demo``: films, the pipeline's first half, a simulated audience, its second half, and the judgement.

The only file that knows both the pipeline and the audience. All lies in one folder: films/, tables/, logs/, truth/,
mlflow/, report/, summary.json. A second run does again only what has changed.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from keyart.cli import guard
from keyart.config import load, with_values
from keyart.demo.audience import simulate_audience
from keyart.demo.backcatalogue import back_catalogue, write_manifest
from keyart.demo.judge import judge, judged_part
from keyart.demo.logbook import FIRST_DAY
from keyart.demo.studio import make_films
from keyart.demo.truth import Truth
from keyart.errors import InputError
from keyart.feedback.decisions_spark import running_times
from keyart.feedback.privacy import secret
from keyart.feedback.windows import holdout_buckets
from keyart.operations.lines import failure_lines
from keyart.operations.running_spark import StageError
from keyart.pipeline import STAGES, StageResult, run_stages
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.video.spark import current

__all__ = ["catalogue", "dated", "main", "shelves"]

FILMS = ("ingest-catalog", "scan-videos", "select-artwork")
MEMBERS = tuple(stage.job for stage in STAGES if stage.job not in (*FILMS, "measure-sessions"))
"""Without moments of films: the next run would choose artworks by them, before which this audience never stood."""
OF_MEMBERS = (
    "events", "quarantine", "impressions", "decisions", "artwork_stats", "data_quality", "taste",
    "region_assignments", "user_assignments", "policy_segments", "promotions", "policies",
    "evaluations",
)  # fmt: skip
VALUES = (
    ("uniform", "uniform artwork"),
    ("best_single", "best single artwork per title (truly best)"),
    ("global", "learned, one artwork per title"),
    ("region", "learned, region-level"),
    ("user", "learned, user-level"),
    ("oracle_observable", "best policy on observable context"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command behind ``make demo``; exit status as every job's."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--config", default="conf/demo.yaml", metavar="FILE")
    parser.add_argument("--videos", metavar="FOLDER", help="your own films instead of the demo's")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parsed = parser.parse_args(arguments)
    return guard(lambda: _demo(load(parsed.config, parsed.set), parsed.videos))


def _demo(settings: Settings, videos: str | None) -> int:
    if videos is not None and not Path(videos).is_dir():
        raise InputError(f"VIDEOS={videos}: there is no such folder")
    # Simulated members have nothing to hide; real ones get a key of your own.
    os.environ.setdefault(settings.privacy.key_variable, "simulated members only")
    home = Path(settings.tables).absolute().parent
    clock = Clock()
    settings = dated(settings)
    forget_other_films(settings, videos, home)
    with clock("films"):
        settings = catalogue(settings, videos, home)
    from keyart.session import is_running, open_session

    ours = not is_running()
    with clock("session"):
        spark = open_session(settings.session)
    tables = Tables(spark, settings.tables)
    try:
        clock.add(_run(spark, settings, FILMS))
        with clock("audience"):
            changed = _audience(settings, tables, home)
        settings = with_values(settings, {"events.events": str(home / "logs")})
        clock.add(_run(spark, settings, MEMBERS, force=changed))
        with clock("judge"):
            summary = _summary(settings, tables, home)
        summary["seconds"] = clock.seconds
        summary["seconds_total"] = round(clock.total(), 1)
    finally:
        if ours:
            spark.stop()
    (home / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    _say(summary, home)
    return 0


def _run(spark: Any, settings: Settings, jobs: Sequence[str], force: bool = False) -> list[StageResult]:
    """The pipeline's stages of these names; a StageError tells of those that failed."""
    results = run_stages(spark, settings, [stage for stage in STAGES if stage.job in jobs], force=force)
    if failures := failure_lines([(result.job, result.state, result.error) for result in results]):
        raise StageError("; ".join(failures))
    return results


class Clock:
    """Seconds per stage; of a skipped stage, those of the run that did the work are not counted again."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.monotonic()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)

    def add(self, results) -> None:
        """Take over what a part of the pipeline took."""
        self.seconds |= {result.job: 0.0 if result.skipped else round(result.seconds, 1) for result in results}

    def total(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._start


def dated(settings: Settings) -> Settings:
    """Train on the first two thirds of the days, test on the rest; the log runs on until all of them are mature."""
    days = settings.demo.days
    t1 = FIRST_DAY + timedelta(days=days * 2 // 3)
    end = FIRST_DAY + timedelta(days=days)
    return with_values(settings, {"time.t0": FIRST_DAY, "time.t1": t1, "time.end": end})


def forget_other_films(settings: Settings, videos: str | None, home: Path) -> None:
    """Where the last run had other films, remove what its tables hold: films of two runs must not mix."""
    asked = (
        str(Path(videos).resolve()) if videos is not None else f"{settings.demo.titles} films of {settings.demo.seed}"
    )
    stamp = home / "films.key"
    if not stamp.exists() or stamp.read_text() != asked:
        for name in TABLES:
            shutil.rmtree(Path(settings.tables) / name, ignore_errors=True)
        (home / "audience.key").unlink(missing_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    stamp.write_text(asked)


def catalogue(settings: Settings, videos: str | None, home: Path) -> Settings:
    """The films to read: a folder of the user's or our own; titles without films come from the back catalogue."""
    demo = settings.demo
    back = home / "back_catalogue.csv"
    home.mkdir(parents=True, exist_ok=True)
    write_manifest(back, back_catalogue(demo.seed))
    if videos is not None:
        return with_values(settings, {"catalog.videos": videos, "catalog.manifest": str(back)})
    films = make_films(home / "films" / str(demo.seed), demo.titles, demo.seed)
    catalogue = _joined([films, back], films.with_name("catalogue.csv"))
    return with_values(settings, {"catalog.videos": "", "catalog.manifest": str(catalogue)})


def _joined(manifests: Sequence[Path], target: Path) -> Path:
    """One manifest of several; columns that one lacks stay empty."""
    rows: list[dict[str, str]] = []
    for manifest in manifests:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows += csv.DictReader(file)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    if not target.exists() or target.read_text(encoding="utf-8") != text.getvalue():
        target.write_text(text.getvalue(), encoding="utf-8")
    return target


def _audience(settings: Settings, tables: Tables, home: Path) -> bool:
    """Let the audience live, unless it already did with these artworks; returns whether its logs are new."""
    asked = [asdict(settings.demo), settings.regions, tables.data_version("artworks"), tables.data_version("videos")]
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    stamp = home / "audience.key"
    if stamp.exists() and stamp.read_text() == key:
        return False
    # Another audience: what the last one left must not mix with it.
    stamp.unlink(missing_ok=True)
    for name in OF_MEMBERS:
        shutil.rmtree(Path(settings.tables) / name, ignore_errors=True)
    shutil.rmtree(home / "logs", ignore_errors=True)
    titles, artworks = shelves(tables)
    audience = simulate_audience(titles, artworks, settings.demo, settings.regions)
    audience.write_logs(home / "logs")
    audience.write_truth(home / "truth")
    stamp.write_text(key)
    return True


def shelves(tables: Tables) -> tuple[list[tuple[str, list[str], float]], dict[str, list[tuple[str, bytes]]]]:
    """The catalogue as the audience sees it: titles with genres and running time, artworks as pictures, best first."""
    rows = (
        tables.read("artworks")
        .where("active")
        .join(tables.read("images").select("image_hash", "content"), on="image_hash", how="inner")
        .orderBy("title_id", "rank")
        .select("title_id", "artwork_id", "content")
        .collect()
    )
    artworks: dict[str, list[tuple[str, bytes]]] = {}
    for row in rows:
        artworks.setdefault(row["title_id"], []).append((row["artwork_id"], bytes(row["content"])))
    # As ingest-events will measure it, so that members and learner mean the same by "watched to the end".
    timed = running_times(tables.read("videos"), current(tables, "frames"))
    seconds = {row["title_id"]: row["running_seconds"] for row in timed.collect()}
    genres = {row["title_id"]: row["genres"] for row in tables.read("titles").select("title_id", "genres").collect()}
    return [(title, genres[title], seconds[title]) for title in sorted(artworks)], artworks


def _summary(settings: Settings, tables: Tables, home: Path) -> dict[str, Any]:
    """What the demo claims beside what is true: the learner's choices, judged on members that no model trained on."""
    from keyart.policy.spark import choices

    first, end = ((day - FIRST_DAY).days for day in (settings.time.t1, settings.time.end) if day)
    truth = Truth.read(home / "truth" / "truth.npz")
    held_out = judged_part(truth, secret(settings.privacy), first, end, settings.time.holdout_share)
    taste = tables.read("taste")
    members = taste.where(
        (taste["as_of"] == settings.time.t1) & (taste["user_bucket"] < holdout_buckets(settings.time))
    )
    # Simulated, so small enough for the driver: one member in five x a dozen titles.
    shown = {str(name): column for name, column in choices(tables, members).toPandas().items()}
    evaluations = [row.asDict() for row in tables.read("evaluations").collect()]
    judged = judge(held_out, shown, evaluations)
    judged["judged_members"], judged["judged_decisions"] = judged.pop("members"), judged.pop("decisions")
    return {"world": settings.demo.world, "seed": settings.demo.seed} | _counts(tables) | judged


def _counts(tables: Tables) -> dict[str, int]:
    """How much went through the pipeline; frames and shots of the current scans."""
    artworks = tables.read("artworks").where("active")
    return {
        "titles": artworks.select("title_id").distinct().count(),
        "frames_scanned": current(tables, "frames").count(),
        "shots": current(tables, "shots").count(),
        "artworks": artworks.count(),
        "impressions": tables.read("impressions").count(),
        "decisions": tables.read("decisions").count(),
    }


def _say(summary: dict[str, Any], home: Path) -> None:
    print(
        f"\nWorld: {summary['world']}. {summary['titles']} titles, {summary['frames_scanned']:,} frames, "
        f"{summary['artworks']} artworks, {summary['decisions']:,} decisions; {summary['seconds_total']:.0f} s"
    )
    print(f"The truth, on {summary['judged_members']:,} members that no model was trained on:")
    uniform = summary["values"]["uniform"]
    for name, about in VALUES:
        value = summary["values"][name]
        print(f"  {about:<46}{value:.5f}  {value / uniform - 1:+7.1%}")
    if summary["ope_interval_user"]:
        low, high = summary["ope_interval_user"]
        print(f"  off-policy interval claimed for user-level    {low:.5f} to {high:.5f} (95%)")
    if summary["share_of_oracle"] is not None:
        print(f"  share of the reachable lift                   {summary['share_of_oracle']:.0%}")
    print("What may be claimed from the logs alone:")
    for sentence in summary["conclusions"]:
        print(f"  {sentence}")
    print(f"Report: {home / 'report' / 'index.html'}\nFigures: {home / 'summary.json'}")


if __name__ == "__main__":
    sys.exit(main())
