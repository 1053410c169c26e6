"""A site of a large catalogue: how long it takes to build, how heavy its first page is, and when pages answer.

    python bench/report.py [titles] [width of the stored pictures] [make, to make the tables only]

The catalogue is made up: every title has 20 artworks (real frames, each stored picture another file, with the preview
that a scan stores beside it), a film with 30 shots and 240 moments, and rows for every region of a policy.
"""

import shutil
import sys
import time
from pathlib import Path

import av
import cv2
import pyarrow as pa
from films import MEDIA
from playwright.sync_api import sync_playwright
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from results import BUILD, ROOT, record

from keyart.config import load
from keyart.previews import PREVIEW_WIDTH
from keyart.report.images import thumbnail
from keyart.report.spark import build_report
from keyart.schemas import TABLES
from keyart.session import open_session
from keyart.tables import Tables
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION

CONF = ROOT / "conf" / "local.yaml"
HOME = BUILD / "report"
ARTWORKS, CANDIDATES, SHOTS, MOMENTS = 20, 20, 30, 240
REGIONS = {
    "SE": "nordics", "NO": "nordics", "DE": "europe", "FR": "europe",
    "JP": "asia", "IN": "asia", "US": "americas", "BR": "americas",
}  # fmt: skip
PLAIN = {"string": "''", "integer": "0", "long": "0L", "double": "0D", "boolean": "false", "date": "DATE'2026-03-01'"}
PLAIN |= {"timestamp": "TIMESTAMP'2026-03-09 12:00:00'"}


def main(titles: int, width: int) -> None:
    settings = load(CONF, [f"tables={HOME / 'tables'}", *(f"regions.{r}={p}" for r, p in REGIONS.items())])
    spark = open_session(settings.session)
    tables = Tables(spark, settings.tables)
    if not (HOME / "tables" / f"made-{titles}-{width}").exists():
        shutil.rmtree(HOME, ignore_errors=True)
        make(tables, titles, width)
        (HOME / "tables" / f"made-{titles}-{width}").touch()
    if "make" in sys.argv:
        return
    shutil.rmtree(HOME / "report", ignore_errors=True)
    start = time.monotonic()
    page, _ = build_report(tables, settings)
    first = time.monotonic() - start
    start = time.monotonic()
    build_report(tables, settings)  # nothing has changed: no picture is read again
    again = time.monotonic() - start
    figures = {"titles": titles, "artworks": titles * ARTWORKS, "picture_width": width}
    figures |= {"seconds": round(first, 1), "seconds_again": round(again, 1), **opened(page.parent, titles)}
    record("report", figures)
    spark.stop()


def opened(site: Path, titles: int) -> dict[str, float]:
    """What a browser makes of the site: bytes and seconds of the first page, of its search, and of a title's page."""
    sizes: list[int] = []
    with sync_playwright() as driver:
        engine = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = engine.new_page(viewport={"width": 1280, "height": 900})
        tab.on("request", lambda request: sizes.append(Path(request.url.removeprefix("file://")).stat().st_size))
        start = time.monotonic()
        tab.goto((site / "index.html").as_uri(), wait_until="load")
        loaded, weight = time.monotonic() - start, sum(sizes)
        tab.fill("#search", f"title {titles - 1} of")
        _until(tab, "document.querySelectorAll('.card').length === 1")
        found = time.monotonic() - start
        tab.click(".card a")
        start = time.monotonic()
        tab.wait_for_load_state("load")
        drawn = "document.querySelector('figure[data-plot]').dataset.drawn === 'yes'"
        _until(tab, drawn)
        title = time.monotonic() - start
        engine.close()
    return {
        "first_page_kilobytes": round(weight / 1e3),
        "first_page_seconds": round(loaded, 2),
        "search_answers_seconds": round(found, 2),
        "title_page_seconds": round(title, 2),
    }


def _until(tab, condition: str) -> None:
    for _ in range(2000):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(5)
    raise AssertionError(condition)


def make(tables: Tables, titles: int, width: int) -> None:
    """The tables of the made-up catalogue."""
    spark = tables.spark
    ids = spark.range(titles).withColumn("title_id", F.format_string("title-%05d", "id"))
    film = F.concat(F.lit("film-"), "title_id")
    of_film = {"video_id": film, "scan_id": F.lit("scan")}
    genre = F.element_at(F.array(*map(F.lit, ("drama", "comedy", "thriller"))), (F.col("id") % 3 + 1).cast("int"))
    name = F.format_string("Title %d of the catalogue", "id")
    write(tables, "titles", ids, title_id="title_id", name=name, genres=F.array(genre))
    write(
        tables,
        "videos",
        ids,
        title_id="title_id",
        **of_film | {"current_scan_id": F.lit("scan")},
        duration_seconds=F.lit(600.0),
    )
    shots = each(ids, SHOTS)
    write(
        tables, "shots", shots, **of_film, shot_id="n", start_seconds=F.col("n") * 20.0,
        end_seconds=(F.col("n") + 1) * 20.0, luma_mean=F.rand(1), transition_in=F.lit("cut"),
    )  # fmt: skip
    write(
        tables, "frames", each(ids, MOMENTS), **of_film, pts=F.col("n").cast("long"), seconds=F.col("n") * 2.5,
        luma_mean=F.rand(2), difference=F.rand(3) / 10,
    )  # fmt: skip
    looked = each(ids, CANDIDATES).withColumn("image_hash", F.sha2(F.concat_ws(" ", "id", "n"), 256))
    moment = {"pts": F.col("n").cast("long"), "seconds": F.col("n") * 20.0, "shot_id": "n", "image_hash": "image_hash"}
    write(
        tables, "candidates", looked, **of_film, title_id="title_id", **moment, quality=F.rand(4), score=F.rand(5),
        verdict=F.when(F.col("n") < ARTWORKS, "selected").otherwise("too much like artwork 1"),
    )  # fmt: skip
    chosen = looked.where(F.col("n") < ARTWORKS).withColumn("artwork_id", F.concat_ws("-", "title_id", "n"))
    write(
        tables, "artworks", chosen, **of_film, artwork_id="artwork_id", title_id="title_id", **moment,
        active=F.lit(True), features=F.array(*(F.rand(10 + k) for k in range(len(FEATURE_NAMES)))),
        feature_version=F.lit(FEATURE_VERSION),
        rank=F.col("n") + 1, moods=F.array(F.lit("warm")), shot_type=F.lit("medium"), variant=F.lit("original"),
        score=F.rand(6), reason=F.lit("medium shot of one face, warm, sharp"), crops=crops(),
    )  # fmt: skip
    assigned(tables, chosen)
    bases = frames(width)
    tables.overwrite("images", looked.select("image_hash").mapInArrow(stored(bases, width), TABLES["images"].schema))


