"""The filters of lists: form choices, chips that remove a filter, and links to exports."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter

from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import Voice, load_gap_catalogue
from auditor.rules.score import LEVEL_THRESHOLDS
from auditor.views.export import EXPORT_FORMATS
from auditor.web.request_context import RequestContext, build_url
from storage.models.audit import GAP_KINDS

FieldChoices = list[tuple[str, str]]
"""The values of a form field, each with its label."""

MAX_FIELD_CHOICES = 300
"""If a field has more choices, only the most frequent ones are offered."""


@dataclass(frozen=True, slots=True)
class FilterChip:
    """An active filter: its label, and the address of the list without it."""

    label: str
    url_without_filter: str


def build_export_links(
    context: RequestContext, kinds: Iterable[str], query_params: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Return the download addresses for these kinds of rows: kind -> format -> address."""
    links: dict[str, dict[str, str]] = {}
    for kind in kinds:
        path = context.links.page_url(f"exports/{kind}")
        links[kind] = {name: build_url(f"{path}.{name}", query_params) for name in EXPORT_FORMATS}
        links[kind]["semicolons"] = build_url(f"{path}.csv", {**query_params, "delimiter": ";"})
    return links


def build_filter_chips(
    path: str,
    query_params: Mapping[str, str],
    translator: Translator,
    names: Collection[str] | None = None,
) -> list[FilterChip]:
    """Return a chip for each active filter, or only for those with these names."""
    chips, chip_names = [], FILTER_DESCRIPTIONS if names is None else names
    for name, value in query_params.items():
        if value and name in chip_names:
            label = _describe_filter(name, query_params, translator)
            chips.append(FilterChip(label, build_url(path, {**query_params, name: ""})))
    return chips


def _describe_filter(name: str, query_params: Mapping[str, str], translator: Translator) -> str:
    description = FILTER_DESCRIPTIONS[name](query_params[name], translator)
    # In a list with a state filter, a channel alone selects the channel of a gap.
    has_state_filter = "state" in query_params
    is_alone = not any(map(query_params.get, ("state", "gap", "gap_kind", "reason")))
    if name == "channel" and has_state_filter and is_alone:
        return translator.translate("{channel}: has a problem", channel=description)
    return description


def _describe_level(value: str, translator: Translator) -> str:
    return translator.label("level", value) if value in list_score_levels() else value


def _describe_kind(value: str, translator: Translator) -> str:
    return translator.label("gap_kind", value) if value in GAP_KINDS else value


FILTER_DESCRIPTIONS: Mapping[str, Callable[[str, Translator], str]] = {
    "region": lambda value, translator: translator.region_name(value),
    "tag": lambda value, _translator: value,
    "level": _describe_level,
    "gap": lambda value, translator: translator.gap_title(value, voice=Voice.LABEL),
    "channel": lambda value, translator: translator.channel_name(value),
    "state": lambda value, translator: translator.term("channel_status", value),
    "reason": lambda value, translator: translator.term("cause", value),
    "gap_kind": _describe_kind,
    "q": lambda value, _translator: value,
}
"""Returns the label of a filter's value, by the filter's name."""


def list_score_levels() -> list[str]:
    """Return the levels of the score, the highest first."""
    return [*map(itemgetter(1), LEVEL_THRESHOLDS), "no_data"]


def list_group_choices(context: RequestContext, kind: str) -> FieldChoices:
    """Return the regions or tags (`kind`) in use, sorted by label."""
    counts = context.app.store.counts.get_facet_counts(prefix=f"{kind}:")
    most_frequent = sorted(counts, key=lambda facet: -counts[facet])[:MAX_FIELD_CHOICES]
    names = [facet.partition(":")[2] for facet in most_frequent]
    get_label = context.translator.region_name if kind == "region" else str
    return sorted(zip(names, map(get_label, names), strict=True), key=itemgetter(1))


def list_gap_choices(translator: Translator) -> FieldChoices:
    """Return every kind of gap in the order of the catalogue."""
    gaps = filter(attrgetter("is_gap"), load_gap_catalogue().definitions.values())
    codes = map(attrgetter("code"), sorted(gaps, key=attrgetter("order")))
    return [(code, translator.gap_title(code, voice=Voice.LABEL)) for code in codes]


def list_kind_choices(translator: Translator) -> FieldChoices:
    """Return the kinds of gaps in the order of lists."""
    return [(kind, translator.label("gap_kind", kind)) for kind in GAP_KINDS]


def list_channel_choices(context: RequestContext) -> FieldChoices:
    """Return the audited channels."""
    return [(name, context.translator.channel_name(name)) for name in context.app.config.channels]
