"""Python API: ``import napari_sam2track as st`` offers the names of this module.

Arrays are (t, y, x), points (t, y, x) in pixels with the centre of a pixel at the integer. Ids of
objects, values of labels and ids of tracks are the same numbers, from 1. All errors are
`Sam2TrackError`.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import (
    FormatError,
    FramesError,
    OutputError,
    PromptError,
    UsageError,
)
from napari_sam2track.formats import tracks_files
from napari_sam2track.formats.conversions import with_notes
from napari_sam2track.formats.editable_tracks import Tracks
from napari_sam2track.formats.labels.label_stack import LabelStack, from_arrays
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.formats.provenance import provenance
from napari_sam2track.frames import Frames, open_movie
from napari_sam2track.frames.arrays import ArrayLike
from napari_sam2track.linking import LockedLink, link_all, separate
from napari_sam2track.models.device import choose_device, keep_freed_memory
from napari_sam2track.models.download import ready_model
from napari_sam2track.params import (
    AutoParams,
    EngineParams,
    FramesParams,
    LinkParams,
    MaskParams,
    OutputParams,
    Params,
    ReadParams,
)
from napari_sam2track.progress import ProgressHook, checked_hook, no_progress
from napari_sam2track.prompts import PromptSet
from napari_sam2track.prompts.from_numbers import Click, prompts_from_numbers
from napari_sam2track.prompts.prompt_params import PromptParams
from napari_sam2track.prompts.reading import given_prompts
from napari_sam2track.session.results_folder import clear_run, session_of_run, writing_to
from napari_sam2track.session.run import Run
from napari_sam2track.session.run_folder import RunFolder, new_run, run_in
from napari_sam2track.session.session import Session
from napari_sam2track.session.session_file import SessionFile, movie_of_session
from napari_sam2track.storage.scratch import scratch_folder
from napari_sam2track.tracks.tracked_movie import TrackedMovie, relabelled_frames

__all__ = ["follow", "link", "linked", "open_movie", "open_run", "open_tracks", "segment"]

#: Name of a movie in memory.
_ARRAY = "array"


def follow(
    movie: Any,
    points: Mapping[int, Iterable[Click]] | None = None,
    boxes: Mapping[int, Any] | None = None,
    masks: Mapping[int, Any] | None = None,
    *,
    prompts: PromptSet | str | PathLike[str] | None = None,
    model: str | PathLike[str] = "bundled",
    device: str = "auto",
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: ProgressHook | None = None,
    **engine: Any,
) -> Run:
    """Follow objects through a movie.

    Parameters
    ----------
    movie
        A path (see `open_movie`), or an array (T, Y, X) or (T, Y, X, 3) of numpy, dask or zarr,
        which is read frame by frame.
    points
        Object id to clicks: (t, y, x), or (t, y, x, 0) for a negative one.
    boxes
        Object id to a box (t, y0, x0, y1, x1), or to several on different frames.
    masks
        Frame to a label image (Y, X), whose values are object ids.
    prompts
        Prompts as values, or a file of them (see ``--prompts``), beside those. Without any
        prompt, objects are searched on the first frame.
    model
        A name of ``sam2track models list``, or a file of weights.
    device
        As torch names it; "auto": the best there is.
    out
        Folder for the results that ``sam2track video`` writes; None: a temporary one, which is
        gone when the run is closed.
    overwrite
        Replace the results of a run in `out`.
    progress
        Called as ``progress(steps, total, "Following")``; it passes the steps on, as
        ``lambda steps, total, doing: tqdm(steps, doing, total)`` does.
    **engine
        Fields of `EngineParams` by name, such as ``direction="forward"``; also how objects are
        found (``discover=20``), how the movie is read (``axes``, ``channel``, ``intensity``,
        ``z``) and a file of prompts (``pixel_size``), and which outputs are written (``save``,
        ``overlay``, ``fps``).

    Returns
    -------
    Run
        Finished; close it, or use it in a ``with`` block.

    Raises
    ------
    Sam2TrackError
        `PromptError` if prompts do not fit the movie, `FramesError` if it cannot be read,
        `ModelError`, `OutputError` if `out` holds something, `UsageError` for a wrong parameter.

    Examples
    --------
    >>> import napari_sam2track as st
    >>> from napari_sam2track.samples import moving_cells
    >>> movie = moving_cells(n_frames=4, height=96, width=96, n_cells=3).images_tyx
    >>> with st.follow(movie, boxes={5: (0, 30, 40, 52, 62)}, direction="forward") as run:
    ...     run.labels.shape, run.states.shape
    ((4, 96, 96), (1, 4))
    """
    hook, folder = checked_hook(progress), None if out is None else _path(out, "out")
    keep_freed_memory()
    looked_at, followed, auto, output, of_prompts = _parameters(
        engine, FramesParams, EngineParams, AutoParams, OutputParams, PromptParams
    )
    if folder is None:
        for name in sorted(set(engine) & set(OutputParams.model_fields)):
            raise UsageError(f"{name} is about the results in a folder; choose one with out=")
    elif folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise OutputError(
            f"the folder {folder} is not empty; choose another one, say overwrite=True to replace "
            "the results in it, or go on with its run by open_run()"
        )
    held = ExitStack()
    try:
        frames = held.enter_context(_opened(movie, looked_at))
        shape = frames.height, frames.width
        said = prompts_from_numbers(points, boxes, masks, shape=shape)
        said = said.merge(given_prompts(prompts, shape, of_prompts, looked_at.z))
        if not said and any(each is not None for each in (points, boxes, masks, prompts)):
            raise PromptError(
                "the prompts that were given are empty; give some, or none at all to look for "
                "objects on the first frame"
            )
        session = Session(
            frames,
            ready_model(model),
            said,
            followed,
            auto if auto.discover or not said else None,
            choose_device(str(device)).device,
        )
        session.check()
        source = _source(movie)
        if folder is None:
            folder = held.enter_context(scratch_folder("sam2track"))
        file = session.to_file(source, looked_at, output)
        run_folder = held.enter_context(new_run(folder, session, file, source, overwrite))
        run = Run(run_folder, None if out is None else output, held)
        run.resume(hook)
        if not output.keep_run:  # once it is finished; corrections are possible until it is closed
            held.callback(clear_run, folder)
    except BaseException:
        held.close()
        raise
    return run


def open_run(
    folder: str | PathLike[str], movie: Any = None, *, device: str = "auto", **engine: Any
) -> Run:
    """Open the run in a folder of results, to look at it, correct it or resume it.

    Parameters
    ----------
    folder
        A folder of `follow` or ``sam2track video``.
    movie
        The same movie, where it was in memory or has moved; None: where it was.
    device
        As torch names it; "auto": the best there is.
    **engine
        Fields of `EngineParams` that are to change, such as ``stop``.

    Raises
    ------
    Sam2TrackError
        `FormatError` if there is no run, or it cannot be resumed on these pixels or with
        these parameters; `FramesError` if the movie is not there.

    Examples
    --------
    >>> import tempfile
    >>> import napari_sam2track as st
    >>> from napari_sam2track.samples import moving_cells
    >>> movie = moving_cells(n_frames=4, height=96, width=96, n_cells=3).images_tyx
    >>> folder = tempfile.mkdtemp()
    >>> st.follow(movie, points={1: [(0, 40, 50)]}, out=folder, overlay="none").close()
    >>> with st.open_run(folder, movie) as run:
    ...     run.forget(1)
    Traceback (most recent call last):
    napari_sam2track.errors.PromptError: there are no prompts, so nothing to follow; ...
    """
    folder = _path(folder, "folder")
    if not session_of_run(folder).exists():
        raise FormatError(f"there is no run in {folder} to open; follow(..., out=...) makes one")
    held = ExitStack()
    try:
        held.enter_context(writing_to(folder))
        file = run_in(folder)
        source = movie_of_session(file, session_of_run(folder)) if movie is None else movie
        if source is None:
            raise FramesError(
                f"the movie of the run in {folder}, {file.source}, is not there; give it, as in "
                "open_run(folder, movie)"
            )
        frames = held.enter_context(_opened(source, file.frames))
        fingerprint = _checked_pixels(frames, file, folder)
        session = Session(
            frames,
            ready_model(file.model.name, file.model.config),
            file.prompt_set(),
            EngineParams.named({**file.engine.model_dump(), **engine}),
            file.auto,
            choose_device(str(device)).device,
        )
        session.check()
        name = _source(source) if isinstance(source, str | PathLike) else file.source
        asked = session.to_file(name, file.frames, file.output, fingerprint=fingerprint)
        run_folder = RunFolder(folder, session, asked, name)
        run_folder.runner.recall()
        return Run(run_folder, file.output or OutputParams(), held)
    except BaseException:
        held.close()
        raise


def segment(
    image: Any,
    points: Mapping[int, Iterable[Sequence[float]]] | None = None,
    boxes: Mapping[int, Sequence[float]] | None = None,
    *,
    prompts: PromptSet | str | PathLike[str] | None = None,
    model: str | PathLike[str] = "bundled",
    device: str = "auto",
    **mask: Any,
) -> NDArray[np.uint32]:
    """Outline objects in one image.

    Parameters
    ----------
    image
        A path, or an array (Y, X) or (Y, X, 3).
    points
        Object id to clicks: (y, x), or (y, x, 0) for a negative one.
    boxes
        Object id to a box (y0, x0, y1, x1).
    prompts
        Prompts on frame 0 as values, or a file of them, beside those.
    model, device
        As for `follow`.
    **mask
        Fields of `MaskParams` by name, such as ``fill_holes``, or how the image is read
        (``channel``, ``intensity``; ``pixel_size`` of places in a file of prompts).

    Returns
    -------
    ndarray
        Labels (Y, X), uint32; the values are the object ids.

    Raises
    ------
    Sam2TrackError
        `PromptError` if there is no prompt, or one does not fit; `FramesError`, `ModelError`.

    Examples
    --------
    >>> import napari_sam2track as st
    >>> from napari_sam2track.samples import moving_cells
    >>> image = moving_cells(n_frames=1, height=96, width=96, n_cells=3).images_tyx[0]
    >>> st.segment(image, points={3: [(40, 50)]}).max()
    np.uint32(3)
    """
    from napari_sam2track.engine.network.network import Network
    from napari_sam2track.engine.single_image import segment as segment_image
    from napari_sam2track.models.loading import load_network

    looked_at, params, of_prompts = _parameters(mask, FramesParams, MaskParams, PromptParams)
    if isinstance(image, str | PathLike):
        movie: Any = image
    else:
        movie = np.asarray(image)[None]
        if movie.ndim != 3 and not (movie.ndim == 4 and movie.shape[-1] in (3, 4)):
            raise FramesError(
                f"an image of shape {movie.shape[1:]} is no image of (Y, X) or (Y, X, 3) pixels; "
                "give one frame, or follow() a movie"
            )
        looked_at = looked_at.model_copy(update={"axes": "TYX" if movie.ndim == 3 else "TYXC"})
    with _opened(movie, looked_at) as frames:
        if frames.n_frames != 1:
            raise FramesError(f"{frames.name} has {frames.n_frames} frames; follow() is for movies")
        shape = frames.height, frames.width
        said = prompts_from_numbers(points, boxes, shape=shape, frame=0)
        said = said.merge(given_prompts(prompts, shape, of_prompts, looked_at.z))
        info = ready_model(model)
        Session(frames, info, said).check()
        network = Network(load_network(info, choose_device(str(device)).device))
        return segment_image(network, frames, 0, said, params).labels_yx


def link(masks: Any, *, progress: ProgressHook | None = None, **link: Any) -> Tracks:
    """Link masks of single frames into tracks: every object keeps one id over time.

    Parameters
    ----------
    masks
        A path (see ``sam2track track``), or an array (T, Y, X) or (T, Z, Y, X) of labels of
        numpy, dask or zarr, which is read frame by frame. Labels need not agree between frames.
    progress
        Called as ``progress(frames, n, "Linking")``; it passes the frames on.
    **link
        Fields of `LinkParams` by name, such as ``min_iou`` and ``max_gap``.

    Returns
    -------
    Tracks
        Its labels are those of the masks, renamed when they are read.

    Raises
    ------
    Sam2TrackError
        `FormatError` if these are no masks, `UsageError` for a wrong parameter.

    Examples
    --------
    >>> import napari_sam2track as st
    >>> from napari_sam2track.samples import dividing_nuclei
    >>> tracks = st.link(dividing_nuclei().labels_tyx[:6], max_gap=2)
    >>> tracks.labels.shape[0], len(tracks.table) > 0
    (6, True)
    """
    params, hook = LinkParams.named(link), checked_hook(progress)
    if not isinstance(masks, str | PathLike | ArrayLike):
        raise FormatError(
            f"masks of type {type(masks).__name__} cannot be linked; give a path, or an array "
            "(T, Y, X) or (T, Z, Y, X)"
        )
    stack = (
        open_labels(Path(masks))
        if isinstance(masks, str | PathLike)
        else from_arrays(masks, _ARRAY)
    )
    try:
        return linked(stack, params, progress=hook)[0]
    except BaseException:
        stack.close()
        raise


def linked(
    stack: LabelStack,
    params: LinkParams,
    locked: Collection[LockedLink] = (),
    progress: ProgressHook = no_progress,
) -> tuple[Tracks, bool]:
    """Link a stack of labels; see `link`.

    Parameters
    ----------
    stack
        It is closed with the tracks.
    locked
        Locked links of a person.

    Returns
    -------
    tuple
        The tracks, and whether masks were binary and split into connected parts.
    """
    frames, split = separate(stack, params.binary)
    table = link_all(frames, params, tuple(locked), progress=progress)
    note = provenance(
        source=stack.source,
        frames=stack.frame_numbers,
        parameters={**params.model_dump(), "split_binary": split, "locked_links": len(locked)},
    )
    note = with_notes(note, stack.source, stack.notes)
    labels = relabelled_frames(frames, table)
    return Tracks(TrackedMovie(table, labels, stack.scale, note, stack.close)), split


def open_tracks(
    path: str | PathLike[str],
    format: str | None = None,
    *,
    progress: ProgressHook | None = None,
    **read: Any,
) -> Tracks:
    """Open tracks in any of the formats that are read.

    Parameters
    ----------
    path
        A file or folder: GEFF, TrackMate, a Cell Tracking Challenge folder, JSON, CSV, labels.
    format
        Name of the format, as in ``sam2track convert``, if it is not detected.
    progress
        Called as ``progress(frames, n, what)``; it passes the frames on.
    **read
        Fields of `ReadParams`: ``join``, ``merges``, ``visible``, ``axes``, ``columns``,
        ``pixel_size`` ... What was decided is warned of, and in the tracks' ``notes``.

    Raises
    ------
    FormatError
        If it is missing, damaged or of no known format.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import napari_sam2track as st
    >>> from napari_sam2track.samples import dividing_nuclei
    >>> path = pathlib.Path(tempfile.mkdtemp(), "tracks.geff")
    >>> st.link(dividing_nuclei().labels_tyx[:6]).save(path)
    >>> with st.open_tracks(path) as tracks:
    ...     tracks.labels.shape[0]
    6
    """
    options = ReadParams.named(read)
    hook, path = checked_hook(progress), _path(path, "path")
    movie = tracks_files.open_tracks(path, format, options=options, progress=hook)
    for text in movie.provenance.get("notes", ()):
        warnings.warn(str(text), stacklevel=2)
    return Tracks(movie)


# -- inside ----------------------------------------------------------------------------------------


def _parameters(given: Mapping[str, Any], *kinds: type[Params]) -> tuple[Any, ...]:
    """Return one value of each kind, of the fields that are given by name.

    Raises
    ------
    UsageError
        If a name is none of theirs, or a value is not valid.
    """
    known = {name for kind in kinds for name in kind.model_fields}
    for name in sorted(set(given) - known):
        raise UsageError(f"there is no parameter {name!r}; known are {', '.join(sorted(known))}")
    return tuple(
        kind.named({name: given[name] for name in given if name in kind.model_fields})
        for kind in kinds
    )


def _path(value: Any, name: str) -> Path:
    """Return a path; raise UsageError if it is none."""
    if not isinstance(value, str | PathLike):
        raise UsageError(f"{name} is {value!r:.60}, not a path; give the name of a file or folder")
    return Path(value)


def _opened(movie: Any, params: FramesParams) -> Frames:
    """Open a movie; what a file says and is not used is warned of."""
    frames = open_movie(movie, params, name=_ARRAY)
    if isinstance(movie, str | PathLike):
        for text in frames.notes:
            warnings.warn(f"{movie}: {text}", stacklevel=3)
    return frames


def _source(movie: Any) -> str:
    return str(Path(movie).absolute()) if isinstance(movie, str | PathLike) else _ARRAY


def _checked_pixels(frames: Frames, file: SessionFile, folder: Path) -> str:
    """Return the fingerprint of a movie; refuse one that is not the movie of a run."""
    fingerprint = frames.fingerprint()
    if file.fingerprint not in (None, fingerprint):
        raise FormatError(
            f"the movie {frames.name} is not the one of the run in {folder}: its pixels differ; "
            "give that one"
        )
    return fingerprint
