"""What is sent with an association's link: a short text for WhatsApp, a mail. Pure.

It has one thing that goes well and one first step, no score and no blame; all else is in the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.i18n.wording import Wording
from auditor.rendering.message import Line, Paper, Part, Way, flat, subject, written
from auditor.reports.strengths import strengths
from auditor.reports.text import spoken

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
