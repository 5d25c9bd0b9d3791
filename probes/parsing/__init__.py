"""Parsers for HTML, feeds, sitemaps and JSON. All are pure functions of a page.

They run in worker processes and raise no error for broken input. They know no channels. Start with
`html.parse_document` and `feeds.parse_feed`.
"""
