"""Dates that are no publication, and honest pages that look similar, one cause each."""

from datetime import UTC, datetime, timedelta

import pytest

from probes.models.http import Page
from probes.parsing import html
from probes.publication import latest
from probes.publication.metadata import guess_dates

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
STORY = (
    "L'association accompagne depuis vingt ans les familles du quartier. Chaque semaine, des "
    "bénévoles aident"
    " les enfants à faire leurs devoirs et les mères à apprendre à lire ; les portes sont "
    "ouvertes à toutes"
    " et à tous, sans inscription et sans frais, et le thé est offert après chaque atelier."
)
HISTORY = (
    "تعمل الجمعية منذ سنوات إلى جانب أسر الحي في مجال محو الأمية ودعم التلاميذ كل يوم سبت بدار "
    "الشباب. " * 3
)


def find_page_date(
    body: str, url: str = "https://annour.example/n/bilan", now: datetime = NOW, lang: str = ""
) -> str | None:
    title = "حصيلة الموسم" if "حصيلة" in body else "Le bilan de la saison"
    markup = (
        f'<html lang="{lang}"><head><title>{title} – Annour</title></head><body>{body}</body>'
        f"</html>"
    )
    page = Page(url, 200, {}, markup.encode(), now)
    activity = latest.PageDateFinder(html.parse_document(page), now).find_page_date(lambda: markup)
    return activity.format_iso()[:10] if activity else None


@pytest.fixture(autouse=True, scope="module")
def _loaded_htmldate():
    """Load htmldate once, because that takes longer than most tests."""
    find_page_date(PUBLISHED_NEVER["a place in the future"])


def find_home_date(body: str, now: datetime = NOW, lang: str = "fr") -> str | None:
    markup = (
        f'<html lang="{lang}"><head><title>Annour</title></head>'
        f"<body><h1>Annour</h1>{body}</body></html>"
    )
    page = Page("https://annour.example/", 200, {}, markup.encode(), now)
    activity = latest.PageDateFinder(html.parse_document(page), now).find_newest_publication()
    return activity.newest.format_iso()[:10] if activity else None


H = "<h1>Le bilan de la saison</h1>"
P = f"<p>{STORY}</p>"
AR = "<h1>حصيلة الموسم</h1>"
BEGUN = '<meta property="article:published_time" content="2026-05-01T09:48:24Z">'
LD = '<script type="application/ld+json">%s</script>'

