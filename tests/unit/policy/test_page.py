"""Pages: neighbours look apart, and the joint propensity is that of all pages the policy can serve."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.stats import chisquare

from keyart.policy.exploration import Softmax
from keyart.policy.page import apart, resolve_page
from keyart.policy.resolve import ArtworkResolver, Override
from keyart.policy.specification import Policy

DAY = date(2026, 2, 1)
TITLES = {"A": (0.3, 0.1), "B": (0.0, 0.2, 0.4), "C": (0.1, 0.0), "D": (0.2, 0.2)}
LOOK = {"A0": "warm", "A1": "cold", "B0": "warm", "B1": "cold", "B2": "dark", "C0": "dark", "C1": "cold", "D0": "warm",
        "D1": "warm"}  # fmt: skip
POLICY = Policy("p", Softmax(0.2), "salt", 0.0, "t", DAY)
RESOLVER = ArtworkResolver.of(
    POLICY,
    [
        {
            "policy_id": "p", "level": "global", "cell": "*", "context": "*", "title_id": title, "reason": "",
            "artwork_id": f"{title}{a}", "mean": mean, "sd": 0.1, "is_default": mean == max(means),
        }
        for title, means in TITLES.items()
        for a, mean in enumerate(means)
    ],
)  # fmt: skip


def alike(one, other):
    return LOOK[one] == LOOK[other]


def page(user, resolver=RESOLVER, **options):
    return resolve_page(resolver, user, list(TITLES), "SE", epoch=DAY, alike=alike, **options)


def enumerated(columns):
    """Every page's probability, by hand: each title's draw given its left and upper neighbour."""
    alone = {title: dict(zip(o.artwork_ids, o.probabilities, strict=True)) for title, o in
             ((title, RESOLVER.offer(title, "SE", epoch=DAY)) for title in TITLES)}  # fmt: skip
    found = {}
    for shown in product(*alone.values()):
        probability = 1.0
        for i, title in enumerate(TITLES):
            near = [shown[i - 1]] if i % columns else []
            near += [shown[i - columns]] if i >= columns else []
            free = {a: p for a, p in alone[title].items() if not any(alike(a, n) for n in near)} or alone[title]
            probability *= free.get(shown[i], 0.0) / sum(free.values())
        found[shown] = probability
    return found


@pytest.mark.parametrize("columns", [None, 2])
def test_the_joint_propensity_is_the_pages(columns):
    expected = enumerated(columns or len(TITLES))
    assert sum(expected.values()) == pytest.approx(1)
    pages = [page(f"u{i}", columns=columns) for i in range(4000)]
    counts = Counter(tuple(one.artwork_id for one in found.served) for found in pages)
    for found in pages[:200]:
        shown = tuple(one.artwork_id for one in found.served)
        assert found.joint_propensity == pytest.approx(expected[shown])
    possible = [shown for shown, p in expected.items() if p > 0]
    assert set(counts) <= set(possible)
    assert chisquare([counts[s] for s in possible], [4000 * expected[s] for s in possible]).pvalue > 1e-4


def test_neighbours_look_apart_and_a_page_is_the_same_again():
    for i in range(100):
        found = [one.artwork_id for one in page(f"u{i}").served]
        assert not any(alike(one, other) for one, other in pairwise(found[:3]))
        assert page(f"u{i}") == page(f"u{i}")


def test_a_lone_title_is_as_resolve_has_it_and_overrides_count():
    own = replace(RESOLVER, overrides=lambda user: {"B": Override("B0", 5.0)})
    found = resolve_page(own, "u", ["B"], "SE", epoch=DAY, alike=alike).served[0]
    assert found == own.resolve("u", "B", "SE", epoch=DAY) and found.level == "user"
    days = [DAY + timedelta(days=d) for d in range(30)]
    kids = [resolve_page(own, "u", ["B"], "SE", epoch=d, alike=alike, kids=True).served[0] for d in days]
    assert {one.level for one in kids} == {"global"}


def test_alike_by_cosine():
    look = apart({"a": np.array([1.0, 0.0]), "b": np.array([2.0, 0.1]), "c": np.array([0.0, 1.0])}, 0.9)
    assert look("a", "b") and not look("a", "c") and not look("a", "unknown")
