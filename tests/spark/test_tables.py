"""Delta on disk: schemas checked at both ends, writes that can be repeated, conflicts that are retried."""

import threading
from datetime import date

import pytest
from pyspark.sql import functions as F

from keyart.errors import SchemaError, TableError
from keyart.schemas import TABLES, check_schema
from keyart.tables import Tables

pytestmark = pytest.mark.spark


def titles(spark, *names, kids=False):
    rows = [
        (name, name.upper(), ["drama"], None, kids, [], [("SE", date(2026, 1, 1), None)], [], None) for name in names
    ]
    return spark.createDataFrame(rows, TABLES["titles"].schema)


def found(tables):
    return {row["title_id"]: row["kids"] for row in tables.read("titles").collect()}


def test_merge_is_idempotent_and_updates(spark, tables):
    tables.merge("titles", titles(spark, "a", "b"))
    tables.merge("titles", titles(spark, "a", "b"))
    tables.merge("titles", titles(spark, "b", "c", kids=True))
    assert found(tables) == {"a": False, "b": True, "c": True}
    tables.merge("titles", titles(spark, "a", "d", kids=True), update=False)
    assert found(tables) == {"a": False, "b": True, "c": True, "d": True}
    tables.merge("titles", titles(spark, "d", kids=False), columns=["name"])
    assert found(tables)["d"] is True


def test_replace_touches_only_its_part(spark, tables):
    tables.merge("titles", titles(spark, "a", "b"))
    tables.replace("titles", titles(spark, "b", kids=True), "title_id = 'b'")
    assert found(tables) == {"a": False, "b": True}
    with pytest.raises(Exception, match=r"replaceWhere|does not conform"):
        tables.replace("titles", titles(spark, "c"), "title_id = 'b'")
    assert found(tables) == {"a": False, "b": True}


def test_append_overwrite_delete(spark, tables):
    tables.append("titles", titles(spark, "a"))
    tables.append("titles", titles(spark, "b"))
    tables.delete("titles", "title_id = 'a'")
    assert found(tables) == {"b": False}
    tables.overwrite("titles", titles(spark, "z"))
    assert found(tables) == {"z": False}
    tables.delete("shots", "shot_id = 1")
    assert not tables.exists("shots")


def test_versions_count_writes(spark, tables):
    assert tables.version("titles") is None
    tables.append("titles", titles(spark, "a"))
    before = tables.version("titles")
    tables.append("titles", titles(spark, "b"))
    assert tables.version("titles") == before + 1


def test_what_is_missing_is_said(spark, tables):
    with pytest.raises(TableError, match="table titles is not there under"):
        tables.read("titles")
    with pytest.raises(TableError, match="there is no table films"):
        tables.read("films")
    assert tables.read_or_empty("titles").count() == 0


def test_every_discrepancy_of_a_schema_is_listed(spark, tables):
    wrong = titles(spark, "a").drop("name").withColumn("kids", F.lit("yes")).withColumn("more", F.lit(1))
    with pytest.raises(SchemaError) as caught:
        tables.append("titles", wrong)
    assert str(caught.value) == (
        "table titles: name is missing; more is not a column of it; kids is string, expected boolean"
    )
    assert not tables.exists("titles")


def test_every_table_can_be_created_with_its_schema(spark, tables):
    for name, spec in TABLES.items():
        tables.append(name, spark.createDataFrame([], spec.schema))
        check_schema(name, tables.read(name).schema)
        assert set(spec.key) <= set(spec.schema.names)
        assert set(spec.cluster) <= set(spec.schema.names)


def test_member_keys_carry_no_statistics(spark, tables):
    for name in ("taste", "events", "images"):
        tables.append(name, spark.createDataFrame([], TABLES[name].schema))
        detail = spark.sql(f"DESCRIBE DETAIL {tables.name(name)}").first()
        counted = detail["properties"]["delta.dataSkippingStatsColumns"].split(",")
        assert not {"user_key", "content", "query"} & set(counted)


def test_writers_side_by_side_both_win(spark, tables):
    tables.merge("titles", titles(spark, "a"))
    errors = []

    def write(name):
        try:
            tables.merge("titles", titles(spark, "a", name, kids=True))
        except Exception as error:  # a thread's failure must reach the test
            errors.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert set(found(tables)) == {"a", "b", "c"}


def test_names_of_a_catalogue(spark):
    assert Tables(spark, "catalog:main.keyart").name("titles") == "main.keyart.titles"
    assert Tables(spark, "s3://bucket/x/").name("titles") == "delta.`s3://bucket/x/titles`"


def test_a_root_may_be_relative(spark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tables = Tables(spark, "build/tables")
    tables.append("titles", titles(spark, "a"))
    assert tables.read("titles").count() == 1
    assert (tmp_path / "build" / "tables" / "titles" / "_delta_log").is_dir()


def test_a_schema_of_the_session_catalogue_works_too(spark, tmp_path):
    spark.sql(f"CREATE DATABASE IF NOT EXISTS keyart_test LOCATION '{tmp_path}'")
    try:
        tables = Tables(spark, "catalog:keyart_test")
        tables.merge("titles", titles(spark, "a"))
        tables.append("titles", titles(spark, "b"))
        tables.replace("titles", titles(spark, "b", kids=True), "title_id = 'b'")
        assert found(tables) == {"a": False, "b": True}
    finally:
        spark.sql("DROP DATABASE keyart_test CASCADE")
