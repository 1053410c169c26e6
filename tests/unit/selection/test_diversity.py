"""Diversity: near-duplicates never together, the best first, different pictures before slightly better ones."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyart.selection.diversity import LEAST_SHARE, choose, distances
from keyart.selection.editing import edit_title
from keyart.selection.ranking import Candidates, Ranking, rank
from keyart.vision.features import FEATURE_NAMES, SIGNED


def look_alikes(groups: list[int], seed: int = 4, wobble: float = 0.002) -> Candidates:
    """Candidates of one film whose members of a group look the same but for a wobble."""
    rng = np.random.default_rng(seed)
    low = np.array([-1.0 if name in SIGNED else 0.0 for name in FEATURE_NAMES])
    kinds = rng.uniform(low, 1.0, (max(groups) + 1, len(FEATURE_NAMES)))
    kinds[:, FEATURE_NAMES.index("title_card")] = kinds[:, FEATURE_NAMES.index("lettering")] = 0
    for name in ("noise", "motion_blur", "face_cut_off", "tilt"):
        kinds[:, FEATURE_NAMES.index(name)] = 0.1
    for name in ("sharpness", "exposure", "contrast", "face_eyes_open"):
        kinds[:, FEATURE_NAMES.index(name)] = 0.8
    features = np.clip(kinds[groups] + rng.normal(0, wobble, (len(groups), len(FEATURE_NAMES))), low, 1)
    hashes = rng.integers(0, 2**63, max(groups) + 1, dtype=np.uint64)[groups]
    hashes ^= np.uint64(1) << rng.integers(0, 60, len(groups), dtype=np.uint64)
    n = len(groups)
    return Candidates(
        features=features,
        hashes=hashes,
        seconds=np.arange(n) * 3.0,
        shot_share=np.full(n, 1 / n),
        position=np.arange(n) / (2 * n),
        quality=rng.uniform(0.5, 1, n),
        shot=np.arange(n),
    )


def ranked(score: list[float], problem: list[str] | None = None) -> Ranking:
    return Ranking(np.array(score), problem or [""] * len(score), [[] for _ in score])


def test_distance_is_symmetric_zero_to_itself_and_grows_with_difference():
    candidates = look_alikes([0, 0, 1, 2, 3, 4])
    table = np.array([distances(candidates, index) for index in range(6)])
    assert np.allclose(table, table.T) and np.allclose(np.diag(table), 0)
    assert table[0, 1] < 0.2 < table[0, 2:].min() and table.max() <= 1


def test_of_near_duplicates_the_best_is_kept_and_named():
    choice = choose(look_alikes([0, 0, 1]), ranked([0.5, 0.6, 0.4]), 8, 0.5)
    assert choice.chosen == [1, 2]
    assert choice.verdicts[0] == "near-duplicate of 3.0 s"


@settings(max_examples=30)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=40), st.integers(1, 8), st.floats(0, 1), st.integers(0, 99))
def test_the_chosen_are_few_unlike_and_begin_with_the_best(groups, most, diversity, seed):
    candidates = look_alikes(groups, seed)
    ranking = rank(candidates, 0.1)
    choice = choose(candidates, ranking, most, diversity)
    assert 1 <= len(choice.chosen) <= most and len(set(choice.chosen)) == len(choice.chosen)
    assert len({groups[index] for index in choice.chosen}) == len(choice.chosen)
    assert ranking.score[choice.chosen[0]] == ranking.score.max()
    assert (np.diff(ranking.score[choice.chosen]) <= 0).all()
    assert (ranking.score[choice.chosen] >= LEAST_SHARE * ranking.score.max()).all()
    assert all(choice.verdicts[index] for index in range(len(groups)) if index not in choice.chosen)
    again = choose(candidates, ranking, most, diversity)
    assert again == choice


def test_order_of_the_rows_does_not_matter():
    candidates = look_alikes([0, 1, 2, 3, 4, 5, 6, 7])
    score = np.linspace(0.5, 0.9, 8)
    back = np.arange(8)[::-1]
    rows = [field.name for field in fields(candidates) if field.name not in ("cast_factor", "drawn")]
    turned = Candidates(**{name: getattr(candidates, name)[back] for name in rows})
    one = choose(candidates, ranked(score.tolist()), 4, 0.5)
    other = choose(turned, ranked(score[back].tolist()), 4, 0.5)
    assert one.chosen == [7 - index for index in other.chosen]


def test_diversity_0_takes_the_best_and_1_the_most_different():
    candidates = look_alikes([0, 1, 2, 3, 4, 5, 6, 7], seed=8)
    # 1 looks much like 0 (but is no duplicate) and scores next best
    close = candidates.features.copy()
    close[1] = close[0] + 0.35 * (close[1] - close[0])
    candidates = replace(candidates, features=close)
    ranking = ranked([0.9, 0.85, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6])
    assert set(choose(candidates, ranking, 2, 0.0).chosen) == {0, 1}
    (_, second) = choose(candidates, ranking, 2, 1.0).chosen
    assert distances(candidates, 0)[second] == pytest.approx(distances(candidates, 0)[2:].max(), abs=0.05)


def test_a_shot_gives_one_picture_where_the_film_has_shots_enough():
    candidates = look_alikes([0, 1, 2, 3])
    between = candidates.features.copy()
    between[1] = between[0] + 0.3 * (between[1] - between[0])
    hashes = candidates.hashes.copy()
    hashes[1] = hashes[0] ^ np.uint64(0xFFF)
    candidates = replace(candidates, features=between, hashes=hashes, shot=np.array([0, 0, 1, 2]))
    assert 0.36 < distances(candidates, 0)[1] < 0.55
    ranking = ranked([0.9, 0.89, 0.7, 0.6])
    assert choose(candidates, ranking, 2, 0.0).chosen == [0, 2]
    assert choose(candidates, ranking, 2, 0.0).verdicts[1] == "much like 0.0 s"
    assert choose(candidates, ranking, 4, 0.0).chosen == [0, 1, 2, 3], "a film of few shots may show one twice"


def test_pictures_far_weaker_than_the_best_are_not_shown_for_being_different():
    choice = choose(look_alikes([0, 1, 2]), ranked([0.9, 0.1, 0.8]), 8, 1.0)
    assert choice.chosen == [0, 2] and choice.verdicts[1] == "scored far less than the best"


def test_a_title_of_bad_pictures_gets_the_least_bad_one():
    choice = choose(look_alikes([0, 1, 2]), ranked([0.1, 0.3, 0.2], ["blurred", "title card", "blank"]), 8, 0.5)
    assert choice.chosen == [1] and choice.least_bad
    assert choice.verdicts == ["not usable: blurred", "not usable: title card", "not usable: blank"]


def test_an_edit_says_why_and_ranks_by_score():
    candidates = look_alikes([0, 0, 1, 2, 3])
    edit = edit_title(candidates, [1, 1, 0, 2, 0], 3, 0.5, 0.1)
    assert [pick.rank for pick in edit.picks] == [1, 2, 3]
    for pick in edit.picks:
        assert edit.verdicts[pick.index] == f"selected: {pick.reason}"
        assert "of the film" in pick.reason
    assert all(edit.verdicts)


def test_an_edit_of_nothing_is_empty():
    nothing = Candidates(np.empty((0, len(FEATURE_NAMES))), np.empty(0, np.uint64), *[np.empty(0)] * 5)
    edit = edit_title(nothing, [], 8, 0.5, 0.1)
    assert edit.picks == [] and edit.verdicts == [] and edit.score.shape == (0,)
