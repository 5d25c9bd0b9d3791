"""Files that commands write have contacts of people, so only their owner can read them."""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from auditor.cli import main, output

SHEET = "id,name,website,email\nnour,Nour,https://nour.example/,nour@example.org\n"
CONFIG = '[storage]\nfolder = "data"\n[web]\npublic_url = "https://reports.example.org"\n'


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a command in a folder with a registry and without umask."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "sheet.csv").write_text(SHEET)
    old_umask = os.umask(0)
    yield lambda *arguments: main.main(["-q", *arguments])
    os.umask(old_umask)


def test_init_writes_a_private_registry_and_a_configuration_without_secrets(run, tmp_path):
    """The service user reads the configuration; another user may have written it."""
    assert run("init", str(tmp_path / "new")) == 0
    assert get_mode(tmp_path / "new" / "registry.csv") == 0o600
    assert get_mode(tmp_path / "new" / "config.toml") == 0o644


def get_mode(file):
    return stat.S_IMODE(file.stat().st_mode)


@pytest.mark.parametrize(
    "command",
    [
        ("registry", "export", "out.csv"),
        ("registry", "export", "out.xlsx"),
        ("export", "associations", "out.csv"),
        ("export", "gaps", "out.json"),
        ("report", "nour", "--pdf", "out.pdf"),
        ("report-links", "create", "--all", "--author", "Amina", "--out", "out.csv"),
    ],
    ids=" ".join,
)
def test_only_the_owner_can_read_a_written_file(run, tmp_path, command):
    assert run("registry", "import", "sheet.csv") == 0
    [name] = [argument for argument in command if argument.startswith("out.")]
    (tmp_path / name).write_text("readable for all")
    assert run(*command) == 0
    assert get_mode(tmp_path / name) == 0o600


def test_link_to_a_file_is_replaced_and_the_file_kept(run, tmp_path):
    """In a shared folder, the link may be another user's."""
    assert run("registry", "import", "sheet.csv") == 0
    (tmp_path / "other.txt").write_text("kept")
    (tmp_path / "out.csv").symlink_to("other.txt")
    assert run("registry", "export", "out.csv") == 0
    assert (tmp_path / "other.txt").read_text() == "kept"
    assert not (tmp_path / "out.csv").is_symlink()


@pytest.mark.parametrize(
    "command", [("report", "nour", "--pdf"), ("export", "associations"), ("registry", "export")]
)
@pytest.mark.parametrize("is_linked", [False, True])
def test_pipe_or_device_is_written_to_and_not_replaced(run, tmp_path, command, is_linked):
    """As root, `--pdf /dev/null` made a file of the device."""
    assert run("registry", "import", "sheet.csv") == 0
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to("pipe.csv")
    descriptor = os.open(tmp_path / "pipe.csv", os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 1024 * 1024)  # a PDF fits in
    try:
        assert run(*command, "link.csv" if is_linked else "pipe.csv") == 0
        content = os.read(descriptor, 8)
    finally:
        os.close(descriptor)
    assert (len(content), (tmp_path / "pipe.csv").is_fifo()) == (8, True)
    assert sorted(path.name for path in tmp_path.glob("*.csv*")) == [
        "link.csv",
        "pipe.csv",
        "sheet.csv",
    ]


def test_name_of_standard_output_is_not_replaced(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "redirected").touch()
    with (tmp_path / "redirected").open("wb") as file:
        name = Path(f"/proc/self/fd/{file.fileno()}")
        output.write_file_atomically([b"content"], name)
    assert (tmp_path / "redirected").read_bytes() == b"content"
    assert [path.name for path in tmp_path.iterdir()] == ["redirected"]


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_two_commands_that_write_one_file_do_not_mix(tmp_path, monkeypatch, is_interrupted):
    """Neither gives the unfinished file of the other its final name."""
    target = tmp_path / "out.csv"

    def write_slowly():
        yield b"first half, "
        with monkeypatch.context() as other_process:
            other_process.setattr(os, "getpid", lambda: 1)
            output.write_file_atomically([b"other"], target)
        assert target.read_bytes() == b"other"
        if is_interrupted:
            press_ctrl_c()
        yield b"second half"

    with suppress(KeyboardInterrupt):
        output.write_file_atomically(write_slowly(), target)
    assert target.read_bytes() == (b"other" if is_interrupted else b"first half, second half")
    assert list(tmp_path.iterdir()) == [target]


def press_ctrl_c():
    raise KeyboardInterrupt


def fill_disk():
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("stop", "exit_code"), [(press_ctrl_c, 130), (fill_disk, 3)])
def test_unfinished_page_is_deleted(run, tmp_path, monkeypatch, stop, exit_code):
    """A web server serves the folder, and each file of it."""
    write_text = Path.write_text

    def write_half(path, text, *arguments):
        write_text(path, text[: len(text) // 2], *arguments)
        stop()

    assert run("registry", "import", "sheet.csv") == 0
    monkeypatch.setattr(Path, "write_text", write_half)
    assert run("publish", "pages") == exit_code
    assert [file.name for file in (tmp_path / "pages").rglob("*.*")] == [".published"]


def test_published_pages_of_an_erased_association_are_deleted(run, tmp_path):
    """Other files of the folder stay."""
    assert run("registry", "import", "sheet.csv") == 0
    assert run("publish", "pages") == 0
    own, page = tmp_path / "pages" / "own.html", tmp_path / "pages" / "fr" / "nour.html"
    own.write_text("not ours")
    assert page.exists()
    assert run("registry", "erase", "nour", "--yes") == 0
    assert run("publish", "pages") == 0
    assert (page.exists(), own.exists()) == (False, True)
