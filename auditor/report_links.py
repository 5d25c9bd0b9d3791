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
from auditor.core.tokens import BYTES, digest
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import association_view, views
from auditor.evaluation.summary import Chosen
from auditor.i18n.wording import Wording
from auditor.protocols import Memory
from auditor.registry import spreadsheet
from auditor.registry.columns import whatsapp
from auditor.rendering.templates import Line, Paper, Part, Way, flat, subject, written
from auditor.reports.text import spoken, strengths
from storage.models.users import Letter, LetterState
from storage.store import Store

MOST = 600
"""Characters of a text that a telephone shows without "read more"."""
NAME, SENTENCE, STEP = 70, 110, 150
"""Characters that a name, what goes well, and a first step may take of a short text."""
END = re.compile(r"[.!?؟؛:;]\s")
"""Where what a step says may end: the rest of it is in the report."""


@dataclass(frozen=True, slots=True)
class Link:
    """An association's link, and until when it opens the report."""

    url: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """The texts that go with one link, in one language. `html` is the mail again."""

    short: str
    subject: str
    body: str
    html: str


def invitation(view: AssociationView, config: Config, link: Link, now: datetime, language: str) -> Invitation:
    """The texts for an association's report."""
    told = _Told(view, config.network.shown(language), link, now)
    words = Wording(language)
    body, html = written(language, told.mail)
    return Invitation(told.short(words), told.subject(words), body, html)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the texts are made of."""

    view: AssociationView
    network: str
    link: Link
    now: datetime

    def name(self, words: Wording) -> str:
        """The association's, no longer than a short text bears."""
        return _cut(self.view.association.shown(words.language), NAME)

    def good(self, words: Wording) -> list[str]:
        """What goes well."""
        return list(spoken(strengths(self.view, self.now), words))

    def step(self, words: Wording) -> tuple[str, str]:
        """The first step of the first gap, and the channel it is about; empty where there is none."""
        if not self.view.gaps:
            return "", ""
        gap = self.view.gaps[0]
        return words.gap(gap.code, gap.channel, gap.severity, gap.params).steps[0], gap.channel

    def subject(self, words: Wording) -> str:
        """Of the mail."""
        return subject(words.say("Your report: {association}", association=self.name(words)))

    def short(self, words: Wording) -> str:
        """Greeting, strength, first step, link; where there is no room, without the two in the middle."""
        greeting = words.say(
            "Hello {association}, {network} has prepared a report for you: how people find you online.",
            association=self.name(words),
            network=_cut(self.network, NAME),
        )
        invited = words.say(
            "All of it, and room for your answers, under your own link until {day}:", day=self.link.until
        )
        whole = "\n".join([greeting, *self._middle(words), invited, self.link.url])
        return whole if len(whole) <= MOST else f"{greeting}\n{invited}\n{self.link.url}"

    def _middle(self, words: Wording) -> Iterator[str]:
        for said in self.good(words)[:1]:
            yield words.say("Going well: {strength}", strength=_cut(said, SENTENCE))
        step, channel = self.step(words)
        if step and channel:
            yield words.say("A first step ({channel}): {step}", channel=channel, step=_whole(step, STEP))
        elif step:
            yield words.say("A first step: {step}", step=_whole(step, STEP))

    def mail(self, words: Wording) -> Paper:
        """The mail, for either medium."""
        step, channel = self.step(words)
        line = words.pair(words.channel(channel), step) if channel else step
        parts = (
            Part(words.label("ui", "strengths"), tuple(map(Line, self.good(words)[:3]))),
            Part(words.say("A first step"), (Line(line),) if step else ()),
        )
        return Paper(
            title=words.say("Hello {association},", association=self.view.association.shown(words.language)),
            begins=(
                words.say(
                    "{network} looks at what anybody can see of the associations online, and has prepared "
                    "a report for you: what goes well, and at most five next steps with how to take them.",
                    network=self.network,
                ),
                words.label("ui", "not_judgement"),
            ),
            parts=tuple(part for part in parts if part.lines),
            ends=(
                words.say(
                    "In it you can tell us what is mistaken, what is not yours, or what you will do by when."
                ),
            ),
            ways=(
                Way(
                    words.say("Your report, under your own link until {day}", day=self.link.until),
                    self.link.url,
                ),
            ),
            small=(
                words.say(
                    "Whoever has this link can read the report and answer for you: keep it to yourselves."
                ),
            ),
        )


def _whole(text: str, most: int) -> str:
    """A text as far as its last clause that fits."""
    line = flat(text)
    ends = [found.start() for found in END.finditer(line) if found.start() < most]
    if len(line) <= most or not ends:
        return _cut(line, most)
    return f"{line[: ends[-1]].rstrip()}."


def _cut(text: str, most: int) -> str:
    """A text on one line, shortened at the end of a word where it is long."""
    line = flat(text)
    if len(line) <= most:
        return line
    head = line[: most - 1]
    return f"{head.rsplit(' ', 1)[0]}…"


