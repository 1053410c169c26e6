"""What can be configured: one frozen dataclass a section of the YAML file. The docstring under a field is its manual.

``Range`` marks the values that make sense; ``config`` checks types and ranges at start and names file and key.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Annotated

from keyart.paths import SCHEMES

__all__ = [
    "AssignSettings",
    "CatalogSettings",
    "DemoSettings",
    "EraseSettings",
    "EvaluateSettings",
    "EventsSettings",
    "ExperimentSettings",
    "ExplainSettings",
    "LoggingSettings",
    "MaintainSettings",
    "MetricsSettings",
    "OneOf",
    "PipelineSettings",
    "PrivacySettings",
    "PublishSettings",
    "Range",
    "ReportSettings",
    "ResponseSettings",
    "ResponsibilitySettings",
    "ScanSettings",
    "SelectSettings",
    "ServeSettings",
    "SessionSettings",
    "Settings",
    "SimulateSettings",
    "SourcesSettings",
    "StreamSettings",
    "TasteSettings",
    "TimeSettings",
    "TrackingSettings",
]


@dataclass(frozen=True)
class Range:
    """Lowest and highest value allowed, both included."""

    low: float
    high: float


@dataclass(frozen=True)
class OneOf:
    """The values allowed."""

    choices: tuple[str, ...]


@dataclass(frozen=True)
class SessionSettings:
    """How Spark is reached."""

    master: str = ""
    """Spark master for a session of our own, such as local[2]; empty takes what spark-submit or the cluster gives, and
    where nobody says anything this machine."""
    remote: str = ""
    """Spark Connect address such as sc://host:15002; empty for a classic session."""
    driver_memory: str = "3g"
    """Heap of a local session; larger than the largest catalogue array times four."""
    shuffle_partitions: Annotated[int, Range(1, 100_000)] = 4
    """Local sessions only; clusters adapt by themselves."""
    log_level: Annotated[str, OneOf(("ERROR", "WARN", "INFO", "DEBUG"))] = "ERROR"
    """Of Spark's own log."""
    options: dict[str, str] = field(default_factory=dict)
    """Any further spark.* option."""
    shared_folder: str = ""
    """Folder that all machines see (a volume, NFS): catalogue arrays lie there while a pass runs and workers map them
    into memory. Empty: a local session uses the machine's temporary folder, a cluster sends the arrays with its
    tasks."""

    cost_per_core_hour: Annotated[float, Range(0, 1e6)] = 0.0
    """What an hour of one core costs, in your currency: from it, seconds and cores follows what a stage cost. 0: not
    known."""
    cores: Annotated[int, Range(0, 10_000_000)] = 0
    """Cores that the job has, for its cost; 0: as many as Spark says, which a client of Spark Connect is not told."""

    def shared_folder_or_none(self) -> str | None:
        """Where arrays are put, "" being the temporary folder; None where they have to travel."""
        local = self.master.startswith("local") or self.remote.startswith("local")
        return self.shared_folder if self.shared_folder or local else None


@dataclass(frozen=True)
class LoggingSettings:
    """How every job logs what it does."""

    file: str = ""
    """File that all lines are appended to; it may be moved away while a job runs. Empty: stderr alone, which has
    warnings, and everything with --verbose or as JSON."""
    format: Annotated[str, OneOf(("text", "json"))] = "text"
    """text, or JSON lines: ts, level, logger, message, run_id, job, stage, exception. Of the file, where there is
    one."""


@dataclass(frozen=True)
class MaintainSettings:
    """maintain."""

    tables: tuple[str, ...] = ()
    """Only these tables; empty: all that there are."""
    retain_hours: Annotated[int, Range(0, 87_600)] = 168
    """Files that were needed within so many hours are kept, for readers, writers at work, and older versions. Longer
    than any job takes."""
    shorter: bool = False
    """Whether retain_hours may be below a week, which Delta else refuses: for when nothing else runs."""


@dataclass(frozen=True)
class MetricsSettings:
    """Figures for a monitoring system."""

    file: str = ""
    """Text file in Prometheus' format that run-pipeline writes after each stage, for node exporter's textfile collector
    (its name has to end in .prom). Empty: none."""


@dataclass(frozen=True)
class PipelineSettings:
    """run-pipeline and status."""

    heartbeat_seconds: Annotated[int, Range(1, 3600)] = 60
    """A running stage writes as often that it is alive, and how far; silent five times as long, it was interrupted."""
    stages: tuple[str, ...] = ()
    """Only these stages, for schedulers that make a task of each; empty: all. Each still looks whether it has something
    new to read."""
    run_id: str = ""
    """Name of the run, so that the tasks of one scheduler's run are one run for status and logs; empty: a new one."""
    json: bool = False
    """Whether status answers with JSON (--json)."""


