"""An exported registry can be edited in Excel or LibreOffice and imported again."""

import csv
import io
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from auditor.cli.main import main
from auditor.core.i18n.translator import Translator
from auditor.registry import exporter, spreadsheet
from auditor.registry.columns import (
    FACT_COLUMNS,
    MEDIA_OFFICER_CODES,
    TRAILING_COLUMNS,
    format_media_officer,
    identify_column,
    parse_media_officer,
)
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.issues import Issue
from auditor.registry.spreadsheet import SpreadsheetError
from probes.links import channel_registry
from storage.models.audit import LINKS_COLUMN
from storage.store import Store
from tests.support.spreadsheets import list_changes, read_again

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
HOSTILE = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "-2",
    "00123",
    "1e9",
    "2026-11-25",
    "_x0041_",
    'says "no", then; goes',
    "two\nlines",
    "<b>&amp;</b>",
    "جمعية،\u200f النور؛",
    "TRUE",
    "#REF!",
    "'=1",
    "''-2",
    "'",
    "\x07 rung",
    "one\r\ntwo\rthree\x0bfour",
    "_x000D_\nfive",
    "\u00a0\u202ehidden\u202c",
)
SHEET = [
    [
        "id",
        "name",
        "language",
        "note",
        "city",
        "tags",
        "none_by_choice",
        "media_officer",
        "facebook",
        "links",
    ],
    *(
        [
            *(f"h{n}", f"Association {cell}", "fr", cell, cell, "a; b", "twitter; linkedin"),
            (*MEDIA_OFFICER_CODES, "Mme =Amal, bureau")[n % 4],
            ("https://www.facebook.com/nour", "")[n % 2],
            cell,
        ]
        for n, cell in enumerate(HOSTILE)
    ),
]


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        yield opened


def import_data(store, data, path, now=NOW, **options):
    path.write_bytes(data)
    reading = parse_registry_spreadsheet(path)
    return store.registry.save_registry(reading.associations, reading.accounts, now, **options)


def export_registry(store, language, form, delimiter=","):
    translator = Translator(language) if language else None
    lines = exporter.iter_export_rows(store, translator)
    if form == "xlsx":
        return b"".join(
            exporter.iter_registry_workbook_chunks(
                lines, translator, right_to_left=language == "ar"
            )
        )
    return spreadsheet.to_csv(lines, delimiter=delimiter)


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["ar", "fr", "en", None])
def test_export_in_any_language_changes_nothing(store, tmp_path, language, form, delimiter):
    assert import_data(store, spreadsheet.to_csv(SHEET), tmp_path / "first.csv")
    exported_data = export_registry(store, language, form, delimiter)
    assert not import_data(
        store, exported_data, tmp_path / f"again.{form}", NOW + timedelta(days=1)
    )


def save_as_another_program(data, encoding, delimiter):
    """Return CSV with all cells quoted, as LibreOffice can save it, in the given encoding."""
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(
        rows
    )
    return out.getvalue().encode(encoding)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_saved_by_another_program_changes_nothing(store, tmp_path, encoding, delimiter):
    assert import_data(store, spreadsheet.to_csv(SHEET), tmp_path / "first.csv")
    data = save_as_another_program(export_registry(store, "ar", "csv"), encoding, delimiter)
    assert not import_data(store, data, tmp_path / "again.csv", NOW + timedelta(days=1))


def test_csv_in_cp1256_changes_nothing(store, tmp_path):
    first = [
        ["الرمز", "اسم الجمعية", "الوسوم"],
        ["1", "جمعية النور", "شباب، نساء"],
        ["2", "Théâtre d'Ombres", ""],
    ]
    assert import_data(store, spreadsheet.to_csv(first), tmp_path / "first.csv")
    exported_data = save_as_another_program(export_registry(store, "ar", "csv"), "cp1256", ";")
    assert not import_data(store, exported_data, tmp_path / "again.csv", NOW + timedelta(days=1))


def test_workbook_saved_by_another_program_changes_nothing(store, tmp_path):
    assert import_data(store, spreadsheet.to_csv(SHEET), tmp_path / "first.csv")
    book = load_workbook(BytesIO(export_registry(store, "ar", "xlsx")))
    for row in book.active.iter_rows(min_row=2):
        for cell in row:
            if isinstance(cell.value, str):
                cell.value, cell.data_type = cell.value.replace("\n", "_x000D_\n"), "s"
    buffer = BytesIO()
    book.save(buffer)
    assert not import_data(
        store, buffer.getvalue(), tmp_path / "again.xlsx", NOW + timedelta(days=1)
    )


