"""Effects of artworks by cell of a tree (global, parent regions, regions), shrunk towards what is more general.

The effect of artwork a in cell c is the sum along c's path from the root of
    x_a . d_c      features times weights, d_c ~ N(0, feature variance of c's level)
  + u_ca           the artwork's own,      u_ca ~ N(0, artwork variance of c's level)
so that an artwork in a region leans on the parent region, on the artwork everywhere and, where nobody has seen it, on
its features. All is Gaussian: given the six variances the posterior is exact (artwork by artwork by the Woodbury
identity), and ``averaged`` weighs it over the variances that the observations leave likely (``learning.variances``).
C cells, A artworks, P coordinates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from keyart.learning.variances import (
    LARGEST,
    LEVELS,
    POINTS,
    PRIOR_SD,
    SMALLEST,
    Variances,
    differing,
    likely_points,
    log_prior,
)

__all__ = [
    "Posterior",
    "Tree",
    "Variances",
    "averaged",
    "fit_variances",
    "freedom_within",
    "own_covariance",
    "posterior",
    "rate_effects",
    "tree_of",
]

EVIDENCE_ARTWORKS = 2000
"""The most seen artworks that decide the variances; more change nothing but the time it takes."""


@dataclass(frozen=True)
class Tree:
    """Cells, parents before children."""

    parent: np.ndarray  # (C,) index of the parent, -1 for the root
    level: np.ndarray  # (C,) 0 root, 1 parent region, 2 region
    paths: np.ndarray  # (C, C) 1 where the column's cell lies on the path from the root to the row's


def tree_of(parent: Sequence[int]) -> Tree:
    """The tree of these parents: -1 for the root, which stands first; a parent stands before its children."""
    paths = np.eye(len(parent))
    for cell, above in enumerate(parent):
        if above >= 0:
            paths[cell] += paths[above]
    return Tree(np.asarray(parent), paths.sum(axis=1).astype(np.int64) - 1, paths)


@dataclass(frozen=True)
class Posterior:
    """What is known of every cell x artwork after the observations, and of every cell's weights of features."""

    mean: np.ndarray  # (C, A)
    sd: np.ndarray  # (C, A)
    weights: np.ndarray  # (C, P) of features along each cell's path
    weights_covariance: np.ndarray  # (C, P, P) of each cell's weights among themselves
    evidence: float  # log marginal likelihood of the variances, up to a constant of the observations
    variances: Variances  # averaged: their mean
    precision: np.ndarray  # (C, A) of what was observed; 0: nothing was

    def weights_sd(self, loadings: np.ndarray) -> np.ndarray:
        """Standard deviations (C, F) of the weights that loadings (F, P) make of the coordinates' weights."""
        variance = np.einsum("fp,cpq,fq->cf", loadings, self.weights_covariance, loadings, optimize=True)
        return np.sqrt(np.maximum(variance, 0))


def posterior(
    tree: Tree, observed: np.ndarray, precision: np.ndarray, coordinates: np.ndarray, variances: Variances
) -> Posterior:
    """The exact posterior given observations (C, A) of precisions (C, A); precision 0 is an effect nobody observed."""
    cells, (artworks, width) = len(tree.parent), coordinates.shape
    found = _condition(tree, observed, precision, coordinates, variances)
    seen, spread, prior, inverse = found.seen, found.spread, found.prior, found.inverse
    left = prior[:, seen] @ inverse  # (A, C, S): what an observation moves
    mean, weights = _effects(found, left, observed, coordinates)

    covariance = found.covariance(width).transpose(1, 3, 0, 2)
    own_covariance = found.of_weights(covariance)
    covariance = covariance.reshape(width * width, cells * cells)
    of_weights = spread @ (_outer(coordinates) @ covariance).reshape(artworks, cells, cells) @ spread.T
    kept = np.tile(np.eye(cells), (artworks, 1, 1))
    kept[:, :, seen] -= left
    variance = prior - left @ prior[seen] + kept @ of_weights @ kept.transpose(0, 2, 1)
    sd = np.sqrt(np.maximum(np.diagonal(variance, axis1=1, axis2=2), 0)).T
    return Posterior(mean, sd, weights, own_covariance, found.evidence, variances, precision)


