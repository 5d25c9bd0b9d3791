"""Texts in Arabic, French and English: message catalogues, terms, formats.

This package turns codes and values into text. It does not know pages or commands. Start with
`translator.Translator`.
"""
