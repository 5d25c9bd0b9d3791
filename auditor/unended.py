"""A night that nobody goes on with: closed when the next one is begun, with what can still be told of it.

A night that was killed stands as `running`. Nothing is concluded of what it saw, as of any interrupted night;
its receipt says so, is signed and has its place in the chain.
"""

from __future__ import annotations

from datetime import date

from auditor import receipt
from auditor.seal import Seal
from auditor.tools import Tools
from storage.model import NightState


def close(app: Tools, day: date, seal: Seal) -> None:
    """Close the newest night before a day, where it is still open. The caller holds the lock of nights."""
    store = app.store
    night = store.last_night(before=day)
    if night is None or receipt.is_link(night):
        return
    if night.state is not NightState.RUNNING:
        night = store.begin_night(night.day, night.started_at)
    ended = (store.last_look(night.id) if night.id is not None else None) or night.started_at
    spent = receipt.carried(night)
    told = receipt.interrupted(store, night, why="killed", spent=spent, ended=ended)
    told |= receipt.former_key(store, night, seal.public)
    # One that died when its conclusions were kept is judged by, so it is done: only the word of it is late.
    state = NightState.DONE if store.is_judged(night.id or 0) else NightState.INCOMPLETE
    told["state"] = state.value
    store.finish_night(night, state, ended, blind=sorted(night.blind), receipt=seal.sealed(told))
