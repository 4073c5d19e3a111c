"""Editing of tracks by clicks on the canvas: one tool at a time, on one layer of ours."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from psygnal import Signal

from napari_sam2track._napari.project import Project
from napari_sam2track.tracks.editing.edits import (
    Delete,
    Merge,
    Relabel,
    SetParent,
    Split,
    Swap,
    UnsetParent,
)
from napari_sam2track.tracks.editing.paint_edits import FillGap
from napari_sam2track.tracks.editing.track_state import Edit

#: Pixels of the screen by which the mouse may move in a click.
_STILL = 4


@dataclass(frozen=True)
class Tool:
    """Tool that edits tracks by clicks.

    Attributes
    ----------
    title, tip
        For its button.
    asks
        Request for each click in turn; ``{a}`` is the track that was clicked on first.
    edit
        (tracks that were clicked on, frame, whether Shift was held) to the edit and its title.
    """

    title: str
    tip: str
    asks: tuple[str, ...]
    edit: Callable[[list[int], int, bool], tuple[Edit, str]]


def _merge(ids: list[int], t: int, shift: bool) -> tuple[Edit, str]:
    a, b = ids
    return Merge(a, b, "union" if shift else "refuse"), f"merge {a} and {b}"


def _delete(ids: list[int], t: int, shift: bool) -> tuple[Edit, str]:
    if shift:
        return Delete(ids[0], start=t), f"delete {ids[0]} from frame {t} on"
    return Delete(ids[0]), f"delete {ids[0]}"


TOOLS = {
    "merge": Tool(
        "Merge",
        "Click on two tracks, on any frames: the second becomes part of the first. Shift on the "
        "second: even where both are on one frame",
        ("Merge: click on the track that stays", "Merge: click on what becomes part of {a}"),
        _merge,
    ),
    "split": Tool(
        "Split here",
        "Click on a track: from this frame on it gets a new id",
        ("Split: click on a track; from this frame on it is a new one",),
        lambda ids, t, shift: (Split(ids[0], t), f"split {ids[0]} at frame {t}"),
    ),
    "swap": Tool(
        "Swap here",
        "Click on two tracks: from this frame on they exchange their ids",
        ("Swap: click on a track", "Swap: click on the one with which {a} is mixed up"),
        lambda ids, t, shift: (
            Swap(ids[0], ids[1], t),
            f"swap {ids[0]} and {ids[1]} from frame {t} on",
        ),
    ),
    "delete": Tool(
        "Delete",
        "Click on a track to delete it; with Shift only from this frame on",
        ("Delete: click on a track; Shift+click: from this frame on only",),
        _delete,
    ),
    "parent": Tool(
        "Set parent",
        "Click on a daughter, then go to a frame with her mother and click on her",
        ("Parent: click on the daughter", "Parent: click on the mother of {a}, on any frame"),
        lambda ids, t, shift: (SetParent(ids[0], ids[1]), f"{ids[1]} is the parent of {ids[0]}"),
    ),
    "gap": Tool(
        "Fill gap",
        "Click on a track: where it is missing it is drawn between its masks before and after",
        ("Fill gap: click on a track that is missing on some frames",),
        lambda ids, t, shift: (FillGap(ids[0]), f"fill gaps of {ids[0]}"),
    ),
}

#: Actions on the current object: title, tip, and the function that makes the edit.
ACTIONS: dict[str, tuple[str, str, Callable[[int, int, int], tuple[Edit, str]]]] = {
    "split": (
        "Split here",
        "From this frame on the current track gets a new id",
        lambda i, t, new: (Split(i, t), f"split {i} at frame {t}"),
    ),
    "delete": (
        "Delete",
        "Delete the current track on all frames",
        lambda i, t, new: (Delete(i), f"delete {i}"),
    ),
    "delete_on": (
        "Delete rest",
        "Delete the current track on this frame and all later ones",
        lambda i, t, new: (Delete(i, start=t), f"delete {i} from frame {t} on"),
    ),
    "delete_here": (
        "Delete here",
        "Delete the current track on this frame only",
        lambda i, t, new: (Delete(i, t, t), f"delete {i} in frame {t}"),
    ),
    "orphan": (
        "No parent",
        "The current track descends from none",
        lambda i, t, new: (UnsetParent(i), f"{i} has no parent"),
    ),
    "gap": (
        "Fill gaps",
        "Draw the current track where it is missing, between its masks before and after",
        lambda i, t, new: (FillGap(i), f"fill gaps of {i}"),
    ),
    "new_id": (
        "New id",
        "Give the current track an id that no track has or had",
        lambda i, t, new: (Relabel(i, new), f"{i} becomes {new}"),
    ),
}


class TrackTools:
    """The tools of a project.

    Attributes
    ----------
    name
        Of the active tool; None: clicks do what napari does.
    changed
        psygnal signal: another tool is active, or another click is expected.
    """

    changed = Signal()

    def __init__(self, project: Project) -> None:
        self._project, self._layer = project, project.labels
        self.name: str | None = None
        self._picked: list[int] = []
        self._mode: Any = None
        self._active: Any = None
        self._callback: Callable[..., Any] | None = None

    @property
    def text(self) -> str:
        """Request for the next click."""
        if self.name is None:
            return ""
        asks = TOOLS[self.name].asks
        return asks[len(self._picked)].format(a=self._picked[0] if self._picked else "")

    def start(self, name: str | None) -> None:
        """Activate a tool in place of another; None: deactivate it."""
        if name is None or name == self.name:
            self._stop(restore=True)
            return
        self._picked, project = [], self._project
        if self.name is None:
            self._mode, self._active = self._layer.mode, project.viewer.layers.selection.active
            self._layer.mode = "pan_zoom"
            self._layer.events.mode.connect(self._on_mode)
            self._callback = partial(_pressed, self)
            self._layer.mouse_drag_callbacks.append(self._callback)
        self.name = name
        project.viewer.layers.selection.active = self._layer
        self.changed.emit()

    def back(self) -> None:
        """Forget the first click; if there was none, deactivate the tool."""
        if self._picked:
            self._picked = []
            self.changed.emit()
        else:
            self._stop(restore=True)

    def close(self) -> None:
        """Deactivate the tool, without signals."""
        self.changed.disconnect()
        self._stop(restore=True)

    def act(self, name: str) -> bool:
        """Edit the current object; one of `ACTIONS`."""
        project = self._project
        work, i = project.work, project.current
        edit, title = ACTIONS[name][2](i, project.frame, work.next_id)
        done = project.edit([edit], title)
        if done and name == "new_id":
            project.set_current(work.state.next_id - 1)
        return done

    def click(self, track: int, shift: bool = False) -> None:
        """Handle a click on a track on the shown frame."""
        if self.name is None:
            return
        tool, project = TOOLS[self.name], self._project
        if not track:
            project.tell("info", f"There is no track under the mouse. {self.text}")
            return
        self._picked.append(track)
        project.set_current(self._picked[0])
        if len(self._picked) == len(tool.asks):
            ids, self._picked = self._picked, []
            if project.edit(*_as_step(tool.edit(ids, project.frame, shift))):
                project.tell("info", f"Done: {project.work.history.steps[-1].note.title}")  # type: ignore[attr-defined]
        self.changed.emit()

    def _on_mode(self, event: Any = None) -> None:
        """Handle the choice of one of napari's own tools."""
        if str(self._layer.mode) != "pan_zoom":
            self._stop(restore=False)

    def _stop(self, restore: bool) -> None:
        if self.name is None:
            return
        self.name, self._picked = None, []
        self._layer.events.mode.disconnect(self._on_mode)
        if self._callback in self._layer.mouse_drag_callbacks:
            self._layer.mouse_drag_callbacks.remove(self._callback)
        self._callback = None
        layers = self._project.viewer.layers
        if restore:
            self._layer.mode = self._mode
            if self._active is not None and self._active in layers:
                layers.selection.active = self._active
        self._active = None
        self.changed.emit()


def _as_step(asked: tuple[Edit, str]) -> tuple[list[Edit], str]:
    return [asked[0]], asked[1]


def _pressed(tools: TrackTools, layer: Any, event: Any) -> Generator[None, None, None]:
    """Handle a press of the mouse; napari resumes this while it moves, and at the release."""
    if event.button != 1:
        return
    begin, shift = np.array(event.pos, float), "Shift" in event.modifiers
    value = layer.get_value(
        event.position,
        view_direction=event.view_direction,
        dims_displayed=event.dims_displayed,
        world=True,
    )
    yield
    while event.type == "mouse_move":
        yield
    if np.abs(np.array(event.pos, float) - begin).max() <= _STILL:  # else the canvas was moved
        tools.click(int(value or 0), shift)
