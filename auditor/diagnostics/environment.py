"""Diagnose the settings and this machine: secrets, notifications, disks, limits and languages."""

import asyncio
import errno
import locale
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel

from auditor.app import (
    create_parser_pool,
    explain_listening_error,
    is_port_served,
    list_certificate_files,
    validate_certificate_file,
)
from auditor.checking.checker import create_api_budgets, refuse_broken_parsers
from auditor.config import schema
from auditor.config.schema import Config, StorageSettings, WebSettings
from auditor.core.errors import ConfigError
from auditor.core.runtime import SPARE_FILE_DESCRIPTORS
from auditor.diagnostics.result import DiagnosticResult, build_diagnostic, failure, ok, warning
from auditor.i18n.catalogs import (
    LOCALE_BY_LANGUAGE,
    gettext_noop,
    list_catalog_languages,
    load_message_catalog,
)
from auditor.retention.backups import EVIDENCE_FOLDER_NAME
from storage.database.engine import parse_database_url
from storage.errors import StoreError, build_file_error
from storage.files.spool import require_writable_folder

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Host names of a public address that only this machine can open, as for a trial."""
OTHER_USERS_MODE = 0o007
"""The permission bits of all other users of the machine."""


def diagnose_settings(path: Path | None, config: Config) -> Iterator[DiagnosticResult]:
    """Yield the results for the configuration file, the environment, secrets and notifications."""
    yield _diagnose_config_file(schema.find_config_file(path, os.environ), len(config.rules))
    for name in schema.find_unused_variables(os.environ):
        unused = gettext_noop("{name} is not a setting; settings look like {form}")
        yield warning(gettext_noop("environment"), unused, name=name, form="AUDITOR_TABLE__NAME")
    for table, file in list_certificate_files(config):
        yield from _diagnose_ca_file(file, table)
    yield from _diagnose_api_keys(config)
    yield _diagnose_secret_files(config)
    yield from _diagnose_contact(config)
    yield from _diagnose_web_addresses(config.web)
    yield from _diagnose_notifications(config)


def _diagnose_config_file(file: Path | None, rule_count: int) -> DiagnosticResult:
    check = gettext_noop("configuration")
    state = "ok" if rule_count else "warn"
    if file:
        return build_diagnostic(
            check, state, gettext_noop("{file}, rules: {n}"), file=str(file), n=rule_count
        )
    packaged = gettext_noop("built-in example; {command} writes your own")
    return build_diagnostic(check, state, packaged, command="`auditor init`")


def _diagnose_ca_file(file: Path, table: str) -> Iterator[DiagnosticResult]:
    """Yield a failure if the certificate file is invalid, because then no page can be fetched."""
    try:
        validate_certificate_file(file, table)
    except ConfigError as error:
        yield failure(
            gettext_noop("certificate authority"), gettext_noop("{trouble}"), trouble=str(error)
        )


def _diagnose_api_keys(config: Config) -> Iterator[DiagnosticResult]:
    for channel, api_budget in create_api_budgets(config).items():
        yield ok(
            gettext_noop("key of {channel}"),
            gettext_noop("API only, at most {most} {unit} per night"),
            channel=channel,
            most=f"{api_budget.limit:g}",
            unit=api_budget.api.cost_unit,
        )


def _diagnose_secret_files(config: Config) -> DiagnosticResult:
    """Warn if any user of the machine can read a secret. No content is shown."""
    check = gettext_noop("secrets")
    secret_files = [*iter_secret_files(config), *_iter_generated_secret_files(config)]
    private_count = 0
    for file in dict.fromkeys(secret_files):
        if file.suffix == ".key" and (trouble := _find_reading_problem(file)):
            return failure(check, gettext_noop("{trouble}"), trouble=trouble)
        mode = _read_file_mode(file)
        if mode is None:
            continue
        if mode & OTHER_USERS_MODE:
            readable = gettext_noop("any user can read {file}; try {command}")
            return warning(check, readable, file=str(file), command=f"`chmod o= {file}`")
        private_count += 1
    return ok(check, gettext_noop("private files: {n}"), n=private_count)


def _read_file_mode(file: Path) -> int | None:
    """Return the mode of a file, or None if it is missing or cannot be examined.

    Other checks report what cannot be examined.
    """
    try:
        return file.stat().st_mode if file.is_file() else None
    except OSError:
        return None


def _find_reading_problem(file: Path) -> str | None:
    """Return why a file cannot be read, as one line, or None."""
    try:
        with file.open("rb"):
            return None
    except OSError as error:
        return str(build_file_error(error, f"cannot read {file}"))


def iter_secret_files(settings: BaseModel) -> Iterator[Path]:
    """Yield the secret files that settings name, at any depth."""
    for name, value in settings:
        if name.endswith("_file") and name != "ca_file" and value:
            yield Path(value)
        for inner in _list_values(value):
            if isinstance(inner, BaseModel):
                yield from iter_secret_files(inner)


def _list_values(value: object) -> Iterable[object]:
    """Return the values of a mapping or a tuple, or the value itself."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, tuple):
        return value
    return (value,)


