"""One association as pages and exports show it: accounts, gaps, score, proposals."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import chain, filterfalse
from operator import attrgetter

from auditor.checking.circuit_breaker import REQUESTED_KINDS
from auditor.config.schema import Config
from auditor.core.reference.gap_catalogue import get_gap_kind, load_gap_catalogue
from auditor.core.reference.survey import load_questions
from auditor.rules import engine
from auditor.rules.account_status import ActivityBands
from auditor.rules.association import MAX_PROPOSALS, build_rule_context
from auditor.rules.association_state import (
    AccountOwners,
    AssociationState,
    EvaluationTime,
    iter_decision_ends,
    select_decisions_in_force,
)
from auditor.rules.context import DomainExpiry, EvaluatedAccount, RuleContext
from auditor.rules.link_reciprocity import classify_link_reciprocity
from auditor.rules.score import Score, compute_score, rate_points
from probes.links.channel_registry import is_optional_channel
from probes.models.finding import Activity, FactValue, Finding, LinkKind, Presence, Reason
from storage.models.audit import (
    AccountState,
    AccountStatus,
    Association,
    Decision,
    DecisionKind,
    Gap,
    GapKind,
    Proposal,
    SurveyAnswer,
)
from storage.tables.mappers import get_field_values

UNKNOWN_ITEM_CODES = {"website": "website_unknown"}
"""The code of an inconclusive check, where it is not that of all other channels."""
CHANNELS_WITHOUT_ARCHIVE = frozenset({"whatsapp"})
"""Channels whose posts disappear. An active account looks like a silent one there."""
CLOSING_DECISION_KINDS = frozenset(
    {DecisionKind.CONFIRM, DecisionKind.DISOWN, DecisionKind.MOVED, DecisionKind.NONE_BY_CHOICE}
)
"""Decisions that close gaps without a fix. An added account or a renewed domain is a fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView(AccountStatus):
    """One registered account with its status, as pages show it.

    `link_reciprocity` is reciprocal, site_only, profile_only, registry_only or contradicted.
    `rhythm_days` is the median number of days between the last publications, None if too few are
    known. `domain_expiry` is None unless it is a website with an own domain.
    """

    channel: str
    column: str
    typed: str
    kind: LinkKind
    key: str | None
    url: str
    activity_band: str
    link_reciprocity: str
    name: str | None = None
    rhythm_days: int | None = None
    domain_expiry: DomainExpiry | None = None

    @property
    def can_be_attested(self) -> bool:
        """Return True if no check can see the account, and none says that it is gone."""
        is_unseen = self.latest_presence is Presence.UNKNOWN
        return is_unseen and self.state is not AccountState.GONE and not self.is_attested

    @property
    def shown_state(self) -> str:
        """Return the state as pages and exports show it: `attested` if a person says so."""
        return "attested" if self.is_attested else self.state.value

    @property
    def activity_term(self) -> str:
        """Return the band of the activity, or `not_judged` if the channel keeps no posts."""
        has_no_archive = self.channel in CHANNELS_WITHOUT_ARCHIVE and self.key is not None
        return "not_judged" if has_no_archive and not self.last_activity else self.activity_band


@dataclass(frozen=True, slots=True)
class UncheckedItem:
    """A status that is not a gap: something could not be checked, or is not used by choice.

    `account_id` is None for a channel that is not used.
    """

    channel: str
    code: str
    params: Mapping[str, FactValue] = field(default_factory=dict)
    account_id: int | None = None


ANSWER_VALIDITY = timedelta(days=365)
"""How long an answer to the survey counts."""
OFFICER_QUESTION = "media_officer"
"""The question who runs the channels, to which the registry may have an answer too."""
REGISTRY = "registry"
"""The author of the answer that the registry gives."""


def select_valid_answers(state: AssociationState, as_of: datetime) -> dict[str, SurveyAnswer]:
    """Return the answers of an association that count, by question: the newest, for a year. Pure.

    Without an answer to who runs the channels, that of the registry counts.
    """
    questions, newest = load_questions(), {row.question: row for row in state.answers}
    valid = {}
    for code, question in questions.items():
        row = newest.get(code)
        if row and row.answer in question.answers and as_of < row.answered_at + ANSWER_VALIDITY:
            valid[code] = row
    officer = state.media_officer or ""
    if OFFICER_QUESTION not in valid and officer in questions[OFFICER_QUESTION].answers:
        valid[OFFICER_QUESTION] = SurveyAnswer(
            association=state.association.id,
            question=OFFICER_QUESTION,
            answer=officer,
            answered_at=as_of,
            author=REGISTRY,
        )
    return valid


