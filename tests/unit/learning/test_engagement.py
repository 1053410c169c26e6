"""Blocks from engagement rows: names in any script, titles nobody knows, members without a region."""

import numpy as np
import pyarrow as pa

from keyart.learning.blocks import pack, unpack
from keyart.learning.blocks_spark import whole_members
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


def test_rows_may_come_in_any_order_also_those_of_two_members_with_one_hash():
    said = [
        ("a", "region", "SE", 2.0, 3.0),
        ("a", "title", "映画", 0.5, 0.5),
        ("a", "title", "7", 1.0, 1.0),
        ("b", "title", "a title", None, 0.25),
        ("b", "genre", "drama", 1.0, 2.0),
        ("b", "region", "JP", 1.0, 1.0),
    ]
    build = block_builder(CATALOGUE)
    sorted_rows, mixed = build(rows(*said)), build(rows(*(said[i] for i in (1, 5, 3, 0, 4, 2))))
    assert sorted_rows["member"].tolist() == [0, 0, 1] and sorted_rows["title"].tolist() == [0, 2, 1]
    for name, array in sorted_rows.items():
        if name != "mark":
            np.testing.assert_array_equal(mixed[name], array, name)


def test_a_cut_between_blocks_parts_no_members_that_have_one_hash():
    table = rows(*((member, "region", "SE", 1.0, 1.0) for member in "aabcbcd"))
    placed = table.append_column("place", pa.array([1, 1, 2, 2, 2, 2, 3], pa.int64()))
    found = [one.column("user_key").to_pylist() for one in whole_members(iter(placed.to_batches(2)), 3, "place")]
    assert found == [["a", "a"], ["b", "c", "b", "c"], ["d"]]
