"""The same evaluation over Spark, from a table of decisions as ingest-events leaves it (text keys, arrays of text).

    python bench/offpolicy_spark.py [--millions 2] [--policies 10]

What bench/offpolicy.py measures is what a worker does with compact arrays; here everything is in: reading, hashing
candidate sets, one shuffle by member, Arrow, the pass, bringing sums together. A local session of 2 cores, parquet.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from offpolicy import EACH, REGIONS, TITLES, examination
from pyspark.sql import functions as F

from keyart.config import load
from keyart.evaluation.examination import SLICES
from keyart.evaluation.examination_spark import Evaluation
from keyart.evaluation.log_spark import About, candidate_sets, judged, raw_sets
from keyart.evaluation.replay import ALL
from keyart.evaluation.spark import evidence_of
from keyart.feedback.windows import Windows
from keyart.policy.exploration import EpsilonGreedy
from keyart.policy.specification import Policy
from keyart.session import open_session

FIRST, END = date(2026, 3, 1), date(2026, 3, 9)
DECISIONS = f"""
    WITH rows AS (
        SELECT id, floor(id / 32) AS member, cast(floor({TITLES} * pow(rand(1), 3)) AS int) AS title, rand(2) AS u,
               rand(3) < 0.03 AS taken
        FROM range({{rows}})),
    drawn AS (
        SELECT *, CASE WHEN u < 0.65 THEN 0 ELSE 1 + cast(floor((u - 0.65) / 0.05) AS int) END AS slot FROM rows)
    SELECT sha2(cast(member AS string), 256) AS user_key, cast(member % 64 AS int) AS user_bucket,
           format_string('title-%05d', title) AS title_id,
           date_add(DATE'{FIRST}', cast(id % 8 AS int)) AS epoch,
           format_string('artwork-%05d-%d', title, slot) AS artwork_id,
           transform(sequence(0, {EACH - 1}), k -> format_string('artwork-%05d-%d', title, k)) AS candidate_set,
           array(0.65D, 0.05D, 0.05D, 0.05D, 0.05D, 0.05D, 0.05D, 0.05D) AS candidate_propensities,
           CASE WHEN slot = 0 THEN 0.65D ELSE 0.05D END AS propensity,
           format_string('region %d', member % {REGIONS}) AS region,
           element_at(array('tv', 'phone', 'web'), cast(1 + id % 3 AS int)) AS device,
           member % 10 = 0 AS kids, false AS already_started,
           CASE WHEN taken THEN rand(4) ELSE 0D END AS reward, cast(taken AS int) AS take
    FROM drawn"""


class Frames:
    """Stands for Tables: hands out frames by name."""

    def __init__(self, **frames):
        self.frames = frames

    def read(self, table: str):
        """As ``Tables.read``."""
        return self.frames[table]


def main() -> None:
    """Print rows a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, default=2.0)
    parser.add_argument("--policies", type=int, default=10)
    given = parser.parse_args()
    rows = int(given.millions * 1e6)
    root = Path(__file__).resolve().parent.parent
    settings = load(root / "conf" / "local.yaml", ["session.shuffle_partitions=4"])
    spark = open_session(settings.session)
    with tempfile.TemporaryDirectory() as folder:
        spark.sql(DECISIONS.format(rows=rows)).write.parquet(f"{folder}/decisions")
        decisions = spark.read.parquet(f"{folder}/decisions")
        nobody = spark.createDataFrame(
            [],
            "user_key string, policy_id string, title_ids array<string>, artwork_ids array<string>, gains array<float>",
        )
        taste = spark.createDataFrame([], "user_key string, factors array<float>, genre_mix array<float>, history int")
        tables = Frames(decisions=decisions, user_assignments=nobody)
        artworks = tuple(f"artwork-{t:05d}-{k}" for t in range(TITLES) for k in range(EACH))
        titles = tuple(f"title-{t:05d}" for t in range(TITLES))
        start = time.perf_counter()
        sets = candidate_sets(raw_sets(judged(decisions, FIRST, END)), artworks, titles)
        print(f"candidate sets of {rows / 1e6:g} million decisions: {time.perf_counter() - start:.1f} s")
        for count, behaviours, slices, pages in (
            (given.policies, ("uniform", "served"), (), False),
            (1, ("uniform", "global", "region", "user", "served"), SLICES, True),
        ):
            plan = examination(count, behaviours, slices, pages)
            plan = replace(
                plan, sets=sets, artwork_ids=artworks, title_ids=titles,
                first_days=np.full(TITLES, 20_000), log_start=20_000,
                arrays={"member_mean": np.zeros(1), "member_scale": np.ones(1)},
            )  # fmt: skip
            policies = tuple(
                Policy(p.policy_id, EpsilonGreedy(0.1), "salt", 0.0, "taste", FIRST) for p in plan.targets.policies
            )
            about = About({}, plan.regions, {})
            whole = Evaluation(policies, Windows(FIRST, FIRST, END), plan, about, taste, 12, "rates")
            evidence_of(Frames(decisions=decisions.limit(10_000), user_assignments=nobody), whole, settings.evaluate)
            start = time.perf_counter()
            found = evidence_of(tables, whole, settings.evaluate)
            seconds = time.perf_counter() - start
            assert found[0, ALL].seen == decisions.where(F.col("propensity") < 1).count()
            print(
                f"{count} policies x {', '.join(behaviours)}{', slices, pages' if slices else ''}: {seconds:.1f} s, "
                f"{rows / seconds / 1e6:.2f} million rows a second on 2 cores"
            )
    spark.stop()


if __name__ == "__main__":
    main()
