"""Tests of the language of messages: that of `--lang` or the terminal; pipes get English codes."""

import json
import shutil

import pytest

from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import LANGUAGES
from auditor.registry.issues import ERROR_ISSUES, Issue, SpreadsheetProblem

SHEET = "id,name,facebook,email\r\nnour,Nour,https://www.facebook.com/nour,nobody\r\n"


@pytest.fixture(autouse=True)
def _sheet(tmp_path):
    (tmp_path / "sheet.csv").write_text(SHEET, encoding="utf-8")


@pytest.mark.parametrize(
    "arguments", [("--lang", "fr", "report"), ("report", "--lang", "fr"), ("report", "--lang=fr")]
)
def test_language_option_before_or_after_command(auditor, arguments):
    auditor("registry", "import", "sheet.csv")
    assert "Canal" in auditor(*arguments).out


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


@pytest.mark.slow
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


@pytest.mark.parametrize("trouble", Issue)
def test_spreadsheet_problem_is_described_in_words(trouble):
    output = SpreadsheetProblem(3, "email", "nobody", trouble).describe(Translator("en"))
    assert output.startswith(
        "error, line 3, email: " if trouble in ERROR_ISSUES else "warning, line 3, email: "
    )
    assert str(trouble) not in output
