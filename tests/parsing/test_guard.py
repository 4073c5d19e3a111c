"""Errors of parsers become sentences; bounds hold what a file claims against what can be."""

import json
import struct

import pytest

from napari_sam2track.errors import FormatError, FramesError, UsageError
from napari_sam2track.parsing.bounds import MAX_FRAMES, checked_frame, require_memory
from napari_sam2track.parsing.guard import parsing
from napari_sam2track.parsing.json_text import parsed_json, read_json


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (struct.error("unpack requires a buffer of 4 bytes"), "it ends too early"),
        (AttributeError("'NoneType' object has no attribute 'x'"), "parts do not fit together"),
        (KeyError("shape"), "'shape' is missing"),
        (RecursionError("maximum recursion depth"), "nested too deep"),
        (MemoryError(), "asks for more memory than there is"),
        (PermissionError(13, "Permission denied"), "may not be read"),
        (ZeroDivisionError("division by zero"), "division by zero"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (ValueError("a\n b"), r"\(a b\)"),
    ],
)
def test_what_a_parser_raises_is_one_sentence(cause, reason):
    with pytest.raises(FramesError, match=f"a.tif .*{reason}") as caught, \
            parsing("a.tif", "TIFF", FramesError):  # fmt: skip
        raise cause
    assert caught.value.__cause__ is cause
    assert "NoneType" not in str(caught.value)


def test_our_own_errors_pass():
    with pytest.raises(UsageError, match="ours"), parsing("a.tif", "TIFF"):
        raise UsageError("ours")


@pytest.mark.parametrize("number", [-1, MAX_FRAMES, 1e300, 0.5, float("nan"), None, "x"])
def test_frames_beyond_any_movie_are_refused(number):
    with pytest.raises(FormatError, match=r"a\.csv: frame is .*whole numbers from 0"):
        checked_frame(number, "a.csv: frame")


def test_a_frame_may_be_a_whole_float():
    assert checked_frame(7.0, "frame") == 7


def test_what_needs_more_memory_than_there_is_is_refused():
    require_memory(1000, "a small thing")
    with pytest.raises(FormatError, match=r"a frame needs 1000000000\.0 GB of memory"):
        require_memory(10**18, "a frame")


def test_json_that_is_none(tmp_path):
    for text in ("{", "[" * 100_000, "9" * 10_000, ""):
        with pytest.raises(FormatError, match=r"a\.json is not valid JSON"):
            parsed_json(text, "a.json")
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(FormatError, match="not text in UTF-8"):
        read_json(path)
    path.write_text(json.dumps({"a": 1}), encoding="utf-8-sig")
    assert read_json(path) == {"a": 1}
    with pytest.raises(FormatError, match="does not exist"):
        read_json(tmp_path / "none.json")
