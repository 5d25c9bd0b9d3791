"""Parse and validate the input of a decision: account, dates, reason, gap code. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from auditor.core.errors import TranslatableError
from auditor.i18n.catalogs import gettext_noop
from auditor.reference.gap_catalogue import GapCatalogue
from auditor.rules.account_status import ATTESTATION_VALIDITY, DISPUTE_VALIDITY, is_confirmed_lost
from auditor.rules.association import DISOWNING_DECISION_KINDS, collect_account_aliases
from probes.links import identify
from probes.models.finding import ACCOUNT_KINDS, Identity, LinkKind
from storage.models.audit import AccountRow, AccountStatus, Decision, Proposal

EARLIEST_PUBLICATION_DAY = date(2000, 1, 1)
"""Earlier dates of a publication are typing mistakes."""
GAP_CODES_HINT = "`auditor gaps` lists the open ones"


class DecisionError(TranslatableError):
    """A decision is invalid; nothing was stored."""


def build_missing_author_error() -> DecisionError:
    """Return the error for a decision without an author."""
    said = gettext_noop("Enter who said so.")
    return DecisionError("--author", "no author given", "--author NAME", message=said)


def require_reason(reason: str) -> str:
    """Return the trimmed reason. Raises DecisionError if it is empty."""
    if not reason.strip():
        said = gettext_noop("Enter a reason.")
        cause = "no reason given"
        raise DecisionError("--reason", cause, "--reason TEXT", message=said)
    return reason.strip()


def build_waiver_target_error(what: str, why: str) -> DecisionError:
    """Return the error for a waiver without a channel or gap code."""
    remedy = "CHANNEL, or --code CODE for that gap on any channel"
    return DecisionError(what, why, remedy, message=gettext_noop("Choose the problem to ignore."))


@dataclass(frozen=True, slots=True)
class RegisteredAccounts:
    """The registered and proposed accounts of one association on one channel."""

    association: str
    channel: str
    rows: tuple[AccountRow, ...]
    statuses: Mapping[int, AccountStatus]
    proposals: tuple[Proposal, ...] = ()
    decisions: tuple[Decision, ...] = ()

    def get_status(self, row: AccountRow) -> AccountStatus:
        """Return the stored status of an account, without decisions."""
        return self.statuses.get(row.id or 0) or AccountStatus(row.id or 0)

    def find_accounts(self, typed: str | None) -> list[AccountRow]:
        """Return the rows of the named account, or of the only account on the channel.

        An account that the spreadsheet lists in two columns has two rows. Raises DecisionError if
        no account matches, or if there are several and none is named.
        """
        found = [row for row in self.rows if typed is None or self._is_account_named(row, typed)]
        if len({account_subject(row) for row in found}) == 1:
            return found
        if typed is not None and self.rows:
            said = gettext_noop("The association has no account at this address: {typed}")
            why = f"{self.location_text} has no such account"
            raise DecisionError(typed, why, self._build_account_hint(), message=said, typed=typed)
        if found:
            said = gettext_noop("It has several accounts on this channel. Choose one.")
            raise DecisionError(
                self.location_text,
                "it has several accounts on this channel",
                self._build_account_hint(),
                message=said,
            )
        said = gettext_noop("It has no account on this channel.")
        raise DecisionError(
            self.location_text,
            "it has no account on this channel",
            self._build_account_hint(),
            message=said,
        )

    def is_registered(self, key: str) -> bool:
        """Return True if an account with this key is registered."""
        return any(row.identity.key == key for row in self.rows)

    def find_proposed_key(self, typed: str) -> str | None:
        """Return the key of the proposal that a text names, or None."""
        found = self._find_proposal(typed)
        return found.link.key if found else None

    def identify_account(self, typed: str) -> Identity:
        """Return the account that a link, or the key of a proposal, names.

        Raises DecisionError if it names none, or if a decision in force says that this account is
        not the association's or has moved.
        """
        found = self._find_proposal(typed)
        there = identify.identify_link(found.link.canonical if found else typed, self.channel)
        if there.channel != self.channel or there.key is None or there.kind not in ACCOUNT_KINDS:
            why, remedy = (
                f"not a {self.channel} account",
                "`auditor identify` shows what a link is",
            )
            said = gettext_noop("This address is not a {channel} account.")
            raise DecisionError(typed, why, remedy, message=said, channel=self.channel)
        for word in self._iter_conflicting_decisions(there.key):
            why, remedy = (
                f"a decision of {word.author} says {word.kind}",
                f"`auditor decide withdraw {word.id}` first",
            )
            said = gettext_noop("{who} decided otherwise earlier. Cancel that decision first.")
            raise DecisionError(typed, why, remedy, message=said, who=word.author)
        return there

    def _iter_conflicting_decisions(self, key: str) -> Iterator[Decision]:
        ids = {row.id for row in self.rows if row.identity.key == key}
        for word in self.decisions:
            if word.kind in DISOWNING_DECISION_KINDS and (
                word.account_id in ids or word.value == key
            ):
                yield word

    def _find_proposal(self, typed: str) -> Proposal | None:
        names = {typed, identify.identify_link(typed, self.channel).key}
        found = (row for row in self.proposals if row.link.channel == self.channel)
        return next((row for row in found if row.link.key in names), None)

    def _is_account_named(self, row: AccountRow, typed: str) -> bool:
        named = identify.identify_link(typed, self.channel)
        keys = collect_account_aliases(row, self.get_status(row))
        return typed in {row.typed_text, *keys} or (
            named.channel == self.channel and named.key in keys
        )

    @property
    def location_text(self) -> str:
        """Return the association and channel for messages."""
        return f"{self.association} on {self.channel}"

    def _build_account_hint(self) -> str:
        names = list(dict.fromkeys(account_subject(row) for row in self.rows))
        if names:
            return f"--account {' or '.join(names)}"
        return "list it in the spreadsheet and import it, or `auditor decide claim`"


def account_subject(row: AccountRow) -> str:
    """Return the text that names an account: its key, or what was typed."""
    return row.identity.key or row.typed_text


def has_registered_link(row: AccountRow) -> bool:
    """Return True if a cell contains a link; "none" is not one."""
    return row.identity.kind is not LinkKind.NONE


def parse_channel(
    channel_or_link: str, account: str | None, channels: Collection[str]
) -> tuple[str, str | None]:
    """Return the channel and the account; a link instead of a channel gives both.

    Raises DecisionError if it is neither an audited channel nor a link on one.
    """
    if channel_or_link in channels:
        return channel_or_link, account
    named = identify.identify_link(channel_or_link)
    if (
        account is None
        and {".", "/"} & set(channel_or_link)
        and named.key
        and named.channel in channels
    ):
        return named.channel, channel_or_link
    remedy, said = (
        f"one of {' '.join(channels)}, or a link",
        gettext_noop("This channel is not checked."),
    )
    raise DecisionError(channel_or_link, "this channel is not audited", remedy, message=said)


def parse_decision_end(
    until: str | None, now: datetime, max_duration: timedelta | None = None
) -> datetime | None:
    """Return when a decision ends: the end of the typed day, or the longest duration from now.

    None means never. Raises DecisionError for an invalid date, a past one, or one beyond the
    longest duration.
    """
    last = now + max_duration if max_duration is not None else None
    if until is None:
        return last
    day = _parse_day(until, f"--until {_example_end_day(now)}")
    if day < now.date():
        said = gettext_noop("The date is in the past.")
        raise DecisionError(
            until, "this day is in the past", f"--until {_example_end_day(now)}", message=said
        )
    if last is not None and day > last.date():
        why = f"such a decision lasts {(last - now).days} days at most"
        said = gettext_noop("This can last until {date} at most. Choose an earlier date.")
        raise DecisionError(until, why, f"--until {last.date()}", message=said, date=last)
    return datetime.combine(day, time(23, 59, 59), UTC)


def parse_publication_day(day: str | None, now: datetime) -> str | None:
    """Return the ISO date of the last publication a person saw, or None.

    Raises DecisionError for a date that is invalid, in the future, or impossibly old.
    """
    if day is None:
        return None
    remedy = f"--last-activity {now.date()}"
    told = _parse_day(day, remedy)
    if told > now.date():
        said = gettext_noop("The date is in the future.")
        raise DecisionError(day, "this day is in the future", remedy, message=said)
    if told < EARLIEST_PUBLICATION_DAY:
        said = gettext_noop("The date is too far in the past.")
        raise DecisionError(day, "this day is too far in the past", remedy, message=said)
    return told.isoformat()


def _parse_day(typed: str, remedy: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise DecisionError(
            typed,
            "not a date",
            remedy,
            message=gettext_noop("Enter a date, for example 28/11/2026."),
        ) from None


def _example_end_day(now: datetime) -> date:
    return (now + timedelta(days=90)).date()


def max_attestation_duration(status: AccountStatus) -> timedelta:
    """Return how long an attestation is valid: shorter if it contradicts a confirmed absence."""
    return DISPUTE_VALIDITY if is_confirmed_lost(status) else ATTESTATION_VALIDITY


def require_gap_code(code: str | None, catalogue: GapCatalogue) -> str | None:
    """Return a gap code, or None. Raises DecisionError if it is not the code of a gap."""
    if code is None:
        return None
    entry = catalogue.definitions.get(code)
    said = gettext_noop("This problem doesn’t exist.")
    if entry is None:
        raise DecisionError(code, "no gap has this code", GAP_CODES_HINT, message=said)
    if not entry.is_gap:
        raise DecisionError(code, "this is a status, not a gap", GAP_CODES_HINT, message=said)
    return code
