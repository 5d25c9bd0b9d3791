"""The faces that are written down: terminal text and a folder of static pages, all from one Overview."""

from auditor.reports.html import publish_site

__all__ = ["publish_site"]
