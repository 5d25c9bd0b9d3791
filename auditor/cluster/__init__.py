"""A night on many machines: one leads it, workers look. Reasons: docs/decisions/0026-many-machines.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from auditor.errors import ConfigError

INSTALL = "pip install 'presence-auditor[cluster]'"
"""What brings the queue, an extra: one machine needs none."""


@contextmanager
def extra() -> Iterator[None]:
    """Within it, import what needs the queue. Raises ConfigError where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ConfigError("[cluster] enabled", f"{missing.name} is not installed", INSTALL) from None
