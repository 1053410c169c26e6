"""Rows of region_assignments: one level's cell, or a segment of its members, in one context at a time."""

import numpy as np
import pyarrow as pa

from keyart.policy.contexts import EVERY, moved
from keyart.policy.leaning import leaning_shelf
from keyart.policy.levels import SEGMENT, segment_cell
from keyart.policy.plan import Assignment
from keyart.policy.reasons import level_reasons

__all__ = ["LEVEL_ROWS", "level_rows"]

LEVEL_ROWS = pa.schema(
    [
        *((name, pa.string()) for name in ("policy_id", "level", "cell", "context", "title_id", "artwork_id")),
        *((name, pa.float64()) for name in ("probability", "mean", "sd")),
        *((name, pa.int64()) for name in ("n", "takes")),
        ("is_default", pa.bool_()),
        ("reason", pa.string()),
    ]
)


def level_rows(plan: Assignment, place: int, online: bool) -> pa.RecordBatch:
    """Rows of one ``place``: a cell of the levels in one of the plan's ways; ``online`` as a stream moved them."""
    cell, way = divmod(place, plan.ways)
    segment, where = divmod(way, 1 + len(plan.contexts))  # 0 is all members, 0 is everywhere
    shelves, row, (level, name), context = plan.shelves, cell, plan.levels.cells[cell], EVERY
    wanted, leanings = plan.written[cell], []
    if segment:
        leanings.append(plan.segments.tastes[segment - 1])
        level, name = SEGMENT, segment_cell(level, name, plan.segments.names[segment - 1])
    if where:
        leanings.append(plan.contexts.leanings[where - 1])
        context = plan.contexts.names[where - 1]
    if leanings:
        shelves, differs = leaning_shelf(shelves, leanings, cell, plan.policy.minimum_gain)
        wanted, row = wanted & differs, 0
    slate, arrays = shelves.slate, shelves.slate.arrays
    means, kept = shelves.means[row], np.flatnonzero(wanted)
    if not len(kept):
        return pa.RecordBatch.from_pylist([], LEVEL_ROWS)
    unmasked = {**arrays, "cell_mean": shelves.means}
    columns = {
        "policy_id": [plan.policy.policy_id] * len(kept),
        "level": [level] * len(kept),
        "cell": [name] * len(kept),
        "context": [moved(context) if online else context] * len(kept),
        "title_id": slate.title_ids[slate.title_index[kept]],
        "artwork_id": slate.artwork_ids[kept],
        "probability": shelves.probabilities(plan.policy.exploration, row, plan.policy.floor)[kept],
        "mean": means[kept].astype(np.float64),
        "sd": np.asarray(arrays["cell_sd"])[row, kept].astype(np.float64),
        "n": np.asarray(arrays["cell_n"])[row, kept].round().astype(np.int64),
        "takes": np.asarray(arrays["cell_takes"])[row, kept].round().astype(np.int64),
        "is_default": shelves.defaults(row)[kept],
        "reason": level_reasons(unmasked, row, slate.known, plan.feature_names, kept),
    }
    return pa.RecordBatch.from_pydict(columns, LEVEL_ROWS)
