"""A member is erased from a few small tables: proven, kept out, and the others as if they had never been there."""

import importlib
import json
import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feeding import add

from keyart.config import load, with_values
from keyart.errors import InputError, SetupError
from keyart.feedback.privacy import user_keys
from keyart.feedback.spark import opted_in
from keyart.privacy.consent_spark import without_erased
from keyart.privacy.erase_spark import CODED, MEMBER_TABLES, members_of, roots_of
from keyart.privacy.proof_spark import prove
from keyart.privacy.requests import request_of
from keyart.schemas import TABLES
from keyart.seeding import bucket
from keyart.tables import Tables

pytestmark = pytest.mark.spark

KEY, LISTED = "key-of-users", "key-of-the-list"
GONE = "member-ben"
MEMBERS = ("member-ann", GONE, "member-cat", "member-eli", "member-fay")
ARTWORKS = {"a1": "film1", "a2": "film1", "b1": "film2", "b2": "film2"}
MINE = ("events", "quarantine", "impressions", "decisions", "taste", "user_assignments", "opt_outs")
COMPARED = (*MINE, "artwork_stats")


def key_of(member):
    return user_keys(KEY.encode(), [member])[0]


def shown(member, day, artwork, **more):
    title = ARTWORKS[artwork]
    others = [other for other, its in ARTWORKS.items() if its == title]
    return {
        "event_type": "impression", "user_id": member, "ts": f"2026-01-{day:02d}T20:00:00", "title_id": title,
        "artwork_id": artwork, "propensity": 0.5, "candidate_set": others, "candidate_propensities": [0.5, 0.5],
        "policy_id": "uniform", "region": "SE", "device": "tv", "session_id": f"{member}-{day}", **more,
    }  # fmt: skip


def row(event, member, day, **more):
    return {"event_type": event, "user_id": member, "ts": f"2026-01-{day:02d}T20:10:00", **more}


def log_rows():
    """Two days of everybody, ben alone on a third; rows that are set aside, one of another member naming ben."""
    for member in MEMBERS:
        for day in (1, 2):
            yield shown(member, day, "a1" if day == 1 else "b2")
            yield row("take", member, day, title_id="film1" if day == 1 else "film2", source="row")
    yield shown(GONE, 5, "a2")
    yield row("search", GONE, 5, query="call me member-ben")
    yield row("play", GONE, 5, title_id="no such film", query="secret words")
    yield row("play", "member-ann", 5, title_id=GONE)
    yield shown("member-dora", 3, "a1", opted_out=True)
    yield row("consent", "member-eli", 6, opted_out=True)
    yield row("consent", "member-fay", 6, opted_out=True)
    yield row("consent", "member-fay", 7, opted_out=False)
    yield row("consent", GONE, 7, opted_out=True)


class Killed(Exception):
    """What a run dies of."""


def die(*_):
    raise Killed


def settings_for(tables, **more):
    values = {"events.now": "2026-01-10T00:00:00", "events.max_quarantine_share": 0.9} | more
    return with_values(load(None, [f"tables={tables.root}"]), values)


def job(name, tables, **more):
    return importlib.import_module(f"keyart.jobs.{name}").run(tables.spark, settings_for(tables, **more))


def delivered(tables, path, rows):
    path.write_text("".join(json.dumps({"event_id": str(n), **one}) + "\n" for n, one in rows))
    job("ingest_events", tables, **{"events.events": str(path)})


def trained(tables, *members):
    """What training and assigning would have written."""
    known = [{"user_key": key_of(member), "user_bucket": bucket(key_of(member))} for member in members]
    add(tables, "taste", *({**one, "as_of": date(2026, 1, 2), "taste_version": "t"} for one in known))
    add(tables, "user_assignments", *({**one, "policy_id": "p", "version": 20_455} for one in known))


def dump(tables, table):
    return sorted(str(one.asDict(recursive=True)) for one in tables.read_or_empty(table).collect())


