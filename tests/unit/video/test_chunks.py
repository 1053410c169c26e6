"""Chunks of a long film give the boundaries of the whole, wherever the chunks' borders fall."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.video import chunks
from keyart.video.chunks import CHUNK, MARGIN, chunk_borders, chunk_boundaries, joined
from keyart.video.digest_spark import chunk_pieces
from keyart.video.exchange import Boundary
from keyart.video.shots import find_boundaries


@pytest.fixture
def thumbs(take):
    """A maker of thumbnails: slow pans, with cuts at the given frames."""

    def make(cuts: list[int], frames: int) -> np.ndarray:
        found = []
        for seed, (begin, end) in enumerate(pairwise([0, *cuts, frames])):
            for picture in take(seed, end - begin, width=400, height=225):
                grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
                found.append(cv2.resize(grey, (48, 27), interpolation=cv2.INTER_AREA))
        return np.array(found)

    return make


@pytest.mark.parametrize("first_cut", [120, 250, 299, 300, 301, 303, 340])
def test_borders_of_chunks_do_not_matter(monkeypatch, thumbs, first_cut):
    monkeypatch.setattr(chunks, "CHUNK", 300)
    film = thumbs([first_cut, 450, 600, 604 + 60, 860], 900)
    borders = chunk_borders(len(film))
    assert borders == [0, 300, 600, 900]
    found = []
    for begin, end in pairwise(borders):
        low, high = max(0, begin - MARGIN), min(len(film), end + MARGIN)
        found += chunk_boundaries(film[low:high], low, begin, end, 24.0)
    assert joined(found, borders) == find_boundaries(film, 24.0)
    assert len(find_boundaries(film, 24.0)) == 5


@given(st.integers(0, 400_000))
def test_chunks_are_even_and_cover_the_film(frames):
    borders = chunk_borders(frames)
    sizes = np.diff(borders)
    assert borders[0] == 0 and borders[-1] == frames
    assert sizes.max() <= CHUNK and sizes.max() - sizes.min() <= 1


@given(st.lists(st.integers(1, 1500), min_size=1, max_size=30), st.integers(0, 3))
def test_pieces_of_parts_make_up_every_chunk_with_its_margins(sizes, per_segment):
    """However a film was cut, a chunk's pieces follow one another from its margin before to its margin after."""
    rows, pts = [], 0
    for k, frames in enumerate(sizes):
        place = (k // (per_segment + 1), k % (per_segment + 1))
        keys = ("scan_id", "video_id", "segment", "part", "frames", "first_pts", "last_pts")
        rows.append(dict(zip(keys, ("s", "v", *place, frames, pts, pts + frames - 1), strict=True)))
        pts += frames
    total = sum(sizes)
    starts = dict(zip(((r["segment"], r["part"]) for r in rows), np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    pieces = chunk_pieces(rows[::-1], {"v": 0.04})
    for begin, end in pairwise(chunk_borders(total)):
        own = [piece for piece in pieces if piece[4:6] == (begin, end)]
        seen = [starts[piece[2:4]] + piece[7] + k for piece in own for k in range(piece[8])]
        assert seen == list(range(max(0, begin - MARGIN), min(total, end + MARGIN)))
        assert [piece[6] for piece in own] == [starts[piece[2:4]] + piece[7] for piece in own]
        assert all(piece[9] == pytest.approx(25.0) for piece in own)


def test_a_boundary_seen_from_both_sides_counts_once():
    twice = [Boundary(299, "dissolve"), Boundary(301, "dissolve"), Boundary(500, "cut"), Boundary(502, "cut")]
    assert joined(twice, [0, 300, 600]) == [twice[0], twice[2], twice[3]]
