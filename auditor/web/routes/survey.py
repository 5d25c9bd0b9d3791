"""The survey: questions to an association, answers by telephone, and the figures of the network."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.core.form_limits import MAX_CODE_CHARS
from auditor.core.i18n.catalogs import gettext_noop
from auditor.core.reference.survey import load_questions
from auditor.presentation.views.survey import build_survey
from auditor.web import access
from auditor.web.request_context import PageContext, build_url, require_association_view
from auditor.web.routes.report import CurrentReportRequest
from auditor.web.routes.runs import RESULTS_REQUIRED
from storage.models.audit import SurveyAnswer

router = APIRouter(route_class=access.AccessRoute)

AnswerField = Annotated[str, Form(max_length=MAX_CODE_CHARS)]
OVERVIEW = "all"
"""The value of `question` that selects the page with all answers."""


@router.get("/{language}/survey", dependencies=[access.LOGGED_IN_ACCESS, RESULTS_REQUIRED])
def show_survey(context: PageContext) -> HTMLResponse:
    """Show what was said in 2018, what is declared and what is seen, and all answers."""
    survey = build_survey(context.load_fresh_store(), context.app.config, context.now.date())
    return context.render_page("survey.html", survey=survey)


@router.get("/{language}/report/survey", dependencies=[access.REPORT_LINK_ACCESS])
def show_question(
    report_request: CurrentReportRequest, question: Annotated[str, Query()] = ""
) -> HTMLResponse:
    """Show one question to the association, the first one without an answer, or all its answers."""
    context, questions = report_request.context, load_questions()
    answers = require_association_view(context, report_request.report_link.association).answers
    unanswered = [code for code in questions if code not in answers]
    if question not in questions and question != OVERVIEW:
        question = next(iter(unanswered), OVERVIEW)
    codes = list(questions)
    following = [*codes[codes.index(question) + 1 :], OVERVIEW] if question in questions else []
    return context.render_page(
        "survey_question.html",
        question=questions.get(question),
        number=codes.index(question) + 1 if question in questions else 0,
        next_url=_build_question_url(context, following[0]) if following else "",
        questions=questions,
        answers=answers,
        survey_url=context.links.page_url("report/survey"),
    )


def _build_question_url(context: PageContext, question: str) -> str:
    return build_url(context.links.page_url("report/survey"), {"question": question})


@router.post("/{language}/report/survey", dependencies=[access.REPORT_LINK_ACCESS])
def answer_question(
    report_request: CurrentReportRequest, question: AnswerField, answer: AnswerField = ""
) -> RedirectResponse:
    """Save an answer of the association, or take it back if it is empty, and go on."""
    context, link = report_request.context, report_request.report_link
    _require_answers([(question, answer)])
    context.app.store.survey_answers.replace(
        SurveyAnswer(
            association=link.association,
            question=question,
            answer=answer,
            answered_at=context.now,
            report_link_id=link.id,
        )
    )
    codes = [*load_questions(), OVERVIEW]
    return RedirectResponse(_build_question_url(context, codes[codes.index(question) + 1]), 303)


@router.post(
    "/{language}/associations/{association:path}/survey", dependencies=[access.OWN_REGION_ACCESS]
)
def save_answers(
    context: PageContext,
    association: str,
    answer: Annotated[list[AnswerField], Form()] = [],  # noqa: B006 - FastAPI copies it
) -> RedirectResponse:
    """Save what an association answered on the telephone; `answer` are as in `training:yes`."""
    view = require_association_view(context, association)
    pairs = [(code, value) for code, _, value in (text.partition(":") for text in answer if text)]
    _require_answers(pairs)
    association_url = f"{context.build_association_url(association)}#survey"
    if not pairs:
        return RedirectResponse(association_url, 303)
    survey_answers, submission = context.app.store.survey_answers, (association, tuple(pairs))
    with context.confirmations.lock:  # both requests of a double click arrive together
        if url := context.find_repeated_url(submission):
            return RedirectResponse(url, 303)
        ids = survey_answers.add_all(
            [
                SurveyAnswer(
                    association=view.association.id,
                    question=question,
                    answer=value,
                    answered_at=context.now,
                    author=context.author,
                )
                for question, value in pairs
            ]
        )
        return context.confirm(
            association_url,
            gettext_noop("Answers of {name} saved."),
            lambda _: survey_answers.remove(ids),
            submission=submission,
            name=view.association.display_name(context.language),
        )


def _require_answers(pairs: Iterable[tuple[str, str]]) -> None:
    """Raise HTTPException (422) unless each pair is a question and one of its answers, or none."""
    questions = load_questions()
    for question, answer in pairs:
        if question not in questions or answer not in {"", *questions[question].answers}:
            raise HTTPException(422)
