"""Segments of like taste from assign-artwork to every place that answers: in test_policy's world."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient
from policy_world import (
    ASKED,
    CELLS,
    END,
    GENRES,
    T0,
    T1,
    TITLES,
    centres_of,
    frame,
    made_world,
    newest_of,
    own_of,
    run,
    scores_of,
)  # fmt: skip
from pyspark.sql import functions as F
from scipy.stats import chisquare

from keyart.errors import LimitError, TableError
from keyart.evaluation.spark import evaluate
from keyart.learning.members import member_vectors, standardised
from keyart.policy.levels import segment_cell
from keyart.policy.resolve import OwnChoices, segment_of
from keyart.policy.resolve_spark import resolved
from keyart.policy.spark import choices, newest_policy, resolver
from keyart.policy.staying import same_period
from keyart.schemas import TABLES
from keyart.serving.live import Live
from keyart.serving.policy_bundle import PolicyBundle, bundles_folder, pointed
from keyart.serving.service import Service, application
from keyart.tracking import Tracking

pytestmark = pytest.mark.spark

CELL_OF = {"SE": 2, "NO": 1, "JP": 3, None: 0}
WRITTEN = ("region_assignments", "user_assignments", "policy_segments", "policies")


@pytest.fixture(scope="module")
def parted(spark, tmp_path_factory):
    """A policy of up to four segments, and a member who refused before it was assigned."""
    root = tmp_path_factory.mktemp("segments") / "tables"
    tables, settings, members, model = made_world(spark, root, "assign.segments=4")
    first = next(user for user, row in members.items() if not row["kids"] and row["history"] > 0)
    said = {"user_key": first, "user_bucket": members[first]["user_bucket"], "opted_out": True}
    said["said_at"] = datetime(2026, 1, 1, tzinfo=UTC)
    tables.overwrite("opt_outs", frame(tables.spark, "opt_outs", [said]))
    assert run("assign_artwork", tables, settings) == 0
    return tables, settings, members, model, first


def shown_by_loop(model, cell, centre, minimum):
    """A segment's default of each title where it leaves its cell's."""
    level, own = scores_of(model, cell, np.zeros(4)), scores_of(model, cell, centre)
    usual = {title: max(active, key=level.__getitem__) for title, active in TITLES.items()}
    best = {title: max(active, key=own.__getitem__) for title, active in TITLES.items()}
    leaves = {t for t in TITLES if best[t] != usual[t] and own[best[t]] - own[usual[t]] >= minimum}
    return {title: best[title] if title in leaves else usual[title] for title in TITLES}, leaves


def test_segments_are_described_and_their_members_are_those_nearest(parted):
    tables, _, members, model, refused = parted
    policy, _ = newest_policy(tables)
    rows = tables.read("policy_segments").orderBy("segment").collect()
    assert [row["segment"] for row in rows] == ["taste-1", "taste-2", "taste-3", "taste-4"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert [row["share"] for row in rows] == sorted((row["share"] for row in rows), reverse=True)
    assert policy.segments == {row["segment"]: row["description"] for row in rows}
    assert any(f"watches more {genre} than most" in row["description"] for row in rows for genre in GENRES)
    assert any("likes " in row["description"] for row in rows)
    found, centres = newest_of(tables, policy.policy_id), centres_of(tables)
    spread, weights = model.arrays["features"].std(axis=0), model.arrays["weights"]
    for user, member in members.items():
        if member["kids"] or user == refused:
            assert user not in found
            continue
        if not member["history"]:
            assert user not in found or found[user]["segment"] is None
            continue
        vector = member_vectors(np.array([member["factors"]], "f4"), np.array([member["genre_mix"]], "f4"), np.ones(1))
        own = standardised(model.arrays, vector)[0]
        gaps = {name: np.sum((((own - c) @ weights) * spread) ** 2) for name, c in centres.items()}
        assert found[user]["segment"] == min(gaps, key=gaps.__getitem__)
    sizes = Counter(row["segment"] for row in found.values() if row["segment"])
    assert set(sizes) == set(centres) and min(sizes.values()) >= 50  # privacy.smallest_cell


def test_segment_rows_are_distributions_where_the_default_differs(parted):
    tables, settings, _, model, _ = parted
    rows = tables.read("region_assignments").where("level = 'segment'").toPandas()
    levels = tables.read("region_assignments").where("level != 'segment'").toPandas()
    assert set(zip(levels["level"], levels["cell"], strict=True)) == {(c["level"], c["cell"]) for c in CELLS}
    seen = 0
    for c, cell in enumerate(CELLS):
        for name, centre in centres_of(tables).items():
            shown, leaves = shown_by_loop(model, c, centre, settings.assign.minimum_gain)
            mine = rows[rows["cell"] == segment_cell(cell["level"], cell["cell"], name)]
            assert set(mine["title_id"]) == leaves
            scores = scores_of(model, c, centre)
            for title in leaves:
                seen += 1
                one = mine[mine["title_id"] == title].set_index("artwork_id").loc[TITLES[title]]
                np.testing.assert_allclose(one["mean"], [scores[a] for a in TITLES[title]], rtol=1e-6, atol=1e-9)
                best = np.array(TITLES[title]) == shown[title]
                np.testing.assert_array_equal(one["is_default"], best)
                np.testing.assert_allclose(one["probability"], 0.05 / 4 + 0.95 * best)
    assert seen > 8 and len(rows) == 4 * seen


def test_overrides_are_of_the_segments_default_and_fewer(parted):
    tables, settings, members, model, refused = parted
    policy, _ = newest_policy(tables)
    centres, rows = centres_of(tables), newest_of(tables, policy.policy_id)
    minimum, alone = settings.assign.minimum_gain, 0
    expected = {}
    for user, member in members.items():
        if member["kids"] or user == refused:
            continue
        c = CELL_OF[member["region"]]
        vector = member_vectors(np.array([member["factors"]], "f4"), np.array([member["genre_mix"]], "f4"), np.ones(1))
        own = scores_of(model, c, standardised(model.arrays, vector)[0])
        segment = rows[user]["segment"] if user in rows else None
        shown, _ = shown_by_loop(model, c, centres[segment] if segment else np.zeros(4), minimum)
        usual, _ = shown_by_loop(model, c, np.zeros(4), minimum)
        for title, active in TITLES.items():
            best = max(active, key=own.__getitem__)
            alone += best != usual[title] and own[best] - own[usual[title]] >= minimum
            if best != shown[title] and own[best] - own[shown[title]] >= minimum:
                expected[user, title] = (best, own[best] - own[shown[title]])
    found = {
        (user, title): (artwork, gain)
        for user, row in rows.items()
        for title, artwork, gain in zip(row["title_ids"], row["artwork_ids"], row["gains"], strict=True)
    }
    assert {key: value[0] for key, value in found.items()} == {key: value[0] for key, value in expected.items()}
    np.testing.assert_allclose([found[k][1] for k in expected], [expected[k][1] for k in expected], rtol=1e-4)
    assert len(found) < 0.75 * alone  # what members would have without segments
    assert sum(not row["title_ids"] for row in rows.values()) > 50  # in a segment all the same


def test_a_member_without_an_override_gets_their_segments_default_in_python_and_spark_alike(parted):
    tables, settings, members, model, refused = parted
    policy, _ = newest_policy(tables)
    rows = [
        (user, title, members[user]["region"], "*", T1 + timedelta(days=day), members[user]["kids"])
        for user in members
        for title in "ABCZ"
        for day in range(3)
    ]
    own = own_of(tables, policy.policy_id)
    alone = replace(resolver(tables), overrides=lambda user: own.get(user, {}))
    user = next(iter(own))
    assert dict(alone.overrides(user)) == own[user] and resolver(tables).overrides(user).segment == own[user].segment
    levels, centres = Counter(), centres_of(tables)
    for row in resolved(tables.spark.createDataFrame(rows, ASKED), tables).collect():
        user, title = row["user_key"], row["title_id"]
        try:
            one = alone.resolve(
                user, title, row["region"] or "unknown", row["context"], epoch=row["epoch"], kids=row["kids"]
            )
        except (LimitError, TableError) as error:
            assert row["refusal"] == str(error)
            continue
        assert (row["artwork_id"], row["level"], row["propensity"]) == (one.artwork_id, one.level, one.propensity)
        assert tuple(row["candidate_propensities"]) == one.probabilities
        assert (row["segment"] or "") == one.segment == ("" if row["kids"] else segment_of(own.get(user, {})))
        levels[row["level"]] += 1
        if one.level == "segment":
            c, segment = CELL_OF[row["region"]], own[user].segment
            assert not row["kids"] and user != refused and title not in own[user]
            assert one.cell == segment_cell(CELLS[c]["level"], CELLS[c]["cell"], segment)
            default = shown_by_loop(model, c, centres[segment], settings.assign.minimum_gain)[0][title]
            assert one.candidate_set[int(np.argmax(one.probabilities))] == default
    assert set(levels) == {"user", "segment", "region", "parent", "global"} and levels["segment"] > 300


def test_draws_at_segment_level_have_the_propensities_that_are_logged(parted):
    """A distribution of more than two values: Thompson sampling's."""
    tables, settings, _, _, _ = parted
    drawn = replace(settings.assign, policy_id="drawn", explore="thompson", draws=32, floor=0.02)
    assert run("assign_artwork", tables, replace(settings, assign=drawn)) == 0
    own = own_of(tables, "drawn")
    alone = replace(resolver(tables, "drawn"), overrides=lambda user: OwnChoices({}, own[user].segment))
    told = tables.read("region_assignments").where("policy_id = 'drawn' AND level = 'segment'").toPandas()
    tried = 0
    for (cell, title), rows in told.groupby(["cell", "title_id"]):
        users = [u for u, o in own.items() if o.segment == cell.split("/")[-1]]
        region = {"SE": "SE", "JP": "JP", "nordics": "NO"}.get(cell.split("/")[0], "unknown")
        asked = [(user, T1 + timedelta(days=day)) for user in users for day in range(9)]
        served = Counter(alone.resolve(user, title, region, epoch=day).artwork_id for user, day in asked)
        rows = rows.set_index("artwork_id")["probability"]
        offer = alone.offer(title, region, epoch=T1, segment=cell.split("/")[-1])
        assert offer.level == "segment" and offer.cell == cell
        np.testing.assert_allclose(offer.probabilities, rows.loc[list(offer.artwork_ids)], atol=1e-12)
        n, expected = sum(served.values()), rows[rows > 0]
        assert set(served) <= set(expected.index)
        assert chisquare([served[a] for a in expected.index], expected * n).pvalue > 1e-4
        tried += 1
    assert tried > 8
    for name in WRITTEN:
        tables.delete(name, "policy_id = 'drawn'")


