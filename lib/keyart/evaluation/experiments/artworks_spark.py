"""Every artwork of an experiment's days against its title's average: rows of experiment_results of kind artwork."""

from typing import Any

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy.stats import norm

from keyart.evaluation.experiments.artworks import SUMS, contrasts
from keyart.evaluation.experiments.design import CONTINUOUS, Design
from keyart.evaluation.experiments.findings import EMPTY, finite
from keyart.evaluation.experiments.sequential import always_valid_p, e_value, reach

__all__ = ["artwork_rows", "artwork_sums"]


def artwork_sums(decisions: DataFrame) -> DataFrame:
    """title_id, artwork_id and SUMS (as sum_0, ...) of matured decisions with a choice; catalogue-sized."""
    weight = 1 / F.col("propensity")
    pair = Window.partitionBy("user_key", "title_id")
    by_member = (
        decisions.where(F.col("reward").isNotNull() & (F.size("candidate_set") >= 2) & ~F.col("already_started"))
        .repartition("user_key", "title_id")
        .groupBy("user_key", "title_id", "artwork_id")
        .agg(F.sum(weight).alias("w"), F.sum(weight * F.col("reward")).alias("wr"))
        .withColumns(
            {"title_w": F.sum("w").over(pair), "title_wr": F.sum("wr").over(pair), "seen": F.count("*").over(pair)}
        )
    )
    values = {
        "w": F.col("w"), "wr": F.col("wr"), "ww": F.col("w") ** 2, "wwr": F.col("w") * F.col("wr"),
        "wrwr": F.col("wr") ** 2, "wW": F.col("w") * F.col("title_w"), "wWR": F.col("w") * F.col("title_wr"),
        "wrW": F.col("wr") * F.col("title_w"), "wrWR": F.col("wr") * F.col("title_wr"),
        "WW": F.col("title_w") ** 2 / F.col("seen"), "WWR": F.col("title_w") * F.col("title_wr") / F.col("seen"),
        "WRWR": F.col("title_wr") ** 2 / F.col("seen"),
        "members": F.lit(1.0),
    }  # fmt: skip
    sums = [F.sum(values[name]).alias(f"sum_{i}") for i, name in enumerate(SUMS)]
    return by_member.groupBy("title_id", "artwork_id").agg(*sums)


def artwork_rows(decisions: DataFrame, design: Design, smallest: int, sample_ratio: float) -> list[dict[str, Any]]:
    """Artworks seen by ``smallest`` members or more; adjusted over all of them, for the design's way of looking."""
    found = artwork_sums(decisions).orderBy("title_id", "artwork_id").toPandas()
    if found.empty:
        return []
    _, title = np.unique(found["title_id"], return_inverse=True)
    one = contrasts(found[[f"sum_{i}" for i in range(len(SUMS))]].to_numpy(), title)
    kept = np.flatnonzero((one.members >= smallest) & (one.variance > 0))
    if not len(kept):
        return []
    d, v = one.difference[kept], one.variance[kept]
    tau2 = (design.rules.minimum_effect * one.title_worth[kept]) ** 2
    p = 2 * norm.sf(np.abs(d) / np.sqrt(v))
    looking = design.rules.looks == CONTINUOUS
    evidence = np.array([e_value(*each) for each in zip(d, v, tau2, strict=True)])
    part = type(one)(one.worth[kept], one.title_worth[kept], d, v, one.members[kept])
    adjusted, shrunk = part.adjusted(p, evidence if looking else None), part.shrunk()
    how = f"{'e-BH' if looking else 'Benjamini-Hochberg'} over {len(kept)} artworks, unshrunk"
    rows = []
    for i, at in enumerate(kept):
        half, far = 1.959964 * float(v[i]) ** 0.5, float(reach(v[i], tau2[i]))
        clear = adjusted[i] <= design.rules.alpha
        row = {
            "experiment_id": design.experiment_id, "sample_ratio_p": sample_ratio, "kind": "artwork",
            "variant": found["artwork_id"][at],
            "metric": "reward_per_decision", "segment": f"title={found['title_id'][at]}",
            "members": int(one.members[at]), "mean": float(one.worth[at]), "control_mean": float(one.title_worth[at]),
            "difference": float(d[i]), "lower": float(d[i]) - half, "upper": float(d[i]) + half,
            "p_value": float(p[i]), "sequential_lower": float(d[i]) - far, "sequential_upper": float(d[i]) + far,
            "sequential_p": always_valid_p(d[i], v[i], tau2[i]), "adjusted_p": float(adjusted[i]), "correction": how,
            "shrunk": float(shrunk[i]),
            "verdict": "not told from its title's average" if not clear else "better" if d[i] > 0 else "worse",
        }  # fmt: skip
        rows.append({key: finite(value) for key, value in {**EMPTY, **row}.items()})
    return rows
