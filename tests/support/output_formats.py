"""Reads the state of the network from each output of the auditor in one shape, for comparison."""

import contextlib
import csv
import io
import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
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
from auditor.presentation.reports.html import render_site_pages
from auditor.presentation.reports.text import format_network_summary
from storage.models.summaries import ChannelStatus
from tests.support.web_server import logged_in_client

TRANSLATOR = Translator("en")


@dataclass
class NetworkOutput:
    """The figures of one output; None if the output does not contain them.

    Coverage is by channel name: how many of all associations have an account that works. Levels are
    by association, statuses by association and channel name. `status_counts` counts associations by
    channel name and status, `kinds` by kind of gap.
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
            format_coverage(figures.channel, figures.confirmed_count, figures.association_count)
            for figures in overview.channels
        ),
        levels={
            association.association.id: TRANSLATOR.label("level", association.score.level)
            for association in associations
        },
        statuses=statuses,
        status_counts=Counter(
            (channel_name, status) for (_, channel_name), status in statuses.items()
        ),
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


def count_kinds(pairs):
    """Count the associations of each kind of gap, from pairs of association and kind."""
    return Counter(str(kind) for _, kind in set(pairs))


def format_coverage(channel, confirmed, associations):
    """Return the name of a channel and its coverage as text."""
    return TRANSLATOR.channel_name(channel), f"{confirmed} of {associations}"


def count_gaps(gaps, voice="coordinator"):
    """Count gaps, or rows of gaps, by association and title."""
    rows = [gap if isinstance(gap, dict) else asdict(gap) for gap in gaps]
    return Counter(
        (row["association"], TRANSLATOR.gap_title(row["code"], row["channel"], voice))
        for row in rows
    )


def run_command(config, *arguments):
    """Run a command in this process and return its output."""
    output = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(output):
        assert main(["--config", str(config), *arguments]) == 0
    output.flush()
    return output.buffer.getvalue().decode()


def read_exports(config, list_rows):
    """Return the output of the exports of associations, gaps, changes and coverage."""
    associations, gaps, changes = (
        list_rows(config, kind) for kind in ("associations", "gaps", "changes")
    )
    opened = count_gaps(row for row in changes if row["change"] == "opened")
    closed = count_gaps((row for row in changes if row["change"] == "closed"), "fixed")
    status_counts = {
        (TRANSLATOR.channel_name(row["channel"]), format_status(status)): int(row[status])
        for row, status in product(list_rows(config, "coverage"), ChannelStatus)
    }
    return NetworkOutput(
        status_counts=+Counter(status_counts),
        levels={
            row["association"]: TRANSLATOR.label("level", row["level"]) for row in associations
        },
        statuses={
            (row["association"], TRANSLATOR.channel_name(channel)): format_status(
                row.get("channels", row)[channel]
            )
            for row in associations
            for channel in load_config(config).channels
        },
        open=count_gaps(gaps),
        open_count=len(gaps),
        kinds=count_kinds((row["association"], row["kind"]) for row in gaps),
        opened=opened,
        closed=closed,
        change_counts=(opened.total(), closed.total()),
    )


def list_json_rows(config, kind):
    """Return the rows of a JSON export, or of the list of gaps."""
    export = ("export", kind, "-", "--format", "json")
    output = run_command(config, *(("gaps", "--json") if kind == "gaps" else export))
    return json.loads(output)["items"]


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
    return NetworkOutput(status_counts=count_cards(page))


def read_site(app, now):
    """Return the output of the static site."""
    pages = dict(render_site_pages(build_network_overview(app.store, app.config, now), app.config))
    return NetworkOutput(status_counts=count_cards(BeautifulSoup(pages["en/index.html"], "lxml")))


def read_terminal_summary(app, now):
    """Return the output of `auditor report`."""
    overview = build_network_overview(app.store, app.config, now)
    summary = format_network_summary(overview, app.config, "en")
    rows = re.findall(r"^  (.+?)  +.* (\d+/\d+) ", summary, re.MULTILINE)
    return NetworkOutput(coverage={name: part.replace("/", " of ") for name, part in rows})


def count_cards(page):
    """Return the counts on the cards of channels."""
    counts = Counter()
    for card in page.select("ul.channels > li"):
        name = card.h3.get_text(strip=True)
        counts[name, "present"] = read_number(card.select_one(".main"))
        counts.update(count_icons(name, card))
    return +counts


def count_icons(channel_name, element):
    """Return the numbers beside the icons of statuses."""
    return {
        (channel_name, format_status(icon["class"][-1])): read_number(icon.parent)
        for icon in element.select(".counts svg")
    }


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


def get_gap_title(element):
    """Return the title of a gap without its day: a domain that expired is one to renew."""
    return re.sub(r"expired on \d+ \w+ \d+", "must be renewed", get_text(element))


def read_association_pages(app, now):
    """Return the output of the pages of all associations."""
    levels, statuses, gaps = {}, {}, Counter()
    with logged_in_client(app, now) as client:
        for association in [row.id for row in app.store.registry.list_associations()]:
            page = get_page(client, f"/en/associations/{association}")
            for row in page.select(".channel-rows > li"):
                status = row.select_one(".state").find(string=True, recursive=False)
                statuses[association, row.h3.get_text(strip=True)] = status.strip()
            if level := page.find("summary", string="Level"):
                levels[association] = level.parent.strong.get_text(strip=True)
            titles = map(get_gap_title, page.select(".problems h3"))
            gaps.update((association, title) for title in titles)
    return NetworkOutput(levels=levels, statuses=statuses, open=gaps, open_count=gaps.total())


def read_news(app, now):
    """Return the output of the page of changes since the newest run, and of the list of gaps."""
    run_day = app.store.runs.get_latest_evaluated().day
    with logged_in_client(app, now) as client:
        changes = get_page(client, f"/en/changes?since={run_day}")
        gap_rows = iter_list_rows(client, "/en/gaps")
        open_gaps = Counter((association, get_gap_title(row.th)) for association, row in gap_rows)
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
    kinds = {link["href"].rpartition("=")[2]: read_number(link) for link in page.select(".kinds a")}
    coverage, status_counts = {}, Counter()
    for row in page.select("table.bars tbody tr"):
        channel_name = get_text(row.th)  # removes badges from the row, too
        row_text = " ".join(row.get_text(" ").split())
        coverage[channel_name] = re.search(r"\d+ of \d+", row_text)[0]
        status_counts.update(count_icons(channel_name, row))
    return NetworkOutput(coverage=coverage, status_counts=status_counts, kinds=+Counter(kinds))


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


def get_text(element):
    """Return the text of an element without badges and secondary text."""
    for secondary in element.select(".badge, .soft"):
        secondary.decompose()
    return " ".join(element.get_text().split())
