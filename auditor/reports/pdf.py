"""Render a report as a tagged PDF with embedded fonts, readable by screen readers.

WeasyPrint comes with the extra `pdf` and needs the system library Pango. Without them, users can
print the page from a browser.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from auditor.core.errors import AuditorError

if TYPE_CHECKING:
    from weasyprint.urls import URLFetcherResponse

STATIC_BASE_URL = "https://auditor.invalid/static/"
"""Base of the URLs in the style sheet. Nothing else is loaded."""


class PdfUnavailableError(AuditorError):
    """A PDF cannot be made because WeasyPrint or a system library is missing."""

    code = 3


def render_pdf(report_html: str) -> bytes:
    """Return the page of a report as a tagged PDF (PDF/UA-1). Raises PdfUnavailableError."""
    weasyprint = _import_weasyprint()
    print_style = files("auditor").joinpath("templates", "print.css").read_text("utf-8")
    print_html = report_html.replace("</style>", f"{print_style}</style>", 1)
    document = weasyprint.HTML(
        string=print_html, base_url=STATIC_BASE_URL, url_fetcher=_fetch_static_file
    )
    return bytes(document.write_pdf(pdf_variant="pdf/ua-1"))


def _import_weasyprint() -> Any:
    # WeasyPrint prints a banner if a library is missing, and warns about HarfBuzz-Subset.
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "HarfBuzz-Subset", DeprecationWarning)
            import weasyprint  # noqa: PLC0415 - it is an extra, and slow to load
    except ImportError:
        remedy = "pip install 'presence-auditor[pdf]', or print the page from a browser"
        raise PdfUnavailableError(
            "no PDF can be made", "WeasyPrint is not installed", remedy
        ) from None
    except OSError as error:
        reason = str(error).partition("\n")[0]
        remedy = (
            "apt-get install libpango-1.0-0 libpangoft2-1.0-0, or print the page from a browser"
        )
        raise PdfUnavailableError("no PDF can be made", reason, remedy) from None
    # Its warnings are about CSS that only browsers support.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    return weasyprint


def _fetch_static_file(url: str) -> URLFetcherResponse:
    """Return a static file of the package. Raises ValueError for any other URL."""
    from weasyprint.urls import URLFetcherResponse  # noqa: PLC0415

    if url.startswith("data:,"):
        return URLFetcherResponse(url, b"")
    name = url.removeprefix(STATIC_BASE_URL)
    if name == url or ".." in name:
        raise ValueError(f"not a static file of this package: {url}")
    body = files("auditor.web").joinpath("static", name).read_bytes()
    return URLFetcherResponse(url, body)
