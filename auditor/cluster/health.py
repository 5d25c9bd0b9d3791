"""The health of a cluster, for pages, metrics and `auditor doctor`.

It is that of the job queue and of the shared data folder.

Page bodies are stored in one data folder that all machines mount. A token in the folder shows a
worker that it has the coordinator's folder. Needs no extra, so a single machine can import it.
"""

import secrets
from pathlib import Path
from typing import Any

from auditor.config.schema import Config
from auditor.core.errors import ConfigError
from storage.errors import explain_file_error
from storage.runs.cluster import QueueStatus
from storage.store import Store

FOLDER_MARKER_FILE = "folder.token"
"""The file in the data folder that has its token."""


def load_queue_status(store: Store, config: Config) -> QueueStatus | None:
    """Return the state of the queue; None on one machine, and before there is a queue."""
    if not config.cluster.enabled:
        return None
    return store.cluster_runs.get_queue_status(config.cluster.stalled_after_seconds)


def build_queue_item(queue: QueueStatus) -> dict[str, Any]:
    """Return the item of `status --json`."""
    oldest_job_seconds = queue.oldest_wait_seconds
    if oldest_job_seconds is not None:
        oldest_job_seconds = round(oldest_job_seconds, 1)
    return {
        "jobs": {
            "todo": queue.waiting_jobs,
            "doing": queue.running_jobs,
            "failed": queue.failed_jobs,
        },
        "oldest_job_seconds": oldest_job_seconds,
        "stalled_jobs": queue.stalled_jobs,
        "active_workers": queue.active_workers,
        "workers": [
            {
                "id": worker.id,
                "heartbeat_seconds": round(worker.silent_seconds, 1),
                "jobs": worker.job_count,
            }
            for worker in queue.workers
        ],
    }


def ensure_folder_token(folder: Path) -> str:
    """Return the token of a data folder, and create it if needed.

    Raises ConfigError if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FOLDER_MARKER_FILE).open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}", *explain_file_error(error)) from None
    return read_folder_token(folder)


def read_folder_token(folder: Path) -> str:
    """Return the token of a data folder, or "" if it has none."""
    try:
        return (folder / FOLDER_MARKER_FILE).read_text("ascii")
    except OSError:
        return ""


def require_folder_token(folder: Path, expected_token: str) -> None:
    """Raise ConfigError if a folder does not have this token."""
    if read_folder_token(folder) != expected_token:
        raise ConfigError(
            f"[storage] folder: {folder}",
            "it is not the data folder of the coordinator",
            "mount the coordinator's data folder here, at the same path",
        )
