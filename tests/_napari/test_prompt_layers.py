"""Layers of prompts that a person or another program made, without a viewer."""

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Points, Shapes

from napari_sam2track._napari.adopted_prompts import adopt_points, adopt_shapes, adoption_notes
from napari_sam2track._napari.geometry import Geometry
from napari_sam2track._napari.prompt_layers import (
    border_colours,
    ids_of,
    labels_of,
    read_features,
    with_layers,
)
from napari_sam2track.errors import PromptError, UsageError
from napari_sam2track.masks import Mask
from napari_sam2track.params import FramesParams
from napari_sam2track.prompts import Point, Prompt, PromptSet, read_prompts

SHAPE = (6, 100, 120)
CORNERS = [(0, 20, 30), (0, 20, 60), (0, 50, 60), (0, 50, 30)]


@pytest.fixture
def geometry():
    return Geometry.of(Image(np.zeros(SHAPE, np.uint8)), FramesParams())


def points(features, n=3, **more):
    places = [(0, 20 * k + 20, 30) for k in range(n)]
    return Points(places, features=features, name="theirs", **more)


def shapes(*kinds, **more):
    corners = {"line": CORNERS[:2], "path": CORNERS[:3]}
    data = [np.array(corners.get(kind, CORNERS), float) for kind in kinds]
    return Shapes(data, shape_type=list(kinds), name="drawn", **more)


# --- features -------------------------------------------------------------------------------------


def test_objects_of_micro_sam():
    assert ids_of(pd.DataFrame({"label": ["positive"] * 3, "track_id": ["1", "2", "3"]}), 1) == [
        *(1, 2, 3)
    ]


@pytest.mark.parametrize("name", ["object_id", "Cell ID", "track", "obj-id"])
def test_objects_by_many_names_and_kinds(name):
    for values in ([2, 9], [2.0, 9.0], ["2", "9.0"], np.array([2, 9], np.uint16)):
        assert ids_of(pd.DataFrame({name: values}), 1) == [2, 9]
    assert ids_of(pd.DataFrame({name: [None, 3.0]}), 7) == [7, 3]
    assert ids_of(pd.DataFrame({name: [None, 3.0]}), [4, 5]) == [4, 3]


@pytest.mark.parametrize(
    "values",
    [
        *([True, False], [1.0, 0.0], ["1.0", "0.0"], ["fg", "bg"], [1, -1], ["POS", "Neg"]),
        *(np.array([True, False]), pd.Categorical(["positive", "negative"])),
    ],
)
def test_labels_of_many_kinds(values):
    assert labels_of(pd.DataFrame({"label": values})) == ["positive", "negative"]


def test_rows_that_say_nothing_are_positive():
    assert labels_of(pd.DataFrame({"label": ["", None, np.nan]})) == ["positive"] * 3
    assert labels_of(pd.DataFrame(index=range(2))) == ["positive"] * 2


def test_what_is_unknown_is_refused_with_its_value():
    with pytest.raises(PromptError, match=r"row 1: label is 'maybe', neither .* \(and 1 more\)"):
        labels_of(pd.DataFrame({"label": ["neg", "maybe", "perhaps"]}))
    with pytest.raises(PromptError, match=r"row 0: cell is 'mother'; ids are"):
        ids_of(pd.DataFrame({"cell": ["mother"]}), 1)
    found = read_features(pd.DataFrame({"label": ["neg", "maybe"], "id": [0, 2]}), 5)
    assert found.ids == [5, 2]
    assert found.labels == ["negative", "maybe"]
    assert set(found.wrong) == {0, 1}
    assert len(np.unique(border_colours(["positive", "negative", "maybe"]), axis=0)) == 3


# --- layers of others -----------------------------------------------------------------------------


def test_points_of_micro_sam_are_taken_and_what_is_not_used_is_said(geometry):
    layer = points({"label": ["positive", "negative", "positive"], "track_id": ["1", "1", "2"]})
    layer.features["state"] = "track"
    assert adoption_notes(layer, geometry) == [
        "'theirs': 3 points, 2 objects (track_id, label); features not used: state"
    ]
    adopt_points(layer, geometry, 1)
    assert layer.features["object_id"].tolist() == [1, 1, 2]
    assert layer.features["label"].tolist() == ["positive", "negative", "positive"]


def test_our_own_layers_need_no_word(geometry):
    ours = {"object_id": [1, 2, 2], "label": ["positive"] * 3}
    assert adoption_notes(points(ours), geometry) == []
    assert adoption_notes(shapes("rectangle", features={"object_id": [4]}), geometry) == []
    assert adoption_notes(Points(ndim=3), geometry) == []
    assert adoption_notes(Shapes(ndim=3), geometry) == []


