"""Columns that are corrected by --column."""

import csv
import io

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
