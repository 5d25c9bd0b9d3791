"""Soft 404s: pages that say with 200 that they are not there, in whatever dress.

A publishing system keeps its menus and footers around "page not found", so neither size nor status tells.
What tells is the title, a heading, or the words of a main part that has little else to say; a sentence
counts only where it ends there ("the page was not found", not "the page was not found worth reading").
Wordings: WordPress, Joomla, Drupal, SPIP, Wix, Ghost, PrestaShop and Django as translated by them, 2026-11.
"""

from __future__ import annotations

import re

from probes.model import Reason
from probes.read import Document

SHORT = 1_200  # characters of visible text: a page this short has little else to say
TINY = 400

_SORRY = (
    r"(?:(?:whoops|oops|ooops|oups|ouups|ups|opps|sorry|so sorry|we.re sorry|désolée?s?|nous sommes "
    r"désolée?s?|"
    r"uh oh|oh no|http|status|code|error|erreur|fehler|errore?|erro|hm+|ops|hoppla|entschuldigung|lo "
    r"sentimos|"
    r"perd[óo]n|desculpe|spiacenti|ci dispiace|(?:نحن )?(?:نأسف|آسفون)|(?:عفوا|عذرا|معذرة|عفواً|عذراً|"
    r"أوبس)ً?|"
    r"but|mais|aber|pero)\b\W*){0,3}"
)
# Sentences that a page says of itself, by language. Each begins and ends where the sentence does.
_SAYING = (
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
    r"(?:de(?:ze)? )?pagina (?:is |kon )?niet gevonden(?: worden)?|sid(?:an|en) (?:kunde inte hittas|"
    r"hittades inte|(?:blev|ble) ikke fun[dn]et)|"
    # Portuguese, Italian, Romanian
    r"(?:esta |a )?p[áa]gina (?:solicitada |que (?:voc[êe] )?(?:procura|procurou|est[áa] procurando) )?"
    r"(?:n[ãa]o (?:foi )?encontrada|n[ãa]o existe(?: mais)?|n[ãa]o p[ôo]de ser encontrada)|"
    r"(?:questa |la )?pagina (?:richiesta |cercata |che (?:stai cercando|cerchi|hai richiesto) )?"
    r"(?:non (?:è stata |è )?trovata|non esiste(?: più)?|non è (?:più )?disponibile)|"
    r"pagina nu a fost găsită|"
    # Others that Moroccan sites' themes and hosts speak
    r"sayfa bulunamadı|страница не найдена|nie znaleziono strony|strona nie została znaleziona|"
    r"halaman tidak ditemukan|ページが見つかりません(?:でした)?|"
    r"页面不存在|找不到(?:该)?(?:页面|網頁)|页面未找到|"
    r"페이지를 찾을 수 없습니다"
)
_NUMBER = (
    r"(?:404|410)(?: ?[\W_]{0,2} ?(?:(?:http )?(?:error|erreur|fehler|errore|erro)(?: page)?|page|"
    r"seite|página|pagina|"
    r"not found|الصفحة))?|خطأ 404"
)
_NOTHING = (
    r"nothing (?:was )?found(?: here)?|aucun (?:résultat|contenu) trouvé|"
    r"لم يتم العثور على (?:شيء|أي شيء|نتائج)|nada encontrado|nichts gefunden|nessun risultato"
)
_TAIL = r"(?:[\s\W_]{0,4}(?:404|410|error|erreur|fehler|erro|errore|page|خطأ))*\W*"
_LABEL = re.compile(
    rf"\W*{_SORRY}(?:status |code )?(?:(?:{_NUMBER})[\s\W_]{{0,4}}{_SORRY}(?:{_SAYING})"
    rf"|{_NUMBER}|{_SAYING}|{_NOTHING}){_TAIL}",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    rf"(?:^|[.!?:…|–—-]\s*)\W{{0,3}}{_SORRY}(?:(?:{_NUMBER})[\s\W_]{{0,4}})?(?:{_SAYING})"
    r"(?=\s*(?:$|[.!,;:…|–—(،؛]|(?:or|ou|oder|o|أو) |(?:on|sur) (?:this|our|ce|notre) |404))",
    re.IGNORECASE,
)
# Looser: enough on a page that says nothing else, or to ask the site about an address nobody made.
_SPEAKS = re.compile(
    r"(?:page|site|document|file|article|content|url|link|resource)\W+(?:\w+\W+){0,8}?"
    r"(?:doesn.?t exist|does not exist|no longer exists?|was not found|could not be found|cannot be found|"
    r"can.?t be found|has been (?:deleted|removed)|was deleted|not be found on this server)"
    r"|(?:requested|404) (?:page|url|file)? ?not found"
    r"|404 (?:page )?not found|(?:error|erreur|fehler|erro|errore) 404|404 (?:error|erreur)|خطأ 404"
    r"|page (?:demandée|recherchée|que vous (?:cherchez|recherchez|demandez)).{0,40}(?:introuvable|"
    r"n.existe|pas été trouvée)"
    r"|page not found|(?:cette )?page (?:est )?introuvable|(?:cette )?page n.existe (?:pas|plus)|"
    rf"{_SAYING}",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"(?:^|/)(?:error[_-]?)?(?:404|not-?_?found|page-introuvable|page-non-trouvee|erreur-?404|"
    r"pagenotfound|404_not_found)(?:\.\w{2,5})?/?$",
    re.IGNORECASE,
)
_TO_A_VISITOR = re.compile(
    r"4(?:04|10)|\byou|requested|\berr(?:or|eur)|\bvous\b|demandée?|recherchée|المطلوب|طلبت|تبحث|solicitada|"
    r"busca|angeforderte|gesuchte|richiesta|procura",
    re.IGNORECASE,
)
_VAGUE = re.compile(r"\W*(?:(?:404|410)\W*|not found\W*|nothing (?:was )?found\W*)", re.IGNORECASE)


