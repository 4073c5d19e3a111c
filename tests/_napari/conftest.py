"""A viewer, where there is a screen."""

import contextlib
import os
import sys

import pytest


@pytest.fixture
def viewer(request):
    """A viewer as plugins see it: private access warns, and a warning is an error."""
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not screen:
        pytest.skip("no screen: run with xvfb-run -a")
    if os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        pytest.skip("napari draws with OpenGL, which this QT_QPA_PLATFORM does not have")
    # Mesa loads LLVM for OpenGL, and importing triton after that ends the process (Debian 12 with
    # triton 3.8). torch imports triton with its first optimizer, which other tests make.
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401
    return request.getfixturevalue("make_napari_viewer_proxy")()