@dataclass(frozen=True)
class TrackingSettings:
    """How MLflow is reached."""

    uri: str = ""
    """Tracking server; empty keeps a local database in mlflow/ beside the tables."""
    registry_uri: str = ""
    """Model registry where it differs, such as databricks-uc."""
    experiment: str = "keyart"
    """Name of the MLflow experiment."""
    model_prefix: str = "keyart-"
    """Put before each registered model's name; with Unity Catalog, catalog.schema.name."""


@dataclass(frozen=True)
class PrivacySettings:
    """How members are kept pseudonymous."""

    key_variable: str = "KEYART_USER_KEY"
    """Environment variable that holds the secret for hashing member ids; its value is never written anywhere."""
    suppression_variable: str = "KEYART_SUPPRESSION_KEY"
    """Environment variable with another secret: under it the ids of erased members are remembered, so that they stay
    out when an old log is delivered again. Erasing needs it, and so does ingest-events once somebody was erased."""
    smallest_cell: Annotated[int, Range(1, 1_000_000)] = 50
    """Cells of fewer members are shown folded into their parent."""
    retention: dict[str, str] = field(default_factory=dict)
    """Table: days that its rows are kept (events: 400). `keyart erase-members --retention` removes what is older, and
    ingest-events takes no events that are older. A table that is not named keeps its rows."""
    demographics: dict[str, str] = field(default_factory=dict)
    """A log's column that tells of a trait of people (age, gender, ...): the purpose for which it is read. Without it,
    events.columns may not name such a column."""


@dataclass(frozen=True)
class EraseSettings:
    """erase-members and export-member."""

    members: str = ""
    """File of ids as the logs have them, one a line, or a CSV with the log's column for user_id (--members)."""
    user: str = ""
    """One member's id (--user)."""
    request_id: str = ""
    """Name of the request (--request); empty: derived from its members, so that it has the same name every time."""
    roots: tuple[str, ...] = ()
    """Folders and files that the proof goes through too, beside the tables, MLflow's local folder and the report: where
    delivered logs, exports or copies lie."""
    retention: bool = False
    """Remove what is older than privacy.retention allows, and nobody in particular (--retention)."""
    prove: bool = False
    """Only look for the members, and remove nothing (--prove)."""
    out: str = ""
    """JSON file that export-member writes (--out)."""


@dataclass(frozen=True)
class TimeSettings:
    """The order of time: taste is learned before t0, response on [t0, t1), tested from t1 on."""

    t0: date | None = None
    """First day of response rows; null: the day by which a quarter of the decisions' days have passed."""
    t1: date | None = None
    """First day of test rows; null: two thirds of the decisions' days."""
    end: date | None = None
    """Day after the last test row; null: after the last decision."""
    holdout_share: Annotated[float, Range(0, 0.5)] = 0.0
    """Share of members (by user bucket, lowest first) that no model trains on; they are folded in and assigned."""


@dataclass(frozen=True)
class SourcesSettings:
    """What manifests, overrides, folders and logs may name besides what lies in their own folder."""

    roots: tuple[str, ...] = ()
    """Further folders that films, images and logs may lie in, as [/films, /mnt/archive]; [/] allows all."""
    schemes: tuple[str, ...] = SCHEMES
    """Schemes of URLs that may be read, those of chains (simplecache::s3://...) too."""


@dataclass(frozen=True)
class CatalogSettings:
    """ingest-catalog."""

    videos: str = ""
    """Folder of films; each file is a title of its own (--videos)."""
    manifest: str = ""
    """CSV or JSON lines with title_id, name, uri and more (--manifest); uris are relative to the manifest."""
    images: str = ""
    """Items without films (--images): a folder of images, of folders of images (one an item), or a table like a
    manifest with a line an image."""
    overrides: str = ""
    """CSV of editors' pins, bans and uploads (--overrides); it is the whole truth: lines taken out are forgotten."""


@dataclass(frozen=True)
class ScanSettings:
    """scan-videos."""

    segment_seconds: Annotated[float, Range(0, 86_400)] = 60.0
    """Aimed length of a segment; borders move to keyframes. 0 decodes each film whole."""
    timeout_seconds: Annotated[float, Range(1, 86_400)] = 600.0
    """A decoder that is silent for longer is killed and its segment counted as failed."""
    candidates_per_shot: Annotated[int, Range(1, 20)] = 3
    """Fewest frames kept of each shot; long shots give one for every four seconds."""
    candidates_per_film: Annotated[int, Range(1, 1_000)] = 60
    """Most frames kept of a film, shared out over its running time."""
    wave_films: Annotated[int, Range(1, 100_000)] = 64
    """Films that become visible together."""
    wave_seconds: Annotated[float, Range(0, 86_400)] = 60.0
    """Expected seconds of decoding whose segments land together; a scan that was killed goes on after the last. 0 lands
    as few at a time as keep all cores busy."""
    lost_share: Annotated[float, Range(0, 1)] = 0.5
    """The job's exit status is 1 where more than this share of the due frames was lost."""
    plan: bool = False
    """Print what would be scanned and the expected time, and scan nothing (--plan)."""
    image_quality: Annotated[int, Range(50, 100)] = 90
    """JPEG quality of stored images."""


