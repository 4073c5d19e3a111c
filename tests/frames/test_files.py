"""Files: TIFF of every flavour, folders, zarr, npy, and what is wrong with them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import Frames, open_frames
from napari_sam2track.frames.mapped import MappedArray
from napari_sam2track.frames.pages import PagedArray


def movie(*shape: int, dtype: str = "u1") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


def grey(image_yx: np.ndarray) -> np.ndarray:
    return np.repeat(image_yx[..., None], 3, axis=2)


def array_behind(frames: Frames) -> Any:
    return frames.source._array  # type: ignore[attr-defined]


# --- TIFF -----------------------------------------------------------------------------------------

PLAIN = {"photometric": "minisblack"}
FLAVOURS: dict[str, dict[str, Any]] = {
    "mapped": {},
    "big endian": {"byteorder": ">"},
    "imagej": {"imagej": True, "metadata": {"axes": "TYX"}},
    "imagej z": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ome": {"ome": True, "metadata": {"axes": "TYX"}},
    "deflate": {"compression": "zlib"},
    "lzw predictor": {"compression": "lzw", "predictor": True},
    "tiled": {"tile": (16, 16)},
    "tiled zstd ome": {
        **{"tile": (16, 16), "compression": "zstd", "ome": True},
        "metadata": {"axes": "TYX"},
    },
    "plain": {"metadata": None},
    "strips": {"rowsperstrip": 5, "compression": "lzw"},
    "imagej deflate": {"imagej": True, "metadata": {"axes": "TYX"}, "compression": "zlib"},
}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_tiff_flavours(tmp_path: Path, flavour: str, dtype: str) -> None:
    array = movie(7, 37, 41, dtype=dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, **PLAIN, **FLAVOURS[flavour])
    with open_frames(path, intensity="0,255") as frames:
        assert (frames.n_frames, frames.height, frames.width) == array.shape
        assert frames.name == "a.tif"
        for t in (0, 6, 3):
            np.testing.assert_array_equal(frames.read(t), grey(array[t].astype("u1")))
        cut = frames.read_window(3, 5, 20, 7, 40)
        np.testing.assert_array_equal(cut, grey(array[3, 5:20, 7:40].astype("u1")))
        assert frames.fingerprint() == open_frames(array).fingerprint()


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["imagej", "ome", "shaped"])
def test_tiff_channels(tmp_path: Path, kind: str, compression: str | None) -> None:
    array = movie(4, 5, 20, 30)  # TCYX
    path = tmp_path / "a.tif"
    options = {} if kind == "shaped" else {kind: True}
    tifffile.imwrite(
        path, array, **PLAIN, **options, metadata={"axes": "TCYX"}, compression=compression
    )
    with open_frames(path, channel="3,0,4") as frames:
        assert frames.n_frames == 4
        np.testing.assert_array_equal(frames.read(2), array[2, [3, 0, 4]].transpose(1, 2, 0))


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_colours(tmp_path: Path, planar: str, compression: str | None) -> None:
    array = movie(4, 20, 30, 3, dtype="u2")
    stored = array if planar == "contig" else array.transpose(0, 3, 1, 2)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, compression=compression)
    with open_frames(path, intensity="0,255") as frames:
        np.testing.assert_array_equal(frames.read(2), array[2].astype("u1"))


def test_tiff_time_and_depth(tmp_path: Path) -> None:
    array = movie(4, 5, 20, 30)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(FramesError, match=r"a\.tif has both time and depth .* z=0 to z=4"):
        open_frames(path)
    with open_frames(path, z=2) as frames:
        np.testing.assert_array_equal(frames.read(3), grey(array[3, 2]))
    with pytest.raises(FramesError, match=r"axes 'TYX' for a\.tif names 3 axes, but .* has 4"):
        open_frames(path, axes="TYX")


def test_tiff_axes_of_length_one_may_be_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, movie(4, 1, 1, 20, 30), ome=True, metadata={"axes": "TCZYX"}, **PLAIN)
    assert open_frames(path).n_frames == 4
    assert open_frames(path, axes="TCZYX").n_frames == 4
    assert open_frames(path, axes="ZYX").n_frames == 4


def test_tiff_of_one_page(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, movie(20, 30), compression="zlib")
    with open_frames(path) as frames:
        assert frames.n_frames == 1
        np.testing.assert_array_equal(frames.read(0), grey(movie(20, 30)))


def test_tiff_pyramids_are_read_at_full_size(tmp_path: Path) -> None:
    array = movie(3, 64, 64)
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(array, subifds=1, tile=(32, 32), metadata={"axes": "TYX"}, **PLAIN)
        writer.write(array[:, ::2, ::2], subfiletype=1, tile=(32, 32), **PLAIN)
    with open_frames(path) as frames:
        np.testing.assert_array_equal(frames.read(2), grey(array[2]))


def test_ome_tiff_in_several_files(tmp_path: Path) -> None:
    array = movie(3, 20, 30)
    names = [f"t{t}.ome.tif" for t in range(3)]
    uuids = [f"urn:uuid:00000000-0000-0000-0000-00000000000{t}" for t in range(3)]
    data = "".join(
        f'<TiffData FirstT="{t}" IFD="0" PlaneCount="1"><UUID FileName="{names[t]}">{uuids[t]}'
        "</UUID></TiffData>"
        for t in range(3)
    )
    for t, name in enumerate(names):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns='
            '"http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{uuids[t]}"><Image ID="Image:0"><Pixels ID="Pixels:0" Type="uint8" '
            'DimensionOrder="XYZCT" SizeX="30" SizeY="20" SizeZ="1" SizeC="1" SizeT="3">'
            f'<Channel ID="Channel:0:0"/>{data}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / name, array[t], description=xml, metadata=None)
    with open_frames(tmp_path / names[0]) as frames:
        for t in (2, 0, 1):
            np.testing.assert_array_equal(frames.read(t), grey(array[t]))


@pytest.mark.parametrize("shape", [(5, 20, 30), (5, 20, 30, 3)])
def test_images_that_were_appended_are_frames(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "a.tif"
    for image in movie(*shape):
        tifffile.imwrite(path, image, append=True)
    with open_frames(path) as frames:
        assert frames.n_frames == 5
        for t in (3, 0):
            np.testing.assert_array_equal(frames.read(t), open_frames(movie(*shape)).read(t))
    tifffile.imwrite(path, movie(5, 5), append=True)  # a thumbnail, or another thing
    with open_frames(path) as frames:
        assert frames.n_frames == 5
        assert frames.notes == ("1 picture of another size is beside the movie, and not used",)


def test_uncompressed_tiff_is_mapped(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", movie(7, 20, 30))
    assert isinstance(array_behind(open_frames(tmp_path / "a.tif")), MappedArray)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_stack_is_never_held(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    frame = np.tile(np.arange(512, dtype=np.uint16), (512, 1))  # 0.5 MB
    tifffile.imwrite(
        path, (frame for _ in range(100)), shape=(100, 512, 512), dtype="u2",
        compression=compression, **PLAIN,
    )  # fmt: skip
    tracemalloc.start()
    with open_frames(path) as frames:
        for t in range(100):
            frames.read(t)
            frames.read_window(t, 0, 10, 0, 10)
        held = tracemalloc.get_traced_memory()[0]
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 5e6
    assert peak < 40e6  # the sample for the window; the stack has 52 MB
    assert peak < 100 * frame.nbytes


def test_a_page_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, movie(7, 3, 20, 30), compression="zlib", metadata={"axes": "TCYX"}, **PLAIN
    )
    frames = open_frames(path, channel="0,1")
    paged = array_behind(frames)
    assert isinstance(paged, PagedArray)
    assert paged.n_pages == 21
    decoded = []
    original = paged._read_page
    monkeypatch.setattr(paged, "_read_page", lambda n: decoded.append(n) or original(n))
    for x in range(5):
        frames.read_window(2, 0, 20, x, x + 10)
    frames.read(3)
    assert decoded == [6, 7, 9, 10]
    assert len(paged._kept) <= 3
    frames.close()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_cut_in_half(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, movie(7, 64, 64), compression=compression)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    message = r"a\.tif (is cut short|cannot be read|is damaged)"
    with pytest.raises(FramesError, match=message), open_frames(path) as frames:
        for t in range(7):
            frames.read(t)


def test_no_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"hello, this is no TIFF at all")
    with pytest.raises(FramesError, match=r"a\.tif cannot be read as TIFF .* damaged: copy or"):
        open_frames(path)


# --- folders and single images --------------------------------------------------------------------


def test_folders_are_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 1, 100):
        Image.fromarray(np.full((6, 8), number, np.uint8)).save(tmp_path / f"f{number}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    with open_frames(tmp_path) as frames:
        assert [int(frames.read(t)[0, 0, 0]) for t in range(len(frames))] == [1, 9, 10, 100]
        assert frames.name == tmp_path.name


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGB", "png"), ("RGBA", "png"), ("P", "png"), ("L", "bmp"), ("RGB", "webp"), ("1", "png")],
)
def test_modes_of_images(tmp_path: Path, mode: str, suffix: str) -> None:
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8))
    for t in range(2):
        options = {"lossless": True} if suffix == "webp" else {}
        rgb.convert(mode).save(tmp_path / f"{t}.{suffix}", **options)
    expected = np.asarray(rgb.convert(mode).convert("RGB"))
    with open_frames(tmp_path) as frames:
        np.testing.assert_array_equal(frames.read(1), expected)


def test_16_bit_png(tmp_path: Path) -> None:
    array = movie(20, 30, dtype="u2") * 200
    Image.fromarray(array).save(tmp_path / "a.png")
    with open_frames(tmp_path / "a.png", intensity="0,65535") as frames:
        np.testing.assert_array_equal(frames.read(0)[..., 0], np.rint(array / 257).astype("u1"))


def test_one_image_is_a_movie_of_one_frame(tmp_path: Path) -> None:
    array = movie(20, 30, 3)
    Image.fromarray(array).save(tmp_path / "a.png")
    for axes in (None, "YXC", "TYXC"):
        with open_frames(tmp_path / "a.png", axes=axes) as frames:
            assert frames.n_frames == 1
            np.testing.assert_array_equal(frames.read(0), array)


def test_folder_of_stacks_needs_a_plane(tmp_path: Path) -> None:
    array = movie(3, 5, 20, 30)
    for t in range(3):
        tifffile.imwrite(tmp_path / f"{t}.tif", array[t], imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(FramesError, match="choose a plane with z=0 to z=4"):
        open_frames(tmp_path)
    with open_frames(tmp_path, z=1) as frames:
        np.testing.assert_array_equal(frames.read(2), grey(array[2, 1]))


def test_folder_of_stacks_of_which_one_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "0.tif"
    tifffile.imwrite(path, movie(5, 20, 30), compression="zlib", **PLAIN)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        FramesError,
        match=r"0\.tif is cut short: it says 5 images, and only the",
    ):
        open_frames(tmp_path)


def test_grey_pictures_among_coloured_ones(tmp_path: Path) -> None:
    Image.fromarray(movie(6, 8, 3)).save(tmp_path / "0.png")
    Image.fromarray(movie(6, 8)).save(tmp_path / "1.png")
    with open_frames(tmp_path) as frames:
        np.testing.assert_array_equal(frames.read(1), grey(movie(6, 8)))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_images_of_another_size(tmp_path: Path, suffix: str) -> None:
    for name, shape in (("a", (6, 8)), ("b", (6, 9))):
        if suffix == "png":
            Image.fromarray(movie(*shape)).save(tmp_path / f"{name}.png")
        else:
            tifffile.imwrite(tmp_path / f"{name}.tif", movie(*shape))
    with pytest.raises(
        FramesError,
        match=rf"b\.{suffix} is 9 wide and 6 high, but a\.{suffix} is 8 wide and 6 high",
    ):
        open_frames(tmp_path)


def test_images_of_another_type(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", movie(6, 8))
    tifffile.imwrite(tmp_path / "b.tif", movie(6, 8, dtype="u2"))
    with pytest.raises(FramesError, match=r"b\.tif has shape \(6, 8\) and type uint16, but"):
        open_frames(tmp_path)


@pytest.mark.parametrize("name", ["b.png", "b.jpg", "b.tif"])
@pytest.mark.parametrize("content", [b"", b"nonsense that is no image"])
def test_damaged_images(tmp_path: Path, name: str, content: bytes) -> None:
    Image.fromarray(movie(6, 8)).save(tmp_path / "a.png")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        FramesError, match=rf"{name} (cannot be read as|is an empty file).*copy or export it again"
    ):
        open_frames(tmp_path)


def test_an_image_cut_in_half(tmp_path: Path) -> None:
    for name in "ab":
        Image.fromarray(movie(60, 80)).save(tmp_path / f"{name}.png")
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    with open_frames(tmp_path) as frames:
        frames.read(0)
        with pytest.raises(FramesError, match=r"b\.png cannot be read as an image"):
            frames.read(1)


# --- zarr and npy ---------------------------------------------------------------------------------


def write_ome_zarr(path: Path, array: np.ndarray, axes: str, version: str) -> None:
    group = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    for level in range(2):
        step = 2**level
        part = array[..., ::step, ::step]
        group.create_array(str(level), shape=part.shape, dtype=part.dtype)[:] = part
    kinds = {"t": "time", "c": "channel"}
    multiscale = {
        "axes": [{"name": a, "type": kinds.get(a, "space")} for a in axes],
        "datasets": [{"path": str(level)} for level in range(2)],
    }
    if version == "0.4":
        group.attrs["multiscales"] = [{**multiscale, "version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path: Path, version: str) -> None:
    array = movie(2, 4, 1, 20, 30)
    path = tmp_path / "a.ome.zarr"
    write_ome_zarr(path, array, "ctzyx", version)
    with open_frames(path, channel=1) as frames:
        assert (frames.n_frames, frames.height, frames.width) == (4, 20, 30)
        np.testing.assert_array_equal(frames.read(3), grey(array[1, 3, 0]))
        assert frames.name == "a.ome.zarr"


def test_bioformats2raw_and_plates(tmp_path: Path) -> None:
    array = movie(4, 20, 30)
    root = zarr.create_group(tmp_path / "b.zarr", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    write_ome_zarr(tmp_path / "b.zarr" / "0", array, "tyx", "0.4")
    with open_frames(tmp_path / "b.zarr") as frames:
        np.testing.assert_array_equal(frames.read(3), grey(array[3]))
    plate = zarr.create_group(tmp_path / "p.zarr", zarr_format=2)
    plate.attrs["plate"] = {}
    with pytest.raises(FramesError, match=r"p\.zarr is a plate, and none of the images that its"):
        open_frames(tmp_path / "p.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_plain_zarr(tmp_path: Path, zarr_format: int) -> None:
    array = movie(4, 20, 30)
    zarr.create_array(tmp_path / "a.zarr", data=array, zarr_format=zarr_format)
    group = zarr.create_group(tmp_path / "g.zarr", zarr_format=zarr_format)
    group.create_array("labels", shape=array.shape, dtype=array.dtype)[:] = array
    for name in ("a.zarr", "g.zarr"):
        with open_frames(tmp_path / name) as frames:
            np.testing.assert_array_equal(frames.read(3), grey(array[3]))
    group.create_array("other", shape=array.shape, dtype=array.dtype)[:] = array
    with pytest.raises(FramesError, match=r"g\.zarr holds labels, other, not one image; open one"):
        open_frames(tmp_path / "g.zarr")


def test_ome_metadata_that_contradict_the_store(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, movie(4, 20, 30), "yx", "0.5")
    with pytest.raises(FramesError, match=r"2 axes in its OME metadata, but .* \(4, 20, 30\)"):
        open_frames(path)
    ome = {"multiscales": [{"datasets": [{"path": "../b.zarr/0"}]}]}
    zarr.open_group(path).attrs["ome"] = ome
    with pytest.raises(FramesError, match=r"at '\.\./b\.zarr/0', which is outside of it; correct"):
        open_frames(path)
    zarr.open_group(path).attrs["ome"] = {"multiscales": []}
    with pytest.raises(FramesError, match=r"a\.zarr cannot be read as zarr"):
        open_frames(path)


def test_zarr_dimension_names(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=movie(2, 9, 20, 30), dimension_names="ctyx")
    assert open_frames(tmp_path / "a.zarr").n_frames == 9


def test_damaged_zarr(tmp_path: Path) -> None:
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    (folder / "zarr.json").write_text("{")
    with pytest.raises(FramesError, match=r"a\.zarr cannot be read as zarr"):
        open_frames(folder)
    zarr.create_group(tmp_path / "empty.zarr")
    with pytest.raises(FramesError, match=r"empty\.zarr holds nothing, not one image"):
        open_frames(tmp_path / "empty.zarr")


def test_npy_is_mapped(tmp_path: Path) -> None:
    array = movie(4, 20, 30, 3)
    np.save(tmp_path / "a.npy", array)
    with open_frames(tmp_path / "a.npy") as frames:
        assert isinstance(array_behind(frames), MappedArray)
        np.testing.assert_array_equal(frames.read(3), array[3])
    (tmp_path / "a.npy").write_bytes(b"nonsense")
    with pytest.raises(FramesError, match=r"a\.npy cannot be read as a numpy array"):
        open_frames(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", array)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(FramesError, match=r"a\.npy is an archive of arrays, not an array"):
        open_frames(tmp_path / "a.npy")


# --- no movie at all ------------------------------------------------------------------------------


def test_no_movie(tmp_path: Path) -> None:
    with pytest.raises(FramesError, match=r"none\.tif does not exist; check the spelling"):
        open_frames(str(tmp_path / "none.tif"))
    with pytest.raises(FramesError, match=r"has no images; known are \.png"):
        open_frames(tmp_path)
    (tmp_path / "a.tif").write_bytes(b"")
    with pytest.raises(FramesError, match=r"a\.tif is an empty file"):
        open_frames(tmp_path / "a.tif")
    (tmp_path / "a.czi").write_bytes(b"x")
    with pytest.raises(FramesError, match=r"kind that is not known \(\.czi\); known are .*\.mp4"):
        open_frames(tmp_path / "a.czi")
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(FramesError, match=r"not known \(no suffix\)"):
        open_frames(tmp_path / "a")


# --- real data ------------------------------------------------------------------------------------


def test_bacteria(shared_data: Path) -> None:
    with open_frames(shared_data / "bacteria" / "01") as frames:
        assert (frames.n_frames, frames.height, frames.width) == (30, 424, 520)
        truth = tifffile.imread(shared_data / "bacteria" / "01" / "t017.tif")
        np.testing.assert_array_equal(frames.read(17), grey(truth))


def test_bedroom(shared_data: Path) -> None:
    with open_frames(shared_data / "bedroom") as frames:
        assert (frames.n_frames, frames.height, frames.width) == (40, 540, 960)
        with Image.open(shared_data / "bedroom" / "00031.jpg") as image:
            np.testing.assert_array_equal(frames.read(31), np.asarray(image))


def test_cellseg(shared_data: Path) -> None:
    images = np.load(shared_data / "cellseg" / "data_small.npz")["images"]
    frames = open_frames(images)
    np.testing.assert_array_equal(frames.read(9), grey(images[9]))


@pytest.mark.parametrize("suffix", ["tif", "npy"])
def test_mapped_files_stay_on_the_disk(tmp_path: Path, suffix: str) -> None:
    """Neither a handle nor resident pages: reading 64 MB leaves less than 16 MB behind."""
    psutil = pytest.importorskip("psutil")
    path = tmp_path / f"a.{suffix}"
    array = np.zeros((64, 1024, 1024), np.uint8)
    tifffile.imwrite(path, array, **PLAIN) if suffix == "tif" else np.save(path, array)
    del array
    with open_frames(path) as frames:
        before = psutil.Process().memory_info().rss
        for t in range(64):
            frames.read(t)
        assert psutil.Process().memory_info().rss - before < 16e6
        assert not [f for f in psutil.Process().open_files() if Path(f.path) == path]


def test_npy_in_fortran_order(tmp_path: Path) -> None:
    array = movie(4, 20, 30)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    np.testing.assert_array_equal(open_frames(tmp_path / "a.npy").read(3), grey(array[3]))


@pytest.mark.parametrize(
    "options", [{"imagej": True, "metadata": {"axes": "TYX"}}, {"metadata": None}]
)
def test_pixels_in_one_piece_cut_behind_the_first_page(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, movie(7, 64, 64), **PLAIN, **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        FramesError, match=r"a\.tif is cut short: .*only the first (one is|3 are) whole"
    ):
        open_frames(path)


def test_bigtiff_cut_after_some_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for page in movie(7, 64, 64):
            writer.write(page, compression="zlib", metadata=None, **PLAIN)
    cut = path.read_bytes()[: path.stat().st_size * 2 // 3]
    path.write_bytes(cut)
    with pytest.raises(
        FramesError,
        match=r"a\.tif is cut short: only the first [345] are whole; .*--stop [234]",
    ):
        open_frames(path)
