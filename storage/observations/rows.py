"""Stores observations as narrow rows, and each distinct probe result once.

An observation that equals an earlier result of its account (`comparison.py`) refers to it. The row
has only what differs in every run: the time of the check and the duration of the page. A caller
that knows that a result is equal gives its id; the finding and evidence are then not read. An equal
result with other bodies is a new result, and the old one is no longer repeated.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    bindparam,
    delete,
    select,
    tuple_,
    type_coerce,
    update,
)

from probes.models.finding import Presence
from storage.database.connection import Database, split_into_batches
from storage.models.audit import Evidence, Observation
from storage.observations.comparison import (
    get_response_seconds,
    replace_response_seconds,
    sanitize_and_fingerprint,
)
from storage.sanitize import to_utc
from storage.tables.core import ACCOUNT, AUDIT_RUN
from storage.tables.runs import OBSERVATION, PROBE_RESULT

PRESENCE_BY_CODE = (Presence.UNKNOWN, Presence.ABSENT, Presence.PRESENT)
"""The code of a presence in a row is its position here. It must never change."""

PRESENCE_CODES = {presence: code for code, presence in enumerate(PRESENCE_BY_CODE)}

ResultKey = tuple[int, str]
"""The id of an account and the fingerprint of a result."""

IN_ANY_RUN = OBSERVATION.c.run_id.in_(select(AUDIT_RUN.c.id))
"""Rows are sorted by run and account, so a query by account has to name all runs."""

IS_OF_RUN = AUDIT_RUN.c.id == OBSERVATION.c.run_id
SELECT_OBSERVATIONS = select(OBSERVATION, AUDIT_RUN.c.started_at).join(AUDIT_RUN, IS_OF_RUN)
"""Selects the rows that `load_observations` reads."""


def insert_observations(
    database: Database, connection: Connection, observations: Iterable[Observation]
) -> int:
    """Store observations. Return how many were new: the first of an account in a run is kept."""
    first: dict[tuple[int, int], Observation] = {}
    for observation in observations:
        first.setdefault(observation.key, observation)
    key = (OBSERVATION.c.run_id, OBSERVATION.c.account_id)
    existing_keys = set(
        map(tuple, _select_in_batches(connection, select(*key), tuple_(*key), first))
    )
    # Others were pruned during the run. These are locked until the commit.
    query = select(ACCOUNT.c.id).with_for_update(read=True, key_share=True)
    rows = _select_in_batches(connection, query, ACCOUNT.c.id, set(map(itemgetter(1), first)))
    account_ids = set(map(attrgetter("id"), rows))
    query = select(AUDIT_RUN.c.id, AUDIT_RUN.c.started_at)
    rows = _select_in_batches(connection, query, AUDIT_RUN.c.id, set(map(itemgetter(0), first)))
    run_starts = {row.id: row.started_at for row in rows}
    prepared: dict[ResultKey, Observation] = {}
    keyed: list[tuple[ResultKey, Observation]] = []
    for key_of_row, observation in sorted(first.items()):
        if key_of_row in existing_keys or observation.account_id not in account_ids:
            continue
        cleaned, fingerprint = observation, ""
        if observation.result_id is None:
            cleaned, fingerprint = sanitize_and_fingerprint(observation)
            prepared.setdefault((cleaned.account_id, fingerprint), cleaned)
        keyed.append(((cleaned.account_id, fingerprint), cleaned))
    result_ids = _store_results(database, connection, prepared)
    new_rows = [
        {
            "run_id": observation.run_id,
            "account_id": observation.account_id,
            "checked_after": to_utc(observation.observed_at) - run_starts[observation.run_id],
            "result_id": observation.result_id or result_ids[result_key],
            "presence": PRESENCE_CODES[observation.finding.presence],
            "probe_version": observation.probe_version,
            "response_seconds": get_response_seconds(observation.finding),
        }
        for result_key, observation in keyed
    ]
    return database.insert_missing(connection, OBSERVATION, new_rows)


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
) -> tuple[int, datetime, list[str]] | None:
    """Return the result of the account that equals this observation, or None.

    It is its id, its time, and the digests of its bodies.
    """
    _, fingerprint = sanitize_and_fingerprint(observation)
    parameters = {"account": observation.account_id, "fingerprint": fingerprint}
    row = connection.execute(_SELECT_EQUAL_RESULT, parameters).one_or_none()
    if row is None:
        return None
    digests = (exchange.get("digest") for exchange in json.loads(row.evidence))
    return row.id, row.observed_at, list(filter(None, digests))


def _select_in_batches(
    connection: Connection, query: Select[Any], key: ColumnElement[Any], values: Iterable[Any]
) -> Iterator[Any]:
    """Yield the rows of a query whose key is one of these values."""
    for batch in split_into_batches(values):
        yield from connection.execute(query.where(key.in_(batch)))


def _store_results(
    database: Database, connection: Connection, observations: Mapping[ResultKey, Observation]
) -> dict[ResultKey, int]:
    """Store the results that do not exist yet. Return the id of each.

    An equal result with other bodies loses its fingerprint: later observations repeat the new one.
    """
    result_ids = _find_result_ids(connection, observations)
    stored = _load_by_id(
        connection, select(PROBE_RESULT.c.id, PROBE_RESULT.c.evidence), result_ids.values()
    )
    for key, result_id in list(result_ids.items()):
        if _list_digests(stored[result_id].evidence) != _list_digests(observations[key].evidence):
            change = update(PROBE_RESULT).where(PROBE_RESULT.c.id == result_ids.pop(key))
            connection.execute(change.values(fingerprint=None))
    new_keys = sorted(observations.keys() - result_ids.keys())
    rows = []
    for account_id, fingerprint in new_keys:
        observation = observations[account_id, fingerprint]
        values = {
            "account_id": account_id,
            "observed_at": observation.observed_at,
            "presence": observation.finding.presence.value,
            "fingerprint": fingerprint,
            "finding": observation.finding,
            "evidence": observation.evidence,
        }
        rows.append(values)
    database.insert_missing(connection, PROBE_RESULT, rows)
    return result_ids | _find_result_ids(connection, new_keys)


def _list_digests(evidence: Iterable[Evidence]) -> list[str | None]:
    return [exchange.digest for exchange in evidence]


def _find_result_ids(connection: Connection, keys: Collection[ResultKey]) -> dict[ResultKey, int]:
    key = (PROBE_RESULT.c.account_id, PROBE_RESULT.c.fingerprint)
    rows = _select_in_batches(connection, select(PROBE_RESULT.c.id, *key), tuple_(*key), keys)
    return {(row.account_id, row.fingerprint): row.id for row in rows}


def _load_by_id(
    connection: Connection, query: Select[Any], result_ids: Collection[int]
) -> dict[Any, Any]:
    """Return the rows of a query of results by their ids."""
    rows = _select_in_batches(connection, query, PROBE_RESULT.c.id, result_ids)
    return {row.id: row for row in rows}


def load_observations(
    connection: Connection,
    rows: Sequence[Any],
    *,
    include_evidence: bool = True,
    as_first_observed: bool = False,
) -> list[Observation]:
    """Return the observations of rows. A result that several of them share is read once.

    With `as_first_observed` the finding has the duration that belongs to the evidence.
    """
    columns = [PROBE_RESULT.c.id, PROBE_RESULT.c.observed_at, PROBE_RESULT.c.finding]
    if include_evidence:
        columns.append(PROBE_RESULT.c.evidence)
    results = _load_by_id(connection, select(*columns), set(map(attrgetter("result_id"), rows)))
    observations = []
    for row in rows:
        result = results.get(row.result_id)
        if result is None:  # erased between the two queries
            continue
        observation = Observation(
            row.account_id,
            row.run_id,
            row.started_at + row.checked_after,
            result.finding,
            result.evidence if include_evidence else (),
            row.probe_version,
            result_id=result.id,
            first_observed_at=result.observed_at,
        )
        if not as_first_observed:
            finding = replace_response_seconds(result.finding, row.response_seconds)
            observation = replace(observation, finding=finding)
        observations.append(observation)
    return observations


def delete_observations(connection: Connection, account_ids: Iterable[int]) -> None:
    """Delete the observations of accounts that are about to be deleted with their results."""
    for batch in split_into_batches(account_ids):
        connection.execute(
            delete(OBSERVATION).where(IN_ANY_RUN, OBSERVATION.c.account_id.in_(batch))
        )
