"""Versions of tables as a run has seen them, and what a stage reads as one hash."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from keyart import __version__
from keyart.operations.graph import Stage
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["Seen", "Versions", "input_key", "listing"]

log = logging.getLogger(__name__)

LANES = 4
"""Tables looked up at a time: each is a query of its own."""
RECENT = 25
"""Commits of a stage whose rows are counted; one that commits more often is counted by the newest."""


@dataclass(frozen=True)
class Seen:
    """A table's newest version and the newest that changed its rows; None where there is no such."""

    version: int | None
    data: int | None


class Versions:
    """Looked up once and again where a stage has written. What others write meanwhile is seen by the next run, and
    never missed: a version that is older than what was read makes a stage run once more."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._seen: dict[str, Seen] = {}

    def look(self, names: Iterable[str]) -> None:
        """Look up those that are not known yet, several at a time."""
        new = [name for name in dict.fromkeys(names) if name not in self._seen]
        with ThreadPoolExecutor(LANES) as lanes:
            self._seen |= dict(zip(new, lanes.map(self._now, new), strict=True))

    def __getitem__(self, name: str) -> Seen:
        self.look([name])
        return self._seen[name]

    def written(self, names: Sequence[str]) -> dict[str, int]:
        """Rows that came into each table since it was looked up last, tables without any left out."""
        before = {name: self[name].version for name in names}

        def since(name: str) -> int:
            commits = self._tables.history(name, RECENT)
            was = before[name]
            return sum(commit.rows for commit in commits if was is None or commit.version > was)

        with ThreadPoolExecutor(LANES) as lanes:
            rows = dict(zip(names, lanes.map(since, names), strict=True))
        for name in names:
            del self._seen[name]
        self.look(names)
        return {name: count for name, count in rows.items() if count}

    def _now(self, name: str) -> Seen:
        newest = self._tables.history(name, 1)
        if not newest:
            return Seen(None, None)
        version = newest[0].version
        return Seen(version, version if newest[0].changes_data else self._tables.data_version(name))


def input_key(
    stage: Stage, settings: Settings, tables: Tables, read: Mapping[str, int | None], models: Mapping[str, str | None]
) -> str:
    """Hash of everything the stage reads: ``read`` are its tables' data versions, ``models`` the runs in which the
    stages that it comes after did their work."""
    sections = {name: getattr(settings, name) for name in stage.sections}
    parts = [
        __version__,
        dict(read),
        dict(models),
        {name: asdict(value) if hasattr(value, "__dataclass_fields__") else value for name, value in sections.items()},
        [listing(path, tables.spark) for path in stage.paths(settings) if path],
        stage.today(settings, tables),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def listing(path: str, spark: SparkSession) -> Sequence[object]:
    """What tells one state of a file or folder from another: names, sizes and times.

    Of a URL as Spark lists it; one that Spark cannot list, such as a page's, stands for itself.
    """
    if "://" in path and not path.startswith("file:"):
        return [path, _listing_of_url(path, spark)]
    root = Path(path.removeprefix("file://").removeprefix("file:"))
    if root.is_file():
        return [path, root.stat().st_size, root.stat().st_mtime_ns]
    files = sorted(child for child in root.rglob("*") if child.is_file()) if root.is_dir() else []
    return [path, [[str(f.relative_to(root)), f.stat().st_size, f.stat().st_mtime_ns] for f in files]]


def _listing_of_url(path: str, spark: SparkSession) -> Any:
    try:
        # Without the column of the contents no file is opened.
        files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(path)
        hashes = F.sum(F.xxhash64("path", "length", "modificationTime").cast("decimal(38,0)"))
        row = files.agg(F.count("*"), hashes).collect()[0]
    except Exception as error:  # a scheme that Spark lacks reaches us as Py4J's error
        log.info("%s cannot be listed (%s): it stands for itself", path, type(error).__name__)
        return None
    return [row[0], str(row[1])]
