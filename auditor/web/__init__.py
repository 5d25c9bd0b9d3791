"""The web application: the coordinator's pages and the associations' own reports.

Routes turn a request into a page, a download or a redirect. They contain no rules about accounts:
statuses, gaps and figures come from `auditor.conclusions` and `auditor.presentation.views`. Every
page works without JavaScript. Start reading with `app.py` (how the application is built), then
`access.py` (who may use a route) and `routes/`.
"""
