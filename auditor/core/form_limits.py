"""Limits of the fields of forms, in the order of pages. Templates take `maxlength` from here.

A browser counts a line break as one character and sends two, so `FormText` joins them first.
"""

from typing import Annotated

from pydantic import BeforeValidator

from probes.links.normalize import MAX_CELL_CHARS
from storage.sanitize import sanitize_text

MAX_USER_NAME_CHARS = 100
"""Maximum length of a user's name."""
MAX_TYPED_NAME_CHARS = 1_000
"""Characters of a name that a form reads to say that it is wrong or too long."""
MAX_SELECTED_REGIONS = 100
"""Regions that the form of a user can name."""
MAX_SEARCH_CHARS = 200
"""Characters of a search for associations, also for their exports and report links."""
MAX_TAG_CHARS = 60
"""Characters of a tag that is added to selected associations."""
MAX_NOTES_CHARS = 2_000
"""Characters of the notes of a follow-up, and of the text of a reply."""
MAX_REASON_CHARS = 500
"""Characters of the reason of a decision, or of the answer to a reply."""
MAX_ADDRESS_CHARS = MAX_CELL_CHARS
"""Characters of the address or key of an account, as many as are read of a link."""
MAX_CODE_CHARS = 80
"""Characters of a date, the code of a gap, the name of a channel, or the id of a decision."""
MAX_TICKED_STEPS = 20
"""Steps of a gap that a form can tick."""
MAX_PLACE_CHARS = 200
"""Characters of the place of a form in its page."""
MAX_EMAIL_CHARS = 254
"""Characters of an email address (RFC 5321)."""


def clean_form_text(text: object) -> object:
    """Return a text as it is stored, with one character for each line break."""
    return sanitize_text(text.replace("\r\n", "\n")) if isinstance(text, str) else text


FormText = Annotated[str, BeforeValidator(clean_form_text)]
"""A text of several lines as its browser counts it. It is empty if nothing of it can be stored."""
