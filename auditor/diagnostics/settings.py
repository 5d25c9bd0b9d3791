"""What the doctor says of the configuration: what is set, and what is set and does nothing."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from auditor.checking.checker import purses
from auditor.config import schema
from auditor.config.schema import Config
from auditor.diagnostics.result import Examined, broken, fine, found, odd
from auditor.i18n.catalogs import phrase
from storage.database.engine import address_of

OTHERS = 0o007
"""What a file lets every user of the machine do."""


def examined(path: Path | None, read: Config) -> Iterator[Examined]:
    """The file, the environment, the secrets, and who is told."""
    yield _file(schema.find(path, os.environ), len(read.rules))
    for name in schema.unused(os.environ):
        nothing = phrase("{name} sets nothing; a setting is {form}")
        yield odd(phrase("environment"), nothing, name=name, form="AUDITOR_TABLE__NAME")
    if read.fetch.ca_file:
        yield from _authority(Path(read.fetch.ca_file))
    yield from _keys(read)
    yield _secrets(read)
    yield from _told(read)


def _file(file: Path | None, rules: int) -> Examined:
    about, state = phrase("configuration"), "ok" if rules else "warn"
    if file:
        return found(about, state, phrase("{file}, {n} rules"), file=str(file), n=rules)
    packaged = phrase("the packaged example; {command} writes your own")
    return found(about, state, packaged, command="`auditor init`")


def _authority(file: Path) -> Iterator[Examined]:
    """A word only where it cannot be used: then no page at all can be asked for."""
    if not file.is_file():
        yield broken(phrase("authority"), phrase("there is no file {file}"), file=str(file))
        return
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError:
        yield broken(phrase("authority"), phrase("there is no certificate in {file}"), file=str(file))


def _keys(read: Config) -> Iterator[Examined]:
    for name, purse in purses(read).items():
        alone = phrase("its interface alone is asked, for at most {most} {unit} a night")
        most, unit = f"{purse.budget:g}", purse.interface.unit
        yield fine(phrase("key of {channel}"), alone, channel=name, most=most, unit=unit)


def _secrets(read: Config) -> Examined:
    """Whether what nobody should read can be read by everybody. Nothing of it is shown."""
    held = [file for file in (*secret_files(read), *_kept(read)) if file.is_file()]
    bare = [file for file in held if file.stat().st_mode & OTHERS]
    if bare:
        command = f"`chmod o= {bare[0]}`"
        open_ = phrase("every user may read {file}; try {command}")
        return odd(phrase("secrets"), open_, file=str(bare[0]), command=command)
    return fine(phrase("secrets"), phrase("files that no other user may read: {n}"), n=len(held))


def secret_files(table: BaseModel) -> Iterator[Path]:
    """The files that settings name to hold a secret, at any depth."""
    for name, value in table:
        if name.endswith("_file") and name != "ca_file" and value:
            yield Path(value)
        for inner in (
            value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
        ):
            if isinstance(inner, BaseModel):
                yield from secret_files(inner)


def _kept(read: Config) -> Iterator[Path]:
    """The keys that the auditor made itself, and the database, which has people's addresses."""
    yield from sorted(read.storage.folder.glob("*.key"))
    address = address_of(read.storage.url)
    if address.get_backend_name() == "sqlite" and address.database:
        yield Path(address.database)


def _told(read: Config) -> Iterator[Examined]:
    """Whether somebody is told, and can end it; whether somebody rings when no night ends."""
    recipients, monitor = read.notify.recipients, read.monitor
    if any(one.address for one in recipients) and not read.web.public_url:
        unending = phrase("mails carry no link that ends them without {setting}")
        yield odd(phrase("messages"), unending, setting="[web] public_url")
    elif recipients:
        yield fine(phrase("messages"), phrase("recipients of the digest: {n}"), n=len(recipients))
    if monitor.ping_url is None:
        nobody = phrase("none: nobody rings when no night ends; see {setting}")
        yield fine(phrase("monitor"), nobody, setting="[monitor]")
    else:
        yield fine(phrase("monitor"), phrase("pinged as {kind}"), kind=monitor.kind)
