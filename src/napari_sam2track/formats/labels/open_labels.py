"""Opens label images of any kind: the kind of the file decides on the reader."""

from __future__ import annotations

from pathlib import Path

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.labels import label_arrays, label_files, label_tiffs
from napari_sam2track.formats.labels.label_stack import LabelStack
from napari_sam2track.frames.zarr_store import is_zarr


def open_labels(path: str | Path, *, axes: str | None = None) -> LabelStack:
    """Open label images without reading their pixels.

    Parameters
    ----------
    path
        A TIFF (each page a frame), a PNG, a folder of either with one file a frame (numbers in
        the names, as in ``mask_0007.tif`` or a Cell Tracking Challenge folder), a zarr array,
        OME-Zarr labels, an .npy array (T, Y, X) or (T, Z, Y, X), or an .npz with a member called
        ``labels`` or ``masks``. In a folder, the pages of a TIFF are the planes of a frame.
    axes
        One letter for each axis of the array: T, Z, Y, X; for a folder, of each file. Derived
        if not given (`napari_sam2track.formats.labels.label_axes`).

    Returns
    -------
    LabelStack
        The frames.

    Raises
    ------
    FormatError
        If there is nothing, it is not of these kinds, frames are missing from the sequence or
        differ in size, or it is a colour image, which has no label values.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(f"{path} does not exist: give a folder or a file of label images")
    suffix = path.suffix.lower()
    if suffix == ".zarr" or is_zarr(path):
        return label_arrays.open_zarr(path, axes)
    if path.is_dir():
        return label_files.open_folder(path, axes)
    if suffix in (".tif", ".tiff") or is_tiff(path):
        return label_tiffs.open_tiff(path, axes)
    if suffix == ".png":
        return label_files.open_png(path)
    if suffix == ".npy":
        return label_arrays.open_npy(path, axes)
    if suffix == ".npz":
        return label_arrays.open_npz(path, axes)
    if suffix in (".jpg", ".jpeg"):
        raise FormatError(
            f"{path} is a JPEG, which changes values when it is saved, so it cannot hold labels; "
            "save the masks as TIFF or PNG"
        )
    raise FormatError(
        f"{path} is not a kind of label image that can be read; give a TIFF or PNG, a folder of "
        "them, .zarr, .npy or .npz"
    )


def is_tiff(path: Path) -> bool:
    """Return whether a file begins as a TIFF or BigTIFF, whatever its name is."""
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
