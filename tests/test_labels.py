"""What is an id, and what is refused before numpy would wrap it or cut it off."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2track.errors import EditError, FormatError
from napari_sam2track.labels import MAX_ID, checked_id, checked_ids


@pytest.mark.parametrize(
    "value", [1, MAX_ID, np.uint32(7), np.int64(7), 7.0, np.float32(7), "7", " 7 ", str(MAX_ID)]
)
def test_ids(value):
    found = checked_id(value, "an id")
    assert type(found) is int
    assert found == float(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (-1, "-1"),
        (MAX_ID + 1, "4294967296"),
        (2**64, "18446744073709551616"),
        (float(2**32), "4294967296"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (True, "True"),
        (np.True_, r".*True.*"),
        (None, "None"),
        ("", "''"),
        ("1_0", "'1_0'"),
        ("1.0", "'1.0'"),
        ("-1", "'-1'"),
        ("²", "'²'"),
        ("9" * 5000, r"'999.*\.\.\..*999'"),
    ],
)
def test_what_is_no_id(value, said):
    with pytest.raises(
        FormatError, match=rf"^x\.csv: id is {said}; ids are whole numbers from 1 to"
    ):
        checked_id(value, "x.csv: id")


def test_the_background_may_be_let_through():
    assert checked_id(0, "a parent", least=0) == 0
    with pytest.raises(EditError, match="a parent is -1; ids are whole numbers from 0 to 429"):
        checked_id(-1, "a parent", EditError, least=0)


DTYPES = st.sampled_from(["u1", "i2", "u4", "i4", "i8", "u8", "f2", "f4", "f8", ">u8", "?"])


@given(hnp.arrays(DTYPES, (5,)))
def test_arrays_are_refused_as_their_values_are(values):
    each, first = [], None
    for value in values.tolist():
        try:
            each.append(checked_id(value, "an id"))
        except FormatError as error:
            first = first or str(error)
    if first is None:
        found = checked_ids(values, "an id")
        assert found.dtype == np.uint32
        assert found.tolist() == each
    else:
        with pytest.raises(FormatError, match=re.escape(first)):
            checked_ids(values, "an id")


def test_float32_cannot_tell_the_largest_id_from_the_next():
    with pytest.raises(FormatError, match="an id is 4294967296; "):
        checked_ids(np.array([1, MAX_ID], np.float32), "an id")


def test_arrays_of_other_things():
    assert checked_ids(np.array([["1"], ["2"]]), "an id").tolist() == [[1], [2]]
    assert checked_ids(np.array([3, "4"], object), "an id").tolist() == [3, 4]
    with pytest.raises(FormatError, match="an id is None"):
        checked_ids(np.array([3, None]), "an id")
    assert checked_ids(np.zeros((0, 2)), "an id").shape == (0, 2)
