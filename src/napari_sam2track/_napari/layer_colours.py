"""The colours of objects, those of their labels; hidden objects have none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Colours:
    """Colours of objects, and the set of hidden ones.

    Parameters
    ----------
    layer
        The Labels layer; its colormap is replaced while objects are hidden.
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._usual: Any = None
        self.hidden: frozenset[int] = frozenset()

    def of(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (N, 4) colours of (N,) objects, whether they are hidden or not."""
        colormap = self._layer.colormap if self._usual is None else self._usual
        colours = [np.asarray(colormap.map(int(i)), float).reshape(-1)[:4] for i in ids]
        out = np.array(colours).reshape(-1, 4)
        out[:, 3] = 1.0
        return out

    def hide(self, hidden: frozenset[int], objects: tuple[int, ...]) -> None:
        """Hide these of all objects, and show the others."""
        from napari.utils.colormaps import DirectLabelColormap

        self.hidden = hidden
        if not hidden:
            self.close()
            return
        if self._usual is None:
            self._usual = self._layer.colormap
        table: dict[int | None, Any] = {None: np.ones(4), 0: np.zeros(4)}
        table.update(zip(objects, self.of(np.array(objects, np.int64)), strict=True))
        table.update(dict.fromkeys(hidden, np.zeros(4)))
        self._layer.colormap = DirectLabelColormap(color_dict=table)

    def close(self) -> None:
        """Show all objects in their usual colours."""
        self.hidden = frozenset()
        if self._usual is not None:
            self._layer.colormap, self._usual = self._usual, None
