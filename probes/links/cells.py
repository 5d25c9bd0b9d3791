"""Splits spreadsheet cells into links and reads their labels.

Knows which label means which channel, but not which channel owns a URL. `identify` finds that.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from itertools import chain
from typing import Any

from probes.links import normalize
from probes.links.channel_registry import WEBSITE_CHANNEL, list_channel_names
from probes.text.language import split_words

WORDS: Mapping[str, Any] = tomllib.loads(
    resources.files("probes.links").joinpath("words.toml").read_text("utf-8")
)
"""The words in `words.toml`."""
_NONE_ANSWERS = split_words(WORDS["none_answers"])
COMMON_TLDS = split_words(WORDS["common_tlds"])


def _map_labels_to_channels() -> dict[str, str]:
    channel_by_label = {name: name for name in list_channel_names()}
    for channel, labels in WORDS["labels"].items():
        names = [label.replace("_", " ") for label in labels.split()]
        names += [f"ال{name}" for name in names if "\u0621" <= name[0] <= "\u064a"]
        channel_by_label |= dict.fromkeys(names, channel.replace("none", ""))
    return channel_by_label


def _build_alternation(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})"


CHANNEL_BY_LABEL: Mapping[str, str] = _map_labels_to_channels()
"""The channel of each label, or "" for a network without a channel."""
_PUNCTUATION = re.compile(r"[\W_]+|[\u064b-\u0652\u0640]")
_DASHES_ONLY = re.compile(r"[\s_./…·\u00ad\u2010-\u2015\u2212\\-]+")
_NETWORK_NAME = _build_alternation(CHANNEL_BY_LABEL)
PLATFORM_NAME = _build_alternation(
    name for name, channel in CHANNEL_BY_LABEL.items() if channel != WEBSITE_CHANNEL
)
"""Matches the name of a platform, in a pattern that ignores case."""
_LABEL_PREFIX = r"(?:(?:page|compte|profil|cha[iî]ne|lien|notre|our|صفحة|حساب|قناة|رابط)\s+)*"
_LABEL_SUFFIX = r"(?:\s+(?:page|account|channel|official|officielle?|officiel|الرسمية?))*"
_HOST_WITHOUT_TLD = re.compile(
    rf"(?i)^(?:https?://)?(?:www\.)?(?P<name>{PLATFORM_NAME})\s*/\s*(?!/)(?P<value>.+)$"
)
# `annour/facebook`, but not the page `annour.ma/facebook`.
_LABEL_AFTER_SLASH = re.compile(
    r"(?i)^(?!page|compte|profile?|cha[iî]ne|lien|groupe?)(?P<value>@?[\w-]{3,60})\s*/\s*"
    rf"(?:www\.)?(?P<name>{PLATFORM_NAME})(?:\.com)?$"
)
_ACCOUNT_NAME = re.compile(r"@?[\w.·-]+")
_PLATFORM_HOST = rf"(?:[a-z]{{1,10}}\.)?{PLATFORM_NAME}\.com"
# Telephones add a space after a full stop, and on some keyboards the comma is next to it.
_TORN_PLATFORM_HOST = re.compile(rf"(?i)\b({PLATFORM_NAME})(?:\s+\.\s*|\.\s+|,)com(?=/|\s|$)")
# `facebook.com/ amal`, `x.com: amal`, `twitter.com @amal`. With a scheme, `host@name` is a login.
_HOST_APART_FROM_NAME = re.compile(
    rf"(?i)^((?:https?://)?{_PLATFORM_HOST})\s*(?:/\s+|:\s*(?![\d/])|\s(?=@))(@?[^\s@,;:]+)$"
)
_MULTIPLE_SPACES = re.compile(r"[^\S\r\n\v\f\u2028\u2029]{2,}")
_CONJUNCTION = r"(?<!\s)\s++(?:(?:and|et|ou|or|puis|&|\+|و|-|–|\d{1,2}[.)])\s++)?"
_BEFORE_NEXT_LINK = re.compile(
    rf"(?i)(?<=[^\s/:=?&(#'\"])(?=https?:/{{1,2}})|(?<![\s:=>])(?<!//){_CONJUNCTION}"
    rf"(?=https?:/{{1,2}}|www\.|@\w)"
)
_PRECEDING_LINK = re.compile(r"(?i)https?:|www\.|\w\.\w|@\w")


def is_none_answer(text: str) -> bool:
    """Return True if a cell says that there is none: `N/A`, `aucun`, `لا يوجد`, a dash.

    Other marks do not count: `?????` is left by a wrong charset, and a tick means "yes" if
    anything.
    """
    words = _PUNCTUATION.sub(" ", text.lower()).split()
    if not words:
        return _DASHES_ONLY.fullmatch(text) is not None
    return "_".join(words) in _NONE_ANSWERS


# `Page Facebook officielle : amal`, then `facebook/amal` and `www.facebook/amal`, then
# `@amal (Twitter)`.
_LABEL_BEFORE_LINK = re.compile(
    rf"(?i)^{_LABEL_PREFIX}(?P<name>{_NETWORK_NAME}){_LABEL_SUFFIX}\s*(?:[:=>|]|[-–—]+>?\s|\s(?=@))+\s*(?P<value>.+)$"
)
_LABEL_AFTER_HANDLE = re.compile(
    r"(?i)^(?P<value>@[\w.]{1,100}|\w{3,40}[._]\w[\w.]{0,60})(?:\s*\(\s*|\s*[-–—]+\s*|\s+(?:(?:on"
    r"|sur|على|في)\s+)?)"
    rf"(?P<name>{PLATFORM_NAME})\s*\)?$"
)


def join_torn_host(text: str) -> str:
    """Return `facebook.com/amal` for `facebook. com/amal`, `facebook,com/ amal` and the like."""
    return _HOST_APART_FROM_NAME.sub(r"\1/\2", _TORN_PLATFORM_HOST.sub(r"\1.com", text))


def split_label(text: str) -> tuple[str | None, str]:
    """Split `Facebook: amal` into the channel of its label and the rest.

    The channel is None without a label, and empty for a network that is no channel.
    """
    match = _HOST_WITHOUT_TLD.match(text)
    if match is None and text[:4].lower() != "http":  # a URL has no label
        patterns = (_LABEL_BEFORE_LINK, _LABEL_AFTER_HANDLE, _LABEL_AFTER_SLASH)
        match = next(filter(None, (pattern.match(text) for pattern in patterns)), None)
    # `Facebook/Twitter` names two networks and no account.
    if (
        match is None
        or match["value"].startswith("//")
        or match["value"].lower() in CHANNEL_BY_LABEL
    ):
        return None, text
    value = match["value"]
    # A name that looks like a host (`facebook/amal.org`) is no website.
    if match.re is _HOST_WITHOUT_TLD and _ACCOUNT_NAME.fullmatch(value):
        value = f"@{value.removeprefix('@')}"
    return CHANNEL_BY_LABEL[match["name"].lower()], value


# A comma without a space belongs to the address unless a host follows.
_LINK_SEPARATOR = re.compile(
    r"[\r\n\v\f\u2028\u2029]+|\s{0,9};\s{0,9}(?!/)|\s{0,9}،\s{0,9}|\s{1,9}[|/]\s{1,9}"
    r"|(?<!www)\s{0,9},\s{0,9}(?=https?:|www\.|@|\s{0,9}$)|\s{0,9},\s{1,9}(?=\S*\.\S)"
    rf"|(?<!www)[,|](?=(?:[\w-]+\.)+{_build_alternation(COMMON_TLDS)}(?:[/,;\s]|$))"
)
_BARE_HOST = rf"(?<![\w.@-])(?:[\w-]+\.)+{_build_alternation(COMMON_TLDS)}(?=[/?#,;\s]|$)"
# `site: https://annour.ma facebook: amal`: after a link, a label, a scheme or a host starts
# another.
_BEFORE_FURTHER_LINK = re.compile(
    rf"(?i){_CONJUNCTION}(?=https?:/{{1,2}}|(?P<label>{PLATFORM_NAME})\s*[:=]\s*\S"
    rf"|(?P<host>{_BARE_HOST}))"
)
_PRECEDING_BY_GROUP = {
    None: _PRECEDING_LINK,
    "label": re.compile(rf"(?i){_PRECEDING_LINK.pattern}|\b{PLATFORM_NAME}\s*[:=]"),
    "host": re.compile(rf"(?i){_BARE_HOST}"),
}
"""What must be before a further link that begins with a scheme, a label or a host."""


# Most cells. This pattern recognises them ten times faster than splitting.
_SINGLE_LINK = re.compile(r"(?:https?://|@)?[\w./?=%+~-]*[\w/]")


def split_links(text: str) -> list[str]:
    """Split a cell into its links, which lines, `;`, commas, labels or spaces separate.

    Words between links are left out. A cell without any link is returned as its parts.
    """
    if len(text) <= normalize.MAX_CELL_CHARS and _SINGLE_LINK.fullmatch(text):
        return [text]
    text = join_torn_host(text[: normalize.MAX_CELL_CHARS].strip())
    if normalize.is_link_markup(text):
        return [text]
    pieces = _LINK_SEPARATOR.split(_MULTIPLE_SPACES.sub(" ", normalize.unescape_entities(text)))
    for split in (_BEFORE_NEXT_LINK.split, _split_further_links):
        pieces = list(chain.from_iterable(map(split, pieces)))
    parts = list(_join_labels(pieces))
    return list(filter(_LOOKS_LIKE_LINK.search, parts)) or parts


def _split_further_links(part: str) -> Iterator[str]:
    """Split a part before each further link in it."""
    start = 0
    for match in _BEFORE_FURTHER_LINK.finditer(part):
        preceding = _PRECEDING_BY_GROUP[match.lastgroup]
        if preceding.search(part, start, match.start()):
            yield part[start : match.start()]
            start = match.end()
    yield part[start:]


def _join_labels(parts: Iterable[str]) -> Iterator[str]:
    """Join a label with the handle that follows it, such as `Instagram` and `@amal`."""
    label = ""
    for part in parts:
        text = part.strip(" \t,;،|")
        name = text.rstrip(" :=>-")
        if name.lower() in CHANNEL_BY_LABEL:
            label = f"{name}: "
        elif text:
            yield label + text
            label = ""
    if label:
        yield label.rstrip(": ")


_LOOKS_LIKE_LINK = re.compile(
    rf"(?i)\w\.\w+(?:/|$|\?)|https?:?/|www\.|^@\w|[:/]\s*@?\w+$|^{PLATFORM_NAME}\s*[:=]\s*\S"
)