def _iter_generated_secret_files(config: Config) -> Iterator[Path]:
    """Yield the keys that the auditor created, and the database, which has people's addresses."""
    yield from sorted(config.storage.folder.glob("*.key"))
    url = parse_database_url(config.storage.url)
    if url.get_backend_name() == "sqlite" and url.database:
        yield Path(url.database)


def _diagnose_contact(config: Config) -> Iterator[DiagnosticResult]:
    """Yield a warning if owners of audited sites cannot reach the operator."""
    if not config.fetch.contact and not config.fetch.user_agent:
        empty = gettext_noop("{setting} is empty: owners of audited sites cannot reach you")
        yield warning(gettext_noop("contact"), empty, setting="[fetch] contact")


def _diagnose_web_addresses(web: WebSettings) -> Iterator[DiagnosticResult]:
    """Yield a warning if no one can log in through a proxy, or if report links are not private."""
    check = gettext_noop("web addresses")
    if web.allowed_hosts and not web.trusted_proxies:
        no_proxy = gettext_noop(
            "no one can log in under {hosts}: {setting} is empty; try {example}"
        )
        yield warning(
            check,
            no_proxy,
            hosts=", ".join(web.allowed_hosts),
            setting="[web] trusted_proxies",
            example='`trusted_proxies = ["127.0.0.1"]`',
        )
    public_url = urlsplit(web.public_url)
    if public_url.scheme == "http" and public_url.hostname not in LOOPBACK_HOSTS:
        readable = gettext_noop(
            "{url} has no HTTPS: others on the way can read report links; try {remedy}"
        )
        remedy = f"https://{public_url.netloc}"
        yield warning(check, readable, url=web.public_url, remedy=remedy)


def _diagnose_web_port(config: Config) -> Iterator[DiagnosticResult]:
    """Yield a warning if `auditor serve` could not listen, unless it listens already."""
    host, port = config.web.host, config.web.port
    if port == 0 or is_port_served(config.storage.folder, port):
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        yield warning(
            gettext_noop("web port"),
            gettext_noop("{host} port {port}: {trouble}; {command} needs another {setting}"),
            host=host,
            port=str(port),
            trouble=explain_listening_error(error),
            command="`auditor serve`",
            setting="[web] host / port",
        )


