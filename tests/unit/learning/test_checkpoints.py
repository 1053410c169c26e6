"""What is kept on the way to title factors comes back, and nothing else does."""

import numpy as np
import pytest

from keyart.errors import ModelError
from keyart.learning.checkpoints import Checkpoints, Progress

START = Progress(np.zeros((2, 3)))


def test_what_was_kept_last_comes_back_under_its_name_alone(tmp_path):
    kept = Checkpoints(str(tmp_path / "new" / "folder"), "a")
    assert kept.load(START) is START
    for objective in (5.0, 4.0):
        kept.save(Progress(np.full((2, 3), objective), [9.0, objective]))
    found = kept.load(START)
    assert (found.titles == 4).all() and found.objectives == [9.0, 4.0]
    assert Checkpoints(kept.folder, "b").load(START) is START
    kept.clear()
    kept.clear()
    assert kept.load(START) is START


def test_without_a_folder_nothing_is_kept():
    nowhere = Checkpoints("", "a")
    nowhere.save(START)
    nowhere.clear()
    assert nowhere.load(START) is START


def test_what_is_no_checkpoint_is_refused(tmp_path):
    kept = Checkpoints(str(tmp_path), "b")
    kept.save(START)
    whole = (tmp_path / "taste-b.npz").read_bytes()
    (tmp_path / "taste-b.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="remove it"):
        kept.load(START)
    (tmp_path / "taste-a.npz").write_bytes(b"no archive")
    with pytest.raises(ModelError, match="remove it"):
        Checkpoints(str(tmp_path), "a").load(START)
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"let taste\.checkpoints name a folder"):
        Checkpoints(str(tmp_path / "file"), "a").save(START)
