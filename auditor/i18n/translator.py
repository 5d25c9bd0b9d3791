"""Codes and facts into words, in Arabic, French and English: the only place that makes sentences.

A sentence is one template of `gaps.toml` or `terms.toml` with its facts filled in, each fact in
the language's own form (Moroccan month names with Western digits, French spaces) and isolated, so
that an address or a name in the other direction cannot disturb the line.

Addresses as people read them: without what every one begins with, broken between their parts. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit
from markupsafe import Markup, escape

from auditor.i18n.catalogs import LOCALE_BY_LANGUAGE, get_text_direction, load_language_pack
from auditor.reference.regions import get_region_name
from probes.models.finding import Activity, DatePrecision, FactValue

EMPTY_VALUE = "—"
ANY_CHANNEL = "…"
"""Stands for whatever channel in a gap's title."""
SHORT_MONTH_LOCALES = {"fr": "fr"}
"""Whose short months are another locale's: CLDR's Morocco shortens mars to "mar." and juin to "jui."."""
DATE_FACTS = frozenset({"since", "checked_at", "last_date", "expires_on"})
DURATION_FACTS = frozenset({"age", "limit"})
FACT_ALIASES = {
    "target": "kind",
    "raw": "typed",
    "other_org": "other",
    "links": "urls",
    "size": "bytes",
}
"""What a template calls a fact, and what the rules call it."""
CODE_LIST_FACTS = {"fields": "field"}
"""Facts that are several codes, apart by spaces."""
URL_LIST_FACTS = frozenset({"links"})
"""Facts that are several addresses, apart by spaces."""
UNIT_FACTS = {"seconds": ("duration-second", 1), "size": ("digital-megabyte", 1_000_000)}
"""Facts that are an amount: in which unit they are told, and how many of ours make one."""
TERM_GROUP_BY_FACT = {
    "cause": "cause",
    "kind": "kind",
    "target": "kind",
    "found_on": "place",
    "run_state": "run",
    "unit": "unit",
}

DATE_SOURCE_TERMS = {
    "feed": "feed",
    "wp-json": "list",
    "jsonapi": "list",
    "sitemap": "sitemap",
    "posts": "posts",
    "videos": "videos",
    "streams": "videos",
    "uploads": "api",
    "post_id": "api",
    "attested": "person",
}
"""What told a publication's date, as a reader knows it; any other clue is a date on a page."""

OPTIONAL_PART_PATTERN = re.compile(r"\[\[(.*?)]]")
"""A part of a template that is left out where one of its facts is missing."""
PLACEHOLDER_PATTERN = re.compile(r"{(\w+)}")

MessageValue = FactValue | Activity | date | Markup | None

BDI_MARKUP = Markup("<bdi>{}</bdi>")
LTR_MARKUP = Markup('<bdi dir="ltr">{}</bdi>')

IsolateFunction = Callable[[str, bool], str]


def isolate_plain(text: str, _is_left_to_right: bool) -> str:
    """A fact inside plain text."""
    return text


def isolate_html(text: str, is_left_to_right: bool) -> Markup:
    """A fact inside HTML: escaped and isolated; left to right where it is an address or a handle."""
    return (
        LTR_MARKUP.format(to_breakable_url(text)) if is_left_to_right else BDI_MARKUP.format(text)
    )


