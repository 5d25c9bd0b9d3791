"""`decide`: record, withdraw and list decisions.

A decision is what people know about an account or a gap. It has an author, a reason and sometimes
an end date. See docs/guides/decisions.md.
"""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

import os
import pwd
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import examples, get_cli_context, get_current_time, limit_rows, make_group
from auditor.cli.options import (
    AssociationOption,
    AuthorOption,
    FormatOption,
    JsonOption,
    LimitOption,
)
from auditor.cli.output import choose_table_format, print_json, print_message, print_table

if TYPE_CHECKING:
    from auditor.i18n.translator import Translator
    from storage.models.audit import Decision

LOGIN_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Environment variables with a login name, in the order of Python's `getpass.getuser`."""

AssociationIdArgument = Annotated[
    str, typer.Argument(metavar="ASSOCIATION", help="Id of the association.")
]
ChannelOrLinkArgument = Annotated[
    str,
    typer.Argument(
        metavar="CHANNEL|LINK", help="Channel, such as facebook, or the link of the account."
    ),
]
AccountOption = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="KEY|LINK",
        help="Choose the account if there are several on the channel.",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="End the decision after this day, such as 2027-06-30."),
]
ReasonOption = Annotated[str, typer.Option(help="Give the reason in a few words.")]


def record_decision(
    context: typer.Context, kind: str, *, author: str | None, **typed: str | None
) -> tuple[Decision, str]:
    """Record a decision of a kind and print it.

    Return it with the text of the registered account that it concerns, or "". Raises DecisionError.
    """
    from auditor.decisions import recording
    from storage.models.audit import DecisionKind

    cli_context = get_cli_context(context)
    given = {name: text for name, text in typed.items() if text is not None}
    with cli_context.open_app() as app:
        decisions = recording.record_decision(
            app.store,
            app.config.channels,
            recording.DecisionInput(
                kind=DecisionKind(kind), author=resolve_author(author), **given
            ),
            get_current_time(),
        )
        first = decisions[0]
        rows = recording.list_channel_accounts(app.store, first.association, first.channel)
    if not cli_context.quiet:
        for decision in decisions:
            print_message(_describe_decision(decision, cli_context.translator))
    if first.account_id is not None:
        rows = [row for row in rows if row.id == first.account_id]
    return first, rows[0].typed_text if rows else ""


def _describe_decision(decision: Decision, translator: Translator) -> str:
    from auditor.decisions.recording import IMMEDIATE_DECISION_KINDS

    if decision.expires_at:
        end = translator.translate("until {date}", date=decision.expires_at)
    else:
        end = translator.translate("no end date")
    if decision.kind in IMMEDIATE_DECISION_KINDS:
        effect = translator.translate("shown immediately")
    else:
        effect = translator.translate("shown after the next check")
    facts = [
        describe_decision_target(decision, translator),
        translator.translate("according to {who}", who=decision.author),
        end,
        effect,
        translator.translate("decision {number}", number=decision.id),
    ]
    return translator.format_pair(
        translator.term("decision", decision.kind), translator.join_list(facts)
    )


def describe_decision_target(decision: Decision, translator: Translator) -> str:
    """Return the association that a decision is about, with its channel if there is one."""
    if not decision.channel:
        return decision.association
    return translator.translate(
        "{association} on {channel}", association=decision.association, channel=decision.channel
    )


def resolve_author(author: str | None) -> str:
    """Return the given author, or the login name.

    Raises DecisionError if nothing of it can be stored.
    """
    from auditor.decisions.recording import require_author

    return require_author(author if author is not None else get_login_name())


def get_login_name() -> str:
    """Return the login name from the environment, or else the name or number of the account.

    Cron and containers may set no variable.
    """
    names = (os.environ.get(variable, "").strip() for variable in LOGIN_VARIABLES)
    return next(filter(None, names), "") or _get_account_name()


def _get_account_name() -> str:
    """Return the name of the account that runs this process, or its number without a name."""
    user_id = os.getuid()
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


decide_app = make_group("Record what people know about accounts and gaps.")

TERM_GROUPS = {"kind": "decision", "state": "decision_state"}
"""Group of terms with the translations of a column's codes."""
DECISION_COLUMNS = (
    "id",
    "kind",
    "channel",
    "account",
    "code",
    "until",
    "state",
    "author",
    "association",
    "reason",
)


