"""The form that edits one association's registry entry, and the form that erases an association.

An entry is parsed like a row of an imported spreadsheet.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from operator import itemgetter
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import FormData

from auditor import erasure
from auditor.core.errors import InputError, RunLockedError
from auditor.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.i18n.translator import Translator
from auditor.registry import exporter
from auditor.registry.columns import (
    FACT_COLUMNS,
    LINKS_COLUMN,
    MEDIA_OFFICER_CODES,
    TRAILING_COLUMNS,
    format_media_officer,
)
from auditor.registry.exporter import DEFAULT_CHANNELS
from auditor.registry.importer import ImportResult, parse_registry_entry
from auditor.registry.issues import Issue, SpreadsheetProblem, shorten_value
from auditor.registry.sheet_limits import MAX_CELL_CHARS
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext
from probes.links import channel_registry
from storage.models.audit import AccountRow, AssociationEntry, RegistryValue
from storage.models.users import ChangeOrigin

router = APIRouter(route_class=access.AccessRoute)


BLOCKING_ISSUES = frozenset(
    {*(Issue.NO_NAME, Issue.BAD_EMAIL), *(Issue.TOO_MANY_CHARACTERS, Issue.LONG_TEXT)}
)
"""Issues that must be corrected before an entry can be saved. Other issues are warnings."""
EDITABLE_COLUMNS = tuple(name for name in (*FACT_COLUMNS, *TRAILING_COLUMNS) if name != "id")


@dataclass(frozen=True, slots=True)
class RegistryEntryForm:
    """The cells of an entry by column. A cell of links has one link per line."""

    association_id: str
    cells: Mapping[str, str]

    def list_visible_columns(self, audited_channels: Iterable[str]) -> list[str]:
        """Return the link columns to display, without duplicates.

        These are the default and audited channels, columns with links, channels that the
        association does not use by choice, and the column for other links.
        """
        filled_columns = [name for name in self.cells if name not in {"id", *EDITABLE_COLUMNS}]
        columns = (
            *DEFAULT_CHANNELS,
            *audited_channels,
            *filled_columns,
            *self.list_none_by_choice(),
            LINKS_COLUMN,
        )
        return list(dict.fromkeys(columns))

    def list_none_by_choice(self) -> list[str]:
        """Return the channels that the association does not use by choice."""
        return list(filter(None, self.cells.get("none_by_choice", "").split(", ")))

    @property
    def version(self) -> str:
        """Return a hash of the filled cells, to detect concurrent edits."""
        filled_cells = sorted(filter(itemgetter(1), self.cells.items()))
        return hashlib.sha256(repr(filled_cells).encode()).hexdigest()[:32]

    def find_long_cells(self) -> Iterator[SpreadsheetProblem]:
        """Yield an issue for each cell that is longer than that of a spreadsheet."""
        for column, text in self.cells.items():
            if len(text) > MAX_CELL_CHARS:
                yield SpreadsheetProblem(2, column, shorten_value(text), Issue.LONG_TEXT)

    def parse(self, language: str) -> ImportResult:
        """Parse the entry like a row of a spreadsheet."""
        return parse_registry_entry({"id": self.association_id, **self.cells}, language)


def _format_value(value: RegistryValue) -> str:
    """Return the value of a fact as the text of its field."""
    if isinstance(value, tuple):
        return ", ".join(value)
    return value or ""


def build_entry_form(
    entry: AssociationEntry, accounts: Iterable[AccountRow], translator: Translator
) -> RegistryEntryForm:
    """Return the form filled with the stored entry and its accounts."""
    cells: dict[str, str] = {}
    for name in EDITABLE_COLUMNS:
        cells[name] = _format_value(entry.get_value(name))
    cells["media_officer"] = format_media_officer(entry.contact.media_officer, translator) or ""
    for row in accounts:
        column = row.column or LINKS_COLUMN
        cells[column] = "\n".join(filter(None, (cells.get(column), row.typed_text)))
    return RegistryEntryForm(entry.id, cells)


async def _read_form(request: Request) -> FormData:
    return await request.form()


EntryFormData = Annotated[FormData, Depends(_read_form)]


@router.get(
    "/{language}/registry/entries/{association:path}", dependencies=[access.OWN_REGION_ACCESS]
)
def show_entry_form(context: PageContext, association: str) -> HTMLResponse:
    """Show the form with the stored entry."""
    saved_entry = _require_entry(context, association)
    form = _build_saved_form(context, saved_entry)
    return _render_entry_form(context, saved_entry, form, version=form.version)


@router.post(
    "/{language}/registry/entries/{association:path}", dependencies=[access.OWN_REGION_ACCESS]
)
def save_entry(context: PageContext, association: str, form: EntryFormData) -> Response:
    """Save the entry, or show the form again with its issues.

    The user can save an entry whose issues are only warnings. If the stored entry changed since
    the form was opened, nothing is saved (409).
    """
    saved_entry = _require_entry(context, association)
    entry = _parse_entry(saved_entry.id, form)
    version = _build_saved_form(context, saved_entry).version
    if _get_form_text(form, "version") != version:
        return _render_entry_form(context, saved_entry, entry, version=version, status=409)
    import_result = entry.parse(context.app.config.network.language)
    issues = [
        *entry.find_long_cells(),
        *import_result.problems,
        *_find_shared_accounts(context, saved_entry.id, import_result),
    ]
    if _has_blocking_issue(issues) or (issues and "save_anyway" not in form):
        return _render_entry_form(
            context, saved_entry, entry, version=version, status=422, issues=issues
        )
    if not _save_if_unchanged(context, saved_entry.id, import_result, version):
        saved_entry = _require_entry(context, association)
        version = _build_saved_form(context, saved_entry).version
        return _render_entry_form(context, saved_entry, entry, version=version, status=409)
    return RedirectResponse(context.links.association_url(saved_entry.id), 303)


def _save_if_unchanged(
    context: RequestContext, association: str, import_result: ImportResult, version: str
) -> bool:
    """Save an entry. Return False, and save nothing, if another user has saved it meanwhile.

    The changes are computed before the version is read: if it is the expected one and the same
    changes are due when they are saved, then no other change came between.
    """
    save = partial(
        context.app.store.registry.save_registry,
        import_result.associations,
        import_result.accounts,
        context.now,
        origin=ChangeOrigin(context.author, "web"),
        is_complete=False,
        present_columns=import_result.columns,
    )
    expected_digest = save(dry_run=True).digest
    if _build_saved_form(context, _require_entry(context, association)).version != version:
        return False
    return save(expected_digest=expected_digest).digest == expected_digest


def _has_blocking_issue(issues: list[SpreadsheetProblem]) -> bool:
    return any(problem.issue in BLOCKING_ISSUES for problem in issues)


def _build_saved_form(context: RequestContext, saved_entry: AssociationEntry) -> RegistryEntryForm:
    accounts = context.app.store.registry.list_accounts(saved_entry.id)
    return build_entry_form(saved_entry, accounts, context.translator)


def _require_entry(context: RequestContext, association: str) -> AssociationEntry:
    entry = context.app.store.registry.get_association_entry(association)
    if entry is None:
        raise HTTPException(404)
    return entry


def _parse_entry(association: str, form: FormData) -> RegistryEntryForm:
    columns = (*EDITABLE_COLUMNS, *channel_registry.list_channels(), LINKS_COLUMN)
    cells = {column: _get_form_text(form, column) for column in columns if column in form}
    cells["none_by_choice"] = ", ".join(map(str, form.getlist("none_by_choice")))
    return RegistryEntryForm(association, cells)


def _get_form_text(form: FormData, name: str) -> str:
    return str(form.get(name, "")).replace("\r\n", "\n")


def _find_shared_accounts(
    context: RequestContext, association: str, import_result: ImportResult
) -> list[SpreadsheetProblem]:
    """Return an issue for each account that another association lists, too."""
    own_accounts = {}
    for account in import_result.accounts:
        if account.identity.key:
            own_accounts[account.channel, account.identity.key] = account
    shared_keys = set(_iter_keys_of_others(context, association, own_accounts))
    return [
        SpreadsheetProblem(2, account.column, account.typed_text, Issue.SHARED_ACCOUNT)
        for key, account in own_accounts.items()
        if key in shared_keys
    ]


def _iter_keys_of_others(
    context: RequestContext, association: str, keys: Collection[tuple[str, str]]
) -> Iterator[tuple[str, str | None]]:
    """Yield those of these keys that another association lists."""
    for account in context.app.store.registry.find_accounts_by_key(keys):
        if account.association != association and account.withdrawn_at is None:
            yield account.channel, account.identity.key


def _render_entry_form(
    context: RequestContext,
    saved_entry: AssociationEntry,
    entry: RegistryEntryForm,
    *,
    version: str,
    status: int = 200,
    issues: list[SpreadsheetProblem] | None = None,
) -> HTMLResponse:
    translator, shown_issues = context.translator, issues or []
    return context.render_page(
        "registry_entry.html",
        status=status,
        association=saved_entry.association,
        entry=entry,
        issues=shown_issues,
        can_save_anyway=not _has_blocking_issue(shown_issues),
        version=version,
        max_cell_chars=MAX_CELL_CHARS,
        is_refused=status == 422,
        is_stale=status == 409,
        account_columns=entry.list_visible_columns(context.app.config.channels),
        get_column_heading=lambda column: exporter.format_column_heading(column, translator),
        languages=tuple(LOCALE_BY_LANGUAGE),
        media_officer_choices=[translator.term("officer", code) for code in MEDIA_OFFICER_CODES],
    )


class ErasureScope(StrEnum):
    """The form that selects what to erase of an association."""

    CONTACT = "contact"
    ALL = "all"


class ErasureForm(BaseModel):
    """The submitted erasure form. `confirmation` must be the association's id."""

    model_config = ConfigDict(str_strip_whitespace=True)

    scope: ErasureScope = ErasureScope.CONTACT
    confirmation: str = ""


