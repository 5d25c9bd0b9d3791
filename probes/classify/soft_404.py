"""Soft 404s: pages that say with 200 that they are not there, in whatever dress.

A publishing system keeps its menus and footers around "page not found", so neither size nor status tells.
What tells is the title, a heading, or the words of a main part that has little else to say; a sentence
counts only where it ends there ("the page was not found", not "the page was not found worth reading").

The sentences by which pages say that they, or what stood there, are not there, by language.

Each begins and ends where the sentence does; `probes.classify.soft_404` knows where they count. Wordings:
WordPress, Joomla, Drupal, SPIP, phpBB, Wix, Squarespace, Ghost, PrestaShop and Django as translated by them,
2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from probes.models.finding import Reason
from probes.parsing.html import Document
from probes.text.lazy_regex import lazy_regex

SORRY_REGEX = (
    r"(?:(?:whoops|oops|ooops|oups|ouups|ups|opps|sorry|so sorry|we.re sorry|désolée?s?|nous sommes "
    r"désolée?s?|"
    r"uh oh|oh no|http|status|code|error|erreur|fehler|errore?|erro|hm+|ops|hoppla|entschuldigung|lo "
    r"sentimos|"
    r"perd[óo]n|desculpe|spiacenti|ci dispiace|(?:نحن )?(?:نأسف|آسفون)|(?:عفوا|عذرا|معذرة|عفواً|عذراً|"
    r"أوبس)ً?|"
    r"but|mais|aber|pero)\b\W*){0,3}"
)
# Sentences that a page says of itself, by language. Each begins and ends where the sentence does.
PAGE_NOT_FOUND_REGEX = (
    # English
    r"(?:the |that |this |your )?(?:requested |object |url |site |document |file |web ?)?(?:page )?"
    r"(?:you requested |you(?:.re| are) looking for |you were (?:looking for|trying to reach) |"
    r"you (?:have )?requested )?(?:was |is |were )?not found(?: on this server)?|"
    r"(?:sorry,? )?(?:the|that|this|your|requested|the requested)? ?(?:requested )?(?:page|url|"
    r"document|file|link) "
    r"(?:(?:that )?you(?:.re| are|.ve| have| were)? ?(?:looking for|requested|(?:trying|tried) to "
    r"(?:reach|access|"
    r"view)|seeking|want(?:ed)?) )?"
    r"(?:can.?t be|cannot be|can not be|could not be|couldn.t be|could.t be|wasn.?t|was not|isn.t|is not|"
    r"not) found|"
    r"(?:the |that |this |your )?(?:requested )?(?:page|content|article|post|item|moment|file|"
    r"document|url|link) "
    r"(?:(?:that )?you(?:.re| are|.ve| have| were)? ?(?:looking for|requested|(?:trying|tried) to "
    r"(?:reach|access|"
    r"view)) )?(?:does not|doesn.?t|no longer|don.?t) (?:seem to )?exists?(?: any ?more)?|"
    r"(?:the |this |that )?page (?:has been |was |is )?(?:removed|deleted|missing)|"
    r"(?:(?:it )?(?:looks|seems) like )?(?:we |i )?(?:can.t|cannot|can not|could not|couldn.t|can.t seem to|"
    r"are unable to|were unable to) find (?:that|this|the|your) (?:web ?)?page"
    r"(?: (?:that )?you(?:.re| are|.ve| have| were)? ?(?:looking for|requested))?|"
    r"(?:file|page) (?:not found|missing)|file or directory not found|there is no page at this url|"
    r"page (?:\S+ )?not found|"
    # French
    r"(?:cette |la |votre )?page (?:web )?(?:demandée |recherchée |que vous (?:cherchez|recherchez|demandez|"
    r"avez demandée|tentez d.afficher) )?(?:est |semble )?(?:introuvable|inexistante|inconnue|non[ "
    r"-]trouvée?|"
    r"manquante|supprimée)|"
    r"(?:cette |la )?page (?:web )?(?:demandée |recherchée |que vous .{3,30} )?(?:n.existe (?:pas|plus)|"
    r"n.a pas (?:été trouvée|pu être trouvée)|n.est (?:plus|pas) disponible|ne peut (?:pas )?être trouvée)|"
    r"(?:le |l.|ce |cet )?(?:document|contenu|article|fichier) (?:demandé (?:est )?|est |a été "
    r")(?:introuvable|"
    r"supprimé)|(?:document|contenu|article|fichier) (?:introuvable|supprimé)|"
    r"(?:le |l.|ce |cet )?(?:document|contenu|article|fichier) n.(?:existe (?:pas|plus)|est plus disponible)|"
    r"(?:this|the) (?:page|content|article|post) is (?:no longer|not) available|"
    r"(?:the |this |that )?page (?:(?:that )?you(?:.re| are) looking for )?(?:isn.t|is not) here|"
    r"(?:esta |essa |a )p[áa]gina n[ãa]o (?:pode|p[ôo]de) ser encontrada|"
    r"(?:nous (?:ne trouvons pas|n.avons pas (?:pu )?trouv[eé]r?)|impossible de trouver) (?:cette|la|"
    r"votre) page"
    r"(?: (?:demandée|que vous .{3,20}))?|"
    # Arabic
    r"(?:هذه )?(?:الصفحة|صفحة) (?:(?:التي|اللتي) (?:تبحث عنها|طلبتها|تحاول .{3,20}) |المطلوبة )?"
    r"(?:غير (?:موجودة|متوفرة|متاحة)|لم تعد موجودة|لا وجود لها)|"
    r"(?:لم (?:يتم|نتمكن من) العثور على|تعذر العثور على|لا يمكن العثور على|لم نعثر على|لم نجد) "
    r"(?:هذه )?(?:الصفحة|صفحة)(?: (?:المطلوبة|(?:التي) (?:تبحث عنها|طلبتها)))?|"
    # Spanish, Catalan
    r"(?:esta |la )?p[áa]gina (?:solicitada |que (?:est[áa]s? )?(?:busca|buscas|buscando|solicitó|"
    r"intenta ver) )?"
    r"(?:no (?:fue |ha sido )?encontrada|no existe|no se (?:encuentra|encontró|ha encontrado|pudo encontrar)|"
    r"no est[áa] disponible)|p[áa]gina de error|"
    r"no (?:se (?:encuentra|encontró|ha encontrado|pudo encontrar)|(?:hemos )?(?:podido "
    r")?encontr(?:ado|ar|amos)) "
    r"(?:la|esta|esa) p[áa]gina(?: (?:solicitada|que busca\w*))?|no s.ha trobat la pàgina|"
    # German, Dutch, Scandinavian
    r"(?:die |diese )?(?:von ihnen )?(?:angeforderte |gewünschte |gesuchte |aufgerufene )?seite "
    r"(?:(?:wurde|konnte) )?(?:leider )?(?:nicht gefunden(?: werden)?|nicht vorhanden|existiert "
    r"(?:leider )?nicht"
    r"(?: mehr)?)|"
    r"(?:die |diese )?(?:gesuchte |gewünschte |aufgerufene )?seite (?:ist (?:leider )?nicht (?:mehr "
    r")?verfügbar|gibt es nicht(?: mehr)?)|"
    r"(?:de(?:ze)? )?(?:opgevraagde |gevraagde )?pagina (?:die (?:je|u) zoekt )?(?:is |kon |werd )?"
    r"(?:helaas )?(?:niet gevonden(?: worden)?|bestaat (?:helaas )?niet(?: meer)?)|"
    r"(?:we|wij|ik) (?:kunnen|konden|kan|kon) (?:de|deze|die) pagina (?:die (?:je|u) (?:zoekt|zocht) )?"
    r"(?:helaas )?niet vinden|"
    r"sid(?:an|en)(?: du (?:leter etter|letade efter|söker|søger|leder efter))? (?:kunde inte hittas|"
    r"hittades "
    r"inte|(?:blev|ble) ikke fun[dn]et|(?:kan|kunne) ikke findes|(?:finns|finnes|findes|eksisterer) "
    r"(?:inte|ikke)(?: lenger| längre| længere)?)|"
    r"vi (?:finner|finder|hittar|kan|kunde|kunne) (?:ikke|inte) (?:finne |finde |hitta )?sid(?:en|an)"
    r"(?: du (?:leter etter|letade efter|søger|leder efter))?|"
    # Portuguese, Italian, Romanian
    r"(?:esta |a )?p[áa]gina (?:solicitada |que (?:voc[êe] )?(?:procura|procurou|est[áa] procurando) )?"
    r"(?:n[ãa]o (?:foi )?encontrada|n[ãa]o existe(?: mais)?|n[ãa]o p[ôo]de ser encontrada)|"
    r"(?:questa |la )?pagina (?:richiesta |cercata |che (?:stai cercando|cerchi|hai richiesto) )?"
    r"(?:non (?:è stata |è )?trovata|non esiste(?: più)?|non è (?:più )?disponibile)|"
    r"pagina nu a fost găsită|"
    # Central, northern and eastern Europe
    r"(?:etsimääsi |hakemaasi |pyytämääsi )?sivua ei (?:löytynyt|löydy|ole(?: olemassa)?)|"
    r"(?:požadovan[áa] |hledan[áa] )?stránka (?:ne(?:byla )?nalezena|neexistuje|nebola nájdená|sa nenašla)|"
    r"(?:az? )?(?:keresett |kért )?oldal nem (?:található|létezik|elérhető)|"
    r"(?:η )?σελίδα (?:που (?:ζητήσατε|αναζητάτε|αναζητήσατε|ψάχνετε) )?δεν (?:βρέθηκε|υπάρχει)|"
    r"сторінк[ау] не (?:знайден[оа]|існує)|"
    r"(?:запрашиваемая |запрошенная )?страница (?:не найдена|не существует|удалена)|"
    r"nie znaleziono (?:takiej |żądanej )?strony|(?:podana |ta )?strona nie (?:została znaleziona|istnieje)|"
    # Asia
    r"(?:aradığınız )?sayfa (?:bulunamadı|mevcut değil)|"
    r"(?:صفحه|مطلب)(?: مورد نظر| درخواستی)?(?: شما)? (?:(?:یافت|پیدا) نشد|وجود ندارد)|"
    r"ה?(?:דף|עמוד)(?: (?:שחיפשת\w*|שביקשת\w*|המבוקש))? (?:לא נמצא|אינו קיים|לא קיים)|"
    r"halaman (?:yang anda (?:cari|minta) )?tidak (?:ditemukan|ada)|"
    r"không tìm thấy trang(?: này| bạn .{3,20})?|trang (?:này |bạn .{3,20}? )?không (?:tồn tại|được tìm "
    r"thấy)|"
    r"(?:お探しの|ご指定の)?ページ[はが](?:見つかりません(?:でした)?|存在しません)|"
    r"(?:[您你](?:访问|请求|查找)的)?页面不存在|找不到(?:该)?(?:页面|網頁)|页面未找到|"
    r"(?:요청하신 |찾으시는 )?페이지를 찾을 수 없습니다"
)
# What else a site files under an address: there the same is said of a post, a job, an event.
_GONE_REGEX_EN = (
    r"(?:(?:was |is |were |has )?not (?:been )?found|(?:could not|can.?t|cannot|couldn.t) be found|"
    r"(?:does not|doesn.t|no longer) exists?(?: any ?more)?|is no longer available|"
    r"(?:has been |was |have been )(?:removed|deleted))"
)
_MISSING_REGEX_FR = r"(?:introuvable|inexistante?|inconnue?|non trouvée?)"
_GONE_REGEX_FR = (
    rf"(?:(?:est |semble ){_MISSING_REGEX_FR}|n.existe (?:pas|plus)|"
    r"n.est plus (?:disponible|en ligne)|n.a pas été trouvée?|(?:a été|est) supprimée?)"
)
_GONE_REGEX_DE = (
    r"(?:(?:wurde |konnte )?(?:leider )?nicht gefunden(?: werden)?|existiert (?:leider )?nicht(?: mehr)?|"
    r"(?:ist )?(?:leider )?nicht (?:mehr )?(?:verfügbar|vorhanden|auffindbar)|wurde (?:gelöscht|entfernt))"
)
_GONE_REGEX_ES = (
    r"(?:(?:ya )?no existe(?: más)?|no (?:fue |ha sido |se ha |se )?(?:encontrad[oa]|encontró|encuentra)|"
    r"ya no est[áa] disponible|ha sido eliminad[oa])"
)
_GONE_REGEX_PT = (
    r"(?:n[ãa]o (?:foi )?encontrad[oa]|n[ãa]o existe(?: mais)?|n[ãa]o est[áa] mais dispon[íi]vel|"
    r"foi (?:removid[oa]|exclu[íi]d[oa]))"
)
_GONE_REGEX_IT = (
    r"(?:non (?:è stat[oa] |è )?trovat[oa]|non esiste(?: più)?|non è più disponibile|"
    r"è stat[oa] (?:rimoss|eliminat|cancellat)[oa])"
)
_GONE_REGEX_NL = r"(?:(?:is |kon |werd )?niet (?:meer )?(?:gevonden|beschikbaar)(?: worden)?|bestaat niet(?: meer)?)"
_REQUESTED_REGEX_EN = (
    r"(?:(?:that )?you(?:.re| are|.ve| have| were)? ?(?:looking for|requested|selected|"
    r"(?:trying|tried) to \w+) )"
)
_REQUESTED_REGEX_FR = r"(?:demandée? |recherchée? |que vous (?:\w+ ){1,3})"
_REQUESTED_REGEX_ES = r"(?:solicitad[oa] |que (?:est[áa]s? )?busca\w* )"
_REQUESTED_REGEX_PT = r"(?:solicitad[oa] |que (?:voc[êe] )?(?:procur\w+|est[áa] procurando) )"
_REQUESTED_REGEX_IT = r"(?:richiest[oa] |cercat[oa] |che (?:stai cercando|cerchi|hai richiesto) )"
_REQUESTED_REGEX_NL = r"(?:(?:die|dat) (?:je|u) zoe?[ck]h?t )"
_REQUESTED_REGEX_DE = (
    r"(?:gesuchte[rsn]? |gewünschte[rsn]? |angeforderte[rsn]? |aufgerufene[rsn]? )"
)
_CONTENT_TYPE_REGEX_EN = (
    r"(?:topic|post|blog post|thread|product|job|job posting|vacancy|story|event|listing|ad|recipe|profile|"
    r"member|entry|news|news item|offer|record|resource|message|content|article|document|item|category)"
)
_CONTENT_TYPE_REGEX_FR = (
    r"(?:sujet|[ée]v[éèe]nement|annonce|produit|offre(?: d.emploi)?|fiche|actualité|billet|discussion|"
    r"message|"
    r"profil|recette|rubrique|ressource|publication|article|contenu|document|catégorie)"
)
_CONTENT_TYPE_REGEX_DE = (
    r"(?:beitrag|artikel|inhalt|eintrag|veranstaltung|produkt|thema|stelle|stellenanzeige|anzeige|nachricht|"
    r"meldung|termin|dokument|angebot|webseite|internetseite)"
)
_CONTENT_TYPE_REGEX_ES = r"(?:noticia|art[íi]culo|entrada|publicaci[óo]n|evento|producto|contenido|tema|anuncio|oferta|documento)"
_CONTENT_TYPE_REGEX_PT = r"(?:not[íi]cia|artigo|evento|produto|conte[úu]do|t[óo]pico|publica[çc][ãa]o|postagem|an[úu]ncio|vaga)"
_CONTENT_TYPE_REGEX_IT = (
    r"(?:articolo|contenuto|evento|prodotto|notizia|annuncio|argomento|documento|post)"
)
_CONTENT_TYPE_REGEX_NL = (
    r"(?:artikel|bericht|nieuwsbericht|evenement|product|onderwerp|vacature|item|inhoud|document)"
)
_CONTENT_TYPE_REGEX_AR = r"(?:المقال|المقالة|الموضوع|الخبر|المحتوى|الحدث|الإعلان|المنشور|الوظيفة|المشاركة|التدوينة|المنتج)"
_REQUESTED_REGEX_AR = r"(?:المطلوبة? |(?:الذي|التي) (?:تبحث عنها?|طلبته?ا?) )"


def _build_content_not_found_regex(requested_quantifier: str) -> str:
    """The sentences; with `asked` empty only those that speak of what the visitor asked for."""
    return (
        rf"(?:the |this |that |your )?(?:requested ){requested_quantifier}{_CONTENT_TYPE_REGEX_EN} {_GONE_REGEX_EN}|"
        rf"(?:the |this |that |your )?{_CONTENT_TYPE_REGEX_EN} {_REQUESTED_REGEX_EN}{requested_quantifier}{_GONE_REGEX_EN}|"
        rf"(?:cet |cette |ce |le |la |l.)?{_CONTENT_TYPE_REGEX_FR} {_REQUESTED_REGEX_FR}{requested_quantifier}{_GONE_REGEX_FR}|{_CONTENT_TYPE_REGEX_FR} "
        rf"{_REQUESTED_REGEX_FR}{requested_quantifier}{_MISSING_REGEX_FR}|"
        rf"(?:der |die |das |den |diese[rs]? )?{_REQUESTED_REGEX_DE}{requested_quantifier}{_CONTENT_TYPE_REGEX_DE} {_GONE_REGEX_DE}|"
        rf"(?:la |el |esta |este )?{_CONTENT_TYPE_REGEX_ES} {_REQUESTED_REGEX_ES}{requested_quantifier}{_GONE_REGEX_ES}|"
        rf"(?:a |o |esta |este )?{_CONTENT_TYPE_REGEX_PT} {_REQUESTED_REGEX_PT}{requested_quantifier}{_GONE_REGEX_PT}|"
        rf"(?:l.|il |la |lo |questo |questa |quest.)?{_CONTENT_TYPE_REGEX_IT} {_REQUESTED_REGEX_IT}{requested_quantifier}{_GONE_REGEX_IT}|"
        rf"(?:het |de |dit |deze )?{_CONTENT_TYPE_REGEX_NL} {_REQUESTED_REGEX_NL}{requested_quantifier}{_GONE_REGEX_NL}|"
        rf"{_CONTENT_TYPE_REGEX_AR} {_REQUESTED_REGEX_AR}{requested_quantifier}(?:غير موجودة?|لم يعد موجود\w*|لم تعد موجودة)"
    )


REQUESTED_CONTENT_NOT_FOUND_REGEX = _build_content_not_found_regex("")
CONTENT_NOT_FOUND_REGEX = (
    rf"{_build_content_not_found_regex('?')}|"
    rf"(?:لم يتم العثور على|تعذر العثور على|لم نعثر على|تم حذف) (?:هذا |هذه )?{_CONTENT_TYPE_REGEX_AR}|"
    r"không tìm thấy (?:bài viết|nội dung|sản phẩm)|(?:статья|новость|материал|тема|товар|запись) не "
    r"найден[ао]?|"
    r"(?:artikkelen|innlegget|artikeln|inlägget|artiklen) (?:finns|finnes|findes|eksisterer) (?:ikke|inte)|"
    r"artikkelia ei löytynyt|記事が見つかりません(?:でした)?|文章不存在|artikel tidak ditemukan|"
    r"(?:içerik|haber|ürün|konu) bulunamadı"
)
ERROR_CODE_REGEX = (
    r"(?:404|410)(?: ?[\W_]{0,2} ?(?:(?:http )?(?:error|erreur|fehler|errore|erro)(?: page)?|page|"
    r"seite|página|pagina|"
    r"not found|الصفحة))?|خطأ 404"
)
NO_RESULTS_REGEX = (
    r"nothing (?:was )?found(?: here)?|aucun (?:résultat|contenu) trouvé|"
    r"لم يتم العثور على (?:شيء|أي شيء|نتائج)|nada encontrado|nichts gefunden|nessun risultato"
)


SHORT_PAGE_MAX_CHARS = 1_200  # characters of visible text: a page this short has little else to say
TINY_PAGE_MAX_CHARS = 400

# Up to the end, but for a question mark: a question states nothing.
_TRAILING_WORDS_REGEX = (
    r"(?:[\s\W_]{0,4}(?:404|410|error|erreur|fehler|erro|errore|page|خطأ))*[^\w?؟]*"
)
_ERROR_LABEL_PATTERN = lazy_regex(
    rf"\W*{SORRY_REGEX}(?:status |code )?(?:(?:{ERROR_CODE_REGEX})[\s\W_]{{0,4}}{SORRY_REGEX}(?:{PAGE_NOT_FOUND_REGEX})"
    rf"|{ERROR_CODE_REGEX}|{PAGE_NOT_FOUND_REGEX}|{NO_RESULTS_REGEX}){_TRAILING_WORDS_REGEX}",
    re.IGNORECASE,
)
_CONTENT_NOT_FOUND_PATTERN = lazy_regex(
    rf"\W*{SORRY_REGEX}(?:{CONTENT_NOT_FOUND_REGEX}){_TRAILING_WORDS_REGEX}", re.IGNORECASE
)
_ERROR_SENTENCE_PATTERN = lazy_regex(
    rf"(?:^|[.!?:…|–—-]\s*)\W{{0,3}}{SORRY_REGEX}(?:(?:{ERROR_CODE_REGEX})[\s\W_]{{0,4}})?(?:{PAGE_NOT_FOUND_REGEX}|{REQUESTED_CONTENT_NOT_FOUND_REGEX})"
    r"(?=\s*(?:$|[.!,;:…|–—(،؛]|(?:or|ou|oder|o|أو) |(?:on|sur) (?:this|our|ce|notre) |404))",
    re.IGNORECASE,
)
# Looser: enough on a page that says nothing else, or to ask the site about an address nobody made.
_MISSING_PAGE_MENTION_PATTERN = lazy_regex(
    r"(?:page|site|document|file|article|content|url|link|resource)\W+(?:\w+\W+){0,8}?"
    r"(?:doesn.?t exist|does not exist|no longer exists?|was not found|could not be found|cannot be found|"
    r"can.?t be found|has been (?:deleted|removed)|was deleted|not be found on this server)"
    r"|(?:requested|404) (?:page|url|file)? ?not found"
    r"|404 (?:page )?not found|(?:error|erreur|fehler|erro|errore) 404|404 (?:error|erreur)|خطأ 404"
    r"|page (?:demandée|recherchée|que vous (?:cherchez|recherchez|demandez)).{0,40}(?:introuvable|"
    r"n.existe|pas été trouvée)"
    r"|page not found|(?:cette )?page (?:est )?introuvable|(?:cette )?page n.existe (?:pas|plus)|"
    rf"{PAGE_NOT_FOUND_REGEX}",
    re.IGNORECASE,
)
_ERROR_PATH_PATTERN = lazy_regex(
    r"(?:^|/)(?:error[_-]?)?(?:404|not-?_?found|page-introuvable|page-non-trouvee|erreur-?404|"
    r"pagenotfound|404_not_found)(?:\.\w{2,5})?/?$",
    re.IGNORECASE,
)
_VISITOR_ADDRESSED_PATTERN = lazy_regex(
    r"4(?:04|10)|\byou|requested|\berr(?:or|eur)|\bvous\b|demandée?|recherchée|المطلوب|طلبت|تبحث|solicitada|"
    r"busca|angeforderte|gesuchte|richiesta|procura",
    re.IGNORECASE,
)
# A film, a gallery, a song may be called so.
_VAGUE_LABEL_PATTERN = lazy_regex(
    r"\W*(?:(?:404|410)\W*|not found\W*|nothing (?:was )?found\W*)", re.IGNORECASE
)
_ERROR_CODE_PATTERN = lazy_regex(r"(?:404|410)[ .!]*")
_ERROR_CODE_LABEL_PATTERN = lazy_regex(
    rf"\W*(?:404 not found|error 404|erreur 404|{ERROR_CODE_REGEX})\W*", re.IGNORECASE
)


_SENTENCE_END_PATTERN = lazy_regex(r"(?<=[.!?…؟。！])\s+|[\n]+|(?<=。)")


def iter_sentences(document: Document) -> Iterator[str]:
    """What a page shows, sentence by sentence."""
    for chunk in document.text_nodes:
        yield from (
            said.strip() for said in _SENTENCE_END_PATTERN.split(chunk.text) if said.strip()
        )


def split_title(title: str) -> list[str]:
    """The parts of a title between its separators, spaces folded."""
    return [
        part.strip()
        for part in re.split(r"\s[|–—\-·•»›:]+\s|\s?[|»›]\s?|\s[-–]$|: ", title)
        if part.strip()
    ]


def detect_soft_404(document: Document, *, is_home_page: bool) -> tuple[Reason, str] | None:
    """A soft 404, with the words that say so: title, then address, headings, and a main part of little else.

    `root` tells that the address is a site's front page, where an error heading alone proves less.
    """
    if is_dated_article(document):
        return None
    words: str | None = _find_in_title(document, is_home_page=is_home_page) or (
        None if is_home_page else _find_in_url(document)
    )
    words = (
        words
        or _find_missing_content(document)
        or _find_in_headings(document, is_home_page=is_home_page)
        or _find_in_text(document, is_home_page=is_home_page)
    )
    if not words:
        return None
    # A front page that lists nothing says so with the words of an empty search.
    return (
        Reason.EMPTY if is_home_page and words.lower().startswith("nothing") else Reason.NOT_FOUND
    ), words


def mentions_missing_page(text: str) -> bool:
    """Whether a text speaks of a missing page at all."""
    return bool(_MISSING_PAGE_MENTION_PATTERN.search(text))


def is_dated_article(document: Document) -> bool:
    """Whether a page tells machines when it was published, and has a story: an error page does neither."""
    headed = (schema for schema in document.json_ld if "headline" in schema)
    dated = "article:published_time" in document.meta or any(
        "datePublished" in schema for schema in headed
    )
    return bool(dated) and len(document.main_text) >= TINY_PAGE_MAX_CHARS


def _find_in_title(document: Document, *, is_home_page: bool) -> str | None:
    title, length = document.title, len(document.main_text)
    parts = (
        (title,)
        if _is_informative_home_page(document, is_home_page=is_home_page)
        else (title, *split_title(title))
    )
    for part in parts:
        # Who is called "Not found" has a story to tell, and never says so again.
        named = (
            _VAGUE_LABEL_PATTERN.fullmatch(part) and part != title
        ) or _ERROR_CODE_LABEL_PATTERN.fullmatch(part)
        if _ERROR_LABEL_PATTERN.fullmatch(part) and not (named and length > SHORT_PAGE_MAX_CHARS):
            return part
    return _find_error_sentence(title) if length < TINY_PAGE_MAX_CHARS else None


def _find_missing_content(document: Document) -> str | None:
    """A post or a job that is missing: title and heading say so, or one of them over next to nothing."""
    title = [
        part for part in split_title(document.title) if _CONTENT_NOT_FOUND_PATTERN.fullmatch(part)
    ]
    heading = [said for said in document.headings[:1] if _CONTENT_NOT_FOUND_PATTERN.fullmatch(said)]
    told = next(iter(title + heading), None)
    return (
        told if (title and heading) or len(document.main_text) < TINY_PAGE_MAX_CHARS // 2 else None
    )


def _is_informative_home_page(document: Document, *, is_home_page: bool) -> bool:
    """Whether a page is a front page that tells of something."""
    return is_home_page and len(document.main_text) >= TINY_PAGE_MAX_CHARS // 2


def _find_in_url(document: Document) -> str | None:
    path = _ERROR_PATH_PATTERN.search(document.url.partition("?")[0])
    said = (
        found[0] for found in _MISSING_PAGE_MENTION_PATTERN.finditer(document.text)
    )  # a song says its number, too
    little = len(document.main_text) < SHORT_PAGE_MAX_CHARS
    return (
        path[0]
        if path and (little or not all(map(_ERROR_CODE_LABEL_PATTERN.fullmatch, said)))
        else None
    )


def _find_in_headings(document: Document, *, is_home_page: bool) -> str | None:
    """A heading that says only this, over little else: a heading, or the first words of the main part."""
    for said in () if is_home_page else document.headings[:2]:
        if _ERROR_LABEL_PATTERN.fullmatch(said) and not _is_possible_name(said):
            return said  # whatever news follow
    if len(document.main_text) >= SHORT_PAGE_MAX_CHARS or (
        is_home_page and len(document.text) >= 3 * SHORT_PAGE_MAX_CHARS
    ):
        return None
    first = [chunk.text for chunk in document.text_nodes if chunk.section in ("main", "article")][
        :1
    ]
    return _find_over_short_main(document, first, is_home_page=is_home_page)


def _is_possible_name(label: str) -> bool:
    """Whether a label is one that a song or a list of results may bear."""
    return _is_vague_label(label) or re.search(NO_RESULTS_REGEX, label, re.IGNORECASE) is not None


def _find_over_short_main(
    document: Document, first_main_texts: list[str], *, is_home_page: bool
) -> str | None:
    """A label, or a sentence of a heading, where the main part is short."""
    bare = (
        not is_home_page and len(document.main_text) < TINY_PAGE_MAX_CHARS // 2
    )  # a number that stands almost alone
    tells = _is_informative_home_page(document, is_home_page=is_home_page)
    for place, said in enumerate((*document.headings[:3], *first_main_texts)):
        empty = re.search(NO_RESULTS_REGEX, said, re.IGNORECASE)
        alone = bare or not (_ERROR_CODE_LABEL_PATTERN if tells else _ERROR_CODE_PATTERN).fullmatch(
            said
        )
        if _ERROR_LABEL_PATTERN.fullmatch(said) and alone and not (empty and place):
            return said
        if (
            place < len(document.headings[:3])
            and len(document.main_text) < TINY_PAGE_MAX_CHARS
            and _find_error_sentence(said)
        ):
            return said
    return None


def _find_in_text(document: Document, *, is_home_page: bool) -> str | None:
    """Words of a page, or of a main part amid menus, that is about nothing else.

    A front page of two sentences may tell of a lost document: there a visitor is spoken to, or all is said.
    """
    text, main = document.text, document.main_text
    if len(text) < 80 and _ERROR_LABEL_PATTERN.fullmatch(text):
        return text
    if document.internal_link_count < 3 and len(text) < TINY_PAGE_MAX_CHARS:
        names = (
            _ERROR_CODE_LABEL_PATTERN
            if _is_informative_home_page(document, is_home_page=is_home_page)
            else _VAGUE_LABEL_PATTERN
        )
        loose = [
            said[0]
            for said in _MISSING_PAGE_MENTION_PATTERN.finditer(text)
            if not names.fullmatch(said[0])
        ]
        words = next(
            (said for said in loose if not is_home_page or _VISITOR_ADDRESSED_PATTERN.search(said)),
            None,
        )
        if words := words or _find_error_sentence(text):
            return words
    if len(main) < TINY_PAGE_MAX_CHARS:
        lines = (
            chunk.text for chunk in document.text_nodes if chunk.section in ("main", "article")
        )
        return next(filter(None, map(_find_error_sentence, lines)), None)
    return None


def _find_error_sentence(text: str) -> str | None:
    """The sentence of a text that says the page is missing; "Not found: the boy" says nothing of the page."""
    found = (said[0] for said in _ERROR_SENTENCE_PATTERN.finditer(text))
    return next((said for said in found if not _is_vague_label(said.strip(" .!?:…|–—-"))), None)


def _is_vague_label(label: str) -> bool:
    return bool(_VAGUE_LABEL_PATTERN.fullmatch(label) or _ERROR_CODE_LABEL_PATTERN.fullmatch(label))
