"""The fetcher accepts a response at each limit, and cuts or refuses it one step above."""

import pytest

from probes.http import host_state
from probes.http.connection import MAX_HEADER_LINES
from probes.http.fetcher import MAX_ROBOTS_BYTES
from probes.http.request_chain import MAX_HEADER_CHARS, MAX_HEADERS
from probes.http.ssrf_guard import MAX_URL_CHARS, SsrfGuard
from probes.links.domains import MAX_HOST_CHARS
from probes.models.finding import Reason
from probes.models.http import FetchError, Page, PageRequest
from tests.support.hostile_server.fetching import create_fetcher, fetch_outcome
from tests.support.hostile_server.server import Hostile, answer, moved

STEPS = (-1, 0, 1)


async def fetch_from(script, path="", **options):
    async with Hostile(script) as server, create_fetcher(**options) as fetch:
        return await fetch_outcome(fetch, server.url(path))


@pytest.mark.parametrize("step", STEPS)
async def test_body_is_cut_above_max_bytes(step):
    page = await fetch_from(lambda *_: answer(b"x" * (5_000 + step)), max_bytes=5_000)
    assert page.truncated is (step > 0)
    assert len(page.body) == min(5_000, 5_000 + step)


@pytest.mark.parametrize("step", STEPS)
async def test_redirects_above_the_limit_are_a_server_error(step):
    def redirect(path, _):
        hop = int(path or 0)
        return moved(b"/%d" % (hop + 1)) if hop < 3 + step else answer()

    outcome = await fetch_from(redirect, max_redirects=3)
    if step <= 0:
        assert len(outcome.hops) == 4 + step
    else:
        assert (outcome.reason, outcome.detail) == (Reason.SERVER_ERROR, "redirects")


@pytest.mark.parametrize("step", STEPS)
async def test_first_headers_are_kept(step):
    own_count = len((await fetch_from(lambda *_: answer())).headers)
    lines = [b"X-%d: y\r\n" % number for number in range(MAX_HEADERS - own_count + step)]
    page = await fetch_from(lambda *_: answer(headers=b"".join(lines)))
    assert len(page.headers) == min(MAX_HEADERS, MAX_HEADERS + step)


@pytest.mark.parametrize("step", STEPS)
async def test_beginning_of_a_header_is_kept(step):
    headers = b"X-Long: " + b"y" * (MAX_HEADER_CHARS + step) + b"\r\n"
    page = await fetch_from(lambda *_: answer(headers=headers))
    assert len(page.headers["x-long"]) == min(MAX_HEADER_CHARS, MAX_HEADER_CHARS + step)


@pytest.mark.parametrize("step", STEPS)
async def test_response_with_more_header_lines_is_refused(step):
    own_count = len((await fetch_from(lambda *_: answer())).headers)
    headers = b"X: y\r\n" * (MAX_HEADER_LINES - own_count + step)
    outcome = await fetch_from(lambda *_: answer(headers=headers))
    assert isinstance(outcome, FetchError if step > 0 else Page)


@pytest.mark.parametrize("step", STEPS)
async def test_longer_address_is_not_requested(step):
    async with Hostile(lambda *_: answer()) as server, create_fetcher() as fetch:
        start = server.url("")
        url = start + "a" * (MAX_URL_CHARS - len(start) + step)
        outcome = await fetch_outcome(fetch, url)
        assert isinstance(outcome, FetchError if step > 0 else Page)
        assert server.connections == (0 if step > 0 else 1)


@pytest.mark.parametrize("step", STEPS)
def test_longer_host_name_is_refused(step):
    labels = ".".join(["a" * 60] * 4)
    host = f"{labels}.{'b' * (MAX_HOST_CHARS - len(labels) - 4 + step)}.ma"
    assert len(host) == MAX_HOST_CHARS + step
    guard = SsrfGuard()
    if step <= 0:
        assert guard.check_url(f"http://{host}/").host == host
        return
    with pytest.raises(FetchError, match="host name"):
        guard.check_url(f"http://{host}/")


@pytest.mark.parametrize("step", STEPS)
async def test_robots_txt_is_read_up_to_the_limit(step):
    """Without its last character, the last rule allows more."""
    rules = b"User-agent: *\nDisallow: /private/\nAllow: /private/ok$"
    comment = b"#" * (MAX_ROBOTS_BYTES - len(rules) + step - 1) + b"\n"

    def serve(path, _):
        return answer(comment + rules) if path == "robots.txt" else answer()

    async with Hostile(serve) as server, create_fetcher() as fetch:
        try:
            outcome = await fetch.get(PageRequest(server.url("private/okay")))
        except FetchError as error:
            outcome = error
    assert isinstance(outcome, Page if step > 0 else FetchError)


@pytest.mark.parametrize("step", STEPS)
def test_more_rules_forbid_everything(step):
    lines = [f"Disallow: /{number}" for number in range(host_state.MAX_RULES + step)]
    body = "\n".join(["User-agent: *", *lines]).encode()
    rules = host_state.parse_robots(Page("", 200, body=body), "presence-auditor/1")
    assert rules.is_allowed("http://a.ma/other") is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_longer_rules_forbid_everything(step):
    rule = "Disallow: /".ljust(1024, "a")
    last_rule = rule + "a" * step if step >= 0 else rule[:step]
    lines = [rule] * (host_state.MAX_RULE_CHARS // len(rule) - 1) + [last_rule]
    body = "\n".join(["User-agent: *", *lines]).encode()
    rules = host_state.parse_robots(Page("", 200, body=body), "presence-auditor/1")
    assert rules.is_allowed("http://a.ma/other") is (step <= 0)