def _effects(
    found: "_Conditioned", left: np.ndarray, observed: np.ndarray, coordinates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means of effects (C, A) and of weights (C, P)."""
    weights = found.spread @ found.standard.reshape(len(found.spread), -1)
    expected = weights @ coordinates.T
    return expected + np.einsum("acs,sa->ca", left, (observed - expected)[found.seen]), weights


@dataclass(frozen=True)
class _Conditioned:
    seen: np.ndarray  # (S,) cells with any observation
    spread: np.ndarray  # (C, C) node weights = spread @ standard normals
    prior: np.ndarray  # (C, C) covariance of an artwork's own effects
    inverse: np.ndarray  # (A, S, S) of prior + 1 / precision; 0 where nothing was observed
    factor: tuple  # Cholesky of the precision of the standard normals
    standard: np.ndarray  # (C P,) their posterior mean
    evidence: float

    def covariance(self, width: int) -> np.ndarray:
        """Of the standard normals, (C, P, C, P)."""
        shape = (len(self.spread), width) * 2
        return cho_solve(self.factor, np.eye(len(self.standard))).reshape(shape)

    def of_weights(self, covariance: np.ndarray) -> np.ndarray:
        """Covariance (C, P, P) of each cell's weights, from the standard normals' (P, P, C, C)."""
        return np.einsum("pqce,ce->cpq", self.spread @ covariance, self.spread)


def _condition(
    tree: Tree,
    observed: np.ndarray,
    precision: np.ndarray,
    coordinates: np.ndarray,
    variances: Variances,
    freedom: np.ndarray | float = 1.0,
) -> _Conditioned:
    cells, width = len(tree.parent), coordinates.shape[1]
    seen, prior, inner, inverse = _own(tree, precision, variances.artwork)
    spread = tree.paths * np.sqrt(variances.feature[tree.level])
    answer = np.einsum("ast,ta->as", inverse, observed[seen])

    reach = spread[seen]
    by_node = (reach.T @ inverse @ reach).reshape(len(inverse), cells * cells)
    normal = (by_node.T @ _outer(coordinates)).reshape(cells, cells, width, width).transpose(0, 2, 1, 3)
    factor = cho_factor(normal.reshape(cells * width, cells * width) + np.eye(cells * width), lower=True)
    right = ((answer @ reach).T @ coordinates).ravel()
    standard = cho_solve(factor, right)
    fit = np.sum(answer * observed[seen].T) - right @ standard
    volume = np.sum(freedom * np.linalg.slogdet(inner)[1]) + 2 * np.log(np.diag(factor[0])).sum()
    return _Conditioned(seen, spread, prior, inverse, factor, standard, float(-0.5 * (fit + volume)))


def _own(
    tree: Tree, precision: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cells seen (S,), the covariance (C, C) of an artwork's own effects, and of prior + 1 / precision in those cells
    the inverse (A, S, S), with the matrix (A, S, S) whose determinant it divides the precisions' by."""
    seen = np.flatnonzero(precision.any(axis=1))
    prior = (tree.paths * variances[tree.level]) @ tree.paths.T
    amount = precision[seen].T[:, :, None]
    # Written so that precision 0 divides by nothing.
    inner = np.eye(len(seen)) + amount * prior[np.ix_(seen, seen)]
    return seen, prior, inner, np.linalg.solve(inner, amount * np.eye(len(seen)))


def own_covariance(tree: Tree, variances: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """What observations of ``precision`` (C, A) leave uncertain of artworks' own effects, (A, C, C), given the weights.

    ``variances`` (3,) are the artworks' by level.
    """
    seen, prior, _, inverse = _own(tree, precision, variances)
    return prior - prior[:, seen] @ inverse @ prior[seen]


def _outer(coordinates: np.ndarray) -> np.ndarray:
    return (coordinates[:, :, None] * coordinates[:, None, :]).reshape(len(coordinates), -1)


def fit_variances(
    tree: Tree,
    observed: np.ndarray,
    precision: np.ndarray,
    coordinates: np.ndarray,
    freedom: np.ndarray,
    start: Variances | None = None,
) -> Variances:
    """The variances under which the observations are most likely.

    ``freedom`` (A,) are degrees of freedom an artwork: 1, or what is left of it where observations are relative to
    their title's mean (``freedom_within``).
    """
    telling, left = _telling(observed, precision, coordinates, freedom)

    def loss(log_sds: np.ndarray) -> tuple[float, np.ndarray]:
        value, slopes = _evidence(tree, *telling, Variances.of(log_sds), left)
        return -value, -slopes

    first = np.full(2 * LEVELS, np.log(0.1)) if start is None else start.log_sds
    return Variances.of(_largest(loss, first))


def averaged(
    tree: Tree,
    observed: np.ndarray,
    precision: np.ndarray,
    coordinates: np.ndarray,
    freedom: np.ndarray,
    fitted: Variances,
    points: int = POINTS,
) -> Posterior:
    """The posterior over effects and variances: means over the variances that are likely, found from ``fitted``.

    ``freedom`` is that of ``fit_variances``.

    Deviations of effects follow from the law of total variance, where those under the mean variances stand for the mean
    of all: each point would cost several (C, C) matrices an artwork, and the mean is a little smaller because they are
    concave in the variances. The weights' covariance is about their mean as it is if regions do differ in what they
    like (``variances.differing``): the chance that they do not would make errors look smaller than they then are.
    """
    width = coordinates.shape[1]
    telling, left = _telling(observed, precision, coordinates, freedom)

    def loss(log_sds: np.ndarray) -> tuple[float, np.ndarray]:
        value, slopes = _evidence(tree, *telling, Variances.of(log_sds), left)
        return -value - log_prior(log_sds).sum(), -slopes - 1 + np.exp(log_sds) / PRIOR_SD

    mode = _largest(loss, np.maximum(fitted.log_sds, np.log(0.02)))
    likely, shares = likely_points(
        lambda log_sds: _condition(tree, *telling, Variances.of(log_sds), left).evidence, mode, points
    )
    squares = shares @ np.exp(2 * likely)
    alone = posterior(tree, observed, precision, coordinates, Variances(squares[:LEVELS], squares[LEVELS:]))
    apart = differing(likely, shares)
    sums = [np.zeros_like(v) for v in (alone.mean, alone.mean, *[alone.weights] * 2, alone.weights_covariance)]
    for log_sds, share, part in zip(likely, shares, apart, strict=True):
        found = _condition(tree, observed, precision, coordinates, Variances.of(log_sds))
        mean, weights = _effects(found, found.prior[:, found.seen] @ found.inverse, observed, coordinates)
        away, aside = mean - alone.mean, weights - alone.weights
        second = found.of_weights(found.covariance(width).transpose(1, 3, 0, 2)) + _products(aside, aside)
        for total, moment in zip(
            sums, (share * away, share * away**2, share * aside, part * aside, part * second), strict=True
        ):
            total += moment
    away, squared, aside, of_apart, second = sums
    sd = np.sqrt(alone.sd**2 + np.maximum(squared - away**2, 0))
    covariance = second - _products(aside, of_apart) - _products(of_apart, aside) + _products(aside, aside)
    return replace(alone, mean=alone.mean + away, sd=sd, weights=alone.weights + aside, weights_covariance=covariance)


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Outer products (C, P, P) of weights (C, P)."""
    return left[:, :, None] * right[:, None, :]


def _telling(
    observed: np.ndarray, precision: np.ndarray, coordinates: np.ndarray, freedom: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Of the artworks that decide the variances: observations, precisions, coordinates; and their freedom."""
    most = np.argsort(-precision.sum(axis=0), kind="stable")[:EVIDENCE_ARTWORKS]
    return (observed[:, most], precision[:, most], coordinates[most]), freedom[most]


def _largest(loss: Callable[[np.ndarray], tuple[float, np.ndarray]], first: np.ndarray) -> np.ndarray:
    """Logs of sds (6,) of the smallest loss within the bounds."""
    bounds = [(0.5 * np.log(SMALLEST), 0.5 * np.log(LARGEST))] * len(first)
    options = {"maxiter": 60, "ftol": 1e-8}
    return minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x


def _evidence(
    tree: Tree,
    observed: np.ndarray,
    precision: np.ndarray,
    coordinates: np.ndarray,
    variances: Variances,
    freedom: np.ndarray,
) -> tuple[float, np.ndarray]:
    """The log evidence and its derivatives (6,) by the logs of the sds.

    Of a variance they are the sum over its effects of E[square] / variance - 1, given the observations (Fisher's
    identity).
    """
    artworks, width = coordinates.shape
    found = _condition(tree, observed, precision, coordinates, variances, freedom)
    seen, cells, inverse = found.seen, len(tree.parent), found.inverse
    covariance, standard = found.covariance(width), found.standard.reshape(cells, width)
    features = (standard**2 + np.einsum("cpcp->cp", covariance) - 1).sum(axis=1)

    expected = found.spread @ standard @ coordinates.T
    answer = np.einsum("ast,ta->as", inverse, (observed - expected)[seen])
    nodes = _outer(coordinates) @ covariance.transpose(1, 3, 0, 2).reshape(width * width, cells * cells)
    reach, paths = found.spread[seen], tree.paths[seen]
    doubt = (
        freedom[:, None, None] * inverse - inverse @ (reach @ nodes.reshape(artworks, cells, cells) @ reach.T) @ inverse
    )
    own = ((answer @ paths) ** 2 - np.einsum("sc,ast,tc->ac", paths, doubt, paths, optimize=True)).sum(axis=0)
    by_level = [np.bincount(tree.level, values, LEVELS) for values in (features, own)]
    return found.evidence, np.append(by_level[0], by_level[1] * variances.artwork)


def freedom_within(title_index: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Degrees of freedom (A,) of artworks whose observations are relative to their title's mean.

    Of a title's k artworks that were ``seen`` (A,) the mean takes one degree, as in restricted maximum likelihood
    (Patterson and Thompson 1971): (k - 1) / k each. Without it variances come out too small, and with them errors.

    >>> freedom_within(np.array([0, 0, 1, 1, 1]), np.array([True, True, True, True, False])).tolist()
    [0.5, 0.5, 0.5, 0.5, 0.0]
    """
    size = np.bincount(title_index, seen)[title_index]
    return np.where(seen, 1 - 1 / np.maximum(size, 1), 0.0)


def rate_effects(
    tree: Tree,
    seen: np.ndarray,
    expected: np.ndarray,
    coordinates: np.ndarray,
    title_index: np.ndarray | None = None,
    rounds: int = 4,
) -> Posterior:
    """Log rate ratios of counts (C, A) against what was expected (C, A): seen ~ Poisson(expected exp(effect)).

    With ``title_index`` (A,) expectations are of the titles' own mean rates, as the counts say them. Laplace: each
    round observes effect + (seen - fitted) / fitted with precision fitted, at the last round's mean.
    ValueError where a count, an expectation or a coordinate is no finite number, or a count or expectation is negative.
    """
    for name, values, least in (
        ("seen", seen, 0.0),
        ("expected", expected, 0.0),
        ("coordinates", coordinates, -np.inf),
    ):
        if not (np.isfinite(values) & (values >= least)).all():
            kind = "finite numbers" if least else "finite numbers of at least 0"
            raise ValueError(f"{name} must be {kind}, shape {np.shape(values)}: its source holds something else")
    freedom = (
        np.ones(len(coordinates)) if title_index is None else freedom_within(title_index, expected.sum(axis=0) > 0)
    )
    fitted, mean = expected, np.zeros_like(expected)
    observed, variances = _working(seen, fitted, mean), None
    for _ in range(rounds - 1):
        variances = fit_variances(tree, observed, fitted, coordinates, freedom, variances)
        mean = posterior(tree, observed, fitted, coordinates, variances).mean
        fitted = expected * np.exp(mean)
        observed = _working(seen, fitted, mean)
    variances = fit_variances(tree, observed, fitted, coordinates, freedom, variances)
    return averaged(tree, observed, fitted, coordinates, freedom, variances)


def _working(seen: np.ndarray, fitted: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What Poisson counts observe of log effects at ``mean``, with precision ``fitted``."""
    return mean + np.divide(seen - fitted, fitted, out=np.zeros_like(fitted), where=fitted > 0)
