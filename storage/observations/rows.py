"""Stores observations as narrow rows, and each distinct probe result once.

An observation repeats an earlier result if its finding and its evidence are equal, except for what
differs in every run: when a page was fetched and how long it took, and the values of headers that
no probe reads (`date`, request ids, caches). For such a header only its existence counts; the value
of the first observation is stored. Everything else that differs is stored in the row as a short
text, `per_run_values`: the times and durations of its pages, and the facts computed from them.

Platforms generate every response again. For volatile evidence only the request and the status
count, not the bytes. A publication date that was counted back ("6 months ago") is compared by its
words and by the week, month or year it falls in, and the result by the version of its probe,
because another version may find more in pages that are not stored. A caller that knows that a
result is equal says so (`build_duplicate`). An observation that is recorded with its own evidence
gets a new result.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from operator import attrgetter, itemgetter
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Text, bindparam, delete, select, tuple_, type_coerce, update

from probes.models.finding import Activity, DatePrecision, FactValue, Finding, Presence
from probes.models.http import COMPARED_HEADERS, PRESENCE_ONLY_HEADERS, parse_body_url
from storage.database.connection import Database
from storage.files.spool import split_into_batches
from storage.models.audit import Evidence, Observation, PreviousObservation
from storage.sanitize import sanitize, to_utc
from storage.tables.core import ACCOUNT, AUDIT_RUN
from storage.tables.runs import OBSERVATION, PROBE_RESULT

PRESENCE_BY_CODE = (Presence.UNKNOWN, Presence.ABSENT, Presence.PRESENT)
"""The code of a presence in a row is its position here. It must never change."""

PRESENCE_CODES = {presence: code for code, presence in enumerate(PRESENCE_BY_CODE)}

ResultKey = tuple[int, str]
"""The id of an account and the fingerprint of a result."""

IN_ANY_RUN = OBSERVATION.c.run_id.in_(select(AUDIT_RUN.c.id))
"""Rows are sorted by run and account, so a query by account has to name all runs."""


def insert_observations(
    database: Database, connection: Connection, observations: Iterable[Observation]
) -> int:
    """Store observations. Return how many were new: the first of an account in a run is kept."""
    first: dict[tuple[int, int], Observation] = {}
    for observation in observations:
        first.setdefault(observation.key, observation)
    existing_keys = _find_existing_keys(connection, first)
    existing_accounts = _lock_existing_accounts(connection, {account for _, account in first})
    new = [
        replace(observation, observed_at=to_utc(observation.observed_at))
        for key, observation in sorted(first.items())
        if key not in existing_keys and observation.account_id in existing_accounts
    ]
    repeats = [observation for observation in new if observation.result_id is not None]
    others = [observation for observation in new if observation.result_id is None]
    rows = _build_repeat_rows(connection, repeats)
    rows += _build_result_rows(database, connection, others)
    rows.sort(key=itemgetter("run_id", "account_id"))
    return database.insert_missing(connection, OBSERVATION, rows)


def _build_repeat_rows(
    connection: Connection, observations: Sequence[Observation]
) -> list[dict[str, Any]]:
    """Return the rows of observations that name the result that they repeat."""
    ids = {item.result_id for item in observations if item.result_id is not None}
    results = _load_repeated_results(connection, ids)
    return [
        _build_repeat_values(observation, results[observation.result_id])
        for observation in observations
        if observation.result_id is not None
    ]


def _build_result_rows(
    database: Database, connection: Connection, observations: Sequence[Observation]
) -> list[dict[str, Any]]:
    """Store the results of observations, and return the rows that refer to them."""
    prepared: dict[ResultKey, Observation] = {}
    keyed: list[tuple[ResultKey, Observation]] = []
    for observation in observations:
        cleaned, comparison_key = _prepare_for_comparison(observation)
        result_key = (cleaned.account_id, hash_comparison_key(comparison_key))
        prepared.setdefault(result_key, cleaned)
        keyed.append((result_key, cleaned))
    results = _store_results(database, connection, prepared)
    return [_build_row_values(cleaned, *results[result_key]) for result_key, cleaned in keyed]


_SELECT_EQUAL_RESULT = select(
    PROBE_RESULT.c.id,
    PROBE_RESULT.c.observed_at,
    type_coerce(PROBE_RESULT.c.evidence, Text).label("evidence"),
).where(
    PROBE_RESULT.c.account_id == bindparam("account"),
    PROBE_RESULT.c.fingerprint == bindparam("fingerprint"),
)
"""Built once, and the evidence is read as text, because a run executes it for many accounts."""


def find_equal_result(
    connection: Connection, observation: Observation
) -> PreviousObservation | None:
    """Return the result of the account that equals this observation, or None."""
    parameters = {
        "account": observation.account_id,
        "fingerprint": hash_comparison_key(_prepare_for_comparison(observation)[1]),
    }
    row = connection.execute(_SELECT_EQUAL_RESULT, parameters).one_or_none()
    if row is None:
        return None
    digests = (piece.get("digest") for piece in json.loads(row.evidence))
    return PreviousObservation(row.id, row.observed_at, tuple(filter(None, digests)))


def _lock_existing_accounts(connection: Connection, account_ids: Collection[int]) -> set[int]:
    """Return those of the accounts that still exist, and lock them until the commit.

    The others were pruned during the run.
    """
    query = select(ACCOUNT.c.id).with_for_update(read=True, key_share=True)
    existing: set[int] = set()
    for batch in split_into_batches(account_ids):
        existing.update(connection.execute(query.where(ACCOUNT.c.id.in_(batch))).scalars())
    return existing


def _prepare_for_comparison(observation: Observation) -> tuple[Observation, bytes]:
    """Return a sanitized observation and its comparison key.

    It is sanitized only if its comparison key needs it. Header values are sanitized when the result
    is stored.
    """
    with suppress(ValueError):
        comparison_key = build_comparison_key(observation)
        if _is_clean(observation, comparison_key):
            return observation, comparison_key
    cleaned = sanitize(observation)
    return cleaned, build_comparison_key(cleaned)


UNSAFE_JSON_ESCAPES = (b"\\u00", b"\\b", b"\\f")
"""JSON escapes of characters that are removed. An escaped backslash can look the same."""


def _is_clean(observation: Observation, comparison_key: bytes) -> bool:
    """Return whether sanitizing would change nothing that the comparison key contains."""
    activity = observation.finding.last_activity
    if activity is not None and activity.published_at.utcoffset() != timedelta(0):
        return False
    facts = observation.finding.facts.values()
    if not all(math.isfinite(fact) for fact in facts if isinstance(fact, float)):
        return False
    if any(escape in comparison_key for escape in UNSAFE_JSON_ESCAPES):
        return False
    return comparison_key.decode().isprintable()


def _find_existing_keys(
    connection: Connection, keys: Collection[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Return those of these runs and accounts that have an observation."""
    key = (OBSERVATION.c.run_id, OBSERVATION.c.account_id)
    existing: set[tuple[int, int]] = set()
    for batch in split_into_batches(keys):
        rows = connection.execute(select(*key).where(tuple_(*key).in_(batch)))
        existing.update((row.run_id, row.account_id) for row in rows)
    return existing


