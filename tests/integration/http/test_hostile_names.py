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

from auditor.cli import main
from auditor.cli.context import CliContext
from auditor.conclusions.run_results import refresh_summaries
from auditor.conclusions.summary import AssociationFilter
from auditor.config.notifications import NotifySettings
from auditor.core.formatting import CONTROL_CHARACTERS, build_whatsapp_url
from auditor.core.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.core.i18n.translator import Translator
from auditor.presentation import report_links
from auditor.presentation.notifications import delivery, subscriptions, transports
from auditor.presentation.notifications.delivery import draft_digests
from auditor.presentation.notifications.digest import MessageFrame
from auditor.presentation.report_links import select_associations
from auditor.presentation.reports.invitation import ReportLinkAddress, build_invitation_text
from auditor.presentation.views.export import EXPORT_KINDS, ExportRequest, stream_export
from auditor.registry.spreadsheet import to_csv
from storage.models.audit import CONTACT_FIELDS, Decision, DecisionKind
from storage.models.users import ReplyKind
from storage.sanitize import sanitize_text
from storage.tables.communication import Reply
from tests.support import sample_network
from tests.support.all_routes import FORMS, build_paths, build_urls, list_routes, route_params
from tests.support.stored import add_reply
from tests.support.web_server import logged_in_client

pytestmark = pytest.mark.slow

READING_COMMANDS = (
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
"""Commands that print text which people typed."""

MARK = "¤"
"""Part of every hostile text, to find it in the output."""
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
"""The name, place, contact, tag and note of one association each."""


def make_hostile(association):
    text = HOSTILE.get(association.id)
    if text is None:
        return association
    changes = dict.fromkeys(("name", "name_ar", "name_fr", "region", "city", *CONTACT_FIELDS), text)
    return association.replace_values({**changes, "tags": ("rabat", "badge", text)})


def steps(account, keyed=()):
    """The probe of the sample network. Every name that it finds is hostile."""
    finding = yield from STEPS(account, keyed)
    return replace(
        finding,
        name=HOSTILE["nour"],
        detail=HOSTILE["x4"],
        facts={**finding.facts, "title": HOSTILE["amal"]},
    )


STEPS = sample_network.steps


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The sample network, whose associations have hostile names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_network, "PEOPLE", tuple(map(make_hostile, sample_network.PEOPLE)))
        patch.setattr(sample_network, "steps", steps)
        patch.setattr(sample_network, "MARKUP", HOSTILE["nour"])
        patch.setattr(
            sample_network,
            "ACCOUNTS",
            (
                *sample_network.ACCOUNTS,
                *(
                    (association, "facebook", sanitize_text(text), "alive")
                    for association, text in HOSTILE.items()
                ),
            ),
        )
        network_app = sample_network.played(tmp_path_factory.mktemp("network"))
    mail = {
        "from": "auditor@example.org",
        "smtp": {"host": "mail.example.org"},
        "recipients": [
            {"to": f"{language}@example.org", "language": language}
            for language in LOCALE_BY_LANGUAGE
        ],
    }
    network_settings = network_app.config.network.model_copy(update={"name": HOSTILE["nour"]})
    network_app.config = network_app.config.model_copy(
        update={"notify": NotifySettings.model_validate(mail), "network": network_settings}
    )
    for association, text in HOSTILE.items():
        channel = "linkedin"
        network_app.store.decisions.add(
            Decision(association, channel, DecisionKind.WAIVE, text, text, sample_network.NOW)
        )
        add_reply(
            network_app.store,
            Reply(
                association=association,
                kind=ReplyKind.MOVED,
                submitted_at=sample_network.NOW,
                text=text,
                channel="youtube",
                value=text,
            ),
        )
    refresh_summaries(network_app.store, network_app.config)
    yield network_app
    network_app.store.close()


def create_report_link_path(app, association):
    """Return the path of an association's report link."""
    _, link = report_links.create_report_link(
        app.store, app.config, association, HOSTILE["x4"], sample_network.NOW
    )
    return f"/r/{link.rpartition('/')[2]}"


