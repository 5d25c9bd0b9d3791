"""Workshops, a survey and attested accounts of the demo, and checks of the months before.

`project.toml` says who came, who answered what, and whose accounts are missing before a day.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import tomli

from auditor.app import App
from auditor.conclusions.network_view import iter_association_views
from auditor.conclusions.replies import ReplyForm, accept_reply, parse_reply, save_reply
from auditor.core.reference.survey import load_questions
from auditor.demo.model import DemoRun
from storage.communication.workshops import Workshop
from storage.models.audit import SurveyAnswer
from storage.models.users import ReplyKind

PROJECT: dict[str, Any] = tomli.loads(
    Path(__file__).with_name("project.toml").read_text(encoding="utf-8")
)
EARLIER_CHECKS: list[int] = PROJECT["earlier_checks"]
"""How many days before the last run the checks of the months before are."""


def schedule_earlier_runs(total_runs: int, now: datetime) -> Iterator[DemoRun]:
    """Yield the runs before the nights of the demo, with numbers until 0."""
    for number, days in enumerate(EARLIER_CHECKS, 1 - len(EARLIER_CHECKS)):
        yield DemoRun(number, total_runs, now - timedelta(days=days))


def find_missing_accounts(demo_run: DemoRun) -> set[tuple[str, str]]:
    """Return the associations, each with a channel, whose account is added after a run."""
    if demo_run.number > 0:
        return set()
    days_ago = EARLIER_CHECKS[demo_run.number - 1]
    return {
        (association, workshop["channel"])
        for workshop in PROJECT["workshops"]
        for days, associations in workshop["added"].items()
        for association in associations
        if int(days) < days_ago
    }


def add_project(app: App, now: datetime) -> None:
    """Hold the workshops, and let associations answer the survey."""
    for entry in PROJECT["workshops"]:
        held_at = now - timedelta(days=entry["days_ago"])
        workshop = Workshop(held_at.date(), entry["title"], entry["channel"], entry["code"])
        attended, absent = entry["attended"], entry["absent"]
        invited_at = held_at - timedelta(days=10)
        app.store.workshops.invite([*attended, *absent], workshop, "Demo", invited_at)
        app.store.workshops.save_attendance(workshop, attended, absent, "Demo", held_at)
    survey, questions = PROJECT["survey"], load_questions()
    app.store.survey_answers.add_all(
        [
            SurveyAnswer(
                association=association,
                question=question,
                answer=list(questions[question].answers)[ord(letter) - ord("a")],
                answered_at=now - timedelta(days=survey["days_ago"]),
            )
            for association, letters in survey["answers"].items()
            for question, letter in zip(survey["questions"], letters, strict=True)
        ]
    )


def add_seen_accounts(app: App, now: datetime) -> None:
    """Let six associations say of a page that no check can see that it works; accept four."""
    day = (now - timedelta(days=3)).date().isoformat()
    unseen = [
        (view, account)
        for view in iter_association_views(app.store, app.config, now)
        for account in view.accounts_on("facebook")
        if account.can_be_attested
    ]
    for number, (view, account) in enumerate(unseen[:6]):
        form = ReplyForm(kind=ReplyKind.SEEN, account_id=account.account_id, value=day)
        reply = save_reply(app.store, parse_reply(form, view, None, now))
        if number < 4:
            options = {"author": "Demo", "reason": "", "default_reason": day}
            accept_reply(app.store, app.config, reply, now=now, **options)
