"""The coordinator's queue: replies of associations, and accounts found on their websites."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from auditor.core.form_limits import MAX_REASON_CHARS, FormText
from auditor.decisions import replies
from auditor.decisions.recording import DecisionError, DecisionInput, record_decision
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, RowId, build_url
from storage.errors import StoreError
from storage.models.audit import DecisionKind, Proposal
from storage.models.users import ReplyOutcome
from storage.store import Store
from storage.tables.communication import Reply

router = APIRouter(route_class=access.AccessRoute)


class ReplyAnswerForm(BaseModel):
    """The coordinator's answer to a reply or a proposal, with its reason."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    answer: ReplyOutcome
    reason: FormText = Field(default="", max_length=MAX_REASON_CHARS)

    @field_validator("answer")
    @classmethod
    def _refuse_withdrawal(cls, answer: ReplyOutcome) -> ReplyOutcome:
        if answer is ReplyOutcome.WITHDRAWN:
            raise ValueError("only the association takes back its reply")
        return answer


def _require_reply(context: RequestContext, reply_id: int) -> Reply:
    reply = context.app.store.replies.get(reply_id)
    if reply is None:
        raise HTTPException(404)
    return reply


def _load_proposal(store: Store, proposal_id: int) -> Proposal | None:
    proposal = next(store.conclusions.list_proposals(after_id=proposal_id - 1), None)
    return proposal if proposal and proposal.id == proposal_id else None


def _parse_row_id(path_params: Mapping[str, Any], name: str) -> int:
    """Return the row id in a path, or 0 (which is no row) if it is not a valid id."""
    text = str(path_params[name])
    return int(text) if text.isdecimal() and int(text) < 2**63 else 0


def _find_reply_association(store: Store, path_params: Mapping[str, Any]) -> str | None:
    reply = store.replies.get(_parse_row_id(path_params, "reply_id"))
    return reply.association if reply else None


def _find_proposal_association(store: Store, path_params: Mapping[str, Any]) -> str | None:
    proposal = _load_proposal(store, _parse_row_id(path_params, "proposal_id"))
    return proposal.association if proposal else None


@router.get("/{language}/replies", dependencies=[access.COORDINATOR_ACCESS])
def show_replies(
    context: PageContext,
    *,
    after_reply: RowId = 0,
    after_proposal: RowId = 0,
    done: ReplyOutcome | None = None,
    reply: RowId = 0,
    association: str = "",
    decision: RowId = 0,
    reopened: RowId = 0,
    already_answered: bool = False,
) -> HTMLResponse:
    """Show a page of pending replies and of proposals, each after a given row id.

    `done` is the answer that was just saved. It can be taken back in `reply`, or as the `decision`
    about an association. `reopened` is the reply whose answer was just taken back.
    `already_answered`: another user was faster.
    """
    return _render_replies(
        context,
        after_reply_id=after_reply,
        after_proposal_id=after_proposal,
        saved_answer={
            "answer": done,
            "reply_id": reply,
            "association": association,
            "decision_id": decision,
        },
        reopened_reply_id=reopened,
        is_already_answered=already_answered,
    )


@router.get(
    "/{language}/replies/{reply_id}",
    dependencies=[access.require_own_region(_find_reply_association)],
)
def find_reply(context: PageContext, reply_id: RowId) -> RedirectResponse:
    """Redirect to a reply in the queue, or to its association if it was answered."""
    reply = _require_reply(context, reply_id)
    if reply.outcome is None:
        return RedirectResponse(_build_reply_url(context, reply_id), 303)
    return RedirectResponse(f"{context.links.association_url(reply.association)}#history", 303)


@router.post(
    "/{language}/replies/{reply_id}",
    dependencies=[access.require_own_region(_find_reply_association)],
)
def answer_reply(
    context: PageContext,
    reply_id: RowId,
    form: Annotated[ReplyAnswerForm, Form()],
    after_reply: RowId = 0,
) -> Response:
    """Accept or decline a reply, on the page of the list that begins after `after_reply`."""
    store, reply = context.app.store, _require_reply(context, reply_id)
    try:
        if form.answer is ReplyOutcome.ACCEPTED:
            _accept_reply(context, reply, form)
        else:
            replies.decline_reply(
                store, reply, author=context.author, reason=form.reason, now=context.now
            )
    except DecisionError as error:
        return _render_replies(
            context,
            status=422,
            after_reply_id=after_reply,
            error_field=f"reply-{reply_id}",
            form=form,
            error=error,
        )
    except StoreError:
        replies_url = context.links.page_url("replies")
        return RedirectResponse(f"{replies_url}?already_answered=true#message", 303)
    return _redirect_to_replies(context, form, {"reply": str(reply_id)})


@router.post(
    "/{language}/replies/{reply_id}/undo",
    dependencies=[access.require_own_region(_find_reply_association)],
)
def undo_answer(context: PageContext, reply_id: RowId) -> Response:
    """Take back the answer to a reply, which waits again."""
    store, reply = context.app.store, _require_reply(context, reply_id)
    reason = context.translator.translate("The answer to the reply was taken back.")
    replies.undo_review(store, reply, author=context.author, reason=reason, now=context.now)
    return RedirectResponse(_build_reply_url(context, reply_id, {"reopened": str(reply_id)}), 303)


