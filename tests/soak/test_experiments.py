"""4,000 simulated experiments a promise (`make soak`): error rates, coverage, power, discoveries."""

import numpy as np
import pytest
from scipy import stats

from keyart.evaluation.experiments.multiplicity import benjamini_hochberg, e_benjamini_hochberg, holm
from keyart.evaluation.experiments.power import member_plan
from keyart.evaluation.experiments.quantiles import Sketch, grid
from keyart.evaluation.experiments.sequential import tuned_tau2
from keyart.evaluation.experiments.simulation import LINES, baseline, peeked_p, runs
from keyart.seeding import rng

pytestmark = pytest.mark.soak
RUNS = 4000


@pytest.mark.parametrize("metric", LINES)
def test_fixed_horizon(metric):
    alike = runs(metric, RUNS, 1500, 1000)
    print(f"\n{metric}: A/A rejects {alike.rejected:.2%}, intervals cover {alike.covered:.2%}")
    assert 0.04 <= alike.rejected <= 0.06
    assert 0.93 <= alike.covered <= 0.97


@pytest.mark.parametrize("metric", LINES)
def test_power_as_planned(metric):
    plan = member_plan([baseline(metric)], (0.6, 0.4), 0.15, 0.05, 0.8)
    found = runs(metric, RUNS, *plan.members, effect=0.15)
    print(f"\n{metric}: {plan.members} members, power {found.rejected:.2%} of 80%, covers {found.covered:.2%}")
    assert abs(found.rejected - 0.8) <= 0.02
    assert 0.93 <= found.covered <= 0.97


@pytest.mark.parametrize("metric", LINES)
def test_relative_effects_and_guardrails_at_their_margin(metric):
    """A loss of exactly the margin is called harmless once in twenty, and the relative interval covers."""
    found = runs(metric, RUNS, 2000, 2000, effect=-0.1)
    score = (found.relative + 0.1) / found.relative_error
    held, covered = (score > stats.norm.ppf(0.95)).mean(), (np.abs(score) < stats.norm.ppf(0.975)).mean()
    print(f"\n{metric}: a guardrail at its margin holds in {held:.2%}, relative intervals cover {covered:.2%}")
    assert held <= 0.06
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("days", [1, 7])
def test_continuous_peeking(days):
    smallest = peeked_p(RUNS, 3000, 60, days=days)
    print(f"\n60 looks, members stay {days} looks: A/A ever rejects {(smallest <= 0.05).mean():.2%}")
    assert (smallest <= 0.05).mean() <= 0.05


def test_power_while_looking():
    plan = member_plan([baseline("reward")], (0.5, 0.5), 0.2, 0.05, 0.8, looks="continuous")
    smallest = peeked_p(RUNS, plan.members[0], 14, effect=0.2, planned=0.2)
    print(f"\nlooking 14 times, {plan.members} members: power {(smallest <= 0.05).mean():.2%} of 80%")
    assert abs((smallest <= 0.05).mean() - 0.8) <= 0.02


def test_many_artworks_at_once():
    """2,000 variants, a tenth with an effect: the share of false discoveries, one look and while looking."""
    draw, m, looks = rng(3, "many"), 2000, 10
    shares: dict[str, list[float]] = {"BH": [], "e-BH, stopped where it looks best": []}
    found = []
    tau2 = tuned_tau2(1.0)
    for _ in range(400):
        truth = np.where(np.arange(m) < m // 10, 3.5, 0.0)
        steps = draw.normal(size=(looks, m)) / np.sqrt(looks) + truth / looks
        score = np.cumsum(steps, axis=0)
        z = score[-1]
        p = 2 * stats.norm.sf(np.abs(z))
        chosen = benjamini_hochberg(p) <= 0.1
        shares["BH"].append(_false(chosen, truth))
        found.append(chosen[: m // 10].mean())
        best = np.zeros(m)
        for k in range(looks):
            t = (k + 1) / looks
            v = 1 / t
            estimate = score[k] / t
            e = np.sqrt(v / (v + tau2)) * np.exp(tau2 * estimate**2 / (2 * v * (v + tau2)))
            best = max(best, e, key=lambda values: (e_benjamini_hochberg(values) <= 0.1).sum())
        shares["e-BH, stopped where it looks best"].append(_false(e_benjamini_hochberg(best) <= 0.1, truth))
    for name, values in shares.items():
        print(f"\n{name}: false-discovery rate {np.mean(values):.2%} of 10%; BH finds {np.mean(found):.0%}")
        assert np.mean(values) <= 0.1


def test_holm_holds_the_family():
    draw = rng(4, "family")
    wrong = [holm(2 * stats.norm.sf(np.abs(draw.normal(size=9)))).min() <= 0.05 for _ in range(RUNS)]
    assert np.mean(wrong) <= 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5


def test_clustered_quantiles():
    draw, steps, hits = rng(5, "quantile"), grid(0.01, 10_000, 400), []
    member = np.repeat(np.arange(200), 8)
    for _ in range(RUNS):
        values = np.exp(2 + np.repeat(draw.normal(size=200), 8) + 0.7 * draw.normal(size=1600))
        low, high = Sketch.of(values, member, steps).interval(0.5, steps)
        hits.append(low <= np.exp(2) <= high)
    print(f"\nmedian of clustered values: interval covers {np.mean(hits):.2%}")
    assert 0.93 <= np.mean(hits) <= 0.97


def _false(chosen: np.ndarray, truth: np.ndarray) -> float:
    return float((chosen & (truth == 0)).sum() / max(chosen.sum(), 1))
