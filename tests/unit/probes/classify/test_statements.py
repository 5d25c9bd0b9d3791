"""Statements: where they count, in which languages, and the form of their table."""

import re
from collections import defaultdict

import pytest

from probes.classify.page_model import find_statements, load_statement_rows, replace_hosts
from probes.models.finding import Reason
from probes.parsing.html import parse_html

URL = "https://www.annour.example/"


def find_in(markup: str) -> set[tuple[Reason, str]]:
    """Return the reasons and places of the statements of a page."""
    return {(one.reason, one.place) for one in find_statements(parse_html(markup, URL))}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("This account has been suspended", Reason.SUSPENDED),
        ("annour.example is expired or suspended", Reason.SUSPENDED),
        ("Ce site a été désactivé pour impayé", Reason.SUSPENDED),
        ("تم تعليق حساب الاستضافة لعدم السداد", Reason.SUSPENDED),
        ("Acceso suspendido por mora", Reason.SUSPENDED),
        ("Layanan web hosting berhenti untuk sementara", Reason.SUSPENDED),
        ("annour.example is for sale", Reason.PARKED),
        ("Ce nom de domaine est à vendre", Reason.PARKED),
        ("هذا النطاق للبيع", Reason.PARKED),
        ("Este dominio está en venta", Reason.PARKED),
        ("Domen sotiladi", Reason.PARKED),
        ("We are launching our new website", Reason.DEFAULT_PAGE),
        ("Site en cours de construction", Reason.DEFAULT_PAGE),
        ("الموقع قيد التطوير", Reason.DEFAULT_PAGE),
        ("Sitio en construcción", Reason.DEFAULT_PAGE),
        ("Sedang dalam mode pengembangan", Reason.DEFAULT_PAGE),
        ("Hacked by Atlas Crew", Reason.HIJACKED),
        ("The web page is not available through Atlas Telecom", Reason.BLOCKED),
        ("Vérification de sécurité", Reason.BLOCKED),
        ("هذا الموقع محجوب", Reason.BLOCKED),
        ("No eres un robot", Reason.BLOCKED),
        ("正在确认你是不是机器人！", Reason.BLOCKED),
        ("Log in to your account", Reason.LOGIN_WALL),
        ("Connectez-vous", Reason.LOGIN_WALL),
        ("اسم المستخدم", Reason.LOGIN_WALL),
        ("Iniciar sesión", Reason.LOGIN_WALL),
        ("Bakım çalışması", Reason.SERVER_ERROR),
        ("المتجر مغلق مؤقتاً", Reason.SERVER_ERROR),
        ("Site momentanément indisponible", Reason.SERVER_ERROR),
        ("Fuera de servicio", Reason.SERVER_ERROR),
        ("Page introuvable", Reason.NOT_FOUND),
        ("الصفحة غير موجودة", Reason.NOT_FOUND),
    ],
)
def test_statement_is_found_in_its_language(text, reason):
    assert reason in {found for found, _ in find_in(f"<h1>{text}</h1>")}


