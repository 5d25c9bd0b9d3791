"""Texts are read up to each limit."""

import pytest

from probes.text.language import (
    MAX_ANALYZED_CHARS,
    MAX_FOLDED_CHARS,
    MIN_TEXT_MATCHES,
    detect_language,
    fold_text,
)

STEPS = (-1, 0, 1)


@pytest.mark.parametrize("step", STEPS)
def test_language_is_detected_at_the_beginning_of_a_text(step):
    """One letter less than needed is left if the text is cut."""
    text = ("ж" * MIN_TEXT_MATCHES).rjust(MAX_ANALYZED_CHARS + step)
    assert bool(detect_language(text)) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_text_is_folded(step):
    folded = fold_text("É" * (MAX_FOLDED_CHARS + step))
    assert folded == "e" * min(MAX_FOLDED_CHARS, MAX_FOLDED_CHARS + step)
