"""Off-policy evaluation on Open Bandit Data (campaign Men): the random log judges Thompson sampling and the other way
round; and the same formulas as Open Bandit Pipeline's on the same arrays.

    python bench/obd.py [../shared/data/obd] [--peer ENV/bin/python]

Thompson's choice probabilities are simulated from the priors in the folder. An impression is a decision of its own: the
small data set names no members. What each policy truly brought is the click rate of its own log (on policy). The two
folders number their items alike but their item_context differ, so nothing is joined across.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from keyart import seeding
from keyart.evaluation.estimators import (
    ESTIMATORS,
    PAGE_ESTIMATORS,
    Layout,
    Moments,
    effective_size,
    interval,
    member_sums,
    standard_error,
)
from keyart.evaluation.findings import thin_overlap
from keyart.evaluation.reward_model import cross_fitted_rates
from keyart.evaluation.slates import add_pages
from keyart.evaluation.sums import Frame, add_up
from keyart.settings import EvaluateSettings

ITEMS, POSITIONS = 34, 3
DRAWS = 400_000
FOLDS = 5
LAYOUT = Layout(("target",), ("click",))
WITH_PAGES = Layout(("target",), ("click",), extras=True)


def read_log(folder: Path) -> dict[str, np.ndarray]:
    """Columns of a log: item, position (from 0), click and propensity, each (n,)."""
    with (folder / "men.csv").open() as file:
        rows = [
            (int(r["item_id"]), int(r["position"]) - 1, int(r["click"]), float(r["propensity_score"]))
            for r in csv.DictReader(file)
        ]
    item, position, click, propensity = map(np.array, zip(*rows, strict=True))
    return {"item": item, "position": position, "click": click.astype(float), "propensity": propensity}


def thompson(prior: Path, seed: int) -> np.ndarray:
    """Probability (items, positions) that Bernoulli Thompson sampling with these priors puts an item at a position."""
    given = yaml.safe_load(prior.read_text())["men"]
    rng, counts = seeding.rng(seed, "thompson"), np.zeros((ITEMS, POSITIONS))
    for _ in range(DRAWS // 10_000):
        drawn = rng.beta(np.array(given["alpha"]), np.array(given["beta"]), size=(10_000, ITEMS))
        top = np.argsort(-drawn, axis=1)[:, :POSITIONS]
        for position in range(POSITIONS):
            counts[:, position] += np.bincount(top[:, position], minlength=ITEMS)
    return counts / DRAWS


def rates(log: dict[str, np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cross-fitted click rates (folds, positions, items) and each impression's fold."""
    fold = seeding.rng(seed, "folds").integers(0, FOLDS, len(log["item"]))
    n, clicks = np.zeros((2, FOLDS, POSITIONS, ITEMS))
    np.add.at(n, (fold, log["position"], log["item"]), 1.0)
    np.add.at(clicks, (fold, log["position"], log["item"]), log["click"])
    return cross_fitted_rates(n, clicks, np.zeros(ITEMS, dtype=np.int64), 1), fold


def sums_of(log, target: np.ndarray, expected: np.ndarray, clip: float, slate: np.ndarray):
    """Moments of a log for a target (items, positions) with predictions (n, items), and the largest weight."""
    n = len(log["item"])
    offsets = np.arange(n + 1) * ITEMS
    pi = np.ascontiguousarray(target.T[log["position"]].reshape(-1, 1))
    frame, largest = Frame.of([LAYOUT]), np.zeros((n, 1))
    out = np.zeros((n, len(LAYOUT.names)))
    add_up(
        np.arange(n), offsets, log["item"], log["propensity"], log["click"][:, None], expected.reshape(-1, 1), pi,
        np.ones((n, 1), dtype=bool), frame.group, frame.starts, frame.columns, clip, clip,
        out, frame.common(n), largest,
    )  # fmt: skip
    slates = int(slate.max()) + 1
    extras, joint = np.zeros((slates, len(WITH_PAGES.names) - len(LAYOUT.names))), np.zeros(1)
    add_pages(
        slate, slate, offsets, log["item"], np.zeros(n, dtype=np.int64), log["propensity"], log["click"][:, None], pi,
        np.ones(n, dtype=bool), np.array([0]), extras, joint,
    )  # fmt: skip
    by_slate = np.hstack([member_sums(out, slate), extras])
    return Moments.of(out), Moments.of(by_slate), float(largest.max())