CELL = st.text(
    "aé=+-@'\"\t\r\n\x0b;,|/ #.:1_xD\u200f\u202e\u00a0ن،", max_size=25
) | st.sampled_from(
    [
        "https://www.facebook.com/nour",
        "facebook.com/a.b ; and words",
        "@amal",
        "Facebook: amal",
        "not a link",
        "https://nour.ma/ https://amal.ma",
        "www.nour.ma, www.amal.ma",
        "لا يوجد",
        "https://youtu.be/abc",
    ]
)
TYPED = ("note", "city", "tags", "media_officer", "website", "facebook")
ROW = st.fixed_dictionaries(dict.fromkeys(TYPED, CELL))


@given(
    rows=st.lists(st.tuples(ROW, CELL), min_size=1, max_size=3),
    language=st.sampled_from(["ar", "fr", None]),
)
@settings(max_examples=15, deadline=None, derandomize=True)
@pytest.mark.parametrize("form", ["csv", pytest.param("xlsx", marks=pytest.mark.slow)])
def test_any_typed_text_survives_export_and_import(tmp_path_factory, form, rows, language):
    folder, translator = (
        tmp_path_factory.mktemp("sheets"),
        Translator(language) if language else None,
    )
    typed = [
        [f"h{n}", f"Name {n}", *(row[name] for name in TYPED), more]
        for n, (row, more) in enumerate(rows)
    ]
    (folder / "first.csv").write_bytes(
        spreadsheet.to_csv([["id", "name", *TYPED, "facebook"], *typed])
    )
    first = parse_registry_spreadsheet(folder / "first.csv")
    lines = exporter.build_export_rows(first.associations, first.accounts, translator)
    data = (
        b"".join(exporter.iter_registry_workbook_chunks(lines, translator, right_to_left=False))
        if form == "xlsx"
        else spreadsheet.to_csv(lines)
    )
    (folder / f"back.{form}").write_bytes(data)
    again = parse_registry_spreadsheet(folder / f"back.{form}")
    assert again.associations == first.associations
    assert again.accounts == first.accounts


@pytest.mark.parametrize("language", ["ar", "fr", "en", None])
def test_exported_headings_are_recognised(language):
    translator = Translator(language) if language else None
    columns = [*FACT_COLUMNS, LINKS_COLUMN, *TRAILING_COLUMNS, *channel_registry.list_channels()]
    assert [
        identify_column(
            exporter.format_column_heading(name, translator), channel_registry.list_channels()
        )
        for name in columns
    ] == columns


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("aucun", "nobody"),
        ("Personne", "nobody"),
        ("لا أحد", "nobody"),
        ("Bénévole", "volunteer"),
        ("متطوعة", "volunteer"),
        ("a volunteer", "volunteer"),
        ("salarié", "dedicated"),
        ("Personne dédiée", "dedicated"),
        ("Chargé(e) de communication", "dedicated"),
        ("شخص متفرغ", "dedicated"),
        ("مكلف بالتواصل", "dedicated"),
        ("non", "nobody"),
        ("Mme Amal", "Mme Amal"),
        ("", None),
    ],
)
def test_media_officer_is_parsed_in_three_languages(cell, expected):
    assert parse_media_officer(cell) == expected


@pytest.mark.parametrize(
    ("cell", "is_reported"),
    [
        ("oui", True),
        ("نعم", True),
        ("-", True),
        ("N/A", True),
        ("inconnu", True),
        ("2", True),
        ("0612345678", False),
        ("salma@nour.ma", False),
        ("Yousra", False),
        ("آمنة", False),
        ("bénévole", False),
        ("لا أحد", False),
    ],
)
def test_media_officer_that_cannot_be_a_name_is_reported_and_kept(tmp_path, cell, is_reported):
    path = tmp_path / "sheet.csv"
    path.write_bytes(spreadsheet.to_csv([["name", "Qui tient les canaux"], ["Nour", cell]]))
    reading = parse_registry_spreadsheet(path)
    assert [problem.issue for problem in reading.problems] == [Issue.UNKNOWN_OFFICER] * is_reported
    assert reading.associations[0].contact.media_officer == (
        cell if is_reported else parse_media_officer(cell)
    )


def test_workbook_has_direction_and_choices_of_its_language(store, tmp_path):
    first = [["id", "name", "media_officer"], ["nour", "Nour", "volunteer"]]
    import_data(store, spreadsheet.to_csv(first), tmp_path / "first.csv")
    worksheet = load_workbook(BytesIO(export_registry(store, "ar", "xlsx"))).active
    validations = worksheet.data_validations.dataValidation
    first_columns = [min(area.min_col for area in each.sqref.ranges) for each in validations]
    headings = [worksheet.cell(1, column).value for column in first_columns]
    translator = Translator("ar")
    assert headings == [
        exporter.format_column_heading(name, translator) for name in ("language", "media_officer")
    ]
    assert format_media_officer("volunteer", translator) in validations[1].formula1
    assert (worksheet.sheet_view.rightToLeft, worksheet.freeze_panes) == (True, "A2")


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_workbook_choices_are_parsed(language):
    labels = [format_media_officer(code, Translator(language)) for code in MEDIA_OFFICER_CODES]
    assert [parse_media_officer(label) for label in labels] == [*MEDIA_OFFICER_CODES]


