"""`decide`: what a person knows and a machine cannot tell, with who said so, why and until when.

What every command of `decide` begins with: of whom, on which channel, by whom, why and when.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import Json, clock, session
from auditor.cli.output import give, give_table, say
from auditor.core.formatting import document

if TYPE_CHECKING:
    from auditor.decisions.service import Saying
    from auditor.i18n.wording import Wording
    from storage.models.audit import Decision


# ruff: noqa: PLC0415 - `--help` stays quick


LOGIN = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where a login name stands in the environment, in the order of Python's `getpass.getuser`."""

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


@contextmanager
def said(
    context: typer.Context,
    association: str,
    where: str | None,
    *,
    who: str | None,
    why: str,
    account: str | None = None,
) -> Iterator[Saying]:
    """What was typed, complete, with the store open; what came of it is told in the end.

    No `where` is the whole association. Raises InputError.
    """
    from auditor.decisions.service import Saying

    by, asked = whose(who), session(context)
    with asked.open() as app:
        saying = Saying.of(
            app.store,
            app.config.channels,
            association,
            where,
            who=by,
            why=why,
            now=clock(),
            account=account,
        )
        yield saying
    if not asked.quiet:
        for kept in saying.kept:
            say(_told(kept, asked.words))


def _told(kept: Decision, words: Wording) -> str:
    from auditor.decisions.service import AT_ONCE

    facts = [
        place(kept, words),
        words.say("said by {who}", who=kept.who),
        words.say("until {date}", date=kept.until) if kept.until else words.say("without an end"),
        words.say("shown at once" if kept.kind in AT_ONCE else "shown with the next night"),
        words.say("decision {number}", number=kept.id),
    ]
    return words.pair(words.term("decision", kept.kind), words.listed(facts))


def place(word: Decision, words: Wording) -> str:
    """Of whom a decision is, and where."""
    if not word.channel:
        return word.association
    return words.say("{association} on {channel}", association=word.association, channel=word.channel)


def whose(who: str | None) -> str:
    """Whose word it is. Raises InputError."""
    from auditor.decisions.parsing import nobody

    name = who if who is not None else login()
    if not name.strip():
        raise nobody()
    return name.strip()


def login() -> str:
    """The login name; empty where there is none, as for some of what cron runs."""
    return next((os.environ[at].strip() for at in LOGIN if os.environ.get(at)), "")


# ruff: noqa: PLC0415 - `--help` stays quick


decide = typer.Typer(no_args_is_help=True, help="What people know: attest, waive, and whose an account is.")

GROUPS = {"kind": "decision", "state": "held"}
"""Where the words of a column's codes are."""
COLUMNS = ("id", "kind", "channel", "account", "code", "until", "state", "who", "association", "why")


