"""The privacy guide lists every column with personal data, and logs contain none."""

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
from tests.support.smtp_and_http_servers import mail_server
from tests.unit.auditor.presentation.notifications.test_delivery import config_for

PAGE = Path(__file__).resolve().parents[4].joinpath("docs/guides/privacy.md").read_text("utf-8")


def named(section):
    """Return the columns that the tables of a section name."""
    columns_found = []
    for row in re.findall(r"^\|.*\|$", section, re.MULTILINE):
        for table, columns in re.findall(r"`(\w+)`:((?: `\w+`)+)", row):
            columns_found += [(table, column) for column in re.findall(r"`(\w+)`", columns)]
    return columns_found


def test_every_column_is_listed_once_as_personal_or_not():
    listed = sorted(named(PAGE))
    assert listed == sorted(
        (table.name, column.name) for table in METADATA.tables.values() for column in table.c
    )


def test_privacy_guide_describes_every_kind_of_personal_data():
    table = PAGE.partition("| what |")[2].partition("\n\n")[0]
    rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in table.splitlines()[2:]]
    assert len(rows) > 10
    assert all(len(row) == 6 and all(cell.strip() for cell in row) for row in rows)


@pytest.mark.fault("F60")
async def test_log_of_a_run_contains_no_personal_data(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(checker, "create_probe", steps)
    caplog.set_level(logging.INFO)
    with mail_server() as box:
        app = opened(
            tmp_path,
            config_for(
                tmp_path, box.port, {"to": "omar@rabat.example"}, {"to": "gone@rabat.example"}
            ),
        )
        register(app)
        contact = Contact(
            "contact@nour.example", "06 12 34 56 78", "Zineb Officer", "Note of Zineb"
        )
        app.store.registry.save_registry(
            [AssociationEntry(Association("nour", "Nour"), contact)], [], START
        )
        _, link = report_links.create_report_link(app.store, app.config, "nour", "Amina", START)
        save_subscription(
            app.store, app.config, "zineb@nour.example", "nour", wanted=True, now=START
        )
        box.refused["gone@rabat.example"] = "550 <gone@rabat.example>: nobody here"
        box.refused["zineb@nour.example"] = "451 try zineb@nour.example later"
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
