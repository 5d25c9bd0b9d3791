"""Posts that came with the system or the theme: a date of theirs is the day of the installation.

Collected from fresh installations and their translations in Arabic, French and English, 2026-11.
"""

from __future__ import annotations

import re

from probes.text.lazy_regex import pattern

_HELLO = (  # the post that every new WordPress opens with
    r"hello,?\s+world|bonjour tout le monde|hola,? mundo|hallo welt"
    r"|[أا]هل[اًا]+ً?\s+بالعالم|مرحب[اًا]*ً?\s+(?:[أا]يها\s+ال|بال)عالم"
)
_SAMPLES = (  # its page; what Joomla, Ghost and Wix put there to show how it is done
    r"sample (?:page|post)|page d['’]exemple|مثال على صفحة|صفحة مثال|your first post|votre premier article"
    r"|getting started(?: with (?:joomla|ghost))?|welcome to (?:your blog|ghost|joomla)"
    r"|about your (?:home page|blog)|your (?:modules|template)|coming soon"
    r"|now you can blog from everywhere|design a stunning blog|grow your blog community"
)
_END = r"[\s\u00a0!.…]*(?:\(\d+\)|\d{1,2})?\s*$"
_UNIT_TEST = r"(?:markup|template|layout test|edge case)\s*:|lorem ipsum"
_TITLES = pattern(rf"(?:{_HELLO}|{_SAMPLES}){_END}|{_UNIT_TEST}", re.IGNORECASE)
_TEXTS = pattern(
    r"welcome to wordpress\.? this is your first post|bienvenue (?:sur|dans) wordpress\.? ceci est votre"
    r"|مرحب[اًا]+ً? بكم? في ووردبريس|lorem ipsum dolor",
    re.IGNORECASE,
)
# Cicero's words, cut up: what a theme's demonstration is filled with.
_FILLER = frozenset(
    re.findall(
        r"\w+",
        """
        lorem ipsum dolor sit amet consectetur adipiscing adipisicing elit sed eiusmod tempor incididunt
        labore dolore magna aliqua enim minim veniam quis nostrud exercitation ullamco laboris nisi aliquip
        commodo consequat duis aute irure reprehenderit voluptate velit esse cillum fugiat nulla pariatur
        excepteur sint occaecat cupidatat proident sunt culpa officia deserunt mollit anim laborum
        vestibulum aliquam erat volutpat pellentesque morbi tristique senectus netus malesuada fames turpis
        egestas curabitur praesent vivamus mauris ultricies vel eget facilisis nunc quisque suspendisse
        phasellus donec integer etiam maecenas fusce nullam sagittis
        """,
    )
)


def came_with(title: str, text: str = "") -> bool:
    """Whether a post came with the system, by its title or the start of its text."""
    return bool(_TITLES.match(title.strip()) or _TEXTS.search(text[:400]) or _filler(title))


def _filler(title: str) -> bool:
    """Whether a title is filler: three words of it or more, and hardly another."""
    words = re.findall(r"[^\W\d_]+", title.lower())
    return len(words) >= 3 and sum(word in _FILLER for word in words) >= 0.7 * len(words)
