"""export-member: everything the tables hold of one member, as JSON."""

import json
import os
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import InputError
from keyart.feedback.privacy import secret
from keyart.privacy.erase_spark import CODED, MEMBER_TABLES, members_of
from keyart.privacy.requests import Request, request_of
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["export", "wanted", "write"]

WITH_NULLS = {"ignoreNullFields": "false"}


def wanted(settings: Settings) -> tuple[Request, str]:
    """The member and the file to write; InputError where one is not named."""
    if not settings.erase.user or not settings.erase.out:
        raise InputError("name the member and the file: --user ID --out FILE")
    key = secret(settings.privacy)
    return request_of([settings.erase.user], key, key), settings.erase.out


def export(tables: Tables, request: Request) -> dict[str, Any]:
    """The member's rows by table, each table with what its columns mean; InputError where no table knows the member."""
    tables.spark.conf.set("spark.sql.session.timeZone", "UTC")
    members = members_of(tables.spark, request)
    there = [table for table in MEMBER_TABLES if tables.exists(table)]
    parts = [
        tables.read(table)
        .join(members, on="user_key", how="left_semi")
        .select(F.lit(table).alias("table"), F.to_json(F.struct(*TABLES[table].schema.names), WITH_NULLS).alias("row"))
        for table in there
    ]
    # One member's rows: what one person did.
    rows = reduce(DataFrame.unionByName, parts).collect() if parts else []
    found: dict[str, Any] = {}
    for table in there:
        spec, mine = TABLES[table], [json.loads(row["row"]) for row in rows if row["table"] == table]
        if mine:
            found[table] = {
                "about": spec.about,
                "columns": {field.name: field.metadata["comment"] for field in spec.schema},
                "rows": sorted(mine, key=lambda row: [str(row[name]) for name in spec.key]),
            }
    if not found:
        raise InputError("no table knows this member: check the id and KEYART_USER_KEY")
    return {
        "exported_at": datetime.now(UTC).isoformat(),
        "user_key": request.keys[0],
        "tables": found,
        "not_included": {table: f"{TABLES[table].about}; made from the rows above" for table in CODED},
    }


def write(found: dict[str, Any], path: str) -> None:
    """Write the export, readable by its owner alone. InputError where that fails."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1, ensure_ascii=False)
            file.write("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another --out") from error
