"""Reference data: the catalogue of gaps, the glossary, and the regions and towns of Morocco.

This package only reads data files. It knows nothing of accounts or rules. Start with
`gap_catalogue`.
"""
