"""All that is kept of one association: told, and erased so that no page of the file holds it any more.

What an association's rows are is read off the tables themselves: those that name it, those that name one of
its accounts or decisions, and the messages that went to it. A table that is added later is found by the same
names, and `docs/guides/privacy.md` has to name its columns.

What people left behind goes when its time is over, whoever is still in the registry.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    or_,
    select,
    type_coerce,
    update,
)

from storage import consistency
from storage.database import sqlite_file
from storage.database.connection import BATCH, Database
from storage.models.audit import CONTACT_FIELDS, NightState
from storage.models.users import ASSOCIATION as WHOLE
from storage.models.users import FORGET, Change
from storage.observations.rows import OF_NIGHTS
from storage.read_model import summaries
from storage.registry import audit_log
from storage.sanitize import clean
from storage.tables.communication import FOLLOW_UP, LETTER, REPLY, SENT, SUBSCRIPTION, TRAIL, UNSENT
from storage.tables.core import (
    ACCOUNT,
    ASSOCIATION,
    CONTACT,
    DECISION,
    GAP,
    METADATA,
    NIGHT,
    WITHDRAWAL,
    Noun,
)
from storage.tables.runs import LOOK, OBSERVATION
from storage.tables.summaries import FACET, FIGURE

BODY = "body"
DIGEST = re.compile(r'"digest":"([0-9a-f]{64})"')
CHAINED = (NightState.DONE.value, NightState.SKIPPED.value)
"""The nights whose receipts are links of the chain, and are never changed."""
MONTH = len("2026-11 ") + 1
"""Where an association stands in the occasion of its monthly report."""
MESSAGES = (SENT, UNSENT)
"""The tables that tell of messages; whose they were is told by the subscriptions."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an association: how many rows of each table, and the bodies that its looks rest on.

    `bodies` are digests of the archive that only its looks name, `shared` those that others name, too.
    """

    rows: Mapping[str, int]
    bodies: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.rows)

    def told(self) -> Iterator[tuple[str, int]]:
        """How much there is of each kind: of each table, and of bodies."""
        yield from self.rows.items()
        if self.bodies:
            yield BODY, len(self.bodies)


class Erasure:
    """The queries of erasing. A part of `Store`."""

    _database: Database

    def kept_of(
        self,
        association: str,
        spared: Collection[str] = (),
        *,
        contact: bool = False,
        at_a_glance: bool = False,
    ) -> Kept:
        """How much is kept of an association, also of one that was pruned; or of its `contact` alone.

        Messages to `spared` addresses are not counted as its own: they are somebody else's, too. At a glance
        is told only what an index finds: neither messages nor bodies, for which everybody's would be read.
        """
        with self._database.reading() as connection:
            places = _places(association, spared, contact=contact)
            places = [place for place in places if not at_a_glance or _is_indexed(place[0])]
            counts = {
                table.name: connection.execute(
                    select(func.count()).select_from(table).where(where)
                ).scalar_one()
                for table, where in places
            }
            rows = {name: count for name, count in counts.items() if count}
            is_seen = not contact and not at_a_glance and "look" in rows
            own, shared = _bodies(connection, association) if is_seen else (frozenset(), frozenset())
        return Kept(rows, own, shared)

    def rows_of(self, association: str, spared: Collection[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every row that is kept of an association, with its table's name; hashes of tokens are left out."""
        for table, where in _places(association, spared):
            columns = [_told(column) for column in table.c if column.name != "token_hash"]
            key = list(table.primary_key.columns)
            with self._database.reading() as connection:
                rows = connection.execution_options(yield_per=BATCH)
                for row in rows.execute(select(*columns).where(where).order_by(*key)):
                    yield table.name, _row(row, table)

    def forget(
        self, association: str, line: Change, cohorts: Collection[str], spared: Collection[str] = ()
    ) -> None:
        """Erase all that is kept of an association, in one transaction; `line` is all that the trail keeps.

        Of `cohorts`, the groups that it belonged to, the figures go as well where nobody else is in them:
        they would tell of nobody but it. The network's and every other group's stay.
        """
        with self._database.writing() as connection:
            _erase_from_lists(self._database, connection, association)
            connection.execute(delete(GAP).where(_names(association)))
            for table, where in reversed(_places(association, spared)):
                connection.execute(delete(table).where(where))
            _erase_cohorts(connection, cohorts)
            _erase_hosts(connection)
            dated = replace(line, at=consistency.after_nights(connection, line.at))
            audit_log.write(connection, [clean(dated)])

    def forget_contact(self, association: str, line: Change, spared: Collection[str] = ()) -> None:
        """Erase an association's contact, what the trail tells of it, and its subscriptions."""
        with self._database.writing() as connection:
            for table, where in reversed(_places(association, spared, contact=True)):
                connection.execute(delete(table).where(where))
            consistency.mark(self._database, connection, [association])
            dated = replace(line, at=consistency.after_nights(connection, line.at))
            audit_log.write(connection, [clean(dated)])

    def forgotten(self, what: str = WHOLE) -> set[str]:
        """The marks of the associations that were erased, or the ids of those that lost `what` of theirs."""
        query = select(TRAIL.c.association).where(TRAIL.c.source == FORGET, TRAIL.c.field == what)
        with self._database.reading() as connection:
            return set(connection.execute(query).scalars())

    def last_forgotten(self) -> datetime | None:
        """When an association was last erased."""
        query = select(func.max(TRAIL.c.at)).where(TRAIL.c.source == FORGET, TRAIL.c.field == WHOLE)
        with self._database.reading() as connection:
            return connection.execute(query).scalar()

    def scrub(self) -> bool:
        """Write the file anew, without what was erased; False where somebody still reads an older moment.

        PostgreSQL does so in its own time. Raises StoreError: no room for a second copy.
        """
        return self._database.file is None or sqlite_file.scrub(self._database.file)


