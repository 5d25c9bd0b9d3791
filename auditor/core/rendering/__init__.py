"""Render templates, links and graphics for pages, PDFs and messages.

The package knows nothing of runs, the store or the evaluation. Callers pass the values to display.
Start with `templates.render_template`.
"""
