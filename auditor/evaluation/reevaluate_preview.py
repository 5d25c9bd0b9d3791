"""What a rebuild changes, for a person to weigh: line by line, by kind, and what may be our mistake."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from auditor.checking.canaries import LEAST
from auditor.evaluation.reevaluate import Change
from auditor.i18n.wording import Wording

UNMOVED = "unknown/-, no date"
"""The standing of an account that was registered and that no night has told anything of."""


def readable(changes: Iterable[Change]) -> list[Change]:
    """One change for each conclusion, and none where only its details differ, or where nothing is held yet.

    Under another rule the same gap may begin on another night, which to the store is another gap: the one
    that goes and the one that comes are told as one.
    """
    places: dict[tuple[str, str, str, str], list[Change]] = defaultdict(list)
    for change in changes:
        places[change.what, change.association, change.channel, change.subject].append(change)
    told = [one for rows in places.values() for one in _joined(rows)]
    return [change for change in told if _held(change, change.before) != _held(change, change.after)]


def _held(change: Change, word: str | None) -> str | None:
    """What a conclusion says. A standing that nothing has moved says as much as none."""
    return None if change.what == "standing" and word == UNMOVED else word


def _joined(rows: Sequence[Change]) -> list[Change]:
    """The changes of one place; what goes and what comes are paired, what runs now with what runs then."""
    going = sorted((row for row in rows if row.after is None), key=_runs)
    coming = sorted((row for row in rows if row.before is None), key=_runs)
    pairs = min(len(going), len(coming))
    pairs_of = zip(going[len(going) - pairs :], coming[len(coming) - pairs :], strict=True)
    both = [row for row in rows if row.before is not None and row.after is not None]
    left = [*going[: len(going) - pairs], *coming[: len(coming) - pairs]]
    return [*both, *(replace(old, after=new.after) for old, new in pairs_of), *left]


def _runs(change: Change) -> bool:
    return not (change.before or change.after or "").startswith("closed")


def sayings(words: Wording) -> Mapping[str, Callable[[str], str]]:
    """How the columns of a change are said on a terminal."""
    return {
        "what": partial(words.term, "concluded"),
        "subject": partial(_subject, words),
        "before": partial(_conclusion, words),
        "after": partial(_conclusion, words),
    }


def _subject(words: Wording, subject: str) -> str:
    """An account's key; of a gap, what it is about before that."""
    code, _, key = subject.partition(" ")
    return words.listed(filter(None, (words.about(code), key)))


def _conclusion(words: Wording, told: str) -> str:
    """A standing, or how a gap runs, in words: its parts are codes, days and a number of nights."""
    return words.listed(_part(words, part) for part in re.split("/|, ", told) if part not in {"-", "no date"})


def _part(words: Wording, part: str) -> str:
    if nights := re.fullmatch(r"(\d+) nights", part):
        return words.count("{n} night", "{n} nights", int(nights[1]))
    if re.match(r"\d{4}-\d\d", part):
        return words.date(part)
    for group in ("standing", "course", "cause"):
        if (said := words.term(group, part)) != part:
            return said
    return part


def summary(changes: Iterable[Change], words: Wording) -> list[str]:
    """How many gaps of each code are open that were not, and the other way; how many of the rest change."""
    opened: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for change in changes:
        code = change.subject.partition(" ")[0]
        before, after = ((word or "").startswith("open") for word in (change.before, change.after))
        if change.what != "gap":
            others[change.what] += 1
        elif before != after:
            (opened if after else closed)[code] += 1
    gaps = [
        words.pair(words.about(code), words.listed(_moved(words, opened[code], closed[code])))
        for code in sorted(opened | closed)
    ]
    rest = [
        words.pair(words.term("conclusions", what), words.number(n)) for what, n in sorted(others.items())
    ]
    return [*gaps, *rest]


def _moved(words: Wording, opened: int, closed: int) -> list[str]:
    return [
        words.count("{n} more open", "{n} more open", opened),
        words.count("{n} fewer open", "{n} fewer open", closed),
    ]


def turned(changes: Iterable[Change], words: Wording) -> list[str]:
    """Where so many accounts become gone at once, for one cause, that a probe may be wrong.

    A night has canaries for that; a rebuild plays today's probes to old pages and has none.
    """
    lost = Counter(
        (change.channel, (change.after or "").partition(",")[0])
        for change in changes
        if change.what == "standing" and _gone(change.after) and not _gone(change.before)
    )
    return [
        words.count(
            "warning: {n} account on {channel} turns to: {finding}; "
            "look at it: a probe that is wrong does that",
            "warning: {n} accounts on {channel} turn to: {finding}; "
            "look at some of them: a probe that is wrong does that",
            count,
            channel=channel,
            finding=_conclusion(words, told),
        )
        for (channel, told), count in sorted(lost.items())
        if count >= LEAST
    ]


def _gone(word: str | None) -> bool:
    return (word or "").startswith("gone")
