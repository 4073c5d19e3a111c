"""Dock that writes a layer's tracks in any format, and first shows the losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2track._napari.exporting import (
    ExportProgress,
    ExportVerdict,
    Layers,
    StoppedError,
    complete,
    export,
    judge,
    snapshot,
    writable,
)
from napari_sam2track._widgets.dock_base import DockBase
from napari_sam2track._widgets.forms import ParamsForm
from napari_sam2track._widgets.layer_choice import LayerChoice
from napari_sam2track._widgets.parts import row
from napari_sam2track.params import WriteParams

#: Milliseconds between two checks of the other thread's progress.
_EVERY = 100
#: Events of a layer after which its tracks have to be read again.
_EDITS = ("data", "paint", "rebuild_tracks", "rebuild_graph")


class ExportDock(DockBase):
    """Choose a layer, a format and a place, and write.

    Parameters
    ----------
    napari_viewer
        The viewer, whose layers are offered.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.judging: ExportProgress | None = None
        self.writing: ExportProgress | None = None
        self._verdict: ExportVerdict | None = None
        self._watched: Any = None
        self.layer_choice = LayerChoice(napari_viewer, ("labels", "tracks"))
        self.lineage_choice = LayerChoice(
            napari_viewer, ("tracks",), none_text="as the labels have it"
        )
        self.format_choice = QComboBox()
        for entry in writable():
            self.format_choice.addItem(entry.title, entry.name)
        self.form = ParamsForm(
            WriteParams, overrides={"radius": {"none_text": "no discs", "min": 0.5, "step": 0.5}}
        )
        self.target = QLineEdit()
        self.replace_box = QCheckBox("Replace what exists")
        self.summary, self.message = _text(), _text()
        self.again_button = QPushButton("Look again")
        self.bar = QProgressBar()
        self.write_button = QPushButton("Write")
        self.stop_button = QPushButton("Stop")
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)
        self._lay_out()
        self._connect()
        self.when_closed(self._leave)
        self._chosen()

    # -- what the person sees -------------------------------------------------------------------

    def _lay_out(self) -> None:
        browse = QPushButton("Browse…")
        browse.clicked.connect(self._browse)
        self.choices = QWidget()
        form = QFormLayout(self.choices)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Layer", self.layer_choice)
        form.addRow("Lineage", self.lineage_choice)
        form.addRow("Format", self.format_choice)
        form.addRow(self.form.native)
        form.addRow("Target", row(self.target, browse))
        form.addRow("", self.replace_box)
        self.lineage_choice.setToolTip("Whose graph says which track is the parent of which")
        self.target.setPlaceholderText("file or folder to write")
        self.format_choice.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.format_choice.setMinimumContentsLength(12)
        self.again_button.setToolTip("The layer has changed since it was looked at")
        for widget in (self.bar, self.stop_button, self.again_button):
            widget.hide()
        layout = QVBoxLayout(self)
        for widget in (self.choices, self.summary, self.again_button, self.bar):
            layout.addWidget(widget)
        layout.addWidget(row(self.write_button, self.stop_button))
        layout.addWidget(self.message)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.layer_choice.changed.connect(self._chosen)
        self.lineage_choice.changed.connect(self._chosen)
        self.form.changed.connect(self.look)
        self.format_choice.currentIndexChanged.connect(self._format_chosen)
        self.target.textChanged.connect(self._show_readiness)
        self.again_button.clicked.connect(self._chosen)
        self.write_button.clicked.connect(self._begin)
        self.stop_button.clicked.connect(self._end)
        self._timer.timeout.connect(self._show_progress)

    def _leave(self) -> None:
        """Release the viewer; an active export is stopped, and leaves nothing."""
        for progress in (self.judging, self.writing):
            if progress is not None:
                progress.stopped.set()
        self.judging = self.writing = None
        self._watch_edits(None)
        self.layer_choice.leave()
        self.lineage_choice.leave()

    # -- what there is, and whether the format can hold it --------------------------------------

    def _layers(self) -> Layers:
        """Return the chosen layers in their present state."""
        layer, lineage = self.layer_choice.value(), self.lineage_choice.value()
        if layer is None:
            return ()
        chosen = [layer]
        if lineage is not None and _is_labels(layer):
            chosen.append(lineage)
        return [snapshot(each) for each in chosen]

    def _chosen(self, layer: Any = None) -> None:
        """Handle the choice of another layer, or the same one again."""
        self._verdict = None
        self._watch_edits(self.layer_choice.value())
        self.lineage_choice.setEnabled(_is_labels(self.layer_choice.value()))
        self.again_button.hide()
        self.look()

    def _format_chosen(self, _: Any = None) -> None:
        self._completed()
        self.look()

    def look(self, _: Any = None) -> None:
        """Find out, in another thread, what an export would hold and lose."""
        if self.judging is not None:
            self.judging.stopped.set()
        self.judging = None
        layers = self._layers()
        if not layers:
            self._verdict = None
            self.summary.setText("There is no Labels or Tracks layer to export.")
            self._show_readiness()
            return
        progress = self.judging = ExportProgress("Looking")
        movie = None if self._verdict is None else self._verdict.movie
        self._timer.start()
        self._show_readiness()
        name, options = self._name, self._options
        self._run(lambda: judge(layers, movie, name, options, progress), progress, self._judged)

    def _judged(self, result: Any) -> None:
        self.judging = None
        if isinstance(result, Exception):
            self._verdict = None
            self.summary.setText(_capital(str(result)))
        else:
            self._verdict = result
            lines = [f"<b>{result.summary}</b>"]
            if result.problem:
                lines.append(f"This cannot be written: {_escaped(result.problem)}.")
            lines += [f"Not kept: {_escaped(text)}." for text in result.lost]
            self.summary.setText("<br>".join(lines))
        self._show_readiness()

    # -- writing --------------------------------------------------------------------------------

    def _browse(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self,
            "What to write",
            self.target.text() or str(Path.home()),
            options=QFileDialog.Option.DontConfirmOverwrite,  # the tick box asks
        )
        if path:
            self.target.setText(str(complete(Path(path), self._name)))

    def _completed(self) -> Path | None:
        """Return the target with the suffix of the format, and show it; None if there is none."""
        typed = self.target.text().strip()
        if not typed:
            return None
        path = complete(Path(typed).expanduser(), self._name)
        self.target.setText(str(path))
        return path

    def _begin(self) -> None:
        path = self._completed()
        if path is None:
            return
        progress = self.writing = ExportProgress("Writing")
        layers, replace = self._layers(), self.replace_box.isChecked()
        self.message.clear()
        self._timer.start()
        self._show_readiness()
        name, options = self._name, self._options
        self._run(
            lambda: export(layers, path, name, options, replace, progress),
            progress,
            self._written,
        )

    def _end(self) -> None:
        if self.writing is not None:
            self.writing.stopped.set()

    def _written(self, result: Any) -> None:
        self.writing = None
        if isinstance(result, StoppedError):
            self.message.setText("Stopped; nothing was written.")
        elif isinstance(result, Exception):
            self.message.setText(_capital(str(result)))
        else:
            self.message.setText(f"Written: {result}")
            self.replace_box.setChecked(False)  # the next one needs another consent
        self._show_readiness()

    # -- small things ---------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return str(self.format_choice.currentData())

    @property
    def _options(self) -> WriteParams:
        return WriteParams.model_validate(self.form.value().model_dump())

    def _run(
        self, work: Callable[[], Any], progress: ExportProgress, then: Callable[[Any], None]
    ) -> None:
        """Run a task in another thread; its result or error is reported, unless it is too late."""
        from napari.qt.threading import create_worker

        def guarded() -> tuple[Any]:
            try:
                return (work(),)
            except Exception as error:  # noqa: BLE001 - shown to the person, whatever it is
                return (error,)  # in a tuple: superqt raises exceptions that are returned

        def taken(result: tuple[Any]) -> None:
            if progress is self.judging or progress is self.writing:
                then(result[0])

        create_worker(guarded, _start_thread=True, _connect={"returned": taken})

    def _show_progress(self) -> None:
        progress = self.writing or self.judging
        self.bar.setVisible(progress is not None)
        if progress is None:
            self._timer.stop()
            return
        self.bar.setRange(0, progress.total)
        self.bar.setValue(min(progress.done, progress.total))
        self.bar.setFormat(f"{progress.doing} %p%")

    def _show_readiness(self, _: Any = None) -> None:
        """Enable the buttons that can be pressed now."""
        writing = self.writing is not None
        self.choices.setEnabled(not writing)
        self.stop_button.setVisible(writing)
        possible = self._verdict is not None and not self._verdict.problem
        ready = possible and bool(self.target.text().strip()) and self.judging is None
        self.write_button.setEnabled(ready and not writing)
        if self.writing is None and self.judging is None:
            self._show_progress()

    def _watch_edits(self, layer: Any) -> None:
        """Listen to changes of the chosen layer, and of no other."""
        for each, follow in ((self._watched, False), (layer, True)):
            for name in _EDITS:
                events = None if each is None else getattr(each.events, name, None)
                if events is not None:
                    (events.connect if follow else events.disconnect)(self._edited)
        self._watched = layer

    def _edited(self, event: Any = None) -> None:
        """Offer another check, as the shown one is old; an export reads the layer anew."""
        self.again_button.show()


def _is_labels(layer: Any) -> bool:
    return layer is not None and "Labels" in {each.__name__ for each in layer.__class__.__mro__}


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    return label


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _escaped(text: str) -> str:
    """Escape text within rich text, without its full stop."""
    from html import escape

    return escape(text.rstrip("."), quote=False)
