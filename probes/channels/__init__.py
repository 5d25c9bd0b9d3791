"""Channels: the websites and social networks on which the auditor checks accounts.

Every module or package here whose name has no leading underscore is a channel and follows
`probes.models.probe.ChannelModule`. Channels send no requests themselves, read no clock and do not
know storage. Their parsers are pure functions, because they run in worker processes that can be
stopped. Start with `telegram`, a small one.
"""
