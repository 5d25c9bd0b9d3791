"""Runs with an API key: requests, costs, budgets and re-evaluation."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from auditor.checking import checker
from auditor.checking.checker import check_links
from auditor.conclusions import reevaluate
from auditor.config.schema import ChannelSettings, load_config
from auditor.core.errors import ConfigError
from auditor.runs import diagnostics, run
from probes.links import channel_registry, identify
from probes.models.http import Page
from storage.conclusions import Conclusions
from storage.models.audit import AccountRow, AccountState, AccountStatus, Association, AuditRunState
from tests.support.mini_network import START, configured, night_of, opened

OURS = "UCAnnour0000000000000001"
OTHER = "UCSalam00000000000000002"
NEWEST = START - timedelta(days=5)


class FakeYoutubeApi:
    """YouTube's Data API with channels by id. A request for any other URL fails the test."""

    def __init__(self, channels):
        self.channels = dict(channels)
        self.queries = []

    def __call__(self, request):
        parts = urlsplit(request.url)
        assert parts.hostname == "www.googleapis.com", request.url
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.queries.append(query)
        if parts.path.endswith("playlistItems"):
            items = [{"contentDetails": {"videoPublishedAt": NEWEST.isoformat()}}]
            return {"kind": "youtube#playlistItemListResponse", "items": items}
        items_found = [
            self.build_item(channel_id)
            for channel_id in self.find_requested_ids(query)
            if channel_id in self.channels
        ]
        response = {
            "kind": "youtube#channelListResponse",
            "pageInfo": {"totalResults": len(items_found)},
        }
        return {**response, "items": items_found} if items_found else response

    def find_requested_ids(self, query):
        by_handle = {handle: channel_id for channel_id, handle in self.channels.items()}
        return (
            query["id"].split(",") if "id" in query else [by_handle.get(query.get("forHandle"), "")]
        )

    def build_item(self, channel_id):
        return {
            "id": channel_id,
            "snippet": {"title": f"Channel {channel_id}", "customUrl": self.channels[channel_id]},
            "statistics": {"videoCount": "9", "subscriberCount": "214"},
            "contentDetails": {"relatedPlaylists": {"uploads": f"UU{channel_id[2:]}"}},
            "status": {"privacyStatus": "public"},
        }


@pytest.fixture
def api():
    return FakeYoutubeApi({OURS: "@annour", OTHER: "@salam"})


@pytest.fixture
def app(tmp_path, api, monkeypatch):
    app = opened(tmp_path, config_with_key())

    async def get(request):
        app.web.request_count += 1
        app.web.requests_by_host[urlsplit(request.url).hostname] += 1
        app.web.now += timedelta(seconds=1)
        body = json.dumps(api(request)).encode()
        return Page(request.url, 200, {"content-type": "application/json"}, body, app.web.now)

    monkeypatch.setattr(app.web, "get", get)
    register(app, "annour", f"https://www.youtube.com/channel/{OURS}")
    register(app, "salam", "https://www.youtube.com/@salam")
    yield app
    app.store.close()


def config_with_key(**changes):
    config = configured(("youtube",))
    channel = ChannelSettings(api_key="secret", **changes)
    return config.model_copy(update={"channels": {"youtube": channel}})


def register(app, association, typed_text):
    associations = [
        *app.store.registry.list_associations(),
        Association(association, association.title()),
    ]
    row = AccountRow(association, typed_text, identify.identify_link(typed_text), "youtube")
    app.store.registry.save_registry(
        associations, [*app.store.registry.list_accounts(), row], START - timedelta(hours=1)
    )


def get_statuses(app):
    return {
        row.association: app.store.statuses.get(row.id)
        for row in app.store.registry.list_accounts()
    }


async def test_run_with_key_requests_only_the_api(app):
    await run.execute_run(app, night_of(0))
    status = get_statuses(app)["annour"]
    assert (status.state, status.platform_id) == (AccountState.PRESENT, OURS)
    assert status.last_activity.published_at == NEWEST
    assert set(app.web.requests_by_host) == {"www.googleapis.com"}


async def test_channels_with_known_ids_need_one_call(app, api):
    await run.execute_run(app, night_of(0))
    api.queries.clear()
    await run.execute_run(app, night_of(1))
    assert [query["id"] for query in api.queries if "id" in query] == [f"{OURS},{OTHER}"]
    assert not [query for query in api.queries if "forHandle" in query]


async def test_run_report_has_api_cost(app):
    done_run = await run.execute_run(app, night_of(0))
    assert done_run.report.to_json()["apis"] == {
        "youtube": {
            "requests": 4,
            "skipped": 0,
            "cost": 4.0,
            "unit": "units",
            "budget": 10_000,
            "closed_because": None,
        }
    }
    assert done_run.report.requests_by_host == {"www.googleapis.com": 4}


