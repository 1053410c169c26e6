"""What a policy bundle says of itself: format, policy, and the size and checksum of every file in it."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keyart.errors import ConfigError, InputError, TableError
from keyart.policy.specification import Policy

__all__ = [
    "CATALOGUE",
    "FORMAT_VERSION",
    "IMAGE",
    "LOOKS",
    "MANIFEST",
    "SHELVES",
    "FileSum",
    "Manifest",
    "read_json",
    "shard_name",
    "sum_of",
]

FORMAT = "keyart-policy-bundle"
FORMAT_VERSION = 3
"""2: looks lie in a file of their own. 3: shards say members' segments. What another version wrote is refused: a bundle
is made anew in minutes."""
MANIFEST, SHELVES, LOOKS, CATALOGUE = "manifest.json", "shelves.arrow", "looks.arrow", "catalogue.json"
MOST_SHARDS = 100_000
"""As publish.shards allows."""
IMAGE = re.compile(r"[0-9a-f]{64}")
"""An image is called after the SHA-256 of its bytes, so it needs no line in the manifest."""
AGAIN = "run keyart publish again"
PIECE = 1 << 20


@dataclass(frozen=True)
class FileSum:
    """A file's size in bytes and the SHA-256 of them."""

    bytes: int
    sha256: str


def read_json(path: Path) -> Any:
    """What a file holds; ValueError where it is no JSON, or holds halves of characters, which nothing could write."""
    said = json.loads(path.read_text(encoding="utf-8"))
    json.dumps(said, ensure_ascii=False).encode()
    return said


def sum_of(path: Path) -> FileSum:
    """Of a file as it lies there."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
    return FileSum(size, digest.hexdigest())


def shard_name(shard: int) -> str:
    """The file of one shard of members' overrides, relative to the bundle."""
    return f"overrides/{shard:05d}.arrow"


@dataclass(frozen=True)
class Manifest:
    """The last file of a bundle to be written: where it is there, the others are whole."""

    name: str
    policy: Policy
    shards: int
    inputs: Mapping[str, int | None]  # newest Delta version that changed rows, of each table it was made from
    counts: Mapping[str, int]
    files: Mapping[str, FileSum]

    def to_json(self) -> str:
        """The same text for the same bundle; its last field guards the others."""
        said = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "policy": {"policy_id": self.policy.policy_id, "spec": self.policy.spec(), "salt": self.policy.salt},
            "shards": self.shards,
            "inputs": dict(self.inputs),
            "counts": dict(self.counts),
            "files": {name: asdict(one) for name, one in sorted(self.files.items())},
        }
        return json.dumps(said | {"sha256": _guard(said)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Of a bundle; InputError where it is none, of another format, damaged, or names files beyond its folder."""
        path = folder / MANIFEST
        try:
            said = read_json(path)
        except OSError as error:
            raise InputError(f"{folder} is no policy bundle: {MANIFEST} cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is damaged ({error}); {AGAIN}") from error
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise InputError(f"{path} is not of a policy bundle that keyart publish wrote")
        if (version := said.get("format_version")) != FORMAT_VERSION:
            raise InputError(f"{folder} has format version {version!r}, this keyart reads {FORMAT_VERSION}; {AGAIN}")
        if said.pop("sha256", None) != _guard(said):
            raise InputError(f"{path} is damaged: its checksum differs; {AGAIN}")
        try:
            files = {str(name): FileSum(int(one["bytes"]), str(one["sha256"])) for name, one in said["files"].items()}
            counts = {str(name): int(count) for name, count in said["counts"].items()}
            policy = Policy.parse(**{key: str(said["policy"][key]) for key in ("policy_id", "spec", "salt")})
            found = cls(str(said["name"]), policy, int(said["shards"]), dict(said["inputs"]), counts, files)
        except (AttributeError, ConfigError, LookupError, OverflowError, TableError, TypeError, ValueError) as error:
            raise InputError(f"{path} lacks what a bundle must say ({error}); {AGAIN}") from error
        return found._checked(folder)

    def _checked(self, folder: Path) -> "Manifest":
        if not 0 < self.shards <= MOST_SHARDS:
            raise InputError(f"{folder / MANIFEST} tells of {self.shards} shards; {AGAIN}")
        wanted = {SHELVES, LOOKS, CATALOGUE, *(shard_name(shard) for shard in range(self.shards))}
        if strange := sorted(set(self.files) ^ wanted):
            raise InputError(f"{folder / MANIFEST} should name the bundle's own files, and differs in {strange[0]!r}")
        for name in (MANIFEST, "images"):
            _inside(folder, name)
        for name, said in self.files.items():
            _inside(folder, name)
            try:
                about = (folder / name).stat()
            except OSError as error:
                raise InputError(f"{folder / name} is missing ({error.strerror}); {AGAIN}") from error
            if about.st_size != said.bytes or not stat.S_ISREG(about.st_mode):
                raise InputError(f"{folder / name} has {about.st_size} bytes instead of {said.bytes}; {AGAIN}")
        return self

    def verify(self, folder: Path) -> None:
        """Read every byte, images too; InputError names the first file that is not what was written or cannot be read,
        as where the bundle is removed meanwhile."""
        try:
            self._verify(folder)
        except OSError as error:
            raise InputError(f"{error.filename or folder} cannot be read ({error.strerror}); {AGAIN}") from error

    def _verify(self, folder: Path) -> None:
        for name, said in self.files.items():
            if sum_of(folder / name) != said:
                raise InputError(f"{folder / name} is damaged: its checksum differs; {AGAIN}")
        found = (path for path in (folder / "images").glob("*") if IMAGE.fullmatch(path.name))
        images = sorted(path for path in found if path.is_file() and not path.is_symlink())
        if len(images) != self.counts.get("images", 0):
            raise InputError(f"{folder / 'images'} has {len(images)} of {self.counts.get('images', 0)} images; {AGAIN}")
        for path in images:
            if sum_of(path).sha256 != path.name:
                raise InputError(f"{path} is damaged: its checksum differs; {AGAIN}")


def _inside(folder: Path, name: str) -> None:
    """InputError where a link takes the name out of the bundle: what is served lies in it."""
    if not Path(os.path.realpath(folder / name)).is_relative_to(os.path.realpath(folder)):
        raise InputError(f"{folder / name} leads out of the bundle; {AGAIN}")


def _guard(said: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
