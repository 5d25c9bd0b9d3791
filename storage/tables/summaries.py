"""Tables of the read model. All of them are derived.

None has a foreign key to `association`. If an association is pruned, its rows and its part of the
counts are removed when its summary is next refreshed, because it is marked in `stale_summary`.
"""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, Integer, Text
from sqlmodel import Field

from storage.models.summaries import AssociationSummary
from storage.tables.core import (
    StoredModel,
    cascading_foreign_key,
    get_table,
    json_column,
    json_model_column,
    optional_datetime_column,
)

BYTEWISE_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared byte by byte, so that a prefix is one range on PostgreSQL too."""


class AssociationSummaryTable(StoredModel, table=True):
    """An association as lists show it, with its sort keys. `search_terms` is " word word "."""

    __tablename__: ClassVar[Any] = "association_summary"
    __table_args__ = (
        Index(None, "urgency", "association"),
        Index(None, "sort_name", "association"),
        Index(None, "change_order", "association"),
        Index(None, "valid_until"),
    )

    association: str = Field(primary_key=True)
    summary: AssociationSummary = json_model_column(AssociationSummary)
    facets: dict[str, int] = json_column()
    search_terms: str
    urgency: int = Field(sa_column=Column(BigInteger, nullable=False))
    sort_name: str = Field(sa_column=Column(BYTEWISE_TEXT, nullable=False))
    change_order: int = Field(sa_column=Column(BigInteger, nullable=False))
    valid_until: date | None = None


class AssociationFacetTable(StoredModel, table=True):
    """A facet by which an association is found. The key returns them by urgency."""

    __tablename__: ClassVar[Any] = "association_facet"
    __table_args__ = ({"sqlite_with_rowid": False},)

    facet: str = Field(sa_column=Column(BYTEWISE_TEXT, primary_key=True))
    urgency: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    association: str = Field(primary_key=True)


class FacetCountTable(StoredModel, table=True):
    """The number of associations of a group with a facet."""

    __tablename__: ClassVar[Any] = "facet_count"
    __table_args__ = ({"sqlite_with_rowid": False},)

    group_name: str = Field(primary_key=True)
    facet: str = Field(sa_column=Column(BYTEWISE_TEXT, primary_key=True))
    count: int


class RunFacetCountTable(StoredModel, table=True):
    """The number of associations of a group with a coverage facet in an evaluated run."""

    __tablename__: ClassVar[Any] = "run_facet_count"

    run_id: int = Field(
        sa_column=Column(
            Integer, cascading_foreign_key("audit_run.id"), primary_key=True, autoincrement=False
        )
    )
    group_name: str = Field(primary_key=True)
    facet: str = Field(primary_key=True)
    count: int


class StaleSummaryTable(StoredModel, table=True):
    """An association whose summary must be refreshed. Every change sets another `change_token`."""

    __tablename__: ClassVar[Any] = "stale_summary"

    association: str = Field(primary_key=True)
    change_token: str


class SummaryVersionTable(StoredModel, table=True):
    """The versions that the summaries were made with. The table has one row."""

    __tablename__: ClassVar[Any] = "summary_version"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    evaluation_version: str
    run_started_at: datetime | None = optional_datetime_column()


ASSOCIATION_SUMMARY = get_table(AssociationSummaryTable)
ASSOCIATION_FACET = get_table(AssociationFacetTable)
FACET_COUNT = get_table(FacetCountTable)
RUN_FACET_COUNT = get_table(RunFacetCountTable)
STALE_SUMMARY = get_table(StaleSummaryTable)
SUMMARY_VERSION = get_table(SummaryVersionTable)
