"""The registry for people: to take as a sheet, correct in a spreadsheet program, and bring back.

The registry's trail in the browser: who changed what, page by page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Query, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from auditor.erasure import find_erased_in_import
from auditor.evaluation.run_results import refresh_summaries
from auditor.registry import exporter
from auditor.registry.diff import ImportPreview, RegistryChangeLine, build_import_preview
from auditor.registry.importer import ExistingEntries, ImportResult, parse_registry_spreadsheet
from auditor.registry.spreadsheet import SpreadsheetError, iter_csv_lines
from auditor.registry.uploads import UploadStore
from auditor.users import service
from auditor.views.export import MEDIA_TYPES
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, RowId
from storage.models.summaries import ALL_FACET
from storage.models.users import ChangeOrigin

router = APIRouter()

MAX_SPREADSHEET_BYTES = 10 * 1024 * 1024
"""The largest sheet that is taken, in bytes."""
MAX_SHOWN_CHANGES = 500
"""So many changes are shown on a page."""
MAX_SHOWN_ISSUES = 100
"""So many problems are."""


ErasureOutcome = Literal["contact", "all", "traces"]
"""What was just erased; `traces`: all of it, but for the database's log."""


class ImportDecisionForm(BaseModel):
    """What was decided of a waiting sheet, and the digest of the changes that were shown.

    `whole`: whoever the sheet does not list may leave.
    """

    model_config = ConfigDict(frozen=True)

    act: Literal["take", "drop"]
    digest: str = ""
    whole: bool = False


@router.get("/{language}/registry", dependencies=[access.COORDINATOR_ACCESS])
def show_registry(
    context: PageContext, taken: int | None = None, forgotten: ErasureOutcome | None = None
) -> HTMLResponse:
    """How many are registered, and the ways out and in.

    `taken` are the changes that were just taken over, `forgotten` what was just erased.
    """
    return _render_registry(context, imported_count=taken, erasure_outcome=forgotten)


@router.post("/{language}/registry", dependencies=[access.ALL_REGIONS_ACCESS])
def upload_spreadsheet(context: PageContext, sheet: UploadFile) -> Response:
    """Keep a sheet and lead to what it would change, or tell why it cannot be read."""
    data = sheet.file.read(MAX_SPREADSHEET_BYTES + 1)
    if len(data) > MAX_SPREADSHEET_BYTES:
        return _render_registry(
            context,
            status=413,
            error_message=context.translator.translate("This file is larger than 10 MB."),
        )
    waiting = _get_uploads(context)
    name = waiting.save(data, context.now)
    try:
        _build_import_preview(context, waiting.folder / name)
    except SpreadsheetError as refused:
        waiting.delete(name)
        return _render_registry(
            context, status=422, error_message=context.translator.term("unreadable", refused.code)
        )
    return RedirectResponse(context.links.page_url(f"registry/diff/{name}"), 303)


@router.get("/{language}/registry/diff/{name}", dependencies=[access.ALL_REGIONS_ACCESS])
def show_import_preview(context: PageContext, name: str, *, anew: bool = False) -> HTMLResponse:
    """What a waiting sheet would change. `anew`: what was agreed to is not what it would change now."""
    path = _get_uploads(context).find(name, context.now)
    if path is None:
        gone = context.translator.translate("This import has expired. Import the file again.")
        return _render_registry(context, status=404, error_message=gone)
    return _render_import_preview(
        context, name, _build_import_preview(context, path), has_changed=anew
    )


@router.post("/{language}/registry/diff/{name}", dependencies=[access.ALL_REGIONS_ACCESS])
def submit_import_decision(
    context: PageContext, name: str, form: Annotated[ImportDecisionForm, Form()]
) -> Response:
    """Take a sheet over, if it changes what was agreed to, or drop it."""
    waiting = _get_uploads(context)
    path = waiting.find(name, context.now)
    if form.act == "drop" or path is None:
        waiting.delete(name)
        return RedirectResponse(context.links.page_url("registry"), 303)
    draft = _build_import_preview(context, path)
    if not form.whole and draft.changes.associations_withdrawn:
        return _render_import_preview(context, name, draft, status=422, is_partial=True)
    reading = draft.import_result
    people, listed = reading.associations, reading.accounts
    made = context.app.store.save_registry(
        people,
        listed,
        context.now,
        origin=ChangeOrigin(context.author, "web"),
        present_columns=reading.columns,
        expected_digest=form.digest,
    )
    if made.digest != form.digest:
        return RedirectResponse(f"{context.links.page_url(f'registry/diff/{name}')}?anew=1", 303)
    waiting.delete(name)
    refresh_summaries(context.app.store, context.app.config)
    return RedirectResponse(
        f"{context.links.page_url('registry')}?taken={len(made.log_entries)}", 303
    )


