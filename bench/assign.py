"""assign-artwork's members: decisions a second from the table taste to the table user_assignments, beside MLlib.

    python bench/assign.py [--members 200000] [--titles 1000] [--gain 0.1] [--peer-members 10000]

A decision is one member x title: 12 artworks of 64 dimensions scored, the best found and set against what the member's
region shows; where it gains ``--gain`` it is written with its reason. The share of decisions that are written is said,
for writing text costs more than deciding. Kernel alone is one thread on arrays in memory. The peer is MLlib's
recommendForAllUsers, rank 64, on as many artworks, which finds each member's best of all artworks and writes nothing;
its speed is given in pairs of member and artwork, twelve to a decision. A local session of 2 cores, its start and
compilation apart.
"""

import argparse
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pyarrow as pa
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType
from results import record
from threadpoolctl import threadpool_limits

from keyart.config import load
from keyart.policy.assign_spark import user_assignments
from keyart.policy.assignment import best_of_title, build_slate, scored_overrides
from keyart.policy.exploration import EpsilonGreedy
from keyart.policy.levels import GLOBAL, Levels
from keyart.policy.limiting import Limits
from keyart.policy.placement import EVERYWHERE, place
from keyart.policy.plan import Assignment
from keyart.policy.scope import Scope
from keyart.policy.specification import Policy
from keyart.schemas import TABLES
from keyart.session import open_session
from keyart.tables import Tables

EACH, RANK, GENRES, REGIONS = 12, 64, 16, 20
DAY = date(2026, 3, 1)
VECTORS = {"factors": RANK, "genre_mix": GENRES}


def plan_of(titles: int, gain: float) -> Assignment:
    """A catalogue, a response model and a policy; members' own scores have a standard deviation of 0.05."""
    rng = np.random.default_rng(1)
    rows = [(f"artwork-{t:05d}-{a:02d}", f"title-{t:05d}", a) for t in range(titles) for a in range(EACH)]
    names = [f"region {r}" for r in range(REGIONS)]
    levels = Levels((GLOBAL, *(("region", name) for name in names)), {})
    cells = (len(levels.cells), len(rows))
    values = rng.normal(size=(len(rows), RANK))
    traits = RANK + GENRES
    arrays = {
        "features": values, "feature_values": values, "loadings": np.eye(RANK),
        "weights": rng.normal(size=(traits, RANK)) * 0.05 / (traits * RANK) ** 0.5,
        "member_mean": np.zeros(traits), "member_scale": np.ones(traits),
        "cell_mean": rng.normal(scale=0.05, size=cells), "cell_sd": np.full(cells, 0.05), "cell_n": np.ones(cells),
        "cell_takes": np.ones(cells), "region_weights": np.zeros((cells[0], RANK)),
    }  # fmt: skip
    slate = build_slate(rows, [row[0] for row in rows], arrays)
    policy = Policy("bench", EpsilonGreedy(0.05), "salt", gain, "taste", DAY)
    members = (*(f"factor {k + 1}" for k in range(RANK)), *(f"genre {k}" for k in range(GENRES)))
    features = tuple(f"feature {f}" for f in range(RANK))
    shelves = place(slate, levels, EVERYWHERE, DAY)
    return Assignment(
        policy,
        slate,
        levels,
        shelves,
        shelves.allowed,
        len(levels.cells),
        features,
        members,
        "{}",
        Limits(),
        Scope(),
        slate,
    )


def taste(spark: SparkSession, members: int) -> DataFrame:
    """Rows of taste."""
    schema = TABLES["taste"].schema

    def write(batches):
        for batch in batches:
            ids = np.asarray(batch.column("id"))
            rng = np.random.default_rng(int(ids[0]) if len(ids) else 0)
            vectors = {
                name: pa.FixedSizeListArray.from_arrays(
                    pa.array(rng.normal(size=len(ids) * width).astype(np.float32)), width
                ).cast(pa.list_(pa.float32()))
                for name, width in VECTORS.items()
            }
            yield pa.RecordBatch.from_pydict({"id": batch.column("id"), **vectors})

    made = spark.range(members).mapInArrow(
        write, StructType([StructField("id", LongType()), *(schema[n] for n in VECTORS)])
    )
    key = F.sha2(F.col("id").cast("string"), 256)
    region = F.format_string("region %d", F.col("id") % REGIONS)
    columns = {
        "user_key": key, "user_bucket": (F.col("id") % 64).cast("int"), "as_of": F.lit(DAY),
        "taste_version": F.lit("taste"), "history": F.lit(5), "region": region, "kids": F.lit(False),
    }  # fmt: skip
    full = made.withColumns(columns)
    return full.select(*(F.col(f.name).cast(f.dataType).alias(f.name) for f in schema))


