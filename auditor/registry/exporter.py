"""The registry as a sheet that people correct: its headings and words in a language, its choices, its rows.

Read again it changes nothing, whatever the language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from auditor.i18n.catalogs import TONGUES
from auditor.i18n.wording import Wording
from auditor.registry.columns import AFTER, CODES, FACTS, LINKS, in_order, officer
from auditor.registry.spreadsheet import xlsx_pieces
from probes.links.cells import links_in
from storage.models.audit import AccountRow, Member
from storage.store import Store

Line = list[object]
Cells = Mapping[str, list[str]]
"""What an association lists in each column."""
AT_ONCE = 500
"""Associations whose links are asked for together."""
USUAL = ("website", "facebook", "twitter", "linkedin", "youtube")
"""The channels whose columns are always there."""


def table(
    members: Iterable[Member], accounts: Iterable[AccountRow], words: Wording | None = None
) -> Iterator[Line]:
    """The headings and a row for each association; English keys and codes where no words are given."""
    held = _held(accounts)
    entries = ((one, held.get(one.id, {})) for one in members)
    return _lines(entries, (cell for cells in held.values() for cell in cells.items()), words)


def kept(store: Store, words: Wording | None = None) -> Iterator[Line]:
    """The same of everybody whom the store lists, read as it is written, never held whole."""
    cells = ((column or LINKS, typed) for column, typed in store.cells())
    return _lines(_entries(store), cells, words)


def _entries(store: Store) -> Iterator[tuple[Member, Cells]]:
    waiting = store.members()
    while some := list(islice(waiting, AT_ONCE)):
        held = _held(store.links_of([one.id for one in some]))
        yield from ((one, held.get(one.id, {})) for one in some)


def _held(accounts: Iterable[AccountRow]) -> dict[str, dict[str, list[str]]]:
    held: dict[str, dict[str, list[str]]] = {}
    for account in accounts:
        held.setdefault(account.association, {}).setdefault(account.column or LINKS, []).append(account.typed)
    return held


def _lines(
    entries: Iterable[tuple[Member, Cells]],
    cells: Iterable[tuple[str, list[str]]],
    words: Wording | None,
) -> Iterator[Line]:
    widths = dict.fromkeys(USUAL, 1)
    for column, typed in cells:
        widths[column] = max(widths.get(column, 1), len(_parted(typed)))
    channels = [*USUAL, *sorted(widths.keys() - {*USUAL})]
    columns = in_order([column for column in channels for _ in range(widths[column])])
    yield [heading(column, words) for column in columns]
    for member, own in entries:
        left = {column: iter(_parted(typed)) for column, typed in own.items()}
        yield [_cell(member, column, left, words) for column in columns]


def _parted(typed: list[str]) -> list[str]:
    """Links as cells hold them: in one, a line each, unless reading that would take words for a remark."""
    together = "\n".join(typed)
    return [together] if len(typed) == 1 or links_in(together) == typed else typed


def heading(column: str, words: Wording | None) -> str:
    """What a column is called."""
    if words is None:
        return column
    said = words.term("column", column)
    return words.channel(column) if said == column else said


def workbook(lines: Iterable[Line], words: Wording | None, *, right_to_left: bool) -> bytes:
    """The sheet as a workbook that offers what may stand in a cell."""
    return b"".join(pieces(lines, words, right_to_left=right_to_left))


def pieces(lines: Iterable[Line], words: Wording | None, *, right_to_left: bool) -> Iterator[bytes]:
    """The same, piece by piece, never held whole."""
    title = words.say("Registry") if words else "registry"
    return xlsx_pieces(lines, title=title, right_to_left=right_to_left, choices=_choices(words))


def _choices(words: Wording | None) -> dict[str, list[str]]:
    officers = [officer(code, words) or code for code in CODES]
    return {
        heading("language", words): [tongue(code, words) for code in TONGUES],
        heading("media_officer", words): officers,
    }


def tongue(code: str, words: Wording | None) -> str:
    """A language as it calls itself."""
    return TONGUES[code] if words else code


def _cell(member: Member, column: str, cells: Mapping[str, Iterator[str]], words: Wording | None) -> object:
    if column not in {*FACTS, *AFTER}:
        return next(cells.get(column, iter(())), "")
    if column == "media_officer":
        return officer(member.contact.media_officer, words)
    if column == "language":
        return tongue(member.association.language, words)
    value = member.id if column == "id" else member.fact(column)
    if column == "none_by_choice":
        value = tuple(heading(channel, words) for channel in member.association.none_by_choice)
    return ", ".join(value) if isinstance(value, tuple) else value
