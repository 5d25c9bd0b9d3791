"""Columns are identified, corrected and remembered; two columns of names are one per script."""

import re
from pathlib import Path

import pytest

from auditor.core.i18n.translator import Translator
from auditor.registry.column_mapping import (
    MAX_EXAMPLE_CHARS,
    MAX_EXAMPLES,
    MAX_SAMPLE_ROWS,
    ColumnMemory,
    NoNameColumnError,
    map_columns,
)
from auditor.registry.exporter import build_template_workbook
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.issues import (
    MAX_LISTED_LINES,
    MAX_SHOWN_VALUE_CHARS,
    Issue,
    describe_dropped_lines,
    group_problems,
)
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


def test_name_missing_in_one_script_is_taken_from_the_other(tmp_path):
    rows = [["Nom", "الاسم"], ["", "جمعية الأمل"], ["Nour", ""], ["Ifrane", "إفران"]]
    result = parse_registry_spreadsheet(write(tmp_path, rows))
    assert [entry.name for entry in result.associations] == ["جمعية الأمل", "Nour", "Ifrane"]


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


def test_columns_have_examples_also_without_a_heading():
    rows = [["Amal", "Agadir"], ["Nour", ""], ["Nour", "x" * 100], ["Zahra", "Safi"], ["Ali", ""]]
    first, second = map_columns(["Nom"], rows)
    assert first.examples == ("Amal", "Nour", "Zahra")
    assert (second.heading, second.examples[1]) == ("", "x" * 60 + "…")


def test_only_the_first_columns_of_a_very_wide_sheet_are_offered():
    assert len(map_columns(["Nom", *["x"] * 20_000], [["Amal"]])) == MAX_COLUMNS


def test_remembered_channel_that_no_longer_exists_is_not_read(tmp_path):
    memory = ColumnMemory(tmp_path / "columns.json")
    memory.remember(["Structure", "Mur"], {0: "name", 1: "myspace"})
    assert memory.find(["Structure", "Mur"]) == {0: "name"}


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


def test_memory_has_no_headings_and_survives_a_damaged_file(tmp_path):
    memory = ColumnMemory(tmp_path / "columns.json")
    memory.remember(["Jean Martin", "0612345678"], {0: "name"})
    assert "Martin" not in memory.file.read_text()
    assert memory.find(["jean  MARTIN", "0612345678", ""]) == {0: "name"}
    memory.file.write_text("{")
    assert memory.find(["Jean Martin", "0612345678"]) is None


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


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Nom\nAmal\nNour\n", 2),
        ("#,Nom,Site\n1,Amal,amal.ma\n", 1),
        ("name,website\nAmal\nNour\n", 2),
        ("Registre des associations\nNom;Site\nAmal;amal.ma\n", 1),
        ("Nom,Remarque\nAmal,Site en panne.\nNour,Rien à signaler.\n", 2),
    ],
)
def test_small_table_is_no_text(tmp_path, text, count):
    path = tmp_path / "sheet.csv"
    path.write_text(text)
    assert len(parse_registry_spreadsheet(path).associations) == count


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_example_row_of_the_template_is_not_imported(tmp_path, language):
    path = tmp_path / "template.xlsx"
    path.write_bytes(build_template_workbook(Translator(language)))
    result = parse_registry_spreadsheet(path)
    assert not result.associations
    assert [problem.issue for problem in result.problems] == [Issue.EXAMPLE_ROW]
    assert all(column.column for column in result.sheet_columns)


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


@pytest.mark.parametrize("heading", ["websiteUrls", "WebsiteUrl", "website_urls"])
def test_heading_in_one_word_is_read_as_words(heading):
    [column] = map_columns([heading], [])
    assert column.column == "website"


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
    ],
)
def test_heading_of_another_spreadsheet_is_known(heading, column):
    [mapped] = map_columns([heading], [])
    assert mapped.column == column


def test_error_names_the_heading_that_may_have_the_names(tmp_path):
    path = write(tmp_path, [["siren", "Org"], ["12", "Amal"]])
    with pytest.raises(NoNameColumnError, match="try: --column HEADING=name"):
        parse_registry_spreadsheet(path)


