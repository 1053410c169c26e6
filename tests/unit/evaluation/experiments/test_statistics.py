"""Tests, intervals and plans against scipy, statsmodels, closed forms and loops."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from keyart.errors import ConfigError
from keyart.evaluation.estimators import Moments
from keyart.evaluation.experiments.artworks import SUMS, contrasts
from keyart.evaluation.experiments.comparison import compare, flat, unflat
from keyart.evaluation.experiments.multiplicity import benjamini_hochberg, e_benjamini_hochberg, holm, shrink
from keyart.evaluation.experiments.power import (
    Baseline,
    detectable_effect,
    guardrail_lines,
    member_plan,
    members_needed,
    power_of,
)
from keyart.evaluation.experiments.randomisation import sample_ratio_p
from keyart.evaluation.experiments.sequential import (
    always_valid_interval,
    always_valid_p,
    e_value,
    power_looking,
    reach,
    tuned_tau2,
)

# Columns: members, top, bottom, covariate.
MEAN = (np.array([0, 1.0, 0, 0]), np.array([1.0, 0, 0, 0]))
RATIO = (np.array([0, 1.0, 0, 0]), np.array([0, 0, 1.0, 0]))
BEFORE = (np.array([0, 0, 0, 1.0]), np.array([1.0, 0, 0, 0]))


def members(seed, n, shift=0.0):
    rng = np.random.default_rng(seed)
    taste = rng.gamma(2, 0.5, n)
    bottom = 1.0 + rng.poisson(5, n)
    return np.stack([np.ones(n), rng.poisson(taste * bottom) + shift, bottom, rng.poisson(taste * 5.0)], axis=1)


CONTROL, VARIANT = members(1, 150), members(2, 190, 0.4)
SIDES = Moments.of(CONTROL), Moments.of(VARIANT)


def test_means_are_welch():
    effect = compare(*SIDES, MEAN)
    wanted = stats.ttest_ind(VARIANT[:, 1], CONTROL[:, 1], equal_var=False)
    assert effect.p_value() == pytest.approx(wanted.pvalue, abs=1e-12)
    assert effect.degrees == pytest.approx(wanted.df, rel=1e-12)
    assert effect.interval() == pytest.approx(tuple(wanted.confidence_interval()), abs=1e-9)
    shifted = stats.ttest_ind(VARIANT[:, 1] - 0.2, CONTROL[:, 1], equal_var=False, alternative="greater")
    assert effect.p_above(0.2) == pytest.approx(shifted.pvalue, abs=1e-9)


def test_ratios_are_least_squares_clustered_by_member():
    """A ratio is the mean of rows; its clustered variance is statsmodels' up to its small-sample factors."""
    rows, cluster, treated = [], [], []
    for arm, side in enumerate((CONTROL, VARIANT)):
        for i, (_, top, bottom, _) in enumerate(side):
            n = int(bottom)
            rows += [top / n] * n
            cluster += [arm * 1000 + i] * n
            treated += [arm] * n
    fit = sm.OLS(np.array(rows), sm.add_constant(np.array(treated, dtype=float))).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(cluster), "use_correction": False}
    )
    effect = compare(*SIDES, RATIO)
    assert effect.difference == pytest.approx(fit.params[1], abs=1e-9)
    parts = [compare(side, side, RATIO).variance / 2 * (side.members - 1) / side.members for side in SIDES]
    assert sum(parts) == pytest.approx(fit.bse[1] ** 2, abs=1e-12)


