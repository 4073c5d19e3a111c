"""Prompts: values, the text syntax, label images, files."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2track.errors import FormatError, PromptError
from napari_sam2track.masks import Mask
from napari_sam2track.prompts import (
    Point,
    Prompt,
    PromptSet,
    format_object_points,
    format_points,
    mask_from_runs,
    mask_to_runs,
    masks_from_labels,
    parse_box,
    parse_mask_source,
    parse_object_points,
    parse_points,
    prompts_from_boxes,
    prompts_from_json,
    prompts_from_texts,
    prompts_to_dict,
    prompts_to_json,
    validate_prompts,
)
from napari_sam2track.prompts.from_labels import void_in

coordinates = st.floats(-1e6, 1e6) | st.integers(-5000, 5000).map(float)
points = st.builds(Point, y=coordinates, x=coordinates, positive=st.booleans())
point_tuples = st.lists(points, min_size=1, max_size=5).map(tuple)
boxes = st.tuples(coordinates, coordinates, coordinates, coordinates)
crops = arrays(bool, st.tuples(st.integers(0, 12), st.integers(0, 12)))
masks = st.builds(Mask, crop=crops, y0=st.integers(-50, 5000), x0=st.integers(-50, 5000))
prompts = (
    st.builds(Prompt, points=point_tuples, box=st.none() | boxes)
    | st.builds(Prompt, box=boxes)
    | st.builds(Prompt, mask=masks)
)
keys = st.tuples(st.integers(1, 2**32 - 1), st.integers(0, 10**6))
prompt_sets = st.dictionaries(keys, prompts, max_size=6).map(PromptSet)


def full(height: int = 2, width: int = 2, y0: int = 0, x0: int = 0) -> Mask:
    return Mask(np.ones((height, width), bool), y0, x0)


# --- values ---------------------------------------------------------------------------------------


def test_points_must_be_finite() -> None:
    with pytest.raises(PromptError, match=r"point y=nan, x=3 is not finite; give pixel"):
        Point(float("nan"), 3)


def test_boxes_must_be_finite() -> None:
    with pytest.raises(PromptError, match=r"box \(0, 0, inf, 1\) is not finite"):
        Prompt(box=(0, 0, float("inf"), 1))


@pytest.mark.parametrize(
    ("other", "word"),
    [({"points": (Point(1, 1),)}, "points"), ({"box": (0.0, 0.0, 2.0, 2.0)}, "a box")],
)
def test_a_mask_stands_alone(other: dict, word: str) -> None:
    with pytest.raises(PromptError, match=f"a mask and {word} were given .* SAM2 takes either"):
        Prompt(mask=full(), **other)


def test_prompts_compare_by_the_content_of_their_masks() -> None:
    assert Prompt(mask=full()) == Prompt(mask=full())
    assert hash(Prompt(mask=full())) == hash(Prompt(mask=full()))
    assert Prompt(mask=full()) != Prompt(mask=full(y0=1))
    assert Prompt(mask=full()) != Prompt()
    other = full()
    other.crop[0, 0] = False
    assert Prompt(mask=full()) != Prompt(mask=other)
    assert Prompt() != 3


def test_a_set_is_sorted_and_can_be_asked() -> None:
    a, b, c = (Prompt(points=(Point(i, i),)) for i in range(3))
    found = PromptSet({(7, 3): a, (2, 9): b, (2, 0): c})
    assert list(found) == [(2, 0), (2, 9), (7, 3)]
    assert dict(found.items())[2, 9] == found[2, 9] == b
    assert found.objects == (2, 7)
    assert found.frames == (0, 3, 9)
    assert found.of_object(2) == {0: c, 9: b}
    assert found.of_object(5) == {}
    assert found.at_frame(3) == {7: a}
    assert found.first_frame(2) == 0
    assert (7, 3) in found
    assert len(found) == 3
    assert bool(found)
    assert not PromptSet()
    assert "3 prompts for 2 objects" in repr(found)
    assert PromptSet({(1, 0): Prompt()}) == PromptSet()
    assert PromptSet() != 1


def test_changes_give_new_sets() -> None:
    empty = PromptSet()
    one = empty.add(1, 0, Prompt(points=(Point(1, 1),)))
    two = one.add(1, 0, Prompt(points=(Point(2, 2, False),), box=(0, 0, 3, 3)))
    assert len(empty) == 0
    assert one[1, 0].points == (Point(1, 1),)
    assert two[1, 0] == Prompt((Point(1, 1), Point(2, 2, False)), (0, 0, 3, 3))
    assert two.put(1, 0, Prompt(mask=full()))[1, 0] == Prompt(mask=full())
    assert two.remove(1, 0) == empty
    assert hash(two) == hash(PromptSet(dict(two.items())))


def test_a_mask_replaces_a_mask_but_not_points() -> None:
    masked = PromptSet({(1, 0): Prompt(mask=full())})
    assert masked.add(1, 0, Prompt(mask=full(y0=5)))[1, 0].mask.y0 == 5
    clicked = PromptSet({(1, 0): Prompt(points=(Point(0, 0),))})
    with pytest.raises(PromptError, match=r"object 1, frame 0: a mask and points were given"):
        masked.merge(clicked)


def test_removing() -> None:
    found = prompts_from_texts(["0@1,1 5@2,2", "3@4,4"])
    assert found.remove(1).objects == (2,)
    assert found.remove(1, 5).frames == (0, 3)
    with pytest.raises(PromptError, match=r"object 9 has no prompt, so there is nothing"):
        found.remove(9)
    with pytest.raises(PromptError, match=r"object 1 has no prompt on frame 2, so"):
        found.remove(1, 2)
    with pytest.raises(PromptError, match=r"object 9 has no prompt; objects with prompts: 1, 2"):
        found.first_frame(9)


@pytest.mark.parametrize("object_id", [0, -1, 2**32, 1.5, True])
def test_ids_fit_uint32(object_id: int) -> None:
    with pytest.raises(PromptError, match=rf"an object id is {object_id}; ids are whole"):
        PromptSet({(object_id, 0): Prompt(points=(Point(0, 0),))})


def test_frames_are_not_negative() -> None:
    with pytest.raises(PromptError, match="frame -1 is before the movie"):
        PromptSet().add(1, -1, Prompt(points=(Point(0, 0),)))


def test_numpy_numbers_are_keys_too() -> None:
    found = PromptSet({(np.uint32(4), np.int64(2)): Prompt(points=(Point(0, 0),))})
    assert json.loads(prompts_to_json(found))["objects"][0]["id"] == 4


@given(prompt_sets, prompt_sets)
def test_merging_disjoint_sets_is_union(a: PromptSet, b: PromptSet) -> None:
    b = PromptSet({key: prompt for key, prompt in b.items() if key not in a})
    merged = a.merge(b)
    assert merged == b.merge(a)
    assert set(merged) == set(a) | set(b)
    for object_id in merged.objects:
        assert merged.first_frame(object_id) == min(merged.of_object(object_id))


# --- checks ---------------------------------------------------------------------------------------

GOOD = Prompt(points=(Point(5, 5),))


@pytest.mark.parametrize(
    ("key", "prompt", "message"),
    [
        ((1, 10), GOOD, r"frame 10, prompted for object 1, is outside the movie, which has 10 fr"),
        (
            (1, 0),
            Prompt(points=(Point(5, 64),)),
            r"point x=64, y=5 of object 1 on frame 0 lies out",
        ),
        ((1, 0), Prompt(points=(Point(-1, 5),)), r"outside the image \(64 wide, 48 high\); x goes"),
        (
            (3, 2),
            Prompt(points=(Point(5, 5, False),)),
            r"object 3 on frame 2 has negative clicks al",
        ),
        ((1, 0), Prompt(mask=full(60, 2)), r"covers rows 0 to 59 .* made for another size"),
        ((1, 0), Prompt(mask=full(2, 2, -1)), r"covers rows -1 to 0"),
        ((1, 0), Prompt(mask=Mask(np.zeros((0, 0), bool), 0, 0)), r"mask of object 1 .* is empty"),
        ((1, 0), Prompt(mask=Mask(np.zeros((3, 3), bool), 0, 0)), r"mask of object 1 .* is empty"),
        ((1, 0), Prompt(box=(5, 5, 5, 9)), r"box x0=5, y0=5, x1=9, y1=5 .* has no area"),
        ((1, 0), Prompt(box=(5, 5, 4, 9)), r"has no area; x0 must be below x1"),
        ((1, 0), Prompt(box=(48, 0, 60, 9)), r"box .* lies outside the image"),
        ((1, 0), Prompt(box=(0, 0, 1e300, 1e300)), r"x1=1e\+300, .* goes beyond any image; draw"),
    ],
)
def test_validate_names_the_problem(key: tuple[int, int], prompt: Prompt, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        validate_prompts(PromptSet({key: prompt}), 10, 48, 64)


def test_validate_accepts_what_is_meant() -> None:
    good = PromptSet(
        {
            (1, 0): Prompt(points=(Point(-0.5, 63.5), Point(3, 3, False))),
            (1, 9): Prompt(points=(Point(2, 2, False),)),  # a correction
            (2, 3): Prompt(points=(Point(2, 2, False),), box=(-5, -5, 100, 100)),
            (3, 0): Prompt(mask=full(48, 64)),
        }
    )
    validate_prompts(good, 10, 48, 64)
    validate_prompts(PromptSet(), 1, 1, 1)


def test_validate_says_the_worst_first_and_counts_the_rest() -> None:
    bad = PromptSet(
        {
            (1, 0): Prompt(points=(Point(99, 99, False),)),
            (2, 77): GOOD,
        }
    )
    with pytest.raises(PromptError, match=r"^frame 77, .* \(and 2 more\)$"):
        validate_prompts(bad, 10, 48, 64)


# --- text -----------------------------------------------------------------------------------------


def test_points_are_x_before_y() -> None:
    assert parse_points("120,80:pos 40.5,4e1:neg") == (Point(80, 120), Point(40, 40.5, False))


@pytest.mark.parametrize("label", ["pos", "positive", "+", "1", "POS"])
def test_positive_labels(label: str) -> None:
    assert parse_points(f"1,2:{label}") == (Point(2, 1),) == parse_points("1,2")


@pytest.mark.parametrize("label", ["neg", "negative", "-", "0", "Neg"])
def test_negative_labels(label: str) -> None:
    assert parse_points(f"1,2:{label}") == (Point(2, 1, False),)


@pytest.mark.parametrize("text", ["1,2;3,4", " 1,2 ;\n3,4; ", "1, 2  3 ,4", "1,2\t3,4"])
def test_separators(text: str) -> None:
    assert parse_points(text) == (Point(2, 1), Point(4, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2:maybe", r"point '1,2:maybe' has the label 'maybe', which is neither pos nor neg; wr"),
        ("1,2 3;4,5", r"point '3' cannot be read; write x,y:pos or x,y:neg, for example"),
        ("nan,2", r"point 'nan,2' cannot be read"),
        ("1,2,3", r"point '1,2,3' cannot be read"),
        ("4@1,2", r"point '4@1,2' names frame 4, but this is for one image"),
        ("1,1e999", r"is not finite"),
        (" ; ", r"no point was given in ' ; '"),
        ("", r"no point was given in ''"),
    ],
)
def test_bad_points_are_quoted(text: str, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        parse_points(text)


def test_points_belong_to_the_frame_named_before() -> None:
    found = parse_object_points("7,7 12@30,40:neg 31,41 0@1,2:pos")
    assert found == {0: (Point(7, 7), Point(2, 1)), 12: (Point(40, 30, False), Point(41, 31))}
    assert list(parse_object_points("5@1,1 2@1,1")) == [2, 5]


@pytest.mark.parametrize("text", ["x@1,2", "-1@1,2", "1.5@1,2", "0@", "@1,2"])
def test_bad_frames_are_quoted(text: str) -> None:
    with pytest.raises(PromptError, match=rf"point '{text}' cannot be read; write frame@x,y:pos, "):
        parse_object_points(text)


@given(point_tuples)
def test_points_survive_text(given_points: tuple[Point, ...]) -> None:
    assert parse_points(format_points(given_points)) == given_points


@given(st.dictionaries(st.integers(0, 10**6), point_tuples, min_size=1, max_size=4))
def test_object_points_survive_text(by_frame: dict[int, tuple[Point, ...]]) -> None:
    assert parse_object_points(format_object_points(by_frame)) == by_frame


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_points, parse_object_points, parse_box, parse_mask_source):
        try:
            parse(text)
        except PromptError as error:
            assert str(error)


def test_objects_are_numbered_in_order() -> None:
    found = prompts_from_texts(["1,2", "3@4,5 6,7:neg"], first_id=5)
    assert list(found) == [(5, 0), (6, 3)]
    assert found[6, 3].points == (Point(5, 4), Point(7, 6, False))


def test_boxes() -> None:
    assert parse_box("10,20,110,90") == (0, (20, 10, 90, 110))
    assert parse_box("5@110, 90, 10, 20") == (5, (20, 10, 90, 110))
    joined = prompts_from_texts(["3@1,2"]).merge(prompts_from_boxes(["3@0,0,9,9", "1,1,2,2"]))
    assert joined[1, 3] == Prompt((Point(2, 1),), (0, 0, 9, 9))
    assert joined[2, 0] == Prompt(box=(1, 1, 2, 2))


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "", "1,2,3,4,5", "1,2,3,4 5,6,7,8"])
def test_bad_boxes_are_quoted(text: str) -> None:
    with pytest.raises(PromptError, match=rf"box '{text}' cannot be read; write x0,y0,x1,y1"):
        parse_box(text)


def test_a_box_needs_area() -> None:
    with pytest.raises(PromptError, match=r"box '1,2,1,9' has no area"):
        parse_box("1,2,1,9")


@pytest.mark.parametrize(
    ("text", "path", "frame"),
    [
        ("labels.tif@12", "labels.tif", 12),
        ("labels.tif", "labels.tif", None),
        ("me@home/labels.tif", "me@home/labels.tif", None),
        ("me@12/labels.tif", "me@12/labels.tif", None),
        ("a@1@2", "a@1", 2),
        (r"C:\me@7\labels.tif@3", r"C:\me@7\labels.tif", 3),
    ],
)
def test_mask_sources(text: str, path: str, frame: int | None) -> None:
    assert parse_mask_source(text) == (Path(path), frame)


@pytest.mark.parametrize("text", ["", "@12", "  "])
def test_mask_source_without_file(text: str) -> None:
    with pytest.raises(PromptError, match="names no file; write file@frame, for example"):
        parse_mask_source(text)


@pytest.mark.parametrize("parse", [parse_points, parse_object_points, parse_box])
@pytest.mark.parametrize(
    "text",
    [
        "1" * 100_000,
        "1." * 50_000,
        "1e" * 50_000,
        "," * 100_000,
        "@" * 100_000,
        "+" * 100_000,
        " " * 100_000,
        ": " * 50_000,
        "9" * 5000 + "@1,2,3",
        "1,2:" + "x" * 100_000,
    ],
)
def test_text_without_end_is_one_sentence(parse, text: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(PromptError) as refused:
        parse(text)
    assert time.perf_counter() - begin < 1
    assert len(str(refused.value)) < 400


def test_spaces_between_points_cost_nothing() -> None:
    assert parse_points("1,2" + " " * 100_000 + "3 ,\t 4") == (Point(2, 1), Point(4, 3))


def test_frames_beyond_any_movie() -> None:
    for text in ("10000000@1,2", "9" * 5000 + "@1,2"):
        with pytest.raises(PromptError, match=r"the frame of point '.*' is .*; frames are whole"):
            parse_object_points(text)
    with pytest.raises(PromptError, match=r"the frame of box '10000000@.*' is 10000000; frames"):
        parse_box("10000000@1,2,3,4")
    with pytest.raises(PromptError, match=r"the frame of mask 'a@10000000' is 10000000; frames"):
        parse_mask_source("a@10000000")
    assert parse_mask_source("a@²") == (Path("a@²"), None)


# --- label images ---------------------------------------------------------------------------------


@given(arrays(np.uint32, (9, 11), elements=st.sampled_from([0, 1, 2, 7, 2**32 - 1])))
def test_labels_survive_as_masks(labels_yx: np.ndarray) -> None:
    found = masks_from_labels(labels_yx, frame=4)
    back_yx = np.zeros_like(labels_yx)
    for (object_id, frame), prompt in found.items():
        assert frame == 4
        back_yx[prompt.mask.to_frame(9, 11)] = object_id
        np.testing.assert_array_equal(
            prompt.mask.crop, Mask.from_frame(labels_yx == object_id).crop
        )
    np.testing.assert_array_equal(back_yx, labels_yx)


def test_a_thousand_large_ids_are_quick_and_small() -> None:
    labels_yx = np.kron(
        np.arange(1024, dtype=np.uint32).reshape(32, 32) * 4_000_000 + 5, np.ones((16, 16), "u4")
    )
    tracemalloc.start()
    begin = time.perf_counter()
    found = masks_from_labels(labels_yx)
    seconds = time.perf_counter() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 1024
    assert peak < 50e6
    assert seconds < 5


def test_odd_labels() -> None:
    assert not masks_from_labels(np.zeros((4, 4), np.uint16))
    assert masks_from_labels(np.eye(3, dtype=bool)).objects == (1,)
    with pytest.raises(PromptError, match=r"labels of shape \(2, 3, 3\) and type int64 are no"):
        masks_from_labels(np.zeros((2, 3, 3), np.int64))
    with pytest.raises(PromptError, match=r"type float32 are no label image"):
        masks_from_labels(np.zeros((3, 3), np.float32))
    with pytest.raises(PromptError, match=r"a label is -2; ids are"):
        masks_from_labels(np.full((3, 3), -2))
    with pytest.raises(PromptError, match=r"a label is 4294967296; ids are"):
        masks_from_labels(np.full((3, 3), 2**32))


@pytest.mark.parametrize(
    ("ids", "void"),
    [({1, 2, 255}, True), ({3, 255}, True), ({255}, False), ({1, 254}, False), ({40, 255}, False)],
)
def test_the_value_255_among_few_small_labels_is_no_object(ids: set[int], void: bool) -> None:
    assert void_in(ids) == void


def test_real_labels(shared_data: Path) -> None:
    labels_tyx = np.load(shared_data / "cellseg" / "data_small.npz")["labels"]
    found = masks_from_labels(labels_tyx[3], frame=3)
    assert set(found.objects) == set(np.unique(labels_tyx[3])) - {0}
    validate_prompts(found, *labels_tyx.shape)
    assert prompts_from_json(prompts_to_json(found)) == found


# --- JSON -----------------------------------------------------------------------------------------


@given(masks)
def test_masks_survive_run_lengths(mask: Mask) -> None:
    height, width = mask.crop.shape
    back = mask_from_runs(tuple(mask_to_runs(mask)), height, width, mask.y0, mask.x0)
    np.testing.assert_array_equal(back.crop, mask.crop)
    assert back.box == mask.box


def test_run_lengths_begin_outside() -> None:
    assert mask_to_runs(Mask(np.array([[0, 1], [1, 1]], bool), 0, 0)) == [1, 3]
    assert mask_to_runs(full()) == [0, 4]


@given(prompt_sets)
def test_prompts_survive_json(given_set: PromptSet) -> None:
    assert prompts_from_json(prompts_to_json(given_set)) == given_set
    assert prompts_from_json(prompts_to_dict(given_set)) == given_set


def test_the_form_of_json_is_the_documented_one() -> None:
    found = prompts_from_texts(["10,20:pos 11,21:neg"]).add(1, 9, Prompt(mask=full(1, 2, 3, 5)))
    assert prompts_to_dict(found) == {
        "format": "sam2track-prompts",
        "version": 1,
        "objects": [
            {
                "id": 1,
                "frames": [
                    {"frame": 0, "points": [[20.0, 10.0, 1], [21.0, 11.0, 0]]},
                    {
                        "frame": 9,
                        "mask": {"y0": 3, "x0": 5, "height": 1, "width": 2, "runs": [0, 2]},
                    },
                ],
            }
        ],
    }


def _file(**frame: object) -> dict:
    objects = [{"id": 1, "frames": [{"frame": 0, **frame}]}]
    return {"format": "sam2track-prompts", "version": 1, "objects": objects}


MASK = {"y0": 0, "x0": 0, "height": 2, "width": 2, "runs": [0, 4]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"p\.json is not valid JSON \(.*\); export the prompts again"),
        ("[]", r"p\.json cannot be read as prompts: the whole: .*; a file begins with"),
        ({"format": "other", "version": 1, "objects": []}, r"as prompts: format: Input should be"),
        ("[" * 200_000, r"p\.json is not valid JSON \(it is nested too deep\)"),
        (
            '{"version": ' + "9" * 5000 + "}",
            r"not valid JSON \(a number in it has thousands of dig",
        ),
        ('{"version": ' + "9" * 400 + "}", r"has version 9{20} of the prompts format"),
        (
            {"format": "sam2track-prompts", "version": 2},
            r"has version 2 .* update napari-sam2track",
        ),
        (
            {**_file(), "objects": [{"id": True, "frames": []}]},
            r"objects\.0\.id: .*the id is True; ids are",
        ),
        (_file(points=[[1, "x", 1]]), r"objects\.0\.frames\.0\.points\.0\.1: "),
        (_file(points=[[1, 2, 3], [1, 2]]), r"points\.0\.2: .*\(and 1 more\)"),
        (_file(box=[1, 2, 3]), r"frames\.0\.box"),
        (_file(colour="red"), r"colour: Extra inputs"),
        (_file(mask={**MASK, "runs": [5]}), r"mask: .*runs add up to 5 pixels, not to 2 x 2"),
        (_file(mask={**MASK, "height": 2**20, "width": 2**20}), r"is too large"),
        (_file(mask={**MASK, "runs": [-1, 5]}), r"mask\.runs\.0"),
        (_file(mask={**MASK, "x0": 10**30}), r"mask\.x0: Input should be less than 16777216"),
        (_file(points=[[10**400, 1, 1]]), r"points\.0\.0: Input should be a valid number"),
        (_file(points=[[float("inf"), 1, 1]]), r"points\.0\.0: Input should be a finite number"),
        (
            {**_file(), "objects": [{"id": 1, "frames": [{"frame": 10**7}]}]},
            r"frames\.0\.frame: Input should be less than \d+",
        ),
        (_file(mask=MASK, points=[[1, 1, 1]]), r"p.json, object 1, frame 0: a mask and points"),
        (
            {**_file(box=[0, 0, 1, 1]), "objects": _file(box=[0, 0, 1, 1])["objects"] * 2},
            r"has object 1 on frame 0 twice",
        ),
    ],
)
def test_bad_json_names_the_place(content: object, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        prompts_from_json(content, name="p.json")  # type: ignore[arg-type]
