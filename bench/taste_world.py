"""How much of what personal artwork can gain train-response finds, in the simulator's taste world whose truth is known.

    python bench/taste_world.py [--seeds 20] [--first 0] [--decisions 100000 1000000] [--processes 1]

A seed's audience (`keyart simulate`'s) lives for four weeks: taste is learned from what members watched in the first,
the response from decisions of the next 12 days, and both fold in what fresh members did in them. Beside it stands the
same response fit on the same decisions by a learner that was told the true feature map: what members see in an image
instead of its feature vector, and how they truly divide over genres instead of what they watched. Both then choose for
fresh members on the remaining days, and the truth says exactly what that is worth. The share is the lift over uniform
artwork, of ours over the told learner's; decisions are nested within a seed, so that the steps are paired.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import numpy as np
import pyarrow as pa
from results import record
from threadpoolctl import threadpool_limits

from keyart.demo.backcatalogue import GENRES, genre_vector
from keyart.demo.homepage import visit_days
from keyart.demo.logbook import DAY, FIRST_DAY, KINDS, Logbook
from keyart.demo.simulate import MEMBERS, Crowd, block_world, crowd_of, invented
from keyart.demo.truth import Truth, truth_of
from keyart.demo.viewing import BACK_SECONDS, add_back_catalogue
from keyart.learning.als import Ridge, TitleSums, first_titles, solve_titles
from keyart.learning.blocks import Arrays, total_of
from keyart.learning.decisions import Artworks, Counts, block_builder
from keyart.learning.members import member_vectors
from keyart.learning.predict import user_scores
from keyart.learning.response_fit import Fitted, fit_response
from keyart.learning.taste import TasteModel, add_half, fold_in, moments, population
from keyart.settings import DemoSettings, ResponseSettings, SimulateSettings, TasteSettings
from keyart.tracking import ModelArrays

REGIONS = {"SE": "nordics", "NO": "nordics", "DE": "dach", "BR": "latam", "JP": "apac"}
TITLES, DAYS, T0, T1, LATE = 60, 28, 7, 19, 16
FRESH = (9_000, 9_001, 9_002)
"""Blocks of members nobody learns from."""
TASTE, RESPONSE = TasteSettings(), ResponseSettings()


@dataclass(frozen=True)
class Lived:
    """A block of members after their days."""

    members: int
    region: np.ndarray  # (M,) names
    genres: np.ndarray  # (M, G) true shares
    taste: Arrays  # as learning.taste describes it
    decisions: pa.Table  # of [T0, T1), but for vectors
    titles: np.ndarray  # (T,) the shelf, into the catalogue
    truth: Truth  # of the days from T1 on


def lived(crowd: Crowd, block: int, with_truth: bool = False) -> Lived:
    """Let a block live and look at its log as ingest-events does."""
    world, _ = block_world(crowd, block)
    log = Logbook()
    add_back_catalogue(log, world, crowd.back, crowd.settings.user_tail)
    pages = visit_days(world, log)
    events, whole = log.events(), crowd.catalogue
    place = {title: i for i, title in enumerate(whole.title_ids)}
    titles = np.array([place[title] for title in world.catalogue.title_ids])
    truth = truth_of(world, pages if with_truth else pages.where(slice(0, 0))).within(T1, DAYS)
    return Lived(
        len(world.members.ids), np.array(world.regions)[world.members.region], world.members.genres,
        _taste_block(crowd, world.catalogue.durations, titles, events, len(world.members.ids)),
        _decisions(crowd, world, titles, events), titles, truth,
    )  # fmt: skip


def _taste_block(crowd: Crowd, durations: np.ndarray, titles: np.ndarray, events: Arrays, members: int) -> Arrays:
    seconds = np.concatenate([durations, np.full(len(crowd.back), BACK_SECONDS)])
    code = np.concatenate([titles, len(crowd.catalogue.title_ids) + np.arange(len(crowd.back))])
    watched = np.isfinite(events["watched"])
    pair = events["member"].astype(np.int64) * len(code) + events["title"]
    pairs = np.unique(pair[watched])
    found: Arrays = {"member": pairs // len(code), "title": code[pairs % len(code)]}
    searched = events["kind"] == KINDS.index("search")
    for name, day in (("early", T0), ("late", T1)):
        kept = watched & (events["seconds"] < day * DAY)
        at = np.searchsorted(pairs, pair[kept])
        total = np.bincount(at, events["watched"][kept], len(pairs))
        seen = np.bincount(at, minlength=len(pairs)) > 0
        found[name] = np.where(seen, np.minimum(total / seconds[pairs % len(code)], 1), np.nan)
        asked = searched & (events["seconds"] < day * DAY)
        slot = events["member"][asked] * len(GENRES) + events["query"][asked]
        found[f"searched_{name}"] = np.bincount(slot, minlength=members * len(GENRES)).reshape(members, -1) * 1.0
    return found | {"user_key": np.arange(members), "user_bucket": np.full(members, 99), "mark": np.zeros(1)}


def _decisions(crowd: Crowd, world, titles: np.ndarray, events: Arrays) -> pa.Table:
    """Decisions of titles not yet started, each by its first impression of the day, with the same day's take."""
    whole, shelf, day = crowd.catalogue, len(titles), np.floor(events["seconds"] / DAY).astype(np.int64)
    key = (events["member"].astype(np.int64) * DAYS + np.clip(day, 0, DAYS - 1)) * shelf + events["title"]
    shown = np.flatnonzero((events["kind"] == KINDS.index("impression")) & (events["started"] == 0))
    shown = shown[(day[shown] >= T0) & (day[shown] < T1)]
    keys, first = np.unique(key[shown], return_index=True)
    rows = shown[first]
    took = key[(events["kind"] == KINDS.index("take")) & (events["title"] < shelf)]
    title = titles[events["title"][rows]]
    there = world.catalogue.slots >= 0
    of = np.zeros(there.sum(), dtype=np.int64)
    of[world.catalogue.slots[there]] = whole.slots[titles][there]
    artwork = of[events["artwork"][rows]]
    width = (whole.slots[title] >= 0).sum(axis=1)
    candidates = whole.slots[title][whole.slots[title] >= 0]
    ends = pa.array(np.concatenate([[0], np.cumsum(width)]), pa.int32())
    ids, names = pa.array(whole.artwork_ids), pa.array(whole.title_ids)
    epoch = np.datetime64(FIRST_DAY) + day[rows]
    return pa.table(
        {
            "member": events["member"][rows],
            "epoch": pa.array(epoch, pa.date32()),
            "title_id": names.take(pa.array(title)),
            "artwork_id": ids.take(pa.array(artwork)),
            "region": pa.array(world.regions).take(pa.array(world.members.region[events["member"][rows]])),
            "context": np.full(len(rows), -1, dtype=np.int16),
            "kids": np.zeros(len(rows), dtype=bool),
            "row": events["row"][rows],
            "position": events["position"][rows],
            "ranker_score": events["ranker"][rows],
            "take": np.isin(keys, took).astype(np.int32),
            "propensity": whole.propensity[artwork],
            "candidate_set": pa.ListArray.from_arrays(ends, ids.take(pa.array(candidates))),
            "candidate_propensities": pa.ListArray.from_arrays(ends, pa.array(whole.propensity[candidates])),
            "design": title,
        }
    )


