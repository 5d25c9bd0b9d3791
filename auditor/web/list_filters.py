"""The filters of lists: form choices, chips, and links that keep a filter."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from operator import attrgetter, itemgetter
from typing import Any
from urllib.parse import parse_qsl

from auditor.conclusions.association_view import REGISTRY
from auditor.conclusions.summary import NO_GAPS, STATUS_GROUPS, AssociationFilter
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.core.reference.survey import format_answer, load_questions
from auditor.presentation.views.export import EXPORT_FORMATS
from auditor.rules.score import LEVEL_THRESHOLDS
from auditor.web.request_context import RequestContext, build_url
from storage.models.audit import GAP_KINDS, GapKind
from storage.models.summaries import ALL_FACET, NETWORK_GROUP, ChannelStatus

FieldChoices = list[tuple[str, str]]
"""The values of a form field, each with its label."""
Chip = dict[str, Any]

BACK_FIELDS = frozenset({*(field.name for field in fields(AssociationFilter)), "sort", "after"})


def build_export_links(
    context: RequestContext, kinds: Iterable[str], query_params: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Return the download addresses for these kinds of rows: kind -> format -> address."""
    links: dict[str, dict[str, str]] = {}
    for kind in kinds:
        path = context.links.page_url(f"exports/{kind}")
        links[kind] = {name: build_url(f"{path}.{name}", query_params) for name in EXPORT_FORMATS}
    return links


def build_filter_chips(
    path: str,
    query_params: Mapping[str, str],
    translator: Translator,
    names: Collection[str] | None = None,
) -> list[Chip]:
    """Return a chip for each active filter, or only for those with these names.

    A chip has the label of the filter and the address of the list without it.
    """
    chips = []
    for name, value in query_params.items():
        if value and name in (FILTER_DESCRIPTIONS if names is None else names):
            label = FILTER_DESCRIPTIONS[name](value, translator)
            # In a list with a state filter, a channel alone selects the channel of a gap.
            is_alone = not any(map(query_params.get, ("state", "gap", "gap_kind", "reason")))
            if name == "channel" and "state" in query_params and is_alone:
                label = translator.translate("{channel}: a problem", channel=label)
            url = build_url(path, {**query_params, name: ""})
            chips.append({"label": label, "url_without_filter": url})
    return chips


def _describe_gap_kind(value: str, translator: Translator) -> str:
    if value in GAP_KINDS:
        return translator.label("gap_kind", value)
    return translator.translate("No problems")


def format_answer_filter(value: str, translator: Translator) -> str:
    """Return the label of a filter by an answer to the survey, such as `training:yes`."""
    question, _, answer = value.partition(":")
    if question not in load_questions():
        return translator.translate("No answer to the survey")
    if answer == REGISTRY:
        answer = translator.translate("only according to the registry")
    heading = translator.term("heading", question)
    return translator.format_pair(heading, format_answer(question, answer, translator.language))


FILTER_DESCRIPTIONS: Mapping[str, Callable[[str, Translator], str]] = {
    "region": lambda value, translator: translator.region_name(value),
    "tag": lambda value, _translator: value,
    "level": lambda value, translator: translator.label("level", value),
    "gap": lambda value, translator: translator.gap_title(value, voice="label"),
    "channel": lambda value, translator: translator.channel_name(value),
    "state": lambda value, translator: translator.term("channel_status", value),
    "reason": lambda value, translator: translator.term("cause", value),
    "gap_kind": _describe_gap_kind,
    "answer": format_answer_filter,
    "q": lambda value, _translator: value,
}
"""Returns the label of a filter's value, by the filter's name."""


def list_group_choices(context: RequestContext, kind: str) -> FieldChoices:
    """Return the regions or tags (`kind`) in use, sorted by label."""
    counts = context.app.store.counts.get_facet_counts(prefix=f"{kind}:")
    names = [facet.partition(":")[2] for facet in counts]
    get_label = context.translator.region_name if kind == "region" else str
    return sorted(((name, get_label(name)) for name in names), key=itemgetter(1))


def list_gap_choices(translator: Translator) -> FieldChoices:
    """Return every kind of gap in the order of the catalogue."""
    gaps = [gap for gap in load_gap_catalogue().definitions.values() if gap.is_gap]
    codes = [gap.code for gap in sorted(gaps, key=attrgetter("order"))]
    return [(code, translator.gap_title(code, voice="label")) for code in codes]


def list_kind_choices(translator: Translator, *others: str) -> FieldChoices:
    """Return the kinds of gaps in the order of lists, and other values of that filter."""
    return [(kind, _describe_gap_kind(kind, translator)) for kind in (*GAP_KINDS, *others)]


def list_channel_choices(context: RequestContext) -> FieldChoices:
    """Return the audited channels."""
    return [(name, context.translator.channel_name(name)) for name in context.app.config.channels]


