"""What spark-submit ships is enough: keyart from the zip alone, where modules and templates have no path."""

import subprocess
import sys

from keyart.bundle import write_zip

PROGRAM = """
import sys
folder, archive = sys.argv[1], "./keyart.zip"  # so it is called where tasks run
sys.path[:] = [archive, *(path for path in sys.path if not path.endswith("/lib"))]
import numpy as np
import keyart
assert keyart.__file__.startswith(archive), keyart.__file__
from keyart.report.site import environment
from keyart.settings import TrackingSettings
from keyart.tracking import ModelArrays, Tracking

tracking = Tracking(TrackingSettings(), folder + "/tables")
model = ModelArrays("taste", {"factors": np.eye(2)}, {"seed": 7})
with tracking.run("train", {"rank": 2}):
    version = tracking.register("taste", model, np.eye(2), np.eye(2))
loaded = tracking.load("taste")
assert (loaded.version, loaded.model.kind, loaded.model.about) == (version, "taste", {"seed": 7})
assert np.array_equal(loaded.model.arrays["factors"], np.eye(2))
assert "title.html" in environment().get_template("title.html").name
print("found")
"""


def test_models_are_registered_and_pages_found_from_the_zip(tmp_path):
    write_zip(tmp_path / "keyart.zip")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "found\n"