def segments(title: str) -> list[str]:
    """The parts of a title between its separators, spaces folded."""
    return [
        part.strip() for part in re.split(r"\s[|–—\-·•»›:]+\s|\s?[|»›]\s?|\s[-–]$|: ", title) if part.strip()
    ]


def gone(document: Document, *, root: bool) -> tuple[Reason, str] | None:
    """A soft 404, with the words that say so: title, then address, headings, and a main part of little else.

    `root` tells that the address is a site's front page, where an error heading alone proves less.
    """
    words = _in_title(document) or (None if root else _in_address(document))
    words = words or _in_headings(document, root=root) or _in_words(document, root=root)
    if not words:
        return None
    # A front page that lists nothing says so with the words of an empty search.
    return (Reason.EMPTY if root and words.lower().startswith("nothing") else Reason.NOT_FOUND), words


def speaks_of_it(text: str) -> bool:
    """Whether a text speaks of a missing page at all."""
    return bool(_SPEAKS.search(text))


def _in_title(document: Document) -> str | None:
    for part in (document.title, *segments(document.title)):
        if _LABEL.fullmatch(part):
            # A film may be called "Not found": its page has a story to tell and never says so again.
            if _VAGUE.fullmatch(part) and part != document.title and len(document.main) > SHORT:
                continue
            return part
    return _sentence(document.title) if len(document.main) < TINY else None


def _in_address(document: Document) -> str | None:
    path = _PATH.search(document.url.partition("?")[0])
    return path[0] if path and (len(document.main) < SHORT or speaks_of_it(document.text)) else None


def _in_headings(document: Document, *, root: bool) -> str | None:
    """A heading that says only this, over little else: a heading, or the first words of the main part."""
    for said in () if root else document.headings[:2]:
        if (
            _LABEL.fullmatch(said)
            and not _VAGUE.fullmatch(said)
            and not re.search(_NOTHING, said, re.IGNORECASE)
        ):
            return said  # whatever news follow
    if len(document.main) >= SHORT or (root and len(document.text) >= 3 * SHORT):
        return None
    first = [chunk.text for chunk in document.chunks if chunk.place in ("main", "article")][:1]
    bare = not root and len(document.main) < TINY // 2  # a number that stands almost alone
    for place, said in enumerate((*document.headings[:3], *first)):
        empty = re.search(_NOTHING, said, re.IGNORECASE)
        if (
            _LABEL.fullmatch(said)
            and (said.strip(" .!") not in ("404", "410") or bare)
            and not (empty and place)
        ):
            return said
        if place < len(document.headings[:3]) and len(document.main) < TINY and _sentence(said):
            return said
    return None


def _in_words(document: Document, *, root: bool) -> str | None:
    """Words of a page, or of a main part amid menus, that is about nothing else.

    A front page of two sentences may tell of a lost document: there a visitor is spoken to, or all is said.
    """
    text, main = document.text, document.main
    if len(text) < 80 and _LABEL.fullmatch(text):
        return text
    if document.inner < 3 and len(text) < TINY:
        loose = [said[0] for said in _SPEAKS.finditer(text) if not _VAGUE.fullmatch(said[0])]
        words = next((said for said in loose if not root or _TO_A_VISITOR.search(said)), None)
        if words := words or _sentence(text):
            return words
    if len(main) < TINY:
        lines = (chunk.text for chunk in document.chunks if chunk.place in ("main", "article"))
        return next(filter(None, map(_sentence, lines)), None)
    return None


def _sentence(text: str) -> str | None:
    """The sentence of a text that says the page is missing; "Not found: the boy" says nothing of the page."""
    said = _SENTENCE.search(text)
    return said[0] if said and not _VAGUE.fullmatch(said[0].strip(" .!?:…|–—-")) else None
