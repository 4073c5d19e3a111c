"""Qt without a screen, where there is none; and a window with a dock, where there is OpenGL."""

import os
import sys
from contextlib import suppress

import numpy as np
import pytest

HEADLESS = sys.platform.startswith("linux") and not (
    os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
)
if HEADLESS:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture
def work_root(tmp_path, monkeypatch):
    """The folder in which work is kept."""
    from napari_sam2track._napari import work_folder

    root = tmp_path / "work"
    monkeypatch.setattr(work_folder, "work_root", lambda: root)
    return root


class Window:
    """A viewer with its canvas, moved by real events."""

    def __init__(self, viewer, qtbot):
        self.viewer, self.qtbot = viewer, qtbot

    def until(self, condition, seconds=20):
        self.qtbot.waitUntil(condition, timeout=int(seconds * 1000))

    def settle(self, milliseconds=150):
        self.qtbot.wait(milliseconds)

    def canvas_of(self, widget):
        from qtpy.QtWidgets import QWidget

        found = widget.window().findChildren(QWidget)
        return next(w for w in found if type(w).__name__ == "CanvasBackendDesktop")

    def pixel(self, canvas, world_yx):
        """The place on the canvas of a place in the world, in 2D."""
        from qtpy.QtCore import QPoint

        camera = self.viewer.scene.camera
        middle = np.array([canvas.height(), canvas.width()]) / 2
        y, x = (np.array(world_yx) - np.array(camera.center)[-2:]) * camera.zoom + middle
        return QPoint(round(x), round(y))

    def click(self, dock, world_yx, modifier=None):
        from qtpy.QtCore import Qt

        canvas = self.canvas_of(dock)
        at = self.pixel(canvas, world_yx)
        keys = modifier or Qt.KeyboardModifier.NoModifier
        self.qtbot.mouseMove(canvas, at)
        self.qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, keys, at)
        self.settle(30)

    def drag(self, dock, *world_yx, before_release=None):
        from qtpy.QtCore import Qt

        canvas = self.canvas_of(dock)
        places = [self.pixel(canvas, w) for w in world_yx]
        self.qtbot.mouseMove(canvas, places[0])
        self.qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=places[0])
        for at in places:
            _move(canvas, at)
            self.settle(40)  # vispy and napari leave out moves that follow one another quickly
        if before_release is not None:
            before_release()
        self.qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=places[-1])
        self.settle(30)

    def key(self, dock, key, modifier=None):
        from qtpy.QtCore import Qt

        canvas = self.canvas_of(dock)
        canvas.setFocus()
        self.qtbot.keyClick(canvas, key, modifier or Qt.KeyboardModifier.NoModifier)
        self.settle(30)


def _move(canvas, at):
    """Move with the button held, which qtbot cannot."""
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    where = QPointF(at), QPointF(canvas.mapToGlobal(at))
    event = QMouseEvent(QEvent.Type.MouseMove, *where, Qt.MouseButton.NoButton, left, none)
    QApplication.sendEvent(canvas, event)


@pytest.fixture
def window(make_napari_viewer_proxy, qtbot, work_root):
    """A shown window; skipped where there is no OpenGL."""
    if HEADLESS:
        pytest.skip("a window needs OpenGL: run under xvfb-run")
    made = Window(make_napari_viewer_proxy(show=True), qtbot)
    yield made
    with suppress(RuntimeError):  # the dock may be closed by the test
        made.settle(10)
