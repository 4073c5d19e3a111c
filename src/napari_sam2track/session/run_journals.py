"""Journals: what each run in a folder replaced, so that the last can be undone and redone.

A journal is a folder with the old frames of one run, and the earlier session and decisions.
It is made under another name and renamed, so that it is complete. An undo first makes the
journal that undoes it (``.redo``): once that has its name the undo happens, and is finished after
a kill; before that nothing has changed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from napari_sam2track.storage.durable import sync, sync_all
from napari_sam2track.storage.output import refuse_links, remove

#: Files in a journal: its run was finished; it was undone, but results do not show it yet.
CLOSED, UNSETTLED = "closed", "unsettled"
_NEW, _REDO, _OLD = ".new", ".redo", ".old"
_NUMBER = re.compile(r"[0-9]{4,9}")


class RunJournals:
    """The journals of a run store, by number.

    Parameters
    ----------
    folder
        Made when the first run begins.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Path]:
        """The journals, the last run's last."""
        if not self.folder.is_dir():
            return []
        return sorted(p for p in self.folder.iterdir() if _NUMBER.fullmatch(p.name))

    def find(self, number: int | None) -> Path | None:
        """The journal of a run, of the last one if no number is given; None if there is none."""
        found = [p for p in self.all() if number is None or int(p.name) == number]
        return found[-1] if found else None

    def open(self, before: Iterable[Path]) -> Path:
        """Return the journal of the current run: one that a stopped run left open, or a new one.

        Parameters
        ----------
        before
            Files that are restored together with the masks; those that are missing are left out.
        """
        last = self.find(None)
        if last is not None and not (last / CLOSED).exists():
            return last
        journal = self.folder / f"{int(last.name) + 1 if last is not None else 0:04d}"
        new = self._emptied(journal, _NEW)
        self._copy(before, new)
        return new.rename(journal)

    def close(self, journal: Path) -> None:
        """Mark the run as finished."""
        (journal / CLOSED).touch()
        sync(journal)

    def drop(self, journal: Path) -> None:
        """Forget a run."""
        old = self._beside(journal, _OLD)
        journal.rename(old)
        remove(old)

    def prune(self) -> None:
        """Forget all runs but the last."""
        for journal in self.all()[:-1]:
            self.drop(journal)

    # -- undo ----------------------------------------------------------------------------------

    def new_redo(self, journal: Path, now: Iterable[Path]) -> Path:
        """Return a folder for what an undo is going to replace, for `commit_undo`."""
        new = self._emptied(journal, _NEW)
        self._copy(now, new)
        for name in (CLOSED, UNSETTLED):
            (new / name).touch()
        return new

    def commit_undo(self, journal: Path, new: Path) -> None:
        """Commit an undo: from here on it happens, also after a kill."""
        sync_all(new)
        new.rename(self._beside(journal, _REDO))
        sync(self.folder)

    def begun_undo(self) -> Path | None:
        """Return a journal whose undo was committed, and is not known to be carried out."""
        return next((p for p in self.all() if self._beside(p, _REDO).exists()), None)

    def swap(self, journal: Path) -> None:
        """End an undo: its redo takes the place of the journal."""
        old = self._beside(journal, _OLD)
        remove(old)
        journal.rename(old)
        self._beside(journal, _REDO).rename(journal)
        sync(self.folder)
        remove(old)

    def unsettled(self) -> Path | None:
        """Return the journal of an undo that results do not show yet; None if they show all."""
        last = self.find(None)
        return last if last is not None and (last / UNSETTLED).exists() else None

    def settle(self) -> None:
        """Note that results show the last undo."""
        journal = self.unsettled()
        if journal is not None:
            (journal / UNSETTLED).unlink()

    def tidy(self) -> None:
        """Remove what a kill left half made or half removed."""
        if not self.folder.is_dir():
            return
        refuse_links(self.folder, *self.folder.iterdir())
        for redo in self.folder.glob(f"*{_REDO}"):
            journal = self.folder / redo.name.removesuffix(_REDO)
            if not journal.exists():  # killed between the two renames of `swap`
                redo.rename(journal)
                sync(self.folder)
        for kind in (_NEW, _OLD):
            for path in self.folder.glob(f"*{kind}"):
                remove(path)

    # -- inside --------------------------------------------------------------------------------

    def _beside(self, journal: Path, kind: str) -> Path:
        return self.folder / f"{journal.name}{kind}"

    def _emptied(self, journal: Path, kind: str) -> Path:
        new = self._beside(journal, kind)
        remove(new)
        new.mkdir(parents=True)
        return new

    def _copy(self, files: Iterable[Path], new: Path) -> None:
        for path in files:
            if path.exists():
                shutil.copyfile(path, new / path.name)
        sync_all(new)
