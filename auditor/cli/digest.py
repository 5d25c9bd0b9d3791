"""`digest`: what a night gives to tell, sent or shown by hand, and who wants to hear it."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import Json, clock, session
from auditor.cli.output import give, give_table, give_text
from auditor.core.errors import IncompleteError, InputError
from auditor.core.formatting import document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from auditor.app import App
    from auditor.cli.output import Saying
    from auditor.config.notifications import Recipient
    from auditor.i18n.wording import Wording
    from auditor.notifications.delivery import Delivery
    from auditor.notifications.drafts import Draft
    from storage.models.audit import Night

DELIVERY = ("outcome", "kind", "occasion", "subject", "why", "recipient")
WISH = ("wanted", "kind", "changed_at", "association", "address")
ITEM = ("recipient", "kind", "occasion", "outcome", "subject", "why")

digest = typer.Typer(
    no_args_is_help=False, invoke_without_command=True, help="Tell those who follow the network what changed."
)


@digest.callback()
def send(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")
    ] = False,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Tell of everything since this day (UTC).")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Only to this address.")] = None,
    as_json: Json = False,
) -> None:
    """Send what the last night gives to tell to those who did not get it: digests, and monthly reports."""
    if context.invoked_subcommand:
        return
    from auditor.notifications import delivery

    asked = session(context)
    with asked.open() as app:
        drafts = _drafts(app, since.date() if since else None, to)
        carried = (
            delivery.previewed(app.config, drafts) if dry_run else delivery.carried(app, drafts, clock())
        )
        told = list(carried)
    if as_json:
        give(document(map(_item, told), clock()))
    elif dry_run:
        give_text("\n\n".join(_shown(one, asked.words) for one in told))
    else:
        lines = ([getattr(one, name) for name in DELIVERY] for one in told)
        give_table(DELIVERY, lines, asked.words, _sayings(asked.words))
    if not told:
        asked.tell(
            "nobody follows the network yet; {setting} lists who does", setting="[[notify.recipients]]"
        )
    _refuse_losses(told)


@digest.command()
def subscribe(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="A mail address.")],
    association: Annotated[
        str | None, typer.Option(help="The monthly report of this association, by its id.")
    ] = None,
) -> None:
    """Let an address have its association's monthly report, or the digest again that it no longer wanted."""
    _wish(context, address, association, wanted=True)


@digest.command()
def unsubscribe(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="A mail address.")],
    association: Annotated[
        str | None, typer.Option(help="The monthly report of this association, by its id.")
    ] = None,
) -> None:
    """Send an address no digest any more, or no monthly report of an association."""
    _wish(context, address, association, wanted=False)


@digest.command()
def subscriptions(context: typer.Context, as_json: Json = False) -> None:
    """List what people said they want and no longer want; the configuration lists who gets the digest."""
    asked = session(context)
    with asked.open() as app:
        items = [
            {name: value for name, value in asdict(one).items() if name != "token_hash"}
            for one in app.store.subscriptions()
        ]
    if as_json:
        give(document(items, clock()))
    else:
        lines = ([item[name] for name in WISH] for item in items)
        give_table(WISH, lines, asked.words, _sayings(asked.words))


def _wish(context: typer.Context, address: str, association: str | None, *, wanted: bool) -> None:
    from auditor.notifications import subscriptions

    with session(context).open() as app:
        subscriptions.keep(app.store, app.config, address, association or "", wanted=wanted, now=clock())
    asked = session(context)
    if association is None:
        asked.tell(
            "{address} gets the digest" if wanted else "{address} no longer gets the digest", address=address
        )
    else:
        asked.tell(
            "{address} gets the monthly report of {association}"
            if wanted
            else "{address} no longer gets the monthly report of {association}",
            address=address,
            association=association,
        )


def _sayings(words: Wording) -> Mapping[str, Saying]:
    return {
        "kind": partial(_kind, words),
        "outcome": partial(words.term, "delivery"),
        "wanted": partial(words.term, "truth"),
        "changed_at": lambda moment: moment[:10],
    }


def _kind(words: Wording, kind: str) -> str:
    """The kind of a message in words; of a digest that tells of more than a night, since when."""
    base, _, since = kind.partition(" since ")
    said = words.term("message", base)
    return (
        words.say("{message} since {date}", message=said, date=date.fromisoformat(since)) if since else said
    )


def _drafts(app: App, since: date | None, to: str | None) -> Iterator[Draft]:
    """All that the last night gives to send; the digest alone where it is asked for by day or address."""
    from auditor.notifications.delivery import waiting
    from auditor.notifications.drafts import digests

    night = _night(app)
    if since is None and to is None:
        return waiting(app, night)
    only = () if to is None else (_recipient(app, to),)
    return digests(app.store, app.config, night, since=since, only=only)


def _night(app: App) -> Night:
    from storage.models.audit import NightState

    night = app.store.last_night(NightState.DONE)
    if night is None:
        raise IncompleteError("no night is done", "there is nothing to tell of", "`auditor run`")
    return night


def _recipient(app: App, address: str) -> Recipient:
    """The recipient of the configuration by its address or its name in tables, or an address of its own."""
    from auditor.config.notifications import Recipient, is_mail, key_of

    bare = address.removeprefix("mailto:")
    listed = (one for one in app.config.notify.recipients if one.key in {key_of(bare), address})
    if found := next(listed, None):
        return found
    if not is_mail(bare):
        raise InputError(
            address, "this is no mail address, and no recipient is called so", "name@example.org"
        )
    return Recipient.model_validate({"to": bare})


def _item(one: Delivery) -> dict[str, object]:
    """The item of `digest --json`; what would be sent goes with its text."""
    item = {name: getattr(one, name) for name in ITEM}
    return {**item, "text": one.text} if one.outcome == "would_send" else item


def _shown(one: Delivery, words: Wording) -> str:
    head = words.pair(one.recipient, words.term("delivery", one.outcome))
    return f"{head}\n{one.subject}\n\n{one.text}" if one.text else head


def _refuse_losses(told: Iterable[Delivery]) -> None:
    """Raise IncompleteError where a message did not surely arrive."""
    lost = [one for one in told if one.is_trouble]
    if lost:
        why = "; ".join(f"{one.recipient} {one.outcome}, {one.why}" for one in lost)
        raise IncompleteError(f"{len(lost)} of the messages did not arrive", why, "`auditor digest` again")
