"""Official interfaces: what a call to one costs, which calls may be sent as one, and what an answer says.

A channel with an interface has `INTERFACE` and `probe_api`, whose asks carry a `Call`. The probe asks for one
account at a time; calls that differ in one parameter only are sent together by `probes.runner.api_batcher`,
which also holds the keys and the budget, so that neither is known to a probe. See docs/decisions/0010.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.models.finding import Reason


@dataclass(frozen=True, slots=True)
class Interface:
    """A platform's interface: where it is, how a key is shown to it, in what its costs are counted.

    `budget` is what a night may cost in that `unit`, unless the configuration says otherwise.
    """

    host: str
    header: str
    unit: str
    budget: float
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """What makes an ask a call to an interface.

    `join` is the query parameter whose values may be listed, separated by commas, up to `most` in one
    request. A request costs `base`, and `each` for every value asked with it.
    """

    interface: Interface
    join: str = ""
    most: int = 1
    base: float = 0.0
    each: float = 0.0

    def cost(self, values: int) -> float:
        """What a request for so many values may cost at most, in the interface's unit."""
        return self.base + self.each * values


@dataclass(frozen=True, slots=True)
class Answer:
    """What an interface's answer says, the same for every platform.

    `items` and `faults` are by the lower-case value that was asked for (an id, a name): what the platform
    tells of it, cut to what is needed, or what it says against it. `refusal` is set where the
    interface refuses us altogether (a bad key, a spent quota): it is not asked again that night.
    `of_one` says that an error is the fault of one of the values asked, without telling which.
    `trouble` is what an answer without items says instead: of one value, or of the interface itself tonight.
    `whole` is False where this is not what the interface sends: nothing is concluded from what it lacks.
    """

    items: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    refusal: tuple[Reason, str] | None = None
    of_one: bool = False
    whole: bool = False
    trouble: tuple[Reason, str] | None = None
