"""The tables of reading at scale. All are derived, and nothing outside `storage` sees them.

None of them refers to an association's row: what a pruned one leaves is taken away, and out of the sums, when
its summary is made anew, as `stale` says it must be.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, Integer, Text
from sqlmodel import Field, SQLModel

from storage.models.summaries import Summary
from storage.tables.core import instant_column, json_column, noun_column, reference, table_of

BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared byte by byte, so that all that begins alike stands together on PostgreSQL too."""


class SummaryTable(SQLModel, table=True):
    """One association as a list shows it, with its place in each order; `words` as " word word "."""

    __tablename__: ClassVar[Any] = "summary"
    __table_args__ = (
        Index(None, "urgency", "association"),
        Index(None, "sorted", "association"),
        Index(None, "changed", "association"),
        Index(None, "until"),
    )

    association: str = Field(primary_key=True)
    summary: Summary = noun_column(Summary)
    facets: dict[str, int] = json_column()
    words: str
    urgency: int = Field(sa_column=Column(BigInteger, nullable=False))
    sorted: str = Field(sa_column=Column(BYTEWISE, nullable=False))
    changed: int = Field(sa_column=Column(BigInteger, nullable=False))
    until: date | None = None


class FacetTable(SQLModel, table=True):
    """What an association is found by. With its urgency in the key, who is found comes in that order."""

    __tablename__: ClassVar[Any] = "facet"
    __table_args__ = ({"sqlite_with_rowid": False},)

    facet: str = Field(sa_column=Column(BYTEWISE, primary_key=True))
    urgency: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    association: str = Field(primary_key=True)


class TallyTable(SQLModel, table=True):
    """How often a facet is met in a cohort."""

    __tablename__: ClassVar[Any] = "tally"
    __table_args__ = ({"sqlite_with_rowid": False},)

    cohort: str = Field(primary_key=True)
    facet: str = Field(sa_column=Column(BYTEWISE, primary_key=True))
    count: int


class FigureTable(SQLModel, table=True):
    """How often a facet of the coverage was met in a cohort on a concluded night."""

    __tablename__: ClassVar[Any] = "figure"

    night_id: int = Field(
        sa_column=Column(Integer, reference("night.id"), primary_key=True, autoincrement=False)
    )
    cohort: str = Field(primary_key=True)
    facet: str = Field(primary_key=True)
    count: int


class StaleTable(SQLModel, table=True):
    """An association whose summary must be made anew; `mark` is another with each change."""

    __tablename__: ClassVar[Any] = "stale"

    association: str = Field(primary_key=True)
    mark: str


class BasisTable(SQLModel, table=True):
    """By what the summaries were made; one row."""

    __tablename__: ClassVar[Any] = "basis"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    basis: str
    began: datetime | None = instant_column()


SUMMARY = table_of(SummaryTable)
FACET = table_of(FacetTable)
TALLY = table_of(TallyTable)
FIGURE = table_of(FigureTable)
STALE = table_of(StaleTable)
BASIS = table_of(BasisTable)
