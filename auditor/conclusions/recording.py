"""Record, withdraw and list decisions of people, for the command line, the pages and replies."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from typing import Any

from auditor.core.errors import TranslatableError
from auditor.core.i18n.catalogs import gettext_noop
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.account_status import is_confirmed_lost
from auditor.rules.association_state import (
    ATTESTATION_VALIDITY,
    DISPUTE_VALIDITY,
    collect_account_aliases,
    is_disowning,
    select_decisions_in_force,
)
from auditor.rules.context import find_website_domain
from probes.links import identify
from probes.models.finding import ACCOUNT_KINDS, Identity, LinkKind
from storage.errors import ChangedMeanwhileError
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Decision,
    DecisionKind,
    DecisionWithdrawal,
    Proposal,
)
from storage.models.users import ChangeOrigin
from storage.sanitize import sanitize_text
from storage.store import Store

EARLIEST_PUBLICATION_DAY = date(2000, 1, 1)
"""Earlier dates of a publication are typing mistakes."""
MAX_DOMAIN_PERIOD = timedelta(days=10 * 366)
"""No registry sells a domain for more than ten years."""
IMMEDIATE_DECISION_KINDS = frozenset({DecisionKind.CONFIRM, DecisionKind.WAIVE})
"""Kinds that take effect at once; the other kinds change what the next run checks."""
DECISION_SOURCE = "decision"
"""The source of registry changes by decisions in the audit log."""


class DecisionError(TranslatableError):
    """A decision is invalid; nothing was stored."""


class AlreadyRegisteredError(DecisionError):
    """The account that is claimed is registered already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionInput:
    """A decision as a person typed it; an empty text means not given.

    `channel` is a channel or the link of an account; without it, a waiver concerns the whole
    association. `account` is a key or a link. `last_activity` is the day of the last publication
    (`confirm`), `new_link` the new address (`moved`), `code` a gap (`waive`), and `expires_on` the
    day on which the domain expires (`domain_expires`). `until` is the last day of the decision.
    """

    association: str
    kind: DecisionKind
    author: str
    reason: str
    channel: str = ""
    account: str = ""
    until: str = ""
    last_activity: str = ""
    new_link: str = ""
    code: str = ""
    expires_on: str = ""


def record_decision(
    store: Store, channels: Collection[str], typed: DecisionInput, now: datetime
) -> list[Decision]:
    """Validate and store a decision, and register the account that it claims.

    Return what was stored, one decision for several rows of the same account. Raises DecisionError.
    """
    require_association(store, typed.association)
    author = require_author(typed.author)
    reason = require_reason(typed.reason)
    is_vague = not typed.channel and (typed.account or not typed.code)
    if typed.kind is DecisionKind.WAIVE and is_vague:
        raise DecisionError(
            typed.association,
            "an account needs a channel" if typed.account else "no channel and no code given",
            "CHANNEL, or --code CODE for that gap on any channel",
            message=gettext_noop("Choose the problem to ignore."),
        )
    typed = replace(typed, author=author, reason=reason)
    if typed.channel and typed.channel not in channels:
        # A link instead of a channel gives the account.
        named = identify.identify_link(typed.channel) if {".", "/"} & set(typed.channel) else None
        if typed.account or not named or not named.key or named.channel not in channels:
            raise DecisionError(
                typed.channel,
                "this channel is not audited",
                f"one of {' '.join(channels)}, or a link",
                message=gettext_noop("This channel is not checked."),
            )
        typed = replace(typed, channel=named.channel, account=typed.channel)
    recorder = _Recorder(store, typed, now)
    recorder.record()
    return recorder.saved


