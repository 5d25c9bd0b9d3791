"""Spam on a stolen site or on a lapsed domain: its words, and the marks that tell it from an honest mention.

A newspaper's page about gambling is full of the words, in the same languages. What it lacks is the trade:
links that call its readers away to play or to buy.

Gambling, pharma, essays, counterfeits and the rest (SEO spam reports, 2024-2026; the fact sheet's list).
Cloaked spam, shown to search engines alone, cannot be seen under an honest User-Agent.
"""

from __future__ import annotations

import re
from itertools import islice

from probes.models.finding import Reason
from probes.parsing.html import Document, get_host
from probes.text import language
from probes.text.lazy_regex import lazy_regex
from probes.urls import domains

SPAM_WORDS_PATTERN = lazy_regex(
    # Indonesian and Malay
    r"slot gacor|slot online|situs (?:slot|judi)|judi (?:online|bola|slot)|togel|maxwin|scatter hitam|"
    r"rtp (?:live|slot)|bandar (?:togel|judi|slot|qq|bola)|agen (?:slot|judi|togel|bola)|link alternatif|"
    r"mahjong ways|gates of olympus|starlight princess|pragmatic play|deposit (?:pulsa|dana|qris)|"
    r"bonus new member|toto (?:macau|slot)|slot(?:88|77|777|gacor|thailand)|joker123|sbobet|poker online|"
    # English, French and brands
    r"online (?:casino|slots)|casino (?:online|en ligne|bonus|sites?)|(?:crypto|bitcoin|btc) casino|"
    r"1xbet|bet365|melbet|mostbet|pin ?up casino|vulkan vegas|betting (?:site|odds)|free spins|"
    r"machines? à sous|paris sportifs? en ligne|bonus sans dépôt|payday loans|"
    r"viagra|cialis|levitra|kamagra|tadalafil|sildenafil|replica (?:watch|rolex)|"
    r"buy (?:an? |cheap |custom )*essays?|essay writing service|write my essay|paper writing service|"
    r"\bxnxx\b|\bxvideos\b|porno?hub|porn videos|escort (?:girls|bayan|agency)|call girls|"
    # Arabic
    r"مراهنات|كازينو|سلوتس|فياجرا|سكس|"
    # Turkish, Vietnamese, Portuguese, Spanish
    r"deneme bonusu|bahis (?:site|oyna)|canlı bahis|casino siteleri|nhà cái|cá cược|tài xỉu|xóc đĩa|nổ hũ|"
    r"jogo do tigrinho|cassino online|apostas (?:esportivas|online)|apuestas deportivas|casinos? en l[íi]nea|"
    # Japanese, Korean, Chinese, Thai, Russian
    r"スーパーコピー|ブランドコピー|オンラインカジノ|オンカジ|激安|送料無料|最安値|通販|ブランド|"
    r"메이저놀이터|토토사이트|카지노|바카라|먹튀|安全놀이터|"
    r"博彩|百家乐|娱乐城|棋牌|六合彩|体育投注|สล็อต|บาคาร่า|คาสิโน|แทงบอล|เว็บพนัน|"
    r"казино|букмекер|ставки на спорт",
    re.IGNORECASE,
)
# Every Japanese shop says these; together they are one word, unless they stand on a French or Arabic site.
_ORDINARY_SHOP_WORDS = dict.fromkeys(("激安", "送料無料", "最安値", "通販", "ブランド"), "激安")
# Those who fight the same things name them too.
_PREVENTION_PATTERN = lazy_regex(
    r"pr[ée]vent|addict|d[ée]pendan|ludop|problem gambl|gambling (?:harm|problem|help)|gamblers|sos joueurs|"
    r"aide aux joueurs|aider les joueurs|lutte contre|contre les? |stop |s.en sortir|against|"
    r"awareness|\bfaux\b|"
    r"contrefa|counterfeit|fake|patient|خطر|مخاطر|إدمان|توعية|مكافحة|الوقاية|bahaya|korban|pencegahan|против|"
    r"prevenci|依存|防止|bağımlılı|mücadele|phòng chống",
    re.IGNORECASE,
)
# Those who report on them name the police, the courts and the law; who sells them never does.
_NEWS_REPORT_PATTERN = lazy_regex(
    r"\bpolice\b|\bpolic[ií]a\b|\bpolizei\b|\bpolisi\b|полици|公安|警方|警察|경찰|ตำรวจ|công an|"
    r"\bemniyet|الشرطة|الدرك|"
    r"\barrest|arrêté|festgenommen|detenid|tutuklan|gözaltı|ditangkap|gerebek|bắt giữ|triệt phá|задержа|"
    r"검거|逮捕|"
    r"捣毁|จับกุม|บุกจับ|اعتقال|توقيف|"
    r"\bregulator|\bregulat|\blawsuit|\bprosecut|\bdouane|\bzoll\b|\bjustiça\b|\bsenado\b|\btribunal\b|"
    r"\blaws?\b|\bloi\b|législat|legislat|\bparl[ae]ment|\bley\b|\blei\b|\blegge\b|gesetz|القانون|البرلمان",
    re.IGNORECASE,
)
_SPAM_LANGUAGES = frozenset({"id", "ms", "ja", "zh", "ko", "th", "vi", "ru", "tr"})
MIN_DENSE_SPAM_WORDS = 8  # spam words in the visible text of a page that sells nothing else
MIN_HIDDEN_LINKS = 5  # links to other sites in one hidden block


