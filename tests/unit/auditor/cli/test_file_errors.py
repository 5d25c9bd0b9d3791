"""Tests that an unusable file or folder gives a one-line error and exit code 3."""

import errno
import json
import re
import shutil
from pathlib import Path

import pytest

from auditor.cli import main
from auditor.demo import play
from storage.errors import StoreError, build_file_error, is_file_error
from storage.files.body_store import BodyStore, BodyWriter, copy_bodies, remove_staged_bodies
from tests.support.all_commands import all_commands
from tests.support.permissions import permissions_respected

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
[channels]
website = {}
"""
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


def forbid_access(path):
    """Make a file or folder without any permissions."""

    def make(folder):
        create_missing(folder / path).chmod(0)

    return make


def forbid_writing(path):
    def make(folder):
        create_missing(folder / path).chmod(0o500)

    return make


def replace_by_file(path):
    """Put a file where a folder should be."""

    def make(folder):
        if (folder / path).is_dir():
            shutil.rmtree(folder / path)
        (folder / path).write_text("x")

    return make


def replace_by_folder(path):
    """Put a folder where a file should be."""

    def make(folder):
        (folder / path).unlink(missing_ok=True)
        (folder / path).mkdir(parents=True)

    return make


def create_missing(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() and path.suffix:
        path.write_text("x")
    path.mkdir(exist_ok=True) if not path.exists() else None
    return path


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
        forbid_writing("out"),
        ("report-links", "create", "--all", "--out", "out/x.csv"),
        "out/x.csv: permission denied",
    ),
    (forbid_writing("out"), ("init", "out/new"), "permission denied"),
    (replace_by_file("out"), ("init", "out"), "out/config.toml: a part of this path is a file"),
]


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    ERROR_CASES,
    ids=[
        f"{make.__qualname__.split('.')[0]} {message} ({' '.join(arguments)})"
        for make, arguments, message in ERROR_CASES
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_3(
    folder, run, make, arguments, message
):
    make(folder)
    code, output = run(*arguments)
    assert code == 3, output.err
    lines = [line for line in output.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, output.err
    assert LINE.fullmatch(lines[0]), lines[0]
    assert message in lines[0]
    assert "unexpected" not in output.err
    assert "Traceback" not in output.err


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


def test_unreadable_secret_of_the_environment_is_not_blamed_on_another_variable(
    folder, run, monkeypatch
):
    (folder / "config.toml").write_text('[channels]\nyoutube = { api_key_file = "none.txt" }\n')
    monkeypatch.setenv("AUDITOR_CHANNELS__YOUTUBE__API_BUDGET", "100")
    assert "error: config.toml: channels.youtube.api_key_file: cannot" in run("status")[1].err
    monkeypatch.setenv("AUDITOR_CHANNELS__YOUTUBE__API_KEY_FILE", "gone.txt")
    error = run("status")[1].err
    assert "error: AUDITOR_CHANNELS__YOUTUBE__API_KEY_FILE: cannot" in error
    assert "gone.txt" in error


def assert_secret_refused(run, place, why):
    code, output = run("status")
    line = LINE.fullmatch(output.err.strip())
    assert (code, bool(line)) == (3, True), output.err
    assert f"config.toml: {place}: " in output.err
    assert f"secret.txt: {why}; try: " in output.err
    assert "example" not in line["action"]


AUTHORITIES = [
    (forbid_access("ca.pem"), "permission denied"),
    (replace_by_folder("ca.pem"), "it is a folder, not a file"),
    (lambda _: None, "there is no such file or folder"),
    (lambda folder: (folder / "ca.pem").write_text("x"), "it contains no certificate"),
]


@pytest.mark.parametrize(("make", "why"), AUTHORITIES)
def test_certificates_that_cannot_be_used_are_named(folder, run, make, why):
    (folder / "config.toml").write_text(CONFIG + '[fetch]\nca_file = "ca.pem"\n')
    make(folder)
    for arguments in (("check", "https://nour.example/"), ("run",)):
        for name in ("data", "backups"):
            shutil.rmtree(folder / name, ignore_errors=True)
        code, output = run(*arguments)
        assert code == 3
        assert f"error: cannot use [fetch] ca_file ca.pem: {why}; try: " in output.err
    code, output = run("doctor", "--json")
    states = {item["check"]: item for item in json.loads(output.out)["items"]}
    assert (code, states["certificate authority"]["state"]) == (3, "fail")
    assert why in states["certificate authority"]["detail"]
    assert "configuration" in states


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


def test_missing_backup_folder_that_cannot_be_created_prevents_the_run(folder, run):
    shutil.rmtree(folder / "backups")
    (folder / "sealed").mkdir(mode=0o500)
    (folder / "config.toml").write_text(CONFIG + '[backup]\nfolder = "sealed/backups"\n')
    code, output = run("run")
    assert code == 3
    assert "error: cannot create the folder sealed/backups: permission denied; try: " in output.err


def test_unwritable_backup_folder_does_not_matter_without_backups(folder, run):
    forbid_writing("backups")(folder)
    (folder / "config.toml").write_text(CONFIG + "[backup]\nafter_run = false\n")
    assert run("run")[0] == 0


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (forbid_access("data"), "data folder"),
        (replace_by_file("data"), "data folder"),
        (forbid_access("data/archive"), "evidence folder"),
        (forbid_writing("data/archive"), "evidence folder"),
        (replace_by_file("data/archive"), "evidence folder"),
        (forbid_access("backups"), "backup folder"),
        (forbid_writing("backups"), "backup folder"),
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
    assert code == 3
    assert states[check] == "fail"
    assert states["auditor"] == "ok"


def test_a_demo_that_cannot_remove_an_earlier_one_is_refused(folder, run):
    (folder / "demo" / "data" / "archive").mkdir(parents=True)
    (folder / "demo" / "data" / "archive" / "page").write_text("x")
    (folder / "demo" / "config.toml").write_text(play.CONFIG_MARKER)
    (folder / "demo" / "data" / "archive").chmod(0o500)
    code, output = run("demo", "demo")
    assert code == 3
    assert LINE.fullmatch(output.err.strip()), output.err


@pytest.mark.parametrize("mode", [0, 0o500])
def test_evidence_that_cannot_be_kept_names_the_folder(tmp_path, mode):
    archive = BodyStore(tmp_path / "archive")
    archive.folder.mkdir()
    archive.folder.chmod(mode)
    with (
        permissions_respected(),
        pytest.raises(StoreError, match="archive: permission denied; try: "),
    ):
        write_body(archive, b"page")
    archive.folder.chmod(0o700)


def write_body(archive, body):
    with BodyWriter(archive) as writer:
        writer.put(body)
        writer.commit()


def test_evidence_that_cannot_be_read_does_not_count_as_missing(tmp_path):
    archive = BodyStore(tmp_path / "archive")
    digest = archive.put(b"page")
    place = archive.get_path(digest)
    for closed_place in (place, place.parent, archive.folder):
        mode = closed_place.stat().st_mode
        closed_place.chmod(0)
        with permissions_respected():
            with pytest.raises(StoreError, match="permission denied"):
                archive.get(digest)
            with pytest.raises(StoreError, match="permission denied"):
                copy_bodies(archive, BodyStore(tmp_path / "copy"))
        closed_place.chmod(mode)
    assert copy_bodies(archive, BodyStore(tmp_path / "copy")) == 1


def test_an_archive_that_is_not_there_is_empty(tmp_path):
    archive = BodyStore(tmp_path / "archive")
    assert list(archive.list_digests()) == []
    remove_staged_bodies(archive)


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


def test_a_file_error_has_the_subject_that_the_caller_knows():
    error = PermissionError(errno.EACCES, "Permission denied", ".x.db.abc.new")
    assert str(build_file_error(error)).startswith(
        "cannot use .x.db.abc.new: permission denied; try: "
    )
    assert str(build_file_error(error, "cannot write x.db")).startswith(
        "cannot write x.db: permission denied; try: "
    )
    assert str(build_file_error(OSError(errno.ENOSPC, "No space"))) == (
        "cannot use a file: no space is left on the disk; try: free disk space"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [("a = " + "[" * 9999 + "]" * 9999, "nested more than"), ("a = " + "9" * 5000, "4300 digits")],
    ids=["nesting", "digits"],
)
def test_configuration_beyond_the_limits_of_toml_is_refused(folder, run, content, why):
    (folder / "config.toml").write_text(content)
    code, printed = run("status")
    assert (code, why in printed.err) == (3, True)
    assert "unexpected" not in printed.err


def test_an_error_with_debug_shows_where_it_arose(folder, run):
    forbid_access("data")(folder)
    code, output = run("--debug", "status")
    assert code == 3
    assert "Traceback" in output.err


def test_no_option_refuses_a_path_before_its_command_can_say_why():
    """Typer checks by default that a path is readable, and then exits with 2."""
    paths = [
        (arguments, parameter.name, parameter.type_descriptor.parameter_info.readable)
        for arguments, command in all_commands()
        for parameter in command.params
        if parameter.type_descriptor.annotation is Path
    ]
    assert len(paths) > 10
    assert [(arguments, name) for arguments, name, is_checked in paths if is_checked] == []
