"""The routes of the web application, one module for each subject.

Each module has a `router`; `auditor.web.app.ROUTERS` lists them. Every route declares its access
with one of the dependencies of `auditor.web.access`.
"""
