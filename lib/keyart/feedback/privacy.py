"""Pseudonyms: a member's id becomes a keyed hash, and the key lives in the environment alone."""

import hmac
import os
from collections.abc import Sequence

from keyart.errors import SetupError
from keyart.settings import PrivacySettings

__all__ = ["KEY_LENGTH", "secret", "suppression_secret", "user_keys"]

KEY_LENGTH = 32
"""Hexadecimal digits of a user key: 128 bits, so that 10^9 members meet by chance once in 10^20 catalogues."""


def secret(privacy: PrivacySettings) -> bytes:
    """The key for hashing member ids, from the environment; SetupError says how to set one where there is none."""
    value = os.environ.get(privacy.key_variable, "")
    if not value.strip():
        raise SetupError(
            f"no key for hashing member ids: export {privacy.key_variable}=$(openssl rand -hex 32) and keep it, "
            "for members are only recognised under the same key"
        )
    return value.encode()


def suppression_secret(privacy: PrivacySettings) -> bytes:
    """The key under which erased members are remembered; SetupError where there is none, or it is the other key."""
    name, value = privacy.suppression_variable, os.environ.get(privacy.suppression_variable, "")
    if not value.strip():
        raise SetupError(
            f"no key for the list of erased members: export {name}=$(openssl rand -hex 32) and keep it, for they are "
            "only kept out under the same key"
        )
    if value == os.environ.get(privacy.key_variable, ""):
        raise SetupError(f"{name} and {privacy.key_variable} are the same: the list of erased members needs its own")
    return value.encode()


def user_keys(secret: bytes, ids: Sequence[str]) -> list[str]:
    """HMAC-SHA256 of each id under ``secret``, the first 128 bits in hexadecimal; an id that repeats is hashed once.

    >>> user_keys(b"k", ["a", "b", "a"])[0] == user_keys(b"k", ["a"])[0]
    True
    """
    keyed = hmac.new(secret, digestmod="sha256")
    known: dict[str, str] = {}
    for member in ids:
        if member not in known:
            one = keyed.copy()  # the key's own two blocks are digested once, not once an id
            one.update(member.encode())
            known[member] = one.hexdigest()[:KEY_LENGTH]
    return [known[member] for member in ids]
