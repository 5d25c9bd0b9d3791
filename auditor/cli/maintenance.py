"""`backup`, `restore` and `thin`: that nothing is lost, and that nothing is kept for ever.

`receipts`: what each night left, whether it is what was signed, and whether it follows the one before.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import Json, clock, session
from auditor.cli.output import give, give_table, progress, say
from auditor.core.errors import IncompleteError
from auditor.core.formatting import document

if TYPE_CHECKING:
    from auditor.cli.context import Session
    from auditor.i18n.wording import Wording
    from auditor.receipts.receipt import Link
    from auditor.retention.backups import Taken
    from auditor.retention.evidence_pruning import Thinned


# ruff: noqa: PLC0415 - `--help` stays quick


LISTED = ("file", "made_at", "bytes")


def backup(
    context: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(help="A folder, or a file that ends in .db; [backup] folder otherwise."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Tell which there are; make none.")] = False,
    as_json: Json = False,
) -> None:
    """Copy the database and its evidence, also while a night is being written.

    The copy is read again before it counts.
    """
    from auditor.app import App
    from auditor.retention import backups

    asked, now = session(context), clock()
    config = asked.config()
    backups.database_of(config, "`pg_dump`")
    if listed:
        items = [one.item() for one in backups.listed(target or config.backup.folder)]
        _give_list(items, asked.words, config.network.zone, as_json=as_json)
        return
    with App.open(config, create=False) as app:
        taken = backups.take(app.store, app.archive, config, now, target)
    if as_json:
        give(document([_item(taken)], now))
    elif not asked.quiet:
        say(_taken(taken, asked.words))


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A backup.")],
    as_json: Json = False,
) -> None:
    """Put a backup in the database's place.

    The database that is there is kept beside it under another name.
    """
    from auditor import erasure
    from auditor.app import App, locked
    from auditor.core.errors import InputError
    from auditor.retention import backups
    from storage.retention import marks_in

    asked, now = session(context), clock()
    config = asked.config()
    backups.database_of(config, "`pg_restore`")
    if not file.is_file():
        raise InputError(str(file), "there is no such file", "`auditor backup --list`")
    with locked(config.storage.folder):
        folders = {config.backup.folder.resolve(), file.parent.resolve()}
        files = [one.file for folder in folders for one in backups.listed(folder)]
        here = backups.database_of(config, "`pg_restore`")
        marks = frozenset[str]().union(*map(marks_in, (here, *files)))
        done = backups.put_back(config, file, now)
    with App.open(config, create=False) as app:
        there = erasure.back(app, marks)
    if as_json:
        item = {"file": str(done.file), "kept": str(done.kept) if done.kept else None, "bodies": done.bodies}
        give(
            document(
                [{**item, "forgotten": there, **_held(done.contents.rows), "schema": done.contents.schema}],
                now,
            )
        )
    elif not asked.quiet:
        told = asked.words.say("{file} is what {backup} holds", file=str(done.file), backup=str(file))
        facts = [_counted(done.contents.rows, asked.words)]
        if done.kept:
            facts.append(asked.words.say("what was there is kept as {kept}", kept=str(done.kept)))
        say(asked.words.pair(told, asked.words.listed(facts)))
    for one in there:
        asked.tell(
            "{association} was forgotten since and is there again: “auditor registry forget” erases it",
            association=one,
        )


def thin(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go; remove nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old evidence that nothing rests on, and what people left behind whose time is over.

    No finding and no conclusion changes. Each Sunday's night ends with it; what people left goes every night.
    """
    from auditor.app import App
    from auditor.retention import backups, evidence_pruning
    from auditor.runs.pipeline import ages

    asked = session(context)
    with (
        App.open(asked.config(), create=False) as app,
        app.lock(),
        progress(asked.words.say("looking for what may go"), quiet=asked.quiet) as step,
    ):
        told = evidence_pruning.thin(
            app.store,
            app.archive,
            app.config,
            clock(),
            copies=backups.bodies_in(app.config),
            dry_run=dry_run,
            progress=step,
        )
        over = app.store.expire(ages(app.config.keep, clock()), dry_run=dry_run)
    if as_json:
        give(document([{**told.item(), "expired": over}], clock()))
    elif not asked.quiet:
        say(_thinned(told, sum(over.values()), asked.words, dry_run=dry_run))


def _give_list(items: list[dict[str, Any]], words: Wording, zone: str, *, as_json: bool) -> None:
    if as_json:
        give(document(items, clock()))
        return
    sayings = {
        "made_at": lambda cell: words.moment(datetime.fromisoformat(cell), zone),
        "bytes": lambda cell: words.number(int(cell)),
    }
    give_table(LISTED, ([one[name] for name in LISTED] for one in items), words, sayings)


