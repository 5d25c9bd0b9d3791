"""Sends digests, monthly reports and healthcheck pings.

`drafts` and `monthly` decide which messages are due and build them, `delivery` sends each once, and
`transports` knows SMTP and Apprise. The package must not evaluate accounts. Start reading in
`delivery`.
"""