def _store_results(
    database: Database, connection: Connection, observations: Mapping[ResultKey, Observation]
) -> dict[ResultKey, tuple[int, bool]]:
    """Store the results that do not exist yet. Return the id of each, and whether it is new.

    If the evidence is volatile, a new result is stored too, so that its own page is kept. The old
    result is then retired.
    """
    stored = _find_results(connection, observations)
    replaced = {key for key in stored if has_volatile_evidence(observations[key])}
    _retire_results(connection, [stored[key].id for key in replaced])
    new_keys = sorted(key for key in observations if key not in stored or key in replaced)
    rows = [_build_result_values(key, sanitize(observations[key])) for key in new_keys]
    database.insert_missing(connection, PROBE_RESULT, rows)
    stored |= _find_results(connection, new_keys)
    return {
        key: (row.id, row.observed_at == observations[key].observed_at)
        for key, row in stored.items()
    }


def _retire_results(connection: Connection, result_ids: Sequence[int]) -> None:
    """Remove the fingerprints of results, so that no later observation repeats them."""
    for batch in split_into_batches(result_ids):
        change = update(PROBE_RESULT).where(PROBE_RESULT.c.id.in_(batch))
        connection.execute(change.values(fingerprint=None))


def _find_results(connection: Connection, keys: Collection[ResultKey]) -> dict[ResultKey, Any]:
    key = (PROBE_RESULT.c.account_id, PROBE_RESULT.c.fingerprint)
    query = select(PROBE_RESULT.c.id, PROBE_RESULT.c.observed_at, *key)
    results: dict[ResultKey, Any] = {}
    for batch in split_into_batches(keys):
        for row in connection.execute(query.where(tuple_(*key).in_(batch))):
            results[row.account_id, row.fingerprint] = row
    return results