def test_what_is_banned_in_a_region_is_no_segments_there(parted):
    tables, settings, _, _, _ = parted
    policy, _ = newest_policy(tables)
    rows = tables.read("region_assignments").where("level = 'segment' AND is_default").collect()
    one = next(row for row in rows if row["cell"].startswith("SE/"))
    banned, title, segment = one["artwork_id"], one["title_id"], one["cell"].split("/")[-1]
    before = tables.read("artworks")
    told = F.when(F.col("artwork_id") == banned, F.array(F.lit("SE"))).otherwise(F.col("excluded_regions"))
    kept = before.collect()
    tables.overwrite("artworks", before.withColumn("excluded_regions", told))
    users = [u for u, row in newest_of(tables, policy.policy_id).items() if row["segment"] == segment]
    # The policy that was written before goes by what holds now, at once.
    alone = resolver(tables, policy.policy_id)
    offer = alone.offer(title, "SE", epoch=T1, segment=segment)
    assert banned not in offer.artwork_ids and sum(offer.probabilities) == pytest.approx(1)
    assert run("assign_artwork", tables, replace(settings, assign=replace(settings.assign, policy_id="held"))) == 0
    there = tables.read("region_assignments").where(f"policy_id = 'held' AND artwork_id = '{banned}'").toPandas()
    assert not there["cell"].str.startswith("SE").any() and there["cell"].str.contains("/").any()
    own = own_of(tables, "held")
    alone = replace(resolver(tables, "held"), overrides=lambda user: own.get(user, {}))
    for user in users:
        assert alone.resolve(user, title, "SE", epoch=T1).artwork_id != banned
    assert any(alone.resolve(user, title, "JP", epoch=T1).artwork_id == banned for user in users)
    tables.overwrite("artworks", tables.spark.createDataFrame(kept, before.schema))
    for name in WRITTEN:
        tables.delete(name, "policy_id = 'held'")


