"""Layers become tracks, and tracks layers."""

from types import SimpleNamespace

import dask.array
import numpy as np
import pytest
import zarr
from napari.layers import Labels, Tracks

from napari_sam2track._napari.layer_tracks import (
    can_show,
    graph_parents,
    movie_of_tracks,
    tracked_movie,
    tracks_layer_data,
)
from napari_sam2track._napari.layer_values import LayerValues, layer_scale, scale_attributes
from napari_sam2track.errors import FormatError
from napari_sam2track.labels import Scale
from napari_sam2track.samples import dividing_nuclei
from napari_sam2track.tracks.table import DETECTION, TrackTable

SAMPLE = dividing_nuclei(12, 96, n_cells=5, divisions=0.1, seed=2)
UM = {"scale": (2, 0.5, 0.25), "units": ("minute", "micrometer", "micrometer")}


def test_there_are_divisions():
    assert len(SAMPLE.parents) >= 4


@pytest.mark.parametrize("kind", ["numpy", "dask", "zarr", "multiscale"])
def test_labels_become_tracks(kind):
    array = SAMPLE.labels_tyx
    data = {
        "numpy": lambda: array,
        "dask": lambda: dask.array.from_array(array, chunks=(1, 64, 64)),
        "zarr": lambda: zarr.array(array, chunks=(1, 64, 64)),
        "multiscale": lambda: [array, array[:, ::2, ::2]],
    }[kind]()
    movie = tracked_movie(Labels(data, name="cells", **UM), SAMPLE.parents)
    assert movie.table.ids.tolist() == np.unique(array)[1:].tolist()
    assert movie.table.parents == SAMPLE.parents
    assert movie.scale == Scale(2, 1, 0.5, 0.25, "minute", "micrometer")
    assert movie.provenance["source"] == "cells"
    np.testing.assert_array_equal(movie.labels.read(7), array[7])


def test_parents_come_from_metadata_in_both_forms():
    for ours in ({"parents": SAMPLE.parents}, SimpleNamespace(parents=SAMPLE.parents)):
        layer = Labels(SAMPLE.labels_tyx, metadata={"sam2track": ours})
        assert tracked_movie(layer).table.parents == SAMPLE.parents
    assert tracked_movie(Labels(SAMPLE.labels_tyx)).table.parents == {}


def test_parents_of_what_was_erased_are_left_out_and_noted():
    child, parent = next(iter(SAMPLE.parents.items()))
    labels = np.where(SAMPLE.labels_tyx == child, 0, SAMPLE.labels_tyx)
    movie = tracked_movie(Labels(labels), SAMPLE.parents)
    assert child not in movie.table.parents
    assert parent in movie.table.parents.values()
    assert movie.provenance["notes"] == ["the parents of 1 tracks are left out: one has no pixel"]


def test_shapes_of_all_kinds():
    plane = tracked_movie(Labels(SAMPLE.labels_tyx[0]))
    assert (plane.table.n_frames, plane.table.frame_shape) == (1, (96, 96))
    deep = np.zeros((3, 4, 8, 9), np.uint32)
    deep[:, 1:3, 2:4, 5:8] = 7
    movie = tracked_movie(Labels(deep, scale=(1, 2, 0.5, 0.5)))
    assert (movie.table.n_frames, movie.table.frame_shape) == (3, (4, 8, 9))
    assert movie.scale.z == 2
    other = tracked_movie(Labels(deep.swapaxes(0, 1), scale=(2, 5, 0.5, 0.5)), frame_axis=1)
    assert (other.table.n_frames, other.table.frame_shape) == (3, (4, 8, 9))
    assert (other.scale.time, other.scale.z) == (5, 2)
    np.testing.assert_array_equal(other.labels.read(2), deep[2])
    with pytest.raises(FormatError, match=r"the layer 'five' has 5 axes .* cut out what you need"):
        tracked_movie(Labels(np.stack([deep, deep]), name="five"))
    with pytest.raises(FormatError, match="frame 1 of the layer 'low' holds the negative value -3"):
        tracked_movie(Labels(np.array([[[1, 2]], [[1, -3]]]), name="low"))


def test_units_of_axes_become_one():
    layer = Labels(
        np.zeros((2, 3, 4, 5), int),
        scale=(1, 0.002, 0.5, 0.5),
        units=("second", "millimeter", "micrometer", "micrometer"),
    )
    scale = layer_scale(layer)
    assert scale.z == pytest.approx(2.0)
    assert (scale.time_unit, scale.space_unit) == ("second", "micrometer")
    assert layer_scale(Labels(np.zeros((2, 3, 4), int))) == Scale()
    back = Labels(np.zeros((2, 3, 4, 5), int), **scale_attributes(scale, 4))
    assert layer_scale(back) == scale


