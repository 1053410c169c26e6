"""What a proof looks for: members' ids and keys, in bytes that may hold them in any of their usual spellings.

A key is 32 hexadecimal digits and is sought anywhere. An id is sought as a word: not within a longer one. An id that is
too short, or a small number, stands in every text by chance; it is sought as a whole value only (``Needles.whole``).
"""

import html
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from keyart.feedback.privacy import KEY_LENGTH

__all__ = ["FEW", "Needles", "is_member_field"]

FEW = 16
"""Up to so many are sought one after the other, which is fastest; more by the words that they consist of."""
SHORTEST_WORD = 6
SHORTEST_NUMBER = 9
MEMBER_FIELD = re.compile(r"user|member|customer|account|profile|viewer|subscriber", re.IGNORECASE)
WORD = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{%d,}" % KEY_LENGTH)
BREAKS = (rb"\n", rb"\t", rb"\r", rb"\b", rb"\f", b"%20", b"%0A", b"%22", b"%2C", b"%3D", b"%26")
"""Spellings of what parts words, within JSON and addresses, that end in a letter or digit."""


def is_member_field(name: str) -> bool:
    """Whether a column or field of this name may hold members' ids as numbers.

    >>> is_member_field("rows.user_id"), is_member_field("size_bytes")
    (True, False)
    """
    return bool(MEMBER_FIELD.search(name))


class Needles:
    """Ids and keys of members; ``found`` answers with places in the two lists, which belong together."""

    def __init__(self, ids: Sequence[str], keys: Sequence[str]) -> None:
        self._keys = {key.lower().encode(): place for place, key in enumerate(keys)}
        self.whole = {member.encode(): place for place, member in enumerate(ids)}
        """Every id, for whole values."""
        self.numbers = {int(member): place for place, member in enumerate(ids) if _is_number(member)}
        """Ids that a writer may have kept as integers."""
        self._words = {
            _parted(spelling): place
            for place, member in enumerate(ids)
            if _is_word(member)
            for spelling in _spellings(member)
        }
        self.has_short = any(not _is_word(member) for member in ids)
        self.longest = max((len(word) for word in (*self._keys, *self._words)), default=1) + 8
        """Bytes that two pieces of one text have to share, so that nothing is lost between them."""
        self._by_token = _by_rarest(self._words) if len(self._words) > FEW else {}

    def found(self, text: bytes, is_end: bool = True) -> set[int]:
        """Members whose key or id stands in the text; one that ends with it counts only where it ``is_end``."""
        return self._found_keys(text) | self._found_words(_parted(text), is_end)

    def found_in(self, cells: Iterable[bytes]) -> set[int]:
        """Members found in values, each by itself, ids of any length where they are the whole value."""
        values = list(cells)
        exact = {self.whole[value] for value in values if value in self.whole}
        return exact | self.found(b"\n".join(values))

    def _found_keys(self, text: bytes) -> set[int]:
        if len(self._keys) <= FEW:
            small = text.lower() if self._keys else b""
            return {place for key, place in self._keys.items() if key in small}
        places = set()
        for run in HEXADECIMAL.finditer(text):
            digits = run[0].lower()
            for start in range(len(digits) - KEY_LENGTH + 1):
                place = self._keys.get(digits[start : start + KEY_LENGTH])
                if place is not None:
                    places.add(place)
        return places

    def _found_words(self, text: bytes, is_end: bool) -> set[int]:
        places = set()
        if len(self._words) <= FEW:
            for word, place in self._words.items():
                start = text.find(word)
                while start >= 0 and place not in places:
                    if _stands_alone(text, start, word, is_end):
                        places.add(place)
                    start = text.find(word, start + 1)
            return places
        for token in WORD.finditer(text):
            for word, before, place in self._by_token.get(token[0], ()):
                start = token.start() - before
                if (
                    place not in places
                    and start >= 0
                    and text.startswith(word, start)
                    and _stands_alone(text, start, word, is_end)
                ):
                    places.add(place)
        return places


def _is_number(member: str) -> bool:
    return member.isascii() and member.isdigit() and len(member) < 19


def _is_word(member: str) -> bool:
    return len(member) >= (SHORTEST_NUMBER if member.isdigit() else SHORTEST_WORD)


def _spellings(member: str) -> set[bytes]:
    """The id as it is, within JSON, within JSON that is a string of JSON, in a page, and in an address."""
    in_json = json.dumps(member)[1:-1]
    unescaped = json.dumps(member, ensure_ascii=False)[1:-1]
    spelt = {member, in_json, unescaped, json.dumps(in_json)[1:-1], html.escape(member), quote(member, safe="")}
    return {spelling.encode() for spelling in spelt}


def _parted(text: bytes) -> bytes:
    """The text with blanks for what parts words."""
    for mark in BREAKS if b"\\" in text or b"%" in text else ():
        text = text.replace(mark, b" ")
    return text


def _is_letter(text: bytes, place: int) -> bool:
    return bool(WORD.match(text[place : place + 1]))


def _stands_alone(text: bytes, start: int, word: bytes, is_end: bool) -> bool:
    """Whether what is found is no part of a longer word."""
    end = start + len(word)
    if end == len(text) and not is_end:
        return False  # how it goes on, the next piece tells
    if start > 0 and _is_letter(word, 0) and _is_letter(text, start - 1):
        return False
    return not (end < len(text) and _is_letter(word, len(word) - 1) and _is_letter(text, end))


def _by_rarest(words: dict[bytes, int]) -> dict[bytes, list[tuple[bytes, int, int]]]:
    """Of each word the part that fewest words share: part to (word, bytes before the part, place)."""
    parts = {word: list(WORD.finditer(word)) for word in words}
    shared = Counter(part[0] for found in parts.values() for part in found)
    index = defaultdict(list)
    for word, place in words.items():
        if parts[word]:  # an id of signs alone is found as a whole value
            rarest = min(parts[word], key=lambda part: (shared[part[0]], -len(part[0])))
            index[rarest[0]].append((word, rarest.start(), place))
    return dict(index)
