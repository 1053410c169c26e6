"""One SparkSession a test process: it takes seconds to start, and every test gets a fresh root of tables."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("KEYART_USER_KEY", "only-for-tests")


def skip_unless_ci(reason: str) -> None:
    """On a developer's machine a missing film or browser skips; CI has them, so there it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI must not skip this)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real films and logs beside the project; tests that need it skip where it is absent."""
    if not (SHARED / "media").is_dir():
        skip_unless_ci("../shared is not there: no real films to run on")
    return SHARED


@pytest.fixture(scope="session")
def spark():
    """A local session as conf/local.yaml has it, with two shuffle partitions; closed when the run ends."""
    from keyart.config import load
    from keyart.session import open_session

    settings = load(ROOT / "conf" / "local.yaml", ["session.shuffle_partitions=2"])
    session = open_session(settings.session)
    yield session
    session.stop()


@pytest.fixture
def tables(spark, tmp_path):
    """An empty root of Delta tables."""
    from keyart.tables import Tables

    return Tables(spark, str(tmp_path / "tables"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's browser by path."""
    path = shutil.which("chromium")
    if path is None:
        skip_unless_ci("chromium is not installed: apt-get install chromium")
    return str(path)