def _load_repeated_results(connection: Connection, result_ids: Collection[int]) -> dict[int, Any]:
    """Return the account and presence of results by their ids."""
    query = select(PROBE_RESULT.c.id, PROBE_RESULT.c.account_id, PROBE_RESULT.c.presence)
    results: dict[int, Any] = {}
    for batch in split_into_batches(result_ids):
        for row in connection.execute(query.where(PROBE_RESULT.c.id.in_(batch))):
            results[row.id] = row
    return results


def load_results(
    connection: Connection, result_ids: Collection[int], *, include_evidence: bool
) -> dict[int, Observation]:
    """Return results as they were first observed, with run id 0, by their ids."""
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
        "suspicious_body": _find_suspicious_body(observation.evidence),
    }


def _find_suspicious_body(evidence: Iterable[Evidence]) -> str | None:
    """Return the digest of the first body that the probe asked about, or None."""
    digests = (parse_body_url(piece.url) for piece in evidence)
    return next(filter(None, digests), None)


def _build_repeat_values(observation: Observation, result: Any) -> dict[str, Any]:
    """Return the row of an observation that repeats a result.

    Raises ValueError if the result is of another account.
    """
    if result.account_id != observation.account_id:
        raise ValueError(
            f"account {observation.account_id} cannot repeat a result of {result.account_id}"
        )
    return _build_observation_values(
        observation, result.id, Presence(result.presence), observation.per_run_values
    )


