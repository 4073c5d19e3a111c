"""A choice among layers follows the viewer."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Tracks

from napari_sam2track._widgets.layer_choice import LayerChoice


def labels(name):
    return Labels(np.zeros((2, 4, 4), int), name=name)


def tracks(name):
    return Tracks(np.array([[1, 0, 2, 2], [1, 1, 2, 2]]), name=name)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def choice(qtbot, viewer):
    found = LayerChoice(viewer, ("labels", "tracks"))
    qtbot.addWidget(found)
    yield found
    found.leave()


def texts(choice):
    return [choice.itemText(k) for k in range(choice.count())]


def test_it_follows_adding_renaming_moving_and_removing(viewer, choice):
    seen = []
    choice.changed.connect(seen.append)
    assert choice.value() is None
    a, b = labels("a"), tracks("b")
    viewer.add_layer(Image(np.zeros((2, 4, 4)), name="image"))
    viewer.add_layer(a)
    viewer.add_layer(b)
    assert texts(choice) == ["a", "b"]
    assert choice.value() == a
    choice.set_value(b)
    assert choice.value() == b
    viewer.add_layer(labels("c"))
    a.name, b.name = "first", "second"
    viewer.layers.move(0, 3)
    viewer.layers.move(0, 3)
    assert sorted(texts(choice)) == ["c", "first", "second"]
    assert choice.currentText() == "second"
    assert choice.value() == b
    viewer.layers.remove(b)
    assert choice.value() is not None
    assert choice.value() != b
    viewer.layers.clear()
    assert choice.value() is None
    assert seen[0] == a
    assert seen[1] == b
    assert seen[-1] is None
    assert len(seen) == len([k for k, each in enumerate(seen) if k == 0 or each != seen[k - 1]])


def test_layers_of_one_name_are_told_apart(viewer, choice):
    viewer.add_layer(labels("a"))
    viewer.add_layer(labels("a"))
    first, second = viewer.layers
    choice.set_value(second)
    assert choice.value() == second != first


def test_none_can_be_offered(qtbot, viewer):
    choice = LayerChoice(viewer, ("tracks",), none_text="none")
    qtbot.addWidget(choice)
    viewer.add_layer(tracks("b"))
    assert (choice.value(), choice.currentText()) == (None, "none")
    choice.set_value(viewer.layers[0])
    assert choice.value() == viewer.layers[0]
    viewer.layers.clear()
    assert choice.value() is None
    choice.leave()


def test_some_can_be_left_out_and_others_refused(qtbot, viewer):
    choice = LayerChoice(viewer, ("labels",), accepts=lambda layer: "ours" not in layer.metadata)
    qtbot.addWidget(choice)
    ours = Labels(np.zeros((4, 4), int), name="x", metadata={"ours": 1})
    viewer.add_layer(ours)
    viewer.add_layer(labels("a"))
    assert texts(choice) == ["a"]
    with pytest.raises(ValueError, match="cannot be chosen here; the choices are a"):
        choice.set_value(ours)
    choice.leave()


def test_nothing_is_followed_or_held_after_leaving(qtbot, viewer):
    choice = LayerChoice(viewer, ("labels",))
    qtbot.addWidget(choice)
    layer = labels("a")
    viewer.add_layer(layer)
    choice.leave()
    layer.name = "b"
    viewer.add_layer(labels("c"))
    assert texts(choice) == ["a"]
    assert not layer.events.name.callbacks or all(
        "LayerChoice" not in str(each) for each in layer.events.name.callbacks
    )
