"""Detection of spam on a hijacked site or a lapsed domain.

A newspaper's page about gambling contains the same words in the same languages. It lacks what spam
has: links that ask its readers to play or to buy. The words cover gambling, drugs, essays,
counterfeits and more (SEO spam reports, 2024 to 2026). Cloaked spam that only search engines get
cannot be detected with an honest User-Agent.
"""

import re
from functools import cache
from importlib.resources import files
from itertools import islice

import tomli

from probes.links import domains
from probes.models.finding import Reason
from probes.parsing.html import Document, get_host
from probes.text import language
from probes.text.language import KeywordIndex, fold_case

_WORDS = tomli.loads(files("probes.classify").joinpath("spam.toml").read_text("utf-8"))
SPAM_WORDS_PATTERN = re.compile("|".join(_WORDS["spam_words"]))  # in lower case
SPAM_KEYWORDS = tuple(_WORDS["spam_keywords"])
_PREVENTION_PATTERN = re.compile("|".join(_WORDS["prevention_words"]), re.IGNORECASE)
_NEWS_REPORT_PATTERN = re.compile("|".join(_WORDS["news_report_words"]), re.IGNORECASE)
# Every Japanese shop uses these words. They count as one, unless the site is French or Arabic.
_ORDINARY_SHOP_WORDS = dict.fromkeys(("激安", "送料無料", "最安値", "通販", "ブランド"), "激安")
MIN_DENSE_SPAM_WORDS = 8
"""The least spam words in the visible text of a page that is dominated by spam."""
MIN_PRICED_LINKS = 3
"""The least links with a price that make a list of prices."""
_SPAM_LANGUAGES = frozenset({"id", "ms", "ja", "zh", "ko", "th", "vi", "ru", "tr"})
MIN_HIDDEN_LINKS = 5
"""The least links to other sites in one hidden block."""


def find_spam_words(text: str) -> list[str]:
    """Return all spam words of a text in lower case."""
    folded = fold_case(text)
    return SPAM_WORDS_PATTERN.findall(folded) if _load_spam_index().find_rows(folded) else []


@cache
def _load_spam_index() -> KeywordIndex:
    return KeywordIndex([SPAM_KEYWORDS])


def find_prominent_spam_words(document: Document) -> frozenset[str]:
    """Return the different spam words in title, description and headings.

    Returns none if these warn against or report on the subject.
    """
    text = " ".join((document.title, document.meta.get("description", ""), *document.headings[:3]))
    words = find_spam_words(text)
    if not words or _PREVENTION_PATTERN.search(text) or _NEWS_REPORT_PATTERN.search(text):
        return frozenset()
    if _has_foreign_title(document):
        return frozenset(words)
    return frozenset(map(_ORDINARY_SHOP_WORDS.get, words, words))


def detect_hijacked_page(document: Document, *, has_navigation: bool) -> tuple[Reason, str] | None:
    """Return HIJACKED and the spam words, or None.

    Needs two different spam words in the prominent text and another strong sign. `has_navigation`
    says that the page links to other pages of its site.
    """
    prominent_words = find_prominent_spam_words(document)
    if not prominent_words:
        return None
    link_text = "\n".join(anchor.text for anchor in document.anchors)
    linked_words = set(find_spam_words(link_text))
    if len(prominent_words) < 2 and len(linked_words) < 3:
        return None
    if (
        redirects_to_other_site(document)
        or _has_outbound_spam_calls(document)
        or _is_spam_dominated(document, prominent_words, has_navigation=has_navigation)
    ):
        return Reason.HIJACKED, ", ".join(sorted(prominent_words | linked_words)[:4])
    return None


def _is_spam_dominated(
    document: Document, spam_words: frozenset[str], *, has_navigation: bool
) -> bool:
    """Return whether a page is full of spam words or in a language of spam.

    A page with a menu must also have prices next to spam words, like the shop of a counterfeiter,
    or a title in a foreign language.
    """
    is_dense = len(find_spam_words(document.text[:MAX_DENSE_TEXT_CHARS])) >= MIN_DENSE_SPAM_WORDS
    is_suspicious = is_dense or (
        document.language[:2] in _SPAM_LANGUAGES or _has_foreign_title(document)
    )
    if not has_navigation:
        return is_suspicious or len(spam_words) >= 3
    if not is_suspicious:
        return False
    priced_texts = [
        anchor.text for anchor in document.anchors if _PRICE_PATTERN.search(anchor.text)
    ]
    has_price_list = len(priced_texts) >= MIN_PRICED_LINKS and any(
        map(find_spam_words, priced_texts)
    )
    return has_price_list or _has_foreign_title(document)