def _render_registry(
    context: RequestContext,
    *,
    status: int = 200,
    imported_count: int | None = None,
    erasure_outcome: ErasureOutcome | None = None,
    error_message: str = "",
) -> HTMLResponse:
    count = context.fresh_store.get_facet_counts().get(ALL_FACET, 0)
    return context.render_page(
        "registry.html",
        status=status,
        associations=count,
        taken=imported_count,
        forgotten=erasure_outcome,
        trouble=error_message,
        whole=service.can_edit_all_regions(context.user),
    )


def _render_import_preview(
    context: RequestContext,
    upload_name: str,
    preview: ImportPreview,
    *,
    status: int = 200,
    has_changed: bool = False,
    is_partial: bool = False,
) -> HTMLResponse:
    return context.render_page(
        "registry_diff.html",
        status=status,
        it=preview,
        name=upload_name,
        anew=has_changed,
        is_partial=is_partial,
        shown=MAX_SHOWN_CHANGES,
        few=MAX_SHOWN_ISSUES,
    )


def _get_uploads(context: RequestContext) -> UploadStore:
    return UploadStore(context.app.data_folder / "uploads")


def _build_import_preview(context: RequestContext, path: Path) -> ImportPreview:
    """The sheet beside the registry. Raises SheetError."""
    return build_import_preview(
        context.app.store, _read_uploaded_spreadsheet(context, path), context.now
    )


def _read_uploaded_spreadsheet(context: RequestContext, path: Path) -> ImportResult:
    """A sheet that names somebody. Raises SheetError."""
    store = context.app.store
    known = ExistingEntries.from_registry(store.list_association_entries(), store.list_accounts())
    reading = parse_registry_spreadsheet(path, context.app.config.network.language, known)
    if not reading.associations:
        raise SpreadsheetError(
            str(path), "it names no association", "fill the sheet first", code="nobody"
        )
    reading.problems += find_erased_in_import(context.app, reading)
    return reading


@router.get("/{language}/registry.{form}", dependencies=[access.ALL_REGIONS_ACCESS])
def download_registry(
    context: PageContext,
    form: Literal["csv", "xlsx"],
    delimiter: Annotated[Literal[",", ";"], Query()] = ",",
) -> StreamingResponse:
    """The registry as a sheet in the page's language."""
    words = context.translator
    lines = exporter.iter_export_rows(context.app.store, words)
    if form == "xlsx":
        pieces = exporter.iter_registry_workbook_chunks(
            lines, words, right_to_left=words.direction == "rtl"
        )
    else:
        pieces = iter_csv_lines(lines, delimiter=delimiter)
    day = context.now.date().isoformat()
    spoken = quote(f"{words.translate('Registry')}-{day}.{form}")
    disposition = f"attachment; filename=\"registry-{day}.{form}\"; filename*=UTF-8''{spoken}"
    return StreamingResponse(
        pieces, media_type=MEDIA_TYPES[form], headers={"content-disposition": disposition}
    )


HISTORY_PAGE_SIZE = 50


@router.get("/{language}/registry/trail", dependencies=[access.COORDINATOR_ACCESS])
def show_registry_history(
    context: PageContext, association: str = "", before: RowId | None = None
) -> HTMLResponse:
    """The newest changes first: of everybody, or of one association, also one that was removed."""
    store = context.app.store
    found = store.list_audit_log(
        association or None, before_id=before, limit=HISTORY_PAGE_SIZE + 1, regions=context.regions
    )
    changes, rest = found[:HISTORY_PAGE_SIZE], found[HISTORY_PAGE_SIZE:]
    about = {
        one.id: one
        for one in store.load_association_data(
            {change.association for change in changes}
        ).associations
    }
    lines = [
        (
            one,
            RegistryChangeLine.from_change(
                one,
                about[one.association].display_name(context.language)
                if one.association in about
                else "",
            ),
        )
        for one in changes
    ]
    return context.render_page(
        "audit_log.html",
        lines=lines,
        association=association,
        named=store.get_association(association) if association else None,
        first=_build_history_url(context, association) if before else None,
        next=_build_history_url(context, association, before=changes[-1].id) if rest else None,
    )


def _build_history_url(
    context: RequestContext, association: str, *, before: int | None = None
) -> str:
    told = {"association": association, "before": before}
    query = urlencode({name: value for name, value in told.items() if value})
    return context.links.page_url("registry/trail") + (f"?{query}" if query else "")
