"""Texts that send a report link to an association, by WhatsApp or mail, in its language.

A text says what is wrong, why it matters and the first step. There is no score and no blame in it.
The texts are in `auditor/core/reference/message_texts.toml`; here one is chosen and filled in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Literal

from auditor.conclusions.association_view import AssociationView, UncheckedItem
from auditor.config.schema import Config
from auditor.core.i18n.translator import MessageValue, Translator
from auditor.core.reference.gap_catalogue import SEVERITIES, get_gap_rank
from auditor.core.rendering.templates import (
    MAX_SUBJECT_CHARS,
    SIGNATURE_MARK,
    MessageDocument,
    collapse_line_breaks,
    render_message,
    render_plain_text,
    shorten_subject,
)
from auditor.presentation.reports.text import (
    describe_gap,
    describe_strengths,
    list_current_strengths,
    list_fixed_gaps,
)
from probes.models.finding import Reason
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp

MAX_TEXT_CHARACTERS = 599
"""Characters of a text. A phone shows a longer one with "read more"."""
MAX_NAME_CHARACTERS = 70
"""Maximum length of a name in a text."""
REMINDER_PERIOD = timedelta(days=60)
"""An older promise is not reminded of."""
OMITTED_IN_CHATS, OMITTED_IN_MAILS = ("more", "why", "step"), ("more", "fixed")
"""Parts that a text leaves out, one after the other, until it is short enough."""
LINK_PLACE = "{url}"
"""Marks the place of the link in a mail, where it is not part of the text."""
REFUSALS = frozenset(
    {
        Reason.LOGIN_WALL,
        Reason.BLOCKED,
        Reason.RATE_LIMITED,
        Reason.CONSENT,
        Reason.ROBOTS,
        Reason.SCRIPT_ONLY,
    }
)
"""Reasons with which a platform refuses automatic checks."""


InvitationKind = Literal[
    "urgent", "progress", "problem", "not_checked", "unknown_only", "unknown_other", "no_problem"
]
"""The kinds of texts, with the names in `message_texts.toml`."""


@dataclass(frozen=True, slots=True)
class ReportLinkAddress:
    """The URL of a report link, and when it expires.

    `previous_link_at` is when the link before it was created, or None if it is the first.
    `link_id` is the row of a stored link.
    """

    url: str
    expires_at: datetime
    previous_link_at: datetime | None = None
    link_id: int = 0


@dataclass(frozen=True, slots=True)
class InvitationText:
    """The texts for one link in one language; `html` is the mail as HTML."""

    short_text: str
    subject: str
    body: str
    html: str


def build_invitation_text(
    view: AssociationView, config: Config, link: ReportLinkAddress, language: str
) -> InvitationText:
    """Return the texts for the report of an association."""
    translator, network = Translator(language), config.network.display_name(language)
    body, html = render_message(language, partial(_build_mail, view, network, link))
    return InvitationText(
        _build_whatsapp_text(view, network, link, translator),
        _build_subject(view, network, link, translator),
        body,
        html,
    )


def build_reminder_text(
    view: AssociationView, config: Config, url: str, language: str, promise: FollowUp
) -> str:
    """Return the WhatsApp text that asks an association about a promise that is due."""
    translator = Translator(language)
    subject = promise.text
    if promise.code:
        subject = translator.gap_title(promise.code, promise.channel, "association")
    return translator.message(
        "whatsapp.reminder",
        association=_truncate_at_word(view.association.display_name(language), MAX_NAME_CHARACTERS),
        network=_truncate_at_word(config.network.display_name(language), MAX_NAME_CHARACTERS),
        due=promise.due_date,
        # maximum length of the words of a promise in a reminder
        problem=_truncate_at_word(subject, 160).rstrip("."),
        url=url,
    )


def list_due_promises(
    view: AssociationView, follow_ups: Iterable[FollowUp], today: date
) -> list[FollowUp]:
    """Return the promises that an association can be reminded of, newest first.

    That is the newest promise about each open gap, and each other promise, if it fell due in the
    last days. `follow_ups` are newest first.
    """
    open_gaps, seen, due_promises = {(gap.channel, gap.code) for gap in view.gaps}, set(), []
    for promise in follow_ups:
        subject, due_date = (promise.channel, promise.code), promise.due_date
        if promise.kind is not FollowUpKind.PROMISED or subject in seen:
            continue
        if promise.code:
            seen.add(subject)
        # without a gap, it is about what its text says
        is_unkept = subject in open_gaps if promise.code else bool(promise.text)
        if is_unkept and due_date and today - REMINDER_PERIOD <= due_date <= today:
            due_promises.append(promise)
    return due_promises


def build_chat_text(view: AssociationView, config: Config, language: str) -> str:
    """Return the text that begins a conversation on WhatsApp, without a link to the report.

    A text that only asks to open the report is left out after its greeting.
    """
    link = ReportLinkAddress("", datetime.max.replace(tzinfo=UTC))
    network = config.network.display_name(language)
    text = _build_whatsapp_text(view, network, link, Translator(language))
    has_message = view.gaps or choose_invitation_kind(view, None) == "no_problem"
    return text if has_message else text.partition("\n")[0]


def choose_invitation_kind(
    view: AssociationView, previous_link_at: datetime | None
) -> InvitationKind:
    """Return which text fits an association: the most important thing that it should know."""
    if view.gaps and view.gaps[0].severity == SEVERITIES[0]:
        return "urgent"
    if previous_link_at and list_fixed_gaps(view, previous_link_at):
        return "progress"
    if view.gaps:
        return "problem"
    if not any(map(attrgetter("checked_at"), view.accounts)):
        return "not_checked"
    unknown_items = _list_unknown_items(view)
    if not unknown_items:
        return "no_problem"
    refused = [
        item
        for item in unknown_items
        if item.channel != "website" and item.params.get("cause") in REFUSALS
    ]
    is_all_refused = len(refused) == len(unknown_items)
    return "unknown_only" if is_all_refused else "unknown_other"


def _list_unknown_items(view: AssociationView) -> list[UncheckedItem]:
    """Return what no run could check so far. A choice of the association is not unknown."""
    return [
        item
        for item in view.unchecked
        if item.code != "channel_waived" and not item.params.get("last_date")
    ]


def describe_result_without_gaps(
    view: AssociationView, now: datetime, translator: Translator
) -> str:
    """Return what a mail says first about an association without gaps, such as "no problem"."""
    return _build_mail(view, "", ReportLinkAddress("", now), translator).intro[0]


def _build_whatsapp_text(
    view: AssociationView, network: str, link: ReportLinkAddress, translator: Translator
) -> str:
    """Return the text for WhatsApp or SMS, which ends with the link."""
    kind, text = choose_invitation_kind(view, link.previous_link_at), ""
    for omitted_count in range(len(OMITTED_IN_CHATS) + 1):
        facts = _build_facts(view, network, link, translator, OMITTED_IN_CHATS[:omitted_count])
        text = translator.message(f"whatsapp.{kind}", **facts)
        if len(text) <= MAX_TEXT_CHARACTERS:
            break
    return text


def _build_subject(
    view: AssociationView, network: str, link: ReportLinkAddress, translator: Translator
) -> str:
    """Return the subject of the mail."""
    kind, name = choose_invitation_kind(view, link.previous_link_at), "report"
    if kind in ("urgent", "no_problem"):
        name = kind
    elif view.gaps:
        name = "problem"
    facts = _build_facts(view, network, link, translator)
    subject = translator.message(f"mail.subject.{name}", **facts)
    excess = len(subject) - MAX_SUBJECT_CHARS
    if excess > 0:
        association = _get_name(view, translator)
        kept = len(association) - excess
        # A subject names the association if so much of its name fits
        is_named = kept >= 12
        facts["association"] = _truncate_at_word(association, kept) if is_named else ""
        subject = translator.message(f"mail.subject.{name}", **facts)
    return shorten_subject(subject)


def _get_name(view: AssociationView, translator: Translator) -> str:
    name = view.association.display_name(translator.language)
    return _truncate_at_word(name, MAX_NAME_CHARACTERS)


def _build_mail(
    view: AssociationView, network: str, link: ReportLinkAddress, translator: Translator
) -> MessageDocument:
    """Return the document of the mail.

    Its plain text decides what is left out, so text and HTML say the same.
    """
    plain_translator = Translator(translator.language)
    omitted_facts: tuple[str, ...] = ()
    for omitted_count in range(len(OMITTED_IN_MAILS) + 1):
        omitted_facts = OMITTED_IN_MAILS[:omitted_count]
        text = render_plain_text(
            _build_document(view, network, link, plain_translator, omitted_facts)
        )
        if len(text.partition(SIGNATURE_MARK)[0]) <= MAX_TEXT_CHARACTERS:
            break
    return _build_document(view, network, link, translator, omitted_facts)


def _build_document(
    view: AssociationView,
    network: str,
    link: ReportLinkAddress,
    translator: Translator,
    omitted_facts: tuple[str, ...],
) -> MessageDocument:
    facts = _build_facts(view, network, link, translator, omitted_facts)
    facts["url"] = LINK_PLACE
    kind = choose_invitation_kind(view, link.previous_link_at)
    key = f"mail.{kind}"
    if view.gaps:
        key = "mail.problem"
    elif kind not in ("no_problem", "not_checked"):
        key = f"whatsapp.{kind}"
    lines = translator.message(key, **facts).split("\n")
    if key.startswith("whatsapp."):
        lines = lines[1:]  # without its greeting
    link_index = next(index for index, line in enumerate(lines) if LINK_PLACE in line)
    label = lines[link_index - 1].rstrip(":\u00a0")  # a link needs no colon
    return MessageDocument(
        title=translator.message("mail.greeting", **facts),
        intro=tuple(lines[: link_index - 1]),
        links=((label, link.url),),
        footer=(
            *lines[link_index + 1 :],
            translator.message("mail.signature", **facts),
            translator.translate(
                "Anyone with this link can read the report and reply in your name. "
                "Share it only with your board."
            ),
        ),
    )


def _build_facts(
    view: AssociationView,
    network: str,
    link: ReportLinkAddress,
    translator: Translator,
    omitted_facts: tuple[str, ...] = (),
) -> dict[str, MessageValue]:
    """Return the facts of all texts. A fact that is missing or omitted is empty."""
    unknown_items = _list_unknown_items(view)
    unknown_channels = dict.fromkeys(map(attrgetter("channel"), unknown_items))
    strengths = list_current_strengths(view)
    # having no gap is said by the text itself
    named = [strength for strength in strengths if strength.label != "no_gap"]
    facts: dict[str, MessageValue] = {
        "association": _get_name(view, translator),
        "network": _truncate_at_word(network, MAX_NAME_CHARACTERS),
        "channels": translator.join_list(map(translator.channel_name, unknown_channels)),
        "n": len(unknown_channels),
        "strength": next(describe_strengths(named, translator), ""),
        **_describe_progress(view, link, translator),
        "day": link.expires_at if link.url else "",
        "url": link.url,
        **_describe_first_gap(view, link, translator),
    }
    for omitted in omitted_facts:
        facts[omitted] = ""
        facts[f"{omitted}_lower"] = ""
    return facts


def _describe_first_gap(
    view: AssociationView, link: ReportLinkAddress, translator: Translator
) -> dict[str, MessageValue]:
    """Return the facts of the most severe gap, or none if there is no gap."""
    if not view.gaps:
        return {}
    gap, *others = view.gaps
    text = describe_gap(gap, translator)
    step = text.steps[0]
    return {
        "problem": text.title,
        "problem_lower": translator.lower_first_letter(text.title),
        "why": translator.message(f"why.{gap.code}"),
        "step": step,
        "step_lower": translator.lower_first_letter(step),
        "effort": text.effort,
        "more": translator.message("more", n=len(others)) if others and link.url else "",
    }


def _describe_progress(
    view: AssociationView, link: ReportLinkAddress, translator: Translator
) -> dict[str, MessageValue]:
    """Return the good news about the first of the fixed gaps, or no facts."""
    previous_link_at = link.previous_link_at
    kind = choose_invitation_kind(view, previous_link_at)
    if previous_link_at is None or kind == "urgent":
        return {}
    fixed_gaps = sorted(
        list_fixed_gaps(view, previous_link_at),
        key=lambda gap: (get_gap_rank(gap), gap.channel, gap.code),
    )
    if not fixed_gaps:
        return {}
    good_news = translator.gap_title(fixed_gaps[0].code, fixed_gaps[0].channel, "fixed")
    return {"fixed": good_news, "fixed_lower": translator.lower_first_letter(good_news)}


def _truncate_at_word(text: str, max_characters: int) -> str:
    """Return a text on one line, truncated at the end of a word."""
    line = collapse_line_breaks(text)
    if len(line) <= max_characters:
        return line
    head = line[: max_characters - 1]
    return f"{head.rsplit(' ', 1)[0]}…"
