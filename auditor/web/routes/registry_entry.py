"""A registry entry: the forms that add, edit, stop following and erase it, and its change log.

An entry is parsed like a row of an imported spreadsheet.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import FormData

from auditor.core.errors import InputError, RunLockedError
from auditor.core.i18n.catalogs import LOCALE_BY_LANGUAGE, gettext_noop
from auditor.registry import exporter
from auditor.registry.changes import RegistryChangeLine
from auditor.registry.columns import MEDIA_OFFICER_CODES, NAME_COLUMNS, format_media_officer
from auditor.registry.entries import (
    BLOCKING_ISSUES,
    EDITABLE_COLUMNS,
    ENTRY_COLUMNS,
    find_namesakes,
    find_shared_accounts,
    make_unused_id,
)
from auditor.registry.importer import ImportResult, parse_registry_entry
from auditor.registry.issues import Issue, SpreadsheetProblem, shorten_value
from auditor.registry.workbook_reader import MAX_CELL_CHARS
from auditor.runs import erasure
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, RowId, build_page_urls
from probes.links.channel_registry import list_channel_names
from storage.errors import ChangedMeanwhileError
from storage.models.audit import LINKS_COLUMN, Association, AssociationEntry
from storage.models.users import AuditLogEntry, ChangeOrigin
from storage.registry.registry_import import ImportChanges

router = APIRouter(route_class=access.AccessRoute)


Cells = dict[str, str]
"""The cells of an entry by column. A cell of links has one link per line."""


async def _read_form(request: Request) -> FormData:
    return await request.form()


EntryFormData = Annotated[FormData, Depends(_read_form)]


@router.get("/{language}/registry/entries", dependencies=[access.ALL_REGIONS_ACCESS])
def show_new_entry_form(context: PageContext) -> HTMLResponse:
    """Show the form that adds an association."""
    return _render_entry_form(context, None, {"language": context.app.config.network.language})


@router.post("/{language}/registry/entries", dependencies=[access.ALL_REGIONS_ACCESS])
def add_entry(context: PageContext, form: EntryFormData) -> Response:
    """Add an association, or show the form again with its issues, such as a name that is taken."""
    cells, registry = _read_cells(form), context.app.store.registry
    association_id = make_unused_id(registry, cells.get("name", ""))
    import_result, save = _prepare_entry(context, association_id, cells)
    issues = [
        *_list_issues(context, cells, import_result),
        *erasure.find_erased_in_import(context.app, import_result),
    ]
    namesakes = find_namesakes(registry, [cells.get(column, "") for column in NAME_COLUMNS])
    if namesakes:
        issues.append(SpreadsheetProblem(2, "name", "", Issue.DUPLICATE_NAME))
    if _is_refused(issues, form):
        return _render_entry_form(
            context, None, cells, status=422, issues=issues, namesakes=namesakes
        )
    expected = save(dry_run=True)
    if not expected.associations_added:
        raise ChangedMeanwhileError  # another form has added an association with this id
    changes = save(expected_digest=expected.digest)
    if changes.digest != expected.digest:
        raise ChangedMeanwhileError
    return context.confirm(
        context.links.association_url(association_id),
        gettext_noop("Added. The next check includes it."),
        partial(context.undo_registry_changes, changes),
    )


@router.post(
    "/{language}/registry/following/{association:path}", dependencies=[access.OWN_REGION_ACCESS]
)
def set_following(
    context: PageContext, association: str, *, is_followed: Annotated[bool, Form()]
) -> Response:
    """Stop following an association, or follow it again."""
    registry, origin = context.app.store.registry, ChangeOrigin(context.author, "web")
    if is_followed:
        changes = registry.restore_association(association, context.now, origin=origin)
        message = gettext_noop("Followed again. The next check includes it.")
        url = context.links.association_url(association)
    else:
        changes = registry.withdraw_association(association, context.now, origin=origin)
        message = gettext_noop("No longer followed.")
        url = context.links.page_url(f"registry/entries/{quote(association, safe='')}")
    return context.confirm(url, message, partial(context.undo_registry_changes, changes))


@router.get(
    "/{language}/registry/entries/{association:path}", dependencies=[access.OWN_REGION_ACCESS]
)
def show_entry_form(context: PageContext, association: str) -> HTMLResponse:
    """Show the form with the stored entry."""
    saved_entry, cells = _load_entry(context, association)
    version = _compute_version(cells)
    return _render_entry_form(context, saved_entry, cells, version=version)


@router.post(
    "/{language}/registry/entries/{association:path}", dependencies=[access.OWN_REGION_ACCESS]
)
def save_entry(context: PageContext, association: str, form: EntryFormData) -> Response:
    """Save the entry, or show the form again with its issues.

    The user can save an entry whose issues are only warnings. If the stored entry changed since
    the form was opened, nothing is saved (409).
    """
    saved_entry, _ = _load_entry(context, association)
    cells = _read_cells(form)
    import_result, save = _prepare_entry(context, saved_entry.id, cells)
    # If the version, which is read afterwards, is the expected one, and the same changes are due
    # when they are saved, then no other change came between.
    digest = save(dry_run=True).digest
    saved_entry, saved_cells = _load_entry(context, association)
    version = _compute_version(saved_cells)
    if form.get("version") != version or saved_entry.withdrawn_at:
        return _render_entry_form(context, saved_entry, cells, version=version, status=409)
    issues = _list_issues(context, cells, import_result)
    if _is_refused(issues, form):
        return _render_entry_form(
            context, saved_entry, cells, version=version, status=422, issues=issues
        )
    changes = save(expected_digest=digest)
    if changes.digest != digest:
        saved_entry, saved_cells = _load_entry(context, association)
        version = _compute_version(saved_cells)
        return _render_entry_form(context, saved_entry, cells, version=version, status=409)
    return context.confirm(
        context.links.association_url(saved_entry.id),
        gettext_noop("Entry saved."),
        partial(context.undo_registry_changes, changes),
    )


def _read_cells(form: FormData) -> Cells:
    cells = {name: str(form[name]).replace("\r\n", "\n") for name in ENTRY_COLUMNS if name in form}
    return {**cells, "none_by_choice": ", ".join(map(str, form.getlist("none_by_choice")))}


def _prepare_entry(
    context: RequestContext, association: str, cells: Cells
) -> tuple[ImportResult, Callable[..., ImportChanges]]:
    """Return the parsed cells of an entry, and the function that saves them."""
    row, language = {"id": association, **cells}, context.app.config.network.language
    import_result = parse_registry_entry(row, language)
    save = partial(
        context.app.store.registry.save_registry,
        import_result.associations,
        import_result.accounts,
        context.now,
        origin=ChangeOrigin(context.author, "web"),
        is_complete=False,
        present_columns=import_result.columns,
    )
    return import_result, save


def _list_issues(
    context: RequestContext, cells: Cells, import_result: ImportResult
) -> list[SpreadsheetProblem]:
    """Return the issues of an entry, those that are too long first."""
    long_texts = [
        SpreadsheetProblem(2, column, shorten_value(text), Issue.LONG_TEXT)
        for column, text in cells.items()
        if len(text) > MAX_CELL_CHARS
    ]
    shared_accounts = find_shared_accounts(context.app.store.registry, import_result)
    return [*long_texts, *import_result.problems, *shared_accounts]


def _is_refused(issues: Collection[SpreadsheetProblem], form: FormData) -> bool:
    """Return True if an entry has issues that its author must correct, or has not accepted."""
    return _has_blocking_issue(issues) or bool(issues and "save_anyway" not in form)


def _has_blocking_issue(issues: Iterable[SpreadsheetProblem]) -> bool:
    return any(problem.issue in BLOCKING_ISSUES for problem in issues)


def _load_entry(context: RequestContext, association: str) -> tuple[AssociationEntry, Cells]:
    """Return the stored entry and its cells. Raises HTTPException (404)."""
    registry = context.app.store.registry
    entry = registry.get_association_entry(association)
    if entry is None:
        raise HTTPException(404)
    cells = {name: entry.format_value(name) for name in EDITABLE_COLUMNS}
    officer = entry.contact.media_officer
    cells["media_officer"] = format_media_officer(officer, context.translator)
    for row in registry.list_accounts(entry.id):
        cells[row.column] = "\n".join(filter(None, (cells.get(row.column), row.typed_text)))
    return entry, cells


def _compute_version(cells: Cells) -> str:
    """Return a hash of the filled cells, to detect concurrent edits."""
    filled_cells = sorted((column, cell) for column, cell in cells.items() if cell)
    return hashlib.sha256(repr(filled_cells).encode()).hexdigest()[:32]


def _render_entry_form(
    context: RequestContext,
    saved_entry: AssociationEntry | None,
    cells: Cells,
    *,
    version: str = "",
    status: int = 200,
    issues: Sequence[SpreadsheetProblem] = (),
    namesakes: Sequence[Association] = (),
) -> HTMLResponse:
    """Render the form, of a new association without a saved entry.

    It has all channels, columns with links, channels that the association does not use by choice,
    and the column for other links.
    """
    translator = context.translator
    unused_channels = list(filter(None, cells.get("none_by_choice", "").split(", ")))
    filled_columns = [name for name in cells if name not in {"id", *EDITABLE_COLUMNS}]
    columns = (*list_channel_names(), *filled_columns, *unused_channels)
    return context.render_page(
        "registry_entry.html",
        status=status,
        association=saved_entry and saved_entry.association,
        withdrawn_at=saved_entry and saved_entry.withdrawn_at,
        namesakes=namesakes,
        cells=cells,
        unused_channels=unused_channels,
        issues=issues,
        can_save_anyway=not _has_blocking_issue(issues),
        version=version,
        max_cell_chars=MAX_CELL_CHARS,
        is_refused=status == 422,
        is_stale=status == 409,
        account_columns=list(dict.fromkeys((*columns, LINKS_COLUMN))),
        get_column_heading=lambda column: exporter.format_column_heading(column, translator),
        languages=tuple(LOCALE_BY_LANGUAGE),
        media_officer_choices=[
            format_media_officer(code, translator) for code in MEDIA_OFFICER_CODES
        ],
    )


class ErasureForm(BaseModel):
    """The form that selects what to erase. `confirmation` must be the association's id."""

    model_config = ConfigDict(str_strip_whitespace=True)

    scope: Literal["contact", "all"] = "contact"
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
            contact_only=form.scope == "contact",
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
    try:
        stored_data = erasure.summarize_stored_data(context.app, association, quick=True)
    except InputError:
        raise HTTPException(404) from None
    return context.render_page(
        "erasure_form.html",
        status=status,
        association_id=association,
        association=context.app.store.registry.get_association(association),
        stored_data=list(stored_data.items()),
        form=form or ErasureForm(),
        error_message=error_message,
    )


