"""stream-feedback: a stream of files or a Kafka topic, batch by batch through the ingest that deliveries go through.

Spark may hand a batch over twice (a run killed between the tables and the checkpoint); the ingest then changes nothing.
"""

import hashlib
import json
import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass, field

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.readwriter import DataStreamWriter

from keyart.errors import ConfigError, InputError, KeyartError
from keyart.feedback.events import theirs
from keyart.feedback.events_spark import members_of
from keyart.feedback.ingest_spark import Batch, Ingested, ingest_delivery
from keyart.feedback.log_spark import LINE, SOURCE, Log, json_fields, named, stray_links, unreadable
from keyart.feedback.privacy import secret
from keyart.paths import Bounds
from keyart.policy.online_spark import Folded, Online
from keyart.secrecy import resolved
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["stream"]

log = logging.getLogger(__name__)

MEASURED_SECONDS = 60.0
BY_ROW = ("decisions", "taste")
"""Tables that a batch changes here and there."""


def stream(spark: SparkSession, settings: Settings) -> list[Ingested]:
    """Ingest all that has arrived since the last run, or (``stream.forever``) until stopped; what each batch came to.

    InputError where the source cannot be read; what a batch is refused for is raised as the ingest raises it, and the
    batch is tried again by the next run.
    """
    batches = _Batches(settings)
    path = settings.events.events or settings.stream.options.get("subscribe", "the stream")
    try:
        writer = SOURCES[settings.stream.format](spark, settings).writeStream.foreachBatch(batches.take)
        query = _triggered(writer, settings).option("checkpointLocation", _checkpoint(settings)).start()
        query.awaitTermination()
    except PySparkException as error:
        raise (batches.refused[0] if batches.refused else unreadable(path, error)) from error
    return batches.done


@dataclass
class _Batches:
    """What becomes of each batch."""

    settings: Settings
    done: list[Ingested] = field(default_factory=list)
    refused: list[KeyartError] = field(default_factory=list)
    online: Online | None = None
    measured: float | None = None

    def take(self, rows: DataFrame, number: int) -> None:
        """Ingest a batch, then let the policy that serves learn of it."""
        if rows.isEmpty():
            return
        rows = _without_stray(rows, self.settings)
        settings, tables = self.settings, Tables(rows.sparkSession, self.settings.tables)
        if self.online is None and settings.stream.online:
            self.online = Online(tables, settings, _stream_id(tables.spark, _checkpoint(settings)))
        if self.measured is None:
            _prepare(tables)
        name = f"batch {number} of {_checkpoint(settings)}"
        delivery = Log(name, rows, hashlib.sha256(name.encode()).hexdigest()[:32], False)
        members, start = members_of(rows, secret(settings.privacy)).persist(), time.monotonic()
        try:
            # Folding members in needs no more than their events: side by side with decisions.
            with ExitStack() as kept, ThreadPoolExecutor(1) as pool:
                folding: list[Future[Folded | None]] = []

                def landed() -> None:
                    if self.online:
                        folding.append(pool.submit(kept.enter_context, self.online.folded(members)))

                came = ingest_delivery(tables, delivery, settings, Batch(landed, self._is_measured()))
                counted, took = (came.rows, came.events, came.quarantined), time.monotonic() - start
                log.info("%s: %d rows, %d events, %d set aside in %.1f s", name, *counted, took)
                folded = folding[0].result() if folding else None
                updated = self.online.update(folded, number) if self.online and folded else None
        except KeyartError as error:
            self.refused.append(error)  # Spark would tell it as a failed query
            raise
        finally:
            members.unpersist()
        if updated:
            said, took = astuple(updated), time.monotonic() - start - took
            log.info("%s: policy %s, %d members as of %s, levels of %d titles moved in %.1f s", name, *said, took)
        if not settings.stream.forever:  # else nobody would ever ask for it
            self.done.append(came)

    def _is_measured(self) -> bool:
        """Whether this batch's decisions are: the first one's, then at most once a minute."""
        now = time.monotonic()
        if self.measured is not None and now - self.measured < MEASURED_SECONDS:
            return False
        self.measured = now
        return True


