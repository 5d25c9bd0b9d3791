"""Classification of a website's page: suspended, parked, default page, hijacked, soft 404, or wall.

The patterns of `notices` and `interstitials` are matched against the title, the headings and the
visible text. A match only counts within the limits of its table: "coming soon" is a banner on a
shop's page and the whole text of an unfinished site. Patterns with `max_other_chars` only count if
the page states them about itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from probes.classify import interstitials, notices, soft_404, spam
from probes.classify.interstitials import HEAD_BYTES, MIN_NAVIGATION_LINKS
from probes.classify.notices import NoticePattern
from probes.classify.soft_404 import (
    SHORT_PAGE_MAX_CHARS,
    TINY_PAGE_MAX_CHARS,
    iter_sentences,
    split_title,
)
from probes.models.finding import Reason
from probes.models.http import Page
from probes.parsing.html import Document, get_host
from probes.text.lazy_regex import lazy_regex, may_match
from probes.urls import domains

PARKING_PAGE_MAX_MAIN_CHARS = 600
"""A page with more characters in its main part was not filled by a parking service's scripts."""
EARLY_TEXT_CHARS = 140
"""A page without a menu says within these characters what it is. Later it writes about others."""
EARLY_WALL_TEXT_CHARS = 400
"""The same for walls, where an error makes the finding unknown only."""
MAX_CHARS_BESIDE_NOTICE = 30
MIN_STORY_CHARS = 200
"""A main part with more characters is no wall."""
_INCONCLUSIVE_REASONS = frozenset({Reason.BLOCKED, Reason.SERVER_ERROR, Reason.LOGIN_WALL})
_CLOSED_SITE_REASONS = frozenset({Reason.SUSPENDED, Reason.NOT_FOUND})
# A publishing system shows these notices among its menus.
_REASONS_WITH_NAVIGATION = frozenset({Reason.EMPTY, Reason.DIRECTORY_LISTING})


def detect_absence(document: Document, *, is_home_page: bool) -> tuple[Reason, str] | None:
    """Return why the page is no association's website, with the text that proves it, or None.

    On a home page an error heading alone proves less.
    """
    for notice in (*notices.ABSENCE_NOTICES, *notices.SELF_STATED_ABSENCES):
        text = _match_notice(notice, document)
        if text:
            return notice.reason, text
    parking_notice = find_parking_notice(document) if is_home_page else None
    if parking_notice:
        return Reason.PARKED, parking_notice
    missing = soft_404.detect_soft_404(document, is_home_page=is_home_page)
    if missing:
        is_restricted = interstitials.mentions_region_restriction(document.text)
        return None if is_restricted else missing
    has_structure = has_site_navigation(document) or soft_404.is_dated_article(document)
    return spam.detect_hijacked_page(document, has_navigation=has_structure)


def has_site_navigation(document: Document) -> bool:
    """Return whether the page links to other pages of its site. A suspended page does not."""
    return document.internal_link_count >= MIN_NAVIGATION_LINKS


def _match_notice(notice: NoticePattern, document: Document) -> str | None:
    """Return the text of a notice if it counts on this page, or None."""
    if notice.location == "address":
        return _match_in_urls(notice, document)
    if len(document.text) > notice.max_page_chars:
        return None
    if notice.location == "source":
        return _match_script_sources(notice, document)
    if has_site_navigation(document) and notice.reason not in _REASONS_WITH_NAVIGATION:
        return _match_main_text(notice, document)
    return _match_visible_text(notice, document)


def _match_visible_text(notice: NoticePattern, document: Document) -> str | None:
    if notice.location == "listing":
        is_listed = _find_first_match(notice, (document.text, *document.headings[:1]))
        return _find_first_match(notice, (document.title,)) if is_listed else None
    if notice.max_other_chars is None:
        return _match_near_start(notice, document)
    return _match_self_statement(notice, document, notice.max_other_chars)


def _match_script_sources(notice: NoticePattern, document: Document) -> str | None:
    """Return the script or frame of a parking service, if the page has no other content."""
    has_own_content = len(document.main_text) > PARKING_PAGE_MAX_MAIN_CHARS
    if has_site_navigation(document) or has_own_content:
        return None
    return _find_first_match(notice, document.script_sources)