@decide_app.command("confirm")
@examples("auditor decide confirm nour facebook --reason checked")
def confirm_account(
    context: typer.Context,
    association: AssociationIdArgument,
    channel: ChannelOrLinkArgument,
    *,
    reason: ReasonOption,
    last_activity: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Record that the last publication is of this day."),
    ] = None,
    account: AccountOption = None,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Confirm that an account exists.

    The decision ends after 12 months, or after 180 days if the audit found the account absent.
    Newer evidence overrides it.
    """
    record_decision(
        context,
        "confirm",
        association=association,
        channel=channel,
        author=author,
        reason=reason,
        account=account,
        last_activity=last_activity,
        until=until,
    )


@decide_app.command("none-by-choice")
@examples("auditor decide none-by-choice nour twitter --reason called")
def record_none_by_choice(
    context: typer.Context,
    association: AssociationIdArgument,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Channel, such as facebook.")],
    *,
    reason: ReasonOption,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Record that an association wants no account on a channel."""
    decision, listed = record_decision(
        context,
        "none_by_choice",
        association=association,
        channel=channel,
        author=author,
        reason=reason,
        until=until,
    )
    translator = get_cli_context(context).translator
    if listed:
        warning = translator.translate(
            "warning: the file lists an account of {place}: {typed}",
            place=describe_decision_target(decision, translator),
            typed=listed,
        )
        print_message(warning)


@decide_app.command("claim")
@examples("auditor decide claim nour https://x.com/nour --reason called")
def claim_account(
    context: typer.Context,
    association: AssociationIdArgument,
    channel: ChannelOrLinkArgument,
    *,
    reason: ReasonOption,
    account: AccountOption = None,
    author: AuthorOption = None,
) -> None:
    """Register an account as the association's own.

    The account may be one that the audit found on the association's website, or any other link. It
    stays registered through imports until the decision is withdrawn.
    """
    record_decision(
        context,
        "claim",
        association=association,
        channel=channel,
        author=author,
        reason=reason,
        account=account,
    )


