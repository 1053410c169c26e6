"""Values whose arrays lie in a file beside a small handle, or travel with it."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from keyart import sharing
from keyart.errors import SetupError
from keyart.sharing import shared


@dataclass(frozen=True)
class Tables:
    rates: np.ndarray
    codes: np.ndarray
    names: tuple[str, ...]


@pytest.fixture
def value() -> Tables:
    return Tables(np.arange(200_000.0).reshape(2, -1), np.array([], dtype=np.int32), ("a", "b"))


def as_worker(handle):
    """What another process would load."""
    sharing._LOADED.clear()
    return pickle.loads(pickle.dumps(handle)).value()  # noqa: S301


@pytest.mark.parametrize("with_file", [True, False])
def test_a_worker_loads_what_the_driver_shared(value, tmp_path, with_file):
    with shared(value, str(tmp_path) if with_file else None) as handle:
        found = as_worker(handle)
        np.testing.assert_array_equal(found.rates, value.rates)
        assert found.codes.dtype == np.int32 and found.names == value.names
        size = len(pickle.dumps(handle))
        assert size < 5_000 if with_file else size > value.rates.nbytes
        assert handle.value() is found  # loaded once a process


def test_what_a_worker_changes_is_its_own(value, tmp_path):
    with shared(value, str(tmp_path)) as handle:
        as_worker(handle).rates[0, 0] = -1.0
        assert as_worker(handle).rates[0, 0] == 0.0


def test_the_file_goes_with_the_context(value, tmp_path):
    with shared(value, str(tmp_path)) as handle:
        assert Path(handle.path).exists()
    assert not list(tmp_path.iterdir())
    with pytest.raises(SetupError, match="shared_folder"):
        as_worker(handle)
