"""experiment and analyze-experiment on tables with a known effect, against the same figures computed with pandas."""

import importlib
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from keyart import seeding
from keyart.config import load
from keyart.errors import ConfigError
from keyart.evaluation.experiments.analyze_spark import registered
from keyart.evaluation.experiments.exposures_spark import exposures
from keyart.evaluation.experiments.randomisation import HOLDOUT
from keyart.schemas import TABLES
from keyart.tables import Tables

pytestmark = pytest.mark.spark

BEFORE, DAYS, MEMBERS = 7, 7, 900
START = date(2026, 2, 1)
END = START + timedelta(days=DAYS)
KEYS = [f"{i * 7919:08x}{'0' * 24}" for i in range(MEMBERS)]
TITLES = ["A", "B", "C"]
SET = [
    "experiment.experiment_id=bright", "experiment.variants=[old, new]", f"experiment.from_day={START}",
    f"experiment.before_days={BEFORE}", "experiment.holdout=0.1", "experiment.minimum_effect=0.3",
    "experiment.guardrails={return: 0.5, abandonment: 0.9}", "experiment.cost_per_1000_decisions=1",
    "experiment.looks=once", "experiment.artworks=true", "experiment.secondary=[minutes, take_fraction]",
]  # fmt: skip


def decision_frame(arms):
    """Two titles a member and day; the favourite is drawn with 0.7; the new policy takes twice as often."""
    rng = np.random.default_rng(21)
    n = MEMBERS * (BEFORE + DAYS) * 2
    member = np.repeat(np.arange(MEMBERS), (BEFORE + DAYS) * 2)
    day = np.tile(np.repeat(np.arange(-BEFORE, DAYS), 2), MEMBERS)
    taste = rng.beta(2, 12, MEMBERS)[member]
    new = (arms[member] == 1) & (day >= 0)
    favourite = rng.random(n) < 0.7
    take = rng.random(n) < taste * np.where(new, 2.0, 1.0) * np.where(favourite, 1.1, 0.9)
    quality = rng.random(n)
    title = rng.integers(0, 3, n)
    return pd.DataFrame(
        {
            "decision_id": [str(i) for i in range(n)],
            "user_key": np.array(KEYS)[member],
            "user_bucket": [seeding.bucket(KEYS[m]) for m in member],
            "title_id": np.array(TITLES)[title],
            "epoch": [START + timedelta(days=int(d)) for d in day],
            "artwork_id": np.where(favourite, "x", "y"),
            "candidate_set": [["x", "y"]] * n,
            "candidate_propensities": [[0.7, 0.3]] * n,
            "propensity": np.where(favourite, 0.7, 0.3),
            "policy_id": np.where(new, "new", "old"),
            "segment": None,
            "region": np.where(member % 2, "SE", "JP"),
            "device": "tv",
            "day_part": "evening",
            "kids": False,
            "row": 0,
            "position": 0,
            "ranker_score": 0.0,
            "already_started": False,
            "impressions": 1,
            "first_ts": datetime(2026, 1, 1, tzinfo=UTC),
            "take": take.astype(int),
            "quality": np.where(take, quality, np.nan),
            "minutes": np.where(take, 90 * quality, np.nan),
            "abandoned": np.where(take, quality < 0.1, False),
            "rewatched": False,
            "take_source": "row",
            "reward": take * quality,
            "matured_at": datetime(2026, 3, 1, tzinfo=UTC),
        }
    )


