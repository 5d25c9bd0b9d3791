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

from auditor.i18n.catalogs import LOCALES, direction, speech
from auditor.reference.regions import region
from probes.models.finding import Activity, Precision, Scalar

NOTHING = "—"
ANY = "…"
"""Stands for whatever channel in a gap's title."""
SHORT = {"fr": "fr"}
"""Whose short months are another locale's: CLDR's Morocco shortens mars to "mar." and juin to "jui."."""
DATES = frozenset({"since", "checked_at", "last_date", "expires_on"})
AGES = frozenset({"age", "limit"})
ALIASES = {"target": "kind", "raw": "typed", "other_org": "other", "links": "urls", "size": "bytes"}
"""What a template calls a fact, and what the rules call it."""
LISTS = {"fields": "field"}
"""Facts that are several codes, apart by spaces."""
ADDRESSES = frozenset({"links"})
"""Facts that are several addresses, apart by spaces."""
UNITS = {"seconds": ("duration-second", 1), "size": ("digital-megabyte", 1_000_000)}
"""Facts that are an amount: in which unit they are told, and how many of ours make one."""
CODES = {
    "cause": "cause",
    "kind": "kind",
    "target": "kind",
    "found_on": "place",
    "night_state": "night",
    "unit": "unit",
}

SOURCES = {
    "feed": "feed",
    "wp-json": "list",
    "jsonapi": "list",
    "sitemap": "sitemap",
    "posts": "posts",
    "videos": "videos",
    "streams": "videos",
    "uploads": "interface",
    "post_id": "interface",
    "attested": "person",
}
"""What told a publication's date, as a reader knows it; any other clue is a date on a page."""

OPTIONAL = re.compile(r"\[\[(.*?)]]")
"""A part of a template that is left out where one of its facts is missing."""
PLACEHOLDER = re.compile(r"{(\w+)}")

Fact = Scalar | Activity | date | Markup | None

BDI = Markup("<bdi>{}</bdi>")
LTR = Markup('<bdi dir="ltr">{}</bdi>')

Isolate = Callable[[str, bool], str]


def plain(text: str, _foreign: bool) -> str:
    """A fact inside plain text."""
    return text


def isolated(text: str, foreign: bool) -> Markup:
    """A fact inside HTML: escaped and isolated; left to right where it is an address or a handle."""
    return LTR.format(breakable(text)) if foreign else BDI.format(text)


@dataclass(frozen=True, slots=True)
class Told:
    """A gap in words. Each text is safe for the medium its wording was made for."""

    code: str
    title: str
    definition: str
    why: str
    evidence: str
    steps: tuple[str, ...]
    severity: str
    who: str
    time: str


