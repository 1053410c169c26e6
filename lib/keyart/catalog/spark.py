"""Write a catalogue into titles and videos; what is there already is updated, and a film's current scan is kept."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pyspark.sql import SparkSession

from keyart.catalog.images import IMAGES
from keyart.catalog.images_spark import PicturesReport, ingest_pictures
from keyart.catalog.manifests import Title
from keyart.catalog.probing import Probe, probe_films
from keyart.schemas import TABLES
from keyart.secrecy import hidden
from keyart.tables import Tables

__all__ = ["INGEST", "CatalogReport", "ingest_items", "ingest_titles", "video_id_of"]

SCANNED = {"current_scan_id", "scanned_fingerprint", "pts_repaired"}
"""Columns of videos that scan-videos fills."""
INGEST = "catalog"
"""scan_id of failures found while ingesting."""


@dataclass(frozen=True)
class CatalogReport:
    """What an ingest found, for the summary line."""

    titles: int
    films: int
    losses: tuple[str, ...]
    """One line each: a film that cannot be read, and why."""


def ingest_titles(tables: Tables, titles: Sequence[Title]) -> CatalogReport:
    """Register every title, and every film of them that can be read; the others become scan_failures.

    A title whose film cannot be read stays a title. Run twice, the tables are the same.
    """
    films = [title for title in titles if title.uri]
    allowed = [title for title in films if not title.problem]
    found = dict(zip(allowed, probe_films([title.uri for title in allowed]), strict=True))
    probes = [title.problem or found[title] for title in films]
    _write(tables, "titles", [_title_row(title) for title in titles])
    _write_names(tables, titles)
    videos = [_video_row(title, probe) for title, probe in zip(films, probes, strict=True) if isinstance(probe, Probe)]
    failures = [
        _failure_row(title, reason) for title, reason in zip(films, probes, strict=True) if isinstance(reason, str)
    ]
    probed = [name for name in TABLES["videos"].schema.names if name not in SCANNED]
    _write(tables, "videos", videos, columns=probed)
    # A film that was mended since is no failure any more.
    if videos or failures:
        ids = ", ".join(f"'{video_id_of(title)}'" for title in films)
        tables.delete("scan_failures", f"scan_id = '{INGEST}' AND video_id IN ({ids})")
    _write(tables, "scan_failures", failures)
    losses = tuple(f"{row['uri']}: {row['reason']}" for row in failures)
    return CatalogReport(len(titles), len(videos), losses)


def ingest_items(
    tables: Tables, pictures: Sequence[tuple[str, str]], refused: Sequence[tuple[str, str, str]] = ()
) -> PicturesReport:
    """Make candidates of items' images, (title_id, uri); those that cannot be read, and those that were ``refused``
    already (with the reason), become scan_failures.

    An item's images are these and no others. Run twice, the tables are the same.
    """
    report = ingest_pictures(tables, IMAGES, pictures)
    report = replace(report, losses=(*refused, *report.losses))
    lost = [_failure_row(Title(title, "", uri), reason) for title, uri, reason in report.losses]
    before = tables.read_or_empty("scan_failures").where(f"scan_id = '{INGEST}'").select("video_id").collect()
    mine = {video_id_of(Title(title, "", uri)) for title, uri in pictures}
    if mended := sorted({row[0] for row in before} & mine - {row["video_id"] for row in lost}):
        ids = ", ".join(f"'{name}'" for name in mended)
        tables.delete("scan_failures", f"scan_id = '{INGEST}' AND video_id IN ({ids})")
    _write(tables, "scan_failures", lost)
    return report


def video_id_of(title: Title) -> str:
    """A film's id: a hash of its title and its address."""
    return hashlib.blake2b(f"{title.title_id}\x1f{title.uri}".encode(), digest_size=12).hexdigest()


def _write(tables: Tables, table: str, rows: Sequence[dict], columns: Sequence[str] | None = None) -> None:
    schema = TABLES[table].schema
    spark: SparkSession = tables.spark
    values = [tuple(row.get(name) for name in schema.names) for row in rows]
    frame = spark.createDataFrame(values, schema)
    if rows or not tables.exists(table):
        tables.merge(table, frame, columns=columns)


def _write_names(tables: Tables, titles: Sequence[Title]) -> None:
    """Make the names in other languages of these titles those that they have; what did not change is not written."""
    ours = {title.title_id for title in titles}
    before = {tuple(row) for row in tables.read_or_empty("title_names").collect()}
    after = {row for row in before if row[0] not in ours}
    after |= {(title.title_id, language, name) for title in titles for language, name in title.names}
    if after != before:
        tables.overwrite("title_names", tables.spark.createDataFrame(sorted(after), TABLES["title_names"].schema))


def _title_row(title: Title) -> dict:
    return asdict(title) | {
        "genres": list(title.genres),
        "regions": list(title.regions),
        "rights": [(window.region, window.from_date, window.to_date) for window in title.rights],
        "cast_names": list(title.cast_names),
        "creators": list(title.creators),
    }


def _video_row(title: Title, probe: Probe) -> dict:
    return asdict(probe) | {"video_id": video_id_of(title), "title_id": title.title_id, "uri": title.uri}


def _failure_row(title: Title, reason: str) -> dict:
    return {
        "scan_id": INGEST,
        "video_id": video_id_of(title),
        "uri": hidden(title.uri),
        "segment": -1,
        "reason": hidden(reason),
        "frames_lost": None,
    }
