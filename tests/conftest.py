"""Fixtures for all tests."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported. Small operations are slower on two threads, and far slower on a busy
# machine.
os.environ["OMP_NUM_THREADS"] = "1"

# Before napari is imported: tests change settings, and must not change a person's.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp(prefix="sam2track-")) / "settings.yaml")

# No deadline: a machine that trains at the same time is slow, not wrong.
settings.register_profile("sam2track", deadline=None)
settings.load_profile("sam2track")

# A person's own models are no part of the tests.
os.environ["SAM2TRACK_MODELS"] = tempfile.mkdtemp(prefix="sam2track-models-")

_DEFAULT_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data, read-only; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("SAM2TRACK_TEST_DATA", _DEFAULT_DATA))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set SAM2TRACK_TEST_DATA to its folder")
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    """Undo what a test may have chosen; torch is not imported for tests that do without."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
