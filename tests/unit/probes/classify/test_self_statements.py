"""Statements of a page about itself, and the same words about other subjects."""

from datetime import UTC, datetime

import pytest

from probes.channels import website
from probes.links import identify
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import run_offline
from tests.support.findings import verdict

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HOME = "https://annour.example/"
TEXT = (
    "L'association accompagne depuis vingt ans les familles du quartier. Chaque semaine, des "
    "bénévoles "
    "aident les "
    "enfants à faire leurs devoirs. "
)
ARABIC = (
    "تعمل الجمعية منذ سنوات إلى جانب أسر الحي في مجال محو الأمية ودعم التلاميذ بدار الشباب "
    "كل يوم سبت. "
)


def probe_site(body: str, url: str = HOME, status: int = 200, **headers: str) -> Finding:
    pages = {
        "content-type": "text/html",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }

    def web(request: PageRequest) -> Page | FetchError:
        if request.url != url:
            return FetchError(Reason.NO_SUCH_HOST)
        return Page(url, status, pages, body.encode(), NOW)

    return run_offline(website.probe(Account("a", url, identify.identify_link(url))), web).finding


def page(title: str, body: str, head: str = "") -> str:
    return f"<html><head><title>{title}</title>{head}</head><body>{body}</body></html>"


ONE_SCREEN = {
    "lodgings stopped": page(
        "Toit pour tous", f"<h1>Hébergement suspendu pour 40 familles</h1><p>{TEXT * 5}</p>"
    ),
    "lodgings stopped, in one sentence": page(
        "Toit pour tous",
        "<h1>Hébergement suspendu pour 40 familles</h1><p>Venez nous aider samedi.</p>",
    ),
    "an old site": page(
        "Old mill",
        "<p>Our old website is no longer available. Welcome here: tea on Saturdays, choir on "
        "Mondays.</p>",
    ),
    "a site that moved": page(
        "Old mill",
        "<p>This website is no longer available. Please visit our new website: "
        "www.mill.example</p>",
    ),
    "a festival": page(
        "Festival du puits | Coming soon",
        "<h1>Festival du puits</h1><p>Du 3 au 6 juillet : chants de la vallée, ahidous, marché des "
        "coopératives et "
        "nuit du conte sur la place.</p><p>Contact : festival@puits.example, 05 22 00 00 00</p>",
    ),
    "a march": page(
        "Marche blanche",
        "<h1>Bientôt</h1><p>Marche pour l'eau samedi 12 mai à dix heures, place de la gare.</p>",
    ),
    "a school": page(
        "Our new school in Tata",
        "<p>Our new school in Tata: the site is under construction, forty men at work.</p>",
    ),
    "a school in Arabic": page(
        "جمعية النور", f"<p>الموقع قيد البناء في تاتا: مدرسة وداخلية للبنات. {ARABIC}</p>"
    ),
    "a school in one Arabic sentence": page(
        "جمعية النور", "<p>الموقع قيد البناء في تاتا: مدرسة وداخلية للبنات.</p>"
    ),
    "a stopped yard in Arabic": page(
        "جمعية النور", "<h1>الموقع متوقف أمام باب المدينة</h1><p>وقفة يوم السبت.</p>"
    ),
    "a prison": page(
        "Mémoire",
        "<p>Ce site a été fermé en 2011 : l'ancienne prison est aujourd'hui un lieu de "
        "mémoire.</p>",
    ),
    "a circus": page(
        "Site suspendu | Les Voltigeurs",
        "<h1>Site suspendu</h1><p>Compagnie de voltige née au port. Spectacles dans les falaises, "
        "sur "
        "les ponts, dans "
        "les arbres. En tournée cet automne dans douze villes.</p>",
    ),
    "an estate": page("Les amis du domaine", f"<h1>Le domaine est à vendre</h1><p>{TEXT}</p>"),
    "a place to be sold": page(
        "Save the mill", "<p>The site is for sale: help us buy it before the winter comes.</p>"
    ),
    "a register": page(
        "Register",
        "<p>This domain has been registered as a charity. We keep the roll of old trees of the "
        "parish.</p>",
    ),
    "a charity with its number": page(
        "annour.example", "<p>annour.example is a registered charity. We sing.</p>"
    ),
    "a subscription": page(
        "The Village Letter",
        "<p>Please renew your subscription before March: twelve letters and a calendar.</p>",
    ),
    "an index of names": page(
        "Index of /names/ in the parish books",
        "<h1>Index of names in the parish books</h1><p>Abel, Acton.</p>",
    ),
    "a nursery": page(
        "Kita", "<h1>Hier entsteht eine neue Kita</h1><p>Der Verein baut im Dorf für 40 Kinder.</p>"
    ),
    "a shop in winter": page(
        "Honey",
        "<p>This shop is currently unavailable by car: walk up from the well, ten minutes, all "
        "days.</p>",
    ),
    "a band": page("404 Not Found | Ska from Salé", f"<h1>404 NOT FOUND</h1><p>{TEXT * 2}</p>"),
    "a region": page(
        "Annour", f"<p>Our honey is not sold elsewhere; it is at home in your region. {TEXT}</p>"
    ),
    "a bank account": page(
        "Annour", f"<p>Le compte est suspendu à la décision du juge. {TEXT}</p>"
    ),
    "a concert": page(
        "Chorale", "<h1>Prochainement</h1><p>Concert de Noël à l'église, entrée libre.</p>"
    ),
    "a contest": page(
        "جمعية", "<h1>قريبا</h1><p>مسابقة تجويد القرآن الكريم بدار الشباب، التسجيل مفتوح.</p>"
    ),
    "a fair": page(
        "Coming soon", "<h1>Coming soon</h1><p>Our spring fair: stalls and cakes at the green.</p>"
    ),
    "a mosque": page(
        "Site en construction : la future mosquée",
        "<p>Le chantier avance, merci aux donateurs.</p>",
    ),
    "builders": page(
        "Builders",
        "<h1>Under construction</h1><p>We build wells, schools and roads since 1998.</p>",
    ),
    "another's account": page(
        "Annour",
        "<h1>Compte suspendu</h1><p>Notre page Facebook a été suspendue : suivez nos actions "
        "ici.</p>",
    ),
    "a pump": page(
        "It works",
        "<h1>It works!</h1><p>Solar pump of the village: water for forty families, each day.</p>",
    ),
    "golf": page("Welcome", "<h1>Welcome to Caddy</h1><p>Caddies of the bay meet on Mondays.</p>"),
    "parking": page(
        "Parking page",
        "<h1>Parking</h1><p>Where to leave your car for the fair, and your mule.</p>",
    ),
    "honey": page("Annour", "<h1>Bientôt disponible</h1><p>Notre miel de thym, 80 dh le pot.</p>"),
    "a frozen account": page(
        "Konto gesperrt",
        "<h1>Konto gesperrt</h1><p>Die Bank ist schuld. Spenden bitte bar im Büro abgeben.</p>",
    ),
    "a garden that hangs": page(
        "Site suspendu",
        "<h1>Site suspendu</h1><p>Jardin au flanc de la montagne : venez marcher avec nous.</p>",
    ),
    "a dam": page(
        "الموقع متوقف",
        "<h1>الموقع متوقف</h1><p>أشغال السد متوقفة منذ شهر والسكان يطالبون باستئنافها.</p>",
    ),
    "a nursery of stone": page(
        "Le site est en construction",
        "<h1>Le site est en construction</h1><p>Douze maçons bâtissent la crèche.</p>"
        "<p>Donnez une brique.</p>",
    ),
    "poets": page(
        "annour.example", "<p>annour.example is the domain of registered poets of Salé.</p>"
    ),
    "a program that failed": page(
        "Annour", "<p>Fatal error: no file in /home/annour/public_html/index.php on line 3</p>"
    ),
    "a job": page(
        "Annour",
        f"<h1>Annour</h1><p>The job is no longer available to women, says our report. {TEXT}</p>",
    ),
}


