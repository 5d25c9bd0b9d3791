"""Rows and columns of each export kind, shared by all formats. Pure.

JSON exports contain the items. In tables, a column takes its cell from an item. In a translated
table, a column of codes is followed by a column with their labels: scripts read the codes, people
read the labels.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from auditor.config.schema import Config
from auditor.core.formatting import format_optional_timestamp
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.summary import Coverage, compute_coverage, summarize_channel
from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import Voice, get_gap_kind
from auditor.views.calls import CallEntry
from auditor.views.json_items import JsonItem, build_account_item, build_gap_item
from storage.models.audit import Association, Gap

CellValue = str | int | float | date | None
TableRow = list[CellValue]


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column: its key, the value of its cell, and for a code its label."""

    key: str
    get_value: Callable[[JsonItem], CellValue]
    get_label: Callable[[JsonItem, Translator], str] | None = None


def allow_all(_association: Association) -> bool:
    """Return True: the contact data of every association may be exported."""
    return True


@dataclass(frozen=True, slots=True)
class ExportData:
    """The data of which rows are built.

    `views` can be iterated several times. With a `translator`, names and regions are translated.
    `can_see_contact` says whether contact data and follow-ups of an association are included.
    """

    views: Iterable[AssociationView]
    config: Config
    since: datetime | None = None
    calls: Iterable[CallEntry] = ()
    translator: Translator | None = None
    can_see_contact: Callable[[Association], bool] = allow_all

    def get_association_name(self, association: Association) -> str:
        """Return the name of an association, translated if there is a translator."""
        if self.translator is None:
            return association.name
        return association.display_name(self.translator.language)

    def get_region_name(self, association: Association) -> str | None:
        """Return the region of an association, translated if there is a translator."""
        region = association.region
        return self.translator.region_name(region) if self.translator and region else region

    def get_town_name(self, association: Association) -> str | None:
        """Return the town of an association, translated if there is a translator."""
        city = association.city
        return self.translator.town_name(city) if self.translator and city else city


@dataclass(frozen=True, slots=True)
class ExportKind:
    """A kind of export: its items, and the columns of its table."""

    build_items: Callable[[ExportData], Iterator[JsonItem]]
    list_columns: Callable[[Config], tuple[ExportColumn, ...]]

    def build_table(
        self, items: Iterable[JsonItem], config: Config, translator: Translator | None = None
    ) -> Iterator[TableRow]:
        """Yield the headings, then the rows. Without a translator, headings are English keys."""
        columns = self.list_columns(config)
        if translator is None:
            yield [column.key for column in columns]
        else:
            yield list(_iter_headings(columns, translator))
        for item in items:
            yield list(_iter_cells(columns, item, translator))


def _iter_headings(columns: Iterable[ExportColumn], translator: Translator) -> Iterator[CellValue]:
    for column in columns:
        if column.get_label:
            yield column.key
        heading = translator.term("heading", column.key)
        # Without a term it is the column of a channel.
        yield heading if heading != column.key else translator.channel_name(column.key)


def _iter_cells(
    columns: Iterable[ExportColumn], item: JsonItem, translator: Translator | None
) -> Iterator[CellValue]:
    for column in columns:
        yield column.get_value(item)
        if translator is not None and column.get_label is not None:
            yield column.get_label(item, translator)


def _build_association_items(export_data: ExportData) -> Iterator[JsonItem]:
    channels = export_data.config.channels
    for view in export_data.views:
        association, score = view.association, view.score
        item: JsonItem = {
            "association": association.id,
            "name": export_data.get_association_name(association),
            "region": export_data.get_region_name(association),
            "city": export_data.get_town_name(association),
            "tags": list(association.tags),
            "language": association.language,
            "level": score.level,
            "score": score.percent,
            "low": score.low,
            "high": score.high,
            "known": score.known,
            "gaps": len(view.gaps),
            "worst_kind": None,
            "worst_severity": None,
            "channels": {name: summarize_channel(view, name).status.value for name in channels},
        }
        if view.gaps:
            item["worst_kind"] = get_gap_kind(view.gaps[0]).value
            item["worst_severity"] = view.gaps[0].severity
        yield item


def _build_gap_items(export_data: ExportData) -> Iterator[JsonItem]:
    for view in export_data.views:
        name = export_data.get_association_name(view.association)
        for gap in view.gaps:
            yield build_gap_item(gap, name)


def _build_account_items(export_data: ExportData) -> Iterator[JsonItem]:
    for view in export_data.views:
        association = view.association
        for account in view.accounts:
            yield {
                "association": association.id,
                "name": export_data.get_association_name(association),
                **build_account_item(account),
            }


def _build_coverage_items(export_data: ExportData) -> Iterator[JsonItem]:
    return map(build_coverage_item, compute_coverage(export_data.views, export_data.config))


def build_coverage_item(channel_coverage: Coverage) -> JsonItem:
    """Return the coverage of one channel. Shares are percentages."""
    return {
        "channel": channel_coverage.channel,
        "associations": channel_coverage.associations,
        "confirmed": channel_coverage.confirmed,
        "unknown": channel_coverage.unknown,
        "gone": channel_coverage.gone,
        "missing": channel_coverage.missing,
        "by_choice": channel_coverage.by_choice,
        "low": channel_coverage.low,
        "high": channel_coverage.high,
        "survey": channel_coverage.survey,
    }


