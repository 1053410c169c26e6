"""The tables of keyart: one StructType constant each, with its key, checked at every read and write.

Times are UTC. ``pts`` counts the film's own time base; ``seconds`` are pts x time base. Shares and probabilities lie in
[0, 1]. Image signals are on [0, 1] unless their comment gives another unit.
"""

from dataclasses import dataclass

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from keyart.errors import SchemaError
from keyart.migrations import Added, Step

__all__ = ["TABLES", "TableSpec", "check_schema"]

TEXT, LONG, INT, DOUBLE, FLAG = StringType(), LongType(), IntegerType(), DoubleType(), BooleanType()
DAY, INSTANT, BYTES = DateType(), TimestampType(), BinaryType()
TEXTS, DOUBLES, FLOATS = ArrayType(TEXT, False), ArrayType(DOUBLE, False), ArrayType(FloatType(), False)


def _fields(*columns: tuple[str, DataType, str]) -> StructType:
    """Columns as (name, type, comment); a name ending in "?" may be null."""
    return StructType(
        [StructField(name.rstrip("?"), kind, name.endswith("?"), {"comment": about}) for name, kind, about in columns]
    )


@dataclass(frozen=True)
class TableSpec:
    """What a table holds: its schema, the columns that identify a row, those it is clustered by (4 at most), and what
    became of its columns since its first version."""

    about: str
    schema: StructType
    key: tuple[str, ...]
    cluster: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def version(self) -> int:
        """Of its columns; it stands in the table's properties."""
        return 1 + len(self.steps)


RIGHTS = StructType(
    [StructField("region", TEXT, False), StructField("from_date", DAY, True), StructField("to_date", DAY, True)]
)

TITLES = _fields(
    ("title_id", TEXT, "stable id from the manifest, or the file's stem"),
    ("name", TEXT, "as shown to members"),
    ("genres", TEXTS, "lower case; may be empty"),
    ("maturity_rating?", TEXT, "as the manifest writes it"),
    ("kids", FLAG, "shown on kids' profiles"),
    ("regions", TEXTS, "where the title may be shown; empty means everywhere"),
    ("rights", ArrayType(RIGHTS, False), "windows per region"),
    ("cast_names", TEXTS, "main cast first, if known"),
    ("creators?", TEXTS, "who made it, if known: exposure of niche creators is measured"),
)

VIDEOS = _fields(
    ("video_id", TEXT, "hash of title_id and the file's address"),
    ("title_id", TEXT, ""),
    ("uri", TEXT, "local path or URL"),
    ("fingerprint", TEXT, "hash of size and content samples: changes when the film does"),
    ("size_bytes", LONG, ""),
    ("codec", TEXT, ""),
    ("width", INT, "coded pixels"),
    ("height", INT, "coded pixels"),
    ("rotation", INT, "degrees clockwise that a player turns the picture"),
    ("time_base_num", INT, "seconds per pts, numerator"),
    ("time_base_den", INT, "seconds per pts, denominator"),
    ("duration_seconds?", DOUBLE, "as the container says; null where it does not"),
    ("frame_rate?", DOUBLE, "average frames per second, as the container says"),
    ("current_scan_id?", TEXT, "the scan whose rows are visible; null before the first"),
    ("scanned_fingerprint?", TEXT, "fingerprint of what current_scan_id saw"),
    ("pts_repaired?", FLAG, "the film's pts are missing or doubled: it was read whole, and they were made to ascend"),
)

FRAMES = _fields(
    ("scan_id", TEXT, ""),
    ("video_id", TEXT, ""),
    ("segment", INT, "which segment of the plan decoded it"),
    ("pts", LONG, "presentation time, time-base units"),
    ("seconds", DOUBLE, "pts x time base"),
    ("keyframe", FLAG, "decodable on its own"),
    ("damaged", FLAG, "it, or a frame since the last keyframe, was decoded with errors"),
    ("luma_mean", DOUBLE, "mean of Y over [0, 1], black to white; of HDR film, code values"),
    ("luma_spread", DOUBLE, "standard deviation of Y over [0, 1]"),
    ("shadows", DOUBLE, "share of the picture clipped to black"),
    ("highlights", DOUBLE, "share of the picture clipped to white"),
    ("contrast", DOUBLE, "95th minus 5th percentile of Y over [0, 1]"),
    ("colourfulness", DOUBLE, "Hasler and Suesstrunk 2003 on chroma planes, scaled to about [0, 1]"),
    ("hue", DOUBLE, "dominant hue: degrees on the Cb, Cr plane, [0, 360), of the 30 degrees that hold most saturation"),
    ("warmth", DOUBLE, "mean of Cr - Cb, each over [-0.5, 0.5]: [-1, 1]; positive is warm"),
    ("sharpness", DOUBLE, "variance of the Laplacian of Y, log-scaled to [0, 1]"),
    (
        "motion_blur",
        DOUBLE,
        "1 - smallest over largest directional gradient energy, [0, 1]; 1 is smeared along one direction",
    ),
    ("noise", DOUBLE, "Immerkaer 1996: standard deviation of the noise of Y over [0, 1]"),
    ("bar_top", DOUBLE, "share of the height that is black bar, at the top and again at the bottom"),
    ("bar_left", DOUBLE, "share of the width that is black bar, at the left and again at the right"),
    ("difference", DOUBLE, "mean absolute difference of Y to the next frame, over [0, 1]; 0 for a film's last"),
    ("camera_motion", DOUBLE, "global displacement to the next frame, share of the width"),
    ("subject_motion", DOUBLE, "what of difference the global displacement leaves, over [0, 1]"),
)

