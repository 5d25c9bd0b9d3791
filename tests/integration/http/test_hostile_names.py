"""Hostile text in names is escaped on pages, in files, mails and on the terminal."""

import contextlib
import csv
import io
import json
import re
from dataclasses import replace
from email.parser import BytesParser
from email.policy import default

import pytest
from lxml import etree, html
from openpyxl import load_workbook

from auditor import report_links
from auditor.cli import main
from auditor.cli.context import CliContext
from auditor.config.notifications import NotifySettings
from auditor.core.formatting import CONTROL_CHARACTERS
from auditor.evaluation.network_view import load_association_view
from auditor.evaluation.summary import AssociationFilter
from auditor.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.i18n.translator import Translator
from auditor.notifications import delivery, subscriptions, transports
from auditor.notifications.drafts import DraftLinks, draft_digests
from auditor.registry.columns import build_whatsapp_url
from auditor.registry.spreadsheet import to_csv
from auditor.report_links import ReportLinkAddress, build_invitation_text, select_associations
from auditor.reports.html import render_badge
from auditor.views.export import EXPORT_KINDS, ExportRequest, stream_export
from storage.models.audit import CONTACT_FIELDS, Decision, DecisionKind
from storage.models.users import Reply, ReplyKind
from storage.sanitize import sanitize_text
from tests.support import sample_network
from tests.support.all_routes import FORMS, build_paths, build_urls, list_routes, route_params
from tests.support.web_server import logged_in_client

READING = (
    *(
        ("gaps",),
        ("status",),
        ("decide", "list"),
        ("registry", "history"),
        ("report-links", "list"),
        ("identify",),
    ),
    *(
        ("report",),
        *(
            ("report", who)
            for who in ("nour", "amal", "long", "bare", "x0", "x1", "x2", "x3", "x4", "x5")
        ),
    ),
    *(
        ("digest", "--dry-run"),
        ("digest", "subscriptions"),
        ("report-links", "text", "x1", "--author", "Amina"),
    ),
    *(("report-links", "text", "amal", "--mail", "--author", "Amina"),),
)
"""Commands that tell of what people typed."""

MARK = "¤"
"""Stands in everything that is hostile, so that it is found again."""
HOSTILE = {
    "nour": f"{MARK}<zz onzz=1>\"'><zz></bdi></title></style>",
    "amal": f"\u202e\u2066{MARK}Nour\u202e",
    "long": f"{MARK}" + "جمعية النور للتنمية " * 10,
    "bare": f"{MARK}" + "ن" * 200,
    "x0": f"{MARK}\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1f2\U0001f1e6",
    "x1": f"{MARK}Nour\r\nBcc: x@evil.example\n\n.\n",
    "x2": f"\u0301\u0651{MARK}",
    "x3": f'=HYPERLINK("https://evil.example/";"{MARK}")',
    "x4": f"@{MARK}{{x}} {{0}} %s %(x)s {{{{ 7*7 }}}} [[x]] \\N{{x}}",
    "x5": f"-{MARK}\ttab\x00\x1b[31m\x07\ud800",
}
"""What stands as the name, place, contact, tag and note of one association after the other."""


def hostile(person):
    said = HOSTILE.get(person.id)
    if said is None:
        return person
    named = dict.fromkeys(("name", "name_ar", "name_fr", "region", "city", *CONTACT_FIELDS), said)
    return person.replace_values({**named, "tags": ("rabat", "badge", said)})


def steps(account, keyed=()):
    """The probe of the small network. Every name that it finds is hostile."""
    found = yield from STEPS(account, keyed)
    return replace(
        found,
        name=HOSTILE["nour"],
        detail=HOSTILE["x4"],
        facts={**found.facts, "title": HOSTILE["amal"]},
    )


