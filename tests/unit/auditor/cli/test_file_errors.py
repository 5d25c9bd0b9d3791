"""Tests that an unusable file or folder gives a one-line error and exit code 3."""

import errno
import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from auditor.cli import main
from storage.errors import StoreError, is_file_error
from storage.files.body_store import BodyStore, copy_bodies
from tests.support.all_commands import all_commands
from tests.support.channel_settings import disable_channels_except
from tests.support.permissions import permissions_respected

pytestmark = pytest.mark.slow  # the doctor and a run start processes
CONFIG = """
[storage]
folder = "data"
[web]
public_url = "https://reports.example.org"
[notify]
from = "auditor@example.org"
smtp = { host = "127.0.0.1", port = 9, security = "none" }
[[notify.recipients]]
to = "amina@example.org"
"""
CONFIG += "[channels.website]\ncanaries = []\nimpossible_account = ''\n"
CONFIG += disable_channels_except("website")
SHEET = "id,name,website\nnour,Nour,http://127.0.0.1:9/\n"
LINE = re.compile(r"error: (?P<what>.+?): (?P<why>.+); try: (?P<action>.+)")


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A folder with a registry, one run and its keys."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "config.toml").write_text(CONFIG)
    (folder / "sheet.csv").write_text(SHEET)
    config = str(folder / "config.toml")
    assert (
        main.main(["-q", "--config", config, "registry", "import", str(folder / "sheet.csv")]) == 0
    )
    assert main.main(["-q", "--config", config, "run"]) == 0
    return folder


