"""Data of a coordinator's page about one association: channels, gaps, decisions, events.

Only rows of that association are read.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from operator import attrgetter
from typing import Any, Self

from auditor.config.schema import Config
from auditor.decisions.recording import build_decision_items
from auditor.decisions.replies import select_completed_steps
from auditor.evaluation.association_view import AccountView, AssociationView, is_waiver_of
from auditor.evaluation.run_results import index_by_account
from auditor.evaluation.summary import apply_open_gaps, summarize_channel
from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import get_gap_kind
from auditor.rules.account_status import StatusOutlook, iter_status_outlooks
from auditor.rules.engine import is_gap_open, was_closed_since
from auditor.views.history import CheckHistory, load_check_history
from probes.links.channel_registry import is_optional_channel
from storage.models.audit import GAP_KINDS, AccountState, AccountStatus, Decision, Gap, GapKind
from storage.models.summaries import ChannelStatus, ChannelSummary
from storage.store import Store
from storage.tables.communication import CompletedStep, FollowUp, Reply


@dataclass(frozen=True, slots=True)
class AccountDetail:
    """A registered account: its status, and what a person decided about it.

    `decisions` are items of `auditor decide list --json`. `outlooks` are the status changes that
    further runs may confirm, or would need to.
    """

    account: AccountView
    status: ChannelStatus
    gaps: tuple[Gap, ...]
    decisions: tuple[Mapping[str, Any], ...]
    outlooks: tuple[StatusOutlook, ...]


@dataclass(frozen=True, slots=True)
class ChannelDetail:
    """An association on a channel.

    `strip` is that of `CheckHistory`. `decisions` are about the channel as a whole.
    """

    channel: str
    summary: ChannelSummary
    strip: tuple[str, ...]
    accounts: tuple[AccountDetail, ...]
    decisions: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class GapDetail:
    """An open problem, and the numbers of the steps that the association has ticked."""

    gap: Gap
    completed_steps: frozenset[int]

    @property
    def next_step(self) -> int:
        """Return the number of the first step that is not ticked. It may be after the last one."""
        return next(step for step in count(1) if step not in self.completed_steps)


@dataclass(frozen=True, slots=True)
class GapGroup:
    """The open problems of one kind."""

    kind: GapKind
    problems: tuple[GapDetail, ...]


RECENT_PERIOD = timedelta(days=30)
"""How long a closed gap is listed."""
MAX_EVENTS = 60
"""How many events are listed at most."""
NEWEST_EVENTS = 10
"""How many events are shown at once. The others are folded."""


@dataclass(frozen=True, slots=True)
class AssociationEvent:
    """Something that happened to an association.

    `kind` is "opened" or "closed" for a gap, "decided" or "withdrawn" for a decision, "replied" for
    a reply and "contacted" for a follow-up.
    """

    occurred_at: datetime
    kind: str
    subject: Gap | Decision | Reply | FollowUp


@dataclass(frozen=True, slots=True)
class AssociationDetail:
    """One association as its coordinator sees it.

    `waived_gaps` are open gaps that a decision hides, each with the newest such decision.
    `decisions` are items as `auditor decide list --json` prints them, newest first; only those that
    count.
    """

    view: AssociationView
    channels: tuple[ChannelDetail, ...]
    gap_groups: tuple[GapGroup, ...]
    recently_closed_gaps: tuple[Gap, ...]
    waived_gaps: tuple[tuple[Gap, Decision], ...]
    decisions: tuple[Mapping[str, Any], ...]
    events: tuple[AssociationEvent, ...]
    hidden_event_count: int
    pending_replies: tuple[Reply, ...]

    @property
    def newest_events(self) -> tuple[AssociationEvent, ...]:
        """Return the events that are shown at once."""
        return self.events[:NEWEST_EVENTS]

    def list_unchecked_channels(self, translator: Translator) -> list[str]:
        """Return the names of the channels that the newest run could not check."""
        unchecked = [item for item in self.view.unchecked if item.code != "channel_waived"]
        channels = dict.fromkeys(map(attrgetter("channel"), unchecked))
        return list(map(translator.channel_name, channels))

    @property
    def older_events(self) -> tuple[AssociationEvent, ...]:
        """Return the events that are folded."""
        return self.events[NEWEST_EVENTS:]


def build_association_detail(
    store: Store,
    view: AssociationView,
    config: Config,
    now: datetime,
    *,
    include_private: bool = True,
) -> AssociationDetail:
    """Build the page data of one association.

    Replies and follow-ups are left out unless `include_private` is true.
    """
    association_id = view.association.id
    history = load_check_history(store, [association_id])
    decisions = tuple(store.decisions.list_decisions(association=association_id))
    replies: Sequence[Reply] = ()
    follow_ups: Sequence[FollowUp] = ()
    if include_private:
        replies = list(store.replies.list_replies(association_id))
        follow_ups = store.follow_ups.list_follow_ups(association_id)
    builder = ChannelDetailBuilder.create(store, view, config, decisions, now)
    completed_steps = store.completed_steps.list_completed_steps(association_id)
    events = tuple(list_events(view, decisions, replies, follow_ups))
    return AssociationDetail(
        view=view,
        channels=tuple(builder.iter_channels(history)),
        gap_groups=tuple(_group_gaps(view.gaps, completed_steps)),
        recently_closed_gaps=tuple(
            gap for gap in view.reportable_gaps if was_closed_since(gap, now - RECENT_PERIOD)
        ),
        waived_gaps=tuple(_find_waived_gaps(view)),
        decisions=tuple(reversed(builder.decisions)),
        events=events[:MAX_EVENTS],
        hidden_event_count=len(events[MAX_EVENTS:]),
        pending_replies=tuple(reply for reply in replies if reply.outcome is None),
    )


def _group_gaps(
    gaps: Iterable[Gap], completed_steps: Collection[CompletedStep]
) -> Iterator[GapGroup]:
    """Yield the kinds that have gaps, in the order of lists."""
    items_by_kind = defaultdict[GapKind, list[GapDetail]](list)
    for gap in gaps:
        item = GapDetail(gap, select_completed_steps(gap, completed_steps))
        items_by_kind[get_gap_kind(gap)].append(item)
    for kind in GAP_KINDS:
        if kind in items_by_kind:
            yield GapGroup(kind, tuple(items_by_kind[kind]))


STATUS_BY_ACCOUNT_STATE = {
    AccountState.PRESENT: ChannelStatus.PRESENT,
    AccountState.GONE: ChannelStatus.BROKEN,
}


@dataclass(frozen=True, slots=True)
class ChannelDetailBuilder:
    """Builds the channels of one association.

    `decisions` are the items of the decisions that count. `account_ids` are the accounts that they
    are about, by decision; None for a decision about a channel.
    """

    view: AssociationView
    config: Config
    statuses: Mapping[int, AccountStatus]
    decisions: tuple[Mapping[str, Any], ...]
    account_ids: Mapping[int, int | None]

    @classmethod
    def create(
        cls,
        store: Store,
        view: AssociationView,
        config: Config,
        decisions: Sequence[Decision],
        now: datetime,
    ) -> Self:
        """Load the statuses and accounts of the association."""
        association_id = view.association.id
        statuses = index_by_account(store.statuses.list_account_statuses(association_id))
        accounts = store.registry.list_accounts(association_id, include_withdrawn=True)
        account_by_id = {account.id: account for account in accounts if account.id}
        items = build_decision_items(decisions, account_by_id, statuses, now)
        counting = [item for item in items if item["in_force"] or item["state"] == "overridden"]
        account_ids = dict(map(attrgetter("id", "account_id"), decisions))
        return cls(view, config, statuses, tuple(counting), account_ids)

    def iter_channels(self, history: CheckHistory) -> Iterator[ChannelDetail]:
        """Yield the channels that every association should have, and those with an account."""
        account_channels = map(attrgetter("channel"), self.view.accounts)
        for channel in dict.fromkeys([*self.config.channels, *account_channels]):
            accounts = self.view.accounts_on(channel)
            if not accounts and is_optional_channel(channel):
                continue
            decisions = self._select_decisions(None)
            yield ChannelDetail(
                channel,
                summarize_channel(self.view, channel),
                history.get_strip(self.view.association.id, channel),
                tuple(map(self.build_account, accounts)),
                tuple(item for item in decisions if item["channel"] == channel),
            )

    def _select_decisions(self, account_id: int | None) -> list[Mapping[str, Any]]:
        """Return the decisions about an account, or those about no account."""
        return [item for item in self.decisions if self.account_ids[item["id"]] == account_id]

    def _select_gaps(self, account: AccountView) -> list[Gap]:
        """Return the gaps about an account, or about its channel as a whole."""
        return [gap for gap in self.view.gaps if is_gap_of_account(gap, account)]

    def build_account(self, account: AccountView) -> AccountDetail:
        """Return the details of one account."""
        status = self.statuses.get(account.account_id)
        outlooks = iter_status_outlooks(status, self.config.confirm) if status else ()
        return AccountDetail(
            account,
            self._choose_status(account),
            tuple(self._select_gaps(account)),
            tuple(self._select_decisions(account.account_id)),
            tuple(outlooks),
        )

    def _choose_status(self, account: AccountView) -> ChannelStatus:
        """Return the status of an account, which is that of the channel if it is the only one.

        If there are several, the gaps about the account decide, then its state.
        """
        if len(self.view.accounts_on(account.channel)) == 1:
            return summarize_channel(self.view, account.channel).status
        status = STATUS_BY_ACCOUNT_STATE.get(account.state, ChannelStatus.UNKNOWN)
        if account.state is AccountState.UNKNOWN and account.checked_at is None:
            status = ChannelStatus.NOT_CHECKED
        return apply_open_gaps(status, filter(attrgetter("subject"), self._select_gaps(account)))


def is_gap_of_account(gap: Gap, account: AccountView) -> bool:
    """Return True if a gap is about an account, or about the channel as a whole."""
    return gap.channel == account.channel and gap.subject in {"", account.key, account.typed}


def _find_waived_gaps(view: AssociationView) -> Iterator[tuple[Gap, Decision]]:
    """Yield the open gaps that are waived, each with the newest decision that waives it."""
    for gap in view.waived_gaps:
        if is_gap_open(gap):
            yield gap, _find_newest_waiver(view.decisions, gap)


def _find_newest_waiver(decisions: Sequence[Decision], gap: Gap) -> Decision:
    """Return the newest decision that waives a waived gap."""
    return next(decision for decision in reversed(decisions) if is_waiver_of(decision, gap))


def list_events(
    view: AssociationView,
    decisions: Iterable[Decision],
    replies: Iterable[Reply] = (),
    follow_ups: Iterable[FollowUp] = (),
) -> list[AssociationEvent]:
    """Return what happened to an association, newest first. Waived gaps are left out."""
    events = [
        *_iter_gap_events(view),
        *_iter_decision_events(decisions),
        *_iter_contact_events(replies, follow_ups),
    ]
    return sorted(events, key=attrgetter("occurred_at"), reverse=True)


def _iter_contact_events(
    replies: Iterable[Reply], follow_ups: Iterable[FollowUp]
) -> Iterator[AssociationEvent]:
    for reply in replies:
        yield AssociationEvent(reply.submitted_at, "replied", reply)
    for entry in follow_ups:
        yield AssociationEvent(entry.occurred_at, "contacted", entry)


def _iter_gap_events(view: AssociationView) -> Iterator[AssociationEvent]:
    """Yield all openings of gaps, then all closings: the order of events at the same time."""
    changes = list(view.iter_gap_changes())
    for kind in ("opened", "closed"):
        for change, changed_at, gap in changes:
            if change == kind:
                yield AssociationEvent(changed_at, kind, gap)


def _iter_decision_events(decisions: Iterable[Decision]) -> Iterator[AssociationEvent]:
    recorded = list(decisions)
    for decision in recorded:
        yield AssociationEvent(decision.decided_at, "decided", decision)
    for decision in recorded:
        if decision.withdrawal:
            yield AssociationEvent(decision.withdrawal.withdrawn_at, "withdrawn", decision)