SCAN_SEGMENTS = _fields(
    ("scan_id", TEXT, ""),
    ("video_id", TEXT, ""),
    ("segment", INT, "0, 1, ... in order of time"),
    ("part", INT, "0, 1, ... within the segment; the last has no frames and says how the segment ended"),
    ("start_pts?", LONG, "keyframe that the segment starts at; null for the film's beginning"),
    ("end_pts?", LONG, "the next segment's keyframe; null for the film's end"),
    ("repair", FLAG, "pts were made to ascend"),
    ("frames", LONG, "in this part"),
    ("first_pts?", LONG, ""),
    ("last_pts?", LONG, ""),
    ("pts", BYTES, "int64 a frame"),
    ("keyframe", BYTES, "a byte a frame"),
    ("damaged", BYTES, "a byte a frame"),
    ("signals", BYTES, "float64, 16 a frame: the signals of frames in their order"),
    ("thumbs", BYTES, "luma of 48 x 27 a frame, on which shots are found"),
    ("ended", FLAG, "this is the segment's last row: it has landed whole"),
    ("lost?", LONG, "frames of the segment that did not come out; of the last row"),
    ("irregular?", FLAG, "the frames contradict the plan; of the last row"),
    ("reason?", TEXT, "why frames are lost or damaged; of the last row"),
)

SHOTS = _fields(
    ("scan_id", TEXT, ""),
    ("video_id", TEXT, ""),
    ("shot_id", INT, "0, 1, ... in order of time"),
    ("start_pts", LONG, "first frame of the shot"),
    ("end_pts", LONG, "first frame after it (half-open); one frame past the last for the final shot"),
    ("start_seconds", DOUBLE, ""),
    ("end_seconds", DOUBLE, ""),
    ("start_frame", LONG, "index in presentation order"),
    ("end_frame", LONG, "half-open"),
    ("transition_in", TEXT, "start, cut, dissolve or fade"),
    ("luma_mean", DOUBLE, "mean over the shot's frames"),
    ("warmth", DOUBLE, "mean over the shot's frames"),
    ("motion", DOUBLE, "mean difference between the shot's frames"),
)

FACE = StructType(
    [
        StructField("x", DOUBLE, False),  # left edge, share of the width
        StructField("y", DOUBLE, False),  # top edge, share of the height
        StructField("width", DOUBLE, False),  # share of the width
        StructField("height", DOUBLE, False),  # share of the height
        StructField("score", DOUBLE, False),  # detector's confidence
        StructField("landmarks", DOUBLES, False),  # x, y pairs as shares: eyes, nose, mouth corners; may be empty
    ]
)

FACE_DETAIL = StructType(
    [
        StructField("pose", TEXT, False),  # frontal, three-quarter, profile or unknown
        StructField("frontal", DOUBLE, False),  # 1 looks at us, 0 does not
        StructField("eyes_open", DOUBLE, True),  # null where the face is too small or turned away
        StructField("smile", DOUBLE, True),
        StructField("cluster", INT, True),  # which person of the title, 0 is longest on screen; set on artworks
        StructField("embedding", FLOATS, False),  # of candidates that could win; empty on artworks, which are shown
    ]
)

SIGHTING = StructType(
    [
        StructField("label", TEXT, False),  # plug-in:label
        StructField("score", DOUBLE, False),
        StructField("x", DOUBLE, False),  # shares of the picture; the whole of it for a classifier
        StructField("y", DOUBLE, False),
        StructField("width", DOUBLE, False),
        StructField("height", DOUBLE, False),
    ]
)

CANDIDATES = _fields(
    ("scan_id", TEXT, ""),
    ("video_id", TEXT, ""),
    ("title_id", TEXT, ""),
    ("pts", LONG, "0, 1, ... for images that come from no film"),
    ("seconds", DOUBLE, ""),
    ("shot_id", INT, ""),
    ("shot_share", DOUBLE, "share of the film's running time that the shot takes"),
    ("position", DOUBLE, "where in the film: 0 first frame, 1 last"),
    ("camera_motion", DOUBLE, "as in frames, at this moment"),
    ("subject_motion", DOUBLE, "as in frames, at this moment"),
    ("quality", DOUBLE, "technical: sharp, well exposed, still; comparable within a film"),
    ("image_hash", TEXT, "into images"),
    ("width", INT, "pixels of the stored image"),
    ("height", INT, ""),
    ("features?", DOUBLES, "the feature vector; null until select-artwork looked at it"),
    ("feature_version?", TEXT, ""),
    ("faces?", ArrayType(FACE, False), ""),
    ("face_details?", ArrayType(FACE_DETAIL, False), "in the order of faces"),
    ("sightings?", ArrayType(SIGHTING, False), "what plug-ins saw"),
    ("looked_with?", TEXT, "the detectors that looked: faces, then text, cast and plug-ins if it could win"),
    ("score?", DOUBLE, "what the ranking gave, comparable within a title"),
    ("verdict?", TEXT, "selected, or why not, in words"),
)

IMAGES = _fields(
    ("image_hash", TEXT, "sha256 of the bytes"),
    ("mime", TEXT, ""),
    ("width", INT, "pixels"),
    ("height", INT, "pixels"),
    ("content", BYTES, "the encoded image"),
    ("preview?", BYTES, "as a JPEG of 640 pixels across, for pages; null where content is no wider or nobody made one"),
)

