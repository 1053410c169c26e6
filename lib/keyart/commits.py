"""What an entry of a Delta table's history did: whether rows changed, and how many were written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Commit"]

UPKEEP = frozenset(
    (
        "CREATE TABLE", "OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES",
        "CHANGE COLUMN", "CHANGE COLUMNS", "ADD CONSTRAINT", "DROP CONSTRAINT", "UPGRADE PROTOCOL", "ADD FEATURE",
        "DROP FEATURE", "CLUSTER BY", "COMPUTE STATS", "DOMAIN METADATA CLEANUP", "SET CLUSTERING KEY",
        "ADD COLUMNS", "RENAME COLUMN", "DROP COLUMNS",
    )
)  # fmt: skip
"""Operations after which a table holds the same rows. One that is not known counts as a change: computing again is
safer than missing something."""
MERGED = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted")


@dataclass(frozen=True)
class Commit:
    """A version of a table: when it came about (UTC), by what operation, and Delta's figures of it."""

    version: int
    at: datetime
    operation: str
    metrics: Mapping[str, str]

    @property
    def changes_data(self) -> bool:
        """Whether rows came, went or changed: not so for compaction, upkeep, and writes of no row.

        >>> Commit(3, datetime(2026, 1, 1), "OPTIMIZE", {"numRemovedFiles": "9"}).changes_data
        False
        >>> Commit(4, datetime(2026, 1, 1), "WRITE", {"numOutputRows": "1"}).changes_data
        True
        """
        if self.operation in UPKEEP:
            return False
        if self.operation == "MERGE":
            return any(self.metrics.get(name, "1") != "0" for name in MERGED)
        if self.operation == "WRITE":
            # An append has no removed files to tell of, an overwrite says how many there were.
            return self.metrics.get("numOutputRows", "1") != "0" or self.metrics.get("numRemovedFiles", "0") != "0"
        if self.operation == "DELETE":
            return any(self.metrics.get(name, "1") != "0" for name in ("numDeletedRows", "numRemovedFiles"))
        return True

    @property
    def rows(self) -> int:
        """Rows that were added or set; what a merge or compaction only copied does not count.

        >>> Commit(4, datetime(2026, 1, 1), "MERGE", {"numOutputRows": "9", "numTargetRowsInserted": "2"}).rows
        2
        """
        if self.operation in UPKEEP or self.operation == "DELETE":
            return 0
        names = MERGED[:2] if self.operation == "MERGE" else ("numOutputRows",)
        return sum(int(self.metrics.get(name, 0)) for name in names)
