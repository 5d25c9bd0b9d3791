"""`digest`: send or preview the messages of the last run, and manage mail subscriptions."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated

import typer

from auditor.app import App
from auditor.cli.context import (
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
    get_cli_context,
    get_current_time,
    make_group,
    show_list,
)
from auditor.cli.output import choose_table_format, count_noun, print_json, print_table, print_text
from auditor.config.notifications import Recipient, normalize_mail_address
from auditor.config.validators import is_mail_address
from auditor.core.errors import IncompleteRunError, InputError
from auditor.core.i18n.translator import Translator
from auditor.presentation.notifications import delivery
from auditor.presentation.notifications import subscriptions as subscription_service
from auditor.presentation.notifications.delivery import MessageDraft, draft_digests
from storage.models.audit import AuditRunState

DELIVERY_COLUMNS = ("status", "kind", "occasion", "subject", "reason", "recipient")
DELIVERY_JSON_KEYS = ("recipient", "kind", "occasion", "status", "subject", "reason")
SUBSCRIPTION_COLUMNS = ("is_wanted", "kind", "changed_at", "association", "address")

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
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    open_app = cli_context.open_app_for_reading if dry_run else cli_context.open_app
    with open_app() as app:
        drafts = _select_drafts(app, since.date() if since else None, to)
        deliveries = list(
            delivery.deliver_drafts(app, drafts, get_current_time(), is_dry_run=dry_run)
        )
    # a preview also has the text
    items = [
        {name: getattr(item, name) for name in DELIVERY_JSON_KEYS}
        | ({"text": item.text} if item.status == "would_send" else {})
        for item in deliveries
    ]
    if table_format == "json":
        print_json(items, get_current_time())
    elif dry_run:
        for item in deliveries:
            status = Translator("en").term("delivery", item.status)
            message = f"\n{item.subject}\n\n{item.text}" if item.text else ""
            print_text(f"{item.recipient}: {status}{message}\n")
    else:
        print_table(DELIVERY_COLUMNS, items, table_format)
    if not deliveries:
        cli_context.print_note(
            "no one receives the digest yet; add addresses in [[notify.recipients]]"
        )
    undelivered = [item for item in deliveries if item.is_undelivered]
    if undelivered:
        raise IncompleteRunError(
            f"{count_noun(len(undelivered), 'message')} may not have arrived",
            "; ".join(f"{item.recipient} {item.status}, {item.reason}" for item in undelivered),
            "`auditor digest` again",
        )


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
    with get_cli_context(context).open_app_for_reading() as app:
        # the hash of the token is a secret
        items = [
            subscription.model_dump(exclude={"token_hash"})
            for subscription in app.store.subscriptions.list_subscriptions()
        ]
    show_list(context, items, SUBSCRIPTION_COLUMNS, table_format, config=app.config, limit=limit)


def _save_subscription(
    context: typer.Context, address: str, association: str | None, *, wanted: bool
) -> None:
    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        subscription_service.save_subscription(
            app.store, app.config, address, association or "", wanted=wanted, now=get_current_time()
        )
    message = f"the monthly report of {association}" if association else "the digest"
    cli_context.print_note(f"{address} {'gets' if wanted else 'no longer gets'} {message}")


def _select_drafts(app: App, since: date | None, to: str | None) -> Iterator[MessageDraft]:
    """Return the messages of the last run: all, or only digests if a day or an address is given."""
    run = app.store.runs.get_latest(AuditRunState.DONE)
    if run is None:
        raise IncompleteRunError("no messages to send", "no run has finished yet", "`auditor run`")
    if since is None and to is None:
        return delivery.collect_drafts(app, run)
    recipients = () if to is None else (_find_recipient(app, to),)
    return draft_digests(app.store, app.config, run, since=since, only_recipients=recipients)


def _find_recipient(app: App, address: str) -> Recipient:
    """Return a recipient of the configuration by its address or key, or one for any mail address.

    Raises InputError if the text is neither.
    """
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
