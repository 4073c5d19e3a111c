import json
import re

import numpy as np
import pytest

from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.formats.provenance import provenance
from napari_sam2track.formats.tracks_csv import read_tracks_csv, write_tracks_csv
from napari_sam2track.formats.tracks_json import read_tracks_json, write_tracks_json
from napari_sam2track.tracks.table import DETECTION, TrackTable

NOTE = provenance(source="masks", frames=range(3, 9), parameters={"min_iou": 0.3})
BOXES = [(1, 2, 1, 3, 4), (0, 1, 1, 3, 4), (3, 4, 1, 4, 5), (5, 6, 1, 6, 8)]  # y0, x0, z1, y1, x1
KINDS = {
    "json": (write_tracks_json, read_tracks_json),
    "csv": (write_tracks_csv, read_tracks_csv),
}


@pytest.fixture
def table():
    rows = np.zeros(4, DETECTION)
    rows["track"] = [1, 1, 2, 2**32 - 1]
    rows["frame"] = [0, 2, 3, 3]
    rows["label"] = [7, 2**32 - 1, 7, 8]
    rows["area"] = [4, 9, 1, 2]
    rows["centroid"] = [(0, 1.5, 2.25), (0, 1, 2), (0, 3.125, 4), (0, 5, 6)]
    rows["bbox"] = [(0, *b) for b in BOXES]
    rows["iou"] = [np.nan, 0.25, np.nan, np.nan]
    return TrackTable(rows, 6, (10, 20), {2: 1, 2**32 - 1: 1})


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(tmp_path, table, kind):
    write, read = KINDS[kind]
    write(tmp_path / "t", table, NOTE)
    back, note = read(tmp_path / "t")
    for name in DETECTION.names:
        np.testing.assert_array_equal(back.detections[name], table.detections[name])
    assert (back.n_frames, back.frame_shape) == (6, (10, 20))
    assert back.parents == table.parents
    assert note == NOTE
    assert note["frame_range"] == [3, 8]


@pytest.mark.parametrize("kind", KINDS)
def test_no_tracks(tmp_path, kind):
    write, read = KINDS[kind]
    write(tmp_path / "t", TrackTable(np.zeros(0, DETECTION), 6, (10, 20)), NOTE)
    assert read(tmp_path / "t")[0].n_tracks == 0


@pytest.mark.parametrize("kind", KINDS)
def test_existing_files_are_refused(tmp_path, table, kind):
    write, _ = KINDS[kind]
    write(tmp_path / "t", table, NOTE)
    with pytest.raises(OutputError, match="exists already"):
        write(tmp_path / "t", table, NOTE)
    write(tmp_path / "t", table, NOTE, overwrite=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_tracks_give_the_same_bytes(tmp_path, table, kind):
    for name in ("a", "b"):
        KINDS[kind][0](tmp_path / name, table, NOTE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_json_has_one_track_a_line(tmp_path, table):
    write_tracks_json(tmp_path / "t.json", table, NOTE)
    content = json.loads((tmp_path / "t.json").read_text())
    assert content["format"] == "sam2track-tracks"
    assert content["version"] == 1
    assert content["tracks"][0]["detections"][0] == {
        "frame": 0,
        "label": 7,
        "area": 4,
        "centroid": [1.5, 2.25],
        "bbox": [1, 2, 3, 4],
        "iou": None,
    }
    assert [(t["id"], t["start"], t["end"], t["parent"]) for t in content["tracks"]] == [
        (1, 0, 2, None),
        (2, 3, 3, 1),
        (2**32 - 1, 3, 3, 1),
    ]
    lines = (tmp_path / "t.json").read_text().splitlines()
    assert sum(line.startswith('  {"id"') for line in lines) == 3


def change(*keys):
    """Set a value deep in the JSON, or remove it with `...`."""

    def edit(content):
        *path, last, value = keys
        for key in path:
            content = content[key]
        if value is ...:
            del content[last]
        else:
            content[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("format", "geff"), "not a file of tracks"),
        (change("version", 2), "is of version 2, and this program knows versions up to 1; update"),
        (change("size", ...), "is not valid at size: Field required"),
        (change("mood", "good"), "is not valid at mood: Extra inputs"),
        (change("tracks", 0, "id", 0), "is not valid at tracks.0.id: .*the id is 0; ids are"),
        (change("tracks", 0, "id", True), "tracks.0.id: .*the id is True; ids are"),
        (change("tracks", 0, "parent", 1.5), "tracks.0.parent: .*the id is 1.5; ids are"),
        (change("tracks", 0, "detections", 0, "label", 2**32), "the id is 4294967296; ids are"),
        (change("tracks", 0, "detections", []), "is not valid at tracks.0.detections"),
        (change("tracks", 0, "end", 5), "track 1 says 0 to 5, but has detections from 0 to 2"),
        (change("tracks", 0, "id", 2), "two tracks have the same id"),
        (change("tracks", 1, "parent", 77), r"parents name tracks that do not exist: \[77\]"),
        (change("size", "n_frames", 2), "do not fit a movie of 2 frames"),
    ],
)
def test_json_that_is_wrong_is_refused(tmp_path, table, edit, message):
    path = tmp_path / "t.json"
    write_tracks_json(path, table, NOTE)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=message):
        read_tracks_json(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "t.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(
        FormatError, match=r"t\.json (is not valid|cannot be read as|is JSON, but not)"
    ):
        read_tracks_json(tmp_path / "t.json")


