"""Render the final report of a project: as a page, as plain text and as a PDF."""

from functools import partial
from typing import Any

from auditor.config.schema import Config
from auditor.core.i18n.translator import Translator
from auditor.core.rendering.templates import StaticSiteLinks, render_template
from auditor.presentation.reports.pdf import parse_report_page
from auditor.presentation.views.dashboard import build_trend_points
from auditor.presentation.views.final_report import LISTED_ROWS

BLOCK_TAGS = frozenset({"h1", "h2", "h3", "p", "li", "tr"})


def build_template_values(report: dict[str, Any] | None, language: str) -> dict[str, Any]:
    """Return the report and the functions that its template needs."""
    return {
        "report": report,
        "build_trend_points": partial(build_trend_points, translator=Translator(language)),
        "listed_rows": LISTED_ROWS,
    }


def render_final_report(report: dict[str, Any], config: Config, language: str) -> str:
    """Return the report as an HTML document without links to other pages, for `render_pdf`."""
    return render_template(
        "final_report_pdf.html",
        language,
        config=config,
        links=StaticSiteLinks("final_report.html", (language,), has_network_pages=False),
        latest_run=None,
        **build_template_values(report, language),
    )


def format_final_report(document: str) -> str:
    """Return the text of a report's document, with a line for each paragraph and row of a table."""
    lines: list[str] = []

    def collect(node: Any) -> str:
        if isinstance(node, str):
            return node
        tag = node["tag"]
        if tag == "br":
            return " "
        text = (" · " if tag == "tr" else "").join(filter(None, map(collect, node["children"])))
        if tag not in BLOCK_TAGS:
            return text
        if words := " ".join(text.split()):
            lines.append({"h2": "\n", "h3": "\n", "li": "- "}.get(tag, "") + words)
        return ""

    for node in parse_report_page(document)["body"]:
        collect(node)
    return "\n".join(lines)
