"""`digest`: send or preview the messages of the last run, and manage mail subscriptions."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from datetime import date, datetime
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import examples, get_cli_context, get_current_time, limit_rows, make_group
from auditor.cli.options import FormatOption, JsonOption, LimitOption
from auditor.cli.output import choose_table_format, print_json, print_table, print_text
from auditor.core.errors import IncompleteRunError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from auditor.app import App
    from auditor.cli.output import CellFormatter, TableFormat
    from auditor.config.notifications import Recipient
    from auditor.i18n.translator import Translator
    from auditor.notifications.delivery import Delivery
    from auditor.notifications.drafts import MessageDraft
    from storage.models.audit import AuditRun

DELIVERY_COLUMNS = ("status", "kind", "occasion", "subject", "reason", "recipient")
SUBSCRIPTION_COLUMNS = ("is_wanted", "kind", "changed_at", "association", "address")
DELIVERY_JSON_KEYS = ("recipient", "kind", "occasion", "status", "subject", "reason")

digest_app = make_group(
    "Send the digest of the last run and the monthly reports.\n\n"
    "Each recipient gets each message once. Runs do this on their own: use this command to repeat "
    "a delivery that failed, or to send a digest of a longer time.",
    no_args_is_help=False,
    invoke_without_command=True,
)


@digest_app.callback()
@examples("auditor digest --dry-run")
def send_digest(
    context: typer.Context,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, without sending anything.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Include everything since this day (UTC)."),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Send only to this address.")] = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send the digest of the last run and the monthly reports to those who did not get them yet."""
    if context.invoked_subcommand:
        return
    from auditor.notifications import delivery

    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    open_app = cli_context.open_app_for_reading if dry_run else cli_context.open_app
    with open_app() as app:
        drafts = _select_drafts(app, since.date() if since else None, to)
        if dry_run:
            deliveries = list(delivery.preview_drafts(app.store, app.config, drafts))
        else:
            deliveries = list(delivery.deliver_drafts(app, drafts, get_current_time()))
    translator = cli_context.translator
    if table_format == "json":
        print_json(map(_build_delivery_item, deliveries), get_current_time())
    elif dry_run:
        print_text("\n\n".join(_format_preview(item, translator) for item in deliveries))
    else:
        items = map(_build_delivery_item, deliveries)
        _print_messages(DELIVERY_COLUMNS, items, translator, table_format)
    if not deliveries:
        cli_context.print_translated(
            "no one receives the digest yet; add addresses in {setting}",
            setting="[[notify.recipients]]",
        )
    _raise_if_undelivered(deliveries)


@digest_app.command()
@examples("auditor digest subscribe amina@example.org --association nour")
def subscribe(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Mail address.")],
    association: Annotated[
        str | None, typer.Option(help="Use the monthly report of this association, by its id.")
    ] = None,
) -> None:
    """Subscribe an address to a monthly report or the digest.

    With --association, the address gets the monthly report of that association. Without it, a
    recipient in the configuration who has unsubscribed gets the digest again.
    """
    _save_subscription(context, address, association, wanted=True)


@digest_app.command()
@examples("auditor digest unsubscribe amina@example.org")
def unsubscribe(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Mail address.")],
    association: Annotated[
        str | None, typer.Option(help="Use the monthly report of this association, by its id.")
    ] = None,
) -> None:
    """Unsubscribe an address from a monthly report or the digest."""
    _save_subscription(context, address, association, wanted=False)


@digest_app.command()
@examples("auditor digest subscriptions")
def subscriptions(
    context: typer.Context,
    limit: LimitOption = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the addresses that subscribed or unsubscribed.

    The recipients of the digest are in the configuration. They are listed here only if they have
    unsubscribed.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    translator = cli_context.translator
    with cli_context.open_app_for_reading() as app:
        listed = limit_rows(context, app.store.subscriptions.list_subscriptions(), limit)
        # the hash of the token is a secret
        items = [subscription.model_dump(exclude={"token_hash"}) for subscription in listed]
    cli_context.explain_empty_result(len(items), app.config)
    if table_format == "json":
        print_json(items, get_current_time())
    else:
        _print_messages(SUBSCRIPTION_COLUMNS, items, translator, table_format)


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


def _print_messages(
    columns: Sequence[str],
    items: Iterable[Mapping[str, object]],
    translator: Translator,
    table_format: TableFormat,
) -> None:
    formatters: dict[str, CellFormatter] = {
        "kind": partial(_format_message_kind, translator),
        "changed_at": lambda timestamp: timestamp[:10],
    }
    groups = {"status": "delivery", "is_wanted": "boolean"}
    print_table(columns, items, translator, table_format, formatters, term_groups=groups)


def _format_message_kind(translator: Translator, kind: str) -> str:
    """Return the name of a kind of message. If a digest covers several runs, add the first day."""
    base_kind, _, since = kind.partition(" since ")
    name = translator.term("message", base_kind)
    if not since:
        return name
    return translator.translate(
        "{message} since {date}", message=name, date=date.fromisoformat(since)
    )


def _select_drafts(app: App, since: date | None, to: str | None) -> Iterator[MessageDraft]:
    """Return the messages of the last run: all, or only digests if a day or an address is given."""
    from auditor.notifications.delivery import collect_drafts
    from auditor.notifications.drafts import draft_digests

    run = _load_last_finished_run(app)
    if since is None and to is None:
        return collect_drafts(app, run)
    recipients = () if to is None else (_find_recipient(app, to),)
    return draft_digests(app.store, app.config, run, since=since, only_recipients=recipients)


def _load_last_finished_run(app: App) -> AuditRun:
    from storage.models.audit import AuditRunState

    run = app.store.runs.get_latest(AuditRunState.DONE)
    if run is None:
        raise IncompleteRunError("no messages to send", "no run has finished yet", "`auditor run`")
    return run


def _find_recipient(app: App, address: str) -> Recipient:
    """Return a recipient of the configuration by its address or key, or one for any mail address.

    Raises InputError if the text is neither.
    """
    from auditor.config.notifications import Recipient, is_mail_address, normalize_mail_address

    bare_address = address.removeprefix("mailto:")
    keys = {normalize_mail_address(bare_address), address}
    for recipient in app.config.notify.recipients:
        if recipient.key in keys:
            return recipient
    if not is_mail_address(bare_address):
        raise InputError(
            address,
            "it is neither a mail address nor a recipient of the configuration",
            "name@example.org",
        )
    return Recipient.model_validate({"to": bare_address})


def _build_delivery_item(delivery: Delivery) -> dict[str, object]:
    """Return an item of `digest --json`. A preview also has the text."""
    item = {name: getattr(delivery, name) for name in DELIVERY_JSON_KEYS}
    if delivery.status == "would_send":
        item["text"] = delivery.text
    return item


def _format_preview(delivery: Delivery, translator: Translator) -> str:
    heading = translator.format_pair(
        delivery.recipient, translator.term("delivery", delivery.status)
    )
    if not delivery.text:
        return heading
    return f"{heading}\n{delivery.subject}\n\n{delivery.text}"


def _raise_if_undelivered(deliveries: Iterable[Delivery]) -> None:
    """Raise IncompleteRunError if a message may not have arrived."""
    undelivered = list(filter(attrgetter("is_undelivered"), deliveries))
    if not undelivered:
        return
    reasons = "; ".join(
        f"{delivery.recipient} {delivery.status}, {delivery.reason}" for delivery in undelivered
    )
    raise IncompleteRunError(
        f"{len(undelivered)} messages may not have arrived", reasons, "`auditor digest` again"
    )
