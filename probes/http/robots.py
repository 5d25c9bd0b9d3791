"""The rules of a robots.txt.

Only the group for us is parsed, with limits on its size: a parser of the whole file stores each
rule once per agent of its group, so many agents and many rules cost their product. The content is
untrusted, so the fetcher reads at most `MAX_ROBOTS_BYTES` of it, and has a worker with a timeout
parse it (`parse_robots`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from protego import Protego

from probes.models.http import Page

MAX_RULES = 2_000
"""Maximum number of rules and wildcards in our group; honest files have far fewer.

A larger file disallows everything, because obeying only some of its rules could violate the others.
"""
MAX_RULE_CHARS = 64 * 1024
"""Maximum length of all rules in our group. A larger file disallows everything.

The rules of a host stay in memory during a run: 490 kB of rules took 1.1 MB (2026-11).
"""

_AGENT_LINE = re.compile(r"user[ -]?agent(?:\s*:|\s|$)(.*)", re.IGNORECASE)
_SITE_WIDE_LINE = re.compile(r"(?:site-?maps?|host)(?:\s*:|\s|$)", re.IGNORECASE)
# With a colon, any field is a rule; without one, only a known field is.
_RULE_LINE = re.compile(
    r"[^:]*:|(?:dis+[al]+ow|diasllow|allow|crawl[ -]delay)(?:\s|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class RobotsRules:
    """The rules of a robots.txt.

    If it is absent everything is allowed, after an error nothing (RFC 9309).
    """

    user_agent: str
    rules: Protego | None = None
    disallows_all: bool = False

    def is_allowed(self, url: str) -> bool:
        """Return True if the URL may be requested."""
        if self.rules is None:
            return not self.disallows_all
        return bool(self.rules.can_fetch(url, self.user_agent))

    def is_disallowed(self, url: str) -> bool:
        """Return True if a rule forbids the URL. A robots.txt that failed has no rules."""
        return self.rules is not None and not self.is_allowed(url)

    @property
    def crawl_delay(self) -> float | None:
        """Return the Crawl-delay in seconds, or None."""
        return self.rules.crawl_delay(self.user_agent) if self.rules else None


def parse_robots(page: Page, user_agent: str) -> RobotsRules:
    """Parse the page at /robots.txt. 429 is treated as 5xx, as search engines do.

    A file with more than `MAX_RULES` or `MAX_RULE_CHARS` for us disallows everything.
    """
    if not 200 <= page.status < 300:
        disallows_all = page.status >= 500 or page.status == 429
        return RobotsRules(user_agent, disallows_all=disallows_all)
    rules = select_rules(page.body.decode("utf-8-sig", "replace"), user_agent)
    text = "".join(rules)
    if len(rules) + text.count("*") > MAX_RULES or len(text) > MAX_RULE_CHARS:
        return RobotsRules(user_agent, disallows_all=True)
    return RobotsRules(user_agent, Protego.parse("\n".join(["User-agent: *", *rules])))


def select_rules(text: str, user_agent: str) -> list[str]:
    """Return the rules for a user agent, or those for `*` if no group names it.

    The longest name that the user agent begins with wins. Groups of the same name are combined
    (RFC 9309, 2.2.1).
    """
    rules_by_name: dict[str, list[str]] = {}
    for names, rules in _split_groups(text):
        for name in names:
            if name == "*" or user_agent.lower().startswith(name):
                rules_by_name.setdefault(name, []).extend(rules)
    longest_name = max(rules_by_name.keys() - {"*"}, key=len, default="*")
    return rules_by_name.get(longest_name, [])


def _split_groups(text: str) -> Iterator[tuple[set[str], list[str]]]:
    """Yield the lower-case agent names and the rule lines of each group."""
    names: set[str] = set()
    rules: list[str] = []
    for raw_line in text.splitlines():
        line = raw_line.partition("#")[0].strip()
        if not line or _SITE_WIDE_LINE.match(line):
            continue
        agent = _AGENT_LINE.match(line)
        if agent is None:
            if _RULE_LINE.match(line):
                rules.append(line)
            continue
        if rules:
            yield names, rules
            names, rules = set(), []
        name = agent[1].strip().lower()
        names |= {name, name.replace("*", "")} - {""}
    yield names, rules
