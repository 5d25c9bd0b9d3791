"""Stores observations as narrow rows, and each distinct probe result once.

An observation that equals an earlier result of its account (`comparison.py`) refers to it. The row
has only what differs in every run: the time of the check and the duration of the page. A caller
that knows that a result is equal gives its id; the finding and evidence are then not read. Volatile
evidence is recorded only if its bodies are to be kept: they are stored as another page of the
result, or with a new result if the finding differs in anything.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    delete,
    func,
    select,
    tuple_,
    type_coerce,
    update,
)

from probes.models.finding import Presence
from storage.database.connection import Database
from storage.files.spool import split_into_batches
from storage.models.audit import Observation, PreviousObservation
from storage.observations.comparison import (
    get_response_seconds,
    has_volatile_evidence,
    replace_response_seconds,
    sanitize_and_fingerprint,
)
from storage.sanitize import sanitize, to_utc
from storage.tables.core import ACCOUNT, AUDIT_RUN
from storage.tables.runs import OBSERVATION, PROBE_RESULT, STORED_PAGE, StoredBody

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
    existing_keys = _find_existing_keys(connection, first)
    account_ids = set(map(itemgetter(1), first))
    existing_accounts = _lock_existing_accounts(connection, account_ids)
    repeats: list[Observation] = []
    others: list[Observation] = []
    for key, observation in sorted(first.items()):
        if key in existing_keys or observation.account_id not in existing_accounts:
            continue
        dated = replace(observation, observed_at=to_utc(observation.observed_at))
        (others if dated.result_id is None else repeats).append(dated)
    rows = _build_repeat_rows(connection, repeats)
    rows += _build_result_rows(database, connection, others)
    _set_times_in_runs(connection, rows)
    rows.sort(key=itemgetter("run_id", "account_id"))
    return database.insert_missing(connection, OBSERVATION, rows)


def _build_repeat_rows(
    connection: Connection, observations: Sequence[Observation]
) -> list[dict[str, Any]]:
    """Return the rows of observations that name the result that they repeat.

    Raises ValueError if the result is of another account.
    """
    result_ids = set(map(attrgetter("result_id"), observations))
    query = select(PROBE_RESULT.c.id, PROBE_RESULT.c.account_id, PROBE_RESULT.c.presence)
    results = _load_by_id(connection, query, result_ids)
    rows = []
    for observation in observations:
        result = results[observation.result_id]
        if result.account_id != observation.account_id:
            raise ValueError(
                f"account {observation.account_id} cannot repeat a result of {result.account_id}"
            )
        rows.append(_build_row(observation, result.id, Presence(result.presence)))
    return rows


def _build_result_rows(
    database: Database, connection: Connection, observations: Sequence[Observation]
) -> list[dict[str, Any]]:
    """Store the results of observations, and return the rows that refer to them."""
    prepared: dict[ResultKey, Observation] = {}
    keyed: list[tuple[ResultKey, Observation]] = []
    for observation in observations:
        cleaned, fingerprint = sanitize_and_fingerprint(observation)
        result_key = (cleaned.account_id, fingerprint)
        prepared.setdefault(result_key, cleaned)
        keyed.append((result_key, cleaned))
    result_ids = _store_results(database, connection, prepared)
    return [
        _build_row(cleaned, result_ids[result_key], cleaned.finding.presence)
        for result_key, cleaned in keyed
    ]


def _build_row(observation: Observation, result_id: int, presence: Presence) -> dict[str, Any]:
    """Return a row with the time of the check, instead of the time since the start of its run."""
    return {
        "run_id": observation.run_id,
        "account_id": observation.account_id,
        "checked_after": observation.observed_at,
        "result_id": result_id,
        "presence": PRESENCE_CODES[presence],
        "probe_version": observation.probe_version,
        "response_seconds": get_response_seconds(observation.finding),
    }


def _set_times_in_runs(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Replace the time of each check by the time since the start of its run."""
    run_ids = set(map(itemgetter("run_id"), rows))
    query = select(AUDIT_RUN.c.id, AUDIT_RUN.c.started_at).where(AUDIT_RUN.c.id.in_(run_ids))
    starts = dict(connection.execute(query).all())
    for row in rows:
        row["checked_after"] -= starts[row["run_id"]]


_IS_PAGE_OF_RESULT = and_(
    STORED_PAGE.c.account_id == PROBE_RESULT.c.account_id,
    STORED_PAGE.c.result_id == PROBE_RESULT.c.id,
)
_SELECT_EQUAL_RESULT = (
    select(
        PROBE_RESULT.c.id,
        func.coalesce(STORED_PAGE.c.observed_at, PROBE_RESULT.c.observed_at).label("observed_at"),
        func.coalesce(
            type_coerce(STORED_PAGE.c.bodies, Text), type_coerce(PROBE_RESULT.c.evidence, Text)
        ).label("bodies"),
    )
    .outerjoin(STORED_PAGE, _IS_PAGE_OF_RESULT)
    .where(
        PROBE_RESULT.c.account_id == bindparam("account"),
        PROBE_RESULT.c.fingerprint == bindparam("fingerprint"),
    )
    .order_by(STORED_PAGE.c.observed_at.desc())
    .limit(1)
)
"""Selects a result with its newest page.

Built once, and the bodies are read as text, because a run executes it for many accounts.
"""


