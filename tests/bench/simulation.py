"""The real pipeline and store over a simulated web, with a register of any size.

Each association has five accounts. There are no sockets, TLS, robots.txt or rate limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from auditor.app import App
from auditor.config.schema import (
    ChannelSettings,
    ScheduleSettings,
    StorageSettings,
    find_packaged_config,
    load_config,
)
from auditor.core import runtime
from auditor.core.reference.places import REGIONS
from auditor.runs.run import execute_run
from probes.http.fetcher import Fetcher
from probes.links import identify
from storage.models.audit import AccountRow, Association, AssociationEntry, Contact
from storage.models.users import ChangeOrigin
from tests.bench.simulated import (
    CANARY_URLS,
    CHANNELS,
    FIRST_RUN_AT,
    SimulatedFetcher,
    SimulatedWeb,
    build_account_urls,
)

BATCH_SIZE = 5000


@dataclass(frozen=True)
class SimulatedApp:
    """The application with a fetcher for the simulated web."""

    app: App
    web: SimulatedWeb

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    def create_fetcher(self, now: datetime, *_: object) -> Fetcher:
        """Return a fetcher for the simulated web."""
        fetcher = SimulatedFetcher(self.app.config.fetch, now)
        fetcher.web = self.web
        return fetcher


def build_config(folder: Path) -> Any:
    """Return a configuration without delays, retries and circuit breakers."""
    config = load_config(find_packaged_config(), {})
    fetch = config.fetch.model_copy(
        update={
            "host_delay": 0.0,
            "second_pass_delay": 0.0,
            "platform_breaker_failures": 1000,
            "max_retries": 0,
        }
    )
    channels = {name: ChannelSettings() for name in CHANNELS} | {
        "website": ChannelSettings(canaries=CANARY_URLS)
    }
    return config.model_copy(
        update={
            "storage": StorageSettings.model_validate({"folder": folder / "data"}),
            "fetch": fetch,
            "channels": channels,
            "schedule": ScheduleSettings(time_limit_hours=0),
        }
    )


def fill_register(app: App, associations: int) -> None:
    """Import the register in batches."""
    regions = [names["fr"] for names in REGIONS.values()]
    for start in range(1, associations + 1, BATCH_SIZE):
        numbers = range(start, min(start + BATCH_SIZE, associations + 1))
        entries = [
            AssociationEntry(
                Association(
                    id=f"MA-{number:07}",
                    name=f"Association {number}",
                    region=regions[number % 12],
                    language="fr",
                ),
                Contact(f"a{number}@example.org"),
            )
            for number in numbers
        ]
        rows = [
            AccountRow(f"MA-{number:07}", url, identify.identify_link(url, channel), channel)
            for number in numbers
            for channel, url in build_account_urls(number).items()
        ]
        app.store.registry.save_registry(
            entries,
            rows,
            FIRST_RUN_AT - timedelta(days=1),
            origin=ChangeOrigin("bench", "import"),
            is_complete=False,
        )


def run_audit(app: App, number: int, changing_share: float = 0.03) -> None:
    """Execute one run, counted from 0."""
    simulated = SimulatedApp(app, SimulatedWeb(number, changing_share))
    runtime.run_async(execute_run(simulated, FIRST_RUN_AT + timedelta(days=number)))
