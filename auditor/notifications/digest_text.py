"""The digest in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.i18n.wording import Wording
from auditor.notifications.digest import Digest
from auditor.notifications.gap_changes import Move
from auditor.receipts.receipt import digest
from auditor.receipts.signing import key_of
from auditor.rendering.links import Address
from auditor.rendering.message import Line, Paper, Part, Way


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every message: the network's name, where the web's pages are, how it is ended.

    `web` and `stop` are addresses, empty where there is none.
    """

    network: str
    web: str = ""
    stop: str = ""

    def page(self, words: Wording, name: str = "") -> str:
        """The address of a page of the web; empty where there is none."""
        return self.web and self.web + Address(words.language).page(name)

    def association(self, words: Wording, identifier: str) -> str:
        """The address of an association's page; empty where there is none."""
        return self.web and self.web + Address(words.language).association(identifier)


def headline(told: Digest, words: Wording) -> str:
    """The subject: what moved, as numbers."""
    numbers = {"urgent": len(told.urgent), "new": len(told.new), "settled": len(told.fixed)}
    if not told.is_concluded:
        return words.say("The night of {date} did not end", date=told.night.day)
    if told.urgent:
        return words.say("Urgent: {urgent} · new: {new} · settled: {settled}", **numbers)
    if told.new or told.fixed:
        return words.say("New: {new} · settled: {settled}", **numbers)
    return words.say("Night of {date}: not everything could be checked", date=told.night.day)


def bulletin(told: Digest, frame: Frame, words: Wording) -> Paper:
    """The whole message."""
    names = {
        "urgent": words.say("New and urgent points"),
        "new": words.say("New points"),
        "fixed": words.say("Settled points"),
    }
    return Paper(
        title=words.say("News of {network}", network=frame.network),
        begins=tuple(_begins(told, words)),
        parts=tuple(
            Part(names[name], tuple(_line(move, frame, words) for move in moves))
            for name, moves in told.parts
            if moves
        ),
        ends=tuple(_ends(told, words)),
        ways=(Way(words.say("See everything"), frame.page(words)),) if frame.web else (),
        small=(
            words.say(
                "You get this because your address is on the list of those who follow {network}.",
                network=frame.network,
            ),
            *_receipt(told, words),
        ),
        stop=Way(words.say("No longer receive these messages"), frame.stop) if frame.stop else None,
    )


def _begins(told: Digest, words: Wording) -> Iterator[str]:
    day = told.night.day
    if not told.is_concluded:
        yield words.say(
            "The night of {date} did not end. What it saw is kept, and the next run goes on with it.",
            date=day,
        )
    elif told.since:
        yield words.say("What changed since {since}, up to the night of {date}:", since=told.since, date=day)
    else:
        yield words.say("What the night of {date} found:", date=day)
    if told.is_concluded and not (told.urgent or told.new or told.fixed):
        yield words.say("No point appeared and none was settled.")


def _ends(told: Digest, words: Wording) -> Iterator[str]:
    if told.more:
        yield words.count("And {n} more change.", "And {n} more changes.", told.more)
    if told.blind:
        yield words.say(
            "Could not be checked that night: {channels}. Nothing was concluded there.",
            channels=_several(told.blind, words),
        )
    if told.is_concluded:
        yield words.count(
            "In all {n} point is waiting to be settled.",
            "In all {n} points are waiting to be settled.",
            told.still,
        )


def _receipt(told: Digest, words: Wording) -> Iterator[str]:
    """The digest of the night's receipt: whoever keeps this message can tell if that night is taken out."""
    if told.is_concluded and key_of(told.night.receipt):
        yield words.say("Digest of this night’s receipt: {digest}", digest=digest(told.night.receipt))


def _several(channels: Sequence[str], words: Wording) -> str:
    return ("، " if words.language == "ar" else ", ").join(map(words.channel, channels))


def _line(move: Move, frame: Frame, words: Wording) -> Line:
    gap, association = move.gap, move.association
    title = words.gap(gap.code, gap.channel, gap.severity, gap.params).title
    return Line(
        words.say("{association}: {point}", association=association.shown(words.language), point=title),
        url=frame.association(words, association.id),
    )
