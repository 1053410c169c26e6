"""Solvers of the member level against each other and against a pass count, on personalised logs in memory."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from keyart.learning.blocks import total_of
from keyart.learning.member_level import NEWTON_COLUMNS, MemberLevel
from keyart.learning.offset import Offset
from keyart.learning.response import Base
from keyart.seeding import rng

TITLES, ARTWORKS = 3, 4
COUNT, MEMBERS = 8000, 600


def world(size: tuple[int, int], effect: float = 0.3) -> tuple[dict[str, np.ndarray], Base, np.ndarray]:
    """A block whose takes follow weights (K, P), its base and the artworks' features."""
    random = rng(8, "member level")
    artworks = TITLES * ARTWORKS
    z, features = random.normal(size=(MEMBERS, size[0])), random.normal(size=(artworks, size[1]))
    member, title = np.sort(random.integers(0, MEMBERS, COUNT)), random.integers(0, TITLES, COUNT)
    artwork = title * ARTWORKS + random.integers(0, ARTWORKS, COUNT)
    design_offsets = np.arange(0, artworks + 1, ARTWORKS)
    shares = csr_array((np.full(artworks, 1 / ARTWORKS), np.arange(artworks), design_offsets))
    x = features[artwork] - (shares @ features)[title]
    truth = effect * random.normal(size=size) / np.sqrt(np.prod(size))
    odds = -1.0 + np.einsum("rk,kp,rp->r", z[member], truth, x)
    pairs, combination = np.unique(artwork, return_inverse=True)
    block = {
        "z": z,
        "member": member,
        "combination": combination,
        "artwork": pairs,
        "design": pairs // ARTWORKS,
        "group": title,
        "take": (random.random(COUNT) < 1 / (1 + np.exp(-odds))).astype(np.uint8),
        "late": np.zeros(COUNT, dtype=bool),
        "personal": np.ones(COUNT, dtype=bool),
        "weight": np.ones(COUNT),
        "covariates": np.zeros((COUNT, 1)),
        "design_offsets": design_offsets,
        "design_artworks": shares.indices,
        "design_shares": shares.data,
    }
    intercepts = np.full(TITLES, -1.0)
    base = Base(Offset(intercepts, np.zeros(1), intercepts), np.zeros(1), np.ones(1), 1, artworks)
    return block, base, features


@pytest.mark.parametrize(("size", "l2"), [((3, 2), 1.0), ((8, 6), 30.0)])
def test_lbfgs_reaches_newtons_optimum(size, l2):
    block, base, features = world(size, effect=2.0)
    level, effects = MemberLevel(total_of([block]), features, size[0]), np.zeros((1, len(features)))
    start = np.zeros(size)
    exact, sd = level.solve(base, effects, start, l2, 20, "newton")
    found, spread = level.solve(base, effects, start, l2, 20, "lbfgs")

    def objective(weights):
        loss = level._sums(base, effects, weights[None], early_only=False, hessian=False)["loss"][0]
        return (loss + 0.5 * l2 * np.sum(weights**2)) / COUNT

    assert objective(start) - objective(exact) > 1e-3
    assert abs(objective(found) - objective(exact)) < 1e-6
    np.testing.assert_allclose(found, exact, atol=2e-3)
    np.testing.assert_allclose(spread, sd, rtol=1e-2)


@pytest.mark.parametrize("size", [(10, NEWTON_COLUMNS // 10), (10, NEWTON_COLUMNS // 10 + 1)])
def test_many_weights_are_found_without_a_hessian_a_step(size):
    block, base, features = world(size)
    sent = []

    def total(kernel):
        found = kernel(block)
        sent.append("hessian" in found)
        return found

    level = MemberLevel(total, features, size[0])
    level.solve(base, np.zeros((1, len(features))), np.zeros(size), 100.0, 3)
    assert sent == [True] * len(sent) if size[1] * 10 <= NEWTON_COLUMNS else sent == [False] * (len(sent) - 1) + [True]
    assert len(sent) > 1