def test_own_ids_below_a_title_are_read_on_request(tmp_path):
    rows = [["Associations 2026"], ["fm_id", "Nombre"], ["F7", "Amal"], ["F8", "Nour"]]
    memory = ColumnMemory(corrections={"fm_id": "id", "Nombre": "name"})
    result = parse_registry_spreadsheet(write(tmp_path, rows), memory=memory)
    assert [entry.id for entry in result.associations] == ["F7", "F8"]


@pytest.mark.parametrize(
    ("headings", "is_reported"),
    [
        (["name", "vinculo"], True),
        (["name", "city"], False),
        (["name", "vinculo", "facebook"], False),
        (["name", "vinculo", "other links"], False),
    ],
)
def test_spreadsheet_without_link_columns_is_an_error_if_one_is_unread(
    tmp_path, headings, is_reported
):
    result = parse_registry_spreadsheet(write(tmp_path, [headings, ["Amal", "x", "", ""]]))
    problems = [problem for problem in result.problems if problem.issue is Issue.NO_LINK_COLUMN]
    assert [(problem.value, problem.severity) for problem in problems] == (
        [("vinculo", "error")] if is_reported else []
    )


STEPS = [-1, 0, 1]


@pytest.mark.parametrize("step", STEPS)
def test_first_examples_of_a_column_are_shown(step):
    count = MAX_EXAMPLES + step
    [column] = map_columns(["Nom"], [[f"Amal {number}"] for number in range(count)])
    assert len(column.examples) == min(count, MAX_EXAMPLES)


@pytest.mark.parametrize("step", STEPS)
def test_long_example_is_cut_and_marked(step):
    text = "x" * (MAX_EXAMPLE_CHARS + step)
    [column] = map_columns(["Nom"], [[text]])
    assert column.examples == (text if step <= 0 else f"{text[:-1]}…",)


@pytest.mark.parametrize("step", STEPS)
def test_examples_come_from_the_first_rows(step):
    rows = [[""]] * (MAX_SAMPLE_ROWS + step - 1)
    [column] = map_columns(["Nom"], [*rows, ["Amal"]])
    assert column.examples == (("Amal",) if step <= 0 else ())


@pytest.mark.parametrize("step", STEPS)
def test_first_dropped_lines_are_named(step):
    count = MAX_LISTED_LINES + step
    sentence = describe_dropped_lines(range(100, 100 + count), Translator("en"))
    assert sentence.startswith(f"{count} rows")
    assert (str(100 + count - 1) in sentence, "…" in sentence) == (step <= 0, step > 0)


@pytest.mark.parametrize("step", STEPS)
def test_problem_shows_the_beginning_of_a_long_value(tmp_path, step):
    value = "x" * (MAX_SHOWN_VALUE_CHARS + step)
    result = parse_registry_spreadsheet(write(tmp_path, [["name", "email"], ["Amal", value]]))
    assert [problem.value for problem in result.problems] == [
        value if step <= 0 else f"{value[:-1]}…"
    ]


@pytest.mark.parametrize("step", STEPS)
def test_links_beyond_the_longest_cell_are_reported(tmp_path, step):
    """They were left out silently, and half of a link was imported as an account."""
    links = [f"https://www.facebook.com/page.{number:03}" for number in range(120)]
    cell = " ".join(links)[: MAX_CELL_CHARS + step].ljust(MAX_CELL_CHARS + step, "0")
    result = parse_registry_spreadsheet(write(tmp_path, [["name", "facebook"], ["Amal", cell]]))
    read_count = len(cell.split()) - (step > 0)
    assert [account.typed_text for account in result.accounts] == cell.split()[:read_count]
    issues = [problem.issue for problem in result.problems]
    assert issues == ([Issue.TOO_MANY_CHARACTERS] if step > 0 else [])


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_text_about_a_long_line_of_links_has_the_limit(language):
    text = Translator(language).term("problem", Issue.TOO_MANY_CHARACTERS)
    assert int(re.sub(r"\D", "", text)) == MAX_CELL_CHARS


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
