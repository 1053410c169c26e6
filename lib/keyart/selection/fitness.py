"""Policy: what a flag or a sighting costs a candidate, by region and maturity rating.

A rule is four words: ``WHAT REGION RATING DOES``. WHAT is a flag (text, spoiler, closed-eyes, ...) or a plug-in's
``name:label``; REGION and RATING are names or ``*``; DOES is ``exclude`` or a factor in [0, 1] on the score. Scores are
a title's, not a region's: a factor needs the region ``*``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from keyart.errors import ConfigError

__all__ = ["Fitness", "Rule", "judge", "read_rules"]


@dataclass(frozen=True)
class Rule:
    """What a flag costs, where and for which rating; ``factor`` None excludes."""

    what: str
    region: str
    rating: str
    factor: float | None


@dataclass(frozen=True)
class Fitness:
    """A candidate's: the flag that excludes it everywhere ("" where none does), its factor, regions to keep it from."""

    excluded_by: str
    factor: float
    excluded_regions: tuple[str, ...]


def read_rules(lines: Sequence[str]) -> tuple[Rule, ...]:
    """Rules of their lines; ConfigError names the one that is wrong.

    >>> read_rules(["text * * 0.5", "nudity:nude SE 7+ exclude"])[1].region
    'SE'
    """
    rules = []
    for line in lines:
        words = line.split()
        if len(words) != 4:
            raise ConfigError(f"select.policy: {line!r} must be four words: flag, region, rating, exclude or a factor")
        what, region, rating, does = words
        try:
            factor = None if does == "exclude" else float(does)
        except ValueError as error:
            raise ConfigError(f"select.policy: {line!r} ends neither in exclude nor in a factor") from error
        if factor is not None and not (0 <= factor <= 1 and region == "*"):
            raise ConfigError(f"select.policy: {line!r}: a factor lies in [0, 1] and holds for every region (*)")
        rules.append(Rule(what, region, rating, factor))
    return tuple(rules)


def judge(rules: Sequence[Rule], flags: Collection[str], rating: str | None) -> Fitness:
    """What the rules make of a candidate with these flags, of a title of this rating.

    >>> judge(read_rules(["text * * 0.5", "logo SE * exclude"]), {"text", "logo"}, None)
    Fitness(excluded_by='', factor=0.5, excluded_regions=('SE',))
    """
    factor, everywhere, regions = 1.0, "", set()
    for rule in rules:
        if rule.what not in flags or rule.rating not in ("*", rating):
            continue
        if rule.factor is not None:
            factor *= rule.factor
        elif rule.region == "*":
            everywhere = everywhere or rule.what
        else:
            regions.add(rule.region)
    return Fitness(everywhere, factor, tuple(sorted(regions)))
