import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage.measure import regionprops

from napari_sam2track.errors import FramesError
from napari_sam2track.labels import ArrayLabels, Scale
from napari_sam2track.params import MeasureParams
from napari_sam2track.samples import moving_cells
from napari_sam2track.tracks.images import image_of, open_image
from napari_sam2track.tracks.measures import measure, measure_frames
from napari_sam2track.tracks.summary import measure_tracks
from napari_sam2track.tracks.tracked_movie import table_of

HUGE = 4_000_000_000
ALL = MeasureParams(shape="all")


@pytest.fixture(scope="module")
def cells():
    """Four frames of cells and two channels; a cell has the largest kind of id, one frame none."""
    sample = moving_cells(4, 90, 110, 4, seed=1)
    labels = sample.labels_tyx.astype(np.uint32)
    labels[labels == 2] = HUGE
    labels[2] = 0
    image = np.stack([sample.images_tyx, sample.images_tyx.max() - sample.images_tyx], axis=-1)
    return ArrayLabels(labels), image


def test_against_scikit_image_object_by_object(cells):
    labels, image = cells
    table = measure(labels, image_of(image, 2), ALL)
    assert table.groupby("t").size().to_dict() == {0: 4, 1: 4, 3: 4}
    for row in table.to_dict("records"):
        t = row["t"]
        mask = (labels.array[t] == row["track_id"]).astype(int)
        (true,) = regionprops(mask, image[t])
        assert row["area"] == true.area
        assert (row["y"], row["x"]) == pytest.approx(true.centroid)
        box = [row[f"bbox_{name}"] for name in ("y0", "x0", "y1", "x1")]
        assert box == list(true.bbox)
        for ours, theirs in (
            ("perimeter", "perimeter"),
            ("axis_major", "axis_major_length"),
            ("axis_minor", "axis_minor_length"),
            ("eccentricity", "eccentricity"),
            ("orientation", "orientation"),
            ("equivalent_diameter", "equivalent_diameter_area"),
            ("solidity", "solidity"),
            ("extent", "extent"),
            ("euler_number", "euler_number"),
        ):
            assert row[ours] == pytest.approx(getattr(true, theirs)), ours
        for channel in (0, 1):
            values = image[t][..., channel][mask > 0].astype(float)
            for name in ("mean", "min", "max", "std", "sum"):
                expected = getattr(values, name)()
                assert row[f"intensity_{name}_{channel}"] == pytest.approx(expected), name


@pytest.mark.parametrize("shape", ["none", "basic", "all"])
@pytest.mark.parametrize("depth", [None, 3])
def test_all_frames_have_the_same_columns(cells, shape, depth):
    labels, image = cells
    array = labels.array if depth is None else np.repeat(labels.array[:, None], depth, axis=1)
    picture = image if depth is None else np.repeat(image[:, None], depth, axis=1)
    parts = list(
        measure_frames(
            ArrayLabels(array),
            image_of(picture, array.ndim - 1),
            MeasureParams(shape=shape),
            Scale(time=2.0, time_unit="second"),
        )
    )
    assert [len(part) for part in parts] == [4, 4, 0, 4]
    assert all(list(part.columns) == list(parts[0].columns) for part in parts)
    assert ("z" in parts[0].columns) == (depth is not None)
    assert ("eccentricity" in parts[0].columns) == (depth is None and shape != "none")
    assert ("solidity" in parts[0].columns) == (depth is None and shape == "all")
    table = pd.concat(parts)
    assert table.notna().all(axis=None)
    assert table.world_t.tolist() == [2 * t for t in table.t]
    if depth:
        assert (table.z == 1).all()


def test_the_size_of_a_pixel(cells):
    labels, _ = cells
    scale = Scale(time=30, y=0.5, x=0.5, time_unit="second", space_unit="micrometer")
    table = measure(labels, scale=scale)
    plain = measure(labels)
    assert not [c for c in plain.columns if c.startswith("world")]
    np.testing.assert_allclose(table.world_area, plain.area / 4)
    np.testing.assert_allclose(table.world_x, plain.x / 2)
    np.testing.assert_allclose(table.world_perimeter, plain.perimeter / 2)
    np.testing.assert_allclose(table.world_axis_major, plain.axis_major / 2)
    oblong = measure(labels, scale=Scale(y=0.5, x=0.25))
    np.testing.assert_allclose(oblong.world_area, plain.area / 8)
    assert "world_perimeter" not in oblong.columns  # a length in pixels is none there


