"""The coordinator's queue: what associations reply, and accounts found on their sites, to be settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.decisions import replies
from auditor.decisions.parsing import DecisionError
from auditor.decisions.service import DecisionService
from auditor.rendering.templates import get_html_translator
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, RowId, build_url
from storage.errors import StoreError
from storage.models.audit import Proposal
from storage.models.users import Reply, ReplyOutcome
from storage.store import Store

router = APIRouter()


class ReplyAnswerForm(BaseModel):
    """An answer as it was typed: what is made of it, and why."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    answer: ReplyOutcome
    why: str = Field(default="", max_length=500)


def _load_proposal(store: Store, proposal_id: int) -> Proposal | None:
    found = next(store.list_proposals(after_id=proposal_id - 1), None)
    return found if found and found.id == proposal_id else None


def _parse_id_param(path_params: Mapping[str, Any]) -> int:
    """The number in an address; one that is none finds nothing."""
    number = str(path_params["number"])
    return int(number) if number.isdecimal() and int(number) < 2**63 else 0


def _find_reply_association(store: Store, path_params: Mapping[str, Any]) -> str | None:
    """Whose a reply is."""
    reply = store.get_reply(_parse_id_param(path_params))
    return reply.association if reply else None


def _find_proposal_association(store: Store, path_params: Mapping[str, Any]) -> str | None:
    """At whose site an account was found."""
    proposal = _load_proposal(store, _parse_id_param(path_params))
    return proposal.association if proposal else None


@router.get("/{language}/replies", dependencies=[access.COORDINATOR_ACCESS])
def show_replies(
    context: PageContext,
    *,
    after: RowId = 0,
    beyond: RowId = 0,
    done: ReplyOutcome | None = None,
    late: bool = False,
) -> HTMLResponse:
    """The replies after one, the found accounts beyond one; what became of the answer just given."""
    return _render_replies(
        context, after_reply_id=after, after_proposal_id=beyond, done=done, late=late
    )


@router.post(
    "/{language}/replies/{number}",
    dependencies=[access.require_own_region(_find_reply_association)],
)
def answer_reply(
    context: PageContext, number: RowId, form: Annotated[ReplyAnswerForm, Form()]
) -> Response:
    """Accept or decline a reply."""
    store = context.app.store
    reply = store.get_reply(number)
    if reply is None:
        raise HTTPException(404)
    try:
        if form.answer is ReplyOutcome.ACCEPTED:
            _accept_reply(context, reply, form)
        else:
            replies.decline_reply(
                store, reply, author=context.author, reason=form.why, now=context.now
            )
    except DecisionError as trouble:
        return _render_replies(context, status=422, at=f"reply-{number}", word=form, error=trouble)
    except StoreError:
        return RedirectResponse(f"{context.links.page_url('replies')}?late=true#said", 303)
    return _redirect_to_replies(context, form)


@router.post(
    "/{language}/replies/found/{number}",
    dependencies=[access.require_own_region(_find_proposal_association)],
)
def answer_proposal(
    context: PageContext, number: RowId, form: Annotated[ReplyAnswerForm, Form()]
) -> Response:
    """Register a found account, or call it somebody else's."""
    proposal = _load_proposal(context.app.store, number)
    if proposal is None:
        raise HTTPException(404)
    try:
        saying = _build_decision_service(context, proposal, form)
        if form.answer is ReplyOutcome.ACCEPTED:
            saying.claim_account()
        else:
            saying.disown_account()
    except DecisionError as trouble:
        return _render_replies(context, status=422, at=f"found-{number}", word=form, error=trouble)
    return _redirect_to_replies(context, form)


def _accept_reply(context: RequestContext, reply: Reply, form: ReplyAnswerForm) -> None:
    """Raises DecisionError and StoreError."""
    because = context.translator.translate("The association says so in its reply to the report.")
    replies.accept_reply(
        context.app.store,
        context.app.config,
        reply,
        author=context.author,
        reason=form.why,
        now=context.now,
        default_reason=because,
    )


def _build_decision_service(
    context: RequestContext, proposal: Proposal, form: ReplyAnswerForm
) -> DecisionService:
    """The decision; without a reason it rests on where the account was found. Raises DecisionError."""
    seen = context.translator.translate("Found on {url}", url=proposal.link.page_url)
    return DecisionService.create(
        context.app.store,
        context.app.config.channels,
        proposal.association,
        proposal.link.channel,
        author=context.author,
        reason=form.why or seen,
        now=context.now,
        account=proposal.link.key,
    )


def _redirect_to_replies(context: RequestContext, form: ReplyAnswerForm) -> RedirectResponse:
    return RedirectResponse(f"{context.links.page_url('replies')}?done={form.answer}#said", 303)


def _render_replies(
    context: RequestContext,
    *,
    status: int = 200,
    after_reply_id: int = 0,
    after_proposal_id: int = 0,
    error: DecisionError | None = None,
    **template_values: object,
) -> HTMLResponse:
    store, here, regions = context.app.store, context.links.page_url("replies"), context.regions
    listed = replies.load_waiting_replies(store, after=after_reply_id, regions=regions)
    found, farther = replies.load_unsettled_proposals(
        store, context.app.config, context.now, after=after_proposal_id, regions=regions
    )
    last = listed[-1].reply.id if listed else None
    blank: dict[str, object] = {"done": None, "late": False, "at": "", "word": None}
    return (context.with_path(here) if error else context).render_page(
        "replies.html",
        status=status,
        listed=listed,
        count=store.count_pending_replies(regions=regions),
        next=build_url(here, {"after": str(last)})
        if last and store.list_pending_replies(after_id=last, limit=1, regions=regions)
        else "",
        first=here if after_reply_id or after_proposal_id else "",
        found=found,
        farther=build_url(here, {"beyond": str(farther)}) + "#found" if farther else "",
        trouble=get_html_translator(context.language).translate(error.message, **error.facts)
        if error
        else "",
        **{**blank, **template_values},
    )
