"""Exports as a stream of bytes, for the web and the command line.

An export is never held in memory as a whole. `EXPORT_KINDS` lists all kinds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from auditor.core.formatting import iter_json_document
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import iter_association_views, load_association_view
from auditor.evaluation.summary import AssociationFilter
from auditor.i18n.translator import Translator
from auditor.protocols import EvaluationContext
from auditor.registry import spreadsheet, workbook_writer
from auditor.views import export_rows, meeting_pack
from auditor.views.calls import CallEntry, list_calls
from auditor.views.export_rows import ExportData, ExportKind, allow_all
from storage.models.audit import Association, AuditRunState

EXPORT_KINDS: Mapping[str, ExportKind] = {
    **export_rows.BASE_EXPORT_KINDS,
    "meeting": meeting_pack.MEETING_EXPORT_KIND,
}
"""Every kind of export by its name on the command line and in URLs."""
WORKBOOK_SHEETS = {"meeting": ("meeting", "coverage", "changes")}
"""Kinds whose workbook also contains sheets of other kinds."""
ExportFormat = Literal["csv", "xlsx", "json"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An export to build: the kind of rows, the format, and the associations it covers.

    Without `translator` headings are English keys, and codes have no column with their label.
    With `association_ids` it covers only these. `since` is when `changes` begin; None means the
    start of the newest finished run. `can_see_contact` says whether the user may see the contact
    data of an association.
    """

    kind: str
    format: ExportFormat = "csv"
    association_filter: AssociationFilter = field(default_factory=AssociationFilter)
    association_ids: tuple[str, ...] = ()
    translator: Translator | None = None
    since: datetime | None = None
    bom: bool = True
    delimiter: str = ","
    right_to_left: bool = False
    can_see_contact: Callable[[Association], bool] = allow_all

    def get_file_name(self, now: datetime) -> str:
        """Return a file name with the date, in ASCII."""
        return f"{self.kind}-{now.date().isoformat()}.{self.format}"

    def get_translated_file_name(self, now: datetime) -> str:
        """Return the file name in the language of the export."""
        if self.translator is None:
            return self.get_file_name(now)
        kind = self.translator.term("export", self.kind)
        return f"{kind}-{now.date().isoformat()}.{self.format}"


def stream_export(
    export_request: ExportRequest, app: EvaluationContext, now: datetime
) -> Iterator[bytes]:
    """Yield the bytes of an export in chunks."""
    data = collect_export_data(export_request, app, now)
    kind = EXPORT_KINDS[export_request.kind]
    if export_request.format == "json":
        chunks = iter_json_document(kind.build_items(data), now)
        return (chunk.encode(errors="replace") for chunk in chunks)
    if export_request.format == "csv":
        table = kind.build_table(kind.build_items(data), data.config, export_request.translator)
        return spreadsheet.iter_csv_lines(
            table, bom=export_request.bom, delimiter=export_request.delimiter
        )
    return _stream_workbook(export_request, data)


def collect_export_data(
    export_request: ExportRequest, app: EvaluationContext, now: datetime
) -> ExportData:
    """Return the data of which the rows are built. JSON is never translated."""
    association_filter = export_request.association_filter
    since = export_request.since
    if since is None:
        last_run = app.store.runs.get_latest(AuditRunState.DONE)
        since = last_run.started_at if last_run else None
    calls: Iterable[CallEntry] = ()
    if export_request.kind == "meeting":
        calls = list_calls(app.store, app.config, association_filter, now)
    translator = export_request.translator
    if export_request.format == "json":
        translator = None
    return ExportData(
        views=_SelectedAssociations(app, association_filter, now, export_request.association_ids),
        config=app.config,
        since=since,
        calls=calls,
        translator=translator,
        can_see_contact=export_request.can_see_contact,
    )


@dataclass(frozen=True, slots=True)
class _SelectedAssociations:
    """The associations of an export. They are read again for each sheet, never held all at once."""

    app: EvaluationContext
    association_filter: AssociationFilter
    now: datetime
    association_ids: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[AssociationView]:
        if self.association_ids:
            return self._iter_by_id()
        return iter_association_views(
            self.app.store, self.app.config, self.now, self.association_filter
        )

    def _iter_by_id(self) -> Iterator[AssociationView]:
        for association_id in self.association_ids:
            view = load_association_view(self.app.store, self.app.config, association_id)
            if view is not None:
                yield view


def _stream_workbook(export_request: ExportRequest, export_data: ExportData) -> Iterator[bytes]:
    translator = export_request.translator
    tables = {}
    for name in WORKBOOK_SHEETS.get(export_request.kind, (export_request.kind,)):
        kind = EXPORT_KINDS[name]
        title = translator.term("export", name) if translator else name
        items = kind.build_items(export_data)
        tables[title] = kind.build_table(items, export_data.config, translator)
    return workbook_writer.iter_workbook_chunks(tables, right_to_left=export_request.right_to_left)
