"""Contexts of an answer: a device in a part of the day, or one of them alone; their names, and what each leans to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

__all__ = [
    "ANYWHERE",
    "DAY_PART",
    "DEVICE",
    "EVERY",
    "OF_STREAM",
    "ONLINE",
    "PolicyContexts",
    "alone_of",
    "context_cell",
    "moved",
    "where_of",
]

EVERY = "*"
"""The context of who names none."""
ONLINE = "online"
"""Begins the context of rows that stream-feedback moved: they answer before those that assign-artwork wrote, which stay
what a policy is judged by."""


DEVICE, DAY_PART = "device", "day part"
"""Levels in ``policy_weights`` of what a device or a part of the day adds to them all."""
OF_STREAM = f"(context = '{ONLINE}' OR context LIKE '{ONLINE}|%|%')"
"""SQL condition for rows that a stream wrote."""


def context_cell(device: str | None, day_part: str | None = None) -> str:
    """The name of a context in ``region_assignments``, and what ``resolve`` is asked with.

    >>> context_cell("tv", "evening"), context_cell("tv"), context_cell(None, "evening"), context_cell(None)
    ('tv|evening', 'tv|*', '*|evening', '*')
    """
    return f"{device or EVERY}|{day_part or EVERY}" if device or day_part else EVERY


def where_of(context: str) -> str:
    """A context in words, to follow whom or what it is of.

    >>> where_of("tv|evening"), where_of("tv|*"), where_of("*|evening"), where_of("*")
    (' on tv in the evening', ' on tv', ' in the evening', '')
    """
    device, _, part = context.partition("|")
    on, at = f" on {device}" if device != EVERY else "", f" in the {part}" if part not in ("", EVERY) else ""
    return on + (at if part != "night" else " at night")


def alone_of(context: str) -> tuple[str, str]:
    """The level and cell in ``policy_weights`` of a context that is of a device or of a part of the day alone; "" of
    others.

    >>> alone_of("tv|*"), alone_of("*|evening"), alone_of("tv|evening"), alone_of("*")
    (('device', 'tv'), ('day part', 'evening'), ('', ''), ('', ''))
    """
    device, _, part = context.partition("|")
    if part == EVERY:
        return DEVICE, device
    return (DAY_PART, part) if part and device == EVERY else ("", "")


def moved(context: str) -> str:
    """The name under which a stream writes a context's rows.

    >>> moved("*"), moved("tv|evening")
    ('online', 'online|tv|evening')
    """
    return ONLINE if context == EVERY else f"{ONLINE}|{context}"


@dataclass(frozen=True)
class PolicyContexts:
    """The contexts in which a policy may show another default; G of them, none where contexts do not matter."""

    names: tuple[str, ...] = ()
    leanings: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    """(G, D) what a context adds to a level's score of an artwork, by the artwork's coordinates."""
    sds: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    """(G, F) standard deviations of what a device, or a part, adds by named features; of both together not known."""

    @classmethod
    def of(cls, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "PolicyContexts":
        """From a response model: its devices and parts of the day together, and each alone."""
        devices, parts = (tuple(about.get(name, ())) for name in ("devices", "day_parts"))
        if not devices or not parts:
            return ANYWHERE
        pairs = list(product((*range(len(devices)), None), (*range(len(parts)), None)))[:-1]
        names = [context_cell(d if d is None else devices[d], p if p is None else parts[p]) for d, p in pairs]
        ways = [[*([] if d is None else [d]), *([] if p is None else [len(devices) + p])] for d, p in pairs]
        weights, sds = np.asarray(arrays["context_weights"]), np.asarray(arrays["context_features_sd"])
        alone = [sds[way[0]] if len(way) == 1 else np.full(sds.shape[1], np.nan) for way in ways]
        return cls(tuple(names), np.stack([weights[way].sum(axis=0) for way in ways]), np.stack(alone))

    def __len__(self) -> int:
        return len(self.names)


ANYWHERE = PolicyContexts()