def test_cuped_is_the_regression_on_what_came_before():
    """With the coefficient that leaves least variance, computed here by loops over candidates' formula."""
    effect, plain = compare(*SIDES, MEAN, BEFORE), compare(*SIDES, MEAN)
    cov = [np.cov(side[:, 1], side[:, 3]) / len(side) for side in (CONTROL, VARIANT)]
    theta = (cov[0][0, 1] + cov[1][0, 1]) / (cov[0][1, 1] + cov[1][1, 1])
    adjusted = [side[:, 1] - theta * side[:, 3] for side in (CONTROL, VARIANT)]
    wanted = stats.ttest_ind(adjusted[1], adjusted[0], equal_var=False)
    assert effect.p_value() == pytest.approx(wanted.pvalue, abs=1e-9)
    assert effect.kept == pytest.approx(effect.variance / plain.variance)
    assert effect.kept < 0.95


def test_a_relative_effect_matches_the_bootstrap():
    effect = compare(*SIDES, MEAN, BEFORE)
    rng = np.random.default_rng(3)
    found = []
    for _ in range(2000):
        again = [Moments.of(side[rng.integers(len(side), size=len(side))]) for side in (CONTROL, VARIANT)]
        found.append(compare(*again, MEAN, BEFORE).relative)
    assert np.sqrt(effect.relative_variance) == pytest.approx(np.std(found), rel=0.08)


def test_moments_travel_as_vectors():
    again = unflat(flat(SIDES[0]) + flat(SIDES[1]))
    both = Moments.of(np.concatenate([CONTROL, VARIANT]))
    assert again.members == both.members
    np.testing.assert_allclose(again.covariance(), both.covariance(), rtol=1e-9, atol=1e-9)  # of a constant, 0


def test_nothing_is_said_of_one_member_or_without_a_bottom():
    alone = compare(Moments.of(CONTROL[:1]), SIDES[1], MEAN)
    assert alone.p_value() == 1.0
    assert alone.interval() == (-np.inf, np.inf)
    empty = CONTROL * np.array([1, 1, 0, 1])
    assert compare(Moments.of(empty), Moments.of(empty), RATIO).p_value() == 1.0


@pytest.mark.parametrize("seen", [[500, 540], [100, 200, 310], [7, 9]])
def test_sample_ratio_is_the_chi_square_test(seen):
    shares = np.arange(1, len(seen) + 1) / sum(range(1, len(seen) + 1))
    wanted = stats.chisquare(seen, np.sum(seen) * shares).pvalue
    assert sample_ratio_p(seen, shares) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 17, 400])
def test_adjusted_p_values(n):
    p = np.random.default_rng(n).uniform(size=n) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], atol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p), atol=1e-12)
    by_hand = np.sort(p)[::-1] <= 0.1 * np.arange(n, 0, -1) / n
    assert (e_benjamini_hochberg(1 / p) <= 0.1).sum() == (n - np.argmax(by_hand) if by_hand.any() else 0)


@pytest.mark.parametrize(("effect", "ratio", "alpha"), [(0.1, 1.0, 0.05), (0.05, 0.5, 0.01), (0.3, 3.0, 0.05)])
def test_plans_agree_with_statsmodels(effect, ratio, alpha):
    theirs = NormalIndPower()
    n = members_needed(effect, 2.0, alpha, 0.8, ratio)
    assert theirs.power(effect / 2.0, n, alpha, ratio) == pytest.approx(0.8, abs=1e-9)
    assert power_of(effect, 2.0, 300, 300 * ratio, alpha) == pytest.approx(
        theirs.power(effect / 2.0, 300, alpha, ratio), abs=1e-9
    )
    assert detectable_effect(2.0, n, n * ratio, alpha, 0.8) == pytest.approx(effect, rel=1e-9)


def test_the_mixture_by_numerical_integration():
    """The e-value is the likelihood ratio averaged over effects N(0, tau2)."""
    estimate, variance, tau2 = 0.7, 0.09, 0.25
    effects = np.linspace(-8, 8, 200_001)
    ratio = stats.norm.pdf(estimate, effects, variance**0.5) / stats.norm.pdf(estimate, 0, variance**0.5)
    wanted = np.trapezoid(ratio * stats.norm.pdf(effects, 0, tau2**0.5), effects)
    assert e_value(estimate, variance, tau2) == pytest.approx(wanted, rel=1e-9)
    assert always_valid_p(estimate, variance, tau2) == pytest.approx(min(1, 1 / wanted), rel=1e-9)


