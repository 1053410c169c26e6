"""Files of a log that appear one after another, and the catalogue that they name."""

import json
from datetime import date

from keyart.schemas import TABLES
from keyart.tables import Tables

DEFAULTS = {
    "string": "", "integer": 0, "long": 0, "double": 0.0, "boolean": True, "array": [], "date": date(2026, 1, 1),
    "binary": b"",
}  # fmt: skip
"""Of what a column that may not be null holds where a test says nothing of it, by type."""
SET = ["a1", "a2"]


def add(tables, table, *rows):
    """Append rows of which only some columns are named."""
    schema = TABLES[table].schema
    blank = {f.name: None if f.nullable else DEFAULTS.get(f.dataType.typeName()) for f in schema}
    tables.append(table, tables.spark.createDataFrame([tuple((blank | one).values()) for one in rows], schema))


def catalogue(spark, root):
    tables = Tables(spark, str(root))
    add(tables, "titles", {"title_id": "film1", "name": "Film", "genres": ["drama"]})
    add(tables, "artworks", *({"artwork_id": artwork, "title_id": "film1"} for artwork in SET))
    return tables


def shown(member, day, artwork, number=0):
    return {
        "event_id": f"i{member}-{day}-{number}", "event_type": "impression", "user_id": f"m{member}",
        "title_id": "film1",
        "ts": f"2026-01-{day:02d}T10:00:00", "artwork_id": artwork, "propensity": 0.5, "candidate_set": SET,
        "candidate_propensities": [0.5, 0.5], "policy_id": "uniform-1", "region": "SE", "device": "tv",
        "local_weekday": 3, "ranker_id": "ranker-7",
    }  # fmt: skip


def click(member, day):
    return {"event_type": "click", "user_id": f"m{member}", "title_id": "film1", "ts": f"2026-01-{day:02d}T10:05:00"}


def lines(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))
