"""Blocks from engagement rows: names in any script, titles nobody knows, members without a region."""

import numpy as np
import pyarrow as pa

from keyart.learning.blocks import pack, unpack
from keyart.learning.engagement_spark import Catalogue, block_builder

CATALOGUE = Catalogue(["7", "a title", "映画"], ["drama"], np.ones((3, 1)))


def rows(*said: tuple) -> pa.Table:
    """Rows (member, kind, name, early, late)."""
    member, kind, name, early, late = map(list, zip(*said, strict=True))
    n = len(said)
    return pa.table(
        {
            "user_key": member,
            "user_bucket": pa.array([9] * n, pa.int32()),
            "kind": kind,
            "name": name,
            "early": pa.array(early, pa.float64()),
            "late": pa.array(late, pa.float64()),
            "kids": [False] * n,
            "mark": pa.array(range(n), pa.int64()),
        }
    )


def test_names_may_be_of_any_script_and_unknown_titles_are_left_out():
    block = block_builder(CATALOGUE)(
        rows(
            ("a", "region", "Ελλάδα", 1.0, 1.0),
            ("a", "title", "7", None, 0.5),
            ("a", "title", "gone", 1.0, 1.0),
            ("a", "title", "映画", 1.0, 1.0),
            ("b", "title", "a title", 0.25, 0.5),
        )
    )
    assert block["title"].tolist() == [0, 2, 1] and block["member"].tolist() == [0, 0, 1]
    np.testing.assert_array_equal(block["early"], [np.nan, 1.0, 0.25])
    assert [name.decode() for name in unpack(pack(block))["region_late"]] == ["Ελλάδα", ""]


def test_nobody_need_have_a_region():
    block = block_builder(CATALOGUE)(rows(("a", "title", "7", 1.0, 1.0)))
    assert not block["present"].any() and block["region_early"].tolist() == [b""]
