"""Tables of the read model. All of them are derived.

None has a foreign key to `association`. If an association is pruned, its rows and its part of the
counts are removed when its summary is next refreshed, because it is marked in `stale_summary`.
"""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table, Text

from storage.models.summaries import AssociationSummary
from storage.tables.core import (
    METADATA,
    PLAIN_JSON,
    JsonModelType,
    UTCDateTime,
    cascading_foreign_key,
)

BYTEWISE_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared byte by byte, so that a prefix is one range on PostgreSQL too."""

ASSOCIATION_SUMMARY = Table(
    "association_summary",
    METADATA,
    Column("association", String, primary_key=True),
    Column("summary", JsonModelType(AssociationSummary), nullable=False),
    Column("facets", PLAIN_JSON, nullable=False),
    Column("search_terms", String, nullable=False),
    Column("urgency", BigInteger, nullable=False),
    Column("sort_name", BYTEWISE_TEXT, nullable=False),
    Column("change_order", BigInteger, nullable=False),
    Column("valid_until", Date),
    Index(None, "urgency", "association"),
    Index(None, "sort_name", "association"),
    Index(None, "change_order", "association"),
    Index(None, "valid_until"),
)
"""An association as lists show it, with its sort keys. `search_terms` is " word word "."""

ASSOCIATION_FACET = Table(
    "association_facet",
    METADATA,
    Column("facet", BYTEWISE_TEXT, primary_key=True),
    Column("urgency", BigInteger, primary_key=True, autoincrement=False),
    Column("association", String, primary_key=True),
    sqlite_with_rowid=False,
)
"""A facet by which an association is found. The key returns them by urgency."""

FACET_COUNT = Table(
    "facet_count",
    METADATA,
    Column("group_name", String, primary_key=True),
    Column("facet", BYTEWISE_TEXT, primary_key=True),
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""The number of associations of a group with a facet."""

RUN_FACET_COUNT = Table(
    "run_facet_count",
    METADATA,
    Column("run_id", Integer, cascading_foreign_key("audit_run.id"), primary_key=True),
    Column("group_name", String, primary_key=True),
    Column("facet", String, primary_key=True),
    Column("count", Integer, nullable=False),
)
"""The number of associations of a group with a coverage facet in an evaluated run."""

STALE_SUMMARY = Table(
    "stale_summary",
    METADATA,
    Column("association", String, primary_key=True),
    Column("change_token", String, nullable=False),
)
"""An association whose summary must be refreshed. Every change sets another `change_token`."""

SUMMARY_VERSION = Table(
    "summary_version",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("evaluation_version", String, nullable=False),
    Column("run_started_at", UTCDateTime),
)
"""The versions that the summaries were made with. The table has one row."""
