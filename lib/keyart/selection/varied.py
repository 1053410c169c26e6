"""The artworks row of a variation: it looks anew at the picture, and keeps the lineage."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import cv2

from keyart.catalog.images import StoredImage, artwork_id_of
from keyart.previews import preview
from keyart.selection.crops import crops
from keyart.selection.variants import Variation
from keyart.vision.faces import Face
from keyart.vision.features import CAMERA_SCALE, FEATURE_VERSION, SUBJECT_SCALE, look, named
from keyart.vision.moods import mood_labels

__all__ = ["varied_artwork"]

QUALITY = 90


def varied_artwork(
    parent: Mapping[str, Any], made: Variation, rank: int, only_regions: Sequence[str] | None
) -> tuple[dict[str, Any], StoredImage]:
    """The row of artworks and that of images. Faces, people and flags are the parent's: a variant moves nothing."""
    content = cv2.imencode(".jpg", made.bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    height, width = made.bgr.shape[:2]
    image = StoredImage(sha256(content).hexdigest(), "image/jpeg", width, height, content, preview(made.bgr))
    faces, before = [Face(**face) for face in parent["faces"]], named(parent["features"])
    motion = before["camera_motion"] * CAMERA_SCALE, before["subject_motion"] * SUBJECT_SCALE
    seen = look(made.bgr, *motion, lambda _: faces)
    cut = crops(seen.attention, seen.window, seen.faces, width, height)
    return {
        **parent,
        "artwork_id": artwork_id_of(parent["title_id"], image.image_hash),
        "image_hash": image.image_hash,
        "parent_artwork_id": parent["artwork_id"],
        "variant": made.name,
        "features": seen.features.tolist(),
        "feature_version": FEATURE_VERSION,
        "moods": mood_labels(named(seen.features)),
        "crops": [asdict(crop) for crop in cut],
        "rank": rank,
        "reason": f"{made.name} of the artwork of rank {parent['rank']}: {parent['reason']}",
        "only_regions": None if only_regions is None else list(only_regions),
    }, image
