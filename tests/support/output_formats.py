"""Reads the state of the network from each output of the auditor in one shape, for comparison."""

import contextlib
import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import unquote

from bs4 import BeautifulSoup

from auditor.cli.main import main
from auditor.evaluation.network_view import build_network_overview
from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import Voice
from tests.support.web_server import logged_in_client

TRANSLATOR = Translator("en")


@dataclass
class NetworkOutput:
    """Coverage by channel name, levels by association, gaps by association and title.

    The titles of closed gaps are good news.
    `change_counts` are the numbers of opened and closed gaps. A page lists the first 200 of each.
    """

    coverage: dict[str, str]
    levels: dict[str, str]
    open: Counter
    opened: Counter
    closed: Counter
    change_counts: tuple[int, int]


def read_overview(app, now):
    """Return the output of the network overview."""
    overview = build_network_overview(app.store, app.config, now)
    associations = overview.associations
    return NetworkOutput(
        dict(
            format_coverage(channel.channel, channel.confirmed, channel.associations)
            for channel in overview.coverage
        ),
        {
            association.association.id: TRANSLATOR.label("level", association.score.level)
            for association in associations
        },
        count_gaps(gap for association in associations for gap in association.gaps),
        count_gaps(overview.opened_gaps),
        count_gaps(overview.closed_gaps, Voice.FIXED),
        (len(overview.opened_gaps), len(overview.closed_gaps)),
    )


def format_coverage(channel, confirmed, associations):
    """Return the name of a channel and its coverage as text."""
    return TRANSLATOR.channel_name(channel), f"{confirmed} of {associations}"


def count_gaps(gaps, voice=Voice.COORDINATOR):
    """Count gaps by association and title."""
    return Counter(
        (gap.association, TRANSLATOR.gap_title(gap.code, gap.channel, voice)) for gap in gaps
    )


def read_json_output(config):
    """Return the JSON output of the commands."""
    reports = list_json_items(config, "report", "--json")
    changes = list_json_items(config, "export", "changes", "-", "--format", "json")
    coverage = list_json_items(config, "export", "coverage", "-", "--format", "json")
    return NetworkOutput(
        read_coverage_rows(coverage),
        {row["association"]: TRANSLATOR.label("level", row["level"]) for row in reports},
        count_gap_rows(list_json_items(config, "gaps", "--json")),
        *count_changes(changes),
    )


def list_json_items(config, *arguments):
    """Return the items of a command's JSON output."""
    return json.loads(run_command(config, *arguments))["items"]


def run_command(config, *arguments):
    """Run a command in this process and return its output."""
    output = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(output):
        assert main(["--config", str(config), *arguments]) == 0
    output.flush()
    return output.buffer.getvalue().decode()


def read_coverage_rows(rows):
    """Return coverage by channel name from rows of the coverage export."""
    return dict(
        format_coverage(row["channel"], row["confirmed"], row["associations"]) for row in rows
    )


def count_gap_rows(rows, voice=Voice.COORDINATOR):
    """Count gaps by association and title from rows of a gap export."""
    return Counter(
        (row["association"], TRANSLATOR.gap_title(row["code"], row["channel"], voice))
        for row in rows
    )


def count_changes(changes):
    """Return the opened gaps, the closed gaps, and the numbers of both."""
    opened = count_gap_rows(row for row in changes if row["change"] == "opened")
    closed = count_gap_rows((row for row in changes if row["change"] == "closed"), Voice.FIXED)
    return opened, closed, (opened.total(), closed.total())


def read_csv_output(config):
    """Return the output of the CSV exports."""
    associations = list_csv_rows(config, "associations")
    return NetworkOutput(
        read_coverage_rows(list_csv_rows(config, "coverage")),
        {row["association"]: TRANSLATOR.label("level", row["level"]) for row in associations},
        count_gap_rows(list_csv_rows(config, "gaps")),
        *count_changes(list_csv_rows(config, "changes")),
    )


def list_csv_rows(config, kind):
    """Return the rows of a CSV export."""
    text = run_command(config, "export", kind, "-").removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text)))


def read_pages(app, now):
    """Return the output of the web pages."""
    with logged_in_client(app, now) as client:
        meeting = get_page(client, "/en/meeting")
        run_day = app.store.get_latest_evaluated_run().day
        changes = get_page(client, f"/en/changes?since={run_day}")
        association_rows = iter_list_rows(client, "/en/associations")
        gap_rows = iter_list_rows(client, "/en/gaps")
        return NetworkOutput(
            dict(read_coverage_bar(row) for row in meeting.select("table.bars tbody tr")),
            {association: get_text(row.select("td")[1]) for association, row in association_rows},
            Counter((association, get_text(row.th)) for association, row in gap_rows),
            Counter(iter_changes(client, run_day, "New")),
            Counter(iter_changes(client, run_day, "Fixed")),
            parse_change_counts(get_text(changes.select_one("p[role=status]"))),
        )


def get_page(client, path):
    """Return a parsed page."""
    response = client.get(path)
    assert response.status_code == 200, path
    return BeautifulSoup(response.text, "lxml")


def iter_list_rows(client, path):
    """Yield the association id and the row of each row on all pages of a list."""
    while path:
        page = get_page(client, path)
        for row in page.select("main table.cards tbody tr"):
            if row.a and "/associations/" in row.a["href"]:
                yield get_association_id(row), row
        next_link = page.select_one("a[rel=next]")
        path = next_link and next_link["href"]


def parse_change_counts(sentence):
    """Return the numbers of opened and closed gaps on the page of changes."""
    opened = re.search(r"(\d+) new problem", sentence)
    closed = re.search(r"(\d+) problems? fixed", sentence)
    return tuple(int(match[1]) if match else 0 for match in (opened, closed))


def iter_changes(client, run_day, caption):
    """Yield association id and gap title of each row in a table of the changes since a run."""
    for table in get_page(client, f"/en/changes?since={run_day}").select("main table"):
        if get_text(table.caption) == caption:
            for row in table.select("tbody tr"):
                yield get_association_id(row), get_text(row.td)


def get_association_id(row):
    """Return the id of the association that a row links to."""
    return unquote(row.a["href"].split("?")[0].rpartition("/")[2])


def read_coverage_bar(row):
    """Return the channel name and the coverage in a row of the meeting pack."""
    channel_name = get_text(row.th)  # removes badges from the row, too
    row_text = " ".join(row.get_text(" ").split())
    return channel_name, re.search(r"\d+ of \d+", row_text)[0]


def get_text(element):
    """Return the text of an element without badges and secondary text."""
    for secondary in element.select(".badge, .soft"):
        secondary.decompose()
    return " ".join(element.get_text().split())
