"""No spreadsheet that a stranger sends stops or fills the service: each exceeds a limit by name."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Semaphore

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.core.errors import InputError
from auditor.registry import calamine_reader, sheet_limits, spreadsheet, xlsx_parts
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.sheet_limits import FILE_LIMITS, ReadLimits, SheetLimitExceededError
from auditor.registry.spreadsheet import SpreadsheetError, read_sheets, to_csv
from tests.support.spreadsheets import (
    ZIP_DAMAGES,
    build_damaged_workbooks,
    change_part,
    rewrite_zip,
    write_ods,
    write_xlsx,
)

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
    return calamine_reader.read_workbook(path.read_bytes(), limits)


def find_exceeded_limit(path, limits):
    try:
        read_in_process(path, limits)
    except SheetLimitExceededError as error:
        return error.code
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
        find_exceeded_limit(path, replace(FILE_LIMITS, rows=limit))
        for limit in (count + 1, count, count - 1)
    ]
    assert found == [None, None, "too_many_rows"]


@pytest.mark.parametrize("form", FORMATS)
def test_characters_up_to_the_limit_are_read(tmp_path, form):
    path = write_file(tmp_path, form)
    [sheet] = read_sheets(path)
    count = sum(len(cell) for row in sheet.rows for cell in row.cells)
    found = [
        find_exceeded_limit(path, replace(FILE_LIMITS, chars=limit))
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
        monkeypatch.setattr(sheet_limits, "MAX_CELL_CHARS", limit)
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


@pytest.mark.parametrize(("limit", "code"), [(5, None), (4, None), (3, "too_many_rows")])
def test_lines_of_csv_are_limited_also_if_they_are_empty(tmp_path, monkeypatch, limit, code):
    monkeypatch.setattr(spreadsheet, "MAX_LINES", limit)
    path = tmp_path / "sheet.csv"
    path.write_text("name\n\n\nAmal\n", "utf-8")
    assert find_exceeded_limit(path, FILE_LIMITS) == code


@pytest.mark.parametrize(("limit", "code"), [(3, None), (2, None), (1, "too_many_sheets")])
def test_sheets_up_to_the_limit_are_read(tmp_path, monkeypatch, limit, code):
    monkeypatch.setattr(calamine_reader, "MAX_SHEETS", limit)
    path = write_xlsx(tmp_path / "sheet.xlsx", one=ROWS, two=ROWS)
    assert find_exceeded_limit(path, FILE_LIMITS) == code


@pytest.mark.parametrize(("limit", "code"), [(9, None), (8, None), (7, "too_many_texts")])
def test_texts_up_to_the_limit_are_read(tmp_path, monkeypatch, limit, code):
    monkeypatch.setattr(xlsx_parts, "MAX_SHARED_STRINGS", limit)
    path = write_file(tmp_path, "xlsx")  # it has eight different texts
    assert find_exceeded_limit(path, FILE_LIMITS) == code


@pytest.mark.parametrize("form", ["xlsx", "ods"])
def test_unpacked_size_up_to_the_limit_is_read(tmp_path, monkeypatch, form):
    path = write_file(tmp_path, form)
    with calamine_reader.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    found = []
    for limit in (size + 1, size, size - 1):
        monkeypatch.setattr(xlsx_parts, "MAX_UNPACKED_BYTES", limit)
        found.append(find_exceeded_limit(path, FILE_LIMITS))
    assert found == [None, None, "unpacks_too_large"]


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


@pytest.mark.parametrize(("limit", "code"), [(4, None), (3, None), (2, "too_many_links")])
def test_links_up_to_the_limit_are_imported(tmp_path, limit, code):
    path = tmp_path / "sheet.csv"
    path.write_text("name,facebook\nAmal,fb.com/a fb.com/b\nNour,fb.com/c\n", "utf-8")
    found = None
    try:
        parse_registry_spreadsheet(path, limits=replace(FILE_LIMITS, links=limit))
    except SpreadsheetError as error:
        found = error.code
    assert found == code


@pytest.mark.parametrize(("count", "code"), [(199, None), (200, None), (201, "too_many_row_links")])
def test_association_has_at_most_200_links(tmp_path, count, code):
    """Ten megabytes of short links took a minute."""
    path = tmp_path / "sheet.csv"
    links = [f"a{number}.ma" for number in range(count - 100)]
    accounts = [f"@a{number}" for number in range(100)]
    path.write_text(f"name,links,twitter\nA,{';'.join(links)},{';'.join(accounts)}\nB,b.ma,\n")
    error = None
    try:
        parse_registry_spreadsheet(path)
    except SpreadsheetError as raised:
        error = raised
    assert (error and (error.code, error.line)) == (code and (code, 2))


@pytest.mark.parametrize("line", [b"1048577", b"99999999999", b"0" * 40 + b"9" * 4000])
def test_row_numbered_beyond_the_last_line_is_refused(tmp_path, line):
    path = write_file(tmp_path, "xlsx")
    rewrite_zip(path, change_part("sheet1.xml", b'<row r="3"', b'<row r="' + line + b'"'))
    with pytest.raises(SpreadsheetError, match=r"more than 1,048,576 rows") as refusal:
        read_sheets(path)
    assert refusal.value.code == "too_many_rows"


@pytest.mark.parametrize("what", ["rows", "columns"])
def test_repetition_beyond_the_last_line_is_refused(tmp_path, what):
    attributes = f'table:number-{what}-repeated="99999999999"'
    path = write_ods(tmp_path / "sheet.ods", ROWS, attributes)
    with pytest.raises(SpreadsheetError) as refusal:
        read_sheets(path)
    assert refusal.value.code == "too_many_rows"


def test_reading_that_takes_too_long_is_stopped(tmp_path):
    path = write_file(tmp_path, "xlsx")
    with pytest.raises(SpreadsheetError, match="takes more than 0 seconds"):
        read_sheets(path, replace(FILE_LIMITS, seconds=0))


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
        read_sheets(path)
    assert refusal.value.exit_code == InputError.exit_code
    expected = {"encrypted": "password", "picture": "not_a_spreadsheet"}
    expected["ZIP file without parts"] = "not_a_spreadsheet"
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
        parse_registry_spreadsheet(path, limits=ReadLimits(1000, 100_000, 1000, 60))
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


@pytest.mark.parametrize(("step", "is_refused"), [(-1, False), (0, False), (1, True)])
def test_further_workbook_waits_for_a_reader(monkeypatch, step, is_refused):
    may_end, started = Event(), Semaphore(0)

    def read(data, limits):
        if data == b"slow":
            started.release()
            may_end.wait(60)
        return []

    monkeypatch.setattr(calamine_reader, "_read_twice", read)
    slow_count = sheet_limits.MAX_READERS + step - 1
    with ThreadPoolExecutor() as pool:
        for _ in range(slow_count):
            pool.submit(calamine_reader.read_raw_sheets, b"slow", FILE_LIMITS)
            started.acquire()
        try:
            calamine_reader.read_raw_sheets(b"", replace(FILE_LIMITS, seconds=0))
            code = None
        except SheetLimitExceededError as error:
            code = error.code
        may_end.set()
    assert code == ("too_slow" if is_refused else None)
