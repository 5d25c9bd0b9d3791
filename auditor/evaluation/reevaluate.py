"""Rebuilds every standing, gap and proposal from observations, archived evidence and decisions.

The archived pages of each look are played to today's probes; where a body was thinned away, or a probe now
asks for a page that nobody fetched then, the recorded finding stands. Observations are never changed.
A rebuild of an unchanged history, by unchanged probes and rules, changes nothing.

What a rebuild changes, for a person to weigh: line by line, by kind, and what may be our mistake.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from auditor.checking.canaries import LEAST
from auditor.checking.checker import recalled, steps
from auditor.config.schema import Config
from auditor.evaluation.run_results import Derived, Figures, moment, policy
from auditor.evidence import Bodies, NotKeptError, as_read, replay
from auditor.i18n.wording import Wording
from auditor.protocols import Memory
from auditor.registry.diff import Former, former, tells_arrival, then
from auditor.rules import engine
from auditor.rules.association import DISOWNING, Dossier, Owners, led_to, owners_of, settle
from probes.links import channel_registry, identify
from probes.log import Events
from probes.models.finding import FAR, NEVER, Account, Finding, Reason
from probes.models.probe import drive
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.models.audit import (
    AccountRow,
    Association,
    Decision,
    Gap,
    Night,
    Observation,
    Proposal,
    Standing,
)
from storage.observations.rows import of_its_night
from storage.sanitize import clean
from storage.store import Store

events = Events(__name__)

Progress = Callable[[int, int], None]

OUR_ACCIDENTS = frozenset({Reason.CRASHED, Reason.UNREADABLE})
"""Findings of a probe or reader that broke. Their pages are not played: what hung once may hang again."""


@dataclass(frozen=True, slots=True)
class Change:
    """One conclusion that a rebuild changes: `what` is standing, gap or proposal; None is not there."""

    what: str
    association: str
    channel: str
    subject: str
    before: str | None
    after: str | None


@dataclass(slots=True)
class Rebuild:
    """What a rebuild did: how many looks were played again, how many stood as recorded, what changed."""

    nights: int = 0
    replayed: int = 0
    kept: int = 0
    changes: list[Change] = field(default_factory=list)


def rejudge(app: Memory, *, dry_run: bool = False, progress: Progress | None = None) -> Rebuild:
    """Rebuild every conclusion and tell what changed; with `dry_run` only tell."""
    nights = app.store.judged_nights()
    result = Rebuild(nights=len(nights))
    figures = {night: Figures(app.config.channels) for night in counted(app.store, nights)}
    history = History(app.store, app.config, nights, bodies=app.archive, result=result, figures=figures)
    associations = list(app.store.associations(include_withdrawn=True))
    derived = Derived()
    for at, association in enumerate(associations, start=1):
        derived.take(Dossier(association), history.rebuilt(association))
        if progress:
            progress(at, len(associations))
    result.changes = _difference(app.store, derived)
    if not dry_run:
        told = {number: counted.told for number, counted in figures.items()}
        app.store.replace_derived(derived.standings, derived.gaps, derived.proposals, told)
    return result


def counted(store: Store, nights: Iterable[Night]) -> Iterator[int]:
    """The ids of the nights whose figures can be counted anew: those since an association was last forgotten.

    The figures of earlier nights count some who are not there any more, and stay as they are.
    """
    last = store.last_forgotten()
    return (one.id for one in nights if one.id is not None and (last is None or one.started_at > last))


class History:
    """The nights of a network, played again for one association after another."""

    def __init__(
        self,
        store: Store,
        config: Config,
        nights: Sequence[Night],
        *,
        bodies: Bodies | None = None,
        result: Rebuild | None = None,
        figures: Mapping[int, Figures] | None = None,
    ) -> None:
        """Without `bodies` the recorded findings are folded as they are; `figures` are filled, by night."""
        self._store = store
        self._nights = nights
        self._bodies = bodies
        self._result = result or Rebuild()
        self._figures = figures or {}
        self._policy = policy(config)
        self._listed = {association.id for association in store.associations()}
        self._turned = store.turned()
        self._disowning: dict[str, list[Decision]] = defaultdict(list)
        for word in store.decisions():
            if word.kind in DISOWNING:
                self._disowning[word.association].append(word)

    def rebuilt(self, association: Association) -> Dossier:
        """Everything held of an association after its nights."""
        store = self._store
        rows = tuple(store.accounts(association.id, include_withdrawn=True))
        dossier = Dossier(association, rows, decisions=tuple(store.decisions(association=association.id)))
        now = Former(association, association.id in self._listed, rows)
        lines = store.trail(association.id, limit=None)
        first = NEVER if tells_arrival(lines) else self._arrival(association, rows)
        looks, named = self._looks(association), Registered(store)
        by_id = {row.id: row for row in rows}
        for night in self._nights:
            was = former(now, lines, night.started_at)
            if was.listed and first <= night.started_at:
                dossier = replace(dossier, association=was.association, accounts=was.accounts)
                recorded = looks.get(night.id or 0, {})
                seen = {
                    at: self._again(by_id[at], look, dossier.standings.get(at))
                    for at, look in recorded.items()
                }
                tonight = moment(night, night.blind)
                owners = self._owners(named.of(led_to(dossier, seen.values())), night.started_at)
                dossier = settle(dossier, seen, tonight, self._policy, owners)
                if night.id is not None and night.id in self._figures:
                    self._figures[night.id].take(dossier, tonight)
        return replace(dossier, association=association, accounts=rows)

    def _arrival(self, association: Association, rows: Sequence[AccountRow]) -> datetime:
        """Since when an association older than the trail was on the sheet, as its links and gaps tell."""
        starts = [row.added_at for row in rows if row.added_at]
        starts += [gap.first_seen for gap in self._store.gaps(association.id)]
        return min(starts, default=self._nights[-1].started_at if self._nights else FAR)

    def _owners(self, rows: Iterable[AccountRow], moment: datetime) -> Owners:
        """Who registered these links, as they stood at a moment."""
        held = list(then(rows, self._turned, moment))
        words = [word for name in {one.association for one in held} for word in self._disowning.get(name, ())]
        return owners_of(held, moment, words)

    def _looks(self, association: Association) -> Mapping[int, dict[int, Observation]]:
        looks: dict[int, dict[int, Observation]] = defaultdict(dict)
        for look in self._store.observations(association=association.id):
            looks[look.night_id][look.account_id] = look
        return looks

    def _again(self, row: AccountRow, look: Observation, before: Standing | None) -> Observation:
        finding = played(recalled(row, before), look, self._bodies) if self._bodies else None
        if finding is None:
            self._result.kept += 1
            return look
        self._result.replayed += 1
        return replace(look, finding=finding)


class Registered:
    """The links that are registered under the keys which nights of one association ask about."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[tuple[str, str], list[AccountRow]] = {}

    def of(self, keys: AbstractSet[tuple[str, str]]) -> list[AccountRow]:
        """Those of some pairs of channel and key, in the order they were first listed."""
        if unknown := keys - self._rows.keys():
            self._rows |= {key: [] for key in unknown}
            for row in self._store.named(unknown):
                self._rows[row.channel, row.identity.key or ""].append(row)
        return sorted((row for key in keys for row in self._rows[key]), key=lambda row: row.id or 0)


