"""Runs with an API key: requests, costs, budgets and re-evaluation."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from auditor import diagnostics
from auditor.checking import checker
from auditor.checking.checker import check_links
from auditor.config.schema import ChannelSettings, load_config
from auditor.core.errors import ConfigError
from auditor.evaluation import reevaluate
from auditor.runs import run
from probes.links import channel_registry, identify
from probes.models.http import Page
from storage.models.audit import AccountRow, AccountState, AccountStatus, Association, AuditRunState
from tests.support.mini_network import START, configured, night_of, opened

OURS = "UCAnnour0000000000000001"
OTHER = "UCSalam00000000000000002"
NEWEST = START - timedelta(days=5)


class Interface:
    """YouTube's Data API with channels by id. A request for any other URL fails the test."""

    def __init__(self, channels):
        self.channels = dict(channels)
        self.asked = []

    def __call__(self, ask):
        parts = urlsplit(ask.url)
        assert parts.hostname == "www.googleapis.com", ask.url
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(query)
        if parts.path.endswith("playlistItems"):
            items = [{"contentDetails": {"videoPublishedAt": NEWEST.isoformat()}}]
            return {"kind": "youtube#playlistItemListResponse", "items": items}
        found = [self.build_item(own) for own in self.wanted(query) if own in self.channels]
        told = {"kind": "youtube#channelListResponse", "pageInfo": {"totalResults": len(found)}}
        return {**told, "items": found} if found else told

    def wanted(self, query):
        by_handle = {handle: own for own, handle in self.channels.items()}
        return (
            query["id"].split(",") if "id" in query else [by_handle.get(query.get("forHandle"), "")]
        )

    def build_item(self, own):
        return {
            "id": own,
            "snippet": {"title": f"Channel {own}", "customUrl": self.channels[own]},
            "statistics": {"videoCount": "9", "subscriberCount": "214"},
            "contentDetails": {"relatedPlaylists": {"uploads": f"UU{own[2:]}"}},
            "status": {"privacyStatus": "public"},
        }


@pytest.fixture
def api():
    return Interface({OURS: "@annour", OTHER: "@salam"})


@pytest.fixture
def app(tmp_path, api, monkeypatch):
    app = opened(tmp_path, keyed())

    async def get(ask):
        app.web.request_count += 1
        app.web.requests_by_host[urlsplit(ask.url).hostname] += 1
        app.web.now += timedelta(seconds=1)
        body = json.dumps(api(ask)).encode()
        return Page(ask.url, 200, {"content-type": "application/json"}, body, app.web.now)

    monkeypatch.setattr(app.web, "get", get)
    register(app, "annour", f"https://www.youtube.com/channel/{OURS}")
    register(app, "salam", "https://www.youtube.com/@salam")
    yield app
    app.store.close()


def keyed(**changes):
    config = configured(("youtube",))
    channel = ChannelSettings(api_key="secret", **changes)
    return config.model_copy(update={"channels": {"youtube": channel}})


def register(app, association, typed):
    known = [*app.store.list_associations(), Association(association, association.title())]
    row = AccountRow(association, typed, identify.identify_link(typed), "youtube")
    app.store.save_registry(known, [*app.store.list_accounts(), row], START - timedelta(hours=1))


def held(app):
    return {
        row.association: app.store.get_account_status(row.id) for row in app.store.list_accounts()
    }


async def test_run_with_key_requests_only_the_api(app):
    await run.execute_run(app, night_of(0))
    standing = held(app)["annour"]
    assert (standing.state, standing.platform_id) == (AccountState.PRESENT, OURS)
    assert standing.last_activity.published_at == NEWEST
    assert set(app.web.requests_by_host) == {"www.googleapis.com"}


async def test_channels_with_known_ids_need_one_call(app, api):
    await run.execute_run(app, night_of(0))
    api.asked.clear()
    await run.execute_run(app, night_of(1))
    assert [query["id"] for query in api.asked if "id" in query] == [f"{OURS},{OTHER}"]
    assert not [query for query in api.asked if "forHandle" in query]


