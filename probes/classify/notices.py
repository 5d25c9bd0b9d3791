"""Texts of pages that replace a website: suspended, parked, default page, "no such site".

`ABSENCE_NOTICES` are texts of hosting companies, panels and platforms. `SELF_STATED_ABSENCES` are
texts that an association may also write about a bridge or a school. They count only as a statement
of the page about itself. `probes.classify.classifier` matches both tables. Sources: a survey of
hosting panels and parking services (can-i-take-over-xyz 2025-02, webappanalyzer 2026-08,
WhatsMyName 2026-08), strings of WordPress and ISPConfig, Arabic, French and other translations of
the panels (2026-11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from probes.classify.soft_404 import SHORT_PAGE_MAX_CHARS
from probes.models.finding import Reason
from probes.text.lazy_regex import lazy_regex


def compile_alternatives(*alternatives: str) -> re.Pattern[str]:
    """Compile a pattern that matches any of the alternatives, in upper or lower case."""
    return lazy_regex("|".join(alternatives), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NoticePattern:
    """A text that proves a reason on a page with little other text.

    `location` is where it counts: `title`, `text`, `address`, `listing` (title and heading) or
    `source` (scripts and frames). `max_page_chars` limits the page's text. If `max_other_chars` is
    set, the text must be a statement of the page about itself, with at most so many other
    characters.
    """

    reason: Reason
    pattern: re.Pattern[str]
    location: str = "text"
    max_page_chars: int = SHORT_PAGE_MAX_CHARS
    max_other_chars: int | None = None


ABSENCE_NOTICES = (
    # cPanel redirects to this address and serves it with status 200 (seen 2026-08).
    NoticePattern(
        Reason.SUSPENDED,
        compile_alternatives(
            r"/cgi-sys/suspendedpage\.cgi",
            r"/suspended\.page/",
            r"/suspendu(?:\.\w{2,5}|/)?(?:\?|$)",
        ),
        "address",
    ),
    NoticePattern(
        Reason.DEFAULT_PAGE,
        compile_alternatives(
            r"/cgi-sys/defaultwebpage\.cgi", r"/wp-admin/(?:install|setup-config)\.php"
        ),
        "address",
    ),
    # Sentences that only hosting companies write.
    NoticePattern(
        Reason.SUSPENDED,
        compile_alternatives(
            r"this account has been suspended\W+(?:please )?(?:contact|either)",
            r"this (?:web)?site has been archived or suspended",
            r"sorry, the (?:web)?site has been stopped",
            r"^(?:squarespace \W )?website expired",
            r"hosting account owner, please contact",
            r"(?:please renew your|tilda) subscription.{0,80}(?:site|expired)",
        ),
    ),
    NoticePattern(
        Reason.PARKED,
        compile_alternatives(
            r"domain(?: name)?(?: \S+)? (?:is |may ?be |might be )?for sale",
            r"(?<!\S)\S+\.[a-z]{2,12} (?:is|may ?be) for sale",
            r"hugedomains\.com",
            r"domain (?:name )?(?:is |has been )?parked",
            r"parked (?:domain|for free)",
            r"domain parking|^get this domain",
            r"(?:web ?page|domain) is parked",
            r"namecheap parking",
            r"sponsored listings displayed above",
            r"(?:on|at|via|through) (?:dan|afternic|sedo)\.com|sedoparking",
            r"interested in (?:this|buying this) domain",
            r"this domain (?:name )?(?:is|may be) available|(?:this )?premium domain|owner of \S+ "
            r"is "
            r"offering it for",
            r"(?:purchase|make an offer (?:on|for)|acquire|own) this domain(?! of)",
            r"page is provided courtesy of|domain.{0,30}(?:pending renewal|icann verification|on "
            r"hold)",
            r"(?:النطاق|الدومين) (?:هذا )?محجوز",
            r"domain (?:name )?(?:registration )?(?:has |is |was )?(?:been )?expired",
            r"expired domain",
            r"nom de domaine (?:\S+ )?(?:est )?(?:à vendre|parqué|expiré|en attente de "
            r"renouvellement)",
            r"ce (?:nom de )?domaine (?:est|a été|vient d.être) (?:enregistré|réservé|déposé)(?! "
            r"aux?\b)",
            r"acheter ce (?:nom de )?domaine|^\S+\.[a-z]{2,12} (?:est (?:à vendre|en vente)|a "
            r"expiré)\b",
            r"domaine \S+\.[a-z]{2,12} (?:est (?:à vendre|en vente|réservé(?! aux?\b))|a expiré)",
            r"footer_domain_parking",
            r"(?:هذا )?(?:النطاق|الدومين|نطاق) (?:هذا )?(?:معروض )?للبيع",
            r"انتهت صلاحية (?:هذا )?(?:النطاق|الدومين)",
            r"(?:domain|(?<!\S)\S+\.[a-z]{2,12}) steht zum verkauf",
            r"este dominio (?:está )?(?:en venta|aparcado)|dominio \S+\.\w+ (?:está )?en venta",
            r"questo dominio (?:è )?in vendita|\| dominio en venta",
            r"dom[íi]nio (?:\S+\.\w+ )?(?:está )?[àa] venda|domein is te koop|alan adı satılık|"
            r"домен "
            r"прода[её]тся",
        ),
    ),
    NoticePattern(
        # Scripts and frames of parking services.
        Reason.PARKED,
        compile_alternatives(
            r"//(?:[\w-]+\.)*(?:parkingcrew|sedoparking|bodis|parklogic|cdnpark|above|ztomy|skenzo|"
            r"voodoo|"
            r"parkingpage|dsparking|afternic)\.(?:com|net)(?:[/:]|$)",
            r"adsense/domains/caf\.js|jsparkcaf|/parking-lander/|"
            r"location(?:\.href)?\s*=\s*[\"']/lander",
        ),
        "source",
    ),
    NoticePattern(
        # Targets of domains for sale. Shops of domains have their own menus.
        Reason.PARKED,
        compile_alternatives(
            r"//(?:[\w-]+\.)?(?:hugedomains|dan|afternic|sedo|sedoparking|undeveloped|domainmarket|"
            r"brandbucket|"
            r"squadhelp|atom|parkingcrew|bodis|namebright)\.(?:com|net)/",
            r"/domain_profile\.cfm",
            r"//[^/]+/lander(?:[/?]|$)",
        ),
        "address",
    ),
    # Default pages of servers, panels and site builders.
    NoticePattern(
        Reason.DEFAULT_PAGE,
        compile_alternatives(
            r"default (?:web ?site|web|index|server|home|landing) ?page",
            r"apache2? (?:\w+ )?default page",
            r"test page for (?:the )?(?:apache|nginx|http server)|http server test page|test page "
            r"powered by",
            r"apache is functioning normally|seeing this (?:page )?instead of the website you "
            r"expected",
            r"you.ve successfully installed tomcat|the install worked successfully|welcome to "
            r"xampp",
            r"wampserver (?:homepage|page d.accueil)|there is no web ?site at this address",
            r"your (?:new )?(?:web ?)?server is (?:ready|now running|working|up and running)",
            r"^(?:this is a )?placeholder page$",
            r"welcome to (?:nginx|centos|openresty|litespeed)\b|default index page",
            r"^iis(?:7|8|10)\b|iis windows server|internet information services",
            r"web server.s default page|domain default page",
            r"congratulations?! your (?:web ?)?(?:site|account|server)",
            r"if you are the (?:web)?site (?:owner|administrator),? (?:please )?(?:upload|publish|"
            r"start|add)",
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
            r"(?:upload|put|copy|place|déposez|déposer|publiez|hochladen|sub[ai]|carica\w{0,20}) "
            r".{0,60}\b(?:public_html|"
            r"htdocs|httpdocs)\b|welcome to your new (?:web )?(?:server|hosting|web ?space)",
            r"your (?:web )?hosting (?:space |account )?is (?:now )?(?:ready|active)",
            r"wordpress › (?:setup|installation)|bienvenue dans (?:la célèbre installation de "
            r")?wordpress",
            r"i.m a paragraph\. click here to add your own text",
        ),
    ),
    # A CMS that says that nothing was published yet.
    NoticePattern(
        Reason.EMPTY,
        compile_alternatives(
            r"no front page content has been created yet",
            r"aucun contenu (?:de|en) page d.accueil n.a (?:été|encore été) créé",
            r"لم يتم إنشاء محتوى (?:ل|في )?الصفحة",
        ),
        max_page_chars=3_000,
    ),
    NoticePattern(
        Reason.DIRECTORY_LISTING,
        compile_alternatives(
            r"^index of /(?:$|\S)", r"^directory listing (?:for|of) /", r"^index de /"
        ),
        "listing",
        200_000,
    ),
    NoticePattern(
        Reason.NOT_FOUND, compile_alternatives(r"//(?:[\w-]+\.)?wordpress\.com/typo/"), "address"
    ),
    # Texts of platforms for a deleted site (can-i-take-over-xyz 2025-02, WhatsMyName 2026-08).
    NoticePattern(
        Reason.NOT_FOUND,
        compile_alternatives(
            r"do you want to register \S+\.wordpress\.com",
            r"(?<!\S)\S+\.wordpress\.com (?:is no longer available|n.est plus disponible|"
            r"لم يعد متاح)",
            r"the authors have deleted this site|les auteurs ont supprimé ce site",
            r"(?:looks like )?this domain isn.t connected to a website",
            r"there isn.t a github pages site here",
            r"^(?:no such app|(?:project|application|site) not found)\W*$|deployment_not_found|"
            r"not found - request id|fastly error: unknown domain",
            r"nosuchbucket|the specified bucket does not exist",
            r"404 error unknown site|no site for domain|404 web site not found|failed to resolve "
            r"dns path",
            r"(?:tilda|weebly|squarespace).{0,60}(?:site|domain) (?:not found|not claimed)",
            r"(?:this |^)(?:web)?site (?:is not|isn.t|has not been) (?:yet )?published",
        ),
    ),
)


MAX_CHARS_BESIDE_BARE_NOTICE = 24
"""The most other characters beside a text that names no site: the length of a name."""

SELF_STATED_ABSENCES = (
    NoticePattern(
        Reason.SUSPENDED,
        compile_alternatives(
            r"account (?:has been )?suspended|^suspended$",
            r"(?:web)?site (?:you are trying to access )?(?:has been |is |temporarily "
            r")*(?:suspended|"
            r"disabled|"
            r"deactivated|expired|blocked by the host)",
            r"account (?:has been |is )?(?:temporarily )?(?:suspended|disabled|deactivated|closed)",
            r"suspended (?:page|website|domain|account|hosting)",
            r"domain (?:name )?(?:has been |is )?suspended",
            r"please renew your subscription",
            r"this (?:shop|store) is currently unavailable",
            r"website is no longer available",
            r"hosting (?:account |service |plan )?(?:has |is )?expired|service (?:has been|is) "
            r"suspended",
            r"compte (?:d.hébergement )?(?:a été |est )?suspendu|abonnement .{0,20}expiré",
            r"site (?:web |internet )?(?:a été |est )?(?:temporairement )?(?:suspendu|désactivé)",
            r"hébergement (?:de ce site )?(?:a été |est |a )?(?:suspendu|expiré|désactivé)",
            r"hosting (?:has been |is )?suspended",
            r"تم (?:تعليق|إيقاف|ايقاف) (?:هذا |حساب )?(?:الحساب|حسابك|الموقع|الاستضافة)",
            r"(?:الحساب|هذا الموقع|الموقع) (?:معلق|موقوف|متوقف)",
            r"(?:cuenta|sitio(?: web)?) (?:ha sido )?(?:suspendid[ao]|desactivad[ao])",
            r"(?:conta|site) (?:foi |est[áa] )?suspens[ao]",
            r"(?:konto|account|webseite|website|internetseite|internetpräsenz|homepage|webspace|"
            r"webpaket) "
            r"(?:wurde |ist )?(?:derzeit |vorübergehend |momentan )?(?:gesperrt|deaktiviert)",
            r"(?:account|sito|servizio|dominio) (?:è (?:stato )?)?sospeso",
            r"(?:account|website|hosting\w{0,20}) (?:is )?(?:opgeschort|geblokkeerd)",
            r"(?:hesa(?:p|bı)|(?:web )?site(?:si)?|barındırma)(?: \w+){0,2} askıya alın(?:dı|"
            r"mıştır)",
            r"(?:сайт|аккаунт|хостинг|домен) (?:\w+ )?(?:заблокирован|приостановлен|отключ[её]н)",
            r"(?:konto|strona|usługa|domena|hosting)(?: \w+)? (?:została |zostało |został |jest )?"
            r"(?:zablokowan[aey]|zawieszon[aey]|zablokowany)",
            r"(?:sid(?:e|an|en)|webbplats\w{0,9}|hjemmeside\w{0,9}|konto\w{0,9}) (?:er |är |"
            r"har )?(?:blitt |"
            r"blevet |"
            r"blivit )?"
            r"(?:suspender\w{1,20}|stängts av|avstängd|sperret|spærret|stengt)",
            r"(?:akun|situs|hosting|layanan)(?: \w+)?(?: ini)? (?:telah |sedang )?(?:ditangguhkan|"
            r"dinonaktifkan)",
        ),
        max_other_chars=80,
    ),
    NoticePattern(
        Reason.PARKED,
        compile_alternatives(
            r"(?:website|site)(?: name)?(?: \S+)? (?:is |may ?be |might be )?for sale",
            r"buy this domain(?: name)?(?: now)?",
            r"domain (?:name )?(?:\S+\.\w+ )?(?:is|was|has been) (?:recently |already )?registered"
            r"(?: (?:and parked )?(?:with|by|at|via|through) \S+)?",
            r"domaine (?:est )?(?:parqué|expiré|en attente de renouvellement)",
            r"dominio (?:está |è )?(?:en venta|aparcado|in vendita)",
        ),
        max_other_chars=80,
    ),
    # Texts that name no site. They count only if the page says nothing else.
    NoticePattern(
        Reason.PARKED,
        compile_alternatives(r"parking page|parked page", r"^domaine réservé"),
        max_other_chars=MAX_CHARS_BESIDE_BARE_NOTICE,
    ),
    NoticePattern(
        Reason.DEFAULT_PAGE,
        compile_alternatives(
            r"(?:web)?site (?:is )?(?:currently )?(?:under|in) construction",
            r"under maintenance and construction",
            r"(?:web ?)?site.{0,30}(?:coming soon|opening soon|launching soon)",
            r"(?:web)?site (?:is )?(?:currently |still )?being (?:built|created|developed)",
            r"(?:new|our) (?:web)?site (?:is |will be )?(?:coming|launching)",
            r"site (?:web |internet )?(?:est )?en préparation",
            r"(?:جاري|جار|يتم) (?:إنشاء|انشاء|تطوير|بناء|تجهيز|إعداد) (?:هذا )?(?:الموقع|موقعنا)",
            r"(?:site|page) (?:web )?(?:est )?en cours de (?:réalisation|création|développement|"
            r"préparation)",
            r"(?:page|site) (?:web |internet )?(?:est )?(?:actuellement )?en (?:cours de "
            r")?construction",
            r"(?:bientôt|prochainement) en ligne\W*$|site arrive (?:très )?(?:bientôt|"
            r"prochainement)",
            r"future home of(?: something quite cool)?",
            r"(?:working on|travaillons sur|arbeiten an|trabajando en) (?:our|a|notre|un|unserer|"
            r"nuestra|"
            r"nuestro) "
            r"(?:new |nouveau |neuen |nueva |nuevo )?(?:web ?site|site|webseite|web|sitio)",
            r"(?:نشتغل|نعمل) على (?:تطوير |إعداد |تحديث )?موقعنا(?: الجديد)?",
            r"(?:website|site|pagina) (?:is )?(?:momenteel )?in (?:aanbouw|opbouw)",
            r"(?:webbplats\w{0,9}|hemsid\w{0,9}|webbsid\w{0,9}|sid(?:an|en)) (?:är |"
            r"er )?under (?:uppbyggnad|"
            r"konstruktion|"
            r"opbygning|oppbygging|arbete|arbejde)",
            r"(?:sivu|sivusto|kotisivu)(?:mme|t)? (?:on|ovat) (?:rakenteilla|työn alla)",
            r"(?:stránk[ay]|web) (?:je |jsou |sú )?ve? výstavb[eě]|(?:a |az )?(?:weboldal|honlap|"
            r"oldal) "
            r"(?:fejlesztés|"
            r"építés) alatt(?: áll)?|η (?:ιστο)?σελίδα είναι υπό κατασκευή|υπό κατασκευή|сайт "
            r"(?:знаходиться )?"
            r"(?:у|в) розробці|site[- ]?ul (?:este )?în (?:construcție|lucru)|(?:website|trang "
            r"web) đang "
            r"(?:được )?"
            r"xây dựng|situs (?:ini )?sedang dalam (?:pengembangan|perbaikan|pembangunan)",
            r"(?:site|page) (?:web )?(?:arrive |sera )?(?:bientôt|prochainement) (?:en ligne|"
            r"disponible)",
            r"sitio (?:web )?en construcci[óo]n|(?:site|página)? ?em constru[çc][ãa]o",
            r"(?:webseite|seite|website|homepage) (?:befindet sich |ist )?(?:derzeit )?im aufbau",
            r"hier entsteht (?:in kürze |bald )?(?:eine|unsere) (?:neue )?(?:web|internet|home)\w+",
            r"(?:sito|pagina) (?:web )?(?:è )?in (?:costruzione|allestimento)|website in opbouw",
            r"сайт (?:находится )?в разработке|(?:web )?site\w{0,20} yapım aşamasında(?:dır)?|"
            r"^yapım "
            r"aşamasında(?:dır)?$",
            r"strona (?:internetowa )?(?:jest )?w (?:budowie|przebudowie|przygotowaniu)",
            r"^(?:ただいま|現在)?(?:当)?(?:ホームページ|サイト|ウェブサイト|webサイト)?は?(?:現在)?"
            r"(?:準備中|工事中|制作中|建設中)(?:です|となります)?\W*$|^近日公開(?:予定)?(?:です)?\W*$",
            r"^(?:网站|本站)?(?:正在)?(?:建设|维护)中\W*$|^сайт скоро откроется\W*$",
            r"(?:الموقع|موقعنا|الصفحة) (?:قيد|تحت|في طور) (?:الإنشاء|الانشاء|التطوير|البناء|"
            r"الإنجاز|"
            r"الانجاز|الإعداد)",
        ),
        max_other_chars=80,
    ),
    NoticePattern(
        Reason.DEFAULT_PAGE,
        compile_alternatives(
            r"^default page$|\bpage par défaut$", r"^(?:it works!?)(?: it works!?)?$"
        ),
        max_other_chars=60,
    ),
    # What is not said to be the site: it may be the march, the camp or the honey.
    NoticePattern(
        Reason.DEFAULT_PAGE,
        compile_alternatives(
            r"^iis\d*$|^(?:page )?under construction\W*$|^en construction\W*$",
            r"^(?:bientôt|prochainement)\W*$",
            r"(?:we.re )?(?:coming soon|launching soon|opening soon)\W*$",
            r"^we (?:are|will be) (?:launching|opening) soon",
            r"(?:bientôt|prochainement) disponible\W*$",
            r"^(?:قريبا|قريباً|(?:الموقع|موقعنا) قريبا)\W*$",
            r"^(?:próximamente|em breve|prossimamente|demnächst|binnenkort|çok yakında|"
            r"wkrótce)\W*$",
        ),
        max_other_chars=MAX_CHARS_BESIDE_BARE_NOTICE,
    ),
    NoticePattern(
        Reason.NOT_FOUND,
        compile_alternatives(
            r"blog (?:not found|introuvable|(?:you (?:were|are) looking for )?does not exist)|"
            r"(?:the )?blog (?:at \S+ )?has been removed",
            r"(?:ce|le) blog (?:\S+ à \S+ )?a été (?:supprimé|fermé)",
            r"(?:لم يتم العثور على|تمت? (?:إزالة|حذف)) (?:هذه )?المدونة",
            r"(?:ce|le) (?:site|blog) n.existe (?:pas|plus)|ce site a été (?:supprimé|fermé)",
            r"ce site n.est pas (?:encore )?publié",
            r"(?:web)?site (?:does not exist|no longer exists|has been (?:deleted|removed))",
        ),
        max_other_chars=80,
    ),
)
