"""Keeps what forms did, for the banner on the next page, its Undo, and what only that page shows.

A form redirects to a page whose address has the key of its confirmation. So Back, Reload and a
second tab show that page again and repeat nothing. Confirmations are in the memory of the process:
after a restart the banner is missing, and what was done stays.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import RLock
from typing import Any

from auditor.core.errors import TranslatableError
from auditor.core.formatting import TOKEN_BYTES
from auditor.core.i18n.catalogs import gettext_noop
from auditor.core.i18n.translator import MessageValue
from storage.errors import ChangedMeanwhileError

MAX_AGE = timedelta(days=1)
"""How long an action can be undone in its confirmation."""
NOTHING_UNDONE = gettext_noop("Something was changed meanwhile, so nothing was undone.")
MAX_COUNT = 1000
"""Confirmations that are kept; older ones are forgotten."""


@dataclass(kw_only=True)
class Confirmation:
    """An action that a form executed.

    `message` says it, in English and with its `facts`. `undo` takes the action back; it is None if
    that is impossible or was done. `values` are what only the page at `url` shows, such as a new
    link. `owner` is the user with the permissions of that time. `submission` identifies the form
    that was sent.
    """

    owner: object
    done_at: datetime
    message: str
    facts: Mapping[str, MessageValue]
    values: dict[str, Any]
    undo: Callable[[datetime], object] | None
    submission: object
    url: str = ""
    key: str = field(default_factory=partial(secrets.token_urlsafe, TOKEN_BYTES))
    is_undone: bool = False
    error: TranslatableError | None = None


class Confirmations:
    """The newest confirmations of all users. `lock` lets forms wait for each other."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._by_key: dict[str, Confirmation] = {}

    def add(self, confirmation: Confirmation) -> None:
        """Keep a confirmation; the oldest ones are forgotten."""
        with self.lock:
            self._by_key[confirmation.key] = confirmation
            while len(self._by_key) > MAX_COUNT:
                del self._by_key[next(iter(self._by_key))]

    def find(self, key: str, owner: object, now: datetime) -> Confirmation | None:
        """Return the user's own confirmation of this key, or None."""
        found = self._by_key.get(key)
        is_valid = found and found.owner == owner and now - found.done_at < MAX_AGE
        return found if is_valid else None

    def find_repeated(
        self, submission: object, owner: object, now: datetime
    ) -> Confirmation | None:
        """Return the confirmation of the same form, if a double click has sent it twice."""
        newest = next(reversed(self._by_key.values()), None)
        if (
            newest is None
            or newest.is_undone
            or (newest.owner, newest.submission) != (owner, submission)
        ):
            return None
        # A form that the same user sends again within this time is not executed again
        return newest if now - newest.done_at <= timedelta(minutes=1) else None

    def undo(self, confirmation: Confirmation, now: datetime) -> None:
        """Take an action back, once. If that fails, the confirmation has the error."""
        with self.lock:
            undo, confirmation.undo = confirmation.undo, None
            if undo is None:
                return
            try:
                undo(now)
            except TranslatableError as error:
                confirmation.error = error
            except ChangedMeanwhileError as error:
                confirmation.error = TranslatableError(str(error), "", message=NOTHING_UNDONE)
            else:
                confirmation.is_undone = True
                confirmation.values.clear()
