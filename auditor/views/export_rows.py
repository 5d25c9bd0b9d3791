"""What the rows of each export are, once for every format: the contract's items, and their columns. Pure.

An item is what JSON gives. A column takes its cell from an item; in a language it has the words of its code
as well, in a column of their own, so that a script can go by the code and a person by the words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from auditor.config.schema import Config
from auditor.core.formatting import format_optional_timestamp
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.summary import Coverage, compute_coverage, get_coverage_state
from auditor.i18n.translator import Translator
from auditor.views.dashboard import CallEntry
from auditor.views.json_items import JsonItem, build_account_item, build_gap_item
from storage.models.audit import Association, Gap

CellValue = str | int | float | date | None
TableRow = list[CellValue]


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column: its key, its cell, and for a code the words that say it."""

    key: str
    get_value: Callable[[JsonItem], CellValue]
    get_label: Callable[[JsonItem, Translator], str] | None = None


def allow_all(_association: Association) -> bool:
    """Whose people are told of to whoever keeps the registry: everybody's."""
    return True


@dataclass(frozen=True, slots=True)
class ExportData:
    """What rows are made of: the associations, the configuration, since when changes are told, whom to call.

    `views` are read anew each time they are gone through. With `words` names and regions are in a language.
    `private` tells whose people are told of: how they are reached, and what was said with them.
    """

    views: Iterable[AssociationView]
    config: Config
    since: datetime | None = None
    calls: Iterable[CallEntry] = ()
    translator: Translator | None = None
    can_see_contact: Callable[[Association], bool] = allow_all

    def get_association_name(self, association: Association) -> str:
        """What an association is called."""
        return (
            association.display_name(self.translator.language)
            if self.translator
            else association.name
        )

    def get_region_name(self, association: Association) -> str | None:
        """Its region: as it is registered, or in words."""
        region = association.region
        return self.translator.region_name(region) if self.translator and region else region


@dataclass(frozen=True, slots=True)
class ExportKind:
    """A kind of rows: its items, and the columns they have as a sheet."""

    build_items: Callable[[ExportData], Iterator[JsonItem]]
    list_columns: Callable[[Config], tuple[ExportColumn, ...]]

    def build_table(
        self, items: Iterable[JsonItem], config: Config, translator: Translator | None = None
    ) -> Iterator[TableRow]:
        """The headings and the rows: English keys alone, or with the words of a language."""
        columns = self.list_columns(config)
        yield [heading for column in columns for heading in _get_headings(column, translator)]
        for item in items:
            yield [cell for column in columns for cell in _get_cells(column, item, translator)]


def _get_headings(column: ExportColumn, translator: Translator | None) -> list[str]:
    if translator is None:
        return [column.key]
    said = translator.term("heading", column.key)
    named = translator.channel_name(column.key) if said == column.key else said
    return [column.key, named] if column.get_label else [named]


def _get_cells(
    column: ExportColumn, item: JsonItem, translator: Translator | None
) -> list[CellValue]:
    cell = column.get_value(item)
    if translator is None or column.get_label is None:
        return [cell]
    return [cell, column.get_label(item, translator)]


def _build_association_items(export_data: ExportData) -> Iterator[JsonItem]:
    for view in export_data.views:
        about, score = view.association, view.score
        yield {
            "association": about.id,
            "name": export_data.get_association_name(about),
            "region": export_data.get_region_name(about),
            "city": about.city,
            "tags": list(about.tags),
            "language": about.language,
            "level": score.level,
            "score": score.percent,
            "low": score.low,
            "high": score.high,
            "known": score.known,
            "gaps": len(view.gaps),
            "gravest": view.gaps[0].severity if view.gaps else None,
            "channels": {
                channel: get_coverage_state(view, channel)
                for channel in export_data.config.channels
            },
        }


def _build_gap_items(export_data: ExportData) -> Iterator[JsonItem]:
    return (
        build_gap_item(gap, export_data.get_association_name(view.association))
        for view in export_data.views
        for gap in view.gaps
    )


def _build_account_items(export_data: ExportData) -> Iterator[JsonItem]:
    for view in export_data.views:
        about = view.association
        yield from (
            {
                "association": about.id,
                "name": export_data.get_association_name(about),
                **build_account_item(one),
            }
            for one in view.accounts
        )


