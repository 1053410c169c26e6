"""The jobs as a graph: a stage depends on the earlier ones that write what it reads, or that it names."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from keyart.settings import Settings

__all__ = ["Stage", "behind", "requirements"]


@dataclass(frozen=True)
class Stage:
    """A job, the tables it reads, the sections of the settings it obeys, and paths outside the tables it reads.

    What changes in the tables it reads makes it run again. Of a table that an earlier stage writes it is also said that
    the stage waits for it; one that only a later stage writes is read as the run before left it, so there is no cycle.
    """

    job: str
    reads: tuple[str, ...]
    sections: tuple[str, ...]
    paths: Callable[[Settings], tuple[str, ...]] = lambda settings: ()
    today: Callable[[Settings, Any], object] = lambda settings, tables: ()
    """What else it depends on that changes by the day alone."""
    writes: tuple[str, ...] = ()
    """Tables that it writes. One that it also reads is looked at after it has finished: it completes rows of it."""
    after: tuple[str, ...] = ()
    """Stages that it depends on beside tables: models are no tables. When one has run again, so does this one."""
    answers: bool = False
    """Whether a status of 1 is an answer (a candidate is refused) and no failure: it is done, and the others go on."""
    anyway: bool = False
    """Whether it runs although one that it depends on failed: it tells of what is there."""


def requirements(stages: Sequence[Stage]) -> dict[str, frozenset[str]]:
    """For each job those earlier in ``stages`` that it depends on directly; jobs that are not among them are left out.

    >>> one, two = Stage("one", (), (), writes=("titles",)), Stage("two", ("titles",), ())
    >>> requirements([one, two])["two"]
    frozenset({'one'})
    """
    found: dict[str, frozenset[str]] = {}
    for place, stage in enumerate(stages):
        earlier = stages[:place]
        found[stage.job] = frozenset(
            other.job for other in earlier if other.job in stage.after or set(other.writes) & set(stage.reads)
        )
    return found


def behind(job: str, needs: Mapping[str, Set[str]], down: Mapping[str, str]) -> tuple[str, ...]:
    """The stages whose failure keeps ``job`` from running. ``down``: stages that failed or are blocked, by state.

    >>> needs = {"b": {"a"}, "c": {"b"}}
    >>> behind("c", needs, {"a": "failed", "b": "blocked"})
    ('a',)
    """
    found: set[str] = set()
    for other in needs[job]:
        if down.get(other) == "failed":
            found.add(other)
        elif other in down:
            found |= set(behind(other, needs, down))
    return tuple(sorted(found))