CROP = StructType(
    [
        StructField("aspect", TEXT, False),  # 16:9, 2:3, 1:1, 4:1
        StructField("x", DOUBLE, False),  # shares of the image's width and height
        StructField("y", DOUBLE, False),
        StructField("width", DOUBLE, False),
        StructField("height", DOUBLE, False),
    ]
)

ARTWORKS = _fields(
    ("artwork_id", TEXT, "hash of title and image"),
    ("title_id", TEXT, ""),
    ("video_id?", TEXT, "null for uploads"),
    ("scan_id?", TEXT, ""),
    ("pts?", LONG, ""),
    ("seconds?", DOUBLE, ""),
    ("shot_id?", INT, ""),
    ("image_hash", TEXT, "into images"),
    ("parent_artwork_id?", TEXT, "what a variant was made from"),
    ("variant", TEXT, "original, or the variant's name"),
    ("features", DOUBLES, "the feature vector"),
    ("feature_version", TEXT, ""),
    ("faces", ArrayType(FACE, False), ""),
    ("cast_clusters", ArrayType(INT, False), "which people of the title it shows; 0 is longest on screen"),
    ("cast_prominence?", DOUBLES, "share of the people's screen time of each of cast_clusters"),
    ("face_details?", ArrayType(FACE_DETAIL, False), "in the order of faces, without embeddings"),
    ("sightings?", ArrayType(SIGHTING, False), "what plug-ins saw"),
    ("excluded_regions?", TEXTS, "where policy keeps it from being shown; assignment has to heed it"),
    ("shot_type", TEXT, "extreme close-up, close-up, medium, full, wide or none"),
    ("moods", TEXTS, "labels from visible signals"),
    ("flags", TEXTS, "what an editor should know: title-card, spoiler, ..."),
    ("crops", ArrayType(CROP, False), ""),
    ("score", DOUBLE, "comparable within a title"),
    ("rank", INT, "1 is the title's best single artwork before anyone saw it"),
    ("reason", TEXT, "why it was chosen, in words"),
    ("active", FLAG, "may be shown; artworks of older selections stay as rows, inactive"),
    ("only_regions?", TEXTS, "where alone it may be shown (a localised title); null: everywhere"),
)

TITLE_NAMES = _fields(
    ("title_id", TEXT, ""),
    ("language", TEXT, "as the manifest writes it, such as ja"),
    ("name", TEXT, "the title in that language"),
)

EDITOR_OVERRIDES = _fields(
    ("override_id", TEXT, "hash of the line"),
    ("title_id", TEXT, ""),
    ("action", TEXT, "pin, ban or upload"),
    ("artwork_id", TEXT, "what it speaks of; of a picture, the id that it has as the title's artwork"),
    ("image_hash?", TEXT, "of an upload, and of a picture that is pinned: it is uploaded too"),
    ("regions", TEXTS, "regions or parent regions where it holds; empty means everywhere"),
    ("rating?", TEXT, "holds for titles of this maturity rating only; null: of any"),
    ("from_date?", DAY, "first day; null: from ever"),
    ("until_date?", DAY, "day after the last; null: for ever"),
)

SCAN_FAILURES = _fields(
    ("scan_id", TEXT, ""),
    ("video_id", TEXT, ""),
    ("uri", TEXT, ""),
    ("segment", INT, "-1 for the whole film, -2 for its candidates' pictures"),
    ("reason", TEXT, "one line"),
    ("frames_lost?", LONG, "if known"),
)

EVENTS = _fields(
    ("event_id", TEXT, "from the log, else a hash of the row"),
    ("event_type", TEXT, "impression, take, play, stop, pause, ...: keyart.feedback.events.EVENT_TYPES"),
    ("user_key", TEXT, "keyed hash of the member's id, hexadecimal"),
    ("user_bucket", INT, "user_key's bucket, 0 to 63"),
    ("title_id?", TEXT, "null for events that concern no title (search, browse)"),
    ("artwork_id?", TEXT, "what was shown"),
    ("ts", INSTANT, "when it happened"),
    ("event_date", DAY, "of ts"),
    ("session_id?", TEXT, ""),
    ("region?", TEXT, ""),
    ("device?", TEXT, ""),
    ("local_hour?", INT, "0 to 23 where the member is"),
    ("local_weekday?", INT, "0 Monday to 6 Sunday where the member is"),
    ("kids?", FLAG, "a kids' profile"),
    ("surface?", TEXT, "home, search, title page, ..."),
    ("row?", INT, "0 is the page's first row"),
    ("position?", INT, "0 is the row's first title"),
    ("policy_id?", TEXT, "what chose the artwork"),
    ("segment?", TEXT, "the policy's, of members with a like taste, that the member was in then; of no kids' profile"),
    ("propensity?", DOUBLE, "probability with which the served artwork was chosen, given the title was shown"),
    ("candidate_set?", TEXTS, "artworks it was chosen from"),
    ("candidate_propensities?", DOUBLES, "the whole distribution, in the order of candidate_set"),
    ("already_started?", FLAG, "the member had started the title before this"),
    ("ranker_id?", TEXT, "the recommender that placed the title"),
    ("ranker_score?", DOUBLE, "the recommender's score of member x title"),
    ("source?", TEXT, "of a take or play: row, search, continue"),
    ("position_seconds?", DOUBLE, "in the film"),
    ("watched_seconds?", DOUBLE, "of a stop, complete or abandon: watched since the play"),
    ("rating?", DOUBLE, "of thumbs: 1 up, -1 down; of a rate event as the log has it"),
    ("query?", TEXT, "of a search"),
)

