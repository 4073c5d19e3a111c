"""A session, or the folder of a run, as layers: the image, the prompts, the results."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_sam2track._napari.lazy import LazyFrames, lazy_image
from napari_sam2track._napari.opening import layers_of, tell, watched
from napari_sam2track._napari.tracked import KEY, scale_attributes
from napari_sam2track.errors import FormatError, Sam2TrackError
from napari_sam2track.formats.registry import open_tracks
from napari_sam2track.frames import Frames, Source, open_frames
from napari_sam2track.labels import Scale
from napari_sam2track.params import ReadParams
from napari_sam2track.prompts import PromptSet
from napari_sam2track.results_folder import LABELS, RUN
from napari_sam2track.session_file import SessionFile, read_session
from napari_sam2track.tracks.movie import TrackedMovie

if TYPE_CHECKING:
    from napari.types import LayerData

#: Colours of channels that are looked at together, in their order.
_COLOURS = ("red", "green", "blue")


def session_layers(path: Path) -> list[LayerData]:
    """The layers of a session file.

    The image is looked for where it was, and beside the session; labels are those of the folder
    of results that the session is in. What is missing is told, and the rest is loaded.

    Parameters
    ----------
    path
        ``session.json`` of a run, or any session file.

    Returns
    -------
    list
        Image layers (one for each channel), the labels and tracks, boxes and points. Images and
        labels have ``metadata["sam2track"]`` with the path of the ``session``, ``parents``, and
        the ``prompts``, in which masks are that no layer shows.

    Raises
    ------
    FormatError
        If the session cannot be read, or nothing of what it names is there.
    """
    session = read_session(path)
    prompts = session.prompt_set()
    tracks = _results(path)
    parents = {} if tracks is None else dict(tracks.table.parents)
    ours = {"session": str(path.absolute()), "parents": parents, "prompts": session.prompts}
    scale = Scale() if tracks is None else tracks.scale
    like = scale_attributes(scale, 3)
    name = Path(PureWindowsPath(session.source).name).stem or path.parent.name
    layers = _image_layers(session, path, name, {**like, "metadata": {KEY: ours}})
    if tracks is not None:
        layers += layers_of(tracks, name, ours)
    layers += _prompt_layers(prompts, name, like)
    if not layers:
        raise FormatError(
            f"{path} can be read, but neither its movie {session.source} nor results are there, "
            "and it has no prompts: put the movie beside it"
        )
    return layers


def movie_of_session(session: SessionFile, path: Path) -> Path | None:
    """The movie of a session: where it was, or beside the session file; None if it is not there."""
    folder = path.absolute().parent
    was = folder / session.source  # an absolute one stays as it is
    # The session may come from another system.
    name = PureWindowsPath(session.source).name
    places = (was, folder / name, folder.parent / name, folder.parent.parent / name)
    return next((place for place in places if name and place.exists()), None)


def _results(path: Path) -> TrackedMovie | None:
    """What the run of a session left beside it; None if there is nothing."""
    folder = path.absolute().parent
    folder = folder.parent if folder.name == RUN else folder
    if path.name != "session.json":
        return None
    if not any((folder / name).exists() for name in LABELS.values()):
        tell(f"{folder} holds no labels (yet); the prompts of {path.name} are loaded")
        return None
    try:
        return open_tracks(folder, options=ReadParams(merges="cut"), watch=watched)
    except Sam2TrackError as error:
        tell(f"the labels in {folder} are left out: {error}")
        return None


def _image_layers(
    session: SessionFile, path: Path, name: str, attributes: Mapping[str, Any]
) -> list[LayerData]:
    """The movie of a session as Image layers, read when looked at, with the session's contrast."""
    where = movie_of_session(session, path)
    if where is None:
        tell(
            f"the movie {session.source} of {path} is not there any more; put it beside the "
            "session and open it again, or open the movie yourself"
        )
        return []
    asked = session.frames
    frames = None
    try:
        frames = open_frames(where, asked.axes, asked.channel, asked.intensity, asked.z)
        changed = session.fingerprint not in (None, frames.fingerprint())
        windows = dict(zip(frames.channels, frames.intensity, strict=True))
    except Sam2TrackError as error:
        if frames is not None:
            frames.close()
        tell(f"the movie of {path} is left out: {error}")
        return []
    if changed:
        tell(
            f"{where} is not the movie that {path} was made with: its pixels differ. Is it "
            "another movie of that name?"
        )
    n = frames.source.n_channels
    if n == 1 or frames.source.rgb:
        rgb = {"rgb": True} if n > 1 else {"contrast_limits": windows[0]}
        return [(lazy_image(frames.source), {**attributes, "name": name, **rgb}, "image")]
    return _channel_layers(frames, name, attributes, windows)


def _channel_layers(
    frames: Frames,
    name: str,
    attributes: Mapping[str, Any],
    windows: Mapping[int, tuple[float, float]],
) -> list[LayerData]:
    """A layer for each channel; those that the session does not look at are hidden."""
    source = frames.source
    layers: list[LayerData] = []
    in_use = [source.n_channels]

    def let_go() -> None:
        in_use[0] -= 1
        if not in_use[0]:
            source.close()

    for channel in range(source.n_channels):
        data = LazyFrames(
            partial(_read_channel, source, channel),
            source.n_frames,
            (source.height, source.width),
            source.dtype,
            let_go,
        )
        more: dict[str, Any] = {
            "name": f"{name} [channel {channel}]",
            "visible": channel in windows,
            "blending": "additive",
        }
        if channel in windows:
            more["contrast_limits"] = windows[channel]
            if len(frames.channels) > 1:
                more["colormap"] = _COLOURS[frames.channels.index(channel)]
        layers.append((data, {**attributes, **more}, "image"))
    return layers


def _read_channel(source: Source, channel: int, t: int) -> NDArray[Any]:
    return source.read_raw(t, 0, source.height, 0, source.width, [channel])[..., 0]


def _prompt_layers(prompts: PromptSet, name: str, like: Mapping[str, Any]) -> list[LayerData]:
    """Points and boxes; there is nothing to show of masks."""
    if not prompts:
        return []
    from napari_sam2track._napari.prompt_layers import boxes_layer, points_layer

    layers: list[LayerData] = []
    if any(prompt.box is not None for _, prompt in prompts.items()):
        layers.append(boxes_layer(prompts, f"{name} [boxes]", like))
    if any(prompt.points for _, prompt in prompts.items()):
        layers.append(points_layer(prompts, f"{name} [prompts]", like))
    return layers
