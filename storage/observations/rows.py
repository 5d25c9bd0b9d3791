"""How a batch of observations is kept: a narrow row for each, and a look for what was not seen so before."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Text, bindparam, delete, select, tuple_, type_coerce, update

from probes.models.finding import Presence
from storage.batching import parts
from storage.database.connection import Database
from storage.models.audit import Earlier, Observation
from storage.observations.deduplication import digest_of, is_fleeting, said, times
from storage.sanitize import clean, instant
from storage.tables.core import ACCOUNT, NIGHT
from storage.tables.observations import LOOK, OBSERVATION

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
