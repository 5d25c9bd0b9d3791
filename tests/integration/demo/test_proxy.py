"""The fake web and its proxy over real sockets and TLS, and the demo's data."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from auditor.config.schema import load_config
from auditor.core.errors import InputError
from auditor.core.formatting import normalize_phone
from auditor.demo import associations, play
from auditor.demo.associations import DEMO_CHANNELS, DemoAssociation, load_demo_associations
from auditor.demo.fake_web import FakeWeb
from auditor.demo.model import (
    SCENARIOS,
    SLOW_SITE_DELAY_SECONDS,
    UNRELIABLE_YOUTUBE_RUN,
    DemoRun,
    FakeResponse,
)
from auditor.demo.proxy import CertificateAuthority, FakeWebProxy, send_response
from auditor.registry import importer

NOW = datetime.now(UTC)  # OpenSSL compares certificates with the system clock


def find_association(channel: str, scenario_name: str) -> DemoAssociation:
    """Return the first association with a scenario on a channel."""
    for association in load_demo_associations():
        if association.get_scenario_name(channel) == scenario_name:
            return association
    raise LookupError(scenario_name)


@pytest.fixture
async def fake_web(tmp_path):
    """Return a function that fetches a URL in a run: `await fake_web(run_number, url)`."""
    authority = CertificateAuthority()
    authority.write_root_certificate(tmp_path / "ca.pem")
    proxy = FakeWebProxy(FakeWeb(), authority, DemoRun(1, 14, NOW))
    server = await proxy.listen()
    port = server.sockets[0].getsockname()[1]
    tls_context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with httpx.AsyncClient(
        proxy=f"http://127.0.0.1:{port}", verify=tls_context, trust_env=False
    ) as client:

        async def get(run_number: int, url: str) -> httpx.Response:
            proxy.demo_run = DemoRun(run_number, 14, NOW)
            return await client.get(url)

        get.proxy, get.port, get.tls_context = proxy, port, tls_context
        yield get
    server.close()
    await server.wait_closed()


async def request_tunnel(port: int, host: str) -> bytes:
    """Return the headers of the response to a CONNECT request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    headers = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return headers


async def test_site_responds_over_tls(fake_web):
    response = await fake_web(1, find_association("website", "wordpress_active").site_url)
    assert response.status_code == 200
    assert "WordPress" in response.text


class ClosingWriter:
    """A stream writer whose connection closes after the third write."""

    write_count = 0

    def write(self, data):
        self.write_count += 1

    async def drain(self):
        pass

    def is_closing(self):
        return self.write_count >= 3


async def test_proxy_stops_writing_when_the_connection_closes():
    reader, writer = asyncio.StreamReader(), ClosingWriter()
    response = FakeResponse(body=b"x" * 1000, body_repeats=1000)
    with pytest.raises(ConnectionResetError):
        await send_response(reader, writer, response)
    assert writer.write_count == 3


async def test_missing_host_has_rfc_9209_error_in_tunnel_and_plain_request(fake_web):
    host = find_association("website", "dead").host
    assert b"error=dns_error; rcode=NXDOMAIN" in await request_tunnel(fake_web.port, host)
    response = await fake_web(1, f"http://{host}/")
    assert response.status_code == 502
    assert "rcode=NXDOMAIN" in response.headers["proxy-status"]


async def test_unknown_host_does_not_exist(fake_web):
    assert (await fake_web(1, "http://www.personne-du-tout.ma/")).status_code == 502


async def test_lost_domain_resolves_until_its_run(fake_web):
    host = find_association("website", "dead_later").host
    assert (await fake_web(3, f"http://www.{host}/")).status_code == 301
    assert (await fake_web(4, f"http://www.{host}/")).status_code == 502


async def test_expired_certificate_is_rejected_until_it_is_renewed(fake_web):
    site = find_association("website", "tls_renewed").site_url
    with pytest.raises(httpx.ConnectError, match="certificate has expired"):
        await fake_web(8, site)
    assert (await fake_web(9, site)).status_code == 200


async def test_site_without_https_refuses_the_tunnel_and_serves_http(fake_web):
    association = find_association("website", "http_only")
    assert b"connection_refused" in await request_tunnel(fake_web.port, association.host)
    assert (await fake_web(1, association.site_url)).status_code == 200


async def test_page_of_20_megabytes_is_sent_completely(fake_web):
    response = await fake_web(1, find_association("website", "huge").site_url)
    assert len(response.content) == int(response.headers["content-length"]) > 20_000_000


