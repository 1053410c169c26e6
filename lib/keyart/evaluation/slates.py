"""Pages: what a member saw together, judged as a whole.

A page is what one member was shown in one epoch. Artworks are drawn title by title, independently given the member, so
the page's propensity is the product of its decisions' and its weight the product of their weights. Whether that is
needed depends on what one title's artwork does to the others' outcomes:

- nothing (each artwork moves its own title's outcome only): the sum of the decisions' own w r is unbiased
  (item-position estimator, Li et al. 2018), and this is what estimates by decision rest on;
- effects on the page's outcome add up over its titles: the pseudo-inverse weight 1 + sum of (w - 1) is unbiased
  (Swaminathan et al. 2017, for policies whose slots are drawn independently);
- anything: only the product of weights is unbiased. Its variance grows like the product of E[w^2], so on pages of many
  titles its effective sample soon falls below the limit, and the verdict refuses.

The estimators are ``estimators.PAGE_ESTIMATORS``; where they differ beyond their intervals, titles steal from each
other.
"""

import numpy as np
from numba import njit

__all__ = ["add_pages"]

CERTAIN = 1.0 - 1e-6
"""A greedy target's probability of what it shows."""


@njit(cache=True, nogil=True, error_model="numpy")
def add_pages(member, page, offsets, slot, best, propensity, reward, pi, judged, columns, out, largest):
    """Add the extra columns of ``moments.Layout`` to ``out`` (members, extras); raise ``largest`` (targets,) to the
    largest weights of pages.

    ``page`` (n,) ascends and belongs to one member; ``columns`` of ``pi`` (pairs, all) are the layout's targets; only
    decisions ``judged`` (n,) count, and pages that have one. ``best`` (n,) is the logged policy's likeliest candidate,
    ``slot`` what was served, both counted from the set's first candidate.
    """
    n, targets, metrics = len(page), len(columns), reward.shape[1]
    width = 2 + 5 * metrics
    product, total = np.ones(targets), np.zeros(metrics)
    additive, seen = np.ones(targets), False
    for i in range(n):
        row = out[member[i]]
        if judged[i]:
            seen = True
            size = offsets[i + 1] - offsets[i]
            row[1] += size
            for m in range(metrics):
                total[m] += reward[i, m]
            for t in range(targets):
                w = pi[offsets[i] + slot[i], columns[t]] / propensity[i]
                product[t] *= w
                additive[t] += w - 1.0
                agrees = pi[offsets[i] + best[i], columns[t]] >= CERTAIN
                for m in range(metrics):
                    at = 2 + t * width + 2 + 5 * m
                    square = w * reward[i, m] ** 2
                    row[at + 2] += square if agrees else 0.0
                    row[at + 3] += 0.0 if agrees else square * size
                    row[at + 4] += square * w
        if i + 1 == n or page[i + 1] != page[i]:  # the page ends
            if seen:
                row[0] += 1.0
                for t in range(targets):
                    at = 2 + t * width
                    row[at] += product[t]
                    row[at + 1] += product[t] ** 2
                    largest[t] = max(largest[t], product[t])
                    for m in range(metrics):
                        row[at + 2 + 5 * m] += product[t] * total[m]
                        row[at + 3 + 5 * m] += additive[t] * total[m]
            product[:], additive[:], total[:], seen = 1.0, 1.0, 0.0, False
