"""A broken CSV file is refused or its line is reported; no rows are lost silently."""

import pytest

from auditor.cli.main import main
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.workbook_reader import SpreadsheetError
from storage.store import Store

HEADING = "id,name,city,website"
COUNT = 20


def build_csv(changes=None, *, end="\n"):
    """Return CSV of 20 associations; `changes` replaces lines by id."""
    lines = [f"{i},Club {i},Rabat,club{i}.example" for i in range(1, COUNT + 1)]
    for number, line in (changes or {}).items():
        lines[number - 1] = line
    return end.join([HEADING, *lines, ""])


@pytest.fixture
def path(tmp_path):
    def write(data, name="sheet.csv"):
        file = tmp_path / name
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        return file

    return write


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({4: '4,"Club 4,Rabat,club4.example'}, 5),
        ({4: '4,"Club 4,Rabat,club4.example', 20: '20,"Club 20",Rabat,club20.example'}, 5),
        ({4: '4,"Club" 4,Rabat,club4.example'}, 5),
        ({4: '4,Club 4,"Rabat,club4.example'}, 5),
        ({4: '4,"Club\n4",Rabat,"club4.example'}, 5),
        ({4: '4,"Club\n""4""",Rabat, "club4.example'}, 5),
        ({20: '20,Club 20,Rabat,"club20.example'}, 21),
    ],
)
def test_unmatched_quote_is_refused_with_its_line(path, changes, line):
    with pytest.raises(SpreadsheetError, match=f"line {line}: a quotation mark") as refused:
        parse_registry_spreadsheet(path(build_csv(changes)))
    assert (refused.value.code, refused.value.line) == ("unclosed_quote", line)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_of_a_quote_is_correct_with_any_line_end(path, end):
    with pytest.raises(SpreadsheetError, match="line 8:"):
        parse_registry_spreadsheet(path(build_csv({7: '7,"Club 7,Rabat,x'}, end=end)))
    with pytest.raises(SpreadsheetError, match="line 9:"):
        parse_registry_spreadsheet(
            path(f"sep=,{end}" + build_csv({7: '7,"Club 7,Rabat,x'}, end=end))
        )


def test_damaged_utf8_is_refused_with_its_line(path):
    lines = "\n".join(f"{i},جمعية النور {i},Rabat,club{i}.example" for i in range(1, 21))
    with pytest.raises(SpreadsheetError, match=r"line 22: the file is damaged"):
        parse_registry_spreadsheet(path(f"{HEADING}\n{lines}\n21,".encode() + b"\xd8"))


@pytest.fixture
def folder(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "."\n')
    path(build_csv())
    path(build_csv({4: '4,"Club 4,Rabat,club4.example'}), "broken.csv")
    assert main(["--quiet", "registry", "import", "sheet.csv"]) == 0
    return tmp_path


def count_associations(folder):
    with Store.open(f"sqlite:///{folder}/auditor.db") as store:
        return len(list(store.registry.list_associations()))


@pytest.mark.parametrize("command", ["validate", "import"])
def test_commands_refuse_a_broken_file_and_change_nothing(folder, capsys, command):
    assert main(["registry", command, "broken.csv"]) == 3
    errors = capsys.readouterr().err
    assert "broken.csv, line 5: a quotation mark" in errors
    assert "; try: " in errors
    assert count_associations(folder) == COUNT
