# Databricks notebook source
# MAGIC %md
# MAGIC # Walk the pipeline
# MAGIC Films in, artworks out, table by table; and, where there are logs of what members did, on to who sees which artwork.
# MAGIC
# MAGIC Every step is the same job that `keyart <job>` and `spark-submit jobs/<job>.py` run. Each can be run again: nothing
# MAGIC is done or counted twice.
# MAGIC
# MAGIC On Databricks: install keyart's wheel on the cluster (`make wheel`) and set the variables below, in the cluster's
# MAGIC settings or here. Elsewhere: start Jupyter or Python in the project's folder after `make setup`.

# COMMAND ----------

# What is read and where it goes. Every value can come from the environment.
import os

TABLES = os.environ.get("KEYART_TABLES", "build/notebook/tables")  # a folder, a URL, or catalog:main.keyart
VIDEOS = os.environ.get("KEYART_VIDEOS", "build/demo/films/7")  # a folder of films
MANIFEST = os.environ.get("KEYART_MANIFEST", "")  # CSV or JSON lines with names and genres; may be empty
EVENTS = os.environ.get("KEYART_EVENTS", "")  # a log file or folder; empty stops after the artworks
REPORT = os.environ.get("KEYART_REPORT", "")  # where the report goes; empty: beside the tables

# COMMAND ----------

from pathlib import Path

from keyart.config import load, with_values
from keyart.session import open_session
from keyart.tables import Tables

CONF = next((folder for folder in (Path("conf"), Path("../conf")) if folder.is_dir()), None)
settings = load(CONF and CONF / "base.yaml")
paths = {"tables": TABLES, "catalog.videos": VIDEOS, "catalog.manifest": MANIFEST, "report.folder": REPORT}
settings = with_values(settings, {**paths, "events.events": EVENTS})
if "spark" not in globals():  # Databricks has one
    spark = open_session(load(CONF and CONF / "local.yaml").session)
tables = Tables(spark, TABLES)


def show(frame, rows=12):
    """A few rows: as Databricks shows them, or as text."""
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        display(frame.limit(rows))  # noqa: F821
    else:
        frame.show(rows, truncate=48)


def show_html(html):
    """Pictures: in the notebook where there is one, else into a file beside the tables."""
    if "displayHTML" in globals():
        displayHTML(html)  # noqa: F821
        return
    try:
        from IPython.display import HTML, display
    except ImportError:
        sheet = Path(TABLES).absolute().parent / "contact_sheet.html"
        sheet.write_text(html)
        print(f"pictures: {sheet}")
    else:
        display(HTML(html))


# COMMAND ----------

# MAGIC %md
# MAGIC ## The films
# MAGIC `ingest-catalog` reads a folder (each file a title of its own) or a manifest that names them.

# COMMAND ----------

from keyart.jobs import ingest_catalog

ingest_catalog.run(spark, settings)
show(tables.read("titles").select("title_id", "name", "genres", "kids"))
show(tables.read("videos").select("title_id", "codec", "width", "height", "duration_seconds", "frame_rate", "size_bytes"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Every frame, once
# MAGIC `scan-videos` decodes each film once. A frame leaves its signals, a shot its borders, and a few frames of each shot
# MAGIC stay as candidates with their picture. A film that has not changed is not read again.

# COMMAND ----------

from pyspark.sql import functions as F

from keyart.jobs import scan_videos

scan_videos.run(spark, settings)
frames, shots, candidates = (tables.read(name) for name in ("frames", "shots", "candidates"))
show(
    frames.groupBy("video_id").agg(
        F.count("*").alias("frames"),
        F.round(F.avg("luma_mean"), 3).alias("brightness"),
        F.round(F.avg("colourfulness"), 3).alias("colourfulness"),
        F.round(F.avg("difference"), 3).alias("motion"),
    )
)
show(
    shots.select(
        "video_id",
        "shot_id",
        "transition_in",
        *(F.round(name, 2).alias(name) for name in ("start_seconds", "end_seconds", "luma_mean", "warmth", "motion")),
    ).orderBy("video_id", "shot_id")
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## A small, different set
# MAGIC `select-artwork` looks closely at the candidates and chooses artworks that are good and unlike each other. Every
# MAGIC candidate keeps its verdict, every artwork its reason.

# COMMAND ----------

from keyart.jobs import select_artwork
from keyart.report.sheet import contact_sheet
from keyart.report.thumbnails_spark import thumbnails

select_artwork.run(spark, settings)
artworks = tables.read("artworks").where("active")
show(artworks.select("title_id", "rank", F.round("score", 3).alias("score"), "shot_type", "moods", "flags", "reason"))
show(tables.read("candidates").groupBy("verdict").count().orderBy(F.desc("count")))

# COMMAND ----------

chosen = artworks.orderBy("title_id", "rank").select("image_hash", "title_id", "rank", "seconds").limit(40).collect()
small = thumbnails(tables.read("images"), {row["image_hash"]: 320 for row in chosen})
content = {row["image_hash"]: bytes(row["content"]) for row in small.collect()}
show_html(
    contact_sheet(
        [
            (content.get(row["image_hash"]), f"{row['title_id']}, rank {row['rank']}, at {row['seconds'] or 0:.1f} s")
            for row in chosen
        ]
    )
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## What members did
# MAGIC With logs (`KEYART_EVENTS`), `ingest-events` turns raw rows into events, impressions and decisions. Member ids are
# MAGIC hashed with the key in the environment variable `KEYART_USER_KEY`; what is wrong goes to quarantine with a reason.

# COMMAND ----------

if EVENTS:
    from keyart.jobs import ingest_events

    ingest_events.run(spark, settings)
    show(tables.read("data_quality").select("measure", "value", "limit").orderBy("measure"), 40)
    show(tables.read_or_empty("quarantine").groupBy("reason").count().orderBy(F.desc("count")))
    show(
        tables.read("decisions")
        .where("reward IS NOT NULL AND NOT already_started")
        .groupBy("region")
        .agg(F.count("*").alias("decisions"), F.round(F.avg("take"), 4).alias("take_fraction"))
        .orderBy("region")
    )
else:
    print("KEYART_EVENTS is not set: everyone sees each title's first artwork by rank")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Learn, assign, evaluate
# MAGIC `train-taste` learns who likes which titles; `train-response` what an image does, by region and by member;
# MAGIC `assign-artwork` writes who gets which; `evaluate-policy` tells from later decisions what that would have been worth.

# COMMAND ----------

if EVENTS:
    from keyart.jobs import assign_artwork, evaluate_policy, train_response, train_taste

    for job in (train_taste, train_response, assign_artwork, evaluate_policy):
        job.run(spark, settings)
    show(
        tables.read("region_assignments")
        .where("is_default AND context = '*'")
        .select("level", "cell", "title_id", "artwork_id", F.round("mean", 3).alias("mean"), "n", "reason")
        .orderBy("title_id", "level", "cell")
    )
    show(
        tables.read("evaluations")
        .where("slice = '*' AND metric = 'reward' AND baseline = 'uniform'")
        .select("target", "estimator", "lift", "lift_lower", "lift_upper", "claim", "verdict")
        .orderBy("target", "estimator"),
        20,
    )

# COMMAND ----------

# MAGIC %md
# MAGIC ## The page people look at
# MAGIC `build-report` writes a folder that opens in any browser, without a server and without a network.

# COMMAND ----------

from keyart.jobs import build_report

build_report.run(spark, settings)
