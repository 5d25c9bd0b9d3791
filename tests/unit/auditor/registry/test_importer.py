"""A coordinator's spreadsheet becomes the registry, and nothing in it is dropped silently."""

import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl import load_workbook

from auditor.core.errors import InputError
from auditor.core.i18n.translator import Translator
from auditor.registry import spreadsheet
from auditor.registry.columns import identify_column
from auditor.registry.existing_entries import ExistingEntries, make_association_id
from auditor.registry.exporter import build_export_rows
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.issues import Issue
from auditor.registry.workbook_writer import iter_workbook_chunks
from probes.links import channel_registry
from storage.store import Store
from tests.support.spreadsheets import write_xlsx

SHEETS = Path(__file__).parents[3] / "fixtures" / "data" / "registry"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
CHANNELS = frozenset({"website", "facebook", "twitter", "linkedin", "youtube"})


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        yield opened


def write_spreadsheet(tmp_path, text, name="sheet.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def keys(reading, channel):
    return [account.identity.key for account in reading.accounts if account.channel == channel]


def list_issues(reading):
    return [(problem.line, problem.column, problem.issue) for problem in reading.problems]


@pytest.mark.parametrize("name", ["arabic.csv", "arabic-cp1256.csv"])
def test_arabic_spreadsheet_is_read_in_both_encodings(name):
    reading = parse_registry_spreadsheet(SHEETS / name)
    assert [entry.name for entry in reading.associations] == [
        "جمعية الغيمة الزرقاء",
        "جمعية نبع الحكاية",
    ]
    assert {entry.association.language for entry in reading.associations} == {"ar"}
    assert reading.associations[0].association.region == "جهة الأطلس"
    assert keys(reading, "facebook") == ["u:alghaymazarqae", "u:nab3hikaya"]
    assert keys(reading, "twitter") == ["nab3hikaya"]
    assert keys(reading, "youtube") == ["@alghaymazarqae"]


def test_french_spreadsheet_of_an_old_excel_is_read():
    reading = parse_registry_spreadsheet(SHEETS / "french-cp1252.csv")
    first, second = reading.associations
    assert (first.id, first.name, first.association.language) == (
        "1",
        "Les Amis du Théâtre d'Ombres",
        "fr",
    )
    assert first.association.tags == ("culture", "théâtre")
    assert first.association.none_by_choice == ("twitter", "linkedin")
    assert first.contact.phone == "+212 5 00 00 00 01"
    assert first.contact.media_officer == "volunteer"
    assert second.name == "Club Lumière Éclair"
    assert list_issues(reading) == [
        (1, "", Issue.GUESSED_ENCODING),
        (3, "Courriel", Issue.BAD_EMAIL),
    ]


def test_problems_have_line_and_column():
    reading = parse_registry_spreadsheet(SHEETS / "troubled.csv")
    assert list_issues(reading) == [
        (3, "Shoe size", Issue.UNKNOWN_COLUMN),
        (5, "ID", Issue.DUPLICATE_ID),
        (5, "Website", Issue.WRONG_COLUMN),
        (6, "Name", Issue.DUPLICATE_NAME),
        (6, "Facebook", Issue.SHARED_ACCOUNT),
        (6, "YouTube", Issue.NOT_AN_ACCOUNT),
        (7, "Name", Issue.NO_NAME),
        (8, "Facebook", Issue.UNREADABLE_LINK),
    ]
    severities = {problem.issue: problem.severity for problem in reading.problems}
    assert severities[Issue.DUPLICATE_ID] == severities[Issue.NO_NAME] == "error"
    assert severities[Issue.SHARED_ACCOUNT] == "warning"


def test_duplicate_id_keeps_both_associations():
    reading = parse_registry_spreadsheet(SHEETS / "troubled.csv")
    assert [entry.id for entry in reading.associations] == ["a1", "a1-2", "a3", "a5"]


@pytest.mark.parametrize("association_id", ["..", "x/decisions", "a//b"])
def test_id_without_a_page_is_an_error(tmp_path, association_id):
    reading = parse_registry_spreadsheet(
        write_spreadsheet(tmp_path, f"id,name\n{association_id},Nour\n")
    )
    assert [(found.issue, found.severity) for found in reading.problems] == [
        (Issue.UNUSABLE_ID, "error")
    ]
    # It was imported with that id all the same, and none of its pages could be opened.
    assert [entry.id for entry in reading.associations] == ["nour"]


def test_second_import_of_an_id_without_a_page_finds_the_association(tmp_path):
    path = write_spreadsheet(tmp_path, "id,name\n..,Nour\n../x,Amal\n")
    first = parse_registry_spreadsheet(path)
    existing = ExistingEntries.from_registry(first.associations, first.accounts)
    assert parse_registry_spreadsheet(path, existing=existing).associations == first.associations


def test_links_in_one_cell_become_separate_accounts():
    reading = parse_registry_spreadsheet(SHEETS / "troubled.csv")
    sites = [
        a.identity.key for a in reading.accounts if a.association == "a5" and a.channel == "website"
    ]
    assert sites == ["hill-singers.example", "songs.hill-singers.example"]


def test_cell_meaning_none_registers_no_account():
    reading = parse_registry_spreadsheet(SHEETS / "troubled.csv")
    assert not [a for a in reading.accounts if a.association == "a1" and a.column == "youtube"]


def test_cell_of_invisible_characters_is_empty(tmp_path):
    reading = parse_registry_spreadsheet(
        write_spreadsheet(tmp_path, "name,facebook\nAnnour,\u200f\u200e\n")
    )
    assert (reading.accounts, list_issues(reading)) == ([], [])


@pytest.mark.parametrize("cell", ["????? ?????", "\ufffd\ufffd", "✔"])
def test_mojibake_cell_is_reported(tmp_path, cell):
    assert [
        column
        for _, column, _ in list_issues(
            parse_registry_spreadsheet(
                write_spreadsheet(tmp_path, f"name,facebook\nAnnour,{cell}\n")
            )
        )
    ] == ["facebook"]


def test_columns_may_have_any_order(tmp_path):
    first = parse_registry_spreadsheet(
        write_spreadsheet(
            tmp_path, "name,facebook,website\nX Y,https://www.facebook.com/xyclub,xy.example\n"
        )
    )
    second = parse_registry_spreadsheet(
        write_spreadsheet(
            tmp_path, "website\tfacebook\tname\nxy.example\thttps://www.facebook.com/xyclub\tX Y\n"
        )
    )
    assert first.associations == second.associations
    assert {a.identity for a in first.accounts} == {a.identity for a in second.accounts}


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("اسم الجمعيّة", "name"),
        ("الإسم", "name"),
        ("NOM DE L’ASSOCIATION", "name"),
        ("Téléphone (GSM)", "phone"),
        ("E-mail", "email"),
        ("X (Twitter)", "twitter"),
        ("إكس (تويتر)", "twitter"),
        ("LinkedIn", "linkedin"),
        ("قناة اليوتيوب", "youtube"),
        ("رابط صفحة الفيسبوك", "facebook"),
        ("url-website", "website"),
        ("Lien de la page Facebook", "facebook"),
        ("Mots-clés", "tags"),
        ("Aucun par choix", "none_by_choice"),
        ("none_by_choice", "none_by_choice"),
        ("Shoe size", None),
        ("", None),
    ],
)
def test_headings_are_recognised_in_three_languages(heading, column):
    assert identify_column(heading, CHANNELS) == column


