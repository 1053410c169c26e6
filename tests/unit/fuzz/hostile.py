"""Hand readers what an enemy might write, one example after the other, in a process that may be killed.

    python tests/unit/fuzz/hostile.py READER FOLDER SEED FIRST EXAMPLES SECONDS

Before an example its number is printed, after it one line of JSON: whether it was read or refused, and how much memory
was taken. What is no KeyartError of one line is a crash; an alarm ends an example that takes too long.
"""

import hashlib
import importlib.util
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from keyart.errors import KeyartError
from keyart.seeding import rng

LIMIT_SECONDS = 30
MEMORY = 4 << 30
"""Bytes of address space of this process, libraries and all."""
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0, 1_000_000, 65_536)
ATOMS = (
    "", " ", "\0", "\r", '"', "'", ",", "|", ":", ";", "[", "[[", "{", '{"a":', "]", "\ufeff", "\u2028", "\ud800",
    "é" * 40,
    "../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "%2e%2e/%2e%2e", "a" * 5_000, "x" * 140_000, "[" * 3_000,
    "-1", "1e400", "nan", "Infinity", "9" * 5_000, "0x" + "f" * 3_000, "2026-13-45", "2026-02-30", "0000-00-00", "null",
    "true", "~", "=1+1", "<script>", "' OR 1=1 --", "${jndi:ldap://x}", "SE:2026-01-01:2025-01-01", "ja:", ":ja", "||",
    "http://", "s3://b/../x", "zip://a::/etc/x", "sftp://h/x", "*", "&a [*a]", "!!python/object/apply:os.system [id]",
    "!!binary x", "? [a, b]", "<<: *x", "%YAML 9.9", "---\n...\n---", "\t", "- - - -", "extends: /dev/zero",
)  # fmt: skip


def choice(random: np.random.Generator, options):
    return options[int(random.integers(len(options)))]


def mutated(random: np.random.Generator, content: bytes, most: int = 8) -> bytes:
    """Bits turned, bytes taken out or doubled, numbers put in that break sums; half of it near the ends, where headers
    and indices lie."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, most + 1))):
        if not data:
            break
        near = min(len(data), int(choice(random, (16, 256, 4_096, len(data)))))
        at = int(random.integers(near)) if random.random() < 0.6 else len(data) - 1 - int(random.integers(near))
        kind = int(random.integers(7))
        length = int(random.integers(1, 1 + min(len(data), int(choice(random, (4, 64, 2_048))))))
        if kind == 0:
            data[at] ^= 1 << int(random.integers(8))
        elif kind == 1:
            data[at] = int(random.integers(256))
        elif kind == 2:
            size, order = choice(random, ((2, "big"), (4, "big"), (4, "little"), (8, "little"), (8, "big")))
            number = choice(random, NUMBERS) % (1 << 8 * size)
            data[at : at + size] = number.to_bytes(size, order)
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = data[at : at + length] * int(random.integers(1, 9))
        elif kind == 5:
            data[at:at] = str(choice(random, ATOMS)).encode("utf-8", "surrogatepass")[:20_000]
        else:
            data = data[:at]
    return bytes(data)


def replaced(random: np.random.Generator, tree: Any) -> Any:
    """A copy of JSON-like data in which one node is something else."""
    if isinstance(tree, dict) and tree and random.random() < 0.85:
        key = choice(random, sorted(tree))
        if random.random() < 0.1:
            return {name: value for name, value in tree.items() if name != key}
        return tree | {key: replaced(random, tree[key])}
    if isinstance(tree, list) and tree and random.random() < 0.7:
        at = int(random.integers(len(tree)))
        return [*tree[:at], replaced(random, tree[at]), *tree[at + 1 :]]
    odd = [None, True, -1, 10**30, 1e308, float("inf"), float("nan"), [], {}, [[[]]], {"a": {}}, [1, "a"], "b", 2**63]
    return choice(random, [*odd, *ATOMS])


def table(
    random: np.random.Generator, columns: tuple[str, ...], good: tuple[tuple[str, ...], ...], as_json: float
) -> bytes:
    """A CSV, or with a chance of ``as_json`` JSON lines, with some of its cells replaced."""
    rows = [list(choice(random, good)) for _ in range(int(random.integers(1, 30)))]
    for number, row in enumerate(rows):
        row[0] += str(number)
    for _ in range(int(random.integers(0, 6))):
        row = choice(random, rows)
        row[int(random.integers(len(row)))] = str(choice(random, ATOMS))
    if random.random() < as_json:
        lines = [json.dumps(dict(zip(columns, row, strict=False))) for row in rows]
        if random.random() < 0.5:
            lines[0] = json.dumps(replaced(random, dict(zip(columns, rows[0], strict=False))))
        text = "\n".join(lines)
    else:
        text = "\n".join(",".join(cells) for cells in (columns, *rows))
    return text.encode("utf-8", "surrogatepass" if random.random() < 0.05 else "replace")


class Manifests:
    """Manifests and tables of items, as CSV and JSON lines."""

    COLUMNS = ("title_id", "name", "uri", "genres", "kids", "regions", "rights", "cast", "names", "creators")
    GOOD = (
        ("a", "A", "a.mp4", "drama|war", "true", "SE|NO", "SE:2026-01-01:2026-12-31", "Ann|Ben", "ja:長い|ar:طريق", ""),
        ("b", "B", "", "", "", "", "", "", "", ""),
        ("c", "C", "https://host/c.mp4", "[\"x\"]", "0", "", "JP", "", "", ""),
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.file = folder / "list.csv"

    def read(self, random: np.random.Generator) -> None:
        from keyart.catalog.manifests import read_items, read_manifest

        content = table(random, self.COLUMNS, self.GOOD, 0.4)
        self.file.write_bytes(mutated(random, content, 3) if random.random() < 0.4 else content)
        titles = choice(random, (read_manifest, lambda file: read_items(file)[0]))(str(self.file))
        for title in titles:
            assert title.title_id and json.dumps(title.name).encode()
            assert not any("\ud800" <= letter <= "\udfff" for letter in title.title_id + title.name)


class Overrides:
    """Editors' CSV."""

    COLUMNS = ("title_id", "action", "artwork", "regions", "rating", "from", "until")
    GOOD = (
        ("t", "pin", "abc", "SE|NO", "", "2026-01-01", "2026-02-01"), ("t", "upload", "a/b.png", "", "", "", ""),
        ("u", "ban", "abd", "*", "18", "", ""),
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.file = folder / "overrides.csv"

    def read(self, random: np.random.Generator) -> None:
        from keyart.catalog.overrides import read_overrides

        content = table(random, self.COLUMNS, self.GOOD, 0.02)
        self.file.write_bytes(mutated(random, content, 3) if random.random() < 0.4 else content)
        _, bad = read_overrides(str(self.file))
        assert all("\n" not in line for line in bad), bad


class Configurations:
    """YAML files, --set and plug-ins."""

    SECTIONS = ("session", "logging", "events", "taste", "experiment", "select", "regions", "time", "privacy")

    def __init__(self, folder: Path) -> None:
        self.file = folder / "conf.yaml"
        (folder / "base.yaml").write_text("taste: {rank: 8}\n")
        (folder / "model.onnx").write_bytes(b"no model")
        conf = Path(__file__).parents[3] / "conf"
        self.seeds = [path.read_bytes() for path in sorted(conf.glob("*.yaml"))]
        self.plugin = b"name: n\nmodel: model.onnx\nkind: classifier\nlabels: [safe, nude]\nwidth: 8\nmean: [0, 0, 0]\n"

    def read(self, random: np.random.Generator) -> None:
        import yaml

        from keyart.config import load, with_values
        from keyart.settings import Settings
        from keyart.vision.plugins import read_plugin

        kind = int(random.integers(5))
        if kind == 0:
            section = json.loads(json.dumps(asdict(Settings()), default=str))
            name = choice(random, self.SECTIONS)
            self.file.write_text(yaml.safe_dump({name: replaced(random, section[name])}), errors="replace")
            load(self.file)
        elif kind == 1:
            place = choice(
                random, ("regions: {}", "events: {{columns: {}}}", "select: {{plugins: {}}}", "taste: {}", "{}")
            )
            self.file.write_text(place.format(nested(random)) + "\n")
            load(self.file)
        elif kind == 2:
            keys = (
                "taste.rank",
                "taste.alpha",
                "regions",
                "events.columns",
                "tables",
                "time.t0",
                str(choice(random, ATOMS)),
            )
            settings = load(None, [f"{choice(random, keys)}={choice(random, ATOMS)}"])
            with_values(settings, {"catalog.videos": str(choice(random, ATOMS))})
        elif kind == 3:
            self.file.write_bytes(mutated(random, self.plugin, 3))
            read_plugin(self.file)
        else:
            self.file.write_bytes(mutated(random, choice(random, self.seeds), 3))
            load(self.file)


def nested(random: np.random.Generator) -> str:
    """YAML of a few lines that is gigabytes when written out, or nested past what a stack bears."""
    kind = int(random.integers(4))
    if kind == 0:
        depth = int(random.integers(5, 30))
        return "[&a0 [x], " + ", ".join(f"&a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)) + "]"
    if kind == 1:
        return "[" * 3_000 + "]" * 3_000
    if kind == 2:
        return "{a: &a [*a, *a]}" if random.random() < 0.5 else "&a {b: *a}"
    return "{k: " + "9" * int(choice(random, (30, 4_400))) + ", j: 0x" + "f" * 8_000 + "}"


class Films:
    """Films and images, by the supervised child that jobs read them in."""

    def __init__(self, folder: Path) -> None:
        from keyart.video.child import Child

        self.child, self.folder = Child(warm=False), folder
        self.seeds = {path.name: path.read_bytes() for path in sorted(folder.glob("seed*"))}

    def read(self, random: np.random.Generator) -> None:
        from keyart.video.exchange import Pick

        name = choice(random, sorted(self.seeds))
        file = str(self.folder / f"film{Path(name).suffix}")
        Path(file).write_bytes(mutated(random, self.seeds[name]))
        if Path(name).suffix in (".png", ".jpg", ".webp", ".bmp", ".tiff"):
            self.call("keyart.catalog.images:read_image", file)
            return
        self.call("keyart.catalog.probing:probe_film", file)
        plan = self.call("keyart.video.plan:plan_film", file, 1.0)
        assert len(plan.segments) <= 10_000
        for segment in plan.segments[:2]:
            part = self.call("keyart.video.segments:scan_segment", file, segment, 0)
        picks = [Pick(int(part.pts[0]), None, 0.0, 0.0)]
        self.call("keyart.video.pictures:fetch_pictures", file, picks, 0, 90, False)

    def call(self, target: str, *arguments: Any) -> Any:
        answer = self.child.call(target, *arguments, timeout=LIMIT_SECONDS - 10)
        return answer


class Bundles:
    """Policy bundles: files changed as they lie there, or with all checksums made anew, then asked."""

    def __init__(self, folder: Path) -> None:
        place = Path(__file__).parents[1] / "serving" / "conftest.py"
        spec = importlib.util.spec_from_file_location("worlds", place)
        assert spec is not None and spec.loader is not None
        worlds = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(worlds)
        world = worlds.World("old")
        self.folder = world.write(folder / "bundles")
        self.files = {p.relative_to(self.folder): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}
        self.members = list(world.members)[:20]

    def read(self, random: np.random.Generator) -> None:
        from keyart.serving.policy_bundle import PolicyBundle

        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        names = sorted(name for name in self.files if name.parts[0] != "images")
        chosen = choice(random, names)
        content = self.files[chosen]
        if chosen.suffix == ".json" and random.random() < 0.7:
            said = replaced(random, json.loads(content))
            content = json.dumps(said).encode("utf-8", "surrogatepass")
        else:
            content = mutated(random, content, 2)
        (self.folder / chosen).write_bytes(content)
        if random.random() < 0.8:
            self.sign()
        verify = bool(random.random() < 0.8)
        bundle = PolicyBundle.open(self.folder, verify=verify)
        if not verify:
            return  # answers only what was looked through: see PolicyBundle.open
        for title in ("A", "B", "C", "gone", "none"):
            for member in self.members[:5]:
                for region in ("SE", "JP", "unknown"):
                    with_answer(bundle, member, title, region)
        assert bundle.image("../manifest.json") is None
        assert not bundle.alike("A0", "none") and bundle.alike("A1", "A2") in (True, False)

    def sign(self) -> None:
        """Make sums and the manifest's own checksum fit what lies there, as an enemy would."""
        path = self.folder / "manifest.json"
        try:
            said = json.loads(path.read_bytes())
            said.pop("sha256", None)
            for name in said["files"]:
                content = (self.folder / name).read_bytes()
                said["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        except (AttributeError, KeyError, OSError, TypeError, ValueError):
            return
        text = json.dumps(said, sort_keys=True)
        path.write_text(json.dumps(said | {"sha256": hashlib.sha256(text.encode()).hexdigest()}))


def with_answer(bundle: Any, member: str, title: str, region: str) -> None:
    """Ask; a refusal is an answer, too."""
    try:
        bundle.resolver.resolve(member, title, region, epoch=date(2026, 2, 1))
    except KeyartError:
        return


READERS: dict[str, Callable[[Path], Any]] = {
    "manifest": Manifests, "overrides": Overrides, "configuration": Configurations, "film": Films, "bundle": Bundles,
}  # fmt: skip


def peak(pid: int | str = "self") -> int:
    """Most memory that a process ever held, in MB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def main(name: str, folder: str, seed: str, first: str, examples: str, seconds: str) -> None:
    """Examples from ``first`` on until their number or the time is over."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Its own recursion limit is no reason for a reader to survive: native stacks are.
    reader = READERS[name](Path(folder))
    end = time.monotonic() + float(seconds)
    for index in range(int(first), int(first) + int(examples)):
        if time.monotonic() > end:
            break
        print(index, flush=True)
        signal.alarm(LIMIT_SECONDS)
        outcome, told = "read", ""
        try:
            reader.read(rng(int(seed), "fuzz", name, index))
        except KeyartError as error:
            outcome, told = "refused", str(error)
            if "\n" in told or not told:
                outcome, told = "crash", f"not one line: {told!r}"
        except Exception:
            outcome, told = "crash", traceback.format_exc()
        signal.alarm(0)
        child = getattr(getattr(reader, "child", None), "_process", None)
        memory = peak(child.pid) if child else peak()
        print(json.dumps({"outcome": outcome, "told": told[-3_000:], "memory": memory}), flush=True)
    sys.stdout.flush()
    os._exit(0)  # a reader's threads and children do not matter any more


if __name__ == "__main__":
    main(*sys.argv[1:])
