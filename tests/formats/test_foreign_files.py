"""Files of other programs, good and bad: read, or refused in one sentence."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_sam2track.errors import FormatError, UsageError
from napari_sam2track.formats.tracks_files import open_tracks, write_tracks
from napari_sam2track.params import ReadParams


def refused(path, message, **options):
    with pytest.raises(FormatError, match=message):
        open_tracks(path, options=ReadParams(**options)).close()


# Cell Tracking Challenge


def ctc(folder, masks, text, name="mask{:03d}.tif", lines="res_track.txt"):
    folder.mkdir(parents=True, exist_ok=True)
    for t, frame in masks.items() if isinstance(masks, dict) else enumerate(masks):
        tifffile.imwrite(folder / name.format(t), np.asarray(frame), photometric="minisblack")
    (folder / lines).write_text(text)
    return folder


def frames(*labels):
    """A row of pixels a frame."""
    return np.array([[row] for row in labels], np.uint16)


def test_ctc_in_any_order_with_any_digits(tmp_path):
    masks = frames([20, 10, 0], [20, 10, 0], [0, 30, 0])
    path = ctc(tmp_path / "a", masks, "20 0 1 0\n30 2 2 10\n10\t0 1 0\n", "mask{:06d}.tif")
    with open_tracks(path) as movie:
        assert movie.table.ids.tolist() == [10, 20, 30]
        assert movie.table.parents == {30: 10}  # a child in the next frame is its own track
        assert "notes" not in movie.provenance
    with open_tracks(path, options=ReadParams(join="single")) as movie:
        assert movie.table.ids.tolist() == [10, 20]
        assert movie.labels.read(2).tolist() == [[0, 10, 0]]


def test_ctc_with_one_line_and_one_frame(tmp_path):
    path = ctc(tmp_path / "a", frames([5, 0]), "5 0 0 0")
    with open_tracks(path) as movie:
        assert (movie.table.n_frames, movie.table.frame_shape) == (1, (1, 2))
    path = ctc(tmp_path / "b", np.ones((1, 4, 3, 2), np.uint16), "1 0 0 0\n")
    with open_tracks(path) as movie:  # pages of a file are planes
        assert (movie.table.n_frames, movie.table.frame_shape) == (1, (4, 3, 2))


def test_ctc_gaps_are_joined(tmp_path):
    masks = frames([1, 0], [0, 0], [2, 0], [0, 0], [3, 4])
    path = ctc(tmp_path / "a", masks, "1 0 0 0\n2 2 2 1\n3 4 4 2\n4 4 4 0\n")
    with open_tracks(path) as movie:
        assert movie.table.ids.tolist() == [1, 4]
        assert [movie.labels.read(t).tolist() for t in (0, 2, 4)] == [[[1, 0]], [[1, 0]], [[1, 4]]]
        assert movie.table.parents == {}
    with open_tracks(path, options=ReadParams(join="none")) as movie:
        assert movie.table.parents == {2: 1, 3: 2}


def test_ctc_from_frame_three_and_masks_of_32_bits(tmp_path):
    masks = {3: np.array([[70_000]], np.uint32), 4: np.array([[70_000]], np.uint32)}
    path = ctc(tmp_path / "TRA", masks, "70000 3 4 0", "man_track{:04d}.tif", "man_track.txt")
    with open_tracks(tmp_path) as movie:
        assert movie.table.detections["frame"].tolist() == [0, 1]
        assert "notes" not in movie.provenance
    with open_tracks(path / "man_track.txt") as movie:
        assert movie.table.max_id == 70_000


def test_ctc_text_that_disagrees_is_noted(tmp_path):
    path = ctc(tmp_path / "a", frames([1, 0], [1, 8]), "1 0 0 0\n2 0 1 0\n")
    with open_tracks(path) as movie:
        (note,) = movie.provenance["notes"]
        assert "3 tracks are in other frames in the masks than in the text" in note
        assert movie.table.ids.tolist() == [1, 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 1 0\n1 0 1 0", "track 1 is there twice; remove one line"),
        ("1 0 1 9", "the parent 9 of track 1 has no line; add it, or put 0"),
        ("1 0 1 0 5", "line 1 of a.txt|not four whole numbers"),
        ("0 0 1 0", "the label of a track is 0; ids are whole numbers from 1"),
        ("1 0 1 -1", "the parent of track 1 is -1; ids are whole numbers from 0"),
        ("1 0 1 2\n2 0 1 1", "the parents go in a circle: 1 -> 2 -> 1"),
        ("1 0 1 1", "track 1 is its own parent"),
        ("1 0 1 2\n2 0 1 0", "track 1 begins in frame 0, not after its parent 2"),
    ],
)
def test_ctc_text_that_is_wrong(tmp_path, text, message):
    refused(ctc(tmp_path / "a", frames([1, 2], [1, 2]), text), message)


def test_ctc_masks_that_are_wrong(tmp_path):
    one = frames([1, 2])[0]
    refused(ctc(tmp_path / "a", {0: one, 2: one}, "1 0 1 0"), "but 1 is missing; put them there")
    refused(ctc(tmp_path / "b", [one, one[:, :1]], "1 0 1 0"), "all frames must be of one size")
    refused(ctc(tmp_path / "c", [one, one + 0.5], "1 0 1 0"), "holds fractions or NaN")
    refused(ctc(tmp_path / "d", [one, -one.astype(int)], "1 0 1 0"), "holds the negative value -2")
    refused(ctc(tmp_path / "e", {}, "1 0 1 0"), "holds no TIFF or PNG files")
    with pytest.raises(FormatError, match=r"neither res_track.txt nor man_track.txt"):
        open_tracks(tmp_path, "ctc")


# GEFF


@pytest.fixture
def geff_path(family, tmp_path):
    write_tracks(tmp_path / "a.geff", family)
    return tmp_path / "a.geff"


def edit(path, change):
    """Change the metadata of a GEFF."""
    content = json.loads((path / ".zattrs").read_text())
    change(content["geff"])
    (path / ".zattrs").write_text(json.dumps(content))


def test_geff_of_another_version(geff_path):
    edit(geff_path, lambda geff: geff.update(geff_version="2.0.0"))
    refused(geff_path, r"is GEFF of version 2.0.0, and this program knows versions up to 1.x")
    edit(geff_path, lambda geff: geff.update(geff_version="next"))
    refused(geff_path, r"is GEFF of version next")
    edit(geff_path, lambda geff: geff.update(geff_version="1.9.0", hologram={"a": 1}))
    refused(geff_path, r"\(GEFF 1.9.0\) is not valid GEFF: .*hologram")


def test_geff_whose_labels_are_elsewhere(geff_path, family, tmp_path):
    labels = tmp_path / "segmentation"
    (geff_path / "segmentation").rename(labels)
    edit(geff_path, lambda geff: geff["related_objects"][0].update(path="../segmentation"))
    with open_tracks(geff_path) as movie:  # beside it, as GEFF recommends
        np.testing.assert_array_equal(movie.labels.read(5), family.labels.read(5))
    for place in ("../../segmentation", str(labels.parent.parent), "a/../../../b"):
        edit(geff_path, lambda geff, p=place: geff["related_objects"][0].update(path=p))
        refused(geff_path, "which is outside of the folder that it is in")
    edit(geff_path, lambda geff: geff["related_objects"][0].update(path="gone"))
    with open_tracks(geff_path) as movie:
        assert movie.labels is None
        assert len(movie.table) == len(family.table)


def test_a_link_that_leads_out_of_the_folder(geff_path, tmp_path):
    outside = tmp_path / "far" / "away"
    outside.parent.mkdir()
    (geff_path / "segmentation").rename(outside)
    home = tmp_path / "home"
    home.mkdir()
    moved = geff_path.rename(home / "a.geff")
    (moved / "segmentation").symlink_to(outside)
    refused(moved, "which is outside of the folder that it is in")


def foreign(path, nodes, edges, axes=None, **props):
    """A GEFF of some other program: nodes are (id, t, y, x)."""
    from geff.core_io import write_arrays
    from geff_spec import Axis, GeffMetadata

    table = np.array(nodes, float).reshape(-1, 4)
    values = {"t": table[:, 1], "y": table[:, 2], "x": table[:, 3]}
    values |= {name: np.asarray(v) for name, v in props.items()}
    axes = axes or [
        Axis(name="t", type="time"),
        Axis(name="y", type="space"),
        Axis(name="x", type="space"),
    ]
    write_arrays(
        str(path),
        table[:, 0].astype(np.uint64),
        {name: {"values": v, "missing": None} for name, v in values.items()},
        np.array(edges, np.uint64).reshape(-1, 2),
        {},
        GeffMetadata(directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={}),
    )
    return path


def test_geff_without_labels_and_in_any_order(tmp_path):
    nodes = [(7, 2, 5, 6), (3, 0, 1, 2), (4, 1, 1, 3), (9, 2, 1, 3.5)]
    path = foreign(tmp_path / "a.geff", nodes, [(4, 7), (3, 4), (4, 9)])
    with open_tracks(path) as movie:
        assert movie.labels is None
        assert movie.table.parents == {2: 1, 3: 1}
        assert movie.table.detections["frame"].tolist() == [0, 1, 2, 2]
        assert (movie.table.n_frames, movie.table.frame_shape) == (3, (6, 7))


def test_geff_with_merges(tmp_path):
    nodes = [(0, 0, 1, 1), (1, 0, 1, 9), (2, 1, 1, 2), (3, 2, 1, 2)]
    path = foreign(tmp_path / "a.geff", nodes, [(0, 2), (1, 2), (2, 3)])
    refused(path, r"1 objects have more than one predecessor, .* 2 in frame 1 \(after 0 and 1\)")
    with open_tracks(path, options=ReadParams(merges="cut")) as movie:
        assert movie.table.n_tracks == 2
        assert movie.table.detections["frame"].tolist() == [0, 1, 2, 0]  # the nearest goes on
        assert "1 links into 1 objects where tracks merge were cut" in movie.provenance["notes"][0]


def test_geff_in_seconds_and_micrometers(tmp_path):
    from geff_spec import Axis

    axes = [
        Axis(name="t", type="time", unit="second"),
        Axis(name="y", type="space", unit="micrometer"),
        Axis(name="x", type="space", unit="micrometer"),
    ]
    path = foreign(tmp_path / "a.geff", [(0, 0, 1, 1), (1, 2.5, 1, 1), (2, 7.5, 1, 1)], [], axes)
    with open_tracks(path) as movie:
        assert movie.table.detections["frame"].tolist() == [0, 1, 3]
        assert (movie.scale.time, movie.scale.time_unit) == (2.5, "second")
    path = foreign(tmp_path / "b.geff", [(0, 0, 1, 1), (1, 1, 1, 1), (2, 2.4, 1, 1)], [], axes)
    refused(path, r"times along t are no frame numbers \(one is 2.4\)")
    path = foreign(tmp_path / "c.geff", [(0, 0.5, 1, 1)], [])
    refused(path, r"times along t are no frame numbers \(one is 0.5\)")


def test_geff_that_is_odd(tmp_path):
    from geff_spec import Axis

    path = foreign(tmp_path / "a.geff", [(0, 0, 1, 1), (1, 0, 2, 2)], [(0, 1)])
    refused(path, "objects 0 and 1 are linked, but both are in frame 0")
    path = foreign(tmp_path / "b.geff", [(0, 0, np.nan, 1)], [])
    refused(path, "nodes whose place is no number")
    path = foreign(tmp_path / "c.geff", [(0, 0, 1, 1)], [], [Axis(name="t", type="time")])
    refused(path, "has the axes t, and none that is y or x")
    (tmp_path / "d.geff").mkdir()
    (tmp_path / "d.geff" / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(FormatError, match="is not GEFF: it is no zarr group with metadata"):
        open_tracks(tmp_path / "d.geff", "geff")


@pytest.mark.parametrize(
    ("prop", "value", "message"),
    [
        ("track_id", 2**32 + 1, "a track_id is 4294967297; ids are"),
        ("track_id", -1, "a track_id is -1; ids are"),
        ("track_id", 1.5, r"a track_id is 1\.5; ids are"),
        ("track_id", np.nan, "a track_id is nan; ids are"),
        ("seg_id", 2**32 + 1, "the label of a node is 4294967297; ids are"),
        ("seg_id", 1.5, r"the label of a node is 1\.5; ids are"),
    ],
)
def test_geff_whose_ids_are_none(geff_path, prop, value, message):
    import zarr

    group = zarr.open_group(str(geff_path), mode="a")
    props = group[f"nodes/props/{prop}"]
    ids = props["values"][:].astype(type(value))
    ids[3] = value
    del props["values"]
    props.create_array("values", shape=ids.shape, dtype=ids.dtype)[:] = ids
    geff = dict(group.attrs["geff"])
    geff["node_props_metadata"][prop]["dtype"] = str(ids.dtype)
    group.attrs["geff"] = geff
    refused(geff_path, message)


def test_geff_with_labels_of_each_frame_anew(family, geff_path):
    """seg_id need not be the track: the masks get the ids of the tracks."""
    import zarr

    group = zarr.open_group(str(geff_path), mode="a")
    labels, ids = group["segmentation"], group["nodes/props/seg_id/values"]
    frame, seg = labels[5], ids[:]
    labels[5] = np.where(frame == 9, 7, np.where(frame == 7, 9, frame))
    rows = family.table.detections
    last = rows["frame"] == 5
    ids[:] = np.where(last & (seg == 9), 7, np.where(last & (seg == 7), 9, seg))
    with open_tracks(geff_path) as movie:
        for t in (0, 5):
            np.testing.assert_array_equal(movie.labels.read(t), family.labels.read(t))
        np.testing.assert_array_equal(movie.table.detections["label"], rows["track"])


# TrackMate


def spot(number, frame, x, y=1.0, more=""):
    return (
        f'<SpotsInFrame frame="{frame}"><Spot ID="{number}" FRAME="{frame}" POSITION_X="{x}" '
        f'POSITION_Y="{y}" POSITION_Z="0" RADIUS="1.5" {more}/></SpotsInFrame>'
    )


def trackmate(path, spots, edges, head="", image='width="20" height="10" nslices="1" nframes="4"'):
    links = "".join(f'<Edge SPOT_SOURCE_ID="{a}" SPOT_TARGET_ID="{b}" />' for a, b in edges)
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<TrackMate version="7.0">'
        '<Model spatialunits="micron" timeunits="sec">'
        f"<AllSpots>{''.join(spots)}</AllSpots>"
        f'<AllTracks><Track TRACK_ID="5">{links}</Track></AllTracks>'
        '<FilteredTracks><TrackID TRACK_ID="5" /></FilteredTracks></Model>'
        f'<Settings><ImageData {image} pixelwidth="0.5" pixelheight="0.5" voxeldepth="1" '
        'timeinterval="2" /></Settings></TrackMate>'
    )
    return path


def test_trackmate_without_outlines(tmp_path):
    spots = [spot(10, 0, 2), spot(11, 1, 3), spot(12, 2, 1), spot(13, 2, 6), spot(14, 3, 8)]
    path = trackmate(tmp_path / "a.xml", spots, [(10, 11), (11, 12), (11, 13)])
    with open_tracks(path) as movie:
        assert movie.table.parents == {2: 1, 3: 1}
        assert movie.table.n_tracks == 4  # 14 is alone
        assert movie.scale.time_unit == "second"
        assert movie.scale.space_unit == "micrometer"
        assert movie.table.detections["centroid"][0].tolist() == [0, 2, 4]
        assert movie.table.frame_shape == (10, 20)
        disc = movie.labels.read(0) == 1
        assert disc.sum() == movie.table.detections["area"][0]
        assert disc[2, 4]
        assert disc.sum() == pytest.approx(np.pi * 9, rel=0.2)
    path = trackmate(tmp_path / "b.xml", spots, [(10, 11)], image="")
    with open_tracks(path) as movie:
        assert movie.labels is None  # how large an image is not known
        (note,) = movie.provenance["notes"]
        assert "outlines are not drawn, as the file has no size of the image (height mis" in note
    path = trackmate(tmp_path / "c.xml", spots, [], image='width="9" height="²" nframes="4"')
    with open_tracks(path) as movie:
        assert movie.labels is None
        assert "(height ², width 9)" in movie.provenance["notes"][0]


def test_trackmate_that_overlaps_says_so(tmp_path):
    path = trackmate(tmp_path / "a.xml", [spot(1, 0, 3), spot(2, 0, 3.5)], [])
    with open_tracks(path) as movie:
        (note,) = movie.provenance["notes"]
        hidden = int(note.split(": ")[1].split()[0])
        assert "pixels of outlines are hidden below those of lower track ids" in note
        areas = movie.table.detections["area"]
        assert areas[0] - areas[1] == pytest.approx(hidden, abs=2)


def test_trackmate_filters(tmp_path):
    spots = [spot(1, 0, 2), spot(2, 1, 2, more='VISIBILITY="0"'), spot(3, 2, 2), spot(4, 3, 2)]
    path = trackmate(tmp_path / "a.xml", spots, [(1, 2), (3, 4)])
    with open_tracks(path) as movie:
        assert len(movie.table) == 4
        assert "1 spots that TrackMate's filters hide" in movie.provenance["notes"][0]
    with open_tracks(path, options=ReadParams(visible=True)) as movie:
        assert len(movie.table) == 3
        assert movie.table.n_links == 1


def test_trackmate_real(shared_data):
    path = shared_data / "trackmate" / "FakeTracks.xml"
    with open_tracks(path) as movie:
        assert len(movie.table) == 107
        assert movie.table.n_links + len(movie.table.parents) == 89
        assert movie.table.frame_shape == (128, 128)


BOMB = '<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<Tracks><particle/></Tracks>", "its root is <Tracks>, so it is not a TrackMate file"),
        ("<html/>", "its root is <html>"),
        ("no xml", "cannot be read as XML: syntax error"),
        ("", "cannot be read as XML: no element found"),
        (f"{BOMB}<TrackMate>&b;</TrackMate>", "defines XML entities .*can unfold without end"),
        ('<!DOCTYPE t SYSTEM "file:///etc/passwd"><TrackMate/>', "defines XML entities"),
    ],
)
def test_xml_that_is_not_trackmates(tmp_path, text, message):
    (tmp_path / "a.xml").write_text(text)
    refused(tmp_path / "a.xml", message)


def test_trackmate_that_is_wrong(tmp_path):
    path = tmp_path / "a.xml"
    two = [spot(1, 0, 1), spot(2, 1, 1)]
    refused(trackmate(path, two, [(1, 3)]), "leads from spot 1 to 3, and one of them is not there")
    refused(trackmate(path, [*two, spot(3, 1, 5)], [(2, 3)]), "linked, but both are in frame 1")
    refused(trackmate(path, [spot(1, 0, "nan")], []), "spot 1 is at nan, .* which is nowhere")
    refused(trackmate(path, [spot(1, 0, "east")], []), "could not convert string to float")
    refused(trackmate(path, [spot(1, 0, 1), spot(1, 1, 1)], []), "spot 1 is there twice")
    merge = [*two, spot(3, 1, 5), spot(4, 2, 2)]
    refused(trackmate(path, merge, [(2, 4), (3, 4)]), "more than one predecessor")
    with open_tracks(path, options=ReadParams(merges="cut")) as movie:
        assert movie.table.n_links == 1


# napari, btrack


def test_napari_real(shared_data):
    with open_tracks(shared_data / "napari_tracks") as movie:
        assert (movie.table.n_tracks, len(movie.table)) == (409, 52_678)
        assert len(movie.table.parents) == 220
        assert movie.table.parents[82] == 53


def test_napari_variants(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        ";track_id;frame;z;y;x;mood\n0;0;2;1.5;2;3;good\n1;0;3;1;2;3;bad\n2;4;5;0;0;0;\n"
    )
    (tmp_path / "a_graph.json").write_text('{"4": 0, "0": [0]}')
    with open_tracks(path) as movie:
        assert movie.table.ids.tolist() == [1, 5]  # 0 is the background
        assert movie.table.parents == {5: 1}
        assert movie.table.detections["centroid"][0].tolist() == [1.5, 2, 3]
        assert any("all ids are one higher now" in n for n in movie.provenance["notes"])
        assert any(
            "2 tracks, 1 parents; columns not used: mood" in n for n in movie.provenance["notes"]
        )


@pytest.mark.parametrize(
    ("table", "graph", "message"),
    [
        (
            "a,b\n1,2\n",
            "{}",
            "has the columns a, b, and none for frame, track, y, x is",
        ),
        ("", "{}", "a.csv"),
        (
            "ID,t,y,x\n1,0.5,1,1\n",
            "{}",
            "line 2: t is 0.5; it has to be a whole number",
        ),
        ("ID,t,y,x\n1.5,0,1,1\n", "{}", "line 2: ID is 1.5, and has to be a whole number"),
        ("ID,t,y,x\n-1,0,1,1\n", "{}", "ID is -1; ids are"),
        ("ID,t,y,x\n4294967296,0,1,1\n", "{}", "ID is 4294967296; ids are"),
        ("ID,t,y,x\n1,-1,1,1\n", "{}", "line 2: t is -1; frames are whole numbers from 0"),
        ("ID,t,y,x\n1,0,,1\n", "{}", "line 2: y is missing; correct"),
        ("ID,t,y,x\n1,0,nan,1\n", "{}", "line 2: y is missing; correct"),
        ("ID,t,y,x\n1,0,1\n", "{}", "line 2 has 3 values, fewer than the 4 columns"),
        ("ID,t,y,x\n1,0,1,1\n1,0,2,2\n", "{}", "track 1 is twice in frame 0"),
        ("ID,t,y,x\n1,0,1,1\n", '{"2": [1]}', r"track 2 is not in a.csv, as child 2 with parents"),
        ("ID,t,y,x\n1,0,1,1\n2,1,1,1\n3,2,1,1\n", '{"3": [1, 2]}', "track 3 has the parents 1, 2"),
        ("ID,t,y,x\n1,0,1,1\n", '{"2": [1.7]}', "graph.json: a track is 1.7; ids are"),
        ("ID,t,y,x\n1,0,1,1\n", '{"2": [true]}', "graph.json: a track is True; ids are"),
        ("ID,t,y,x\n0,0,1,1\n4294967295,0,1,1\n", "{}", "one higher, is 4294967296; ids are"),
        ("ID,t,y,x\n1,0,1,1\n", "[1]", "is no graph of tracks, child to list of parents"),
        ("ID,t,y,x\n1,0,1,1\n2,0,1,1\n", '{"2": [1]}', "track 2 begins in frame 0, not after"),
    ],
)
def test_napari_that_is_wrong(tmp_path, table, graph, message):
    (tmp_path / "a.csv").write_text(table)
    (tmp_path / "graph.json").write_text(graph)
    refused(tmp_path / "a.csv", message)


# Others


def test_davis_void(tmp_path):
    from PIL import Image

    indices = np.zeros((4, 5), np.uint8)
    indices[1], indices[3] = 3, 255
    for t in range(2):
        image = Image.fromarray(indices)
        image.putpalette(list(range(256)) * 3)
        image.save(tmp_path / f"{t:05d}.png")
    with open_tracks(tmp_path) as movie:
        assert movie.table.ids.tolist() == [3]
        assert movie.labels.read(1).max() == 3


def test_our_json_that_is_wrong(family, tmp_path):
    table = replace(family.table, parents={1: 7, 7: 1})
    write_tracks(tmp_path / "a.json", replace(family, table=table))
    refused(tmp_path / "a.json", "the parents go in a circle: 1 -> 7 -> 1")
    write_tracks(tmp_path / "b.coco.json", family)
    refused(tmp_path / "b.coco.json", "looks like COCO, which is written, not read")


@pytest.mark.parametrize("parent", ["1.7", "true", "4294967297", "null"])
def test_parents_in_metadata_are_ids(family, tmp_path, parent):
    write_tracks(tmp_path / "a.zarr", family)
    note = tmp_path / "a.zarr" / "zarr.json"
    text = note.read_text()
    assert '"7": 1' in text
    note.write_text(text.replace('"7": 1', f'"7": {parent}'))
    refused(tmp_path / "a.zarr", "a track in the parents of the metadata of .*; ids are whole")


def test_labels_edited_by_others_lose_only_their_own(family, tmp_path):
    """A track that was erased from a TIFF takes the link to it along, not the file."""
    import zarr

    write_tracks(tmp_path / "a.zarr", family)
    array = zarr.open_array(str(tmp_path / "a.zarr" / "0"), mode="r+")
    array[:] = np.where(array[:] == 2, 0, array[:])
    with open_tracks(tmp_path / "a.zarr") as movie:
        assert movie.table.parents == {7: 1}
        assert "the parents of 1 tracks are left out" in movie.provenance["notes"][0]


def test_the_folder_of_a_run(family, tmp_path):
    write_tracks(tmp_path / "run" / "labels.tif", family)
    (tmp_path / "run" / "session.json").write_text("{}")
    with open_tracks(tmp_path / "run") as movie:
        assert len(movie.table) == len(family.table)
    (tmp_path / "run" / "labels.tif").unlink()
    refused(tmp_path / "run", "is the folder of a run, but holds no labels")


def test_a_zip_whose_members_climb(tmp_path):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    np.save(tmp_path / "labels.npy", np.ones((2, 3, 4), np.uint8))
    with zipfile.ZipFile(inside / "a.npz", "w") as archive:
        archive.write(tmp_path / "labels.npy", "../../evil.npy")
    with open_tracks(inside / "a.npz") as movie:  # read where it is, never unpacked
        assert movie.table.n_frames == 2
    assert not (tmp_path / "evil.npy").exists()
    assert [p.name for p in inside.iterdir()] == ["a.npz"]


def test_ome_zarr_whose_path_climbs(family, tmp_path):
    write_tracks(tmp_path / "a.zarr", family)
    path = tmp_path / "a.zarr" / "zarr.json"
    content = json.loads(path.read_text())
    content["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "../b.zarr/0"
    path.write_text(json.dumps(content))
    refused(tmp_path / "a.zarr", r"says that its pixels are at '../b.zarr/0', which is outside")


def test_what_is_no_format(tmp_path):
    (tmp_path / "a.xyz").write_text("x")
    refused(tmp_path / "a.xyz", "is no kind of file with tracks that can be read; give a Cell")
    refused(tmp_path / "gone", "does not exist: give a file or a folder")
    with pytest.raises(UsageError, match="mots can be written, not read; choose one of ctc"):
        open_tracks(tmp_path / "a.xyz", "mots")
    (tmp_path / "run.csv").write_text("track_id,frame,state,score\n")
    refused(tmp_path / "run.csv", "is the table of a run, without parents; give the folder")


def test_numbers_beyond_any_movie(family, tmp_path):
    path = tmp_path / "t.json"
    write_tracks(path, family)
    content = json.loads(path.read_text())
    detection = content["tracks"][0]["detections"][0]
    for key, value, message in (
        ("area", 10**30, "contradicts itself: .* too large"),
        ("centroid", [float("nan"), 1.0], "is not valid at tracks.0.detections.0.centroid"),
    ):
        wrong = {**detection, key: value}
        content["tracks"][0]["detections"][0] = wrong
        path.write_text(json.dumps(content))
        refused(path, message)
    path.write_text('{"a": ' + "[" * 10**5)
    refused(path, "is not valid JSON")
    (tmp_path / "a.csv").write_text("ID,t,y,x\n1,1e300,2,3\n")
    refused(tmp_path / "a.csv", "line 2: t is 1e300, beyond any movie")
    xml = tmp_path / "t.xml"
    xml.write_text(one_spot('POSITION_X="1e300"'))
    refused(xml, "spot 0 is at 1e[+]300, 2.0, 0.0 in frame 0, which is nowhere")
    xml.write_text(one_spot('POSITION_X="1" SAM2TRACK_ID="-1"'))  # not ours
    assert open_tracks(xml).table.ids.tolist() == [1]


def one_spot(attributes):
    """A TrackMate file with one spot."""
    return (
        '<TrackMate version="7"><Model><AllSpots><SpotsInFrame frame="0">'
        f'<Spot ID="0" FRAME="0" POSITION_Y="2" {attributes} />'
        "</SpotsInFrame></AllSpots></Model></TrackMate>"
    )


def test_an_archive_that_is_called_an_array(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.savez(file, labels=np.ones((2, 3, 4), np.uint8))
    refused(tmp_path / "a.npy", "is an archive of arrays, not an array; call it .npz")


def test_ome_zarr_whose_pixels_have_no_size(family, tmp_path):
    path = tmp_path / "a.zarr"
    write_tracks(path, family)
    note = path / "zarr.json"
    content = json.loads(note.read_text())
    sizes = content["attributes"]["ome"]["multiscales"][0]["datasets"][0]
    sizes["coordinateTransformations"][0]["scale"][-1] = 0.0
    note.write_text(json.dumps(content))
    with open_tracks(path) as movie:
        assert movie.scale.x == 1.0
        write_tracks(tmp_path / "a.tif", movie)
