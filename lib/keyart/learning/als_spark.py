"""Two ways to title factors from persisted blocks of members: passes that add up sums, and Spark's own ALS.

A solver goes on from where it stands and yields its progress after each iteration.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from threadpoolctl import threadpool_limits

from keyart.errors import ConfigError, ModelError
from keyart.learning.als import TitleSums, slices, solve_titles
from keyart.learning.blocks import pack, unpack
from keyart.learning.blocks_spark import read_blocks, sum_over
from keyart.learning.checkpoints import Progress
from keyart.learning.parcels import received, sent
from keyart.learning.taste import TasteModel, add_half, misfit, trained_on
from keyart.scratch import scratch
from keyart.session import cores
from keyart.settings import TasteSettings

__all__ = ["SOLVERS", "Solver", "numbered_pairs", "objective"]

Solver = Callable[[DataFrame, TasteModel, Progress, TasteSettings, str | None], Iterator[Progress]]

RUN = 256
"""Titles whose sums make one row between the two stages of a pass; at rank 64 that is 2 MB."""
RUNS = 8
"""Such runs that one task solves, about."""
SUMS = pa.schema([("run", pa.int32()), ("task", pa.string()), ("payload", pa.binary())])
SOLVED = pa.schema([("run", pa.int32()), ("payload", pa.binary())])


def broadcast(
    blocks: DataFrame, model: TasteModel, start: Progress, settings: TasteSettings, folder: str | None = None
) -> Iterator[Progress]:
    """Members stream past the title factors: an iteration is a pass, or as many as the titles have slices.

    ``folder`` is one that all machines see ("": the temporary one), through which sums go from task to task.
    """
    titles, objectives = start.titles, list(start.objectives)
    parts = slices(len(titles), titles.shape[1], settings.title_sums_megabytes)
    for _ in range(len(objectives), settings.iterations):
        for part in parts:
            with nullcontext() if folder is None else scratch(folder) as place:
                solved, value = _pass(blocks, model.with_titles(titles), part, str(place) if place else None)
            titles = np.concatenate([titles[: part.start], solved, titles[part.stop :]])
        objectives.append(value)
        yield Progress(titles, objectives)


def _pass(blocks: DataFrame, model: TasteModel, part: slice, place: str | None) -> tuple[np.ndarray, float]:
    """One job: members are solved and summed up where they lie, the sums of a run of titles meet in one place and are
    solved there. Returns the titles of ``part`` and the objective with them."""
    count, rank = part.stop - part.start, model.titles.shape[1]
    runs = [slice(first, min(first + RUN, count)) for first in range(0, count, RUN)]
    before, l2 = model.titles[part], model.title_l2[part]

    def add_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums, task = TitleSums.zero(count, rank), None
        for name, block in read_blocks(batches):
            add_half(sums, block, model, part)
            task = task or name
        if task is not None:
            for number, payload in enumerate(sent((sums.part(run) for run in runs), place)):
                yield pa.RecordBatch.from_pydict({"run": [number], "task": [task], "payload": [payload]}, SUMS)

    def solve(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, sums in _joined(batches, runs, rank):
            titles, change = solve_titles(sums, before[runs[number]], l2[runs[number]])
            found = {"titles": titles, "change": np.asarray(change), "value": sums.value}
            yield pa.RecordBatch.from_pydict({"run": [number], "payload": [pack(found)]}, SOLVED)

    # What a task sends is of the catalogue's size: as many tasks as run at once, however many parts the members have.
    at_once = cores(blocks.sparkSession)
    together = blocks.coalesce(at_once) if at_once else blocks
    # Sorted by task within a run: sums of floats must not depend on which task was done first.
    sums = together.mapInArrow(add_up, "run int, task string, payload binary")
    tasks = -(-len(runs) // RUNS)
    placed = sums.repartition(min(tasks, at_once or tasks), "run").sortWithinPartitions("run", "task")
    rows = sorted(placed.mapInArrow(solve, "run int, payload binary").collect(), key=lambda row: row["run"])
    if not rows:
        raise ModelError("no member has anything to learn from; ingest logs first")
    found = [unpack(bytes(row["payload"])) for row in rows]
    strength = model.title_l2 * np.sum(model.titles**2, axis=1)
    standing = np.sum(strength) - np.sum(strength[part])
    value = found[0]["value"] + sum(run["change"] for run in found) + standing
    return np.concatenate([run["titles"] for run in found]), float(value)


def _joined(batches: Iterator[pa.RecordBatch], runs: list[slice], rank: int) -> Iterator[tuple[int, TitleSums]]:
    """Each run's sums over tasks; rows come sorted by run."""
    number, sums = -1, TitleSums.zero(0, rank)
    with threadpool_limits(1):
        for batch in batches:
            for run, payload in zip(batch.column("run"), batch.column("payload"), strict=True):
                if run.as_py() != number:
                    if number >= 0:
                        yield number, sums
                    number = run.as_py()
                    sums = TitleSums.zero(runs[number].stop - runs[number].start, rank)
                sums.include(received(memoryview(payload.as_buffer())))
        if number >= 0:
            yield number, sums


