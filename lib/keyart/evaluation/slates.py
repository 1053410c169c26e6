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

__all__ = ["page_columns"]


def page_columns(weights: np.ndarray, outcome: np.ndarray, page: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of pages: products of weights (G, T), pseudo-inverse weights (G, T), outcomes (G, M), first rows (G,).

    ``weights`` (n, T), ``outcome`` (n, M), ``page`` (n,) ascending.

    >>> weights, outcome = np.array([[2.0], [0.5], [3.0]]), np.ones((3, 1))
    >>> product, additive, total, _ = page_columns(weights, outcome, np.array([0, 0, 1]))
    >>> product.ravel().tolist(), additive.ravel().tolist(), total.ravel().tolist()
    ([1.0, 3.0], [1.5, 3.0], [2.0, 1.0])
    """
    if not len(page):
        return np.zeros((0, weights.shape[1])), np.zeros((0, weights.shape[1])), np.zeros((0, outcome.shape[1])), page
    starts = np.flatnonzero(np.diff(page, prepend=page[0] - 1))
    product = np.multiply.reduceat(weights, starts, axis=0)
    additive = 1.0 + np.add.reduceat(weights - 1.0, starts, axis=0)
    return product, additive, np.add.reduceat(outcome, starts, axis=0), starts
