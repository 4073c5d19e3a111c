"""Which axis is which, and labels with depth from every container."""

import numpy as np
import pytest
import tifffile

from napari_sam2track.errors import FormatError, FramesError
from napari_sam2track.formats.labels.label_stack import plane_stack
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.frames.axes import resolve_label_layout


@pytest.mark.parametrize(
    ("shape", "axes", "known", "n_frames", "frame_shape"),
    [
        ((6, 7), None, None, 1, (6, 7)),
        ((5, 6, 7), None, None, 5, (6, 7)),
        ((5, 4, 6, 7), None, None, 5, (4, 6, 7)),
        ((1, 4, 6, 7), None, None, 4, (6, 7)),
        ((5, 1, 6, 7), None, None, 5, (6, 7)),
        ((1, 4, 6, 7), "TZYX", None, 1, (4, 6, 7)),
        ((5, 1, 6, 7), "tzyx", None, 5, (1, 6, 7)),
        ((4, 6, 7), "ZYX", None, 1, (4, 6, 7)),
        ((4, 5, 6, 7), "ZTYX", None, 5, (4, 6, 7)),
        ((6, 7, 5), "YXT", None, 5, (6, 7)),
        ((1, 4, 6, 7), None, "TZYX", 1, (4, 6, 7)),
        ((5, 1, 4, 6, 7), None, "TCZYX", 5, (4, 6, 7)),
        ((4, 6, 7), None, "ZYX", 4, (6, 7)),
        ((5, 6, 7), None, "QYX", 5, (6, 7)),
    ],
)
def test_axes(shape, axes, known, n_frames, frame_shape):
    layout = resolve_label_layout(shape, "it", axes=axes, known=known)
    assert (layout.n_frames, layout.frame_shape) == (n_frames, frame_shape)
    array = np.arange(np.prod(shape)).reshape(shape)
    frames = [layout.arrange_labels(array[layout.whole(t)]) for t in range(n_frames)]
    assert all(frame.shape == frame_shape for frame in frames)
    assert np.unique(np.concatenate([f.ravel() for f in frames])).size == array.size
    # rows and columns are where they were said to be
    step = np.array(array.strides)[[layout.y, layout.x]] // array.itemsize
    assert (np.diff(frames[0], axis=-2) == step[0]).all()
    assert (np.diff(frames[0], axis=-1) == step[1]).all()


@pytest.mark.parametrize(
    ("shape", "axes", "known", "message"),
    [
        ((7,), None, None, r"has shape \(7,\): labels need rows"),
        ((0, 6, 7), None, None, "at least one frame"),
        ((2, 3, 4, 6, 7), None, None, r"neither \(T, Y, X\) nor \(T, Z, Y, X\)"),
        ((5, 6, 7), "TZYX", None, "axes 'TZYX' do not fit it of shape"),
        ((5, 6, 7), "TTX", None, "do not fit"),
        ((5, 6, 7), "CYX", None, "labels have T, Z, Y and X"),
        ((5, 6, 7), "TZX", None, "Y and X always"),
        ((5, 3, 6, 7), None, "TCYX", "has axes TCYX of shape .* without channels"),
    ],
)
def test_axes_that_do_not_fit(shape, axes, known, message):
    with pytest.raises(FramesError, match=message):
        resolve_label_layout(shape, "it", axes=axes, known=known)


@pytest.fixture
def volume():
    return np.random.default_rng(1).integers(0, 300, (3, 4, 6, 7)).astype(np.uint16)


def write_hyperstack(path, data):
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "TZYX"})


def write_zipped(path, data):
    tifffile.imwrite(
        path, data, metadata={"axes": "TZYX"}, compression="zlib", photometric="minisblack"
    )


def write_ome(path, data):
    tifffile.imwrite(path, data, metadata={"axes": "TZYX"}, photometric="minisblack")


def write_folder(path, data):
    path.mkdir()
    for t, frame in enumerate(data):
        tifffile.imwrite(path / f"mask{t:03d}.tif", frame, photometric="minisblack")


def write_zarr(path, data):
    import zarr

    zarr.save_array(str(path), data)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.npy", lambda path, data: np.save(path, data)),
        ("a.npz", lambda path, data: np.savez_compressed(path, labels=data)),
        ("a.zarr", write_zarr),
        ("a.tif", write_hyperstack),
        ("b.tif", write_zipped),
        ("a.ome.tif", write_ome),
        ("folder", write_folder),
    ],
)
def test_labels_with_depth(tmp_path, volume, name, write):
    write(tmp_path / name, volume)
    with open_labels(tmp_path / name) as stack:
        assert (stack.n_frames, stack.frame_shape) == (3, (4, 6, 7))
        for t in (2, 0, 1):
            np.testing.assert_array_equal(stack.read(t), volume[t])
        with pytest.raises(FormatError, match=r"has depth .* and a mask prompt needs planes"):
            plane_stack(stack, "a mask prompt")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.tif", "a.zarr"])
def test_axes_that_a_person_gives(tmp_path, volume, name):
    one = volume[0]  # planes, not frames
    write = {"a.npy": np.save, "a.tif": write_folderless, "a.zarr": write_zarr}.get(name, npz)
    write(tmp_path / name, one)
    with open_labels(tmp_path / name) as stack:
        assert (stack.n_frames, stack.frame_shape) == (4, (6, 7))
    with open_labels(tmp_path / name, axes="ZYX") as stack:
        assert (stack.n_frames, stack.frame_shape) == (1, (4, 6, 7))
        np.testing.assert_array_equal(stack.read(0), one)


def npz(path, data):
    np.savez(path, data)


def write_folderless(path, data):
    tifffile.imwrite(path, data, photometric="minisblack")


def test_a_folder_of_planes_and_volumes(tmp_path, volume):
    write_folder(tmp_path / "a", volume)
    tifffile.imwrite(tmp_path / "a" / "mask002.tif", volume[2][:3], photometric="minisblack")
    with pytest.raises(FormatError, match=r"has 7 x 6 x 3 pixels, but mask000\.tif has 7 x 6 x 4"):
        open_labels(tmp_path / "a")


def test_time_that_is_not_first_in_a_zip(tmp_path, volume):
    np.savez(tmp_path / "a.npz", volume)
    with pytest.raises(FormatError, match="its frames are not one after another"):
        open_labels(tmp_path / "a.npz", axes="ZTYX")


def test_depth_is_read_frame_by_frame(tmp_path, monkeypatch):
    """Opening touches no pixels, and a frame only its own."""
    data = np.ones((50, 3, 20, 20), np.uint16)
    write_zipped(tmp_path / "a.tif", data)
    read = []
    page = tifffile.TiffPage.asarray
    frame = tifffile.TiffFrame.asarray
    for kind, original in ((tifffile.TiffPage, page), (tifffile.TiffFrame, frame)):

        def counted(self, *args, _original=original, **kwargs):
            read.append(self.index)
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(kind, "asarray", counted)
    with open_labels(tmp_path / "a.tif") as stack:
        assert read == []
        stack.read(7)
    assert sorted(set(read)) == [21, 22, 23]
