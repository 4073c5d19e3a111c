"""Panel to choose the network, its device and parameters."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, QTimer, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QProgressBar, QWidget

from napari_sam2track._napari.background import Background, Job
from napari_sam2track._widgets.forms import ParamsForm
from napari_sam2track._widgets.parts import Words, button, group, row
from napari_sam2track.errors import Sam2TrackError
from napari_sam2track.models.download import Status, download, status
from napari_sam2track.models.registry import ModelInfo, all_models, find_model
from napari_sam2track.params import EngineParams

#: Parameters of the engine that are shown; other panels show the others.
ADVANCED = (
    *("mode", "window_size", "later_prompts", "before", "divisions", "touching"),
    *("neighbours", "give_up", "fill_holes", "min_part", "keep_masks", "batch"),
    *("max_memory", "cache_memory", "max_conditioning", "equality"),
)
_DEVICES = {
    "auto": "best there is",
    "cuda": "NVIDIA graphics card (cuda)",
    "mps": "Apple graphics (mps)",
    "cpu": "processor (cpu)",
}


class ModelPanel(QWidget):
    """Choose a model, a device and parameters.

    Attributes
    ----------
    changed
        Signal: another choice.
    told
        Signal (level, text): a message.
    """

    changed = Signal()
    told = Signal(str, str)

    def __init__(self, background: Background, device: str, cache_memory: int) -> None:
        super().__init__()
        self._background = background
        self._models: list[ModelInfo] = list(all_models())
        self._meter: _Meter | None = None
        self._poll = QTimer(self)
        self._poll.timeout.connect(self._show_meter)
        self._model = QComboBox()
        self._model.setToolTip(
            "The network. The one in the package needs no download; Meta's are better on large "
            "and hard images, and slow without a graphics card"
        )
        self._model.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._model.setMinimumContentsLength(16)
        self._about = Words()
        self._file = button("File…", "Take weights of your own, in Meta's format", self._choose)
        self._load = button("Download", "Fetch the weights of this model", self._download)
        self._bar = QProgressBar()
        self._bar.setToolTip("How much of the weights has come")
        self._bar.hide()
        self._device = QComboBox()
        self._device.setToolTip("Where the network runs")
        for name, text in _DEVICES.items():
            self._device.addItem(text, name)
        self._device.setCurrentIndex(max(self._device.findData(device), 0))
        self.form = ParamsForm(EngineParams, ADVANCED)
        self.form.set_value(EngineParams(cache_memory=cache_memory))
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Model", row(self._model, self._file, stretch=0))
        layout.addRow(self._about)
        layout.addRow(self._load)
        layout.addRow(self._bar)
        layout.addRow("Device", self._device)
        layout.addRow(group("Advanced", self.form.native, opened=False))
        self._list()
        self._model.currentIndexChanged.connect(self._new_model)
        self._device.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.form.changed.connect(lambda _: self.changed.emit())
        self._tell_about()

    def model(self) -> ModelInfo:
        """Return the chosen model."""
        return self._models[max(self._model.currentIndex(), 0)]

    def device(self) -> str:
        """Return ``auto``, ``cuda``, ``mps`` or ``cpu``."""
        return str(self._device.currentData())

    def engine(self) -> EngineParams:
        """Return the parameters of following."""
        value = self.form.value()
        assert isinstance(value, EngineParams)
        return value

    def set_value(self, model: ModelInfo, engine: EngineParams, device: str) -> None:
        """Show a choice. Emits nothing."""
        blockers = [QSignalBlocker(self._model), QSignalBlocker(self._device)]
        if model not in self._models:
            self._models.append(model)
            self._list()
        self._model.setCurrentIndex(self._models.index(model))
        self._device.setCurrentIndex(max(self._device.findData(device), 0))
        self.form.set_value(engine)
        del blockers
        self._tell_about()

    def set_running(self, running: bool) -> None:
        """Disable all choices while a run is active."""
        for widget in (self._model, self._file, self._device, self.form.native):
            widget.setEnabled(not running)

    @property
    def missing(self) -> str:
        """Reason why the chosen model cannot be used; empty if it can."""
        info = self.model()
        if status(info) in (Status.BUNDLED, Status.DOWNLOADED, Status.LOCAL):
            return ""
        return f"the model {info.name} is {status(info).value}: download it, or choose another one"

    def _list(self) -> None:
        chosen = self._model.currentIndex()
        blocker = QSignalBlocker(self._model)
        self._model.clear()
        for info in self._models:
            self._model.addItem(f"{info.name} ({_size(info)}{status(info).value})")
        self._model.setCurrentIndex(max(chosen, 0))
        blocker.unblock()

    def _new_model(self, _: int) -> None:
        self._tell_about()
        self.changed.emit()

    def _tell_about(self) -> None:
        info = self.model()
        licence = f" Licence: {info.licence}." if info.licence else ""
        self._about.say(info.description + licence)
        self._load.setVisible(bool(self.missing) and info.url is not None)

    def _choose(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Weights of a model", "", "Weights (*.pt *.pth)"
        )
        if not path:
            return
        try:
            info = find_model(Path(path))
        except Sam2TrackError as error:
            self.told.emit("error", str(error))
            return
        self._models.append(info)
        self._list()
        self._model.setCurrentIndex(len(self._models) - 1)

    def _download(self) -> None:
        info, meter = self.model(), _Meter()
        if self._meter is not None:  # the button says "Cancel" during a download
            self._meter.cancelled = True
            return
        self._meter = meter
        self._load.setText("Cancel")
        self._bar.setRange(0, 0)
        self._bar.show()
        self._poll.start(200)

        def steps() -> Generator[Any, None, None]:
            yield download(info, meter)

        self._background.submit(
            Job(steps, on_end=lambda _: self._downloaded(info), on_error=self._not_downloaded)
        )

    def _show_meter(self) -> None:
        if self._meter is not None and self._meter.total:
            self._bar.setRange(0, 1000)
            self._bar.setValue(int(1000 * self._meter.done / self._meter.total))

    def _loaded(self) -> None:
        self._meter = None
        self._poll.stop()
        self._load.setText("Download")
        self._bar.hide()

    def _downloaded(self, info: ModelInfo) -> None:
        self._loaded()
        self._list()
        self._tell_about()
        self.told.emit("info", f"The model {info.name} is there")
        self.changed.emit()

    def _not_downloaded(self, error: BaseException) -> None:
        self._loaded()
        self.told.emit("info" if isinstance(error, _CancelledError) else "error", str(error))


def _size(info: ModelInfo) -> str:
    return "" if info.n_bytes is None else f"{info.n_bytes / 1e6:.0f} MB, "


class _CancelledError(Sam2TrackError):
    """The person has cancelled the download."""


@dataclass
class _Meter:
    """Progress of `download`, which reports it in its thread."""

    total: int = 0
    done: int = 0
    cancelled: bool = False

    def update(self, n_bytes: int) -> None:
        """Count more bytes."""
        self.done += n_bytes
        if self.cancelled:
            raise _CancelledError("The download was cancelled")

    def reset(self) -> None:
        """Begin again, as pooch does before it ends."""
        self.done = 0

    def close(self) -> None:
        """Note that the download is complete."""
