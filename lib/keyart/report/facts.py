"""What the pages are made of: rows of the tables, gathered once, catalogue-sized or aggregated.

``spark`` fills these; every page is a plain function of them, so a page can be tested without a JVM. A title's page
needs only the facts of that title. A row is a mapping with the column names of ``schemas``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["Facts", "Picture", "Row", "Source"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """A thumbnail of the site: its file under assets/images and its size in pixels."""

    file: str
    width: int
    height: int


@dataclass(frozen=True)
class Source:
    """A table that was read: its newest Delta version, its rows and when it was last written."""

    name: str
    about: str
    version: int
    rows: int
    written: datetime


@dataclass(frozen=True)
class Facts:
    """Everything a site says. A part whose table nobody wrote yet is empty (or None), and its page says so."""

    titles: Sequence[Row] = ()
    """Those that get a page: they have a film or an artwork."""
    titles_left: int = 0
    """Titles with films beyond settings.report.titles."""
    back_catalogue: int = 0
    """Titles without film or artwork."""
    videos: Sequence[Row] = ()
    shots: Sequence[Row] = ()
    """Of each film's visible scan."""
    signal: Sequence[Row] = ()
    """Frames thinned to bins of time: video_id, bin, seconds, luma, motion, frames."""
    candidates: Sequence[Row] = ()
    """The best of each shot first, up to settings.report.candidates a title; plus ``of`` (how many the title has),
    face_count and face_height (of the tallest, share of the height)."""
    artworks: Sequence[Row] = ()
    """The active ones."""
    failures: Sequence[Row] = ()
    """Of the films' visible scans."""
    all_failures: Sequence[Row] = ()
    """Of every scan, with or without a title that is shown."""
    policy: Row | None = None
    """The newest."""
    policies: Sequence[Row] = ()
    """Newest first, up to settings.report.policies."""
    assignments: Sequence[Row] = ()
    """The policies' rows of every level."""
    evaluations: Sequence[Row] = ()
    """The policy's newest evaluation."""
    measures: Sequence[Row] = ()
    """The policy's rows of policy_measures."""
    promotions: Sequence[Row] = ()
    """All tries for champion and rollbacks, of whatever policy."""
    weights: Sequence[Row] = ()
    """The policy's rows of policy_weights."""
    calibration: Sequence[Row] = ()
    """The policy's rows of policy_calibration."""
    seen: Sequence[Row] = ()
    """artwork_stats summed by artwork: artwork_id, n, takes."""
    crowds: Sequence[Row] = ()
    """artwork_id, region (null: everywhere), members with a decision that counts, about."""
    segments: Sequence[Row] = ()
    """title_id, segment, artwork_id, members given it instead of their default, of how many in the segment."""
    members: Sequence[Row] = ()
    """A sample in the order of user_key: user_assignments with history and kids of taste."""
    audience: Row | None = None
    """members: how many taste is known of at its newest day."""
    overrides: Sequence[Row] = ()
    """title_id, artwork_id, members: how many were given it instead of their default, the most frequent; the row
    without artwork_id says how many members have any, and in ``all`` how many overrides there are."""
    decisions: Row | None = None
    """n, takes, first and last day."""
    quarantine: Sequence[Row] = ()
    """reason, rows."""
    quality: Sequence[Row] = ()
    """data_quality."""
    experiments: Sequence[Row] = ()
    """experiment_results with the experiment's name."""
    runs: Sequence[Row] = ()
    """The newest run of each stage: stage, seconds, finished_at."""
    cards: Sequence[Row] = ()
    """A card a title, where its page was written elsewhere (``wall_page.card``)."""
    sources: Sequence[Source] = ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    """By image hash; a picture that cannot be decoded is absent."""
    regions: Mapping[str, str] = field(default_factory=dict)
    """Region: its parent, as configured, or "other" of one that only a policy names."""
    claim_level: float = 0.99
    """Level of the interval that must lie above zero before a lift is claimed."""
    smallest_cell: int = 50
    """Groups of fewer members are not counted out."""
