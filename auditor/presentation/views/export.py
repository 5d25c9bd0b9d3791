"""Exports as a stream of bytes, for the web and the command line.

`EXPORT_KINDS` lists all kinds. A kind has items, which are the rows of JSON, and columns, which
take the cells of CSV, workbooks and tables from an item. In a translated table, a column of codes
is followed by a column with their labels: scripts read the codes, people read the labels. An export
is never held in memory as a whole.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal, get_args

from auditor.app import App
from auditor.conclusions.association_view import REGISTRY, AssociationView
from auditor.conclusions.network_view import iter_association_views, load_association_view
from auditor.conclusions.summary import (
    AssociationFilter,
    ChannelFigures,
    compute_channel_figures,
    summarize_channel,
)
from auditor.config.schema import Config
from auditor.core.formatting import format_optional_timestamp, iter_json_document
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import get_gap_kind
from auditor.core.reference.survey import format_answer, load_questions
from auditor.presentation.views.calls import list_calls
from auditor.presentation.views.json_items import JsonItem, build_account_item, build_gap_item
from auditor.registry import spreadsheet, workbook_writer
from auditor.registry.columns import format_media_officer
from auditor.registry.exporter import format_column_heading
from storage.models.audit import EMPTY_CONTACT, Association, AuditRunState
from storage.models.summaries import AssociationSummary, ChannelStatus

WORKBOOK_SHEETS = {"meeting": ("meeting", "coverage", "changes")}
"""Kinds whose workbook also contains sheets of other kinds."""
ExportFormat = Literal["csv", "xlsx", "json"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}

CellValue = str | int | float | date | None
ListedAssociation = Association | AssociationSummary


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
    association_ids: tuple[str, ...] | None = None
    translator: Translator | None = None
    since: datetime | None = None
    bom: bool = True
    delimiter: str = ","
    can_see_contact: Callable[[ListedAssociation], bool] = lambda _association: True


def stream_export(request: ExportRequest, app: App, now: datetime) -> Iterator[bytes]:
    """Yield the bytes of an export in chunks. JSON is never translated."""
    kind, translator = EXPORT_KINDS[request.kind], request.translator
    if request.format == "json":
        items = kind.build_items(ExportSource(replace(request, translator=None), app, now))
        return (chunk.encode(errors="replace") for chunk in iter_json_document(items, now))
    source = ExportSource(request, app, now)
    if request.format == "csv":
        rows = kind.build_table(source)
        return spreadsheet.iter_csv_lines(rows, bom=request.bom, delimiter=request.delimiter)
    tables = {}
    for name in WORKBOOK_SHEETS.get(request.kind, (request.kind,)):
        title = translator.term("export", name) if translator else name
        tables[title] = EXPORT_KINDS[name].build_table(source)
    is_mirrored = translator is not None and translator.direction == "rtl"
    return workbook_writer.iter_workbook_chunks(tables, right_to_left=is_mirrored)


@dataclass(frozen=True, slots=True)
class ExportSource:
    """The data from which the items of an export are built."""

    request: ExportRequest
    app: App
    now: datetime

    def iter_views(self) -> Iterator[AssociationView]:
        """Yield the associations of the export. They are read again for each sheet."""
        store, config, ids = self.app.store, self.app.config, self.request.association_ids
        if ids is None:
            filter_ = self.request.association_filter
            yield from iter_association_views(store, config, self.now, filter_)
            return
        for association_id in ids:
            view = load_association_view(store, config, association_id)
            if view is not None:
                yield view

    def get_name(self, association: ListedAssociation) -> str:
        """Return the name of an association, translated if there is a translator."""
        translator = self.request.translator
        return association.display_name(translator.language) if translator else association.name

    def get_place(self, association: ListedAssociation) -> JsonItem:
        """Return the region and the town, translated if there is a translator."""
        translator, region, city = self.request.translator, association.region, association.city
        if translator:
            region = translator.region_name(region) if region else None
            city = translator.town_name(city) if city else None
        return {"region": region, "city": city}


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column: the key of its value in an item, or in the mapping `parent` of the item.

    `get_label` returns the label of a code. `is_date`: only the day of a timestamp is shown.
    """

    key: str
    get_label: Callable[[JsonItem, Translator], str] | None = None
    is_date: bool = False
    parent: str = ""

    def get_cell(self, item: JsonItem, translator: Translator | None = None) -> CellValue:
        """Return the cell. Several values are joined, and a translator labels codes."""
        if translator is not None and self.get_label is not None:
            return self.get_label(item, translator)
        if self.parent:
            item = item[self.parent]
        value = item[self.key]
        if self.is_date and value:
            return date.fromisoformat(value[:10])
        if isinstance(value, dict):
            return "; ".join(f"{name}={part}" for name, part in value.items())
        if isinstance(value, list):
            separator = ", "
            if value and isinstance(value[0], dict):
                value = [" ".join(filter(None, entry.values())) for entry in value]
                separator = "; "
            return separator.join(value)
        cell: CellValue = value
        return cell


