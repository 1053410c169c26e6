"""stream-feedback with its online half at 5,000 events a second: from a file's arrival to its members' new artwork.

    python bench/stream.py [--rate 5000] [--seconds 180] [--burst 0] [--members 20000] [--titles 200] [--steps make,run]

``make`` simulates a log, learns and assigns from its first half, and keeps the second half as what members do next.
``run`` is a producer, a process of its own that writes a file of JSON lines a second into a folder, dated now, beside
the stream with a trigger of ten seconds. Delay is from a file's last event to the commit of the batch it was read in,
after its members' overrides were committed; both times are those of files (the producer's and the checkpoint's). With
``--burst`` the producer writes ten times the rate for that many seconds in the middle; drained is when a batch's delay
is under two triggers again. Seconds of each table's writes are printed batch by batch; some overlap.
"""

import argparse
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from results import BUILD, ROOT, record

TRIGGER = 10.0
BURST = 10


def settings_of(folder: Path, given: argparse.Namespace):
    """The configuration of conf/local.yaml, over the bench's tables."""
    from keyart.config import load, with_values

    values = {
        "tables": str(folder / "tables"),
        "simulate.out": str(folder / "log"),
        "simulate.members": given.members,
        "simulate.titles": given.titles,
        "simulate.days": 14,
        "simulate.deliveries": 2,
        "simulate.format": "json",
        "demo.take_rate": 0.05,
        "demo.oracle_lift": 0.3,
        "stream.forever": True,
        "stream.every": f"{TRIGGER:g} seconds",
        "events.events": str(folder / "in"),
    }
    return with_values(load(ROOT / "conf" / "local.yaml"), values)


def make(folder: Path, given: argparse.Namespace) -> None:
    """The world as the batch jobs leave it, and the lines that are still to come."""
    import importlib

    from keyart.config import with_values
    from keyart.demo.simulate_spark import simulate
    from keyart.session import open_session
    from keyart.tables import Tables

    shutil.rmtree(folder, ignore_errors=True)
    settings = settings_of(folder, given)
    spark = open_session(settings.session)
    simulate(spark, Tables(spark, settings.tables), settings)
    until_yesterday(spark, folder / "log" / "delivery=0", folder / "first")
    first = with_values(settings, {"events.events": str(folder / "first")})
    for name, said in {"ingest_events": first, "train_taste": settings, "train_response": settings}.items():
        importlib.import_module(f"keyart.jobs.{name}").run(spark, said)
    importlib.import_module("keyart.jobs.assign_artwork").run(spark, settings)
    spark.stop()


def until_yesterday(spark, log: Path, out: Path) -> None:
    """The log with its last day moved to yesterday, as the history of a stream that starts today."""
    from pyspark.sql import functions as F

    lines = spark.read.text(str(log))
    day = F.to_date(F.regexp_extract("value", '"ts":"([^T]+)T', 1))
    last = lines.agg(F.max(day)).first()[0]
    days = (datetime.now(UTC).date() - last).days - 1
    moved = F.concat(F.lit('"ts":"'), F.date_add(day, days).cast("string"), F.lit("T"))
    lines.select(F.regexp_replace("value", F.lit('"ts":"[^T]+T'), moved)).write.text(str(out))


def produce(folder: Path, given: argparse.Namespace) -> None:
    """Write a file a second of what members do next, dated now; each line is told apart by a new event_id."""
    lines = [line for path in sorted((folder / "log").rglob("*.txt")) for line in path.read_text().splitlines()]
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    rows.sort(key=lambda row: row["ts"])
    (folder / "in").mkdir(exist_ok=True)
    at, begun = 0, time.time()
    middle = given.seconds // 2
    for second in range(given.seconds):
        rate = given.rate * (BURST if middle <= second < middle + given.burst else 1)
        now, written = time.time(), []
        for number in range(rate):
            row = dict(rows[at % len(rows)])
            row["ts"] = datetime.fromtimestamp(now - 1 + number / rate, UTC).isoformat()
            row["event_id"] = f"bench-{at}"
            written.append(json.dumps(row))
            at += 1
        part = folder / "in" / f".{second:05d}.part"
        part.write_text("\n".join(written) + "\n")
        part.rename(folder / "in" / f"{second:05d}.jsonl")
        time.sleep(max(0.0, begun + second + 1 - time.time()))
    print(f"producer: {at} events in {time.time() - begun:.0f} s", flush=True)


