"""What other rooms and services ask of a policy that was written: its row, a resolver, and its greedy choices."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.policy.champions import standing
from keyart.policy.choices import DEFAULTS, RANKED, GreedyChoices, Kept, level_choices, of_segments, user_choices
from keyart.policy.columns import codes, owners, per_text
from keyart.policy.placement_spark import placement_of
from keyart.policy.resolve import ArtworkResolver, Override, OwnChoices
from keyart.policy.specification import Policy
from keyart.policy.versions import ASSIGNED
from keyart.tables import Tables

__all__ = [
    "assigned_on",
    "champions",
    "choices",
    "greedy_choices",
    "newest_policy",
    "override_lookup",
    "refused_policies",
    "resolver",
    "serving_policy",
]


def newest_policy(tables: Tables, policy_id: str = "") -> tuple[Policy, Mapping[str, Any]]:
    """The named policy, or the newest, and its row; ModelError where there is none."""
    rows = tables.read_or_empty("policies")
    if policy_id:
        rows = rows.where(F.col("policy_id") == policy_id)
    row = rows.orderBy(F.desc("created_at"), "policy_id").first()
    if row is None:
        raise ModelError(
            f"no policy {policy_id or 'at all'} under {tables.root}; run assign-artwork first".replace("  ", " ")
        )
    return Policy.parse(row["policy_id"], row["spec"], row["salt"]), row.asDict()


def refused_policies(tables: Tables) -> set[str]:
    """Policies of which measure-policy found something outside the configured limits."""
    outside = (
        tables.read_or_empty("policy_measures")
        .where("NOT within")
        .where("behaviour = 'user' OR measure = 'representation'")
    )
    return {row[0] for row in outside.select("policy_id").distinct().collect()}


def champions(tables: Tables) -> tuple[str, ...]:
    """Policies that were promoted and not rolled back, the champion last; those that were removed since are no more."""
    found = standing(row.asDict() for row in tables.read_or_empty("promotions").collect())
    if not found:
        return ()
    there = {row[0] for row in tables.read_or_empty("policies").select("policy_id").collect()}
    return tuple(name for name in found if name in there)


def serving_policy(tables: Tables, policy_id: str = "") -> Policy:
    """What may be served: the named policy, else the champion (one before, where limits refuse it), else, where
    none was ever promoted, the newest that is within its limits.

    ModelError where there is none, or none that limits allow.
    """
    if policy_id:
        return newest_policy(tables, policy_id)[0]
    refused = refused_policies(tables)
    for name in reversed(champions(tables)):
        if name not in refused:
            return newest_policy(tables, name)[0]
    rows = tables.read_or_empty("policies").where(~F.col("policy_id").isin(*refused)) if refused else None
    if rows is None:
        return newest_policy(tables)[0]
    row = rows.orderBy(F.desc("created_at"), "policy_id").first()
    if row is None:
        raise ModelError(
            f"every policy is outside its limits ({', '.join(sorted(refused))}): mend responsibility.limits or what "
            "they speak of, or name a policy that is to be served all the same"
        )
    return Policy.parse(row["policy_id"], row["spec"], row["salt"])


def resolver(tables: Tables, policy_id: str = "") -> ArtworkResolver:
    """A resolver for a policy (the one that serves) as things are now: withdrawn artworks, rights, where and
    when artworks may be shown, members' overrides."""
    policy = serving_policy(tables, policy_id)
    rows = tables.read("region_assignments").where(F.col("policy_id") == policy.policy_id).collect()
    gone = {row[0] for row in tables.read("artworks").where(~F.col("active")).select("artwork_id").collect()}
    titles = {
        row["title_id"]: (row["regions"], [(w["region"], w["from_date"], w["to_date"]) for w in row["rights"]])
        for row in tables.read_or_empty("titles").select("title_id", "regions", "rights").collect()
    }
    lookup = override_lookup(tables, policy.policy_id)
    return ArtworkResolver.of(
        policy,
        [row.asDict() for row in rows],
        overrides=lookup,
        inactive=frozenset(gone),
        titles=titles,
        placement=placement_of(tables),
    )


