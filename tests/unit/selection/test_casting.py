"""Main cast up, extras down, no name needed."""

import numpy as np

from keyart.selection.casting import EXTRA_LOSS, LEAD_GAIN, shown_cast

A, B, C = np.eye(3, 128) * 2


def face(vector) -> dict:
    return {"embedding": list(vector)}


def test_the_lead_rises_and_an_extra_falls():
    details = [[face(A)], [face(A), face(B)], [face(B)], [face(C)], [], [face([])]]
    shown = shown_cast(details, np.array([0.5, 0.3, 0.1, 0.01, 0.05, 0.04]))
    assert shown.people == [[0], [0, 1], [1], [2], [], []]
    assert shown.clusters[5] == [None]
    assert np.allclose(shown.factor[[0, 1]], 1 + LEAD_GAIN) and 1 < shown.factor[2] < 1 + LEAD_GAIN
    assert shown.factor[3] == 1 - EXTRA_LOSS and (shown.factor[[4, 5]] == 1).all()


def test_many_pictures_of_one_shot_do_not_make_a_lead():
    details = [[face(A)]] * 5 + [[face(B)]]
    shown = shown_cast(details, np.array([0.2] * 5 + [0.6]))
    assert shown.people[-1] == [0] and shown.people[0] == [1]
    assert abs(shown.prominence[0] - 0.75) < 1e-9


def test_one_person_alone_is_no_comparison():
    assert shown_cast([[face(A)], []], np.array([0.5, 0.5])).factor.tolist() == [1, 1]
    assert shown_cast([], np.zeros(0)).factor.size == 0
