"""Arrays in ``.npy`` and ``.npz``, and the masks in Cellpose's ``_seg.npy``."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.mapped import MappedArray
from napari_sam2track.frames.pages import PagedArray
from napari_sam2track.frames.stored_array import ReadRequest, StoredArray, use_whole
from napari_sam2track.parsing.bounds import require_memory
from napari_sam2track.parsing.guard import parsing

#: Names of arrays in an .npz that hold what is wanted, best first.
_LABEL_NAMES = ("labels", "masks", "label", "mask", "segmentation")
_MOVIE_NAMES = ("images", "movie", "frames", "video", "image", "stack", "raw", "data")

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

#: What a pickle may make: arrays and plain containers. Anything else could run code.
_HARMLESS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}


#: Parts of a pickle that numpy does not write, and that a damaged one trips over.
_BUFFERS = ("BYTEARRAY8", "NEXT_BUFFER", "READONLY_BUFFER")


def read_npy(path: Path, request: ReadRequest) -> StoredArray:
    """Open the array in a ``.npy`` file, mapped; of Cellpose's ``_seg.npy`` the masks.

    Raises
    ------
    FramesError
        If it is damaged, cut short, or something else.
    """
    with parsing(path, "a numpy array", FramesError), path.open("rb") as file:
        if file.read(4) == b"PK\3\4":
            raise FramesError(
                f"{path} is an archive of arrays, not an array; call it .npz, or save one "
                "array with numpy.save"
            )
        file.seek(0)
        shape, fortran_order, dtype = _header(file)
        offset = file.tell()
    if dtype.hasobject:
        return _cellpose(path, request)
    order: Literal["C", "F"] = "F" if fortran_order else "C"
    n_bytes = math.prod(shape) * dtype.itemsize
    there = path.stat().st_size - offset
    if there >= n_bytes:
        return StoredArray(MappedArray(path, dtype, shape, offset, order), path.name)
    n_whole = there * shape[0] // n_bytes if len(shape) > 2 and order == "C" else 0
    if not (n_whole and request.allow_truncated):
        whole = f"only the first {n_whole} of its {shape[0]} frames are whole" if n_whole else ""
        use = f", or use them with {use_whole(n_whole, request)}" if n_whole else ""
        raise FramesError(
            f"{path} is cut short: {whole or f'its array of shape {shape} is not whole'}; copy or "
            f"save it again{use}"
        )
    gone = shape[0] - n_whole
    note = f"{gone} of {shape[0]} frames are missing at the end; the first {n_whole} are used"
    return StoredArray(
        MappedArray(path, dtype, (n_whole, *shape[1:]), offset, order), path.name, notes=(note,)
    )


def read_npz(path: Path, request: ReadRequest) -> StoredArray:
    """Open an array in an ``.npz``, by its name, or the only one; see `ReadRequest.series`.

    Frames are unpacked one at a time, which is fast in their order.

    Raises
    ------
    FramesError
        If it cannot be read, or it is not clear which array is meant.
    """
    with parsing(path, "an .npz", FramesError):
        archive = zipfile.ZipFile(path)
        try:
            members = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            chosen = _member(members, path, request)
            member = _NpzMember(archive, f"{chosen}.npy")
        except BaseException:
            archive.close()
            raise
    others = [name for name in members if name != chosen]
    n_frame = 2 if len(member.shape) < 4 or not request.labels else len(member.shape) - 1
    n_lead = max(0, len(member.shape) - n_frame)
    if member.shape[-1:] in ((3,), (4,)) and not request.labels and n_lead:
        n_lead -= 1
    lead, page = member.shape[:n_lead], member.shape[n_lead:]
    if request.axes is not None and "T" in request.axes.upper()[n_lead:]:
        member.close()
        raise FramesError(
            f"{path} has axes {request.axes} of shape {member.shape}, and its frames are not one "
            "after another in the file; save time as the first axis"
        )
    array = PagedArray(lead, page, member.dtype, lambda k: member.read(k, page))
    used = f"{chosen} is used of it, not {', '.join(others[:10])}; --series takes another"
    return StoredArray(
        array,
        path.name,
        notes=(used,) if others and request.series is None else (),
        frame_name=lambda t: f"frame {t} of {path.name}[{chosen}]",
        _close=member.close,
    )


def _member(members: list[str], path: Path, request: ReadRequest) -> str:
    """Return the name of the array that is meant."""
    if request.series is not None:
        if request.series in members:
            return request.series
        raise FramesError(
            f"{path} has no array {request.series!r}; it has {', '.join(members) or 'none'}"
        )
    wanted = _LABEL_NAMES if request.labels else _MOVIE_NAMES
    known = [name for name in wanted if name in members]
    if not known and len(members) != 1:
        what = "labels 'labels'" if request.labels else "movie 'images'"
        raise FramesError(
            f"{path} holds {', '.join(members) or 'no arrays'}; name the one with the {what}, or "
            "choose with --series"
        )
    return (known or members)[0]


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether columns come first, and type of the array that a file begins with."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the .npy format")
    shape, fortran_order, dtype = _HEADERS[version](file)
    if any(n < 0 for n in shape):
        raise ValueError(f"a shape of {shape}")
    return tuple(shape), bool(fortran_order), dtype


class _NpzMember:
    """An array in an open zip file, page by page: `np.load` would unpack all of it."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        self._stream: IO[bytes] = archive.open(name)
        try:
            self.shape, fortran_order, self.dtype = _header(self._stream)
            if self.dtype.hasobject:
                raise FramesError(f"{archive.filename} holds Python objects, not numbers")
            if fortran_order and len(self.shape) > 1:
                raise FramesError(
                    f"{archive.filename} holds an array in Fortran order; save it with "
                    "np.ascontiguousarray"
                )
            self._begin = self._stream.tell()
            n_bytes = math.prod(self.shape) * self.dtype.itemsize
            if n_bytes > archive.getinfo(name).file_size:
                raise EOFError("the array is longer than its file")
        except BaseException:
            self._stream.close()
            raise

    def read(self, k: int, shape: tuple[int, ...]) -> NDArray[Any]:
        """Page `k` of a shape; one call at a time, as `PagedArray` does it."""
        n_bytes = math.prod(shape) * self.dtype.itemsize
        self._stream.seek(self._begin + k * n_bytes)
        raw = self._stream.read(n_bytes)
        if len(raw) < n_bytes:
            raise EOFError("the file ends too early")
        return np.frombuffer(raw, self.dtype).reshape(shape)

    def close(self) -> None:
        """Close the member and its archive."""
        self._stream.close()
        self._archive.close()


