"""The raw log: events as arrays of codes while they happen, Parquet files with the columns that ingest-events reads."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from keyart.demo.backcatalogue import GENRES, BackTitle
from keyart.demo.worlds import DEVICES, UTC_OFFSET, World
from keyart.feedback.events import LOG_COLUMNS
from keyart.seeding import rng

__all__ = [
    "DAY",
    "FIRST_DAY",
    "KINDS",
    "SAID",
    "Columns",
    "LogTables",
    "Logbook",
    "numbered",
    "plain",
    "with_column",
    "write_parquet",
]

FIRST_DAY = date(2026, 1, 5)
"""Day 0 of the logged decisions; members' history lies before it."""
DAY = 86_400.0
KINDS = ("impression", "browse", "search", "take", "play", "pause", "rewind", "stop", "complete", "abandon")
SURFACES = ("home", "search", "player")
SOURCES = ("row", "search", "continue")
POLICY = "editors-and-uniform"
ROWS_A_FILE = 400_000
SAID = tuple(
    name for name in LOG_COLUMNS if name not in ("local_weekday", "segment", "ranker_id", "rating", "opted_out")
)
"""A log's columns that this audience says something in."""
LISTS = ("candidate_set", "candidate_propensities")
SELDOM_REPEATED = ("event_id", "session_id", "ts", "ranker_score", "watched_seconds", "position_seconds")
"""Columns that a dictionary would only make larger."""
FAULTY = 0.0005
"""Share of impressions that are delivered again in a damaged or repeated form."""

_ORIGIN = int(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC).timestamp())
_CODE, _REAL = np.dtype(np.int32), np.dtype(np.float64)
_COLUMNS: dict[str, np.dtype[Any]] = {
    "kind": _CODE, "member": _CODE, "seconds": _REAL, "title": _CODE, "artwork": _CODE, "session": _CODE,
    "device": _CODE, "surface": _CODE, "row": _CODE, "position": _CODE, "candidates": _CODE, "started": _CODE,
    "ranker": _REAL, "source": _CODE, "at": _REAL, "watched": _REAL, "query": _CODE,
}  # fmt: skip

Columns = dict[str, np.ndarray | int]
"""Values of events by column; a scalar holds for all of them."""


@dataclass
class Logbook:
    """Collects events; codes are indices, -1 (or NaN) where an event has no such value.

    ``seconds`` count from the start of FIRST_DAY. ``title`` counts the catalogue's titles first, then the back
    catalogue's. ``candidates`` is a title's index for a drawn artwork, or T + artwork where there was no choice.
    """

    chunks: list[dict[str, np.ndarray]] = field(default_factory=list)
    sessions: int = 0

    def new_sessions(self, count: int) -> np.ndarray:
        """Numbers of ``count`` sessions that begin."""
        self.sessions += count
        return np.arange(self.sessions - count, self.sessions)

    def add(self, kind: str, member: np.ndarray, seconds: np.ndarray, **columns: np.ndarray | int) -> None:
        """Events of one kind; a scalar column holds for all of them."""
        given: dict[str, Any] = {"kind": KINDS.index(kind), "member": member, "seconds": seconds, **columns}
        chunk = {}
        for name, kind_of in _COLUMNS.items():
            missing = -1 if kind_of == _CODE else np.nan
            chunk[name] = np.broadcast_to(np.asarray(given.get(name, missing), kind_of), len(member))
        self.chunks.append(chunk)

    def events(self) -> dict[str, np.ndarray]:
        """All events in the order of time."""
        joined = {name: np.concatenate([chunk[name] for chunk in self.chunks]) for name in _COLUMNS}
        order = np.argsort(joined["seconds"], kind="stable")
        return {name: values[order] for name, values in joined.items()}

    def write(self, folder: Path, world: World, back: list[BackTitle]) -> dict[str, int]:
        """Write Parquet files of at most ROWS_A_FILE rows and one of late, damaged deliveries.

        Returns counts: ``events`` (good ones, each once), one per kind, and one per fault.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("events-*.parquet"):
            old.unlink()
        events, tables = self.events(), LogTables(world, back)
        total = len(events["kind"])
        for number, start in enumerate(range(0, total, ROWS_A_FILE)):
            numbers = np.arange(start, min(start + ROWS_A_FILE, total))
            write_parquet(folder / f"events-{number:03d}.parquet", tables.table(events, numbers))
        faults, counts = _faults(events, tables, world.seed)
        if faults.num_rows:
            write_parquet(folder / "events-late.parquet", faults)
        kinds = np.bincount(events["kind"], minlength=len(KINDS))
        return {"events": total, **{name: int(count) for name, count in zip(KINDS, kinds, strict=True)}, **counts}


def write_parquet(target: Path | BinaryIO, table: pa.Table) -> None:
    """Write a raw log, or a part of one, small and fast."""
    often = [name for name in table.column_names if name not in (*SELDOM_REPEATED, *LISTS)]
    dictionaries = [*often, *(f"{name}.list.element" for name in LISTS)]
    pq.write_table(table, target, compression="zstd", compression_level=1, use_dictionary=dictionaries)


class LogTables:
    """Turns codes into the raw log's columns."""

    def __init__(self, world: World, back: list[BackTitle], sessions: str = "s") -> None:
        catalogue, members = world.catalogue, world.members
        self.prefix, self.sessions = f"{world.name}-{world.seed}-", sessions
        self.members, self.regions = pa.array(members.ids), pa.array(world.regions)
        self.region, self.kids = members.region, members.kids
        self.offset = np.array([UTC_OFFSET.get(name, 0) for name in world.regions])
        self.titles = pa.array([*catalogue.title_ids, *(title.title_id for title in back)])
        self.artworks = pa.array(catalogue.artwork_ids)
        self.count = len(catalogue.title_ids)
        self.propensity = catalogue.propensity
        # Lists of candidates: a title's whole set, or the one artwork that a continued title keeps.
        of_title = (catalogue.slots >= 0).sum(axis=1)
        artworks = np.arange(len(catalogue.artwork_ids))
        self.length = np.concatenate([of_title, np.ones(len(artworks), np.int64)])
        self.begin = np.concatenate([[0], self.length.cumsum()[:-1]])
        self.flat = np.concatenate([artworks, artworks])
        self.chances = np.concatenate([catalogue.propensity, np.ones(len(artworks))])

    def table(self, events: dict[str, np.ndarray], rows: np.ndarray) -> pa.Table:
        """The log of some of the events (indices), whose numbers they keep; words as dictionaries."""
        some = {name: values[rows] for name, values in events.items()}
        member, seconds, candidates = some["member"], some["seconds"], some["candidates"]
        region = self.region[member]
        hours = np.floor(seconds / 3600.0).astype(np.int64) + self.offset[region]
        drawn = (candidates >= 0) & (candidates < self.count)
        chance = np.where(drawn, self.propensity[some["artwork"]], 1.0)
        sets, chances = self._candidates(candidates)
        micros = pa.array(np.round((seconds + _ORIGIN) * 1e3).astype(np.int64) * 1000)
        return pa.table(
            {
                "event_id": numbered(self.prefix, rows),
                "event_type": _words(some["kind"], pa.array(KINDS)),
                "user_id": _words(member, self.members),
                "title_id": _words(some["title"], self.titles),
                "artwork_id": _words(some["artwork"], self.artworks),
                "ts": micros.cast(pa.timestamp("us", "UTC")),
                "session_id": numbered(self.sessions, some["session"]),
                "region": _words(region, self.regions),
                "device": _words(some["device"], pa.array(DEVICES)),
                "local_hour": pa.array((hours % 24).astype(np.int32)),
                "kids": pa.array(self.kids[member]),
                "surface": _words(some["surface"], pa.array(SURFACES)),
                "row": _integers(some["row"]),
                "position": _integers(some["position"]),
                "policy_id": _words(np.where(candidates >= 0, 0, -1), pa.array([POLICY])),
                "propensity": pa.array(chance, mask=candidates < 0),
                "candidate_set": sets,
                "candidate_propensities": chances,
                "already_started": pa.array(some["started"] == 1, mask=some["started"] < 0),
                "ranker_score": _reals(some["ranker"]),
                "source": _words(some["source"], pa.array(SOURCES)),
                "position_seconds": _reals(some["at"]),
                "watched_seconds": _reals(some["watched"]),
                "query": _words(some["query"], pa.array(GENRES)),
            }
        )

    def _candidates(self, codes: np.ndarray) -> tuple[pa.ListArray, pa.ListArray]:
        given = codes >= 0
        length = np.where(given, self.length[codes], 0)
        ends = length.cumsum()
        offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - length, length)
        at = np.repeat(self.begin[codes], length) + within
        missing = pa.array(~given)
        names = pa.DictionaryArray.from_arrays(pa.array(self.flat[at].astype(np.int32)), self.artworks)
        return (
            pa.ListArray.from_arrays(offsets, names, mask=missing),
            pa.ListArray.from_arrays(offsets, pa.array(self.chances[at]), mask=missing),
        )