@pytest.fixture(scope="module")
def erased(spark, tmp_path_factory):
    """The tables before the member came, and after they were there and were erased; what the job said and left."""
    home = tmp_path_factory.mktemp("privacy")
    tables = Tables(spark, str(home / "tables"))
    rows = list(enumerate(log_rows()))
    theirs = [one for one in rows if GONE in (one[1]["user_id"], one[1].get("title_id"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYART_USER_KEY", KEY)
        patch.setenv("KEYART_SUPPRESSION_KEY", LISTED)
        add(tables, "titles", *({"title_id": title, "name": title} for title in ("film1", "film2")))
        add(tables, "artworks", *({"artwork_id": artwork, "title_id": title} for artwork, title in ARTWORKS.items()))
        delivered(tables, home / "others.jsonl", [one for one in rows if one not in theirs])
        trained(tables, *(member for member in MEMBERS if member != GONE))
        never = {table: dump(tables, table) for table in COMPARED}
        # Rows behind deletion vectors, and change data, stay on disk after a DELETE.
        for table, name in (("decisions", "DeletionVectors"), ("events", "ChangeDataFeed")):
            spark.sql(f"ALTER TABLE {tables.name(table)} SET TBLPROPERTIES ('delta.enable{name}' = 'true')")
        delivered(tables, home / "theirs.jsonl", theirs)
        trained(tables, GONE)
        add(tables, "evaluation_blocks", {"source": "s", "kind": "block", "payload": b"codes"})
        (home / "theirs.jsonl").unlink()
        job("export_member", tables, **{"erase.user": GONE, "erase.out": str(home / "ben.json")})
        planted = home / "mlflow" / "artifacts" / "copy.parquet"
        planted.parent.mkdir(parents=True)
        texts = user_keys(b"others", list(map(str, range(3_000))))
        texts[1_500] = key_of(GONE)
        pq.write_table(pa.table({"x": texts}), planted, compression="zstd", write_statistics=False)
        assert key_of(GONE).encode() not in planted.read_bytes(), "a byte search finds nothing"
        before = job("erase_members", tables, **{"erase.user": GONE, "erase.prove": True})
        killed = Tables(spark, str(shutil.copytree(tables.root, home / "killed" / "tables")))
        patch.setattr("keyart.privacy.erase_spark._remove_texts", die)
        with pytest.raises(Killed):
            job("erase_members", killed, **{"erase.user": GONE})
        patch.undo()
        patch.setenv("KEYART_USER_KEY", KEY)
        patch.setenv("KEYART_SUPPRESSION_KEY", LISTED)
        assert job("erase_members", killed, **{"erase.user": GONE}) == 0
        first = job("erase_members", tables, **{"erase.user": GONE})
        refused = tables.read("erasures").collect()
        planted.unlink()
        second = job("erase_members", tables, **{"erase.user": GONE})
        yield {
            "tables": tables, "never": never, "rows": rows, "export": home / "ben.json",
            "statuses": (before, first, second), "refused": refused, "killed": killed,
        }  # fmt: skip


def test_the_planted_key_is_found_and_then_nothing(erased):
    assert erased["statuses"] == (1, 1, 0)
    (found,) = erased["refused"]
    assert (found["found"], found["proven_at"]) == (1, None), "the tables were clean, the copy was not"
    (proof,) = erased["tables"].read("erasures").collect()
    assert (proof["members"], proof["found"]) == (1, 0)
    assert proof["files"] > 40
    assert proof["proven_at"] is not None
    assert proof["requested_at"] == found["requested_at"]
    assert proof["rows"] == found["rows"] == 6 + 2 + 3 + 3 + 1 + 1 + 1
    assert set(proof["tables"]) == set(MINE)


def test_everybody_else_is_as_if_the_member_had_never_been_there(erased):
    tables = erased["tables"]
    for table in COMPARED:
        assert dump(tables, table) == erased["never"][table], table
    assert tables.read("events").count() > 0
    assert tables.read("evaluation_blocks").count() == 0
    assert {str(one["event_date"]) for one in tables.read("artwork_stats").collect()} == {"2026-01-01", "2026-01-02"}


def test_a_run_that_died_once_its_rows_were_gone_is_made_good(erased):
    """Of the days of the member's decisions nothing is left to tell when it runs again."""
    for table in COMPARED:
        assert dump(erased["killed"], table) == erased["never"][table], table


def test_without_the_lists_key_nothing_is_ingested(erased, monkeypatch):
    monkeypatch.delenv("KEYART_SUPPRESSION_KEY", raising=False)
    with pytest.raises(SetupError, match="export KEYART_SUPPRESSION_KEY="):
        without_erased(erased["tables"].read("events"), erased["tables"], settings_for(erased["tables"]).privacy)


def test_the_list_cannot_be_joined_with_members_and_no_key_stands_in_the_log(erased):
    tables = erased["tables"]
    listed = {one["suppression_key"] for one in tables.read("suppressions").collect()}
    assert listed == {user_keys(LISTED.encode(), [GONE])[0]}
    logs = "".join(path.read_text() for path in Path(tables.root).rglob("_delta_log/*.json"))
    assert not [member for member in MEMBERS if member in logs or key_of(member) in logs]
    assert KEY not in logs
    assert LISTED not in logs


def test_keys_stand_in_no_plan(spark, capsys):
    members_of(spark, request_of([GONE], KEY.encode(), LISTED.encode())).explain(True)
    plan = capsys.readouterr().out
    assert "user_key" in plan
    assert not [secret for secret in (GONE, key_of(GONE), KEY) if secret in plan]


def test_the_export_holds_everything(erased):
    found = json.loads(erased["export"].read_text())
    counts = {table: len(one["rows"]) for table, one in found["tables"].items()}
    assert counts == dict(zip(MINE, (6, 1, 3, 3, 1, 1, 1), strict=True))
    assert found["user_key"] == key_of(GONE)
    assert "call me member-ben" in erased["export"].read_text()
    assert all("member-ann" not in json.dumps(one["rows"]) for one in found["tables"].values())
    assert erased["export"].stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="no table knows this member"):
        importlib.import_module("keyart.privacy.export_spark").export(
            erased["tables"], request_of(["nobody"], KEY.encode(), KEY.encode())
        )


def test_who_opted_out_is_neither_trained_on_nor_assigned(erased):
    tables = erased["tables"]
    said = {one["user_key"]: one["opted_out"] for one in tables.read("opt_outs").collect()}
    assert said == {key_of("member-dora"): True, key_of("member-eli"): True, key_of("member-fay"): False}
    for table in ("events", "decisions", "taste"):
        whose = {one["user_key"] for one in opted_in(tables.read(table), tables).collect()}
        assert whose == {key_of(member) for member in ("member-ann", "member-cat", "member-fay")}, table
    assert key_of("member-dora") not in {one["user_key"] for one in tables.read("events").collect()}


def test_every_table_of_members_is_known():
    """A new table with members in it has to be found by its columns, or stand in CODED."""
    hidden = {name for name, spec in TABLES.items() if "user_bucket" in spec.schema.names} - set(MEMBER_TABLES)
    assert not hidden
    holding_bytes = {
        name for name, spec in TABLES.items() if any(f.dataType.typeName() == "binary" for f in spec.schema)
    }
    assert holding_bytes - set(CODED) == {"images", "scan_segments"}, "does the new one hold members?"
    keys = {name for name, spec in TABLES.items() if {"user_id", "member", "user"} & set(spec.schema.names)}
    assert not keys


def test_the_proof_goes_through_what_lies_beside_the_tables(erased, tmp_path):
    tables = erased["tables"]
    home = Path(tables.root).parent
    roots = roots_of(tables, settings_for(tables, **{"erase.roots": (str(tmp_path),)}))
    assert roots == ([tables.root, str(tmp_path)], [str(home / "mlflow"), str(home / "report"), str(home / "bundles")])
    with pytest.raises(InputError, match=f"no files under {tmp_path}"):
        prove(tables.spark, roots[0], request_of([GONE], KEY.encode(), LISTED.encode()))


def test_neither_the_erased_nor_what_is_too_old_comes_back_with_an_old_log(erased, monkeypatch):
    """The last test: it changes the tables."""
    monkeypatch.setenv("KEYART_USER_KEY", KEY)
    monkeypatch.setenv("KEYART_SUPPRESSION_KEY", LISTED)
    tables = erased["tables"]
    home, kept_days = Path(tables.root).parent, {date(2026, 1, 2), date(2026, 1, 7)}
    rules = {"privacy.retention": {"events": "8", "user_assignments": "30"}}
    files = set(Path(tables.root, "events").rglob("*.parquet"))
    assert job("erase_members", tables, **rules, **{"erase.retention": True}) == 0
    assert not files & set(Path(tables.root, "events").rglob("*.parquet"))
    assert {one["event_date"] for one in tables.read("events").collect()} == kept_days
    assert dump(tables, "user_assignments") == erased["never"]["user_assignments"]
    # ann's row that names ben is hers: it would come again, and the proof would say so.
    again = [one for one in erased["rows"] if one[1].get("title_id") != GONE]
    (home / "again.jsonl").write_text("".join(json.dumps({"event_id": str(n), **one}) + "\n" for n, one in again))
    job("ingest_events", tables, **rules, **{"events.events": str(home / "again.jsonl")})
    for table in ("quarantine", "decisions", "artwork_stats", "opt_outs", "taste"):
        assert dump(tables, table) == erased["never"][table], table
    assert {one["event_date"] for one in tables.read("events").collect()} == kept_days
    figures = [(one["measure"], one["value"]) for one in tables.read("data_quality").where("value > 0").collect()]
    assert {("dropped: erased member", 8), ("dropped: opted out", 3), ("dropped: past retention", 8)} <= set(figures)
    # eli's refusal is heard again, and takes effect at once.
    assigned = {one["user_key"] for one in tables.read("user_assignments").collect()}
    assert assigned == {key_of(member) for member in ("member-ann", "member-cat", "member-fay")}
    assert job("erase_members", tables, **{"erase.user": GONE, "erase.prove": True}) == 0
