"""The simulated audience as a whole: calibrate a world, let its members live, write logs and truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from keyart.demo.backcatalogue import BackTitle, back_catalogue, write_manifest
from keyart.demo.homepage import visit_days
from keyart.demo.logbook import Logbook
from keyart.demo.truth import Pages, Truth, truth_of
from keyart.demo.viewing import add_back_catalogue
from keyart.demo.worlds import World, build_world, catalogue_of
from keyart.settings import DemoSettings

__all__ = ["Audience", "calibrated", "figures", "simulate_audience"]

PILOT_MEMBERS, PILOT_PAGES = 2_500, 1_500
LARGEST_SCALE = 2.0
"""Of look effects. Where artworks differ too little for the wished lift, the world keeps the lift that this gives."""


@dataclass(frozen=True)
class Audience:
    """What the simulated members did, and the truth about them."""

    world: World
    back: list[BackTitle]
    log: Logbook
    truth: Truth

    def write_logs(self, folder: Path) -> dict[str, int]:
        """Write the raw log as Parquet files; returns how many events of each kind, and faults, are in it."""
        return self.log.write(folder, self.world, self.back)

    def write_manifest(self, path: Path) -> None:
        """Write the back catalogue's manifest for ingest-catalog."""
        write_manifest(path, self.back)

    def write_truth(self, folder: Path) -> Path:
        """Write the truth to ``truth.npz`` in a folder that no table lies in."""
        path = folder / "truth.npz"
        self.truth.write(path)
        return path


def simulate_audience(
    titles: Sequence[tuple[str, Sequence[str], float]],
    artworks: Mapping[str, Sequence[tuple[str, bytes]]],
    demo: DemoSettings,
    regions: Mapping[str, str],
) -> Audience:
    """Simulate history and ``demo.days`` days of an audience; the same input gives the same audience, event by event.

    ``titles`` are (title_id, genres, seconds); ``artworks`` gives each title's (artwork_id, encoded image), the
    editors' default first; ``regions`` maps region to parent. InputError where a title lacks artworks.
    """
    world = calibrated(build_world(catalogue_of(titles, artworks), demo, regions), demo)
    back, log = back_catalogue(demo.seed), Logbook()
    add_back_catalogue(log, world, back)
    pages = visit_days(world, log)
    return Audience(world, back, log, truth_of(world, pages))


def figures(truth: Truth) -> dict[str, float]:
    """What the policies between uniform and omniscient are truly worth on the truth's pages.

    Lifts are relative to uniform: best single artwork per title, best per region, the oracle on observable context,
    and the oracle that knows each member's private taste as well.
    """
    uniform = truth.value_of(truth.uniform())
    worth = {
        "best_single": truth.value_of(truth.best_of_groups(np.zeros(len(truth.region), np.int64))),
        "best_region": truth.value_of(truth.best_of_groups(truth.region)),
        "oracle_observable": truth.oracle_value(),
        "oracle_full": truth.oracle_value(private=True),
    }
    lifts = {f"lift_{name}": value / uniform - 1.0 if uniform else 0.0 for name, value in worth.items()}
    return {
        "decisions": truth.decisions,
        "take_rate_uniform": truth.value_of(truth.uniform(), "take"),
        "value_uniform": uniform,
        **lifts,
    }


def calibrated(world: World, demo: DemoSettings) -> World:
    """The world with intercept and scale such that uniform artwork takes at ``take_rate``, the oracle gains its lift.

    Both are found by bracketing on the later pages of a pilot of members; the pilot lives twice, because what members
    have started by then depends on both.
    """
    pilot = np.arange(min(PILOT_MEMBERS, demo.members))
    for _ in range(2):
        pages = visit_days(world.subset(pilot), Logbook())
        late = np.flatnonzero(pages.day >= demo.days * 2 // 3)
        late = late[np.linspace(0, len(late) - 1, min(PILOT_PAGES, len(late))).astype(np.int64)]
        world = _fitted(world, pilot, pages.where(late), demo)
    return world


def _fitted(world: World, pilot: np.ndarray, pages: Pages, demo: DemoSettings) -> World:
    seen = world.intercept

    def with_values(intercept: float, scale: float) -> World:
        return replace(world, intercept=intercept, scale=scale)

    def truth(intercept: float, scale: float) -> Truth:
        moved = replace(pages, base=pages.base + (intercept - seen))
        return truth_of(with_values(intercept, scale).subset(pilot), moved)

    def rate(intercept: float, scale: float) -> float:
        at = truth(intercept, scale)
        return at.value_of(at.uniform(), "take")

    def lift(intercept: float, scale: float) -> float:
        at = truth(intercept, scale)
        return at.oracle_value() / at.value_of(at.uniform()) - 1.0

    intercept, scale = world.intercept, world.scale
    for _ in range(2):
        intercept = _solve(partial(rate, scale=scale), demo.take_rate, intercept - 2.0, intercept + 2.0)
        if world.name != "null":
            scale = _solve(partial(lift, intercept), demo.oracle_lift, 0.0, LARGEST_SCALE)
    return with_values(intercept, scale)


def _solve(function: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where a rising function reaches ``wanted`` to a thousandth, or the nearer end.

    False position with the Illinois rule (Dowell and Jarratt 1971): the weight of an end that stays is halved.
    """
    under, over, middle, last = function(low) - wanted, function(high) - wanted, low, 0
    if under >= 0.0 or over <= 0.0:
        return low if under >= 0.0 else high
    for _ in range(30):
        middle = (low * over - high * under) / (over - under)
        found = function(middle) - wanted
        if abs(found) <= 1e-3 * wanted:
            break
        side = 1 if found > 0.0 else -1
        if side > 0:
            high, over, under = middle, found, under * (0.5 if last == side else 1.0)
        else:
            low, under, over = middle, found, over * (0.5 if last == side else 1.0)
        last = side
    return middle