def override_lookup(tables: Tables, policy_id: str) -> Callable[[str], Mapping[str, Override]]:
    """A member's overrides by title and segment, read when asked for: one small Spark job a call."""
    rows = tables.read("user_assignments").where(F.col("policy_id") == policy_id)

    def lookup(user_key: str) -> Mapping[str, Override]:
        row = rows.where(F.col("user_key") == user_key).orderBy(F.desc("version")).first()
        if row is None:
            return {}
        entries = zip(row["title_ids"], row["artwork_ids"], row["gains"], row["reasons"], strict=True)
        found = {title: Override(artwork, gain, reason) for title, artwork, gain, reason in entries}
        return OwnChoices(found, row["segment"] or "")

    return lookup


def greedy_choices(tables: Tables, policy: Policy, also: Iterable[str] = ()) -> GreedyChoices:
    """The policy's default at each level, as arrays for closures, among its artworks and ``also`` others."""
    rows = tables.read("region_assignments").where((F.col("policy_id") == policy.policy_id) & (F.col("context") == "*"))
    defaults = rows.where("is_default").select(*DEFAULTS).collect()
    artworks = rows.select("artwork_id").distinct().collect()
    placement = placement_of(tables)
    day = assigned_on(tables, policy.policy_id) if placement.rules else date.min
    ranked = rows.where(F.col("title_id").isin(*placement.titles)).select(*RANKED).collect() if placement.titles else []
    kept = Kept.of(placement, day, [tuple(row) for row in ranked])
    ids = [*also, *(row[0] for row in artworks)]
    return GreedyChoices.of([tuple(row) for row in defaults], policy.parents, ids, kept)


def assigned_on(tables: Tables, policy_id: str) -> date:
    """The day a policy was first written: its rows show what could be shown then."""
    return newest_policy(tables, policy_id)[1]["created_at"].date()


def choices(tables: Tables, members: DataFrame, policy_id: str = "") -> DataFrame:
    """What a policy shows without exploring, for members (user_key, region, kids) x its titles, as it was assigned.

    Columns user_key, title_id, global_artwork, region_artwork, segment_artwork, user_artwork, each of the narrowest
    level up to the one that it names; a title that may not be shown in the
    member's region has its parent's or the world's default there; one of which no artwork may be shown there has none.
    """
    policy = serving_policy(tables, policy_id)
    greedy = greedy_choices(tables, policy)
    own = tables.read("user_assignments").where(F.col("policy_id") == policy.policy_id).where(ASSIGNED)
    levels = ("global", "region", "segment", "user")
    schema = ", ".join(f"{name} string" for name in ("user_key", "title_id", *(f"{one}_artwork" for one in levels)))

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _choice_rows(greedy, batch)

    return (
        members.select("user_key", "region", "kids")
        .join(own.select("user_key", "segment", "title_ids", "artwork_ids"), on="user_key", how="left")
        .mapInArrow(write, schema)
    )


def _choice_rows(greedy: GreedyChoices, batch: pa.RecordBatch) -> pa.RecordBatch:
    titles = len(greedy.title_ids)
    region, regions = per_text(batch.column("region"))
    by_level = {level: level_choices(greedy, level, regions)[region].ravel() for level in ("global", "region")}
    kids = np.asarray(batch.column("kids").fill_null(False))  # as limits.is_personalised
    segment, segments = per_text(batch.column("segment"))
    shown, row = of_segments(greedy, (region, regions), (np.where(kids, -1, segment), segments))
    by_level["segment"] = shown[row].ravel()
    own = owners(batch.column("title_ids"))
    personal = ~kids[own]
    member = np.repeat(np.arange(batch.num_rows), titles)
    title = np.tile(np.arange(titles), batch.num_rows)
    by_level["user"] = user_choices(
        by_level["segment"],
        member,
        title,
        own[personal],
        codes(batch.column("title_ids").flatten(), greedy.title_ids)[personal],
        codes(batch.column("artwork_ids").flatten(), greedy.artwork_ids)[personal],
    )
    ids = pa.array(greedy.artwork_ids)
    none: dict[str, np.ndarray] = {level: found < 0 for level, found in by_level.items()}
    named = {f"{level}_artwork": ids.take(pa.array(by_level[level], mask=none[level])) for level in by_level}
    return pa.RecordBatch.from_pydict(
        {
            "user_key": batch.column("user_key").take(pa.array(member)),
            "title_id": pa.array(greedy.title_ids).take(pa.array(title)),
            **named,
        }
    )
