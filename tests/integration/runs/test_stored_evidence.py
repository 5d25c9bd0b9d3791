"""What runs over real sockets store: a limited number of bytes, and DNS answers to replay."""

import random

import pytest

from auditor.checking.evidence import MAX_EVIDENCE_CHARS, build_evidence_views
from auditor.conclusions.reevaluate import reevaluate
from auditor.runs.run import execute_run
from probes.http.fetcher import Fetcher, FetchOptions
from probes.links import identify
from probes.models.finding import LINKS_CUT_FACT, MAX_LINKS_PER_CHANNEL, Presence, Reason
from storage.models.audit import AccountRow
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer
from tests.support.mini_network import START, configured, opened, register

pytestmark = pytest.mark.slow

HOST = "greedy.org"
MAX_BYTES_PER_RUN = configured().storage.max_check_bytes + 4 * MAX_EVIDENCE_CHARS
"""Bytes that one site can add per run: its pages, its evidence, and what follows from both."""

NETWORKS = ("facebook.com", "x.com", "instagram.com", "tiktok.com", "t.me")
HOME_PAGE = b"""<!doctype html><html lang=fr><title>%s</title>
<meta property="og:site_name" content="%s"><meta name=generator content="WordPress 6.5">
<link rel=alternate type="application/rss+xml" href="/feed-a/">
<link rel=alternate type="application/rss+xml" href="/feed-b/">
<p>Notre association accompagne les jeunes du quartier. Programme, projets, membres, contact.</p>
<nav><a href="/projets">Projets</a><a href="/membres">Membres</a><a href="/agenda">Agenda</a>
<a href="/contact">Contact</a></nav><footer>%s</footer>"""
LISTINGS = (
    b"<title>greedy.org</title><p>Loans. Insurance. Credit cards. Copyright greedy.org. "
    b"All rights reserved. Privacy Policy</p>"
)


@pytest.fixture
def check_site(tmp_path, monkeypatch):
    """Return a function that checks pages of a domain with a real fetcher.

    `await check_site(respond, paths, records)` returns the auditor and its observations.
    """
    small = opened(tmp_path, configured(("website",)))

    async def check(respond, paths=("",), records=None):
        zone = {HOST: {"A": ["127.0.0.1"], **(records or {})}}
        async with Hostile() as server, NameServer(zone) as names:
            server.script = lambda _, number: respond(server.heads[-1].split(" ")[1], number)
            urls = [server.url(path, HOST) for path in paths]
            register(small, *(AccountRow("a", url, identify.identify_link(url)) for url in urls))
            options = FetchOptions(
                nameservers=(names.address,),
                allow_networks=("127.0.0.0/8",),
                host_delay=0,
                second_pass_delay=0,
                max_retries=0,
                dns_timeout=0.1,
            )
            monkeypatch.setattr(small, "create_fetcher", lambda now, *_: Fetcher(options, now))
            await execute_run(small, START)
        assert not reevaluate(small, dry_run=True).changes
        return small, list(small.store.observations.list_observations())

    yield check
    small.store.close()


def build_greedy_answer(url, number, body_bytes):
    """Return seven redirects with long addresses, then a page that cannot be compressed.

    Each has 200 kB of headers, the page has hundreds of accounts, and all differ in each run.
    """
    noise = random.Random(f"{url}{number}")
    lines = [f"X-{index}: {noise.randbytes(550).hex()}\r\n" for index in range(190)]
    headers = "".join(lines).encode()
    start, _, hop = url.partition("?~")
    hop_count = int(hop[:1] or 0)
    if hop_count < 7:
        target = f"{start}?~{hop_count + 1}{noise.randbytes(1_900).hex()}"
        return answer(b"", "302 Found", f"Location: {target}\r\n".encode() + headers)
    accounts = [
        f'<a rel=me href="https://{network}/{noise.randbytes(20).hex()[:14]}">{noise.random()}</a>'
        for network in NETWORKS * 200
    ]
    name = noise.randbytes(2_000).hex().encode()
    page = HOME_PAGE % (name, name, "".join(accounts).encode()) + noise.randbytes(body_bytes)
    return answer(page, headers=b"Content-Type: text/html\r\n" + headers)


@pytest.mark.parametrize(("body_bytes", "cut_count"), [(2 << 20, 6), (900_000, 5), (170_000, 2)])
async def test_most_expensive_site_adds_less_than_the_quota(
    check_site, tmp_path, body_bytes, cut_count
):
    """The first pages are stored whole as far as the quota reaches, and the others are cut."""
    before = count_stored_bytes(tmp_path)
    _, [observation] = await check_site(
        lambda url, number: build_greedy_answer(url, number, body_bytes)
    )
    assert count_stored_bytes(tmp_path) - before < MAX_BYTES_PER_RUN
    assert observation.finding.presence is Presence.PRESENT
    channels = [link.channel for link in observation.finding.links]
    assert max(map(channels.count, channels)) == MAX_LINKS_PER_CHANNEL
    assert observation.finding.facts[LINKS_CUT_FACT] is True
    cuts = [piece.is_cut for piece in observation.evidence]
    assert cuts == [False] * (6 - cut_count) + [True] * cut_count


def count_stored_bytes(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("name_servers", "result", "excerpts"),
    [
        (
            ["ns1.sedoparking.com", "ns2.sedoparking.com"],
            (Presence.ABSENT, Reason.PARKED),
            ["ns1.sedoparking.com ns2.sedoparking.com"],
        ),
        ("silent", (Presence.PRESENT, None), [""]),
    ],
    ids=["parked", "silent"],
)
async def test_name_servers_of_a_site_that_reads_like_a_parked_one_are_evidence(
    check_site, name_servers, result, excerpts
):
    small, observations = await check_site(
        lambda *_: answer(LISTINGS), ("", "fr/"), {"NS": name_servers}
    )
    for observation in observations:
        assert (observation.finding.presence, observation.finding.reason) == result
        views = build_evidence_views(observation.evidence, small.body_store)
        asked = [view for view in views if view.evidence.url == f"dns:{HOST}?type=NS"]
        assert [view.excerpt for view in asked] == excerpts
    assert len(observations) == 2