def mllib(
    blocks: DataFrame, model: TasteModel, start: Progress, settings: TasteSettings, folder: str | None = None
) -> Iterator[Progress]:
    """Spark's own ALS on the same pairs, as a reference; it cannot go on from anywhere but its own first factors.

    Its L2 of a row is regParam times the row's positive ratings, in implicit mode too (ALS.computeFactors), hence our
    objective at scaling 1 alone. Over Spark Connect it needs a server that has MLlib. ConfigError at another scaling.
    """
    from pyspark.ml.recommendation import ALS

    if model.ridge.scaling != 1:
        raise ConfigError("taste.solver mllib knows one way to regularise: set taste.regularisation_scaling to 1")
    fitted = ALS(
        rank=settings.rank,
        maxIter=settings.iterations,
        regParam=model.ridge.l2,
        alpha=model.alpha,
        implicitPrefs=True,
        userCol="member",
        itemCol="title",
        ratingCol="quality",
        seed=settings.seed,
    ).fit(numbered_pairs(blocks, model))
    titles = np.zeros_like(start.titles)
    for row in fitted.itemFactors.collect():
        titles[row["id"]] = row["features"]
    yield Progress(titles, [objective(blocks, model.with_titles(titles))])


def numbered_pairs(blocks: DataFrame, model: TasteModel) -> DataFrame:
    """member, title (int) and quality of all that trains: MLlib wants integers, so members are numbered block by block.

    ModelError where there are more members than integers.
    """
    counts = blocks.mapInArrow(_members, "block string, members long").collect()
    counted = sorted((row["block"], row["members"]) for row in counts)
    ends = np.cumsum([members for _, members in counted])
    if ends[-1] >= 2**31:
        raise ModelError(f"MLlib cannot number {ends[-1]:,} members in 32 bits: set taste.solver to broadcast")
    first = {block: int(end - members) for (block, members), end in zip(counted, ends, strict=True)}
    width, held_out = len(model.titles), model.held_out

    def pairs(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for name, block in read_blocks(batches):
            quality = trained_on(block, width, held_out).tocoo()
            yield pa.RecordBatch.from_pydict(
                {
                    "member": pa.array((quality.row + first[name]).astype(np.int32)),
                    "title": pa.array(quality.col.astype(np.int32)),
                    # To MLlib a rating of 0 is none; to us it is an engagement of confidence 1.
                    "quality": pa.array(np.maximum(quality.data, 1e-9).astype(np.float32)),
                }
            )

    return blocks.mapInArrow(pairs, "member int, title int, quality float")


def _members(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for name, block in read_blocks(batches):
        yield pa.RecordBatch.from_pydict({"block": [name], "members": [len(block["user_key"])]})


def objective(blocks: DataFrame, model: TasteModel) -> float:
    """The objective at the model's titles and the members that go best with them: one pass."""
    found = sum_over(blocks, lambda block: misfit(block, model))
    return float(found["value"] + model.title_l2 @ np.sum(model.titles**2, axis=1))


SOLVERS: Mapping[str, Solver] = {"broadcast": broadcast, "mllib": mllib}
