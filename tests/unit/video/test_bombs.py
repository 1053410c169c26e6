"""Pictures and films that are small on disk and huge when opened: refused in a line before anything is made room for.

They are read as jobs read them, in a child, whose memory is measured.
"""

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from keyart.errors import VideoError
from keyart.video.child import MEMORY, Child
from keyart.video.exchange import Segment

MOST_MB = 400
"""What a child may ever hold here; its libraries take some 150 of it, a frame of 8K 50."""
READ = "keyart.catalog.images:read_image"


@pytest.fixture(scope="module")
def child():
    started = Child(warm=False)
    yield started
    started.stop()


def peak(child: Child) -> int:
    assert child._process is not None
    status = Path(f"/proc/{child._process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: int = 1, extra: bytes = b"") -> bytes:
    """Black, RGB; the pixels of ``rows`` rows are there."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    packer = zlib.compressobj(9)
    line = bytes(1 + 3 * width)
    pixels = b"".join([*(packer.compress(line) for _ in range(rows)), packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A small JPEG whose frame header claims another size."""
    content = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def webp(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    small = cv2.imencode(".webp", np.zeros((16, 16, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes()[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(body) + len(small)) + b"WEBP" + body + small


def gif(width: int, height: int) -> bytes:
    return (
        b"GIF89a" + struct.pack("<HH", width, height) + bytes(3) + b"\x2c" + bytes(4) + b"\xff\xff\xff\xff\x00\x02\x00;"
    )


def bmp(width: int, height: int) -> bytes:
    about = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + about


BOMBS = {
    "claims.png": (lambda: png(100_000, 100_000), "has more than 64 million pixels|is 100000 x 100000"),
    "zeros.png": (lambda: png(20_000, 20_000, 20_000), "has more than 64 million pixels|is 20000 x 20000"),
    "long.png": (lambda: png(60_000, 10, 10), "is 60000 x 10: pictures have at most"),
    "text.png": (
        lambda: png(8, 8, 8, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(300 << 20)))),
        "is no picture that can be decoded",
    ),
    "claims.jpg": (lambda: jpeg(65_500, 65_500), "has more than 64 million pixels|is 65500 x 65500"),
    "claims.webp": (lambda: webp(16_000_000, 16_000_000), "has more than 64 million|is \\d+ x|is no picture"),
    "claims.gif": (lambda: gif(65_535, 65_535), "is no picture that can be decoded"),
    "claims.bmp": (lambda: bmp(100_000, 100_000), "has more than 64 million pixels|is 100000 x"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_picture_that_would_burst_is_refused_before_it_is_unpacked(child, tmp_path, name):
    make, words = BOMBS[name]
    path = tmp_path / name
    path.write_bytes(make())
    assert path.stat().st_size < 5 << 20
    with pytest.raises(VideoError, match=words) as told:
        child.call(READ, str(path), timeout=30)
    assert "\n" not in str(told.value)
    assert peak(child) < MOST_MB


def test_the_largest_picture_is_read_within_bounds(tmp_path):
    path, child = tmp_path / "poster.jpg", Child(warm=False)
    cv2.imwrite(str(path), np.zeros((7_000, 9_000, 3), np.uint8))
    try:
        assert child.call(READ, str(path), timeout=60).width == 9_000
        assert peak(child) < 3 * MOST_MB
    finally:
        child.stop()


def film(path: Path, sizes: list[tuple[int, int]], times: list[int] | None = None, streams: int = 1) -> str:
    """Motion JPEG of grey frames, each of its own size, whatever the header says; other streams hold one frame."""
    with av.open(str(path), "w") as out:
        made = [out.add_stream("mjpeg", rate=24) for _ in range(streams)]
        for stream in made:
            (stream.width, stream.height), stream.pix_fmt = sizes[0], "yuvj420p"
        for number, (width, height) in enumerate(sizes):
            for stream in made if number == 0 else made[:1]:
                encoder = av.CodecContext.create("mjpeg", "w")
                encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
                encoder.time_base, encoder.framerate = Fraction(1, 24), Fraction(24)
                grey = np.full((height * 3 // 2, width), 128, np.uint8)
                picture = av.VideoFrame.from_ndarray(grey, format="yuvj420p")
                picture.pts = number
                for packet in [*encoder.encode(picture), *encoder.encode(None)]:
                    packet.stream, packet.time_base = stream, Fraction(1, 24)
                    packet.pts = packet.dts = times[number] if times else number
                    out.mux(packet)
    return str(path)


def test_films_that_claim_too_much_are_refused(child, tmp_path):
    day = 24 * 86_400
    bombs = {
        film(tmp_path / "wide.mkv", [(16_000, 4_000)]): "exceeds specified max pixel count|claims frames of",
        film(tmp_path / "long.mkv", [(64, 64)] * 2, [0, 10 * day]): "claims to last 240 hours",
        film(tmp_path / "streams.mkv", [(16, 16)], streams=230): "has 230 streams: films have at most 200",
    }
    for path, words in bombs.items():
        assert Path(path).stat().st_size < 5 << 20
        with pytest.raises(VideoError, match=words) as told:
            child.call("keyart.catalog.probing:probe_film", path, timeout=60)
        assert "\n" not in str(told.value)
    assert peak(child) < MOST_MB


def test_a_film_that_grows_loses_the_frames_that_burst(child, tmp_path):
    path = film(tmp_path / "grow.mkv", [(64, 64), (16_000, 4_000), (64, 64)])
    part = child.call("keyart.video.segments:scan_segment", path, Segment(0, None, None, 3), 0, timeout=60)
    assert len(part.pts) == 2
    assert peak(child) < MOST_MB


def test_a_child_has_no_more_memory_than_it_may(child):
    assert child.call("resource:getrlimit", 9, timeout=60)[0] == MEMORY
    with pytest.raises(VideoError, match="MemoryError"):
        child.call("builtins:bytearray", MEMORY, timeout=60)
    assert child.call("math:sqrt", 9, timeout=60) == 3