def find_equal_result(
    connection: Connection, observation: Observation
) -> PreviousObservation | None:
    """Return the result of the account that equals this observation, or None."""
    _, fingerprint = sanitize_and_fingerprint(observation)
    parameters = {"account": observation.account_id, "fingerprint": fingerprint}
    row = connection.execute(_SELECT_EQUAL_RESULT, parameters).one_or_none()
    if row is None:
        return None
    digests = (body.get("digest") for body in json.loads(row.bodies))
    return PreviousObservation(row.id, row.observed_at, tuple(filter(None, digests)))


def _lock_existing_accounts(connection: Connection, account_ids: Collection[int]) -> set[int]:
    """Return those of the accounts that still exist, and lock them until the commit.

    The others were pruned during the run.
    """
    query = select(ACCOUNT.c.id).with_for_update(read=True, key_share=True)
    rows = _select_in_batches(connection, query, ACCOUNT.c.id, account_ids)
    return set(map(attrgetter("id"), rows))


def _find_existing_keys(
    connection: Connection, keys: Collection[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Return those of these runs and accounts that have an observation."""
    key = (OBSERVATION.c.run_id, OBSERVATION.c.account_id)
    return set(map(tuple, _select_in_batches(connection, select(*key), tuple_(*key), keys)))


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

    If the evidence is volatile, its page is kept: as another page of the same result, or with a
    new result if the finding differs. The old result is then retired.
    """
    result_ids = _find_result_ids(connection, observations)
    for key in list(result_ids):
        observation = observations[key]
        if not has_volatile_evidence(observation):
            continue
        if _load_finding(connection, result_ids[key]) == sanitize(observation.finding):
            _store_page(database, connection, result_ids[key], sanitize(observation))
        else:
            _retire_result(connection, result_ids.pop(key))
    new_keys = sorted(observations.keys() - result_ids.keys())
    rows = [_build_result_values(key, sanitize(observations[key])) for key in new_keys]
    database.insert_missing(connection, PROBE_RESULT, rows)
    return result_ids | _find_result_ids(connection, new_keys)


def _load_finding(connection: Connection, result_id: int) -> Any:
    query = select(PROBE_RESULT.c.finding).where(PROBE_RESULT.c.id == result_id)
    return connection.execute(query).scalar_one()


def _store_page(
    database: Database, connection: Connection, result_id: int, observation: Observation
) -> None:
    """Store the bodies of an observation as another page of its result."""
    row = {
        "account_id": observation.account_id,
        "observed_at": observation.observed_at,
        "result_id": result_id,
        "bodies": tuple(map(StoredBody.from_evidence, observation.evidence)),
    }
    database.insert_missing(connection, STORED_PAGE, [row])


def _retire_result(connection: Connection, result_id: int) -> None:
    """Remove the fingerprint of a result, so that no later observation repeats it."""
    change = update(PROBE_RESULT).where(PROBE_RESULT.c.id == result_id)
    connection.execute(change.values(fingerprint=None))


def _find_result_ids(connection: Connection, keys: Collection[ResultKey]) -> dict[ResultKey, int]:
    key = (PROBE_RESULT.c.account_id, PROBE_RESULT.c.fingerprint)
    query = select(PROBE_RESULT.c.id, *key)
    rows = _select_in_batches(connection, query, tuple_(*key), keys)
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
    pages: Mapping[int, Sequence[Any]] = {}
    if include_evidence:
        columns.append(PROBE_RESULT.c.evidence)
        pages = _load_pages(connection, rows)
    result_ids = set(map(attrgetter("result_id"), rows))
    results = _load_by_id(connection, select(*columns), result_ids)
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
        observations.append(_apply_newest_page(observation, pages.get(result.id, ())))
    return observations


def _load_pages(connection: Connection, rows: Sequence[Any]) -> dict[int, list[Any]]:
    """Return the pages of these accounts in the order of time, by the ids of their results."""
    account_ids = set(map(attrgetter("account_id"), rows))
    query = select(STORED_PAGE).order_by(STORED_PAGE.c.observed_at)
    pages: dict[int, list[Any]] = {}
    for page in _select_in_batches(connection, query, STORED_PAGE.c.account_id, account_ids):
        pages.setdefault(page.result_id, []).append(page)
    return pages


def _apply_newest_page(observation: Observation, pages: Sequence[Any]) -> Observation:
    """Return an observation with the bodies of the newest page until then, if there is one."""
    newest = None
    for page in pages:
        if page.observed_at <= observation.observed_at:
            newest = page
    if newest is None:
        return observation
    evidence = tuple(map(StoredBody.apply_to, newest.bodies, observation.evidence))
    return replace(observation, evidence=evidence, first_observed_at=newest.observed_at)


def _build_result_values(key: ResultKey, observation: Observation) -> dict[str, Any]:
    return {
        "account_id": observation.account_id,
        "observed_at": observation.observed_at,
        "presence": observation.finding.presence.value,
        "fingerprint": key[1],
        "finding": observation.finding,
        "evidence": observation.evidence,
    }


def delete_observations(connection: Connection, account_ids: Iterable[int]) -> None:
    """Delete the observations of accounts that are about to be deleted with their results."""
    for batch in split_into_batches(account_ids):
        connection.execute(
            delete(OBSERVATION).where(IN_ANY_RUN, OBSERVATION.c.account_id.in_(batch))
        )
