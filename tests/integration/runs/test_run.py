"""A run: every account is checked once, observations survive failures, and results are evaluated."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.checking.canaries import Canary
from auditor.evaluation import reevaluate, run_results
from auditor.evaluation.network_view import build_network_overview
from auditor.receipts.receipt import hash_canonical_json
from auditor.rules.association import find_account_owners
from auditor.rules.checks.registry import SharedRule
from auditor.rules.engine import is_gap_open
from auditor.runs import plan
from auditor.runs import run as runs_run
from auditor.runs.host_queue import HostQueue, iter_host_queues
from auditor.runs.plan import build_batches, compute_batch_size
from auditor.runs.run import execute_run
from probes.http.fetcher import Fetcher, FetchOptions
from probes.links import channel_registry
from probes.models.finding import Account, Identity, LinkKind, Presence, Reason
from probes.models.http import FetchError
from probes.runner.parser_pool import ParserPool
from storage import batching
from storage.errors import StoreError
from storage.files import spool
from storage.files.body_store import BodyWriter
from storage.models.audit import AccountRow, AccountState, AuditRunState, Decision, DecisionKind
from storage.runs.plan import PlanPosition
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
    monkeypatch.setattr(checker, "probe_steps_for", steps)


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path)
    yield small
    small.store.close()


def seen(app, done):
    rows = {row.id: row.typed_text for row in app.store.list_accounts(include_withdrawn=True)}
    looks = app.store.list_observations(run_id=done.id)
    return {rows[look.account_id]: (look.finding.presence, look.finding.reason) for look in looks}


def standing(app, typed):
    row = next(row for row in app.store.list_accounts() if row.typed_text == typed)
    return app.store.get_account_status(row.id)


NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
SITE = link("nour", "website", "nour")


async def test_run_checks_every_account_once(app):
    register(app, NOUR, AMAL, SITE)
    app.web.answers = {NOUR.typed_text: "gone", SITE.typed_text: "wall"}
    done = await execute_run(app, START)
    assert done.state is AuditRunState.DONE
    assert seen(app, done) == {
        NOUR.typed_text: (Presence.ABSENT, Reason.NOT_FOUND),
        AMAL.typed_text: (Presence.PRESENT, None),
        SITE.typed_text: (Presence.UNKNOWN, Reason.LOGIN_WALL),
    }
    assert (done.receipt["present"], done.receipt["absent"], done.receipt["unknown"]) == (1, 1, 1)
    assert done.receipt["channels"]["facebook"] == {"present": 1, "absent": 1, "unknown": 0}
    assert done.receipt["requests"] == 3
    assert sorted(app.web.asked) == sorted([NOUR.typed_text, AMAL.typed_text, SITE.typed_text])


async def test_large_bodies_are_stored_before_the_next_check(app, monkeypatch):
    monkeypatch.setattr("storage.files.body_store.MAX_PENDING_BYTES", 0)
    settled, usual = [], BodyWriter.commit
    monkeypatch.setattr(BodyWriter, "commit", lambda laying: settled.append(usual(laying)))
    register(app, NOUR, AMAL, SITE)
    app.web.answers = {
        row.typed_text: f"a page of its own, {row.typed_text}" for row in (NOUR, AMAL, SITE)
    }
    done = await execute_run(app, START)
    assert len(seen(app, done)) == 3
    assert sum(settled) == 3
    assert max(settled) < 3


async def test_finished_run_is_not_repeated(app):
    register(app, NOUR)
    first = await execute_run(app, START)
    assert await execute_run(app, START + timedelta(hours=1)) == first
    assert app.web.asked == [NOUR.typed_text]


async def test_crashed_probe_is_recorded_and_the_run_continues(app, caplog):
    register(app, NOUR, AMAL)
    app.web.answers = {NOUR.typed_text: "bug"}
    with caplog.at_level(logging.CRITICAL):
        done = await execute_run(app, START)
    assert done.state is AuditRunState.DONE
    assert seen(app, done)[NOUR.typed_text] == (Presence.UNKNOWN, Reason.CRASHED)
    assert seen(app, done)[AMAL.typed_text] == (Presence.PRESENT, None)
    assert standing(app, NOUR.typed_text).state is AccountState.UNKNOWN


async def test_storage_failure_stops_the_run_with_its_error(app, monkeypatch):
    register(app, NOUR, AMAL)
    record = app.store.record_observations
    monkeypatch.setattr(
        app.store,
        "record_observations",
        lambda _: (_ for _ in ()).throw(StoreError("the disk", "is full")),
    )
    with pytest.raises(StoreError, match="is full"):
        await execute_run(app, START)
    left = app.store.get_run(START.date())
    assert left.state is AuditRunState.INCOMPLETE
    monkeypatch.setattr(app.store, "record_observations", record)
    done = await execute_run(app, START + timedelta(minutes=1))
    assert done.state is AuditRunState.DONE
    assert len(seen(app, done)) == 2


async def test_interrupted_run_is_resumed(app):
    rows = [link(name, "website", name) for name in (f"a{number}" for number in range(9))]
    register(app, *rows)
    app.web.answers = {row.typed_text: "hang" for row in rows[7:]}
    seven = asyncio.Event()
    going = asyncio.create_task(
        execute_run(app, START, on_progress=lambda done, _: seven.set() if done == 7 else None)
    )
    await seven.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    left = app.store.get_run(START.date())
    before = set(seen(app, left))
    assert left.state is AuditRunState.INCOMPLETE
    assert before == {row.typed_text for row in rows[:7]}
    app.web.answers, app.web.asked = {}, []
    done = await execute_run(app, START + timedelta(minutes=5))
    assert done.state is AuditRunState.DONE
    assert done.started_at == START
    assert before.isdisjoint(app.web.asked)
    assert len(seen(app, done)) == 9
    assert done.receipt["requests"] > len(app.web.asked)


@pytest.mark.parametrize("stage", ["save_conclusions", "finish"])
async def test_run_killed_during_evaluation_has_equal_conclusions(app, monkeypatch, stage):
    register(app, SITE, NOUR)
    app.web.answers = {SITE.typed_text: "linked"}
    target = (
        (app.store, "save_conclusions")
        if stage == "save_conclusions"
        else (runs_run.receipt, "build_finished_receipt")
    )
    whole = getattr(*target)

    def die(*given, **named):
        if stage == "finish":
            whole(*given, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(*target, die)
    with pytest.raises(KeyboardInterrupt):
        await execute_run(app, START)
    monkeypatch.setattr(*target, whole)
    done = await execute_run(app, START + timedelta(minutes=5))
    assert done.state is AuditRunState.DONE
    assert [(gap.code, gap.run_count) for gap in app.store.list_gaps()] == [
        ("channel_missing", 1),
        ("channel_unlisted", 1),
    ]
    assert [proposal.run_count for proposal in app.store.list_proposals()] == [1]


async def test_transient_failure_is_checked_in_the_second_pass(app):
    register(app, NOUR, AMAL)
    app.web.answers = {
        NOUR.typed_text: [FetchError(Reason.TIMEOUT), "alive"],
        AMAL.typed_text: FetchError(Reason.NETWORK, "host is down"),
    }
    done = await execute_run(app, START)
    assert seen(app, done)[NOUR.typed_text] == (Presence.PRESENT, None)
    assert seen(app, done)[AMAL.typed_text] == (Presence.UNKNOWN, Reason.NETWORK)
    assert app.web.passes == 2
    assert app.web.asked.count(AMAL.typed_text) == 2


async def test_link_that_may_be_requested_once_has_no_second_pass(app):
    register(app, NOUR, AMAL)
    app.web.answers = {
        one.typed_text: [FetchError(Reason.SERVER_ERROR), "alive"] for one in (NOUR, AMAL)
    }
    app.web.once = {NOUR.typed_text}
    done = await execute_run(app, START)
    assert seen(app, done)[NOUR.typed_text] == (Presence.UNKNOWN, Reason.SERVER_ERROR)
    assert seen(app, done)[AMAL.typed_text] == (Presence.PRESENT, None)
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
    row = next(app.store.list_accounts())
    app.store.add_decision(
        Decision(
            "nour", "facebook", DecisionKind.DISOWN, "Amina", "a namesake", START, account_id=row.id
        )
    )
    await execute_run(app, START)
    assert app.web.asked == []
    assert ("channel_missing", "facebook") in {
        (gap.code, gap.channel) for gap in app.store.list_gaps()
    }


async def test_gone_account_opens_gap_after_three_runs_over_six_days(app):
    register(app, NOUR)
    app.web.answers = {NOUR.typed_text: "gone"}
    opened_after = []
    for day in (0, 3, 6):
        await execute_run(app, night_of(day))
        opened_after.append(
            {gap.code for gap in app.store.list_gaps() if is_gap_open(gap)} - {"channel_missing"}
        )
    assert opened_after == [set(), set(), {"channel_dead"}]
    app.web.answers = {}
    for day in (7, 8):
        await execute_run(app, night_of(day))
    dead = next(gap for gap in app.store.list_gaps() if gap.code == "channel_dead")
    assert (dead.opened_at, dead.closed_at) == (night_of(6), night_of(8))


async def test_unlisted_account_is_proposed_until_registered(app):
    register(app, SITE)
    app.web.answers = {SITE.typed_text: "linked"}
    for day in (0, 1):
        await execute_run(app, night_of(day))
    unlisted = next(gap for gap in app.store.list_gaps() if gap.code == "channel_unlisted")
    assert (unlisted.subject, unlisted.opened_at) == ("@nour", night_of(1))
    assert [proposal.run_count for proposal in app.store.list_proposals()] == [2]
    taken = AccountRow(
        "nour", "@nour", Identity("youtube", LinkKind.PAGE, "@nour", PROFILE.canonical), "youtube"
    )
    register(app, SITE, taken, now=night_of(1) + timedelta(hours=5))
    await execute_run(app, night_of(2))
    unlisted = next(gap for gap in app.store.list_gaps() if gap.code == "channel_unlisted")
    assert unlisted.closed_at == night_of(2)


def many(count):
    return [link(f"a{number}", "facebook", f"a{number}") for number in range(count)]


async def test_five_changes_in_one_run_make_the_channel_unreliable(app, caplog):
    rows = many(9)
    register(app, *rows)
    await execute_run(app, START)
    app.web.answers = {row.typed_text: "gone" for row in rows[:6]}
    with caplog.at_level(logging.CRITICAL):
        done = await execute_run(app, night_of(1))
    assert done.unreliable_channels == ("facebook",)
    assert "not_found" in done.receipt["unreliable_channels"]["facebook"]
    assert all(
        one.unconfirmed_streak is None and one.state is AccountState.PRESENT
        for one in app.store.list_account_statuses()
    )


async def test_channel_stays_unreliable_in_a_resumed_run(app, monkeypatch, caplog):
    rows = many(9)
    register(app, *rows)
    await execute_run(app, START)
    app.web.answers = {row.typed_text: "gone" for row in rows}
    monkeypatch.setattr(
        runs_run.receipt,
        "build_finished_receipt",
        lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt),
    )
    with caplog.at_level(logging.CRITICAL):
        with pytest.raises(KeyboardInterrupt):
            await execute_run(app, night_of(1))
        monkeypatch.undo()
        monkeypatch.setattr(checker, "probe_steps_for", steps)
        done = await execute_run(app, night_of(1) + timedelta(hours=1))
    assert done.unreliable_channels == ("facebook",)
    assert all(one.unconfirmed_streak is None for one in app.store.list_account_statuses())


def watched(monkeypatch, *canaries):
    """Configure these canaries: (channel, URL, exists)."""
    told = [
        Canary(Account("", url, Identity(channel, LinkKind.PAGE, url, url, url)), exists)
        for channel, url, exists in canaries
    ]
    monkeypatch.setattr(
        runs_run,
        "build_canaries",
        lambda channel, *_: [one for one in told if one.channel == channel],
    )


@pytest.mark.fault("F31")
async def test_run_without_connectivity_is_skipped_and_can_be_repeated(app, monkeypatch, caplog):
    register(app, NOUR)
    sites = ["https://one.example/", "https://two.example/"]
    watched(monkeypatch, *(("website", url, True) for url in sites))
    app.web.answers = dict.fromkeys(sites, FetchError(Reason.NETWORK))
    with caplog.at_level(logging.CRITICAL):
        skipped = await execute_run(app, START)
    assert (skipped.state, seen(app, skipped), list(app.store.list_gaps())) == (
        AuditRunState.SKIPPED,
        {},
        [],
    )
    app.web.answers = {}
    assert (await execute_run(app, START + timedelta(hours=1))).state is AuditRunState.DONE


async def test_failed_canary_makes_its_channel_unreliable(app, monkeypatch, caplog):
    register(app, NOUR, SITE)
    watched(monkeypatch, ("facebook", "https://facebook.example/known", True))
    app.web.answers = {"https://facebook.example/known": "gone", NOUR.typed_text: "gone"}
    with caplog.at_level(logging.CRITICAL):
        done = await execute_run(app, START)
    assert done.unreliable_channels == ("facebook",)
    assert done.receipt["canaries"][0]["presence"] == "absent"
    assert standing(app, NOUR.typed_text).unconfirmed_streak is None
    assert standing(app, SITE.typed_text).state is AccountState.PRESENT


async def test_receipts_are_chained(app):
    register(app, NOUR)
    first, second = await execute_run(app, START), await execute_run(app, night_of(1))
    assert first.receipt["previous_digest"] is None
    assert second.receipt["previous_digest"] == hash_canonical_json(first.receipt)


async def test_receipt_counts_opened_and_closed_gaps(app):
    register(app, NOUR)
    first = await execute_run(app, START)
    assert (first.receipt["opened_by_code"], first.receipt["closed_gaps"]) == (
        {"channel_missing": 1},
        0,
    )
    register(app, NOUR, link("nour", "youtube", "nour"), now=START + timedelta(hours=5))
    second = await execute_run(app, night_of(1))
    assert second.receipt["closed_by_code"] == {"channel_missing": 1}


async def test_receipt_names_platform_hosts_and_counts_others(app, monkeypatch):
    monkeypatch.setattr(runs_run.receipt, "MAX_HOSTS_IN_RECEIPT", 2)
    monkeypatch.setattr(
        channel_registry,
        "find_channel_by_host",
        lambda host: host if host < "a3" else channel_registry.WEBSITE_CHANNEL,
    )
    rows = [link(name, "website", name) for name in ("a0", "a1", "a2", "a3", "a4")]
    register(app, *rows)
    get, hangs = app.web.get, asyncio.Event()

    async def counted(ask):
        host = ask.url.split("/")[2]
        app.web.requests_by_host[host] += 1
        if host == "a0.example":
            hangs.set()
        return await get(ask)

    monkeypatch.setattr(app.web, "get", counted)
    app.web.answers = {rows[0].typed_text: "hang"}
    four = asyncio.Event()
    going = asyncio.create_task(
        execute_run(app, START, on_progress=lambda done, _: four.set() if done == 4 else None)
    )
    await four.wait()
    await hangs.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    app.web.answers = {}
    done = await execute_run(app, START + timedelta(minutes=5))
    shown, elsewhere = done.receipt["requests_by_host"], done.receipt["requests_other_hosts"]
    assert (shown["a0.example"], len(shown)) == (2, 2)
    assert elsewhere == {"hosts": 3, "requests": 3}
    assert sum(shown.values()) + elsewhere["requests"] == done.receipt["requests"] == 6


@pytest.mark.fault("F19")
async def test_evidence_has_no_cookies(app):
    register(app, NOUR)
    done = await execute_run(app, START)
    look = next(app.store.list_observations(run_id=done.id))
    assert dict(look.evidence[0].headers) == {"server": "x"}
    assert app.body_store.get(look.evidence[0].digest) == b"alive"


async def test_progress_counts_to_the_end(app):
    register(app, *many(5))
    told = []
    await execute_run(app, START, on_progress=lambda done, whole: told.append((done, whole)))
    assert told == [(number, 5) for number in range(6)]


async def lanes_of(app, *rows):
    """Return the host queues of a run by size, each as often as a worker gets it."""
    register(app, *rows)
    tonight = app.store.begin_run(START.date(), START)
    plan.create_run_plan(app, tonight, {}, ())
    shards = build_batches(app.store.count_by_host_bucket(tonight))
    return [lane.batch.size async for lane in iter_host_queues(app.store, tonight, shards)]


async def test_largest_host_begins_and_has_several_workers(app):
    pages = [
        replace(SITE, typed_text=f"{SITE.typed_text}{page}", identity=site_of(page))
        for page in range(10)
    ]
    assert await lanes_of(app, *pages, link("amal", "website", "amal")) == [10, 10, 10, 1]


def site_of(page):
    return replace(SITE.identity, key=f"nour.example/{page}", url=f"{SITE.typed_text}{page}")


async def test_platform_begins_and_has_one_worker(app):
    short = AccountRow(
        "amal",
        "fb.me/x",
        Identity("facebook", LinkKind.SHORT_LINK, url="https://fb.me/x"),
        "facebook",
    )
    assert await lanes_of(app, *many(10), short, SITE) == [11, 1]


async def test_host_queue_is_read_page_by_page(app, monkeypatch):
    monkeypatch.setattr("auditor.runs.host_queue.HOST_PAGE_SIZE", 3)
    register(app, *many(10))
    tonight = app.store.begin_run(START.date(), START)
    plan.create_run_plan(app, tonight, {}, ())
    (shard,) = build_batches(app.store.count_by_host_bucket(tonight))
    lane = HostQueue(app.store, tonight, shard)
    taken = [one for _ in range(4) for one in await lane.take(2)]
    rest = HostQueue(app.store, tonight, shard, after=lane.cursor)
    assert [one.account.id for one in taken + await rest.take(5)] == list(range(1, 11))
    assert await rest.take() == []


async def test_small_hosts_share_a_batch_and_a_large_one_has_its_own(app):
    spots = [
        (0, 1, 300),
        (1, 2, 9),
        (1, 5, 9),
        (2, 1, 1),
        (2, 3, 2),
        (2, 4, 5),
        (2, 6, 1),
        (3, 1, 1),
    ]
    told = [
        (one.round, one.first_bucket, one.last_bucket, one.size) for one in build_batches(spots, 4)
    ]
    assert told == [
        (0, 1, 1, 300), (1, 2, 2, 9), (1, 5, 5, 9), (2, 4, 4, 5), (2, 1, 3, 3), (2, 6, 6, 1), (3, 1, 1, 1)
    ]  # fmt: skip


def test_small_registry_has_a_batch_for_each_worker():
    assert [compute_batch_size(accounts) for accounts in (1, 30, 90, 6000, 1_250_000)] == [
        1,
        1,
        3,
        200,
        200,
    ]


def test_large_host_has_one_round(app):
    register(app, *many(4))
    places = [PlanPosition(round_, 7, 0, number) for number, round_ in enumerate((3, 2, 3, 9), 1)]
    tonight = app.store.begin_run(START.date(), START)
    app.store.replace_plan(places, 4)
    assert list(app.store.count_by_host_bucket(tonight)) == [(2, 7, 1), (3, 7, 2), (9, 7, 1)]
    app.store.replace_plan(places, 3)
    assert list(app.store.count_by_host_bucket(tonight)) == [(2, 7, 4)]


async def test_run_over_real_sockets(tmp_path, monkeypatch):
    """With a real fetcher, real parsers, and a server on loopback that the guard allows."""

    async def answer(reader, writer):
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        word = {b"/gone": b"gone", b"/robots.txt": b""}.get(path, b"alive")
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: "
            b"text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        )
        writer.write(head % len(word) + word)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
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
        done = await execute_run(app, START)
    app.store.close()
    assert done.receipt["requests"] >= 2
    assert (done.receipt["present"], done.receipt["absent"]) == (1, 1)


async def test_only_changed_conclusions_are_stored(app):
    register(app, NOUR)
    await execute_run(app, START)
    held = app.store.load_association_data(["nour"], include_closed_gaps=False)
    (before,) = run_results.assemble_association_states(held.associations, held)
    derived = run_results.Conclusions()
    derived.add_changes(before, before)
    assert derived == run_results.Conclusions()


async def test_crawl_delay_of_a_site_does_not_block_others(tmp_path, monkeypatch):
    """One connection and five sites: each is requested while the others wait for their crawl delay."""
    fetch = FetchOptions(second_pass_delay=0, concurrency=1, host_delay=1)
    app = opened(tmp_path, configured().model_copy(update={"fetch": fetch}))
    sites = [link(f"s{number}", "website", f"s{number}") for number in range(5)]
    register(app, *sites)
    together, get = asyncio.Barrier(len(sites)), app.web.get

    async def rested(ask):
        await asyncio.wait_for(together.wait(), 20)
        return await get(ask)

    monkeypatch.setattr(app.web, "get", rested)
    done = await execute_run(app, START)
    app.store.close()
    assert done.receipt["present"] == len(sites)


async def test_evaluation_in_parts_equals_evaluation_at_once(tmp_path, monkeypatch):
    """Each association alone, with data in files: equal statuses, gaps and proposals."""
    fetch = FetchOptions(
        second_pass_delay=0, concurrency=1, host_delay=0
    )  # so that both look in the same order
    config = configured().model_copy(update={"fetch": fetch})
    app, network = (opened(tmp_path / name, config) for name in ("register", "network"))
    for each, at_once, in_memory in (
        (app, 1, 10),
        (network, batching.QUERY_BATCH_SIZE, spool.MAX_MEMORY_BYTES),
    ):
        monkeypatch.setattr(batching, "QUERY_BATCH_SIZE", at_once)
        monkeypatch.setattr(spool, "MAX_MEMORY_BYTES", in_memory)
        register(each, NOUR, AMAL, SITE)
        each.web.answers = {SITE.typed_text: "linked"}
        for day in (0, 1):
            await execute_run(each, night_of(day))
    for list_name in ("list_account_statuses", "list_gaps", "list_proposals"):
        in_parts, at_once = (list(getattr(each.store, list_name)()) for each in (app, network))
        assert in_parts == at_once, list_name
        assert in_parts, list_name
    assert [
        gap.run_count for gap in app.store.list_gaps("nour") if gap.code == "channel_unlisted"
    ] == [2]
    app.store.close()
    network.store.close()


async def test_channel_stays_unreliable_after_a_failed_evaluation(app, monkeypatch, caplog):
    known = "https://facebook.example/known"
    watched(monkeypatch, ("facebook", known, True))
    register(app, NOUR)
    app.web.answers = {known: "gone", NOUR.typed_text: "gone"}

    def full(*_, **__):
        raise StoreError("the database", "the disk is full", "make room")

    with caplog.at_level(logging.CRITICAL):
        with monkeypatch.context() as patch:
            patch.setattr(app.store, "save_conclusions", full)
            with pytest.raises(StoreError):
                await execute_run(app, START)
        app.web.answers[known] = "alive"
        done = await execute_run(app, START + timedelta(minutes=5))
    assert done.unreliable_channels == ("facebook",)
    assert done.receipt["unreliable_channels"] == {"facebook": "a known account reads not_found"}
    assert all(one.unconfirmed_streak is None for one in app.store.list_account_statuses())


async def test_disowned_account_is_not_shared(app, monkeypatch):
    monkeypatch.setattr(reevaluate, "probe_steps_for", steps)
    shared = SharedRule(code="channel_shared", check="shared")
    app.config = app.config.model_copy(update={"rules": (*app.config.rules, shared)})
    both = link("amal", "facebook", "nour")
    register(app, NOUR, both)
    wrong = next(row for row in app.store.list_accounts() if row.association == "amal")
    word = Decision(
        "amal", "facebook", DecisionKind.DISOWN, "Amina", "", night_of(2), account_id=wrong.id
    )
    for day in range(2):
        await execute_run(app, night_of(day))
    assert {gap.association for gap in app.store.list_gaps() if gap.code == "channel_shared"} == {
        "nour",
        "amal",
    }
    app.store.add_decision(word)
    await execute_run(app, night_of(2))
    assert not [
        gap for gap in app.store.list_gaps(unclosed_only=True) if gap.code == "channel_shared"
    ]
    assert reevaluate.reevaluate(app).changes == []


def test_post_of_a_page_does_not_share_the_page():
    page = link("nour", "facebook", "nour")
    post = replace(page, association="amal", identity=replace(page.identity, kind=LinkKind.POST))
    assert find_account_owners([page, post], START) == {("facebook", "u:nour"): ("nour",)}


async def test_canary_result_counts_in_a_resumed_run(app, monkeypatch, caplog):
    known = "https://facebook.example/known"
    watched(monkeypatch, ("facebook", known, True))
    register(app, NOUR, AMAL)
    app.web.answers = {known: "gone", NOUR.typed_text: "gone", AMAL.typed_text: "hang"}
    one_done = asyncio.Event()
    begun = asyncio.create_task(
        execute_run(app, START, on_progress=lambda done, _all: done and one_done.set())
    )
    await one_done.wait()
    begun.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begun
    app.web.answers = {NOUR.typed_text: "gone"}
    with caplog.at_level(logging.CRITICAL):
        done = await execute_run(app, START + timedelta(hours=1))
    assert done.unreliable_channels == ("facebook",)
    assert all(one.unconfirmed_streak is None for one in app.store.list_account_statuses())


async def test_moved_account_is_not_checked_and_its_channel_not_missing(app):
    register(app, NOUR)
    row = next(app.store.list_accounts())
    word = Decision("nour", "facebook", DecisionKind.MOVED, "Amina", "", START, account_id=row.id)
    app.store.add_decision(word)
    await execute_run(app, night_of(0))
    assert {gap.channel for gap in app.store.list_gaps()} == {"youtube"}
    seen = build_network_overview(app.store, app.config, night_of(1))
    facebook = next(one for one in seen.coverage if one.channel == "facebook")
    assert (facebook.unknown, facebook.missing) == (1, 0)
