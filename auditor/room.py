"""Whether a night may begin: the database is whole, and there is room for what it will keep."""

from __future__ import annotations

import shutil
from pathlib import Path

from auditor.backups import naming_the_newest
from auditor.config import Config
from auditor.errors import RoomError
from storage.store import Store

MIB = 1 << 20


def refuse_without(config: Config, store: Store) -> None:
    """Raise RoomError where the disk is too full to begin, a StoreError where the database is damaged.

    The opening reads a small database whole; a large one is read here.
    """
    folders = {config.storage.folder, *([store.file.parent] if store.file else [])}
    for folder in filter(Path.exists, folders):
        refuse_little(folder, config.storage.min_free)
    if store.is_large:
        with naming_the_newest(config):
            store.check()


def refuse_little(folder: Path, least: int) -> None:
    """Raise RoomError where fewer bytes are free on the disk that a folder lies on."""
    free = shutil.disk_usage(folder).free
    if free < least:
        why = f"{free // MIB} MiB are free, fewer than [storage] min_free ({least // MIB} MiB)"
        raise RoomError(str(folder), f"{why}; the night is not begun", "make room, or `auditor thin`")
