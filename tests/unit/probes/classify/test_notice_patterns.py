"""Notices of hosting companies and platforms, one invented page each, and honest pages."""

from datetime import UTC, datetime

import pytest

from probes.channels import website
from probes.links import identify
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import run_offline
from tests.support.findings import verdict

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HOME = "https://annour.example/"


def probe_site(
    body: str, status: int = 200, landed: str = HOME, link: str = HOME, **headers: str
) -> Finding:
    pages = {
        "content-type": "text/html",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    hops = (Hop(link, status),) if landed == link else (Hop(link, 302), Hop(landed, status))

    def web(request: PageRequest) -> Page | FetchError:
        if request.url != link:
            return FetchError(Reason.NO_SUCH_HOST)
        return Page(landed, status, pages, body.encode(), NOW, hops)

    return run_offline(website.probe(Account("a", link, identify.identify_link(link))), web).finding


def notice(title: str, body: str = "", head: str = "") -> str:
    return f"<html><head><title>{title}</title>{head}</head><body>{body}</body></html>"


ABSENT: dict[str, tuple[Reason, str, int]] = {
    # Suspended
    "cPanel in a frame": (
        Reason.SUSPENDED,
        (
            '<html><frameset><frame src="https://host.example/cgi-sys/suspendedpage.cgi"></frameset>'
            "</html>"
        ),
        200,
    ),
    "BaoTa panel": (
        Reason.SUSPENDED,
        notice("Site Suspended", "<h1>Sorry, the website has been stopped</h1>"),
        200,
    ),
    "disabled": (Reason.SUSPENDED, notice("annour.example", "<p>Website disabled</p>"), 200),
    "Squarespace": (Reason.SUSPENDED, notice("Website Expired", "<h1>Website Expired</h1>"), 402),
    "French account": (
        Reason.SUSPENDED,
        notice("Compte suspendu", "<p>Votre compte est suspendu.</p>"),
        200,
    ),
    "French hosting": (
        Reason.SUSPENDED,
        notice("Annour", "<h1>Hébergement suspendu</h1><p>Impayé.</p>"),
        200,
    ),
    "Arabic site": (Reason.SUSPENDED, notice("الموقع متوقف", "<h1>هذا الموقع متوقف</h1>"), 200),
    "Arabic, unpaid": (
        Reason.SUSPENDED,
        notice("تم إيقاف الموقع", "<p>تم إيقاف الاستضافة لعدم الأداء</p>"),
        200,
    ),
    "WordPress.com's terms": (
        Reason.SUSPENDED,
        notice(
            "WordPress.com",
            "<p>This site has been archived or suspended in accordance with our Terms</p>",
        ),
        410,
    ),
    "a shop": (
        Reason.SUSPENDED,
        notice("Annour", "<h1>Sorry, this store is currently unavailable.</h1>"),
        200,
    ),
    "French hosting lapsed": (
        Reason.SUSPENDED,
        notice("Annour", "<p>Votre hébergement a expiré.</p>"),
        200,
    ),
    "Arabic hosting": (
        Reason.SUSPENDED,
        notice("annour.example", "<p>تم تعليق حساب الاستضافة</p>"),
        200,
    ),
    # Default pages
    "Plesk": (
        Reason.DEFAULT_PAGE,
        notice("Domain Default page", "<h1>Domain Default page</h1>"),
        200,
    ),
    "LiteSpeed": (
        Reason.DEFAULT_PAGE,
        notice("Welcome to LiteSpeed Web Server", "<p>Congratulation!</p>"),
        200,
    ),
    "IIS": (Reason.DEFAULT_PAGE, notice("IIS Windows Server", "<img src=iis.png>"), 200),
    "cPanel, in capitals": (
        Reason.DEFAULT_PAGE,
        notice(
            "",
            "<h1>SORRY!</h1><p>If you are the owner of this website, please contact your hosting "
            "provider",
        ),
        200,
    ),
    "OVH, nothing installed": (
        Reason.DEFAULT_PAGE,
        notice("Site non installé", "<h1>Site non installé</h1>"),
        200,
    ),
    "OVH in English": (
        Reason.DEFAULT_PAGE,
        notice("Site not installed", "<h1>Site not installed</h1>"),
        200,
    ),
    "Hostinger": (
        Reason.DEFAULT_PAGE,
        notice("Default page", "<h1>You Are All Set to Go!</h1>"),
        200,
    ),
    "a host's welcome": (
        Reason.DEFAULT_PAGE,
        notice("Bienvenue", "<h1>Félicitations, votre hébergement est actif !</h1>"),
        200,
    ),
    "Cloudflare Pages": (
        Reason.DEFAULT_PAGE,
        notice("Nothing is here yet", "<h1>Nothing is here yet</h1>"),
        200,
    ),
    "under construction in Moroccan Arabic": (
        Reason.DEFAULT_PAGE,
        notice("جمعية النور", "<h1>الموقع في طور الإنجاز</h1>"),
        200,
    ),
    "in progress in Arabic": (
        Reason.DEFAULT_PAGE,
        notice("جمعية النور", "<p>الموقع قيد الإنجاز</p>"),
        200,
    ),
    "soon in Arabic": (Reason.DEFAULT_PAGE, notice("جمعية النور", "<h1>موقعنا قريبا</h1>"), 200),
    "under construction in Tamazight's company": (
        Reason.DEFAULT_PAGE,
        notice("Site en construction", "<p>ⴰⵣⵓⵍ</p><h1>Site en construction</h1>"),
        200,
    ),
    "WordPress asks to be set up": (
        Reason.DEFAULT_PAGE,
        notice("WordPress › Setup Configuration File"),
        200,
    ),
    "Drupal without content": (
        Reason.EMPTY,
        notice("Welcome to Annour", "<p>No front page content has been created yet.</p>"),
        200,
    ),
    "Drupal without content in French": (
        Reason.EMPTY,
        notice("Bienvenue sur Annour", "<p>Aucun contenu de page d’accueil n’a été créé.</p>"),
        200,
    ),
    "Wix's template": (
        Reason.DEFAULT_PAGE,
        notice("Annour", "<p>I'm a paragraph. Click here to add your own text and edit me.</p>"),
        200,
    ),
    "an open folder": (
        Reason.DIRECTORY_LISTING,
        notice("Index of /", "<h1>Index of /</h1><a href=a/>a/</a>"),
        200,
    ),
    "CentOS": (
        Reason.DEFAULT_PAGE,
        notice("HTTP Server Test Page powered by CentOS", "<h1>Testing 123..</h1>"),
        200,
    ),
    "Apache on cPanel": (
        Reason.DEFAULT_PAGE,
        notice("", "<p>Apache is functioning normally</p>"),
        200,
    ),
    "Tomcat": (
        Reason.DEFAULT_PAGE,
        notice(
            "Apache Tomcat", "<h2>If you're seeing this, you've successfully installed Tomcat.</h2>"
        ),
        200,
    ),
    "XAMPP": (
        Reason.DEFAULT_PAGE,
        notice("Welcome to XAMPP", "<h1>Welcome to XAMPP for Linux</h1>"),
        200,
    ),
    "Wamp": (
        Reason.DEFAULT_PAGE,
        notice("WAMPSERVER Homepage", "<p>Configuration serveur</p>"),
        200,
    ),
    "Caddy": (
        Reason.DEFAULT_PAGE,
        notice("Caddy works!", "<h1>Congratulations! Your web server is working.</h1>"),
        200,
    ),
    "Plesk, no site": (
        Reason.DEFAULT_PAGE,
        notice(
            "annour.example",
            "<p>You see this page because there is no Web site at this address.</p>",
        ),
        200,
    ),
    "being built": (
        Reason.DEFAULT_PAGE,
        notice("Annour", "<h1>Our website is currently being built.</h1>"),
        200,
    ),
    "in preparation in French": (
        Reason.DEFAULT_PAGE,
        notice("Annour", "<h1>Notre site est en préparation</h1>"),
        200,
    ),
    "soon in French": (Reason.DEFAULT_PAGE, notice("Annour", "<h1>Prochainement…</h1>"), 200),
    "being made in Arabic": (
        Reason.DEFAULT_PAGE,
        notice("جمعية النور", "<h1>جاري إنشاء الموقع</h1>"),
        200,
    ),
    # Parked, for sale, lapsed
    "GoDaddy's lander": (
        Reason.PARKED,
        notice("", '<script>window.onload=function(){window.location.href="/lander"}</script>'),
        200,
    ),
    "Afternic": (
        Reason.PARKED,
        notice(
            "annour.example",
            '<iframe src="https://www.afternic.com/forsale/annour.example"></iframe>',
        ),
        200,
    ),
    "Skenzo": (
        Reason.PARKED,
        notice("annour.example", '<script src="//c.skenzo.com/a.js"></script>'),
        200,
    ),
    "Ztomy": (
        Reason.PARKED,
        notice("annour.example", '<iframe src="http://www5.ztomy.com/x"></iframe>'),
        200,
    ),
    "Bodis": (
        Reason.PARKED,
        notice("annour.example", '<script src="https://parking.bodis.com/p.js"></script>'),
        200,
    ),
    "a registrar's template": (
        Reason.PARKED,
        notice("annour.example", "<p>FOOTER_DOMAIN_PARKING</p>"),
        200,
    ),
    "French, registered": (
        Reason.PARKED,
        notice(
            "annour.example", "<p>Ce nom de domaine est enregistré et n'est pas encore utilisé.</p>"
        ),
        200,
    ),
    "French, for sale": (
        Reason.PARKED,
        notice("annour.example est à vendre", "<p>Faites une offre</p>"),
        200,
    ),
    "Arabic, lapsed": (
        Reason.PARKED,
        notice("annour.example", "<p>انتهت صلاحية هذا النطاق</p>"),
        200,
    ),
    "lapsed": (
        Reason.PARKED,
        notice("annour.example has expired", "<p>This domain name expired.</p>"),
        200,
    ),
    "Sedo's offer": (
        Reason.PARKED,
        notice(
            "annour.example",
            "<p>The owner of annour.example is offering it for sale for 999 EUR!</p>",
        ),
        200,
    ),
    "a premium name": (
        Reason.PARKED,
        notice("annour.example", "<h1>This premium domain is available</h1>"),
        200,
    ),
    "an offer": (
        Reason.PARKED,
        notice("annour.example", "<h1>Make an offer on this domain</h1>"),
        200,
    ),
    "GoDaddy's courtesy": (
        Reason.PARKED,
        notice("annour.example", "<p>This page is provided courtesy of GoDaddy.example, LLC</p>"),
        200,
    ),
    "not renewed": (
        Reason.PARKED,
        notice("annour.example", "<p>This domain is pending renewal.</p>"),
        200,
    ),
    "not renewed, in French": (
        Reason.PARKED,
        notice("annour.example", "<p>Ce domaine est en attente de renouvellement.</p>"),
        200,
    ),
    "Arabic, for sale": (
        Reason.PARKED,
        notice("annour.example", "<p>اسم النطاق هذا معروض للبيع</p>"),
        200,
    ),
    "Arabic, reserved": (Reason.PARKED, notice("annour.example", "<p>هذا النطاق محجوز</p>"), 200),
    # Platforms' words for a site that is no more
    "WordPress.com, never made": (
        Reason.NOT_FOUND,
        notice("WordPress.com", "<p>Do you want to register annour.wordpress.com?</p>"),
        200,
    ),
    "WordPress.com, deleted": (
        Reason.NOT_FOUND,
        notice(
            "WordPress.com",
            "<p>annour.wordpress.com is no longer available. The authors have deleted this "
            "site.</p>",
        ),
        200,
    ),
    "WordPress.com, deleted, in French": (
        Reason.NOT_FOUND,
        notice(
            "WordPress.com",
            "<p>annour.wordpress.com n'est plus disponible. Les auteurs ont supprimé ce site.</p>",
        ),
        200,
    ),
    "Blogger, removed": (
        Reason.NOT_FOUND,
        notice(
            "Blog has been removed",
            "<p>Sorry, the blog at annour.blogspot.com has been removed.</p>",
        ),
        200,
    ),
    "Blogger, removed, in French": (
        Reason.NOT_FOUND,
        notice(
            "Le blog a été supprimé",
            "<p>Désolé, le blog situé à annour.blogspot.com a été supprimé.</p>",
        ),
        200,
    ),
    "Blogger, not found, in French": (
        Reason.NOT_FOUND,
        notice("Blog introuvable", "<p>Blog introuvable</p>"),
        200,
    ),
    "Blogger, removed, in Arabic": (
        Reason.NOT_FOUND,
        notice("تمت إزالة المدونة", "<p>تمت إزالة المدونة</p>"),
        200,
    ),
    "Blogger, not found, in Arabic": (
        Reason.NOT_FOUND,
        notice("لم يتم العثور على المدونة", "<p>لم يتم العثور على المدونة</p>"),
        200,
    ),
    "over-blog": (Reason.NOT_FOUND, notice("Over-blog", "<h1>Ce blog n'existe plus</h1>"), 200),
    "Wix": (
        Reason.NOT_FOUND,
        notice(
            "Annour",
            '<script src="https://static.parastorage.com/services/wixErrorPagesApp/x.js"></script>',
        ),
        404,
    ),
    "Wix, not connected": (
        Reason.NOT_FOUND,
        notice(
            "ConnectYourDomain", "<h1>Looks Like This Domain Isn't Connected To A Website Yet!</h1>"
        ),
        200,
    ),
    "not published": (
        Reason.NOT_FOUND,
        notice("Annour", "<h1>This site is not published</h1>"),
        200,
    ),
    "Jimdo": (Reason.NOT_FOUND, notice("Jimdo", "<h1>This website does not exist</h1>"), 200),
    "e-monsite": (
        Reason.NOT_FOUND,
        notice("e-monsite", "<h1>Ce site n'existe pas ou n'est plus en ligne</h1>"),
        200,
    ),
    "GitHub Pages": (
        Reason.NOT_FOUND,
        notice("Site not found · GitHub Pages", "<p>There isn't a GitHub Pages site here.</p>"),
        404,
    ),
    "Heroku": (
        Reason.NOT_FOUND,
        notice("No such app", "<iframe src='//www.herokucdn.example/no-such-app'></iframe>"),
        404,
    ),
    "Netlify": (Reason.NOT_FOUND, notice("", "<p>Not Found - Request ID: 01ABCDEF</p>"), 404),
    "Netlify, in colour": (
        Reason.NOT_FOUND,
        notice("Site not found", "<h1>Site not found</h1>"),
        200,
    ),
    "Vercel": (
        Reason.NOT_FOUND,
        notice("", "<p>404: NOT_FOUND Code: DEPLOYMENT_NOT_FOUND ID: x</p>"),
        200,
    ),
    "Firebase": (
        Reason.NOT_FOUND,
        notice("Site Not Found", "<h1>Site Not Found</h1><p>Why am I seeing this?</p>"),
        200,
    ),
    "Railway": (Reason.NOT_FOUND, notice("", "<h1>Application not found</h1>"), 200),
    "S3": (
        Reason.NOT_FOUND,
        (
            "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message>"
            "</Error>"
        ),
        404,
    ),
    "S3 behind a page": (Reason.NOT_FOUND, notice("404", "<li>Code: NoSuchBucket</li>"), 200),
    "Azure": (
        Reason.NOT_FOUND,
        notice("Microsoft Azure Web App - Error 404", "<h1>404 Web Site not found.</h1>"),
        200,
    ),
    "Webflow": (
        Reason.NOT_FOUND,
        notice("404", "<p>The page you are looking for doesn't exist or has been moved.</p>"),
        404,
    ),
    "Ghost": (
        Reason.NOT_FOUND,
        notice("Domain error", "<p>Failed to resolve DNS path for this host</p>"),
        200,
    ),
    "Google Sites": (
        Reason.NOT_FOUND,
        notice("Google Sites", "<p>The requested URL was not found on this server.</p>"),
        404,
    ),
    "Surge": (Reason.NOT_FOUND, notice("project not found", "<p>project not found</p>"), 404),
    "Pantheon": (
        Reason.NOT_FOUND,
        notice("404 - Unknown site", "<h1>404 error unknown site!</h1>"),
        404,
    ),
    "Kinsta": (Reason.NOT_FOUND, notice("Kinsta", "<h1>No Site For Domain</h1>"), 200),
    "Fastly": (
        Reason.NOT_FOUND,
        notice("", "Fastly error: unknown domain: annour.example. Please check"),
        200,
    ),
}


@pytest.mark.parametrize("name", ABSENT)
def test_notice_gets_its_reason(name: str) -> None:
    reason, body, status = ABSENT[name]
    assert verdict(probe_site(body, status)) == (Presence.ABSENT, reason)


UNKNOWN: dict[str, tuple[str, int, str]] = {
    "a private blog of Blogger's": (
        notice("Blogger", "<p>This blog is open to invited readers only</p>"),
        200,
        HOME,
    ),
    "the same in French": (
        notice("Autorisation refusée", "<p>Ce blog est réservé aux lecteurs invités.</p>"),
        200,
        HOME,
    ),
    "the same in Arabic": (
        notice("Blogger", "<p>هذه المدونة مفتوحة للقراء المدعوين فقط</p>"),
        200,
        HOME,
    ),
    "Blogger's way to it": (
        notice("Blogger", "<p>x</p>"),
        200,
        "https://www.blogger.com/blogin.g?blogspotURL=x",
    ),
    "a private site of WordPress.com's": (
        notice(
            "Private Site",
            "<p>This site is currently private. Log in to WordPress.com to request access.</p>",
        ),
        200,
        HOME,
    ),
    "the same, marked": (
        notice("Annour", "<p>This site is marked private by its owner.</p>"),
        200,
        HOME,
    ),
    "the same in French, too": (
        notice("Site privé", "<p>Ce site est actuellement privé.</p>"),
        200,
        HOME,
    ),
    "a traffic limit": (
        notice("509", "<h1>Bandwidth Limit Exceeded</h1><p>Come back later.</p>"),
        509,
        HOME,
    ),
    "a traffic limit with 200": (notice("508", "<h1>Bandwidth Limit Exceeded</h1>"), 200, HOME),
    "a traffic limit in French": (
        notice("Annour", "<p>Limite de bande passante atteinte</p>"),
        200,
        HOME,
    ),
    "a redesign at work": (
        notice("Annour", "<h1>Notre site est en cours de refonte</h1>"),
        200,
        HOME,
    ),
    "maintenance": (
        notice("Maintenance", "<p>Briefly unavailable for scheduled maintenance.</p>"),
        503,
        HOME,
    ),
    "maintenance in French": (
        notice("Annour", "<p>Brièvement indisponible pour maintenance programmée.</p>"),
        200,
        HOME,
    ),
    "maintenance in Arabic": (notice("صيانة", "<p>الموقع مغلق مؤقتا للصيانة</p>"), 200, HOME),
    "no database": (
        notice("Database Error", "<h1>Error establishing a database connection</h1>"),
        500,
        HOME,
    ),
    "no database, in French": (
        notice("Annour", "<p>Erreur lors de la connexion à la base de données</p>"),
        200,
        HOME,
    ),
    "no database, in Arabic": (notice("النور", "<p>خطأ في الاتصال بقاعدة البيانات</p>"), 200, HOME),
    "a broken plug-in": (
        notice("WordPress › Error", "<p>There has been a critical error on this website.</p>"),
        200,
        HOME,
    ),
    "the same plug-in in French": (
        notice("Annour", "<p>Il y a eu une erreur critique sur ce site.</p>"),
        200,
        HOME,
    ),
    "Drupal's error": (
        notice("Error", "<p>The website encountered an unexpected error.</p>"),
        200,
        HOME,
    ),
    "Heroku's error": (
        notice("Application error", "<p>An error occurred in the application</p>"),
        200,
        HOME,
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_temporarily_closed_or_blocked_site_is_not_absent(name: str) -> None:
    body, status, landed = UNKNOWN[name]
    assert probe_site(body, status, landed).presence is Presence.UNKNOWN


FRENCH = (
    "L'association accompagne depuis vingt ans les familles du quartier. Chaque semaine, des "
    "bénévoles "
    "aident les enfants à faire leurs devoirs et les mères à apprendre à lire. "
)
ARABIC = (
    "تعمل الجمعية منذ سنوات إلى جانب أسر الحي في مجال محو الأمية ودعم التلاميذ بدار الشباب "
    "كل يوم سبت. "
)
MENU = (
    "<nav><a href=/qui>Qui sommes-nous</a><a href=/actions>Actions</a><a href=/contact>"
    "Contact</a></nav>"
)

HONEST = {
    "a bridge in its address": (
        "https://annour.example/suspendus-entre-deux-rives",
        "Entre deux rives",
        FRENCH,
    ),
    "a lander of the sea": ("https://annour.example/landers/", "Les landers", FRENCH),
    "a blog that closed": (
        HOME,
        "Annour",
        f"Le blog a été supprimé par l'hébergeur, voici le nouveau. {FRENCH}",
    ),
    "a private school": (
        HOME,
        "École privée",
        f"Ce site est réservé aux élèves du quartier. {FRENCH}",
    ),
    "a site of works": (HOME, "Annour", f"Le centre est en cours de refonte : {FRENCH}"),
    "an application for help": (
        HOME,
        "Annour",
        f"Application not found in the drawer? Write to us. {FRENCH}",
    ),
    "a garden in progress": (HOME, "جمعية النور", f"الحديقة في طور الإنجاز. {ARABIC}"),
    "a bucket": (HOME, "Puits", f"No such bucket was ever drawn from the well. {FRENCH}"),
    "casino": (HOME, "Annour", f"Le quartier du casino municipal de Casablanca. {FRENCH}"),
    "an empty list": (
        HOME,
        "Annour",
        f"Nothing is here yet for August; the camp is in May. {FRENCH}",
    ),
    "a domain of ours": (
        HOME,
        "Annour",
        f"Le domaine est enregistré au cadastre depuis mai. {FRENCH}",
    ),
    "a courtesy": (HOME, "Annour", f"Tea by courtesy of the members, parked at the mill. {FRENCH}"),
    "a premium": (
        HOME,
        "Annour",
        f"Own this domain of knowledge: sewing. Tickets available for purchase. {FRENCH}",
    ),
    "a placeholder": (HOME, "Annour", f"The placeholder page of our book is a leaf. {FRENCH}"),
    "a hold": (
        HOME,
        "Annour",
        f"Le domaine agricole est mis en attente de renouvellement du bail. {FRENCH}",
    ),
    "a garden reserved": (HOME, "جمعية النور", f"هذا المقعد محجوز لكم. {ARABIC}"),
    "a building in Arabic": (HOME, "جمعية النور", f"جاري بناء الموقع الأثري مع الجمعية. {ARABIC}"),
    "a well being built": (
        HOME,
        "Annour",
        f"The site is being built with stones of the hill. {FRENCH}",
    ),
    "a dance of soon": (HOME, "Annour", f"Prochainement : la fête du puits. {FRENCH}"),
    "an escort": (
        HOME,
        "Annour",
        f"An escort for girls on the way to school, with bet and jokes. {FRENCH}",
    ),
}


SHORT = {
    "a lost document": "Annour, founded in 1990. The document of its founding was not found in "
    "the archive.",
    "a lost page": "Chorale Annour, à Salé. Une page du registre a été supprimée ; nous la "
    "chantons.",
    "a page removed": "Annour choir. The page was removed from the old song book; we sing it by "
    "heart.",
    "a link that is no more": "Annour, Salé. The link with the port no longer exists; we meet at "
    "the mill.",
    "a lost child": "Annour, Salé. If a child is not found at the gate after school, call 05 22 "
    "00 00 00.",
    "a lost file": "Annour, Salé. Dossier médical : le document est introuvable ? Téléphonez.",
    "an error": "Annour, Salé. Notre numéro a changé : une erreur sur l'affiche. Téléphone 05 22 "
    "00 00 00.",
    "a line of buses": "Annour, Salé. Ligne 404, arrêt du puits. Permanence le samedi à dix "
    "heures.",
}


@pytest.mark.parametrize("name", SHORT)
def test_home_page_of_one_sentence_is_no_soft_404(name: str) -> None:
    finding = probe_site(
        f"<html><head><title>Annour</title></head><body><p>{SHORT[name]}</p></body></html>"
    )
    assert finding.presence is Presence.PRESENT, finding


def build_page(title: str, text: str, menu: str) -> str:
    return notice(title, f"{menu}<h1>{title}</h1><p>{text}</p>")


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("menu", [MENU, ""])
def test_honest_page_may_contain_notice_texts(name: str, menu: str) -> None:
    url, title, text = HONEST[name]
    finding = probe_site(build_page(title, text, menu), landed=url, link=url)
    assert finding.presence is Presence.PRESENT, finding
