"""The import arrows of the house: jobs -> Spark wrappers -> numeric kernels, and doors to Delta, MLflow, Spark."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "lib" / "keyart"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# Files that may import pyspark: the doors of the ground floor, and the wrappers (spark.py, x_spark.py) of the rooms.
SPARK_DOORS = {"schemas.py", "session.py", "tables.py"}
WRAPPER = re.compile(r"(^|.*_)spark\.py$")
MLFLOW_DOORS = {"tracking.py", "pyfunc.py"}


def imported(path: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(path: str) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def is_wrapper(path: str) -> bool:
    return bool(WRAPPER.match(Path(path).name)) or path in SPARK_DOORS


@pytest.mark.parametrize("path", FILES)
def test_kernels_are_free_of_spark(path):
    if not is_wrapper(path):
        assert not packages(path) & {"pyspark", "delta"}, f"{path} is a kernel; Spark belongs in its room's spark.py"


@pytest.mark.parametrize("path", FILES)
def test_only_tracking_touches_mlflow(path):
    if path not in MLFLOW_DOORS:
        assert "mlflow" not in packages(path)


@pytest.mark.parametrize("path", FILES)
def test_only_tables_touches_delta_and_only_session_builds_sessions(path):
    text = (PACKAGE / path).read_text()
    if path not in {"tables.py"}:
        assert '.format("delta")' not in text, "Delta is opened in tables.py"
    if path != "session.py":
        assert "builder" not in text or "SparkSession.builder" not in text, "sessions are built in session.py"


@pytest.mark.parametrize("path", [path for path in FILES if not is_wrapper(path)])
def test_kernels_do_not_import_wrappers(path):
    wrappers = {name for name in imported(path) if name.startswith("keyart.") and re.search(r"[._]spark$", name)}
    allowed = path in {"pipeline.py", "demo/run.py"}
    assert allowed or not wrappers, f"{path} is a kernel and imports {wrappers}"


@pytest.mark.parametrize("path", [path for path in FILES if not path.startswith("demo/")])
def test_nothing_imports_the_demo(path):
    assert not {name for name in imported(path) if name.startswith("keyart.demo")}, "the learner must not see the truth"


@pytest.mark.parametrize("path", [path for path in FILES if path.startswith("demo/")])
def test_the_audience_does_not_see_the_learner(path):
    if path != "demo/run.py":
        rooms = ("keyart.vision", "keyart.selection", "keyart.learning", "keyart.video")
        assert not {name for name in imported(path) if name.startswith(rooms)}
