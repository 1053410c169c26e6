"""How fast artwork is answered from a bundle: in process at millions of members, and over HTTP.

    python bench/serving.py [process] [http]

Members' overrides are made with numpy and go through the bundle's own writer. Memory is what the kernel says of this
process: private pages, and mapped ones that it may drop at any time. HTTP is one server process and one client process
that share this machine's cores; the client keeps a bounded number of requests under way and is as lean as it can be
(``loopback``). At half of the peak requests are due at even moments, and what one waits for a free caller counts.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
from loopback import ask, encoded
from results import BUILD, ROOT, record

from keyart.policy.exploration import EpsilonGreedy, Exploration, Softmax, Thompson
from keyart.policy.resolve import Shelf
from keyart.policy.specification import Policy
from keyart.serving.catalogue import Catalogue
from keyart.serving.looks import write_looks
from keyart.serving.manifest import CATALOGUE, LOOKS, SHELVES, shard_name
from keyart.serving.policy_bundle import PolicyBundle, write_bundle
from keyart.serving.shards import Overrides, write_shard
from keyart.serving.shelves import write_shelves

MEMBERS, TITLES, ARTWORKS, OWN, SHARDS = 5_000_000, 2_000, 8, 12, 64
"""Members, titles, artworks of each, overrides of a member, files."""
DAY = date(2026, 2, 1)
REGIONS = {f"R{i}": f"P{i % 4}" for i in range(20)}
LOOKUPS, WARM = 200_000, 50_000
SECONDS = 8.0
CALLERS = 16
RULES: dict[str, Exploration] = {
    "epsilon-greedy": EpsilonGreedy(0.05),
    "softmax": Softmax(0.1),
    "thompson": Thompson(64, "seed"),
}


def keys_of(shard: int) -> np.ndarray:
    """A shard's members in ascending order, (n,) S32."""
    rng = np.random.default_rng((7, shard))
    number = MEMBERS // SHARDS
    first = np.unique(rng.integers(0, 2**32 // SHARDS, int(1.05 * number)))
    first = np.sort(rng.permutation(first)[:number]) * SHARDS + shard
    rest = rng.integers(0, 2**63, size=(number, 1)).astype(">u8")
    parts = [first.astype(">u4")[:, None].view(np.uint8), rest.view(np.uint8), np.zeros((number, 4), np.uint8)]
    raw = np.concatenate(parts, axis=1)
    text = raw.tobytes().hex().encode()
    return np.frombuffer(text, dtype="S32")


def overrides_of(shard: int) -> Overrides:
    """Each member has OWN titles' artwork of their own; popular titles more often."""
    rng, keys = np.random.default_rng((8, shard)), keys_of(shard)
    step = TITLES // OWN
    titles = (np.arange(OWN) * step + rng.integers(0, step, size=(len(keys), OWN))).astype(np.uint32)
    artworks = titles * ARTWORKS + rng.integers(0, ARTWORKS, size=titles.shape).astype(np.uint32)
    return Overrides(
        keys,
        np.arange(len(keys) + 1, dtype=np.int64) * OWN,
        titles.ravel(),
        artworks.ravel(),
        rng.random(titles.size).astype(np.float32) + np.float32(0.02),
        rng.integers(0, 40, titles.size).astype(np.uint32),
        tuple(f"they like feature {i:02d}" for i in range(40)),
        np.zeros(len(keys), np.uint8),
    )


def bundle(rule: str) -> Path:
    """A bundle of MEMBERS members, made once; other rules share its members' files."""
    rng = np.random.default_rng(9)
    cells = [*(("region", region) for region in REGIONS), *(("parent", f"P{i}") for i in range(4)), ("global", "*")]
    titles = [f"title-{t:05d}" for t in range(TITLES)]
    shelves = {}
    for title in titles:
        ids = tuple(f"{title}-{a}" for a in range(ARTWORKS))
        for level, cell in cells:
            scores, why = rng.normal(size=ARTWORKS), tuple(f"{level} favours warmth" for _ in ids)
            shelves[title, level, cell, "*"] = Shelf(ids, scores, np.full(ARTWORKS, 0.05), why)

    def fill(partial: Path):
        write_shelves(partial / SHELVES, shelves)
        write_looks(partial / LOOKS, np.empty(0, np.int64), np.empty((0, 0)))
        Catalogue().write(partial / CATALOGUE)
        first = BUILD / "serving" / next(iter(RULES))
        for shard in range(SHARDS):
            if (first / shard_name(shard)).exists():
                os.link(first / shard_name(shard), partial / shard_name(shard))
            else:
                write_shard(partial / shard_name(shard), overrides_of(shard))
        return SHARDS, {"members": MEMBERS // SHARDS * SHARDS, "images": 0}, {}

    policy = Policy(rule, RULES[rule], "salt", 0.02, "t1", DAY, REGIONS)
    folder = BUILD / "serving"
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle(folder, rule, policy, {}, fill)
    return folder / rule


def questions(number: int, seed: int) -> list[tuple[str, str, str]]:
    """Members drawn evenly from all, regions evenly; half of the titles are ones that the member has artwork of their
    own for, half come by a long tail (1 / rank)."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, TITLES + 1)
    titles = rng.permutation(TITLES)[rng.choice(TITLES, number, p=weights / weights.sum())]
    shard, place = rng.integers(0, SHARDS, number), rng.integers(0, MEMBERS // SHARDS, number)
    keys = np.empty(number, dtype="S32")
    for s in range(SHARDS):
        here, found = np.flatnonzero(shard == s), overrides_of(s)
        keys[here] = found.keys[place[here]]
        own = here[rng.random(len(here)) < 0.5]
        titles[own] = found.titles[place[own] * OWN + rng.integers(0, OWN, len(own))]
    regions = rng.integers(0, len(REGIONS), number)
    return [
        (key.decode(), f"title-{t:05d}", f"R{r}")
        for key, t, r in zip(keys.tolist(), titles.tolist(), regions.tolist(), strict=True)
    ]


def memory(pid: int | str = "self") -> dict[str, float]:
    """Megabytes of a process: private, and mapped files."""
    said = dict(line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(said[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")}


def processor(pid: int) -> float:
    """Seconds of a processor that a process has used."""
    said = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(said[11]) + int(said[12])) / os.sysconf("SC_CLK_TCK")


def busy() -> float:
    """Seconds of processors that this machine has used."""
    said = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(said) - said[3] - said[4]) / os.sysconf("SC_CLK_TCK")


def process() -> None:
    """One thread asks one question after the other; each is timed."""
    figures = {}
    asked = questions(WARM + LOOKUPS, 5)
    gc.collect()
    gc.freeze()  # the questions are the bench's own
    resolver = None
    for rule in RULES:
        path = bundle(rule)
        del resolver  # what the one before remembered
        before, began = memory(), time.perf_counter()
        resolver = PolicyBundle.open(path).resolver
        opened, opening = memory(), time.perf_counter() - began
        took, levels = np.empty(len(asked)), 0
        for i, (user, title, region) in enumerate(asked):
            start = time.perf_counter()
            found = resolver.resolve(user, title, region, epoch=DAY)
            took[i] = time.perf_counter() - start
            levels += found.level == "user"
        after, warm = memory(), took[WARM:]
        cold = took[:WARM]
        figures[rule] = {
            "lookups_a_second": round(len(warm) / warm.sum()),
            "p50_us": round(1e6 * float(np.quantile(warm, 0.5)), 1),
            "p99_us": round(1e6 * float(np.quantile(warm, 0.99)), 1),
            "p999_us": round(1e6 * float(np.quantile(warm, 0.999)), 1),
            "first_lookups_a_second": round(len(cold) / cold.sum()),
            "first_p99_us": round(1e6 * float(np.quantile(cold, 0.99)), 1),
            "from_own_override": round(levels / len(asked), 4),
            "open_seconds": round(opening, 2),
            "private_mb_open": round(opened["RssAnon"] - before["RssAnon"], 1),
            "private_mb_after": round(after["RssAnon"] - before["RssAnon"], 1),
            "mapped_mb_after": round(after["RssFile"] - before["RssFile"], 1),
        }
    size = sum(one.stat().st_size for one in (BUILD / "serving" / "epsilon-greedy").rglob("*") if one.is_file())
    record("serving", {"members": MEMBERS, "titles": TITLES, "bundle_mb": round(size / 2**20), **figures})


def http() -> None:
    """Peak rate, then an even load of half of it."""
    path = bundle("epsilon-greedy")
    command = [sys.executable, "-m", "keyart.cli", "serve", "--bundle", str(path), "--set", "serve.port=0"]
    environment = os.environ | {"KEYART_USER_KEY": "only-for-this-bench"}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    assert running.stdout is not None
    try:
        host, port = running.stdout.readline().split(" on http://")[1].strip().split(":")
        bodies = (
            json.dumps({"user_key": user, "title_id": title, "region": region}).encode()
            for user, title, region in questions(40_000, 6)
        )
        requests = [encoded("/v1/artwork", body) for body in bodies]

        def load(rate: float | None, seconds: float) -> dict[str, float]:
            before = busy(), processor(running.pid), time.process_time(), time.perf_counter()
            found = asyncio.run(ask(host, int(port), requests, CALLERS, rate, seconds))
            after = busy(), processor(running.pid), time.process_time(), time.perf_counter()
            whole, server, client, spent = (b - a for a, b in zip(before, after, strict=True))
            # What else ran is no fault of the server's, and neither is a tail that comes of it.
            others = {"others_cores": round((whole - server - client) / spent, 2)}
            return found | {"server_us": round(1e6 * server / found["requests"])} | others

        gc.disable()  # the client's pauses are not the server's
        load(None, 3.0)  # warm
        peak = load(None, SECONDS)
        half = load(peak["requests_a_second"] / 2, SECONDS)
        private = memory(running.pid)["RssAnon"]
    finally:
        running.terminate()
        running.wait(timeout=60)
    record("serving_http", {"callers": CALLERS, "peak": peak, "half": half, "private_mb": round(private, 1)})


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["process", "http"]
    for name in chosen:
        {"process": process, "http": http}[name]()
    print(json.dumps({"done": chosen}))
