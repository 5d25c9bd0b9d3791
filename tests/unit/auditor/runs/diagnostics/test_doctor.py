"""`auditor doctor` reports every problem with a remedy, on one screen and without secrets."""

import io
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from auditor.app import App
from auditor.checking import checker
from auditor.cli import main
from auditor.config.schema import load_config
from auditor.core.reference.gap_catalogue import LANGUAGES
from auditor.demo import play
from auditor.presentation.notifications.subscriptions import load_unsubscribe_key
from auditor.retention import create_backup
from auditor.runs import diagnostics, pipeline
from auditor.runs.diagnostics import environment, network
from auditor.runs.diagnostics.network import NetworkAnswers
from probes.http.dns import DnsResolver
from probes.links.channel_registry import STANDARD_CHANNELS
from probes.models.finding import Identity, LinkKind, Reason
from probes.models.http import FetchError, Page
from storage.models.audit import AccountRow, Association, AuditRunState, DomainCheck
from storage.models.users import Role
from storage.store import Store
from tests.support.mini_network import START, link, opened, register, steps
from tests.support.permissions import permissions_respected
from tests.support.web_server import get_or_create_user

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
PAGE = Page("https://www.un.org/", 200, elapsed_seconds=0.42)
HEALTHY_NETWORK = NetworkAnswers(
    dict.fromkeys(("website", "facebook"), PAGE), clock_skew=timedelta(seconds=2)
)


@pytest.fixture
def run_doctor(tmp_path, monkeypatch):
    """Return a function that runs the doctor in an empty folder: results by check."""
    monkeypatch.chdir(tmp_path)

    def run(network_answers=None, **settings):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        listen = None if network_answers is None else lambda *_: network_answers
        return {result.check: result for result in diagnostics.run_diagnostics(None, NOW, listen)}

    return run


