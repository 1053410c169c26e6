"""build-report on fabricated tables: a whole run, a run after the scan alone, and the pages in a browser."""

import hashlib
import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import cv2
import numpy as np
import pytest

from keyart.config import load
from keyart.errors import ConfigError
from keyart.jobs.build_report import run
from keyart.report.spark import build_report, gather, report_folder
from keyart.schemas import TABLES
from keyart.seeding import bucket, rng
from keyart.tables import Tables
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION

pytestmark = pytest.mark.spark

HOSTILE = "<script>alert(1)</script>"
TITLES = {
    "long-orbit": ("The Long Orbit", ["science fiction", "drama"], "12"),
    "nine-lives": ("Nine Lives", ["comedy", "kids"], "6"),
    "slow-coffee": ("Café Lumière", ["romance", "drama"], None),
    "hostile": (HOSTILE, ["thriller"], "16"),
}
REGIONS = {
    "SE": "nordics", "NO": "nordics", "DE": "europe", "FR": "europe",
    "JP": "asia", "IN": "asia", "US": "americas", "BR": "americas",
}  # fmt: skip
ARTWORKS, CANDIDATES, SHOTS, SECONDS = 6, 9, 14, 42.0
POLICY = "artwork-fabricated"
DAY, MOMENT = date(2026, 3, 1), datetime(2026, 3, 9, 12, 0, tzinfo=UTC)


def photographs() -> list[np.ndarray]:
    """Real pictures where the demo extra is installed, else patterns."""
    try:
        import matplotlib.cbook
        import skimage.data
        from sklearn.datasets import load_sample_images

        names = ("astronaut", "rocket", "chelsea", "coffee", "stereo_motorcycle")
        found = [getattr(skimage.data, name)() for name in names]
        found = [picture[0] if isinstance(picture, tuple) else picture for picture in found]
        found += list(load_sample_images().images)
        hopper = cv2.imread(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
        return [cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) for picture in found] + [hopper]
    except (ImportError, OSError):
        y, x = np.mgrid[0:400, 0:600]
        return [np.uint8(127 + 120 * np.sin(np.stack([x, y, x + y], 2) / (9 + 7 * k))) for k in range(8)]


