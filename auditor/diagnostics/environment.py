"""What the doctor says of the configuration: what is set, and what is set and does nothing.

What the doctor says of this machine: its disks, what it lets a process do, the languages.
"""

from __future__ import annotations

import locale
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from auditor.app import validate_certificate_file
from auditor.checking.checker import create_api_budgets
from auditor.config import schema
from auditor.config.schema import Config, StorageSettings
from auditor.core.errors import ConfigError
from auditor.diagnostics.result import DiagnosticResult, build_diagnostic, failure, ok, warning
from auditor.i18n.catalogs import (
    LOCALE_BY_LANGUAGE,
    gettext_noop,
    list_catalog_languages,
    load_message_catalog,
)
from storage.database.engine import parse_database_url
from storage.errors import build_file_error

OTHER_USERS_MODE = 0o007
"""What a file lets every user of the machine do."""


def diagnose_settings(path: Path | None, config: Config) -> Iterator[DiagnosticResult]:
    """The file, the environment, the secrets, and who is told."""
    yield _diagnose_config_file(schema.find_config_file(path, os.environ), len(config.rules))
    for name in schema.find_unused_variables(os.environ):
        nothing = gettext_noop("{name} is not a setting; settings look like {form}")
        yield warning(gettext_noop("environment"), nothing, name=name, form="AUDITOR_TABLE__NAME")
    if config.fetch.ca_file:
        yield from _diagnose_ca_file(Path(config.fetch.ca_file))
    yield from _diagnose_api_keys(config)
    yield _diagnose_secret_files(config)
    yield from _diagnose_notifications(config)


def _diagnose_config_file(file: Path | None, rule_count: int) -> DiagnosticResult:
    about, state = gettext_noop("configuration"), "ok" if rule_count else "warn"
    if file:
        return build_diagnostic(
            about, state, gettext_noop("{file}, rules: {n}"), file=str(file), n=rule_count
        )
    packaged = gettext_noop("built-in example; {command} writes your own")
    return build_diagnostic(about, state, packaged, command="`auditor init`")


def _diagnose_ca_file(file: Path) -> Iterator[DiagnosticResult]:
    """A word only where it cannot be used: then no page at all can be asked for."""
    try:
        validate_certificate_file(file)
    except ConfigError as error:
        yield failure(
            gettext_noop("certificate authority"), gettext_noop("{trouble}"), trouble=str(error)
        )


def _diagnose_api_keys(config: Config) -> Iterator[DiagnosticResult]:
    for name, purse in create_api_budgets(config).items():
        alone = gettext_noop("API only, at most {most} {unit} per night")
        most, unit = f"{purse.limit:g}", purse.api.cost_unit
        yield ok(gettext_noop("key of {channel}"), alone, channel=name, most=most, unit=unit)


def _diagnose_secret_files(config: Config) -> DiagnosticResult:
    """Whether what nobody should read can be read by everybody. Nothing of it is shown."""
    modes = {
        file: _read_file_mode(file)
        for file in (*iter_secret_files(config), *_iter_generated_secret_files(config))
    }
    held = [file for file, mode in modes.items() if mode is not None]
    bare = [file for file in held if (modes[file] or 0) & OTHER_USERS_MODE]
    if bare:
        command = f"`chmod o= {bare[0]}`"
        open_ = gettext_noop("any user can read {file}; try {command}")
        return warning(gettext_noop("secrets"), open_, file=str(bare[0]), command=command)
    return ok(gettext_noop("secrets"), gettext_noop("private files: {n}"), n=len(held))


def _read_file_mode(file: Path) -> int | None:
    """Return the mode of a file, or None if it is missing or cannot be examined.

    Other checks report what cannot be examined.
    """
    try:
        return file.stat().st_mode if file.is_file() else None
    except OSError:
        return None


def iter_secret_files(settings: BaseModel) -> Iterator[Path]:
    """The files that settings name to hold a secret, at any depth."""
    for name, value in settings:
        if name.endswith("_file") and name != "ca_file" and value:
            yield Path(value)
        for inner in (
            value.values()
            if isinstance(value, dict)
            else value
            if isinstance(value, tuple)
            else [value]
        ):
            if isinstance(inner, BaseModel):
                yield from iter_secret_files(inner)


def _iter_generated_secret_files(config: Config) -> Iterator[Path]:
    """The keys that the auditor made itself, and the database, which has people's addresses."""
    yield from sorted(config.storage.folder.glob("*.key"))
    address = parse_database_url(config.storage.url)
    if address.get_backend_name() == "sqlite" and address.database:
        yield Path(address.database)


def _diagnose_notifications(config: Config) -> Iterator[DiagnosticResult]:
    """Whether somebody is told, and can end it; whether somebody rings when no night ends."""
    recipients, monitor = config.notify.recipients, config.monitor
    if any(one.address for one in recipients) and not config.web.public_url:
        unending = gettext_noop("emails have no unsubscribe link because {setting} is not set")
        yield warning(gettext_noop("messages"), unending, setting="[web] public_url")
    elif recipients:
        yield ok(
            gettext_noop("messages"), gettext_noop("digest recipients: {n}"), n=len(recipients)
        )
    if monitor.ping_url is None:
        not_set = gettext_noop("not set: no alert if runs fail; see {setting}")
        yield ok(gettext_noop("monitor"), not_set, setting="[monitor]")
    else:
        yield ok(gettext_noop("monitor"), gettext_noop("notified by {kind}"), kind=monitor.kind)


