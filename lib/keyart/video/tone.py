"""High dynamic range and wide gamut to sRGB, as a standard screen would show them.

PQ: SMPTE ST 2084. HLG: Recommendation ITU-R BT.2100, system gamma 1.2 (a display of 1000 cd/m2). Reference white is
203 cd/m2 (Report ITU-R BT.2408); what is brighter is rolled off by the EETF of Report ITU-R BT.2390, which leaves the
tones below its knee as they are. Gamut: BT.2020 to BT.709 in linear light (Recommendation ITU-R BT.2087), clipped.
"""

from functools import lru_cache

import numpy as np

__all__ = ["HLG", "PQ", "is_wide", "tone_mapped"]

PQ, HLG = 16, 18
"""Transfer characteristics, and below primaries, by their numbers in ISO/IEC 23091-2."""
BT2020 = 9
WHITE = 203.0
"""cd/m2 of diffuse white."""
HLG_PEAK, HLG_GAMMA = 1000.0, 1.2
LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
TO_709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
STRIP = 64
"""Rows converted at once: a frame of 4K in linear light would take 100 MB."""


def is_wide(transfer: int, primaries: int) -> bool:
    """Whether a frame needs more than its YCbCr matrix to be shown as sRGB."""
    return transfer in (PQ, HLG) or primaries == BT2020


def tone_mapped(rgb: np.ndarray, transfer: int) -> np.ndarray:
    """sRGB (h, w, 3) uint8 from BT.2020 RGB code values (h, w, 3) uint16; other transfers are BT.1886 of 2.4."""
    sample = _linear(rgb[::8, ::8], transfer)
    peak = max(1.0, float(np.quantile(sample.max(axis=-1), 0.999)) if sample.size else 1.0)
    shown = np.empty(rgb.shape, np.uint8)
    for top in range(0, len(rgb), STRIP):
        light = _linear(rgb[top : top + STRIP], transfer)
        brightest = light.max(axis=-1, keepdims=True)
        light *= rolled_off(brightest, peak) / np.maximum(brightest, 1e-6)
        shown[top : top + STRIP] = _encoded(light @ TO_709.T)
    return shown


def rolled_off(light: np.ndarray, peak: float) -> np.ndarray:
    """BT.2390's EETF: light with white at 1 and up to ``peak`` brought into [0, 1]; the eye's scale is PQ's.

    >>> rolled_off(np.array([0.1, 4.0]), 4.0).round(3).tolist()
    [0.1, 1.0]
    """
    if peak <= 1:
        return np.minimum(light, 1)
    top = pq_code(peak * WHITE)
    most = pq_code(WHITE) / top
    knee = 1.5 * most - 0.5
    code = np.minimum(pq_code(light * WHITE) / top, 1)
    t = (code - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return np.where(code < knee, light, pq_light(spline * top) / WHITE)


def pq_light(code: np.ndarray) -> np.ndarray:
    """cd/m2 of PQ code values in [0, 1] (ST 2084's EOTF).

    >>> float(pq_light(np.array(0.508)).round())
    100.0
    """
    root = np.asarray(code, np.float64) ** (32 / 2523)
    low = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return 10_000 * low ** (16384 / 2610)


def pq_code(light: np.ndarray | float) -> np.ndarray:
    """PQ code values in [0, 1] of cd/m2."""
    power = (np.maximum(light, 0) / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def _linear(rgb: np.ndarray, transfer: int) -> np.ndarray:
    """Linear light (h, w, 3) float32 with diffuse white at 1."""
    light = _curve(transfer)[rgb]
    if transfer == HLG:  # scene light so far; the display's gamma works on luminance
        light *= ((light @ LUMINANCE)[..., None] ** (HLG_GAMMA - 1)) * (HLG_PEAK / WHITE)
    return light


@lru_cache
def _curve(transfer: int) -> np.ndarray:
    """Light (65536,) float32 of every code value."""
    code = np.arange(65_536) / 65_535
    if transfer == PQ:
        light = pq_light(code) / WHITE
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    else:
        light = code**2.4
    return light.astype(np.float32)


@lru_cache
def _srgb() -> np.ndarray:
    """sRGB code (4096,) uint8 of light whose square root is k / 4095."""
    light = (np.arange(4096) / 4095) ** 2
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (code * 255).round().astype(np.uint8)


def _encoded(light: np.ndarray) -> np.ndarray:
    return _srgb()[(np.sqrt(np.clip(light, 0, 1)) * 4095 + 0.5).astype(np.int32)]