class _Recorder:
    """Records one decision about an association on a channel."""

    def __init__(self, store: Store, typed: DecisionInput, now: datetime) -> None:
        self.store, self.typed, self.now = store, typed, now
        self.rows = list_channel_accounts(store, typed.association, typed.channel)
        self.place = f"{typed.association} on {typed.channel}"
        self.saved: list[Decision] = []

    def record(self) -> None:
        """Store the decision. Raises DecisionError."""
        typed = self.typed
        match typed.kind:
            case DecisionKind.CONFIRM:
                self._confirm(self._find_accounts())
            case DecisionKind.NONE_BY_CHOICE:
                if typed.account:
                    raise DecisionError(
                        typed.account,
                        "only a channel can be unused by choice",
                        typed.channel,
                        message=gettext_noop(
                            "You can choose not to use a channel, but not a single account."
                        ),
                    )
                self._save(self._parse_end())
            case DecisionKind.CLAIM:
                self._claim()
            case DecisionKind.DISOWN:
                proposal = self._find_proposal(typed.account)
                if proposal is not None and not self._is_registered(proposal.link.key):
                    self._save(self._parse_end(), value=proposal.link.key)
                else:
                    self._save(self._parse_end(), self._find_accounts())
            case DecisionKind.MOVED:
                self._move(self._find_accounts())
            case DecisionKind.WAIVE:
                self._waive()
            case DecisionKind.DOMAIN_EXPIRES:
                self._state_domain_expiry(self._find_accounts())

    def _confirm(self, rows: Sequence[AccountRow]) -> None:
        """Record that a person saw the account.

        The decision ends earlier if it contradicts a confirmed absence.
        """
        is_dispute = any(is_confirmed_lost(self._get_status(row)) for row in rows)
        day, today = self.typed.last_activity, self.now.date()
        remedy = f"--last-activity {today}"
        if day:
            day = parse_day(day, EARLIEST_PUBLICATION_DAY, today, today, remedy).isoformat()
        end = self._parse_end(DISPUTE_VALIDITY if is_dispute else ATTESTATION_VALIDITY)
        self._save(end, rows, value=day or None)

    def _claim(self) -> None:
        """Register an account that belongs to the association."""
        if not self.typed.account:
            raise DecisionError(
                self.place,
                "no account given",
                "--account KEY or LINK",
                message=gettext_noop("Choose an account."),
            )
        identity = self._identify_account(self.typed.account)
        if self._is_registered(identity.key):
            raise AlreadyRegisteredError(
                self.typed.account,
                "it is already registered",
                "`auditor registry export -` lists it",
                message=gettext_noop("This account is already registered."),
            )
        self._register(identity)

    def _move(self, rows: Sequence[AccountRow]) -> None:
        """Record that the account has moved, and register its new address if it is known."""
        if not self.typed.new_link:
            self._save(self._parse_end(DISPUTE_VALIDITY), rows)
            return
        identity = self._identify_account(self.typed.new_link)
        if identity.key == rows[0].subject:
            raise DecisionError(
                self.typed.new_link,
                "this is the old address",
                "--to with the new address",
                message=gettext_noop("This is the old address."),
            )
        self._save(self._parse_end(), rows, value=identity.canonical or identity.url)
        if not self._is_registered(identity.key):
            self._register(identity)

    def _waive(self) -> None:
        """Ignore a gap, or whatever concerns an account, a channel or the association."""
        code = self.typed.code
        rows = self._find_accounts()[:1] if self.typed.account else []
        definition = load_gap_catalogue().definitions.get(code)
        if code and (definition is None or not definition.is_gap):
            raise DecisionError(
                code,
                "this is a status, not a gap" if definition else "no gap has this code",
                "`auditor gaps` lists the open ones",
                message=gettext_noop("This problem doesn’t exist."),
            )
        subject = rows[0].subject if rows else None
        self._save(self._parse_end(), rows, code=code or None, value=subject)

    def _state_domain_expiry(self, rows: Sequence[AccountRow]) -> None:
        """Record when the domain expires.

        The day counts if the registry gives none, until it has passed.
        """
        if not find_website_domain(rows[0]):
            raise DecisionError(
                rows[0].subject,
                "a platform owns its domain",
                "a website with an own domain",
                message=gettext_noop("The domain name of this website belongs to a platform."),
            )
        day = parse_domain_expiry(self.typed.expires_on, self.now)
        self._save(_end_of_day(day), rows, value=day.isoformat())

    def _parse_end(self, max_duration: timedelta | None = None) -> datetime | None:
        """Return the end of the typed day, or the longest duration from now. None means never."""
        latest_end = self.now + max_duration if max_duration is not None else None
        if not self.typed.until:
            return latest_end
        today = self.now.date()
        remedy = f"--until {today + timedelta(days=90)}"
        day = parse_day(self.typed.until, today, date.max, today, remedy)
        if latest_end is not None and max_duration is not None and day > latest_end.date():
            raise DecisionError(
                self.typed.until,
                f"such a decision lasts {max_duration.days} days at most",
                f"--until {latest_end.date()}",
                message=gettext_noop("This can last until {date} at most. Choose an earlier date."),
                date=latest_end,
            )
        return _end_of_day(day)

    def _find_accounts(self) -> list[AccountRow]:
        """Return the rows of the named account, or of the only account on the channel.

        An account that the spreadsheet lists in two columns has two rows.
        """
        typed, rows = self.typed.account, self.rows
        if typed:
            named = identify.identify_link(typed, self.typed.channel)
            named_key = named.key if named.channel == self.typed.channel else None
            rows = []
            for row in self.rows:
                keys = collect_account_aliases(row, self._get_status(row))
                if typed in {row.typed_text, *keys} or named_key in keys:
                    rows.append(row)
        if len(set(map(attrgetter("subject"), rows))) == 1:
            return rows
        names = dict.fromkeys(map(attrgetter("subject"), self.rows))
        remedy = f"--account {' or '.join(names)}"
        if not self.rows:
            remedy = "list it in the spreadsheet and import it, or `auditor decide claim`"
            message = gettext_noop("The registry lists no account for it on this channel.")
            raise DecisionError(
                self.place, "it has no account on this channel", remedy, message=message
            )
        if typed:
            message = gettext_noop("The registry lists no account for it at this address: {typed}")
            why = f"{self.place} has no such account"
            raise DecisionError(typed, why, remedy, message=message, typed=typed)
        message = gettext_noop("It has several accounts on this channel. Choose one.")
        why = "it has several accounts on this channel"
        raise DecisionError(self.place, why, remedy, message=message)

    def _get_status(self, row: AccountRow) -> AccountStatus:
        return self.store.statuses.get(row.id) or AccountStatus(row.id)

    def _is_registered(self, key: str | None) -> bool:
        return any(key == row.identity.key for row in self.rows)

    def _find_proposal(self, typed: str) -> Proposal | None:
        channel = self.typed.channel
        names = {typed, identify.identify_link(typed, channel).key}
        proposals = self.store.conclusions.list_proposals(self.typed.association)
        places = {(channel, name) for name in names}
        return next((row for row in proposals if (row.link.channel, row.link.key) in places), None)

    def _identify_account(self, typed: str) -> Identity:
        """Return the account that a link, or the key of a proposal, names.

        Raises DecisionError if it names none, or if a decision in force says that this account is
        not the association's or has moved.
        """
        channel, proposal = self.typed.channel, self._find_proposal(typed)
        identity = identify_account(proposal.link.canonical if proposal else typed, channel)
        if identity is None:
            raise DecisionError(
                typed,
                f"not a {channel} account",
                "`auditor identify` shows what a link is",
                message=gettext_noop("This address is not a {channel} account."),
                channel=channel,
            )
        key = identity.key
        ids = {row.id for row in self.rows if row.identity.key == key}
        decisions = self.store.decisions.list_decisions(association=self.typed.association)
        for decision in filter(is_disowning, select_decisions_in_force(decisions, self.now)):
            if decision.account_id in ids or decision.value == key:
                raise DecisionError(
                    typed,
                    f"a decision of {decision.author} says {decision.kind}",
                    f"`auditor decide withdraw {decision.id}` first",
                    message=gettext_noop(
                        "{who} decided otherwise earlier. Withdraw that decision first."
                    ),
                    who=decision.author,
                )
        return identity

    def _register(self, identity: Identity) -> None:
        """Register an account with a decision that says who did it."""
        row = self.store.registry.register_account(
            AccountRow(
                association=self.typed.association,
                typed_text=identity.canonical or identity.url or "",
                identity=identity,
                column=self.typed.channel,
            ),
            self.now,
            origin=ChangeOrigin(self.typed.author, DECISION_SOURCE),
        )
        self._save(None, [row], kind=DecisionKind.CLAIM)

    def _save(self, end: datetime | None, rows: Sequence[AccountRow] = (), **values: Any) -> None:
        """Store the decision for each of these accounts, or for the channel."""
        typed = self.typed
        decision = Decision(
            association=typed.association,
            channel=typed.channel,
            kind=typed.kind,
            author=typed.author,
            reason=typed.reason,
            decided_at=self.now,
            expires_at=end,
        )
        decision = replace(decision, **values)
        ids: list[int | None] = [row.id for row in rows] or [None]
        saved = [self.store.decisions.add(replace(decision, account_id=id_)) for id_ in ids]
        self.saved.append(saved[0])