def _prepare(tables: Tables) -> None:
    """For batches: plans that adapt, and packing what is kept for seconds, would cost as much as the work."""
    for name in ("spark.sql.adaptive.enabled", "spark.sql.inMemoryColumnarStorage.compressed"):
        with suppress(PySparkException):  # where a platform does not let it be set
            tables.spark.conf.set(name, "false")
    for table in BY_ROW:
        tables.change_by_row(table)


def _files(spark: SparkSession, settings: Settings) -> DataFrame:
    if not settings.events.events:
        raise InputError("no folder was named; give --events FOLDER, in which files of JSON lines appear")
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": LINE, "recursiveFileLookup": "true"}
    options["maxFilesPerTrigger"] = str(settings.stream.files_per_batch)
    reader = spark.readStream.schema(json_fields(theirs(settings.events.columns)))
    found = reader.options(**options | _given(settings)).json(settings.events.events)
    return named(found, settings.events, settings.events.events)


def _given(settings: Settings) -> dict[str, str]:
    """The source's options, with secrets in the place of references to them."""
    return {name: resolved(value) for name, value in settings.stream.options.items()}


def _without_stray(rows: DataFrame, settings: Settings) -> DataFrame:
    """Rows without those of files that links lead to which may not be followed, as they lie there now."""
    if settings.stream.format != "files":
        return rows
    stray = stray_links(settings.events.events, Bounds(settings.sources.roots, settings.sources.schemes))
    # Spark names a file as a URL: %20 is a space, a plus is a plus.
    path = F.regexp_replace(F.url_decode(F.regexp_replace(SOURCE, r"\+", "%2B")), "^file:/+", "/")
    for link in stray:
        rows = rows.where(~path.startswith(link))
    return rows


def _kafka(spark: SparkSession, settings: Settings) -> DataFrame:
    options = {"maxOffsetsPerTrigger": str(settings.stream.messages_per_batch)} | _given(settings)
    found = spark.readStream.format("kafka").options(**options).load()
    return from_messages(found, settings)


def from_messages(messages: DataFrame, settings: Settings) -> DataFrame:
    """Rows of a log from Kafka's (value, topic, partition); a value that is no JSON is an unreadable line."""
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": LINE}
    parsed = F.from_json(F.col("value").cast("string"), json_fields(theirs(settings.events.columns)), options)
    rows = messages.select(parsed.alias("_row"), "topic", "partition").select("_row.*", "topic", "partition")
    return named(rows, settings.events, "the topic", F.concat_ws(" ", "topic", F.col("partition").cast("string")))


SOURCES = {"files": _files, "kafka": _kafka}


def _triggered(writer: DataStreamWriter, settings: Settings) -> DataStreamWriter:
    if settings.stream.forever:
        return writer.trigger(processingTime=settings.stream.every)
    return writer.trigger(availableNow=True)


def _stream_id(spark: SparkSession, checkpoint: str) -> str:
    """The checkpoint's id: a stream with another checkpoint counts its batches from 0 again."""
    row = spark.read.text(f"{checkpoint}/metadata").first()
    if row is None:
        raise InputError(f"checkpoint {checkpoint} has no metadata; name another with --checkpoint")
    return str(json.loads(row[0])["id"])


def _checkpoint(settings: Settings) -> str:
    if settings.stream.checkpoint:
        return settings.stream.checkpoint
    if settings.tables.startswith("catalog:"):
        raise ConfigError("stream.checkpoint is empty: name a folder or URL, for the tables lie in a catalogue")
    beside, slash, _ = settings.tables.rstrip("/").rpartition("/")
    return f"{beside}{slash}checkpoints/stream-feedback"
