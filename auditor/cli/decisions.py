"""`decide`: what a person knows and a machine cannot tell, with who said so, why and until when.

What every command of `decide` begins with: of whom, on which channel, by whom, why and when.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import JsonOption, get_cli_context, get_current_time
from auditor.cli.help import examples, make_group
from auditor.cli.output import print_data, print_message, print_table
from auditor.core.formatting import build_json_document

if TYPE_CHECKING:
    from auditor.decisions.service import DecisionService
    from auditor.i18n.translator import Translator
    from storage.models.audit import Decision
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick


LOGIN_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where a login name stands in the environment, in the order of Python's `getpass.getuser`."""

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
    typer.Option("--account", metavar="KEY|LINK", help="Use this account, if there are several."),
]
UntilOption = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="End the decision after this day, such as 2027-06-30."),
]
ReasonOption = Annotated[str, typer.Option(help="Give the reason in a few words.")]
AuthorOption = Annotated[
    str | None, typer.Option("--author", help="Record this author. The default is your login name.")
]


@contextmanager
def open_decision_service(
    context: typer.Context,
    association: str,
    channel_or_link: str | None,
    *,
    author: str | None,
    reason: str,
    account: str | None = None,
) -> Iterator[DecisionService]:
    """What was typed, complete, with the store open; what came of it is told in the end.

    No `where` is the whole association. Raises InputError.
    """
    from auditor.decisions.service import DecisionService

    by, cli_context = resolve_author(author), get_cli_context(context)
    with cli_context.open_app() as app:
        saying = DecisionService.create(
            app.store,
            app.config.channels,
            association,
            channel_or_link,
            author=by,
            reason=reason,
            now=get_current_time(),
            account=account,
        )
        yield saying
    if not cli_context.quiet:
        for kept in saying.saved_decisions:
            print_message(_describe_decision(kept, cli_context.translator))


def _describe_decision(decision: Decision, translator: Translator) -> str:
    from auditor.decisions.service import IMMEDIATE_DECISION_KINDS

    facts = [
        describe_decision_target(decision, translator),
        translator.translate("according to {who}", who=decision.author),
        translator.translate("until {date}", date=decision.expires_at)
        if decision.expires_at
        else translator.translate("no end date"),
        translator.translate("shown immediately")
        if decision.kind in IMMEDIATE_DECISION_KINDS
        else translator.translate("shown after the next check"),
        translator.translate("decision {number}", number=decision.id),
    ]
    return translator.format_pair(
        translator.term("decision", decision.kind), translator.join_list(facts)
    )


def describe_decision_target(decision: Decision, translator: Translator) -> str:
    """Of whom a decision is, and where."""
    if not decision.channel:
        return decision.association
    return translator.translate(
        "{association} on {channel}", association=decision.association, channel=decision.channel
    )


def resolve_author(author: str | None) -> str:
    """Whose word it is. Raises InputError."""
    from auditor.decisions.parsing import build_missing_author_error

    name = author if author is not None else get_login_name()
    if not name.strip():
        raise build_missing_author_error()
    return name.strip()


def get_login_name() -> str:
    """Return the login name, or the name or number of the account.

    Cron and containers set no variable.
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
"""Where the words of a column's codes are."""
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
        typer.Option(metavar="DATE", help="Record this day as that of the last publication."),
    ] = None,
    account: AccountOption = None,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Confirm that an account exists.

    Holds for 12 months, or 180 days if the account was found absent. Newer evidence outweighs it.
    """
    with open_decision_service(
        context, association, channel, author=author, reason=reason, account=account
    ) as word:
        word.confirm_account(publication_day=last_activity, until=until)


@decide_app.command("none-by-choice")
def record_none_by_choice(
    context: typer.Context,
    association: AssociationIdArgument,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Channel, such as facebook.")],
    *,
    reason: ReasonOption,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Record that an association wants no account there."""
    with open_decision_service(context, association, channel, author=author, reason=reason) as word:
        word.mark_none_by_choice(until=until)
    translator = get_cli_context(context).translator
    for row in word.registered.rows[:1]:
        listed = translator.translate(
            "warning: the file lists an account of {place}: {typed}",
            place=describe_decision_target(word.saved_decisions[0], translator),
            typed=row.typed_text,
        )
        print_message(listed)