def taste_of(crowd: Crowd, blocks: Sequence[Arrays]) -> tuple[TasteModel, np.ndarray]:
    """train-taste in one process: the model and the scale of its vectors."""
    whole, count = crowd.catalogue, len(crowd.catalogue.title_ids) + len(crowd.back)
    back = np.stack([genre_vector(title.title_id, title.genres) for title in crowd.back])
    mix = np.concatenate([whole.genre_mix, back]) > 0.05
    genres, total = mix / np.maximum(mix.sum(axis=1, keepdims=True), 1), total_of(blocks)
    seen = total(lambda block: population(block, genres, 0))
    model = TasteModel(
        first_titles(count, TASTE.rank, TASTE.seed), genres, seen["genres"] / seen["genres"].sum(),
        np.zeros(TASTE.rank + genres.shape[1]), Ridge(TASTE.regularisation, TASTE.regularisation_scaling),
        seen["engagements"], TASTE.alpha, TASTE.search_weight, TASTE.prior_strength, held_out=0,
    )  # fmt: skip
    for _ in range(TASTE.iterations):
        sums = TitleSums.zero(count, TASTE.rank)
        for block in blocks:
            add_half(sums, block, model, slice(0, count))
        model = model.with_titles(solve_titles(sums, model.titles, model.title_l2)[0])
    found = total(lambda block: moments(block, model))
    mean = found["sum"] / found["n"]
    spread = np.sqrt(np.maximum(found["squares"] / found["n"] - mean**2, 1e-12))
    return replace(model, mean=mean), spread


