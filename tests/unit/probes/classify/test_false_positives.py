"""Honest pages that contain every marker: none is absent or a wall."""

from datetime import UTC, datetime

import pytest

from probes.channels import website
from probes.links import identify
from probes.models.finding import Account, Finding, Presence
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import run_offline
from tests.support.findings import verdict

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HOME = "https://annour.example/"
NEWS = "https://annour.example/actualites/2026-bilan"

FRENCH = (
    "L'association accompagne depuis vingt ans les familles du quartier. Chaque semaine, des "
    "bénévoles aident "
    "les enfants à faire leurs devoirs et les mères à apprendre à lire. "
)
ARABIC = (
    "تعمل الجمعية منذ سنوات إلى جانب أسر الحي في مجال محو الأمية ودعم التلاميذ، وينشط فيها "
    "متطوعون من مختلف "
    "الأعمار كل يوم سبت بدار الشباب. "
)
ENGLISH = (
    "Our volunteers have worked with the families of the old town for twenty years. Every "
    "Saturday they help "
    "children with homework and mothers with reading. "
)
MENU = {
    "fr": "<nav><a href=/>Accueil</a><a href=/qui-sommes-nous>Qui sommes-nous</a><a "
    "href=/actualites>Actualités"
    "</a><a href=/contact>Contact</a></nav>",
    "ar": "<nav><a href=/>الرئيسية</a><a href=/men>من نحن</a><a href=/news>أخبار</a><a "
    "href=/contact>اتصل بنا</a></nav>",
    "en": "<nav><a href=/>Home</a><a href=/about>About us</a><a href=/news>News</a><a "
    "href=/contact>Contact</a></nav>",
}
FOOT = "<footer>© 2026 Annour, 12 rue du Puits, tél. 05 22 00 00 00</footer>"


def page(lang: str, title: str, body: str, head: str = "") -> str:
    """A whole page with a menu and a footer."""
    menu = MENU.get(lang, MENU["en"])
    ways = ' dir="rtl"' if lang == "ar" else ""
    return (
        f'<!doctype html><html lang="{lang}"{ways}><head><meta charset="utf-8"><title>'
        f"{title}</title>{head}"
        f"</head><body><header>{menu}</header><main>{body}</main>{FOOT}</body></html>"
    )


def bare(title: str, body: str, lang: str = "fr", head: str = "") -> str:
    """A page with neither menu nor footer."""
    return (
        f'<html lang="{lang}"><head><title>{title}</title>{head}</head><body>{body}</body></html>'
    )


