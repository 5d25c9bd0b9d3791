"""Replies of associations that tests store directly."""

from storage.store import Store
from storage.tables.communication import Reply


def add_reply(store: Store, reply: Reply) -> Reply:
    """Store a reply and return it with its id."""
    return store.replies.add_chosen(reply.association, lambda _: reply)
