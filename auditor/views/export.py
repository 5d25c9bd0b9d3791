"""An export as a stream of bytes: what the web sends and the command line writes, never held whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from auditor.core.formatting import iter_json_document
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import iter_association_views
from auditor.evaluation.summary import AssociationFilter
from auditor.i18n.translator import Translator
from auditor.protocols import EvaluationContext
from auditor.registry import spreadsheet
from auditor.views import export_rows, meeting_pack
from auditor.views.dashboard import list_calls
from auditor.views.export_rows import ExportData, ExportKind, allow_all
from storage.models.audit import Association, AuditRunState

EXPORT_KINDS: Mapping[str, ExportKind] = {
    **export_rows.BASE_EXPORT_KINDS,
    "meeting": meeting_pack.MEETING_EXPORT_KIND,
}
"""Every kind of export, by its name on the command line."""
WORKBOOK_SHEETS = {"meeting": ("meeting", "coverage", "changes")}
"""Kinds whose workbook has sheets of other kinds as well."""
ExportFormat = Literal["csv", "xlsx", "json"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is asked for: the kind of rows, of which associations, in which format and whose words.

    Without `words` the headings are the English keys and codes stand alone. `since` is when `changes` begin,
    the newest concluded night where it is None. `private` tells whose people may be told of to whoever asked.
    """

    kind: str
    format: ExportFormat = "csv"
    association_filter: AssociationFilter = field(default_factory=AssociationFilter)
    translator: Translator | None = None
    since: datetime | None = None
    bom: bool = True
    delimiter: str = ","
    right_to_left: bool = False
    can_see_contact: Callable[[Association], bool] = allow_all

    def get_file_name(self, now: datetime) -> str:
        """A dated name for the file, in ASCII."""
        return f"{self.kind}-{now.date().isoformat()}.{self.format}"

    def get_translated_file_name(self, now: datetime) -> str:
        """The same name in its language."""
        kind = self.translator.term("export", self.kind) if self.translator else self.kind
        return f"{kind}-{now.date().isoformat()}.{self.format}"


def stream_export(
    export_request: ExportRequest, app: EvaluationContext, now: datetime
) -> Iterator[bytes]:
    """The export's bytes, piece by piece."""
    told = collect_export_data(export_request, app, now)
    kind = EXPORT_KINDS[export_request.kind]
    if export_request.format == "json":
        return (
            part.encode(errors="replace")
            for part in iter_json_document(kind.build_items(told), now)
        )
    if export_request.format == "csv":
        table = kind.build_table(kind.build_items(told), told.config, export_request.translator)
        return spreadsheet.iter_csv_lines(
            table, bom=export_request.bom, delimiter=export_request.delimiter
        )
    return _stream_workbook(export_request, told)


def collect_export_data(
    export_request: ExportRequest, app: EvaluationContext, now: datetime
) -> ExportData:
    """What the rows are made of."""
    last = app.store.get_latest_run(AuditRunState.DONE) if export_request.since is None else None
    since = last.started_at if last else export_request.since
    called = (
        list_calls(app.store, app.config, export_request.association_filter, now)
        if export_request.kind == "meeting"
        else ()
    )
    words = None if export_request.format == "json" else export_request.translator
    return ExportData(
        _FilteredAssociations(app, export_request.association_filter, now),
        app.config,
        since,
        called,
        words,
        export_request.can_see_contact,
    )


@dataclass(frozen=True, slots=True)
class _FilteredAssociations:
    """The associations that are chosen, read anew for each sheet, so that none has to hold them all."""

    app: EvaluationContext
    association_filter: AssociationFilter
    now: datetime

    def __iter__(self) -> Iterator[AssociationView]:
        return iter_association_views(
            self.app.store, self.app.config, self.now, self.association_filter
        )


def _stream_workbook(export_request: ExportRequest, export_data: ExportData) -> Iterator[bytes]:
    names = WORKBOOK_SHEETS.get(export_request.kind, (export_request.kind,))
    tables = {
        export_request.translator.term("export", name)
        if export_request.translator
        else name: EXPORT_KINDS[name].build_table(
            EXPORT_KINDS[name].build_items(export_data),
            export_data.config,
            export_request.translator,
        )
        for name in names
    }
    return spreadsheet.iter_workbook_chunks(tables, right_to_left=export_request.right_to_left)