def frame(photos: list[np.ndarray], title: int, index: int) -> bytes:
    """A 16:9 window of a photograph, at another place, size and grade each time."""
    draw = rng(5, title, index)
    which = {0: (0, 1, 7), 1: (2, 2, 4), 2: (3, 6, 5), 3: (4, 5, 0)}[title]
    photo = photos[which[index % 3]]
    height, width = photo.shape[:2]
    zoom = draw.uniform(0.55, 0.98)
    w = int(min(width, height * 16 / 9) * zoom)
    h = int(w * 9 / 16)
    x, y = int(draw.uniform(0, width - w)), int(draw.uniform(0, height - h) * 0.6)
    picture = cv2.resize(photo[y : y + h, x : x + w], (640, 360), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grade = np.array([1 + 0.12 * draw.standard_normal(), 1.0, 1 + 0.12 * draw.standard_normal()], np.float32)
    return cv2.imencode(".jpg", np.clip(picture * grade * draw.uniform(0.75, 1.1), 0, 255).astype(np.uint8))[1].tobytes()


def catalogue_rows() -> dict[str, list[dict]]:
    """Titles, films, what a scan saw and what was selected."""
    photos = photographs()
    rows: dict[str, list[dict]] = {
        name: [] for name in ("titles", "videos", "frames", "shots", "candidates", "images", "artworks", "scan_failures")
    }
    for t, (title_id, (name, genres, rating)) in enumerate(TITLES.items()):
        draw = rng(1, title_id)
        cast = ["Ada", "Ben"] if t == 0 else []
        rows["titles"].append(
            {"title_id": title_id, "name": name, "genres": genres, "maturity_rating": rating, "kids": t == 1,
             "regions": [], "rights": [], "cast_names": cast}
        )  # fmt: skip
        video, scan = f"video-{t}", f"scan-{t}"
        rows["videos"].append(
            {"video_id": video, "title_id": title_id, "uri": f"films/{title_id}.mp4", "fingerprint": "f", "size_bytes": 3_400_000,
             "codec": "h264", "width": 640, "height": 360, "rotation": 0, "time_base_num": 1, "time_base_den": 25,
             "duration_seconds": SECONDS, "frame_rate": 25.0, "current_scan_id": scan, "scanned_fingerprint": "f"}
        )  # fmt: skip
        cuts = np.concatenate([[0], np.sort(draw.uniform(1, SECONDS - 1, SHOTS - 1)), [SECONDS]])
        tone = draw.uniform(0.15, 0.8, SHOTS)
        base = {"scan_id": scan, "video_id": video}
        for s in range(SHOTS):
            rows["shots"].append(
                {**base, "shot_id": s, "start_pts": int(cuts[s] * 25), "end_pts": int(cuts[s + 1] * 25),
                 "start_seconds": float(cuts[s]), "end_seconds": float(cuts[s + 1]), "start_frame": int(cuts[s] * 25),
                 "end_frame": int(cuts[s + 1] * 25), "transition_in": "start" if s == 0 else "cut",
                 "luma_mean": float(tone[s]), "warmth": float(draw.uniform(-0.1, 0.15)), "motion": float(draw.uniform(0, 0.1))}
            )  # fmt: skip
        zeros = {f.name: 0.0 for f in TABLES["frames"].schema if f.dataType.typeName() == "double"}
        for k in range(0, int(SECONDS * 25), 5):
            shot = int(np.searchsorted(cuts, k / 25, "right") - 1)
            rows["frames"].append(
                {**base, **zeros, "segment": 0, "pts": k, "seconds": k / 25, "keyframe": k % 50 == 0,
                 "luma_mean": float(tone[shot] + 0.05 * math.sin(k / 20)), "difference": float(abs(draw.normal(0, 0.03)))}
            )  # fmt: skip
        rows["frames"].append({**rows["frames"][-1], "scan_id": "older", "luma_mean": 0.5})
        for i in range(ARTWORKS + CANDIDATES):
            content = frame(photos, t, i)
            key = hashlib.sha256(content).hexdigest()
            seconds = float(np.linspace(1, SECONDS - 2, ARTWORKS + CANDIDATES)[(i * 7) % (ARTWORKS + CANDIDATES)])
            shot = int(np.searchsorted(cuts, seconds, "right") - 1)
            face = {"x": 0.4, "y": 0.2, "width": 0.18, "height": 0.34, "score": 0.9, "landmarks": []}
            faces = [face] if i % 3 == 0 else []
            features = [float(v) for v in draw.uniform(0, 1, len(FEATURE_NAMES))]
            chosen, score = i < ARTWORKS, float(0.9 - 0.04 * i)
            place = {"pts": int(seconds * 25), "seconds": seconds, "shot_id": shot, "image_hash": key}
            rows["images"].append({"image_hash": key, "mime": "image/jpeg", "width": 640, "height": 360, "content": content})
            verdict = "selected" if chosen else ("too much like artwork 1", "blurred by motion", "darker than the rest")[i % 3]
            rows["candidates"].append(
                {**base, **place, "title_id": title_id, "shot_share": 0.1, "position": seconds / SECONDS,
                 "camera_motion": 0.0, "subject_motion": 0.0, "quality": float(draw.uniform(0.3, 0.9)), "width": 640,
                 "height": 360, "features": features, "feature_version": FEATURE_VERSION, "faces": faces, "score": score,
                 "verdict": verdict}
            )  # fmt: skip
            if chosen:
                crops = [("16:9", 0, 0, 1, 1), ("4:1", 0, 0.28, 1, 0.444), ("1:1", 0.25, 0.05, 0.534, 0.95), ("2:3", 0.3, 0, 0.375, 1)]
                rows["artworks"].append(
                    {**base, **place, "artwork_id": f"{title_id}-{i}", "title_id": title_id, "parent_artwork_id": None,
                     "variant": "original", "features": features, "feature_version": FEATURE_VERSION, "faces": faces,
                     "cast_clusters": [0] if faces else [], "shot_type": ("close-up", "wide", "medium")[i % 3],
                     "moods": [("warm", "calm"), ("tense",), ("bright", "playful")][i % 3],
                     "flags": ["spoiler"] if i == 4 else [],
                     "crops": [dict(zip(("aspect", "x", "y", "width", "height"), (a, *map(float, b)), strict=True)) for a, *b in crops],
                     "score": score, "rank": i + 1, "active": True,
                     "reason": "close-up of one face, warm, sharp, well lit; its shot is 6.2% of the film"}
                )  # fmt: skip
    retired = {**rows["artworks"][0], "artwork_id": "retired", "rank": 9, "active": False}
    rows["artworks"].append(retired)
    rows["titles"].append({**rows["titles"][0], "title_id": "old-film", "name": "An Old Film"})
    reason = "Invalid data found when processing input at 0:31"
    rows["scan_failures"].append(
        {"scan_id": "scan-2", "video_id": "video-2", "uri": "films/slow-coffee.mp4", "segment": 1, "reason": reason, "frames_lost": 120}
    )
    return rows


def feedback_rows() -> dict[str, list[dict]]:
    """Assignments, members, evaluation and what an ingest said."""
    rows: dict[str, list[dict]] = {}
    spec = {"exploration": {"kind": "epsilon-greedy", "epsilon": 0.05}, "levels": {"order": ["user", "region"]}}
    rows["policies"] = [
        {"policy_id": POLICY, "kind": "epsilon-greedy", "spec": json.dumps(spec), "salt": "artwork-1", "parent_policy_id": None,
         "models": json.dumps({"response": {"name": "keyart-response", "version": "3"}}),
         "data_versions": json.dumps({"decisions": 4}), "created_at": MOMENT}
    ]  # fmt: skip
    cells = [("global", "*"), *(("parent", p) for p in sorted(set(REGIONS.values()))), *(("region", r) for r in REGIONS)]
    rows["region_assignments"] = []
    for title_id in TITLES:
        shared = rng(2, title_id).normal(0, 0.08, ARTWORKS)
        for level, cell in cells:
            mean = shared + (0 if level == "global" else rng(2, title_id, cell).normal(0, 0.1, ARTWORKS))
            for i in range(ARTWORKS):
                best = i == int(np.argmax(mean))
                n = 9000 if level == "global" else 1100
                rows["region_assignments"].append(
                    {"policy_id": POLICY, "level": level, "cell": cell, "context": "*", "title_id": title_id,
                     "artwork_id": f"{title_id}-{i}", "probability": 0.05 / ARTWORKS + 0.95 * best, "mean": float(mean[i]),
                     "sd": 0.03 if level == "global" else 0.06, "n": n, "takes": n // 28, "is_default": best,
                     "reason": "gains by more face area" if best else "loses by its own record here: 30 takes of 1100"}
                )  # fmt: skip
    rows["user_assignments"], rows["taste"] = [], []
    for m in range(60):
        key = hashlib.sha256(f"member {m}".encode()).hexdigest()[:32]
        draw, region = rng(3, m), list(REGIONS)[m % 8]
        titles = sorted(draw.choice(list(TITLES), draw.integers(1, 4), replace=False).tolist())
        rows["taste"].append(
            {"user_key": key, "user_bucket": bucket(key), "as_of": DAY, "taste_version": "v", "factors": [0.1], "genre_mix": [1.0],
             "history": int(draw.integers(0, 40)), "region": region, "kids": False}
        )  # fmt: skip
        if m >= 50:
            continue
        rows["user_assignments"].append(
            {"policy_id": POLICY, "user_key": key, "user_bucket": bucket(key), "version": 1, "region": region,
             "title_ids": titles, "artwork_ids": [f"{t}-{draw.integers(ARTWORKS)}" for t in titles],
             "gains": [float(v) for v in draw.uniform(0.02, 0.3, len(titles))],
             "reasons": ["more warmth; watches more drama than most"] * len(titles)}
        )  # fmt: skip
    rows["evaluations"] = evaluation_rows()
    rows["decisions"] = [
        {"decision_id": f"d{i}", "user_key": rows["taste"][i % 60]["user_key"], "user_bucket": 1, "title_id": "nine-lives",
         "epoch": date(2026, 3, 1 + i % 20), "artwork_id": f"nine-lives-{i % ARTWORKS}", "candidate_set": [], "candidate_propensities": [],
         "propensity": 1 / 6, "policy_id": "uniform", "region": "SE", "device": "tv", "day_part": "evening", "kids": False, "row": 0,
         "position": 1, "ranker_score": 0.1, "already_started": False, "impressions": 1, "first_ts": MOMENT, "take": int(i % 25 == 0),
         "quality": None, "minutes": None, "abandoned": None, "take_source": None, "reward": 0.0, "matured_at": MOMENT}
        for i in range(200)
    ]  # fmt: skip
    rows["artwork_stats"] = [
        {"event_date": DAY, "cell": f"{r}|tv|evening|{t}-{i}", "region": r, "device": "tv", "day_part": "evening", "title_id": t,
         "artwork_id": f"{t}-{i}", "n": 900, "takes": 20 + 3 * i, "w": 5400.0, "w2": 1.0, "wr": 1.0, "w2r2": 1.0, "reward": 9.0}
        for t in TITLES for i in range(ARTWORKS) for r in REGIONS
    ]  # fmt: skip
    rows["quarantine"] = [
        {"row_key": f"q{i}", "source": "logs", "reason": "no user_id" if i % 3 else "propensity outside (0, 1]", "payload": "{}", "run_date": DAY}
        for i in range(31)
    ]  # fmt: skip
    rows["data_quality"] = [
        {"run_key": "r", "measure": measure, "value": value, "limit": limit, "run_date": DAY}
        for measure, value, limit in [("rows", 1_204_331.0, None), ("quarantine_share", 0.0112, 0.2), ("take_fraction", 0.0351, None)]
    ]  # fmt: skip
    return rows


def evaluation_rows() -> list[dict]:
    lifts = {"uniform": None, "global": 0.045, "region": 0.118, "user": 0.171}
    slices = ["*", *(f"region={r}" for r in REGIONS)]
    rows = []
    for part in slices:
        for target, lift in lifts.items():
            for estimator in ("ips", "snips", "dm", "dr"):
                for metric in ("reward", "take"):
                    wide = 0.02 if part == "*" else 0.055
                    own = None if lift is None else lift + 0.05 * (rng(4, part).random() - 0.5) * (part != "*")
                    refused = part == "region=IN"
                    estimate = 0.02 * (1 + (own or 0)) * (1 if metric == "reward" else 1.6)
                    rows.append(
                        {"evaluation_id": "e1", "policy_id": POLICY, "target": target, "estimator": estimator, "metric": metric,
                         "slice": part, "n": 210_000 if part == "*" else 26_000, "members": 20_000,
                         "estimate": None if refused else estimate, "lower": None if refused else estimate * 0.98,
                         "upper": None if refused else estimate * 1.02, "baseline": "uniform", "lift": None if refused else own,
                         "lift_lower": None if refused or own is None else own - wide,
                         "lift_upper": None if refused or own is None else own + wide,
                         "claim": own is not None and own > wide and estimator != "dm" and not refused, "ess": 41_000.0,
                         "max_weight": 18.0, "verdict": "too few members: 31 of 50 needed" if refused else "ok",
                         "from_day": date(2026, 3, 19), "to_day": date(2026, 3, 28)}
                    )  # fmt: skip
    return rows


def write(tables: Tables, rows: dict[str, list[dict]]) -> None:
    def one(name: str) -> None:
        schema = TABLES[name].schema
        values = [tuple(row[column] for column in schema.names) for row in rows[name]]
        tables.append(name, tables.spark.createDataFrame(values, schema))

    with ThreadPoolExecutor(4) as lanes:
        list(lanes.map(one, rows))


def settings_for(tables: Tables, *more: str):
    regions = [f"regions.{region}={parent}" for region, parent in REGIONS.items()]
    return load(None, [f"tables={tables.root}", "report.members=5", "privacy.smallest_cell=3", *regions, *more])


@pytest.fixture(scope="module")
def whole(spark, tmp_path_factory) -> Tables:
    """Tables of a whole run."""
    tables = Tables(spark, str(tmp_path_factory.mktemp("run") / "tables"))
    write(tables, catalogue_rows() | feedback_rows())
    return tables


@pytest.fixture(scope="module")
def site(whole):
    """The site of a whole run."""
    run(whole.spark, settings_for(whole))
    return report_folder(settings_for(whole))
