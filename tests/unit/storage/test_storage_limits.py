"""The store keeps, counts and lists up to each limit."""

from datetime import UTC, datetime

import pytest

from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import find_packaged_config, load_config
from probes.models.finding import Finding, Presence
from storage.database import sqlite_file
from storage.errors import DamagedDatabaseError
from storage.files.body_store import MAX_PENDING_BYTES, BodyStore, BodyWriter
from storage.models.audit import Association
from storage.observations.comparison import (
    MAX_RESPONSE_SECONDS,
    RESPONSE_SECONDS_FACT,
    get_response_seconds,
)
from storage.read_model import association_search
from storage.read_model.association_search import decode_cursor, encode_cursor
from storage.registry.registry_import import MAX_WITHDRAWN_SHARE, ImportChanges
from storage.store import Store
from storage.tables.core import GAP

pytestmark = pytest.mark.usefixtures("migrated")

STEPS = (-1, 0, 1)
NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
CONFIG = load_config(find_packaged_config(), {})
SMALL_LIMIT = 3
"""A limit in place of one of thousands of rows."""


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        yield store


def register(store, *names, **fields):
    associations = [
        Association(f"a-{number:04}", name, **fields) for number, name in enumerate(names)
    ]
    store.registry.save_registry(associations, [], NOW)
    refresh_summaries(store, CONFIG)


# --- Files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_writer_is_full_if_too_many_bytes_are_pending(tmp_path, step):
    writer = BodyWriter(BodyStore(tmp_path))
    writer.put(b"x" * (MAX_PENDING_BYTES + step))
    assert writer.is_full is (step > 0)


@pytest.mark.parametrize("step", STEPS)
def test_larger_database_is_not_checked_when_it_is_opened(tmp_path, monkeypatch, step):
    """The limit is that of a small file here. A page of it is damaged."""
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        file = store.database_file
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(size // 2)
        opened.write(b"x" * (size // 2))
    monkeypatch.setattr(sqlite_file, "MAX_OPEN_CHECK_BYTES", size - step)
    if step <= 0:
        with pytest.raises(DamagedDatabaseError):
            sqlite_file.verify_database_file(file)
    else:
        sqlite_file.verify_database_file(file)


@pytest.mark.parametrize("step", STEPS)
def test_larger_database_is_checked_before_a_run(store, monkeypatch, step):
    size = store.database_file.stat().st_size
    monkeypatch.setattr("storage.database.sqlite_file.MAX_OPEN_CHECK_BYTES", size - step)
    assert store.is_large is (step > 0)


# --- Observations and registry --------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_longer_duration_of_a_response_is_none(step):
    seconds = MAX_RESPONSE_SECONDS + step
    finding = Finding(Presence.PRESENT, facts={RESPONSE_SECONDS_FACT: seconds})
    assert get_response_seconds(finding) == (seconds if step <= 0 else None)


@pytest.mark.parametrize("step", STEPS)
def test_spreadsheet_with_many_withdrawals_is_suspicious(step):
    withdrawal_count = int(100 * MAX_WITHDRAWN_SHARE) + step
    changes = ImportChanges(listed_count=100, withdrawal_count=withdrawal_count)
    assert changes.has_many_withdrawals is (step > 0)


# --- Searches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("search", [{}, {"facets": ["region:Souss"]}, {"search_terms": ["club"]}])
def test_matches_are_counted_up_to_the_limit(store, monkeypatch, search, step):
    monkeypatch.setattr(association_search, "MAX_COUNT", SMALL_LIMIT)
    count = SMALL_LIMIT + step
    register(store, *["Club"] * count, region="Souss")
    page = store.search.list_summaries(**search)
    assert (page.count, page.is_exact) == (min(SMALL_LIMIT, count), step <= 0)
    assert len(page.rows) == count


@pytest.mark.parametrize("step", STEPS)
def test_larger_selection_has_no_counts(store, monkeypatch, step):
    monkeypatch.setattr(association_search, "MAX_SMALL_SELECTION", SMALL_LIMIT)
    register(store, *["Club"] * (SMALL_LIMIT + step), region="Souss")
    found = store.counts.counts_for_small_selection(["region:Souss"])
    assert (found is None) is (step > 0)
    if found is not None:
        assert found["all"] == SMALL_LIMIT + step


# --- Cursors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2**31, -(2**31), 2**70])
def test_number_that_no_column_has_is_no_cursor(number):
    """A larger one is no row id of PostgreSQL, which refuses the query."""
    columns = (GAP.c.sort_rank, GAP.c.association)
    assert decode_cursor(encode_cursor((number, "a")), columns) is None
    smaller = number // 2**40 or 7
    assert decode_cursor(encode_cursor((smaller, "a")), columns) == [smaller, "a"]
