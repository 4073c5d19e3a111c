"""A session, or the folder of a run, as layers: the image, the prompts, the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2track._napari.geometry import Geometry
from napari_sam2track._napari.layer_values import KEY, scale_attributes
from napari_sam2track._napari.prompt_layers import boxes_layer, points_layer
from napari_sam2track._napari.tracks_to_layers import layers_of, tell, watched
from napari_sam2track.errors import FormatError, Sam2TrackError
from napari_sam2track.formats.tracks_files import open_tracks
from napari_sam2track.frames import open_movie
from napari_sam2track.frames.lazy_array import LazyFrames, lazy_image
from napari_sam2track.labels import Scale
from napari_sam2track.params import FramesParams, ReadParams
from napari_sam2track.prompts import PromptSet
from napari_sam2track.session.results_folder import LABELS, RUN
from napari_sam2track.session.session_file import SessionFile, movie_of_session, read_session
from napari_sam2track.tracks.tracked_movie import TrackedMovie

if TYPE_CHECKING:
    from napari.types import LayerData


def session_layers(path: Path) -> list[LayerData]:
    """Return the layers of a session file.

    The image is searched where it was, and beside the session; labels are those of the folder
    of results that the session is in. What is missing is reported, and the rest is loaded.

    Parameters
    ----------
    path
        ``session.json`` of a run, or any session file.

    Returns
    -------
    list
        The image, labels and tracks, boxes and points. An image has all channels, (T, C, Y, X),
        and of a stack over time the plane that the session is about; what lies on it fits it.
        Image and labels have ``metadata["sam2track"]`` with the path of the ``session.session``,
        ``parents``, the ``prompts``, in which masks are that no layer shows, and ``frames``: the
        parameters with which the image layer is as the session saw it. The image's has the
        path of the movie as ``source`` too, since napari knows that of the session only.

    Raises
    ------
    FormatError
        If the session cannot be read, or none of its files is there.
    """
    session = read_session(path)
    tracks = _results(path)
    ours = {
        "session": str(path.absolute()),
        "parents": {} if tracks is None else dict(tracks.table.parents),
        "prompts": session.prompts,
        "frames": session.frames.model_copy(update={"axes": None, "z": None}).model_dump(),
    }
    transform = scale_attributes(Scale() if tracks is None else tracks.scale, 3)
    name = Path(PureWindowsPath(session.source).name).stem or path.parent.name
    image = _image_layer(session, path, {**transform, "name": name, "metadata": {KEY: ours}})
    geometry = None
    if image is not None:
        geometry = _geometry(image)
        transform = geometry.transform
    layers: list[LayerData] = [] if image is None else [image]
    if tracks is not None:
        shape = (tracks.table.n_frames, *tracks.table.frame_shape)
        found = layers_of(tracks, name, ours)
        if geometry is None:
            layers += found
        elif shape == (geometry.n_frames, *geometry.frame_shape):
            layers += [_placed(each, geometry) for each in found]
        else:
            tell(f"the labels beside {path} are of another size than the movie: {shape}")
            layers += found
    like = {**transform, "metadata": {KEY: {"session": ours["session"]}}}
    layers += _prompt_layers(session.prompt_set(), name, like, geometry)
    if not layers:
        raise FormatError(
            f"{path} can be read, but neither its movie {session.source} nor results are there, "
            "and it has no prompts: put the movie beside it"
        )
    return layers


def _results(path: Path) -> TrackedMovie | None:
    """Return the results of a session's run beside it; None if there are none."""
    folder = path.absolute().parent
    folder = folder.parent if folder.name == RUN else folder
    if path.name != "session.json":
        return None
    if not any((folder / name).exists() for name in LABELS.values()):
        tell(f"{folder} holds no labels (yet); the prompts of {path.name} are loaded")
        return None
    try:
        return open_tracks(folder, options=ReadParams(merges="cut"), progress=watched)
    except Sam2TrackError as error:
        tell(f"the labels in {folder} are left out: {error}")
        return None


def _image_layer(
    session: SessionFile, path: Path, attributes: Mapping[str, Any]
) -> LayerData | None:
    """Return the movie of a session, read on access, with its contrast; None if missing."""
    where = movie_of_session(session, path)
    if where is None:
        tell(
            f"the movie {session.source} of {path} is not there any more; put it beside the "
            "session and open it again, or open the movie yourself"
        )
        return None
    asked = session.frames
    frames = None
    try:
        frames = open_movie(where, asked)
        for text in frames.notes:
            tell(f"{where}: {text}")
        changed = session.fingerprint not in (None, frames.fingerprint())
        window = frames.intensity[0]
    except Sam2TrackError as error:
        if frames is not None:
            frames.close()
        tell(f"the movie of {path} is left out: {error}")
        return None
    if changed:
        tell(
            f"{where} is not the movie that {path} was made with: its pixels differ. Is it "
            "another movie of that name?"
        )
    ours = {**attributes["metadata"][KEY], "source": str(where)}
    attributes = {**attributes, "metadata": {KEY: ours}}
    if frames.source.rgb:
        return lazy_image(frames.source), {**attributes, "rgb": True}, "image"
    if frames.source.n_channels > 1:
        for key, value in (("scale", 1.0), ("units", "pixel"), ("axis_labels", "c")):
            t, *yx = attributes[key]
            attributes[key] = (t, value, *yx)
    # The first channel in use decides, since napari has one window for all.
    return lazy_image(frames.source), {**attributes, "contrast_limits": window}, "image"


def _geometry(image: LayerData) -> Geometry:
    """Return the geometry of an image layer, before there is one in a viewer."""
    from napari.layers import Image

    data, attributes, _ = image
    return Geometry.of(Image(data, **attributes), FramesParams())


def _placed(layer: LayerData, geometry: Geometry) -> LayerData:
    """Put labels or tracks of (t, y, x) on the axes of an image."""
    data, attributes, kind = layer
    attributes = {**attributes, **geometry.transform}
    if data.ndim == geometry.ndim and kind == "labels":
        return data, attributes, kind
    if kind == "labels" and isinstance(data, LazyFrames):
        return data.reshaped(geometry.shape[1:]), attributes, kind
    if kind == "labels":
        return data.reshape(geometry.shape), attributes, kind
    places = geometry.to_layer(data[:, 1:])
    return np.column_stack([data[:, :1], places]), attributes, kind


def _prompt_layers(
    prompts: PromptSet, name: str, like: Mapping[str, Any], geometry: Geometry | None
) -> list[LayerData]:
    """Return layers of points and boxes; masks have none."""
    place = np.asarray if geometry is None else geometry.to_layer
    layers: list[LayerData] = []
    if any(prompt.box is not None for _, prompt in prompts.items()):
        layers.append(boxes_layer(prompts, f"{name} [boxes]", like, place))
    if any(prompt.points for _, prompt in prompts.items()):
        layers.append(points_layer(prompts, f"{name} [prompts]", like, place))
    return layers
