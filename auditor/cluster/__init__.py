"""A night on many machines: one leads it, workers look. Reasons: docs/decisions/0026-many-machines.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from auditor.errors import ConfigError

if TYPE_CHECKING:
    from auditor.config import Config
    from probes.turns import Turns

INSTALL = "pip install 'presence-auditor[cluster]'"
"""What brings the queue, an extra: one machine needs none."""


@contextmanager
def extra() -> Iterator[None]:
    """Within it, import what needs the queue. Raises ConfigError where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ConfigError("[cluster] enabled", f"{missing.name} is not installed", INSTALL) from None


@asynccontextmanager
async def turns(config: Config) -> AsyncIterator[Turns | None]:
    """The turns with hosts that machines share, where several do the night. Raises ConfigError."""
    if not config.cluster.enabled:
        yield None
        return
    with extra():
        from storage.engine import address_of  # noqa: PLC0415 - configurations load this package, and no store
        from storage.turns import DatabaseTurns  # noqa: PLC0415 - an extra: one machine needs no turns
    async with DatabaseTurns(address_of(config.storage.url)) as shared:
        yield shared