DATELINES = {
    "below the title": (f"{H}<div class=x>3 mai 2026</div>{P}", "2026-05-03"),
    "above the title": (f"<main><span class=x>3 mai 2026</span>{H}{P}</main>", "2026-05-03"),
    "with weekday and hour": (f"{H}<em>lundi 4 mai 2026 à 09h08</em>{P}", "2026-05-04"),
    "between author and story": (f"{H}<p>Salma B.</p><p>|</p><p>3 mai 2026</p>{P}", "2026-05-03"),
    "in a theme that calls the page a sidebar": (
        f'<div class="sidebar-less widget">{H}<time>3 mai 2026</time>{P}</div>',
        "2026-05-03",
    ),
    "the title at its fullest, not the logo": (
        f"<a>Annour, le site des familles</a><p>1 mars 2020</p>{H}<p>3 mai 2026</p>{P}",
        "2026-05-03",
    ),
    "a long sentence of the theme": (
        (
            f"{H}{P}<p>Cet article a été publié le 3 mai 2026 dans la catégorie Quartier par la "
            f"rédaction</p>"
        ),
        "2026-05-03",
    ),
    "in a line with author and rubric": (
        f"{H}<p>Par Salma B. | 3 mai 2026 | Actualités</p>{P}",
        "2026-05-03",
    ),
    "in a line with the author after": (f"{H}<p>3 mai 2026 par Salma B.</p>{P}", "2026-05-03"),
    "said by whom, in English": (
        f"{H}<p>By Salma B. on May 3, 2026 in the news of all</p>{P}",
        "2026-05-03",
    ),
    "said by whom, in Arabic": (
        f"{AR}<p>بواسطة سلمى في 3 ماي 2026</p><p>{HISTORY}</p>",
        "2026-05-03",
    ),
    "in boxes": (f"{H}<b>03</b> <b>Mai</b> <b>2026</b>{P}", "2026-05-03"),
    "in boxes, in Arabic": (f"{AR}<b>٣</b> <b>ماي</b> <b>٢٠٢٦</b><p>{HISTORY}</p>", "2026-05-03"),
    "in two boxes": (f"{H}<b>Dim. 3 mai</b> <b>2026</b>{P}", "2026-05-03"),
    "Arabic": (f"{AR}<div>الأحد 3 ماي 2026</div><p>{HISTORY}</p>", "2026-05-03"),
    "Arabic digits": (f"{AR}<div>٣ ماي ٢٠٢٦</div><p>{HISTORY}</p>", "2026-05-03"),
    "Persian digits": (f"{AR}<div>۳ ماي ۲۰۲۶</div><p>{HISTORY}</p>", "2026-05-03"),
    "Hijri beside Gregorian": (
        f"{AR}<div class=date>16 ذو القعدة 1447 هـ - 3 ماي 2026م</div><p>{HISTORY}</p>",
        "2026-05-03",
    ),
    "half days": (f"{H}<span>2026-05-03 10:50 PM</span>{P}", "2026-05-03"),
    "between marks that disagree": (
        f'{BEGUN}<meta name="publish_date" content="2026-05-03">{H}<p>3 mai 2026</p>{P}',
        "2026-05-03",
    ),
    "Czech": (f"{H}<p>3. prosince 2025</p>{P}", "2025-12-03"),
    "German": (
        f"{H}<p>Dieser Beitrag wurde am Sonntag, 3. Mai 2026 veröffentlicht</p>{P}",
        "2026-05-03",
    ),
    "a place and the day": (f"{H}<p>Rabat, le 3 mai 2026</p>{P}", "2026-05-03"),
    "a place and the day, without a comma": (f"{H}<p>Salé le 3 mai 2026</p>{P}", "2026-05-03"),
    "a place, a land and the day": (f"{H}<p>Sidi Kacem, Maroc, le 3 mai 2026</p>{P}", "2026-05-03"),
    "a place and the day alone": (f"{H}<p>Rabat, 3 mai 2026</p>{P}", "2026-05-03"),
    "a place and the day, in Arabic": (
        f"{AR}<p>الدار البيضاء في 3 ماي 2026</p><p>{HISTORY}</p>",
        "2026-05-03",
    ),
    "a place and the day, with a colon": (
        f"{AR}<p>فاس، في: 3 ماي 2026</p><p>{HISTORY}</p>",
        "2026-05-03",
    ),
    "a place and the day, in Spanish": (f"{H}<p>Tetuán, a 3 de mayo de 2026</p>{P}", "2026-05-03"),
    "a place and the day, in German": (f"{H}<p>Neustadt, den 3. Mai 2026</p>{P}", "2026-05-03"),
    "a place, the day and the agency": (
        f"{H}<b>Rabat, 3 mai 2026 (ANP)</b> – Le bal{P}",
        "2026-05-03",
    ),
    "a place and the day before the first words": (
        f"{H}<p>Neustadt, 03.05.2026. Die Tür steht wieder offen, und der Tee ist heiß.</p>{P}",
        "2026-05-03",
    ),
    "a communiqué of the day": (f"{H}<p>Communiqué n° 4 du 3 mai 2026</p>{P}", "2026-05-03"),
    "a communiqué, its place and day": (
        f"{H}<p>Communiqué du bureau, Fès, le 3 mai 2026</p>{P}",
        "2026-05-03",
    ),
    "a press release of the day": (f"{H}<p>Pressemitteilung vom 03.05.2026</p>{P}", "2026-05-03"),
    "a numbered press release": (
        f"{H}<p>Pressemitteilung 7/2026, 3. Mai 2026</p>{P}",
        "2026-05-03",
    ),
    "at the foot of a communiqué": (f"{H}{P}<p>Fait à Rabat, le 3 mai 2026.</p>", "2026-05-03"),
    "a label with its vowels": (f"{AR}<p>{HISTORY}</p><p>نُشِرَ فِي ٣ ماي ٢٠٢٦</p>", "2026-05-03"),
    "an hour of Europe": (f"{H}<p>Posted 03/04/2026 5:30 PM CET</p>{P}", "2026-04-03"),
    "Chinese": (f"{H}<p class=date>2026年5月3日</p>{P}", "2026-05-03"),
    "a moment that the page counts from": (
        f'{H}<abbr class=timeago title="2026-05-03T09:30:00Z">six months ago</abbr>{P}',
        "2026-05-03",
    ),
}

