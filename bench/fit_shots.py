"""Fit the weights of the shot detector on composed training films and write lib/keyart/video/shot_weights.py.

    python bench/fit_shots.py [--films FOLDER]

The films are made from training material only (shot_material), of every kind with seeds 1 to 3: about 100,000 frames. A
cut is learned from the candidate nearest to it, a dissolve from the three windows that the fit so far thinks likeliest,
as only the best one counts when shots are found; windows that would be found where nothing is weigh as much.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from shot_sets import Labelled, composed

from keyart.video.shot_blends import Windows, blend_windows
from keyart.video.shot_cuts import cut_candidates
from keyart.video.shot_views import content, look

ROOT = Path(__file__).resolve().parents[1]
SEEDS = range(1, 4)
RIDGE = 3.0
ROUNDS = 4
TARGET = ROOT / "lib/keyart/video/shot_weights.py"
HEADER = '''"""Weights of the scores of cuts and dissolves: logistic regressions on shot_cuts and shot_blends.

Written by bench/fit_shots.py, which composes training films of every kind from material that no test uses; do not edit.
"""

from dataclasses import dataclass

__all__ = ["BLEND", "CUT", "Score"]


@dataclass(frozen=True)
class Score:
    """Log odds: ``features @ weights + bias``."""

    weights: tuple[float, ...]
    bias: float

'''


def logistic(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and bias of a ridge logistic regression by Newton's method, on standardised columns."""
    middle, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.column_stack([(x - middle) / scale, np.ones(len(x))])
    ridge = np.diag([RIDGE] * x.shape[1] + [1e-6])
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ beta, -30, 30)))
        curvature = z.T @ (z * (weight * p * (1 - p) + 1e-9)[:, None]) + ridge
        step = np.linalg.solve(curvature, z.T @ (weight * (y - p)) - ridge @ beta)
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    slopes = beta[:-1] / scale
    return slopes, float(beta[-1] - slopes @ middle)


def cut_examples(film: Labelled, frames: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of a film's candidates; those beside a cut and inside gradual transitions are left out."""
    label = np.zeros(len(frames), int)
    for a, b in film.truth["gradual"]:
        label[(frames >= a - 2) & (frames <= b + 2)] = -1
    for cut in film.truth["cuts"]:
        beside = np.flatnonzero(np.abs(frames - cut) <= 1)
        label[beside] = -1
        if len(beside):
            likeness = features[beside, 1] + 0.1 * (frames[beside] == cut)
            label[beside[likeness.argmax()]] = 1
    return features[label >= 0], label[label >= 0]


def blend_examples(film: Labelled, windows: Windows, fit: tuple[np.ndarray, float] | None) -> Iterator[tuple]:
    """Features, label and weight of a film's windows for the next round of fitting."""
    truth = film.truth
    inside, touching = np.zeros(len(windows.first), bool), np.zeros(len(windows.first), bool)
    score = windows.features @ fit[0] + fit[1] if fit else None
    for (a, b), name in zip(truth["gradual"], truth["names"], strict=True):
        overlap = np.minimum(windows.last, b) - np.maximum(windows.first, a)
        touching |= overlap >= -1
        if name != "dissolve":
            continue
        here = (windows.halfway >= a - 1) & (windows.halfway <= b + 1)
        here &= (windows.first >= a - 14) & (windows.last <= b + 14)
        union = np.maximum(windows.last, b) - np.minimum(windows.first, a)
        order = overlap / np.maximum(union, 1) if score is None else score
        best = np.flatnonzero(here)[np.argsort(-order[here], kind="stable")[:3]]
        inside[best] = True
        yield windows.features[best], np.ones(len(best)), np.full(len(best), 1 / max(1, len(best)))
    rest = np.flatnonzero(~inside & ~touching)
    weight = np.full(len(rest), 0.15)
    if score is not None:
        weight = np.where(np.isin(rest, _standing_out(windows, score)), 1.0, 0.02)
    yield windows.features[rest], np.zeros(len(rest)), weight


def _standing_out(windows: Windows, score: np.ndarray) -> list[int]:
    """The windows that would be found, were the least score low."""
    chosen: list[int] = []
    for k in np.argsort(-score, kind="stable").tolist():
        if score[k] <= -6:
            break
        if all(windows.last[k] <= windows.first[j] + 2 or windows.first[k] >= windows.last[j] - 2 for j in chosen):
            chosen.append(k)
    return chosen


def written(name: str, slopes: np.ndarray, bias: float) -> str:
    """A Score constant as the formatter likes it."""
    numbers = [f"{value:.3f}" for value in slopes]
    rows = [", ".join(numbers[k : k + 8]) + "," for k in range(0, len(numbers), 8)]
    lines = "\n".join(f"        {row}" for row in rows)
    return f"\n{name} = Score(\n    weights=(\n{lines}\n    ),\n    bias={bias:.3f},\n)  # fmt: skip\n"


def main() -> None:
    """Make the films where they are not there yet, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, default=ROOT / "build/shots")
    films, cuts, blends = [], [], []
    for film in composed("train", SEEDS, parser.parse_args().films):
        views = look(film.thumbs, content(film.thumbs))
        cuts.append(cut_examples(film, *cut_candidates(views)))
        films.append(film)
        blends.append(blend_windows(views, sorted(film.truth["cuts"]), film.rate))
    x, y = (np.concatenate(part) for part in zip(*cuts, strict=True))
    cut = logistic(x, y, np.ones(len(y)))
    blend = None
    for _ in range(ROUNDS):
        parts = [part for pair in zip(films, blends, strict=True) for part in blend_examples(*pair, blend)]
        blend = logistic(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    TARGET.write_text(HEADER + written("CUT", *cut) + written("BLEND", *blend))
    print(f"{int(y.sum())} cuts of {len(y)} candidates, {len(films)} films: {TARGET}")


if __name__ == "__main__":
    main()
