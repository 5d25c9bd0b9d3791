"""`digest`: what a night gives to tell, sent or shown by hand, and who wants to hear it."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import JsonOption, get_cli_context, get_current_time
from auditor.cli.help import examples, make_group
from auditor.cli.output import print_data, print_table, print_text
from auditor.core.errors import IncompleteRunError, InputError
from auditor.core.formatting import build_json_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from auditor.app import App
    from auditor.cli.output import CellFormatter
    from auditor.config.notifications import Recipient
    from auditor.i18n.translator import Translator
    from auditor.notifications.delivery import Delivery
    from auditor.notifications.drafts import MessageDraft
    from storage.models.audit import AuditRun

DELIVERY_COLUMNS = ("status", "kind", "occasion", "subject", "reason", "recipient")
SUBSCRIPTION_COLUMNS = ("is_wanted", "kind", "changed_at", "association", "address")
DELIVERY_JSON_KEYS = ("recipient", "kind", "occasion", "status", "subject", "reason")

digest_app = make_group(
    "Send the digest of the last run and monthly reports.\n\n"
    "Sends each message once to each recipient.",
    no_args_is_help=False,
    invoke_without_command=True,
)


@digest_app.callback()
@examples("auditor digest --dry-run")
def send_digest(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, without sending anything.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Include everything since this day (UTC)."),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Send only to this address.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Send the digest of the last run and monthly reports to those who did not get them yet."""
    if context.invoked_subcommand:
        return
    from auditor.notifications import delivery

    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        drafts = _select_drafts(app, since.date() if since else None, to)
        carried = (
            delivery.preview_drafts(app.config, drafts)
            if dry_run
            else delivery.deliver_drafts(app, drafts, get_current_time())
        )
        told = list(carried)
    if as_json:
        print_data(build_json_document(map(_build_delivery_item, told), get_current_time()))
    elif dry_run:
        print_text("\n\n".join(_format_preview(one, cli_context.translator) for one in told))
    else:
        lines = ([getattr(one, name) for name in DELIVERY_COLUMNS] for one in told)
        print_table(
            DELIVERY_COLUMNS,
            lines,
            cli_context.translator,
            _build_cell_formatters(cli_context.translator),
        )
    if not told:
        cli_context.print_translated(
            "no one receives the digest yet; add addresses in {setting}",
            setting="[[notify.recipients]]",
        )
    _raise_if_undelivered(told)


@digest_app.command()
def subscribe(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Mail address.")],
    association: Annotated[
        str | None, typer.Option(help="Use the monthly report of this association, by its id.")
    ] = None,
) -> None:
    """Subscribe an address to the digest or a report.

    With --association it is the monthly report of that association. Otherwise it is the digest, for
    a recipient of the configuration who had unsubscribed.
    """
    _save_subscription(context, address, association, wanted=True)


@digest_app.command()
def unsubscribe(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Mail address.")],
    association: Annotated[
        str | None, typer.Option(help="Use the monthly report of this association, by its id.")
    ] = None,
) -> None:
    """Unsubscribe an address from the digest or a report."""
    _save_subscription(context, address, association, wanted=False)


@digest_app.command()
def subscriptions(context: typer.Context, as_json: JsonOption = False) -> None:
    """List who subscribed and who unsubscribed.

    The recipients of the digest are in the configuration.
    """
    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        items = [
            {name: value for name, value in asdict(one).items() if name != "token_hash"}
            for one in app.store.list_subscriptions()
        ]
    if as_json:
        print_data(build_json_document(items, get_current_time()))
    else:
        lines = ([item[name] for name in SUBSCRIPTION_COLUMNS] for item in items)
        print_table(
            SUBSCRIPTION_COLUMNS,
            lines,
            cli_context.translator,
            _build_cell_formatters(cli_context.translator),
        )


def _save_subscription(
    context: typer.Context, address: str, association: str | None, *, wanted: bool
) -> None:
    from auditor.notifications import subscriptions

    with get_cli_context(context).open_app() as app:
        subscriptions.save_subscription(
            app.store, app.config, address, association or "", wanted=wanted, now=get_current_time()
        )
    cli_context = get_cli_context(context)
    if association is None and wanted:
        cli_context.print_translated("{address} gets the digest", address=address)
    elif association is None:
        cli_context.print_translated("{address} no longer gets the digest", address=address)
    elif wanted:
        cli_context.print_translated(
            "{address} gets the monthly report of {association}",
            address=address,
            association=association,
        )
    else:
        cli_context.print_translated(
            "{address} no longer gets the monthly report of {association}",
            address=address,
            association=association,
        )


def _build_cell_formatters(translator: Translator) -> Mapping[str, CellFormatter]:
    return {
        "kind": partial(_format_message_kind, translator),
        "status": partial(translator.term, "delivery"),
        "wanted": partial(translator.term, "boolean"),
        "changed_at": lambda moment: moment[:10],
    }


def _format_message_kind(translator: Translator, kind: str) -> str:
    """The kind of a message in words; of a digest that tells of more than a night, since when."""
    base, _, since = kind.partition(" since ")
    said = translator.term("message", base)
    return (
        translator.translate("{message} since {date}", message=said, date=date.fromisoformat(since))
        if since
        else said
    )


def _select_drafts(app: App, since: date | None, to: str | None) -> Iterator[MessageDraft]:
    """All that the last night gives to send; the digest alone where it is asked for by day or address."""
    from auditor.notifications.delivery import collect_drafts
    from auditor.notifications.drafts import draft_digests

    night = _load_last_finished_run(app)
    if since is None and to is None:
        return collect_drafts(app, night)
    only = () if to is None else (_find_recipient(app, to),)
    return draft_digests(app.store, app.config, night, since=since, only_recipients=only)


def _load_last_finished_run(app: App) -> AuditRun:
    from storage.models.audit import AuditRunState

    night = app.store.get_latest_run(AuditRunState.DONE)
    if night is None:
        raise IncompleteRunError("no night is done", "there is nothing to tell of", "`auditor run`")
    return night


def _find_recipient(app: App, address: str) -> Recipient:
    """The recipient of the configuration by its address or its name in tables, or an address of its own."""
    from auditor.config.notifications import Recipient, is_mail_address, normalize_mail_address

    bare = address.removeprefix("mailto:")
    listed = (
        one
        for one in app.config.notify.recipients
        if one.key in {normalize_mail_address(bare), address}
    )
    if found := next(listed, None):
        return found
    if not is_mail_address(bare):
        raise InputError(
            address, "this is no mail address, and no recipient is called so", "name@example.org"
        )
    return Recipient.model_validate({"to": bare})


def _build_delivery_item(delivery: Delivery) -> dict[str, object]:
    """The item of `digest --json`; what would be sent goes with its text."""
    item = {name: getattr(delivery, name) for name in DELIVERY_JSON_KEYS}
    return {**item, "text": delivery.text} if delivery.status == "would_send" else item


def _format_preview(delivery: Delivery, translator: Translator) -> str:
    head = translator.format_pair(delivery.recipient, translator.term("delivery", delivery.status))
    return f"{head}\n{delivery.subject}\n\n{delivery.text}" if delivery.text else head


def _raise_if_undelivered(deliveries: Iterable[Delivery]) -> None:
    """Raise IncompleteError where a message did not surely arrive."""
    lost = [one for one in deliveries if one.is_undelivered]
    if lost:
        why = "; ".join(f"{one.recipient} {one.status}, {one.reason}" for one in lost)
        raise IncompleteRunError(
            f"{len(lost)} of the messages did not arrive", why, "`auditor digest` again"
        )
