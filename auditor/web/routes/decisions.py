"""Decisions: the form for one, and the queue of replies and of accounts found on websites."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.conclusions import replies
from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.recording import (
    DecisionError,
    DecisionInput,
    record_decision,
    restore_decisions,
    withdraw_decision,
    withdraw_decisions,
)
from auditor.core.form_limits import MAX_ADDRESS_CHARS, MAX_CODE_CHARS, MAX_REASON_CHARS, FormText
from auditor.core.i18n.catalogs import gettext_noop
from auditor.presentation.views.json_items import build_decision_items
from auditor.web import access, list_filters
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    RowId,
    build_url,
    require_association_view,
)
from storage.errors import ChangedMeanwhileError, StoreError
from storage.models.audit import DecisionKind, DecisionWithdrawal
from storage.models.users import ReplyKind, ReplyOutcome
from storage.tables.communication import Reply

router = APIRouter(route_class=access.AccessRoute)


class DecisionForm(BaseModel):
    """The submitted form; an empty text means not given.

    `account` is an account key or a link, `last_activity` the date of a publication, `expires_on`
    that of the end of a domain, `new_url` the new address of a moved account, `decision_id` the
    decision to withdraw.
    """

    kind: Literal[
        "confirm",
        "none_by_choice",
        "claim",
        "disown",
        "moved",
        "waive",
        "domain_expires",
        "withdraw",
    ]
    channel: str = Field(default="", max_length=MAX_CODE_CHARS)
    account: str = Field(default="", max_length=MAX_ADDRESS_CHARS)
    last_activity: str = Field(default="", max_length=MAX_CODE_CHARS)
    expires_on: str = Field(default="", max_length=MAX_CODE_CHARS)
    new_url: str = Field(default="", max_length=MAX_ADDRESS_CHARS)
    gap_code: str = Field(default="", max_length=MAX_CODE_CHARS)
    until: str = Field(default="", max_length=MAX_CODE_CHARS)
    reason: FormText = Field(default="", max_length=MAX_REASON_CHARS)
    decision_id: str = Field(default="", max_length=MAX_CODE_CHARS)


@router.get(
    "/{language}/associations/{association:path}/decisions", dependencies=[access.OWN_REGION_ACCESS]
)
def show_decision_form(
    context: PageContext, association: str, form: Annotated[DecisionForm, Query()]
) -> HTMLResponse:
    """Show the form for one kind of decision."""
    return _render_decision_form(context, require_association_view(context, association), form)


@router.post(
    "/{language}/associations/{association:path}/decisions", dependencies=[access.OWN_REGION_ACCESS]
)
def submit_decision(
    context: PageContext, association: str, form: Annotated[DecisionForm, Form()]
) -> Response:
    """Save or withdraw a decision, or show the form again with the error."""
    view, submission = require_association_view(context, association), (association, form)
    try:
        with context.confirmations.lock:  # both requests of a double click arrive together
            if url := context.find_repeated_url(submission):
                return RedirectResponse(url, 303)
            undo = _save_decision(context, association, form)
            return context.confirm(
                context.build_association_url(association),
                SAVED_MESSAGES.get(form.kind, SAVED_FOR_NEXT_CHECK),
                undo,
                submission=submission,
            )
    except DecisionError as error:
        return _render_decision_form(context, view, form, error)


SAVED_AT_ONCE = gettext_noop("Decision saved.")
SAVED_FOR_NEXT_CHECK = gettext_noop("Decision saved. It shows after the next check.")
SAVED_MESSAGES = {
    "confirm": SAVED_AT_ONCE,
    "waive": SAVED_AT_ONCE,
    "moved": gettext_noop(
        "Saved; it shows after the next check. Please change the address in your spreadsheet too."
    ),
    "withdraw": gettext_noop("Decision withdrawn."),
}
DEFAULT_REASONS = {
    "none_by_choice": gettext_noop("The association chose not to use this channel"),
    "withdraw": gettext_noop("No reason given."),
}
"""Reasons of decisions that need no explanation."""


def _save_decision(
    context: RequestContext, association: str, form: DecisionForm
) -> Callable[[datetime], object]:
    """Save or withdraw a decision, and return what undoes that. Raises DecisionError."""
    store, author, reason = context.app.store, context.author, form.reason
    if form.kind in DEFAULT_REASONS and not reason.strip():
        reason = context.translator.translate(DEFAULT_REASONS[form.kind])
    if form.kind == "withdraw":
        _load_decision_item(context, association, form.decision_id)
        withdrawn = withdraw_decision(
            store, form.decision_id, author=author, reason=reason, now=context.now
        )
        withdrawn_at = context.now
        return lambda now: restore_decisions(
            store, withdrawn, author, now, withdrawn_at=withdrawn_at
        )
    typed = DecisionInput(
        association=association,
        kind=DecisionKind(form.kind),
        author=author,
        reason=reason,
        channel=form.channel,
        account=form.account,
        until=form.until,
        last_activity=form.last_activity,
        new_link=form.new_url.strip(),
        code=form.gap_code,
        expires_on=form.expires_on,
    )
    return _record_decision(context, typed)


def _record_decision(context: RequestContext, typed: DecisionInput) -> Callable[[datetime], object]:
    """Record a decision, and return what undoes that. Raises DecisionError."""
    store, reason = context.app.store, context.translator.translate("Undone.")
    [decision, *_] = record_decision(store, context.app.config.channels, typed, context.now)

    def undo(now: datetime) -> None:
        taken = decision.association, decision.author, decision.decided_at
        decisions = replies.find_decisions_taken_at(store, *taken, now)
        withdraw_decisions(store, decisions, DecisionWithdrawal(context.author, reason, now))

    return undo


def _load_decision_item(
    context: RequestContext, association: str, decision_id: str
) -> Mapping[str, Any]:
    """Return the item of `decide list` for one decision.

    Raises HTTPException (404) if the association has no such decision.
    """
    store = context.app.store
    for decision in store.decisions.list_decisions(association=association):
        if str(decision.id) == decision_id:
            rows = store.registry.list_accounts(association)
            accounts = {row.id: row for row in rows}
            return build_decision_items([decision], accounts, {}, context.now)[0]
    raise HTTPException(404)


def _render_decision_form(
    context: RequestContext,
    view: AssociationView,
    form: DecisionForm,
    error: DecisionError | None = None,
) -> HTMLResponse:
    association_id = view.association.id
    # The address sets these fields; the user fills in the others.
    prefilled = {"kind", "channel", "account", "gap_code", "decision_id"}
    form_url = build_url(
        f"{context.links.association_url(association_id)}/decisions",
        {**form.model_dump(include=prefilled), "back": context.back_query},
    )
    decision = None
    if form.kind == "withdraw":
        decision = _load_decision_item(context, association_id, form.decision_id)
    return context.with_path(form_url).render_page(
        "decision_form.html",
        status=422 if error else 200,
        view=view,
        form=form,
        form_url=form_url,
        error_message=context.translate_error(error),
        today=context.now.date(),
        gap_choices=list_filters.list_gap_choices(context.translator),
        decision=decision,
    )


class ReplyAnswerForm(BaseModel):
    """The coordinator's answer to a reply or a proposal, with its reason.

    `next` is the page to return to, by default the queue.
    """

    model_config = ConfigDict(str_strip_whitespace=True)

    answer: Literal[ReplyOutcome.ACCEPTED, ReplyOutcome.DECLINED]
    next: str = ""
    reason: FormText = Field(default="", max_length=MAX_REASON_CHARS)


def _require_reply(context: RequestContext, reply_id: int) -> Reply:
    reply = context.app.store.replies.get(reply_id)
    if reply is None:
        raise HTTPException(404)
    return reply


@router.get("/{language}/replies", dependencies=[access.COORDINATOR_ACCESS])
def show_replies(
    context: PageContext,
    *,
    after_reply: RowId = 0,
    after_proposal: RowId = 0,
    already_answered: bool = False,
) -> HTMLResponse:
    """Show a page of pending replies and of proposals, each after a given row id.

    `already_answered`: another user was faster.
    """
    return _render_replies(
        context,
        after_reply_id=after_reply,
        after_proposal_id=after_proposal,
        is_already_answered=already_answered,
    )


@router.get("/{language}/replies/{reply_id:int}", dependencies=[access.OWN_REGION_ACCESS])
def find_reply(context: PageContext, reply_id: RowId) -> RedirectResponse:
    """Redirect to a reply in the queue, or to its association if it was answered."""
    reply = _require_reply(context, reply_id)
    if reply.outcome is None:
        return RedirectResponse(_build_reply_url(context, reply_id), 303)
    return RedirectResponse(f"{context.links.association_url(reply.association)}#history", 303)


@router.post("/{language}/replies/{reply_id:int}", dependencies=[access.OWN_REGION_ACCESS])
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
            _accept_reply(context, reply, form.reason)
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
    is_accepted = form.answer is ReplyOutcome.ACCEPTED
    return context.confirm(
        form.next or context.links.page_url("replies"),
        REPLY_ACCEPTED if is_accepted else REPLY_DECLINED,
        partial(_undo_reviews, context, [reply_id]),
    )


def _accept_reply(context: RequestContext, reply: Reply, reason: str = "") -> None:
    """Accept a reply. Raises DecisionError, and StoreError if it was reviewed meanwhile."""
    replies.accept_reply(
        context.app.store,
        context.app.config,
        reply,
        author=context.author,
        reason=reason,
        now=context.now,
        default_reason=context.translator.translate(
            "The association says so in its reply to the report."
        ),
    )


class SeenRepliesForm(BaseModel):
    """The replies of a page to accept together."""

    reply_id: list[RowId] = Field(default=[], max_length=replies.MAX_WAITING_REPLIES)


@router.post("/{language}/replies/seen", dependencies=[access.COORDINATOR_ACCESS])
def accept_seen_replies(context: PageContext, form: Annotated[SeenRepliesForm, Form()]) -> Response:
    """Accept the replies of a page that say when an account last published."""
    store, accepted = context.app.store, []
    with context.confirmations.lock:  # both requests of a double click arrive together
        if url := context.find_repeated_url(form):
            return RedirectResponse(url, 303)
        for pending in replies.load_waiting_replies(
            store, after=min(form.reply_id, default=1) - 1, regions=context.regions
        ):
            reply = pending["reply"]
            if reply.kind is ReplyKind.SEEN and reply.id in form.reply_id:
                with suppress(DecisionError):  # it keeps waiting
                    _accept_reply(context, reply)
                    accepted.append(reply.id)
        return context.confirm(
            context.links.page_url("replies"),
            REPLIES_ACCEPTED,
            partial(_undo_reviews, context, accepted),
            submission=form,
            n=len(accepted),
        )


REPLIES_ACCEPTED = gettext_noop("Accepted: {n}. The associations will see this in their reports.")
REPLY_ACCEPTED = gettext_noop("Accepted. The association will see this in its report.")
REPLY_DECLINED = gettext_noop("Declined. The association will see your reason in its report.")


def _undo_reviews(context: RequestContext, reply_ids: Iterable[int], now: datetime) -> None:
    """Take back what this request answered.

    Raises ChangedMeanwhileError, and takes nothing back, if a reply has another answer now.
    """
    stored = list(map(context.app.store.replies.get, reply_ids))
    answered = [reply for reply in stored if reply is not None]
    review = (context.author, context.now)
    if len(answered) < len(stored) or any(
        (reply.reviewed_by, reply.reviewed_at) != review for reply in answered
    ):
        raise ChangedMeanwhileError
    for reply in answered:
        _undo_review(context, reply, now)


def _undo_review(context: RequestContext, reply: Reply, now: datetime) -> None:
    reason = context.translator.translate("The answer to the reply was undone.")
    replies.undo_review(context.app.store, reply, author=context.author, reason=reason, now=now)


@router.post("/{language}/replies/{reply_id:int}/undo", dependencies=[access.OWN_REGION_ACCESS])
def undo_answer(context: PageContext, reply_id: RowId) -> Response:
    """Take back the answer to a reply, which waits again."""
    _undo_review(context, _require_reply(context, reply_id), context.now)
    return context.confirm(
        _build_reply_url(context, reply_id),
        gettext_noop("Your answer was undone. The reply is waiting again."),
    )


@router.get("/{language}/proposals/{proposal_id:int}", dependencies=[access.OWN_REGION_ACCESS])
def find_proposal(context: PageContext, proposal_id: RowId) -> RedirectResponse:
    """Redirect to a proposal in the queue."""
    queue_url = context.links.page_url("replies")
    query_params = {"after_proposal": str(max(proposal_id - 1, 0))}
    url = build_url(queue_url, query_params)
    return RedirectResponse(f"{url}#proposal-{proposal_id}", 303)


@router.post("/{language}/proposals/{proposal_id:int}", dependencies=[access.OWN_REGION_ACCESS])
def answer_proposal(
    context: PageContext,
    proposal_id: RowId,
    form: Annotated[ReplyAnswerForm, Form()],
    after_proposal: RowId = 0,
) -> Response:
    """Record that a found account is the association's, or that it is not."""
    proposal = access.find_proposal(context.app.store, proposal_id)
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
        undo = _record_decision(context, typed)
    except DecisionError as error:
        return _render_replies(
            context,
            status=422,
            after_proposal_id=after_proposal,
            error_field=f"proposal-{proposal_id}",
            form=form,
            error=error,
        )
    return context.confirm(
        form.next or context.links.page_url("replies"),
        PROPOSAL_ACCEPTED if is_accepted else PROPOSAL_DECLINED,
        undo,
        url=proposal.link.canonical,
    )


