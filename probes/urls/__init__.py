"""URLs: repairing typed addresses, unwrapping redirectors, and registrable domains.

Makes no network requests and knows no channels. Start with `repair.repair_link_text` and
`normalize.extract_url`.
"""
