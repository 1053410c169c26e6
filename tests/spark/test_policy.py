"""assign-artwork and evaluate-policy on a small fabricated world whose response is known, with real tables."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from policy_world import (
    ARTWORKS,
    CELLS,
    END,
    LOOK,
    MEMBERS,
    NEW,
    T0,
    T1,
    WITHDRAWN,
    frame,
    made_world,
    run,
)  # fmt: skip
from pyspark.sql import functions as F

from keyart import seeding
from keyart.config import load
from keyart.errors import InputError, LimitError, ModelError, TableError
from keyart.evaluation.examination import SLICES
from keyart.evaluation.spark import evaluate
from keyart.learning.members import member_vectors
from keyart.learning.predict import user_scores
from keyart.policy.limits_spark import limits_for
from keyart.policy.resolve import ArtworkResolver, Override
from keyart.policy.resolve_spark import resolved
from keyart.policy.spark import choices, newest_policy, resolver, serving_policy
from keyart.policy.staying import same_period
from keyart.policy.staying_spark import policy_before
from keyart.schemas import TABLES
from keyart.serving.exposure_log import ExposureLog
from keyart.serving.exposures import Exposures
from keyart.serving.policy_bundle import PolicyBundle, bundles_folder, pointed
from keyart.tables import Tables
from keyart.tracking import Tracking

pytestmark = pytest.mark.spark

WRITTEN = ("region_assignments", "user_assignments", "policies", "policy_weights", "policy_calibration")


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory):
    """Tables and models as the earlier jobs leave them, and no segments: those have test_segments.py."""
    return made_world(spark, tmp_path_factory.mktemp("policy") / "tables", "assign.segments=0")


@pytest.fixture(scope="module")
def assigned(world):
    tables, settings, _, _ = world
    assert run("assign_artwork", tables, settings) == 0
    return world


def test_region_rows_are_distributions_with_one_default(assigned):
    tables, _, _, model = assigned
    rows = tables.read("region_assignments").toPandas()
    assert set(zip(rows["level"], rows["cell"], strict=True)) == {(c["level"], c["cell"]) for c in CELLS}
    groups = rows.groupby(["level", "cell", "title_id"])
    np.testing.assert_allclose(groups["probability"].sum(), 1)
    assert (groups["is_default"].sum() == 1).all()
    assert set(rows["artwork_id"]) == {*(a for a, *_ in ARTWORKS), NEW[0]} - {WITHDRAWN}
    # C may not be shown in JP, but the world still has an answer for it.
    assert ("JP", "C") not in set(zip(rows["cell"], rows["title_id"], strict=True))
    assert rows.query("title_id == 'C'")["probability"].eq(1).all()
    new = rows.query("artwork_id == 'B-new'")
    assert new["mean"].eq(0).all() and new["n"].eq(0).all() and new["reason"].str.startswith("new").all()
    se = rows.query("cell == 'SE' and title_id == 'A'").set_index("artwork_id").sort_index()
    np.testing.assert_allclose(se["mean"], model.arrays["cell_mean"][2, :4])
    best = model.arrays["cell_mean"][2, :4].argmax()
    np.testing.assert_allclose(se["probability"], 0.05 / 4 + 0.95 * (np.arange(4) == best))
    assert se["takes"].tolist() == [33] * 4


def expected_overrides(members, model, minimum):
    """By plain loops: the member's best of active artworks where it gains enough over the level's default."""
    cell_of = {"SE": 2, "NO": 1, "JP": 3, None: 0}
    ids = [row[0] for row in ARTWORKS]
    found = {}
    for user, row in members.items():
        if row["kids"]:
            continue
        vector = member_vectors(np.array([row["factors"]], "f4"), np.array([row["genre_mix"]], "f4"), np.zeros(1))
        cell = cell_of[row["region"]]
        own = user_scores(model.arrays, vector, np.array([cell]))[0]
        for title, active in (("A", ["A0", "A1", "A2", "A3"]), ("B", ["B0", "B1", "B2", "B-new"])):
            level = {a: model.arrays["cell_mean"][cell, ids.index(a)] if a in ids else 0.0 for a in active}
            score = {a: own[ids.index(a)] if a in ids else 0.0 for a in active}
            default, best = max(active, key=level.__getitem__), max(active, key=score.__getitem__)
            if best != default and score[best] - score[default] >= minimum:
                found[user, title] = (best, score[best] - score[default])
    return found


def test_calibration_of_the_model_stands_beside_the_policy(assigned):
    tables, _, _, model = assigned
    policy, _ = newest_policy(tables)
    rows = tables.read("policy_calibration").where(F.col("policy_id") == policy.policy_id).toPandas()
    assert not rows.duplicated(list(TABLES["policy_calibration"].key)).any()
    slopes = rows[rows["measure"] == "slope of chance"].set_index("region")["observed"]
    assert slopes.to_dict() == {"SE": 1.0, "*": 1.02}, "what is not known has no row"
    tenths = rows[rows["measure"] == "uplift"].sort_values("part")
    told = tenths[["decisions", "predicted", "observed", "standard_error"]].to_numpy()
    np.testing.assert_array_equal(told, model.arrays["calibration_uplift"])
    assert (rows["measure"] == "reliability").sum() == 30


def test_overrides_are_those_of_a_loop(assigned):
    tables, settings, members, model = assigned
    rows = tables.read("user_assignments").collect()
    found = {
        (row["user_key"], title): (artwork, gain)
        for row in rows
        for title, artwork, gain in zip(row["title_ids"], row["artwork_ids"], row["gains"], strict=True)
    }
    expected = expected_overrides(members, model, settings.assign.minimum_gain)
    assert len(expected) > 200
    assert {key: value[0] for key, value in found.items()} == {key: value[0] for key, value in expected.items()}
    np.testing.assert_allclose([found[key][1] for key in expected], [expected[key][1] for key in expected], rtol=1e-4)
    for row in rows:
        assert row["region"] == members[row["user_key"]]["region"]
        assert row["user_bucket"] == seeding.bucket(row["user_key"])
        assert row["version"] == (T1 - date(1970, 1, 1)).days
        assert len(row["reasons"]) == len(row["title_ids"]) > 0
    assert any("drama than most" in reason for row in rows for reason in row["reasons"])


def test_the_policy_row_says_where_it_came_from(assigned):
    tables, _, _, _ = assigned
    policy, row = newest_policy(tables)
    assert policy.policy_id.startswith("artwork-")
    assert row["kind"] == "epsilon-greedy"
    assert policy.taste_as_of == T1
    assert json.loads(row["models"])["response"]["version"] == "1"
    assert json.loads(row["data_versions"])["taste"] == tables.version("taste")


def test_the_resolver_answers_from_tables(assigned):
    tables, _, members, _ = assigned
    own = resolver(tables)
    assert isinstance(own, ArtworkResolver)
    row = tables.read("user_assignments").where("region = 'SE'").orderBy("user_key").first()
    found = own.resolve(row["user_key"], row["title_ids"][0], "SE", epoch=T1)
    assert found.level == "user"
    assert found.candidate_set[int(np.argmax(found.probabilities))] == row["artwork_ids"][0]
    kid = next(user for user, member in members.items() if member["kids"])
    assert own.resolve(kid, "A", "NO", epoch=T1).level == "parent"
    assert own.resolve(kid, "A", "BR", epoch=T1).level == "global"


def test_a_frame_is_resolved_as_members_are_one_by_one(assigned):
    tables, _, members, _ = assigned
    users, titles, days = list(members), "ABCZ", 5
    rows = [
        (user, title, members[user]["region"], "*", T1 + timedelta(days=day), members[user]["kids"])
        for user in users
        for title in titles
        for day in range(days)
    ]
    asked = tables.spark.createDataFrame(
        rows, "user_key string, title_id string, region string, context string, epoch date, kids boolean"
    )
    found = resolved(asked, tables).collect()
    assert len(found) == len(rows) >= 10_000
    own = {
        row["user_key"]: {
            t: Override(a, g) for t, a, g in zip(row["title_ids"], row["artwork_ids"], row["gains"], strict=True)
        }
        for row in tables.read("user_assignments").collect()
    }
    alone = replace(resolver(tables), overrides=lambda user: own.get(user, {}))
    levels = set()
    for row in found:
        asked_for = (row["user_key"], row["title_id"], row["region"] or "unknown", row["context"])
        try:
            one = alone.resolve(*asked_for, epoch=row["epoch"], kids=row["kids"])
        except (LimitError, TableError) as error:
            assert (row["artwork_id"], row["refusal"]) == (None, str(error))
            continue
        levels.add(row["level"])
        assert (row["artwork_id"], row["level"], row["policy_id"]) == (one.artwork_id, one.level, one.policy_id)
        assert row["propensity"] == one.propensity and row["refusal"] is None
        assert tuple(row["candidate_set"]) == one.candidate_set
        assert tuple(row["candidate_propensities"]) == one.probabilities
    assert levels == {"user", "region", "parent", "global"}


def test_a_members_choice_is_explained(assigned, tmp_path, capsys):
    tables, settings, _, _ = assigned
    row = tables.read("user_assignments").where("region = 'SE'").orderBy("user_key").first()
    out = tmp_path / "choice.html"
    asked = replace(settings.explain, user=row["user_key"], title=row["title_ids"][0], out=str(out))
    assert run("explain", tables, replace(settings, explain=asked)) == 0
    said = capsys.readouterr().out
    assert "level user" in said and row["artwork_ids"][0] in said and ("than most" in said or "by taste" in said)
    assert out.read_text().count("<figure") == 4
    with pytest.raises(InputError, match="titles are called Z"):
        run("explain", tables, replace(settings, explain=replace(asked, title="Z")))
    with pytest.raises(InputError, match="nothing is known"):
        run("explain", tables, replace(settings, explain=replace(asked, user="f" * 32)))


def test_choices_for_a_judge(assigned):
    tables, _, members, _ = assigned
    rows = tables.read("taste").where((F.col("taste_version") == "taste-1") & (F.col("as_of") == F.lit(T1)))
    found = choices(tables, rows).toPandas()
    assert len(found) == MEMBERS * 3
    assert not found.isna().any().any()
    kids = found["user_key"].map(lambda user: members[user]["kids"])
    assert (found["user_artwork"] == found["region_artwork"])[kids].all()
    overrides = tables.read("user_assignments").select(F.sum(F.size("title_ids"))).first()[0]
    assert (found["user_artwork"] != found["region_artwork"]).sum() == overrides
    assert found.groupby("title_id")["global_artwork"].nunique().eq(1).all()


def test_evaluation_says_what_is_true(assigned, capsys):
    tables, settings, _, _ = assigned
    settings = replace(settings, time=replace(settings.time, t0=T0, t1=T1, end=END))
    planned = replace(settings, evaluate=replace(settings.evaluate, plan_width=0.05))
    assert run("evaluate_policy", tables, planned) == 0
    assert "the log must explore in" in capsys.readouterr().out
    first = tables.read("evaluations").toPandas()
    assert not first.duplicated(["evaluation_id", "target", "baseline", "estimator", "metric", "slice"]).any()
    by_region = {name for name in first["slice"] if name.startswith("region")}
    assert by_region == {"region=SE", "region=NO", "region=JP", "region=unknown"}
    assert {name.split("=")[0] for name in first["slice"]} == {"*", *SLICES}
    whole = first.query("slice == '*' and metric == 'take'").set_index(["target", "baseline", "estimator"])
    log = tables.read("decisions").where(f"epoch >= '{T1}' AND NOT already_started AND take IS NOT NULL")
    members = log.select("user_key", "region", "kids").dropDuplicates(["user_key"])
    log = log.join(choices(tables, members), on=["user_key", "title_id"], how="inner").toPandas()
    # B-new was never logged: decisions in which somebody would have shown it are left out.
    log = log[log["user_artwork"] != "B-new"]
    uniform = whole.loc[("uniform", "uniform", "ips")]
    assert uniform["n"] == len(log) < 2 * 7 * MEMBERS
    assert uniform["members"] == MEMBERS
    assert uniform["verdict"] == "ok"
    user = whole.loc[("user", "uniform", "dr")]
    assert user["claim"]
    assert user["lift_lower"] > 0
    assert whole.loc[("user", "region", "dr"), "lift"] > 0
    # What exploration costs: a share of 5% is drawn evenly.
    served = whole.loc[("served", "uniform", "dr")]
    assert 0.9 * user["lift"] < served["lift"] < user["lift"]
    assert (first["outside_single"] == 0).all() and (first["outside_pinned"] == 0).all()
    halves = first.query("metric == 'reward' and estimator == 'ips' and slice == '*'").set_index(["target", "baseline"])
    assert halves.loc[("user", "uniform"), "estimate"] == pytest.approx(
        whole.loc[("user", "uniform", "ips"), "estimate"] / 2
    )
    # By hand, from the tables.
    for level in ("global", "region", "user"):
        weights = (log["artwork_id"] == log[f"{level}_artwork"]) / log["propensity"]
        found = whole.loc[(level, "uniform", "snips")]
        assert found["estimate"] == pytest.approx((weights * log["take"]).sum() / weights.sum())
        assert found["ess"] == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
        assert found["max_weight"] == weights.max()
    # Run twice, the table is the same.
    assert run("evaluate_policy", tables, planned) == 0
    order = ["target", "baseline", "estimator", "metric", "slice"]
    second = tables.read("evaluations").toPandas()
    assert first.sort_values(order, ignore_index=True).equals(second.sort_values(order, ignore_index=True))


def test_the_response_model_speaks_for_all_without_folds(assigned):
    tables, settings, _, _ = assigned
    whole = replace(settings.evaluate, folds=0, replicates=0, slices=(), pages=False)
    settings = replace(settings, time=replace(settings.time, t0=T0, t1=T1, end=END), evaluate=whole)
    rows = {
        (r["target"], r["estimator"]): r
        for r in evaluate(tables, Tracking(settings.tracking, settings.tables), settings)
        if (r["slice"], r["metric"], r["baseline"]) == ("*", "take", "uniform")
    }
    # The model's own word agrees with the log, because this world follows the model.
    user = rows["user", "dr"]
    assert user["lower"] <= rows["user", "dm"]["estimate"] <= user["upper"]


def test_taste_from_the_test_days_is_refused(assigned):
    tables, settings, _, _ = assigned
    early = replace(settings, time=replace(settings.time, t0=T0, t1=T0 + timedelta(days=3), end=END))
    rows = evaluate(tables, Tracking(settings.tracking, settings.tables), early)
    assert all("within the test days" in row["verdict"] and row["estimate"] is None for row in rows)


def test_assigning_twice_changes_nothing(assigned):
    tables, settings, _, _ = assigned
    names = ("region_assignments", "user_assignments", "policies")
    before = {name: tables.read(name).orderBy(*TABLES[name].key).collect() for name in names}
    assert run("assign_artwork", tables, settings) == 0
    for name in names:
        assert tables.read(name).orderBy(*TABLES[name].key).collect() == before[name]


def test_another_policy_stands_beside_the_first(assigned):
    tables, settings, _, _ = assigned
    first, _ = newest_policy(tables)
    count = tables.read("user_assignments").count()
    bold = replace(settings, assign=replace(settings.assign, policy_id="only-defaults", minimum_gain=9.0))
    assert run("assign_artwork", tables, bold) == 0
    assert newest_policy(tables)[0].policy_id == "only-defaults"
    assert tables.read("user_assignments").count() == count
    assert newest_policy(tables, first.policy_id)[0] == first
    # Both are judged in one pass: the first as it was judged alone, and the second's members have their region's.
    window = replace(settings.time, t0=T0, t1=T1, end=END)
    both = replace(settings, time=window, evaluate=replace(settings.evaluate, policy_id="all", slices=(), pages=False))
    rows = evaluate(tables, Tracking(settings.tracking, settings.tables), both)
    found = {(r["policy_id"], r["target"], r["baseline"], r["estimator"], r["metric"]): r for r in rows}
    alone = tables.read("evaluations").where("slice = '*' AND NOT metric LIKE 'page%'").collect()
    assert len(alone) == len(found) / 2
    for row in alone:
        again = found[first.policy_id, row["target"], row["baseline"], row["estimator"], row["metric"]]
        assert again["estimate"] == pytest.approx(row["estimate"], rel=1e-6)
        assert again["boot_lower"] == pytest.approx(row["boot_lower"], rel=1e-6)
    for estimator in ("dr", "snips"):
        user, region = (found["only-defaults", target, "uniform", estimator, "take"] for target in ("user", "region"))
        assert user["estimate"] == region["estimate"]
    for name in ("region_assignments", "policies"):
        tables.delete(name, "policy_id = 'only-defaults'")


def test_what_the_policy_does_is_measured(assigned):
    tables, settings, _, _ = assigned
    settings = replace(settings, time=replace(settings.time, t0=T0, t1=T1, end=END))
    assert run("measure_policy", tables, settings) == 0
    rows = tables.read("policy_measures").toPandas()
    assert not rows.duplicated(list(TABLES["policy_measures"].key)).any()
    assert set(rows["behaviour"]) == {"logged", "uniform", "region", "user", "limits"}
    (policy,) = set(rows.loc[rows["behaviour"] == "user", "policy_id"])
    costs = rows[(rows["behaviour"] == "limits") & (rows["policy_id"] == policy)].set_index("measure")["value"]
    assert 0 < costs["reward_explored"] < costs["decisions_explored"] < settings.assign.exploration
    assert {"region=SE", "region=JP", "kids=yes", "device="} <= set(rows["segment"])
    log = tables.read("decisions").where(f"epoch >= '{T1}' AND take IS NOT NULL")
    members = log.select("user_key", "region", "kids").dropDuplicates(["user_key"])
    log = log.join(choices(tables, members), on=["user_key", "title_id"], how="inner").toPandas()
    there = np.array([choice in among for choice, among in zip(log["user_artwork"], log["candidate_set"], strict=True)])
    shown = np.where(there, log["artwork_id"] == log["user_artwork"], 0.25)  # else an even draw
    weight = shown / log["propensity"]
    # What limits cost is there for both policies that were assigned.
    found = rows[(rows["segment"] == "*") & (rows["behaviour"] != "limits")].set_index(["behaviour", "measure"])
    assert found.loc[("user", "take_fraction"), "value"] == pytest.approx((weight * log["take"]).sum() / weight.sum())
    again = log.sort_values("epoch").groupby(["user_key", "title_id"])["artwork_id"].shift()
    last = again.reindex(log.index)
    known = last.notna() & (last != "B-old")  # the policy's catalogue does not have it
    moved = np.where(there, last != log["user_artwork"], 0.75)
    assert found.loc[("user", "swap_rate"), "value"] == pytest.approx(moved[known].mean())
    best = tables.read("region_assignments").where("level = 'global' AND policy_id LIKE 'artwork-%'").toPandas()
    gap = best.groupby("title_id")["mean"].transform("max") - best["mean"]
    near = (gap <= np.hypot(best["sd"], 0.04))[gap > 0]  # the leaders' sd is 0.04
    assert found.loc[("user", "alike_scores"), "value"] == pytest.approx(near.mean())
    exposure = log.assign(u=np.where(there, 1.0, 0.25)).groupby("user_artwork")["u"].sum()
    assert 0 <= found.loc[("uniform", "gini"), "value"] < found.loc[("user", "gini"), "value"] < 1
    assert exposure.sum() > 0 and found.loc[("user", "calibration"), "lower"] < 1
    assert found.loc[("user", "calibration"), "upper"] > 0.5
    before = rows.sort_values(list(TABLES["policy_measures"].key), ignore_index=True)
    assert run("measure_policy", tables, settings) == 0
    after = tables.read("policy_measures").toPandas()
    assert before.equals(after.sort_values(list(TABLES["policy_measures"].key), ignore_index=True))


def launched_rows():
    """Title N from the fifth day on: drawn evenly for six days, then its best in 94 of 100; title O all the time."""
    rng = np.random.default_rng(5)
    for day in range(30):
        for title, first, learned in (("N", 4, 10), ("O", 0, 0)):
            for a in range(4 if day >= first else 0):
                share = 0.25 if day < learned else 0.94 if a == 0 else 0.02
                for region in ("SE", "JP"):
                    n = int(rng.poisson(400 * share))
                    takes = int(rng.binomial(n, 0.10 if a == 0 else 0.04))
                    yield {
                        "event_date": T0 + timedelta(days=day), "cell": f"{region}|{title}{a}", "region": region,
                        "title_id": title, "artwork_id": f"{title}{a}", "n": n, "takes": takes, "w": n / share,
                        "w2": n / share**2, "wr": takes / share, "w2r2": takes / share**2, "reward": float(takes),
                    }  # fmt: skip


def test_days_from_a_launch_to_its_eventual_value(assigned, spark):
    tables, settings, _, _ = assigned
    tables.overwrite("artwork_stats", frame(spark, "artwork_stats", list(launched_rows())))
    measured = replace(settings, time=replace(settings.time, t0=T0, t1=T1, end=END))
    assert run("measure_policy", tables, measured) == 0
    rows = tables.read("policy_measures").where("behaviour = 'logged' AND measure <> 'cold_value'").toPandas()
    found = rows.set_index(["measure", "segment"])
    assert found.loc[("launches", "*"), "value"] == found.loc[("launches", "kind=title"), "value"] == 1
    assert found.loc[("cold_days", "*"), "value"] == 6
    assert found.loc[("cold_gain_days", "kind=title"), "value"] == 6
    days = found.loc[("cold_days", "*"), ["from_day", "to_day"]].tolist()
    assert days == [T0, T0 + timedelta(days=30)], "of the whole log"
    assert found.loc[("take_fraction", "*"), "from_day"] == T1, "and not of the days that are judged"
    tables.delete("artwork_stats", "true")


def test_a_limit_is_obeyed_and_its_cost_is_said(assigned, capsys):
    tables, settings, _, _ = assigned
    first, _ = newest_policy(tables)
    strict = replace(
        settings,
        assign=replace(settings.assign, policy_id="limited"),
        responsibility=replace(settings.responsibility, most_same_look=0.4),
    )
    assert run("assign_artwork", tables, strict) == 0
    assert "limits cost: gain_lost" in capsys.readouterr().out
    assert newest_policy(tables)[0].limits == ("at most 40% of a member's titles in one look",)
    rows = {row["policy_id"]: {} for row in tables.read("policies").collect()}
    for row in tables.read("user_assignments").collect():
        rows[row["policy_id"]][row["user_key"]] = dict(zip(row["title_ids"], row["gains"], strict=True))
    free, limited = rows[first.policy_id], rows["limited"]
    assert all(set(own) <= set(free[user]) for user, own in limited.items())
    gain = {name: sum(sum(own.values()) for own in found.values()) for name, found in rows.items()}
    costs = {
        row["measure"]: row["value"] for row in tables.read("policy_measures").where("policy_id = 'limited'").collect()
    }
    # All of it was the looks' limit, and it is a share of the whole reward, of which gains are the smaller part.
    assert 0 < costs["value_lost"] == costs["value_lost_by_most_same_look"] < costs["gain_lost"]
    assert costs["value_lost_by_most_abandonment"] == 0
    assert 0.02 < costs["gain_lost"] == pytest.approx(1 - gain["limited"] / gain[first.policy_id], rel=1e-4)
    shown = choices(tables, tables.read("taste").where(F.col("as_of") == F.lit(T1)), "limited").toPandas()
    looks = {user: own.map(LOOK).value_counts() for user, own in shown.groupby("user_key")["user_artwork"]}
    defaults = {user: own.map(LOOK).value_counts() for user, own in shown.groupby("user_key")["region_artwork"]}
    assert all(n <= max(0.4 * 3, defaults[u].get(look, 0)) for u, count in looks.items() for look, n in count.items())
    for name in ("region_assignments", "user_assignments", "policies", "policy_measures"):
        tables.delete(name, "policy_id = 'limited'")


def test_thompson_sampling_and_a_narrow_scope_from_settings_to_what_is_served(assigned):
    tables, settings, members, _ = assigned
    narrow = replace(settings.assign, policy_id="narrow", explore="thompson", draws=32, likely_titles=1)
    assert run("assign_artwork", tables, replace(settings, assign=narrow)) == 0
    policy, row = newest_policy(tables)
    assert (row["kind"], policy.exploration.draws) == ("thompson", 32)
    assert policy.limits == ("own artwork for a member's 1 likeliest titles",)
    rows = tables.read("region_assignments").where("policy_id = 'narrow'").toPandas()
    assert (rows["probability"] * 32 % 1 == 0).all()
    own, found = resolver(tables, "narrow"), rows.query("cell == 'SE' and title_id == 'A'").sort_values("artwork_id")
    offer = own.offer("A", "SE", epoch=T1)
    assert offer.artwork_ids == tuple(found["artwork_id"]) and (offer.probabilities == found["probability"]).all()
    for one in tables.read("user_assignments").where("policy_id = 'narrow'").collect():
        likes_a = members[one["user_key"]]["factors"][0] > 0
        assert one["title_ids"] == (["A"] if likes_a else ["B"])
    for name in ("region_assignments", "user_assignments", "policies"):
        tables.delete(name, "policy_id = 'narrow'")


def test_what_is_excluded_in_a_region_is_a_candidate_there_at_no_level(assigned, spark, capsys):
    """A0 is excluded in SE, which the model knows, and A1 in NO, which falls back to nordics; all of B in JP."""
    tables, settings, members, _ = assigned
    before = tables.read("artworks").collect()
    excluded = {"A0": ["SE"], "A1": ["NO"], **{artwork: ["JP"] for artwork in ("B0", "B1", "B2", "B-new")}}
    tables.merge(
        "artworks",
        frame(spark, "artworks", [r.asDict() | {"excluded_regions": excluded.get(r["artwork_id"])} for r in before]),
    )
    pin = {"override_id": "1", "title_id": "A", "action": "pin", "artwork_id": "A2", "regions": ["KR"]}
    tables.overwrite("editor_overrides", frame(spark, "editor_overrides", [pin | {"from_date": T1, "until_date": END}]))
    placed = replace(settings, assign=replace(settings.assign, policy_id="placed", exploration=0.4, day=T1))
    assert run("assign_artwork", tables, placed) == 0
    assert "6 artworks not shown in some or all regions, 0 in named regions only, 1 pinned" in capsys.readouterr().out
    rows = tables.read("region_assignments").where("policy_id = 'placed'").toPandas()
    groups = rows.groupby(["level", "cell", "title_id"])
    np.testing.assert_allclose(groups["probability"].sum(), 1)
    assert (groups["is_default"].sum() == 1).all()
    held = {key: set(found["artwork_id"]) for key, found in groups}
    whole = {"A0", "A1", "A2", "A3"}
    assert held["region", "SE", "A"] == whole - {"A0"}
    assert held["region", "NO", "A"] == whole - {"A1"}, "a region that the model does not know has rows of its own"
    assert held["parent", "nordics", "A"] == held["global", "*", "A"] == held["region", "JP", "A"] == whole
    assert ("region", "NO", "B") not in held, "where nothing differs, what stands in for it answers"
    assert ("region", "JP", "B") not in held
    favoured = tables.read("policy_weights").where("policy_id = 'placed'").toPandas()
    assert set(favoured["cell"]) == {cell["cell"] for cell in CELLS}
    assert set(favoured["sd"]) == {0.03}
    where = {user: row["region"] for user, row in members.items()}
    for row in tables.read("user_assignments").where("policy_id = 'placed'").collect():
        given = zip(row["title_ids"], row["artwork_ids"], strict=True)
        assert all(where[row["user_key"]] not in excluded.get(artwork, ()) for _, artwork in given)
        assert where[row["user_key"]] != "JP" or "B" not in row["title_ids"]

    own = resolver(tables, "placed")
    everybody = list(members)[:120]
    for region, out in (("SE", "A0"), ("NO", "A1")):
        for user in everybody:
            found = own.resolve(user, "A", region, epoch=T1)
            assert out != found.artwork_id and set(found.candidate_set) == whole - {out}
            np.testing.assert_allclose(sorted(found.probabilities), [0.4 / 3, 0.4 / 3, 0.6 + 0.4 / 3])
    assert {own.resolve(user, "A", "BR", epoch=T1).artwork_id for user in everybody} == whole
    pinned = own.resolve(everybody[0], "A", "KR", epoch=T1)
    assert (pinned.artwork_id, pinned.candidate_set, pinned.probabilities) == ("A2", ("A2",), (1.0,))
    assert set(own.resolve(everybody[0], "A", "KR", epoch=END).candidate_set) == whole
    with pytest.raises(LimitError, match="no artwork of title B may be shown in JP"):
        own.resolve(everybody[0], "B", "JP", epoch=T1)

    shown = choices(tables, tables.read("taste").where(F.col("as_of") == F.lit(T1)), "placed").toPandas()
    shown["region"] = shown["user_key"].map(where)
    for level in ("global", "region", "user"):
        seen = {
            key: set(found[f"{level}_artwork"]) for key, found in shown.groupby(["region", "title_id"], dropna=False)
        }
        assert "A0" not in seen["SE", "A"] and "A1" not in seen["NO", "A"]
        assert seen["JP", "B"] == {None}
    best = {row["title_id"]: row["artwork_id"] for _, row in rows.query("level == 'global' and is_default").iterrows()}
    usual = shown.query("region == 'JP' and title_id == 'A'")
    assert set(usual["global_artwork"]) == {best["A"]}

    judged = replace(settings, time=replace(settings.time, t0=T0, t1=T1, end=END))
    quick = replace(judged.evaluate, policy_id="placed", slices=("region",), pages=False, replicates=0)
    assert run("evaluate_policy", tables, replace(judged, evaluate=quick)) == 0
    tables.overwrite("artworks", frame(spark, "artworks", [row.asDict() for row in before]))
    tables.delete("editor_overrides", "true")
    for name in (*WRITTEN, "evaluations"):
        tables.delete(name, "policy_id = 'placed'")


def test_a_policy_outside_its_limits_is_not_served(assigned, capsys):
    tables, settings, _, _ = assigned
    first, _ = newest_policy(tables)
    settings = replace(settings, time=replace(settings.time, t0=T0, t1=T1, end=END))
    bold = replace(settings, assign=replace(settings.assign, policy_id="bold", minimum_gain=9.0))
    assert run("assign_artwork", tables, bold) == 0
    every = replace(
        settings, evaluate=replace(settings.evaluate, policy_id="all", slices=(), pages=False, replicates=0)
    )
    assert run("evaluate_policy", tables, every) == 0
    limits = replace(settings.responsibility, policy_id="bold", limits={"gini": "..0.01"})
    strict = replace(settings, responsibility=limits)
    assert run("measure_policy", tables, strict) == 0
    said = capsys.readouterr().out
    assert "outside its limit: gini is" in said
    assert f"policy bold is not served; {first.policy_id} is: by DR members miss" in said
    assert newest_policy(tables)[0].policy_id == "bold"
    assert serving_policy(tables).policy_id == first.policy_id
    assert serving_policy(tables, "bold").policy_id == "bold"
    lift = {
        row["policy_id"]: row["lift"]
        for row in tables.read("evaluations").where("estimator = 'dr' AND metric = 'reward' AND slice = '*'").collect()
        if (row["target"], row["baseline"]) == ("served", "uniform")
    }
    gate = tables.read("policy_measures").where("behaviour = 'gate'").collect()
    assert [row["measure"] for row in gate] == ["value_refused"]
    assert gate[0]["value"] == pytest.approx((1 + lift["bold"]) / (1 + lift[first.policy_id]) - 1)
    with pytest.raises(LimitError, match="outside 1 of its limits"):
        run("measure_policy", tables, replace(strict, responsibility=replace(limits, enforce=True)))
    # Without the limit it is served.
    loose = replace(strict, responsibility=replace(limits, limits={}))
    assert run("measure_policy", tables, loose) == 0
    assert serving_policy(tables).policy_id == "bold"
    for name in ("region_assignments", "user_assignments", "policies", "policy_measures", "evaluations"):
        tables.delete(name, "policy_id = 'bold'")


def test_artworks_that_mislead_are_withheld(assigned, spark):
    """A0's takes are always abandoned, from the learning days on; what happens in the test days has no say."""
    tables, settings, _, _ = assigned
    limits = replace(settings.responsibility, most_abandonment=2.0)
    settings = replace(settings, responsibility=limits, time=replace(settings.time, t0=T0, t1=T1, end=END))
    artworks = [(row[0], row[1], 1) for row in ARTWORKS]
    before = tables.read("decisions")
    early = (F.col("epoch") < F.lit(T1)) & (F.col("artwork_id") == "A0")
    late = (F.col("epoch") >= F.lit(T1)) & (F.col("artwork_id") == "B0")
    changed = before.withColumn("abandoned", F.when(F.col("take") == 1, early | late | (F.rand(3) < 0.1)))
    elsewhere = Tables(spark, f"{tables.root}-misleading")
    elsewhere.overwrite("decisions", changed)
    assert limits_for(elsewhere, settings, artworks).withheld == ("A0",)