PROPOSAL_ACCEPTED = gettext_noop("Saved as theirs: {url}. The next check includes it.")
PROPOSAL_DECLINED = gettext_noop("Saved as not theirs: {url}.")


def _build_reply_url(context: RequestContext, reply_id: int) -> str:
    """Return the address of a page of the queue that begins with a reply."""
    query_params = {"after_reply": str(max(reply_id - 1, 0))}
    return f"{build_url(context.links.page_url('replies'), query_params)}#reply-{reply_id}"


def _render_replies(
    context: RequestContext,
    *,
    status: int = 200,
    after_reply_id: int = 0,
    after_proposal_id: int = 0,
    is_already_answered: bool = False,
    error: DecisionError | None = None,
    error_field: str = "",
    form: ReplyAnswerForm | None = None,
) -> HTMLResponse:
    store, regions = context.load_fresh_store(), context.regions
    replies_url = context.links.page_url("replies")
    pending_replies = replies.load_waiting_replies(store, after=after_reply_id, regions=regions)
    proposals, next_proposal_id = replies.load_unsettled_proposals(
        store, context.app.config, after=after_proposal_id, regions=regions
    )
    next_url = next_proposals_url = ""
    last_reply_id = pending_replies[-1]["reply"].id if pending_replies else None
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
        is_already_answered=is_already_answered,
        error_message=context.translate_error(error),
        error_field=error_field,
        form=form,
    )
