"""Whether accounts and sites bear their association's name. Pure, and told only where it is sure."""

from __future__ import annotations

from auditor.case import Case, Held
from auditor.ladder import site_leads
from auditor.likeness import names_it, resembles
from probes.nobodys import bare
from storage.model import Association


def names_of(association: Association) -> tuple[str, ...]:
    """What an association is called, in every language that is known."""
    names = (association.name, association.name_ar, association.name_fr)
    return tuple(dict.fromkeys(name for name in names if name))


def expected(association: Association) -> str:
    """The registered names, to be shown."""
    return " / ".join(names_of(association))


def account_named(held: Held, case: Case) -> bool | None:
    """Whether an account's public name is the association's.

    Another name is not held against an account to which the association's own site leads, or whose user
    name holds the name: it is theirs, and may be called so in another language.
    """
    shown, names = held.seen.name if held.seen else None, names_of(case.association)
    told = resembles(shown, names) if shown else None
    cleared = told is False and (names_it(bare(held.subject), names) or site_leads(held, case))
    return None if cleared else told


def site_named(site: Held, case: Case) -> bool | None:
    """Whether a site's own names (title, first heading, signature: the fact `says`) hold the association's.

    A host that holds the name is no text on the page, and yet nobody takes such a site for a stranger's.
    """
    says, names = site.seen.facts.get("says") if site.seen else None, names_of(case.association)
    told = resembles(str(says), names) if says else None
    return None if told is False and names_it(site.subject.partition("/")[0], names) else told
