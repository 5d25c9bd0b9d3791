"""The mark by which workers see that they have the leader's data folder: bodies are kept in one archive."""

from __future__ import annotations

import secrets
from pathlib import Path

from auditor.core.errors import ConfigError

MARK = "folder.mark"


def marked(folder: Path) -> str:
    """The mark of a folder, made where there is none. Raises ConfigError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / MARK).open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    except OSError as trouble:
        raise ConfigError(
            str(folder), (trouble.strerror or "it cannot be written").lower(), "mend it"
        ) from None
    return mark_of(folder)


def mark_of(folder: Path) -> str:
    """The mark of a folder, empty where it has none."""
    try:
        return (folder / MARK).read_text("ascii")
    except OSError:
        return ""


def refuse_another(folder: Path, mark: str) -> None:
    """Raise ConfigError where a folder is not the one with this mark."""
    if mark_of(folder) != mark:
        why = "it is not the data folder of the machine that leads the night"
        raise ConfigError(f"[storage] folder: {folder}", why, "mount that one here, under the same name")