def _find_first_match(notice: NoticePattern, texts: Iterable[str]) -> str | None:
    """Return the text of a notice in the first of the texts that contains it, or None."""
    for text in texts:
        match = notice.pattern.search(text)
        if match:
            return match[0]
    return None


def _match_in_urls(notice: NoticePattern, document: Document) -> str | None:
    """Return the notice in the address of the page, a frame or an immediate redirect."""
    refresh = document.meta.get("refresh", "")
    redirect = refresh if "=" in refresh else ""
    return _find_first_match(notice, (document.url, *document.frames, redirect))


def _match_near_start(notice: NoticePattern, document: Document) -> str | None:
    """Return the notice in the title, the first heading or the beginning of the text."""
    prominent = _find_first_match(notice, (document.title, *document.headings[:1]))
    if prominent or notice.location == "title":
        return prominent
    match = notice.pattern.search(document.text)
    if match is None:
        return None
    is_wall = notice.reason in _INCONCLUSIVE_REASONS
    max_start = EARLY_WALL_TEXT_CHARS if is_wall else EARLY_TEXT_CHARS
    return match[0] if match.start() < max_start else None


def _match_self_statement(
    notice: NoticePattern, document: Document, max_other_chars: int
) -> str | None:
    """Return the sentence in which a page states the notice about itself.

    A page that announces its new site is not gone.
    """
    statement = find_self_statement(notice.pattern, document, max_other_chars)
    if statement and notice.reason in _CLOSED_SITE_REASONS and mentions_new_site(document):
        return None
    return statement


def _match_main_text(notice: NoticePattern, document: Document) -> str | None:
    """Return the notice on a page with a menu, if the main part contains almost nothing else."""
    match = notice.pattern.search(document.main_text)
    if match is None:
        return None
    other_chars = len(document.main_text) - len(match[0])
    return match[0] if other_chars < MAX_CHARS_BESIDE_NOTICE else None


def detect_inconclusive_page(document: Document) -> tuple[Reason, str] | None:
    """Return why nothing follows from the page, with the text that shows it, or None."""
    text = document.text
    # A play can have the title "Forbidden".
    is_article = has_site_navigation(document) and len(document.main_text) > MIN_STORY_CHARS
    titles = () if is_article else (document.title, *split_title(document.title))
    for title in titles:
        if interstitials.INTERSTITIAL_TITLES.fullmatch(title):
            return _get_title_reason(title), title
    for notice in interstitials.INTERSTITIAL_NOTICES:
        match = _match_notice(notice, document)
        if match and (len(text) <= 700 or len(document.anchors) <= 10):
            return notice.reason, match
    return interstitials.detect_consent_or_paywall(document) or _detect_page_without_text(
        document, text
    )


def _get_title_reason(title: str) -> Reason:
    is_server_error = re.search(r"maint|50\d|gateway|serv|database", title, re.IGNORECASE)
    return Reason.SERVER_ERROR if is_server_error else Reason.BLOCKED


def _detect_page_without_text(document: Document, text: str) -> tuple[Reason, str] | None:
    """Detect a page with only frames, only scripts, or nothing at all."""
    if document.frames and len(text) < TINY_PAGE_MAX_CHARS:
        return Reason.UNREADABLE, "frames only"
    if len(text) >= 60 or document.image_count > 2 or len(document.anchors) > 3:
        return None
    if document.script_count or document.form_count:
        return Reason.SCRIPT_ONLY, "no text without scripts"
    is_empty = len(text) < 20 and not document.image_count
    return (Reason.EMPTY, "no text") if is_empty else None


def may_be_soft_404(document: Document) -> bool:
    """Return whether the text mentions a missing page, so that a decoy request is justified."""
    text = document.text
    return len(text) < 5 * SHORT_PAGE_MAX_CHARS and soft_404.mentions_missing_page(text)


