"""Tracks of the Python API: to be read, edited and saved."""

from __future__ import annotations

import warnings
import weakref
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError, UsageError
from napari_sam2track.formats.conversions import notes
from napari_sam2track.formats.tracks_csv import table_to_pandas
from napari_sam2track.formats.tracks_files import Format, format_of_output, losses, write_tracks
from napari_sam2track.frames.lazy_array import LazyFrames, lazy_labels
from napari_sam2track.labels import Closing, LabelFrames, MappedFrames
from napari_sam2track.params import WriteParams
from napari_sam2track.progress import ProgressHook, checked_hook
from napari_sam2track.storage.scratch import scratch_folder
from napari_sam2track.tracks.editing.edited_copy import EditedCopy
from napari_sam2track.tracks.editing.history import History
from napari_sam2track.tracks.editing.track_state import TrackState
from napari_sam2track.tracks.tracked_movie import TrackedMovie, relabelled

if TYPE_CHECKING:
    import pandas as pd


class Tracks(Closing):
    """Tracks of a movie, with the masks that they are made of; close it if it comes from a file.

    Examples
    --------
    >>> import napari_sam2track as st
    >>> from napari_sam2track.samples import dividing_nuclei
    >>> tracks = st.link(dividing_nuclei().labels_tyx[:6])
    >>> step = tracks.history.do(st.Delete(1))
    >>> 1 in tracks.table["track_id"].tolist()
    False
    >>> step = tracks.history.undo()
    >>> 1 in tracks.table["track_id"].tolist()
    True
    """

    def __init__(self, movie: TrackedMovie) -> None:
        self._opened = movie
        self._held = ExitStack()
        self._held.callback(movie.close)
        self._close = self._end = weakref.finalize(self, self._held.close)

    def __repr__(self) -> str:
        table = self._opened.table if not self._end.alive else self.current.table
        return f"<Tracks: {table.n_tracks} in {table.n_frames} frames of {table.frame_shape}>"

    @property
    def _movie(self) -> TrackedMovie:
        if not self._end.alive:
            raise UsageError("these tracks are closed; open them again")
        return self._opened

    @property
    def labels(self) -> LazyFrames:
        """Labels (T, [Z,] Y, X), uint32, whose values are the track ids; read frame by frame.

        Raises
        ------
        FormatError
            If only the places of the tracks are known.
        """

        def while_open(t: int, labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
            _ = self._movie  # which holds the tracks, and refuses once they are closed
            return labels

        return lazy_labels(MappedFrames(self._current_labels(), while_open))

    def _current_labels(self) -> LabelFrames:
        if self._movie.labels is not None and "history" in self.__dict__:
            return self.history.state.labels
        if self._movie.labels is None:
            raise FormatError(
                "these tracks have places and no masks; open a format that holds masks, or draw "
                "discs with save(..., radius=...)"
            )
        return self._movie.labels

    @property
    def table(self) -> pd.DataFrame:
        """A row for each object on each frame: the columns of ``sam2track track --out t.csv``."""
        return table_to_pandas(self.current.table)

    @property
    def parents(self) -> dict[int, int]:
        """Parent of each daughter."""
        return dict(self.current.table.parents)

    @property
    def notes(self) -> list[str]:
        """Sentences on what the tracks were read as, what was assumed, and what was not used."""
        return notes(self._movie)

    @cached_property
    def history(self) -> History:
        """History that makes, undoes and redoes edits; files stay as they are until `save`.

        ``history.do(Merge(3, 7))``; see `Merge`, `Split`, `Divide`, `Swap`, `Delete`, `Relabel`,
        `SetParent` and `UnsetParent`.
        """
        folder = self._held.enter_context(scratch_folder("sam2track-edit"))
        table = relabelled(self._movie.table)
        return History(TrackState(EditedCopy(self._current_labels(), folder), table.parents, table))

    @property
    def current(self) -> TrackedMovie:
        """The tracks as values, after all edits."""
        movie = self._movie
        if "history" not in self.__dict__:
            return movie
        state = self.history.state
        return replace(movie, table=state.table(), labels=state.labels)

    def save(
        self,
        path: str | PathLike[str],
        format: str | None = None,
        overwrite: bool = False,
        progress: ProgressHook | None = None,
        **write: Any,
    ) -> None:
        """Write the tracks to a file or folder; a warning says what the format cannot hold.

        Parameters
        ----------
        path
            Its name says the format: ``.geff``, ``.json``, ``.csv``, ``.xml`` (TrackMate),
            ``01_RES`` (Cell Tracking Challenge), ``.tif``, ``.zarr``, a folder ...
        format
            Where the name does not: the names of ``sam2track convert``.
        overwrite
            Replace what exists.
        progress
            Called as ``progress(frames, n, "Writing")``; it passes the frames on.
        **write
            Fields of `WriteParams`: ``renumber``, ``radius``.

        Raises
        ------
        OutputError
            If it exists, or the format cannot hold these tracks at all.
        UsageError
            If the format is not known.
        """
        if not isinstance(path, str | PathLike) or not isinstance(format, str | None):
            raise UsageError(
                f"save({path!r:.60}, format={format!r}): give a path, and a format's name or None"
            )
        chosen = format_of_output(Path(path), format)
        options, hook = WriteParams.named(write), checked_hook(progress)
        for text in self.write(Path(path), chosen, options, overwrite, hook):
            warnings.warn(f"not kept in {path}: {text}", stacklevel=2)

    def write(
        self,
        path: Path,
        chosen: Format,
        options: WriteParams,
        overwrite: bool,
        progress: ProgressHook,
    ) -> list[str]:
        """Write the tracks; see `save`.

        Returns
        -------
        list of str
            Sentences on what the format cannot hold of them.
        """
        movie = self.current
        # Tables say which label of the masks an object had; where there are new masks, their
        # labels are the tracks.
        keeps_labels = chosen.name in ("json", "csv")
        if not keeps_labels:
            movie = replace(movie, table=relabelled(movie.table))
        write_tracks(
            path,
            movie,
            format=chosen.name,
            overwrite=overwrite,
            options=options,
            progress=progress,
        )
        return [] if keeps_labels else losses(movie, chosen)
