"""Report links of associations: create, check and revoke them, and texts to send with them.

A link contains a secret token; the database stores its hash, so it cannot be used to open a report.
Links of a bulk export work only after `commit`, when all of them are written. A message names one
strength and one first step; there is no score and no blame in it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auditor.config.schema import Config
from auditor.core.errors import ConfigError, InputError
from auditor.core.tokens import TOKEN_BYTES, hash_token
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import iter_association_views, load_association_view
from auditor.evaluation.summary import AssociationFilter
from auditor.i18n.translator import Translator
from auditor.protocols import EvaluationContext
from auditor.registry import spreadsheet
from auditor.registry.columns import build_whatsapp_url
from auditor.rendering.templates import (
    MessageDocument,
    MessageLink,
    MessageListItem,
    MessageSection,
    collapse_line_breaks,
    render_message,
    shorten_subject,
)
from auditor.reports.text import describe_strengths, list_strengths
from storage.models.users import ReportLink, ReportLinkState
from storage.store import Store

MAX_TEXT_CHARACTERS = 600
"""Length of a text that a phone shows without "read more"."""
MAX_NAME_CHARACTERS, MAX_SENTENCE_CHARACTERS, MAX_STEP_CHARACTERS = 70, 110, 150
"""Maximum lengths of the name, the strength and the first step in a short text."""
CLAUSE_END_PATTERN = re.compile(r"[.!?؟؛:;]\s")
"""The end of a clause, where a step may be cut off."""


@dataclass(frozen=True, slots=True)
class ReportLinkAddress:
    """The URL of a report link, and when it expires."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class InvitationText:
    """The texts for one link in one language; `html` is the mail as HTML."""

    short_text: str
    subject: str
    body: str
    html: str


def build_invitation_text(
    view: AssociationView, config: Config, link: ReportLinkAddress, now: datetime, language: str
) -> InvitationText:
    """Return the texts for the report of an association."""
    writer = _InvitationWriter(view, config.network.display_name(language), link, now)
    translator = Translator(language)
    body, html = render_message(language, writer.build_mail)
    return InvitationText(
        writer.build_whatsapp_text(translator), writer.build_subject(translator), body, html
    )


