"""The supervised child: answers, dies, hangs, and serves on."""

import subprocess
import sys

import pytest

from keyart.errors import VideoError
from keyart.video.child import Child


@pytest.fixture(scope="module")
def child():
    started = Child()
    yield started
    started.stop()


def test_one_child_answers_many_calls(child):
    assert child.call("math:hypot", 3, 4, timeout=60) == 5
    assert child.call("os:getpid", timeout=60) == child.call("os:getpid", timeout=60)


@pytest.mark.parametrize(
    ("target", "arguments", "words"),
    [
        ("os:abort", (), "SIGABRT"),
        ("os:_exit", (3,), "exit status 3"),
        ("time:sleep", (30,), "silent for 1 s"),
        ("math:sqrt", (-1,), "ValueError"),
        ("keyart.video.plan:plan_film", ("/nowhere.mp4", 60), "No such file"),
    ],
)
def test_what_goes_wrong_is_one_line_and_the_next_call_works(child, target, arguments, words):
    with pytest.raises(VideoError, match=words) as told:
        child.call(target, *arguments, timeout=1)
    assert "\n" not in str(told.value)
    assert child.call("math:sqrt", 9, timeout=60) == 3


def test_a_worker_that_passes_work_on_loads_no_decoder():
    """Its memory counts beside its child's."""
    program = (
        "import sys, keyart.video.tasks_spark, keyart.video.digest_spark; "
        "print(sorted({'av', 'cv2', 'numba'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"