def maintained(tables, table):
    """A commit that changes no row, as upkeep makes them."""
    before = tables.version(table)
    tables.spark.sql(f"ALTER TABLE {tables.name(table)} SET TBLPROPERTIES ('keyart.maintained' = '1')")
    assert tables.version(table) == before + 1


@pytest.fixture(scope="module")
def published(assigned, spark, tmp_path_factory):
    """The world's policy in a root of its own, with a member who opted out since, as a bundle."""
    tables, settings, members, _ = assigned
    root = tmp_path_factory.mktemp("published") / "tables"
    elsewhere = Tables(spark, str(root))
    for name in ("policies", "region_assignments", "user_assignments", "titles"):
        elsewhere.overwrite(name, tables.read(name))
    look = F.array(*((F.hash("artwork_id", F.lit(i)) % 1000).cast("double") for i in range(3)))
    elsewhere.overwrite("artworks", tables.read("artworks").withColumn("features", look))
    out = elsewhere.read("user_assignments").orderBy("user_key").first()
    said = {"user_key": out["user_key"], "user_bucket": out["user_bucket"], "opted_out": True}
    elsewhere.overwrite("opt_outs", frame(spark, "opt_outs", [said | {"said_at": datetime(2026, 1, 20, tzinfo=UTC)}]))
    picture = {"image_hash": "", "mime": "image/png", "content": b"\x89PNG\r\n\x1a\n full", "preview": b"\xff\xd8\xff"}
    elsewhere.overwrite("images", frame(spark, "images", [picture]))
    settings = replace(settings, tables=str(root), publish=replace(settings.publish, shards=5))
    assert run("publish", elsewhere, settings) == 0
    return elsewhere, settings, members, out["user_key"]


