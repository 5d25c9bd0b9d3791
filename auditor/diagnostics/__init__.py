"""Diagnose the installation, the configuration, the data and the network.

It writes only the data folder if it is missing, and a temporary file. Network problems are never a
failure: they may be over by the next run, which reports them itself.
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
from auditor.diagnostics.network import NetworkAnswers
from auditor.diagnostics.result import DiagnosticResult, failure, ok
from auditor.i18n.catalogs import gettext_noop

__all__ = ["DiagnosticResult", "run_diagnostics"]

NetworkCheck = Callable[[Config, datetime], NetworkAnswers]
"""Asks a few on the web; `auditor.diagnostics.network.check_network` is one."""


def run_diagnostics(
    path: Path | None, now: datetime, network_check: NetworkCheck | None = None
) -> Iterator[DiagnosticResult]:
    """Look at everything, in the order in which one thing needs another. Without `listen` nobody is asked."""
    version, python = __version__, sys.version.split()[0]
    yield ok(
        gettext_noop("auditor"),
        gettext_noop("{version} on Python {python}"),
        version=version,
        python=python,
    )
    try:
        read = schema.load_config(path)
    except ConfigError as trouble:
        yield failure(
            gettext_noop("configuration"), gettext_noop("{trouble}"), trouble=str(trouble)
        )
        return
    yield from environment.diagnose_settings(path, read)
    yield from network.diagnose_network(read, network_check(read, now) if network_check else None)
    yield from environment.diagnose_environment(read)
    yield from data.diagnose_data(read, now)
