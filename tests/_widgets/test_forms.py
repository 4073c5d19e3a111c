"""Forms from models: what is shown is what comes back, and nothing else can be entered."""

import gc
import inspect
import types
import typing
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox
from pydantic import AfterValidator, Field, model_validator
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QComboBox, QLabel

from napari_sam2track import params
from napari_sam2track._widgets.forms import ParamsForm
from napari_sam2track._widgets.parts import wrapped
from napari_sam2track.errors import UsageError

MODELS = [
    model
    for _, model in inspect.getmembers(params, inspect.isclass)
    if issubclass(model, params.Params) and model.model_fields
]


class Ends(params.Params):
    """Two fields that depend on each other."""

    first: int = Field(default=0, ge=0, title="First")
    last: int = Field(default=5, ge=0, title="Last")

    @model_validator(mode="after")
    def _ordered(self):
        if self.last < self.first:
            raise ValueError(f"the last frame {self.last} is before the first, {self.first}")
        return self


@pytest.fixture
def show(qtbot):
    def show(*args, **kwargs):
        form = ParamsForm(*args, **kwargs)
        qtbot.addWidget(form.native)
        form.native.show()
        heard = []
        form.changed.connect(heard.append)
        return form, heard

    return show


def values(annotation, metadata):
    """Values that a field allows, within what spin boxes hold."""
    bounds = {
        key: getattr(m, key)
        for m in metadata
        for key in ("ge", "gt", "le", "lt")
        if hasattr(m, key)
    }
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        inner = next(a for a in args if a is not type(None))
        return st.none() | values(inner, metadata)
    if origin is Literal:
        return st.sampled_from(args)
    if annotation is bool:
        return st.booleans()
    if annotation is str and any(isinstance(m, AfterValidator) for m in metadata):
        return st.sampled_from(["0.5", "1,0.3", "2,1,0.3", "z=2,y=1,x=0.3"])  # sizes of pixels
    if annotation is str:
        return st.text("TCZYX0123456789,p.", min_size=1)
    if annotation is int:
        return st.integers(bounds.get("ge", -1000), bounds.get("le", 10**12))
    return st.floats(
        bounds.get("ge", bounds.get("gt", -1e12)),
        bounds.get("le", bounds.get("lt", 1e12)),
        exclude_min="gt" in bounds,
        exclude_max="lt" in bounds,
    )


@st.composite
def models(draw):
    model = draw(st.sampled_from(MODELS))
    return model(
        **{n: draw(values(f.annotation, f.metadata)) for n, f in model.model_fields.items()}
    )


