"""What every test may ask for."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Recorded material kept beside the project, not in it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "DESIGN.md").exists():
        pytest.skip(f"the recorded pages are not here ({folder.name}/ beside the project)")
    return folder