def event_frame():
    """A session every other day, with twenty minutes of something else; one member cancels."""
    rows = [(key, day) for key in KEYS for day in range(-BEFORE, DAYS, 2)]
    count = len(rows)
    frame = pd.DataFrame({name: [None] * (count + 1) for name in TABLES["events"].schema.names})
    frame["event_id"] = [f"e{i}" for i in range(count + 1)]
    frame["event_type"] = ["stop"] * count + ["cancel"]
    frame["user_key"] = [key for key, _ in rows] + [KEYS[5]]
    frame["user_bucket"] = [seeding.bucket(key) for key in frame["user_key"]]
    frame["ts"] = datetime(2026, 1, 1, tzinfo=UTC)
    frame["event_date"] = [START + timedelta(days=d) for _, d in rows] + [START + timedelta(days=2)]
    frame["session_id"] = [f"s{i}" for i in range(count)] + [None]
    frame["watched_seconds"] = [1200.0] * count + [None]
    return frame


def settings_of(tables, *more):
    return load(None, [f"tables={tables.root}", *SET, *more])


def job(name, tables, *more):
    return importlib.import_module(f"keyart.jobs.{name}").run(tables.spark, settings_of(tables, *more))


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory):
    tables = Tables(spark, str(tmp_path_factory.mktemp("experiments") / "tables"))
    # Registering only needs the figures of a plan.
    job("experiment", tables, "experiment.action=register", "experiment.baseline_mean=1", "experiment.baseline_sd=1")
    split = registered(tables, "bright").split
    arms = split.arms(KEYS)
    decisions = decision_frame(arms)
    tables.overwrite("decisions", spark.createDataFrame(decisions, TABLES["decisions"].schema, verifySchema=False))
    tables.overwrite("events", spark.createDataFrame(event_frame(), TABLES["events"].schema, verifySchema=False))
    assert job("analyze_experiment", tables) == 0
    return tables, arms, decisions


def test_the_analysis_is_what_pandas_computes(world):
    tables, arms, decisions = world
    rows = tables.read("experiment_results").toPandas()
    decisions["since"] = decisions["epoch"] >= START
    totals = decisions.pivot_table("reward", "user_key", "since", aggfunc="sum").reindex(KEYS)
    y, x = totals[True].to_numpy(), totals[False].to_numpy()
    c, t = arms == 0, arms == 1
    theta = (np.cov(y[c], x[c])[0, 1] / c.sum() + np.cov(y[t], x[t])[0, 1] / t.sum()) / (
        x[c].var(ddof=1) / c.sum() + x[t].var(ddof=1) / t.sum()
    )
    wanted = stats.ttest_ind((y - theta * x)[t], (y - theta * x)[c], equal_var=False)
    (found,) = rows[rows["kind"] == "primary"].to_dict("records")
    assert (found["variant"], found["members"]) == ("new", t.sum())
    assert found["p_value"] == pytest.approx(wanted.pvalue, rel=1e-7)
    assert (found["lower"], found["upper"]) == pytest.approx(tuple(wanted.confidence_interval()), rel=1e-7)
    assert found["mean"] == pytest.approx(y[t].mean(), rel=1e-9)
    assert found["verdict"].startswith("keep running"), "one look, and it is not due: the plan asked for more members"
    assert found["sample_ratio_p"] > 0.01
    assert rows[rows["kind"] == "control"]["mean"].item() == pytest.approx(y[c].mean(), rel=1e-9)


