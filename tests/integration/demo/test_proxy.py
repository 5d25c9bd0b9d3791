"""The practice web: what its proxy answers, over real sockets and real TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import httpx
import pytest

from auditor.config.schema import load_config
from auditor.core.errors import InputError
from auditor.demo import associations, play, website_scenarios
from auditor.demo.account_scenarios import (
    FACEBOOK_SCENARIOS,
    LINKEDIN_SCENARIOS,
    TWITTER_SCENARIOS,
    UNRELIABLE_YOUTUBE_RUN,
    YOUTUBE_SCENARIOS,
)
from auditor.demo.associations import DEMO_CHANNELS, DemoAssociation, load_demo_associations
from auditor.demo.fake_web import FakeWeb
from auditor.demo.model import DemoRun, FakeResponse
from auditor.demo.pages import site_variants
from auditor.demo.proxy import CertificateAuthority, FakeWebProxy, _ClientConnection
from auditor.registry import importer
from auditor.registry.columns import normalize_phone

NOW = datetime.now(UTC)  # OpenSSL judges certificates by the clock of the machine


def member(channel: str, situation: str) -> DemoAssociation:
    return next(
        one for one in load_demo_associations() if one.get_scenario_name(channel) == situation
    )


@pytest.fixture
async def web(tmp_path):
    """A proxy that plays a night, and a client that trusts its authority: `await web(night, url)`."""
    authority = CertificateAuthority()
    authority.write_root_certificate(tmp_path / "ca.pem")
    proxy = FakeWebProxy(FakeWeb(), authority, DemoRun(1, 14, NOW))
    server = await proxy.listen()
    port = server.sockets[0].getsockname()[1]
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with httpx.AsyncClient(
        proxy=f"http://127.0.0.1:{port}", verify=trust, trust_env=False
    ) as client:

        async def get(night: int, url: str) -> httpx.Response:
            proxy.demo_run = DemoRun(night, 14, NOW)
            return await client.get(url)

        get.proxy, get.port, get.trust = proxy, port, trust
        yield get
    server.close()
    await server.wait_closed()


async def connect(port: int, host: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_site_answers_over_tls_of_the_authority(web):
    answer = await web(1, member("website", "wordpress_active").site_url)
    assert answer.status_code == 200
    assert "WordPress" in answer.text


class Departing:
    """A writer whose client leaves after the third write."""

    written = 0

    def write(self, data):
        self.written += 1

    async def drain(self):
        pass

    def is_closing(self):
        return self.written >= 3


async def test_a_client_that_has_read_enough_is_sent_no_more():
    reader, writer = asyncio.StreamReader(), Departing()
    reader.feed_data(b"GET / HTTP/1.1\r\nHost: nour.example\r\n\r\n")
    line = _ClientConnection(reader, writer)
    await line.read_request()
    with pytest.raises(ConnectionResetError):
        await line.send_response(FakeResponse(body=b"x" * 1000, body_repeats=1000), "GET")
    assert writer.written == 3


async def test_a_missing_name_is_proved_as_rfc_9209_says_on_a_tunnel_and_on_a_plain_request(web):
    host = member("website", "dead").host
    assert b"error=dns_error; rcode=NXDOMAIN" in await connect(web.port, host)
    answer = await web(1, f"http://{host}/")
    assert answer.status_code == 502
    assert "rcode=NXDOMAIN" in answer.headers["proxy-status"]


async def test_a_host_that_nobody_invented_does_not_exist(web):
    assert (await web(1, "http://www.personne-du-tout.ma/")).status_code == 502


async def test_a_lost_domain_resolves_until_its_night(web):
    host = member("website", "dead_later").host
    assert (await web(3, f"http://www.{host}/")).status_code == 301
    assert (await web(4, f"http://www.{host}/")).status_code == 502


async def test_an_expired_certificate_is_refused_and_its_renewal_is_not(web):
    site = member("website", "tls_renewed").site_url
    with pytest.raises(httpx.ConnectError, match="certificate has expired"):
        await web(8, site)
    assert (await web(9, site)).status_code == 200


async def test_a_site_without_tls_refuses_the_tunnel_and_answers_plainly(web):
    one = member("website", "http_only")
    assert b"connection_refused" in await connect(web.port, one.host)
    assert (await web(1, one.site_url)).status_code == 200


async def test_a_page_of_twenty_megabytes_is_streamed(web):
    answer = await web(1, member("website", "huge").site_url)
    assert len(answer.content) == int(answer.headers["content-length"]) > 20_000_000


async def test_a_client_that_leaves_in_the_middle_of_a_page_harms_nobody(web):
    host = member("website", "huge").host
    with socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (await web(1, member("website", "slow").site_url + "about")).status_code == 404


async def test_one_tunnel_carries_many_requests(web):
    site = member("website", "spip_active").site_url
    answers = [
        await web(1, f"{site}{path}") for path in ("", "spip.php?page=backend", "robots.txt")
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "<pubDate>" in answers[1].text


async def test_a_silent_host_keeps_whoever_asks_waiting_until_they_leave(web):
    host = member("website", "silent").host
    web.proxy.demo_run = DemoRun(4, 14, NOW)
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.05)
    writer.close()
    await writer.wait_closed()
    assert (await web(4, f"http://{host}/")).status_code == 502
    assert (await web(5, f"https://{host}/")).status_code == 200


async def test_the_proxy_counts_what_it_is_asked_by_address(web):
    missing, expired = member("website", "dead").host, member("website", "tls_renewed").host
    site = member("website", "wordpress_active").site_url
    await web(1, f"{site}?one=1")
    await web(1, f"{site}?two=2")
    await connect(web.port, missing)
    with pytest.raises(httpx.ConnectError):
        await web(1, f"https://{expired}/")
    await web(1, site)  # so that the refused handshake has surely been heard of
    assert web.proxy.request_counts == {site: 3, f"https://{missing}": 1, f"https://{expired}": 1}


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_tunnel_whose_client_leaves_before_it_asks_is_counted_once(web, how):
    site = member("website", "wordpress_active")
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(f"CONNECT {site.host}:443 HTTP/1.1\r\nHost: {site.host}:443\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(web.trust, server_hostname=site.host)
    getattr(writer.transport, how)()
    await web(1, site.site_url)  # so that its end has surely been heard of
    assert web.proxy.request_counts == {f"https://{site.host}": 1, site.site_url: 1}


async def test_a_practice_web_of_its_own_tells_what_it_was_asked_since_the_night_began(tmp_path):
    async with play.FakeWebProcess(tmp_path / "ca.pem") as web:
        await web.switch_to_run(DemoRun(1, 14, NOW))
        url = f"http://{member('website', 'http_only').host}/"
        async with httpx.AsyncClient(
            proxy=f"http://127.0.0.1:{web.port}", trust_env=False
        ) as client:
            await client.get(url)
        assert await web.get_request_counts() == {url: 1}
        await web.switch_to_run(DemoRun(2, 14, NOW))
        assert not await web.get_request_counts()


async def test_youtube_denies_everybody_on_the_blind_night(web):
    one = member("youtube", "active")
    assert (
        await web(UNRELIABLE_YOUTUBE_RUN - 1, one.get_profile_url("youtube"))
    ).status_code == 200
    assert (await web(UNRELIABLE_YOUTUBE_RUN, one.get_profile_url("youtube"))).status_code == 404


async def test_a_page_in_windows_1256_says_so_only_in_its_head(web):
    answer = await web(1, member("website", "static_1256").site_url)
    assert answer.headers["content-type"] == "text/html"
    assert "جمعية" in answer.content.decode("windows-1256")


def test_the_cast_has_the_figures_of_the_survey():
    def having(channel: str) -> int:
        return sum(
            bool(one.get_profile_url(channel))
            for one in load_demo_associations()
            if one.get_scenario_name(channel)
        )

    assert len(load_demo_associations()) == 100
    assert [having(channel) for channel in DEMO_CHANNELS[1:]] == [83, 13, 18, 4]
    assert 45 <= sum(bool(one.website) for one in load_demo_associations()) <= 55
    assert len({one.region for one in load_demo_associations()}) == 12


def test_names_and_addresses_are_nobody_elses():
    for told in ("name_fr", "slug", "host", "handle", "twitter_handle", "facebook_page_id"):
        assert len({getattr(one, told) for one in load_demo_associations()}) == 100
    assert all(len(one.twitter_handle) <= 15 for one in load_demo_associations())


@pytest.mark.parametrize(
    ("channel", "scripts"),
    [
        ("website", website_scenarios.SITE_SCENARIOS),
        ("facebook", FACEBOOK_SCENARIOS),
        ("twitter", TWITTER_SCENARIOS),
        ("linkedin", LINKEDIN_SCENARIOS),
        (
            "youtube",
            {name: script for name, script in YOUTUBE_SCENARIOS.items() if name != "added"},
        ),
    ],
)
def test_every_situation_happens_to_somebody(channel, scripts):
    assert {one.get_scenario_name(channel) for one in load_demo_associations()} - {
        "",
        "none_typed",
    } == set(scripts)


def test_the_committed_tables_are_what_the_scripts_say():
    assert play.read_expected_values() == play.compute_expected_values()
    assert play.read_expected_values(
        play.EXPECTED_VALUES_WITH_KEYS_PATH
    ) == play.compute_expected_values(play.WITH_KEYS_RUN_COUNT, has_api_keys=True)


def test_a_shared_page_is_its_owner_s_and_both_register_it():
    one = member("facebook", "shared")
    assert one.get_profile_url("facebook") == one.sister_association.get_profile_url("facebook")
    assert associations.build_spreadsheet_row(one)[9] == one.sister_association.get_profile_url(
        "facebook"
    )


def test_the_demo_judges_by_the_usual_rules_but_waits_less_for_a_slow_site(tmp_path):
    usual, own = load_config(None, {}).rules, play.write_demo_config(tmp_path, 8899).rules
    different = [(a, b) for a, b in zip(usual, own, strict=True) if a != b]
    assert [(a.code, a.above, b.above) for a, b in different] == [("website_slow", 8, 1.5)]
    assert different[0][1].above < site_variants.SLOW_SITE_DELAY_SECONDS


def test_the_sheet_is_corrected_in_one_cell():
    before = [associations.build_spreadsheet_row(one) for one in load_demo_associations()]
    after = [
        associations.build_spreadsheet_row(one, is_corrected=True)
        for one in load_demo_associations()
    ]
    changed = [
        (a, b)
        for was, now in zip(before, after, strict=True)
        for a, b in zip(was, now, strict=True)
        if a != b
    ]
    assert len(changed) == 1


def test_the_sheet_knows_whom_to_call_who_was_at_a_session_and_who_runs_the_channels(tmp_path):
    people = importer.parse_registry_spreadsheet(
        associations.write_demo_spreadsheet(tmp_path / "registry.xlsx")
    ).associations
    numbers = [normalize_phone(one.contact.phone) for one in people if one.contact.phone]
    assert len(set(numbers)) == len(numbers) == 80
    assert all(number.startswith("212600000") or number == "212600000100" for number in numbers)
    sessions = Counter(tag for one in people for tag in one.association.tags)
    assert sessions == {"formation Agadir": 14, "formation Rabat": 11}
    assert {one.contact.media_officer for one in people} == {
        None,
        "nobody",
        "volunteer",
        "dedicated",
    }


def test_the_last_night_is_the_one_that_everything_is_dated_from():
    assert (
        DemoRun(3, 14, NOW).last_run_at
        == DemoRun(14, 14, NOW + (DemoRun(3, 14, NOW).last_run_at - NOW)).last_run_at
    )
    assert DemoRun.from_json(DemoRun(3, 14, NOW).to_json()) == DemoRun(3, 14, NOW)


def test_the_sheet_is_read_whole_whatever_language_its_heads_are_in(tmp_path):
    reading = importer.parse_registry_spreadsheet(
        associations.write_demo_spreadsheet(tmp_path / "registry.xlsx")
    )
    assert [one.id for one in reading.associations] == [one.id for one in load_demo_associations()]
    keyed = {(row.association, row.channel) for row in reading.accounts if row.identity.key}
    assert [sum(channel == at for _, at in keyed) for channel in DEMO_CHANNELS[1:]] == [
        83,
        13,
        18,
        4,
    ]
    assert not [problem for problem in reading.problems if problem.severity == "error"]


def test_a_demo_does_not_touch_an_audit_that_is_somebody_s(tmp_path):
    (tmp_path / "config.toml").write_text("[network]\n", encoding="utf-8")
    with pytest.raises(InputError, match="an audit that is not a demo"):
        play.prepare_demo_folder(tmp_path)


def test_a_demo_takes_the_place_of_an_earlier_one(tmp_path):
    play.prepare_demo_folder(tmp_path / "demo")
    config = play.write_demo_config(tmp_path / "demo", 8899)
    (config.storage.folder / "archive").mkdir(parents=True)
    play.prepare_demo_folder(tmp_path / "demo")
    assert not config.storage.folder.exists()
    assert config.fetch.proxy == "http://127.0.0.1:8899"


def test_a_demo_ends_tonight():
    nights = play.schedule_demo_runs(14, NOW)
    assert [one.number for one in nights] == list(range(1, 15))
    assert nights[-1].started_at == nights[0].last_run_at == NOW


def test_the_practice_web_ends_with_an_input_that_has_no_line(tmp_path):
    """Nothing can be waited for on /dev/null, and nothing comes from it."""
    command = [sys.executable, "-m", "auditor.demo", "--ca-file", str(tmp_path / "ca.pem")]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert int(ended.stdout) > 0
