"""A run checks every account once, keeps observations after failures, and evaluates results."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter

import pytest

from auditor.checking import checker
from auditor.checking.canaries import Canary
from auditor.conclusions import reevaluate, replay, run_results
from auditor.conclusions.network_view import build_network_overview
from auditor.rules.association_state import find_account_owners
from auditor.rules.checks import SharedRule
from auditor.rules.engine import is_gap_open
from auditor.runs import run as run_module
from auditor.runs.run import execute_run
from probes.http.fetcher import Fetcher, FetchOptions
from probes.models.finding import Account, Identity, LinkKind, Presence, Reason
from probes.models.http import FetchError
from probes.runner.parser_pool import ParserPool
from storage.conclusions import Conclusions
from storage.database import connection
from storage.errors import StoreError
from storage.files.body_store import BodyWriter
from storage.models.audit import AccountRow, AccountState, AuditRunState, Decision, DecisionKind
from tests.support.mini_network import (
    PROFILE,
    START,
    configured,
    link,
    night_of,
    opened,
    register,
    steps,
)


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@pytest.fixture
def app(tmp_path):
    small_app = opened(tmp_path)
    yield small_app
    small_app.store.close()


def findings_of(app, run):
    rows = {
        row.id: row.typed_text for row in app.store.registry.list_accounts(include_withdrawn=True)
    }
    observations = app.store.observations.list_observations(run_id=run.id)
    return {
        rows[observation.account_id]: (observation.finding.presence, observation.finding.reason)
        for observation in observations
    }


def get_status(app, typed):
    row = next(row for row in app.store.registry.list_accounts() if row.typed_text == typed)
    return app.store.statuses.get(row.id)


NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
SITE = link("nour", "website", "nour")


async def test_run_checks_every_account_once(app):
    register(app, NOUR, AMAL, SITE)
    app.web.answers = {NOUR.typed_text: "gone", SITE.typed_text: "wall"}
    run = await execute_run(app, START)
    assert run.state is AuditRunState.DONE
    assert findings_of(app, run) == {
        NOUR.typed_text: (Presence.ABSENT, Reason.NOT_FOUND),
        AMAL.typed_text: (Presence.PRESENT, None),
        SITE.typed_text: (Presence.UNKNOWN, Reason.LOGIN_WALL),
    }
    assert (run.report.present, run.report.absent, run.report.unknown) == (1, 1, 1)
    assert run.report.channels["facebook"] == {"present": 1, "absent": 1, "unknown": 0}
    assert run.report.requests == 3
    assert sorted(app.web.asked) == sorted([NOUR.typed_text, AMAL.typed_text, SITE.typed_text])


async def test_large_bodies_are_stored_before_the_next_check(app, monkeypatch):
    monkeypatch.setattr("storage.files.body_store.MAX_PENDING_BYTES", 0)
    commit_sizes, commit = [], BodyWriter.commit
    monkeypatch.setattr(BodyWriter, "commit", lambda writer: commit_sizes.append(commit(writer)))
    register(app, NOUR, AMAL, SITE)
    app.web.answers = {
        row.typed_text: f"the page of {row.typed_text}" for row in (NOUR, AMAL, SITE)
    }
    run = await execute_run(app, START)
    assert len(findings_of(app, run)) == 3
    assert sum(commit_sizes) == 3
    assert max(commit_sizes) < 3


async def test_finished_run_is_not_repeated(app):
    register(app, NOUR)
    first = await execute_run(app, START)
    assert await execute_run(app, START + timedelta(hours=1)) == first
    assert app.web.asked == [NOUR.typed_text]


async def test_crashed_probe_is_recorded_and_the_run_continues(app, caplog):
    register(app, NOUR, AMAL)
    app.web.answers = {NOUR.typed_text: "bug"}
    with caplog.at_level(logging.CRITICAL):
        run = await execute_run(app, START)
    assert run.state is AuditRunState.DONE
    assert findings_of(app, run)[NOUR.typed_text] == (Presence.UNKNOWN, Reason.CRASHED)
    assert findings_of(app, run)[AMAL.typed_text] == (Presence.PRESENT, None)
    assert get_status(app, NOUR.typed_text).state is AccountState.UNKNOWN


async def test_storage_failure_stops_the_run_with_its_error(app, monkeypatch):
    register(app, NOUR, AMAL)
    record = app.store.observations.record
    monkeypatch.setattr(
        app.store.observations,
        "record",
        lambda _: (_ for _ in ()).throw(StoreError("the disk", "is full")),
    )
    with pytest.raises(StoreError, match="is full"):
        await execute_run(app, START)
    failed = app.store.runs.get(START.date())
    assert failed.state is AuditRunState.INCOMPLETE
    monkeypatch.setattr(app.store.observations, "record", record)
    run = await execute_run(app, START + timedelta(minutes=1))
    assert run.state is AuditRunState.DONE
    assert len(findings_of(app, run)) == 2


async def test_interrupted_run_is_resumed(app):
    rows = [link(name, "website", name) for name in (f"a{number}" for number in range(9))]
    register(app, *rows)
    app.web.answers = {row.typed_text: "hang" for row in rows[7:]}
    seven = asyncio.Event()
    task = asyncio.create_task(
        execute_run(
            app, START, on_progress=lambda checked, _: seven.set() if checked == 7 else None
        )
    )
    await seven.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    interrupted = app.store.runs.get(START.date())
    checked_before = set(findings_of(app, interrupted))
    assert interrupted.state is AuditRunState.INCOMPLETE
    assert checked_before == {row.typed_text for row in rows[:7]}
    app.web.answers, app.web.asked = {}, []
    run = await execute_run(app, START + timedelta(minutes=5))
    assert run.state is AuditRunState.DONE
    assert run.started_at == START
    assert checked_before.isdisjoint(app.web.asked)
    assert len(findings_of(app, run)) == 9
    assert run.report.requests > len(app.web.asked)


@pytest.mark.parametrize("stage", ["save_conclusions", "finish"])
async def test_run_killed_during_evaluation_has_equal_conclusions(app, monkeypatch, stage):
    register(app, SITE, NOUR)
    app.web.answers = {SITE.typed_text: "linked"}
    target = (
        (app.store.conclusions, "save")
        if stage == "save_conclusions"
        else (run_module, "build_finished_report")
    )
    original = getattr(*target)

    def die(*args, **kwargs):
        if stage == "finish":
            original(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(*target, die)
    with pytest.raises(KeyboardInterrupt):
        await execute_run(app, START)
    monkeypatch.setattr(*target, original)
    run = await execute_run(app, START + timedelta(minutes=5))
    assert run.state is AuditRunState.DONE
    assert [(gap.code, gap.run_count) for gap in app.store.conclusions.list_gaps()] == [
        ("channel_missing", 1),
        ("channel_unlisted", 1),
    ]
    assert [proposal.run_count for proposal in app.store.conclusions.list_proposals()] == [1]


async def test_transient_failure_is_checked_in_the_second_pass(app):
    register(app, NOUR, AMAL)
    app.web.answers = {
        NOUR.typed_text: [FetchError(Reason.TIMEOUT), "alive"],
        AMAL.typed_text: FetchError(Reason.NETWORK, "host is down"),
    }
    run = await execute_run(app, START)
    assert findings_of(app, run)[NOUR.typed_text] == (Presence.PRESENT, None)
    assert findings_of(app, run)[AMAL.typed_text] == (Presence.UNKNOWN, Reason.NETWORK)
    assert app.web.passes == 2
    assert app.web.asked.count(AMAL.typed_text) == 2


async def test_link_that_may_be_requested_once_has_no_second_pass(app):
    register(app, NOUR, AMAL)
    app.web.answers = {
        row.typed_text: [FetchError(Reason.SERVER_ERROR), "alive"] for row in (NOUR, AMAL)
    }
    app.web.once = {NOUR.typed_text}
    run = await execute_run(app, START)
    assert findings_of(app, run)[NOUR.typed_text] == (Presence.UNKNOWN, Reason.SERVER_ERROR)
    assert findings_of(app, run)[AMAL.typed_text] == (Presence.PRESENT, None)
    assert (app.web.asked.count(NOUR.typed_text), app.web.asked.count(AMAL.typed_text)) == (1, 2)


async def test_final_result_has_no_second_pass(app):
    register(app, NOUR, AMAL)
    app.web.answers = {NOUR.typed_text: "gone", AMAL.typed_text: FetchError(Reason.BLOCKED)}
    await execute_run(app, START)
    assert (app.web.asked.count(NOUR.typed_text), app.web.asked.count(AMAL.typed_text)) == (1, 1)


async def test_unusable_cells_and_unaudited_channels_are_not_checked(app):
    nothing = AccountRow("nour", "لا يوجد", Identity("facebook", LinkKind.NONE), "facebook")
    register(app, NOUR, nothing, link("nour", "telegram", "nour"))
    await execute_run(app, START)
    assert app.web.asked == [NOUR.typed_text]


async def test_disowned_account_is_neither_checked_nor_evaluated(app):
    register(app, NOUR)
    row = next(app.store.registry.list_accounts())
    app.store.decisions.add(
        Decision(
            "nour", "facebook", DecisionKind.DISOWN, "Amina", "a namesake", START, account_id=row.id
        )
    )
    await execute_run(app, START)
    assert app.web.asked == []
    assert ("channel_missing", "facebook") in {
        (gap.code, gap.channel) for gap in app.store.conclusions.list_gaps()
    }


async def test_gone_account_opens_gap_after_three_runs_over_six_days(app):
    register(app, NOUR)
    app.web.answers = {NOUR.typed_text: "gone"}
    opened_after = []
    for day in (0, 3, 6):
        await execute_run(app, night_of(day))
        opened_after.append(
            {gap.code for gap in app.store.conclusions.list_gaps() if is_gap_open(gap)}
            - {"channel_missing"}
        )
    assert opened_after == [set(), set(), {"channel_dead"}]
    app.web.answers = {}
    for day in (7, 8):
        await execute_run(app, night_of(day))
    dead = next(gap for gap in app.store.conclusions.list_gaps() if gap.code == "channel_dead")
    assert (dead.opened_at, dead.closed_at) == (night_of(6), night_of(8))


async def test_unlisted_account_is_proposed_until_registered(app):
    register(app, SITE)
    app.web.answers = {SITE.typed_text: "linked"}
    for day in (0, 1):
        await execute_run(app, night_of(day))
    unlisted = next(
        gap for gap in app.store.conclusions.list_gaps() if gap.code == "channel_unlisted"
    )
    assert (unlisted.subject, unlisted.opened_at) == ("@nour", night_of(1))
    assert [proposal.run_count for proposal in app.store.conclusions.list_proposals()] == [2]
    registered = AccountRow(
        "nour", "@nour", Identity("youtube", LinkKind.PAGE, "@nour", PROFILE.canonical), "youtube"
    )
    register(app, SITE, registered, now=night_of(1) + timedelta(hours=5))
    await execute_run(app, night_of(2))
    unlisted = next(
        gap for gap in app.store.conclusions.list_gaps() if gap.code == "channel_unlisted"
    )
    assert unlisted.closed_at == night_of(2)


def build_accounts(count):
    return [link(f"a{number}", "facebook", f"a{number}") for number in range(count)]


async def test_five_changes_in_one_run_make_the_channel_unreliable(app, caplog):
    rows = build_accounts(9)
    register(app, *rows)
    await execute_run(app, START)
    app.web.answers = {row.typed_text: "gone" for row in rows[:6]}
    with caplog.at_level(logging.CRITICAL):
        run = await execute_run(app, night_of(1))
    assert run.unreliable_channels == ("facebook",)
    assert "not_found" in run.report.unreliable_channels["facebook"]
    assert all(
        status.unconfirmed_streak is None and status.state is AccountState.PRESENT
        for status in app.store.statuses.list_account_statuses()
    )


async def test_channel_stays_unreliable_in_a_resumed_run(app, monkeypatch, caplog):
    rows = build_accounts(9)
    register(app, *rows)
    await execute_run(app, START)
    app.web.answers = {row.typed_text: "gone" for row in rows}
    monkeypatch.setattr(
        run_module,
        "build_finished_report",
        lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt),
    )
    with caplog.at_level(logging.CRITICAL):
        with pytest.raises(KeyboardInterrupt):
            await execute_run(app, night_of(1))
        monkeypatch.undo()
        monkeypatch.setattr(checker, "create_probe", steps)
        run = await execute_run(app, night_of(1) + timedelta(hours=1))
    assert run.unreliable_channels == ("facebook",)
    assert all(
        status.unconfirmed_streak is None for status in app.store.statuses.list_account_statuses()
    )


def configure_canaries(monkeypatch, *canaries):
    """Configure these canaries: (channel, URL, exists)."""
    configured_canaries = [
        Canary(Account("", url, Identity(channel, LinkKind.PAGE, url, url, url)), exists)
        for channel, url, exists in canaries
    ]
    monkeypatch.setattr(
        run_module,
        "build_canaries",
        lambda channel, *_: [canary for canary in configured_canaries if canary.channel == channel],
    )


@pytest.mark.fault("F31")
async def test_run_without_connectivity_is_skipped_and_can_be_repeated(app, monkeypatch, caplog):
    register(app, NOUR)
    sites = ["https://one.example/", "https://two.example/"]
    configure_canaries(monkeypatch, *(("website", url, True) for url in sites))
    app.web.answers = dict.fromkeys(sites, FetchError(Reason.NETWORK))
    with caplog.at_level(logging.CRITICAL):
        skipped = await execute_run(app, START)
    assert (skipped.state, findings_of(app, skipped), list(app.store.conclusions.list_gaps())) == (
        AuditRunState.SKIPPED,
        {},
        [],
    )
    app.web.answers = {}
    assert (await execute_run(app, START + timedelta(hours=1))).state is AuditRunState.DONE


async def test_failed_canary_makes_its_channel_unreliable(app, monkeypatch, caplog):
    register(app, NOUR, SITE)
    configure_canaries(monkeypatch, ("facebook", "https://facebook.example/known", True))
    app.web.answers = {"https://facebook.example/known": "gone", NOUR.typed_text: "gone"}
    with caplog.at_level(logging.CRITICAL):
        run = await execute_run(app, START)
    assert run.unreliable_channels == ("facebook",)
    assert run.report.to_json()["canaries"][0]["presence"] == "absent"
    assert get_status(app, NOUR.typed_text).unconfirmed_streak is None
    assert get_status(app, SITE.typed_text).state is AccountState.PRESENT


async def test_run_report_counts_opened_and_closed_gaps(app):
    register(app, NOUR)
    first = await execute_run(app, START)
    assert (first.report.opened_by_code, first.report.closed_gaps) == ({"channel_missing": 1}, 0)
    register(app, NOUR, link("nour", "youtube", "nour"), now=START + timedelta(hours=5))
    second = await execute_run(app, night_of(1))
    assert second.report.closed_by_code == {"channel_missing": 1}


async def test_run_report_names_platform_hosts_and_counts_others(app, monkeypatch):
    rows = [link(name, "website", name) for name in ("a0", "a1", "a2", "a3", "a4")]
    register(app, *rows)
    get, hangs = app.web.get, asyncio.Event()

    async def count_request(request):
        host = request.url.split("/")[2]
        if host < "a3":  # as the fetcher counts the hosts of platforms
            app.web.requests_by_host[host] += 1
        if host == "a0.example":
            hangs.set()
        return await get(request)

    monkeypatch.setattr(app.web, "get", count_request)
    app.web.answers = {rows[0].typed_text: "hang"}
    four = asyncio.Event()
    task = asyncio.create_task(
        execute_run(app, START, on_progress=lambda checked, _: four.set() if checked == 4 else None)
    )
    await four.wait()
    await hangs.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    app.web.answers = {}
    run = await execute_run(app, START + timedelta(minutes=5))
    platform_hosts, elsewhere = (
        run.report.requests_by_host,
        run.report.to_json()["requests_other_hosts"],
    )
    assert (platform_hosts["a0.example"], len(platform_hosts)) == (2, 3)
    assert elsewhere == {"hosts": 0, "requests": 2}
    assert sum(platform_hosts.values()) + elsewhere["requests"] == run.report.requests == 6


@pytest.mark.fault("F19")
async def test_evidence_has_no_cookies(app):
    register(app, SITE)
    run = await execute_run(app, START)
    observation = next(app.store.observations.list_observations(run_id=run.id))
    assert dict(observation.evidence[0].headers) == {}
    assert app.body_store.get(observation.evidence[0].digest) == b"alive"


async def test_progress_counts_to_the_end(app):
    register(app, *build_accounts(5))
    calls = []
    await execute_run(app, START, on_progress=lambda checked, total: calls.append((checked, total)))
    assert calls == [(number, 5) for number in range(6)]


async def test_run_over_real_sockets(tmp_path, monkeypatch):
    """With a real fetcher, real parsers, and a server on loopback that the guard allows."""

    async def respond(reader, writer):
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        body = {b"/gone": b"gone", b"/robots.txt": b""}.get(path, b"alive")
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: "
            b"text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        )
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fetch = FetchOptions(
        allow_networks=("127.0.0.0/8",), host_delay=0, second_pass_delay=0, max_retries=0
    )
    app = opened(tmp_path, configured().model_copy(update={"fetch": fetch}))
    monkeypatch.setattr(app, "create_fetcher", lambda now, *_: Fetcher(fetch, now), raising=False)
    monkeypatch.setattr(app, "create_parser_pool", lambda: ParserPool(1), raising=False)
    urls = [f"http://127.0.0.1:{port}/{name}" for name in ("gone", "here")]
    register(
        app,
        *(
            AccountRow("nour", url, Identity("website", LinkKind.PAGE, url, url, url), "website")
            for url in urls
        ),
    )
    async with server:
        run = await execute_run(app, START)
    app.store.close()
    assert run.report.requests >= 2
    assert (run.report.present, run.report.absent) == (1, 1)


async def test_only_changed_conclusions_are_stored(app):
    register(app, NOUR)
    await execute_run(app, START)
    data = app.store.conclusions.load_association_data(["nour"], include_closed_gaps=False)
    (state,) = run_results.assemble_association_states(data["associations"], data)
    conclusions = Conclusions(stale_associations=set())
    run_results.add_changes(conclusions, state, state)
    assert conclusions == Conclusions(stale_associations=set())


async def test_crawl_delay_of_a_site_does_not_block_others(tmp_path, monkeypatch):
    """With one connection and five sites, no site waits for the others.

    Each is requested while the others wait for their crawl delay.
    """
    fetch = FetchOptions(second_pass_delay=0, concurrency=1, host_delay=1)
    app = opened(tmp_path, configured().model_copy(update={"fetch": fetch}))
    sites = [link(f"s{number}", "website", f"s{number}") for number in range(5)]
    register(app, *sites)
    barrier, get = asyncio.Barrier(len(sites)), app.web.get

    async def wait_for_all(request):
        await asyncio.wait_for(barrier.wait(), 20)
        return await get(request)

    monkeypatch.setattr(app.web, "get", wait_for_all)
    run = await execute_run(app, START)
    app.store.close()
    assert run.report.present == len(sites)


async def test_evaluation_in_parts_equals_evaluation_at_once(tmp_path, monkeypatch):
    """Each association alone: equal statuses, gaps and proposals."""
    fetch = FetchOptions(
        second_pass_delay=0, concurrency=1, host_delay=0
    )  # so both check in the same order
    config = configured().model_copy(update={"fetch": fetch})
    app, network = (opened(tmp_path / name, config) for name in ("register", "network"))
    for tested_app, batch_size in ((app, 1), (network, connection.QUERY_BATCH_SIZE)):
        monkeypatch.setattr(connection, "QUERY_BATCH_SIZE", batch_size)
        register(tested_app, NOUR, AMAL, SITE)
        tested_app.web.answers = {SITE.typed_text: "linked"}
        for day in (0, 1):
            await execute_run(tested_app, night_of(day))
    for list_name in (
        "statuses.list_account_statuses",
        "conclusions.list_gaps",
        "conclusions.list_proposals",
    ):
        list_conclusions = attrgetter(list_name)
        in_parts, at_once = (
            list(list_conclusions(tested_app.store)()) for tested_app in (app, network)
        )
        assert in_parts == at_once, list_name
        assert in_parts, list_name
    assert [
        gap.run_count
        for gap in app.store.conclusions.list_gaps("nour")
        if gap.code == "channel_unlisted"
    ] == [2]
    app.store.close()
    network.store.close()


async def test_channel_stays_unreliable_after_a_failed_evaluation(app, monkeypatch, caplog):
    canary_url = "https://facebook.example/known"
    configure_canaries(monkeypatch, ("facebook", canary_url, True))
    register(app, NOUR)
    app.web.answers = {canary_url: "gone", NOUR.typed_text: "gone"}

    def fail(*_, **__):
        raise StoreError("the database", "the disk is full", "make room")

    with caplog.at_level(logging.CRITICAL):
        with monkeypatch.context() as patch:
            patch.setattr(app.store.conclusions, "save", fail)
            with pytest.raises(StoreError):
                await execute_run(app, START)
        app.web.answers[canary_url] = "alive"
        run = await execute_run(app, START + timedelta(minutes=5))
    assert run.unreliable_channels == ("facebook",)
    assert run.report.unreliable_channels == {"facebook": "a known account reads not_found"}
    assert all(
        status.unconfirmed_streak is None for status in app.store.statuses.list_account_statuses()
    )


async def test_disowned_account_is_not_shared(app, monkeypatch):
    monkeypatch.setattr(replay, "create_probe", steps)
    shared = SharedRule(code="channel_shared", check="shared")
    app.config = app.config.model_copy(update={"rules": (*app.config.rules, shared)})
    shared_link = link("amal", "facebook", "nour")
    register(app, NOUR, shared_link)
    disowned_row = next(
        row for row in app.store.registry.list_accounts() if row.association == "amal"
    )
    decision = Decision(
        "amal",
        "facebook",
        DecisionKind.DISOWN,
        "Amina",
        "",
        night_of(2),
        account_id=disowned_row.id,
    )
    for day in range(2):
        await execute_run(app, night_of(day))
    assert {
        gap.association for gap in app.store.conclusions.list_gaps() if gap.code == "channel_shared"
    } == {"nour", "amal"}
    app.store.decisions.add(decision)
    await execute_run(app, night_of(2))
    assert not [
        gap
        for gap in app.store.conclusions.list_gaps()
        if gap.code == "channel_shared" and gap.closed_at is None
    ]
    assert reevaluate.reevaluate(app).changes == []


def test_post_of_a_page_does_not_share_the_page():
    page = link("nour", "facebook", "nour")
    post = replace(page, association="amal", identity=replace(page.identity, kind=LinkKind.POST))
    assert find_account_owners([page, post], START) == {("facebook", "u:nour"): ("nour",)}


async def test_canary_result_counts_in_a_resumed_run(app, monkeypatch, caplog):
    canary_url = "https://facebook.example/known"
    configure_canaries(monkeypatch, ("facebook", canary_url, True))
    register(app, NOUR, AMAL)
    app.web.answers = {canary_url: "gone", NOUR.typed_text: "gone", AMAL.typed_text: "hang"}
    one_checked = asyncio.Event()
    task = asyncio.create_task(
        execute_run(app, START, on_progress=lambda checked, _total: checked and one_checked.set())
    )
    await one_checked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    app.web.answers = {NOUR.typed_text: "gone"}
    with caplog.at_level(logging.CRITICAL):
        run = await execute_run(app, START + timedelta(hours=1))
    assert run.unreliable_channels == ("facebook",)
    assert all(
        status.unconfirmed_streak is None for status in app.store.statuses.list_account_statuses()
    )


async def test_moved_account_is_not_checked_and_its_channel_not_missing(app):
    register(app, NOUR)
    row = next(app.store.registry.list_accounts())
    decision = Decision(
        "nour", "facebook", DecisionKind.MOVED, "Amina", "", START, account_id=row.id
    )
    app.store.decisions.add(decision)
    await execute_run(app, night_of(0))
    assert {gap.channel for gap in app.store.conclusions.list_gaps()} == {"youtube"}
    overview = build_network_overview(app.store, app.config, night_of(1))
    facebook = next(coverage for coverage in overview.coverage if coverage.channel == "facebook")
    assert (facebook.unknown, facebook.missing) == (1, 0)
