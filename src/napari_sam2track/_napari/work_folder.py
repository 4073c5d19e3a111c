"""Where work is kept while it is done, and found again."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from napari_sam2track._napari.settings import settings
from napari_sam2track.work.work_file import LABELS, NAME

#: Side of a block of labels on disk: a stroke of the brush writes few of them.
_BLOCK = 512
#: Holds the number of the process that uses a folder.
_LOCK = "in_use"


def work_root() -> Path:
    """The folder for all work: that of the settings, or the system's for a person's data."""
    chosen = settings().work_folder
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-sam2track")) / "work"


def folder_for(fingerprint: str, plane: int | None) -> Path:
    """The folder for the work on a movie: the same for the same pixels, whatever its name.

    One that is in use, in this window or another one, is passed over.
    """
    end = "" if plane is None else f"-plane{plane}"
    first = work_root() / f"{fingerprint[:16]}{end}"
    folder, number = first, 1
    while _in_use(folder):
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder


def take(folder: Path) -> None:
    """Say that a folder is in use from now on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _LOCK).write_text(str(os.getpid()), "utf-8")


def give_back(folder: Path) -> None:
    """Say that a folder is not in use any more."""
    (folder / _LOCK).unlink(missing_ok=True)


def _in_use(folder: Path) -> bool:
    """Whether a process that lives has taken a folder."""
    import psutil

    try:
        return bool(psutil.pid_exists(int((folder / _LOCK).read_text("utf-8"))))
    except (OSError, ValueError):  # nobody has, or a crash cut it off
        return False


def put_aside(folder: Path) -> Path | None:
    """Rename a folder of work, so that another can be begun; None if there is nothing in it."""
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
    """Put aside what was said in a folder of work, and leave its labels where they are."""
    path = folder / NAME
    if path.exists():
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        path.rename(path.with_stem(f"{path.stem}-{stamp}"))


def lies_in(array: Any, folder: Path) -> bool:
    """Whether labels are the ones on disk in a folder of work."""
    store = getattr(array, "store", None)
    return store is not None and str(folder) in str(store)


def open_labels(folder: Path, shape: tuple[int, ...]) -> tuple[Any, bool]:
    """Labels on disk, made if they are missing or of another shape.

    Returns
    -------
    array, old
        A zarr array, uint32; and whether it was there.
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
        shutil.rmtree(path)
    chunks = (*(1 for _ in shape[:-2]), *(min(n, _BLOCK) for n in shape[-2:]))
    folder.mkdir(parents=True, exist_ok=True)
    return zarr.create_array(path, shape=shape, chunks=chunks, dtype="uint32"), False
