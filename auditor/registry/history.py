"""The registry as it was at a moment: today's, with what its trail tells of since undone. Pure.

A link that left the sheet and came back is one row, which knows when it was first listed and whether it is
listed now; what lay between stands in the trail alone, and so do the words that an association had before. A
night is concluded, and rebuilt, by the sheet that held when it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from probes.models.finding import NEVER
from storage.models.audit import ASSOCIATION_FIELDS, REACHES, AccountRow, Association
from storage.models.communication import ASSOCIATION, FIELDS, Change, ChangeKind

SEVERAL = frozenset(one.name for one in fields(Association) if str(one.type).startswith("tuple"))
"""The fields that hold several words, which a line of the trail joins by commas."""


@dataclass(frozen=True, slots=True)
class Former:
    """An association at a moment: its words, whether the sheet listed it, its links as they stood."""

    association: Association
    listed: bool
    accounts: tuple[AccountRow, ...]


def former(now: Former, lines: Iterable[Change], moment: datetime) -> Former:
    """An association as it was at a moment, by the lines of its trail, the newest first.

    What was removed with all that was seen of it is not remembered: before that it was not there.
    """
    about, listed, rows = now.association, now.listed, now.accounts
    for line in lines:
        if line.at <= moment:
            continue
        if line.field == ASSOCIATION:
            listed = line.before is not None
            if line.kind is ChangeKind.PRUNED:
                return Former(about, listed=False, accounts=rows)
        elif line.field in FIELDS:
            about = _as_before(about, line)
        else:
            rows = tuple(_undone(row, line) for row in rows)
    return Former(about, listed, rows)


def links(rows: Sequence[AccountRow], lines: Iterable[Change], moment: datetime) -> Sequence[AccountRow]:
    """The links of one association as they stood at a moment."""
    for line in lines:
        if line.at > moment and line.field != ASSOCIATION and line.field not in FIELDS:
            rows = [_undone(row, line) for row in rows]
    return rows


def then(
    rows: Iterable[AccountRow], lines: Mapping[str, Sequence[Change]], moment: datetime
) -> Iterator[AccountRow]:
    """The links of several associations as they stood at a moment, by the lines of each."""
    for row in rows:
        yield from links([row], lines.get(row.association, ()), moment)


def tells_arrival(lines: Iterable[Change]) -> bool:
    """Whether the trail knows when an association came: it was kept already by then."""
    return any(line.field == ASSOCIATION and line.before is None for line in lines)


def _undone(row: AccountRow, line: Change) -> AccountRow:
    """A link as it was before a line of the trail, which may be about another one."""
    said = line.before if line.after is None else line.after
    if row.column != line.field or row.typed != said:
        return row
    if line.before is None:
        return replace(row, withdrawn_at=NEVER)
    if line.after is None:
        return replace(row, withdrawn_at=None)
    return replace(row, typed=line.before)


def _as_before(about: Association, line: Change) -> Association:
    """An association as it was before a line; of its people it only knows whether they could be reached."""
    if line.field in ASSOCIATION_FIELDS:
        return replace(about, **{line.field: _value(line)})
    if line.field not in REACHES:
        return about
    others = about.reached - {line.field}
    return replace(about, reached=others | {line.field} if line.before else others)


def _value(line: Change) -> Any:
    if line.field in SEVERAL:
        return tuple(line.before.split(", ")) if line.before else ()
    return line.before
