"""Debian's Chromium: where it is, and how it is started for tests."""

import shutil

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium():
    """The browser's path, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)
