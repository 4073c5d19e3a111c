import re
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.labels.label_stack import as_labels, from_arrays
from napari_sam2track.formats.labels.open_labels import open_labels


@pytest.fixture
def movie():
    labels = np.random.default_rng(0).integers(0, 5, (4, 6, 9)).astype(np.uint16)
    labels[0, 0, 0] = 60_000
    return labels


def write_tiff(path, movie):
    tifffile.imwrite(path, movie, compression="zlib", photometric="minisblack")


def write_careless_tiff(path, movie):
    with pytest.warns(DeprecationWarning, match="stored as RGB"):  # four frames, four colours
        tifffile.imwrite(path, movie, compression="zlib")


def write_imagej(path, movie):
    tifffile.imwrite(path, movie, imagej=True, metadata={"axes": "TYX"})


def write_pages(path, movie):
    for frame in movie:
        tifffile.imwrite(path, frame, append=True)


def write_tif_folder(path, movie):
    path.mkdir()
    (path / "notes.txt").write_text("1 0 3 0\n")
    (path / ".hidden_9.tif").write_bytes(b"")
    for t, frame in enumerate(movie):
        tifffile.imwrite(path / f"cell2_{t + 8}.tif", frame)  # natural order: 8, 9, 10, 11


def write_ctc(path, movie):
    path.mkdir()
    (path / "man_track.txt").write_text("1 0 3 0\n")
    for t, frame in enumerate(movie):
        tifffile.imwrite(path / f"man_track{t:03d}.tif", frame)
        tifffile.imwrite(path / f"t{t:03d}.tif", frame[:2])  # raw images beside them


def write_png_folder(path, movie):
    path.mkdir()
    for t, frame in enumerate(movie):
        Image.fromarray(frame).save(path / f"mask_{t:04d}.png")


def write_npz(path, movie):
    np.savez_compressed(path, images=np.zeros(3), labels=movie)


def write_zarr(path, movie):
    import zarr

    array = zarr.create_array(
        str(path), shape=movie.shape, chunks=(1, *movie.shape[1:]), dtype=movie.dtype
    )
    array[:] = movie


def write_ome_zarr_image(path, movie):
    import zarr

    group = zarr.create_group(str(path))
    group.create_array("0", shape=(4, 1, 6, 9), dtype="uint8")
    cells = group.create_group("labels/cells")
    scales = [{"path": "0"}]
    cells.attrs["ome"] = {
        "version": "0.5",
        "image-label": {},
        "multiscales": [{"datasets": scales}],
    }
    cells.create_array("0", shape=(4, 1, 6, 9), dtype=movie.dtype)[:] = movie[:, None]


KINDS = {
    "a.tif": write_tiff,
    "careless.tif": write_careless_tiff,
    "imagej.tif": write_imagej,
    "pages.tiff": write_pages,
    "tifs": write_tif_folder,
    "ctc": write_ctc,
    "pngs": write_png_folder,
    "a.npy": np.save,
    "a.npz": write_npz,
    "a.zarr": write_zarr,
    "image.zarr": write_ome_zarr_image,
    "nosuffix": write_zarr,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_reads_the_same(tmp_path, movie, name):
    KINDS[name](tmp_path / name, movie)
    with open_labels(tmp_path / name) as stack:
        assert (stack.n_frames, stack.height, stack.width) == (4, 6, 9)
        for t in (2, 0, 3, 1):  # not only in order
            frame = stack.read(t)
            assert frame.dtype == np.uint32
            np.testing.assert_array_equal(frame, movie[t])
        first = 8 if name == "tifs" else 0
        assert list(stack.frame_numbers) == list(range(first, first + 4))
        assert len({stack.frame_name(t) for t in range(4)}) == 4


def test_a_stack_that_nobody_closes_leaves_no_open_file(tmp_path, movie):
    import gc

    write_tiff(tmp_path / "a.tif", movie)
    stack = open_labels(tmp_path / "a.tif")
    stack.read(0)
    del stack
    gc.collect()  # an open file would be a ResourceWarning, which is an error here


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy"])
def test_a_single_image_is_a_movie_of_one_frame(tmp_path, movie, name):
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, movie[0])
    elif name == "a.tif":
        tifffile.imwrite(path, movie[0])
    else:
        Image.fromarray(movie[0]).save(path)
    with open_labels(path) as stack:
        assert stack.n_frames == 1
        np.testing.assert_array_equal(stack.read(0), movie[0])


def test_a_palette_gives_its_indices(tmp_path):
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(indices, mode=None)
    image = image.convert("P")
    image.putpalette([255, 0, 0] * 256)
    image.putdata(indices.ravel().tolist())
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(open_labels(tmp_path / "a.png").read(0), indices)


def refused(path, message):
    with pytest.raises(FormatError, match=message):
        open_labels(path)


def test_missing_frames_are_listed(tmp_path, movie):
    write_tif_folder(tmp_path / "m", movie)
    (tmp_path / "m" / "cell2_9.tif").unlink()
    refused(tmp_path / "m", "frames 8 to 11, but 9 is missing")
    tifffile.imwrite(tmp_path / "m" / "cell2_40.tif", movie[0])
    refused(tmp_path / "m", "but 9, 12, 13, 14, 15, 16, 17, 18, 19, 20 and 19 more are missing")


