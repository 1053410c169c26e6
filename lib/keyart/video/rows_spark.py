"""The rows that pass between a scan's tasks, and packing arrays into them."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from keyart.video.exchange import SIGNALS, THUMB, Part

__all__ = ["FILM", "arrow_lists", "batch", "lists", "names", "packed", "rows", "unpacked_part"]

FILM = "video_id string, title_id string, scan_id string, uri string, rotation int, tick double"
"""What every task knows of a film; ``tick`` is seconds per pts."""

_ARROW = {"string": pa.string(), "int": pa.int32(), "long": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(),
          "binary": pa.binary()}  # fmt: skip


def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[dict]:
    """One row after the other; a batch's rows may be large, so they are never all in Python at once."""
    for found in batches:
        for index in range(found.num_rows):
            yield found.slice(index, 1).to_pylist()[0]


def names(schema: str) -> list[str]:
    """Column names of a flat schema string."""
    return [part.split(" ")[0] for part in schema.split(", ")]


def batch(schema: str, found: Sequence[dict]) -> pa.RecordBatch:
    """Rows of flat columns as an Arrow batch in the schema's order; a missing column is null."""
    kinds = dict(part.split(" ") for part in schema.split(", "))
    return pa.RecordBatch.from_pydict(
        {name: pa.array([row.get(name) for row in found], _ARROW[kind]) for name, kind in kinds.items()}
    )


def lists(flat: str) -> str:
    """The SQL type of a list of records with the columns of a flat schema string."""
    return f"array<struct<{', '.join(part.replace(' ', ': ') for part in flat.split(', '))}>>"


def arrow_lists(flat: str) -> pa.DataType:
    """The same for Arrow."""
    return pa.list_(pa.struct([(part.split(" ")[0], _ARROW[part.split(" ")[1]]) for part in flat.split(", ")]))


def packed(part: Part) -> dict:
    """A part's arrays as binary columns."""
    return {
        "frames": len(part.pts),
        "first_pts": int(part.pts[0]),
        "last_pts": int(part.pts[-1]),
        "pts": part.pts.tobytes(),
        "keyframe": part.keyframe.tobytes(),
        "damaged": part.damaged.tobytes(),
        "signals": part.signals.tobytes(),
        "thumbs": part.thumbs.tobytes(),
    }


def unpacked_part(row: dict) -> Part:
    """The arrays again; thumbs are empty where the column was dropped."""
    return Part(
        np.frombuffer(row["pts"], np.int64),
        np.frombuffer(row["keyframe"], bool),
        np.frombuffer(row["damaged"], bool),
        np.frombuffer(row["signals"], np.float64).reshape(-1, len(SIGNALS)),
        np.frombuffer(row.get("thumbs") or b"", np.uint8).reshape(-1, THUMB[1], THUMB[0]),
    )
