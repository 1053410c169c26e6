"""Why a picture was chosen, in words an editor would use."""

from collections.abc import Mapping, Sequence

__all__ = ["reason"]

COUNTS = {1: "one face", 2: "two faces", 3: "three faces"}


def reason(signals: Mapping[str, float], shot_type: str, faces: int, moods: Sequence[str], shot_share: float) -> str:
    """One line from named features: what is seen, what is good about it, how far it stands for the film."""
    shot = shot_type if shot_type.endswith("close-up") else f"{shot_type} shot"
    seen = f"{shot} of {COUNTS.get(faces, 'several faces')}" if faces else "no face"
    virtues = (
        ("sharp", signals["sharpness"] - 0.1),
        ("well lit", signals["exposure"] - 0.2),
        ("subject on the thirds", signals["thirds"]),
        ("symmetric", signals["symmetry"] + 0.2),
        ("sharp subject before a soft ground", signals["depth_of_field"]),
        ("rich colour", signals["colourfulness"] + 0.2),
        ("clear and simple", signals["simplicity"]),
        ("room for a title", min(1.0, 1.6 * signals["negative_space"]) - 0.1),
    )
    best = [name for name, value in sorted(virtues, key=lambda item: -item[1])[:3] if value >= 0.6]
    words = [seen, *moods[:2], *best]
    share = f"its shot is {shot_share:.1%} of the film" if shot_share < 0.9995 else "the only shot"
    return ", ".join(words) + f"; {share}"
