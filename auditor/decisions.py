"""What a person's decision is told from: which account, until when, on what. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from auditor.catalogue import Catalogue
from auditor.errors import InputError
from auditor.settle import DISOWNING, aliases
from auditor.standing import ATTESTED, DISPUTED, is_denied
from probes import links
from probes.model import ACCOUNTS, Identity, Kind
from storage.model import AccountRow, Decision, Proposal, Standing

FIRST_DAY = date(2000, 1, 1)
"""No publication anybody means is older: an earlier year is a slip of the finger."""


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

        Raises InputError where there is none, or where there are several and none was named.
        """
        found = [row for row in self.rows if typed is None or self._is(row, typed)]
        if len({subject(row) for row in found}) == 1:
            return found
        if typed is not None and self.rows:
            raise InputError(typed, f"no account of {self.place} is that", self._choice())
        why = "it has several accounts there" if found else "it has no account there"
        raise InputError(self.place, why, self._choice())

    def listed(self, key: str) -> bool:
        """Whether an account of this key is registered."""
        return any(row.identity.key == key for row in self.rows)

    def proposed(self, typed: str) -> str | None:
        """The key of an account that was found on the association's site and nobody registered."""
        found = self._proposal(typed)
        return found.link.key if found else None

    def named(self, typed: str) -> Identity:
        """The account that a link, or the key of a proposal, names. Raises InputError where it names none.

        So is one that somebody called not theirs, or moved: two words may not contradict each other.
        """
        found = self._proposal(typed)
        there = links.identify(found.link.canonical if found else typed, self.channel)
        if there.channel != self.channel or there.key is None or there.kind not in ACCOUNTS:
            remedy = "`auditor identify` tells what a link is"
            raise InputError(typed, f"this names no {self.channel} account", remedy)
        for word in self._against(there.key):
            said = f"{word.who} called it {word.kind}"
            raise InputError(typed, said, f"`auditor decide withdraw {word.id}` first")
        return there

    def _against(self, key: str) -> Iterator[Decision]:
        ids = {row.id for row in self.rows if row.identity.key == key}
        for word in self.words:
            if word.kind in DISOWNING and (word.account_id in ids or word.value == key):
                yield word

    def _proposal(self, typed: str) -> Proposal | None:
        names = {typed, links.identify(typed, self.channel).key}
        found = (row for row in self.proposals if row.link.channel == self.channel)
        return next((row for row in found if row.link.key in names), None)

    def _is(self, row: AccountRow, typed: str) -> bool:
        named = links.identify(typed, self.channel)
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

    Raises InputError where it is neither an audited channel nor a link of one.
    """
    if where in channels:
        return where, account
    named = links.identify(where)
    if account is None and {".", "/"} & set(where) and named.key and named.channel in channels:
        return named.channel, where
    raise InputError(where, "this channel is not audited", f"one of {' '.join(channels)}, or a link")


def ends(until: str | None, now: datetime, longest: timedelta | None = None) -> datetime | None:
    """When a decision ends: with the day that was typed, else after the longest time it may hold.

    None is never. Raises InputError for what is no date, is past, or is later than may be.
    """
    last = now + longest if longest is not None else None
    if until is None:
        return last
    day = _day(until, f"--until {_in_a_while(now)}")
    if day < now.date():
        raise InputError(until, "this day is past", f"--until {_in_a_while(now)}")
    if last is not None and day > last.date():
        days = (last - now).days
        raise InputError(until, f"such a word holds {days} days at most", f"--until {last.date()}")
    return datetime.combine(day, time(23, 59, 59), UTC)


def published(day: str | None, now: datetime) -> str | None:
    """The day of the last publication a person saw. Raises InputError for what no publication can have."""
    if day is None:
        return None
    told = _day(day, f"--last-activity {now.date()}")
    if told > now.date():
        raise InputError(day, "this day is to come", f"--last-activity {now.date()}")
    if told < FIRST_DAY:
        raise InputError(day, "nothing was published that long ago", f"--last-activity {now.date()}")
    return told.isoformat()


def _day(typed: str, remedy: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise InputError(typed, "this is no date", remedy) from None


def _in_a_while(now: datetime) -> date:
    return (now + timedelta(days=90)).date()


def longest(standing: Standing) -> timedelta:
    """How long an attestation holds: against what was seen and confirmed half as long as otherwise."""
    return DISPUTED if is_denied(standing) else ATTESTED


def code_of_a_gap(code: str | None, catalogue: Catalogue) -> str | None:
    """The same code, where it is a gap's. Raises InputError."""
    if code is None:
        return None
    entry = catalogue.entries.get(code)
    if entry is None:
        raise InputError(code, "no gap has this code", "`auditor gaps` shows the codes that are open")
    if not entry.is_gap:
        raise InputError(code, "this is a status, not a gap", "`auditor gaps` shows the codes that are open")
    return code
