"""Store uploaded spreadsheets until they are imported or discarded, for at most one day."""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

UPLOAD_TIME_FORMAT = "%Y%m%d%H%M%S"
UPLOAD_NAME_PATTERN = re.compile(r"\d{14}-[A-Za-z0-9_-]{22}")
MAX_UPLOAD_AGE = timedelta(days=1)
"""How long an uploaded spreadsheet waits for its import."""
MAX_STORED_UPLOADS = 20
"""Uploaded spreadsheets that wait for their import. The oldest is deleted for a further one."""


@dataclass(frozen=True, slots=True)
class UploadStore:
    """Uploaded spreadsheets in a folder.

    File names contain the time of the upload and a random part, so they cannot be guessed.
    """

    folder: Path

    def save(self, data: bytes, now: datetime) -> str:
        """Save a spreadsheet and return its name. Deletes expired and surplus uploads."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        uploads = sorted(self._list_files())  # names begin with their time
        surplus = max(0, len(uploads) - MAX_STORED_UPLOADS + 1)
        for number, path in enumerate(uploads):
            if number < surplus or _is_expired(path.name, now):
                path.unlink(missing_ok=True)
        name = f"{now.astimezone(UTC).strftime(UPLOAD_TIME_FORMAT)}-{secrets.token_urlsafe(16)}"
        file = self.folder / name
        file.touch(mode=0o600, exist_ok=False)
        file.write_bytes(data)
        return name

    def find(self, name: str, now: datetime) -> Path | None:
        """Return the path of an upload, or None if it is missing, expired or not a valid name."""
        if not UPLOAD_NAME_PATTERN.fullmatch(name) or _is_expired(name, now):
            return None
        path = self.folder / name
        return path if path.is_file() else None

    def delete(self, name: str) -> None:
        """Delete an upload if it exists."""
        if UPLOAD_NAME_PATTERN.fullmatch(name):
            self.folder.joinpath(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all uploads."""
        for path in self._list_files():
            path.unlink(missing_ok=True)

    def _list_files(self) -> list[Path]:
        return [p for p in self.folder.glob("*") if UPLOAD_NAME_PATTERN.fullmatch(p.name)]


def _is_expired(name: str, now: datetime) -> bool:
    try:
        uploaded_at = datetime.strptime(name[:14], UPLOAD_TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return True
    return uploaded_at <= now - MAX_UPLOAD_AGE
