"""Opens a file or folder of any kind, by its content where names do not tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import folder, image_files, numpy_files, tiff, video_file, zarr_store
from napari_sam2track.frames.stored_array import ReadRequest, StoredArray
from napari_sam2track.frames.video_index import is_video


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
    if request.labels and suffix in (".jpg", ".jpeg"):
        return image_files.read_label_image(path, request)
    if path.stat().st_size == 0 and suffix in _KNOWN:
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
        return replace(stored, axes="T" + (stored.axes or ""))
    if suffix in video_file.SUFFIXES or is_video(path):
        return video_file.read_video(path, request)
    raise FramesError(
        f"{path} is of a kind that is not known ({suffix or 'no suffix'}); known are folders of "
        f"images, zarr folders, .npy, .npz, {', '.join(tiff.SUFFIXES + image_files.SUFFIXES)} "
        "and videos that FFmpeg reads, such as .mp4; export it as OME-TIFF, or open it in "
        "napari"
    )


_KNOWN = (*tiff.SUFFIXES, *image_files.SUFFIXES, *video_file.SUFFIXES, ".npy", ".npz")