@router.get(
    "/{language}/registry/erase/{association:path}", dependencies=[access.ALL_REGIONS_ACCESS]
)
def show_erasure_form(context: PageContext, association: str) -> HTMLResponse:
    """Show what is stored about an association, and the erasure form."""
    return _render_erasure_form(context, association)


@router.post(
    "/{language}/registry/erase/{association:path}", dependencies=[access.ALL_REGIONS_ACCESS]
)
def erase_association(
    context: PageContext, association: str, form: Annotated[ErasureForm, Form()]
) -> Response:
    """Erase an association if its id was typed correctly and no audit run is in progress."""
    translator = context.translator
    if form.confirmation != association:
        error_message = translator.translate(
            "Nothing was erased: that isn’t the association’s code."
        )
        return _render_erasure_form(
            context, association, form, error_message=error_message, status=422
        )
    try:
        erasure_result = erasure.erase_association(
            context.app,
            association,
            context.author,
            context.now,
            contact_only=form.scope is ErasureScope.CONTACT,
        )
    except RunLockedError:
        error_message = translator.translate("A check is running. Try again when it has finished.")
        return _render_erasure_form(
            context, association, form, error_message=error_message, status=409
        )
    except InputError:
        raise HTTPException(404) from None
    outcome = form.scope if erasure_result.is_clean else "traces"
    registry_url = context.links.page_url("registry")
    return RedirectResponse(f"{registry_url}?erased={quote(outcome)}", 303)


def _render_erasure_form(
    context: RequestContext,
    association: str,
    form: ErasureForm | None = None,
    *,
    error_message: str = "",
    status: int = 200,
) -> HTMLResponse:
    stored_data = _summarize_stored_data(context, association)
    return context.render_page(
        "erasure_form.html",
        status=status,
        association_id=association,
        association=context.app.store.registry.get_association(association),
        stored_data=list(stored_data.items()),
        form=form or ErasureForm(),
        error_message=error_message,
    )


def _summarize_stored_data(context: RequestContext, association: str) -> Mapping[str, int]:
    try:
        return erasure.summarize_stored_data(context.app, association, quick=True)
    except InputError:
        raise HTTPException(404) from None