# --- Statements of a page about itself ---
#
# Associations write the same words about bridges, schools and blogs: "the site is under
# construction in Tata", "hébergement suspendu pour 40 familles". So the words count only if they
# fill a title, a heading or a sentence, apart from small words and talk of hosting, and if the page
# says little else.
MAX_HEADINGS = 2
"""The number of headings that can contain the statement."""
EARLY_STATEMENT_CHARS = 400
"""The first characters of the text, in which a sentence can be the statement."""
MAX_OTHER_CHARS_WITHOUT_HOSTING = 40
"""The most other characters on a page that does not mention hosting."""
MAX_HOSTING_SENTENCE_CHARS = 160
"""The most characters of a sentence that is only about hosting."""

# Small words that do not change the meaning of a statement in the same sentence.
_STOP_WORDS = frozenset(
    """
    a an and are as at be been being by currently due for from has have in into is it its just
    momentarily more moment nearing not now of on or our please presently present shortly sorry
    still temporarily that the this to under until was we were will with your you yet here new non
    all again very soon coming page au aux actuellement afin avec ce cet cette ces car d de des
    désolé désolés du en est été et il l la le les ligne momentanément n ne notre nos nouveau nous
    ou par pas pour plus prochainement qu que sa ses son sont sur temporairement un une votre vos à
    ici toujours encore actuel instant cours der die das dem den dieser diese dieses derzeit ein
    eine einen ist sind im leider momentan noch nicht unser unsere vom von vorübergehend wegen wird
    wurde zur zurzeit zum aktuell neu neue neuer bitte el los las este esta estos está estamos
    estará del por para una nuestro nuestra temporalmente actualmente se ha sido lo sentimos momento
    nuevo nueva no o os foi em do da na nosso nossa temporariamente um uma gli questo questa è di
    della dal dalla per stato stata nostro nostra momentaneamente al het een wordt deze dit op te
    van voor wegens tijdelijk momenteel nog onze bu şu bir ve için geçici olarak anda yakında web
    jest ta ten w z tymczasowo nasza этот эта сайт в на временно и находится наш ini telah sedang
    untuk sementara situs هذا هذه في من على عن إلى حاليا حالياً مؤقتا مؤقتاً الآن طرف قبل بسبب لعدم
    الأداء لأسباب تقنية و أو نعتذر عذرا عذراً المرجو نأسف موقعنا الموقع صفحة الصفحة الويب الإلكتروني
    الالكتروني الرسمي انتظرونا
    """.split()  # noqa: SIM905
)
# Words about hosting, and what a hosting company or an unfinished site adds to a statement.
_HOSTING_PATTERN = lazy_regex(
    r"\bhosts?\b|hosting|webhost|web ?site|web ?space|home ?page|internet|on ?line|\bdomain(?:s|"
    r"names?)?\b|server|webmaster|"
    r"administrat|provider|payment|unpaid|invoice|billing|owner|your account|contact (?:\w+ "
    r")?support|"
    r"patience|"
    r"stay tuned|tuned|come back|back soon|check back|renew|subscri|copyright|©|all rights|powered "
    r"by|"
    r"working on|"
    r"newsletter|notify|launch|registra(?:nt|r)\b|whois|"
    r"hébergeur|hébergement|serveur|en ligne|facture|impay|paiement|propriétaire|titulaire|votre "
    r"compte|"
    r"espace client|revenez|reviendrons|patien|nom de domaine|\bsite web\b|nouveau site|"
    r"fournisseur|"
    r"service (?:technique|client)|tous droits|"
    r"webseite|anbieter|inhaber|\bkunden|\bkonto|webauftritt|wir arbeiten|schauen sie|"
    r"proveedor|propietari|su cuenta|dominio|alojamiento|estamos trabajando|vuelv[ae] pronto|"
    r"volvemos|"
    r"proprietári|sua conta|domínio|hospedagem|suporte|fornitore|proprietario|stiamo lavorando|"
    r"torna a "
    r"trovarci|"
    r"domein|\bklant|eigenaar|alan adı|\bhesab|barındırma|iletişim|serwer|\bstrona|klienta|\bdomen|"
    r"wkrótce|yakında|"
    r"сайт|хостинг|домен|поддержк|владел|сервер|аккаунт|akun|situs|penyedia|hubungi|"
    r"استضافة|النطاق|الخادم|الحساب|حسابك|صاحب الموقع|مدير الموقع|الفاتورة|الدعم التقني|مزود|"
    r"الموقع الإلكتروني|نعود إليكم|بحلة جديدة|"
    r"サイト|ホームページ|お待ち|公開|ドメイン|域名|网站|網站|服务器",
    re.IGNORECASE,
)
# A page with the site's new address.
_MOVED_SITE_PATTERN = lazy_regex(
    r"new (?:web ?)?(?:site|address|home)|has moved|moved to|nouveau site|nouvelle adresse|déménag|"
    r"neue (?:web|internet)?(?:seite|adresse|präsenz)|umgezogen|nuev[ao] (?:web|sitio|página|"
    r"dirección)|"
    r"facebook|instagram|whatsapp|désormais sur|find us (?:at|on)|"
    r"nuovo (?:sito|indirizzo)|nieuwe (?:web)?site|novo (?:site|endereço)|انتقل|الموقع الجديد|"
    r"موقعنا الجديد",
    re.IGNORECASE,
)
CONTACT_DETAILS_PATTERN = lazy_regex(
    r"[\w.+-]{1,64}@[\w-]{1,63}\.\w+|(?:\+|\b0)\d(?:[\s./-]?\d){7,}"
)
_WORD_PATTERN = lazy_regex(r"[^\W_]+")
_DOMAIN_NAME_PATTERN = lazy_regex(r"(?<!\S)\S+\.[a-z]{2,12}\b", re.IGNORECASE)