def test_points_elsewhere_are_said(geometry):
    (note,) = adoption_notes(Points([(0, 20, 30), (9, 20, 30)], name="theirs"), geometry)
    assert note == "1 point of 'theirs' on other planes or beside the movie: left out"
    tiny = Points([(0, 2, 3), (0, 4, 5), (0, 5, 6)], name="theirs")
    (note,) = adoption_notes(tiny, geometry)
    assert "of the points of 'theirs', all 3 lie in the first corner of the image" in note
    assert note.endswith("set the scale of the layer")
    tiny.scale = (1, 10, 10)
    assert adoption_notes(tiny, geometry) == []


def test_shapes_of_others_are_an_object_each(geometry):
    layer = shapes("rectangle", "ellipse", "polygon")
    assert adoption_notes(layer, geometry) == ["'drawn': 3 shapes, 3 objects (one a shape)"]
    adopt_shapes(layer, geometry)
    assert layer.features["object_id"].tolist() == [1, 2, 3]
    assert [str(kind) for kind in layer.shape_type] == ["rectangle", "ellipse", "polygon"]


def test_shapes_stay_where_they_are_in_the_world(geometry):
    layer = shapes("rectangle", "ellipse", scale=(1, 0.5, 2), translate=(0, 3, 0))
    before = [layer.data_to_world(corner) for corner in layer.data[1]]
    adopt_shapes(layer, geometry)
    np.testing.assert_allclose(layer.data[0][0], (0, 13, 60))
    np.testing.assert_allclose([layer.data_to_world(c) for c in layer.data[1]], before)
    assert [str(kind) for kind in layer.shape_type] == ["rectangle", "ellipse"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (shapes("rectangle", "line"), r"shape 1 of 'drawn' is a line, which encloses nothing; dra"),
        (shapes("path"), r"shape 0 of 'drawn' is a path, which encloses nothing"),
        (points({"label": ["neg", "maybe", "neg"]}), r"'theirs', row 1: label is 'maybe', neither"),
        (points({"track": [1, 2, 2.5]}), r"'theirs', row 2: track is 2\.5; ids are"),
        (Points([(1, 2)], name="flat"), r"'flat' has 2 axes, and the image 3"),
    ],
)
def test_layers_that_are_no_prompts_are_refused(geometry, layer, message):
    with pytest.raises(UsageError, match=message):
        adoption_notes(layer, geometry)


# --- clicks and drawn masks -----------------------------------------------------------------------

CLICKS = (Point(5, 5),)
MASK = Prompt(mask=Mask(np.ones((3, 3), bool), 4, 4))


@pytest.mark.parametrize(
    ("old", "clicked", "drawn", "new"),
    [
        (Prompt(), CLICKS, Prompt(box=(0, 0, 9, 9)), Prompt(CLICKS, (0, 0, 9, 9))),
        (Prompt(CLICKS), CLICKS, MASK, MASK),
        (MASK, CLICKS, MASK, Prompt(CLICKS)),
        (MASK, (), MASK, MASK),
        (MASK, CLICKS, Prompt(), Prompt(CLICKS)),
        (MASK, (), Prompt(), MASK),
        (Prompt(CLICKS), (), Prompt(), Prompt()),
    ],
)
def test_the_latest_prompt_wins(old, clicked, drawn, new):
    key = 1, 0
    points = {key: clicked} if clicked else {}
    shapes = {key: drawn} if drawn else {}
    assert with_layers(PromptSet({key: old}), points, shapes) == PromptSet({key: new})


# --- saved by napari, and read again --------------------------------------------------------------


def test_layers_that_napari_saved_are_read_as_they_were(tmp_path):
    from napari_builtins.io import napari_write_points, napari_write_shapes

    ours = {"object_id": [3, 1, 3], "label": ["positive", "negative", "negative"]}
    data, attributes, _ = points(ours).as_layer_data_tuple()
    napari_write_points(str(tmp_path / "points.csv"), data, attributes)
    found = read_prompts(tmp_path / "points.csv", SHAPE[1:]).prompts
    assert found[3, 0].points == (Point(20, 30), Point(60, 30, False))
    assert found[1, 0].points == (Point(40, 30, False),)

    layer = shapes("rectangle", "ellipse", "polygon")
    data, attributes, _ = layer.as_layer_data_tuple()
    napari_write_shapes(str(tmp_path / "shapes.csv"), data, attributes)
    found = read_prompts(tmp_path / "shapes.csv", SHAPE[1:]).prompts
    assert found[1, 0].box == (20, 30, 50, 60)
    assert found[2, 0].mask.area < found[3, 0].mask.area
    assert found.objects == (1, 2, 3)
