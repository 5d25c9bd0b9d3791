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
from storage.models.run_report import RunReport
from tests.support.mini_network import START, configured, link, opened, register


@pytest.fixture
def app(tmp_path):
    small_app = opened(tmp_path, configured())
    fetch = FetchOptions(host_delay=1, platform_delay=0.8)
    small_app.config = small_app.config.model_copy(
        update={"fetch": fetch, "schedule": ScheduleSettings(time_limit_hours=5)}
    )
    yield small_app
    small_app.store.close()


def forecast_channel(app, channel):
    return next(
        candidate
        for candidate in forecast_channels(app.config, app.store, START)
        if candidate.channel == channel
    )


def build_accounts(count, channel="facebook"):
    return [link(f"a{number}", channel, f"a{number}") for number in range(count)]


def test_large_platform_takes_several_runs(app, monkeypatch):
    """At one request every 1.25 s on average, 250,000 accounts take 87 hours: 18 runs of five."""
    register(app, *build_accounts(250))
    monkeypatch.setattr(
        app.store.registry,
        "list_accounts",
        lambda: [row for row in build_accounts(250) for _ in range(1000)],
    )
    channel_forecast = forecast_channel(app, "facebook")
    assert (
        channel_forecast.accounts,
        channel_forecast.seconds_per_request,
        channel_forecast.hours,
        channel_forecast.runs,
    ) == (250_000, 1.25, 86.8, 18)
    assert channel_forecast.accounts_per_run == 14_400


def test_largest_host_counts_for_websites(app):
    sites = [link(f"b{number}", "website", f"b{number}") for number in range(40)]
    register(app, *sites)
    channel_forecast = forecast_channel(app, "website")
    assert (
        channel_forecast.accounts,
        channel_forecast.sequential_accounts,
        channel_forecast.runs,
    ) == (40, 1, 1)


def test_concurrency_limits_very_many_websites(app, monkeypatch):
    """Six requests a site, a second before each, 250 sites at a time: 150,000 in an hour."""
    sites = build_accounts(250, "website")
    register(app, *sites)
    monkeypatch.setattr(
        app.store.registry, "list_accounts", lambda: [row for row in sites for _ in range(1000)]
    )
    numbers = itertools.count()
    monkeypatch.setattr(forecast, "get_account_host", lambda _: f"s{next(numbers)}.example")
    channel_forecast = forecast_channel(app, "website")
    assert (
        channel_forecast.sequential_accounts,
        channel_forecast.seconds_per_request,
        channel_forecast.requests_per_account,
    ) == (250_000, 0.004, 6)
    assert (channel_forecast.hours, channel_forecast.runs) == (1.7, 1)


def test_accounts_skipped_for_the_budget_cost_nothing(app, monkeypatch):
    channels_with_key = {"youtube": ChannelSettings(api_key="k" * 20, api_budget=10)}
    app.config = app.config.model_copy(
        update={"channels": {**app.config.channels, **channels_with_key}}
    )
    register(app, *build_accounts(30, "youtube"))
    counts = {"channels": {"youtube": {"present": 10, "absent": 0, "unknown": 20}}}
    costs = {"apis": {"youtube": {"cost": 10, "skipped": 20}}}
    last_run = AuditRun(
        START.date(),
        AuditRunState.DONE,
        START,
        report=RunReport.model_validate({**counts, **costs}),
    )
    monkeypatch.setattr(app.store.runs, "get_latest", lambda *_: last_run)
    assert (
        forecast_channel(app, "youtube").runs,
        forecast_channel(app, "youtube").accounts_per_run,
    ) == (3, 10)


def test_without_time_limit_one_run_reaches_all(app):
    app.config = app.config.model_copy(update={"schedule": ScheduleSettings(time_limit_hours=0)})
    register(app, *build_accounts(30))
    channel_forecast = forecast_channel(app, "facebook")
    assert (channel_forecast.runs, channel_forecast.accounts_per_run) == (1, None)


def test_requests_per_account_are_those_of_the_last_run(app, monkeypatch):
    register(app, *build_accounts(30))
    counts = {"channels": {"facebook": {"present": 10, "absent": 0, "unknown": 0}}}
    costs = {"requests_by_host": {"www.facebook.com": 25, "m.facebook.com": 5, "x.com": 9}}
    last_run = AuditRun(
        START.date(), AuditRunState.DONE, START, report=RunReport.model_validate(counts | costs)
    )
    monkeypatch.setattr(app.store.runs, "get_latest", lambda *_: last_run)
    assert forecast_channel(app, "facebook").requests_per_account == 3


def test_budget_limits_an_api(app, monkeypatch):
    channels_with_key = {"youtube": ChannelSettings(api_key="k" * 20, api_budget=10)}
    app.config = app.config.model_copy(
        update={"channels": {**app.config.channels, **channels_with_key}}
    )
    register(app, *build_accounts(30, "youtube"))
    assert (
        forecast_channel(app, "youtube").runs,
        forecast_channel(app, "youtube").accounts_per_run,
    ) == (1, None)
    counts = {"channels": {"youtube": {"present": 10, "absent": 0, "unknown": 0}}}
    last_run = AuditRun(
        START.date(),
        AuditRunState.DONE,
        START,
        report=RunReport.model_validate({**counts, "apis": {"youtube": {"cost": 10}}}),
    )
    monkeypatch.setattr(app.store.runs, "get_latest", lambda *_: last_run)
    assert (
        forecast_channel(app, "youtube").runs,
        forecast_channel(app, "youtube").accounts_per_run,
    ) == (3, 10)


def test_command_makes_no_request_and_prints_text_and_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = (
        '[storage]\nfolder = "data"\n[channels.facebook]\n[schedule]\ntime_limit_hours = 0.01\n'
    )
    (tmp_path / "config.toml").write_text(config)
    (tmp_path / "data").mkdir()
    small_app = opened(tmp_path / "data")
    register(small_app, *build_accounts(20))
    small_app.store.close()
    assert main.main(["--lang", "en", "run", "--forecast"]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[1].split("\t") == ["facebook", "20", "6.25", "0.0", "4"]
    assert re.search(
        r"With one request every 6\.25 s, Facebook takes 0 hours: 4 nights\.", output.err
    )
    assert main.main(["run", "--forecast", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert (item["channel"], item["runs"], item["accounts_per_run"]) == ("facebook", 4, 5)


def test_forecast_by_budget_has_no_seconds_per_request(app, monkeypatch):
    channels_with_key = {"youtube": ChannelSettings(api_key="k" * 20, api_budget=10)}
    app.config = app.config.model_copy(
        update={"channels": {**app.config.channels, **channels_with_key}}
    )
    register(app, *build_accounts(30, "youtube"))
    counts = {"channels": {"youtube": {"present": 10, "absent": 0, "unknown": 0}}}
    report = RunReport.model_validate({**counts, "apis": {"youtube": {"cost": 10}}})
    last_run = AuditRun(START.date(), AuditRunState.DONE, START, report=report)
    monkeypatch.setattr(app.store.runs, "get_latest", lambda *_: last_run)
    (result,) = data._diagnose_run_forecast(app.config, app.store, START)
    assert (
        result.detail_template
        == "its budget covers {reached} of {accounts} accounts per run; nights needed: {n}"
    )
    assert (result.params["reached"], result.params["n"]) == (10, 3)
