"""The strip of the newest checks of an association on a channel, as lists and its page show it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from probes.models.finding import Presence
from storage.models.audit import AccountPresence, AuditRun, AuditRunState
from storage.store import Store

STRIP_RUNS = 14
"""How many runs a strip shows."""

STRIP_STATES = {"present": "present", "absent": "absent", "skipped": "", "not_reached": ""}
"""The states of a check that a strip distinguishes. All others are "unknown"."""

STATES_BY_WEIGHT = ("present", "unknown", "absent", "")
"""If an association has several accounts on a channel, the first of these states is shown."""


@dataclass(frozen=True, slots=True)
class CheckHistory:
    """The results of associations in the newest evaluated runs, the oldest run first.

    `account_ids` has the account that was checked last on each channel, for a link to its evidence.
    """

    runs: tuple[AuditRun, ...] = ()
    states: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    account_ids: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def get_strip(self, association: str, channel: str) -> tuple[str, ...]:
        """Return a state for each run: present, absent, unknown, or "" if nothing was checked.

        Return an empty tuple if no run has checked the association on the channel.
        """
        return self.states.get((association, channel), ())


def load_check_history(
    store: Store, associations: Collection[str], run_count: int = STRIP_RUNS
) -> CheckHistory:
    """Load the history of several associations with two queries."""
    runs = store.runs.list_evaluated(run_count)
    run_ids = list(filter(None, map(attrgetter("id"), runs)))
    presences = store.observations.list_presences(associations, run_ids)
    account_ids = {}
    for result in sorted(presences, key=lambda result: run_ids.index(result.run_id)):
        account_ids[result.association, result.channel] = result.account_id
    return CheckHistory(tuple(runs), build_strips(runs, presences), account_ids)


def build_strips(
    runs: Sequence[AuditRun], presences: Iterable[AccountPresence]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the strip of each association and channel that has a result in these runs."""
    results = defaultdict[tuple[str, str], dict[int | None, set[str]]](lambda: defaultdict(set))
    run_by_id = {run.id: run for run in runs}
    for result in presences:
        check_state = get_check_state(run_by_id[result.run_id], result.channel, result.presence)
        strip_state = STRIP_STATES.get(check_state, "unknown")
        results[result.association, result.channel][result.run_id].add(strip_state)
    strips = {}
    for key, states_by_run in results.items():
        strips[key] = tuple(
            min(states_by_run[run_id], key=STATES_BY_WEIGHT.index, default="")
            for run_id in run_by_id
        )
    return strips


def get_check_state(run: AuditRun, channel: str, presence: Presence | None) -> str:
    """Return the state of a check of an account, or of a missing one.

    It is "present", "absent" or "unknown" as observed, "unreliable" if the channel was unreliable
    in the run, "not_reached" if the run did not check the account, and "skipped" if the run was
    skipped because there was no connection.
    """
    if presence is None:
        return "skipped" if run.state is AuditRunState.SKIPPED else "not_reached"
    return "unreliable" if channel in run.unreliable_channels else presence.value
