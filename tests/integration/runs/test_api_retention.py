"""Figures and responses of official APIs are not stored, only what was concluded from them.

Every figure that the fake APIs serve is a number that occurs nowhere else. All files are searched
for these numbers, byte by byte.
"""

import gzip
import json
import re
import zipfile
from datetime import UTC, datetime, time, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from auditor.conclusions import reevaluate
from auditor.config.schema import load_config
from auditor.runs.pipeline import run_audit_pipeline
from probes.links import identify
from probes.models.http import Page
from storage.models.audit import AccountRow, Association
from storage.store import Store
from tests.support.mini_network import opened
from tests.support.output_formats import run_command

TODAY = datetime.combine(datetime.now(UTC).date(), time(0, 30), UTC)
NIGHTS = 3
X_NAME = "Radio Soleil du Sud"
ASSOCIATION = Association(
    "annour", "Association Tafsoutine pour la lecture", name_ar="جمعية تافسوتين للقراءة"
)
FIRST_NIGHT = TODAY - timedelta(days=NIGHTS - 1)
CHANNEL_ID = "UCAnnour0000000000000001"
LINKS = {
    "youtube": f"https://www.youtube.com/channel/{CHANNEL_ID}",
    "twitter": "https://x.com/radiosoleil",
    "facebook": "https://www.facebook.com/annour",
}
CONFIG = """
[storage]
folder = "data"
[backup]
folder = "backups"
max_count = 99
[fetch]
second_pass_delay = 0
[channels.youtube]
canaries = []
api_key_file = "key"
[channels.twitter]
canaries = []
api_key_file = "key"
[channels.facebook]
canaries = []
api_key_file = "key"
[channels.website]
canaries = []
[channels.linkedin]
canaries = []
"""
PLANTED_PATTERN = re.compile(rb"98765(\d\d)0000\d")
EXPORTS = ("associations", "gaps", "accounts", "coverage", "changes", "meeting")


def plant(night, number):
    """Return a figure that names its night."""
    return int(f"98765{night:02}0000{number}")


class FakeApis:
    """The three official APIs, whose figures change every night."""

    def __init__(self):
        self.night = 0
        self.is_x_account_removed = False

    def respond(self, request):
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.endswith("playlistItems"):
            items = [{"contentDetails": {"videoPublishedAt": "2026-01-10T10:00:00Z"}}]
            return {"kind": "youtube#playlistItemListResponse", "items": items}
        respond = {
            "www.googleapis.com": self.respond_youtube,
            "api.x.com": self.respond_x,
            "graph.facebook.com": self.respond_graph,
        }[parts.hostname]
        return respond(query)

    def respond_youtube(self, _query):
        statistics = {
            "subscriberCount": str(plant(self.night, 1)),
            "videoCount": str(plant(self.night, 2)),
            "viewCount": str(plant(self.night, 3)),
        }
        item = {
            "id": CHANNEL_ID,
            "snippet": {"title": "Annour", "customUrl": "@annour"},
            "statistics": statistics,
            "contentDetails": {"relatedPlaylists": {"uploads": f"UU{CHANNEL_ID[2:]}"}},
            "status": {"privacyStatus": "public"},
        }
        page_info = {"totalResults": 1}
        return {"kind": "youtube#channelListResponse", "pageInfo": page_info, "items": [item]}

    def respond_x(self, _query):
        if self.is_x_account_removed:
            error = {
                "value": "77",
                "parameter": "ids",
                "resource_type": "user",
                "title": "Not Found Error",
                "detail": "Could not find user with ids: [77].",
                "type": "https://api.twitter.com/2/problems/resource-not-found",
            }
            return {"errors": [error, {**error, "value": "radiosoleil", "parameter": "usernames"}]}
        metrics = {
            "followers_count": plant(self.night, 4),
            "tweet_count": plant(self.night, 5),
            "listed_count": plant(self.night, 6),
        }
        user = {"id": "77", "username": "radiosoleil", "name": X_NAME, "public_metrics": metrics}
        return {"data": [user]}

    def respond_graph(self, query):
        if "published_posts" in query["fields"]:
            posts = [{"created_time": "2026-01-12T10:00:00+0000"}]
            return {query["ids"]: {"id": "88", "published_posts": {"data": posts}}}
        page = {"id": "88", "name": "Annour", "username": "annour", "is_published": True}
        figures = {"fan_count": plant(self.night, 7), "followers_count": plant(self.night, 8)}
        return {query["ids"]: {**page, **figures}}


