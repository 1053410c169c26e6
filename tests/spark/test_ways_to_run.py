"""The three ways a job is started: the keyart command, spark-submit with the zip, and over Spark Connect."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keyart.bundle import write_zip

pytestmark = pytest.mark.spark
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

MANIFEST = """title_id,name,uri,genres
a,First,,drama|romance
b,Second,,
"""


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "films.csv"
    path.write_text(MANIFEST)
    return path


def run(program, *arguments):
    """Run an installed program with conf/local.yaml, from the project's root."""
    environment = {"PYSPARK_PYTHON": sys.executable, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    kept = {key: value for key, value in os.environ.items() if key not in {"SPARK_REMOTE", "PYTHONPATH"}}
    command = [str(BIN / program), *map(str, arguments), "--config", "conf/local.yaml"]
    return subprocess.run(command, env=kept | environment, cwd=ROOT, capture_output=True, text=True, timeout=300)


def names(tables):
    return {row["title_id"]: (row["name"], row["genres"]) for row in tables.read("titles").collect()}


EXPECTED = {"a": ("First", ["drama", "romance"]), "b": ("Second", [])}


def test_spark_submit_with_the_zip(manifest, tables, tmp_path):
    """Run by the zip alone: the interpreter is isolated from the environment's own copy of keyart."""
    archive = write_zip(tmp_path / "keyart.zip")
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import runpy, sys\n"
        "sys.path[:] = [p for p in sys.path if 'lib' != p.rsplit('/', 1)[-1] or 'site-packages' in p]\n"
        "import keyart\n"
        "assert 'keyart.zip' in keyart.__file__, keyart.__file__\n"
        f"sys.argv[0] = {str(ROOT / 'jobs/ingest_catalog.py')!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    for script in (ROOT / "jobs/ingest_catalog.py", probe):
        done = run(*("spark-submit", "--py-files", archive, script, "--manifest", manifest, "--tables", tables.root))
        assert done.returncode == 0, done.stderr[-3000:]
    assert names(tables) == EXPECTED


def test_the_command_over_spark_connect(manifest, tables):
    done = run(
        *("keyart", "ingest-catalog", "--manifest", manifest, "--tables", tables.root),
        *("--set", "session.master=''", "--set", "session.remote=local[2]"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert names(tables) == EXPECTED


@pytest.mark.parametrize(("text", "said"), [("title_id,uri\na,x\n", "name"), ("", "missing"), (None, "nowhere.csv")])
def test_a_users_mistake_is_one_line_and_status_2(tmp_path, text, said):
    path = tmp_path / ("nowhere.csv" if text is None else "films.csv")
    if text is not None:
        path.write_text(text)
    done = run("keyart", "ingest-catalog", "--manifest", path, "--tables", tmp_path / "tables")
    lines = [line for line in done.stderr.splitlines() if line.startswith("keyart:")]
    assert done.returncode == 2
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in done.stderr