TONGUES = {
    "Portuguese": ("pt", "<p>Publicado em 3 de maio de 2026</p>"),
    "Brazilian, in an element called data": (
        "pt-br",
        "<i class=data>03/05/2026 às 09h41</i><i class=novo>Atualizado em 05/06/2026</i>",
    ),
    "Brazilian, abbreviated": ("pt-br", "<span>3.mai.2026 às 10h23</span>"),
    "Portuguese, with a place": ("pt", "<p>Faro, 3 de maio de 2026</p>"),
    "Italian": ("it", "<p>Pubblicato domenica 3 maggio 2026 da Anna</p>"),
    "Italian, then changed": ("it", "<p>Pubblicato il 03/05/2026 – Ultima modifica 07/08/2026</p>"),
    "Dutch": ("nl", "<p>Geplaatst op <b>zondag 3 mei 2026</b>, 14:20</p>"),
    "Dutch, then changed": ("nl", "<p>03-05-2026 (bijgewerkt op 07-08-2026)</p>"),
    "Swedish": ("sv", "<p class=date>Publicerad 3 maj 2026</p>"),
    "Danish": ("da", "<p class=date>3. maj 2026</p>"),
    "Polish": ("pl", "<p class=info>Opublikowano: 3 maja 2026, 09:00 | Autor: red.</p>"),
    "Czech": ("cs", "<p class=date>Vloženo: 3. května 2026</p>"),
    "Romanian": ("ro", "<p class=date>Publicat pe 3 mai 2026</p>"),
    "Catalan": ("ca", "<p class=date>Publicat el 3 de maig de 2026</p>"),
    "a tongue we do not read, in numbers": ("vi", "<p class=date>Chủ nhật, 3/5/2026, 07:00</p>"),
    "German, changed and written": (
        "de",
        "<p>Zuletzt aktualisiert am 06.07.2026, erstellt am 03.05.2026</p>",
    ),
    "Spanish, a sentence of the theme": (
        "es",
        (
            "<p>Esta entrada fue publicada el domingo 3 de mayo de 2026 en la categoría de las "
            "actividades</p>"
        ),
    ),
    "French, changed and written": (
        "fr",
        "<p>Mis à jour le 06/06/2026 à 12:00 – Créé le 03/05/2026</p>",
    ),
}