@router.get(
    "/{language}/proposals/{proposal_id}",
    dependencies=[access.require_own_region(_find_proposal_association)],
)
def find_proposal(context: PageContext, proposal_id: RowId) -> RedirectResponse:
    """Redirect to a proposal in the queue."""
    queue_url = context.links.page_url("replies")
    query_params = {"after_proposal": str(max(proposal_id - 1, 0))}
    url = build_url(queue_url, query_params)
    return RedirectResponse(f"{url}#proposal-{proposal_id}", 303)


@router.post(
    "/{language}/proposals/{proposal_id}",
    dependencies=[access.require_own_region(_find_proposal_association)],
)
def answer_proposal(
    context: PageContext,
    proposal_id: RowId,
    form: Annotated[ReplyAnswerForm, Form()],
    after_proposal: RowId = 0,
) -> Response:
    """Record that a found account is the association's, or that it is not."""
    proposal = _load_proposal(context.app.store, proposal_id)
    if proposal is None:
        raise HTTPException(404)
    try:
        # Without a reason, the page where the account was found is the reason.
        default_reason = context.translator.translate("Found on {url}", url=proposal.link.page_url)
        is_accepted = form.answer is ReplyOutcome.ACCEPTED
        typed = DecisionInput(
            association=proposal.association,
            kind=DecisionKind.CLAIM if is_accepted else DecisionKind.DISOWN,
            author=context.author,
            reason=form.reason or default_reason,
            channel=proposal.link.channel,
            account=proposal.link.key,
        )
        [decision] = record_decision(
            context.app.store, context.app.config.channels, typed, context.now
        )
    except DecisionError as error:
        return _render_replies(
            context,
            status=422,
            after_proposal_id=after_proposal,
            error_field=f"proposal-{proposal_id}",
            form=form,
            error=error,
        )
    return _redirect_to_replies(
        context, form, {"association": decision.association, "decision": str(decision.id)}
    )


def _accept_reply(context: RequestContext, reply: Reply, form: ReplyAnswerForm) -> None:
    """Accept a reply. Raises DecisionError and StoreError."""
    default_reason = context.translator.translate(
        "The association says so in its reply to the report."
    )
    replies.accept_reply(
        context.app.store,
        context.app.config,
        reply,
        author=context.author,
        reason=form.reason,
        now=context.now,
        default_reason=default_reason,
    )


def _redirect_to_replies(
    context: RequestContext, form: ReplyAnswerForm, answered: Mapping[str, str]
) -> RedirectResponse:
    query_params = {"done": form.answer.value, **answered}
    url = build_url(context.links.page_url("replies"), query_params)
    return RedirectResponse(f"{url}#message", 303)


def _build_reply_url(
    context: RequestContext, reply_id: int, query_params: Mapping[str, str] | None = None
) -> str:
    """Return the address of a page of the queue that begins with a reply."""
    query_params = {"after_reply": str(max(reply_id - 1, 0)), **(query_params or {})}
    return f"{build_url(context.links.page_url('replies'), query_params)}#reply-{reply_id}"


def _render_replies(
    context: RequestContext,
    *,
    status: int = 200,
    after_reply_id: int = 0,
    after_proposal_id: int = 0,
    saved_answer: Mapping[str, object] | None = None,
    reopened_reply_id: int = 0,
    is_already_answered: bool = False,
    error: DecisionError | None = None,
    error_field: str = "",
    form: ReplyAnswerForm | None = None,
) -> HTMLResponse:
    store, regions = context.app.store, context.regions
    replies_url = context.links.page_url("replies")
    pending_replies = replies.load_waiting_replies(store, after=after_reply_id, regions=regions)
    proposals, next_proposal_id = replies.load_unsettled_proposals(
        store, context.app.config, after=after_proposal_id, regions=regions
    )
    next_url = next_proposals_url = ""
    last_reply_id = pending_replies[-1].reply.id if pending_replies else None
    if last_reply_id and store.replies.list_pending(
        after_id=last_reply_id, limit=1, regions=regions
    ):
        next_url = build_url(replies_url, {"after_reply": str(last_reply_id)})
    if next_proposal_id:
        query_params = {"after_proposal": str(next_proposal_id)}
        next_proposals_url = f"{build_url(replies_url, query_params)}#proposals"
    page_context = context.with_path(replies_url) if error else context
    return page_context.render_page(
        "replies.html",
        status=status,
        pending_replies=pending_replies,
        pending_reply_count=store.replies.count_pending(regions=regions),
        after_reply_id=after_reply_id,
        after_proposal_id=after_proposal_id,
        next_url=next_url,
        first_url=replies_url if after_reply_id or after_proposal_id else "",
        proposals=proposals,
        next_proposals_url=next_proposals_url,
        saved_answer=saved_answer,
        reopened_reply_id=reopened_reply_id,
        is_already_answered=is_already_answered,
        error_message=context.translate_error(error),
        error_field=error_field,
        form=form,
    )
