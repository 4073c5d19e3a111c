"""Run lengths of masks as COCO packs them: columns first, counts as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def run_lengths(labels_yx: NDArray[np.uint32]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the mask of every object of a frame, in one pass over the frame.

    Parameters
    ----------
    labels_yx
        Shape (Y, X), uint32, 0 is the background.

    Yields
    ------
    tuple
        A label, ascending, and ``{"size": [height, width], "counts": text}``, which
        `pycocotools.mask.decode` understands.
    """
    from pycocotools import mask

    height, width = labels_yx.shape
    flat = labels_yx.ravel(order="F")
    begins = np.flatnonzero(np.diff(flat, prepend=flat[0] ^ np.uint32(1)))
    ends = np.append(begins[1:], flat.size)
    values = flat[begins]
    order = np.argsort(values, kind="stable")
    names, firsts = np.unique(values[order], return_index=True)
    for name, runs in zip(names.tolist(), np.split(order, firsts[1:]), strict=True):
        if name == 0:
            continue
        # Zeros and ones take turns, zeros first.
        borders = np.stack([begins[runs], ends[runs]], axis=1).ravel()
        counts = np.diff(borders, prepend=0, append=flat.size)
        packed = mask.frPyObjects(
            {"size": [height, width], "counts": counts.tolist()}, height, width
        )
        yield name, {"size": [height, width], "counts": packed["counts"].decode("ascii")}
