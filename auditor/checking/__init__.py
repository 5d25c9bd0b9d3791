"""Checking one account: the page is fetched, its API asked, and the result is compared with the last one."""
