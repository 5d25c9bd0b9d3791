"""Erasing an association leaves nothing of what it answered, was invited to or agreed to."""

import logging
import re
from datetime import timedelta

from auditor.config.schema import BackupSettings, WebSettings
from auditor.presentation import report_links
from auditor.presentation.reports.html import publish_site
from auditor.presentation.views.export import EXPORT_KINDS, ExportRequest, stream_export
from auditor.retention import create_backup
from auditor.runs.erasure import erase_association
from auditor.runs.run import execute_run
from storage.communication.workshops import Workshop
from storage.models.audit import Association, SurveyAnswer
from tests.support.mini_network import link, lived, night_of
from tests.support.web_server import PUBLIC, anonymous_client, logged_in_client

NOW = night_of(1) + timedelta(hours=8)
NAME = "Zitounia-of-the-test"
OTHERS = ("amal", "nour")
HELD = Workshop(night_of(0).date(), "A channel", "facebook", "channel_missing")


@lived
async def app(network):
    """One association has answers, consent, an invitation and a living channel."""
    rows = [link(name, "youtube", name.lower()) for name in (*OTHERS, NAME)]
    associations = [Association(name, name) for name in (*OTHERS, NAME)]
    network.store.registry.save_registry(associations, rows, night_of(0) - timedelta(hours=1))
    network.web.answers = {row.typed_text: "fresh" for row in rows}
    for day in (0, 1):
        await execute_run(network, night_of(day))
    for question, answer in (("example", "yes"), ("training", "yes")):
        row = SurveyAnswer(association=NAME, question=question, answer=answer, answered_at=NOW)
        network.store.survey_answers.add_all([row])
    network.store.workshops.invite([NAME, *OTHERS], HELD, "Amina", night_of(0))
    network.store.workshops.save_attendance(HELD, [NAME], OTHERS, "Amina", night_of(0))


def read_everything(app, folder):
    """Return all pages, exports, published pages and a backup, by name."""
    app.config = app.config.model_copy(update={"backup": BackupSettings(folder=folder / "backups")})
    texts = {}
    with logged_in_client(app, NOW) as client:
        for path in (
            "",
            "associations",
            "survey",
            "workshops",
            "final-report",
            "meeting",
            "changes",
        ):
            texts[path] = client.get(f"/en/{path}").text
        found = re.search(r"/en/workshops/\d+", texts["workshops"])
        texts["workshop"] = client.get(found[0]).text
    for kind in EXPORT_KINDS:
        request = ExportRequest(kind=kind, format="json")
        texts[f"export {kind}"] = b"".join(stream_export(request, app, NOW)).decode()
    publish_site(app, folder / "pages", NOW)
    for page in (folder / "pages").rglob("*.html"):
        texts[str(page)] = page.read_text("utf-8")
    backup = create_backup(app.store, app.body_store, app.config, NOW).backup
    texts["backup"] = str(backup.file.read_bytes())
    texts["database"] = str(app.store.database_file.read_bytes())
    return texts


def find_name(texts):
    return {place for place, text in texts.items() if NAME in text}


def test_erased_association_leaves_no_trace_of_the_project(app, tmp_path):
    before = find_name(read_everything(app, tmp_path / "before"))
    places = {
        "associations",
        "workshop",
        "final-report",
        "export associations",
        "backup",
        "database",
    }
    assert places <= before
    result = erase_association(app, NAME, "Amina", NOW)
    assert result.is_clean
    assert {"survey_answer", "follow_up"} <= result.stored_data.keys()
    assert find_name(read_everything(app, tmp_path / "after")) == set()


def test_token_of_a_report_link_is_nowhere_after_the_survey(app, caplog):
    caplog.set_level(logging.DEBUG, "auditor")
    app.config = app.config.model_copy(update={"web": WebSettings(public_url=PUBLIC)})
    _, url = report_links.create_report_link(app.store, app.config, NAME, "Amina", NOW)
    token = url.rpartition("/")[2]
    with anonymous_client(app, NOW) as browser:
        browser.get(f"/r/{token}")
        answer = {"question": "example", "answer": "no"}
        page = browser.get(browser.post("/en/report/survey", data=answer).headers["location"])
    assert page.status_code == 200
    database = app.store.database_file
    files = [database, database.with_name(f"{database.name}-wal")]
    assert not [file for file in files if file.exists() and token.encode() in file.read_bytes()]
    own = [record.getMessage() for record in caplog.records if record.name.startswith("auditor")]
    assert own
    assert token not in page.text + "".join(own)
