"""Storage of report links, replies, follow-ups, subscriptions and sent messages.

It sends and renders nothing. Start with `storage.communication.report_links`.
"""
