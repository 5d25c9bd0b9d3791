"""The digest: what a coordinator should hear at the end of a night, the worst first. Pure.

The digest in words. Pure.

What moved in the network, and what of it is news: nobody is told twice within 30 days that one gap opened.

A gap that opens and closes by turns is told once as opened and once as closed. Where it moves again within 30
days of that, the rest is silence; if it still stands so when they are over, that is told then. Which
messages went out does not matter for this: it follows from the gap's own history.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import views
from auditor.evaluation.run_results import refresh
from auditor.i18n.wording import Wording
from auditor.receipts.receipt import digest as receipt_digest
from auditor.receipts.signing import key_of
from auditor.reference.gap_catalogue import SEVERITIES
from auditor.reference.regions import code_of
from auditor.rendering.templates import Address, Line, Paper, Part, Way
from storage.models.audit import Association, Gap, Night, NightState
from storage.models.summaries import Summary
from storage.store import Store


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
        yield words.say("Digest of this night’s receipt: {digest}", digest=receipt_digest(told.night.receipt))


def _several(channels: Sequence[str], words: Wording) -> str:
    return ("، " if words.language == "ar" else ", ").join(map(words.channel, channels))


def _line(move: Move, frame: Frame, words: Wording) -> Line:
    gap, association = move.gap, move.association
    title = words.gap(gap.code, gap.channel, gap.severity, gap.params).title
    return Line(
        words.say("{association}: {point}", association=association.shown(words.language), point=title),
        url=frame.association(words, association.id),
    )


QUIET = timedelta(days=30)
"""How long nothing more is told of a gap that was told of."""


@dataclass(frozen=True, slots=True)
class Move:
    """A gap that opened, or closed, and when that is told."""

    association: Association | Summary
    gap: Gap
    is_open: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class News:
    """What moved in the whole network until a night. `still` counts the open gaps by region."""

    night: Night
    before: Night | None
    moves: tuple[Move, ...]
    still: Mapping[str | None, int]


def news(store: Store, config: Config, night: Night, since: datetime | None = None) -> News:
    """What there is to tell at the end of a night to whoever was last told at a moment, or later.

    Who was told more than QUIET ago, or never, is told from the night before on. A night that was not
    concluded has moved nothing.
    """
    before = store.last_night(NightState.DONE, before=night.day)
    if night.state is not NightState.DONE:
        return News(night, before, (), {})
    if store.judged_night() != night:
        return _rebuilt(store, config, night, before)
    refresh(store, config)
    # What is told now for the first time may have moved QUIET ago.
    moments = [one for one in (since, before and before.started_at, night.started_at - QUIET) if one]
    known = store.histories(min(moments) - QUIET if before else None)
    moves = tuple(move for association, gaps in known for move in _moves(association, gaps))
    return News(night, before, moves, _still(store))


def _rebuilt(store: Store, config: Config, night: Night, before: Night | None) -> News:
    """The same of a night that is not the newest: everybody is looked at as of then."""
    moves: list[Move] = []
    still: Counter[str | None] = Counter()
    for view in views(store, config, night.finished_at or night.started_at):
        moves += moved(view)
        still[view.association.region] += len(view.gaps)
    return News(night, before, tuple(moves), still)


def _still(store: Store) -> dict[str | None, int]:
    regions = store.cohorts("region", at_least=1)
    told = store.tallies(regions, ["gaps"])
    by_region: dict[str | None, int] = {
        cohort.partition(":")[2]: sums.get("gaps", 0) for cohort, sums in told.items()
    }
    return {**by_region, None: store.tally(prefix="gaps").get("gaps", 0) - sum(by_region.values())}


def moved(view: AssociationView) -> Iterator[Move]:
    """What is ever told of an association's gaps; waived ones are no news. Pure."""
    return _moves(
        view.association, (gap for gap in view.all_gaps if gap.opened_at and gap not in view.waived)
    )


def _moves(association: Association | Summary, gaps: Iterable[Gap]) -> Iterator[Move]:
    rows: dict[tuple[str, str, str], list[Gap]] = defaultdict(list)
    for gap in gaps:
        rows[gap.channel, gap.subject, gap.code].append(gap)
    for several in rows.values():
        yield from (Move(association, *told) for told in _told(several))