def test_command_exports_language_and_format(store, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "."\n')
    import_data(store, spreadsheet.to_csv(SHEET), tmp_path / "first.csv")
    assert main(["--lang", "ar", "registry", "export", "-", "--delimiter", ";"]) == 0
    assert capfd.readouterr().out.startswith("الرمز;اسم الجمعية;")
    assert main(["--lang", "fr", "registry", "export", "a.out", "--format", "xlsx"]) == 0
    assert (
        load_workbook(BytesIO((tmp_path / "a.out").read_bytes())).active["A1"].value
        == "Identifiant"
    )
    assert main(["registry", "export", "out.txt"]) == 3
    assert main(["registry", "export", "-", "--delimiter", "ab"]) == 2


def reimport_rows(store, tmp_path, *rows):
    """Parse a spreadsheet with these rows against the registry; return result and changes."""
    path = tmp_path / "back.csv"
    path.write_bytes(spreadsheet.to_csv(rows))
    return read_again(store, path), list_changes(store, path)


NUMBERS = ("id", "name", "phone", "facebook")


def test_rounded_numbers_are_restored(store, tmp_path):
    first = [
        NUMBERS,
        ("007", "Nour", "0612345678", "100064512345678"),
        ("8", "Amal", "+212612345678", ""),
    ]
    import_data(store, spreadsheet.to_csv(first), tmp_path / "first.csv")
    rows = ("7", "Nour", "612345678", "1.00065E+14"), ("8", "Amal", "2.12612E+11", "")
    reading, changes = reimport_rows(store, tmp_path, NUMBERS, *rows)
    assert (changes, reading.problems) == ([], [])


def test_unknown_rounded_number_is_an_error(store, tmp_path):
    rows = [NUMBERS, ("1.23457E+17", "Nour", "6,12346E+08", "1.00065E+14")]
    problems = reimport_rows(store, tmp_path, *rows)[0].problems
    assert [
        (item.column, item.severity) for item in problems if item.issue is Issue.ROUNDED_NUMBER
    ] == [("id", "error"), ("phone", "error"), ("facebook", "error")]


def test_changed_id_is_a_warning(store, tmp_path):
    import_data(
        store, spreadsheet.to_csv([NUMBERS, ("3/2", "Nour", "", "")]), tmp_path / "first.csv"
    )
    reading, changes = reimport_rows(store, tmp_path, NUMBERS, ("03-févr", "Nour", "", ""))
    assert [(problem.issue, problem.value, problem.severity) for problem in reading.problems] == [
        (Issue.CONFLICTING_ID, "03-févr", "warning")
    ]
    assert [line[0] for line in changes] == ["03-févr", "3/2"]


def test_ambiguous_converted_id_is_not_restored(store, tmp_path):
    import_data(
        store,
        spreadsheet.to_csv([NUMBERS, ("01", "Nour", "", ""), ("001", "Amal", "", "")]),
        tmp_path / "first.csv",
    )
    assert (
        reimport_rows(store, tmp_path, NUMBERS, ("1", "New", "", ""))[0].associations[0].id == "1"
    )


@pytest.mark.parametrize("name", ["????? ?????", "Ø¬Ù…Ø¹ÙŠØ© Ø§Ù„Ù†ÙˆØ±"])
def test_mojibake_names_are_refused(store, tmp_path, name):
    with pytest.raises(SpreadsheetError, match=r"line 2.*letters.*UTF-8") as refusal:
        reimport_rows(store, tmp_path, ("id", "name"), ("7", name))
    assert refusal.value.code == "mojibake"


def test_lost_letters_are_restored_by_id(store, tmp_path):
    first = [("id", "name", "Ville", "phone"), ("7", "جمعية النور", "أكادير", "٠٦١٢٣٤٥٦٧٨")]
    import_data(store, spreadsheet.to_csv(first), tmp_path / "first.csv")
    reading, changes = reimport_rows(
        store, tmp_path, first[0], ("7", "????? ?????", "??????", "??????????")
    )
    assert (changes, reading.problems) == ([], [])


def test_unknown_mojibake_cell_is_an_error(store, tmp_path):
    rows = ("id", "name", "Ville", "phone"), ("7", "Nour", "??????", "??????????")
    reading, _ = reimport_rows(store, tmp_path, *rows)
    assert [(problem.column, problem.issue) for problem in reading.problems] == [
        ("Ville", Issue.MOJIBAKE),
        ("phone", Issue.MOJIBAKE),
    ]


def test_mojibake_headings_are_refused(store, tmp_path):
    with pytest.raises(SpreadsheetError, match=r"line 1.*letters") as refusal:
        reimport_rows(store, tmp_path, ("?????", "??? ???????"), ("7", "????? ?????"))
    assert refusal.value.code == "mojibake"