@dataclass(frozen=True)
class SelectSettings:
    """select-artwork."""

    artworks_per_title: Annotated[int, Range(1, 64)] = 8
    """Most artworks chosen for a title; fewer where the film shows fewer different pictures."""
    diversity: Annotated[float, Range(0, 1)] = 0.5
    """0 takes the best scores, 1 the most different pictures."""
    models_folder: str = "models"
    """Where model files lie; relative to the working directory."""
    yunet: str = "face_detection_yunet_2023mar.onnx"
    """YuNet's file in models_folder; where it is absent OpenCV's cascade finds the faces and one line says so."""
    text: Annotated[str, OneOf(("auto", "strokes", "rapidocr"))] = "auto"
    """What finds lettering beside the strokes: rapidocr (extra text); auto takes it where it is installed."""
    cast: Annotated[str, OneOf(("auto", "none", "dlib"))] = "auto"
    """What tells faces apart: dlib (extra cast); auto takes it where it is installed."""
    plugins: tuple[str, ...] = ()
    """YAML files that describe ONNX detectors and classifiers (keyart.vision.plugins)."""
    policy: tuple[str, ...] = ()
    """Rules of four words: flag or plug-in's name:label, region or *, maturity rating or *, exclude or a factor."""
    models: dict[str, str] = field(
        default_factory=lambda: {
            "face_detection_yunet_2023mar.onnx": "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4 "
            "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx"
        }
    )
    """Model file: its sha256 and official address, a space between; `keyart models` lists and fetches them."""
    variants: tuple[str, ...] = ()
    """What is made of the best artworks, by name: grade (warm, cold, high contrast), title (the title set in the
    calmest area, by language), or package.module:function. Empty: each is a picture more to store and to learn of."""
    varied_artworks: Annotated[int, Range(1, 64)] = 2
    """Of how many of a title's artworks variants are made, the best first."""
    languages: dict[str, str] = field(default_factory=dict)
    """Region: language of the titles set on its artworks, as the manifest's names call it. A variant with a localised
    title is shown where its language is read only; where no region is named, everywhere."""
    spoiler_share: Annotated[float, Range(0, 0.5)] = 0.1
    """The last share of a film, whose frames are marked spoiler and score less."""


@dataclass(frozen=True)
class EventsSettings:
    """ingest-events."""

    events: str = ""
    """File or folder of logs (--events)."""
    format: Annotated[str, OneOf(("auto", "json", "csv", "parquet", "delta"))] = "auto"
    """json means JSON lines; auto goes by the names' endings (.gz and the like apart)."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column: theirs, where names differ (user_id: member)."""
    types: dict[str, str] = field(default_factory=lambda: {"click": "take", "add_to_list": "list_add"})
    """Their event type: ours, where names differ."""
    limits: dict[str, str] = field(default_factory=lambda: {"served misfit": "9", "take_fraction drift": "0.7"})
    """Measure of data_quality, or its part before the colon: the highest value at which a run succeeds. "missing:
    region" bounds a share of nulls; see the README for the measures."""
    late_hours: Annotated[float, Range(0, 2_400)] = 48.0
    """Rows dated this much before the delivery's newest day are counted as late; they are taken all the same, and what
    they change is computed again."""
    reward_window_hours: Annotated[float, Range(0, 2_400)] = 48.0
    """After this long a decision's outcome is final."""
    take_window_hours: Annotated[float, Range(0, 2_400)] = 24.0
    """A take counts for a decision of the same member and title that began at most this long before; not more than
    reward_window_hours."""
    abandon_seconds: Annotated[float, Range(0, 3_600)] = 120.0
    """Watching less than this, and less than a tenth of the film, is abandonment: the picture promised too much."""
    max_quarantine_share: Annotated[float, Range(0, 1)] = 0.2
    """More bad rows than this fail the run."""
    default_duration_seconds: Annotated[float, Range(1, 86_400)] = 5_400.0
    """Running time assumed for a title without a film of known duration."""
    now: str = ""
    """What counts as the present (ISO time, UTC), for replays; empty takes the newest event. Events more than a day
    after it (where empty: after the clock) are set aside."""


@dataclass(frozen=True)
class StreamSettings:
    """stream-feedback: what has arrived since the last run, in batches that are each ingested as a delivery."""

    format: Annotated[str, OneOf(("files", "kafka"))] = "files"
    """files: JSON lines that appear in the folder events.events; kafka: JSON values of a topic. The connector
    (spark-sql-kafka) comes by session.options, such as spark.jars.packages, or is the cluster's."""
    options: dict[str, str] = field(default_factory=dict)
    """Of the source, as Spark calls them: kafka.bootstrap.servers, subscribe, startingOffsets."""
    files_per_batch: Annotated[int, Range(1, 1_000_000)] = 200
    """Most files of a batch (maxFilesPerTrigger): what has piled up is worked off in bounded steps."""
    messages_per_batch: Annotated[int, Range(1, 1_000_000_000)] = 500_000
    """Most messages of a batch of a topic (maxOffsetsPerTrigger)."""
    online: bool = True
    """Whether each batch also updates the policy that serves: taste of the members it met, levels, these members'
    artwork."""
    checkpoint: str = ""
    """Folder or URL that remembers what was read (--checkpoint); empty: checkpoints/stream-feedback beside the tables.
    It holds names of files or offsets, never rows."""
    forever: bool = False
    """Whether to wait for more instead of ending once all that has arrived is read (--once)."""
    every: str = "1 minute"
    """Time between batches of a stream that waits."""


