"""A Spark standalone master and two workers on the loopback address, processes of their own that end with the test."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from keyart.bundle import write_zip
from keyart.session import LOCAL_JVM

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
DEPLOY = "org.apache.spark.deploy"
SUBMIT_SECONDS = 840


def wait_for(what: str, ready: Callable[[], Any], seconds: float = 120.0) -> Any:
    """The first true answer of ``ready``; fails the test where none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := ready():
            return answer
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {seconds:.0f} s")


def asked(url: str) -> Any:
    """What Spark's own pages say, as JSON; None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


def children(parent: int) -> dict[int, str]:
    """Command lines of a process's children, by process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            _, _, about = (folder / "stat").read_text().rpartition(") ")
            if int(about.split()[1]) == parent:
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has just ended
            continue
    return found


@dataclass
class Submitted:
    """A job under way: its driver, and where it writes."""

    driver: subprocess.Popen
    stderr: Path
    ui: str

    def said(self) -> str:
        """What the driver has printed on stderr so far."""
        return self.stderr.read_text(errors="replace")

    def stage(self) -> str:
        """The pipeline's stage at work, as its progress bar has it."""
        names = re.findall(r"stage, ([a-z-]+)\]", self.said())
        return names[-1] if names else ""

    def busy(self) -> dict[str, int]:
        """Executors that have tasks under way, and how many, by Spark's own page."""
        applications = asked(f"{self.ui}/api/v1/applications") or []
        pages = [asked(f"{self.ui}/api/v1/applications/{one['id']}/executors") or [] for one in applications]
        return {one["id"]: one["activeTasks"] for page in pages for one in page if one["activeTasks"]}

    def ended(self) -> str:
        """What it printed, once it has ended with status 0."""
        try:
            status = self.driver.wait(SUBMIT_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the job did not end:\n{self.said()[-3000:]}")
        assert status == 0, self.said()[-6000:]
        return self.said()


@dataclass
class Standalone:
    """The cluster: 1 core and bounded memory a worker, ports that the system chooses."""

    folder: Path
    master: str = ""
    workers: list[subprocess.Popen] = field(default_factory=list)
    started: list[subprocess.Popen] = field(default_factory=list)

    def start(self) -> None:
        """Return once both workers have registered."""
        # No REST server: it would take a fixed port.
        log = self._process("master", "master.Master", {"SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false"})
        self.master = wait_for("the master", lambda: re.search(rf"spark://{HOST}:\d+", log.read_text()))[0]
        logs = [
            self._process(
                f"worker{number}",
                "worker.Worker",
                {},
                *("--cores", "1", "--memory", "1200m", "--work-dir", str(self.folder / f"work{number}"), self.master),
            )
            for number in (1, 2)
        ]
        self.workers = self.started[1:]
        wait_for("the workers", lambda: all("Successfully registered" in log.read_text() for log in logs))

    def _process(self, name: str, part: str, environment: dict[str, str], *arguments: str) -> Path:
        log = self.folder / f"{name}.log"
        command = [str(Path(sys.executable).parent / "spark-class"), f"{DEPLOY}.{part}"]
        command += ["--host", HOST, "--port", "0", "--webui-port", "0", *arguments]
        if setpriv := shutil.which("setpriv"):  # they end also where pytest is killed
            command = [setpriv, "--pdeathsig", "KILL", *command]
        small = {"SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC"}
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=_environment() | small | environment, stdout=file, stderr=file)
        self.started.append(process)
        return log

    def executors(self) -> dict[str, tuple[int, int]]:
        """Executors by their number: their process and their worker's."""
        return {
            match[1]: (pid, worker.pid)
            for worker in self.workers
            for pid, line in children(worker.pid).items()
            if "CoarseGrainedExecutorBackend" in line and (match := re.search(r"--executor-id (\d+)", line))
        }

    def submit(self, job: str, *arguments: str) -> Submitted:
        """Start ``jobs/JOB.py`` by spark-submit, with keyart from the zip alone."""
        with socket.socket() as free:
            free.bind((HOST, 0))
            port = free.getsockname()[1]
        number = len(self.started)
        archive = write_zip(self.folder / f"{number}" / "keyart.zip")
        options = {
            "spark.driver.host": HOST,
            "spark.driver.bindAddress": HOST,
            "spark.driver.memory": "1g",
            "spark.executor.memory": "700m",
            "spark.executor.extraJavaOptions": LOCAL_JVM,
            "spark.ui.enabled": "true",
            "spark.ui.port": str(port),
        }
        command = [
            str(Path(sys.executable).parent / "spark-submit"),
            "--master",
            self.master,
            "--py-files",
            str(archive),
        ]
        command += [word for pair in options.items() for word in ("--conf", "=".join(pair))]
        command += ["--driver-java-options", LOCAL_JVM, job, *arguments]
        stderr = self.folder / f"{number}.stderr"
        with stderr.open("wb") as file:
            driver = subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=file, stderr=file)
        self.started.append(driver)
        return Submitted(driver, stderr, f"http://{HOST}:{port}")

    def kill_executor(self, job: Submitted, at: str) -> None:
        """Kill -9 an executor that has tasks of the stage ``at`` under way."""
        executor, _ = self._at_work(job, at)
        os.kill(executor, signal.SIGKILL)

    def kill_worker(self, job: Submitted, at: str) -> None:
        """Kill -9 a worker whose executor has tasks of the stage ``at`` under way; the executor ends by itself."""
        _, worker = self._at_work(job, at)
        os.kill(worker, signal.SIGKILL)

    def _at_work(self, job: Submitted, at: str) -> tuple[int, int]:
        def found() -> tuple[int, int] | None:
            assert job.driver.poll() is None, job.said()[-6000:]
            if job.stage() != at:
                return None
            busy, executors = job.busy(), self.executors()
            return next((executors[number] for number in busy if number in executors), None)

        return wait_for(f"an executor at work on {at}", found, SUBMIT_SECONDS)

    def stop(self) -> None:
        """End whatever is left: drivers first, then workers, which take their executors with them, then the master."""
        for process in reversed(self.started):
            for executor in children(process.pid) if process in self.workers else ():
                os.kill(executor, signal.SIGKILL)
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """Ours, with nothing that says where keyart or Spark lie."""
    ours = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "SPARK_REMOTE", "SPARK_HOME"}}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return ours | {"SPARK_LOCAL_IP": HOST, "PYSPARK_PYTHON": sys.executable, "PATH": path}


@pytest.fixture
def cluster(tmp_path):
    """A master and two workers, alive; stopped whatever the test does."""
    standalone = Standalone(tmp_path)
    try:
        standalone.start()
        yield standalone
    finally:
        standalone.stop()