def _told(rows: Iterable[Gap]) -> Iterator[tuple[Gap, bool, datetime]]:
    """The news of one gap's rows: each with whether it opened, and when that is told."""
    turns = sorted(_turns(rows), key=lambda turn: turn[2])
    last: dict[bool, datetime] = {}
    said = False  # what the reader believes: no such gap
    for (gap, is_open, at), (_, _, ends) in zip(turns, [*turns[1:], (None, None, None)], strict=True):
        when = max(at, last[is_open] + QUIET) if is_open in last else at
        if is_open is not said and (ends is None or when < ends):
            said, last[is_open] = is_open, when
            yield gap, is_open, when


def _turns(rows: Iterable[Gap]) -> Iterator[tuple[Gap, bool, datetime]]:
    for gap in rows:
        assert gap.opened_at is not None
        yield gap, True, gap.opened_at
        if gap.closed_at:
            yield gap, False, gap.closed_at


LISTED = 40
"""How many gaps a message lists; a longer one is not read, and mail programs cut it off."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What moved after `since` until the night, by what it asks of the reader.

    `still` counts what is open in all. `blind` are the channels on which nothing could be told tonight.
    """

    night: Night
    since: datetime | None
    urgent: tuple[Move, ...] = ()
    new: tuple[Move, ...] = ()
    fixed: tuple[Move, ...] = ()
    still: int = 0
    blind: tuple[str, ...] = ()

    @property
    def is_concluded(self) -> bool:
        """Whether the night came to its end."""
        return self.night.state is NightState.DONE

    @property
    def parts(self) -> tuple[tuple[str, tuple[Move, ...]], ...]:
        """The three lists in their order, cut to what a message lists, each with its name."""
        everything = iter([*self.urgent, *self.new, *self.fixed])
        listed = set(map(id, islice(everything, LISTED)))
        named = (("urgent", self.urgent), ("new", self.new), ("fixed", self.fixed))
        return tuple((name, tuple(move for move in rows if id(move) in listed)) for name, rows in named)

    @property
    def more(self) -> int:
        """How many moves a message does not list."""
        return max(0, len(self.urgent) + len(self.new) + len(self.fixed) - LISTED)


def digest(
    told: News, *, since: datetime | None = None, regions: Collection[str] = frozenset()
) -> Digest | None:
    """The digest of a night for someone who hears of these regions (of all, if empty); None for no news.

    `since` is when that reader was last told; the night before otherwise. What moves while a night
    goes on belongs to the next one.
    """
    night, before = told.night, told.before
    if since is None and before:
        since = before.started_at
    moves = [
        move
        for move in told.moves
        if (since is None or move.at > since)
        and move.at <= night.started_at
        and _is_of(move.association.region, regions)
    ]
    newly_blind = set(night.blind) - set(before.blind if before else ())
    if not moves and not newly_blind and night.state is NightState.DONE:
        return None
    opened = sorted((move for move in _standing(moves) if move.is_open), key=_worst_first)
    return Digest(
        night=night,
        since=since,
        urgent=tuple(move for move in opened if move.gap.severity == SEVERITIES[0]),
        new=tuple(move for move in opened if move.gap.severity != SEVERITIES[0]),
        fixed=tuple(sorted((move for move in _standing(moves) if not move.is_open), key=_worst_first)),
        still=sum(count for region, count in told.still.items() if _is_of(region, regions)),
        blind=night.blind,
    )


def _is_of(region: str | None, regions: Collection[str]) -> bool:
    """Whether a region is among these, whichever way either is spelt."""
    return not regions or (code_of(region) or region) in {code_of(one) or one for one in regions}


def _standing(moves: Collection[Move]) -> list[Move]:
    """Of each gap the newest move alone: what opened and closed since then is told as closed."""
    newest: dict[tuple[str, str, str, str], Move] = {}
    for move in sorted(moves, key=lambda move: move.at):
        gap = move.gap
        newest[gap.association, gap.channel, gap.subject, gap.code] = move
    return list(newest.values())


def _worst_first(move: Move) -> tuple[int, str, str, str]:
    gap = move.gap
    return SEVERITIES.index(gap.severity), gap.association, gap.channel, gap.code