QUARANTINE = _fields(
    ("row_key", TEXT, "hash of member and row: the same bad row lands once"),
    ("user_key?", TEXT, "whose row it is, so that it can be erased; null where the row names no member"),
    ("source", TEXT, "file it came from"),
    ("reason", TEXT, "why it was set aside"),
    ("payload", TEXT, "the row as JSON without the member's id"),
    ("run_date", DAY, ""),
)

IMPRESSIONS = _fields(
    ("impression_id", TEXT, "the event's id"),
    ("decision_id", TEXT, ""),
    ("user_key", TEXT, ""),
    ("user_bucket", INT, ""),
    ("title_id", TEXT, ""),
    ("artwork_id", TEXT, ""),
    ("ts", INSTANT, ""),
    ("event_date", DAY, ""),
    ("session_id?", TEXT, ""),
    ("row?", INT, ""),
    ("position?", INT, ""),
)

DECISIONS = _fields(
    ("decision_id", TEXT, "hash of user_key, title and epoch"),
    ("user_key", TEXT, ""),
    ("user_bucket", INT, ""),
    ("title_id", TEXT, ""),
    ("epoch", DAY, "what is randomised: one member x title x day"),
    ("artwork_id", TEXT, "served"),
    ("candidate_set", TEXTS, ""),
    ("candidate_propensities", DOUBLES, "in the order of candidate_set; sums to 1"),
    ("propensity", DOUBLE, "of what was served"),
    ("policy_id", TEXT, ""),
    ("segment?", TEXT, "the policy's, that the member was in then; null where the log names none"),
    ("region", TEXT, "unknown where the log does not say"),
    ("device", TEXT, ""),
    ("day_part", TEXT, "night, morning, afternoon, evening"),
    ("kids", FLAG, ""),
    ("row?", INT, "of the first impression"),
    ("position?", INT, "of the first impression"),
    ("ranker_score?", DOUBLE, ""),
    ("already_started", FLAG, "fixed before the decision; such rows are set apart"),
    ("impressions", INT, "up to the first take"),
    ("first_ts", INSTANT, ""),
    ("take?", INT, "1 or 0; null while immature"),
    ("quality?", DOUBLE, "of what was watched, [0, 1]; null without a take"),
    ("minutes?", DOUBLE, "watched; null without a take"),
    ("abandoned?", FLAG, "left within the first part of the film; null without a take"),
    ("rewatched?", FLAG, "went back to a part of it, or watched it again; null without a take"),
    ("take_source?", TEXT, "row, search or continue"),
    ("reward?", DOUBLE, "take x quality; null while immature"),
    ("matured_at?", INSTANT, "when the outcome was final; null while immature"),
)

SESSIONS = _fields(
    ("session_key", TEXT, "hash of user_key, session_id and first time"),
    ("user_key", TEXT, ""),
    ("user_bucket", INT, ""),
    ("session_date", DAY, "UTC day it began on"),
    ("started_at", INSTANT, ""),
    ("seconds", DOUBLE, "from its first event to its last"),
    ("region", TEXT, "first named; else unknown"),
    ("device", TEXT, "first named; else unknown"),
    ("policy_id", TEXT, "of the first impression that names one; else unknown"),
    ("events", LONG, ""),
    ("events_later", LONG, "of these, after session_date"),
    ("impressions", LONG, ""),
    ("titles_before_play", INT, "different titles seen before the first play, or at all: how long the choice was"),
    ("seconds_to_play?", DOUBLE, "from the first event to the first play; null without one"),
    ("play_source?", TEXT, "of the first play: row, search or continue"),
    ("plays", LONG, ""),
    ("minutes", DOUBLE, "watched"),
    ("pauses", LONG, ""),
    ("rewinds", LONG, "and watching again"),
    ("abandons", LONG, ""),
    ("searches", LONG, ""),
    ("cancels", LONG, ""),
)

SESSION_STATS = _fields(
    ("session_date", DAY, ""),
    ("region", TEXT, ""),
    ("policy_id", TEXT, ""),
    ("members", LONG, "whose first session of the day it was"),
    ("sessions", LONG, ""),
    ("events", LONG, ""),
    ("with_play", LONG, "sessions with a play"),
    ("seconds", DOUBLE, "sum of lengths"),
    ("seconds_to_play", DOUBLE, "sum over sessions with a play"),
    ("titles_before_play", LONG, "sum over sessions with a play"),
    ("minutes", DOUBLE, "watched"),
    ("plays", LONG, ""),
    ("abandons", LONG, ""),
    ("rewinds", LONG, ""),
    ("searches", LONG, ""),
    ("cancels", LONG, ""),
    *(
        (f"{what}_{k}", LONG, f"members {about} {k} days")
        for k in (1, 7, 28)
        for what, about in (("could_return", "whose log goes on for"), ("returned", "of these with a session within"))
    ),
)

MOMENTS = _fields(
    ("title_id", TEXT, ""),
    ("second", DOUBLE, "of the film, at which the moment begins"),
    ("paused", LONG, "members who did; 0 where they are fewer than privacy.smallest_cell"),
    ("rewatched", LONG, "members who went back to here or watched it again; 0 as above"),
    ("left", LONG, "members who stopped here; 0 as above"),
    ("reached", LONG, "members who are known to have got here"),
)

