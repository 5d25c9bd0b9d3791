"""Identifies the association that reads its own report, by the report link token in a cookie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Response

from auditor.report_links import find_active_report_link
from auditor.web.request_context import PageContext, RequestContext
from storage.models.users import ReportLink

REPORT_LINK_COOKIE = "report_link"
"""Holds the token. The address contains it only once, when the link is opened."""


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A request of an association for its own report."""

    context: RequestContext
    report_link: ReportLink
    token: str

    @property
    def report_url(self) -> str:
        """The report link for a printed report, or "" if no public address is configured."""
        public_url = self.context.app.config.web.public_url
        return f"{public_url}/r/{self.token}" if public_url else ""


def set_report_link_cookie(
    response: Response, request: Request, token: str, expires_at: datetime
) -> Response:
    """Set the cookie with the token until the report link expires, and return the response."""
    state = request.app.state
    has_https_url = state.app.config.web.public_url.startswith("https:")
    is_public_host = not request.scope["is_network_host"]
    response.set_cookie(
        REPORT_LINK_COOKIE,
        token,
        max_age=int((expires_at - state.clock()).total_seconds()),
        httponly=True,
        samesite="lax",
        secure=(has_https_url and is_public_host) or request.scope["scheme"] == "https",
    )
    return response


def get_report_request(request: Request, context: PageContext) -> ReportRequest:
    """Return the report link of a request.

    Raises HTTPException: 410 if the link does not exist, has expired or was revoked (always the
    same answer), and 401 without a cookie. That is a browser without cookies, or a program that
    builds a preview of the link.
    """
    token = request.cookies.get(REPORT_LINK_COOKIE)
    if token is None:
        raise HTTPException(401, headers={"www-authenticate": "ReportLink"})
    store = context.app.store
    report_link = find_active_report_link(store, token, context.now) if token else None
    if report_link is None:
        raise HTTPException(410)
    return ReportRequest(context, report_link, token)


CurrentReportRequest = Annotated[ReportRequest, Depends(get_report_request)]
"""A parameter of a route that an association opens with its report link."""