def _item(taken: Taken) -> dict[str, Any]:
    held = {"schema": taken.contents.schema, **_held(taken.contents.rows), "bodies": taken.bodies}
    return {**taken.backup.item(), **held, "removed": [str(file) for file in taken.removed]}


def _held(rows: Any) -> dict[str, int]:
    return {f"{name}s": rows.get(name, 0) for name in ("association", "account", "night", "observation")}


def _counted(rows: Any, words: Wording) -> str:
    return words.listed(
        [
            words.count("{n} association", "{n} associations", rows.get("association", 0)),
            words.count("{n} night", "{n} nights", rows.get("night", 0)),
            words.count("{n} look", "{n} looks", rows.get("observation", 0)),
        ]
    )


def _taken(taken: Taken, words: Wording) -> str:
    facts = [
        _counted(taken.contents.rows, words),
        words.count("{n} new page of evidence", "{n} new pages of evidence", taken.bodies),
    ]
    if taken.removed:
        facts.append(words.count("{n} old backup removed", "{n} old backups removed", len(taken.removed)))
    return words.pair(words.say("backed up to {file}", file=str(taken.backup.file)), words.listed(facts))


def _thinned(told: Thinned, over: int, words: Wording, *, dry_run: bool) -> str:
    facts = [
        words.count("{n} page", "{n} pages", told.bodies),
        words.say("{size} MiB", size=words.number(round(told.bytes / (1 << 20), 1))),
        words.count("the headers of {n} look", "the headers of {n} looks", told.exchanges),
        words.count("{n} row about people", "{n} rows about people", over),
    ]
    went = words.say("would be removed") if dry_run else words.say("removed")
    return words.pair(went, words.listed(facts))


# ruff: noqa: PLC0415 - `--help` stays quick


COLUMNS = ("night", "state", "accounts", "left_out", "signature", "chain", "key", "digest")
SAID = {"state": "night", "signature": "signature", "chain": "chain"}
"""In which group of words the codes of a column are."""


def receipts(
    context: typer.Context,
    digest: Annotated[
        str | None,
        typer.Option(help="A digest that was noted elsewhere: exit 4 where no receipt has it any more."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the receipts of the nights, and prove them.

    Each is signed and holds the digest of the one before: one that was changed, taken out or put elsewhere is
    told, and the command ends with 4.
    """
    from auditor.receipts.receipt import chain
    from auditor.receipts.signing import known

    asked = session(context)
    with asked.open() as app:
        links = list(chain(app.store.nights(), known(app.folder)))
    items = [_receipt_item(link) for link in links]
    if as_json:
        give(document(items, clock()))
    elif items:
        words = asked.words
        sayings = {name: partial(words.term, group) for name, group in SAID.items()}
        give_table(COLUMNS, ([item[name] for name in COLUMNS] for item in items), words, sayings)
    _refuse(links, digest, asked)


def _receipt_item(link: Link) -> dict[str, Any]:
    from auditor.receipts.receipt import left_out
    from auditor.receipts.signing import fingerprint

    night = link.night
    return {
        "night": night.day.isoformat(),
        "state": night.state.value,
        "accounts": night.receipt.get("accounts"),
        "left_out": left_out(night),
        "signature": link.signed.value,
        "chain": link.place.value,
        "key": fingerprint(link.key) if link.key else None,
        "digest": link.digest,
        "previous": night.receipt.get("previous"),
        "fault": link.fault.value if link.fault else None,
        "receipt": dict(night.receipt),
    }


def _refuse(links: list[Link], digest: str | None, asked: Session) -> None:
    """Tell each fault in a line of its own, and end with 4 where there is one."""
    for link in links:
        if link.fault:
            say(fault_of(link))
        elif link.new_key:
            asked.tell("The receipts from {day} on are signed with another key.", day=link.night.day)
    if digest is not None and digest not in {link.digest for link in links}:
        remedy = "look for a copy of that night, in a backup or a mail"
        raise IncompleteError(f"the digest {digest}", "no receipt has it", remedy)
    if any(link.fault for link in links):
        raise typer.Exit(IncompleteError.code)


def fault_of(link: Link) -> str:
    """What is wrong with a receipt, as an error is told."""
    why = {
        "changed": "its receipt is not the one that was signed",
        "strange": "its receipt is signed with a key that is not in receipts.pub",
        "unsigned": "its receipt is not signed, though the one before it is",
        "elsewhere": "its receipt tells of another night, or of another end of it",
        "broken": "its receipt follows one that is not there: the nights before it were taken out",
    }
    if link.before:
        between = "a night between them was taken out, or changed"
        why["broken"] = f"its receipt does not follow that of {link.before}: {between}"
    return f"error: the night of {link.night.day}: {why[link.fault or 'broken']}"
