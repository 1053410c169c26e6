"""Hold what the learner assigned and claimed against the truth about the simulated audience."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keyart.demo.truth import Truth
from keyart.errors import InputError
from keyart.feedback.privacy import user_keys
from keyart.seeding import BUCKETS, bucket

__all__ = ["conclusions", "judge", "judged_part"]

SUBJECTS = {
    "user": "user-level assignment",
    "segment": "segment-level assignment",
    "context": "region-level assignment on the device and at the time of day",
    "region": "region-level assignment",
    "global": "one artwork per title for all",
    "served": "the policy as served",
    "uniform": "uniform",
}
OBJECTS = {
    **SUBJECTS,
    "user": "user-level",
    "segment": "segment-level",
    "context": "region-level by device and time",
    "region": "region-level",
}
NOTHING = 1e-9
"""Relative differences below this are the arithmetic's."""


def judged_part(truth: Truth, secret: bytes, first: int, end: int, holdout_share: float) -> Truth:
    """The truth's pages of days [first, end) of members no model trained on, with user keys for member ids.

    Where nobody is held out (share 0) all members count.
    """
    keys = user_keys(secret, [str(member) for member in truth.member_ids])
    held = round(BUCKETS * holdout_share) or BUCKETS
    chosen = np.array([bucket(key) < held for key in keys])
    return replace(truth.within(first, end, chosen), member_ids=np.array(keys))


