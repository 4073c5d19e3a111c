import numpy as np

from napari_sam2track._napari.sample_data import moving_cells_layers


def test_the_layers_have_what_napari_shows():
    (images, image, kind), (labels, truth, truth_kind) = moving_cells_layers()
    assert (kind, truth_kind) == ("image", "labels")
    assert images.shape == labels.shape
    assert images.dtype == np.uint16
    low, high = image["contrast_limits"]
    assert images.min() <= low < high <= images.max()
    assert image["axis_labels"] == truth["axis_labels"] == ("t", "y", "x")


def test_napari_opens_it(viewer):
    viewer.open_sample("napari-sam2track", "moving_cells")
    image, truth = viewer.layers
    assert [image.name, truth.name] == ["Moving cells", "Moving cells: truth"]
    assert [type(layer).__name__ for layer in (image, truth)] == ["Image", "Labels"]
    assert image.data.shape == truth.data.shape
    assert tuple(image.axis_labels) == ("t", "y", "x")
    assert viewer.dims.nsteps == image.data.shape
    assert len(np.unique(truth.data[0])) > 5