@decide_app.command("disown")
@examples("auditor decide disown nour youtube --reason called")
def disown_account(
    context: typer.Context,
    association: AssociationIdArgument,
    channel: ChannelOrLinkArgument,
    *,
    reason: ReasonOption,
    account: AccountOption = None,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Record that an account is not the association's.

    The account may be registered, or one that the audit found on the association's website.
    """
    record_decision(
        context,
        "disown",
        association=association,
        channel=channel,
        author=author,
        reason=reason,
        account=account,
        until=until,
    )


@decide_app.command("moved")
@examples(
    "auditor decide moved nour facebook --reason called",
    "auditor decide moved nour twitter --to https://x.com/nour --reason mail",
)
def record_move(
    context: typer.Context,
    association: AssociationIdArgument,
    channel: ChannelOrLinkArgument,
    *,
    reason: ReasonOption,
    account: AccountOption = None,
    to: Annotated[
        str | None, typer.Option(metavar="LINK", help="Register this link as the new account.")
    ] = None,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Record that an account has moved.

    The old account is no longer checked. With --to, the new one is registered. Without --to, the
    channel is not reported as missing, for 180 days at most.
    """
    decision, old_address = record_decision(
        context,
        "moved",
        association=association,
        channel=channel,
        author=author,
        reason=reason,
        account=account,
        new_link=to,
        until=until,
    )
    cli_context = get_cli_context(context)
    if decision.value:
        cli_context.print_translated(
            "to do: put {link} in your file in place of {typed}",
            link=decision.value,
            typed=old_address,
        )
    else:
        cli_context.print_translated(
            "to do: find the new address and put it in your file in place of {typed}",
            typed=old_address,
        )


@decide_app.command("waive")
@examples(
    "auditor decide waive nour facebook --reason closed",
    "auditor decide waive nour --code no_website --reason planned",
)
def waive_gaps(
    context: typer.Context,
    association: AssociationIdArgument,
    channel: Annotated[
        str | None,
        typer.Argument(metavar="CHANNEL|LINK", help="Channel or link; without it, all channels."),
    ] = None,
    *,
    reason: ReasonOption,
    account: AccountOption = None,
    code: Annotated[str | None, typer.Option(help="Hide only the gap with this code.")] = None,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Hide a gap, or all gaps of a channel.

    Without --until, it stays hidden until the decision is withdrawn. Give a channel, a code or
    both.
    """
    record_decision(
        context,
        "waive",
        association=association,
        channel=channel,
        author=author,
        reason=reason,
        account=account,
        code=code,
        until=until,
    )


@decide_app.command("domain-expires")
@examples("auditor decide domain-expires nour 2027-06-30 --reason called")
def state_domain_expiry(
    context: typer.Context,
    association: AssociationIdArgument,
    day: Annotated[
        str, typer.Argument(metavar="DATE", help="Day on which the domain of the website expires.")
    ],
    *,
    reason: ReasonOption,
    account: AccountOption = None,
    author: AuthorOption = None,
) -> None:
    """Record when the domain of a website expires.

    The date counts if the registry of the domain gives none, until the day has passed.
    """
    record_decision(
        context,
        "domain_expires",
        association=association,
        channel="website",
        author=author,
        reason=reason,
        account=account,
        expires_on=day,
    )


@decide_app.command("withdraw")
@examples("auditor decide withdraw 7 --reason mistake")
def withdraw_decision(
    context: typer.Context,
    number: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Number of the decision. `auditor decide list` shows it."
        ),
    ],
    *,
    reason: ReasonOption,
    author: AuthorOption = None,
) -> None:
    """Withdraw a decision.

    It no longer has an effect. The list still shows it, with who withdrew it and why.
    """
    from auditor.decisions.recording import find_decisions_taken_at, withdraw_decision

    author_name, cli_context = resolve_author(author), get_cli_context(context)
    translator, now = cli_context.translator, get_current_time()
    with cli_context.open_app() as app:
        withdrawn = withdraw_decision(app.store, number, author=author_name, reason=reason, now=now)
        first, numbers = withdrawn[0], {decision.id for decision in withdrawn}
        related = find_decisions_taken_at(
            app.store, first.association, first.author, first.decided_at, now
        )
    cli_context.print_translated(
        "cancelled: {decision}, {place}, according to {teller}; cancelled by {who}",
        decision=translator.term("decision", withdrawn[0].kind),
        place=describe_decision_target(withdrawn[0], translator),
        teller=withdrawn[0].author,
        who=author_name,
    )
    for decision in related:
        if decision.id in numbers:
            continue
        cli_context.print_translated(
            "still in force: {decision} (decision {number}), made at the same time",
            decision=translator.term("decision", decision.kind),
            number=decision.id,
        )


@decide_app.command("list")
@examples("auditor decide list --ending", "auditor decide list --association nour")
def list_decisions(
    context: typer.Context,
    association: AssociationOption = None,
    *,
    ending: Annotated[
        bool, typer.Option("--ending", help="Show only decisions that end within 30 days.")
    ] = False,
    limit: LimitOption = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all decisions, the oldest first.

    The state is in_force, ending_soon (within 30 days), overridden (by newer evidence), expired or
    withdrawn.
    """
    from auditor.decisions.recording import build_decision_items, require_association
    from auditor.reference.gap_catalogue import Voice

    table_format = choose_table_format(requested_format, as_json=as_json)
    now, cli_context = get_current_time(), get_cli_context(context)
    with cli_context.open_app_for_reading() as app:
        if association is not None:
            require_association(app.store, association)
        accounts = {
            row.id: row
            for row in app.store.registry.list_accounts(association, include_withdrawn=True)
            if row.id
        }
        statuses = {
            status.account_id: status
            for status in app.store.statuses.list_account_statuses(association)
        }
        items = build_decision_items(
            app.store.decisions.list_decisions(association=association), accounts, statuses, now
        )
    if ending:
        items = [item for item in items if item["state"] == "ending_soon"]
    items = list(limit_rows(context, items, limit))
    cli_context.explain_empty_result(len(items), app.config)
    if table_format == "json":
        print_json(items, now)
        return
    for item in items:
        item["until"] = (item["until"] or "")[:10]
    print_table(
        DECISION_COLUMNS,
        items,
        cli_context.translator,
        table_format,
        {"code": partial(cli_context.translator.gap_title, voice=Voice.LABEL)},
        term_groups=TERM_GROUPS,
    )