def test_offline_doctor_makes_no_request(run_doctor, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("a request was sent")

    monkeypatch.setattr(network, "check_network", fail)
    monkeypatch.setattr(network, "create_fetcher", fail)
    assert main.main(["doctor", "--offline"]) == 0
    assert {"domain names", "clock"} & set(run_doctor()) == set()


def test_network_problem_is_never_a_failure(run_doctor):
    network_error = FetchError(Reason.NETWORK, "dns")
    unreachable = NetworkAnswers(dict.fromkeys(("website", "facebook"), network_error))
    results = run_doctor(unreachable)
    assert {result.state for result in results.values()} == {"ok", "warn"}
    assert results["channel facebook"].detail == "unreachable now: network"
    assert results["clock"].state == "warn"


def test_any_response_of_a_platform_is_ok_but_not_of_a_website(run_doctor):
    wall = Page("https://www.linkedin.com/", 999, elapsed_seconds=0.1)
    results = run_doctor(
        NetworkAnswers(
            {"linkedin": wall, "website": wall, "facebook": PAGE}, clock_skew=timedelta()
        )
    )
    assert (results["channel linkedin"].state, results["channel website"].state) == ("ok", "warn")
    assert results["channel facebook"].detail == "response 200 in 0.4 s"


@pytest.mark.parametrize(
    ("skew", "state", "detail"),
    [
        (timedelta(seconds=-299), "ok", "clock is -299 seconds off"),
        (timedelta(minutes=9), "warn", "clock is +9 minutes off: is NTP running?"),
        (timedelta(hours=-1), "warn", "clock is -60 minutes off: is NTP running?"),
        (timedelta(hours=2), "fail", "clock is +2 hours off: no run begins until it is set"),
    ],
)
def test_clock_skew_is_reported(run_doctor, skew, state, detail):
    clock = run_doctor(NetworkAnswers({}, clock_skew=skew))["clock"]
    assert (clock.state, clock.detail) == (state, detail)


def test_wildcard_dns_is_reported(run_doctor):
    assert (
        "lost websites would go unnoticed"
        in run_doctor(NetworkAnswers({}, has_wildcard_dns=True))["domain names"].detail
    )


@pytest.mark.parametrize(
    ("mode", "state"), [(0o600, "ok"), (0o640, "ok"), (0o644, "warn"), (0o602, "warn")]
)
def test_readable_secret_is_reported_and_never_shown(run_doctor, tmp_path, mode, state):
    (tmp_path / "key").write_text("hush-7f3c")
    (tmp_path / "key").chmod(mode)
    (tmp_path / "config.toml").write_text('[channels.youtube]\napi_key_file = "key"\n')
    results = run_doctor()
    assert results["secrets"].state == state
    assert "hush-7f3c" not in repr(results)
    assert ("`chmod o= key`" in results["secrets"].detail) is (state == "warn")


def test_every_secret_file_setting_is_checked(tmp_path):
    files = {name: tmp_path / name for name in ("youtube", "smtp", "to", "ping", "metrics", "url")}
    texts = {
        "to": "json://x",
        "ping": "https://x.example/",
        "url": "sqlite:///x.db",
        "metrics": "m" * 32,
    }
    for name, file in files.items():
        file.write_text(texts.get(name, "hush"))
    config = tmp_path / "config.toml"
    config.write_text(
        '[storage]\nurl_file = "url"\n[channels.youtube]\napi_key_file = "youtube"\n'
        '[monitor]\nping_url_file = "ping"\n[web]\nmetrics_token_file = "metrics"\n'
        '[notify]\nfrom = "a@b.example"\n[notify.smtp]\nhost = "b.example"\nuser = "a"\n'
        'password_file = "smtp"\n'
        '[[notify.recipients]]\nto_file = "to"\n'
    )
    assert set(environment.iter_secret_files(load_config(config, {}))) == set(files.values())


def test_full_disk_is_reported(run_doctor, monkeypatch):
    for free_bytes, state in ((50 << 20, "fail"), (500 << 20, "warn"), (5 << 30, "ok")):
        usage = shutil.disk_usage("/")._replace(free=free_bytes)
        monkeypatch.setattr(environment.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert run_doctor()["data folder"].state == state
    assert run_doctor()["data folder"].detail == "data, 5.0 GiB free"


def test_unwritable_data_folder_is_a_failure(run_doctor, tmp_path):
    (tmp_path / "data").write_text("a file instead of the folder")
    assert run_doctor()["data folder"].state == "fail"
    assert main.main(["doctor", "--offline"]) == 3


def test_low_open_file_limit_is_reported(run_doctor, monkeypatch):
    monkeypatch.setattr(environment.resource, "getrlimit", lambda _: (128, 4096))
    files = run_doctor()["open files"]
    assert (files.state, files.detail) == ("warn", "limit 128; up to 250 may be needed")


def test_unsent_message_is_reported(run_doctor, tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        store.runs.finish(store.runs.begin_or_resume(NOW.date(), NOW), AuditRunState.DONE, NOW)
        store.messages.record_failure("amina@example.org", "digest", "2026-11-25", "refused", NOW)
    result = run_doctor(AUDITOR_STORAGE__URL=f"sqlite:///{tmp_path}/auditor.db")["messages"]
    assert (result.state, result.detail) == ("warn", "not sent since the last run: 1")


def test_registries_that_do_not_answer_are_reported(run_doctor, tmp_path):
    url = "https://nour.org/"
    row = AccountRow("nour", url, Identity("website", LinkKind.PAGE, "nour.org", url, url))
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        store.registry.save_registry([Association("nour", "Nour")], [row], NOW)
        run = store.runs.begin_or_resume(NOW.date(), NOW)
        check = DomainCheck(1, run.id, "nour.org", NOW, Reason.TIMEOUT)
        store.domain_checks.save_domain_checks([check])
    url = f"sqlite:///{tmp_path}/auditor.db"
    result = run_doctor(AUDITOR_STORAGE__URL=url)["domain expiry"]
    assert result.detail.startswith("registries did not answer for 1 of 1 domains")
    with Store.open(url) as store:
        store.domain_checks.save_domain_checks([replace(check, reason=Reason.NOT_FOUND)])
    assert "domain expiry" not in run_doctor(AUDITOR_STORAGE__URL=url)


CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize("language", LANGUAGES)
def test_healthy_installation_fits_one_screen(tmp_path, monkeypatch, language):
    """24 lines of 80 columns."""
    screen = Terminal()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(network, "check_network", lambda *_: HEALTHY_NETWORK)
    with Store.open("sqlite:///auditor.db") as store:
        store.runs.finish(store.runs.begin_or_resume(NOW.date(), NOW), AuditRunState.DONE, NOW)
        get_or_create_user(store, "Salma", Role.ADMIN, password_hash="x")
        store.create_backup(tmp_path / "backups" / f"auditor-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db")
    Path("config.toml").write_text(
        '[storage]\nfolder = "."\nurl = "sqlite:///auditor.db"\n'
        '[fetch]\ncontact = "a@example.org"\n[web]\nport = 0\n'
    )
    assert main.main(["--lang", language, "doctor"]) == 0
    lines = CONTROL.sub("", screen.getvalue()).strip("\n").splitlines()
    assert len(lines) <= 24, screen.getvalue()
    assert max(cell_len(line.rstrip()) for line in lines) <= 80


async def test_each_canary_is_requested_once_through_the_proxy(tmp_path):
    """On the fake web and through its proxy, no name is resolved."""
    async with play.FakeWebProcess(tmp_path / "ca.pem") as web:
        await web.switch_to_run(play.schedule_demo_runs(1, NOW)[0])
        config = play.write_demo_config(tmp_path, web.port)
        network_answers = await network.query_network(config, datetime.now(UTC))
        request_counts = await web.get_request_counts()
    assert {name: page.status for name, page in network_answers.answers_by_channel.items()}[
        "website"
    ] == 200
    assert set(network_answers.answers_by_channel) == set(STANDARD_CHANNELS)
    assert sum(request_counts.values()) == len(STANDARD_CHANNELS)
    assert not network_answers.has_wildcard_dns


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_invalid_certificate_file_is_a_failure_and_prevents_requests(run_doctor, tmp_path, text):
    if text:
        (tmp_path / "ca.pem").write_text(text)
    results = run_doctor(AUDITOR_FETCH__CA_FILE="ca.pem")
    assert (
        results["certificate authority"].state,
        "ca.pem" in results["certificate authority"].detail,
    ) == ("fail", True)
    assert network.check_network(load_config(None), NOW) == NetworkAnswers()


def test_page_of_a_channel_with_key_is_not_requested(monkeypatch):
    config = load_config(None, {"AUDITOR_CHANNELS__YOUTUBE__API_KEY": "hush-7f3c"})
    assert "youtube" not in network.get_canary_urls(config)
    assert network.get_canary_urls(config)["website"] == "https://www.iana.org/"


def test_missing_administrator_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITOR_STORAGE__URL", f"sqlite:///{tmp_path}/auditor.db")
    monkeypatch.chdir(tmp_path)

    def diagnose_users():
        return next(
            result for result in diagnostics.run_diagnostics(None, NOW) if result.check == "users"
        )

    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        assert "auditor user add" in diagnose_users().detail
        get_or_create_user(store, "Idris", Role.READER, password_hash="x")
        get_or_create_user(store, "Amina", Role.ADMIN)
        assert diagnose_users().state == "warn"
        get_or_create_user(store, "Salma", Role.ADMIN, password_hash="x")
    assert (diagnose_users().state, diagnose_users().detail) == (
        "ok",
        "3, including administrators: 1",
    )


def test_unreadable_data_folder_gives_one_line_for_each_check(run_doctor, tmp_path):
    with App.open(load_config(None, {})):
        pass
    (tmp_path / "data").chmod(0)
    try:
        with permissions_respected():
            results = run_doctor()
    finally:
        (tmp_path / "data").chmod(0o700)
    failed = {check: result.detail for check, result in results.items() if result.state == "fail"}
    assert failed["data folder"].startswith("cannot write to data: permission denied; try: ")
    assert failed["database"].startswith("cannot open the database data/auditor.db: permission")
    assert "Errno" not in repr(results)


@pytest.mark.parametrize(
    ("name", "check"), [("unsubscribe.key", "secrets"), ("auditor.db", "database")]
)
def test_unreadable_file_is_reported_once(run_doctor, tmp_path, name, check):
    with App.open(load_config(None, {})):
        pass
    folder = tmp_path / "data"
    load_unsubscribe_key(folder)
    (folder / name).chmod(0)
    with permissions_respected():
        results = run_doctor()
    failed = [result for result in results.values() if name in result.detail]
    assert [(result.check, result.state) for result in failed] == [(check, "fail")]


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("run.lock", "data folder"),
        ("archive/3f", "evidence folder"),
        ("archive/3f/a2", "evidence folder"),
        ("backups/evidence/3f/a2", "backup folder"),
    ],
)
def test_what_a_command_of_root_left_is_reported(run_doctor, tmp_path, path, check):
    with App.open(load_config(None, {})):
        pass
    folder = tmp_path if path.startswith("backups") else tmp_path / "data"
    left = folder / path
    if left.suffix:
        left.touch()
    else:
        left.mkdir(parents=True)
    left.chmod(0o555 if left.is_dir() else 0o444)
    with permissions_respected():
        result = run_doctor()[check]
    assert result.state == "fail"
    assert result.detail == (
        f"cannot use {left.relative_to(tmp_path)}: permission denied; "
        "try: check its owner and permissions, and those of its folder"
    )


def test_lost_database_is_a_failure_that_names_the_newest_backup(run_doctor, tmp_path):
    with App.open(load_config(None, {})) as app:
        result = create_backup(app.store, app.body_store, app.config, NOW)
    (tmp_path / "data" / "auditor.db").unlink()
    database = run_doctor()["database"]
    assert database.state == "fail"
    assert database.detail.endswith(f"no database; try: `auditor restore {result.backup.file}`")


async def test_lost_evidence_of_a_run_is_a_failure(run_doctor, tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    (tmp_path / "data").mkdir()
    app = opened(tmp_path / "data")
    register(app, link("nour", "website", "nour.example"))
    await pipeline.run_audit_pipeline(app, START)
    app.store.close()
    assert "evidence folder" not in run_doctor()
    shutil.rmtree(tmp_path / "data" / "archive")
    assert run_doctor()["evidence folder"].state == "fail"


@pytest.mark.parametrize(
    ("hours", "state", "detail"),
    [
        (1, "ok", "check of 2026-11-25: done, 0 hours ago"),
        (2, "warn", "its end is dated in the future; is the clock right?"),
    ],
)
def test_run_that_ended_in_the_future_is_reported(run_doctor, hours, state, detail):
    with App.open(load_config(None, {})) as app:
        begun = app.store.runs.begin_or_resume(NOW.date(), NOW)
        app.store.runs.finish(begun, AuditRunState.DONE, NOW + timedelta(hours=hours))
    last_check = run_doctor()["last check"]
    assert (last_check.state, detail in last_check.detail) == (state, True), last_check.detail


def test_run_that_began_in_the_future_is_a_failure(run_doctor):
    """A clock that was three years ahead looked like a run of -26400 hours ago."""
    later = NOW + timedelta(hours=26400)
    with App.open(load_config(None, {})) as app:
        begun = app.store.runs.begin_or_resume(later.date(), later)
        app.store.runs.finish(begun, AuditRunState.DONE, later)
    last_check = run_doctor()["last check"]
    assert (last_check.state, "hours ago" in last_check.detail) == ("fail", False)


def test_backup_folder_that_cannot_be_created_is_a_failure(run_doctor, tmp_path):
    (tmp_path / "backups.d").write_text("a file")
    result = run_doctor(AUDITOR_BACKUP__FOLDER="backups.d/inner")["backup folder"]
    assert (result.state, "backups.d/inner" in result.detail) == ("fail", True)


@pytest.mark.parametrize(
    ("settings", "detail"),
    [
        ('allowed_hosts = ["a.example.org"]\ntrusted_proxies = ["127.0.0.1"]', None),
        ('allowed_hosts = ["a.example.org"]', "no one can log in under a.example.org: "),
        ('public_url = "https://reports.example.org"', None),
        ('public_url = "http://localhost:8321"', None),
        ('public_url = "http://reports.example.org"', "http://reports.example.org has no HTTPS: "),
    ],
)
def test_web_address_that_does_not_work_is_reported(run_doctor, tmp_path, settings, detail):
    (tmp_path / "config.toml").write_text(f"[web]\n{settings}\n")
    result = run_doctor().get("web addresses")
    if detail is None:
        assert result is None
    else:
        assert (result.state, result.detail.startswith(detail)) == ("warn", True), result


@pytest.mark.parametrize(
    ("settings", "is_reported"),
    [("", True), ('contact = "a@example.org"', False), ('user_agent = "x (+a@b.org)"', False)],
)
def test_empty_contact_is_reported(run_doctor, tmp_path, settings, is_reported):
    (tmp_path / "config.toml").write_text(f"[fetch]\n{settings}\n")
    assert ("contact" in run_doctor()) is is_reported


@pytest.mark.parametrize(("seconds", "state"), [(-1, "ok"), (0, "ok"), (1, "warn")])
def test_run_and_backup_are_overdue_after_some_hours(run_doctor, seconds, state):
    ended_at = NOW - timedelta(hours=diagnostics.OVERDUE_HOURS, seconds=seconds)
    with App.open(load_config(None, {})) as app:
        begun = app.store.runs.begin_or_resume(ended_at.date(), ended_at)
        app.store.runs.finish(begun, AuditRunState.DONE, ended_at)
        create_backup(app.store, app.body_store, app.config, ended_at)
    results = run_doctor()
    assert results["last check"].state == state
    assert ("backups" in results) is (state == "warn")


@pytest.mark.parametrize(("seconds", "state"), [(-1, "ok"), (0, "ok"), (1, "warn")])
def test_clock_may_be_some_minutes_off(run_doctor, seconds, state):
    for sign in (1, -1):
        skew = sign * (network.CLOCK_SKEW_TOLERANCE + timedelta(seconds=seconds))
        assert run_doctor(NetworkAnswers({}, clock_skew=skew))["clock"].state == state


@pytest.mark.parametrize("is_found", [True, False])
async def test_an_invented_name_is_resolved(tmp_path, monkeypatch, is_found):
    """The resolver is replaced; its own tests use a real name server."""

    async def resolve(self, host):
        is_invented = re.fullmatch(r"[0-9a-f]{24}\.com", host)
        if is_invented and not is_found:
            raise FetchError(Reason.NETWORK, "dns")
        return ["192.0.2.1"]

    monkeypatch.setattr(DnsResolver, "resolve", resolve)
    monkeypatch.setattr(network, "get_canary_urls", lambda _: {})
    answers = await network.query_network(load_config(None, {}), NOW)
    assert answers.has_wildcard_dns is is_found
