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


def write_file(folder, form):
    """Write a file with four rows."""
    path = folder / f"sheet.{form}"
    match form:
        case "csv":
            path.write_bytes(to_csv(ROWS))
        case "xlsx":
            write_xlsx(path, all=ROWS)
        case "ods":
            write_ods(path, ROWS)
        case "xls":
            path.write_bytes(XLS.read_bytes())
    return path


def read_in_process(path, limits):
    """Read a file as the child process does."""
    if path.suffix == ".csv":
        return read_sheets(path, limits)
    return workbook_reader.read_workbook(path.read_bytes(), limits)


def find_exceeded_limit(path, limits):
    try:
        read_in_process(path, limits)
    except SpreadsheetError as error:
        return error.code
    return None


FORMATS = ["csv", "xlsx", "ods", "xls"]


@pytest.mark.parametrize("form", FORMATS)
def test_rows_up_to_the_limit_are_read(tmp_path, form):
    path = write_file(tmp_path, form)
    [sheet] = read_sheets(path)
    count = len(sheet.rows)
    found = [
        find_exceeded_limit(path, FILE_LIMITS._replace(rows=limit))
        for limit in (count + 1, count, count - 1)
    ]
    assert found == [None, None, "too_many_rows"]


@pytest.mark.parametrize("form", FORMATS)
def test_characters_up_to_the_limit_are_read(tmp_path, form):
    path = write_file(tmp_path, form)
    [sheet] = read_sheets(path)
    count = sum(len(cell) for row in sheet.rows for cell in row.cells)
    found = [
        find_exceeded_limit(path, FILE_LIMITS._replace(chars=limit))
        for limit in (count + 1, count, count - 1)
    ]
    assert found == [None, None, "too_much_text"]


@pytest.mark.parametrize("form", FORMATS)
def test_cell_up_to_the_limit_is_read(tmp_path, form, monkeypatch):
    path = write_file(tmp_path, form)
    [sheet] = read_sheets(path)
    longest = max(len(cell) for row in sheet.rows for cell in row.cells)
    found = []
    for limit in (longest + 1, longest, longest - 1):
        monkeypatch.setattr(workbook_reader, "MAX_CELL_CHARS", limit)
        found.append(find_exceeded_limit(path, FILE_LIMITS))
    assert found == [None, None, "cell_too_long"]


@pytest.mark.parametrize(("count", "code"), [(299, None), (300, None), (301, "too_many_columns")])
def test_csv_has_at_most_300_columns_with_text(tmp_path, count, code):
    path = tmp_path / "sheet.csv"
    path.write_text(f"{','.join(['x'] * count)},,,\n", "utf-8")
    assert find_exceeded_limit(path, FILE_LIMITS) == code


@pytest.mark.parametrize("form", ["xlsx", "ods"])
@pytest.mark.parametrize(("count", "code"), [(299, None), (300, None), (301, "too_many_columns")])
def test_table_of_a_workbook_has_at_most_300_columns(tmp_path, form, count, code):
    """Columns after the 300th were left out silently, and with them the accounts in them."""
    path = tmp_path / f"sheet.{form}"
    rows = [["name"] * count, ["Amal"]]
    if form == "xlsx":
        write_xlsx(path, all=rows)
    else:
        write_ods(path, rows)
    assert find_exceeded_limit(path, FILE_LIMITS) == code


@pytest.mark.parametrize(("difference", "code"), [(1, None), (0, None), (-1, "file_too_large")])
def test_file_up_to_the_limit_is_read(tmp_path, monkeypatch, difference, code):
    path = write_file(tmp_path, "csv")
    monkeypatch.setattr(spreadsheet, "MAX_FILE_BYTES", path.stat().st_size + difference)
    assert find_exceeded_limit(path, FILE_LIMITS) == code


def test_endless_device_is_read_up_to_the_limit(monkeypatch):
    monkeypatch.setattr(spreadsheet, "MAX_FILE_BYTES", 100)  # 64 MB would be slow
    with pytest.raises(SpreadsheetError) as raised:
        spreadsheet.read_sheets(Path("/dev/zero"))
    assert raised.value.code == "file_too_large"


def test_larger_workbook_is_to_be_imported_as_csv(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook_reader, "MAX_WORKBOOK_ROWS", 3)
    path = write_file(tmp_path, "xlsx")
    assert find_exceeded_limit(path, FILE_LIMITS) == "too_many_workbook_rows"
    error = SpreadsheetError("too_many_workbook_rows", path, limit=20_000)
    assert str(error).endswith(
        "more than 20,000 rows; try: save it as CSV, then `auditor registry import FILE.csv`"
    )


def test_reading_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook_reader, "MAX_SECONDS", 0)
    with pytest.raises(SpreadsheetError, match="takes more than 0 seconds"):
        read_sheets(write_file(tmp_path, "xlsx"))


def test_error_names_the_line_of_a_long_cell(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text(f"name\nAmal\n{'x' * 200_000}\n", "utf-8")
    with pytest.raises(SpreadsheetError, match="line 3: a cell has more than 32,767 characters"):
        read_sheets(path)


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
