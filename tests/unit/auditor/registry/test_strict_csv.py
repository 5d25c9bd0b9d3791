"""A broken CSV file is refused or its line is reported; no rows are lost silently."""

import json

import pytest

from auditor.cli.main import main
from auditor.core.errors import InputError
from auditor.core.i18n.translator import Translator
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.spreadsheet import to_csv
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


def list_problems(reading):
    return [(problem.line, str(problem.issue), problem.severity) for problem in reading.problems]


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


def test_swallowed_rows_are_an_error(path):
    changes = {4: '4,"Club 4,Rabat,club4.example', 6: '6,Club 6",Rabat,club6.example'}
    reading = parse_registry_spreadsheet(path(build_csv(changes)))
    assert list_problems(reading) == [(5, "swallowed_lines", "error")]


def test_quotes_across_columns_are_an_error(path):
    changes = {4: '4,"Club 4,Rabat,club4.example', 5: '5,Club 5,Rabat",club5.example'}
    assert (5, "swallowed_lines", "error") in list_problems(
        parse_registry_spreadsheet(path(build_csv(changes)))
    )


@pytest.mark.parametrize(
    "line",
    [
        '4,"Club\n4",Rabat,club4.example',
        '4,Club 4,"Rabat,\nAgdal,\nrue 4",club4.example',
        '4,"Club ""4""",Rabat,club4.example',
        '4,Club "4",Rabat,club4.example',
        '4,Club "4,Rabat,club4.example',
        '4, "Club, 4", Rabat,club4.example',
        "4,Club 4,Rabat,club4.example,,,",
    ],
)
def test_unambiguous_line_has_no_problems(path, line):
    reading = parse_registry_spreadsheet(path(build_csv({4: line})))
    assert (len(reading.associations), list_problems(reading)) == (COUNT, [])
    assert reading.associations[3].id == "4"
    assert len(reading.accounts) == COUNT


def test_extra_cells_are_an_error(path):
    reading = parse_registry_spreadsheet(
        path(build_csv({4: "4,Club, of the South,Rabat,club4.example"}))
    )
    assert (5, "extra_cells", "error") in list_problems(reading)
    problem_found = next(problem for problem in reading.problems if problem.issue == "extra_cells")
    assert problem_found.value == "club4.example"
    assert problem_found.describe(Translator("en")).startswith("error, line 5: ")


def test_lines_without_trailing_empty_cells_have_no_problems(path):
    lines = [f"{i},Club {i},Rabat" for i in range(1, COUNT + 1)]
    assert list_problems(parse_registry_spreadsheet(path("\n".join([HEADING, *lines])))) == []


@pytest.mark.parametrize("end", ["\r", "\r\r\n"])
def test_old_line_ends_are_accepted(path, end):
    reading = parse_registry_spreadsheet(path(build_csv(end=end)))
    assert (len(reading.associations), len(reading.accounts), list_problems(reading)) == (
        COUNT,
        COUNT,
        [],
    )


def test_end_of_file_character_is_no_row(path):
    assert list_problems(parse_registry_spreadsheet(path(build_csv() + "\x1a"))) == []


def test_damaged_utf8_is_refused_with_its_line(path):
    lines = "\n".join(f"{i},جمعية النور {i},Rabat,club{i}.example" for i in range(1, 21))
    with pytest.raises(SpreadsheetError, match=r"line 22: the file is damaged"):
        parse_registry_spreadsheet(path(f"{HEADING}\n{lines}\n21,".encode() + b"\xd8"))


def test_column_without_heading_is_reported_once(path):
    text = "id,name,,website\n1,A,facebook.com/a,a.example\n2,B,facebook.com/b,b.example\n"
    reading = parse_registry_spreadsheet(path(text))
    assert list_problems(reading) == [(1, "unknown_column", "warning")]
    assert reading.problems[0].value == "facebook.com/a"


def test_delimiter_is_detected_with_title_and_multiline_heading(path):
    reading = parse_registry_spreadsheet(
        path(
            'Associations, Rabat\n\n"Nom\nde l’association";ville;site web\nClub;Rabat;c.example\n'
        )
    )
    assert [entry.name for entry in reading.associations] == ["Club"]
    assert [row.typed_text for row in reading.accounts] == ["c.example"]


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


def test_validate_fails_for_a_swallowed_row(folder, path, capsys):
    path(
        build_csv({4: '4,"Club 4,Rabat,club4.example', 6: '6,Club 6",Rabat,club6.example'}),
        "broken.csv",
    )
    assert main(["registry", "validate", "--json", "broken.csv"]) == 3
    items = json.loads(capsys.readouterr().out)["items"]
    assert [(item["line"], item["problem"]) for item in items if item["severity"] == "error"] == [
        (5, "swallowed_lines")
    ]
    assert count_associations(folder) == COUNT


def test_exported_csv_has_no_problems(path):
    cells = ['say "hi"', '"', "a\nb", "a,b;c\td", " x ", "'=1", "\r\nx", 'q"\n"q']
    rows = [
        ["id", "name", "note", "website"],
        *([str(i), "n", cell, ""] for i, cell in enumerate(cells)),
    ]
    for delimiter in ",;\t":
        reading = parse_registry_spreadsheet(path(to_csv(rows, delimiter=delimiter)))
        assert not [problem for problem in reading.problems if problem.issue != "duplicate_name"]
        assert len(reading.associations) == len(cells)


def test_spreadsheet_error_is_an_input_error():
    assert issubclass(SpreadsheetError, InputError)