def test_csv_is_what_pandas_expects(tmp_path, table):
    import pandas as pd

    write_tracks_csv(tmp_path / "t.csv", table, NOTE)
    frame = pd.read_csv(tmp_path / "t.csv")
    assert len(frame) == 4
    assert frame["track_id"].tolist() == [1, 1, 2, 2**32 - 1]
    assert frame["parent_id"].tolist() == [0, 0, 1, 1]
    assert frame["iou"].isna().tolist() == [True, False, True, True]
    assert json.loads((tmp_path / "t.csv.json").read_text())["provenance"] == NOTE


def test_csv_can_be_read_without_its_note(tmp_path, table):
    write_tracks_csv(tmp_path / "t.csv", table, NOTE)
    (tmp_path / "t.csv.json").unlink()
    back, note = read_tracks_csv(tmp_path / "t.csv")
    assert (back.n_frames, back.frame_shape, note) == (4, (6, 8), {})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("parent_id", "mother", "has no column parent_id"),
        ("1,0,7,", "1,zero,7,", "line 2: frame is 'zero', not a number; correct"),
        ("1,2,4294967295", "1,0,4294967295", "track 1 is twice in frame 0"),
        ("1,2,4294967295", "1,2,4294967296", "label is 4294967296; ids are whole numbers"),
        ("1,0,7,", "1_0,0,7,", "line 2: track_id is '1_0', not a number"),
        ("1,0,7,", "1.5,0,7,", "line 2: track_id is 1.5, and has to be a whole"),
        ("1,0,7,", "4294967297,0,7,", "line 2: track_id is 4294967297; ids"),
    ],
)
def test_csv_that_is_wrong_is_refused(tmp_path, table, old, new, message):
    path = tmp_path / "t.csv"
    write_tracks_csv(path, table, NOTE)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(FormatError, match=re.escape(message)):
        read_tracks_csv(path)


def test_csv_that_a_spreadsheet_saved_with_semicolons(tmp_path, table):
    path = tmp_path / "t.csv"
    write_tracks_csv(path, table, NOTE)
    path.write_text(path.read_text().replace(",", ";").replace(".", ","))
    found, provenance = read_tracks_csv(path)
    for name in ("track", "frame", "label", "area", "bbox"):
        np.testing.assert_array_equal(found.detections[name], table.detections[name])
    np.testing.assert_allclose(found.detections["centroid"], table.detections["centroid"])
    assert found.parents == table.parents
    assert provenance["notes"] == [f"{path}: numbers have decimal commas"]


def test_a_damaged_note_is_named(tmp_path, table):
    write_tracks_csv(tmp_path / "t.csv", table, NOTE)
    (tmp_path / "t.csv.json").write_text("{}")
    with pytest.raises(
        FormatError, match=r"t\.csv\.json cannot be read .*'size' is missing\); delete"
    ):
        read_tracks_csv(tmp_path / "t.csv")


def test_the_documented_examples_are_valid(tmp_path):
    """Each JSON block of docs/reference/tracks-json.md can be read."""
    from pathlib import Path

    from napari_sam2track.formats.tracks_files import open_tracks

    doc = Path(__file__).parents[2] / "docs" / "reference" / "tracks-json.md"
    if not doc.exists():
        pytest.skip("no docs beside the tests")
    blocks = re.findall(r"```json\n(.*?)```", doc.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 2
    for block in blocks:
        (tmp_path / "t.json").write_text(block)
        with open_tracks(tmp_path / "t.json") as movie:
            assert movie.table.n_tracks == 1
    assert movie.table.frame_shape == (5, 64, 64)
    assert movie.scale.x == 0.2


def test_the_documented_table_is_true():
    """docs/reference/formats.md says of each format what the registry says."""
    from pathlib import Path

    from napari_sam2track.formats.tracks_files import DEPTH, FORMATS, MASKS, PARENTS, SCALE

    doc = Path(__file__).parents[2] / "docs" / "reference" / "formats.md"
    if not doc.exists():
        pytest.skip("no docs beside the tests")
    rows = [line.strip("| \n").split("|") for line in doc.read_text().splitlines() if "|" in line]
    table = {cells[0].strip(" `"): [cell.strip() for cell in cells] for cells in rows[2:]}
    assert set(table) == {entry.name for entry in FORMATS}
    for entry in FORMATS:
        _, _, _, read, write, masks, parents, scale, deep, points, most = table[entry.name]
        assert (read == "yes", write == "yes") == (bool(entry.read), bool(entry.write))
        assert (masks == "yes") == (MASKS in entry.holds), entry.name
        assert (parents != "no") == (PARENTS in entry.holds), entry.name
        assert (scale != "no") == (SCALE in entry.holds), entry.name
        assert (deep == "yes") == (DEPTH in entry.holds), entry.name
        assert (points == "yes") == (not entry.needs_labels), entry.name
        assert int(most.replace(",", "")) == entry.max_id