COLUMNS = (
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
TITLE = "letters"


@dataclass(slots=True)
class Mailing:
    """Letters that are being made by somebody at a moment; `letters` are those that are not kept yet.

    `ended` is how many older ones ended when they were.
    `days` is how long they hold, the configuration's where it is None; with `keep` older ones go on holding.
    """

    app: Memory
    who: str
    now: datetime
    days: int | None = None
    keep: bool = False
    letters: list[Letter] = field(default_factory=list)
    ended: int = 0

    def pieces(
        self,
        seen: Iterable[AssociationView],
        form: str = "csv",
        *,
        words: Wording | None = None,
        bom: bool = True,
        delimiter: str = ",",
    ) -> Iterator[bytes]:
        """The sheet, piece by piece, its headings in a language or English keys.

        Raises ConfigError where no public address is set.
        """
        table = self._table(seen, words)
        if form == "csv":
            yield from spreadsheet.csv_lines(table, bom=bom, delimiter=delimiter)
        else:
            title = words.term("export", TITLE) if words else TITLE
            right_to_left = words is not None and words.direction == "rtl"
            yield from spreadsheet.pieces({title: table}, right_to_left=right_to_left)

    def commit(self) -> None:
        """Keep the letters: from now on their links open, and the older ones do not."""
        self.ended = self.app.store.add_letters(self.letters, keep=self.keep)

    def _table(self, seen: Iterable[AssociationView], words: Wording | None) -> Iterator[list[object]]:
        yield [words.term("heading", column) if words else column for column in COLUMNS]
        yield from map(self._row, seen)

    def _row(self, view: AssociationView) -> list[object]:
        about = view.association
        letter, link = drafted(self.app.config, about.id, self.who, self.now, days=self.days)
        self.letters.append(letter)
        ends = letter.expires_at
        texts = invitation(view, self.app.config, Link(link, ends), self.now, about.language)
        contact = self.app.store.contact(about.id)
        name, chat = about.shown(about.language), whatsapp(contact.phone, texts.short)
        facts = [about.id, name, about.language, contact.phone, contact.email, link, ends.date()]
        return [*facts, texts.short, chat, texts.subject, texts.body]


def chosen(
    app: Memory,
    now: datetime,
    ids: Iterable[str] = (),
    wanted: Chosen | None = None,
    *,
    missing: bool = False,
) -> Iterator[AssociationView]:
    """The associations of these ids, or else all that are wanted; with `missing` those without a letter.

    Raises InputError where the sheet lists no association of an id.
    """
    named = list(dict.fromkeys(ids))
    if named:
        seen: Iterable[AssociationView] = [_seen(app, one, now) for one in named]
    else:
        seen = views(app.store, app.config, now, wanted)
    return (view for view in seen if not missing or not has_letter(app.store, view.association.id, now))


def _seen(app: Memory, association: str, now: datetime) -> AssociationView:
    view = association_view(app.store, app.config, association, now)
    if view is None:
        raise InputError(association, "no association has this id", "`auditor registry export -` lists them")
    return view


def has_letter(store: Store, association: str, now: datetime) -> bool:
    """Whether an association has a letter that holds."""
    return bool(store.recent_letters(now, state=LetterState.HOLDS, association=association, limit=1))


def made(
    store: Store,
    config: Config,
    association: str,
    who: str,
    now: datetime,
    *,
    days: int | None = None,
    keep: bool = False,
) -> tuple[Letter, str]:
    """Make an association's letter: it, and its address, which is shown this once.

    Its older letters end, unless they are to be kept. Raises ConfigError where no public address is set.
    """
    letter, address = drafted(config, association, who, now, days=days)
    return store.add_letter(letter, keep=keep), address


def drafted(
    config: Config, association: str, who: str, now: datetime, *, days: int | None = None
) -> tuple[Letter, str]:
    """A letter that nobody has kept yet, so that it opens nothing, and its address. Raises ConfigError."""
    base = public_url(config)
    token = secrets.token_urlsafe(BYTES)
    return Letter(association, digest(token), now, who, end(config, now, days)), f"{base}/r/{token}"


def end(config: Config, now: datetime, days: int | None = None) -> datetime:
    """When a letter of today ends: after so many days, or as the configuration says."""
    return now + timedelta(days=config.letters.days if days is None else days)


def public_url(config: Config) -> str:
    """The address under which associations reach their reports. Raises ConfigError where none is set."""
    if not config.web.public_url:
        why = "letters need the address under which the associations reach this server"
        raise ConfigError("[web] public_url", why, 'public_url = "https://reports.example.org"')
    return config.web.public_url


def can_be_made(config: Config) -> bool:
    """Whether there is an address for them to lead to."""
    return bool(config.web.public_url)


def opened(store: Store, token: str, now: datetime) -> Letter | None:
    """The letter that a token opens; None for one that is wrong, expired or revoked."""
    letter = store.letter(digest(token))
    return letter if letter is not None and letter.holds(now) else None