def fitted(crowd: Crowd, lives: Sequence[Lived], vectors, looks: np.ndarray, taste: ModelArrays) -> Fitted:
    """train-response in one process; ``vectors`` gives a block's (factors, mix, history) as of T0."""
    whole = crowd.catalogue
    order = np.argsort(whole.artwork_ids)
    titles, title_index = np.unique([whole.title_ids[whole.title_of[a]] for a in order], return_inverse=True)
    artworks = Artworks(
        [whole.artwork_ids[a] for a in order], titles.tolist(), title_index, looks[order],
        np.ones(len(order), dtype=bool), "bench",
    )  # fmt: skip
    regions = sorted({name for life in lives for name in life.region})
    late = FIRST_DAY + timedelta(days=LATE)
    build = block_builder(artworks, regions, taste, late, RESPONSE.weight_clip)
    blocks = [build(_with_vectors(life, *vectors(life))) for life in lives]
    n, takes = np.zeros((2, len(regions), len(order)))
    for block in blocks:
        cell = (block["group"] % len(regions)) * len(order) + block["artwork"][block["combination"]]
        n += np.bincount(cell, minlength=n.size).reshape(n.shape)
        takes += np.bincount(cell, block["take"], n.size).reshape(n.shape)
    # Quality is left out: the same half for every take, so that both learners are judged by what they say of takes.
    counts = Counts(regions, n, takes, takes / 2, takes / 4)
    return fit_response(total_of(blocks), artworks, counts, taste.arrays, REGIONS, RESPONSE)


def _with_vectors(life: Lived, factors: np.ndarray, mix: np.ndarray, history: np.ndarray) -> pa.Table:
    names = pa.array([f"{number:06d}" for number in range(life.members)])
    rows = life.decisions.add_column(0, "user_key", names.take(life.decisions.column("member").combine_chunks()))

    def lists(values: np.ndarray) -> pa.ListArray:
        ends = pa.array(np.arange(len(values) + 1) * values.shape[1], pa.int32())
        return pa.ListArray.from_arrays(ends, pa.array(values.astype(np.float32).ravel()))

    own = pa.table({"user_key": names, "factors": lists(factors), "genre_mix": lists(mix), "history": history})
    table = pa.concat_tables([own, rows.drop_columns("member")], promote_options="default")
    return table.sort_by([("user_key", "ascending"), ("epoch", "ascending"), ("title_id", "ascending")])


def worth(crowd: Crowd, fresh: Sequence[Lived], model: Fitted, vectors) -> float:
    """Takes a decision on the fresh members' pages when each sees the artwork the model scores best."""
    whole = crowd.catalogue
    place = np.argsort(np.argsort(whole.artwork_ids))  # of the catalogue's artworks among the model's
    cells = {cell["cell"]: i for i, cell in enumerate(model.cells.about) if cell["level"] == "region"}
    gained = []
    for life in fresh:
        z = member_vectors(*vectors(life))
        scores = user_scores(model.arrays, z, np.array([cells.get(name, 0) for name in life.region]))
        slots = whole.slots[life.titles]
        choice = np.where(slots >= 0, scores[:, place[slots]], -np.inf).argmax(axis=2)
        gained.append(life.truth.value_of(choice, "take"))
    return float(np.mean(gained))


