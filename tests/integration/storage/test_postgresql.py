"""Tests on PostgreSQL: it stores what SQLite stores, and its restart during a run loses nothing."""

import asyncio
import contextlib
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from auditor.conclusions import reevaluate
from auditor.conclusions.network_view import build_network_overview
from auditor.presentation.reports.final_report import render_final_report
from auditor.presentation.reports.html import render_site_pages
from auditor.presentation.reports.text import format_association_report, format_network_summary
from auditor.presentation.views.final_report import build_final_report, find_period
from auditor.runs.run import execute_run
from probes.models.finding import Finding, Presence
from storage.communication import messages
from storage.communication.messages import MAX_SUBSCRIPTION_REQUEST_AGE
from storage.errors import StoreError
from storage.models.audit import Association, AuditRunState, Observation
from storage.models.users import ERASE_SOURCE, WHOLE_ASSOCIATION_FIELD, AuditLogEntry
from storage.store import Store
from storage.tables.communication import Subscription, SubscriptionRequest
from tests.integration.runs.test_fault_injection_storage import (
    LINKS,
    SECOND_RUN_ANSWERS,
    check_invariants,
    create_app,
    list_observations,
)
from tests.support import cluster, sample_network
from tests.support.mini_network import START, night_of, register
from tests.unit.auditor.presentation.notifications.test_subscriptions import build_report_link
from tests.unit.storage.test_store import assert_literal_rows_are_returned_unchanged

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]
UNSAFE_TEXT = "\x00Amal\ud800 \u202egnihton\u2066\x1b[2J"


def render_everything(app):
    """Return every page of the site and every text of the terminal."""
    overview = build_network_overview(app.store, app.config, sample_network.NOW)
    texts = [format_network_summary(overview, app.config, "fr")]
    for person in sample_network.PEOPLE:
        view = overview.find_association(person.id)
        texts.append(format_association_report(view, overview.as_of, "fr"))
    last_day = sample_network.NOW.date()
    period = find_period(app.store, sample_network.FIRST.date(), last_day, last_day)
    final_report = build_final_report(app.store, app.config, period)
    texts.append(render_final_report(final_report, app.config, "fr"))
    return dict(render_site_pages(overview, app.config)), texts


@pytest.mark.fault("F48")
def test_same_history_produces_the_same_reports(database, tmp_path):
    sqlite_folder, postgresql_folder = tmp_path / "sqlite", tmp_path / "postgresql"
    for folder in (sqlite_folder, postgresql_folder):
        folder.mkdir()
    sqlite, postgresql = (
        sample_network.played(sqlite_folder),
        sample_network.played(postgresql_folder, database),
    )
    assert render_everything(postgresql) == render_everything(sqlite)
    changes = [
        set(reevaluate.reevaluate(app, dry_run=True).changes) for app in (postgresql, sqlite)
    ]
    assert changes[0] == changes[1]
    sqlite.store.close()
    postgresql.store.close()


@pytest.mark.fault("F48", "F23")
def test_unsafe_text_is_sanitized_alike(database, tmp_path):
    findings = []
    for address in (database, f"sqlite:///{tmp_path}/auditor.db"):
        with Store.open(address) as store:
            app = create_app(tmp_path, store=store)
            register(app, *LINKS)
            run = store.runs.begin_or_resume(night_of(0).date(), night_of(0))
            finding = Finding(
                Presence.PRESENT,
                name=UNSAFE_TEXT,
                facts={UNSAFE_TEXT: UNSAFE_TEXT},
                detail=UNSAFE_TEXT,
            )
            observation = Observation(1, run.id, night_of(0), finding)
            assert [
                store.observations.record([observation]),
                store.observations.record([observation]),
            ] == [1, 0]
            findings += [stored.finding for stored in store.observations.list_observations()]
    assert findings[0] == findings[1]
    assert findings[0].name == "Amal gnihton[2J"


def test_literal_rows_are_returned_unchanged(database):
    assert_literal_rows_are_returned_unchanged(database)


