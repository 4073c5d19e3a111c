"""Panel to choose an image, its axes, channel and intensity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QLineEdit, QSpinBox, QWidget

from napari_sam2track._napari.adopted_layers import restored_layers
from napari_sam2track._napari.geometry import guessed_axes, level_0
from napari_sam2track._widgets.layer_choice import LayerChoice
from napari_sam2track._widgets.parts import Words, button, row
from napari_sam2track.params import FramesParams

_FIELDS = FramesParams.model_fields
#: Longest side of the preview, in pixels.
_PREVIEW = 300


class ImagePanel(QWidget):
    """Choose an image, its axes, and the layers to work on.

    Attributes
    ----------
    changed
        Signal: another image, or other axes, channel or intensity.
    start_asked
        Signal (resume): begin; resume saved work, or begin anew.
    preview_asked
        Signal (shown): whether the picture that SAM2 gets is to be shown.
    """

    changed = Signal()
    start_asked = Signal(bool)
    preview_asked = Signal(bool)

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._image = LayerChoice(viewer, ("image",), accepts=_is_movie)
        self._image.setToolTip("The image, stack or movie in which objects are followed")
        self.axes_edit = QLineEdit()
        self.axes_edit.setToolTip(_FIELDS["axes"].description or "")
        self.channel_edit = QLineEdit()
        self.channel_edit.setPlaceholderText("all, or the first")
        self.channel_edit.setToolTip(_FIELDS["channel"].description or "")
        self._intensity = QLineEdit()
        self._intensity.setPlaceholderText("contrast limits of the layer")
        self._intensity.setToolTip(
            (_FIELDS["intensity"].description or "")
            + " If not given: the contrast limits of the layer when work is begun."
        )
        self.plane_spin = QSpinBox()
        self.plane_spin.setToolTip(
            "The plane along Z that is worked on, while time goes on; other planes are worked on "
            "one by one"
        )
        self.labels_choice = LayerChoice(viewer, ("labels",), none_text="a new layer, on disk")
        self.labels_choice.setToolTip(
            "Where masks are written: a new Labels layer that is saved while you work, or one of "
            "yours. What is drawn in it stays, unless it belongs to an object that is followed"
        )
        self.points_choice = LayerChoice(viewer, ("points",), none_text="a new layer")
        self.points_choice.setToolTip(
            "Where you click: a new Points layer, or one of yours, whose points become prompts"
        )
        self.boxes_choice = LayerChoice(viewer, ("shapes",), none_text="a new layer")
        self.boxes_choice.setToolTip(
            "Where you draw: a new Shapes layer, or one of yours. Rectangles are boxes, ellipses "
            "and polygons masks; each is an object, if no feature says which (object_id)"
        )
        self._see = QCheckBox("show what SAM2 sees")
        self._see.setToolTip(
            "The 8-bit picture that the model is shown: what is black and white in it are the "
            "contrast limits of the layer when work is begun, for all frames"
        )
        self._see.toggled.connect(self.preview_asked)
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._picture.hide()
        self.offer_label = Words()
        self._go_on = button(
            "Go on",
            "Go on with the prompts, labels and results that were saved",
            lambda: self.start_asked.emit(True),
        )
        self._start = button(
            "Start",
            "Add a Labels and a Points layer, and begin",
            lambda: self.start_asked.emit(False),
        )
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Image", self._image)
        layout.addRow("Axes", self.axes_edit)
        layout.addRow("Channel", self.channel_edit)
        layout.addRow("Intensity", self._intensity)
        layout.addRow("Plane", self.plane_spin)
        layout.addRow("Labels", self.labels_choice)
        layout.addRow("Prompts", self.points_choice)
        layout.addRow("Shapes", self.boxes_choice)
        layout.addRow(self._see)
        layout.addRow(self._picture)
        layout.addRow(self.offer_label)
        layout.addRow(row(self._go_on, self._start, stretch=1))
        self.form = layout
        self._go_on.hide()
        self._image.changed.connect(lambda _: self._new_image())
        self.axes_edit.editingFinished.connect(self._new_axes)
        self.channel_edit.editingFinished.connect(self.changed)
        self._intensity.editingFinished.connect(self.changed)
        self.plane_spin.valueChanged.connect(lambda _: self.changed.emit())
        self._new_image()

    def image(self) -> Any:
        """The image layer; None if there is none."""
        return self._image.value()

    def set_image(self, layer: Any) -> None:
        """Choose an image."""
        self._image.set_value(layer)

    def labels(self) -> Any:
        """The Labels layer to work on; None for a new one."""
        return self.labels_choice.value()

    def points(self) -> Any:
        """The Points layer to take; None for a new one."""
        return self.points_choice.value()

    def boxes(self) -> Any:
        """The Shapes layer to take; None for a new one."""
        return self.boxes_choice.value()

    def value(self) -> FramesParams:
        """Return axes, channel, intensity and plane of the image."""
        return FramesParams(
            axes=self.axes_edit.text().strip().upper() or None,
            channel=self.channel_edit.text().strip() or None,
            intensity=self._intensity.text().strip() or None,
            z=self.plane_spin.value() if self._has_plane else None,
        )

    def set_value(self, params: FramesParams) -> None:
        """Show axes, channel, intensity and plane."""
        if params.axes is not None:
            self.axes_edit.setText(params.axes)
        self.channel_edit.setText(params.channel or "")
        self._intensity.setText(params.intensity or "")
        self._new_axes()
        if params.z is not None:
            self.plane_spin.setValue(params.z)

    def set_offer(self, text: str) -> None:
        """Offer to resume saved work; empty: there is none."""
        self.offer_label.say(text)
        self._go_on.setVisible(bool(text))
        self._start.setText("Start anew" if text else "Start")

    def set_started(self, started: bool) -> None:
        """Show whether work has begun."""
        for widget in (
            self._image,
            self.axes_edit,
            self.channel_edit,
            self._intensity,
            self.plane_spin,
        ):
            widget.setEnabled(not started)
        for widget in (self.labels_choice, self.points_choice, self.boxes_choice):
            widget.setEnabled(not started)
        self._start.setVisible(not started)
        if started:
            self.set_offer("")

    def show_picture(self, frame_yxc: NDArray[np.uint8] | None) -> None:
        """Show a frame, (Y, X, 3) uint8, as SAM2 gets it; None: nothing."""
        self._picture.setVisible(frame_yxc is not None)
        if frame_yxc is None:
            return
        step = max(1, max(frame_yxc.shape[:2]) // (2 * _PREVIEW))
        small = np.ascontiguousarray(frame_yxc[::step, ::step])
        height, width = small.shape[:2]
        image = QImage(small.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        picture = QPixmap.fromImage(image)
        self._picture.setPixmap(
            picture.scaled(
                _PREVIEW,
                _PREVIEW,
                Qt.AspectRatioMode.KeepAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        )

    @property
    def shows_picture(self) -> bool:
        """True if the picture that SAM2 gets is to be shown."""
        return self._see.isChecked()

    def close_panel(self) -> None:
        """Disconnect from the viewer."""
        for choice in (self._image, self.labels_choice, self.points_choice, self.boxes_choice):
            choice.leave()

    def _new_image(self) -> None:
        layer = self.image()
        self.setEnabled(True)
        self._start.setEnabled(layer is not None)
        self.axes_edit.setText("" if layer is None else guessed_axes(layer))
        self.channel_edit.clear()
        self._intensity.clear()
        known = None if layer is None else restored_layers(self._viewer, layer)
        if known is not None:  # a session was opened: resume its work
            self.labels_choice.set_value(known.labels)
            self.points_choice.set_value(known.points)
            self.boxes_choice.set_value(known.boxes)
            self.set_value(known.frames)
            return
        self._new_axes()

    def _new_axes(self) -> None:
        layer, axes = self.image(), self.axes_edit.text().upper()
        size = dict(zip(axes, level_0(layer).shape, strict=False)) if layer is not None else {}
        self._has_plane = size.get("Z", 1) > 1 and size.get("T", 1) > 1
        self.plane_spin.setMaximum(max(size.get("Z", 1) - 1, 0))
        self.form.setRowVisible(self.plane_spin, self._has_plane)
        self.form.setRowVisible(self.channel_edit, "C" in axes)
        self.changed.emit()


def _is_movie(layer: Any) -> bool:
    """Return whether an image layer has frames."""
    return len(level_0(layer).shape) - bool(layer.rgb) >= 2
