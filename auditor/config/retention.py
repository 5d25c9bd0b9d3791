"""How long what is kept is kept: the tables `[backup]` and `[keep]` of the configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

MONTH = 62
"""The fewest days that messages are remembered: a monthly one must not go twice."""


class Backup(BaseModel):
    """Where copies of the database go, how many are kept, and whether a concluded night ends with one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Path("backups")
    keep: int = Field(default=7, ge=1)
    nightly: bool = True


class Keep(BaseModel):
    """For how many days what nothing rests on is kept, and what people left behind; 0 is for ever.

    What was found is always kept. `contacts` counts from the day an association left the sheet, `letters`
    from their end, `replies` from their answer, `subscriptions` from when they were ended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bodies: int = Field(default=180, ge=0)
    exchanges: int = Field(default=400, ge=0)
    backups: int = Field(default=90, ge=0)
    contacts: int = Field(default=365, ge=0)
    letters: int = Field(default=180, ge=0)
    replies: int = Field(default=730, ge=0)
    follow_ups: int = Field(default=1095, ge=0)
    subscriptions: int = Field(default=365, ge=0)
    sent: int = Field(default=400, ge=MONTH)
    trail: int = Field(default=1095, ge=0)

    @model_validator(mode="after")
    def _bodies_go_first(self) -> Keep:
        if self.exchanges and (not self.bodies or self.exchanges < self.bodies):
            raise ValueError("bodies must go before the exchanges that brought them: bodies <= exchanges")
        return self
