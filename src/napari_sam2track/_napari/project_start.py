"""Start of a project: from the choice of an image to its data, as named states in turn."""

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
    """States of the start of work on an image."""

    NOTHING = "no image is looked at"
    READING = "saved work on the image is looked for"
    FOUND = "it is known what work there is"
    OPENING = "labels are opened and measured"
    CLOSED = "the dock is gone"


@dataclass(frozen=True, eq=False)
class StartRequest:
    """Request of a person to begin work.

    Attributes
    ----------
    layer, params
        The image layer, and its axes, channel and intensity.
    labels
        The Labels layer to work on; None: new labels.
    go_on
        Resume saved work, if there is some.
    then
        Called with the project once it is open.
    """

    layer: Any
    params: FramesParams
    labels: Any = None
    go_on: bool = False
    then: Callable[[Any], object] | None = None


class StartListener(Protocol):
    """Listener, in the window's thread, to the states of a start; the dock."""

    def start_found(self, found: Found) -> None:
        """Saved work on the image was found, or there is none."""
        ...

    def start_opening(self, request: StartRequest, found: Found) -> None:
        """Labels are being opened; ``found.earlier`` is resumed if the request says so."""
        ...

    def start_measured(self, done: int, total: int) -> None:
        """Some frames of the labels are measured."""
        ...

    def start_opened(self, request: StartRequest, ready: Ready) -> None:
        """The work is open: all data of a project are there."""
        ...

    def start_failed(self, error: BaseException, was: StartState) -> None:
        """A state failed; no image is chosen now."""
        ...


class ProjectStart:
    """Finds saved work on an image, and opens it or new work on request.

    A request that comes while the image is read waits for it.

    Parameters
    ----------
    background
        Thread that reads files.
    listener
        Is notified of each state.

    Attributes
    ----------
    state
        The current state.
    found
        Saved work on the image; None before that is known.
    """

    def __init__(self, background: Background, listener: StartListener) -> None:
        self._background, self._listener = background, listener
        self.state = StartState.NOTHING
        self.found: Found | None = None
        self._candidate: Found | None = None
        self._waiting: StartRequest | None = None

    def look_at(self, layer: Any, params: FramesParams) -> None:
        """Find saved work on an image, in the background.

        Raises
        ------
        FramesError
            If its axes do not fit.
        """
        waiting = self._waiting if self._waiting and self._waiting.layer is layer else None
        self.forget()
        if self.state is StartState.NOTHING:
            candidate = find_work(layer, params)
            self._candidate, self.state = candidate, StartState.READING
            if waiting is not None:  # it is still this image that is to be worked on
                self._waiting = replace(waiting, params=params)
            job = Job(
                lambda: look_up(candidate),
                self._take_found,
                on_error=partial(self._fail_to_look, candidate),
                key="look up",
            )
            self._background.submit(job)

    def forget(self) -> None:
        """Drop the image, unless its work is being opened."""
        self.found = self._candidate = self._waiting = None
        if self.state in (StartState.READING, StartState.FOUND):
            self.state = StartState.NOTHING

    def start(self, request: StartRequest) -> None:
        """Open the work of a request, as soon as saved work was searched for.

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
        """Stop all reports; work that is still being opened is released."""
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
                self._listener.start_failed(error, StartState.READING)

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
                on_error=self._fail_to_open,
            )
        )

    def _as_now(self, found: Found, request: StartRequest, go_on: bool) -> Found:
        """Return an image in its present state: its contrast or place may have changed since.

        Resumed work keeps its earlier contrast, else none of its results would hold.
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

    def _fail_to_look(self, candidate: Found, error: BaseException) -> None:
        if self.state is StartState.READING and candidate is self._candidate:
            self.forget()
            self._listener.start_failed(error, StartState.READING)

    def _fail_to_open(self, error: BaseException) -> None:
        if self.state is not StartState.CLOSED:
            self.state = StartState.NOTHING
            self.forget()
            self._listener.start_failed(error, StartState.OPENING)
