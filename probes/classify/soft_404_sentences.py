"""Sentences with which a page says that it does not exist, by language.

Each begins and ends where the sentence does. All patterns are in lower case. Sources: WordPress,
Joomla, Drupal, SPIP, phpBB, Wix, Squarespace, Ghost, PrestaShop and Django with their translations,
2026-11.
"""

import re
from functools import cache
from typing import NamedTuple

from probes.text.keywords import KeywordIndex

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


# The rest of the sentence without a question mark, because a question states nothing.
_TRAILING_WORDS_REGEX = (
    r"(?:[\s\W_]{0,4}(?:404|410|error|erreur|fehler|erro|errore|page|خطأ))*[^\w?؟]*"
)


class Soft404Sentences(NamedTuple):
    """Patterns in lower case: a label, a label of a post, a sentence, and a mention."""

    label: re.Pattern[str]
    content_label: re.Pattern[str]
    sentence: re.Pattern[str]
    mention: re.Pattern[str]


@cache
def load_sentences() -> Soft404Sentences:
    """Compile the sentences, which takes 40 ms."""
    error_label = (
        rf"\W*{SORRY_REGEX}(?:status |code )?"
        rf"(?:(?:{ERROR_CODE_REGEX})[\s\W_]{{0,4}}{SORRY_REGEX}(?:{PAGE_NOT_FOUND_REGEX})"
        rf"|{ERROR_CODE_REGEX}|{PAGE_NOT_FOUND_REGEX}|{NO_RESULTS_REGEX}){_TRAILING_WORDS_REGEX}"
    )
    content_label = rf"\W*{SORRY_REGEX}(?:{CONTENT_NOT_FOUND_REGEX}){_TRAILING_WORDS_REGEX}"
    error_sentence = (
        rf"(?:^|[.!?:…|–—-]\s*)\W{{0,3}}{SORRY_REGEX}(?:(?:{ERROR_CODE_REGEX})[\s\W_]{{0,4}})?"
        rf"(?:{PAGE_NOT_FOUND_REGEX}|{REQUESTED_CONTENT_NOT_FOUND_REGEX})"
        r"(?=\s*(?:$|[.!,;:…|–—(،؛]|(?:or|ou|oder|o|أو) |(?:on|sur) (?:this|our|ce|notre) |404))"
    )
    sources = (error_label, content_label, error_sentence, _MISSING_PAGE_MENTION_REGEX)
    return Soft404Sentences(*map(re.compile, sources))


# Less exact: enough on a page with no other text, or to justify a decoy request.
_MISSING_PAGE_MENTION_REGEX = (
    r"(?:page|site|document|file|article|content|url|link|resource)\W+(?:\w+\W+){0,8}?"
    r"(?:doesn.?t exist|does not exist|no longer exists?|was not found|could not be found|cannot "
    r"be found|"
    r"can.?t be found|has been (?:deleted|removed)|was deleted|not be found on this server)"
    r"|(?:requested|404) (?:page|url|file)? ?not found"
    r"|404 (?:page )?not found|(?:error|erreur|fehler|erro|errore) 404|404 (?:error|erreur)|خطأ 404"
    r"|page (?:demandée|recherchée|que vous (?:cherchez|recherchez|demandez)).{0,40}(?:introuvable|"
    r"n.existe|pas été trouvée)"
    r"|page not found|(?:cette )?page (?:est )?introuvable|(?:cette )?page n.existe (?:pas|plus)|"
    rf"{PAGE_NOT_FOUND_REGEX}"
)
MENTION_KEYWORDS = (
    # Every mention contains one of these.
    *("404", "missing", "removed", "deleted", "exist", "found", " find ", " available", "t here"),
    *("is not here", "no page at", "introuvable", "inconnue", "trouv", "disponible", "supprimé"),
    *("manquante", "العثور", "نعثر", "نجد", "موجودة", "متوفرة", "متاحة", "وجود"),
    *("encontr", "encuentra", "de error", "trobat", "gefunden", "vorhanden", "verfügbar"),
    *("gibt es nicht", "gevonden", "bestaat", "vinden", "hittas", "hittades", "fundet", "funnet"),
    *("findes", "finns", "finnes", "eksisterer", "vi fin", "vi hittar", "vi kan ", "vi kund"),
    *("vi kunne", "trovata", "esiste", "disponibile", "găsită", "sivua ei", "nalezena"),
    *("neexistuje", "nájdená", "nenašla", "oldal nem", "σελίδα", "сторін", "страница", "strony"),
    *("strona nie", "sayfa", "یافت", "پیدا", "נמצא", "קיים", "halaman", "không", "ページ"),
    *("页面", "網頁", "페이지"),
)


@cache
def load_mention_index() -> KeywordIndex:
    """Return the index of the words of which every mention contains one."""
    return KeywordIndex([MENTION_KEYWORDS])
