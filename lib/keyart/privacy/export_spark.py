"""export-member: everything the tables hold of one member, as JSON."""

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from keyart.errors import InputError
from keyart.feedback.privacy import secret
from keyart.privacy.erase_spark import CODED, MEMBER_TABLES, members_of
from keyart.privacy.requests import Request, request_of
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["export", "wanted", "write"]


def wanted(settings: Settings) -> tuple[Request, str]:
    """The member and the file to write; InputError where one is not named."""
    if not settings.erase.user or not settings.erase.out:
        raise InputError("name the member and the file: --user ID --out FILE")
    key = secret(settings.privacy)
    return request_of([settings.erase.user], key, key), settings.erase.out


def export(tables: Tables, request: Request) -> dict[str, Any]:
    """The member's rows by table, each table with what its columns mean; InputError where no table knows the member."""
    members = members_of(tables.spark, request)
    found: dict[str, Any] = {}
    for table in MEMBER_TABLES:
        mine = tables.read_or_empty(table).join(members, on="user_key", how="left_semi")
        spec = TABLES[table]
        # One member's rows: what one person did, in the order of the table's key.
        rows = mine.select(*spec.schema.names).orderBy(*(F.col(name) for name in spec.key)).collect()
        if rows:
            found[table] = {
                "about": spec.about,
                "columns": {
                    field.name: field.metadata["comment"] for field in spec.schema if field.metadata["comment"]
                },
                "rows": [row.asDict(recursive=True) for row in rows],
            }
    if not found:
        raise InputError("no table knows this member: check the id and KEYART_USER_KEY")
    return {
        "exported_at": datetime.now(UTC),
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
            json.dump(found, file, indent=1, ensure_ascii=False, default=_said)
            file.write("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another --out") from error


def _said(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no place in an export")
