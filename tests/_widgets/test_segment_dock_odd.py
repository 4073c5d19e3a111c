"""What goes wrong around the main job: two docks, odd layers, closing in the middle of things."""

import threading
import time

import numpy as np
import pytest

from napari_sam2track._napari import autosave
from napari_sam2track.samples import centre_pixels, moving_cells

N = 8


@pytest.fixture(scope="module")
def sample():
    return moving_cells(N, 140, 160, n_cells=4, seed=3)


@pytest.fixture
def centres(sample):
    return centre_pixels(sample.labels_tyx[0])


def open_dock(window, layer=None):
    from napari_sam2track._widgets.segment_dock import SegmentDock

    dock = SegmentDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, area="right", name="SAM2 Segment and follow")
    dock.window().resize(1300, 1000)
    if layer is not None:
        dock.image.set_image(layer)
    window.until(lambda: dock.setup.found is not None)
    return dock


def begin(window, dock, go_on=False):
    dock.start(go_on)
    window.until(lambda: dock.project is not None)
    return dock.project


def frame(project, t):
    return project.plane.read(t)


def click_on(window, project, object_id, place):
    project.set_current(object_id)
    project.prompts.points.add(project.found.geometry.to_layer(np.array([[0, *place]], float)))
    window.until(lambda: (frame(project, 0) == object_id).any())


@pytest.fixture
def dock(window, sample):
    window.viewer.add_image(sample.images_tyx, name="cells")
    return open_dock(window)


@pytest.fixture
def project(dock, window):
    return begin(window, dock)


def test_nothing_is_saved_by_a_timer_after_closing(dock, project, window, centres, monkeypatch):

    monkeypatch.setattr(autosave, "_AFTER", 200)
    click_on(window, project, 1, centres[1])
    project.touched()
    dock.close_work()
    window.settle(500)  # an error in a timer fails the test


@pytest.mark.parametrize("whole_dock", [False, True])
def test_closing_in_an_undo_takes_the_step_back_to_its_end(
    dock, project, window, centres, whole_dock
):
    click_on(window, project, 1, centres[1])
    project.propagate()
    window.until(lambda: project.status.done == N and not project.status.active)
    project.undo()
    assert project.work.busy  # a long step, a few frames at a time
    if whole_dock:
        window.viewer.window.remove_dock_widget(dock)
    else:
        dock.close_work()
    window.settle(200)
    assert [bool(frame(project, t).any()) for t in range(N)] == [True] + [False] * (N - 1)


def test_the_only_click_undone_and_painted_over(dock, project, window, centres):
    points = project.prompts.points
    click_on(window, project, 1, centres[1])
    project.undo()
    window.settle(100)
    assert not len(points.data) and not frame(project, 0).any()
    project.redo()
    assert len(points.data) == 1
    viewer = window.viewer
    viewer.layers.selection.active = project.labels
    project.labels.mode, project.labels.brush_size = "paint", 9
    viewer.dims.set_current_step(0, 0)
    viewer.reset_view()
    window.settle()
    window.drag(dock, centres[1], np.add(centres[1], 9))
    (prompt,) = (p for _, p in project.work.annotations.prompts.items())
    assert prompt.mask is not None and not len(points.data)


def test_nothing_is_written_under_a_brush(dock, project, window, centres):
    click_on(window, project, 1, centres[1])
    window.viewer.layers.selection.active = project.labels
    project.labels.mode, project.labels.brush_size = "paint", 9
    window.settle()
    project.propagate()
    seen = []

    def wait():
        before = project.status.done
        window.settle(600)  # frames are found meanwhile
        seen.append((before, project.status.done, project.background.busy))

    window.drag(dock, centres[1], np.add(centres[1], 9), before_release=wait)
    ((before, after, busy),) = seen
    assert before == after and busy
    window.until(lambda: not project.status.active)
    assert project.status.done >= N - 1
    assert project.work.annotations.prompts[1, project.frame].mask is not None
    assert "changed elsewhere" not in dock.message.text()


def test_two_docks_that_found_the_same_pixels_work_in_two_folders(window, sample, centres):
    layers = [window.viewer.add_image(sample.images_tyx, name=name) for name in "ab"]
    docks = [open_dock(window, layer) for layer in layers]  # both look before one begins
    first, second = (begin(window, dock) for dock in docks)
    assert first.found.folder != second.found.folder
    click_on(window, first, 1, centres[1])
    assert not frame(second, 0).any()
    # and each goes on with its own layers
    labels = first.labels
    docks[0].close_work()
    window.until(lambda: docks[0].setup.found is not None)
    again = begin(window, docks[0], go_on=True)
    assert again.labels == labels and (frame(again, 0) == 1).any()


