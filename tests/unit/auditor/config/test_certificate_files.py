"""A file of certificates that cannot be used is named in one line, before a run or the service."""

import pytest

from auditor.cli import main
from auditor.config.notifications import SmtpSettings
from auditor.presentation.notifications import transports
from auditor.runs import diagnostics
from tests.support.mini_network import START

TABLES = ("fetch", "notify.smtp")
CONTENTS = {"missing": None, "empty": "", "text": "no certificate", "folder": "/"}


@pytest.fixture(params=CONTENTS)
def certificate_file(request, tmp_path, monkeypatch):
    """Return the name of a file that is no file of certificates."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    file = tmp_path / "authority.pem"
    content = CONTENTS[request.param]
    if content == "/":
        file.mkdir()
    elif content is not None:
        file.write_text(content)
    return file.name


def write_config(tmp_path, table, name):
    text = f'[{table}]\nca_file = "{name}"\n'
    (tmp_path / "config.toml").write_text(text)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("command", ["run", "serve"])
def test_command_names_the_file_before_it_begins(
    tmp_path, capsys, certificate_file, table, command
):
    write_config(tmp_path, table, certificate_file)
    assert main.main([command]) == 3
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: cannot use [{table}] ca_file ")
    assert certificate_file in line
    assert "; try: " in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("table", TABLES)
def test_doctor_names_the_file(tmp_path, certificate_file, table):
    write_config(tmp_path, table, certificate_file)
    results = diagnostics.run_diagnostics(None, START)
    [result] = [result for result in results if result.check == "certificate authority"]
    assert result.state == "fail"
    assert certificate_file in result.detail
    assert f"[{table}] ca_file" in result.detail


def test_failed_mail_names_the_file(tmp_path, certificate_file):
    settings = SmtpSettings(host="127.0.0.1", port=9, ca_file=tmp_path / certificate_file)
    pattern = r"cannot use ca_file .*authority\.pem"
    with pytest.raises(ValueError, match=pattern), transports._connect_smtp(settings):
        raise AssertionError("a connection was opened")
