"""Classification of pages: walls, parked domains, default pages, soft 404s, hijacked sites.

The package knows neither channels nor accounts, and sends no requests. Start with
`interstitials.detect_refusal`, which needs only the page, and `classifier.classify_page`, which
needs the parsed document.
"""
