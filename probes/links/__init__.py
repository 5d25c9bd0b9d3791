"""Links: repairs typed addresses, identifies which account each names, and lists the channels.

Makes no network requests. Start with `identify.identify_link`. `normalize` and `domains` know no
channels.
"""
