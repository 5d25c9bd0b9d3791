"""What every test may ask for."""

import asyncio
import gc
import logging
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from uvloop import new_event_loop

from auditor.core.log_setup import OWN_LOGGERS, StderrHandler
from tests.support.database_template import (
    CREATE_WITH_MIGRATIONS,
    share_compiled_statements,
    use_template,
)

os.environ["LC_ALL"] = "C.UTF-8"  # whatever the terminal speaks that the tests are run on

# The ordinary run tries the same examples every time, so that a change alone can make it fail; the whole run
# (`make test-all`) looks for new ones.
settings.register_profile("steady", derandomize=True, max_examples=40, deadline=None)
settings.register_profile("exploring", max_examples=500, deadline=None)
settings.load_profile("steady")


SHARED_MEMORY = Path("/dev/shm")
REQUIRED_BYTES = 2_000_000_000
"""Bytes that the temporary files of a whole test run take."""


def pytest_configure():
    """Keep temporary files in memory if there is room, because many tests wait for the disk."""
    is_usable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    if is_usable and shutil.disk_usage(SHARED_MEMORY).free > REQUIRED_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(SHARED_MEMORY))


IN_BOTH = {"test_fetcher", "test_tls", "test_retry", "test_revalidate"}
"""What is tried in asyncio's loop and, with the slow tests, in uvloop, in which commands run."""


def pytest_asyncio_loop_factories(config, item):
    """The loops that a test runs in."""
    uvloop = {"uvloop": new_event_loop} if Path(item.fspath).stem in IN_BOTH else {}
    return {"asyncio": asyncio.new_event_loop, **uvloop}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The second loop is for the slow tests."""
    for item in items:
        if getattr(item, "callspec", None) and new_event_loop in item.callspec.params.values():
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    """What was collected stays: the collector of garbage need not look through it again, test after test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgresql():
    """A real PostgreSQL of their own for the tests of one group, "postgresql"."""
    from tests.support import cluster  # noqa: PLC0415  # few tests need it, and it loads long

    with cluster.served() as running:
        yield running


@pytest.fixture
def database(postgresql):
    """The address of a new, empty database in it."""
    from tests.support import cluster  # noqa: PLC0415  # as above

    return cluster.database(postgresql)


@pytest.fixture(scope="session", autouse=True)
def _template(tmp_path_factory):
    share_compiled_statements()
    use_template(tmp_path_factory.mktemp("template") / "auditor.db")


HERE = Path.cwd()
OWN = [HERE / name for name in ("data", "backups") if not (HERE / name).exists()]
"""Where the auditor writes unless told otherwise: a test that forgets to would disturb the others."""


@pytest.fixture(autouse=True)
def _elsewhere():
    yield
    assert not [folder for folder in OWN if folder.exists()]


@pytest.fixture(autouse=True)
def _log():
    """What a command did to the log ends with its test."""
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in OWN_LOGGERS]
    levels = [(one, one.level) for one in (root, *ours)]
    yield
    for one, level in levels:
        one.setLevel(level)
    root.handlers[:] = [one for one in root.handlers if not isinstance(one, StderrHandler)]


@pytest.fixture
def migrated(monkeypatch):
    """Databases are made as the auditor makes them, revision by revision."""
    monkeypatch.setattr("storage.database.sqlite_file._create_beside", CREATE_WITH_MIGRATIONS)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Recorded material kept beside the project, not in it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "DESIGN.md").exists():
        pytest.skip(f"the recorded pages are not here ({folder.name}/ beside the project)")
    return folder
