"""The forecast of a run: accounts, crawl delays, time limit and API budgets."""

import itertools
import json
import re

import pytest

from auditor.cli import main
from auditor.config.schema import ChannelSettings, ScheduleSettings
from auditor.diagnostics import data
from auditor.runs import forecast
from auditor.runs.forecast import forecast_channels
from probes.http.fetcher import FetchOptions
from storage.models.audit import AuditRun, AuditRunState
from tests.support.mini_network import START, configured, link, opened, register


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path, configured())
    fetch = FetchOptions(host_delay=1, platform_delay=0.8)
    small.config = small.config.model_copy(
        update={"fetch": fetch, "schedule": ScheduleSettings(time_limit_hours=5)}
    )
    yield small
    small.store.close()


def outlook(app, channel):
    return next(
        one for one in forecast_channels(app.config, app.store, START) if one.channel == channel
    )


def many(count, channel="facebook"):
    return [link(f"a{number}", channel, f"a{number}") for number in range(count)]


def test_large_platform_takes_several_runs(app, monkeypatch):
    """At one request every 1.25 s on average, 250,000 accounts take 87 hours: 18 runs of five."""
    register(app, *many(250))
    monkeypatch.setattr(
        app.store, "list_accounts", lambda: [row for row in many(250) for _ in range(1000)]
    )
    told = outlook(app, "facebook")
    assert (told.accounts, told.seconds_per_request, told.hours, told.runs) == (
        250_000,
        1.25,
        86.8,
        18,
    )
    assert told.accounts_per_run == 14_400


def test_largest_host_counts_for_websites(app):
    sites = [link(f"b{number}", "website", f"b{number}") for number in range(40)]
    register(app, *sites)
    told = outlook(app, "website")
    assert (told.accounts, told.sequential_accounts, told.runs) == (40, 1, 1)


def test_concurrency_limits_very_many_websites(app, monkeypatch):
    """Six requests a site, a second before each, 250 sites at a time: 150,000 in an hour."""
    sites = many(250, "website")
    register(app, *sites)
    monkeypatch.setattr(
        app.store, "list_accounts", lambda: [row for row in sites for _ in range(1000)]
    )
    numbers = itertools.count()
    monkeypatch.setattr(forecast, "get_account_host", lambda _: f"s{next(numbers)}.example")
    told = outlook(app, "website")
    assert (told.sequential_accounts, told.seconds_per_request, told.requests_per_account) == (
        250_000,
        0.004,
        6,
    )
    assert (told.hours, told.runs) == (1.7, 1)


def test_accounts_skipped_for_the_budget_cost_nothing(app, monkeypatch):
    keyed = {"youtube": ChannelSettings(api_key="k" * 20, api_budget=10)}
    app.config = app.config.model_copy(update={"channels": {**app.config.channels, **keyed}})
    register(app, *many(30, "youtube"))
    counts = {"channels": {"youtube": {"present": 10, "absent": 0, "unknown": 20}}}
    spent = {"apis": {"youtube": {"cost": 10, "skipped": 20}}}
    last = AuditRun(START.date(), AuditRunState.DONE, START, receipt={**counts, **spent})
    monkeypatch.setattr(app.store, "get_latest_run", lambda *_: last)
    assert (outlook(app, "youtube").runs, outlook(app, "youtube").accounts_per_run) == (3, 10)


def test_without_time_limit_one_run_reaches_all(app):
    app.config = app.config.model_copy(update={"schedule": ScheduleSettings(time_limit_hours=0)})
    register(app, *many(30))
    told = outlook(app, "facebook")
    assert (told.runs, told.accounts_per_run) == (1, None)


def test_requests_per_account_are_those_of_the_last_run(app, monkeypatch):
    register(app, *many(30))
    counts = {"channels": {"facebook": {"present": 10, "absent": 0, "unknown": 0}}}
    spent = {"requests_by_host": {"www.facebook.com": 25, "m.facebook.com": 5, "x.com": 9}}
    last = AuditRun(START.date(), AuditRunState.DONE, START, receipt=counts | spent)
    monkeypatch.setattr(app.store, "get_latest_run", lambda *_: last)
    assert outlook(app, "facebook").requests_per_account == 3


def test_budget_limits_an_api(app, monkeypatch):
    keyed = {"youtube": ChannelSettings(api_key="k" * 20, api_budget=10)}
    app.config = app.config.model_copy(update={"channels": {**app.config.channels, **keyed}})
    register(app, *many(30, "youtube"))
    assert (outlook(app, "youtube").runs, outlook(app, "youtube").accounts_per_run) == (1, None)
    counts = {"channels": {"youtube": {"present": 10, "absent": 0, "unknown": 0}}}
    last = AuditRun(
        START.date(),
        AuditRunState.DONE,
        START,
        receipt={**counts, "apis": {"youtube": {"cost": 10}}},
    )
    monkeypatch.setattr(app.store, "get_latest_run", lambda *_: last)
    assert (outlook(app, "youtube").runs, outlook(app, "youtube").accounts_per_run) == (3, 10)


def test_command_makes_no_request_and_prints_text_and_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = (
        '[storage]\nfolder = "data"\n[channels.facebook]\n[schedule]\ntime_limit_hours = 0.01\n'
    )
    (tmp_path / "config.toml").write_text(config)
    (tmp_path / "data").mkdir()
    small = opened(tmp_path / "data")
    register(small, *many(20))
    small.store.close()
    assert main.main(["--lang", "en", "run", "--forecast"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1].split("\t") == ["facebook", "20", "6.25", "0.0", "4"]
    assert re.search(
        r"With one request every 6\.25 s, Facebook takes 0 hours: 4 nights\.", shown.err
    )
    assert main.main(["run", "--forecast", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert (item["channel"], item["runs"], item["accounts_per_run"]) == ("facebook", 4, 5)


def test_forecast_by_budget_has_no_seconds_per_request(app, monkeypatch):
    keyed = {"youtube": ChannelSettings(api_key="k" * 20, api_budget=10)}
    app.config = app.config.model_copy(update={"channels": {**app.config.channels, **keyed}})
    register(app, *many(30, "youtube"))
    counts = {"channels": {"youtube": {"present": 10, "absent": 0, "unknown": 0}}}
    receipt = {**counts, "apis": {"youtube": {"cost": 10}}}
    last = AuditRun(START.date(), AuditRunState.DONE, START, receipt=receipt)
    monkeypatch.setattr(app.store, "get_latest_run", lambda *_: last)
    (told,) = data._diagnose_run_forecast(app.config, app.store, START)
    assert (
        told.detail_template
        == "its budget covers {reached} of {accounts} accounts per run; nights needed: {n}"
    )
    assert (told.params["reached"], told.params["n"]) == (10, 3)
