"""A run checks every account once, keeps observations after failures, and evaluates results."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.checking.canaries import Canary
from auditor.conclusions.network_view import iter_association_views
from auditor.conclusions.reevaluate import reevaluate
from auditor.rules.association_state import find_account_owners
from auditor.runs import run as run_module
from auditor.runs.run import execute_run
from probes.http.fetcher import FetchOptions
from probes.models.finding import Account, Identity, LinkKind, Presence, Reason
from probes.models.http import FetchError
from storage.database import connection
from storage.models.audit import AccountRow, AccountState, AuditRunState
from tests.support.mini_network import (
    START,
    configured,
    interrupt_run,
    link,
    night_of,
    opened,
    register,
)

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
SITE = link("nour", "website", "nour")


def findings_of(app, run):
    rows = {
        row.id: row.typed_text for row in app.store.registry.list_accounts(include_withdrawn=True)
    }
    observations = app.store.observations.list_observations(run_id=run.id)
    return {
        rows[observation.account_id]: (observation.finding.presence, observation.finding.reason)
        for observation in observations
    }


@pytest.mark.smoke
async def test_run_checks_every_account_once_and_shows_its_progress(app):
    register(app, NOUR, AMAL, SITE)
    app.web.answers = {NOUR.typed_text: "gone", SITE.typed_text: "wall"}
    progress = []
    run = await execute_run(app, START, on_progress=lambda *counts: progress.append(counts))
    assert run.state is AuditRunState.DONE
    assert findings_of(app, run) == {
        NOUR.typed_text: (Presence.ABSENT, Reason.NOT_FOUND),
        AMAL.typed_text: (Presence.PRESENT, None),
        SITE.typed_text: (Presence.UNKNOWN, Reason.LOGIN_WALL),
    }
    assert (run.report.present, run.report.absent, run.report.unknown) == (1, 1, 1)
    assert run.report.channels["facebook"] == {"present": 1, "absent": 1, "unknown": 0}
    assert run.report.requests == 3
    assert progress == [(number, 3) for number in range(4)]
    assert await execute_run(app, START + timedelta(hours=1)) == run
    assert sorted(app.web.asked) == sorted([NOUR.typed_text, AMAL.typed_text, SITE.typed_text])


@pytest.mark.smoke
async def test_interrupted_run_is_resumed_and_counts_all_its_requests(app):
    rows = [link(name, "website", name) for name in (f"a{number}" for number in range(9))]
    register(app, *rows)
    app.web.answers = {row.typed_text: "hang" for row in rows[7:]}
    await interrupt_run(app, START, 7)
    interrupted = app.store.runs.get(START.date())
    assert interrupted.state is AuditRunState.INCOMPLETE
    assert set(findings_of(app, interrupted)) == {row.typed_text for row in rows[:7]}
    first_requests, app.web.answers, app.web.asked = len(app.web.asked), {}, []
    run = await execute_run(app, START + timedelta(minutes=5))
    assert (run.state, run.started_at) == (AuditRunState.DONE, START)
    assert sorted(app.web.asked) == [row.typed_text for row in rows[7:]]
    assert len(findings_of(app, run)) == 9
    assert run.report.requests == first_requests + 2


def kill(*_, **__):
    raise KeyboardInterrupt


async def test_only_transient_failures_are_checked_in_a_second_pass(app):
    """A link that may be requested once has no second pass either."""
    answers = {
        "back": [FetchError(Reason.TIMEOUT), "alive"],
        "down": FetchError(Reason.NETWORK, "host is down"),
        "once": [FetchError(Reason.SERVER_ERROR), "alive"],
        "gone": "gone",
        "blocked": FetchError(Reason.BLOCKED),
    }
    rows = {name: link(name, "facebook", name) for name in answers}
    register(app, *rows.values())
    app.web.answers = {rows[name].typed_text: answer for name, answer in answers.items()}
    app.web.once = {rows["once"].typed_text}
    waits = []
    fetch = FetchOptions(second_pass_delay=0.01, concurrency=4)
    app.config = app.config.model_copy(update={"fetch": fetch})
    run = await execute_run(app, START, timer=lambda: 0.0, on_wait=lambda *wait: waits.append(wait))
    findings = findings_of(app, run)
    results = {
        name: (*findings[row.typed_text], app.web.asked.count(row.typed_text))
        for name, row in rows.items()
    }
    assert results == {
        "back": (Presence.PRESENT, None, 2),
        "down": (Presence.UNKNOWN, Reason.NETWORK, 2),
        "once": (Presence.UNKNOWN, Reason.SERVER_ERROR, 1),
        "gone": (Presence.ABSENT, Reason.NOT_FOUND, 1),
        "blocked": (Presence.UNKNOWN, Reason.BLOCKED, 1),
    }
    assert app.web.passes == 2
    assert waits == [(2, START + timedelta(seconds=0.01))]


async def test_unusable_cells_and_unaudited_channels_are_not_checked(app):
    nothing = AccountRow("nour", "لا يوجد", Identity("facebook", LinkKind.NONE), "facebook")
    register(app, NOUR, nothing, link("nour", "telegram", "nour"))
    await execute_run(app, START)
    assert app.web.asked == [NOUR.typed_text]


async def test_five_changes_in_one_run_make_the_channel_unreliable(app, monkeypatch, caplog):
    """Also in a run that was killed before its report, and is resumed."""
    rows = [link(f"a{number}", "facebook", f"a{number}") for number in range(9)]
    register(app, *rows)
    await execute_run(app, START)
    app.web.answers = {row.typed_text: "gone" for row in rows[:6]}
    with caplog.at_level(logging.CRITICAL):
        with monkeypatch.context() as patched:
            patched.setattr(run_module, "build_finished_report", kill)
            with pytest.raises(KeyboardInterrupt):
                await execute_run(app, night_of(1))
        run = await execute_run(app, night_of(1) + timedelta(hours=1))
    assert run.report.unreliable_channels == {"facebook": "6 of 9 turned to not_found in one run"}
    statuses = app.store.statuses.list_account_statuses()
    states = {(status.state, status.unconfirmed_streak) for status in statuses}
    assert states == {(AccountState.PRESENT, None)}


def configure_canaries(monkeypatch, *urls):
    """Let a channel have these canaries: (channel, URL)."""
    canaries = [
        Canary(Account("", url, Identity(channel, LinkKind.PAGE, url, url, url)), exists=True)
        for channel, url in urls
    ]
    monkeypatch.setattr(
        run_module,
        "build_canaries",
        lambda channel, *_: [canary for canary in canaries if canary.channel == channel],
    )


@pytest.mark.smoke
@pytest.mark.fault("F31")
async def test_run_without_connectivity_is_skipped_and_can_be_repeated(app, monkeypatch, caplog):
    register(app, NOUR)
    sites = ["https://one.example/", "https://two.example/"]
    configure_canaries(monkeypatch, *(("website", url) for url in sites))
    app.web.answers = dict.fromkeys(sites, FetchError(Reason.NETWORK))
    with caplog.at_level(logging.CRITICAL):
        skipped = await execute_run(app, START)
    assert (skipped.state, findings_of(app, skipped)) == (AuditRunState.SKIPPED, {})
    assert list(app.store.conclusions.list_gaps()) == []
    app.web.answers = {}
    assert (await execute_run(app, START + timedelta(hours=1))).state is AuditRunState.DONE


async def test_withdrawn_association_is_not_checked_and_keeps_its_results(app):
    register(app, NOUR, AMAL)
    await execute_run(app, night_of(0))
    app.store.registry.withdraw_association("nour", night_of(0) + timedelta(hours=2))
    app.web.asked = []
    await execute_run(app, night_of(1))
    assert app.web.asked == [AMAL.typed_text]
    views = iter_association_views(app.store, app.config, night_of(1))
    assert [view.association.id for view in views] == ["amal"]
    app.store.registry.restore_association("nour", night_of(1) + timedelta(hours=2))
    [status] = app.store.statuses.list_account_statuses("nour")
    assert (status.checked_at.date(), status.state) == (night_of(0).date(), AccountState.PRESENT)
    await execute_run(app, night_of(2))
    assert sorted(app.web.asked[1:]) == [AMAL.typed_text, NOUR.typed_text]


@pytest.mark.parametrize("first_session", ["offline", "interrupted"])
async def test_association_imported_before_a_resumption_has_results(
    app, monkeypatch, first_session, caplog
):
    register(app, NOUR, SITE)
    with caplog.at_level(logging.CRITICAL):
        if first_session == "offline":
            with monkeypatch.context() as offline:
                offline.setattr(run_module, "is_offline", lambda _: True)
                await execute_run(app, START)
        else:
            app.web.answers = {SITE.typed_text: "hang"}
            await interrupt_run(app, START, 1)
    app.web.answers = {AMAL.typed_text: "gone"}
    register(app, NOUR, SITE, AMAL, now=START + timedelta(hours=1))
    run = await execute_run(app, START + timedelta(hours=2))
    assert (run.started_at, run.report.accounts) == (START, 3)
    statuses = list(app.store.statuses.list_account_statuses())
    assert len(statuses) == 3
    assert not reevaluate(app, dry_run=True).changes


@pytest.mark.smoke
async def test_failed_canary_makes_its_channel_unreliable(app, monkeypatch, caplog):
    """Also if the run is interrupted, and the canary is well when it is resumed."""
    canary_url = "https://facebook.example/known"
    configure_canaries(monkeypatch, ("facebook", canary_url))
    register(app, NOUR, AMAL, SITE)
    app.web.answers = {canary_url: "gone", NOUR.typed_text: "gone", AMAL.typed_text: "hang"}
    with caplog.at_level(logging.CRITICAL):
        await interrupt_run(app, START, 2)
        app.web.answers = {NOUR.typed_text: "gone"}
        run = await execute_run(app, START + timedelta(hours=1))
    assert run.report.unreliable_channels == {"facebook": "a known account reads not_found"}
    statuses = {status.account_id: status for status in app.store.statuses.list_account_statuses()}
    assert {status.unconfirmed_streak for status in statuses.values()} == {None}
    (_, site) = app.store.registry.list_accounts("nour")
    assert statuses[site.id].state is AccountState.PRESENT


@pytest.mark.smoke
@pytest.mark.fault("F19")
async def test_evidence_has_no_cookies(app):
    register(app, SITE)
    run = await execute_run(app, START)
    [observation] = app.store.observations.list_observations(run_id=run.id)
    assert dict(observation.evidence[0].headers) == {}
    assert app.body_store.get(observation.evidence[0].digest) == b"alive"


async def test_crawl_delay_of_a_site_does_not_block_others(app, monkeypatch):
    """With one connection, each of five sites is requested while the others wait."""
    fetch = FetchOptions(second_pass_delay=0, concurrency=1, host_delay=1)
    app.config = app.config.model_copy(update={"fetch": fetch})
    sites = [link(f"s{number}", "website", f"s{number}") for number in range(5)]
    register(app, *sites)
    barrier, get = asyncio.Barrier(len(sites)), app.web.get

    async def wait_for_all(request):
        await asyncio.wait_for(barrier.wait(), 20)
        return await get(request)

    monkeypatch.setattr(app.web, "get", wait_for_all)
    run = await execute_run(app, START)
    assert run.report.present == len(sites)


@pytest.mark.usefixtures("simple_probe")
async def test_evaluation_in_parts_equals_evaluation_at_once(tmp_path, monkeypatch):
    """Each association alone: equal statuses, gaps and proposals."""
    fetch = FetchOptions(second_pass_delay=0, concurrency=1, host_delay=0)  # in the same order
    config = configured().model_copy(update={"fetch": fetch})
    conclusions = []
    for batch_size in (1, connection.QUERY_BATCH_SIZE):
        monkeypatch.setattr(connection, "QUERY_BATCH_SIZE", batch_size)
        app = opened(tmp_path / str(batch_size), config)
        register(app, NOUR, AMAL, SITE)
        app.web.answers = {SITE.typed_text: "linked"}
        for day in (0, 1):
            await execute_run(app, night_of(day))
        stored = app.store.conclusions
        statuses = app.store.statuses.list_account_statuses()
        conclusions.append([*map(list, (statuses, stored.list_gaps(), stored.list_proposals()))])
        app.store.close()
    assert conclusions[0] == conclusions[1]
    assert [len(part) for part in conclusions[0]] == [3, 3, 1]


def test_post_of_a_page_does_not_share_the_page():
    post = replace(NOUR, association="amal", identity=replace(NOUR.identity, kind=LinkKind.POST))
    assert find_account_owners([NOUR, post], START) == {("facebook", "u:nour"): ("nour",)}