def open_network(folder, apis, extra_config="", store=None):
    """Return an auditor with one association that has an account at each API."""
    folder.joinpath("key").write_text("secret", "utf-8")
    folder.joinpath("config.toml").write_text(CONFIG + extra_config, "utf-8")
    folder.joinpath("key").chmod(0o600)
    folder.joinpath("config.toml").chmod(0o600)
    config = load_config(folder / "config.toml", {})
    config.storage.folder.mkdir(exist_ok=True)
    app = opened(config.storage.folder, config, store)

    async def get(request):
        app.web.request_count += 1
        app.web.requests_by_host[urlsplit(request.url).hostname] += 1
        app.web.now += timedelta(seconds=1)
        body = json.dumps(apis.respond(request)).encode()
        return Page(request.url, 200, {"content-type": "application/json"}, body, app.web.now)

    app.web.get = get
    rows = [
        AccountRow("annour", url, identify.identify_link(url), channel)
        for channel, url in LINKS.items()
    ]
    if not list(app.store.registry.list_associations()):
        app.store.registry.save_registry([ASSOCIATION], rows, FIRST_NIGHT - timedelta(hours=1))
    return app


async def run_night(app, apis, night):
    apis.night = night
    return await run_audit_pipeline(app, FIRST_NIGHT + timedelta(days=night))


def find_planted_nights(*paths):
    """Return the nights whose figures are in these files, which are unpacked first."""
    return {int(night) for path in paths for text in read_all(path) for night in search(text)}


def search(text):
    return PLANTED_PATTERN.findall(text)


def read_all(path):
    """Yield the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        yield file.read_bytes()
        if file.suffix == ".gz":
            yield gzip.decompress(file.read_bytes())
        if file.suffix == ".xlsx":
            with zipfile.ZipFile(file) as archive:
                yield from map(archive.read, archive.namelist())


def write_exports(folder, name):
    """Write everything that leaves the auditor: exports in each format, and the static site."""
    config = folder / "config.toml"
    target = folder / "exports" / name
    target.mkdir(parents=True)
    for kind in EXPORTS:
        for suffix in ("csv", "xlsx", "json"):
            run_command(config, "export", kind, str(target / f"{kind}.{suffix}"))
    run_command(config, "publish", str(target / "pages"))


def list_verdicts(store):
    """Return what was concluded in each run, without figures."""
    return [
        (
            *observation.key,
            observation.finding.presence,
            observation.finding.reason,
            observation.finding.name,
            observation.finding.last_activity,
        )
        for observation in store.observations.list_observations()
    ]


@pytest.mark.slow
async def test_no_figure_of_an_api_is_stored(tmp_path):
    apis = FakeApis()
    app = open_network(tmp_path, apis)
    verdicts = []
    for night in range(NIGHTS):
        await run_night(app, apis, night)
        verdicts += [verdict for verdict in list_verdicts(app.store) if verdict[0] == night + 1]
    write_exports(tmp_path, "last night")
    for folder in ("data", "backups", "exports"):
        assert list(tmp_path.joinpath(folder).rglob("*.*"))
        assert find_planted_nights(tmp_path / folder) == set(), folder

    assert list_verdicts(app.store) == verdicts
    rebuilt = reevaluate.reevaluate(app)
    assert rebuilt.changes == []
    assert rebuilt.replayed_count == 0
    assert list(app.store.conclusions.list_gaps())
    app.store.close()


async def test_profile_of_a_removed_x_account_is_gone_after_the_run_that_finds_it_missing(tmp_path):
    apis = FakeApis()
    app = open_network(tmp_path, apis)
    for night in (0, 1, 2):
        await run_night(app, apis, night)
    assert X_NAME in {
        observation.finding.name for observation in app.store.observations.list_observations()
    }
    assert "name_mismatch" in {gap.code for gap in app.store.conclusions.list_gaps()}
    verdicts = list_verdicts(app.store)

    apis.is_x_account_removed = True
    await run_night(app, apis, 3)
    assert not any(X_NAME.encode() in text for text in read_all(tmp_path / "data"))
    erased = [
        observation
        for observation in app.store.observations.list_observations()
        if "profile_removed" in observation.finding.facts
    ]
    assert [observation.run_id for observation in erased] == [1, 2, 3]
    kept = [(*verdict[:4], verdict[5]) for verdict in list_verdicts(app.store) if verdict[0] < 4]
    assert kept == [(*verdict[:4], verdict[5]) for verdict in verdicts]
    assert "name_mismatch" in {gap.code for gap in app.store.conclusions.list_gaps()}
    assert reevaluate.reevaluate(app).changes == []
    app.store.close()


@pytest.mark.slow
@pytest.mark.xdist_group("postgresql")
async def test_profile_of_a_removed_x_account_is_erased_on_postgresql_too(database, tmp_path):
    apis = FakeApis()
    app = open_network(tmp_path, apis, store=Store.open(database))
    await run_night(app, apis, 0)
    apis.is_x_account_removed = True
    await run_night(app, apis, 1)
    with app.store.begin_read() as connection:
        tables = ("probe_result", "account_status", "gap")
        rows = [
            str(row)
            for table in tables
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")
        ]
    assert rows
    assert not any(X_NAME in row for row in rows)
    app.store.close()
