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

from auditor import __version__, config
from auditor.config import Config
from auditor.doctor import machine, memory, settings, way
from auditor.doctor.asking import Heard
from auditor.doctor.finding import Examined, broken, fine
from auditor.errors import ConfigError
from auditor.messages import phrase

__all__ = ["Examined", "examine"]

Listen = Callable[[Config, datetime], Heard]
"""Asks a few on the web; `auditor.doctor.asking.heard` is one."""


def examine(path: Path | None, now: datetime, listen: Listen | None = None) -> Iterator[Examined]:
    """Look at everything, in the order in which one thing needs another. Without `listen` nobody is asked."""
    version, python = __version__, sys.version.split()[0]
    yield fine(phrase("auditor"), phrase("{version} on Python {python}"), version=version, python=python)
    try:
        read = config.load(path)
    except ConfigError as trouble:
        yield broken(phrase("configuration"), phrase("{trouble}"), trouble=str(trouble))
        return
    yield from settings.examined(path, read)
    yield from way.examined(read, listen(read, now) if listen else None)
    yield from machine.examined(read)
    yield from memory.examined(read, now)