EXAMINATION = _fields(
    ("axis", TEXT, "position (within its row) or row (of the page)"),
    ("place", INT, "0 is the first"),
    ("n", LONG, "decisions"),
    ("takes", LONG, ""),
    ("probability?", DOUBLE, "of being looked at, relative to the axis's first place; null: not identified"),
    ("log_sd?", DOUBLE, "standard error of its log"),
    ("verdict", TEXT, "ok or not identified"),
)

ARTWORK_STATS = _fields(
    ("event_date", DAY, ""),
    ("cell", TEXT, "region|device|day_part|artwork; before the artwork the segment, where there is one"),
    ("region", TEXT, ""),
    ("device", TEXT, ""),
    ("day_part", TEXT, ""),
    ("segment?", TEXT, "policy_id/segment, for a segment is one policy's; null where the log does not name both"),
    ("title_id", TEXT, ""),
    ("artwork_id", TEXT, ""),
    ("n", LONG, "matured decisions, already started titles apart"),
    ("takes", LONG, ""),
    ("w", DOUBLE, "sum of weights 1 / propensity"),
    ("w2", DOUBLE, "sum of squared weights"),
    ("wr", DOUBLE, "sum of weight x reward"),
    ("w2r2", DOUBLE, "sum of (weight x reward) squared"),
    ("reward", DOUBLE, "sum of rewards"),
)

DATA_QUALITY = _fields(
    ("run_key", TEXT, "hash of what was read"),
    ("measure", TEXT, ""),
    ("value", DOUBLE, ""),
    ("limit?", DOUBLE, "the run fails above it; null where none is set"),
    ("run_date", DAY, ""),
)

TASTE = _fields(
    ("user_key", TEXT, ""),
    ("user_bucket", INT, ""),
    ("as_of", DAY, "only events before this day were read"),
    ("taste_version", TEXT, "of the title factors; vectors of different versions do not mix"),
    ("factors", FLOATS, "ALS member factors"),
    ("genre_mix", FLOATS, "share of engagement by genre, in the taste model's order of genres"),
    ("history", INT, "titles engaged with"),
    ("region?", TEXT, "most frequent"),
    ("kids", FLAG, "a kids' profile: never personalised"),
)

REGION_ASSIGNMENTS = _fields(
    ("policy_id", TEXT, ""),
    ("level", TEXT, "segment, region, parent or global"),
    (
        "cell",
        TEXT,
        "name of the region or parent, * for global; of a segment the cell it narrows and its name: SE/taste-2, "
        "nordics/*/taste-2, */taste-2; it has rows only where its default differs from that cell's",
    ),
    (
        "context",
        TEXT,
        "device|day_part (tv|evening, tv|*, *|evening) or *; with online before it: as a stream moved what stands",
    ),
    ("title_id", TEXT, ""),
    ("artwork_id", TEXT, ""),
    ("probability", DOUBLE, "of being served at this level; sums to 1 over a title's artworks"),
    ("mean", DOUBLE, "posterior mean of the log of expected reward against the title's average artwork"),
    ("sd", DOUBLE, "posterior standard deviation"),
    ("n", LONG, "decisions the cell saw itself; of a segment those of the cell it narrows"),
    ("takes", LONG, ""),
    ("is_default", FLAG, "the level's best"),
    ("reason", TEXT, "what decided, in words"),
)

POLICY_WEIGHTS = _fields(
    ("policy_id", TEXT, ""),
    ("level", TEXT, "region, parent or global"),
    ("cell", TEXT, "name of the region or parent; * for global"),
    ("feature", TEXT, "of the feature vector"),
    ("weight", DOUBLE, "change in the log of expected reward a standard deviation of the feature"),
    ("sd?", DOUBLE, "standard deviation of what is known of the weight; null of a model that kept none"),
)

POLICY_SEGMENTS = _fields(
    ("policy_id", TEXT, ""),
    ("segment", TEXT, "taste-1 is the largest"),
    ("description", TEXT, "what its members watch and like, in words"),
    ("share", DOUBLE, "of the members that segments were found among"),
    ("centre", DOUBLES, "mean of its members' vectors, standardised as the response model does"),
)

POLICY_CALIBRATION = _fields(
    ("policy_id", TEXT, ""),
    ("measure", TEXT, "slope of chance, slope of artwork, reliability or uplift, of the response model on later days"),
    ("region", TEXT, "* all of them"),
    ("part", INT, "tenth of the predicted chance or gain, 1 to 10; 0 of a slope"),
    ("decisions", LONG, ""),
    ("predicted", DOUBLE, "mean chance or gain in it; 1 of a slope"),
    ("observed", DOUBLE, "take rate, doubly robust gain, or the slope"),
    ("standard_error", DOUBLE, "of the observed one, clustered by member"),
)

USER_ASSIGNMENTS = _fields(
    ("policy_id", TEXT, ""),
    ("user_key", TEXT, ""),
    ("user_bucket", INT, ""),
    ("version", LONG, "newest wins"),
    ("region?", TEXT, "the level they are overrides of"),
    ("title_ids", TEXTS, "only titles where the member's best differs from their level's default"),
    ("artwork_ids", TEXTS, "in the order of title_ids"),
    ("gains", FLOATS, "expected gain in log reward over the default"),
    ("reasons", TEXTS, "the feature that decided, in words"),
    ("segment?", TEXT, "whose default stands where they have no override; null: their region's"),
)

