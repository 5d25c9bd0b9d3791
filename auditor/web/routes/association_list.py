"""The grid of associations, and the actions on selected associations."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from typing import Annotated, Any, Literal, cast, get_args

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.core.form_limits import MAX_TAG_CHARS
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.summary import AssociationFilter, get_region_key
from auditor.report_links import can_create_report_links, select_associations
from auditor.users import service
from auditor.views.export import ExportRequest
from auditor.views.grid import load_grid_rows, select_grid_channels
from auditor.web import access, grid_filters, list_filters
from auditor.web.grid_filters import GridChip
from auditor.web.list_filters import FilterChip
from auditor.web.request_context import PageContext, RequestContext, build_page_urls, build_url
from auditor.web.routes.exports import FilterParams, stream_download
from auditor.web.routes.report_links import (
    create_invitation_link,
    require_public_url,
    stream_report_links,
)
from storage.models.audit import AssociationEntry
from storage.models.summaries import AssociationSummary, Page, SummarySort
from storage.models.users import ChangeOrigin
from storage.store import Store

router = APIRouter(route_class=access.AccessRoute)

GRID_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class GridQuery:
    """A page of the grid: its filter, its order, and its cursor."""

    association_filter: AssociationFilter
    order: SummarySort
    after: str

    @property
    def params(self) -> dict[str, str]:
        """Return the query of the address, without the cursor."""
        order = "" if self.order == "urgency" else self.order
        return {**asdict(self.association_filter), "sort": order}

    def load_page(self, store: Store) -> Page[AssociationSummary]:
        """Return the associations of the page."""
        return store.search.list_summaries(
            self.association_filter.facets,
            search_terms=self.association_filter.search_words,
            sort=self.order,
            cursor=self.after or None,
            limit=GRID_PAGE_SIZE,
        )


@router.get("/{language}/associations", dependencies=[access.LOGGED_IN_ACCESS])
def list_associations(
    context: PageContext,
    association_filter: FilterParams,
    sort: Annotated[str, Query()] = "",
    after: Annotated[str, Query()] = "",
    tagged: Annotated[int, Query()] = 0,
) -> HTMLResponse:
    """Show a page of the filtered associations, by default the most urgent first.

    `tagged` is how many associations have just got a tag.
    """
    typed_filter = replace(association_filter, region=get_region_key(association_filter.region))
    known_filter, unknown_values = grid_filters.remove_unknown_values(context, typed_filter)
    order = cast("SummarySort", sort if sort in get_args(SummarySort) else "urgency")
    query = GridQuery(known_filter, order, after)
    store = context.load_fresh_store()
    results = query.load_page(store)
    return context.render_page(
        "associations.html",
        unknown_values=unknown_values,
        results=results,
        tagged_count=tagged,
        can_select=service.is_coordinator(context.user),
        can_create_links=can_create_report_links(context.app.config),
        **_build_grid_values(context, query, results),
    )


def _build_grid_values(
    context: RequestContext, query: GridQuery, results: Page[AssociationSummary]
) -> dict[str, Any]:
    """Return what the template needs of the filters, the columns and the rows."""
    store, association_filter = context.app.store, query.association_filter
    channels = select_grid_channels(context.app.config.channels, association_filter.channel)
    counts = grid_filters.count_facets(context, association_filter, results, channels)
    kind_chips = grid_filters.build_kind_chips(context, association_filter, counts)
    channel_chips = grid_filters.build_channel_chips(context, association_filter, counts, channels)
    can_manage = context.can_manage_association
    return {
        "association_filter": association_filter,
        "sort": query.order,
        "choices": grid_filters.build_filter_choices(context),
        "channels": channels,
        "today": context.now.date(),
        "counts": counts,
        "kind_chips": kind_chips,
        "channel_chips": channel_chips,
        "filter_chips": _list_other_chips(context, query.params, kind_chips, channel_chips),
        "rows": load_grid_rows(store, results.rows, channels, association_filter, can_manage),
        "addresses": _build_addresses(context, query, results, channels),
        "export_links": list_filters.build_export_links(
            context, ("associations", "accounts", "gaps", "coverage"), asdict(association_filter)
        ),
    }


def _list_other_chips(
    context: RequestContext,
    query_params: Mapping[str, str],
    kind_chips: Iterable[GridChip],
    channel_chips: Iterable[GridChip],
) -> list[FilterChip]:
    """Return a chip to remove for each filter that no chosen chip and no field shows."""
    names = ["tag", "level", "gap", "reason"]
    is_chosen = attrgetter("is_chosen")
    if any(map(is_chosen, kind_chips)):
        names.append("channel")
    elif not any(map(is_chosen, channel_chips)):
        names += ["gap_kind", "channel", "state"]
    return list_filters.build_filter_chips(
        context.links.page_url("associations"), query_params, context.translator, names
    )


@dataclass(frozen=True, slots=True)
class GridAddresses:
    """The addresses of the grid with the current filters.

    `sort` has one for each order, `channels` one for each column. `back` is added to the address of
    an association, so that its page can lead back; `back_query` is the same for a form.
    """

    sort: Mapping[str, str]
    channels: Mapping[str, str]
    reset: str
    first: str
    next: str
    back: str
    back_query: str


def _build_addresses(
    context: RequestContext,
    query: GridQuery,
    results: Page[AssociationSummary],
    channels: Iterable[str],
) -> GridAddresses:
    list_url, query_params = context.links.page_url("associations"), query.params
    page_urls = build_page_urls(list_url, query_params, "after", query.after, results.next_cursor)
    back_query = grid_filters.build_back_query({**query_params, "after": query.after})
    sort_urls, channel_urls = {}, {}
    for order in get_args(SummarySort):
        sort_urls[order] = build_url(list_url, replace(query, order=order).params)
    for channel in channels:
        channel_urls[channel] = build_url(list_url, _toggle_channel(query_params, channel))
    return GridAddresses(
        sort=sort_urls,
        channels=channel_urls,
        reset=list_url,
        first=page_urls["first_url"],
        next=page_urls["next_url"],
        back=build_url("", {"back": back_query}),
        back_query=back_query,
    )


def _toggle_channel(query_params: Mapping[str, str], channel: str) -> dict[str, str]:
    """Return the query that selects a channel, or that no longer does."""
    chosen = "" if query_params["channel"] == channel else channel
    return {**query_params, "channel": chosen}


MAX_SELECTED = GRID_PAGE_SIZE
"""Associations that one form can change."""
SelectionAction = Literal["report_links", "export", "tag", "messages"]


class SelectionForm(BaseModel):
    """The selected associations and what to do with them. `back` is the query of the list."""

    model_config = ConfigDict(str_strip_whitespace=True)

    id: Annotated[list[str], Field(max_length=MAX_SELECTED)] = []
    action: SelectionAction
    tag: Annotated[str, Field(max_length=MAX_TAG_CHARS)] = ""
    back: str = ""


@router.post("/{language}/associations", dependencies=[access.COORDINATOR_ACCESS])
def act_on_selection(context: PageContext, form: Annotated[SelectionForm, Form()]) -> Response:
    """Do something with the selected associations that the user manages.

    Without a selection, or without a tag to add, show the list again.
    """
    ids = _list_managed_ids(context, form.id)
    if not ids or (form.action == "tag" and not form.tag):
        return RedirectResponse(_build_list_url(context, form), 303)
    return SELECTION_ACTIONS[form.action](context, ids, form)


def _build_list_url(context: RequestContext, form: SelectionForm, row_id: str = "list") -> str:
    list_url = context.links.page_url("associations")
    return grid_filters.build_back_url(list_url, form.back, row_id)


def _list_managed_ids(context: RequestContext, ids: Iterable[str]) -> list[str]:
    """Return the ids of listed associations. Raises HTTPException (403) if one is not managed."""
    managed_ids = []
    for id_ in dict.fromkeys(ids):
        association = context.app.store.registry.get_association(id_)
        if association is None:
            continue
        if not context.can_manage_association(association):
            raise HTTPException(403)
        managed_ids.append(id_)
    return managed_ids


def _create_links(context: RequestContext, ids: list[str], _form: SelectionForm) -> Response:
    """Create report links as a spreadsheet with the texts to send."""
    require_public_url(context)
    return stream_report_links(context, _load_views(context, ids), "xlsx")


def _load_views(context: RequestContext, ids: list[str]) -> Iterable[AssociationView]:
    return select_associations(context.app, context.now, ids)


def _export(context: RequestContext, ids: list[str], _form: SelectionForm) -> Response:
    """Stream a workbook of the selected associations."""
    export_request = ExportRequest(
        kind="associations",
        format="xlsx",
        translator=context.translator,
        right_to_left=context.translator.direction == "rtl",
        can_see_contact=context.can_manage_association,
        association_ids=tuple(ids),
    )
    return stream_download(export_request, context)


def _add_tag(context: RequestContext, ids: list[str], form: SelectionForm) -> Response:
    """Add a tag to the registry entries, and show the associations that have it."""
    entries = [_with_tag(context, id_, form.tag) for id_ in ids]
    context.app.store.registry.save_registry(
        entries,
        [],
        context.now,
        origin=ChangeOrigin(context.author, "web"),
        is_complete=False,
        present_columns=("id", "name", "tags"),
    )
    query_params = {"tag": form.tag, "tagged": str(len(entries))}
    return RedirectResponse(build_url(context.links.page_url("associations"), query_params), 303)


def _with_tag(context: RequestContext, association: str, tag: str) -> AssociationEntry:
    entry = context.app.store.registry.get_association_entry(association)
    assert entry is not None, "the association is listed"
    tags = tuple(dict.fromkeys((*entry.association.tags, tag)))
    return replace(entry, association=replace(entry.association, tags=tags))


def _show_messages(context: RequestContext, ids: list[str], form: SelectionForm) -> Response:
    """Show the texts to send to the selected associations. Each has a new report link."""
    require_public_url(context)
    views = list(_load_views(context, ids))
    messages = [(view, create_invitation_link(context, view)) for view in views]
    page_context = context.with_path(context.links.page_url("associations"))
    return page_context.render_page(
        "selection_messages.html",
        messages=messages,
        contacts=context.app.store.registry.get_contacts(ids),
        list_url=_build_list_url(context, form),
    )


SELECTION_ACTIONS: Mapping[
    SelectionAction, Callable[[RequestContext, list[str], SelectionForm], Response]
] = {"report_links": _create_links, "export": _export, "tag": _add_tag, "messages": _show_messages}
