"""Tests of the benchmark tools: the farm, the simulated web, the measurement of commands."""

import sys
from datetime import UTC, datetime
from random import Random

import httpx
import pytest

from probes.channels import website
from probes.links import channel_registry, identify
from probes.models.finding import Account, Presence
from probes.models.http import CacheValidators, FetchError, Page, PageRequest
from probes.models.probe import run_offline
from tests.bench import bodies
from tests.bench.farm import FORMAT_VERSION, Farm, get_address, list_paths, serve_farm, write_farm
from tests.bench.measure import measure_command
from tests.bench.simulated import FIRST_RUN_AT, SimulatedWeb, build_account_urls

HOSTS = 5
NOW = datetime(2026, 11, 25, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    small_farm = Farm(write_farm(tmp_path_factory.mktemp("farm") / "here", HOSTS), hosts=HOSTS)
    with (
        pytest.MonkeyPatch.context() as patch,
        serve_farm(without_nginx(patch, small_farm)) as server_name,
    ):
        assert server_name == "the project's own server"
        yield small_farm


def without_nginx(monkeypatch, small_farm):
    """Serve without nginx, on a port that no benchmark uses."""
    monkeypatch.setattr("tests.bench.farm.shutil.which", lambda name, **_: None)
    monkeypatch.setattr("tests.bench.farm.PLAIN", 18970)
    return small_farm


def get_page(farm, path, **headers):
    with httpx.Client(trust_env=False) as client:
        return client.get(farm.get_origin(get_address(1)) + path, headers=headers)


def test_small_server_answers_like_nginx(farm):
    assert get_page(farm, "/accueil").headers["location"] == "/"
    assert (
        get_page(farm, "/ancienne-page/").status_code
        == get_page(farm, "/../../ca.pem").status_code
        == 404
    )
    home = get_page(farm, "/")
    assert (home.headers["content-encoding"], len(home.content) // 1000) == ("gzip", 61)
    assert home.content == get_page(farm, "/", **{"Accept-Encoding": "identity"}).content
    for name, value in {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}.items():
        assert get_page(farm, "/", **{name: home.headers[value]}).status_code == 304


def test_farm_is_written_once_and_never_over_other_files(farm, tmp_path):
    certificate = (farm.folder / "ca.pem").read_bytes()
    assert (write_farm(farm.folder, HOSTS) / "ca.pem").read_bytes() == certificate
    (farm.folder / f"written-{FORMAT_VERSION}-{HOSTS}").rename(farm.folder / "written-0-1")
    assert (write_farm(farm.folder, HOSTS) / "ca.pem").read_bytes() != certificate, (
        "a farm of another version is written again"
    )
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SystemExit, match="it contains other files"):
        write_farm(tmp_path, HOSTS)
    assert (tmp_path / "notes.txt").exists()


@pytest.mark.parametrize("number", range(3))
def test_probe_reads_site_feed_and_missing_page(number):
    author, url = bodies.Author(number), f"http://{get_address(number)}:18080"
    bodies_by_path = {
        "/": bodies.build_page(author, "/", bodies.USUAL),
        "/feed/": (bodies.build_rss if number % 2 else bodies.build_atom)(author),
    }

    def answer(request: PageRequest) -> Page:
        body = bodies_by_path.get(request.url.removeprefix(url))
        status, body = (200, body) if body else (404, bodies.build_missing_page(author))
        return Page(request.url, status, {"content-type": "text/html; charset=utf-8"}, body, NOW)

    def look(path):
        return run_offline(
            website.probe(Account("a", url + path, identify.identify_link(url + path))), answer
        ).finding

    home = look("/")
    assert (home.presence, home.last_activity.source) == (Presence.PRESENT, "feed")
    assert {link.channel for link in home.links} == {"facebook", "twitter", "linkedin", "youtube"}
    assert look("/ancienne-page/").presence is Presence.ABSENT


def test_every_host_has_five_links_in_the_documented_mix():
    paths_by_host = [list_paths(number) for number in range(1000)]
    assert sum(map(len, map(set, paths_by_host))) == 5000
    all_paths = [path for host_paths in paths_by_host for path in host_paths]
    assert [all_paths.count(one) for one in ("/accueil", "/feed/", "/ancienne-page/")] == [
        200,
        1000,
        400,
    ]


def test_simulated_web_revalidates_and_changes_some_sites_each_run():
    web, requests = (
        SimulatedWeb(changing_share=0.2),
        [PageRequest(build_account_urls(number)["website"]) for number in range(1, 200)],
    )

    def answer_run(run_number):
        web.run_number = run_number
        return [_answer_or_reason(web, request) for request in requests]

    first_run, second_run = answer_run(0), answer_run(1)
    assert first_run == answer_run(0)
    changed = sum(request != later for request, later in zip(first_run, second_run, strict=True))
    assert 0 < changed < 60
    page = next(page for page in first_run if isinstance(page, Page) and page.status == 200)
    validators = CacheValidators(page.url, page.headers["etag"], "")
    web.run_number = 0
    assert web.answer(PageRequest(page.url, validators=validators), FIRST_RUN_AT).status == 304


def _answer_or_reason(web, request):
    try:
        return web.answer(request, FIRST_RUN_AT)
    except FetchError as error:
        return error.reason


@pytest.mark.parametrize("channel", ["facebook", "youtube"])
def test_simulated_platforms_are_parsed_like_real_ones(channel):
    web, presences = SimulatedWeb(), set()
    for number in Random(3).sample(range(1, 10_000), 12):
        url = build_account_urls(number)[channel]
        account = Account("a", url, identify.identify_link(url, channel))
        probe = channel_registry.get_channel(channel).probe
        presences.add(
            run_offline(
                probe(account), lambda request: web.answer(request, FIRST_RUN_AT)
            ).finding.presence
        )
    assert (
        presences
        == {"facebook": {Presence.PRESENT, Presence.UNKNOWN}, "youtube": {Presence.PRESENT}}[
            channel
        ]
    )


def test_cost_includes_orphaned_processes():
    command = f"({sys.executable} -c 'for _ in range(3_000_000): pass') & exit 3"
    command_cost = measure_command(["sh", "-c", command])
    assert (command_cost.code, command_cost.cpu > 0.04) == (3, True)