STEPS = sample_network.steps


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The small network, whose associations have hostile names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_network, "PEOPLE", tuple(map(hostile, sample_network.PEOPLE)))
        patch.setattr(sample_network, "steps", steps)
        patch.setattr(sample_network, "MARKUP", HOSTILE["nour"])
        patch.setattr(
            sample_network,
            "ACCOUNTS",
            (
                *sample_network.ACCOUNTS,
                *((who, "facebook", sanitize_text(said), "alive") for who, said in HOSTILE.items()),
            ),
        )
        played = sample_network.played(tmp_path_factory.mktemp("network"))
    mail = {
        "from": "auditor@example.org",
        "smtp": {"host": "mail.example.org"},
        "recipients": [
            {"to": f"{language}@example.org", "language": language}
            for language in LOCALE_BY_LANGUAGE
        ],
    }
    named = played.config.network.model_copy(update={"name": HOSTILE["nour"]})
    played.config = played.config.model_copy(
        update={"notify": NotifySettings.model_validate(mail), "network": named}
    )
    for who, said in HOSTILE.items():
        channel = "linkedin"
        played.store.add_decision(
            Decision(who, channel, DecisionKind.WAIVE, said, said, sample_network.NOW)
        )
        played.store.add_reply(
            Reply(
                who, ReplyKind.MOVED, sample_network.NOW, text=said, channel="youtube", value=said
            )
        )
    yield played
    played.store.close()


def letter(app, association):
    """Return the path of an association's report link."""
    _, link = report_links.create_report_link(
        app.store, app.config, association, HOSTILE["x4"], sample_network.NOW, keep_older_links=True
    )
    return f"/r/{link.rpartition('/')[2]}"