LATEST = "".join(
    f"<a>Bal {n}</a><span class=post-date>{n} novembre 2026</span>" for n in (9, 12, 17)
)
NOT_ITS_OWN = {
    "latest posts in a sidebar": ("fr", f"<aside>{LATEST}</aside>"),
    "the same, each of its own kind": (
        "fr",
        "<aside>"
        + "".join(f"<i class=p{n}>{n} novembre 2026</i>" for n in (9, 12, 17))
        + "</aside>",
    ),
    "latest posts, in German": ("de", "<h3>Aktuelle Beiträge</h3><p class=date>3. Mai 2026</p>"),
    "latest posts, in Spanish": (
        "es",
        "<h3>Últimas noticias</h3><p class=date>3 de mayo de 2026</p>",
    ),
    "most read, in Portuguese": ("pt", "<h2>Mais lidas</h2><p class=data>24/10/2026</p>"),
    "latest news, in Italian": ("it", "<h3>Ultime notizie</h3><p class=data>3 maggio 2026</p>"),
    "latest news, in Dutch": (
        "nl",
        "<aside><h3>Laatste nieuws</h3><p>Bal – 3 mei 2026</p></aside>",
    ),
    "thoughts on it": (
        "en",
        "<h2>2 thoughts on “The whole long title of this page”</h2><p class=date>3 May 2026</p>",
    ),
    "answers to it": ("de", "<h2>2 Antworten zu „Bilanz“</h2><p class=date>3. Mai 2026</p>"),
    "reflections on it": (
        "fr",
        "<h2>3 réflexions sur « Le bilan »</h2><p class=date>3 mai 2026</p>",
    ),
    "a change, in Portuguese": ("pt", "<p class=date>Atualizado em 3 de maio de 2026</p>"),
    "a change, in Italian": ("it", "<p class=date>Ultimo aggiornamento: 3 maggio 2026</p>"),
    "a change, in Polish": ("pl", "<p class=date>Zaktualizowano: 3 maja 2026</p>"),
    "a span of days, in Spanish": ("es", "<p class=date>del 5 al 7 de marzo de 2026</p>"),
    "a span of days, in Portuguese": ("pt", "<p class=date>5 a 7 de março de 2026</p>"),
    "a change, in German": ("de", "<p class=date>Stand: 3. Mai 2026</p>"),
    "the day of an event, in Portuguese": (
        "pt",
        "<p class=data>Data do evento: 3 de maio de 2026</p>",
    ),
    "a deadline, in Spanish": ("es", "<p>Fecha límite: 3 de mayo de 2026</p>"),
    "a deadline, in German": ("de", "<p class=date>Anmeldeschluss: 3. Mai 2026</p>"),
    "a member since, in German": ("de", "<p class=info>Mitglied seit 3. Mai 2016</p>"),
    "an appointment, in Italian": ("it", "<p class=date>Si terrà il 3 maggio 2026</p>"),
}

