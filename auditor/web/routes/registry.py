"""The registry: download as a spreadsheet, and import of one with a preview."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, StringConstraints

from auditor.conclusions.run_results import refresh_summaries
from auditor.core.i18n.catalogs import gettext_noop
from auditor.presentation.views.export import MEDIA_TYPES
from auditor.registry import exporter
from auditor.registry.changes import (
    ImportPreview,
    build_import_preview,
    count_changed_associations,
    describe_change_counts,
    describe_missing_columns,
)
from auditor.registry.column_mapping import (
    NoNameColumnError,
    SheetColumn,
    list_choices,
    open_column_memory,
)
from auditor.registry.columns import NAME_COLUMNS
from auditor.registry.existing_entries import ExistingEntries
from auditor.registry.importer import ImportResult, parse_registry_spreadsheet
from auditor.registry.issues import describe_dropped_lines, list_dropped_lines
from auditor.registry.spreadsheet import iter_csv_lines
from auditor.registry.uploads import UploadStore
from auditor.registry.workbook_reader import UPLOAD_LIMITS, SpreadsheetError
from auditor.runs.erasure import find_erased_in_import
from auditor.web import access, users
from auditor.web.request_context import PageContext, RequestContext, build_download_headers
from auditor.web.routes.runs import load_next_check
from storage.models.summaries import ALL_FACET
from storage.models.users import ChangeOrigin

router = APIRouter(route_class=access.AccessRoute)

MAX_SPREADSHEET_BYTES = 10 * 1024 * 1024
"""Bytes of an uploaded spreadsheet."""
MAX_SHOWN_CHANGES = 500
"""The preview lists at most so many associations of a kind, and changes."""
BUSY_SECONDS = "60"
"""Seconds after which a user whose import was refused may try again."""
_import_slot = Lock()
"""Reading and comparing 20,000 rows takes seconds of Python and much memory."""
ErasureOutcome = Literal["contact", "all", "traces"]
"""What was just erased. `traces`: everything, except for remains in the database log."""


class ImportDecisionForm(BaseModel):
    """The form that imports or discards an upload; `digest` identifies the changes that were shown.

    `complete_digest` is that of the changes if the network also stops following the associations
    that the spreadsheet does not list. It is submitted only if the user chose so.
    """

    action: Literal["import", "discard"]
    digest: str = ""
    complete_digest: str = ""


class ColumnsForm(BaseModel):
    """The form that corrects what was understood.

    `columns` has the number of each column of the sheet and its registry column, as `3:city`, or
    as `3:` if the column is not read.
    """

    columns: list[Annotated[str, StringConstraints(pattern=r"^\d{1,3}:\w*$")]]

    def list_chosen(self) -> dict[int, str]:
        """Return the registry columns that were chosen, by the number of the sheet's column."""
        choices = set(list_choices())
        chosen = {}
        for value in self.columns:
            index, column = value.split(":")
            if column in choices:
                chosen[int(index)] = column
        return chosen


@router.get("/{language}/registry", dependencies=[access.COORDINATOR_ACCESS])
def show_registry(
    request: Request, context: PageContext, *, erased: ErasureOutcome | None = None
) -> HTMLResponse:
    """Show the number of associations, the downloads and the import form.

    `erased` is what was just erased.
    """
    return _render_registry(
        context, erasure_outcome=erased, next_check=load_next_check(request, context)
    )


@contextmanager
def _reserve_import() -> Iterator[None]:
    """Raise HTTPException (503) while another import is read, compared or saved."""
    if not _import_slot.acquire(blocking=False):
        raise HTTPException(503, headers={"retry-after": BUSY_SECONDS})
    try:
        yield
    finally:
        _import_slot.release()


@router.post("/{language}/registry", dependencies=[access.ALL_REGIONS_ACCESS])
def upload_spreadsheet(context: PageContext, spreadsheet: UploadFile) -> Response:
    """Save a spreadsheet and redirect to its preview, or say why it cannot be read."""
    content = spreadsheet.file.read(MAX_SPREADSHEET_BYTES + 1)
    if len(content) > MAX_SPREADSHEET_BYTES:
        error_message = context.translator.translate("This file is larger than 10 MB.")
        return _render_registry(context, status=413, error_message=error_message)
    with _reserve_import():
        uploads = _get_uploads(context)
        upload_name = uploads.save(content, context.now)
        try:
            path = uploads.folder / upload_name
            import_result = _read_uploaded_spreadsheet(context, path)
            if not import_result.associations and not list_dropped_lines(import_result.problems):
                raise SpreadsheetError("no_associations", path)  # noqa: TRY301
        except SpreadsheetError as error:
            if not isinstance(error, NoNameColumnError) or not error.sheet_columns:
                return _refuse_upload(context, upload_name, error)
        except Exception:
            uploads.delete(upload_name)
            raise
    return RedirectResponse(_build_preview_url(context, upload_name), 303)


