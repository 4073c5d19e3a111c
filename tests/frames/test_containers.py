"""What containers say of their images: series, stacks, cuts, names, orientation, plates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sam2track.errors import FormatError, FramesError
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.frames import open_frames
from napari_sam2track.params import LabelsParams

PLAIN = {"photometric": "minisblack"}


def movie(*shape: int, dtype: str = "u1") -> np.ndarray:
    return np.random.default_rng(0).integers(1, 200, shape).astype(dtype)


def raw(path: Path, **options: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """All frames (T, Y, X) of the first channel, and the notes."""
    with open_frames(path, **options) as frames:
        source = frames.source
        size = source.height, source.width
        pixels = [source.read_raw(t, 0, size[0], 0, size[1])[..., 0] for t in range(len(frames))]
        return np.stack(pixels), frames.notes


def labels(path: Path, **options: Any) -> tuple[np.ndarray, list[str]]:
    with open_labels(path, LabelsParams(**options)) as stack:
        return np.stack([stack.read(t) for t in range(stack.n_frames)]), list(stack.notes)


# --- several images in a TIFF ---------------------------------------------------------------------


def write_ome(path: Path, *images: tuple[str, np.ndarray], **options: Any) -> None:
    with tifffile.TiffWriter(path, ome=True) as writer:
        for name, image in images:
            axes = "TZYX"[-image.ndim :] if image.ndim > 3 else "TYX"
            writer.write(image, metadata={"axes": axes, "Name": name}, **PLAIN, **options)


def test_the_first_of_several_images_is_used_and_said(tmp_path: Path) -> None:
    a, b = movie(4, 20, 30), movie(5, 20, 30)[::-1]
    write_ome(tmp_path / "a.ome.tif", ("left", a), ("right", b))
    pixels, notes = raw(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(pixels, a)
    assert "2 images: 0 (left), 1 (right); number 0 is used, --series takes another" in notes[0]
    for series in ("1", "right", "RIGHT"):
        pixels, notes = raw(tmp_path / "a.ome.tif", series=series)
        np.testing.assert_array_equal(pixels, b)
        assert notes == ()
    with pytest.raises(FramesError, match=r"has no image 'up': it has 0 \(left\), 1 \(right\)"):
        open_frames(tmp_path / "a.ome.tif", series="up")
    with pytest.raises(FramesError, match="has no image '2'"):
        open_frames(tmp_path / "a.ome.tif", series="2")


def test_grey_values_are_never_taken_for_labels(tmp_path: Path) -> None:
    grey, truth = movie(4, 20, 30, dtype="u2"), movie(4, 20, 30) % 4
    path = tmp_path / "a.ome.tif"
    write_ome(path, ("raw", grey), ("labels of cells", truth))
    found, notes = labels(path)
    np.testing.assert_array_equal(found, truth)
    assert "number 1 is used" in notes[0]
    write_ome(path, ("Image0", grey), ("Image1", truth))
    with pytest.raises(FormatError, match=r"holds 2 images: 0 \(Image0\), 1 .* with --series"):
        open_labels(path)
    np.testing.assert_array_equal(labels(path, series="1")[0], truth)


def test_positions_of_labels_are_not_one_after_another(tmp_path: Path) -> None:
    one, two = movie(4, 20, 30) % 3, movie(4, 20, 30) % 5
    write_ome(tmp_path / "a.ome.tif", ("Pos0", one), ("Pos1", two), compression="zlib")
    found, notes = labels(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(found, one)
    assert "2 images" in notes[0]
    volumes = movie(2, 3, 20, 30) % 3
    write_ome(tmp_path / "v.ome.tif", ("Pos0", volumes), ("Pos1", volumes))
    assert labels(tmp_path / "v.ome.tif")[0].shape == (2, 3, 20, 30)


def test_a_cover_or_thumbnail_is_not_the_movie(tmp_path: Path) -> None:
    frames = movie(6, 40, 60)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(movie(10, 15), metadata=None, **PLAIN)
        for frame in frames:
            writer.write(frame, metadata=None, **PLAIN)
    pixels, notes = raw(path)
    np.testing.assert_array_equal(pixels, frames)
    assert notes == ("1 picture of another size is beside the movie, and not used",)
    np.testing.assert_array_equal(labels(path)[0], frames)
    with tifffile.TiffWriter(path) as writer:
        writer.write(frames, metadata=None, **PLAIN)
        writer.write(movie(10, 15, 3), subfiletype=1, photometric="rgb", metadata=None)
    np.testing.assert_array_equal(raw(path)[0], frames)


# --- movies in several stacks ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["imagej", "ome", "plain", "shaped"])
def test_stacks_over_time_are_joined(tmp_path: Path, kind: str) -> None:
    frames = movie(11, 20, 30)
    options: dict[str, Any] = {
        "imagej": {"imagej": True, "metadata": {"axes": "TYX"}},
        "ome": {"ome": True, "metadata": {"axes": "TYX"}},
        "plain": {"metadata": None},
        "shaped": {"compression": "zlib"},
    }[kind]
    for name, part in (
        ("run.tif", frames[:4]),
        ("run_2.tif", frames[4:8]),
        ("run_10.tif", frames[8:]),
    ):
        tifffile.imwrite(tmp_path / name, part, **PLAIN, **options)
    pixels, notes = raw(tmp_path)
    np.testing.assert_array_equal(pixels, frames)
    assert "3 stacks were joined over time, run.tif first" in notes
    if kind in ("imagej", "ome"):  # they say that it is time
        np.testing.assert_array_equal(labels(tmp_path)[0], frames)


def test_joined_stacks_that_nobody_closes_leave_no_open_file(tmp_path: Path) -> None:
    import gc

    options: dict[str, Any] = {"imagej": True, "metadata": {"axes": "TYX"}, "compression": "zlib"}
    for k in range(2):
        tifffile.imwrite(tmp_path / f"{k}.tif", movie(3, 20, 30), **options)
    stack = open_labels(tmp_path)
    stack.read(4)
    del stack
    gc.collect()  # an open file would be a ResourceWarning, which is an error here


def test_stacks_of_several_positions_are_not_one_movie(tmp_path: Path) -> None:
    frames = movie(6, 20, 30)
    options: dict[str, Any] = {"imagej": True, "metadata": {"axes": "TYX"}}
    parts = {"Pos0": frames[:2], "Pos0_1": frames[2:4], "Pos1": frames[4:]}
    for name, part in parts.items():
        tifffile.imwrite(tmp_path / f"run_MMStack_{name}.tif", part, **options)
    pixels, notes = raw(tmp_path)
    np.testing.assert_array_equal(pixels, frames[:4])
    assert any("2 positions: 0 (0), 1 (1); number 0 is used" in note for note in notes)
    np.testing.assert_array_equal(raw(tmp_path, series="1")[0], frames[4:])
    np.testing.assert_array_equal(labels(tmp_path, series="1")[0], frames[4:])


def test_a_folder_of_folders_names_them(tmp_path: Path) -> None:
    (tmp_path / "Pos0").mkdir()
    (tmp_path / "Pos1").mkdir()
    with pytest.raises(FramesError, match="it holds the folders Pos0, Pos1: give one of them"):
        open_frames(tmp_path)


def test_stacks_of_planes_are_volumes(tmp_path: Path) -> None:
    volumes = movie(3, 5, 20, 30)
    for t in range(3):
        tifffile.imwrite(tmp_path / f"v{t}.tif", volumes[t], imagej=True, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(labels(tmp_path)[0], volumes)
    np.testing.assert_array_equal(raw(tmp_path, z=2)[0], volumes[:, 2])


def test_stacks_with_channels_are_joined(tmp_path: Path) -> None:
    frames = movie(7, 2, 20, 30)
    for k, part in enumerate((frames[:4], frames[4:])):
        tifffile.imwrite(tmp_path / f"{k}.tif", part, imagej=True, metadata={"axes": "TCYX"})
    with open_frames(tmp_path, channel="1") as joined:
        np.testing.assert_array_equal(joined.read(6)[..., 0], frames[6, 1])


def test_stacks_of_other_sizes_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "1.tif", movie(4, 20, 30), imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "2.tif", movie(4, 20, 31), imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(
        FramesError, match=r"2\.tif has frames of shape \(20, 31\) .* need the same"
    ):
        open_frames(tmp_path)


def test_a_folder_of_one_ome_set_is_one_movie(tmp_path: Path) -> None:
    frames = movie(3, 20, 30)
    names = [f"t{t}.ome.tif" for t in range(3)]
    data = "".join(
        f'<TiffData FirstT="{t}" IFD="0" PlaneCount="1"><UUID FileName="{names[t]}">'
        f"urn:uuid:00000000-0000-0000-0000-00000000000{t}</UUID></TiffData>"
        for t in range(3)
    )
    for t, name in enumerate(names):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns='
            '"http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:00000000-0000-0000-0000-00000000000{t}"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" Type="uint8" DimensionOrder="XYZCT" SizeX="30" SizeY="20" '
            f'SizeZ="1" SizeC="1" SizeT="3"><Channel ID="Channel:0:0"/>{data}</Pixels></Image>'
            "</OME>"
        )
        tifffile.imwrite(tmp_path / name, frames[t], description=xml, metadata=None)
    np.testing.assert_array_equal(raw(tmp_path)[0], frames)
    np.testing.assert_array_equal(labels(tmp_path)[0], frames)


# --- files that promise more than they have -------------------------------------------------------

KINDS: dict[str, dict[str, Any]] = {
    "imagej": {"imagej": True, "metadata": {"axes": "TYX"}},
    "imagej deflate": {"imagej": True, "metadata": {"axes": "TYX"}, "compression": "zlib"},
    "ome": {"ome": True, "metadata": {"axes": "TYX"}},
    "ome lzw": {"ome": True, "metadata": {"axes": "TYX"}, "compression": "lzw"},
    "shaped": {},
    "shaped deflate": {"compression": "zlib"},
    "tiled": {"tile": (16, 16)},
    "plain": {"metadata": None},
    "plain deflate": {"metadata": None, "compression": "zlib"},
    "bigtiff": {"bigtiff": True},
}


#: What comes last in these are entries of pages, and all pixels are whole.
ALL_PIXELS_FIRST = ("imagej", "ome", "ome lzw", "shaped", "bigtiff")


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_cut_off_is_never_a_shorter_movie(tmp_path: Path, kind: str, part: float) -> None:
    frames = movie(9, 40, 60, dtype="u2")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frames, **PLAIN, **KINDS[kind])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    message = r"a\.tif (is cut short: .*whole; copy or export it again|cannot be read as TIFF)"
    if part == 0.99 and kind in ALL_PIXELS_FIRST:
        np.testing.assert_array_equal(raw(path)[0], frames)
        return
    with pytest.raises(FramesError, match=message):
        open_frames(path)
    with pytest.raises(FormatError, match=message):
        open_labels(path)
    try:
        pixels, notes = raw(path, allow_truncated=True)
    except FramesError:  # the index, or all but the first frame, is gone
        return
    assert 1 <= len(pixels) < 9
    np.testing.assert_array_equal(pixels, frames[: len(pixels)])
    assert any("missing at the end" in note for note in notes)
    np.testing.assert_array_equal(labels(path, allow_truncated=True)[0], pixels)


def test_an_acquisition_that_was_stopped_early(tmp_path: Path) -> None:
    frames = movie(12, 20, 30)
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns='
        '"http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
        'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="30" SizeY="20" SizeZ="1" '
        'SizeC="1" SizeT="20"><Channel ID="Channel:0:0"/>'
        + "".join(f'<TiffData IFD="{t}" FirstT="{t}" PlaneCount="1"/>' for t in range(12))
        + "</Pixels></Image></OME>"
    )
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path) as writer:
        for t, frame in enumerate(frames):
            writer.write(frame, metadata=None, description=xml if t == 0 else None, **PLAIN)
    with pytest.raises(FramesError, match="it says 20 images, and only the first 12 are whole"):
        open_frames(path)
    pixels, notes = raw(path, allow_truncated=True)
    np.testing.assert_array_equal(pixels, frames)
    assert notes == ("8 of 20 frames are missing at the end; the first 12 are used",)


def test_an_imagej_hyperstack_with_one_page_entry_that_was_cut(tmp_path: Path) -> None:
    """ImageJ writes one entry for stacks over 4 GB, and all pixels behind it."""
    frames = movie(6, 2, 20, 30)
    path = tmp_path / "a.tif"
    text = "ImageJ=1.53t\nimages=12\nchannels=2\nframes=6\nhyperstack=true\n"
    tifffile.imwrite(path, frames[0, 0], description=text, metadata=None, **PLAIN)
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        (begin,) = tiff.pages[0].dataoffsets
    path.write_bytes(content[:begin] + frames.tobytes()[: 7 * 600 + 50])
    with pytest.raises(FramesError, match="it says 12 images, and only the first 7 are whole"):
        open_frames(path)
    pixels, notes = raw(path, allow_truncated=True)
    np.testing.assert_array_equal(pixels, frames[:3, 0])
    assert "3 of 6 frames are missing at the end; the first 3 are used" in notes


def test_an_array_that_was_cut(tmp_path: Path) -> None:
    frames = movie(9, 20, 30)
    np.save(tmp_path / "a.npy", frames)
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-700])
    with pytest.raises(FramesError, match="only the first 7 of its 9 frames are whole"):
        open_frames(tmp_path / "a.npy")
    np.testing.assert_array_equal(labels(tmp_path / "a.npy", allow_truncated=True)[0], frames[:7])


# --- numbers in names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ["img_000000000_DAPI_000", "img_000000001_DAPI_000", "img_000000002_DAPI_000"],
        ["t000_c2_cp_masks", "t001_c2_cp_masks", "t002_c2_cp_masks"],
        ["VID1_A1_1_00d00h00m", "VID1_A1_1_00d01h00m", "VID1_A1_1_00d02h00m"],
        ["VID1_A1_1_00d23h40m", "VID1_A1_1_01d00h00m", "VID1_A1_1_01d00h20m"],
        ["frame000_10x", "frame001_10x", "frame002_10x"],
        ["T=000_Z=1", "T=001_Z=1", "T=002_Z=1"],
        ["0_mask(1)", "1_mask(1)", "2_mask(1)"],
        ["cam 08-00", "cam 08-10", "cam 08-20"],
        ["2024-01-09_12", "2024-01-10_13", "2024-01-11_14"],
        ["s1t01", "s1t02", "s1t03"],
        ["9", "10", "11"],
        ["Well_B2_t7", "Well_B2_t8", "Well_B2_t9"],
    ],
)
def test_the_number_that_varies_is_the_frame(tmp_path: Path, names: list[str]) -> None:
    frames = movie(3, 8, 9)
    for name, frame in zip(names, frames, strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", frame)
    np.testing.assert_array_equal(labels(tmp_path)[0], frames)
    np.testing.assert_array_equal(raw(tmp_path)[0], frames)


def test_planes_and_channels_in_names(tmp_path: Path) -> None:
    stack = movie(3, 2, 2, 8, 9)  # t, z, c
    for t in range(3):
        for z in range(2):
            for c in range(2):
                Image.fromarray(stack[t, z, c]).save(tmp_path / f"a_t{t:03d}_z{z + 1:02d}_c{c}.png")
    with open_frames(tmp_path, z=1, channel="1") as frames:
        assert len(frames) == 3
        np.testing.assert_array_equal(frames.read(2)[..., 0], stack[2, 1, 1])
    with pytest.raises(FormatError, match="labels of several channels"):
        open_labels(tmp_path)
    for path in tmp_path.glob("*_c1.png"):
        path.unlink()
    np.testing.assert_array_equal(labels(tmp_path)[0], stack[:, :, 0])
    (tmp_path / "a_t001_z02_c0.png").unlink()
    with pytest.raises(FormatError, match="5 files, and none for T 1, Z 2"):
        open_labels(tmp_path)


def test_channels_by_words_in_names(tmp_path: Path) -> None:
    """Micro-Manager's single files, and others with the stain in the name."""
    stack = movie(3, 2, 8, 9)
    for t in range(3):
        for c, word in enumerate(("DAPI", "GFP")):
            tifffile.imwrite(tmp_path / f"img_{t:09d}_{word}_000.tif", stack[t, c])
    with open_frames(tmp_path, channel="1") as frames:
        assert len(frames) == 3
        assert "its channels are DAPI, GFP, by the names of the files" in frames.notes
        np.testing.assert_array_equal(frames.read(2)[..., 0], stack[2, 1])
    with pytest.raises(FormatError, match="labels of several channels"):
        open_labels(tmp_path)


