"""How many words a phrase has, in languages with spaces between them and in those without."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import lru_cache

_UNSPACED = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, Khmer symbols
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3031, 0x303C),
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF),  # Yi
    (0xA980, 0xA9FF),  # Javanese, Myanmar
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # Katakana at half width
    (0x1AFF0, 0x1B16F),  # more Kana
    (0x20000, 0x323AF),
)
"""Blocks of the scripts that put no spaces between words. Korean does, so Hangul is not among them."""
_STARTS = [first for first, _ in _UNSPACED]


@lru_cache(maxsize=100_000)
def count_words(text: str) -> int:
    """Words of a text: what white space parts, and every letter or digit of a script that has no spaces.

    Unicode's rules for word boundaries (UAX #29) without a dictionary cut such scripts between letters, too; what they
    keep whole, Katakana, is cut here as the rest of its sentence is. Marks on a letter and punctuation are not counted,
    and a run of other letters between ("打开TV") is one word. A phrase without such letters has as many words as
    ``text.split()`` has parts.
    """
    if text.isascii():
        return len(text.split())
    return sum(map(_words_of_part, text.split()))


def _words_of_part(part: str) -> int:
    """Words of a text without white space; at least one."""
    if not any(map(_is_unspaced, part)):
        return 1
    count, inside = 0, False
    for character in part:
        if _is_unspaced(character):
            count += unicodedata.category(character)[0] in "LN"
            inside = False
        elif character.isalnum():
            count += not inside
            inside = True
    return max(count, 1)


def _is_unspaced(character: str) -> bool:
    place = bisect_right(_STARTS, ord(character)) - 1
    return place >= 0 and ord(character) <= _UNSPACED[place][1]