def marks_in(file: Path) -> frozenset[str]:
    """The marks of whom a SQLite database's associations were forgotten; none where it cannot be read."""
    query = "SELECT association FROM trail WHERE source = ? AND field = ?"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as raw,
    ):
        return frozenset(row[0] for row in raw.execute(query, (FORGET, WHOLE)))
    return frozenset()


def _places(
    association: str, spared: Collection[str], *, contact: bool = False
) -> list[tuple[Table, ColumnElement[bool]]]:
    """Every table that keeps something of an association, and where; those first that others refer to."""
    if contact:
        fields = TRAIL.c.field.in_(CONTACT_FIELDS)
        return [
            (CONTACT, CONTACT.c.association == association),
            (TRAIL, (TRAIL.c.association == association) & fields),
            *((table, _own(table, association, spared)) for table in (SUBSCRIPTION, *MESSAGES)),
        ]
    others = [table for table in METADATA.sorted_tables if _tells(table)]
    return [(table, _own(table, association, spared)) for table in (*others, *MESSAGES)]


def _tells(table: Table) -> bool:
    return table in {ASSOCIATION, WITHDRAWAL} or not {"association", "account_id"}.isdisjoint(table.c.keys())


def _is_indexed(table: Table) -> bool:
    """Whether an association's rows are found without reading everybody's."""
    unique = (one.columns for one in table.constraints if isinstance(one, UniqueConstraint))
    keys = (table.primary_key.columns, *(one.columns for one in table.indexes), *unique)
    first = {next(iter(key)).name for key in keys}
    return table is ASSOCIATION or not first.isdisjoint({"association", "account_id", "decision_id"})


