"""HTTP client with rate limits per host, robots.txt, retries and protection against SSRF.

The only package that makes requests to audited sites and platforms. Does not judge what a response
means for an account. Start with `fetcher.Fetcher`.
"""

import sys

# httpx imports its own command line, which would load Rich and Pygments: 4 MB
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
