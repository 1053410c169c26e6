"""Land a scan: plan films, decode what has not landed yet, wave after wave, into ``scan_segments``.

A wave is one append, so a scan that is killed loses the wave it was in; the next run plans the same segments and
decodes only those that are missing.
"""

from collections.abc import Callable, Iterator, Sequence

from pyspark.sql import Row

from keyart.session import following
from keyart.settings import ScanSettings
from keyart.tables import Tables
from keyart.video.estimates import seconds_of
from keyart.video.rows_spark import FILM
from keyart.video.tasks_spark import SEGMENTS, decoded, planned

__all__ = ["film_row", "in_list", "land_films", "tasks_of"]

SIZES = (
    "scan_id", "video_id", "segment", "part", "start_pts", "end_pts", "repair", "frames", "first_pts", "last_pts",
    "ended", "lost", "irregular", "reason",
)  # fmt: skip
"""Columns of ``scan_segments`` that the driver may see: some 50 rows an hour of film."""
SEGMENTS_A_TASK = 4
"""Segments that a task of a full wave decodes one after the other."""


def land_films(
    tables: Tables,
    settings: ScanSettings,
    films: Sequence[Row],
    scans: dict[str, str],
    landed: Callable[[int, bool], None] = lambda frames, before: None,
) -> tuple[list[Row], list[Row]]:
    """Land all segments of the films (rows of ``videos``).

    Returned are the sizes of all parts that landed and how their segments ended (``SIZES`` of ``scan_segments``), and
    rows of what could not be planned, with the reason.

    ``landed`` is told expected frames: of what an earlier run had landed, and of each wave as its tasks end. Films
    whose frames contradict their plan are decoded again whole, with repaired pts.
    """
    known = {row["video_id"]: row for row in films}
    rows, failures = _plan(tables, settings, films, scans)
    there = {_key(row) for row in _parts(tables, [scans[video_id] for video_id in known]) if row["ended"]}
    planned_keys = {_key(row) for row in rows}
    # Another segment length, or a plan that was given up: what landed then does not fit.
    odd = {key[0] for key in there if key not in planned_keys}
    _forget(tables, odd)
    due = [row for row in rows if row["video_id"] in odd or _key(row) not in there]
    landed(sum(row["packets"] for row in rows) - sum(row["packets"] for row in due), True)
    _decode(tables, settings, due, known, landed)
    parts = _parts(tables, [scans[video_id] for video_id in known])
    again = {row["video_id"] for row in parts if row["irregular"]}
    if again:
        _forget(tables, again)
        rows, _ = _plan(tables, settings, [known[video_id] for video_id in sorted(again)], scans, whole=True)
        _decode(tables, settings, rows, known, landed)
        parts = _parts(tables, [scans[video_id] for video_id in known])
    return parts, failures


def in_list(column: str, values: Sequence[str]) -> str:
    """A SQL condition; the values are ids of ours, in hexadecimal."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def tasks_of(tables: Tables) -> int:
    """Tasks a pass is spread over: twice the shuffle partitions, so that an uneven split evens out."""
    return 2 * int(tables.spark.conf.get("spark.sql.shuffle.partitions") or 4)


def _plan(
    tables: Tables, settings: ScanSettings, films: Sequence[Row], scans: dict[str, str], whole: bool = False
) -> tuple[list[Row], list[Row]]:
    frame = tables.spark.createDataFrame([film_row(row, scans) for row in films], FILM)
    tasks = min(tasks_of(tables), len(films))
    rows = frame.repartition(tasks).transform(planned, settings, whole).collect()
    rows.sort(key=lambda row: (row["video_id"], row["segment"]))
    return [row for row in rows if row["segment"] >= 0], [row for row in rows if row["segment"] < 0]


def film_row(video: Row, scans: dict[str, str]) -> tuple:
    """A row of FILM from one of ``videos``."""
    tick = video["time_base_num"] / video["time_base_den"]
    return (*(video[name] for name in ("video_id", "title_id")), scans[video["video_id"]], video["uri"],
            video["rotation"], tick)  # fmt: skip


def _parts(tables: Tables, scan_ids: Sequence[str]) -> list[Row]:
    if not tables.exists("scan_segments"):
        return []
    return tables.read("scan_segments").where(in_list("scan_id", scan_ids)).select(*SIZES).collect()


def _key(row: Row) -> tuple:
    return tuple(row[name] for name in ("video_id", "segment", "start_pts", "end_pts", "repair"))


def _forget(tables: Tables, video_ids: set[str]) -> None:
    if video_ids:
        tables.delete("scan_segments", in_list("video_id", sorted(video_ids)))


def _decode(
    tables: Tables,
    settings: ScanSettings,
    due: Sequence[Row],
    known: dict[str, Row],
    landed: Callable[[int, bool], None],
) -> None:
    tasks = tasks_of(tables)
    for wave in _waves(due, known, settings.wave_seconds, tasks):
        frame = tables.spark.createDataFrame([tuple(row) for row in wave], SEGMENTS)
        pieces = min(len(wave), max(tasks, len(wave) // SEGMENTS_A_TASK))
        telling = _Telling(sum(row["packets"] for row in wave), pieces, landed)
        with following(tables.spark, pieces, telling.done):
            tables.append("scan_segments", frame.repartition(pieces).transform(decoded, settings))
        telling.done(pieces)


class _Telling:
    """Tells a wave's frames as its tasks are done; segments are alike, so each task is taken for its even share."""

    def __init__(self, frames: int, tasks: int, landed: Callable[[int, bool], None]) -> None:
        self._frames, self._tasks, self._landed, self._told = frames, tasks, landed, 0

    def done(self, tasks: int) -> None:
        now = self._frames * tasks // self._tasks
        self._landed(now - self._told, False)
        self._told = now


def _waves(due: Sequence[Row], known: dict[str, Row], seconds: float, tasks: int) -> Iterator[Sequence[Row]]:
    """Runs of segments that are expected to take so long on as many cores as half the tasks."""
    wave: list[Row] = []
    spent = 0.0
    for row in due:
        film = known[row["video_id"]]
        wave.append(row)
        spent += seconds_of(row["packets"], film["width"], film["height"])
        if spent >= seconds * tasks / 2 and len(wave) >= tasks:
            yield wave
            wave, spent = [], 0.0
    if wave:
        yield wave