def _faults(events: dict[str, np.ndarray], tables: LogTables, seed: int) -> tuple[pa.Table, dict[str, int]]:
    """Copies of a few impressions: delivered twice, of an unknown title, from the far future, without a member."""
    random = rng(seed, "faults")
    impressions = np.flatnonzero(events["kind"] == KINDS.index("impression"))
    each = int(len(impressions) * FAULTY / 4)
    rows = np.sort(random.choice(impressions, 4 * each, replace=False)).reshape(4, each)
    twice, unknown, future, nameless = (tables.table(events, some) for some in rows)
    unknown = with_column(unknown, "title_id", pa.array(["no-such-title"] * each, pa.string()))
    late = pa.array([datetime(2099, 1, 1, tzinfo=UTC)] * each, pa.timestamp("us", "UTC"))
    future = with_column(future, "ts", late)
    nameless = with_column(nameless, "user_id", pa.nulls(each, pa.string()))
    damaged = pa.concat_tables([plain(part) for part in (unknown, future, nameless)])
    damaged = with_column(damaged, "event_id", numbered(f"{tables.prefix}fault-", np.arange(damaged.num_rows)))
    counts = {"delivered twice": each, "unknown title": each, "far future": each, "without member": each}
    return pa.concat_tables([plain(twice), damaged]), counts


def with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """The table with other values in a column."""
    return table.set_column(table.column_names.index(name), name, values)


def plain(table: pa.Table) -> pa.Table:
    """The table with its dictionaries written out, so that parts of different words can be put together."""
    kinds = {field.name: pa.string() for field in table.schema if pa.types.is_dictionary(field.type)}
    kinds["candidate_set"] = pa.list_(pa.string())
    return table.cast(pa.schema([(field.name, kinds.get(field.name, field.type)) for field in table.schema]))


def _words(codes: np.ndarray, words: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), words)


def numbered(prefix: str, numbers: np.ndarray) -> pa.Array:
    """Names of nine digits or more."""
    text = pc.utf8_lpad(pa.array(numbers.astype(np.int64)).cast(pa.string()), 9, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), text, "")


def _integers(codes: np.ndarray) -> pa.Array:
    return pa.array(codes.astype(np.int32), mask=codes < 0)


def _reals(values: np.ndarray) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))