@dataclass(frozen=True, slots=True)
class GapText:
    """A gap in words. Each text is safe for the medium its wording was made for."""

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
    """The words of one language for one medium."""

    def __init__(self, language: str, isolate: IsolateFunction = isolate_plain) -> None:
        self.language = language
        self.locale = LOCALE_BY_LANGUAGE[language]
        self.direction = get_text_direction(language)
        self._isolate = isolate
        self._is_html = isolate is isolate_html
        self._language_pack = load_language_pack(language)

    def term(self, group: str, code: str) -> str:
        """A short word of `terms.toml`; the code itself where there is none."""
        return self._language_pack.term(group, code)

    def label(self, group: str, name: str, **facts: MessageValue) -> str:
        """A label of the catalogue, its facts filled in."""
        return self._fill_template(self._language_pack.label(group, name), facts)

    def translate(self, message: str, /, **facts: MessageValue) -> str:
        """A sentence of the faces, by its English text, its facts filled in and isolated."""
        return self._fill_template(self._language_pack.translations.gettext(message), facts)

    def translate_plural(self, singular: str, plural: str, n: int, /, **facts: MessageValue) -> str:
        """A sentence with a number in the form that it takes; the number is the fact `n`."""
        return self._fill_template(
            self._language_pack.translations.ngettext(singular, plural, n), {"n": n, **facts}
        )

    def format_pair(self, label: str, value: str) -> str:
        """A label and its value, with the space that French puts before a colon."""
        joined = "{label}\u00a0: {value}" if self.language == "fr" else "{label}: {value}"
        return (Markup(joined) if self._is_html else joined).format(label=label, value=value)  # noqa: S704 - ours

    def join_list(self, parts: Iterable[str]) -> str:
        """Several things in a row, with the language's own comma."""
        comma = "، " if self.language == "ar" else ", "
        return (Markup(comma) if self._is_html else comma).join(parts)  # noqa: S704 - ours

    def channel_name(self, name: str) -> str:
        """A channel's name."""
        return self._language_pack.label("channel", name)

    def region_name(self, name: str | None) -> str:
        """A region of Morocco by its official name; another as it was typed, none as a dash."""
        return get_region_name(name, self.language) or EMPTY_VALUE

    def format_short_date(self, when: date) -> str:
        """A day of a year that is known, short: "12 نونبر"."""
        return self._format_ordinal(
            str(
                format_skeleton(
                    "MMMd", when, locale=SHORT_MONTH_LOCALES.get(self.language, self.locale)
                )
            )
        )

    def format_date(self, day: date | datetime | str | None) -> str:
        """A day, long: "20 غشت 2024". An ISO text is read first; nothing gives a dash."""
        if not day:
            return EMPTY_VALUE
        when = date.fromisoformat(day[:10]) if isinstance(day, str) else day
        return self._format_ordinal(
            _format_long_date(when.date() if isinstance(when, datetime) else when, self.locale)
        )

    def _format_ordinal(self, day: str) -> str:
        """The same day as French says the first of a month, which CLDR writes as any other: "1er mars"."""
        return f"1er{day[1:]}" if self.language == "fr" and day.startswith("1 ") else day

    def format_time(self, timestamp: datetime, time_zone: str) -> str:
        """The time of day by the clocks of a zone, as the system knows them: "02:35"."""
        here = timestamp.astimezone(
            ZoneInfo(time_zone)
        )  # Babel's own zones are pytz's where that is installed
        return str(format_time(here.time(), "short", locale=self.locale))

    def format_datetime(self, timestamp: datetime, time_zone: str) -> str:
        """A day and the time of day by the clocks of a zone: "20 غشت 2026، 02:35"."""
        here = timestamp.astimezone(ZoneInfo(time_zone))
        joined = self._language_pack.translations.gettext("{day}, {time}")
        return joined.format(
            day=self.format_date(here), time=self.format_time(timestamp, time_zone)
        )

    def format_number(self, n: float) -> str:
        """A number, its thousands set apart as the language does."""
        return str(format_decimal(n, locale=self.locale))

    def format_days(self, count: float) -> str:
        """A span of days as one says it: "11 months"."""
        return _format_day_span(float(count), self.locale)

    def format_activity_date(self, activity: Activity) -> str:
        """The day of a publication, no more exact than it is known: "about August 2026"."""
        when = activity.published_at
        if activity.precision in (DatePrecision.SECOND, DatePrecision.DAY):
            return self._isolate(self.format_date(when), False)
        month = str(format_skeleton("yMMMM", when, locale=self.locale))
        facts = {"day": self.format_date(when), "month": month, "year": str(when.year)}
        return self._fill_template(self.term("precision", activity.precision), facts)

    def date_source(self, clue: str) -> str:
        """Where the date of a publication comes from."""
        return self.term("source", DATE_SOURCE_TERMS.get(clue, "page"))

    def format_rhythm(self, days: int) -> str:
        """How often something is published: "publishes about every 9 days"."""
        if days <= 1:
            return self.translate("posts about every day")
        span = format_timedelta(
            timedelta(days=days), granularity="day", threshold=2, locale=self.locale
        )
        return self.translate("posts about every {span}", span=str(span))

    def format_percent(self, share: float) -> str:
        """A share of one as percent, at most one decimal."""
        return _format_share(share, self.locale)

    def describe_gap(
        self, code: str, channel: str, severity: str, params: Mapping[str, MessageValue]
    ) -> GapText:
        """A gap (or a status) in words."""
        label, entry = self._language_pack.label, self._language_pack.gap_catalogue[code]
        text = entry.texts[self.language]
        aliases = {
            new: params[old]
            for new, old in FACT_ALIASES.items()
            if old in params and new not in params
        }
        facts = _FormattedFacts({"channel": channel, **params, **aliases}, self._format_fact)
        return GapText(
            code=code,
            title=self._fill_template(text["title"], facts),
            definition=self._fill_template(text["definition"], facts),
            why=self._fill_template(text["why"], facts),
            evidence=self._fill_template(text["evidence"], facts),
            steps=tuple(
                self._fill_template(step, facts) for step in entry.get_steps(channel, self.language)
            ),
            severity=label("severity", severity),
            actor=label("actor", entry.actor),
            effort=label("effort", entry.effort),
        )

    def gap_title(self, code: str, channel: str = ANY_CHANNEL) -> str:
        """What a gap is about, on a channel or on whatever one; the code itself where no gap has it."""
        entry = self._language_pack.gap_catalogue.definitions.get(code)
        if entry is None:
            return code
        is_elsewhere = entry.group == "website" and "channel" in entry.placeholders
        return self.describe_gap(code, ANY_CHANNEL if is_elsewhere else channel, "info", {}).title

    def _fill_template(
        self, template: str, facts: Mapping[str, MessageValue] | _FormattedFacts
    ) -> str:
        values = (
            facts
            if isinstance(facts, _FormattedFacts)
            else _FormattedFacts(facts, self._format_fact)
        )
        if "[[" in template:
            template = OPTIONAL_PART_PATTERN.sub(
                lambda part: part[1] if values.has_all(part[1]) else "", template
            )
        if not self._is_html:
            return template.format_map(values)
        return Markup(str(escape(template)).format_map(values))  # noqa: S704 - facts are escaped as they are said

    def _format_fact(self, name: str, value: MessageValue) -> str:
        if isinstance(value, Markup):
            return value
        if isinstance(value, date):
            return self._isolate(self.format_date(value), False)
        return (
            self.format_activity_date(value)
            if isinstance(value, Activity)
            else self._format_scalar(name, value)
        )

    def _format_scalar(self, name: str, value: FactValue | None) -> str:
        if value is None or value == "":
            return self.translate("not yet") if name in DATE_FACTS else EMPTY_VALUE
        if name in URL_LIST_FACTS:
            return self.join_list(self._isolate(address, True) for address in str(value).split())
        said = self._format_quantity(name, value) or self._translate_code(name, str(value))
        return self._isolate(said, _is_left_to_right(said))

    def _format_quantity(self, name: str, value: FactValue) -> str:
        """A day, a span or an amount; empty where the fact is none."""
        if name in DATE_FACTS:
            return self.format_date(str(value))
        if isinstance(value, str):
            return ""
        return (
            self.format_days(value)
            if name in DURATION_FACTS
            else self._format_amount(value, *UNIT_FACTS[name])
            if name in UNIT_FACTS
            else ""
        )

    def _translate_code(self, name: str, value: str) -> str:
        if name == "channel":
            return self.channel_name(value)
        if name in CODE_LIST_FACTS:
            return self.join_list(self.term(CODE_LIST_FACTS[name], code) for code in value.split())
        return self.term(TERM_GROUP_BY_FACT[name], value) if name in TERM_GROUP_BY_FACT else value

    def _format_amount(self, value: float, unit: str, divisor: int) -> str:
        """An amount in a unit, at most one decimal: "2.9 seconds"."""
        return str(format_unit(round(value / divisor, 1), unit, length="long", locale=self.locale))


