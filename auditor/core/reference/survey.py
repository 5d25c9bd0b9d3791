"""The questions of the survey and their possible answers. The data is in `survey.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import tomli


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its possible answers. Texts are by language."""

    code: str
    text: Mapping[str, str]
    answers: Mapping[str, Mapping[str, str]]


@cache
def load_questions() -> Mapping[str, Question]:
    """Return the questions by code, in the order in which they are asked."""
    table = tomli.loads(files("auditor.core.reference").joinpath("survey.toml").read_text("utf-8"))
    return {
        code: Question(code, text=entry, answers=entry.pop("answers"))
        for code, entry in table.items()
    }


def format_answer(question: str, answer: str, language: str) -> str:
    """Return an answer in a language, or the text itself if it is none of the answers."""
    return load_questions()[question].answers.get(answer, {}).get(language, answer)
