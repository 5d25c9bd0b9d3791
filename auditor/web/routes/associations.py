"""The grid of associations, the page of one, its follow-ups and its on-demand check."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import date
from functools import partial
from typing import Annotated, Literal, cast, get_args
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.datastructures import URL
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from auditor.checking.clock import find_next_start_time
from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.replies import MAX_PROMISE_PERIOD
from auditor.conclusions.summary import AssociationFilter, get_region_key
from auditor.core.form_limits import MAX_CODE_CHARS, MAX_NOTES_CHARS, MAX_TAG_CHARS, FormText
from auditor.core.formatting import build_whatsapp_url, normalize_phone
from auditor.core.i18n.catalogs import gettext_noop
from auditor.core.reference.survey import load_questions
from auditor.presentation.report_links import select_associations
from auditor.presentation.reports.html import sum_channel_points
from auditor.presentation.reports.invitation import build_chat_text
from auditor.presentation.views.associations import (
    build_association_detail,
    load_grid_rows,
    select_grid_channels,
)
from auditor.registry.columns import format_media_officer
from auditor.registry.importer import split_list
from auditor.runs.check_now import RecheckRefusal, RecheckRefusedError, RecheckService
from auditor.web import access, list_filters, users
from auditor.web.list_filters import Chip, build_back_url
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    build_page_urls,
    build_url,
    parse_day,
    require_association_view,
)
from auditor.web.routes.gaps import FilterParams, stream_download
from auditor.web.routes.report_links import create_messages, require_public_url, stream_report_links
from auditor.web.routes.workshops import invite
from probes.links.identify import identify_link
from probes.text.charset import clean_text
from storage.models.audit import EMPTY_CONTACT
from storage.models.summaries import AssociationSummary, ResultPage, SummarySort
from storage.models.users import WORKSHOP_KINDS, ChangeOrigin, FollowUpKind
from storage.tables.communication import FollowUp

router = APIRouter(route_class=access.AccessRoute)


@router.post(
    "/{language}/associations/{association:path}/checks", dependencies=[access.OWN_REGION_ACCESS]
)
def check_association_now(
    request: Request, context: PageContext, association: str
) -> RedirectResponse:
    """Check the association's accounts now, and redirect to the result."""
    require_association_view(context, association)
    checks: RecheckService = request.app.state.association_checks
    query_params = {}
    try:
        checks.recheck_association(context.app, association, context.now)
    except RecheckRefusedError as refusal:
        query_params["check_refused"] = str(refusal)
    association_url = context.build_association_url(association, query_params)
    return RedirectResponse(f"{association_url}#check", 303)


@router.get(
    "/{language}/associations/{association:path}/follow-ups",
    dependencies=[access.OWN_REGION_ACCESS],
)
def show_follow_ups(context: PageContext, association: str) -> RedirectResponse:
    """Redirect to the form, whose address a browser shows after an error."""
    return RedirectResponse(f"{context.build_association_url(association)}#follow-ups", 303)


@router.get(
    "/{language}/associations/{association:path}/whatsapp", dependencies=[access.OWN_REGION_ACCESS]
)
def open_chat(context: PageContext, association: str) -> RedirectResponse:
    """Redirect to WhatsApp with the text that begins a conversation with the association."""
    view = require_association_view(context, association)
    url = _build_chat_url(context, view)
    if url is None:
        raise HTTPException(404)
    return RedirectResponse(url, 303)


def _build_chat_url(context: RequestContext, view: AssociationView) -> str | None:
    phone = context.app.store.registry.get_contact(view.association.id).phone
    # The text has no link to the report: only its hash is stored.
    text = build_chat_text(view, context.app.config, view.association.language)
    return build_whatsapp_url(phone, text)


