"""`report-links`: create, renew, revoke and list the links of associations to their reports."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from auditor.app import App
from auditor.cli.context import (
    AssociationOption,
    AuthorOption,
    BomOption,
    DelimiterOption,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
    get_cli_context,
    get_current_time,
    make_group,
    show_list,
)
from auditor.cli.decisions import resolve_author
from auditor.cli.output import (
    choose_output_format,
    choose_table_format,
    count_noun,
    print_bytes,
    print_text,
    validate_delimiter,
    write_file_atomically,
)
from auditor.conclusions.summary import AssociationFilter
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import build_whatsapp_url
from auditor.core.i18n.translator import Translator
from auditor.presentation.report_links import (
    compute_report_link_expiry,
    create_invitation,
    iter_invitations_file,
    require_public_url,
    select_associations,
)
from storage.models.users import ReportLinkState
from storage.tables.communication import ReportLink

REPORT_LINK_COLUMNS = (
    "id",
    "state",
    "created_at",
    "expires_at",
    "last_opened_at",
    "created_by",
    "association",
    "name",
)

report_links_app = make_group("Create and manage the report links of associations.")

AssociationIdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID…", help="Ids of associations.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Include all associations.")]
DaysOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=3660,
        help="Keep the link valid for this many days. The default is the setting "
        "report_links.valid_days.",
    ),
]

RegionOption = Annotated[
    str, typer.Option(help="Include only associations of this region. Needs --all.")
]
TagOption = Annotated[
    str, typer.Option(help="Include only associations with this tag. Needs --all.")
]
WithoutLinkOption = Annotated[
    bool, typer.Option("--without-link", help="Include only associations without a valid link.")
]
OutputOption = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="Write this .csv or .xlsx file. The default is CSV to standard output.",
    ),
]


@report_links_app.command()
@examples("auditor report-links create --all --out links.xlsx")
def create(
    context: typer.Context,
    ids: AssociationIdsArgument = None,
    *,
    all_associations: AllOption = False,
    region: RegionOption = "",
    tag: TagOption = "",
    missing: WithoutLinkOption = False,
    days: DaysOption = None,
    out: OutputOption = Path("-"),
    bom: BomOption = True,
    delimiter: DelimiterOption = ",",
    author: AuthorOption = None,
) -> None:
    """Create report links and a spreadsheet to send them.

    The spreadsheet has one row per association, with its link and texts to send; `auditor
    report-links text` prints one text. Keep it: links are not stored and cannot be shown again.
    Older links stay valid. Texts are in the language of the association, headings in that of
    --lang.
    """
    cli_context = get_cli_context(context)
    selected_ids = _resolve_ids(ids, all_associations=all_associations)
    target = None if str(out) == "-" else out
    output_format = choose_output_format(None, target, ("csv", "xlsx"))
    validate_delimiter(delimiter)
    report_links: list[ReportLink] = []
    now = get_current_time()
    with cli_context.open_app() as app:
        store_links = partial(app.store.report_links.add_all, report_links)
        require_public_url(app.config)
        selection = select_associations(
            app, now, selected_ids, AssociationFilter(region, tag), without_link_only=missing
        )
        parts = iter_invitations_file(
            app,
            selection,
            resolve_author(author),
            now,
            report_links,
            file_format=output_format,
            valid_days=days,
            translator=cli_context.requested_translator,
            bom=bom and target is not None,
            delimiter=delimiter,
        )
        if target is None:
            print_bytes(parts, is_readable=False)
            store_links()
        else:
            write_file_atomically(parts, target, on_written=store_links)
    count = count_noun(len(report_links), "link")
    cli_context.print_note(f"{out}: {count}; keep it private, because a link opens its report")


@report_links_app.command()
@examples("auditor report-links text nour", "auditor report-links text nour --mail")
def text(
    context: typer.Context,
    association: Annotated[str, typer.Argument(metavar="ID", help="Id of the association.")],
    *,
    mail: Annotated[
        bool, typer.Option("--mail/--whatsapp", help="Print a mail or a WhatsApp message.")
    ] = False,
    days: DaysOption = None,
    author: AuthorOption = None,
) -> None:
    """Create a report link and print a text to send it.

    The text is in the language of the association, or in that of --lang. Links are not stored, so
    each text has a new one. Older links stay valid.
    """
    cli_context, now = get_cli_context(context), get_current_time()
    with cli_context.open_app() as app:
        [view] = select_associations(app, now, [association])
        _, invitation = create_invitation(
            app,
            view,
            resolve_author(author),
            now,
            cli_context.requested_language or view.association.language,
            valid_days=days,
        )
        chat_url = build_whatsapp_url(
            app.store.registry.get_contact(association).phone, invitation.short_text
        )
    mail_text = f"{invitation.subject}\n\n{invitation.body}"
    print_text(mail_text if mail else invitation.short_text)
    if chat_url and not mail:
        cli_context.print_note(f"open WhatsApp: {chat_url}")


@report_links_app.command()
@examples("auditor report-links renew --all", "auditor report-links renew nour --days 30")
def renew(
    context: typer.Context,
    ids: AssociationIdsArgument = None,
    *,
    all_associations: AllOption = False,
    days: DaysOption = None,
) -> None:
    """Extend report links that are still valid.

    With --all, only those that end within 14 days. The links that associations have received
    continue to work. Nothing needs to be sent.
    """
    selected_ids = _resolve_ids(ids, all_associations=all_associations)
    cli_context, now = get_cli_context(context), get_current_time()
    with cli_context.open_app() as app:
        expires_at = compute_report_link_expiry(app.config, now, days)
        counts = [
            app.store.report_links.extend(target, expires_at, now)
            for target in _list_targets(app, selected_ids)
        ]
        _refuse_unchanged(selected_ids, counts)
    day = Translator("en").format_date(expires_at)
    cli_context.print_note(f"{count_noun(sum(counts), 'link')} extended to {day}")


@report_links_app.command()
@examples("auditor report-links revoke nour")
def revoke(
    context: typer.Context,
    ids: AssociationIdsArgument = None,
    *,
    all_associations: AllOption = False,
    author: AuthorOption = None,
) -> None:
    """Revoke report links.

    The links stop working at once. The monthly reports that addresses subscribed to through links
    of the association end too, also if that link has expired.
    """
    selected_ids = _resolve_ids(ids, all_associations=all_associations)
    author_name = resolve_author(author)
    cli_context, now = get_cli_context(context), get_current_time()
    with cli_context.open_app() as app:
        ended = [
            app.store.report_links.revoke(target, author_name, now)
            for target in _list_targets(app, selected_ids)
        ]
        _refuse_unchanged(selected_ids, map(sum, ended))
    link_counts, subscription_counts = zip(*ended, strict=True)
    cli_context.print_note(f"{count_noun(sum(link_counts), 'link')} revoked")
    if ended_count := sum(subscription_counts):
        cli_context.print_note(
            f"{count_noun(ended_count, 'subscription')} to monthly reports ended"
        )


@report_links_app.command("list")
@examples("auditor report-links list", "auditor report-links list --state active")
def list_report_links(
    context: typer.Context,
    association: AssociationOption = None,
    *,
    state: Annotated[
        str | None, typer.Option(help="Show only links in this state: active, expired or revoked.")
    ] = None,
    limit: LimitOption = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the report links.

    Shows when each link was created, when it expires and when it was last opened. Its address is
    not stored and cannot be shown.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    if state not in (None, *ReportLinkState):
        raise UsageError(
            f"--state {state}", "there is no such state of a link", "active, expired or revoked"
        )
    cli_context, now = get_cli_context(context), get_current_time()
    with cli_context.open_app_for_reading() as app:
        name_language = cli_context.language if table_format == "table" else ""
        items = [
            _build_report_link_item(app, report_link, now, name_language)
            for report_link in app.store.report_links.list_report_links(association)
            if state in (None, report_link.get_state(now))
        ]
    show_list(
        context,
        items,
        REPORT_LINK_COLUMNS,
        table_format,
        config=app.config,
        limit=limit,
        build_row=lambda item: {
            name: value.date() if isinstance(value, datetime) else value
            for name, value in item.items()
        },
    )


def _resolve_ids(ids: list[str] | None, *, all_associations: bool) -> list[str]:
    """Return the given ids. An empty list means all associations.

    Raises UsageError if there are ids and `--all`, or neither.
    """
    if bool(ids) == all_associations:
        raise UsageError("report-links", "give either ids of associations or --all", "ID, or --all")
    return ids or []


def _list_targets(app: App, ids: list[str]) -> list[str] | list[None]:
    """Return the ids of associations, or None for all. Raises InputError for an unknown one."""
    for association in ids:
        if app.store.registry.get_association(association) is None:
            raise InputError(
                association, "no association has this id", "`auditor registry export -` lists them"
            )
    return ids or [None]


def _refuse_unchanged(ids: list[str], counts: Iterable[int]) -> None:
    """Raise InputError if nothing changed for an association, because it has no valid link."""
    for association, count in zip(ids, counts, strict=False):
        if not count:
            raise InputError(
                association, "it has no valid link", f"`auditor report-links text {association}`"
            )


def _build_report_link_item(
    app: App, report_link: ReportLink, now: datetime, name_language: str
) -> dict[str, Any]:
    """Return an item of `report-links list --json`.

    The association has its name in this language, if it has one.
    """
    association = app.store.registry.get_association(report_link.association)
    names = ("created_at", "created_by", "expires_at", "revoked_at", "revoked_by", "last_opened_at")
    return {
        "id": report_link.id,
        "association": report_link.association,
        "name": association.display_name(name_language) if association else None,
        "state": report_link.get_state(now).value,
        **{name: getattr(report_link, name) for name in names},
    }
