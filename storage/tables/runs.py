"""What workers on many machines share while a night goes on; taken away when it ends.

The plan of the night that goes on: derived when it begins, taken away when it ends.

The tables of what was seen. Nothing outside `storage` sees them.

A night adds a row to `observation` for every account, so that one is narrow: 33 to 41 bytes on SQLite, where
its rows lie in the order of their key and a night only ever appends. What a look found and what that rests on
lies in `look`, once for as long as it stays the same (`sameness`). `checked` is the half of a standing that
every night moves.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Index,
    Integer,
    SmallInteger,
    Text,
    TypeDecorator,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlmodel import Field, SQLModel

from probes.models.finding import Finding
from storage.models.audit import Evidence, Observation
from storage.tables.core import (
    ACCOUNT,
    JsonModelType,
    boolean_column,
    cascading_foreign_key,
    datetime_column,
    get_table,
    json_column,
    json_model_column,
    optional_datetime_column,
)


class ClusterRunTable(SQLModel, table=True):
    """The night that workers are at: until when, what they have told, and by what they know the folder."""

    __tablename__: ClassVar[Any] = "cluster_run"

    run_id: int = Field(
        sa_column=Column(
            Integer, cascading_foreign_key("audit_run.id"), primary_key=True, autoincrement=False
        )
    )
    ends_at: datetime | None = optional_datetime_column()
    is_closed: bool = boolean_column()
    folder_token: str
    worker_results: dict[str, Any] = json_column()


class HostLockTable(SQLModel, table=True):
    """When a host may be asked again, by the number of its name, and whether somebody asks it.

    On PostgreSQL it is not logged.
    """

    __tablename__: ClassVar[Any] = "host_lock"

    host: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    available_at: datetime = datetime_column()
    is_busy: bool = boolean_column()


CLUSTER_RUN = get_table(ClusterRunTable)
HOST_LOCK = get_table(HostLockTable)


class RunPlanTable(SQLModel, table=True):
    """One account that the night is to look at, and when: by round, by place, by rank.

    A place is a host or a platform, as a number. `look` is a first look after which a second is to be made.
    """

    __tablename__: ClassVar[Any] = "run_plan"
    __table_args__ = (Index("ix_run_plan_order", "round", "host_bucket", "rank", "account_id"),)

    account_id: int = Field(
        sa_column=Column(
            Integer, cascading_foreign_key("account.id"), primary_key=True, autoincrement=False
        )
    )
    round: int
    host_bucket: int = Field(sa_column=Column(BigInteger, nullable=False))
    rank: int = Field(sa_column=Column(BigInteger, nullable=False))
    first_observation: Observation | None = Field(
        default=None, sa_column=Column(JsonModelType(Observation), nullable=True)
    )


RUN_PLAN = get_table(RunPlanTable)
(RUN_PLAN_INDEX,) = RUN_PLAN.indexes
"""By which the plan is read; it is made when the plan is written, for then it is sorted once."""


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
BIG_INTEGER_KEY = BigInteger().with_variant(Integer, "sqlite")


class MicrosecondTimestamp(TypeDecorator[datetime]):
    """A moment as microseconds since 1970: eight bytes instead of twenty-six."""

    impl = BigInteger
    cache_ok = True

    def __repr__(self) -> str:
        return "BigInteger()"

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  # SQLAlchemy's
        """Write the moment."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # SQLAlchemy's
        """Read the moment again, in UTC."""
        return None if value is None else EPOCH + value * MICROSECOND


def microsecond_column(*, optional: bool = False) -> Any:
    """A moment in a narrow row."""
    return Field(default=None, sa_column=Column(MicrosecondTimestamp, nullable=optional))


class ProbeResultTable(SQLModel, table=True):
    """What an account said, and what shows it: kept when it was first seen so, at `observed_at`.

    `meaning` is a digest of all of it that matters; NULL where nothing may be told to be the same any more.
    """

    __tablename__: ClassVar[Any] = "probe_result"
    __table_args__ = (Unique("account_id", "fingerprint"),)

    id: int | None = Field(default=None, sa_column=Column(BIG_INTEGER_KEY, primary_key=True))
    account_id: int = Field(
        sa_column=Column(Integer, cascading_foreign_key("account.id"), nullable=False)
    )
    observed_at: datetime = microsecond_column()
    presence: str
    fingerprint: str | None = None
    finding: Finding = json_model_column(Finding)
    evidence: tuple[Evidence, ...] = json_model_column(tuple[Evidence, ...])


class ObservationTable(SQLModel, table=True):
    """One look at an account in a night. One for each account and night; never changed.

    Neither `account_id` nor `look_id` refers to its row by a constraint: each removal there would read every
    night for those that name it, or each night write into an index of every night. Whoever removes accounts
    removes these first (`recording.erase`). `times` is told by `sameness`.
    """

    __tablename__: ClassVar[Any] = "observation"
    __table_args__: ClassVar[Any] = {"sqlite_with_rowid": False}

    run_id: int = Field(
        sa_column=Column(
            Integer, cascading_foreign_key("audit_run.id"), primary_key=True, autoincrement=False
        )
    )
    account_id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    observed_at: datetime = microsecond_column()
    result_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    presence: int = Field(sa_column=Column(SmallInteger, nullable=False))
    probe_version: int = Field(sa_column=Column(SmallInteger, nullable=False))
    per_run_values: str | None = Field(default=None, sa_column=Column(Text, nullable=True))


class CheckTimesTable(SQLModel, table=True):
    """When an account was last looked at, and last told: the moments of its standing. Derived."""

    __tablename__: ClassVar[Any] = "account_check_times"

    account_id: int = Field(
        sa_column=Column(
            Integer, cascading_foreign_key("account.id"), primary_key=True, autoincrement=False
        )
    )
    checked_at: datetime | None = microsecond_column(optional=True)
    decided_at: datetime | None = microsecond_column(optional=True)


PROBE_RESULT = get_table(ProbeResultTable)
OBSERVATION = get_table(ObservationTable)
OBSERVATION.add_is_dependent_on(
    ACCOUNT
)  # it refers to none, to stay narrow; erased before it, for it is found by it
CHECK_TIMES = get_table(CheckTimesTable)