def wait_until_blocked(store):
    """Return as soon as a transaction waits for another one."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with store.begin_read() as connection:
            if connection.execute(waiting).scalar_one():
                return
    pytest.fail("no transaction waits")


SUBSCRIPTION = {"address": "a@example.org", "kind": "monthly", "association": "amal"}


def test_second_of_two_simultaneous_changes_counts(database):
    def save(store):
        store.subscriptions.save(Subscription(**SUBSCRIPTION, is_wanted=False, changed_at=START))

    with Store.open(database) as store, ThreadPoolExecutor(1) as other_process:
        with store.subscriptions.begin_write_session() as session:
            session.add(Subscription(**SUBSCRIPTION, is_wanted=True, changed_at=START))
            session.flush()
            saved = other_process.submit(save, store)
            wait_until_blocked(store)
        saved.result(timeout=20)
        assert store.subscriptions.get(*SUBSCRIPTION.values()).is_wanted is False


@pytest.fixture
def meet_after_count(monkeypatch):
    """Return a function that lets two transactions meet in a function, if both get there."""

    def meet(name):
        function = getattr(messages, name)
        barrier = threading.Barrier(2)

        def wait_for_other(*arguments):
            result = function(*arguments)
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.wait(timeout=1)
            return result

        monkeypatch.setattr(messages, name, wait_for_other)

    return meet


def build_request(token_hash, address, association="a0"):
    return SubscriptionRequest(
        token_hash=token_hash,
        address=address,
        kind="monthly",
        association=association,
        requested_at=START,
    )


def test_simultaneous_requests_to_subscribe_do_not_exceed_the_limit(database, meet_after_count):
    meet_after_count("_lock_unrevoked_link")
    with Store.open(database) as store, ThreadPoolExecutor(2) as processes:
        associations = [Association("a0", "A0"), Association("a1", "A1")]
        store.registry.save_registry(associations, [], START)
        for association in associations:
            store.report_links.add(build_report_link(association.id))
        links = {link.association: link.id for link in store.report_links.list_report_links()}

        def add_request(association):
            request = build_request(association, "a@example.org", association)
            return store.subscription_requests.add(
                request,
                report_link_id=links[association],
                max_per_address=1,
                max_per_association=10,
            )

        assert sorted(processes.map(add_request, links)) == [False, True]


def test_simultaneous_confirmations_do_not_exceed_the_subscribers(database, meet_after_count):
    meet_after_count("_count_other_subscribers")
    with Store.open(database) as store, ThreadPoolExecutor(2) as processes:
        store.registry.save_registry([Association("a0", "A0")], [], START)
        with store.subscriptions.begin_write_session() as session:
            for name in ("a", "b"):
                session.add(build_request(name, f"{name}@example.org"))

        def confirm(token_hash):
            return store.subscription_requests.confirm(token_hash, START, max_subscribers=1)

        assert sorted(processes.map(confirm, "ab")) == [False, True]


def add_request(store):
    [link] = store.report_links.list_report_links()
    request = build_request("new", "new@example.org")
    return store.subscription_requests.add(
        request, report_link_id=link.id, max_per_address=9, max_per_association=9
    )


def confirm_last_request(store):
    return store.subscription_requests.confirm("last", START, max_subscribers=9)


REMOVALS = {
    "revoke": lambda store: store.report_links.revoke("a0", "operator", START),
    "erase": lambda store: store.erasure.erase_association(
        "a0",
        AuditLogEntry(START, "operator", ERASE_SOURCE, "", WHOLE_ASSOCIATION_FIELD, "a0", None),
        (),
    ),
}


@pytest.mark.parametrize("removal", REMOVALS)
@pytest.mark.parametrize(
    ("function_name", "change"),
    [("_lock_unrevoked_link", add_request), ("_count_other_subscribers", confirm_last_request)],
    ids=["add", "confirm"],
)
def test_requests_are_removed_during_a_change_of_them_without_deadlock(
    database, monkeypatch, function_name, change, removal
):
    function, removed = getattr(messages, function_name), []
    with Store.open(database) as store, ThreadPoolExecutor(1) as other_process:

        def begin_removal(*arguments):
            removed.append(other_process.submit(REMOVALS[removal], store))
            wait_until_blocked(store)
            return function(*arguments)

        monkeypatch.setattr(messages, function_name, begin_removal)
        store.registry.save_registry([Association("a0", "A0")], [], START)
        store.report_links.add(build_report_link("a0"))
        for name, age in {
            "expired": MAX_SUBSCRIPTION_REQUEST_AGE,
            "first": timedelta(0),
            "last": timedelta(0),
        }.items():
            request = build_request(name, "a@example.org")
            request.requested_at = START - age
            with store.subscriptions.begin_write_session() as session:
                session.add(request)
        assert change(store)
        removed[0].result(timeout=20)
        assert store.subscription_requests.list_requests("a0", START) == []
        subscription = store.subscriptions.get("a@example.org", "monthly", "a0")
        assert subscription is None or not subscription.is_wanted


@pytest.mark.fault("F51")
@pytest.mark.usefixtures("simple_probe")
@pytest.mark.parametrize("when", [1, 4])
async def test_database_restart_during_a_run_loses_and_duplicates_nothing(
    postgresql, database, tmp_path, monkeypatch, when
):
    """The run stops with an error or continues; the same process resumes it."""
    app = create_app(tmp_path, store=Store.open(database))
    register(app, *LINKS)
    app.web.answers = {row.typed_text: f"alive at first, {row.channel}" for row in LINKS}
    await execute_run(app, night_of(0))
    app.web.answers, get_usual, counter = dict(SECOND_RUN_ANSWERS), app.web.get, itertools.count(1)
    restarts = []

    async def get(request):
        if next(counter) == when:
            restarts.append(
                asyncio.create_task(asyncio.to_thread(cluster.restart_postgresql, postgresql))
            )
            await asyncio.shield(restarts[0])
        return await get_usual(request)

    monkeypatch.setattr(app.web, "get", get)
    with contextlib.suppress(StoreError):
        await execute_run(app, night_of(1))
    await restarts[0]
    observations_before = list_observations(app)
    assert (await execute_run(app, night_of(1))).state is AuditRunState.DONE
    check_invariants(app, observations_before)
    app.store.close()
