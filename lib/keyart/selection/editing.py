"""What an editor does with one title's candidates: rank them, choose a few that differ, say why."""

from dataclasses import dataclass

import numpy as np

from keyart.selection.diversity import choose
from keyart.selection.ranking import Candidates, rank
from keyart.selection.reasons import reason
from keyart.vision.features import named
from keyart.vision.moods import mood_labels
from keyart.vision.people import shot_type

__all__ = ["Edit", "Pick", "edit_title"]


@dataclass(frozen=True)
class Pick:
    """A chosen candidate by its index, with what its artwork row says."""

    index: int
    rank: int
    shot_type: str
    moods: list[str]
    flags: list[str]
    reason: str


@dataclass(frozen=True)
class Edit:
    """Score (N,) and verdict of every candidate, and the chosen ones, best first."""

    score: np.ndarray
    verdicts: list[str]
    picks: list[Pick]


def edit_title(candidates: Candidates, faces: list[int], most: int, diversity: float, spoiler_share: float) -> Edit:
    """Choose at most ``most`` artworks of one title; ``faces`` counts each candidate's faces.

    Where no candidate is usable the least bad one is chosen and flagged "weak", so that the title has a picture.
    """
    ranking = rank(candidates, spoiler_share)
    choice = choose(candidates, ranking, most, diversity)
    verdicts, picks = list(choice.verdicts), []
    for place, index in enumerate(choice.chosen, 1):
        signals = named(candidates.features[index])
        shot, moods = shot_type(signals["face_size"]), mood_labels(signals)
        words = reason(signals, shot, faces[index], moods, float(candidates.shot_share[index]))
        if choice.least_bad:
            words = f"the least bad of a weak choice ({ranking.problem[index]}): {words}"
        flags = [*ranking.flags[index], *(["weak"] if choice.least_bad else [])]
        picks.append(Pick(index, place, shot, moods, flags, words))
        verdicts[index] = f"selected: {words}"
    return Edit(ranking.score, verdicts, picks)
