"""Scan a segment although its decoder crashes or hangs: step around the packet at fault and keep what is good."""

from collections.abc import Generator

from keyart.errors import VideoError
from keyart.video.child import Child, ChildDied
from keyart.video.decode import Segment
from keyart.video.segments import Outcome, Part

__all__ = ["scan_supervised"]

ATTEMPTS = 6
"""Children a segment may cost."""
SCAN = "keyart.video.segments:scan_segment"


def scan_supervised(
    child: Child, uri: str, segment: Segment, rotation: int, timeout: float, scan: str = SCAN
) -> Generator[Part, None, Outcome]:
    """The parts of a segment and how it ended, whatever becomes of the child.

    A child that died may have been killed from outside, so its packet is tried once more; then, or where it hung, the
    frames from that packet to the next keyframe are left out. Where that does not help, the rest of the segment is
    lost. ``timeout`` in seconds of silence.
    """
    avoid: set[int] = set()
    died_at: set[int | None] = set()
    reached: int | None = None
    given = 0
    reasons: list[str] = []
    for _ in range(ATTEMPTS):
        parts = child.stream(scan, uri, segment, rotation, reached, frozenset(avoid), timeout=timeout)
        try:
            while True:
                part = next(parts)
                given += len(part.pts)
                reached = int(part.pts[-1])
                yield part
        except StopIteration as end:
            return _with_reasons(end.value, reasons)
        except ChildDied as error:
            reasons.append(str(error))
            if error.hung or error.position in died_at:
                if error.position is None or error.position in avoid:
                    break
                avoid.add(error.position)
            died_at.add(error.position)
        except VideoError as error:
            reasons.append(str(error))
            break
        finally:
            parts.close()
    seen = max(segment.packets, given)
    return Outcome(seen, seen - given, 0, False, reasons[0])


def _with_reasons(outcome: Outcome, reasons: list[str]) -> Outcome:
    told = "; ".join([*reasons[:1], *([outcome.reason] if outcome.reason else [])])
    return Outcome(outcome.seen, outcome.lost, outcome.damaged, outcome.irregular, told)
