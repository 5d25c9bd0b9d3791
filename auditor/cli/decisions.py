"""`decide`: record, withdraw and list decisions.

A decision is what people know about an account or a gap. It has an author, a reason and sometimes
an end date. See docs/guides/decisions.md.
"""

import getpass
import os
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from auditor.cli.context import (
    AssociationOption,
    AuthorOption,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
    get_cli_context,
    get_current_time,
    make_group,
    show_list,
)
from auditor.cli.output import choose_table_format, print_message
from auditor.conclusions import recording
from auditor.conclusions.replies import find_decisions_taken_at
from auditor.core.i18n.translator import Translator
from auditor.presentation.views.json_items import build_decision_items
from storage.models.audit import Decision, DecisionKind

ENGLISH = Translator("en")
POSITIONAL, KEYWORD_ONLY = Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY

ReasonOption = Annotated[str, typer.Option(help="Give the reason in a few words.")]
ASSOCIATION = Annotated[str, typer.Argument(metavar="ASSOCIATION", help="Id of the association.")]
CHANNEL = Annotated[str, typer.Argument(metavar="CHANNEL", help="Channel, such as facebook.")]
CHANNEL_OR_LINK = Annotated[
    str,
    typer.Argument(
        metavar="CHANNEL|LINK", help="Channel, such as facebook, or the link of the account."
    ),
]
ANY_CHANNEL = Annotated[
    str, typer.Argument(metavar="CHANNEL|LINK", help="Channel or link; without it, all channels.")
]
EXPIRY_DAY = Annotated[
    str, typer.Argument(metavar="DATE", help="Day on which the domain of the website expires.")
]
OPTIONS: dict[str, Any] = {
    "last_activity": Annotated[
        str, typer.Option(metavar="DATE", help="Record that the last publication is of this day.")
    ],
    "account": Annotated[
        str,
        typer.Option(
            metavar="KEY|LINK", help="Choose the account if there are several on the channel."
        ),
    ],
    "new_link": Annotated[
        str, typer.Option("--to", metavar="LINK", help="Register this link as the new account.")
    ],
    "code": Annotated[str, typer.Option(help="Hide only the gap with this code.")],
    "until": Annotated[
        str,
        typer.Option(metavar="DATE", help="End the decision after this day, such as 2027-06-30."),
    ],
}
"""The options of decisions, by the field of the decision."""
DECISION_COLUMNS = (
    *("id", "kind", "channel", "account", "code"),
    *("until", "state", "author", "association", "reason"),
)

decide_app = make_group("Record what people know about accounts and gaps.")


def add_decision_command(
    kind: DecisionKind, text: str, lines: tuple[str, ...], options: str, **arguments: Any
) -> None:
    """Add the command that records decisions of a kind.

    `text` is its help, `lines` are examples, and `options` the names of its options. `arguments`
    come after the association, by the field of the decision; one with a default is a pair.
    """
    parameters = [Parameter("context", POSITIONAL, annotation=typer.Context)]
    for name, argument in {"association": ASSOCIATION, **arguments}.items():
        annotation, *default = argument if isinstance(argument, tuple) else (argument,)
        empty = default[0] if default else Parameter.empty
        parameters.append(Parameter(name, POSITIONAL, default=empty, annotation=annotation))
    parameters.append(Parameter("reason", KEYWORD_ONLY, annotation=ReasonOption))
    parameters += [
        Parameter(name, KEYWORD_ONLY, default="", annotation=OPTIONS[name])
        for name in options.split()
    ]
    parameters.append(Parameter("author", KEYWORD_ONLY, default=None, annotation=AuthorOption))

    def command(context: typer.Context, **typed: Any) -> None:
        _record_decision(context, kind, typed)

    command.__doc__ = text
    vars(command)["__signature__"] = Signature(parameters)  # Typer reads the parameters from it
    decide_app.command(kind.value.replace("_", "-"))(examples(*lines)(command))


