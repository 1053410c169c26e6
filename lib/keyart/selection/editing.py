"""What an editor does with one title's candidates: rank them, choose a few that differ, say why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from keyart.selection.diversity import choose
from keyart.selection.fitness import Fitness, Rule, judge
from keyart.selection.ranking import Candidates, Ranking, rank
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
    excluded_regions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edit:
    """Score (N,) and verdict of every candidate, and the chosen ones, best first."""

    score: np.ndarray
    verdicts: list[str]
    picks: list[Pick]


def edit_title(
    candidates: Candidates,
    faces: list[int],
    most: int,
    diversity: float,
    spoiler_share: float,
    rules: Sequence[Rule] = (),
    rating: str | None = None,
    sightings: Sequence[Sequence[str]] | None = None,
    wanted: Collection[int] = (),
) -> Edit:
    """Choose at most ``most`` artworks of one title; ``faces`` counts each candidate's faces.

    ``rules`` are the policy, ``rating`` the title's; ``sightings`` what plug-ins saw in each candidate, as flags.
    What an editor ``wanted`` is chosen too, whatever its score: it comes in addition.

    Where no candidate is usable the least bad one is chosen and flagged "weak", so that the title has a picture.
    """
    ranking, fits = _fit(rank(candidates, spoiler_share), rules, rating, sightings)
    choice = choose(candidates, ranking, most, diversity)
    verdicts, picks = list(choice.verdicts), []
    asked = sorted(set(wanted) - set(choice.chosen), key=lambda index: (-ranking.score[index], index))
    for place, index in enumerate([*choice.chosen, *asked], 1):
        signals = named(candidates.features[index])
        shot, moods = shot_type(signals["face_size"]), mood_labels(signals)
        words = reason(signals, shot, faces[index], moods, float(candidates.shot_share[index]))
        weak = choice.least_bad and index in choice.chosen
        if weak:
            words = f"the least bad of a weak choice ({ranking.problem[index]}): {words}"
        flags = [*ranking.flags[index], *(["weak"] if weak else [])]
        picks.append(Pick(index, place, shot, moods, flags, words, fits[index].excluded_regions))
        verdicts[index] = f"selected: {words}"
    return Edit(ranking.score, verdicts, picks)


def _fit(
    ranking: Ranking, rules: Sequence[Rule], rating: str | None, sightings: Sequence[Sequence[str]] | None
) -> tuple[Ranking, list[Fitness]]:
    """The ranking after policy: sightings are flags too, factors on the scores, exclusions are problems."""
    flags = [
        [*own, *sorted(set(seen))]
        for own, seen in zip(ranking.flags, sightings or [()] * len(ranking.flags), strict=True)
    ]
    fits = [judge(rules, set(own), rating) for own in flags]
    problem = [
        had or (f"policy: {fit.excluded_by}" if fit.excluded_by else "")
        for had, fit in zip(ranking.problem, fits, strict=True)
    ]
    factor = np.array([fit.factor for fit in fits], float)
    return Ranking(ranking.score * factor, problem, flags), fits