@dataclass(frozen=True, slots=True)
class ExportKind:
    """A kind of export: its items and the columns of its table.

    With `has_channel_columns` it has one for each channel and for each question of the survey.
    """

    build_items: Callable[[ExportSource], Iterator[JsonItem]]
    columns: tuple[ExportColumn, ...]
    has_channel_columns: bool = False

    def list_columns(self, config: Config) -> list[ExportColumn]:
        """Return the columns of the table."""
        columns = list(self.columns)
        if self.has_channel_columns:
            columns += [_term(name, "channel_status", "channels") for name in config.channels]
            columns += map(_answer, load_questions())
        return columns

    def build_table(self, source: ExportSource) -> Iterator[list[CellValue]]:
        """Yield the headings, then the rows.

        A translator turns headings and codes into words. Without one, both are English keys.
        """
        columns, translator = self.list_columns(source.app.config), source.request.translator
        yield [format_column_heading(column.key, translator, "heading") for column in columns]
        for item in self.build_items(source):
            yield [column.get_cell(item, translator) for column in columns]


def _build_association_items(source: ExportSource) -> Iterator[JsonItem]:
    channels = source.app.config.channels
    for view in source.iter_views():
        association, score, worst = view.association, view.score, next(iter(view.gaps), None)
        # What the registry says of a person is a contact.
        answers = (row for row in view.answers.values() if row.author != REGISTRY)
        own_answers = {row.question: row.answer for row in answers}
        yield {
            "association": association.id,
            "name": source.get_name(association),
            **source.get_place(association),
            "tags": list(association.tags),
            "language": association.language,
            "level": score.level,
            "score": score.percent,
            "low": score.low,
            "high": score.high,
            "known": score.known,
            "gaps": len(view.gaps),
            "worst_kind": get_gap_kind(worst).value if worst else None,
            "worst_severity": worst.severity if worst else None,
            "answers": {question: own_answers.get(question) for question in load_questions()},
            "channels": {name: summarize_channel(view, name).status.value for name in channels},
        }


def _build_gap_items(source: ExportSource) -> Iterator[JsonItem]:
    for view in source.iter_views():
        name = source.get_name(view.association)
        for gap in view.gaps:
            yield build_gap_item(gap, name)


def _build_account_items(source: ExportSource) -> Iterator[JsonItem]:
    for view in source.iter_views():
        association = view.association
        names = {"association": association.id, "name": source.get_name(association)}
        for account in view.accounts:
            yield {**names, **build_account_item(account)}


def build_coverage_item(figures: ChannelFigures) -> JsonItem:
    """Return the coverage of one channel: associations by status, and shares in percent."""
    item = {"channel": figures.channel, "associations": figures.association_count}
    shares = {"low": figures.low, "high": figures.high, "survey": figures.survey}
    return item | {status.value: count for status, count in figures.counts.items()} | shares


def _build_change_items(source: ExportSource) -> Iterator[JsonItem]:
    """Yield the gaps that opened or closed since a time. Waived gaps are left out."""
    since = source.request.since
    if since is None:
        last_run = source.app.store.runs.get_latest(AuditRunState.DONE)
        if last_run is None:
            return
        since = last_run.started_at
    for view in source.iter_views():
        name = source.get_name(view.association)
        for change, changed_at, gap in view.iter_gap_changes():
            if changed_at >= since:
                at = format_optional_timestamp(changed_at)
                yield {"change": change, "at": at, **build_gap_item(gap, name)}


def _build_call_items(source: ExportSource) -> Iterator[JsonItem]:
    request, app = source.request, source.app
    for call in list_calls(app.store, app.config, request.association_filter, source.now):
        summary, last_contact, promises = call.summary, call.latest_follow_up, call.latest_promises
        contact = call.contact
        if not request.can_see_contact(summary):
            contact, last_contact, promises = EMPTY_CONTACT, None, ()
        worst = call.reasons[0]
        due_dates = [promise.due_date for promise in promises if promise.due_date]
        yield {
            "association": summary.id,
            "name": source.get_name(summary),
            **source.get_place(summary),
            "phone": contact.phone,
            "email": contact.email,
            "media_officer": contact.media_officer,
            "worst_kind": get_gap_kind(worst).value,
            "worst_severity": worst.severity,
            "reasons": [{"channel": gap.channel, "code": gap.code} for gap in call.reasons],
            "promises": [
                {"channel": promise.channel, "code": promise.code, "text": promise.text}
                for promise in promises
            ],
            "last_contact_kind": last_contact and last_contact.kind.value,
            "last_contact_at": last_contact and last_contact.occurred_at.date().isoformat(),
            "due_date": min(due_dates).isoformat() if due_dates else None,
        }


