"""Large imports run in child processes: they do not hold the server, and end at a deadline."""

import re
from contextlib import ExitStack

import pytest

from auditor.app import App
from auditor.config.schema import Config
from auditor.registry import sheet_limits
from auditor.registry.spreadsheet import to_csv
from auditor.web import import_process
from auditor.web.routes import registry as routes
from tests.support.web_server import logged_in_client

ROWS = [["name", "city", "facebook"], ["Amal", "Agadir", "@amal.agadir"], ["", "Fès", "@x"]]
NOTHING_SMALL = import_process.SMALL_UPLOAD_LIMITS._replace(rows=1)


@pytest.fixture
def app(tmp_path):
    with App.open(Config.model_validate({"storage": {"folder": tmp_path / "data"}})) as opened:
        yield opened


@pytest.fixture
def no_small_imports(monkeypatch):
    monkeypatch.setattr(import_process, "SMALL_UPLOAD_LIMITS", NOTHING_SMALL)


def upload(client, rows=ROWS):
    files = {"spreadsheet": ("sheet.csv", to_csv(rows))}
    return client.post("/en/registry", files=files)


def list_uploads(app):
    folder = app.data_folder / "uploads"
    return list(folder.iterdir()) if folder.is_dir() else []


def play_import(client):
    """Import a spreadsheet, and return what the pages of each step show."""
    answers = [upload(client)]
    preview_url = answers[0].headers["location"]
    answers.append(client.get(preview_url))
    [digest] = re.findall(r'name="digest" value="(\w+)"', answers[1].text)
    answers.append(client.post(preview_url, data={"action": "import", "digest": digest}))
    answers.append(client.get(answers[2].headers["location"]))
    texts = [answer.text.replace(preview_url.rsplit("/")[-1], "UPLOAD") for answer in answers]
    return [answer.status_code for answer in answers], texts


@pytest.mark.fault("F74")
@pytest.mark.slow  # starts three processes
def test_large_import_is_answered_as_a_small_one(app, tmp_path, monkeypatch):
    with logged_in_client(app) as client:
        large_limits = []
        read_upload = routes.parse_registry_spreadsheet

        def record_limits(path, language, entries, memory, limits):
            large_limits.append(limits)
            return read_upload(path, language, entries, memory, limits)

        monkeypatch.setattr(routes, "parse_registry_spreadsheet", record_limits)
        monkeypatch.setattr(import_process, "SMALL_UPLOAD_LIMITS", NOTHING_SMALL)
        large = play_import(client)
        assert set(large_limits) == {NOTHING_SMALL}  # the server itself reads one row
    assert app.store.registry.count_registered() == (1, 1)
    assert not list_uploads(app)
    folder = tmp_path / "other"
    with App.open(Config.model_validate({"storage": {"folder": folder}})) as other:
        monkeypatch.setattr(import_process, "SMALL_UPLOAD_LIMITS", sheet_limits.UPLOAD_LIMITS)
        with logged_in_client(other) as client:
            small = play_import(client)
    assert small == large
    assert small[0] == [303, 200, 303, 200]


@pytest.mark.fault("F74")
@pytest.mark.parametrize("step", ["upload", "preview"])
def test_import_is_refused_at_its_deadline(app, monkeypatch, step):
    with logged_in_client(app) as client:
        if step == "preview":
            preview_url = upload(client).headers["location"]
        monkeypatch.setattr(import_process, "SMALL_UPLOAD_LIMITS", NOTHING_SMALL)
        monkeypatch.setattr(import_process, "MAX_IMPORT_SECONDS", 0)
        response = upload(client) if step == "upload" else client.get(preview_url)
    assert response.status_code == 422
    assert "takes more than 0 seconds" in response.text.replace("<bdi>", "").replace("</bdi>", "")
    assert not list_uploads(app)


@pytest.mark.fault("F74")
@pytest.mark.parametrize(("running", "status"), [(0, 422), (1, 422), (2, 503)])
def test_further_large_imports_are_refused(app, monkeypatch, no_small_imports, running, status):
    """Each waited in a thread, and forty of them were all threads that answer pages."""
    monkeypatch.setattr(import_process, "MAX_IMPORT_SECONDS", 0)
    with logged_in_client(app) as client, ExitStack() as stack:
        for _ in range(running):
            stack.enter_context(import_process._process_slots)
        response = upload(client)
    assert response.status_code == status
    assert not list_uploads(app)
    if status == 503:
        assert "Other imports are in progress" in response.text
        assert response.headers["retry-after"] == "60"


@pytest.mark.parametrize(("limit", "status"), [(2, 303), (1, 303), (0, 503)])
def test_large_registry_is_compared_in_a_child_process(app, monkeypatch, limit, status):
    with logged_in_client(app) as client:
        preview_url = upload(client).headers["location"]
        page = client.get(preview_url).text
        [digest] = re.findall(r'name="digest" value="(\w+)"', page)
        client.post(preview_url, data={"action": "import", "digest": digest})
        monkeypatch.setattr(import_process, "MAX_SMALL_REGISTRY", limit)
        with import_process._process_slots, import_process._process_slots:
            assert upload(client).status_code == status


@pytest.mark.parametrize("name", ["rows", "chars"])
@pytest.mark.parametrize(("step", "status"), [(1, 303), (0, 303), (-1, 503)])
def test_small_spreadsheet_is_imported_without_a_child_process(
    app, monkeypatch, name, step, status
):
    rows = [["name", "facebook"], ["Amal", "@a"], ["Nour", "@b"]]
    size = {"rows": 3, "chars": 26}[name]
    limits = import_process.SMALL_UPLOAD_LIMITS._replace(**{name: size + step})
    monkeypatch.setattr(import_process, "SMALL_UPLOAD_LIMITS", limits)
    with (
        logged_in_client(app) as client,
        import_process._process_slots,
        import_process._process_slots,
    ):
        assert upload(client, rows).status_code == status
