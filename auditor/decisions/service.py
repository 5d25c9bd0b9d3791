"""Take, withdraw and list decisions, for the command line and the pages."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from operator import attrgetter
from typing import Any, Self

from auditor.core.formatting import format_optional_timestamp
from auditor.decisions.parsing import (
    DecisionError,
    RegisteredAccounts,
    account_subject,
    build_missing_author_error,
    has_registered_link,
    max_attestation_duration,
    parse_channel,
    parse_decision_end,
    parse_domain_expiry,
    parse_publication_day,
    require_gap_code,
    require_reason,
)
from auditor.i18n.catalogs import gettext_noop
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.decisions_in_force import (
    DISPUTE_VALIDITY,
    NO_END,
    get_decision_end,
    is_overridden_by_evidence,
    is_withdrawn,
    select_decisions_in_force,
)
from auditor.rules.domain_expiry import find_website_domain
from probes.models.finding import Identity
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Decision,
    DecisionKind,
    DecisionWithdrawal,
)
from storage.models.users import ChangeOrigin
from storage.store import Store

IMMEDIATE_DECISION_KINDS = frozenset({DecisionKind.CONFIRM, DecisionKind.WAIVE})
"""Kinds that take effect at once; the other kinds change what the next run checks."""
DECISION_SOURCE = "decision"
"""The source of registry changes by decisions in the audit log."""


@dataclass(slots=True)
class DecisionService:
    """A decision that is being taken, with its subject, author, reason and time.

    `account` is the account that was named, if any. `saved_decisions` has the stored decisions, one
    for an account that the spreadsheet lists twice.
    """

    store: Store
    registered: RegisteredAccounts
    account: str | None
    author: str
    reason: str
    now: datetime
    saved_decisions: list[Decision] = field(default_factory=list)

    @classmethod
    def create(
        cls,
        store: Store,
        channels: Collection[str],
        association: str,
        channel_or_link: str | None,
        *,
        author: str,
        reason: str,
        now: datetime,
        account: str | None = None,
    ) -> Self:
        """Validate the common parts of a decision.

        `channel_or_link` is None for the whole association. Raises DecisionError if the association
        or the channel is unknown, or if the author or reason is missing.
        """
        if store.registry.get_association(association) is None:
            raise _build_unknown_association_error(association)
        if not author.strip():
            raise build_missing_author_error()
        trimmed_reason = require_reason(reason)
        channel = ""
        if channel_or_link:
            channel, account = parse_channel(channel_or_link, account, channels)
        return cls(
            store,
            _load_registered_accounts(store, association, channel, now),
            account,
            author.strip(),
            trimmed_reason,
            now,
        )

    @property
    def account_rows(self) -> list[AccountRow]:
        """Return the rows of the account that the decision is about. Raises DecisionError."""
        return self.registered.find_accounts(self.account)

    def confirm_account(
        self, *, publication_day: str | None = None, until: str | None = None
    ) -> None:
        """Store that a person has seen the account or a publication of it. Raises DecisionError."""
        rows = self.account_rows
        most = min(map(max_attestation_duration, map(self.registered.get_status, rows)))
        day = parse_publication_day(publication_day, self.now)
        end = parse_decision_end(until, self.now, most)
        self._save_decision(self._build_decision(DecisionKind.CONFIRM, end, value=day), rows)

    def mark_none_by_choice(self, *, until: str | None = None) -> None:
        """Store that the association chose not to use the channel. Raises DecisionError."""
        if self.account is not None:
            why = "only a channel can be unused by choice"
            message = gettext_noop("You can choose not to use a channel, but not a single account.")
            raise DecisionError(self.account, why, self.registered.channel, message=message)
        self._save_decision(
            self._build_decision(DecisionKind.NONE_BY_CHOICE, parse_decision_end(until, self.now))
        )

    def claim_account(self) -> None:
        """Register an account that belongs to the association. Raises DecisionError."""
        if self.account is None:
            message = gettext_noop("Choose an account.")
            why, remedy = "no account given", "--account KEY or LINK"
            raise DecisionError(self.registered.location_text, why, remedy, message=message)
        named = self.registered.identify_account(self.account)
        if self.registered.is_registered(named.key or ""):
            message = gettext_noop("This account is already registered.")
            why, remedy = "it is already registered", "`auditor registry export -` lists it"
            raise DecisionError(self.account, why, remedy, message=message)
        self._register_account(named)

    def disown_account(self, *, until: str | None = None) -> None:
        """Store that an account or proposal belongs to someone else. Raises DecisionError."""
        theirs = self._build_decision(DecisionKind.DISOWN, parse_decision_end(until, self.now))
        if self.account is not None:
            proposed = self.registered.find_proposed_key(self.account)
            if proposed is not None and not self.registered.is_registered(proposed):
                self._save_decision(replace(theirs, value=proposed))
                return
        self._save_decision(theirs, self.account_rows)

    def mark_moved(self, *, new_link: str | None = None, until: str | None = None) -> None:
        """Store that an account has moved; register its new address, if any.

        Raises DecisionError.
        """
        rows = self.account_rows
        if new_link is None:
            end = parse_decision_end(until, self.now, DISPUTE_VALIDITY)
            self._save_decision(self._build_decision(DecisionKind.MOVED, end), rows)
            return
        new_identity = self.registered.identify_account(new_link)
        if new_identity.key == account_subject(rows[0]):
            message = gettext_noop("This is the old address.")
            why, remedy = "this is the old address", "--to with the new address"
            raise DecisionError(new_link, why, remedy, message=message)
        end = parse_decision_end(until, self.now)
        link = new_identity.canonical or new_identity.url
        self._save_decision(self._build_decision(DecisionKind.MOVED, end, value=link), rows)
        self._register_account(new_identity)

    def waive_gaps(self, *, code: str | None = None, until: str | None = None) -> None:
        """Store that one or all gaps of a channel are ignored. Raises DecisionError."""
        rows = self.account_rows if self.account is not None else []
        gap = require_gap_code(code, load_gap_catalogue())
        name = account_subject(rows[0]) if rows else None
        decision = self._build_decision(
            DecisionKind.WAIVE, parse_decision_end(until, self.now), code=gap, value=name
        )
        self._save_decision(decision, rows[:1])

    def state_domain_expiry(self, day: str) -> None:
        """Store the day on which the website's domain expires, as a person stated it.

        It counts if the registry gives no date, until the day has passed. Raises DecisionError.
        """
        rows = self.account_rows
        if not find_website_domain(rows[0]):
            message = gettext_noop("The domain name of this website belongs to a platform.")
            why, remedy = "a platform owns its domain", "a website with an own domain"
            raise DecisionError(account_subject(rows[0]), why, remedy, message=message)
        expires_on = parse_domain_expiry(day, self.now)
        end = datetime.combine(expires_on, time(23, 59, 59), UTC)
        decision = self._build_decision(
            DecisionKind.DOMAIN_EXPIRES, end, value=expires_on.isoformat()
        )
        self._save_decision(decision, rows)

    def _build_decision(
        self, kind: DecisionKind, until: datetime | None, **fields: Any
    ) -> Decision:
        registered = self.registered
        return Decision(
            registered.association,
            registered.channel,
            kind,
            self.author,
            self.reason,
            self.now,
            expires_at=until,
            **fields,
        )

    def _save_decision(self, decision: Decision, rows: Sequence[AccountRow] = ()) -> None:
        """Store the decision for each of these accounts, or for the channel."""
        ids = list(map(attrgetter("id"), rows)) or [None]
        first, *_ = [self.store.decisions.add(replace(decision, account_id=id_)) for id_ in ids]
        self.saved_decisions.append(first)

    def _register_account(self, identity: Identity) -> None:
        """Register an account with a decision that says who did it, unless it is registered."""
        registered = self.registered
        if registered.is_registered(identity.key or ""):
            return
        link = identity.canonical or identity.url or ""
        row = self.store.registry.register_account(
            AccountRow(registered.association, link, identity, registered.channel),
            self.now,
            origin=ChangeOrigin(self.author, DECISION_SOURCE),
        )
        self._save_decision(self._build_decision(DecisionKind.CLAIM, None), [row])


def withdraw_decision(
    store: Store, decision_number: str, *, author: str, reason: str, now: datetime
) -> list[Decision]:
    """Withdraw a decision with its twins and return them as they were. Raises DecisionError."""
    trimmed_reason = require_reason(reason)
    decisions = find_decision_with_twins(
        decision_number, list(store.decisions.list_decisions()), now
    )
    _withdraw_decisions(store, decisions, DecisionWithdrawal(author, trimmed_reason, now))
    return decisions


def withdraw_decisions_taken_at(
    store: Store,
    association: str,
    author: str,
    decided_at: datetime,
    withdrawal: DecisionWithdrawal,
) -> None:
    """Withdraw the decisions in force that an author took about an association at one time."""
    decisions = store.decisions.list_decisions(association=association)
    in_force = select_decisions_in_force(decisions, withdrawal.withdrawn_at)
    get_review = attrgetter("author", "decided_at")
    taken_together = [item for item in in_force if get_review(item) == (author, decided_at)]
    if taken_together:
        _withdraw_decisions(store, taken_together, withdrawal)


def _withdraw_decisions(
    store: Store, decisions: Sequence[Decision], withdrawal: DecisionWithdrawal
) -> None:
    """Withdraw decisions; the accounts that they registered are no longer audited."""
    ids, account_ids = [], []
    for decision in decisions:
        if decision.id:
            ids.append(decision.id)
        if decision.account_id and decision.kind is DecisionKind.CLAIM:
            account_ids.append(decision.account_id)
    store.decisions.withdraw(ids, withdrawal)
    origin = ChangeOrigin(withdrawal.author, DECISION_SOURCE)
    store.registry.withdraw_accounts(account_ids, withdrawal.withdrawn_at, origin=origin)


def refuse_unknown_association(store: Store, association: str) -> None:
    """Raise DecisionError if there is no association with this id."""
    if store.registry.get_association(association) is None:
        raise _build_unknown_association_error(association)


def _build_unknown_association_error(association: str) -> DecisionError:
    why, remedy = "no association has this id", "`auditor registry export -` lists them"
    return DecisionError(
        association, why, remedy, message=gettext_noop("This association isn’t in the registry.")
    )


def _load_registered_accounts(
    store: Store, association: str, channel: str, now: datetime
) -> RegisteredAccounts:
    """Load the accounts, statuses, proposals and decisions of an association on a channel."""
    rows = filter(has_registered_link, store.registry.list_accounts(association))
    statuses = store.statuses.list_account_statuses(association)
    decisions = store.decisions.list_decisions(association=association)
    return RegisteredAccounts(
        association,
        channel,
        tuple(row for row in rows if row.channel == channel),
        {status.account_id: status for status in statuses},
        tuple(store.conclusions.list_proposals(association)),
        tuple(select_decisions_in_force(decisions, now)),
    )


ENDING_SOON_PERIOD = timedelta(days=30)
"""Decisions that end within this time are listed as ending soon, so that they can be renewed."""


def find_decision_with_twins(
    decision_number: str, decisions: Iterable[Decision], now: datetime
) -> list[Decision]:
    """Return a decision and its copies for an account that the spreadsheet lists in two columns.

    Raises DecisionError if there is none with this number, or if it is not in force any more.
    """
    all_decisions = list(decisions)
    decision_by_number = {str(decision.id): decision for decision in all_decisions}
    decision = decision_by_number.get(decision_number.strip().removeprefix("#"))
    if decision is None:
        why, message = "no decision has this number", gettext_noop("This decision doesn’t exist.")
        raise DecisionError(
            decision_number, why, "`auditor decide list` lists them", message=message
        )
    if decision.withdrawal is not None:
        author, day = decision.withdrawal.author, decision.withdrawal.withdrawn_at.date()
        why, remedy = f"{author} withdrew it on {day}", "`auditor decide list` lists those in force"
        message = gettext_noop("Already cancelled by {who} on {date}.")
        raise DecisionError(decision_number, why, remedy, message=message, who=author, date=day)
    if not select_decisions_in_force([decision], now):
        day, remedy = (decision.expires_at or now).date(), "there is nothing to withdraw"
        message = gettext_noop("This decision ended on {date}; there is nothing to cancel.")
        raise DecisionError(
            decision_number, f"it ended on {day}", remedy, message=message, date=day
        )
    common = _without_ids(decision)
    return [candidate for candidate in all_decisions if _without_ids(candidate) == common]


def find_related_decisions(
    withdrawn: Iterable[Decision], decisions: Iterable[Decision], now: datetime
) -> list[Decision]:
    """Return the decisions in force that were taken together with these.

    For example, a move to a new address also claims the new account.
    """
    get_origin = attrgetter("association", "author", "decided_at")
    ids, origins = set(), set()
    for decision in withdrawn:
        ids.add(decision.id)
        origins.add(get_origin(decision))
    in_force = select_decisions_in_force(decisions, now)
    return [item for item in in_force if item.id not in ids and get_origin(item) in origins]


def _without_ids(decision: Decision) -> Decision:
    return replace(decision, id=None, account_id=None)


def build_decision_items(
    decisions: Iterable[Decision],
    accounts: Mapping[int, AccountRow],
    statuses: Mapping[int, AccountStatus],
    now: datetime,
) -> list[dict[str, Any]]:
    """Return the items of `decide list` in the order they were taken.

    docs/guides/decisions.md describes their fields.
    """
    return [_build_decision_item(decision, accounts, statuses, now) for decision in decisions]


def _build_decision_item(
    decision: Decision,
    accounts: Mapping[int, AccountRow],
    statuses: Mapping[int, AccountStatus],
    now: datetime,
) -> dict[str, Any]:
    row = accounts.get(decision.account_id or 0)
    status = statuses.get(decision.account_id or 0) or AccountStatus(decision.account_id or 0)
    state = _get_decision_state(decision, status, now)
    item = {
        "id": decision.id,
        "association": decision.association,
        "channel": decision.channel,
        "kind": decision.kind.value,
        "account": account_subject(row) if row else decision.value,
        "code": decision.code,
        "value": decision.value,
        "author": decision.author,
        "reason": decision.reason,
        "decided_at": format_optional_timestamp(decision.decided_at),
        "until": format_optional_timestamp(get_decision_end(decision, status)),
        "in_force": state in {"in_force", "ending_soon"},
        "state": state,
        "withdrawn_at": None,
        "withdrawn_by": None,
        "withdrawn_reason": None,
    }
    if decision.withdrawal is not None:
        item["withdrawn_at"] = format_optional_timestamp(decision.withdrawal.withdrawn_at)
        item["withdrawn_by"] = decision.withdrawal.author
        item["withdrawn_reason"] = decision.withdrawal.reason
    return item


def _get_decision_state(decision: Decision, status: AccountStatus, now: datetime) -> str:
    """Return the state: in_force, ending_soon, overridden, expired or withdrawn."""
    until = get_decision_end(decision, status) or NO_END
    if is_withdrawn(decision, now):
        return "withdrawn"
    if until <= now:
        return "expired"
    return _get_state_until(until, decision, status, now)


def _get_state_until(
    until: datetime, decision: Decision, status: AccountStatus, now: datetime
) -> str:
    if decision.kind is DecisionKind.CONFIRM and is_overridden_by_evidence(decision, status):
        return "overridden"
    return "ending_soon" if until <= now + ENDING_SOON_PERIOD else "in_force"