def test_assigning_twice_changes_nothing_and_none_asked_is_none(parted):
    tables, settings, _, _, _ = parted
    assert run("assign_artwork", tables, settings) == 0  # other tests wrote artworks anew since
    before = {name: tables.read(name).orderBy(*TABLES[name].key).collect() for name in WRITTEN}
    assert run("assign_artwork", tables, settings) == 0
    for name in WRITTEN:
        assert tables.read(name).orderBy(*TABLES[name].key).collect() == before[name], name
    none = replace(settings.assign, segments=0, policy_id="none")
    assert run("assign_artwork", tables, replace(settings, assign=none)) == 0
    assert not newest_policy(tables, "none")[0].segments
    assert tables.read("policy_segments").where("policy_id = 'none'").isEmpty()
    assert tables.read("region_assignments").where("policy_id = 'none' AND level = 'segment'").isEmpty()
    assert tables.read("user_assignments").where("policy_id = 'none' AND segment IS NOT NULL").isEmpty()
    for name in WRITTEN:
        tables.delete(name, "policy_id = 'none'")


def test_members_keep_their_segments_artwork_until_their_border(parted):
    """What was seen before includes what the segment of then showed."""
    tables, settings, members, _, _ = parted
    first, _ = newest_policy(tables)
    members_there = tables.read("taste").where((F.col("taste_version") == "taste-1") & (F.col("as_of") == F.lit(T1)))

    def seen(policy_id):
        rows = choices(tables, members_there, policy_id).collect()
        return {(row["user_key"], row["title_id"]): row["user_artwork"] for row in rows}

    dated = F.regexp_replace("spec", str(T1), str(T1 - timedelta(days=2)))
    kept = tables.read("policies").collect()
    tables.overwrite("policies", tables.read("policies").withColumn("spec", dated))
    later = replace(settings.assign, policy_id="later", segments=0, stay_days=4, stay_gain=9.0, minimum_gain=9.0)
    assert run("assign_artwork", tables, replace(settings, assign=later)) == 0
    before, now = seen(first.policy_id), seen("later")
    salt = settings.assign.salt
    waits = dict(zip(members, same_period(salt, list(members), T1 - timedelta(days=2), T1, 4), strict=True))
    own = own_of(tables, first.policy_id)
    stayed = 0
    for (user, title), artwork in before.items():
        if waits[user] and not members[user]["kids"] and user in own:
            assert now[user, title] == artwork
            stayed += title not in own[user]
    assert stayed > 100
    tables.overwrite("policies", tables.spark.createDataFrame(kept, TABLES["policies"].schema))
    for name in WRITTEN:
        tables.delete(name, "policy_id = 'later'")


