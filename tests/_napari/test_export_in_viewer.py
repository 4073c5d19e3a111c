"""The export dock in a window: opened from the manifest, used, closed."""

import numpy as np
from qtpy.QtCore import Qt

from napari_sam2track.formats.tracks_files import open_tracks
from napari_sam2track.samples import dividing_nuclei


def test_it_exports_a_layer_and_is_closed(qtbot, viewer, tmp_path):
    sample = dividing_nuclei(6, 64, n_cells=4, divisions=0.15, seed=2)
    viewer.open_sample("napari-sam2track", "dividing_nuclei")
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2track", "SAM2 Export")
    assert dock.layer_choice.count() == 2  # labels and tracks, not the image
    qtbot.waitUntil(lambda: dock.judging is None, timeout=10_000)
    ours = viewer.add_labels(
        sample.labels_tyx, name="mine", metadata={"sam2track": {"parents": sample.parents}}
    )
    dock.layer_choice.set_value(ours)
    dock.format_choice.setCurrentIndex(dock.format_choice.findData("ctc"))
    dock.target.setText(str(tmp_path / "01"))
    qtbot.waitUntil(dock.write_button.isEnabled, timeout=10_000)
    qtbot.mouseClick(dock.write_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dock.message.text().startswith("Written"), timeout=10_000)
    with open_tracks(tmp_path / "01_RES") as movie:
        assert movie.table.parents == sample.parents
        np.testing.assert_array_equal(movie.labels.read(3), sample.labels_tyx[3])

    viewer.window.remove_dock_widget(dock)  # as the cross of the dock does
    ours.name = "renamed"
    viewer.layers.clear()
    assert dock.layer_choice.count() == 3
    assert "mine" in [dock.layer_choice.itemText(k) for k in range(3)]


def test_the_window_can_be_closed_with_it(qtbot, viewer):
    """While it reads; the fixture closes the window, and finds what would be left over."""
    viewer.window.add_plugin_dock_widget("napari-sam2track", "SAM2 Export")
    viewer.add_labels(np.zeros((50, 256, 256), np.uint32))
