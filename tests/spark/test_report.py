"""build-report on fabricated tables: a whole run, a run after the scan alone, and the pages in a browser."""

import hashlib
import json
import math
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from keyart.jobs.build_report import run

from keyart.config import load
from keyart.errors import ConfigError
from keyart.report.catalogue import page_of
from keyart.report.site import write_site
from keyart.report.spark import gather, members_of, report_folder
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
POLICY, SCAN = "artwork-fabricated", "scan-new"
DAY, MOMENT = date(2026, 3, 1), datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
PLAIN = {
    "string": "", "integer": 0, "long": 0, "double": 0.0, "boolean": False, "array": [], "date": DAY,
    "timestamp": MOMENT, "binary": b"",
}  # fmt: skip


def row(table: str, **values: Any) -> tuple:
    """A row of a table: the values given, null where allowed, else a plain value of the column's type."""
    assert set(values) <= set(TABLES[table].schema.names)
    plain = {f.name: None if f.nullable else PLAIN[f.dataType.typeName()] for f in TABLES[table].schema}
    return tuple((plain | values).values())


def photographs() -> list[np.ndarray]:
    """Real pictures where the extra demo is installed, else patterns."""
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


def still(photos: list[np.ndarray], title: int, index: int) -> bytes:
    """A 16:9 window of a photograph, at another place, size and grade each time."""
    draw = rng(5, title, index)
    photo = photos[((0, 1, 7), (2, 2, 4), (3, 6, 5), (4, 5, 0))[title][index % 3]]
    height, width = photo.shape[:2]
    w = int(min(width, height * 16 / 9) * draw.uniform(0.55, 0.98))
    h = int(w * 9 / 16)
    x, y = int(draw.uniform(0, width - w)), int(draw.uniform(0, height - h) * 0.6)
    picture = cv2.resize(photo[y : y + h, x : x + w], (640, 360), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grade = np.array([1 + 0.12 * draw.standard_normal(), 1.0, 1 + 0.12 * draw.standard_normal()], np.float32)
    graded = np.clip(picture * grade * draw.uniform(0.75, 1.1), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", graded)[1].tobytes()


def films() -> dict[str, list[tuple]]:
    """Titles and films and what a scan saw of them; one film of the back catalogue; one older scan."""
    rows: dict[str, list[tuple]] = {name: [] for name in ("titles", "videos", "shots", "frames")}
    for title_id, (name, genres, rating) in TITLES.items():
        draw, video = rng(1, title_id), f"film-{title_id}"
        film = {"video_id": video, "scan_id": SCAN}
        rows["titles"].append(
            row("titles", title_id=title_id, name=name, genres=genres, maturity_rating=rating, cast_names=["Ada"])
        )
        about = {"uri": f"films/{title_id}.mp4", "codec": "h264", "width": 640, "height": 360, "size_bytes": 3_400_000}
        rows["videos"].append(
            row("videos", video_id=video, title_id=title_id, duration_seconds=SECONDS, current_scan_id=SCAN, **about)
        )
        cuts = [0.0, *np.sort(draw.uniform(1, SECONDS - 1, SHOTS - 1)).tolist(), SECONDS]
        tone = draw.uniform(0.15, 0.8, SHOTS).tolist()
        for s in range(SHOTS):
            look = {"luma_mean": tone[s], "warmth": draw.uniform(-0.1, 0.15), "motion": draw.uniform(0, 0.1)}
            when = {"start_seconds": cuts[s], "end_seconds": cuts[s + 1], "transition_in": "cut" if s else "start"}
            rows["shots"].append(row("shots", **film, shot_id=s, **when, **look))
        for k in range(0, int(SECONDS * 25), 5):
            shot = int(np.searchsorted(cuts, k / 25, "right") - 1)
            luma, difference = tone[shot] + 0.05 * math.sin(k / 20), abs(draw.normal(0, 0.03))
            rows["frames"].append(row("frames", **film, pts=k, seconds=k / 25, luma_mean=luma, difference=difference))
        rows["frames"].append(row("frames", video_id=video, scan_id="scan-old", pts=1, seconds=1.0, luma_mean=0.9))
    rows["titles"].append(row("titles", title_id="old-film", name="An Old Film"))
    lost = {"video_id": "film-slow-coffee", "uri": "films/slow-coffee.mp4", "segment": 1, "frames_lost": 120}
    rows["scan_failures"] = [row("scan_failures", scan_id=SCAN, reason="Invalid data found at 0:31", **lost)]
    return rows


CROPS = [
    ("16:9", 0.0, 0.0, 1.0, 1.0),
    ("4:1", 0.0, 0.28, 1.0, 0.444),
    ("1:1", 0.25, 0.05, 0.534, 0.95),
    ("2:3", 0.3, 0.0, 0.375, 1.0),
]
VERDICTS = ("too much like artwork 1", "blurred by motion", "darker than the rest")


def pictures(with_artworks: bool) -> dict[str, list[tuple]]:
    """Candidates and their bytes; with artworks, the first of each title are selected and one is retired."""
    photos = photographs()
    rows: dict[str, list[tuple]] = {"candidates": [], "images": [], "artworks": []}
    for t, title_id in enumerate(TITLES):
        draw = rng(6, title_id)
        for i in range(ARTWORKS + CANDIDATES):
            content = still(photos, t, i)
            key = hashlib.sha256(content).hexdigest()
            seconds = float(np.linspace(1, SECONDS - 2, ARTWORKS + CANDIDATES)[i * 7 % (ARTWORKS + CANDIDATES)])
            chosen = with_artworks and i < ARTWORKS
            common = {
                "scan_id": SCAN, "video_id": f"film-{title_id}", "title_id": title_id, "pts": int(seconds * 25),
                "seconds": seconds, "shot_id": int(seconds / SECONDS * SHOTS), "image_hash": key,
            }  # fmt: skip
            rows["images"].append(
                row("images", image_hash=key, mime="image/jpeg", width=640, height=360, content=content)
            )
            seen = (
                {"score": 0.9 - 0.04 * i, "verdict": "selected" if chosen else VERDICTS[i % 3]} if with_artworks else {}
            )
            rows["candidates"].append(row("candidates", **common, quality=draw.uniform(0.3, 0.9), **seen))
            if not chosen:
                continue
            face = {"x": 0.4, "y": 0.2, "width": 0.18, "height": 0.34, "score": 0.9, "landmarks": []}
            look = {
                "features": draw.uniform(0, 1, len(FEATURE_NAMES)).tolist(), "feature_version": FEATURE_VERSION,
                "faces": [face] if i % 3 == 0 else [], "shot_type": ("close-up", "wide", "medium")[i % 3],
                "moods": (["warm", "calm"], ["tense"], ["bright"])[i % 3], "flags": ["spoiler"] if i == 4 else [],
                "crops": [dict(zip(("aspect", "x", "y", "width", "height"), crop, strict=True)) for crop in CROPS],
                "reason": "close-up of one face, warm, sharp, well lit; its shot is 6.2% of the film",
            }  # fmt: skip
            named = {"artwork_id": f"{title_id}-{i}", "variant": "original", "score": 0.9 - 0.04 * i, "rank": i + 1}
            rows["artworks"].append(row("artworks", **common, **look, **named, active=True))
            if i == 0 and t == 0:
                rows["artworks"].append(row("artworks", **common, **look, **named | {"artwork_id": "retired"}))
    return rows if with_artworks else {name: rows[name] for name in ("candidates", "images")}


def levels() -> list[tuple]:
    cells = [
        ("global", "*"),
        *(("parent", p) for p in sorted(set(REGIONS.values()))),
        *(("region", r) for r in REGIONS),
    ]
    rows = []
    for title_id in TITLES:
        shared = rng(2, title_id).normal(0, 0.08, ARTWORKS)
        for level, cell in cells:
            mean = shared + (0 if level == "global" else rng(2, title_id, cell).normal(0, 0.1, ARTWORKS))
            for i in range(ARTWORKS):
                best = i == int(np.argmax(mean))
                where = {"policy_id": POLICY, "level": level, "cell": cell, "context": "*", "title_id": title_id}
                known = {"mean": float(mean[i]), "sd": 0.03 if level == "global" else 0.06, "n": 1100, "takes": 39}
                said = {"reason": "gains by more face area", "probability": 0.05 / ARTWORKS + 0.95 * best}
                rows.append(
                    row("region_assignments", **where, artwork_id=f"{title_id}-{i}", **known, **said, is_default=best)
                )
    return rows


def members() -> dict[str, list[tuple]]:
    """Sixty members with taste; fifty of them have overrides, one of them in an older version too."""
    rows: dict[str, list[tuple]] = {"user_assignments": [], "taste": []}
    for m in range(60):
        key, draw = hashlib.sha256(f"member {m}".encode()).hexdigest()[:32], rng(3, m)
        who = {"user_key": key, "user_bucket": bucket(key), "region": list(REGIONS)[m % 8]}
        mix = [[0.7, 0.3], [0.2, 0.8], [0.0, 0.0]][m % 3]
        known = {"as_of": DAY, "taste_version": "v", "genre_mix": mix, "history": int(draw.integers(0, 40))}
        rows["taste"].append(row("taste", **who, **known))
        if m >= 50:
            continue
        titles = sorted(draw.choice(list(TITLES), draw.integers(1, 4), replace=False).tolist())
        artworks, gains = (
            [f"{t}-{draw.integers(ARTWORKS)}" for t in titles],
            draw.uniform(0.02, 0.3, len(titles)).tolist(),
        )
        own = {"title_ids": titles, "artwork_ids": artworks, "gains": gains}
        own["segment"] = [None, "taste-1", "taste-2"][m % 3]
        reasons = ["more warmth; watches more drama than most"] * len(titles)
        rows["user_assignments"].append(
            row("user_assignments", policy_id=POLICY, **who, version=2, **own, reasons=reasons)
        )
        if m == 0:
            rows["user_assignments"].append(row("user_assignments", policy_id=POLICY, **who, version=1))
    return rows


def evaluation() -> Iterable[tuple]:
    for part in ("*", *(f"region={region}" for region in REGIONS)):
        for target, lift in {"uniform": None, "global": 0.045, "region": 0.118, "user": 0.171}.items():
            for estimator in ("ips", "snips", "dm", "dr"):
                wide = 0.02 if part == "*" else 0.055
                known = {
                    "lift": lift, "lift_lower": lift and lift - wide, "lift_upper": lift and lift + wide,
                    "estimate": 0.02, "lower": 0.019, "upper": 0.021, "claim": lift is not None and lift > wide,
                }  # fmt: skip
                said = (
                    {"verdict": "too few members: 31 of 50 needed"}
                    if part == "region=IN"
                    else known | {"verdict": "ok"}
                )
                what = {
                    "target": target,
                    "estimator": estimator,
                    "metric": "reward",
                    "slice": part,
                    "baseline": "uniform",
                }
                size = {"n": 210_000, "members": 20_000, "ess": 41_000.0, "max_weight": 18.0}
                yield row(
                    "evaluations", evaluation_id="e", policy_id=POLICY, **what, **size, **said, to_day=date(2026, 3, 28)
                )


def experiment() -> list[tuple]:
    """A test with a verdict, four days and a segment."""
    said = {"experiment_id": "x", "variant": "b", "metric": "minutes", "segment": "*", "day": -1, "sample_ratio_p": 0.4}
    figures = {"members": 900, "mean": 5.0, "control_mean": 4.6, "difference": 0.4, "lower": 0.1, "upper": 0.7}
    relative = {"relative": 0.087, "relative_lower": 0.02, "relative_upper": 0.15}
    verdict = {"verdict": "ship: b adds 8.7% to minutes"}
    rows = [
        ("primary", {**relative, **verdict}),
        ("segment", {**relative, "segment": "region=SE", "verdict": "better"}),
    ]
    rows += [("novelty", {"day": day}) for day in range(4)]
    return [row("experiment_results", **{**said, **figures, "kind": kind, **more}) for kind, more in rows]


def feedback() -> dict[str, list[tuple]]:
    """What ingest, training, assignment and evaluation leave."""
    spec = {"exploration": {"kind": "epsilon-greedy", "epsilon": 0.05}, "levels": {"order": ["user", "region"]}}
    spec["taste"] = {"version": "v", "as_of": str(DAY)}
    models = {"response": {"name": "keyart-response", "version": "3"}, "segments": ["drama", "comedy"]}
    policy = {"policy_id": POLICY, "kind": "epsilon-greedy", "salt": "artwork-1", "data_versions": '{"decisions": 4}'}
    stats = [(t, i, region) for t in TITLES for i in range(ARTWORKS) for region in REGIONS]
    told = {"decisions": 700, "predicted": 1.0, "observed": 0.95, "standard_error": 0.02}
    honest = {"value": 0.9, "lower": 0.6, "upper": 1.2, "members": 900}
    figures = [("rows", 1_204_331.0, None), ("quarantine_share", 0.0112, 0.2), ("take_fraction", 0.0351, None)]
    reasons = ["no user_id"] * 20 + ["propensity outside (0, 1]"] * 11
    return {
        **members(),
        "region_assignments": levels(),
        "policy_weights": [
            row("policy_weights", policy_id=POLICY, level="region", cell=r, feature=name, weight=0.1 * (n - 1) * sign)
            for r, sign in zip(REGIONS, (1, -1) * 4, strict=True)
            for n, name in enumerate(("warmth", "sharpness", "face_area"))
        ]
        + [
            row("policy_weights", policy_id=POLICY, level=level, cell=c, feature=name, weight=0.1 * (n - k), sd=0.06)
            for k, (level, c) in enumerate((("device", "phone"), ("device", "tv"), ("day part", "evening")))
            for n, name in enumerate(("warmth", "sharpness", "face_area"))
        ],
        "policy_calibration": [
            row("policy_calibration", policy_id=POLICY, measure=measure, region=region, part=part, **told)
            for measure, region, parts in (
                ("slope of chance", "*", 1),
                ("slope of chance", "SE", 1),
                ("uplift", "*", 10),
            )
            for part in range(parts)
        ],
        "policy_measures": [
            row("policy_measures", policy_id=POLICY, behaviour="user", measure="calibration", segment=segment, **honest)
            for segment in ("*", "region=SE")
        ],
        "experiments": [row("experiments", experiment_id="x", name="warm pictures", variants=["a", "b"])],
        "experiment_results": experiment(),
        "stage_runs": [
            row("stage_runs", stage=stage, state=state, run_id="r", seconds=12.5, written=[], rows=3)
            for stage, state in (("scan-videos", "done"), ("train-taste", "failed"))
        ],
        "evaluations": list(evaluation()),
        "policies": [row("policies", **policy, spec=json.dumps(spec), models=json.dumps(models))],
        "decisions": [row("decisions", decision_id=f"d{i}", take=int(i % 25 == 0)) for i in range(200)],
        "artwork_stats": [
            row(
                "artwork_stats",
                cell=f"{r}|{t}-{i}",
                region=r,
                title_id=t,
                artwork_id=f"{t}-{i}",
                n=900,
                takes=20 + 3 * i,
            )
            for t, i, r in stats
        ],
        "quarantine": [row("quarantine", row_key=f"q{i}", reason=reason) for i, reason in enumerate(reasons)],
        "data_quality": [
            row("data_quality", run_key="r", measure=measure, value=value, limit=limit)
            for measure, value, limit in figures
        ],
    }


def write(tables: Tables, rows: dict[str, list[tuple]]) -> Tables:
    def one(name: str) -> None:
        tables.append(name, tables.spark.createDataFrame(rows[name], TABLES[name].schema))

    with ThreadPoolExecutor(4) as lanes:
        list(lanes.map(one, rows))
    return tables


def settings_for(tables: Tables, *more: str):
    regions = [f"regions.{region}={parent}" for region, parent in REGIONS.items()]
    return load(None, [f"tables={tables.root}", "report.members=5", "privacy.smallest_cell=3", *regions, *more])


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(spark, tmp_path_factory) -> Tables:
    """Tables of a whole run."""
    root = tmp_path_factory.mktemp("run") / "tables"
    return write(Tables(spark, str(root)), films() | pictures(with_artworks=True) | feedback())


@pytest.fixture(scope="module")
def site(whole) -> Path:
    """The site of a whole run."""
    run(whole.spark, settings_for(whole))
    return report_folder(settings_for(whole))


def test_the_facts_are_those_of_the_newest_scan_policy_and_versions(whole, site):
    facts = gather(whole, settings_for(whole), site)
    assert sum(r["frames"] for r in facts.signal) == 4 * 210, "frames of the older scan are not counted"
    assert len(facts.artworks) == 4 * ARTWORKS, "the retired artwork is not shown"
    assert (len(facts.titles), facts.back_catalogue, facts.titles_left) == (4, 1, 0)
    assert [r["user_key"] for r in facts.members] == sorted(
        hashlib.sha256(f"member {m}".encode()).hexdigest()[:32] for m in range(50)
    )[:5]
    assert all(r["history"] is not None and r["title_ids"] for r in facts.members)
    overrides = {r["artwork_id"]: r["members"] for r in facts.overrides}
    assert overrides[None] == 50 and facts.audience["members"] == 60
    assert {r["artwork_id"]: r["n"] for r in facts.seen}["nine-lives-0"] == 900 * len(REGIONS)
    assert [(r["reason"], r["rows"]) for r in facts.quarantine] == [
        ("no user_id", 20),
        ("propensity outside (0, 1]", 11),
    ]
    versions = {source.name: source.rows for source in facts.sources}
    assert versions["images"] == 60 and versions["candidates"] == 60 and "events" not in versions
    assert len(facts.pictures) == 60
    assert max(picture.width for picture in facts.pictures.values()) == 640


def test_members_who_are_asked_for_come_first(whole, capsys):
    keys = sorted(hashlib.sha256(f"member {m}".encode()).hexdigest()[:32] for m in range(50))

    def shown(*asked: str) -> list[str]:
        given = settings_for(whole, f"report.member_keys=[{','.join(asked)}]").report
        return [row["user_key"] for row in members_of(whole.read, POLICY, given)]

    assert shown(keys[40][:8], "f" * 30) == [keys[40], *keys[:4]]
    assert "nobody's key begins with fffff" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="shorter than 8"):
        shown("abc")


def test_tastes_are_counted_by_what_their_members_are_given(whole, site):
    found = gather(whole, settings_for(whole), site).segments
    assert {(row["segment"], row["of"]) for row in found} == {("drama", 17), ("comedy", 17)}, (
        "50 of 60, a third of neither"
    )
    assert all(3 <= row["members"] <= 17 for row in found)
    newest = [row for row in members()["user_assignments"] if row[3] == 2]
    hashes = [hashlib.sha256(f"member {m}".encode()).hexdigest()[:32] for m in range(50)]
    drama = {key for m, key in enumerate(hashes) if m % 3 == 0}
    for row in (row for row in found if row["segment"] == "drama"):
        pairs = [pair for who in newest if who[1] in drama for pair in zip(who[5], who[6], strict=True)]
        assert row["members"] == pairs.count((row["title_id"], row["artwork_id"]))


def test_pages_written_by_tasks_are_those_of_the_facts(whole, site, tmp_path):
    facts = gather(whole, settings_for(whole), site)
    write_site(facts, tmp_path / "site")
    for path in sorted((tmp_path / "site").rglob("*.html")):
        assert path.read_text("utf-8") == (site / path.relative_to(tmp_path / "site")).read_text("utf-8"), path.name
    assert (tmp_path / "site/assets/wall-data.js").read_bytes() == (site / "assets/wall-data.js").read_bytes()


def test_pictures_are_not_made_twice(whole, site):
    files = {path: path.stat().st_mtime_ns for path in (site / "assets" / "images").iterdir()}
    lost = sorted(files)[0]
    content = lost.read_bytes()
    lost.unlink()
    run(whole.spark, settings_for(whole))
    assert lost.read_bytes() == content
    assert all(path.stat().st_mtime_ns == when for path, when in files.items() if path != lost)


def test_a_second_run_changes_nothing(whole, site):
    before = everything(site)
    run(whole.spark, settings_for(whole))
    assert everything(site) == before


def test_after_a_scan_alone_there_is_a_whole_site(tables, capsys):
    write(tables, films() | pictures(with_artworks=False))
    settings = settings_for(tables, "report.candidates=4", "report.titles=3")
    run(tables.spark, settings)
    folder = report_folder(settings)
    assert "3 titles" in capsys.readouterr().out
    index = (folder / "index.html").read_text("utf-8")
    assert "best frame" in index and "Films come first" in index
    assert len(list(folder.glob("title-*.html"))) == 3
    assert len(list((folder / "assets" / "images").iterdir())) == 3 * 4
    for page in ("members", "policy", "experiments", "operations"):
        assert "<h1>" in (folder / f"{page}.html").read_text("utf-8")


def test_without_any_table_the_pages_say_so(tables):
    run(tables.spark, settings_for(tables))
    assert "No films yet" in (report_folder(settings_for(tables)) / "index.html").read_text("utf-8")


def test_the_folder_lies_beside_the_tables_or_is_asked_for(tmp_path):
    settings = load(None, [f"tables={tmp_path}/run/tables"])
    assert report_folder(settings) == tmp_path / "run" / "report"
    assert report_folder(replace(settings, tables=f"file:{tmp_path}/run/tables")) == tmp_path / "run" / "report"
    for root in ("catalog:main.keyart", "s3://bucket/tables"):
        with pytest.raises(ConfigError, match=r"report\.folder"):
            report_folder(replace(settings, tables=root))
    with pytest.raises(ConfigError, match="mounted"):
        report_folder(load(None, ["report.folder=s3://bucket/report"]))


@pytest.fixture(scope="module")
def browser(chromium):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        engine = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield engine
        engine.close()


@pytest.fixture
def page(browser, site):
    """A page that fails the test on any console error, script error, dialogue or request that leaves the disk."""
    context, faults = browser.new_context(viewport={"width": 1280, "height": 900}), []

    def failed(request):
        # A page that is left, or closed with its test, aborts what it was still loading: no fault of the page.
        if "ERR_ABORTED" not in request.failure:
            faults.append(f"{request.failure}: {request.url}")

    def answer(route):
        if not route.request.url.startswith(("file:", "data:")):
            faults.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    context.route("**/*", answer)
    tab = context.new_page()
    tab.on("console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("requestfailed", failed)
    tab.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    yield tab
    context.close()
    assert faults == []


def until(page, condition: str) -> None:
    """Wait for a condition; Playwright's own waiting evaluates text in the page, which its policy forbids."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {condition}")


def draw_charts(page) -> None:
    for figure in page.locator("figure[data-plot]").all():
        figure.scroll_into_view_if_needed()
    until(page, "[...document.querySelectorAll('figure[data-plot]')].every(one => one.dataset.drawn)")


@pytest.mark.browser
def test_switching_the_region_changes_the_pictures(page, site):
    page.goto((site / "index.html").as_uri())
    assert page.evaluate("getComputedStyle(document.querySelector('.wall')).display") == "grid", "the styles apply"
    before = page.eval_on_selector_all(".wall img", "all => all.map(one => one.getAttribute('src'))")
    page.get_by_label("JP", exact=True).check(force=True)
    until(page, "document.querySelector('#status').textContent.includes('JP')")
    after = page.eval_on_selector_all(".wall img", "all => all.map(one => one.getAttribute('src'))")
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    assert changed > 0
    assert page.locator(".card.differs").count() == changed
    assert f"{changed} of 4 titles" in page.locator("#status").inner_text()
    until(page, "[...document.querySelectorAll('.wall img')].every(one => one.complete && one.naturalWidth)")
    page.keyboard.press("ArrowRight")
    assert not page.get_by_label("JP", exact=True).is_checked(), "regions can be walked with the keyboard"
    page.get_by_label("everywhere").check(force=True)
    until(page, "document.querySelector('#status').textContent.includes('everywhere')")
    assert page.eval_on_selector_all(".wall img", "all => all.map(one => one.getAttribute('src'))") == before


NAMES = "[...document.querySelectorAll('.card .name')].map(one => one.textContent)"


@pytest.mark.browser
def test_search_genre_and_mood_narrow_the_wall(page, site):
    page.goto((site / "index.html").as_uri())
    page.fill("#search", "cafe lumi")
    until(page, f"{NAMES}.join() === 'Café Lumière'")
    page.fill("#search", "")
    page.select_option("#genre", "drama")
    until(page, f"{NAMES}.sort().join() === 'Café Lumière,The Long Orbit'")
    page.select_option("#genre", "")
    page.select_option("#mood", "tense")
    until(page, "document.querySelector('#status').textContent.includes('of 4 titles')")
    shown = page.evaluate("[...document.querySelectorAll('.card .n')].map(one => Number(one.textContent))")
    assert shown and {(number - 1) % 3 for number in shown} == {1}, "every third picture is tense"
    page.fill("#search", "nothing like it")
    until(page, "!document.querySelector('#nothing').hidden")


@pytest.mark.browser
def test_another_policy_shows_other_pictures(page, site):
    page.goto((site / "index.html").as_uri())
    page.select_option("#policy", "")
    until(page, "[...document.querySelectorAll('.card .n')].every(one => one.textContent === '1')")
    assert "first by rank" in page.locator(".card .why").first.inner_text()


@pytest.mark.browser
def test_a_hostile_title_stays_text(page, site):
    page.goto((site / "index.html").as_uri())
    page.get_by_label("SE", exact=True).check(force=True)
    until(page, "document.querySelector('#status').textContent.includes('SE')")
    page.get_by_text(HOSTILE).click()
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.url.endswith(page_of("hostile"))


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_screen_and_every_picture_loads(page, site, width):
    page.set_viewport_size({"width": width, "height": 800})
    for file in sorted(site.glob("*.html")):
        page.goto(file.as_uri())
        draw_charts(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
        page.evaluate("document.querySelectorAll('img').forEach(one => one.loading = 'eager')")
        until(page, "[...document.images].every(one => one.complete)")
        assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)"), file.name


@pytest.mark.browser
def test_crops_are_drawn_when_asked_for(page, site):
    page.goto((site / page_of("long-orbit")).as_uri())
    visible = "getComputedStyle(document.querySelector('.outlines .crop')).opacity"
    assert page.evaluate(visible) == "0"
    page.get_by_label("crops").check(force=True)
    until(page, f"{visible} === '1'")
    assert re.search(r"#artwork-\d", page.locator(".pins a").first.get_attribute("href"))


@pytest.mark.browser
def test_the_keyboard_reaches_search_a_title_and_a_members_picture(page, site):
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "search":
            break
    page.keyboard.type("lives")
    until(page, f"{NAMES}.join() === 'Nine Lives'")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.card') !== null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/title-*")
    assert page.locator("h1").inner_text() == "Nine Lives"


@pytest.mark.browser
def test_a_members_picture_gives_way_to_the_default_and_back(page, site):
    page.goto((site / "members.html").as_uri())
    pane = page.locator(".swipe").first
    side = "(one => Math.round(one.scrollLeft / one.clientWidth))(document.querySelector('.swipe'))"
    assert page.evaluate(side) == 0
    page.get_by_role("button", name="the default").first.click()
    until(page, f"{side} === 1")
    assert page.get_by_role("button", name="the default").first.get_attribute("aria-pressed") == "true"
    pane.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    until(page, f"{side} === 0")


@pytest.mark.browser
@pytest.mark.parametrize(("file", "plots"), [("policy.html", 5), ("experiments.html", 2), ("operations.html", 1)])
def test_charts_are_drawn_and_their_figures_can_be_downloaded(page, site, file, plots):
    page.goto((site / file).as_uri())
    figures = page.locator("figure[data-plot]")
    assert figures.count() == plots
    for n in range(plots):
        figures.nth(n).scroll_into_view_if_needed()
        until(page, f"document.querySelectorAll('figure[data-plot]')[{n}].dataset.drawn === 'yes'")
        assert figures.nth(n).locator("svg path, svg line").count() > 2
    with page.expect_download() as caught:
        figures.first.get_by_role("button").click()
    lines = Path(caught.value.path()).read_text("utf-8-sig").splitlines()
    rows = json.loads(figures.first.locator("script").text_content())
    assert len(lines) == len(rows) + 1 and lines[0].split(",") == list(rows[0])


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_accessibility_fault(page, site, scheme):
    axe = pytest.importorskip("axe_playwright_python.base").AXE_SCRIPT
    page.emulate_media(color_scheme=scheme)
    for file in [
        "index.html",
        "titles-1.html",
        "members.html",
        "policy.html",
        "experiments.html",
        "operations.html",
        page_of("long-orbit"),
    ]:
        page.goto((site / file).as_uri())
        draw_charts(page)
        page.evaluate(axe)
        found = page.evaluate("axe.run({preload: false}).then(one => one.violations)")
        serious = [
            (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert not serious, file
