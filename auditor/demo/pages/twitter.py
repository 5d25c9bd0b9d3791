"""X as it answers without an account: one script shell for every name, there or not; Cloudflare for some."""

from __future__ import annotations

from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight, page, plain
from auditor.demo.pages.broken_sites import CHALLENGE

SHELL = (
    '<!DOCTYPE html><html dir="ltr" lang="en"><head><meta charset="utf-8"><title></title></head><body>'
    "<noscript><div><h1>JavaScript is not available.</h1><p>We’ve detected that "
    "JavaScript is disabled in this "
    "browser. Please enable JavaScript or switch to a supported browser to continue using "
    "x.com.</p></div></noscript>"
    '<div id="react-root"></div><div id="ScriptLoadFailure"><span>Something went wrong, '
    "but don’t fret — let’s give "
    "it another shot.</span></div></body></html>"
)


def answer(member: Member, _request: Request, _tonight: Tonight) -> Answer:
    """What the member's profile answers: nothing that tells."""
    if member.twitter == "blocked":
        return page(CHALLENGE, 403, server="cloudflare", cf_mitigated="challenge")
    return page(SHELL)


def other(request: Request) -> Answer:
    """The same shell for everybody else."""
    if request.path == "/robots.txt":
        return plain("User-agent: *\nDisallow: /\n")
    return page(SHELL)
