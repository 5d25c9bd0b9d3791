"""The registry as a sheet that people correct: its headings and words in a language, its choices, its rows.

Read again it changes nothing, whatever the language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from auditor.i18n.catalogs import LANGUAGE_NAMES
from auditor.i18n.translator import Translator
from auditor.registry.columns import (
    FACT_COLUMNS,
    LINKS_COLUMN,
    MEDIA_OFFICER_CODES,
    TRAILING_COLUMNS,
    format_media_officer,
    order_columns,
)
from auditor.registry.spreadsheet import iter_xlsx_chunks
from probes.links.cells import split_links
from storage.models.audit import AccountRow, AssociationEntry
from storage.store import Store

ExportRow = list[object]
LinksByColumn = Mapping[str, list[str]]
"""What an association lists in each column."""
EXPORT_BATCH_SIZE = 500
"""Associations whose links are asked for together."""
DEFAULT_CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
"""The channels whose columns are always there."""


def build_export_rows(
    registry_entries: Iterable[AssociationEntry],
    accounts: Iterable[AccountRow],
    translator: Translator | None = None,
) -> Iterator[ExportRow]:
    """The headings and a row for each association; English keys and codes where no words are given."""
    held = _group_links(accounts)
    entries = ((one, held.get(one.id, {})) for one in registry_entries)
    return _render_rows(
        entries, (cell for cells in held.values() for cell in cells.items()), translator
    )


def iter_export_rows(store: Store, translator: Translator | None = None) -> Iterator[ExportRow]:
    """The same of everybody whom the store lists, read as it is written, never held whole."""
    cells = ((column or LINKS_COLUMN, typed) for column, typed in store.list_account_cells())
    return _render_rows(_load_entries(store), cells, translator)


def _load_entries(store: Store) -> Iterator[tuple[AssociationEntry, LinksByColumn]]:
    waiting = store.list_association_entries()
    while some := list(islice(waiting, EXPORT_BATCH_SIZE)):
        held = _group_links(store.list_accounts_of([one.id for one in some]))
        yield from ((one, held.get(one.id, {})) for one in some)


def _group_links(accounts: Iterable[AccountRow]) -> dict[str, dict[str, list[str]]]:
    held: dict[str, dict[str, list[str]]] = {}
    for account in accounts:
        held.setdefault(account.association, {}).setdefault(
            account.column or LINKS_COLUMN, []
        ).append(account.typed_text)
    return held


def _render_rows(
    entries: Iterable[tuple[AssociationEntry, LinksByColumn]],
    links_by_column: Iterable[tuple[str, list[str]]],
    translator: Translator | None,
) -> Iterator[ExportRow]:
    widths = dict.fromkeys(DEFAULT_CHANNELS, 1)
    for column, typed in links_by_column:
        widths[column] = max(widths.get(column, 1), len(_split_into_cells(typed)))
    channels = [*DEFAULT_CHANNELS, *sorted(widths.keys() - {*DEFAULT_CHANNELS})]
    columns = order_columns([column for column in channels for _ in range(widths[column])])
    yield [format_column_heading(column, translator) for column in columns]
    for member, own in entries:
        left = {column: iter(_split_into_cells(typed)) for column, typed in own.items()}
        yield [_format_cell(member, column, left, translator) for column in columns]


def _split_into_cells(links: list[str]) -> list[str]:
    """Links as cells hold them: in one, a line each, unless reading that would take words for a remark."""
    together = "\n".join(links)
    return [together] if len(links) == 1 or split_links(together) == links else links


def format_column_heading(column: str, translator: Translator | None) -> str:
    """What a column is called."""
    if translator is None:
        return column
    said = translator.term("column", column)
    return translator.channel_name(column) if said == column else said


def build_registry_workbook(
    rows: Iterable[ExportRow], translator: Translator | None, *, right_to_left: bool
) -> bytes:
    """The sheet as a workbook that offers what may stand in a cell."""
    return b"".join(iter_registry_workbook_chunks(rows, translator, right_to_left=right_to_left))


def iter_registry_workbook_chunks(
    rows: Iterable[ExportRow], translator: Translator | None, *, right_to_left: bool
) -> Iterator[bytes]:
    """The same, piece by piece, never held whole."""
    title = translator.translate("Registry") if translator else "registry"
    return iter_xlsx_chunks(
        rows, title=title, right_to_left=right_to_left, choices=_build_column_choices(translator)
    )


def _build_column_choices(translator: Translator | None) -> dict[str, list[str]]:
    officers = [format_media_officer(code, translator) or code for code in MEDIA_OFFICER_CODES]
    return {
        format_column_heading("language", translator): [
            format_language(code, translator) for code in LANGUAGE_NAMES
        ],
        format_column_heading("media_officer", translator): officers,
    }


def format_language(code: str, translator: Translator | None) -> str:
    """A language as it calls itself."""
    return LANGUAGE_NAMES[code] if translator else code


def _format_cell(
    entry: AssociationEntry,
    column: str,
    remaining_links: Mapping[str, Iterator[str]],
    translator: Translator | None,
) -> object:
    if column not in {*FACT_COLUMNS, *TRAILING_COLUMNS}:
        return next(remaining_links.get(column, iter(())), "")
    if column == "media_officer":
        return format_media_officer(entry.contact.media_officer, translator)
    if column == "language":
        return format_language(entry.association.language, translator)
    value = entry.id if column == "id" else entry.get_value(column)
    if column == "none_by_choice":
        value = tuple(
            format_column_heading(channel, translator)
            for channel in entry.association.none_by_choice
        )
    return ", ".join(value) if isinstance(value, tuple) else value