def kernel(plan: Assignment, members: int = 10_000) -> float:
    """Decisions a second of one thread."""
    rng, means = np.random.default_rng(2), np.asarray(plan.slate.arrays["cell_mean"])
    vectors = rng.normal(size=(members, RANK + GENRES)) @ plan.slate.arrays["weights"]
    cells, defaults = rng.integers(0, len(means), members), best_of_title(means, plan.slate)
    with threadpool_limits(1):
        scored_overrides(vectors[:10], cells[:10], means, defaults, plan.slate, plan.policy.minimum_gain)
        start = time.perf_counter()
        scored_overrides(vectors, cells, means, defaults, plan.slate, plan.policy.minimum_gain)
        return members * len(plan.slate.title_ids) / (time.perf_counter() - start)


def peer(spark: SparkSession, members: int, artworks: int) -> float:
    """Pairs a second of MLlib's recommendForAllUsers."""
    pairs = spark.sql(
        f"SELECT cast(m.id AS int) user, cast(pmod(xxhash64(m.id, k.id), {artworks}) AS int) item, 1F rating "
        f"FROM range({max(members, artworks)}) m CROSS JOIN range(3) k"
    ).where(F.col("user") < members)
    every = spark.range(artworks).select(F.lit(0).alias("user"), F.col("id").cast("int").alias("item"), F.lit(1.0))
    model = ALS(rank=RANK, maxIter=1, implicitPrefs=True, numUserBlocks=4, numItemBlocks=4).fit(pairs.union(every))
    model.recommendForAllUsers(1).limit(1).collect()
    start = time.perf_counter()
    model.recommendForAllUsers(1).write.format("noop").mode("overwrite").save()
    return members * artworks / (time.perf_counter() - start)


def main() -> None:
    """Record decisions a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=200_000)
    parser.add_argument("--titles", type=int, default=1000)
    parser.add_argument("--gain", type=float, default=0.1)
    parser.add_argument("--peer-members", type=int, default=10_000, help="0: without the peer")
    given = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    plan = plan_of(given.titles, given.gain)
    figures = {"kernel_decisions_a_second_one_thread": kernel(plan)}
    print(figures, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = load(root / "conf" / "local.yaml", [f"tables={folder}/tables"])
        spark = open_session(settings.session)
        tables = Tables(spark, settings.tables)
        tables.overwrite("taste", taste(spark, given.members))
        source = tables.read("taste")
        tables.replace("user_assignments", source.limit(100).transform(user_assignments, plan), "policy_id = 'bench'")
        start = time.perf_counter()
        tables.replace("user_assignments", source.transform(user_assignments, plan), "policy_id = 'bench'")
        seconds = time.perf_counter() - start
        written = tables.read("user_assignments").select(F.sum(F.size("title_ids"))).collect()[0][0]
        decisions = given.members * given.titles
        figures |= {
            "members": given.members, "titles": given.titles, "artworks_each": EACH, "dimensions": RANK,
            "seconds": seconds, "decisions_a_second": decisions / seconds, "written_share": written / decisions,
        }  # fmt: skip
        print(figures, flush=True)
        if given.peer_members:
            pairs = peer(spark, given.peer_members, given.titles * EACH)
            figures |= {"mllib_pairs_a_second": pairs, "our_pairs_a_second": EACH * decisions / seconds}
            figures["ratio"] = figures["our_pairs_a_second"] / pairs
        spark.stop()
    record("assign", figures)


if __name__ == "__main__":
    main()
