"""Which files and addresses a list may name: what stands in a manifest was written by somebody else.

A list may name what lies in its own folder, in folders that the settings allow, and URLs of known stores. What a link
leads to counts, not where the link lies; a name is looked at as it stands and as a store may decode it.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

__all__ = ["NEARBY", "SCHEMES", "URL", "Bounds", "bare_path", "is_remote"]

URL = re.compile(r"[a-z][a-z0-9+.-]*(::[a-z][a-z0-9+.-]*)*://", re.IGNORECASE)
"""Begin of a URL, or of several chained ones: simplecache::s3://bucket/film.mp4."""
FILE = re.compile(r"file:(//)?", re.IGNORECASE)
STORES = ("http", "https", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "hdfs", "webhdfs")
CHAINED = ("simplecache", "filecache", "blockcache", "zip", "tar")
SCHEMES = (*STORES, *CHAINED)
"""What a list may name unless the settings say otherwise. A machine's own files go by ``roots``."""
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
SLASHES = re.compile(r"[/\\]")


@dataclass(frozen=True)
class Bounds:
    """Folders that local names must lie in, and schemes that URLs may have."""

    roots: tuple[str, ...] = ()
    schemes: tuple[str, ...] = SCHEMES

    def beside(self, source: str) -> "Bounds":
        """Also the folder that ``source`` is, or lies in; of a remote source its schemes, and no folder from here.

        >>> Bounds().beside("oss://bucket/list.csv").refusal("oss://bucket/a.mp4")
        ''
        """
        if is_remote(source):
            own = {link.partition("://")[0].lower() for link in source.split("::")} - {"file", "local"}
            return Bounds(self.roots, (*self.schemes, *sorted(own)))
        path = Path(bare_path(source)).absolute()
        return Bounds((*self.roots, str(path if path.is_dir() else path.parent)), self.schemes)

    def refusal(self, address: str) -> str:
        """Why the address may not be read, in one line; empty where it may.

        >>> Bounds(("/films",)).refusal("/films/../etc/passwd")
        'lies outside /films; sources.roots allows more folders'
        >>> Bounds().refusal("sftp://host/film.mp4")
        'sftp:// is not among sources.schemes'
        """
        if UNPRINTABLE.search(address):
            return "holds characters that no name has"
        if not is_remote(address):
            return self._outside(bare_path(address))
        *chain, last = address.split("::")
        for link in (*chain, last):
            scheme, sep, rest = link.partition("://")
            if link == last and not sep:  # zip://film.mkv::/films.zip
                return self._outside(bare_path(link))
            if scheme.lower() in ("file", "local") and sep:
                return self._outside(rest)
            if scheme.lower() not in self.schemes:
                return f"{scheme[:40]}:// is not among sources.schemes"
            if ".." in SLASHES.split(_decoded(rest)):
                return "leads upwards"
        return ""

    def stray(self, folder: str) -> dict[str, str]:
        """Links anywhere in a folder of this machine that lead out of it and out of the roots, each with its refusal.

        Without links nothing is looked at but names: a folder of many files costs one listing.
        """
        allowed, found = self.beside(folder), dict[str, str]()
        if is_remote(folder):
            return found
        for home, folders, names in os.walk(bare_path(folder)):
            for path in (Path(home, name) for name in (*folders, *names)):
                if path.is_symlink() and (refusal := allowed.refusal(str(path))):
                    found[str(path)] = refusal
        return found

    def _outside(self, path: str) -> str:
        homes = [os.path.realpath(root) for root in map(bare_path, self.roots)]
        for form in {path, _decoded(path)}:
            target = os.path.realpath(form) if "\0" not in form else ""
            if not any(target == home or target.startswith(home.rstrip(os.sep) + os.sep) for home in homes):
                where = " and ".join(dict.fromkeys(map(bare_path, self.roots))) or "all folders that are allowed"
                return f"lies outside {where}; sources.roots allows more folders"
        return ""


NEARBY = Bounds()
"""What lies in the list's own folder, and URLs of known stores."""


def is_remote(address: str) -> bool:
    """Whether the address is a URL that fsspec opens, rather than a path or a file: URL."""
    return bool(URL.match(address)) and not address.lower().startswith("file://")


def bare_path(address: str) -> str:
    """The path of a local address, without ``file:``."""
    return FILE.sub("", address, count=1) if FILE.match(address) else address


def _decoded(text: str) -> str:
    """Until nothing is left to decode: %252e is %2e is a dot."""
    for _ in range(4):
        text, before = unquote(text), text
        if text == before:
            break
    return text
