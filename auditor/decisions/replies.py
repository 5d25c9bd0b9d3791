"""Replies of associations to their reports, and the proposals and replies that wait for review.

A reply changes nothing by itself. Accepting it takes the same decision as on the command line.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import filterfalse
from operator import attrgetter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from auditor.config.schema import Config
from auditor.core import form_limits
from auditor.decisions.parsing import (
    DecisionError,
    account_subject,
    parse_domain_expiry,
    require_reason,
)
from auditor.decisions.service import DecisionService, withdraw_decisions_taken_at
from auditor.evaluation.association_view import AccountView, AssociationView, build_association_view
from auditor.evaluation.run_results import (
    MAX_STALE_WHILE_READING,
    NO_OWNERS,
    assemble_association_states,
    get_current_evaluation_time,
    refresh_summaries,
)
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.decisions_in_force import DISPUTE_VALIDITY
from probes.links import identify
from probes.models.finding import ACCOUNT_KINDS
from storage.models.audit import (
    AccountRow,
    AccountState,
    Association,
    DecisionWithdrawal,
    Gap,
    Proposal,
)
from storage.models.users import FollowUpKind, ReplyKind, ReplyOutcome
from storage.registry.regions import RegionFilter
from storage.store import Store
from storage.tables.communication import FollowUp, Reply

MAX_WAITING_REPLIES = 20
"""Replies of one association that may wait, with those taken back in the last day."""
MAX_PROMISE_PERIOD = timedelta(days=366)
"""How far in the future the day of a promise may be."""
MISSING_ACCOUNT_GAPS = frozenset({"no_website", "channel_missing"})
"""Gaps to which an association may reply that it has an account."""

ACCOUNT_REPLY_KINDS = frozenset(set(ReplyKind) - {ReplyKind.PROMISED})
PROPOSAL_REPLY_KINDS = frozenset({ReplyKind.CLAIMED, ReplyKind.DISOWNED})
GAP_REPLY_KINDS = frozenset({ReplyKind.PROMISED, ReplyKind.DISPUTED})
MISSING_ACCOUNT_REPLY_KINDS = GAP_REPLY_KINDS | {ReplyKind.MOVED, ReplyKind.CLOSED}


class ReplyRefusal(StrEnum):
    """The reasons to refuse a reply."""

    UNKNOWN_SUBJECT = "unknown_subject"
    INVALID_ADDRESS = "invalid_address"
    INVALID_DAY = "invalid_day"
    INVALID_EXPIRY = "invalid_expiry"
    MISSING_TEXT = "missing_text"
    TOO_MANY = "too_many"
    ALREADY_REVIEWED = "already_reviewed"


class ReplyRefusedError(Exception):
    """A reply is refused; `reason` says why."""

    def __init__(self, reason: ReplyRefusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


class ReplyForm(BaseModel):
    """A reply as it was submitted: about an account, a proposal or a gap (`gap_code`).

    `at` is the place of the form in the report, which is shown again afterwards.
    """

    model_config = ConfigDict(frozen=True)

    kind: ReplyKind
    at: str = Field(default="", max_length=form_limits.MAX_PLACE_CHARS)
    account_id: int | None = None
    proposal_id: int | None = None
    gap_code: str = Field(default="", max_length=form_limits.MAX_CODE_CHARS)
    channel: str = Field(default="", max_length=form_limits.MAX_CHANNEL_CHARS)
    subject: str = Field(default="", max_length=form_limits.MAX_ADDRESS_CHARS)
    value: str = Field(default="", max_length=form_limits.MAX_ADDRESS_CHARS)
    text: form_limits.FormText = Field(default="", max_length=form_limits.MAX_NOTES_CHARS)


def parse_reply(
    form: ReplyForm, view: AssociationView, report_link_id: int | None, now: datetime
) -> Reply:
    """Return the validated reply. Pure.

    Raises ReplyRefusedError if its subject is not in the report, or if its value is missing or
    invalid.
    """
    reply = Reply(
        association=view.association.id,
        kind=form.kind,
        submitted_at=now,
        text=form.text.strip(),
        report_link_id=report_link_id,
    )
    subject = _match_account(form, view) or _match_proposal(form, view) or _match_gap(form, view)
    if subject is None:
        raise ReplyRefusedError(ReplyRefusal.UNKNOWN_SUBJECT)
    for name, value in subject.items():
        setattr(reply, name, value)
    _complete_reply_value(reply, form, now)
    return reply


def _match_account(form: ReplyForm, view: AssociationView) -> dict[str, Any] | None:
    for account in view.accounts:
        if account.account_id == form.account_id and _can_be_about(form.kind, account):
            return {"channel": account.channel, "account_id": account.account_id}
    return None


def _can_be_about(kind: ReplyKind, account: AccountView) -> bool:
    if kind is ReplyKind.DOMAIN_EXPIRES:
        return account.domain_expiry is not None
    return kind in ACCOUNT_REPLY_KINDS


def _match_proposal(form: ReplyForm, view: AssociationView) -> dict[str, Any] | None:
    if form.kind not in PROPOSAL_REPLY_KINDS or form.proposal_id is None:
        return None
    for proposal in view.proposals:
        if proposal.id == form.proposal_id:
            return {"channel": proposal.link.channel, "value": proposal.link.key}
    return None


def _match_gap(form: ReplyForm, view: AssociationView) -> dict[str, Any] | None:
    gap = find_gap(view, form.gap_code, form.channel, form.subject)
    if gap is None:
        return None
    is_missing = gap.code in MISSING_ACCOUNT_GAPS
    reply_kinds = MISSING_ACCOUNT_REPLY_KINDS if is_missing else GAP_REPLY_KINDS
    if form.kind not in reply_kinds:
        return None
    account = view.find_account(gap)
    account_id = account.account_id if account else None
    return {"channel": gap.channel, "code": gap.code, "account_id": account_id}


def find_gap(view: AssociationView, code: str, channel: str, subject: str) -> Gap | None:
    """Return an open gap of the report, or None."""
    sign = (code, channel, subject)
    return next((gap for gap in view.gaps if (gap.code, gap.channel, gap.subject) == sign), None)


def _complete_reply_value(reply: Reply, form: ReplyForm, now: datetime) -> None:
    """Set the value that a reply of its kind needs. Raises ReplyRefusedError."""
    match reply.kind:
        case ReplyKind.MOVED:
            reply.value = _parse_account_link(form.value, reply.channel)
        case ReplyKind.PROMISED:
            reply.value = _parse_promise_day(form.value, now)
        case ReplyKind.DOMAIN_EXPIRES:
            reply.value = _parse_domain_day(form.value, now)
        case ReplyKind.DISPUTED if not reply.text:
            raise ReplyRefusedError(ReplyRefusal.MISSING_TEXT)


def _parse_account_link(typed: str, channel: str) -> str:
    identity = identify.identify_link(typed.strip(), channel)
    link = identity.canonical or identity.url
    is_account = identity.key is not None and identity.kind in ACCOUNT_KINDS
    if link is None or identity.channel != channel or not is_account:
        raise ReplyRefusedError(ReplyRefusal.INVALID_ADDRESS)
    return link


def _parse_promise_day(typed: str, now: datetime) -> str:
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        raise ReplyRefusedError(ReplyRefusal.INVALID_DAY) from None
    if not now.date() <= day <= (now + MAX_PROMISE_PERIOD).date():
        raise ReplyRefusedError(ReplyRefusal.INVALID_DAY)
    return day.isoformat()


def _parse_domain_day(typed: str, now: datetime) -> str:
    try:
        return parse_domain_expiry(typed.strip(), now).isoformat()
    except DecisionError:
        raise ReplyRefusedError(ReplyRefusal.INVALID_EXPIRY) from None


def save_reply(store: Store, reply: Reply) -> Reply:
    """Store a reply for review, or return the equal one that already waits.

    Raises ReplyRefusedError if too many replies wait.
    """

    def choose_stored_reply(replies: list[Reply]) -> Reply:
        waiting = list(filterfalse(attrgetter("outcome"), replies))
        equal_reply = next(filter(reply.is_equal_request, waiting), None)
        if equal_reply is not None:
            return equal_reply
        recent_count = sum(_is_recently_withdrawn(other, reply.submitted_at) for other in replies)
        if len(waiting) + recent_count >= MAX_WAITING_REPLIES:
            raise ReplyRefusedError(ReplyRefusal.TOO_MANY)
        return reply

    return store.replies.add_chosen(reply.association, choose_stored_reply)


def _is_recently_withdrawn(reply: Reply, now: datetime) -> bool:
    """Return True if a reply still counts, so that taking back does not lift the limit."""
    return (
        reply.outcome is ReplyOutcome.WITHDRAWN
        and reply.reviewed_at is not None
        and now - reply.reviewed_at < timedelta(days=1)
    )


def withdraw_reply(store: Store, reply_id: int, association: str, now: datetime) -> None:
    """Take back a reply that waits. The row stays and says so, and no coordinator decides on it.

    Raises ReplyRefusedError if it is not a reply of the association, or was reviewed meanwhile.
    """
    reply = store.replies.get(reply_id)
    if reply is None or reply.association != association:
        raise ReplyRefusedError(ReplyRefusal.UNKNOWN_SUBJECT)
    is_withdrawn = store.replies.withdraw(reply_id, association, now)
    if not is_withdrawn and reply.outcome is not ReplyOutcome.WITHDRAWN:
        raise ReplyRefusedError(ReplyRefusal.ALREADY_REVIEWED)


def accept_reply(
    store: Store,
    config: Config,
    reply: Reply,
    *,
    author: str,
    reason: str,
    now: datetime,
    default_reason: str,
) -> None:
    """Store that a reply was accepted, and take the decision it asks for.

    `default_reason` is the reason of the decision if neither side gave one. The review is stored
    first, so that only one of two coordinators takes the decision. Raises DecisionError if the
    decision cannot be taken (the reply waits again), StoreError if the reply was already reviewed.
    """
    assert reply.id is not None
    store.replies.review(reply.id, ReplyOutcome.ACCEPTED, author, reason, now)
    grounds = " · ".join(filter(None, (reason, reply.text))) or default_reason
    try:
        if reply.kind is ReplyKind.PROMISED:
            _record_promise(store, reply, author, now)
        else:
            _record_decision(store, config, reply, author=author, reason=grounds, now=now)
    except DecisionError:
        store.replies.reopen(reply.id)
        raise


def decline_reply(store: Store, reply: Reply, *, author: str, reason: str, now: datetime) -> None:
    """Store that a reply was declined, with a reason that the association reads.

    Raises DecisionError without a reason, StoreError if the reply was already reviewed.
    """
    assert reply.id is not None
    store.replies.review(reply.id, ReplyOutcome.DECLINED, author, require_reason(reason), now)


def undo_review(store: Store, reply: Reply, *, author: str, reason: str, now: datetime) -> None:
    """Take back the review of a reply: the reply waits again.

    The decisions that its acceptance took are withdrawn with this reason, and a promise leaves the
    follow-up log. What an acceptance records has its author and time. Does nothing if the reply has
    no review.
    """
    assert reply.id is not None
    if reply.outcome not in (ReplyOutcome.ACCEPTED, ReplyOutcome.DECLINED):
        return
    assert reply.reviewed_by is not None
    assert reply.reviewed_at is not None
    if reply.outcome is ReplyOutcome.ACCEPTED:
        review = reply.reviewed_by, reply.reviewed_at
        withdrawal = DecisionWithdrawal(author, reason, now)
        withdraw_decisions_taken_at(store, reply.association, *review, withdrawal)
        _remove_promises(store, reply.association, review)
    store.replies.reopen(reply.id)


def _remove_promises(store: Store, association: str, review: tuple[str, datetime]) -> None:
    """Remove the promises that a review recorded, which have its author and time."""
    for entry in store.follow_ups.list_follow_ups(association):
        was_recorded = (entry.author, entry.occurred_at) == review
        if was_recorded and entry.kind is FollowUpKind.PROMISED and entry.id:
            store.follow_ups.remove(entry.id)


def _record_promise(store: Store, reply: Reply, author: str, now: datetime) -> None:
    day = date.fromisoformat(reply.value or now.date().isoformat())
    follow_up = FollowUp(
        association=reply.association,
        kind=FollowUpKind.PROMISED,
        author=author,
        occurred_at=now,
        text=reply.text,
        due_date=day,
        channel=reply.channel,
        code=reply.code,
    )
    store.follow_ups.add(follow_up)


def _record_decision(
    store: Store, config: Config, reply: Reply, *, author: str, reason: str, now: datetime
) -> None:
    row = store.registry.get_account(reply.account_id) if reply.account_id is not None else None
    name = account_subject(row) if row else None

    def create_service(account: str | None) -> DecisionService:
        return DecisionService.create(
            store,
            config.channels,
            reply.association,
            reply.channel or None,
            author=author,
            reason=reason,
            now=now,
            account=account,
        )

    match reply.kind:
        case ReplyKind.CLAIMED | ReplyKind.MOVED if row is None:
            _claim_account(create_service(reply.value))
        case ReplyKind.CLAIMED if row:
            _confirm_registered_account(store, row, create_service(name))
        case ReplyKind.DISOWNED:
            create_service(name or reply.value).disown_account()
        case ReplyKind.MOVED:
            create_service(name).mark_moved(new_link=reply.value)
        case ReplyKind.DISPUTED:
            create_service(name).waive_gaps(
                code=reply.code, until=(now + DISPUTE_VALIDITY).date().isoformat()
            )
        case ReplyKind.DOMAIN_EXPIRES:
            create_service(name).state_domain_expiry(reply.value or "")
        case ReplyKind.CLOSED:
            _close_channel(create_service, name)
        case _:
            raise AssertionError(reply)


def _confirm_registered_account(
    store: Store, row: AccountRow, decision_service: DecisionService
) -> None:
    """Confirm a claimed account, unless runs have confirmed that it is gone."""
    if not is_account_gone(store, row):
        decision_service.confirm_account()


def is_account_gone(store: Store, row: AccountRow) -> bool:
    """Return True if an account is gone; a claim of ownership does not bring it back."""
    for status in store.statuses.list_account_statuses(row.association):
        if status.account_id == row.id:
            return status.state is AccountState.GONE
    return False


def _claim_account(decision_service: DecisionService) -> None:
    """Register a claimed account, unless it is registered."""
    named = decision_service.registered.identify_account(decision_service.account or "")
    if not decision_service.registered.is_registered(named.key or ""):
        decision_service.claim_account()


def _close_channel(
    create_service: Callable[[str | None], DecisionService], name: str | None
) -> None:
    """Waive the gaps of a closed account; without another account, mark the channel as not used."""
    if name is not None:
        create_service(name).waive_gaps()
    whole = create_service(None)
    if len(set(map(attrgetter("identity.key"), whole.registered.rows))) <= 1:
        whole.mark_none_by_choice()


PROPOSAL_BATCH_SIZE = 25
"""Proposals that are loaded together."""
MAX_SCANNED_PROPOSALS = 300
"""Proposals that are scanned for one page. If all of them are settled, the next page continues."""


@dataclass(frozen=True, slots=True)
class WaitingReply:
    """A reply that waits for review, with its association and its account or gap.

    `is_gone` is True if the account is gone.
    """

    reply: Reply
    association: Association | None
    account: AccountRow | None
    gap: Gap | None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class UnsettledProposal:
    """A proposal without a decision, with its association."""

    proposal: Proposal
    association: Association


def load_waiting_replies(
    store: Store, *, after: int = 0, limit: int = 20, regions: RegionFilter = None
) -> list[WaitingReply]:
    """Return a page of the replies that wait for review, oldest first, after the given id."""
    rows = store.replies.list_pending(after_id=after, limit=limit, regions=regions)
    return [_build_waiting_reply(store, reply) for reply in rows]


def _build_waiting_reply(store: Store, reply: Reply) -> WaitingReply:
    account = store.registry.get_account(reply.account_id) if reply.account_id else None
    return WaitingReply(
        reply=reply,
        association=store.registry.get_association(reply.association),
        account=account,
        gap=_find_reply_gap(store, reply),
        is_gone=account is not None and is_account_gone(store, account),
    )


def _find_reply_gap(store: Store, reply: Reply) -> Gap | None:
    if reply.code not in load_gap_catalogue().definitions:
        return None
    rows = list(
        store.conclusions.list_gaps(reply.association, channel=reply.channel, code=reply.code)
    )
    return rows[-1] if rows else None


def load_unsettled_proposals(
    store: Store, config: Config, *, after: int = 0, limit: int = 20, regions: RegionFilter = None
) -> tuple[list[UnsettledProposal], int]:
    """Return a page of the proposals without a decision, oldest first, and where to continue.

    The second value is the id to continue after, 0 on the last page.
    """
    refresh_summaries(store, config, max_stale=MAX_STALE_WHILE_READING)
    listed: list[UnsettledProposal] = []
    for _ in range(0, MAX_SCANNED_PROPOSALS, PROPOSAL_BATCH_SIZE):
        batch = store.search.list_open_proposals(
            after_id=after, limit=PROPOSAL_BATCH_SIZE, regions=regions
        )
        listed += _select_unsettled_proposals(store, config, batch)
        if len(listed) > limit:
            return listed[:limit], listed[limit - 1].proposal.id or 0
        if len(batch) < PROPOSAL_BATCH_SIZE:
            return listed, 0
        after = batch[-1].id or 0
    return listed, after


def _select_unsettled_proposals(
    store: Store, config: Config, proposals: Sequence[Proposal]
) -> Iterator[UnsettledProposal]:
    """Yield the proposals that the page of their association shows, too."""
    associations = set(map(attrgetter("association"), proposals))
    data = store.conclusions.load_association_data(associations, include_closed_gaps=False)
    evaluation_time = get_current_evaluation_time(store.runs.get_latest_evaluated())
    association_by_proposal = {}
    for association_state in assemble_association_states(data.associations, data):
        view = build_association_view(association_state, config, evaluation_time, NO_OWNERS)
        for proposal in view.proposals:
            association_by_proposal[proposal.id] = view.association
    for row in proposals:
        if row.id in association_by_proposal:
            yield UnsettledProposal(row, association_by_proposal[row.id])
