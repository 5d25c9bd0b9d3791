"""`auditor doctor` reports every problem with a remedy, on one screen and without secrets."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from auditor.app import App
from auditor.checking import checker
from auditor.cli import main
from auditor.config.schema import load_config
from auditor.demo import play
from auditor.presentation.notifications.subscriptions import load_unsubscribe_key
from auditor.retention import create_backup
from auditor.runs import diagnostics, pipeline
from auditor.runs.diagnostics import network
from auditor.runs.diagnostics.network import NetworkAnswers
from probes.http.dns import DnsResolver
from probes.links.channel_registry import STANDARD_CHANNELS
from probes.models.finding import Identity, LinkKind, Reason
from probes.models.http import FetchError, Page
from storage.models.audit import AccountRow, Association, AuditRunState, DomainCheck
from storage.models.users import Role
from storage.store import Store
from tests.support.channel_settings import disable_channels_except
from tests.support.mini_network import START, link, opened, register, steps
from tests.support.permissions import permissions_respected
from tests.support.smtp_and_http_servers import mail_server
from tests.support.web_server import get_or_create_user

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
PAGE = Page("https://www.un.org/", 200, elapsed_seconds=0.42)


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


@pytest.fixture
def data_folder(run_doctor, tmp_path):
    """Return the data folder, with a new database."""
    App.open(load_config(None, {})).store.close()
    return tmp_path / "data"


@pytest.mark.slow
def test_offline_doctor_makes_no_request(run_doctor, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("a request was sent")

    monkeypatch.setattr(network, "check_network", fail)
    monkeypatch.setattr(network, "create_fetcher", fail)
    assert main.main(["doctor", "--offline"]) == 0
    assert {"domain names", "clock"} & set(run_doctor()) == set()


def test_answers_of_channels_are_reported_and_are_never_a_failure(run_doctor):
    """Any response of a platform is fine, but not of a website."""
    wall = Page("https://www.linkedin.com/", 999, elapsed_seconds=0.1)
    dns_error = FetchError(Reason.NETWORK, "dns")
    answers = {"linkedin": wall, "website": wall, "facebook": PAGE, "youtube": dns_error}
    results = run_doctor(NetworkAnswers(answers, has_wildcard_dns=True))
    assert {result.state for result in results.values()} == {"ok", "warn"}
    reported = {name: results[f"channel {name}"] for name in answers}
    assert {name: result.state for name, result in reported.items()} == {
        "linkedin": "ok",
        "website": "warn",
        "facebook": "ok",
        "youtube": "warn",
    }
    assert reported["facebook"].detail == "response 200 in 0.4 s"
    assert reported["youtube"].detail == "unreachable now: network"
    assert results["clock"].state == "warn"
    assert "lost websites would go unnoticed" in results["domain names"].detail


def test_channels_that_the_configuration_leaves_out_are_reported(run_doctor, tmp_path):
    assert "channels" not in run_doctor()
    (tmp_path / "config.toml").write_text(disable_channels_except("youtube", "website"))
    left_out = run_doctor()["channels"]
    assert left_out.state == "warn"
    assert left_out.detail.startswith("not audited: facebook, twitter, linkedin")


@pytest.mark.parametrize(
    ("answer", "details"),
    [
        (PAGE, []),
        (Page(PAGE.url, 403), []),  # platforms refuse programs
        (Page(PAGE.url, 404), ["response 404"]),
        (FetchError(Reason.NETWORK, "dns"), ["unreachable now: network"]),
    ],
)
def test_example_that_no_longer_answers_is_a_warning(run_doctor, tmp_path, answer, details):
    example = f'[[examples]]\nchannel = "youtube"\nname = "Library"\nurl = "{PAGE.url}"\n'
    (tmp_path / "config.toml").write_text(example)
    results = run_doctor(NetworkAnswers(answers_by_example={PAGE.url.rstrip("/"): answer}))
    found = [item for item in results.values() if item.check == "example Library"]
    assert [item.detail for item in found] == details
    assert {item.state for item in found} <= {"warn"}


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


@pytest.mark.slow
def test_unwritable_data_folder_is_a_failure(run_doctor, tmp_path):
    (tmp_path / "data").write_text("a file instead of the folder")
    assert run_doctor()["data folder"].state == "fail"
    assert main.main(["doctor", "--offline"]) == 3


def test_unsent_message_and_silent_registries_are_reported(run_doctor, tmp_path):
    store_url, url = f"sqlite:///{tmp_path}/auditor.db", "https://nour.org/"
    row = AccountRow("nour", url, Identity("website", LinkKind.PAGE, "nour.org", url, url))
    with Store.open(store_url) as store:
        store.registry.save_registry([Association("nour", "Nour")], [row], NOW)
        run = store.runs.begin_or_resume(NOW.date(), NOW)
        check = DomainCheck(1, run.id, "nour.org", NOW, Reason.TIMEOUT)
        store.domain_checks.save_domain_checks([check])
        store.runs.finish(run, AuditRunState.DONE, NOW)
        store.messages.claim("amina@example.org", "digest", "2026-11-25", NOW)
        store.messages.record_failure("amina@example.org", "digest", "2026-11-25", "refused", NOW)
        results = run_doctor(AUDITOR_STORAGE__URL=store_url)
        store.domain_checks.save_domain_checks([replace(check, reason=Reason.NOT_FOUND)])
    message = results["messages"]
    assert (message.state, message.detail) == ("warn", "not sent since the last run: 1")
    silent = "registries did not answer for 1 of 1 domains"
    assert results["domain expiry"].detail.startswith(silent)
    assert "domain expiry" not in run_doctor()


@pytest.mark.slow
async def test_each_canary_is_requested_once_through_the_proxy(tmp_path):
    """On the fake web and through its proxy, no name is resolved."""
    async with play.FakeWebProcess(tmp_path / "ca.pem") as web:
        await web.switch_to_run(play.schedule_demo_runs(1, NOW)[0])
        config = play.write_demo_config(tmp_path, web.port)
        network_answers = await network.query_network(config, datetime.now(UTC))
        request_counts = await web.get_request_counts()
    assert network_answers.answers_by_channel["website"].status == 200
    assert set(network_answers.answers_by_channel) == set(STANDARD_CHANNELS)
    assert sum(request_counts.values()) == len(STANDARD_CHANNELS)
    assert not network_answers.has_wildcard_dns


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_invalid_certificate_file_is_a_failure_and_prevents_requests(run_doctor, tmp_path, text):
    if text:
        (tmp_path / "ca.pem").write_text(text)
    authority = run_doctor(AUDITOR_FETCH__CA_FILE="ca.pem")["certificate authority"]
    assert (authority.state, "ca.pem" in authority.detail) == ("fail", True)
    assert network.check_network(load_config(None), NOW) == NetworkAnswers()


def test_missing_administrator_is_reported(run_doctor, tmp_path):
    store_url = f"sqlite:///{tmp_path}/auditor.db"
    with Store.open(store_url) as store:
        assert "auditor user add" in run_doctor(AUDITOR_STORAGE__URL=store_url)["users"].detail
        get_or_create_user(store, "Idris", Role.READER, password_hash="x")
        get_or_create_user(store, "Amina", Role.ADMIN)
        assert "auditor user reset Amina" in run_doctor()["users"].detail
        get_or_create_user(store, "Salma", Role.ADMIN, password_hash="x")
    users = run_doctor()["users"]
    assert (users.state, users.detail) == ("ok", "3, including administrators: 1")


def test_unreadable_data_folder_gives_one_line_for_each_check(run_doctor, data_folder):
    data_folder.chmod(0)
    with permissions_respected():
        results = run_doctor()
    data_folder.chmod(0o700)  # so that pytest can remove it
    failed = {check: result.detail for check, result in results.items() if result.state == "fail"}
    assert failed["data folder"].startswith("cannot write to data: permission denied; try: ")
    assert failed["database"].startswith("cannot open the database data/auditor.db: permission")
    assert "Errno" not in repr(results)


@pytest.mark.parametrize(
    ("name", "check"), [("unsubscribe.key", "secrets"), ("auditor.db", "database")]
)
def test_unreadable_file_is_reported_once(run_doctor, data_folder, name, check):
    load_unsubscribe_key(data_folder)
    (data_folder / name).chmod(0)
    with permissions_respected():
        results = run_doctor()
    failed = [result for result in results.values() if name in result.detail]
    assert [(result.check, result.state) for result in failed] == [(check, "fail")]


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("data/run.lock", "data folder"),
        ("data/archive/3f", "evidence folder"),
        ("data/archive/3f/a2", "evidence folder"),
        ("backups/evidence/3f/a2", "backup folder"),
    ],
)
@pytest.mark.usefixtures("data_folder")
def test_what_a_command_of_root_left_is_reported(run_doctor, tmp_path, path, check):
    if path.endswith(".lock"):
        (tmp_path / path).touch()
    else:
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / path).chmod(0o555)
    with permissions_respected():
        result = run_doctor()[check]
    assert result.state == "fail"
    assert result.detail == (
        f"cannot use {path}: permission denied; "
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
    expected = ("warn", True) if detail else None
    assert (result and (result.state, result.detail.startswith(detail or "ok"))) == expected


@pytest.mark.parametrize(
    ("settings", "is_reported"),
    [("", True), ('contact = "a@example.org"', False), ('user_agent = "x (+a@b.org)"', False)],
)
def test_empty_contact_is_reported(run_doctor, tmp_path, settings, is_reported):
    (tmp_path / "config.toml").write_text(f"[fetch]\n{settings}\n")
    assert ("contact" in run_doctor()) is is_reported


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


@pytest.mark.slow
async def test_doctor_logs_in_to_the_mail_server(run_doctor, monkeypatch):
    monkeypatch.setattr(network, "get_canary_urls", lambda _: {})
    monkeypatch.setenv("AUDITOR_NOTIFY__FROM", "auditor@example.org")
    results = []
    with mail_server() as mailbox:
        smtp = {"HOST": "127.0.0.1", "PORT": str(mailbox.port), "SECURITY": "none"}
        for name, value in smtp.items():
            monkeypatch.setenv(f"AUDITOR_NOTIFY__SMTP__{name}", value)
        results.append(run_doctor(await network.query_network(load_config(None), NOW)))
    results.append(run_doctor(await network.query_network(load_config(None), NOW)))
    assert [result["mail server"].state for result in results] == ["ok", "warn"]
    assert "Connection refused" in results[1]["mail server"].detail