@dataclass(frozen=True)
class TasteSettings:
    """train-taste."""

    rank: Annotated[int, Range(1, 256)] = 8
    """Length of member and title factors."""
    iterations: Annotated[int, Range(1, 100)] = 8
    """Alternations of member half and title half."""
    regularisation: Annotated[float, Range(1e-9, 1e6)] = 1.0
    """L2 on both halves."""
    regularisation_scaling: Annotated[float, Range(0, 1)] = 0.0
    """Power of a row's number of engagements that its L2 is multiplied by: 0 as Hu et al. have it, 1 as MLlib has."""
    alpha: Annotated[float, Range(0, 1e6)] = 10.0
    """Confidence of an engagement of quality 1 is 1 + alpha; far above 1,000 members' factors lose digits."""
    solver: Annotated[str, OneOf(("broadcast", "mllib"))] = "broadcast"
    """broadcast streams members past the title factors; mllib is the reference (at regularisation_scaling 1)."""
    title_sums_megabytes: Annotated[float, Range(1, 1e5)] = 512.0
    """Most memory of a task for what the title half needs, 4 x rank x (rank + 1) bytes a title: past it an iteration
    takes several passes, each for a slice of the titles."""
    checkpoints: str = ""
    """Folder the driver can write to, in which title factors are kept after each iteration: the same training, killed
    and started again, goes on from there. Empty: none are kept."""
    fold_in_only: bool = False
    """Train nothing: give all members, new and changed ones too, vectors of the model there is, as of t0 and t1."""
    seed: int = 7
    """Of the first title factors."""
    play_quality: Annotated[float, Range(0, 1)] = 0.3
    """Quality of a play of which nobody said how much was watched."""
    search_weight: Annotated[float, Range(0, 10)] = 0.25
    """What a search that names a genre adds to the member's engagement with it; a film watched to its end adds 1."""
    prior_strength: Annotated[float, Range(1e-3, 1e6)] = 2.0
    """Engagements that the population's genre mix counts for in a member's."""


@dataclass(frozen=True)
class ResponseSettings:
    """train-response."""

    l2: tuple[float, ...] = (30.0, 100.0, 300.0, 1000.0, 3000.0)
    """Strengths tried; a later time slice chooses. On vectors of unit variance, so that strength L lets an artwork's
    effect vary among members by about sqrt(member dimensions / L) in log odds."""
    artwork_dimensions: Annotated[int, Range(2, 64)] = 12
    """Principal directions of the feature vector that interact with members."""
    iterations: Annotated[int, Range(1, 100)] = 12
    """Most Newton steps; L-BFGS gets ten passes for each."""
    solver: Annotated[str, OneOf(("auto", "newton", "lbfgs"))] = "auto"
    """Of member weights on all days: Newton's method, whose passes cost the square of their number, or L-BFGS, which
    takes more and cheaper passes. auto: L-BFGS past 500 weights (member dimensions x artwork dimensions)."""
    weight_clip: Annotated[float, Range(1, 1e6)] = 20.0
    """Largest inverse-propensity weight of a decision in a region's figures, relative to uniform artwork."""