@pytest.fixture
def folder(audited, tmp_path, monkeypatch):
    shutil.copytree(audited, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    yield tmp_path
    for place in [tmp_path, *tmp_path.rglob("*")]:
        place.chmod(0o700)


@pytest.fixture
def run(capsys):
    """Return a function that runs a command without root privileges: exit code, output."""

    def type_in(*arguments):
        capsys.readouterr()
        with permissions_respected():
            code = main.main(list(arguments))
        return code, capsys.readouterr()

    return type_in


def _spoil(folder, path, how):
    """Make a file or folder unusable."""
    place = folder / path
    if isinstance(how, int):
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.write_text("x") if place.suffix else place.mkdir()
        place.chmod(how)
        return
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.write_text("x") if how == "file" else place.mkdir(parents=True)


def forbid_access(path):
    return partial(_spoil, path=path, how=0)


def forbid_writing(path):
    return partial(_spoil, path=path, how=0o500)


def replace_by_file(path):
    return partial(_spoil, path=path, how="file")


def replace_by_folder(path):
    return partial(_spoil, path=path, how="folder")


ERROR_CASES = [
    # the data folder and the database
    (forbid_access("data"), ("status",), "data/auditor.db: permission denied"),
    (forbid_access("data"), ("run",), "cannot write to data: permission denied"),
    (
        forbid_access("data"),
        ("registry", "validate", "sheet.csv"),
        "data/auditor.db: permission denied",
    ),
    (forbid_writing("data"), ("run",), "cannot write to data: permission denied"),
    (replace_by_file("data"), ("run",), "data: a part of this path is a file"),
    (forbid_access("data/auditor.db"), ("status",), "data/auditor.db cannot be written"),
    (replace_by_folder("data/run.lock"), ("run",), "run.lock: it is a folder"),
    # the evidence folder
    (forbid_access("data/archive"), ("backup",), "data/archive: permission denied"),
    (
        forbid_access("data/archive/.staging"),
        ("registry", "erase", "nour", "--yes"),
        "data/archive/.staging: permission denied",
    ),
    # the backup folder
    (forbid_access("backups"), ("backup",), "permission denied"),
    (forbid_writing("backups"), ("backup",), "permission denied"),
    (replace_by_file("backups"), ("backup",), "a part of this path is a file"),
    (forbid_access("backups"), ("backup", "--list"), "backups: permission denied"),
    (replace_by_file("backups"), ("backup", "--list"), "backups: a part of this path is a file"),
    (forbid_access("backups"), ("restore", "backups/x.db"), "backups/x.db: permission denied"),
    (forbid_access("out"), ("backup", "out/x.db"), "out/x.db: permission denied"),
    # the configuration
    (forbid_access("config.toml"), ("status",), "config.toml: permission denied"),
    (replace_by_folder("config.toml"), ("status",), "config.toml: it is a folder"),
    (
        forbid_access("etc"),
        ("--config", "etc/auditor.toml", "status"),
        "etc/auditor.toml: permission denied",
    ),
    (replace_by_folder("etc"), ("--config", "etc", "status"), "etc: it is a folder"),
    (forbid_access("."), ("status",), "config.toml: permission denied"),
    # keys
    (forbid_access("data/unsubscribe.key"), ("digest",), "data/unsubscribe.key: permission denied"),
    (
        forbid_access("data/unsubscribe.key"),
        ("backup", "out"),
        "data/unsubscribe.key: permission denied",
    ),
    # the demo
    (forbid_writing("demo"), ("demo", "demo"), "demo/config.toml: permission denied"),
    (forbid_access("demo"), ("demo", "demo"), "demo/config.toml: permission denied"),
    (replace_by_file("demo"), ("demo", "demo"), "demo: a part of this path is a file"),
    (replace_by_file("demo"), ("demo", "demo/inner"), "a part of this path is a file"),
    (replace_by_folder("demo/config.toml"), ("demo", "demo"), "demo/config.toml: it is a folder"),
    # what is read and written by name
    (
        forbid_access("sheet.csv"),
        ("registry", "import", "sheet.csv"),
        "sheet.csv: permission denied",
    ),
    (forbid_access("links.txt"), ("identify", "links.txt"), "links.txt: permission denied"),
    (forbid_writing("out"), ("publish", "out"), "out: permission denied"),
    (replace_by_file("out"), ("publish", "out"), "out: a part of this path is a file"),
    (forbid_writing("out"), ("export", "gaps", "out/gaps.csv"), "out/gaps.csv: permission denied"),
    (
        forbid_writing("out"),
        ("report", "nour", "--pdf", "out/x.pdf"),
        "out/x.pdf: permission denied",
    ),
    (
        replace_by_folder("out"),
        ("report", "nour", "--pdf", "out"),
        "out: it is a folder, not a file",
    ),
    (
        forbid_writing("out"),
        ("report-links", "create", "--all", "--out", "out/x.csv"),
        "out/x.csv: permission denied",
    ),
    (forbid_writing("out"), ("export", "gaps", "no/gaps.csv"), "there is no such file or folder"),
    (forbid_writing("out"), ("init", "out/new"), "permission denied"),
    (replace_by_file("out"), ("init", "out"), "out/config.toml: a part of this path is a file"),
]


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    ERROR_CASES,
    ids=[f"{message} ({' '.join(arguments)})" for _, arguments, message in ERROR_CASES],
)
def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_3(
    folder, run, make, arguments, message
):
    make(folder)
    code, output = run(*arguments)
    errors = [line for line in output.err.splitlines() if line.startswith("error: ")]
    assert (code, len(errors)) == (3, 1), output.err
    assert LINE.fullmatch(errors[0]), errors[0]
    assert message in errors[0]
    assert not re.search("unexpected|Traceback", output.err)


SECRETS = [
    ('[storage]\nurl_file = "secret.txt"\n', "storage.url_file"),
    ('[channels]\nyoutube = { api_key_file = "secret.txt" }\n', "channels.youtube.api_key_file"),
    ('[web]\nmetrics_token_file = "secret.txt"\n', "web.metrics_token_file"),
    (
        '[notify]\nsmtp = { host = "m.example.org", password_file = "secret.txt" }\n',
        "notify.smtp.password_file",
    ),
    ('[[notify.recipients]]\nto_file = "secret.txt"\n', "notify.recipients[1].to_file"),
    ('[monitor]\nping_url_file = "secret.txt"\n', "monitor.ping_url_file"),
]


@pytest.mark.parametrize(("config", "place"), SECRETS)
def test_a_secret_that_cannot_be_read_is_named_with_what_to_do(folder, run, config, place):
    (folder / "config.toml").write_text(config)
    secret = folder / "secret.txt"
    assert_secret_refused(run, place, "there is no such file or folder")
    secret.write_bytes(b"\xff\xfe\xe9")
    assert_secret_refused(run, place, "it is not UTF-8 text")
    secret.chmod(0)
    assert_secret_refused(run, place, "permission denied")
    replace_by_folder("secret.txt")(folder)
    assert_secret_refused(run, place, "it is a folder, not a file")


