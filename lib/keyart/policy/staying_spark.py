"""What members saw under the policy before: read when an assignment is planned, joined when it is written."""

import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.policy.assignment import Slate
from keyart.policy.choices import GreedyChoices, of_segments
from keyart.policy.columns import codes, owners, per_text
from keyart.policy.spark import champions, greedy_choices, refused_policies
from keyart.policy.specification import Policy
from keyart.tables import Tables

__all__ = ["Before", "before_of", "policy_before", "with_choices_before"]

COLUMNS = ("titles_before", "artworks_before", "segment_before")


@dataclass(frozen=True)
class Before:
    """An earlier policy's choices on the codes of a slate."""

    policy_id: str
    as_of: date
    choices: GreedyChoices
    slate: Slate

    def shown(self, batch: pa.RecordBatch) -> np.ndarray:
        """(n, T) what members (region and COLUMNS) saw when it did not explore; -1 where that is not in the slate."""
        titles, artworks, column, here = self._codes
        region, segment = per_text(batch.column("region")), per_text(batch.column(COLUMNS[2]))
        shown, row = of_segments(self.choices, region, segment)
        found = np.where(column >= 0, here[shown][:, column], -1)[row]
        own = owners(batch.column(COLUMNS[0]))
        title, artwork = (
            codes(batch.column(name).flatten(), known_as)
            for name, known_as in zip(COLUMNS[:2], (titles, artworks), strict=True)
        )
        found[own[title >= 0], title[title >= 0]] = artwork[title >= 0]
        return found

    @cached_property
    def _codes(self) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
        """The slate's titles (T,) and artworks, each title's column in the earlier choices, and each earlier artwork's
        code in the slate, with one more place at the end for none: for all batches."""
        titles, artworks = self.slate.title_ids.tolist(), self.slate.artwork_ids.tolist()
        known = {title: t for t, title in enumerate(self.choices.title_ids)}
        column = np.array([known.get(title, -1) for title in titles])
        return titles, artworks, column, np.append(codes(pa.array(self.choices.artwork_ids, pa.string()), artworks), -1)


def policy_before(tables: Tables, policy_id: str, inputs: str, as_of: date) -> Policy | None:
    """The policy that members saw: of those within their limits the champion, then those before, then the newest; but
    neither this one nor one of the same inputs, and with taste until ``as_of``.

    An assignment that is made again therefore finds the one it found before.
    """
    refused = refused_policies(tables)
    newest = tables.read_or_empty("policies").orderBy(F.desc("created_at"), "policy_id").collect()
    rows = {row["policy_id"]: row for row in newest}
    for row in [*(rows[name] for name in reversed(champions(tables))), *newest]:
        if row["policy_id"] in refused | {policy_id} or json.loads(row["models"]).get("inputs") == inputs:
            continue
        policy = Policy.parse(row["policy_id"], row["spec"], row["salt"])
        if policy.taste_as_of <= as_of:
            return policy
    return None


def before_of(tables: Tables, policy: Policy, slate: Slate) -> Before:
    """The policy's choices, of the catalogue's size."""
    return Before(policy.policy_id, policy.taste_as_of, greedy_choices(tables, policy), slate)


def with_choices_before(members: DataFrame, tables: Tables, policy_id: str) -> DataFrame:
    """Members with COLUMNS: the titles that they had own artwork for, and which, and the segment that they were in."""
    newest = F.max_by(F.struct("title_ids", "artwork_ids", "segment"), "version").alias("own")
    own = tables.read("user_assignments").where(F.col("policy_id") == policy_id).groupBy("user_key").agg(newest)
    lists = [
        F.coalesce(f"own.{name}", F.array().cast("array<string>")).alias(column)
        for name, column in zip(("title_ids", "artwork_ids"), COLUMNS[:2], strict=True)
    ]
    lists.append(F.col("own.segment").alias(COLUMNS[2]))
    return members.join(own, on="user_key", how="left").select(*members.columns, *lists)
