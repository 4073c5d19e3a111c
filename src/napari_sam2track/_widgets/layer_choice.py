"""A choice among the layers of some kinds, which follows the viewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from psygnal import Signal
from qtpy.QtWidgets import QComboBox

_EVENTS = ("inserted", "removed", "reordered")


class LayerChoice(QComboBox):
    """A combo box of layers.

    It holds layers, not names, so a layer that is renamed or moved stays chosen. Where the chosen
    one is removed, or none was chosen, the first one is.

    Parameters
    ----------
    viewer
        Its layers are offered.
    kinds
        Names of their classes in lower case, such as ("labels", "tracks").
    none_text
        Text for no layer, as the first entry; without it, a layer is always chosen where
        there is one.
    accepts
        Leaves out layers, such as a plugin's own.

    Attributes
    ----------
    changed
        psygnal signal: another layer is chosen; carries it, or None.
    """

    changed = Signal(object)

    def __init__(
        self,
        viewer: Any,
        kinds: Sequence[str],
        none_text: str | None = None,
        accepts: Callable[[Any], bool] | None = None,
    ) -> None:
        super().__init__()
        self._viewer, self._kinds = viewer, tuple(kinds)
        self._none_text, self._accepts = none_text, accepts
        self._layers: list[Any] = []
        self._named: list[Any] = []
        self._value: Any = None
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        for name in _EVENTS:
            getattr(viewer.layers.events, name).connect(self._follow)
        self.currentIndexChanged.connect(self._picked)
        self._follow()

    def value(self) -> Any:
        """The chosen layer, or None."""
        return self._value

    def layers(self) -> list[Any]:
        """All layers that can be chosen, in the viewer's order."""
        return list(self._layers)

    def set_value(self, layer: Any) -> None:
        """Choose a layer, or None where that is offered.

        Raises
        ------
        ValueError
            If it is not among the choices.
        """
        at = self._position(layer)
        if at < 0:
            raise ValueError(
                f"{layer} cannot be chosen here; the choices are "
                f"{', '.join(each.name for each in self._layers) or 'none'}"
            )
        self.setCurrentIndex(at)

    def leave(self) -> None:
        """Disconnect from the viewer."""
        for name in _EVENTS:
            getattr(self._viewer.layers.events, name).disconnect(self._follow)
        for layer in self._named:
            layer.events.name.disconnect(self._follow)
        self._named = []

    def _position(self, layer: Any) -> int:
        first = self._none_text is not None
        if layer is None:
            return 0 if first else -1
        # A plugin's viewer returns proxies of layers: equal, not the same.
        found = (k for k, each in enumerate(self._layers) if each == layer)
        return next((k + first for k in found), -1)

    def _fits(self, layer: Any) -> bool:
        names = {each.__name__.lower() for each in layer.__class__.__mro__}
        return bool(names & set(self._kinds)) and (self._accepts is None or self._accepts(layer))

    def _follow(self, event: Any = None) -> None:
        """Offer the present layers."""
        self._layers = [layer for layer in self._viewer.layers if self._fits(layer)]
        for layer in self._named:
            if layer not in self._layers:
                layer.events.name.disconnect(self._follow)
        for layer in self._layers:
            if layer not in self._named:
                layer.events.name.connect(self._follow)
        self._named = list(self._layers)
        self.blockSignals(True)
        self.clear()
        if self._none_text is not None:
            self.addItem(self._none_text)
        self.addItems([layer.name for layer in self._layers])
        at = self._position(self._value)
        self.setCurrentIndex(at if at >= 0 else min(0, self.count() - 1))
        self.blockSignals(False)
        self._picked(self.currentIndex())

    def _picked(self, index: int) -> None:
        at = index - (self._none_text is not None)
        layer = self._layers[at] if 0 <= at < len(self._layers) else None
        same = layer is None if self._value is None else layer is not None and layer == self._value
        self._value = layer
        if not same:
            self.changed.emit(layer)
