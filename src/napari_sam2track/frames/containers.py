"""Opens a file or folder of any kind, by its content where names do not tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import folder, image_files, numpy_files, tiff, video_file, zarr_store
from napari_sam2track.frames.stored_array import ReadRequest, StoredArray
from napari_sam2track.frames.video_index import is_video


@dataclass(frozen=True)
class ContainerKind:
    """A kind of file or folder with images, for messages and the documentation.

    Attributes
    ----------
    title
        Name for people.
    suffixes
        Ends of names; empty if the content alone tells.
    movies, labels
        What it is read as; "" if it is not.
    not_kept
        What of it is not used.
    """

    title: str
    suffixes: tuple[str, ...]
    movies: str
    labels: str
    not_kept: str


KINDS: tuple[ContainerKind, ...] = (
    ContainerKind(
        "TIFF: ImageJ, OME-TIFF, Micro-Manager, LSM, ScanImage, plain",
        tiff.SUFFIXES,
        "one image of several (`--series`), with its axes; the plane of `--z`",
        "the same; never colours or grey pictures",
        "thumbnails, pictures of another size, overlays, other metadata than axes and sizes",
    ),
    ContainerKind(
        "folder of TIFFs and pictures",
        (),
        "a file a frame, or stacks over time joined; planes and channels by their names",
        "the same; in a stack without a time axis the pages are planes",
        "other files, which a note counts; other positions than that of `--series`",
    ),
    ContainerKind(
        "OME-Zarr 0.1 to 0.5, zarr arrays, plates, wells, bioformats2raw",
        (".zarr",),
        "the full resolution of one image (`--series`)",
        "the labels of that image, or labels by their own path",
        "smaller resolutions, rendering settings",
    ),
    ContainerKind(
        "videos, whatever FFmpeg opens",
        video_file.SUFFIXES,
        "the video that players show (`--series` takes another), upright; grey of more than 8 "
        "bits keeps its values",
        "",
        "sound, covers, time stamps; bits beyond 8 of colours",
    ),
    ContainerKind(
        "pictures",
        image_files.SUFFIXES,
        "one frame, turned upright as its EXIF says",
        "PNG, BMP, PNM: values, or indices of a palette",
        "other EXIF, colour profiles",
    ),
    ContainerKind("numpy arrays", (".npy",), "an array", "an array", ""),
    ContainerKind(
        "archives of numpy arrays",
        (".npz",),
        "`images`, `movie`, ..., or the array of `--series`",
        "`labels`, `masks`, ..., or the array of `--series`",
        "the other arrays, which a note names",
    ),
    ContainerKind("Cellpose", ("_seg.npy",), "", "the masks", "flows, outlines, settings"),
)


def open_container(path: Path, request: ReadRequest) -> StoredArray:
    """Open images or labels without reading their pixels.

    Raises
    ------
    FramesError
        If there is no such file, or it cannot be read as what is asked of it.
    """
    if not path.exists():
        raise FramesError(
            f"{path} does not exist: give a folder or a file of label images"
            if request.labels
            else f"{path} does not exist; check the spelling and the folder"
        )
    if path.is_dir():
        if zarr_store.is_zarr(path) or path.suffix.lower() == ".zarr":
            return zarr_store.read_zarr(path, request)
        return folder.read_folder(path, request)
    suffix = path.suffix.lower()
    if _is_heif(path):
        raise FramesError(
            f"{path} is a HEIF or AVIF picture, as telephones take them, which is not read; save "
            "it as PNG or JPEG"
        )
    if request.labels and suffix in (".jpg", ".jpeg"):
        return image_files.read_label_image(path, request)
    if path.stat().st_size == 0 and any(suffix in kind.suffixes for kind in KINDS):
        raise FramesError(f"{path} is an empty file; copy or export it again")
    if suffix in tiff.SUFFIXES or tiff.is_tiff(path):
        return tiff.read_tiff(path, request)
    if suffix == ".npy":
        return numpy_files.read_npy(path, request)
    if suffix == ".npz":
        return numpy_files.read_npz(path, request)
    if request.labels:
        if suffix in image_files.SUFFIXES:
            return image_files.read_label_image(path, request)
        raise FramesError(
            f"{path} is not a kind of label image that can be read; give a TIFF or PNG, a folder "
            "of them, .zarr, .npy or .npz"
        )
    if suffix in image_files.SUFFIXES:
        stored = folder.read_images([path], path.name)
        n = image_files.n_pictures(path)
        more = (f"it holds {n} pictures, of which the first is used",) if n > 1 else ()
        return replace(stored, axes="T" + (stored.axes or ""), notes=more)
    if suffix in video_file.SUFFIXES or is_video(path):
        return video_file.read_video(path, request)
    known = ", ".join(suffix for kind in KINDS if kind.movies for suffix in kind.suffixes)
    raise FramesError(
        f"{path} is of a kind that is not known ({suffix or 'no suffix'}); known are folders of "
        f"images, {known}; export it as OME-TIFF, or open it in napari"
    )


def _is_heif(path: Path) -> bool:
    """Return whether a file is a HEIF or AVIF, of which FFmpeg may give a tile only."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"heim")
