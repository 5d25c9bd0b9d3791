"""`decide`: what a person knows and a machine cannot tell, with who said so, why and until when."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import typer

from auditor.commands.session import Json, Session, clock, session
from auditor.errors import InputError
from auditor.output import document, give, give_table, say
from storage.model import AccountRow, Decision, DecisionKind

if TYPE_CHECKING:
    from auditor.app import App
    from auditor.decisions import Listed

decide = typer.Typer(no_args_is_help=True, help="What people know: attest, waive, and whose an account is.")

COLUMNS = ("kind", "channel", "account", "code", "until", "in_force", "who", "association", "why")
LOGIN = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where a login name stands in the environment, in the order of Python's `getpass.getuser`."""
AT_ONCE = frozenset({DecisionKind.ATTEST, DecisionKind.WAIVE})

AssociationId = Annotated[str, typer.Argument(metavar="ASSOCIATION", help="Its id.")]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="website, facebook, twitter …")]
Account = Annotated[
    str | None, typer.Option(metavar="KEY|URL", help="Which account, where there are several.")
]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="The last day it holds, as 2027-06-30.")]
Why = Annotated[str, typer.Option(help="What it rests on, in a few words.")]
Who = Annotated[str | None, typer.Option(help="Whose word it is; the login name otherwise.")]


