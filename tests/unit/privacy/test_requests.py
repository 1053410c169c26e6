"""Requests: ids from a file, a name that does not change, and rules of the configuration."""

from datetime import date

import pytest

from keyart.errors import ConfigError, InputError, SetupError
from keyart.feedback.privacy import suppression_secret, user_keys
from keyart.policy.versions import DAY
from keyart.privacy.files import files_under, open_file
from keyart.privacy.requests import MOST, ids_of, request_of
from keyart.privacy.rules import check_traits, conditions, first_days
from keyart.seeding import bucket
from keyart.settings import PrivacySettings


def test_ids_of_lines_and_of_a_csv():
    assert ids_of(["\ufeffann", "", " ben ", "ann"], "user_id", "ids.txt") == ["ann", "ben"]
    assert ids_of(['member,"on"', '"x,y",2026', "z"], "member", "ids.CSV") == ["x,y", "z"]


@pytest.mark.parametrize(
    ("lines", "name", "match"),
    [
        ([" "], "ids.txt", "names no members"),
        (["a,b", "1,2"], "ids.csv", "no column user_id; its first line"),
    ],
)
def test_a_file_without_members_is_refused(lines, name, match):
    with pytest.raises(InputError, match=match):
        ids_of(lines, "user_id", name)


def test_too_many_members_are_refused():
    with pytest.raises(InputError, match="100,001 members; a request holds 100,000"):
        ids_of((str(n) for n in range(MOST + 1)), "user_id", "ids.txt")


def test_a_request_is_called_after_its_members_and_shows_none_of_them():
    one, two = request_of(["a", "b"], b"k", b"s"), request_of(["b", "a"], b"k", b"s")
    assert one.request_id == two.request_id != request_of(["a"], b"k", b"s").request_id
    assert request_of(["a"], b"k", b"s", "ticket-7").request_id == "ticket-7"
    assert one.keys == tuple(user_keys(b"k", ["a", "b"]))
    assert not set(one.keys) & set(one.suppressions)
    assert one.buckets == tuple(sorted({bucket(key) for key in one.keys}))
    assert one.keys[0] not in repr(one)


def test_the_two_keys_must_differ(monkeypatch):
    monkeypatch.setenv("A_KEY", "same")
    monkeypatch.setenv("B_KEY", "same")
    privacy = PrivacySettings(key_variable="A_KEY", suppression_variable="B_KEY")
    with pytest.raises(SetupError, match="A_KEY are the same"):
        suppression_secret(privacy)
    monkeypatch.setenv("B_KEY", "another")
    assert suppression_secret(privacy) == b"another"
    monkeypatch.delenv("B_KEY")
    with pytest.raises(SetupError, match="export B_KEY="):
        suppression_secret(privacy)


def test_retention_gives_first_days_and_conditions():
    first = first_days({"events": "30", "user_assignments": "1", "decisions": "365"}, date(2026, 3, 31))
    assert first["events"] == date(2026, 3, 1)
    assert conditions(first) == {
        "events": "event_date < DATE'2026-03-01'",
        "user_assignments": f"{DAY} < {(date(2026, 3, 30) - date(1970, 1, 1)).days}",
        "decisions": "epoch < DATE'2025-03-31'",
    }


@pytest.mark.parametrize(
    ("retention", "match"),
    [({"titles": "3"}, "retention.titles: rows of it have no age"), ({"events": "soon"}, "write a number of days")],
)
def test_retention_that_makes_no_sense_is_refused(retention, match):
    with pytest.raises(ConfigError, match=match):
        first_days(retention, date(2026, 1, 1))


@pytest.mark.parametrize("column", ["gender", "user_age", "birthDate", "Ethnicity", "household-income"])
def test_a_trait_needs_a_purpose(column):
    with pytest.raises(ConfigError, match=f"events.columns.region reads {column}"):
        check_traits({"region": column}, {})
    with pytest.raises(ConfigError, match="say what the column is read for"):
        check_traits({"region": column}, {column: " "})
    check_traits({"region": column}, {column: "fairness review of 2026"})


def test_columns_that_only_sound_alike_are_free():
    check_traits({"device": "language", "row": "page", "region": "stage_region", "user_id": "member"}, {})


def test_every_file_is_listed_hidden_ones_too(tmp_path):
    for name in ("a.txt", "_delta_log/0.json", "_delta_log/.0.json.crc", "deep/er/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "a.txt")
    found = dict(files_under(str(tmp_path)))
    assert found == {str(tmp_path / n): len(n) for n in ("a.txt", "_delta_log/0.json", "_delta_log/.0.json.crc",
                                                         "deep/er/.hidden")}  # fmt: skip
    assert dict(files_under(str(tmp_path / "a.txt"))) == {str(tmp_path / "a.txt"): 5}
    assert list(files_under(str(tmp_path / "nowhere"))) == []
    assert {name.rpartition("/")[2] for name, _ in files_under("memory://nothing/at/all")} == set()
    with open_file(str(tmp_path / "a.txt")) as stream:
        assert stream.read() == b"a.txt"