add_decision_command(
    DecisionKind.CONFIRM,
    """Confirm that an account exists.

    The decision ends after 12 months, or after 180 days if the audit found the account absent.
    Newer evidence overrides it.
    """,
    ("auditor decide confirm nour facebook --reason checked",),
    "last_activity account until",
    channel=CHANNEL_OR_LINK,
)
add_decision_command(
    DecisionKind.NONE_BY_CHOICE,
    "Record that an association wants no account on a channel.",
    ("auditor decide none-by-choice nour twitter --reason called",),
    "until",
    channel=CHANNEL,
)
add_decision_command(
    DecisionKind.CLAIM,
    """Register an account as the association's own.

    The account may be one that the audit found on the association's website, or any other link. It
    stays registered through imports until the decision is withdrawn.
    """,
    ("auditor decide claim nour https://x.com/nour --reason called",),
    "account",
    channel=CHANNEL_OR_LINK,
)
add_decision_command(
    DecisionKind.DISOWN,
    """Record that an account is not the association's.

    The account may be registered, or one that the audit found on the association's website.
    """,
    ("auditor decide disown nour youtube --reason called",),
    "account until",
    channel=CHANNEL_OR_LINK,
)
add_decision_command(
    DecisionKind.MOVED,
    """Record that an account has moved.

    The old account is no longer checked. With --to, the new one is registered. Without --to, the
    channel is not reported as missing, for 180 days at most.
    """,
    (
        "auditor decide moved nour facebook --reason called",
        "auditor decide moved nour twitter --to https://x.com/nour --reason mail",
    ),
    "account new_link until",
    channel=CHANNEL_OR_LINK,
)
add_decision_command(
    DecisionKind.WAIVE,
    """Hide a gap, or all gaps of a channel.

    Without --until, it stays hidden until the decision is withdrawn. Give a channel, a code or
    both.
    """,
    (
        "auditor decide waive nour facebook --reason closed",
        "auditor decide waive nour --code no_website --reason planned",
    ),
    "account code until",
    channel=(ANY_CHANNEL, ""),
)
add_decision_command(
    DecisionKind.DOMAIN_EXPIRES,
    """Record when the domain of a website expires.

    The date counts if the registry of the domain gives none, until the day has passed.
    """,
    ("auditor decide domain-expires nour 2027-06-30 --reason called",),
    "account",
    expires_on=EXPIRY_DAY,
)


def _record_decision(context: typer.Context, kind: DecisionKind, typed: dict[str, Any]) -> None:
    """Record a decision, print it, and say what is left to do. Raises DecisionError."""
    cli_context = get_cli_context(context)
    if kind is DecisionKind.DOMAIN_EXPIRES:
        typed["channel"] = "website"
    typed["author"] = resolve_author(typed["author"])
    with cli_context.open_app() as app:
        decisions = recording.record_decision(
            app.store,
            app.config.channels,
            recording.DecisionInput(kind=kind, **typed),
            get_current_time(),
        )
        first = decisions[0]
        rows = recording.list_channel_accounts(app.store, first.association, first.channel)
    for decision in decisions:
        expires_at = decision.expires_at
        end = f"until {ENGLISH.format_date(expires_at)}" if expires_at else "no end date"
        is_immediate = decision.kind in recording.IMMEDIATE_DECISION_KINDS
        effect = "shown immediately" if is_immediate else "shown after the next check"
        cli_context.print_note(
            f"{ENGLISH.term('decision', decision.kind)}: {_name_target(decision)}, "
            f"according to {decision.author}, {end}, {effect}, decision {decision.id}"
        )
    listed = [row.typed_text for row in rows if first.account_id in (None, row.id)]
    if kind is DecisionKind.NONE_BY_CHOICE and listed:
        print_message(f"warning: the file lists an account of {_name_target(first)}: {listed[0]}")
    elif kind is DecisionKind.MOVED:
        todo = f"put {first.value}" if first.value else "find the new address and put it"
        cli_context.print_note(f"to do: {todo} in your file in place of {listed[0]}")


def _name_target(decision: Decision) -> str:
    """Return the association that a decision is about, with its channel if there is one."""
    if not decision.channel:
        return decision.association
    return f"{decision.association} on {ENGLISH.channel_name(decision.channel)}"


def resolve_author(author: str | None) -> str:
    """Return the given author, or the login name.

    Raises DecisionError if nothing of it can be stored.
    """
    return recording.require_author(author if author is not None else get_login_name())


def get_login_name() -> str:
    """Return the login name from the environment, or else the name or number of the account.

    Cron and containers may set no variable.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


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
    author_name, now = resolve_author(author), get_current_time()
    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        withdrawn = recording.withdraw_decision(
            app.store, number, author=author_name, reason=reason, now=now
        )
        first, numbers = withdrawn[0], {decision.id for decision in withdrawn}
        related = find_decisions_taken_at(
            app.store, first.association, first.author, first.decided_at, now
        )
    kind = ENGLISH.term("decision", first.kind)
    cli_context.print_note(
        f"cancelled: {kind}, {_name_target(first)}, according to {first.author}; "
        f"cancelled by {author_name}"
    )
    for decision in related:
        if decision.id not in numbers:
            kind = ENGLISH.term("decision", decision.kind)
            cli_context.print_note(
                f"still in force: {kind} (decision {decision.id}), made at the same time"
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
    table_format = choose_table_format(requested_format, as_json=as_json)
    now = get_current_time()
    with get_cli_context(context).open_app_for_reading() as app:
        if association is not None:
            recording.require_association(app.store, association)
        rows = app.store.registry.list_accounts(association, include_withdrawn=True)
        statuses = app.store.statuses.list_account_statuses(association)
        items = build_decision_items(
            app.store.decisions.list_decisions(association=association),
            {row.id: row for row in rows},
            {status.account_id: status for status in statuses},
            now,
        )
    show_list(
        context,
        [item for item in items if not ending or item["state"] == "ending_soon"],
        DECISION_COLUMNS,
        table_format,
        config=app.config,
        limit=limit,
        build_row=lambda item: {**item, "until": (item["until"] or "")[:10]},
    )
