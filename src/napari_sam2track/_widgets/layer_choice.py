"""A combo box of layers, which follows the viewer and keeps its choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QWidget


class LayerChoice(QComboBox):
    """Choose a layer of some kinds.

    It holds layers, not names: whoever renames one keeps the choice. Layers come through the
    plugin's viewer as proxies, so they are compared, never told apart by identity.

    Parameters
    ----------
    viewer
        The viewer; layers that come and go are followed until `close_choice`.
    kinds
        Kinds of layers, as napari writes them: ``image``, ``labels``, ``tracks``.
    none_text
        What stands for no layer; None: a layer is always chosen, if there is one.
    accept
        Which layers are offered; all if not given.

    Attributes
    ----------
    changed
        Signal: the choice is another one, by whatever cause.
    """

    changed = Signal()

    def __init__(
        self,
        viewer: Any,
        kinds: tuple[str, ...],
        none_text: str | None = None,
        accept: Callable[[Any], bool] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._kinds, self._none = viewer, kinds, none_text
        self._accept = accept or (lambda layer: True)
        self._layers: list[Any] = []
        self._named: list[Any] = []
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        events = viewer.layers.events
        self._sources = [events.inserted, events.removed, events.reordered]
        for emitter in self._sources:
            emitter.connect(self._renew)
        self._renew()
        self.currentIndexChanged.connect(lambda _: self.changed.emit())

    def value(self) -> Any:
        """The chosen layer; None if there is none."""
        k = self.currentIndex() - (self._none is not None)
        return self._layers[k] if 0 <= k < len(self._layers) else None

    def set_value(self, layer: Any) -> None:
        """Choose a layer, or (None) none."""
        if layer is None:
            self.setCurrentIndex(0 if self._none is not None else -1)
            return
        for k, other in enumerate(self._layers):
            if other == layer:
                self.setCurrentIndex(k + (self._none is not None))
                return

    def close_choice(self) -> None:
        """Follow the viewer no more."""
        for emitter in self._sources:
            emitter.disconnect(self._renew)
        for layer in self._named:
            layer.events.name.disconnect(self._renew)
        self._sources, self._named = [], []

    def _renew(self, event: Any = None) -> None:
        before = self.value()
        for layer in self._named:
            layer.events.name.disconnect(self._renew)
        everything = list(self._viewer.layers)
        self._named = everything
        for layer in everything:
            layer.events.name.connect(self._renew)
        kinds = self._kinds
        self._layers = [x for x in everything if _kind(x) in kinds and self._accept(x)]
        blocker = QSignalBlocker(self)
        self.clear()
        if self._none is not None:
            self.addItem(self._none)
        self.addItems([layer.name for layer in self._layers])
        kept = next((x for x in self._layers if before is not None and x == before), None)
        if kept is None and self._none is None and self._layers:
            kept = self._layers[-1]
        self.set_value(kept)
        blocker.unblock()
        after = self.value()
        if (before is None) != (after is None) or (before is not None and before != after):
            self.changed.emit()


def _kind(layer: Any) -> str:
    """``image``, ``labels``, ... without asking for what is private to napari."""
    return str(layer.__class__.__name__).lower()
