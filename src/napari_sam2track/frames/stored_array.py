"""What every container gives: an array that reads where it is indexed, and what the file says."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.arrays import ArrayLike
from napari_sam2track.labels import Closing, Scale


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What is asked of a container.

    Attributes
    ----------
    labels
        True if labels are wanted, false for pixels: colours are refused, palettes give indices.
    axes
        One letter per axis, given by a person; None takes those of the file.
    series
        Number or name of the image in a container of several; None chooses by default.
    allow_truncated
        Read a file that was cut short as far as it is whole; else it is refused.
    gaps
        Allow a folder of labels in which frame numbers are missing.
    one_a_frame
        A folder has one file a frame, even if it has one file only.
    """

    labels: bool = False
    axes: str | None = None
    series: str | None = None
    allow_truncated: bool = False
    gaps: bool = False
    one_a_frame: bool = False


@dataclass(frozen=True, eq=False)
class StoredArray(Closing):
    """An array in a file or folder; its files are closed with it, or when it is not used any more.

    Attributes
    ----------
    array
        The values, read where they are indexed.
    name
        What to call it in a message: a file name, mostly.
    axes
        Letters that the file has for the axes; None if it has none.
    notes
        What was chosen by default or is not used, a sentence each.
    scale
        Size of a pixel and a frame; None if the file has none.
    attributes
        Other metadata, among them maybe our own note.
    numbers
        Number of each frame, where names of files have them; else None.
    frame_name
        Returns what to call frame t in a message; None to count it.
    files
        Names of the files that were read, where there are several.
    settled
        True if the axes that a person gave are used already, as those of the files of a folder.
    """

    array: ArrayLike
    name: str
    axes: str | None = None
    notes: tuple[str, ...] = ()
    scale: Scale | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    numbers: Sequence[int] | None = None
    frame_name: Callable[[int], str] | None = None
    files: frozenset[str] = frozenset()
    settled: bool = False
    _close: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        # An array that closes itself must not be kept by its own finalizer.
        if self._close is not None and getattr(self._close, "__self__", None) is not self.array:
            weakref.finalize(self.array, self._close)


def chosen_image(
    names: Sequence[str],
    asked: str | None,
    path: object,
    default: int | None = 0,
    kind: str = "images",
) -> tuple[int, tuple[str, ...]]:
    """Choose one of the images in a container.

    Parameters
    ----------
    names
        Their names, which may be empty.
    asked
        Number, counted from 0, or name; None for the default.
    path
        Of the container, for messages.
    default
        The image to take if none is asked for; None if a person has to choose.
    kind
        What they are: images, positions, videos.

    Returns
    -------
    The number of the image, and a note if it was chosen by default.

    Raises
    ------
    FramesError
        If there is no such image, or one has to be named.
    """
    listed = ", ".join(f"{k} ({name})" if name else str(k) for k, name in enumerate(names[:20]))
    listed += f" and {len(names) - 20} more" if len(names) > 20 else ""
    if asked is not None:
        wanted = asked.strip()
        if wanted.isascii() and wanted.isdigit() and int(wanted[:9]) < len(names):
            return int(wanted[:9]), ()
        same = [k for k, name in enumerate(names) if name.lower() == wanted.lower()]
        if len(same) == 1:
            return same[0], ()
        raise FramesError(
            f"{path} has no image {asked!r}: it has {listed}; choose one by its number or name "
            "with --series (series= in Python)"
        )
    if len(names) == 1:
        return 0, ()
    if default is None:
        raise FramesError(
            f"{path} holds {len(names)} {kind}: {listed}; choose one with --series "
            "(series= in Python)"
        )
    note = (
        f"it holds {len(names)} {kind}: {listed}; number {default} is used, --series takes another"
    )
    return default, (note,)


def use_whole(n_frames: int, request: ReadRequest) -> str:
    """Return the options that use the whole frames of a file that was cut short."""
    stop = "" if request.labels else f", or in a run with --stop {n_frames - 1}"
    return f"--allow-truncated (allow_truncated=True in Python){stop}"