CHANGES_PAGE_SIZE = 50
SHOWN_LINES = 2
"""An action with more changes only shows how many there are."""


@router.get("/{language}/registry/history", dependencies=[access.COORDINATOR_ACCESS])
def show_registry_history(
    context: PageContext, association: str = "", before: RowId | None = None
) -> HTMLResponse:
    """Show the actions, or the changes of one association (also a removed one), newest first."""
    log = context.app.store.audit_log
    if association:
        entries = log.list_audit_log(
            association, before_id=before, limit=CHANGES_PAGE_SIZE + 1, regions=context.regions
        )
        return _render_changes(context, entries, before, association_id=association)
    actions: list[dict[str, Any]] = []
    next_before = before
    while entries := log.list_audit_log(
        before_id=next_before, limit=SHOWN_LINES + 1, regions=context.regions
    ):
        if len(actions) == 20:
            break
        action = _build_action(context, entries)
        actions.append(action)
        next_before = action["oldest_id"]
    urls = build_page_urls(
        context.links.page_url("registry/history"), {}, "before", before, entries and next_before
    )
    return context.render_page("audit_log.html", actions=actions, **urls)


def _build_action(context: RequestContext, entries: Sequence[AuditLogEntry]) -> dict[str, Any]:
    """Return the action that wrote the first of these entries: an import, or a form.

    `entry` says when, who and how. `lines` are empty if it has more changes than `SHOWN_LINES`.
    """
    log, newest_entry = context.app.store.audit_log, entries[0]
    preceding_id = log.find_preceding_log_id(newest_entry)
    change_count, association_count = log.count(
        after_id=preceding_id, up_to_id=newest_entry.id, regions=context.regions
    )
    own_entries = [entry for entry in entries if entry.id > preceding_id]
    # An import may also remove some. Another entry says how the action was made.
    typical_entry = next((entry for entry in own_entries if entry.source != "prune"), newest_entry)
    is_short = change_count <= SHOWN_LINES
    return {
        "newest_id": newest_entry.id,
        "oldest_id": preceding_id + 1,
        "entry": typical_entry,
        "lines": _build_change_lines(context, own_entries) if is_short else [],
        "change_count": change_count,
        "association_count": association_count,
    }


