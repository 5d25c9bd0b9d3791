"""Turn codes and facts into sentences in Arabic, French and English.

A sentence is a template with facts. Each fact is formatted for the language (Moroccan month names
with Western digits, French spaces) and isolated, so that a name in the other direction cannot
reorder the line. This is the only module that builds sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit
from markupsafe import Markup, escape

from auditor.core.i18n.catalogs import (
    LOCALE_BY_LANGUAGE,
    get_text_direction,
    load_terms,
    load_translations,
)
from auditor.core.reference.gap_catalogue import Voice, get_gap_titles, load_gap_catalogue
from auditor.core.reference.places import get_region_name, get_town_name
from auditor.core.reference.texts import GlossaryTerm, get_glossary_term, get_message_texts
from probes.links.channel_registry import WEBSITE_CHANNEL, list_channels
from probes.models.finding import Activity, DatePrecision, FactValue

EMPTY_VALUE = "—"
DATE_FACTS = frozenset(
    {
        *("since", "checked_at", "last_date", "expires_on", "expired_on"),
        *("registry_on", "stated_on"),
    }
)
DURATION_FACTS = frozenset({"age", "limit"})
FACT_ALIASES = {
    "target": "kind",
    "raw": "typed",
    "other_org": "other",
    "links": "urls",
    "size": "bytes",
}
"""Names of facts in templates, with the names that rules use."""
URL_LIST_FACTS = frozenset({"links"})
"""Facts that are several URLs separated by spaces."""
CODE_LIST_FACTS = {"fields": "field"}
"""Facts that are several codes separated by spaces."""
UNIT_FACTS = {"seconds": ("duration-second", 1), "size": ("digital-megabyte", 1_000_000)}
"""Facts with a unit: the CLDR unit, and how many of ours make one."""
TERM_GROUP_BY_FACT = {
    "cause": "cause",
    "domain_status": "domain_status",
    "kind": "kind",
    "target": "kind",
    "found_on": "place",
    "run_state": "run",
    "unit": "unit",
}

DATE_SOURCE_TERMS = {
    "feed": "feed",
    "wp-json": "list",
    "sitemap": "sitemap",
    "posts": "posts",
    "videos": "videos",
    "streams": "videos",
    "uploads": "api",
    "post_id": "api",
    "attested": "person",
    "post_number": "linked_post",
}
"""Terms of the sources of publication dates; any other source is a date on a page."""

OPTIONAL_PART_PATTERN = re.compile(r"\[\[(.*?)]]")
"""A part of a template that is omitted if one of its facts is missing."""
PLACEHOLDER_PATTERN = re.compile(r"{(\w+)}")

LEFT_TO_RIGHT_PATTERN = re.compile(r"@|www\.|.*://", re.DOTALL)
"""The beginning of a URL, a handle, or a text with a URL."""

NOTE_GROUP = "technical_detail"
"""The terms of notes that probes write in English."""

MessageValue = FactValue | Activity | date | Markup | None

LINK_MARKUP = Markup('<a href="{0}" rel="noreferrer"><bdi dir="ltr">{0}</bdi></a>')


@dataclass(frozen=True, slots=True)
class GapText:
    """The texts of a gap. They are safe for the medium of the translator."""

    code: str
    title: str
    definition: str
    why: str
    evidence: str
    steps: tuple[str, ...]
    severity: str
    actor: str
    effort: str


class Translator:
    """Texts of one language for one medium: plain text, or HTML with escaped facts."""

    def __init__(self, language: str, *, is_html: bool = False) -> None:
        self.language = language
        self.locale = LOCALE_BY_LANGUAGE[language]
        self._is_html = is_html
        self._translations = load_translations(language)
        self._gap_catalogue = load_gap_catalogue()

    @property
    def direction(self) -> str:
        """Return the text direction: `rtl` or `ltr`."""
        return get_text_direction(self.language)

    def term(self, group: str, code: str) -> str:
        """Return the term of a code in `terms.toml`, or the code."""
        codes = load_terms().get(group, {})
        return codes.get(code, {}).get(self.language, code)

    def technical_detail(self, detail: str) -> str | None:
        """Return a note of a probe in the language, or None if it has no term."""
        for pattern, note in _load_note_patterns():
            if match := pattern.fullmatch(detail):
                template = self.term(NOTE_GROUP, note)
                return self._fill_template(template, match.groupdict())
        return self.term("cause", detail) if detail in load_terms()["cause"] else None

    def label(self, group: str, name: str, **facts: MessageValue) -> str:
        """Return a label of the gap catalogue with its facts."""
        label = self._gap_catalogue.label(group, name, self.language)
        return self._fill_template(label, facts)

    def translate(self, message: str, /, **facts: MessageValue) -> str:
        """Return a message, by its English text, with its facts."""
        return self._fill_template(self._translations.gettext(message), facts)

    def translate_plural(self, singular: str, plural: str, n: int, /, **facts: MessageValue) -> str:
        """Return a message in the plural form for a number, which is the fact `n`."""
        return self._fill_template(
            self._translations.ngettext(singular, plural, n), {"n": n, **facts}
        )

    def message(self, key: str, /, **facts: MessageValue) -> str:
        """Return a text that is sent, such as `whatsapp.problem`, without its empty lines.

        The fact `n` selects the plural form. Raises KeyError if the text is unknown.
        """
        text = get_message_texts(key)[self.language]
        if not isinstance(text, str):
            n = facts["n"]
            assert isinstance(n, int), n
            text = text.get(Locale.parse(self.locale).plural_form(n), text["other"])
        filled = self._fill_template(text, facts)
        return self._to_medium("\n").join(filter(None, filled.split("\n")))

    def _to_medium(self, text: str) -> str:
        """Return a constant text for the medium: it needs no escaping."""
        return Markup(text) if self._is_html else text  # noqa: S704

    def format_pair(self, label: str, value: str) -> str:
        """Return a label and its value, with a space before the colon in French."""
        return self._to_medium("\u00a0: " if self.language == "fr" else ": ").join((label, value))

    def join_list(self, parts: Iterable[str]) -> str:
        """Return several texts, joined by the comma of the language."""
        return self._to_medium("، " if self.language == "ar" else ", ").join(parts)

    def describe_status(self, channel: str, status: str, reason: str | None) -> str:
        """Return the name of a channel and its status, and why it could not be checked."""
        text = self.format_pair(self.channel_name(channel), self.term("channel_status", status))
        cause = self.term("cause", reason or "")
        return self._to_medium("{} ({})").format(text, cause) if cause else text

    def channel_name(self, name: str) -> str:
        """Return the name of a channel."""
        return self._gap_catalogue.label("channel", name, self.language)

    def lower_first_letter(self, text: str) -> str:
        """Return a text with a small first letter, unless it begins with the name of a channel."""
        proper_names = tuple(map(self.channel_name, set(list_channels()) - {WEBSITE_CHANNEL}))
        return text if text.startswith(proper_names) else text[:1].lower() + text[1:]

    def region_name(self, name: str | None) -> str:
        """Return the official name of a Moroccan region, another one as typed, or a dash."""
        return get_region_name(name, self.language) or EMPTY_VALUE

    def town_name(self, name: str | None) -> str:
        """Return the name of a Moroccan town, another one as typed, or a dash."""
        return get_town_name(name, self.language) or EMPTY_VALUE

    def glossary_term(self, code: str) -> GlossaryTerm:
        """Return a word of the pages and its definition. Raises KeyError."""
        return get_glossary_term(code, self.language)

    def format_short_date(self, when: date) -> str:
        """Return a short date without a year: "12 نونبر"."""
        # CLDR's Morocco abbreviates mars to "mar." and juin to "jui.".
        locale = "fr" if self.language == "fr" else self.locale
        return self._format_ordinal(_format_skeleton("MMMd", when, locale))

    def format_date(self, day: date | datetime | str | None) -> str:
        """Return a long date: "20 غشت 2024". ISO text is parsed; None gives a dash."""
        if not day:
            return EMPTY_VALUE
        iso_day = str(day)[:10]
        return self._format_ordinal(_format_long_date(date.fromisoformat(iso_day), self.locale))

    def format_month(self, day: date) -> str:
        """Return a month with its year: "غشت 2024"."""
        return _format_skeleton("yMMMM", day, self.locale)

    def _format_ordinal(self, day: str) -> str:
        """Return the date with the French ordinal "1er", which CLDR lacks."""
        return f"1er{day[1:]}" if self.language == "fr" and day.startswith("1 ") else day

    def format_time(self, timestamp: datetime, time_zone: str) -> str:
        """Return the time of day in a time zone: "02:35"."""
        # Babel's own zones are pytz's where that is installed.
        local_time = timestamp.astimezone(ZoneInfo(time_zone))
        return str(format_time(local_time.time(), "short", locale=self.locale))

    def format_datetime(self, timestamp: datetime, time_zone: str) -> str:
        """Return date and time in a time zone: "20 غشت 2026، 02:35"."""
        local_time = timestamp.astimezone(ZoneInfo(time_zone))
        joined = self._translations.gettext("{day}, {time}")
        return joined.format(
            day=self.format_date(local_time), time=self.format_time(timestamp, time_zone)
        )

    def format_number(self, n: float) -> str:
        """Return a number with the thousands separator of the language."""
        return str(format_decimal(n, locale=self.locale))

    def format_days(self, count: float) -> str:
        """Return a number of days as a duration: "11 months"."""
        return _format_span(float(count), self.locale, 1.5, "second")

    def format_age(self, day: date, today: date) -> str:
        """Return how long ago a day was: "3 days", or "today"."""
        if day >= today:
            return self.translate("today")
        return _format_span((today - day).days, self.locale, 1.5, "day")

    def format_activity_date(self, activity: Activity) -> str:
        """Return the date of a publication at its precision: "about August 2026"."""
        when = activity.published_at
        if activity.precision in (DatePrecision.SECOND, DatePrecision.DAY):
            return self._isolate(self.format_date(when))
        month = self.format_month(when)
        facts = {"day": self.format_date(when), "month": month, "year": str(when.year)}
        return self._fill_template(self.term("precision", activity.precision), facts)

    def date_source(self, clue: str) -> str:
        """Return the source of a publication date as text."""
        return self.term("source", DATE_SOURCE_TERMS.get(clue, "page"))

    def format_rhythm(self, days: int) -> str:
        """Return how often something is published: "posts about every 9 days"."""
        if days <= 1:
            return self.translate("posts about every day")
        span = _format_span(days, self.locale, 2, "day")
        return self.translate("posts about every {span}", span=span)

    def format_percent(self, share: float) -> str:
        """Return a share (0 to 1) in percent with at most one decimal."""
        return _format_share(share, self.locale)

    def describe_gap(
        self,
        code: str,
        channel: str,
        severity: str,
        params: Mapping[str, MessageValue],
        voice: Voice = "coordinator",
    ) -> GapText:
        """Return the texts of a gap or status.

        The title is written for the reader; the other texts address the association.
        """
        catalogue = self._gap_catalogue
        entry = catalogue[code]
        text = entry.texts[self.language]
        named_params = {"channel": channel, **params}
        for new, old in FACT_ALIASES.items():
            if old in params:
                named_params.setdefault(new, params[old])
        if params.get("url"):
            archive_url = f"https://web.archive.org/web/{params['url']}"
            named_params["archive_url"] = (
                LINK_MARKUP.format(archive_url) if self._is_html else archive_url
            )
        facts = _FormattedFacts(named_params, self._format_fact)
        steps = entry.get_steps(channel, self.language)
        return GapText(
            code=code,
            title=self.gap_title(code, channel, voice, params),
            definition=self._fill_template(text["definition"], facts),
            why=self._fill_template(text["why"], facts),
            evidence=self._fill_template(text["evidence"], facts),
            steps=tuple(self._fill_template(step, facts) for step in steps),
            severity=catalogue.label("severity", severity, self.language),
            actor=catalogue.label("actor", entry.actor, self.language),
            effort=catalogue.label("effort", entry.effort, self.language),
        )

    def gap_title(
        self,
        code: str,
        channel: str = "",
        voice: Voice = "coordinator",
        params: Mapping[str, MessageValue] = MappingProxyType({}),
    ) -> str:
        """Return the title of a gap on a channel or on any; the code if it is unknown.

        It begins with the name of the channel, unless the channel has a title. A domain that
        has expired since the gap opened has another title.
        """
        definition = self._gap_catalogue.definitions.get(code)
        if definition is None:
            return code
        titles = get_gap_titles(code, voice)
        title = titles.get(channel, titles["any"])[self.language]
        if params.get("expired_on") and "expired" in titles:
            day = self.format_date(str(params["expired_on"]))
            title = titles["expired"][self.language].format(expired_on=day)
        elif channel and channel not in titles and definition.scope == "channel":
            title = self.format_pair(self.channel_name(channel), title)
        return escape(title) if self._is_html else title

    def _fill_template(
        self, template: str, facts: Mapping[str, MessageValue] | _FormattedFacts
    ) -> str:
        """Return a template with its facts as text, without the optional parts that lack one."""
        if not isinstance(facts, _FormattedFacts):
            facts = _FormattedFacts(facts, self._format_fact)
        if "[[" in template:
            template = OPTIONAL_PART_PATTERN.sub(facts.fill_optional_part, template)
        if not self._is_html:
            return template.format_map(facts)
        return Markup(str(escape(template)).format_map(facts))  # noqa: S704  # facts are escaped when formatted

    def _isolate(self, text: str) -> str:
        """Return a fact for the medium. In HTML, a URL or handle is left to right."""
        if not self._is_html:
            return text
        if LEFT_TO_RIGHT_PATTERN.match(text):
            return Markup('<bdi dir="ltr">{}</bdi>').format(to_breakable_url(text))
        return Markup("<bdi>{}</bdi>").format(text)

    def _format_fact(self, name: str, value: MessageValue) -> str:
        """Return a fact as text for the medium. Markup is ready for it.

        A missing date has not happened yet; any other missing fact is a dash.
        """
        if isinstance(value, Markup):
            return value
        if isinstance(value, Activity):
            return self.format_activity_date(value)
        if value in (None, ""):
            return self.translate("not yet") if name in DATE_FACTS else EMPTY_VALUE
        if name in URL_LIST_FACTS:
            return self.join_list(map(self._isolate, str(value).split()))
        return self._isolate(self._format_value(name, value))

    def _format_value(self, name: str, value: FactValue | date) -> str:
        """Return a date, a duration, an amount (with at most one decimal), codes or a text."""
        if isinstance(value, date) or name in DATE_FACTS:
            return self.format_date(str(value))
        if name in DURATION_FACTS:
            return self.format_days(float(value))
        if name in UNIT_FACTS and not isinstance(value, str):
            unit, divisor = UNIT_FACTS[name]
            amount = round(value / divisor, 1)
            return str(format_unit(amount, unit, length="long", locale=self.locale))
        text = str(value)
        if name == "channel":
            return self.channel_name(text)
        if name in CODE_LIST_FACTS:
            return self.join_list(self.term(CODE_LIST_FACTS[name], code) for code in text.split())
        return self.term(TERM_GROUP_BY_FACT.get(name, ""), text)


@lru_cache(maxsize=1)
def _load_note_patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return the notes of probes with patterns that match them; a placeholder is any text."""
    patterns = []
    for note in load_terms()[NOTE_GROUP]:
        pattern = PLACEHOLDER_PATTERN.sub(r"(?P<\1>.+)", note)
        patterns.append((re.compile(pattern), note))
    return patterns