def direction(name: str, log, target, truth, settings: EvaluateSettings) -> None:
    """Print what the log says of the target, and what the target's own log says."""
    fitted, fold = rates(log, settings.seed)
    expected = fitted[fold, log["position"]]
    slate = np.arange(len(log["item"])) // POSITIONS
    moments, _, largest = sums_of(log, target, expected, settings.weight_clip, slate)
    refusal = thin_overlap(moments, LAYOUT, "target", largest, settings)
    clicks, n = truth["click"], len(truth["click"])
    error = 1.96 * clicks.std(ddof=1) / np.sqrt(n)
    print(f"{name}: on policy {clicks.mean():.5f} ({clicks.mean() - error:.5f} to {clicks.mean() + error:.5f})")
    size = effective_size(moments, LAYOUT, "target")
    print(f"  effective sample {size:.0f} of {len(log['item'])}, largest weight {largest:.1f}")
    print(f"  verdict: {refusal or 'ok'}")
    for estimator, function in ESTIMATORS.items():
        found = function(moments, LAYOUT, "target", "click")
        low, high = interval(found, moments)
        note = "  (not reported)" if refusal else ""
        print(f"  {estimator:8s} {found.value:.5f}  ({low:.5f} to {high:.5f}){note}")


def compare(log, target: np.ndarray, peer: str, settings: EvaluateSettings) -> float:
    """Largest relative difference between keyart's figures and the peers' on the same arrays."""
    fitted, fold = rates(log, settings.seed)
    n, clip = len(log["item"]), 2.0  # low, so that it matters
    usable = n - n % POSITIONS
    log = {name: column[:usable] for name, column in log.items()}
    expected, slate = fitted[fold[:usable], log["position"]], np.arange(usable) // POSITIONS
    moments, pages, _ = sums_of(log, target, expected, clip, slate)
    ours = {name: f(moments, LAYOUT, "target", "click").value for name, f in ESTIMATORS.items()}
    ours |= {name: f(pages, WITH_PAGES, "target", "click").value for name, f in PAGE_ESTIMATORS.items()}
    for name in ("ips", "snips"):
        ours[f"error of {name}"] = standard_error(ESTIMATORS[name](pages, WITH_PAGES, "target", "click"), pages)
    greedy = np.zeros((ITEMS, POSITIONS))
    greedy[target.argmax(axis=0), np.arange(POSITIONS)] = 1.0
    alone, _, _ = sums_of(log, greedy, expected, clip, slate)
    ours["replay"] = ESTIMATORS["replay"](alone, LAYOUT, "target", "click").value
    chance = target[log["item"], log["position"]]
    start = np.arange(0, usable, POSITIONS)
    joint, joint_target = (np.repeat(np.multiply.reduceat(p, start), POSITIONS) for p in (log["propensity"], chance))
    by_position = np.zeros((usable, ITEMS, POSITIONS))
    by_position[np.arange(usable), :, log["position"]] = expected
    arrays = {
        "reward": log["click"], "action": log["item"], "position": log["position"], "pscore": log["propensity"],
        "action_dist": np.broadcast_to(target, (usable, ITEMS, POSITIONS)), "expected": by_position,
        "greedy_dist": np.broadcast_to(greedy, (usable, ITEMS, POSITIONS)), "clip": clip,
        "slate": slate, "slot": np.arange(usable) % POSITIONS, "slots": POSITIONS,
        "joint": joint, "joint_target": joint_target, "target": chance,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        given, said = Path(folder) / "arrays.npz", Path(folder) / "answers.json"
        np.savez(given, **arrays)
        script = str(Path(__file__).with_name("obp_peer.py"))
        subprocess.run([peer, script, str(given), str(said)], check=True)
        theirs = json.loads(said.read_text())
    worst = 0.0
    for name, value in theirs.items():
        gap = abs(ours[name] - value) / max(abs(value), 1e-12)
        worst = max(worst, gap)
        print(f"  {name:14s} keyart {ours[name]:.12f}  peer {value:.12f}  relative difference {gap:.1e}")
    return worst


def main() -> int:
    """Print both directions and, with a peer, the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "obd"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    parser.add_argument("--peer", help="python of an environment with obp (see obp_peer.py)")
    given = parser.parse_args()
    settings = EvaluateSettings()
    random, bts = read_log(given.folder / "random"), read_log(given.folder / "bts")
    chosen = thompson(given.folder / "prior_bts.yaml", settings.seed)
    even = np.full((ITEMS, POSITIONS), 1.0 / ITEMS)
    direction("random log, Thompson judged", random, chosen, bts, settings)
    direction("Thompson log, random judged", bts, even, random, settings)
    if not given.peer:
        return 0
    worst = 0.0
    for name, log, target in (("random log", random, chosen), ("Thompson log", bts, even)):
        print(f"against Open Bandit Pipeline and statsmodels, {name}:")
        worst = max(worst, compare(log, target, given.peer, settings))
    print(f"largest relative difference {worst:.1e}")
    return 0 if worst < 1e-9 else 1


if __name__ == "__main__":
    sys.exit(main())