def test_a_bundle_answers_as_the_tables_do(published):
    tables, settings, members, out = published
    bundle = PolicyBundle.open(pointed(bundles_folder(settings)), verify=True)
    own = {
        row["user_key"]: {
            t: Override(a, g, why)
            for t, a, g, why in zip(*(row[c] for c in ("title_ids", "artwork_ids", "gains", "reasons")), strict=True)
        }
        for row in tables.read("user_assignments").collect()
        if row["user_key"] != out
    }
    assert bundle.manifest.counts["members"] == len(own) > 100 and bundle.manifest.counts["images"] == 1
    assert bundle.manifest.counts["overrides"] == sum(len(one) for one in own.values())
    alone, levels = replace(resolver(tables), overrides=lambda user: own.get(user, {})), set()
    for user, member in members.items():
        for title in "ABCZ":
            asked = (user, title, member["region"] or "unknown")
            try:
                one = alone.resolve(*asked, epoch=T1, kids=member["kids"])
            except (LimitError, TableError) as error:
                with pytest.raises(type(error), match=str(error)):
                    bundle.resolver.resolve(*asked, epoch=T1, kids=member["kids"])
                continue
            levels.add(one.level)
            assert bundle.resolver.resolve(*asked, epoch=T1, kids=member["kids"]) == one
    assert levels == {"user", "region", "parent", "global"}
    assert not bundle.resolver.overrides(out)
    assert bundle.image(bundle.images["A0"]) == b"\xff\xd8\xff"  # the preview


