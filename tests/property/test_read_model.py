"""After random histories, the refreshed read model equals the one that is built from nothing."""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import delete, select, update

from auditor.conclusions.run_results import refresh_summaries
from storage.models.users import AuditLogEntry
from storage.tables.core import GAP
from storage.tables.summaries import (
    ASSOCIATION_FACET,
    ASSOCIATION_SUMMARY,
    FACET_COUNT,
    STALE_SUMMARY,
    SUMMARY_VERSION,
)
from tests.property.test_stateful import ASSOCIATION_IDS, Histories
from tests.support.read_model_consistency import get_effective_time, read_tables, recount_from_views

REFRESHED_TABLES = (ASSOCIATION_SUMMARY, ASSOCIATION_FACET, FACET_COUNT)
GAP_FLAGS = (GAP.c.id, GAP.c.is_visible, GAP.c.is_reportable, GAP.c.sort_rank)


class ReadModelHistories(Histories):
    """Imports, runs, decisions, withdrawals and erasures, with a reader who refreshes or not."""

    # Each of these invariants costs a re-evaluation or reads everything after each step.
    reevaluation_changes_nothing = None
    observations_are_unique_and_none_is_lost = None
    a_day_has_one_run = None
    a_gap_is_open_once = None
    reevaluate_everything = None
    read_the_lists = None

    is_reading = True

    @rule()
    def start_or_stop_reading(self):
        self.is_reading = not self.is_reading

    @precondition(lambda self: self.is_reading)
    @invariant()
    def lists_show_what_views_show(self):
        now = get_effective_time(self.app.store, self.now)
        assert read_tables(self.app, now) == recount_from_views(self.app, now)

    @rule(association=st.sampled_from(ASSOCIATION_IDS))
    def erase_an_association(self, association):
        refresh_summaries(self.app.store, self.app.config)
        groups = self.app.store.counts.get_facet_counts("", "region:")
        entry = AuditLogEntry(self.now, "Amina", "erase", association, "association", None, None)
        self.app.store.erasure.erase_association(association, entry, groups)
        self.sheet.pop(association, None)
        self.pass_time()

    def teardown(self):
        try:
            refresh_summaries(self.app.store, self.app.config)
            refreshed = read_read_model(self.app.store)
            forget_read_model(self.app.store)
            refresh_summaries(self.app.store, self.app.config)
            assert read_read_model(self.app.store) == refreshed
        finally:
            super().teardown()


def read_read_model(store):
    """Return the rows of the tables that a refresh writes. A count of zero is none."""
    with store.begin_read() as connection:
        rows = {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in REFRESHED_TABLES
        }
        counts = select(FACET_COUNT).where(FACET_COUNT.c.count != 0)
        rows["facet_count"] = sorted(map(repr, connection.execute(counts)))
        rows["gap"] = sorted(map(repr, connection.execute(select(*GAP_FLAGS))))
        rows["stale_summary"] = connection.execute(select(STALE_SUMMARY)).all()
    return rows


def forget_read_model(store):
    """Empty the read model. The counts of runs are derived by a re-evaluation and stay."""
    with store.begin_write() as connection:
        for table in (*REFRESHED_TABLES, STALE_SUMMARY, SUMMARY_VERSION):
            connection.execute(delete(table))
        connection.execute(update(GAP).values(is_visible=False, is_reportable=False))


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_refreshed_read_model_equals_a_rebuilt_one(number):
    run_state_machine_as_test(
        seed(number)(type("SeededHistories", (ReadModelHistories,), {})),
        settings=settings(
            max_examples=10,
            stateful_step_count=14,
            deadline=None,
            derandomize=False,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
