"""Exact values are exact: against enumeration, against draws, and in their order."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyart.demo.truth import Pages, Truth, expected_value


def small_truth(seed: int, members: int = 5, titles: int = 4, artworks: int = 3, visits: int = 12) -> Truth:
    """A truth with strong looks, unequal numbers of artworks and incomplete pages."""
    random = np.random.default_rng(seed)
    slots = np.arange(titles * artworks).reshape(titles, artworks)
    slots[-1, -1] = -1
    title = np.stack([random.permutation(titles) for _ in range(visits)])
    title[random.random(title.shape) < 0.2] = -1
    title[0] = np.arange(titles)
    count = titles * artworks
    propensity = np.full(count, 1 / artworks)
    propensity[slots[-1, :-1]] = 1 / (artworks - 1)
    return Truth(
        title_ids=np.array([f"t{n}" for n in range(titles)]),
        artwork_ids=np.array([f"a{n}" for n in range(count)]),
        slots=slots,
        looks=random.standard_normal((count, 2)),
        propensity=propensity,
        take_shift=0.3 * random.standard_normal(count),
        quality_shift=random.standard_normal(count),
        member_ids=np.array([f"m{n}" for n in range(members)]),
        region=np.arange(members) % 2,
        regions=np.array(["SE", "US"]),
        observable=random.standard_normal((members, 2)),
        private=0.5 * random.standard_normal((members, 2)),
        private_variance=np.full(2, 0.25),
        pages=Pages(
            member=random.integers(members, size=visits),
            day=np.arange(visits) % 4,
            title=title,
            base=random.normal(-1.0, 1.0, title.shape),
            quality=random.standard_normal(title.shape),
        ),
    )


COMBINATIONS = list(product((0, 1, 2), (0, 1, 2), (0, 1, 2), (0, 1)))
"""All choices of small_truth's titles."""


def enumerated(weights, worth, drawn, others) -> float:
    """Expected worth on one page by trying every combination of artworks; (J, A) each."""
    total = 0.0
    for focus in range(len(weights)):
        for combination in product(range(weights.shape[1]), repeat=len(weights)):
            chances = [
                (drawn if title == focus else others)[title, artwork] for title, artwork in enumerate(combination)
            ]
            w = np.array([weights[title, artwork] for title, artwork in enumerate(combination)])
            total += np.prod(chances) * w[focus] * worth[focus, combination[focus]] / (1.0 + w.sum())
    return total


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(-4.0, 1.5))
def test_quadrature_equals_enumeration(seed, level):
    random = np.random.default_rng(seed)
    weights = np.exp(random.normal(level, 0.7, (1, 4, 3)))
    worth = random.random((1, 4, 3))
    drawn, others = random.dirichlet(np.ones(3), (2, 1, 4))
    found = expected_value(weights, worth, drawn, others)[0]
    assert found == pytest.approx(enumerated(weights[0], worth[0], drawn[0], others[0]), rel=1e-6)
    same = expected_value(weights, worth, drawn, drawn)[0]
    assert same == pytest.approx(enumerated(weights[0], worth[0], drawn[0], drawn[0]), rel=1e-6)


def test_quadrature_is_sharp_where_titles_compete_mildly():
    random = np.random.default_rng(3)
    weights, worth = np.exp(random.normal(-3.0, 0.6, (1, 5, 4))), random.random((1, 5, 4))
    drawn = random.dirichlet(np.ones(4), (1, 5))
    exact = enumerated(weights[0], worth[0], drawn[0], drawn[0])
    assert expected_value(weights, worth, drawn, drawn)[0] == pytest.approx(exact, rel=1e-11)


@given(st.integers(0, 1_000))
@settings(max_examples=15)
def test_a_certain_draw_is_a_choice(seed):
    truth = small_truth(seed)
    choice = np.random.default_rng(seed).integers(2, size=(5, 4))
    certain = np.eye(3)[choice]
    assert truth.value_of(certain) == pytest.approx(truth.value_of(choice), rel=1e-9)
    assert truth.value_of(certain, "take") == pytest.approx(truth.value_of(choice, "take"), rel=1e-9)


def test_value_of_a_choice_by_hand():
    truth = small_truth(1)
    choice = truth.best_of_groups(truth.region)
    total, decisions = 0.0, 0
    taste = truth.observable + truth.private
    for member, titles, base, quality in zip(
        truth.pages.member, truth.pages.title, truth.pages.base, truth.pages.quality, strict=True
    ):
        top, bottom = 0.0, 1.0
        for title, b, q in zip(titles, base, quality, strict=True):
            if title >= 0:
                a = truth.slots[title, choice[member, title]]
                w = np.exp(b + taste[member] @ truth.looks[a] + truth.take_shift[a])
                top, bottom = top + w / (1 + np.exp(-q - truth.quality_shift[a])), bottom + w
                decisions += 1
        total += top / bottom
    assert truth.decisions == decisions
    assert truth.value_of(choice) == pytest.approx(total / decisions, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_who_knows_more_gains_more(seed):
    truth = small_truth(seed, members=30, visits=300)
    single = truth.value_of(truth.best_of_groups(np.zeros(30, np.int64)))
    region = truth.value_of(truth.best_of_groups(truth.region))
    member = truth.value_of(truth.best_of_groups(np.arange(30)))
    assert truth.value_of(truth.uniform()) < single <= region <= member <= truth.oracle_value(private=True)
    assert truth.oracle_value() <= truth.oracle_value(private=True)


def test_the_best_single_artworks_cannot_be_bettered_one_by_one():
    truth = small_truth(4, members=20, visits=200)
    best = truth.best_of_groups(np.zeros(20, np.int64))
    for title, slot in product(range(4), range(2)):
        other = best.copy()
        other[:, title] = slot
        assert truth.value_of(other) <= truth.value_of(best) + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_the_full_oracle_is_the_best_of_all_combinations(seed):
    truth = small_truth(seed, members=1, visits=1)
    best = max(
        truth.value_of(np.array([combination])) for combination in product((0, 1, 2), (0, 1, 2), (0, 1, 2), (0, 1))
    )
    assert truth.oracle_value(private=True) == pytest.approx(best, rel=1e-12)


def test_the_observable_oracle_is_nearly_the_best_for_unknown_private_tastes():
    known, draws = small_truth(8, members=1, visits=1), 4_000
    private = 0.5 * np.random.default_rng(0).standard_normal((draws, 2))
    pages = Pages(**{name: np.repeat(values, draws, axis=0) for name, values in vars(known.pages).items()})
    pages.member[:] = np.arange(draws)
    many = Truth(
        **{
            **vars(known),
            "observable": np.repeat(known.observable, draws, axis=0),
            "private": private,
            "region": np.zeros(draws, np.int64),
            "pages": pages,
        }
    )
    best = max(
        many.value_of(np.tile(combination, (draws, 1)))
        for combination in product((0, 1, 2), (0, 1, 2), (0, 1, 2), (0, 1))
    )
    assert many.oracle_value() == pytest.approx(best, rel=0.01)


def test_a_truth_survives_writing_and_can_be_narrowed(tmp_path):
    truth = small_truth(2)
    truth.write(tmp_path / "deep" / "truth.npz")
    again = Truth.read(tmp_path / "deep" / "truth.npz")
    assert again.value_of(again.uniform()) == truth.value_of(truth.uniform())
    some = again.within(1, 3, np.array([True, False, True, False, False]))
    assert set(some.pages.day) <= {1, 2}
    assert set(some.pages.member) <= {0, 2}
    assert truth.within(9, 10).value_of(truth.uniform()) == 0.0
