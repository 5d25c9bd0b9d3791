"""The filters of the grid of associations: choices and chips with counts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from urllib.parse import parse_qsl

from auditor.evaluation.summary import NO_GAPS, AssociationFilter
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.web import list_filters
from auditor.web.list_filters import FieldChoices
from auditor.web.request_context import RequestContext, build_url
from storage.models.audit import GAP_KINDS, GapKind
from storage.models.summaries import (
    ALL_FACET,
    NETWORK_GROUP,
    AssociationSummary,
    ChannelStatus,
    Page,
)
from storage.read_model.counts import MAX_SMALL_SELECTION

CountByFacet = Mapping[str, int]
"""How many of the associations of a region, tag or search have each facet."""


@dataclass(frozen=True, slots=True)
class AssociationFilterChoices:
    """The choices of the grid's filter form."""

    regions: FieldChoices
    tags: FieldChoices
    levels: FieldChoices
    gap_codes: FieldChoices
    channels: FieldChoices
    kinds: FieldChoices
    statuses: FieldChoices


def build_filter_choices(context: RequestContext) -> AssociationFilterChoices:
    """Return the choices of every field."""
    translator, levels = context.translator, list_filters.list_score_levels()
    no_problems = (NO_GAPS, translator.translate("No problems"))
    return AssociationFilterChoices(
        regions=list_filters.list_group_choices(context, "region"),
        tags=list_filters.list_group_choices(context, "tag"),
        levels=[(level, translator.label("level", level)) for level in levels],
        gap_codes=list_filters.list_gap_choices(translator),
        channels=list_filters.list_channel_choices(context),
        kinds=[*list_filters.list_kind_choices(translator), no_problems],
        statuses=[(status, translator.term("channel_status", status)) for status in ChannelStatus],
    )


@dataclass(frozen=True, slots=True)
class UnknownValue:
    """A filter in the address whose value does not exist."""

    field: str
    value: str


def remove_unknown_values(
    context: RequestContext, association_filter: AssociationFilter
) -> tuple[AssociationFilter, list[UnknownValue]]:
    """Return the filter without values that do not exist, and these values."""
    known_values = {
        "level": list_filters.list_score_levels(),
        "gap_kind": [*GAP_KINDS, NO_GAPS],
        "gap": load_gap_catalogue().definitions,
        "channel": context.app.config.channels,
        "state": [*ChannelStatus],
    }
    unknown_values = []
    for name, known in known_values.items():
        value = getattr(association_filter, name)
        if value and value not in known:
            unknown_values.append(UnknownValue(name, value))
            association_filter = replace(association_filter, **{name: ""})
    return association_filter, unknown_values


def count_facets(
    context: RequestContext,
    association_filter: AssociationFilter,
    results: Page[AssociationSummary],
    channels: Sequence[str],
) -> CountByFacet | None:
    """Return the counts of the associations of the region, tag, level and words of a filter.

    Return None if these are many and their counts are not stored. `results` are the associations
    that match the whole filter: if already these are many, nothing is counted.
    """
    store = context.app.store
    base = replace(association_filter, gap_kind="", gap="", channel="", state="", reason="")
    if not base.search_words and not base.level and len(base.facets) < 2:
        group = next(iter(base.facets), NETWORK_GROUP)
        facets = list(_iter_chip_facets(channels))
        return store.counts.get_facet_counts_by_group([group], facets)[group]
    if not results.is_exact or results.count > MAX_SMALL_SELECTION:
        return None
    return store.counts.counts_for_small_selection(base.facets, search_terms=base.search_words)


def _iter_chip_facets(channels: Iterable[str]) -> Iterator[str]:
    """Yield the facets whose counts chips and heads of columns show."""
    yield ALL_FACET
    yield "no_gaps"
    for kind in GAP_KINDS:
        yield f"kind:{kind}"
    for status in ChannelStatus:
        yield f"any:{status}"
    for channel in channels:
        yield f"gap_channel:{channel}"
        for kind in GAP_KINDS:
            yield f"kind:{kind}@{channel}"
        for status in ChannelStatus:
            yield f"status:{channel}:{status}"


@dataclass(frozen=True, slots=True)
class GridChip:
    """A filter with its number of associations, which is None if it is not known.

    `icon` is a status. The address of a chosen chip removes its filter.
    """

    label: str
    url: str
    count: int | None
    is_chosen: bool = False
    icon: str = ""


KIND_ICONS = {GapKind.BROKEN: ChannelStatus.BROKEN, GapKind.SILENT: ChannelStatus.SILENT}


