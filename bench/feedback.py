"""ingest-events at size: events to decisions, beside a bare read, dedupe by key and Delta write of the same rows.

    python bench/feedback.py [--millions 1] [--steps make,ingest,bare,record] [--folder DIR]

Steps may run one by one, each in a process of its own, so that none inherits another's heap; ``record`` puts what
the others left in DIR into build/bench.json. ``make`` is `keyart simulate`, with faults. Seconds are of the clock and
of the whole call, from an open session to the last commit. Tasks come from Spark's event log: of every stage with four
tasks or more whose median is at least a second, the longest against the median. Memory is the peak of the JVM's heap as
Spark polls it, and the largest resident size of JVM and Python workers together.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from results import BUILD, ROOT, record

STEPS = ("make", "ingest", "bare")
EVENTS_A_MEMBER = 123.0
FAULTS = {"duplicates": 0.005, "disordered": 0.01, "malformed": 0.0005, "unknown": 0.0005}
SHORTEST_MEDIAN = 1.0


def session(folder: Path, millions: float):
    """The configuration of conf/local.yaml with an event log; shuffles of half a million rows a partition."""
    from keyart.config import load

    shutil.rmtree(folder / "log", ignore_errors=True)
    (folder / "log").mkdir(parents=True)
    options = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": str(folder / "log"),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.logStageExecutorMetrics": "true",
        "spark.executor.metrics.pollingInterval": "500",
        "spark.local.dir": str(folder / "spill"),
    }
    settings = load(ROOT / "conf" / "local.yaml", [f"session.shuffle_partitions={max(4, 2 * int(millions))}"])
    from dataclasses import replace

    return replace(settings, session=replace(settings.session, options=options), tables=str(folder / "tables"))


def make(folder: Path, millions: float) -> dict[str, float]:
    """The log, and the catalogue of the tables."""
    from keyart.config import with_values
    from keyart.demo.simulate_spark import simulate
    from keyart.session import open_session
    from keyart.tables import Tables

    values = {f"simulate.{name}": share for name, share in FAULTS.items()}
    values |= {"simulate.members": int(millions * 1e6 / EVENTS_A_MEMBER), "simulate.out": str(folder / "events")}
    settings = with_values(session(folder, millions), values)
    spark = open_session(settings.session)
    start = time.perf_counter()
    made = simulate(spark, Tables(spark, settings.tables), settings)
    seconds = time.perf_counter() - start
    spark.stop()
    return {"rows": made.rows, "seconds": seconds}


def ingest(folder: Path, millions: float) -> dict[str, float]:
    """The job itself, into empty tables."""
    from keyart.config import with_values
    from keyart.feedback.ingest_spark import ingest as run
    from keyart.session import open_session
    from keyart.tables import Tables

    settings = with_values(session(folder, millions), {"events.events": str(folder / "events")})
    for name in ("events", "impressions", "decisions", "artwork_stats", "quarantine", "data_quality"):
        shutil.rmtree(folder / "tables" / name, ignore_errors=True)
    spark = open_session(settings.session)
    start = time.perf_counter()
    done = run(spark, Tables(spark, settings.tables), settings)
    seconds = time.perf_counter() - start
    spark.stop()
    return {"rows": done.rows, "decisions": done.measures["decisions"], "seconds": seconds} | tasks(folder)


def bare(folder: Path, millions: float) -> dict[str, float]:
    """What Spark takes for the rows alone: read, one row an event_id, write as Delta."""
    from keyart.session import open_session

    settings = session(folder, millions)
    spark = open_session(settings.session)
    start = time.perf_counter()
    rows = spark.read.parquet(str(folder / "events")).dropDuplicates(["event_id"])
    rows.write.format("delta").mode("overwrite").save(str(folder / "bare"))
    seconds = time.perf_counter() - start
    count = spark.read.format("delta").load(str(folder / "bare")).count()
    spark.stop()
    shutil.rmtree(folder / "bare", ignore_errors=True)
    return {"rows": count, "seconds": seconds}


def tasks(folder: Path) -> dict[str, float]:
    """The worst stage's longest task over its median, and the peak of the heap, from the event log."""
    took: dict[int, list[float]] = defaultdict(list)
    names, heap = {}, 0
    log = next(path for path in (folder / "log").rglob("*") if path.is_file() and "appstatus" not in path.name)
    for line in log.open():
        event = json.loads(line)
        if event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
            info = event["Task Info"]
            took[event["Stage ID"]].append((info["Finish Time"] - info["Launch Time"]) / 1000)
            heap = max(heap, event.get("Task Executor Metrics", {}).get("JVMHeapMemory", 0))
        if event["Event"] == "SparkListenerStageCompleted":
            info = event["Stage Info"]
            names[info["Stage ID"]] = info["Stage Name"]
        if event["Event"] == "SparkListenerStageExecutorMetrics":
            heap = max(heap, event["Executor Metrics"]["JVMHeapMemory"])
    ratios = {}
    for stage, seconds in sorted(took.items()):
        middle = statistics.median(seconds)
        print(f"  stage {stage}: {len(seconds)} tasks, {sum(seconds):.1f} s, median {middle:.2f}, "
              f"longest {max(seconds):.2f}; {names.get(stage, '')[:70]}")  # fmt: skip
        if len(seconds) >= 4 and middle >= SHORTEST_MEDIAN:
            ratios[stage] = max(seconds) / middle
    return {"longest_task_over_median": max(ratios.values(), default=1.0), "peak_heap_mb": heap / 2**20}


