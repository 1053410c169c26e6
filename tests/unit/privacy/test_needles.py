"""Keys are found in any text, ids as words in every spelling, and short ids as whole values only."""

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyart.feedback.privacy import user_keys
from keyart.privacy.needles import FEW, Needles

AWKWARD = ["member-1", "member-10", 'o"brien & co', "zoë@example.org", "a/b c=d", "kim.lee"]


def needles_of(ids, more=0):
    """Needles for the ids and ``more`` others, so that either way of searching is taken."""
    every = [*ids, *(f"someone-else-{n}" for n in range(more))]
    return Needles(every, user_keys(b"key", every))


@pytest.fixture(params=[0, FEW + 1], ids=["few", "many"])
def needles(request):
    return needles_of(AWKWARD, request.param)


def test_keys_are_found_within_anything_and_in_capitals(needles):
    key = user_keys(b"key", AWKWARD)[3].encode()
    assert needles.found(b"\x00ab" + key + b"cd") == {3}
    assert needles.found(key.upper()) == {3}
    assert needles.found(key[:-1]) == set()


@pytest.mark.parametrize("place", range(len(AWKWARD)))
@pytest.mark.parametrize(
    "spelt",
    [
        str,
        json.dumps,
        lambda text: json.dumps({"stats": json.dumps({"min": text})}),
        lambda text: f"<td>{html.escape(text)}</td>",
        lambda text: f"https://host/members/{quote(text, safe='')}?page=2",
        lambda text: json.dumps(f"first line\n{text}\tand more"),
    ],
    ids=["plain", "json", "json in json", "page", "address", "after a line's end"],
)
def test_ids_are_found_in_every_spelling(needles, place, spelt):
    assert place in needles.found(spelt(AWKWARD[place]).encode())


def test_an_id_within_a_longer_one_is_another(needles):
    assert needles.found(b"rows of member-10") == {1}
    assert needles.found(b"rows of member-101 and xmember-1") == set()


def test_an_id_that_is_cut_waits_for_the_next_piece(needles):
    assert needles.found(b"... member-1", is_end=False) == set()
    assert needles.found(b"... member-1", is_end=True) == {0}


def test_short_ids_and_small_numbers_are_sought_as_whole_values():
    needles = needles_of(["SE", "12345678"])
    assert needles.has_short
    assert needles.found(b"size: 12345678, region SE") == set()
    assert needles.found_in([b"SE", b"12345678"]) == {0, 1}
    assert needles.numbers == {12345678: 1}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=6, max_size=12), min_size=1,
             max_size=40, unique=True),
    st.data(),
)  # fmt: skip
def test_whatever_an_id_looks_like_it_is_found_between_blanks(ids, data):
    ids = [member.strip() for member in ids]
    ids = list(dict.fromkeys(member for member in ids if len(member) >= 6 and not member.isdigit()))
    if not ids:
        return
    member = data.draw(st.sampled_from(ids))
    needles = Needles(ids, user_keys(b"key", ids))
    text = f"a {member} b"
    assert ids.index(member) in needles.found(text.encode()) | needles.found_in([member.encode()])
