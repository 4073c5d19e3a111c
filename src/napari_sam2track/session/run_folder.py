"""A run in the folder of its results: its session, its store, its outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.params import OutputParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.session.results_folder import (
    RUN,
    check_folder,
    clear_run,
    has_run,
    session_of_run,
    what_was_kept,
    write_results,
    writing_to,
)
from napari_sam2track.session.run_store import SESSION, RunStore
from napari_sam2track.session.runner import Runner
from napari_sam2track.session.session import Session
from napari_sam2track.session.session_file import SessionFile, read_session


class RunFolder:
    """A run that this process alone writes to; `new_run` begins one.

    Parameters
    ----------
    folder
        Of the results, within `results_folder.writing_to`.
    session
        What the run is computed from.
    file
        The session file, which replays it.
    source
        What to call the movie.
    keep
        Store the file as that of the run; else only compare it with what is there.

    Attributes
    ----------
    runner, store
        The runner computes the run, the store holds its results.

    Raises
    ------
    FormatError
        If the folder holds a run with other settings.
    """

    def __init__(
        self, folder: Path, session: Session, file: SessionFile, source: str, keep: bool = True
    ) -> None:
        self.folder, self.file, self.source = folder, file, source
        movie, precise = session.frames, session.engine.equality == "exact"
        size = movie.n_frames, movie.height, movie.width
        self.store = RunStore(folder / RUN, size, precise=precise)
        self.store.begin(file, keep=keep)
        self.runner = Runner(session, self.store)

    def ask(self, session: Session, file: SessionFile) -> None:
        """Change the session, as by other prompts: what that makes stale can then be computed."""
        self.store.begin(file)
        self.file, self.runner = file, Runner(session, self.store)

    def undo(self) -> list[int] | None:
        """Undo the last run in the folder, and restore the session of before.

        Returns
        -------
        list of int or None
            The frames that changed; None if there is no run to undo.
        """
        changed = self.store.undo()
        if changed is not None:
            self.file = run_in(self.folder)
            asked = replace(
                self.runner.session,
                prompts=self.file.prompt_set(),
                engine=self.file.engine,
                auto=self.file.auto,
            )
            self.runner = Runner(asked, self.store)
            self.runner.recall()
        return changed

    def write(self, output: OutputParams, progress: ProgressHook) -> list[str]:
        """Write the results of finished frames; they appear together.

        Returns
        -------
        list of str
            A sentence for each file of a person's that was kept.
        """
        made, file = self.runner.decided, self.file
        if made is not None:
            file = file.model_copy(update={"mode": made.mode, "decisions": made.to_dict()})
        done = self.store.finished()
        note = self.runner.session.provenance(self.source, done, made)
        outcome = write_results(self.folder, self.runner, file, note, output, progress)
        self.store.settle()
        return what_was_kept(self.folder, outcome)


@contextmanager
def new_run(
    folder: Path, session: Session, file: SessionFile, source: str, overwrite: bool = False
) -> Iterator[RunFolder]:
    """Begin a run in a folder, and hold it.

    Raises
    ------
    OutputError
        If the folder holds something and `overwrite` is not set, or another process writes.
    """
    check_folder(folder, resume=False, overwrite=overwrite)
    _ = session.network  # errors of the model or the sizes are raised before any file is made
    with writing_to(folder):
        if has_run(folder) and not overwrite:  # begun by another process since the check
            raise OutputError(f"another run has begun in {folder}; choose another folder")
        clear_run(folder)
        yield RunFolder(folder, session, file, source)


def run_in(folder: Path) -> SessionFile:
    """Return the session of the run in a folder.

    Raises
    ------
    FormatError
        If it cannot be read; the message says how to continue without it.
    """
    try:
        return read_session(session_of_run(folder))
    except FormatError as error:
        made = folder / SESSION
        way = f"run it again with --session {made} into another folder" if made.exists() else ""
        way = way or "start anew with --overwrite"
        raise FormatError(f"{error}; the results themselves are not touched: {way}") from error
