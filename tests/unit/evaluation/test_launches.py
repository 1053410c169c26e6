"""Days from a launch to 90% of its eventual value, against simulated launches whose true days are known."""

import numpy as np
import pytest

from keyart.evaluation.launches import AGES, Log, days_to_share, launch_figures, launches, median_with_interval
from keyart.seeding import rng

DAYS = 40
RATES = np.array([0.10, 0.04, 0.04, 0.04])
"""Of a title's artworks: an even draw is worth 0.055, so that 90% of the best needs the best in 9 of 10 decisions."""


def log_of(served, decisions, title, rates=RATES, seed=1, level=None):
    """A log drawn from daily distributions ``served`` (A, D) of ``decisions`` a day; rates are times ``level`` (D,)."""
    random = rng(seed, "launches")
    n = random.poisson(served * decisions)
    takes = random.binomial(n, rates[:, None] * (np.ones(served.shape[1]) if level is None else level))
    weight = np.divide(1.0, served, out=np.zeros_like(served), where=served > 0)
    sums = [(n * weight).sum(1), (n * weight**2).sum(1), (takes * weight).sum(1), (takes * weight**2).sum(1)]
    return Log(np.asarray(title), n.astype(float), *sums)


def learning(launch, learned, floor=0.02, days=DAYS):
    """Drawn evenly from the launch on, and from ``learned`` days later the first artwork but for a floor."""
    served = np.zeros((4, days))
    served[:, launch:] = 0.25
    served[:, launch + learned :] = floor
    served[0, launch + learned :] = 1 - 3 * floor
    return served


def test_the_day_is_known_where_nothing_is_left_to_chance():
    value = np.concatenate([np.full(6, RATES.mean()), np.full(20, RATES[0])])
    assert days_to_share(value, np.ones(26)) == 6
    assert days_to_share(value, np.ones(26), share=0.5) == 0
    assert days_to_share(value, np.ones(26), share=0.5, base=RATES.mean()) == 6
    ramp = np.linspace(0.5, 1.0, 26)
    ramp[-7:] = 1.0
    assert days_to_share(ramp, np.ones(26)) == np.flatnonzero(ramp >= 0.9)[0]
    assert np.isnan(days_to_share(value, np.r_[np.ones(10), np.zeros(16)])), "the last days say nothing"
    assert np.isnan(days_to_share(value, np.ones(26), base=1.0)), "nothing above the base"


@pytest.mark.parametrize("learned", [0, 3, 11])
def test_launches_find_the_day_that_the_policy_learned(learned):
    found = []
    for seed in range(12):
        log = log_of(learning(5, learned), 400.0, [0] * 4, seed=seed)
        (launch,) = launches(log)
        assert (launch.day, launch.kind) == (5, "title")
        found.append((launch.days, launch.gain_days, launch.eventual))
    days, gain_days, eventual = np.array(found).T
    assert np.median(days) == learned and np.abs(days - learned).max() <= 1
    assert np.median(gain_days) == learned
    assert eventual.mean() == pytest.approx((0.94 * 0.10 + 0.06 * 0.04), rel=0.05)


def test_hype_that_fades_is_no_learning():
    """Decisions and take rates fall tenfold after the launch; an even draw stays as good as it is, learning shows."""
    fade = np.exp(-np.arange(DAYS) / 15)
    even = np.full((4, DAYS), 0.25)
    even[:, :5] = 0
    (launch,) = launches(log_of(even, 2000 * fade, [0] * 4, level=fade))
    assert launch.days == 0 and np.isnan(launch.gain_days)
    (launch,) = launches(log_of(learning(5, 8), 2000 * fade, [0] * 4, level=fade))
    assert launch.days == pytest.approx(8, abs=1)


def test_alike_artworks_have_nothing_to_learn():
    sure = 0
    for seed in range(30):
        (launch,) = launches(log_of(learning(5, 8), 300.0, [0] * 4, np.full(4, 0.06), seed=seed))
        sure += np.isfinite(launch.gain_days)
    assert sure <= 6, "a gain of chance alone passes in one of twenty"


def test_new_artworks_of_an_old_title_are_a_launch_of_their_own():
    served = np.zeros((4, 60))
    served[1:, :] = 1 / 3
    served[:, 20:30] = 0.25
    served[:, 30:] = 0.02
    served[0, 30:] = 0.94
    (launch,) = launches(log_of(served, 500.0, [7] * 4))
    assert (launch.title, launch.day, launch.kind) == (7, 20, "artwork")
    assert launch.days == pytest.approx(10, abs=1)
    # A launch ends with the next one: here the title's own, which has 20 days.
    served[:, :3] = 0
    first, second = launches(log_of(served, 500.0, [7] * 4))
    assert (first.kind, len(first.value), second.kind, len(second.value)) == ("title", 17, "artwork", 40)
    assert first.days == 0


def test_what_is_rare_young_or_thin_is_no_launch():
    rare = np.full((4, DAYS), 0.25)
    assert not launches(log_of(rare, np.where(np.arange(DAYS) == 4, 8.0, 0.2), [0] * 4)), "old and seldom seen"
    found_late = np.full((4, DAYS), 0.02)
    found_late[1] = 0.94
    found_late[:2, 15:] = found_late[1::-1, 15:]
    found_late[0, :3] = 0  # by chance not drawn on the first three days, for all its 2%
    assert not launches(log_of(found_late, 100.0, [0] * 4)), "explored all the time, found good on day 15"
    assert not launches(log_of(learning(DAYS - 10, 2), 400.0, [0] * 4)), "ten days old"
    assert not launches(log_of(learning(5, 2), 2.0, [0] * 4)), "70 decisions"
    assert not launches(log_of(learning(0, 2), 400.0, [0] * 4)), "there on the log's first day"
    assert not launches(log_of(np.zeros((4, DAYS)), 400.0, [0] * 4))


def test_figures_of_many_launches():
    parts = [log_of(learning(5, learned), 600.0, [t] * 4, seed=t) for t, learned in enumerate([2, 4, 4, 6, 4, 4, 9])]
    log = Log(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))
    rows = {(row["measure"], row["segment"]): row["values"] for row in launch_figures(launches(log))}
    assert rows["launches", "*"][0] == rows["launches", "kind=title"][0] == 7
    median, lower, upper = rows["cold_days", "*"]
    assert median == 4 and lower <= 3 and upper >= 5
    assert rows["cold_value", "day=000"][0] == pytest.approx(0.055 / 0.0964, abs=0.04)
    assert rows["cold_value", "day=028"][0] == pytest.approx(1, abs=0.02)
    assert [key for key in rows if key[0] == "cold_value"] == [("cold_value", f"day={age:03}") for age in AGES]
    assert launch_figures([]) == []


def test_intervals_of_medians_hold_the_median():
    random = rng(4, "medians")
    held = 0
    for _ in range(400):
        _, lower, upper = median_with_interval(random.exponential(size=25))
        held += lower <= np.log(2) <= upper
    assert held / 400 > 0.93
    assert median_with_interval(np.array([3.0, np.nan])) == (3.0, np.inf, np.inf)
    assert np.isnan(median_with_interval(np.array([np.nan]))[0])
