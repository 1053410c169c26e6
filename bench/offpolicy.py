"""How many decisions a second an evaluation judges: ten policies, all estimators, bootstrap on members' sums, one pass.

    python bench/offpolicy.py [--millions 100] [--policies 10] [--behaviours uniform,served] [--slices] [--pages]

Two worker processes, one BLAS thread each, each with blocks of whole members as a Spark worker has them: compact arrays
in (candidate set, slot, propensity, outcomes), evidence out. Each worker makes DISTINCT blocks before the clock starts
and takes them in turn. The seconds are of the pass: of the processor (what an idle machine's clock would show) and of
the clock. The reward model's predictions are made inside the pass; the rate is said with and without them.
"""

import argparse
import os
import time
from dataclasses import dataclass

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from concurrent.futures import ProcessPoolExecutor  # noqa: E402

import numpy as np  # noqa: E402

from keyart.evaluation.estimators import ESTIMATORS  # noqa: E402
from keyart.evaluation.examination import (  # noqa: E402
    SLICES,
    CandidateSets,
    Examination,
    Members,
    Prepared,
    Rows,
    judge_rows,
    whole,
)
from keyart.evaluation.replay import ALL, Limits, add_all  # noqa: E402
from keyart.evaluation.reward_model import RewardModel  # noqa: E402
from keyart.evaluation.targets import Overrides, PolicyTables, Targets  # noqa: E402
from keyart.policy.exploration import EpsilonGreedy  # noqa: E402

TITLES, EACH, REGIONS, FOLDS, DEVICES = 5_000, 8, 20, 5, ("tv", "phone", "web")
MEMBERS, DECISIONS, OWN = 2048, 32, 60  # of a block: members, decisions and overrides of each
DISTINCT = 24
LOGGED = np.array([0.65, *[0.05] * 7])


@dataclass(frozen=True)
class Free(RewardModel):
    """Costs nothing and knows nothing: what a pass takes with reward models apart."""

    def predict(self, *given: np.ndarray) -> np.ndarray:
        """Zeros for every candidate."""
        return np.zeros((len(given[-1]), self.rates.shape[3]), dtype=np.float32)


def examination(policies: int, behaviours: tuple[str, ...], slices: tuple[str, ...], pages: bool) -> Examination:
    """A catalogue and policies on it: epsilon-greedy, each with its own artwork of every title in every region."""
    rng = np.random.default_rng(1)
    title_of = np.repeat(np.arange(TITLES), EACH)
    made = []
    for p in range(policies):
        best = np.arange(TITLES) * EACH + rng.integers(0, EACH, (REGIONS, TITLES))
        served = np.full((REGIONS, TITLES * EACH), 0.1 / EACH, dtype=np.float32)
        np.put_along_axis(served, best, 0.1 / EACH + 0.9, axis=1)
        world, scores = best[:1].repeat(REGIONS, axis=0), served.astype(np.float64)
        rule, sds = EpsilonGreedy(0.1), np.zeros_like(scores)
        noise = rule.noise([""] * len(title_of))
        made.append(PolicyTables(f"policy-{p}", rule, world, best, served, scores, sds, noise))
    rates = rng.uniform(0.02, 0.05, (FOLDS, REGIONS, TITLES * EACH, 2))
    size = np.arange(TITLES + 1) * EACH
    return Examination(
        targets=Targets(tuple(made), title_of, behaviours),
        model=RewardModel(
            rates.astype(np.float32), np.zeros((TITLES * EACH, 1), np.float32), np.zeros((1, 1), np.float32)
        ),
        sets=CandidateSets(np.arange(TITLES), np.arange(TITLES), size, np.arange(size[-1]), np.ones(size[-1], bool)),
        artwork_ids=(),
        title_ids=(),
        regions=tuple(f"region {r}" for r in range(REGIONS)),
        first_days=rng.integers(0, 90, TITLES),
        log_start=0,
        arrays={},
        lengths=(1, 0),
        segments=tuple(f"genre {k}" for k in range(10)),
        of_held_out_only=True,
        slices=slices,
        limits=Limits(replicates=100, extras=pages),
    )


