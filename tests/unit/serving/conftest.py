"""A small world of two policies, written as bundles without Spark."""

import hashlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from keyart.feedback.privacy import user_keys
from keyart.policy.exploration import Best, EpsilonGreedy
from keyart.policy.levels import segment_cell
from keyart.policy.placement import Placement, Rule
from keyart.policy.resolve import ArtworkResolver, Override, OwnChoices, segment_of
from keyart.policy.specification import Policy
from keyart.serving.catalogue import Catalogue
from keyart.serving.looks import looks_of, write_looks
from keyart.serving.manifest import CATALOGUE, LOOKS, SHELVES, shard_name
from keyart.serving.policy_bundle import write_bundle
from keyart.serving.shards import Overrides, shard_of, write_shard
from keyart.serving.shelves import write_shelves

DAY = date(2026, 2, 1)
SECRET = b"only-for-tests"
PICTURE = b"\xff\xd8\xff" + b"a small picture"
TITLES = ("A", "B", "C", "gone")
PARENTS = {"SE": "nordics", "NO": "nordics", "JP": "asia"}
CELLS = (("region", "SE"), ("region", "JP"), ("parent", "nordics"), ("global", "*"))
SEGMENTS = {"taste-1": "watches more drama than most", "taste-2": "likes more warmth"}
NARROWED = [("segment", segment_cell(*cell, name)) for cell in CELLS for name in SEGMENTS]


class World:
    """What a policy is made of, and the members who have overrides, by user_key."""

    def __init__(self, policy_id: str, exploration=None):
        rng = np.random.default_rng(3)
        self.policy = Policy(
            policy_id, exploration or EpsilonGreedy(0.3), f"salt-{policy_id}", 0.02, "t1", DAY, PARENTS,
            segments=SEGMENTS,
        )  # fmt: skip
        self.rows = [
            {
                "policy_id": policy_id,
                "level": level,
                "cell": cell,
                "context": context,
                "title_id": title,
                "artwork_id": f"{title}{i}",
                "mean": float(mean),
                "sd": 0.1,
                "is_default": bool(i == means.argmax()),
                "reason": f"{level} {cell} likes {i}",
            }
            for title in TITLES
            for level, cell in (*CELLS, *NARROWED)
            for context in ("*", *(("evening",) if cell == "SE" else ()))
            for means in [rng.normal(size=4)]
            for i, mean in enumerate(means)
            # A segment has a shelf where its default is another: of some titles.
            if not (title == "C" and (level == "region" or cell.startswith(("SE/", "JP/"))))
            and not (level == "segment" and title == "B" and cell.endswith("1"))
        ]
        ids = [f"member-{i}" for i in range(300)]
        self.members = {
            key: OwnChoices(
                {
                    title: Override(
                        f"{title}{rng.integers(4)}", float(np.float32(rng.random() + 0.01)), f"because {i % 3}"
                    )
                    for title in rng.permutation(["B", "A", "unknown"])[: 1 + i % 3 if i % 9 else 0].tolist()
                },
                ["", *SEGMENTS][i % 4 % 3],
            )
            for i, key in enumerate(user_keys(SECRET, ids))
            if i % 2
        }
        self.ids = ids
        self.catalogue = Catalogue(
            {"A": ([], [("JP", None, date(2026, 3, 1))]), "B": (["SE", "NO"], [])},
            frozenset({"A3", *(f"gone{i}" for i in range(4))}),
            Placement((Rule("B", "B0", "ban", ("nordics",)), Rule("A", "A1", "pin", ("SE",), DAY, date(2026, 2, 3)))),
            {"A0": hashlib.sha256(PICTURE).hexdigest()},
        )
        self.features = {f"A{i}": [float(i == 0), 1.0] for i in range(4)}

    def resolver(self) -> ArtworkResolver:
        """As from tables."""
        about = self.catalogue
        return ArtworkResolver.of(
            self.policy,
            self.rows,
            overrides=lambda user: self.members.get(user, {}),
            inactive=about.inactive,
            titles=about.titles,
            placement=about.placement,
        )

    def shards(self, shards: int, order: int = 1) -> list[Overrides]:
        """Overrides as rows of a table, in either order, to shards."""
        titles = sorted({row["title_id"] for row in self.rows})
        artworks = sorted({row["artwork_id"] for row in self.rows})
        made = []
        for shard in range(shards):
            rows = [
                {
                    "user_key": user,
                    "title_ids": list(own),
                    "artwork_ids": [one.artwork_id for one in own.values()],
                    "gains": [one.gain for one in own.values()],
                    "reasons": [one.reason for one in own.values()],
                    "segment": segment_of(own) or None,
                }
                for user, own in list(self.members.items())[::order]
                if shard_of(user, shards) == shard
            ]
            kinds = {name: pa.list_(pa.string()) for name in ("title_ids", "artwork_ids", "reasons")}
            kinds |= {"user_key": pa.string(), "gains": pa.list_(pa.float32()), "segment": pa.string()}
            schema = pa.schema(kinds)
            made.append(Overrides.of(pa.Table.from_pylist(rows, schema), titles, artworks))
        return made

    def write(self, folder: Path, name: str | None = None, shards: int = 4, order: int = 1) -> Path:
        """As a bundle; its path."""

        name = name or self.policy.policy_id
        write_bundle(folder, name, self.policy, {"artworks": 3}, lambda partial: self.filled(partial, shards, order))
        return folder / name

    def filled(self, partial: Path, shards: int, order: int = 1):
        """Everything of a bundle but its manifest; what ``write_bundle`` asks of ``fill``."""
        write_shelves(partial / SHELVES, self.resolver().shelves)
        self.catalogue.write(partial / CATALOGUE)
        artworks = sorted({row["artwork_id"] for row in self.rows})
        kept, looks = looks_of(pa.array(list(self.features.values())))
        write_looks(partial / LOOKS, np.array([artworks.index(one) for one in self.features])[kept], looks)
        for shard, found in enumerate(self.shards(shards, order)):
            write_shard(partial / shard_name(shard), found)
        (partial / "images" / hashlib.sha256(PICTURE).hexdigest()).write_bytes(PICTURE)
        return shards, {"members": len(self.members), "images": 1}, {}


@pytest.fixture
def world() -> World:
    return World("old")


@pytest.fixture
def other() -> World:
    return World("new", Best())


@pytest.fixture
def exploring():
    """A world by another way to explore."""
    return lambda exploration: replace_policy(World("p"), exploration)


def replace_policy(made: World, exploration) -> World:
    made.policy = replace(made.policy, exploration=exploration)
    return made
