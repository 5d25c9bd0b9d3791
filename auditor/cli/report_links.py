"""`letters`: the associations' links to their own reports, made, renewed, ended, with the texts to send."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import JsonOption, get_cli_context, get_current_time
from auditor.cli.decisions import AuthorOption, resolve_author
from auditor.cli.help import examples, make_group
from auditor.cli.output import print_data_parts, print_table, print_text
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import iter_json_document

if TYPE_CHECKING:
    from auditor.app import App
    from storage.models.users import ReportLink, ReportLinkState

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
AllOption = Annotated[bool, typer.Option("--all", help="Include every association.")]
DaysOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=3660,
        help="Keep the link valid for this many days. The default is in the configuration.",
    ),
]
KeepOption = Annotated[
    bool, typer.Option("--keep-existing", help="Keep the older links of the association valid.")
]


@report_links_app.command()
@examples("auditor report-links create nour", "auditor report-links create --all --out links.xlsx")
def create(
    context: typer.Context,
    ids: AssociationIdsArgument = None,
    *,
    all_associations: AllOption = False,
    region: Annotated[
        str, typer.Option(help="Include only associations of this region; needs --all.")
    ] = "",
    tag: Annotated[
        str, typer.Option(help="Include only associations with this tag; needs --all.")
    ] = "",
    missing: Annotated[
        bool, typer.Option("--without-link", help="Include only associations without a valid link.")
    ] = False,
    days: DaysOption = None,
    keep_older: KeepOption = False,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Write a .csv or .xlsx file, or CSV to standard output.",
        ),
    ] = Path("-"),
    bom: Annotated[
        bool, typer.Option(help="Begin CSV with the mark by which Excel detects UTF-8.")
    ] = True,
    delimiter: Annotated[str, typer.Option(help="Separate CSV cells with this character.")] = ",",
    author: AuthorOption = None,
) -> None:
    """Create report links and a sheet to send them.

    The sheet has a row with texts to send for each association. It is the only place with the
    links. Older links of these associations end. Texts are in the association's language, headings
    in that of --lang.
    """
    from auditor.cli.output import (
        choose_output_format,
        print_bytes,
        validate_delimiter,
        write_file_atomically,
    )
    from auditor.evaluation.summary import AssociationFilter
    from auditor.i18n.translator import Translator
    from auditor.report_links import BulkInvitations, require_public_url, select_associations

    names, lang = (
        _resolve_ids(ids, all_associations=all_associations),
        get_cli_context(context).requested_language,
    )
    target = None if str(out) == "-" else out
    form = choose_output_format(None, target, ("csv", "xlsx"))
    validate_delimiter(delimiter)
    with get_cli_context(context).open_app() as app:
        require_public_url(app.config)
        mailing = BulkInvitations(app, resolve_author(author), get_current_time(), days, keep_older)
        seen = select_associations(
            app,
            mailing.now,
            names,
            AssociationFilter(region=region, tag=tag),
            without_link_only=missing,
        )
        pieces = mailing.iter_file_parts(
            seen,
            form,
            translator=Translator(lang) if lang else None,
            bom=bom and target is not None,
            delimiter=delimiter,
        )
        if target is None:
            print_bytes(pieces, is_text=True)
            mailing.commit()
        else:
            write_file_atomically(pieces, target, is_private=True, on_written=mailing.commit)
    get_cli_context(context).print_translated_count(
        "{file}: {n} link; anyone who reads it can open the report, so keep it private",
        "{file}: {n} links; anyone who reads them can open the reports, so keep them private",
        len(mailing.report_links),
        file=str(out),
    )
    if mailing.revoked_count:
        get_cli_context(context).print_translated_count(
            "{n} older link revoked", "{n} older links revoked", mailing.revoked_count
        )


@report_links_app.command()
def text(
    context: typer.Context,
    association: Annotated[str, typer.Argument(metavar="ID", help="Id of the association.")],
    *,
    mail: Annotated[
        bool, typer.Option("--mail/--whatsapp", help="Print a mail or a short message.")
    ] = False,
    days: DaysOption = None,
    keep_older: KeepOption = False,
    author: AuthorOption = None,
) -> None:
    """Create a report link and print a text to send it.

    The text is in the association's language or that of --lang. Links are not stored, so each text
    has a new one, and older ones end.
    """
    from auditor.registry.columns import build_whatsapp_url
    from auditor.report_links import (
        ReportLinkAddress,
        build_invitation_text,
        create_report_link,
        select_associations,
    )
    from storage.models.users import ReportLinkState

    with get_cli_context(context).open_app() as app:
        now = get_current_time()
        [view] = select_associations(app, now, [association])
        ended = (
            0
            if keep_older
            else len(
                app.store.list_recent_report_links(
                    now, state=ReportLinkState.ACTIVE, association=association
                )
            )
        )
        letter, link = create_report_link(
            app.store,
            app.config,
            association,
            resolve_author(author),
            now,
            valid_days=days,
            keep_older_links=keep_older,
        )
        language = get_cli_context(context).requested_language or view.association.language
        told = build_invitation_text(
            view, app.config, ReportLinkAddress(link, letter.expires_at), now, language
        )
        chat = build_whatsapp_url(app.store.get_contact(association).phone, told.short_text)
    print_text(f"{told.subject}\n\n{told.body}" if mail else told.short_text)
    if ended:
        get_cli_context(context).print_translated_count(
            "{n} older link revoked", "{n} older links revoked", ended
        )
    if chat and not mail:
        get_cli_context(context).print_translated("open WhatsApp: {url}", url=chat)


@report_links_app.command()
def renew(
    context: typer.Context,
    ids: AssociationIdsArgument = None,
    *,
    all_associations: AllOption = False,
    within: Annotated[
        int,
        typer.Option(min=0, help="Include only links that end within this many days; needs --all."),
    ] = 14,
    days: DaysOption = None,
) -> None:
    """Extend report links that are still valid.

    Their addresses stay the same.
    """
    from auditor.report_links import compute_report_link_expiry

    names = _resolve_ids(ids, all_associations=all_associations)
    with get_cli_context(context).open_app() as app:
        now = get_current_time()
        until, ending = (
            compute_report_link_expiry(app.config, now, days),
            now + timedelta(days=within),
        )
        if names:
            renewed = sum(
                _apply_to_each(
                    app, names, lambda one: app.store.extend_report_links(one, until, now)
                )
            )
        else:
            renewed = app.store.extend_report_links(None, until, now, expiring_by=ending)
    get_cli_context(context).print_translated_count(
        "{n} link extended to {date}", "{n} links extended to {date}", renewed, date=until
    )


@report_links_app.command()
def revoke(
    context: typer.Context,
    ids: AssociationIdsArgument = None,
    *,
    all_associations: AllOption = False,
    author: AuthorOption = None,
) -> None:
    """Revoke report links at once."""
    names, by = _resolve_ids(ids, all_associations=all_associations), resolve_author(author)
    with get_cli_context(context).open_app() as app:
        now = get_current_time()
        if names:
            ended = sum(
                _apply_to_each(app, names, lambda one: app.store.revoke_report_links(one, by, now))
            )
        else:
            ended = app.store.revoke_report_links(None, by, now)
    get_cli_context(context).print_translated_count("{n} link revoked", "{n} links revoked", ended)


@report_links_app.command("list")
def list_report_links(
    context: typer.Context,
    association: Annotated[
        str | None, typer.Option(help="Show only this association, by its id.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(help="Show only links in this state: holds, expired or revoked.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the report links, without their addresses.

    Shows when each was created, when it expires and when the report was last opened.
    """
    wanted = _parse_link_state(state)
    with get_cli_context(context).open_app() as app:
        now = get_current_time()
        found = app.store.list_report_links(association)
        items = (
            _build_report_link_item(app, one, now)
            for one in found
            if wanted in (None, one.get_state(now))
        )
        if as_json:
            print_data_parts(iter_json_document(items, now))
        else:
            translator = get_cli_context(context).translator
            lines = ([_format_cell(item[name]) for name in REPORT_LINK_COLUMNS] for item in items)
            print_table(
                REPORT_LINK_COLUMNS,
                lines,
                translator,
                {"state": lambda code: translator.term("report_link", code)},
            )