@decide.command("attest")
def attest(
    context: typer.Context,
    association: AssociationId,
    channel: Channel,
    *,
    why: Why,
    account: Account = None,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that an account is there, because a person looked.

    It holds 12 months, or 180 days against an absence that was confirmed; newer evidence outweighs it.
    """
    from auditor.decisions import ends, longest

    said = Said.typed(context, association, channel, who, why)
    with said.session.open() as app:
        there = said.listed(app)
        rows = there.accounts(account)
        most = min(longest(there.standing(row)) for row in rows)
        word = said.word(DecisionKind.ATTEST, until=ends(until, said.now, most))
        said.keep(app, word, rows)


@decide.command("none-by-choice")
def none_by_choice(
    context: typer.Context,
    association: AssociationId,
    channel: Channel,
    *,
    why: Why,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that an association chose to have no account on a channel."""
    from auditor.decisions import ends

    said = Said.typed(context, association, channel, who, why)
    with said.session.open() as app:
        there = said.listed(app)
        word = said.word(DecisionKind.NONE_BY_CHOICE, until=ends(until, said.now))
        said.keep(app, word)
    if there.rows:
        say(f"warning: the sheet lists an account of {association} on {channel}: {there.rows[0].typed}")


@decide.command("not-ours")
def not_ours(
    context: typer.Context,
    association: AssociationId,
    channel: Channel,
    *,
    why: Why,
    account: Account = None,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that an account, registered or found on the site, is somebody else's."""
    from auditor.decisions import ends

    said = Said.typed(context, association, channel, who, why)
    with said.session.open() as app:
        there = said.listed(app)
        word = said.word(DecisionKind.NOT_OURS, until=ends(until, said.now))
        proposed = there.proposed(account) if account is not None else None
        if proposed is not None:
            said.keep(app, replace(word, value=proposed))
        else:
            said.keep(app, word, there.accounts(account))


@decide.command("moved")
def moved(
    context: typer.Context,
    association: AssociationId,
    channel: Channel,
    *,
    why: Why,
    account: Account = None,
    to: Annotated[str | None, typer.Option(metavar="URL", help="Where it is now, if that is known.")] = None,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that an account is elsewhere now: it is no longer looked at, and its channel is not missing."""
    from auditor.decisions import destination, ends, subject

    said = Said.typed(context, association, channel, who, why)
    with said.session.open() as app:
        rows = said.listed(app).accounts(account)
        there = destination(to, channel, subject(rows[0])) if to is not None else None
        said.keep(app, said.word(DecisionKind.MOVED, until=ends(until, said.now), value=there), rows)


@decide.command("waive")
def waive(
    context: typer.Context,
    association: AssociationId,
    channel: Channel,
    *,
    why: Why,
    account: Account = None,
    code: Annotated[str | None, typer.Option(help="Only the gap of this code.")] = None,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that a channel's gaps, or one of them, need not be told."""
    from auditor.catalogue import catalogue
    from auditor.decisions import code_of_a_gap, ends, subject

    said = Said.typed(context, association, channel, who, why)
    with said.session.open() as app:
        there = said.listed(app)
        rows = there.accounts(account) if account is not None else []
        gap = code_of_a_gap(code, catalogue())
        name = subject(rows[0]) if rows else None
        said.keep(
            app, said.word(DecisionKind.WAIVE, until=ends(until, said.now), code=gap, value=name), rows[:1]
        )


@decide.command("list")
def list_(
    context: typer.Context,
    association: Annotated[str | None, typer.Option(help="Only this association's, by its id.")] = None,
    as_json: Json = False,
) -> None:
    """List the decisions, those that have expired too, in the order they were taken down."""
    from auditor.decisions import items

    now = clock()
    with session(context).open() as app:
        if association is not None:
            _refuse_unknown(app, association)
        rows = {row.id: row for row in app.store.accounts(association, include_withdrawn=True) if row.id}
        told = items(app.store.decisions(association=association), rows, now)
    if as_json:
        give(document(told, now))
    else:
        lines = [{**one, "until": (one["until"] or "")[:10]} for one in told]
        lines = [{**one, "in_force": "yes" if one["in_force"] else "no"} for one in lines]
        give_table(COLUMNS, ([one[name] for name in COLUMNS] for one in lines))


@dataclass(frozen=True, slots=True)
class Said:
    """What every decision has: of whom, on which channel, by whom, why, and when it was taken."""

    session: Session
    association: str
    channel: str
    who: str
    why: str
    now: datetime

    @classmethod
    def typed(cls, context: typer.Context, association: str, channel: str, who: str | None, why: str) -> Self:
        """What was typed, complete. Raises InputError."""
        if not why.strip():
            raise InputError("--why", "a decision without a reason cannot be judged later", "--why TEXT")
        name = who if who is not None else next((os.environ[at] for at in LOGIN if os.environ.get(at)), "")
        if not name.strip():
            raise InputError("--who", "nobody's word is no decision", "--who NAME")
        return cls(session(context), association, channel, name.strip(), why.strip(), clock())

    def listed(self, app: App) -> Listed:
        """What the store holds there. Raises InputError where nobody has that id or channel."""
        from auditor.decisions import Listed, is_link

        _refuse_unknown(app, self.association)
        if self.channel not in app.config.channels:
            raise InputError(
                self.channel, "this channel is not audited", f"one of {' '.join(app.config.channels)}"
            )
        store, at = app.store, self.association
        rows = (row for row in store.accounts(at) if row.channel == self.channel and is_link(row))
        standings = {one.account_id: one for one in store.standings(at)}
        return Listed(at, self.channel, tuple(rows), standings, tuple(store.proposals(at)))

    def word(
        self,
        kind: DecisionKind,
        *,
        until: datetime | None,
        code: str | None = None,
        value: str | None = None,
    ) -> Decision:
        """The decision itself."""
        return Decision(
            self.association,
            self.channel,
            kind,
            self.who,
            self.why,
            self.now,
            until=until,
            code=code,
            value=value,
        )

    def keep(self, app: App, word: Decision, rows: list[AccountRow] | None = None) -> None:
        """Keep the decision, on each of these accounts or on the channel, and say so."""
        for account in [row.id for row in rows or []] or [None]:
            app.store.add_decision(replace(word, account_id=account))
        if not self.session.quiet:
            end = f"until {word.until.date()}" if word.until else "without an end"
            start = "now" if word.kind in AT_ONCE else "with the next night"
            say(f"{word.kind}: {self.association} on {self.channel}, by {self.who}, {end}; it shows {start}")


def _refuse_unknown(app: App, association: str) -> None:
    if app.store.association(association) is None:
        raise InputError(association, "no association has this id", "`auditor registry export -` lists them")