POLICIES = _fields(
    ("policy_id", TEXT, ""),
    ("kind", TEXT, "uniform, best, epsilon-greedy, softmax or thompson"),
    ("spec", TEXT, "JSON: exploration, limits, levels"),
    ("salt", TEXT, "name of the salt, not its value"),
    ("parent_policy_id?", TEXT, ""),
    ("models", TEXT, "JSON: name, version and run of each model; segments: genres of the taste model, in its order"),
    ("data_versions", TEXT, "JSON: Delta version of every input"),
    ("created_at", INSTANT, ""),
)

EVALUATIONS = _fields(
    ("evaluation_id", TEXT, "hash of policy, window and data versions"),
    ("policy_id", TEXT, ""),
    (
        "target",
        TEXT,
        "which behaviour: uniform, greedy (global, region, user) or as served with its exploration (served)",
    ),
    (
        "estimator",
        TEXT,
        "replay, ips, clipped, snips, dm, dr, sndr, switch; of pages: page-ips, -snips, -additive, -items",
    ),
    ("metric", TEXT, "reward (quality engagement) or take, a decision; page reward or page take, a page"),
    ("slice", TEXT, "* or dimension=value"),
    ("n", LONG, "decisions"),
    ("members", LONG, ""),
    ("estimate?", DOUBLE, "null where the verdict refuses"),
    ("lower?", DOUBLE, "of the 95% interval"),
    ("upper?", DOUBLE, ""),
    ("baseline", TEXT, "the target that lift is relative to"),
    ("lift?", DOUBLE, "relative to the baseline, from paired differences"),
    ("lift_lower?", DOUBLE, "of the 95% interval"),
    ("lift_upper?", DOUBLE, ""),
    ("claim", FLAG, "the lift's interval at evaluate.claim_level lies above 0"),
    ("ess", DOUBLE, "effective sample size of the weights"),
    ("max_weight", DOUBLE, ""),
    ("verdict", TEXT, "ok, or why nothing is said"),
    ("from_day", DAY, ""),
    ("to_day", DAY, "exclusive"),
    ("boot_lower?", DOUBLE, "of the 95% percentile interval of the bootstrap by member; null in slices"),
    ("boot_upper?", DOUBLE, ""),
    ("lift_boot_lower?", DOUBLE, ""),
    ("lift_boot_upper?", DOUBLE, ""),
    ("outside_single?", DOUBLE, "share of the window's matured decisions with one artwork only: not in the estimate"),
    ("outside_pinned?", DOUBLE, "share whose artwork had probability 1: not in the estimate"),
    ("outside_fallback?", DOUBLE, "share that served none of its candidates: not in the estimate"),
    ("reward_model?", TEXT, "what the direct method and doubly robust estimates rest on"),
)

EXPERIMENTS = _fields(
    ("experiment_id", TEXT, ""),
    ("name", TEXT, ""),
    ("variants", TEXTS, "policy_ids; the first is control"),
    ("shares", DOUBLES, "planned share of members of each"),
    ("metric", TEXT, "what decides"),
    ("salt", TEXT, "name of the salt"),
    ("layer", TEXT, "experiments of one layer share no member"),
    ("traffic_from", DOUBLE, "part of the layer that it takes"),
    ("traffic_to", DOUBLE, "exclusive"),
    ("holdout", DOUBLE, "share of all members who keep frozen artwork"),
    (
        "rules",
        TEXT,
        "JSON: minimum effect, power, alpha, looks, secondary metrics, guardrails, planned members and days",
    ),
    ("from_day", DAY, ""),
    ("to_day?", DAY, "exclusive"),
)

EVALUATION_BLOCKS = _fields(
    ("source", TEXT, "hash of all that the blocks were made from"),
    ("kind", TEXT, "block: members with their decisions; else what was found in the log: about, sets, rates"),
    ("block", TEXT, "its first member's code"),
    ("payload", BYTES, "named arrays (keyart.learning.blocks), or JSON"),
)

EXPERIMENT_RESULTS = _fields(
    ("experiment_id", TEXT, ""),
    ("kind", TEXT, "control, primary, secondary, guardrail, segment, incrementality, novelty, trend, quantile, ..."),
    ("variant", TEXT, ""),
    ("metric", TEXT, ""),
    ("segment", TEXT, "* or dimension=value, as it was at the member's first decision"),
    ("day", INT, "since exposure; -1 for all of them"),
    ("members", LONG, "of the variant"),
    ("mean?", DOUBLE, "of the variant, per member or as the metric says"),
    ("control_mean?", DOUBLE, ""),
    ("difference?", DOUBLE, "to control, after CUPED where a covariate exists"),
    ("lower?", DOUBLE, "of the 95% interval, for one look"),
    ("upper?", DOUBLE, ""),
    ("relative?", DOUBLE, "difference over control's mean"),
    ("relative_lower?", DOUBLE, "of the 95% interval, for one look"),
    ("relative_upper?", DOUBLE, ""),
    ("p_value?", DOUBLE, "two-sided, for one look"),
    ("sequential_lower?", DOUBLE, "of the 95% interval that stays valid while one looks on"),
    ("sequential_upper?", DOUBLE, ""),
    ("sequential_p?", DOUBLE, ""),
    ("adjusted_p?", DOUBLE, "for the tests that were made together"),
    ("correction?", TEXT, "how: Holm, Benjamini-Hochberg, over how many"),
    ("variance_kept?", DOUBLE, "share of the variance that CUPED left"),
    ("margin?", DOUBLE, "of a guardrail: relative loss that could be borne"),
    ("shrunk?", DOUBLE, "of an artwork: the difference pulled towards 0 (empirical Bayes); an estimate, not a test"),
    ("sample_ratio_p", DOUBLE, "of planned against seen shares"),
    ("verdict", TEXT, "of the primary metric: ship, don't ship, keep running or invalid, with reasons; else in a word"),
)