def test_every_kind_of_row_is_there_and_right(world):
    tables, arms, decisions = world
    rows = tables.read("experiment_results").toPandas()
    wanted = {"control", "primary", "secondary", "guardrail", "segment", "incrementality", "novelty", "trend"}
    assert set(rows["kind"]) == wanted | {"quantile", "cost", "stealing", "artwork"}
    assert not rows.duplicated(list(TABLES["experiment_results"].key)).any()
    minutes = rows[(rows["kind"] == "incrementality") & (rows["metric"] == "minutes")].set_index("variant")
    # Minutes come from the events: sessions on days -7, -5, ..., 5, of which 1, 3 and 5 lie in the experiment.
    assert minutes["mean"].tolist() == [60.0, 60.0]
    assert minutes["control_mean"].tolist() == [60.0, 60.0]
    inside = decisions[decisions["epoch"] >= START].assign(arm=np.array(arms)[[KEYS.index(k) for k in KEYS]].repeat(
        2 * DAYS))  # fmt: skip
    by_arm = inside.groupby("arm")[["abandoned", "take"]].sum()
    (guard,) = rows[(rows["kind"] == "guardrail") & (rows["metric"] == "abandonment")].to_dict("records")
    assert guard["mean"] == pytest.approx(by_arm.loc[1, "abandoned"] / by_arm.loc[1, "take"])
    segments = rows[rows["kind"] == "segment"].set_index("segment")["members"]
    assert segments["region=SE"] + segments["region=JP"] == (arms == 1).sum()
    first = rows[(rows["kind"] == "novelty") & (rows["day"] == 0)].iloc[0]
    day0 = inside[inside["epoch"] == START].groupby(["arm", "user_key"])["reward"].sum().groupby("arm").mean()
    assert first["difference"] == pytest.approx(day0[1] - day0[0], rel=1e-9)
    median = rows[(rows["kind"] == "quantile") & (rows["metric"] == "minutes_per_take_q50")].iloc[0]
    assert median["mean"] == pytest.approx(inside[(inside["arm"] == 1) & (inside["take"] == 1)]["minutes"].median(),
                                           rel=0.1)  # fmt: skip
    own = rows[(rows["kind"] == "stealing") & (rows["metric"] == "own_title")].iloc[0]
    assert own["members"] == (arms >= 0).sum()
    assert own["lower"] < inside["reward"].mean() * 0.2 < own["upper"], "the favourite takes 1.1 / 0.9 as often"
    assert (arms == HOLDOUT).sum() > 50
    x = inside[(inside["title_id"] == "A") & (inside["artwork_id"] == "x")]
    artwork = rows[(rows["kind"] == "artwork") & (rows["segment"] == "title=A")].set_index("variant")
    assert artwork.loc["x", "mean"] == pytest.approx(x["reward"].mean())
    title = inside[inside["title_id"] == "A"]
    assert artwork.loc["x", "control_mean"] == pytest.approx(
        np.average(title["reward"], weights=1 / title["propensity"])
    )
    assert artwork["correction"].str.startswith("Benjamini-Hochberg over 6 artworks").all()


def test_running_again_changes_nothing_and_the_rules_are_settled(world):
    tables, _, _ = world
    before = tables.read("experiment_results").toPandas()
    job("analyze_experiment", tables)
    after = tables.read("experiment_results").toPandas()
    order = list(TABLES["experiment_results"].key)
    pd.testing.assert_frame_equal(
        before.sort_values(order, ignore_index=True), after.sort_values(order, ignore_index=True)
    )
    with pytest.raises(ConfigError, match="analysed already"):
        given = ("experiment.baseline_mean=1", "experiment.baseline_sd=1")
        job("experiment", tables, "experiment.action=register", "experiment.metric=minutes", *given)
    with pytest.raises(ConfigError, match="registered are: bright"):
        job("analyze_experiment", tables, "experiment.experiment_id=other")


def test_exposures_are_those_of_the_hash(world):
    tables, arms, _ = world
    found = exposures(tables.read("decisions"), registered(tables, "bright")).toPandas().set_index("user_key")
    assert found["arm"].to_dict() == dict(zip(KEYS, arms, strict=True))
    assert found["variant"].map({"old": 0, "new": 1, "holdout": HOLDOUT}).eq(found["arm"]).all()
    assert (found["first_day"] == START).all() and (found["decisions"] == 2 * DAYS).all()


def test_a_plan_from_the_logs(world, capsys):
    tables, _, decisions = world
    capsys.readouterr()
    assert job("experiment", tables, "experiment.minimum_effect=0.5", "experiment.holdout=0") == 0
    said = capsys.readouterr().out
    week = decisions[decisions["epoch"] >= START].groupby("user_key")["reward"].sum()
    assert f"mean {week.mean():.4g}" in said or "in 14 days" in said
    assert "members (" in said and "power 0.8" in said
