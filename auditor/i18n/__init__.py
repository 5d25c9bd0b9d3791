"""Texts in all languages: catalogs, languages, and the wording of sentences."""
