"""Experiments side by side: the clustered difference of take fractions beside statsmodels', and the pass in Spark.

    python bench/experiments.py [--members 50000] [--spark]

statsmodels gets the decisions as rows of a least-squares fit with errors clustered by member; keyart adds up members
and takes moments. Both must say the same before any time counts.
"""

import argparse
import json
import tempfile
import time
from datetime import date

import numpy as np
import statsmodels.api as sm

from keyart.evaluation.estimators import Moments, member_sums
from keyart.evaluation.experiments.comparison import compare

PER_MEMBER = 20


def decisions(members: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Member (n,), arm (n,) and take (n,)."""
    rng = np.random.default_rng(5)
    count = 1 + rng.poisson(PER_MEMBER - 1, members)
    member = np.repeat(np.arange(members), count)
    arm = (np.arange(members) % 2)[member]
    take = rng.random(len(member)) < rng.beta(1.5, 30, members)[member] * (1 + 0.05 * arm)
    return member, arm, take.astype(np.float64)


def ours(member: np.ndarray, arm: np.ndarray, take: np.ndarray) -> tuple[float, float]:
    """Difference and variance."""
    sides = []
    for side in (0, 1):
        mine = arm == side
        rows = np.stack([np.ones(int(mine.sum())), take[mine]], axis=1)
        sides.append(Moments.of(member_sums(rows, member[mine])))
    effect = compare(*sides, (np.array([0.0, 1.0]), np.array([1.0, 0.0])))
    return effect.difference, effect.variance


def theirs(member: np.ndarray, arm: np.ndarray, take: np.ndarray) -> tuple[float, float]:
    """Difference and variance of statsmodels, brought to our small-sample factor."""
    fit = sm.OLS(take, sm.add_constant(arm.astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": member, "use_correction": False}
    )
    half = (int(member.max()) + 1) / 2
    return float(fit.params[1]), float(fit.bse[1] ** 2 * half / (half - 1))


def clocked(call, *arguments) -> tuple[float, tuple[float, float]]:
    """Seconds of the best of three, and the answer."""
    times, answer = [], (0.0, 0.0)
    for _ in range(3):
        start = time.perf_counter()
        answer = call(*arguments)
        times.append(time.perf_counter() - start)
    return min(times), answer


def in_spark(members: int, days: int = 14) -> dict[str, float]:
    """Rows a second of analyze-experiment's pass, from Delta, on a local session."""
    from pyspark.sql import functions as F

    from keyart.config import load
    from keyart.evaluation.experiments.analyze_spark import gather
    from keyart.evaluation.experiments.design import design_of
    from keyart.schemas import TABLES
    from keyart.session import open_session
    from keyart.tables import Tables

    asked = ["experiment.experiment_id=bench", "experiment.variants=[old, new]", "experiment.from_day=2026-02-01"]
    with tempfile.TemporaryDirectory() as root:
        settings = load("conf/local.yaml", [f"tables={root}/tables", *asked])
        spark = open_session(settings.session)
        tables = Tables(spark, settings.tables)
        user = F.lower(F.lpad(F.hex(F.col("id") % members), 32, "0"))
        noise = F.rand(7)
        given = {
            "decision_id": F.col("id").cast("string"), "user_key": user, "title_id": (F.col("id") % 97).cast("string"),
            "epoch": F.date_add(F.lit(date(2026, 2, 1)), (F.col("id") / members).cast("int") % days),
            "artwork_id": F.when(noise < 0.7, "x").otherwise("y"), "candidate_set": F.array(F.lit("x"), F.lit("y")),
            "candidate_propensities": F.array(F.lit(0.7), F.lit(0.3)),
            "propensity": F.when(noise < 0.7, 0.7).otherwise(0.3), "take": (F.rand(8) < 0.03).cast("int"),
            "reward": F.rand(9) * (F.rand(8) < 0.03).cast("double"), "region": F.lit("SE"), "device": F.lit("tv"),
        }  # fmt: skip
        fixed = {"string": F.lit("-"), "boolean": F.lit(False), "int": F.lit(0), "timestamp": F.lit("2026-02-01")}

        def column(field):
            empty = F.lit(None) if field.nullable else fixed.get(field.dataType.simpleString())
            return given.get(field.name, empty).cast(field.dataType).alias(field.name)

        rows = spark.range(members * PER_MEMBER).select(*map(column, TABLES["decisions"].schema))
        tables.overwrite("decisions", rows)
        design = design_of(settings.experiment)
        gather(tables, design, settings.experiment)  # warm
        start = time.perf_counter()
        gather(tables, design, settings.experiment)
        seconds = time.perf_counter() - start
        spark.stop()
    return {"rows": members * PER_MEMBER, "seconds": seconds, "rows_a_second": members * PER_MEMBER / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=50_000)
    parser.add_argument("--spark", action="store_true")
    asked = parser.parse_args()
    data = decisions(asked.members)
    (mine, one), (other, two) = clocked(ours, *data), clocked(theirs, *data)
    np.testing.assert_allclose(one, two, rtol=1e-9)
    found: dict[str, object] = {
        "decisions": len(data[0]), "keyart_seconds": mine, "statsmodels_seconds": other, "ratio": other / mine,
    }  # fmt: skip
    if asked.spark:
        found["spark"] = in_spark(asked.members)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