def probe_site(body: str | bytes, url: str = HOME, **headers: str) -> Finding:
    pages = {
        "content-type": "text/html",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    raw = body if isinstance(body, bytes) else body.encode()

    def web(request: PageRequest) -> Page | FetchError:
        return (
            Page(request.url, 200, pages, raw, NOW)
            if request.url == url
            else Page(request.url, 404, {}, b"", NOW)
        )

    return run_offline(website.probe(Account("a", url, identify.identify_link(url))), web).finding


# name: (address, page). Each must be present.
PRESENT: dict[str, tuple[str, str]] = {
    "news of a domain sold": (
        NEWS,
        page(
            "fr",
            "Le nom de domaine de la ville est à vendre – Annour",
            f"<h1>Le nom de domaine de la ville est à vendre</h1><p>{FRENCH * 2}</p>",
        ),
    ),
    "short news of a domain sold": (
        NEWS,
        page(
            "en",
            "Town domain for sale? – Annour",
            "<h1>News</h1><p>The council says its domain is for sale to the "
            "highest bidder. Residents protest on Saturday at ten in front of the town hall; tea "
            "is "
            "served.</p>",
        ),
    ),
    "an estate agent": (
        HOME,
        page(
            "fr",
            "Immobilière du Puits : maisons à vendre",
            "<h1>Appartements à vendre et à louer</h1><p>Villa à "
            "vendre, terrain à vendre, riad à vendre dans la médina. Visites du lundi au "
            "samedi.</p>",
        ),
    ),
    "an estate agent in English": (
        HOME,
        page(
            "en",
            "Old Town Homes",
            "<h1>Homes for sale</h1><p>This site lists every house and building site for "
            "sale in the old town. Building site for sale near the well, 300 square metres.</p>",
        ),
    ),
    "an event coming soon": (
        HOME,
        page("en", "Annour", f"<h1>Annour</h1><h2>Summer camp: coming soon</h2><p>{ENGLISH}</p>"),
    ),
    "an event soon in Arabic": (
        HOME,
        page(
            "ar",
            "جمعية النور",
            f"<h1>جمعية النور</h1><h2>قريبا</h2><p>الملتقى السنوي للجمعية. {ARABIC}</p>",
        ),
    ),
    "a small event soon in Arabic": (
        HOME,
        page(
            "ar",
            "جمعية النور",
            "<h1>جمعية النور</h1><h2>قريبا</h2><p>الملتقى السنوي للجمعية بدار الشباب.</p>",
        ),
    ),
    "a shop's new range": (
        HOME,
        page(
            "fr",
            "Coopérative Argane",
            "<h1>Coopérative Argane</h1><h2>Bientôt disponible</h2><p>Notre savon au miel. "
            "En attendant, commandez l'huile d'argan, l'amlou et le miel de thym de nos vingt "
            "adhérentes.</p>",
        ),
    ),
    "a shop online soon": (
        HOME,
        page(
            "fr",
            "Coopérative Argane",
            "<h1>Coopérative Argane</h1><p>Vente sur place du lundi au samedi. Notre "
            "boutique sera bientôt en ligne : huile d'argan, amlou, miel et savons de nos "
            "adhérentes.</p>",
        ),
    ),
    "maintenance of a well": (
        NEWS,
        page(
            "fr",
            "Maintenance du puits – Annour",
            "<h1>Le puits est en maintenance</h1><p>Les travaux de maintenance du "
            "puits du douar commencent lundi ; l'eau reste coupée le matin. Merci à la "
            "commune.</p>",
        ),
    ),
    "maintenance of the site, announced": (
        HOME,
        page(
            "fr",
            "Annour",
            f"<h1>Annour</h1><h2>Le site sera en maintenance dimanche</h2><p>{FRENCH * 3}</p>",
        ),
    ),
    "against gambling": (
        HOME,
        page(
            "en",
            "Stop gambling harm",
            "<h1>Stop gambling harm</h1><p>Online casino, poker online, betting sites and "
            f"free spins ruin families. Call us before you open 1xbet or bet365 again. "
            f"{ENGLISH * 2}</p>",
        ),
    ),
    "against gambling in French": (
        HOME,
        page(
            "fr",
            "SOS Joueurs – sortir du jeu",
            "<h1>Casino en ligne, 1xbet : on peut s'en sortir</h1><p>Les casino en "
            f"ligne et paris 1xbet visent les jeunes. {FRENCH * 2}</p>",
            '<meta name="description" content="Aide aux joueurs : casino en ligne, 1xbet, paris.">',
        ),
    ),
    "against gambling in Arabic": (
        HOME,
        page(
            "ar",
            "جمعية مكافحة القمار",
            f"<h1>خطر المراهنات والكازينو</h1><p>{ARABIC * 2} المراهنات تدمر الأسر.</p>",
            '<meta name="description" content="توعية الشباب بمخاطر المراهنات">',
        ),
    ),
    "against gambling in Indonesian": (
        HOME,
        page(
            "id",
            "Yayasan Cahaya – bahaya judi online",
            "<h1>Bahaya judi online bagi keluarga</h1><p>Yayasan kami "
            "mendampingi keluarga korban judi online dan slot online di desa. Setiap Sabtu relawan "
            "mengajar anak-anak "
            "membaca dan mendampingi para ibu. Hubungi kami di kantor desa.</p>",
        ),
    ),
    "Casablanca": (
        HOME,
        page(
            "fr",
            "Casino municipal de Casablanca : les amis du patrimoine",
            f"<h1>Casablanca</h1><p>{FRENCH}</p>",
        ),
    ),
    "a pharmacy charity": (
        HOME,
        page(
            "fr",
            "Pharmaciens solidaires",
            "<h1>Contre les faux médicaments</h1><p>Le viagra et le cialis vendus au "
            f"marché sont des faux. {FRENCH}</p>",
            '<meta name="description" content="Viagra, cialis : attention aux faux">',
        ),
    ),
    "a heart clinic": (
        HOME,
        page(
            "en",
            "Heart Patients' Union",
            "<h1>Pulmonary hypertension</h1><p>Patients ask us about sildenafil and "
            f"tadalafil. {ENGLISH}</p>",
            '<meta name="description" content="Sildenafil and tadalafil: patients help">',
        ),
    ),
    "a help page on 404": (
        NEWS,
        page(
            "en",
            "What does a 404 error mean? – Annour help",
            f"<h1>What does “page not found” mean?</h1><p>{ENGLISH} "
            "A 404 error says that the page was not found.</p>",
        ),
    ),
    "a help page on 404 in French": (
        NEWS,
        page(
            "fr",
            "Comprendre l'erreur 404 | Annour",
            "<h1>Erreur 404 : que faire ?</h1><p>Quand une page est introuvable, "
            f"le serveur répond 404. {FRENCH * 2}</p>",
        ),
    ),
    "news of an account suspended": (
        NEWS,
        page(
            "en",
            "Minister's account suspended – Annour",
            "<h1>Account suspended after protest</h1><p>The minister's "
            "page is back: the account has been suspended for two days only. Read our press note "
            "of "
            "Monday.</p>",
        ),
    ),
    "news of an account suspended in French": (
        NEWS,
        page(
            "fr",
            "Annour",
            f"<h1>Le compte a été suspendu par la banque</h1><p>Le trésorier explique : "
            f"{FRENCH}</p>",
        ),
    ),
    "news of a site suspended in Arabic": (
        NEWS,
        page(
            "ar",
            "تم تعليق الحساب البنكي للجمعية",
            f"<h1>تم تعليق الحساب البنكي</h1><p>{ARABIC}</p>",
        ),
    ),
    "hello world beside real posts": (
        HOME,
        page(
            "en",
            "Annour",
            f"<h1>Annour</h1><h2><a href=/hello-world>Hello world!</a></h2><p>Welcome to "
            f"WordPress.</p>"
            f"<h2><a href=/camp>Summer camp 2026</a></h2><p>{ENGLISH}</p>",
        ),
    ),
    "a very short home": (
        HOME,
        bare(
            "Annour",
            "<h1>Annour</h1><p>Association de quartier, 12 rue du Puits, Salé. "
            "Permanence le samedi à dix heures.</p>",
        ),
    ),
    "a very short home in Arabic": (
        HOME,
        bare(
            "جمعية النور",
            "<h1>جمعية النور</h1><p>جمعية محلية بحي السلام بسلا، نستقبلكم كل يوم سبت صباحا بدار "
            "الشباب.</p>",
            "ar",
        ),
    ),
    "a very short home in English": (
        HOME,
        bare(
            "Annour",
            "<p>Annour is a choir of twelve. We sing every Friday at "
            "the old mill. Write to choir@annour.example.</p>",
            "en",
        ),
    ),
    "a language chooser": (
        HOME,
        bare(
            "Annour",
            "<img src=logo.png><p>Association Annour pour le développement</p><a href=/fr/>"
            "Français</a> "
            "<a href=/ar/>العربية</a> <a href=/en/>English</a> <a href=/am/>ⵜⴰⵎⴰⵣⵉⵖⵜ</a>",
        ),
    ),
    "a section under construction": (
        HOME,
        page(
            "fr",
            "Annour",
            f"<h1>Annour</h1><p>{FRENCH * 4}</p><h2>Galerie</h2><p>Page en construction.</p>",
        ),
    ),
    "a small section under construction": (
        HOME,
        page(
            "fr",
            "Annour",
            f"<h1>Annour</h1><p>{FRENCH}</p><h2>Galerie</h2><p>Cette page est en construction.</p>",
        ),
    ),
    "a school under construction": (
        HOME,
        page(
            "en",
            "Annour school",
            "<h1>A school under construction</h1><p>The walls of the school under construction "
            "stand since May. Masons, parents and pupils work on it together. Give a brick for ten "
            "dirhams.</p>",
        ),
    ),
    "a school under construction in Arabic": (
        NEWS,
        page(
            "ar",
            "جمعية النور",
            "<h1>مدرسة قيد الإنشاء</h1><p>المدرسة قيد الإنشاء منذ شهر ماي، ويشارك في الأشغال "
            "الآباء "
            "والتلاميذ.</p>",
        ),
    ),
    "a 404-looking number": (
        NEWS,
        page("en", "Bus 404 – Annour", f"<h1>Bus 404 gets a new stop</h1><p>{ENGLISH}</p>"),
    ),
    "a Peugeot 404": (
        NEWS,
        page(
            "fr",
            "Peugeot 404 | Amicale des voitures anciennes",
            "<h1>Peugeot 404</h1><p>La 404 de 1962 de notre doyen sera "
            "du rallye d'avril, au départ du port.</p>",
        ),
    ),
    "index of an encyclopaedia": (
        HOME,
        page(
            "en",
            "Index of the Encyclopaedia of the Rif",
            f"<h1>Index of plants</h1><p>{ENGLISH}</p>",
        ),
    ),
    "Apache in an association of programmers": (
        HOME,
        page(
            "en",
            "Free software users of the Rif",
            "<h1>Apache, nginx and you</h1><p>Saturday: from the Apache default page "
            "to your own site. Bring a laptop. Then nginx, with Salma. Tea at four in the library "
            "of "
            "the faculty.</p>",
        ),
    ),
    "a Japanese association": (
        HOME,
        page(
            "ja",
            "光の会 – 地域の子どもたちのために",
            "<h1>光の会</h1><p>私たちは地域の子どもたちの学習を二十年にわたり支援しています。"
            "毎週土曜日にボランティアが宿題を手伝います。</p>",
        ),
    ),
    "a Japanese charity shop": (
        HOME,
        page(
            "ja",
            "光の会 チャリティーショップ 送料無料",
            "<h1>光の会のチャリティーショップ</h1><p>手作りの石けんとはちみつを送料無料でお届けします。"
            "売り上げは子どもたちの学習支援に使われます。</p>",
        ),
    ),
    "a Chinese association": (
        HOME,
        page(
            "zh",
            "光明协会",
            "<h1>光明协会</h1><p>二十年来我们的志愿者一直帮助社区的孩子和母亲学习。每个星期六在图书馆见面，欢迎加入。</p>",
        ),
    ),
    "an Indonesian foundation": (
        HOME,
        page(
            "id",
            "Yayasan Cahaya: daftar relawan",
            "<h1>Daftar relawan di situs kami</h1><p>Yayasan kami mendampingi anak "
            "di desa. Agen perubahan di sekolah; daftar sekarang untuk kegiatan Sabtu.</p>",
        ),
    ),
    "a Russian club": (
        HOME,
        page(
            "ru",
            "Шахматный клуб «Свет»",
            "<h1>Шахматный клуб</h1><p>Наш клуб двадцать лет учит детей играть в шахматы. "
            "Занятия каждую субботу в библиотеке, вход свободный.</p>",
        ),
    ),
    "a Turkish association": (
        HOME,
        page(
            "tr",
            "Işık Derneği",
            "<h1>Işık Derneği</h1><p>Derneğimiz yirmi yıldır mahallenin çocuklarına ders "
            "çalıştırıyor. "
            "Her cumartesi kütüphanede buluşuyoruz.</p>",
        ),
    ),
    "cookies first": (
        HOME,
        page(
            "fr",
            "Annour",
            "<div class=cookie-banner>Ce site utilise des cookies. <button>Accepter</button> "
            f"<button>Refuser</button></div><h1>Annour</h1><p>{FRENCH}</p>",
        ),
    ),
    "cookies first on a short page": (
        HOME,
        bare(
            "Annour",
            "<div>We use cookies. They feed nobody. <button>Accept</button></div>"
            "<h1>Annour</h1><p>Choir of the old mill. We sing every Friday, come and listen.</p>",
            "en",
        ),
    ),
    "Cloudflare in the footer": (
        HOME,
        page(
            "en",
            "Annour",
            f"<h1>Annour</h1><p>{ENGLISH}</p><p>Protected by Cloudflare. DDoS protection "
            f"included.</p>",
        ),
    ),
    "captcha on the contact form": (
        "https://annour.example/contact",
        page(
            "fr",
            "Contact – Annour",
            "<h1>Nous écrire</h1><form><input name=nom><label>Captcha</label><input name=captcha>"
            "</form><p>12 rue du Puits, Salé. Téléphone 05 22 00 00 00, le matin de neuf heures à "
            "midi. Le captcha "
            "nous protège du courrier indésirable. Pour un don, écrivez au trésorier.</p>",
        ),
    ),
    "recaptcha scripts": (
        HOME,
        page(
            "fr",
            "Annour",
            f"<h1>Annour</h1><p>{FRENCH}</p>",
            "<script src='https://www.google.com/recaptcha/api.js'></script>"
            "<script>grecaptcha.ready()</script>",
        ),
    ),
    "noindex": (
        HOME,
        page(
            "fr",
            "Annour",
            f"<h1>Annour</h1><p>{FRENCH}</p>",
            '<meta name="robots" content="noindex">',
        ),
    ),
    "a theme's demo": (
        HOME,
        page(
            "en",
            "Annour",
            f"<h1>Annour</h1><p>{ENGLISH * 2}</p><h2>This domain is for sale</h2><p>Theme demo, "
            f"buy this "
            "domain.</p>",
        ),
    ),
    "renewing a membership": (
        HOME,
        page(
            "en",
            "Annour",
            "<h1>Annour</h1><p>Members: please renew your subscription before May. We sing every "
            "Friday at "
            "the old mill, and twelve of us travel to the festival.</p>",
        ),
    ),
    "an expired permit": (
        NEWS,
        page("fr", "Annour", f"<h1>Service des cartes : abonnement expiré ?</h1><p>{FRENCH}</p>"),
    ),
    "a blog about blogs": (
        NEWS,
        page(
            "en",
            "Blog not found? How we lost our archive – Annour",
            f"<h1>How we lost our archive</h1><p>{ENGLISH * 2}</p>",
        ),
    ),
    "nothing was found at sea": (
        NEWS,
        page(
            "en",
            "Nothing was found at sea – Annour",
            f"<h1>Nothing was found at sea</h1><p>{ENGLISH}</p>",
        ),
    ),
    "missing child": (
        NEWS,
        page(
            "en",
            "Child not found yet – Annour",
            f"<h1>Not found: the boy of the mill</h1><p>{ENGLISH}</p>",
        ),
    ),
    "a page removed from a book": (
        NEWS,
        page(
            "fr",
            "Une page supprimée du registre – Annour",
            f"<h1>Une page supprimée du registre</h1><p>{FRENCH}</p>",
        ),
    ),
    "access to justice denied": (
        NEWS,
        page(
            "en",
            "Access denied: women and land – Annour",
            f"<h1>Access denied: women and land</h1><p>{ENGLISH * 2}</p>",
        ),
    ),
    "forbidden love at the theatre": (
        NEWS,
        page(
            "en",
            "Forbidden – a play – Annour",
            f"<h1>Forbidden</h1><p>A play by our youth group. {ENGLISH * 2}</p>",
        ),
    ),
    "a server error of a café": (
        NEWS,
        page("en", "Annour", f"<h1>Something went wrong with the soup</h1><p>{ENGLISH}</p>"),
    ),
    "a home that greets": (
        HOME,
        page(
            "fr",
            "Bienvenue sur notre site",
            f"<h1>Bienvenue sur votre site de quartier</h1><p>{FRENCH}</p>",
        ),
    ),
    "a home that greets in English": (
        HOME,
        page("en", "Annour", f"<h1>Welcome to your website of the old town</h1><p>{ENGLISH}</p>"),
    ),
    "a home that greets in Spanish": (
        HOME,
        page(
            "es",
            "Asociación Luz",
            "<h1>Bienvenida a su sitio</h1><p>Acompañamos a las familias del barrio desde hace "
            "veinte "
            "años. Los sábados ayudamos a los niños con los deberes en la biblioteca.</p>",
        ),
    ),
    "a new site coming": (
        HOME,
        page(
            "en",
            "Annour",
            f"<h1>Annour</h1><p>Our new website is coming in spring; until then: {ENGLISH * 2}</p>",
        ),
    ),
    "a domain as in a field": (
        HOME,
        page(
            "fr",
            "Le domaine du Puits",
            "<h1>Domaine agricole solidaire</h1><p>Le domaine est à vendre depuis mai et "
            "l'association veut le racheter pour y installer dix familles. Signez la pétition.</p>",
        ),
    ),
    "a reserved domain": (
        HOME,
        page(
            "fr",
            "Domaine réservé aux enfants | Annour",
            f"<h1>Domaine réservé aux enfants</h1><p>{FRENCH}</p>",
        ),
    ),
    "a land registered": (
        NEWS,
        page(
            "en",
            "Annour",
            "<h1>Public domain is registered at last</h1><p>The domain was registered as common "
            "land in May. "
            f"{ENGLISH}</p>",
        ),
    ),
    "a parking": (
        HOME,
        page(
            "fr",
            "Parking solidaire du port",
            f"<h1>Parking page par page</h1><p>Gardiens du parking. {FRENCH}</p>",
        ),
    ),
    "a debate on bans": (
        NEWS,
        page("en", "Annour", f"<h1>The site has been blocked by miners</h1><p>{ENGLISH}</p>"),
    ),
    "a page of a robot club": (
        HOME,
        page(
            "en",
            "Robot club",
            "<h1>Are you a robot?</h1><p>Come and build one: every Saturday our club teaches "
            "children to "
            "solder and to programme in the library. No fee, tea at four, all are welcome.</p>",
        ),
    ),
    "waiting rooms": (
        NEWS,
        page(
            "en",
            "Annour",
            "<h1>A new waiting room for the clinic</h1><p>Mothers no longer stand in the sun: the "
            "waiting room "
            "opened on Monday with forty seats, paid by the members. Thank you all.</p>",
        ),
    ),
    "heavy traffic": (
        NEWS,
        page(
            "fr",
            "Annour",
            "<h1>Enable cookies? Non, des biscuits</h1><p>Vente de biscuits samedi, à cause du "
            "heavy "
            "traffic on "
            "vient à pied. Le bénéfice va à l'école du douar, comme chaque année.</p>",
        ),
    ),
    "a network down": (
        NEWS,
        page(
            "en",
            "Annour",
            "<h1>Radio Annour is back</h1><p>Our radio station was down for maintenance last week. "
            "It is heard "
            "again on 98.4 from six in the morning, with news, songs and lessons for the "
            "villages.</p>",
        ),
    ),
    "service temporarily closed": (
        NEWS,
        page(
            "fr",
            "Annour",
            "<h1>Le centre de santé</h1><p>Le service est temporairement indisponible le mardi ; "
            "les autres "
            "jours, la sage-femme reçoit de neuf heures à midi. Merci de venir avec le carnet.</p>",
        ),
    ),
    "service closed in Arabic": (
        NEWS,
        page(
            "ar",
            "جمعية النور",
            "<h1>حدث خطأ في الجريدة</h1><p>نعتذر لقرائنا، فقد حدث خطأ في تاريخ الجمع العام، وسيعقد "
            "يوم السبت بدار الشباب.</p>",
        ),
    ),
    "maintenance school in Arabic": (
        NEWS,
        page(
            "ar",
            "جمعية النور",
            "<h1>المسجد تحت الصيانة</h1><p>المسجد تحت الصيانة إلى نهاية الشهر، وتقام الدروس بدار "
            "الشباب كل مساء بعد العصر.</p>",
        ),
    ),
    "a site with the word suspended bridge": (
        NEWS,
        page(
            "fr",
            "Pont suspendu – Annour",
            f"<h1>Le pont du site suspendu</h1><p>Sur ce site suspendu au-dessus du ravin, "
            f"{FRENCH}</p>",
        ),
    ),
    "an archaeological site": (
        NEWS,
        page(
            "fr",
            "Annour",
            "<h1>Le site a été désactivé par le conseil</h1><p>Le site archéologique n'est plus "
            "gardé ; nos membres "
            "veillent chaque nuit et demandent un gardien à la commune.</p>",
        ),
    ),
    "the bank's site": (
        NEWS,
        page(
            "ar",
            "جمعية النور",
            "<h1>الموقع الأثري متوقف</h1><p>أشغال الموقع متوقفة منذ شهر، والجمعية تطالب باستئنافها "
            "قبل فصل الشتاء.</p>",
        ),
    ),
    "a list of results": (
        "https://annour.example/projets",
        page(
            "fr",
            "Nos projets – Annour",
            f"<h1>Nos projets</h1><p>{FRENCH}</p><h2>Aucun résultat trouvé</h2>",
        ),
    ),
    "a search box that found nothing": (
        "https://annour.example/evenements",
        page("en", "Events – Annour", f"<h1>Events</h1><p>No upcoming events. {ENGLISH}</p>"),
    ),
    "a Portuguese site": (
        HOME,
        page(
            "pt",
            "Associação Luz",
            "<h1>Uma escola em construção</h1><p>Acompanhamos as famílias do bairro há vinte "
            "anos. Aos "
            "sábados ajudamos as crianças na biblioteca, e a escola cresce.</p>",
        ),
    ),
    "a Spanish sale": (
        HOME,
        page(
            "es",
            "Asociación Luz",
            "<h1>Dominio público</h1><p>El dominio de las aguas no está en venta. Defendemos el "
            "río desde "
            "hace veinte años con las familias del barrio.</p>",
        ),
    ),
    "a German house": (
        NEWS,
        page(
            "de",
            "Verein Licht",
            "<h1>Das alte Haus steht zum Verkauf</h1><p>Der Verein möchte es kaufen. Jeden Samstag "
            "helfen wir "
            "Kindern im Viertel bei den Hausaufgaben. Spenden sind willkommen.</p>",
        ),
    ),
    "a lost dog": (
        NEWS,
        page(
            "fr",
            "Chien introuvable",
            "<h1>Chien introuvable</h1><p>Le chien du gardien est introuvable.</p>",
        ),
    ),
    "a lost paper": (
        NEWS,
        page(
            "fr",
            "Le document introuvable",
            f"<h1>Le document introuvable du notaire</h1><p>{FRENCH}</p>",
        ),
    ),
    "an index with a slash": (
        HOME,
        page("en", "Index of / Rif plants", f"<h1>Plants</h1><p>{ENGLISH}</p>"),
    ),
    "thanks": (NEWS, page("fr", "Merci", "<h1>Merci</h1><p>Votre message est envoyé.</p>")),
    "an Arabic event soon without a menu": (
        HOME,
        bare(
            "جمعية النور",
            f"<h1>جمعية النور</h1><p>{ARABIC}</p><h2>قريبا</h2><p>ملتقى الشباب</p>",
            "ar",
        ),
    ),
    "a part under construction without a menu": (
        HOME,
        bare("Annour", f"<h1>Annour</h1><p>{FRENCH}</p><p>Page en construction : galerie.</p>"),
    ),
    "an Italian page": (
        NEWS,
        page(
            "it",
            "Associazione Luce",
            "<h1>La pagina strappata</h1><p>La pagina non trovata del registro è tornata "
            "nell'archivio: "
            "da vent'anni la nostra associazione cura le carte del paese.</p>",
        ),
    ),
    "a bridge in the address": (
        "https://annour.example/projets/pont/suspendu",
        page("fr", "Le pont suspendu – Annour", f"<h1>Le pont suspendu</h1><p>{FRENCH * 3}</p>"),
    ),
    "a person in the address": (
        "https://annour.example/team/lander",
        page("en", "Anna Lander – Annour", f"<h1>Anna Lander</h1><p>{ENGLISH * 3}</p>"),
    ),
    "a workshop about a server": (
        HOME,
        page(
            "en",
            "Welcome to nginx! A workshop for librarians",
            f"<h1>Welcome to nginx!</h1><p>{ENGLISH * 3}</p>",
        ),
    ),
}

# name: (address, page, headers). Little can be read there: unknown or present, never absent.
NEVER_ABSENT: dict[str, tuple[str, str | bytes, dict[str, str]]] = {
    "one image": (
        HOME,
        bare("Annour", '<a href="/accueil"><img src="logo.png" alt="Entrer"></a>'),
        {},
    ),
    "one image without words": (HOME, bare("Annour", '<img src="affiche.jpg">'), {}),
    "a frameset": (
        HOME,
        (
            "<html><head><title>Annour</title></head><frameset><frame src=menu><frame src=corps>"
            "</frameset></html>"
        ),
        {},
    ),
    "an iframe": (HOME, bare("Annour", '<iframe src="https://annour-club.example/"></iframe>'), {}),
    "scripts only": (HOME, bare("Annour", "<div id=app></div><script src=/app.js></script>"), {}),
    "scripts asked for": (
        HOME,
        bare(
            "Annour",
            "<noscript>You need to enable JavaScript to run this app.</noscript>"
            "<div id=root></div><script src=/a.js></script>",
        ),
        {},
    ),
    "a PDF": (HOME, b"%PDF-1.7\n1 0 obj", {"content_type": "application/pdf"}),
    "an intranet": (
        HOME,
        bare(
            "Intranet Annour",
            "<h1>Connexion</h1><form><input name=login><input type=password><button>"
            "Entrer</button></form>",
        ),
        {},
    ),
    "an intranet in Arabic": (
        HOME,
        bare("تسجيل الدخول", "<form><input name=login><input type=password></form>", "ar"),
        {},
    ),
    "a refresh": (
        HOME,
        (
            '<html><head><meta http-equiv="refresh" content="0; url=/fr/accueil"></head>'
            "<body></body>"
            "</html>"
        ),
        {},
    ),
    "an entrance": (HOME, bare("Annour", "<center><a href=/fr/index.html>Entrer</a></center>"), {}),
    "a form of the database error kind": (
        HOME,
        bare("Annour", "<p>Error establishing a database connection</p>"),
        {},
    ),
    "a maintenance page": (
        HOME,
        bare("Annour", "<h1>Site en maintenance</h1><p>Nous revenons bientôt.</p>"),
        {},
    ),
    "a maintenance page in Arabic": (
        HOME,
        bare("الموقع تحت الصيانة", "<p>الموقع تحت الصيانة، نعود قريبا</p>", "ar"),
        {},
    ),
    "a challenge": (HOME, bare("Just a moment...", "<p>Checking your browser</p>", "en"), {}),
    "an empty answer": (HOME, b"", {}),
    "a play-only home": (HOME, bare("Annour", '<video src="/film.mp4" autoplay></video>'), {}),
    "a picture map": (
        HOME,
        bare(
            "Annour",
            '<img usemap="#m" src="carte.png"><map name=m><area href=/nord><area href=/sud>'
            "<area href=/est><area href=/ouest></map>",
        ),
        {},
    ),
}


QUOTED_SENTENCES = (
    "This account has been suspended. Contact your hosting provider.",
    "This domain name is parked free, courtesy of GoDaddy.com",
    "If you see this page, the nginx web server is successfully installed and working.",
    "Looks like this domain isn't connected to a website yet",
)


@pytest.mark.parametrize("sentence", QUOTED_SENTENCES)
def test_sentence_after_600_characters_of_text_is_a_quotation(sentence: str) -> None:
    lengths = {"before": len(FRENCH) * 5, "at the beginning": 0}
    findings = {
        place: probe_site(bare("Annour", f"<p>{(FRENCH * 5)[:length]}</p><p>{sentence}</p>"))
        for place, length in lengths.items()
    }
    assert findings["before"].presence is Presence.PRESENT, findings["before"].detail
    assert findings["at the beginning"].presence is Presence.ABSENT


@pytest.mark.parametrize("name", PRESENT)
def test_page_that_mentions_a_marker_is_present(name: str) -> None:
    url, body = PRESENT[name]
    assert verdict(probe_site(body, url)) == (Presence.PRESENT, None)


@pytest.mark.parametrize("name", NEVER_ABSENT)
def test_page_with_little_text_is_never_absent(name: str) -> None:
    url, body, headers = NEVER_ABSENT[name]
    assert probe_site(body, url, **headers).presence is not Presence.ABSENT


@pytest.mark.parametrize("charset", ["cp1256", "iso-8859-6", "utf-16"])
def test_arabic_page_without_language_is_read(charset: str) -> None:
    body = bare("جمعية النور للتنمية", f"<h1>جمعية النور</h1><p>{ARABIC * 3}</p>", "ar")
    finding = probe_site(body.encode(charset))
    assert (finding.presence, finding.facts["title"]) == (Presence.PRESENT, "جمعية النور للتنمية")
    assert finding.facts["language"] == "ar"


def test_page_with_wrong_language_is_no_absence() -> None:
    finding = probe_site(
        bare("Société", f"<p>{FRENCH}</p>").encode("cp1252"),
        content_type="text/html; charset=utf-8",
    )
    assert (finding.presence, finding.facts["title"]) == (Presence.PRESENT, "Société")
