"""Target probabilities of whole logs at once are those that the resolver serves one by one."""

from datetime import date
from itertools import product

import numpy as np
import pytest

from keyart.evaluation.targets import BEHAVIOURS, Overrides, PolicyTables, Targets, policy_tables
from keyart.policy.choices import DEFAULTS, RANKED, GreedyChoices, Kept
from keyart.policy.exploration import Best, EpsilonGreedy, Exploration, Softmax, Thompson, Uniform
from keyart.policy.floors import NO_FLOOR, Floor
from keyart.policy.levels import segment_cell
from keyart.policy.placement import EVERYWHERE, Placement, Rule
from keyart.policy.resolve import ArtworkResolver, Override, OwnChoices
from keyart.policy.specification import Policy

TITLES = ("A", "B", "C")
ARTWORKS = ("A0", "A1", "A2", "B0", "B1", "B2", "B3", "C0", "C1")
TITLE_OF = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
REGIONS = ("BR", "JP", "SE")  # BR has no level of its own nor a parent's, JP a parent's, SE its own
PARENTS = {"SE": "nordics", "JP": "asia"}
CELLS = (("global", "*"), ("parent", "asia"), ("region", "SE"))
MISSING = {("region", "SE", "C"), ("parent", "asia", "B")}  # titles that a level does not know
SEGMENTS = ("taste-1", "taste-2")
NARROWED = {
    segment_cell(*cell, name): [title for t, title in enumerate(TITLES) if (c + s + t) % 3]
    for c, cell in enumerate(CELLS)
    for s, name in enumerate(SEGMENTS)
}
"""Titles of which a segment has a shelf of its own, by its cell; some cells do not know some of them."""
CONTEXTS = ("*", "phone|night", "tv|evening")
SPECIAL = {"phone|night": "A", "tv|evening": "BC"}
"""Titles of which cells, and segments, have a shelf of their own in a context."""
OLD = "B3"  # the second policy has no word on it
EXPLORATIONS = [EpsilonGreedy(0.2), Softmax(0.3), Best(), Uniform(), Thompson(32, "salt")]


def assignment(seed: int, without: str = "") -> list[dict]:
    """Rows of region_assignments; in every cell a title's second best by mean is made its default, to be told apart."""
    rng, rows = np.random.default_rng(seed), []
    cells = (*CELLS, *(("segment", name) for name in NARROWED))
    for c, ((level, cell), context) in enumerate(product(cells, CONTEXTS)):
        for t, title in enumerate(TITLES):
            if (level, cell, title) in MISSING or title not in NARROWED.get(cell, TITLES):
                continue
            if context != "*" and (title not in SPECIAL[context] or (c + t) % 4 == 0):
                continue
            ids = [a for a, of in zip(ARTWORKS, TITLE_OF, strict=True) if of == t and a != without]
            means = rng.normal(size=len(ids))
            default = int(np.argsort(-means)[min(1, len(ids) - 1)])
            if level == "segment" and "/" in cell:  # which is there where it shows another than its cell
                of = [
                    r["is_default"]
                    for r in rows
                    if (r["title_id"], r["context"]) == (title, "*") and cell in _cells(r["level"], r["cell"])
                ]
                default = (of.index(True) + 1) % len(ids) if of and of.index(True) == default else default
            rows += [
                {
                    "policy_id": "p", "level": level, "cell": cell, "context": context, "title_id": title,
                    "artwork_id": a,
                    "mean": float(m), "sd": 0.5 + 0.1 * k, "is_default": k == default, "reason": "",
                }
                for k, (a, m) in enumerate(zip(ids, means, strict=True))
            ]  # fmt: skip
    return rows


KEPT = Placement((Rule("A", "A1", "ban", ("SE",)), Rule("A", "A2", "ban", ("asia",)), Rule("B", "B1", "pin", ("JP",))))
"""What some regions may not be shown; BR, of which nothing is said, has the world's."""


def tables_of(
    rows: list[dict], exploration: Exploration, placement: Placement = EVERYWHERE, floor: Floor = NO_FLOOR
) -> PolicyTables:
    defaults = [tuple(row[name] for name in DEFAULTS) for row in rows if row["is_default"]]
    kept = Kept.of(placement, date(2026, 1, 2), [tuple(row[name] for name in RANKED) for row in rows])
    choices = GreedyChoices.of(defaults, PARENTS, ARTWORKS, kept)
    columns = ("level", "cell", "context", "artwork_id", "mean", "sd", "is_default")
    levels = [tuple(row[name] for name in columns) for row in rows]
    shape = (ARTWORKS, TITLES, TITLE_OF, REGIONS)
    return policy_tables("p", exploration, choices, levels, *shape, floor, SEGMENTS, CONTEXTS)


def _cells(level: str, cell: str) -> list[str]:
    return [] if level == "segment" else [segment_cell(level, cell, name) for name in SEGMENTS]


MEMBERS = 12
OWN = {  # member: title: artwork, gain; an artwork of another title, or one the policy lacks, is passed over
    0: {"A": ("A2", 0.5), "B": ("B1", 0.1)},
    1: {"B": ("B3", 0.2)},
    2: {"C": ("C1", 1.0), "A": ("A0", 0.3)},
    5: {"A": ("A1", 0.02)},
}


def overrides() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    found = [(m, TITLES.index(t), ARTWORKS.index(a), g) for m, own in OWN.items() for t, (a, g) in own.items()]
    found.sort(key=lambda entry: entry[3])  # in no particular order
    member, title, artwork, gain = zip(*found, strict=True)
    return np.array(member), np.array(title), np.array(artwork), np.array(gain)


