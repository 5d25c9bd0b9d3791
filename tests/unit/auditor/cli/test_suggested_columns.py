"""Suggestions for headings that resemble known columns are commands that work when pasted."""

import csv
import io
import shlex

import pytest

from auditor.cli import main


@pytest.fixture
def write_sheet(tmp_path, monkeypatch):
    """Return a function that writes a sheet into the current folder, which has a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "data"\n')

    def write(*rows):
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        (tmp_path / "my sheet.csv").write_text(text.getvalue(), "utf-8")

    return write


HEADINGS = ["Facebok", "Facebok page", "Facebok 'page'", 'Facebok "`$1`"', "فايسبوكك", "Facebok=x"]


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("command", [["registry", "validate"], ["registry", "import", "--dry-run"]])
def test_suggested_command_reads_the_column(write_sheet, capsys, heading, command):
    """It had quotes that a shell read otherwise, and neither the program nor the file."""
    write_sheet(["name", "city", heading], ["Amal", "Rabat", "amal.rabat"])
    main.main([*command, "my sheet.csv", "--lang", "en"])
    lines = capsys.readouterr().err.splitlines()
    [suggestion] = [line for line in lines if line.startswith("auditor ")]
    program, *arguments = shlex.split(suggestion)
    assert program == "auditor"
    assert main.main(arguments) == 0
    output = capsys.readouterr()
    assert "1 link" in output.out + output.err
    assert "--column" not in output.err


@pytest.mark.parametrize("heading", HEADINGS)
def test_suggested_column_of_names_is_read(write_sheet, capsys, heading):
    heading = heading.replace("Facebok", "Asociation").replace("فايسبوكك", "الاسمم")
    write_sheet([heading, "facebook"], ["Amal", "amal.rabat"])
    assert main.main(["registry", "validate", "my sheet.csv"]) == 3
    message = capsys.readouterr().err
    options = shlex.split(message.partition("try: ")[2])
    assert options == ["--column", f"{heading}=name"]
    assert main.main(["registry", "validate", "my sheet.csv", *options]) == 0


def test_suggested_column_stays_ignored_on_request(write_sheet, capsys):
    write_sheet(["name", "city", "Facebok"], ["Amal", "Rabat", "amal.rabat"])
    arguments = ["registry", "validate", "my sheet.csv", "--column", "Facebok=ignore"]
    assert main.main(arguments) == 0
    assert "--column" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["Ville=city"], 3),
        (["Ville=city", "vinculo=facebook"], 0),
        (["Ville=city", "vinculo=ignore"], 0),
        (["Ville=ignore"], 3),
    ],
)
def test_corrected_columns_without_links_are_an_error(write_sheet, capsys, options, code):
    """With any --column, nothing was said, and the import withdrew nothing and added no link."""
    write_sheet(["name", "Ville", "vinculo"], ["Amal", "Rabat", "amal.rabat"])
    columns = [word for option in options for word in ("--column", option)]
    assert main.main(["registry", "validate", "my sheet.csv", "--json", *columns]) == code
    assert ("no_link_column" in capsys.readouterr().out) is (code == 3)


def test_own_ids_below_a_title_are_imported_on_request(write_sheet, capsys):
    write_sheet(
        ["Réseau 2026"], ["siren", "Asociación", "Site"], ["552100554", "Amal", "amal.example.org"]
    )
    columns = ["--column", "siren=id", "--column", "Asociación=name"]
    assert main.main(["registry", "import", "my sheet.csv", *columns]) == 0
    capsys.readouterr()
    assert main.main(["registry", "export", "-"]) == 0
    assert "552100554,Amal" in capsys.readouterr().out
