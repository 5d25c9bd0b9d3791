"""Markers that tell what a page really is: suspended, parked, a default page, hijacked, a soft 404.

Each table is matched against the title, the main headings and the visible text of a page, and means
something only within the bound named beside it: "coming soon" is a shop's banner on a long page and an
unfinished site on a short one. Sources: the fact sheet's survey of hosting panels and parking services
(can-i-take-over-xyz 2025-02, webappanalyzer 2026-08, WhatsMyName 2026-08), WordPress's and ISPConfig's
own strings; Arabic and French wordings as their panels translate them, 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from probes import missing
from probes.missing import SHORT, TINY, segments
from probes.model import Reason
from probes.read import Document, host

MENU = 3  # other pages of the site that a page links to: with so many it belongs to somebody's site
START = 600  # characters of a main part that scripts of a parking service leave
EARLY = 140  # characters of text within which a page without a menu says what it is; later it tells of others
EARLIEST = 400  # the same for walls, whose mistakes accuse nobody
SCRAPS = 30
STORY = 200  # characters of a main part that a wall dressed as the site has not
_UNSURE = frozenset({Reason.BLOCKED, Reason.SERVER_ERROR, Reason.LOGIN_WALL})
_IN_A_MENU = frozenset({Reason.EMPTY, Reason.DIRECTORY_LISTING})  # a publishing system says these itself


def _any(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sign:
    """A page that matches, where it says little else, is this.

    `where` is `title`, `text`, `address` or `source`: what scripts and frames it fetches.
    """

    reason: Reason
    words: re.Pattern[str]
    where: str = "text"
    within: int = SHORT


ABSENCES = (
    # cPanel redirects to this address and serves it with 200 (fact sheet, seen 2026-08).
    Sign(
        Reason.SUSPENDED, _any(r"/cgi-sys/suspendedpage\.cgi", r"/suspended\.page/", r"/suspendu"), "address"
    ),
    Sign(
        Reason.DEFAULT_PAGE,
        _any(r"/cgi-sys/defaultwebpage\.cgi", r"/wp-admin/(?:install|setup-config)\.php"),
        "address",
    ),
    Sign(
        Reason.SUSPENDED,
        _any(
            r"this account has been suspended",
            r"^account (?:has been )?suspended",
            r"(?:web)?site (?:has been |is |temporarily )*(?:suspended|disabled|deactivated)",
            r"(?:your|the|this) (?:hosting )?account (?:has been|is) (?:temporarily )?(?:suspended|"
            r"disabled|deactivated)",
            r"suspended (?:page|website|domain|account|hosting)",
            r"domain (?:name )?(?:has been |is )?suspended",
            r"sorry, the (?:web)?site has been stopped",
            r"website expired",
            r"please renew your subscription",
            r"this shop is currently unavailable",
            r"website is no longer available",
            r"hosting account owner, please contact",
            r"(?:hosting|service|abonnement).{0,20}(?:has )?expired",
            r"(?:ce |votre )?compte (?:d.hébergement )?(?:a été |est )?suspendu",
            r"site (?:web |internet )?(?:a été |est )?(?:temporairement )?(?:suspendu|"
            r"désactivé)(?! (?:par|depuis) )",
            r"hébergement (?:a été |est )?(?:suspendu|expiré|désactivé)",
            r"تم (?:تعليق|إيقاف|ايقاف) (?:هذا )?(?:الحساب|الموقع|الاستضافة)",
            r"(?:الحساب|هذا الموقع|الموقع) (?:معلق|موقوف|متوقف)",
            r"cuenta (?:ha sido )?suspendida|conta (?:foi |est[áa] )?suspensa|sitio suspendido|site suspenso",
            r"(?:webhosting-?)?(?:konto|account|webseite|website) (?:wurde |ist )?(?:gesperrt|deaktiviert)",
            r"account (?:è stato )?sospeso|sito (?:è stato )?sospeso|account (?:is )?opgeschort",
            r"bandwidth limit exceeded",
            r"limite de bande passante (?:est )?(?:dépassée|atteinte)",
        ),
    ),
    Sign(
        Reason.PARKED,
        _any(
            r"(?:domain|website|site)(?: name)?(?: \S+)? (?:is |may ?be |might be )?for sale",
            r"buy this domain",
            r"\S+\.[a-z]{2,12} (?:is|may ?be) for sale",
            r"hugedomains\.com",
            r"domain (?:name )?(?:is |has been )?parked",
            r"parked (?:domain|page|for free)",
            r"domain parking|^get this domain",
            r"(?:this|the) domain (?:name )?(?:\S+\.\w+ )?(?:is|was|has been) (?:recently |"
            r"already )?registered",
            r"^domaine réservé",
            r"(?:web ?page|domain) is parked",
            r"namecheap parking",
            r"parking page",
            r"sponsored listings displayed above",
            r"(?:on|at|via|through) (?:dan|afternic|sedo)\.com|sedoparking",
            r"interested in (?:this|buying this) domain",
            r"this domain (?:name )?(?:is|may be) available",
            r"domain (?:name )?(?:registration )?(?:has |is |was )?(?:been )?expired",
            r"expired domain",
            r"(?:nom de )?domaine (?:\S+ )?(?:est )?(?:à vendre|parqué|expiré)",
            r"ce (?:nom de )?domaine (?:est|a été|vient d.être) (?:enregistré|réservé|déposé)",
            r"acheter ce (?:nom de )?domaine",
            r"(?:هذا )?(?:النطاق|الدومين|نطاق) (?:معروض )?للبيع",
            r"انتهت صلاحية (?:هذا )?(?:النطاق|الدومين)",
            r"steht zum verkauf",
            r"dominio (?:está )?(?:en venta|aparcado)|dominio (?:è )?in vendita",
            r"dom[íi]nio (?:\S+\.\w+ )?(?:está )?[àa] venda|domein is te koop|alan adı satılık",
        ),
    ),
    Sign(
        # Scripts and frames that only parking services serve.
        Reason.PARKED,
        _any(
            r"//(?:[\w-]+\.)*(?:parkingcrew|sedoparking|bodis|parklogic|cdnpark|above|ztomy|skenzo|voodoo|"
            r"parkingpage|dsparking|afternic)\.(?:com|net)(?:[/:]|$)",
            r"adsense/domains/caf\.js|jsparkcaf|/parking-lander/|location(?:\.href)?\s*=\s*[\"']/lander",
        ),
        "source",
    ),
    Sign(
        # Where a name for sale leads: a shop of names has menus of its own.
        Reason.PARKED,
        _any(
            r"//(?:[\w-]+\.)?(?:hugedomains|dan|afternic|sedo|sedoparking|undeveloped|domainmarket|"
            r"brandbucket|"
            r"squadhelp|atom|parkingcrew|bodis|namebright)\.(?:com|net)/",
            r"/domain_profile\.cfm",
            r"//[^/]+/lander(?:[/?]|$)",
        ),
        "address",
    ),
    Sign(
        Reason.DEFAULT_PAGE,
        _any(
            r"default (?:web ?site|web|index|server|home|landing)? ?page",
            r"apache2? (?:\w+ )?default page",
            r"test page for (?:the )?(?:apache|nginx|http server)",
            r"^(?:it works!?)(?: it works!?)?$",
            r"welcome to (?:nginx|centos|openresty|litespeed|caddy)\b|default index page",
            r"^iis(?:7|8|10)?\b|iis windows server|internet information services",
            r"web server.s default page|domain default page",
            r"congratulations?! your (?:web)?(?:site|account)",
            r"if you are the (?:web)?site (?:owner|administrator)",
            r"owner of this website, please contact your hosting provider",
            r"(?:this|the) (?:web)?site (?:is )?(?:currently )?(?:under|in) construction",
            r"under (?:construction|maintenance and construction)",
            r"^(?:our |the )?(?:web ?)?site.{0,30}(?:coming soon|opening soon|launching soon)",
            r"^we (?:are|will be) (?:launching|opening) soon|(?:new|our) (?:web)?site (?:is |"
            r"will be )?(?:coming|launching)",
            r"(?:site|page) (?:web )?en cours de (?:réalisation|création|développement|préparation)",
            r"(?:^|[|:–—-] ?)(?:we.re )?(?:coming soon|launching soon|opening soon)\W*$",
            r"future home of",
            r"votre (?:nom de )?domaine a bien été créé",
            r"page d.(?:index|accueil) (?:standard|par défaut)",
            r"bienvenue sur votre nouveau site",
            r"(?:page|site) (?:web |internet )?(?:est )?(?:actuellement )?en (?:cours de )?construction",
            r"(?:site|page) (?:web )?(?:bientôt|prochainement) (?:en ligne|disponible)",
            r"(?:bientôt|prochainement) (?:en ligne|disponible)$",
            r"página principal del sitio|página de índice estándar|p[áa]gina "
            r"por defecto",
            r"sitio (?:web )?en construcci[óo]n|em constru[çc][ãa]o",
            r"(?:webseite|seite|website) (?:befindet sich |ist )?(?:derzeit )?im aufbau|^hier entsteht eine",
            r"(?:sito|pagina) (?:web )?(?:è )?in (?:costruzione|allestimento)|website in opbouw|"
            r"сайт в разработке|yapım aşamasında",
            r"(?:الموقع|الصفحة) (?:قيد|تحت) (?:الإنشاء|الانشاء|التطوير|البناء)",
            r"^(?:قريبا|قريباً|الموقع قريبا)\W*$",
            r"file may be deleted or overwritten|place your files in",
            r"wordpress › (?:setup|installation)|bienvenue dans (?:la célèbre installation de )?wordpress",
            r"i.m a paragraph\. click here to add your own text",
        ),
    ),
    # A CMS that says itself that nothing was ever published.
    Sign(
        Reason.EMPTY,
        _any(
            r"no front page content has been created yet",
            r"aucun contenu (?:de|en) page d.accueil n.a (?:été|encore été) créé",
            r"لم يتم إنشاء محتوى (?:ل|في )?الصفحة",
        ),
        within=3_000,
    ),
    Sign(
        Reason.DIRECTORY_LISTING,
        _any(r"^index of /(?:$|\S)", r"^directory listing (?:for|of) /", r"^index de /"),
        "title",
        200_000,
    ),
    Sign(Reason.NOT_FOUND, _any(r"//(?:[\w-]+\.)?wordpress\.com/typo/"), "address"),
    # A platform's own words for a site that is no more (can-i-take-over-xyz 2025-02, WhatsMyName 2026-08).
    Sign(
        Reason.NOT_FOUND,
        _any(
            r"do you want to register \S+\.wordpress\.com",
            r"blog (?:not found|has been removed)",
            r"(?:looks like )?this domain isn.t connected to a website",
            r"there isn.t a github pages site here",
            r"^(?:no such app|project not found|site not found)\W*$|deployment_not_found|"
            r"not found - request id|fastly error: unknown domain",
            r"nosuchbucket|the specified bucket does not exist",
            r"404 error unknown site|no site for domain|404 web site not found|failed to resolve dns path",
            r"ce (?:site|blog) n.existe (?:pas|plus)|ce (?:site|blog) a été (?:supprimé|fermé)",
            r"this (?:web)?site (?:does not exist|no longer exists|has been (?:deleted|removed|"
            r"archived or suspended))",
            r"(?:tilda|weebly|squarespace).{0,60}(?:site|domain) (?:not found|not claimed)",
        ),
    ),
)

# Texts of servers and guards that answer 200 with "not now" or "not you"; nothing can be concluded.
TROUBLES = (
    Sign(
        Reason.SERVER_ERROR,
        _any(
            r"error establishing a database connection|connexion à la base de données|"
            r"الاتصال بقاعدة البيانات",
            r"データベース(?:接続)?(?:確立)?エラー|database (?:connection )?(?:error|failed)|"
            r"could not connect to (?:the )?(?:database|mysql)",
            r"critical error on (?:this|your) website|erreur critique sur (?:ce|votre) site|"
            r"خطأ فادح في هذا الموقع",
            r"scheduled maintenance|(?:down|offline|closed|unavailable) for (?:\w+ )?(?:maintenance|"
            r"a tune)|maintenance mode",
            r"(?:site|page|server|website|mode|travaux de|en cours de|undergoing|en) ?(?:est |is |"
            r"is under |en )?(?:en )?maintenance",
            r"(?:under|pour) maintenance|(?:تحت|قيد) الصيانة",
            r"(?:site|service|page|website|server) (?:\w+ ){0,3}(?:temporarily |currently |"
            r"momentarily )?(?:unavailable|not available|down)",
            r"(?:service|site|page) (?:\w+ ){0,3}(?:temporairement |actuellement |"
            r"momentanément )?(?:indisponible|inaccessible)",
            r"service interruption|interruption (?:\w+ )?du service",
            r"(?:50[0-4]|internal) ?[\W_]{0,3}(?:internal )?(?:server error|bad gateway|gateway|"
            r"service unavailable|web server received)",
            r"be back (?:soon|shortly)|connection timed out|(?:web )?server is down|error 5[0-3]\d|"
            r"too many connections",
            r"erreur interne|temporarily (?:unavailable|down|offline)|^maintenance\W*$",
            r"bad gateway|gateway time-?out|internal server error|service unavailable|server error",
            r"an? (?:unexpected )?error has occur|error has occurred|some error (?:has )?occurr?ed|"
            r"une erreur (?:est survenue|s.est produite)|حدث خطأ",
            r"(?:fatal error|warning|parse error|notice|deprecated) ?: .{5,400} (?:on line|à la ligne) \d+",
            r"encountered an unexpected error|unexpected error|something went wrong|incident (?:number|id)",
            r"joomla! debug|application error|runtime error|whoops, looks like",
        ),
    ),
    Sign(
        Reason.BLOCKED,
        _any(
            r"are you a (?:robot|human)|not a robot|robot check|you are a bot|bot verification|"
            r"unusual (?:activity|traffic)",
            r"access (?:is |to this \w+ (?:is|has been) )?(?:denied|forbidden|blocked|restricted|limited)",
            r"accès (?:\w+ )?(?:refusé|interdit|bloqué|limité)|تم رفض الوصول|الوصول مرفوض|acceso denegado|"
            r"zugriff verweigert",
            r"\b(?:401|403|406|429)\b.{0,5}(?:access|forbidden|unauthori[sz]ed|not acceptable|error|"
            r"too many)|not acceptable",
            r"^\W*(?:403 )?forbidd?en\W*(?:forbidd?en)?",
            r"don.t have (?:permission|authori[sz]ation)|pas (?:la permission|l.autorisation)",
            r"pardon our interruption|human verification|(?:page|site|accès|ip) (?:est |a été )?bloquée?",
            r"(?:being|were|are) redirected|request rejected|^unauthori[sz]ed|(?:ip|address|"
            r"you) (?:\w+ ){0,3}banned",
            r"too many requests|rate limit|trop de requêtes|malware detected|mod_?security|"
            r"web application firewall",
            r"(?:site|page|domain|request|ip|address) (?:\S+ ){0,3}(?:is|has been|was) (?:blocked|seized|"
            r"restricted)|site blocked|blocked site",
            r"has been seized|just a moment|attention required|checking your browser|one moment, please|"
            r"verify (?:you are|that you.re) human",
            r"waiting room|high traffic|heavy traffic|please wait (?:briefly )?while|ddos protection",
            r"not available (?:to|in|for) (?:\w+ ){0,9}(?:outside (?:of )?|your (?:country|region|area|"
            r"location))|(?:not available|doesn.t do business|pas disponible) (?:in|dans) (?:your|"
            r"votre) (?:country|region|area|pays|région)",
            r"(?:enable|activate|turn on|requires?|activer|activez) (?:javascript|cookies|js)|"
            r"cookies (?:are )?(?:disabled|required)",
            r"page can(?:'|’)?t be displayed|cannot be displayed|incident id|reference #\d",
            r"security check|please stand by|vérification de sécurité|vérification humaine|"
            r"êtes (?:un )?humain",
        ),
    ),
    # A contact form may name its riddle; a page that says little else is one.
    Sign(Reason.BLOCKED, _any(r"captcha"), within=200),
    Sign(
        Reason.LOGIN_WALL,
        _any(
            r"^(?:please )?(?:log ?in|sign in|connexion|se connecter|تسجيل الدخول)\W*$",
            r"authentication required",
        ),
        "title",
        600,
    ),
)
# The same, where a title says it whatever follows: a wall dressed as the site keeps its long menu.
_WALL_TITLE = re.compile(
    r"(?:no cookies|access denied|forbidden|captcha|robot check|just a moment\W*|attention required\W*|"
    r"are you a robot\??"
    r"|too many requests|accès refusé|403(?: forbidden)?|(?:site )?maintenance|down for maintenance|"
    r"bad gateway"
    r"|service unavailable|internal server error|server error|database error|erreur (?:50\d|serveur)|"
    r"(?:http )?error 50\d.*)",
    re.IGNORECASE,
)

# Gambling, pharma and counterfeit spam on a stolen site or a lapsed domain (SEO spam reports, 2024-2026).
HIJACK = re.compile(
    r"slot gacor|slot online|situs (?:slot|judi)|judi (?:online|bola)|togel|maxwin|scatter hitam|"
    r"rtp (?:live|slot)|"
    r"bandar (?:togel|judi|slot|qq)|agen (?:slot|judi|togel)|link alternatif|mahjong ways|"
    r"gates of olympus|pragmatic play|"
    r"deposit (?:pulsa|dana|qris)|bonus new member|toto macau|slot(?:88|777|gacor|thailand)|joker123|"
    r"sbobet|poker online|"
    r"online casino|casino (?:online|en ligne|bonus|sites?)|1xbet|bet365|melbet|mostbet|betting (?:site|"
    r"odds)|free spins|"
    r"مراهنات|كازينو|سلوتس|激安|送料無料|スーパーコピー|ブランドコピー|메이저놀이터|토토사이트|카지노|바카라|먹튀|安全놀이터|"
    r"viagra|cialis|levitra|kamagra|tadalafil|sildenafil|replica watch|buy essay|"
    r"博彩|百家乐|娱乐城|สล็อต|บาคาร่า|"
    r"казино",
    re.IGNORECASE,
)
_ORDINARY = {"激安": "激安", "送料無料": "激安"}  # every Japanese shop says both; together they are one word
# Those who fight the same things name them too.
_AGAINST = re.compile(
    r"pr[ée]vent|addict|d[ée]pendan|ludop|problem gambl|gambling (?:harm|problem|help)|gamblers|sos joueurs|"
    r"aide aux joueurs|aider les joueurs|lutte contre|contre les? |stop |s.en sortir|against|"
    r"awareness|\bfaux\b|"
    r"contrefa|counterfeit|fake|patient|خطر|مخاطر|إدمان|توعية|مكافحة|الوقاية|bahaya|korban|pencegahan|против|"
    r"prevenci|依存|防止",
    re.IGNORECASE,
)
_SPAM_LANGUAGES = frozenset({"id", "ms", "ja", "zh", "ko", "th", "vi", "ru", "tr"})


def absence(document: Document, *, root: bool) -> tuple[Reason, str] | None:
    """Why the page is no website of anybody, with the words that say so; None if nothing says so.

    `root` tells that the address is a site's front page, where an error heading alone proves less.
    """
    for sign in ABSENCES:
        words = _seen(sign, document)
        if words:
            return sign.reason, words
    return missing.gone(document, root=root) or _hijacked(document, document.text)


def is_site(document: Document) -> bool:
    """Whether the page leads to other pages of its own: nobody builds a menu around a suspended account."""
    return document.inner >= MENU


def _seen(sign: Sign, document: Document) -> str | None:
    """The words of a sign on a page that says little else: in its title, its headings, early in its text."""
    text = document.text
    if sign.where == "address":
        found = sign.words.search(document.url) or next(
            filter(None, map(sign.words.search, document.frames)), None
        )
        return found[0] if found else None
    if len(text) > sign.within:
        return None
    if sign.where == "source":
        own = is_site(document) or len(document.main) > START
        return None if own else next((f[0] for s in document.sources if (f := sign.words.search(s))), None)
    if is_site(document) and sign.reason not in _IN_A_MENU:
        return _all_it_says(sign, document)
    for place in (document.title,) if sign.where == "title" else (document.title, *document.headings[:1]):
        if found := sign.words.search(place):
            return found[0]
    found = sign.words.search(text) if sign.where != "title" else None
    early = found and (found.start() < EARLY or (found.start() < EARLIEST and sign.reason in _UNSURE))
    return found[0] if found and early else None


def _all_it_says(sign: Sign, document: Document) -> str | None:
    """The words of a sign amid menus, where the main part is nothing but them."""
    found = sign.words.search(document.main)
    return found[0] if found and len(document.main) - len(found[0]) < SCRAPS else None


def _hijacked(document: Document, text: str) -> tuple[Reason, str] | None:
    """Spam: two different words of it in what the page says of itself, and one strong signal more."""
    said = " ".join((document.title, document.meta.get("description", ""), *document.headings[:3]))
    loud = {_ORDINARY.get(word, word.lower()) for word in HIJACK.findall(said)}
    if not loud or _AGAINST.search(said):
        return None
    linked = {word.lower() for anchor in document.anchors for word in HIJACK.findall(anchor.text)}
    if len(loud) < 2 and len(linked) < 3:
        return None
    dense = len(HIJACK.findall(text[:20_000])) >= 8
    foreign = document.language[:2] in _SPAM_LANGUAGES
    away = bool(document.rel("canonical")) and _elsewhere(document, document.rel("canonical") or "")
    amp = bool(document.rel("amphtml")) and _elsewhere(document, document.rel("amphtml") or "")
    unlike = len(loud) >= 3 and not is_site(document)
    if unlike or dense or foreign or away or amp:
        return Reason.HIJACKED, ", ".join(sorted(loud | linked)[:4])
    return None


def _elsewhere(document: Document, url: str) -> bool:
    return host(url).removeprefix("www.") != host(document.url).removeprefix("www.")


def trouble(document: Document) -> tuple[Reason, str] | None:
    """Why the page lets nothing be concluded, with the words that say so; None if it can be read."""
    text = document.text
    told = is_site(document) and len(document.main) > STORY  # a play may be called "Forbidden"
    for part in () if told else (document.title, *segments(document.title)):
        if _WALL_TITLE.fullmatch(part):
            return (
                Reason.SERVER_ERROR
                if re.search(r"maint|50\d|gateway|serv|database", part, re.IGNORECASE)
                else Reason.BLOCKED
            ), part
    for sign in TROUBLES:
        words = _seen(sign, document)
        if words and (len(text) <= 700 or len(document.anchors) <= 10):
            return sign.reason, words
    return _bare(document, text)


def _bare(document: Document, text: str) -> tuple[Reason, str] | None:
    """A page without words: frames, scripts, or nothing at all."""
    if document.frames and len(text) < TINY:
        return Reason.UNREADABLE, "frames only"
    if len(text) >= 60 or document.images > 2 or len(document.anchors) > 3:
        return None
    if document.scripts or document.forms:
        return Reason.SCRIPT_ONLY, "no text without scripts"
    return (Reason.EMPTY, "no text") if len(text) < 20 and not document.images else None


def doubtful(document: Document) -> bool:
    """Whether a longer page speaks of a missing page somewhere: worth asking for one that nobody made."""
    text = document.text
    return len(text) < 5 * SHORT and missing.speaks_of_it(text)