POLICY_MEASURES = _fields(
    ("policy_id", TEXT, ""),
    (
        "behaviour",
        TEXT,
        "logged, uniform, region, user: what is judged; limits and gate: what limits cost",
    ),
    ("measure", TEXT, "look_entropy, abandonment, gini, ...; its meaning is in keyart.evaluation"),
    ("segment", TEXT, "*, dimension=value, or of a gap the dimension"),
    ("value", DOUBLE, ""),
    ("lower?", DOUBLE, "of the 95% interval; null for what is no sample"),
    ("upper?", DOUBLE, ""),
    ("members", LONG, "it rests on; 0 where it is of the catalogue"),
    ("limit?", TEXT, "low..high as configured; null where none is"),
    ("within?", FLAG, "the value lies in the limit"),
    ("from_day", DAY, ""),
    ("to_day", DAY, "exclusive"),
)

PROMOTIONS = _fields(
    ("promotion_id", TEXT, "hash of what was compared, on what; of a rollback, of its number"),
    ("number", LONG, "1, 2, ... in the order of the decisions"),
    ("action", TEXT, "promote, refuse or rollback"),
    ("policy_id", TEXT, "the candidate; of a rollback, the policy that serves again"),
    ("champion_id?", TEXT, "whom it was compared with; null: an even draw; of a rollback, whom it replaced"),
    ("from_day?", DAY, "first test day"),
    ("to_day?", DAY, "exclusive"),
    ("difference?", DOUBLE, "reward a decision, candidate minus champion, doubly robust, on the same decisions"),
    ("lower?", DOUBLE, "one-sided bound at level"),
    ("upper?", DOUBLE, "one-sided bound at level"),
    ("level?", DOUBLE, "corrected for the comparisons made"),
    ("tried?", LONG, "comparisons with this champion on days that overlap, this one among them"),
    ("checks", TEXT, "JSON: name, passed and reason of each"),
    ("at", INSTANT, ""),
)

OPT_OUTS = _fields(
    ("user_key", TEXT, ""),
    ("user_bucket", INT, ""),
    ("opted_out", FLAG, "what the member said last"),
    ("said_at", INSTANT, "ts of the row that said it"),
)

SUPPRESSIONS = _fields(
    ("suppression_key", TEXT, "hash of an erased member's id under a key of its own: keeps them out on re-delivery"),
    ("request_id", TEXT, "the first request that named them"),
    ("since", INSTANT, ""),
)

ERASURES = _fields(
    ("request_id", TEXT, ""),
    ("requested_at", INSTANT, "when it was first carried out"),
    ("members", LONG, "named by the request"),
    ("tables", TEXTS, "where rows were removed"),
    ("rows", LONG, "removed"),
    ("roots", TEXTS, "folders that the last proof went through"),
    ("files?", LONG, "decoded by the last proof; null before the first"),
    ("found?", LONG, "files in which it found one of the members, or that could not be decoded"),
    ("proven_at?", INSTANT, "when the last proof found nothing; null where it found something"),
)

WRITTEN = StructType([StructField("table", TEXT, False), StructField("rows", LONG, False)])

STAGE_RUNS = _fields(
    ("run_id", TEXT, "a call of run-pipeline; stands in every line of its log"),
    ("stage", TEXT, "the job"),
    ("state", TEXT, "running (again with every heartbeat), then one of done, failed, skipped (up to date), blocked"),
    ("at", INSTANT, "when the row was written"),
    ("started_at", INSTANT, ""),
    ("finished_at?", INSTANT, "null while it runs"),
    ("seconds?", DOUBLE, "so far or in all; of a stage that was skipped, those of the run that did the work"),
    ("input_key?", TEXT, "of done: hash of the data versions, settings and files that it read"),
    ("written", ArrayType(WRITTEN, False), "of done: rows that were added or set, by table"),
    ("rows?", LONG, "sum of written"),
    ("cost?", DOUBLE, "seconds x cores x session.cost_per_core_hour; null where that is not known"),
    ("tasks_done?", LONG, "of running: Spark tasks of the passes under way"),
    ("tasks?", LONG, "of running: as many there are"),
    ("error?", TEXT, "of failed and blocked: one line"),
)

