"""What settings.responsibility means for an assignment: which artworks mislead, and what each looks like."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pyspark.sql import functions as F

from keyart.feedback.spark import windows_of
from keyart.feedback.windows import holdout_buckets
from keyart.policy.limiting import Limits
from keyart.policy.limits import look_of, misleading
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["limits_for", "with_looks"]

NO_LIMIT = 100.0


def limits_for(tables: Tables, settings: Settings, artworks: Sequence[tuple[str, str, int]]) -> Limits:
    """From the settings and, where artworks that mislead are to be withheld, what decisions say of them.

    ``artworks`` are (artwork_id, title_id, rank); a title keeps at least one. As for the models, days from t1 on and
    members held out have no say: they are what the policy will be judged by.
    """
    asked = settings.responsibility
    if asked.most_abandonment >= NO_LIMIT:
        return Limits(asked.most_same_look)
    decisions = tables.read("decisions")
    learned = F.col("epoch") < F.lit(windows_of(decisions, settings.time).t1)
    taken = decisions.where(learned & (F.col("user_bucket") >= holdout_buckets(settings.time)) & (F.col("take") == 1))
    sums = [F.count("*").alias("takes"), F.sum(F.col("abandoned").cast("long")).alias("abandoned")]
    rows = {row["artwork_id"]: row for row in taken.groupBy("artwork_id").agg(*sums).collect()}
    known = sorted(artworks)
    takes, abandoned = (
        np.array([rows[a][name] or 0 if a in rows else 0 for a, *_ in known], dtype=np.float64)
        for name in ("takes", "abandoned")
    )
    _, title = np.unique([title for _, title, _ in known], return_inverse=True)
    bad = misleading(takes, abandoned, title, asked.most_abandonment)
    left = np.bincount(title, ~bad)[title] > 0
    return Limits(asked.most_same_look, None, tuple(known[i][0] for i in np.flatnonzero(bad & left)))


def with_looks(tables: Tables, limits: Limits, artwork_ids: np.ndarray) -> Limits:
    """The same with each artwork's look, where that is limited."""
    if limits.most_same_look >= 1:
        return limits
    rows = tables.read("artworks").where("active").select("artwork_id", "moods", "shot_type").collect()
    looks = {row["artwork_id"]: look_of(row["moods"], row["shot_type"]) for row in rows}
    _, look = np.unique([looks[artwork] for artwork in artwork_ids], return_inverse=True)
    return replace(limits, look=look)
