"""What a single face says: where it looks, whether its eyes are open, whether it smiles; from five landmarks.

All patches are cut from the face turned upright and brought to one size by its eyes (``APART`` pixels between them), so
that nothing depends on how large or tilted the face is.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from keyart.vision.faces import Face

__all__ = ["CLOSED", "FRONTAL", "PROFILE", "Expression", "aligned", "express", "frontality"]

APART = 48
"""Pixels between the eyes of an aligned face."""
SIDE, EYE_LINE = 120, 44
"""Side of the aligned square and the row on which the eyes lie."""
FRONTAL, PROFILE = 0.6, 0.3
"""Frontality from which a face is called frontal, and below which profile."""
CLOSED = 0.35
"""Score of the eyes below which they count as closed."""
LEAST_PIXELS = 14
"""Pixels between the eyes below which neither eyes nor smile are judged."""


@dataclass(frozen=True)
class Expression:
    """``pose`` frontal, three-quarter, profile or unknown; scores in [0, 1], None where they cannot be told."""

    pose: str
    frontal: float
    eyes_open: float | None
    smile: float | None


def express(bgr: np.ndarray, face: Face) -> Expression:
    """The expression of a face in (H, W, 3) uint8 BGR; without landmarks all is unknown."""
    ahead = frontality(face)
    if len(face.landmarks) < 10:
        return Expression("unknown", ahead, None, None)
    pose = "frontal" if ahead >= FRONTAL else "profile" if ahead < PROFILE else "three-quarter"
    patch = aligned(bgr, face)
    if patch is None or pose == "profile":
        return Expression(pose, ahead, None, None)
    grey = cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return Expression(pose, ahead, _eyes(grey), _smile(patch, grey, _points(bgr, face)))


def frontality(face: Face) -> float:
    """How near the nose is to the middle between the eyes, [0, 1]; 0.5 where the detector gives no landmarks."""
    if len(face.landmarks) < 6:
        return 0.5
    right_eye, left_eye, nose = np.array(face.landmarks[:6]).reshape(3, 2)
    apart = abs(left_eye[0] - right_eye[0])
    if apart < 0.15 * face.width:  # a profile shows its eyes on top of each other
        return 0.0
    return float(np.clip(1 - 2 * abs(nose[0] - (left_eye[0] + right_eye[0]) / 2) / apart, 0, 1))


def aligned(bgr: np.ndarray, face: Face) -> np.ndarray | None:
    """(SIDE, SIDE, 3) the face upright, eyes on EYE_LINE and APART from each other; None where it is too small."""
    points = _points(bgr, face)
    across = points[1] - points[0]
    apart = float(np.hypot(*across))
    if apart < LEAST_PIXELS:
        return None
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    middle = points[:2].mean(axis=0)
    turn = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, APART / apart)
    turn[:, 2] += (SIDE / 2 - middle[0], EYE_LINE - middle[1])
    return cv2.warpAffine(bgr, turn, (SIDE, SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)


def _points(bgr: np.ndarray, face: Face) -> np.ndarray:
    points = np.array(face.landmarks, np.float32).reshape(-1, 2) * (bgr.shape[1], bgr.shape[0])
    # Left in the picture first: a mirrored face is the same face.
    if points[0, 0] > points[1, 0]:
        points = points[[1, 0, 2, 4, 3]] if len(points) >= 5 else points[[1, 0, *range(2, len(points))]]
    return points


def _eyes(grey: np.ndarray) -> float:
    """How high the dark of the iris stands in the better of the eyes: round where open, a thin line of lashes if not.

    The better, because a shadow or a glint hides one iris often and a wink is not what an editor minds.
    """
    heights = []
    for x in (SIDE // 2 - APART // 2, SIDE // 2 + APART // 2):
        patch = cv2.GaussianBlur(grey[EYE_LINE - 11 : EYE_LINE + 12, x - 9 : x + 10], (0, 0), 0.8)
        skin, dark = np.percentile(patch, [80, 2])
        if skin - dark < 18:
            heights.append(0.0)
            continue
        # Dark runs through the eye's row, column by column; the iris is where they are longest.
        is_dark = patch[5:18] < dark + 0.42 * (skin - dark)
        heights.append(float(np.sort(is_dark.sum(axis=0))[-6:].mean()))
    return float(np.clip((max(heights) - 2.6) / 2.8, 0, 1))


def _smile(patch: np.ndarray, grey: np.ndarray, points: np.ndarray) -> float:
    """Mouth width against the distance of the eyes, and teeth: bright, pale pixels between the corners of the mouth."""
    apart = float(np.hypot(*(points[1] - points[0])))
    wide = float(np.hypot(*(points[4] - points[3]))) / apart
    stretch = float(np.clip((wide - 0.78) / 0.32, 0, 1))
    down = float((points[3:5].mean(axis=0) - points[:2].mean(axis=0)) @ _normal(points[1] - points[0])) / apart
    row, half = round(EYE_LINE + down * APART), round(wide * APART / 3)
    mouth = (slice(max(0, row - 6), min(SIDE, row + 9)), slice(SIDE // 2 - half, SIDE // 2 + half))
    if mouth[0].stop - mouth[0].start < 6 or half < 4:
        return stretch
    skin = float(np.median(grey[EYE_LINE + 12 : EYE_LINE + 30, 30:90]))
    spread = patch[mouth].max(axis=2).astype(np.float32) - patch[mouth].min(axis=2)
    pale = (spread < 0.3 * np.maximum(1, patch[mouth].max(axis=2))) & (grey[mouth] > 0.95 * skin)
    teeth = float(np.clip((pale.mean() - 0.05) / 0.2, 0, 1))
    return float(np.clip(0.65 * stretch + 0.35 * teeth, 0, 1))


def _normal(across: np.ndarray) -> np.ndarray:
    return np.array([-across[1], across[0]]) / np.hypot(*across)