async def test_key_is_never_stored(app, tmp_path):
    await run.execute_run(app, night_of(0))
    evidence = [
        item
        for observation in app.store.observations.list_observations()
        for item in observation.evidence
    ]
    assert len(evidence) == 4
    assert "secret" not in repr(evidence)
    assert b"secret" not in b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )


async def test_renamed_channel_is_found_by_id_and_lost_one_is_confirmed(app, api):
    await run.execute_run(app, night_of(0))
    api.channels = {OTHER: "@salam-rabat"}
    for day in (1, 4, 7):
        await run.execute_run(app, night_of(day))
    assert (get_statuses(app)["salam"].state, str(get_statuses(app)["salam"].reason)) == (
        AccountState.PRESENT,
        "renamed",
    )
    assert (get_statuses(app)["annour"].state, str(get_statuses(app)["annour"].reason)) == (
        AccountState.GONE,
        "not_found",
    )


async def test_reevaluation_of_api_responses_changes_nothing(app, api):
    await run.execute_run(app, night_of(0))
    api.channels = {OTHER: "@salam-rabat"}
    for day in (1, 4, 7):
        await run.execute_run(app, night_of(day))
    rebuilt = reevaluate.reevaluate(app)
    assert rebuilt.changes == []
    assert (rebuilt.replayed_count, rebuilt.recorded_count) == (0, 8)


async def test_accounts_beyond_the_budget_are_unknown_and_first_in_the_next_run(app):
    app.config = config_with_key(api_budget=1)
    await run.execute_run(app, night_of(0))
    first = {name for name, status in get_statuses(app).items() if status.last_known_finding}
    unknown_findings = [
        observation.finding
        for observation in app.store.observations.list_observations()
        if observation.finding.presence == "unknown"
    ]
    await run.execute_run(app, night_of(1))
    assert (len(first), len(unknown_findings)) == (1, 1)
    assert str(unknown_findings[0].reason) == "rate_limited"
    assert "budget of 1 units" in unknown_findings[0].detail
    checked = {name for name, status in get_statuses(app).items() if status.last_known_finding}
    assert checked == {"annour", "salam"}


async def test_skipped_account_precedes_a_longer_unknown_one(app, api):
    """The last run skipped `salam`. It checked `annour`, which has been unknown for a month."""
    last = app.store.runs.begin_or_resume(night_of(0).date(), night_of(0))
    app.store.runs.finish(last, AuditRunState.DONE, night_of(0))
    account_ids = {
        row.typed_text.rpartition("/")[2]: row.id for row in app.store.registry.list_accounts()
    }
    days = {OURS: (0, -30), "@salam": (-2, -2)}
    app.store.conclusions.save(
        Conclusions(
            [
                AccountStatus(
                    account_ids[name], checked_at=night_of(checked), decided_at=night_of(decided)
                )
                for name, (checked, decided) in days.items()
            ]
        )
    )
    app.config = config_with_key(api_budget=1)
    await run.execute_run(app, night_of(1))
    assert [query.get("forHandle") for query in api.queries] == ["@salam"]


async def test_check_links_uses_the_api(app):
    api_budgets = checker.create_api_budgets(app.config)
    link_checks = await check_links(
        [("@salam", identify.identify_link("https://www.youtube.com/@salam"))],
        checker.AccountChecker(app.web, app.create_parser_pool(), api_budgets),
    )
    assert link_checks[0].result.finding.platform_id == OTHER
    assert api_budgets["youtube"].spent == 2


def test_only_hosts_of_platforms_with_key_are_api_only():
    assert (
        checker.find_api_only_hosts(config_with_key())
        == channel_registry.get_channel("youtube").HOSTS
    )
    assert checker.find_api_only_hosts(configured()) == frozenset()


def test_doctor_shows_the_budget_of_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITOR_CHANNELS__YOUTUBE__API_KEY", "hush-7f3c")
    monkeypatch.setenv("AUDITOR_STORAGE__FOLDER", str(tmp_path / "data"))
    results = {result.check: result for result in diagnostics.run_diagnostics(None, START)}
    assert results["key of youtube"].state == "ok"
    assert "at most 10000 units per night" in results["key of youtube"].detail
    assert "hush-7f3c" not in repr(results)


def test_key_for_channel_without_api_is_rejected():
    with pytest.raises(ConfigError, match="this channel has no API"):
        load_config(None, {"AUDITOR_CHANNELS__LINKEDIN__API_KEY": "secret"})
