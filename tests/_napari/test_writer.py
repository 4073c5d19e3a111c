"""File > Save, without a window; and what is opened again."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
from napari.layers import Labels, Layer, Tracks
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest

from napari_sam2track._napari.layer_tracks import tracked_movie, tracks_layer_data
from napari_sam2track._napari.reader import get_reader
from napari_sam2track._napari.writer import EXTENSIONS, layer_writer, output_path, write_layers
from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.formats.tracks_files import open_tracks
from napari_sam2track.samples import dividing_nuclei

SAMPLE = dividing_nuclei(10, 80, n_cells=5, divisions=0.1, seed=2)
MICRONS = {"scale": (2, 0.5, 0.5), "units": ("minute", "micrometer", "micrometer")}
WITH_MASKS = ("geff", "ctc", "tiff", "ome-zarr")


@contextmanager
def told():
    """What the person is told meanwhile."""
    texts = []

    def take(event):
        texts.append(event.message)

    notification_manager.notification_ready.connect(take)
    try:
        yield texts
    finally:
        notification_manager.notification_ready.disconnect(take)


def labels_layer(**more):
    return Labels(SAMPLE.labels_tyx, name="cells", **MICRONS, **more)


def tracks_layer(parents=SAMPLE.parents):
    movie = tracked_movie(labels_layer(), parents)
    data, attributes, _ = tracks_layer_data(movie.table, movie.scale, name="lines")
    return Tracks(data, **attributes)


def tuples(*layers):
    return [layer.as_layer_data_tuple() for layer in layers]


def opened(path):
    """Layers that our reader makes of a path, by kind."""
    read = get_reader(str(path))
    assert read is not None
    return {kind: Layer.create(*each) for each in read(str(path)) for kind in [each[2]]}


def test_there_are_divisions():
    assert len(SAMPLE.parents) >= 2


@pytest.mark.parametrize("format", WITH_MASKS)
@pytest.mark.parametrize("lineage", ["tracks", "metadata"])
def test_labels_and_lineage_come_back(tmp_path, format, lineage):
    given = (
        tuples(labels_layer(), tracks_layer())
        if lineage == "tracks"
        else tuples(labels_layer(metadata={"sam2track": {"parents": SAMPLE.parents}}))
    )
    (path,) = layer_writer(format)(str(tmp_path / "cells"), given)
    back = opened(path)
    np.testing.assert_array_equal(back["labels"].data, SAMPLE.labels_tyx)
    assert back["labels"].metadata["sam2track"]["parents"] == SAMPLE.parents
    assert back["tracks"].graph == {child: [mother] for child, mother in SAMPLE.parents.items()}
    assert tuple(back["labels"].scale) == (2, 0.5, 0.5)
    assert [str(unit) for unit in back["tracks"].units] == ["minute", "micrometer", "micrometer"]
    back["labels"].paint((0, 3, 3), 77)  # it can be edited


@pytest.mark.parametrize("format", ["geff", "json", "csv", "trackmate"])
def test_tracks_alone_come_back(tmp_path, format):
    (path,) = layer_writer(format)(str(tmp_path / "lines"), tuples(tracks_layer()))
    back = opened(path)
    # TrackMate's spots have a radius, so that there are masks to draw.
    assert set(back) == ({"tracks", "labels"} if format == "trackmate" else {"tracks"})
    np.testing.assert_allclose(back["tracks"].data, tracks_layer().data, atol=0.005)
    assert back["tracks"].graph == {child: [mother] for child, mother in SAMPLE.parents.items()}


def test_coco_holds_the_masks_and_says_what_it_does_not(tmp_path):
    with told() as texts:
        (path,) = layer_writer("coco")(
            str(tmp_path / "cells.coco.json"), tuples(labels_layer(), tracks_layer())
        )
    assert json.loads((tmp_path / "cells.coco.json").read_text())["annotations"]
    assert path.endswith("cells.coco.json")
    assert any("parents of" in text and "are not written" in text for text in texts)
    assert get_reader(path) is None  # it is written, not read


@pytest.mark.parametrize(
    ("format", "typed", "written"),
    [
        ("geff", "a", "a.geff"),
        ("geff", "a.GEFF", "a.GEFF"),
        ("ctc", "01", "01_RES"),
        ("ctc", "01.ctc", "01_RES"),
        ("ctc", "02_RES.ctc", "02_RES"),
        ("ctc", "02_RES", "02_RES"),
        ("tiff", "a", "a.tracks.tif"),
        ("tiff", "a.tif", "a.tif"),
        ("csv", "exp.1", "exp.1.tracks.csv"),
        ("json", "a.tracks.json", "a.tracks.json"),
    ],
)
def test_names_are_completed(tmp_path, format, typed, written):
    assert output_path(tmp_path / typed, format) == tmp_path / written


def test_what_exists_is_replaced_only_under_the_name_that_was_asked_about(tmp_path):
    first, second = tuples(labels_layer()), tuples(Labels(SAMPLE.labels_tyx[:4]))
    write_layers(str(tmp_path / "a.geff"), first, "geff")
    write_layers(str(tmp_path / "a.geff"), second, "geff")
    with open_tracks(tmp_path / "a.geff") as movie:
        assert movie.table.n_frames == 4
    with pytest.raises(OutputError, match=r"a\.geff exists already; choose .* allow it to be"):
        write_layers(str(tmp_path / "a"), first, "geff")
    (tmp_path / "b.geff").mkdir()
    (tmp_path / "b.geff" / "precious.txt").write_text("mine")
    with pytest.raises(OutputError, match="did not write, so it is not replaced"):
        write_layers(str(tmp_path / "b.geff"), first, "geff")
    assert (tmp_path / "b.geff" / "precious.txt").read_text() == "mine"


def test_errors_speak_of_napari(tmp_path):
    large = tuples(Labels(np.where(SAMPLE.labels_tyx, SAMPLE.labels_tyx + 70_000, 0)))
    with pytest.raises(OutputError, match=r"over 65535.* \"Renumber\" in the dock SAM2 Export"):
        write_layers(str(tmp_path / "01_RES"), large, "ctc")
    merged = tracks_layer(parents={})
    ids = merged.data[:, 0]
    merged.graph = {int(ids[-1]): [int(ids[0]), int(ids[1]) + 1]}
    with pytest.raises(FormatError, match=r"'lines': track .* has the parents"):
        write_layers(str(tmp_path / "a.geff"), tuples(merged), "geff")
    other = tracks_layer()
    far = Tracks(
        other.data + np.array([1000, 0, 0, 0]),
        graph={1000 + c: [1000 + p] for c, p in SAMPLE.parents.items()},
        name="other",
    )
    with pytest.raises(FormatError, match="'other' are not those of the labels 'cells'"):
        write_layers(str(tmp_path / "a.geff"), tuples(labels_layer(), far), "geff")
    assert list(tmp_path.iterdir()) == []


def test_parents_of_erased_objects_are_told(tmp_path):
    child = next(iter(SAMPLE.parents))
    layer = Labels(np.where(SAMPLE.labels_tyx == child, 0, SAMPLE.labels_tyx))
    with told() as texts:
        write_layers(str(tmp_path / "a.geff"), tuples(layer, tracks_layer()), "geff")
    assert texts == ["a.geff: the parents of 1 tracks are left out: one has no pixel"]


def test_time_is_where_the_axis_is_called_so(tmp_path):
    deep = np.zeros((3, 5, 8, 9), np.uint32)  # z, t, y, x
    deep[1:, :, 2:4, 2:5] = 4
    layer = Labels(deep, axis_labels=("z", "t", "y", "x"))
    write_layers(str(tmp_path / "a.geff"), tuples(layer), "geff")
    with open_tracks(tmp_path / "a.geff") as movie:
        assert (movie.table.n_frames, movie.table.frame_shape) == (5, (3, 8, 9))


def test_the_manifest_declares_the_same_extensions():
    writers = PluginManifest.from_distribution("napari-sam2track").contributions.writers
    declared = {
        writer.command.rpartition("write_")[2].replace("_", "-"): tuple(writer.filename_extensions)
        for writer in writers
    }
    assert declared == EXTENSIONS
    assert all(writer.filename_extensions for writer in writers)  # see napari.yaml