@router.get("/{language}/associations/{association:path}", dependencies=[access.LOGGED_IN_ACCESS])
def show_association(
    request: Request,
    context: PageContext,
    association: str,
    *,
    check_refused: RecheckRefusal | None = None,
) -> Response:
    """Show the page of an association, or the entry of one that is no longer followed.

    `check_refused` is why the last on-demand check did not run.
    """
    stored = context.app.store.registry.get_association_entry(association)
    if stored and stored.withdrawn_at and context.can_manage_association(stored.association):
        entry_url = context.links.page_url(f"registry/entries/{quote(association, safe='')}")
        return RedirectResponse(f"{URL(entry_url).replace(query=request.url.query)}", 303)
    view = require_association_view(context, association)
    return render_association(request, context, view, check_refusal=check_refused)


def render_association(
    request: Request,
    context: RequestContext,
    view: AssociationView,
    *,
    follow_up_form: object = None,
    status: int = 200,
    check_refusal: RecheckRefusal | None = None,
    error: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Render the page of an association.

    `follow_up_form` holds the values of the follow-up form, `error` the field that is wrong and the
    message.
    """
    store, config, association = context.app.store, context.app.config, view.association
    can_manage = context.can_manage_association(association)
    contact = store.registry.get_contact(association.id) if can_manage else EMPTY_CONTACT
    checks: RecheckService = request.app.state.association_checks
    page_context = context.with_path(context.build_association_url(association.id))
    detail = build_association_detail(store, view, config, context.now, include_private=can_manage)
    return page_context.render_page(
        "association_detail.html",
        status=status,
        detail=detail,
        unchecked_names=list(map(context.translator.channel_name, detail["unchecked_channels"])),
        contact=contact,
        whatsapp_url=_build_chat_url(context, view) if can_manage else None,
        next_check_at=find_next_start_time(store.runs.get_latest(), config.schedule, context.now),
        can_manage=can_manage,
        latest_check=checks.find_recent(association.id, context.now),
        check_refusal=check_refusal,
        follow_up_form=follow_up_form or FollowUpForm(),
        follow_up_error=error,
        questions=load_questions(),
        format_media_officer=format_media_officer,
        channel_points=sum_channel_points(config.unmixed_channels),
        today=context.now.date(),
        list_url=build_back_url(
            context.links.page_url("associations"), context.back_query, f"row-{association.id}"
        ),
    )


def _reject_workshop_kind(kind: FollowUpKind) -> FollowUpKind:
    if kind in WORKSHOP_KINDS:
        raise ValueError
    return kind


NotedKind = Annotated[FollowUpKind, AfterValidator(_reject_workshop_kind)]
"""A kind of contact that is noted on the page of an association."""


class FollowUpForm(BaseModel):
    """The submitted follow-up; `due` is the promised date as text.

    `channel` and `code` name the gap that a promise is about, if it is known. `next` is the page to
    return to, by default that of the association.
    """

    kind: NotedKind = FollowUpKind.CALLED
    next: str = ""
    text: FormText = Field(default="", max_length=MAX_NOTES_CHARS)
    due: str = Field(default="", max_length=MAX_CODE_CHARS)
    channel: str = Field(default="", max_length=MAX_CODE_CHARS)
    code: str = Field(default="", max_length=MAX_CODE_CHARS)

    @property
    def due_date(self) -> date | None:
        """Return the promised date, or None if the text is not an ISO date."""
        return parse_day(self.due)


@router.post(
    "/{language}/associations/{association:path}/follow-ups",
    dependencies=[access.OWN_REGION_ACCESS],
)
def add_follow_up(
    request: Request, context: PageContext, association: str, form: Annotated[FollowUpForm, Form()]
) -> Response:
    """Save a follow-up, or show the form again with the error. One with a day is a promise."""
    view = require_association_view(context, association)
    if error := _find_form_error(form, context):
        return render_association(
            request, context, view, status=422, follow_up_form=form, error=error
        )
    follow_ups, submission = context.app.store.follow_ups, (association, form)
    has_gap = (form.channel, form.code) in {(gap.channel, gap.code) for gap in view.gaps}
    with context.confirmations.lock:  # both requests of a double click arrive together
        if url := context.find_repeated_url(submission):
            return RedirectResponse(url, 303)
        follow_up = follow_ups.add(
            FollowUp(
                association=view.association.id,
                kind=FollowUpKind.PROMISED if form.due_date else form.kind,
                author=context.author,
                occurred_at=context.now,
                text=form.text.strip(),
                due_date=form.due_date,
                channel=form.channel if has_gap else "",
                code=form.code if has_gap else None,
            )
        )
        return context.confirm(
            form.next or context.build_association_url(association),
            PROMISE_SAVED if form.due_date else FOLLOW_UP_SAVED,
            lambda _: follow_ups.remove(follow_up.id),
            submission=submission,
            name=view.association.display_name(context.language),
            day=form.due_date or "",
        )


FOLLOW_UP_SAVED = gettext_noop("Saved in the follow-up of {name}.")
PROMISE_SAVED = gettext_noop("Promise of {name} for {day} saved. It comes up on the page Today.")


def _find_form_error(form: FollowUpForm, context: RequestContext) -> dict[str, str] | None:
    """Return what is missing in a follow-up, in the page's language, or None."""
    translator, today = context.translator, context.now.date()
    if form.kind is FollowUpKind.PROMISED or form.due:
        due_date = form.due_date
        if due_date is None or not today <= due_date <= today + MAX_PROMISE_PERIOD:
            message = translator.translate("Enter the promised date, within the next 12 months.")
            return {"field": "due", "message": message}
    elif form.kind is FollowUpKind.NOTE and not form.text.strip():
        return {"field": "text", "message": translator.translate("Enter a note.")}
    return None


GRID_PAGE_SIZE = 100


@router.get("/{language}/associations", dependencies=[access.LOGGED_IN_ACCESS])
def list_associations(
    context: PageContext,
    association_filter: FilterParams,
    sort: Annotated[str, Query()] = "",
    after: Annotated[str, Query()] = "",
) -> HTMLResponse:
    """Show a page of the filtered associations, by default the most urgent first."""
    current = replace(association_filter, region=get_region_key(association_filter.region))
    order = cast("SummarySort", sort if sort in get_args(SummarySort) else "urgency")
    store, list_url = context.load_fresh_store(), context.links.page_url("associations")
    results = store.search.list_summaries(
        current.facets,
        search_terms=current.search_words,
        sort=order,
        cursor=after,
        limit=GRID_PAGE_SIZE,
    )
    if current.q and not after and not results.rows:
        results = _find_by_number_or_address(context, current)
    channels = select_grid_channels(context.app.config.channels, current.channel)
    counts = list_filters.count_facets(context, current)
    chips = list_filters.build_grid_chips(context, current, counts, channels)
    query_params = {**asdict(current), "sort": "" if order == "urgency" else order}
    back_query = build_url("", {**query_params, "after": after}).removeprefix("?")
    return context.render_page(
        "associations.html",
        results=results,
        can_select=users.is_coordinator(context.user),
        can_create_links=bool(context.app.config.web.public_url),
        association_filter=current,
        sort=order,
        choices=list_filters.build_filter_choices(context),
        channels=channels,
        today=context.now.date(),
        counts=counts,
        kind_chips=chips[0],
        channel_chips=chips[1],
        filter_chips=_list_other_chips(context, query_params, *chips),
        rows=load_grid_rows(store, results.rows, channels, current, context.can_manage_association),
        build_list_url=lambda **changes: build_url(list_url, {**query_params, **changes}),
        list_url=list_url,
        back=build_url("", {"back": back_query}),  # the page of an association can lead back
        back_query=back_query,
        **build_page_urls(list_url, query_params, "after", after, results.next_cursor),
        export_links=list_filters.build_export_links(
            context, ("associations", "accounts", "gaps", "coverage"), asdict(current)
        ),
    )


def _find_by_number_or_address(
    context: RequestContext, association_filter: AssociationFilter
) -> ResultPage[AssociationSummary]:
    """Return the associations with this telephone number, or with the account of this address.

    Those whose contact the user may not see are left out of the first.
    """
    store, text = context.app.store, association_filter.q
    with_number = []
    if number := normalize_phone(text):
        phones = store.registry.list_phones()
        with_number = [name for name, phone in phones if normalize_phone(phone) == number]
    identity = identify_link(text)
    accounts = store.registry.find_accounts_by_key([(identity.channel, identity.key or "")])
    with_address = {account.association for account in accounts if not account.withdrawn_at}
    page = store.search.list_summaries(
        association_filter.facets, ids={*with_number, *with_address}, limit=GRID_PAGE_SIZE
    )
    rows = [
        row for row in page.rows if row.id in with_address or context.can_manage_association(row)
    ]
    return ResultPage(tuple(rows), None, len(rows))


def _list_other_chips(
    context: RequestContext,
    query_params: Mapping[str, str],
    kind_chips: Iterable[Chip],
    channel_chips: Iterable[Chip],
) -> list[Chip]:
    """Return a chip to remove for each filter that no chosen chip and no field shows."""
    names = ["tag", "level", "gap", "reason", "answer"]
    if any(chip["is_chosen"] for chip in kind_chips):
        names.append("channel")
    elif not any(chip["is_chosen"] for chip in channel_chips):
        names += ["gap_kind", "channel", "state"]
    return list_filters.build_filter_chips(
        context.links.page_url("associations"), query_params, context.translator, names
    )


SELECTION_INCOMPLETE = gettext_noop(
    "Nothing was done. Select associations, and fill in the fields beside the button."
)
MAX_SELECTED = GRID_PAGE_SIZE
"""Associations that one form can change."""


class SelectionForm(BaseModel):
    """The selected associations and what to do with them. `back` is the query of the list."""

    model_config = ConfigDict(str_strip_whitespace=True)

    id: Annotated[list[str], Field(max_length=MAX_SELECTED)] = []
    action: Literal["report_links", "export", "tag", "messages", "invite"]
    tag: Annotated[str, Field(max_length=MAX_TAG_CHARS)] = ""
    title: Annotated[str, Field(max_length=MAX_TAG_CHARS)] = ""
    day: Annotated[str, Field(max_length=MAX_CODE_CHARS)] = ""
    back: str = ""


@router.post("/{language}/associations", dependencies=[access.COORDINATOR_ACCESS])
def act_on_selection(context: PageContext, form: Annotated[SelectionForm, Form()]) -> Response:
    """Do something with the selected associations that the user manages.

    If nothing is selected or a field is empty, show the list again and say so.
    """
    ids, list_url = _list_managed_ids(context, form.id), context.links.page_url("associations")
    tags, title, day = split_list(clean_text(form.tag)), clean_text(form.title), parse_day(form.day)
    back_url = build_back_url(list_url, form.back, "list")
    is_incomplete = {"tag": not tags, "invite": not title or not day}
    if not ids or is_incomplete.get(form.action):
        return context.confirm(back_url, SELECTION_INCOMPLETE)
    if form.action == "invite" and day:
        return invite(context, ids, title, day, list_filters.parse_back_filter(form.back))
    if form.action == "tag":
        origin = ChangeOrigin(context.author, "web")
        changes = context.app.store.registry.add_tags(ids, tags, context.now, origin)
        return context.confirm(
            build_url(list_url, {"tag": tags[0]}),
            gettext_noop("Tag added: {tag}"),
            partial(context.undo_registry_changes, changes),
            tag=", ".join(tags),
        )
    if form.action == "export":
        return stream_download(context, "associations", "xlsx", association_ids=tuple(ids))
    require_public_url(context)
    views = select_associations(context.app, context.now, ids)
    if form.action == "report_links":
        return stream_report_links(context, views, "xlsx")
    return create_messages(context, views, back_url)


def _list_managed_ids(context: RequestContext, ids: Iterable[str]) -> list[str]:
    """Return the ids of listed associations. Raises HTTPException (403) if one is not managed."""
    associations = context.app.store.registry.get_associations(ids)
    if not all(map(context.can_manage_association, associations.values())):
        raise HTTPException(403)
    return [id_ for id_ in dict.fromkeys(ids) if id_ in associations]