def assigned(tables: Tables, chosen: DataFrame) -> None:
    """A policy with rows for every cell."""
    cells = [
        ("global", "*"),
        *(("parent", p) for p in sorted(set(REGIONS.values()))),
        *(("region", r) for r in REGIONS),
    ]
    cell = F.explode(
        F.array(*(F.struct(F.lit(level).alias("level"), F.lit(name).alias("cell")) for level, name in cells))
    )
    rows = chosen.withColumn("where", cell)
    write(
        tables, "region_assignments", rows, policy_id=F.lit("artwork-1"), level="where.level", cell="where.cell",
        context=F.lit("*"), title_id="title_id", artwork_id="artwork_id", probability=F.lit(0.05), mean=F.randn(7) / 10,
        sd=F.lit(0.05), n=F.lit(1200), takes=F.lit(40), reason=F.lit("gains by more warmth"),
        is_default=F.col("n") == F.abs(F.hash("title_id", "where.cell")) % ARTWORKS,
    )  # fmt: skip
    write(
        tables,
        "policies",
        tables.spark.range(1),
        policy_id=F.lit("artwork-1"),
        kind=F.lit("epsilon-greedy"),
        spec=F.lit("{}"),
        models=F.lit("{}"),
        data_versions=F.lit("{}"),
    )


def crops():
    boxes = {
        "16:9": (0, 0, 1, 1),
        "4:1": (0, 0.28, 1, 0.444),
        "1:1": (0.25, 0.05, 0.534, 0.95),
        "2:3": (0.3, 0, 0.375, 1),
    }
    names = ("x", "y", "width", "height")
    return F.array(
        *(
            F.struct(F.lit(a).alias("aspect"), *(F.lit(float(v)).alias(k) for k, v in zip(names, box, strict=True)))
            for a, box in boxes.items()
        )
    )


def each(ids: DataFrame, count: int) -> DataFrame:
    return ids.withColumn("n", F.explode(F.sequence(F.lit(0), F.lit(count - 1))))


def write(tables: Tables, table: str, rows: DataFrame, **known) -> None:
    """The table from ``rows``: columns as given, null where allowed, else a plain value of their type."""
    columns = []
    for field in TABLES[table].schema:
        kind = field.dataType.simpleString()
        if field.name in known:
            value = known[field.name]
            column = F.col(value) if isinstance(value, str) else value
        elif field.nullable:
            column = F.lit(None)
        else:
            column = F.array() if kind.startswith("array") else F.expr(PLAIN.get(field.dataType.typeName(), "X''"))
        columns.append(column.cast(field.dataType).alias(field.name))
    tables.overwrite(table, rows.select(*columns))


def frames(width: int) -> list[bytes]:
    """Real frames as JPEGs of a width."""
    found = []
    with av.open(str(MEDIA / "sintel_trailer-480p.mp4")) as film:
        for n, frame in enumerate(film.decode(video=0)):
            if n % 20 == 0:
                picture = cv2.resize(
                    frame.to_ndarray(format="bgr24"), (width, width * 9 // 16), interpolation=cv2.INTER_CUBIC
                )
                found.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    return found


def stored(bases: list[bytes], width: int):
    """Every picture another file: the hash stands in it as a JPEG comment."""

    previews = [thumbnail(base, PREVIEW_WIDTH) for base in bases]

    def marked(pictures: list[bytes], key: str) -> bytes:
        picture = pictures[int(key[:6], 16) % len(pictures)]
        return picture[:2] + b"\xff\xfe" + (len(key) + 2).to_bytes(2, "big") + key.encode() + picture[2:]

    def make(batches):
        for batch in batches:
            keys = batch.column(0).to_pylist()
            for start in range(0, len(keys), 256):
                part = keys[start : start + 256]
                columns = {
                    "image_hash": pa.array(part),
                    "mime": pa.array(["image/jpeg"] * len(part)),
                    "width": pa.array([width] * len(part), pa.int32()),
                    "height": pa.array([width * 9 // 16] * len(part), pa.int32()),
                    "content": pa.array([marked(bases, key) for key in part], pa.binary()),
                    "preview": pa.array([marked(previews, key) for key in part], pa.binary()),
                }
                yield pa.RecordBatch.from_pydict(columns)

    return make


if __name__ == "__main__":
    sizes = [int(text) for text in sys.argv[1:] if text.isdecimal()]
    main(*(sizes + [10_000, 1280][len(sizes) :]))
