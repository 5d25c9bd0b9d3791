"""Runs with API keys: requests, costs, budgets, and no stored key, figure or response.

Every figure that the fake APIs serve is a number that occurs nowhere else. All files are searched
for these numbers, byte by byte.
"""

import gzip
import json
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from auditor.conclusions import reevaluate
from auditor.config.schema import load_config
from auditor.runs.pipeline import run_audit_pipeline, run_maintenance
from auditor.runs.run import execute_run
from probes.links import identify
from probes.models.finding import Reason
from probes.models.http import Page
from storage.models.audit import AccountRow, AccountState, Association, AuditRunState
from storage.store import Store
from tests.support.channel_settings import disable_channels_except
from tests.support.mini_network import opened
from tests.support.output_formats import run_command

NIGHTS = 3
FIRST_NIGHT = datetime.combine(datetime.now(UTC), time(0, 30), UTC) - timedelta(days=NIGHTS - 1)
OURS, OTHER = "UCAnnour0000000000000001", "UCSalam00000000000000002"
NAMES = "Association Tafsoutine pour la lecture", "جمعية تافسوتين للقراءة"
X_NAME = "Radio Soleil du Sud"
YOUTUBE_LINKS = (f"https://www.youtube.com/channel/{OURS}", "https://www.youtube.com/@salam")
ALL_LINKS = (YOUTUBE_LINKS[0], "https://x.com/radiosoleil", "https://www.facebook.com/annour")
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
impossible_account = ""
api_budget = {budget}
api_key_file = "key"
[channels.twitter]
canaries = []
impossible_account = ""
api_key_file = "key"
[channels.facebook]
canaries = []
impossible_account = ""
api_key_file = "key"
[channels.website]
canaries = []
impossible_account = ""
[channels.linkedin]
canaries = []
impossible_account = ""
""" + disable_channels_except("youtube", "twitter", "facebook", "website", "linkedin")
PLANTED_PATTERN = re.compile(rb"98765(\d\d)0000\d")
EXPORTS = ("associations", "gaps", "accounts", "coverage", "changes", "meeting")
X_ERROR = {
    "parameter": "ids",
    "resource_type": "user",
    "title": "Not Found Error",
    "detail": "Could not find user with ids: [77].",
    "type": "https://api.twitter.com/2/problems/resource-not-found",
}


class FakeApis:
    """The three official APIs, whose figures change every night."""

    def __init__(self):
        self.night = 0
        self.channels = {OURS: "@annour", OTHER: "@salam"}
        self.is_x_account_removed = False
        self.queries = []

    def plant(self, number):
        """Return a figure that names its night."""
        return int(f"98765{self.night:02}0000{number}")

    def respond(self, request):
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.queries.append(query)
        if parts.path.endswith("playlistItems"):
            items = [{"contentDetails": {"videoPublishedAt": "2026-01-10T10:00:00Z"}}]
            return {"kind": "youtube#playlistItemListResponse", "items": items}
        respond = {
            "www.googleapis.com": self.respond_youtube,
            "api.x.com": self.respond_x,
            "graph.facebook.com": self.respond_graph,
        }
        return respond[parts.hostname](query)

    def respond_youtube(self, query):
        ids = {*query.get("id", "").split(","), query.get("forHandle")}
        items = [
            {
                "id": channel_id,
                "snippet": {"title": "Annour", "customUrl": handle},
                "statistics": {
                    "subscriberCount": str(self.plant(1)),
                    "videoCount": str(self.plant(2)),
                    "viewCount": str(self.plant(3)),
                },
                "contentDetails": {"relatedPlaylists": {"uploads": f"UU{channel_id[2:]}"}},
                "status": {"privacyStatus": "public"},
            }
            for channel_id, handle in self.channels.items()
            if {channel_id, handle} & ids
        ]
        response = {
            "kind": "youtube#channelListResponse",
            "pageInfo": {"totalResults": len(items)},
            "items": items,
        }
        return {name: value for name, value in response.items() if value}

    def respond_x(self, _query):
        if self.is_x_account_removed:
            by_name = {"value": "radiosoleil", "parameter": "usernames"}
            return {"errors": [{"value": "77", **X_ERROR}, {**X_ERROR, **by_name}]}
        metrics = {
            "followers_count": self.plant(4),
            "tweet_count": self.plant(5),
            "listed_count": self.plant(6),
        }
        user = {"id": "77", "username": "radiosoleil", "name": X_NAME, "public_metrics": metrics}
        return {"data": [user]}

    def respond_graph(self, query):
        page = {"id": "88", "name": "Annour", "username": "annour", "is_published": True}
        page |= {"fan_count": self.plant(7), "followers_count": self.plant(8)}
        posts = {"data": [{"created_time": "2026-01-12T10:00:00+0000"}]}
        return {query["ids"]: page | {"published_posts": posts}}


@pytest.fixture
def apis():
    return FakeApis()


@pytest.fixture
def open_network(tmp_path, apis):
    """Return a function that opens an auditor of these links, each of another association."""
    apps = []

    def open_app(links, budget=10_000, store=None):
        for name, text in (("key", "secret"), ("config.toml", CONFIG.format(budget=budget))):
            (tmp_path / name).write_text(text, "utf-8")
            (tmp_path / name).chmod(0o600)
        config = load_config(tmp_path / "config.toml", {})
        channels = {
            name: channel.model_copy(update={"canaries": ()})
            for name, channel in config.channels.items()
        }
        config.storage.folder.mkdir()
        app = opened(config.storage.folder, config.model_copy(update={"channels": channels}), store)
        apps.append(app)

        async def get(request):
            app.web.request_count += 1
            app.web.requests_by_host[urlsplit(request.url).hostname] += 1
            app.web.now += timedelta(seconds=1)
            body = json.dumps(apis.respond(request)).encode()
            return Page(request.url, 200, {"content-type": "application/json"}, body, app.web.now)

        app.web.get = get
        identities = [identify.identify_link(url) for url in links]
        rows = [
            AccountRow(f"a{number}", url, identity, identity.channel)
            for number, (url, identity) in enumerate(zip(links, identities, strict=True))
        ]
        associations = [Association(row.association, *NAMES) for row in rows]
        app.store.registry.save_registry(associations, rows, FIRST_NIGHT - timedelta(hours=1))
        return app

    yield open_app
    for app in apps:
        app.store.close()


async def run_nights(app, apis, *nights, execute=run_audit_pipeline):
    for apis.night in nights:
        run = await execute(app, FIRST_NIGHT + timedelta(days=apis.night))
    return run


def list_statuses(app):
    return {
        row.association: app.store.statuses.get(row.id)
        for row in app.store.registry.list_accounts()
    }


@pytest.mark.smoke
async def test_run_with_key_requests_only_the_api_and_stores_no_key(open_network, apis, tmp_path):
    app = open_network(YOUTUBE_LINKS)
    run = await run_nights(app, apis, 0, execute=execute_run)
    status = list_statuses(app)["a0"]
    assert (status.state, status.platform_id) == (AccountState.PRESENT, OURS)
    assert status.last_activity.published_at == datetime(2026, 1, 10, 10, tzinfo=UTC)
    assert run.report.requests_by_host == {"www.googleapis.com": 4}
    assert run.report.to_json()["apis"]["youtube"] == {
        "requests": 4,
        "skipped": 0,
        "cost": 4.0,
        "unit": "units",
        "budget": 10_000,
        "closed_because": None,
    }
    evidence = [item.evidence for item in app.store.observations.list_observations()]
    assert [len(items) for items in evidence] == [2, 2]
    assert not any(b"secret" in text for text in read_all(tmp_path / "data"))


async def test_renamed_channel_is_found_by_id_and_lost_one_is_confirmed(open_network, apis):
    """Channels with known ids need one call."""
    app = open_network(YOUTUBE_LINKS)
    await run_nights(app, apis, 0, execute=execute_run)
    apis.channels, apis.queries = {OTHER: "@salam-rabat"}, []
    await run_nights(app, apis, 1, 4, 7, execute=execute_run)
    assert [query["id"] for query in apis.queries if "id" in query] == [f"{OURS},{OTHER}"] * 3
    assert not [query for query in apis.queries if "forHandle" in query]
    results = {name: (status.state, status.reason) for name, status in list_statuses(app).items()}
    assert results == {
        "a0": (AccountState.GONE, Reason.NOT_FOUND),
        "a1": (AccountState.PRESENT, Reason.RENAMED),
    }
    rebuilt = reevaluate.reevaluate(app)
    assert rebuilt.changes == []
    assert (rebuilt.replayed_count, rebuilt.recorded_count) == (0, 8)


async def test_accounts_beyond_the_budget_are_unknown_and_first_in_the_next_run(open_network, apis):
    app = open_network(YOUTUBE_LINKS, budget=1)
    await run_nights(app, apis, 0, execute=execute_run)
    findings = [item.finding for item in app.store.observations.list_observations()]
    [unknown] = [finding for finding in findings if finding.presence == "unknown"]
    assert unknown.reason == "rate_limited"
    assert "budget of 1 units" in unknown.detail
    await run_nights(app, apis, 1, execute=execute_run)
    assert all(status.last_known_finding for status in list_statuses(app).values())


# --- Figures, responses and profiles are not kept ------------------------------------------------


def read_all(folder):
    """Yield the bytes of all files in a folder, and those of compressed ones unpacked."""
    for file in folder.rglob("*.*"):
        yield file.read_bytes()
        if file.suffix == ".gz":
            yield gzip.decompress(file.read_bytes())
        if file.suffix == ".xlsx":
            with zipfile.ZipFile(file) as archive:
                yield from map(archive.read, archive.namelist())


def list_verdicts(store):
    """Return what was concluded in each run, without figures and names."""
    return [
        (*observation.key, finding.presence, finding.reason, finding.last_activity)
        for observation in store.observations.list_observations()
        if (finding := observation.finding)
    ]


@pytest.mark.slow
async def test_no_figure_of_an_api_is_stored(open_network, apis, tmp_path):
    app = open_network(ALL_LINKS)
    verdicts = []
    for night in range(NIGHTS):
        await run_nights(app, apis, night)
        verdicts += [verdict for verdict in list_verdicts(app.store) if verdict[0] == night + 1]
    for kind in EXPORTS:
        for suffix in ("csv", "xlsx", "json"):
            file = tmp_path / "data" / f"{kind}.{suffix}"
            run_command(tmp_path / "config.toml", "export", kind, str(file))
    run_command(tmp_path / "config.toml", "publish", str(tmp_path / "data" / "pages"))
    for folder in ("data", "backups"):
        texts = list(read_all(tmp_path / folder))
        assert texts
        assert not any(map(PLANTED_PATTERN.search, texts)), folder
    assert list_verdicts(app.store) == verdicts
    rebuilt = reevaluate.reevaluate(app)
    assert (rebuilt.changes, rebuilt.replayed_count) == ([], 0)


async def test_profile_of_a_removed_x_account_is_gone_after_the_run_that_finds_it_missing(
    open_network, apis, tmp_path
):
    app = open_network(ALL_LINKS)
    await run_nights(app, apis, 0, 1, 2)
    names = {item.finding.name for item in app.store.observations.list_observations()}
    assert X_NAME in names
    verdicts = list_verdicts(app.store)
    apis.is_x_account_removed = True
    await run_nights(app, apis, 3)
    assert not any(X_NAME.encode() in text for text in read_all(tmp_path / "data"))
    erased = [
        observation.run_id
        for observation in app.store.observations.list_observations()
        if "profile_removed" in observation.finding.facts
    ]
    assert erased == [1, 2, 3]
    assert [verdict for verdict in list_verdicts(app.store) if verdict[0] < 4] == verdicts
    assert "name_mismatch" in {gap.code for gap in app.store.conclusions.list_gaps()}
    assert reevaluate.reevaluate(app).changes == []


async def test_profile_of_a_removed_x_account_is_erased_after_a_skipped_run(
    open_network, apis, tmp_path
):
    app = open_network(ALL_LINKS)
    await run_nights(app, apis, 0)
    apis.is_x_account_removed = True
    killed_run = await run_nights(app, apis, 2, execute=execute_run)
    skipped_run = replace(killed_run, state=AuditRunState.SKIPPED)
    run_maintenance(app, skipped_run, FIRST_NIGHT + timedelta(days=2), lambda: False)
    assert not any(X_NAME.encode() in text for text in read_all(tmp_path / "data"))


@pytest.mark.slow
@pytest.mark.xdist_group("postgresql")
async def test_profile_of_a_removed_x_account_is_erased_on_postgresql_too(
    open_network, apis, database
):
    app = open_network(ALL_LINKS, store=Store.open(database))
    await run_nights(app, apis, 0)
    apis.is_x_account_removed = True
    await run_nights(app, apis, 1)
    with app.store.begin_read() as connection:
        rows = [
            str(row)
            for table in ("probe_result", "account_status", "gap")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")
        ]
    assert rows
    assert not any(X_NAME in row for row in rows)
