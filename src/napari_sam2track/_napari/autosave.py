"""Saves the work on an image while it is done, so that a crash loses seconds of it."""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import Any, Protocol

from napari_sam2track._napari.background import Background, Job
from napari_sam2track._napari.geometry import PlaneLabels
from napari_sam2track._napari.layer_values import KEY
from napari_sam2track._napari.project_setup import Found
from napari_sam2track._napari.ui_scheduler import UiScheduler
from napari_sam2track._napari.work_folder import give_back, lies_in, open_labels
from napari_sam2track.params import FramesParams
from napari_sam2track.session.session_file import ModelRef
from napari_sam2track.workspace.workspace import Workspace
from napari_sam2track.workspace.workspace_file import WorkFile, work_of, write_work

#: Milliseconds after a change.
_AFTER = 2000


class SavedProject(Protocol):
    """Interface of the work on an image that is saved; `MovieProject` has it."""

    image: Any
    found: Found
    plane: PlaneLabels
    work: Workspace
    names: dict[int, str]
    refused: set[tuple[int, int]]

    def fail(self, error: BaseException) -> None:
        """Report an error."""
        ...


class Saving:
    """Saves a project, in a thread of its own, a little after each change.

    Labels that are not on disk already are copied there frame by frame.
    """

    def __init__(self, project: SavedProject, name: str, pump: UiScheduler) -> None:
        self._project, self._name, self._pump = project, name, pump
        self._thread = Background("sam2track-saving", pump.wake, turns=False)
        pump.attach(self._thread)
        folder, geometry = project.found.folder, project.found.geometry
        self._mirror: PlaneLabels | None = None
        self._dirty: set[int] = set()
        self._closed = False
        if not lies_in(project.plane.array, folder):
            self._mirror = PlaneLabels(open_labels(folder, geometry.shape)[0], geometry)
            self._dirty = set(range(geometry.n_frames))
        self._source = source_of(project.image)

    def dirty(self, frames: Collection[int]) -> None:
        """Note that labels of these frames changed."""
        if self._mirror is not None:
            self._dirty.update(frames)
        self.later()

    def later(self) -> None:
        """Note a change, to be saved later."""
        if not self._closed:
            self._pump.later("save", _AFTER, self.now)

    def now(self) -> None:
        """Save, unless this was closed: a timer may still run then."""
        if self._closed:
            return
        self._thread.submit(Job(self._steps(), on_error=self._project.fail, key="save"))

    def _steps(self) -> Any:
        content, dirty = self._content(), self._dirty
        source, mirror = self._project.plane, self._mirror
        folder = self._project.found.folder
        whole = tuple(slice(0, n) for n in source.frame_shape)

        def steps() -> Generator[int, None, None]:
            # taken one by one, here: this job may be replaced before it begins, or fail
            while mirror is not None and dirty:
                t = dirty.pop()
                try:
                    mirror.write_box(t, whole, source.read(t))
                except BaseException:
                    dirty.add(t)
                    raise
                yield t
            write_work(folder, content())

        return steps

    def _content(self) -> Any:
        """Return the content of the file; prompts are turned to text in the other thread."""
        project, work = self._project, self._project.work
        info, annotations = work.session.model, work.annotations
        about: dict[str, Any] = {
            "image": self._name,
            "source": self._source,
            "frames": looked_at(project),
            "fingerprint": project.found.fingerprint,
            "model": ModelRef(name=info.name if info.kind != "local" else str(info.path)),
            "device": work.session.device,
            "engine": work.session.engine,
            "names": dict(project.names),
            "locked": tuple(sorted(work.locked)),
            "refused": tuple(sorted(project.refused)),
            "parents": dict(work.state.parents),
        }

        def content() -> WorkFile:
            return work_of(annotations, **about)

        return content

    def close(self) -> None:
        """Save, wait for it, and let others use the folder."""
        self.now()
        self._closed = True
        self._thread.finish()
        self._thread.close()
        give_back(self._project.found.folder)


def looked_at(project: SavedProject) -> FramesParams:
    """Return axes, channel and the contrast that the image had when work began."""
    params = project.found.params
    if params.intensity is not None or project.image.rgb:
        return params
    low, high = project.work.frames.intensity[0]
    return params.model_copy(update={"intensity": f"{low},{high}"})


def source_of(image: Any) -> str | None:
    """Return the file that an image layer came from; None if it was only in memory."""
    ours = (image.metadata or {}).get(KEY)
    if isinstance(ours, dict) and "source" in ours:
        return str(ours["source"])  # what napari read was the session
    path = getattr(image.source, "path", None)
    return None if path is None else str(path)