def test_positions_in_names_are_not_one_movie(tmp_path: Path) -> None:
    for s in (1, 2):
        for t in range(3):
            tifffile.imwrite(tmp_path / f"exp_s{s}t{t}.tif", np.full((6, 7), 10 * s + t, np.uint8))
    pixels, notes = raw(tmp_path)
    assert pixels[:, 0, 0].tolist() == [10, 11, 12]
    assert "2 positions: 0 (1), 1 (2); number 0 is used" in notes[0]
    assert raw(tmp_path, series="1")[0][:, 0, 0].tolist() == [20, 21, 22]
    assert labels(tmp_path, series="1")[0][:, 0, 0].tolist() == [20, 21, 22]


def test_masks_among_other_files_are_found_by_name(tmp_path: Path) -> None:
    for t in range(3):
        tifffile.imwrite(tmp_path / f"t{t}.tif", np.full((6, 7), 99, np.uint8))
        tifffile.imwrite(tmp_path / f"t{t}_cp_masks.tif", np.full((6, 7), t, np.uint8))
    found, notes = labels(tmp_path)
    assert found[:, 0, 0].tolist() == [0, 1, 2]
    assert notes == ["3 files beside the masks are not used, such as t0.tif"]


def test_numbers_with_gaps(tmp_path: Path) -> None:
    for t in (0, 5, 10):
        Image.fromarray(np.full((6, 7), t, np.uint8)).save(tmp_path / f"{t:05d}.png")
    with pytest.raises(FormatError, match=r"1, 2, 3, 4, 6, 7, 8, 9 are missing; .* say --gaps"):
        open_labels(tmp_path)
    with open_labels(tmp_path, gaps=True) as stack:
        assert list(stack.frame_numbers) == [0, 5, 10]
        assert stack.read(2).max() == 10