def _diagnose_notifications(config: Config) -> Iterator[DiagnosticResult]:
    """Yield the results for the digest recipients and the monitor."""
    recipients, monitor = config.notify.recipients, config.monitor
    if any(recipient.address for recipient in recipients) and not config.web.public_url:
        no_unsubscribe = gettext_noop(
            "emails have no unsubscribe link because {setting} is not set"
        )
        yield warning(gettext_noop("messages"), no_unsubscribe, setting="[web] public_url")
    elif recipients:
        yield ok(
            gettext_noop("messages"), gettext_noop("digest recipients: {n}"), n=len(recipients)
        )
    if monitor.ping_url is None:
        not_set = gettext_noop("not set: no alert if runs fail; see {setting}")
        yield ok(gettext_noop("monitor"), not_set, setting="[monitor]")
    else:
        yield ok(gettext_noop("monitor"), gettext_noop("notified by {kind}"), kind=monitor.kind)


BYTES_PER_GIB = 1 << 30
LOW_DISK_BYTES = 1 << 30
"""Free bytes below which the doctor warns.

A run of a large registry stores some hundred megabytes.
"""
LOW_TEMP_DISK_BYTES = 100 << 20
"""Free bytes for temporary files below which the doctor warns: uploads and spreadsheets."""
LOW_INODE_SHARE = 0.05
"""Free share of inodes below which the doctor warns: each stored page body is a file."""


def diagnose_environment(config: Config) -> Iterator[DiagnosticResult]:
    """Yield the results for disks, limits and languages."""
    yield _diagnose_data_folder(config.storage)
    yield from _diagnose_folder(gettext_noop("evidence folder"), config.storage.evidence_folder)
    if config.backup.after_run or config.backup.folder.exists():
        check = gettext_noop("backup folder")
        pages_folder = config.backup.folder / EVIDENCE_FOLDER_NAME
        problems = list(_diagnose_folder(check, config.backup.folder))
        yield from problems or _diagnose_folder(check, pages_folder)
    yield from _diagnose_web_port(config)
    yield from _diagnose_temporary_files()
    yield from _diagnose_open_file_limit(config.fetch.concurrency)
    yield _diagnose_languages()


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The free space on the disk of a folder.

    `free_inode_share` is None if the file system does not count inodes.
    """

    free_bytes: int
    free_inode_share: float | None


def get_disk_space(folder: Path) -> DiskSpace:
    """Return the space that a process of this user may still use. Raises OSError."""
    stats = os.statvfs(folder)
    free_inode_share = stats.f_favail / stats.f_files if stats.f_files else None
    return DiskSpace(stats.f_bavail * stats.f_frsize, free_inode_share)


def _diagnose_data_folder(storage: StorageSettings) -> DiagnosticResult:
    check = gettext_noop("data folder")
    folder = storage.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            disk_space = get_disk_space(folder)
    except OSError as error:
        problem = build_file_error(error, f"cannot use {folder}")
        return failure(check, gettext_noop("{trouble}"), trouble=str(problem))
    try:
        _require_access(folder.glob("*.lock"))
    except PermissionError as error:
        return failure(check, gettext_noop("{trouble}"), trouble=str(build_file_error(error)))
    facts = {"folder": str(folder), "free": f"{disk_space.free_bytes / BYTES_PER_GIB:.1f}"}
    if disk_space.free_bytes < storage.min_free_bytes:
        return failure(
            check, gettext_noop("{folder}, {free} GiB free: too little to start a run"), **facts
        )
    free_inode_share = disk_space.free_inode_share
    if free_inode_share is not None and free_inode_share < LOW_INODE_SHARE:
        few_inodes = gettext_noop("{folder}, {free} GiB free, but only {share} of inodes left")
        return warning(check, few_inodes, **facts, share=f"{free_inode_share:.0%}")
    state = "warn" if disk_space.free_bytes <= LOW_DISK_BYTES else "ok"
    return build_diagnostic(check, state, gettext_noop("{folder}, {free} GiB free"), **facts)


def _diagnose_folder(check: str, folder: Path) -> Iterator[DiagnosticResult]:
    """Yield a failure if a folder cannot be read and written, or not be created if it is missing.

    A missing folder is created when it is needed. A command that root executed leaves folders that
    the auditor's own user cannot write.
    """
    try:
        require_writable_folder(folder)
        _require_access(_iter_folders(folder))
    except StoreError as error:
        yield failure(check, gettext_noop("{trouble}"), trouble=str(error))
    except OSError as error:
        yield failure(check, gettext_noop("{trouble}"), trouble=str(build_file_error(error)))


def _iter_folders(folder: Path) -> Iterator[str]:
    """Yield the folders in a folder and those in them, such as `archive/3f` and `archive/3f/a2`."""
    if not folder.exists():
        return
    with os.scandir(folder) as entries:
        folders = [entry.path for entry in entries if entry.is_dir()]
    yield from folders
    for parent in folders:
        with os.scandir(parent) as entries:
            yield from [entry.path for entry in entries if entry.is_dir()]


def _require_access(paths: Iterable[str | Path]) -> None:
    """Raise PermissionError for the first file or folder that cannot be read and written."""
    for path in paths:
        needed = os.R_OK | os.W_OK | (os.X_OK if Path(path).is_dir() else 0)
        if not os.access(path, needed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _diagnose_temporary_files() -> Iterator[DiagnosticResult]:
    """Yield a failure or a warning if temporary files cannot be written or have little space."""
    check = gettext_noop("temporary files")
    try:
        with tempfile.NamedTemporaryFile() as file:
            disk_space = get_disk_space(Path(file.name).parent)
    except OSError as error:
        yield failure(check, gettext_noop("{trouble}"), trouble=str(error))
        return
    if disk_space.free_bytes < LOW_TEMP_DISK_BYTES:
        yield warning(
            check,
            gettext_noop("{folder}, {free} MiB free"),
            folder=tempfile.gettempdir(),
            free=str(disk_space.free_bytes >> 20),
        )


def _diagnose_open_file_limit(concurrency: int) -> Iterator[DiagnosticResult]:
    """Yield a warning if the process may open too few files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = concurrency + SPARE_FILE_DESCRIPTORS
    if limit != resource.RLIM_INFINITY and limit < needed:
        too_low = gettext_noop("limit {most}; up to {needed} may be needed")
        yield warning(gettext_noop("open files"), too_low, most=str(limit), needed=str(needed))