def block(plan: Examination, seed: int) -> tuple[Rows, Members]:
    """Whole members with their decisions and overrides, popular titles more often."""
    rng = np.random.default_rng(seed)
    n, members = MEMBERS * DECISIONS, np.arange(MEMBERS)
    member = np.repeat(members, DECISIONS)
    title = np.minimum((TITLES * rng.random(n) ** 3).astype(np.int64), TITLES - 1)
    slot = np.searchsorted(np.cumsum(LOGGED), rng.random(n) * LOGGED.sum()).clip(0, EACH - 1)
    take = (rng.random(n) < 0.03).astype(float)
    own = []
    for _ in plan.targets.policies:
        titles = np.minimum((TITLES * rng.random((MEMBERS, OWN)) ** 3).astype(np.int64), TITLES - 1)
        keys = np.unique((members[:, None] * TITLES + titles).ravel())
        of = keys % TITLES
        own.append((keys // TITLES, of, of * EACH + rng.integers(0, EACH, len(of)), np.full(len(of), 0.1)))
    rows = Rows(
        member=member,
        sets=title,
        region=(member * 7 + seed) % REGIONS,
        context=np.zeros(n, dtype=np.int64),
        kids=member % 10 == 0,
        day=np.tile(np.arange(DECISIONS) // 4, MEMBERS) + 60,
        device=rng.integers(0, len(DEVICES), n),
        devices=DEVICES,
        slot=slot.astype(np.int64),
        best=np.zeros(n, dtype=np.int64),
        propensity=LOGGED[slot],
        outcome=np.stack([take * rng.random(n), take], axis=1),
    )
    about = Members(
        rng.integers(0, 2**63, MEMBERS).astype(np.uint64),
        members % FOLDS,
        np.zeros((MEMBERS, 1)),
        members % 10,
        members % 3,
        Overrides.of(MEMBERS, own),
    )
    return rows, about


def predicting(plan: Examination, rows: Rows, members: Members) -> float:
    """Seconds that the reward model's predictions take, in the pieces that the pass makes."""
    offsets, candidates, _ = plan.sets.spread(rows.sets)
    start = time.process_time()
    for part in whole(rows.member, 300_000 // (len(plan.targets.frame.group) * EACH)):
        ends = offsets[part.start : part.stop + 1]
        member = rows.member[part]
        here = candidates[ends[0] : ends[-1]]
        plan.model.predict(members.fold[member], rows.region[part], members.standard, member, ends - ends[0], here)
    return time.process_time() - start


@dataclass
class Worked:
    """Of one process: rows, seconds of the pass on the clock and of the processor, those of its predictions, and
    evidence."""

    rows: int
    seconds: float
    processor: float
    predicted: float
    found: dict


def work(task: tuple[int, int, int, tuple[str, ...], tuple[str, ...], bool]) -> Worked:
    """Judge some blocks, one after the other."""
    worker, blocks, policies, behaviours, slices, pages = task
    plan = examination(policies, behaviours, slices, pages)
    tables = Prepared.of(plan)
    made = [block(plan, worker * 1_000_000 + k) for k in range(min(blocks, DISTINCT))]
    judge_rows(plan, *made[0], tables)  # compiled before the clock starts
    done = Worked(0, 0.0, 0.0, 0.0, {})
    for k in range(blocks):
        rows, members = made[k % len(made)]
        start, used = time.perf_counter(), time.process_time()
        add_all(done.found, judge_rows(plan, rows, members, tables))
        done.seconds += time.perf_counter() - start
        done.processor += time.process_time() - used
        if k % 10 == 0:
            done.predicted += 10 * predicting(plan, rows, members)
        done.rows += len(rows.member)
    return done


def main() -> None:
    """Print rows a second on two cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, default=100.0)
    parser.add_argument("--policies", type=int, default=10)
    parser.add_argument("--behaviours", default="uniform,served")
    parser.add_argument("--slices", action="store_true")
    parser.add_argument("--pages", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    each = max(1, round(given.millions * 1e6 / given.workers / (MEMBERS * DECISIONS)))
    behaviours, slices = tuple(given.behaviours.split(",")), SLICES if given.slices else ()
    tasks = [(w, each, given.policies, behaviours, slices, given.pages) for w in range(given.workers)]
    with ProcessPoolExecutor(given.workers) as pool:
        done = list(pool.map(work, tasks))
    rows = sum(part.rows for part in done)
    clock = sum(part.rows / part.seconds for part in done)
    processor = sum(part.rows / part.processor for part in done)
    apart = sum(part.rows / (part.processor - part.predicted) for part in done)
    found: dict = {}
    for part in done:
        add_all(found, part.found)
    assert found[0, ALL].seen == rows  # every decision of every block is in the sums
    print(
        f"{rows / 1e6:.1f} million decisions, {given.policies} policies x {', '.join(behaviours)}; "
        f"{len(ESTIMATORS)} estimators x 2 metrics, 100 replicates{', pages' if given.pages else ''}"
        f"{f', slices by {len(slices)} dimensions' if slices else ''}: "
        f"{apart / 1e6:.2f} million rows a second on {given.workers} cores, reward model apart; with its predictions "
        f"{processor / 1e6:.2f} by processor time and {clock / 1e6:.2f} by the clock"
    )


if __name__ == "__main__":
    main()
