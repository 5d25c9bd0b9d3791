"""Columns are identified, corrected and remembered; two columns of names are one per script."""

from pathlib import Path

import pytest

from auditor.core.i18n.translator import Translator
from auditor.registry.column_mapping import (
    ColumnMemory,
    NoNameColumnError,
    map_columns,
    open_column_memory,
)
from auditor.registry.exporter import build_template_workbook
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.issues import Issue, describe_dropped_lines, group_problems
from auditor.registry.spreadsheet import SpreadsheetError, to_csv
from auditor.registry.workbook_reader import MAX_COLUMNS
from probes.links.normalize import MAX_CELL_CHARS


def write(tmp_path, rows):
    path = tmp_path / "sheet.csv"
    path.write_bytes(to_csv(rows))
    return path


def list_columns(headings, rows, chosen=None):
    return [column.column for column in map_columns(headings, rows, chosen)]


@pytest.mark.parametrize("is_arabic_first", [False, True])
def test_second_column_of_names_in_arabic_letters_is_the_arabic_name(tmp_path, is_arabic_first):
    rows = [["Nom de l’association", "الاسم"], ["Amal", "جمعية الأمل"], ["Nour", "جمعية النور"]]
    if is_arabic_first:
        rows = [row[::-1] for row in rows]
    result = parse_registry_spreadsheet(write(tmp_path, rows))
    names = [(entry.name, entry.association.name_ar) for entry in result.associations]
    assert names == [("Amal", "جمعية الأمل"), ("Nour", "جمعية النور")]
    assert not result.problems
    assert result.associations[0].association.display_name("ar") == "جمعية الأمل"
    assert result.associations[0].association.display_name("fr") == "Amal"


@pytest.mark.parametrize(
    ("headings", "values", "expected"),
    [
        (["Nom", "Association"], ["Amal", "Amal"], ["name", None]),
        (["الاسم", "الجمعية"], ["الأمل", "الأمل"], ["name", None]),
        (["Nom", "الاسم"], ["", ""], ["name", "name_ar"]),
        (["Nom", "الاسم", "Nom arabe"], ["Amal", "الأمل", "الأمل"], ["name", None, "name_ar"]),
        (["Nom", "Site", "Site web"], ["Amal", "a.ma", "b.ma"], ["name", "website", "website"]),
    ],
)
def test_columns_with_the_same_meaning(headings, values, expected):
    assert list_columns(headings, [values]) == expected


def test_column_that_is_not_read_names_the_one_that_gives_the_same():
    columns = map_columns(["Nom", "Association"], [["Amal", "Amal"]])
    assert columns[1].read_instead == "Nom"


def test_only_the_first_columns_of_a_very_wide_sheet_are_offered():
    assert len(map_columns(["Nom", *["x"] * 20_000], [["Amal"]])) == MAX_COLUMNS


def test_chosen_columns_are_remembered_for_the_same_headings(tmp_path):
    rows = [["Structure", "Lieu", "Page"], ["Amal", "Agadir", "https://www.facebook.com/amal"]]
    path, memory = write(tmp_path, rows), ColumnMemory(tmp_path / "columns.json")
    with pytest.raises(NoNameColumnError) as refusal:
        parse_registry_spreadsheet(path, memory=memory)
    assert [column.examples[0] for column in refusal.value.sheet_columns] == rows[1]
    memory.remember(refusal.value.headings, {0: "name", 1: "city"})
    result = parse_registry_spreadsheet(path, memory=memory)
    assert [(entry.name, entry.association.city) for entry in result.associations] == [
        ("Amal", "Agadir")
    ]
    assert not result.accounts
    assert not result.problems
    other = write(tmp_path, [["Structure", "Lieu"], ["Amal", "Agadir"]])
    with pytest.raises(NoNameColumnError):
        parse_registry_spreadsheet(other, memory=memory)


def test_memory_has_no_headings(tmp_path):
    memory = ColumnMemory(tmp_path / "columns.json")
    memory.remember(["Jean Martin", "0612345678"], {0: "name"})
    assert "Martin" not in memory.file.read_text()
    assert memory.find(["jean  MARTIN", "0612345678", ""]) == {0: "name"}


