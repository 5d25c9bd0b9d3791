"""What a rebuild changes, for a person to weigh: line by line, by kind, and what may be our mistake."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from auditor.canary import LEAST
from auditor.rejudge import Change

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


def summary(changes: Iterable[Change]) -> list[str]:
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
    gaps = [f"{code}: {opened[code]} more open, {closed[code]} fewer" for code in sorted(opened | closed)]
    return [*gaps, *(f"{what}s: {count} other" for what, count in sorted(others.items()))]


def turned(changes: Iterable[Change]) -> list[str]:
    """Where so many accounts become gone at once, for one cause, that a probe may be wrong.

    A night has canaries for that; a rebuild plays today's probes to old pages and has none.
    """
    lost = Counter(
        (change.channel, (change.after or "").partition(",")[0])
        for change in changes
        if change.what == "standing" and _gone(change.after) and not _gone(change.before)
    )
    return [
        f"{count} accounts on {channel} turn to {cause}"
        for (channel, cause), count in sorted(lost.items())
        if count >= LEAST
    ]


def _gone(word: str | None) -> bool:
    return (word or "").startswith("gone")
