"""Letters as one compares them: whatever alphabet's marks, accents and digits a text was typed with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from probes.text.lazy_regex import pattern

LONGEST = 200_000
"""Characters of a text that are looked at; a longer one is a page, not a sentence."""

_DIGITS = {ord(digit): str(value % 10) for value, digit in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}
_LETTERS = str.maketrans(
    "أإآٱىیکéèêëÉÈÊËàâäÀÂÄîïÎÏİôöÔÖûùüÛÙÜçÇ’ʼ،áãåíóõúñčěřšśýžźÁÃÅÍÓÕÚÑČĚŘŠŚÝŽŹ",
    "ااااييكeeeeeeeeaaaaaaiiiiioooouuuuuucc'',aaaioouncerssyzzaaaioouncerssyzz",
)
_SPACES = dict.fromkeys([0xA0, 0x202F, 0x2009, 0x2007, 0x3000, 0x9, 0xA, 0xD], " ")
_DROPPED = dict.fromkeys(
    [
        *range(0x300, 0x370),  # accents written apart
        *range(0x64B, 0x660),  # Arabic vowel signs, and hamza written apart
        0x670,
        0x640,  # the stretching stroke
        0x61C,
        *range(0x200B, 0x2010),  # bidi marks and joiners, which sites paste between digits and month
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        0xFEFF,
    ]
)


def replacing(letters: Mapping[str, str]) -> Callable[[str], str]:
    """What puts others, or nothing, in the place of these letters of a text.

    Where few are of them it takes a fifth of `str.translate`, which looks each letter up; in Arabic half.
    """
    sought = pattern(f"[{re.escape(''.join(letters))}]")
    return lambda text: sought.sub(lambda found: letters[found[0]], text)


_folded = replacing(
    {
        chr(letter): chr(told) if isinstance(told, int) else told or ""
        for letter, told in {**_LETTERS, **_DIGITS, **_SPACES, **_DROPPED}.items()
    }
)


def folded(text: str) -> str:
    """Lower case, Western digits, plain spaces; no accents, vowel signs or marks of direction."""
    return _folded(text[:LONGEST]).lower()
