"""Errors of the storage, each one line: what failed, why, and what to try."""

import errno
import shlex
import sys

RESTORE_REMEDY = "restore a backup"
"""The remedy for an unusable database. A caller that knows the backups replaces it by a command."""


class OneLineError(Exception):
    """An error that an operator can fix. Its text is one line: `subject: reason; try: remedy`."""

    def __init__(self, subject: str, reason: str = "", remedy: str = "") -> None:
        super().__init__(subject)
        self.subject = subject
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.subject}: {self.reason}" if self.reason else self.subject
        if self.remedy:
            text += f"; try: {self.remedy}"
        return " ".join(text.split())


class StoreError(OneLineError):
    """An error of the database or the body store that an operator can fix. It stops a run."""


def build_install_command(requirement: str) -> str:
    """Return the shell command that installs a package for the interpreter that runs.

    Debian refuses a bare `pip install`, and another interpreter would not find the package.
    """
    return shlex.join([sys.executable, "-m", "pip", "install", requirement])


ACCESS_REMEDY = "check its owner and permissions, and those of its folder"
_PATH_BLOCKED = ("a part of this path is a file, not a folder", "use another path")
_FILE_ERRORS = {
    errno.EACCES: ("permission denied", ACCESS_REMEDY),
    errno.EPERM: ("permission denied", ACCESS_REMEDY),
    errno.EROFS: ("the disk is mounted read-only", "mount it for writing, or use another path"),
    errno.ENOSPC: ("no space is left on the disk", "free disk space"),
    errno.EDQUOT: ("the disk quota is used up", "free disk space"),
    errno.ENOENT: ("there is no such file or folder", "check the path"),
    errno.ENOTDIR: _PATH_BLOCKED,
    errno.EEXIST: _PATH_BLOCKED,  # from creating a folder
    errno.EISDIR: ("it is a folder, not a file", "use another path"),
    errno.ENAMETOOLONG: ("the name is too long", "use a shorter name"),
    errno.ELOOP: ("too many links lead to it", "check the path"),
    errno.EIO: ("the disk cannot be read or written", "check the disk"),
    errno.EMFILE: ("too many files are open", "raise the limit (`ulimit -n`)"),
    errno.ENFILE: ("too many files are open", "end other programs"),
}
"""Reason and remedy by error number."""

_DISK_ERRORS = {errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE}
"""Errors that are about files even without a file name. Others may be about the network."""


def is_file_error(error: OSError) -> bool:
    """Return True if an error is about a file or a folder, and an operator can fix it."""
    has_file_name = error.filename is not None
    return error.errno in _FILE_ERRORS and (has_file_name or error.errno in _DISK_ERRORS)


def explain_file_error(error: OSError) -> tuple[str, str]:
    """Return the reason and the remedy of an error of a file or a folder."""
    other = (str(error.strerror or error).lower(), ACCESS_REMEDY)
    return _FILE_ERRORS.get(error.errno or 0, other)


def build_file_error(error: OSError, subject: str | None = None) -> StoreError:
    """Return a StoreError for an error of a file. The default subject names its path."""
    reason, remedy = explain_file_error(error)
    return StoreError(subject or f"cannot use {error.filename or 'a file'}", reason, remedy)


class ChangedMeanwhileError(StoreError):
    """Another process changed or erased the rows of a change meanwhile. Nothing is stored."""

    def __init__(self) -> None:
        super().__init__("nothing was stored", "it was changed meanwhile", "the same again")


class MissingDatabaseError(StoreError):
    """There is no database, or it is empty."""


class LostDatabaseError(MissingDatabaseError):
    """There are backups but no database. Creating a new one would hide the loss."""


class ForeignDatabaseError(StoreError):
    """The file is not a database of the auditor. It is left unchanged."""


class DamagedDatabaseError(StoreError):
    """The database is damaged. It is left unchanged and never created again."""


class NewerDatabaseError(StoreError):
    """A newer version wrote the database; this version would misread it."""


class OutdatedDatabaseError(StoreError):
    """The database has an older schema. A command that only reads does not upgrade it."""


class RunAlreadyDoneError(StoreError):
    """The run of the day is done."""


class LaterRunDoneError(StoreError):
    """The run of a later day is evaluated, so an earlier one cannot be."""


class MissingEvidenceError(StoreError):
    """The body store has no body of this digest: it was pruned, or never stored."""


class DamagedEvidenceError(StoreError):
    """A stored body does not match its digest."""