PUBLISHED_NEVER = {
    "a span of days": f"{H}<p>du 5 au 7 mars 2026</p>{P}",
    "a span by dash": f"{H}<p>5-7 mars 2026</p>{P}",
    "a span of whole dates": f"{H}<p>05/03/2026 - 07/03/2026</p>{P}",
    "a span in English": f"{H}<p>5th & 6th March 2026</p>{P}",
    "a span in Arabic": f"{AR}<p>من 5 إلى 7 مارس 2026</p><p>{HISTORY}</p>",
    "a deadline": f"{H}<p>Date limite</p><p>5 mars 2026</p>{P}",
    "a deadline in Arabic": f"{AR}<p>آخر أجل للتسجيل:</p><p>5 مارس 2026</p><p>{HISTORY}</p>",
    "a closing day": f"{AR}<p class=date>تاريخ الإغلاق : 24/02/2026</p><p>{HISTORY}</p>",
    "an appointment": f"{H}<p class=date>Rendez-vous le 5 mars 2026</p>{P}",
    "a member since": f"{H}<dl><dt>Membre depuis</dt><dd>5 mars 2026</dd></dl>{P}",
    "a member since, in Arabic": f"{AR}<p>تاريخ التسجيل: 5 مارس 2026</p><p>{HISTORY}</p>",
    "a last visit": f"{H}<p class=date>Dernière visite : 5 mars 2026</p>{P}",
    "a birth": f"{H}<p class=date>Née le 5 mars 1960 à Salé</p>{P}",
    "what took place on a day": f"{H}<p>Atelier le 5 mars 2026</p>{P}",
    "what was signed on a day": f"{H}<p>Signée le 5 mars 2026</p>{P}",
    "a place in the future": f"{H}<p>Rabat, le 5 décembre 2026</p>{P}",
    "a place and the day of an event": f"{H}<p class=event>Rabat, le 5 mars 2026</p>{P}",
    "an article of a day, in a sentence": f"{H}<p>Lire l'article du 5 mars 2026 du journal d'en "
    f"face</p>{P}",
    "what somebody did in a place": f"{H}<p>On a fait à Salé un grand bal le 5 mars 2026</p>{P}",
    "a change, and a foundation": f"{H}<p>Site mis à jour le 5 mai 2026, groupe créé le 5 mars "
    f"2012</p>{P}",
    "a receipt of the authorities": f"{H}<p>Récépissé n° 14 du 5 mars 2012</p>{P}",
    "a royal decree": f"{H}<p class=info>Dahir du 15 novembre 1998</p>{P}",
    "a royal decree in Arabic": f"{AR}<p class=date>ظهير 15 نونبر 1998</p><p>{HISTORY}</p>",
    "a foundation in Arabic": f"{AR}<p>تأسست الجمعية في</p><p>5 مارس 2012</p><p>{HISTORY}</p>",
    "a change": f"{H}<p class=date>Mis à jour le 5 mars 2026</p>{P}",
    "a change without hamza": f"{AR}<p class=date>اخر تعديل: 5 مارس 2026</p><p>{HISTORY}</p>",
    "a change marked for machines": (
        f'{H}<span itemprop="dateModified">2026-03-05 15:18:01</span>{P}'
    ),
    "a day of prayer": f"{H}<p class=info>Fajr, 19 novembre 2026 : 5h42</p>{P}",
    "a Hijri day": f"{AR}<p class=date>15 محرم 1446</p><p>{HISTORY}</p>",
    "a comment": f"{H}{P}<h3>2 commentaires</h3><p>Hamid</p><p class=date>5 mars 2026</p><p>Bravo "
    f"!</p>",
    "a comment in Arabic": f"{AR}<p>{HISTORY}</p><h3>التعليقات</h3><p class=date>5 مارس 2026</p>",
    "other pages' days": (
        f"{H}{P}<h3>Articles similaires</h3><p>Fête</p><p class=date>5 mars 2026</p>"
        "<p>Bal</p><p>6 mars 2026</p>"
    ),
    "the title's own day": f"<h1>Le bilan de la saison 3 mai 2026</h1>{P}",
    "an element for an event": f"{H}<div class=event-date>5 mars 2026</div>{P}",
    "an element for a countdown": f"{H}<div class=countdown-date>5 mars 2026</div>{P}",
    "the server's clock": f'<meta name="date" content="2026-11-20T02:59:00">{H}{P}',
    "statutes": f"{H}<li>Statuts adoptés le 5 mars 2012</li>{P}",
    "a day in a sentence": f"{H}<p>Nous étions à la maison des jeunes le 5 mars 2026 avec vous "
    f"tous</p>{P}",
    "another page's address": f'{H}{P}<a href="/html/20260305/k1.html">Bal</a>',
    "a picture's name": f'{H}{P}<img src="/files/2026-03-05-bal.jpg" alt="Bal">',
    "the copyright": f"{H}{P}<footer>© 2019 - 2026 Annour</footer>",
    "an empty date": f'{H}<time datetime="-0001-11-30T00:00:00+00:00">30 novembre -0001</time>{P}',
    "no date": f'{H}<time datetime="0000-00-00">0000-00-00</time>{P}',
    "the first second": f'{H}<time datetime="1970-01-01T00:00:00Z">1 janvier 1970</time>{P}',
    "the future": f"{H}<p class=date>25 décembre 2026</p>{P}",
    "a book": (LD % '{"@type": "Book", "datePublished": "1998-03-05"}' + H + P),
    "news listed beside it": (
        '<script type="application/ld+json">[{"@type": "NewsArticle", "url": '
        '"https://annour.example/n/bal",'
        '"datePublished": "2026-03-05"}, {"@type": "NewsArticle", "url": '
        '"https://annour.example/n/fete",'
        '"datePublished": "2026-03-06"}]</script>' + H + P
    ),
}