def test_the_interval_is_waudby_smith_and_others_formula():
    n, sigma, rho2, alpha = 400, 1.3, 0.01, 0.05
    theirs = sigma * np.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * np.log(np.sqrt(n * rho2 + 1) / alpha))
    assert float(reach(sigma**2 / n, sigma**2 * rho2, alpha)) == pytest.approx(theirs, rel=1e-12)
    low, high = always_valid_interval(0.2, 0.01, 0.05)
    assert always_valid_p(0.2 - low, 0.01, 0.05) == pytest.approx(0.05)
    assert (low + high) / 2 == pytest.approx(0.2)


def test_the_tuned_mixture_is_about_narrowest_where_it_was_tuned_for():
    narrow = reach(0.01, tuned_tau2(0.01))
    assert narrow <= 1.01 * min(float(reach(0.01, tau2)) for tau2 in np.geomspace(1e-3, 10, 400))


def test_power_of_looking_once_is_the_normal_power():
    z = float(reach(1.0, 8.0))
    assert power_looking(3.0, 8.0, 1) == pytest.approx(stats.norm.sf(z - 3) + stats.norm.cdf(-z - 3), abs=1e-6)
    assert power_looking(0.0, 8.0, 20) < 0.05 < power_looking(2.0, 8.0, 20) < power_looking(2.0, 8.0, 40)


def test_the_plan_takes_the_first_window_with_enough_members():
    week, month = Baseline(7, 1000, 1.0, 1.5), Baseline(28, 40_000, 4.0, 5.0, 0.5)
    plan = member_plan([month, week], (0.5, 0.5), 0.04, 0.05, 0.8)
    assert (plan.days, plan.enough) == (28, True)
    assert plan.members[0] == plan.members[1] <= 20_000
    # CUPED leaves three quarters of the variance.
    free = member_plan([Baseline(28, 40_000, 4.0, 5.0)], (0.5, 0.5), 0.04, 0.05, 0.8)
    assert plan.members[0] == pytest.approx(0.75 * free.members[0], rel=1e-3)
    assert member_plan([month], (0.4, 0.3, 0.3), 0.04, 0.05, 0.8).alpha == 0.025
    looked = member_plan([month], (0.5, 0.5), 0.04, 0.05, 0.8, looks="continuous")
    assert plan.members[0] < looked.members[0] < 2 * plan.members[0]
    short = member_plan([week], (0.5, 0.5), 0.04, 0.05, 0.8)
    assert not short.enough and short.effect > 0.2


@pytest.mark.parametrize("change", [{"effect": 0.0}, {"power": 0.04}, {"sd": 0.0}])
def test_a_plan_that_cannot_be_made_says_what_to_set(change):
    given = {"effect": 0.1, "power": 0.8, "sd": 1.0, **change}
    with pytest.raises(ConfigError, match="set experiment"):
        member_plan([Baseline(7, 1e6, 1.0, given["sd"])], (0.5, 0.5), given["effect"], 0.05, given["power"])


def test_shrinkage_recovers_the_spread_and_beats_the_raw_estimates():
    rng = np.random.default_rng(5)
    truth = rng.normal(0.3, 0.1, 2000)
    variances = rng.uniform(0.005, 0.05, 2000)
    raw = truth + rng.normal(size=2000) * np.sqrt(variances)
    found = shrink(raw, variances)
    assert found.spread == pytest.approx(0.1, abs=0.015)
    assert found.centre == pytest.approx(0.3, abs=0.015)
    assert ((found.mean - truth) ** 2).mean() < 0.5 * ((raw - truth) ** 2).mean()
    covered = np.abs(found.mean - truth) <= 1.96 * found.sd
    assert 0.93 < covered.mean() < 0.97
    nothing = shrink(rng.normal(size=500) * 0.1, np.full(500, 0.0121))
    assert nothing.spread < 0.03


