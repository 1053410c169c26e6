"""build-report: gather what the pages say from the tables.

Pages of titles are written by tasks (``pages_spark``). To the driver come titles, films, a card a title, and of
member-sized tables only sums and as many members as the settings say. Most of a small query's time is planning: hence
few queries, several at a time.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import ConfigError, InputError
from keyart.operations.ledger_spark import TABLE as RUNS
from keyart.operations.ledger_spark import known
from keyart.report.facts import Facts, Picture, Row, Source
from keyart.report.pages_spark import title_pages
from keyart.report.parts_spark import Reader, Shown, rows_of, title_parts
from keyart.report.segments_spark import newest_assignments, of_policy, segments
from keyart.report.site import IMAGES, write_site
from keyart.report.thumbnails_spark import known_pictures, pictures
from keyart.schemas import TABLES
from keyart.settings import ReportSettings, Settings
from keyart.tables import Tables

__all__ = ["build_report", "gather", "members_of", "report_folder"]

UNSEEN = (RUNS,)
"""Tables that say nothing about the catalogue or its members: writing them must not change the title pages."""
SHORTEST_KEY = 8
"""Characters of a member's key that tell one from all others."""
LANES = 4
"""Queries in flight."""
AT_HAND = 500
"""Most titles that a notebook holds with everything that is known of them."""
NEIGHBOURS = 12
"""Titles by name that fill up a sampled member's page."""


def report_folder(settings: Settings) -> Path:
    """Where the site goes; ConfigError where it is no local folder, or the tables are none and it is not set."""
    folder, root = settings.report.folder, settings.tables.removeprefix("file:")
    if not folder and ("://" in root or root.startswith("catalog:")):
        raise ConfigError(f"report.folder: set it (--report FOLDER); {settings.tables} has no place beside it")
    if "://" in folder:
        raise ConfigError(f"report.folder is {folder}: it must be a local or mounted folder")
    return Path(folder) if folder else Path(root).absolute().parent / "report"


def build_report(tables: Tables, settings: Settings) -> tuple[Path, Facts]:
    """Write the site; returns its first page and what its pages but the titles' were made of.

    InputError where the folder cannot be written.
    """
    folder = report_folder(settings)
    with ThreadPoolExecutor(LANES) as lanes:
        read, shown, common = _common(tables, settings, lanes)
        running = _start(lanes, _site_parts(read, common, settings))
        try:
            parts = _parts(read, shown, common, settings)
            cards = title_pages(parts, read("images"), len(shown.titles), common, settings.report, folder)
        except OSError as error:
            raise InputError(f"the report cannot be written to {folder} ({error.strerror}); choose another") from error
        found = {name: future.result() for name, future in running.items()}
        facts = replace(common, titles=shown.titles, videos=shown.videos, **found)
        spoken = _spoken_of(facts)
        details = title_parts(read, shown, [p["policy_id"] for p in common.policies], settings.report, spoken)
        some = _start(lanes, {n: partial(rows_of, details[n]) for n in ("artworks", "assignments")})
        facts = replace(facts, **{name: future.result() for name, future in some.items()})
    facts = replace(facts, cards=cards, pictures=_pictures_there(facts, folder, settings))
    write_site(facts, folder)
    return folder / "index.html", facts


def gather(tables: Tables, settings: Settings, folder: Path) -> Facts:
    """All that is known of up to AT_HAND titles (``report.titles`` where that is fewer), on the driver, for notebooks.

    Thumbnails that ``folder`` lacks are written to it; InputError where it cannot be written.
    """
    with ThreadPoolExecutor(LANES) as lanes:
        read, shown, common = _common(tables, settings, lanes, AT_HAND)
        parts = _parts(read, shown, common, settings)
        running = _start(lanes, {name: partial(rows_of, frame) for name, frame in parts.items()})
        running |= _start(lanes, _site_parts(read, common, settings))
        found = {name: future.result() for name, future in running.items()}
    widths = {row["image_hash"]: settings.report.candidate_width for row in found["candidates"]}
    widths |= {row["image_hash"]: settings.report.artwork_width for row in found["artworks"]}
    try:
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the report cannot be written to {folder} ({error.strerror}); choose another") from error
    wanted = [("", key, width) for key, width in sorted(widths.items())]
    frame = tables.spark.createDataFrame(wanted, "title_id string, image_hash string, width int")
    shown_pictures = rows_of(pictures(read("images"), frame, folder / IMAGES))
    return replace(
        common,
        **found,
        pictures={r["image_hash"]: Picture(r["file"], r["width"], r["height"]) for r in shown_pictures},
    )


def _parts(read: Reader, shown: Shown, common: Facts, settings: Settings) -> dict[str, DataFrame]:
    """All parts of the titles' pages."""
    parts = title_parts(read, shown, [p["policy_id"] for p in common.policies], settings.report)
    given = segments(read, common.policy, settings.privacy.smallest_cell)
    return parts | {"segments": given.join(shown.keys(read.tables.spark), on="title_id", how="inner")}