@pytest.mark.parametrize("name", ONE_SCREEN)
def test_notice_words_about_other_subjects_are_ignored(name: str) -> None:
    assert probe_site(ONE_SCREEN[name]).presence is not Presence.ABSENT


STATED: dict[str, tuple[Reason, str]] = {
    "with its host": (
        Reason.SUSPENDED,
        page(
            "annour.example",
            "<h1>Hébergement suspendu</h1><p>Motif : facture impayée. Contactez l'hébergeur.</p>",
        ),
    ),
    "Turkish": (
        Reason.SUSPENDED,
        page("Hesap askıya alındı", "<p>Bu hesap geçici olarak askıya alınmıştır.</p>"),
    ),
    "Russian": (
        Reason.SUSPENDED,
        page("annour.example", "<h1>Сайт временно приостановлен</h1><p>Хостинг.</p>"),
    ),
    "Polish": (Reason.SUSPENDED, page("Strona zablokowana", "<h1>Strona została zablokowana</h1>")),
    "Indonesian": (
        Reason.SUSPENDED,
        page("annour.example", "<h1>Situs ini telah ditangguhkan</h1>"),
    ),
    "German": (Reason.SUSPENDED, page("Gesperrt", "<h1>Diese Internetpräsenz ist gesperrt</h1>")),
    "a sentence with small words": (
        Reason.SUSPENDED,
        page(
            "annour.example",
            "<p>Sorry, this website has been temporarily suspended by the administrator.</p>",
        ),
    ),
    "a refresh to it": (
        Reason.SUSPENDED,
        page("", "", '<meta http-equiv="refresh" content="0;url=/cgi-sys/suspendedpage.cgi">'),
    ),
    "unfinished, in Japanese": (
        Reason.DEFAULT_PAGE,
        page("あさひ会", "<h1>ホームページは準備中です</h1>"),
    ),
    "unfinished, in Polish": (
        Reason.DEFAULT_PAGE,
        page("Strona w budowie", "<p>Zapraszamy wkrótce.</p>"),
    ),
    "unfinished, with the name": (
        Reason.DEFAULT_PAGE,
        page(
            "Annour",
            "<h1>Annour</h1><p>Notre site est actuellement en construction.</p><p>"
            "annour@puits.example</p>",
        ),
    ),
    "unfinished, with a date": (
        Reason.DEFAULT_PAGE,
        page(
            "Annour | Coming soon", "<h1>Coming soon</h1><p>Our new website launches in spring.</p>"
        ),
    ),
    "unfinished, in Danish": (
        Reason.DEFAULT_PAGE,
        page("annour.example", "<h1>Siden er under opbygning</h1>"),
    ),
    "unfinished, in Finnish": (
        Reason.DEFAULT_PAGE,
        page("annour.example", "<h1>Sivusto on rakenteilla</h1>"),
    ),
    "unfinished, in Czech": (
        Reason.DEFAULT_PAGE,
        page("annour.example", "<h1>Stránky jsou ve výstavbě</h1>"),
    ),
    "unfinished, in Vietnamese": (
        Reason.DEFAULT_PAGE,
        page("annour.example", "<h1>Website đang được xây dựng</h1>"),
    ),
    "to be filled": (
        Reason.DEFAULT_PAGE,
        page("annour.example", "<p>Upload your files to the folder public_html to begin.</p>"),
    ),
    "a listing": (
        Reason.DIRECTORY_LISTING,
        page("Index of /old", "<h1>Index of /old</h1><a href=a/>a/</a>"),
    ),
}


