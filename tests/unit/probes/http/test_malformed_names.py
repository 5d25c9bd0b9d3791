"""Names that are no valid internationalized names (RFC 5891) end in a reason, never in a crash."""

import pytest

from auditor.checking.checker import AccountChecker, check_links
from probes.links import identify
from probes.models.finding import Reason
from probes.models.http import FetchError
from probes.runner.parser_pool import ParserPool
from tests.support.hostile_server.fetching import create_fetcher, fetch_outcome, link_request
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, moved

pytestmark = pytest.mark.slow  # sockets
NO_SUCH_HOST, UNSAFE = Reason.NO_SUCH_HOST, Reason.UNSAFE_ADDRESS
API_HOSTS = frozenset({"api.example"})
MALFORMED_NAMES = {
    "no letters": ("xn--a.com", NO_SUCH_HOST),
    "prefix alone": ("xn--.com", NO_SUCH_HOST),
    "prefix alone below www": ("www.xn--.com", NO_SUCH_HOST),
    "prefix alone as TLD": ("site.xn--", NO_SUCH_HOST),
    "three hyphens": ("xn---.com", NO_SUCH_HOST),
    "number overflow": ("xn--99999999999.com", NO_SUCH_HOST),
    "not decodable": ("xn--zzzzzzzzzzz999999.ma", NO_SUCH_HOST),
    "trailing hyphen": ("xn--mgbc0a9azcg-.com", NO_SUCH_HOST),
    "not the shortest form": ("xn--abc-.com", NO_SUCH_HOST),
    "upper case": ("XN--A.COM", NO_SUCH_HOST),
    "disallowed letter": ("xn--ls8h.la", NO_SUCH_HOST),
    "mixed directions in Punycode": ("xn--a-0hc.com", NO_SUCH_HOST),
    "leading hyphen": ("-a.com", NO_SUCH_HOST),
    "final dot": ("xn--a.com.", NO_SUCH_HOST),
    "long label": (f"xn--{'a' * 60}.com", UNSAFE),
    "long name": (f"{'xn--a.' * 60}com", UNSAFE),
    "empty label": ("xn--a..com", UNSAFE),
    "prefix and letters": ("xn--\u0627.com", UNSAFE),
    "mixed directions": ("1\u0627.com", UNSAFE),
    "joiner alone": ("\u200d.com", UNSAFE),
    "soft hyphen alone": ("\xad.com", UNSAFE),
    "disallowed symbol": ("\u2260.com", UNSAFE),
    "lone surrogate": ("\ud800.com", UNSAFE),
    "NUL": ("xn--a\x00.com", UNSAFE),
}
CASES = pytest.mark.parametrize(
    ("name", "reason"), MALFORMED_NAMES.values(), ids=list(MALFORMED_NAMES)
)


@pytest.mark.fault("F84")
@CASES
async def test_malformed_name_has_a_reason(name: str, reason: Reason) -> None:
    async with (
        NameServer({}) as names,
        create_fetcher(
            api_only_hosts=API_HOSTS, nameservers=(names.address,), dns_timeout=1, allow_networks=()
        ) as fetch,
    ):
        link = f"https://{name}/"
        outcome = await fetch_outcome(fetch, link)
        assert isinstance(outcome, FetchError)
        assert outcome.reason is reason
        assert await fetch.can_request_again(link_request(link), outcome) is True
        async with ParserPool(0) as pool:
            checker = AccountChecker(fetch, pool, {})
            [check] = await check_links([(link, identify.identify_link(link, "website"))], checker)
    assert check.result.finding.reason in {reason, NO_SUCH_HOST, UNSAFE, Reason.WRONG_TARGET}


@pytest.mark.fault("F84")
@CASES
async def test_redirect_to_malformed_name_has_a_reason(name: str, reason: Reason) -> None:
    location = f"https://{name}/".encode("utf-8", "surrogatepass")

    async with (
        NameServer({}) as names,
        Hostile(lambda _path, _request: moved(location)) as server,
        create_fetcher(api_only_hosts=API_HOSTS, nameservers=(names.address,)) as fetch,
    ):
        outcome = await fetch_outcome(fetch, server.url("away"))
    assert isinstance(outcome, FetchError)
    assert (outcome.reason, outcome.hops[0].status) == (reason, 302)


@pytest.mark.parametrize("name", ["xn--a.com", "xn--99999999999.com", "xn--ls8h.la", "xn--a-.com"])
async def test_malformed_name_with_an_address_is_requested(name: str) -> None:
    """The DNS decides which names exist: emoji domains are no valid names either."""
    async with (
        Hostile() as server,
        NameServer({name: ["127.0.0.1"]}) as names,
        create_fetcher(api_only_hosts=API_HOSTS, nameservers=(names.address,)) as fetch,
    ):
        page = await fetch.get(link_request(f"http://{name}:{server.port}/ok"))
        assert await fetch.can_request_again(link_request(page.url), page)
    assert page.status == 200
