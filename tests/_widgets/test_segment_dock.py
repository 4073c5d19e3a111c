"""The main job in a real window, with real clicks and keys."""

import re
import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_sam2track._napari.session_export import save_session
from napari_sam2track.params import EngineParams
from napari_sam2track.samples import centre_pixels, moving_cells
from napari_sam2track.workspace.state_grid import APPROVED, CORRECTED, PROMPTED, PROPAGATED, STALE

N = 8
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture(scope="module")
def sample():
    return moving_cells(N, 140, 160, n_cells=4, seed=3)


@pytest.fixture
def centres(sample):
    return centre_pixels(sample.labels_tyx[0])


@pytest.fixture
def dock(window, sample):
    from napari_sam2track._widgets.segment_dock import SegmentDock

    window.viewer.add_image(sample.images_tyx, name="cells")
    dock = SegmentDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, area="right", name="SAM2 Segment and follow")
    dock.window().resize(1300, 1000)
    window.settle()
    return dock


@pytest.fixture
def project(dock, window):
    window.until(lambda: dock.setup.found is not None)
    dock.start(False)
    window.until(lambda: dock.project is not None)
    window.viewer.dims.set_current_step(0, 0)
    window.viewer.reset_view()
    window.settle()
    return dock.project


def frame(project, t):
    return project.plane.read(t)


