"""`receipts`: what each night left, whether it is what was signed, and whether it follows the one before."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import Json, clock, session
from auditor.cli.output import give, give_table, say
from auditor.core.errors import IncompleteError
from auditor.core.formatting import document

if TYPE_CHECKING:
    from auditor.cli.context import Session
    from auditor.receipts.verify import Link

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
    from auditor.receipts.signing import known
    from auditor.receipts.verify import chain

    asked = session(context)
    with asked.open() as app:
        links = list(chain(app.store.nights(), known(app.folder)))
    items = [_item(link) for link in links]
    if as_json:
        give(document(items, clock()))
    elif items:
        words = asked.words
        sayings = {name: partial(words.term, group) for name, group in SAID.items()}
        give_table(COLUMNS, ([item[name] for name in COLUMNS] for item in items), words, sayings)
    _refuse(links, digest, asked)


def _item(link: Link) -> dict[str, Any]:
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