def find_self_statement(
    statement_pattern: re.Pattern[str], document: Document, max_other_chars: int
) -> str | None:
    """Return the title, heading or sentence in which the page states it about itself, or None.

    The page may contain at most `max_other_chars` characters of other text.
    """
    texts = (document.title, *document.headings[:MAX_HEADINGS], document.text)
    if not any(may_match(statement_pattern, text) for text in texts):
        return None
    statement = _find_prominent_statement(statement_pattern, document)
    if statement is None:
        return None
    if not _mentions_hosting(statement_pattern, document):
        max_other_chars = min(max_other_chars, MAX_OTHER_CHARS_WITHOUT_HOSTING)
    other_text = " ".join(find_other_sentences(statement_pattern, document))
    other_text = CONTACT_DETAILS_PATTERN.sub("", other_text)
    return statement if len(other_text) <= max_other_chars else None


def _find_prominent_statement(statement_pattern: re.Pattern[str], document: Document) -> str | None:
    for text in _iter_prominent_texts(document):
        if _is_whole_statement(statement_pattern, text, document):
            return text
    return None


def _mentions_hosting(statement_pattern: re.Pattern[str], document: Document) -> bool:
    """Return whether a page has its host as its title or mentions hosting outside the statement."""
    if _is_own_host(document.title, document):
        return True
    return any(
        _HOSTING_PATTERN.search(sentence)
        for sentence in iter_sentences(document)
        if not _is_whole_statement(statement_pattern, sentence, document)
    )


def mentions_new_site(document: Document) -> bool:
    """Return whether the page says where its site is now."""
    return bool(_MOVED_SITE_PATTERN.search(document.text))


def find_other_sentences(statement_pattern: re.Pattern[str], document: Document) -> list[str]:
    """Return the sentences besides the statement, the site's name and talk of hosting."""
    titles = (document.title, *split_title(document.title))
    names = {title.lower() for title in titles}
    return [
        sentence
        for sentence in iter_sentences(document)
        if not _is_whole_statement(statement_pattern, sentence, document)
        and not _is_hosting_sentence(sentence)
        and sentence.lower().strip(" .!") not in names
        and not _is_own_host(sentence, document)
    ]


def _is_hosting_sentence(sentence: str) -> bool:
    is_short = len(sentence) < MAX_HOSTING_SENTENCE_CHARS
    return is_short and _HOSTING_PATTERN.search(sentence) is not None


