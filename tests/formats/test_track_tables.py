"""Tables of tracks of many programs: each is made here as its program writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam2track.errors import FormatError, OutputError, UsageError
from napari_sam2track.formats.tracks_files import open_tracks, write_tracks
from napari_sam2track.params import ReadParams, WriteParams

#: One track of two frames, and its two daughters in the third.
EXPECTED = {1: (None, [0, 1]), 2: (1, [2]), 3: (1, [2])}
PLACES = {(0, 10.0, 10.0), (1, 10.0, 11.0), (2, 8.0, 12.0), (2, 13.0, 12.0)}

TRACKMATE = """\
LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME,RADIUS,VISIBILITY
Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,Radius,Visibility
Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,R,Visibility
,,,(quality),({unit}),({unit}),({unit}),(sec),,({unit}),
ID11,11,0,1.0,10,10,0,0,0,5,1
ID12,12,0,1.0,11,10,0,1,1,5,1
ID13,13,0,1.0,12,8,0,2,2,5,1
ID14,14,0,1.0,12,13,0,2,2,5,1
"""
EDGES = """\
LABEL,TRACK_ID,SPOT_SOURCE_ID,SPOT_TARGET_ID,LINK_COST
Label,Track ID,Source spot ID,Target spot ID,Link cost
Label,Track ID,Source ID,Target ID,Cost
,,,,(cost)
ID11 - ID12,0,11,12,1.0
ID12 - ID13,0,12,13,1.0
ID12 - ID14,0,12,14,1.0
"""

TABLES: dict[str, tuple[str, str]] = {
    "motile or funtracks": (
        "funtracks",
        "t,y,x,id,parent_id,tracklet_id,area\n0,10.0,10.0,1,,1,50\n1,10.0,11.0,2,1,1,52\n"
        "2,8.0,12.0,3,2,2,25\n2,13.0,12.0,4,2,3,27\n",
    ),
    "motile or funtracks, names for people": (
        "funtracks",
        "ID,Parent ID,Time,y,x,Tracklet ID,Lineage ID\n1,,0,10,10,1,1\n2,1,1,10,11,1,1\n"
        "3,2,2,8,12,2,1\n4,2,2,13,12,3,1\n",
    ),
    "motile": (
        "motile",
        "t,y,x,id,parent_id,track_id\n0,10,10,7,,1\n1,10,11,8,7.0,1\n2,8,12,9,8.0,2\n"
        "2,13,12,10,8.0,3\n",
    ),
    "ultrack": (
        "ultrack",
        "track_id,t,z,y,x,id,parent_track_id,parent_id\n1,0,0,10,10,1000001,-1,-1\n"
        "1,1,0,10,11,2000001,-1,1000001\n2,2,0,8,12,3000001,1,2000001\n"
        "3,2,0,13,12,3000002,1,2000001\n",
    ),
    "inTRACKtive": (
        "inTRACKtive",
        "TrackID,t,x,y,z,parentTrackID\n1,0,10,10,0,-1\n1,1,11,10,0,-1\n2,2,12,8,0,1\n"
        "3,2,12,13,0,1\n",
    ),
    "btrack": (
        "btrack",
        "ID,t,x,y,z,parent,root,state,generation\n1,0,10,10,0,1,1,5,0\n1,1,11,10,0,1,1,5,0\n"
        "2,2,12,8,0,1,1,5,1\n3,2,12,13,0,1,1,5,1\n",
    ),
    "traccuracy": (
        "traccuracy",
        "t,y,x,id,parent\n0,10,10,1,\n1,10,11,2,1\n2,8,12,3,2\n2,13,12,4,2\n",
    ),
    "Cell-ACDC": (
        "Cell-ACDC",
        "frame_i,time_seconds,Cell_ID,x_centroid,y_centroid,cell_area_pxl,Cell_ID_tree,"
        "parent_ID_tree,generation_num_tree\n0,0,1,10,10,80,1,-1,1\n1,60,1,11,10,81,1,-1,1\n"
        "2,120,2,12,8,40,2,1,2\n2,120,3,12,13,41,3,1,2\n",
    ),
    "traccuracy, by ids of a segmentation": (
        "traccuracy",
        "t,y,x,segmentation_id,parent\n0,10,10,1,\n1,10,11,2,1\n2,8,12,3,2\n2,13,12,4,2\n",
    ),
    "ids that are words": (
        "motile",
        "t,y,x,id,parent_id\n0,10,10,a-1,\n1,10,11,b-1,a-1\n2,8,12,c-1,b-1\n2,13,12,c-2,b-1\n",
    ),
    "ids that are hashes": (
        "motile",
        "t,y,x,id,parent_id\n0,10,10,18446744073709551557,\n"
        "1,10,11,18446744073709551533,18446744073709551557\n"
        "2,8,12,18446744073709551521,18446744073709551533\n"
        "2,13,12,18446744073709551437,18446744073709551533\n",
    ),
    "tracks that are words": (
        "a table of tracks",
        "frame,track,parent_track,y,x\n0,A,,10,10\n1,A,,10,11\n2,A.a,A,8,12\n2,A.b,A,13,12\n",
    ),
    "centroids of scikit-image": (
        "a table of tracks",
        "frame,track_id,centroid-0,centroid-1,parent_track\n0,1,10,10,\n1,1,10,11,\n"
        "2,2,8,12,1\n2,3,13,12,1\n",
    ),
    "times with a unit": (
        "a table of tracks",
        "time [s],track_id,parent_track,y,x\n0,1,,10,10\n300,1,,10,11\n600,2,1,8,12\n"
        "600,3,1,13,12\n",
    ),
    "a parent in the first row of a track only": (
        "a table of tracks",
        "frame,track,parent,y,x\n0,1,,10,10\n1,1,,10,11\n2,2,1,8,12\n2,3,1,13,12\n",
    ),
    "semicolons and decimal commas": (
        "a table of tracks",
        "Frame;Track ID;Mother;Y;X\n0;1;0;10,0;10,0\n1;1;0;10,0;11,0\n2;2;1;8,0;12,0\n"
        "2;3;1;13,0;12,0\n",
    ),
    "times in seconds": (
        "a table of tracks",
        "time;track_id;parent_track;y;x\n0,5;1;;10,0;10\n3,0;1;;10,0;11\n5,5;2;1;8,0;12\n"
        "5,5;3;1;13,0;12\n",
    ),
}


def read(path: Path, text: str, **options: Any) -> tuple[Any, list[str]]:
    path.write_text(text, encoding="utf-8")
    with open_tracks(path, options=ReadParams(**options)) as movie:
        return movie, [note.removeprefix(f"{path}: ") for note in movie.provenance["notes"]]


def content(movie: Any) -> dict[int, tuple[int | None, list[int]]]:
    table = movie.table
    return {
        int(rows["track"][0]): (
            table.parents.get(int(rows["track"][0])),
            rows["frame"].tolist(),
        )
        for rows in table.tracks()
    }


@pytest.mark.parametrize("kind", TABLES)
def test_tracks_and_parents_of_each_program(tmp_path: Path, kind: str) -> None:
    program, text = TABLES[kind]
    movie, notes = read(tmp_path / "a.csv", text)
    assert content(movie) == EXPECTED
    rows = movie.table.detections
    found = {(int(r["frame"]), *r["centroid"][1:].tolist()) for r in rows}
    assert found == PLACES
    assert len(movie.table.frame_shape) == 2  # z is 0 throughout: planes
    assert "3 tracks, 2 parents" in notes[0]
    assert notes[0].startswith("read as ")
    assert program in notes[0]


def test_columns_that_are_not_used_are_named(tmp_path: Path) -> None:
    _, notes = read(tmp_path / "a.csv", TABLES["ultrack"][1])
    assert notes == ["read as ultrack: 3 tracks, 2 parents; columns not used: id, parent_id"]
    _, notes = read(tmp_path / "a.csv", TABLES["times in seconds"][1])
    assert "time is in steps of 2.5, which are the frames" in notes
    assert "numbers have decimal commas" in notes


def test_trackmate_with_its_links(tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_text(EDGES)
    movie, notes = read(tmp_path / "spots.csv", TRACKMATE.format(unit="pixel"))
    assert content(movie) == EXPECTED
    assert "links were read from edges.csv" in notes
    (tmp_path / "edges.csv").rename(tmp_path / "run_edges.csv")
    (tmp_path / "spots.csv").unlink()
    movie, _ = read(tmp_path / "run_spots.csv", TRACKMATE.format(unit="pixel"))
    assert content(movie) == EXPECTED


def test_trackmate_without_its_links(tmp_path: Path) -> None:
    path = tmp_path / "spots.csv"
    with pytest.raises(FormatError, match=r"tracks that divide, .* put edges\.csv"):
        read(path, TRACKMATE.format(unit="pixel"))
    plain = TRACKMATE.format(unit="pixel").replace("ID14,14,0", "ID14,14,")
    movie, notes = read(path, plain)
    assert content(movie) == {1: (None, [0, 1, 2]), 2: (None, [2])}
    assert any("no table of links" in note for note in notes)
    path.write_text(EDGES)
    with pytest.raises(FormatError, match=r"holds links without places; give the table of spots"):
        open_tracks(path)
    path.write_text("LABEL,TRACK_INDEX,TRACK_ID,NUMBER_SPOTS\nTrack_0,0,0,4\n")
    with pytest.raises(FormatError, match=r"one line for each track, without places; give the"):
        open_tracks(path)


def test_imaris(tmp_path: Path) -> None:
    text = (
        "\nPosition \n==================== \n\n"
        "Position X,Position Y,Position Z,Unit,Category,Collection,Time,TrackID,ID,\n"
        "1.0,2.0,0,um,Spot,Position,1,1000000000,0,\n1.5,2.0,0,um,Spot,Position,2,1000000000,1,\n"
    )
    movie, notes = read(tmp_path / "a.csv", text, pixel_size="0.5")
    assert content(movie) == {1_000_000_000: (None, [0, 1])}
    assert movie.table.detections["centroid"].tolist() == [[0, 4, 2], [0, 4, 3]]
    assert (movie.scale.x, movie.scale.space_unit) == (0.5, "micrometer")
    assert any("Time counts from 1" in note for note in notes)
    assert notes[0].startswith("read as Imaris")


def test_trackpy_and_laptrack(tmp_path: Path) -> None:
    movie, notes = read(
        tmp_path / "a.csv",
        ",y,x,mass,size,ecc,signal,raw_mass,ep,frame,particle\n0,5,6,100,2,0,1,2,0,0,3\n"
        "1,6,7,100,2,0,1,2,0,1,3\n",
    )
    assert content(movie) == {3: (None, [0, 1])}
    assert notes[0].startswith("read as trackpy: 1 tracks, 0 parents; columns not used: mass")
    movie, notes = read(
        tmp_path / "a.csv", "frame,index,track_id,tree_id,y,x\n0,0,0,0,5,6\n1,0,0,0,6,7\n"
    )
    assert content(movie) == {1: (None, [0, 1])}
    assert notes[0].startswith("read as laptrack")
    assert any("all ids are one higher" in note for note in notes)


MASTODON = """\
Label,ID,Spot N links,Spot frame,Spot position,Spot position,Spot position,Spot radius,Spot track ID
,,,,X,Y,Z,,
,,,,({unit}),({unit}),({unit}),({unit}),
a,0,1,0,10,10,0,5,0
b,1,3,1,11,10,0,5,0
c,2,1,2,12,8,0,5,0
d,3,1,2,12,13,0,5,0
"""
MASTODON_LINKS = """\
Label,ID,Link displacement,Link target IDs,Link target IDs
,,,Source spot id,Target spot id
,,(pixel),,
0 - 1,0,1.0,0,1
1 - 2,1,2.2,1,2
1 - 3,2,3.2,1,3
"""


def test_mastodon_with_its_links(tmp_path: Path) -> None:
    (tmp_path / "run-Link.csv").write_text(MASTODON_LINKS)
    movie, notes = read(tmp_path / "run-Spot.csv", MASTODON.format(unit="pixel"))
    assert content(movie) == EXPECTED
    assert notes[0].startswith("read as Mastodon: 3 tracks, 2 parents; columns not used: Label")
    assert "links were read from run-Link.csv" in notes
    _, notes = read(tmp_path / "run-Spot.csv", MASTODON.format(unit="µm"))
    assert any("places are in micrometer" in note for note in notes)
    with pytest.raises(FormatError, match="holds links without places"):
        open_tracks(tmp_path / "run-Link.csv")
    (tmp_path / "run-Link.csv").unlink()
    with pytest.raises(FormatError, match=r"Spot track ID 0 is more than once in frame 2, and the"):
        read(tmp_path / "run-Spot.csv", MASTODON.format(unit="pixel"))


def test_laptrack_with_its_divisions(tmp_path: Path) -> None:
    table = "frame,index,x,y,track_id,tree_id\n0,0,10,10,0,0\n1,0,11,10,0,0\n2,0,12,8,1,0\n"
    (tmp_path / "split_df.csv").write_text(",parent_track_id,child_track_id\n0,0,1\n1,0,2\n")
    movie, notes = read(tmp_path / "track_df.csv", f"{table}2,1,12,13,2,0\n")
    assert content(movie) == EXPECTED
    assert "parents were read from split_df.csv" in notes
    with pytest.raises(FormatError, match=r"split_df.csv: track 2 is said to come from 0, and one"):
        read(tmp_path / "track_df.csv", table)


def test_trackmate_with_columns_that_a_person_chose(tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_text(EDGES)
    rows = ("11,0,10,10,0", "12,0,11,10,1", "13,0,12,8,2", "14,0,12,13,2")
    text = "\n".join(["ID,TRACK_ID,POSITION_X,POSITION_Y,FRAME", *rows])
    movie, notes = read(tmp_path / "spots.csv", text)
    assert content(movie) == EXPECTED
    assert notes[0] == "read as TrackMate: 3 tracks, 2 parents"


def test_imaris_and_cellprofiler_say_that_a_lineage_divides(tmp_path: Path) -> None:
    head = "Position X,Position Y,Position Z,Unit,Category,Collection,Time,TrackID,ID,\n"
    rows = "1,2,3,um,Spot,Position,1,1000000000,0,\n"
    twice = rows + rows.replace(",0,\n", ",1,\n")
    with pytest.raises(FormatError, match=r"TrackID 1000000000 is more than once in frame 0, and"):
        read(tmp_path / "a.csv", head + twice)
    head = "ImageNumber,ObjectNumber,Location_Center_X,Location_Center_Y,TrackObjects_Label_50\n"
    movie, notes = read(tmp_path / "a.csv", f"{head}1,1,5,6,3\n2,2,5,7,3\n")
    assert content(movie) == {3: (None, [0, 1])}
    assert notes[0].startswith("read as CellProfiler")
    with pytest.raises(FormatError, match="TrackObjects_Label_50 3 is more than once in frame 1"):
        read(tmp_path / "a.csv", f"{head}1,1,5,6,3\n2,1,5,7,3\n2,2,5,7,3\n")


def test_buds_of_cell_acdc_have_their_mothers(tmp_path: Path) -> None:
    head = "frame_i,Cell_ID,x_centroid,y_centroid,relative_ID,relationship\n"
    rows = "0,1,1,1,-1,mother\n1,1,1,1,2,mother\n1,2,4,1,1,bud\n2,1,1,1,2,mother\n2,2,4,1,1,bud\n"
    movie, notes = read(tmp_path / "a_acdc_output.csv", head + rows)
    assert content(movie) == {1: (None, [0, 1, 2]), 2: (1, [1, 2])}
    assert notes == ["read as Cell-ACDC: 2 tracks, 1 parents"]
    movie, notes = read(tmp_path / "a_acdc_output.csv", f"{head}0,1,1,1,2,mother\n0,2,4,1,1,bud\n")
    assert movie.table.parents == {}
    assert any("1 buds begin as early as their parents" in note for note in notes)
    path = tmp_path / "a_acdc_output.csv"
    movie, notes = read(path, "frame_i,Cell_ID,relative_ID,x_centroid,y_centroid\n0,1,2,1,1\n")
    assert "no parents were read, as no column says which cell is the bud" in notes
    assert read(path, head)[0].table.n_tracks == 0


def test_parents_of_objects_may_not_contradict_those_of_tracks(tmp_path: Path) -> None:
    text = TABLES["ultrack"][1].replace("3,2,0,13,12,3000002,1,2000001", "4,1,0,9,9,7,-1,-1")
    text += "3,2,0,13,12,3000002,1,7\n"
    with pytest.raises(FormatError, match=r"line 6: the parent of track 3 is 1 by parent_track_id"):
        read(tmp_path / "a.csv", text)
    movie, _ = read(tmp_path / "a.csv", text, columns="parent_track=parent_track_id")
    assert movie.table.parents == {2: 1, 3: 1}
    movie, _ = read(tmp_path / "a.csv", text, columns="parent=")
    assert movie.table.parents == {}


def test_what_is_one_throughout_is_a_plane(tmp_path: Path) -> None:
    movie, notes = read(tmp_path / "a.csv", "ID,t,x,y,z\n1,0,9,8,5\n1,1,9,8,5\n")
    assert movie.table.frame_shape == (9, 10)
    assert "z is 5 throughout: read as planes" in notes


def test_times_are_kept(tmp_path: Path) -> None:
    movie, notes = read(tmp_path / "a.csv", TABLES["times with a unit"][1])
    assert (movie.scale.time, movie.scale.time_unit) == (300, "second")
    assert "time [s] is in steps of 300 second, which are the frames" in notes
    text = TABLES["times with a unit"][1].replace("time [s]", "frame")
    assert read(tmp_path / "a.csv", text)[0].table.n_frames == 601  # frames are frames


def test_two_columns_of_one_name_are_asked_about(tmp_path: Path) -> None:
    text = "track_id,Track ID,frame,x,y\n1,7,0,1,1\n1,7,1,1,1\n"
    with pytest.raises(FormatError, match="the columns track_id and Track ID, and each may be the"):
        read(tmp_path / "a.csv", text)
    movie, _ = read(tmp_path / "a.csv", text, columns="track=Track ID")
    assert movie.table.ids.tolist() == [7]


def test_objects_that_nothing_links_are_said(tmp_path: Path) -> None:
    _, notes = read(tmp_path / "a.csv", "ID,t,x,y\n1,0,1,1\n2,1,1,1\n")
    assert any("each ID is there once, so each track has one frame" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.parquet", "is Parquet, which is not read; save it as CSV"),
        ("a.csv.gz", "is compressed; unpack it"),
        ("a.xlsx", "is a workbook; save the sheet with the tracks as CSV"),
        ("a.txt", "is no kind of file with tracks"),
    ],
)
def test_tables_in_other_files(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_text("a\tb\n1\t2\n")
    with pytest.raises(FormatError, match=message):
        open_tracks(tmp_path / name)


def test_tabs_and_a_name_that_ends_in_txt(tmp_path: Path) -> None:
    movie, _ = read(tmp_path / "a.txt", "track_id\tframe\tx\ty\n1\t0\t9\t8\n")
    assert len(movie.table) == 1


def test_volumes_keep_their_planes(tmp_path: Path) -> None:
    rows = ["1,0,10,10,4,-1", "1,1,11,10,4,-1", "2,2,12,8,6,1", "3,2,12,13,6,1"]
    text = "\n".join(["TrackID,t,x,y,z,parentTrackID", *rows])
    movie, _ = read(tmp_path / "a.csv", text)
    assert content(movie) == EXPECTED
    assert movie.table.frame_shape[0] == 7


def test_a_person_names_the_columns(tmp_path: Path) -> None:
    text = "T,who,cy,cx,from\n0,1,10,10,\n1,1,10,11,\n2,2,8,12,1\n2,3,13,12,1\n"
    with pytest.raises(FormatError, match="has the columns T, who, cy, cx, from, and none for"):
        read(tmp_path / "a.csv", text)
    asked = "frame=T, track=who,y=cy,x=cx,parent_track=from"
    movie, notes = read(tmp_path / "a.csv", text, columns=asked)
    assert content(movie) == EXPECTED
    assert notes == ["read as a table of tracks: 3 tracks, 2 parents"]
    with pytest.raises(UsageError, match=r"there is no column 'Cy'; the columns are T, who, cy"):
        read(tmp_path / "a.csv", text, columns="y=Cy")
    with pytest.raises(UsageError, match="'mother=from' is not MEANING=COLUMN; the meanings are"):
        read(tmp_path / "a.csv", text, columns="mother=from")


def test_tracklets_that_contradict_the_links_are_numbered_anew(tmp_path: Path) -> None:
    text = TABLES["motile"][1].replace("9,8.0,2", "9,8.0,1").replace("10,8.0,3", "10,8.0,1")
    movie, notes = read(tmp_path / "a.csv", text)
    assert content(movie) == EXPECTED
    assert any("track_id does not go with the links" in note for note in notes)


def test_masks_beside_a_table_are_named(tmp_path: Path) -> None:
    (tmp_path / "segments.zarr").mkdir()
    _, notes = read(tmp_path / "tracks.csv", TABLES["ultrack"][1])
    assert "the masks in segments.zarr beside it are not read; give that for them" in notes


def test_a_graph_beside_may_not_contradict_the_table(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text('{"2": [1], "3": [1]}')
    movie, _ = read(tmp_path / "a.csv", TABLES["btrack"][1])
    assert content(movie) == EXPECTED
    (tmp_path / "graph.json").write_text("[1]")
    with pytest.raises(FormatError, match=r"is no graph of tracks, .*; correct it, or move"):
        read(tmp_path / "a.csv", TABLES["btrack"][1])
    (tmp_path / "graph.json").write_text('{"3": [2]}')
    with pytest.raises(FormatError, match="track 3 has the parent 1 in the table, and 2 in the"):
        read(tmp_path / "a.csv", TABLES["btrack"][1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t,y,x,id,parent\n0,1,1,5,\n1,1,1,6,9\n", "values such as 9, which are neither ids"),
        ("track_id,t,y,x,parent_track_id\n1,0,1,1,7\n", "line 2: track 1 has the parent 7, which"),
        (
            "track_id,t,y,x,parent_track_id\n1,0,1,1,\n2,0,1,1,\n3,1,1,1,1\n3,2,1,1,2\n",
            "line 5: track 3 has the parents 1 and 2",
        ),
        ("track_id,frame,y,x\n1,1000000000,1,1\n", "line 2: frame is 1000000000; frames are"),
        ("track_id,frame,y,x\n1,0,1,1\n1,4000000,1,1\n", "in frame 4000000, in a file of 2"),
        ("track_id,frame,y,x\n1,0.5,1,1\n1,1.7,1,1\n1,2.15,1,1\n", "multiple of one step"),
        ("track_id,frame,y,x\n1,0,inf,1\n", "line 2: y is infinite"),
        ("track_id,frame,y,x\n1_0,0,1,1\n", "track_id is '1_0', not a number"),
        ("track_id,frame,y,x\n99999999999,0,1,1\n", "track_id is 99999999999; ids are"),
        ("track_id,frame,y,x\n1,0,1,1,5\n", "line 2 has 5 values, more than the 4 columns"),
        ("track_id,frame,y,x\n1,0,1e15,1\n", "larger than any"),
    ],
)
def test_tables_that_cannot_be_right_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(tmp_path / "a.csv", text)


def test_places_in_a_unit_need_the_size_of_a_pixel(tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_text(EDGES)
    spots = tmp_path / "spots.csv"
    movie, notes = read(spots, TRACKMATE.format(unit="micron"))
    assert any("places are in micrometer, and nothing says how large a pixel" in n for n in notes)
    with pytest.raises(OutputError, match=r"in micrometer, .* say it with --pixel-size"):
        write_tracks(tmp_path / "a.tif", movie, options=WriteParams(radius=2.0))
    movie, notes = read(spots, TRACKMATE.format(unit="micron"), pixel_size="0.5,0.25")
    assert not any("nothing says" in note for note in notes)
    assert movie.table.detections["centroid"][0].tolist() == [0, 20, 40]
    write_tracks(tmp_path / "a.tif", movie, options=WriteParams(radius=2.0))
    with open_tracks(tmp_path / "a.tif") as again:
        assert (again.scale.y, again.scale.x, again.scale.space_unit) == (0.5, 0.25, "micrometer")


@pytest.mark.parametrize("size", ["0", "x", "1,2,3,4", "-1", "nan", "inf", ""])
def test_a_size_that_is_none(size: str) -> None:
    with pytest.raises(ValueError, match="a pixel size is one number above 0"):
        ReadParams(pixel_size=size)


def test_a_large_table_is_read_in_linear_time(tmp_path: Path) -> None:
    n = 100_000
    tracks = np.repeat(np.arange(1, n // 100 + 1), 100)
    rows = zip(tracks, np.tile(np.arange(100), n // 100), range(n), strict=True)
    text = "track_id,t,y,x,parent_track_id\n" + "".join(
        f"{a},{b},{c % 99},5,-1\n" for a, b, c in rows
    )
    movie, _ = read(tmp_path / "a.csv", text)
    assert movie.table.n_tracks == n // 100
