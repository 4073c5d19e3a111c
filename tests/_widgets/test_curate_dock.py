"""Curating tracks in a real window, with real clicks."""

import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_sam2track.samples import dividing_nuclei
from napari_sam2track.samples.lineages import shake

N = 10
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture(scope="module")
def truth():
    """Tracks that are whole, and some that divide."""
    sample = dividing_nuclei(N, 160, n_cells=8, divisions=0.03, seed=4)
    assert sample.parents
    return sample


@pytest.fixture
def dock(window, truth):
    from napari_sam2track._widgets.curate_dock import CurateDock

    metadata = {"sam2track": {"parents": dict(truth.parents)}}
    window.viewer.add_labels(truth.labels_tyx.copy(), name="cells", metadata=metadata)
    made = CurateDock(window.viewer)
    window.viewer.window.add_dock_widget(made, area="right", name="SAM2 Curate tracks")
    window.until(lambda: made.project is not None)
    window.viewer.reset_view()
    window.settle()
    return made


@pytest.fixture
def project(dock):
    return dock.project


def centre(project, track):
    """Some pixel of a track on the frame that is shown."""
    at = np.argwhere(project.plane.read(project.frame) == track)
    return at[np.abs(at - at.mean(axis=0)).sum(axis=1).argmin()]


def whole_tracks(project):
    """Tracks without relatives, on all frames."""
    state = project.work.state
    kin = {*state.parents, *state.parents.values()}
    return [i for i in state.places.ids if state.places.n_frames(i) == N and i not in kin]


def spans(project):
    return project.work.state.places.spans


def test_it_reads_the_layer_and_keeps_its_parents(dock, project, truth):
    assert dict(project.work.state.parents) == dict(truth.parents)
    assert dock.lineage.tree.spans == spans(project)
    assert "tracks" in dock.message.text()


def test_split_merge_and_undo_by_clicks(dock, project, window):
    before = project.labels.data.copy()
    a = whole_tracks(project)[0]
    project.go_to(a, 4)
    window.settle()
    project.labels.mode = "paint"
    dock.edit.choose("split")
    assert project.labels.mode == "pan_zoom" and "split" in dock.edit.words.text().lower()
    window.click(dock, centre(project, a))
    new = max(spans(project))
    assert spans(project)[a] == (0, 3) and spans(project)[new] == (4, N - 1)
    # merge, across frames: the first on frame 0, the second here
    dock.edit.choose("merge")
    project.go_to(None, 0)
    window.click(dock, centre(project, a))
    assert f"becomes part of {a}" in dock.edit.words.text()
    assert project.labels.selected_label == a
    project.go_to(None, 6)
    window.click(dock, centre(project, new))
    np.testing.assert_array_equal(project.labels.data, before)
    assert dock.edit.tools.name == "merge"  # and goes on
    # Esc ends it, and the mode comes back
    window.key(dock, Qt.Key.Key_Escape)
    assert dock.edit.tools.name is None and project.labels.mode == "paint"
    assert not dock.edit.buttons["merge"].isChecked()
    # two steps back and again
    window.key(dock, Qt.Key.Key_Z, CTRL)
    assert new in spans(project)
    window.key(dock, Qt.Key.Key_Z, CTRL)
    assert new not in spans(project)
    window.key(dock, Qt.Key.Key_Z, CTRL | SHIFT)
    assert spans(project)[new] == (4, N - 1)


def test_swap_delete_and_parent_by_clicks(dock, project, window):
    before = project.labels.data.copy()
    a, b, c = whole_tracks(project)[:3]
    project.go_to(a, 5)
    dock.edit.choose("swap")
    window.click(dock, centre(project, a))
    window.click(dock, centre(project, b))
    after = project.labels.data
    np.testing.assert_array_equal(after[5:] == a, before[5:] == b)
    np.testing.assert_array_equal(after[:5], before[:5])
    dock.edit.choose("delete")
    window.click(dock, centre(project, c), SHIFT)
    assert spans(project)[c] == (0, 4)
    # a parent that goes on cannot be: the reason is shown, and nothing changes
    dock.edit.choose("parent")
    window.click(dock, centre(project, a))
    window.click(dock, centre(project, b))
    assert "cannot be the parent" in dock.message.text()
    assert a not in project.work.state.parents
    # one that ended can
    dock.edit.choose("split")
    window.click(dock, centre(project, a))
    new = max(spans(project))
    dock.edit.choose("parent")
    window.click(dock, centre(project, new))
    project.go_to(None, 2)
    window.click(dock, centre(project, c))
    assert project.work.state.parents[new] == c
    assert project.labels.metadata["sam2track"]["parents"][new] == c
    # nothing under the mouse
    window.click(dock, np.argwhere(project.plane.read(2) == 0)[0] + 1)
    assert "no track under the mouse" in dock.message.text()
    for _ in range(4):
        project.undo()
    np.testing.assert_array_equal(project.labels.data, before)


