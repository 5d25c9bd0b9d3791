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

from probes.models.finding import Activity, DatePrecision, FactValue, Finding, Presence
from probes.models.http import COMPARED_HEADERS, PRESENCE_ONLY_HEADERS
from storage.batching import split_into_batches
from storage.database.connection import Database
from storage.models.audit import Evidence, Observation, PreviousObservation
from storage.sanitize import sanitize, to_utc
from storage.tables.core import ACCOUNT, AUDIT_RUN
from storage.tables.runs import OBSERVATION, PROBE_RESULT

PRESENCE_BY_CODE = (Presence.UNKNOWN, Presence.ABSENT, Presence.PRESENT)
"""What stands for each of them in a narrow row: its place here, for ever."""

PRESENCE_CODES = {presence: code for code, presence in enumerate(PRESENCE_BY_CODE)}

ResultKey = tuple[int, str]
"""An account and what was seen of it, by its digest."""

IN_ANY_RUN = OBSERVATION.c.run_id.in_(select(AUDIT_RUN.c.id))
"""Of any night. Rows lie by night and account, so whoever asks for an account names the nights, too."""


def insert_observations(
    database: Database, connection: Connection, observations: Iterable[Observation]
) -> int:
    """Keep the observations and tell how many were new; the first word on an account and night stands."""
    first: dict[tuple[int, int], Observation] = {}
    for one in observations:
        first.setdefault(one.key, one)
    there, listed = (
        _find_existing_keys(connection, first),
        _lock_existing_accounts(connection, {account for _, account in first}),
    )
    new = [
        replace(one, observed_at=to_utc(one.observed_at))
        for at, one in sorted(first.items())
        if at not in there and one.account_id in listed
    ]
    told = {one.key: _prepare_for_comparison(one) for one in new if one.result_id is None}
    meant = {at: (one.account_id, hash_comparison_key(text)) for at, (one, text) in told.items()}
    looks = _store_results(database, connection, {meant[at]: told[at][0] for at in reversed(told)})
    before = _load_repeated_results(
        connection, {one.result_id for one in new if one.result_id is not None}
    )
    rows = [
        _build_repeat_values(one, before[one.result_id])
        if one.result_id is not None
        else _build_row_values(told[one.key][0], *looks[meant[one.key]])
        for one in new
    ]
    return database.insert_missing(connection, OBSERVATION, rows)


_SELECT_EQUAL_RESULT = select(
    PROBE_RESULT.c.id,
    PROBE_RESULT.c.observed_at,
    type_coerce(PROBE_RESULT.c.evidence, Text).label("evidence"),
).where(
    PROBE_RESULT.c.account_id == bindparam("account"),
    PROBE_RESULT.c.fingerprint == bindparam("fingerprint"),
)
"""Made once, and nothing is made of the evidence: a night asks it of each account of a platform."""


def find_equal_result(
    connection: Connection, observation: Observation
) -> PreviousObservation | None:
    """The look at the same account that says the same as this one."""
    asked = {
        "account": observation.account_id,
        "fingerprint": hash_comparison_key(_prepare_for_comparison(observation)[1]),
    }
    row = connection.execute(_SELECT_EQUAL_RESULT, asked).one_or_none()
    if row is None:
        return None
    digests = (piece.get("digest") for piece in json.loads(row.evidence))
    return PreviousObservation(row.id, row.observed_at, tuple(filter(None, digests)))


def _lock_existing_accounts(connection: Connection, account_ids: Collection[int]) -> set[int]:
    """Those of the accounts that are still there, until the commit: others were pruned during the night."""
    query = select(ACCOUNT.c.id).with_for_update(read=True, key_share=True)
    return {
        row.id
        for some in split_into_batches(account_ids)
        for row in connection.execute(query.where(ACCOUNT.c.id.in_(some)))
    }


def _prepare_for_comparison(observation: Observation) -> tuple[Observation, bytes]:
    """An observation fit to be compared, and what it says: it is cleaned whole only where it has to be.

    What is told of the headers' values is not looked at: it is cleaned with the look that keeps them.
    """
    with suppress(ValueError):
        text = build_comparison_key(observation)
        if _is_clean(observation, text):
            return observation, text
    cleaned = sanitize(observation)
    return cleaned, build_comparison_key(cleaned)


UNSAFE_JSON_ESCAPES = (b"\\u00", b"\\b", b"\\f")
"""How JSON writes what is cleaned away; so it writes a backslash before such a letter, too."""