def test_labels_of_work_that_is_open_are_refused(dock, project, window):
    other = open_dock(window)
    other.image.labels_choice.set_value(project.labels)
    other.start(False)
    window.settle()
    assert other.project is None and "are worked on already" in other.message.text()


def test_starting_anew_leaves_the_old_labels_as_they_were(dock, project, window, centres):
    click_on(window, project, 1, centres[1])
    old, shown = project.labels, frame(project, 0)
    dock.close_work()
    window.until(lambda: dock.setup.found is not None)
    new = begin(window, dock)
    click_on(window, new, 1, centres[2])
    np.testing.assert_array_equal(np.asarray(old.data[0]), shown)


def test_the_contrast_is_that_at_the_start_and_stays_when_work_is_gone_on_with(
    dock, window, centres
):
    layer = dock.image.image()
    usual = layer.contrast_limits
    layer.contrast_limits = (100, 9000)
    project = begin(window, dock)
    assert project.work.frames.intensity[0] == (100, 9000)
    click_on(window, project, 1, centres[1])
    project.propagate()
    window.until(lambda: not project.status.active)
    dock.close_work()
    layer.contrast_limits = usual
    window.until(lambda: dock.setup.found is not None)
    again = begin(window, dock, go_on=True)
    assert again.work.frames.intensity[0] == (100, 9000)
    assert again.work.stale() == {}


def test_start_says_why_an_image_cannot_be_read(dock, window):
    dock.image.axes_edit.setText("TYQ")
    dock.image.axes_edit.editingFinished.emit()
    dock.start(False)
    window.settle(300)
    assert "Y and X are needed" in dock.message.text()


def test_closing_while_work_is_opened_leaves_nothing(dock, window, work_root):
    dock.start(False)
    end = time.monotonic() + 20
    while not list(work_root.glob("*/in_use")) and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.3)  # what is ready waits for the window
    window.viewer.window.remove_dock_widget(dock)
    assert not list(work_root.glob("*/in_use"))
    assert not [t for t in threading.enumerate() if t.name.startswith("sam2track")]
    assert [type(layer).__name__ for layer in window.viewer.layers] == ["Image"]


def test_points_of_a_person_stay_where_they_are_in_the_world(window, sample, centres):
    layer = window.viewer.add_image(
        sample.images_tyx, name="cells", scale=(2, 0.5, 0.25), translate=(0, 10, 20), rotate=30
    )
    place = layer.data_to_world((0, *centres[1]))
    points = window.viewer.add_points([place], name="mine", size=4)
    dock = open_dock(window, layer)
    dock.image.points_choice.set_value(points)
    project = begin(window, dock)
    window.until(lambda: (frame(project, 0) == 1).any())
    (prompt,) = (p for _, p in project.work.annotations.prompts.items())
    np.testing.assert_allclose((prompt.points[0].y, prompt.points[0].x), centres[1], atol=1e-6)
    np.testing.assert_allclose(points.data_to_world(points.data[0]), place, atol=1e-6)
    inside = frame(project, 0) == 1
    truth = sample.labels_tyx[0] == 1
    assert (inside & truth).sum() / (inside | truth).sum() > 0.6


def test_labels_whose_data_are_replaced_are_not_written_into_nowhere(dock, project, window):
    project.labels.data = np.asarray(project.labels.data).astype(np.uint16)
    window.until(lambda: dock.project is None)
    window.until(lambda: "have other data now" in dock.message.text())


def test_ids_up_to_the_largest(window, sample, centres):
    layer = window.viewer.add_image(sample.images_tyx, name="cells")
    mine = np.zeros(sample.images_tyx.shape, np.uint32)
    mine[:, :10, :10], mine[:, 20:30, :10] = 2**32 - 1, 3_000_000_000
    labels = window.viewer.add_labels(mine, name="mine")
    dock = open_dock(window, layer)
    dock.image.labels_choice.set_value(labels)
    project = begin(window, dock)
    assert project.current == 3_000_000_000 == dock.objects.id_spin.value()
    assert project.next_object() == 1  # none above is left
    click_on(window, project, 1, centres[1])
    assert (mine[0, :10, :10] == 2**32 - 1).all()


def test_values_that_are_no_ids_are_refused_not_wrapped(window, sample):
    layer = window.viewer.add_image(sample.images_tyx, name="cells")
    mine = np.zeros(sample.images_tyx.shape, np.int64)
    mine[:, :10, :10] = 2**32 + 5
    labels = window.viewer.add_labels(mine, name="mine")
    dock = open_dock(window, layer)
    dock.image.labels_choice.set_value(labels)
    dock.start(False)
    window.until(lambda: "4294967301" in dock.message.text())
    assert dock.project is None