def test_channel_without_probe_is_an_unknown_column():
    assert identify_column("Instagram", CHANNELS) is None
    assert identify_column("Instagram", CHANNELS | {"instagram"}) == "instagram"


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("واتساب", "whatsapp"),
        ("قناة الواتساب", "whatsapp"),
        ("Chaîne WhatsApp", "whatsapp"),
        ("انستغرام", "instagram"),
        ("إنستغرام", "instagram"),
        ("Compte Instagram", "instagram"),
        ("تيك توك", "tiktok"),
        ("Lien TikTok", "tiktok"),
        ("تيليغرام", "telegram"),
        ("تلغرام", "telegram"),
        ("Canal Telegram", "telegram"),
    ],
)
def test_headings_of_optional_channels_are_recognised(heading, column):
    assert identify_column(heading, channel_registry.list_channels()) == column


def test_phone_in_the_whatsapp_column_is_reported_and_is_no_account(tmp_path):
    text = (
        "name,whatsapp\nAnnour,https://wa.me/212600000102\n"
        "Amal,https://whatsapp.com/channel/0029VaAnnour7f3c9a51TZxQ\n"
    )
    reading = parse_registry_spreadsheet(write_spreadsheet(tmp_path, text), "ar")
    assert keys(reading, "whatsapp") == [None, "0029VaAnnour7f3c9a51TZxQ"]
    assert [problem.issue for problem in reading.problems] == [Issue.NOT_AN_ACCOUNT]