def broken(answer):
    """Return what a hostile name did to a response."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status_code >= 500:
        return [answer.status_code]
    if kind == "text/html":
        return list(escaped(html.fromstring(answer.text)))
    return list(escaped(etree.fromstring(answer.content))) if kind == "image/svg+xml" else []


ALONE = {"bdi", "code", "title", "option", "textarea", "text", "style"}
"""Elements that isolate what is in them, or hold nothing else."""


def escaped(root):
    """Return elements and attributes that a name created, and names without bidirectional isolation."""
    for element in root.iter():
        tag = etree.QName(element).localname if isinstance(element.tag, str) else ""
        if tag == "zz" or any(name.startswith("onzz") for name in element.attrib):
            yield etree.tostring(element, encoding="unicode")[:200]
        for said, holder in ((element.text, element), (element.tail, element.getparent())):
            if said and MARK in said and not isolated(holder):
                yield f"<{holder.tag}> {said[:80]}"


def isolated(element):
    while element is not None:
        if isinstance(element.tag, str) and (
            etree.QName(element).localname in ALONE or element.get("dir")
        ):
            return element.getparent() is not None
        element = element.getparent()
    return False


@pytest.mark.parametrize("route", route_params("GET"))
def test_hostile_name_is_escaped_on_every_page(app, route):
    given = {"association": tuple(HOSTILE), "language": ("ar",)}
    with logged_in_client(app, sample_network.NOW) as client:
        client.timeout = 60  # to draw a PDF takes a while
        answers = {}
        for who in HOSTILE if "/report" in route.path else ("nour",):
            client.cookies.clear()
            client.get(letter(app, who))
            asked = (
                build_paths(route, **given)
                if "association" in route.param_convertors
                else build_urls(route, **given)
            )
            answers |= {f"{who} {way}": client.get(way) for way in asked}
    assert {way: said for way, answer in answers.items() if (said := broken(answer))} == {}


@pytest.mark.slow
@pytest.mark.parametrize("route", list_routes("POST"), ids=lambda route: route.path)
def test_hostile_form_values_break_no_page(app, route):
    with logged_in_client(app, sample_network.NOW) as client:
        client.get(letter(app, "nour"))
        answers = [
            answer
            for said in HOSTILE.values()
            for answer in sent(client, route, sanitize_text(said))
        ]
    assert [said for answer in answers if (said := broken(answer))] == []


def sent(client, route, said):
    """Return the responses to every form of a route, with hostile text in each text field."""
    for path in build_paths(route, association=("x6",)):
        for form in FORMS[route.path.rpartition("/")[2]]:
            if "sheet" in form:
                sheet = to_csv([["id", "name", "facebook", said], ["x6", said, said, said]])
                yield client.post(path, files={"sheet": (sanitize_text(said), sheet)})
            else:
                yield client.post(
                    path, data={name: told if name in KEPT else said for name, told in form.items()}
                )


KEPT = {"kind", "answer", "act", "form"}
"""Fields that are a choice."""


def test_hostile_text_is_detected_if_unescaped():
    page = f"""<html dir=rtl><body><p>{MARK} loose <bdi>{MARK} kept</bdi></p>{HOSTILE["nour"]}"""
    assert len(list(escaped(html.fromstring(page)))) == 4


@pytest.mark.parametrize("who", HOSTILE)
@pytest.mark.parametrize("language", LOCALE_BY_LANGUAGE)
def test_invitation_keeps_hostile_name_on_its_line(app, who, language):
    [view] = select_associations(app, sample_network.NOW, [who])
    link = "https://reports.example.org/r/x"
    told = build_invitation_text(
        view, app.config, ReportLinkAddress(link, sample_network.NOW), sample_network.NOW, language
    )
    assert "\n" not in told.subject
    for line in (told.subject, *told.body.splitlines(), *told.short_text.splitlines()):
        assert not CONTROL_CHARACTERS.search(line)
    assert link in told.short_text
    assert not re.search("^Bcc", f"{told.subject}\n{told.body}\n{told.short_text}", re.MULTILINE)
    opened = build_whatsapp_url("0612345678", told.short_text)
    assert re.fullmatch(r"https://wa\.me/212612345678\?text=[\w.~%-]+", opened)


def test_mails_with_hostile_names_are_valid(app):
    for who in HOSTILE:
        subscriptions.save_subscription(
            app.store, app.config, f"{who}@example.org", who, wanted=True, now=sample_network.FIRST
        )
    night = app.store.get_latest_run()
    since = draft_digests(app.store, app.config, night, since=sample_network.FIRST.date())
    drafts = [
        draft for draft in (*delivery.collect_drafts(app, night), *since) if draft.build_message
    ]
    told = [
        draft.build_message(DraftLinks("https://a.example/s", "https://a.example/r"))
        for draft in drafts
    ]
    assert len(told) > len(HOSTILE)
    for one in told:
        mail = transports.build_email(
            one, "auditor@example.org", "amina@example.org", HOSTILE["x1"]
        )
        read = BytesParser(policy=default).parsebytes(mail.as_bytes())
        assert (read["Bcc"], read["To"], read.defects) == (None, "amina@example.org", [])
        plain, rich = (part.get_content() for part in read.iter_parts())
        assert not any(CONTROL_CHARACTERS.search(line) for line in plain.splitlines())
        assert "\nBcc" not in plain
        assert list(escaped(html.fromstring(rich))) == []


@pytest.mark.parametrize("who", HOSTILE)
def test_badge_with_hostile_name_is_valid_svg(app, who):
    view = load_association_view(app.store, app.config, who)
    for language in LOCALE_BY_LANGUAGE:
        assert (
            list(
                escaped(etree.fromstring(render_badge(view, sample_network.NOW, language).encode()))
            )
            == []
        )


@pytest.mark.parametrize("language", [None, *LOCALE_BY_LANGUAGE])
@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_export_cells_are_no_formulas(app, kind, language):
    words = Translator(language) if language else None

    def exported(form):
        asked = ExportRequest(
            kind=kind, format=form, association_filter=AssociationFilter(), translator=words
        )
        return b"".join(stream_export(asked, app, sample_network.NOW))

    lines = list(csv.reader(io.StringIO(exported("csv").decode("utf-8-sig"))))
    assert {len(line) for line in lines} == {len(lines[0])}
    assert [
        cell for line in lines for cell in line if cell[:1] in {"=", "@"} or cell[:2] == f"-{MARK}"
    ] == []
    pages = load_workbook(io.BytesIO(exported("xlsx"))).worksheets
    assert [
        cell.value
        for page in pages
        for row in page.iter_rows()
        for cell in row
        if cell.data_type == "f"
    ] == []
    items = json.loads(exported("json"))["items"]
    names = {item["name"] for item in items if "name" in item}
    assert names <= {sanitize_text(said) for said in HOSTILE.values()} | {
        one.name for one in sample_network.PEOPLE
    }


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_command_output_keeps_hostile_names_on_one_line(app, monkeypatch, capsys, command):
    monkeypatch.setattr(CliContext, "open_app", lambda _: contextlib.nullcontext(app))
    monkeypatch.setattr(
        "sys.stdin", io.StringIO("\n".join(sanitize_text(said) for said in HOSTILE.values()))
    )
    assert main.main([*command]) == 0
    told = capsys.readouterr().out
    assert not CONTROL_CHARACTERS.search(told.replace("\t", "").replace("\n", ""))
    if command[0] not in {"report", "letters", "digest"} or command[1:2] == ["list"]:
        assert len({line.count("\t") for line in told.splitlines()}) == 1