@decide_app.command("claim")
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

    Takes an account that was found on the association's site, or any link. Imports keep the account
    until the decision is withdrawn.
    """
    with open_decision_service(
        context, association, channel, author=author, reason=reason, account=account
    ) as word:
        word.claim_account()


@decide_app.command("disown")
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

    Takes an account that is registered, or that was found on the association's site.
    """
    with open_decision_service(
        context, association, channel, author=author, reason=reason, account=account
    ) as word:
        word.disown_account(until=until)


@decide_app.command("moved")
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

    The old account is no longer checked. With --to, the new one is registered. Without it, the
    channel is not reported as missing for 180 days at most.
    """
    with open_decision_service(
        context, association, channel, author=author, reason=reason, account=account
    ) as word:
        word.mark_moved(new_link=to, until=until)
    new_address = word.saved_decisions[0].value
    old_address = word.account_rows[0].typed_text
    cli_context = get_cli_context(context)
    if new_address:
        cli_context.print_translated(
            "to do: put {link} in your file in place of {typed}",
            link=new_address,
            typed=old_address,
        )
    else:
        cli_context.print_translated(
            "to do: find the new address and put it in your file in place of {typed}",
            typed=old_address,
        )


@decide_app.command("waive")
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
    """Hide a gap, or all gaps of a channel."""
    from auditor.decisions.parsing import build_waiver_target_error

    if channel is None and (code is None or account is not None):
        what = "a channel has to be said" if account else "what is waived is not said"
        raise build_waiver_target_error(association, what)
    with open_decision_service(
        context, association, channel, author=author, reason=reason, account=account
    ) as word:
        word.waive_gaps(code=code, until=until)


@decide_app.command("withdraw")
def withdraw_decision(
    context: typer.Context,
    number: Annotated[
        str, typer.Argument(metavar="ID", help="Number of the decision, as decide list shows it.")
    ],
    *,
    reason: ReasonOption,
    author: AuthorOption = None,
) -> None:
    """Withdraw a decision.

    Keeps the decision, with who withdrew it and why.
    """
    from auditor.decisions.service import find_related_decisions, withdraw_decision

    by, cli_context, now = resolve_author(author), get_cli_context(context), get_current_time()
    with cli_context.open_app() as app:
        taken = withdraw_decision(app.store, number, author=by, reason=reason, now=now)
        others = find_related_decisions(taken, list(app.store.list_decisions()), now)
    cli_context.print_translated(
        "cancelled: {decision}, {place}, according to {teller}; cancelled by {who}",
        decision=cli_context.translator.term("decision", taken[0].kind),
        place=describe_decision_target(taken[0], cli_context.translator),
        teller=taken[0].author,
        who=by,
    )
    for other in others:
        cli_context.print_translated(
            "still in force: {decision} (decision {number}), made at the same time",
            decision=cli_context.translator.term("decision", other.kind),
            number=other.id,
        )


@decide_app.command("list")
def list_decisions(
    context: typer.Context,
    association: Annotated[
        str | None, typer.Option(help="Show only this association, by its id.")
    ] = None,
    ending: Annotated[
        bool,
        typer.Option("--ending", help="Show only decisions that end within 30 days."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List all decisions, the oldest first.

    The state is in_force, ending (within 30 days), outweighed (by newer evidence), expired or
    withdrawn.
    """
    from auditor.decisions.service import build_decision_items, refuse_unknown_association

    now, cli_context = get_current_time(), get_cli_context(context)
    with cli_context.open_app() as app:
        if association is not None:
            refuse_unknown_association(app.store, association)
        rows = {
            row.id: row
            for row in app.store.list_accounts(association, include_withdrawn=True)
            if row.id
        }
        standings = {
            standing.account_id: standing
            for standing in app.store.list_account_statuses(association)
        }
        told = build_decision_items(
            app.store.list_decisions(association=association), rows, standings, now
        )
    told = [one for one in told if not ending or one["state"] == "ending_soon"]
    if as_json:
        print_data(build_json_document(told, now))
    else:
        lines = [{**one, "until": (one["until"] or "")[:10]} for one in told]
        translator = cli_context.translator
        say_as = {name: partial(translator.term, group) for name, group in TERM_GROUPS.items()}
        rows_told = ([one[name] for name in DECISION_COLUMNS] for one in lines)
        print_table(
            DECISION_COLUMNS, rows_told, translator, {**say_as, "code": translator.gap_title}
        )
