"""No spreadsheet that a stranger sends stops or fills the service: each exceeds a limit by name."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.core.errors import InputError
from auditor.registry import spreadsheet, workbook_reader
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.spreadsheet import read_sheets, to_csv
from auditor.registry.workbook_reader import FILE_LIMITS, ReadLimits, SpreadsheetError
from tests.support.spreadsheets import ZIP_DAMAGES, build_damaged_workbooks, write_ods, write_xlsx

XLS = Path(__file__).parents[4] / "tests/fixtures/data/registry/associations.xls"
ROWS = [["name", "city"], ["Amal", "Agadir"], ["Nour", "Tiznit"], ["Karam", "Rabat"]]
DAMAGES = [
    *ZIP_DAMAGES,
    "cut file",
    "wrong checksum",
    "encrypted",
    "unknown compression",
    "start of an XLS file",
    "empty XLS file",
    "picture",
    "ZIP file without parts",
]


def write_file(folder, form, rows=ROWS):
    path = folder / f"sheet.{form}"
    if form in {"xlsx", "ods"}:
        return write_xlsx(path, all=rows) if form == "xlsx" else write_ods(path, rows)
    path.write_bytes(XLS.read_bytes() if form == "xls" else to_csv(rows))
    return path


def find_exceeded_limit(path, limits):
    """Read a file as the child process does."""
    try:
        if path.suffix == ".csv":
            read_sheets(path, limits)
        else:
            workbook_reader.read_workbook(path.read_bytes(), limits)
    except SpreadsheetError as error:
        return error.code


@pytest.mark.parametrize("form", ["csv", "xlsx", "ods", "xls"])
def test_rows_and_characters_up_to_the_limit_are_read(tmp_path, form):
    path = write_file(tmp_path, form)
    [sheet] = read_sheets(path)
    char_count = sum(len(cell) for row in sheet.rows for cell in row.cells)
    limits = ReadLimits(len(sheet.rows), char_count)
    assert find_exceeded_limit(path, limits) is None
    fewer_rows, fewer_chars = (limits.rows - 1, limits.chars), (limits.rows, limits.chars - 1)
    assert find_exceeded_limit(path, ReadLimits(*fewer_rows)) == "too_many_rows"
    assert find_exceeded_limit(path, ReadLimits(*fewer_chars)) == "too_much_text"


@pytest.mark.parametrize("form", ["csv", "xlsx", "ods"])
@pytest.mark.parametrize(("count", "code"), [(300, None), (301, "too_many_columns")])
def test_table_has_at_most_300_columns(tmp_path, form, count, code):
    """Columns after the 300th were left out silently, and with them the accounts in them."""
    path = write_file(tmp_path, form, [["name"] * count, ["Amal"]])
    assert find_exceeded_limit(path, FILE_LIMITS) == code


def test_endless_device_is_read_up_to_the_limit(monkeypatch):
    monkeypatch.setattr(spreadsheet, "MAX_FILE_BYTES", 100)  # 64 MB would be slow
    with pytest.raises(SpreadsheetError) as raised:
        spreadsheet.read_sheets(Path("/dev/zero"))
    assert raised.value.code == "file_too_large"


@pytest.mark.slow
def test_reading_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook_reader, "MAX_SECONDS", 0)
    with pytest.raises(SpreadsheetError, match="takes more than 0 seconds"):
        read_sheets(write_file(tmp_path, "xlsx"))


def test_error_names_the_line_of_a_long_cell(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text(f"name\nAmal\n{'x' * 200_000}\n", "utf-8")
    with pytest.raises(SpreadsheetError, match="line 3: a cell has more than 32,767 characters"):
        read_sheets(path)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_workbook_is_an_input_error(tmp_path, damage):
    path = tmp_path / "damaged.xlsx"
    path.write_bytes(build_damaged_workbooks(tmp_path)[damage])
    with pytest.raises(SpreadsheetError) as refusal:
        parse_registry_spreadsheet(path)
    assert refusal.value.exit_code == InputError.exit_code
    expected = dict.fromkeys(["picture", "ZIP file without parts"], "not_a_spreadsheet")
    expected |= dict.fromkeys(["missing worksheet", "wrong target"], "no_name_column")
    assert refusal.value.code == expected.get(damage, "damaged")


def mutate(data, changes):
    """Change bytes at shares of the length of a file."""
    changed = bytearray(data)
    for share, byte in changes:
        changed[int(share * (len(changed) - 1))] = byte
    return bytes(changed)


CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12)


def assert_read_or_refused(path, data):
    path.write_bytes(data)
    try:
        parse_registry_spreadsheet(path, limits=ReadLimits(1000, 100_000))
    except InputError as error:
        assert str(error).count("\n") == 0  # noqa: PT017  # both outcomes are allowed


@given(changes=CHANGES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_csv_is_read_or_refused(tmp_path, changes):
    assert_read_or_refused(tmp_path / "mutated.csv", mutate(to_csv(ROWS), changes))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["xlsx", "ods", "xls"])
@given(changes=CHANGES)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_mutated_workbook_is_read_or_refused(tmp_path, form, changes):
    data = write_file(tmp_path, form).read_bytes()
    assert_read_or_refused(tmp_path / f"mutated.{form}", mutate(data, changes))


def test_ids_of_rows_with_the_same_name_are_found_in_one_step(tmp_path, monkeypatch):
    """The search began at 2 for each row, which took minutes for a few thousand rows."""
    path = tmp_path / "sheet.csv"
    path.write_text("name\n" + "Amal\n" * 2000, "utf-8")
    result = parse_registry_spreadsheet(path)
    assert result.associations[-1].id == "amal-2000"
