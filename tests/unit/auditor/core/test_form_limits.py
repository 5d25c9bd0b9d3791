"""Fields of forms accept as many characters as their pages let people type."""

import pytest
from pydantic import ValidationError

from auditor.conclusions.replies import ReplyForm, StepsForm
from auditor.core import form_limits
from auditor.web.routes.associations import FollowUpForm
from auditor.web.routes.decisions import DecisionForm, ReplyAnswerForm
from probes.links.identify import identify_link

REPLY, DECISION, ANSWER = {"kind": "disputed"}, {"kind": "claim"}, {"answer": "declined"}


@pytest.mark.parametrize(
    ("model", "others", "field", "limit"),
    [
        (ReplyForm, REPLY, "text", form_limits.MAX_NOTES_CHARS),
        (FollowUpForm, {}, "text", form_limits.MAX_NOTES_CHARS),
        (DecisionForm, DECISION, "reason", form_limits.MAX_REASON_CHARS),
        (ReplyAnswerForm, ANSWER, "reason", form_limits.MAX_REASON_CHARS),
    ],
)
def test_line_break_counts_as_one_character_as_in_a_browser(model, others, field, limit):
    """A browser sends two. A note with many lines, which its page accepted, was refused."""
    text = "a\r\n" * (limit // 2)
    form = model.model_validate({**others, field: text})
    assert getattr(form, field).strip() == text.replace("\r\n", "\n").strip()
    with pytest.raises(ValidationError, match=field):
        model.model_validate({**others, field: f"{text}a"})


@pytest.mark.parametrize(
    ("model", "others", "fields"),
    [
        (ReplyForm, REPLY, ("value", "subject")),
        (StepsForm, {}, ("subject",)),
        (DecisionForm, DECISION, ("account", "new_url")),
    ],
)
def test_account_with_the_longest_address_fits_into_each_form(model, others, fields):
    """A reply about the website of a long address was refused."""
    identity = identify_link(f"https://nour.example/{'a' * 9_000}", "website")
    assert len(identity.key) > 4_000
    for text in (identity.key, identity.canonical):
        assert model.model_validate({**others, **dict.fromkeys(fields, text)})
