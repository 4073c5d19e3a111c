"""From the choice of an image to all that a project needs, one named state after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, Protocol

from napari_sam2track._napari.background import Background, Job
from napari_sam2track._napari.project_setup import (
    Found,
    Ready,
    check_free,
    check_labels,
    find_work,
    look_up,
    make_ready,
)
from napari_sam2track._napari.work_folder import give_back
from napari_sam2track.errors import Sam2TrackError, UsageError
from napari_sam2track.params import FramesParams


class StartState(Enum):
    """How far the beginning of work on an image is."""

    NOTHING = "no image is looked at"
    READING = "saved work on the image is looked for"
    FOUND = "it is known what work there is"
    OPENING = "labels are opened and measured"
    CLOSED = "the dock is gone"


@dataclass(frozen=True, eq=False)
class StartRequest:
    """What a person wants to work on.

    Attributes
    ----------
    layer, params
        The image layer, and how it is looked at.
    labels
        The Labels layer to work on; None: new labels.
    go_on
        Go on with saved work, if there is some.
    then
        Called with the project once it is open.
    """

    layer: Any
    params: FramesParams
    labels: Any = None
    go_on: bool = False
    then: Callable[[Any], object] | None = None


class StartListener(Protocol):
    """Who is told, in the window's thread, how far it is; the dock."""

    def start_found(self, found: Found) -> None:
        """It is known what work there is on the image."""
        ...

    def start_opening(self, request: StartRequest, found: Found) -> None:
        """Labels are being opened; ``found.earlier`` is gone on with if that was asked."""
        ...

    def start_measured(self, done: int, total: int) -> None:
        """So many frames of the labels are measured."""
        ...

    def start_opened(self, request: StartRequest, ready: Ready) -> None:
        """All is there that a project needs."""
        ...

    def start_failed(self, error: BaseException, was: StartState) -> None:
        """It failed in a state; nothing is looked at now."""
        ...


class ProjectStart:
    """Looks for saved work on an image, and opens it or new work when that is asked for.

    A request that comes while the image is read waits for it.

    Parameters
    ----------
    background
        Does what reads files.
    listener
        Is told of each step.

    Attributes
    ----------
    state
        How far it is.
    found
        What work there is on the image; None before that is known.
    """

    def __init__(self, background: Background, listener: StartListener) -> None:
        self._background, self._listener = background, listener
        self.state = StartState.NOTHING
        self.found: Found | None = None
        self._candidate: Found | None = None
        self._waiting: StartRequest | None = None

    def look_at(self, layer: Any, params: FramesParams) -> None:
        """Look for saved work on an image, in the background.

        Raises
        ------
        FramesError
            If its axes do not fit.
        """
        self.forget()
        if self.state is StartState.NOTHING:
            candidate = find_work(layer, params)
            self._candidate, self.state = candidate, StartState.READING
            job = Job(lambda: look_up(candidate), self._take_found, on_error=self._fail)
            job.key = "look up"
            self._background.submit(job)

    def forget(self) -> None:
        """Look at no image any more, unless one is being opened."""
        self.found = self._candidate = self._waiting = None
        if self.state in (StartState.READING, StartState.FOUND):
            self.state = StartState.NOTHING

    def start(self, request: StartRequest) -> None:
        """Open what is asked for, as soon as it is known what there is.

        Raises
        ------
        Sam2TrackError
            If the image or the labels cannot be worked on.
        """
        if self.state is StartState.NOTHING:
            self.look_at(request.layer, request.params)
        if self.state is StartState.READING:
            self._waiting = request
        elif self.state is StartState.FOUND:
            self._open(request)

    def close(self) -> None:
        """Tell nobody any more; what is opened yet is given back."""
        self.state = StartState.CLOSED

    def _take_found(self, found: Found) -> None:
        candidate = self._candidate
        if self.state is not StartState.READING or candidate is None:
            return
        if found.frames is not candidate.frames:  # another image was chosen since
            return
        self.found, self.state = found, StartState.FOUND
        self._listener.start_found(found)
        request, self._waiting = self._waiting, None
        if request is not None:
            try:
                self._open(request)
            except (Sam2TrackError, ValueError) as error:
                self._fail(error)

    def _open(self, request: StartRequest) -> None:
        assert self.found is not None
        go_on = request.go_on and self.found.earlier is not None
        found = self._as_now(self.found, request, go_on)
        labels = request.labels
        if labels is not None:
            check_labels(labels, found.geometry)
            check_free(labels)
        array = None if labels is None else labels.data
        self.state = StartState.OPENING
        self._listener.start_opening(request, found)
        self._background.submit(
            Job(
                lambda: make_ready(found, go_on, array),
                partial(self._take_ready, request),
                on_error=self._fail,
            )
        )

    def _as_now(self, found: Found, request: StartRequest, go_on: bool) -> Found:
        """Return an image as it is by now: its contrast or place may be others than when found.

        Work that is gone on with sees the contrast of before, else nothing of it would hold.
        """
        params = request.params
        if go_on and found.earlier is not None and params.intensity is None:
            params = params.model_copy(update={"intensity": found.earlier.frames.intensity})
        now = find_work(request.layer, params)
        if now.geometry.shape != found.geometry.shape:
            self.look_at(request.layer, request.params)
            raise UsageError("the image is another one by now: it is read again; then press Start")
        return replace(found, frames=now.frames, geometry=now.geometry, params=params)

    def _take_ready(self, request: StartRequest, item: tuple[int, int] | Ready) -> None:
        if self.state is StartState.CLOSED:
            if isinstance(item, Ready):
                give_back(item.found.folder)
        elif isinstance(item, Ready):
            self.state = StartState.NOTHING
            self._listener.start_opened(request, item)
        else:
            self._listener.start_measured(*item)

    def _fail(self, error: BaseException) -> None:
        was = self.state
        if was is not StartState.CLOSED:
            self.state, self.found, self._waiting = StartState.NOTHING, None, None
            self._listener.start_failed(error, was)