def test_all_models_are_found():
    assert {"EngineParams", "LinkParams", "AutoParams"} <= {m.__name__ for m in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_defaults_come_back(show, model):
    form, heard = show(model)
    assert form.value() == model()
    assert not heard


@pytest.mark.parametrize("model", MODELS)
def test_every_field_has_a_label_and_a_tooltip(show, model):
    form, _ = show(model)
    shown = {label.text(): label.toolTip() for label in form.native.findChildren(QLabel)}
    for name, info in model.model_fields.items():
        assert shown[info.title] == wrapped(info.description)
        editor = form._editors[name]
        assert editor.label == info.title
        assert editor.widget.native.toolTip() == wrapped(info.description)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(model=models())
def test_any_values_come_back(show, model):
    # Exactly: values beyond the bounds and the decimals of a spin box as well.
    form, heard = show(type(model))
    form.set_value(model)
    assert form.value() == model
    assert not heard


@pytest.mark.parametrize("model", MODELS)
def test_bounds_hold(show, model):
    # Whatever number is entered, the model accepts what comes out.
    form, _ = show(model)
    for name, info in model.model_fields.items():
        widget = form._editors[name].widget
        if not isinstance(widget, SpinBox | FloatSpinBox):
            continue
        if hasattr(form._editors[name], "automatic"):
            form._editors[name].automatic.value = False
        bounds = {type(m).__name__: m for m in info.metadata}
        for number in (-1e9, 1e9):
            widget.native.setValue(number if isinstance(widget, FloatSpinBox) else int(number))
            value = getattr(form.value(), name)  # or the model refuses it
            if number > 0 and "Le" in bounds:
                assert value == bounds["Le"].le
            if number < 0 and "Ge" in bounds:
                assert value == bounds["Ge"].ge
            if number < 0 and "Gt" in bounds:
                assert bounds["Gt"].gt < value <= bounds["Gt"].gt + 0.011


def test_kinds_of_fields(show):
    form, _ = show(params.EngineParams)
    kinds = {name: type(editor.widget) for name, editor in form._editors.items()}
    assert kinds["direction"] is ComboBox
    assert kinds["keep_masks"] is CheckBox
    assert kinds["stop"] is SpinBox
    form, _ = show(params.FramesParams)
    assert type(form._editors["axes"].widget) is LineEdit


def test_users_changes_are_told(show, qtbot):
    form, heard = show(params.LinkParams)
    combo = form._editors["divisions"].widget.native
    qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert heard[-1] == params.LinkParams(divisions="off")
    spin = form._editors["max_gap"].widget.native
    spin.selectAll()
    qtbot.keyClicks(spin, "12")
    qtbot.keyClick(spin, Qt.Key.Key_Return)
    assert heard[-1] == form.value() == params.LinkParams(divisions="off", max_gap=12)
    assert len(heard) == 2  # not one for each digit


def test_none_is_a_tick_beside_a_number(show, qtbot):
    form, heard = show(params.EngineParams, ["stop"], {"stop": {"none_text": "to the end"}})
    editor = form._editors["stop"]
    assert editor.automatic.text == "to the end"
    assert not editor.widget.enabled
    box = editor.automatic.native
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert editor.widget.enabled
    assert heard == [params.EngineParams(stop=0)]
    editor.widget.native.setValue(7)
    assert form.value().stop == 7
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert form.value().stop is None
    assert [m.stop for m in heard] == [0, 7, None]


def test_a_form_lives_as_long_as_its_widget(qtbot):
    heard = []

    def make():
        form = ParamsForm(params.LinkParams)
        form.changed.connect(heard.append)
        return form.native

    native = make()
    qtbot.addWidget(native)
    gc.collect()
    native.findChild(QComboBox).setCurrentIndex(1)
    assert heard == [params.LinkParams(divisions="off")]


def test_text_counts_when_it_is_complete(show, qtbot):
    form, heard = show(params.FramesParams)
    edit = form._editors["axes"].widget.native
    qtbot.keyClicks(edit, " TCYX ")
    assert not heard
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert heard == [params.FramesParams(axes="TCYX")]
    edit.clear()
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert heard[-1] == params.FramesParams()


def test_fields_that_are_not_shown_are_kept(show):
    form, _ = show(params.EngineParams, ["direction", "batch"])
    assert list(form._editors) == ["direction", "batch"]
    form.set_value(params.EngineParams(give_up=3, batch=4))
    form._editors["direction"].widget.value = "forward"
    assert form.value() == params.EngineParams(give_up=3, batch=4, direction="forward")


def test_overrides(show):
    form, _ = show(
        params.LinkParams,
        ["motion", "min_iou"],
        {
            "motion": {"label": "Drift", "choices": [("follow", "on"), ("ignore", "off")]},
            "min_iou": {"max": 0.5, "step": 0.01},
        },
    )
    motion = form._editors["motion"].widget
    assert motion.label == "Drift"
    assert [motion.native.itemText(i) for i in range(2)] == ["follow", "ignore"]
    form._editors["min_iou"].widget.native.setValue(0.9)
    assert form.value().min_iou == 0.5


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="LinkParams has no field 'gap'; it has min_iou"):
        ParamsForm(params.LinkParams, ["gap"])


def test_another_model_is_refused(show):
    form, _ = show(params.LinkParams)
    with pytest.raises(TypeError, match="shows LinkParams, not MaskParams"):
        form.set_value(params.MaskParams())


def test_values_that_contradict_each_other(show):
    form, heard = show(Ends)
    form._editors["first"].widget.native.setValue(9)
    assert not heard
    assert form.problem == "the last frame 5 is before the first, 9"
    assert form._message.isVisible()
    assert form._message.text() == form.problem
    with pytest.raises(UsageError, match="5 is before the first, 9"):
        form.value()
    form._editors["last"].widget.native.setValue(9)
    assert heard == [Ends(first=9, last=9)]
    assert form.problem == ""
    assert not form._message.isVisible()


def test_maximum_of_a_movie(show):
    form, heard = show(params.EngineParams, ["start", "stop"])
    form.set_value(params.EngineParams(start=50))
    form.set_maximum("start", 9)
    form._editors["start"].widget.native.setValue(40)
    assert form.value().start == 9
    form.set_value(params.EngineParams(start=50))
    assert form.value().start == 9  # as shown
    assert not heard
    with pytest.raises(TypeError, match="'Direction' is not a number"):
        show(params.EngineParams)[0].set_maximum("direction", 3)


def test_scrolling_past_changes_nothing(show):
    form, heard = show(params.LinkParams)
    spin = form._editors["max_gap"].widget.native
    spin.clearFocus()
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(spin.mapToGlobal(QPoint(5, 5))),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(spin, event)
    assert form.value() == params.LinkParams()
    assert not heard
