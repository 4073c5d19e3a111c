"""The export dock: what it says, what it writes, and that it lets go."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Tracks
from qtpy.QtCore import Qt

from napari_sam2track._napari import exporting
from napari_sam2track._napari.exporting import (
    ExportProgress,
    StoppedError,
    complete,
    judge,
    snapshot,
    writable,
)
from napari_sam2track._napari.layer_tracks import tracked_movie, tracks_layer_data
from napari_sam2track._widgets import export_dock
from napari_sam2track._widgets.export_dock import ExportDock
from napari_sam2track.formats.tracks_files import open_tracks
from napari_sam2track.params import WriteParams
from napari_sam2track.samples import dividing_nuclei

SAMPLE = dividing_nuclei(10, 80, n_cells=5, divisions=0.1, seed=2)
N_TRACKS = len(np.unique(SAMPLE.labels_tyx)) - 1


def labels_layer(name="cells", **more):
    return Labels(SAMPLE.labels_tyx.copy(), name=name, **more)


def tracks_layer(name="lines"):
    table = tracked_movie(labels_layer(), SAMPLE.parents).table
    data, attributes, _ = tracks_layer_data(table, name=name)
    return Tracks(data, **attributes)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def dock(qtbot, viewer):
    found = ExportDock(viewer)
    qtbot.addWidget(found)
    found.show()
    yield found
    found.close()


def add(viewer, *layers):
    """Add layers that are made already.

    napari silences warnings while it makes one, which Python can do in one thread at a time, and
    the dock's thread begins with the first layer.
    """
    for layer in layers:
        viewer.add_layer(layer)


def idle(dock):
    return dock.judging is None and dock.writing is None


def wait(qtbot, dock):
    qtbot.waitUntil(lambda: idle(dock), timeout=10_000)


def choose(dock, format):
    dock.format_choice.setCurrentIndex(dock.format_choice.findData(format))


def press(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_every_format_that_is_written_is_offered(dock):
    offered = [dock.format_choice.itemData(k) for k in range(dock.format_choice.count())]
    assert offered == [entry.name for entry in writable()]
    assert {"ctc", "geff", "napari", "davis", "mots", "coco"} <= set(offered)


def test_it_waits_for_a_layer(qtbot, dock, viewer):
    assert "no Labels or Tracks layer" in dock.summary.text()
    assert not dock.write_button.isEnabled()
    viewer.add_layer(labels_layer())
    wait(qtbot, dock)
    assert f"10 frames of 80 x 80 pixels, {N_TRACKS} tracks, 0 divisions" in dock.summary.text()
    assert not dock.write_button.isEnabled()  # there is no target
    dock.target.setText("a")
    assert dock.write_button.isEnabled()


def test_it_writes_and_asks_before_it_replaces(qtbot, dock, viewer, tmp_path):
    viewer.add_layer(labels_layer(metadata={"sam2track": {"parents": SAMPLE.parents}}))
    choose(dock, "geff")
    dock.target.setText(str(tmp_path / "out"))
    wait(qtbot, dock)
    press(qtbot, dock.write_button)
    assert not dock.choices.isEnabled()
    wait(qtbot, dock)
    assert dock.message.text() == f"Written: {tmp_path / 'out.geff'}"
    with open_tracks(tmp_path / "out.geff") as movie:
        assert movie.table.parents == SAMPLE.parents
        np.testing.assert_array_equal(movie.labels.read(4), SAMPLE.labels_tyx[4])

    viewer.layers[0].data[:] = 3
    press(qtbot, dock.write_button)
    wait(qtbot, dock)
    assert "exists already; choose another name, or allow it" in dock.message.text()
    dock.replace_box.setChecked(True)
    press(qtbot, dock.write_button)
    wait(qtbot, dock)
    assert dock.message.text().startswith("Written")
    assert not dock.replace_box.isChecked()
    with open_tracks(tmp_path / "out.geff") as movie:
        assert movie.table.ids.tolist() == [3]  # as the layer is now, not as it was looked at


def test_it_says_what_is_lost_and_what_cannot_be(qtbot, dock, viewer):
    add(viewer, labels_layer(scale=(2, 0.5, 0.5)), tracks_layer())
    dock.lineage_choice.set_value(viewer.layers["lines"])
    dock.target.setText("a.geff")
    choose(dock, "coco")
    assert dock.target.text() == "a.coco.json"
    wait(qtbot, dock)
    assert f"the parents of {len(SAMPLE.parents)} tracks are not written" in dock.summary.text()
    assert "the size of a pixel" in dock.summary.text()
    assert dock.write_button.isEnabled()
    choose(dock, "geff")
    wait(qtbot, dock)
    assert "Not kept" not in dock.summary.text()

    dock.layer_choice.set_value(viewer.layers["lines"])
    wait(qtbot, dock)
    assert not dock.lineage_choice.isEnabled()
    assert "places without masks" in dock.summary.text()
    assert dock.write_button.isEnabled()
    choose(dock, "tiff")
    wait(qtbot, dock)
    assert "This cannot be written" in dock.summary.text()
    assert '"Radius"' in dock.summary.text()
    assert not dock.write_button.isEnabled()
    dock.form.set_value(WriteParams(radius=4))
    dock.look()
    wait(qtbot, dock)
    assert dock.write_button.isEnabled()


def test_ids_that_are_too_large_are_renumbered_on_request():
    layer = Labels(np.where(SAMPLE.labels_tyx, SAMPLE.labels_tyx + 70_000, 0))
    layers = [layer.as_layer_data_tuple()]
    verdict = judge(layers, None, "ctc", WriteParams(), ExportProgress())
    assert verdict.problem.startswith("the track id 70")
    assert '"Renumber"' in verdict.problem
    again = judge(layers, verdict.movie, "ctc", WriteParams(renumber=True), ExportProgress())
    assert again.problem == ""
    assert "ids go up to 65535 only: tracks are numbered anew from 1" in again.lost


def test_a_lineage_of_other_tracks_is_an_error_in_words(qtbot, dock, viewer):
    add(viewer, Labels(np.full((3, 8, 8), 99), name="other"), tracks_layer())
    dock.lineage_choice.set_value(viewer.layers["lines"])
    wait(qtbot, dock)
    assert "are not those of the labels 'other'" in dock.summary.text()
    assert not dock.write_button.isEnabled()


def test_an_edited_layer_can_be_looked_at_again(qtbot, dock, viewer):
    layer = viewer.add_layer(labels_layer())
    wait(qtbot, dock)
    assert not dock.again_button.isVisible()
    layer.paint((0, 2, 2), 500)
    assert dock.again_button.isVisible()
    press(qtbot, dock.again_button)
    wait(qtbot, dock)
    assert f"{N_TRACKS + 1} tracks" in dock.summary.text()
    assert not dock.again_button.isVisible()


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), OSError("no such disk")])
def test_whatever_goes_wrong_is_said(qtbot, dock, viewer, monkeypatch, error):
    """Also a RuntimeError, which workers may swallow."""

    def fail(*args):
        raise error

    monkeypatch.setattr(export_dock, "export", fail)
    viewer.add_layer(labels_layer())
    dock.target.setText("a")
    wait(qtbot, dock)
    press(qtbot, dock.write_button)
    wait(qtbot, dock)
    assert dock.message.text().lower() == str(error)
    assert dock.choices.isEnabled()


def test_it_can_be_stopped_and_leaves_nothing(qtbot, dock, viewer, tmp_path, monkeypatch):
    reached, go_on = threading.Event(), threading.Event()
    write = exporting.write_tracks

    def slowly(path, movie, *, progress, **more):
        def waiting(items, total, doing):
            for item in progress(items, total, doing):
                reached.set()
                go_on.wait(10)
                yield item

        write(path, movie, progress=waiting, **more)

    monkeypatch.setattr(exporting, "write_tracks", slowly)
    viewer.add_layer(labels_layer())
    choose(dock, "tiff")
    dock.target.setText(str(tmp_path / "a.tif"))
    wait(qtbot, dock)
    press(qtbot, dock.write_button)
    qtbot.waitUntil(reached.is_set, timeout=10_000)
    qtbot.waitUntil(lambda: dock.bar.maximum() == 10, timeout=10_000)
    press(qtbot, dock.stop_button)
    go_on.set()
    wait(qtbot, dock)
    assert dock.message.text() == "Stopped; nothing was written."
    assert list(tmp_path.iterdir()) == []


def test_closing_lets_go(qtbot, viewer):
    dock = ExportDock(viewer)
    qtbot.addWidget(dock)
    layer = viewer.add_layer(labels_layer())
    wait(qtbot, dock)
    before = dock.layer_choice.count()
    dock.close()
    viewer.add_layer(labels_layer("more"))
    layer.name = "renamed"
    layer.paint((0, 2, 2), 500)
    assert dock.layer_choice.count() == before
    assert dock.layer_choice.itemText(0) == "cells"
    assert idle(dock)


@pytest.mark.parametrize(
    ("format", "typed", "written"),
    [
        ("mots", "a", "a.txt"),
        ("davis", "a", "a"),
        ("tiff-folder", "a", "a"),
        ("napari", "a", "a"),
        ("napari", "a.csv", "a.csv"),
        ("geff", "a", "a.geff"),
        ("tiff", "a.tif", "a.tif"),
        ("geff", "a.tracks.tif", "a.geff"),
        ("ctc", "a.geff", "a_RES"),
        ("ctc", "01_RES", "01_RES"),
        ("davis", "a.ome.zarr", "a"),
        ("csv", "a.coco.json", "a.tracks.csv"),
        ("json", ".json", ".json"),
        ("geff", "v1.2", "v1.2.geff"),
    ],
)
def test_targets_are_completed(tmp_path, format, typed, written):
    assert complete(tmp_path / typed, format) == tmp_path / written


def test_a_lineage_that_goes_on_changing_is_read_once():
    """Work on the layer may go on in the meantime, in the window's thread."""
    parents = dict(SAMPLE.parents)
    layer = labels_layer(metadata={"sam2track": SimpleNamespace(parents=parents)})
    layers = [snapshot(layer)]
    parents.clear()
    verdict = judge(layers, None, "geff", WriteParams(), ExportProgress())
    assert verdict.movie.table.parents == SAMPLE.parents


def test_progress_stops_between_items():
    progress = ExportProgress()
    seen = []
    with pytest.raises(StoppedError, match="writing was stopped"):
        for item in progress(range(5), 5, "Writing"):
            seen.append(item)
            if item == 2:
                progress.stopped.set()
    assert seen == [0, 1, 2]
    assert (progress.done, progress.total, progress.doing) == (3, 5, "Writing")