def resident() -> float:
    """Resident megabytes of this process's descendants (the JVM, Python workers)."""
    parents = {}
    sizes = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        number = int(status.parent.name)
        parents[number] = int(re.search(r"PPid:\s+(\d+)", text)[1])
        found = re.search(r"VmRSS:\s+(\d+)", text)
        sizes[number] = int(found[1]) / 1024 if found else 0.0
    family = {os.getpid()}
    while True:
        more = {child for child, parent in parents.items() if parent in family} - family
        if not more:
            return sum(sizes[one] for one in family)
        family |= more


def step(name: str, folder: Path, millions: float) -> None:
    """Run one step here and leave its figures in the folder."""
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            peak[0] = max(peak[0], resident())

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    figures = {"make": make, "ingest": ingest, "bare": bare}[name](folder, millions)
    over.set()
    watching.join()
    figures |= {"peak_resident_mb": peak[0], "rows_a_second": figures["rows"] / figures["seconds"]}
    figures = {key: round(value, 2) for key, value in figures.items()}
    (folder / f"{name}.json").write_text(json.dumps(figures))
    print(name, json.dumps(figures), flush=True)


def main() -> None:
    """Run steps, or record what they left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, default=1.0)
    parser.add_argument("--steps", default="make,ingest,bare,record")
    parser.add_argument("--folder", default=None)
    given = parser.parse_args()
    folder = Path(given.folder or BUILD / "feedback") / f"{given.millions:g}"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("KEYART_USER_KEY", "simulated members only")
    wanted = given.steps.split(",")
    if len(wanted) == 1 and wanted[0] in STEPS:
        step(wanted[0], folder, given.millions)
        return
    for name in wanted:
        if name in STEPS:
            arguments = ["--millions", str(given.millions), "--steps", name, "--folder", str(folder.parent)]
            subprocess.run([sys.executable, __file__, *arguments], check=True)
    if "record" in wanted:
        found = {name: json.loads((folder / f"{name}.json").read_text()) for name in STEPS}
        hours = 1e10 / found["ingest"]["rows_a_second"] / 3600
        found["machine_hours_for_10_billion_rows"] = round(hours, 1)
        found["speed_against_bare"] = round(found["ingest"]["rows_a_second"] / found["bare"]["rows_a_second"], 3)
        record(f"feedback {given.millions:g} million", found)


if __name__ == "__main__":
    main()
