"""Loading of the configuration: files, environment, defaults and errors of one line."""

import re
from datetime import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from auditor.config.schema import (
    Config,
    find_config_file,
    find_packaged_config,
    find_unused_variables,
    load_config,
)
from auditor.core.errors import ConfigError
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from probes.links.channel_registry import list_channels

BAD_CONFIGS = sorted(
    (Path(__file__).parents[3] / "fixtures" / "data" / "config").glob("bad-*.toml")
)


@pytest.mark.parametrize("bad", BAD_CONFIGS, ids=[path.stem for path in BAD_CONFIGS])
def test_bad_config_is_refused_with_the_message_in_its_first_line(bad):
    expected = bad.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    with pytest.raises(ConfigError) as refusal:
        load_config(bad, {})
    places = {"here": str(bad.parent), "channels": ", ".join(list_channels())}
    assert str(refusal.value).replace(str(bad), bad.name) == expected.format_map(places)
    assert refusal.value.exit_code == 3


def test_packaged_example_loads_audits_every_channel_and_has_no_survey():
    config = load_config(find_packaged_config(), {})
    assert config.channels.keys() == list_channels().keys()
    assert config.survey.figures == {}
    assert len(config.rules) >= 30


def test_commented_settings_of_the_example_load(tmp_path):
    text = find_packaged_config().read_text("utf-8")
    uncommented, count = re.subn(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)
    assert count > 30
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r'_file = "(secrets/.+?)"', uncommented):
        (tmp_path / name).write_text("https://chat.example/0123456789")
    path = tmp_path / "config.toml"
    path.write_text(uncommented, "utf-8")
    config = load_config(path, {})
    assert config.channels.keys() == list_channels().keys()
    assert [len(recipient.regions) for recipient in config.notify.recipients] == [1, 0]
    assert config.notify.smtp.password.get_secret_value() == "https://chat.example/0123456789"
    assert (config.fetch.ca_file, config.notify.smtp.ca_file) == (tmp_path / "authority.pem",) * 2


def test_without_a_file_the_packaged_example_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(None, {})
    assert config.rules
    assert config.storage.url == "sqlite:///data/auditor.db"


def test_own_table_replaces_the_table_of_the_example(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[report]\nlanguages = ["fr"]\n')
    config = load_config(path, {})
    assert config.report.languages == ("fr",)
    assert config.rules


def test_channels_of_a_file_are_merged_with_the_packaged_ones_by_name(tmp_path):
    packaged, path = load_config(None, {}), tmp_path / "config.toml"
    path.write_text("[channels.youtube]\napi_budget = 7\n[channels.tiktok]\nenabled = false\n")
    config = load_config(path, {"AUDITOR_CHANNELS__TELEGRAM__ENABLED": "false"})
    assert set(packaged.channels) - set(config.channels) == {"tiktok", "telegram"}
    assert config.unaudited_channels == ["telegram", "tiktok"]
    assert config.channels["youtube"].api_budget == 7
    assert config.channels["youtube"].canaries == packaged.channels["youtube"].canaries


def test_paths_are_relative_to_the_folder_of_the_file(tmp_path):
    (tmp_path / "key").write_text("hidden\n")
    path = tmp_path / "config.toml"
    path.write_text('[channels.youtube]\napi_key_file = "key"\n[storage]\nfolder = "here"\n')
    config = load_config(path, {})
    assert config.storage.url == f"sqlite:///{tmp_path}/here/auditor.db"
    assert config.channels["youtube"].api_key.get_secret_value() == "hidden"


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("AUDITOR_FETCH__HOST_DELAY", "0", ("fetch", "host_delay"), 0.0),
        ("AUDITOR_FETCH__PROXY", "http://127.0.0.1:1", ("fetch", "proxy"), "http://127.0.0.1:1"),
        ("AUDITOR_NETWORK__NAME", "2026", ("network", "name"), "2026"),
        ("AUDITOR_REPORT__LANGUAGES", '["fr", "en"]', ("report", "languages"), ("fr", "en")),
        ("AUDITOR_SCHEDULE__START_TIME", "02:15:00", ("schedule", "start_time"), time(2, 15)),
        ("AUDITOR_SURVEY__FIGURES__YOUTUBE", "5.5", ("survey", "figures", "youtube"), 5.5),
    ],
)
def test_environment_overrides_a_setting_at_any_depth(name, text, path, value):
    setting = load_config(find_packaged_config(), {name: text})
    for part in path:
        setting = setting[part] if hasattr(setting, "keys") else getattr(setting, part)
    assert setting == value