def test_artworks_of_a_bundle_look_alike_where_their_features_do(published):
    tables, settings, _, _ = published
    bundle = PolicyBundle.open(pointed(bundles_folder(settings)), verify=True, most_alike=0.3)
    served = {one for shelf in bundle.resolver.shelves.values() for one in shelf.artwork_ids}
    rows = tables.read("artworks").where("active").select("artwork_id", "features").collect()
    features = {row["artwork_id"]: row["features"] for row in rows if row["artwork_id"] in served}
    values = np.array(list(features.values()))
    spread = values.std(axis=0)
    scaled = np.where(spread > 1e-9, (values - values.mean(axis=0)) / np.maximum(spread, 1e-9), 0.0)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    cosines = scaled @ scaled.T
    assert len(features) > 5 and (cosines > 0.3).sum() > len(features)  # others than an artwork with itself
    for one, row in zip(features, cosines, strict=True):
        for other, cosine in zip(features, row, strict=True):
            assert abs(cosine - 0.3) < 1e-5 or bundle.alike(one, other) is bool(cosine > 0.3)


def test_publishing_again_is_the_same_bytes_and_a_change_is_another_bundle(published, capsys):
    tables, settings, _, _ = published
    folder = bundles_folder(settings)
    first = pointed(folder)

    def content(path):
        return {str(one.relative_to(path)): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}

    before = content(first)
    maintained(tables, "user_assignments")
    assert run("publish", tables, settings) == 0 and "was there" in capsys.readouterr().out
    shard = first / "overrides/00003.arrow"
    shard.write_bytes(shard.read_bytes()[:-100])  # as if a disk had lost its end
    assert run("publish", tables, settings) == 0 and "written" in capsys.readouterr().out
    assert content(first) == before and pointed(folder) == first
    tables.delete("user_assignments", "user_bucket < 32")
    assert run("publish", tables, replace(settings, publish=replace(settings.publish, keep=1))) == 0
    second = pointed(folder)
    assert second != first and not first.exists() and f"{first}: removed" in capsys.readouterr().out
    opened = PolicyBundle.open(second, verify=True)
    assert opened.manifest.counts["members"] == tables.read("user_assignments").count() > 10


