"""Text handling: character sets, languages, folding and lazily compiled regular expressions.

Knows nothing of channels, HTML or the network. Start with `charset.decode_body` and
`language.fold_text`.
"""
