"""A policy as an immutable folder: written under another name and renamed when whole, opened as maps of its files.

NAME/manifest.json              format, policy, size and SHA-256 of every file; written last
NAME/shelves.arrow              what every level shows of every title
NAME/overrides/00000.arrow ...  members' segments and own choices, in shards by user_key
NAME/looks.arrow                what artworks look like, for pages whose neighbours should differ
NAME/catalogue.json             rights, placement, withdrawn artworks, images
NAME/images/SHA-256             the bytes of images, where they were asked for
current                         beside the bundles: the name of the one that is served
"""

import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from keyart.errors import ConfigError, InputError
from keyart.policy.page import Alike
from keyart.policy.remembering import RememberingResolver
from keyart.policy.specification import Policy
from keyart.serving.catalogue import Catalogue
from keyart.serving.looks import MappedLooks
from keyart.serving.manifest import CATALOGUE, IMAGE, LOOKS, MANIFEST, SHELVES, FileSum, Manifest, shard_name, sum_of
from keyart.serving.shards import Names, OverrideShards
from keyart.serving.shelves import MappedShelves
from keyart.settings import Settings

__all__ = [
    "CURRENT",
    "PolicyBundle",
    "bundles_folder",
    "current_name",
    "discard",
    "is_good",
    "left_over",
    "older",
    "point",
    "pointed",
    "write_bundle",
]

CURRENT = "current"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
PARTIAL = re.compile(rf"\.{NAME.pattern}\.[0-9a-f]{{8}}\.partial")
LEFT_SECONDS = 86_400
"""What no run wrote to for so long was left by one that broke off."""


