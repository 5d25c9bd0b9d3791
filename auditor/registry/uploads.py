"""Sheets that were brought in and wait to be taken over or dropped: files that are forgotten after a day."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

UPLOAD_TIME_FORMAT = "%Y%m%d%H%M%S"
UPLOAD_NAME_PATTERN = re.compile(r"\d{14}-[A-Za-z0-9_-]{22}")
UPLOAD_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class UploadStore:
    """The sheets that wait in a folder. Their names cannot be guessed, and tell when they came."""

    folder: Path

    def save(self, data: bytes, now: datetime) -> str:
        """Keep a sheet and give its name; those of before yesterday are forgotten."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._delete_expired(now)
        name = f"{now.astimezone(UTC).strftime(UPLOAD_TIME_FORMAT)}-{secrets.token_urlsafe(16)}"
        self.folder.joinpath(name).write_bytes(data)
        return name

    def find(self, name: str, now: datetime) -> Path | None:
        """The file of this name, as long as it waits."""
        path = self.folder / name
        return (
            path
            if UPLOAD_NAME_PATTERN.fullmatch(name) and not _is_expired(name, now) and path.is_file()
            else None
        )

    def delete(self, name: str) -> None:
        """Remove a sheet; one that is not there stays so."""
        if UPLOAD_NAME_PATTERN.fullmatch(name):
            self.folder.joinpath(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove every sheet that waits."""
        for path in self.folder.glob("*"):
            if UPLOAD_NAME_PATTERN.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _delete_expired(self, now: datetime) -> None:
        for path in self.folder.iterdir():
            if UPLOAD_NAME_PATTERN.fullmatch(path.name) and _is_expired(path.name, now):
                path.unlink(missing_ok=True)


def _is_expired(name: str, now: datetime) -> bool:
    try:
        came = datetime.strptime(name[:14], UPLOAD_TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return True
    return not now - UPLOAD_LIFETIME < came
