"""What each face says of the network after a night, in one shape, so that they can be held to each other."""

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
from tests.support.web_server import logged_in_client

WORDS = Translator("en")


@dataclass
class Said:
    """Coverage by channel's name, levels by association, gaps by association and title.

    `news` are how many opened and closed; a page lists the first 200 of each.
    """

    coverage: dict[str, str]
    levels: dict[str, str]
    open: Counter
    opened: Counter
    closed: Counter
    news: tuple[int, int]


def title(code, channel, params):
    return WORDS.describe_gap(code, channel, "info", params).title


def titled(gaps):
    return Counter((gap.association, title(gap.code, gap.channel, gap.params)) for gap in gaps)


def counted(channel, confirmed, associations):
    return WORDS.channel_name(channel), f"{confirmed} of {associations}"


def by_overview(app, now):
    seen = build_network_overview(app.store, app.config, now)
    return Said(
        dict(counted(one.channel, one.confirmed, one.associations) for one in seen.coverage),
        {one.association.id: WORDS.label("level", one.score.level) for one in seen.associations},
        titled(gap for one in seen.associations for gap in one.gaps),
        titled(seen.opened_gaps),
        titled(seen.closed_gaps),
        (len(seen.opened_gaps), len(seen.closed_gaps)),
    )


def terminal(config, *words):
    said = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(said):
        assert main(["--config", str(config), *words]) == 0
    said.flush()
    return said.buffer.getvalue().decode()


def items(config, *words):
    return json.loads(terminal(config, *words))["items"]


def by_terminal(config):
    reports = items(config, "report", "--json")
    changes = items(config, "export", "changes", "-", "--format", "json")
    return Said(
        {
            name: said
            for one in items(config, "export", "coverage", "-", "--format", "json")
            for name, said in [counted(one["channel"], one["confirmed"], one["associations"])]
        },
        {one["association"]: WORDS.label("level", one["level"]) for one in reports},
        told(items(config, "gaps", "--json")),
        *moved(changes, told),
    )


def moved(changes, read):
    both = [read(one for one in changes if one["change"] == kind) for kind in ("opened", "closed")]
    return *both, tuple(map(Counter.total, both))


def told(rows):
    return Counter(
        (one["association"], title(one["code"], one["channel"], one["params"])) for one in rows
    )


def sheet(config, kind):
    return list(
        csv.DictReader(io.StringIO(terminal(config, "export", kind, "-").removeprefix("\ufeff")))
    )


def by_sheet(config):
    changes = sheet(config, "changes")
    return Said(
        {
            name: said
            for one in sheet(config, "coverage")
            for name, said in [counted(one["channel"], one["confirmed"], one["associations"])]
        },
        {
            one["association"]: WORDS.label("level", one["level"])
            for one in sheet(config, "associations")
        },
        plain(sheet(config, "gaps")),
        *moved(changes, plain),
    )


def plain(rows):
    return told({**one, "params": facts(one["params"])} for one in rows)


def facts(cell):
    return dict(fact.partition("=")[::2] for fact in cell.split("; ") if fact)


def by_pages(app, now):
    with logged_in_client(app, now) as client:
        front = page(client, "/en/")
        return Said(
            dict(covered(row) for row in front.select("table.bars tbody tr")),
            {one: text(row.select("td")[1]) for one, row in rows(client, "/en/associations")},
            Counter((one, text(row.th)) for one, row in rows(client, "/en/gaps")),
            Counter(changed(client, "New")),
            Counter(changed(client, "Fixed")),
            news(text(front.select_one("p.lead"))),
        )


def page(client, way):
    answer = client.get(way)
    assert answer.status_code == 200, way
    return BeautifulSoup(answer.text, "lxml")


def rows(client, way):
    """The rows of every page of a list, each with the association it leads to."""
    while way:
        here = page(client, way)
        for row in here.select("main table.cards tbody tr"):
            if row.a and "/associations/" in row.a["href"]:
                yield of(row), row
        following = here.select_one("a[rel=next]")
        way = following and following["href"]


def news(sentence):
    """How many opened and closed, by the sentence of the night."""
    both = (
        re.search(r"(\d+) new problem", sentence),
        re.search(r"(\d+) problems? fixed", sentence),
    )
    return tuple(int(found[1]) if found else 0 for found in both)


def changed(client, caption):
    for table in page(client, "/en/changes").select("main table"):
        if text(table.caption) == caption:
            yield from ((of(row), text(row.td)) for row in table.select("tbody tr"))


def of(row):
    return unquote(row.a["href"].split("?")[0].rpartition("/")[2])


def covered(row):
    return text(row.th), re.search(r"\d+ of \d+", " ".join(row.get_text(" ").split()))[0]


def text(part):
    """The words of a cell, without what stands beside them in a badge or in small letters."""
    for beside in part.select(".badge, .soft"):
        beside.decompose()
    return " ".join(part.get_text().split())