def test_a_number_beyond_any_movie(tmp_path: Path) -> None:
    for name in ("mask1", "mask99999999999999999999"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros((6, 7), np.uint8))
    with pytest.raises(FormatError, match="number of 20 digits in its name, beyond any movie"):
        open_labels(tmp_path)


# --- Cellpose -------------------------------------------------------------------------------------


def test_masks_of_cellpose(tmp_path: Path) -> None:
    masks = movie(8, 9, dtype="u2") % 4
    np.save(tmp_path / "a_seg.npy", {"masks": masks, "outlines": masks, "filename": "a.tif"})  # type: ignore[arg-type]
    found, notes = labels(tmp_path / "a_seg.npy")
    np.testing.assert_array_equal(found, masks[None])
    assert notes == ["the masks in Cellpose's file are used, not its filename, outlines"]
    for t in range(3):
        np.save(tmp_path / f"b{t}_seg.npy", {"masks": masks + t})  # type: ignore[arg-type]
    (tmp_path / "a_seg.npy").unlink()
    np.testing.assert_array_equal(labels(tmp_path)[0], np.stack([masks + t for t in range(3)]))


class Evil:
    def __reduce__(self) -> Any:
        return print, ("this must not run",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, capsys: Any) -> None:
    np.save(tmp_path / "a_seg.npy", {"masks": Evil()})  # type: ignore[arg-type]
    with pytest.raises(FormatError, match=r"holds builtins\.print, which is not an array\); if it"):
        open_labels(tmp_path / "a_seg.npy")
    np.save(tmp_path / "b.npy", np.array([1, "x"], object))
    with pytest.raises(FormatError, match="Python objects, and no masks of Cellpose; if it is"):
        open_labels(tmp_path / "b.npy")
    assert "must not run" not in capsys.readouterr().out


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((40, 24, 3), np.uint8)
    upright[:8, :8, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    image = Image.fromarray(upright)
    stored = image if orientation == 1 else image.transpose(Image.Transpose(undo[orientation]))
    for t in range(2):
        stored.save(tmp_path / f"{t}.jpg", exif=exif, quality=95)
    with open_frames(tmp_path) as frames:
        assert (frames.height, frames.width) == (40, 24)
        assert frames.read(1)[:6, :6, 0].min() > 200
        assert frames.read(1)[10:, 10:].max() < 60


def test_a_mosaic_opens(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (14_000, 14_000)).save(path, compress_level=1)  # 196 million pixels
    with open_frames(path) as frames:
        assert (frames.height, frames.width) == (14_000, 14_000)


def test_a_picture_that_lies_about_its_size(tmp_path: Path) -> None:
    import struct
    import zlib

    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(FramesError, match="says 60000 x 60000 pixels, and is too small a file"):
        open_frames(tmp_path / "a.png")


def test_animations_and_photos_of_telephones(tmp_path: Path) -> None:
    frames = [Image.fromarray(image) for image in movie(3, 6, 8)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with open_frames(tmp_path / "a.png") as found:
        assert found.notes == ("it holds 3 pictures, of which the first is used",)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(FramesError, match=r"a\.heic is a HEIF or AVIF picture, .* save it as PNG"):
        open_frames(tmp_path / "a.heic")


def test_types_that_differ_are_found_at_once(tmp_path: Path) -> None:
    Image.fromarray(movie(6, 8)).save(tmp_path / "0.png")
    for other in (movie(6, 8, 3), movie(6, 8, dtype="u2")):
        Image.fromarray(other).save(tmp_path / "1.png")
        with pytest.raises(FramesError, match=r"1\.png has shape .* need the same: convert"):
            open_frames(tmp_path)


# --- zarr -----------------------------------------------------------------------------------------


def write_image(group: Any, name: str, image: np.ndarray, axes: str | None, version: str) -> Any:
    node = group.create_group(name)
    node.create_array("0", shape=image.shape, dtype=image.dtype)[:] = image
    multiscale: dict[str, Any] = {"version": version, "datasets": [{"path": "0"}]}
    if axes is not None:
        multiscale["axes"] = list(axes) if version == "0.3" else [{"name": a} for a in axes]
    node.attrs["multiscales"] = [multiscale]
    return node


@pytest.mark.parametrize(
    ("version", "axes", "shape"),
    [("0.1", None, (4, 1, 1, 8, 9)), ("0.2", None, (4, 2, 1, 8, 9)), ("0.3", "tyx", (4, 8, 9))],
)
def test_ome_zarr_before_axes_had_types(
    tmp_path: Path, version: str, axes: str | None, shape: tuple[int, ...]
) -> None:
    image = movie(*shape)
    root = zarr.create_group(tmp_path, zarr_format=2)
    write_image(root, "a.zarr", image, axes, version)
    np.testing.assert_array_equal(raw(tmp_path / "a.zarr")[0], image.reshape(4, -1, 8, 9)[:, 0])


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    root = zarr.create_group(tmp_path / "p.zarr", zarr_format=2)
    wells = [{"path": "A/2"}, {"path": "B/3"}, {"path": "C/9"}]  # the last was never written
    root.attrs["plate"] = {"wells": wells}
    for k, place in enumerate(("A/2", "B/3")):
        well = root.create_group(place)
        well.attrs["well"] = {"images": [{"path": "0"}, {"path": "1"}]}
        for field in range(2):
            image = np.full((2, 8, 9), 10 * k + field, np.uint8)
            node = write_image(well, str(field), image, "tyx", "0.4")
            cells = write_image(node.create_group("labels"), "cells", image + 1, "tyx", "0.4")
            cells.attrs["image-label"] = {}
    return tmp_path / "p.zarr"


def test_a_plate_lists_its_images(plate: Path) -> None:
    listed = "A/2/0, A/2/1, B/3/0, B/3/1; open one of them, as"
    with pytest.raises(FramesError, match=f"is a plate of 4 images: {listed} .*A/2/0, or with"):
        open_frames(plate)
    with pytest.raises(FormatError, match="is a plate of 4 images"):
        open_labels(plate)
    with pytest.raises(FramesError, match=r"B/3 is a well of 2 images: 0, 1; .*p\.zarr/B/3/0"):
        open_frames(plate / "B" / "3")
    assert raw(plate / "B" / "3" / "1")[0].max() == 11
    assert raw(plate, series="B/3/0")[0].max() == 10
    assert raw(plate / "A" / "2", series="1")[0].max() == 1
    assert labels(plate, series="B/3/1")[0].max() == 12
    assert labels(plate / "A/2/0")[0].max() == 1


def test_a_series_of_images_by_bioformats2raw(tmp_path: Path) -> None:
    root = zarr.create_group(tmp_path / "b.zarr", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    for k in range(11):
        write_image(root, str(k), np.full((2, 8, 9), k, np.uint8), "tyx", "0.4")
    pixels, notes = raw(tmp_path / "b.zarr")
    assert pixels.max() == 0
    assert "11 images" in notes[0]
    assert raw(tmp_path / "b.zarr", series="10")[0].max() == 10


def test_a_shape_that_nobody_wrote_is_refused_at_once(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(10**8, 16, 16), chunks=(1, 16, 16), dtype="u1")
    with pytest.raises(FramesError, match="0 of its 100000000 chunks were written"):
        open_frames(tmp_path / "a.zarr")
    with pytest.raises(FormatError, match="correct its metadata"):
        open_labels(tmp_path / "a.zarr")


# --- arrays ---------------------------------------------------------------------------------------


def test_movies_in_npz(tmp_path: Path) -> None:
    frames = movie(5, 8, 9)
    np.savez_compressed(tmp_path / "a.npz", images=frames, labels=frames % 3)
    pixels, notes = raw(tmp_path / "a.npz")
    np.testing.assert_array_equal(pixels, frames)
    assert notes == ("images is used of it, not labels; --series takes another",)
    np.testing.assert_array_equal(labels(tmp_path / "a.npz")[0], frames % 3)
    np.testing.assert_array_equal(raw(tmp_path / "a.npz", series="labels")[0], frames % 3)
    np.savez(tmp_path / "b.npz", frames[0], frames[1])
    with pytest.raises(FramesError, match="holds arr_0, arr_1; name the one with the movie"):
        open_frames(tmp_path / "b.npz")
    with pytest.raises(FramesError, match="no array 'x'; it has images, labels"):
        open_frames(tmp_path / "a.npz", series="x")


def test_labels_with_pixels_that_registration_left_empty(tmp_path: Path) -> None:
    values = (movie(3, 8, 9) % 4).astype(np.float32)
    values[1:, :2] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values, **PLAIN)
    found, notes = labels(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, np.nan_to_num(values))
    assert len(notes) == 1
    assert "18 pixels that are NaN, which count as background" in notes[0]
