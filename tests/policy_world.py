"""A small fabricated world whose response is known, with real tables and models, as the jobs before assign-artwork
leave them."""

import importlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
from pyspark.sql import functions as F

from keyart import seeding
from keyart.config import load
from keyart.learning.members import member_vectors
from keyart.learning.predict import user_scores
from keyart.policy.resolve import Override, OwnChoices
from keyart.schemas import TABLES
from keyart.tables import Tables
from keyart.tracking import ModelArrays, Tracking

T0, T1, END = date(2026, 1, 8), date(2026, 1, 15), date(2026, 1, 22)
REGIONS = {"SE": "nordics", "NO": "nordics", "JP": "asia"}
CELLS = [
    {"level": "global", "cell": "*", "parent": None},
    {"level": "parent", "cell": "nordics", "parent": None},
    {"level": "region", "cell": "SE", "parent": "nordics"},
    {"level": "region", "cell": "JP", "parent": "asia"},
]
GENRES = ["drama", "action"]
FEATURES = ["warmth", "face_share", "sharpness"]
# One artwork of title B is withdrawn, B-new is newer than the model, C has one artwork only.
ARTWORKS = [(f"{title}{i}", title, i + 1) for title in "AB" for i in range(4)] + [("C0", "C", 1)]
WITHDRAWN, NEW = "B3", ("B-new", "B", 9)
LOOK = {artwork: "warm" if artwork[-1] in "0w" else "dark" for artwork, *_ in [*ARTWORKS, NEW]}
MEMBERS = 600
ASKED = "user_key string, title_id string, region string, context string, epoch date, kids boolean"
"""Of ``resolved``."""


def zero(kind):
    """Some value of a column that does not matter here."""
    name = kind.typeName()
    plain = {"string": "", "boolean": False, "double": 0.0, "array": []}
    return plain.get(name, 0)


def frame(spark, table, rows):
    schema = TABLES[table].schema
    full = [
        tuple(row[f.name] if f.name in row else None if f.nullable else zero(f.dataType) for f in schema)
        for row in rows
    ]
    return spark.createDataFrame(full, schema, verifySchema=False)


def response_model():
    rng = np.random.default_rng(11)
    titles = np.array([ord(title) - ord("A") for _, title, _ in ARTWORKS])
    values = rng.normal(size=(len(ARTWORKS), 3))
    for t in range(3):
        values[titles == t] -= values[titles == t].mean(axis=0)
    means = np.repeat(0.15 * rng.normal(size=(1, len(ARTWORKS))), len(CELLS), axis=0)
    means[2:] += 0.2 * rng.normal(size=(2, len(ARTWORKS)))
    arrays = {
        "features": values[:, :2],
        "loadings": np.eye(3)[:, :2],
        "feature_values": values,
        "weights": np.array([[0.2, -0.1], [0.1, 0.3], [0.5, 0.0], [-0.4, 0.1]]),
        "member_mean": np.array([0.0, 0.0, 0.5, 0.5]),
        "member_scale": np.array([1.0, 1.0, 0.3, 0.3]),
        "cell_mean": means,
        "cell_sd": np.full(means.shape, 0.04),
        "cell_n": np.full(means.shape, 1000),
        "cell_takes": np.full(means.shape, 33),
        "region_weights": 0.1 * rng.normal(size=(len(CELLS), 3)),
        "region_weights_sd": np.full((len(CELLS), 3), 0.03),
        "title_index": titles,
        "calibration_slopes": np.array([[[1.0, 0.1], [np.nan, np.nan], [1.02, 0.05]], [[0.8, 0.05]] * 3]),
        "calibration_reliability": np.tile([200.0, 0.1, 0.11, 0.01], (3, 10, 1)),
        "calibration_uplift": np.array([[300.0, 0.01 * t, 0.009 * t, 0.004] for t in range(1, 11)]),
    }
    about = {
        "artwork_ids": [row[0] for row in ARTWORKS],
        "title_ids": ["A", "B", "C"],
        "cells": CELLS,
        "feature_names": FEATURES,
        "feature_version": "f1",
        "taste_version": "taste-1",
        "member_names": ["factor 1", "factor 2", "genre drama", "genre action"],
        "regions": ["SE", "JP"],
    }
    return ModelArrays("response", arrays, about)


def taste_rows():
    rng = np.random.default_rng(12)
    for i in range(MEMBERS):
        drama = float(rng.random())
        for version, as_of in (("taste-1", T0), ("taste-1", T1), ("taste-0", END)):
            user = f"{i * 7919:08x}{'0' * 24}"
            yield {
                "user_key": user,
                "user_bucket": seeding.bucket(user),
                "as_of": as_of,
                "taste_version": version,
                "factors": [float(x) for x in rng.normal(size=2)],
                "genre_mix": [drama, 1 - drama],
                "history": i % 5,
                "region": ["SE", "NO", "JP", None][i % 4],
                "kids": i % 10 == 0,
            }