def find_prominent_spam_words(document: Document) -> frozenset[str]:
    """The different spam words in what a page says of itself; none where it speaks against them."""
    said = _join_prominent_text(document)
    words = SPAM_WORDS_PATTERN.findall(said)
    if not words or _PREVENTION_PATTERN.search(said) or _NEWS_REPORT_PATTERN.search(said):
        return frozenset()
    one = {} if _has_foreign_title(document) else _ORDINARY_SHOP_WORDS
    return frozenset(one.get(word, word.lower()) for word in words)


def _join_prominent_text(document: Document) -> str:
    return " ".join((document.title, document.meta.get("description", ""), *document.headings[:3]))


def detect_hijacked_page(document: Document, *, has_navigation: bool) -> tuple[Reason, str] | None:
    """Spam: two different words of it in what the page says of itself, and one strong signal more.

    `whole` tells that the page leads to other pages of its own.
    """
    said = find_prominent_spam_words(document)
    if not said:
        return None
    linked = {
        word.lower()
        for anchor in document.anchors
        for word in SPAM_WORDS_PATTERN.findall(anchor.text)
    }
    if len(said) < 2 and len(linked) < 3:
        return None
    if (
        redirects_to_other_site(document)
        or _has_outbound_spam_calls(document)
        or _is_spam_dominated(document, said, has_navigation=has_navigation)
    ):
        return Reason.HIJACKED, ", ".join(sorted(said | linked)[:4])
    return None


def _is_spam_dominated(
    document: Document, spam_words: frozenset[str], *, has_navigation: bool
) -> bool:
    """Whether a page is dense with it or in a language of it; amid a menu, also a shop or out of place."""
    dense = len(SPAM_WORDS_PATTERN.findall(document.text[:20_000])) >= MIN_DENSE_SPAM_WORDS
    if has_navigation:
        return (dense or _is_in_spam_language(document)) and (
            _has_foreign_title(document) or _has_spam_price_list(document)
        )
    return dense or _is_in_spam_language(document) or len(spam_words) >= 3


def _has_outbound_spam_calls(document: Document) -> bool:
    """Whether two links or more call a visitor to another site, to play there or to buy."""
    called = (anchor for anchor in document.anchors if _is_call_to_action(anchor.text))
    return (
        len([anchor for anchor in called if _is_other_site(document, anchor.url)])
        >= MIN_OUTBOUND_CALLS
    )


def _is_call_to_action(text: str) -> bool:
    return bool(
        _CALL_TO_ACTION_PATTERN.search(text)
        or (_TRADE_WORDS_PATTERN.search(text) and SPAM_WORDS_PATTERN.search(text))
    )


def _has_spam_price_list(document: Document) -> bool:
    """Whether links carry prices, and words of spam beside them: the shelves of a counterfeiter's shop."""
    priced = [anchor.text for anchor in document.anchors if _PRICE_PATTERN.search(anchor.text)]
    return len(priced) >= MIN_PRICED_LINKS and any(
        SPAM_WORDS_PATTERN.search(text) for text in priced
    )