@dataclass(frozen=True, slots=True)
class AssociationView:
    """One association.

    `gaps` are the open gaps that no other hides, by kind, the most severe first; `all_gaps` has
    every row. `watched_gaps` failed decisively, but too few runs have confirmed it: they are no
    problems yet. `waived_gaps` are ignored by a decision. `decisions` are those in force.
    `answers` to the survey are those that count, by question. `is_checked` is False before the
    first run that looks at the association; its page shows no score until then.
    """

    association: Association
    accounts: tuple[AccountView, ...]
    gaps: tuple[Gap, ...]
    all_gaps: tuple[Gap, ...]
    proposals: tuple[Proposal, ...]
    unchecked: tuple[UncheckedItem, ...]
    score: Score
    watched_gaps: tuple[Gap, ...] = ()
    none_by_choice: frozenset[str] = frozenset()
    waived_gaps: tuple[Gap, ...] = ()
    moved_channels: frozenset[str] = frozenset()
    decisions: tuple[Decision, ...] = ()
    answers: Mapping[str, SurveyAnswer] = field(default_factory=dict)
    is_checked: bool = True

    @property
    def reportable_gaps(self) -> list[Gap]:
        """Return the gaps that are or were open, without waived ones.

        Those that closed without a fix are left out: they are no good news.
        """
        return [
            gap
            for gap in self.all_gaps
            if gap.opened_at
            and gap not in self.waived_gaps
            and not (gap.closed_at and self.is_closed_by_people(gap))
        ]

    @property
    def has_most_proposals(self) -> bool:
        """Return True if no further accounts are proposed until some of these are decided."""
        return len(self.proposals) >= MAX_PROPOSALS

    def iter_gap_changes(self) -> Iterator[tuple[str, datetime, Gap]]:
        """Yield each opening and closing of a reportable gap, with its time."""
        for gap in self.reportable_gaps:
            for change, changed_at in (("opened", gap.opened_at), ("closed", gap.closed_at)):
                if changed_at:
                    yield change, changed_at, gap

    def iter_unknown_checks(self) -> Iterator[tuple[str, Reason | None]]:
        """Yield the channel and reason of each account whose newest check is unknown."""
        for account in self.accounts:
            if account.latest_presence is Presence.UNKNOWN and not account.is_attested:
                yield account.channel, account.latest_reason

    def iter_last_activities(self) -> Iterator[tuple[str, Activity]]:
        """Yield the channel and the last activity of each account that has one."""
        for account in self.accounts:
            if account.last_activity:
                yield account.channel, account.last_activity

    def accounts_on(self, channel: str) -> list[AccountView]:
        """Return the accounts on a channel."""
        return [account for account in self.accounts if account.channel == channel]

    def find_account(self, gap: Gap) -> AccountView | None:
        """Return the account that a gap is about, or None."""
        if gap.subject:
            for account in self.accounts_on(gap.channel):
                if gap.subject in (account.key, account.typed):
                    return account
        return None

    def is_closed_by_people(self, gap: Gap) -> bool:
        """Return True if a gap closed without a fix: people decided about it or the registry.

        The registry says that there is none by choice, its account is no longer registered, or a
        decision about its account or channel was taken while it was open.
        """
        account = self.find_account(gap)
        if gap.channel in self.association.none_by_choice or (gap.subject and not account):
            return True
        return any(
            decision.kind in CLOSING_DECISION_KINDS
            and decision.channel == gap.channel
            and decision.account_id in {None, account and account.account_id}
            and (gap.opened_at or gap.first_seen) <= decision.decided_at
            and (gap.closed_at is None or decision.decided_at <= gap.closed_at)
            for decision in self.decisions
        )

    def distinguishing_url(self, gap: Gap) -> str:
        """Return the URL of a gap's account if its channel has several accounts, else ""."""
        if len(self.accounts_on(gap.channel)) < 2:
            return ""
        account = self.find_account(gap)
        return account.url if account else ""


def build_association_view(
    association_state: AssociationState,
    config: Config,
    evaluation_time: EvaluationTime,
    owners: AccountOwners,
) -> AssociationView:
    """Build the view of an association. Pure."""
    context = build_rule_context(association_state, evaluation_time, owners, bands=config.activity)
    in_force = select_decisions_in_force(
        association_state.decisions, evaluation_time.now, evaluation_time.run_started_at
    )
    catalogue = load_gap_catalogue()
    gaps: list[Gap] = []
    waived: list[Gap] = []
    not_waived: list[Gap] = []
    for gap in association_state.gaps:
        # Another version may have stored gaps whose code has no texts in this one.
        if gap.first_seen > evaluation_time.now or gap.code not in catalogue.definitions:
            continue
        gaps.append(gap)
        is_waived = any(is_waiver_of(decision, gap) for decision in in_force)
        (waived if is_waived else not_waived).append(gap)
    unclosed = [gap for gap in not_waived if gap.closed_at is None]
    open_gaps = list(filter(engine.is_gap_open, unclosed))
    accounts = [
        _build_account_view(account, context, config)
        for account in context.accounts
        if account.row.identity.kind is not LinkKind.NONE
    ]
    # A proposal that is known, or may be a known account, needs no decision.
    proposals = [
        proposal
        for proposal in association_state.proposals
        if context.is_known_link(proposal.link) is False
    ]
    # A run that finds no account leaves a gap, unless the association chose to have none.
    is_checked = bool(gaps) or any(map(attrgetter("checked_at"), accounts))
    if not gaps and not accounts:
        wanted_channels = filterfalse(is_optional_channel, config.channels)
        is_checked = context.none_by_choice.issuperset(wanted_channels)
    return AssociationView(
        association=association_state.association,
        accounts=tuple(accounts),
        gaps=tuple(engine.select_visible_gaps(open_gaps, catalogue)),
        watched_gaps=tuple(
            gap
            for gap in engine.select_visible_gaps(unclosed, catalogue)
            if gap.opened_at is None and get_gap_kind(gap) is GapKind.BROKEN
        ),
        all_gaps=tuple(gaps),
        proposals=tuple(proposals),
        unchecked=(
            *_iter_unchecked_items(context, config),
            *_iter_channels_none_by_choice(context, config, in_force),
        ),
        score=compute_score(rate_points(context, config.activity, config.unmixed_channels)),
        none_by_choice=context.none_by_choice,
        waived_gaps=tuple(waived),
        moved_channels=context.moved_channels,
        decisions=tuple(in_force),
        answers=select_valid_answers(association_state, evaluation_time.run_started_at),
        is_checked=is_checked,
    )


