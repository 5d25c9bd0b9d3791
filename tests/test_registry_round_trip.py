"""The registry goes out as a sheet, is corrected in Excel or LibreOffice, and comes in again."""

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from openpyxl import load_workbook

from auditor import roster, sheet
from auditor.cli import main
from auditor.columns import AFTER, FACTS, LINKS, column_of
from auditor.officer import CODES, officer_of
from auditor.registry import read
from auditor.wording import Wording
from probes import links
from storage.model import Association
from storage.store import Store

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
            (*CODES, "Mme =Amal, bureau")[n % 4],
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


def taken(store, data, path, now=NOW, **options):
    path.write_bytes(data)
    reading = read(path)
    return store.save_registry(reading.associations, reading.accounts, now, **options)


def exported(store, language, form, delimiter=","):
    words = Wording(language) if language else None
    lines = roster.table(store.associations(), store.accounts(), words)
    if form == "xlsx":
        return roster.workbook(lines, words, right_to_left=language == "ar")
    return sheet.to_csv(lines, delimiter=delimiter)


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["ar", "fr", "en", None])
def test_a_sheet_of_any_language_changes_nothing_when_it_comes_back(
    store, tmp_path, language, form, delimiter
):
    assert taken(store, sheet.to_csv(SHEET), tmp_path / "first.csv")
    back = exported(store, language, form, delimiter)
    assert not taken(store, back, tmp_path / f"again.{form}", NOW + timedelta(days=1))


@pytest.mark.parametrize("language", ["ar", "fr", "en", None])
def test_a_sheet_names_its_columns_so_that_we_know_them_again(language):
    words = Wording(language) if language else None
    columns = [*FACTS, LINKS, *AFTER, *links.channels()]
    assert [column_of(roster.heading(name, words), links.channels()) for name in columns] == columns


@pytest.mark.parametrize("language", ["ar", "fr"])
def test_no_heading_of_a_language_is_left_in_english(language):
    said = [roster.heading(name, Wording(language)) for name in (*FACTS, *AFTER)]
    assert not {*said} & {*FACTS, *AFTER}


@pytest.mark.parametrize(
    ("said", "kept"),
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
        ("Mme Amal", "Mme Amal"),
        ("", None),
    ],
)
def test_who_runs_the_channels_is_known_in_three_languages_and_a_name_stays(said, kept):
    assert officer_of(said) == kept


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_an_arabic_workbook_runs_right_to_left_and_every_one_offers_its_words(language):
    words = Wording(language)
    lines = roster.table([Association("nour", "Nour", media_officer="volunteer")], [], words)
    page = load_workbook(BytesIO(roster.workbook(lines, words, right_to_left=language == "ar"))).active
    offered = {
        page.cell(1, min(area.min_col for area in one.sqref.ranges)).value: one.formula1
        for one in page.data_validations.dataValidation
    }
    assert [*offered] == [roster.heading(name, words) for name in ("language", "media_officer")]
    assert words.term("officer", "volunteer") in offered[roster.heading("media_officer", words)]
    assert (page.sheet_view.rightToLeft or False, page.freeze_panes) == (language == "ar", "A2")
    assert page.auto_filter.ref


def test_what_a_workbook_offers_is_read_again():
    for language in ("ar", "fr", "en"):
        said = [Wording(language).term("officer", code) for code in CODES]
        assert [officer_of(word) for word in said] == [*CODES]


def test_the_command_writes_the_language_and_the_format_that_are_asked_for(
    store, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[storage]\nfolder = "."\n')
    taken(store, sheet.to_csv(SHEET), tmp_path / "first.csv")
    assert main(["--lang", "ar", "registry", "export", "-", "--delimiter", ";"]) == 0
    assert capfd.readouterr().out.startswith("الرمز;اسم الجمعية;")
    assert main(["--lang", "fr", "registry", "export", "a.out", "--format", "xlsx"]) == 0
    assert load_workbook(BytesIO((tmp_path / "a.out").read_bytes())).active["A1"].value == "Identifiant"
    assert main(["registry", "export", "out.txt"]) == 3
    assert main(["registry", "export", "-", "--delimiter", "ab"]) == 2