def list_channel_accounts(store: Store, association: str, channel: str) -> list[AccountRow]:
    """Return the registered accounts of an association on a channel. "None" in a cell is none."""
    rows = store.registry.list_accounts(association)
    return [
        row for row in rows if row.channel == channel and row.identity.kind is not LinkKind.NONE
    ]


def identify_account(link: str, channel: str) -> Identity | None:
    """Return the account of a channel that a link names, or None."""
    identity = identify.identify_link(link, channel)
    is_account = identity.key is not None and identity.kind in ACCOUNT_KINDS
    return identity if is_account and identity.channel == channel else None


def require_association(store: Store, association: str) -> None:
    """Raise DecisionError if there is no association with this id."""
    if store.registry.get_association(association) is None:
        raise DecisionError(
            association,
            "no association has this id",
            "`auditor registry export -` lists them",
            message=gettext_noop("This association isn’t in the registry."),
        )


def require_author(author: str) -> str:
    """Return the trimmed author. Raises DecisionError if nothing of it can be stored."""
    if trimmed := sanitize_text(author).strip():
        return trimmed
    message = gettext_noop("Enter who said so.")
    raise DecisionError("--author", "no author given", "--author NAME", message=message)


def require_reason(reason: str) -> str:
    """Return the trimmed reason. Raises DecisionError if nothing of it can be stored."""
    if trimmed := sanitize_text(reason).strip():
        return trimmed
    message = gettext_noop("Enter a reason.")
    raise DecisionError("--reason", "no reason given", "--reason TEXT", message=message)


