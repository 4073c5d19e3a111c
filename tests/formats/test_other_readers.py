"""What we write, read by programs that we did not write."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_sam2track.formats.tracks_files import open_tracks, write_tracks
from napari_sam2track.labels import Scale
from napari_sam2track.params import WriteParams

SEEDS = range(4)


def stack(movie):
    return np.stack([movie.labels.read(t) for t in range(movie.table.n_frames)])


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_ctc_is_valid_for_py_ctcmetrics(make_movie, seed, deep, tmp_path):
    from ctc_metrics.scripts.validate import validate_sequence

    movie = make_movie(seed, deep=deep, max_id=60_000)
    write_tracks(tmp_path / "01_RES", movie)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # empty frames
        assert validate_sequence(str(tmp_path / "01_RES"), threads=1)["Valid"] == 1
    names = sorted(p.name for p in (tmp_path / "01_RES").iterdir())
    assert names == [*(f"mask{t:03d}.tif" for t in range(movie.table.n_frames)), "res_track.txt"]
    mask = tifffile.imread(tmp_path / "01_RES" / "mask000.tif")
    assert mask.dtype == np.uint16
    assert mask.shape == movie.table.frame_shape


def test_ctc_splits_gaps(family, tmp_path):
    write_tracks(tmp_path / "01_RES", family)
    text = (tmp_path / "01_RES" / "res_track.txt").read_text()
    assert text == "1 0 1 0\n2 2 2 1\n7 2 5 1\n9 0 5 0\n10 4 5 2\n"


def test_ctc_ground_truth_has_other_names(family, tmp_path):
    write_tracks(tmp_path / "01_GT" / "TRA", family)
    assert (tmp_path / "01_GT" / "TRA" / "man_track000.tif").exists()
    with open_tracks(tmp_path / "01_GT") as back:
        assert back.table.parents == family.table.parents


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_geff_is_valid_and_points_at_its_labels(make_movie, seed, deep, tmp_path):
    import geff
    import zarr
    from geff.core_io import read_to_memory
    from geff.validate import segmentation
    from geff.validate.data import ValidationConfig

    movie = make_movie(seed, deep=deep)
    path = tmp_path / "a.geff"
    write_tracks(path, movie)
    config = ValidationConfig(graph=True, lineage=True, tracklet=True)
    memory = read_to_memory(str(path), structure_validation=True, data_validation=config)
    graph, metadata = geff.read(str(path))
    assert graph.number_of_nodes() == len(movie.table)
    assert graph.number_of_edges() == movie.table.n_links + len(movie.table.parents)
    scales = {axis.name: (axis.scale, axis.scaled_unit) for axis in metadata.axes}
    assert scales["t"] == (2.5, "second")
    assert scales["x"] == (0.11, "micrometer")
    assert list(scales) == ["t", *("zyx" if deep else "yx")]

    (related,) = metadata.related_objects
    labels = zarr.open_array(str(path / related.path), mode="r")
    np.testing.assert_array_equal(labels[:], stack(movie))
    assert segmentation.has_valid_seg_id(memory, related.node_prop) == (True, [])
    assert segmentation.axes_match_seg_dims(memory, labels)[0]
    props = memory["node_props"]
    times, ids = props["t"]["values"].tolist(), props[related.node_prop]["values"].tolist()
    assert segmentation.has_seg_ids_at_time_points(labels, times, ids, metadata) == (True, [])


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("max_id", [65_535, 65_536])
def test_tiff_for_imagej_where_it_fits(make_movie, deep, max_id, tmp_path):
    seed = next(
        s for s in range(50) if make_movie(s, max_id=max_id, deep=deep).table.max_id == max_id
    )
    movie = make_movie(seed, max_id=max_id, deep=deep)
    write_tracks(tmp_path / "a.tif", movie)
    read = tifffile.imread(tmp_path / "a.tif")
    np.testing.assert_array_equal(read.reshape(stack(movie).shape), stack(movie))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_imagej == (max_id < 65_536)
        if not tiff.is_imagej:
            assert tiff.is_shaped
            return
        found = tiff.imagej_metadata
        assert found.get("frames", 1) == movie.table.n_frames
        assert found.get("slices", 1) == (movie.table.frame_shape[0] if deep else 1)
        assert (found["unit"], found["spacing"]) == ("micron", 0.7)
        assert (found["finterval"], found["tunit"]) == (2.5, "sec")
        x, y = tiff.pages[0].resolution
        assert 1 / x == pytest.approx(0.11)
        assert 1 / y == pytest.approx(0.108)


def test_a_scale_that_was_edited_in_imagej_is_believed(family, tmp_path):
    """The Info is kept by ImageJ, the resolution is changed by its Properties."""
    write_tracks(tmp_path / "a.tif", family)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        pixels, info = tiff.asarray(), tiff.imagej_metadata["Info"]
    metadata = {"axes": "TYX", "unit": "nm", "finterval": 3.0, "tunit": "min", "Info": info}
    tifffile.imwrite(
        tmp_path / "b.tif", pixels, imagej=True, resolution=(1 / 50, 1 / 50), metadata=metadata
    )
    with open_tracks(tmp_path / "b.tif") as back:
        assert back.scale.y == back.scale.x == pytest.approx(50, rel=1e-8)  # a fraction in the file
        assert replace(back.scale, y=1, x=1) == Scale(3.0, 1.0, 1, 1, "minute", "nanometer")
        assert back.table.parents == family.table.parents


def test_the_scale_of_an_ome_tiff(family, tmp_path):
    metadata = {
        "axes": "TYX",
        "PhysicalSizeX": 0.2,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.3,
        "PhysicalSizeYUnit": "µm",
        "TimeIncrement": 4.0,
        "TimeIncrementUnit": "min",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", stack(family).astype(np.uint16), metadata=metadata)
    with open_tracks(tmp_path / "a.ome.tif") as back:
        assert back.scale == Scale(4.0, 1.0, 0.3, 0.2, "minute", "micrometer")
        assert back.table.n_frames == 6


@pytest.mark.parametrize("deep", [False, True])
def test_ome_zarr_for_ome_zarr(make_movie, deep, tmp_path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Multiscales, Reader

    movie = make_movie(3, deep=deep)
    write_tracks(tmp_path / "a.zarr", movie)
    location = parse_url(str(tmp_path / "a.zarr"))
    assert location is not None
    assert location.fmt.version == "0.5"
    (node,) = list(Reader(location)())
    assert any(isinstance(spec, Multiscales) for spec in node.specs)
    np.testing.assert_array_equal(np.asarray(node.data[0]), stack(movie))
    axes = node.metadata["axes"]
    assert [axis["name"] for axis in axes] == ["t", *("zyx" if deep else "yx")]
    assert axes[0] == {"name": "t", "type": "time", "unit": "second"}
    (change,) = node.metadata["coordinateTransformations"][0]
    assert change["scale"] == list(movie.scale.of_axes(movie.ndim))


def test_ome_zarr_tells_of_each_track(family, tmp_path):
    write_tracks(tmp_path / "a.zarr", family)
    ome = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["attributes"]["ome"]
    assert ome["image-label"]["properties"][1] == {
        "label-value": 2,
        "parent": 1,
        "begin": 2,
        "end": 5,
    }


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_by_ome_zarr(family, version, tmp_path):
    """Labels of an image, written by the reference implementation."""
    import zarr
    from ome_zarr.format import FormatV04, FormatV05

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own parts
        from ome_zarr.writer import write_image, write_labels

    fmt = FormatV04() if version == "0.4" else FormatV05()
    group = zarr.open_group(
        str(tmp_path / "a.zarr"), mode="w", zarr_format=2 if version == "0.4" else 3
    )
    common = {
        "axes": "tyx",
        "scale": {"t": 2.0, "y": 0.5, "x": 0.25},
        "axes_units": {"t": "second", "y": "micrometer", "x": "micrometer"},
        "scale_factors": [2],
        "fmt": fmt,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_image(np.zeros_like(stack(family), np.uint16), group, **common)
        write_labels(stack(family), group, "cells", **common)
    with open_tracks(tmp_path / "a.zarr") as back:
        assert back.scale == Scale(2.0, 1.0, 0.5, 0.25, "second", "micrometer")
        np.testing.assert_array_equal(stack(back), stack(family))


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_trackmate_for_geffs_converter(make_movie, seed, deep, tmp_path):
    import geff
    from geff.convert import from_trackmate_xml_to_geff

    movies = (make_movie(s, deep=deep) for s in range(100 * seed, 100 * seed + 100))
    movie = next(m for m in movies if m.table.n_links)  # the converter expects links
    write_tracks(tmp_path / "a.xml", movie)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no image, and features that lack for spots without links
        from_trackmate_xml_to_geff(tmp_path / "a.xml", tmp_path / "b.geff")
        graph, metadata = geff.read(str(tmp_path / "b.geff"))
    assert graph.number_of_nodes() == len(movie.table)
    assert graph.number_of_edges() == movie.table.n_links + len(movie.table.parents)
    assert metadata.axes[0].unit == "micrometer"
    rows = movie.table.detections
    for node, values in graph.nodes(data=True):
        row = rows[node]
        assert values["FRAME"] == row["frame"]
        assert values["POSITION_X"] == pytest.approx(row["centroid"][2] * 0.11)
        assert values["POSITION_Z"] == pytest.approx(row["centroid"][0] * 0.7)
    # And what the converter made of it, read by us: the same tracks, though not their ids.
    with open_tracks(tmp_path / "b.geff") as back:
        assert len(back.table) == len(rows)
        assert back.scale.time == (2.5 if len(np.unique(rows["frame"])) > 1 else back.scale.time)


def test_trackmate_has_what_its_reader_looks_for(family, tmp_path):
    from defusedxml.ElementTree import parse

    write_tracks(tmp_path / "a.xml", family)
    root = parse(tmp_path / "a.xml").getroot()
    assert [child.tag for child in root] == ["Log", "Model", "Settings", "GUIState"]
    model = root.find("Model")
    assert [child.tag for child in model] == [
        "FeatureDeclarations",
        "AllSpots",
        "AllTracks",
        "FilteredTracks",
    ]
    spots = {int(spot.get("ID")): spot for spot in model.iter("Spot")}
    assert len(spots) == int(model.find("AllSpots").get("nspots")) == len(family.table)
    declared = {f.get("feature") for f in model.find("FeatureDeclarations/SpotFeatures")}
    for spot in spots.values():
        assert set(spot.attrib) - {"ID", "name", "ROI_N_POINTS"} == declared
        assert len(spot.text.split()) == 2 * int(spot.get("ROI_N_POINTS"))
    tracks = {int(t.get("TRACK_ID")): t for t in model.iter("Track")}
    assert {int(t.get("TRACK_ID")) for t in model.iter("TrackID")} == set(tracks)
    assert sorted(int(t.get("NUMBER_SPOTS")) for t in tracks.values()) == [6, 9]
    assert sum(int(t.get("NUMBER_SPLITS")) for t in tracks.values()) == 1
    assert sum(int(t.get("NUMBER_GAPS")) for t in tracks.values()) == 1
    for edge in model.iter("Edge"):
        source, target = (int(edge.get(f"SPOT_{end}_ID")) for end in ("SOURCE", "TARGET"))
        assert int(spots[source].get("FRAME")) < int(spots[target].get("FRAME"))
    image = root.find("Settings/ImageData")
    assert [int(image.get(n)) for n in ("nframes", "height", "width", "nslices")] == [6, 12, 14, 1]


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
@pytest.mark.parametrize("seed", SEEDS)
def test_run_lengths_for_pycocotools(make_movie, seed, tmp_path):
    from pycocotools import mask as coco

    movie = make_movie(seed, max_id=900)
    write_tracks(tmp_path / "a.coco.json", movie)
    write_tracks(tmp_path / "a.txt", movie)
    labels = stack(movie)
    content = json.loads((tmp_path / "a.coco.json").read_text())
    assert content["videos"][0]["length"] == len(labels)
    assert [a["id"] for a in content["annotations"]] == movie.table.ids.tolist()
    found = 0
    for annotation in content["annotations"]:
        for t, rle in enumerate(annotation["segmentations"]):
            wanted = labels[t] == annotation["id"]
            if rle is None:
                assert not wanted.any()
                assert annotation["bboxes"][t] is annotation["areas"][t] is None
                continue
            found += 1
            np.testing.assert_array_equal(coco.decode(rle), wanted)
            assert coco.area(rle) == annotation["areas"][t]
            assert coco.toBbox(rle).tolist() == annotation["bboxes"][t]
    assert found == len(movie.table)
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert len(lines) == len(movie.table)
    for line in lines:
        t, name, group, height, width, counts = line.split()
        assert int(name) // 1000 == int(group) == 1
        rle = {"size": [int(height), int(width)], "counts": counts}
        np.testing.assert_array_equal(coco.decode(rle), labels[int(t)] == int(name) % 1000)


def test_davis_is_a_palette_image(family, tmp_path):
    from PIL import Image

    write_tracks(tmp_path / "d", family, format="davis")
    with Image.open(tmp_path / "d" / "00002.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), family.labels.read(2))
        assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_napari_takes_tracks_and_graph(make_movie, seed, deep, tmp_path):
    import pandas as pd
    from napari.layers import Tracks

    movie = make_movie(seed, deep=deep)
    # napari's own table of vertices is as long as the largest id
    movie = make_movie(seed, deep=deep, max_id=10**6)
    write_tracks(tmp_path / "tracks.csv", movie, format="napari")
    table = pd.read_csv(tmp_path / "tracks.csv")
    graph = json.loads((tmp_path / "graph.json").read_text())
    layer = Tracks(
        table[["ID", "t", *("zyx" if deep else "yx")]].to_numpy(),
        features=table[["area"]],
        graph={int(child): parents for child, parents in graph.items()},
    )
    assert {a: b[0] for a, b in layer.graph.items()} == dict(movie.table.parents)
    assert len(layer.data) == len(movie.table)


def test_a_movie_that_is_numbered_anew(family, tmp_path):
    from napari_sam2track.errors import OutputError
    from napari_sam2track.formats.conversions import renumbered, with_table

    rows = family.table.detections.copy()
    rows["track"][rows["label"] == 9] = 70_000
    movie = with_table(family, replace(family.table, detections=rows))
    with pytest.raises(OutputError, match=r"the track id 70000 is over 65535.*--renumber"):
        write_tracks(tmp_path / "01_RES", movie)
    write_tracks(tmp_path / "01_RES", movie, options=WriteParams(renumber=True))
    with open_tracks(tmp_path / "01_RES") as back:
        np.testing.assert_array_equal(stack(back), stack(renumbered(movie)))
        assert back.table.ids.tolist() == [1, 2, 3, 4]
        assert back.table.parents == {2: 1, 3: 1}