def _has_outbound_spam_calls(document: Document) -> bool:
    """Return whether at least two links to other sites ask the visitor to play or to buy."""
    outbound_calls = 0
    for anchor in document.anchors:
        is_call = _CALL_TO_ACTION_PATTERN.search(anchor.text) is not None
        if not is_call and _TRADE_WORDS_PATTERN.search(anchor.text):
            is_call = bool(find_spam_words(anchor.text))
        if is_call and _is_other_site(document, anchor.url):
            outbound_calls += 1
    return outbound_calls >= 2


_CALL_TO_ACTION_PATTERN = re.compile(
    r"\bdaftar\b|\blog ?in\b|main sekarang|link alternatif|đăng (?:ký|nhập)|\bgiriş|kayıt ol|üye "
    r"ol|\b(?:play|bet|join) now|\bplay for real|\bclaim (?:your|the|my)?\s?\w*\s?bonus|"
    r"\bjouer (?:maintenant|ici)|\bjogue? agora|\bjugar ahora|"
    r"jetzt spielen|играть|입장|가입|바로가기|"
    r"立即|注册|登录|加入会员|สมัคร|ทางเข้า|العب الآن",
    re.IGNORECASE,
)
# These words are a call to action only beside a spam word.
_TRADE_WORDS_PATTERN = re.compile(
    r"\b(?:buy|order|cheap|acheter|comprar|kaufen|bestellen|bonus|visit|play)\b|купить|購入|購買",
    re.IGNORECASE,
)
_PRICE_PATTERN = re.compile(
    r"[$€£¥₩₫]\s?\d|\d\s?(?:[円元€₩₫]|usd\b|eur\b|mad\b|dhs?\b)", re.IGNORECASE
)


def _has_foreign_title(document: Document) -> bool:
    """Return whether a page in a language of the network has a title in another language."""
    title_language = language.detect_language(document.title, 2)
    if not title_language or title_language in language.NETWORK_LANGUAGES:
        return False
    declared = language.normalize_language_code(document.language)
    own_languages = {declared, language.detect_language(document.text)}
    return not own_languages.isdisjoint(language.NETWORK_LANGUAGES)


def redirects_to_other_site(document: Document) -> bool:
    """Return whether the page names another site as its original or redirects to one."""
    refresh = _REFRESH_PATTERN.search(document.meta.get("refresh", ""))
    scripts = map(_SCRIPT_REDIRECT_PATTERN.search, document.script_sources)
    redirects = [match[1] for match in (refresh, *scripts) if match]
    originals = [document.find_link_rel(rel) or "" for rel in ("canonical", "amphtml")]
    return any(_is_other_site(document, url) for url in (*originals, *redirects))


_REFRESH_PATTERN = re.compile(r"url\s*=\s*+(?:['\"]\s*+)?(https?://\S+)", re.IGNORECASE)
_SCRIPT_REDIRECT_PATTERN = re.compile(
    r"location(?:\.href|\.replace\()?\s*+(?:[=(]\s*+)?[\"'](https?://[^\"']+)"
)


def _is_other_site(document: Document, url: str) -> bool:
    host = get_host(url)
    return bool(host) and not domains.is_same_domain(host, get_host(document.url))


def has_hidden_link_block(markup: str, url: str) -> bool:
    """Return whether an invisible block contains many links to other sites."""
    own_host = domains.normalize_host(get_host(url))
    for element in islice(_HIDDEN_ELEMENT_PATTERN.finditer(markup), MAX_HIDDEN_BLOCKS):
        block = markup[element.end() : element.end() + MAX_HIDDEN_BLOCK_CHARS]
        links = _EXTERNAL_LINK_PATTERN.findall(block.partition("</div>")[0])
        hosts = set(map(domains.normalize_host, map(get_host, links)))
        if len(hosts - {own_host, ""}) >= MIN_HIDDEN_LINKS:
            return True
    return False


MAX_DENSE_TEXT_CHARS = 20_000
"""Characters of a text in which spam words are counted."""
MAX_HIDDEN_BLOCKS = 60
"""Invisible blocks of a page in which links are searched."""
MAX_HIDDEN_BLOCK_CHARS = 6_000
"""Characters of an invisible block in which links are searched."""
_HIDDEN_ELEMENT_PATTERN = re.compile(
    r"<(?:div|span|p|ul|marquee|section|font)\b[^<>]{0,200}?style\s*=\s*[\"'][^\"'<>]{0,200}?"
    r"(?:display\s*:\s*none|(?:left|top|text-indent)\s*:\s*-\d{3,}|font-size\s*:\s*0|"
    r"(?:height|width)\s*:\s*[01]px)",
    re.IGNORECASE,
)
_EXTERNAL_LINK_PATTERN = re.compile(r"href\s*=\s*[\"']?(https?://[^\s\"'<>]{1,200})", re.IGNORECASE)
