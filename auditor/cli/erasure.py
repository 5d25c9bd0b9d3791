"""`registry held` and `registry forget`: all that is kept of an association, told and erased."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import Json, Session, clock, may_ask, says_yes, session
from auditor.cli.decisions import Who, login
from auditor.cli.output import give, give_parts, give_table, say
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import document, document_parts

if TYPE_CHECKING:
    from auditor.erasure import Forgotten
    from storage.retention import Kept

Id = Annotated[str, typer.Argument(metavar="ID", help="The association, by its id.")]
COLUMNS = ("kept", "count")


def held(context: typer.Context, association: Id, as_json: Json = False) -> None:
    """Tell all that is kept of an association, its contact and letters as well: what it may ask to see.

    How much of each kind; with --json every row. Hashes of tokens are left out.
    """
    from auditor.erasure import kept

    asked = session(context)
    with asked.open() as app:
        found = kept(app, association)
        if as_json:
            rows = app.store.rows_of(association, [one.key for one in app.config.notify.recipients])
            give_parts(document_parts(({"kept": table, **row} for table, row in rows), clock()))
        else:
            _give(found, asked)


def forget(
    context: typer.Context,
    association: Id,
    *,
    contacts: Annotated[
        bool, typer.Option("--contacts", help="Only its contact and its subscriptions to mails.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be erased; erase nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Erase an association with all that is kept of it: contact, links, looks, evidence, letters, replies.

    The network's figures and the receipts of its nights stay. It cannot be undone. The trail keeps that
    somebody was forgotten, when and by whom. Older backups still hold it: the end tells what to do.
    """
    from auditor.erasure import cleaned, kept, was_forgotten
    from auditor.erasure import forget as erase

    asked, by = session(context), (who or "").strip() or login() or "operator"
    with asked.open() as app:
        if not dry_run and was_forgotten(app, association, contact=contacts):
            _tell(cleaned(app), asked, association, as_json=as_json)
            return
        found = kept(app, association, contact=contacts)
        if dry_run:
            _show(found, asked, association, as_json=as_json)
            return
        if not yes and not _agreed(found, asked, association, contacts=contacts):
            asked.tell("nothing changed")
            return
        _tell(erase(app, association, by, clock(), contact=contacts), asked, association, as_json=as_json)


def _agreed(found: Kept, asked: Session, association: str, *, contacts: bool) -> bool:
    """Show what would go and ask whether it shall. Raises UsageError where nobody can be asked."""
    if not may_ask():
        raise UsageError("registry forget", "it cannot be undone, and nobody is there to ask", "--yes")
    words = asked.words
    for kind, count in found.told():
        say(words.pair(words.term("kept", kind), words.number(count)))
    say(
        words.say("Erase the contact of {association} for good? Type yes or no.", association=association)
        if contacts
        else words.say("Erase all this of {association} for good? Type yes or no.", association=association)
    )
    return says_yes()


def _give(found: Kept, asked: Session) -> None:
    give_table(COLUMNS, found.told(), asked.words, {"kept": partial(asked.words.term, "kept")})


def _show(found: Kept, asked: Session, association: str, *, as_json: bool) -> None:
    if as_json:
        give(document([_item(association, found.told())], clock()))
        return
    _give(found, asked)
    asked.tell("this is what would be: nothing was written")


def _item(association: str, counts: Iterable[tuple[str, int]], **more: Any) -> dict[str, Any]:
    return {"association": association, "kept": dict(counts), **more}


def _tell(done: Forgotten, asked: Session, association: str, *, as_json: bool) -> None:
    """Tell what was erased, and which copies still hold it."""
    copies = list(map(str, done.copies))
    if as_json:
        give(document([_item(association, done.kept.told(), clean=done.is_clean, copies=copies)], clock()))
    elif done.kept:
        asked.tell_count("{n} row erased", "{n} rows erased", sum(done.kept.rows.values()))
    else:
        asked.tell("it was forgotten before; the file was cleaned once more, and sheets that waited are gone")
    if not done.is_clean:
        raise InputError(
            association,
            "it is erased, but the database's log still holds traces while it is read",
            "the same command again when `auditor serve` is stopped",
        )
    asked.tell(
        "backups of before still hold it: delete them, or do not restore them without forgetting again"
    )
    for copy in copies:
        asked.tell("this copy of before holds it as well, delete it: {file}", file=copy)
