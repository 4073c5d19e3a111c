"""A form from a model of `napari_sam2track.params`, so that a parameter is declared once."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget
from psygnal import Signal
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QWidget

from napari_sam2track._widgets.parts import wrapped
from napari_sam2track.errors import UsageError
from napari_sam2track.params import Params

#: Where a field has no bound. Wider ones make spin boxes wide.
WIDEST = 999_999_999


class ParamsForm:
    """A form with one row for each field of a model.

    Parameters
    ----------
    model_class
        The model. Labels, tooltips, bounds and choices come from its fields.
    names
        Fields that are shown, in this order; all of them if not given. The others keep their
        defaults, or the values of `set_value`.
    overrides
        Field name to differences in the form: ``label``, ``tooltip``, ``min``, ``max``,
        ``step``, ``decimals``, ``choices`` (pairs of text and value) or ``none_text``, which stands
        for "not given" ("automatic").

    Attributes
    ----------
    changed
        psygnal signal: the user has changed a value; carries the new model. Not emitted while the
        values contradict each other, which a line below the form explains.

    Raises
    ------
    ValueError
        If a name is not one of the model's fields.
    """

    changed = Signal(Params)

    def __init__(
        self,
        model_class: type[Params],
        names: Sequence[str] | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        fields = model_class.model_fields
        names = list(fields) if names is None else list(names)
        overrides = overrides or {}
        if unknown := [name for name in (*names, *overrides) if name not in fields]:
            raise ValueError(
                f"{model_class.__name__} has no field {unknown[0]!r}; it has {', '.join(fields)}"
            )
        self._class = model_class
        self._model = model_class()
        self._editors = {
            name: _editor(name, fields[name], overrides.get(name, {})) for name in names
        }
        self._native = QWidget()
        layout = QFormLayout(self._native)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for editor in self._editors.values():
            label = QLabel(editor.label)
            label.setToolTip(editor.widget.tooltip)
            layout.addRow(label, editor.row)
        self._message = QLabel()
        self._message.setWordWrap(True)
        self._message.hide()
        layout.addRow(self._message)
        self._wheel = _WheelNeedsFocus(self._native)
        self._native.form = self  # lives as long as its widget
        for editor in self._editors.values():
            self._wheel.guard(editor.widget.native)
            editor.connect(self._edited)
        self.set_value(self._model)

    @property
    def native(self) -> QWidget:
        """The Qt widget."""
        return self._native

    @property
    def problem(self) -> str:
        """Reason why the values cannot be used together; empty if they can."""
        try:
            self.value()
        except UsageError as e:
            return str(e)
        return ""

    def value(self) -> Params:
        """The values, as the model.

        Raises
        ------
        UsageError
            If the values contradict each other; the message names fields and reasons.
        """
        values = dict(self._model)
        values.update((name, editor.value()) for name, editor in self._editors.items())
        try:
            return self._class(**values)
        except ValidationError as e:
            raise UsageError(_reasons(e, self._class)) from None

    def set_value(self, model: Params) -> None:
        """Show a model's values, and keep those that have no row. Emits nothing."""
        if not isinstance(model, self._class):
            raise TypeError(f"the form shows {self._class.__name__}, not {type(model).__name__}")
        self._model = model
        for name, editor in self._editors.items():
            editor.set_value(getattr(model, name))
        self._show_problem("")

    def set_maximum(self, name: str, maximum: float) -> None:
        """Set the largest value that can be entered, as when the last frame of a movie is known.

        Emits nothing, even where a value has to give way.
        """
        editor = self._editors[name]
        editor.set_maximum(maximum)
        self._model = self._model.model_copy(update={name: editor.value()})

    def _edited(self) -> None:
        try:
            model = self.value()
        except UsageError as e:
            self._show_problem(str(e))
            return
        self._show_problem("")
        if model != self._model:
            self._model = model
            self.changed.emit(model)

    def _show_problem(self, text: str) -> None:
        self._message.setText(text)
        self._message.setVisible(bool(text))


class _Editor:
    """One row: a widget, and how its value is read and written."""

    def __init__(self, widget: ValueWidget, label: str = "", row: QWidget | None = None) -> None:
        self.widget = widget
        self.label = label or widget.label
        self.row = row or widget.native
        self._exact: Any = None
        self._shown: Any = None

    def value(self) -> Any:
        # The shown value is rounded: one that nobody changed comes back as it was set.
        shown = self._read()
        return self._exact if shown == self._shown else shown

    def set_value(self, value: Any) -> None:
        with self.widget.changed.blocked():
            self._write(value)
        self._shown = self._read()
        self._exact = value if self._is_rounded(value) else self._shown

    def _is_rounded(self, value: Any) -> bool:
        """Return whether the shown value is the real one, to the precision of the widget."""
        if value is None or not isinstance(self.widget, SpinBox | FloatSpinBox):
            return True
        decimals = self.widget.native.decimals() if isinstance(self.widget, FloatSpinBox) else 0
        away = abs(value - self._shown)
        return away == 0 or (decimals > 0 and away <= 10**-decimals) or abs(self._shown) == WIDEST

    def set_maximum(self, maximum: float) -> None:
        if not isinstance(self.widget, SpinBox | FloatSpinBox):
            raise TypeError(f"{self.label!r} is not a number and has no maximum")
        with self.widget.changed.blocked():
            self.widget.max = max(maximum, self.widget.min)

    def connect(self, slot: Any) -> None:
        self.widget.changed.connect(slot)

    def _read(self) -> Any:
        return self.widget.value

    def _write(self, value: Any) -> None:
        if isinstance(self.widget, SpinBox | FloatSpinBox):
            value = min(max(value, self.widget.min), self.widget.max)
        self.widget.value = value