def _build_row_values(
    observation: Observation, result_id: int, is_new_result: bool
) -> dict[str, Any]:
    per_run_values = None if is_new_result else build_per_run_values(observation)
    return _build_observation_values(
        observation, result_id, observation.finding.presence, per_run_values
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
    """Delete the observations of accounts that are about to be deleted with their results."""
    for batch in split_into_batches(account_ids):
        connection.execute(
            delete(OBSERVATION).where(IN_ANY_RUN, OBSERVATION.c.account_id.in_(batch))
        )


PER_RUN_FACTS = ("seconds", "certificate_days")
"""Facts that may differ in every run although nothing changed."""

FINGERPRINT_BYTES = 12
"""Bytes of a fingerprint, which distinguishes the results of one account."""

VALUE_SEPARATOR = "/"
MICROSECOND = timedelta(microseconds=1)

_FINDING_ADAPTER = TypeAdapter(Finding)
_SEPARATE_FIELDS = {"headers", "elapsed_seconds", "fetched_at"}
_EVIDENCE_FIELDS = [field for field in fields(Evidence) if field.name not in _SEPARATE_FIELDS]
_EVIDENCE_FIELD_NAMES = [field.name for field in _EVIDENCE_FIELDS]
_EVIDENCE_DEFAULTS = [field.default for field in _EVIDENCE_FIELDS]
_get_evidence_values = attrgetter(*_EVIDENCE_FIELD_NAMES)


def compute_fingerprint(observation: Observation) -> str:
    """Return the fingerprint of an observation's result. Equal results have equal fingerprints."""
    return hash_comparison_key(build_comparison_key(observation))


def hash_comparison_key(comparison_key: bytes) -> str:
    """Return the fingerprint of a comparison key."""
    return blake2b(comparison_key, digest_size=FINGERPRINT_BYTES).hexdigest()


def build_comparison_key(observation: Observation) -> bytes:
    """Return everything by which results are compared. Raises ValueError if JSON cannot hold it."""
    finding = observation.finding
    facts = {**finding.facts, **dict.fromkeys(_list_per_run_facts(finding), 0)}
    parts: list[Any] = [facts, *map(_build_evidence_key, observation.evidence)]
    if has_volatile_evidence(observation):
        finding = replace(finding, last_activity=_round_relative_activity(finding.last_activity))
        parts.append(
            {"probe_version": observation.probe_version, "units_ago": _count_units_ago(observation)}
        )
    text = json.dumps(parts, default=str, ensure_ascii=False, sort_keys=True).encode()
    return _FINDING_ADAPTER.dump_json(finding, exclude_defaults=True, exclude={"facts"}) + text


def has_volatile_evidence(observation: Observation) -> bool:
    """Return whether any evidence is volatile."""
    return any(piece.is_volatile for piece in observation.evidence)


def _build_evidence_key(evidence: Evidence) -> dict[str, Any]:
    """Return the compared part of an evidence.

    Defaults are left out, so that a new field does not change old fingerprints.
    """
    ignored = _VOLATILE_EVIDENCE_FIELDS if evidence.is_volatile else frozenset[str]()
    compared: dict[str, Any] = {
        name: value
        for name, value, default in zip(
            _EVIDENCE_FIELD_NAMES, _get_evidence_values(evidence), _EVIDENCE_DEFAULTS, strict=True
        )
        if value != default and name not in ignored
    }
    compared["headers"] = {
        name: value if name in COMPARED_HEADERS else ""
        for name, value in evidence.headers.items()
        if not evidence.is_volatile or name in _VOLATILE_COMPARED_HEADERS
    }
    compared["fetched_at"] = evidence.fetched_at is not None
    return compared


_VOLATILE_COMPARED_HEADERS = COMPARED_HEADERS | PRESENCE_ONLY_HEADERS

_VOLATILE_EVIDENCE_FIELDS = frozenset(
    {"digest", "received_digest", "truncated", "certificate_expires", "certificate_names"}
)
"""Fields of volatile evidence that are not compared: its bytes, and the server's certificate."""

_DAYS_BY_PRECISION = {
    DatePrecision.WEEK: 7.0,
    DatePrecision.MONTH: 30.44,
    DatePrecision.YEAR: 365.25,
}
"""Days of the units in which a publication date is counted back. Dates in days need no count."""


def _round_relative_activity(activity: Activity | None) -> Activity | None:
    """Return a counted-back activity with the start of its week, month or year."""
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
    """Return how many weeks, months or years were counted back, or None."""
    activity = observation.finding.last_activity
    if activity is None or not activity.is_relative:
        return None
    if activity.precision not in _DAYS_BY_PRECISION:
        return None
    age = observation.observed_at.date() - activity.published_at.date()
    return round(age.days / _DAYS_BY_PRECISION[activity.precision])


def build_per_run_values(observation: Observation) -> str:
    """Return the values of an observation that are not compared, as text.

    For each page these are the microseconds between it and the observation, and its duration in
    seconds. Then come the facts that differ in every run, in their order.
    """
    timings = []
    for piece in observation.evidence:
        if piece.fetched_at is not None:
            age = (observation.observed_at - piece.fetched_at) // MICROSECOND
            timings.append(f"{age} {piece.elapsed_seconds!r}")
    finding = observation.finding
    facts = [repr(finding.facts[name]) for name in _list_per_run_facts(finding)]
    return VALUE_SEPARATOR.join([" ".join(timings), *facts])


def restore_observation(
    result: Observation, observed_at: datetime, per_run_values: str | None
) -> Observation:
    """Return the observation of a result at another time, with its `per_run_values`.

    Without values the observation only repeats the result: the ages of its pages stay the same. In
    the returned observation `per_run_values` is set only if a fact differs, for an observation that
    repeats this one.
    """
    if per_run_values is None:
        if result.observed_at == observed_at:
            return result
        return _shift_observation(result, observed_at)
    timings, *fact_texts = per_run_values.split(VALUE_SEPARATOR)
    fact_names = _list_per_run_facts(result.finding)
    facts = dict(result.finding.facts)
    facts.update(zip(fact_names, map(_parse_number, fact_texts), strict=True))
    finding = _replace_facts(result.finding, facts) if fact_texts else result.finding
    has_other_facts = facts != result.finding.facts
    own_values = VALUE_SEPARATOR.join(["", *fact_texts]) if has_other_facts else None
    if result.evidence and not timings:  # it repeats the result with other facts, without a page
        shifted = _shift_observation(result, observed_at)
        return replace(shifted, finding=finding, per_run_values=own_values)
    remaining = iter(timings.split())
    evidence = tuple(
        piece if piece.fetched_at is None else _apply_timing(piece, observed_at, remaining)
        for piece in result.evidence
    )
    return replace(
        result,
        observed_at=observed_at,
        finding=finding,
        evidence=evidence,
        per_run_values=own_values,
    )


def build_duplicate(observation: Observation, previous: PreviousObservation) -> Observation:
    """Return an observation that repeats an equal earlier result, with its own time and facts."""
    finding = observation.finding
    facts = [repr(finding.facts[name]) for name in _list_per_run_facts(finding)]
    return replace(
        observation,
        evidence=(),
        result_id=previous.result_id,
        per_run_values=VALUE_SEPARATOR.join(["", *facts]) if facts else None,
    )


def merge_per_run_facts(stored_finding: Finding, current_finding: Finding) -> Finding:
    """Return the finding of stored pages with the per-run facts of the current finding."""
    current_facts = {
        name: current_finding.facts[name]
        for name in _list_per_run_facts(stored_finding)
        if name in current_finding.facts
    }
    return _replace_facts(stored_finding, {**stored_finding.facts, **current_facts})


def _list_per_run_facts(finding: Finding) -> list[str]:
    facts = finding.facts
    return [name for name in PER_RUN_FACTS if type(facts.get(name)) in (int, float)]


def _parse_number(text: str) -> FactValue:
    return float(text) if "." in text or "e" in text else int(text)


def _replace_facts(finding: Finding, facts: Mapping[str, FactValue]) -> Finding:
    return replace(finding, facts=facts)


def _apply_timing(evidence: Evidence, observed_at: datetime, timings: Iterator[str]) -> Evidence:
    fetched_at = observed_at - int(next(timings)) * MICROSECOND
    return replace(evidence, fetched_at=fetched_at, elapsed_seconds=float(next(timings)))


def _shift_observation(observation: Observation, observed_at: datetime) -> Observation:
    """Return the observation at another time, with its pages as old as they were."""
    offset = observed_at - observation.observed_at
    return replace(
        observation,
        observed_at=observed_at,
        evidence=shift_evidence_dates(observation.evidence, offset),
        is_repeat=True,
    )


def shift_evidence_dates(evidence: Iterable[Evidence], offset: timedelta) -> tuple[Evidence, ...]:
    """Return the evidence with its dates moved by an offset."""
    return tuple(
        piece if piece.fetched_at is None else replace(piece, fetched_at=piece.fetched_at + offset)
        for piece in evidence
    )
