"""`decide`: what a person knows and a machine cannot tell, with who said so, why and until when.

What every command of `decide` begins with: of whom, on which channel, by whom, why and when.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import JsonOption, get_cli_context, get_current_time
from auditor.cli.output import print_data, print_message, print_table
from auditor.core.formatting import build_json_document

if TYPE_CHECKING:
    from auditor.decisions.service import DecisionService
    from auditor.i18n.translator import Translator
    from storage.models.audit import Decision
# ruff: noqa: PLC0415 - `--help` stays quick


LOGIN_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where a login name stands in the environment, in the order of Python's `getpass.getuser`."""

AssociationIdArgument = Annotated[str, typer.Argument(metavar="ASSOCIATION", help="Its id.")]
ChannelOrLinkArgument = Annotated[
    str,
    typer.Argument(
        metavar="CHANNEL|LINK", help="website, facebook, twitter … or the account's link."
    ),
]
AccountOption = Annotated[
    str | None,
    typer.Option("--account", metavar="KEY|LINK", help="Which account, where there are several."),
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="DATE", help="The last day it holds, as 2027-06-30.")
]
ReasonOption = Annotated[str, typer.Option(help="What it rests on, in a few words.")]
AuthorOption = Annotated[
    str | None, typer.Option("--author", help="Who decided; default: your login name.")
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

    by, asked = resolve_author(author), get_cli_context(context)
    with asked.open_app() as app:
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
    if not asked.quiet:
        for kept in saying.saved_decisions:
            print_message(_describe_decision(kept, asked.translator))


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
    """The login name; empty where there is none, as for some of what cron runs."""
    return next((os.environ[at].strip() for at in LOGIN_VARIABLES if os.environ.get(at)), "")


decide_app = typer.Typer(
    no_args_is_help=True, help="What people know: attest, waive, and whose an account is."
)

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
def confirm_account(
    context: typer.Context,
    association: AssociationIdArgument,
    channel: ChannelOrLinkArgument,
    *,
    reason: ReasonOption,
    last_activity: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The day of the last publication that was seen."),
    ] = None,
    account: AccountOption = None,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Say that an account is there, because a person looked.

    It holds 12 months, or 180 days against an absence that was confirmed; newer evidence outweighs it.
    """
    with open_decision_service(
        context, association, channel, author=author, reason=reason, account=account
    ) as word:
        word.confirm_account(publication_day=last_activity, until=until)


@decide_app.command("none-by-choice")
def record_none_by_choice(
    context: typer.Context,
    association: AssociationIdArgument,
    channel: Annotated[
        str, typer.Argument(metavar="CHANNEL", help="facebook, twitter, linkedin …")
    ],
    *,
    reason: ReasonOption,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Say that an association chose to have no account on a channel."""
    with open_decision_service(context, association, channel, author=author, reason=reason) as word:
        word.mark_none_by_choice(until=until)
    words = get_cli_context(context).translator
    for row in word.registered.rows[:1]:
        listed = words.translate(
            "warning: the file lists an account of {place}: {typed}",
            place=describe_decision_target(word.saved_decisions[0], words),
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
    """Say that an account, found on the site or named by its link, is the association's: register it.

    It is kept beside what the sheet lists until the decision is withdrawn.
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
    """Say that an account, registered or found on the site, is somebody else's."""
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
        str | None, typer.Option(metavar="LINK", help="Where it is now: it is registered.")
    ] = None,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Say that an account is elsewhere now: the old one is no longer looked at, the new one is.

    Without --to the channel is not missing for 180 days at most, and somebody has to find the new address.
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
        typer.Argument(metavar="[CHANNEL|LINK]", help="Nothing is the whole association."),
    ] = None,
    *,
    reason: ReasonOption,
    account: AccountOption = None,
    code: Annotated[str | None, typer.Option(help="Only the gap of this code.")] = None,
    until: UntilOption = None,
    author: AuthorOption = None,
) -> None:
    """Say that a channel's gaps, or one of them, need not be told; or one gap wherever it is."""
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
    number: Annotated[str, typer.Argument(metavar="ID", help="Its number in `decide list`.")],
    *,
    reason: ReasonOption,
    author: AuthorOption = None,
) -> None:
    """Take a decision back before its time. It is kept, with who took it back and why."""
    from auditor.decisions.service import find_related_decisions, withdraw_decision

    by, asked, now = resolve_author(author), get_cli_context(context), get_current_time()
    with asked.open_app() as app:
        taken = withdraw_decision(app.store, number, author=by, reason=reason, now=now)
        others = find_related_decisions(taken, list(app.store.list_decisions()), now)
    asked.print_translated(
        "cancelled: {decision}, {place}, according to {teller}; cancelled by {who}",
        decision=asked.translator.term("decision", taken[0].kind),
        place=describe_decision_target(taken[0], asked.translator),
        teller=taken[0].author,
        who=by,
    )
    for other in others:
        asked.print_translated(
            "still in force: {decision} (decision {number}), made at the same time",
            decision=asked.translator.term("decision", other.kind),
            number=other.id,
        )


@decide_app.command("list")
def list_decisions(
    context: typer.Context,
    association: Annotated[
        str | None, typer.Option(help="Only this association's, by its id.")
    ] = None,
    ending: Annotated[
        bool,
        typer.Option("--ending", help="Only those that end within 30 days and may be renewed."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the decisions, ended ones too, in the order they were taken down.

    Their state is in_force, ending (within 30 days), outweighed (by newer evidence), expired or withdrawn.
    """
    from auditor.decisions.service import build_decision_items, refuse_unknown_association

    now, asked = get_current_time(), get_cli_context(context)
    with asked.open_app() as app:
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
        words = asked.translator
        say_as = {name: partial(words.term, group) for name, group in TERM_GROUPS.items()}
        rows_told = ([one[name] for name in DECISION_COLUMNS] for one in lines)
        print_table(DECISION_COLUMNS, rows_told, words, {**say_as, "code": words.gap_title})
