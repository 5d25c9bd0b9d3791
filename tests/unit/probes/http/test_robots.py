"""robots.txt: our group is read as Protego reads the whole file, and no file takes long."""

import random
import time
import tracemalloc

import pytest
from protego import Protego

from probes.http.robots import MAX_RULE_CHARS, MAX_RULES, parse_robots, select_rules
from probes.models.finding import Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.runner.parser_pool import ParserPool
from tests.support.hostile_server.fetching import create_fetcher, link_request
from tests.support.hostile_server.server import Hostile, answer

AGENT = "presence-auditor"
LINES = (
    """
User-agent: *|User-agent: presence-auditor|user-agent:Presence|Useragent foo|User agent *
User-agent : *|User-agent: *bot*|User-agent:|User-agent: presence*|User-agent: presence-auditor/1.0
Disallow: /|Disallow:/a|Allow: /a/b|allow /a|Disallow /c|Dissalow: /d*|disallow
Disallow:|Disallow: /p$ # x|Allow: /*.html$|Allow: /index.html|Crawl-delay: 5|crawl delay 3
Sitemap: http://x/y|Sitemap http://x|Host: x|junk|a: b||# c
""".strip()
    .replace("\n", "|")
    .split("|")
)
URLS = [f"https://site.example/{path}" for path in ("", "a", "a/b", "c", "dd", "p", "q.html")]


def test_our_group_is_read_as_protego_reads_the_whole_file():
    chance = random.Random(7)
    for _ in range(1_000):
        text = "\n".join(chance.choice(LINES) for _ in range(chance.randrange(1, 12)))
        protego, our_rules = (
            Protego.parse(text),
            parse_robots(Page("", 200, body=text.encode()), AGENT),
        )
        assert [our_rules.is_allowed(url) for url in URLS] == [
            protego.can_fetch(url, AGENT) for url in URLS
        ], text
        assert our_rules.crawl_delay == protego.crawl_delay(AGENT), text


def test_the_longest_name_of_ours_counts_and_its_groups_are_one():
    text = (
        "User-agent: presence\nDisallow: /x\nUser-agent: *\nDisallow: /\n"
        "User-agent: Presence-Auditor\n"
    )
    assert select_rules(text, AGENT) == []
    assert select_rules(
        f"{text}Disallow: /a\nUser-agent: presence-auditor\nDisallow: /b", AGENT
    ) == ["Disallow: /a", "Disallow: /b"]
    assert select_rules(text, "other") == ["Disallow: /"]


def test_a_byte_order_mark_hides_no_group():
    assert not parse_robots(
        Page("", 200, body=b"\xef\xbb\xbfUser-agent: *\nDisallow: /"), AGENT
    ).is_allowed(URLS[1])


def file_of(agents: int, rules: int, *, ours: str = "") -> bytes:
    lines = [
        *(f"User-agent: bot{number}" for number in range(agents)),
        *([f"User-agent: {ours}"] if ours else []),
    ]
    return "\n".join([*lines, *(f"Disallow: /path{number}" for number in range(rules))]).encode()


