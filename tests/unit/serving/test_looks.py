"""What artworks look like: standardised, of length 1, mapped, and refused where a file says what no bundle says."""

import numpy as np
import pyarrow as pa
import pytest

from keyart.errors import InputError
from keyart.policy.page import apart
from keyart.serving.looks import MappedLooks, looks_of, write_looks

IDS = [f"a{i:03d}" for i in range(200)]


@pytest.fixture
def features():
    rng = np.random.default_rng(4)
    found = rng.normal(size=(len(IDS), 12)) * np.arange(1, 13) + 5
    found[:, 7] = 0.1  # the same everywhere
    return found


def test_looks_compare_as_standardised_features_do(features, tmp_path):
    kept, looks = looks_of(pa.array(features.tolist()))
    assert kept.tolist() == list(range(len(IDS))) and looks.dtype == np.float32
    varied = np.delete(features, 7, axis=1)
    exact = (varied - varied.mean(axis=0)) / varied.std(axis=0)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(np.delete(looks, 7, axis=1), exact, atol=2e-6)
    assert not looks[:, 7].any()
    write_looks(tmp_path / "looks.arrow", kept, looks)
    mapped, wanted = MappedLooks(tmp_path / "looks.arrow", IDS, whole=True), dict(zip(IDS, exact, strict=True))
    for most in (-0.5, 0.0, 0.4):
        alike, expected = mapped.alike(most), apart(wanted, most)
        for one in IDS[:20]:
            assert [alike(one, other) for other in IDS] == [expected(one, other) for other in IDS]
    for unknown in ("", "a0005", "zzz"):
        assert mapped.look(unknown) is None and not mapped.alike(-1)(unknown, IDS[0])


def test_vectors_of_another_length_are_left_out():
    kept, looks = looks_of(pa.array([[1.0, 2.0], None, [3.0], [], [2.0, 1.0], [5.0, None]]))
    assert kept.tolist() == [0, 4, 5] and looks.shape == (3, 2) and np.isfinite(looks).all()
    for nothing in ([], [None], [[], []]):
        kept, looks = looks_of(pa.array(nothing, pa.list_(pa.float64())))
        assert len(kept) == 0 and looks.size == 0


def test_artworks_in_any_order_give_the_same_bytes_and_rows_stay_in_the_file(features, tmp_path):
    _, looks = looks_of(pa.array(features.tolist()))
    order = np.random.default_rng(1).permutation(len(IDS))[:50]
    write_looks(tmp_path / "one", order, looks[order])
    write_looks(tmp_path / "two", np.sort(order), looks[np.sort(order)])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    before = pa.total_allocated_bytes()
    mapped = MappedLooks(tmp_path / "one", IDS, whole=True)
    assert pa.total_allocated_bytes() == before and not mapped._looks.flags.writeable
    for code in order:
        np.testing.assert_array_equal(mapped.look(IDS[code]), looks[code])
    assert mapped.look(IDS[int(np.setdiff1d(np.arange(len(IDS)), order)[0])]) is None


def test_a_bundle_without_any_features_has_none_alike(tmp_path):
    write_looks(tmp_path / "looks.arrow", np.empty(0, np.int64), np.empty((0, 0), np.float32))
    assert not MappedLooks(tmp_path / "looks.arrow", IDS, whole=True).alike(-1)(IDS[0], IDS[0])


@pytest.mark.parametrize(
    ("artworks", "looks", "says"),
    [
        ([1, 200], np.eye(2), "speaks of what the bundle does not hold"),
        ([1, 1], np.eye(2), "speaks of what the bundle does not hold"),
        ([1, 2], np.full((2, 2), np.nan), "speaks of what the bundle does not hold"),
    ],
)
def test_looks_that_lead_astray_are_seen(artworks, looks, says, tmp_path):
    write_looks(tmp_path / "looks.arrow", np.array(artworks), looks)
    with pytest.raises(InputError, match=says):
        MappedLooks(tmp_path / "looks.arrow", IDS, whole=True)


def test_looks_of_different_lengths_are_refused(tmp_path):
    offsets, values = pa.array([0, 1, 4], pa.int64()), pa.array(np.ones(4, np.float32))
    columns = [pa.array([0, 1], pa.uint32()), pa.LargeListArray.from_arrays(offsets, values)]
    schema = pa.schema([("artwork", pa.uint32()), ("look", pa.large_list(pa.float32()))])
    with pa.ipc.new_file(tmp_path / "looks.arrow", schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    with pytest.raises(InputError, match="different lengths"):
        MappedLooks(tmp_path / "looks.arrow", IDS)
