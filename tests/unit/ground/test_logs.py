"""Logs: JSON lines with run, job and stage; no secret and no raw value in any of them."""

import json
import logging

import pytest

from keyart import logs
from keyart.cli import run_job
from keyart.config import load
from keyart.errors import ConfigError, InputError

BASELINE = ("--set", "experiment.baseline_mean=0.1", "--set", "experiment.baseline_sd=0.3")
SECRET = 'qu"ite-secret'


@pytest.fixture(autouse=True)
def clean():
    root, level = logging.getLogger(), logging.getLogger().level
    yield
    for handler in [handler for handler in root.handlers if getattr(handler, "keyart", False)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def settings(path, form="json", **more):
    given = {"logging.file": path, "logging.format": form, **more}
    return load(None, [f"{key}={value}" for key, value in given.items()])


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_line_tells_run_job_and_stage(tmp_path):
    path = tmp_path / "deep" / "keyart.log"
    logs.set_up(settings(path), verbose=False)
    log = logging.getLogger("keyart.test")
    with logs.bound(run_id="r", job="run-pipeline"):
        with logs.bound(stage="scan-videos"):
            log.info("took %d", 3, extra={"data": {"rows": 7}})
        log.info("after")
    log.info("outside\nof it")
    logging.getLogger("py4j").info("chatter")
    first, second, third = lines(path)
    assert first.pop("ts").endswith("+00:00")
    assert first == {
        "level": "INFO", "logger": "keyart.test", "message": "took 3", "run_id": "r", "job": "run-pipeline",
        "stage": "scan-videos", "rows": 7,
    }  # fmt: skip
    assert "stage" not in second
    assert third["message"] == "outside\nof it"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_secret_and_no_raw_id(tmp_path, monkeypatch, capsys, form, verbose):
    monkeypatch.setenv("KEYART_USER_KEY", SECRET)
    path = tmp_path / "keyart.log"
    logs.set_up(settings(path, form, **{"erase.user": "anna@example.org"}), verbose)
    log = logging.getLogger("keyart.test")
    try:
        raise ValueError("cannot cast 'bert@example.org'\nof the row bert@example.org")
    except ValueError as error:
        log.error("key %s of anna@example.org", SECRET, exc_info=error, extra={"quiet": True})
        log.info("own %s", InputError(f"bad {SECRET}"), exc_info=InputError(f"bad {SECRET}"))
    text = path.read_text("utf-8")
    for told in (text, capsys.readouterr().err):
        assert SECRET not in told
        assert json.dumps(SECRET)[1:-1] not in told
        assert "anna@example.org" not in told
    assert "bert@example.org" not in text
    assert "cannot cast '...'" in text
    assert "test_logs.py" in text, "frames say where"
    assert logs.HIDDEN in text


def test_without_a_file_json_goes_to_stderr(capsys):
    logs.set_up(settings("", "json"), verbose=False)
    logging.getLogger("keyart.test").info("done")
    assert json.loads(capsys.readouterr().err)["message"] == "done"
    logs.set_up(settings("", "text"), verbose=False)
    logging.getLogger("keyart.test").info("done")
    logging.getLogger("keyart.test").warning("odd")
    assert capsys.readouterr().err == "WARNING odd\n"


def test_a_file_that_cannot_be_written_is_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"logging\.file: .* cannot be written"):
        logs.set_up(settings(tmp_path / "file" / "keyart.log"), verbose=False)


def test_a_jobs_failure_stands_in_its_log(tmp_path, capsys):
    path = tmp_path / "keyart.log"
    given = ["--set", f"logging.file={path}", "--set", "logging.format=json", "--metric", "nonsense"]
    assert run_job("experiment", ["plan", *given, *BASELINE]) == 2
    said = capsys.readouterr().err
    assert said.startswith("keyart: ")
    assert said.count("\n") == 1
    assert [line["message"].split(":")[0] for line in lines(path)] == ["begun", "failed"]
    failed = lines(path)[1]
    assert failed["job"] == "experiment"
    assert failed["run_id"] == lines(path)[0]["run_id"]
    assert failed["exception"]["type"] == "ConfigError"