PROSE = """# Members

The members of our network, their towns, and their sites:

- Amal, a cooperative of women, works in Agadir and Tiznit.
- Nour teaches children to read. It has no site.

Write to us, please.
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE, "no column is called name"),
        (PROSE + 'Amal said:\n"we met\nin Agadir\nand it was\na good day\n', "a quotation mark"),
        ('<!doctype html>\n<html lang="fr">\n<title>Membres, régions</title>\n', "not a table"),
    ],
)
def test_text_that_is_no_table_is_refused(tmp_path, text, reason):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(SpreadsheetError, match=reason):
        parse_registry_spreadsheet(path)


@pytest.mark.parametrize("language", ["ar", "en"])
def test_example_row_of_the_template_is_not_imported(tmp_path, language):
    path = tmp_path / "template.xlsx"
    path.write_bytes(build_template_workbook(Translator(language)))
    result = parse_registry_spreadsheet(path)
    assert not result.associations
    assert [problem.issue for problem in result.problems] == [Issue.EXAMPLE_ROW]
    assert all(column.column for column in result.sheet_columns)


@pytest.mark.parametrize("name", ["TOTAL", "Total général :", "الإجمالي", "المجموع"])
def test_row_of_totals_is_not_imported(tmp_path, name):
    rows = [["name", "facebook"], ["Amal", "https://www.facebook.com/amal"], [name, "83"]]
    result = parse_registry_spreadsheet(write(tmp_path, rows))
    assert [entry.association.name for entry in result.associations] == ["Amal"]
    assert [(one.line, one.issue) for one in result.problems] == [(3, Issue.TOTAL_ROW)]


def test_problems_are_grouped_with_dropped_lines_first(tmp_path):
    rows = [
        ["name", "email", "facebook", "phone"],
        ["Amal", "no", "https://www.facebook.com/amal", ""],
        ["Nour", "no", "https://www.facebook.com/amal", "6E+11"],
        ["", "a@b.ma", "", ""],
    ]
    result = parse_registry_spreadsheet(write(tmp_path, rows))
    groups = group_problems(result.problems)
    assert [(group[0].issue, len(group)) for group in groups] == [
        (Issue.NO_NAME, 1),
        (Issue.ROUNDED_NUMBER, 1),
        (Issue.BAD_EMAIL, 2),
        (Issue.SHARED_ACCOUNT, 1),
    ]


def test_dropped_lines_are_named():
    translator = Translator("en")
    assert describe_dropped_lines([], translator) == ""
    sentence = describe_dropped_lines([4, 7], translator)
    assert sentence == "2 rows were not imported: the name is missing (lines: 4, 7)."
    assert describe_dropped_lines(range(2, 60), translator).endswith("21…).")


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("Organization Name", "name"),
        ("NGO", "name"),
        ("Dénomination sociale", "name"),
        ("Nombre de la asociación", "name"),
        ("Wilaya", "region"),
        ("الولاية", "region"),
        ("Gouvernorat", "region"),
        ("Municipality", "city"),
        ("البلدية", "city"),
        ("Correo electrónico", "email"),
        ("Tél. portable", "phone"),
        ("رقم الجوال", "phone"),
        ("Página web", "website"),
        ("Adresse du site internet", "website"),
        ("Perfil de Facebook", "facebook"),
        ("Canal de YouTube", "youtube"),
        ("Redes sociales", "links"),
        ("Titre", None),
        ("Préfecture", None),
        ("websiteUrls", "website"),
        ("WebsiteUrl", "website"),
        ("website_urls", "website"),
    ],
)
def test_heading_of_another_spreadsheet_is_known(heading, column):
    assert list_columns([heading], []) == [column]


def test_error_names_the_heading_that_may_have_the_names(tmp_path):
    path = write(tmp_path, [["siren", "Org"], ["12", "Amal"]])
    with pytest.raises(NoNameColumnError, match="try: --column HEADING=name"):
        parse_registry_spreadsheet(path)


def test_own_ids_below_a_title_are_read_on_request(tmp_path):
    rows = [["Associations 2026"], ["fm_id", "Nombre"], ["F7", "Amal"], ["F8", "Nour"]]
    memory = open_column_memory(tmp_path, {"fm_id": "id", "Nombre": "name"})
    result = parse_registry_spreadsheet(write(tmp_path, rows), memory=memory)
    assert [entry.id for entry in result.associations] == ["F7", "F8"]


@pytest.mark.parametrize("excess", [0, 1])
def test_links_beyond_the_longest_cell_are_reported(tmp_path, excess):
    """They were left out silently, and half of a link was imported as an account."""
    links = [f"https://www.facebook.com/page.{number:03}" for number in range(120)]
    cell = " ".join(links)[: MAX_CELL_CHARS + excess].ljust(MAX_CELL_CHARS + excess, "0")
    result = parse_registry_spreadsheet(write(tmp_path, [["name", "facebook"], ["Amal", cell]]))
    typed = [account.typed_text for account in result.accounts]
    assert typed == cell.split()[: len(cell.split()) - excess]
    issues = [problem.issue for problem in result.problems]
    assert issues == [Issue.TOO_MANY_CHARACTERS] * excess


@pytest.mark.parametrize("content", ["", "[]", "nonsense", '{"x": 5}', "\x00"])
def test_damaged_memory_of_columns_is_begun_again(tmp_path, content):
    memory = ColumnMemory(tmp_path / "columns.json")
    memory.file.write_text(content)
    assert not memory.find(["Structure"])
    memory.remember(["Structure"], {0: "name"})
    assert memory.find(["Structure"]) == {0: "name"}


def test_columns_are_remembered_by_two_requests_at_the_same_time(tmp_path, monkeypatch):
    memory, others = ColumnMemory(tmp_path / "columns.json"), ["Mur"]
    write_text = Path.write_text

    def write_during_another(path, *arguments):
        write_text(path, *arguments)
        while others:
            memory.remember([others.pop()], {0: "city"})

    monkeypatch.setattr(Path, "write_text", write_during_another)
    memory.remember(["Structure"], {0: "name"})
    assert memory.find(["Structure"]) == {0: "name"}
    assert list(tmp_path.iterdir()) == [memory.file]
