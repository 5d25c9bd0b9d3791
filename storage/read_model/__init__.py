"""The read model: tables derived for fast lists. Everything here can be rebuilt from other tables.

It renders nothing and applies no rule: `auditor.conclusions.summary` derives a summary and its
facets. Decision 0016 has the measured reason for each table. Start with `summaries`.

| table | a row | invariant, unless the association is in `stale_summary` |
|---|---|---|
| `association_summary` | one of each association | equals what `build_summary` returns for it |
| `association_facet` | one of each facet and word of it | those in `association_summary` |
| `facet_count` | a facet in a group | the sum of the weights in `association_summary.facets` |
| `gap.is_visible`, `.is_reportable`, `.sort_rank` | each gap | those of the association's view |
| `run_facet_count` | a facet in a group and an evaluated run | what re-evaluation counts |
| `stale_summary` | a changed association | its `change_token` is that of its last change |
| `summary_version` | the only one | what the summaries were made with, and for which run |

**Stale:** the transaction that changes an association marks it (`consistency`); a new run,
configuration or version marks those that depend on it (`SummaryRepository.update_version`).
**Refreshed:** `auditor.conclusions.run_results.refresh_summaries` is the only writer, and every
reader calls it first. It stores a summary only under the mark that it saw, and the differences of
facets and counts in the same transaction. So the tables equal those built from nothing after every
refresh (`tests/property/test_read_model.py`).

No other package names these tables (a contract of import-linter in `pyproject.toml`). `consistency`
marks summaries and stores the counts of a run in the transactions of others.
"""