def test_what_the_service_logs_is_ingested_with_its_propensities(published, tmp_path):
    tables, settings, _, _ = published
    bundle = PolicyBundle.open(pointed(bundles_folder(settings)))
    moment = datetime(2026, 1, 21, 23, 50, tzinfo=UTC)
    exposures, log = Exposures(b"only-for-tests"), ExposureLog(tmp_path / "log", 10_000_000, 3600)
    served = {}
    for n in range(40):
        user, title = f"viewer-{n}", "AB"[n % 2]
        key, region = exposures.user_key(user), ["SE", "JP", "unknown"][n % 3]
        served[key] = bundle.resolver.resolve(key, title, region, epoch=moment.date())
        token = exposures.token(key, title, region, moment.date(), False, served[key])
        seen = [moment + timedelta(minutes=5), moment + timedelta(minutes=20)]  # before midnight and after
        log.write(exposures.line(token, user, at, {"device": "tv", "position": n}) for at in seen)
    log.close()
    settings = replace(settings, events=replace(settings.events, events=str(tmp_path / "log"), now="2026-02-20"))
    run("ingest_events", tables, settings)
    assert not tables.exists("quarantine")
    assert tables.read("impressions").count() == len(served)  # a token is one event, however often it was sent
    decisions = {row["user_key"]: row for row in tables.read("decisions").collect()}
    assert decisions.keys() == served.keys()
    for key, one in served.items():
        row = decisions[key]
        assert (row["artwork_id"], row["policy_id"], row["epoch"]) == (one.artwork_id, one.policy_id, moment.date())
        assert row["propensity"] == one.propensity and tuple(row["candidate_set"]) == one.candidate_set
        assert tuple(row["candidate_propensities"]) == one.probabilities
        # Draw and distribution can be recomputed from the row.
        again = bundle.resolver.resolve(key, row["title_id"], row["region"], epoch=row["epoch"])
        assert again == one


