"""Reference data: the catalogue of gaps and the regions of Morocco.

This package only reads data files. It knows nothing of accounts or rules. Start with
`gap_catalogue`.
"""
