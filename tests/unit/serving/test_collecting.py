"""Full collections stay short while a service remembers more and more, and what is set aside is looked at again."""

import gc
from weakref import ref

import pytest

from keyart.serving.collecting import Pauses, settle


class Knot:
    """In a cycle with itself."""

    def __init__(self):
        self.own = self


@pytest.fixture(autouse=True)
def as_before():
    yield
    gc.unfreeze()
    gc.collect()


def test_what_is_alive_is_set_aside_and_looked_at_when_it_settles():
    knot = Knot()
    seen = ref(knot)
    settle()
    del knot
    gc.collect()
    assert seen() is not None  # set aside with everything else
    settle()
    assert seen() is None


def test_what_is_set_aside_goes_with_its_last_reference():
    kept = {n: (n, [n]) for n in range(1000)}
    watched = Knot()
    watched.own = kept
    seen = ref(watched)
    settle()
    del watched
    assert seen() is None


@pytest.mark.parametrize(("longest", "aside"), [(0.0, True), (60.0, False)])
def test_a_collection_that_took_long_sets_aside_what_it_found(longest, aside):
    with Pauses(longest):
        before = gc.get_freeze_count()
        gc.collect(1)
        assert gc.get_freeze_count() <= before  # only full collections count
        gc.collect()
        assert (gc.get_freeze_count() > before + 1000) is aside
    frozen = gc.get_freeze_count()
    gc.collect()
    assert gc.get_freeze_count() <= frozen  # nobody listens any more
