"""Tests of the language of messages: that of `--lang` or the terminal; pipes get English codes."""

import io
import json
import os
import pty
import shutil
import subprocess
import sys

import pytest

from auditor.cli import main, reports
from auditor.core.i18n.catalogs import load_terms
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import LANGUAGES
from auditor.registry.issues import ERROR_ISSUES, Issue, SpreadsheetProblem
from storage.models.audit import AuditRunState, DecisionKind

SHEET = "id,name,facebook,email\r\nnour,Nour,https://www.facebook.com/nour,nobody\r\n"
MAIN = "import sys; from auditor.cli.main import main; sys.exit(main())"


@pytest.fixture
def auditor(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command in an empty folder and returns its output."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sheet.csv").write_text(SHEET, encoding="utf-8")

    def run(*arguments):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
        main.main(list(arguments))
        return capsys.readouterr()

    return run


def on_a_terminal(folder, *arguments, **environ):
    """Return the output of a command on a real terminal."""
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    with os.fdopen(ours, "rb", buffering=0) as screen:
        subprocess.run(
            [sys.executable, "-c", MAIN, *arguments],
            cwd=folder,
            env={**env, "COLUMNS": "200", "TERM": "dumb", **environ},
            stdout=theirs,
            stderr=theirs,
            check=False,
            timeout=60,
        )
        os.close(theirs)
        return b"".join(iter(lambda: _read(screen), b"")).decode()


def _read(screen):
    try:
        return screen.read(65536)
    except OSError:  # Linux ends a terminal whose other side is closed with an error
        return b""


@pytest.mark.parametrize(
    "arguments", [("--lang", "fr", "report"), ("report", "--lang", "fr"), ("report", "--lang=fr")]
)
def test_language_option_before_or_after_command(auditor, arguments):
    auditor("registry", "import", "sheet.csv")
    assert "Canal" in auditor(*arguments).out


def test_unsupported_language_exits_with_2(auditor, capsys):
    assert main.main(["--lang", "de", "status"]) == 2


@pytest.mark.parametrize(
    ("environ", "heading"),
    [
        ({"LANG": "ar_MA.UTF-8"}, "القناة"),
        ({"LANG": "ar_MA.UTF-8", "LC_ALL": "C"}, "Channel"),
        ({"LANG": "de_DE.UTF-8"}, "Channel"),
    ],
)
def test_default_is_terminal_language_or_english(auditor, monkeypatch, environ, heading):
    auditor("registry", "import", "sheet.csv")
    monkeypatch.delenv("LC_ALL")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert heading in auditor("report").out


def test_messages_to_operators_are_in_english(auditor):
    output = auditor("registry", "import", "sheet.csv", "--lang", "ar").err
    assert "warning, line 2, email: " in output
    assert "1 association, 1 link, 0 errors, 1 warning" in output
    assert "1 new association\nadded: 1 link" in output
    assert auditor("status", "--lang", "ar").err.startswith("no runs yet; `auditor run` starts one")


def test_pipes_and_json_have_english_keys_in_any_language(auditor, monkeypatch):
    usage = shutil.disk_usage("/")  # other tests fill the disk meanwhile
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    output = auditor("registry", "validate", "sheet.csv", "--lang", "ar").out
    assert (
        output == "line\tcolumn\tproblem\tseverity\tvalue\n2\temail\tbad_email\twarning\tnobody\n"
    )
    spoken = [
        json.loads(auditor("doctor", "--offline", "--json", "--lang", code).out)["items"]
        for code in LANGUAGES
    ]
    assert spoken[0] == spoken[1] == spoken[2]
    assert spoken[0][0]["check"] == "auditor"


@pytest.mark.parametrize(
    "language",
    ["ar", *(pytest.param(language, marks=pytest.mark.slow) for language in ("fr", "en"))],
)
def test_terminal_without_utf8_causes_no_error(tmp_path, language):
    environ = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    output = on_a_terminal(tmp_path, "--lang", language, "doctor", "--offline", **environ)
    assert "Traceback" not in output
    assert "Error" not in output


def test_every_heading_and_code_has_a_term():
    terms = load_terms()
    assert set(reports.TERMINAL_GAP_COLUMNS) <= set(terms["heading"])
    assert set(terms["problem"]) == set(Issue)
    assert set(terms["decision"]) == set(DecisionKind)
    assert set(terms["run"]) == set(AuditRunState)
    assert all(
        set(translations) == set(LANGUAGES)
        for group in terms.values()
        for translations in group.values()
    )


@pytest.mark.parametrize("trouble", Issue)
def test_spreadsheet_problem_is_described_in_words(trouble):
    output = SpreadsheetProblem(3, "email", "nobody", trouble).describe(Translator("en"))
    assert output.startswith(
        "error, line 3, email: " if trouble in ERROR_ISSUES else "warning, line 3, email: "
    )
    assert str(trouble) not in output


def test_help_loads_no_catalogue():
    code = "import sys, auditor.cli.main; print(sorted({'babel', 'jinja2'} & set(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert output.stdout == "[]\n"