class _HarmlessUnpickler(pickle.Unpickler):
    """Makes arrays, numbers, text and plain containers; refuses everything that could run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not an array")
        return super().find_class(module, name)


def _cellpose(path: Path, request: ReadRequest) -> StoredArray:
    """Return the masks in Cellpose's own file, which is a pickle of a dictionary of arrays."""
    way_out = (
        "if it is Cellpose's, choose File > Save masks as PNG/tif there, and give that; else save "
        "an array of numbers with numpy.save"
    )
    with parsing(path, "Cellpose's masks", FramesError, way_out):
        require_memory(4 * path.stat().st_size, str(path), FramesError)
        with path.open("rb") as file:
            _header(file)
            content = file.read()
        if any(op.name in _BUFFERS for op, _, _ in pickletools.genops(content)):
            raise pickle.UnpicklingError("it holds buffers, which numpy's files do not")
        found = _HarmlessUnpickler(io.BytesIO(content)).load()
    kept = found.item() if isinstance(found, np.ndarray) and found.ndim == 0 else None
    masks = kept.get("masks") if isinstance(kept, dict) else None
    if not isinstance(masks, np.ndarray) or masks.dtype.kind not in "bui" or masks.ndim < 2:
        raise FramesError(f"{path} holds Python objects, and no masks of Cellpose; {way_out}")
    if not request.labels:
        raise FramesError(
            f"{path} holds Cellpose's masks, not a movie; give the image that they were made of"
        )
    keys = sorted(str(key) for key in kept or () if key != "masks")
    note = f"the masks in Cellpose's file are used, not its {', '.join(keys)}"
    axes = None if masks.ndim != 3 else "ZYX"
    return StoredArray(np.asarray(masks), path.name, axes, (note,) if keys else ())
