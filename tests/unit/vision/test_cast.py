"""Cast: faces of one person are one cluster, the one who is longest on screen leads; purity on the live-action clip."""

from dataclasses import replace

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.vision.cast import build_embedder, cluster_cast, embeds, name_clusters
from keyart.vision.faces import Face, build_detector, find_model

WHO = {
    **dict.fromkeys((13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 29, 37), "young man"),
    **dict.fromkeys((51, 52, 53), "man with headset"),
    6: "woman in orange light",
    47: "face in yellow light",
}
"""Second of the clip: whom its largest face shows, looked at by eye (27 s is a hand)."""


def people(sizes: list[int], seed: int) -> tuple[list[list[float]], np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (len(sizes), 128))
    centres *= 0.7 / np.linalg.norm(centres, axis=1, keepdims=True)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return [list(row) for row in centres[owner] + rng.normal(0, 0.012, (len(owner), 128))], owner


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 99))
def test_clusters_are_the_people_and_the_lead_is_zero(sizes, seed):
    embeddings, owner = people(sizes, seed)
    cast = cluster_cast([*embeddings, []], np.ones(len(embeddings) + 1))
    assert cast.cluster[-1] == -1
    assert len({(a, b) for a, b in zip(owner, cast.cluster[:-1], strict=True)}) == len(sizes) == len(cast.prominence)
    assert (np.diff(cast.prominence) <= 1e-12).all() and cast.prominence.sum() == pytest.approx(1)
    assert (cast.cluster == 0).sum() == max(sizes)


def test_screen_time_not_the_number_of_faces_makes_the_lead():
    embeddings, _ = people([3, 1], 1)
    cast = cluster_cast(embeddings, np.array([1.0, 1, 1, 9]))
    assert cast.cluster.tolist() == [1, 1, 1, 0] and cast.prominence == pytest.approx([0.75, 0.25])


def test_a_portrait_names_its_cluster_and_no_other():
    embeddings, _ = people([3, 2], 2)
    stranger = list(np.random.default_rng(9).normal(0, 0.1, 128))
    cast = cluster_cast(embeddings, np.ones(5))
    assert name_clusters(embeddings, cast, [("B", embeddings[4]), ("X", stranger), ("none", [])]) == {1: "B"}


def test_nobody_is_a_cast_of_none():
    assert cluster_cast([], np.zeros(0)).prominence.size == 0
    assert cluster_cast([[]], np.ones(1)).cluster.tolist() == [-1]


@pytest.mark.shared
@pytest.mark.skipif(not embeds("dlib"), reason="extra cast is not installed")
def test_clusters_of_the_live_action_clip_are_pure(shared):
    detect, embed = (
        build_detector(find_model(shared / "models", "face_detection_yunet_2023mar.onnx")),
        build_embedder("dlib"),
    )
    found, labels, due = [], [], 0
    with av.open(str(shared / "media/tears-of-steel-battle-clip.webm")) as film:
        for frame in film.decode(video=0):
            if frame.time < due:
                continue
            due += 1
            second = round(frame.time)
            if second not in WHO:
                continue
            bgr = frame.to_ndarray(format="bgr24")
            faces = sorted(detect(bgr), key=lambda face: -face.width * face.height)[:1]
            vectors = embed(bgr, faces)
            if vectors and vectors[0]:
                found.append(vectors[0])
                labels.append(WHO[second])
    cast = cluster_cast(found, np.ones(len(found)))
    groups = [[labels[i] for i in np.flatnonzero(cast.cluster == k)] for k in range(len(cast.prominence))]
    purity = sum(max(map(group.count, set(group))) for group in groups) / len(labels)
    print(f"{len(labels)} faces, {len(groups)} clusters, purity {purity:.3f}", [sorted(map(str, g)) for g in groups])
    assert len(labels) >= 15 and purity >= 0.9
    assert groups[0].count("young man") == len(groups[0]) and len(groups[0]) >= 8, "who is longest on screen leads"
    assert len(groups) <= 9


@pytest.mark.skipif(not embeds("dlib"), reason="extra cast is not installed")
def test_what_a_detector_without_landmarks_takes_for_a_face_is_nobody():
    eyes = Face(0.2, 0.2, 0.4, 0.5, 0.9, (0.3, 0.4, 0.5, 0.4, 0.4, 0.5, 0.35, 0.6, 0.45, 0.6))
    picture = np.random.default_rng(1).integers(0, 255, (360, 360, 3), dtype=np.uint8)
    known, unknown = build_embedder("dlib")(picture, [eyes, replace(eyes, landmarks=())])
    assert len(known) == 128 and unknown == []