def test_empty_variable_sets_nothing():
    assert load_config(find_packaged_config(), {"AUDITOR_FETCH__PROXY": ""}).fetch.proxy is None


def test_error_names_the_variable_instead_of_the_file():
    with pytest.raises(ConfigError, match=r"^AUDITOR_FETCH__HOST_DELAY: "):
        load_config(find_packaged_config(), {"AUDITOR_FETCH__HOST_DELAY": "slowly"})
    with pytest.raises(ConfigError, match=r"^AUDITOR_FECTH__PROXY: .*; try: fetch$"):
        load_config(find_packaged_config(), {"AUDITOR_FECTH__PROXY": "http://localhost:1"})


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(tmp_path / "none.toml", {})


def test_option_precedes_variable_and_variable_precedes_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [tmp_path / name for name in ("option.toml", "variable.toml", "config.toml")]
    for name in names:
        name.write_text("")
    environ = {"AUDITOR_CONFIG": str(names[1])}
    assert find_config_file(names[0], environ) == names[0]
    assert find_config_file(None, environ) == names[1]
    assert find_config_file(None, {}).resolve() == names[2]


def test_variable_that_sets_nothing_is_found():
    assert find_unused_variables({"AUDITOR_PROXY": "x", "AUDITOR_CONFIG": "y", "HOME": "z"}) == [
        "AUDITOR_PROXY"
    ]


def test_every_rule_of_the_example_has_a_gap():
    assert {rule.code for rule in load_config(find_packaged_config(), {}).rules} <= set(
        load_gap_catalogue().definitions
    )


@pytest.mark.parametrize(
    ("table", "setting", "number"),
    [
        ("retention", "contacts", -1),
        ("retention", "bodies", 10**16),
        ("fetch", "host_delay", float("inf")),
        ("fetch", "host_delay", float("nan")),
    ],
)
def test_number_without_a_meaning_is_refused(table, setting, number):
    """A negative number of days would delete what is younger than the run."""
    with pytest.raises(ValidationError, match=f"{table}.{setting}"):
        Config.model_validate({table: {setting: number}})


@pytest.mark.parametrize(
    "server", ["192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:53", "fe80::1%eth0"]
)
def test_name_server_is_an_address_with_or_without_port(server):
    assert Config.model_validate({"fetch": {"nameservers": [server]}}).fetch.nameservers == (
        server,
    )


@pytest.mark.parametrize(
    "server",
    ["", "dns.google", "udp://192.0.2.53", "192.0.2.53:0", "192.0.2.53:", "[::1]", "0.0.0.0", " "],
)
def test_other_name_server_is_refused(server):
    with pytest.raises(ValidationError, match="is not the IP address of a DNS server"):
        Config.model_validate({"fetch": {"nameservers": [server]}})


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("Audit.LAN", "audit.lan"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("xn--mgbg2gbi.example", "xn--mgbg2gbi.example"),
        ("a_b.example", "a_b.example"),
    ],
)
def test_host_is_a_name_or_an_address(host, expected):
    assert Config.model_validate({"web": {"allowed_hosts": [host]}}).web.allowed_hosts == (
        expected,
    )


@pytest.mark.parametrize(
    "host",
    ["", ".", "a..b", "-a.b", "a b", "a.b/", "a.b:1", "[::1]", "999.1.1.1", "u@a.b", "a" * 64],
)
def test_other_host_is_refused(host):
    with pytest.raises(ValidationError, match="is not a host name"):
        Config.model_validate({"web": {"allowed_hosts": [host]}})


@pytest.mark.parametrize("language", ["name", "name_ar", "name_fr"])
@pytest.mark.parametrize("text", ["A\r\nBcc: x@y.example", "A\u2028B", "A\x00", "\x1b[31m"])
def test_name_of_the_network_is_one_line(language, text):
    """No mail could be sent with such a name as its sender."""
    with pytest.raises(ValidationError, match="no line breaks and control characters"):
        Config.model_validate({"network": {language: text}})


@pytest.mark.parametrize(("step", "is_valid"), [(-0.1, False), (0, True), (0.1, True)])
def test_worker_may_miss_one_heartbeat(step, is_valid):
    tables = {"cluster": {"heartbeat_seconds": 10, "stalled_after_seconds": 20 + step}}
    if is_valid:
        assert Config.model_validate(tables).cluster.stalled_after_seconds == 20 + step
    else:
        with pytest.raises(ValidationError, match="less than twice heartbeat_seconds"):
            Config.model_validate(tables)
