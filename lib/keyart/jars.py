"""Put Delta's jars beside pyspark's own, so that sessions start without the network.

``spark.jars.packages`` resolves 174 MB through Ivy at every fresh machine and ``spark.jars`` set by the session
builder fails under plain ``spark-submit``; jars in ``pyspark/jars`` work both ways. Clusters bring their own Delta.
"""

import hashlib
import os
import sys
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from keyart.errors import SetupError

__all__ = ["JARS", "install", "jars_folder"]

MAVEN = "https://repo1.maven.org/maven2"

# Maven path without the file's name -> sha256 of the jar. The seven that Delta 4.4.0 needs beyond pyspark 4.2.0's own.
JARS: dict[str, str] = {
    "io/delta/delta-spark_4.2_2.13/4.4.0": ("27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead"),
    "io/delta/delta-storage/4.4.0": ("c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc"),
    "io/delta/delta-kernel-api/4.4.0": ("ee9b5a14ac3b7efdff4d61a58478fe8eb0e5a3fbca43889dca7290795fe79a11"),
    "io/delta/delta-kernel-defaults/4.4.0": ("225c975199e4718b38ee5b7e6da7f19e9585024262b2cec2656b32151a856b0b"),
    "io/delta/delta-kernel-unitycatalog/4.4.0": ("cea22dfb4ac562b3cd27bf652697750e8336009d73fb06631363aaaad5345ffa"),
    "io/unitycatalog/unitycatalog-client/0.6.0": ("48257499a86b801a3e2372cec55ac226ca1c1c7eabe5c118e7302f29a1fdbc19"),
    "io/unitycatalog/unitycatalog-hadoop/0.6.0": ("c47b63c961c87102b9e1d63809a0915ba4c86b7652f57c8d39ca3a05b441a150"),
}


def jars_folder() -> Path:
    """The ``jars`` folder of the installed pyspark; SetupError without one."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SetupError("pyspark is not installed here; install keyart with its extra: pip install 'keyart[local]'")
    return Path(spec.origin).parent / "jars"


def install(folder: Path | None = None, mirror: str | None = None) -> list[Path]:
    """Fetch what is missing or damaged and return the paths; a jar with the right checksum is left alone.

    ``mirror`` (or the environment's ``KEYART_MAVEN``) replaces Maven Central. SetupError names the jar that could not
    be had; a partial download never takes a jar's name.
    """
    folder = folder or jars_folder()
    base = (mirror or os.environ.get("KEYART_MAVEN") or MAVEN).rstrip("/")
    paths = []
    for path, checksum in JARS.items():
        name, version = path.split("/")[-2:]
        target = folder / f"{name}-{version}.jar"
        if not target.exists() or _sha256(target.read_bytes()) != checksum:
            _fetch(f"{base}/{path}/{target.name}", target, checksum)
        paths.append(target)
    return paths


def _fetch(url: str, target: Path, checksum: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            content = answer.read()
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise SetupError(f"could not fetch {url} ({error}); set KEYART_MAVEN to a mirror of Maven Central") from error
    if _sha256(content) != checksum:
        raise SetupError(f"{url} has sha256 {_sha256(content)}, expected {checksum}; nothing was installed")
    partial = target.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(target)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    try:
        print(f"Delta's {len(install())} jars are in {jars_folder()}")
    except SetupError as error:
        sys.exit(f"keyart: {error}")