HOSTILE = {
    "agents times rules": file_of(1_500, 2_500),
    "as large as is read": file_of(12_000, 12_000, ours="*"),
    "all we are called by": b"\n".join(
        b"User-agent: " + AGENT[:end].encode() for end in range(1, 17)
    )
    + b"\n"
    + file_of(0, MAX_RULES),
    "one long rule": b"User-agent: *\nDisallow: /" + b"a" * 490_000,
    "wildcards": b"User-agent: *\nDisallow: /" + b"*a" * 240_000,
    "backtracking": b"User-agent: *\nDisallow: /" + b"*a" * 40 + b"b",
    "escapes": b"User-agent: *\nDisallow: /" + b"$%" * 60_000,
    "groups": b"User-agent: *\nAllow: /a\n" * 20_000,
    "agents alone": b"User-agent: p\n" * 35_000,
    "no agents": b"a:" * 240_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_no_file_costs_more_than_a_moment(body):
    """75 KB of agents and rules took 6.7 s and 331 MB when each rule was kept for each agent."""
    began = time.process_time()
    robots = parse_robots(Page("", 200, body=body), AGENT)
    robots.is_allowed("https://site.example/" + "a" * 2_000)
    assert time.process_time() - began < 2
    tracemalloc.start()
    parse_robots(Page("", 200, body=body), AGENT)
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


def test_too_many_rules_for_us_forbid_all_and_for_others_nothing():
    rules_for_us, rules_for_others = (
        parse_robots(Page("", 200, body=file_of(0, MAX_RULES + 1, ours="*")), AGENT),
        parse_robots(Page("", 200, body=file_of(9, 9_999)), AGENT),
    )
    assert not rules_for_us.is_allowed(URLS[0])
    assert not rules_for_us.is_disallowed(URLS[0])  # it has said nothing that we read
    assert rules_for_others.is_allowed(URLS[0])


class StoppingParsers:
    """Readers that are stopped at what one host sent."""

    def __init__(self, host):
        self.host = host

    async def parse(self, parser, page):
        if self.host in page.url:
            raise FetchError(
                Reason.UNREADABLE, "reading took too long", status=page.status, url=page.url
            )
        return parser(page)


@pytest.mark.slow
async def test_a_robots_txt_that_cannot_be_parsed_in_time_is_a_server_error_of_that_host_alone(
    caplog,
):
    caplog.set_level("INFO", "probes.http.fetcher")
    async with (
        Hostile(
            lambda *_: answer(b"User-agent: *\nDisallow: /private\n"),
            hosts=("127.0.0.1", "127.0.0.2"),
        ) as server,
        create_fetcher(parsers=StoppingParsers("127.0.0.1")) as fetch,
    ):
        with pytest.raises(FetchError) as caught:
            await fetch.get(PageRequest(server.url("feed")))
        assert caught.value.reason is Reason.ROBOTS
        assert (await fetch.get(link_request(server.url("page")))).status == 200
        assert (await fetch.get(PageRequest(server.url("feed", "127.0.0.2")))).status == 200
        assert server.seen["robots.txt"] == 2
    assert [line.event for line in caplog.records] == ["robots_unreadable"]


@pytest.mark.slow
async def test_robots_txt_is_parsed_by_a_worker_that_is_ended_at_its_deadline():
    heavy = answer(HOSTILE["escapes"])
    async with (
        ParserPool(1, timeout=0.001) as parsers,
        Hostile(lambda *_: heavy) as server,
        create_fetcher(parsers=parsers) as fetch,
    ):
        with pytest.raises(FetchError) as caught:
            await fetch.get(PageRequest(server.url("feed")))
        assert caught.value.reason is Reason.ROBOTS


@pytest.mark.slow
async def test_the_rules_that_a_worker_read_are_obeyed():
    text = answer(file_of(0, MAX_RULES, ours=AGENT))
    async with (
        ParserPool(1) as parsers,
        Hostile(lambda path, _: text if path == "robots.txt" else answer()) as server,
        create_fetcher(parsers=parsers) as fetch,
    ):
        assert (await fetch.get(PageRequest(server.url("feed")))).status == 200
        with pytest.raises(FetchError) as caught:
            await fetch.get(PageRequest(server.url("path7")))
        assert caught.value.reason is Reason.ROBOTS


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_longer_rules_forbid_everything(step):
    rule = "Disallow: /".ljust(1024, "a")
    last_rule = rule + "a" * step if step >= 0 else rule[:step]
    lines = [rule] * (MAX_RULE_CHARS // len(rule) - 1) + [last_rule]
    body = "\n".join(["User-agent: *", *lines]).encode()
    rules = parse_robots(Page("", 200, body=body), "presence-auditor/1")
    assert rules.is_allowed("http://a.ma/other") is (step <= 0)
