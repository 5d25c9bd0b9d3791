"""A suspicious page that is the same on unrelated domains of the network is no site."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.checking.checker import AccountChecker, check_links
from auditor.cluster import get_worker_cluster
from auditor.evaluation.reevaluate import reevaluate
from auditor.evaluation.replay import replay_probe
from auditor.evidence import build_evidence_views
from auditor.runs.recheck import RecheckService
from auditor.runs.run import execute_run
from probes.links import identify
from probes.models.finding import Account, Presence, Reason
from probes.models.http import FetchError, Page
from storage.models.audit import AccountRow, AuditRunState
from tests.support.cluster import at_work, far
from tests.support.mini_network import START, Readers, configured, night_of, opened, register
from tests.support.query_plans import TABLE_SCAN, plans

LISTINGS = (
    "<html><head><title>{domain}</title><style>body {{ font: 16px sans-serif; margin: 2em auto;"
    " max-width: 40em; color: #333; background: #f4f4f4 }} p {{ line-height: 1.6 }}</style></head>"
    "<body><p>Loans. Insurance. Credit cards. Copyright {domain}. All rights reserved. "
    "Privacy Policy</p></body></html>"
)
TEXT = "L'association accompagne les familles du quartier depuis des années. " * 4
HOME = (
    f"<html lang='fr'><title>Fédération</title><body><h1>Fédération</h1><p>{TEXT}</p>"
    "<a href='/a'>Qui sommes-nous</a><a href='/b'>Projets</a><a href='/c'>Contact</a></body></html>"
)
DOMAINS = {"amal": "amal-sale.org", "nour": "nournet.ma", "warda": "warda.com"}
PRESENT = (Presence.PRESENT, None)
PARKED = (Presence.ABSENT, Reason.PARKED)


def serve(small, domains, markup=LISTINGS):
    """Register the domains of associations, which all have the same page except for its name."""
    rows = []
    for association, names in domains.items():
        for domain in [names] if isinstance(names, str) else names:
            url = f"https://{domain}/"
            rows.append(AccountRow(association, url, identify.identify_link(url), "website"))
            for address in (url, f"https://www.{domain}/"):
                small.web.answers[address] = build_page(address, markup.format(domain=domain))
    register(small, *rows)


def build_page(url, markup):
    return Page(url, 200, {"content-type": "text/html"}, markup.encode())


def list_observations(small):
    newest_run = list(small.store.runs.list_all())[-1]
    return list(small.store.observations.list_observations(run_id=newest_run.id))


def list_findings(small):
    return [(item.finding.presence, item.finding.reason) for item in list_observations(small)]


def list_questions(small):
    """Return the questions about bodies, with their answers, in the newest run."""
    return [
        (piece.url, view.excerpt)
        for item in list_observations(small)
        for piece, view in zip(
            item.evidence, build_evidence_views(item.evidence, small.body_store), strict=True
        )
        if piece.url.startswith("body:")
    ]


@pytest.fixture
def small(tmp_path):
    small = opened(tmp_path, configured(("website",)))
    yield small
    small.store.close()


async def execute_runs(small, count=2):
    for day in range(count):
        await execute_run(small, night_of(day))


async def test_same_suspicious_page_of_three_associations_is_parked(small):
    serve(small, DOMAINS)
    await execute_run(small, night_of(0))
    assert list_findings(small) == [PRESENT] * 3
    await execute_run(small, night_of(1))
    assert list_findings(small) == [PARKED] * 3
    details = {item.finding.detail for item in list_observations(small)}
    assert details == {"reads like parked; the same page is on at least 3 unrelated domains"}


async def test_order_of_the_checks_does_not_matter(small):
    serve(small, {**DOMAINS, "zahra": "zahra.net"})
    await execute_runs(small)
    assert {excerpt for _, excerpt in list_questions(small)} == {"4"}


@pytest.mark.parametrize(
    "domains",
    [
        {"amal": "amal-sale.org", "nour": "nournet.ma"},
        {"amal": list(DOMAINS.values())},
        {"amal": ["amal-sale.org", "warda.com"], "nour": ["nournet.ma", "nournet.org"]},
        {"amal": "a.nournet.ma", "nour": "nournet.ma", "warda": "www.nournet.ma"},
        {"amal": "amal.blogspot.com", "nour": "nour.blogspot.com", "warda": "warda.blogspot.com"},
    ],
    ids=["two", "one association", "two associations", "one domain", "names of a platform"],
)
async def test_related_domains_are_no_signal(small, domains):
    serve(small, domains)
    await execute_runs(small, 3)
    assert set(list_findings(small)) == {PRESENT}


async def test_domains_that_redirect_to_one_page_count_once(small):
    serve(small, DOMAINS)
    target = small.web.answers["https://warda.com/"]
    small.web.answers |= {f"https://{domain}/": target for domain in DOMAINS.values()}
    await execute_runs(small, 3)
    assert list_findings(small) == [PRESENT] * 3


@pytest.mark.parametrize("markup", [HOME, "", "<script src='/app.js'></script><div></div>" * 9])
async def test_honest_page_is_never_asked_about(small, markup):
    serve(small, DOMAINS, markup)
    await execute_runs(small)
    assert not list_questions(small)
    assert not [item for item in list_findings(small) if item == PARKED]


async def test_evidence_names_no_other_domain_and_replays_the_same(small):
    serve(small, DOMAINS)
    await execute_runs(small)
    rows = {row.id: row for row in small.store.registry.list_accounts()}
    for observation in list_observations(small):
        row = rows[observation.account_id]
        account = Account(row.association, row.typed_text, row.identity)
        replayed = replay_probe(account, observation, small.body_store)
        assert replayed is not None
        assert replayed.detail == observation.finding.detail
        others = set(DOMAINS.values()) - {DOMAINS[row.association]}
        assert not any(domain in str(observation.evidence) for domain in others)
    assert not reevaluate(small, dry_run=True).changes


async def test_unchanged_answer_repeats_the_result(small):
    serve(small, DOMAINS)
    await execute_runs(small, 3)
    assert [(item.is_repeat, item.finding.reason) for item in list_observations(small)] == [
        (True, Reason.PARKED)
    ] * 3


async def test_resumed_run_gives_the_same_findings(small):
    serve(small, DOMAINS)
    await execute_run(small, night_of(0))
    stop = asyncio.Event()
    run = await execute_run(small, night_of(1), stop=stop, on_progress=lambda *_: stop.set())
    assert run.state is AuditRunState.INCOMPLETE
    run = await execute_run(small, night_of(1) + timedelta(hours=1))
    assert run.state is AuditRunState.DONE
    assert list_findings(small) == [PARKED] * 3


async def test_second_pass_gives_the_same_findings(small):
    serve(small, DOMAINS)
    await execute_run(small, night_of(0))
    page = small.web.answers["https://warda.com/"]
    for url in ("https://warda.com/", "http://warda.com/", "https://www.warda.com/"):
        small.web.answers[url] = [FetchError(Reason.TIMEOUT, url=url), page]
    await execute_run(small, night_of(1))
    assert small.web.passes == 2
    assert list_findings(small) == [PARKED] * 3


async def test_pruned_pages_still_count(small):
    serve(small, DOMAINS)
    await execute_run(small, night_of(0))
    observations = list_observations(small)
    small.store.observations.replace_evidence(replace(item, evidence=()) for item in observations)
    await execute_run(small, night_of(1))
    assert list_findings(small) == [PARKED] * 3


async def test_recheck_asks_the_database(small):
    serve(small, DOMAINS)
    await execute_runs(small)
    now = night_of(1) + timedelta(hours=12)
    recheck = await asyncio.to_thread(RecheckService().recheck_association, small, "amal", now)
    assert [item.finding.reason for item in recheck.accounts] == [Reason.PARKED]


async def test_check_of_links_has_no_database_and_stays_undecided(small):
    serve(small, DOMAINS)
    urls = [f"https://{name}/" for name in DOMAINS.values()]
    links = [(url, identify.identify_link(url)) for url in urls]
    checks = await check_links(links, AccountChecker(small.web, Readers()))
    assert {check.result.finding.presence for check in checks} == {Presence.PRESENT}


async def test_question_reads_no_whole_table(small):
    serve(small, DOMAINS)
    await execute_run(small, night_of(0))
    [digest] = {url.removeprefix("body:sha256-") for url, _ in list_questions(small)}
    with plans(small.store) as steps:
        assert len(small.store.observations.list_pages_with_body(digest, night_of(1))) == 3
    assert any("ix_probe_result_suspicious_body" in step for step in steps)
    assert not [step for step in steps if TABLE_SCAN.search(step)]


@pytest.mark.slow
@pytest.mark.xdist_group("postgresql")
async def test_workers_of_a_cluster_give_the_same_findings(database, tmp_path):
    app = far(tmp_path, database, configured(("website",)))
    serve(app, DOMAINS)
    async with at_work(app, 2, clock=lambda: START):
        for day in range(2):
            await execute_run(app, night_of(day), cluster=get_worker_cluster(app.config))
    assert list_findings(app) == [PARKED] * 3
    app.store.close()
