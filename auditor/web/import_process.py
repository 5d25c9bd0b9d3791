"""Answers the steps of an import of an uploaded spreadsheet, long ones in a child process.

Reading and comparing 20,000 rows takes seconds of Python, and a thread that computes delays every
other page. So a step is tried in this process with small limits. If the spreadsheet or the registry
is larger, a child process answers the step. It has a deadline: when it is killed, its transaction
is rolled back.

The child process runs `main`. It reads an `_ImportStep` on standard input and writes the
response to standard output. Then it updates the summaries that the import made stale.
"""

import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore
from typing import cast

from fastapi import Response

from auditor.app import App
from auditor.config.schema import Config
from auditor.core import log_setup
from auditor.evaluation.run_results import refresh_summaries
from auditor.registry.sheet_limits import (
    MAX_MEMORY_BYTES,
    UPLOAD_LIMITS,
    ReadLimits,
    SpreadsheetError,
)
from auditor.web.access import build_busy_error
from auditor.web.request_context import RequestContext
from storage.tables.users import User

MAX_IMPORT_SECONDS = 100
"""Seconds for one step of an import: reading a spreadsheet, its preview, or applying it."""
MAX_IMPORTS = 2
"""Child processes at once. Further large imports are refused with the status 503."""
SMALL_UPLOAD_LIMITS = ReadLimits(rows=500, chars=300_000)
"""Limits for a spreadsheet that is imported without a child process."""
MAX_SMALL_REGISTRY = 2_000
"""Associations or accounts of a registry that is compared without a child process."""
MEMORY_EXIT_CODE = 3
"""The exit code of a child process whose memory was not enough."""
BYTES_PER_MB = 1024 * 1024
LARGE_FILE_CODES = frozenset({"too_many_rows", "too_much_text"})
"""Errors of a spreadsheet that a child process may read, because it has larger limits."""

_process_slots = BoundedSemaphore(MAX_IMPORTS)


class LargeImportError(Exception):
    """A spreadsheet is beyond `SMALL_UPLOAD_LIMITS`."""


def is_only_large(error: SpreadsheetError, limits: ReadLimits) -> bool:
    """Return True if a spreadsheet is beyond these limits, and a child process has larger ones."""
    return limits is not UPLOAD_LIMITS and error.code in LARGE_FILE_CODES


StepHandler = Callable[[RequestContext, ReadLimits], Response]
"""A function of a module, or its partial, that answers a step. It reads an upload in the limits."""


@dataclass(frozen=True, slots=True)
class _ImportStep:
    """A step as the child process gets it."""

    handler: StepHandler
    config: Config
    now: datetime
    language: str
    path: str
    user: User | None


def answer_import_step(context: RequestContext, handler: StepHandler) -> Response:
    """Answer a step of an import, in a child process if it is large.

    In this process, the handler raises LargeImportError for a spreadsheet beyond its limits.

    Raises SpreadsheetError if it takes too much time or memory, and HTTPException (503) if
    too many others are in progress.
    """
    app = context.app
    if max(app.store.registry.count_registered()) <= MAX_SMALL_REGISTRY:
        try:
            response = handler(context, SMALL_UPLOAD_LIMITS)
        except LargeImportError:
            pass
        else:
            # More summaries are only stale after a change of the configuration.
            refresh_summaries(app.store, app.config, max_stale=SMALL_UPLOAD_LIMITS.rows)
            return response
    step = _ImportStep(
        handler, app.config, context.now, context.language, context.path, context.user
    )
    if not _process_slots.acquire(blocking=False):
        raise build_busy_error()
    try:
        return _answer_in_process(step)
    finally:
        _process_slots.release()


def _answer_in_process(step: _ImportStep) -> Response:
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONMALLOC"}
    with subprocess.Popen(  # noqa: S603  # runs this module
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        has_timed_out = False
        try:
            output, _ = process.communicate(pickle.dumps(step), timeout=MAX_IMPORT_SECONDS)
        except subprocess.TimeoutExpired:
            has_timed_out = True
            process.kill()
            output, _ = process.communicate()  # the response, if only the summaries are unfinished
    if output:
        return _build_response(output)
    if has_timed_out or process.returncode == -signal.SIGALRM:
        raise SpreadsheetError("too_slow", limit=MAX_IMPORT_SECONDS)
    # The kernel kills a process when the memory of the machine or of the container is full.
    if process.returncode in {MEMORY_EXIT_CODE, -signal.SIGKILL}:
        raise SpreadsheetError("too_much_memory", limit=MAX_MEMORY_BYTES // BYTES_PER_MB)
    raise RuntimeError(f"the import process ended with code {process.returncode}")


def _build_response(output: bytes) -> Response:
    status, headers, body = pickle.loads(output)  # noqa: S301  # our own process
    response = Response(body, status)
    response.raw_headers = headers
    return response


def main() -> None:
    """Answer the step on standard input."""
    step = cast("_ImportStep", pickle.load(sys.stdin.buffer))  # noqa: S301  # our own process
    signal.alarm(MAX_IMPORT_SECONDS)  # also if the service ends before
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    log_setup.configure_logging(step.config.log.format, step.config.log.level)
    with App.open(step.config, create=False, upgrade=False) as app:
        context = RequestContext(app, step.now, step.language, step.path, step.user)
        try:
            response = step.handler(context, UPLOAD_LIMITS)
            output = pickle.dumps((response.status_code, response.raw_headers, response.body))
        except MemoryError:
            sys.exit(MEMORY_EXIT_CODE)
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()
        refresh_summaries(app.store, app.config)
