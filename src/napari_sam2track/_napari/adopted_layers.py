"""Adopts work of a reader: an image whose prompts and labels came as layers of a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam2track._napari.layer_values import KEY
from napari_sam2track._napari.work_folder import in_use, lies_in
from napari_sam2track.params import FramesParams
from napari_sam2track.prompts import PromptSet, prompts_from_json
from napari_sam2track.workspace.workspace_file import LABELS


@dataclass(frozen=True, eq=False)
class Restored:
    """Layers and settings that a session brought beside an image.

    Attributes
    ----------
    labels, points, boxes
        Layers of the session, as far as they exist and can be edited.
    frames
        Axes, channel and intensity of the image.
    prompts
        All prompts, masks included.
    """

    labels: Any
    points: Any
    boxes: Any
    frames: FramesParams
    prompts: PromptSet


def restored_layers(viewer: Any, image: Any) -> Restored | None:
    """Return the layers that came with an image; None if it was not opened from a session.

    Raises
    ------
    FormatError
        If its prompts are not valid.
    """
    ours = _session_of(image)
    if ours is None or "frames" not in ours:
        return None
    found: dict[str, Any] = {}
    for layer in viewer.layers:
        theirs = _session_of(layer)
        if theirs is not None and theirs.get("session") == ours.get("session"):
            found[layer.__class__.__name__] = layer
    labels = found.get("Labels")
    if labels is not None and not _writable(labels.data):
        labels = None
    prompts = prompts_from_json(ours.get("prompts", {}), "the prompts of the session")
    frames = FramesParams.model_validate(ours["frames"])
    return Restored(labels, found.get("Points"), found.get("Shapes"), frames, prompts)


def _session_of(layer: Any) -> dict[str, Any] | None:
    known = (layer.metadata or {}).get(KEY)
    return known if isinstance(known, dict) and "session" in known else None


def _writable(data: Any) -> bool:
    from napari_sam2track.frames.lazy_array import LazyFrames

    return not isinstance(data, LazyFrames)


def in_work(layer: Any) -> bool:
    """Return whether a layer of prompts belongs to work that is open."""
    known = (layer.metadata or {}).get(KEY)
    return isinstance(known, dict) and "work" in known and in_use(Path(known["work"]))


def leave_with(viewer: Any, folder: Path, aside: Path) -> None:
    """Let the layers of earlier work follow it to the folder where it was put aside.

    Its labels are read from disk on access: else they would show those of the work
    that takes its place.
    """
    import zarr

    for layer in viewer.layers:
        known = (layer.metadata or {}).get(KEY)
        if layer.__class__.__name__ == "Labels" and not layer.multiscale:
            if lies_in(layer.data, folder):
                layer.data = zarr.open_array(aside / LABELS, mode="r+")
        elif isinstance(known, dict) and known.get("work") == str(folder):
            layer.metadata[KEY] = {**known, "work": str(aside)}


def layers_of_work(viewer: Any, folder: Path) -> dict[str, Any]:
    """Return layers that earlier work in a folder left: ``labels``, ``points``, ``boxes``."""
    found: dict[str, Any] = {}
    for layer in viewer.layers:
        kind = layer.__class__.__name__
        known = (layer.metadata or {}).get(KEY)
        ours = isinstance(known, dict) and known.get("work") == str(folder)
        if kind == "Labels" and not layer.multiscale and lies_in(layer.data, folder):
            found["labels"] = layer
        elif ours and kind in ("Points", "Shapes"):
            found["points" if kind == "Points" else "boxes"] = layer
    return found