PUBLISHED_ALL_THE_SAME = {
    "a title that speaks of a deadline": (
        f"<h1>Le bilan de la saison</h1><h2>Clôture du projet</h2><p class=date>3 mai 2026</p>{P}",
        "2026-05-03",
    ),
    "a date and an hour after a dash": (f"{H}<p>10:30 - 12 mars 2026</p>{P}", "2026-03-12"),
    "an hour after a date": (f"{H}<p class=date>3 mai 2026 - 14h30</p>{P}", "2026-05-03"),
    "published, then changed": (
        f"{H}<p>Publié le 3 mai 2026, mis à jour le 5 octobre 2026</p>{P}",
        "2026-05-03",
    ),
    "a date, then changed": (
        f"{H}<p class=date>3 mai 2026 (modifié le 5 octobre 2026)</p>{P}",
        "2026-05-03",
    ),
    "comments announced above": (
        f"<nav><p>Commentaires</p></nav>{H}<p>{STORY}</p><p class=date>3 mai 2026</p>",
        "2026-05-03",
    ),
    "a news of the day of the look, in its article": (
        f"<article>{H}<p class=date>20 novembre 2026</p>{P}</article>",
        "2026-11-20",
    ),
    "an article with an old film": (
        LD % '{"@type": "VideoObject", "name": "Bal", "uploadDate": "2019-03-05"}'
        + f'<meta property="article:published_time" content="2026-05-03">{H}{P}',
        "2026-05-03",
    ),
    "a meta date of yesterday": (f'<meta name="date" content="2026-11-19">{H}{P}', "2026-11-19"),
    "a clock for an icon": (f"{H}<span class='fa fa-clock-o'> 3 mai 2026</span>{P}", "2026-05-03"),
    "the day of the publication, said at length": (
        f"{H}<p>Date de la publication : 3 mai 2026</p>{P}",
        "2026-05-03",
    ),
    "an invitation to join above": (
        f"{AR}<p>انضم إلينا</p><p>3 ماي 2026</p><p>{HISTORY}</p>",
        "2026-05-03",
    ),
    "a trend": (f"{H}<div class=trend-date>3 mai 2026</div>{P}", "2026-05-03"),
    "broken JSON-LD": (
        '<script type="application/ld+json">{"@type": "NewsArticle", "headline": "Le "bilan"",'
        '"datePublished": "2026-05-03T10:00:00+01:00",}</script>' + H + P,
        "2026-05-03",
    ),
    "JSON-LD that names no address": (
        LD
        % '{"@type": "NewsArticle", "mainEntityOfPage": "http://[x", "datePublished": "2026-05-03"}'
        + H
        + P,
        "2026-05-03",
    ),
    "a story that says since, in German": (
        f"{H}<p><b>(03.05.2026) Der Tee ist heiß. Seit 2007 für alle.</b></p>{P}",
        "2026-05-03",
    ),
    "below a word of other pages, in German": (
        (
            f"{H}{P}<b>Siehe auch:</b> <a>Bal</a><p>Dieser Artikel wurde am 3. Mai 2026 um 14:48 "
            "von Anna</p>"
        ),
        "2026-05-03",
    ),
    "a guess that the page bears out": (f"{H}{P}<p>Salé, 3.5.2026</p>", "2026-05-03"),
}


@pytest.mark.parametrize("name", DATELINES)
def test_date_near_the_title_is_the_page_date(name: str) -> None:
    body, day = DATELINES[name]
    assert find_page_date(body) == day


@pytest.mark.parametrize("name", TONGUES)
def test_date_is_parsed_in_the_page_language(name: str) -> None:
    lang, line = TONGUES[name]
    assert find_page_date(f"{H}{line}{P}<aside>{LATEST}</aside>", lang=lang) == "2026-05-03"


@pytest.mark.parametrize("name", NOT_ITS_OWN)
def test_dates_of_other_content_are_ignored_in_every_language(name: str) -> None:
    lang, beside = NOT_ITS_OWN[name]
    assert find_page_date(f"<article>{H}{P}{P}</article>{beside}", lang=lang) is None


