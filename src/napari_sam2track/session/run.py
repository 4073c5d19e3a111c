"""A run as the Python API gives it: its labels, its tables, and corrections."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import PromptError, UsageError
from napari_sam2track.formats.editable_tracks import Tracks
from napari_sam2track.frames.lazy_array import LazyFrames, lazy_labels
from napari_sam2track.labels import Closing, MappedFrames
from napari_sam2track.params import OutputParams
from napari_sam2track.progress import ProgressHook, checked_hook
from napari_sam2track.prompts import PromptSet
from napari_sam2track.prompts.from_numbers import mask_prompt_from, prompts_from_numbers
from napari_sam2track.session.object_table import COLUMNS, object_rows
from napari_sam2track.session.run_folder import RunFolder
from napari_sam2track.session.runner import RunStep
from napari_sam2track.session.session import Session
from napari_sam2track.tracks.regions import measure_regions
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of

if TYPE_CHECKING:
    import pandas as pd


class Run(Closing):
    """Objects followed through a movie; `follow` and `open_run` return one.

    Use it in a ``with`` block, or `close` it: until then no other process can write to the run.

    Attributes
    ----------
    session
        Movie, model, prompts and parameters, as a value.

    Examples
    --------
    >>> import napari_sam2track as st
    >>> from napari_sam2track.samples import moving_cells
    >>> movie = moving_cells(n_frames=4, height=96, width=96, n_cells=3).images_tyx
    >>> with st.follow(movie, points={1: [(0, 40, 50)]}) as run:
    ...     run.correct(1, 2, points=[(44, 52)])
    ...     labels = run.labels[2]  # of one frame; np.asarray(run.labels) reads all
    ...     table = run.table
    >>> labels.shape, table.columns[:4].tolist()
    ((96, 96), ['track_id', 'frame', 'parent_id', 'state'])
    """

    def __init__(self, folder: RunFolder, output: OutputParams | None, held: ExitStack) -> None:
        self._opened, self._output = folder, output
        self._close = self._end = weakref.finalize(self, held.close)

    def __repr__(self) -> str:
        if not self._end.alive:
            return "<Run, closed>"
        store = self._opened.store
        shape = " x ".join(map(str, store.shape))
        return f"<Run of {len(self.prompts.objects)} objects through {shape} (t, y, x)>"

    @property
    def _folder(self) -> RunFolder:
        if not self._end.alive:
            raise UsageError(
                "the run is closed; read what you need of it before, as with "
                "np.asarray(run.labels), or open it again where follow() was given out="
            )
        return self._opened

    def _labels(self) -> MappedFrames:
        """Return the stored labels; reading them fails once the run is closed."""

        def while_open(t: int, labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
            _ = self._folder
            return labels

        return MappedFrames(self._folder.store.labels(), while_open)

    @property
    def session(self) -> Session:
        """Movie, model, prompts and parameters."""
        return self._folder.runner.session

    @property
    def prompts(self) -> PromptSet:
        """Prompts of a person and objects found by the run; the former win on the same frame."""
        return self._folder.runner.all_prompts()

    @property
    def labels(self) -> LazyFrames:
        """Labels (T, Y, X), uint32, read frame by frame; ``np.asarray`` reads all."""
        return lazy_labels(self._labels())

    @property
    def parents(self) -> dict[int, int]:
        """Parent of each daughter, of divisions that were applied."""
        return self._folder.runner.plan.parents

    @property
    def tracks(self) -> Tracks:
        """The objects as tracks, to be edited, measured and saved; it ends with the run."""
        labels, runner = self._labels(), self._folder.runner
        table = table_of(labels)
        ids = set(table.ids.tolist())
        parents = {d: p for d, p in self.parents.items() if {d, p} <= ids}
        done = self._folder.store.finished()
        note = self.session.provenance(self._folder.source, done, runner.decided)
        return Tracks(TrackedMovie(replace(table, parents=parents), labels, provenance=note))

    @property
    def table(self) -> pd.DataFrame:
        """A row for each object on each frame, as ``tracks.csv`` has it.

        ``state`` is prompted, propagated, absent, lost or stopped; ``score`` is the
        network's of its presence, ``iou`` its guess of how good the mask is; y, x and the box are
        in pixels, the ends of the box excluded.
        """
        import pandas as pd

        store, parents, rows = self._folder.store, self.parents, []
        for t in store.finished():
            frame = store.read(t)
            if frame is not None:
                rows += list(object_rows(t, frame, measure_regions(frame.labels_yx), parents))
        return pd.DataFrame(rows, columns=COLUMNS)

    @property
    def states(self) -> pd.DataFrame:
        """State of each object (rows) on each frame (columns).

        As `table`'s ``state``; ``stale`` where the prompts have changed since, so that
        `resume` computes it again; ``none`` where nothing is stored.
        """
        store = self._folder.store
        objects = sorted({*self.prompts.objects, *store.objects()})
        states = np.full((len(objects), store.n_frames), "none", dtype=object)
        row = {object_id: k for k, object_id in enumerate(objects)}
        for t in store.finished():
            frame = store.read(t)
            for _, result in () if frame is None else frame.results():
                states[row[result.object_id], t] = result.state.value
        for object_id, frames in self._folder.runner.stale().items():
            known = [t for t in frames if states[row[object_id], t] != "none"]
            states[row[object_id], known] = "stale"
        import pandas as pd

        return pd.DataFrame(states, index=pd.Index(objects, name="track_id"))

    def correct(
        self,
        object_id: int,
        t: int,
        points: Iterable[Sequence[float]] = (),
        box: Sequence[float] | None = None,
        mask: Any = None,
        progress: ProgressHook | None = None,
    ) -> None:
        """Add prompts of an object on a frame, and compute stale frames.

        Parameters
        ----------
        object_id
            One that is followed, or a new one.
        t
            The frame.
        points
            Clicks (y, x), or (y, x, positive), where 0 is a negative click; they join earlier ones.
        box
            (y0, x0, y1, x1); it replaces an earlier box.
        mask
            (Y, X), true where the object is; it replaces all prompts of the object on the frame.
        progress
            Called as ``progress(steps, total, "Following")``; it passes the steps on.

        Raises
        ------
        PromptError
            If the prompt does not fit the movie, or is empty.
        """
        session = self.session
        shape = session.frames.height, session.frames.width
        if not session.engine.start <= t <= session.last:
            raise PromptError(
                f"frame {t} is outside frames {session.engine.start} to {session.last} of this "
                "run; open it with another range, as in open_run(folder, stop=...)"
            )
        said = prompts_from_numbers(
            {object_id: points}, None if box is None else {object_id: box}, shape=shape, frame=t
        )
        if mask is not None:
            mask_prompt = mask_prompt_from(mask, shape)
            if said:
                raise PromptError("a mask stands alone; leave out points and box, or the mask")
            prompts = session.prompts.put(object_id, t, mask_prompt)
        elif said:
            prompts = session.prompts.merge(said)
        else:
            raise PromptError("nothing is corrected; give points, a box or a mask")
        self._ask(prompts)
        self.resume(progress)

    def forget(
        self, object_id: int, t: int | None = None, progress: ProgressHook | None = None
    ) -> None:
        """Delete the prompt of an object on a frame, or the object, and compute stale frames.

        Raises
        ------
        PromptError
            If there is no such prompt.
        """
        self._ask(self.session.prompts.remove(object_id, t))
        self.resume(progress)

    def _ask(self, prompts: PromptSet) -> None:
        session = replace(self.session, prompts=prompts)
        session.check()
        file = self._folder.file
        asked = session.to_file(file.source, file.frames, file.output, fingerprint=file.fingerprint)
        self._folder.ask(session, asked)

    def resume(self, progress: ProgressHook | None = None) -> None:
        """Compute stale frames, as after an interruption, and write the results.

        Ctrl-C keeps finished frames.

        Parameters
        ----------
        progress
            Called as ``progress(steps, total, "Following")``; it passes the steps on. Results are
            written if a folder was chosen.
        """
        hook, runner = checked_hook(progress), self._folder.runner
        total = sum(map(len, runner.stale().values()))
        # closed before anything else, so that nothing is stored after the folder is given back
        with closing(runner.propagate()) as steps:
            for _ in hook(_object_frames(steps), total, "Following"):
                pass
        self._write(hook)

    def undo(self, progress: ProgressHook | None = None) -> list[int]:
        """Undo the last computation; called once more, redo it.

        Returns
        -------
        list of int
            The frames that changed.

        Raises
        ------
        UsageError
            If there is nothing to undo.
        """
        changed = self._folder.undo()
        if changed is None:
            raise UsageError("there is nothing to undo; no computation has changed anything")
        self._write(checked_hook(progress))
        return changed

    def _write(self, progress: ProgressHook) -> None:
        if self._output is not None:
            for sentence in self._folder.write(self._output, progress):
                warnings.warn(sentence, stacklevel=3)

    def save(
        self,
        path: str | PathLike[str],
        format: str | None = None,
        overwrite: bool = False,
        progress: ProgressHook | None = None,
        **write: Any,
    ) -> None:
        """Write the tracks to a file or folder; see `Tracks.save`."""
        self.tracks.save(path, format, overwrite, progress, **write)


def _object_frames(steps: Iterable[RunStep]) -> Iterator[RunStep]:
    """Yield each step once for each object that it is about, as totals count."""
    for step in steps:
        for _ in step.result.objects:
            yield step
