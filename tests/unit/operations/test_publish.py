"""The job publish removes what publishing says may go, and tells why."""

from keyart.jobs import publish as job

from keyart.config import load
from keyart.serving.publish_spark import Published


def test_older_bundles_and_what_broken_runs_left_are_removed(monkeypatch, capsys, tmp_path):
    new, old, left = (tmp_path / name for name in ("new", "old", ".killed.0123abcd.partial"))
    for folder in (new, old, left):
        (folder / "overrides").mkdir(parents=True)
    monkeypatch.setattr(job, "Tables", lambda *_: None)
    monkeypatch.setattr(job, "publish", lambda *_: Published(new, True, (old,), (left,)))
    assert job.run(None, load(None, [f"publish.folder={tmp_path}"])) == 0
    assert list(tmp_path.iterdir()) == [new]
    said = capsys.readouterr().out
    assert f"{old}: removed, older than" in said and f"{left}: removed, left by a run that broke off" in said