def test_generated_id_depends_only_on_the_name():
    assert make_association_id("Les Amis du  Théâtre") == make_association_id("les amis du théâtre")
    assert make_association_id("Harbour Readers") == "harbour-readers"
    assert make_association_id("جمعية نبع الحكاية") == make_association_id("جمعيّة نبع الحكاية")
    assert make_association_id("جمعية نبع الحكاية") != make_association_id("جمعية نبع الرواية")


def test_workbook_cells_are_read_as_displayed(tmp_path):
    rows = [
        ["Network", None],
        ["id", "name", "website", "phone"],
        [20857.0, "Harbour Readers", "harbour-readers.example", "+212600000000"],
    ]
    write_xlsx(tmp_path / "sheet.xlsx", cover=[], list=rows)
    reading = parse_registry_spreadsheet(tmp_path / "sheet.xlsx")
    assert [(entry.id, entry.contact.phone) for entry in reading.associations] == [
        ("20857", "+212600000000")
    ]
    assert keys(reading, "website") == ["harbour-readers.example"]


def test_sheet_with_most_columns_is_imported(tmp_path):
    titles = [["Title", "Shoe size"], ["Not an association", "41"]]
    rows = [["name", "website", "city"], ["Harbour Readers", "harbour-readers.example", "Mersa"]]
    write_xlsx(tmp_path / "sheet.xlsx", titles=titles, list=rows)
    assert [
        entry.name for entry in parse_registry_spreadsheet(tmp_path / "sheet.xlsx").associations
    ] == ["Harbour Readers"]


HARBOUR = "https://www.facebook.com/harbourreaders"


@pytest.mark.parametrize(
    ("text", "url", "typed"),
    [
        ("Harbour Readers", HARBOUR, HARBOUR),
        ("ici", HARBOUR, HARBOUR),
        (HARBOUR, "https://www.facebook.com/left.from.before", HARBOUR),
        ("facebook.com/harbourreaders", HARBOUR, "facebook.com/harbourreaders"),
        ("@harbour", HARBOUR, "@harbour"),
        ("harbour", "mailto:a@harbour.example", "harbour"),
        ("harbour", None, "harbour"),
    ],
)
def test_hyperlink_replaces_words_but_not_an_address(tmp_path, text, url, typed):
    rows = [["name", "facebook"], ["Harbour Readers", (text, url)]]
    reading = parse_registry_spreadsheet(write_xlsx(tmp_path / "sheet.xlsx", all=rows))
    assert [row.typed_text for row in reading.accounts] == [typed]


def test_hyperlink_does_not_replace_a_name(tmp_path):
    rows = [["name", "website"], [("Harbour", HARBOUR), ""]]
    reading = parse_registry_spreadsheet(write_xlsx(tmp_path / "sheet.xlsx", all=rows))
    assert [entry.name for entry in reading.associations] == ["Harbour"]
    assert not reading.accounts


def test_second_sheet_with_associations_is_reported(tmp_path):
    rows = [["name", "city"], ["Harbour Readers", "Mersa"]]
    pages = {"Rabat": rows, "Agadir": rows, "Notes": [["what to do"]], "Empty": rows[:1]}
    reading = parse_registry_spreadsheet(write_xlsx(tmp_path / "sheet.xlsx", **pages))
    assert len(reading.associations) == 1
    assert [(problem.issue, problem.value) for problem in reading.problems] == [
        (Issue.IGNORED_SHEET, "Agadir")
    ]
    assert reading.problems[0].describe(Translator("en")).endswith("was not read: Agadir")
    assert "line" not in reading.problems[0].describe(Translator("en"))


def test_multiline_cell_does_not_shift_line_numbers(tmp_path):
    text = 'name,note,facebook\n"Two\nlines",x,\nNext,y,not a link at all\n'
    assert list_issues(parse_registry_spreadsheet(write_spreadsheet(tmp_path, text))) == [
        (4, "facebook", Issue.UNREADABLE_LINK)
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no column is called name"),
        (b"a,b\n1,2\n", "no column is called name"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "damaged"),
        (b"PK\x03\x04 not really", "not a spreadsheet"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not a spreadsheet"),
        (b'name\n"never closed' + b"x" * 200_000, "line 2: a quotation mark"),
    ],
)
def test_invalid_file_is_refused_with_one_line(tmp_path, content, why):
    with pytest.raises(InputError, match=why) as refusal:
        parse_registry_spreadsheet(write_spreadsheet(tmp_path, content))
    assert "\n" not in str(refusal.value)