def judge(truth: Truth, shown: Mapping[str, Any], evaluations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """True worth of the assignments on the truth's pages, and whether the evaluations' claims hold.

    ``truth`` comes from ``judged_part``. ``shown`` has the columns user_key, title_id, global_artwork, region_artwork
    and user_artwork, one row a member and title. A member it lacks has what others of the region have, else the global
    artwork, else the editors' default. ``evaluations`` are rows of the table. InputError where an artwork is not one
    that the audience was shown.
    """
    everyone, regional, personal = _choices(truth, shown)
    uniform = truth.value_of(truth.uniform())
    user, region = truth.value_of(personal), truth.value_of(regional)
    best = truth.value_of(truth.best_of_groups(np.zeros(len(truth.region), dtype=np.int64)))
    oracle = truth.oracle_value()
    alone = truth.value_alone(personal)
    interval = _interval(evaluations)
    return {
        "decisions": truth.decisions,
        "members": len(np.unique(truth.pages.member)),
        "values": {
            "uniform": uniform,
            "global": truth.value_of(everyone),
            "region": region,
            "user": user,
            "best_single": best,
            "best_region": truth.value_of(truth.best_of_groups(truth.region)),
            "oracle_observable": oracle,
            "oracle_full": truth.oracle_value(private=True),
        },
        "lift_global_vs_uniform": _lift(truth.value_of(everyone), uniform),
        "lift_region_vs_uniform": _lift(region, uniform),
        "lift_user_vs_uniform": _lift(user, uniform),
        "lift_user_vs_best_single": _lift(user, best),
        "lift_user_vs_region": _lift(user, region),
        "oracle_lift": _lift(oracle, uniform),
        "share_of_oracle": (user - uniform) / (oracle - uniform) if _lift(oracle, uniform) > 0.0 else None,
        "ope_interval_user": interval,
        "truth_in_interval": _inside(user, interval),
        # Titles on a page compete, so a policy followed everywhere gains less than its single decisions do.
        "value_user_alone": alone,
        "value_alone_in_interval": _inside(alone, interval),
        "conclusions": conclusions(evaluations),
    }


def conclusions(evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    """What may be said in plain words, from the claims of the doubly robust evaluations alone.

    >>> conclusions([{"target": "user", "baseline": "uniform", "estimator": "dr", "metric": "reward", "slice": "*",
    ...               "claim": True, "lift": 0.14, "lift_lower": 0.09, "lift_upper": 0.19, "verdict": "ok"}])
    ['user-level assignment beats uniform by 14% (95%: 9 to 19)']
    """
    rows = _rows(evaluations)
    against_uniform = [rows[key] for key in rows if key[1] == "uniform" and key[0] != "uniform"]
    said = []
    if against_uniform and not any(row["claim"] for row in against_uniform):
        said.append("no lift over uniform can be claimed" + _because(against_uniform))
    else:
        said += [_sentence(row) for row in against_uniform]
    said += [_sentence(row) for (target, baseline), row in rows.items() if baseline not in ("uniform", target)]
    return said or ["nothing was evaluated, so nothing can be claimed"]


def _sentence(row: Mapping[str, Any]) -> str:
    target, baseline = row["target"], row["baseline"]
    against = OBJECTS.get(baseline, baseline)
    if row["claim"]:
        low, high = 100.0 * row["lift_lower"], 100.0 * row["lift_upper"]
        subject = SUBJECTS.get(target, target)
        return f"{subject} beats {against} by {100.0 * row['lift']:.0f}% (95%: {low:.0f} to {high:.0f})"
    what = "lift" if baseline == "uniform" else "gain"
    return f"no {OBJECTS.get(target, target)} {what} over {against} can be claimed" + _because([row])


def _because(rows: Sequence[Mapping[str, Any]]) -> str:
    reasons = sorted({row["verdict"] for row in rows} - {"ok", None})
    return f": {'; '.join(reasons)}" if reasons else ""


def _rows(evaluations: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    order = list(SUBJECTS)
    rows = [row for row in evaluations if (row["estimator"], row["metric"], row["slice"]) == ("dr", "reward", "*")]
    rows.sort(key=lambda row: tuple(order.index(name) if name in order else 9 for name in _pair(row)))
    return {_pair(row): row for row in rows}


def _pair(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["target"], row["baseline"]


def _interval(evaluations: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    for (target, _), row in _rows(evaluations).items():
        if target == "user" and row["lower"] is not None and row["upper"] is not None:
            return float(row["lower"]), float(row["upper"])
    return None


def _inside(value: float, interval: tuple[float, float] | None) -> bool | None:
    return None if interval is None else interval[0] <= value <= interval[1]


def _lift(value: float, base: float) -> float:
    lift = value / base - 1.0 if base > 0.0 else 0.0
    return lift if abs(lift) > NOTHING else 0.0


def _choices(truth: Truth, shown: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slots (M, T) shown to the truth's members at the levels global, region and user."""
    member = _positions(truth.member_ids, shown["user_key"])
    title = _positions(truth.title_ids, shown["title_id"])
    slot_of = np.full(len(truth.artwork_ids), -1, dtype=np.int64)
    slot_of[truth.slots[truth.slots >= 0]] = np.nonzero(truth.slots >= 0)[1]
    title_of = np.full(len(truth.artwork_ids), -1, dtype=np.int64)
    title_of[truth.slots[truth.slots >= 0]] = np.nonzero(truth.slots >= 0)[0]
    rows = np.flatnonzero((member >= 0) & (title >= 0))
    member, title = member[rows], title[rows]

    def slots(level: str) -> np.ndarray:
        names = np.asarray(shown[f"{level}_artwork"]).astype(str)[rows]
        artwork = _positions(truth.artwork_ids, names)
        wrong = np.flatnonzero((artwork < 0) | (title_of[artwork] != title))
        if len(wrong):
            title_id = truth.title_ids[title[wrong[0]]]
            raise InputError(f"artwork {names[wrong[0]]} of title {title_id} is not one that the audience was shown")
        return slot_of[artwork]

    of_world, of_region, of_member = slots("global"), slots("region"), slots("user")
    everyone = np.zeros(len(truth.title_ids), dtype=np.int64)
    everyone[title] = of_world
    by_region = np.tile(everyone, (len(truth.regions), 1))
    by_region[truth.region[member], title] = of_region
    regional = by_region[truth.region]
    regional[member, title] = of_region
    personal = regional.copy()
    personal[member, title] = of_member
    return np.tile(everyone, (len(regional), 1)), regional, personal


def _positions(known: np.ndarray, names: Any) -> np.ndarray:
    """Where each name stands among the known ones, -1 where it does not."""
    names = np.asarray(names).astype(str)
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known, names, sorter=order), len(known) - 1)
    return np.where(known[order[at]] == names, order[at], -1)
