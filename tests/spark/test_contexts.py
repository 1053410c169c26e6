"""Defaults by device and part of the day, from assign-artwork to every place that answers: in test_policy's world."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from policy_world import ASKED, CELLS, END, T0, T1, TITLES, centres_of, made_world, own_of, run, scores_of
from pyspark.sql import functions as F

from keyart.evaluation.spark import evaluate
from keyart.learning.contexts import Contexts
from keyart.learning.decisions_spark import contexts_of as contexts_of_log
from keyart.learning.decisions_spark import with_vectors
from keyart.policy.assign_spark import region_assignments
from keyart.policy.contexts import OF_STREAM, context_cell, moved
from keyart.policy.levels import segment_cell
from keyart.policy.planning_spark import contexts_of, plan_assignment
from keyart.policy.resolve_spark import resolved
from keyart.policy.spark import newest_policy, resolver
from keyart.report.choice_spark import explain_choice
from keyart.schemas import TABLES
from keyart.serving.policy_bundle import PolicyBundle, bundles_folder, pointed
from keyart.tracking import ModelArrays, Tracking

pytestmark = pytest.mark.spark

DEVICES, PARTS = ("phone", "tv"), ("evening", "morning")
PAIRS = [(device, part) for device in (*DEVICES, None) for part in (*PARTS, None)]
CONTEXTS = {context_cell(*pair): pair for pair in PAIRS}
WEIGHTS = np.array([[0.25, 0.1], [-0.2, -0.1], [0.1, -0.2], [-0.15, 0.3]])


def pull_of(device, part):
    """(D,) by hand."""
    found = WEIGHTS[DEVICES.index(device)] if device else np.zeros(2)
    return found + (WEIGHTS[len(DEVICES) + PARTS.index(part)] if part else 0)


@pytest.fixture(scope="module")
def placed(spark, tmp_path_factory):
    """A policy of a model in which devices and parts differ, on a log of two devices in two parts of the day."""
    root = tmp_path_factory.mktemp("contexts") / "tables"
    tables, settings, members, model = made_world(spark, root, "assign.segments=2", "evaluate.folds=0")
    arrays = {"context_weights": WEIGHTS, "context_features_sd": np.full((4, 3), 0.05)}
    about = {"devices": list(DEVICES), "day_parts": list(PARTS)}
    model = ModelArrays("response", model.arrays | arrays, model.about | about)
    with Tracking(settings.tracking, str(root)).run("train", {}):
        Tracking(settings.tracking, str(root)).register("response", model, np.zeros((1, 5)), np.zeros((1, 9)))
    some = {"device": ("phone", "tv", "console"), "day_part": PARTS}
    log = tables.read("decisions")
    for column, values in some.items():
        place = F.pmod(F.xxhash64("decision_id", F.lit(column)), F.lit(len(values))).cast("int") + 1
        log = log.withColumn(column, F.element_at(F.array(*map(F.lit, values)), place))
    tables.overwrite("decisions", spark.createDataFrame(log.collect(), log.schema))
    assert run("assign_artwork", tables, settings) == 0
    return tables, settings, members, model


def scores_in(model, cell, leaning):
    """By plain loops: level plus what the leaning adds; what the model does not know is average."""
    level = scores_of(model, cell, np.zeros(4))
    ids = model.about["artwork_ids"]
    return {a: s + (model.arrays["features"][ids.index(a)] @ leaning if a in ids else 0) for a, s in level.items()}


def default_of(scores, usual, active, minimum):
    best = max(active, key=scores.__getitem__)
    return best if best != usual and scores[best] - scores[usual] >= minimum else usual


def test_rows_stand_where_a_context_alone_or_with_a_segment_leaves_the_default(placed):
    tables, settings, _, model = placed
    rows = tables.read("region_assignments").where("context != '*'").toPandas()
    centres, weights, minimum = centres_of(tables), model.arrays["weights"], settings.assign.minimum_gain
    tastes = {"": np.zeros(2)} | {name: centre @ weights for name, centre in centres.items()}
    seen = Counter()
    for c, cell in enumerate(CELLS):
        everywhere = scores_in(model, c, np.zeros(2))
        for context, pair in CONTEXTS.items():
            for segment, taste in tastes.items():
                if context == "*":
                    continue
                name = segment_cell(cell["level"], cell["cell"], segment) if segment else cell["cell"]
                level = "segment" if segment else cell["level"]
                mine = rows[(rows["level"] == level) & (rows["cell"] == name) & (rows["context"] == context)]
                both = scores_in(model, c, taste + pull_of(*pair))
                for title, active in TITLES.items():
                    usual = max(active, key=everywhere.__getitem__)
                    ways = [both, scores_in(model, c, pull_of(*pair)), scores_in(model, c, taste)]
                    differs = any(default_of(way, usual, active, minimum) != usual for way in ways)
                    one = mine[mine["title_id"] == title].set_index("artwork_id")
                    assert len(one) == (len(active) if differs else 0)
                    if differs:
                        one = one.loc[active]
                        np.testing.assert_allclose(one["mean"], [both[a] for a in active], rtol=1e-6, atol=1e-9)
                        best = np.array(active) == max(active, key=both.__getitem__)
                        np.testing.assert_array_equal(one["is_default"], best)
                        np.testing.assert_allclose(one["probability"], 0.05 / 4 + 0.95 * best)
                        seen[bool(segment)] += 1
    assert seen[False] > 20 and seen[True] > 40 and len(rows) == 4 * sum(seen.values())


def test_answers_in_a_context_are_the_same_in_python_spark_and_a_bundle(placed, tmp_path):
    tables, settings, members, _ = placed
    policy, row = newest_policy(tables)
    assert '"contexts": ["phone|evening", "phone|morning", "phone|*", "tv|evening"' in row["models"]
    contexts = ["*", "tv|evening", "phone|morning", "phone|*", "*|evening", "console|evening"]
    asked = [
        (user, title, members[user]["region"], contexts[(i + t) % len(contexts)], T1, members[user]["kids"])
        for i, user in enumerate(members)
        for t, title in enumerate("AB")
    ]
    own = own_of(tables, policy.policy_id)
    alone = replace(resolver(tables), overrides=lambda user: own.get(user, {}))
    settings = replace(settings, publish=replace(settings.publish, folder=str(tmp_path), shards=2, images="none"))
    assert run("publish", tables, settings) == 0
    bundle = PolicyBundle.open(pointed(bundles_folder(settings)), verify=True).resolver
    answers, changed = {}, Counter()
    for user, title, region, context, day, kids in asked:
        question = (user, title, region or "unknown")
        one = alone.resolve(*question, context, epoch=day, kids=kids)
        assert bundle.resolve(*question, context, epoch=day, kids=kids) == one
        answers[user, title] = one
        offer = alone.offered(*question, context, epoch=day, kids=kids)
        usual = alone.offered(*question, epoch=day, kids=kids)
        changed[one.level] += np.argmax(offer.probabilities) != np.argmax(usual.probabilities)
        assert context != "console|evening" or offer == usual  # a device that the model does not know
        assert offer.level != "user" or offer.artwork_ids[int(np.argmax(offer.probabilities))] == own[user][title][0]
    assert changed["user"] == 0 and all(changed[level] > 5 for level in ("segment", "region", "parent", "global"))
    frame = tables.spark.createDataFrame(asked, ASKED)
    for row in resolved(frame, tables).collect():
        one = answers[row["user_key"], row["title_id"]]
        assert (row["artwork_id"], row["level"], row["propensity"]) == (one.artwork_id, one.level, one.propensity)


def test_evaluation_judges_what_is_shown_in_each_decisions_context(placed):
    """By hand from the tables; the compiled short way and the long way alike."""
    tables, settings, _, _ = placed
    window = replace(settings.time, t0=T0, t1=T1, end=END)
    judged = replace(settings, time=window, evaluate=replace(settings.evaluate, slices=(), replicates=0, pages=False))
    rows = evaluate(tables, Tracking(settings.tracking, settings.tables), judged)
    whole = {(r["target"], r["estimator"]): r for r in rows if (r["metric"], r["baseline"]) == ("take", "uniform")}
    policy, _ = newest_policy(tables)
    own = own_of(tables, policy.policy_id)
    alone = replace(resolver(tables), overrides=lambda user: own.get(user, {}))
    nobody = replace(alone, overrides=lambda user: {})
    log = tables.read("decisions").where(f"epoch >= '{T1}' AND NOT already_started AND take IS NOT NULL").toPandas()
    weights = {"context": [], "region": [], "user": [], "served": []}
    takes = []
    for row in log.itertuples():
        question = (row.user_key, row.title_id, row.region)
        context = context_cell(row.device, row.day_part)
        offers = {
            "region": nobody.offered(*question, epoch=T1),
            "context": nobody.offered(*question, context, epoch=T1),
            "user": alone.offered(*question, context, epoch=T1, kids=row.kids),
        }
        best = {name: offer.artwork_ids[int(np.argmax(offer.probabilities))] for name, offer in offers.items()}
        world = nobody.offered(row.user_key, row.title_id, "nowhere", epoch=T1)
        shown = {*best.values(), world.artwork_ids[int(np.argmax(world.probabilities))]}
        shown |= {_best(alone, row, context, own)}
        if "B-new" in shown:  # never logged: judged where no level would have shown it
            continue
        chances = dict(zip(offers["user"].artwork_ids, offers["user"].probabilities, strict=True))
        served = chances.get(row.artwork_id, 0.0) / sum(chances.get(one, 0.0) for one in row.candidate_set)
        for name, one in best.items():
            weights[name].append((row.artwork_id == one) / row.propensity)
        weights["served"].append(served / row.propensity)
        takes.append(row.take)
    for name, found in weights.items():
        expected = np.dot(found, takes) / np.sum(found)
        assert whole[name, "snips"]["estimate"] == pytest.approx(expected), name
    pairs = {(row["target"], row["baseline"]) for row in rows}
    assert {("context", "uniform"), ("context", "region"), ("segment", "region")} <= pairs
    long = replace(judged, evaluate=replace(judged.evaluate, pages=True))
    for row in evaluate(tables, Tracking(settings.tracking, settings.tables), long):
        if (row["metric"], row["baseline"]) == ("take", "uniform"):
            short = whole[row["target"], row["estimator"]]["estimate"]
            assert row["estimate"] == pytest.approx(short, rel=1e-6)


def _best(alone, row, context, own):
    """A member's segment's default where they are."""
    segment = own[row.user_key].segment if row.user_key in own and not row.kids else ""
    offer = alone.offer(row.title_id, row.region, context, epoch=T1, segment=segment)
    return offer.artwork_ids[int(np.argmax(offer.probabilities))]


def test_devices_of_few_members_and_names_that_tell_nothing_are_left_out(spark):
    names = ["tv"] * 90 + ["phone"] * 60 + ["rare"] * 9 + ["*", "a|b", "unknown", "", None] * 100
    rows = [(f"u{i}", name, ("evening", "night")[i % 2]) for i, name in enumerate(names)]
    log = spark.createDataFrame(rows, "user_key string, device string, day_part string")
    assert contexts_of_log(log, 50) == Contexts(("phone", "tv"), ("evening", "night"))
    many = [(f"u{i}", f"device {i % 12:02}", "evening") for i in range(12 * 60)]
    found = contexts_of_log(spark.createDataFrame(many, log.schema), 20)
    assert found.devices == tuple(f"device {i:02}" for i in range(8))  # equals in the order of their names
    coded = with_vectors(decisions_like(log), taste_like(spark), Contexts(("phone", "tv"), ("evening", "night")))
    told = coded.where("user_key LIKE 'u%'").select("user_key", "context").collect()
    of = {"phone": 0, "tv": 2}
    expected = {u: of[d] + ("evening", "night").index(p) if d in of else -1 for u, d, p in rows}
    assert dict(told) == expected


def decisions_like(log):
    """With the other columns that blocks are made of."""
    schema = TABLES["decisions"].schema
    return log.select(*[F.col(f.name) if f.name in log.columns else F.lit(None).cast(f.dataType).alias(f.name)
                        for f in schema])  # fmt: skip


def taste_like(spark):
    return spark.createDataFrame([], TABLES["taste"].schema)


def test_what_devices_add_is_written_for_people(placed):
    tables, settings, members, model = placed
    rows = tables.read("policy_weights").where("level IN ('device', 'day part')").toPandas()
    assert Counter(rows["level"]) == {"device": 2 * 3, "day part": 2 * 3}
    found = rows.set_index(["level", "cell", "feature"])
    loadings = model.arrays["loadings"]
    for k, (level, cell) in enumerate([*(("device", d) for d in DEVICES), *(("day part", p) for p in PARTS)]):
        for f, feature in enumerate(model.about["feature_names"]):
            assert found.loc[(level, cell, feature), "weight"] == pytest.approx(loadings[f] @ WEIGHTS[k])
            assert found.loc[(level, cell, feature), "sd"] == pytest.approx(0.05)
    policy, _ = newest_policy(tables)
    own = own_of(tables, policy.policy_id)
    user = next(u for u, m in members.items() if "A" not in own.get(u, {}) and m["region"] == "SE" and not m["kids"])
    settings = replace(settings, explain=replace(settings.explain, user=user, title="A", context="tv|evening"))
    choice, _ = explain_choice(tables, settings, T1)
    assert choice.heading == "A, to a member in SE on tv in the evening"
    offer = replace(resolver(tables), overrides=lambda user: own.get(user, {})).offered(
        user, "A", "SE", "tv|evening", epoch=T1
    )
    best = offer.artwork_ids[int(np.argmax(offer.probabilities))]
    assert choice.sides[0].artwork_id == best and choice.sides[0].propensity == max(offer.probabilities)


def test_a_stream_moves_contexts_and_leaves_what_was_assigned(placed):
    tables, settings, _, _ = placed
    policy, _ = newest_policy(tables)
    plan = plan_assignment(tables, Tracking(settings.tracking, settings.tables), settings)
    assert plan.policy.policy_id == policy.policy_id
    mine = f"policy_id = '{policy.policy_id}'"
    before = sorted(tables.read("region_assignments").where(mine).collect())
    for _ in range(2):
        where = f"{mine} AND {OF_STREAM}"
        tables.replace("region_assignments", region_assignments(tables, plan, online=True), where)
        after = tables.read("region_assignments").where(mine).collect()
        assert sorted(row for row in after if not row["context"].startswith("online")) == before
        moved_rows = [row for row in after if row["context"].startswith("online")]
        told = {(row["level"], row["cell"], row["context"], row["artwork_id"]) for row in moved_rows}
        assert told == {(row["level"], row["cell"], moved(row["context"]), row["artwork_id"]) for row in before}
    tables.delete("region_assignments", where)
    some = region_assignments(tables, plan, titles=plan.slate.title_ids == "B").collect()
    assert len(some) > 20 and sorted(some) == [row for row in before if row["title_id"] == "B"]


def test_artworks_that_stay_and_who_asks_for_none_have_no_contexts(placed):
    _, settings, _, model = placed
    assert contexts_of(model, settings.assign).names == tuple(context for context in CONTEXTS if context != "*")
    for changes in ({"stay_days": 3}, {"contexts": False}):
        assert not len(contexts_of(model, replace(settings.assign, **changes)))
