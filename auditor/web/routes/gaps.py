"""The list of open gaps, and the page of gaps that opened or closed since a day."""

from collections import defaultdict
from datetime import timedelta
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Cookie, HTTPException, Query
from fastapi.responses import HTMLResponse

from auditor.evaluation.summary import AssociationFilter, get_region_key
from auditor.reference.gap_catalogue import Voice, load_gap_catalogue
from auditor.users import service
from auditor.views.domain_calendar import DOMAIN_GAP
from auditor.views.groups import find_change_period
from auditor.web import access, list_filters
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    build_page_urls,
    build_url,
    parse_day,
)
from auditor.web.routes.login import YEAR_SECONDS
from auditor.web.routes.runs import RESULTS_REQUIRED
from storage.models.audit import GAP_KINDS, GapKind
from storage.models.summaries import NETWORK_GROUP, GapSort
from storage.read_model.gap_search import GapChangeKind

router = APIRouter(route_class=access.AccessRoute)

TextParam = Annotated[str, Query()]


@router.get("/{language}/gaps", dependencies=[access.LOGGED_IN_ACCESS, RESULTS_REQUIRED])
def list_gaps(
    context: PageContext,
    *,
    gap: TextParam = "",
    channel: TextParam = "",
    gap_kind: TextParam = "",
    region: TextParam = "",
    sort: TextParam = "",
    after: TextParam = "",
) -> HTMLResponse:
    """Show a page of the filtered gaps, and how many associations have each gap."""
    order: GapSort = "newest" if sort == "newest" else "kind"
    typed_filter = AssociationFilter(gap=gap, channel=channel, gap_kind=gap_kind, region=region)
    known_filter, unknown_values = list_filters.remove_unknown_values(context, typed_filter)
    filters = {
        "gap": known_filter.gap,
        "channel": known_filter.channel,
        "gap_kind": known_filter.gap_kind,
        "region": get_region_key(region),
    }
    store = context.load_fresh_store()
    results = store.gap_search.list_visible_gaps(
        code=filters["gap"],
        channel=filters["channel"],
        kind=filters["gap_kind"],
        region=filters["region"],
        sort=order,
        cursor=after or None,
    )
    list_url, translator = context.links.page_url("gaps"), context.translator
    query_params = {**filters, "sort": "" if order == "kind" else order}
    page_urls = build_page_urls(list_url, query_params, "after", after, results.next_cursor)
    return context.render_page(
        "gaps.html",
        filters=filters,
        unknown_values=unknown_values,
        gap_choices=list_filters.list_gap_choices(translator),
        channel_choices=list_filters.list_channel_choices(context),
        kind_choices=list_filters.list_kind_choices(translator),
        region_choices=list_filters.list_group_choices(context, "region"),
        results=results,
        gap_counts_by_kind=_count_gaps_by_kind(context, filters["region"]),
        sort=order,
        sort_orders=[
            ("kind", translator.translate("broken first")),
            ("newest", translator.translate("newest first")),
        ],
        has_expiring_domains=bool(store.counts.get_facet_counts(prefix=f"gap:{DOMAIN_GAP}@")),
        chips=list_filters.build_filter_chips(list_url, query_params, translator),
        **page_urls,
        export_links=list_filters.build_export_links(
            context, ("gaps",), {**filters, "gap_kind": ""}
        ),
    )


def _count_gaps_by_kind(
    context: RequestContext, region: str
) -> list[tuple[GapKind, list[dict[str, Any]]]]:
    """Return each open gap on each channel by kind, in a region or in the whole network.

    The most frequent are first, each with its number of associations and the address of its list.
    """
    group = f"region:{region}" if region else NETWORK_GROUP
    counts = context.app.store.counts.get_facet_counts(group, "gap:")
    by_kind: dict[GapKind, list[dict[str, Any]]] = defaultdict(list)
    for facet, association_count in sorted(counts.items(), key=lambda item: -item[1]):
        code, separator, channel = facet.removeprefix("gap:").partition("@")
        definition = load_gap_catalogue().definitions.get(code)
        if separator and definition:
            query_params = {"gap": code, "channel": channel, "region": region}
            gap_count = {
                "title": context.translator.gap_title(code, channel, Voice.LABEL),
                "association_count": association_count,
                "url": build_url(context.links.page_url("gaps"), query_params),
            }
            by_kind[definition.get_kind(channel, definition.get_severity(channel))].append(
                gap_count
            )
    return [(kind, by_kind[kind]) for kind in GAP_KINDS if kind in by_kind]


QUICK_RANGE_DAYS = (7, 30)
"""The page has a link for each of these numbers of days, today included. The first is shown."""
MAX_LISTED_CHANGES = 200
"""The page lists at most so many opened and so many closed gaps."""
LAST_MEETING_COOKIE = "last_meeting_day"


@router.get("/{language}/changes", dependencies=[access.LOGGED_IN_ACCESS, RESULTS_REQUIRED])
def list_changes(
    context: PageContext,
    since: Annotated[str, Query()] = "",
    save_meeting_day: Annotated[bool, Query()] = False,
    saved_meeting_day: Annotated[str, Cookie(alias=LAST_MEETING_COOKIE)] = "",
) -> HTMLResponse:
    """Show the gaps that opened and closed since a day, by default in the last seven days.

    A day in the future counts as today. Only coordinators of all regions can save the day as that
    of the last meeting (403).
    """
    today, store = context.now.date(), context.load_fresh_store()
    quick_ranges = [(days, today - timedelta(days=days - 1)) for days in QUICK_RANGE_DAYS]
    day = min(parse_day(since) or quick_ranges[0][1], today)
    can_save_meeting_day = service.can_edit_all_regions(context.user)
    if save_meeting_day and not can_save_meeting_day:
        raise HTTPException(403)
    first_day, start, first_run_day = find_change_period(store, day)
    opened, closed = (
        store.gap_search.list_gap_changes(start, kind, limit=MAX_LISTED_CHANGES)
        for kind in get_args(GapChangeKind)
    )
    latest_run = store.runs.get_latest_evaluated()
    response = context.render_page(
        "changes.html",
        since=first_day,
        first_run_day=first_run_day,
        requested_day=day,
        today=today,
        quick_ranges=quick_ranges,
        latest_run_day=latest_run.day if latest_run else None,
        last_meeting_day=day if save_meeting_day else parse_day(saved_meeting_day),
        opened=opened,
        closed=closed,
        is_truncated=any(page.count > len(page.rows) for page in (opened, closed)),
        has_comparison=start <= context.now,
        can_save_meeting_day=can_save_meeting_day,
        export_links=list_filters.build_export_links(
            context, ("changes",), {"since": first_day.isoformat()}
        ),
    )
    if save_meeting_day:
        response.set_cookie(
            LAST_MEETING_COOKIE,
            day.isoformat(),
            max_age=YEAR_SECONDS,
            httponly=True,
            samesite="lax",
        )
    return response
