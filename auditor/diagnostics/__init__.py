"""Diagnose the installation, the configuration, the data and the network for `auditor doctor`.

Nothing is written but the data folder, if it is missing, and temporary files. A network problem is
never a failure, because it may be over by the next run, which reports it itself.
"""

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
"""Sends a few requests. `auditor.diagnostics.network.check_network` is the real one."""

ParserCheck = environment.ParserCheck


def run_diagnostics(
    path: Path | None,
    now: datetime,
    network_check: NetworkCheck | None = None,
    parser_check: ParserCheck | None = None,
) -> Iterator[DiagnosticResult]:
    """Yield the result of every check, in the order in which one depends on another.

    `path` is the configuration file. If it cannot be loaded, no further check is made. Without
    `network_check`, no request is sent, and without `parser_check` no process is started.
    """
    version, python = __version__, sys.version.split()[0]
    yield ok(
        gettext_noop("auditor"),
        gettext_noop("{version} on Python {python}"),
        version=version,
        python=python,
    )
    try:
        config = schema.load_config(path)
    except ConfigError as error:
        yield failure(gettext_noop("configuration"), gettext_noop("{trouble}"), trouble=str(error))
        return
    yield from environment.diagnose_settings(path, config)
    network_answers = network_check(config, now) if network_check else None
    yield from network.diagnose_network(config, network_answers)
    yield from environment.diagnose_environment(config)
    if parser_check:
        yield environment.diagnose_parsers(parser_check)
    yield from data.diagnose_data(config, now)