def _own(table: Table, association: str, spared: Collection[str]) -> ColumnElement[bool]:
    if table is ASSOCIATION:
        return ASSOCIATION.c.id == association
    if table in MESSAGES:
        return _sent(table, association, spared)
    if "association" in table.c:
        own: ColumnElement[bool] = table.c.association == association
        return own
    if table is WITHDRAWAL:
        return WITHDRAWAL.c.decision_id.in_(
            select(DECISION.c.id).where(DECISION.c.association == association)
        )
    accounts: ColumnElement[bool] = table.c.account_id.in_(
        select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)
    )
    return accounts & OF_NIGHTS if table is OBSERVATION else accounts


def _names(association: str) -> ColumnElement[bool]:
    """Another association's gap that names this one: the account that both of them list."""
    other: ColumnElement[bool] = GAP.c.params["other"].as_string() == association
    return other


def _sent(table: Table, association: str, spared: Collection[str]) -> ColumnElement[bool]:
    """The messages of an association, and all others that went to addresses that are nobody else's."""
    other = SUBSCRIPTION.alias()
    shared = select(other.c.address).where(other.c.association != association)
    own = select(SUBSCRIPTION.c.address).where(
        SUBSCRIPTION.c.association == association,
        SUBSCRIPTION.c.address.not_in(list(spared)),
        SUBSCRIPTION.c.address.not_in(shared),
    )
    theirs: ColumnElement[bool] = table.c.recipient.in_(own)
    return theirs if table is UNSENT else theirs | (func.substr(table.c.occasion, MONTH) == association)


def _bodies(connection: Connection, association: str) -> tuple[frozenset[str], frozenset[str]]:
    """The bodies that only its looks name, and those that others' name, too. It reads all evidence."""
    accounts = select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)
    named = frozenset(_digests(connection, LOOK.c.account_id.in_(accounts)))
    others = _digests(connection, LOOK.c.account_id.not_in(accounts)) if named else iter(())
    shared = frozenset(digest for digest in others if digest in named)
    return named - shared, shared


def _digests(connection: Connection, where: ColumnElement[bool]) -> Iterator[str]:
    query = select(type_coerce(LOOK.c.evidence, Text)).where(where)
    for told in connection.execution_options(yield_per=BATCH).execute(query).scalars():
        yield from DIGEST.findall(told)


def _erase_from_lists(database: Database, connection: Connection, association: str) -> None:
    """Take it out of the summaries and sums, and let those be made anew whose gaps named it."""
    others = connection.execute(select(GAP.c.association).where(_names(association))).scalars().all()
    consistency.mark(database, connection, set(others) - {association})
    summaries.take_away(database, connection, [association])


def _erase_cohorts(connection: Connection, cohorts: Collection[str]) -> None:
    """Erase the figures of groups that nobody is in."""
    peopled = set(connection.execute(select(FACET.c.facet).where(FACET.c.facet.in_(list(cohorts)))).scalars())
    connection.execute(delete(FIGURE).where(FIGURE.c.cohort.in_(set(cohorts) - peopled)))


def _erase_hosts(connection: Connection) -> None:
    """Let nights that were never ended forget whom they asked: what is signed names platforms' alone."""
    rows = connection.execute(select(NIGHT.c.id, NIGHT.c.receipt).where(NIGHT.c.state.not_in(CHAINED))).all()
    for row in rows:
        if row.receipt.get("requests_by_host") and "signature" not in row.receipt:
            bare = {**row.receipt, "requests_by_host": {}}
            connection.execute(update(NIGHT).where(NIGHT.c.id == row.id).values(receipt=bare))


def _told(column: Column[Any]) -> ColumnElement[Any]:
    """A column as it is told: a noun as the text that is kept."""
    return type_coerce(column, Text).label(column.name) if isinstance(column.type, Noun) else column


def _row(row: Any, table: Table) -> dict[str, Any]:
    told = dict(row._mapping)  # noqa: SLF001  # public, named so to leave columns their names
    nouns = {column.name for column in table.c if isinstance(column.type, Noun)}
    return {name: json.loads(value) if name in nouns else value for name, value in told.items()}


