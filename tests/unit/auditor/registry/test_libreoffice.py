"""A registry that LibreOffice opened and saved unchanged causes no changes."""

import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from auditor.core.i18n.translator import Translator
from auditor.registry import exporter, spreadsheet
from auditor.registry.importer import parse_registry_spreadsheet
from storage.store import Store
from tests.support.spreadsheets import list_changes

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
OFFICE = shutil.which("soffice")
CSV = "csv:Text - txt - csv (StarCalc)"
UTF8 = ":{},34,76"
"""LibreOffice's way to say what parts the cells (44 `,`, 59 `;`), quotes (34) and UTF-8 (76)."""
HEADING = [
    "id",
    "name",
    "name_ar",
    "phone",
    "city",
    "tags",
    "facebook",
    "twitter",
    "youtube",
    "website",
    "note",
]
ROWS = [
    row.split("|")
    for row in (
        "001|Nour|جمعية النور|0612345678|Agadir|نساء|nour.agadir|@nour||nour.ma|=1+1",
        "00123456789012345678|Amal||+212612345678|TRUE|1; 2|100064512345678||@a||1e9",
        "0077|2026||00212 6 12 34 56 78||3/4||||a.ma\nb.ma|2026-11-25",
        "1-2|-2||06 12 34 56 78|1,5||||||",
        '5|+cmd! A0||(05) 22-33-44-55|#REF!||||||a\n"b"; c, d',
    )
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(OFFICE is None, reason="apt-get install libreoffice-calc"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    (folder / "first.csv").write_bytes(spreadsheet.to_csv([HEADING, *ROWS]))
    first = parse_registry_spreadsheet(folder / "first.csv")
    with Store.open(f"sqlite:///{folder}/auditor.db") as opened:
        opened.registry.save_registry(first.associations, first.accounts, NOW)
        yield opened


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return tmp_path_factory.mktemp("profile").as_uri()


def save_with_libreoffice(path, output_format, profile, input_filter=None):
    """Return the file as LibreOffice saves it.

    `output_format` is a suffix and, optionally, an export filter.
    """
    out = path.with_name(f"saved-{output_format[:3]}")
    options = [f"--infilter={input_filter}"] if input_filter else []
    command = [
        OFFICE,
        "--headless",
        f"-env:UserInstallation={profile}",
        *options,
        "--convert-to",
        output_format,
    ]
    subprocess.run([*command, "--outdir", out, path], check=True, capture_output=True, timeout=120)
    return out / f"{path.stem}.{output_format.partition(':')[0]}"


@pytest.mark.parametrize("language", ["ar", "fr", "en", None])
def test_workbook_saved_by_libreoffice_changes_nothing(store, profile, tmp_path, language):
    translator = Translator(language) if language else None
    lines = exporter.build_export_rows(
        store.registry.list_association_entries(), store.registry.list_accounts(), translator
    )
    path = tmp_path / "sheet.xlsx"
    path.write_bytes(
        b"".join(
            exporter.iter_registry_workbook_chunks(
                lines, translator, right_to_left=language == "ar"
            )
        )
    )
    assert list_changes(store, save_with_libreoffice(path, "xlsx", profile)) == []
    assert list_changes(store, save_with_libreoffice(path, CSV + UTF8.format(59), profile)) == []


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("language", ["ar", "fr", "en", None])
def test_csv_with_converted_numbers_changes_nothing(store, profile, tmp_path, language, delimiter):
    code = ord(delimiter)
    translator = Translator(language) if language else None
    lines = exporter.build_export_rows(
        store.registry.list_association_entries(), store.registry.list_accounts(), translator
    )
    path = tmp_path / "sheet.csv"
    path.write_bytes(spreadsheet.to_csv(lines, delimiter=delimiter))
    usual = f"Text - txt - csv (StarCalc){UTF8.format(code)},1"
    assert list_changes(store, save_with_libreoffice(path, "xlsx", profile, usual)) == []
    assert (
        list_changes(store, save_with_libreoffice(path, CSV + UTF8.format(code), profile, usual))
        == []
    )