def _is_clean(observation: Observation, comparison_key: bytes) -> bool:
    """Whether nothing in what is said would be cleaned: JSON has numbers for what is not printed so."""
    seen, facts = observation.finding.last_activity, observation.finding.facts.values()
    dated = seen is None or seen.published_at.utcoffset() == timedelta(0)
    finite = all(math.isfinite(fact) for fact in facts if isinstance(fact, float))
    return (
        dated
        and finite
        and not any(mark in comparison_key for mark in UNSAFE_JSON_ESCAPES)
        and comparison_key.decode().isprintable()
    )


def _find_existing_keys(
    connection: Connection, keys: Collection[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Those nights and accounts of which there is an observation."""
    key = (OBSERVATION.c.run_id, OBSERVATION.c.account_id)
    return {
        (row.run_id, row.account_id)
        for some in split_into_batches(keys)
        for row in connection.execute(select(*key).where(tuple_(*key).in_(some)))
    }


def _store_results(
    database: Database, connection: Connection, observations: Mapping[ResultKey, Observation]
) -> dict[ResultKey, tuple[int, bool]]:
    """For each of these the id of its look, and whether that was made of it: it is, where there was none.

    And where its evidence is fleeting, for then its own page is to be kept: the old look is repeated no more.
    A batch is of one night, so none of it repeats another.
    """
    there = _find_results(connection, observations)
    anew = {at for at in there if has_volatile_evidence(observations[at])}
    _retire_results(connection, [there[at].id for at in anew])
    missing = {at: one for at, one in observations.items() if at not in there or at in anew}
    database.insert_missing(
        connection,
        PROBE_RESULT,
        [_build_result_values(at, sanitize(one)) for at, one in sorted(missing.items())],
    )
    made = _find_results(connection, missing)
    return {
        at: (row.id, row.observed_at == observations[at].observed_at)
        for at, row in (there | made).items()
    }


def _retire_results(connection: Connection, result_ids: Sequence[int]) -> None:
    """Let looks be repeated no more."""
    for some in split_into_batches(result_ids):
        connection.execute(
            update(PROBE_RESULT).where(PROBE_RESULT.c.id.in_(some)).values(fingerprint=None)
        )


def _find_results(connection: Connection, keys: Collection[ResultKey]) -> dict[ResultKey, Any]:
    key = (PROBE_RESULT.c.account_id, PROBE_RESULT.c.fingerprint)
    return {
        (row.account_id, row.fingerprint): row
        for some in split_into_batches(keys)
        for row in connection.execute(
            select(PROBE_RESULT.c.id, PROBE_RESULT.c.observed_at, *key).where(
                tuple_(*key).in_(some)
            )
        )
    }


def _load_repeated_results(connection: Connection, result_ids: Collection[int]) -> dict[int, Any]:
    """Whose the looks are that are repeated, and what they found."""
    columns = (PROBE_RESULT.c.id, PROBE_RESULT.c.account_id, PROBE_RESULT.c.presence)
    return {
        row.id: row
        for some in split_into_batches(result_ids)
        for row in connection.execute(select(*columns).where(PROBE_RESULT.c.id.in_(some)))
    }


def load_results(
    connection: Connection, result_ids: Collection[int], *, include_evidence: bool
) -> dict[int, Observation]:
    """Looks as they were first seen, of no night; their evidence only where it is wanted."""
    columns = [
        column
        for column in PROBE_RESULT.c
        if include_evidence or column is not PROBE_RESULT.c.evidence
    ]
    rows = connection.execute(select(*columns).where(PROBE_RESULT.c.id.in_(result_ids))).all()
    return {
        row.id: Observation(
            row.account_id,
            0,
            row.observed_at,
            row.finding,
            row.evidence if include_evidence else (),
            result_id=row.id,
            first_observed_at=row.observed_at,
        )
        for row in rows
    }


def _build_result_values(key: ResultKey, observation: Observation) -> dict[str, Any]:
    return {
        "account_id": observation.account_id,
        "observed_at": observation.observed_at,
        "presence": observation.finding.presence.value,
        "fingerprint": key[1],
        "finding": observation.finding,
        "evidence": observation.evidence,
    }


def _build_repeat_values(observation: Observation, result: Any) -> dict[str, Any]:
    """The row of an observation that says "as before". Raises ValueError: it repeats another account's."""
    if result.account_id != observation.account_id:
        raise ValueError(
            f"account {observation.account_id} repeats a look at account {result.account_id}"
        )
    return _build_observation_values(
        observation, result.id, Presence(result.presence), observation.per_run_values
    )


def _build_row_values(
    observation: Observation, result_id: int, is_new_result: bool
) -> dict[str, Any]:  # unpacked
    return _build_observation_values(
        observation,
        result_id,
        observation.finding.presence,
        None if is_new_result else build_per_run_values(observation),
    )


def _build_observation_values(
    observation: Observation, result_id: int, presence: Presence, per_run_values: str | None
) -> dict[str, Any]:
    return {
        "run_id": observation.run_id,
        "account_id": observation.account_id,
        "observed_at": observation.observed_at,
        "result_id": result_id,
        "presence": PRESENCE_CODES[presence],
        "probe_version": observation.probe_version,
        "per_run_values": per_run_values,
    }


def delete_observations(connection: Connection, account_ids: Iterable[int]) -> None:
    """Remove every observation of these accounts, which are about to go themselves with all their looks."""
    for some in split_into_batches(account_ids):
        connection.execute(
            delete(OBSERVATION).where(IN_ANY_RUN, OBSERVATION.c.account_id.in_(some))
        )


PER_RUN_FACTS = ("seconds", "certificate_days")
"""The facts that may differ each night, though nothing has changed; the days were one until 2026-12."""

FINGERPRINT_BYTES = 12
"""Bytes of a digest that tells the looks at one account apart."""

VALUE_SEPARATOR = "/"
MICROSECOND = timedelta(microseconds=1)

_FINDING_ADAPTER = TypeAdapter(Finding)
_EVIDENCE_FIELDS = [
    one for one in fields(Evidence) if one.name not in {"headers", "elapsed_seconds", "fetched_at"}
]
_EVIDENCE_FIELD_NAMES = [one.name for one in _EVIDENCE_FIELDS]
_EVIDENCE_DEFAULTS = [one.default for one in _EVIDENCE_FIELDS]
_get_evidence_values = attrgetter(*_EVIDENCE_FIELD_NAMES)


def compute_fingerprint(observation: Observation) -> str:
    """A digest of what a look says, the same for looks that say the same."""
    return hash_comparison_key(build_comparison_key(observation))


def hash_comparison_key(comparison_key: bytes) -> str:
    """The digest of what a look says."""
    return blake2b(comparison_key, digest_size=FINGERPRINT_BYTES).hexdigest()


def build_comparison_key(observation: Observation) -> bytes:
    """All that a look says, the same for looks that say the same. Raises ValueError: no JSON can say it."""
    finding = observation.finding
    facts = {**finding.facts, **dict.fromkeys(_list_per_run_facts(finding), 0)}
    shown = [facts, *map(_build_evidence_key, observation.evidence)]
    if has_volatile_evidence(observation):
        finding = replace(finding, last_activity=_round_relative_activity(finding.last_activity))
        shown.append(
            {"probe_version": observation.probe_version, "units_ago": _count_units_ago(observation)}
        )
    text = json.dumps(shown, default=str, ensure_ascii=False, sort_keys=True).encode()
    return _FINDING_ADAPTER.dump_json(finding, exclude_defaults=True, exclude={"facts"}) + text


def has_volatile_evidence(observation: Observation) -> bool:
    """Whether it rests on what was written anew for us."""
    return any(piece.is_volatile for piece in observation.evidence)


def _build_evidence_key(evidence: Evidence) -> dict[str, Any]:
    """What a piece of evidence says: without its defaults, so that a new field changes no old meaning."""
    told: dict[str, Any] = {
        name: value
        for name, value, usual in zip(
            _EVIDENCE_FIELD_NAMES, _get_evidence_values(evidence), _EVIDENCE_DEFAULTS, strict=True
        )
        if value != usual and not (evidence.is_volatile and name in _VOLATILE_EVIDENCE_FIELDS)
    }
    headers = evidence.headers.items()
    told["headers"] = {
        name: value if name in COMPARED_HEADERS else ""
        for name, value in headers
        if not evidence.is_volatile or name in _COMPARED_HEADERS
    }
    told["fetched_at"] = evidence.fetched_at is not None
    return told


_COMPARED_HEADERS = COMPARED_HEADERS | PRESENCE_ONLY_HEADERS

_VOLATILE_EVIDENCE_FIELDS = frozenset(
    {"digest", "received_digest", "truncated", "certificate_expires"}
)
"""What of fleeting evidence has no meaning: its bytes, and whose of a platform's many servers answered."""

_DAYS_BY_PRECISION = {
    DatePrecision.WEEK: 7.0,
    DatePrecision.MONTH: 30.44,
    DatePrecision.YEAR: 365.25,
}
"""Days in what a publication is counted back by. By days it is told to the day, and needs no count."""


def _round_relative_activity(activity: Activity | None) -> Activity | None:
    """A publication that was counted back, by the beginning of what it was counted in."""
    if activity is None or not activity.is_relative:
        return activity
    day = activity.published_at.replace(hour=0, minute=0, second=0, microsecond=0)
    match activity.precision:
        case DatePrecision.WEEK:
            day -= timedelta(days=day.weekday())
        case DatePrecision.MONTH:
            day = day.replace(day=1)
        case DatePrecision.YEAR:
            day = day.replace(month=1, day=1)
    return replace(activity, published_at=day)


def _count_units_ago(observation: Observation) -> int | None:
    """How many weeks, months or years were counted back."""
    told = observation.finding.last_activity
    if told is None or not told.is_relative or told.precision not in _DAYS_BY_PRECISION:
        return None
    return round(
        (observation.observed_at.date() - told.published_at.date()).days
        / _DAYS_BY_PRECISION[told.precision]
    )


def build_per_run_values(observation: Observation) -> str:
    """What of a look is no part of its meaning.

    That is, for each page, the microseconds from it to the look, and its seconds; then the facts that differ
    each night, in their order.
    """
    when = observation.observed_at
    pages = ((piece.fetched_at, piece.elapsed_seconds) for piece in observation.evidence)
    came = " ".join(
        f"{(when - at) // MICROSECOND} {seconds!r}" for at, seconds in pages if at is not None
    )
    return VALUE_SEPARATOR.join(
        [
            came,
            *(
                repr(observation.finding.facts[name])
                for name in _list_per_run_facts(observation.finding)
            ),
        ]
    )


def restore_observation(
    result: Observation, observed_at: datetime, per_run_values: str | None
) -> Observation:
    """A look as it was at another moment, by the `times` of then; with its evidence, if it has it.

    Where there are none, all that came was the word that everything is as before: its pages are dated as far
    apart as they were. Whoever repeats this one tells its times again only where a fact is another.
    """
    if per_run_values is None:
        return (
            result if result.observed_at == observed_at else _shift_observation(result, observed_at)
        )
    came, *facts = per_run_values.split(VALUE_SEPARATOR)
    before = result.finding.facts
    named = {
        **before,
        **dict(zip(_list_per_run_facts(result.finding), map(_parse_number, facts), strict=True)),
    }
    finding = _replace_facts(result.finding, named) if facts else result.finding
    left = VALUE_SEPARATOR.join(["", *facts]) if named != before else None
    if (
        result.evidence and not came
    ):  # it only repeats a night with other facts: it has no page of its own
        return replace(
            _shift_observation(result, observed_at), finding=finding, per_run_values=left
        )
    waiting = iter(came.split())
    pages = tuple(
        piece if piece.fetched_at is None else _apply_timing(piece, observed_at, waiting)
        for piece in result.evidence
    )
    return replace(
        result, observed_at=observed_at, finding=finding, evidence=pages, per_run_values=left
    )


def duplicate_of(observation: Observation, previous: PreviousObservation) -> Observation:
    """A look as it is kept where an earlier one says the same: as that, with its own moment and facts."""
    own = [
        repr(observation.finding.facts[name]) for name in _list_per_run_facts(observation.finding)
    ]
    return replace(
        observation,
        evidence=(),
        result_id=previous.result_id,
        per_run_values=VALUE_SEPARATOR.join(["", *own]) if own else None,
    )


def merge_per_run_facts(stored_finding: Finding, current_finding: Finding) -> Finding:
    """What is found in pages of an earlier night, with the facts that differ each night as this one told."""
    own = {
        name: current_finding.facts[name]
        for name in _list_per_run_facts(stored_finding)
        if name in current_finding.facts
    }
    return _replace_facts(stored_finding, {**stored_finding.facts, **own})


def _list_per_run_facts(finding: Finding) -> list[str]:
    facts = finding.facts
    return [name for name in PER_RUN_FACTS if type(facts.get(name)) in (int, float)]


def _parse_number(text: str) -> FactValue:
    return float(text) if "." in text or "e" in text else int(text)


def _replace_facts(finding: Finding, facts: Mapping[str, FactValue]) -> Finding:
    return replace(finding, facts=facts)


def _apply_timing(evidence: Evidence, observed_at: datetime, timings: Iterator[str]) -> Evidence:
    came = observed_at - int(next(timings)) * MICROSECOND
    return replace(evidence, fetched_at=came, elapsed_seconds=float(next(timings)))


def _shift_observation(observation: Observation, observed_at: datetime) -> Observation:
    """A look that was repeated at a moment, its pages dated as far from it as they came."""
    later = observed_at - observation.observed_at
    return replace(
        observation,
        observed_at=observed_at,
        evidence=shift_evidence_dates(observation.evidence, later),
        is_repeat=True,
    )


def shift_evidence_dates(evidence: Iterable[Evidence], offset: timedelta) -> tuple[Evidence, ...]:
    """The same evidence, its pages dated so much later."""
    return tuple(
        piece if piece.fetched_at is None else replace(piece, fetched_at=piece.fetched_at + offset)
        for piece in evidence
    )