def _refuse_upload(
    context: RequestContext, upload_name: str, error: SpreadsheetError
) -> HTMLResponse:
    """Delete an upload, and say why it cannot be read and which line causes that, if any."""
    _get_uploads(context).delete(upload_name)
    translator = context.translator
    reason = translator.term("spreadsheet_error", error.code)
    if error.limit is not None:
        reason = reason.replace("{limit}", translator.format_number(error.limit))
    if error.line is not None:
        reason = translator.format_pair(
            translator.translate("Line {line}", line=error.line), reason
        )
    return _render_registry(context, status=422, error_message=reason)


def _handle_unread_upload(
    context: RequestContext, upload_name: str, error: SpreadsheetError, *, status: int = 200
) -> HTMLResponse:
    """Ask which column has the names if that is unknown; otherwise refuse the upload."""
    if isinstance(error, NoNameColumnError):
        return _render_import(context, upload_name, error.sheet_columns, status=status)
    return _refuse_upload(context, upload_name, error)


@router.get("/{language}/registry/imports/{upload_name}", dependencies=[access.ALL_REGIONS_ACCESS])
def show_import_preview(
    context: PageContext, upload_name: str, *, has_changed: bool = False
) -> Response:
    """Show what was understood of an uploaded spreadsheet, and what it would change.

    `has_changed`: the user confirmed a preview, but the registry changed in the meantime.
    """
    path = _get_uploads(context).find(upload_name, context.now)
    if path is None:
        return _render_expired_upload(context)
    try:
        with _reserve_import():
            preview = _build_import_preview(context, path)
            complete_preview = _build_import_preview(context, path, is_complete=True)
    except SpreadsheetError as error:
        return _handle_unread_upload(context, upload_name, error)
    return _render_import(
        context,
        upload_name,
        preview.import_result.sheet_columns,
        preview=preview,
        complete_preview=complete_preview,
        has_changed=has_changed,
    )


@router.post(
    "/{language}/registry/imports/{upload_name}/columns", dependencies=[access.ALL_REGIONS_ACCESS]
)
def correct_columns(
    context: PageContext, upload_name: str, form: Annotated[ColumnsForm, Form()]
) -> Response:
    """Remember as what the columns of an upload are read, and show the import again."""
    path = _get_uploads(context).find(upload_name, context.now)
    if path is None:
        return _render_expired_upload(context)
    understood: ImportResult | NoNameColumnError
    try:
        with _reserve_import():
            understood = _read_uploaded_spreadsheet(context, path)
    except NoNameColumnError as error:
        understood = error
    except SpreadsheetError as error:
        return _refuse_upload(context, upload_name, error)
    chosen = form.list_chosen()
    if {*chosen.values()} & {*NAME_COLUMNS}:
        open_column_memory(context.app.data_folder).remember(understood.headings, chosen)
        return RedirectResponse(_build_preview_url(context, upload_name), 303)
    columns = [
        replace(column, column=chosen.get(column.index)) for column in understood.sheet_columns
    ]
    return _render_import(context, upload_name, columns, status=422)


@router.post("/{language}/registry/imports/{upload_name}", dependencies=[access.ALL_REGIONS_ACCESS])
def submit_import_decision(
    context: PageContext, upload_name: str, form: Annotated[ImportDecisionForm, Form()]
) -> Response:
    """Import a spreadsheet if its changes are still those that were shown, or discard it."""
    uploads, registry_url = _get_uploads(context), context.links.page_url("registry")
    if form.action == "discard":
        uploads.delete(upload_name)
        return RedirectResponse(registry_url, 303)
    path = uploads.find(upload_name, context.now)
    if path is None:  # imported meanwhile, as after a double click
        return RedirectResponse(registry_url, 303)
    is_complete, expected_digest = bool(form.complete_digest), form.complete_digest or form.digest
    with _reserve_import():
        try:
            preview = _build_import_preview(context, path, is_complete=is_complete)
        except SpreadsheetError as error:
            return _handle_unread_upload(context, upload_name, error, status=422)
        import_result = preview.import_result
        changes = context.app.store.registry.save_registry(
            import_result.associations,
            import_result.accounts,
            context.now,
            origin=ChangeOrigin(context.author, "web"),
            is_complete=is_complete,
            present_columns=import_result.columns,
            expected_digest=expected_digest,
        )
        if changes.digest != expected_digest:
            preview_url = _build_preview_url(context, upload_name)
            return RedirectResponse(f"{preview_url}?has_changed=1", 303)
        uploads.delete(upload_name)
        # If an import changes more, the service updates their summaries afterwards.
        refresh_summaries(context.app.store, context.app.config, max_stale=1000)
    phrases = describe_change_counts(
        count_changed_associations(preview.changes), context.translator
    )
    return context.confirm(
        registry_url,
        gettext_noop("Imported: {counts}."),
        partial(context.undo_registry_changes, changes),
        counts=context.translator.join_list(phrases),
    )


