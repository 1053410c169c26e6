"""Films for benches: copies that share nothing, loops of any length, and larger pictures."""

from pathlib import Path

import av

MEDIA = Path(__file__).resolve().parent.parent.parent / "shared" / "media"
FILM = MEDIA / "big_buck_bunny_360p.mp4"


def copies(folder: Path, count: int, film: Path = FILM) -> list[Path]:
    """So many copies of a film, remuxed, each with a content of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_remuxed(film, folder / f"copy-{k:03d}.mp4", title=f"copy {k}") for k in range(count)]


def looped(path: Path, times: int, film: Path = FILM) -> Path:
    """A film that plays ``times`` in a row."""
    return _remuxed(film, path, title=f"{times} times", times=times)


def enlarged(path: Path, width: int, height: int, seconds: float, film: Path = FILM) -> Path:
    """The film's beginning at another size."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(film)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast", "g": "48", "crf": "23"}
        for frame in source.decode(video=0):
            if frame.time is not None and frame.time >= seconds:
                break
            larger = frame.reformat(width=width, height=height, format="yuv420p")
            larger.pts = None
            for packet in stream.encode(larger):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return path


def _remuxed(film: Path, path: Path, title: str, times: int = 1) -> Path:
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        out.metadata["title"] = title
        stream, offset = None, 0
        for _ in range(times):
            with av.open(str(film)) as source:
                picture = source.streams.video[0]
                stream = stream or out.add_stream_from_template(picture)
                longest = 0
                for packet in source.demux(picture):
                    if packet.dts is None:
                        continue
                    longest = max(longest, packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    out.mux(packet)
                offset += longest
    return path
