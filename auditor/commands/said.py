"""What every command of `decide` begins with: of whom, on which channel, by whom, why and when."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.commands.session import clock, session
from auditor.output import say

if TYPE_CHECKING:
    from auditor.saying import Saying
    from auditor.wording import Wording
    from storage.model import Decision

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
    from auditor.saying import Saying

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
    from auditor.saying import AT_ONCE

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
    from auditor.decisions import nobody

    name = who if who is not None else login()
    if not name.strip():
        raise nobody()
    return name.strip()


def login() -> str:
    """The login name; empty where there is none, as for some of what cron runs."""
    return next((os.environ[at].strip() for at in LOGIN if os.environ.get(at)), "")
