"""A night on many machines: one leads it, workers look. Reasons: docs/decisions/0026-many-machines.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.core.errors import ConfigError

if TYPE_CHECKING:
    from auditor.checking.circuit_breaker import Patience
    from auditor.config.schema import Config
    from auditor.protocols import Tools
    from auditor.runs.process import Closing
    from auditor.runs.run import Coordinator
    from probes.http.host_state import Turns
    from probes.runner.api_batcher import Purse
    from storage.models.audit import Night

INSTALL = "pip install 'presence-auditor[cluster]'"
"""What brings the queue, an extra: one machine needs none."""


@contextmanager
def extra() -> Iterator[None]:
    """Within it, import what needs the queue. Raises ConfigError where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ConfigError("[cluster] enabled", f"{missing.name} is not installed", INSTALL) from None


@dataclass(frozen=True, slots=True)
class ClusterMachines:
    """The machines that a run is shared with, as `auditor.runs.run.Machines` wants them."""

    config: Config

    @asynccontextmanager
    async def turns(self) -> AsyncIterator[Turns]:
        """The turns with hosts that they share. Raises ConfigError."""
        with extra():
            from storage.database.engine import address_of  # noqa: PLC0415 - a command of one machine needs none
            from storage.runs.cluster import DatabaseTurns  # noqa: PLC0415 - an extra: one machine needs no turns
        async with DatabaseTurns(address_of(self.config.storage.url)) as shared:
            yield shared

    def coordinator(
        self,
        app: Tools,
        night: Night,
        closing: Closing,
        *,
        platforms: Mapping[str, Patience],
        purses: Mapping[str, Purse],
        kept: Callable[[int], None],
    ) -> Coordinator:
        """Who lets workers look. Raises ConfigError."""
        with extra():
            from auditor.cluster.coordinator import Leader  # noqa: PLC0415 - an extra: one machine needs no queue
        return Leader(app, night, closing, platforms=platforms, purses=purses, kept=kept)


def machines_of(config: Config) -> ClusterMachines | None:
    """The machines that runs are shared with, where the configuration says so."""
    return ClusterMachines(config) if config.cluster.enabled else None
