"""Model files: what is configured, what is there, and fetching the rest from its official address by checksum."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from keyart.errors import ConfigError, ModelError

__all__ = ["ModelFile", "fetch_model", "model_files", "state"]


@dataclass(frozen=True)
class ModelFile:
    """A model file: its name in the models folder, its checksum and where it officially lies."""

    name: str
    sha256: str
    address: str


def model_files(configured: Mapping[str, str]) -> list[ModelFile]:
    """From ``name: "sha256 address"`` of the configuration; ConfigError where one is not of that form."""
    files = []
    for name, said in configured.items():
        checksum, _, address = said.partition(" ")
        if len(checksum) != 64 or not address.strip().startswith(("https://", "file:")) or "/" in name:
            raise ConfigError(f"select.models: {name} must be a sha256, a space and an https address")
        files.append(ModelFile(name, checksum.lower(), address.strip()))
    return files


def state(folder: str | Path, file: ModelFile) -> str:
    """ "ok", "missing" or "damaged" (its checksum is another)."""
    path = Path(folder) / file.name
    if not path.is_file():
        return "missing"
    return "ok" if hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256 else "damaged"


def fetch_model(folder: str | Path, file: ModelFile, get: Callable[[str], bytes] | None = None) -> Path:
    """Fetch a file unless it is there and whole; a partial or wrong download never takes its name (ModelError)."""
    target = Path(folder) / file.name
    if state(folder, file) == "ok":
        return target
    try:
        content = (get or _download)(file.address)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise ModelError(f"could not fetch {file.address} ({error}); put {file.name} into {folder} by hand") from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise ModelError(f"{file.address} has sha256 {found}, expected {file.sha256}; nothing was written")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(target)
    return target


def _download(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return bytes(answer.read())
