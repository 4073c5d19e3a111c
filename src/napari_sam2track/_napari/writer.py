"""File > Save for Labels and Tracks layers, in the formats that one name is enough for.

napari has asked before it replaces a file, and its own writers replace without asking when they
are called from a script. So an output of the very name that napari passes is replaced, if it is a
file or a folder that we wrote; a folder with other people's files never is. Where we complete a
name (``cells`` to ``cells.geff``), napari has not asked, and existing files are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_sam2track._napari.layer_tracks import graph_parents, movie_of_tracks, tracked_movie
from napari_sam2track._napari.layer_values import LayerValues, time_axis
from napari_sam2track._napari.tracks_to_layers import tell, watched
from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.formats.conversions import notes
from napari_sam2track.formats.tracks_files import format_named, losses, write_tracks
from napari_sam2track.progress import ProgressHook, no_progress
from napari_sam2track.tracks.tracked_movie import TrackedMovie

#: Writes some layers under a name, and returns the paths written.
LayerWriter = Callable[[str, "list[tuple[Any, dict[str, Any], str]]"], list[str]]

#: Ends of names for each format that napari offers; the first is added where there is none.
#: ``.ctc`` is selected only, since the folder has the challenge's name: 01_RES.
EXTENSIONS: Mapping[str, tuple[str, ...]] = {
    "geff": (".geff",),
    "ctc": (".ctc",),
    "tiff": (".tracks.tif", ".tif", ".tiff"),
    "ome-zarr": (".ome.zarr", ".zarr"),
    "trackmate": (".xml",),
    "json": (".tracks.json", ".json"),
    "csv": (".tracks.csv", ".csv"),
    "coco": (".coco.json",),
}
_CTC_ENDS = ("_res", "_gt", "tra")


def layer_writer(format: str) -> LayerWriter:
    """Return the function that napari calls to write layers in a format."""

    def write(path: str, layers: list[tuple[Any, dict[str, Any], str]]) -> list[str]:
        return write_layers(path, layers, format)

    write.__name__ = f"write_{format.replace('-', '_')}"
    write.__doc__ = f"Write layers as {format_named(format).title}; see `write_layers`."
    return write


write_geff = layer_writer("geff")
write_ctc = layer_writer("ctc")
write_tiff = layer_writer("tiff")
write_ome_zarr = layer_writer("ome-zarr")
write_trackmate = layer_writer("trackmate")
write_json = layer_writer("json")
write_csv = layer_writer("csv")
write_coco = layer_writer("coco")


def write_layers(
    path: str, layers: Sequence[tuple[Any, Mapping[str, Any], str]], format: str
) -> list[str]:
    """Write a Labels layer, a Tracks layer, or both: masks of the one, lineages of the other.

    Parameters
    ----------
    path
        As napari passes it, with or without a suffix.
    layers
        LayerData tuples, at most one of each kind.
    format
        Name of a format.

    Returns
    -------
    list
        The paths written.

    Raises
    ------
    FormatError
        If the layers are no tracks, or do not belong together.
    OutputError
        If the format cannot hold them, or the output cannot be written.
    """
    output = output_path(Path(path), format)
    movie = movie_of_layers(layers, watched)
    try:
        write_tracks(output, movie, format=format, overwrite=output == Path(path), progress=watched)
    except OutputError as error:
        raise OutputError(in_napari(str(error))) from error
    for text in (*notes(movie), *losses(movie, format)):
        tell(f"{output.name}: {text}")
    return [str(output)]


def output_path(path: Path, format: str) -> Path:
    """Return the name that is written: complete, in the format's convention."""
    if format == "ctc":
        path = path.with_suffix("") if path.suffix.lower() == ".ctc" else path
        known = path.name.lower().endswith(_CTC_ENDS)
        return path if known else path.with_name(f"{path.name}_RES")
    ends = EXTENSIONS[format]
    return path if path.name.lower().endswith(ends) else path.with_name(path.name + ends[0])


def movie_of_layers(
    layers: Sequence[tuple[Any, Mapping[str, Any], str]], progress: ProgressHook = no_progress
) -> TrackedMovie:
    """Return the tracks of a Labels layer, a Tracks layer, or both.

    Raises
    ------
    FormatError
        If there is neither, or no track of the graph has a mask.
    """
    given = {kind: LayerValues.of(data, attributes) for data, attributes, kind in layers}
    labels, tracks = given.get("labels"), given.get("tracks")
    if labels is None and tracks is None:
        raise FormatError("there is neither a Labels layer nor a Tracks layer to save")
    if labels is None:
        return movie_of_tracks(tracks)
    parents = None if tracks is None else graph_parents(tracks)
    movie = tracked_movie(labels, parents, time_axis(labels), progress)
    if tracks is not None and parents and not movie.table.parents:
        raise FormatError(
            f"the tracks of the layer {tracks.name!r} are not those of the labels "
            f"{labels.name!r}: no parent and child in its graph both have pixels; save one of "
            "the two alone"
        )
    return movie


def in_napari(text: str) -> str:
    """Return a message of the command line in the plugin's words."""
    for option, words in (
        ("say --overwrite (overwrite=True) to replace it", "allow it to be replaced"),
        ("with --renumber", 'with "Renumber" in the dock SAM2 Export'),
        ("with --radius", 'with "Radius" in the dock SAM2 Export'),
    ):
        text = text.replace(option, words)
    return text
