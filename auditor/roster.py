"""The registry as a sheet that people correct: its headings and words in a language, its choices, its rows.

Read again it changes nothing, whatever the language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from auditor.columns import AFTER, FACTS, LINKS, in_order
from auditor.languages import TONGUES
from auditor.officer import CODES, officer
from auditor.sheet import to_xlsx
from auditor.wording import Wording
from probes.cells import links_in
from storage.model import AccountRow, Association

Line = list[object]
USUAL = ("website", "facebook", "twitter", "linkedin", "youtube")
"""The channels whose columns are always there."""


def table(
    associations: Iterable[Association], accounts: Iterable[AccountRow], words: Wording | None = None
) -> Iterator[Line]:
    """The headings and a row for each association; English keys and codes where no words are given."""
    held: dict[str, dict[str, list[str]]] = {}
    for account in accounts:
        held.setdefault(account.association, {}).setdefault(account.column or LINKS, []).append(account.typed)
    cells = {who: {column: _parted(typed) for column, typed in row.items()} for who, row in held.items()}
    widths = dict.fromkeys(USUAL, 1)
    for row in cells.values():
        for column, parts in row.items():
            widths[column] = max(widths.get(column, 1), len(parts))
    channels = [*USUAL, *sorted(widths.keys() - {*USUAL})]
    columns = in_order([column for column in channels for _ in range(widths[column])])
    yield [heading(column, words) for column in columns]
    for association in associations:
        left = {column: iter(parts) for column, parts in cells.get(association.id, {}).items()}
        yield [_cell(association, column, left, words) for column in columns]


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
    title = words.say("Registry") if words else "registry"
    return to_xlsx(lines, title=title, right_to_left=right_to_left, choices=_choices(words))


def _choices(words: Wording | None) -> dict[str, list[str]]:
    officers = [officer(code, words) or code for code in CODES]
    return {
        heading("language", words): [tongue(code, words) for code in TONGUES],
        heading("media_officer", words): officers,
    }


def tongue(code: str, words: Wording | None) -> str:
    """A language as it calls itself."""
    return TONGUES[code] if words else code


def _cell(
    association: Association, column: str, cells: Mapping[str, Iterator[str]], words: Wording | None
) -> object:
    if column not in {*FACTS, *AFTER}:
        return next(cells.get(column, iter(())), "")
    if column == "media_officer":
        return officer(association.media_officer, words)
    if column == "language":
        return tongue(association.language, words)
    value = getattr(association, column)
    if column == "none_by_choice":
        value = tuple(heading(channel, words) for channel in value)
    return ", ".join(value) if isinstance(value, tuple) else value
