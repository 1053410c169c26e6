"""Where and when artworks may be shown: rules, levels with rows for named regions, exact propensities, choices."""

from datetime import date, timedelta

import numpy as np
import pytest

from keyart.errors import LimitError
from keyart.policy.assignment import best_of_title, build_slate, overrides
from keyart.policy.choices import RANKED, GreedyChoices, Kept, level_choices
from keyart.policy.exploration import EpsilonGreedy
from keyart.policy.levels import Levels
from keyart.policy.placement import EVERYWHERE, Placed, Placement, Rule, place
from keyart.policy.resolve import ArtworkResolver, Override
from keyart.policy.specification import Policy

DAY = date(2026, 12, 20)
PARENTS = {"SE": "nordics", "NO": "nordics", "JP": "asia", "KR": "asia"}
IDS = ["a1", "a2", "a3"]
CHRISTMAS = (date(2026, 12, 1), date(2026, 12, 27))


def may(rules, places, day=DAY):
    return [a for a, fine in zip(IDS, Placement(tuple(rules)).allowed("A", IDS, places, day), strict=True) if fine]


@pytest.mark.parametrize(
    ("rules", "places", "day", "left"),
    [
        pytest.param([Rule("A", "a1", "ban", ("SE",))], ("SE", "nordics"), DAY, ["a2", "a3"], id="banned here"),
        pytest.param([Rule("A", "a1", "ban", ("SE",))], ("NO", "nordics"), DAY, IDS, id="banned next door"),
        pytest.param([Rule("A", "a1", "ban", ("SE",))], (), DAY, IDS, id="region unknown"),
        pytest.param([Rule("A", "a1", "ban", ("nordics",))], ("NO", "nordics"), DAY, ["a2", "a3"], id="by the parent"),
        pytest.param([Rule("B", "a1", "ban")], (), DAY, IDS, id="another title's rule"),
        pytest.param([Rule("A", "a2", "pin")], (), DAY, ["a2"], id="pinned everywhere"),
        pytest.param(
            [Rule("A", "a2", "pin"), Rule("A", "a2", "ban", ("SE",))], ("SE",), DAY, ["a1", "a3"], id="no pin"
        ),
        pytest.param([Rule("A", "gone", "pin")], (), DAY, IDS, id="a pin of what is not there"),
        pytest.param([Rule("A", "a3", "only", ("SE",))], ("NO", "nordics"), DAY, ["a1", "a2"], id="elsewhere only"),
        pytest.param([Rule("A", "a3", "only", ("SE",)), Rule("A", "a3", "only", ("NO",))], ("NO",), DAY, IDS, id="two"),
        pytest.param([Rule("A", "a3", "pin", (), *CHRISTMAS)], (), date(2026, 11, 30), IDS, id="before the season"),
        pytest.param([Rule("A", "a3", "pin", (), *CHRISTMAS)], (), date(2026, 12, 1), ["a3"], id="first day"),
        pytest.param([Rule("A", "a3", "pin", (), *CHRISTMAS)], (), date(2026, 12, 26), ["a3"], id="last day"),
        pytest.param([Rule("A", "a3", "pin", (), *CHRISTMAS)], (), date(2026, 12, 27), IDS, id="after it"),
        pytest.param([Rule("A", a, "ban") for a in IDS], (), DAY, [], id="nothing left"),
    ],
)
def test_what_may_be_shown(rules, places, day, left):
    assert may(rules, places, day) == left


def test_the_rules_of_a_day_say_on_it_what_all_rules_say():
    rng = np.random.default_rng(3)
    begins = [None, date(2026, 12, 1), date(2026, 12, 25)]
    places = [(), ("SE", "nordics"), ("NO", "nordics"), ("JP", "asia")]
    for _ in range(200):
        rules = tuple(
            Rule("A", IDS[rng.integers(3)], ("ban", "pin", "only")[rng.integers(3)],
                 ((), ("SE",), ("nordics",))[rng.integers(3)], begins[rng.integers(3)],
                 (None, date(2026, 12, 27))[rng.integers(2)])
            for _ in range(rng.integers(1, 4))
        )  # fmt: skip
        for offset in (-30, 0, 10):
            day = DAY + timedelta(days=offset)
            now = Placement(rules).on(day)
            for where in places:
                np.testing.assert_array_equal(
                    now.allowed("A", IDS, where, date.min), Placement(rules).allowed("A", IDS, where, day)
                )


