"""Replies of associations to their reports, ticked steps, and what waits for a coordinator.

A reply or a ticked step changes nothing by itself. Accepting a reply takes the same decision as on
the command line; after ticked steps, the next run checks.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from auditor.conclusions.association_view import AssociationView, build_association_view
from auditor.conclusions.recording import (
    EARLIEST_PUBLICATION_DAY,
    AlreadyRegisteredError,
    DecisionError,
    DecisionInput,
    identify_account,
    list_channel_accounts,
    parse_day,
    parse_domain_expiry,
    record_decision,
    require_reason,
    withdraw_decisions,
)
from auditor.conclusions.run_results import (
    NO_OWNERS,
    assemble_association_states,
    get_current_evaluation_time,
)
from auditor.config.schema import Config
from auditor.core import form_limits
from auditor.core.reference.gap_catalogue import LANGUAGES, load_gap_catalogue
from auditor.rules.association_state import DISPUTE_VALIDITY, select_decisions_in_force
from probes.links.post_numbers import read_post_links
from storage.errors import StoreError
from storage.models.audit import (
    AccountRow,
    AccountState,
    Association,
    Decision,
    DecisionKind,
    DecisionWithdrawal,
    Gap,
    Proposal,
)
from storage.models.users import FollowUpKind, ReplyKind, ReplyOutcome
from storage.store import Store
from storage.tables.communication import CompletedStep, FollowUp, Reply
from storage.tables.mappers import RegionFilter

MAX_WAITING_REPLIES = 20
"""Replies of one association that may wait, with those taken back in the last day."""
MAX_PROMISE_PERIOD = timedelta(days=366)
"""How far in the future the day of a promise may be."""
MISSING_ACCOUNT_GAPS = frozenset({"no_website", "channel_missing"})
"""Gaps to which an association may reply that it has an account."""
GAP_REPLY_KINDS = frozenset({ReplyKind.PROMISED, ReplyKind.DISPUTED})
MISSING_ACCOUNT_REPLY_KINDS = GAP_REPLY_KINDS | {ReplyKind.MOVED, ReplyKind.CLOSED}


ReplyRefusal = Literal[
    "unknown_subject",
    "invalid_address",
    "invalid_day",
    "invalid_expiry",
    "invalid_post_day",
    "invalid_post",
    "missing_text",
    "too_many",
    "already_reviewed",
]
"""The reasons to refuse a reply."""


class ReplyRefusedError(Exception):
    """A reply is refused; the argument is a `ReplyRefusal`."""


class GapForm(BaseModel):
    """A form about a gap of the report. `at` is its place there, which is shown again after."""

    model_config = ConfigDict(frozen=True)

    at: str = Field(default="", max_length=form_limits.MAX_PLACE_CHARS)
    gap_code: str = Field(default="", max_length=form_limits.MAX_CODE_CHARS)
    channel: str = Field(default="", max_length=form_limits.MAX_CODE_CHARS)
    subject: str = Field(default="", max_length=form_limits.MAX_ADDRESS_CHARS)

    def find_gap(self, view: AssociationView) -> Gap | None:
        """Return the open gap of the report that the form is about, or None."""
        named = (self.gap_code, self.channel, self.subject)
        gaps = (gap for gap in view.gaps if (gap.code, gap.channel, gap.subject) == named)
        return next(gaps, None)


class StepsForm(GapForm):
    """The ticked steps of a gap as they were submitted; `step` are numbers from 1."""

    step: list[int] = Field(default=[], max_length=form_limits.MAX_TICKED_STEPS)


class ReplyForm(GapForm):
    """A reply as it was submitted: about an account, a proposal or a gap."""

    kind: ReplyKind
    account_id: int | None = None
    proposal_id: int | None = None
    value: str = Field(default="", max_length=form_limits.MAX_ADDRESS_CHARS)
    text: form_limits.FormText = Field(default="", max_length=form_limits.MAX_NOTES_CHARS)


def save_completed_steps(
    store: Store, view: AssociationView, form: StepsForm, now: datetime
) -> None:
    """Store which steps of a gap are ticked.

    Raises ReplyRefusedError if the gap is not in the report.
    """
    gap = form.find_gap(view)
    if gap is None:
        raise ReplyRefusedError("unknown_subject")
    step_count = len(load_gap_catalogue()[gap.code].get_steps(gap.channel, LANGUAGES[0]))
    store.completed_steps.save(gap, set(form.step).intersection(range(1, step_count + 1)), now)


def select_completed_steps(gap: Gap, completed_steps: Iterable[CompletedStep]) -> frozenset[int]:
    """Return the numbers of the steps of a gap that are ticked since it was first seen."""
    return frozenset(
        row.step
        for row in completed_steps
        if (row.channel, row.code, row.subject) == (gap.channel, gap.code, gap.subject)
        and row.completed_at >= gap.first_seen
    )


def parse_reply(
    form: ReplyForm, view: AssociationView, report_link_id: int | None, now: datetime
) -> Reply:
    """Return the validated reply. Pure.

    Raises ReplyRefusedError if its subject is not in the report, or if its value is missing or
    invalid.
    """
    subject = _find_subject(form, view)
    if subject is None:
        raise ReplyRefusedError("unknown_subject")
    reply = Reply(
        association=view.association.id,
        kind=form.kind,
        submitted_at=now,
        text=form.text.strip(),
        report_link_id=report_link_id,
        **subject,
    )
    if form.kind is ReplyKind.MOVED:
        identity = identify_account(form.value.strip(), reply.channel)
        reply.value = (identity.canonical or identity.url) if identity else None
        if reply.value is None:
            raise ReplyRefusedError("invalid_address")
    if form.kind is ReplyKind.DISPUTED and not reply.text:
        raise ReplyRefusedError("missing_text")
    if form.kind is ReplyKind.SEEN:
        reply.value = _parse_post_day(form, view, now.date())
    today, latest = now.date(), (now + MAX_PROMISE_PERIOD).date()
    try:
        if form.kind is ReplyKind.PROMISED:
            reply.value = parse_day(form.value, today, latest, today, "").isoformat()
        if form.kind is ReplyKind.DOMAIN_EXPIRES:
            reply.value = parse_domain_expiry(form.value, now).isoformat()
    except DecisionError:
        is_promise = form.kind is ReplyKind.PROMISED
        raise ReplyRefusedError("invalid_day" if is_promise else "invalid_expiry") from None
    return reply


def _parse_post_day(form: ReplyForm, view: AssociationView, today: date) -> str:
    """Return the day of the newest post: the typed one, or that of the post whose link was typed.

    Raises ReplyRefusedError for a day in the future, and for a link that is no dated post of the
    account.
    """
    typed = form.value
    if not typed:
        account = next(item for item in view.accounts if item.account_id == form.account_id)
        pasted = form.text.strip()
        link = pasted if "://" in pasted else f"https://{pasted}"
        own_name = (account.key or "").rpartition("/")[2]
        for post in read_post_links([(link, "")]):
            if (post.channel, post.key.rpartition("/")[2]) == (account.channel, own_name):
                typed = post.published_at.date().isoformat()
    if not typed:
        raise ReplyRefusedError("invalid_post")
    try:
        return parse_day(typed, EARLIEST_PUBLICATION_DAY, today, today, "").isoformat()
    except DecisionError:
        raise ReplyRefusedError("invalid_post_day") from None


def _find_subject(form: ReplyForm, view: AssociationView) -> dict[str, Any] | None:
    """Return the fields that name the account, proposal or gap that a reply is about, or None."""
    kind = form.kind
    for account in view.accounts:
        is_possible = kind is not ReplyKind.PROMISED
        if kind is ReplyKind.SEEN:
            is_possible = account.can_be_attested
        if kind is ReplyKind.DOMAIN_EXPIRES:
            is_possible = account.domain_expiry is not None
        if is_possible and account.account_id == form.account_id:
            return {"channel": account.channel, "account_id": account.account_id}
    for proposal in view.proposals:
        if kind in {ReplyKind.CLAIMED, ReplyKind.DISOWNED} and proposal.id == form.proposal_id:
            return {"channel": proposal.link.channel, "value": proposal.link.key}
    gap = form.find_gap(view)
    if gap is None:
        return None
    possible_kinds = GAP_REPLY_KINDS
    if gap.code in MISSING_ACCOUNT_GAPS:
        possible_kinds = MISSING_ACCOUNT_REPLY_KINDS
    if kind not in possible_kinds:
        return None
    gap_account = view.find_account(gap)
    account_id = gap_account.account_id if gap_account is not None else None
    return {"channel": gap.channel, "code": gap.code, "account_id": account_id}


def save_reply(store: Store, reply: Reply) -> Reply:
    """Store a reply for review, or return the equal one that already waits.

    A reply that was taken back in the last day still counts, so that taking back does not lift the
    limit. Raises ReplyRefusedError if too many replies wait.
    """

    def choose_stored_reply(replies: list[Reply]) -> Reply:
        waiting = [other for other in replies if other.outcome is None]
        for other in waiting:
            if reply.is_equal_request(other):
                return other
        yesterday = reply.submitted_at - timedelta(days=1)
        withdrawn = [
            other
            for other in replies
            if other.outcome is ReplyOutcome.WITHDRAWN
            and other.reviewed_at is not None
            and other.reviewed_at > yesterday
        ]
        if len(waiting) + len(withdrawn) >= MAX_WAITING_REPLIES:
            raise ReplyRefusedError("too_many")
        return reply

    return store.replies.add_chosen(reply.association, choose_stored_reply)


def withdraw_reply(store: Store, reply_id: int, association: str, now: datetime) -> None:
    """Take back a reply that waits. The row stays and says so, and no coordinator decides on it.

    Raises ReplyRefusedError if it is not a reply of the association, or was reviewed meanwhile.
    """
    reply = store.replies.get(reply_id)
    if reply is None or reply.association != association:
        raise ReplyRefusedError("unknown_subject")
    is_withdrawn = store.replies.withdraw(reply_id, association, now)
    if not is_withdrawn and reply.outcome is not ReplyOutcome.WITHDRAWN:
        raise ReplyRefusedError("already_reviewed")


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
    store.replies.review(reply.id, ReplyOutcome.ACCEPTED, author, reason, now)
    if reply.kind is ReplyKind.PROMISED:
        store.follow_ups.add(
            FollowUp(
                association=reply.association,
                kind=FollowUpKind.PROMISED,
                author=author,
                occurred_at=now,
                text=reply.text,
                due_date=date.fromisoformat(reply.value or now.date().isoformat()),
                channel=reply.channel,
                code=reply.code,
            )
        )
        return
    grounds = " · ".join(filter(None, (reason, reply.text))) or default_reason
    try:
        for typed in _list_decisions_of_reply(store, reply, author, grounds, now):
            with suppress(AlreadyRegisteredError):
                record_decision(store, config.channels, typed, now)
    except (DecisionError, StoreError):
        store.replies.reopen(reply.id)
        raise


def _list_decisions_of_reply(
    store: Store, reply: Reply, author: str, reason: str, now: datetime
) -> Iterator[DecisionInput]:
    """Yield the decisions that an accepted reply asks for."""
    row = store.registry.get_account(reply.account_id) if reply.account_id is not None else None
    name = row.subject if row else ""
    decide = partial(
        DecisionInput,
        association=reply.association,
        author=author,
        reason=reason,
        channel=reply.channel,
    )
    value = reply.value or ""
    match reply.kind:
        case ReplyKind.CLAIMED | ReplyKind.MOVED if row is None:
            yield decide(kind=DecisionKind.CLAIM, account=value)
        # A reply does not bring a gone account back.
        case ReplyKind.CLAIMED | ReplyKind.SEEN if row and not is_account_gone(store, row):
            yield decide(kind=DecisionKind.CONFIRM, account=name, last_activity=value)
        case ReplyKind.DISOWNED:
            yield decide(kind=DecisionKind.DISOWN, account=name or value)
        case ReplyKind.MOVED:
            yield decide(kind=DecisionKind.MOVED, account=name, new_link=value)
        case ReplyKind.DISPUTED:
            until = (now + DISPUTE_VALIDITY).date().isoformat()
            yield decide(kind=DecisionKind.WAIVE, account=name, code=reply.code or "", until=until)
        case ReplyKind.DOMAIN_EXPIRES:
            yield decide(kind=DecisionKind.DOMAIN_EXPIRES, account=name, expires_on=value)
        case ReplyKind.CLOSED:
            if row:
                yield decide(kind=DecisionKind.WAIVE, account=name)
            others = list_channel_accounts(store, reply.association, reply.channel)
            if len(set(map(attrgetter("identity.key"), others))) <= 1:
                yield decide(kind=DecisionKind.NONE_BY_CHOICE)


def is_account_gone(store: Store, row: AccountRow) -> bool:
    """Return True if runs have confirmed that an account is gone."""
    status = store.statuses.get(row.id)
    return status is not None and status.state is AccountState.GONE


def decline_reply(store: Store, reply: Reply, *, author: str, reason: str, now: datetime) -> None:
    """Store that a reply was declined, with a reason that the association reads.

    Raises DecisionError without a reason, StoreError if the reply was already reviewed.
    """
    store.replies.review(reply.id, ReplyOutcome.DECLINED, author, require_reason(reason), now)


def find_decisions_taken_at(
    store: Store, association: str, author: str, decided_at: datetime, now: datetime
) -> list[Decision]:
    """Return the decisions in force that an author took about an association at one time.

    For example, a move to a new address also claims the new account.
    """
    decisions = store.decisions.list_decisions(association=association)
    return [
        item
        for item in select_decisions_in_force(decisions, now)
        if (item.author, item.decided_at) == (author, decided_at)
    ]


def undo_review(store: Store, reply: Reply, *, author: str, reason: str, now: datetime) -> None:
    """Take back the review of a reply: the reply waits again.

    The decisions that its acceptance took are withdrawn with this reason, and a promise leaves the
    follow-up log. What an acceptance records has its author and time. Does nothing if the reply has
    no review.
    """
    if reply.reviewed_by is None or reply.reviewed_at is None:
        return
    if reply.outcome is ReplyOutcome.ACCEPTED:
        review = reply.reviewed_by, reply.reviewed_at
        decisions = find_decisions_taken_at(store, reply.association, *review, now)
        # Several replies may have been accepted at once.
        own_decisions = [
            item
            for item in decisions
            if reply.kind is not ReplyKind.SEEN or item.account_id == reply.account_id
        ]
        withdraw_decisions(store, own_decisions, DecisionWithdrawal(author, reason, now))
        for entry in store.follow_ups.list_follow_ups(reply.association):
            was_recorded = (entry.author, entry.occurred_at) == review
            if was_recorded and entry.kind is FollowUpKind.PROMISED:
                store.follow_ups.remove(entry.id)
    store.replies.reopen(reply.id)


def load_waiting_replies(
    store: Store, *, after: int = 0, limit: int = 20, regions: RegionFilter = None
) -> list[dict[str, Any]]:
    """Return a page of the replies that wait for review, oldest first, after the given id.

    Each has its `association`, its `account` or `gap`, and `is_gone` if the account is gone.
    """
    waiting = []
    for reply in store.replies.list_pending(after_id=after, limit=limit, regions=regions):
        account = store.registry.get_account(reply.account_id) if reply.account_id else None
        gaps: Sequence[Gap] = ()
        if reply.code in load_gap_catalogue().definitions:
            place = (reply.channel, reply.code)
            own_gaps = store.conclusions.list_gaps(reply.association)
            gaps = [gap for gap in own_gaps if (gap.channel, gap.code) == place]
        waiting.append(
            {
                "reply": reply,
                "association": store.registry.get_association(reply.association),
                "account": account,
                "gap": gaps[-1] if gaps else None,
                "is_gone": account is not None and is_account_gone(store, account),
            }
        )
    return waiting


def load_unsettled_proposals(
    store: Store, config: Config, *, after: int = 0, limit: int = 20, regions: RegionFilter = None
) -> tuple[list[tuple[Proposal, Association]], int]:
    """Return a page of the proposals without a decision, oldest first, and where to continue.

    Each has its association. The second value is the id to continue after, 0 on the last page. The
    caller refreshes the summaries before.
    """
    listed: list[tuple[Proposal, Association]] = []
    while len(listed) <= limit:
        batch = store.search.list_open_proposals(after_id=after, regions=regions)
        if not batch:
            return listed, 0
        listed += _select_unsettled_proposals(store, config, batch)
        after = batch[-1].id
    return listed[:limit], listed[limit - 1][0].id


def _select_unsettled_proposals(
    store: Store, config: Config, proposals: Sequence[Proposal]
) -> Iterator[tuple[Proposal, Association]]:
    """Yield the proposals that the page of their association shows, too."""
    associations = set(map(attrgetter("association"), proposals))
    data = store.conclusions.load_association_data(associations, include_closed_gaps=False)
    evaluation_time = get_current_evaluation_time(store.runs.get_latest_evaluated())
    shown = {}
    for association_state in assemble_association_states(data["associations"], data):
        view = build_association_view(association_state, config, evaluation_time, NO_OWNERS)
        shown.update(dict.fromkeys(map(attrgetter("id"), view.proposals), view.association))
    for proposal in proposals:
        if proposal.id in shown:
            yield proposal, shown[proposal.id]
