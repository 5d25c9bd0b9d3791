"""Signed run reports: their content, signatures and chain.

This package knows nothing of HTTP or rules. `report` builds the reports, `signing` has the keys,
and `chain` verifies. Start with `report.build_finished_report`. `storage.models.run_report` has the
typed report. The command, the key files and the database column are named `receipts`.
"""