def _term(key: str, group: str, parent: str = "") -> ExportColumn:
    """Return a column of codes whose labels are in `terms.toml`."""

    def get_label(item: JsonItem, translator: Translator) -> str:
        code = (item[parent] if parent else item)[key]
        return translator.term(group, code) if code else ""

    return ExportColumn(key, get_label, parent=parent)


def _answer(question: str) -> ExportColumn:
    """Return the column of the answers to a question of the survey."""

    def get_label(item: JsonItem, translator: Translator) -> str:
        return format_answer(question, item["answers"][question] or "", translator.language)

    return ExportColumn(question, get_label, parent="answers")


def _label(key: str, group: str) -> ExportColumn:
    """Return a column of codes whose labels are in the gap catalogue."""
    return ExportColumn(
        key, lambda item, translator: translator.label(group, item[key]) if item[key] else ""
    )


def _get_gap_title(entry: JsonItem, translator: Translator) -> str:
    params = entry.get("params", {})
    return translator.gap_title(entry["code"], entry["channel"], "label", params)


def _join_promise_titles(item: JsonItem, translator: Translator) -> str:
    descriptions = []
    for promise in item["promises"]:
        title = _get_gap_title(promise, translator) if promise["code"] else ""
        descriptions.append(" · ".join(filter(None, (title, promise["text"]))))
    return "; ".join(descriptions)


def _columns(*keys: str) -> Iterable[ExportColumn]:
    return map(ExportColumn, keys)


GAP_COLUMNS = (
    *_columns("association", "name"),
    _label("channel", "channel"),
    ExportColumn("code", _get_gap_title),
    _label("kind", "gap_kind"),
    _label("severity", "severity"),
    ExportColumn("opened_at", is_date=True),
    ExportColumn(
        "params",
        lambda item, translator: (
            translator.describe_gap(
                item["code"], item["channel"], item["severity"], item["params"]
            ).evidence
        ),
    ),
)
CHANGE_COLUMNS = (
    _term("change", "change"),
    ExportColumn("at", is_date=True),
    *GAP_COLUMNS,
    ExportColumn("closed_at", is_date=True),
)
ACCOUNT_COLUMNS = (
    *_columns("association", "name"),
    _label("channel", "channel"),
    *_columns("url", "key"),
    _term("state", "account_status"),
    ExportColumn("since", is_date=True),
    _term("reason", "cause"),
    ExportColumn("last_activity", is_date=True),
    _term("activity", "activity"),
    ExportColumn("rhythm_days"),
    _term("linked", "link_reciprocity"),
    ExportColumn("checked_at", is_date=True),
)
ASSOCIATION_COLUMNS = (
    *_columns("association", "name", "region", "city", "tags", "language"),
    _label("level", "level"),
    *_columns("score", "low", "high", "known", "gaps"),
    _label("worst_kind", "gap_kind"),
    _label("worst_severity", "severity"),
)
COVERAGE_COLUMNS = (
    _label("channel", "channel"),
    *_columns("associations", *ChannelStatus, "low", "high", "survey"),
)
CALL_COLUMNS = (
    *_columns("association", "name", "region", "city", "phone", "email"),
    ExportColumn(
        "media_officer",
        lambda item, translator: format_media_officer(item["media_officer"], translator),
    ),
    _label("worst_kind", "gap_kind"),
    _label("worst_severity", "severity"),
    ExportColumn(
        "reasons",
        lambda item, translator: " · ".join(
            _get_gap_title(reason, translator) for reason in item["reasons"]
        ),
    ),
    ExportColumn("promises", _join_promise_titles),
    ExportColumn("due_date", is_date=True),
    _term("last_contact_kind", "follow_up"),
    ExportColumn("last_contact_at", is_date=True),
)
EXPORT_KINDS: Mapping[str, ExportKind] = {
    "associations": ExportKind(
        _build_association_items, ASSOCIATION_COLUMNS, has_channel_columns=True
    ),
    "gaps": ExportKind(_build_gap_items, GAP_COLUMNS),
    "accounts": ExportKind(_build_account_items, ACCOUNT_COLUMNS),
    "coverage": ExportKind(
        lambda source: map(
            build_coverage_item, compute_channel_figures(source.iter_views(), source.app.config)
        ),
        COVERAGE_COLUMNS,
    ),
    "changes": ExportKind(_build_change_items, CHANGE_COLUMNS),
    "meeting": ExportKind(_build_call_items, CALL_COLUMNS),
}
"""Every kind of export by its name on the command line and in URLs."""