def iou(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


def row(project, object_id):
    return project.work.grid.states[project.work.grid.ids.index(object_id)].tolist()


def test_the_dock_opens_without_torch_and_says_what_to_do(window, sample):
    import subprocess
    import sys

    code = (
        "import sys; import napari_sam2track._widgets.segment_dock; "
        "print([m for m in ('torch', 'sam2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_click_propagate_correct_by_painting_and_undo(dock, project, window, sample, centres):
    # a click shows a mask
    window.click(dock, centres[1])
    window.until(lambda: (frame(project, 0) == 1).any())
    assert iou(frame(project, 0) == 1, sample.labels_tyx[0] == 1) > 0.7
    # the next object
    window.key(dock, Qt.Key.Key_M)
    assert project.current == 2
    window.click(dock, centres[2])
    window.until(lambda: (frame(project, 0) == 2).any())
    assert project.prompts.points.features["object_id"].tolist() == [1, 2]
    # propagate by key
    window.key(dock, Qt.Key.Key_S, SHIFT)
    window.until(lambda: project.status.done == 2 * N and not project.status.active)
    for t in range(N):
        for i in (1, 2):
            assert iou(frame(project, t) == i, sample.labels_tyx[t] == i) > 0.6
    assert row(project, 2) == [PROMPTED] + [PROPAGATED] * (N - 1)
    before = [frame(project, t) for t in range(N)]
    # paint: a correction
    project.go_to(2, 4)
    window.viewer.layers.selection.active = project.labels
    project.labels.mode = "paint"
    project.labels.brush_size = 9
    y, x = np.argwhere(before[4] == 2).mean(axis=0)
    window.drag(dock, (y, x), (y + 12, x + 12), (y + 16, x + 14))
    window.until(lambda: (frame(project, 4) != before[4]).any())
    assert row(project, 2)[4:] == [CORRECTED] + [STALE] * (N - 5)
    assert (
        4 in project.work.annotations.prompts.of_object(2)
    ) and project.labels.selected_label == 2
    painted = frame(project, 4)
    window.key(dock, Qt.Key.Key_S, SHIFT)
    window.until(lambda: not project.status.active and project.work.stale() == {})
    np.testing.assert_array_equal(frame(project, 4), painted)
    np.testing.assert_array_equal(frame(project, 2), before[2])
    # back by Ctrl+Z: the run, the stroke
    for _ in range(2):
        window.key(dock, Qt.Key.Key_Z, CTRL)
        window.until(lambda: not project.work.busy)
    for t in range(N):
        np.testing.assert_array_equal(frame(project, t), before[t])


def test_a_point_is_taken_at_once_and_coloured_once(project, monkeypatch, centres):
    colours = []
    recolour = type(project.prompts).recolour
    monkeypatch.setattr(
        type(project.prompts), "recolour", lambda self: (colours.append(1), recolour(self))
    )
    project.prompts.points.add([0, *centres[1]])
    assert (1, 0) in project.work.annotations.prompts  # nobody turned the event loop
    assert project.background.busy
    assert len(colours) == 1


def test_moving_and_deleting_points_moves_and_deletes_masks(dock, project, window, centres, sample):
    window.click(dock, centres[1])
    window.until(lambda: (frame(project, 0) == 1).any())
    points = project.prompts.points
    points.data = np.array([[0, *centres[3]]])
    window.until(lambda: iou(frame(project, 0) == 1, sample.labels_tyx[0] == 3) > 0.6)
    points.selected_data = {0}
    points.remove_selected()
    window.until(lambda: not frame(project, 0).any())
    window.key(dock, Qt.Key.Key_Z, CTRL)
    window.until(lambda: (frame(project, 0) == 1).any())
    assert len(points.data) == 1


def test_a_negative_click_with_the_key(dock, project, window, centres):
    window.key(dock, Qt.Key.Key_T)
    assert project.prompts.label == "negative" and "beside" in dock.objects.sign_button.text()
    window.click(dock, centres[1])
    window.settle(300)
    assert project.prompts.points.features["label"].tolist() == ["negative"]
    np.testing.assert_allclose(project.prompts.points.border_color[0][:2], [0.95, 0.2], atol=0.01)


def test_stop_keeps_what_is_done_and_resume_goes_on(dock, project, window, centres):
    window.click(dock, centres[1])
    window.until(lambda: (frame(project, 0) == 1).any())
    stopped = []

    def stop(status):
        if status.done >= 3 and not stopped:
            stopped.append(True)
            project.stop()

    project.run_changed.connect(stop)
    dock.run.propagate()
    window.until(lambda: bool(stopped) and not project.status.active)
    done = project.status.done
    assert 3 <= done < N and (frame(project, 2) == 1).any() and not frame(project, N - 1).any()
    assert "Resume" in dock.run.run_button.text()
    dock.run.propagate()
    window.until(lambda: not project.status.active and project.work.stale() == {})
    assert (frame(project, N - 1) == 1).any()


def test_box_prompt(dock, project, window, sample, centres):
    ys, xs = np.nonzero(sample.labels_tyx[0] == 2)
    box = [
        [0, ys.min(), xs.min()],
        [0, ys.min(), xs.max()],
        [0, ys.max(), xs.max()],
        [0, ys.max(), xs.min()],
    ]
    project.prompts.boxes.add_rectangles([np.array(box)])
    window.until(lambda: iou(frame(project, 0) == 1, sample.labels_tyx[0] == 2) > 0.7)


def test_labels_of_another_layer_become_masks(dock, project, window, sample):
    truth = window.viewer.add_labels(sample.labels_tyx.copy(), name="cellpose")
    project.take_layer(truth)
    window.until(lambda: set(np.unique(frame(project, 0)).tolist()) == {0, 1, 2, 3, 4})
    np.testing.assert_array_equal(frame(project, 0), sample.labels_tyx[0])
    wrong = window.viewer.add_labels(np.zeros((3, 4, 4), int), name="small")
    project.take_layer(wrong)
    assert "have to be (8, 140, 160)" in dock.message.text()


def test_accept_next_problem_and_the_strip(dock, project, window, centres):
    window.click(dock, centres[1])
    dock.run.propagate()
    window.until(lambda: project.status.done == N and not project.status.active)
    project.go_to(1, 5)
    window.key(dock, Qt.Key.Key_C)
    assert row(project, 1)[5] == APPROVED
    window.key(dock, Qt.Key.Key_C)
    assert row(project, 1)[5] == PROPAGATED
    project.work.store.remove(6, [1])
    project.go_to(None, 0)
    window.key(dock, Qt.Key.Key_N)
    assert "no problem" in dock.message.text()
    dock.review.strip.clicked.emit(1, 3)
    assert project.frame == 3
    assert re.fullmatch(
        r"Object 1 · frame 3 of 7 · propagated · score (1\.00|0\.9\d)", project.here
    )


def test_closing_in_the_middle_of_a_run_loses_nothing(dock, project, window, centres, work_root):
    window.click(dock, centres[1])
    window.until(lambda: (frame(project, 0) == 1).any())
    dock.run.propagate()
    window.until(lambda: project.status.done >= 2)
    shown = {t: frame(project, t) for t in range(2)}
    window.viewer.window.remove_dock_widget(dock)
    window.until(lambda: not project.is_open)
    assert not [t for t in threading.enumerate() if t.name.startswith("sam2track")]
    (saved,) = work_root.glob("*/work.json")
    assert '"id":1' in saved.read_text().replace(" ", "")
    assert not list(work_root.glob("*/in_use"))
    # a new dock offers it
    from napari_sam2track._widgets.segment_dock import SegmentDock

    again = SegmentDock(window.viewer)
    window.viewer.window.add_dock_widget(again, area="right", name="again")
    window.until(lambda: again.setup.found is not None)
    assert "There is work on this image" in again.image.offer_label.text()
    again.start(True)
    window.until(lambda: again.project is not None)
    window.settle()
    for t, labels in shown.items():
        np.testing.assert_array_equal(again.project.plane.read(t), labels)
    assert again.project.work.annotations.prompts.objects == (1,)
    assert len(again.project.prompts.points.data) == 1
    assert len(window.viewer.layers) == 4  # those that are there are gone on with
    window.viewer.window.remove_dock_widget(again)


def test_deleting_a_layer_closes_the_work(dock, project, window, centres):
    window.click(dock, centres[1])
    window.until(lambda: (frame(project, 0) == 1).any())
    dock.run.propagate()
    window.until(lambda: project.status.done >= 1)
    window.viewer.layers.remove(project.labels.name)
    window.until(lambda: dock.project is None)
    assert not project.is_open and not project.work.busy
    window.until(lambda: "was deleted" in dock.message.text())


def test_an_error_in_the_thread_is_told_and_the_next_run_works(
    dock, project, window, centres, monkeypatch
):
    from napari_sam2track.session.runner import Runner

    window.click(dock, centres[1])
    window.until(lambda: (frame(project, 0) == 1).any())
    whole = Runner.propagate

    def broken(self, only=None):
        yield from ()
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(Runner, "propagate", broken)
    dock.run.propagate()
    window.until(lambda: not project.status.active)
    assert "Memory ran out" in dock.message.text() and "lower the batch" in dock.message.text()
    monkeypatch.setattr(Runner, "propagate", whole)
    dock.run.propagate()
    window.until(lambda: project.status.done == N)


def test_keys_are_given_back(dock, project, window):
    viewer = window.viewer
    layers = list(project.layers)
    before = {**viewer.keymap}
    assert len(layers[2].keymap) == len(layers[1].keymap) == 10
    dock.close_work()
    for target in layers:
        assert not target.keymap
    assert len(viewer.keymap) == len(before) - 8


def test_try_it(dock, window):
    dock.try_it()
    window.until(lambda: dock.project is not None)
    window.until(lambda: dock.project.status.done == 5 * 24, 120)
    assert dock.project.work.objects == (1, 2, 3, 4, 5)


def test_engine_parameters_reach_the_session(dock, project):
    dock.model.form.set_value(EngineParams(give_up=7, cache_memory=256))
    dock.model.changed.emit()
    assert project.work.session.engine.give_up == 7


def open_work(window, layer, **panel):
    from napari_sam2track._widgets.segment_dock import SegmentDock

    dock = SegmentDock(window.viewer)
    window.viewer.window.add_dock_widget(dock, area="right", name="SAM2 Segment and follow")
    dock.window().resize(1300, 1000)
    dock.image.set_image(layer)
    for name, value in panel.items():
        getattr(dock.image, f"{name}_choice").set_value(value)
    window.until(lambda: dock.setup.found is not None)
    dock.start(False)
    window.until(lambda: dock.project is not None or "✖" in dock.message.text())
    return dock


def say(project, object_id, t, place):
    at = project.found.geometry.to_layer(np.array([[t, *place]], float))
    project.set_current(object_id)
    project.prompts.points.add(at)


def test_a_plane_of_a_stack_over_time(window, sample, centres):
    stack = np.stack([sample.images_tyx // 8, sample.images_tyx], axis=1)
    layer = window.viewer.add_image(stack, name="stack", scale=(1, 2, 0.5, 0.5))
    dock = open_work(window, layer)
    assert dock.image.form.isRowVisible(dock.image.plane_spin)
    dock.close_work() if dock.project else None
    dock.image.plane_spin.setValue(1)
    window.until(lambda: dock.setup.found is not None and dock.setup.found.geometry.plane == 1)
    dock.start(False)
    window.until(lambda: dock.project is not None)
    project = dock.project
    assert project.labels.data.shape == stack.shape
    say(project, 1, 0, centres[1])
    window.until(lambda: (frame(project, 0) == 1).any())
    assert iou(frame(project, 0) == 1, sample.labels_tyx[0] == 1) > 0.7
    dock.run.propagate()
    window.until(lambda: project.status.done == N and not project.status.active)
    assert iou(np.asarray(project.labels.data[N - 1, 1]) == 1, sample.labels_tyx[-1] == 1) > 0.6
    assert not np.asarray(project.labels.data[:, 0]).any()
    project.go_to(1, 3)
    assert window.viewer.dims.current_step[:2] == (3, 1)


def test_colour_movies_and_channels(window, sample, centres):
    grey = (sample.images_tyx // 16).clip(0, 255).astype(np.uint8)
    for data, options, axes in (
        (np.repeat(grey[..., None], 3, axis=-1), {"rgb": True}, "TYXS"),
        (np.stack([grey * 0, grey], axis=1), {"axis_labels": ("t", "c", "y", "x")}, "TCYX"),
    ):
        layer = window.viewer.add_image(data, name=axes, **options)
        dock = open_work(window, layer)
        assert dock.image.axes_edit.text() == axes
        if axes == "TCYX":
            dock.close_work()
            dock.image.channel_edit.setText("1")
            dock.image.channel_edit.editingFinished.emit()
            window.until(lambda d=dock: d.setup.found is not None)
            window.settle()
            dock.start(False)
            window.until(lambda d=dock: d.project is not None)
        project = dock.project
        say(project, 1, 0, centres[1])
        window.until(lambda p=project: (frame(p, 0) == 1).any())
        assert iou(frame(project, 0) == 1, sample.labels_tyx[0] == 1) > 0.6
        window.viewer.window.remove_dock_widget(dock)
        window.viewer.layers.clear()


def test_a_persons_labels_are_worked_on_and_refused_where_they_do_not_fit(window, sample, centres):
    layer = window.viewer.add_image(sample.images_tyx, name="cells")
    mine = np.zeros(sample.images_tyx.shape, np.uint16)
    mine[:, :10, :10] = 40
    labels = window.viewer.add_labels(mine, name="mine")
    wrong = window.viewer.add_labels(np.zeros((2, 5, 5), int), name="wrong")
    dock = open_work(window, layer, labels=wrong)
    assert dock.project is None and "have to be (8, 140, 160)" in dock.message.text()
    dock.image.labels_choice.set_value(labels)
    dock.start(False)
    window.until(lambda: dock.project is not None)
    project = dock.project
    assert project.labels == labels and project.work.next_id == 41
    project.next_object()
    say(project, project.current, 0, centres[1])
    window.until(lambda: (mine[0] == 41).any())
    dock.run.propagate()
    window.until(lambda: project.status.done == N and not project.status.active)
    assert (mine[:, :10, :10] == 40).all() and (mine[-1] == 41).any()


def test_a_session_goes_to_the_command_line_and_comes_back(window, sample, centres, tmp_path):
    import tifffile
    from typer.testing import CliRunner

    from napari_sam2track.cli import app

    movie = tmp_path / "movie.tif"
    tifffile.imwrite(movie, sample.images_tyx, metadata={"axes": "TYX"}, photometric="minisblack")
    (layer,) = window.viewer.open(movie, plugin="napari")
    dock = open_work(window, layer)
    say(dock.project, 1, 0, centres[1])
    window.until(lambda: (frame(dock.project, 0) == 1).any())
    path = tmp_path / "clicked.sam2track.json"
    save_session(dock.project, path)
    dock.run.propagate()
    window.until(lambda: dock.project.status.done == N and not dock.project.status.active)
    ours = np.stack([frame(dock.project, t) for t in range(N)])
    window.viewer.window.remove_dock_widget(dock)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["video", "--session", str(path), "--out-dir", str(out)])
    assert done.exit_code == 0, done.output
    theirs = tifffile.imread(out / "labels.tif")
    assert (theirs != ours).mean() < 1e-4  # batches may round otherwise
    # the folder comes back as layers, and work goes on with them
    window.viewer.layers.clear()
    window.viewer.open(out, plugin="napari-sam2track")
    image = next(x for x in window.viewer.layers if type(x.data).__name__ == "LazyFrames")
    again = open_work(window, image)
    assert again.project.work.annotations.prompts.objects == (1,)
    np.testing.assert_array_equal(again.project.plane.read(3), theirs[3])
    assert "prompts" in again.project.prompts.points.name


def test_an_image_in_memory_cannot_be_a_session(dock, project, tmp_path):
    from napari_sam2track.errors import UsageError

    with pytest.raises(UsageError, match="was not opened from a file"):
        save_session(project, tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()


def test_starting_anew_on_labels_of_earlier_work_keeps_them(dock, project, window, centres):
    window.click(dock, centres[1])
    window.until(lambda: (frame(project, 0) == 1).any())
    shown = frame(project, 0)
    labels = project.labels
    dock.close_work()
    window.until(lambda: dock.setup.found is not None)
    dock.image.labels_choice.set_value(labels)
    dock.start(False)
    window.until(lambda: dock.project is not None)
    np.testing.assert_array_equal(frame(dock.project, 0), shown)
    assert not dock.project.work.annotations.prompts


def test_two_images_of_the_same_pixels_do_not_share_a_folder(window, sample, work_root):
    layers = [window.viewer.add_image(sample.images_tyx, name=name) for name in "ab"]
    docks = [open_work(window, layer) for layer in layers]
    assert len({dock.project.found.folder for dock in docks}) == 2
