"""Tables of points and shapes: napari's, with columns of other programs, and of spreadsheets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sam2track.errors import FormatError, UsageError
from napari_sam2track.prompts import (
    FoundPrompts,
    Point,
    PromptSet,
    prompts_from_texts,
    prompts_to_json,
    read_prompts,
)
from napari_sam2track.prompts.prompt_params import PromptParams

SHAPE = (120, 150)


@pytest.fixture
def read(tmp_path):
    def make(text: str, z: int | None = None, name: str = "p.csv", **params) -> FoundPrompts:
        path = Path(tmp_path) / name
        path.write_text(text, encoding="utf-8")
        return read_prompts(path, SHAPE, PromptParams(**params), z)

    return make


def clicks(prompts: PromptSet) -> dict:
    """(y, x, positive) of all clicks, by object and frame."""
    return {key: [(p.y, p.x, p.positive) for p in prompt.points] for key, prompt in prompts.items()}


# --- points ---------------------------------------------------------------------------------------


def test_points_of_micro_sam_keep_their_objects(read):
    found = read(
        "index,axis-0,axis-1,axis-2,label,track_id,state\n"
        "0,0.0,40.0,30.0,positive,1,track\n"
        "1,0.0,80.0,100.0,positive,2,track\n"
        "2,0.0,10.0,10.0,negative,1,track\n"
    )
    assert clicks(found.prompts) == {
        (1, 0): [(40, 30, True), (10, 10, False)],
        (2, 0): [(80, 100, True)],
    }
    assert found.notes == (
        "read as points of napari with columns of micro-sam: 3 points, 2 objects (track_id); "
        "columns not used: state",
    )


def test_labels_that_napari_wrote_as_numbers(read):
    found = read(
        "index,axis-0,axis-1,axis-2,object_id,label\n"
        "0.0,0.0,40.0,30.0,1.0,1.0\n"
        "1.0,0.0,10.0,10.0,1.0,0.0\n"
    )
    assert clicks(found.prompts) == {(1, 0): [(40, 30, True), (10, 10, False)]}
    assert found.notes == ("read as points of napari: 2 points, 1 object (object_id)",)


@pytest.mark.parametrize(
    "column", ["object_id", "Obj ID", "object", "track", "Cell-ID", "cell", "instance", "id"]
)
def test_objects_have_many_names(read, column):
    found = read(f"axis-0,axis-1,{column}\n1,2,7\n3,4,9.0\n")
    assert clicks(found.prompts) == {(7, 0): [(1, 2, True)], (9, 0): [(3, 4, True)]}
    assert f"2 objects ({column})" in found.notes[0]


def test_of_several_columns_of_objects_one_counts_and_the_others_are_named(read):
    found = read("axis-0,axis-1,id,class,track_id,label id\n1,2,5,cell,3,8\n")
    assert found.prompts.objects == (3,)
    assert "1 object (track_id); columns not used: id, class, label id" in found.notes[0]


@pytest.mark.parametrize("word", ["TRUE", "1", "1.0", "+1", "Pos", "fg", "Foreground", "yes"])
def test_positive_words(read, word):
    assert clicks(read(f"axis-0,axis-1,label\n1,2,{word}\n").prompts)[1, 0] == [(1, 2, True)]


@pytest.mark.parametrize("word", ["False", "0", "0.0", "-1", "-1.0", "NEG", "bg", "background"])
def test_negative_words(read, word):
    text = f"axis-0,axis-1,is_positive\n1,2,{word}\n"
    assert clicks(read(text).prompts)[1, 0] == [(1, 2, False)]


def test_values_that_are_missing_are_said(read):
    found = read("axis-0,axis-1,object_id,label\n1,2,,\n3,4,2,nan\n50,60,2,neg\n")
    assert clicks(found.prompts) == {
        (1, 0): [(1, 2, True)],
        (2, 0): [(3, 4, True), (50, 60, False)],
    }
    assert found.notes[1:] == (
        "object_id has no value in 1 line: object 1",
        "label has no value in 2 lines: positive",
    )


def test_points_without_objects_are_one_object_which_is_said(read):
    found = read("index,axis-0,axis-1\n0,7.5,8\n1,20,30\n")
    assert clicks(found.prompts) == {(1, 0): [(7.5, 8, True), (20, 30, True)]}
    assert found.notes == (
        "read as points of napari: 2 points, 1 object (no column tells them apart, such as "
        "object_id)",
    )


def test_frames_of_napari_are_the_nearest_slices(read):
    assert list(read("axis-0,axis-1,axis-2\n2.6,1,2\n").prompts) == [(1, 3)]


@pytest.mark.parametrize(
    "text",
    [
        "x,y,frame,cell\n30,40,2,5\n",
        "Y;X;T;Object\n40,0;30,0;2;5\n",
        "Time\tCentroid X\tCentroid_Y\tCell ID\n2\t30\t40\t5\n",
        "col,row,time_point,obj_id,quality\n30,40,2,5,0.7\n",
    ],
)
def test_tables_of_spreadsheets(read, text):
    found = read(text)
    assert clicks(found.prompts) == {(5, 2): [(40, 30, True)]}
    assert found.notes[0].startswith("read as a table of points: 1 point, 1 object (")
    assert ("columns not used: quality" in found.notes[0]) == ("quality" in text)


def test_a_table_with_tabs_may_be_called_so(read):
    assert len(read("y\tx\n1\t2\n", name="p.tsv").prompts) == 1


# --- planes and units -----------------------------------------------------------------------------

PLANES = "index,axis-0,axis-1,axis-2,axis-3\n0,0,2,10,20\n1,0,5,30,40\n2,3,2,50,60\n"


def test_points_on_a_plane(read):
    found = read(PLANES, z=2)
    assert clicks(found.prompts) == {(1, 0): [(10, 20, True)], (1, 3): [(50, 60, True)]}
    assert "1 row on other planes than 2 (axis-1) left out" in found.notes


def test_points_on_several_planes_need_one(read):
    with pytest.raises(FormatError, match=r"on several planes \(axis-1 is 2, 5\); choose .* --z"):
        read(PLANES)
    with pytest.raises(FormatError, match=r"nothing on plane 4 \(axis-1 is 2, 5\); choose another"):
        read(PLANES, z=4)
    with pytest.raises(FormatError, match=r"on several planes \(z is 1, 2\)"):
        read("x,y,z,t\n1,2,1,0\n1,2,2,0\n")


def test_points_on_the_only_plane_are_taken(read):
    found = read("axis-0,axis-1,axis-2,axis-3\n1,0,10,20\n2,0,30,40\n")
    assert found.prompts.frames == (1, 2)
    assert "all are on plane 0 (axis-1)" in found.notes


def test_five_axes_are_those_of_an_image_with_channels(read):
    text = "axis-0,axis-1,axis-2,axis-3,axis-4\n1,0,3,10,20\n2,0,4,30,40\n"
    assert read(text, z=4).prompts.frames == (2,)
    with pytest.raises(FormatError, match=r"several values in axis-1 and in axis-2, of which only"):
        read("axis-0,axis-1,axis-2,axis-3,axis-4\n1,0,3,1,2\n2,1,4,3,4\n", z=4)


@pytest.mark.parametrize(
    ("size", "place"), [("0.5", (20, 40)), (0.5, (20, 40)), ("0.5, 0.25", (20, 80))]
)
def test_places_in_micrometers(read, size, place):
    found = read("axis-0,axis-1\n10,20\n", pixel_size=size)
    assert clicks(found.prompts) == {(1, 0): [(*place, True)]}


@pytest.mark.parametrize("size", ["0", "-1", "a", "1,2,3,4", "", "nan", "1e999", "²", 0])
def test_sizes_of_pixels_that_are_none(size):
    with pytest.raises(UsageError, match=r"pixel_size=.*one number above 0, or two"):
        PromptParams.named({"pixel_size": size})


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ("2,3\n4,5\n6,7\n", "all 3 lie in the first corner of the image (150 wide, 120 high)"),
        ("20,30\n400,500\n600,700\n", "2 of 3 lie outside the image"),
        ("-9,30\n", "1 of 1 lie outside the image"),
    ],
)
def test_places_that_may_be_in_another_unit(read, places, words):
    (note,) = read("axis-0,axis-1\n" + places).notes[1:]
    assert words in note
    assert "in micrometers, not in pixels; --pixel-size" in note


@pytest.mark.parametrize("places", ["2,3\n4,5\n", "2,3\n4,5\n60,70\n", "20,30\n40,50\n200,3\n"])
def test_places_that_are_all_right(read, places):
    assert len(read("axis-0,axis-1\n" + places).notes) == 1


# --- shapes ---------------------------------------------------------------------------------------

HEAD = "index,shape-type,vertex-index,axis-0,axis-1,axis-2\n"


def shape(index: int, kind: str, corners: list, frame: float = 0) -> str:
    return "".join(f"{index},{kind},{k},{frame},{y},{x}\n" for k, (y, x) in enumerate(corners))


def rectangle(y0: float, x0: float, y1: float, x1: float) -> list:
    return [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]


def test_rectangles_are_boxes_and_each_is_an_object(read):
    found = read(
        HEAD
        + shape(0, "rectangle", rectangle(26, 16, 54, 44))
        + shape(1, "rectangle", rectangle(70, 90, 90, 110))
    )
    assert {key: prompt.box for key, prompt in found.prompts.items()} == {
        (1, 0): (26, 16, 54, 44),
        (2, 0): (70, 90, 90, 110),
    }
    assert found.notes == ("read as shapes of napari: 2 boxes, 2 objects (one a shape)",)


def test_ellipses_polygons_and_turned_rectangles_are_masks(read):
    diamond = [(50, 40), (60, 50), (50, 60), (40, 50)]
    found = read(
        HEAD
        + shape(0, "ellipse", rectangle(20.3, 30.3, 40.1, 70.1), 1)
        + shape(1, "polygon", [(0, 0), (0, 10), (10, 10), (10, 0)], 1)
        + shape(4, "rectangle", diamond, 2)
    )
    masks = {key: prompt.mask.to_frame(*SHAPE) for key, prompt in found.prompts.items()}
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    ellipse = ((y - 30.2) / 9.9) ** 2 + ((x - 50.2) / 19.9) ** 2 <= 1
    np.testing.assert_array_equal(masks[1, 1], ellipse)
    assert masks[2, 1].sum() in range(100, 122)
    assert masks[2, 1][5, 5]
    inside = np.abs(y - 50) + np.abs(x - 50)
    assert masks[5, 2][inside < 9.9].all()
    assert not masks[5, 2][inside > 10.1].any()
    assert found.notes[0] == "read as shapes of napari: 3 masks, 3 objects (one a shape)"
    assert found.notes[1].startswith("the shapes are on 2 frames, and napari does not save of wh")
    assert found.notes[2] == "1 turned rectangle taken as a mask"


def test_shapes_end_with_the_image(read):
    found = read(
        HEAD
        + shape(0, "rectangle", rectangle(-5, -5, 20, 400))
        + shape(1, "polygon", [(100, 140), (100, 900), (900, 900), (900, 140)])
    )
    assert found.prompts[1, 0].box == (0, 0, 20, 149)
    assert found.prompts[2, 0].mask.box == (100, 140, 120, 150)


def test_shapes_in_other_columns(read):
    text = "index,shape-type,vertex-index,axis-0,axis-1,object_id,colour\n" + "".join(
        f"{i},rectangle,{k},{y},{x},{9 - i},red\n"
        for i in (0, 1)
        for k, (y, x) in enumerate(rectangle(10, 10 + 30 * i, 20, 30 + 30 * i))
    )
    found = read(text)
    assert list(found.prompts) == [(8, 0), (9, 0)]
    assert "2 objects (object_id); columns not used: colour" in found.notes[0]


def test_shapes_on_planes_and_in_micrometers(read):
    text = "index,shape-type,vertex-index,axis-0,axis-1,axis-2,axis-3\n" + "".join(
        f"{i},rectangle,{k},0,{3 + i},{y},{x}\n"
        for i in (0, 1)
        for k, (y, x) in enumerate(rectangle(1, 2, 3, 4))
    )
    found = read(text, z=4, pixel_size="0.1")
    assert {key: prompt.box for key, prompt in found.prompts.items()} == {
        (2, 0): pytest.approx((10, 20, 30, 40))
    }
    assert "4 rows on other planes than 4 (axis-1) left out" in found.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (shape(3, "line", [(1, 1), (9, 9)]), r"line 2: shape 3 is a line, which encloses nothing;"),
        (
            shape(0, "ellipse", rectangle(1, 1, 9, 9)) + shape(1, "path", [(1, 1), (9, 9), (1, 9)]),
            r"line 6: shape 1 is a path, which encloses nothing; draw a rectangle, ellipse or",
        ),
        (shape(0, "blob", [(1, 1)]), "shape 0 is a blob, which"),
        (shape(0, "polygon", [(1, 1), (9, 9)]), "polygon with 2 corners, and needs at least three"),
        (shape(0, "rectangle", [(1, 1), (9, 9)]), "rectangle with 2 corners, and needs four"),
        (shape(0, "rectangle", rectangle(5, 5, 5, 9)), "is a rectangle without area"),
        (
            shape(0, "polygon", [(5.2, 5.2), (5.2, 5.4), (5.4, 5.3)]),
            "is a polygon that holds no centre of a pixel; draw it larger",
        ),
        (
            shape(0, "rectangle", rectangle(500, 5, 520, 9)),
            r"lies outside the image \(150 wide, 120 high\).*\(1 of 1 .* --pixel-size",
        ),
        (
            shape(0, "polygon", [(1, 1), (9, 9)]) + shape(0, "polygon", [(1, 9)], 1),
            "line 2: shape 0 lies on several frames",
        ),
        (
            shape(0, "rectangle", [(1, 1), (1, 9)]) + shape(0, "ellipse", [(9, 9), (9, 1)]),
            "shape 0 has the types ellipse, rectangle; give each",
        ),
        (shape(-1, "rectangle", rectangle(1, 1, 9, 9)), "the object, one more .* is 0; ids are"),
    ],
)
def test_shapes_that_are_no_prompts_are_refused(read, text, message):
    with pytest.raises(FormatError, match=message):
        read(HEAD + text)


def test_two_shapes_of_an_object_on_a_frame(read):
    text = "index,shape-type,vertex-index,axis-0,axis-1,object_id\n" + "".join(
        f"{i},rectangle,{k},{y},{x},3\n"
        for i in (0, 1)
        for k, (y, x) in enumerate(rectangle(1, 2, 30, 40))
    )
    with pytest.raises(FormatError, match=r"line 6: shape 1 is a second shape of object 3 on fra"):
        read(text)


# --- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"has the columns a, b; needed are axis-0, axis-1, axis-2 \(frame, y, x\)"),
        ("", r"p\.csv is an empty table"),
        ("axis-0,axis-2\n1,2\n", r"has the columns axis-0, axis-2; needed"),
        ("axis-0,axis-1\n1,x\n", r"p\.csv, line 2: axis-1 is 'x', not a number"),
        ("axis-0,axis-1\n1\n", r"line 2 has 1 values, fewer than the 2 columns"),
        ("axis-0,axis-1\n1,nan\n", r"line 2: axis-1 is missing"),
        ("axis-0,axis-1\n1,1e999\n", r"line 2: axis-1 is 1e999, beyond any movie"),
        ("axis-0,axis-1,object_id\n1,2,1\n1,2,0\n", r"line 3: object_id is 0; ids are"),
        ("axis-0,axis-1,track_id\n1,2,1.5\n", r"line 2: track_id is 1\.5; ids are"),
        ("axis-0,axis-1,object_id\n1,2,mother\n", r"line 2: object_id is 'mother'; ids are"),
        ("axis-0,axis-1,id\n1,2," + "9" * 5000 + "\n", r"line 2: id is '9+\.\.\.9+'; ids are"),
        ("axis-0,axis-1,axis-2\n-3,1,2\n", r"line 2: axis-0 is -3(\.0)?; frames are whole numbers"),
        ("x,y,t\n1,2,0.5\n", r"line 2: t is 0.5; frames are whole numbers from 0"),
        ("x,y,t\n1,2,10000000\n", r"line 2: t is 1.*; frames are whole numbers from 0"),
        (
            "axis-0,axis-1,label\n1,2,maybe\n",
            r"line 2: label is 'maybe', neither positive nor negative; write positive or negative,",
        ),
        ("axis-0,axis-1,label\n1,2,3\n", r"label is '3', neither .* objects, call the column obj"),
    ],
)
def test_bad_tables_name_the_line(read, text, message):
    with pytest.raises(FormatError, match=message):
        read(text)


def test_files_of_each_kind(read, tmp_path):
    wanted = prompts_from_texts(["1,2"])
    assert read(prompts_to_json(wanted), name="p.json") == FoundPrompts(wanted)
    for name in ("none.json", "none.csv"):
        with pytest.raises(FormatError, match=rf"{name} does not exist; check the spelling"):
            read_prompts(tmp_path / name, SHAPE)
    with pytest.raises(FormatError, match=r"a\.txt is no file of prompts; give \.json, or a table"):
        read_prompts(tmp_path / "a.txt", SHAPE)
    with pytest.raises(UsageError, match=r"p\.json is in pixels already; leave out --pixel-size"):
        read(prompts_to_json(wanted), name="p.json", pixel_size="0.5")
    with pytest.raises(FormatError, match=r"p\.json is not valid JSON \(it is nested too deep\)"):
        read("[" * 200_000, name="p.json")


def test_points_keep_their_order(read):
    text = "axis-0,axis-1,object_id\n" + "".join(f"{k},{k},{k % 2 + 1}\n" for k in range(6))
    assert read(text).prompts[1, 0].points == (Point(0, 0), Point(2, 2), Point(4, 4))