def test_no_objects_at_all():
    table = measure(ArrayLabels(np.zeros((2, 5, 5), np.uint8)), image_of(np.zeros((2, 5, 5)), 2))
    assert len(table) == 0
    assert {"track_id", "perimeter", "intensity_mean_0"} <= set(table.columns)
    empty = measure_tracks(table_of(ArrayLabels(np.zeros((2, 5, 5), np.uint8))))
    assert list(empty.columns)[:3] == ["track_id", "begin", "end"]


def test_images_from_files(cells, tmp_path):
    labels, image = cells
    path = tmp_path / "movie.ome.tif"
    tifffile.imwrite(path, np.moveaxis(image, -1, 1), metadata={"axes": "TCYX"}, ome=True)
    with open_image(path, labels.frame_shape) as opened:
        assert (opened.n_frames, opened.n_channels) == (4, 2)
        pd.testing.assert_frame_equal(measure(labels, opened), measure(labels, image_of(image, 2)))


def test_volumes_from_files(cells, tmp_path):
    labels, image = cells
    deep = np.stack([image[..., 0] + k for k in range(3)], axis=1).astype(np.uint16)
    path = tmp_path / "movie.ome.tif"
    tifffile.imwrite(path, deep, metadata={"axes": "TZYX"}, ome=True)
    volumes = ArrayLabels(np.repeat(labels.array[:, None], 3, axis=1))
    with open_image(path, volumes.frame_shape) as opened:
        table = measure(volumes, opened)
    pd.testing.assert_frame_equal(table, measure(volumes, image_of(deep, 3)))
    flat = measure(labels, image_of(image, 2))
    np.testing.assert_allclose(table.intensity_mean_0, flat.intensity_mean_0 + 1)
    with pytest.raises(FramesError, match="has 3 planes, and the labels have 2"):
        open_image(path, (2, 90, 110))


def test_images_that_do_not_fit(cells, tmp_path):
    labels, image = cells
    with pytest.raises(FramesError, match=r"the image has 3 frames of shape \(90, 110\), and the"):
        measure(labels, image_of(image[:3], 2))
    with pytest.raises(FramesError, match=r"an image of shape \(90, 110\) does not fit"):
        image_of(image[0, ..., 0], 2)
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, image[:, :50, :, 0], photometric="minisblack", metadata={"axes": "TYX"})
    with pytest.raises(FramesError, match="has 110 x 50 pixels, and the labels have 110 x 90"):
        open_image(path, labels.frame_shape)


def test_tracks(small):
    table = small.table()
    tracks = measure_tracks(table).set_index("track_id")
    assert tracks.columns.is_unique
    five = tracks.loc[5]  # 3 frames of 1 pixel each, a gap of 2, and again
    assert (five.begin, five.end, five.n_frames, five.n_missing) == (0, 9, 8, 2)
    assert (five.parent, five.children, five.generation, five.lineage_id) == (0, "", 0, 5)
    assert (five.displacement, five.path_length, five.straightness) == (9, 9, 1)
    assert (five.speed_mean, five.speed_max) == (1, 1)
    assert (five.area_mean, five.area_begin, five.area_end) == (16, 16, 16)
    assert tracks.loc[1, "children"] == "2 3"
    assert (tracks.loc[3, "parent"], tracks.loc[3, "generation"]) == (1, 1)
    assert tracks.loc[3, "lineage_id"] == 1
    two = tracks.loc[2]  # grows by a column a frame, so its middle moves by half a pixel
    assert (two.displacement, two.area_begin, two.area_end) == (2.5, 12, 27)


def test_tracks_in_the_world(small):
    scale = Scale(time=10, y=2.0, x=0.5, time_unit="second", space_unit="micrometer")
    five = measure_tracks(small.table(), scale).set_index("track_id").loc[5]
    assert (five.world_displacement, five.world_path_length) == (4.5, 4.5)
    assert (five.world_speed_mean, five.world_speed_max) == (0.05, 0.05)
    assert "displacement" not in five.index


def test_a_track_that_stays_and_one_of_a_frame():
    array = np.zeros((3, 5, 5), np.uint8)
    array[:, 1, 1] = 1
    array[0, 3, 3] = 2
    tracks = measure_tracks(table_of(ArrayLabels(array))).set_index("track_id")
    assert np.isnan(tracks.loc[1, "straightness"])
    assert (tracks.loc[1, "speed_mean"], tracks.loc[2, "path_length"]) == (0, 0)
    assert np.isnan(tracks.loc[2, "speed_max"])
