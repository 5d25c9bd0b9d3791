"""What is sent with an association's link: a short text for WhatsApp, a mail. Pure.

It has one thing that goes well and one first step, no score and no blame; all else is in the report.

Letters for many associations at once: a row for each, with its link and the texts to send.

No link opens anything before `commit`, when all of them are written: a run that breaks off changes nothing.

The associations' own ways to their reports: links that nobody guesses, that expire and can be revoked.

The token stands in the link alone. What is kept is its hash, so whoever reads the database opens no report.
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
"""Characters of a text that a telephone shows without "read more"."""
MAX_NAME_CHARACTERS, MAX_SENTENCE_CHARACTERS, MAX_STEP_CHARACTERS = 70, 110, 150
"""Characters that a name, what goes well, and a first step may take of a short text."""
CLAUSE_END_PATTERN = re.compile(r"[.!?؟؛:;]\s")
"""Where what a step says may end: the rest of it is in the report."""


@dataclass(frozen=True, slots=True)
class ReportLinkAddress:
    """An association's link, and until when it opens the report."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class InvitationText:
    """The texts that go with one link, in one language. `html` is the mail again."""

    short_text: str
    subject: str
    body: str
    html: str


def build_invitation_text(
    view: AssociationView, config: Config, link: ReportLinkAddress, now: datetime, language: str
) -> InvitationText:
    """The texts for an association's report."""
    told = _InvitationWriter(view, config.network.display_name(language), link, now)
    words = Translator(language)
    body, html = render_message(language, told.build_mail)
    return InvitationText(told.build_short_text(words), told.build_subject(words), body, html)


@dataclass(frozen=True, slots=True)
class _InvitationWriter:
    """What the texts are made of."""

    view: AssociationView
    network: str
    link: ReportLinkAddress
    now: datetime

    def association_name(self, translator: Translator) -> str:
        """The association's, no longer than a short text bears."""
        return _truncate_at_word(
            self.view.association.display_name(translator.language), MAX_NAME_CHARACTERS
        )

    def list_strengths(self, translator: Translator) -> list[str]:
        """What goes well."""
        return list(describe_strengths(list_strengths(self.view, self.now), translator))

    def find_first_step(self, translator: Translator) -> tuple[str, str]:
        """The first step of the first gap, and the channel it is about; empty where there is none."""
        if not self.view.gaps:
            return "", ""
        gap = self.view.gaps[0]
        return translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params).steps[
            0
        ], gap.channel

    def build_subject(self, translator: Translator) -> str:
        """Of the mail."""
        return shorten_subject(
            translator.translate(
                "Your report: {association}", association=self.association_name(translator)
            )
        )

    def build_short_text(self, translator: Translator) -> str:
        """Greeting, strength, first step, link; where there is no room, without the two in the middle."""
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
        for said in self.list_strengths(translator)[:1]:
            yield translator.translate(
                "Going well: {strength}", strength=_truncate_at_word(said, MAX_SENTENCE_CHARACTERS)
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
        """The mail, for either medium."""
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
                    "{network} checks what anyone can see of the associations online. Your report says what works and lists at most five next steps.",
                    network=self.network,
                ),
                translator.label("ui", "not_judgement"),
            ),
            sections=tuple(part for part in parts if part.items),
            closing=(
                translator.translate(
                    "In the report you can tell us what is wrong, what isn’t yours, or what you will do and when."
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
                    "Anyone with this link can read the report and reply in your name. Share it only with your board."
                ),
            ),
        )


def _truncate_at_clause(text: str, max_characters: int) -> str:
    """A text as far as its last clause that fits."""
    line = collapse_line_breaks(text)
    ends = [
        found.start()
        for found in CLAUSE_END_PATTERN.finditer(line)
        if found.start() < max_characters
    ]
    if len(line) <= max_characters or not ends:
        return _truncate_at_word(line, max_characters)
    return f"{line[: ends[-1]].rstrip()}."


def _truncate_at_word(text: str, max_characters: int) -> str:
    """A text on one line, shortened at the end of a word where it is long."""
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
    """Letters that are being made by somebody at a moment; `letters` are those that are not kept yet.

    `ended` is how many older ones ended when they were.
    `days` is how long they hold, the configuration's where it is None; with `keep` older ones go on holding.
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
        """The sheet, piece by piece, its headings in a language or English keys.

        Raises ConfigError where no public address is set.
        """
        table = self._iter_rows(views, translator)
        if file_format == "csv":
            yield from spreadsheet.iter_csv_lines(table, bom=bom, delimiter=delimiter)
        else:
            title = translator.term("export", SHEET_TITLE) if translator else SHEET_TITLE
            right_to_left = translator is not None and translator.direction == "rtl"
            yield from spreadsheet.iter_workbook_chunks({title: table}, right_to_left=right_to_left)

    def commit(self) -> None:
        """Keep the letters: from now on their links open, and the older ones do not."""
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
        about = view.association
        letter, link = draft_report_link(
            self.context.config, about.id, self.author, self.now, valid_days=self.valid_days
        )
        self.report_links.append(letter)
        ends = letter.expires_at
        texts = build_invitation_text(
            view, self.context.config, ReportLinkAddress(link, ends), self.now, about.language
        )
        contact = self.context.store.get_contact(about.id)
        name, chat = (
            about.display_name(about.language),
            build_whatsapp_url(contact.phone, texts.short_text),
        )
        facts = [about.id, name, about.language, contact.phone, contact.email, link, ends.date()]
        return [*facts, texts.short_text, chat, texts.subject, texts.body]


def select_associations(
    context: EvaluationContext,
    now: datetime,
    ids: Iterable[str] = (),
    association_filter: AssociationFilter | None = None,
    *,
    without_link_only: bool = False,
) -> Iterator[AssociationView]:
    """The associations of these ids, or else all that are wanted; with `missing` those without a letter.

    Raises InputError where the sheet lists no association of an id.
    """
    named = list(dict.fromkeys(ids))
    if named:
        seen: Iterable[AssociationView] = [_load_view(context, one) for one in named]
    else:
        seen = iter_association_views(context.store, context.config, now, association_filter)
    return (
        view
        for view in seen
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
    """Whether an association has a letter that holds."""
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
    """Make an association's letter: it, and its address, which is shown this once.

    Its older letters end, unless they are to be kept. Raises ConfigError where no public address is set.
    """
    letter, address = draft_report_link(config, association, author, now, valid_days=valid_days)
    return store.add_report_link(letter, keep_older=keep_older_links), address


def draft_report_link(
    config: Config, association: str, author: str, now: datetime, *, valid_days: int | None = None
) -> tuple[ReportLink, str]:
    """A letter that nobody has kept yet, so that it opens nothing, and its address. Raises ConfigError."""
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
    """When a letter of today ends: after so many days, or as the configuration says."""
    return now + timedelta(
        days=config.report_links.valid_days if valid_days is None else valid_days
    )


def require_public_url(config: Config) -> str:
    """The address under which associations reach their reports. Raises ConfigError where none is set."""
    if not config.web.public_url:
        why = "letters need the address under which the associations reach this server"
        raise ConfigError("[web] public_url", why, 'public_url = "https://reports.example.org"')
    return config.web.public_url


def can_create_report_links(config: Config) -> bool:
    """Whether there is an address for them to lead to."""
    return bool(config.web.public_url)


def find_active_report_link(store: Store, token: str, now: datetime) -> ReportLink | None:
    """The letter that a token opens; None for one that is wrong, expired or revoked."""
    letter = store.get_report_link(hash_token(token))
    return letter if letter is not None and letter.is_active(now) else None
