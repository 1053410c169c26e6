"""Randomness that derives from a key, never from call order, so that a retry or another partitioning changes nothing.

Two families: ``rng(seed, *key)`` for simulation and training, and ``uniform(key, *parts)`` for exploration draws, which
must be recomputable by anyone who holds the salt.
"""

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["bucket", "rng", "uniform"]

BUCKETS = 64
"""Number of user buckets: the one clustering column of member-side tables."""
INNER, OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def rng(seed: int, *key: object) -> np.random.Generator:
    """A generator that depends only on ``seed`` and the parts of ``key``.

    >>> int(rng(7, "user", 3).integers(1000)) == int(rng(7, "user", 3).integers(1000))
    True
    """
    digest = hashlib.blake2b("\x1f".join(map(str, (seed, *key))).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def uniform(salt: str, *parts: object) -> float:
    """A number in [0, 1) from a keyed hash (HMAC-SHA256 of the parts under ``salt``), 53 bits of it.

    >>> 0.0 <= uniform("salt", "user", "title", "2026-01-01") < 1.0
    True
    """
    inner, outer = (half.copy() for half in _keyed(salt))
    inner.update("\x1f".join(map(str, parts)).encode())
    outer.update(inner.digest())
    digest = outer.digest()
    return (int.from_bytes(digest[:8], "big") >> 11) * 2.0**-53


@lru_cache(256)
def _keyed(salt: str) -> tuple[Any, Any]:
    """The two SHA-256 of an HMAC (RFC 2104) after their key: half of the work of each number, done once a salt."""
    key = salt.encode()
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    return hashlib.sha256(block.translate(INNER)), hashlib.sha256(block.translate(OUTER))


def bucket(user_key: str) -> int:
    """The user bucket of a keyed hash written in hexadecimal: its first 32 bits modulo BUCKETS."""
    return int(user_key[:8], 16) % BUCKETS