@dataclass(frozen=True)
class AssignSettings:
    """assign-artwork."""

    policy_id: str = ""
    """Name of the policy; empty: derived from models and settings, so that the same inputs give the same name."""
    explore: Annotated[str, OneOf(("epsilon-greedy", "softmax", "thompson", "best", "uniform"))] = "epsilon-greedy"
    """How the served artwork is drawn; thompson takes each as often as it is best among draws from the posterior."""
    exploration: Annotated[float, Range(0, 1)] = 0.05
    """Share of decisions drawn uniformly (epsilon-greedy)."""
    temperature: Annotated[float, Range(1e-4, 100)] = 0.1
    """Of softmax, in log reward: lower is closer to always the best."""
    draws: Annotated[int, Range(1, 4096)] = 64
    """Posterior draws of thompson; propensities are multiples of 1 / draws."""
    minimum_gain: Annotated[float, Range(0, 10)] = 0.02
    """Expected gain in log reward below which a member keeps their level's default."""
    floor: Annotated[float, Range(0, 0.5)] = 0.0
    """Least probability of every artwork that may be shown, whatever ``explore`` says."""
    cold_exploration: Annotated[float, Range(0, 1)] = 0.0
    """Share of a title's decisions drawn evenly among its artworks while one of them is new."""
    cold_decisions: Annotated[float, Range(1, 1e9)] = 1000.0
    """Decisions of the title's least seen artwork after which ``cold_exploration`` has halved."""
    budget: Annotated[float, Range(0, 1)] = 1.0
    """Most expected share of decisions over the catalogue that do not show their level's best; ``cold_exploration`` is
    cut to it, and what is spent without it must lie within."""
    reward_budget: Annotated[float, Range(0, 1)] = 1.0
    """Most expected reward that this exploration may cost, as a share of what the levels' best would bring; it cuts
    ``cold_exploration`` as ``budget`` does."""
    stay_days: Annotated[int, Range(1, 365)] = 1
    """Days for which a member's artwork of a title stays as it is; members change on different days."""
    stay_gain: Annotated[float, Range(0, 10)] = 0.1
    """Expected gain in log reward above which a new policy changes a member's artwork before these days are over."""
    likely_titles: Annotated[int, Range(0, 1_000_000)] = 0
    """Titles of highest affinity for which a member may have artwork of their own; the others show their level's
    default. 0: all titles."""
    segments: Annotated[int, Range(0, 255)] = 8
    """Most segments of members with a like taste; each has a default of its own where it gains ``minimum_gain`` over
    its region's. Those of fewer than privacy.smallest_cell members are dissolved. 0: none."""
    contexts: bool = True
    """Whether levels have defaults of their own on a device, in a part of the day and in both, where the response model
    found that these matter and another gains ``minimum_gain``. None are written where ``stay_days`` is over 1."""
    salt: str = "artwork-1"
    """Of the exploration draw; changing it redraws everyone."""
    day: date | None = None
    """Day for which windows and pins are looked at; null: today (UTC). The resolver looks at them day by day."""


@dataclass(frozen=True)
class EvaluateSettings:
    """evaluate-policy."""

    policy_id: str = ""
    """Policy to evaluate; empty: the newest; several with commas between them, or "all" of the table policies: they are
    judged in one pass."""
    behaviours: tuple[str, ...] = ("uniform", "global", "region", "context", "segment", "user", "served")
    """Of each policy: an even draw (always), greedy at each level (context: the region's on the decision's device
    and in its part of the day, segment: of taste, each where a policy has any), and as served with its exploration."""
    slices: tuple[str, ...] = ("region", "device", "segment", "title age", "history")
    """Parts of the decisions that are also looked at alone; segment is the genre a member engaged with most."""
    pages: bool = True
    """Whether what a member saw on a day is also judged as a whole."""
    smallest_ess: Annotated[float, Range(1, 1e9)] = 200.0
    """Below this effective sample size nothing is claimed."""
    smallest_takes: Annotated[float, Range(0, 1e9)] = 15.0
    """Takes of alike weight that would make an estimate as skewed as the log's weights do (at the rate of takes of the
    days before the test); with fewer, nothing is said: 95% intervals would hold the truth in less than 93 of 100
    logs."""
    claim_level: Annotated[float, Range(0.5, 0.9999)] = 0.99
    """A lift is claimed where its interval at this level lies above 0."""
    largest_no_overlap: Annotated[float, Range(0, 1)] = 0.1
    """Share of decisions in which the logged policy could not have shown the choice; above it nothing is said."""
    largest_weight_share: Annotated[float, Range(1e-6, 1)] = 0.25
    """Share of all takes that one more take of the largest weight would make; above it nothing is said."""
    weight_clip: Annotated[float, Range(1, 1e6)] = 20.0
    """Largest weight in clipped IPS; where weights exceed it, Switch-DR goes over to the reward model."""
    folds: Annotated[int, Range(0, 100)] = 5
    """Folds of members for the reward model: who is judged has no part in it. 0: rates from before the test days, and
    the response model for all members, whether it was fitted on them or not. The driver holds folds x regions x
    artworks counts."""
    replicates: Annotated[int, Range(0, 10_000)] = 100
    """Bootstrap replicates by member; 0: analytic intervals only."""
    seed: int = 7
    """Of folds and replicates."""
    plan_width: Annotated[float, Range(0, 1)] = 0.0
    """Width of a 95% interval of a policy's reward (--plan): say how much the log must explore for it; 0: nothing."""


