"""What the policy is and what is known about it: off-policy estimates, slices, what each region favours, lineage."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from keyart.report import cards, evidence, wording
from keyart.report.catalogue import Catalogue
from keyart.report.facts import Row

__all__ = ["favours", "policy_page"]

SHOWN = ("control", "primary", "secondary", "guardrail", "incrementality", "cost")
"""Kinds of experiment_results that have a line."""
FEATURES = 14
"""Rows of the table of what regions favour."""
FEWEST = 8
"""Artworks a cell must know before a correlation is shown."""


def policy_page(catalogue: Catalogue) -> dict[str, Any]:
    """What templates/policy.html shows."""
    facts = catalogue.facts
    policy = facts.policy
    return {
        "policy": policy,
        "created": wording.moment(policy["created_at"]) if policy else None,
        "spec": flat(policy["spec"]) if policy else [],
        "models": flat(policy["models"]) if policy else [],
        "data_versions": flat(policy["data_versions"]) if policy else [],
        "headline": evidence.headline(facts),
        "ladder": evidence.ladder(facts),
        "blocks": evidence.table(facts),
        "slices": evidence.slices(facts),
        "favours": _favours_table(catalogue),
        "decisions": _decisions(facts.decisions),
        "experiments": [_experiment(row) for row in facts.experiments if row["kind"] in SHOWN],
        "conduct": cards.conduct(facts),
        "segments": cards.segments(facts),
        "faults": cards.known_faults(facts) if policy else [],
        "cards": sorted(cards.card_files(facts)),
    }


def flat(text: str) -> list[tuple[str, str]]:
    """A JSON object as (path, value) lines in its own order; text that is no JSON object is one line.

    >>> flat('{"limits": {"changes": 2}, "levels": ["user", "region"]}')
    [('limits · changes', '2'), ('levels', 'user, region')]
    """
    try:
        tree = json.loads(text)
    except ValueError:
        tree = text
    if not isinstance(tree, dict):
        return [("", str(tree))] if tree not in (None, "") else []
    return list(_lines(tree, ()))


def _lines(tree: Mapping[str, Any], path: tuple[str, ...]):
    for key, value in tree.items():
        here = (*path, wording.named(str(key)))
        if isinstance(value, dict) and path and not any(isinstance(item, dict | list) for item in value.values()):
            yield " · ".join(here), ", ".join(f"{name} {item}" for name, item in value.items())
        elif isinstance(value, dict):
            yield from _lines(value, here)
        elif isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
            yield " · ".join(here), ", ".join(map(str, value))
        else:
            yield " · ".join(here), value if isinstance(value, str) else json.dumps(value)


def favours(features: np.ndarray, titles: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Correlation, within titles, of each feature with a cell's posterior means.

    ``features`` (A, F), ``titles`` (A,) any ids, ``means`` (A,) with NaN where the cell knows nothing; returns (F,), 0
    where a feature does not vary. Both sides are centred within the title, so that a popular film is not a liked look.
    """
    known = np.isfinite(means)
    x, y, groups = features[known].astype(float), means[known].astype(float), titles[known]
    _, index = np.unique(groups, return_inverse=True)
    sizes = np.bincount(index).astype(float)
    y = y - (np.bincount(index, y) / sizes)[index]
    sums = np.zeros((len(sizes), x.shape[1]))
    np.add.at(sums, index, x)
    x = x - (sums / sizes[:, None])[index]
    scale = np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    return np.divide(x.T @ y, scale, out=np.zeros(x.shape[1]), where=scale > 1e-12)


def _favours_table(catalogue: Catalogue) -> dict[str, Any] | None:
    names = list(catalogue.facts.feature_names)
    rows = [row for row in catalogue.facts.artworks if len(row["features"]) == len(names)]
    if not names or len(rows) < FEWEST or not catalogue.regions:
        return None
    rows = sorted(rows, key=lambda row: row["artwork_id"])
    features = np.array([row["features"] for row in rows], dtype=float)
    titles = np.array([row["title_id"] for row in rows])
    columns, heads = [], []
    for region in catalogue.regions:
        found = {r["artwork_id"]: r["mean"] for t in catalogue.title for r in catalogue.cell("region", region.name, t)}
        means = np.array([found.get(row["artwork_id"], np.nan) for row in rows])
        if np.isfinite(means).sum() >= FEWEST:
            columns.append(favours(features, titles, means))
            heads.append(region)
    if not columns:
        return None
    table = np.stack(columns, axis=1)
    order = np.argsort(-(table.max(axis=1) - table.min(axis=1)) - np.abs(table).max(axis=1), kind="stable")[:FEATURES]
    lines = [{"name": wording.named(names[f]), "cells": [_shade(v) for v in table[f]]} for f in order]
    return {"heads": heads, "lines": lines}


def _shade(value: float) -> dict[str, Any]:
    return {
        "value": f"{value:+.2f}".replace("-", wording.MINUS),
        "tint": round(min(abs(float(value)) / 0.7, 1.0) * 100),
        "sign": "below" if value < 0 else "above",
    }


def _decisions(row: Row | None) -> list[tuple[str, str]]:
    if row is None:
        return []
    return [
        ("decisions", wording.count(row["n"])),
        ("takes", wording.count(row["takes"])),
        ("take fraction", wording.percent(row["takes"] / row["n"], 2) if row["n"] else wording.NOTHING),
        ("first day", wording.day(row["first"])),
        ("last day", wording.day(row["last"])),
    ]


def _experiment(row: Row) -> dict[str, Any]:
    interval = f"{row['lower']:+.4g} to {row['upper']:+.4g}" if row["lower"] is not None else wording.NOTHING
    mean = wording.NOTHING if row["mean"] is None else f"{row['mean']:.4g}"
    return {**row, "members": wording.count(row["members"]), "mean": mean, "interval": interval}
