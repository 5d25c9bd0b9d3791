"""`worker`: looks at the accounts of the night that another machine leads."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import typer

from auditor.cli.context import clock, session
from auditor.cluster import extra
from auditor.core import event_loop
from auditor.core.errors import ConfigError
from auditor.runs import memory

if TYPE_CHECKING:
    from auditor.app import App


def worker(context: typer.Context) -> None:
    """Look at accounts for the nights that `auditor run` or `auditor serve` leads, until told to stop.

    One on each machine, with the same configuration, database and data folder.
    """
    asked = session(context)
    config = asked.config()
    if not config.cluster.enabled:
        raise ConfigError(
            "[cluster] enabled", "this network is looked at by one machine", "docs/guides/deployment.md"
        )
    with asked.open() as app:
        asked.tell("waiting for the night")
        event_loop.run(_work(app))


async def _work(app: App) -> None:
    import asyncio

    from auditor.runs.shutdown import terminated_by

    with extra():
        from auditor.cluster.worker import Worker
    stop = asyncio.Event()
    memory.share()  # it reads pages all night, as `auditor run` does
    gc.freeze()
    with terminated_by(stop):
        await Worker(app, stop, clock).run()
