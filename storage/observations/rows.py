"""How a batch of observations is kept: a narrow row for each, and a look for what was not seen so before.

When two looks say the same, and by what the nights differ that saw it. Pure.

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
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Text, bindparam, delete, select, tuple_, type_coerce, update

from probes.models.finding import Activity, Finding, Precision, Presence, Scalar
from probes.models.http import NOTED, TELLING
from storage.batching import parts
from storage.database.connection import Database
from storage.models.audit import Earlier, Evidence, Observation
from storage.sanitize import clean, instant
from storage.tables.core import ACCOUNT, NIGHT
from storage.tables.runs import LOOK, OBSERVATION

PRESENCES = (Presence.UNKNOWN, Presence.ABSENT, Presence.PRESENT)
"""What stands for each of them in a narrow row: its place here, for ever."""

CODES = {presence: code for code, presence in enumerate(PRESENCES)}

Meant = tuple[int, str]
"""An account and what was seen of it, by its digest."""

OF_NIGHTS = OBSERVATION.c.night_id.in_(select(NIGHT.c.id))
"""Of any night. Rows lie by night and account, so whoever asks for an account names the nights, too."""


def record(database: Database, connection: Connection, observations: Iterable[Observation]) -> int:
    """Keep the observations and tell how many were new; the first word on an account and night stands."""
    first: dict[tuple[int, int], Observation] = {}
    for one in observations:
        first.setdefault(one.at, one)
    there, listed = _there(connection, first), _listed(connection, {account for _, account in first})
    new = [
        replace(one, observed_at=instant(one.observed_at))
        for at, one in sorted(first.items())
        if at not in there and one.account_id in listed
    ]
    told = {one.at: _fit(one) for one in new if one.same_as is None}
    meant = {at: (one.account_id, digest_of(text)) for at, (one, text) in told.items()}
    looks = _looks(database, connection, {meant[at]: told[at][0] for at in reversed(told)})
    before = _before(connection, {one.same_as for one in new if one.same_as is not None})
    rows = [
        _repeated(one, before[one.same_as])
        if one.same_as is not None
        else _row(told[one.at][0], *looks[meant[one.at]])
        for one in new
    ]
    return database.put(connection, OBSERVATION, rows)


_SAME = select(LOOK.c.id, LOOK.c.observed_at, type_coerce(LOOK.c.evidence, Text).label("evidence")).where(
    LOOK.c.account_id == bindparam("account"), LOOK.c.meaning == bindparam("meaning")
)
"""Made once, and nothing is made of the evidence: a night asks it of each account of a platform."""


def same_look(connection: Connection, one: Observation) -> Earlier | None:
    """The look at the same account that says the same as this one."""
    asked = {"account": one.account_id, "meaning": digest_of(_fit(one)[1])}
    row = connection.execute(_SAME, asked).one_or_none()
    if row is None:
        return None
    digests = (piece.get("digest") for piece in json.loads(row.evidence))
    return Earlier(row.id, row.observed_at, tuple(filter(None, digests)))


def _listed(connection: Connection, wanted: Collection[int]) -> set[int]:
    """Those of the accounts that are still there, until the commit: others were pruned during the night."""
    query = select(ACCOUNT.c.id).with_for_update(read=True, key_share=True)
    return {
        row.id for some in parts(wanted) for row in connection.execute(query.where(ACCOUNT.c.id.in_(some)))
    }


def _fit(one: Observation) -> tuple[Observation, bytes]:
    """An observation fit to be compared, and what it says: it is cleaned whole only where it has to be.

    What is told of the headers' values is not looked at: it is cleaned with the look that keeps them.
    """
    with suppress(ValueError):
        text = said(one)
        if _is_fit(one, text):
            return one, text
    cleaned = clean(one)
    return cleaned, said(cleaned)


UNFIT = (b"\\u00", b"\\b", b"\\f")
"""How JSON writes what is cleaned away; so it writes a backslash before such a letter, too."""


def _is_fit(one: Observation, text: bytes) -> bool:
    """Whether nothing in what is said would be cleaned: JSON has numbers for what is not printed so."""
    seen, facts = one.finding.last_activity, one.finding.facts.values()
    dated = seen is None or seen.when.utcoffset() == timedelta(0)
    finite = all(math.isfinite(fact) for fact in facts if isinstance(fact, float))
    return dated and finite and not any(mark in text for mark in UNFIT) and text.decode().isprintable()


def _there(connection: Connection, wanted: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those nights and accounts of which there is an observation."""
    key = (OBSERVATION.c.night_id, OBSERVATION.c.account_id)
    return {
        (row.night_id, row.account_id)
        for some in parts(wanted)
        for row in connection.execute(select(*key).where(tuple_(*key).in_(some)))
    }


