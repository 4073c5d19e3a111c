"""The table of a run: a row for each object on each frame, as ``tracks.csv`` has it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_sam2track.session.stored_frame import STORED_STATES, StoredFrame
from napari_sam2track.tracks.regions import Regions

#: ``parent_id`` is empty without a parent; place and box are where pixels are left to the object,
#: in pixels, the ends of the box excluded.
COLUMNS = (
    *("track_id", "frame", "parent_id", "state", "score", "iou", "area", "y", "x"),
    *("bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"),
)
_DECIMALS = {"score": 4, "iou": 4, "y": 2, "x": 2}
_FIELDS = ["id", "state", "score", "iou"]


def object_rows(
    t: int, frame: StoredFrame, regions: Regions, parents: Mapping[int, int]
) -> Iterator[list[Any]]:
    """Yield the rows of a frame, values of `COLUMNS`; None where there is none.

    Parameters
    ----------
    t, frame
        The frame and its number.
    regions
        Of its composed labels.
    parents
        Parent of each daughter.
    """
    where = {int(label): k for k, label in enumerate(regions.labels)}
    for object_id, state, score, iou in frame.rows[_FIELDS].tolist():
        row: list[Any] = [
            object_id,
            t,
            parents.get(object_id),
            STORED_STATES[state].value,
            score,
            iou,
        ]
        k = where.get(object_id)
        if k is None:
            yield [*row, 0, *(None,) * 6]
        else:
            _, y, x = regions.centroids[k].tolist()
            _, y0, x0, _, y1, x1 = regions.boxes[k].tolist()
            yield [*row, int(regions.areas[k]), y, x, y0, x0, y1, x1]


@contextmanager
def table_writer(
    path: Path, parents: Mapping[int, int]
) -> Iterator[Callable[[int, StoredFrame, Regions], None]]:
    """Write ``tracks.csv``; yields a function that takes a frame, see `object_rows`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)

        def add(t: int, frame: StoredFrame, regions: Regions) -> None:
            for row in object_rows(t, frame, regions, parents):
                writer.writerow(map(_as_text, COLUMNS, row))

        yield add


def _as_text(column: str, value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.{_DECIMALS[column]}f}" if column in _DECIMALS else str(value)
