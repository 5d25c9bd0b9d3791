"""Compares probe results by fingerprints, so that an equal result is stored once.

Two results of an account are equal if their findings and their evidence are, except for what may
differ in every run: the bytes of a page, when it was fetched, how long it took, and headers that no
probe reads. A publication date that was counted back ("6 months ago") is compared by its words and
by the week, month or year it falls in, and the result by the version of its probe, because another
version may find more in pages that are not stored. See docs/decisions/0047.
"""

import json
from contextlib import suppress
from dataclasses import fields, replace
from datetime import timedelta
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from pydantic import TypeAdapter

from probes.models.finding import Activity, DatePrecision, Finding
from probes.models.http import COMPARED_HEADERS, READ_HEADERS
from storage.models.audit import Evidence, Observation
from storage.sanitize import is_storable, sanitize

RESPONSE_SECONDS_FACT = "seconds"
"""The fact that may differ in every run although nothing changed. It has its own column."""

MAX_RESPONSE_SECONDS = 86_400
"""A larger number is not the duration of a response, and is compared like any other fact."""

FINGERPRINT_BYTES = 12
"""Bytes of a fingerprint, which distinguishes the results of one account."""

UNSAFE_JSON_ESCAPES = (b"\\u00", b"\\b", b"\\f")
"""JSON escapes of characters that are removed. An escaped backslash can look the same."""

_FINDING_ADAPTER = TypeAdapter(Finding)
_SEPARATE_FIELDS = {
    "headers",
    "elapsed_seconds",
    "fetched_at",
    "digest",
    "received_digest",
    "truncated",
    "is_cut",
}
_EVIDENCE_FIELDS = [field for field in fields(Evidence) if field.name not in _SEPARATE_FIELDS]
_EVIDENCE_FIELD_NAMES = list(map(attrgetter("name"), _EVIDENCE_FIELDS))
_EVIDENCE_DEFAULTS = list(map(attrgetter("default"), _EVIDENCE_FIELDS))
_get_evidence_values = attrgetter(*_EVIDENCE_FIELD_NAMES)

_CERTIFICATE_FIELDS = frozenset({"certificate_expires", "certificate_names"})
"""Fields of volatile evidence that are not compared: no probe reads a platform's certificate."""

_DAYS_BY_PRECISION = {
    DatePrecision.WEEK: 7.0,
    DatePrecision.MONTH: 30.44,
    DatePrecision.YEAR: 365.25,
}
"""Days of the units in which a publication date is counted back. Dates in days need no count."""


def compute_fingerprint(observation: Observation) -> str:
    """Return the fingerprint of an observation's result. Equal results have equal fingerprints."""
    return _hash_comparison_key(_build_comparison_key(observation))


def sanitize_and_fingerprint(observation: Observation) -> tuple[Observation, str]:
    """Return a sanitized observation and its fingerprint.

    It is sanitized only if its comparison key needs it. Header values are sanitized when the result
    is stored.
    """
    with suppress(ValueError):
        comparison_key = _build_comparison_key(observation)
        if _is_clean(observation, comparison_key):
            return observation, _hash_comparison_key(comparison_key)
    cleaned = sanitize(observation)
    return cleaned, compute_fingerprint(cleaned)


def get_response_seconds(finding: Finding) -> int | None:
    """Return how long the page of a finding took, or None if the finding has no such fact."""
    seconds = finding.facts.get(RESPONSE_SECONDS_FACT)
    if type(seconds) is int and 0 <= seconds <= MAX_RESPONSE_SECONDS:
        return seconds
    return None


def replace_response_seconds(finding: Finding, seconds: int | None) -> Finding:
    """Return a finding with another duration of its page. None leaves it as it is."""
    if seconds is None or get_response_seconds(finding) in (None, seconds):
        return finding
    return replace(finding, facts={**finding.facts, RESPONSE_SECONDS_FACT: seconds})


def _hash_comparison_key(comparison_key: bytes) -> str:
    return blake2b(comparison_key, digest_size=FINGERPRINT_BYTES).hexdigest()


def _build_comparison_key(observation: Observation) -> bytes:
    """Return everything by which results are compared. Raises ValueError if JSON cannot hold it."""
    finding = observation.finding
    facts = dict(finding.facts)
    if get_response_seconds(finding) is not None:
        facts[RESPONSE_SECONDS_FACT] = 0
    finding = replace(finding, last_activity=_round_relative_activity(finding.last_activity))
    parts: list[Any] = [facts, *map(_build_evidence_key, observation.evidence)]
    parts += [observation.probe_version, _count_units_ago(observation)]
    text = json.dumps(parts, default=str, ensure_ascii=False, sort_keys=True).encode()
    return _FINDING_ADAPTER.dump_json(finding, exclude_defaults=True, exclude={"facts"}) + text


def _is_clean(observation: Observation, comparison_key: bytes) -> bool:
    """Return True if sanitizing would change nothing that the comparison key contains."""
    activity = observation.finding.last_activity
    if activity is not None and activity.published_at.utcoffset() != timedelta(0):
        return False
    if not all(map(is_storable, observation.finding.facts.values())):
        return False
    if any(map(comparison_key.__contains__, UNSAFE_JSON_ESCAPES)):
        return False
    return comparison_key.decode().isprintable()


def _build_evidence_key(evidence: Evidence) -> dict[str, Any]:
    """Return the compared part of an evidence.

    Defaults are left out, so that a new field does not change old fingerprints.
    """
    compared: dict[str, Any] = {}
    values = _get_evidence_values(evidence)
    for name, value, default in zip(_EVIDENCE_FIELD_NAMES, values, _EVIDENCE_DEFAULTS, strict=True):
        is_ignored = evidence.is_volatile and name in _CERTIFICATE_FIELDS
        if value != default and not is_ignored:
            compared[name] = value
    compared["headers"] = {
        name: value if name in COMPARED_HEADERS else ""
        for name, value in evidence.headers.items()
        if name in READ_HEADERS
    }
    compared["fetched_at"] = evidence.fetched_at is not None
    return compared


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