def _looks(
    database: Database, connection: Connection, wanted: Mapping[Meant, Observation]
) -> dict[Meant, tuple[int, bool]]:
    """For each of these the id of its look, and whether that was made of it: it is, where there was none.

    And where its evidence is fleeting, for then its own page is to be kept: the old look is repeated no more.
    A batch is of one night, so none of it repeats another.
    """
    there = _found(connection, wanted)
    anew = {at for at in there if is_fleeting(wanted[at])}
    _leave(connection, [there[at].id for at in anew])
    missing = {at: one for at, one in wanted.items() if at not in there or at in anew}
    database.put(connection, LOOK, [_content(at, clean(one)) for at, one in sorted(missing.items())])
    made = _found(connection, missing)
    return {at: (row.id, row.observed_at == wanted[at].observed_at) for at, row in (there | made).items()}


def _leave(connection: Connection, ids: Sequence[int]) -> None:
    """Let looks be repeated no more."""
    for some in parts(ids):
        connection.execute(update(LOOK).where(LOOK.c.id.in_(some)).values(meaning=None))


def _found(connection: Connection, wanted: Collection[Meant]) -> dict[Meant, Any]:
    key = (LOOK.c.account_id, LOOK.c.meaning)
    return {
        (row.account_id, row.meaning): row
        for some in parts(wanted)
        for row in connection.execute(
            select(LOOK.c.id, LOOK.c.observed_at, *key).where(tuple_(*key).in_(some))
        )
    }


def _before(connection: Connection, ids: Collection[int]) -> dict[int, Any]:
    """Whose the looks are that are repeated, and what they found."""
    columns = (LOOK.c.id, LOOK.c.account_id, LOOK.c.presence)
    return {
        row.id: row
        for some in parts(ids)
        for row in connection.execute(select(*columns).where(LOOK.c.id.in_(some)))
    }


def looks(connection: Connection, ids: Collection[int], *, evidence: bool) -> dict[int, Observation]:
    """Looks as they were first seen, of no night; their evidence only where it is wanted."""
    columns = [column for column in LOOK.c if evidence or column is not LOOK.c.evidence]
    rows = connection.execute(select(*columns).where(LOOK.c.id.in_(ids))).all()
    return {
        row.id: Observation(
            row.account_id,
            0,
            row.observed_at,
            row.finding,
            row.evidence if evidence else (),
            same_as=row.id,
            since=row.observed_at,
        )
        for row in rows
    }


def _content(at: Meant, one: Observation) -> dict[str, Any]:
    return {
        "account_id": one.account_id,
        "observed_at": one.observed_at,
        "presence": one.finding.presence.value,
        "meaning": at[1],
        "finding": one.finding,
        "evidence": one.evidence,
    }


def _repeated(one: Observation, look: Any) -> dict[str, Any]:
    """The row of an observation that says "as before". Raises ValueError: it repeats another account's."""
    if look.account_id != one.account_id:
        raise ValueError(f"account {one.account_id} repeats a look at account {look.account_id}")
    return _columns(one, look.id, Presence(look.presence), one.times)


def _row(one: Observation, look_id: int, is_made: bool) -> dict[str, Any]:  # unpacked
    return _columns(one, look_id, one.finding.presence, None if is_made else times(one))


def _columns(one: Observation, look_id: int, presence: Presence, told: str | None) -> dict[str, Any]:
    return {
        "night_id": one.night_id,
        "account_id": one.account_id,
        "observed_at": one.observed_at,
        "look_id": look_id,
        "presence": CODES[presence],
        "probe_version": one.probe_version,
        "times": told,
    }


def erase(connection: Connection, account_ids: Iterable[int]) -> None:
    """Remove every observation of these accounts, which are about to go themselves with all their looks."""
    for some in parts(account_ids):
        connection.execute(delete(OBSERVATION).where(OF_NIGHTS, OBSERVATION.c.account_id.in_(some)))


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
