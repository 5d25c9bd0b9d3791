"""Settings and fixtures of all tests."""

import asyncio
import functools
import gc
import logging
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import typer.main
from hypothesis import settings
from hypothesis import strategies as st
from uvloop import new_event_loop

from auditor.checking import checker
from auditor.conclusions import replay
from auditor.core.log_setup import OWN_LOGGERS, StderrHandler
from tests.support.database_template import (
    CREATE_WITH_MIGRATIONS,
    share_compiled_statements,
    use_template,
)
from tests.support.mini_network import opened, steps

os.environ["LC_ALL"] = "C.UTF-8"  # independent of the locale of the terminal

# The "steady" profile tries the same examples in every run: only a change can make a test fail.
# The "exploring" profile (`make test-all`) tries new examples.
settings.register_profile("steady", derandomize=True, max_examples=40, deadline=None)
settings.register_profile("exploring", max_examples=500, deadline=None)
settings.load_profile("steady")


SHARED_MEMORY = Path("/dev/shm")
REQUIRED_BYTES = 2_000_000_000
"""Size of the temporary files of a whole test run."""


def pytest_configure():
    """Keep temporary files in memory if there is room, because many tests wait for the disk."""
    is_usable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    if is_usable and shutil.disk_usage(SHARED_MEMORY).free > REQUIRED_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(SHARED_MEMORY))


TESTED_WITH_UVLOOP = {"test_fetcher", "test_tls", "test_retry", "test_revalidate"}
"""Modules that also run in uvloop, the event loop of the commands, as slow tests."""


def pytest_asyncio_loop_factories(config, item):
    """Return the event loops that a test runs in."""
    uvloop = {"uvloop": new_event_loop} if Path(item.fspath).stem in TESTED_WITH_UVLOOP else {}
    return {"asyncio": asyncio.new_event_loop, **uvloop}


SLOW_FOLDERS = {"integration", "e2e", "browser"}
"""Folders whose tests are slow unless they are marked as smoke tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark tests as slow that run in uvloop or test several parts together."""
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        is_slow_without_mark = folder in SLOW_FOLDERS and not item.get_closest_marker("smoke")
        if new_event_loop in parameters or is_slow_without_mark:
            item.add_marker(pytest.mark.slow)


MAX_FAST_SECONDS = 2.0
"""A fast test takes less than one second on an idle machine, and twice as long on a shared one."""
SLOW_EVENTS = {"subprocess.Popen", "os.fork", "os.posix_spawn", "socket.bind", "socket.connect"}
"""Audit events of the standard library that only slow tests may cause."""
caused_events: set[str] = set()


def _record_slow_event(event, _arguments):
    if event in SLOW_EVENTS:
        caused_events.add(event)


sys.addaudithook(_record_slow_event)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Fail a test of `make test` that starts a process, uses a socket or computes too long.

    Smoke tests may start processes and use sockets.
    """
    caused_events.clear()
    started_at = time.process_time()
    result = yield
    seconds = time.process_time() - started_at
    is_slow = item.get_closest_marker("slow") or item.get_closest_marker("bench")
    if not is_slow and "MUTANT_UNDER_TEST" not in os.environ:  # mutmut takes longer
        assert not caused_events or item.get_closest_marker("smoke"), "mark the test as slow"
        assert seconds <= MAX_FAST_SECONDS, "make the test faster or mark it as slow"
    return result


def pytest_collection_finish():
    """Exclude the collected tests from garbage collection. They live until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgresql():
    """Return a running PostgreSQL server for the tests of the group "postgresql"."""
    from tests.support import cluster  # noqa: PLC0415  # slow import, used by few tests

    with cluster.run_postgresql() as running:
        yield running


@pytest.fixture
def database(postgresql):
    """Return the URL of a new, empty PostgreSQL database."""
    from tests.support import cluster  # noqa: PLC0415  # slow import, used by few tests

    return cluster.create_database(postgresql)


@pytest.fixture(scope="session", autouse=True)
def _command_line():
    """Build the command line once, because that takes longer than most commands."""
    typer.main.get_command = functools.cache(typer.main.get_command)


@pytest.fixture(scope="session", autouse=True)
def _table_of_characters():
    """Load the table of Unicode once, because that takes longer than most tests."""
    st.text().validate()


@pytest.fixture(scope="session", autouse=True)
def _database_template(tmp_path_factory):
    share_compiled_statements()
    use_template(tmp_path_factory.mktemp("template") / "auditor.db")


DEFAULT_FOLDERS = [
    Path.cwd() / name for name in ("data", "backups") if not (Path.cwd() / name).exists()
]
"""Default folders of the auditor. A test that writes to them would disturb other tests."""


@pytest.fixture(autouse=True)
def _check_default_folders():
    """Fail if a test writes to a default folder of the auditor."""
    yield
    assert not [folder for folder in DEFAULT_FOLDERS if folder.exists()]


@pytest.fixture(autouse=True)
def _restore_logging():
    """Undo changes of a command to log levels and handlers."""
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, OWN_LOGGERS)]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    root.handlers[:] = [
        handler for handler in root.handlers if not isinstance(handler, StderrHandler)
    ]


@pytest.fixture
def migrated(monkeypatch):
    """Create databases with the migrations instead of a template copy."""
    monkeypatch.setattr("storage.database.sqlite_file._create_beside", CREATE_WITH_MIGRATIONS)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recorded material next to the project, or skip the test."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "DESIGN.md").exists():
        pytest.skip("the recorded pages of other sites are not published with the code")
    return folder


@pytest.fixture
def simple_probe(monkeypatch):
    """Probe accounts with one request."""
    for module in (checker, replay):
        monkeypatch.setattr(module, "create_probe", steps)


@pytest.fixture
def app(tmp_path, simple_probe):
    """Return an auditor with a fake web and a simple probe."""
    small = opened(tmp_path)
    yield small
    small.store.close()
