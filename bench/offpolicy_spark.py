"""The same evaluation over Spark: blocks of codes made once from decisions as ingest-events leaves them, then passes.

    python bench/offpolicy_spark.py [--millions 10] [--policies 10] [--times 1] [--folder DIR]

First the log (text keys, arrays of text) is read, hashed, shuffled by member and written as blocks; then each pass
reads the blocks alone. What a pass takes is said whole, from reading to sums on the driver, with the reward model's
predictions and with a model that costs nothing in its place, in turn. ``--times 10`` reads each file of blocks ten
times under another name, so that a pass judges ten times as many decisions as the log has: a log of 100 million takes
minutes to make and tells a pass nothing new. A local session of 2 cores, parquet.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # workers load Free from there

import numpy as np
from offpolicy import EACH, REGIONS, TITLES, Free, examination
from pyspark.sql import functions as F

from keyart.config import load
from keyart.evaluation.blocks_spark import as_blocks
from keyart.evaluation.examination import SLICES
from keyart.evaluation.log_spark import candidate_sets, judged, raw_sets
from keyart.evaluation.replay import ALL
from keyart.evaluation.spark import evidence_from
from keyart.session import of_small_rows, open_session
from keyart.sharing import shared

FIRST, END = date(2026, 3, 1), date(2026, 3, 9)
OWN = 6
"""Overrides of each member under each policy."""
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
OVERRIDES = f"""
    SELECT sha2(cast(member AS string), 256) AS user_key, format_string('policy-%d', policy) AS policy_id,
           transform(titles, t -> format_string('title-%05d', t)) AS title_ids,
           transform(titles, t -> format_string('artwork-%05d-%d', t, (t + member + policy) % {EACH})) AS artwork_ids,
           transform(titles, t -> 0.1F) AS gains
    FROM (
        SELECT m.id AS member, p.id AS policy,
               array_distinct(transform(sequence(1, {OWN}), k -> cast(floor({TITLES} * pow(
                   pmod(xxhash64(m.id, k), 1000003) / 1000003D, 3)) AS int))) AS titles
        FROM range({{members}}) m CROSS JOIN range({{policies}}) p)"""
TASTE = "user_key string, factors array<float>, genre_mix array<float>, history int"


def copies(source: Path, times: int, into: Path) -> list[str]:
    """Folders with links to the same files, ``times`` of them."""
    made = []
    for k in range(times):
        folder = into / f"copy-{k}"
        folder.mkdir()
        for file in source.glob("part-*"):
            os.link(file, folder / f"part-{k:02d}{file.name.removeprefix('part')}")
        made.append(str(folder))
    return made


def said(what: str, rows: int, seconds: float) -> None:
    """A line of the result."""
    print(f"{what}: {seconds:.1f} s, {rows / seconds / 1e6:.2f} million rows a second on 2 cores", flush=True)


def main() -> None:
    """Print rows a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, default=10.0)
    parser.add_argument("--policies", type=int, default=10)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--folder", default=None, help="for the log and the blocks; needs 50 bytes a decision")
    given = parser.parse_args()
    rows = int(given.millions * 1e6)
    root = Path(__file__).resolve().parent.parent
    settings = load(root / "conf" / "local.yaml", [f"session.shuffle_partitions={max(4, int(given.millions))}"])
    spark = open_session(settings.session)
    artworks = tuple(f"artwork-{t:05d}-{k}" for t in range(TITLES) for k in range(EACH))
    titles = tuple(f"title-{t:05d}" for t in range(TITLES))
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        start = time.perf_counter()
        spark.sql(DECISIONS.format(rows=rows)).write.parquet(f"{folder}/decisions")
        spark.sql(OVERRIDES.format(members=rows // 32, policies=given.policies)).write.parquet(f"{folder}/own")
        print(f"(the log was made in {time.perf_counter() - start:.0f} s)", flush=True)
        decisions, own = (spark.read.parquet(f"{folder}/{name}") for name in ("decisions", "own"))
        taste = spark.createDataFrame([], TASTE)
        start = time.perf_counter()
        sets = candidate_sets(raw_sets(judged(decisions, FIRST, END)), artworks, titles)
        said("candidate sets", rows, time.perf_counter() - start)

        def planned(policies: int, behaviours: tuple[str, ...], slices: tuple[str, ...], pages: bool):
            return replace(
                examination(policies, behaviours, slices, pages), sets=sets, artwork_ids=artworks, title_ids=titles,
                first_days=np.full(TITLES, 20_000), log_start=20_000,
                arrays={"member_mean": np.zeros(1), "member_scale": np.ones(1)},
            )  # fmt: skip

        plan = planned(given.policies, ("uniform", "served"), (), False)
        start = time.perf_counter()
        with shared(plan, "") as handle, of_small_rows(spark):
            as_blocks(judged(decisions, FIRST, END), taste, own, handle, 5, 7, 12).write.parquet(f"{folder}/blocks")
        said("blocks (reading, one shuffle by member, writing)", rows, time.perf_counter() - start)
        size = sum(file.stat().st_size for file in Path(folder, "blocks").glob("part-*"))
        print(f"  {size / rows:.1f} bytes a decision, overrides of {given.policies} policies among them")
        blocks = spark.read.parquet(*copies(Path(folder, "blocks"), given.times, Path(folder)))
        expected = given.times * decisions.where(F.col("propensity") < 1).count()
        evidence_from(blocks.limit(2), plan, "")  # compiled before the clock starts
        lean = planned(given.policies, ("uniform", "served"), (), False)
        apart = replace(lean, model=Free(**vars(lean.model)))
        kinds = {"": lean, ", reward models apart": apart}
        if given.times == 1:
            kinds[", slices"] = planned(given.policies, ("uniform", "served"), SLICES, False)
        for kind, plan in [*kinds.items(), *list(kinds.items())[:2]]:
            start = time.perf_counter()
            found = evidence_from(blocks, plan, "")
            seconds = time.perf_counter() - start
            assert found[0, ALL].seen == expected
            said(f"a pass, {given.policies} policies x uniform, served{kind}", int(found[0, ALL].seen), seconds)
    spark.stop()


if __name__ == "__main__":
    main()
