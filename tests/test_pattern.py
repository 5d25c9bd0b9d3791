"""Patterns are compiled when they are first asked, and every one of them is one."""

import importlib
import pkgutil
import re
import subprocess
import sys

import probes
from probes import pattern


def test_a_pattern_is_what_re_makes_of_it_once_it_is_asked(monkeypatch):
    monkeypatch.setattr(pattern, "MADE", [])
    made = pattern.pattern(r"(a)\w", re.IGNORECASE)
    assert "compiled" not in vars(made)
    assert made.pattern == r"(a)\w"
    assert made.fullmatch("AB")[1] == "A"
    assert made.flags & re.IGNORECASE
    assert made.fullmatch.__self__ is vars(made)["compiled"]


def test_every_pattern_is_one():
    for module in pkgutil.walk_packages(probes.__path__, "probes."):
        importlib.import_module(module.name)
    assert len(pattern.MADE) > 200
    pattern.compile_all()  # raises what is wrong; what is odd warns, and warnings are errors


def test_a_command_that_reads_no_page_compiles_next_to_none_and_a_reader_finds_all_compiled():
    code = "from probes.pattern import MADE; print(sum('compiled' in vars(one) for one in MADE), len(MADE))"
    told = [
        subprocess.run(
            [sys.executable, "-c", f"{before}; {code}"], capture_output=True, text=True, check=True
        )
        for before in (
            "from auditor.config import load, packaged; load(packaged(), {})",
            "import probes.preloaded",
        )
    ]
    (few, many), (all_, whole) = (map(int, one.stdout.split()) for one in told)
    assert few < many / 20
    assert all_ == whole
