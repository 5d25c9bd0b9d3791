"""Export the registry as a spreadsheet that people can correct and import again.

Headings and values are in one language. Importing an unchanged export changes nothing, in any
language.
"""

from collections.abc import Iterable, Iterator, Mapping

from auditor.core.i18n.catalogs import LANGUAGE_NAMES
from auditor.core.i18n.translator import Translator
from auditor.core.reference.places import REGIONS
from auditor.registry.columns import (
    FIELD_COLUMNS,
    MEDIA_OFFICER_CODES,
    format_media_officer,
    order_columns,
)
from auditor.registry.spreadsheet import guard_cells
from auditor.registry.workbook_writer import iter_workbook_chunks
from probes.links.cells import split_links
from probes.links.channel_registry import list_channel_names
from storage.models.audit import AccountRow, AssociationEntry
from storage.store import Store

ExportRow = list[object]


def iter_export_rows(store: Store, translator: Translator | None = None) -> Iterator[ExportRow]:
    """Yield the headings and one row per registered association."""
    registry = store.registry
    entries, accounts = registry.list_association_entries(), registry.list_accounts()
    return build_export_rows(entries, accounts, translator)


def build_export_rows(
    registry_entries: Iterable[AssociationEntry],
    accounts: Iterable[AccountRow],
    translator: Translator | None = None,
) -> Iterator[ExportRow]:
    """Yield the headings and one row per association.

    Without a translator, headings and values are English keys and codes.
    """
    links: dict[str, dict[str, list[str]]] = {}
    for account in accounts:
        cells_by_column = links.setdefault(account.association, {})
        cells_by_column.setdefault(account.column, []).append(account.typed_text)
    # each column as often as the association with most of its links needs it
    widths = dict.fromkeys(list_channel_names(), 1)
    for cells_by_column in links.values():
        for column, texts in cells_by_column.items():
            # one cell, one link per line, unless the import would read them differently, for
            # example a handle as a remark
            joined_links = "\n".join(texts)
            if len(texts) == 1 or split_links(joined_links) == texts:
                cells_by_column[column] = [joined_links]
            widths[column] = max(widths.get(column, 1), len(cells_by_column[column]))
    columns = order_columns([column for column, width in widths.items() for _ in range(width)])
    yield [*format_column_headings(columns, translator)]
    for entry in registry_entries:
        remaining = {column: iter(texts) for column, texts in links.get(entry.id, {}).items()}
        yield [_format_cell(entry, column, remaining, translator) for column in columns]


def format_column_headings(columns: Iterable[str], translator: Translator | None) -> list[str]:
    """Return the headings of several columns."""
    return [format_column_heading(column, translator) for column in columns]


def format_column_heading(column: str, translator: Translator | None, terms: str = "column") -> str:
    """Return the heading of a column: the translated name, or the key without a translator.

    The name is one of these terms, or that of a channel.
    """
    if translator is None:
        return column
    heading = translator.term(terms, column)
    return translator.channel_name(column) if heading == column else heading


def iter_registry_workbook_chunks(
    rows: Iterable[ExportRow], translator: Translator | None, *, right_to_left: bool
) -> Iterator[bytes]:
    """Yield the bytes of an XLSX workbook with lists of choices for some columns, in chunks."""
    officers = [format_media_officer(code, translator) for code in MEDIA_OFFICER_CODES]
    languages = [format_language(code, translator) for code in LANGUAGE_NAMES]
    choices = {
        format_column_heading("language", translator): languages,
        format_column_heading("media_officer", translator): officers,
    }
    title = translator.translate("Registry") if translator else "registry"
    return iter_workbook_chunks(
        {title: map(guard_cells, rows)}, right_to_left=right_to_left, choices=choices
    )


EXAMPLE_CELLS = {
    "email": "contact@example.org",
    "phone": "0600000000",
    "website": "https://www.example.org",
    "facebook": "https://www.facebook.com/example",
    "twitter": "https://x.com/example",
    "linkedin": "https://www.linkedin.com/company/example",
    "youtube": "https://www.youtube.com/@example",
}


def build_template_workbook(translator: Translator) -> bytes:
    """Return an XLSX workbook with the headings and one example row, which no import registers.

    It has no column of ids: an association without one gets one from its name.
    """
    columns = order_columns(list_channel_names())
    columns.remove("id")
    headings: ExportRow = [*format_column_headings(columns, translator)]
    cells = {
        **EXAMPLE_CELLS,
        "name_ar": Translator("ar").term("example_row", "name"),
        "name_fr": Translator("fr").term("example_row", "name"),
        "region": REGIONS["souss-massa"][translator.language],
        "language": format_language(translator.language, translator),
    }
    example: ExportRow = []
    for column in columns:
        term = translator.term("example_row", column)
        example.append(cells.get(column, "" if term == column else term))
    is_right_to_left = translator.direction == "rtl"
    return b"".join(
        iter_registry_workbook_chunks(
            [headings, example], translator, right_to_left=is_right_to_left
        )
    )


def format_language(code: str, translator: Translator | None) -> str:
    """Return the name of a language in that language, or its code without a translator."""
    return LANGUAGE_NAMES[code] if translator else code


def _format_cell(
    entry: AssociationEntry,
    column: str,
    remaining_links: Mapping[str, Iterator[str]],
    translator: Translator | None,
) -> object:
    if column not in FIELD_COLUMNS:
        return next(remaining_links.get(column, iter(())), "")
    if column == "media_officer":
        return format_media_officer(entry.contact.media_officer, translator)
    if column == "language":
        return format_language(entry.association.language, translator)
    if column == "id":
        return entry.id
    if column == "none_by_choice":
        return ", ".join(format_column_headings(entry.association.none_by_choice, translator))
    return entry.format_value(column)