TABLES: dict[str, TableSpec] = {
    "titles": TableSpec("one title", TITLES, ("title_id",)),
    "title_names": TableSpec("a title's name in a language", TITLE_NAMES, ("title_id", "language")),
    "videos": TableSpec("one film file", VIDEOS, ("video_id",)),
    "frames": TableSpec("one decoded frame's signals", FRAMES, ("scan_id", "video_id", "pts"), ("video_id", "pts")),
    "shots": TableSpec("one shot", SHOTS, ("scan_id", "video_id", "shot_id"), ("video_id",)),
    "candidates": TableSpec("one frame worth looking at", CANDIDATES, ("scan_id", "video_id", "pts"), ("title_id",)),
    "images": TableSpec("one image's bytes, append-only", IMAGES, ("image_hash",)),
    "artworks": TableSpec("one image that may be shown", ARTWORKS, ("artwork_id",), ("title_id",)),
    "editor_overrides": TableSpec("an editor's line: pin, ban or upload", EDITOR_OVERRIDES, ("override_id",)),
    "scan_segments": TableSpec(
        "a part of a segment that landed; removed once its film is visible",
        SCAN_SEGMENTS,
        ("scan_id", "video_id", "segment", "part"),
    ),
    "scan_failures": TableSpec("what could not be read", SCAN_FAILURES, ("scan_id", "video_id", "segment")),
    "events": TableSpec(
        "a thing a member did, once", EVENTS, ("event_id",), ("event_date", "user_bucket"), (Added("segment"),)
    ),
    "quarantine": TableSpec("log rows set aside", QUARANTINE, ("row_key",)),
    "impressions": TableSpec("one exposure", IMPRESSIONS, ("impression_id",), ("event_date", "user_bucket")),
    "decisions": TableSpec(
        "what is randomised", DECISIONS, ("decision_id",), ("epoch", "user_bucket"), (Added("segment"),)
    ),
    "artwork_stats": TableSpec(
        "additive cells", ARTWORK_STATS, ("event_date", "cell"), ("event_date", "title_id"), (Added("segment"),)
    ),
    "sessions": TableSpec("one session", SESSIONS, ("session_key",), ("session_date", "user_bucket")),
    "session_stats": TableSpec(
        "additive cells of sessions", SESSION_STATS, ("session_date", "region", "policy_id"), ("session_date",)
    ),
    "moments": TableSpec("a moment that viewers marked", MOMENTS, ("title_id", "second")),
    "examination": TableSpec("how likely a place is looked at", EXAMINATION, ("axis", "place")),
    "data_quality": TableSpec("figures of an ingest run", DATA_QUALITY, ("run_key", "measure")),
    "taste": TableSpec("a member's vectors", TASTE, ("user_key", "as_of"), ("as_of", "user_bucket")),
    "region_assignments": TableSpec(
        "a level's distribution over a title's artworks",
        REGION_ASSIGNMENTS,
        ("policy_id", "level", "cell", "context", "title_id", "artwork_id"),
        ("policy_id", "title_id"),
    ),
    "policy_weights": TableSpec(
        "what a cell favours, feature by feature",
        POLICY_WEIGHTS,
        ("policy_id", "level", "cell", "feature"),
        steps=(Added("sd"),),
    ),
    "policy_segments": TableSpec("a segment of members with a like taste", POLICY_SEGMENTS, ("policy_id", "segment")),
    "policy_calibration": TableSpec(
        "whether a policy's predictions came true on later days",
        POLICY_CALIBRATION,
        ("policy_id", "measure", "region", "part"),
    ),
    "user_assignments": TableSpec(
        "a member's segment and overrides",
        USER_ASSIGNMENTS,
        ("policy_id", "user_key", "version"),
        ("policy_id", "user_bucket"),
        steps=(Added("segment"),),
    ),
    "policies": TableSpec("one policy", POLICIES, ("policy_id",)),
    "evaluations": TableSpec(
        "what is known about a policy",
        EVALUATIONS,
        ("evaluation_id", "target", "baseline", "estimator", "metric", "slice"),
    ),
    "evaluation_blocks": TableSpec(
        "members' test decisions, coded, of the last evaluation", EVALUATION_BLOCKS, ("source", "kind", "block")
    ),
    "experiments": TableSpec("one test", EXPERIMENTS, ("experiment_id",)),
    "experiment_results": TableSpec(
        "a test's figures", EXPERIMENT_RESULTS, ("experiment_id", "kind", "variant", "metric", "segment", "day")
    ),
    "policy_measures": TableSpec(
        "what a policy does to members and catalogue",
        POLICY_MEASURES,
        ("policy_id", "behaviour", "measure", "segment"),
    ),
    "promotions": TableSpec("a candidate's try for champion, or a rollback", PROMOTIONS, ("promotion_id",)),
    "opt_outs": TableSpec("what a member said of personalisation last", OPT_OUTS, ("user_key",)),
    "suppressions": TableSpec("who was erased and stays out", SUPPRESSIONS, ("suppression_key",)),
    "erasures": TableSpec("an erasure and its proof", ERASURES, ("request_id",)),
    "stage_runs": TableSpec("a state that a stage of a run reached", STAGE_RUNS, ("run_id", "stage", "state", "at")),
}


def check_schema(table: str, found: StructType) -> None:
    """Compare a frame's columns with the table's; SchemaError lists every missing, extra and mistyped column.

    Nullability is not compared: Delta and Spark widen it on read, and the writer's ``NOT NULL`` columns are checked by
    Delta itself.
    """
    expected = {field.name: field.dataType for field in TABLES[table].schema}
    seen = {field.name: field.dataType for field in found}
    wrong = [f"{name} is missing" for name in expected if name not in seen]
    wrong += [f"{name} is not a column of it" for name in seen if name not in expected]
    wrong += [
        f"{name} is {seen[name].simpleString()}, expected {kind.simpleString()}"
        for name, kind in expected.items()
        if name in seen and seen[name].simpleString() != kind.simpleString()
    ]
    if wrong:
        raise SchemaError(f"table {table}: " + "; ".join(wrong))
