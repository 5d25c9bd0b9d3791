"""Diagnose the settings and this machine: secrets, notifications, disks and limits."""

import asyncio
import errno
import os
import resource
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from auditor.app import create_parser_pool, list_certificate_files, validate_certificate_file
from auditor.checking.checker import create_api_budgets, refuse_broken_parsers
from auditor.config import schema
from auditor.config.loader import iter_settings
from auditor.config.schema import Config, StorageSettings, WebSettings
from auditor.core.runtime import SPARE_FILE_DESCRIPTORS
from auditor.retention import EVIDENCE_FOLDER_NAME
from probes.links.channel_registry import is_optional_channel
from storage.database.engine import parse_database_url
from storage.files.durable_files import require_writable_folder

LOW_DISK_BYTES = 1 << 30
"""Free bytes below which the doctor warns.

A run of a large registry stores some hundred megabytes.
"""
Results = Iterable[tuple[str, str]]


def list_setting_checks(path: Path | None, config: Config) -> Iterator[tuple[str, Results]]:
    """Yield the checks of the configuration file, the environment, secrets and notifications."""
    file, state = schema.find_config_file(path, os.environ), "ok" if config.rules else "warn"
    text = f"{file}, rules: {len(config.rules)}"
    yield (
        "configuration",
        [(state, text if file else "built-in example; `auditor init` writes your own")],
    )
    for name in schema.find_unused_variables(os.environ):
        reason = "is not a setting; settings look like AUDITOR_TABLE__NAME"
        yield "environment", [("warn", f"{name} {reason}")]
    if left_out := config.unaudited_channels:
        state = "ok" if all(map(is_optional_channel, left_out)) else "warn"
        yield "channels", [(state, f"not audited: {', '.join(left_out)} (enabled = false)")]
    for table, file in list_certificate_files(config):
        yield "certificate authority", _check_certificates(file, table)
    for channel, budget in create_api_budgets(config).items():
        text = f"not tried; API only, at most {budget.limit:g} {budget.api.cost_unit} per night"
        yield f"key of {channel}", [("ok", text)]
    yield "secrets", _check_secret_files(config)
    if not config.fetch.contact and not config.fetch.user_agent:
        text = "[fetch] contact is empty: owners of audited sites cannot reach you"
        yield "contact", [("warn", text)]
    yield "web addresses", _check_web_addresses(config.web)
    recipients = config.notify.recipients
    if any(recipient.address for recipient in recipients) and not config.web.public_url:
        text = "emails have no unsubscribe link because [web] public_url is not set"
        yield "messages", [("warn", text)]
    elif recipients:
        yield "messages", [("ok", f"digest recipients: {len(recipients)}")]
    unset = "not set: no alert if runs fail; see [monitor]"
    text = unset if config.monitor.ping_url is None else f"notified by {config.monitor.kind}"
    yield "monitor", [("ok", text)]


def list_machine_checks(config: Config) -> Iterator[tuple[str, Results]]:
    """Yield the checks of disks and limits."""
    yield "data folder", _check_data_folder(config.storage)
    yield "evidence folder", _check_folders(config.storage.evidence_folder)
    if config.backup.after_run or config.backup.folder.exists():
        folder = config.backup.folder
        yield "backup folder", _check_folders(folder, folder / EVIDENCE_FOLDER_NAME)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = config.fetch.concurrency + SPARE_FILE_DESCRIPTORS
    if limit != resource.RLIM_INFINITY and limit < needed:
        yield "open files", [("warn", f"limit {limit}; up to {needed} may be needed")]


def _check_certificates(file: Path, table: str) -> Results:
    """Fail if the certificate file is invalid, because then no page can be fetched."""
    validate_certificate_file(file, table)
    yield from ()


def _check_secret_files(config: Config) -> Results:
    """Warn if any user of the machine can read a secret. No content is shown."""
    files = [*iter_secret_files(config), *sorted(config.storage.folder.glob("*.key"))]
    url = parse_database_url(config.storage.url)
    if url.get_backend_name() == "sqlite" and url.database:
        files.append(Path(url.database))  # it has people's addresses
    private_count = 0
    for file in dict.fromkeys(files):
        if file.suffix == ".key":
            file.open("rb").close()
        with suppress(OSError):  # other checks report what cannot be examined
            if file.stat().st_mode & stat.S_IRWXO:
                yield "warn", f"any user can read {file}; try `chmod o= {file}`"
                return
            private_count += 1
    yield "ok", f"private files: {private_count}"


def iter_secret_files(config: Config) -> Iterator[Path]:
    """Yield the secret files that settings name, at any depth."""
    for (*_, name), table in iter_settings(config.model_dump()):
        if name.endswith("_file") and name != "ca_file" and table[name]:
            yield Path(table[name])


def _check_web_addresses(web: WebSettings) -> Results:
    """Warn if no one can log in through a proxy, or if report links are not private."""
    if web.allowed_hosts and not web.trusted_proxies:
        reason = '[web] trusted_proxies is empty; try `trusted_proxies = ["127.0.0.1"]`'
        yield "warn", f"no one can log in under {', '.join(web.allowed_hosts)}: {reason}"
    public_url = urlsplit(web.public_url)
    if public_url.hostname in web.allowed_hosts:
        reason = "report links need a name of their own, under which no one can log in"
        yield "warn", f"{public_url.hostname} is in [web] allowed_hosts and public_url: {reason}"
    is_trial = public_url.hostname in {"localhost", "127.0.0.1", "::1"}
    if public_url.scheme == "http" and not is_trial:
        reason = "others on the way can read report links"
        yield "warn", f"{web.public_url} has no HTTPS: {reason}; try https://{public_url.netloc}"


def _check_data_folder(storage: StorageSettings) -> Results:
    folder = storage.folder
    folder.mkdir(parents=True, exist_ok=True)
    require_writable_folder(folder)
    free_bytes = shutil.disk_usage(folder).free
    _require_access(folder.glob("*.lock"))
    text = f"{folder}, {free_bytes / (1 << 30):.1f} GiB free"
    if free_bytes < storage.min_free_bytes:
        yield "fail", f"{text}: too little to start a run"
    else:
        yield "warn" if free_bytes <= LOW_DISK_BYTES else "ok", text


def _check_folders(*folders: Path) -> Results:
    """Fail if a folder cannot be read and written, or not be created if it is missing.

    A missing folder is created when it is needed. A command that root executed leaves folders that
    the auditor's own user cannot write.
    """
    for folder in folders:
        require_writable_folder(folder)
        # the folders in it and those in them, such as `archive/3f` and `archive/3f/a2`
        _require_access([*folder.glob("*/"), *folder.glob("*/*/")])
    yield from ()


def _require_access(paths: Iterable[Path]) -> None:
    """Raise PermissionError for the first file or folder that cannot be read and written."""
    for path in paths:
        if not os.access(path, os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def check_parsers() -> None:
    """Parse a large page in a parser process with its real limits. Raises ConfigError."""

    async def check() -> None:
        async with create_parser_pool() as parser_pool:
            await refuse_broken_parsers(parser_pool)

    asyncio.run(check())


def check_parsing(parser_check: Callable[[], None]) -> Results:
    """Fail if parser processes cannot work, because a run would refuse to start."""
    try:
        parser_check()
    except OSError as error:  # also if no process can be started
        yield "fail", str(error)
    else:
        yield "ok", "a large page can be read"