def _iter_prominent_texts(document: Document) -> Iterator[str]:
    """Yield the title and its parts, the first headings and the first sentences."""
    yield document.title
    for part in split_title(document.title):
        if not _continues_after_colon(part, document.title):
            yield part
    yield from document.headings[:MAX_HEADINGS]
    length = 0
    for sentence in iter_sentences(document):
        if length > EARLY_STATEMENT_CHARS:
            return
        yield sentence
        length += len(sentence)


def _continues_after_colon(title_part: str, title: str) -> bool:
    """Return whether a title continues after the part: "site en construction : la future école"."""
    return re.match(rf"{re.escape(title_part)} ?:", title) is not None


def _is_whole_statement(
    statement_pattern: re.Pattern[str], sentence: str, document: Document
) -> bool:
    """Return whether a sentence is the statement, apart from small words and talk of hosting."""
    match = statement_pattern.search(sentence)
    if match is None:
        return False
    other_text = f"{sentence[: match.start()]} {sentence[match.end() :]}"
    if _is_own_host(other_text, document) or not other_text.strip():
        return True
    words = _WORD_PATTERN.findall(_DOMAIN_NAME_PATTERN.sub(" ", other_text).lower())
    return all(_is_insignificant_word(word) for word in words)


def _is_insignificant_word(word: str) -> bool:
    return word in _STOP_WORDS or bool(_HOSTING_PATTERN.search(word))


def _is_own_host(text: str, document: Document) -> bool:
    """Return whether a text is only the name of the page's host."""
    name = text.strip(" .:!–—|-").lower().removeprefix("www.")
    return name == get_host(document.url).removeprefix("www.")


# --- Parked domains ---
#
# There are too many hosting companies and registrars to list their texts. Their pages are
# recognized by their topic: such a page is a home page without internal links that says, in any
# language, that its domain or host is registered, reserved or parked. It has no email address and
# no phone number.
MAX_UNRELATED_CHARS = 100
"""The most characters about other topics on such a page."""
MIN_HOST_LABEL_CHARS = 4
"""A host name with fewer letters may be in a text by chance."""
# bytes of a body in which a parking service's shell betrays itself

_DOMAIN_WORD_REGEX = (
    r"(?:\bnom de domaine\b|\bce domaine\b|^domaine\b|\bdomaine (?=\S+\.\w)|^dom[íi]nio\b|"
    r"\b(?:este|esse|"
    r"questo) dom[íi]nio\b|\bdom[íi]nio (?=\S+\.\w)|\bdomeinnaam\b|"
    r"\bdomein\b|\b(?:die|diese|dieser) domain\b|\bdom[eé]na\b|\bdomeny\b|\bdomen\b|\bdomeniul\b|"
    r"\bdom[äæe]n(?:en|et)?\b|\bverkkotunnus\w*+|домен\w{0,20}+|tên miền|"
    r"alan ad\w{1,20}+|ドメイン|域名|도메인|"
    r"النطاق|الدومين|דומיין|دامنه|\bτο domain\b|όνομα χώρου)"
)
_REGISTERED_WORD_REGEX = (
    r"(?:\bregistri?er\w*+|\bregistrad\w*+|\bregistrat\w*+|\bregistr[eo]\w*+|\benregistr\w*+|"
    r"\bréserv\w*+|"
    r"\breserv\w*+|\bgereserv\w*+|\bgeregistr\w*+|\bregistr\w++|\bparke[dr]\w*+|\bgeparkt\b|"
    r"\bgeparkeerd\b|"
    r"\bparqu\w++|\baparcad\w*+|\bestacionad\w*+|\balojad\w*+|\bhébergé|\bzarejestr\w*+|"
    r"\bzaregistr\w*+|"
    r"\bzaparkov\w*+|\butrzymywan\w*+|\brekisteröi\w*+|\bînregistrat\w*+|зарегистр\w{0,20}+|"
    r"зареєстр\w{0,20}+|"
    r"припаркован\w{0,20}+|"
    r"прилинкован\w{0,20}+|đăng ký|hết hạn|\bkay[ıi]t\w*+|\btescil\w*+|"
    r"取得|注册|登録|过期|過期|등록|مسجل|محجوز|"
    r"נרשם|ثبت|"
    r"κατοχυρ\w{1,20}+|à vendre|en vente|\bexpirée?\b|en venta|in vendita|te koop|zum verkauf|"
    r"abgelaufen|caducado|"
    r"scaduto|verlopen|na sprzedaż|на продажу|прода[её]тся)"
)
_ENGLISH_NOTICE_REGEX = (
    r"\bdomain(?: ?name)?(?: \S+\.\w{2,})? (?:(?:is|was|has been|may be) (?:\w+ ){0,3}?)?"
    r"(?:registered|reserved|parked|hosted|purchased|expired|for sale)\b"
    r"|\bis (?:hosted|parked) (?:by|with|at|on) \S|\bparked domain\b"
    r"|\blease[ -]to[ -]own\b"
)
# "Registered as a charity" is not about a domain.
_NOT_AS_REGEX = r"(?!\s*(?:as|comme|als|como|come|aux?)\b)"
# Any text of the same sentence. Domain names contain full stops.
_SENTENCE_GAP_REGEX = r"(?:[^.!?:]|\.(?=\S)){0,60}?"
_DOMAIN_NOTICE_PATTERN = lazy_regex(
    rf"{_DOMAIN_WORD_REGEX}{_SENTENCE_GAP_REGEX}{_REGISTERED_WORD_REGEX}{_NOT_AS_REGEX}|"
    rf"(?:{_ENGLISH_NOTICE_REGEX}){_NOT_AS_REGEX}|تم تسجيل (?:اسم )?(?:النطاق|الدومين)"
    r"|\butrzymywan\w+ na serwerach\b|\b(?:domänen?|domænet|domenet) .{0,40}(?:parker|köpt)",
    re.IGNORECASE,
)
_MATCH_NOTHING_PATTERN = lazy_regex(r"(?!)")
_PARKING_MARKUP_PATTERN = re.compile(rb"data-adblockkey\s*=|window\.park\s*=\s*[\"']")


