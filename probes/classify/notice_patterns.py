"""Notices that stand where a website was: suspended, parked, a default page, a platform's "no such site".

A table of words and where they count, matched by `probes.classify.classifier`, which knows the page around
them. Words that an association may write of its bridge or its school count as
`probes.classify.self_statements` alone. Sources: the fact sheet's survey of hosting panels and parking
services (can-i-take-over-xyz 2025-02, webappanalyzer 2026-08, WhatsMyName 2026-08), WordPress's and
ISPConfig's own strings; Arabic and French wordings as their panels translate them, 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from probes.classify.soft_404 import SHORT
from probes.models.finding import Reason
from probes.text.lazy_regex import pattern


def any_of(*words: str) -> re.Pattern[str]:
    """Any of these, in whatever case."""
    return pattern("|".join(words), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sign:
    """A page that matches, where it says little else, is this.

    `where` is `title`, `text`, `address`, `listing` (title and heading) or `source`: what scripts and frames
    it fetches. `beside` tells that the words must be a statement, and how much of others may stand by it.
    """

    reason: Reason
    words: re.Pattern[str]
    where: str = "text"
    within: int = SHORT
    beside: int | None = None


ABSENCES = (
    # cPanel redirects to this address and serves it with 200 (fact sheet, seen 2026-08).
    Sign(
        Reason.SUSPENDED,
        any_of(r"/cgi-sys/suspendedpage\.cgi", r"/suspended\.page/", r"/suspendu(?:\.\w{2,5}|/)?(?:\?|$)"),
        "address",
    ),
    Sign(
        Reason.DEFAULT_PAGE,
        any_of(r"/cgi-sys/defaultwebpage\.cgi", r"/wp-admin/(?:install|setup-config)\.php"),
        "address",
    ),
    # A host's own sentences, which nobody writes of anything else.
    Sign(
        Reason.SUSPENDED,
        any_of(
            r"this account has been suspended\W+(?:please )?(?:contact|either)",
            r"this (?:web)?site has been archived or suspended",
            r"sorry, the (?:web)?site has been stopped",
            r"^(?:squarespace \W )?website expired",
            r"hosting account owner, please contact",
            r"(?:please renew your|tilda) subscription.{0,80}(?:site|expired)",
        ),
    ),
    Sign(
        Reason.PARKED,
        any_of(
            r"domain(?: name)?(?: \S+)? (?:is |may ?be |might be )?for sale",
            r"\S+\.[a-z]{2,12} (?:is|may ?be) for sale",
            r"hugedomains\.com",
            r"domain (?:name )?(?:is |has been )?parked",
            r"parked (?:domain|for free)",
            r"domain parking|^get this domain",
            r"(?:web ?page|domain) is parked",
            r"namecheap parking",
            r"sponsored listings displayed above",
            r"(?:on|at|via|through) (?:dan|afternic|sedo)\.com|sedoparking",
            r"interested in (?:this|buying this) domain",
            r"this domain (?:name )?(?:is|may be) available|(?:this )?premium domain|owner of \S+ is "
            r"offering it for",
            r"(?:purchase|make an offer (?:on|for)|acquire|own) this domain(?! of)",
            r"page is provided courtesy of|domain.{0,30}(?:pending renewal|icann verification|on hold)",
            r"(?:النطاق|الدومين) (?:هذا )?محجوز",
            r"domain (?:name )?(?:registration )?(?:has |is |was )?(?:been )?expired",
            r"expired domain",
            r"nom de domaine (?:\S+ )?(?:est )?(?:à vendre|parqué|expiré|en attente de renouvellement)",
            r"ce (?:nom de )?domaine (?:est|a été|vient d.être) (?:enregistré|réservé|déposé)(?! aux?\b)",
            r"acheter ce (?:nom de )?domaine|^\S+\.[a-z]{2,12} (?:est (?:à vendre|en vente)|a expiré)\b",
            r"domaine \S+\.[a-z]{2,12} (?:est (?:à vendre|en vente|réservé(?! aux?\b))|a expiré)",
            r"footer_domain_parking",
            r"(?:هذا )?(?:النطاق|الدومين|نطاق) (?:هذا )?(?:معروض )?للبيع",
            r"انتهت صلاحية (?:هذا )?(?:النطاق|الدومين)",
            r"(?:domain|\S+\.[a-z]{2,12}) steht zum verkauf",
            r"este dominio (?:está )?(?:en venta|aparcado)|dominio \S+\.\w+ (?:está )?en venta",
            r"questo dominio (?:è )?in vendita|\| dominio en venta",
            r"dom[íi]nio (?:\S+\.\w+ )?(?:está )?[àa] venda|domein is te koop|alan adı satılık|домен "
            r"прода[её]тся",
        ),
    ),
    Sign(
        # Scripts and frames that only parking services serve.
        Reason.PARKED,
        any_of(
            r"//(?:[\w-]+\.)*(?:parkingcrew|sedoparking|bodis|parklogic|cdnpark|above|ztomy|skenzo|voodoo|"
            r"parkingpage|dsparking|afternic)\.(?:com|net)(?:[/:]|$)",
            r"adsense/domains/caf\.js|jsparkcaf|/parking-lander/|location(?:\.href)?\s*=\s*[\"']/lander",
        ),
        "source",
    ),
    Sign(
        # Where a name for sale leads: a shop of names has menus of its own.
        Reason.PARKED,
        any_of(
            r"//(?:[\w-]+\.)?(?:hugedomains|dan|afternic|sedo|sedoparking|undeveloped|domainmarket|"
            r"brandbucket|"
            r"squadhelp|atom|parkingcrew|bodis|namebright)\.(?:com|net)/",
            r"/domain_profile\.cfm",
            r"//[^/]+/lander(?:[/?]|$)",
        ),
        "address",
    ),
    # What servers, panels and builders put where nothing was put yet.
    Sign(
        Reason.DEFAULT_PAGE,
        any_of(
            r"default (?:web ?site|web|index|server|home|landing) ?page",
            r"apache2? (?:\w+ )?default page",
            r"test page for (?:the )?(?:apache|nginx|http server)|http server test page|test page powered by",
            r"apache is functioning normally|seeing this (?:page )?instead of the website you expected",
            r"you.ve successfully installed tomcat|the install worked successfully|welcome to xampp",
            r"wampserver (?:homepage|page d.accueil)|there is no web ?site at this address",
            r"your (?:new )?(?:web ?)?server is (?:ready|now running|working|up and running)",
            r"^(?:this is a )?placeholder page$",
            r"welcome to (?:nginx|centos|openresty|litespeed)\b|default index page",
            r"^iis(?:7|8|10)\b|iis windows server|internet information services",
            r"web server.s default page|domain default page",
            r"congratulations?! your (?:web ?)?(?:site|account|server)",
            r"if you are the (?:web)?site (?:owner|administrator),? (?:please )?(?:upload|publish|start|add)",
            r"owner of this website, please contact your hosting provider",
            r"(?:web)?site has just been set up for|"
            r"(?:internetpräsenz|website|webseite) wurde soeben (?:freigeschaltet|eingerichtet)",
            r"owner (?:of this (?:web)?site )?has(?:n.t| not) (?:yet )?(?:uploaded|published)|"
            r"propriétaire (?:de ce site )?n.a pas encore",
            r"a totally awesome idea still being worked on",
            r"votre (?:nom de )?domaine (?:\S+ )?a bien été créé|"
            r"votre hébergement (?:web )?(?:\S+ )?est (?:actif|prêt|activé|en place)",
            r"^(?:site (?:not installed|non installé)|nothing is here yet)\W*$",
            r"page d.(?:index|accueil) (?:standard|par défaut)",
            r"bienvenue sur votre (?:nouveau site|(?:nouvel )?hébergement|nouvel espace)",
            r"página principal del sitio|página de índice estándar|p[áa]gina por defecto",
            r"file may be deleted or overwritten|place your files in",
            r"(?:upload|put|copy|place|déposez|déposer|publiez|hochladen|sub[ai]|carica\w*) "
            r".{0,60}\b(?:public_html|"
            r"htdocs|httpdocs)\b|welcome to your new (?:web )?(?:server|hosting|web ?space)",
            r"your (?:web )?hosting (?:space |account )?is (?:now )?(?:ready|active)",
            r"wordpress › (?:setup|installation)|bienvenue dans (?:la célèbre installation de )?wordpress",
            r"i.m a paragraph\. click here to add your own text",
        ),
    ),
    # A CMS that says itself that nothing was ever published.
    Sign(
        Reason.EMPTY,
        any_of(
            r"no front page content has been created yet",
            r"aucun contenu (?:de|en) page d.accueil n.a (?:été|encore été) créé",
            r"لم يتم إنشاء محتوى (?:ل|في )?الصفحة",
        ),
        within=3_000,
    ),
    Sign(
        Reason.DIRECTORY_LISTING,
        any_of(r"^index of /(?:$|\S)", r"^directory listing (?:for|of) /", r"^index de /"),
        "listing",
        200_000,
    ),
    Sign(Reason.NOT_FOUND, any_of(r"//(?:[\w-]+\.)?wordpress\.com/typo/"), "address"),
    # A platform's own words for a site that is no more (can-i-take-over-xyz 2025-02, WhatsMyName 2026-08).
    Sign(
        Reason.NOT_FOUND,
        any_of(
            r"do you want to register \S+\.wordpress\.com",
            r"\S+\.wordpress\.com (?:is no longer available|n.est plus disponible|لم يعد متاح)",
            r"the authors have deleted this site|les auteurs ont supprimé ce site",
            r"(?:looks like )?this domain isn.t connected to a website",
            r"there isn.t a github pages site here",
            r"^(?:no such app|(?:project|application|site) not found)\W*$|deployment_not_found|"
            r"not found - request id|fastly error: unknown domain",
            r"nosuchbucket|the specified bucket does not exist",
            r"404 error unknown site|no site for domain|404 web site not found|failed to resolve dns path",
            r"(?:tilda|weebly|squarespace).{0,60}(?:site|domain) (?:not found|not claimed)",
            r"(?:this |^)(?:web)?site (?:is not|isn.t|has not been) (?:yet )?published",
        ),
    ),
)
