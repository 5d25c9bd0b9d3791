"""Storage of associations, their accounts and contacts, and the log of their changes.

It compares an imported spreadsheet with what is stored; it does not parse spreadsheets. Start with
`storage.registry.associations`.
"""