def test_guardrails_of_a_plan():
    known = {"tight": [Baseline(28, 40_000, 1.0, 0.5)], "loose": [Baseline(28, 40_000, 0.1, 1.0)]}
    plan = member_plan([Baseline(28, 40_000, 4.0, 5.0)], (0.5, 0.5), 0.04, 0.05, 0.8)
    said = guardrail_lines(plan, known, {"tight": 0.05, "loose": 0.05, "absent": 0.1}, 0.05, 0.8)
    assert "enough for 5.00%" in said[0]
    # One-sided at 5%: the textbook formula.
    needed = 2 * (stats.norm.ppf(0.95) + stats.norm.ppf(0.8)) ** 2 * (1.0 / 0.005) ** 2
    found = int(said[1].split("; ")[1].split(" in control")[0].replace(",", ""))
    assert found == pytest.approx(needed, rel=1e-3)
    assert "nothing in the logs" in said[2]


def logged(rng, members, worth):
    """Rows (member, title, artwork, w, r) of three titles with three artworks, several decisions a member."""
    n = members * 6
    member, title = np.repeat(np.arange(members), 6), rng.integers(3, size=n)
    shares = np.array([0.5, 0.3, 0.2])
    place = rng.choice(3, size=n, p=shares)
    artwork = 3 * title + place
    taste = rng.gamma(2, 0.5, members)[member]
    reward = rng.random(n) < 0.15 * taste * worth[artwork]
    return member, title, artwork, 1 / shares[place], reward.astype(float)


def sums_of(member, title, artwork, w, r):
    """SUMS by plain loops over members and artworks."""
    found = np.zeros((9, len(SUMS)))
    for m in np.unique(member):
        for t in range(3):
            rows = (member == m) & (title == t)
            big, bigger = w[rows].sum(), (w * r)[rows].sum()
            seen = np.unique(artwork[rows])
            for a in seen:
                mine = rows & (artwork == a)
                x, y, k = w[mine].sum(), (w * r)[mine].sum(), len(seen)
                found[a] += [x, y, x * x, x * y, y * y, x * big, x * bigger, y * big, y * bigger,
                             big * big / k, big * bigger / k, bigger * bigger / k, 1]  # fmt: skip
    return found


def test_artworks_against_their_title():
    rng = np.random.default_rng(12)
    member, title, artwork, w, r = logged(rng, 300, np.ones(9))
    found = contrasts(sums_of(member, title, artwork, w, r), np.arange(9) // 3)
    for a in (0, 5):
        mine, whole = artwork == a, title == a // 3
        mean, all_mean = np.average(r[mine], weights=w[mine]), np.average(r[whole], weights=w[whole])
        assert found.difference[a] == pytest.approx(mean - all_mean)
        influence = w * (mine * (r - mean) / w[mine].sum() - whole * (r - all_mean) / w[whole].sum())
        by_member = np.bincount(member, influence)
        n = len(np.unique(member[whole]))
        seen = [sum(len(np.unique(artwork[(member == m) & whole])) for m in np.unique(member[whole]))]
        assert found.variance[a] == pytest.approx((by_member**2).sum() * seen[0] / (seen[0] - 1), rel=1e-9)
        assert n <= seen[0]


def test_many_artworks_without_effect_are_rarely_called():
    """Differences over their standard errors are standard normal; what is shrunk is near 0."""
    rng = np.random.default_rng(13)
    z, shrunk = [], []
    for _ in range(25):
        found = contrasts(sums_of(*logged(rng, 250, np.ones(9))), np.arange(9) // 3)
        z += list(found.difference / np.sqrt(found.variance))
        shrunk.append(np.abs(found.shrunk()).mean() / np.abs(found.difference).mean())
    assert 0.85 < np.std(z) < 1.15
    assert np.median(shrunk) < 0.5