@dataclass(frozen=True, slots=True)
class Ages:
    """The moments before which each kind of what people left behind goes; None: it stays.

    `contacts` counts from when the association left the sheet, `letters` from when they ended, `replies` from
    their answer, `subscriptions` from when they were ended. `trail` is what the trail tells of contacts: its
    other lines stay, for a rebuild judges each night by the sheet of then.
    """

    contacts: datetime | None = None
    letters: datetime | None = None
    replies: datetime | None = None
    follow_ups: datetime | None = None
    subscriptions: datetime | None = None
    sent: datetime | None = None
    trail: datetime | None = None


class Expiry:
    """The queries of what is over. A part of `Store`."""

    _database: Database

    def expire(self, ages: Ages, *, dry_run: bool = False) -> dict[str, int]:
        """Erase what is older than its kind may be, and say how many rows of each table that was."""
        limits = clean(ages)
        if dry_run:
            with self._database.reading() as connection:
                return _counted(connection, limits)
        with self._database.writing() as connection:
            if limits.contacts:
                left = select(CONTACT.c.association).where(_withdrawn(CONTACT, limits.contacts))
                consistency.mark(self._database, connection, connection.execute(left).scalars())
            told = {}
            for table, where in _over(limits):
                if table is LETTER:
                    _let_go(connection, where)
                told[table.name] = connection.execute(delete(table).where(where)).rowcount
        return {name: count for name, count in told.items() if count}


def _let_go(connection: Connection, ended: ColumnElement[bool]) -> None:
    """Let replies stay whose letter goes."""
    letters = select(LETTER.c.id).where(ended)
    connection.execute(update(REPLY).where(REPLY.c.letter_id.in_(letters)).values(letter_id=None))


def _counted(connection: Connection, limits: Ages) -> dict[str, int]:
    told = {
        table.name: connection.execute(select(func.count()).select_from(table).where(where)).scalar_one()
        for table, where in _over(limits)
    }
    return {name: count for name, count in told.items() if count}


def _over(limits: Ages) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Each table, once, with what of it is over."""
    if limits.contacts:
        yield CONTACT, _withdrawn(CONTACT, limits.contacts)
    if limits.letters:
        yield LETTER, func.coalesce(LETTER.c.revoked_at, LETTER.c.expires_at) < limits.letters
    if limits.replies:
        yield REPLY, REPLY.c.answered_at < limits.replies
    if limits.follow_ups:
        day = limits.follow_ups.date()
        is_over = or_(FOLLOW_UP.c.due.is_(None), FOLLOW_UP.c.due < day)
        yield FOLLOW_UP, (FOLLOW_UP.c.at < limits.follow_ups) & is_over
    if limits.subscriptions:
        # who is in the configuration gets the digest unless it is kept that they do not want it
        ended = SUBSCRIPTION.c.wanted.is_(False) & (SUBSCRIPTION.c.association != "")
        yield SUBSCRIPTION, ended & (SUBSCRIPTION.c.changed_at < limits.subscriptions)
    if limits.sent:
        yield SENT, SENT.c.sent_at < limits.sent
        yield UNSENT, UNSENT.c.tried_at < limits.sent
    if lines := _lines(limits):
        yield TRAIL, TRAIL.c.field.in_(CONTACT_FIELDS) & or_(*lines)


def _lines(limits: Ages) -> list[ColumnElement[bool]]:
    """By what lines of the trail that tell of contacts are over: by their own age, or with the contact."""
    own = [TRAIL.c.at < limits.trail] if limits.trail else []
    return own + ([_withdrawn(TRAIL, limits.contacts)] if limits.contacts else [])


def _withdrawn(table: Table, limit: datetime) -> ColumnElement[bool]:
    left = select(ASSOCIATION.c.id).where(ASSOCIATION.c.withdrawn_at < limit)
    return table.c.association.in_(left)