class _TextEditor(_Editor):
    """Text, where empty stands for None."""

    def connect(self, slot: Any) -> None:
        # Not while someone types: half an entry means nothing.
        self.widget.native.editingFinished.connect(slot)

    def _read(self) -> Any:
        return self.widget.value.strip() or None

    def _write(self, value: Any) -> None:
        self.widget.value = value or ""


class _OptionalEditor(_Editor):
    """A number, or a tick at "automatic", which stands for None."""

    def __init__(self, widget: ValueWidget, label: str, tooltip: str, none_text: str) -> None:
        self.automatic = CheckBox(text=none_text, tooltip=tooltip)
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(widget.native, stretch=1)
        layout.addWidget(self.automatic.native)
        super().__init__(widget, label, row)
        self.automatic.changed.connect(self._enable)

    def connect(self, slot: Any) -> None:
        super().connect(slot)
        self.automatic.changed.connect(slot)

    def _enable(self) -> None:
        self.widget.enabled = not self.automatic.value

    def _read(self) -> Any:
        return None if self.automatic.value else self.widget.value

    def _write(self, value: Any) -> None:
        with self.automatic.changed.blocked():
            self.automatic.value = value is None
        self._enable()
        if value is not None:
            super()._write(value)


def _editor(name: str, info: FieldInfo, override: Mapping[str, Any]) -> _Editor:
    """Make the row of a field."""
    options = dict(override)
    label = options.pop("label", info.title or name)
    tooltip = wrapped(options.pop("tooltip", info.description or ""))
    none_text = options.pop("none_text", "automatic")
    common = {"label": label, "tooltip": tooltip}
    kind, optional = _without_none(info.annotation)
    if get_origin(kind) is Literal and not optional:
        choices = options.pop("choices", None) or get_args(kind)
        return _Editor(ComboBox(choices=choices, **common, **options))
    if kind is bool and not optional:
        return _Editor(CheckBox(text=" ", tooltip=tooltip, **options), label)
    if kind is str:
        edit = LineEdit(**common, **options)
        if optional:
            edit.native.setPlaceholderText(none_text)
            return _TextEditor(edit)
        return _Editor(edit)
    if kind in (int, float):
        spin = _spin_box(kind, info, common, options)
        return _OptionalEditor(spin, label, tooltip, none_text) if optional else _Editor(spin)
    raise TypeError(f"the parameter {name!r} of type {info.annotation} has no place in a form")


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Return the type of a field, and whether it may be None too."""
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [arg for arg in get_args(annotation) if arg is not type(None)]
        if len(inner) == 1:
            return inner[0], True
    return annotation, False


def _spin_box(
    kind: type, info: FieldInfo, common: Mapping[str, Any], options: dict[str, Any]
) -> ValueWidget:
    """Make a spin box with a field's bounds; a wheel turn is some twentieth of a narrow range."""
    bounds = {type(bound).__name__: bound for bound in info.metadata}
    narrow = kind is float and "Le" in bounds and bounds["Le"].le <= 1
    decimals = options.pop("decimals", 2) if kind is float else 0
    # A bound that is itself excluded leaves out the smallest step.
    lowest = bounds["Ge"].ge if "Ge" in bounds else -WIDEST
    lowest = bounds["Gt"].gt + 10**-decimals if "Gt" in bounds else lowest
    highest = bounds["Le"].le if "Le" in bounds else WIDEST
    highest = bounds["Lt"].lt - 10**-decimals if "Lt" in bounds else highest
    lowest = max(lowest, options.pop("min", lowest))
    highest = min(highest, options.pop("max", highest))
    step = options.pop("step", 1 if kind is int else 0.05 if narrow else 0.1)
    spin = (SpinBox if kind is int else FloatSpinBox)(step=step, **common, **options)
    if kind is float:
        spin.native.setDecimals(decimals)  # before the bounds, which it rounds
    spin.min, spin.max = lowest, highest
    spin.native.setKeyboardTracking(False)  # one change for "120", not three
    return spin


def _reasons(error: ValidationError, model: type[Params]) -> str:
    """Return pydantic's reasons, with the fields' titles."""
    found = []
    for item in error.errors():
        fields = [str(place) for place in item["loc"]]
        titles = [
            (model.model_fields[name].title or name) if name in model.model_fields else name
            for name in fields
        ]
        text = item["msg"].removeprefix("Value error, ")
        found.append(f"{' '.join(titles)}: {text}" if titles else text)
    return "; ".join(found)


class _WheelNeedsFocus(QObject):
    """Keep the wheel from changing values while someone scrolls past them."""

    def guard(self, widget: QWidget) -> None:
        widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)
