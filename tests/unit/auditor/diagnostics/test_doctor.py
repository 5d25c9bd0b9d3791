"""`auditor doctor` reports every problem with a remedy, on one screen and without secrets."""

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from auditor import diagnostics
from auditor.cli import main
from auditor.config.schema import load_config
from auditor.demo import play
from auditor.demo.proxy import CertificateAuthority
from auditor.diagnostics import environment, network
from auditor.diagnostics.network import NetworkAnswers
from auditor.reference.gap_catalogue import LANGUAGES
from probes.http.ssrf_guard import DnsResolver
from probes.models.finding import Reason
from probes.models.http import FetchError, Page
from storage.models.audit import AuditRunState
from storage.models.users import Role
from storage.store import Store
from tests.support.smtp_and_http_servers import free_port
from tests.support.web_server import get_or_create_user

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ANSWER = Page("https://www.un.org/", 200, elapsed_seconds=0.42)
FINE = NetworkAnswers(
    dict.fromkeys(("website", "facebook"), ANSWER), 5, clock_skew=timedelta(seconds=2)
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a function that runs the doctor in an empty folder and returns its results by check."""
    monkeypatch.chdir(tmp_path)

    def examined(heard=None, **settings):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        listen = None if heard is None else lambda *_: heard
        return {one.check: one for one in diagnostics.run_diagnostics(None, NOW, listen)}

    return examined


def test_offline_doctor_makes_no_request(here, monkeypatch):
    def asked(*_, **__):
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(network, "check_network", asked)
    monkeypatch.setattr(network, "create_fetcher", asked)
    assert main.main(["doctor", "--offline"]) == 0
    assert {"domain names", "clock"} & set(here()) == set()


def test_network_problem_is_never_a_failure(here):
    gone = FetchError(Reason.NETWORK, "dns")
    silent = NetworkAnswers(
        dict.fromkeys(("website", "facebook"), gone), 2, ("www.un.org", "x.com")
    )
    told = here(silent)
    assert {one.state for one in told.values()} == {"ok", "warn"}
    assert told["channel facebook"].detail == "unreachable now: network"
    assert told["domain names"].detail == "not found within 2 seconds: 2, first www.un.org"
    assert told["clock"].state == "warn"


def test_any_response_of_a_platform_is_ok_but_not_of_a_website(here):
    wall = Page("https://www.linkedin.com/", 999, elapsed_seconds=0.1)
    told = here(
        NetworkAnswers(
            {"linkedin": wall, "website": wall, "facebook": ANSWER}, 1, clock_skew=timedelta()
        )
    )
    assert (told["channel linkedin"].state, told["channel website"].state) == ("ok", "warn")
    assert told["channel facebook"].detail == "response 200 in 0.4 s"


@pytest.mark.parametrize(
    ("skew", "state", "said"),
    [
        (timedelta(seconds=-299), "ok", "clock is -299 seconds off"),
        (timedelta(minutes=9), "warn", "clock is +9 minutes off: is NTP running?"),
        (timedelta(hours=-1), "warn", "clock is -60 minutes off: is NTP running?"),
        (timedelta(hours=2), "fail", "clock is +2 hours off: no run begins until it is set"),
    ],
)
def test_clock_skew_is_reported(here, skew, state, said):
    clock = here(NetworkAnswers({}, clock_skew=skew))["clock"]
    assert (clock.state, clock.detail) == (state, said)


def test_wildcard_dns_is_reported(here):
    assert (
        "lost websites would go unnoticed"
        in here(NetworkAnswers({}, 5, has_wildcard_dns=True))["domain names"].detail
    )


@pytest.mark.parametrize(
    ("mode", "state"), [(0o600, "ok"), (0o640, "ok"), (0o644, "warn"), (0o602, "warn")]
)
def test_readable_secret_is_reported_and_never_shown(here, tmp_path, mode, state):
    (tmp_path / "key").write_text("hush-7f3c")
    (tmp_path / "key").chmod(mode)
    (tmp_path / "config.toml").write_text('[channels.youtube]\napi_key_file = "key"\n')
    told = here()
    assert told["secrets"].state == state
    assert "hush-7f3c" not in repr(told)
    assert ("`chmod o= key`" in told["secrets"].detail) is (state == "warn")


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


def test_full_disk_is_reported(here, monkeypatch):
    monkeypatch.setattr(
        environment, "get_disk_space", lambda _: environment.DiskSpace(5 << 30, 0.02)
    )
    assert here()["data folder"].detail == "data, 5.0 GiB free, but only 2% of inodes left"
    monkeypatch.setattr(
        environment, "get_disk_space", lambda _: environment.DiskSpace(50 << 20, None)
    )
    told = here()
    assert (told["data folder"].state, told["temporary files"].state) == ("fail", "warn")
    monkeypatch.setattr(
        environment, "get_disk_space", lambda _: environment.DiskSpace(500 << 20, None)
    )
    assert here()["data folder"].state == "warn"


def test_unwritable_data_folder_is_a_failure(here, tmp_path):
    (tmp_path / "data").write_text("a file stands where the folder should")
    assert here()["data folder"].state == "fail"
    assert main.main(["doctor", "--offline"]) == 3


def test_low_open_file_limit_is_reported(here, monkeypatch):
    monkeypatch.setattr(environment.resource, "getrlimit", lambda _: (128, 4096))
    files = here()["open files"]
    assert (files.state, files.detail) == ("warn", "limit 128; up to 250 may be needed")


def test_unsent_message_is_reported(here, tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        store.finish_run(store.begin_run(NOW.date(), NOW), AuditRunState.DONE, NOW)
        store.record_failed_message("amina@example.org", "digest", "refused", NOW)
    told = here(AUDITOR_STORAGE__URL=f"sqlite:///{tmp_path}/auditor.db")["messages"]
    assert (told.state, told.detail) == ("warn", "not sent since the last run: 1")


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
    monkeypatch.setattr(network, "check_network", lambda *_: FINE)
    with Store.open("sqlite:///auditor.db") as store:
        store.finish_run(store.begin_run(NOW.date(), NOW), AuditRunState.DONE, NOW)
        get_or_create_user(store, "Salma", Role.ADMIN, password_hash="x")
        store.create_backup(tmp_path / "backups" / f"auditor-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db")
    Path("config.toml").write_text('[storage]\nfolder = "."\nurl = "sqlite:///auditor.db"\n')
    assert main.main(["--lang", language, "doctor"]) == 0
    lines = CONTROL.sub("", screen.getvalue()).strip("\n").splitlines()
    assert len(lines) <= 24, screen.getvalue()
    assert max(cell_len(line.rstrip()) for line in lines) <= 80


async def test_each_canary_is_requested_once_through_the_proxy(tmp_path):
    """On the fake web and through its proxy, no name is resolved."""
    async with play.FakeWebProcess(tmp_path / "ca.pem") as web:
        await web.switch_to_run(play.schedule_demo_runs(1, NOW)[0])
        read = play.write_demo_config(tmp_path, web.port)
        heard = await network.query_network(read, datetime.now(UTC))
        asked = await web.get_request_counts()
    assert {name: page.status for name, page in heard.answers_by_channel.items()}["website"] == 200
    assert set(heard.answers_by_channel) == set(read.channels)
    assert sum(asked.values()) == len(read.channels)
    assert (heard.is_proxy_reachable, heard.resolved_host_count, heard.has_wildcard_dns) == (
        True,
        0,
        False,
    )


async def test_unreachable_proxy_is_reported_quickly(tmp_path):
    CertificateAuthority().write_root_certificate(tmp_path / "ca.pem")
    read = play.write_demo_config(tmp_path, free_port())
    heard = await network.query_network(read, NOW)
    assert heard.is_proxy_reachable is False
    assert {page.reason for page in heard.answers_by_channel.values()} == {Reason.NETWORK}


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_invalid_certificate_file_is_a_failure_and_prevents_requests(here, tmp_path, text):
    if text:
        (tmp_path / "ca.pem").write_text(text)
    told = here(AUDITOR_FETCH__CA_FILE="ca.pem")
    assert (
        told["certificate authority"].state,
        "ca.pem" in told["certificate authority"].detail,
    ) == ("fail", True)
    assert network.check_network(load_config(None), NOW) == NetworkAnswers()


async def test_names_and_an_invented_name_are_resolved(tmp_path, monkeypatch):
    """The resolver is replaced; its own tests use a real name server."""
    asked = []

    async def addresses(self, host):
        asked.append(host)
        if host == "x.com":
            raise FetchError(Reason.TIMEOUT, "dns")
        return ["192.0.2.1"]

    monkeypatch.setattr(DnsResolver, "resolve", addresses)
    urls = ["https://www.un.org/", "https://x.com/X", "https://www.un.org/en"]
    count, unknown, lied = await network._query_name_servers(load_config(None, {}), urls)
    assert (count, unknown, lied) == (2, ("x.com",), True)
    assert sorted(asked)[-2:] == ["www.un.org", "x.com"]


def test_page_of_a_channel_with_key_is_not_requested(monkeypatch):
    read = load_config(None, {"AUDITOR_CHANNELS__YOUTUBE__API_KEY": "hush-7f3c"})
    assert "youtube" not in network.get_canary_urls(read)
    assert network.get_canary_urls(read)["website"] == "https://www.iana.org/"


def test_missing_administrator_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITOR_STORAGE__URL", f"sqlite:///{tmp_path}/auditor.db")
    monkeypatch.chdir(tmp_path)

    def told():
        return next(one for one in diagnostics.run_diagnostics(None, NOW) if one.check == "users")

    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        assert "auditor user add" in told().detail
        get_or_create_user(store, "Idris", Role.READER, password_hash="x")
        get_or_create_user(store, "Amina", Role.ADMIN)
        assert told().state == "warn"
        get_or_create_user(store, "Salma", Role.ADMIN, password_hash="x")
    assert (told().state, told().detail) == ("ok", "3, including administrators: 1")