class _FormattedFacts(dict[str, str]):
    """Facts in words, each said when a template first asks for it; one that is missing shows as a dash."""

    def __init__(
        self, facts: Mapping[str, MessageValue], format_fact: Callable[[str, MessageValue], str]
    ) -> None:
        super().__init__()
        self._facts = facts
        self._format_fact = format_fact

    def has_all(self, template_part: str) -> bool:
        """Whether each fact that a part of a template asks for is there."""
        return all(
            self._facts.get(name) not in (None, "")
            for name in PLACEHOLDER_PATTERN.findall(template_part)
        )

    def __missing__(self, name: str) -> str:
        said = self._format_fact(name, self._facts[name]) if name in self._facts else EMPTY_VALUE
        self[name] = said
        return said


# The same few days and spans stand on hundreds of pages, and Babel finds the form anew for each.


@lru_cache(maxsize=4_096)
def _format_long_date(day: date, locale: str) -> str:
    return str(format_date(day, "long", locale=locale))


@lru_cache(maxsize=4_096)
def _format_day_span(days: float, locale: str) -> str:
    return str(format_timedelta(timedelta(days=days), threshold=1.5, locale=locale))


@lru_cache(maxsize=4_096)
def _format_share(share: float, locale: str) -> str:
    whole = Locale.parse(locale).percent_formats[None].pattern
    return str(format_percent(share, whole.replace("0", "0.#"), locale=locale))


def _is_left_to_right(text: str) -> bool:
    return "://" in text or text.startswith(("@", "www."))


URL_SEPARATORS = re.compile(r"([/.?&=_-]+|:(?!//))")
"""Where an address may be broken: behind what parts it."""
SHORT_HOST_PATTERN = re.compile(r"(?:http://)?[^/?]{1,24}(?=/|$)")
"""A host that fits a telephone's line stays whole."""


def to_breakable_url(address: str) -> Markup:
    """An address as a reader knows it, that a narrow screen breaks between its parts and never in a word."""
    shown = address.removeprefix("https://").rstrip("/")
    host = found[0] if (found := SHORT_HOST_PATTERN.match(shown)) else ""
    told = URL_SEPARATORS.split(shown.removeprefix(host))
    return escape(host) + Markup("").join(
        escape(part) + (Markup("<wbr>") if at % 2 else "") for at, part in enumerate(told)
    )
