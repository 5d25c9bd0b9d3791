"""The CPU from bytes to finding of a page of 60 KB, compared with an lxml parse of it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from lxml import html

from probes.channels import website
from probes.classify import classifier
from probes.links import identify
from probes.models.finding import Account, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import run_offline

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
URL = "https://annour.example/"
PARAGRAPH = (
    "<p class='text'>L'association organise des ateliers, des "
    "caravanes et du <b>soutien</b> scolaire.</p>"
)
ARTICLE = (
    "<article class='post'><div class='inner'><h2><a href='/actualites/{n}' title='Lire'>Action "
    "{n}</a></h2>"
    "<div class='meta'><span class='date'>{day} octobre 2026</span></div><div class='body'>{text}"
    "<a class='more' href='/actualites/{n}'><span>Lire la suite</span></a>"
    "<img src='/i/{n}.jpg' alt=''></div></div></article>"
)


def build_page_of_60_kb() -> bytes:
    """Return an ordinary home page: a menu, 82 articles, a footer with icons."""
    menu = "".join(
        f"<li class='item'><a href='/rubrique/{n}'>Rubrique {n}</a></li>" for n in range(60)
    )
    posts = "".join(ARTICLE.format(n=n, day=1 + n % 28, text=PARAGRAPH * 4) for n in range(82))
    icons = "".join(
        f"<a href='https://{site}/annour'><i></i></a>" for site in ("www.facebook.com", "x.com")
    )
    page = (
        "<!doctype html><html lang='fr'><head><meta charset='utf-8'>"
        "<title>Association Annour</title></head>"
        f"<body><header><nav><ul>{menu}</ul></nav></header><main>{posts}</main><footer>{icons}</footer></body></html>"
    )
    return page.encode()


def measure_cpu_ms(function: Callable[[], object]) -> float:
    """Return the CPU milliseconds of the fastest of seven calls."""
    best = 1e9
    for _ in range(7):
        cpu_before = time.process_time()
        function()
        best = min(best, time.process_time() - cpu_before)
    return best * 1000


@pytest.mark.bench
def test_time_of_a_60_kb_page() -> None:
    classifier.load_tables()  # as in the parser processes
    body = build_page_of_60_kb()
    account = Account("bench", URL, identify.identify_link(URL))

    def answer(request: PageRequest) -> Page | FetchError:
        return Page(URL, 200, {}, body, NOW) if request.url == URL else FetchError(Reason.NETWORK)

    probe_ms = measure_cpu_ms(lambda: run_offline(website.probe(account), answer))
    parse_ms = measure_cpu_ms(lambda: html.fromstring(body))
    print(
        f"\n{len(body) / 1024:.0f} KB: {probe_ms:.1f} ms from bytes to finding,"
        f" {probe_ms / parse_ms:.1f} times a bare lxml parse"
    )
