"""Scenarios of accounts: what happens in which run, and the expected results.

`account_scenarios.toml` has the scenarios of the social accounts, `website_scenarios` those of the
sites. Runs count from 1. In a mapping by run, a value is valid from its run until the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import tomli

DEFAULT_RUN_COUNT = 14
"""Number of runs of the demo. Scenarios support any number of runs."""

FOREVER = 10_000
"""A run number that is never reached. A range that ends with it does not end."""

UNRELIABLE_YOUTUBE_RUN = 6
"""The run in which YouTube responds with 404 to all requests, also for canaries."""

SECOND_IMPORT_RUN = 9
"""The run before which the coordinator imports the corrected spreadsheet."""

API_FAILURES = {
    "youtube": (12, "rate_limited"),
    "twitter": (9, "server_error"),
    "facebook": (10, "server_error"),
}
"""The run in which the API of a channel fails, and the resulting reason."""


@dataclass(frozen=True, slots=True)
class AccountScenario:
    """A scenario with its expected results.

    `findings_by_run` has the finding of each run ("presence reason"), `statuses_by_run` the
    account status ("state reason"). `gap_run_ranges` has the first and last run in which a gap is
    open. A negative first run counts back from the last run. `with_api_key` has the results with
    an API key. None means that they are the same.
    """

    description: str
    findings_by_run: Mapping[int, str]
    statuses_by_run: Mapping[int, str]
    gap_run_ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    with_api_key: AccountScenario | None = None

    def expected_at(self, run_number: int) -> tuple[str, str]:
        """Return the expected finding and account status of a run."""
        finding = _get_value_at_run(self.findings_by_run, run_number)
        return finding, _get_value_at_run(self.statuses_by_run, run_number)

    def select_api_scenario(self) -> AccountScenario:
        """Return the scenario with an API key."""
        return self.with_api_key or self

    def iter_open_gaps(self, run_number: int, total_runs: int) -> Iterator[str]:
        """Yield the codes of the gaps that are open in a run."""
        for code, (first, last) in self.gap_run_ranges.items():
            first_run = first if first > 0 else total_runs + first
            if first_run <= run_number <= last:
                yield code


def _get_value_at_run(values_by_run: Mapping[int, str], run_number: int) -> str:
    return values_by_run[max(first for first in values_by_run if first <= run_number)]


def make_steady_scenario(
    description: str, finding: str, with_api_key: AccountScenario | None = None, **gaps: int
) -> AccountScenario:
    """Return a scenario that does not change. Each gap opens in its run and stays open."""
    presence, _, reason = finding.partition(" ")
    status = f"present {reason}".strip() if presence == "present" else "unknown"
    return AccountScenario(
        description, {1: finding}, {1: status}, _open_until_end(gaps), with_api_key
    )


def make_gone_scenario(
    description: str, reason: str, gap_code: str, first_run: int = 1
) -> AccountScenario:
    """Return a scenario of an account that is absent from a run, and gone six days later."""
    before = {1: "present"} if first_run > 1 else {}
    initial_status = before or {1: "unknown"}
    return AccountScenario(
        description,
        {**before, first_run: f"absent {reason}"},
        {**initial_status, first_run + 6: f"gone {reason}"},
        _open_until_end({gap_code: first_run + 6}),
    )


def _open_until_end(gaps: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    return {code: (first, FOREVER) for code, first in gaps.items()}


def _load_scenarios() -> dict[str, dict[str, AccountScenario]]:
    """Load the scenarios by channel and name."""
    text = files("auditor.demo").joinpath("account_scenarios.toml").read_text("utf-8")
    return {
        channel: {name: _build_scenario(entry) for name, entry in entries.items()}
        for channel, entries in tomli.loads(text).items()
    }


def _build_scenario(entry: Mapping[str, Any]) -> AccountScenario:
    """Return the scenario of an entry of `account_scenarios.toml`, which explains the forms."""
    description = entry["description"]
    with_api_key = _build_scenario(entry["with_api_key"]) if "with_api_key" in entry else None
    if "finding" in entry:
        gaps = entry.get("gaps", {})
        return make_steady_scenario(description, entry["finding"], with_api_key, **gaps)
    if "gone" in entry:
        gone = entry["gone"]
        return make_gone_scenario(description, gone["reason"], gone["gap"], gone["first_run"])
    gap_runs = {code: (*runs, FOREVER)[:2] for code, runs in entry.get("gap_runs", {}).items()}
    return AccountScenario(
        description,
        _parse_runs(entry["findings"]),
        _parse_runs(entry["statuses"]),
        gap_runs,
        with_api_key,
    )


def _parse_runs(values_by_run: Mapping[str, str]) -> dict[int, str]:
    return {int(run): value for run, value in values_by_run.items()}


SOCIAL_SCENARIOS = _load_scenarios()
"""The scenarios of social accounts by channel and name."""