def _build_change_items(export_data: ExportData) -> Iterator[JsonItem]:
    for view in export_data.views:
        for change, gap in find_gap_changes(view, export_data.since):
            changed_at = gap.opened_at if change == "opened" else gap.closed_at
            gap_item = build_gap_item(gap, export_data.get_association_name(view.association))
            yield {"change": change, "at": format_optional_timestamp(changed_at), **gap_item}


def find_gap_changes(view: AssociationView, since: datetime | None) -> Iterator[tuple[str, Gap]]:
    """Yield the gaps that opened or closed since a time. Waived gaps are left out."""
    if since is not None:
        for change, changed_at, gap in view.iter_gap_changes():
            if changed_at >= since:
                yield change, gap


def make_plain_column(key: str) -> ExportColumn:
    """Return a column with a value of the item as it is."""
    return ExportColumn(key, lambda item: item[key])


def make_date_column(key: str) -> ExportColumn:
    """Return a column with the day of a timestamp."""
    return ExportColumn(key, lambda item: date.fromisoformat(item[key][:10]) if item[key] else None)


def make_list_column(key: str) -> ExportColumn:
    """Return a column with several values in one cell."""
    return ExportColumn(key, lambda item: ", ".join(item[key]))


def _make_params_column(key: str) -> ExportColumn:
    return ExportColumn(
        key, lambda item: "; ".join(f"{name}={value}" for name, value in item[key].items())
    )


def make_term_column(key: str, group: str) -> ExportColumn:
    """Return a column of codes whose labels are in `terms.toml`."""
    return ExportColumn(
        key,
        lambda item: item[key],
        lambda item, translator: _translate_code(translator.term, group, item[key]),
    )


def make_label_column(key: str, group: str) -> ExportColumn:
    """Return a column of codes whose labels are in the gap catalogue."""
    return ExportColumn(
        key,
        lambda item: item[key],
        lambda item, translator: _translate_code(translator.label, group, item[key]),
    )


def _translate_code(translate: Callable[[str, str], str], group: str, code: str | None) -> str:
    return translate(group, code) if code else ""


def _make_channel_status_column(channel: str) -> ExportColumn:
    return ExportColumn(
        channel,
        lambda item: item["channels"][channel],
        lambda item, translator: translator.term("channel_status", item["channels"][channel]),
    )


def _get_gap_title(item: JsonItem, translator: Translator) -> str:
    return translator.gap_title(item["code"], item["channel"], Voice.LABEL)


def _get_gap_evidence(item: JsonItem, translator: Translator) -> str:
    return translator.describe_gap(
        item["code"], item["channel"], item["severity"], item["params"]
    ).evidence


GAP_COLUMNS = (
    make_plain_column("association"),
    make_plain_column("name"),
    make_label_column("channel", "channel"),
    ExportColumn("code", lambda item: item["code"], _get_gap_title),
    make_label_column("kind", "gap_kind"),
    make_label_column("severity", "severity"),
    make_date_column("opened_at"),
    ExportColumn("params", _make_params_column("params").get_value, _get_gap_evidence),
)
CHANGE_COLUMNS = (
    make_term_column("change", "change"),
    make_date_column("at"),
    *GAP_COLUMNS,
    make_date_column("closed_at"),
)
ACCOUNT_COLUMNS = (
    make_plain_column("association"),
    make_plain_column("name"),
    make_label_column("channel", "channel"),
    make_plain_column("url"),
    make_plain_column("key"),
    make_term_column("state", "account_status"),
    make_date_column("since"),
    make_term_column("reason", "cause"),
    make_date_column("last_activity"),
    make_term_column("activity", "activity"),
    make_plain_column("rhythm_days"),
    make_term_column("linked", "link_reciprocity"),
    make_date_column("checked_at"),
)
ASSOCIATION_COLUMNS = (
    *map(make_plain_column, ("association", "name", "region", "city")),
    make_list_column("tags"),
    make_plain_column("language"),
    make_label_column("level", "level"),
    *map(make_plain_column, ("score", "low", "high", "known", "gaps")),
    make_label_column("worst_kind", "gap_kind"),
    make_label_column("worst_severity", "severity"),
)
COVERAGE_COLUMNS = (
    make_label_column("channel", "channel"),
    *map(
        make_plain_column, ("associations", "confirmed", "unknown", "gone", "missing", "by_choice")
    ),
    *map(make_plain_column, ("low", "high", "survey")),
)


def _list_association_columns(config: Config) -> tuple[ExportColumn, ...]:
    return (*ASSOCIATION_COLUMNS, *map(_make_channel_status_column, config.channels))


BASE_EXPORT_KINDS: Mapping[str, ExportKind] = {
    "associations": ExportKind(_build_association_items, _list_association_columns),
    "gaps": ExportKind(_build_gap_items, lambda _: GAP_COLUMNS),
    "accounts": ExportKind(_build_account_items, lambda _: ACCOUNT_COLUMNS),
    "coverage": ExportKind(_build_coverage_items, lambda _: COVERAGE_COLUMNS),
    "changes": ExportKind(_build_change_items, lambda _: CHANGE_COLUMNS),
}
"""The kinds of export that are built from association views alone, by name."""
