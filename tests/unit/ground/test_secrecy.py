"""Secrets: by reference in the settings, resolved where they are used, and in no line."""

import logging
from dataclasses import asdict

import pytest

from keyart import logs
from keyart.cli import guard
from keyart.config import load, with_values
from keyart.errors import ConfigError, InputError, SetupError
from keyart.operations.lines import one_line
from keyart.secrecy import REDACTED, hidden, is_secret, resolved
from keyart.session import open_session

JAAS = 'Scram required username="u" password="{}";'


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("kafka.sasl.jaas.config", True), ("kafka.ssl.keystore.password", True),
        ("spark.hadoop.fs.s3a.secret.key", True),
        ("spark.hadoop.fs.s3a.access.key", True), ("fs.azure.account.key.x.dfs.core.windows.net", True),
        ("DATABRICKS_TOKEN", True), ("AWS_SECRET_ACCESS_KEY", True), ("MLFLOW_TRACKING_PASSWORD", True),
        ("kafka.bootstrap.servers", False), ("kafka.key.deserializer", False), ("kafka.ssl.truststore.location", False),
        ("spark.hadoop.fs.s3a.aws.credentials.provider", False), ("AWS_WEB_IDENTITY_TOKEN_FILE", False),
    ],
)  # fmt: skip
def test_what_holds_a_secret_is_known_by_its_name(name, secret):
    assert is_secret(name) == secret


@pytest.mark.parametrize(
    "values",
    [
        {"stream.options": {"kafka.sasl.jaas.config": JAAS.format("planted-1")}},
        {"session.options": {"spark.hadoop.fs.s3a.secret.key": "planted-1"}},
        {"session.remote": "sc://host:15002/;token=planted-1"},
        {"tracking.uri": "https://ann:planted-1@mlflow.internal"},
        {"events.events": "https://host/log.jsonl?sig=planted-1"},
    ],
)
def test_a_secret_in_the_configuration_is_refused_and_not_quoted(values, tmp_path):
    with pytest.raises(ConfigError, match=r"holds a secret: write {{env/NAME}} instead") as told:
        with_values(load(None), values)
    assert "planted-1" not in str(told.value)
    import yaml

    tree: dict = {}
    for key, value in values.items():
        section, name = key.split(".")
        tree[section] = {name: value}
    (tmp_path / "conf.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError) as told:
        load(tmp_path / "conf.yaml")
    assert "planted-1" not in str(told.value)


def test_a_reference_is_resolved_where_it_is_used_and_nowhere_else(monkeypatch):
    monkeypatch.setenv("KAFKA_PW", "planted-2")
    settings = load(None, ['stream.options={kafka.sasl.jaas.config: "x {{env/KAFKA_PW}} y"}'])
    assert "planted-2" not in repr(asdict(settings))
    assert resolved(settings.stream.options["kafka.sasl.jaas.config"]) == "x planted-2 y"
    assert hidden("broker said: x planted-2 y") == "broker said: x [hidden] y"
    monkeypatch.delenv("KAFKA_PW")
    with pytest.raises(SetupError, match="KAFKA_PW, which is empty: export it"):
        resolved("{{env/KAFKA_PW}}")
    with pytest.raises(SetupError, match="the secret team/kafka cannot be read"):
        resolved("{{secrets/team/kafka}}")
    monkeypatch.setattr("keyart.session.is_running", lambda: False)  # whatever other tests began
    with pytest.raises(SetupError, match="NO_SUCH_NAME"):
        open_session(load(None, ["session.remote=sc://host/;token={{env/NO_SUCH_NAME}}"]).session)


def test_lines_of_every_kind_hide_what_the_environment_calls_a_secret(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", 'plan"ted-3')
    monkeypatch.setenv("KEYART_USER_KEY", "planted-4")
    error = InputError('no answer from https://u:plan"ted-3@host with planted-4')
    assert "ted-3" not in one_line(error) + one_line(OSError(str(error)))
    assert guard(lambda: (_ for _ in ()).throw(error)) == 2
    logs.set_up(load(None, [f"logging.file={tmp_path}/log", "logging.format=json"]), verbose=True)
    logging.getLogger("keyart.test").error("%s", error, exc_info=error)
    for told in (capsys.readouterr().err, (tmp_path / "log").read_text()):
        assert "[hidden]" in told
        assert "planted-4" not in told
        assert "ted-3" not in told


def test_addresses_lose_what_opens_them():
    assert hidden("s3://bucket/a and https://u:p@h/x?X-Amz-Signature=abc&y=1; sc://h/;token=t;user_id=u") == (
        "s3://bucket/a and https://[hidden]@h/x?X-Amz-Signature=[hidden]&y=1; sc://h/;token=[hidden];user_id=u"
    )
    assert hidden("mail ann@example.org about C:/x") == "mail ann@example.org about C:/x"


def test_spark_hides_them_too():
    assert all("jaas" in value and "token" in value for value in REDACTED.values())
