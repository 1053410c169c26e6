"""The member level's Newton passes against MLlib's LogisticRegression, and time per row as the log grows.

    python bench/logistic.py [--millions 2] [--steps mllib growth]

`mllib` fits one objective (mean log-loss plus L2) with both in one session whose start is not counted: ours on
persisted blocks of member vectors (10) and artwork coordinates (10), MLlib on the cached 100 columns that these
multiply out to. Ours gets two steps and three; MLlib the fewest iterations within 1e-4 of the optimum's log-loss by its
own history, or as many as it is allowed, and then its time is a lower bound. Making blocks or vectors is told apart and
included in a second ratio. Coefficients of one block are held against scikit-learn's exact
Newton. Neither has offsets, which MLlib does not know. `growth` times Newton passes over 5 million rows x 200
bilinear columns and over 50 million: the same blocks ten times over under other members' names.
"""

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from results import BUILD, ROOT, record
from scipy import special

from keyart.config import load
from keyart.learning.blocks import Arrays, pack
from keyart.learning.blocks_spark import each_block, sum_over
from keyart.learning.logistic import Rows, full_hessian, newton_sums, ridge_step
from keyart.seeding import rng
from keyart.session import open_session

ROWS, MEAN, COMBINATIONS = 100_000, 30, 300
"""Rows of a block, of a member, and distinct combinations of artwork and candidate set."""
NEAR = 1e-4
"""Of the optimum's log-loss, in nats a row."""


