"""The survey of the network: what the associations said in 2018, say today, and what checks see.

Every figure is read from the stored counts.
"""

from datetime import date
from typing import Any

from auditor.conclusions.association_view import OFFICER_QUESTION, REGISTRY
from auditor.conclusions.summary import (
    FIXING_PERIOD,
    NO_ANSWER_FACET,
    build_channel_figures,
    to_percent,
)
from auditor.config.schema import Config
from auditor.core.reference.survey import load_questions
from storage.models.summaries import ALL_FACET, NETWORK_GROUP
from storage.store import Store

MIN_COMPARED = 8
"""The smallest group whose share of fixed problems is shown."""


def build_survey(
    store: Store, config: Config, today: date, group: str = NETWORK_GROUP
) -> dict[str, Any]:
    """Return what the template of the survey shows, of the network or of a group.

    `channels` have their figures and the number of associations that `declared` an account, that is
    to say registered one. An answer has its number and the interval of its share in percent: from
    the associations that gave it to these and all that gave none. `officers` compare how many
    problems were fixed in time, with a dedicated person and without one; `share` is None if one
    side is too small.
    """
    counts = store.counts.get_facet_counts(group)
    total = counts.get(ALL_FACET, 0)
    questions = []
    for question in load_questions().values():
        numbers = {
            answer: counts.get(f"answer:{question.code}:{answer}", 0) for answer in question.answers
        }
        unanswered_count = total - sum(numbers.values())
        answers = [
            {
                "code": answer,
                "count": count,
                "low": to_percent(count, total),
                "high": to_percent(count + unanswered_count, total),
            }
            for answer, count in numbers.items()
        ]
        questions.append(
            {"question": question, "unanswered_count": unanswered_count, "answers": answers}
        )
    return {
        "association_count": total,
        "answered_count": total - counts.get(NO_ANSWER_FACET, 0),
        "registry_count": counts.get(f"answer:{OFFICER_QUESTION}:{REGISTRY}", 0),
        "channels": [
            (figures, counts.get(f"status:{figures.channel}:declared", 0))
            for figures in build_channel_figures(counts, config)
            if figures.is_shown
        ],
        "questions": questions,
        "officers": _compare_officers(store, group, counts, today),
    }


def _compare_officers(
    store: Store, group: str, counts: dict[str, int], today: date
) -> list[dict[str, Any]]:
    fixed = store.counts.count_fixed_gaps(today - FIXING_PERIOD, group)
    officers = []
    answers = load_questions()[OFFICER_QUESTION].answers
    for is_dedicated in (True, False):
        side = [answer for answer in answers if (answer == "dedicated") is is_dedicated]
        association_count = sum(
            counts.get(f"answer:{OFFICER_QUESTION}:{answer}", 0) for answer in side
        )
        fixed_count = sum(fixed.get((answer, True), 0) for answer in side)
        gap_count = fixed_count + sum(fixed.get((answer, False), 0) for answer in side)
        is_large = min(association_count, gap_count) >= MIN_COMPARED
        officers.append(
            {
                "is_dedicated": is_dedicated,
                "association_count": association_count,
                "fixed_count": fixed_count,
                "gap_count": gap_count,
                "share": to_percent(fixed_count, gap_count) if is_large else None,
            }
        )
    return officers