@pytest.mark.parametrize("name", STATED)
def test_statement_of_a_page_about_itself_counts(name: str) -> None:
    reason, body = STATED[name]
    assert verdict(probe_site(body)) == (Presence.ABSENT, reason)


MENU = "<nav>" + "".join(f'<a href="/{name}">{name}</a>' for name in "abcdefgh") + "</nav>"


def test_page_that_says_only_who_hacked_it_is_hijacked() -> None:
    finding = probe_site(page("Hacked By 0x_Atlas", "<p>0x_Atlas Team</p>"))
    assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.HIJACKED)


def test_site_with_a_hacked_title_and_its_navigation_is_not_gone() -> None:
    text = "<p>Nous plantons des arbres avec les écoles de la vallée depuis 2009.</p>" * 8
    assert probe_site(page("Hacked By 0x_Atlas", MENU + text)).presence is not Presence.ABSENT


def test_suspended_page_with_the_title_of_a_wall_is_absent() -> None:
    body = page("403 Forbidden", "<h1>This account has been suspended</h1><p>Contact support.</p>")
    assert probe_site(body).reason is Reason.SUSPENDED


def test_suspended_page_that_a_control_panel_signs_is_suspended() -> None:
    body = page(
        "Website suspended",
        "<h1>Your website is suspended</h1><p>The hosting account has been suspended.</p>"
        "<p>This is the default page of Sentora.</p>",
    )
    assert probe_site(body).reason is Reason.SUSPENDED