class Wording:
    """The words of one language for one medium."""

    def __init__(self, language: str, isolate: Isolate = plain) -> None:
        self.language = language
        self.locale = LOCALES[language]
        self.direction = direction(language)
        self._isolate = isolate
        self._html = isolate is isolated
        self._speech = speech(language)

    def term(self, group: str, code: str) -> str:
        """A short word of `terms.toml`; the code itself where there is none."""
        return self._speech.term(group, code)

    def label(self, group: str, name: str, **facts: Fact) -> str:
        """A label of the catalogue, its facts filled in."""
        return self._fill(self._speech.label(group, name), facts)

    def say(self, message: str, /, **facts: Fact) -> str:
        """A sentence of the faces, by its English text, its facts filled in and isolated."""
        return self._fill(self._speech.messages.gettext(message), facts)

    def count(self, one: str, several: str, n: int, /, **facts: Fact) -> str:
        """A sentence with a number in the form that it takes; the number is the fact `n`."""
        return self._fill(self._speech.messages.ngettext(one, several, n), {"n": n, **facts})

    def pair(self, label: str, value: str) -> str:
        """A label and its value, with the space that French puts before a colon."""
        joined = "{label}\u00a0: {value}" if self.language == "fr" else "{label}: {value}"
        return (Markup(joined) if self._html else joined).format(label=label, value=value)  # noqa: S704 - ours

    def listed(self, parts: Iterable[str]) -> str:
        """Several things in a row, with the language's own comma."""
        comma = "، " if self.language == "ar" else ", "
        return (Markup(comma) if self._html else comma).join(parts)  # noqa: S704 - ours

    def channel(self, name: str) -> str:
        """A channel's name."""
        return self._speech.label("channel", name)

    def region(self, name: str | None) -> str:
        """A region of Morocco by its official name; another as it was typed, none as a dash."""
        return region(name, self.language) or NOTHING

    def day(self, when: date) -> str:
        """A day of a year that is known, short: "12 نونبر"."""
        return self._ordinal(str(format_skeleton("MMMd", when, locale=SHORT.get(self.language, self.locale))))

    def date(self, day: date | datetime | str | None) -> str:
        """A day, long: "20 غشت 2024". An ISO text is read first; nothing gives a dash."""
        if not day:
            return NOTHING
        when = date.fromisoformat(day[:10]) if isinstance(day, str) else day
        return self._ordinal(_long(when.date() if isinstance(when, datetime) else when, self.locale))

    def _ordinal(self, day: str) -> str:
        """The same day as French says the first of a month, which CLDR writes as any other: "1er mars"."""
        return f"1er{day[1:]}" if self.language == "fr" and day.startswith("1 ") else day

    def time(self, moment: datetime, zone: str) -> str:
        """The time of day by the clocks of a zone, as the system knows them: "02:35"."""
        here = moment.astimezone(ZoneInfo(zone))  # Babel's own zones are pytz's where that is installed
        return str(format_time(here.time(), "short", locale=self.locale))

    def moment(self, moment: datetime, zone: str) -> str:
        """A day and the time of day by the clocks of a zone: "20 غشت 2026، 02:35"."""
        here = moment.astimezone(ZoneInfo(zone))
        joined = self._speech.messages.gettext("{day}, {time}")
        return joined.format(day=self.date(here), time=self.time(moment, zone))

    def number(self, n: float) -> str:
        """A number, its thousands set apart as the language does."""
        return str(format_decimal(n, locale=self.locale))

    def days(self, count: float) -> str:
        """A span of days as one says it: "11 months"."""
        return _span(float(count), self.locale)

    def published(self, activity: Activity) -> str:
        """The day of a publication, no more exact than it is known: "about August 2026"."""
        when = activity.when
        if activity.precision in (Precision.SECOND, Precision.DAY):
            return self._isolate(self.date(when), False)
        month = str(format_skeleton("yMMMM", when, locale=self.locale))
        facts = {"day": self.date(when), "month": month, "year": str(when.year)}
        return self._fill(self.term("precision", activity.precision), facts)

    def source(self, clue: str) -> str:
        """Where the date of a publication comes from."""
        return self.term("source", SOURCES.get(clue, "page"))

    def rhythm(self, days: int) -> str:
        """How often something is published: "publishes about every 9 days"."""
        if days <= 1:
            return self.say("publishes about every day")
        span = format_timedelta(timedelta(days=days), granularity="day", threshold=2, locale=self.locale)
        return self.say("publishes about every {span}", span=str(span))

    def percent(self, share: float) -> str:
        """A share of one as percent, at most one decimal."""
        return _share(share, self.locale)

    def gap(self, code: str, channel: str, severity: str, params: Mapping[str, Fact]) -> Told:
        """A gap (or a status) in words."""
        label, entry = self._speech.label, self._speech.book[code]
        text = entry.words[self.language]
        aliases = {new: params[old] for new, old in ALIASES.items() if old in params and new not in params}
        facts = _Facts({"channel": channel, **params, **aliases}, self._said)
        return Told(
            code=code,
            title=self._fill(text["title"], facts),
            definition=self._fill(text["definition"], facts),
            why=self._fill(text["why"], facts),
            evidence=self._fill(text["evidence"], facts),
            steps=tuple(self._fill(step, facts) for step in entry.steps(channel, self.language)),
            severity=label("severity", severity),
            who=label("actor", entry.actor),
            time=label("effort", entry.effort),
        )

    def about(self, code: str, channel: str = ANY) -> str:
        """What a gap is about, on a channel or on whatever one; the code itself where no gap has it."""
        entry = self._speech.book.entries.get(code)
        if entry is None:
            return code
        is_elsewhere = entry.group == "website" and "channel" in entry.placeholders
        return self.gap(code, ANY if is_elsewhere else channel, "info", {}).title

    def _fill(self, template: str, facts: Mapping[str, Fact] | _Facts) -> str:
        values = facts if isinstance(facts, _Facts) else _Facts(facts, self._said)
        if "[[" in template:
            template = OPTIONAL.sub(lambda part: part[1] if values.has_all(part[1]) else "", template)
        if not self._html:
            return template.format_map(values)
        return Markup(str(escape(template)).format_map(values))  # noqa: S704 - facts are escaped as they are said

    def _said(self, name: str, value: Fact) -> str:
        if isinstance(value, Markup):
            return value
        if isinstance(value, date):
            return self._isolate(self.date(value), False)
        return self.published(value) if isinstance(value, Activity) else self._fact(name, value)

    def _fact(self, name: str, value: Scalar | None) -> str:
        if value is None or value == "":
            return self.say("never yet") if name in DATES else NOTHING
        if name in ADDRESSES:
            return self.listed(self._isolate(address, True) for address in str(value).split())
        said = self._measured(name, value) or self._named(name, str(value))
        return self._isolate(said, _is_foreign(said))

    def _measured(self, name: str, value: Scalar) -> str:
        """A day, a span or an amount; empty where the fact is none."""
        if name in DATES:
            return self.date(str(value))
        if isinstance(value, str):
            return ""
        return (
            self.days(value) if name in AGES else self._amount(value, *UNITS[name]) if name in UNITS else ""
        )

    def _named(self, name: str, value: str) -> str:
        if name == "channel":
            return self.channel(value)
        if name in LISTS:
            return self.listed(self.term(LISTS[name], code) for code in value.split())
        return self.term(CODES[name], value) if name in CODES else value

    def _amount(self, value: float, unit: str, ours: int) -> str:
        """An amount in a unit, at most one decimal: "2.9 seconds"."""
        return str(format_unit(round(value / ours, 1), unit, length="long", locale=self.locale))


