"""Read a YAML configuration into frozen settings; what is unknown, of the wrong type or impossible fails at start.

A file may begin with ``extends: other.yaml`` (relative to itself); later files and ``--set section.key=value`` win.
"""

import os
import reprlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from keyart.errors import ConfigError
from keyart.secrecy import is_secret, refuse_literals
from keyart.settings import OneOf, Range, Settings

__all__ = ["NOT_YAML", "as_dict", "load", "read_yaml", "with_values"]

LARGEST = 1 << 20
"""Bytes of a configuration; more is none."""
LONGEST = 1 << 63
"""No setting is a whole number that large."""
SHORT = reprlib.Repr()
"""How a wrong value is quoted, whatever is nested in it."""
SHORT.maxstring = SHORT.maxother = 200
NOT_YAML = (yaml.YAMLError, ValueError, RecursionError, OverflowError)
"""What YAML's reader ends in: dates and numbers that cannot be, and nesting without end, are no errors of its own."""


def load(path: str | Path | None, overrides: Sequence[str] = ()) -> Settings:
    """Settings from a YAML file (or the defaults, without one) and ``section.key=value`` overrides.

    ConfigError names the file (or ``--set``) and the key.
    """
    tree, origin = (_read(Path(path), ()), str(path)) if path else ({}, "defaults")
    _build(Settings, tree, origin, "")
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {' '.join(override.split())}: write it as section.key=value")
        try:
            parsed = yaml.safe_load(value) if value else ""
        except NOT_YAML as error:
            raise ConfigError(f"--set {' '.join(key.split())}: the value is not YAML") from error
        change = _nested(key, parsed)
        try:
            _build(Settings, change, "--set", "")
        except ConfigError:
            # What YAML takes for a null, number or date may be meant as text: demo.world=null, catalog.videos=2001.
            change = _nested(key, value)
            try:
                _build(Settings, change, "--set", "")
            except ConfigError:
                change = _nested(key, parsed)
                _build(Settings, change, "--set", "")
        tree = _merge(tree, change)
    settings: Settings = _build(Settings, tree, origin, "")
    refuse_literals(settings)
    return settings


def as_dict(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, for logs and MLflow."""
    return asdict(settings)


def _nested(key: str, value: Any) -> Any:
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return value


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """A copy with ``{"section.key": value}`` set, checked like a file's."""
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        change = {section: {name: value}} if section else {name: value}
        _build(Settings, change, key, "")
        settings = replace(
            settings, **({section: replace(getattr(settings, section), **{name: value})} if section else change)
        )
    refuse_literals(settings)
    return settings


def _read(path: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    if (real := os.path.realpath(path)) in seen:
        raise ConfigError(f"{path}: extends itself")
    tree = read_yaml(path)
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: must hold keys and values, not a {type(tree).__name__}")
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    if not isinstance(parent, str) or "\0" in parent:
        raise ConfigError(f"{path}: extends must name a file")
    base = _read(path.parent / parent, (*seen, real))
    return _merge(base, tree)


def read_yaml(path: Path) -> Any:
    """What a small YAML file holds; ConfigError where it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ConfigError(f"{path}: is larger than {LARGEST >> 20} MB, which no configuration is")
        return yaml.safe_load(content.decode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except NOT_YAML as error:
        where = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path}: not YAML{f' at line {where.line + 1}' if where else ''}") from error


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _build(kind: type, tree: Any, origin: str, prefix: str) -> Any:
    if not isinstance(tree, dict):
        raise ConfigError(f"{origin}: {prefix.rstrip('.') or 'the file'} must hold keys and values")
    hints = get_type_hints(kind, include_extras=True)
    names = {f.name for f in fields(kind)}
    for key in (" ".join(_text(key).split())[:100] for key in tree):
        if key not in names:
            near = get_close_matches(key, sorted(names), 1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known are {', '.join(sorted(names))}"
            raise ConfigError(f"{origin}: unknown key {prefix}{key}{hint}")
    return kind(**{key: _value(hints[key], value, origin, prefix + key) for key, value in tree.items()})


def _value(hint: Any, value: Any, origin: str, key: str) -> Any:
    limits: tuple[Any, ...] = ()
    if get_origin(hint) is typing.Annotated:
        hint, *rest = get_args(hint)
        limits = tuple(rest)
    if is_dataclass(hint):
        return _build(typing.cast(type, hint), value, origin, key + ".")
    result = _convert(hint, value, origin, key)
    for limit in limits:
        if isinstance(limit, Range) and not limit.low <= result <= limit.high:
            raise ConfigError(f"{origin}: {key} is {_text(result)}, allowed is {limit.low:g} to {limit.high:g}")
        if isinstance(limit, OneOf) and result not in limit.choices:
            raise ConfigError(f"{origin}: {key} is {result!r}, allowed are {', '.join(limit.choices)}")
    return result


def _convert(hint: Any, value: Any, origin: str, key: str) -> Any:
    kind = get_origin(hint) or hint
    if kind in (types.UnionType, typing.Union):
        options = [option for option in get_args(hint) if option is not type(None)]
        return None if value is None else _convert(options[0], value, origin, key)
    if isinstance(value, int) and abs(value) >= LONGEST:
        raise ConfigError(f"{origin}: {key} is a number of too many digits")
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str):
        return value
    if kind is date and isinstance(value, date):
        return value
    # Aliases make a tree of a few lines that takes forever to write out: what is nested is no value.
    if kind is dict and isinstance(value, dict) and not any(isinstance(v, dict | list | set) for v in value.values()):
        return {_text(k): _text(v) for k, v in value.items()}
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(_convert(get_args(hint)[0], item, origin, key) for item in value)
    wanted = getattr(hint, "__name__", str(hint))
    said = "a value" if is_secret(key) or key.endswith(".options") else _text(value, SHORT.repr)
    raise ConfigError(f"{origin}: {key} is {said}, which is not a {wanted}")


def _text(value: Any, written: Callable[[Any], str] = str) -> str:
    try:
        return written(value)
    except ValueError:  # of a number with thousands of digits
        return "a number of too many digits"
