"""Reads the state of the network from each output of the auditor in one shape, for comparison."""

import contextlib
import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup
from openpyxl import load_workbook

from auditor.cli.main import main
from auditor.conclusions.network_view import build_network_overview
from auditor.conclusions.summary import summarize_channel
from auditor.config.schema import load_config
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import get_gap_kind
from auditor.presentation.notifications.digest import build_digest, collect_network_changes
from tests.support.web_server import logged_in_client

TRANSLATOR = Translator("en")


@dataclass
class NetworkOutput:
    """The figures of one output; None if the output does not contain them.

    Coverage is by channel name, levels are by association, statuses by association and channel
    name. `status_counts` counts associations by channel name and status, `kinds` by kind of gap.
    Gaps are counted by association and title; the titles of closed gaps are good news.
    `change_counts` are the numbers of opened and closed gaps. A page lists the first 200 of each.
    """

    coverage: dict[str, str] | None = None
    levels: dict[str, str] | None = None
    statuses: dict[tuple[str, str], str] | None = None
    status_counts: Counter | None = None
    kinds: Counter | None = None
    open_count: int | None = None
    open: Counter | None = None
    opened: Counter | None = None
    closed: Counter | None = None
    change_counts: tuple[int, int] | None = None


def read_overview(app, now):
    """Return the output of the network overview."""
    overview = build_network_overview(app.store, app.config, now)
    associations = overview.associations
    gaps = [gap for association in associations for gap in association.gaps]
    statuses = {
        (view.association.id, TRANSLATOR.channel_name(channel)): format_status(
            summarize_channel(view, channel).status
        )
        for view, channel in product(associations, app.config.channels)
    }
    return NetworkOutput(
        coverage=dict(
            format_coverage(channel.channel, channel.confirmed, channel.associations)
            for channel in overview.coverage
        ),
        levels={
            association.association.id: TRANSLATOR.label("level", association.score.level)
            for association in associations
        },
        statuses=statuses,
        status_counts=count_statuses(statuses),
        kinds=count_kinds((gap.association, get_gap_kind(gap)) for gap in gaps),
        open_count=len(gaps),
        open=count_gaps(gaps),
        opened=count_gaps(overview.opened_gaps),
        closed=count_gaps(overview.closed_gaps, "fixed"),
        change_counts=(len(overview.opened_gaps), len(overview.closed_gaps)),
    )


def format_status(status):
    """Return the status of a channel in words."""
    return TRANSLATOR.term("channel_status", status)


def count_statuses(statuses):
    """Count associations by channel name and status."""
    return Counter((channel_name, status) for (_, channel_name), status in statuses.items())


def count_kinds(pairs):
    """Count the associations of each kind of gap, from pairs of association and kind."""
    return Counter(str(kind) for _, kind in set(pairs))


def format_coverage(channel, confirmed, associations):
    """Return the name of a channel and its coverage as text."""
    return TRANSLATOR.channel_name(channel), f"{confirmed} of {associations}"


def count_gaps(gaps, voice="coordinator"):
    """Count gaps by association and title."""
    return Counter(
        (gap.association, TRANSLATOR.gap_title(gap.code, gap.channel, voice)) for gap in gaps
    )


def read_json_output(config):
    """Return the JSON output of the commands."""
    reports = list_json_items(config, "report", "--json")
    changes = list_json_items(config, "export", "changes", "-", "--format", "json")
    coverage = list_json_items(config, "export", "coverage", "-", "--format", "json")
    associations = list_json_items(config, "export", "associations", "-", "--format", "json")
    gaps = list_json_items(config, "gaps", "--json")
    return NetworkOutput(
        coverage=read_coverage_rows(coverage),
        levels={row["association"]: TRANSLATOR.label("level", row["level"]) for row in reports},
        statuses={
            (row["association"], TRANSLATOR.channel_name(channel)): format_status(status)
            for row in associations
            for channel, status in row["channels"].items()
        },
        **read_gap_rows(gaps),
        **read_changes(changes),
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


def count_gap_rows(rows, voice="coordinator"):
    """Count gaps by association and title from rows of a gap export."""
    return Counter(
        (row["association"], TRANSLATOR.gap_title(row["code"], row["channel"], voice))
        for row in rows
    )


def read_gap_rows(rows):
    """Return the open gaps, and the associations by kind of gap."""
    return {
        "open": count_gap_rows(rows),
        "open_count": len(rows),
        "kinds": count_kinds((row["association"], row["kind"]) for row in rows),
    }


def read_changes(changes):
    """Return the opened gaps, the closed gaps, and the numbers of both."""
    opened = count_gap_rows(row for row in changes if row["change"] == "opened")
    closed = count_gap_rows((row for row in changes if row["change"] == "closed"), "fixed")
    change_counts = (opened.total(), closed.total())
    return {"opened": opened, "closed": closed, "change_counts": change_counts}


def read_csv_output(config):
    """Return the output of the CSV exports."""
    return NetworkOutput(
        coverage=read_coverage_rows(list_csv_rows(config, "coverage")),
        **read_sheets(config, list_csv_rows),
    )


def read_xlsx_output(config):
    """Return the output of the workbooks."""
    return NetworkOutput(**read_sheets(config, list_xlsx_rows))


def read_sheets(config, list_rows):
    """Return the output of the exports of associations, gaps and changes."""
    associations = list_rows(config, "associations")
    return {
        "levels": {
            row["association"]: TRANSLATOR.label("level", row["level"]) for row in associations
        },
        "statuses": {
            (row["association"], TRANSLATOR.channel_name(channel)): format_status(row[channel])
            for row in associations
            for channel in load_config(config).channels
        },
        **read_gap_rows(list_rows(config, "gaps")),
        **read_changes(list_rows(config, "changes")),
    }


def list_csv_rows(config, kind):
    """Return the rows of a CSV export."""
    text = run_command(config, "export", kind, "-").removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text)))


