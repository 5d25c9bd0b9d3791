"""The benches' own ground: the farm answers as sites do, the simulated web keeps still, costs are whole."""

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
from tests.bench.farm import FORM, Farm, address, paths, serving, written
from tests.bench.measure import cost
from tests.bench.simulated import FIRST, World, line

HOSTS = 5
NOW = datetime(2026, 11, 25, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    made = Farm(written(tmp_path_factory.mktemp("farm") / "here", HOSTS), hosts=HOSTS)
    with pytest.MonkeyPatch.context() as patch, serving(patched(patch, made)) as by:
        assert by == "the project's own server"
        yield made


def patched(patch, made):
    """Without nginx, and on ports that no bench uses."""
    patch.setattr("tests.bench.farm.shutil.which", lambda name, **_: None)
    patch.setattr("tests.bench.farm.PLAIN", 18970)
    return made


def ask(farm, path, **headers):
    with httpx.Client(trust_env=False) as client:
        return client.get(farm.origin(address(1)) + path, headers=headers)


def test_a_small_server_answers_as_nginx_does(farm):
    assert ask(farm, "/accueil").headers["location"] == "/"
    assert ask(farm, "/ancienne-page/").status_code == ask(farm, "/../../ca.pem").status_code == 404
    home = ask(farm, "/")
    assert (home.headers["content-encoding"], len(home.content) // 1000) == ("gzip", 61)
    assert home.content == ask(farm, "/", **{"Accept-Encoding": "identity"}).content
    for name, value in {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}.items():
        assert ask(farm, "/", **{name: home.headers[value]}).status_code == 304


def test_a_farm_is_written_once_and_over_nothing_else(farm, tmp_path):
    before = (farm.folder / "ca.pem").read_bytes()
    assert (written(farm.folder, HOSTS) / "ca.pem").read_bytes() == before
    (farm.folder / f"written-{FORM}-{HOSTS}").rename(farm.folder / "written-0-1")
    assert (written(farm.folder, HOSTS) / "ca.pem").read_bytes() != before, (
        "of another form it is written anew"
    )
    (tmp_path / "somebody's").touch()
    with pytest.raises(SystemExit, match="it holds something else"):
        written(tmp_path, HOSTS)
    assert (tmp_path / "somebody's").exists()


@pytest.mark.parametrize("number", range(3))
def test_a_probe_finds_a_site_its_feed_and_what_is_missing(number):
    author, url = bodies.Author(number), f"http://{address(number)}:18080"
    answers = {
        "/": bodies.page(author, "/", bodies.USUAL),
        "/feed/": (bodies.rss if number % 2 else bodies.atom)(author),
    }

    def answer(asked: PageRequest) -> Page:
        body = answers.get(asked.url.removeprefix(url))
        status, body = (200, body) if body else (404, bodies.missing(author))
        return Page(asked.url, status, {"content-type": "text/html; charset=utf-8"}, body, NOW)

    def look(path):
        return run_offline(
            website.probe(Account("a", url + path, identify.identify_link(url + path))), answer
        ).finding

    there = look("/")
    assert (there.presence, there.last_activity.source) == (Presence.PRESENT, "feed")
    assert {link.channel for link in there.links} == {"facebook", "twitter", "linkedin", "youtube"}
    assert look("/ancienne-page/").presence is Presence.ABSENT


def test_every_host_has_its_five_links_and_the_mix_is_that_of_a_thousand():
    several = [paths(number) for number in range(1000)]
    assert sum(map(len, map(set, several))) == 5000
    flat = [path for each in several for path in each]
    assert [flat.count(one) for one in ("/accueil", "/feed/", "/ancienne-page/")] == [
        200,
        1000,
        400,
    ]


def test_a_simulated_web_says_that_it_did_not_change_and_changes_a_part_of_itself_each_night():
    world, ask = (
        World(changing=0.2),
        [PageRequest(line(number)["website"]) for number in range(1, 200)],
    )

    def seen(night):
        world.night = night
        return [_page(world, one) for one in ask]

    first, second = seen(0), seen(1)
    assert first == seen(0)
    changed = sum(one != other for one, other in zip(first, second, strict=True))
    assert 0 < changed < 60
    page = next(page for page in first if isinstance(page, Page) and page.status == 200)
    told = CacheValidators(page.url, page.headers["etag"], "")
    world.night = 0
    assert world.page(PageRequest(page.url, validators=told), FIRST).status == 304


def _page(world, asked):
    try:
        return world.page(asked, FIRST)
    except FetchError as none:
        return none.reason


@pytest.mark.parametrize("channel", ["facebook", "youtube"])
def test_platforms_of_a_simulated_web_are_read_as_the_real_ones_are(channel):
    world, found = World(), set()
    for number in Random(3).sample(range(1, 10_000), 12):
        url = line(number)[channel]
        account = Account("a", url, identify.identify_link(url, channel))
        probe = channel_registry.get_channel(channel).probe
        found.add(
            run_offline(probe(account), lambda asked: world.page(asked, FIRST)).finding.presence
        )
    assert (
        found
        == {"facebook": {Presence.PRESENT, Presence.UNKNOWN}, "youtube": {Presence.PRESENT}}[
            channel
        ]
    )


def test_a_cost_counts_those_that_outlive_who_started_them():
    busy = f"({sys.executable} -c 'for _ in range(3_000_000): pass') & exit 3"
    done = cost(["sh", "-c", busy])
    assert (done.code, done.cpu > 0.04) == (3, True)
