"""Detection of soft 404s: pages with status 200 that say that they do not exist.

Publishing systems show "page not found" among their menus, so neither size nor status is a sign.
The signs are the title, a heading, or the text of a short main part. A sentence only counts if it
ends there ("the page was not found", not "the page was not found worth reading").

The first part lists the sentences by language. Each begins and ends where the sentence does.
Sources: WordPress, Joomla, Drupal, SPIP, phpBB, Wix, Squarespace, Ghost, PrestaShop and Django with
their translations, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from probes.models.finding import Reason
from probes.parsing.html import Document
from probes.text.lazy_regex import lazy_regex

SORRY_REGEX = (
    r"(?:(?:whoops|oops|ooops|oups|ouups|ups|opps|sorry|so sorry|we.re sorry|désolée?s?|nous "
    r"sommes désolée?s?|"
    r"uh oh|oh no|http|status|code|error|erreur|fehler|errore?|erro|hm+|ops|hoppla|entschuldigung|"
    r"lo sentimos|"
    r"perd[óo]n|desculpe|spiacenti|ci dispiace|(?:نحن )?(?:نأسف|آسفون)|(?:عفوا|عذرا|معذرة|عفواً|"
    r"عذراً|أوبس)ً?|but|mais|aber|pero)\b\W*){0,3}"
)
# Sentences of a page about itself, by language. Each begins and ends where the sentence does.
PAGE_NOT_FOUND_REGEX = (
    # English
    r"(?:the |that |this |your )?(?:requested |object |url |site |document |file |web ?)?(?:page )?"
    r"(?:you requested |you(?:.re| are) looking for |you were (?:looking for|trying to reach) |"
    r"you (?:have )?requested )?(?:was |is |were )?not found(?: on this server)?|"
    r"(?:sorry,? )?(?:the|that|this|your|requested|the requested)? ?(?:requested )?(?:page|url|"
    r"document|file|link) "
    r"(?:(?:that )?you(?:.re| are|.ve| have| were)? ?(?:looking for|requested|(?:trying|tried) to "
    r"(?:reach|access|view)|seeking|want(?:ed)?) )?"
    r"(?:can.?t be|cannot be|can not be|could not be|couldn.t be|could.t be|wasn.?t|was not|isn.t|"
    r"is not|not) found|"
    r"(?:the |that |this |your )?(?:requested )?(?:page|content|article|post|item|moment|file|"
    r"document|url|link) "
    r"(?:(?:that )?you(?:.re| are|.ve| have| were)? ?(?:looking for|requested|(?:trying|tried) to "
    r"(?:reach|access|"
    r"view)) )?(?:does not|doesn.?t|no longer|don.?t) (?:seem to )?exists?(?: any ?more)?|"
    r"(?:the |this |that )?page (?:has been |was |is )?(?:removed|deleted|missing)|"
    r"(?:(?:it )?(?:looks|seems) like )?(?:we |i )?(?:can.t|cannot|can not|could not|couldn.t|"
    r"can.t seem to|are unable to|were unable to) find (?:that|this|the|your) (?:web ?)?page"
    r"(?: (?:that )?you(?:.re| are|.ve| have| were)? ?(?:looking for|requested))?|"
    r"(?:file|page) (?:not found|missing)|file or directory not found|there is no page at this url|"
    r"page (?:\S+ )?not found|"
    # French
    r"(?:cette |la |votre )?page (?:web )?(?:demandée |recherchée |que vous (?:cherchez|recherchez|"
    r"demandez|"
    r"avez demandée|tentez d.afficher) )?(?:est |semble )?(?:introuvable|inexistante|inconnue|non[ "
    r"-]trouvée?|manquante|supprimée)|"
    r"(?:cette |la )?page (?:web )?(?:demandée |recherchée |que vous .{3,30} )?(?:n.existe (?:pas|"
    r"plus)|"
    r"n.a pas (?:été trouvée|pu être trouvée)|n.est (?:plus|pas) disponible|ne peut (?:pas )?être "
    r"trouvée)|"
    r"(?:le |l.|ce |cet )?(?:document|contenu|article|fichier) (?:demandé (?:est )?|est |a été "
    r")(?:introuvable|supprimé)|(?:document|contenu|article|fichier) (?:introuvable|supprimé)|"
    r"(?:le |l.|ce |cet )?(?:document|contenu|article|fichier) n.(?:existe (?:pas|plus)|est plus "
    r"disponible)|(?:this|the) (?:page|content|article|post) is (?:no longer|not) available|"
    r"(?:the |this |that )?page (?:(?:that )?you(?:.re| are) looking for )?(?:isn.t|is not) here|"
    r"(?:esta |essa |a )p[áa]gina n[ãa]o (?:pode|p[ôo]de) ser encontrada|"
    r"(?:nous (?:ne trouvons pas|n.avons pas (?:pu )?trouv[eé]r?)|impossible de trouver) (?:cette|"
    r"la|votre) page(?: (?:demandée|que vous .{3,20}))?|"
    # Arabic
    r"(?:هذه )?(?:الصفحة|صفحة) (?:(?:التي|اللتي) (?:تبحث عنها|طلبتها|تحاول .{3,20}) |المطلوبة )?"
    r"(?:غير (?:موجودة|متوفرة|متاحة)|لم تعد موجودة|لا وجود لها)|"
    r"(?:لم (?:يتم|نتمكن من) العثور على|تعذر العثور على|لا يمكن العثور على|لم نعثر على|لم نجد) "
    r"(?:هذه )?(?:الصفحة|صفحة)(?: (?:المطلوبة|(?:التي) (?:تبحث عنها|طلبتها)))?|"
    # Spanish, Catalan
    r"(?:esta |la )?p[áa]gina (?:solicitada |que (?:est[áa]s? )?(?:busca|buscas|buscando|solicitó|"
    r"intenta ver) )?"
    r"(?:no (?:fue |ha sido )?encontrada|no existe|no se (?:encuentra|encontró|ha encontrado|pudo "
    r"encontrar)|no est[áa] disponible)|p[áa]gina de error|"
    r"no (?:se (?:encuentra|encontró|ha encontrado|pudo encontrar)|(?:hemos )?(?:podido "
    r")?encontr(?:ado|ar|amos)) "
    r"(?:la|esta|esa) p[áa]gina(?: (?:solicitada|que busca\w{0,20}))?|no s.ha trobat la pàgina|"
    # German, Dutch, Scandinavian
    r"(?:die |diese )?(?:von ihnen )?(?:angeforderte |gewünschte |gesuchte |aufgerufene )?seite "
    r"(?:(?:wurde|konnte) )?(?:leider )?(?:nicht gefunden(?: werden)?|nicht vorhanden|existiert "
    r"(?:leider )?nicht(?: mehr)?)|"
    r"(?:die |diese )?(?:gesuchte |gewünschte |aufgerufene )?seite (?:ist (?:leider )?nicht "
    r"(?:mehr )?verfügbar|gibt es nicht(?: mehr)?)|"
    r"(?:de(?:ze)? )?(?:opgevraagde |gevraagde )?pagina (?:die (?:je|u) zoekt )?(?:is |kon |werd )?"
    r"(?:helaas )?(?:niet gevonden(?: worden)?|bestaat (?:helaas )?niet(?: meer)?)|"
    r"(?:we|wij|ik) (?:kunnen|konden|kan|kon) (?:de|deze|die) pagina (?:die (?:je|u) (?:zoekt|"
    r"zocht) )?(?:helaas )?niet vinden|"
    r"sid(?:an|en)(?: du (?:leter etter|letade efter|söker|søger|leder efter))? (?:kunde inte "
    r"hittas|hittades "
    r"inte|(?:blev|ble) ikke fun[dn]et|(?:kan|kunne) ikke findes|(?:finns|finnes|findes|"
    r"eksisterer) (?:inte|ikke)(?: lenger| längre| længere)?)|"
    r"vi (?:finner|finder|hittar|kan|kunde|kunne) (?:ikke|inte) (?:finne |finde |hitta )?sid(?:en|"
    r"an)(?: du (?:leter etter|letade efter|søger|leder efter))?|"
    # Portuguese, Italian, Romanian
    r"(?:esta |a )?p[áa]gina (?:solicitada |que (?:voc[êe] )?(?:procura|procurou|est[áa] "
    r"procurando) )?"
    r"(?:n[ãa]o (?:foi )?encontrada|n[ãa]o existe(?: mais)?|n[ãa]o p[ôo]de ser encontrada)|"
    r"(?:questa |la )?pagina (?:richiesta |cercata |che (?:stai cercando|cerchi|hai richiesto) )?"
    r"(?:non (?:è stata |è )?trovata|non esiste(?: più)?|non è (?:più )?disponibile)|"
    r"pagina nu a fost găsită|"
    # Central, northern and eastern Europe
    r"(?:etsimääsi |hakemaasi |pyytämääsi )?sivua ei (?:löytynyt|löydy|ole(?: olemassa)?)|"
    r"(?:požadovan[áa] |hledan[áa] )?stránka (?:ne(?:byla )?nalezena|neexistuje|nebola nájdená|sa "
    r"nenašla)|(?:az? )?(?:keresett |kért )?oldal nem (?:található|létezik|elérhető)|"
    r"(?:η )?σελίδα (?:που (?:ζητήσατε|αναζητάτε|αναζητήσατε|ψάχνετε) )?δεν (?:βρέθηκε|υπάρχει)|"
    r"сторінк[ау] не (?:знайден[оа]|існує)|"
    r"(?:запрашиваемая |запрошенная )?страница (?:не найдена|не существует|удалена)|"
    r"nie znaleziono (?:takiej |żądanej )?strony|(?:podana |ta )?strona nie (?:została znaleziona|"
    r"istnieje)|"
    # Asia
    r"(?:aradığınız )?sayfa (?:bulunamadı|mevcut değil)|"
    r"(?:صفحه|مطلب)(?: مورد نظر| درخواستی)?(?: شما)? (?:(?:یافت|پیدا) نشد|وجود ندارد)|"
    r"ה?(?:דף|עמוד)(?: (?:שחיפשת\w{0,20}|שביקשת\w{0,20}|המבוקש))? (?:לא נמצא|אינו קיים|לא קיים)|"
    r"halaman (?:yang anda (?:cari|minta) )?tidak (?:ditemukan|ada)|"
    r"không tìm thấy trang(?: này| bạn .{3,20})?|trang (?:này |bạn .{3,20}? )?không (?:tồn tại|"
    r"được tìm thấy)|(?:お探しの|ご指定の)?ページ[はが](?:見つかりません(?:でした)?|存在しません)|"
    r"(?:[您你](?:访问|请求|查找)的)?页面不存在|找不到(?:该)?(?:页面|網頁)|页面未找到|"
    r"(?:요청하신 |찾으시는 )?페이지를 찾을 수 없습니다"
)
# Other kinds of content at an address: a post, a job, an event.
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
    r"(?:(?:wurde |konnte )?(?:leider )?nicht gefunden(?: werden)?|existiert (?:leider )?nicht(?: "
    r"mehr)?|"
    r"(?:ist )?(?:leider )?nicht (?:mehr )?(?:verfügbar|vorhanden|auffindbar)|wurde (?:gelöscht|"
    r"entfernt))"
)
_GONE_REGEX_ES = (
    r"(?:(?:ya )?no existe(?: más)?|no (?:fue |ha sido |se ha |se )?(?:encontrad[oa]|encontró|"
    r"encuentra)|ya no est[áa] disponible|ha sido eliminad[oa])"
)
_GONE_REGEX_PT = (
    r"(?:n[ãa]o (?:foi )?encontrad[oa]|n[ãa]o existe(?: mais)?|n[ãa]o est[áa] mais dispon[íi]vel|"
    r"foi (?:removid[oa]|exclu[íi]d[oa]))"
)
_GONE_REGEX_IT = (
    r"(?:non (?:è stat[oa] |è )?trovat[oa]|non esiste(?: più)?|non è più disponibile|"
    r"è stat[oa] (?:rimoss|eliminat|cancellat)[oa])"
)
_GONE_REGEX_NL = (
    r"(?:(?:is |kon |werd )?niet (?:meer )?(?:gevonden|beschikbaar)(?: worden)?|bestaat niet(?: "
    r"meer)?)"
)
_REQUESTED_REGEX_EN = (
    r"(?:(?:that )?you(?:.re| are|.ve| have| were)? ?(?:looking for|requested|selected|"
    r"(?:trying|tried) to \w+) )"
)
_REQUESTED_REGEX_FR = r"(?:demandée? |recherchée? |que vous (?:\w+ ){1,3})"
_REQUESTED_REGEX_ES = r"(?:solicitad[oa] |que (?:est[áa]s? )?busca\w{0,20} )"
_REQUESTED_REGEX_PT = r"(?:solicitad[oa] |que (?:voc[êe] )?(?:procur\w{1,20}|est[áa] procurando) )"
_REQUESTED_REGEX_IT = r"(?:richiest[oa] |cercat[oa] |che (?:stai cercando|cerchi|hai richiesto) )"
_REQUESTED_REGEX_NL = r"(?:(?:die|dat) (?:je|u) zoe?[ck]h?t )"
_REQUESTED_REGEX_DE = (
    r"(?:gesuchte[rsn]? |gewünschte[rsn]? |angeforderte[rsn]? |aufgerufene[rsn]? )"
)
_CONTENT_TYPE_REGEX_EN = (
    r"(?:topic|post|blog post|thread|product|job|job posting|vacancy|story|event|listing|ad|recipe|"
    r"profile|"
    r"member|entry|news|news item|offer|record|resource|message|content|article|document|item|"
    r"category)"
)
_CONTENT_TYPE_REGEX_FR = (
    r"(?:sujet|[ée]v[éèe]nement|annonce|produit|offre(?: d.emploi)?|fiche|actualité|billet|"
    r"discussion|message|"
    r"profil|recette|rubrique|ressource|publication|article|contenu|document|catégorie)"
)
_CONTENT_TYPE_REGEX_DE = (
    r"(?:beitrag|artikel|inhalt|eintrag|veranstaltung|produkt|thema|stelle|stellenanzeige|anzeige|"
    r"nachricht|meldung|termin|dokument|angebot|webseite|internetseite)"
)
_CONTENT_TYPE_REGEX_ES = (
    r"(?:noticia|art[íi]culo|entrada|publicaci[óo]n|evento|producto|contenido|tema|anuncio|oferta|"
    r"documento)"
)
_CONTENT_TYPE_REGEX_PT = (
    r"(?:not[íi]cia|artigo|evento|produto|conte[úu]do|t[óo]pico|publica[çc][ãa]o|postagem|"
    r"an[úu]ncio|vaga)"
)
_CONTENT_TYPE_REGEX_IT = (
    r"(?:articolo|contenuto|evento|prodotto|notizia|annuncio|argomento|documento|post)"
)
_CONTENT_TYPE_REGEX_NL = (
    r"(?:artikel|bericht|nieuwsbericht|evenement|product|onderwerp|vacature|item|inhoud|document)"
)
_CONTENT_TYPE_REGEX_AR = (
    r"(?:المقال|المقالة|الموضوع|الخبر|المحتوى|الحدث|الإعلان|المنشور|الوظيفة|المشاركة|التدوينة|"
    r"المنتج)"
)
_REQUESTED_REGEX_AR = r"(?:المطلوبة? |(?:الذي|التي) (?:تبحث عنها?|طلبته?ا?) )"


def _build_content_not_found_regex(requested_quantifier: str) -> str:
    """Return the sentences. An empty `requested_quantifier` requires mention of the request."""
    return (
        rf"(?:the |this |that |your )?(?:requested ){requested_quantifier}{_CONTENT_TYPE_REGEX_EN} "
        rf"{_GONE_REGEX_EN}|(?:the |this |that |your )?{_CONTENT_TYPE_REGEX_EN} "
        rf"{_REQUESTED_REGEX_EN}{requested_quantifier}{_GONE_REGEX_EN}|"
        rf"(?:cet |cette |ce |le |la |l.)?{_CONTENT_TYPE_REGEX_FR} "
        rf"{_REQUESTED_REGEX_FR}{requested_quantifier}{_GONE_REGEX_FR}|{_CONTENT_TYPE_REGEX_FR} "
        rf"{_REQUESTED_REGEX_FR}{requested_quantifier}{_MISSING_REGEX_FR}|"
        rf"(?:der |die |das |den |diese[rs]? "
        rf")?{_REQUESTED_REGEX_DE}{requested_quantifier}{_CONTENT_TYPE_REGEX_DE} {_GONE_REGEX_DE}|"
        rf"(?:la |el |esta |este )?{_CONTENT_TYPE_REGEX_ES} "
        rf"{_REQUESTED_REGEX_ES}{requested_quantifier}{_GONE_REGEX_ES}|"
        rf"(?:a |o |esta |este )?{_CONTENT_TYPE_REGEX_PT} "
        rf"{_REQUESTED_REGEX_PT}{requested_quantifier}{_GONE_REGEX_PT}|"
        rf"(?:l.|il |la |lo |questo |questa |quest.)?{_CONTENT_TYPE_REGEX_IT} "
        rf"{_REQUESTED_REGEX_IT}{requested_quantifier}{_GONE_REGEX_IT}|"
        rf"(?:het |de |dit |deze )?{_CONTENT_TYPE_REGEX_NL} "
        rf"{_REQUESTED_REGEX_NL}{requested_quantifier}{_GONE_REGEX_NL}|"
        rf"{_CONTENT_TYPE_REGEX_AR} {_REQUESTED_REGEX_AR}{requested_quantifier}(?:غير موجودة?|لم "
        rf"يعد موجود\w{{0,20}}|لم تعد موجودة)"
    )


REQUESTED_CONTENT_NOT_FOUND_REGEX = _build_content_not_found_regex("")
CONTENT_NOT_FOUND_REGEX = (
    rf"{_build_content_not_found_regex('?')}|"
    rf"(?:لم يتم العثور على|تعذر العثور على|لم نعثر على|تم حذف) (?:هذا |هذه "
    rf")?{_CONTENT_TYPE_REGEX_AR}|"
    r"không tìm thấy (?:bài viết|nội dung|sản phẩm)|(?:статья|новость|материал|тема|товар|запись) "
    r"не найден[ао]?|"
    r"(?:artikkelen|innlegget|artikeln|inlägget|artiklen) (?:finns|finnes|findes|eksisterer) "
    r"(?:ikke|inte)|"
    r"artikkelia ei löytynyt|記事が見つかりません(?:でした)?|文章不存在|artikel tidak ditemukan|"
    r"(?:içerik|haber|ürün|konu) bulunamadı"
)
ERROR_CODE_REGEX = (
    r"(?:404|410)(?: ?[\W_]{0,2} ?(?:(?:http )?(?:error|erreur|fehler|errore|erro)(?: page)?|page|"
    r"seite|página|pagina|not found|الصفحة))?|خطأ 404"
)
NO_RESULTS_REGEX = (
    r"nothing (?:was )?found(?: here)?|aucun (?:résultat|contenu) trouvé|"
    r"لم يتم العثور على (?:شيء|أي شيء|نتائج)|nada encontrado|nichts gefunden|nessun risultato"
)


SHORT_PAGE_MAX_CHARS = 1_200
"""A page with at most so many visible characters has little other content."""
TINY_PAGE_MAX_CHARS = 400

# The rest of the sentence without a question mark, because a question states nothing.
_TRAILING_WORDS_REGEX = (
    r"(?:[\s\W_]{0,4}(?:404|410|error|erreur|fehler|erro|errore|page|خطأ))*[^\w?؟]*"
)
_ERROR_LABEL_PATTERN = lazy_regex(
    rf"\W*{SORRY_REGEX}(?:status |code "
    rf")?(?:(?:{ERROR_CODE_REGEX})[\s\W_]{{0,4}}{SORRY_REGEX}(?:{PAGE_NOT_FOUND_REGEX})"
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
# Less exact: enough on a page with no other text, or to justify a decoy request.
_MISSING_PAGE_MENTION_PATTERN = lazy_regex(
    r"(?:page|site|document|file|article|content|url|link|resource)\W+(?:\w+\W+){0,8}?"
    r"(?:doesn.?t exist|does not exist|no longer exists?|was not found|could not be found|cannot "
    r"be found|"
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
    r"4(?:04|10)|\byou|requested|\berr(?:or|eur)|\bvous\b|demandée?|recherchée|المطلوب|طلبت|تبحث|"
    r"solicitada|"
    r"busca|angeforderte|gesuchte|richiesta|procura",
    re.IGNORECASE,
)
# A film, a gallery or a song can have such a title.
_VAGUE_LABEL_PATTERN = lazy_regex(
    r"\W*(?:(?:404|410)\W*|not found\W*|nothing (?:was )?found\W*)", re.IGNORECASE
)
_ERROR_CODE_PATTERN = lazy_regex(r"(?:404|410)[ .!]*")
_ERROR_CODE_LABEL_PATTERN = lazy_regex(
    rf"\W*(?:404 not found|error 404|erreur 404|{ERROR_CODE_REGEX})\W*", re.IGNORECASE
)


_SENTENCE_END_PATTERN = lazy_regex(r"(?<=[.!?…؟。！])\s+|[\n]+|(?<=。)")


def iter_sentences(document: Document) -> Iterator[str]:
    """Yield the sentences that a page shows."""
    for node in document.text_nodes:
        for sentence in _SENTENCE_END_PATTERN.split(node.text):
            if sentence.strip():
                yield sentence.strip()


def split_title(title: str) -> list[str]:
    """Return the parts of a title between its separators."""
    parts = re.split(r"\s[|–—\-·•»›:]+\s|\s?[|»›]\s?|\s[-–]$|: ", title)
    return [part.strip() for part in parts if part.strip()]


def detect_soft_404(document: Document, *, is_home_page: bool) -> tuple[Reason, str] | None:
    """Return the reason of a soft 404 and the text that proves it, or None.

    Looks at the title, the address, the headings and the text. On a home page an error heading
    alone proves less.
    """
    if is_dated_article(document):
        return None
    proof = (
        _find_in_title(document, is_home_page=is_home_page)
        or (None if is_home_page else _find_in_url(document))
        or _find_missing_content(document)
        or _find_in_headings(document, is_home_page=is_home_page)
        or _find_in_text(document, is_home_page=is_home_page)
    )
    if not proof:
        return None
    # A home page without posts shows the text of an empty search: "nothing found".
    is_empty_home_page = is_home_page and proof.lower().startswith("nothing")
    return (Reason.EMPTY if is_empty_home_page else Reason.NOT_FOUND), proof


def mentions_missing_page(text: str) -> bool:
    """Return whether a text mentions a missing page."""
    return bool(_MISSING_PAGE_MENTION_PATTERN.search(text))


def is_dated_article(document: Document) -> bool:
    """Return whether a page has a story and a machine-readable date, unlike an error page."""
    articles = [schema for schema in document.json_ld if "headline" in schema]
    is_dated = "article:published_time" in document.meta or any(
        "datePublished" in schema for schema in articles
    )
    return is_dated and len(document.main_text) >= TINY_PAGE_MAX_CHARS


def _find_in_title(document: Document, *, is_home_page: bool) -> str | None:
    title, main_length = document.title, len(document.main_text)
    parts = [title]
    if not _is_informative_home_page(document, is_home_page=is_home_page):
        parts += split_title(title)
    for part in parts:
        # A work with the title "Not found" has a story on its page.
        is_vague_part = part != title and _VAGUE_LABEL_PATTERN.fullmatch(part)
        is_ambiguous = is_vague_part or _ERROR_CODE_LABEL_PATTERN.fullmatch(part)
        if is_ambiguous and main_length > SHORT_PAGE_MAX_CHARS:
            continue
        if _ERROR_LABEL_PATTERN.fullmatch(part):
            return part
    return _find_error_sentence(title) if main_length < TINY_PAGE_MAX_CHARS else None


def _find_missing_content(document: Document) -> str | None:
    """Return the text that says that a post or a job is missing, or None.

    Title and heading must say it, or one of them on a page with almost no main part.
    """
    title_part = _find_content_label(split_title(document.title))
    heading = _find_content_label(document.headings[:1])
    is_almost_empty = len(document.main_text) < TINY_PAGE_MAX_CHARS // 2
    if (title_part and heading) or is_almost_empty:
        return title_part or heading
    return None


def _find_content_label(texts: Iterable[str]) -> str | None:
    return next((text for text in texts if _CONTENT_NOT_FOUND_PATTERN.fullmatch(text)), None)


def _is_informative_home_page(document: Document, *, is_home_page: bool) -> bool:
    """Return whether a page is a home page with some text in its main part."""
    return is_home_page and len(document.main_text) >= TINY_PAGE_MAX_CHARS // 2


def _find_in_url(document: Document) -> str | None:
    error_path = _ERROR_PATH_PATTERN.search(document.url.partition("?")[0])
    if error_path is None:
        return None
    # A number alone proves nothing on a long page: a song can have the number 404.
    mentions = [match[0] for match in _MISSING_PAGE_MENTION_PATTERN.finditer(document.text)]
    has_sentence = not all(_ERROR_CODE_LABEL_PATTERN.fullmatch(mention) for mention in mentions)
    is_short = len(document.main_text) < SHORT_PAGE_MAX_CHARS
    return error_path[0] if is_short or has_sentence else None


def _find_in_headings(document: Document, *, is_home_page: bool) -> str | None:
    """Return a heading, or the first text of a short main part, that only says "not found"."""
    for heading in () if is_home_page else document.headings[:2]:
        if _ERROR_LABEL_PATTERN.fullmatch(heading) and not _is_possible_name(heading):
            return heading  # even if news follow
    is_long_home_page = is_home_page and len(document.text) >= 3 * SHORT_PAGE_MAX_CHARS
    if len(document.main_text) >= SHORT_PAGE_MAX_CHARS or is_long_home_page:
        return None
    main_texts = [node.text for node in document.text_nodes if node.section in _MAIN_SECTIONS]
    return _find_over_short_main(document, main_texts[:1], is_home_page=is_home_page)


_MAIN_SECTIONS = ("main", "article")


def _is_possible_name(label: str) -> bool:
    """Return whether a label can be the name of a song or the text of an empty search."""
    return _is_vague_label(label) or re.search(NO_RESULTS_REGEX, label, re.IGNORECASE) is not None


def _find_over_short_main(
    document: Document, first_main_texts: list[str], *, is_home_page: bool
) -> str | None:
    """Return a label, or a heading with an error sentence, on a page with a short main part."""
    headings = document.headings[:3]
    has_tiny_main = len(document.main_text) < TINY_PAGE_MAX_CHARS
    # On an almost empty page a number alone is enough.
    is_almost_empty = not is_home_page and len(document.main_text) < TINY_PAGE_MAX_CHARS // 2
    is_informative = _is_informative_home_page(document, is_home_page=is_home_page)
    code_pattern = _ERROR_CODE_LABEL_PATTERN if is_informative else _ERROR_CODE_PATTERN
    for index, text in enumerate((*headings, *first_main_texts)):
        is_empty_search = index > 0 and re.search(NO_RESULTS_REGEX, text, re.IGNORECASE)
        is_more_than_code = is_almost_empty or not code_pattern.fullmatch(text)
        if _ERROR_LABEL_PATTERN.fullmatch(text) and is_more_than_code and not is_empty_search:
            return text
        if index < len(headings) and has_tiny_main and _find_error_sentence(text):
            return text
    return None


def _find_in_text(document: Document, *, is_home_page: bool) -> str | None:
    """Return the text of a short page, or a sentence of a short main part, that says "not found".

    A short home page may be about a lost document. There the text must address the visitor.
    """
    text = document.text
    if len(text) < 80 and _ERROR_LABEL_PATTERN.fullmatch(text):
        return text
    if document.internal_link_count < 3 and len(text) < TINY_PAGE_MAX_CHARS:
        mention = _find_mention(document, is_home_page=is_home_page) or _find_error_sentence(text)
        if mention:
            return mention
    if len(document.main_text) >= TINY_PAGE_MAX_CHARS:
        return None
    for node in document.text_nodes:
        if node.section in _MAIN_SECTIONS:
            sentence = _find_error_sentence(node.text)
            if sentence:
                return sentence
    return None


def _find_mention(document: Document, *, is_home_page: bool) -> str | None:
    """Return the first mention of a missing page that is no vague label, or None."""
    is_informative = _is_informative_home_page(document, is_home_page=is_home_page)
    label_pattern = _ERROR_CODE_LABEL_PATTERN if is_informative else _VAGUE_LABEL_PATTERN
    for match in _MISSING_PAGE_MENTION_PATTERN.finditer(document.text):
        if label_pattern.fullmatch(match[0]):
            continue
        if not is_home_page or _VISITOR_ADDRESSED_PATTERN.search(match[0]):
            return match[0]
    return None


def _find_error_sentence(text: str) -> str | None:
    """Return the sentence that says that the page is missing, or None.

    "Not found: the boy" is not about the page.
    """
    for match in _ERROR_SENTENCE_PATTERN.finditer(text):
        if not _is_vague_label(match[0].strip(" .!?:…|–—-")):
            return match[0]
    return None


def _is_vague_label(label: str) -> bool:
    return bool(_VAGUE_LABEL_PATTERN.fullmatch(label) or _ERROR_CODE_LABEL_PATTERN.fullmatch(label))