def build_kind_chips(
    context: RequestContext, association_filter: AssociationFilter, counts: CountByFacet | None
) -> list[GridChip]:
    """Return the chips of types of problems and of what is not known.

    The first one removes them. One without associations is left out, unless it is chosen.
    """
    base = replace(association_filter, gap_kind="", state="", reason="", gap="")
    if association_filter.state == ChannelStatus.NONE:
        base = replace(base, channel="")
    builder = _ChipBuilder(context, association_filter, base, counts)
    all_chip = builder.build_chip(base, context.translator.translate("All"))
    return [all_chip, *builder.iter_useful_chips(_iter_kind_options(context, base))]


def _iter_kind_options(
    context: RequestContext, base: AssociationFilter
) -> Iterator[tuple[AssociationFilter, str, str]]:
    translator = context.translator
    for kind in (GapKind.BROKEN, GapKind.SILENT):
        yield replace(base, gap_kind=kind), translator.label("gap_kind", kind), KIND_ICONS[kind]
    status = ChannelStatus.UNKNOWN
    yield replace(base, state=status), translator.term("channel_status", status), status
    for kind in (GapKind.IMPROVE, GapKind.NO_ACCOUNT):
        yield replace(base, gap_kind=kind), translator.label("gap_kind", kind), ""
    without_channel = replace(base, channel="")
    yield replace(without_channel, gap_kind=NO_GAPS), translator.translate("No problems"), ""
    status = ChannelStatus.NOT_CHECKED
    yield replace(base, state=status), translator.term("channel_status", status), status


def build_channel_chips(
    context: RequestContext,
    association_filter: AssociationFilter,
    counts: CountByFacet | None,
    channels: Sequence[str],
) -> list[GridChip]:
    """Return a chip for the associations without an account on each of these channels."""
    base = replace(association_filter, channel="", state="", reason="", gap_kind="", gap="")
    builder = _ChipBuilder(context, association_filter, base, counts)
    translator = context.translator
    options = []
    for channel in channels:
        label = translator.translate("No {channel}", channel=translator.channel_name(channel))
        option = replace(base, channel=channel, state=ChannelStatus.NONE)
        options.append((option, label, ""))
    return list(builder.iter_useful_chips(options))


@dataclass(frozen=True, slots=True)
class _ChipBuilder:
    """Builds chips next to the current filter; `base` is the filter without them.

    A chip is also chosen if only the reason of its status is chosen with it.
    """

    context: RequestContext
    current: AssociationFilter
    base: AssociationFilter
    counts: CountByFacet | None

    def iter_useful_chips(
        self, options: Iterable[tuple[AssociationFilter, str, str]]
    ) -> Iterator[GridChip]:
        """Yield the chips of filters that are chosen, or that select associations."""
        for option in options:
            chip = self.build_chip(*option)
            if chip.count != 0 or chip.is_chosen:
                yield chip

    def build_chip(self, option: AssociationFilter, label: str, icon: str = "") -> GridChip:
        """Return the chip that selects a filter, or that removes it if it is the current one."""
        is_chosen = option == replace(self.current, reason="")
        count = None
        if self.counts is not None:
            count = self.counts.get(_get_chip_facet(option), 0)
        url = self.build_url(self.base if is_chosen else option)
        return GridChip(label[:1].upper() + label[1:], url, count, is_chosen, icon)

    def build_url(self, association_filter: AssociationFilter) -> str:
        """Return the address of the grid with a filter."""
        return build_url(self.context.links.page_url("associations"), asdict(association_filter))


def _get_chip_facet(option: AssociationFilter) -> str:
    """Return the facet of a chip, without those of region, tag, level and words."""
    chip_filter = AssociationFilter(
        gap_kind=option.gap_kind, channel=option.channel, state=option.state
    )
    return next(iter(chip_filter.facets), ALL_FACET)


BACK_FIELDS = frozenset({*(field.name for field in fields(AssociationFilter)), "sort", "after"})


def build_back_query(query_params: Mapping[str, str]) -> str:
    """Return the query of a list with which the page of an association can lead back."""
    return build_url("", query_params).removeprefix("?")


def build_back_url(list_url: str, back: str, row_id: str) -> str:
    """Return the address of a list and a row from the query that `build_back_query` made.

    The query comes from an address. Only parameters of the list are kept, and the path is ours.
    """
    query_params = {name: value for name, value in parse_qsl(back) if name in BACK_FIELDS}
    return f"{build_url(list_url, query_params)}#{row_id}"
