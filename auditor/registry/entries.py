"""Entries that people add and change by hand, on a page or a command line."""

from collections.abc import Collection

from auditor.registry.columns import FACT_COLUMNS, TRAILING_COLUMNS, normalize_label
from auditor.registry.existing_entries import make_association_id
from auditor.registry.importer import ImportResult
from auditor.registry.issues import Issue, SpreadsheetProblem
from probes.links import channel_registry
from storage.models.audit import LINKS_COLUMN, Association
from storage.registry.associations import RegistryRepository

EDITABLE_COLUMNS = tuple(name for name in (*FACT_COLUMNS, *TRAILING_COLUMNS) if name != "id")
ENTRY_COLUMNS = (*EDITABLE_COLUMNS, *channel_registry.list_channels(), LINKS_COLUMN)
"""The columns of an entry: an association's own data, and its links."""
BLOCKING_ISSUES = frozenset(
    {
        *(Issue.NO_NAME, Issue.EXAMPLE_ROW, Issue.TOTAL_ROW),
        *(Issue.BAD_EMAIL, Issue.TOO_MANY_CHARACTERS, Issue.LONG_TEXT),
    }
)
"""Issues that must be corrected before an entry can be saved. Other issues are warnings."""


def find_namesakes(registry: RegistryRepository, names: Collection[str]) -> list[Association]:
    """Return the associations with one of these names, also those no longer followed."""
    labels = set(map(normalize_label, filter(None, names)))
    namesakes = []
    for row in registry.list_associations(include_withdrawn=True):
        known_names = filter(None, (row.name, row.name_ar, row.name_fr))
        if not labels.isdisjoint(map(normalize_label, known_names)):
            namesakes.append(row)
    return namesakes


def make_unused_id(registry: RegistryRepository, name: str) -> str:
    """Return an id made from the name that no association has, also none no longer followed."""
    base = association_id = make_association_id(name)
    number = 1
    while registry.get_association(association_id):
        number += 1
        association_id = f"{base}-{number}"
    return association_id


def find_shared_accounts(
    registry: RegistryRepository, import_result: ImportResult
) -> list[SpreadsheetProblem]:
    """Return a problem for each account that an association outside the spreadsheet lists, too."""
    own_ids = {entry.id for entry in import_result.associations}
    accounts = {}
    for account in import_result.accounts:
        if account.identity.key:
            accounts[account.channel, account.identity.key] = account
    shared_keys = {
        (other.channel, str(other.identity.key))
        for other in registry.find_accounts_by_key(accounts)
        if other.association not in own_ids and other.withdrawn_at is None
    }
    return [
        SpreadsheetProblem(
            import_result.line_numbers.get(account.association, 0),
            account.column,
            account.typed_text,
            Issue.SHARED_ACCOUNT,
        )
        for key, account in accounts.items()
        if key in shared_keys
    ]