@dataclass(frozen=True)
class ExperimentSettings:
    """experiment plan, experiment register and analyze-experiment. What is registered is what the analysis obeys."""

    action: Annotated[str, OneOf(("plan", "register"))] = "plan"
    """plan says how many members and days are needed; register also writes the experiment's row."""
    experiment_id: str = ""
    """Name of the experiment; part of the hash that splits its members."""
    name: str = ""
    """As the report calls it; empty: experiment_id."""
    variants: tuple[str, ...] = ()
    """policy_ids, control first."""
    arms: Annotated[int, Range(2, 100)] = 2
    """Variants to plan for where none are named."""
    shares: tuple[float, ...] = ()
    """Of the variants, summing to 1; empty: alike."""
    metric: str = "reward"
    """What decides, per member over all titles: reward, minutes, active_days, ... (--metric)."""
    secondary: tuple[str, ...] = ("minutes", "take_fraction", "active_days")
    """Further metrics, adjusted together for the false-discovery rate."""
    guardrails: dict[str, str] = field(
        default_factory=lambda: {
            "abandonment": "0.05",
            "session_minutes": "0.02",
            "return": "0.02",
            "cancellation": "0.1",
            "titles": "0.02",
        }
    )
    """Metric: the relative loss that could be borne; each must be shown to be smaller before anything ships."""
    minimum_effect: Annotated[float, Range(0.0001, 10)] = 0.02
    """Relative effect on the metric that is worth finding (--effect)."""
    power: Annotated[float, Range(0.05, 0.999)] = 0.8
    """Chance of finding it (--power)."""
    alpha: Annotated[float, Range(0.0001, 0.5)] = 0.05
    """Chance of finding something where nothing is, over all variants together."""
    looks: Annotated[str, OneOf(("continuous", "once"))] = "continuous"
    """continuous: intervals that stay valid however often one looks; once: narrower, and no verdict before the end."""
    layer: str = "artwork"
    """Experiments of one layer share no member; those of different layers are independent."""
    salt: str = "experiments-1"
    """Of the split; changing it redraws everyone."""
    traffic_from: Annotated[float, Range(0, 1)] = 0.0
    """First part of the layer that the experiment takes."""
    traffic_to: Annotated[float, Range(0, 1)] = 1.0
    """End of that part."""
    holdout: Annotated[float, Range(0, 0.5)] = 0.0
    """Share of all members who keep frozen artwork and are in no experiment: incrementality is told by them."""
    from_day: date | None = None
    """First day."""
    to_day: date | None = None
    """Day after the last; null while it is open."""
    before_days: Annotated[int, Range(0, 365)] = 28
    """Days before the experiment whose figures CUPED takes out of the variance."""
    novelty_days: Annotated[int, Range(1, 60)] = 14
    """Days since exposure by which the effect is shown."""
    quantiles: tuple[float, ...] = (0.5, 0.9)
    """Of minutes watched in a take."""
    artworks: bool = False
    """Also every artwork against its title's average, thousands at once: a pass more over the decisions."""
    cost_per_1000_decisions: Annotated[float, Range(0, 1e9)] = 0.0
    """What serving the variants costs more than control, in your money; 0: no price."""
    most_per_minute: Annotated[float, Range(0, 1e9)] = 0.0
    """Most that an incremental minute may cost; 0: no limit."""
    baseline_mean: float = 0.0
    """For a plan without logs: the metric's mean per member; 0 reads the decisions table."""
    baseline_sd: Annotated[float, Range(0, 1e12)] = 0.0
    """Its standard deviation between members."""
    baseline_members: Annotated[float, Range(0, 1e12)] = 0.0
    """New members who come by in a day, for a plan without logs; 0: members alone are planned."""


@dataclass(frozen=True)
class ResponsibilitySettings:
    """measure-policy, and the limits that assign-artwork obeys."""

    policy_id: str = ""
    """Policy to measure; empty: the newest."""
    most_same_look: Annotated[float, Range(0.05, 1)] = 1.0
    """Most of a member's titles that may be shown with pictures of one look; their weakest overrides beyond it go back
    to the level's default. 1: no limit."""
    most_abandonment: Annotated[float, Range(1, 100)] = 100.0
    """Artworks whose takes are abandoned more than this times as often as their title's are not assigned, where that is
    shown at the 99% level. 100: no limit."""
    limits: dict[str, str] = field(default_factory=dict)
    """Measure of measure-policy: lowest and highest value allowed, as low..high, either may be empty. A policy outside
    is not served (the newest one within its limits is, unless a policy is named), and the cards say so."""
    enforce: bool = False
    """Whether measure-policy also fails where a measure lies outside its limit, so that a pipeline stops there."""
    niche_share: Annotated[float, Range(0.05, 0.95)] = 0.5
    """The titles with fewest takes that are called niche, as a share of all titles."""


@dataclass(frozen=True)
class PromoteSettings:
    """promote."""

    policy_id: str = ""
    """Candidate (--policy); empty: the newest. A policy that was rolled back comes back only by name. With rollback:
    the champion that is to go, so that asking twice does no more than asking once."""
    rollback: bool = False
    """Let the champion before serve again (--rollback); nothing is compared."""
    margin: Annotated[float, Range(0, 1)] = 0.01
    """What a candidate may lose at most, as a share of the champion's reward: the lower bound of the paired difference
    must lie above minus this. 0: it must be proven better."""
    level: Annotated[float, Range(0.5, 0.9999)] = 0.95
    """Of the one-sided lower bound, before it is corrected for the comparisons made: the k-th has
    1 - (1 - level) / (k (k + 1))."""
    lowest_slope: Annotated[float, Range(0, 1)] = 0.9
    """Calibration slopes of the candidate's response model on later days: refused where a slope's 95% interval lies
    wholly below."""
    highest_slope: Annotated[float, Range(1, 10)] = 1.1
    """Likewise above."""


