"""The report as a PDF, with letters of our own and tags for those who have it read to them.

WeasyPrint is the extra `pdf`, and needs Pango of the system. Where either is missing, printing from a browser
does the same.
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
"""What the style sheet's own addresses are taken from; nothing else is fetched."""


class PdfUnavailableError(AuditorError):
    """A PDF cannot be made on this machine."""

    code = 3


def render_pdf(report_html: str) -> bytes:
    """A report's page as a tagged PDF (PDF/UA-1). Raises NoPaperError."""
    weasyprint = _import_weasyprint()
    style = files("auditor").joinpath("templates", "print.css").read_text("utf-8")
    dressed = report_html.replace("</style>", f"{style}</style>", 1)
    made = weasyprint.HTML(string=dressed, base_url=STATIC_BASE_URL, url_fetcher=_fetch_static_file)
    return bytes(made.write_pdf(pdf_variant="pdf/ua-1"))


def _import_weasyprint() -> Any:
    # WeasyPrint prints a banner if a library is missing, and warns of the optional HarfBuzz-Subset
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "HarfBuzz-Subset", DeprecationWarning)
            import weasyprint  # noqa: PLC0415 - it is an extra, and slow to load
    except ImportError:
        remedy = "pip install 'presence-auditor[pdf]', or print the page from a browser"
        raise PdfUnavailableError(
            "no PDF can be made", "WeasyPrint is not installed", remedy
        ) from None
    except OSError as trouble:
        remedy = (
            "apt-get install libpango-1.0-0 libpangoft2-1.0-0, or print the page from a browser"
        )
        raise PdfUnavailableError(
            "no PDF can be made", str(trouble).partition("\n")[0], remedy
        ) from None
    logging.getLogger("weasyprint").setLevel(
        logging.ERROR
    )  # it warns of what browsers know and it does not
    return weasyprint


def _fetch_static_file(url: str) -> URLFetcherResponse:
    """A file of ours; whatever else a page may name is not asked for."""
    from weasyprint.urls import URLFetcherResponse  # noqa: PLC0415

    if url.startswith("data:,"):
        return URLFetcherResponse(url, b"")
    name = url.removeprefix(STATIC_BASE_URL)
    if name == url or ".." in name:
        raise ValueError(f"not one of ours: {url}")
    body = files("auditor.web").joinpath("static", name).read_bytes()
    return URLFetcherResponse(url, body)
