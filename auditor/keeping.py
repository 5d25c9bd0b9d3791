"""How long what is kept is kept: the tables `[backup]` and `[keep]` of the configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Backup(BaseModel):
    """Where copies of the database go, how many are kept, and whether each night ends with one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Path("backups")
    keep: int = Field(default=7, ge=1)
    nightly: bool = True


class Keep(BaseModel):
    """For how many days what nothing rests on is kept; 0 is for ever. What was found is always kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bodies: int = Field(default=180, ge=0)
    exchanges: int = Field(default=400, ge=0)
    backups: int = Field(default=90, ge=0)

    @model_validator(mode="after")
    def _bodies_go_first(self) -> Keep:
        if self.exchanges and (not self.bodies or self.exchanges < self.bodies):
            raise ValueError("bodies must go before the exchanges that brought them: bodies <= exchanges")
        return self