def _build_preview_url(context: RequestContext, upload_name: str) -> str:
    return context.links.page_url(f"registry/imports/{upload_name}")


def _render_registry(
    context: RequestContext,
    *,
    status: int = 200,
    erasure_outcome: ErasureOutcome | None = None,
    error_message: str = "",
    next_check: dict[str, Any] | None = None,
) -> HTMLResponse:
    association_count = context.load_fresh_store().counts.get_facet_counts().get(ALL_FACET, 0)
    return context.render_page(
        "registry.html",
        status=status,
        association_count=association_count,
        withdrawn_entries=[
            entry
            for entry in context.app.store.registry.list_withdrawn_entries()
            if context.can_manage_association(entry.association)
        ],
        erasure_outcome=erasure_outcome,
        error_message=error_message,
        next_check=next_check,
        can_import=users.can_edit_all_regions(context.user),
    )


def _render_expired_upload(context: RequestContext) -> HTMLResponse:
    error_message = context.translator.translate("This import has expired. Import the file again.")
    return _render_registry(context, status=404, error_message=error_message)


def _render_import(
    context: RequestContext,
    upload_name: str,
    columns: Sequence[SheetColumn],
    *,
    status: int = 200,
    preview: ImportPreview | None = None,
    complete_preview: ImportPreview | None = None,
    has_changed: bool = False,
) -> HTMLResponse:
    """Render the page of an import. Without a preview, it only asks which column has the names."""
    import_url = context.links.page_url(f"registry/imports/{upload_name}")
    page_context = context if preview else context.with_path(import_url)
    dropped_lines = list_dropped_lines(preview.problems) if preview else []
    return page_context.render_page(
        "registry_import.html",
        status=status,
        preview=preview,
        complete_preview=complete_preview,
        sheet_columns=columns,
        column_choices=list_choices(),
        format_column_heading=exporter.format_column_heading,
        upload_name=upload_name,
        dropped_message=describe_dropped_lines(dropped_lines, context.translator),
        count_changes=count_changed_associations,
        describe_counts=describe_change_counts,
        describe_missing_columns=describe_missing_columns,
        has_changed=has_changed,
        max_shown_changes=MAX_SHOWN_CHANGES,
        # the preview lists at most so many problems of a kind
        max_shown_issues=100,
    )


def _get_uploads(context: RequestContext) -> UploadStore:
    return UploadStore(context.app.data_folder / "uploads")


def _build_import_preview(
    context: RequestContext, path: Path, *, is_complete: bool = False
) -> ImportPreview:
    """Compare an uploaded spreadsheet with the registry. Raises SpreadsheetError."""
    import_result = _read_uploaded_spreadsheet(context, path)
    return build_import_preview(
        context.app.store, import_result, context.now, is_complete=is_complete
    )


def _read_uploaded_spreadsheet(context: RequestContext, path: Path) -> ImportResult:
    """Parse a spreadsheet with the remembered columns. Raises SpreadsheetError."""
    registry, language = context.app.store.registry, context.app.config.network.language
    entries = ExistingEntries.from_registry(
        registry.list_association_entries(), registry.list_accounts()
    )
    memory = open_column_memory(context.app.data_folder)
    import_result = parse_registry_spreadsheet(path, language, entries, memory, UPLOAD_LIMITS)
    import_result.problems += find_erased_in_import(context.app, import_result)
    return import_result


@router.get("/{language}/registry/template.xlsx", dependencies=[access.ALL_REGIONS_ACCESS])
def download_template(context: PageContext) -> Response:
    """Send an empty registry with one example row, which no import registers."""
    content = exporter.build_template_workbook(context.translator)
    title = context.translator.translate("Registry template")
    return Response(
        content,
        media_type=MEDIA_TYPES["xlsx"],
        headers=build_download_headers("registry-template", title, "xlsx"),
    )


@router.get("/{language}/registry.{file_format}", dependencies=[access.ALL_REGIONS_ACCESS])
def download_registry(
    context: PageContext, file_format: Literal["csv", "xlsx"]
) -> StreamingResponse:
    """Stream the registry as a spreadsheet in the page's language."""
    translator = context.translator
    rows = exporter.iter_export_rows(context.app.store, translator)
    if file_format == "xlsx":
        chunks = exporter.iter_registry_workbook_chunks(
            rows, translator, right_to_left=translator.direction == "rtl"
        )
    else:
        chunks = iter_csv_lines(rows)
    title = translator.translate("Registry")
    return StreamingResponse(
        chunks,
        media_type=MEDIA_TYPES[file_format],
        headers=build_download_headers(
            f"registry-{context.day}", f"{title}-{context.day}", file_format
        ),
    )