@pytest.mark.parametrize("name", PUBLISHED_NEVER)
def test_other_dates_give_no_publication(name: str) -> None:
    assert find_page_date(PUBLISHED_NEVER[name]) is None


@pytest.mark.parametrize("name", PUBLISHED_ALL_THE_SAME)
def test_similar_honest_page_keeps_its_date(name: str) -> None:
    body, day = PUBLISHED_ALL_THE_SAME[name]
    assert find_page_date(body) == day


@pytest.mark.parametrize("path", ["histoire/", "qui-sommes-nous.html", "contact", "من-نحن"])
def test_static_page_is_not_dated_by_its_text(path: str) -> None:
    text = (
        f"{H}<p class=date>15 mars 1998</p><p>Le 15 mars 1998, dix femmes ont fondé la "
        f"maison.</p>{P}"
    )
    assert find_page_date(text, f"https://annour.example/{path}") is None
    assert find_page_date(BEGUN + text, f"https://annour.example/{path}") == "2026-05-01"


def test_date_in_an_event_address_is_ignored() -> None:
    assert find_page_date(H + P, "https://annour.example/evenements/2026-03-05-bal/") is None
    assert (
        find_page_date(H + P, "https://annour.example/actualites/2026-03-05-bal/") == "2026-03-05"
    )


def test_news_list_has_the_newest_date_but_an_article_next_to_it_none() -> None:
    news = "".join(
        f'<li><time datetime="2026-0{n}-05">5.{n}.</time> Bal {n}</li>' for n in (5, 6, 7)
    )
    assert (
        find_page_date(f"{H}<ul>{news}</ul>", "https://annour.example/fr/actualites/")
        == "2026-07-05"
    )
    assert find_page_date(f"{H}{P}<ul>{news}</ul>", "https://annour.example/fr/le-bilan") is None


HOMES = {
    "news in a list": ("<p class=date>3 mai 2026</p><p class=date>3 juin 2026</p>", "2026-06-03"),
    "under a heading that says updates": (
        "<h2>Dernières mises en ligne</h2><h2>Latest updates</h2><p class=date>3 mai 2026</p>",
        "2026-05-03",
    ),
    "under a heading that says latest, in Arabic": (
        "<h2>آخر الأخبار</h2><p class=date>3 ماي 2026</p>",
        "2026-05-03",
    ),
    "with weekday": ("<small>mercredi 16 septembre 2026</small>", "2026-09-16"),
    "events from day to day": ("<a>5 mars 2026 - 6 mars 2026</a><a>9 mars 2026</a>", None),
    "events and news of another kind": (
        "<a>5 mars 2026 - 6 mars 2026</a><a>9 mars 2026</a><p class=date>3 février 2026</p>",
        "2026-02-03",
    ),
    "a ticket": ("<em>18 & 19 mars 2026</em>", None),
    "a clock": ("<div class=date>Vendredi 20 novembre 2026</div>", None),
    "a clock for machines": (
        '<header><time datetime="2026-11-20">20 novembre</time></header>',
        None,
    ),
    "news of today for machines": (
        '<article><time datetime="2026-11-20">20 novembre</time>Bal</article>',
        "2026-11-20",
    ),
    "two languages of one day": (
        "<p class=date>3 mai 2026</p><p class=date>03/05/2026</p>",
        "2026-05-03",
    ),
    "the day first": ("<p class=date>17/02/2026</p><p class=date>10/02/2026</p>", "2026-02-17"),
    "a default post": ("<h2>Bonjour tout le monde !</h2><p class=date>3 mai 2026</p>", None),
    "a default post in Arabic": ("<h2>أهلاً بالعالم !</h2><p class=date>3 ماي 2026</p>", None),
    "a theme's demonstration": (
        (
            "<p class=date>3 mai 2026</p><p>Lorem ipsum dolor</p><p class=date>4 mai 2026</p>"
            "<p>Lorem ipsum</p>"
        ),
        None,
    ),
    "one filler left over": (
        "<p class=date>3 mai 2026</p><p>Bal</p><p class=date>4 mai 2026</p><p>Lorem ipsum</p>",
        "2026-05-04",
    ),
    "a law": ("<p class=info>Loi n° 75 du 3 mai 2026</p>", None),
    "an archive that counts": ("<a>novembre 2026</a> <b>12</b> <a>octobre 2026</a> <b>7</b>", None),
    "news in boxes": (
        "<b>3</b><b>mai</b><b>2026</b> Bal <b>5</b><b>mai</b><b>2026</b> Fête",
        "2026-05-05",
    ),
    "an archive of months": ("<ul><li>novembre 2026</li><li>octobre 2026</li></ul>", None),
    "a cookie banner": ("<div class=info>Politique mise à jour le 3 mai 2026</div>", None),
    "two-digit years": ("<p class=date>03/05/26</p>", None),
}