def among() -> np.ndarray:
    """(members, policies) the segment of each member under each policy."""
    return np.stack([np.arange(MEMBERS) // 3 % 3, np.arange(MEMBERS) // 2 % 3], axis=1)


FLOOR = Floor(0.02, {"B": 0.4})


@pytest.mark.parametrize("floor", [NO_FLOOR, FLOOR], ids=["", "floor"])
@pytest.mark.parametrize("placement", [EVERYWHERE, KEPT], ids=["everywhere", "kept from regions"])
@pytest.mark.parametrize("exploration", EXPLORATIONS, ids=lambda e: e.kind)
def test_what_is_filled_in_is_what_the_resolver_serves(exploration, placement, floor):
    rows = [assignment(1), assignment(2, without=OLD)]
    both = tables_of(rows[0], exploration, placement, floor), tables_of(rows[1], EpsilonGreedy(0.05), placement)
    targets = Targets(both, TITLE_OF)
    member = np.repeat(np.arange(MEMBERS), 3)
    title, region = np.tile(np.arange(3), MEMBERS), member % 3
    context, kids = np.arange(len(member)) // 2 % 3, member == 5
    sizes = np.bincount(TITLE_OF)[title]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    candidates = np.concatenate([np.flatnonzero(t == TITLE_OF) for t in title])
    support = np.ones(len(candidates), dtype=bool)
    pi = np.full((len(candidates), 13), np.nan, dtype=np.float32)
    own = Overrides.of(MEMBERS, [overrides(), overrides()], among())
    place = region * len(CONTEXTS) + context
    targets.fill(pi, targets.stacked(), title, place, kids, member, offsets, candidates, support, own)
    order = targets.order()
    rules = ((exploration, floor), (EpsilonGreedy(0.05), NO_FLOOR))
    levels, special = set(), 0
    for g, (each, (rule, under)) in enumerate(zip(rows, rules, strict=True)):
        policy = Policy("p", rule, "salt", 0.0, "taste", date(2026, 1, 1), PARENTS, (), under)

        def lookup(user, g=g):
            own = {t: Override(a, gain) for t, (a, gain) in OWN.get(int(user), {}).items()}
            return OwnChoices(own, ["", *SEGMENTS][among()[int(user), g]] if int(user) < MEMBERS else "")

        resolver = ArtworkResolver.of(policy, each, overrides=lookup, placement=placement)
        for i in range(len(title)):
            here = slice(offsets[i], offsets[i + 1])
            ids = [ARTWORKS[a] for a in candidates[here]]
            asked = {"title_id": TITLES[title[i]], "region": REGIONS[region[i]], "epoch": date(2026, 1, 2)}
            there = {**asked, "context": CONTEXTS[context[i]]}
            answer = resolver.resolve(str(member[i]), kids=bool(kids[i]), **there)
            levels.add(answer.level)
            served = dict(zip(answer.candidate_set, answer.probabilities, strict=True))
            column = {name: pi[here, order[g, k]] for k, name in enumerate(BEHAVIOURS)}
            np.testing.assert_allclose(column["served"], [served.get(a, 0.0) for a in ids], atol=1e-6)
            np.testing.assert_allclose(column["uniform"], 1 / len(ids), rtol=1e-6)
            best = ArtworkResolver.of(
                Policy("p", Best(), "", 0.0, "", date(2026, 1, 1), PARENTS), each, overrides=lookup, placement=placement
            )
            user = best.resolve(str(member[i]), kids=bool(kids[i]), **there).artwork_id
            level = best.resolve("99", **asked).artwork_id
            in_context = best.resolve("99", **there).artwork_id
            assert ids[int(np.argmax(column["context"]))] == in_context and column["context"].sum() == 1
            special += in_context != level
            assert ids[int(np.argmax(column["user"]))] == user and column["user"].sum() == 1
            assert ids[int(np.argmax(column["region"]))] == level and column["region"].sum() == 1
            among_all = ArtworkResolver.of(
                best.policy, each, overrides=lambda user: OwnChoices({}, lookup(user).segment), placement=placement
            )
            segment = among_all.resolve(str(member[i]), kids=bool(kids[i]), **there).artwork_id
            assert ids[int(np.argmax(column["segment"]))] == segment and column["segment"].sum() == 1
            world = ArtworkResolver.of(best.policy, [r for r in each if r["level"] == "global"], placement=placement)
            everywhere = world.resolve("99", **asked).artwork_id
            assert ids[int(np.argmax(column["global"]))] == everywhere
    assert levels == {"user", "segment", "region", "parent", "global"} and special > 5


def test_columns_follow_the_behaviours_asked_for():
    every = tables_of(assignment(1), EpsilonGreedy(0.2))
    targets = Targets((every, every), TITLE_OF, ("uniform", "user", "served"))
    assert targets.order().tolist() == [[0, 1, 3], [0, 2, 4]]  # both are compared with the same even draw
    frame = targets.frame
    assert frame.group.tolist() == [-1, 0, 1, 0, 1]
    width = 4 + 2 * 6
    assert frame.starts.tolist() == [0, 3 + 3 * width, 6 + 6 * width]
    assert frame.columns[targets.order()[0]].tolist() == [3, 3 + width, 3 + 2 * width]


def test_overrides_are_cut_by_members():
    own = Overrides.of(MEMBERS, [overrides()])
    part = own.part(1, 3)
    assert part.title[part.offsets[0] : part.offsets[2]].tolist() == [1, 0, 2]
