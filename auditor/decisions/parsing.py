"""Parse and validate the input of a decision: account, dates, reason, gap code. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter

from auditor.core.errors import TranslatableError
from auditor.i18n.catalogs import gettext_noop
from auditor.reference.gap_catalogue import GapCatalogue
from auditor.rules.account_status import is_confirmed_lost
from auditor.rules.association_state import DISOWNING_DECISION_KINDS, collect_account_aliases
from auditor.rules.decisions_in_force import ATTESTATION_VALIDITY, DISPUTE_VALIDITY
from probes.links import identify
from probes.models.finding import ACCOUNT_KINDS, Identity, LinkKind
from storage.models.audit import AccountRow, AccountStatus, Decision, Proposal
from storage.sanitize import sanitize_text

EARLIEST_PUBLICATION_DAY = date(2000, 1, 1)
"""Earlier dates of a publication are typing mistakes."""
MAX_DOMAIN_PERIOD = timedelta(days=10 * 366)
"""No registry sells a domain for more than ten years."""
GAP_CODES_HINT = "`auditor gaps` lists the open ones"


class DecisionError(TranslatableError):
    """A decision is invalid; nothing was stored."""


def build_missing_author_error() -> DecisionError:
    """Return the error for a decision without an author."""
    message = gettext_noop("Enter who said so.")
    return DecisionError("--author", "no author given", "--author NAME", message=message)


def require_reason(reason: str) -> str:
    """Return the trimmed reason. Raises DecisionError if nothing of it can be stored."""
    reason = sanitize_text(reason).strip()
    if not reason:
        message = gettext_noop("Enter a reason.")
        cause = "no reason given"
        raise DecisionError("--reason", cause, "--reason TEXT", message=message)
    return reason


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
        matching_rows = list(self.rows)
        if typed is not None:
            matching_rows = [row for row in self.rows if self._is_account_named(row, typed)]
        if len(set(map(account_subject, matching_rows))) == 1:
            return matching_rows
        hint = self._build_account_hint()
        if typed is not None and self.rows:
            message = gettext_noop("The association has no account at this address: {typed}")
            reason = f"{self.location_text} has no such account"
            raise DecisionError(typed, reason, hint, message=message, typed=typed)
        if matching_rows:
            reason = "it has several accounts on this channel"
            message = gettext_noop("It has several accounts on this channel. Choose one.")
        else:
            reason = "it has no account on this channel"
            message = gettext_noop("It has no account on this channel.")
        raise DecisionError(self.location_text, reason, hint, message=message)

    def is_registered(self, key: str) -> bool:
        """Return True if an account with this key is registered."""
        return key in map(attrgetter("identity.key"), self.rows)

    def find_proposed_key(self, typed: str) -> str | None:
        """Return the key of the proposal that a text names, or None."""
        proposal = self._find_proposal(typed)
        return proposal.link.key if proposal else None

    def identify_account(self, typed: str) -> Identity:
        """Return the account that a link, or the key of a proposal, names.

        Raises DecisionError if it names none, or if a decision in force says that this account is
        not the association's or has moved.
        """
        proposal = self._find_proposal(typed)
        link = proposal.link.canonical if proposal else typed
        identity = identify.identify_link(link, self.channel)
        is_account = identity.channel == self.channel and identity.kind in ACCOUNT_KINDS
        if identity.key is None or not is_account:
            reason = f"not a {self.channel} account"
            remedy = "`auditor identify` shows what a link is"
            message = gettext_noop("This address is not a {channel} account.")
            raise DecisionError(typed, reason, remedy, message=message, channel=self.channel)
        for decision in self._iter_conflicting_decisions(identity.key):
            reason = f"a decision of {decision.author} says {decision.kind}"
            remedy = f"`auditor decide withdraw {decision.id}` first"
            message = gettext_noop("{who} decided otherwise earlier. Cancel that decision first.")
            raise DecisionError(typed, reason, remedy, message=message, who=decision.author)
        return identity

    def _iter_conflicting_decisions(self, key: str) -> Iterator[Decision]:
        ids = {row.id for row in self.rows if row.identity.key == key}
        for decision in self.decisions:
            is_about_key = decision.account_id in ids or decision.value == key
            if is_about_key and decision.kind in DISOWNING_DECISION_KINDS:
                yield decision

    def _find_proposal(self, typed: str) -> Proposal | None:
        names = {typed, identify.identify_link(typed, self.channel).key}
        for proposal in self.proposals:
            if proposal.link.channel == self.channel and proposal.link.key in names:
                return proposal
        return None

    def _is_account_named(self, row: AccountRow, typed: str) -> bool:
        keys = collect_account_aliases(row, self.get_status(row))
        if typed in {row.typed_text, *keys}:
            return True
        named = identify.identify_link(typed, self.channel)
        return named.channel == self.channel and named.key in keys

    @property
    def location_text(self) -> str:
        """Return the association and channel for messages."""
        return f"{self.association} on {self.channel}"

    def _build_account_hint(self) -> str:
        if self.rows:
            names = dict.fromkeys(map(account_subject, self.rows))
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
    if account is None and {".", "/"} & set(channel_or_link):
        named = identify.identify_link(channel_or_link)
        if named.key and named.channel in channels:
            return named.channel, channel_or_link
    remedy = f"one of {' '.join(channels)}, or a link"
    message = gettext_noop("This channel is not checked.")
    raise DecisionError(channel_or_link, "this channel is not audited", remedy, message=message)


def parse_decision_end(
    until: str | None, now: datetime, max_duration: timedelta | None = None
) -> datetime | None:
    """Return when a decision ends: the end of the typed day, or the longest duration from now.

    None means never. Raises DecisionError for an invalid date, a past one, or one beyond the
    longest duration.
    """
    latest_end = now + max_duration if max_duration is not None else None
    if until is None:
        return latest_end
    day = _parse_day(until, f"--until {_example_end_day(now)}")
    if day < now.date():
        message = gettext_noop("The date is in the past.")
        raise DecisionError(
            until, "this day is in the past", f"--until {_example_end_day(now)}", message=message
        )
    if latest_end is not None and day > latest_end.date():
        reason = f"such a decision lasts {(latest_end - now).days} days at most"
        message = gettext_noop("This can last until {date} at most. Choose an earlier date.")
        raise DecisionError(
            until, reason, f"--until {latest_end.date()}", message=message, date=latest_end
        )
    return datetime.combine(day, time(23, 59, 59), UTC)


def parse_publication_day(day: str | None, now: datetime) -> str | None:
    """Return the ISO date of the last publication a person saw, or None.

    Raises DecisionError for a date that is invalid, in the future, or impossibly old.
    """
    if day is None:
        return None
    remedy = f"--last-activity {now.date()}"
    publication_day = _parse_day(day, remedy)
    if publication_day > now.date():
        message = gettext_noop("The date is in the future.")
        raise DecisionError(day, "this day is in the future", remedy, message=message)
    if publication_day < EARLIEST_PUBLICATION_DAY:
        message = gettext_noop("The date is too far in the past.")
        raise DecisionError(day, "this day is too far in the past", remedy, message=message)
    return publication_day.isoformat()


def parse_domain_expiry(typed: str, now: datetime) -> date:
    """Return the day on which a domain expires.

    Raises DecisionError for a date that is invalid, in the past, or more than ten years away.
    """
    remedy = str(_example_end_day(now))
    day = _parse_day(typed, remedy)
    if day < now.date():
        message = gettext_noop("The date is in the past.")
        raise DecisionError(typed, "this day is in the past", remedy, message=message)
    if day > (now + MAX_DOMAIN_PERIOD).date():
        message = gettext_noop("The date is too far in the future.")
        raise DecisionError(typed, "this day is too far in the future", remedy, message=message)
    return day


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
    message = gettext_noop("This problem doesn’t exist.")
    if entry is None:
        raise DecisionError(code, "no gap has this code", GAP_CODES_HINT, message=message)
    if not entry.is_gap:
        raise DecisionError(code, "this is a status, not a gap", GAP_CODES_HINT, message=message)
    return code