def test_tracks_go_to_napari_and_back():
    movie = tracked_movie(Labels(SAMPLE.labels_tyx, **UM), SAMPLE.parents)
    data, attributes, kind = tracks_layer_data(movie.table, movie.scale, name="cells [tracks]")
    assert kind == "tracks"
    layer = Tracks(data, **attributes)
    assert layer.name == "cells [tracks]"
    np.testing.assert_array_equal(layer.data, data)  # napari had nothing to sort
    assert layer.graph == {child: [parent] for child, parent in SAMPLE.parents.items()}
    assert graph_parents(layer) == SAMPLE.parents
    assert {"area", "parent", "generation", "lineage"} <= set(layer.features)
    back = movie_of_tracks(layer, shape=SAMPLE.labels_tyx.shape)
    assert back.labels is None
    assert back.scale == movie.scale
    assert back.table.parents == movie.table.parents
    for field in ("track", "frame", "area", "centroid"):
        np.testing.assert_array_equal(back.table.detections[field], movie.table.detections[field])
    assert back.table.frame_shape == (96, 96)


def test_depth_goes_to_napari_and_back():
    deep = np.zeros((3, 4, 8, 9), np.uint32)
    deep[:, 1:3, 2:4, 5:8] = 7
    movie = tracked_movie(Labels(deep))
    data, attributes, _ = tracks_layer_data(movie.table, name="deep")
    assert data.tolist() == [[7, t, 1.5, 2.5, 6] for t in range(3)]
    back = movie_of_tracks(Tracks(data, **attributes))
    assert back.ndim == 4
    assert back.table.detections["centroid"].tolist() == [[1.5, 2.5, 6]] * 3


PLACES = np.array([[1, 0, 5, 5], [2, 0, 9, 9], [2, 1, 9, 9], [3, 2, 7, 7]], float)


def test_merges_are_refused_or_cut():
    layer = Tracks(PLACES, graph={3: [1, 2]}, name="merged")
    with pytest.raises(FormatError, match=r"'merged': track 3 has the parents 1, 2, so tracks"):
        movie_of_tracks(layer)
    movie = movie_of_tracks(layer, merges="cut")
    assert movie.table.parents == {3: 2}  # the last to end
    assert movie.provenance["notes"] == ["1 links where tracks merge were cut"]


def test_track_0_is_not_the_background():
    movie = movie_of_tracks(Tracks(PLACES - [1, 0, 0, 0], graph={2: 1}))
    assert movie.table.ids.tolist() == [1, 2, 3]
    assert movie.table.parents == {3: 2}
    assert "all ids are one higher now" in movie.provenance["notes"][0]


def test_what_is_no_track():
    with pytest.raises(FormatError, match=r"'half' has the frame 0.5; whole numbers"):
        movie_of_tracks(Tracks(np.array([[1, 0.5, 2, 2]]), name="half"))
    for wrong, said in (
        (1.5, r"1\.5"),
        (-1, "-1"),
        (2.0**32, "4294967296"),
        (1e300, r"1e\+300"),
    ):
        odd = LayerValues("odd", PLACES * [0, 1, 1, 1] + [wrong, 0, 0, 0], (1, 1, 1))
        with pytest.raises(FormatError, match=f"a track id of the layer 'odd' is {said}; ids are"):
            movie_of_tracks(odd)
    twice = LayerValues("twice", PLACES[[0, 0]], (1, 1, 1))
    with pytest.raises(FormatError, match="track 1 is twice in frame 0"):
        movie_of_tracks(twice)


def test_what_napari_can_show():
    rows = np.zeros(1, DETECTION)
    rows["track"] = 5
    assert can_show(TrackTable(rows, 1, (4, 4)))
    rows["track"] = 4_000_000_000  # napari would take 32 GB
    assert not can_show(TrackTable(rows.copy(), 1, (4, 4)))
    assert not can_show(TrackTable(rows[:0], 1, (4, 4)))


def test_an_axis_of_channels_is_passed_over():
    """What lies on an image with channels has one channel, stretched over all."""
    layer = Labels(SAMPLE.labels_tyx[:, None], scale=(2, 3, 0.5, 0.5))
    movie = tracked_movie(layer, SAMPLE.parents)
    assert movie.table.frame_shape == (96, 96)
    assert movie.scale == Scale(2, 1, 0.5, 0.5)
    np.testing.assert_array_equal(movie.labels.read(3), SAMPLE.labels_tyx[3])
    places = np.insert(PLACES, 2, 0, axis=1)
    flat = movie_of_tracks(Tracks(places, scale=(2, 3, 0.5, 0.5)))
    assert (flat.ndim, flat.scale) == (3, Scale(2, 1, 0.5, 0.5))


def test_where_it_comes_from_is_kept():
    """As readers and live projects leave it: the model's name is in every export."""
    note = {"source": "a.tif", "model": {"name": "sam2track_small"}, "notes": ["told before"]}
    kept = {"source": "a.tif", "model": {"name": "sam2track_small"}}
    for ours in ({"provenance": note}, SimpleNamespace(provenance=note)):
        layer = Labels(SAMPLE.labels_tyx, name="cells", metadata={"sam2track": ours})
        assert tracked_movie(layer).provenance == kept
    assert tracked_movie(layer, provenance={"source": "b"}).provenance == {"source": "b"}
