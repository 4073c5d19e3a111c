"""Folders of work: kept while it is done, and found again."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from napari_sam2track._napari.settings import settings
from napari_sam2track.storage.processes import began, is_alive
from napari_sam2track.workspace.workspace_file import LABELS, NAME

#: Side of a block of labels on disk: a stroke of the brush changes few of them.
_BLOCK = 512
#: Holds the number of the process that uses a folder.
_LOCK = "in_use"


def work_root() -> Path:
    """Return the folder for all work: that of the settings, or the system's for a person's data."""
    chosen = settings().work_folder
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-sam2track")) / "work"


def folder_for(fingerprint: str, plane: int | None) -> Path:
    """Return the folder for the work on a movie: the same for the same pixels, whatever its name.

    One that is in use, in this window or another one, is skipped.
    """
    end = "" if plane is None else f"-plane{plane}"
    first = work_root() / f"{fingerprint[:16]}{end}"
    folder, number = first, 1
    while in_use(folder):
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder


def take(folder: Path) -> None:
    """Mark a folder as in use."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _LOCK).write_text(f"{os.getpid()} {began(os.getpid())}", "utf-8")


def give_back(folder: Path) -> None:
    """Mark a folder as not in use any more."""
    (folder / _LOCK).unlink(missing_ok=True)


def in_use(folder: Path) -> bool:
    """Return whether a living process uses a folder."""
    try:
        number, begun = (folder / _LOCK).read_text("utf-8").split()
        return is_alive(int(number), float(begun))
    except (OSError, ValueError):  # there is no lock, or a crash cut it off
        return False


def put_aside(folder: Path) -> Path | None:
    """Rename a folder of work, so that another can be begun; None if it is empty."""
    if not folder.exists():
        return None
    if not any(folder.iterdir()):
        folder.rmdir()
        return None
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    aside = folder.with_name(f"{folder.name}-{stamp}")
    number = 0
    while aside.exists():
        number += 1
        aside = folder.with_name(f"{folder.name}-{stamp}-{number}")
    folder.rename(aside)
    return aside


def forget_work(folder: Path) -> None:
    """Put aside the annotations in a folder of work, and leave its labels where they are."""
    path = folder / NAME
    if path.exists():
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        path.rename(path.with_stem(f"{path.stem}-{stamp}"))


def lies_in(array: Any, folder: Path) -> bool:
    """Return whether labels are the ones on disk in a folder of work."""
    root = getattr(getattr(array, "store", None), "root", None)
    return root is not None and folder.absolute() in Path(root).absolute().parents


def open_labels(folder: Path, shape: tuple[int, ...]) -> tuple[Any, bool]:
    """Open labels on disk, made if they are missing or of another shape.

    Earlier labels are never deleted: the same frames with an axis of length 1 more or less (the
    same movie from another reader) are taken over, and others are put aside.

    Returns
    -------
    array, old
        A zarr array, uint32; and whether it existed.
    """
    import zarr

    path = folder / LABELS
    if path.exists():
        try:
            found = zarr.open_array(path, mode="r+")
        except (OSError, ValueError, KeyError):
            found = None
        if found is not None and tuple(found.shape) == tuple(shape):
            return found, True
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        aside = path.with_stem(f"{path.stem}-{stamp}")
        path.rename(aside)
        if found is not None and _solid(found.shape) == _solid(shape):
            new = _make_labels(path, shape)
            _copy(zarr.open_array(aside, mode="r"), new)
            return new, True
    folder.mkdir(parents=True, exist_ok=True)
    return _make_labels(path, shape), False


def _solid(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without axes of length 1."""
    return tuple(n for n in shape if n > 1)


def _copy(old: Any, new: Any) -> None:
    """Copy labels whose shapes differ in axes of length 1, one index of a long axis at a time."""
    parts = next((n for n in old.shape if n > 1), 1)
    for k in range(parts):
        source, target = ((0,) * _first(a.shape) + (slice(k, k + 1),) for a in (old, new))
        new[target] = old[source].reshape(new[target].shape)


def _first(shape: tuple[int, ...]) -> int:
    """Return the first axis longer than 1; 0 if there is none."""
    return next((axis for axis, n in enumerate(shape) if n > 1), 0)


def _make_labels(path: Path, shape: tuple[int, ...]) -> Any:
    import zarr

    chunks = (*(1 for _ in shape[:-2]), *(min(n, _BLOCK) for n in shape[-2:]))
    return zarr.create_array(path, shape=shape, chunks=chunks, dtype="uint32")