def parse_domain_expiry(typed: str, now: datetime) -> date:
    """Return the day on which a domain expires. Raises DecisionError."""
    today = now.date()
    latest = (now + MAX_DOMAIN_PERIOD).date()
    return parse_day(typed, today, latest, today, str(today + timedelta(days=90)))


def parse_day(typed: str, earliest: date, latest: date, today: date, remedy: str) -> date:
    """Return a typed day. Raises DecisionError if it is not a date, or not between two days."""
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        message = gettext_noop("Enter a date, for example 28/11/2026.")
        raise DecisionError(typed, "not a date", remedy, message=message) from None
    if earliest <= day <= latest:
        return day
    if day < earliest == today:
        why, message = "this day is in the past", gettext_noop("The date is in the past.")
    elif day < earliest:
        why = "this day is too far in the past"
        message = gettext_noop("The date is too far in the past.")
    elif latest == today:
        why, message = "this day is in the future", gettext_noop("The date is in the future.")
    else:
        why = "this day is too far in the future"
        message = gettext_noop("The date is too far in the future.")
    raise DecisionError(typed, why, remedy, message=message)


def _end_of_day(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), UTC)


def withdraw_decision(
    store: Store, decision_number: str, *, author: str, reason: str, now: datetime
) -> list[Decision]:
    """Withdraw a decision in force and return it as it was. Raises DecisionError.

    Its copies for an account that the spreadsheet lists in two columns are withdrawn, too.
    """
    reason = require_reason(reason)
    decisions = list(store.decisions.list_decisions())
    number = decision_number.strip().removeprefix("#")
    decision = next((item for item in decisions if str(item.id) == number), None)
    if decision is None:
        raise DecisionError(
            decision_number,
            "no decision has this number",
            "`auditor decide list` lists them",
            message=gettext_noop("This decision doesn’t exist."),
        )
    if decision.withdrawal is not None:
        by, day = decision.withdrawal.author, decision.withdrawal.withdrawn_at.date()
        raise DecisionError(
            decision_number,
            f"{by} withdrew it on {day}",
            "`auditor decide list` lists those in force",
            message=gettext_noop("Already withdrawn by {who} on {date}."),
            who=by,
            date=day,
        )
    if not select_decisions_in_force([decision], now):
        day = (decision.expires_at or now).date()
        raise DecisionError(
            decision_number,
            f"it ended on {day}",
            "there is nothing to withdraw",
            message=gettext_noop("This decision ended on {date}; there is nothing to withdraw."),
            date=day,
        )
    copies = [
        item
        for item in decisions
        if replace(item, id=decision.id, account_id=decision.account_id) == decision
    ]
    withdraw_decisions(store, copies, DecisionWithdrawal(author, reason, now))
    return copies


def withdraw_decisions(
    store: Store, decisions: Sequence[Decision], withdrawal: DecisionWithdrawal
) -> None:
    """Withdraw decisions; the accounts that they registered are no longer audited."""
    store.decisions.withdraw(list(map(attrgetter("id"), decisions)), withdrawal)
    claimed_ids = [
        item.account_id for item in decisions if item.account_id and item.kind is DecisionKind.CLAIM
    ]
    origin = ChangeOrigin(withdrawal.author, DECISION_SOURCE)
    store.registry.withdraw_accounts(claimed_ids, withdrawal.withdrawn_at, origin=origin)


def restore_decisions(
    store: Store,
    decisions: Sequence[Decision],
    author: str,
    now: datetime,
    *,
    withdrawn_at: datetime,
) -> None:
    """Take decisions again that were withdrawn together, and register the accounts they claim.

    Raises ChangedMeanwhileError if anything was decided about their association since then.
    """
    stored = store.decisions.list_decisions(association=decisions[0].association)
    if any(decision.decided_at > withdrawn_at for decision in stored):
        raise ChangedMeanwhileError
    origin = ChangeOrigin(author, DECISION_SOURCE)
    for decision in decisions:
        is_claim = decision.kind is DecisionKind.CLAIM
        if is_claim and (account := store.registry.get_account(decision.account_id or 0)):
            store.registry.register_account(account, now, origin=origin)
        store.decisions.add(replace(decision, decided_at=now, withdrawal=None))
