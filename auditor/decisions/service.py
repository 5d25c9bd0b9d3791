"""Taking a person's decision: what the command line and the pages do when somebody says what they know.

The ledger of decisions: which hold, which have ended, and which were taken together. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self

from auditor.core.formatting import instant
from auditor.decisions.parsing import (
    DecisionError,
    Listed,
    code_of_a_gap,
    ends,
    grounds,
    is_link,
    longest,
    nobody,
    placed,
    published,
    subject,
)
from auditor.i18n.catalogs import phrase
from auditor.reference.gap_catalogue import catalogue
from auditor.rules.account_status import DISPUTED, ends_of, in_force, outweighed
from probes.models.finding import Identity
from storage.models.audit import AccountRow, Decision, DecisionKind, Standing, Withdrawal
from storage.models.users import By
from storage.store import Store

AT_ONCE = frozenset({DecisionKind.ATTEST, DecisionKind.WAIVE})
"""The words that are laid over what was concluded; the others tell the next night what to look at."""
DECISION = "decision"
"""The source of what a decision changes in the registry."""


@dataclass(slots=True)
class Saying:
    """A decision that is being taken: of whom, on which channel, by whom, why and when.

    `account` is the one that was named, if any. `kept` are the decisions that came of it, the twins of an
    account that the sheet lists twice counted once.
    """

    store: Store
    there: Listed
    account: str | None
    who: str
    why: str
    now: datetime
    kept: list[Decision] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        store: Store,
        channels: Collection[str],
        association: str,
        where: str | None,
        *,
        who: str,
        why: str,
        now: datetime,
        account: str | None = None,
    ) -> Self:
        """What was said, complete. `where` is a channel or a link; none is the whole association.

        Raises DecisionError: nobody has this id, nothing is there, nobody said it or for no reason.
        """
        if store.association(association) is None:
            raise _unknown(association)
        if not who.strip():
            raise nobody()
        because = grounds(why)
        channel, account = placed(where, account, channels) if where else ("", account)
        return cls(store, _listed(store, association, channel, now), account, who.strip(), because, now)

    @property
    def rows(self) -> list[AccountRow]:
        """The registered account that is meant. Raises DecisionError."""
        return self.there.accounts(self.account)

    def attest(self, *, seen: str | None = None, until: str | None = None) -> None:
        """It is there: a person looked, and saw a publication of the day `seen`. Raises DecisionError."""
        rows = self.rows
        most = min(longest(self.there.standing(row)) for row in rows)
        day, end = published(seen, self.now), ends(until, self.now, most)
        self._keep(self._word(DecisionKind.ATTEST, end, value=day), rows)

    def none_by_choice(self, *, until: str | None = None) -> None:
        """The association chose to do without the channel. Raises DecisionError."""
        if self.account is not None:
            why = "one does without a channel, not an account"
            said = phrase("One does without a channel, not an account.")
            raise DecisionError(self.account, why, self.there.channel, said=said)
        self._keep(self._word(DecisionKind.NONE_BY_CHOICE, ends(until, self.now)))

    def ours(self) -> None:
        """An account that nobody registered is theirs: it is registered. Raises DecisionError."""
        if self.account is None:
            said = phrase("Please name the account.")
            why, remedy = "which account is not said", "--account KEY or LINK"
            raise DecisionError(self.there.place, why, remedy, said=said)
        named = self.there.named(self.account)
        if self.there.listed(named.key or ""):
            said = phrase("This account is registered already.")
            why, remedy = "it is registered already", "`auditor registry export -` shows it"
            raise DecisionError(self.account, why, remedy, said=said)
        self._register(named)

    def not_ours(self, *, until: str | None = None) -> None:
        """An account, registered or found on the site, is somebody else's. Raises DecisionError."""
        theirs = self._word(DecisionKind.NOT_OURS, ends(until, self.now))
        proposed = self.there.proposed(self.account) if self.account is not None else None
        if proposed is not None and not self.there.listed(proposed):
            self._keep(replace(theirs, value=proposed))
        else:
            self._keep(theirs, self.rows)

    def moved(self, *, to: str | None = None, until: str | None = None) -> None:
        """An account is elsewhere now; where that is known, it is registered there. Raises DecisionError."""
        rows = self.rows
        there = self.there.named(to) if to is not None else None
        if there is not None and there.key == subject(rows[0]):
            said = phrase("This is the address it moved from.")
            why, remedy = "this is the account it moved from", "--to the new address"
            raise DecisionError(to or "", why, remedy, said=said)
        end = ends(until, self.now, DISPUTED if there is None else None)
        link = there.canonical or there.url if there is not None else None
        self._keep(self._word(DecisionKind.MOVED, end, value=link), rows)
        if there is not None:
            self._register(there)

    def waive(self, *, code: str | None = None, until: str | None = None) -> None:
        """A channel's gaps, or one of them, need not be told. Raises DecisionError."""
        rows = self.rows if self.account is not None else []
        gap = code_of_a_gap(code, catalogue())
        name = subject(rows[0]) if rows else None
        told = self._word(DecisionKind.WAIVE, ends(until, self.now), code=gap, value=name)
        self._keep(told, rows[:1])

    def _word(self, kind: DecisionKind, until: datetime | None, **more: Any) -> Decision:
        there = self.there
        return Decision(
            there.association, there.channel, kind, self.who, self.why, self.now, until=until, **more
        )

    def _keep(self, word: Decision, rows: Sequence[AccountRow] = ()) -> None:
        """Keep the decision, on each of these accounts or on the channel."""
        ids = [row.id for row in rows] or [None]
        self.kept += [self.store.add_decision(replace(word, account_id=account)) for account in ids][:1]

    def _register(self, identity: Identity) -> None:
        """List an account beside the sheet's, and keep whose word that rests on; a listed one stays."""
        there = self.there
        if there.listed(identity.key or ""):
            return
        link = identity.canonical or identity.url or ""
        row = self.store.register(
            AccountRow(there.association, link, identity, there.channel), self.now, by=By(self.who, DECISION)
        )
        self._keep(self._word(DecisionKind.OURS, None), [row])


