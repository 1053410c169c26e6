"""train-taste's ALS: over Spark against MLlib's, its ranking against implicit's, and time per row as the log grows.

    python bench/als.py [--millions 3] [--steps make spark] [--iterations 5] [--peer ENV/bin/python]

`make` leaves a log of about so many engagements (heavy-tailed members and titles; each member mixes a few of 200
tastes, each a distribution over titles of its own; one engagement in ten is set apart) as parquet. `spark` trains on it
with both solvers, one after the other in one session whose start is not counted (nor an iteration of both on the log's
first file, before), from reading parquet to title factors, on the objective of MLlib (L2 times a row's count). MLlib
reads integers, ours names of members and titles. `ranking` compares with implicit (--peer: the python of an environment
that has it) on Hu's objective, on engagements set apart. `growth` times passes over the blocks of the log and of the
log `--times` times over, under other names: a log of 100 million takes minutes to make and tells a pass nothing new.
The largest resident memory of a Python worker is seen from /proc.
"""

import argparse
import hashlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from results import BUILD, ROOT, record
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from keyart.config import load
from keyart.learning.als import Against, Ridge, TitleSums, first_titles, member_factors, solve_titles
from keyart.learning.als_spark import SOLVERS, objective
from keyart.learning.blocks_spark import blocks_of, sum_over
from keyart.learning.checkpoints import Progress
from keyart.learning.engagement_spark import Catalogue, block_builder
from keyart.learning.taste import TasteModel, population
from keyart.seeding import rng
from keyart.session import open_session

TASTES, MIXED, MEAN = 200, 3, 30
MEMBERS = 20_000
"""Of a chunk of the log."""


