"""Hostile input, a few dozen examples a reader here and a minute of each in ``make soak``: refused in a line, or read.

Each reader runs in a process of its own (``hostile.py``), so that a crash of native code, a hang or a hunger for memory
is told with the example that led to it.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

HARNESS = Path(__file__).with_name("hostile.py")
SEED = int(os.environ.get("KEYART_FUZZ_SEED", "1"))
SECONDS = float(os.environ.get("KEYART_FUZZ_SECONDS", "60"))
EXAMPLES = {"manifest": 60, "overrides": 60, "configuration": 60, "film": 24, "bundle": 60}
MOST_MEMORY = {"film": 1_024}
"""MB that a process may ever hold, the libraries that it has loaded among them; others 512."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> Path:
    """Small films and pictures of many kinds."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("small_films", HARNESS.parents[1] / "video" / "conftest.py")
    assert spec is not None and spec.loader is not None
    films = module_from_spec(spec)
    spec.loader.exec_module(films)
    folder = tmp_path_factory.mktemp("seeds")
    frames = films.moving(1, 30) + films.moving(2, 30)
    kinds = {
        "mp4": {"options": {"bf": "2"}, "container": {"movflags": "faststart"}},
        "mkv": {"options": {"bf": "2"}},
        "mov": {"codec": "mjpeg", "pixels": "yuvj420p"},
        "webm": {"codec": "libvpx-vp9"},
        "avi": {"codec": "mpeg4"},
        "gif": {"codec": "gif", "pixels": "rgb8"},
    }
    for ending, how in kinds.items():
        films.write_film(folder / f"seed.{ending}", frames, **how)
    pixels = np.random.default_rng(1).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    for ending in ("png", "jpg", "webp", "bmp", "tiff"):
        cv2.imwrite(str(folder / f"seed.{ending}"), pixels)
    cv2.imwrite(str(folder / "seed2.jpg"), pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    return folder


def fuzzed(reader: str, folder: Path, examples: int, seconds: float) -> Counter:
    """What became of the examples; fails with the first that was neither read nor refused in a line."""
    command = [sys.executable, str(HARNESS), reader, str(folder), str(SEED), "0", str(examples), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    lines = done.stdout.splitlines()
    numbers, told = lines[::2], [json.loads(line) for line in lines[1::2]]
    again = f"{reader}, seed {SEED}, example {numbers[-1] if numbers else 'none'}"
    assert done.returncode == 0, f"{again}: killed ({done.returncode}): {done.stderr[-2_000:]}"
    for number, one in zip(numbers, told, strict=True):
        assert one["outcome"] in ("read", "refused"), f"{reader}, seed {SEED}, example {number}: {one['told']}"
    most = max(one["memory"] for one in told)
    assert most < MOST_MEMORY.get(reader, 512), f"{reader} took {most} MB"
    outcomes = Counter(one["outcome"] for one in told)
    stopped = sum(word in one["told"] for one in told for word in ("decoder died", "was silent"))
    print(f"{reader}: {dict(outcomes)}, {stopped} decoders stopped, {most} MB at most")
    return outcomes


@pytest.mark.parametrize("reader", EXAMPLES)
def test_hostile_input_is_read_or_refused_in_a_line(reader, seeds, tmp_path):
    outcomes = fuzzed(reader, seeds if reader == "film" else tmp_path, EXAMPLES[reader], 600)
    assert outcomes.total() == EXAMPLES[reader]
    assert min(outcomes["read"], outcomes["refused"]) > 0, "examples should be neither all good nor all bad"


@pytest.mark.soak
@pytest.mark.parametrize("reader", EXAMPLES)
def test_a_minute_of_hostile_input(reader, seeds, tmp_path):
    outcomes = fuzzed(reader, seeds if reader == "film" else tmp_path, 10**9, SECONDS)
    assert outcomes.total() > EXAMPLES[reader]