def find_damage(response):
    """Return what a hostile name did to a response."""
    kind = response.headers.get("content-type", "").partition(";")[0]
    if response.status_code >= 500:
        return [response.status_code]
    if kind == "text/html":
        return list(find_escaped_text(html.fromstring(response.text)))
    return (
        list(find_escaped_text(etree.fromstring(response.content)))
        if kind == "image/svg+xml"
        else []
    )


ISOLATING_ELEMENTS = {"bdi", "code", "title", "option", "textarea", "text", "style"}
"""Elements that isolate their text, or contain only one."""


def find_escaped_text(root):
    """Return markup that a name created, and names without bidirectional isolation."""
    for element in root.iter():
        tag = etree.QName(element).localname if isinstance(element.tag, str) else ""
        if tag == "zz" or any(name.startswith("onzz") for name in element.attrib):
            yield etree.tostring(element, encoding="unicode")[:200]
        for text, holder in ((element.text, element), (element.tail, element.getparent())):
            if text and MARK in text and not is_isolated(holder):
                yield f"<{holder.tag}> {text[:80]}"


def is_isolated(element):
    while element is not None:
        if isinstance(element.tag, str) and (
            etree.QName(element).localname in ISOLATING_ELEMENTS or element.get("dir")
        ):
            return element.getparent() is not None
        element = element.getparent()
    return False


@pytest.mark.parametrize("route", route_params("GET"))
def test_hostile_name_is_escaped_on_every_page(app, route):
    params = {"association": tuple(HOSTILE), "language": ("ar",)}
    with logged_in_client(app, sample_network.NOW) as client:
        client.timeout = 60  # to draw a PDF takes a while
        responses = {}
        for association in HOSTILE if "/report" in route.path else ("nour",):
            client.get(create_report_link_path(app, association))
            urls = (
                build_paths(route, **params)
                if "association" in route.param_convertors
                else build_urls(route, **params)
            )
            responses |= {f"{association} {url}": client.get(url) for url in urls}
    assert 401 not in {response.status_code for response in responses.values()}
    assert {
        url: damage for url, response in responses.items() if (damage := find_damage(response))
    } == {}


@pytest.mark.parametrize("route", list_routes("POST"), ids=lambda route: route.path)
def test_hostile_form_values_break_no_page(app, route):
    with logged_in_client(app, sample_network.NOW) as client:
        client.get(create_report_link_path(app, "nour"))
        responses = [
            response
            for text in HOSTILE.values()
            for response in send_forms(client, route, sanitize_text(text))
        ]
    assert [damage for response in responses if (damage := find_damage(response))] == []


def send_forms(client, route, text):
    """Yield the responses to every form of a route, and the pages that they redirect to.

    Each text field has hostile text.
    """
    for path in build_paths(route, association=("x6",)):
        for form in FORMS[route.path.rpartition("/")[2]]:
            data = {name: value if name in CHOICE_FIELDS else text for name, value in form.items()}
            files = None
            if data.pop("spreadsheet", None):
                sheet = to_csv([["id", "name", "facebook", text], ["x6", text, text, text]])
                files = {"spreadsheet": (text, sheet)}
            response = client.post(path, data=data, files=files)
            yield response
            if response.status_code == 303:
                yield client.get(response.headers["location"])


CHOICE_FIELDS = {"kind", "answer", "action", "file_format", "channel", "account_id", "id", "role"}
"""Fields that are a choice or an id."""


