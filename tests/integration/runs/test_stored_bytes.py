"""The most expensive site adds few bytes per run to the database and to the stored pages."""

import random

import pytest

from auditor.checking.evidence import MAX_EVIDENCE_CHARS
from auditor.conclusions.reevaluate import reevaluate
from auditor.runs.run import execute_run
from probes.http.fetcher import Fetcher, FetchOptions
from probes.links import identify
from probes.models.finding import LINKS_CUT_FACT, MAX_LINKS_PER_CHANNEL, Presence
from storage.models.audit import AccountRow
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer
from tests.support.mini_network import START, configured, opened, register

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


@pytest.fixture
def check_greedy_site(tmp_path, monkeypatch):
    """Return a function that checks a site with bodies of this size, and returns the auditor."""
    small = opened(tmp_path, configured(("website",)))

    async def check(body_bytes):
        async with Hostile() as server, NameServer({HOST: {"A": ["127.0.0.1"]}}) as names:
            server.script = lambda _, number: build_greedy_answer(
                server.heads[-1].split(" ")[1], number, body_bytes
            )
            url = server.url("", HOST)
            register(small, AccountRow("a", url, identify.identify_link(url)))
            options = FetchOptions(
                nameservers=(names.address,),
                allow_networks=("127.0.0.0/8",),
                host_delay=0,
                second_pass_delay=0,
                max_retries=0,
            )
            monkeypatch.setattr(
                small, "create_fetcher", lambda now, *_: Fetcher(options, now), raising=False
            )
            await execute_run(small, START)
        return small

    yield check
    small.store.close()


def count_stored_bytes(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.slow
@pytest.mark.parametrize(("body_bytes", "cut_count"), [(2 << 20, 6), (900_000, 5), (170_000, 2)])
async def test_most_expensive_site_adds_less_than_the_quota(
    check_greedy_site, tmp_path, body_bytes, cut_count
):
    """The first pages are stored whole as far as the quota reaches, and the others are cut."""
    before = count_stored_bytes(tmp_path)
    small = await check_greedy_site(body_bytes)
    assert count_stored_bytes(tmp_path) - before < MAX_BYTES_PER_RUN
    [observation] = small.store.observations.list_observations()
    assert observation.finding.presence is Presence.PRESENT
    cuts = [piece.is_cut for piece in observation.evidence]
    assert cuts == [False] * (6 - cut_count) + [True] * cut_count


@pytest.mark.slow
async def test_reevaluation_of_cut_evidence_changes_nothing(check_greedy_site):
    small = await check_greedy_site(2 << 20)
    before = list(small.store.observations.list_observations())
    assert not reevaluate(small, dry_run=True).changes
    assert list(small.store.observations.list_observations()) == before


@pytest.mark.slow
async def test_first_accounts_of_each_channel_are_kept_and_the_others_marked(check_greedy_site):
    small = await check_greedy_site(1_000)
    [observation] = small.store.observations.list_observations()
    channels = [link.channel for link in observation.finding.links]
    assert max(map(channels.count, channels)) == MAX_LINKS_PER_CHANNEL
    assert observation.finding.facts[LINKS_CUT_FACT] is True