async def test_receipt_has_api_cost(app):
    done = await run.execute_run(app, night_of(0))
    assert done.receipt["apis"] == {
        "youtube": {
            "requests": 4,
            "skipped": 0,
            "cost": 4.0,
            "unit": "units",
            "budget": 10_000,
            "closed_because": None,
        }
    }
    assert done.receipt["requests_by_host"] == {"www.googleapis.com": 4}


async def test_key_is_never_stored(app, tmp_path):
    await run.execute_run(app, night_of(0))
    kept = [piece for look in app.store.list_observations() for piece in look.evidence]
    assert len(kept) == 4
    assert "secret" not in repr(kept)
    assert b"secret" not in b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )


async def test_renamed_channel_is_found_by_id_and_lost_one_is_confirmed(app, api):
    await run.execute_run(app, night_of(0))
    api.channels = {OTHER: "@salam-rabat"}
    for day in (1, 4, 7):
        await run.execute_run(app, night_of(day))
    assert (held(app)["salam"].state, str(held(app)["salam"].reason)) == (
        AccountState.PRESENT,
        "renamed",
    )
    assert (held(app)["annour"].state, str(held(app)["annour"].reason)) == (
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
    assert (rebuilt.replayed_count, rebuilt.recorded_count) == (8, 0)


async def test_accounts_beyond_the_budget_are_unknown_and_first_in_the_next_run(app):
    app.config = keyed(api_budget=1)
    await run.execute_run(app, night_of(0))
    first = {name for name, standing in held(app).items() if standing.last_known_finding}
    untold = [
        look.finding for look in app.store.list_observations() if look.finding.presence == "unknown"
    ]
    await run.execute_run(app, night_of(1))
    assert (len(first), len(untold)) == (1, 1)
    assert str(untold[0].reason) == "rate_limited"
    assert "budget of 1 units" in untold[0].detail
    known = {name for name, status in held(app).items() if status.last_known_finding}
    assert known == {"annour", "salam"}


async def test_skipped_account_precedes_a_longer_unknown_one(app, api):
    """The last run skipped `salam`. It checked `annour`, which has been unknown for a month."""
    last = app.store.begin_run(night_of(0).date(), night_of(0))
    app.store.finish_run(last, AuditRunState.DONE, night_of(0))
    of = {row.typed_text.rpartition("/")[2]: row.id for row in app.store.list_accounts()}
    told = {OURS: (0, -30), "@salam": (-2, -2)}
    app.store.save_conclusions(
        [
            AccountStatus(of[name], checked_at=night_of(checked), decided_at=night_of(decided))
            for name, (checked, decided) in told.items()
        ]
    )
    app.config = keyed(api_budget=1)
    await run.execute_run(app, night_of(1))
    assert [query.get("forHandle") for query in api.asked] == ["@salam"]


async def test_check_links_uses_the_api(app):
    purses = checker.create_api_budgets(app.config)
    seen = await check_links(
        [("@salam", identify.identify_link("https://www.youtube.com/@salam"))],
        checker.AccountChecker(app.web, app.create_parser_pool(), purses),
    )
    assert seen[0].result.finding.platform_id == OTHER
    assert purses["youtube"].spent == 2


def test_only_hosts_of_platforms_with_key_are_api_only():
    assert checker.find_api_only_hosts(keyed()) == channel_registry.get_channel("youtube").HOSTS
    assert checker.find_api_only_hosts(configured()) == frozenset()


def test_doctor_shows_the_budget_of_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITOR_CHANNELS__YOUTUBE__API_KEY", "hush-7f3c")
    monkeypatch.setenv("AUDITOR_STORAGE__FOLDER", str(tmp_path / "data"))
    told = {one.check: one for one in diagnostics.run_diagnostics(None, START)}
    assert told["key of youtube"].state == "ok"
    assert "at most 10000 units per night" in told["key of youtube"].detail
    assert "hush-7f3c" not in repr(told)


def test_key_for_channel_without_api_is_rejected():
    with pytest.raises(ConfigError, match="this channel has no API"):
        load_config(None, {"AUDITOR_CHANNELS__LINKEDIN__API_KEY": "secret"})