def _build_coverage_items(export_data: ExportData) -> Iterator[JsonItem]:
    return map(build_coverage_item, compute_coverage(export_data.views, export_data.config))


def build_coverage_item(channel_coverage: Coverage) -> JsonItem:
    """The network's figure on one channel; shares in percent."""
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
            at = gap.opened_at if change == "opened" else gap.closed_at
            told = build_gap_item(gap, export_data.get_association_name(view.association))
            yield {"change": change, "at": format_optional_timestamp(at), **told}


def find_gap_changes(view: AssociationView, since: datetime | None) -> Iterator[tuple[str, Gap]]:
    """What opened and what closed since a moment; what a person said need not be told is no change."""
    if since is None:
        return
    for gap in view.all_gaps:
        if gap in view.waived_gaps or gap.opened_at is None:
            continue
        if gap.opened_at >= since:
            yield "opened", gap
        if gap.closed_at and gap.closed_at >= since:
            yield "closed", gap


def make_plain_column(key: str) -> ExportColumn:
    """A fact as it stands in the item."""
    return ExportColumn(key, lambda item: item[key])


def make_date_column(key: str) -> ExportColumn:
    """The day of a moment."""
    return ExportColumn(key, lambda item: date.fromisoformat(item[key][:10]) if item[key] else None)


def make_list_column(key: str) -> ExportColumn:
    """Several facts in one cell."""
    return ExportColumn(key, lambda item: ", ".join(item[key]))


def _make_params_column(key: str) -> ExportColumn:
    return ExportColumn(
        key, lambda item: "; ".join(f"{name}={value}" for name, value in item[key].items())
    )


def make_term_column(key: str, group: str) -> ExportColumn:
    """A code that `terms.toml` has words for."""
    return ExportColumn(
        key,
        lambda item: item[key],
        lambda item, words: _translate_code(words.term, group, item[key]),
    )


def make_label_column(key: str, group: str) -> ExportColumn:
    """A code that the catalogue has a label for."""
    return ExportColumn(
        key,
        lambda item: item[key],
        lambda item, words: _translate_code(words.label, group, item[key]),
    )


def _translate_code(translate: Callable[[str, str], str], group: str, code: str | None) -> str:
    return translate(group, code) if code else ""


def _make_channel_state_column(channel: str) -> ExportColumn:
    return ExportColumn(
        channel,
        lambda item: item["channels"][channel],
        lambda item, words: words.term("coverage_state", item["channels"][channel]),
    )


def _get_gap_title(item: JsonItem, translator: Translator) -> str:
    return translator.describe_gap(
        item["code"], item["channel"], item["severity"], item["params"]
    ).title


def _get_gap_evidence(item: JsonItem, translator: Translator) -> str:
    return translator.describe_gap(
        item["code"], item["channel"], item["severity"], item["params"]
    ).evidence


GAP_COLUMNS = (
    make_plain_column("association"),
    make_plain_column("name"),
    make_label_column("channel", "channel"),
    ExportColumn("code", lambda item: item["code"], _get_gap_title),
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
    make_label_column("gravest", "severity"),
)
COVERAGE_COLUMNS = (
    make_label_column("channel", "channel"),
    *map(
        make_plain_column, ("associations", "confirmed", "unknown", "gone", "missing", "by_choice")
    ),
    *map(make_plain_column, ("low", "high", "survey")),
)


def _list_association_columns(config: Config) -> tuple[ExportColumn, ...]:
    return (*ASSOCIATION_COLUMNS, *map(_make_channel_state_column, config.channels))


BASE_EXPORT_KINDS: Mapping[str, ExportKind] = {
    "associations": ExportKind(_build_association_items, _list_association_columns),
    "gaps": ExportKind(_build_gap_items, lambda _: GAP_COLUMNS),
    "accounts": ExportKind(_build_account_items, lambda _: ACCOUNT_COLUMNS),
    "coverage": ExportKind(_build_coverage_items, lambda _: COVERAGE_COLUMNS),
    "changes": ExportKind(_build_change_items, lambda _: CHANGE_COLUMNS),
}
"""Every kind of export, by its name on the command line and in addresses."""