@decide.command("attest")
def attest(
    context: typer.Context,
    association: AssociationId,
    channel: Where,
    *,
    why: Why,
    last_activity: Annotated[
        str | None, typer.Option(metavar="DATE", help="The day of the last publication that was seen.")
    ] = None,
    account: AccountName = None,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that an account is there, because a person looked.

    It holds 12 months, or 180 days against an absence that was confirmed; newer evidence outweighs it.
    """
    with said(context, association, channel, who=who, why=why, account=account) as word:
        word.attest(seen=last_activity, until=until)


@decide.command("none-by-choice")
def none_by_choice(
    context: typer.Context,
    association: AssociationId,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="facebook, twitter, linkedin …")],
    *,
    why: Why,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that an association chose to have no account on a channel."""
    with said(context, association, channel, who=who, why=why) as word:
        word.none_by_choice(until=until)
    words = session(context).words
    for row in word.there.rows[:1]:
        listed = words.say(
            "warning: the sheet lists an account of {place}: {typed}",
            place=place(word.kept[0], words),
            typed=row.typed,
        )
        say(listed)


@decide.command("ours")
def ours(
    context: typer.Context,
    association: AssociationId,
    channel: Where,
    *,
    why: Why,
    account: AccountName = None,
    who: Who = None,
) -> None:
    """Say that an account, found on the site or named by its link, is the association's: register it.

    It is kept beside what the sheet lists until the decision is withdrawn.
    """
    with said(context, association, channel, who=who, why=why, account=account) as word:
        word.ours()


@decide.command("not-ours")
def not_ours(
    context: typer.Context,
    association: AssociationId,
    channel: Where,
    *,
    why: Why,
    account: AccountName = None,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that an account, registered or found on the site, is somebody else's."""
    with said(context, association, channel, who=who, why=why, account=account) as word:
        word.not_ours(until=until)


@decide.command("moved")
def moved(
    context: typer.Context,
    association: AssociationId,
    channel: Where,
    *,
    why: Why,
    account: AccountName = None,
    to: Annotated[str | None, typer.Option(metavar="LINK", help="Where it is now: it is registered.")] = None,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that an account is elsewhere now: the old one is no longer looked at, the new one is.

    Without --to the channel is not missing for 180 days at most, and somebody has to find the new address.
    """
    with said(context, association, channel, who=who, why=why, account=account) as word:
        word.moved(to=to, until=until)
    session(context).tell(
        "to do: put {link} in the sheet in place of {typed}"
        if word.kept[0].value
        else "to do: find where it is, and put that in the sheet in place of {typed}",
        link=word.kept[0].value,
        typed=word.rows[0].typed,
    )


@decide.command("waive")
def waive(
    context: typer.Context,
    association: AssociationId,
    channel: Annotated[
        str | None, typer.Argument(metavar="[CHANNEL|LINK]", help="Nothing is the whole association.")
    ] = None,
    *,
    why: Why,
    account: AccountName = None,
    code: Annotated[str | None, typer.Option(help="Only the gap of this code.")] = None,
    until: Until = None,
    who: Who = None,
) -> None:
    """Say that a channel's gaps, or one of them, need not be told; or one gap wherever it is."""
    from auditor.decisions.parsing import unwaived

    if channel is None and (code is None or account is not None):
        what = "a channel has to be said" if account else "what is waived is not said"
        raise unwaived(association, what)
    with said(context, association, channel, who=who, why=why, account=account) as word:
        word.waive(code=code, until=until)


@decide.command("withdraw")
def withdraw(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="ID", help="Its number in `decide list`.")],
    *,
    why: Why,
    who: Who = None,
) -> None:
    """Take a decision back before its time. It is kept, with who took it back and why."""
    from auditor.decisions.service import beside, withdrawn

    by, asked, now = whose(who), session(context), clock()
    with asked.open() as app:
        taken = withdrawn(app.store, number, who=by, why=why, now=now)
        others = beside(taken, list(app.store.decisions()), now)
    asked.tell(
        "withdrawn: {decision}, {place}, said by {teller}; taken back by {who}",
        decision=asked.words.term("decision", taken[0].kind),
        place=place(taken[0], asked.words),
        teller=taken[0].who,
        who=by,
    )
    for other in others:
        asked.tell(
            "still in force: {decision} (decision {number}), which was taken with it",
            decision=asked.words.term("decision", other.kind),
            number=other.id,
        )


@decide.command("list")
def list_(
    context: typer.Context,
    association: Annotated[str | None, typer.Option(help="Only this association's, by its id.")] = None,
    ending: Annotated[
        bool, typer.Option("--ending", help="Only those that end within 30 days and may be renewed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the decisions, ended ones too, in the order they were taken down.

    Their state is in_force, ending (within 30 days), outweighed (by newer evidence), expired or withdrawn.
    """
    from auditor.decisions.service import items, refuse_unknown

    now, asked = clock(), session(context)
    with asked.open() as app:
        if association is not None:
            refuse_unknown(app.store, association)
        rows = {row.id: row for row in app.store.accounts(association, include_withdrawn=True) if row.id}
        standings = {standing.account_id: standing for standing in app.store.standings(association)}
        told = items(app.store.decisions(association=association), rows, standings, now)
    told = [one for one in told if not ending or one["state"] == "ending"]
    if as_json:
        give(document(told, now))
    else:
        lines = [{**one, "until": (one["until"] or "")[:10]} for one in told]
        words = asked.words
        say_as = {name: partial(words.term, group) for name, group in GROUPS.items()}
        rows_told = ([one[name] for name in COLUMNS] for one in lines)
        give_table(COLUMNS, rows_told, words, {**say_as, "code": words.about})