def played(account: Account, look: Observation, bodies: Bodies) -> Finding | None:
    """What today's probe finds in a look's evidence, or None where the recorded finding must stand."""
    if look.finding.reason in OUR_ACCIDENTS:
        return None
    try:
        seen = drive(steps(account, _keyed(account, look)), replay(as_read(look), bodies))
    except (NotKeptError, MissingEvidenceError, DamagedEvidenceError) as reason:
        said = "the look at account {account} in night {night} stands as recorded: {why}"
        events.debug("look_kept", said, account=look.account_id, night=look.night_id, why=str(reason))
        return None
    found = clean(seen.finding)
    return of_its_night(found, look.finding) if look.as_before else found


def _keyed(account: Account, look: Observation) -> tuple[str, ...]:
    """The channel, where that look was made by its interface."""
    own = channel_registry.interface(account.channel)
    asked = own is not None and any(identify.host_of(piece.url) == own.host for piece in look.evidence)
    return (account.channel,) if asked else ()


def _difference(store: Store, derived: Derived) -> list[Change]:
    rows = {row.id: row for row in store.accounts(include_withdrawn=True)}
    return [
        *_changes(
            # an auditor of before 2026-12 kept one of who was never looked at, too; it says nothing
            {one.account_id: one for one in store.standings() if one != Standing(one.account_id)},
            {standing.account_id: clean(standing) for standing in derived.standings},
            lambda standing: _standing(standing, rows),
        ),
        *_changes(
            {(engine.key(gap), gap.first_seen): replace(gap, id=None) for gap in store.gaps()},
            {(engine.key(gap), gap.first_seen): clean(gap) for gap in derived.gaps},
            _gap,
        ),
        *_changes(
            {_place(one): replace(one, id=None) for one in store.proposals()},
            {_place(one): clean(one) for one in derived.proposals},
            _proposal,
        ),
    ]


def _place(proposal: Proposal) -> tuple[str, str, str]:
    return (proposal.association, proposal.link.channel, proposal.link.key)


def _changes(
    before: Mapping[Any, Any], after: Mapping[Any, Any], told: Callable[[Any], tuple[str, str, str, str, str]]
) -> list[Change]:
    changes = []
    for at in [*before, *(at for at in after if at not in before)]:
        old, new = before.get(at), after.get(at)
        if old != new:
            what, association, channel, subject, _ = told(old or new)
            said = [told(one)[4] if one is not None else None for one in (old, new)]
            changes.append(Change(what, association, channel, subject, *said))
    return changes


def _standing(standing: Standing, rows: Mapping[int | None, AccountRow]) -> tuple[str, str, str, str, str]:
    row = rows[standing.account_id]
    newest = standing.last_activity.iso() if standing.last_activity else "no date"
    held = f"{standing.state}/{standing.reason or '-'}, {newest}"
    return "standing", row.association, row.channel, row.identity.key or row.typed, held


