"""Runs in which platforms, their APIs and registries send hostile responses."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from auditor.runs import pipeline
from probes.links import identify
from probes.models.finding import Presence
from storage.models.audit import AccountRow, Association, AuditRun, AuditRunState
from tests.support.hostile_server.authority import NOW
from tests.support.hostile_server.platforms import (
    API_HOSTS,
    PLATFORM_ATTACKS,
    PLATFORM_LINKS,
    REGISTRY_HOSTS,
    WEBSITES,
    HostilePlatforms,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hostile web")]
DAYS_BETWEEN_RUNS = 8
"""Each run asks the registries again."""


@dataclass(frozen=True)
class PlatformRun:
    """A run under one attack: the findings by association, and the hosts that were requested."""

    run: AuditRun
    observation_count: int
    findings: dict
    registry_reasons: set
    requested_hosts: set


def register_accounts(app):
    links = {**PLATFORM_LINKS, **{name: f"https://{name}/" for name in WEBSITES}}
    rows = []
    for name, link in links.items():
        channel = name if name in PLATFORM_LINKS else "website"
        rows.append(AccountRow(name, link, identify.identify_link(link, channel), channel))
    associations = [Association(name, name) for name in links]
    app.store.registry.save_registry(associations, rows, NOW)


def collect_run(app, run, requested_hosts):
    """Return what a run stored."""
    names = {row.id: row.association for row in app.store.registry.list_accounts()}
    observations = list(app.store.observations.list_observations(run_id=run.id))
    checks = [check for name in names.values() for check in list_checks(app, name)]
    return PlatformRun(
        run,
        len(observations),
        {names[item.account_id]: item.finding for item in observations},
        {check.reason for check in checks if check.run_id == run.id},
        requested_hosts,
    )


def list_checks(app, association):
    return app.store.domain_checks.list_domain_checks(association)


async def execute_runs(folder, *, with_keys):
    """Execute a run for each attack."""
    runs = {}
    async with HostilePlatforms(folder) as platforms:
        platforms.write_config(with_keys=with_keys)
        with App.open(load_config(folder / "config.toml", {})) as app:
            register_accounts(app)
            for number, (name, attack) in enumerate(PLATFORM_ATTACKS.items()):
                platforms.attack, platforms.requested_hosts = attack.response, set()
                now = NOW + timedelta(days=number * DAYS_BETWEEN_RUNS)
                with app.hold_run_lock():
                    run = await pipeline.run_audit_pipeline(app, now)
                runs[name] = collect_run(app, run, platforms.requested_hosts)
    return runs


@pytest.fixture(scope="module", params=["pages", "apis"])
def platform_runs(request, tmp_path_factory):
    """Execute the runs without API keys, and with them."""
    folder = tmp_path_factory.mktemp(request.param)
    return asyncio.run(execute_runs(folder, with_keys=request.param == "apis"))


@pytest.mark.fault("F65")
def test_every_platform_ends_in_the_reason_of_the_attack(platform_runs):
    wrong = {}
    for name, attack in PLATFORM_ATTACKS.items():
        findings = platform_runs[name].findings
        results = {channel: findings[channel] for channel in PLATFORM_LINKS}
        for channel, finding in results.items():
            if (finding.presence, finding.reason) != (Presence.UNKNOWN, attack.reason):
                wrong[name, channel] = finding
    assert not wrong


@pytest.mark.fault("F65")
def test_registries_end_in_the_reason_of_the_attack(platform_runs):
    expected = {name: {attack.reason} for name, attack in PLATFORM_ATTACKS.items()}
    actual = {name: run.registry_reasons for name, run in platform_runs.items()}
    assert actual == expected


@pytest.mark.fault("F65")
def test_runs_are_done_and_websites_stay_present(platform_runs):
    for name, run in platform_runs.items():
        assert run.run.state is AuditRunState.DONE, name
        assert run.observation_count == len(PLATFORM_LINKS) + len(WEBSITES), name
        assert {run.findings[site].presence for site in WEBSITES} == {Presence.PRESENT}, name


def test_every_attack_reached_its_hosts(platform_runs):
    hosts = [run.requested_hosts for run in platform_runs.values()]
    assert all(requested >= REGISTRY_HOSTS for requested in hosts)
    requested_apis = [requested & set(API_HOSTS.values()) for requested in hosts]
    assert requested_apis[0] in (set(), set(API_HOSTS.values()))
    assert all(requested == requested_apis[0] for requested in requested_apis)