ParserCheck = Callable[[], None]
"""Starts parser processes and raises ConfigError if they cannot work: `check_parsers`."""


def check_parsers() -> None:
    """Parse a large page in a parser process with its real limits. Raises ConfigError."""
    asyncio.run(_check_parsers())


async def _check_parsers() -> None:
    async with create_parser_pool() as parser_pool:
        await refuse_broken_parsers(parser_pool)


def diagnose_parsers(parser_check: ParserCheck) -> DiagnosticResult:
    """Return a failure if parser processes cannot work, because a run would refuse to start."""
    check = gettext_noop("reading of pages")
    try:
        parser_check()
    except (ConfigError, OSError) as error:  # also if no process can be started
        return failure(check, gettext_noop("{trouble}"), trouble=str(error))
    return ok(check, gettext_noop("a large page can be read"))


def _diagnose_languages() -> DiagnosticResult:
    """Check that each language has translations and that the terminal reports UTF-8."""
    check = gettext_noop("languages")
    untranslated = [
        language for language in list_catalog_languages() if not len(load_message_catalog(language))
    ]
    if untranslated:
        return failure(
            check,
            gettext_noop("no translations for {languages}"),
            languages=", ".join(untranslated),
        )
    languages = ", ".join(LOCALE_BY_LANGUAGE)
    if sys.stdout.isatty() and locale.getencoding().lower().replace("-", "") != "utf8":
        not_utf8 = gettext_noop("{languages}; the terminal doesn’t report UTF-8: try {command}")
        return warning(check, not_utf8, languages=languages, command="`LANG=C.UTF-8`")
    return ok(check, gettext_noop("{languages}, in UTF-8"), languages=languages)