@pytest.mark.parametrize("association", HOSTILE)
@pytest.mark.parametrize("language", LOCALE_BY_LANGUAGE)
def test_invitation_keeps_hostile_name_on_its_line(app, association, language):
    [view] = select_associations(app, sample_network.NOW, [association])
    link = "https://reports.example.org/r/x"
    invitation = build_invitation_text(
        view, app.config, ReportLinkAddress(link, sample_network.NOW), language
    )
    assert "\n" not in invitation.subject
    for line in (
        invitation.subject,
        *invitation.body.splitlines(),
        *invitation.short_text.splitlines(),
    ):
        assert not CONTROL_CHARACTERS.search(line)
    assert link in invitation.short_text
    assert not re.search(
        "^Bcc", f"{invitation.subject}\n{invitation.body}\n{invitation.short_text}", re.MULTILINE
    )
    whatsapp_url = build_whatsapp_url("0612345678", invitation.short_text)
    assert re.fullmatch(r"https://wa\.me/212612345678\?text=[\w.~%-]+", whatsapp_url)


def test_mails_with_hostile_names_are_valid(app):
    for association in HOSTILE:
        subscriptions.save_subscription(
            app.store,
            app.config,
            f"{association}@example.org",
            association,
            wanted=True,
            now=sample_network.FIRST,
        )
    run = app.store.runs.get_latest()
    later_digests = draft_digests(app.store, app.config, run, since=sample_network.FIRST.date())
    built = [
        draft.build(
            draft,
            lambda: MessageFrame(
                app.config.network.display_name("en"), "https://a.example/r", "https://a.example/s"
            ),
        )
        for draft in (*delivery.collect_drafts(app, run), *later_digests)
    ]
    messages = list(filter(None, built))
    assert len(messages) > len(HOSTILE)
    for message in messages:
        mail = transports.build_email(
            message, "auditor@example.org", "amina@example.org", HOSTILE["x1"]
        )
        parsed = BytesParser(policy=default).parsebytes(mail.as_bytes())
        assert (parsed["Bcc"], parsed["To"], parsed.defects) == (None, "amina@example.org", [])
        plain, rich = (part.get_content() for part in parsed.iter_parts())
        assert not any(CONTROL_CHARACTERS.search(line) for line in plain.splitlines())
        assert "\nBcc" not in plain
        assert list(find_escaped_text(html.fromstring(rich))) == []


@pytest.mark.parametrize("language", [None, *LOCALE_BY_LANGUAGE])
@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_export_cells_are_no_formulas(app, kind, language):
    translator = Translator(language) if language else None

    def export(form):
        request = ExportRequest(
            kind=kind, format=form, association_filter=AssociationFilter(), translator=translator
        )
        return b"".join(stream_export(request, app, sample_network.NOW))

    lines = list(csv.reader(io.StringIO(export("csv").decode("utf-8-sig"))))
    assert {len(line) for line in lines} == {len(lines[0])}
    assert [
        cell for line in lines for cell in line if cell[:1] in {"=", "@"} or cell[:2] == f"-{MARK}"
    ] == []
    pages = load_workbook(io.BytesIO(export("xlsx"))).worksheets
    assert [
        cell.value
        for page in pages
        for row in page.iter_rows()
        for cell in row
        if cell.data_type == "f"
    ] == []
    items = json.loads(export("json"))["items"]
    names = {item["name"] for item in items if "name" in item}
    assert names <= {sanitize_text(text) for text in HOSTILE.values()} | {
        person.name for person in sample_network.PEOPLE
    }


@pytest.mark.parametrize("command", READING_COMMANDS, ids=" ".join)
def test_command_output_keeps_hostile_names_on_one_line(app, monkeypatch, capsys, command):
    for name in ("open_app", "open_app_for_reading"):
        monkeypatch.setattr(CliContext, name, lambda *_: contextlib.nullcontext(app))
    typed = "\n".join(sanitize_text(text) for text in HOSTILE.values()).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed)))
    assert main.main([*command]) == 0
    output = capsys.readouterr().out
    assert not CONTROL_CHARACTERS.search(output.replace("\t", "").replace("\n", ""))
    if command[0] not in {"report", "report-links", "digest"} or command[1:2] == ["list"]:
        assert len({line.count("\t") for line in output.splitlines()}) == 1