@dataclass(frozen=True)
class PolicyBundle:
    """An open bundle: everything that an answer is made of, of one policy."""

    folder: Path
    manifest: Manifest
    resolver: RememberingResolver
    images: Mapping[str, str]
    alike: Alike

    @classmethod
    def open(
        cls, folder: Path, *, verify: bool = False, remembered: int = 65_536, most_alike: float = 0.9
    ) -> "PolicyBundle":
        """Map a bundle's files; sizes are checked always, checksums and that no row leads astray where asked
        (``verify``: every byte is read; without it, only a bundle that nobody else could write is safe to answer from).

        ``remembered`` bounds the offers kept; two artworks are alike where their features' cosine exceeds
        ``most_alike``. InputError where the folder is no whole bundle.
        """
        folder = folder.resolve()
        manifest = Manifest.read(folder)
        if verify:
            manifest.verify(folder)
        shelves, about = MappedShelves(folder / SHELVES), Catalogue.read(folder / CATALOGUE)
        names = Names(shelves.title_ids, shelves.title_codes, shelves.artwork_ids)
        resolver = RememberingResolver(
            manifest.policy,
            shelves,
            OverrideShards([folder / shard_name(shard) for shard in range(manifest.shards)], names, verify),
            about.inactive,
            about.titles,
            about.placement,
            remembered=remembered,
        )
        looks = MappedLooks(folder / LOOKS, shelves.artwork_ids, verify)
        return cls(folder, manifest, resolver, about.images, looks.alike(most_alike))

    def image(self, name: str) -> bytes | None:
        """An image's bytes; None where the bundle has none of that name, whatever it is made of."""
        if not IMAGE.fullmatch(name):
            return None
        try:
            # No link is followed: it might lead out of the bundle.
            image = os.open(self.folder / "images" / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(image, "rb") as file:
                return file.read()
        except OSError:
            return None


def write_bundle(
    folder: Path,
    name: str,
    policy: Policy,
    inputs: Mapping[str, int | None],
    fill: Callable[[Path], tuple[int, Mapping[str, int], Mapping[str, FileSum]]],
) -> bool:
    """Write a bundle unless a good one of that name is there; whether it was written.

    ``fill`` gets an empty folder with ``overrides`` and ``images`` in it, writes everything but the manifest, and
    answers with the number of shards, what was counted, and sums that it knows already; other files are read for
    theirs. What a broken or killed run left is written again; a run of the same name that ends earlier is believed.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be a bundle's name")
    target = folder / name
    if is_good(target):
        return False
    partial, broken = _partial(folder / name), _partial(folder / name)
    try:
        for room in ("overrides", "images"):
            (partial / room).mkdir(parents=True)
        shards, counts, known = fill(partial)
        names = [SHELVES, LOOKS, CATALOGUE, *(shard_name(shard) for shard in range(shards))]
        files = {one: known[one] if one in known else sum_of(partial / one) for one in names}
        manifest = Manifest(name, policy, shards, inputs, counts, files)
        _write_text(partial / MANIFEST, manifest.to_json())
        if is_good(target):
            return False
        if target.exists():  # half of a bundle, or a damaged one
            target.rename(broken)
        partial.rename(target)
    except OSError as error:
        if is_good(target):  # another run's, that got the name in between
            return False
        raise InputError(f"{folder} cannot be written ({error}); name another with publish.folder") from error
    finally:
        for left in (partial, broken):  # other runs' are theirs
            shutil.rmtree(left, ignore_errors=True)
    return True


def _partial(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")


def discard(folder: Path) -> None:
    """Remove a bundle, or what is left of one; no reader finds half of it under its name. InputError where it stays."""
    gone = folder if PARTIAL.fullmatch(folder.name) else _partial(folder)
    try:
        with suppress(FileNotFoundError):  # another run was quicker
            if gone != folder:
                folder.rename(gone)
            shutil.rmtree(gone)
    except OSError as error:
        raise InputError(f"{folder} cannot be removed ({error.strerror}): it may hold members' keys") from error


def left_over(folder: Path) -> list[Path]:
    """What runs left that broke off a day ago or earlier: partial bundles, and folders of a bundle's files alone,
    without a manifest. They hold members' keys, which nobody would look for there."""
    rooms, before = {"overrides", "images", SHELVES, LOOKS, CATALOGUE}, time.time() - LEFT_SECONDS
    found = []
    for path in sorted(folder.iterdir()):
        with suppress(OSError):  # that goes away meanwhile
            inside = [] if path.is_symlink() or not path.is_dir() else list(path.iterdir())
            bare = NAME.fullmatch(path.name) and {"overrides"} <= {one.name for one in inside} <= rooms
            if not bare and not (PARTIAL.fullmatch(path.name) and path.is_dir()):
                continue
            if max(one.stat().st_mtime for one in (path, *inside)) < before:
                found.append(path)
    return found


def bundles_folder(settings: Settings) -> Path:
    """Where ``publish`` writes; ConfigError where neither the settings nor a folder of tables says."""
    if settings.publish.folder:
        return Path(settings.publish.folder).absolute()
    if ":" in settings.tables:
        raise ConfigError(f"name a folder for the bundles with --out: {settings.tables} has none beside it")
    return Path(settings.tables).absolute().parent / "bundles"


def is_good(folder: Path) -> bool:
    """Whether a whole bundle lies there, every byte as it was written."""
    try:
        Manifest.read(folder).verify(folder)
    except InputError:
        return False
    return True


def point(folder: Path, name: str) -> None:
    """Let ``folder/current`` name a bundle, at once for whoever reads it."""
    _write_text(folder / CURRENT, f"{name}\n")


def pointed(where: Path) -> Path:
    """The bundle that a path means: itself, the one that a pointer file names, or a folder's ``current``."""
    try:
        if (where / MANIFEST).is_file():
            return where
        pointer = where / CURRENT if where.is_dir() else where
        name = pointer.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where} is neither a bundle nor a pointer to one ({error}); run keyart publish") from error
    if not NAME.fullmatch(name):
        raise InputError(f"{pointer} names {name[:100]!r}, which cannot be a bundle beside it")
    return pointer.parent / name


def current_name(folder: Path) -> str:
    """Of the bundle that the folder's pointer names; empty where there is none."""
    try:
        found = pointed(folder)
    except InputError:
        return ""
    return found.name if found.is_dir() else ""


def older(folder: Path, keep: int) -> list[Path]:
    """Bundles beyond the ``keep`` newest of a folder; the one that is pointed to counts as the newest."""
    now = pointed(folder)
    named = (path.parent for path in folder.glob(f"*/{MANIFEST}") if NAME.fullmatch(path.parent.name))
    found = [path for path in named if path != now]
    return sorted(found, key=lambda path: (path / MANIFEST).stat().st_mtime, reverse=True)[max(0, keep - 1) :]


def _write_text(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from error