def _resolve_ids(ids: list[str] | None, *, all_associations: bool) -> list[str]:
    """The ids that were typed; none is everybody. Raises UsageError where neither, or both, are said."""
    if bool(ids) == all_associations:
        raise UsageError(
            "of whom",
            "either ids are named or all are meant",
            "`auditor report-links create ID`, or --all",
        )
    return ids or []


def _apply_to_each(app: App, association_ids: Iterable[str], action: Any) -> Iterator[int]:
    for one in association_ids:
        if app.store.get_association(one) is None:
            raise InputError(
                one, "no association has this id", "`auditor registry export -` lists them"
            )
        done: int = action(one)
        if not done:
            raise InputError(
                one, "it has no link that holds", f"`auditor report-links create {one}`"
            )
        yield done


def _parse_link_state(text: str | None) -> ReportLinkState | None:
    from storage.models.users import ReportLinkState

    if text is None:
        return None
    if text not in set(ReportLinkState):
        raise UsageError(
            f"--state {text}", "this is no state of a link", "holds, expired or revoked"
        )
    return ReportLinkState(text)


def _build_report_link_item(app: App, report_link: ReportLink, now: datetime) -> dict[str, Any]:
    """The item of `letters list --json`."""
    about = app.store.get_association(report_link.association)
    return {
        "id": report_link.id,
        "association": report_link.association,
        "name": about.name if about else None,
        "state": report_link.get_state(now).value,
        "created_at": report_link.created_at,
        "created_by": report_link.created_by,
        "expires_at": report_link.expires_at,
        "revoked_at": report_link.revoked_at,
        "revoked_by": report_link.revoked_by,
        "last_opened_at": report_link.last_opened_at,
    }


def _format_cell(cell: Any) -> Any:
    return cell.date().isoformat() if isinstance(cell, datetime) else cell
