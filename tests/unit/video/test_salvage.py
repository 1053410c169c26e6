"""A decoder that crashes or hangs: what is good is kept, and what is lost is counted."""

import numpy as np
import pytest

from keyart.video.child import Child
from keyart.video.plan import plan_film
from keyart.video.salvage import ATTEMPTS, scan_supervised
from keyart.video.segments import scan_parts

TROUBLE = """
import os, pathlib, signal, time
from keyart.video.segments import scan_parts

PACKETS = {packets}
MARK = pathlib.Path({mark!r})

def trouble(position):
    if {once} and MARK.exists():
        return
    with MARK.open("a") as file:
        file.write("x")
    {act}

def scan(uri, segment, rotation, after, avoid, stop, size, beat):
    def harmed(position):
        beat(position)
        if position in PACKETS:
            trouble(position)
    return (yield from scan_parts(uri, segment, rotation, after, avoid, stop, size, harmed))

def never(uri, segment, rotation, after, avoid, stop, size, beat):
    os.abort()
    yield
"""


@pytest.fixture
def troubled(tmp_path, monkeypatch):
    """A maker of scan targets that do something bad at given packets."""
    children = []

    def make(packets: list[int], act: str, once: bool = False, warm: bool = False):
        name = f"trouble_{len(children)}"
        mark = str(tmp_path / f"{name}.mark")
        (tmp_path / f"{name}.py").write_text(TROUBLE.format(packets=packets, act=act, once=once, mark=mark))
        monkeypatch.syspath_prepend(str(tmp_path))
        children.append(Child(warm))
        return children[-1], f"{name}:scan", tmp_path / f"{name}.mark"

    yield make
    for child in children:
        child.stop()


def drained(parts):
    found = []
    while True:
        try:
            found.append(next(parts))
        except StopIteration as end:
            return np.concatenate([part.pts for part in found]) if found else np.zeros(0, np.int64), end.value


@pytest.fixture
def whole(film, take):
    """A film of five groups of 12 frames, its only segment, and its pts."""
    uri = film("sound.mp4", take(1, 60), options={"bf": "0"})
    segment = plan_film(uri, 0).segments[0]
    return uri, segment, drained(scan_parts(uri, segment, 0))[0]


CRASHES = [
    ("os.kill(os.getpid(), signal.SIGSEGV)", 60, "SIGSEGV", 2),
    ("time.sleep(60)", 4, "silent for 4 s", 1),
]


@pytest.mark.parametrize(("act", "timeout", "words", "tries"), CRASHES, ids=["segv", "hang"])
def test_the_frames_around_a_fatal_packet_are_kept(troubled, whole, act, timeout, words, tries):
    uri, segment, pts = whole
    # What a child imports and compiles at its first call must not count as silence.
    child, target, mark = troubled([int(pts[30])], act, warm=timeout < 60)
    found, end = drained(scan_supervised(child, uri, segment, 0, timeout, target))
    assert found.tolist() == [*pts[:30].tolist(), *pts[36:].tolist()]
    assert (end.lost, end.seen) == (6, 60)
    assert words in end.reason
    assert len(mark.read_text()) == tries


def test_a_child_that_was_killed_from_outside_costs_nothing(troubled, whole):
    uri, segment, pts = whole
    child, target, _ = troubled([int(pts[30])], "os.kill(os.getpid(), signal.SIGKILL)", once=True)
    found, end = drained(scan_supervised(child, uri, segment, 0, 60, target))
    assert found.tolist() == pts.tolist()
    assert (end.lost, end.reason) == (0, "")


def test_what_came_before_a_later_child_died_sooner_is_not_lost(troubled, whole):
    uri, segment, pts = whole
    act = "len(MARK.read_text()) in (2, 4, 5, 6) and os.abort()"  # two die at frame 40, then two at frame 20
    child, target, mark = troubled([int(pts[20]), int(pts[40])], act)
    found, end = drained(scan_supervised(child, uri, segment, 0, 60, target))
    assert len(mark.read_text()) == 6
    assert len(found) > 20
    assert (found.tolist(), end.lost) == (pts[: len(found)].tolist(), 60 - len(found))


def test_parts_that_came_are_not_sent_again(troubled, film, take):
    uri = film("long.mp4", take(1, 50) * 24, options={"bf": "0", "preset": "ultrafast"})
    segment = plan_film(uri, 0).segments[0]
    pts = drained(scan_parts(uri, segment, 0))[0]
    child, target, _ = troubled([int(pts[1100])], "os.abort()")
    found, end = drained(scan_supervised(child, uri, segment, 0, 60, target))
    assert len(np.unique(found)) == len(found) == 1200 - end.lost
    assert 0 < end.lost <= 12
    assert (np.diff(found) > 0).all()


def test_a_film_that_kills_every_child_is_given_up_with_what_came(troubled, whole):
    uri, segment, pts = whole
    child, target, mark = troubled([int(p) for p in pts[30:]], "os.abort()")
    found, end = drained(scan_supervised(child, uri, segment, 0, 60, target))
    assert len(mark.read_text()) <= ATTEMPTS
    assert found.tolist() == pts[:30].tolist()
    assert end.lost == 30
    child, target, _ = troubled([], "pass")
    found, end = drained(scan_supervised(child, uri, segment, 0, 60, target.replace(":scan", ":never")))
    assert (len(found), end.lost) == (0, 60)
    assert "SIGABRT" in end.reason