def decision_rows(members, model):
    """Every member meets both titles every day; served unevenly; takes follow the model times 10% (kids: by region)."""
    rng = np.random.default_rng(13)
    cell_of = {"SE": 2, "NO": 1, "JP": 3, None: 0}
    cells = np.array([cell_of[m["region"]] for m in members])
    vectors = member_vectors(
        *(np.array([m[c] for m in members]) for c in ("factors", "genre_mix")), np.zeros(len(members))
    )
    scores = user_scores(model.arrays, vectors, cells)
    distribution = [0.4, 0.3, 0.2, 0.1]
    known = {row[0]: a for a, row in enumerate(ARTWORKS)}
    for i, member in enumerate(members):
        for day in range(14):
            for title in "AB":
                ids = [f"{title}{a}" for a in range(4)]
                if title == "B":
                    ids[3] = "B-old"  # withdrawn long ago: neither the policy nor the model knows it
                place = int(rng.choice(4, p=distribution))
                worth = np.exp([scores[i, known[a]] if a in known else 0.0 for a in ids])
                take = int(rng.random() < 0.1 * worth[place] / worth.mean())
                immature = day == 13 and i % 50 == 0
                yield {
                    "decision_id": f"{i}-{title}-{day}",
                    "user_key": member["user_key"],
                    "user_bucket": member["user_bucket"],
                    "title_id": title,
                    "epoch": T0 + timedelta(days=day),
                    "artwork_id": ids[place],
                    "candidate_set": ids,
                    "candidate_propensities": distribution,
                    "propensity": distribution[place],
                    "policy_id": "logger",
                    "region": member["region"] or "unknown",
                    "kids": member["kids"],
                    "already_started": day == 3,
                    "first_ts": datetime(2026, 1, 1, tzinfo=UTC),
                    "take": None if immature else take,
                    "reward": None if immature else 0.5 * take,
                }


def made_world(spark, root, *asked):
    """Tables and models as the earlier jobs leave them: tables, settings, members and the response model."""
    settings = replace(load(None, [f"tables={root}", "evaluate.smallest_ess=100", *asked]), regions=REGIONS)
    tables, tracking, model = Tables(spark, str(root)), Tracking(settings.tracking, str(root)), response_model()
    about = {"taste_version": "taste-1", "title_ids": ["A", "B", "C"]}
    taste = ModelArrays("als", {"titles": np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])}, about)
    with tracking.run("train", {"t0": T0, "t1": T1}):
        tracking.metrics({"validation_chance_slope": 1.02, "validation_chance_slope_sd": 0.05})
        tracking.register("taste", taste, np.zeros((1, 2)), np.zeros((1, 3)))
        tracking.register("response", model, np.zeros((1, 5)), np.zeros((1, 9)))
    artworks = [
        {
            "artwork_id": artwork,
            "title_id": title,
            "rank": rank,
            "active": artwork != WITHDRAWN,
            "moods": [LOOK[artwork]],
        }
        for artwork, title, rank in [*ARTWORKS, NEW]
    ]
    tables.overwrite("artworks", frame(spark, "artworks", artworks))
    tables.overwrite(
        "titles",
        frame(
            spark, "titles", [{"title_id": t, "name": t, "regions": ["SE", "NO"] if t == "C" else []} for t in "ABC"]
        ),
    )
    rows = list(taste_rows())
    tables.overwrite("taste", frame(spark, "taste", rows))
    newest = [row for row in rows if (row["taste_version"], row["as_of"]) == ("taste-1", T1)]
    tables.overwrite("decisions", frame(spark, "decisions", decision_rows(newest, model)))
    return tables, settings, {row["user_key"]: row for row in newest}, model


def run(job, tables, settings):
    return importlib.import_module(f"keyart.jobs.{job}").run(tables.spark, settings)


def newest_of(tables, policy_id):
    """Each member's row of user_assignments."""
    rows = tables.read("user_assignments").where(F.col("policy_id") == policy_id).collect()
    return {row["user_key"]: row for row in rows}


def own_of(tables, policy_id):
    """What a resolver looks up of members, all read at once."""
    names = ("title_ids", "artwork_ids", "gains", "reasons")
    return {
        user: OwnChoices(
            {title: Override(*rest) for title, *rest in zip(*(row[name] for name in names), strict=True)},
            row["segment"] or "",
        )
        for user, row in newest_of(tables, policy_id).items()
    }


def centres_of(tables):
    rows = tables.read("policy_segments").orderBy("segment").collect()
    return {row["segment"]: np.array(row["centre"]) for row in rows}


def scores_of(model, cell, standard):
    """By plain loops: an artwork's level mean plus taste; what the model does not know is average."""
    ids = [row[0] for row in ARTWORKS]
    taste = standard @ model.arrays["weights"]
    known = {a: model.arrays["cell_mean"][cell, i] + taste @ model.arrays["features"][i] for i, a in enumerate(ids)}
    return known | {"B-new": 0.0}


TITLES = {"A": ["A0", "A1", "A2", "A3"], "B": ["B0", "B1", "B2", "B-new"]}
