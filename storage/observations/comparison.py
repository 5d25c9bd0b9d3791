"""Compares probe results by fingerprints, so that an equal result is stored once.

Two results of an account are equal if their findings and their evidence are, except for what may
differ in every run: the bytes of a page, when it was fetched, how long it took, and headers that no
probe reads. A publication date that was counted back ("6 months ago") is compared by its words and
by the week, month or year it falls in, and the result by the version of its probe, because another
version may find more in pages that are not stored. See
docs/decisions/0025-observations-as-narrow-rows.md.
"""

import json
from dataclasses import fields, replace
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from pydantic import TypeAdapter

from probes.models.finding import Activity, DatePrecision, Finding
from probes.models.http import COMPARED_HEADERS, READ_HEADERS
from storage.models.audit import Evidence, Observation
from storage.sanitize import sanitize

RESPONSE_SECONDS_FACT = "seconds"
"""The fact that may differ in every run although nothing changed. It has its own column."""

MAX_RESPONSE_SECONDS = 86_400
"""A larger number is not the duration of a response, and is compared like any other fact."""


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
_COMPARED_FIELDS = [field for field in fields(Evidence) if field.name not in _SEPARATE_FIELDS]

_CERTIFICATE_FIELDS = frozenset({"certificate_expires", "certificate_names"})
"""Fields of volatile evidence that are not compared: no probe reads a platform's certificate."""

_DAYS_BY_PRECISION = {
    DatePrecision.WEEK: 7.0,
    DatePrecision.MONTH: 30.44,
    DatePrecision.YEAR: 365.25,
}
"""Days of the units in which a publication date is counted back. Dates in days need no count."""


def sanitize_and_fingerprint(observation: Observation) -> tuple[Observation, str]:
    """Return a sanitized observation and its fingerprint. Equal results have equal fingerprints."""
    cleaned = sanitize(observation)
    comparison_key = _build_comparison_key(cleaned)
    # bytes of a fingerprint, which distinguishes the results of one account
    return cleaned, blake2b(comparison_key, digest_size=12).hexdigest()


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


def _build_comparison_key(observation: Observation) -> bytes:
    """Return everything by which results are compared."""
    finding = observation.finding
    facts = dict(finding.facts)
    if get_response_seconds(finding) is not None:
        facts[RESPONSE_SECONDS_FACT] = 0
    finding = replace(finding, last_activity=_round_relative_activity(finding.last_activity))
    parts: list[Any] = [facts, *map(_build_evidence_key, observation.evidence)]
    parts += [observation.probe_version, _count_units_ago(observation)]
    text = json.dumps(parts, default=str, ensure_ascii=False, sort_keys=True).encode()
    return _FINDING_ADAPTER.dump_json(finding, exclude_defaults=True, exclude={"facts"}) + text


def _build_evidence_key(evidence: Evidence) -> dict[str, Any]:
    """Return the compared part of an evidence.

    Defaults are left out, so that a new field does not change old fingerprints.
    """
    compared: dict[str, Any] = {"fetched_at": evidence.fetched_at is not None}
    for field in _COMPARED_FIELDS:
        is_ignored = evidence.is_volatile and field.name in _CERTIFICATE_FIELDS
        value = getattr(evidence, field.name)
        if value != field.default and not is_ignored:
            compared[field.name] = value
    compared["headers"] = {
        name: value if name in COMPARED_HEADERS else ""
        for name, value in evidence.headers.items()
        if name in READ_HEADERS
    }
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
