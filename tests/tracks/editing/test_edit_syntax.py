import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.errors import EditError
from napari_sam2track.labels import MAX_ID
from napari_sam2track.parsing.bounds import MAX_FRAMES
from napari_sam2track.tracks.editing.edit_syntax import (
    VERBS,
    format_edit,
    parse_edit,
    parse_line,
    parse_script,
)
from napari_sam2track.tracks.editing.edits import (
    Delete,
    Divide,
    Merge,
    Relabel,
    SetParent,
    Split,
    Swap,
    UnsetParent,
)
from napari_sam2track.tracks.editing.paint_edits import FillGap, PaintMask

ID = st.integers(0, MAX_ID)
FRAME = st.integers(0, MAX_FRAMES - 1)
MAYBE = st.none() | FRAME
EDITS = st.one_of(
    st.builds(Relabel, ID, ID),
    st.builds(Merge, ID, ID, st.sampled_from(["refuse", "union"])),
    st.builds(Split, ID, FRAME),
    st.builds(Divide, ID, ID, FRAME),
    st.builds(Swap, ID, ID, FRAME),
    st.builds(Delete, ID, MAYBE, MAYBE),
    st.builds(SetParent, ID, ID),
    st.builds(UnsetParent, ID),
    st.builds(FillGap, ID, MAYBE, MAYBE, st.sampled_from(["background", "all"])),
)


@given(EDITS)
def test_text_and_back(edit):
    assert parse_line(format_edit(edit)) == (edit,)


@pytest.mark.parametrize(
    ("line", "edits"),
    [
        ("merge 3,7", (Merge(3, 7),)),
        ("merge 3, 7 ,8  union", (Merge(3, 7, "union"), Merge(3, 8, "union"))),
        ("  split 5 @ 12", (Split(5, 12),)),
        ("delete 9@5", (Delete(9, 5, 5),)),
        ("delete 9@:8", (Delete(9, None, 8),)),
        ("delete 9@3:", (Delete(9, 3, None),)),
        ("delete 9@:", (Delete(9),)),
        ("parent 8,9=5", (SetParent(8, 5), SetParent(9, 5))),
        ("no-parent 8,9", (UnsetParent(8), UnsetParent(9))),
        ("fill 5@3:8 over", (FillGap(5, 3, 8, "all"),)),
    ],
)
def test_lines(line, edits):
    assert parse_line(line) == edits


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("glue 3,7", "there is no edit 'glue'; there are merge, split, divide, swap, delete"),
        ("", "there is no edit ''"),
        ("merge 3", "merge '3' cannot be read; write it as merge 3,7"),
        ("merge 3;7", "merge '3;7' cannot be read"),
        ("split 5", "split '5' cannot be read; write it as split 5@12"),
        ("split 5@-1", "cannot be read"),
        ("split 5@1.5", "cannot be read"),
        ("swap 3@4", "write it as swap 3,4@10"),
        ("delete x", "write it as delete 9, 9@5 or 9@3:8"),
        ("relabel 3", "write it as relabel 3=12"),
        ("parent 3", "write it as parent 8=5"),
        ("fill 5 under", "write it as fill 5, 5@3:8 or '5 over'"),
    ],
)
def test_what_cannot_be_read(line, message):
    with pytest.raises(EditError, match=message):
        parse_line(line)


def test_every_example_in_a_message_can_be_read():
    for verb in VERBS:
        with pytest.raises(EditError) as error:
            parse_edit(verb, "?")
        examples = str(error.value).partition(f"write it as {verb} ")[2]
        for example in examples.replace(" or ", ", ").split(", "):
            assert parse_edit(verb, example.strip("'"))


def test_scripts():
    text = "# corrections of Monday\nmerge 3,7  # the same\n\nsplit 5@12\n"
    assert parse_script(text, "e.txt") == (Merge(3, 7), Split(5, 12))
    assert parse_script(json.dumps(["merge 3,7", "split 5@12"]), "e.json") == (
        Merge(3, 7),
        Split(5, 12),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("merge 3,7\nsplit 5\n", "e.txt, line 2: split '5' cannot be read"),
        ('["merge 3,7", "split 5"]', "e.txt, line 2: split '5'"),
        ("# nothing\n", "e.txt holds no edits"),
        ("[]", "e.txt holds no edits"),
        ("[1]", r"e.txt is not a list of texts such as \["),
        ("[", r"e.txt is not valid JSON \(.*\); correct it, or write one edit a line"),
    ],
)
def test_bad_scripts(text, message):
    with pytest.raises(EditError, match=message):
        parse_script(text, "e.txt")


def test_pixels_have_no_text():
    with pytest.raises(EditError, match="PaintMask cannot be written as text; save the labels"):
        format_edit(PaintMask(1, 0, np.ones((1, 1), bool), (0, 0)))


@pytest.mark.parametrize(
    ("verb", "text", "message"),
    [
        ("split", "5@" + "9" * 5000, "a frame is inf; frames are whole numbers from 0"),
        ("split", "5@10000000", "a frame is 10000000; frames are whole numbers from 0"),
        ("delete", "9" * 5000, r"an id is '999.*\.\.\..*'; ids are whole numbers"),
        ("relabel", "3=4294967296", "an id is '4294967296'; ids are whole numbers"),
        ("delete", "²", "delete '²' cannot be read; write it as delete 9"),
        ("merge", "1" * 100_000, r"merge '1{60}\.\.\.' cannot be read; write it as merge 3,7"),
        ("swap", "3" + " " * 100_000 + ",4", r"swap '3 {59}\.\.\.' cannot be read"),
    ],
)
def test_numbers_without_end_are_one_sentence(verb, text, message):
    begin = time.perf_counter()
    with pytest.raises(EditError, match=message) as refused:
        parse_edit(verb, text)
    assert time.perf_counter() - begin < 1
    assert len(str(refused.value)) < 300


def test_a_script_that_is_nested_too_deep():
    with pytest.raises(EditError, match=r"e.json is not valid JSON \(it is nested too deep\)"):
        parse_script("[" * 200_000, "e.json")
