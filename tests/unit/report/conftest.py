"""A small run as facts: two titles, three artworks each, two regions, one member."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from keyart.report.facts import Facts, Picture, Source

NAMES = {"orbit": "The Long Orbit", "evil": '<script>alert("1")</script> & "quoted"'}


POLICY = {
    "policy_id": "p",
    "kind": "epsilon-greedy",
    "spec": '{"levels": {"order": ["user"]}}',
    "salt": "artwork-1",
    "parent_policy_id": None,
    "models": "{}",
    "data_versions": "{}",
    "created_at": datetime(2026, 3, 9, tzinfo=UTC),
}


def title(title_id: str) -> dict[str, Any]:
    return {
        "title_id": title_id,
        "name": NAMES[title_id],
        "genres": ["drama"] if title_id == "orbit" else ["thriller", "<b>"],
        "maturity_rating": None,
        "kids": False,
        "regions": [],
        "cast_names": [],
    }


def artwork(title_id: str, n: int) -> dict[str, Any]:
    return {
        "artwork_id": f"{title_id}-{n}",
        "title_id": title_id,
        "video_id": f"film-{title_id}",
        "scan_id": "scan",
        "seconds": 4.0 * n,
        "image_hash": f"hash-{title_id}-{n}",
        "variant": "original",
        "features": [float(n), 1.0, -float(n)],
        "faces": [{"x": 0.1, "y": 0.1, "width": 0.2, "height": 0.3, "score": 0.9, "landmarks": []}] * (n % 2),
        "shot_type": "close-up",
        "moods": ["tense"],
        "flags": ["spoiler"] if n == 2 else [],
        "crops": [{"aspect": "1:1", "x": 0.2, "y": 0.0, "width": 0.5625, "height": 1.0}],
        "score": 1.0 - n / 10,
        "rank": n + 1,
        "reason": "sharp",
    }


def video(title_id: str) -> dict[str, Any]:
    return {
        "video_id": f"film-{title_id}",
        "title_id": title_id,
        "uri": f"{title_id}.mp4",
        "size_bytes": 1000,
        "codec": "h264",
        "width": 640,
        "height": 360,
        "duration_seconds": 12.0,
        "current_scan_id": "scan",
    }


def shot(title_id: str, n: int) -> dict[str, Any]:
    return {
        "video_id": f"film-{title_id}",
        "shot_id": n,
        "start_seconds": 4.0 * n,
        "end_seconds": 4.0 * n + 4,
        "transition_in": "cut",
        "luma_mean": 0.5,
        "warmth": -0.1,
        "motion": 0.02,
    }


def candidate(title_id: str, n: int) -> dict[str, Any]:
    return {
        "title_id": title_id,
        "video_id": f"film-{title_id}",
        "pts": n,
        "seconds": 2.0 * n,
        "shot_id": n // 2,
        "quality": n / 10,
        "image_hash": f"hash-{title_id}-{n}",
        "score": None,
        "verdict": "selected" if n < 3 else "blurred",
        "face_count": n % 2,
        "face_height": 0.3 if n % 2 else None,
        "of": 9,
    }


def level(name: str, cell: str, title_id: str, best: int, mean: float = 0.1) -> list[dict[str, Any]]:
    return [
        {
            "policy_id": "p",
            "level": name,
            "cell": cell,
            "title_id": title_id,
            "artwork_id": f"{title_id}-{n}",
            "probability": 0.9 if n == best else 0.05,
            "mean": mean if n == best else 0.0,
            "sd": 0.02,
            "n": 100,
            "takes": 4,
            "is_default": n == best,
            "reason": "gains by more warmth",
        }
        for n in range(3)
    ]


@pytest.fixture
def scanned() -> Facts:
    """After scan-videos alone."""
    ids = list(NAMES)
    hashes = [f"hash-{title_id}-{n}" for title_id in ids for n in range(6)]
    return Facts(
        titles=[title(t) for t in ids],
        videos=[video(t) for t in ids],
        shots=[shot(t, n) for t in ids for n in range(3)],
        signal=[
            {"video_id": f"film-{t}", "bin": n, "seconds": n + 0.5, "luma": 0.4, "motion": 0.01 * n, "frames": 25}
            for t in ids
            for n in range(12)
        ],
        candidates=[{**candidate(t, n), "verdict": None} for t in ids for n in range(6)],
        sources=[Source("videos", "one film", 3, 2, datetime(2026, 3, 9, 12, tzinfo=UTC))],
        pictures={key: Picture(f"{key}.jpg", 320, 180) for key in hashes},
    )


@pytest.fixture
def whole(scanned) -> Facts:
    """After every job."""
    ids = list(NAMES)
    return Facts(
        **{
            **vars(scanned),
            "candidates": [candidate(t, n) for t in ids for n in range(6)],
            "artworks": [artwork(t, n) for t in ids for n in range(3)],
            "regions": {"SE": "nordics", "JP": "asia", "NO": "nordics"},
            "policy": POLICY,
            "policies": [POLICY],
            "assignments": [
                *level("global", "*", "orbit", 0),
                *level("parent", "nordics", "orbit", 1),
                *level("region", "SE", "orbit", 2, 0.2),
                *level("region", "JP", "orbit", 0),
                *level("segment", "SE/taste-2", "orbit", 0),
                *level("segment", "*/taste-2", "evil", 2),
                *level("global", "*", "evil", 1),
            ],
            "members": [
                {
                    "user_key": "0123456789abcdef" * 2,
                    "region": "SE",
                    "title_ids": ["orbit"],
                    "artwork_ids": ["orbit-1"],
                    "gains": [0.1],
                    "reasons": ["more warmth; watches more drama than most"],
                    "history": 7,
                    "kids": False,
                }
            ],
            "segments": [
                {"title_id": "orbit", "segment": "drama", "artwork_id": f"orbit-{n}", "members": m, "of": 200}
                for n, m in ((1, 60), (2, 90))
            ],
            "audience": {"members": 400},
            "overrides": [
                {"title_id": None, "artwork_id": None, "members": 100, "all": 100},
                {"title_id": "orbit", "artwork_id": "orbit-1", "members": 100},
            ],
            "seen": [{"artwork_id": "orbit-0", "n": 200, "takes": 7}],
            "evaluations": [evaluation("user", 0.12, 0.08, 0.16, True)],
        }
    )


def evaluation(
    target: str, lift: float | None, lower: float | None, upper: float | None, claim: bool
) -> dict[str, Any]:
    return {
        "target": target,
        "baseline": "uniform",
        "estimator": "dr",
        "metric": "reward",
        "slice": "*",
        "n": 5000,
        "members": 400,
        "estimate": 0.02,
        "lower": 0.01,
        "upper": 0.03,
        "lift": lift,
        "lift_lower": lower,
        "lift_upper": upper,
        "claim": claim,
        "ess": 900.0,
        "max_weight": 9.0,
        "verdict": "ok" if lift is not None else "too few members: 3 of 50 needed",
        "from_day": date(2026, 3, 1),
        "to_day": date(2026, 3, 8),
    }
