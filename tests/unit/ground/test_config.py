"""Configuration: what is wrong fails at start, in one line that names file and key."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.config import as_dict, load, with_values
from keyart.errors import ConfigError
from keyart.settings import Settings


def write(tmp_path, text, name="c.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_defaults_need_no_file():
    assert load(None) == Settings()


def test_every_shipped_file_loads(pytestconfig):
    files = sorted((pytestconfig.rootpath / "conf").glob("*.yaml"))
    assert {path.stem for path in files} >= {"base", "local", "cluster", "databricks", "demo"}
    for path in files:
        assert load(path).regions["SE"] == "nordics"


def test_later_files_and_overrides_win(tmp_path):
    write(tmp_path, "scan: {segment_seconds: 5, image_quality: 80}\ntables: a", "base.yaml")
    path = write(tmp_path, "extends: base.yaml\nscan: {segment_seconds: 7}")
    settings = load(path, ["tables=b", "time.t0=2026-01-05", "response.l2=[1, 2]", "session.options={spark.x: 3}"])
    assert (settings.scan.segment_seconds, settings.scan.image_quality, settings.tables) == (7.0, 80, "b")
    assert settings.time.t0 == date(2026, 1, 5)
    assert settings.response.l2 == (1.0, 2.0)
    assert settings.session.options == {"spark.x": "3"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scan: {segment_second: 5}", "unknown key scan.segment_second; did you mean scan.segment_seconds?"),
        ("scam: {}", "unknown key scam"),
        ("scan: {image_quality: high}", "scan.image_quality is 'high', which is not a int"),
        ("scan: {image_quality: true}", "scan.image_quality is True"),
        ("scan: {image_quality: 7}", "scan.image_quality is 7, allowed is 50 to 100"),
        ("demo: {world: mars}", "demo.world is 'mars', allowed are taste, null, homogeneous"),
        ("scan: 3", "scan must hold keys and values"),
        ("- a", "must hold keys and values, not a list"),
        ("a: [", "not YAML at line"),
        ("extends: nowhere.yaml", "nowhere.yaml: cannot be read"),
        ("extends: c.yaml", "extends itself"),
    ],
)
def test_mistakes_name_file_and_key(tmp_path, text, said):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=r"\.yaml: ") as caught:
        load(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_yaml_reads_otherwise_stays_text():
    settings = load(None, ["demo.world=null", "catalog.videos=2001"])
    assert (settings.demo.world, settings.catalog.videos) == ("null", "2001")


@pytest.mark.parametrize("override", ["scan", "=3", "scan.nothing=1", "scan.image_quality=[", "tables.x=1"])
def test_bad_overrides_name_themselves(override):
    with pytest.raises(ConfigError, match="--set"):
        load(None, [override])


@given(st.text(max_size=30))
def test_any_override_is_taken_or_refused_in_one_line(text):
    try:
        load(None, [text])
    except ConfigError as error:
        assert str(error)


def test_values_are_checked_like_a_file():
    assert with_values(Settings(), {"catalog.videos": "2001", "tables": "x"}).catalog.videos == "2001"
    with pytest.raises(ConfigError, match=r"scan\.image_quality"):
        with_values(Settings(), {"scan.image_quality": 1})


def test_every_setting_has_a_manual(pytestconfig):
    """A docstring under each field: the configuration explains itself."""
    import ast

    tree = ast.parse((pytestconfig.rootpath / "lib/keyart/settings.py").read_text())
    for cls in (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Settings")):
        for field, after in zip(cls.body, [*cls.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                documented = isinstance(after, ast.Expr) and isinstance(getattr(after, "value", None), ast.Constant)
                assert documented, f"{cls.name}.{field.target.id}"


def test_settings_become_plain_values():
    assert as_dict(Settings())["scan"]["image_quality"] == 90