@pytest.mark.parametrize(
    ("reason", "texts"),
    [
        (
            Reason.SUSPENDED,
            [
                "Votre hébergement a été désactivé",
                "Se ha suspendido el acceso a la red",
                "Site suspenso por falta de pagamento",
                "Il servizio è stato sospeso",
                "Dieses Kundenkonto wurde vorübergehend deaktiviert",
                "Deze website is uitgeschakeld wegens wanbetaling",
                "Работа сайта приостановлена",
                "Сайт тимчасово заблоковано",
                "Bu web sitesi askıya alınmıştır",
                "HESABINIZ ASKIYA ALINMIŞTIR",
                "Situs ini telah dinonaktifkan",
                "该网站已被暂停",
                "このアカウントは停止されています",
                "호스팅이 일시 제한되었습니다",
                "Konto zostało zawieszone",
                "Contul a fost suspendat",
                "Webové stránky byly pozastaveny",
                "Website này đã bị tạm khóa",
                "این سایت مسدود شده است",
                "Webbplatsen är avstängd",
                "تم إيقاف خدمة الاستضافة",
                "حساب الاستضافة موقوف",
            ],
        ),
        (
            Reason.PARKED,
            [
                "Intéressé par ce nom de domaine ?",
                "Dominio a la venta",
                "Este domínio único está disponível para venda",
                "Questo dominio è stato registrato",
                "Diese Domain kaufen",
                "Dit domein is gereserveerd",
                "Домен выставлен на продажу",
                "Домен зареєстровано",
                "Bu alan adı satılıktır",
                "Domain ini telah didaftarkan",
                "此域名出售",
                "このドメインは取得されています",
                "Domena została zaparkowana",
                "Domeniul este înregistrat",
                "Doména je na prodej",
                "Tên miền này đang được rao bán",
                "این دامنه به فروش می‌رسد",
                "Domänen är parkerad",
                "هذا النطاق محجوز",
            ],
        ),
        (
            Reason.DEFAULT_PAGE,
            [
                "Notre boutique est en cours de création",
                "Pagina en construccion",
                "Estamos trabalhando em algo incrível",
                "Il sito è in fase di allestimento",
                "Hier entsteht eine neue Website",
                "Deze site is in aanbouw",
                "Скоро здесь будет новый сайт",
                "Сайт у процесі розробки",
                "Sitemiz yapım aşamasındadır",
                "Situs sedang dalam pembangunan",
                "网站建设中",
                "近日公開",
                "Strona w budowie",
                "Site în construcție",
                "Stránky jsou ve výstavbě",
                "Trang web đang được xây dựng",
                "سایت در دست طراحی است",
                "Detta är en standard index sida på din webbplats",
                "Sidan är under uppbyggnad",
                "الموقع في مرحلة التطوير",
                "انتظرونا قريبًا",
            ],
        ),
        (
            Reason.NOT_FOUND,
            [
                "Oups ! Cette page a disparu",
                "Esta página se ha perdido",
                "Não conseguimos encontrar a página",
                "Ops! Pagina non trovata",
                "Die Seite wurde verschoben",
                "Deze pagina is verwijderd",
                "Такой страницы нет",
                "Сторінку не знайдено",
                "Aradığınız sayfa bulunamadı",
                "Halaman tidak ditemukan",
                "您访问的页面不存在",
                "お探しのページは見つかりません",
                "Strona nie istnieje",
                "Pagina nu a fost gasita",
                "Stránka neexistuje",
                "Không tìm thấy trang",
                "صفحه مورد نظر یافت نشد",
                "Sidan kunde inte hittas",
                "عذراً، الصفحة المطلوبة غير موجودة",
            ],
        ),
        (
            Reason.HIJACKED,
            [
                "Site piraté par Atlas",
                "Este sitio fue hackeado",
                "Este site foi invadido",
                "Website telah diretas",
                "Siber ordusu tarafından hacklendi",
                "Сайт взломан",
                "تم إختراق الموقع",
                "G0tcha, dear admin",
            ],
        ),
    ],
)
def test_statement_is_found_in_many_languages(reason, texts):
    assert [text for text in texts if reason not in {found for found, _ in find_in(text)}] == []


@pytest.mark.parametrize(
    ("text", "proof"),
    [
        ("Página En Construcción", "Página En Construcción"),
        ("Pagina en construccion", "Pagina en construccion"),
        ("الموقع قيد الإنشاء", "الموقع قيد الإنشاء"),
    ],
)
def test_statement_is_found_with_and_without_accents(text, proof):
    assert [one.text for one in find_statements(parse_html(text, URL))] == [proof]


def test_ban_of_the_visitors_address_is_no_suspension():
    assert {reason for reason, _ in find_in("您的 IP 地址已被系统封禁，暂时无法访问此页面")} == {
        Reason.BLOCKED
    }


def test_statement_counts_in_title_headings_and_beginning_of_the_text():
    words = "Site suspendu"
    found = find_in(f"<title>{words}</title><h1>{words}</h1><p>{words}</p>")
    assert found == {(Reason.SUSPENDED, place) for place in ("title", "heading", "text")}


def test_statement_far_down_the_page_does_not_count():
    headings = "".join(f"<h2>Action {number}</h2>" for number in range(3))
    text = "Nos bénévoles plantent des arbres. " * 20
    assert find_in(f"{headings}<p>{text}</p><h2>Site suspendu</h2>") == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("annour.example is sold", "<own> is sold"),
        ("www.annour.example is sold", "<own> is sold"),
        ("b.example is sold", "<host> is sold"),
        ("write to a@b.example", "write to a@b.example"),
        ("https://b.example/path", "https://b.example/path"),
        ("n’est plus", "n'est plus"),
    ],
)
def test_hosts_are_replaced(text, expected):
    assert replace_hosts(text, "annour.example") == expected


def test_every_pattern_compiles_and_matches_no_empty_text():
    sources = [source for row in load_statement_rows() for source in row.patterns]
    assert [source for source in sources if re.search(source, "", re.IGNORECASE)] == []
    assert len(sources) == len(set(sources))


def test_every_pattern_is_in_lower_case():
    sources = [source for row in load_statement_rows() for source in row.patterns]
    letters = [re.sub(r"\\.", "", source) for source in sources]
    assert [source for source in letters if source != source.lower()] == []


def test_every_entry_has_language_codes():
    codes = [code for row in load_statement_rows() for code in row.languages]
    assert [code for code in codes if not re.fullmatch("[a-z]{2}", code)] == []


def test_main_languages_have_statements_of_every_reason():
    languages = defaultdict(set)
    for row in load_statement_rows():
        languages[row.reason].update(row.languages)
    missing = {reason: {"en", "fr", "es", "ar"} - codes for reason, codes in languages.items()}
    assert not any(missing.values())
