"""The privacy guide names every table, and logs contain no personal data."""

import logging
import re
from pathlib import Path

import pytest

from auditor.checking import checker
from auditor.presentation import report_links
from auditor.presentation.notifications.subscriptions import save_subscription
from auditor.runs.pipeline import run_audit_pipeline
from storage.models.audit import Association, AssociationEntry, Contact
from storage.tables import communication, runs, summaries, users  # noqa: F401  # their tables belong to the metadata
from storage.tables.core import METADATA
from tests.support.mini_network import START, opened, register, steps
from tests.unit.auditor.presentation.notifications.test_delivery import config_for

PAGE = Path(__file__).resolve().parents[4].joinpath("docs/guides/privacy.md").read_text("utf-8")


def test_privacy_guide_names_every_table_once():
    cells = [row.split("|")[2] for row in PAGE.splitlines() if row.startswith("| ")]
    cells += re.findall(r"No personal data is in ((?:`\w+` ?)+)", PAGE)
    names = re.findall(r"`(\w+)`", " ".join(cells))
    assert sorted(names) == sorted([*METADATA.tables, "archive", "uploads"])


@pytest.mark.slow
@pytest.mark.fault("F60")
async def test_log_of_a_run_contains_no_personal_data(tmp_path, mailbox, monkeypatch, caplog):
    monkeypatch.setattr(checker, "create_probe", steps)
    caplog.set_level(logging.INFO)
    app = opened(
        tmp_path,
        config_for(
            tmp_path, mailbox.port, {"to": "omar@rabat.example"}, {"to": "gone@rabat.example"}
        ),
    )
    register(app)
    contact = Contact("contact@nour.example", "06 12 34 56 78", "Zineb Officer", "Note of Zineb")
    app.store.registry.save_registry(
        [AssociationEntry(Association("nour", "Nour"), contact)], [], START
    )
    _, link = report_links.create_report_link(app.store, app.config, "nour", "Amina", START)
    save_subscription(app.store, app.config, "zineb@nour.example", "nour", wanted=True, now=START)
    mailbox.refused["gone@rabat.example"] = "550 <gone@rabat.example>: nobody here"
    mailbox.refused["zineb@nour.example"] = "451 try zineb@nour.example later"
    await run_audit_pipeline(app, START)
    app.store.close()
    log_text = "\n".join(
        record.getMessage() for record in caplog.records if record.name != "mail.log"
    )  # its server's
    assert log_text.count("not delivered") == 2
    for secret in (
        "gone@",
        "zineb@",
        "contact@",
        "omar@",
        "06 12",
        "Zineb",
        link.rpartition("/")[2],
    ):
        assert secret not in log_text, secret
