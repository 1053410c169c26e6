"""What was decided before the experiment began: who, how long, by which figures. The analysis obeys it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from keyart.errors import ConfigError, TableError
from keyart.evaluation.experiments.metrics import metric_named
from keyart.evaluation.experiments.randomisation import Split
from keyart.settings import ExperimentSettings

__all__ = ["Design", "Rules", "design_of", "margins_of", "shares_of"]

CONTINUOUS = "continuous"


@dataclass(frozen=True)
class Rules:
    """The part of a design that is kept as JSON. Effects and margins are relative; ``looks`` is continuous or once."""

    minimum_effect: float
    power: float
    alpha: float
    looks: str
    secondary: tuple[str, ...]
    guardrails: Mapping[str, float] = field(default_factory=dict)
    members: tuple[int, ...] = ()  # planned, of each variant
    days: int = 0  # planned
    cost_per_1000_decisions: float = 0.0
    most_per_minute: float = 0.0

    def __post_init__(self) -> None:
        for name in (*self.secondary, *self.guardrails):
            metric_named(name)
        if any(margin <= 0 for margin in self.guardrails.values()):
            raise ConfigError("experiment.guardrails: a margin is a relative loss above 0 that could be borne")


@dataclass(frozen=True)
class Design:
    """An experiment as registered; ``variants`` are policy_ids, control first."""

    name: str
    variants: tuple[str, ...]
    metric: str
    split: Split
    rules: Rules
    from_day: date
    to_day: date | None

    @property
    def experiment_id(self) -> str:
        return self.split.experiment_id

    def row(self) -> dict[str, Any]:
        """For the table experiments."""
        split = self.split
        return {
            "experiment_id": split.experiment_id,
            "name": self.name,
            "variants": list(self.variants),
            "shares": list(split.shares),
            "metric": self.metric,
            "salt": split.salt,
            "layer": split.layer,
            "traffic_from": split.traffic[0],
            "traffic_to": split.traffic[1],
            "holdout": split.holdout,
            "rules": json.dumps(asdict(self.rules), sort_keys=True),
            "from_day": self.from_day,
            "to_day": self.to_day,
        }

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> "Design":
        """What ``row`` wrote; TableError where the rules cannot be read."""
        try:
            said = json.loads(row["rules"])
            listed = {name: tuple(said[name]) for name in ("secondary", "members")}
            rules = Rules(**{**said, **listed})
        except (KeyError, TypeError, ValueError) as error:
            raise TableError(f"experiment {row['experiment_id']} has rules that cannot be read ({error})") from error
        traffic = (row["traffic_from"], row["traffic_to"])
        split = Split(row["experiment_id"], row["layer"], row["salt"], tuple(row["shares"]), traffic, row["holdout"])
        return cls(row["name"], tuple(row["variants"]), row["metric"], split, rules, row["from_day"], row["to_day"])


def shares_of(settings: ExperimentSettings) -> tuple[float, ...]:
    """The variants' shares: as set, else alike (``arms`` of them where none are named); ConfigError for bad ones."""
    if settings.shares:
        if len(settings.shares) < 2 or min(settings.shares) <= 0 or abs(sum(settings.shares) - 1) > 1e-9:
            raise ConfigError(f"experiment.shares {settings.shares}: two or more, each above 0, must sum to 1")
        return settings.shares
    count = max(len(settings.variants), settings.arms)
    return (1 / count,) * count


def margins_of(settings: ExperimentSettings) -> dict[str, float]:
    """Guardrails and their margins; ConfigError where a margin is no number."""
    try:
        return {name: float(margin) for name, margin in settings.guardrails.items()}
    except ValueError as error:
        raise ConfigError(f"experiment.guardrails: {error}") from error


def design_of(settings: ExperimentSettings, members: tuple[int, ...] = (), days: int = 0) -> Design:
    """From the settings and what was planned; ConfigError names the key that is missing or does not fit."""
    for key in ("experiment_id", "from_day"):
        if not getattr(settings, key):
            raise ConfigError(f"experiment.{key} is not set, and an experiment cannot be registered without it")
    shares = shares_of(settings)
    if len(set(settings.variants)) != len(shares):
        raise ConfigError("experiment.variants must name a different policy_id for each share, control first")
    if not metric_named(settings.metric).decides:
        raise ConfigError(
            f"experiment.metric {settings.metric} counts clicks, and experiments are decided by what was watched: take "
            "reward or minutes, and list it under experiment.secondary"
        )
    if settings.to_day and settings.from_day and settings.to_day <= settings.from_day:
        raise ConfigError(f"experiment.to_day {settings.to_day} is not after from_day {settings.from_day}")
    rules = Rules(
        settings.minimum_effect,
        settings.power,
        settings.alpha,
        settings.looks,
        tuple(name for name in settings.secondary if name != settings.metric),
        margins_of(settings),
        members,
        days,
        settings.cost_per_1000_decisions,
        settings.most_per_minute,
    )
    split = Split(
        settings.experiment_id,
        settings.layer,
        settings.salt,
        shares,
        (settings.traffic_from, settings.traffic_to),
        settings.holdout,
    )
    assert settings.from_day is not None
    name = settings.name or settings.experiment_id
    return Design(name, settings.variants, settings.metric, split, rules, settings.from_day, settings.to_day)
