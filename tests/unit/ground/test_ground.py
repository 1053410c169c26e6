"""Seeding, Java, jars, the zip, the command line: the ground floor without a JVM."""

import hashlib
import hmac
import os
import stat
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from keyart import bundle, cli, jars, java, seeding
from keyart.errors import ConfigError, SetupError


def test_generators_depend_on_the_key_alone():
    first = seeding.rng(1, "user", 2).random(4)
    seeding.rng(1, "user", 3).random(4)
    assert np.array_equal(first, seeding.rng(1, "user", 2).random(4))
    assert not np.array_equal(first, seeding.rng(1, "user2").random(4))
    assert not np.array_equal(seeding.rng(1, "a", "b").random(2), seeding.rng(1, "ab").random(2))


def test_keyed_hash_is_uniform_and_salted():
    draws = np.array([seeding.uniform("salt", user, "title", "2026-01-05") for user in range(20_000)])
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi-square, 19 degrees of freedom, p = 0.001
    assert seeding.uniform("salt", 1) != seeding.uniform("other", 1)


@pytest.mark.parametrize("salt", ["", "salt", "ß" * 32, "x" * 64, "x" * 65, "long" * 100])
def test_keyed_hash_is_an_hmac(salt):
    for parts in [("u", "t", "2026-01-05"), ("ü", 7), ("",)]:
        whole = hmac.digest(salt.encode(), "\x1f".join(map(str, parts)).encode(), "sha256")
        assert seeding.uniform(salt, *parts) == (int.from_bytes(whole[:8], "big") >> 11) / 2**53


def test_buckets_cover_the_range_evenly():
    keys = [hashlib.sha256(str(n).encode()).hexdigest()[:32] for n in range(6400)]
    counts = np.bincount([seeding.bucket(key) for key in keys], minlength=64)
    assert counts.size == 64
    assert counts.min() > 50


def fake_java(tmp_path, version):
    home = tmp_path / "jdk"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    return str(home)


@pytest.mark.parametrize("version", ["17.0.15", "21", "21.0.1"])
def test_java_17_and_21_are_taken(tmp_path, monkeypatch, version):
    monkeypatch.setenv("JAVA_HOME", fake_java(tmp_path, version))
    assert java.check_java() == int(version.split(".")[0])


@pytest.mark.parametrize(("version", "said"), [("1.8.0_292", "is Java 8"), ("11.0.2", "is Java 11"), ("x", "not tell")])
def test_other_javas_get_one_line(tmp_path, monkeypatch, version, said):
    monkeypatch.setenv("JAVA_HOME", fake_java(tmp_path, version))
    with pytest.raises(SetupError, match=said) as caught:
        java.check_java()
    assert "install a JDK 17 or 21" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_java_gets_one_line_and_status(tmp_path):
    environment = {"PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-m", "keyart.java"], env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.startswith("keyart: no Java found")
    assert done.stderr.count("\n") == 1


def serve(tmp_path, content):
    """A mirror as a folder, read through file:// URLs."""
    for path in jars.JARS:
        name, version = path.split("/")[-2:]
        target = tmp_path / "mirror" / path / f"{name}-{version}.jar"
        target.parent.mkdir(parents=True)
        target.write_bytes(content)
    return (tmp_path / "mirror").as_uri()


def test_jars_are_fetched_once_and_checked(tmp_path, monkeypatch):
    mirror = serve(tmp_path, b"jar")
    monkeypatch.setattr(jars, "JARS", dict.fromkeys(jars.JARS, hashlib.sha256(b"jar").hexdigest()))
    (tmp_path / "jars").mkdir()
    paths = jars.install(tmp_path / "jars", mirror)
    assert len(paths) == 7
    stamps = [path.stat().st_mtime_ns for path in paths]
    paths[0].write_bytes(b"damaged")
    jars.install(tmp_path / "jars", mirror)
    assert paths[0].read_bytes() == b"jar"
    assert [path.stat().st_mtime_ns for path in paths[1:]] == stamps[1:]


def test_a_wrong_jar_is_refused_and_leaves_nothing(tmp_path):
    mirror = serve(tmp_path, b"something else")
    (tmp_path / "jars").mkdir()
    with pytest.raises(SetupError, match="sha256"):
        jars.install(tmp_path / "jars", mirror)
    with pytest.raises(SetupError, match="KEYART_MAVEN"):
        jars.install(tmp_path / "jars", (tmp_path / "nowhere").as_uri())
    assert not list((tmp_path / "jars").iterdir())


def test_the_zip_holds_package_and_jobs_and_is_reproducible(tmp_path):
    first = bundle.write_zip(tmp_path / "a.zip")
    second = bundle.write_zip(tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()
    names = set(zipfile.ZipFile(first).namelist())
    assert {"keyart/__init__.py", "keyart/tables.py", "keyart/jobs/run_pipeline.py"} <= names
    assert not [name for name in names if "__pycache__" in name]


def test_every_job_is_a_thin_file_and_a_sub_command(pytestconfig):
    folder = pytestconfig.rootpath / "jobs"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == {job.replace("-", "_") for job in cli.JOBS}
    for path in folder.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 40, f"{path.name} is no longer thin"


def test_help_names_every_job(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert all(job in said for job in cli.JOBS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ingest-catalog", "--set", "scan.nothing=1"], "unknown key scan.nothing"),
        (["ingest-catalog", "--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    ],
)
def test_mistakes_are_one_line_and_status_2(capsys, arguments, said):
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["no-such-job"], ["scan-videos", "--videos", "x"]])
def test_bad_arguments_are_status_2(arguments):
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2


def test_shorthands_of_evaluate_policy(monkeypatch):
    seen = []
    monkeypatch.setattr("keyart.session.is_running", lambda: True)
    monkeypatch.setattr("keyart.session.open_session", lambda settings, light: None)
    monkeypatch.setattr("keyart.jobs.evaluate_policy.run", lambda spark, settings: seen.append(settings.evaluate))
    assert cli.main(["evaluate-policy", "--policy", "new,old", "--plan", "0.002"]) == 0
    assert (seen[0].policy_id, seen[0].plan_width) == ("new,old", 0.002)
    assert cli.main(["evaluate-policy", "--plan", "2"]) == 2  # wider than rewards are


def test_plan_is_a_switch_of_the_scan(monkeypatch):
    given = []

    def load(file, overrides):
        given.extend(overrides)
        raise ConfigError("that is all")

    monkeypatch.setattr(cli, "load", load)
    assert cli.main(["scan-videos", "--plan", "--set", "scan.segment_seconds=5"]) == 2
    assert given == ["scan.segment_seconds=5", "scan.plan=true"]
