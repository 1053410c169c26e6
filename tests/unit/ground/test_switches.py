"""Switches of jobs: what a configuration says otherwise, they overrule."""

import pytest

from keyart import cli


@pytest.mark.parametrize(("arguments", "forever"), [([], True), (["--once"], False)])
def test_once_ends_a_stream_that_is_configured_to_wait(monkeypatch, tmp_path, arguments, forever):
    config, seen = tmp_path / "conf.yaml", []
    config.write_text("stream:\n  forever: true\n")
    monkeypatch.setattr(cli, "_run", lambda job, settings: seen.append((job, settings.stream.forever)) or 0)
    assert cli.main(["stream-feedback", "--config", str(config), "--tables", str(tmp_path), *arguments]) == 0
    assert seen == [("stream-feedback", forever)]
