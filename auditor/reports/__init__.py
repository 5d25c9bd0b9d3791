"""The faces that are written down: terminal text and a folder of static pages, all from one Overview."""

from auditor.reports.static_site import publish

__all__ = ["publish"]
