"""Tables of any program: separators, decimal commas, encodings, and lines that are wrong."""

from pathlib import Path

import numpy as np
import pytest

from napari_sam2track.errors import FormatError
from napari_sam2track.parsing.csv_table import read_csv_table


@pytest.fixture
def table(tmp_path):
    def make(content):
        path = Path(tmp_path) / "a.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_csv_table(path)

    return make


@pytest.mark.parametrize(
    "text",
    [
        "id,y\n1,2.5\n2,-3\n",
        "\ufeffid,y\r\n1,2.5\r\n2,-3\r\n",
        "id;y\n1;2,5\n2;-3,0\n",
        "id\ty\n1\t2.5\n2\t-3e0\n",
        'id , "y"\n\n 1 , 2.5 \n\n2,-3',
        "id,y,\n1,2.5,\n2,-3,\n",
        "id|y\n1|2.5\n2|-3\n",
        "id,y\n1,2.5\n2,-3\n".encode("utf-16"),
    ],
)
def test_a_table_of_any_kind(table, text):
    found = table(text)
    assert found.names == ("id", "y")
    np.testing.assert_array_equal(found.whole_numbers("id"), [1, 2])
    np.testing.assert_array_equal(found.numbers("y"), [2.5, -3])


def test_what_was_found_out_is_noted(table):
    assert table("id;y\n1;2,5\n").notes == ("numbers have decimal commas",)
    assert "not UTF-8" in table("id,größe\n1,2\n".encode("latin-1")).notes[0]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nan", "y is missing"),
        ("", "y is missing"),
        ("inf", "y is infinite"),
        ("1_0", "y is '1_0', not a number"),
        ("0x10", "y is '0x10', not a number"),
        ("²", "y is '²', not a number"),
        ("1e300", "y is 1e300, beyond any movie"),
        ("9" * 5000, "beyond any movie"),
    ],
)
def test_a_value_that_is_no_number_is_refused_with_its_line(table, value, reason):
    with pytest.raises(FormatError, match=f"line 3: .*{reason}"):
        table(f"id,y\n1,1\n2,{value}\n").numbers("y")


def test_missing_values_can_have_a_default(table):
    np.testing.assert_array_equal(
        table("p,q\n,1\n-1,2\nNone,3\n").whole_numbers("p", 0), [0, -1, 0]
    )


def test_lines_are_those_of_the_file_where_values_have_breaks(table):
    with pytest.raises(FormatError, match="line 4: y is 'x'"):
        table('id,y\n"a\nb",1\n2,x\n').numbers("y")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,y\n1,2,5\n", "line 2 has 3 values, more than the 2 columns.*decimal commas"),
        ("id,y\n1\n", "line 2 has 1 values, fewer than the 2 columns"),
        ("", "empty table"),
        ("\n\n", "empty table"),
        (b"id,y\n\0\0\0", "no text"),
    ],
)
def test_a_table_that_does_not_hold_together_is_refused(table, text, reason):
    with pytest.raises(FormatError, match=reason):
        table(text)


def test_names_that_are_there_twice_matter_where_they_are_used(table):
    found = table("id,y,id\n1,2,3\n")
    np.testing.assert_array_equal(found.numbers("y"), [2])
    with pytest.raises(FormatError, match="column 'id' 2 times"):
        found.numbers("id")


def test_titles_above_and_words_below_the_names(table):
    found = table("\nPosition \n=====\n\nPosition X,Time,ID,\n1.5,1,7,\n2.5,2,7,\n")
    assert found.names == ("Position X", "Time", "ID")
    np.testing.assert_array_equal(found.numbers("Position X"), [1.5, 2.5])
    found = table("FRAME,Position,\nFrame,X,Y\n,(micron),(micron)\n3,1.5,2\n")
    assert found.names == ("FRAME", "Position X", "Position Y")
    assert found.subheaders[1] == ("", "(micron)", "(micron)")
    np.testing.assert_array_equal(found.whole_numbers("FRAME"), [3])


def test_whole_numbers_are_whole(table):
    with pytest.raises(FormatError, match=r"line 2: t is 0\.5, and has to be a whole number"):
        table("t\n0.5\n").whole_numbers("t")


def test_a_long_column_is_read_in_linear_time(table):
    values = np.arange(200_000)
    text = "a,b\n" + "".join(f"{k},{k / 2}\n" for k in values)
    np.testing.assert_array_equal(table(text).numbers("b"), values / 2)
