"""Linking of labels to tracks, with its parameters."""

from __future__ import annotations

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_sam2track._napari.link_run import LinkRun
from napari_sam2track._napari.project import Project
from napari_sam2track._widgets.forms import ParamsForm
from napari_sam2track._widgets.parts import Words, button, group, row
from napari_sam2track.params import LinkParams


class LinkPanel(QWidget):
    """Panel to start, watch and cancel linking."""

    def __init__(self) -> None:
        super().__init__()
        self.run: LinkRun | None = None
        self.form = ParamsForm(
            LinkParams, overrides={"max_distance": {"none_text": "auto", "max": 9999}}
        )
        self._params: QCollapsible = group("Parameters", self.form.native, False)
        self.link_button = button(
            "Link labels",
            "Give every object one id over time, and find divisions. Ids are kept where they can "
            "be, tracks that are locked stay as they are, and it is one step to undo",
            self.link,
        )
        self._stop = button("Cancel", "Cancel: nothing is changed", self.cancel)
        self._bar = QProgressBar()
        self._bar.setToolTip("Frames that are linked")
        self._bar.setTextVisible(False)
        self._bar.hide()
        self.words = Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._params)
        layout.addWidget(row(self.link_button, self._stop))
        layout.addWidget(self._bar)
        layout.addWidget(self.words)
        self._show()

    def set_project(self, project: Project | None) -> None:
        """Work on a project, or on none."""
        if self.run is not None:
            self.run.close()
        self.run = None if project is None else LinkRun(project)
        self.setEnabled(project is not None)
        if self.run is not None:
            self.run.changed.connect(self._show)
        self._show()

    def link(self) -> None:
        """Link the labels."""
        if self.run is None:
            return
        if self.form.problem:
            self.words.say(self.form.problem, "error")
            return
        params = self.form.value()
        assert isinstance(params, LinkParams)
        self.run.start(params)

    def cancel(self) -> None:
        """Leave the labels as they are."""
        if self.run is not None:
            self.run.stop()

    def _show(self) -> None:
        run = self.run
        active = run is not None and run.active
        self.link_button.setEnabled(not active)
        self._stop.setEnabled(run is not None and active and not run.writing)
        self._bar.setVisible(active)
        if run is not None:
            self._bar.setRange(0, run.total)
            self._bar.setValue(run.done)
        self.words.say("" if run is None else run.text)
