"""Diagnose the installation, the configuration, the data and the network for `auditor doctor`.

A check is a generator of results, each a state and a text: `ok`, `warn` (works, but needs
attention) or `fail`. What it raises is a failure. Nothing is written but the data folder, if it is
missing, and temporary files. A network problem is never a failure, because it may be over by the
next run, which reports it itself.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from auditor import __version__
from auditor.config import schema
from auditor.config.schema import Config
from auditor.core.errors import ConfigError
from auditor.diagnostics import data, environment, network
from storage.errors import StoreError, build_file_error

NetworkCheck = Callable[[Config, datetime], network.NetworkAnswers]
"""Sends a few requests. `auditor.diagnostics.network.check_network` is the real one."""


@dataclass(frozen=True, slots=True)
class DiagnosticResult:
    """A result of a check: what was checked, `ok`, `warn` or `fail`, and a text."""

    check: str
    state: str
    detail: str


def run_diagnostics(
    path: Path | None,
    now: datetime,
    network_check: NetworkCheck | None = None,
    parser_check: Callable[[], None] | None = None,
    list_cluster_checks: Callable[[Config], data.Checks] = lambda _: (),
) -> Iterator[DiagnosticResult]:
    """Yield the result of every check, in the order in which one depends on another.

    `path` is the configuration file. If it cannot be loaded, no further check is made. Without
    `network_check`, no request is sent. Without `parser_check`, which starts parser processes and
    raises ConfigError if they cannot work, no process is started. `list_cluster_checks` is that of
    `auditor.cluster`.
    """
    yield DiagnosticResult("auditor", "ok", f"{__version__} on Python {sys.version.split()[0]}")
    try:
        config = schema.load_config(path)
    except ConfigError as error:
        yield DiagnosticResult("configuration", "fail", str(error))
        return
    for name, check in chain(
        environment.list_setting_checks(path, config),
        network.list_network_checks(config, network_check and network_check(config, now)),
        environment.list_machine_checks(config),
        [("reading of pages", environment.check_parsing(parser_check))] if parser_check else (),
        data.list_data_checks(config, now, list_cluster_checks(config)),
    ):
        try:
            for state, detail in check:
                yield DiagnosticResult(name, state, detail)
        except (ConfigError, StoreError) as error:
            yield DiagnosticResult(name, "fail", str(error))
        except OSError as error:
            yield DiagnosticResult(name, "fail", str(build_file_error(error)))