def test_evaluation_replays_what_resolve_answers(parted):
    """By hand from the tables: members without an override count for their segment's default."""
    tables, settings, _, _, _ = parted
    policy, _ = newest_policy(tables)
    window = replace(settings.time, t0=T0, t1=T1, end=END)
    judged = replace(settings, time=window, evaluate=replace(settings.evaluate, slices=(), replicates=0))
    long = evaluate(tables, Tracking(settings.tracking, settings.tables), judged)
    short = replace(judged, evaluate=replace(judged.evaluate, pages=False))
    rows = evaluate(tables, Tracking(settings.tracking, settings.tables), short)
    whole = {(r["target"], r["estimator"]): r for r in rows if (r["metric"], r["baseline"]) == ("take", "uniform")}
    for row in long:
        if (row["metric"], row["baseline"]) == ("take", "uniform"):
            assert row["estimate"] == pytest.approx(whole[row["target"], row["estimator"]]["estimate"], rel=1e-6)
    log = tables.read("decisions").where(f"epoch >= '{T1}' AND NOT already_started AND take IS NOT NULL")
    who = log.select("user_key", "region", "kids").dropDuplicates(["user_key"])
    log = log.join(choices(tables, who), on=["user_key", "title_id"], how="inner").toPandas()
    # B-new was never logged: decisions in which a level would have shown it are left out.
    levels_of = ["global_artwork", "region_artwork", "segment_artwork", "user_artwork"]
    log = log[(log[levels_of] != "B-new").all(axis=1)]
    own = own_of(tables, policy.policy_id)
    alone = replace(resolver(tables), overrides=lambda user: own.get(user, {}))
    standing, levels, drawn = [], Counter(), []
    for row in log.itertuples():
        offer = alone.offered(row.user_key, row.title_id, row.region, epoch=T1, kids=row.kids)
        best = offer.artwork_ids[int(np.argmax(offer.probabilities))]
        standing.append(best == row.user_artwork)
        levels[offer.level] += 1
        chances = dict(zip(offer.artwork_ids, offer.probabilities, strict=True))
        # A draw among artworks of which the log lacks a newer one is judged by the others.
        drawn.append(chances.get(row.artwork_id, 0.0) / sum(chances.get(one, 0.0) for one in row.candidate_set))
    assert all(standing) and levels["segment"] > 500
    changed = (log["segment_artwork"] != log["region_artwork"]).to_numpy()
    assert changed.any() and not log["kids"].to_numpy()[changed].any()
    for target, weights in (
        ("user", (log["artwork_id"] == log["user_artwork"]) / log["propensity"]),
        ("segment", (log["artwork_id"] == log["segment_artwork"]) / log["propensity"]),
        ("region", (log["artwork_id"] == log["region_artwork"]) / log["propensity"]),
        ("served", np.array(drawn) / log["propensity"]),
    ):
        assert whole[target, "snips"]["estimate"] == pytest.approx((weights * log["take"]).sum() / weights.sum())
    of = {target: whole[target, "dr"]["estimate"] for target in ("user", "segment", "region", "uniform")}
    assert of["user"] > of["region"] > of["uniform"] and of["segment"] > of["region"]
    pairs = {(row["target"], row["baseline"]) for row in rows}
    assert {("segment", "region"), ("user", "segment")} <= pairs