LOW_DISK_BYTES = 1 << 30
"""Free bytes under which the doctor warns: a night of a large register keeps some hundred megabytes."""
LOW_TEMP_DISK_BYTES = 100 << 20
"""Free bytes for temporary files under which it warns: uploads and sheets on their way."""
LOW_INODE_SHARE = 0.05
"""The free share of the inodes under which it warns: the archive has a file for each page that is kept."""
SPARE_FILE_DESCRIPTORS = 200
"""Files that are open beside the connections: the database, readers, what Python keeps."""


def diagnose_environment(config: Config) -> Iterator[DiagnosticResult]:
    """The disks, the limits, the languages."""
    yield _diagnose_data_folder(config.storage)
    evidence_folder = config.storage.folder / "archive"
    yield from _diagnose_folder(gettext_noop("evidence folder"), evidence_folder)
    yield from _diagnose_folder(gettext_noop("backup folder"), config.backup.folder)
    yield from _diagnose_temporary_files()
    yield from _diagnose_open_file_limit(config.fetch.concurrency)
    yield _diagnose_languages()


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """What is free on the disk of a folder; `inodes` is a share, None where the disk counts none."""

    free_bytes: int
    free_inode_share: float | None


def get_disk_space(folder: Path) -> DiskSpace:
    """What a process of this user may still take there. Raises OSError."""
    there = os.statvfs(folder)
    share = there.f_favail / there.f_files if there.f_files else None
    return DiskSpace(there.f_bavail * there.f_frsize, share)


def _diagnose_data_folder(storage: StorageSettings) -> DiagnosticResult:
    about, folder = gettext_noop("data folder"), storage.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            left = get_disk_space(folder)
    except OSError as trouble:
        return failure(
            about, gettext_noop("{folder}: {trouble}"), folder=str(folder), trouble=trouble.strerror
        )
    facts = {"folder": str(folder), "free": f"{left.free_bytes / LOW_DISK_BYTES:.1f}"}
    if left.free_bytes < storage.min_free_bytes:
        return failure(
            about, gettext_noop("{folder}, {free} GiB free: too little to start a run"), **facts
        )
    if left.free_inode_share is not None and left.free_inode_share < LOW_INODE_SHARE:
        few = gettext_noop("{folder}, {free} GiB free, but only {share} of inodes left")
        return warning(about, few, **facts, share=f"{left.free_inode_share:.0%}")
    told = warning if left.free_bytes <= LOW_DISK_BYTES else ok
    return told(about, gettext_noop("{folder}, {free} GiB free"), **facts)


def _diagnose_folder(check: str, folder: Path) -> Iterator[DiagnosticResult]:
    """Yield a failure if a folder exists and cannot be read and written.

    A missing folder is created when it is needed.
    """
    try:
        for _ in folder.iterdir():
            break
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except FileNotFoundError:
        return
    except OSError as error:
        problem = build_file_error(error, f"cannot use {folder}")
        yield failure(check, gettext_noop("{trouble}"), trouble=str(problem))


def _diagnose_temporary_files() -> Iterator[DiagnosticResult]:
    """A word only where something is wrong: nothing of ours stays there."""
    about = gettext_noop("temporary files")
    try:
        with tempfile.NamedTemporaryFile() as file:
            left = get_disk_space(Path(file.name).parent)
    except OSError as trouble:
        yield failure(about, gettext_noop("{trouble}"), trouble=str(trouble))
        return
    if left.free_bytes < LOW_TEMP_DISK_BYTES:
        little = gettext_noop("{folder}, {free} MiB free")
        yield warning(about, little, folder=tempfile.gettempdir(), free=str(left.free_bytes >> 20))


def _diagnose_open_file_limit(concurrency: int) -> Iterator[DiagnosticResult]:
    """A word only where too few may be open at once."""
    most, needed = (
        resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        concurrency + SPARE_FILE_DESCRIPTORS,
    )
    if most != resource.RLIM_INFINITY and most < needed:
        said = gettext_noop("limit {most}; up to {needed} may be needed")
        yield warning(gettext_noop("open files"), said, most=str(most), needed=str(needed))


def _diagnose_languages() -> DiagnosticResult:
    """Whether each language can be spoken, and the terminal says that it can show it."""
    about, empty = (
        gettext_noop("languages"),
        [one for one in list_catalog_languages() if not len(load_message_catalog(one))],
    )
    if empty:
        return failure(
            about, gettext_noop("no translations for {languages}"), languages=", ".join(empty)
        )
    spoken = ", ".join(LOCALE_BY_LANGUAGE)
    if sys.stdout.isatty() and locale.getencoding().lower().replace("-", "") != "utf8":
        blind = gettext_noop("{languages}; the terminal doesn’t report UTF-8: try {command}")
        return warning(about, blind, languages=spoken, command="`LANG=C.UTF-8`")
    return ok(about, gettext_noop("{languages}, in UTF-8"), languages=spoken)