def draw(chunk: int, members: int, titles: int, tastes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Member, title and quality of a chunk's engagements, each pair once, sorted by member."""
    random = rng(11, "als", "log", chunk)
    counts = np.clip(random.lognormal(np.log(MEAN) - 0.5, 1.0, members).astype(int), 2, titles // 4)
    member = np.repeat(np.arange(members), counts)
    liked = random.integers(0, TASTES, (members, MIXED))
    taste = liked[member, random.integers(0, MIXED, len(member))]
    title, point = np.empty(len(member), dtype=np.int64), random.random(len(member))
    for number in range(TASTES):
        chosen = taste == number
        title[chosen] = np.searchsorted(tastes[number], point[chosen])
    pairs = np.unique(member * titles + np.minimum(title, titles - 1))
    return pairs // titles + chunk * members, pairs % titles, 0.1 + 0.9 * random.random(len(pairs))


def make(folder: Path, millions: float, titles: int) -> None:
    """The log: train-*.parquet and, for members of the first chunks, held-*.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    random = rng(11, "als", "tastes")
    popular = 1 / (np.arange(titles) + 20.0)
    weights = popular * random.gamma(0.05, size=(TASTES, titles))
    tastes = np.cumsum(0.9 * weights / weights.sum(axis=1, keepdims=True) + 0.1 * popular / popular.sum(), axis=1)
    rows, chunk = 0, 0
    while rows < millions * 1e6:
        member, title, quality = draw(chunk, MEMBERS, titles, tastes)
        held = rng(12, "als", "held", chunk).random(len(member)) < 0.1
        np.savez(folder / f"held-{chunk:04d}.npz", member=member[held], title=title[held])
        member, title, quality = member[~held], title[~held], quality[~held]
        names = pa.array([f"title-{i:05d}" for i in range(titles)]).take(pa.array(title))
        keys = [
            hashlib.blake2b(b"%d" % number, digest_size=16).hexdigest() for number in range(member[0], member[-1] + 1)
        ]
        columns = {
            "user": member.astype(np.int32), "item": title.astype(np.int32), "quality": quality.astype(np.float32),
            "user_key": pa.array(keys).take(pa.array(member - member[0])), "name": names,
        }  # fmt: skip
        pq.write_table(pa.table(columns), folder / f"train-{chunk:04d}.parquet")
        rows, chunk = rows + len(member), chunk + 1
    print(f"{rows:,} engagements of {chunk * MEMBERS:,} members in {folder}")


@contextmanager
def memory() -> Iterator[Callable[[], float]]:
    """While the body runs: largest resident megabytes of a Spark Python worker so far."""
    over, largest = threading.Event(), [0.0]

    def look() -> None:
        while not over.wait(0.3):
            for place in Path("/proc").glob("[0-9]*"):
                try:
                    if b"pyspark.daemon" in (place / "cmdline").read_bytes():
                        pages = int((place / "statm").read_text().split()[1])
                        largest[0] = max(largest[0], pages * 4096 / 1e6)
                except OSError:
                    continue

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield lambda: round(largest[0])
    finally:
        over.set()
        watching.join()


def engagements(spark, folder: Path, files: str = "train-*.parquet"):
    """Rows as engagement makes them."""
    return spark.read.parquet(str(folder / files)).selectExpr(
        "user_key", "9 AS user_bucket", "'title' AS kind", "name", "cast(quality AS double) AS early",
        "cast(quality AS double) AS late", "false AS kids", "xxhash64(user_key, name) AS mark",
    )  # fmt: skip


def catalogue_of(titles: int) -> Catalogue:
    """Of names alone: no genres."""
    return Catalogue([f"title-{i:05d}" for i in range(titles)], ["all"], np.ones((titles, 1)))


def taste_model(seen, catalogue: Catalogue, settings) -> TasteModel:
    """Before the first iteration."""
    titles, width = len(catalogue.title_ids), settings.rank
    return TasteModel(
        first_titles(titles, width, settings.seed), catalogue.shares, np.ones(1), np.zeros(width + 1),
        Ridge(settings.regularisation, settings.regularisation_scaling), seen["engagements"],
        settings.alpha, settings.search_weight, settings.prior_strength, held_out=0,
    )  # fmt: skip


@contextmanager
def ours(rows, catalogue: Catalogue, taste) -> Iterator[tuple]:
    """Blocks, the model before the first iteration, and an iterator over progress."""
    with blocks_of(rows, block_builder(catalogue)) as blocks:
        seen = sum_over(blocks, lambda block: population(block, catalogue.shares, 0))
        model = taste_model(seen, catalogue, taste)
        yield blocks, model, seen, SOLVERS["broadcast"](blocks, model, Progress(model.titles), taste, "")


def mllib(rows, taste, titles: int) -> np.ndarray:
    """Title factors (titles, rank) of MLlib's ALS."""
    from pyspark.ml.recommendation import ALS

    fitted = ALS(
        rank=taste.rank, maxIter=taste.iterations, regParam=taste.regularisation, alpha=taste.alpha, implicitPrefs=True,
        userCol="user", itemCol="item", ratingCol="quality", seed=7,
    ).fit(rows.select("user", "item", "quality"))  # fmt: skip
    found = np.zeros((titles, taste.rank))
    for row in fitted.itemFactors.collect():
        found[row["id"]] = row["features"]
    return found


def against_mllib(spark, folder: Path, args, taste) -> None:
    """Both solvers from parquet to title factors, and the objective of both titles with the members that suit them."""
    taste, catalogue = replace(taste, regularisation_scaling=1.0), catalogue_of(args.titles)
    once, first = replace(taste, iterations=1), "train-0000.parquet"
    with ours(engagements(spark, folder, first), catalogue, once) as (*_, progress):
        list(progress)
    mllib(spark.read.parquet(str(folder / first)), once, args.titles)
    start = time.perf_counter()
    with memory() as peak, ours(engagements(spark, folder), catalogue, taste) as (blocks, model, seen, steps):
        times = [time.perf_counter() - start]
        for progress in steps:  # noqa: B007
            times.append(time.perf_counter() - start)
        reached, largest = objective(blocks, model.with_titles(progress.titles)), peak()
        print(f"ours: {np.round(times, 1)} s, objectives {np.round(progress.objectives)}", flush=True)
        start = time.perf_counter()
        titles = mllib(spark.read.parquet(str(folder / "train-*.parquet")), taste, args.titles)
        seconds = time.perf_counter() - start
        theirs = objective(blocks, model.with_titles(titles))
    record(
        f"als_{args.millions:g}m",
        {
            "engagements": int(seen["engagements"].sum()), "members": int(seen["members"]), "titles": args.titles,
            "rank": args.rank, "iterations": args.iterations, "l2": args.l2, "objective over mllib's": reached / theirs,
            "seconds": {"ours": times[-1], "mllib": seconds, "ours, blocks": times[0]}, "worker MB": largest,
            "seconds an iteration": (times[-1] - times[0]) / args.iterations,
            "times faster than mllib": seconds / times[-1],
        },
    )  # fmt: skip


def growth(spark, folder: Path, args, taste) -> None:
    """Seconds an iteration and row on the log's blocks, and on them many times over."""
    catalogue, figures = catalogue_of(args.titles), {}
    kept = str(folder / "blocks.parquet")
    if not Path(kept).exists():
        with blocks_of(engagements(spark, folder), block_builder(catalogue)) as blocks:
            blocks.write.parquet(kept)
    once = spark.read.parquet(kept)
    for times in (1, args.times):
        repeated = once.selectExpr(f"explode(sequence(1, {times})) AS copy", "block", "payload")
        blocks = repeated.selectExpr("concat(block, '-', copy) AS block", "payload")
        with memory() as peak:
            seen = sum_over(blocks, lambda block: population(block, catalogue.shares, 0))
            model, start, took = taste_model(seen, catalogue, taste), time.perf_counter(), []
            # The first pass of all starts workers; the long log needs no more than one.
            given = replace(taste, iterations=2 if times == 1 else 1)
            for _ in SOLVERS["broadcast"](blocks, model, Progress(model.titles), given, ""):
                took.append(time.perf_counter() - start)
                start = time.perf_counter()
            rows = int(seen["engagements"].sum())
            figures[f"{rows / 1e6:.0f} million"] = {
                "seconds an iteration": took, "nanoseconds a row": min(took) / rows * 1e9, "worker MB": peak(),
            }  # fmt: skip
            print(figures, flush=True)
    less, more = (found["nanoseconds a row"] for found in figures.values())
    record("als_growth", figures | {"time per row, more over less": more / less, "rank": args.rank})


def ranking(folder: Path, args, taste) -> None:
    """Recall at 20 and NDCG at 10 of what was set apart, ours and implicit's, on Hu's objective."""
    parts = [
        pq.read_table(path, columns=["user", "item", "quality"]) for path in sorted(folder.glob("train-*.parquet"))
    ]
    table = pa.concat_tables(parts)
    user, item, quality = (table.column(name).to_numpy() for name in ("user", "item", "quality"))
    members = int(user[-1]) + 1
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=members))])
    confidence = csr_array((1 + taste.alpha * quality, item, offsets), shape=(members, args.titles))
    given, found = folder / "matrix.npz", folder / "implicit.npz"
    np.savez(given, confidence=confidence.data, titles=item, offsets=offsets, shape=confidence.shape)
    ridge, counts = Ridge(args.l2), np.bincount(item, minlength=args.titles)
    titles, start, whole = first_titles(args.titles, args.rank, 7), time.perf_counter(), slice(0, args.titles)
    for _ in range(args.iterations):
        sums = TitleSums.zero(args.titles, args.rank)
        factors, value = member_factors(confidence, Against.titles(titles), ridge)
        sums.add(confidence, factors, value, whole)
        titles, _ = solve_titles(sums, titles, ridge.of(counts))
    factors, _ = member_factors(confidence, Against.titles(titles), ridge)
    seconds = time.perf_counter() - start
    peer = [args.peer, str(Path(__file__).with_name("als_peer.py")), given, found, args.rank, args.l2, args.iterations]
    subprocess.run([str(word) for word in peer], check=True)
    with np.load(found) as theirs:
        scores = {"ours": (factors, titles), "implicit": (theirs["members"], theirs["titles"])}
        figures: dict = {"seconds on one core": {"ours": seconds, "implicit, its threads": float(theirs["seconds"])}}
    with np.load(folder / "held-0000.npz") as held:
        apart = csr_array((np.ones(len(held["member"])), (held["member"], held["title"])), (MEMBERS, args.titles))
    for name, (left, right) in scores.items():
        figures[name] = quality_of(left[:MEMBERS], right, confidence[:MEMBERS], apart)
    for measure in ("recall at 20", "ndcg at 10"):
        figures[f"{measure}, ours over implicit's"] = figures["ours"][measure] / figures["implicit"][measure]
    record(
        f"als_ranking_{args.millions:g}m", figures | {"rank": args.rank, "iterations": args.iterations, "l2": args.l2}
    )


