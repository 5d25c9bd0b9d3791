"""What a person's decision is told from: which account, until when; and the items of its list. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from auditor.case import ACCOUNT_KINDS
from auditor.catalogue import Catalogue
from auditor.errors import InputError
from auditor.faces import instant
from auditor.settle import aliases
from auditor.standing import ATTESTED, DISPUTED, in_force
from probes import links
from probes.model import Kind
from storage.model import AccountRow, Decision, Proposal, Standing, State


@dataclass(frozen=True, slots=True)
class Listed:
    """What the store holds of one association on one channel."""

    association: str
    channel: str
    rows: tuple[AccountRow, ...]
    standings: Mapping[int, Standing]
    proposals: tuple[Proposal, ...] = ()

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
        if typed is not None:
            raise InputError(typed, f"no account of {self._place} is that", self._choice())
        why = "it has several accounts there" if found else "it has no account there"
        raise InputError(self._place, why, self._choice())

    def proposed(self, typed: str) -> str | None:
        """The key of an account that was found on the association's site and nobody registered."""
        names = {typed, links.identify(typed, self.channel).key}
        found = (row.link.key for row in self.proposals if row.link.channel == self.channel)
        return next((key for key in found if key in names), None)

    def _is(self, row: AccountRow, typed: str) -> bool:
        named = links.identify(typed, self.channel)
        keys = aliases(row, self.standing(row))
        return typed in {row.typed, *keys} or (named.channel == self.channel and named.key in keys)

    @property
    def _place(self) -> str:
        return f"{self.association} on {self.channel}"

    def _choice(self) -> str:
        names = list(dict.fromkeys(subject(row) for row in self.rows))
        return (
            f"--account {' or '.join(names)}"
            if names
            else "list it in the sheet first, then `registry import`"
        )


def subject(row: AccountRow) -> str:
    """What a person calls an account by: its key, or what was typed."""
    return row.identity.key or row.typed


def is_link(row: AccountRow) -> bool:
    """Whether a cell lists anything: one that says "none" does not."""
    return row.identity.kind is not Kind.NONE


def ends(until: str | None, now: datetime, longest: timedelta | None = None) -> datetime | None:
    """When a decision ends: with the day that was typed, else after the longest time it may hold.

    None is never. Raises InputError for what is no date, is past, or is later than may be.
    """
    last = now + longest if longest is not None else None
    if until is None:
        return last
    try:
        day = date.fromisoformat(until)
    except ValueError:
        raise InputError(until, "this is no date", f"--until {_in_a_while(now)}") from None
    if day < now.date():
        raise InputError(until, "this day is past", f"--until {_in_a_while(now)}")
    if last is not None and day > last.date():
        days = (last - now).days
        raise InputError(until, f"such a word holds {days} days at most", f"--until {last.date()}")
    return datetime.combine(day, time(23, 59, 59), UTC)


def _in_a_while(now: datetime) -> date:
    return (now + timedelta(days=90)).date()


def longest(standing: Standing) -> timedelta:
    """How long an attestation holds: against an absence that was confirmed half as long as otherwise."""
    return DISPUTED if standing.state is State.GONE else ATTESTED


def destination(typed: str, channel: str, left: str) -> str:
    """The address an account moved to. Raises InputError where it names no other account of the channel."""
    there = links.identify(typed, channel)
    if there.channel != channel or there.key is None or there.kind not in ACCOUNT_KINDS:
        raise InputError(typed, f"this names no {channel} account", "`auditor identify` tells what a link is")
    if there.key == left:
        raise InputError(typed, "this is the account it moved from", "--to the new address")
    return there.canonical or there.url or typed


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


def items(
    decisions: Iterable[Decision], accounts: Mapping[int, AccountRow], now: datetime
) -> list[dict[str, Any]]:
    """The items of `decide list`, in the order they were taken down."""
    return [_item(word, accounts, now) for word in decisions]


def _item(word: Decision, accounts: Mapping[int, AccountRow], now: datetime) -> dict[str, Any]:
    row = accounts.get(word.account_id or 0)
    return {
        "association": word.association,
        "channel": word.channel,
        "kind": word.kind.value,
        "account": subject(row) if row else word.value,
        "code": word.code,
        "value": word.value,
        "who": word.who,
        "why": word.why,
        "decided_at": instant(word.decided_at),
        "until": instant(word.until),
        "in_force": bool(in_force([word], now)),
    }
