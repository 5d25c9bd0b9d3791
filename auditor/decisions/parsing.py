"""What a person's decision is told from: which account, until when, on what. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from auditor.core.errors import SpokenError
from auditor.i18n.catalogs import phrase
from auditor.reference.gap_catalogue import Catalogue
from auditor.rules.account_status import ATTESTED, DISPUTED, is_denied
from auditor.rules.association import DISOWNING, aliases
from probes.links import identify
from probes.models.finding import ACCOUNTS, Identity, Kind
from storage.models.audit import AccountRow, Decision, Proposal, Standing

FIRST_DAY = date(2000, 1, 1)
"""No publication anybody means is older: an earlier year is a slip of the finger."""
CODES = "`auditor gaps` shows the codes that are open"


class DecisionError(SpokenError):
    """A decision that cannot be taken as it was typed; nothing was kept."""


def nobody() -> DecisionError:
    """What is said where nobody is named."""
    said = phrase("Please say whose word it is.")
    return DecisionError("--who", "nobody's word is no decision", "--who NAME", said=said)


def grounds(why: str) -> str:
    """What a decision rests on. Raises DecisionError."""
    if not why.strip():
        said = phrase("Please say what it rests on.")
        cause = "a decision without a reason cannot be judged later"
        raise DecisionError("--why", cause, "--why TEXT", said=said)
    return why.strip()


def unwaived(what: str, why: str) -> DecisionError:
    """What is said where it is not clear what need not be told."""
    remedy = "CHANNEL, or --code CODE for that gap on any channel"
    return DecisionError(what, why, remedy, said=phrase("Please say what need not be told."))


@dataclass(frozen=True, slots=True)
class Listed:
    """What the store holds of one association on one channel."""

    association: str
    channel: str
    rows: tuple[AccountRow, ...]
    standings: Mapping[int, Standing]
    proposals: tuple[Proposal, ...] = ()
    words: tuple[Decision, ...] = ()

    def standing(self, row: AccountRow) -> Standing:
        """What is held true of one of its accounts, before anybody's word."""
        return self.standings.get(row.id or 0) or Standing(row.id or 0)

    def accounts(self, typed: str | None) -> list[AccountRow]:
        """The account that was named, or the only one; twice where the sheet lists it in two columns.

        Raises DecisionError where there is none, or where there are several and none was named.
        """
        found = [row for row in self.rows if typed is None or self._is(row, typed)]
        if len({subject(row) for row in found}) == 1:
            return found
        if typed is not None and self.rows:
            said = phrase("No account of the association is that: {typed}")
            why = f"no account of {self.place} is that"
            raise DecisionError(typed, why, self._choice(), said=said, typed=typed)
        if found:
            said = phrase("It has several accounts there: please name one.")
            raise DecisionError(self.place, "it has several accounts there", self._choice(), said=said)
        said = phrase("It has no account there.")
        raise DecisionError(self.place, "it has no account there", self._choice(), said=said)

    def listed(self, key: str) -> bool:
        """Whether an account of this key is registered."""
        return any(row.identity.key == key for row in self.rows)

    def proposed(self, typed: str) -> str | None:
        """The key of an account that was found on the association's site and nobody registered."""
        found = self._proposal(typed)
        return found.link.key if found else None

    def named(self, typed: str) -> Identity:
        """The account that a link, or the key of a proposal, names. Raises DecisionError where it names none.

        So is one that somebody called not theirs, or moved: two words may not contradict each other.
        """
        found = self._proposal(typed)
        there = identify.identify(found.link.canonical if found else typed, self.channel)
        if there.channel != self.channel or there.key is None or there.kind not in ACCOUNTS:
            why, remedy = f"this names no {self.channel} account", "`auditor identify` tells what a link is"
            said = phrase("This address names no account on {channel}.")
            raise DecisionError(typed, why, remedy, said=said, channel=self.channel)
        for word in self._against(there.key):
            why, remedy = f"{word.who} called it {word.kind}", f"`auditor decide withdraw {word.id}` first"
            said = phrase("{who} decided otherwise before: please take that back first.")
            raise DecisionError(typed, why, remedy, said=said, who=word.who)
        return there

    def _against(self, key: str) -> Iterator[Decision]:
        ids = {row.id for row in self.rows if row.identity.key == key}
        for word in self.words:
            if word.kind in DISOWNING and (word.account_id in ids or word.value == key):
                yield word

    def _proposal(self, typed: str) -> Proposal | None:
        names = {typed, identify.identify(typed, self.channel).key}
        found = (row for row in self.proposals if row.link.channel == self.channel)
        return next((row for row in found if row.link.key in names), None)

    def _is(self, row: AccountRow, typed: str) -> bool:
        named = identify.identify(typed, self.channel)
        keys = aliases(row, self.standing(row))
        return typed in {row.typed, *keys} or (named.channel == self.channel and named.key in keys)

    @property
    def place(self) -> str:
        """Of whom and where, as a person says it."""
        return f"{self.association} on {self.channel}"

    def _choice(self) -> str:
        names = list(dict.fromkeys(subject(row) for row in self.rows))
        if names:
            return f"--account {' or '.join(names)}"
        return "list it in the sheet first, then `registry import`, or `auditor decide ours`"


