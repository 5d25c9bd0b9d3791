"""Drops the figures and responses of official APIs after the time that their terms allow.

The verdict stays: presence, reason, date and links are the network's own conclusion. A result is
as old as its first observation, also if later runs repeated it. It is not repeated again after it
was changed, so the next run stores the current figures as a new result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.engine import URL

from probes.models.finding import FactValue, Finding, Presence
from storage import consistency
from storage.database import sqlite_file
from storage.database.connection import Repository
from storage.database.engine import WRITE_OPTIONS, convert_driver_errors, create_database_engine
from storage.files.spool import split_into_batches
from storage.models.audit import Evidence
from storage.observations.rows import SELECT_OBSERVATIONS
from storage.tables.core import ACCOUNT, ACCOUNT_STATUS, AUDIT_RUN, GAP
from storage.tables.runs import CHECK_TIMES, OBSERVATION, PROBE_RESULT

BATCH_RESULTS = 500
"""Results that one transaction changes."""
RESULT_COLUMNS = (
    PROBE_RESULT.c.id,
    PROBE_RESULT.c.account_id,
    PROBE_RESULT.c.finding,
    PROBE_RESULT.c.evidence,
)
_HAS_RESPONSES = type_coerce(PROBE_RESULT.c.evidence, Text).not_like('%"is_pruned":true%')


@dataclass(frozen=True, slots=True)
class ApiDataLimit:
    """The data to drop from the results of an API, by the time they were first observed.

    `figures` are the fields and facts of a finding that go, `host` is that of the API. With
    `deletes_removed_profiles`, an account that is absent loses its profile in earlier results.
    """

    channel: str
    host: str
    figures: frozenset[str]
    figures_before: datetime
    responses_before: datetime
    deletes_removed_profiles: bool = False


@dataclass(slots=True)
class DroppedApiData:
    """The number of changed results, their accounts, and the digests of their bodies.

    `removed_account_ids` are the accounts that lost their profile.
    """

    result_count: int = 0
    digests: set[str] = field(default_factory=set)
    account_ids: set[int] = field(default_factory=set)
    removed_account_ids: set[int] = field(default_factory=set)

    def add(self, batch: DroppedApiData) -> None:
        """Add what one transaction has changed."""
        self.result_count += batch.result_count
        self.digests |= batch.digests
        self.account_ids |= batch.account_ids
        self.removed_account_ids |= batch.removed_account_ids


class ApiDataRepository(Repository):
    """Drops and finds data of official APIs."""

    def drop_api_data(
        self, limits: Sequence[ApiDataLimit], remove_body: Callable[[str], object]
    ) -> DroppedApiData:
        """Drop figures and responses that are older than their limit.

        `remove_body` deletes the body of a digest. It is called before the results are changed, so
        the next call repeats a deletion that was interrupted or failed.
        """
        dropped = DroppedApiData()
        for limit in limits:
            for digest in self._find_removable_digests(limit):
                remove_body(digest)
            last_id: int | None = 0
            while last_id is not None:
                with self._database.begin_write() as connection:
                    last_id = _drop_batch(connection, limit, last_id, dropped)
            if limit.deletes_removed_profiles:
                self._erase_removed_profiles(limit, dropped, remove_body)
        return dropped

    def _find_removable_digests(self, limit: ApiDataLimit) -> set[str]:
        """Return the digests of expired responses that no newer result of the channel has, too.

        The list of the newest posts of a quiet account is the same for weeks.
        """
        query = (
            select(PROBE_RESULT.c.id, PROBE_RESULT.c.evidence)
            .join(ACCOUNT, ACCOUNT.c.id == PROBE_RESULT.c.account_id)
            .where(ACCOUNT.c.channel == limit.channel, _HAS_RESPONSES)
        )
        is_expired = _build_expired_condition(limit)
        digests: set[str] = set()
        for row in self._database.stream_rows(query.where(is_expired), PROBE_RESULT.c.id):
            digests.update(_iter_digests(row.evidence))
        if digests:
            for row in self._database.stream_rows(query.where(~is_expired), PROBE_RESULT.c.id):
                digests.difference_update(_iter_digests(row.evidence))
        return digests

    def _erase_removed_profiles(
        self, limit: ApiDataLimit, dropped: DroppedApiData, remove_body: Callable[[str], object]
    ) -> None:
        """Erase the profiles of absent accounts in earlier results, and their texts in gaps."""
        last_id: int | None = 0
        while last_id is not None:
            batch = DroppedApiData()
            with self._database.begin_write() as connection:
                rows = _select_removed_profiles(connection, limit, last_id)
                _erase_profiles(connection, rows, batch)
                account_ids = _erase_profile_texts(connection, limit.channel, rows)
                consistency.mark_stale_by_account(self._database, connection, account_ids)
                referenced_digests = _find_referenced_digests(connection, batch.account_ids)
                for digest in batch.digests - referenced_digests:
                    remove_body(digest)
            last_id = int(rows[-1].id) if rows else None
            batch.removed_account_ids.update(account_ids)
            dropped.add(batch)

    def find_api_bodies(self, limits: Sequence[ApiDataLimit]) -> set[str]:
        """Return the digests of the responses that are older than their limit."""
        digests: set[str] = set()
        evidence = PROBE_RESULT.c.evidence
        with self._database.begin_read() as connection:
            for limit in limits:
                query = (
                    select(evidence)
                    .join(ACCOUNT, ACCOUNT.c.id == PROBE_RESULT.c.account_id)
                    .where(_build_expired_condition(limit))
                )
                for exchanges in connection.execute(query).scalars():
                    digests.update(_iter_digests(exchanges))
        return digests

    def count_expired_api_results(self, limits: Sequence[ApiDataLimit]) -> int:
        """Return how many results have figures or responses that are older than their limit."""
        with self._database.begin_read() as connection:
            return _count_expired_results(connection, limits)


def drop_from_copy(file: Path, limits: Sequence[ApiDataLimit]) -> DroppedApiData:
    """Drop figures and responses from a copy of a SQLite database, and all traces of them.

    Raises StoreError, for example if the copy is damaged or has another schema.
    """
    dropped = DroppedApiData()
    with _open_copy(file) as connection:
        for limit in limits:
            last_id: int | None = 0
            while last_id is not None:
                last_id = _drop_batch(connection, limit, last_id, dropped)
        dropped.digests -= _find_referenced_digests(connection, dropped.account_ids)
    if dropped.result_count:
        sqlite_file.vacuum_file(file)
    return dropped


def count_in_copy(file: Path, limits: Sequence[ApiDataLimit]) -> int:
    """Return how many results of a copy have expired data. Raises StoreError as above."""
    with _open_copy(file, is_writing=False) as connection:
        return _count_expired_results(connection, limits)


@contextmanager
def _open_copy(file: Path, *, is_writing: bool = True) -> Iterator[Connection]:
    """Yield a connection in a transaction. Raises StoreError."""
    engine = create_database_engine(URL.create("sqlite", database=str(file)))
    options = WRITE_OPTIONS if is_writing else {}
    try:
        with convert_driver_errors(file), engine.execution_options(**options).begin() as connection:
            yield connection
    finally:
        engine.dispose()


def has_figures(finding: Finding, figures: Collection[str]) -> bool:
    """Return True if a finding has any of these fields or facts."""
    for name in figures:
        if name in finding.facts or getattr(finding, name, None) is not None:
            return True
    return False


def drop_figures(finding: Finding, figures: Collection[str]) -> Finding:
    """Return a finding without these fields and facts."""
    facts = dict(finding.facts)
    empty_fields: dict[str, Any] = {}
    for name in figures:
        facts.pop(name, None)
        if hasattr(finding, name):
            empty_fields[name] = None
    return replace(finding, facts=facts, **empty_fields)


def _drop_batch(
    connection: Connection, limit: ApiDataLimit, after_id: int, dropped: DroppedApiData
) -> int | None:
    """Change the next results. Return the id of the last one, or None at the end."""
    query = (
        select(*RESULT_COLUMNS, PROBE_RESULT.c.observed_at)
        .join(ACCOUNT, ACCOUNT.c.id == PROBE_RESULT.c.account_id)
        .where(_build_expired_condition(limit), PROBE_RESULT.c.id > after_id)
        .order_by(PROBE_RESULT.c.id)
        .limit(BATCH_RESULTS)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    changes = [_build_change(row, limit) for row in rows]
    connection.execute(_UPDATE_RESULT, changes)
    dropped.result_count += len(rows)
    dropped.account_ids.update(map(attrgetter("account_id"), rows))
    dropped.digests.update(_iter_dropped_digests(rows, limit))
    without_figures = {row.id: row.account_id for row in rows if _has_expired_figures(row, limit)}
    _drop_from_statuses(connection, without_figures, limit.figures)
    return int(rows[-1].id)


_UPDATE_RESULT = (
    update(PROBE_RESULT)
    .where(PROBE_RESULT.c.id == bindparam("result_key"))
    .values(finding=bindparam("new_finding"), evidence=bindparam("new_evidence"), fingerprint=None)
)
"""Without a fingerprint, no later observation repeats the result."""


def _build_expired_condition(limit: ApiDataLimit) -> ColumnElement[bool]:
    """Return the condition for results of the API with something to drop.

    What a result has is found in its JSON text, so the database does not decode the other results.
    """
    evidence = type_coerce(PROBE_RESULT.c.evidence, Text)
    finding = type_coerce(PROBE_RESULT.c.finding, Text)
    figure_patterns = map('%"{}":%'.format, sorted(limit.figures))
    has_figure = or_(*map(finding.like, figure_patterns))
    has_expired_figure = and_(PROBE_RESULT.c.observed_at < limit.figures_before, has_figure)
    has_expired_response = and_(
        PROBE_RESULT.c.observed_at < limit.responses_before,
        evidence.like('%"digest":"%'),
        _HAS_RESPONSES,
    )
    return and_(
        ACCOUNT.c.channel == limit.channel,
        evidence.like(f'%"url":"https://{limit.host}/%'),
        or_(has_expired_response, has_expired_figure),
    )


def _has_expired_figures(row: Any, limit: ApiDataLimit) -> bool:
    """Return True if the figures of a result are older than the limit."""
    return bool(row.observed_at < limit.figures_before)


def _build_change(row: Any, limit: ApiDataLimit) -> dict[str, Any]:
    finding, evidence = row.finding, row.evidence
    if _has_expired_figures(row, limit):
        finding = drop_figures(finding, limit.figures)
    if row.observed_at < limit.responses_before:
        evidence = tuple(map(Evidence.without_response, evidence))
    return _build_result_change(row.id, finding, evidence)


def _build_result_change(
    result_id: int, finding: Finding, evidence: tuple[Evidence, ...]
) -> dict[str, Any]:
    return {"result_key": result_id, "new_finding": finding, "new_evidence": evidence}


def _iter_digests(evidence: Iterable[Evidence]) -> Iterator[str]:
    """Yield the digests of the bodies of an evidence."""
    for exchange in evidence:
        if exchange.digest:
            yield exchange.digest


def _iter_dropped_digests(rows: Sequence[Any], limit: ApiDataLimit) -> Iterator[str]:
    for row in rows:
        if row.observed_at < limit.responses_before:
            yield from _iter_digests(row.evidence)


def _find_referenced_digests(connection: Connection, account_ids: Collection[int]) -> set[str]:
    """Return the digests of the bodies to which other results of these accounts refer."""
    digests: set[str] = set()
    for batch in split_into_batches(account_ids):
        query = select(PROBE_RESULT.c.evidence).where(
            PROBE_RESULT.c.account_id.in_(batch), _HAS_RESPONSES
        )
        for exchanges in connection.execute(query).scalars():
            digests.update(_iter_digests(exchanges))
    return digests


def _drop_from_statuses(
    connection: Connection, account_by_result: dict[int, int], figures: frozenset[str]
) -> None:
    """Drop the figures of statuses that rest on these results.

    A status on a newer result keeps its figures, as a re-evaluation would give them.
    """
    account_ids = set(account_by_result.values())
    conclusive_results = _find_conclusive_results(connection, account_ids)
    query = select(ACCOUNT_STATUS.c.account_id, ACCOUNT_STATUS.c.status).where(
        ACCOUNT_STATUS.c.account_id.in_(account_ids)
    )
    changes = []
    for row in connection.execute(query).all():
        finding = row.status.last_known_finding
        result_id = conclusive_results.get(row.account_id)
        is_on_newer_result = result_id is not None and result_id not in account_by_result
        if is_on_newer_result or finding is None or not has_figures(finding, figures):
            continue
        status = replace(row.status, last_known_finding=drop_figures(finding, figures))
        changes.append({"account_key": row.account_id, "new_status": status})
    statement = update(ACCOUNT_STATUS).where(
        ACCOUNT_STATUS.c.account_id == bindparam("account_key")
    )
    if changes:
        connection.execute(statement.values(status=bindparam("new_status")), changes)


def _find_conclusive_results(
    connection: Connection, account_ids: Collection[int]
) -> dict[int, int]:
    """Return the result on which the status of each account rests, if its observation exists.

    Almost all are in the newest run, so the runs are searched from the newest one.
    """
    runs = connection.execute(select(AUDIT_RUN.c.id).order_by(AUDIT_RUN.c.day.desc())).scalars()
    results: dict[int, int] = {}
    remaining_ids = set(account_ids)
    for run_id in runs.all():
        if not remaining_ids:
            break
        query = (
            SELECT_OBSERVATIONS.add_columns(CHECK_TIMES.c.decided_at)
            .join(CHECK_TIMES, CHECK_TIMES.c.account_id == OBSERVATION.c.account_id)
            .where(OBSERVATION.c.run_id == run_id, OBSERVATION.c.account_id.in_(remaining_ids))
        )
        for row in connection.execute(query):
            if row.started_at + row.checked_after == row.decided_at:
                results[row.account_id] = row.result_id
        remaining_ids -= results.keys()
    return results


PROFILE_REMOVED_FACT = "profile_removed"
"""The fact of a finding whose profile was deleted because the platform removed the account."""


def erase_profile(finding: Finding) -> Finding:
    """Return a finding without what the profile said: presence, reason, id and date stay."""
    facts = {PROFILE_REMOVED_FACT: True}
    return replace(finding, name=None, followers=None, links=(), facts=facts, detail="")


def _select_removed_profiles(
    connection: Connection, limit: ApiDataLimit, after_id: int
) -> Sequence[Any]:
    """Return the next results that still have the profile of an account that is absent now."""
    status = type_coerce(ACCOUNT_STATUS.c.status, Text)
    absent_accounts = select(ACCOUNT_STATUS.c.account_id).where(
        status.like('%"last_known_finding":{"presence":"absent"%')
    )
    query = (
        select(*RESULT_COLUMNS)
        .join(ACCOUNT, ACCOUNT.c.id == PROBE_RESULT.c.account_id)
        .where(
            PROBE_RESULT.c.id > after_id,
            ACCOUNT.c.channel == limit.channel,
            PROBE_RESULT.c.account_id.in_(absent_accounts),
            PROBE_RESULT.c.presence == Presence.PRESENT.value,
            type_coerce(PROBE_RESULT.c.evidence, Text).like(f'%"url":"https://{limit.host}/%'),
            type_coerce(PROBE_RESULT.c.finding, Text).not_like(f'%"{PROFILE_REMOVED_FACT}":%'),
        )
        .order_by(PROBE_RESULT.c.id)
        .limit(BATCH_RESULTS)
    )
    return connection.execute(query).all()


def _erase_profiles(connection: Connection, rows: Sequence[Any], dropped: DroppedApiData) -> None:
    changes = []
    for row in rows:
        evidence = tuple(map(Evidence.without_response, row.evidence))
        changes.append(_build_result_change(row.id, erase_profile(row.finding), evidence))
    if changes:
        connection.execute(_UPDATE_RESULT, changes)
    dropped.result_count += len(rows)
    for row in rows:
        dropped.account_ids.add(row.account_id)
        dropped.digests.update(_iter_digests(row.evidence))


def _erase_profile_texts(
    connection: Connection, channel: str, rows: Iterable[Any]
) -> Collection[int]:
    """Erase the texts of these profiles in gaps. Return the accounts of the profiles."""
    texts_by_account: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        texts_by_account[row.account_id] |= {row.finding.name or "", row.finding.detail} - {""}
    accounts = connection.execute(
        select(ACCOUNT.c.id, ACCOUNT.c.association, _ACCOUNT_URL).where(
            ACCOUNT.c.id.in_(texts_by_account)
        )
    ).all()
    for account in accounts:
        _erase_texts_of_gaps(connection, channel, account, texts_by_account[account.id])
    return texts_by_account.keys()


_ACCOUNT_URL = func.coalesce(ACCOUNT.c.canonical, ACCOUNT.c.url, ACCOUNT.c.typed_text).label("url")


def _erase_texts_of_gaps(
    connection: Connection, channel: str, account: Any, texts: Collection[str]
) -> None:
    """Replace texts of a profile by the address of the account, as gaps without them have it."""

    def replace_texts(values: Mapping[str, FactValue]) -> dict[str, FactValue]:
        replaced = dict(values)
        for name, value in values.items():
            if value in texts:
                replaced[name] = account.url
        return replaced

    query = select(GAP.c.id, GAP.c.params, GAP.c.evidence).where(
        GAP.c.association == account.association, GAP.c.channel == channel
    )
    for gap in connection.execute(query).all():
        params, evidence = replace_texts(gap.params), replace_texts(gap.evidence)
        if (params, evidence) != (gap.params, gap.evidence):
            change = update(GAP).where(GAP.c.id == gap.id)
            connection.execute(change.values(params=params, evidence=evidence))


def _count_expired_results(connection: Connection, limits: Sequence[ApiDataLimit]) -> int:
    count = 0
    for limit in limits:
        query = (
            select(func.count())
            .select_from(PROBE_RESULT)
            .join(ACCOUNT, ACCOUNT.c.id == PROBE_RESULT.c.account_id)
            .where(_build_expired_condition(limit))
        )
        count += connection.execute(query).scalar_one()
    return count