def _gap(gap: Gap) -> tuple[str, str, str, str, str]:
    state = "closed" if gap.closed_at else "open" if gap.opened_at else "candidate"
    return (
        "gap",
        gap.association,
        gap.channel,
        f"{gap.code} {gap.subject}".strip(),
        f"{state}, {gap.nights} nights",
    )


def _proposal(proposal: Proposal) -> tuple[str, str, str, str, str]:
    return "proposal", *_place(proposal), f"{proposal.nights} nights"


UNMOVED = "unknown/-, no date"
"""The standing of an account that was registered and that no night has told anything of."""


def readable(changes: Iterable[Change]) -> list[Change]:
    """One change for each conclusion, and none where only its details differ, or where nothing is held yet.

    Under another rule the same gap may begin on another night, which to the store is another gap: the one
    that goes and the one that comes are told as one.
    """
    places: dict[tuple[str, str, str, str], list[Change]] = defaultdict(list)
    for change in changes:
        places[change.what, change.association, change.channel, change.subject].append(change)
    told = [one for rows in places.values() for one in _joined(rows)]
    return [change for change in told if _held(change, change.before) != _held(change, change.after)]


def _held(change: Change, word: str | None) -> str | None:
    """What a conclusion says. A standing that nothing has moved says as much as none."""
    return None if change.what == "standing" and word == UNMOVED else word


def _joined(rows: Sequence[Change]) -> list[Change]:
    """The changes of one place; what goes and what comes are paired, what runs now with what runs then."""
    going = sorted((row for row in rows if row.after is None), key=_runs)
    coming = sorted((row for row in rows if row.before is None), key=_runs)
    pairs = min(len(going), len(coming))
    pairs_of = zip(going[len(going) - pairs :], coming[len(coming) - pairs :], strict=True)
    both = [row for row in rows if row.before is not None and row.after is not None]
    left = [*going[: len(going) - pairs], *coming[: len(coming) - pairs]]
    return [*both, *(replace(old, after=new.after) for old, new in pairs_of), *left]


def _runs(change: Change) -> bool:
    return not (change.before or change.after or "").startswith("closed")


def sayings(words: Wording) -> Mapping[str, Callable[[str], str]]:
    """How the columns of a change are said on a terminal."""
    return {
        "what": partial(words.term, "concluded"),
        "subject": partial(_subject, words),
        "before": partial(_conclusion, words),
        "after": partial(_conclusion, words),
    }


def _subject(words: Wording, subject: str) -> str:
    """An account's key; of a gap, what it is about before that."""
    code, _, key = subject.partition(" ")
    return words.listed(filter(None, (words.about(code), key)))


def _conclusion(words: Wording, told: str) -> str:
    """A standing, or how a gap runs, in words: its parts are codes, days and a number of nights."""
    return words.listed(_part(words, part) for part in re.split("/|, ", told) if part not in {"-", "no date"})


def _part(words: Wording, part: str) -> str:
    if nights := re.fullmatch(r"(\d+) nights", part):
        return words.count("{n} night", "{n} nights", int(nights[1]))
    if re.match(r"\d{4}-\d\d", part):
        return words.date(part)
    for group in ("standing", "course", "cause"):
        if (said := words.term(group, part)) != part:
            return said
    return part


def summary(changes: Iterable[Change], words: Wording) -> list[str]:
    """How many gaps of each code are open that were not, and the other way; how many of the rest change."""
    opened: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for change in changes:
        code = change.subject.partition(" ")[0]
        before, after = ((word or "").startswith("open") for word in (change.before, change.after))
        if change.what != "gap":
            others[change.what] += 1
        elif before != after:
            (opened if after else closed)[code] += 1
    gaps = [
        words.pair(words.about(code), words.listed(_moved(words, opened[code], closed[code])))
        for code in sorted(opened | closed)
    ]
    rest = [
        words.pair(words.term("conclusions", what), words.number(n)) for what, n in sorted(others.items())
    ]
    return [*gaps, *rest]


def _moved(words: Wording, opened: int, closed: int) -> list[str]:
    return [
        words.count("{n} more open", "{n} more open", opened),
        words.count("{n} fewer open", "{n} fewer open", closed),
    ]


def turned(changes: Iterable[Change], words: Wording) -> list[str]:
    """Where so many accounts become gone at once, for one cause, that a probe may be wrong.

    A night has canaries for that; a rebuild plays today's probes to old pages and has none.
    """
    lost = Counter(
        (change.channel, (change.after or "").partition(",")[0])
        for change in changes
        if change.what == "standing" and _gone(change.after) and not _gone(change.before)
    )
    return [
        words.count(
            "warning: {n} account on {channel} turns to: {finding}; "
            "look at it: a probe that is wrong does that",
            "warning: {n} accounts on {channel} turn to: {finding}; "
            "look at some of them: a probe that is wrong does that",
            count,
            channel=channel,
            finding=_conclusion(words, told),
        )
        for (channel, told), count in sorted(lost.items())
        if count >= LEAST
    ]


def _gone(word: str | None) -> bool:
    return (word or "").startswith("gone")