def find_next_change_date(
    view: AssociationView, bands: ActivityBands, run_started_at: datetime
) -> date | None:
    """Return the day whose run may change the view of unchanged rows, or None. Pure.

    The activity band changes as days pass, and decisions and answers end.
    """
    change_dates = set()
    for _, activity in view.iter_last_activities():
        change_dates.add(bands.find_next_change_date(activity, run_started_at) or date.max)
    answers = view.answers.values()
    answer_ends = [row.answered_at + ANSWER_VALIDITY for row in answers if row.author != REGISTRY]
    for end in chain(answer_ends, *map(iter_decision_ends, view.decisions)):
        if end > run_started_at:
            change_dates.add(end.date())
    return min(change_dates - {date.max}, default=None)


def is_waiver_of(decision: Decision, gap: Gap) -> bool:
    """Return True if a decision says that a gap is ignored."""
    return (
        decision.kind is DecisionKind.WAIVE
        and decision.code in (None, gap.code)
        and decision.channel in ("", gap.channel)
        and decision.value in (None, "", gap.subject)
    )


def _build_account_view(
    account: EvaluatedAccount, context: RuleContext, config: Config
) -> AccountView:
    row, status = account.row, account.status
    finding = status.last_known_finding
    return AccountView(
        **get_field_values(status),
        channel=row.channel,
        column=row.column,
        typed=row.typed_text,
        kind=row.identity.kind,
        key=row.identity.key,
        url=account.url,
        activity_band=config.activity.classify_activity(status, context.run_started_at),
        link_reciprocity=classify_link_reciprocity(account, context),
        name=finding.name if finding else None,
        rhythm_days=get_rhythm_days(finding),
        domain_expiry=context.domain_expiries.get(status.account_id),
    )


def get_rhythm_days(finding: Finding | None) -> int | None:
    """Return the fact `rhythm_days` of a finding, or None."""
    if finding is None:
        return None
    days = finding.facts.get("rhythm_days")
    return days if type(days) is int else None


def _iter_unchecked_items(context: RuleContext, config: Config) -> Iterator[UncheckedItem]:
    """Yield the accounts whose newest check is missing or inconclusive.

    A link that leads to no account is a gap, not an unchecked item.
    """
    for account in context.accounts:
        status, channel = account.status, account.row.channel
        is_checkable = account.row.identity.kind in REQUESTED_KINDS
        if channel not in config.channels or not is_checkable:
            continue
        last_date = status.decided_at.date().isoformat() if status.decided_at else ""
        params: dict[str, FactValue] = {"url": account.url, "last_date": last_date}
        is_unknown = status.latest_presence is Presence.UNKNOWN
        if status.checked_at is None or status.checked_at < context.run_started_at:
            code = "not_checked"
        elif status.other_account_streak is not None:
            code = "channel_unconfirmed"
            params |= {"cause": "different_account", "found": status.other_account_streak.cause}
        elif is_unknown and status.latest_reason is not Reason.WRONG_TARGET:
            code = UNKNOWN_ITEM_CODES.get(channel, "channel_unknown")
            params["cause"] = str(status.latest_reason or "unreadable")
        else:
            continue
        yield UncheckedItem(channel, code, params, status.account_id)


def _iter_channels_none_by_choice(
    context: RuleContext, config: Config, decisions: Iterable[Decision]
) -> Iterator[UncheckedItem]:
    """Yield the channels that an association does not use by choice.

    A decision gives the reason and date; the spreadsheet only the choice.
    """
    decisions_by_channel = {}
    for decision in decisions:
        if decision.kind is DecisionKind.NONE_BY_CHOICE:
            decisions_by_channel[decision.channel] = decision
    for channel in sorted(context.none_by_choice & set(config.channels)):
        params: dict[str, FactValue] = {"cause": "none_by_choice"}
        if decided := decisions_by_channel.get(channel):
            last_date = decided.decided_at.date().isoformat()
            params = {"cause": decided.reason, "last_date": last_date}
        yield UncheckedItem(channel, "channel_waived", params)