@pytest.mark.parametrize("name", HOMES)
def test_home_page_has_its_newest_publication(name: str) -> None:
    body, day = HOMES[name]
    assert find_home_date(body + P) == day


def test_clock_in_rabat_is_no_publication() -> None:
    """At half past eleven UTC it is the next day in Morocco."""
    late = NOW.replace(hour=23, minute=30)
    tomorrow = "<div class=date>Samedi 21 novembre 2026</div>"
    assert find_home_date(tomorrow + P, late) is None
    assert find_home_date(f"<article>{tomorrow}Bal</article>", late) == "2026-11-21"


def test_yesterday_is_no_clock() -> None:
    assert find_home_date("<div class=date>Jeudi 19 novembre 2026</div>" + P) == "2026-11-19"


def test_last_ten_publications_determine_the_rhythm() -> None:
    days = [NOW - timedelta(days=7 * n) for n in range(1, 13)] + [datetime(2012, 1, 2, tzinfo=UTC)]
    body = "".join(f"<p class=date>{day:%d/%m/%Y}</p>" for day in days)
    markup = f'<html lang="fr"><title>Annour</title>{body}'
    page = Page("https://annour.example/", 200, {}, markup.encode(), NOW)
    result = latest.PageDateFinder(html.parse_document(page), NOW).find_newest_publication()
    assert result is not None
    assert result.rhythm_days == 7


def test_malformed_page_logs_no_error(caplog) -> None:
    assert guess_dates("https://annour.example/a", (), [NOW], "<p>") == [None]
    assert not caplog.records


@pytest.mark.parametrize(
    "ahead",
    [
        '<script>var x = {"datePublished": "2026-06-02"}</script>',
        "<aside><p>Rabat, 2 June 2026</p></aside>",
    ],
    ids=["for machines", "in words"],
)
def test_page_depends_on_the_day_until_a_guessed_day_has_passed(ahead):
    now = datetime(2026, 5, 26, tzinfo=UTC)
    markup = (
        f"<html><head><title>Camp</title></head><body><h1>Camp</h1><p>{STORY}</p>"
        f"{ahead}</body></html>"
    )
    page = Page("https://annour.example/camp-story-of-us", 200, {}, markup.encode(), now)
    dating = latest.PageDateFinder(html.parse_document(page), now)
    assert dating.find_page_date(lambda: markup) is None
    assert dating.depends_on_day


def test_page_depends_on_the_day_if_htmldate_may_change_within_weeks():
    now = datetime(2026, 11, 25, 1, tzinfo=UTC)
    ahead = "<p>Date limite : 15/12/2026</p>"
    markup = (
        f"<html lang=fr><title>Camp</title><p>Rabat, le 3 mai 2026</p><p>{STORY}</p>{ahead}</html>"
    )
    page = Page("https://annour.example/projets/camp-de-la-mer", 200, {}, markup.encode(), now)
    dating = latest.PageDateFinder(html.parse_document(page), now)
    dating.find_page_date(lambda: markup)
    assert dating.depends_on_day
