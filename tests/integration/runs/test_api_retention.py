"""Figures and responses of official APIs are gone in time, and what was concluded from them stays.

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

import storage.api_data
from auditor import diagnostics
from auditor.cli.main import main
from auditor.config.schema import load_config
from auditor.evaluation import reevaluate
from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import LANGUAGES
from auditor.retention import api_data, backups
from auditor.runs.pipeline import run_audit_pipeline
from probes.links import identify
from probes.models.http import Page
from storage.errors import StoreError
from storage.files.body_store import BodyStore
from storage.models.audit import AccountRow, Association
from storage.store import Store
from tests.support.mini_network import opened
from tests.support.output_formats import run_command

TODAY = datetime.combine(datetime.now(UTC).date(), time(0, 30), UTC)
NIGHTS = 31
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
async def test_no_figure_is_kept_longer_than_its_terms_allow(tmp_path):
    apis = FakeApis()
    app = open_network(tmp_path, apis)
    verdicts = []
    for night in range(NIGHTS):
        await run_night(app, apis, night)
        verdicts += [verdict for verdict in list_verdicts(app.store) if verdict[0] == night + 1]
        if night == 0:
            write_exports(tmp_path, "first night")
            backups.create_backup(
                app.store, app.body_store, app.config, FIRST_NIGHT, tmp_path / "usb"
            )
    write_exports(tmp_path, "last night")
    kept_nights = find_planted_nights(tmp_path / "data")
    assert set(range(4, NIGHTS)) <= kept_nights <= set(range(2, NIGHTS))
    assert len(backups.list_backups(app.config.backup.folder)) == NIGHTS
    for folder in ("backups", "usb", "exports"):
        assert list(tmp_path.joinpath(folder).rglob("*.*"))
        assert find_planted_nights(tmp_path / folder) == set(), folder

    assert list_verdicts(app.store) == verdicts
    assert main(["--config", str(tmp_path / "config.toml"), "receipts"]) == 0
    rebuilt = reevaluate.reevaluate(app)
    assert rebuilt.changes == []
    assert list(app.store.conclusions.list_gaps())
    app.store.close()


@pytest.mark.parametrize("batch_size", [1, 500])
async def test_profile_of_a_removed_x_account_is_gone_after_the_run_that_finds_it_missing(
    tmp_path, monkeypatch, batch_size
):
    monkeypatch.setattr(storage.api_data, "BATCH_RESULTS", batch_size)
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


async def test_backup_during_a_run_has_no_response_that_was_stored_meanwhile(tmp_path, monkeypatch):
    apis = FakeApis()
    app = open_network(tmp_path, apis)
    await run_night(app, apis, 0)
    create_copy = app.store.create_backup

    def copy_and_store_response(file, prepare):
        contents = create_copy(file, prepare)
        latest = next(app.store.observations.list_observations(account_id=1))
        body = json.dumps({"subscriberCount": plant(1, 1)}).encode()
        evidence = (replace(latest.evidence[0], digest=app.body_store.put(body)),)
        run = app.store.runs.begin_or_resume(FIRST_NIGHT.date() + timedelta(days=1), FIRST_NIGHT)
        app.store.observations.record(
            [replace(latest, run_id=run.id, evidence=evidence, result_id=None)]
        )
        return contents

    monkeypatch.setattr(app.store, "create_backup", copy_and_store_response)
    backups.create_backup(app.store, app.body_store, app.config, FIRST_NIGHT, tmp_path / "usb")
    assert find_planted_nights(tmp_path / "data") == {0, 1}
    assert find_planted_nights(tmp_path / "usb") == set()
    app.store.close()


async def test_response_that_could_not_be_deleted_is_deleted_by_the_next_run(tmp_path, monkeypatch):
    apis = FakeApis()
    app = open_network(tmp_path, apis)
    await run_night(app, apis, 0)
    later = FIRST_NIGHT + timedelta(days=31)
    with monkeypatch.context() as patched:
        patched.setattr(BodyStore, "remove", fail_to_remove)
        with pytest.raises(StoreError):
            api_data.drop_expired_api_data(app, later, (app.body_store,))
    assert find_planted_nights(tmp_path / "data") == {0}
    api_data.drop_expired_api_data(app, later, (app.body_store,))
    assert find_planted_nights(tmp_path / "data") == set()
    app.store.close()


def fail_to_remove(_body_store, _digest):
    raise StoreError("cannot delete a body", "permission denied", "check its owner")


async def test_x_responses_are_kept_until_the_next_run(tmp_path):
    apis = FakeApis()
    app = open_network(tmp_path, apis)
    for night in (0, 1):
        await run_night(app, apis, night)
    stored = [
        (observation.run_id, exchange.digest in app.body_store)
        for observation in app.store.observations.list_observations()
        for exchange in observation.evidence
        if exchange.url.startswith("https://api.x.com/")
    ]
    assert stored == [(1, False), (2, True)]
    app.store.close()


async def test_reevaluation_names_the_observations_that_cannot_be_read_again(tmp_path, capsys):
    apis = FakeApis()
    app = open_network(tmp_path, apis)
    for night in (0, 1, 30):
        await run_night(app, apis, night)
    result = reevaluate.reevaluate(app)
    first, second = (FIRST_NIGHT.date() + timedelta(days=day) for day in (0, 1))
    assert result.expired_counts == {
        (channel, day): 1 for channel in LINKS for day in (first, second)
    }
    assert result.replayed_count == 3
    app.store.close()
    run_command(tmp_path / "config.toml", "--lang", "en", "reevaluate", "--dry-run")
    output = capsys.readouterr().err
    assert f"YouTube: 2 observations from {first} to {second} cannot be read again" in output


def diagnose(folder, now=TODAY):
    """Return the results of `auditor doctor` that name an API."""
    return {
        result.check: (result.state, result.detail)
        for result in diagnostics.run_diagnostics(folder / "config.toml", now)
        if "API" in result.check
    }


def test_doctor_fails_if_api_data_is_kept_longer_than_the_terms_allow(tmp_path):
    app = open_network(tmp_path, FakeApis())
    app.store.close()
    assert diagnose(tmp_path) == {}
    for days in (0, 90):
        open_network(tmp_path, FakeApis(), f"[retention]\napi_data = {days}\n").store.close()
        detail = "but they allow at most 30 days; try `api_data = 30`"
        assert diagnose(tmp_path) == {
            "terms of YouTube Data API": ("fail", f"[retention] api_data is {days}, {detail}")
        }


@pytest.mark.parametrize("language", LANGUAGES)
def test_doctor_names_the_limit_of_the_terms_in_days(tmp_path, language):
    open_network(tmp_path, FakeApis(), "[retention]\napi_data = 90\n").store.close()
    results = diagnostics.run_diagnostics(tmp_path / "config.toml", TODAY)
    result = next(result for result in results if result.check.startswith("terms of"))
    detail = Translator(language).translate(result.detail_template, **result.params)
    assert re.findall(r"\d+", detail) == ["90", "30", "30"]


def test_amendment_lifts_the_limit_of_youtube(tmp_path):
    config = CONFIG.replace("[channels.youtube]", "[channels.youtube]\nderived_metrics = true")
    settings = "[retention]\napi_data = 90\n"
    tmp_path.joinpath("config.toml").write_text(config + settings, "utf-8")
    tmp_path.joinpath("key").write_text("secret", "utf-8")
    retentions = api_data.list_api_retentions(load_config(tmp_path / "config.toml", {}))
    assert {item.channel: (item.figure_days, item.response_days) for item in retentions} == {
        "facebook": (90, 90),
        "twitter": (90, 1),
        "youtube": (90, 90),
    }
    assert diagnose(tmp_path) == {}


def test_limit_of_the_terms_counts_if_the_setting_is_longer(tmp_path):
    app = open_network(tmp_path, FakeApis(), "[retention]\napi_data = 0\n")
    figure_days = {
        item.channel: item.figure_days for item in api_data.list_api_retentions(app.config)
    }
    assert figure_days == {"facebook": None, "twitter": None, "youtube": 30}
    app.store.close()


def test_doctor_fails_for_a_rule_that_would_keep_a_figure_in_its_gaps(tmp_path):
    rule = '[[rules]]\ncode = "channel_stale"\ncheck = "fact"\nfact = "video_count"\nbelow = 3\n'
    open_network(tmp_path, FakeApis(), rule).store.close()
    assert diagnose(tmp_path)["terms of YouTube Data API"] == (
        "fail",
        "the rule channel_stale reads video_count, which its gaps would keep for ever; remove it",
    )


async def test_doctor_fails_if_no_run_dropped_old_figures(tmp_path):
    apis = FakeApis()
    app = open_network(tmp_path, apis)
    await run_night(app, apis, 0)
    copy = app.store.database_file.with_name("auditor.db.before-restore-20260101T000000Z")
    app.store.create_backup(copy)
    app.store.close()
    later = FIRST_NIGHT + timedelta(days=31)
    state, detail = diagnose(tmp_path, later)["data of APIs"]
    assert state == "fail"
    assert detail == f"{copy} may have figures that are kept too long; delete it"
    assert main(["--config", str(tmp_path / "config.toml"), "prune"]) == 0
    assert find_planted_nights(tmp_path / "data") == set()
    assert diagnose(tmp_path, later) == {}


@pytest.mark.slow
@pytest.mark.xdist_group("postgresql")
async def test_figures_are_dropped_on_postgresql_too(database, tmp_path):
    apis = FakeApis()
    app = open_network(tmp_path, apis, store=Store.open(database))
    for night in (0, 1, 30):
        await run_night(app, apis, night)
    with app.store._database.begin_read() as connection:
        tables = ("probe_result", "account_status")
        rows = [
            str(row)
            for table in tables
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")
        ]
    assert {int(night) for row in rows for night in search(row.encode())} == {30}
    assert find_planted_nights(tmp_path / "data") == {30}
    assert reevaluate.reevaluate(app).changes == []
    app.store.close()
