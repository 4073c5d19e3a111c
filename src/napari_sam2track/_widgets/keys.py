"""Keys of the docks: bound while a dock is open, and released when it closes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

#: Actions of the keys, in words for the help; the names are those of `settings.Keys`.
MEANINGS = {
    "toggle": "the next click (and the selected points) on the object, or beside it",
    "segment": "segment this frame from its prompts",
    "propagate": "propagate as the dock says",
    "next_object": "next object: clicks and paint are for a new one",
    "next_problem": "go to the next frame that needs a look",
    "accept": "accept the current object on this frame, or open it again",
    "clear": "clear the prompts of the current object on this frame",
    "stop": "stop what goes on; what is finished stays",
}
UNDO, REDO = "Control-Z", "Control-Shift-Z"


class KeyBindings:
    """Keys on layers and on the viewer.

    A layer's keys go before those of the viewer, and those of one layer before those of its kind:
    so keys are bound on our own layers, where they must win, and on the viewer for the others.
    Earlier bindings are restored at the end.
    """

    def __init__(self) -> None:
        self._bound: list[tuple[Any, str, Any]] = []

    def bind(self, targets: Iterable[Any], actions: Mapping[str, Callable[[], object]]) -> None:
        """Bind keys to actions on layers, or the viewer.

        Raises
        ------
        ValueError
            If something is no key.
        """
        for target in targets:
            for key, action in actions.items():

                def call(_: Any, action: Callable[[], object] = action) -> None:
                    action()

                before = target.bind_key(key, call, overwrite=True)
                self._bound.append((target, key, before))

    def release(self) -> None:
        """Unbind all keys, and restore earlier bindings."""
        for target, key, before in reversed(self._bound):
            target.bind_key(key, None)
            if before is not None:
                target.bind_key(key, before)
        self._bound = []


def shown(key: str) -> str:
    """Return a key as a button shows it: "Shift+S" for "Shift-S", "Esc" for "Escape"."""
    return key.replace("Control", "Ctrl").replace("Escape", "Esc").replace("-", "+")
