"""Folders that go with the process that made them, at once or later."""

import os
import socket
import subprocess
import sys
import time

from keyart.scratch import DAY_SECONDS, scratch

KILLED = """
import os, signal, sys
from keyart.scratch import scratch
with scratch(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_with_a_later_one(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    (left / "sums").write_bytes(b"1")
    old = time.time() - 2 * DAY_SECONDS
    theirs = tmp_path / left.name.replace(socket.gethostname(), "another-machine")
    theirs.mkdir()
    for path in (left, theirs):
        os.utime(path, (old, old))
    with scratch(str(tmp_path)) as mine:
        os.utime(mine, (old, old))
        with scratch(str(tmp_path)) as second:
            assert {*tmp_path.iterdir()} == {mine, second, theirs}
    assert {*tmp_path.iterdir()} == {theirs}


def test_what_is_young_stays(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    with scratch(str(tmp_path)):
        assert left.is_dir()
