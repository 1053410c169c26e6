"""Arrow columns as arrays, with nulls and slices as Spark sends them."""

import numpy as np
import pyarrow as pa
import pytest

from keyart.policy.columns import codes, owners, per_text, vectors


def test_vectors_keep_missing_rows_as_zeros():
    column = pa.array([[9.0, 9.0], [1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32())).slice(1)
    matrix, present = vectors(column, 2)
    np.testing.assert_array_equal(matrix, [[1, 2], [0, 0], [3, 4]])
    assert present.tolist() == [True, False, True]


def test_vectors_of_another_length_are_refused():
    with pytest.raises(ValueError, match="3 numbers, the model wants 2"):
        vectors(pa.array([[1.0, 2.0], [1.0, 2.0, 3.0]]), 2)


def test_vectors_may_be_empty():
    """A catalogue without genres has genre mixes of length 0."""
    matrix, present = vectors(pa.array([[], None, []], pa.list_(pa.float32())), 0)
    assert matrix.shape == (3, 0)
    assert present.tolist() == [True, False, True]


def test_owners_of_flattened_lists():
    column = pa.array([["x"], [], None, ["a", "b"], ["c"]]).slice(1)
    assert owners(column).tolist() == [2, 2, 3]
    assert column.flatten().to_pylist() == ["a", "b", "c"]


def test_codes_and_texts():
    column = pa.array(["b", None, "z", "a"])
    assert codes(column, ["a", "b"]).tolist() == [1, -1, -1, 0]
    place, values = per_text(pa.array(["SE", None, "NO", "SE", None]))
    assert [values[i] for i in place] == ["SE", None, "NO", "SE", None]