@dataclass(frozen=True, slots=True)
class _InvitationWriter:
    """Writes the texts of one invitation."""

    view: AssociationView
    network: str
    link: ReportLinkAddress
    now: datetime

    def association_name(self, translator: Translator) -> str:
        """Return the name, truncated for a short text."""
        return _truncate_at_word(
            self.view.association.display_name(translator.language), MAX_NAME_CHARACTERS
        )

    def list_strengths(self, translator: Translator) -> list[str]:
        """Return the strengths as sentences."""
        return list(describe_strengths(list_strengths(self.view, self.now), translator))

    def find_first_step(self, translator: Translator) -> tuple[str, str]:
        """Return the first step of the first gap and its channel, or empty texts."""
        if not self.view.gaps:
            return "", ""
        gap = self.view.gaps[0]
        return translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params).steps[
            0
        ], gap.channel

    def build_subject(self, translator: Translator) -> str:
        """Return the subject of the mail."""
        return shorten_subject(
            translator.translate(
                "Your report: {association}", association=self.association_name(translator)
            )
        )

    def build_whatsapp_text(self, translator: Translator) -> str:
        """Return the text for WhatsApp or SMS: greeting, strength, first step and link.

        If it is too long, the middle is left out.
        """
        greeting = translator.translate(
            "Hello {association}, this is {network}. We checked how people find you online.",
            association=self.association_name(translator),
            network=_truncate_at_word(self.network, MAX_NAME_CHARACTERS),
        )
        invited = translator.translate(
            "Full report and reply form, on your private link (valid until {day}):",
            day=self.link.expires_at,
        )
        whole = "\n".join([greeting, *self._iter_middle_lines(translator), invited, self.link.url])
        return (
            whole
            if len(whole) <= MAX_TEXT_CHARACTERS
            else f"{greeting}\n{invited}\n{self.link.url}"
        )

    def _iter_middle_lines(self, translator: Translator) -> Iterator[str]:
        for strength in self.list_strengths(translator)[:1]:
            yield translator.translate(
                "Going well: {strength}",
                strength=_truncate_at_word(strength, MAX_SENTENCE_CHARACTERS),
            )
        step, channel = self.find_first_step(translator)
        if step and channel:
            yield translator.translate(
                "First step ({channel}): {step}",
                channel=channel,
                step=_truncate_at_clause(step, MAX_STEP_CHARACTERS),
            )
        elif step:
            yield translator.translate(
                "First step: {step}", step=_truncate_at_clause(step, MAX_STEP_CHARACTERS)
            )

    def build_mail(self, translator: Translator) -> MessageDocument:
        """Return the document of the mail."""
        step, channel = self.find_first_step(translator)
        line = translator.format_pair(translator.channel_name(channel), step) if channel else step
        parts = (
            MessageSection(
                translator.label("ui", "strengths"),
                tuple(map(MessageListItem, self.list_strengths(translator)[:3])),
            ),
            MessageSection(
                translator.translate("First step"), (MessageListItem(line),) if step else ()
            ),
        )
        return MessageDocument(
            title=translator.translate(
                "Hello {association},",
                association=self.view.association.display_name(translator.language),
            ),
            intro=(
                translator.translate(
                    "{network} checks what anyone can see of the associations online. "
                    "Your report says what works and lists at most five next steps.",
                    network=self.network,
                ),
                translator.label("ui", "not_judgement"),
            ),
            sections=tuple(part for part in parts if part.items),
            closing=(
                translator.translate(
                    "In the report you can tell us what is wrong, what isn’t yours, "
                    "or what you will do and when."
                ),
            ),
            links=(
                MessageLink(
                    translator.translate(
                        "Open your report (private link, valid until {day})",
                        day=self.link.expires_at,
                    ),
                    self.link.url,
                ),
            ),
            footer=(
                translator.translate(
                    "Anyone with this link can read the report and reply in your name. "
                    "Share it only with your board."
                ),
            ),
        )


def _truncate_at_clause(text: str, max_characters: int) -> str:
    """Return a text up to its last clause that fits."""
    line = collapse_line_breaks(text)
    ends = [
        match.start()
        for match in CLAUSE_END_PATTERN.finditer(line)
        if match.start() < max_characters
    ]
    if len(line) <= max_characters or not ends:
        return _truncate_at_word(line, max_characters)
    return f"{line[: ends[-1]].rstrip()}."


def _truncate_at_word(text: str, max_characters: int) -> str:
    """Return a text on one line, truncated at the end of a word."""
    line = collapse_line_breaks(text)
    if len(line) <= max_characters:
        return line
    head = line[: max_characters - 1]
    return f"{head.rsplit(' ', 1)[0]}…"


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


