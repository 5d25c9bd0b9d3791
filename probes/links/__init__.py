"""Identifies which account a typed link points to, and lists the channels.

Makes no network requests. Start with `identify.identify_link`.
"""
