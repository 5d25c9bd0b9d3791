"""Whether everything is in order: the installation, the configuration, the data, and the way to the web.

It writes nothing but the data folder, where there is none, and a file that it takes away again. Trouble on
the way to the web is never a failure: what is out of reach tonight may be back tomorrow, and the night tells
of it by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from auditor import __version__
from auditor.config import schema
from auditor.config.schema import Config
from auditor.core.errors import ConfigError
from auditor.diagnostics import data, environment, network
from auditor.diagnostics.network import Heard
from auditor.diagnostics.result import Examined, broken, fine
from auditor.i18n.catalogs import phrase

__all__ = ["Examined", "examine"]

Listen = Callable[[Config, datetime], Heard]
"""Asks a few on the web; `auditor.diagnostics.network.heard` is one."""


def examine(path: Path | None, now: datetime, listen: Listen | None = None) -> Iterator[Examined]:
    """Look at everything, in the order in which one thing needs another. Without `listen` nobody is asked."""
    version, python = __version__, sys.version.split()[0]
    yield fine(phrase("auditor"), phrase("{version} on Python {python}"), version=version, python=python)
    try:
        read = schema.load(path)
    except ConfigError as trouble:
        yield broken(phrase("configuration"), phrase("{trouble}"), trouble=str(trouble))
        return
    yield from environment.examine_settings(path, read)
    yield from network.examined(read, listen(read, now) if listen else None)
    yield from environment.examined(read)
    yield from data.examined(read, now)
