"""Any ONNX detector or classifier by path, labels and preprocessing: objects, expression, aesthetics, sensitivity.

A plug-in is a small YAML file beside its model::

    name: nudity
    model: nudity.onnx          # relative to this file
    kind: classifier            # or detector: rows of x1, y1, x2, y2, score, label in pixels of the input
    labels: [safe, nude]
    width: 224
    height: 224
    colour: rgb                 # or bgr
    layout: nchw                # or nhwc
    scale: 0.003921568627       # pixels times scale, minus mean, over std
    mean: [0.485, 0.456, 0.406]
    std: [0.229, 0.224, 0.225]
    activation: softmax         # or sigmoid, none
    threshold: 0.5              # least score of a sighting

What it sees becomes sightings ``name:label``, which policy rules exclude or lower by.
"""

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keyart.config import read_yaml
from keyart.errors import ConfigError, ModelError, SetupError

__all__ = ["Plugin", "Sighting", "build_plugin", "read_plugin"]

LISTS = ("labels", "mean", "std")
MOST_ACROSS = 8_192
"""Pixels of a model's input."""
KINDS, ACTIVATIONS = ("classifier", "detector"), ("softmax", "sigmoid", "none")


@dataclass(frozen=True)
class Plugin:
    """A model's bytes and how to feed and read it; it travels to workers in a closure."""

    name: str
    weights: bytes
    kind: str
    labels: tuple[str, ...]
    width: int = 224
    height: int = 224
    colour: str = "rgb"
    layout: str = "nchw"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    activation: str = "softmax"
    threshold: float = 0.5


@dataclass(frozen=True)
class Sighting:
    """What a plug-in saw: ``label`` is name:label; the box in shares of the picture, the whole for a classifier."""

    label: str
    score: float
    x: float = 0.0
    y: float = 0.0
    width: float = 1.0
    height: float = 1.0


def read_plugin(path: str | Path) -> Plugin:
    """A plug-in from its YAML file; ConfigError names the file and what is wrong."""
    path = Path(path)
    try:
        said: Any = read_yaml(path)
        known = {field.name for field in fields(Plugin)} - {"weights"} | {"model"}
        if not isinstance(said, dict) or not {"name", "model", "kind", "labels"} <= set(said):
            raise ConfigError(f"{path}: a plug-in has name, model, kind and labels")
        if unknown := sorted(set(map(str, said)) - known):
            raise ConfigError(f"{path}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        if said["kind"] not in KINDS or said.get("activation", "softmax") not in ACTIVATIONS:
            raise ConfigError(f"{path}: kind is {' or '.join(KINDS)}, activation one of {', '.join(ACTIVATIONS)}")
        weights = (path.parent / said.pop("model")).read_bytes()
    except (OSError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: the plug-in cannot be read ({error})") from error
    lists = {name: tuple(said[name]) for name in LISTS if isinstance(said.get(name), list)}
    if wrong := [name for name, value in (said | lists).items() if not _fits(name, value)]:
        raise ConfigError(f"{path}: {wrong[0]} is of the wrong type or size")
    plugin = Plugin(**{**said, **lists, "weights": weights})
    build_plugin(plugin)
    return plugin


def _fits(name: str, value: Any) -> bool:
    if name == "labels":
        return isinstance(value, tuple) and len(value) > 0 and all(isinstance(one, str | int) for one in value)
    if name in LISTS:
        return isinstance(value, tuple) and len(value) == 3 and all(isinstance(one, int | float) for one in value)
    if name in ("width", "height"):
        return isinstance(value, int) and 1 <= value <= MOST_ACROSS
    return isinstance(value, int | float if name in ("scale", "threshold") else str)


@cache
def build_plugin(plugin: Plugin) -> "Runner":
    """A plug-in's runner, one a process; SetupError without onnxruntime, ModelError for a file that is no model."""
    return Runner(plugin)


class Runner:
    """Sightings of a plug-in in (H, W, 3) uint8 BGR, surest first."""

    def __init__(self, plugin: Plugin) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise SetupError(
                f"plug-in {plugin.name} needs onnxruntime: pip install 'keyart[text]', or take it from select.plugins"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # tasks are the parallelism
        try:
            self._session = onnxruntime.InferenceSession(plugin.weights, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its C++ side without a common base of their own
            raise ModelError(f"plug-in {plugin.name}: onnxruntime cannot read its model; fetch it again") from error
        self._plugin, self._input = plugin, self._session.get_inputs()[0].name

    def __call__(self, bgr: np.ndarray) -> list[Sighting]:
        p = self._plugin
        output = np.asarray(self._session.run(None, {self._input: prepared(bgr, p)})[0], np.float64)
        seen = self._classes(output.reshape(-1)) if p.kind == "classifier" else self._boxes(output)
        return sorted((one for one in seen if one.score >= p.threshold), key=lambda one: -one.score)

    def _classes(self, values: np.ndarray) -> list[Sighting]:
        p = self._plugin
        if values.size != len(p.labels):
            raise ModelError(f"plug-in {p.name}: {values.size} outputs for {len(p.labels)} labels")
        if p.activation == "softmax":
            values = np.exp(values - values.max())
            values = values / values.sum()
        elif p.activation == "sigmoid":
            values = 1 / (1 + np.exp(-values))
        return [Sighting(f"{p.name}:{label}", float(v)) for label, v in zip(p.labels, values, strict=True)]

    def _boxes(self, output: np.ndarray) -> list[Sighting]:
        p = self._plugin
        rows = output.reshape(-1, output.shape[-1])
        if rows.shape[1] < 6:
            raise ModelError(f"plug-in {p.name}: a detector gives rows of x1, y1, x2, y2, score, label")
        seen = []
        for x1, y1, x2, y2, score, label in rows[:, :6]:
            if 0 <= int(label) < len(p.labels):
                box = (x1 / p.width, y1 / p.height, (x2 - x1) / p.width, (y2 - y1) / p.height)
                seen.append(Sighting(f"{p.name}:{p.labels[int(label)]}", float(score), *map(float, box)))
        return seen


def prepared(bgr: np.ndarray, plugin: Plugin) -> np.ndarray:
    """The model's input, (1, 3, h, w) or (1, h, w, 3) float32: resized, scaled, less the mean, over the std."""
    pixels = cv2.resize(bgr, (plugin.width, plugin.height), interpolation=cv2.INTER_AREA)
    pixels = pixels[..., ::-1] if plugin.colour == "rgb" else pixels
    mean, std = np.array(plugin.mean, np.float32), np.array(plugin.std, np.float32)
    values = (pixels.astype(np.float32) * plugin.scale - mean) / std
    values = values.transpose(2, 0, 1) if plugin.layout == "nchw" else values
    return np.ascontiguousarray(values[None], np.float32)
