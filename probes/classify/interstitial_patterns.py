"""Hindrances: texts of servers and guards that answer 200 with "not now" or "not you".

Nothing can be concluded from a page that says so. A table of words, matched by `probes.classify.classifier`.
"""

from __future__ import annotations

import re

from probes.classify.notice_patterns import Sign, any_of
from probes.models.finding import Reason
from probes.text.lazy_regex import pattern

# What is kept from some countries is there for the others.
_REGIONS = (
    r"(?:not (?:currently )?available|unavailable|isn.t available|doesn.t do business|not accessible|"
    r"blocked) "
    r"(?:to|in|for|from) (?:\w+ ){0,9}?(?:outside (?:of )?|(?:your|this) (?:current )?(?:country|region|"
    r"area|location|"
    r"territory|jurisdiction))"
    r"|(?:pas|plus|indisponible|inaccessible|non disponible)(?: \w+){0,3} (?:dans|depuis|pour) votre "
    r"(?:pays|région|zone|territoire)"
    r"|in (?:ihrem|deinem) (?:land|gebiet) (?:derzeit )?(?:leider )?nicht|in (?:ihrer|deiner) region "
    r"(?:leider )?nicht"
    r"|no (?:está )?disponible en (?:su|tu) (?:país|región|zona)|não (?:está )?disponível (?:no seu país|"
    r"na sua região)"
    r"|non (?:è )?disponibile nel(?:la)? (?:tuo|tua|suo|sua) (?:paese|regione|area)"
    r"|niet beschikbaar in (?:uw|jouw|je) (?:land|regio)|недоступ\w+ в вашем регионе"
    r"|غير (?:متاح|متوفر)ة? في (?:بلدك|منطقتك|بلدكم|منطقتكم)"
)
_SPEAKS_OF_REGIONS = pattern(_REGIONS, re.IGNORECASE)

TROUBLES = (
    Sign(
        Reason.SERVER_ERROR,
        any_of(
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
            r"bandwidth limit exceeded|limite de bande passante (?:est )?(?:dépassée|atteinte)",
            r"site (?:\w+ ){0,3}en (?:cours de |pleine )?refonte|(?:الموقع|موقعنا) (?:\w+ ){0,2}للصيانة",
        ),
    ),
    Sign(
        Reason.BLOCKED,
        any_of(
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
            _REGIONS,
            r"(?:enable|activate|turn on|requires?|activer|activez) (?:javascript|cookies|js)|"
            r"cookies (?:are )?(?:disabled|required)",
            r"page can(?:'|’)?t be displayed|cannot be displayed|incident id|reference #\d",
            r"security check|please stand by|vérification de sécurité|vérification humaine|"
            r"êtes (?:un )?humain",
        ),
    ),
    # Blogger's and WordPress.com's words for a site that its owner shows to some.
    Sign(
        Reason.LOGIN_WALL,
        any_of(
            r"open to invited readers only|réservé aux lecteurs invités|مفتوحة للقراء المدعوين",
            r"this site is (?:currently |marked )?private|ce site est (?:actuellement |marqué comme )?privé|"
            r"هذا الموقع خاص(?! ب)",
        ),
    ),
    # A contact form may name its riddle; a page that says little else is one.
    Sign(Reason.BLOCKED, any_of(r"captcha"), within=200),
    Sign(
        Reason.LOGIN_WALL,
        any_of(
            r"^(?:please )?(?:log ?in|sign in|connexion|se connecter|تسجيل الدخول)\W*$",
            r"authentication required",
        ),
        "title",
        600,
    ),
)
# The same, where a title says it whatever follows: a wall dressed as the site keeps its long menu.
TITLES = pattern(
    r"(?:no cookies|access denied|forbidden|captcha|robot check|just a moment\W*|attention required\W*|"
    r"are you a robot\??"
    r"|too many requests|accès refusé|403(?: forbidden)?|(?:site )?maintenance|down for maintenance|"
    r"bad gateway"
    r"|service unavailable|internal server error|server error|database error|erreur (?:50\d|serveur)|"
    r"(?:http )?error 50\d.*)",
    re.IGNORECASE,
)


def speaks_of_regions(text: str) -> bool:
    """Whether a page says where it is not shown: there is nothing to conclude for where it is."""
    return bool(_SPEAKS_OF_REGIONS.search(text[:EARLY]))


EARLY = 700  # characters