def find_parking_notice(document: Document) -> str | None:
    """Return the text of a home page that is only about its own domain, or None."""
    is_short = len(document.text) <= TINY_PAGE_MAX_CHARS
    if document.internal_link_count or not is_short or _has_contact_details(document):
        return None
    notice = _DOMAIN_NOTICE_PATTERN.search(f"{document.title} {document.text}")
    if notice is None:
        return None
    if not _mentions_own_host(document) and not _mentions_linked_host(document):
        return None
    unrelated = [
        sentence
        for sentence in find_other_sentences(_MATCH_NOTHING_PATTERN, document)
        if not _DOMAIN_NOTICE_PATTERN.search(sentence)
    ]
    return notice[0] if len(" ".join(unrelated)) <= MAX_UNRELATED_CHARS else None


def is_parking_shell(page: Page) -> bool:
    """Return whether a page has the marks of parking services (Bodis, users of Google's feed)."""
    return bool(_PARKING_MARKUP_PATTERN.search(page.body[:HEAD_BYTES]))


def _has_contact_details(document: Document) -> bool:
    has_contact_link = any(
        anchor.url.startswith(("mailto:", "tel:")) for anchor in document.anchors
    )
    return has_contact_link or CONTACT_DETAILS_PATTERN.search(document.text) is not None


def _mentions_own_host(document: Document) -> bool:
    """Return True if the page contains the name of the host that serves it."""
    name = domains.normalize_host(get_host(document.url))
    return bool(name) and name in f"{document.title} {document.text}".lower()


def _mentions_linked_host(document: Document) -> bool:
    """Return whether the page names a site that it links to, such as its hosting company."""
    text = f"{document.title} {document.text}".lower()
    own_label = _get_domain_label(document.url)
    linked_labels = {_get_domain_label(anchor.url) for anchor in document.anchors}
    return any(
        len(label) >= MIN_HOST_LABEL_CHARS and label in text
        for label in linked_labels - {own_label}
    )


def _get_domain_label(url: str) -> str:
    """Return the first label of a URL's registrable domain: `annour` for `www.annour.ma`."""
    return domains.get_registrable_domain(get_host(url)).partition(".")[0]