def draw(chunk: int, size: tuple[int, int]) -> Arrays:
    """A block's arrays: takes follow a bilinear truth."""
    random, truth = rng(21, "logistic", chunk), rng(21, "logistic", "truth").normal(0, 0.1, size)
    z = random.normal(size=(ROWS // MEAN, size[0])).astype(np.float32)
    x = rng(21, "logistic", "artworks").normal(size=(COMBINATIONS, size[1])).astype(np.float32)
    member = np.sort(random.integers(0, len(z), ROWS)).astype(np.int32)
    combination = random.integers(0, COMBINATIONS, ROWS).astype(np.int32)
    odds = np.einsum("rp,rp->r", (z @ truth)[member], x[combination])
    take = (random.random(ROWS) < special.expit(odds)).astype(np.uint8)
    return {"z": z, "x": x, "member": member, "combination": combination, "take": take}


def rows_of(block: Arrays) -> Rows:
    """In double precision, as ``response`` hands them over."""
    z, x, take = (block[name].astype(np.float64) for name in ("z", "x", "take"))
    return Rows(z, x, block["member"], block["combination"], take, np.zeros(len(take)))


def made(spark: SparkSession, millions: float, size: tuple[int, int]) -> DataFrame:
    """Blocks, not yet made."""

    def build(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for chunk in batch.column("id").to_pylist():
                yield pa.RecordBatch.from_pydict({"block": [f"{chunk:05d}"], "payload": [pack(draw(chunk, size))]})

    return spark.range(int(millions * 1e6 / ROWS)).mapInArrow(build, "block string, payload binary")


def columns(block: Arrays) -> np.ndarray:
    """(rows, K P) products that our passes never form."""
    z, x = block["z"][block["member"]].astype(np.float64), block["x"][block["combination"]].astype(np.float64)
    return (z[:, :, None] * x[:, None, :]).reshape(len(z), -1)


def vectors(block: Arrays) -> Iterator[pa.RecordBatch]:
    """Rows as MLlib wants them."""
    for start in range(0, len(block["take"]), 10_000):
        part = block | {name: block[name][start : start + 10_000] for name in ("member", "combination", "take")}
        flat = columns(part)
        lists = pa.ListArray.from_arrays(
            np.arange(len(flat) + 1, dtype=np.int32) * flat.shape[1], pa.array(flat.ravel())
        )
        yield pa.RecordBatch.from_pydict({"label": part["take"].astype(np.float64), "columns": lists})


def timed(work: Callable) -> tuple:
    """What ``work`` answers, and its seconds."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def newton(blocks: DataFrame, size: tuple[int, int], l2: float, steps: int) -> np.ndarray:
    """Weights (K, P) after so many Newton steps from 0, each a pass."""
    weights = np.zeros(size)
    for _ in range(steps):
        at = weights[None]
        sums = sum_over(blocks, lambda block, at=at: newton_sums(rows_of(block), at))
        weights = ridge_step(full_hessian(sums["hessian"], *size), sums["gradient"][0], weights, l2)
    return weights


def exact_gap(size: tuple[int, int]) -> float:
    """Largest difference from scikit-learn's coefficients on one block."""
    from sklearn.linear_model import LogisticRegression as Exact

    block, weights = draw(0, size), np.zeros(size)
    for _ in range(8):
        sums = newton_sums(rows_of(block), weights[None])
        weights = ridge_step(full_hessian(sums["hessian"], *size), sums["gradient"][0], weights, 1.0)
    exact = Exact(C=1.0, fit_intercept=False, solver="newton-cholesky", tol=1e-10).fit(columns(block), block["take"])
    return float(np.abs(exact.coef_.ravel() - weights.ravel()).max())


def against_mllib(spark: SparkSession, millions: float, iterations: int) -> None:
    """Both to the same log-loss, or MLlib as far as so many iterations lead it: then its time is a lower bound."""
    size, l2 = (10, 10), 10.0
    blocks = made(spark, millions, size).persist()
    _, making = timed(blocks.count)
    count = int(millions * 1e6 / ROWS) * ROWS
    table = each_block(blocks, "label double, columns array<double>", vectors)
    table = table.select("label", array_to_vector("columns").alias("features")).persist()
    _, caching = timed(table.count)

    def loss(weights: np.ndarray) -> float:
        at = weights[None]
        return float(sum_over(blocks, lambda block: newton_sums(rows_of(block), at, hessian=False))["loss"][0]) / count

    optimum = newton(blocks, size, l2, 6)
    best = loss(optimum)

    def mllib(steps: int):
        return LogisticRegression(
            maxIter=steps, regParam=l2 / count, tol=0.0, fitIntercept=False, standardization=False
        ).fit(table)

    def ended(weights: np.ndarray, steps: int, seconds: list[float]) -> dict:
        found = {
            "iterations": steps, "seconds": seconds, "log-loss over the optimum": loss(weights) - best,
            "coefficients off the optimum": float(np.abs(weights - optimum).max()),
        }  # fmt: skip
        print(found, flush=True)
        return found

    found = {}
    for name, steps in (("ours", 2), ("ours, a step more", 3)):
        tries = [timed(lambda steps=steps: newton(blocks, size, l2, steps)) for _ in range(3)]
        found[name] = ended(tries[0][0], steps, [taken for _, taken in tries])
    # Its objective after each iteration says which number of iterations is the first that comes near enough.
    longest, long = timed(lambda: mllib(iterations))
    history = np.array(longest.summary.objectiveHistory) - best - 0.5 * l2 / count * float(np.sum(optimum**2))
    print("mllib", long, history.tolist(), flush=True)
    near = np.flatnonzero(history < NEAR)
    steps = int(near[0]) if len(near) else iterations
    tries = [timed(lambda: mllib(steps)) for _ in range(2)]
    found["mllib"] = ended(tries[0][0].coefficients.toArray().reshape(size), steps, [taken for _, taken in tries])
    found["mllib"] |= {
        "run to its end": bool(len(near)), "objective over the optimum by iteration": history.tolist(),
        "seconds of all iterations": long,
        "seconds an iteration": (long - min(taken for _, taken in tries)) / max(iterations - steps, 1),
    }  # fmt: skip
    quick, slow = (min(found[name]["seconds"]) for name in ("ours", "mllib"))
    record(
        f"logistic_{millions:g}m",
        found
        | {
            "rows": count, "columns": 100, "making seconds": {"blocks": making, "vectors from blocks": caching},
            "times faster than mllib, at least" if not len(near) else "times faster than mllib": slow / quick,
            "times faster than mllib, with making": (slow + caching + making) / (quick + making),
            "coefficients off scikit-learn's": exact_gap(size),
        },
    )  # fmt: skip


def growth(spark: SparkSession) -> None:
    """Seconds a row of a Newton pass over 5 million rows and 50."""
    size, kept, figures = (10, 20), str(BUILD / "logistic-blocks.parquet"), {}
    made(spark, 5, size).write.mode("overwrite").parquet(kept)
    once = spark.read.parquet(kept)
    for times in (1, 10):
        repeated = once.selectExpr(f"explode(sequence(1, {times})) AS copy", "block", "payload")
        blocks = repeated.selectExpr("concat(block, '-', copy) AS block", "payload")
        took = [timed(lambda blocks=blocks: newton(blocks, size, 10.0, 1))[1] for _ in range(3)]
        figures[f"{5 * times} million"] = {"seconds a pass": took, "nanoseconds a row": min(took) / (5e6 * times) * 1e9}
        print(figures, flush=True)
    less, more = (found["nanoseconds a row"] for found in figures.values())
    record("logistic_growth", figures | {"time per row, more over less": more / less, "columns": 200})


def main() -> None:
    """The steps asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--millions", type=float, default=2)
    parser.add_argument("--iterations", type=int, default=12, help="the most that MLlib gets")
    parser.add_argument("--memory", default="6g")
    parser.add_argument("--steps", nargs="+", choices=["mllib", "growth"], default=["mllib", "growth"])
    args = parser.parse_args()
    settings = load(ROOT / "conf" / "local.yaml", [f"session.driver_memory={args.memory}"])
    spark = open_session(settings.session)
    spark.range(1).mapInArrow(lambda batches: batches, "id long").collect()
    if "mllib" in args.steps:
        against_mllib(spark, args.millions, args.iterations)
    if "growth" in args.steps:
        growth(spark)


if __name__ == "__main__":
    main()
