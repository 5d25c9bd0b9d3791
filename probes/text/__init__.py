"""Text handling: character sets, languages, folding, and dates in texts.

Knows nothing of channels, HTML or the network. Start with `charset.decode_body`,
`language.fold_text` and `date_parser.parse_date`. `date_vocabulary` decides what a date refers to.
"""
