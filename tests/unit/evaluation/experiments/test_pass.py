"""What a worker does with a batch of members, without Spark."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from keyart.config import load
from keyart.evaluation.experiments.analyze_spark import _Worker
from keyart.evaluation.experiments.comparison import unflat
from keyart.evaluation.experiments.design import design_of
from keyart.evaluation.experiments.metrics import FACTS, place
from keyart.evaluation.experiments.pass_spark import EPOCH, days_of
from keyart.evaluation.experiments.quantiles import Sketch
from keyart.evaluation.experiments.randomisation import HOLDOUT, OUTSIDE

START = (date(2026, 2, 1) - EPOCH).days
KEYS = [f"{i:032x}" for i in range(400)]


@pytest.fixture(scope="module")
def design():
    asked = ["experiment_id=e", "variants=[old, new]", "from_day=2026-02-01", "holdout=0.2", "traffic_to=0.9"]
    return design_of(load(None, [f"experiment.{one}" for one in asked]).experiment)


def batch_of(keys, arms):
    """Each member: two decisions on the first day, of which one is served by the arm's policy and one by the other."""
    facts = [fact for fact in FACTS if fact != "foreign"]
    own = {"decisions": 2.0, "takes": 1.0, "reward": 0.5, "watched": 30.0, "active_days": 1.0}
    before = {"decisions": 1.0, "reward": 0.25, "active_days": 1.0}

    def row(day, values, served):
        return {"day": day, **{fact: values.get(fact, 0.0) for fact in facts}, "served": served}

    days = [[row(START, own, [1.0, 1.0])] + [row(START - 3, before, [1.0, 0.0])] * (i % 2) for i in range(len(keys))]
    context = [{"first_ts": i, "region": "SE" if i % 4 else None, "device": "tv"} for i in range(len(keys))]
    columns = {
        "user_key": keys, "days": days, "context": context, "titles": [1] * len(keys),
        "minutes": [[20.0 + arm] for arm in arms],
    }  # fmt: skip
    return pa.RecordBatch.from_pylist(
        [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    )


def gathered(worker, *batches):
    found = {}
    for batch in batches:
        for key, vector in worker.judge(batch):
            found[key] = found[key] + vector if key in found else vector
    return found


def test_members_become_sums_by_arm_and_segment(design):
    arms = design.split.arms(KEYS)
    worker = _Worker(design, START, START + 5, 7, 3)
    whole = batch_of(KEYS, arms)
    found = gathered(worker, whole)
    assert {arm for kind, arm, _ in found if kind == "totals"} == {0, 1, HOLDOUT}
    for arm in (0, 1):
        moments = unflat(found["totals", arm, "*"])
        n = (arms == arm).sum()
        assert moments.members == n
        assert moments.sums[place("decisions")] == 2 * n
        assert moments.sums[place("foreign")] == n, "one of two decisions was served by the other arm's policy"
        assert moments.sums[place("before_reward")] == 0.25 * (np.arange(400) % 2)[arms == arm].sum()
        segments = [unflat(found["totals", arm, f"activity={name}"]).members for name in ("before", "new")]
        assert sum(segments) == n
        assert unflat(found["totals", arm, "region=None"]).members == (np.arange(400) % 4 == 0)[arms == arm].sum()
        assert unflat(found["days", arm, "*"]).sums.tolist() == [0.5 * n, 0, 0, n, n, n]
        sketch = Sketch.unflat(found["minutes", arm, "*"])
        assert (sketch.n, sketch.members) == (n, n)
    assert unflat(found["totals", HOLDOUT, "*"]).sums[place("foreign")] == 0
    assert (arms == OUTSIDE).any()
    # In two batches, one of them cut out of a larger one, the sums are the same.
    again = gathered(worker, whole.slice(0, 150), whole.slice(150))
    assert again.keys() == found.keys()
    for key, vector in found.items():
        np.testing.assert_allclose(again[key], vector)


def test_days_keep_their_members(design):
    days = days_of(batch_of(KEYS[:3], [0, 0, 0]))
    assert days.member.tolist() == [0, 1, 1, 2]
    assert days.day.tolist() == [START, START, START - 3, START]
    assert days.fact("foreign").tolist() == [0, 0, 0, 0]
