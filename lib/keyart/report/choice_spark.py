"""Look up what a member sees of a title, and why."""

import re
from datetime import date

from pyspark.sql import functions as F

from keyart.errors import InputError
from keyart.feedback.privacy import secret, user_keys
from keyart.policy.contexts import EVERY, moved, where_of
from keyart.policy.limits import is_personalised
from keyart.policy.resolve import segment_of
from keyart.policy.spark import resolver
from keyart.report.choice import Choice, choice_of, looks_of
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["explain_choice"]

KEY = re.compile(r"[0-9a-f]{32}")


def explain_choice(tables: Tables, settings: Settings, day: date) -> tuple[Choice, dict[str, bytes]]:
    """What explain.user (a user_key, or a raw id that is hashed as ingest does) sees of explain.title (its id or name)
    on a day, and the artworks' pictures.

    InputError where the title or the member is not named or not known; errors as ``resolve``.
    """
    asked = settings.explain
    if not asked.user or not asked.title:
        raise InputError("explain needs --user (a member's id or key) and --title (a title's id or name)")
    titles = tables.read("titles").where((F.col("title_id") == asked.title) | (F.col("name") == asked.title)).collect()
    if len(titles) != 1:
        raise InputError(f"{len(titles) or 'no'} titles are called {asked.title}; write the title_id of one")
    title = titles[0]
    user = asked.user if KEY.fullmatch(asked.user) else user_keys(secret(settings.privacy), [asked.user])[0]
    member = tables.read("taste").where(F.col("user_key") == user).orderBy(F.desc("as_of")).first()
    if member is None:
        raise InputError("nothing is known of this member: no row of taste; write the id as the logs have it")
    own = resolver(tables, settings.assign.policy_id)
    region = member["region"] or "unknown"
    context = asked.context or EVERY
    offer = own.offered(user, title["title_id"], region, context, epoch=day, kids=member["kids"])
    served = offer.drawn(user)
    artworks = tables.read("artworks").where(F.col("title_id") == title["title_id"]).collect()
    images = (
        tables.read_or_empty("images")
        .where(F.col("image_hash").isin([row["image_hash"] for row in artworks]))
        .collect()
    )
    content = {row["image_hash"]: bytes(row["content"]) for row in images}
    looks = {row["artwork_id"]: looks_of(row["moods"], row["shot_type"]) for row in artworks}
    segment = segment_of(own.overrides(user)) if is_personalised(member["kids"]) else ""
    level = own.offer(title["title_id"], region, context, epoch=day, segment=segment)
    # What a stream moved stands before what was assigned, and of each the context before none.
    contexts = [named(where) for named in (moved, str) for where in dict.fromkeys((context, EVERY))]
    found = (
        tables.read("region_assignments")
        .where(
            (F.col("policy_id") == own.policy.policy_id)
            & (F.col("title_id") == title["title_id"])
            & (F.col("level") == level.level)
            & (F.col("cell") == level.cell)
            & F.col("context").isin(contexts)
        )
        .collect()
    )
    stands = min((row["context"] for row in found), key=contexts.index)
    by_artwork = {row["artwork_id"]: row.asDict() for row in found if row["context"] == stands}
    pictures = {row["artwork_id"]: content[row["image_hash"]] for row in artworks if row["image_hash"] in content}
    heading = f"{title['name']}, to a member in {region}{where_of(context)}"
    return choice_of(heading, offer, served, by_artwork, looks, own.policy.segments), pictures