@router.get("/{language}/registry/history/{entry_id:int}", dependencies=[access.COORDINATOR_ACCESS])
def show_registry_action(
    context: PageContext, entry_id: RowId, before: RowId | None = None
) -> HTMLResponse:
    """Show all changes of the action whose newest entry has this id."""
    store = context.app.store
    newest_entry = store.audit_log.get_entry(entry_id, regions=context.regions)
    if newest_entry is None:
        raise HTTPException(404)
    entries = store.audit_log.list_audit_log(
        before_id=min(before or entry_id + 1, entry_id + 1),
        after_id=store.audit_log.find_preceding_log_id(newest_entry),
        limit=CHANGES_PAGE_SIZE + 1,
        regions=context.regions,
    )
    return _render_changes(context, entries, before, action_entry=newest_entry)


def _render_changes(
    context: RequestContext,
    entries: Sequence[AuditLogEntry],
    before: int | None,
    *,
    action_entry: AuditLogEntry | None = None,
    association_id: str = "",
) -> HTMLResponse:
    """Render a page of single changes; `entries` has one more if there are older ones."""
    shown_entries = entries[:CHANGES_PAGE_SIZE]
    next_before = shown_entries[-1].id if len(entries) > CHANGES_PAGE_SIZE else None
    url = context.links.page_url("registry/history")
    if action_entry:
        url = f"{url}/{action_entry.id}"
    query, store = {"association": association_id}, context.app.store
    return context.render_page(
        "audit_log_changes.html",
        changes=_build_change_lines(context, shown_entries),
        action_entry=action_entry,
        association_id=association_id,
        association=store.registry.get_association(association_id) if association_id else None,
        **build_page_urls(url, query, "before", before is not None, next_before),
    )


def _build_change_lines(
    context: RequestContext, entries: Sequence[AuditLogEntry]
) -> list[RegistryChangeLine]:
    association_ids = {entry.association for entry in entries}
    data = context.app.store.conclusions.load_association_data(association_ids)
    names = {row.id: row.display_name(context.language) for row in data["associations"]}
    return [RegistryChangeLine(entry, names.get(entry.association, "")) for entry in entries]