def test_two_files_of_one_frame(tmp_path, movie):
    write_tif_folder(tmp_path / "m", movie)
    tifffile.imwrite(tmp_path / "m" / "other_9.tif", movie[0])
    refused(tmp_path / "m", r"cell2_9.tif and other_9.tif in .* are both frame 9")


def test_a_file_without_a_number(tmp_path, movie):
    write_tif_folder(tmp_path / "m", movie)
    tifffile.imwrite(tmp_path / "m" / "all.tif", movie[0])
    refused(tmp_path / "m", r"all.tif has no frame number in its name")


def test_sizes_that_differ_name_the_file(tmp_path, movie):
    write_tif_folder(tmp_path / "m", movie)
    tifffile.imwrite(tmp_path / "m" / "cell2_12.tif", movie[0, :5])
    refused(tmp_path / "m", r"cell2_12.tif has 9 x 5 pixels, but cell2_8.tif has 9 x 6")


def test_pages_that_differ_are_named(tmp_path, movie):
    write_pages(tmp_path / "a.tif", movie)
    tifffile.imwrite(tmp_path / "a.tif", movie[0, :5], append=True)
    refused(tmp_path / "a.tif", r"page 4 of .* has 9 x 5 pixels")


def test_nothing_there(tmp_path):
    refused(tmp_path / "nowhere", "nowhere does not exist")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no TIFF or PNG files")


def test_colours_are_refused(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    refused(tmp_path / "a.png", r"colour image \(RGB\)")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 4, 3), np.uint8), photometric="rgb")
    refused(tmp_path / "a.tif", r"colour image \(3 samples")


def test_several_channels_are_refused(tmp_path):
    data = np.zeros((3, 2, 8, 8), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, metadata={"axes": "TCYX"}, photometric="minisblack")
    refused(tmp_path / "a.tif", "axes TCYX of shape")
    np.save(tmp_path / "a.npy", data[None, [0, 1]])
    with open_labels(tmp_path / "a.npy") as stack:  # time and depth, for all we know
        assert (stack.n_frames, stack.frame_shape) == (2, (2, 8, 8))
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 2, 8, 8), np.uint16))
    refused(tmp_path / "a.npy", r"shape \(2, 3, 2, 8, 8\), which is neither \(T, Y, X\) nor")


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy", "a.npz"])
def test_rubbish_is_not_an_image(tmp_path, name):
    (tmp_path / name).write_bytes(b"rubbish" * 9)
    refused(tmp_path / name, "cannot be read as (TIFF|an image|a numpy array|an .npz)")


def test_a_zarr_without_arrays(tmp_path):
    import zarr

    zarr.create_group(str(tmp_path / "a.zarr"))
    refused(tmp_path / "a.zarr", "holds nothing, not one image; open one of its arrays")
    (tmp_path / "b.zarr").mkdir()
    refused(tmp_path / "b.zarr", "cannot be read as zarr")


def test_two_sets_of_labels(tmp_path):
    import zarr

    group = zarr.create_group(str(tmp_path / "a.zarr"))
    for name in ("cells", "nuclei"):
        group.create_group(f"labels/{name}")
    refused(tmp_path / "a.zarr", "holds the labels cells, nuclei; give one of them")


def test_an_npz_in_which_it_is_not_clear(tmp_path, movie):
    np.savez(tmp_path / "a.npz", a=movie, b=movie)
    refused(tmp_path / "a.npz", "holds a, b; name the one")
    np.savez(tmp_path / "c.npz", labels=np.array([{}]))
    refused(tmp_path / "c.npz", "Python objects")
    np.savez(tmp_path / "d.npz", labels=np.asfortranarray(movie))
    refused(tmp_path / "d.npz", "Fortran")


def test_other_suffixes(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    refused(tmp_path / "a.jpg", "is a JPEG or WebP, which changes values")
    (tmp_path / "a.xyz").write_bytes(b"")
    refused(tmp_path / "a.xyz", "give a TIFF or PNG")


def test_a_frame_that_is_cut_off_is_named(tmp_path, movie):
    rng = np.random.default_rng(0)
    write_tiff(tmp_path / "a.tif", rng.integers(0, 60_000, (4, 60, 90)).astype(np.uint16))
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[:-9000])
    with (
        pytest.raises(FormatError, match=r"a\.tif is cut short: it says 4 images, and only"),
        open_labels(tmp_path / "a.tif") as stack,
    ):
        stack.read(3)


def write_bigtiff_pages(path, movie):
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for page in movie:
            writer.write(page, compression="zlib", metadata=None, photometric="minisblack")


def write_plain(path, movie):
    tifffile.imwrite(path, movie, metadata=None, photometric="minisblack")


def write_in_a_folder(path, movie):
    path.mkdir()
    write_planes(path / "m1.tif", movie)


