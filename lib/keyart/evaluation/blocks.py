"""Whole members as a block: what an evaluation needs of them, coded, about eight bytes a decision.

A block is kept between evaluations; codes are places in the lists of the evaluation it was made for, which its source's
key tells. Numbers are stored as narrow as their values allow and come back as the kernels want them.
"""

import numpy as np

from keyart.evaluation.examination import Members, Rows
from keyart.evaluation.targets import Overrides
from keyart.learning.blocks import Arrays

__all__ = ["from_block", "narrow", "to_block"]


def narrow(values: np.ndarray) -> np.ndarray:
    """Integers of the smallest unsigned kind that holds them; signed where one is negative.

    >>> narrow(np.array([3, 255])).dtype, narrow(np.array([-1, 3])).dtype
    (dtype('uint8'), dtype('int16'))
    """
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    return values.astype(np.result_type(np.min_scalar_type(low), np.min_scalar_type(high)))


def to_block(rows: Rows, members: Members) -> Arrays:
    """Named arrays of whole members, each with a decision."""
    chances, chance = np.unique(rows.propensity, return_inverse=True)
    rewarded = np.flatnonzero(rows.outcome.any(axis=1))
    known = np.flatnonzero(members.standard.any(axis=1))
    own = members.overrides
    first = int(own.offsets[0])
    kept = slice(first, int(own.offsets[-1]))
    return {
        "decisions": narrow(np.bincount(rows.member, minlength=len(members.codes))),
        "sets": narrow(rows.sets),
        "region": narrow(rows.region),
        "context": narrow(rows.context),
        "kids": rows.kids.astype(np.bool_),
        "day": narrow(rows.day),
        "device": narrow(rows.device),
        "devices": np.array([name.encode() for name in rows.devices] or [b""]),
        "slot": narrow(rows.slot),
        "best": narrow(rows.best),
        "chance": narrow(chance),
        "chances": chances,
        "rewarded": narrow(rewarded),
        "outcome": rows.outcome[rewarded],
        "codes": members.codes,
        "fold": narrow(members.fold),
        "known": narrow(known),
        "standard": members.standard[known],
        "segment": narrow(members.segment),
        "history": narrow(members.history),
        "own": narrow(np.diff(own.offsets)),
        "own_title": narrow(own.title[kept]),
        "own_policy": narrow(own.policy[kept]),
        "own_artwork": narrow(own.artwork[kept]),
        "own_gain": own.gain[kept].astype(np.float32),
        "among": own.segment.astype(np.uint8),
    }


def from_block(block: Arrays) -> tuple[Rows, Members]:
    """What ``to_block`` was given; gains in single precision."""

    def wide(name: str) -> np.ndarray:
        return block[name].astype(np.int64)

    codes, decisions = block["codes"], wide("decisions")
    outcome = np.zeros((len(block["sets"]), block["outcome"].shape[1]))
    outcome[block["rewarded"]] = block["outcome"]
    standard = np.zeros((len(codes), block["standard"].shape[1]))
    standard[block["known"]] = block["standard"]
    rows = Rows(
        member=np.repeat(np.arange(len(codes)), decisions),
        sets=wide("sets"),
        region=wide("region"),
        context=wide("context"),
        kids=block["kids"].copy(),
        day=wide("day"),
        device=wide("device"),
        devices=tuple(name.decode() for name in block["devices"].tolist()),
        slot=wide("slot"),
        best=wide("best"),
        propensity=block["chances"][block["chance"]],
        outcome=outcome,
    )
    title, policy, artwork = (block[f"own_{name}"].astype(np.int32) for name in ("title", "policy", "artwork"))
    offsets = np.concatenate([[0], np.cumsum(wide("own"))])
    own = Overrides(offsets, title, policy, artwork, block["own_gain"].astype(np.float64), block["among"].copy())
    return rows, Members(codes.copy(), wide("fold"), standard, wide("segment"), wide("history"), own)