CELLS = (("global", "*"), ("parent", "nordics"), ("region", "SE"))


def world(rules):
    """A slate of two titles under placement; a1 is best everywhere, then a2; the model knows the world, nordics, SE."""
    means = np.array([[0.3, 0.2, 0.1, 0.0], [0.3, 0.25, 0.1, 0.0], [0.4, 0.2, 0.1, 0.0]])
    arrays = {
        "features": np.eye(4), "feature_values": np.eye(4), "cell_mean": means, "cell_sd": np.full((3, 4), 0.1),
        "cell_n": np.full((3, 4), 100), "cell_takes": np.full((3, 4), 3), "region_weights": np.ones((3, 4)),
    }  # fmt: skip
    placement = Placement(tuple(rules))
    placed = Placed.of(Levels(CELLS, PARENTS), arrays, placement.regions)
    rows = [("a1", "A", 1), ("a2", "A", 2), ("a3", "A", 3), ("b1", "B", 1)]
    shelves = place(build_slate(rows, ["a1", "a2", "a3", "b1"], placed.arrays), placed.levels, placement, DAY)
    return placed, shelves, placement


def rows_of(placed, shelves):
    """Rows of region_assignments."""
    slate, written = shelves.slate, shelves.written(placed.instead)
    for c, (level, cell) in enumerate(placed.levels.cells):
        probability, default = shelves.probabilities(EpsilonGreedy(0.2), c), shelves.defaults(c)
        for a in np.flatnonzero(written[c]):
            yield {
                "policy_id": "p", "level": level, "cell": cell, "context": "*",
                "title_id": str(slate.title_ids[slate.title_index[a]]), "artwork_id": str(slate.artwork_ids[a]),
                "mean": float(shelves.means[c, a]), "sd": 0.1, "probability": float(probability[a]),
                "is_default": bool(default[a]), "reason": "",
            }  # fmt: skip


POLICY = Policy("p", EpsilonGreedy(0.2), "salt", 0.0, "taste", DAY, PARENTS)


@pytest.mark.parametrize("region", ["SE", "NO", "JP", "KR", "BR"])
@pytest.mark.parametrize(
    "rules",
    [
        [Rule("A", "a1", "ban", ("SE",))],
        [Rule("A", "a1", "ban", ("NO",))],
        [Rule("A", "a1", "ban", ("KR",))],
        [Rule("A", "a1", "ban", ("nordics",)), Rule("A", "a2", "ban", ("SE",))],
        [Rule("A", "a1", "ban", ("asia",))],
        [Rule("A", "a3", "pin", ("NO",))],
        [Rule("A", "a1", "only", ("KR", "nordics"))],
    ],
)
def test_rows_alone_answer_every_region_with_what_may_be_shown_there(rules, region):
    """Whoever reads the rows as they fall back gets the resolver's answers: same candidates, same propensities."""
    placed, shelves, placement = world(rules)
    rows = list(rows_of(placed, shelves))
    for group in {(r["level"], r["cell"], r["title_id"]) for r in rows}:
        found = [r for r in rows if (r["level"], r["cell"], r["title_id"]) == group]
        assert sum(r["probability"] for r in found) == pytest.approx(1)
        assert sum(r["is_default"] for r in found) == 1
    places = (region, PARENTS.get(region, "other"))
    expected = [a for a, fine in zip(IDS, placement.allowed("A", IDS, places, DAY), strict=True) if fine]
    plain = ArtworkResolver.of(POLICY, [r for r in rows if r["probability"]]).resolve("u", "A", region, epoch=DAY)
    guarded = ArtworkResolver.of(POLICY, rows, placement=placement).resolve("u", "A", region, epoch=DAY)
    assert guarded == plain
    assert list(guarded.candidate_set) == expected
    cell = next(r for r in (("region", region), ("parent", places[1]), ("global", "*")) if any(
        (row["level"], row["cell"], row["title_id"]) == (*r, "A") for row in rows
    ))  # fmt: skip
    written = {r["artwork_id"]: r["probability"] for r in rows if (r["level"], r["cell"]) == cell}
    assert guarded.probabilities == pytest.approx([written[a] for a in expected])