def write_planes(path, movie):
    tifffile.imwrite(
        path, movie, compression="zlib", metadata={"axes": "ZYX"}, photometric="minisblack"
    )


@pytest.mark.parametrize(
    "write",
    [
        *(write_tiff, write_imagej, write_pages, write_bigtiff_pages, write_plain, write_planes),
        write_in_a_folder,
    ],
)
@pytest.mark.parametrize("part", [0.35, 0.65])
def test_a_tiff_that_is_cut_off_is_not_a_shorter_movie(tmp_path, write, part):
    movie = np.random.default_rng(0).integers(0, 60_000, (10, 30, 40)).astype(np.uint16)
    write(tmp_path / "a.tif", movie)
    path = next((tmp_path / "a.tif").glob("*"), tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    refused(tmp_path / "a.tif", r"\.tif is cut short: .*; copy or export it again")


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.zarr"])
def test_ids_of_32_bits_in_either_byte_order(tmp_path, name):
    labels = np.random.default_rng(0).integers(0, 2**32, (5, 6, 7), np.uint32)
    write = {"a.npy": np.save, "a.tif": write_big_endian, "a.zarr": write_zarr}[name]
    write(tmp_path / name, labels.astype(">u4") if name == "a.npy" else labels)
    with open_labels(tmp_path / name) as stack:
        np.testing.assert_array_equal([stack.read(t) for t in range(5)], labels)


def write_big_endian(path, movie):
    tifffile.imwrite(path, movie, byteorder=">", photometric="minisblack")


def test_time_as_the_last_axis(tmp_path, movie):
    np.save(tmp_path / "a.npy", movie.transpose(1, 2, 0))
    with open_labels(tmp_path / "a.npy", axes="YXT") as stack:
        np.testing.assert_array_equal(stack.read(3), movie[3])
    write_tiff(tmp_path / "a.tif", movie.transpose(1, 2, 0))
    with open_labels(tmp_path / "a.tif", axes="YXT") as stack:
        np.testing.assert_array_equal(stack.read(3), movie[3])


def test_a_folder_is_read_anew(tmp_path, movie):
    """What changes while it is open is not remembered as it was."""
    write_tif_folder(tmp_path / "m", movie)
    stack = open_labels(tmp_path / "m")
    np.testing.assert_array_equal(stack.read(1), movie[1])
    tifffile.imwrite(tmp_path / "m" / "cell2_9.tif", movie[2])
    np.testing.assert_array_equal(stack.read(1), movie[2])


def test_an_npz_that_is_damaged(tmp_path, movie):
    write_npz(tmp_path / "a.npz", np.random.default_rng(0).integers(0, 99, (4, 99, 99)))
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        at = archive.getinfo("labels.npy").header_offset + 20_000
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[at : at + 99] = bytes(99)
    (tmp_path / "a.npz").write_bytes(bytes(data))
    stack = open_labels(tmp_path / "a.npz")
    with pytest.raises(FormatError, match=r"frame \d of a.npz\[labels\]"):
        for t in range(4):
            stack.read(t)
    stack.close()


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_labels(dtype):
    values = np.array([[0, 1], [1, 0]]).astype(dtype)
    labels = as_labels(values, "a")
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(labels, values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.5]], "a holds fractions or NaN (float64)"),
        ([[np.nan]], "fractions or NaN"),
        ([[np.inf]], "fractions or NaN"),
        ([[-3]], "a holds the negative value -3"),
        ([[2**32]], "a holds the value 4294967296, over the largest id"),
        ([[1e12]], "a holds the value 1000000000000, over"),
        ([[1j]], "a holds complex128, which cannot be labels"),
        ([1, 2], "a has shape (2,), not (Y, X)"),
    ],
)
def test_what_cannot_be_labels_is_refused(values, message):
    with pytest.raises(FormatError, match=re.escape(message)):
        as_labels(np.array(values), "a")


def test_float32_holds_the_next_value_in_place_of_the_largest_id():
    with pytest.raises(FormatError, match="a holds the value 4294967296, over the largest id"):
        as_labels(np.array([[2**32 - 1]], np.float32), "a")


def test_the_largest_id_is_kept():
    assert as_labels(np.array([[2**32 - 1]]), "a")[0, 0] == 2**32 - 1


def test_arrays_of_different_sizes_are_found_when_they_are_read():
    stack = from_arrays([np.zeros((2, 3), int), np.zeros((3, 3), int)], "layer")
    with pytest.raises(FormatError, match="frame 1 of layer has 3 x 3 pixels, but frame 0"):
        stack.read(1)
    with pytest.raises(FormatError, match="layer holds no label images"):
        from_arrays([], "layer")


def test_real_cells(shared_data):
    with open_labels(shared_data / "cellseg" / "data_small.npz") as stack:
        assert (stack.n_frames, stack.height, stack.width) == (10, 234, 234)
        assert stack.read(9).max() > 5
    with open_labels(shared_data / "bacteria" / "01_GT" / "TRA") as stack:
        assert (stack.n_frames, stack.height, stack.width) == (30, 424, 520)
        assert stack.read(29).max() > 30
