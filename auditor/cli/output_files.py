"""Files that commands write: in which format, and whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, get_args

from auditor.cli.output import unbroken
from auditor.core.errors import InputError, UsageError

Format = Literal["csv", "xlsx", "json"]
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
PRIVATE, PUBLIC = 0o600, 0o666
"""Who may read a file: its owner, or whoever the operator's umask lets."""


def format_of(
    form: Format | None, target: Path | None, known: tuple[Format, ...] = get_args(Format)
) -> Format:
    """The format that is asked for, else the one that the name ends in, else CSV. Raises InputError."""
    if form:
        return form
    if target is None:
        return "csv"
    found = next((one for one in known if target.suffix.lower() == f".{one}"), None)
    if found is None:
        ends = ", ".join(f".{one}" for one in known)
        raise InputError(str(target), f"its name ends in none of {ends}", f"{target.stem}.csv")
    return found


def refuse_long(delimiter: str) -> None:
    """Raise UsageError where this cannot part the cells of CSV."""
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise UsageError(
            f'--delimiter "{delimiter}"', "it is one character that parts cells", '--delimiter ";"'
        )


def give_bytes(pieces: Iterable[bytes], *, is_text: bool) -> None:
    """Write to standard output. Raises InputError: a terminal cannot show what is no text."""
    if not is_text and sys.stdout.isatty():
        raise InputError("a workbook", "a terminal cannot show it", "a file's name")
    with unbroken(sys.stdout.buffer) as out:
        out.writelines(pieces)


def write(
    pieces: Iterable[bytes], target: Path, *, private: bool = False, written: Callable[[], None] | None = None
) -> None:
    """Write a file whole or not at all; a private one is for its owner alone. Raises InputError.

    `written` is called when all of it lies on the disk, before it has its name.
    """
    unfinished = target.with_name(f"{target.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, NEW, PRIVATE if private else PUBLIC), "wb") as out:
            out.writelines(pieces)
            out.flush()
            os.fsync(out.fileno())
        if written:
            written()
        unfinished.replace(target)
    except OSError as trouble:
        raise InputError(
            str(target), (trouble.strerror or "cannot be written").lower(), "another path"
        ) from None