def test_a_drag_moves_the_canvas_and_edits_nothing(dock, project, window):
    before = project.labels.data.copy()
    a = whole_tracks(project)[0]
    project.go_to(a, 4)
    dock.edit.choose("delete")
    y, x = centre(project, a)
    window.drag(dock, (y, x), (y + 20, x + 10), (y + 40, x + 20))
    np.testing.assert_array_equal(project.labels.data, before)


def test_only_our_own_callback_is_removed(dock, project, window):
    def theirs(layer, event):
        """Somebody else's."""

    project.labels.mouse_drag_callbacks.append(theirs)
    n = len(project.labels.mouse_drag_callbacks)
    dock.edit.choose("split")
    assert len(project.labels.mouse_drag_callbacks) == n + 1
    project.labels.mode = "erase"  # a tool of napari's ends ours
    assert dock.edit.tools.name is None and project.labels.mode == "erase"
    assert theirs in project.labels.mouse_drag_callbacks
    assert not [c for c in project.labels.mouse_drag_callbacks if "TrackTools" in repr(c)]


def test_buttons_for_the_current_track(dock, project, window):
    a = whole_tracks(project)[0]
    project.go_to(a, 3)
    window.settle()
    dock.edit.actions_["delete_here"].click()
    assert 3 not in project.work.state.places.frames(a)
    window.until(lambda: "1 missing" in dock.edit.here_label.text())
    dock.edit.actions_["gap"].click()
    assert 3 in project.work.state.places.frames(a)
    dock.edit.actions_["new_id"].click()
    assert a not in spans(project) and project.current == max(spans(project))
    child = min(project.work.state.parents)
    project.set_current(child)
    assert dock.edit.actions_["orphan"].isEnabled()
    dock.edit.actions_["orphan"].click()
    assert child not in project.work.state.parents


