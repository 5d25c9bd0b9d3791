"""When two looks say the same, and by what the nights differ that saw it. Pure.

A look says the same as an earlier one where what was found and what came are the same but for what differs
each time: when a page came and how long it took, and the values of headers that no probe reads (`date`, ids
of requests, caches). Of such a header it matters whether it is there; what is kept of it is what came when
the look was first seen. All the rest is told of each night by a short text, its `times`: the moments and the
seconds of its pages, and the facts that are made of these.

Platforms write each answer anew, so of fleeting evidence it matters what was asked and how it was answered,
and no byte of the page. A publication that was counted back ("6 months ago") is then told by that word and by
the week, month or year in which it falls, and a look by its probe's version: another may find more in pages
that are not kept. Whoever looked says that it repeats the earlier one; what is recorded whole is a new look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from pydantic import TypeAdapter

from probes.models.finding import Activity, Finding, Precision, Scalar
from probes.models.http import NOTED, TELLING
from storage.models.audit import Earlier, Evidence, Observation

DIFFERING = ("seconds", "certificate_days")
"""The facts that may differ each night, though nothing has changed; the days were one until 2026-12."""

SIZE = 12
"""Bytes of a digest that tells the looks at one account apart."""

BETWEEN = "/"
MICROSECOND = timedelta(microseconds=1)

_FINDING = TypeAdapter(Finding)
_FIELDS = [one for one in fields(Evidence) if one.name not in {"headers", "seconds", "fetched_at"}]
_NAMES = [one.name for one in _FIELDS]
_USUAL = [one.default for one in _FIELDS]
_VALUES = attrgetter(*_NAMES)


def meaning(look: Observation) -> str:
    """A digest of what a look says, the same for looks that say the same."""
    return digest_of(said(look))


def digest_of(told: bytes) -> str:
    """The digest of what a look says."""
    return blake2b(told, digest_size=SIZE).hexdigest()


def said(look: Observation) -> bytes:
    """All that a look says, the same for looks that say the same. Raises ValueError: no JSON can say it."""
    finding = look.finding
    facts = {**finding.facts, **dict.fromkeys(_differing(finding), 0)}
    shown = [facts, *map(_shown, look.evidence)]
    if is_fleeting(look):
        finding = replace(finding, last_activity=_coarsely(finding.last_activity))
        shown.append({"version": look.probe_version, "ago": _ago(look)})
    text = json.dumps(shown, default=str, ensure_ascii=False, sort_keys=True).encode()
    return _FINDING.dump_json(finding, exclude_defaults=True, exclude={"facts"}) + text


def is_fleeting(look: Observation) -> bool:
    """Whether it rests on what was written anew for us."""
    return any(piece.fleeting for piece in look.evidence)


def _shown(piece: Evidence) -> dict[str, Any]:
    """What a piece of evidence says: without its defaults, so that a new field changes no old meaning."""
    told: dict[str, Any] = {
        name: value
        for name, value, usual in zip(_NAMES, _VALUES(piece), _USUAL, strict=True)
        if value != usual and not (piece.fleeting and name in _FLEETING)
    }
    headers = piece.headers.items()
    told["headers"] = {
        name: value if name in TELLING else ""
        for name, value in headers
        if not piece.fleeting or name in _READ
    }
    told["fetched_at"] = piece.fetched_at is not None
    return told


_READ = TELLING | NOTED

_FLEETING = frozenset({"digest", "came", "truncated", "certificate_expires"})
"""What of fleeting evidence has no meaning: its bytes, and whose of a platform's many servers answered."""

_LENGTHS = {Precision.WEEK: 7.0, Precision.MONTH: 30.44, Precision.YEAR: 365.25}
"""Days in what a publication is counted back by. By days it is told to the day, and needs no count."""


