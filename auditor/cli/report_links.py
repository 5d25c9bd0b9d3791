"""`letters`: the associations' links to their own reports, made, renewed, ended, with the texts to send."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import Json, clock, session
from auditor.cli.decisions import Who, whose
from auditor.cli.output import give_parts, give_table, give_text
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import document_parts

if TYPE_CHECKING:
    from auditor.app import App
    from storage.models.users import Letter, LetterState

COLUMNS = ("id", "state", "made_at", "expires_at", "last_read", "made_by", "association", "name")

letters = typer.Typer(no_args_is_help=True, help="The links that lead associations to their own reports.")

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="Associations, by their ids.")]
Everybody = Annotated[bool, typer.Option("--all", help="Every association.")]
Days = Annotated[
    int | None, typer.Option(min=1, max=3660, help="For how many days; [letters] days otherwise.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Let older links of an association go on holding.")]


@letters.command()
def make(
    context: typer.Context,
    ids: Ids = None,
    *,
    everybody: Everybody = False,
    region: Annotated[str, typer.Option(help="With --all: only those of this region.")] = "",
    tag: Annotated[str, typer.Option(help="With --all: only those with this tag.")] = "",
    missing: Annotated[bool, typer.Option("--missing", help="Only those without a link that holds.")] = False,
    days: Days = None,
    keep: Keep = False,
    out: Annotated[
        Path, typer.Option(metavar="FILE|-", help="A .csv or .xlsx file; CSV here otherwise.")
    ] = Path("-"),
    bom: Annotated[bool, typer.Option(help="Begin CSV with the mark by which Excel knows UTF-8.")] = True,
    delimiter: Annotated[str, typer.Option(help="What parts the cells of CSV.")] = ",",
    who: Who = None,
) -> None:
    """Make links, and a sheet with the texts to send them, a row for each association.

    The links stand in this sheet and nowhere else. An association's older ones end. The texts are in its own
    language; with --lang the headings are in that one.
    """
    from auditor.cli.output import format_of, give_bytes, refuse_long, write
    from auditor.evaluation.summary import Chosen
    from auditor.i18n.wording import Wording
    from auditor.report_links import Mailing, chosen, public_url

    names, lang = _named(ids, everybody=everybody), session(context).lang
    target = None if str(out) == "-" else out
    form = format_of(None, target, ("csv", "xlsx"))
    refuse_long(delimiter)
    with session(context).open() as app:
        public_url(app.config)
        mailing = Mailing(app, whose(who), clock(), days, keep)
        seen = chosen(app, mailing.now, names, Chosen(region=region, tag=tag), missing=missing)
        pieces = mailing.pieces(
            seen,
            form,
            words=Wording(lang) if lang else None,
            bom=bom and target is not None,
            delimiter=delimiter,
        )
        if target is None:
            give_bytes(pieces, is_text=True)
            mailing.commit()
        else:
            write(pieces, target, private=True, written=mailing.commit)
    session(context).tell_count(
        "{file}: {n} link; whoever reads it opens the report, so keep it private",
        "{file}: {n} links; whoever reads them opens the reports, so keep them private",
        len(mailing.letters),
        file=str(out),
    )
    if mailing.ended:
        session(context).tell_count("{n} older link ended", "{n} older links ended", mailing.ended)


@letters.command()
def text(
    context: typer.Context,
    association: Annotated[str, typer.Argument(metavar="ID", help="An association, by its id.")],
    *,
    mail: Annotated[bool, typer.Option("--mail/--whatsapp", help="A mail, or a short text.")] = False,
    days: Days = None,
    keep: Keep = False,
    who: Who = None,
) -> None:
    """Make one association's link and print the text to send it with, in its language or that of --lang.

    No link is kept, so each text has a new one, and older ones end.
    """
    from auditor.registry.columns import whatsapp
    from auditor.report_links import Link, chosen, invitation, made
    from storage.models.users import LetterState

    with session(context).open() as app:
        now = clock()
        [view] = chosen(app, now, [association])
        ended = (
            0
            if keep
            else len(app.store.recent_letters(now, state=LetterState.HOLDS, association=association))
        )
        letter, link = made(app.store, app.config, association, whose(who), now, days=days, keep=keep)
        language = session(context).lang or view.association.language
        told = invitation(view, app.config, Link(link, letter.expires_at), now, language)
        chat = whatsapp(app.store.contact(association).phone, told.short)
    give_text(f"{told.subject}\n\n{told.body}" if mail else told.short)
    if ended:
        session(context).tell_count("{n} older link ended", "{n} older links ended", ended)
    if chat and not mail:
        session(context).tell("to open WhatsApp with it: {url}", url=chat)


@letters.command()
def renew(
    context: typer.Context,
    ids: Ids = None,
    *,
    everybody: Everybody = False,
    within: Annotated[
        int, typer.Option(min=0, help="With --all: only those that end within so many days.")
    ] = 14,
    days: Days = None,
) -> None:
    """Let links that still hold do so for longer; nobody has to be sent a new one."""
    from auditor.report_links import end

    names = _named(ids, everybody=everybody)
    with session(context).open() as app:
        now = clock()
        until, ending = end(app.config, now, days), now + timedelta(days=within)
        if names:
            renewed = sum(_each(app, names, lambda one: app.store.renew_letters(one, until, now)))
        else:
            renewed = app.store.renew_letters(None, until, now, ending=ending)
    session(context).tell_count(
        "{n} link renewed, until {date}", "{n} links renewed, until {date}", renewed, date=until
    )


@letters.command()
def revoke(context: typer.Context, ids: Ids = None, *, everybody: Everybody = False, who: Who = None) -> None:
    """End links at once: they open nothing any more."""
    names, by = _named(ids, everybody=everybody), whose(who)
    with session(context).open() as app:
        now = clock()
        if names:
            ended = sum(_each(app, names, lambda one: app.store.revoke_letters(one, by, now)))
        else:
            ended = app.store.revoke_letters(None, by, now)
    session(context).tell_count("{n} link revoked", "{n} links revoked", ended)


@letters.command("list")
def list_(
    context: typer.Context,
    association: Annotated[str | None, typer.Option(help="Only this association's, by its id.")] = None,
    state: Annotated[str | None, typer.Option(help="Only those: holds, expired or revoked.")] = None,
    as_json: Json = False,
) -> None:
    """List the links that were made: when, until when, and when the report was last read. Never a link."""
    wanted = _state(state)
    with session(context).open() as app:
        now = clock()
        found = app.store.letters(association)
        items = (_item(app, one, now) for one in found if wanted in (None, one.state(now)))
        if as_json:
            give_parts(document_parts(items, now))
        else:
            words = session(context).words
            lines = ([_day(item[name]) for name in COLUMNS] for item in map(_named_for_people, items))
            give_table(COLUMNS, lines, words, {"state": lambda code: words.term("letter", code)})


def _named(ids: list[str] | None, *, everybody: bool) -> list[str]:
    """The ids that were typed; none is everybody. Raises UsageError where neither, or both, are said."""
    if bool(ids) == everybody:
        raise UsageError(
            "of whom", "either ids are named or all are meant", "`auditor letters make ID`, or --all"
        )
    return ids or []


def _each(app: App, names: Iterable[str], act: Any) -> Iterator[int]:
    for one in names:
        if app.store.association(one) is None:
            raise InputError(one, "no association has this id", "`auditor registry export -` lists them")
        done: int = act(one)
        if not done:
            raise InputError(one, "it has no link that holds", f"`auditor letters make {one}`")
        yield done


def _state(typed: str | None) -> LetterState | None:
    from storage.models.users import LetterState

    if typed is None:
        return None
    if typed not in set(LetterState):
        raise UsageError(f"--state {typed}", "this is no state of a link", "holds, expired or revoked")
    return LetterState(typed)


def _item(app: App, letter: Letter, now: datetime) -> dict[str, Any]:
    """The item of `letters list --json`."""
    about = app.store.association(letter.association)
    return {
        "id": letter.id,
        "association": letter.association,
        "name": about.name if about else None,
        "state": letter.state(now).value,
        "made_at": letter.made_at,
        "made_by": letter.made_by,
        "expires_at": letter.expires_at,
        "revoked_at": letter.revoked_at,
        "revoked_by": letter.revoked_by,
        "opened_at": letter.opened_at,
    }


def _named_for_people(item: dict[str, Any]) -> dict[str, Any]:
    """The same item for a table, where a gap's `opened_at` has another heading."""
    return {**item, "last_read": item["opened_at"]}


def _day(cell: Any) -> Any:
    return cell.date().isoformat() if isinstance(cell, datetime) else cell
