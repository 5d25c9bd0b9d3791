"""Fields of forms accept as many characters as their pages let people type."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from auditor.conclusions.replies import ReplyForm, StepsForm
from auditor.core import form_limits
from auditor.presentation.reports.html import MAX_TYPED_CHARACTERS, ReportNotice
from auditor.web.routes.associations import MAX_SELECTED, FollowUpForm, SelectionForm
from auditor.web.routes.decisions import DecisionForm, ReplyAnswerForm
from auditor.web.routes.login import LoginForm
from auditor.web.routes.users import NewUserForm
from probes.links.identify import identify_link

ROOT = Path(__file__).parents[4]
TEMPLATES = ROOT / "auditor" / "templates"
REPLY, DECISION = {"kind": "disputed"}, {"kind": "claim"}
ANSWER, SELECTION = {"answer": "declined"}, {"action": "tag"}
TEXT_FIELDS = [
    (ReplyForm, REPLY, "text", form_limits.MAX_NOTES_CHARS),
    (ReplyForm, REPLY, "value", form_limits.MAX_ADDRESS_CHARS),
    (ReplyForm, REPLY, "subject", form_limits.MAX_ADDRESS_CHARS),
    (ReplyForm, REPLY, "gap_code", form_limits.MAX_CODE_CHARS),
    (ReplyForm, REPLY, "channel", form_limits.MAX_CODE_CHARS),
    (ReplyForm, REPLY, "at", form_limits.MAX_PLACE_CHARS),
    (StepsForm, {}, "subject", form_limits.MAX_ADDRESS_CHARS),
    (StepsForm, {}, "gap_code", form_limits.MAX_CODE_CHARS),
    (StepsForm, {}, "channel", form_limits.MAX_CODE_CHARS),
    (StepsForm, {}, "at", form_limits.MAX_PLACE_CHARS),
    (FollowUpForm, {}, "text", form_limits.MAX_NOTES_CHARS),
    (FollowUpForm, {}, "due", form_limits.MAX_CODE_CHARS),
    (DecisionForm, DECISION, "account", form_limits.MAX_ADDRESS_CHARS),
    (DecisionForm, DECISION, "new_url", form_limits.MAX_ADDRESS_CHARS),
    (DecisionForm, DECISION, "channel", form_limits.MAX_CODE_CHARS),
    (DecisionForm, DECISION, "last_activity", form_limits.MAX_CODE_CHARS),
    (DecisionForm, DECISION, "expires_on", form_limits.MAX_CODE_CHARS),
    (DecisionForm, DECISION, "until", form_limits.MAX_CODE_CHARS),
    (DecisionForm, DECISION, "gap_code", form_limits.MAX_CODE_CHARS),
    (DecisionForm, DECISION, "reason", form_limits.MAX_REASON_CHARS),
    (DecisionForm, DECISION, "decision_id", form_limits.MAX_CODE_CHARS),
    (ReplyAnswerForm, ANSWER, "reason", form_limits.MAX_REASON_CHARS),
    (SelectionForm, SELECTION, "tag", form_limits.MAX_TAG_CHARS),
    (LoginForm, {}, "name", form_limits.MAX_TYPED_NAME_CHARS),
    (NewUserForm, {}, "name", form_limits.MAX_TYPED_NAME_CHARS),
    (ReportNotice, {}, "typed", MAX_TYPED_CHARACTERS),
]
LIST_FIELDS = [
    (StepsForm, {}, "step", [1], form_limits.MAX_TICKED_STEPS),
    (NewUserForm, {}, "regions", ["souss"], form_limits.MAX_SELECTED_REGIONS),
    (SelectionForm, SELECTION, "id", ["nour"], MAX_SELECTED),
]


def is_accepted(model, values):
    try:
        model.model_validate(values)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(("model", "others", "field", "limit"), TEXT_FIELDS)
def test_field_accepts_a_text_up_to_its_limit(model, others, field, limit):
    found = [is_accepted(model, {**others, field: "x" * (limit + step)}) for step in (-1, 0, 1)]
    assert found == [True, True, False]


@pytest.mark.parametrize(("model", "others", "field", "values", "limit"), LIST_FIELDS)
def test_field_accepts_a_list_up_to_its_limit(model, others, field, values, limit):
    found = [is_accepted(model, {**others, field: values * (limit + step)}) for step in (-1, 0, 1)]
    assert found == [True, True, False]


@pytest.mark.parametrize(
    ("model", "others", "field", "limit"),
    [row for row in TEXT_FIELDS if row[3] is form_limits.MAX_NOTES_CHARS or row[2] == "reason"],
)
def test_line_break_counts_as_one_character_as_in_a_browser(model, others, field, limit):
    """A browser sends two. A note with many lines, which its page accepted, was refused."""
    text = "a\r\n" * (limit // 2)
    form = model.model_validate({**others, field: text})
    assert getattr(form, field).strip() == text.replace("\r\n", "\n").strip()
    assert not is_accepted(model, {**others, field: f"{text}a"})


def test_account_with_the_longest_address_fits_into_each_form():
    """A reply about the website of a long address was refused."""
    identity = identify_link(f"https://nour.example/{'a' * 9_000}", "website")
    assert len(identity.key) > 4_000
    for model, others, field, limit in TEXT_FIELDS:
        if limit is form_limits.MAX_ADDRESS_CHARS:
            for text in (identity.key, identity.canonical):
                assert is_accepted(model, {**others, field: text}), (model, field)


def list_inputs():
    """Return the file and the tag of each field in which people type."""
    inputs = []
    for file in sorted(TEMPLATES.glob("*.html")):
        tags = re.findall(r"<(?:input|textarea)\b(?:[^>]|\}>)*", file.read_text("utf-8"))
        for tag in tags:
            has_other_type = re.search(r'type="(?!search|email|tel|password)|readonly', tag)
            if 'name="' in tag and not has_other_type:
                inputs.append((file.name, tag))
    return inputs


UNLIMITED_NAMES = {"q", "confirmation"}
"""The server reads a search up to the limit of the request, and compares a confirmation."""


def test_template_takes_the_length_of_each_field_from_a_limit():
    inputs = list_inputs()
    assert len(inputs) > 20
    for file, tag in inputs:
        name = re.search(r'name="(.+?)"', tag)[1]
        length = re.search(
            r'maxlength="\{\{ (?:form_limits\.MAX_|permissions\.MAX_|max_)\w+ \}\}"', tag
        )
        assert length or name in UNLIMITED_NAMES, (file, tag)


def test_no_form_has_a_number_for_a_length():
    for file in (*TEMPLATES.glob("*.html"), *(ROOT / "auditor").rglob("*.py")):
        literal = re.search(r'(?:max_length=|maxlength=")\d+', file.read_text("utf-8"))
        assert literal is None, (file, literal)