def _start(lanes: ThreadPoolExecutor, parts: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    return {name: lanes.submit(part) for name, part in parts.items()}


def _common(
    tables: Tables, settings: Settings, lanes: ThreadPoolExecutor, most: int | None = None
) -> tuple[Reader, Shown, Facts]:
    """What pages share: which tables there are, the titles to show (``most`` at most), the policies."""
    sources = _sources(tables, lanes)
    read = Reader(tables, {source.name for source in sources} | ({RUNS} if tables.exists(RUNS) else set()))
    shown = Shown(read, min(settings.report.titles, most or settings.report.titles))
    policies = _policies(read)[: settings.report.policies]
    common = Facts(
        titles_left=shown.left,
        back_catalogue=shown.unpictured,
        policy=policies[0] if policies else None,
        policies=policies,
        sources=sources,
        regions=_regions(read, policies) | dict(settings.regions),
        claim_level=settings.evaluate.claim_level,
        smallest_cell=settings.privacy.smallest_cell,
    )
    return read, shown, common


def _site_parts(read: Reader, common: Facts, settings: Settings) -> dict[str, Callable[[], Any]]:
    """Sums, samples and operations: everything that is not of one title."""
    policy_id = common.policy["policy_id"] if common.policy else ""
    return {
        "evaluations": lambda: _evaluations(of_policy(read("evaluations"), policy_id)),
        "measures": lambda: _measures(of_policy(read("policy_measures"), policy_id)),
        "promotions": lambda: rows_of(read("promotions")),
        "weights": lambda: rows_of(of_policy(read("policy_weights"), policy_id)),
        "calibration": lambda: rows_of(of_policy(read("policy_calibration"), policy_id)),
        "members": lambda: members_of(read, policy_id, settings.report),
        "audience": lambda: _audience(read("taste")),
        "overrides": lambda: _overrides(newest_assignments(read, policy_id)),
        "decisions": lambda: _decisions(read("decisions")),
        "quarantine": lambda: _quarantine(read("quarantine")),
        "quality": lambda: _quality(read("data_quality")),
        "experiments": lambda: _experiments(read),
        "all_failures": lambda: _failures(read("scan_failures")),
        "runs": lambda: _runs(read.tables),
    }


def _spoken_of(facts: Facts) -> list[str]:
    """Titles that other pages than their own speak of."""
    own = {title_id for row in facts.members for title_id in row["title_ids"]}
    return sorted(
        own
        | {row["title_id"] for row in facts.titles[:NEIGHBOURS]}
        | {r["title_id"] for r in facts.overrides if r["title_id"]}
    )


def _pictures_there(facts: Facts, folder: Path, settings: Settings) -> dict[str, Picture]:
    """Pictures of the artworks that other pages speak of; the title pages' tasks have written them."""
    known = known_pictures(folder / IMAGES)
    found = {}
    for row in facts.artworks:
        picture = known.get((row["image_hash"][:24], settings.report.artwork_width))
        if picture is not None:
            found[row["image_hash"]] = Picture(*picture)
    return found


def _sources(tables: Tables, lanes: ThreadPoolExecutor) -> list[Source]:
    def source(name: str) -> Source | None:
        state = tables.state(name)
        if state is None:
            return None
        return Source(name, TABLES[name].about, state[0], tables.read(name).count(), state[1])

    found = lanes.map(source, [name for name in TABLES if name not in UNSEEN])
    return [one for one in found if one is not None]


def _failures(failures: DataFrame) -> list[Row]:
    return sorted(rows_of(failures), key=lambda row: (row["uri"], row["scan_id"], row["video_id"], row["segment"]))


def _policies(read: Reader) -> list[Row]:
    """Newest first."""
    rows = rows_of(read("policies").withColumn("seconds", F.unix_seconds("created_at")))
    ordered = sorted(rows, key=lambda row: (-row["seconds"], row["policy_id"]))
    return [{**row, "created_at": datetime.fromtimestamp(row["seconds"], UTC)} for row in ordered]


def _regions(read: Reader, policies: Sequence[Row]) -> dict[str, str]:
    """Regions that the policies name."""
    assigned = read("region_assignments").where(F.col("policy_id").isin([p["policy_id"] for p in policies]))
    return {row["cell"]: "other" for row in rows_of(assigned.where("level = 'region'").select("cell").distinct())}


def _evaluations(evaluations: DataFrame) -> list[Row]:
    """The evaluation of the latest days; of several on the same days the first by id."""
    rows = rows_of(evaluations)
    if not rows:
        return []
    newest = min(rows, key=lambda row: (-row["to_day"].toordinal(), -row["from_day"].toordinal(), row["evaluation_id"]))
    kept = [row for row in rows if row["evaluation_id"] == newest["evaluation_id"]]
    return sorted(kept, key=lambda r: (r["slice"], r["target"], r["baseline"], r["metric"], r["estimator"]))


def _measures(measures: DataFrame) -> list[Row]:
    return sorted(rows_of(measures), key=lambda row: (row["measure"], row["segment"], row["behaviour"]))


def members_of(read: Reader, policy_id: str, settings: ReportSettings) -> list[Row]:
    """Members that are asked for, then others in the order of their keyed hash, which is as good as chance.

    What is known of them stands beside what they are given.
    """
    asked = F.lit(False)
    for key in settings.member_keys:
        if len(key) < SHORTEST_KEY:
            raise ConfigError(f"report.member_keys: {key} is shorter than {SHORTEST_KEY} characters")
        asked = asked | F.col("user_key").startswith(key)
    newest = newest_assignments(read, policy_id)
    named = rows_of(newest.where(asked).orderBy("user_key").limit(settings.members)) if settings.member_keys else []
    for key in settings.member_keys:
        if not any(row["user_key"].startswith(key) for row in named):
            print(f"build-report: nobody's key begins with {key}, or the policy has not met them")
    others = newest.where(~asked & (F.size("title_ids") > 0)).orderBy("user_key")
    sample = [*named, *rows_of(others.limit(settings.members - len(named)))]
    known: dict[str, Row] = {}
    if sample:
        taste = read("taste").where(F.col("user_key").isin([row["user_key"] for row in sample]))
        rows = rows_of(taste.select("user_key", "as_of", "taste_version", "history", "kids"))
        known = {r["user_key"]: r for r in sorted(rows, key=lambda r: (r["as_of"], r["taste_version"]))}
    nobody = {"history": None, "kids": False}
    return [{**row, **{k: known.get(row["user_key"], nobody)[k] for k in nobody}} for row in sample]


def _audience(taste: DataFrame) -> Row | None:
    """How many members taste is known of, by the version that is as of the newest day."""
    columns = [F.max("as_of").alias("as_of"), F.countDistinct("user_key").alias("members")]
    versions = rows_of(taste.groupBy("taste_version").agg(*columns))
    return max(versions, key=lambda row: (row["as_of"], row["taste_version"]), default=None)


POPULAR = 200
"""Overrides that are kept: those given to most members."""


def _overrides(newest: DataFrame) -> list[Row]:
    """Members by override, the most frequent; the row without an artwork counts members with any, ``all`` overrides."""
    pairs = F.explode(F.arrays_zip("title_ids", "artwork_ids"))
    each = newest.select(pairs.alias("pair")).select(
        F.col("pair.title_ids").alias("title_id"), F.col("pair.artwork_ids").alias("artwork_id")
    )
    most = rows_of(
        each.groupBy("title_id", "artwork_id")
        .agg(F.count("*").alias("members"))
        .orderBy(F.desc("members"), "artwork_id")
        .limit(POPULAR)
    )
    total = newest.agg(
        F.count_if(F.size("title_ids") > 0).alias("members"),
        F.coalesce(F.sum(F.size("title_ids")), F.lit(0)).alias("all"),
    ).collect()[0]
    if not total["members"]:
        return []
    return [{"title_id": None, "artwork_id": None, "members": total["members"], "all": total["all"]}, *most]


def _decisions(decisions: DataFrame) -> Row | None:
    sums = [
        F.count("*").alias("n"),
        F.coalesce(F.sum("take"), F.lit(0)).alias("takes"),
        F.min("epoch").alias("first"),
        F.max("epoch").alias("last"),
    ]
    row = decisions.agg(*sums).collect()[0].asDict()
    return row if row["n"] else None


def _quarantine(quarantine: DataFrame) -> list[Row]:
    rows = rows_of(quarantine.groupBy("reason").agg(F.count("*").alias("rows")))
    return sorted(rows, key=lambda row: (-row["rows"], row["reason"]))


def _quality(figures: DataFrame) -> list[Row]:
    """Figures of the newest ingest; of several on one day the first by key."""
    rows = rows_of(figures)
    newest = min(rows, key=lambda row: (-row["run_date"].toordinal(), row["run_key"]), default=None)
    return sorted((r for r in rows if newest and r["run_key"] == newest["run_key"]), key=lambda r: r["measure"])


def _experiments(read: Reader) -> list[Row]:
    if "experiment_results" not in read.there:
        return []
    names = {row["experiment_id"]: row["name"] for row in rows_of(read("experiments"))}
    rows = sorted(
        rows_of(read("experiment_results")),
        key=lambda r: tuple(r[column] for column in TABLES["experiment_results"].key),
    )
    return [{**row, "name": names.get(row["experiment_id"], row["experiment_id"])} for row in rows]


def _runs(tables: Tables) -> list[Row]:
    """What became of each stage last, with the figures of the run that did its work, in the order they finished."""
    found, rows = known(tables), []
    for stage, row in found.last.items():
        worked = found.done.get(stage, row) if row["state"] == "skipped" else row
        rows.append({**worked, "state": row["state"], "seen": row["at"]})
    ordered = sorted(rows, key=lambda row: (row["finished_at"] or row["at"], row["stage"]))
    return [row for row in ordered if row["stage"] != "build-report"]
