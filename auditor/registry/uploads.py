"""Uploaded spreadsheets that wait for their import, for at most one day."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

UPLOAD_NAME_PATTERN = re.compile(r"\d{14}-[A-Za-z0-9_-]{22}")
MAX_UPLOAD_AGE = timedelta(days=1)
"""How long an uploaded spreadsheet waits for its import."""


@dataclass(frozen=True, slots=True)
class UploadStore:
    """Uploaded spreadsheets in a folder.

    File names contain the time of the upload and a random part, so they cannot be guessed.
    """

    folder: Path

    def save(self, data: bytes, now: datetime) -> str:
        """Save a spreadsheet and return its name. Deletes expired uploads."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.clear(until=now - MAX_UPLOAD_AGE)
        name = f"{_format_upload_time(now)}-{secrets.token_urlsafe(16)}"
        file = self.folder / name
        file.touch(mode=0o600, exist_ok=False)
        file.write_bytes(data)
        return name

    def find(self, name: str, now: datetime) -> Path | None:
        """Return the path of an upload, or None if it is missing, expired or not a valid name."""
        is_expired = name[:14] <= _format_upload_time(now - MAX_UPLOAD_AGE)
        if is_expired or not UPLOAD_NAME_PATTERN.fullmatch(name):
            return None
        path = self.folder / name
        return path if path.is_file() else None

    def delete(self, name: str) -> None:
        """Delete an upload if it exists."""
        if UPLOAD_NAME_PATTERN.fullmatch(name):
            self.folder.joinpath(name).unlink(missing_ok=True)

    def clear(self, until: datetime | None = None) -> None:
        """Delete all uploads, or those until a time."""
        for path in self.folder.glob("*"):
            if until is None or path.name[:14] <= _format_upload_time(until):
                self.delete(path.name)


def _format_upload_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")
