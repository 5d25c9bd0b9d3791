"""Import, export and compare the registry of associations and their links.

`importer` reads a spreadsheet, `changes` previews what it changes and `exporter` writes one: start
with `importer`. Nothing here makes requests or knows the results of checks.
"""
