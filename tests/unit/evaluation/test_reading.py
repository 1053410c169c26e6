"""An examination of Arrow tables as Spark's workers get them: what is read, cut into parts and slices, and refused."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from keyart.errors import ModelError
from keyart.evaluation import reading
from keyart.evaluation.blocks import from_block
from keyart.evaluation.estimators import ESTIMATORS
from keyart.evaluation.examination import CandidateSets, Examination, Prepared, judge_rows
from keyart.evaluation.paired import PAIR
from keyart.evaluation.paired_spark import _of_block
from keyart.evaluation.reading import blocks_of, pack_overrides, pack_vectors
from keyart.evaluation.replay import ALL, WHOLE, Evidence, Limits, add_all
from keyart.evaluation.reward_model import RewardModel
from keyart.evaluation.targets import BEHAVIOURS, PolicyTables, Targets
from keyart.learning.blocks import pack, unpack
from keyart.policy.contexts import context_cell
from keyart.policy.exploration import EpsilonGreedy, Softmax

DAY0 = date(2026, 1, 1)
ARTWORKS, TITLES = ("A0", "A1", "B0", "B1", "B2"), ("A", "B")
TITLE_OF = np.array([0, 0, 1, 1, 1])
LOGGED = {11: [0.6, 0.4], 22: [0.5, 0.3, 0.2]}  # by the hash of the candidate set
REGIONS = ("JP", "SE")
MEMBERS = 40
OWN = ["title_ids", "artwork_ids", "gains", "segment"]


EVEN = {"": [0.0, 0.0], "floor": [0.2, 0.3], "cold": [0.2, 0.5]}
"""Shares of decisions drawn evenly of each title: none, those of a floor of 0.1, and more of a cold title."""


def policy(floor: str = "") -> PolicyTables:
    even = np.array([EVEN[floor]] * 4)
    best = np.array([[0, 2], [0, 2], [1, 4], [1, 4]])  # of each title in each region, in no context and in the second
    served = np.zeros((4, 5), np.float32)
    for r in range(4):
        for t, (first, end) in enumerate(((0, 2), (2, 5))):
            served[r, first:end] = 0.3 / (end - first)
            served[r, IN_CONTEXT[r, t]] += 0.7
            served[r, first:end] = (1 - even[r, t]) * served[r, first:end] + even[r, t] / (end - first)
    world, scores, noise = np.array([[0, 3]] * 4), np.zeros((4, 5)), np.empty((5, 0))
    return PolicyTables(
        "p", EpsilonGreedy(0.3), world, best, served, scores, scores, noise, even, 0.1 if floor else 0.0,
        ("taste-1", "taste-2"), SHOWN, in_context=IN_CONTEXT,
    )  # fmt: skip


CONTEXTS = ("*", "tv|evening")
IN_CONTEXT = np.array([[0, 2], [1, 2], [1, 4], [1, 3]])
"""(P, T) what members of no segment see."""
SHOWN = np.array([[[1, 2], [0, 4]], [[1, 3], [0, 2]], [[0, 3], [1, 2]], [[0, 4], [1, 2]]])
"""(P, K, T) what members of each segment see."""


def examination(**changes) -> Examination:
    rates = np.full((3, 2, 5, 2), 0.1) * np.arange(1, 4)[:, None, None, None]
    features, weights = np.arange(10.0).reshape(5, 2) / 10, np.array([[0.5, 0.0], [0.0, 0.2], [0.1, 0.1]])
    given = {
        "targets": Targets((policy(),), TITLE_OF),
        "model": RewardModel(rates.astype(np.float32), features.astype(np.float32), weights.astype(np.float32)),
        "sets": CandidateSets(
            np.array([11, 22]), np.array([0, 1]), np.array([0, 2, 5]), np.arange(5), np.ones(5, dtype=bool)
        ),
        "artwork_ids": ARTWORKS,
        "title_ids": TITLES,
        "regions": REGIONS,
        "contexts": CONTEXTS,
        "first_days": np.array([(DAY0 - date(1970, 1, 1)).days, (DAY0 - date(1970, 1, 1)).days + 3]),
        "log_start": (DAY0 - date(1970, 1, 1)).days,
        "arrays": {"member_mean": np.zeros(3), "member_scale": np.ones(3)},
        "lengths": (1, 2),
        "segments": ("drama", "comedy"),
        "of_held_out_only": True,
        "limits": Limits(replicates=25),
    }
    return Examination(**{**given, **changes})


def log() -> pa.Table:
    """Every member's decisions, vectors of most and overrides of some, sorted as Spark sorts them."""
    rng, rows = np.random.default_rng(4), []
    for i in range(MEMBERS):
        user = {"user_key": f"{i:04x}", "code": i * 977 - 5000}
        if i % 5:
            mix = [0.9, 0.1] if i % 2 else [0.2, 0.8]
            rows.append({**user, "factors": [float(i % 3)], "genre_mix": mix, "history": i % 7})
        if i % 3 == 0:
            rows.append(
                {**user, "policy_id": "p", "title_ids": ["B", "gone"], "artwork_ids": ["B1", "X"], "gains": [0.1, 1.0],
                 "segment": [None, "taste-1", "taste-2"][i % 7 % 3]}
            )  # fmt: skip
            rows.append({**user, "policy_id": "other", "title_ids": ["A"], "artwork_ids": ["A0"], "gains": [0.1]})
        for k in range(6):
            chosen = 11 if k % 2 else 22
            slot = int(rng.choice(len(LOGGED[chosen]), p=LOGGED[chosen]))
            take = float(rng.random() < 0.3)
            rows.append(
                {
                    **user, "fold": i % 3, "held": i % 4 == 0, "kids": i == 6,
                    "epoch": DAY0 + timedelta(days=4 + k // 2 * 4), "region": REGIONS[i % 2],
                    "device": ["tv", None][k % 2], "day_part": ["evening", None][k // 2 % 2], "set": chosen,
                    "slot": slot, "best": 0, "propensity": LOGGED[chosen][slot], "reward": 0.5 * take, "take": take,
                }
            )  # fmt: skip
    schema = pa.schema(
        {
            "user_key": pa.string(), "code": pa.int64(), "fold": pa.int32(), "held": pa.bool_(), "epoch": pa.date32(),
            "region": pa.string(), "device": pa.string(), "day_part": pa.string(),
            "kids": pa.bool_(), "set": pa.int64(), "slot": pa.int32(),
            "best": pa.int32(), "propensity": pa.float64(), "reward": pa.float64(), "take": pa.float64(),
            "factors": pa.list_(pa.float32()), "genre_mix": pa.list_(pa.float32()), "history": pa.int32(),
            "policy_id": pa.string(), "title_ids": pa.list_(pa.string()), "artwork_ids": pa.list_(pa.string()),
            "gains": pa.list_(pa.float32()), "segment": pa.string(),
        }
    )  # fmt: skip
    return pa.Table.from_pylist(rows, schema)


def packed(plan: Examination, table: pa.Table) -> pa.Table:
    """As they come from the shuffle: decisions, and what else is known of members as bytes."""
    decisions, vectors, own = (table.filter(table.column(name).is_valid()) for name in ("set", "history", "policy_id"))
    decisions = decisions.drop_columns(["factors", "genre_mix", "history", "policy_id", *OWN])
    parts = [decisions, pack_vectors(plan, vectors), pack_overrides(plan, own.select(["code", "policy_id", *OWN]))]
    return pa.concat_tables(parts, promote_options="default").sort_by([("code", "ascending"), ("epoch", "ascending")])


def examine(plan: Examination, table: pa.Table, prepared: Prepared | None = None) -> dict:
    """Through blocks and back, as a worker reads them."""
    found: dict = {}
    for block in blocks_of(plan, packed(plan, table)):
        rows, members = from_block(unpack(pack(block)))
        add_all(found, judge_rows(plan, rows, members, prepared or Prepared.of(plan)))
    return found


@pytest.mark.parametrize("floor", list(EVEN))
def test_estimates_are_those_of_a_loop(floor):
    plan = examination(targets=Targets((policy(floor),), TITLE_OF))
    found = {name: evidence for (_, name), evidence in examine(plan, log()).items()}
    rows = [row for row in log().to_pylist() if row["set"] is not None]
    weights = {"user": [], "served": [], "region": [], "context": []}
    for row in rows:
        i, r = int(row["user_key"], 16), REGIONS.index(row["region"])
        ids = ["A0", "A1"] if row["set"] == 11 else ["B0", "B1", "B2"]
        level = {"A": ["A0", "A1"][r], "B": ["B0", "B2"][r]}[ids[0][0]]
        place = 2 * r + (row["device"] == "tv" and row["day_part"] == "evening")
        there = ARTWORKS[IN_CONTEXT[place, "AB".index(ids[0][0])]]
        user, segment = there, [0, 1, 2][i % 7 % 3]
        if i % 3 == 0 and i != 6:  # who has a row
            user = ARTWORKS[SHOWN[place, segment - 1, "AB".index(ids[0][0])]] if segment else there
            user = "B1" if ids[0] == "B0" else user
        served = ids[row["slot"]]
        weights["region"].append((served == level) / row["propensity"])
        weights["context"].append((served == there) / row["propensity"])
        weights["user"].append((served == user) / row["propensity"])
        even = EVEN[floor]["AB".index(ids[0][0])]
        drawn = 0.3 / len(ids) + 0.7 * (served == user)
        weights["served"].append(((1 - even) * drawn + even / len(ids)) / row["propensity"])
    takes = np.array([row["take"] for row in rows])
    for target, found_weights in weights.items():
        w = np.array(found_weights)
        for name, value in (("ips", (w * takes).mean()), ("snips", (w * takes).sum() / w.sum())):
            estimate = ESTIMATORS[name](found[ALL].moments, WHOLE, target, "take").value
            assert estimate == pytest.approx(value, rel=1e-6), (target, name)
    sizes = {name: evidence.seen for name, evidence in found.items()}
    assert sizes[ALL] == len(rows) == MEMBERS * 6
    assert (sizes["device=tv"], sizes["device=unknown"]) == (MEMBERS * 3, MEMBERS * 3)
    assert sizes["segment=unknown"] == 8 * 6
    assert sizes["history=none"] == 6 * sum(1 for i in range(MEMBERS) if i % 5 == 0 or i % 7 == 0)
    # Title B came three days after the log's start: a day, five and nine days before its decisions.
    assert sizes["title age=there from the start"] == MEMBERS * 3
    assert (sizes["title age=first week"], sizes["title age=first month"]) == (MEMBERS * 2, MEMBERS)


def test_the_response_model_speaks_of_held_out_members_only():
    """Of the others only the rates of the other folds are known: the direct method's word is theirs."""
    rates = np.array([0.1, 0.2, 0.3])
    held = [i for i in range(MEMBERS) if i % 4 == 0 and i % 5]
    kept = pa.Table.from_pylist(
        [row for row in log().to_pylist() if int(row["user_key"], 16) not in held], log().schema
    )
    found = examine(examination(), kept)[0, ALL]
    mean = np.mean([rates[i % 3] for i in range(MEMBERS) if i not in held])
    assert ESTIMATORS["dm"](found.moments, WHOLE, "user", "take").value == pytest.approx(mean, rel=1e-6)
    every = examine(examination(of_held_out_only=False), kept)[0, ALL]
    assert ESTIMATORS["dm"](every.moments, WHOLE, "user", "take").value != pytest.approx(mean, rel=1e-3)


def test_parts_and_pieces_change_nothing(monkeypatch):
    whole = examine(examination(), log())
    monkeypatch.setattr(reading, "PART", 17)
    monkeypatch.setattr("keyart.evaluation.examination.CACHE", 60)
    pieces = examine(examination(), log())
    assert whole.keys() == pieces.keys()
    for key, evidence in whole.items():
        np.testing.assert_allclose(pieces[key].moments.products, evidence.moments.products, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(pieces[key].replicated, evidence.replicated, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(pieces[key].largest, evidence.largest)
        assert (pieces[key].seen, pieces[key].moments.members) == (evidence.seen, evidence.moments.members)


def test_what_is_packed_is_found_in_any_piece_of_a_batch():
    """A batch cut from a larger one, its first members gone, says what it says by itself."""
    plan = examination()
    table = packed(plan, log())
    first = pc.index(table.column("code"), pa.scalar(10 * 977 - 5000)).as_py()
    cut = table.combine_chunks().slice(first)
    alone = pa.Table.from_pylist(cut.to_pylist(), table.schema)
    for one, other in zip(blocks_of(plan, cut), blocks_of(plan, alone), strict=True):
        assert one.keys() == other.keys()
        for name, values in other.items():
            np.testing.assert_array_equal(one[name], values, err_msg=name)
        assert len(one["codes"]) == MEMBERS - 10 and len(one["own_title"]) == 10, "one a member in three"


def test_overrides_that_nobody_knows_are_left_out_and_nulls_are_none():
    plan = examination()
    rows = [
        {"code": 1, "policy_id": "p", "title_ids": ["gone", "A"], "artwork_ids": ["A0", "A1"], "gains": [0.5, 0.25]},
        {"code": 2, "policy_id": "other", "title_ids": ["A"], "artwork_ids": ["A1"], "gains": [0.1]},
        {"code": 3, "policy_id": "p", "title_ids": [], "artwork_ids": [], "gains": [], "segment": "taste-2"},
        {"code": 4, "policy_id": "p", "title_ids": None, "artwork_ids": None, "gains": None},
    ]
    lists = {"title_ids": pa.list_(pa.string()), "artwork_ids": pa.list_(pa.string()), "gains": pa.list_(pa.float32())}
    schema = pa.schema({"code": pa.int64(), "policy_id": pa.string(), **lists, "segment": pa.string()})
    found = pack_overrides(plan, pa.Table.from_pylist(rows, schema)).to_pylist()
    assert [(row["code"], row["policy"]) for row in found] == [(1, 0), (3, 0), (4, 0)]
    assert [row["among"] for row in found] == [0, 2, 0]
    assert [np.frombuffer(row["packed"], reading.OWN).tolist() for row in found] == [[(0, 1, 0.25)], [], []]


def test_a_log_that_changed_is_noticed():
    sets = CandidateSets(np.array([11]), np.array([0]), np.array([0, 2]), np.arange(2), np.ones(2, dtype=bool))
    with pytest.raises(ModelError, match="changed"):
        examine(examination(sets=sets), log())


def test_members_without_decisions_are_nothing():
    rows = [row for row in log().to_pylist() if row["set"] is None]
    assert examine(examination(), pa.Table.from_pylist(rows, log().schema)) == {}


def test_a_context_is_a_place_like_a_region():
    """Four regions without contexts give what two regions in two contexts do; also beside another policy."""
    both = Targets((policy(), policy("floor")), TITLE_OF)
    plan = examination(targets=both)
    rows = log().to_pylist()
    regions = tuple(f"{region} {context}" for region in REGIONS for context in CONTEXTS)
    moved = [
        {**row, "region": f"{row['region']} {context_cell(row['device'], row['day_part'])}"}
        if row["set"] is not None and (row["device"], row["day_part"]) == ("tv", "evening")
        else {**row, "region": f"{row['region']} *"}
        for row in rows
    ]
    rates = np.repeat(plan.model.rates, 2, axis=1)
    model = RewardModel(rates, plan.model.features, plan.model.weights)
    flat = examination(targets=both, regions=regions, contexts=("*",), model=model, slices=())
    here = examination(targets=both, slices=())
    spread = pa.Table.from_pylist(moved, log().schema)
    same(examine(here, log()), examine(flat, spread))

    def paired(examination, table):
        stacked, found = examination.targets.stacked(), Evidence.empty(PAIR)
        for block in blocks_of(examination, packed(examination, table)):
            found = found + _of_block(examination, stacked, *from_block(unpack(pack(block))))
        return found.arrays()

    one, other = paired(here, log()), paired(flat, spread)
    for name, values in other.items():
        np.testing.assert_allclose(one[name], values, rtol=1e-6, atol=1e-9)


QUICK = Limits(replicates=25, extras=False)


@pytest.mark.parametrize("slices", [(), ("region", "device", "segment", "title age", "history")])
def test_two_numbers_and_a_place_say_what_all_candidates_say(slices):
    """The short way gives the long way's figures, and what it leaves goes the long way."""
    plan = examination(limits=QUICK, slices=slices)
    prepared = Prepared.of(plan)
    assert prepared.quick is not None
    assert prepared.quick.fits.all()
    short, long = examine(plan, log(), prepared), examine(plan, log(), Prepared(prepared.stacked, None))
    same(short, long)


def test_what_does_not_fit_goes_the_long_way():
    """A title with an artwork that the log could not show, beside one where all fits."""
    sets = CandidateSets(
        np.array([11, 22]),
        np.array([0, 1]),
        np.array([0, 2, 5]),
        np.arange(5),
        np.array([True, True, True, True, False]),
    )
    plan = examination(limits=QUICK, sets=sets)
    prepared = Prepared.of(plan)
    assert prepared.quick.fits.tolist() == [[True] * 4, [False] * 4]
    kept = pa.Table.from_pylist(
        [row for row in log().to_pylist() if (row["set"], row["slot"]) != (22, 2)], log().schema
    )
    same(examine(plan, kept, prepared), examine(plan, kept, Prepared(prepared.stacked, None)))
    assert examine(plan, kept)[0, ALL].left_out > 0


def test_members_without_an_override_are_judged_by_their_segments_default():
    """The same evidence as where the segment's default is written down as an override of each of its members."""
    without = tuple(name for name in BEHAVIOURS if name != "segment")  # which overrides do not touch
    plan, rows = examination(targets=Targets((policy(),), TITLE_OF, without)), log().to_pylist()
    nobody = [{**row, "segment": None} for row in rows]
    assert not np.allclose(
        examine(plan, log())[0, ALL].moments.sums,
        examine(plan, pa.Table.from_pylist(nobody, log().schema))[0, ALL].moments.sums,
    )
    # Of members in no context, for an override holds in all of them.
    rows = [{**row, "day_part": None} for row in rows]
    nobody = [{**row, "day_part": None} for row in nobody]
    plain = pa.Table.from_pylist(rows, log().schema)
    region = {row["code"]: 2 * REGIONS.index(row["region"]) for row in rows if row["set"] is not None}
    spelled = []
    for row in nobody:
        was = rows[len(spelled)]["segment"]
        if was is not None:
            shown = SHOWN[region[row["code"]], int(was[-1]) - 1]
            own = dict(zip(row["title_ids"], row["artwork_ids"], strict=True))
            own = {title: ARTWORKS[a] for title, a in zip(TITLES, shown, strict=True)} | own
            row = {**row, "title_ids": list(own), "artwork_ids": list(own.values()), "gains": [0.1] * len(own)}
        spelled.append(row)
    same(examine(plan, plain), examine(plan, pa.Table.from_pylist(spelled, log().schema)))


def test_an_override_that_was_no_candidate_goes_the_long_way():
    rows = [{**row, "artwork_ids": ["A1", "X"], "title_ids": ["B", "gone"]} if row["policy_id"] == "p" else row
            for row in log().to_pylist()]  # fmt: skip
    plan, table = examination(limits=QUICK), pa.Table.from_pylist(rows, log().schema)
    same(examine(plan, table), examine(plan, table, Prepared(plan.targets.stacked(), None)))


def test_policies_that_weigh_scores_go_the_long_way():
    soft = replace(policy(), exploration=Softmax(0.5))
    prepared = Prepared.of(examination(limits=QUICK, targets=Targets((policy(), soft), TITLE_OF)))
    assert not prepared.quick.fits.any()


def same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, evidence in other.items():
        for name, values in evidence.arrays().items():
            np.testing.assert_allclose(one[key].arrays()[name], values, rtol=1e-5, atol=1e-4)
