"""Workbooks are read without a process, except in slow tests."""

import pytest

from auditor.registry import workbook_reader


@pytest.fixture(autouse=True)
def _read_workbooks_in_this_process(request, monkeypatch):
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr(workbook_reader, "read_raw_sheets", workbook_reader.read_workbook)
