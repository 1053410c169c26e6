"""Scan a segment although its decoder crashes or hangs: step around the packet at fault and keep what is good."""

from collections.abc import Generator

from keyart.errors import VideoError
from keyart.video.child import Child, ChildDied
from keyart.video.exchange import PART, Outcome, Part, Segment

__all__ = ["scan_supervised"]

ATTEMPTS = 6
"""Children a segment may cost."""
CAREFUL = 4
"""Frames of a part once a child has died: the next one may die at any moment, too."""
SCAN = "keyart.video.segments:scan_parts"


def scan_supervised(
    child: Child, uri: str, segment: Segment, rotation: int, timeout: float, scan: str = SCAN
) -> Generator[Part, None, Outcome]:
    """The parts of a segment and how it ended, whatever becomes of the child.

    A child that died may have been killed from outside, so its packet is tried once more; then, or where it hung, the
    frames from that packet to the next keyframe are left out. Where that does not help, the segment ends before it.
    ``timeout`` in seconds of silence.
    """
    avoid: set[int] = set()
    died_at: set[int | None] = set()
    stop: int | None = None
    reached: int | None = None
    given = 0
    reasons: list[str] = []
    while True:
        size = CAREFUL if reasons else PART
        arguments = (uri, segment, rotation, reached, frozenset(avoid), stop, size)
        parts = child.stream(scan, *arguments, timeout=timeout)
        try:
            while True:
                part = next(parts)
                given += len(part.pts)
                reached = int(part.pts[-1])
                yield part
        except StopIteration as end:
            return _with_reasons(end.value, given, reasons) if avoid or stop is not None else end.value
        except ChildDied as error:
            reasons.append(str(error))
            place = error.position
            again = error.hung or place in died_at or len(reasons) >= ATTEMPTS - 1
            died_at.add(place)
            if stop is not None or len(reasons) >= ATTEMPTS or (again and place is None):
                break
            if again and place is not None:
                no_further = bool(avoid) and place <= max(avoid)
                if no_further or len(reasons) >= ATTEMPTS - 1:
                    stop = min((known for known in died_at - avoid if known is not None), default=place)
                else:
                    avoid.add(place)
        except VideoError as error:
            reasons.append(str(error))
            break
        finally:
            parts.close()
    seen = max(segment.packets, given)
    return Outcome(seen, seen - given, 0, False, reasons[0])


def _with_reasons(outcome: Outcome, given: int, reasons: list[str]) -> Outcome:
    """The last child's outcome; what an earlier child gave beyond the place where this one had to stop is not lost."""
    told = "; ".join([*reasons[:1], *([outcome.reason] if outcome.reason else [])])
    return Outcome(outcome.seen, max(0, outcome.seen - given), outcome.damaged, outcome.irregular, told)