@dataclass(frozen=True)
class ReportSettings:
    """build-report."""

    folder: str = ""
    """Where the site goes; empty: report/ beside the tables."""
    members: Annotated[int, Range(0, 1_000)] = 12
    """How many sampled members are shown (pseudonymous)."""
    member_keys: tuple[str, ...] = ()
    """Members who are shown before the sample: their user_key, or at least 8 of its first characters."""
    titles: Annotated[int, Range(1, 1_000_000)] = 20_000
    """Most titles that get a page; the first by name."""
    policies: Annotated[int, Range(1, 20)] = 3
    """How many policies, the newest first, one can switch between on the wall."""
    candidates: Annotated[int, Range(0, 10_000)] = 60
    """Most candidates shown of a title; the best of each shot come first."""
    artwork_width: Annotated[int, Range(160, 3840)] = 640
    """Pixels of an artwork's picture on the pages."""
    candidate_width: Annotated[int, Range(80, 1920)] = 320
    """Pixels of a candidate's picture on the pages."""


@dataclass(frozen=True)
class ExplainSettings:
    """explain-artwork and explain."""

    artwork_id: str = ""
    """The artwork's id, or its beginning; of a candidate that was not chosen, its image's hash."""
    user: str = ""
    """explain: a member's id as the logs have it (hashed under the key in the environment), or their user_key."""
    title: str = ""
    """explain: a title's id or name."""
    context: str = ""
    """explain: the device and the part of the day, such as tv|evening, tv|* or *|evening; empty: in none."""
    out: str = ""
    """HTML file that shows the explanation beside the picture (--out); empty: the terminal only."""


@dataclass(frozen=True)
class DemoSettings:
    """The demo's films and simulated audience."""

    seed: int = 7
    """Of films, audience and logs."""
    world: Annotated[str, OneOf(("taste", "null", "homogeneous"))] = "taste"
    """taste: members and regions differ; null: artwork does not matter; homogeneous: all members alike."""
    titles: Annotated[int, Range(2, 64)] = 12
    """Films made when none are given."""
    members: Annotated[int, Range(100, 10_000_000)] = 20_000
    """Simulated members."""
    days: Annotated[int, Range(6, 365)] = 28
    """Days with logged decisions; as many days of history lie before them."""
    oracle_lift: Annotated[float, Range(0.05, 0.3)] = 0.25
    """Lift over uniform of the best policy on observable context, to which every world but null is calibrated; less
    where the artworks differ too little for it."""
    take_rate: Annotated[float, Range(0.01, 0.05)] = 0.03
    """Takes per decision under uniform artwork, to which the audience is calibrated."""


@dataclass(frozen=True)
class PublishSettings:
    """publish."""

    policy_id: str = ""
    """Policy to write; empty: the one that serves (the champion; without one, the newest within its limits)."""
    folder: str = ""
    """Folder of the bundles, seen by all machines under one path (--out). Empty: bundles, beside the tables."""
    shards: Annotated[int, Range(1, 100_000)] = 64
    """Files that members' overrides are spread over; one of them has to fit a task's memory."""
    images: Annotated[str, OneOf(("none", "preview", "full"))] = "preview"
    """Pictures of active artworks in the bundle: 640 pixels across, as they are, or none."""
    largest_image: Annotated[int, Range(1, 1_000_000_000)] = 5_000_000
    """Bytes; larger pictures are left out."""
    keep: Annotated[int, Range(1, 1_000)] = 2
    """Bundles kept in the folder, the new one among them; older ones are removed. 1 after members were erased."""


@dataclass(frozen=True)
class ServeSettings:
    """serve."""

    bundle: str = ""
    """Bundle, pointer file or folder of bundles (--bundle); a pointer is followed when it changes."""
    host: str = "127.0.0.1"
    """Address to listen on. There is no login: put it where members' applications' own servers can reach it only."""
    port: Annotated[int, Range(0, 65_535)] = 8080
    """0: any that is free, which is printed."""
    verify: bool = True
    """Read every byte of a bundle before it is served."""
    poll_seconds: Annotated[float, Range(0.05, 3_600)] = 1.0
    """Between looks at the pointer."""
    remembered: Annotated[int, Range(1, 100_000_000)] = 65_536
    """Titles by region, context and day kept in memory, about two kilobytes each."""
    most_alike: Annotated[float, Range(-1, 1)] = 0.9
    """Neighbours on a page look alike where the cosine of their standardised features is above this."""
    log_folder: str = ""
    """Folder that exposures are logged to, as files that ingest-events and stream-feedback read; empty: none is."""
    log_bytes: Annotated[int, Range(1_000, 100_000_000_000)] = 64_000_000
    """A log file is closed at this size."""
    log_seconds: Annotated[float, Range(0.1, 86_400)] = 300.0
    """A log file is closed at this age; only then do jobs see it."""


