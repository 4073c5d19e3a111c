"""Prompts of other programs in the dock: chosen layers, shapes of all kinds, odd features."""

import numpy as np
import pytest

from napari_sam2track.samples import centre_pixels, moving_cells

N = 4


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
    window.until(lambda: dock.setup.found is not None)
    return dock


def begin(window, dock):
    dock.start(False)
    window.until(lambda: dock.project is not None)
    window.settle(300)
    return dock.project


def prompts(project):
    return project.work.annotations.prompts


def box_of(sample, label):
    """Corners of the box round an object on frame 0, as napari has them."""
    ys, xs = np.nonzero(sample.labels_tyx[0] == label)
    y0, x0, y1, x1 = ys.min(), xs.min(), ys.max(), xs.max()
    return np.array([(0, y0, x0), (0, y0, x1), (0, y1, x1), (0, y1, x0)], float)


def test_points_of_micro_sam(window, dock, centres):
    places = [(0, *centres[k]) for k in (1, 2, 3)]
    features = {"label": ["positive"] * 3, "track_id": ["1", "2", "3"], "state": ["track"] * 3}
    layer = window.viewer.add_points(places, features=features, name="point_prompts")
    dock.image.points_choice.set_value(layer)
    project = begin(window, dock)
    assert prompts(project).objects == (1, 2, 3)
    assert "'point_prompts': 3 points, 3 objects (track_id, label); features not used: state" in (
        dock.message.text()
    )


def test_shapes_of_others_are_boxes_and_masks(window, dock, sample):
    layer = window.viewer.add_shapes(name="theirs", ndim=3)
    layer.add_rectangles([box_of(sample, 1)])
    layer.add_ellipses([box_of(sample, 2)])
    dock.image.boxes_choice.set_value(layer)
    project = begin(window, dock)
    found = prompts(project)
    (_, y0, x0), (_, y1, x1) = box_of(sample, 1)[[0, 2]]
    assert found[1, 0].box == (y0, x0, y1, x1)
    mask, truth = found[2, 0].mask.to_frame(140, 160), sample.labels_tyx[0] == 2
    assert (mask & truth).sum() / (mask | truth).sum() > 0.6
    window.until(lambda: (project.plane.read(0) == 2).any())
    np.testing.assert_array_equal(project.plane.read(0) == 2, mask)
    assert "'theirs': 2 shapes, 2 objects (one a shape)" in dock.message.text()


@pytest.mark.parametrize("kind", ["line", "label"])
def test_layers_that_are_no_prompts_are_not_taken_which_stays_said(window, dock, centres, kind):
    if kind == "line":
        layer = window.viewer.add_shapes(
            [[(0, 10, 10), (0, 50, 50)]], shape_type="line", name="theirs"
        )
        dock.image.boxes_choice.set_value(layer)
        words = "shape 0 of 'theirs' is a line, which encloses nothing"
    else:
        layer = window.viewer.add_points(
            [(0, *centres[1])], features={"label": ["maybe"]}, name="theirs"
        )
        dock.image.points_choice.set_value(layer)
        words = "'theirs', row 0: label is 'maybe', neither positive nor negative"
    project = begin(window, dock)
    assert layer not in project.layers
    assert not prompts(project)
    assert f"Not taken: {words}" in dock.message.text()


def test_a_label_that_is_neither_does_not_count_until_it_is(window, dock, centres):
    project = begin(window, dock)
    project.prompts.points.add([(0, *centres[1])])
    window.until(lambda: (1, 0) in prompts(project))
    points = project.prompts.points
    for label, positive in (("maybe", None), ("bg", False), (True, True)):
        features = points.features.copy()
        features["label"] = [label]
        points.features = features
        window.settle(300)
        if positive is None:
            assert not prompts(project)
            assert "does not count: label is 'maybe'" in dock.message.text()
        else:
            assert [p.positive for p in prompts(project)[1, 0].points] == [positive]


def test_a_polygon_is_a_mask_until_something_else_is_said(window, dock, sample, centres):
    project = begin(window, dock)
    boxes = project.prompts.boxes
    boxes.add_polygons([box_of(sample, 1)])
    window.until(lambda: (1, 0) in prompts(project))
    assert prompts(project)[1, 0].mask is not None
    boxes.add_lines([np.array([(0, 5, 5), (0, 20, 20)], float)])
    window.until(lambda: "is a line, which encloses nothing" in dock.message.text())
    assert prompts(project).objects == (1,)
    # a click on the same frame replaces it, and it leaves the layer; the line stays
    project.prompts.points.add([(0, *centres[1])])
    window.until(lambda: bool(prompts(project)[1, 0].points))
    assert prompts(project)[1, 0].mask is None
    assert [str(kind) for kind in boxes.shape_type] == ["line"]
    project.undo()
    window.until(lambda: prompts(project)[1, 0].mask is not None)


def test_painting_replaces_a_polygon(window, dock, sample):
    project = begin(window, dock)
    project.prompts.boxes.add_polygons([box_of(sample, 1)])
    window.until(lambda: (project.plane.read(0) == 1).any())
    drawn = prompts(project)[1, 0].mask.area
    project.labels.selected_label = 1
    project.labels.brush_size = 9
    project.labels.paint((0, *box_of(sample, 1)[0, 1:].astype(int)), 1)
    window.until(lambda: prompts(project)[1, 0].mask.area > drawn)
    window.settle(200)
    assert prompts(project)[1, 0].mask.area > drawn
    assert not len(project.prompts.boxes.data)


def test_labels_with_void_are_taken_with_a_word(window, dock, sample):
    project = begin(window, dock)
    labels = sample.labels_tyx.astype(np.uint8)
    labels[:, :4] = 255
    project.take_layer(window.viewer.add_labels(labels, name="davis"))
    assert 255 in prompts(project).objects
    assert "he value 255 of 'davis' is taken for object 255" in dock.message.text()
