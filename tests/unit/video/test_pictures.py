"""Candidates' pictures: what a viewer sees of films in every shape."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from keyart.video.exchange import Pick
from keyart.video.pictures import fetch_pictures
from keyart.video.tone import HLG, PQ, pq_code, tone_mapped

BT709, BT2020 = 1, 9


def flat_film(path, codes, pixels="yuv420p10le", size=(96, 64), frames=3, codec="ffv1", tags=None) -> str:
    """A film of one colour, given as Y, Cb and Cr code values, without loss."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        context = stream.codec_context
        for name, value in (tags or {}).items():
            setattr(context, name, value)
        for _ in range(frames):
            picture = av.VideoFrame(*size, pixels)
            kind = np.uint16 if "10" in pixels else np.uint8
            for plane, code in zip(picture.planes, codes, strict=True):
                plane.update(np.full(plane.buffer_size // np.dtype(kind).itemsize, code, kind).tobytes())
            for name, value in (tags or {}).items():
                setattr(picture, name, value)
            for packet in stream.encode(picture):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return str(path)


def first(uri: str, pts: int = 0, rotation: int = 0, bars: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    (picture,) = fetch_pictures(uri, [Pick(pts, None, *bars)], rotation, 95, False)
    shown = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape[:2] == (picture.height, picture.width)
    return shown[..., ::-1]


def srgb(light: float) -> float:
    return 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("nits", [5, 20, 60, 100])
def test_pq_shows_tones_below_white_as_they_are(tmp_path, nits):
    code = 64 + 876 * float(pq_code(nits))
    tags = {"color_trc": PQ, "color_primaries": BT2020, "colorspace": 9, "color_range": 1}
    shown = first(flat_film(tmp_path / "pq.mkv", (round(code), 512, 512), tags=tags))
    assert shown.mean() == pytest.approx(srgb(nits / 203), abs=2)
    assert shown.std() < 1


def test_hlg_reference_white_is_bright_and_black_is_black(tmp_path):
    tags = {"color_trc": HLG, "color_primaries": BT2020, "colorspace": 9, "color_range": 1}
    white = first(flat_film(tmp_path / "white.mkv", (64 + round(876 * 0.75), 512, 512), tags=tags))
    grey = first(flat_film(tmp_path / "grey.mkv", (64 + round(876 * 0.38), 512, 512), tags=tags))
    black = first(flat_film(tmp_path / "black.mkv", (64, 512, 512), tags=tags))
    # BT.2408: 75 % is diffuse white, 38 % an 18 % grey card of 26 cd/m2.
    assert white.mean() > 240
    assert grey.mean() == pytest.approx(srgb(26 / 203), abs=4)
    assert black.mean() < 1


def test_highlights_roll_off_instead_of_clipping():
    nits = np.array([50, 150, 300, 600, 1000])
    codes = np.repeat((pq_code(nits) * 65_535).round().astype(np.uint16), 64)
    picture = np.repeat(np.tile(codes, (64, 1))[..., None], 3, axis=2)
    levels = tone_mapped(picture, PQ)[0, ::64, 0].astype(int)
    assert (np.diff(levels)[:3] > 8).all()
    assert (np.diff(levels) >= 0).all()
    assert levels[-1] >= 250
    assert levels[0] == pytest.approx(srgb(50 / 203), abs=2)


def test_wide_gamut_comes_into_srgb():
    """BT.709's red written in BT.2020 primaries shows as red again."""
    red = np.array([0.6274, 0.0691, 0.0164]) ** (1 / 2.4)
    picture = np.tile((red * 65_535).round().astype(np.uint16), (16, 16, 1))
    assert np.abs(tone_mapped(picture, 0)[0, 0].astype(int) - [255, 0, 0]).max() <= 8


@pytest.mark.parametrize(("matrix", "size"), [(BT709, (96, 64)), (5, (1280, 720)), (2, (96, 64)), (2, (1280, 720))])
def test_matrix_and_range_are_the_films_own(tmp_path, matrix, size):
    """Full saturation red by the film's matrix; where it does not say, by the size's."""
    hd = matrix == BT709 or (matrix == 2 and size[1] >= 720)
    kr, kb = (0.2126, 0.0722) if hd else (0.299, 0.114)
    luma = kr
    cb, cr = -luma / (2 * (1 - kb)), (1 - luma) / (2 * (1 - kr))
    codes = [16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr]
    tags = {"colorspace": matrix, "color_range": 1}
    shown = first(flat_film(tmp_path / "red.mkv", np.rint(codes).astype(int), "yuv420p", size, tags=tags))
    assert np.abs(shown.reshape(-1, 3).mean(axis=0) - [255, 0, 0]).max() < 5


def test_full_range_is_not_stretched(tmp_path):
    tags = {"color_range": 2, "colorspace": 5}
    shown = first(flat_film(tmp_path / "full.mkv", (30, 128, 128), "yuv420p", tags=tags))
    assert shown.mean() == pytest.approx(30, abs=1.5)


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(4, 3), (128, 64)), (Fraction(3, 4), (96, 85))])
def test_pixels_become_square_and_none_is_thrown_away(film, take, aspect, size):
    shown = first(film("wide.mkv", take(1, 3), aspect=aspect))
    assert shown.shape[:2] == size[::-1]


def test_rotation_and_bars(film, take):
    frames = [np.vstack([np.zeros((10, 96, 3), np.uint8), f[:44], np.zeros((10, 96, 3), np.uint8)]) for f in take(2, 3)]
    uri = film("boxed.mp4", frames, rotation=90)
    turned = first(uri, rotation=90)
    assert turned.shape[:2] == (96, 64)
    cut = first(uri, rotation=90, bars=(0.0, 10 / 64))
    assert cut.shape[:2] == (96, 64 - 2 * 11)
    assert cut.min(axis=(0, 2)).max() > 10
    np.testing.assert_array_less(np.abs(turned[:, 11:-11].astype(int) - cut).mean(), 3)


def test_interlaced_films_lose_their_comb(tmp_path):
    """Fields of two moments alternate line by line; what is shown is one moment."""
    path = tmp_path / "interlaced.mkv"
    size, frames = (192, 128), 6
    base = np.tile(np.repeat([40, 200], 12), 40).astype(np.uint8)
    fields = [np.tile(base[3 * k : 3 * k + size[0]], (size[1], 1)) for k in range(2 * frames)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"crf": "4", "x264-params": "tff=1:bframes=0", "flags": "+ildct+ilme"}
        for k in range(frames):
            woven = fields[2 * k].copy()
            woven[1::2] = fields[2 * k + 1][1::2]
            colours = np.repeat(woven[..., None], 3, axis=2)
            for packet in stream.encode(av.VideoFrame.from_ndarray(colours, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    assert decoded[0].interlaced_frame
    combed = decoded[3].to_ndarray(format="gray").astype(int)
    shown = cv2.cvtColor(first(str(path), pts=decoded[3].pts), cv2.COLOR_RGB2GRAY).astype(int)
    comb = [np.abs(2 * p[1:-1] - p[:-2] - p[2:]).mean() for p in (combed, shown)]
    assert shown.shape == combed.shape
    assert comb[1] < comb[0] / 5