def build_filter_choices(context: RequestContext) -> dict[str, FieldChoices]:
    """Return the choices of every field of the grid's filter form."""
    translator = context.translator
    levels = [*map(itemgetter(1), LEVEL_THRESHOLDS), "no_data"]
    return {
        "regions": list_group_choices(context, "region"),
        "tags": list_group_choices(context, "tag"),
        "levels": [(level, translator.label("level", level)) for level in levels],
        "gap_codes": list_gap_choices(translator),
        "channels": list_channel_choices(context),
        "kinds": list_kind_choices(translator, NO_GAPS),
        "statuses": [
            (item, translator.term("channel_status", item))
            for item in (*ChannelStatus, *STATUS_GROUPS)
        ],
    }


def count_facets(
    context: RequestContext, association_filter: AssociationFilter
) -> Mapping[str, int] | None:
    """Return the counts of the associations of the region, tag, level and words of a filter.

    Return None if these are many and their counts are not stored.
    """
    counts = context.app.store.counts
    base = replace(association_filter, gap_kind="", gap="", channel="", state="", reason="")
    is_group = not base.search_words and not base.level and not base.answer
    if is_group and len(base.facets) < 2:
        return counts.get_facet_counts(next(iter(base.facets), NETWORK_GROUP))
    return counts.counts_for_small_selection(base.facets, search_terms=base.search_words)


GRID_CHOICES = (
    ("gap_kind", GapKind.BROKEN, ChannelStatus.BROKEN),
    ("gap_kind", GapKind.SILENT, ChannelStatus.SILENT),
    ("state", ChannelStatus.ATTESTED, ChannelStatus.ATTESTED),
    ("state", ChannelStatus.UNKNOWN, ChannelStatus.UNKNOWN),
    ("gap_kind", GapKind.IMPROVE, ""),
    ("gap_kind", GapKind.NO_ACCOUNT, ""),
    ("gap_kind", NO_GAPS, ""),
    ("state", ChannelStatus.NOT_CHECKED, ChannelStatus.NOT_CHECKED),
)
"""The chips of the grid: the name of a filter, its value, and a status as the icon."""


def build_grid_chips(
    context: RequestContext,
    current: AssociationFilter,
    counts: Mapping[str, int] | None,
    channels: Sequence[str],
) -> tuple[list[Chip], list[Chip]]:
    """Return the chips of types of problems and of what is not known, and those of channels.

    The first chip removes the others. One without associations is left out, unless it is chosen.
    A chip of a channel selects the associations without an account on it. `icon` is a status, and
    `count` is None if it is not known. The address of a chosen chip removes its filter. A chip is
    also chosen if only the reason of its status is chosen with it.
    """
    translator, list_url = context.translator, context.links.page_url("associations")

    def build_chip(base: AssociationFilter, label: str, icon: str = "", **choice: str) -> Chip:
        option = replace(base, **choice)
        is_chosen = option == replace(current, reason="")
        # The counts are those of the region, tag, level and words.
        counted = replace(option, region="", tag="", level="", answer="", q="")
        facet = next(iter(counted.facets), ALL_FACET)
        return {
            "label": label[:1].upper() + label[1:],
            "url": build_url(list_url, asdict(base if is_chosen else option)),
            "count": None if counts is None else counts.get(facet, 0),
            "is_chosen": is_chosen,
            "icon": icon,
        }

    base = replace(current, gap_kind="", state="", reason="", gap="")
    without_channel = replace(base, channel="")
    if current.state == ChannelStatus.NONE:
        base = without_channel
    kind_chips = []
    for name, value, icon in GRID_CHOICES:
        label = FILTER_DESCRIPTIONS[name](value, translator)
        start = without_channel if value == NO_GAPS else base
        kind_chips.append(build_chip(start, label, icon, **{name: value}))
    channel_chips = []
    for channel in channels:
        name = translator.channel_name(channel)
        label = translator.translate("No known {channel}", channel=name)
        chip = build_chip(without_channel, label, channel=channel, state=ChannelStatus.NONE)
        channel_chips.append(chip)
    all_chip = build_chip(base, translator.translate("All"))
    kind_chips = [chip for chip in kind_chips if chip["count"] != 0 or chip["is_chosen"]]
    channel_chips = [chip for chip in channel_chips if chip["count"] != 0 or chip["is_chosen"]]
    return [all_chip, *kind_chips], channel_chips


def parse_back_filter(back: str) -> AssociationFilter:
    """Return the filter of the list whose query is `back`."""
    query_params = dict(parse_qsl(back))
    names = (field.name for field in fields(AssociationFilter))
    return AssociationFilter(**{name: query_params.get(name, "") for name in names})


def build_back_url(list_url: str, back: str, row_id: str) -> str:
    """Return the address of a row in the list whose query is `back`.

    The query comes from an address. Only parameters of the list are kept, and the path is ours.
    """
    query_params = {name: value for name, value in parse_qsl(back) if name in BACK_FIELDS}
    return f"{build_url(list_url, query_params)}#{row_id}"
