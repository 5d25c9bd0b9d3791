"""Report links of associations: create, check and revoke them, also for many associations.

A link contains a secret token; the database stores its hash, so it cannot be used to open a report.
Links of a bulk export work only when all of them are written. Their texts are
written by `auditor.presentation.reports.invitation`.
"""

import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

from auditor.app import App
from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.network_view import iter_association_views, load_association_view
from auditor.conclusions.summary import AssociationFilter
from auditor.config.schema import Config
from auditor.core.errors import ConfigError, InputError
from auditor.core.formatting import TOKEN_BYTES, build_whatsapp_url, hash_token
from auditor.core.i18n.translator import Translator
from auditor.presentation.reports.invitation import (
    InvitationText,
    ReportLinkAddress,
    build_invitation_text,
    build_reminder_text,
)
from auditor.registry import spreadsheet, workbook_writer
from storage.models.users import ReportLinkState
from storage.store import Store
from storage.tables.communication import FollowUp, ReportLink

EXPORT_COLUMNS = (
    "association",
    "name",
    "language",
    "phone",
    "email",
    "link",
    "expires_at",
    "text",
    "whatsapp",
    "subject",
    "body",
)
SHEET_TITLE = "report_links"


def iter_invitations_file(
    context: App,
    views: Iterable[AssociationView],
    author: str,
    now: datetime,
    report_links: list[ReportLink],
    *,
    file_format: str = "csv",
    valid_days: int | None = None,
    translator: Translator | None = None,
    bom: bool = True,
    delimiter: str = ",",
) -> Iterator[bytes]:
    """Yield a spreadsheet with a new link and the texts for each association, in parts.

    It has translated headings or English keys. The links are added to `report_links`; they work
    when the caller stores them. `valid_days` None means the configured validity. Raises ConfigError
    if no public address is set.
    """
    headings: list[object] = [
        translator.term("heading", column) if translator else column for column in EXPORT_COLUMNS
    ]

    def build_row(view: AssociationView) -> list[object]:
        association, store = view.association, context.store
        report_link, link = draft_report_link(
            context.config, association.id, author, now, valid_days=valid_days
        )
        report_links.append(report_link)
        previous_link_at = find_latest_link_time(store, association.id, now)
        address = ReportLinkAddress(link, report_link.expires_at, previous_link_at)
        texts = build_invitation_text(view, context.config, address, association.language)
        contact = store.registry.get_contact(association.id)
        return [
            association.id,
            association.display_name(association.language),
            association.language,
            contact.phone,
            contact.email,
            link,
            report_link.expires_at.date(),
            texts.short_text,
            build_whatsapp_url(contact.phone, texts.short_text),
            texts.subject,
            texts.body,
        ]

    table = chain([headings], map(build_row, views))
    if file_format == "csv":
        return spreadsheet.iter_csv_lines(table, bom=bom, delimiter=delimiter)
    title = translator.term("export", SHEET_TITLE) if translator else SHEET_TITLE
    right_to_left = translator is not None and translator.direction == "rtl"
    return workbook_writer.iter_workbook_chunks({title: table}, right_to_left=right_to_left)


def select_associations(
    context: App,
    now: datetime,
    ids: Iterable[str] = (),
    association_filter: AssociationFilter | None = None,
    *,
    without_link_only: bool = False,
) -> Iterator[AssociationView]:
    """Yield the associations with these ids, or else those of the filter.

    `without_link_only` leaves out those with an active link. Raises InputError for an unknown id.
    """
    named = list(dict.fromkeys(ids))
    if named:
        views: Iterable[AssociationView] = [
            _load_view(context, association) for association in named
        ]
    else:
        views = iter_association_views(context.store, context.config, now, association_filter)
    if without_link_only:
        list_links = partial(
            context.store.report_links.list_recent, now, state=ReportLinkState.ACTIVE, limit=1
        )
        views = (view for view in views if not list_links(association=view.association.id))
    return iter(views)


def _load_view(context: App, association: str) -> AssociationView:
    view = load_association_view(context.store, context.config, association)
    if view is None:
        raise InputError(
            association, "no association has this id", "`auditor registry export -` lists them"
        )
    return view


def create_report_link(
    store: Store,
    config: Config,
    association: str,
    author: str,
    now: datetime,
    *,
    valid_days: int | None = None,
) -> tuple[ReportLink, str]:
    """Create a report link and return it with its URL, which is not stored.

    Raises ConfigError if no public address is set.
    """
    report_link, address = draft_report_link(
        config, association, author, now, valid_days=valid_days
    )
    return store.report_links.add(report_link), address


def create_invitation(
    context: App,
    view: AssociationView,
    author: str,
    now: datetime,
    language: str,
    *,
    valid_days: int | None = None,
) -> tuple[ReportLinkAddress, InvitationText]:
    """Create a report link of an association and the texts that send it.

    Raises ConfigError if no public address is set.
    """
    previous_link_at = find_latest_link_time(context.store, view.association.id, now)
    report_link, url = create_report_link(
        context.store, context.config, view.association.id, author, now, valid_days=valid_days
    )
    address = ReportLinkAddress(url, report_link.expires_at, previous_link_at, report_link.id)
    return address, build_invitation_text(view, context.config, address, language)


def create_reminder(
    context: App, view: AssociationView, promise: FollowUp, author: str, now: datetime
) -> tuple[ReportLinkAddress, str]:
    """Create a report link and the text that asks about a promise.

    The text is in the language of the association.
    Raises ConfigError if no public address is set.
    """
    report_link, url = create_report_link(
        context.store, context.config, view.association.id, author, now
    )
    text = build_reminder_text(view, context.config, url, view.association.language, promise)
    return ReportLinkAddress(url, report_link.expires_at, link_id=report_link.id), text


def find_latest_link_time(store: Store, association: str, now: datetime) -> datetime | None:
    """Return when the newest report link of an association was created, or None."""
    links = store.report_links.list_recent(now, association=association, limit=1)
    return links[0].created_at if links else None


def draft_report_link(
    config: Config, association: str, author: str, now: datetime, *, valid_days: int | None = None
) -> tuple[ReportLink, str]:
    """Return a link that is not stored, so that it does not work yet, and its URL.

    Raises ConfigError if no public address is set.
    """
    base = require_public_url(config)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return ReportLink(
        association=association,
        token_hash=hash_token(token),
        created_at=now,
        created_by=author,
        expires_at=compute_report_link_expiry(config, now, valid_days),
    ), f"{base}/r/{token}"


def compute_report_link_expiry(
    config: Config, now: datetime, valid_days: int | None = None
) -> datetime:
    """Return when a new link expires."""
    if valid_days is None:
        valid_days = config.report_links.valid_days
    return now + timedelta(days=valid_days)


def require_public_url(config: Config) -> str:
    """Return the public address of the reports. Raises ConfigError if none is set."""
    if not config.web.public_url:
        reason = "report links need the public address of this server"
        raise ConfigError("[web] public_url", reason, 'public_url = "https://reports.example.org"')
    return config.web.public_url


def find_active_report_link(store: Store, token: str, now: datetime) -> ReportLink | None:
    """Return the link of a token, or None if it is wrong, expired or revoked.

    Or if the network no longer follows the association. Its link works again if that is undone.
    """
    report_link = store.report_links.get(hash_token(token))
    if report_link is None or not report_link.is_active(now):
        return None
    entry = store.registry.get_association_entry(report_link.association)
    return report_link if entry and not entry.withdrawn_at else None