def subject(row: AccountRow) -> str:
    """What a person calls an account by: its key, or what was typed."""
    return row.identity.key or row.typed


def is_link(row: AccountRow) -> bool:
    """Whether a cell lists anything: one that says "none" does not."""
    return row.identity.kind is not Kind.NONE


def placed(where: str, account: str | None, channels: Collection[str]) -> tuple[str, str | None]:
    """The channel and the account that were typed; a link in place of a channel names both.

    Raises DecisionError where it is neither an audited channel nor a link of one.
    """
    if where in channels:
        return where, account
    named = identify.identify(where)
    if account is None and {".", "/"} & set(where) and named.key and named.channel in channels:
        return named.channel, where
    remedy, said = f"one of {' '.join(channels)}, or a link", phrase("This channel is not looked at.")
    raise DecisionError(where, "this channel is not audited", remedy, said=said)


def ends(until: str | None, now: datetime, longest: timedelta | None = None) -> datetime | None:
    """When a decision ends: with the day that was typed, else after the longest time it may hold.

    None is never. Raises DecisionError for what is no date, is past, or is later than may be.
    """
    last = now + longest if longest is not None else None
    if until is None:
        return last
    day = _day(until, f"--until {_in_a_while(now)}")
    if day < now.date():
        said = phrase("This day is past.")
        raise DecisionError(until, "this day is past", f"--until {_in_a_while(now)}", said=said)
    if last is not None and day > last.date():
        why = f"such a word holds {(last - now).days} days at most"
        said = phrase("Such a word holds until {date} at most: please name an earlier day.")
        raise DecisionError(until, why, f"--until {last.date()}", said=said, date=last)
    return datetime.combine(day, time(23, 59, 59), UTC)


def published(day: str | None, now: datetime) -> str | None:
    """The day of the last publication a person saw. Raises DecisionError for what no publication can have."""
    if day is None:
        return None
    remedy = f"--last-activity {now.date()}"
    told = _day(day, remedy)
    if told > now.date():
        said = phrase("This day is still to come.")
        raise DecisionError(day, "this day is to come", remedy, said=said)
    if told < FIRST_DAY:
        said = phrase("Nothing was published that long ago.")
        raise DecisionError(day, "nothing was published that long ago", remedy, said=said)
    return told.isoformat()


def _day(typed: str, remedy: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise DecisionError(typed, "this is no date", remedy, said=phrase("This is no date.")) from None


def _in_a_while(now: datetime) -> date:
    return (now + timedelta(days=90)).date()


def longest(standing: Standing) -> timedelta:
    """How long an attestation holds: against what was seen and confirmed half as long as otherwise."""
    return DISPUTED if is_denied(standing) else ATTESTED


def code_of_a_gap(code: str | None, catalogue: Catalogue) -> str | None:
    """The same code, where it is a gap's. Raises DecisionError."""
    if code is None:
        return None
    entry = catalogue.entries.get(code)
    said = phrase("There is no such point to settle.")
    if entry is None:
        raise DecisionError(code, "no gap has this code", CODES, said=said)
    if not entry.is_gap:
        raise DecisionError(code, "this is a status, not a gap", CODES, said=said)
    return code
