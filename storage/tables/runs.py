"""Tables of runs: the cluster's state, the plan, observations and probe results.

A run adds a row to `observation` for every account, so these rows are narrow: about 22 bytes on
SQLite. They are stored in the order of their key, so that a run only appends. The finding and its
evidence are in `probe_result`, stored once for as long as they stay the same
(`storage.observations.rows`).
`account_check_times` is the part of an account's status that changes in every run.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Dialect,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    false,
)

from probes.models.finding import Finding, Reason
from storage.models.audit import Evidence, Observation
from storage.tables.core import (
    ACCOUNT,
    METADATA,
    PLAIN_JSON,
    JsonModelType,
    TextEnumType,
    UTCDateTime,
    cascading_foreign_key,
)

CLUSTER_RUN = Table(
    "cluster_run",
    METADATA,
    Column(
        "run_id",
        Integer,
        cascading_foreign_key("audit_run.id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("ends_at", UTCDateTime),
    Column("is_closed", Boolean, server_default=false(), nullable=False),
    Column("folder_token", String, nullable=False),
    Column("worker_results", PLAIN_JSON, nullable=False),
)
"""A run that several workers share: its end, their results, and the token of the folder."""

HOST_LOCK = Table(
    "host_lock",
    METADATA,
    Column("host", BigInteger, primary_key=True, autoincrement=False),
    Column("available_at", UTCDateTime, nullable=False),
    Column("is_busy", Boolean, server_default=false(), nullable=False),
)
"""The time of the next request to a host, and whether a worker is sending one now.

`host` is the number of its name. On PostgreSQL the table is unlogged.
"""

RUN_PLAN = Table(
    "run_plan",
    METADATA,
    Column("account_id", Integer, cascading_foreign_key("account.id"), primary_key=True),
    Column("round", Integer, nullable=False),
    Column("host_bucket", BigInteger, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("first_observation", JsonModelType(Observation)),
    Index("ix_run_plan_order", "round", "host_bucket", "rank", "account_id"),
)
"""An account to check in this run, and its position: round, then host bucket, then rank.

A host bucket is the number of a host or a platform. `first_observation` is set if the account waits
for the second pass.
"""
(RUN_PLAN_INDEX,) = RUN_PLAN.indexes
"""The index by which the plan is read. It is created after the rows, to sort them once."""


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
BIG_INTEGER_KEY = BigInteger().with_variant(Integer, "sqlite")


class MicrosecondType(TypeDecorator[Any]):
    """A column type that stores the distance from `origin` in microseconds."""

    impl = BigInteger
    cache_ok = True
    origin: ClassVar[Any]

    def __repr__(self) -> str:
        return "BigInteger()"

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002  # SQLAlchemy's signature
        """Return the distance of the value from the origin."""
        return None if value is None else (value - self.origin) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy's signature
        """Return the time or duration, or None for NULL."""
        return None if value is None else self.origin + value * MICROSECOND


class MicrosecondTimestamp(MicrosecondType):
    """A time in UTC stored as microseconds since 1970: 8 bytes instead of 26."""

    cache_ok = True  # SQLAlchemy does not inherit it
    origin = EPOCH


class MicrosecondInterval(MicrosecondType):
    """A duration stored as microseconds. It takes 4 bytes up to half an hour, then 6."""

    cache_ok = True
    origin = timedelta()


PROBE_RESULT = Table(
    "probe_result",
    METADATA,
    Column("id", BIG_INTEGER_KEY, primary_key=True),
    Column("account_id", Integer, cascading_foreign_key("account.id"), nullable=False),
    Column("observed_at", MicrosecondTimestamp, nullable=False),
    Column("presence", String, nullable=False),
    Column("fingerprint", String),
    Column("finding", JsonModelType(Finding), nullable=False),
    Column("evidence", JsonModelType(tuple[Evidence, ...]), nullable=False),
    UniqueConstraint("account_id", "fingerprint"),
)
"""A finding and its evidence, stored when they were first observed, at `observed_at`.

`fingerprint` is the digest by which an equal result is found. It is NULL if later observations may
not repeat this result.
"""


OBSERVATION = Table(
    "observation",
    METADATA,
    Column("run_id", Integer, cascading_foreign_key("audit_run.id"), primary_key=True),
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("checked_after", MicrosecondInterval, nullable=False),
    Column("result_id", BigInteger, nullable=False),
    Column("presence", SmallInteger, nullable=False),
    Column("probe_version", SmallInteger, nullable=False),
    Column("response_seconds", Integer),
    sqlite_with_rowid=False,
)
"""One check of an account in a run. Rows never change.

`checked_after` is the time since the start of the run. `response_seconds` is how long the page
took; NULL if the result has no such fact.

`account_id` and `result_id` have no foreign key: a removal would then read all rows, or every run
would write to an index of all rows. Code that removes accounts removes these rows first
(`storage.observations.rows.delete_observations`).
"""
# There is no foreign key (see above), but erasure finds observations by their account.
OBSERVATION.add_is_dependent_on(ACCOUNT)

CHECK_TIMES = Table(
    "account_check_times",
    METADATA,
    Column("account_id", Integer, cascading_foreign_key("account.id"), primary_key=True),
    Column("checked_at", MicrosecondTimestamp),
    Column("decided_at", MicrosecondTimestamp),
)
"""The times of an account's last check and of its last conclusive check. Derived."""

DOMAIN_CHECK = Table(
    "domain_check",
    METADATA,
    Column("account_id", Integer, cascading_foreign_key("account.id"), primary_key=True),
    Column("run_id", Integer, cascading_foreign_key("audit_run.id"), primary_key=True),
    Column("domain", String, nullable=False),
    Column("checked_at", UTCDateTime, nullable=False),
    Column("reason", TextEnumType(Reason)),
    Column("answered_at", UTCDateTime),
    Column("expires_on", Date),
    Column("other_expiry", Date),
    Column("statuses", String, nullable=False),
)
"""The registration of a website's domain as of a run that asked its registry.

A run adds a row about once a week, and after a failure. The row repeats the last answer, so the
newest row of an account is enough.
"""
