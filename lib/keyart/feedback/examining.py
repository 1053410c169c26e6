"""Examination: how likely a place on the page is looked at, told from titles that were shown at several places.

The position-based model (Richardson et al. 2007): a take needs that the place is examined and that what is there is
wanted, P(take) = examined(place) x wanted(group). A group shown at two places compares them without its own worth
(intervention harvesting: Agarwal et al., WSDM 2019). Takes being rare, counts are taken as Poisson; the maximum of
their likelihood is found by iterative proportional fitting (Deming and Stephan 1940): two closed forms in turn.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

__all__ = ["LARGEST_SD", "Examined", "examined"]

LARGEST_SD = 0.5
"""Standard error of a log probability beyond which a place is not identified."""
ROUNDS = 500


@dataclass(frozen=True)
class Examined:
    """Of each place: probability relative to the reference place, and the standard error of its log.

    NaN: not identified. The reference is the first place that has takes; its standard error is 0.
    """

    probability: np.ndarray  # (P,)
    log_sd: np.ndarray  # (P,)


def examined(group: np.ndarray, place: np.ndarray, n: np.ndarray, takes: np.ndarray, places: int) -> Examined:
    """Relative examination probabilities of ``places`` from cells: indices group and place, decisions n, takes (all
    (C,), a cell a group and place).

    A place is identified where a chain of groups with takes, each shown at two places or more, links it to the
    reference, and the counts say enough (LARGEST_SD).
    """
    nothing = np.full(places, np.nan)
    shown = n > 0
    group, place, n, takes = group[shown], place[shown], n[shown].astype(np.float64), takes[shown].astype(np.float64)
    # A group without takes, or at one place only, compares nothing.
    groups = int(group.max(initial=-1)) + 1
    several = (np.bincount(group, minlength=groups) > 1) & (np.bincount(group, takes, groups) > 0)
    keep = several[group]
    group, place, n, takes = group[keep], place[keep], n[keep], takes[keep]
    taken = np.bincount(place, takes, places)
    if not takes.sum():
        return Examined(nothing, nothing)
    _, group = np.unique(group, return_inverse=True)
    groups = int(group.max()) + 1
    links = csr_array((np.ones(len(group)), (group, groups + place)), shape=(groups + places, groups + places))
    _, part = connected_components(links, directed=False)
    reference = int(np.flatnonzero(taken)[0])
    linked = (part[groups:] == part[groups + reference]) & (taken > 0)
    chance, wanted = np.ones(places), np.zeros(groups)
    for _ in range(ROUNDS):
        before = chance
        wanted = np.bincount(group, takes, groups) / np.bincount(group, n * chance[place], groups)
        expected = np.bincount(place, n * wanted[group], places)
        chance = np.divide(taken, expected, out=np.zeros(places), where=expected > 0)
        chance = chance / chance[reference]
        if np.abs(chance - before).max() < 1e-9:
            break
    sd = _log_sd(group, place, n * wanted[group] * chance[place], linked, reference)
    good = linked & (sd <= LARGEST_SD)
    return Examined(np.where(good, chance, np.nan), np.where(good, sd, np.nan))


def _log_sd(group: np.ndarray, place: np.ndarray, mean: np.ndarray, linked: np.ndarray, reference: int) -> np.ndarray:
    """Standard errors of log probabilities: the Poisson information of places, the groups' rates eliminated."""
    places, groups = len(linked), int(group.max()) + 1
    means = csr_array((mean, (group, place)), shape=(groups, places))
    total = np.asarray(means.sum(axis=1)).ravel()
    scaled = csr_array((mean / np.sqrt(total[group]), (group, place)), shape=(groups, places))
    information = np.diag(np.asarray(means.sum(axis=0)).ravel()) - (scaled.T @ scaled).toarray()
    free = np.flatnonzero(linked & (np.arange(places) != reference))
    sd = np.full(places, np.inf)
    sd[reference] = 0.0
    if len(free):
        sd[free] = np.sqrt(np.maximum(np.diag(np.linalg.pinv(information[np.ix_(free, free)])), 0.0))
    return sd