def assert_secret_refused(run, place, why):
    code, output = run("status")
    line = LINE.fullmatch(output.err.strip())
    assert (code, bool(line)) == (3, True), output.err
    assert f"config.toml: {place}: " in output.err
    assert f"secret.txt: {why}; try: " in output.err
    assert "example" not in line["action"]


UNWRITABLE_FOLDERS = [
    (forbid_writing("data"), "cannot write to data: permission denied"),
    (forbid_access("data/archive"), "cannot write to data/archive: permission denied"),
    (forbid_writing("data/archive"), "cannot write to data/archive: permission denied"),
    (replace_by_file("data/archive"), "data/archive: a part of this path is a file"),
    (forbid_writing("backups"), "cannot write to backups: permission denied"),
    (forbid_writing("backups/evidence"), "cannot write to backups/evidence: permission denied"),
    (replace_by_file("backups"), "backups: a part of this path is a file"),
]


@pytest.mark.parametrize("command", ["run", "serve"])
@pytest.mark.parametrize("case", UNWRITABLE_FOLDERS)
def test_run_and_serve_refuse_to_start_with_a_folder_they_cannot_write(
    folder, run, monkeypatch, case, command
):
    make, cause = case
    monkeypatch.setattr("auditor.core.runtime.run_async", _refuse_call)
    make(folder)
    code, output = run(command)
    assert (code, bool(LINE.fullmatch(output.err.strip()))) == (3, True), output.err
    assert cause in output.err


def _refuse_call(coroutine):
    coroutine.close()
    raise AssertionError("the command has started its work")


def test_unwritable_backup_folder_does_not_matter_without_backups(folder, run):
    forbid_writing("backups")(folder)
    (folder / "config.toml").write_text(CONFIG + "[backup]\nafter_run = false\n")
    assert run("run")[0] == 0


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (forbid_access("data"), "data folder"),
        (forbid_writing("data/archive"), "evidence folder"),
        (replace_by_file("backups"), "backup folder"),
        (forbid_access("config.toml"), "configuration"),
        (forbid_writing("backups/evidence"), "backup folder"),
        (forbid_access("data/unsubscribe.key"), "secrets"),
        (forbid_access("data/auditor.db"), "database"),
    ],
)
def test_the_doctor_reports_what_cannot_be_used_and_goes_on(folder, run, make, check):
    make(folder)
    code, output = run("doctor", "--offline", "--json")
    states = {item["check"]: item["state"] for item in json.loads(output.out)["items"]}
    assert (code, states[check], states["auditor"]) == (3, "fail", "ok")


@pytest.mark.parametrize("level", [0, 1, 2], ids=["file", "folder", "archive"])
def test_evidence_that_cannot_be_read_does_not_count_as_missing(tmp_path, level):
    archive = BodyStore(tmp_path / "archive")
    digest = archive.put(b"page")
    path = archive.get_path(digest)
    closed = (path, path.parent, archive.folder)[level]
    mode = closed.stat().st_mode
    closed.chmod(0)
    for read in (partial(archive.get, digest), partial(copy_bodies, archive, BodyStore(tmp_path))):
        with permissions_respected(), pytest.raises(StoreError, match="permission denied"):
            read()
    closed.chmod(mode)


@pytest.mark.parametrize(
    ("error", "is_about_files"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (PermissionError(errno.EACCES, "Permission denied", "x"), True),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), False),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), False),
    ],
)
def test_errors_of_the_network_are_not_taken_for_errors_of_files(error, is_about_files):
    assert is_file_error(error) is is_about_files


@pytest.mark.parametrize(
    ("content", "why"),
    [("a = " + "[" * 9999 + "]" * 9999, "nested more than"), ("a = " + "9" * 5000, "4300 digits")],
    ids=["nesting", "digits"],
)
def test_configuration_beyond_the_limits_of_toml_is_refused(folder, run, content, why):
    (folder / "config.toml").write_text(content)
    code, printed = run("status")
    assert (code, why in printed.err, "unexpected" in printed.err) == (3, True, False)


def test_no_option_refuses_a_path_before_its_command_can_say_why():
    """Typer checks by default that a path is readable, and then exits with 2."""
    paths = [
        (arguments, parameter.name, parameter.type_descriptor.parameter_info.readable)
        for arguments, command in all_commands()
        for parameter in command.params
        if parameter.type_descriptor.annotation is Path
    ]
    assert (len(paths) > 10, [path for path in paths if path[2]]) == (True, [])
