"""Who is who: embeddings of faces, clustered per title, ordered by how long each person is on screen.

Embeddings by dlib's residual network (King 2017; the extra ``cast``), whose five-point model aligns the face. Faces of
one person lie less than about 0.6 apart. No name is needed; portraits give some clusters theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from keyart.errors import SetupError
from keyart.vision.faces import Face

__all__ = ["EMBEDDERS", "LEAST_HEIGHT", "SAME", "Cast", "build_embedder", "cluster_cast", "embeds", "name_clusters"]

SAME = 0.58
"""Mean distance below which two groups of faces are one person: dlib calls pairs under 0.6 the same; a hundredth
or two more brings profile and front of one actor together, but on the live-action clip strangers merge from 0.63."""
LEAST_HEIGHT = 0.1
"""Faces lower than this share of the picture are not told apart: too few pixels."""
ALIGNER, NETWORK = "shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat"
"""The two files of face-recognition-models that are free to use; its 68-point file is not, and is never opened."""
Embedder = Callable[[np.ndarray, Sequence[Face]], list[list[float]]]


@dataclass(frozen=True)
class Cast:
    """Cluster of each of N faces (-1: not told apart) and each cluster's share of the people's screen time; 0 leads."""

    cluster: np.ndarray
    prominence: np.ndarray


def embeds(kind: str) -> bool:
    """Whether what an embedder needs is installed."""
    return kind == "dlib" and find_spec("dlib") is not None and find_spec("face_recognition_models") is not None


@cache
def build_embedder(kind: str) -> Embedder:
    """An embedder by name, one a process; SetupError where its extra is not installed."""
    if kind not in EMBEDDERS:
        raise SetupError(f"no face embedder {kind}; known are {', '.join(EMBEDDERS)}")
    return EMBEDDERS[kind]()


def _dlib() -> Embedder:
    if not embeds("dlib"):
        raise SetupError("faces cannot be told apart without dlib: pip install 'keyart[cast]', or set select.cast=none")
    import dlib

    # The package's own __init__ needs a module that new setuptools lack; its files are all we want.
    spec = find_spec("face_recognition_models")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "models"
    align, network = (
        dlib.shape_predictor(str(folder / ALIGNER)),
        dlib.face_recognition_model_v1(str(folder / NETWORK)),
    )

    def embed(bgr: np.ndarray, faces: Sequence[Face]) -> list[list[float]]:
        height, width = bgr.shape[:2]
        rgb = np.ascontiguousarray(bgr[..., ::-1])
        found: list[list[float]] = []
        for face in faces:
            # A detector that finds no eyes takes flowers and legs for faces: nobody is made of those.
            if not face.landmarks or face.height < LEAST_HEIGHT or face.height * height < 40:
                found.append([])
                continue
            # dlib's own detector gives squares about the middle of the face; YuNet's boxes are higher than wide.
            side = (face.width * width + face.height * height) / 2
            x, y = (face.x + face.width / 2) * width, (face.y + 0.53 * face.height) * height
            box = dlib.rectangle(*(round(v) for v in (x - side / 2, y - side / 2, x + side / 2, y + side / 2)))
            chip = dlib.get_face_chip(rgb, align(rgb, box), 150)
            found.append([float(v) for v in network.compute_face_descriptor(chip)])
        return found

    return embed


EMBEDDERS: dict[str, Callable[[], Embedder]] = {"dlib": _dlib}
"""What can tell faces apart; a new one is an entry here."""


def cluster_cast(embeddings: Sequence[Sequence[float]], seconds: np.ndarray) -> Cast:
    """People of one title from N embeddings (empty: not told apart) and the screen time (N,) each face stands for.

    Average linkage cut at SAME; clusters are numbered by screen time, the lead is 0, so that a re-scan keeps them.
    """
    known = [index for index, vector in enumerate(embeddings) if len(vector)]
    cluster = np.full(len(embeddings), -1, np.int64)
    if not known:
        return Cast(cluster, np.zeros(0))
    points = np.array([embeddings[index] for index in known], np.float64)
    raw = fcluster(linkage(points, "average"), SAME, "distance") - 1 if len(known) > 1 else np.zeros(1, np.int64)
    time = np.bincount(raw, weights=np.asarray(seconds, float)[known])
    # Equal time: who comes first in the list, which is in order of the film.
    first = np.array([int(np.flatnonzero(raw == group)[0]) for group in range(len(time))])
    order = np.lexsort((first, -time))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    cluster[known] = rank[raw]
    return Cast(cluster, time[order] / max(float(time.sum()), 1e-9))


def name_clusters(
    embeddings: Sequence[Sequence[float]], cast: Cast, portraits: Sequence[tuple[str, Sequence[float]]]
) -> dict[int, str]:
    """Names by cluster: each portrait's goes to the cluster of nearest mean distance, if that is under 0.6."""
    names: dict[int, tuple[float, str]] = {}
    for name, portrait in portraits:
        if not len(portrait) or not len(cast.prominence):
            continue
        far = np.linalg.norm(
            np.array([v if len(v) else [np.inf] * len(portrait) for v in embeddings]) - portrait, axis=1
        )
        apart = [float(far[cast.cluster == k].mean()) for k in range(len(cast.prominence))]
        best = int(np.argmin(apart))
        if apart[best] < 0.6 and (best not in names or apart[best] < names[best][0]):
            names[best] = (apart[best], name)
    return {cluster: name for cluster, (_, name) in names.items()}