def test_a_candidate_becomes_champion_or_is_refused_and_a_rollback_brings_the_one_before_back(
    assigned, capsys, monkeypatch
):
    tables, settings, _, _ = assigned
    window = replace(settings.time, t0=T0, t1=T1, end=END)
    quick = replace(settings.evaluate, slices=(), pages=False, replicates=0)
    settings = replace(settings, time=window, promote=replace(settings.promote, margin=0.5), evaluate=quick)
    first, row = newest_policy(tables)
    # Test days that the model learned from judge nobody.
    early = replace(settings, time=replace(window, t1=T1 - timedelta(days=1)))
    assert run("promote", tables, early) == 1
    assert "learned from days before" in capsys.readouterr().out
    assert serving_policy(tables) == first  # nobody is champion: the newest
    with pytest.raises(ModelError, match="@champion"):  # training alone makes none
        Tracking(settings.tracking, settings.tables).load("response", "champion")
    assert run("promote", tables, settings) == 0
    said = capsys.readouterr().out
    assert "compared with an even draw" in said and "(comparison 2)" in said
    name = json.loads(row["models"])["response"]["name"]
    assert Tracking(settings.tracking, settings.tables).load("response", "champion").name == name
    # The figures are those of the evaluation.
    assert run("evaluate_policy", tables, settings) == 0
    known = tables.read("evaluations").where("estimator = 'dr' AND metric = 'reward' AND slice = '*'").collect()
    worth = {(r["target"], r["baseline"]): r["estimate"] for r in known}
    promoted = tables.read("promotions").where("action = 'promote'").first()
    expected = worth["served", "uniform"] - worth["uniform", "uniform"]
    assert promoted["difference"] == pytest.approx(expected, rel=1e-5)
    # A newer policy that is not proven no worse stays out, and the same question has the same answer.
    bold = replace(settings, assign=replace(settings.assign, policy_id="bold", minimum_gain=9.0))
    assert run("assign_artwork", tables, bold) == 0
    assert serving_policy(tables).policy_id == first.policy_id
    strict = replace(settings, promote=replace(settings.promote, margin=0.0))
    capsys.readouterr()
    assert run("promote", tables, strict) == 1
    refused = capsys.readouterr().out
    assert "bold refused" in refused and "difference: paired difference" in refused
    count = tables.read("promotions").count()
    maintained(tables, "decisions")
    assert run("promote", tables, strict) == 1
    assert capsys.readouterr().out == refused and tables.read("promotions").count() == count
    assert serving_policy(tables).policy_id == first.policy_id
    # With the margin it passes; then MLflow is down, and the champion before comes back all the same.
    assert run("promote", tables, settings) == 0
    assert serving_policy(tables).policy_id == "bold"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    down = replace(settings.tracking, uri="http://127.0.0.1:9")
    back = replace(settings, tracking=down, promote=replace(settings.promote, rollback=True))
    assert run("promote", tables, back) == 0
    said = capsys.readouterr().out
    assert f"{first.policy_id} is champion again, instead of bold" in said and "do not follow yet" in said
    assert serving_policy(tables).policy_id == first.policy_id
    with pytest.raises(ModelError, match="nothing to roll back to"):
        run("promote", tables, back)
    # One that names whom it ends may be asked for twice.
    assert run("promote", tables, replace(back, promote=replace(back.promote, policy_id="bold"))) == 0
    assert f"{first.policy_id} is champion again, instead of bold" in capsys.readouterr().out
    assert tables.read("promotions").where("action = 'rollback'").count() == 1
    # What was rolled back does not come back by itself.
    assert run("promote", tables, settings) == 1
    assert "was rolled back" in capsys.readouterr().out
    for table in WRITTEN:
        tables.delete(table, "policy_id = 'bold'")
    tables.delete("promotions", "true")


