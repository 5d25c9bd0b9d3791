"""What workers on many machines share while a night goes on; taken away when it ends."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Integer
from sqlmodel import Field, SQLModel

from storage.tables import flag_column, instant_column, json_column, moment_column, reference, table_of


class SweepTable(SQLModel, table=True):
    """The night that workers are at: until when, what they have told, and by what they know the folder."""

    __tablename__: ClassVar[Any] = "sweep"

    night_id: int = Field(
        sa_column=Column(Integer, reference("night.id"), primary_key=True, autoincrement=False)
    )
    ends_at: datetime | None = instant_column()
    is_closed: bool = flag_column()
    mark: str
    told: dict[str, Any] = json_column()


class TurnTable(SQLModel, table=True):
    """When a host may be asked again, by the number of its name, and whether somebody asks it.

    On PostgreSQL it is not logged.
    """

    __tablename__: ClassVar[Any] = "turn"

    host: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    free_at: datetime = moment_column()
    is_asked: bool = flag_column()


SWEEP = table_of(SweepTable)
TURN = table_of(TurnTable)
