"""Tools that edit tracks by clicks on the canvas, and buttons for the current track."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam2track._napari.project import Project
from napari_sam2track._napari.track_tools import ACTIONS, TOOLS, TrackTools
from napari_sam2track._widgets.keys import KeyBindings
from napari_sam2track._widgets.parts import Words, button, row, wrapped

_COLUMNS = 3


class EditPanel(QWidget):
    """Tools, actions, and a description of the current track."""

    def __init__(self) -> None:
        super().__init__()
        self._project: Project | None = None
        self.tools: TrackTools | None = None
        self._escape = KeyBindings()
        self.buttons = {name: self._tool(name) for name in TOOLS}
        self.words = Words()
        self.here_label = Words()
        self.here_label.setToolTip("The selected label of the layer is the current track")
        self.lock_button = button(
            "Lock",
            wrapped("Linking keeps the links of the current track, and runs leave it alone"),
            self._toggle_lock,
        )
        self.lock_button.setCheckable(True)
        self.actions_ = {
            name: button(title, wrapped(tip), partial(self._act, name))
            for name, (title, tip, _) in ACTIONS.items()
        }
        self.undo_button = button(
            "Undo", "Take the last step back [Ctrl+Z]", lambda: self._call("undo")
        )
        self._redo = button(
            "Redo", "Do again what was taken back [Ctrl+Shift+Z]", lambda: self._call("redo")
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("Click on tracks:"))
        layout.addWidget(_grid(list(self.buttons.values())))
        layout.addWidget(self.words)
        layout.addWidget(self.here_label)
        layout.addWidget(_grid([*self.actions_.values(), self.lock_button]))
        layout.addWidget(row(self.undo_button, self._redo))

    def _tool(self, name: str) -> QPushButton:
        tool = TOOLS[name]
        made = button(tool.title, wrapped(tool.tip), partial(self.choose, name))
        made.setCheckable(True)
        return made

    def set_project(self, project: Project | None) -> None:
        """Edit the tracks of a project, or none."""
        if self._project is not None:
            self._project.changed.disconnect(self._on_changed)
            self._project.current_changed.disconnect(self._show)
            self._project.frame_changed.disconnect(self._show)
        if self.tools is not None:
            self.tools.close()
            self._escape.release()
        self._project = project
        self.tools = None if project is None else TrackTools(project)
        self.setEnabled(project is not None)
        if project is not None and self.tools is not None:
            self.tools.changed.connect(self._tool_changed)
            project.changed.connect(self._on_changed)
            project.current_changed.connect(self._show)
            project.frame_changed.connect(self._show)
        self._tool_changed()
        self._show()

    def choose(self, name: str | None) -> None:
        """Activate a tool; the same one again is deactivated."""
        if self.tools is not None:
            self.tools.start(name)
        self._tool_changed()

    def _tool_changed(self) -> None:
        tools, project = self.tools, self._project
        chosen = None if tools is None else tools.name
        for name, made in self.buttons.items():
            made.setChecked(name == chosen)
        self.words.say("" if tools is None or not tools.text else f"{tools.text}. Esc ends it")
        self._escape.release()
        if chosen is not None and tools is not None and project is not None:
            self._escape.bind([project.labels], {"Escape": tools.back})

    def _act(self, name: str) -> None:
        if self.tools is not None:
            self.tools.act(name)

    def _call(self, name: str) -> None:
        if self._project is not None:
            getattr(self._project, name)()

    def _toggle_lock(self) -> None:
        if self._project is not None:
            self._project.lock(self._project.current, self.lock_button.isChecked())

    def _on_changed(self, _: Any = None) -> None:
        if self._project is not None:
            self._project.pump.later("edit panel", 50, self._show_later)

    def _show_later(self) -> None:
        if self._project is not None:  # else the panel may be gone
            self._show()

    def _show(self, _: Any = None) -> None:
        project = self._project
        if project is None or not project.is_open:
            self.here_label.say("")
            return
        i, work = project.current, project.work
        there = i in work.state.places
        text = f"Track {i}: "
        if there:
            begin, end = work.state.places.span(i)
            missing = end - begin + 1 - work.state.places.n_frames(i)
            text += f"frames {begin} to {end}" + (f", {missing} missing" if missing else "")
            parent = work.state.parents.get(i)
            text += f", child of {parent}" if parent else ""
        else:
            text += "not drawn"
        self.here_label.say(text)
        self.lock_button.setChecked(i in work.locked)
        for name, made in self.actions_.items():
            made.setEnabled(there and (name != "orphan" or i in work.state.parents))
        self.undo_button.setEnabled(work.history.can_undo)
        self._redo.setEnabled(work.history.can_redo)


def _grid(widgets: list[QPushButton]) -> QWidget:
    box = QWidget()
    layout = QGridLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(3)
    for k, widget in enumerate(widgets):
        widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # as wide as all
        layout.addWidget(widget, *divmod(k, _COLUMNS))
    for k in range(_COLUMNS):
        layout.setColumnStretch(k, 1)
    layout.setAlignment(Qt.AlignmentFlag.AlignTop)
    return box
