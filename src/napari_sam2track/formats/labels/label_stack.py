"""Label images as a movie that is read frame by frame, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError, FramesError
from napari_sam2track.frames.arrays import ArrayLike
from napari_sam2track.frames.axes import Layout, resolve_label_layout, size_text
from napari_sam2track.frames.pages import PagedArray
from napari_sam2track.labels import MAX_ID, Closing, Scale
from napari_sam2track.parsing.guard import reason_of

#: What the note on pixels without a value says.
_NAN = "pixels that are NaN, which count as background, as in all other frames"


@dataclass(frozen=True, eq=False)
class LabelStack(Closing):
    """A movie of label images, of which nothing is in memory.

    Use it in a ``with`` block, or `close` it, if the source is a file that stays open.

    Attributes
    ----------
    source
        What was opened, for messages and provenance.
    array
        The values as they are in the source, read where they are indexed.
    layout
        The axes of the array.
    frame_numbers
        The number of each frame in the source (from file names, or 0, 1, ...), ascending;
        consecutive, unless gaps were allowed.
    frame_name
        Returns what to call a frame in a message: a file name, or a place in the file.
    scale
        Size of a frame and of a pixel, if the source says so.
    parents
        Daughter to mother, as our own metadata in the source has it; not checked.
    note
        Where it comes from, as our own metadata has it (`provenance`); else empty.
    notes
        What of the source is not used, and what was chosen by default; reading frames may add to
        it.
    """

    source: str
    array: ArrayLike = field(repr=False)
    layout: Layout
    frame_numbers: Sequence[int] = field(repr=False)
    frame_name: Callable[[int], str] = field(repr=False)
    _close: Callable[[], object] | None = field(default=None, repr=False)
    scale: Scale = field(default_factory=Scale)
    parents: Mapping[Any, Any] = field(default_factory=dict)
    note: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list, repr=False)

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.layout.n_frames

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """(Y, X) or (Z, Y, X), in pixels."""
        return self.layout.frame_shape

    @property
    def height(self) -> int:
        """Rows of a frame, in pixels."""
        return self.frame_shape[-2]

    @property
    def width(self) -> int:
        """Columns of a frame, in pixels."""
        return self.frame_shape[-1]

    def read(self, t: int) -> NDArray[np.uint32]:
        """Read one frame.

        Parameters
        ----------
        t
            Position in the movie, from 0.

        Returns
        -------
        ndarray
            Of `frame_shape`, uint32, 0 is the background; the caller's to change.

        Raises
        ------
        FormatError
            If the frame cannot be read, has another size, or holds what cannot be labels.
        """
        name = self.frame_name(t)
        try:
            values = np.asarray(self.array[self.layout.whole(t)])
        except FormatError:
            raise
        except FramesError as error:
            raise FormatError(str(error)) from error
        except Exception as error:  # truncated files show up only here; decoders raise anything
            raise FormatError(f"{name} cannot be read: {reason_of(error)}") from error
        values = self.layout.arrange_labels(values)
        if values.dtype.kind == "f":
            values = self._without_nan(values, name)
        labels = as_labels(values, name, len(self.frame_shape))
        if labels.shape != self.frame_shape:
            raise FormatError(
                f"{name} has {size_text(labels.shape)} pixels, but {self.frame_name(0)} has "
                f"{size_text(self.frame_shape)}: all frames must be of one size"
            )
        return labels

    def _without_nan(self, values: NDArray[Any], name: str) -> NDArray[Any]:
        """Return labels in which pixels that are NaN, as registration leaves them, are 0."""
        missing = np.isnan(values)
        if missing.any():
            if not any(_NAN in note for note in self.notes):
                self.notes.append(f"{name} has {int(missing.sum())} {_NAN}")
            values = np.where(missing, 0, values)
        return values


def plane_stack(stack: LabelStack, use: str) -> LabelStack:
    """Return the stack itself, if its frames are planes.

    Raises
    ------
    FormatError
        If it has depth, which the caller cannot use.
    """
    if len(stack.frame_shape) != 2:
        raise FormatError(
            f"{stack.source} has depth (frames of {size_text(stack.frame_shape)} pixels), and "
            f"{use} needs planes; give labels of one plane"
        )
    return stack


def as_labels(values: NDArray[Any], name: str, ndim: int = 2) -> NDArray[np.uint32]:
    """Turn the values of a file into labels, or raise an error that says why not.

    Parameters
    ----------
    values
        Shape (Y, X) or (Z, Y, X), any numeric or boolean type. Floating point values are taken
        if they are whole numbers.
    name
        Name of the file in a message.
    ndim
        Number of axes it should have.

    Returns
    -------
    ndarray
        The same shape, uint32.

    Raises
    ------
    FormatError
        If it has colours, fractions, negative values or values over 4,294,967,295.
    """
    if values.ndim != ndim:
        wanted = "(Y, X)" if ndim == 2 else "(Z, Y, X)"
        raise FormatError(
            f"{name} has shape {values.shape}, not {wanted}: label images have one value a pixel"
        )
    kind = values.dtype.kind
    if kind not in "buif":
        raise FormatError(f"{name} holds {values.dtype}, which cannot be labels")
    if values.size and kind in "if":
        if kind == "f" and not (np.isfinite(values) & (values == np.floor(values))).all():
            raise FormatError(
                f"{name} holds fractions or NaN ({values.dtype}), so it is not a label image; "
                "label values are whole numbers"
            )
        if values.min() < 0:
            raise FormatError(
                f"{name} holds the negative value {values.min():g}; labels are 0 (background) "
                "and up"
            )
    if values.size and values.dtype.itemsize > 2 and int(values.max()) > MAX_ID:
        raise FormatError(
            f"{name} holds the value {int(values.max())}, over the largest id {MAX_ID}; "
            "number the labels anew"
        )
    return values.astype(np.uint32)


def from_arrays(
    frames: ArrayLike | Sequence[NDArray[Any]], source: str, scale: Scale | None = None
) -> LabelStack:
    """Make a stack of label images in memory, or of memory maps and zarr arrays.

    Parameters
    ----------
    frames
        Shape (T, Y, X) or (T, Z, Y, X), or a list of (Y, X) or (Z, Y, X).
    source
        Name of the arrays.
    scale
        Size of a frame and of a pixel.

    Raises
    ------
    FormatError
        If there are no frames, or they have no pixels.
    """
    # arrays of zarr have no length
    n = int(frames.shape[0]) if isinstance(frames, ArrayLike) and frames.shape else len(frames)  # type: ignore[arg-type]
    shape = tuple(frames[0].shape) if n else ()
    if len(shape) not in (2, 3) or 0 in shape:
        raise FormatError(f"{source} holds no label images: it has no frames of (Y, X) pixels")

    def read_frame(t: int) -> NDArray[Any]:
        return np.asarray(frames[t])

    array = PagedArray((n,), shape, np.dtype(frames[0].dtype), read_frame, keep=0)
    layout = resolve_label_layout(array.shape, source, axes="T" + "ZYX"[-len(shape) :])
    return LabelStack(
        source,
        array,
        layout,
        range(n),
        lambda t: f"frame {t} of {source}",
        scale=scale or Scale(),
    )