def seen_by(tables, policy_id):
    """What the policy shows each member of each title when it does not explore."""
    rows = choices(tables, tables.read("taste").where(F.col("as_of") == F.lit(T1)), policy_id).collect()
    return {(row["user_key"], row["title_id"]): row["user_artwork"] for row in rows}


def test_members_keep_what_they_saw_until_their_border(assigned):
    tables, settings, members, _ = assigned
    first, _ = newest_policy(tables)
    fresh = seen_by(tables, first.policy_id)
    gains = {
        (row["user_key"], title): gain
        for row in tables.read("user_assignments").where(F.col("policy_id") == first.policy_id).collect()
        for title, gain in zip(row["title_ids"], row["gains"], strict=True)
    }

    def assign(**changes):
        assert run("assign_artwork", tables, replace(settings, assign=replace(settings.assign, **changes))) == 0
        return newest_policy(tables, changes.get("policy_id", ""))

    assign(policy_id="stay-0", minimum_gain=9.0)  # defaults only, two days before
    dated = F.regexp_replace("spec", str(T1), str(T1 - timedelta(days=2)))
    spec = F.when(F.col("policy_id") == "stay-0", dated).otherwise(F.col("spec"))
    tables.overwrite("policies", tables.read("policies").withColumn("spec", spec))
    most = float(np.median(list(gains.values())))
    stay = {"stay_days": 4, "stay_gain": most, "floor": 0.02, "cold_exploration": 0.3, "budget": 0.2}
    held, row = assign(**stay)
    assert (held.stay_days, held.floor.least, row["parent_policy_id"]) == (4, 0.02, "stay-0")
    assert set(held.floor.cold) == {"A", "B"} and held.floor.cold["B"] > held.floor.cold["A"]  # B has a new artwork
    assert any("stays 4 days" in limit for limit in held.limits)
    before, now = seen_by(tables, "stay-0"), seen_by(tables, held.policy_id)
    waits = dict(zip(members, same_period(held.salt, list(members), T1 - timedelta(days=2), T1, 4), strict=True))
    kept = 0
    for (user, title), artwork in now.items():
        stays = waits[user] and gains.get((user, title), 0.0) <= most
        kept += stays and before[user, title] != fresh[user, title]
        assert artwork == (before if stays else fresh)[user, title]
    assert 20 < kept < len(gains) / 2
    count = tables.read("policies").count()
    assert assign(**stay) == (held, row) and tables.read("policies").count() == count  # made again, it is the same
    # A policy of the same day that would show defaults again has to wait with everyone.
    _, row = assign(policy_id="stay-2", minimum_gain=9.0, **stay)
    assert row["parent_policy_id"] == held.policy_id
    assert seen_by(tables, "stay-2") == now
    # Where one was promoted, members saw that one, whatever was made since.
    promoted = {"promotion_id": "p", "number": 1, "action": "promote", "policy_id": "stay-0", "checks": "[]"}
    tables.overwrite(
        "promotions", frame(tables.spark, "promotions", [promoted | {"at": datetime(2026, 1, 20, tzinfo=UTC)}])
    )
    assert policy_before(tables, "another", "other inputs", T1).policy_id == "stay-0"
    assert policy_before(tables, "stay-0", "other inputs", T1).policy_id == "stay-2"
    tables.delete("promotions", "true")

    # Spark answers as the resolver does, on either surface.
    rows = [
        (user, title, members[user]["region"], "*", T1 + timedelta(days=day), members[user]["kids"], surface)
        for user in list(members)[:40]
        for title in "AB"
        for day in range(0, 9, 2)
        for surface in ("home", "continue_watching", None)
    ]
    names = "user_key string, title_id string, region string, context string, epoch date, kids boolean, surface string"
    alone = resolver(tables, held.policy_id)
    lookup = {user: alone.overrides(user) for user in {row[0] for row in rows}}
    alone = replace(alone, overrides=lookup.__getitem__)
    served = {}
    for row in resolved(tables.spark.createDataFrame(rows, names), tables, held.policy_id).collect():
        asked = (row["user_key"], row["title_id"], row["region"] or "unknown", row["context"])
        surface = row["surface"] or ""
        one = alone.resolve(*asked, epoch=row["epoch"], kids=row["kids"], surface=surface)
        assert (row["artwork_id"], row["propensity"]) == (one.artwork_id, one.propensity)
        assert tuple(row["candidate_propensities"]) == one.probabilities and min(one.probabilities) >= 0.02
        served.setdefault((surface, *asked), set()).add(one.artwork_id)
    assert all(len(found) == 1 for (surface, *_), found in served.items() if surface == "continue_watching")
    assert any(len(found) > 1 for (surface, *_), found in served.items() if surface == "home")

    # Evaluation recomputes what was served from the same floor.
    judged = replace(settings, time=replace(settings.time, t0=T0, t1=T1, end=END))
    quick = replace(judged.evaluate, policy_id=held.policy_id, slices=(), pages=False, replicates=0)
    assert run("evaluate_policy", tables, replace(judged, evaluate=quick)) == 0
    for name in (*WRITTEN, "evaluations"):
        tables.delete(name, f"policy_id LIKE 'stay-%' OR policy_id = '{held.policy_id}'")


def test_missing_pieces_are_named(tables, tmp_path):
    settings = load(None, [f"tables={tables.root}"])
    with pytest.raises(ModelError, match="run the job that trains it"):
        run("assign_artwork", tables, settings)
    with pytest.raises((ModelError, TableError), match="assign-artwork"):
        run("evaluate_policy", tables, settings)
