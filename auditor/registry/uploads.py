"""Sheets that were brought in and wait to be taken over or dropped: files that are forgotten after a day."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

STAMP = "%Y%m%d%H%M%S"
NAME = re.compile(r"\d{14}-[A-Za-z0-9_-]{22}")
KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Uploads:
    """The sheets that wait in a folder. Their names cannot be guessed, and tell when they came."""

    folder: Path

    def keep(self, data: bytes, now: datetime) -> str:
        """Keep a sheet and give its name; those of before yesterday are forgotten."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep(now)
        name = f"{now.astimezone(UTC).strftime(STAMP)}-{secrets.token_urlsafe(16)}"
        self.folder.joinpath(name).write_bytes(data)
        return name

    def find(self, name: str, now: datetime) -> Path | None:
        """The file of this name, as long as it waits."""
        path = self.folder / name
        return path if NAME.fullmatch(name) and not _is_old(name, now) and path.is_file() else None

    def forget(self, name: str) -> None:
        """Remove a sheet; one that is not there stays so."""
        if NAME.fullmatch(name):
            self.folder.joinpath(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove every sheet that waits."""
        for path in self.folder.glob("*"):
            if NAME.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _sweep(self, now: datetime) -> None:
        for path in self.folder.iterdir():
            if NAME.fullmatch(path.name) and _is_old(path.name, now):
                path.unlink(missing_ok=True)


def _is_old(name: str, now: datetime) -> bool:
    try:
        came = datetime.strptime(name[:14], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return True
    return not now - KEPT < came