def test_painting_is_a_step_too(dock, project, window):
    before = project.labels.data.copy()
    a = whole_tracks(project)[0]
    project.go_to(a, 2)
    window.viewer.layers.selection.active = project.labels
    project.labels.mode = "paint"
    project.labels.brush_size = 5
    y, x = centre(project, a)
    window.drag(dock, (y, x), (y + 14, x + 4), (y + 16, x + 6))
    assert (project.labels.data != before).any()
    area = (project.labels.data[2] == a).sum()
    assert project.work.state.places.area(a, 2) == area
    window.key(dock, Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(project.labels.data, before)


@pytest.fixture
def shuffled(dock, window, truth):
    """Another layer, whose ids agree in no two frames."""
    moved = shake(truth, jumps={5: (6, -4)})
    rng = np.random.default_rng(0)
    labels = np.zeros(truth.labels_tyx.shape, np.uint16)
    for t, frame in enumerate(moved.labels_tyx):
        labels[t] = np.append(0, 1 + rng.permutation(int(moved.labels_tyx.max())))[frame]
    layer = window.viewer.add_labels(labels, name="cellpose")
    dock.labels.set_value(layer)
    window.until(lambda: dock.project is not None and dock.project.labels == layer)
    return moved


def test_linking_labels_and_back(dock, window, shuffled):
    project = dock.project
    before = project.labels.data.copy()
    dock.link.link_button.click()
    assert not dock.edit.isEnabled()
    window.until(lambda: not dock.link.run.active)
    assert "Linked" in dock.link.words.text() and dock.edit.isEnabled()
    for track in np.unique(shuffled.labels_tyx)[1:]:
        there = shuffled.labels_tyx == track
        if there.any(axis=(1, 2)).sum() > 1:
            assert len(np.unique(project.labels.data[there])) == 1
    assert len(project.work.state.parents) == len(shuffled.parents)
    assert project.labels.editable
    project.undo()
    window.until(lambda: not project.work.busy)
    np.testing.assert_array_equal(project.labels.data, before)
    assert not project.work.state.parents


def test_a_cancelled_link_changes_nothing(dock, window, shuffled):
    project = dock.project
    before = project.labels.data.copy()
    dock.link.link()
    dock.link.cancel()
    window.until(lambda: not dock.link.run.active)
    assert "Cancelled" in dock.link.words.text()
    np.testing.assert_array_equal(project.labels.data, before)
    assert not project.work.history.can_undo
    # nor one during which somebody edits
    dock.link.link()
    track = project.work.state.places.ids[0]
    project.edit([_delete(track)], "delete")
    edited = project.labels.data.copy()
    window.until(lambda: not dock.link.run.active)
    assert "changed while they were linked" in dock.message.text()
    np.testing.assert_array_equal(project.labels.data, edited)


def _delete(track):
    from napari_sam2track.tracks.editing.edits import Delete

    return Delete(track)


def test_suspects_go_to_the_place(dock, project, window):
    a, b = whole_tracks(project)[:2]
    from napari_sam2track.tracks.editing.edits import Delete, Swap

    project.edit([Swap(a, b, 5)], "spoil")
    project.edit([Delete(whole_tracks(project)[2], 4, 4)], "spoil")
    dock.suspects.find_button.click()
    window.until(lambda: dock.suspects.job is None)
    found = dock.suspects.suspects
    assert {(s.track, s.frame) for s in found} >= {(a, 5), (b, 5)}
    assert len(dock.suspects.table.rows()) == len(found)
    dock.suspects.next()
    assert (project.current, project.frame) == (found[0].track, found[0].frame)
    at = next(k for k, s in enumerate(found) if (s.track, s.frame) == (b, 5))
    dock.suspects.table.chosen.emit(at)
    assert (project.current, project.frame) == (b, 5)
    assert f"Track {b}, frame 5: " in dock.suspects.reason.text()
    # edits make theirs old
    project.edit([Swap(a, b, 5)], "mend")
    window.until(lambda: any(row.old for row in dock.suspects.table.rows()))
    for row, suspect in zip(dock.suspects.table.rows(), dock.suspects.suspects, strict=True):
        assert row.old == (suspect.track in (a, b))
    n = len(found)
    dock.suspects.table.select(0)
    dock.suspects.dismiss()
    assert (
        len(dock.suspects.suspects) == n - 1 and f"{n - 1} suspects" in dock.suspects.words.text()
    )


def test_the_tree_goes_to_the_track_and_follows_edits(dock, project, window):
    child = min(project.work.state.parents)
    begin, _ = spans(project)[child]
    dock.lineage.tree.clicked.emit(child, begin)
    assert (project.current, project.frame) == (child, begin)
    a = whole_tracks(project)[0]
    project.go_to(a, 5)
    dock.edit.tools.act("split")
    window.until(lambda: dock.lineage.tree.spans == spans(project))


def test_the_tracks_layer_follows_and_stays_away_once_deleted(dock, project, window, truth):
    viewer = window.viewer
    dock.lineage.layer_box.click()
    layer = viewer.layers["cells [tracks]"]
    assert {c: p[0] for c, p in layer.graph.items()} == dict(truth.parents)
    assert set(layer.data[:, 0].astype(int)) == set(spans(project))
    assert tuple(layer.scale) == tuple(project.labels.scale)
    a = whole_tracks(project)[0]
    colour = layer.track_colors[layer.data[:, 0] == a][0]
    np.testing.assert_allclose(colour[:3], project.labels.get_color(a)[:3], atol=0.01)
    layer.color_by = "generation"
    project.go_to(a, 5)
    dock.edit.tools.act("split")
    window.until(lambda: set(layer.data[:, 0].astype(int)) == set(spans(project)))
    assert layer.color_by == "generation" and len(layer.graph) == len(truth.parents)
    child = min(project.work.state.parents)
    project.set_current(child)
    dock.edit.tools.act("orphan")
    window.until(lambda: child not in layer.graph)
    viewer.layers.remove("cells [tracks]")
    assert not dock.lineage.layer_box.isChecked()
    project.undo()
    window.settle(500)
    assert "cells [tracks]" not in viewer.layers


def test_divisions_are_found_accepted_and_refused(dock, window, truth):
    labels = truth.labels_tyx.copy()
    layer = window.viewer.add_labels(labels, name="no parents")
    dock.labels.set_value(layer)
    window.until(lambda: dock.project is not None and dock.project.labels == layer)
    project = dock.project
    dock.divisions.find_button.click()
    window.until(lambda: bool(dock.divisions.candidates) and dock.divisions.job is None)
    found = dock.divisions.candidates
    mothers = set(truth.parents.values())
    assert {c.parent for c in found} & mothers
    k = next(k for k, c in enumerate(found) if c.parent in mothers)
    chosen = found[k]
    dock.divisions.table.chosen.emit(k)
    assert (project.current, project.frame) == (chosen.parent, chosen.frame)
    dock.divisions.accept_button.click()
    assert {c for c, p in project.work.state.parents.items() if p == chosen.parent} == {
        c for c, p in truth.parents.items() if p == chosen.parent
    }
    assert chosen.parent not in {c.parent for c in dock.divisions.candidates}
    project.undo()
    assert not project.work.state.parents
    window.until(lambda: chosen.parent in {c.parent for c in dock.divisions.candidates})
    k = [c.parent for c in dock.divisions.candidates].index(chosen.parent)
    dock.divisions.go_to(k)
    dock.divisions.refuse()
    assert chosen.parent not in {c.parent for c in dock.divisions.candidates}
    # remembered
    dock.labels.set_value(window.viewer.layers["cells"])
    dock.labels.set_value(window.viewer.layers["no parents"])
    window.until(lambda: dock.project is not None and dock.project.labels == layer)
    assert (chosen.parent, chosen.frame) in dock.project.refused


def test_parents_of_a_tracks_layer(dock, project, window, truth):
    dock.lineage.layer_box.click()
    tracks = window.viewer.layers["cells [tracks]"]
    for child in list(project.work.state.parents):
        project.set_current(child)
        dock.edit.tools.act("orphan")
    layer = window.viewer.add_tracks(tracks.data, graph=dict(truth.parents), name="theirs")
    dock.parents.set_value(layer)
    dock.take_parents()
    assert dict(project.work.state.parents) == dict(truth.parents)


def test_what_cannot_be_worked_on_says_why(dock, window):
    flat = np.zeros((4, 5, 6), np.uint8)
    flat.flags.writeable = False
    layer = window.viewer.add_labels(flat, name="read only")
    dock.labels.set_value(layer)
    assert dock.project is None and "cannot be written to" in dock.message.text()
    assert not dock.edit.isEnabled()


def test_volumes(dock, window):
    labels = np.zeros((4, 5, 40, 40), np.int32)
    labels[:2, 1:4, 5:15, 5:15] = 3
    labels[2:, 1:4, 20:30, 20:30] = 7
    layer = window.viewer.add_labels(labels, name="volumes", scale=(1, 2, 0.5, 0.5))
    dock.labels.set_value(layer)
    window.until(lambda: dock.project is not None and dock.project.labels == layer)
    project = dock.project
    project.go_to(7, 3)
    assert window.viewer.dims.point[:2] == (3, 4)
    from napari_sam2track.tracks.editing.edits import Merge

    project.edit([Merge(3, 7)], "merge")
    assert spans(project) == {3: (0, 3)}
    dock.lineage.layer_box.click()
    assert window.viewer.layers["volumes [tracks]"].data.shape == (4, 5)
    project.undo()
    assert spans(project) == {3: (0, 1), 7: (2, 3)}


def test_closing_gives_all_back(dock, project, window):
    layer = project.labels
    dock.edit.choose("merge")
    dock.suspects.find()
    window.viewer.window.remove_dock_widget(dock)
    window.until(lambda: not project.is_open)
    modules = [getattr(c, "__module__", "") for c in layer.mouse_drag_callbacks]
    assert not [name for name in modules if name.startswith("napari_sam2track")]
    assert not [t for t in threading.enumerate() if t.name.startswith("sam2track")]
    layer.mode = "paint"
    layer.paint((0, 5, 5), 1)  # nobody listens
    layer.selected_label = 3
    window.viewer.dims.set_point(0, 3)
    assert layer.metadata["sam2track"]["parents"]


def test_deleting_the_layer_goes_on_with_another(dock, project, window):
    other = window.viewer.add_labels(np.ones((2, 8, 8), np.uint8), name="other")
    window.viewer.layers.remove("cells")
    window.until(lambda: dock.project is not None and dock.project.labels == other)
    assert not project.is_open
    window.viewer.layers.remove("other")
    window.until(lambda: dock.project is None)
    assert "Choose a Labels layer" in dock.message.text()


def test_labels_that_are_replaced_are_read_again(dock, project, window):
    project.labels.data = np.ones((3, 8, 8), np.uint8)
    window.until(lambda: dock.project is not None and dock.project is not project)
    assert spans(dock.project) == {1: (0, 2)}


@pytest.fixture
def both(window):
    """Cells that SAM2 follows, in both docks."""
    from napari_sam2track._widgets.curate_dock import CurateDock
    from napari_sam2track._widgets.segment_dock import SegmentDock
    from napari_sam2track.samples import centre_pixels, moving_cells

    sample = moving_cells(6, 140, 160, n_cells=4, seed=3)
    window.viewer.add_image(sample.images_tyx, name="cells")
    track, tracks = SegmentDock(window.viewer), CurateDock(window.viewer)
    window.viewer.window.add_dock_widget(track, area="right", name="SAM2 Segment and follow")
    window.viewer.window.add_dock_widget(tracks, area="right", name="SAM2 Curate tracks")
    window.until(lambda: track.setup.found is not None)
    track.start(False)
    window.until(lambda: track.project is not None)
    window.viewer.reset_view()
    window.settle()
    track.project.go_to(None, 0)
    places = centre_pixels(sample.labels_tyx[0])
    for i in (1, 2):
        track.project.set_current(i)
        window.click(track, places[i])
        window.until(lambda i=i: bool((track.project.plane.read(0) == i).any()))
    track.project.propagate()
    window.until(lambda: not track.project.status.active and track.project.status.done == 12)
    return track, tracks


def test_both_docks_share_one_history_and_prompts_follow(both, window):
    track, tracks = both
    project = track.project
    assert tracks.project is project
    project.go_to(1, 3)
    tracks.edit.choose("split")
    window.click(tracks, centre(project, 1))
    assert spans(project)[3] == (3, 5)
    assert set(project.work.annotations.prompts.of_object(3)) == {3}
    project.propagate()
    window.until(lambda: not project.status.active and project.work.stale() == {})
    assert spans(project)[1] == (0, 2) and spans(project)[3] == (3, 5)
    for _ in range(5):
        if 3 not in spans(project):
            break
        window.key(tracks, Qt.Key.Key_Z, CTRL)
        window.until(lambda: not project.work.busy)
    assert spans(project) == {1: (0, 5), 2: (0, 5)}


def test_linking_what_sam2_followed_keeps_its_ids(both, window):
    track, tracks = both
    project = track.project
    project.work.edit([_swap(1, 2, 3)], "spoil")
    tracks.link.link()
    window.until(lambda: not tracks.link.run.active)
    assert spans(project) == {1: (0, 5), 2: (0, 5)}
    linked = [project.plane.read(t) for t in range(6)]
    project.propagate()
    window.until(lambda: not project.status.active)
    for t in range(6):
        np.testing.assert_array_equal(project.plane.read(t), linked[t])


def test_the_work_that_is_closed_leaves_labels_to_edit(both, window):
    track, tracks = both
    project = track.project
    project.go_to(1, 3)
    tracks.edit.tools.act("split")
    from napari_sam2track.tracks.editing.edits import SetParent

    project.edit([SetParent(3, 1)], "parent")
    layer = project.labels
    track.close_work()
    window.until(lambda: tracks.project is not None and tracks.project is not project)
    assert tracks.project.labels == layer and dict(tracks.project.work.state.parents) == {3: 1}
    # and work that begins on such labels is that of both docks, and has their parents
    known = {"sam2track": {"parents": {3: 1}}}
    layer = window.viewer.add_labels(np.array(layer.data), name="mine", metadata=known)
    tracks.labels.set_value(layer)
    window.until(lambda: tracks.project is not None and tracks.project.labels == layer)
    window.until(lambda: track.setup.found is not None)
    track.image.labels_choice.set_value(layer)
    track.start(False)
    window.until(lambda: track.project is not None and tracks.project is track.project)
    assert dict(tracks.project.work.state.parents) == {3: 1}


def _swap(a, b, t):
    from napari_sam2track.tracks.editing.edits import Swap

    return Swap(a, b, t)
