"""A run asks the DNS about sites that read like parked ones: on loopback, stored and replayed."""

import pytest

from auditor.checking.evidence import build_evidence_views
from auditor.conclusions.reevaluate import reevaluate
from auditor.conclusions.replay import replay_probe
from auditor.runs.run import execute_run
from probes.http.fetcher import Fetcher, FetchOptions
from probes.links import identify
from probes.models.finding import Account, Presence, Reason
from storage.models.audit import AccountRow
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer
from tests.support.mini_network import START, configured, night_of, opened, register

LISTINGS = (
    b"<title>annour.org</title><p>Loans. Insurance. Credit cards. Copyright annour.org. "
    b"All rights reserved. Privacy Policy</p>"
)
PATHS = ("", "fr/")
ADDRESS = {"A": ["127.0.0.1"]}
PARKED = {"NS": ["ns1.sedoparking.com", "ns2.sedoparking.com"]}
SILENT = {"NS": "silent"}


@pytest.fixture
async def server():
    async with Hostile(lambda *_: answer(LISTINGS)) as hostile:
        yield hostile


@pytest.fixture
def execute(tmp_path, server, monkeypatch):
    """Return a function that runs the audit of two pages of a domain with a real fetcher.

    `await execute(name_servers, started_at)` returns the auditor and the DNS server.
    """
    small = opened(tmp_path, configured(("website",)))
    urls = [server.url(path, "annour.org") for path in PATHS]
    rows = [AccountRow(f"a{n}", url, identify.identify_link(url)) for n, url in enumerate(urls)]
    register(small, *rows)

    async def run(name_servers, started_at=START):
        zone = {"annour.org": ADDRESS | name_servers}
        async with NameServer(zone) as names:
            options = FetchOptions(
                nameservers=(names.address,),
                allow_networks=("127.0.0.0/8",),
                host_delay=0,
                second_pass_delay=0,
                max_retries=0,
                dns_timeout=0.1,
            )
            monkeypatch.setattr(
                small, "create_fetcher", lambda now, *_: Fetcher(options, now), raising=False
            )
            await execute_run(small, started_at)
        return small, names

    yield run
    small.store.close()


def list_observations(small):
    newest_run = list(small.store.runs.list_all())[-1]
    return list(small.store.observations.list_observations(run_id=newest_run.id))


async def test_each_site_asks_about_its_domain_once(execute):
    small, names = await execute(PARKED)
    observations = list_observations(small)
    assert [item.finding.reason for item in observations] == [Reason.PARKED] * 2
    assert names.asked_name_servers.total() == 2  # one for each site


async def test_silent_dns_leaves_the_sites_present(execute):
    small, _ = await execute(SILENT)
    presences = [item.finding.presence for item in list_observations(small)]
    assert presences == [Presence.PRESENT] * 2


async def test_answer_of_the_dns_is_evidence_and_is_shown(execute):
    small, _ = await execute(PARKED)
    evidence = list_observations(small)[0].evidence
    [view] = [
        view
        for view in build_evidence_views(evidence, small.body_store)
        if view.evidence.url == "dns:annour.org?type=NS"
    ]
    assert view.excerpt == "ns1.sedoparking.com ns2.sedoparking.com"


@pytest.mark.parametrize("name_servers", [PARKED, SILENT])
async def test_replay_and_reevaluation_give_the_same_finding(execute, name_servers):
    small, _ = await execute(name_servers)
    rows = {row.id: row for row in small.store.registry.list_accounts()}
    for observation in list_observations(small):
        row = rows[observation.account_id]
        account = Account(row.association, row.typed_text, row.identity)
        assert replay_probe(account, observation, small.body_store) == observation.finding
    assert not reevaluate(small, dry_run=True).changes


async def test_next_run_notices_other_name_servers(execute):
    await execute(PARKED)
    small, names = await execute({"NS": ["ns1.ordinary.com"]}, night_of(1))
    presences = [item.finding.presence for item in list_observations(small)]
    assert presences == [Presence.PRESENT] * 2
    assert names.asked_name_servers.total() == 2  # one for each site


async def test_unchanged_answer_repeats_the_result(execute):
    await execute(PARKED)
    small, names = await execute(PARKED, night_of(1))
    observations = list_observations(small)
    assert [(item.is_repeat, item.finding.reason) for item in observations] == [
        (True, Reason.PARKED)
    ] * 2
    assert names.asked_name_servers.total() == 2  # one for each site