async def test_client_that_disconnects_early_does_not_disturb_others(fake_web):
    host = find_association("website", "huge").host
    with socket.create_connection(("127.0.0.1", fake_web.port)) as client:
        client.sendall(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (
        await fake_web(1, find_association("website", "slow").site_url + "about")
    ).status_code == 404


async def test_one_tunnel_serves_several_requests(fake_web):
    site = find_association("website", "spip_active").site_url
    responses = [
        await fake_web(1, f"{site}{path}") for path in ("", "spip.php?page=backend", "robots.txt")
    ]
    assert [response.status_code for response in responses] == [200, 200, 200]
    assert "<pubDate>" in responses[1].text


async def test_unresponsive_host_does_not_answer_the_tunnel_request(fake_web):
    host = find_association("website", "silent").host
    fake_web.proxy.demo_run = DemoRun(4, 14, NOW)
    reader, writer = await asyncio.open_connection("127.0.0.1", fake_web.port)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.05)
    writer.close()
    await writer.wait_closed()
    assert (await fake_web(4, f"http://{host}/")).status_code == 502
    assert (await fake_web(5, f"https://{host}/")).status_code == 200


async def test_proxy_counts_requests_by_url(fake_web):
    missing, expired = (
        find_association("website", "dead").host,
        find_association("website", "tls_renewed").host,
    )
    site = find_association("website", "wordpress_active").site_url
    await fake_web(1, f"{site}?one=1")
    await fake_web(1, f"{site}?two=2")
    await request_tunnel(fake_web.port, missing)
    with pytest.raises(httpx.ConnectError):
        await fake_web(1, f"https://{expired}/")
    await fake_web(1, site)  # the proxy has noticed the failed handshake by the next response
    assert fake_web.proxy.request_counts == {
        site: 3,
        f"https://{missing}": 1,
        f"https://{expired}": 1,
    }


