"""Sends digests, monthly reports and healthcheck pings.

`delivery` decides which messages are due and sends each once, `digest` writes the digest,
`subscriptions` knows who wants messages, and `transports` knows SMTP, Apprise and the monitor. The
package must not evaluate accounts. Start reading in `delivery`.
"""