def list_xlsx_rows(config, kind):
    """Return the rows of the first sheet of a workbook."""
    file = Path(config).parent / f"{kind}-for-comparison.xlsx"
    run_command(config, "export", kind, str(file))
    heading, *rows = load_workbook(file).worksheets[0].values
    file.unlink()
    return [dict(zip(heading, row, strict=True)) for row in rows]


def read_today(app, now):
    """Return the output of the Today page."""
    with logged_in_client(app, now) as client:
        page = get_page(client, "/en/")
    counts = Counter()
    for card in page.select("ul.channels > li"):
        for link in card.select(".main a, .counts a"):
            channel_name, status = card.h3.get_text(strip=True), link["href"].rpartition("=")[2]
            counts[channel_name, format_status(status)] = read_number(link)
    return NetworkOutput(status_counts=+counts)


def read_grid(app, now):
    """Return the output of the grid of associations. Chips count the kinds of problems."""
    statuses = {}
    with logged_in_client(app, now) as client:
        kinds = {
            link["href"].rpartition("=")[2]: read_number(link.b)
            for link in get_page(client, "/en/associations").select(".grid-chips a")
            if "?gap_kind=" in link["href"] and link.b
        }
        for association, row in iter_list_rows(client, "/en/associations"):
            for cell in row.select("td .unseen"):
                channel_name, separator, status = cell.get_text(strip=True).partition(": ")
                if separator:
                    statuses[association, channel_name] = status.partition(" (")[0]
    return NetworkOutput(statuses=statuses, kinds=+Counter(kinds))


def read_association_pages(app, now):
    """Return the output of the pages of all associations."""
    levels, statuses, gaps = {}, {}, Counter()
    with logged_in_client(app, now) as client:
        for association in (
            association.id for association in app.store.registry.list_associations()
        ):
            page = get_page(client, f"/en/associations/{association}")
            for row in page.select(".channel-rows > li"):
                status = row.select_one(".state").find(string=True, recursive=False)
                statuses[association, row.h3.get_text(strip=True)] = status.strip()
            if level := page.find("summary", string="Level"):
                levels[association] = level.parent.strong.get_text(strip=True)
            gaps.update((association, get_text(heading)) for heading in page.select(".problems h3"))
    return NetworkOutput(levels=levels, statuses=statuses, open=gaps, open_count=gaps.total())


def read_news(app, now):
    """Return the output of the page of changes since the newest run, and of the list of gaps."""
    run_day = app.store.runs.get_latest_evaluated().day
    with logged_in_client(app, now) as client:
        changes = get_page(client, f"/en/changes?since={run_day}")
        gap_rows = iter_list_rows(client, "/en/gaps")
        open_gaps = Counter((association, get_text(row.th)) for association, row in gap_rows)
        return NetworkOutput(
            open=open_gaps,
            open_count=open_gaps.total(),
            opened=Counter(iter_changes(client, run_day, "New")),
            closed=Counter(iter_changes(client, run_day, "Fixed")),
            change_counts=parse_change_counts(get_text(changes.select_one("p[role=status]"))),
        )


def read_meeting_pack(app, now):
    """Return the output of the meeting pack."""
    with logged_in_client(app, now) as client:
        page = get_page(client, "/en/meeting")
    kinds = Counter()
    for link in page.select(".kinds a"):
        kinds[link["href"].rpartition("=")[2]] = read_number(link)
    return NetworkOutput(
        coverage=dict(read_coverage_bar(row) for row in page.select("table.bars tbody tr")),
        kinds=+kinds,
    )


def read_digest(app, now):
    """Return the output of the digest of the newest run.

    It announces no gap that opened or closed before within its quiet period.
    """
    run = app.store.runs.get_latest_evaluated()
    digest = build_digest(collect_network_changes(app.store, app.config, run))
    if digest is None:
        return NetworkOutput()
    return NetworkOutput(
        open_count=digest.open_gap_count,
        opened=count_gaps(change.gap for change in (*digest.urgent, *digest.new)),
        closed=count_gaps((change.gap for change in digest.closed), "fixed"),
    )


def read_number(element):
    """Return the first number in the text of an element."""
    return int(re.search(r"\d+", element.get_text())[0])


def get_page(client, path):
    """Return a parsed page."""
    response = client.get(path)
    assert response.status_code == 200, path
    return BeautifulSoup(response.text, "lxml")


def iter_list_rows(client, path):
    """Yield the association id and the row of each row on all pages of a list."""
    while path:
        page = get_page(client, path)
        for row in page.select("main :is(table.cards, table.assoc-grid) tbody tr"):
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