class _FormattedFacts(dict[str, str]):
    """Facts as text, formatted when a template first uses them; a missing one is a dash."""

    def __init__(
        self, facts: Mapping[str, MessageValue], format_fact: Callable[[str, MessageValue], str]
    ) -> None:
        super().__init__()
        self._facts = facts
        self._format_fact = format_fact

    def fill_optional_part(self, part: re.Match[str]) -> str:
        """Return a part of a template, or "" if one of its facts is missing."""
        for name in PLACEHOLDER_PATTERN.findall(part[1]):
            if self._facts.get(name) in (None, ""):
                return ""
        return part[1]

    def __missing__(self, name: str) -> str:
        text = EMPTY_VALUE
        if name in self._facts:
            text = self._format_fact(name, self._facts[name])
        self[name] = text
        return text


# Cached, because hundreds of pages show the same dates and Babel formats each of them again.


@lru_cache(maxsize=4_096)
def _format_long_date(day: date, locale: str) -> str:
    return str(format_date(day, "long", locale=locale))


@lru_cache(maxsize=4_096)
def _format_skeleton(skeleton: str, day: date, locale: str) -> str:
    return str(format_skeleton(skeleton, day, locale=locale))


@lru_cache(maxsize=4_096)
def _format_span(
    days: float, locale: str, threshold: float, granularity: Literal["day", "second"]
) -> str:
    span = timedelta(days=days)
    text = format_timedelta(span, granularity=granularity, threshold=threshold, locale=locale)
    return str(text)


@lru_cache(maxsize=4_096)
def _format_share(share: float, locale: str) -> str:
    whole = Locale.parse(locale).percent_formats[None].pattern
    return str(format_percent(share, whole.replace("0", "0.#"), locale=locale))


URL_SEPARATORS = re.compile(r"([/.?&=_-]+|:(?!//))")
"""Places behind which a URL may be broken."""
SHORT_HOST_PATTERN = re.compile(r"(?:http://)?[^/?]{1,24}(?=/|$)")
"""A host that fits on a line of a phone is not broken."""


def to_breakable_url(address: str) -> Markup:
    """Return a URL without https://, breakable between its parts and never inside a word."""
    shown = address.removeprefix("https://").rstrip("/")
    match = SHORT_HOST_PATTERN.match(shown)
    host = match[0] if match else ""
    breakable = escape(host)
    for index, part in enumerate(URL_SEPARATORS.split(shown.removeprefix(host))):
        breakable += escape(part)
        if index % 2:
            breakable += Markup("<wbr>")
    return breakable