def run(folder: Path, given: argparse.Namespace) -> dict:
    """The stream beside the producer, until everything is read."""
    from keyart.feedback.stream_spark import stream
    from keyart.session import open_session

    for name in ("in", "checkpoints", "live"):
        shutil.rmtree(folder / name, ignore_errors=True)
    shutil.copytree(folder / "tables", folder / "live" / "tables")
    (folder / "in").mkdir()
    from keyart.config import with_values

    settings = with_values(settings_of(folder, given), {"tables": str(folder / "live" / "tables")})
    # Models lie beside the tables.
    (folder / "live" / "mlflow").symlink_to(folder / "mlflow")
    checkpoint = folder / "live" / "checkpoints" / "stream-feedback"
    spark = open_session(settings.session)
    timed()
    arguments = [f"--{name}={getattr(given, name)}" for name in ("rate", "seconds", "burst", "members", "titles")]
    producer = subprocess.Popen([sys.executable, __file__, *arguments, "--steps=produce", f"--folder={folder}"])

    def stop() -> None:
        producer.wait()
        files, limit = len(list((folder / "in").glob("*.jsonl"))), time.time() + given.patience
        while time.time() < limit and sum(len(batch) for batch, _ in batches(checkpoint)) < files:
            time.sleep(1)
        for query in spark.streams.active:
            query.stop()

    threading.Thread(target=stop, daemon=True).start()
    stream(spark, settings)
    spark.stop()
    return figures(checkpoint, given)


def timed() -> None:
    """Let the tables say what each write took."""
    from keyart.tables import Tables

    def told(write, name):
        def wrapped(self, table, *rest, **more):
            start = time.perf_counter()
            try:
                return write(self, table, *rest, **more)
            finally:
                print(f"  {name} {table}: {time.perf_counter() - start:.1f} s", flush=True)

        return wrapped

    for name in ("merge", "append", "replace"):
        setattr(Tables, name, told(getattr(Tables, name), name))


def batches(checkpoint: Path) -> list[tuple[list[float], float]]:
    """Of each batch that was committed when its files were written and when it was."""
    found = []
    for path in sorted((checkpoint / "commits").glob("[0-9]*"), key=lambda path: int(path.name)):
        source = checkpoint / "sources" / "0" / path.name
        packed = source.with_name(f"{source.name}.compact")
        lines = (source if source.exists() else packed).read_text().splitlines()[1:]
        files = [json.loads(line) for line in lines]
        mine = [one["timestamp"] / 1000 for one in files if one["batchId"] == int(path.name)]
        if mine:
            found.append((mine, path.stat().st_mtime))
    return found


def figures(checkpoint: Path, given: argparse.Namespace) -> dict:
    """Delays, and how long the burst took."""
    found = batches(checkpoint)
    begun = min(min(files) for files, _ in found)
    table = [
        {"files": len(files), "from": min(files) - begun, "done": done - begun, "delay": done - min(files)}
        for files, done in found
    ]
    for one in table:
        print({name: round(value, 1) for name, value in one.items()}, flush=True)
    delays = [one["delay"] for one in table]
    read = sum(one["files"] for one in table)
    said = {
        "rate": given.rate, "seconds": given.seconds, "members": given.members, "batches": len(table),
        "median_delay": statistics.median(delays), "worst_delay": max(delays), "files_read": read,
        "share_under_two_triggers": sum(delay < 2 * TRIGGER for delay in delays) / len(delays),
    }  # fmt: skip
    if given.burst:
        over = given.seconds // 2 + given.burst
        late = [one["done"] for one in table if one["delay"] >= 2 * TRIGGER]
        said |= {"burst_seconds": given.burst, "drained_after": max(0.0, max(late, default=0.0) - over)}
    return said


def main() -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--burst", type=int, default=0)
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--titles", type=int, default=200)
    parser.add_argument("--patience", type=int, default=120, help="seconds to wait for the rest after the producer")
    parser.add_argument("--steps", default="make,run")
    parser.add_argument("--folder", default=None)
    given = parser.parse_args()
    folder = Path(given.folder or BUILD / "stream")
    os.environ.setdefault("KEYART_USER_KEY", "simulated members only")
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("keyart.feedback.stream_spark").setLevel(logging.INFO)
    if given.steps == "produce":
        produce(folder, given)
        return
    wanted = given.steps.split(",")
    if "make" in wanted:
        make(folder, given)
    if "run" in wanted:
        record(f"stream {given.rate} a second{' with a burst' if given.burst else ''}", run(folder, given))


if __name__ == "__main__":
    main()
