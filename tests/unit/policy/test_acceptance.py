"""Who likes romances gets the smiling frame of a title, who likes thrillers the tense one, of the same cast: from
simulated decisions to what is served, on a title that no decision was seen of."""

from datetime import date

import numpy as np
import pytest
from scipy.special import expit

from keyart.learning.logistic import Rows, full_hessian, newton_sums, ridge_step
from keyart.learning.members import standardised
from keyart.policy.assignment import best_of_title, build_slate, scored_overrides
from keyart.policy.exploration import Best
from keyart.policy.reasons import member_reasons
from keyart.policy.resolve import ArtworkResolver, Override
from keyart.policy.specification import Policy

GENRES = ["genre romance", "genre thriller", "genre documentary"]
FEATURES = ["face_smile", "mood_tense", "cast_lead", "brightness"]
LIKING = np.array([[0.5, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
"""True weights, in log odds of a take by standard deviation of taste; to the cast all are alike."""
TAKES, TITLES, MEMBERS, EACH = 0.1, 40, 3000, 30
DAY = date(2026, 2, 1)


def learned():
    """A response model's arrays from uniformly logged decisions on other titles, fitted by the product's own Newton."""
    rng = np.random.default_rng(4)
    mix = rng.dirichlet([0.7, 0.7, 0.7], MEMBERS)
    mean, scale = mix.mean(axis=0), mix.std(axis=0)
    z = (mix - mean) / scale
    looks = rng.normal(size=(TITLES, 4, len(FEATURES)))
    x = (looks - looks.mean(axis=1, keepdims=True)).reshape(-1, len(FEATURES))
    member = np.repeat(np.arange(MEMBERS), EACH)
    shown = rng.integers(0, len(x), len(member))
    offset = np.full(len(member), np.log(TAKES / (1 - TAKES)))
    odds = offset + np.einsum("rk,kf,rf->r", z[member], LIKING, x[shown])
    rows = Rows(z, x, member, shown, rng.random(len(member)) < expit(odds), offset)
    weights = np.zeros((len(GENRES), len(FEATURES)))
    for _ in range(6):
        sums = newton_sums(rows, weights[None])
        weights = ridge_step(full_hessian(sums["hessian"], *weights.shape), sums["gradient"][0], weights, 10.0)
    return {"weights": weights * (1 - TAKES), "member_mean": mean, "member_scale": scale}


@pytest.fixture(scope="module")
def served():
    """What a member of a mix of genres is served of the new title, as (resolution, reason)."""
    frames = {  # the same lead in both; the third is the one that is best for everyone
        "smiling": [1.0, -1.0, 1.0, 0.0],
        "tense": [-1.0, 1.0, 1.0, 0.0],
        "landscape": [0.0, 0.0, -2.0, 0.0],
    }
    values, count = np.array(list(frames.values())), len(frames)
    level = np.array([[-0.02, -0.02, 0.04]])
    arrays = {
        **learned(), "features": values, "feature_values": values, "loadings": np.eye(len(FEATURES)),
        "cell_mean": level, "cell_sd": np.full((1, count), 0.05), "cell_n": np.zeros((1, count)),
        "cell_takes": np.zeros((1, count)), "region_weights": np.zeros((1, len(FEATURES))),
    }  # fmt: skip
    slate = build_slate([(name, "T", i) for i, name in enumerate(frames)], list(frames), arrays)
    means, defaults = slate.arrays["cell_mean"], best_of_title(slate.arrays["cell_mean"], slate)
    rows = [
        {
            "policy_id": "p", "level": "global", "cell": "*", "context": "*", "title_id": "T", "artwork_id": name,
            "mean": float(means[0, a]), "sd": 0.05, "is_default": a == defaults[0, 0], "reason": "",
        }
        for a, name in enumerate(slate.artwork_ids)
    ]  # fmt: skip

    def ask(mix):
        members = np.array([mix])
        taste = standardised(slate.arrays, members) @ slate.arrays["weights"]
        found = scored_overrides(taste, np.zeros(1, int), means, defaults, slate, 0.02)
        texts, which = member_reasons(slate.arrays, members, found, FEATURES, GENRES)
        entries = zip(found.title, found.artwork, found.gain, which, strict=True)
        own = {slate.title_ids[t]: Override(str(slate.artwork_ids[a]), float(g), texts[i]) for t, a, g, i in entries}
        policy = Policy("p", Best(), "salt", 0.02, "taste", DAY)
        return ArtworkResolver.of(policy, rows, overrides=lambda user: own).resolve("u", "T", "SE", epoch=DAY)

    return ask


@pytest.mark.parametrize(
    ("mix", "artwork", "why"),
    [
        ([0.9, 0.05, 0.05], "smiling", "watches more romance than most"),
        ([0.05, 0.9, 0.05], "tense", "watches more thriller than most"),
    ],
    ids=["romances", "thrillers"],
)
def test_each_taste_gets_its_own_frame(served, mix, artwork, why):
    found = served(mix)
    assert (found.artwork_id, found.level) == (artwork, "user")
    assert why in found.reason


def test_who_has_no_particular_taste_keeps_the_default(served):
    found = served([1 / 3, 1 / 3, 1 / 3])
    assert (found.artwork_id, found.level) == ("landscape", "global")
