"""The lists of open and of changed gaps, the pack to print for a meeting, and all downloads."""

from collections import Counter, defaultdict
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from pydantic import BeforeValidator, Field

from auditor.conclusions.network_view import find_change_period
from auditor.conclusions.summary import AssociationFilter, get_region_key
from auditor.core.form_limits import MAX_SEARCH_CHARS
from auditor.core.i18n.catalogs import gettext_noop
from auditor.core.reference.gap_catalogue import find_gap_kind
from auditor.core.rendering import svg
from auditor.presentation import report_links
from auditor.presentation.views import export
from auditor.presentation.views.calendar import DOMAIN_GAP
from auditor.presentation.views.calls import MAX_CALLS, build_meeting_pack, count_gap_titles
from auditor.presentation.views.export import EXPORT_KINDS, MEDIA_TYPES, ExportFormat, ExportRequest
from auditor.web import access, list_filters
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    build_download_headers,
    build_page_urls,
    build_url,
    parse_day,
)
from auditor.web.routes.report_links import require_public_url
from auditor.web.routes.runs import RESULTS_REQUIRED
from probes.text.charset import clean_text
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
    filters = {"gap": gap, "channel": channel, "gap_kind": gap_kind}
    filters["region"] = get_region_key(region)
    store = context.load_fresh_store()
    results = store.gap_search.list_visible_gaps(
        code=gap,
        channel=channel,
        kind=gap_kind,
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
        kind = find_gap_kind(code, channel)
        if separator and kind:
            query_params = {"gap": code, "channel": channel, "region": region}
            gap_count = {
                "title": context.translator.gap_title(code, channel, "label"),
                "association_count": association_count,
                "url": build_url(context.links.page_url("gaps"), query_params),
            }
            by_kind[kind].append(gap_count)
    return [(kind, by_kind[kind]) for kind in GAP_KINDS if kind in by_kind]


QUICK_RANGE_DAYS = (7, 30)
"""The page has a link for each of these numbers of days, today included. The first is shown."""
MAX_LISTED_CHANGES = 200
"""The page lists at most so many opened and so many closed gaps."""


@router.get("/{language}/changes", dependencies=[access.LOGGED_IN_ACCESS, RESULTS_REQUIRED])
def list_changes(context: PageContext, since: TextParam = "") -> HTMLResponse:
    """Show the gaps that opened and closed since a day, by default in the last seven days.

    A day in the future counts as today.
    """
    today, store = context.now.date(), context.load_fresh_store()
    quick_ranges = [(days, today - timedelta(days=days - 1)) for days in QUICK_RANGE_DAYS]
    day = min(parse_day(since) or quick_ranges[0][1], today)
    first_day, start, first_run_day = find_change_period(store, day)
    opened, closed = (
        store.gap_search.list_gap_changes(start, kind, limit=MAX_LISTED_CHANGES)
        for kind in get_args(GapChangeKind)
    )
    counts = Counter[str]()
    for (_, change_kind), gap_counts in store.counts.count_gap_changes(first_day).items():
        counts[change_kind] += sum(gap_counts.values())
    latest_run = store.runs.get_latest_evaluated()
    return context.render_page(
        "changes.html",
        since=first_day,
        first_run_day=first_run_day,
        requested_day=day,
        today=today,
        quick_ranges=quick_ranges,
        latest_run_day=latest_run.day if latest_run else None,
        opened=opened,
        closed=closed,
        opened_count=counts["opened"],
        closed_count=counts["closed"],
        is_truncated=MAX_LISTED_CHANGES in map(len, (opened, closed)),
        has_comparison=start <= context.now,
        export_links=list_filters.build_export_links(
            context, ("changes",), {"since": first_day.isoformat()}
        ),
    )


def parse_filter(association_filter: Annotated[AssociationFilter, Depends()]) -> AssociationFilter:
    """Return the filter of a query. Raises HTTPException (422) if too much is searched for."""
    if len(association_filter.q) > MAX_SEARCH_CHARS:
        raise HTTPException(422)
    return replace(association_filter, q=clean_text(association_filter.q))


FilterParams = Annotated[AssociationFilter, Depends(parse_filter)]
"""The query parameters of a list: the fields of the filter."""
SinceParam = Annotated[date | None, BeforeValidator(lambda day: day or None), Query()]
"""A date; an empty field is None."""


@router.get("/{language}/exports/{kind}.{file_format}", dependencies=[access.LOGGED_IN_ACCESS])
def download_export(
    context: PageContext,
    kind: str,
    file_format: ExportFormat,
    association_filter: FilterParams,
    *,
    since: SinceParam = None,
) -> StreamingResponse:
    """Stream the rows of one kind."""
    if kind not in EXPORT_KINDS:
        raise HTTPException(404)
    start = datetime.combine(since, time(), UTC) if since else None  # as days of runs
    return stream_download(
        context, kind, file_format, association_filter=association_filter, since=start
    )


def stream_download(
    context: RequestContext, kind: str, file_format: ExportFormat, **options: Any
) -> StreamingResponse:
    """Return the response that builds an export while it is sent; see `ExportRequest`.

    The file has a dated name, in ASCII and in the page's language.
    """
    export_request = ExportRequest(
        kind=kind,
        format=file_format,
        translator=context.translator,
        can_see_contact=context.can_manage_association,
        **options,
    )
    title = context.translator.term("export", kind)
    return StreamingResponse(
        export.stream_export(export_request, context.app, context.now),
        media_type=MEDIA_TYPES[export_request.format],
        headers=build_download_headers(
            f"{kind}-{context.day}", f"{title}-{context.day}", file_format
        ),
    )


CALL_LIMIT_CHOICES = (10, 25, MAX_CALLS)
"""How many calls a pack lists; ten fit on one sheet of paper."""
SHOWN_GAP_KINDS = 4
"""The pack shows the most frequent kinds of opened and of closed gaps; a printed page has no more
room."""
CallLimit = Annotated[int, Field(ge=1, le=MAX_CALLS)]


@router.get("/{language}/meeting", dependencies=[access.LOGGED_IN_ACCESS, RESULTS_REQUIRED])
def show_meeting_pack(
    context: PageContext,
    association_filter: FilterParams,
    since: SinceParam = None,
    call_limit: Annotated[CallLimit, Query()] = CALL_LIMIT_CHOICES[0],
) -> HTMLResponse:
    """Show the meeting pack, by default of the last thirty days."""
    day = _choose_first_day(context, since)
    pack = _build_pack(context, association_filter, day, call_limit)
    report_urls = context.confirmation.values.get("report_urls", {}) if context.confirmation else {}
    filter_params = asdict(association_filter)
    query_params = {**filter_params, "since": day.isoformat()}
    list_url, pack_url = context.links.page_url("associations"), context.links.page_url("meeting")
    return context.render_page(
        "meeting.html",
        pack=pack,
        kind_urls={
            kind: build_url(list_url, {**filter_params, "gap_kind": kind}) for kind in GAP_KINDS
        },
        has_comparison=pack["since"] <= context.now,
        qr_codes={id_: svg.render_qr_code(url) for id_, url in report_urls.items()},
        manageable_ids=pack["manageable_ids"],
        filters={**query_params, "region": get_region_key(association_filter.region)},
        since=pack["since"],
        region_choices=list_filters.list_group_choices(context, "region"),
        tag_choices=list_filters.list_group_choices(context, "tag"),
        qr_codes_url=build_url(pack_url, {**query_params, "call_limit": str(call_limit)}),
        workbook_url=build_url(f"{pack_url}.xlsx", query_params),
        count_gap_titles=count_gap_titles,
        call_limit=call_limit,
        call_limit_choices=CALL_LIMIT_CHOICES,
        shown_kinds_count=SHOWN_GAP_KINDS,
    )


def _build_pack(
    context: RequestContext, association_filter: AssociationFilter, day: date, call_limit: int
) -> dict[str, Any]:
    """Return the pack since a day, and which of its associations the user manages."""
    store, config = context.app.store, context.app.config
    _, since, _ = find_change_period(store, day)
    pack = build_meeting_pack(
        store, config, association_filter, since, context.now, limit=call_limit
    )
    called = [call.summary for call in pack["calls"]]
    manageable_ids = {item.id for item in called if context.can_manage_association(item)}
    return {**pack, "since": since, "manageable_ids": manageable_ids}


@router.post("/{language}/meeting", dependencies=[access.COORDINATOR_ACCESS])
def show_meeting_pack_with_qr_codes(
    context: PageContext,
    association_filter: FilterParams,
    since: SinceParam = None,
    call_limit: Annotated[CallLimit, Query()] = CALL_LIMIT_CHOICES[0],
) -> RedirectResponse:
    """Create a report link for each listed association, and show the pack with QR codes.

    Raises HTTPException (422) if no public address is configured; the page says so beforehand.
    """
    app, links = context.app, context.app.store.report_links
    require_public_url(context)
    pack = _build_pack(context, association_filter, _choose_first_day(context, since), call_limit)
    created = [
        report_links.create_report_link(app.store, app.config, id_, context.author, context.now)
        for id_ in pack["manageable_ids"]
    ]
    link_ids = [link.id for link, _ in created]
    return context.confirm(
        f"{context.links.page_url('meeting')}?{urlsplit(context.path).query}",
        gettext_noop("Each code opens one association’s report. Print this page."),
        lambda now: links.revoke_links(link_ids, context.author, now),
        values={"report_urls": {link.association: url for link, url in created}},
    )


@router.get("/{language}/meeting.xlsx", dependencies=[access.LOGGED_IN_ACCESS])
def download_meeting_workbook(
    context: PageContext, association_filter: FilterParams, since: SinceParam = None
) -> StreamingResponse:
    """Stream the pack as a workbook of three sheets, with all calls."""
    _, start, _ = find_change_period(context.app.store, _choose_first_day(context, since))
    return stream_download(
        context, "meeting", "xlsx", association_filter=association_filter, since=start
    )


def _choose_first_day(context: RequestContext, since: date | None) -> date:
    """Return the given or the default day. A day in the future is today."""
    today = context.now.date()
    # the period of a pack if no day is given. Meetings are usually monthly.
    return min(since or today - timedelta(days=30), today)