def withdrawn(store: Store, number: str, *, who: str, why: str, now: datetime) -> list[Decision]:
    """Take a decision back before its time, with its twins: they, as they were. Raises DecisionError."""
    because = grounds(why)
    words = with_twins(number, list(store.decisions()), now)
    store.withdraw([word.id for word in words if word.id], Withdrawal(who, because, now))
    if words[0].kind is DecisionKind.OURS:
        theirs = [word.account_id for word in words if word.account_id]
        store.unlist(theirs, now, by=By(who, DECISION))
    return words


def refuse_unknown(store: Store, association: str) -> None:
    """Raise DecisionError where nobody has that id."""
    if store.association(association) is None:
        raise _unknown(association)


def _unknown(association: str) -> DecisionError:
    why, remedy = "no association has this id", "`auditor registry export -` lists them"
    return DecisionError(association, why, remedy, said=phrase("This association is not in the registry."))


def _listed(store: Store, association: str, channel: str, now: datetime) -> Listed:
    """What the store holds of an association on a channel."""
    return Listed(
        association,
        channel,
        tuple(row for row in store.accounts(association) if row.channel == channel and is_link(row)),
        {standing.account_id: standing for standing in store.standings(association)},
        tuple(store.proposals(association)),
        tuple(in_force(store.decisions(association=association), now)),
    )


SOON = timedelta(days=30)
"""A decision that ends within this time is told as ending, so that somebody can renew it."""


def with_twins(number: str, words: Iterable[Decision], now: datetime) -> list[Decision]:
    """The decision of this number, and its copies for an account that the sheet lists in two columns.

    Raises DecisionError where there is none, or where it does not hold any more.
    """
    known = list(words)
    found = next((word for word in known if str(word.id) == number.strip().removeprefix("#")), None)
    if found is None:
        why, said = "no decision has this number", phrase("There is no such decision.")
        raise DecisionError(number, why, "`auditor decide list` shows them", said=said)
    if found.withdrawn is not None:
        who, day = found.withdrawn.who, found.withdrawn.withdrawn_at.date()
        why, remedy = f"{who} withdrew it on {day}", "`auditor decide list` shows those in force"
        said = phrase("{who} took this back on {date} already.")
        raise DecisionError(number, why, remedy, said=said, who=who, date=day)
    if not in_force([found], now):
        day, remedy = (found.until or now).date(), "nothing has to be withdrawn"
        said = phrase("This ended on {date}: there is nothing to take back.")
        raise DecisionError(number, f"it ended on {day}", remedy, said=said, date=day)
    return [word for word in known if _alike(word) == _alike(found)]


def beside(taken: Iterable[Decision], words: Iterable[Decision], now: datetime) -> list[Decision]:
    """The decisions in force that one breath took with these: the account that one moved to is theirs."""
    back = list(taken)
    ids, breaths = (
        {word.id for word in back},
        {(word.association, word.who, word.decided_at) for word in back},
    )
    held = in_force(words, now)
    return [
        one for one in held if one.id not in ids and (one.association, one.who, one.decided_at) in breaths
    ]


def _alike(word: Decision) -> Decision:
    return replace(word, id=None, account_id=None)


def items(
    decisions: Iterable[Decision],
    accounts: Mapping[int, AccountRow],
    standings: Mapping[int, Standing],
    now: datetime,
) -> list[dict[str, Any]]:
    """The items of `decide list`, in the order they were taken down.

    docs/guides/decisions.md tells their fields.
    """
    return [_item(word, accounts, standings, now) for word in decisions]


def _item(
    word: Decision, accounts: Mapping[int, AccountRow], standings: Mapping[int, Standing], now: datetime
) -> dict[str, Any]:
    row = accounts.get(word.account_id or 0)
    standing = standings.get(word.account_id or 0) or Standing(word.account_id or 0)
    state, until = _state(word, standing, now), ends_of(word, standing)
    withdrawn = word.withdrawn
    return {
        "id": word.id,
        "association": word.association,
        "channel": word.channel,
        "kind": word.kind.value,
        "account": subject(row) if row else word.value,
        "code": word.code,
        "value": word.value,
        "who": word.who,
        "why": word.why,
        "decided_at": instant(word.decided_at),
        "until": instant(until),
        "in_force": state in {"in_force", "ending"},
        "state": state,
        "withdrawn_at": instant(withdrawn.withdrawn_at) if withdrawn else None,
        "withdrawn_by": withdrawn.who if withdrawn else None,
        "withdrawn_why": withdrawn.why if withdrawn else None,
    }


def _state(word: Decision, standing: Standing, now: datetime) -> str:
    """Whether a decision holds: in_force, ending, outweighed, expired or withdrawn."""
    until = ends_of(word, standing)
    if word.withdrawn is not None and word.withdrawn.withdrawn_at <= now:
        return "withdrawn"
    if until is not None and until <= now:
        return "expired"
    if word.kind is DecisionKind.ATTEST and outweighed(word, standing):
        return "outweighed"
    return "ending" if until is not None and until <= now + SOON else "in_force"
