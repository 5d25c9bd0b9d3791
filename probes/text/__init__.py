"""Text: character sets, languages, normalization and lazy regular expressions."""
