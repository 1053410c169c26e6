"""keyart simulate: a log that ingest-events reads, and a catalogue where there is none."""

import importlib
from datetime import datetime
from pathlib import Path

import pytest

from keyart.config import load, with_values
from keyart.errors import InputError
from keyart.schemas import TABLES

pytestmark = pytest.mark.spark

SIZE = {"members": 60, "titles": 8, "artworks": 3, "days": 2, "deliveries": 2, "malformed": 0.02}


def settings_for(tables, out: Path, **more):
    values = {f"simulate.{name}": value for name, value in (SIZE | more).items()}
    return with_values(load(None, [f"tables={tables.root}"]), values | {"simulate.out": str(out)})


def run(spark, settings) -> None:
    importlib.import_module("keyart.jobs.simulate").run(spark, settings)


def test_the_log_is_one_that_ingestion_reads(spark, tables, tmp_path, capsys):
    from keyart.demo.simulate import block_log, crowd_of
    from keyart.demo.simulate_spark import _catalogue
    from keyart.feedback.events_spark import checked
    from keyart.feedback.log_spark import open_log

    settings = settings_for(tables, tmp_path / "log", format="json")
    # As a run leaves it that was killed once it had created the table.
    tables.append("titles", spark.createDataFrame([], TABLES["titles"].schema))
    run(spark, settings)
    assert "a catalogue of 10 titles was made up" in capsys.readouterr().out
    crowd = crowd_of(_catalogue(tables), settings.simulate, settings.demo, settings.regions, 5_400.0)
    expected = block_log(crowd, 0).to_pandas()
    assert sorted(path.name for path in (tmp_path / "log").glob("delivery=*")) == ["delivery=0", "delivery=1"]
    log = open_log(spark, with_values(settings, {"events.events": str(tmp_path / "log")}).events)
    found = checked(log.rows, tables.read("titles"), tables.read("artworks"), datetime(2027, 1, 1), b"k").collect()
    assert len(found) == len(expected) > 1_000
    reasons = {one["reason"] for one in found}
    assert {None, "unreadable line", "missing user_id"} <= reasons <= {
        None, "unreadable line", "missing user_id", "malformed value", "propensity outside (0, 1]"
    }  # fmt: skip
    times = {one["event_id"]: one["ts"] for one in found if one["reason"] is None}
    logged = dict(zip(expected.event_id, expected.ts.dt.tz_localize(None).dt.to_pydatetime(), strict=True))
    assert times == {name: logged[name] for name in times}


def test_a_folder_with_something_else_in_it_is_left_alone(spark, tables, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis\.txt"):
        run(spark, settings_for(tables, tmp_path))
    with pytest.raises(InputError, match="--out"):
        run(spark, load(None))