@dataclass(frozen=True)
class SimulateSettings:
    """simulate. What members are like comes from the section demo (world, take_rate, oracle_lift)."""

    out: str = ""
    """Folder or URL that all machines see and the log is written to (--out); what an earlier simulation left there is
    replaced."""
    format: Annotated[str, OneOf(("parquet", "json"))] = "parquet"
    """json means JSON lines, which take several times as long to write."""
    seed: int = 7
    """Of members, catalogue and all that happens. The log does not depend on the number of cores or tasks."""
    members: Annotated[int, Range(1, 10_000_000_000)] = 100_000
    """Members. With the other defaults each leaves about 120 events."""
    titles: Annotated[int, Range(2, 1_000_000)] = 1_000
    """Titles with artworks that are made where the root has no table titles."""
    artworks: Annotated[int, Range(2, 64)] = 8
    """Artworks made for each of them."""
    days: Annotated[int, Range(2, 365)] = 28
    """Days with decisions; as many days of viewing lie before them, three after."""
    title_tail: Annotated[float, Range(0, 3)] = 0.8
    """Titles reach the home page in proportion to 1 / rank to this power; 0: all alike."""
    user_tail: Annotated[float, Range(0, 3)] = 1.2
    """Spread of the logarithm of how much members visit and watch; 0: all alike."""
    drift: Annotated[float, Range(0, 5)] = 0.0
    """How far titles' appeal moves within 28 days: a standard deviation, in log odds of a take."""
    bots: Annotated[float, Range(0, 1)] = 0.0
    """Share of members that are programs: they come every day, take every other title and watch nothing."""
    deliveries: Annotated[int, Range(1, 365)] = 1
    """Parts of alike many days; with more than one, each lies in a folder delivery=N of its own."""
    late: Annotated[float, Range(0, 1)] = 0.0
    """Share of events that come one delivery late."""
    disordered: Annotated[float, Range(0, 1)] = 0.0
    """Share of events that stand anywhere in their file instead of in the order of time."""
    duplicates: Annotated[float, Range(0, 1)] = 0.0
    """Events delivered again, a good event; half of them with the next delivery."""
    future: Annotated[float, Range(0, 1)] = 0.0
    """Rows dated 2099, a good event. These and the next two are additions that ingest-events sets aside."""
    malformed: Annotated[float, Range(0, 1)] = 0.0
    """Rows without a member, of an unknown type (in JSON: cut off), or with an hour or a propensity that cannot be."""
    unknown: Annotated[float, Range(0, 1)] = 0.0
    """Rows of titles or artworks that no catalogue has."""


@dataclass(frozen=True)
class Settings:
    """All sections of a configuration file."""

    tables: str = "build/tables"
    """Where the Delta tables lie: a folder, a URL, or catalog:name.schema (--tables)."""
    session: SessionSettings = SessionSettings()
    """How Spark is reached."""
    logging: LoggingSettings = LoggingSettings()
    """How every job logs."""
    metrics: MetricsSettings = MetricsSettings()
    """Figures for a monitoring system."""
    pipeline: PipelineSettings = PipelineSettings()
    """run-pipeline and status."""
    maintain: MaintainSettings = MaintainSettings()
    """maintain."""
    tracking: TrackingSettings = TrackingSettings()
    """How MLflow is reached."""
    privacy: PrivacySettings = PrivacySettings()
    """How members are kept pseudonymous."""
    time: TimeSettings = TimeSettings()
    """The order of time."""
    sources: SourcesSettings = SourcesSettings()
    """What lists of others may name."""
    catalog: CatalogSettings = CatalogSettings()
    """ingest-catalog."""
    scan: ScanSettings = ScanSettings()
    """scan-videos."""
    select: SelectSettings = SelectSettings()
    """select-artwork."""
    events: EventsSettings = EventsSettings()
    """ingest-events."""
    stream: StreamSettings = StreamSettings()
    """stream-feedback."""
    taste: TasteSettings = TasteSettings()
    """train-taste."""
    response: ResponseSettings = ResponseSettings()
    """train-response."""
    assign: AssignSettings = AssignSettings()
    """assign-artwork."""
    evaluate: EvaluateSettings = EvaluateSettings()
    """evaluate-policy."""
    experiment: ExperimentSettings = ExperimentSettings()
    """experiment and analyze-experiment."""
    responsibility: ResponsibilitySettings = ResponsibilitySettings()
    """measure-policy and the limits of assign-artwork."""
    promote: PromoteSettings = PromoteSettings()
    """promote."""
    report: ReportSettings = ReportSettings()
    """build-report."""
    explain: ExplainSettings = ExplainSettings()
    """explain-artwork and explain."""
    erase: EraseSettings = EraseSettings()
    """erase-members and export-member."""
    publish: PublishSettings = PublishSettings()
    """publish."""
    serve: ServeSettings = ServeSettings()
    """serve."""
    demo: DemoSettings = DemoSettings()
    """The demo."""
    simulate: SimulateSettings = SimulateSettings()
    """simulate."""
    regions: dict[str, str] = field(default_factory=dict)
    """Region: its parent region. A region that is not named has the parent "other"."""
