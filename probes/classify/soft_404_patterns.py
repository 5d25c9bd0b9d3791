"""The sentences by which pages say that they, or what stood there, are not there, by language.

Each begins and ends where the sentence does; `probes.classify.soft_404` knows where they count. Wordings:
WordPress, Joomla, Drupal, SPIP, phpBB, Wix, Squarespace, Ghost, PrestaShop and Django as translated by them,
2026-11.
"""

from __future__ import annotations

SORRY = (
    r"(?:(?:whoops|oops|ooops|oups|ouups|ups|opps|sorry|so sorry|we.re sorry|désolée?s?|nous sommes "
    r"désolée?s?|"
    r"uh oh|oh no|http|status|code|error|erreur|fehler|errore?|erro|hm+|ops|hoppla|entschuldigung|lo "
    r"sentimos|"
    r"perd[óo]n|desculpe|spiacenti|ci dispiace|(?:نحن )?(?:نأسف|آسفون)|(?:عفوا|عذرا|معذرة|عفواً|عذراً|"
    r"أوبس)ً?|"
    r"but|mais|aber|pero)\b\W*){0,3}"
)
# Sentences that a page says of itself, by language. Each begins and ends where the sentence does.
SAYING = (
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
_GONE_EN = (
    r"(?:(?:was |is |were |has )?not (?:been )?found|(?:could not|can.?t|cannot|couldn.t) be found|"
    r"(?:does not|doesn.t|no longer) exists?(?: any ?more)?|is no longer available|"
    r"(?:has been |was |have been )(?:removed|deleted))"
)
_LOST_FR = r"(?:introuvable|inexistante?|inconnue?|non trouvée?)"
_GONE_FR = (
    rf"(?:(?:est |semble ){_LOST_FR}|n.existe (?:pas|plus)|"
    r"n.est plus (?:disponible|en ligne)|n.a pas été trouvée?|(?:a été|est) supprimée?)"
)
_GONE_DE = (
    r"(?:(?:wurde |konnte )?(?:leider )?nicht gefunden(?: werden)?|existiert (?:leider )?nicht(?: mehr)?|"
    r"(?:ist )?(?:leider )?nicht (?:mehr )?(?:verfügbar|vorhanden|auffindbar)|wurde (?:gelöscht|entfernt))"
)
_GONE_ES = (
    r"(?:(?:ya )?no existe(?: más)?|no (?:fue |ha sido |se ha |se )?(?:encontrad[oa]|encontró|encuentra)|"
    r"ya no est[áa] disponible|ha sido eliminad[oa])"
)
_GONE_PT = (
    r"(?:n[ãa]o (?:foi )?encontrad[oa]|n[ãa]o existe(?: mais)?|n[ãa]o est[áa] mais dispon[íi]vel|"
    r"foi (?:removid[oa]|exclu[íi]d[oa]))"
)
_GONE_IT = (
    r"(?:non (?:è stat[oa] |è )?trovat[oa]|non esiste(?: più)?|non è più disponibile|"
    r"è stat[oa] (?:rimoss|eliminat|cancellat)[oa])"
)
_GONE_NL = (
    r"(?:(?:is |kon |werd )?niet (?:meer )?(?:gevonden|beschikbaar)(?: worden)?|bestaat niet(?: meer)?)"
)
_ASKED_EN = (
    r"(?:(?:that )?you(?:.re| are|.ve| have| were)? ?(?:looking for|requested|selected|"
    r"(?:trying|tried) to \w+) )"
)
_ASKED_FR = r"(?:demandée? |recherchée? |que vous (?:\w+ ){1,3})"
_ASKED_ES = r"(?:solicitad[oa] |que (?:est[áa]s? )?busca\w* )"
_ASKED_PT = r"(?:solicitad[oa] |que (?:voc[êe] )?(?:procur\w+|est[áa] procurando) )"
_ASKED_IT = r"(?:richiest[oa] |cercat[oa] |che (?:stai cercando|cerchi|hai richiesto) )"
_ASKED_NL = r"(?:(?:die|dat) (?:je|u) zoe?[ck]h?t )"
_ASKED_DE = r"(?:gesuchte[rsn]? |gewünschte[rsn]? |angeforderte[rsn]? |aufgerufene[rsn]? )"
_EN = (
    r"(?:topic|post|blog post|thread|product|job|job posting|vacancy|story|event|listing|ad|recipe|profile|"
    r"member|entry|news|news item|offer|record|resource|message|content|article|document|item|category)"
)
_FR = (
    r"(?:sujet|[ée]v[éèe]nement|annonce|produit|offre(?: d.emploi)?|fiche|actualité|billet|discussion|"
    r"message|"
    r"profil|recette|rubrique|ressource|publication|article|contenu|document|catégorie)"
)
_DE = (
    r"(?:beitrag|artikel|inhalt|eintrag|veranstaltung|produkt|thema|stelle|stellenanzeige|anzeige|nachricht|"
    r"meldung|termin|dokument|angebot|webseite|internetseite)"
)
_ES = (
    r"(?:noticia|art[íi]culo|entrada|publicaci[óo]n|evento|producto|contenido|tema|anuncio|oferta|documento)"
)
_PT = r"(?:not[íi]cia|artigo|evento|produto|conte[úu]do|t[óo]pico|publica[çc][ãa]o|postagem|an[úu]ncio|vaga)"
_IT = r"(?:articolo|contenuto|evento|prodotto|notizia|annuncio|argomento|documento|post)"
_NL = r"(?:artikel|bericht|nieuwsbericht|evenement|product|onderwerp|vacature|item|inhoud|document)"
_AR = r"(?:المقال|المقالة|الموضوع|الخبر|المحتوى|الحدث|الإعلان|المنشور|الوظيفة|المشاركة|التدوينة|المنتج)"
_AR_ASKED = r"(?:المطلوبة? |(?:الذي|التي) (?:تبحث عنها?|طلبته?ا?) )"


def _things(asked: str) -> str:
    """The sentences; with `asked` empty only those that speak of what the visitor asked for."""
    return (
        rf"(?:the |this |that |your )?(?:requested ){asked}{_EN} {_GONE_EN}|"
        rf"(?:the |this |that |your )?{_EN} {_ASKED_EN}{asked}{_GONE_EN}|"
        rf"(?:cet |cette |ce |le |la |l.)?{_FR} {_ASKED_FR}{asked}{_GONE_FR}|{_FR} "
        rf"{_ASKED_FR}{asked}{_LOST_FR}|"
        rf"(?:der |die |das |den |diese[rs]? )?{_ASKED_DE}{asked}{_DE} {_GONE_DE}|"
        rf"(?:la |el |esta |este )?{_ES} {_ASKED_ES}{asked}{_GONE_ES}|"
        rf"(?:a |o |esta |este )?{_PT} {_ASKED_PT}{asked}{_GONE_PT}|"
        rf"(?:l.|il |la |lo |questo |questa |quest.)?{_IT} {_ASKED_IT}{asked}{_GONE_IT}|"
        rf"(?:het |de |dit |deze )?{_NL} {_ASKED_NL}{asked}{_GONE_NL}|"
        rf"{_AR} {_AR_ASKED}{asked}(?:غير موجودة?|لم يعد موجود\w*|لم تعد موجودة)"
    )


ASKED_THINGS = _things("")
THINGS = (
    rf"{_things('?')}|"
    rf"(?:لم يتم العثور على|تعذر العثور على|لم نعثر على|تم حذف) (?:هذا |هذه )?{_AR}|"
    r"không tìm thấy (?:bài viết|nội dung|sản phẩm)|(?:статья|новость|материал|тема|товар|запись) не "
    r"найден[ао]?|"
    r"(?:artikkelen|innlegget|artikeln|inlägget|artiklen) (?:finns|finnes|findes|eksisterer) (?:ikke|inte)|"
    r"artikkelia ei löytynyt|記事が見つかりません(?:でした)?|文章不存在|artikel tidak ditemukan|"
    r"(?:içerik|haber|ürün|konu) bulunamadı"
)
NUMBER = (
    r"(?:404|410)(?: ?[\W_]{0,2} ?(?:(?:http )?(?:error|erreur|fehler|errore|erro)(?: page)?|page|"
    r"seite|página|pagina|"
    r"not found|الصفحة))?|خطأ 404"
)
NOTHING = (
    r"nothing (?:was )?found(?: here)?|aucun (?:résultat|contenu) trouvé|"
    r"لم يتم العثور على (?:شيء|أي شيء|نتائج)|nada encontrado|nichts gefunden|nessun risultato"
)