def test_archive_without_workbook_is_refused(tmp_path):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    with pytest.raises(InputError, match="not a spreadsheet"):
        parse_registry_spreadsheet(write_spreadsheet(tmp_path, buffer.getvalue(), "sheet.ods"))


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        parse_registry_spreadsheet(tmp_path / "none.csv")


def import_file(store, path, now=NOW, **options):
    reading = parse_registry_spreadsheet(path)
    return store.registry.save_registry(reading.associations, reading.accounts, now, **options)


@pytest.mark.parametrize("name", ["arabic.csv", "french-cp1252.csv", "troubled.csv"])
def test_repeated_import_changes_nothing(store, name):
    assert import_file(store, SHEETS / name)
    assert not import_file(store, SHEETS / name, NOW + timedelta(days=1))


@pytest.mark.parametrize("name", ["arabic.csv", "french-cp1252.csv", "troubled.csv"])
@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_import_of_an_export_changes_nothing(store, tmp_path, name, suffix):
    import_file(store, SHEETS / name)
    lines = build_export_rows(
        store.registry.list_association_entries(), store.registry.list_accounts()
    )
    data = spreadsheet.to_csv(lines) if suffix == "csv" else to_xlsx(lines)
    changes = import_file(
        store, write_spreadsheet(tmp_path, data, f"out.{suffix}"), NOW + timedelta(days=1)
    )
    assert not changes, changes


def test_unlisted_link_is_kept_until_pruned(store, tmp_path):
    with_link = "name,facebook\nHarbour Readers,https://www.facebook.com/harbourreaders\n"
    import_file(store, write_spreadsheet(tmp_path, with_link))
    without_link = write_spreadsheet(tmp_path, "name,facebook\nHarbour Readers,\n")
    assert [row.typed_text for row in import_file(store, without_link).accounts_withdrawn] == [
        "https://www.facebook.com/harbourreaders"
    ]
    assert len(list(store.registry.list_accounts(include_withdrawn=True))) == 1
    assert import_file(store, without_link, prune=True).accounts_pruned
    assert not list(store.registry.list_accounts(include_withdrawn=True))


def test_dry_run_changes_nothing(store):
    assert import_file(store, SHEETS / "arabic.csv", dry_run=True)
    assert not list(store.registry.list_associations())


HOSTILE = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1"]


def to_xlsx(table):
    """Return a table as a workbook."""
    return b"".join(iter_workbook_chunks({"registry": map(spreadsheet.guard_cells, table)}))


def test_exported_cells_are_never_formulas():
    text = spreadsheet.to_csv([HOSTILE]).decode("utf-8-sig")
    assert all(cell.lstrip('"').startswith("'") for cell in text.strip().split(","))
    book = load_workbook(BytesIO(to_xlsx([HOSTILE])))
    assert {cell.data_type for cell in book.active[1]} == {"s"}


def test_hostile_cell_survives_export_and_import(tmp_path):
    path = write_spreadsheet(tmp_path, spreadsheet.to_csv([["name", "note"], ["Harbour", "=1+1"]]))
    assert parse_registry_spreadsheet(path).associations[0].contact.note == "=1+1"


def test_csv_has_a_bom_by_default():
    assert spreadsheet.to_csv([["x"]]).startswith(b"\xef\xbb\xbf")
    assert spreadsheet.to_csv([["x", "y"]], bom=False, delimiter=";") == b"x;y\r\n"


@pytest.mark.parametrize(
    "name",
    [
        "govlens_agencies.csv",
        pytest.param("usda_farmers_markets.csv", marks=pytest.mark.slow),
        "opendatafrance_orgs.csv",
    ],
)
def test_real_registries_are_read_completely(shared, name):
    path = shared / "data" / "registries" / name
    reading = parse_registry_spreadsheet(path)
    rows = len(next(iter(spreadsheet.read_sheets(path))).rows) - 1
    nameless = sum(problem.issue is Issue.NO_NAME for problem in reading.problems)
    assert len(reading.associations) + nameless == rows
    assert reading.accounts