def test_rules_newer_than_the_policy_bind_the_resolver_too():
    placed, shelves, _ = world([])
    rows = list(rows_of(placed, shelves))
    assert {(r["level"], r["cell"]) for r in rows} == set(CELLS), "no rule, no row more"
    newer = Placement((Rule("A", "a1", "ban", ("NO",)), *(Rule("A", a, "ban", ("BR",)) for a in IDS)))
    own = ArtworkResolver.of(POLICY, rows, placement=newer, overrides=lambda user: {"A": Override("a1", 0.5)})
    there = own.resolve("u", "A", "NO", epoch=DAY)
    assert (there.level, there.candidate_set) == ("parent", ("a2", "a3"))
    assert there.probabilities == pytest.approx((0.9, 0.1))
    assert own.resolve("u", "A", "SE", epoch=DAY).level == "user"
    with pytest.raises(LimitError, match="no artwork of title A may be shown in BR on 2026-12-20"):
        own.resolve("u", "A", "BR", epoch=DAY)
    assert own.resolve("u", "B", "BR", epoch=DAY).artwork_id == "b1"


def test_members_are_not_given_what_their_region_may_not_show():
    placed, shelves, _ = world([Rule("A", "a2", "ban", ("KR",)), *(Rule("A", a, "ban", ("JP",)) for a in IDS)])
    slate = shelves.slate
    means = slate.arrays["cell_mean"]
    taste = np.array([0.0, 5.0, 1.0, 0.0])  # loves a2, then a3
    cells = [placed.levels.chain(region)[0] for region in ("SE", "KR", "JP")]
    defaults = best_of_title(means, slate)
    found = overrides(means[cells] + taste, defaults[cells], slate, 0.01)
    assert [(int(m), str(slate.artwork_ids[a])) for m, a in zip(found.member, found.artwork, strict=True)] == [
        (0, "a2"),
        (1, "a3"),
    ]


def test_the_worlds_default_is_the_next_best_where_it_may_not_be_shown():
    rules = [Rule("A", "a1", "ban", ("SE",)), *(Rule("A", a, "ban", ("JP",)) for a in IDS)]
    placed, shelves, placement = world(rules)
    rows = list(rows_of(placed, shelves))
    ranked = [tuple(row[name] for name in RANKED) for row in rows]
    defaults = [row[:5] for row in ranked if row[6]]
    greedy = GreedyChoices.of(defaults, PARENTS, IDS, Kept.of(placement, DAY, ranked))
    ids = [*greedy.artwork_ids, None]
    for level in ("global", "region"):
        shown = level_choices(greedy, level, ["SE", "NO", "JP", None])
        assert [ids[i] for i in shown[:, 0]] == ["a2", "a1", None, "a1"]
        assert [ids[i] for i in shown[:, 1]] == ["b1"] * 4
    assert level_choices(greedy, "region", []).shape == (0, 2)


def test_what_holds_is_said_and_told_apart():
    assert EVERYWHERE.said(DAY) == ()
    pin = Placement((Rule("A", "a1", "pin", (), *CHRISTMAS),))
    assert pin.said(date(2026, 6, 1)) == ()
    (one,), (other,) = pin.said(DAY), Placement((Rule("A", "a2", "pin"),)).said(DAY)
    assert "1 pinned" in one and one != other


def test_a_policy_outlives_the_windows_it_was_written_in():
    """Written in December, asked in every season: a pin lapses, windows shut and open, without a run between."""
    spring = (date(2027, 3, 1), date(2027, 4, 1))
    placed, shelves, placement = world(
        [Rule("A", "a3", "pin", ("NO",), *CHRISTMAS), Rule("A", "a1", "only", ("KR",), *CHRISTMAS),
         Rule("A", "a2", "ban", ("SE",), *spring)]
    )  # fmt: skip
    own = ArtworkResolver.of(POLICY, list(rows_of(placed, shelves)), placement=placement)

    def seen(region, day):
        found = own.resolve("u", "A", region, epoch=day)
        assert sum(found.probabilities) == pytest.approx(1)
        return found.candidate_set

    summer = date(2027, 7, 1)
    assert seen("NO", DAY) == ("a3",) and seen("NO", summer) == ("a2", "a3")
    assert seen("KR", DAY) == ("a1", "a2", "a3") and seen("KR", summer) == ("a2", "a3")
    assert seen("SE", DAY) == ("a2", "a3") == seen("SE", summer) and seen("SE", spring[0]) == ("a3",)
    december = [r for r in rows_of(placed, shelves) if (r["cell"], r["title_id"]) == ("NO", "A")]
    assert {r["artwork_id"]: r["probability"] for r in december} == {"a2": 0.0, "a3": 1.0}