@dataclass(frozen=True)
class Known:
    """Vectors by the taste model as of a day."""

    model: TasteModel
    as_of: str

    def __call__(self, life: Lived) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        folded = fold_in(life.taste, self.model, self.as_of)
        return folded.factors, folded.mix, folded.history


def told(life: Lived) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of who knows: no factors, the true shares of genres."""
    return np.zeros((life.members, 0)), life.genres, np.ones(life.members, dtype=np.int64)


def rehearse(decisions: Sequence[int], seed: int) -> list[dict[str, float]]:
    """Lifts over uniform of both learners by number of decisions."""
    with threadpool_limits(1):
        settings = SimulateSettings(members=MEMBERS * 10_000, titles=TITLES, days=DAYS, seed=seed)
        demo = DemoSettings(world="taste", seed=seed, days=DAYS)
        items = invented(settings)
        crowd = crowd_of(items, settings, demo, REGIONS, BACK_SECONDS)
        features = np.concatenate([item.features for item in items if item.artworks])
        fresh = [lived(crowd, block, with_truth=True) for block in FRESH]
        uniform = float(np.mean([life.truth.value_of(life.truth.uniform(), "take") for life in fresh]))
        lives: list[Lived] = []
        steps = []
        for wanted in sorted(decisions):
            while sum(len(life.decisions) for life in lives) < wanted:
                lives.append(lived(crowd, len(lives)))
            model, scale = taste_of(crowd, [life.taste for life in lives])
            names = [*crowd.catalogue.title_ids, *(title.title_id for title in crowd.back)]
            about = {"titles": model.titles, "member_mean": model.mean, "member_scale": scale}
            taste = ModelArrays("als", about, {"title_ids": names})
            ours = fitted(crowd, lives, Known(model, "early"), features, taste)
            genres = np.concatenate([life.genres for life in lives])
            spread = {"member_mean": genres.mean(axis=0), "member_scale": genres.std(axis=0)}
            knows = {"titles": np.zeros((len(names), 0))} | spread
            oracle = ModelArrays("als", knows, {"title_ids": names})
            best = fitted(crowd, lives, told, crowd.catalogue.looks, oracle)
            found = {
                "decisions": float(ours.metrics["decisions"]),
                "lift": worth(crowd, fresh, ours, Known(model, "late")) / uniform - 1,
                "lift_told": worth(crowd, fresh, best, told) / uniform - 1,
                "chance_slope": ours.metrics["validation_chance_slope"],
                "artwork_slope": ours.metrics.get("validation_artwork_slope", np.nan),
                "chosen_l2": ours.metrics["chosen_l2"],
            }
            print(seed, wanted, {name: round(value, 4) for name, value in found.items()}, flush=True)
            steps.append(found)
        return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--decisions", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    with ProcessPoolExecutor(asked.processes) as pool:
        found = list(pool.map(partial(rehearse, asked.decisions), seeds))
    figures: dict[str, object] = {"seeds": [seeds[0], seeds[-1]]}
    for step, wanted in enumerate(sorted(asked.decisions)):
        ours, best = (np.array([steps[step][name] for steps in found]) for name in ("lift", "lift_told"))
        ratio = ours.mean() / best.mean()
        error = (ours - ratio * best).std(ddof=1) / np.sqrt(len(ours)) / best.mean() if len(ours) > 1 else np.nan
        slopes = [steps[step]["chance_slope"] for steps in found]
        figures[f"{wanted:,} decisions"] = {
            "share of the told learner's lift": round(float(ratio), 3),
            "standard error": round(float(error), 3),
            "mean of the seeds' shares": round(float(np.mean(ours / best)), 3),
            "lift, told learner's lift": [round(float(ours.mean()), 4), round(float(best.mean()), 4)],
            "calibration slope, least and most": [round(min(slopes), 3), round(max(slopes), 3)],
        }
    record("taste_world", figures)


if __name__ == "__main__":
    main()
