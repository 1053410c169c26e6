"""One SparkSession a test process: it takes seconds to start, and every test gets a fresh root of tables."""

import os
import re
import shutil
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import hypothesis
import pytest

# How long one example takes says how busy the machine is, no more.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

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
    """A local session as conf/local.yaml has it, with two shuffle partitions; closed when the run ends.

    Its JVM compiles quickly, not well, and plans are interpreted: what tests do in it they do a few times. Jobs
    that tests start as processes run as users run them, but in `killing`'s world and before Kafka, where they do too.
    """
    from keyart.config import load
    from keyart.session import INTERPRETED, open_session

    settings = load(ROOT / "conf" / "local.yaml", ["session.shuffle_partitions=2"]).session
    session = open_session(replace(settings, options=settings.options | INTERPRETED), light=True)
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


class RangeHandler(SimpleHTTPRequestHandler):
    """Files of a folder over HTTP, with byte ranges; the server notes what was asked for."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        self.server.asked.append((path.name, self.headers.get("Range")))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if path.name in self.server.trouble:
            self.server.trouble[path.name](self.client_address[1], int(wanted[1]) if wanted else 0)
        if not self.server.ranges or not wanted or not path.is_file():
            super().do_GET()
            return
        content = path.read_bytes()
        begin, end = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        if begin > end:
            self.send_error(416)
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{end}/{len(content)}")
        self.send_header("Content-Length", str(end + 1 - begin))
        self.end_headers()
        with suppress(ConnectionError):  # a client that was killed
            self.wfile.write(content[begin : end + 1])

    def end_headers(self) -> None:
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Tests read stderr."""


@pytest.fixture
def web():
    """A maker of web servers on this machine: web(folder) or web(folder, ranges=False) has ``url``, ``asked``, and
    ``trouble``: file name to a function of the client's port and the range's begin, called first."""
    servers = []

    def start(folder: Path, ranges: bool = True) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(RangeHandler, directory=str(folder)))
        server.daemon_threads = True
        server.url, server.ranges = f"http://127.0.0.1:{server.server_port}", ranges
        server.asked, server.trouble = [], {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
