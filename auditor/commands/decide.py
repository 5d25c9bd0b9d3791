"""`decide`: what a person knows and a machine cannot tell, with who said so, why and until when."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from auditor.commands.said import (
    AccountName,
    AssociationId,
    Until,
    Where,
    Who,
    Why,
    grounds,
    refuse_unknown,
    said,
    whose,
)
from auditor.commands.session import Json, clock, session
from auditor.errors import InputError
from auditor.output import document, give, give_table, say
from storage.model import DecisionKind, Withdrawal

decide = typer.Typer(no_args_is_help=True, help="What people know: attest, waive, and whose an account is.")

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
    from auditor.decisions import ends, longest, published

    with said(context, association, channel, who=who, why=why, account=account) as word:
        rows = word.rows
        most = min(longest(word.there.standing(row)) for row in rows)
        seen, end = published(last_activity, word.now), ends(until, word.now, most)
        word.keep(word.word(DecisionKind.ATTEST, end, value=seen), rows)


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
    from auditor.decisions import ends

    with said(context, association, channel, who=who, why=why) as word:
        if word.account is not None:
            raise InputError(channel, "one does without a channel, not an account", word.there.channel)
        word.keep(word.word(DecisionKind.NONE_BY_CHOICE, ends(until, word.now)))
        for row in word.there.rows[:1]:
            say(f"warning: the sheet lists an account of {word.there.place}: {row.typed}")


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
        if word.account is None:
            raise InputError(word.there.place, "which account is not said", "--account KEY or LINK")
        named = word.there.named(word.account)
        if word.there.listed(named.key or ""):
            raise InputError(word.account, "it is registered already", "`auditor registry export -` shows it")
        word.register(named)


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
    from auditor.decisions import ends

    with said(context, association, channel, who=who, why=why, account=account) as word:
        theirs = word.word(DecisionKind.NOT_OURS, ends(until, word.now))
        proposed = word.there.proposed(word.account) if word.account is not None else None
        if proposed is not None and not word.there.listed(proposed):
            word.keep(replace(theirs, value=proposed))
        else:
            word.keep(theirs, word.rows)


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
    from auditor.decisions import ends, subject
    from auditor.standing import DISPUTED

    with said(context, association, channel, who=who, why=why, account=account) as word:
        rows = word.rows
        there = word.there.named(to) if to is not None else None
        if there is not None and there.key == subject(rows[0]):
            raise InputError(to or "", "this is the account it moved from", "--to the new address")
        end = ends(until, word.now, DISPUTED if there is None else None)
        link = there.canonical or there.url if there is not None else None
        word.keep(word.word(DecisionKind.MOVED, end, value=link), rows)
        if there is not None:
            word.register(there)
        if not word.quiet:
            say(
                f"to do: {f'put {link}' if link else 'find where it is and put that'} in the sheet "
                f"in place of {rows[0].typed}"
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
    from auditor.catalogue import catalogue
    from auditor.decisions import code_of_a_gap, ends, subject

    if channel is None and (code is None or account is not None):
        what = "a channel has to be said" if account else "what is waived is not said"
        raise InputError(association, what, "CHANNEL, or --code CODE for that gap on any channel")
    with said(context, association, channel, who=who, why=why, account=account) as word:
        rows = word.rows if word.account is not None else []
        gap = code_of_a_gap(code, catalogue())
        name = subject(rows[0]) if rows else None
        told = word.word(DecisionKind.WAIVE, ends(until, word.now), code=gap, value=name)
        word.keep(told, rows[:1])


@decide.command("withdraw")
def withdraw(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="ID", help="Its number in `decide list`.")],
    *,
    why: Why,
    who: Who = None,
) -> None:
    """Take a decision back before its time. It is kept, with who took it back and why."""
    from auditor.ledger import beside, with_twins

    by, because, asked, now = whose(who), grounds(why), session(context), clock()
    with asked.open() as app:
        taken = list(app.store.decisions())
        words = with_twins(number, taken, now)
        app.store.withdraw([word.id for word in words if word.id], Withdrawal(by, because, now))
        if words[0].kind is DecisionKind.OURS:
            app.store.unlist([word.account_id for word in words if word.account_id], now)
    if not asked.quiet:
        of = " on ".join(filter(None, (words[0].association, words[0].channel)))
        say(f"withdrawn: {words[0].kind} of {of}, said by {words[0].who}; taken back by {by}")
        for other in beside(words, taken, now):
            say(f"still in force: {other.kind} (decision {other.id}), which was taken with it")


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
    from auditor.ledger import items

    now = clock()
    with session(context).open() as app:
        if association is not None:
            refuse_unknown(app, association)
        rows = {row.id: row for row in app.store.accounts(association, include_withdrawn=True) if row.id}
        standings = {standing.account_id: standing for standing in app.store.standings(association)}
        told = items(app.store.decisions(association=association), rows, standings, now)
    told = [one for one in told if not ending or one["state"] == "ending"]
    if as_json:
        give(document(told, now))
    else:
        lines = [{**one, "until": (one["until"] or "")[:10]} for one in told]
        give_table(COLUMNS, ([one[name] for name in COLUMNS] for one in lines))
