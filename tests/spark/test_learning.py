"""train-taste and train-response on a world whose truth is known: what is written, what is found, what is refused."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.config import load, with_values
from keyart.errors import ConfigError, ModelError
from keyart.feedback.spark import running, windows_of
from keyart.feedback.windows import holdout_buckets
from keyart.learning import als_spark
from keyart.learning.blocks_spark import blocks_of
from keyart.learning.checkpoints import Checkpoints, Progress
from keyart.learning.decisions import Counts
from keyart.learning.decisions_spark import artworks_of
from keyart.learning.engagement_spark import block_builder, catalogue_of, engagement
from keyart.learning.members import member_vectors, standardised
from keyart.learning.predict import user_scores
from keyart.learning.response_spark import check_enough
from keyart.learning.taste_spark import Learned, learn
from keyart.policy.contexts import PolicyContexts
from keyart.schemas import TABLES
from keyart.seeding import bucket, rng
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.tracking import Tracking

pytestmark = pytest.mark.spark

START = date(2026, 1, 1)
HISTORY, DAYS = 10, 12
GENRES = ("comedy", "drama", "horror")
REGIONS = ("BR", "DE", "SE")
RUNNING = 100.0


@dataclass(frozen=True)
class World:
    """Sizes and how strong each effect on the log odds of a take is."""

    members: int = 1500
    titles: int = 6
    artworks: int = 6
    features: int = 8
    decisions: int = 40  # a member
    base: float = -2.2
    affinity: float = 0.8
    popular: float = 0.3  # artwork features, for everybody
    taste: float = 0.5  # artwork features x member
    devices: bool = False  # phones take less, and of dramas much less
    seed: int = 1


def write(tables: Tables, world: World) -> dict[str, np.ndarray]:
    """Fill titles, videos, artworks, events and decisions; returns the truth."""
    random = rng(world.seed, "world")
    keys = [f"{i * 2654435761 % 2**32:08x}{i:024x}" for i in range(world.members)]
    liking = random.dirichlet([0.7] * len(GENRES), world.members)  # (members, genres)
    back = [f"back-{i:02d}" for i in range(30)]
    films = [f"film-{i:02d}" for i in range(world.titles)]
    genre = {title: GENRES[i % len(GENRES)] for i, title in enumerate(back + films)}
    titles = [(t, t, [genre[t]], None, False, [], [], [], None) for t in back + films]
    videos = [(f"v-{t}", t, "", "", 0, "", 0, 0, 0, 1, 25, RUNNING, None, None, None, None) for t in films]
    put(tables, "titles", list(zip(*titles, strict=True)))
    put(tables, "videos", list(zip(*videos, strict=True)))

    vectors = random.normal(size=(world.titles, world.artworks, world.features))
    ids = np.array([[f"{t}-{a}" for a in range(world.artworks)] for t in films])
    art = []
    for t, a in np.ndindex(ids.shape):
        fixed = (
            None,
            None,
            None,
            None,
            None,
            "hash",
            None,
            "original",
            vectors[t, a].tolist(),
            "test",
            [],
            [],
            *[None] * 4,
            "wide",
        )
        art.append((ids[t, a], films[t], *fixed, [], [], [], 0.5, a + 1, "", True, None))
    put(tables, "artworks", list(zip(*art, strict=True)))

    events = history(random, world, keys, liking, back, genre)
    put(tables, "events", events)
    scale = np.sqrt(world.features)
    popular = world.popular * random.normal(size=world.features) / scale
    mixed = world.taste * random.normal(size=(len(GENRES), world.features)) / scale * 3
    x = vectors - vectors.mean(axis=1, keepdims=True)
    truth = {"popular": x @ popular, "taste": np.einsum("ug,gf,taf->uta", liking - 1 / 3, mixed, x), "ids": ids}
    put(tables, "decisions", decide(random, world, keys, liking, films, genre, truth))
    # What a level sees is the take rate over all members: who likes the title's genre weighs more.
    likes = 3 * (liking[:, [GENRES.index(genre[film]) for film in films]] - 1 / 3)
    odds = world.base + world.affinity * likes[:, :, None] + truth["popular"] + truth["taste"]
    rate = np.log(np.mean(1 / (1 + np.exp(-odds)), axis=0))
    return truth | {"keys": np.array(keys), "liking": liking, "rate": rate - rate.mean(axis=1, keepdims=True)}


def history(random, world, keys, liking, back, genre) -> list:
    """Plays of the back catalogue, searches and one impression a member; half of it on days after t0."""
    columns: dict[str, list] = {name: [] for name in TABLES["events"].schema.names}

    def add(user: int, kind: str, day: int, **values) -> None:
        at = datetime.combine(START, datetime.min.time()) + timedelta(days=day, minutes=len(columns["event_id"]) % 1440)
        row = {
            "event_id": f"e{len(columns['event_id'])}",
            "event_type": kind,
            "user_key": keys[user],
            "user_bucket": bucket(keys[user]),
            "ts": at,
            "event_date": at.date(),
            "region": REGIONS[user % 3],
            "kids": user % 50 == 0,
            **values,
        }
        for name, column in columns.items():
            column.append(row.get(name))

    by_genre = {g: [t for t in back if genre[t] == g] for g in GENRES}
    for user in range(world.members):
        add(user, "impression", 0 if user % 10 else DAYS - 6, title_id=back[0])
        for i in range(int(random.integers(3, 9)) if user % 10 else 0):
            title = str(random.choice(by_genre[GENRES[random.choice(3, p=liking[user])]]))
            day = int(random.integers(-HISTORY, 6))
            add(user, "play", day, title_id=title)
            if i % 2:
                add(user, "stop", day, title_id=title, watched_seconds=float(random.uniform(600, 5400)))
        if user % 4 == 1:
            add(user, "search", -1, query=f"best {GENRES[int(np.argmax(liking[user]))].title()} films")
    return list(columns.values())


def decide(random, world, keys, liking, films, genre, truth) -> list:
    """Decisions under uniform artwork over DAYS days, one a member x title x day at most."""
    n = world.members * world.decisions
    user, slot = (
        np.repeat(np.arange(world.members), world.decisions),
        np.tile(np.arange(world.decisions), world.members),
    )
    title, turns = slot % world.titles, world.decisions // world.titles + 1
    day = (slot // world.titles * DAYS // turns + user) % DAYS
    artwork = random.integers(0, world.artworks, n)
    affinity = 3 * (liking[user, [GENRES.index(genre[films[t]]) for t in title]] - 1 / 3)
    odds = world.base + world.affinity * affinity
    odds = odds + truth["popular"][title, artwork] + truth["taste"][user, title, artwork]
    on_phone, early = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    if world.devices:
        on_phone, early = random.random(n) < 0.4, random.random(n) < 0.3
        drama = np.array([genre[film] == "drama" for film in films])[title]
        odds = odds - on_phone * np.where(drama, 1.2, 0.3) + 0.4 * early
    take = (random.random(n) < 1 / (1 + np.exp(-odds))).astype(int)
    quality = np.where(take == 1, random.uniform(0.3, 0.9, n), 0)
    epoch = [START + timedelta(days=int(d)) for d in day]
    key = np.array(keys)[user]
    sets, shares = [row.tolist() for row in truth["ids"]], [1 / world.artworks] * world.artworks
    at = [datetime.combine(d, datetime.min.time()) for d in epoch]
    none = [None] * n
    named = {
        "decision_id": [f"d{i}" for i in range(n)],
        "user_key": key,
        "user_bucket": [bucket(k) for k in key],
        "title_id": [films[t] for t in title],
        "epoch": epoch,
        "artwork_id": truth["ids"][title, artwork],
        "candidate_set": [sets[t] for t in title],
        "candidate_propensities": [shares] * n,
        "propensity": np.full(n, shares[0]),
        "policy_id": ["uniform"] * n,
        "segment": none,
        "region": [REGIONS[u % 3] for u in user],
        "device": np.where(on_phone, "phone", "tv").tolist(),
        "day_part": np.where(early, "morning", "evening").tolist(),
        "kids": user % 50 == 0,
        "row": slot % 3,
        "position": slot % 5,
        "ranker_score": np.where(slot % 7, affinity, np.nan),
        "already_started": slot % 11 == 10,
        "impressions": np.ones(n, dtype=int),
        "first_ts": at,
        "take": take,
        "quality": quality,
        "minutes": none,
        "abandoned": none,
        "rewatched": none,
        "take_source": none,
        "reward": take * quality,
        "matured_at": at,
    }
    return [named[name] for name in TABLES["decisions"].schema.names]


def put(tables: Tables, table: str, columns: list) -> None:
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(TABLES[table].schema, timezone="UTC")
    arrays = [
        pa.array(c.tolist() if isinstance(c, np.ndarray) else list(c), field.type, from_pandas=True)
        for c, field in zip(columns, schema, strict=True)
    ]
    frame = tables.spark.createDataFrame(pa.Table.from_arrays(arrays, schema=schema))
    tables.overwrite(table, frame)


def apart(settings: Settings, root: Path, prefix: str, **values) -> Settings:
    """The same settings on other tables, with models of their own in the same MLflow database (a new one is slow)."""
    uri = f"sqlite:///{Path(settings.tables).parent / 'mlflow' / 'mlflow.db'}"
    sections = {key.replace("__", "."): value for key, value in values.items()}
    return with_values(settings, {"tables": str(root), "tracking.uri": uri, "tracking.model_prefix": prefix} | sections)


def model_of(settings: Settings, name: str):
    return Tracking(settings.tracking, settings.tables).load(name).model


def job(name: str):
    return importlib.import_module(f"keyart.jobs.{name}")


def rows_of(tables: Tables, table: str) -> list:
    return sorted(tables.read(table).collect())


@pytest.fixture(scope="module")
def trained(spark, tmp_path_factory):
    """The default world after both jobs."""
    root = str(tmp_path_factory.mktemp("learning") / "tables")
    settings = load(None, [f"tables={root}", "taste.rank=4", "time.holdout_share=0.1", "response.artwork_dimensions=6"])
    settings = with_values(settings, {"regions": {"SE": "nordics", "DE": "europe"}})
    tables = Tables(spark, root)
    truth = write(tables, World())
    job("train_taste").run(spark, settings)
    job("train_response").run(spark, settings)
    return tables, settings, truth


def test_taste_has_everybody_as_of_both_days(trained):
    tables, settings, _ = trained
    seen = {
        row["as_of"]: row.asDict()
        for row in tables.read("taste")
        .groupBy("as_of")
        .agg(
            F.count("*").alias("n"),
            F.sum(F.when(F.col("history") == 0, 1)).alias("unknown"),
            F.min("user_bucket").alias("bucket"),
            F.min(F.size("factors")).alias("rank"),
            F.countDistinct("taste_version").alias("versions"),
            F.sum(F.col("kids").cast("int")).alias("kids"),
        )
        .collect()
    }
    assert sorted(seen) == [date(2026, 1, 4), date(2026, 1, 9)]  # a quarter and two thirds of twelve days
    early, late = seen[date(2026, 1, 4)], seen[date(2026, 1, 9)]
    assert (early["n"], late["n"]) == (1350, 1500)  # a tenth came only after t0, and nobody played among them
    assert late["unknown"] == 150
    assert (early["bucket"], early["rank"], late["versions"], late["kids"]) == (0, 4, 1, 30)
    taste = model_of(settings, "taste")
    assert taste.about["genres"] == list(GENRES)
    assert taste.arrays["titles"].shape == (36, 4)


def test_taste_knows_genres_and_regions(trained):
    tables, _, truth = trained
    rows = tables.read("taste").where("as_of = DATE'2026-01-09' AND history > 0").collect()
    place = {key: i for i, key in enumerate(truth["keys"])}
    users = [place[row["user_key"]] for row in rows]
    mix = np.array([row["genre_mix"] for row in rows])
    np.testing.assert_allclose(mix.sum(axis=1), 1, atol=1e-5)
    assert np.corrcoef(mix[:, 1], truth["liking"][users, 1])[0, 1] > 0.7
    assert all(row["region"] == REGIONS[user % 3] for row, user in zip(rows, users, strict=True))


def test_both_jobs_twice_leave_the_same(trained, spark):
    tables, settings, _ = trained
    tracking = Tracking(settings.tracking, settings.tables)
    before, model = rows_of(tables, "taste"), tracking.load("response").model
    job("train_taste").run(spark, settings)
    job("train_response").run(spark, settings)
    assert rows_of(tables, "taste") == before
    again = tracking.load("response")
    assert int(again.version) == 2
    assert again.model.about == model.about
    for name, array in model.arrays.items():
        np.testing.assert_allclose(again.model.arrays[name], array, atol=1e-9)


@contextmanager
def engaged(tables: Tables, settings: Settings, events: DataFrame) -> Iterator[Callable[..., Learned]]:
    """A learner on blocks of these events: learned(rank=8, ...) with settings of taste."""
    windows, catalogue = windows_of(tables.read("decisions"), settings.time), catalogue_of(tables.read("titles"))
    rows = engagement(events, running(tables), windows, catalogue.genres, 5400.0, settings.taste)
    with blocks_of(rows, block_builder(catalogue)) as blocks:
        held_out = holdout_buckets(settings.time)
        yield lambda folder=None, **said: learn(
            blocks, catalogue, windows, held_out, replace(settings.taste, **said), folder
        )


def test_held_out_members_change_no_title_factor(trained):
    tables, settings, _ = trained
    with engaged(tables, settings, tables.read("events").where("user_bucket >= 6")) as learned:
        without = learned().model.titles
    titles = model_of(settings, "taste").arrays["titles"]
    np.testing.assert_allclose(without @ without.T, titles @ titles.T, atol=1e-4)


def test_solvers_reach_one_objective_whole_in_slices_or_from_where_they_were_killed(trained, tmp_path, monkeypatch):
    tables, settings, _ = trained
    # So that where a solver starts is forgotten: MLlib's first factors are other than ours.
    said = {"rank": 3, "regularisation": 0.3, "regularisation_scaling": 1.0, "iterations": 10}
    with engaged(tables, settings, tables.read("events")) as learned:
        ours = learned(**said)
        assert (np.diff(ours.objectives) < 1e-6 * ours.objectives[0]).all()
        assert learned(**said, solver="mllib").objectives[-1] == pytest.approx(ours.objectives[-1], rel=5e-3)
        with pytest.raises(ConfigError, match=r"set taste\.regularisation_scaling to 1"):
            learned(solver="mllib")

        np.testing.assert_array_equal(learned(str(tmp_path), **said).model.titles, ours.model.titles)
        assert not list(tmp_path.iterdir())

        monkeypatch.setattr(als_spark, "slices", lambda *_: [slice(0, 20), slice(20, 36)])
        assert learned(**said).objectives[-1] < ours.objectives[-1] * 1.005
        monkeypatch.undo()

        saved, kept = Checkpoints.save, []

        def killed(self: Checkpoints, progress: Progress) -> None:
            saved(self, progress)
            kept.append(len(progress.objectives))
            if len(kept) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(Checkpoints, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            learned(**said, checkpoints=str(tmp_path))
        again = learned(**said, checkpoints=str(tmp_path))
        assert kept == list(range(1, 11))
        np.testing.assert_array_equal(again.model.titles, ours.model.titles)
        assert (again.version, list(again.objectives)) == (ours.version, list(ours.objectives))
        assert learned(**said | {"regularisation": 0.05}, checkpoints=str(tmp_path)).version != ours.version
        assert kept[10:] == list(range(1, 11))  # other settings start anew


def test_doubled_titles_are_refused_and_what_is_no_time_counts_for_nothing(trained):
    tables, settings, _ = trained
    titles = tables.read("titles")
    with pytest.raises(ModelError, match=r"titles names 'back-00' twice \(1 such titles\)"):
        catalogue_of(titles.unionByName(titles.where("title_id = 'back-00'")))
    play = tables.read("events").where("event_type = 'stop' AND title_id = 'back-01'").limit(1)
    odd = play.withColumn("watched_seconds", F.explode(F.array(F.lit(float("nan")), F.lit(-5.0), F.lit(None))))
    windows = windows_of(tables.read("decisions"), settings.time)
    rows = engagement(odd, running(tables), windows, [], 100.0, settings.taste)
    assert [row["late"] for row in rows.where("kind = 'title'").collect()] == [settings.taste.play_quality]


def test_response_finds_what_the_artwork_did(trained):
    tables, settings, truth = trained
    found = model_of(settings, "response")
    about, arrays = found.about, found.arrays
    assert about["artwork_ids"] == truth["ids"].ravel().tolist()
    names = [(cell["level"], cell["cell"], cell["parent"]) for cell in about["cells"]]
    assert names[:4] == [
        ("global", "*", None),
        ("parent", "europe", "*"),
        ("parent", "nordics", "*"),
        ("parent", "other", "*"),
    ]
    assert ("region", "BR", "other") in names
    assert np.corrcoef(arrays["cell_mean"][0], truth["rate"].ravel())[0, 1] > 0.9
    assert (arrays["cell_n"][0] == arrays["cell_n"][4:].sum(axis=0)).all()
    title_mean = np.add.reduceat(arrays["cell_mean"], np.arange(0, 36, 6), axis=1)
    np.testing.assert_allclose(title_mean, 0, atol=1e-9)

    rows = tables.read("taste").where("as_of = DATE'2026-01-09' AND history >= 4").collect()
    place = {key: i for i, key in enumerate(truth["keys"])}
    users = np.array([place[row["user_key"]] for row in rows])
    columns = [np.array([row[name] for row in rows]) for name in ("factors", "genre_mix", "history")]
    z = member_vectors(*columns)
    taste = user_scores(arrays, z, np.zeros(len(z), dtype=int)) - arrays["cell_mean"][0]
    expected = truth["taste"][users].reshape(len(users), -1)
    expected = expected - expected.mean(axis=0)
    assert np.corrcoef((taste - taste.mean(axis=0)).ravel(), expected.ravel())[0, 1] > 0.6
    # weights on named features say the same as weights on coordinates
    named = arrays["weights"] @ arrays["loadings"].T
    np.testing.assert_allclose(standardised(arrays, z) @ named @ arrays["feature_values"].T, taste, atol=1e-9)


def test_response_says_how_it_was_found(trained):
    import mlflow

    _, settings, _ = trained
    loaded = Tracking(settings.tracking, settings.tables).load("response")
    run = mlflow.get_run(loaded.run_id)
    metrics, parameters = run.data.metrics, run.data.params
    assert metrics["validation_log_loss_member"] < metrics["validation_log_loss_region"]
    assert metrics["validation_log_loss_region"] < metrics["validation_log_loss_offset"]
    assert 0.5 < metrics["validation_calibration_slope"] < 1.5
    for kind, worst in (("chance", 0.2), ("artwork", 0.4)):
        slope, sd = metrics[f"validation_{kind}_slope"], metrics[f"validation_{kind}_slope_sd"]
        assert sd < worst
        assert abs(slope - 1) < 0.1 + 3 * sd
    assert 0.99 < metrics["weights_effective_share"] <= 1  # artwork was uniform
    table = mlflow.artifacts.load_text(f"runs:/{loaded.run_id}/calibration.csv").splitlines()
    assert table[0] == "measure,region,part,decisions,predicted,observed,standard_error"
    assert {line.split(",")[0] for line in table[1:]} == {
        "slope of chance",
        "slope of artwork",
        "reliability",
        "uplift",
    }
    for name in ("slopes", "reliability", "uplift"):
        picture = mlflow.artifacts.load_text(f"runs:/{loaded.run_id}/calibration/{name}.svg")
        assert picture.startswith("<svg") and picture.rstrip().endswith("</svg>")
    assert (loaded.model.arrays["weights_sd"] > 0).all()
    assert metrics["chosen_l2"] in settings.response.l2
    assert parameters["decisions_version"] == "1"  # 0 made the table
    kept = (F.col("epoch") >= "2026-01-04") & (F.col("epoch") < "2026-01-09") & ~F.col("already_started")
    rows = trained[0].read("decisions").where(kept & (F.col("user_bucket") >= 6))
    assert metrics["decisions"] == rows.count()
    served = mlflow.pyfunc.load_model(f"models:/{loaded.name}@candidate")
    example = np.append(loaded.model.arrays["member_mean"], 0.0)[None]
    np.testing.assert_allclose(served.predict(example)[0], loaded.model.arrays["cell_mean"][0])


def test_affinity_alone_is_no_artwork_effect(trained, spark, tmp_path):
    """Members who like a genre take its titles, phones take less of some; no artwork matters; nothing must be found.

    Then, of the same log, takes are left out on phones by what an artwork looks like: that is found, and that alone.
    """
    settings = apart(trained[1], tmp_path / "tables", "affinity-", taste__rank=3, taste__iterations=3)
    tables = Tables(spark, settings.tables)
    write(tables, World(members=600, base=-1.4, affinity=2.0, popular=0.0, taste=0.0, devices=True, seed=3))
    job("train_taste").run(spark, settings)
    job("train_response").run(spark, settings)
    found = model_of(settings, "response")
    assert not found.arrays["weights"].any()
    assert np.abs(found.arrays["cell_mean"]).max() < 0.15
    assert found.about["devices"] == found.about["day_parts"] == [] and "context_weights" not in found.arrays

    looks = tables.read("artworks").select("artwork_id", "features").collect()
    look = {row["artwork_id"]: row["features"][0] for row in looks}
    kept = F.element_at(F.create_map(*[F.lit(x) for pair in look.items() for x in pair]), F.col("artwork_id"))
    chance = F.when(F.col("device") == "phone", F.least(F.lit(1.0), F.exp(0.8 * (kept - 1)))).otherwise(1.0)
    drawn = F.pmod(F.xxhash64("decision_id"), F.lit(1000)) / 1000
    thinned = tables.read("decisions").withColumn("take", F.when(drawn < chance, F.col("take")).otherwise(0))
    tables.overwrite("decisions", spark.createDataFrame(thinned.collect(), thinned.schema))
    job("train_response").run(spark, settings)
    found = model_of(settings, "response")
    contexts = PolicyContexts.of(found.about, found.arrays)
    assert contexts.names == (
        "phone|evening", "phone|morning", "phone|*", "tv|evening", "tv|morning", "tv|*", "*|evening", "*|morning"
    )  # fmt: skip
    phone, tv, both = (contexts.leanings[contexts.names.index(name)] for name in ("phone|*", "tv|*", "phone|evening"))
    pulls = found.arrays["features"] @ np.stack([phone - tv, contexts.leanings[-1], both - phone]).T
    values = np.array([look[artwork] for artwork in found.about["artwork_ids"]]).reshape(6, 6)
    values = (values - values.mean(axis=1, keepdims=True)).ravel()
    assert np.corrcoef(pulls[:, 0], values)[0, 1] > 0.8
    assert 0.4 < np.polyfit(values, pulls[:, 0], 1)[0] < 0.9  # 0.8 but for the highest, which are not taken more often
    assert np.abs(pulls[:, 1:]).max() < 0.2  # the part of the day does nothing


def test_what_is_missing_is_named(trained, spark):
    tables, settings, _ = trained
    untrained = with_values(settings, {"tracking.model_prefix": "untrained-"})
    with pytest.raises(ModelError, match="run train-taste first"):
        job("train_response").run(spark, untrained)
    moved = with_values(settings, {"time.t0": date(2026, 1, 5)})
    with pytest.raises(ModelError, match=r"no vectors of version .* as of 2026-01-05; run train-taste first"):
        job("train_response").run(spark, moved)
    with pytest.raises(ModelError, match="no title has two active artworks"):
        artworks_of(tables.read("artworks").where("rank = 1"))
    with pytest.raises(ModelError, match="needs history"):
        job("train_taste").run(spark, with_values(settings, {"time.t0": START - timedelta(days=30)}))


def test_paths_are_free_of_pickles(trained):
    _, settings, _ = trained
    artifacts = Path(settings.tables).parent / "mlflow" / "artifacts"
    assert list(artifacts.rglob("*.npy"))
    assert not list(artifacts.rglob("*.pkl"))


def test_too_few_takes_are_refused(trained, spark):
    """Last in the file: it takes the takes away."""
    tables, settings, _ = trained
    tables.delete("decisions", "take = 1 AND NOT (artwork_id = 'film-00-1' AND region = 'BR')")
    with pytest.raises(ModelError, match=r"takes in .* needs 50"):
        job("train_response").run(spark, settings)


def test_decisions_that_are_all_takes_are_refused(trained):
    windows = windows_of(trained[0].read("decisions"), trained[1].time)
    ones = np.full((1, 2), 40.0)
    with pytest.raises(ModelError, match=r"all 80 decisions from .* are takes"):
        check_enough(Counts(["SE"], ones, ones, ones, ones), windows)


def test_members_are_folded_in_without_training(trained):
    """A member who came after, a title that came and one that went: vectors of the model there was."""
    tables, settings, _ = trained
    before, events = rows_of(tables, "taste"), tables.read("events")
    play = events.where("event_type IN ('play', 'stop', 'complete') AND title_id = 'back-01'").limit(1)
    new = play.withColumn("user_key", F.lit("f" * 32)).withColumn("event_id", F.lit("new"))
    tables.append("events", new.unionByName(new.withColumn("title_id", F.lit("ny-å"))))
    titles = tables.read("titles")
    fresh = titles.where("title_id = 'back-01'").withColumn("title_id", F.lit("ny-å"))
    tables.append("titles", fresh)
    tables.delete("titles", "title_id = 'back-02'")
    models = model_of(settings, "taste")
    job("train_taste").run(tables.spark, replace(settings, taste=replace(settings.taste, fold_in_only=True)))
    assert model_of(settings, "taste").about == models.about
    after = rows_of(tables, "taste")
    assert [row for row in after if row["user_key"] != "f" * 32] == before
    (found,) = [row for row in after if row["user_key"] == "f" * 32 and row["as_of"] == date(2026, 1, 9)]
    assert found["history"] == 2 and found["taste_version"] == models.about["taste_version"]
    # Two dramas, the new one among them, move the mix from the population's.
    assert np.any(found["factors"]) and found["genre_mix"][1] > model_of(settings, "taste").arrays["genre_prior"][1]
