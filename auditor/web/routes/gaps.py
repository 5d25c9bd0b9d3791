"""The list of open gaps, and the page of gaps that opened or closed since a day."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Cookie, HTTPException, Query
from fastapi.responses import HTMLResponse

from auditor.evaluation.summary import AssociationFilter, get_region_key
from auditor.reference.gap_catalogue import Voice, load_gap_catalogue
from auditor.users import service
from auditor.views.changes import ChangePeriod, find_change_period
from auditor.views.domain_calendar import DOMAIN_GAP
from auditor.web import access, grid_filters, list_filters
from auditor.web.request_context import PageContext, RequestContext, build_page_urls, build_url
from auditor.web.routes.check_now import RESULTS_REQUIRED
from auditor.web.routes.login import YEAR_SECONDS
from storage.models.audit import GAP_KINDS, GapKind
from storage.models.summaries import GapPage, GapSort

router = APIRouter(route_class=access.AccessRoute)

TextParam = Annotated[str, Query()]


@dataclass(frozen=True, slots=True)
class GapCount:
    """The number of associations with a gap, and the address of their list."""

    kind: GapKind
    title: str
    association_count: int
    url: str


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
    known_filter, unknown_values = grid_filters.remove_unknown_values(context, typed_filter)
    filters = {
        "gap": known_filter.gap,
        "channel": known_filter.channel,
        "gap_kind": known_filter.gap_kind,
        "region": get_region_key(region),
    }
    results = context.load_fresh_store().gap_search.list_visible_gaps(
        code=filters["gap"] or None,
        channel=filters["channel"] or None,
        kind=filters["gap_kind"] or None,
        region=filters["region"] or None,
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
        gap_counts_by_kind=_group_by_kind(_count_gaps(context, filters["region"])),
        sort=order,
        sort_orders=[
            ("kind", translator.translate("broken first")),
            ("newest", translator.translate("newest first")),
        ],
        has_expiring_domains=_has_expiring_domains(context),
        chips=list_filters.build_filter_chips(list_url, query_params, translator),
        **page_urls,
        export_links=list_filters.build_export_links(
            context, ("gaps",), {**filters, "gap_kind": ""}
        ),
    )


def _has_expiring_domains(context: RequestContext) -> bool:
    """Return True if an association must renew a domain, whatever the filters and the page."""
    return bool(context.load_fresh_store().counts.get_facet_counts("", f"gap:{DOMAIN_GAP}@"))


def _count_gaps(context: RequestContext, region: str) -> Iterator[GapCount]:
    """Yield each open gap on each channel, in a region or in the whole network."""
    group = f"region:{region}" if region else ""
    counts = context.load_fresh_store().counts.get_facet_counts(group, "gap:")
    for facet, association_count in counts.items():
        code, separator, channel = facet.removeprefix("gap:").partition("@")
        definition = load_gap_catalogue().definitions.get(code)
        if separator and definition:
            kind = definition.get_kind(channel, definition.get_severity(channel))
            title = context.translator.gap_title(code, channel, Voice.LABEL)
            query_params = {"gap": code, "channel": channel, "region": region}
            url = build_url(context.links.page_url("gaps"), query_params)
            yield GapCount(kind, title, association_count, url)


def _group_by_kind(gap_counts: Iterable[GapCount]) -> list[tuple[GapKind, list[GapCount]]]:
    """Return the kinds in the order of lists, each with its gaps, the most frequent first."""
    by_kind: dict[GapKind, list[GapCount]] = defaultdict(list)
    for gap_count in sorted(gap_counts, key=lambda gap_count: -gap_count.association_count):
        by_kind[gap_count.kind].append(gap_count)
    return sorted(by_kind.items(), key=lambda item: GAP_KINDS.index(item[0]))


QUICK_RANGE_DAYS = (7, 30)
"""The page has a link for each of these numbers of days, today included. The first is shown."""
MAX_LISTED_CHANGES = 200
"""The page lists at most so many opened and so many closed gaps."""
LAST_MEETING_COOKIE = "last_meeting_day"


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """The gaps that opened and closed since a day, the first of the list if there are too many."""

    requested_day: date
    period: ChangePeriod
    today: date
    latest_run_day: date | None
    last_meeting_day: date | None
    opened: GapPage
    closed: GapPage

    @property
    def since(self) -> date:
        """Return the first day."""
        return self.period.since

    @property
    def is_truncated(self) -> bool:
        """True if not all changes are listed."""
        return any(page.count > len(page.rows) for page in (self.opened, self.closed))

    @property
    def quick_ranges(self) -> list[tuple[int, date]]:
        """Numbers of days, each with its first day."""
        return [(days, _get_first_day(self.today, days)) for days in QUICK_RANGE_DAYS]


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
    today = context.now.date()
    day = min(parse_day(since) or _get_first_day(today, QUICK_RANGE_DAYS[0]), today)
    can_save_meeting_day = service.can_edit_all_regions(context.user)
    if save_meeting_day and not can_save_meeting_day:
        raise HTTPException(403)
    last_meeting_day = day if save_meeting_day else parse_day(saved_meeting_day)
    changes = _load_changes(context, day, last_meeting_day)
    response = context.render_page(
        "changes.html",
        changes=changes,
        has_comparison=changes.period.has_begun(context.now),
        can_save_meeting_day=can_save_meeting_day,
        export_links=list_filters.build_export_links(
            context, ("changes",), {"since": changes.since.isoformat()}
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


def _get_first_day(today: date, days: int) -> date:
    return today - timedelta(days=days - 1)


def _load_changes(context: RequestContext, day: date, last_meeting_day: date | None) -> ChangesPage:
    store = context.load_fresh_store()
    run = store.runs.get_latest_evaluated()
    period = find_change_period(store, day)
    return ChangesPage(
        requested_day=day,
        period=period,
        today=context.now.date(),
        latest_run_day=run.day if run else None,
        last_meeting_day=last_meeting_day,
        opened=store.gap_search.list_gap_changes(period.start, "opened", limit=MAX_LISTED_CHANGES),
        closed=store.gap_search.list_gap_changes(period.start, "closed", limit=MAX_LISTED_CHANGES),
    )


def parse_day(text: str) -> date | None:
    """Return the date of an ISO text, or None."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
