"""A coordinator's spreadsheet becomes the registry, and nothing in it is dropped silently."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.core.errors import InputError
from auditor.core.i18n.translator import Translator
from auditor.registry import spreadsheet
from auditor.registry.columns import identify_column
from auditor.registry.existing_entries import ExistingEntries, make_association_id
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.issues import Issue
from probes.links import channel_registry
from storage.store import Store
from tests.support.spreadsheets import write_xlsx

SHEETS = Path(__file__).parents[3] / "fixtures" / "data" / "registry"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
CASES = Path(__file__).with_name("cases")
READ_SHEETS = tomllib.loads((CASES / "sheets.toml").read_text("utf-8"))["sheets"]
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


def test_troubled_spreadsheet_is_read_with_a_problem_for_each_trouble():
    reading = parse_registry_spreadsheet(SHEETS / "troubled.csv")
    severities = [problem.severity for problem in reading.problems]
    assert list(zip(severities, list_issues(reading), strict=True)) == [
        ("warning", (3, "Shoe size", Issue.UNKNOWN_COLUMN)),
        ("error", (5, "ID", Issue.DUPLICATE_ID)),
        ("warning", (5, "Website", Issue.WRONG_COLUMN)),
        ("warning", (6, "Name", Issue.DUPLICATE_NAME)),
        ("warning", (6, "Facebook", Issue.SHARED_ACCOUNT)),
        ("warning", (6, "YouTube", Issue.NOT_AN_ACCOUNT)),
        ("error", (7, "Name", Issue.NO_NAME)),
        ("warning", (8, "Facebook", Issue.UNREADABLE_LINK)),
    ]
    assert [entry.id for entry in reading.associations] == ["a1", "a1-2", "a3", "a5"]
    sites = [(a.association, a.identity.key) for a in reading.accounts if a.channel == "website"]
    assert sites[-2:] == [("a5", "hill-singers.example"), ("a5", "songs.hill-singers.example")]
    assert ("a1", "youtube") not in {(a.association, a.column) for a in reading.accounts}


@pytest.mark.parametrize("case", READ_SHEETS, ids=lambda case: case["name"])
def test_sheet_is_read_with_its_problems(tmp_path, case):
    reading = parse_registry_spreadsheet(write_spreadsheet(tmp_path, case["sheet"]))
    assert [f"{entry.id}: {entry.name}" for entry in reading.associations] == case["associations"]
    assert [f"{row.column}: {row.typed_text}" for row in reading.accounts] == case["links"]
    assert [
        f"{found.line} {found.column}: {found.severity} {found.issue} {found.value}".rstrip()
        for found in reading.problems
    ] == case["problems"]


def test_second_import_of_an_id_without_a_page_finds_the_association(tmp_path):
    path = write_spreadsheet(tmp_path, "id,name\n..,Nour\n../x,Amal\n")
    first = parse_registry_spreadsheet(path)
    existing = ExistingEntries.from_registry(first.associations, first.accounts)
    assert parse_registry_spreadsheet(path, existing=existing).associations == first.associations


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
        ("Instagram", None),
        ("", None),
    ],
)
def test_headings_are_recognised_in_three_languages(heading, column):
    assert identify_column(heading, CHANNELS) == column


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


def test_generated_id_depends_only_on_the_name():
    assert make_association_id("Les Amis du  Théâtre") == make_association_id("les amis du théâtre")
    assert make_association_id("Harbour Readers") == "harbour-readers"
    assert make_association_id("جمعية نبع الحكاية") == make_association_id("جمعيّة نبع الحكاية")
    assert make_association_id("جمعية نبع الحكاية") != make_association_id("جمعية نبع الرواية")


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


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no column is called name"),
        (b"a,b\n1,2\n", "no column is called name"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "damaged", marks=pytest.mark.slow),
        pytest.param(b"PK\x03\x04 not really", "not a spreadsheet", marks=pytest.mark.slow),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not a spreadsheet"),
        (b'name\n"never closed' + b"x" * 200_000, "line 2: a quotation mark"),
    ],
)
def test_invalid_file_is_refused_with_one_line(tmp_path, content, why):
    with pytest.raises(InputError, match=why) as refusal:
        parse_registry_spreadsheet(write_spreadsheet(tmp_path, content))
    assert "\n" not in str(refusal.value)


def import_file(store, path, now=NOW, **options):
    reading = parse_registry_spreadsheet(path)
    return store.registry.save_registry(reading.associations, reading.accounts, now, **options)


@pytest.mark.parametrize("name", ["arabic.csv", "french-cp1252.csv", "troubled.csv"])
def test_repeated_import_changes_nothing(store, name):
    assert import_file(store, SHEETS / name)
    assert not import_file(store, SHEETS / name, NOW + timedelta(days=1))


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