MIN_OUTBOUND_CALLS = 2
MIN_PRICED_LINKS = 3
_CALL_TO_ACTION_PATTERN = lazy_regex(
    r"\bdaftar\b|\blog ?in\b|main sekarang|link alternatif|đăng (?:ký|nhập)|\bgiriş|kayıt ol|üye ol|"
    r"\b(?:play|bet|join) now|\bplay for real|\bclaim (?:your|the|"
    r"my)?\s?\w*\s?bonus|"
    r"\bjouer (?:maintenant|ici)|\bjogue? agora|\bjugar ahora|jetzt spielen|играть|입장|가입|바로가기|"
    r"立即|注册|登录|加入会员|สมัคร|ทางเข้า|العب الآن",
    re.IGNORECASE,
)
# These call only where they name the goods.
_TRADE_WORDS_PATTERN = lazy_regex(
    r"\b(?:buy|order|cheap|acheter|comprar|kaufen|bestellen|bonus|visit|play)\b|купить|購入|購買",
    re.IGNORECASE,
)
_PRICE_PATTERN = lazy_regex(
    r"[$€£¥₩₫]\s?\d|\d\s?(?:[円元€₩₫]|usd\b|eur\b|mad\b|dhs?\b)", re.IGNORECASE
)


def _is_in_spam_language(document: Document) -> bool:
    """Whether the page is in a language of spam, by its own word or by its title's."""
    return document.language[:2] in _SPAM_LANGUAGES or _has_foreign_title(document)


def _has_foreign_title(document: Document) -> bool:
    """Whether a page of a language that is near has a title in one that is not."""
    titled = language.detect_title_language(document.title)
    if not titled or titled in language.NETWORK_LANGUAGES:
        return False
    return (
        language.detect_language(document.text) in language.NETWORK_LANGUAGES
        or language.normalize_language_code(document.language) in language.NETWORK_LANGUAGES
    )


def redirects_to_other_site(document: Document) -> bool:
    """Whether the page calls another site its original, or sends its visitors to one."""
    refresh = re.search(
        r"url\s*=\s*['\"]?\s*(https?://\S+)", document.meta.get("refresh", ""), re.IGNORECASE
    )
    scripted = (_SCRIPT_REDIRECT_PATTERN.search(source) for source in document.script_sources)
    targets = (
        document.find_link_rel("canonical"),
        document.find_link_rel("amphtml"),
        refresh and refresh[1],
        *(found[1] for found in scripted if found),
    )
    return any(target and _is_other_site(document, target) for target in targets)


_SCRIPT_REDIRECT_PATTERN = lazy_regex(
    r"location(?:\.href|\.replace\()?\s*[=(]?\s*[\"'](https?://[^\"']+)"
)


def _is_other_site(document: Document, url: str) -> bool:
    name = get_host(url)
    return bool(name) and not domains.is_same_domain(name, get_host(document.url))


def has_hidden_link_block(markup: str, url: str) -> bool:
    """Whether a block that no visitor sees is full of links to other sites."""
    own = domains.normalize_host(get_host(url))
    for hidden in islice(_HIDDEN_ELEMENT_PATTERN.finditer(markup), _MAX_HIDDEN_BLOCKS):
        block = markup[hidden.end() : hidden.end() + _MAX_HIDDEN_BLOCK_CHARS].partition("</div>")[0]
        found = {
            domains.normalize_host(get_host(link)) for link in _EXTERNAL_LINK_PATTERN.findall(block)
        }
        if len(found - {own, ""}) >= MIN_HIDDEN_LINKS:
            return True
    return False


_MAX_HIDDEN_BLOCKS = 60
_MAX_HIDDEN_BLOCK_CHARS = 6_000  # characters of a hidden block that are looked at
_HIDDEN_ELEMENT_PATTERN = lazy_regex(
    r"<(?:div|span|p|ul|marquee|section|font)\b[^<>]{0,200}?style\s*=\s*[\"'][^\"'<>]{0,200}?"
    r"(?:display\s*:\s*none|(?:left|top|text-indent)\s*:\s*-\d{3,}|font-size\s*:\s*0|"
    r"(?:height|width)\s*:\s*[01]px)",
    re.IGNORECASE,
)
_EXTERNAL_LINK_PATTERN = lazy_regex(r"href\s*=\s*[\"']?(https?://[^\s\"'<>]{1,200})", re.IGNORECASE)
