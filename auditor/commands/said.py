"""What every command of `decide` begins with: of whom, on which channel, by whom, why and when."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.commands.session import clock, session
from auditor.errors import InputError
from auditor.output import say
from storage.model import AccountRow, Decision, DecisionKind

if TYPE_CHECKING:
    from auditor.app import App
    from auditor.decisions import Listed
    from probes.model import Identity

LOGIN = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where a login name stands in the environment, in the order of Python's `getpass.getuser`."""
AT_ONCE = frozenset({DecisionKind.ATTEST, DecisionKind.WAIVE})
"""The words that are laid over what was concluded; the others tell the next night what to look at."""

AssociationId = Annotated[str, typer.Argument(metavar="ASSOCIATION", help="Its id.")]
Where = Annotated[
    str, typer.Argument(metavar="CHANNEL|LINK", help="website, facebook, twitter … or the account's link.")
]
AccountName = Annotated[
    str | None, typer.Option("--account", metavar="KEY|LINK", help="Which account, where there are several.")
]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="The last day it holds, as 2027-06-30.")]
Why = Annotated[str, typer.Option(help="What it rests on, in a few words.")]
Who = Annotated[str | None, typer.Option("--who", "--by", help="Whose word it is; the login name otherwise.")]


@dataclass(frozen=True, slots=True)
class Said:
    """A decision that is being taken. `account` is the one that was named, if any."""

    app: App
    there: Listed
    account: str | None
    who: str
    why: str
    now: datetime
    quiet: bool

    @property
    def rows(self) -> list[AccountRow]:
        """The registered account that is meant. Raises InputError."""
        return self.there.accounts(self.account)

    def word(self, kind: DecisionKind, until: datetime | None, **more: Any) -> Decision:
        """The decision itself."""
        there = self.there
        return Decision(
            there.association, there.channel, kind, self.who, self.why, self.now, until=until, **more
        )

    def keep(self, word: Decision, rows: Sequence[AccountRow] = ()) -> None:
        """Keep the decision, on each of these accounts or on the channel, and say so."""
        ids = [row.id for row in rows] or [None]
        kept = [self.app.store.add_decision(replace(word, account_id=account)) for account in ids]
        if not self.quiet:
            end = f"until {word.until.date()}" if word.until else "without an end"
            start = "now" if word.kind in AT_ONCE else "with the next night"
            of = self.there.place if word.channel else word.association
            say(f"{word.kind}: {of}, by {self.who}, {end}; it shows {start} (decision {kept[0].id})")

    def register(self, identity: Identity) -> None:
        """List an account beside the sheet's, and keep whose word that rests on; a listed one stays."""
        there = self.there
        if there.listed(identity.key or ""):
            return
        link = identity.canonical or identity.url or ""
        row = AccountRow(there.association, link, identity, there.channel)
        row = self.app.store.register(row, self.now)
        self.keep(self.word(DecisionKind.OURS, None), [row])


@contextmanager
def said(
    context: typer.Context,
    association: str,
    where: str | None,
    *,
    who: str | None,
    why: str,
    account: str | None = None,
) -> Iterator[Said]:
    """What was typed, complete, with the store open. No `where` is the whole association.

    Raises InputError.
    """
    from auditor.decisions import placed

    by, because, asked = whose(who), grounds(why), session(context)
    with asked.open() as app:
        refuse_unknown(app, association)
        channel, account = placed(where, account, app.config.channels) if where else ("", account)
        yield Said(app, _listed(app, association, channel), account, by, because, clock(), asked.quiet)


def _listed(app: App, association: str, channel: str) -> Listed:
    """What the store holds of an association on a channel."""
    from auditor.decisions import Listed, is_link
    from auditor.standing import in_force

    store = app.store
    return Listed(
        association,
        channel,
        tuple(row for row in store.accounts(association) if row.channel == channel and is_link(row)),
        {standing.account_id: standing for standing in store.standings(association)},
        tuple(store.proposals(association)),
        tuple(in_force(store.decisions(association=association), clock())),
    )


def whose(who: str | None) -> str:
    """Whose word it is. Raises InputError."""
    name = who if who is not None else next((os.environ[at] for at in LOGIN if os.environ.get(at)), "")
    if not name.strip():
        raise InputError("--who", "nobody's word is no decision", "--who NAME")
    return name.strip()


def grounds(why: str) -> str:
    """What it rests on. Raises InputError."""
    if not why.strip():
        raise InputError("--why", "a decision without a reason cannot be judged later", "--why TEXT")
    return why.strip()


def refuse_unknown(app: App, association: str) -> None:
    """Raise InputError where nobody has that id."""
    if app.store.association(association) is None:
        raise InputError(association, "no association has this id", "`auditor registry export -` lists them")