REGISTRARS = {
    "German": page(
        "annour.example",
        "<h1>Diese Domain ist bereits registriert</h1><p>Jetzt Wunschdomain sichern</p>",
    ),
    "Swedish": page(
        "annour.example - Parkerad hos Webbo",
        "<p>Denna domän har köpts och parkerats av en kund.</p>",
    ),
    "Danish": page(
        "Domænet er reserveret", "<p>annour.example er registreret af en kunde hos Netto.</p>"
    ),
    "Norwegian": page(
        "annour.example", "<p>Domenet annour.example er registrert hos Navnebutikken.</p>"
    ),
    "Finnish": page("annour.example", "<p>Verkkotunnus annour.example on rekisteröity.</p>"),
    "Dutch": page(
        "annour.example", "<p>Deze domeinnaam is gereserveerd door een klant van Naamhuis.</p>"
    ),
    "Spanish": page(
        "annour.example", "<p>El dominio annour.example está registrado y aparcado en Nombres.</p>"
    ),
    "Portuguese": page("annour.example", "<p>Este domínio está estacionado na Casa dos Nomes.</p>"),
    "Italian": page(
        "annour.example", "<p>Il dominio annour.example è stato registrato da un cliente.</p>"
    ),
    "Polish": page(
        "annour.example", "<p>Domena annour.example jest utrzymywana na serwerach Nazwisko.</p>"
    ),
    "Czech": page(
        "annour.example", "<p>Doména annour.example je zaregistrována u společnosti Jméno.</p>"
    ),
    "Ukrainian": page(
        "annour.example", "<p>Домен annour.example зареєстровано.</p><p>Сайт ще не створено.</p>"
    ),
    "Turkish": page("annour.example", "<p>Bu alan adı Adcı tarafından kayıt edilmiştir.</p>"),
    "Japanese": page("annour.example", "<p>このドメインは名前屋で取得されています。</p>"),
    "Vietnamese": page("annour.example", "<p>Tên miền annour.example đã được đăng ký.</p>"),
    "Arabic": page(
        "annour.example", "<p>تم تسجيل اسم النطاق annour.example من طرف أحد زبنائنا.</p>"
    ),
    "hosted": page(
        "annour.example is hosted by webhaus.example", "<p>Log in to your control panel</p>"
    ),
    "signed by its host": page(
        "Domain reserved",
        '<p>This domain is reserved for a Webhaus customer.</p><a href="https://webhaus.example">'
        "W</a>",
    ),
    "a shell": '<html data-adblockkey="MFwwDQ"><head></head><body><div id="target"></div></body>'
    "</html>",
    "a script's shell": page("annour.example", '<script>window.park = "eyJ1dWlkIjoi"</script>'),
}


@pytest.mark.parametrize("name", REGISTRARS)
def test_page_only_about_its_own_domain_is_parked(name: str) -> None:
    assert verdict(probe_site(REGISTRARS[name])) == (Presence.ABSENT, Reason.PARKED)


OWNERS = {
    "with an address to write to": page(
        "annour.example",
        "<p>Ce domaine annour.example est réservé aux membres. bureau@annour.example</p>",
    ),
    "with a telephone": page(
        "annour.example", "<p>Domaine réservé aux chasses, annour.example. Tél. 05 22 00 00 00</p>"
    ),
    "with a page of its own": page(
        "annour.example",
        '<p>annour.example : domaine réservé à la chorale.</p><a href="/chants">Chants</a>',
    ),
    "with something to tell": page(
        "annour.example",
        f"<p>Le domaine agricole est enregistré au cadastre ; annour.example.</p><p>{TEXT}</p>",
    ),
    "another's name": page(
        "Les amis du domaine", "<p>Ce domaine forestier, réservé aux oiseaux, est à tous.</p>"
    ),
}


@pytest.mark.parametrize("name", OWNERS)
def test_owner_page_that_mentions_a_domain_is_present(name: str) -> None:
    assert probe_site(OWNERS[name]).presence is not Presence.ABSENT