@pytest.mark.parametrize("method", ["close", "abort"])
async def test_tunnel_without_request_is_counted_once(fake_web, method):
    site = find_association("website", "wordpress_active")
    reader, writer = await asyncio.open_connection("127.0.0.1", fake_web.port)
    writer.write(f"CONNECT {site.host}:443 HTTP/1.1\r\nHost: {site.host}:443\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(fake_web.tls_context, server_hostname=site.host)
    getattr(writer.transport, method)()
    await fake_web(1, site.site_url)  # the proxy has noticed the closed tunnel by the next response
    assert fake_web.proxy.request_counts == {f"https://{site.host}": 1, site.site_url: 1}


async def test_fake_web_process_counts_requests_since_the_run_started(tmp_path):
    async with play.FakeWebProcess(tmp_path / "ca.pem") as process:
        await process.switch_to_run(DemoRun(1, 14, NOW))
        url = f"http://{find_association('website', 'http_only').host}/"
        async with httpx.AsyncClient(
            proxy=f"http://127.0.0.1:{process.port}", trust_env=False
        ) as client:
            await client.get(url)
        assert await process.get_request_counts() == {url: 1}
        await process.switch_to_run(DemoRun(2, 14, NOW))
        assert not await process.get_request_counts()


async def test_youtube_returns_404_for_all_channels_in_its_unreliable_run(fake_web):
    url = find_association("youtube", "active").get_profile_url("youtube")
    assert (await fake_web(UNRELIABLE_YOUTUBE_RUN - 1, url)).status_code == 200
    assert (await fake_web(UNRELIABLE_YOUTUBE_RUN, url)).status_code == 404


async def test_windows_1256_page_declares_its_encoding_only_in_a_meta_tag(fake_web):
    response = await fake_web(1, find_association("website", "static_1256").site_url)
    assert response.headers["content-type"] == "text/html"
    assert "جمعية" in response.content.decode("windows-1256")


def test_associations_match_the_figures_of_the_survey():
    demo_associations = load_demo_associations()
    channel_counts = Counter(
        channel for association in demo_associations for channel in association.get_profile_urls()
    )
    assert len(demo_associations) == 100
    assert [channel_counts[channel] for channel in DEMO_CHANNELS[1:]] == [83, 13, 18, 4]
    assert 45 <= sum(bool(association.website) for association in demo_associations) <= 55
    assert len({association.region for association in demo_associations}) == 12


def test_names_and_ids_are_unique():
    demo_associations = load_demo_associations()
    for field in ("name_fr", "slug", "host", "handle", "twitter_handle", "facebook_page_id"):
        assert len({getattr(association, field) for association in demo_associations}) == 100
    assert all(len(association.twitter_handle) <= 15 for association in demo_associations)


@pytest.mark.parametrize("channel", DEMO_CHANNELS)
def test_every_scenario_is_used(channel):
    used_names = {
        association.get_scenario_name(channel) for association in load_demo_associations()
    }
    assert used_names - {""} == SCENARIOS[channel].keys()


def test_shared_page_belongs_to_the_sister_and_both_register_it():
    association = find_association("facebook", "shared")
    sister_url = association.sister_association.get_profile_url("facebook")
    assert association.get_profile_url("facebook") == sister_url
    assert associations.build_spreadsheet_row(association)[9] == sister_url


def test_demo_changes_only_the_rule_for_slow_sites(tmp_path):
    packaged_rules = load_config(None, {}).rules
    demo_rules = play.write_demo_config(tmp_path, 8899).rules
    pairs = zip(packaged_rules, demo_rules, strict=True)
    changes = [(packaged, demo) for packaged, demo in pairs if packaged != demo]
    ((packaged, demo),) = changes
    assert (packaged.code, packaged.above, demo.above) == ("website_slow", 8, 1.5)
    assert demo.above < SLOW_SITE_DELAY_SECONDS


def test_second_spreadsheet_has_one_corrected_cell():
    change_count = 0
    for association in load_demo_associations():
        row = associations.build_spreadsheet_row(association)
        corrected_row = associations.build_spreadsheet_row(association, is_corrected=True)
        cells = zip(row, corrected_row, strict=True)
        change_count += sum(cell != corrected_cell for cell, corrected_cell in cells)
    assert change_count == 1


def test_spreadsheet_has_phones_training_sessions_and_media_officers(tmp_path):
    entries = importer.parse_registry_spreadsheet(
        associations.write_demo_spreadsheet(tmp_path / "registry.xlsx")
    ).associations
    numbers = [normalize_phone(entry.contact.phone) for entry in entries if entry.contact.phone]
    assert len(set(numbers)) == len(numbers) == 80
    assert all(number.startswith("212600000") or number == "212600000100" for number in numbers)
    sessions = Counter(tag for entry in entries for tag in entry.association.tags)
    assert sessions == {"formation Agadir": 14, "formation Rabat": 11}
    assert {entry.contact.media_officer for entry in entries} == {
        None,
        "nobody",
        "volunteer",
        "dedicated",
    }


def test_time_of_the_last_run_is_the_same_in_every_run():
    third_run = DemoRun(3, 14, NOW)
    last_run = DemoRun(14, 14, NOW + timedelta(days=11))
    assert third_run.last_run_at == last_run.last_run_at == last_run.started_at


def test_demo_run_survives_a_round_trip_through_json():
    demo_run = DemoRun(3, 14, NOW)
    assert DemoRun.from_json(demo_run.to_json()) == demo_run


def test_spreadsheet_with_headings_in_three_languages_is_imported(tmp_path):
    import_result = importer.parse_registry_spreadsheet(
        associations.write_demo_spreadsheet(tmp_path / "registry.xlsx")
    )
    assert [entry.id for entry in import_result.associations] == [
        association.id for association in load_demo_associations()
    ]
    accounts = {
        (account.association, account.channel)
        for account in import_result.accounts
        if account.identity.key
    }
    channel_counts = Counter(channel for _, channel in accounts)
    assert [channel_counts[channel] for channel in DEMO_CHANNELS[1:]] == [83, 13, 18, 4]
    assert not [problem for problem in import_result.problems if problem.severity == "error"]


def test_demo_refuses_the_folder_of_another_audit(tmp_path):
    (tmp_path / "config.toml").write_text("[network]\n", encoding="utf-8")
    with pytest.raises(InputError, match="an audit that is not a demo"):
        play.prepare_demo_folder(tmp_path)


def test_demo_replaces_an_earlier_demo(tmp_path):
    play.prepare_demo_folder(tmp_path / "demo")
    config = play.write_demo_config(tmp_path / "demo", 8899)
    (config.storage.folder / "archive").mkdir(parents=True)
    play.prepare_demo_folder(tmp_path / "demo")
    assert not config.storage.folder.exists()
    assert config.fetch.proxy == "http://127.0.0.1:8899"


def test_last_demo_run_is_now():
    demo_runs = play.schedule_demo_runs(14, NOW)
    assert [demo_run.number for demo_run in demo_runs] == list(range(1, 15))
    assert demo_runs[-1].started_at == demo_runs[0].last_run_at == NOW
