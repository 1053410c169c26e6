"""The member level: the weights of member vector x artwork coordinates, by Newton's method or L-BFGS."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from keyart.learning.blocks import Arrays, Total
from keyart.learning.fit import chosen_strength, validation_metrics
from keyart.learning.logistic import full_hessian, posterior_sd, ridge_step, score_test
from keyart.learning.response import Base, compare, member_sums

__all__ = ["MemberLevel"]

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""In log odds: a Newton step that moves no weight further is the last."""
NEWTON_COLUMNS = 500
"""The most weights that Newton's method is chosen for: a pass of it costs their square, and so does what it sends."""
CHEAP = 10
"""Passes of L-BFGS for each that Newton's method would get."""


@dataclass(frozen=True)
class MemberLevel:
    """Passes over blocks; K dimensions of members, P of artworks."""

    total: Total
    features: np.ndarray  # (A, P)
    dimensions: int  # K

    def choose(
        self, base: Base, effects: np.ndarray, l2: Sequence[float]
    ) -> tuple[float | None, np.ndarray, dict[str, float]]:
        """The strength that the later days like best, its weights (K, P) on the early days, and metrics.

        No strength and weights 0 where none beats the region level. Three passes for any number of strengths: the
        Hessian at 0 serves all, since weights are small on its scale.
        """
        nothing = np.zeros((self.dimensions, self.features.shape[1]))
        sums = self._sums(base, effects, nothing[None], early_only=True, hessian=True)
        hessian = full_hessian(sums["hessian"], *nothing.shape)
        tried = np.stack([ridge_step(hessian, sums["gradient"][0], nothing, strength) for strength in l2])
        gradients = self._sums(base, effects, tried, early_only=True, hessian=False)["gradient"]
        steps = zip(gradients, tried, l2, strict=True)
        tried = np.stack([ridge_step(hessian, gradient, weights, strength) for gradient, weights, strength in steps])
        features = self.features  # a worker gets this, not self with its blocks
        found = self.total(lambda block: compare(block, base, effects, features, tried))
        scores = [score_test(hessian, sums["gradient"][0], strength) for strength in l2]
        chosen, metrics = chosen_strength(found, scores), validation_metrics(found, l2)
        metrics["member_score_z"] = max(scores) if chosen is None else scores[chosen]
        if chosen is None:
            return None, nothing, metrics | {"chosen_l2": 0.0}
        return l2[chosen], tried[chosen], metrics | {"chosen_l2": l2[chosen]}

    def refine(
        self, base: Base, effects: np.ndarray, weights: np.ndarray, l2: float, iterations: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Newton's method on all days from ``weights``; a step that made things worse is halved.

        The weights and their standard deviations (K, P): the prior that L2 is, conditioned on the decisions (Laplace).
        """
        best, step, sd = np.inf, np.zeros_like(weights), np.zeros_like(weights)
        for number in range(iterations):
            sums = self._sums(base, effects, weights[None], early_only=False, hessian=True)
            value = float(sums["loss"][0] + 0.5 * l2 * np.sum(weights**2))
            if value > best + 1e-6:
                weights, step = weights - step / 2, step / 2
                continue
            best, hessian = value, full_hessian(sums["hessian"], *weights.shape)
            sd = posterior_sd(hessian, l2).reshape(weights.shape)
            following = ridge_step(hessian, sums["gradient"][0], weights, l2)
            step, weights = following - weights, following
            log.info("member step %d: objective %.6g, moves %.2g", number, value, np.abs(step).max())
            if np.abs(step).max() < TOLERANCE:
                break
        return weights, sd

    def solve(
        self, base: Base, effects: np.ndarray, weights: np.ndarray, l2: float, iterations: int, solver: str = "auto"
    ) -> tuple[np.ndarray, np.ndarray]:
        """As ``refine``, by "newton", "lbfgs" or, "auto", whichever suits the number of weights."""
        if solver == "newton" or (solver == "auto" and weights.size <= NEWTON_COLUMNS):
            return self.refine(base, effects, weights, l2, iterations)
        return self.descend(base, effects, weights, l2, iterations * CHEAP)

    def descend(
        self, base: Base, effects: np.ndarray, weights: np.ndarray, l2: float, passes: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """L-BFGS on all days from ``weights``; what ``refine`` answers, with one Hessian, the last pass's."""
        shape, taken = weights.shape, 0

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal taken
            at = flat.reshape(shape)
            sums = self._sums(base, effects, at[None], early_only=False, hessian=False)
            value, slope = float(sums["loss"][0] + 0.5 * l2 * flat @ flat), l2 * at - sums["gradient"][0]
            log.info("member pass %d: objective %.6g, slope %.2g", taken, value, np.abs(slope).max())
            taken += 1
            return value, slope.ravel()

        # A slope of TOLERANCE x L2 is at most TOLERANCE away from the optimum: the objective bends by L2 at least.
        options = {"maxfun": passes, "maxiter": passes, "ftol": 1e-12, "gtol": TOLERANCE * l2}
        weights = minimize(objective, weights.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)
        sums = self._sums(base, effects, weights[None], early_only=False, hessian=True)
        return weights, posterior_sd(full_hessian(sums["hessian"], *shape), l2).reshape(shape)

    def _sums(self, base: Base, effects: np.ndarray, weights: np.ndarray, early_only: bool, hessian: bool) -> Arrays:
        features = self.features
        return self.total(lambda block: member_sums(block, base, effects, features, weights, early_only, hessian))