class _Facts(dict[str, str]):
    """Facts in words, each said when a template first asks for it; one that is missing shows as a dash."""

    def __init__(self, facts: Mapping[str, Fact], say: Callable[[str, Fact], str]) -> None:
        super().__init__()
        self._facts = facts
        self._say = say

    def has_all(self, part: str) -> bool:
        """Whether each fact that a part of a template asks for is there."""
        return all(self._facts.get(name) not in (None, "") for name in PLACEHOLDER.findall(part))

    def __missing__(self, name: str) -> str:
        said = self._say(name, self._facts[name]) if name in self._facts else NOTHING
        self[name] = said
        return said


# The same few days and spans stand on hundreds of pages, and Babel finds the form anew for each.


@lru_cache(maxsize=4_096)
def _long(day: date, locale: str) -> str:
    return str(format_date(day, "long", locale=locale))


@lru_cache(maxsize=4_096)
def _span(days: float, locale: str) -> str:
    return str(format_timedelta(timedelta(days=days), threshold=1.5, locale=locale))


@lru_cache(maxsize=4_096)
def _share(share: float, locale: str) -> str:
    whole = Locale.parse(locale).percent_formats[None].pattern
    return str(format_percent(share, whole.replace("0", "0.#"), locale=locale))


def _is_foreign(text: str) -> bool:
    return "://" in text or text.startswith(("@", "www."))


PARTS = re.compile(r"([/.?&=_-]+|:(?!//))")
"""Where an address may be broken: behind what parts it."""
HOST = re.compile(r"(?:http://)?[^/?]{1,24}(?=/|$)")
"""A host that fits a telephone's line stays whole."""


def breakable(address: str) -> Markup:
    """An address as a reader knows it, that a narrow screen breaks between its parts and never in a word."""
    shown = address.removeprefix("https://").rstrip("/")
    host = found[0] if (found := HOST.match(shown)) else ""
    told = PARTS.split(shown.removeprefix(host))
    return escape(host) + Markup("").join(
        escape(part) + (Markup("<wbr>") if at % 2 else "") for at, part in enumerate(told)
    )