def test_a_policy_is_measured_with_its_segments(parted):
    tables, settings, _, _, _ = parted
    settings = replace(settings, time=replace(settings.time, t0=T0, t1=T1, end=END))
    assert run("measure_policy", tables, settings) == 0
    rows = tables.read("policy_measures").where("segment = '*' AND behaviour IN ('user', 'region')").toPandas()
    rows = rows.set_index(["behaviour", "measure"])["value"].to_dict()
    log = tables.read("decisions").where(f"epoch >= '{T1}' AND take IS NOT NULL")
    who = log.select("user_key", "region", "kids").dropDuplicates(["user_key"])
    log = log.join(choices(tables, who), on=["user_key", "title_id"], how="inner").toPandas()
    for behaviour in ("user", "region"):
        pairs = zip(log[f"{behaviour}_artwork"], log["candidate_set"], strict=True)
        there = np.array([choice in among for choice, among in pairs])
        weight = np.where(there, log["artwork_id"] == log[f"{behaviour}_artwork"], 0.25) / log["propensity"]
        assert rows[behaviour, "take_fraction"] == pytest.approx((weight * log["take"]).sum() / weight.sum())


def test_a_bundle_answers_at_segment_level_as_the_tables_do(parted, tmp_path):
    tables, settings, members, _, refused = parted
    policy, _ = newest_policy(tables)
    settings = replace(settings, publish=replace(settings.publish, folder=str(tmp_path), shards=3, images="none"))
    assert run("publish", tables, settings) == 0
    opened = PolicyBundle.open(pointed(bundles_folder(settings)), verify=True)
    bundle, own = opened.resolver, own_of(tables, policy.policy_id)
    assert bundle.policy.segments == policy.segments and opened.manifest.counts["members"] == len(own)
    alone, levels = replace(resolver(tables), overrides=lambda user: own.get(user, {})), Counter()
    for user, member in members.items():
        assert segment_of(bundle.overrides(user)) == segment_of(own.get(user, {}))
        for title in "AB":
            asked = (user, title, member["region"] or "unknown")
            one = alone.resolve(*asked, epoch=T1, kids=member["kids"])
            assert bundle.resolve(*asked, epoch=T1, kids=member["kids"]) == one
            levels[one.level] += 1
            assert one.level != "segment" or not (member["kids"] or user == refused)
    assert levels["segment"] > 100 and set(levels) == {"user", "segment", "region", "parent", "global"}
    # Over HTTP: a member's id, a kids' profile, and one who said no in the question itself.
    user, title = next((u, t) for u, o in own.items() for t in "AB" if o.segment and alone.offered(
        u, t, members[u]["region"] or "unknown", epoch=T1).level == "segment")  # fmt: skip
    question = {"user_key": user, "title_id": title, "region": members[user]["region"] or "unknown"}
    client = TestClient(application(Service(Live(opened.folder, PolicyBundle.open))))
    said = client.post("/v1/artwork", json=question).json()
    assert (said["level"], said["segment"]) == ("segment", own[user].segment)
    assert said["propensity"] == pytest.approx(
        dict(zip(said["candidate_set"], said["candidate_propensities"], strict=True))[said["artwork_id"]]
    )
    for more in ({"kids": True}, {"opted_out": True}):
        plain = client.post("/v1/artwork", json=question | more).json()
        assert plain["level"] in ("region", "parent", "global") and plain["segment"] is None


def test_a_segments_choice_is_explained(parted, tmp_path, capsys):
    tables, settings, members, _, _ = parted
    policy, _ = newest_policy(tables)
    own, alone = own_of(tables, policy.policy_id), resolver(tables)
    user, title = next((u, t) for u, o in own.items() for t in "AB" if members[u]["region"] == "SE" and t not in o
                       and alone.offer(t, "SE", epoch=T1, segment=o.segment).level == "segment")  # fmt: skip
    asked = replace(settings.explain, user=user, title=title, out=str(tmp_path / "choice.html"))
    assert run("explain", tables, replace(settings, explain=asked)) == 0
    said = capsys.readouterr().out
    segment = own[user].segment
    assert "level segment" in said and "members of SE whose taste is like this member's" in said
    assert f"({segment}: {policy.segments[segment]})" in said and "to SE" in said
    assert "Viewers whose taste is like yours" in said or "A picture" in said or "One of several" in said