@dataclass(slots=True)
class BulkInvitations:
    """Report links for many associations; `report_links` are not stored until `commit`.

    `valid_days` None means the configured validity. Older links are revoked unless
    `keep_older_links`; `revoked_count` is their number.
    """

    context: EvaluationContext
    author: str
    now: datetime
    valid_days: int | None = None
    keep_older_links: bool = False
    report_links: list[ReportLink] = field(default_factory=list)
    revoked_count: int = 0

    def iter_file_parts(
        self,
        views: Iterable[AssociationView],
        file_format: str = "csv",
        *,
        translator: Translator | None = None,
        bom: bool = True,
        delimiter: str = ",",
    ) -> Iterator[bytes]:
        """Yield the spreadsheet in parts, with translated headings or English keys.

        Raises ConfigError if no public address is set.
        """
        table = self._iter_rows(views, translator)
        if file_format == "csv":
            yield from spreadsheet.iter_csv_lines(table, bom=bom, delimiter=delimiter)
        else:
            title = translator.term("export", SHEET_TITLE) if translator else SHEET_TITLE
            right_to_left = translator is not None and translator.direction == "rtl"
            yield from spreadsheet.iter_workbook_chunks({title: table}, right_to_left=right_to_left)

    def commit(self) -> None:
        """Store the links: from now on they work, and older ones do not."""
        self.revoked_count = self.context.store.add_report_links(
            self.report_links, keep_older=self.keep_older_links
        )

    def _iter_rows(
        self, views: Iterable[AssociationView], translator: Translator | None
    ) -> Iterator[list[object]]:
        yield [
            translator.term("heading", column) if translator else column
            for column in EXPORT_COLUMNS
        ]
        yield from map(self._build_row, views)

    def _build_row(self, view: AssociationView) -> list[object]:
        association = view.association
        report_link, link = draft_report_link(
            self.context.config, association.id, self.author, self.now, valid_days=self.valid_days
        )
        self.report_links.append(report_link)
        expires_at = report_link.expires_at
        texts = build_invitation_text(
            view,
            self.context.config,
            ReportLinkAddress(link, expires_at),
            self.now,
            association.language,
        )
        contact = self.context.store.get_contact(association.id)
        name, chat = (
            association.display_name(association.language),
            build_whatsapp_url(contact.phone, texts.short_text),
        )
        facts = [
            association.id,
            name,
            association.language,
            contact.phone,
            contact.email,
            link,
            expires_at.date(),
        ]
        return [*facts, texts.short_text, chat, texts.subject, texts.body]


def select_associations(
    context: EvaluationContext,
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
    return (
        view
        for view in views
        if not without_link_only
        or not has_active_report_link(context.store, view.association.id, now)
    )


def _load_view(context: EvaluationContext, association: str) -> AssociationView:
    view = load_association_view(context.store, context.config, association)
    if view is None:
        raise InputError(
            association, "no association has this id", "`auditor registry export -` lists them"
        )
    return view


def has_active_report_link(store: Store, association: str, now: datetime) -> bool:
    """Return True if an association has an active link."""
    return bool(
        store.list_recent_report_links(
            now, state=ReportLinkState.ACTIVE, association=association, limit=1
        )
    )


def create_report_link(
    store: Store,
    config: Config,
    association: str,
    author: str,
    now: datetime,
    *,
    valid_days: int | None = None,
    keep_older_links: bool = False,
) -> tuple[ReportLink, str]:
    """Create a report link and return it with its URL, which is not stored.

    Older links are revoked unless `keep_older_links`. Raises ConfigError if no public address is
    set.
    """
    report_link, address = draft_report_link(
        config, association, author, now, valid_days=valid_days
    )
    return store.add_report_link(report_link, keep_older=keep_older_links), address


def draft_report_link(
    config: Config, association: str, author: str, now: datetime, *, valid_days: int | None = None
) -> tuple[ReportLink, str]:
    """Return a link that is not stored, so that it does not work yet, and its URL.

    Raises ConfigError if no public address is set.
    """
    base = require_public_url(config)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return ReportLink(
        association,
        hash_token(token),
        now,
        author,
        compute_report_link_expiry(config, now, valid_days),
    ), f"{base}/r/{token}"


def compute_report_link_expiry(
    config: Config, now: datetime, valid_days: int | None = None
) -> datetime:
    """Return when a new link expires."""
    return now + timedelta(
        days=config.report_links.valid_days if valid_days is None else valid_days
    )


def require_public_url(config: Config) -> str:
    """Return the public address of the reports. Raises ConfigError if none is set."""
    if not config.web.public_url:
        reason = "report links need the public address of this server"
        raise ConfigError("[web] public_url", reason, 'public_url = "https://reports.example.org"')
    return config.web.public_url


def can_create_report_links(config: Config) -> bool:
    """Return True if a public address is set."""
    return bool(config.web.public_url)


def find_active_report_link(store: Store, token: str, now: datetime) -> ReportLink | None:
    """Return the link of a token, or None if it is wrong, expired or revoked."""
    report_link = store.get_report_link(hash_token(token))
    return report_link if report_link is not None and report_link.is_active(now) else None
