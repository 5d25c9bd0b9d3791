"""How the queue and its workers are, for whoever watches: a terminal, a page, a monitor, the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from auditor.config.schema import Config
from storage.runs.cluster import Queue
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Figures:
    """The queue, with what counts as stalled."""

    queue: Queue
    after: float

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return self.queue.count("todo")

    @property
    def doing(self) -> int:
        """Jobs under way."""
        return self.queue.count("doing")

    @property
    def failed(self) -> int:
        """Jobs that failed for good."""
        return self.queue.count("failed")

    @property
    def stalled(self) -> int:
        """Jobs of workers that are not heard of any more."""
        return self.queue.stalled(self.after)

    @property
    def alive(self) -> int:
        """Workers that are."""
        return self.queue.alive(self.after)

    @property
    def is_abandoned(self) -> bool:
        """Whether jobs wait and nobody is there to do them."""
        return self.waiting > 0 and not self.alive

    def item(self) -> dict[str, Any]:
        """What `status --json` tells."""
        return {
            "jobs": {"todo": self.waiting, "doing": self.doing, "failed": self.failed},
            "oldest_job_seconds": None if self.queue.oldest is None else round(self.queue.oldest, 1),
            "stalled": self.stalled,
            "alive": self.alive,
            "workers": [
                {"id": one.id, "heartbeat_seconds": round(one.silent, 1), "jobs": one.doing}
                for one in self.queue.workers
            ],
        }


def figures(store: Store, config: Config) -> Figures | None:
    """How the queue is; None on one machine, and before there is a queue."""
    queue = store.queue() if config.cluster.enabled else None
    return Figures(queue, config.cluster.stalled_after) if queue else None
