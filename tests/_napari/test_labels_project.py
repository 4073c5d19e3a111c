"""Work on a Labels layer without a window: reading, linking, tools, and the Tracks layer."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2track._napari.background import Background
from napari_sam2track._napari.labels_project import LabelsProject, LayerToOpen, labels_geometry
from napari_sam2track._napari.link_run import LinkRun
from napari_sam2track._napari.track_tools import ACTIONS, TOOLS, TrackTools
from napari_sam2track._napari.tracks_layer import TracksLayer
from napari_sam2track.errors import FormatError, OutputError, UsageError
from napari_sam2track.params import LinkParams
from napari_sam2track.samples import dividing_nuclei
from napari_sam2track.tracks.editing.edits import Delete

N = 10


class HandPump:
    """A `Pump` that is moved by hand."""

    def hold(self, held):
        self.held = held

    def __init__(self):
        self.threads, self.calls = [], {}

    def attach(self, background):
        self.threads.append(background)

    def wake(self):
        pass

    def later(self, name, milliseconds, call):
        self.calls[name] = call

    def close(self):
        self.calls.clear()

    def run(self):
        """All that is in the background, and what is to be done later."""
        for thread in self.threads:
            assert thread.finish(20)
        while self.calls:
            self.calls.pop(next(iter(self.calls)))()


@pytest.fixture(scope="module")
def truth():
    sample = dividing_nuclei(N, 160, n_cells=8, divisions=0.03, seed=4)
    assert sample.parents
    return sample


class Opened:
    def __init__(self, labels, **attributes):
        self.viewer, self.pump = ViewerModel(), HandPump()
        self.layer = self.viewer.add_labels(labels, name="cells", **attributes)
        self.background = Background("sam2track-test")
        self.pump.attach(self.background)
        opened = LayerToOpen.of(self.layer)
        *_, table = opened.measure()
        self.project = LabelsProject(self.viewer, opened, table, self.pump, self.background)
        self.told = []
        self.project.told.connect(lambda level, text: self.told.append(text))


@pytest.fixture
def make():
    made = []

    def call(labels, **attributes):
        made.append(Opened(labels, **attributes))
        return made[-1]

    yield call
    for one in made:
        one.project.close()
        one.background.close()


@pytest.fixture
def shuffled(truth, make):
    rng = np.random.default_rng(0)
    labels = np.zeros(truth.labels_tyx.shape, np.uint16)
    for t, frame in enumerate(truth.labels_tyx):
        labels[t] = np.append(0, 1 + rng.permutation(int(truth.labels_tyx.max())))[frame]
    return make(labels)


def test_axes_that_are_one_long_are_passed_over(make, truth):
    labels = truth.labels_tyx[:, None]
    one = make(labels.copy(), scale=(2, 1, 0.5, 0.5), axis_labels=("t", "c", "y", "x"))
    assert one.project.plane.frame_shape == (160, 160)
    np.testing.assert_array_equal(one.project.plane.read(3), truth.labels_tyx[3])
    shown = TracksLayer(one.project)
    shown.show()
    assert shown.layer.data.shape[1] == 5 and tuple(shown.layer.scale) == (2, 1, 0.5, 0.5)
    assert shown.layer.name == "cells [tracks]"
    a = one.project.work.state.places.ids[0]
    one.project.edit([Delete(a)], "delete")
    one.pump.run()
    assert a not in shown.layer.data[:, 0]
    shown.hide()
    assert [layer.name for layer in one.viewer.layers] == ["cells"]


def test_time_is_where_the_axes_say(make, truth):
    labels = np.moveaxis(truth.labels_tyx, 0, 1).copy()
    one = make(labels, axis_labels=("y", "time", "x"))
    assert one.project.plane.n_frames == N
    np.testing.assert_array_equal(one.project.plane.read(2), truth.labels_tyx[2])
    assert "first axis" in TracksLayer(one.project).reason


def test_one_frame_and_no_frame(make):
    one = make(np.eye(20, dtype=np.uint8) * 3)
    assert one.project.work.state.places.spans == {3: (0, 0)}
    assert make(np.zeros((3, 5, 5), int)).project.work.state.places.ids == []


def test_what_cannot_be_labels_is_refused():
    viewer = ViewerModel()
    layer = viewer.add_labels(np.full((2, 4, 4), -1))
    with pytest.raises(FormatError, match="frame 0 of the layer"):
        list(LayerToOpen.of(layer).measure())
    with pytest.raises(FormatError, match="5 axes"):
        labels_geometry(viewer.add_labels(np.zeros((2, 2, 2, 4, 4), int)))
    scales = [np.zeros((2, 8, 8), int), np.zeros((2, 4, 4), int)]
    with pytest.raises(UsageError, match="several scales"):
        LayerToOpen.of(viewer.add_labels(scales, multiscale=True))


def test_linking_writes_when_all_is_known(shuffled, truth):
    run, project = LinkRun(shuffled.project), shuffled.project
    run.start(LinkParams())
    run.start(LinkParams())  # once is enough
    assert run.active and "Linking" in run.text
    shuffled.pump.run()
    assert not run.active and f"{project.work.state.places.ids.__len__()} tracks" in run.text
    for track in np.unique(truth.labels_tyx)[1:]:
        there = truth.labels_tyx == track
        assert len(np.unique(shuffled.layer.data[there])) == 1
    assert shuffled.layer.metadata["sam2track"]["parents"] == dict(project.work.state.parents)
    assert len(project.work.history.steps) == 1
    # once more: nothing differs
    run.start(LinkParams())
    shuffled.pump.run()
    assert "already" in run.text and len(project.work.history.steps) == 1


def test_a_frame_that_cannot_be_written_leaves_all_as_it_was(shuffled, monkeypatch):
    before, work = shuffled.layer.data.copy(), shuffled.project.work
    whole = work.replace_frame

    def full(t, labels, old):
        if t == 5:
            raise OutputError("the disk is full")
        whole(t, labels, old)

    monkeypatch.setattr(work, "replace_frame", full)
    run = LinkRun(shuffled.project)
    run.start(LinkParams())
    shuffled.pump.run()
    assert shuffled.told == ["The disk is full"] and not run.active and not work.busy
    np.testing.assert_array_equal(shuffled.layer.data, before)
    assert shuffled.layer.editable and not work.history.can_undo


def test_closing_while_frames_are_written_writes_them_all(shuffled, monkeypatch):
    from napari_sam2track._napari import link_run

    monkeypatch.setattr(link_run, "_SLICE", 0)
    run, work = LinkRun(shuffled.project), shuffled.project.work
    run.start(LinkParams())
    shuffled.background.finish()
    assert run.writing and work.busy and not shuffled.layer.editable
    assert not shuffled.project.edit([Delete(1)], "delete")
    assert "being linked" in shuffled.told[-1]
    run.close()
    assert not work.busy and len(work.state.parents) > 0 and shuffled.layer.editable
    assert sorted(np.unique(shuffled.layer.data)[1:]) == work.state.places.ids


def test_ids_that_do_not_fit_change_nothing(make, truth):
    labels = np.zeros((2, 60, 60), np.uint8)
    labels[0, 2:8, 2:8], labels[1, 40:48, 40:48] = 255, 255
    one = make(labels)
    run = LinkRun(one.project)
    run.start(LinkParams(binary="no"))
    one.pump.run()
    assert "hold ids up to 255" in one.told[-1]
    assert not one.project.work.history.can_undo


def test_tools_ask_for_one_track_after_the_other(make, truth):
    one = make(truth.labels_tyx.copy())
    project, tools = one.project, TrackTools(one.project)
    changes = []
    tools.changed.connect(lambda: changes.append(tools.text))
    n = len(one.layer.mouse_drag_callbacks)
    tools.start("swap")
    assert tools.text == TOOLS["swap"].asks[0] and len(one.layer.mouse_drag_callbacks) == n + 1
    a = project.work.state.places.ids[0]
    tools.click(a)
    assert f"with which {a} is" in tools.text and project.current == a
    tools.back()
    assert tools.name == "swap" and tools.text == TOOLS["swap"].asks[0]
    tools.click(0)
    assert "no track under the mouse" in one.told[-1]
    tools.click(a)
    tools.click(a)
    assert "are the same" in one.told[-1]
    tools.start("split")  # in place of the other
    assert len(one.layer.mouse_drag_callbacks) == n + 1
    tools.back()
    assert tools.name is None and len(one.layer.mouse_drag_callbacks) == n
    assert changes[-1] == "" and not project.work.history.can_undo
    tools.click(a)  # nothing is in hand
    assert not project.work.history.can_undo


def test_both_masks_become_one_with_shift_only(make, truth):
    one = make(truth.labels_tyx.copy())
    a, b = one.project.work.state.places.ids[:2]
    tools = TrackTools(one.project)
    tools.start("merge")
    tools.click(a)
    tools.click(b)
    assert "both in frame" in one.told[-1]
    tools.click(a)
    tools.click(b, shift=True)
    assert b not in one.project.work.state.places
    tools.close()


def test_each_action_does_what_it_says_or_says_why(make, truth):
    one = make(truth.labels_tyx.copy(), metadata={"sam2track": {"parents": dict(truth.parents)}})
    tools, work = TrackTools(one.project), one.project.work
    before = one.layer.data.copy()
    child = min(truth.parents)
    one.project.go_to(child, work.state.places.span(child)[0])
    for name in ACTIONS:
        steps, told = len(work.history.steps), len(one.told)
        if tools.act(name):
            assert len(work.history.steps) == steps + 1
            one.project.undo()
            one.project.set_current(child)
            np.testing.assert_array_equal(one.layer.data, before)
            assert dict(work.state.parents) == dict(truth.parents)
        else:
            assert name in ("split", "gap") and len(one.told) == told + 1


def test_closing_leaves_parents_and_listens_to_nothing(make, truth):
    one = make(truth.labels_tyx.copy(), metadata={"sam2track": {"parents": dict(truth.parents)}})
    one.project.refuse(3, 4)
    folder = one.project.work.folder
    one.project.close()
    assert not folder.exists()
    kept = one.layer.metadata["sam2track"]
    assert kept == {"parents": dict(truth.parents), "refused": [[3, 4]]}
    one.layer.selected_label = 2
    one.layer.paint((0, 5, 5), 1)
    assert not one.project.work.history.can_undo
