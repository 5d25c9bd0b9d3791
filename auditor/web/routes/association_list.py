"""The grid of associations, and the actions on selected associations."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Annotated, Literal, cast, get_args

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.core.form_limits import MAX_TAG_CHARS
from auditor.evaluation.summary import get_region_key
from auditor.report_links import can_create_report_links, select_associations
from auditor.users import service
from auditor.views.export import ExportRequest
from auditor.views.grid import load_grid_rows, select_grid_channels
from auditor.web import access, list_filters
from auditor.web.list_filters import Chip
from auditor.web.request_context import PageContext, RequestContext, build_page_urls, build_url
from auditor.web.routes.exports import FilterParams, stream_download
from auditor.web.routes.report_links import (
    create_invitation_link,
    require_public_url,
    stream_report_links,
)
from storage.models.summaries import SummarySort
from storage.models.users import ChangeOrigin

router = APIRouter(route_class=access.AccessRoute)

GRID_PAGE_SIZE = 100


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
    known_filter, unknown_values = list_filters.remove_unknown_values(context, typed_filter)
    order = cast("SummarySort", sort if sort in get_args(SummarySort) else "urgency")
    store, list_url = context.load_fresh_store(), context.links.page_url("associations")
    results = store.search.list_summaries(
        known_filter.facets,
        search_terms=known_filter.search_words,
        sort=order,
        cursor=after,
        limit=GRID_PAGE_SIZE,
    )
    channels = select_grid_channels(context.app.config.channels, known_filter.channel)
    counts = list_filters.count_facets(context, known_filter, results)
    chips = list_filters.build_grid_chips(context, known_filter, counts, channels)
    filter_params = asdict(known_filter)
    query_params = {**filter_params, "sort": "" if order == "urgency" else order}
    back_query = build_url("", {**query_params, "after": after}).removeprefix("?")
    channel_urls = {}
    for channel in channels:  # a head selects its channel, or no longer does
        chosen = "" if known_filter.channel == channel else channel
        channel_urls[channel] = build_url(list_url, {**query_params, "channel": chosen})
    addresses = {
        "sort": {
            name: build_url(list_url, {**filter_params, "sort": "" if name == "urgency" else name})
            for name in get_args(SummarySort)
        },
        "channels": channel_urls,
        "reset": list_url,
        "back": build_url("", {"back": back_query}),  # the page of an association can lead back
        "back_query": back_query,
        **build_page_urls(list_url, query_params, "after", after, results.next_cursor),
    }
    return context.render_page(
        "associations.html",
        unknown_values=unknown_values,
        results=results,
        tagged_count=tagged,
        can_select=service.is_coordinator(context.user),
        can_create_links=can_create_report_links(context.app.config),
        association_filter=known_filter,
        sort=order,
        choices=list_filters.build_filter_choices(context),
        channels=channels,
        today=context.now.date(),
        counts=counts,
        kind_chips=chips[0],
        channel_chips=chips[1],
        filter_chips=_list_other_chips(context, query_params, *chips),
        rows=load_grid_rows(
            store, results.rows, channels, known_filter, context.can_manage_association
        ),
        addresses=addresses,
        export_links=list_filters.build_export_links(
            context, ("associations", "accounts", "gaps", "coverage"), filter_params
        ),
    )


def _list_other_chips(
    context: RequestContext,
    query_params: Mapping[str, str],
    kind_chips: Iterable[Chip],
    channel_chips: Iterable[Chip],
) -> list[Chip]:
    """Return a chip to remove for each filter that no chosen chip and no field shows."""
    names = ["tag", "level", "gap", "reason"]
    if any(chip["is_chosen"] for chip in kind_chips):
        names.append("channel")
    elif not any(chip["is_chosen"] for chip in channel_chips):
        names += ["gap_kind", "channel", "state"]
    return list_filters.build_filter_chips(
        context.links.page_url("associations"), query_params, context.translator, names
    )


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


def _build_list_url(context: RequestContext, form: SelectionForm) -> str:
    list_url = context.links.page_url("associations")
    return list_filters.build_back_url(list_url, form.back, "list")


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
    views = select_associations(context.app, context.now, ids)
    return stream_report_links(context, views, "xlsx")


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
    registry, entries = context.app.store.registry, []
    for entry in map(registry.get_association_entry, ids):
        assert entry is not None, "the association is listed"
        tags = tuple(dict.fromkeys((*entry.association.tags, form.tag)))
        entries.append(replace(entry, association=replace(entry.association, tags=tags)))
    registry.save_registry(
        entries,
        [],
        context.now,
        origin=ChangeOrigin(context.author, "web"),
        is_complete=False,
        present_columns=("id", "name", "tags"),
    )
    query_params = {"tag": form.tag, "tagged": str(len(entries))}
    return RedirectResponse(build_url(context.links.page_url("associations"), query_params), 303)


def _show_messages(context: RequestContext, ids: list[str], form: SelectionForm) -> Response:
    """Show the texts to send to the selected associations. Each has a new report link."""
    require_public_url(context)
    views = list(select_associations(context.app, context.now, ids))
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