ADVICE = (
    "<p>If you are the site owner, please whitelist your address, or upload your website again.</p>"
)
UNKNOWN: dict[str, tuple[str, int, dict[str, str]]] = {
    "a firewall's header": (
        page("annour.example", f"<h1>Stop</h1>{ADVICE}"),
        403,
        {"x_sucuri_block": "BOT"},
    ),
    "a firewall's title": (page("Access Denied - Firewall", f"<h1>Stop</h1>{ADVICE}"), 200, {}),
    "a broken server": (page("502 Bad Gateway", ADVICE), 502, {}),
    "a broken server, as a default page": (page("Web Server's Default Page", ADVICE), 500, {}),
    "a country": (
        page("Sorry", "<p>Sorry, this content is not available in your region.</p>"),
        200,
        {},
    ),
    "a country, in French": (
        page("Désolé", "<p>Ce contenu n'est pas disponible dans votre pays.</p>"),
        200,
        {},
    ),
    "a country, in German": (
        page("Hinweis", "<p>Diese Seite ist in Ihrem Land nicht verfügbar.</p>"),
        200,
        {},
    ),
    "a country, in Spanish": (
        page("Aviso", "<p>Este contenido no está disponible en su país.</p>"),
        200,
        {},
    ),
    "a country, in Arabic": (page("عذرا", "<p>هذا المحتوى غير متاح في بلدك.</p>"), 200, {}),
    "consent, or money": (
        page(
            "Die Zeitung",
            "<h1>Weiterlesen mit Werbung oder mit PUR-Abo</h1><p>Mit Werbung und Tracking lesen; "
            "mehr in der "
            "Datenschutzerklärung.</p><button>Akzeptieren</button>",
        ),
        200,
        {},
    ),
    "consent, in French": (
        page(
            "Le Journal",
            "<h1>Votre vie privée nous importe</h1><p>Avec votre accord, nos partenaires et nous "
            "utilisons des "
            "cookies. Acceptez ou abonnez-vous.</p><button>Accepter</button>",
        ),
        200,
        {},
    ),
    "consent, in Dutch": (
        page(
            "Poort",
            "<h1>Jouw privacy</h1><p>Wij en onze partners gebruiken cookies.</p><button>"
            "Akkoord</button>",
        ),
        200,
        {},
    ),
    "consent, in English": (
        page(
            "Portal",
            "<h1>Before you continue</h1><p>We use cookies.</p><button>Accept all</button>",
        ),
        200,
        {},
    ),
    "money": (
        page("Daily", "<h1>Subscribe to continue reading</h1><p>Two a week are free.</p>"),
        200,
        {},
    ),
    "a sign-in": (
        page(
            "Connexion",
            "<form><input name=log><input type='password' name=pwd></form><a href='?lost'>Oublié "
            "?</a>",
        ),
        200,
        {},
    ),
    "a page under a password": (
        page(
            "Protégé",
            "<form action=/p><p>Saisissez le mot de passe</p><input name=p type=password></form>",
        ),
        200,
        {},
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_wall_has_priority_over_its_advice(name: str) -> None:
    body, status, headers = UNKNOWN[name]
    assert probe_site(body, status=status, **headers).presence is Presence.UNKNOWN


def test_suspension_with_error_status_counts() -> None:
    finding = probe_site(
        page("Account Suspended", "<h1>This Account has been suspended.</h1>"), status=503
    )
    assert finding.reason is Reason.SUSPENDED


OPEN = {
    "a banner about cookies": page(
        "Annour",
        f"<div>Nous utilisons des cookies. <button>Accepter</button></div><h1>Annour</h1><p>"
        f"{TEXT}</p>",
    ),
    "members may sign in": page(
        "Annour",
        f"<h1>Annour</h1><p>{TEXT * 3}</p><form><input name=a><input type=password name=b></form>",
    ),
    "two forms": page(
        "Annour",
        f"<p>{TEXT}</p><form><input name=s></form><form><input name=a><input type=password></form>",
    ),
    "a banner with a heading": page(
        "Annour",
        "<h2>Nous utilisons des cookies</h2><p>Avec votre accord, nos partenaires et nous "
        "utilisons des "
        "cookies. Vous "
        "pouvez accepter ou refuser.</p><button>Accepter</button><h1>Annour</h1><p>Chorale de la "
        "vieille "
        "ville.</p>",
    ),
    "a talk about privacy": page(
        "Annour",
        f"<h1>Privacy for children: a talk</h1><p>{TEXT * 2} All who accept the invitation get "
        f"tea.</p>",
    ),
}


@pytest.mark.parametrize("name", OPEN)
def test_page_that_also_asks_a_question_is_present(name: str) -> None:
    assert probe_site(OPEN[name]).presence is Presence.PRESENT
