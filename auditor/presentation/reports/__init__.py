"""Write reports as terminal text, HTML pages, PDF and a static site.

`html` renders the report of one association and the static site, `text` the terminal output,
`invitation` the texts that send a report link, and `pdf` converts a report to PDF. All of them
present an `AssociationView` or a `NetworkOverview` and evaluate nothing themselves. Start with
`html`.
"""
