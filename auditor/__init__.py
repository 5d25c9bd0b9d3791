"""The application: runs, evaluation, gaps, reports, web pages and the command line."""

__version__ = "26.1.0"