def _coarsely(told: Activity | None) -> Activity | None:
    """A publication that was counted back, by the beginning of what it was counted in."""
    if told is None or not told.relative:
        return told
    day = told.when.replace(hour=0, minute=0, second=0, microsecond=0)
    match told.precision:
        case Precision.WEEK:
            day -= timedelta(days=day.weekday())
        case Precision.MONTH:
            day = day.replace(day=1)
        case Precision.YEAR:
            day = day.replace(month=1, day=1)
    return replace(told, when=day)


def _ago(look: Observation) -> int | None:
    """How many weeks, months or years were counted back."""
    told = look.finding.last_activity
    if told is None or not told.relative or told.precision not in _LENGTHS:
        return None
    return round((look.observed_at.date() - told.when.date()).days / _LENGTHS[told.precision])


def times(look: Observation) -> str:
    """What of a look is no part of its meaning.

    That is, for each page, the microseconds from it to the look, and its seconds; then the facts that differ
    each night, in their order.
    """
    when = look.observed_at
    pages = ((piece.fetched_at, piece.seconds) for piece in look.evidence)
    came = " ".join(f"{(when - at) // MICROSECOND} {seconds!r}" for at, seconds in pages if at is not None)
    return BETWEEN.join([came, *(repr(look.finding.facts[name]) for name in _differing(look.finding))])


def again(look: Observation, observed_at: datetime, told: str | None) -> Observation:
    """A look as it was at another moment, by the `times` of then; with its evidence, if it has it.

    Where there are none, all that came was the word that everything is as before: its pages are dated as far
    apart as they were. Whoever repeats this one tells its times again only where a fact is another.
    """
    if told is None:
        return look if look.observed_at == observed_at else _moved(look, observed_at)
    came, *facts = told.split(BETWEEN)
    before = look.finding.facts
    named = {**before, **dict(zip(_differing(look.finding), map(_number, facts), strict=True))}
    finding = _with(look.finding, named) if facts else look.finding
    left = BETWEEN.join(["", *facts]) if named != before else None
    if look.evidence and not came:  # it only repeats a night with other facts: it has no page of its own
        return replace(_moved(look, observed_at), finding=finding, times=left)
    waiting = iter(came.split())
    pages = tuple(
        piece if piece.fetched_at is None else _dated(piece, observed_at, waiting) for piece in look.evidence
    )
    return replace(look, observed_at=observed_at, finding=finding, evidence=pages, times=left)


def repetition(look: Observation, before: Earlier) -> Observation:
    """A look as it is kept where an earlier one says the same: as that, with its own moment and facts."""
    own = [repr(look.finding.facts[name]) for name in _differing(look.finding)]
    return replace(look, evidence=(), same_as=before.id, times=BETWEEN.join(["", *own]) if own else None)


def of_its_night(found: Finding, told: Finding) -> Finding:
    """What is found in pages of an earlier night, with the facts that differ each night as this one told."""
    own = {name: told.facts[name] for name in _differing(found) if name in told.facts}
    return _with(found, {**found.facts, **own})


def _differing(finding: Finding) -> list[str]:
    facts = finding.facts
    return [name for name in DIFFERING if type(facts.get(name)) in (int, float)]


def _number(told: str) -> Scalar:
    return float(told) if "." in told or "e" in told else int(told)


def _with(finding: Finding, facts: Mapping[str, Scalar]) -> Finding:
    return replace(finding, facts=facts)


def _dated(piece: Evidence, observed_at: datetime, waiting: Iterator[str]) -> Evidence:
    came = observed_at - int(next(waiting)) * MICROSECOND
    return replace(piece, fetched_at=came, seconds=float(next(waiting)))


def _moved(look: Observation, observed_at: datetime) -> Observation:
    """A look that was repeated at a moment, its pages dated as far from it as they came."""
    later = observed_at - look.observed_at
    return replace(look, observed_at=observed_at, evidence=dated(look.evidence, later), as_before=True)


def dated(evidence: Iterable[Evidence], later: timedelta) -> tuple[Evidence, ...]:
    """The same evidence, its pages dated so much later."""
    return tuple(
        piece if piece.fetched_at is None else replace(piece, fetched_at=piece.fetched_at + later)
        for piece in evidence
    )