def quality_of(members: np.ndarray, titles: np.ndarray, seen: csr_array, apart: csr_array) -> dict[str, float]:
    """Mean recall at 20 and NDCG at 10 over members with anything set apart; what they trained on is not ranked."""
    recall, gain, discounts = [], [], 1 / np.log2(np.arange(10) + 2)
    for start in range(0, len(members), 1000):
        scores = members[start : start + 1000] @ titles.T
        scores[seen[start : start + 1000].nonzero()] = -np.inf
        best = np.argpartition(-scores, 20, axis=1)[:, :20]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)
        wanted = apart[start : start + 1000].toarray()
        hits, count = np.take_along_axis(wanted, best, 1), wanted.sum(axis=1)
        some = count > 0
        recall.append(hits.sum(axis=1)[some] / np.minimum(count[some], 20))
        ideal = np.cumsum(discounts)[np.minimum(count[some], 10).astype(int) - 1]
        gain.append(hits[some, :10] @ discounts / ideal)
    return {"recall at 20": float(np.concatenate(recall).mean()), "ndcg at 10": float(np.concatenate(gain).mean())}


def main() -> None:
    """The steps asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--millions", type=float, default=3)
    parser.add_argument("--titles", type=int, default=10_000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--l2", type=float, default=0.05)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--memory", default="6g")
    parser.add_argument("--peer", default="python")
    parser.add_argument("--steps", nargs="+", choices=["make", "spark", "ranking", "growth"], default=["make", "spark"])
    args = parser.parse_args()
    folder = BUILD / f"als-{args.millions:g}m"
    if "make" in args.steps and not folder.exists():
        make(folder, args.millions, args.titles)
    settings = load(ROOT / "conf" / "local.yaml", [f"session.driver_memory={args.memory}"])
    taste = replace(settings.taste, rank=args.rank, iterations=args.iterations, regularisation=args.l2)
    if "ranking" in args.steps:
        with threadpool_limits(1):
            ranking(folder, args, taste)
    for name, step in (("spark", against_mllib), ("growth", growth)):
        if name in args.steps:
            spark = open_session(settings.session)
            spark.range(1).mapInArrow(lambda batches: batches, "id long").collect()
            step(spark, folder, args, taste)


if __name__ == "__main__":
    main()
