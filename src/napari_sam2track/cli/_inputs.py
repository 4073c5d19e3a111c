"""Options that several commands share: prompts, models, devices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2track.errors import FormatError, UsageError
from napari_sam2track.params import FramesParams
from napari_sam2track.prompts.prompt_params import MaskPromptParams, PromptParams

if TYPE_CHECKING:
    from napari_sam2track.formats.labels.label_stack import LabelStack
    from napari_sam2track.frames import Frames
    from napari_sam2track.models.registry import ModelInfo
    from napari_sam2track.prompts import PromptSet
    from napari_sam2track.tracks.tracked_movie import TrackedMovie

Points = Annotated[
    list[str] | None,
    typer.Option(
        "--points",
        help='Clicks on one object: "x,y:pos x,y:neg"; in a movie "t@x,y:pos ...". Repeat it for '
        "several objects.",
        show_default=False,
    ),
]
Boxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        help='A box round one object: "x0,y0,x1,y1", in a movie "t@x0,y0,x1,y1". Repeat '
        "it for several objects.",
        show_default=False,
    ),
]
MaskPrompts = Annotated[
    list[str] | None,
    typer.Option(
        "--mask-prompts",
        help="A label image, each label an object: labels.tif is for frame 0, labels.tif@12 for "
        "frame 12. Of a movie of labels, the frame of that number is taken; of a folder, all masks "
        "by the numbers in their names, where no frame is named.",
        show_default=False,
    ),
]
PromptsFile = Annotated[
    Path | None,
    typer.Option(
        "--prompts",
        help="Prompts as JSON, or a table (CSV): a Points or Shapes layer as napari saves it, or "
        "columns x, y and frame.",
        show_default=False,
    ),
]
Model = Annotated[
    str, typer.Option("--model", help="A model's name (sam2track models list) or a .pt file.")
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        help="For a .pt file: its YAML, or the name of the model that it was made from.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cuda, mps or cpu.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=1024,
        help="Threads on the CPU; torch decides if not given.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")]
FromFormat = Annotated[
    str | None,
    typer.Option("--from", help="Format of IN, if it is not found out.", show_default=False),
]


def check_pixel_size(params: PromptParams, file: Path | None) -> None:
    """Refuse a pixel size without the file that it is about."""
    if params.pixel_size is not None and file is None:
        raise UsageError(
            f"--pixel-size {params.pixel_size} is about a table of prompts; give one with --prompts"
        )


def collect_prompts(
    points: Sequence[str] | None,
    boxes: Sequence[str] | None,
    masks: Sequence[str] | None,
    file: Path | None,
    shape: tuple[int, int],
    params: tuple[PromptParams, MaskPromptParams],
    z: int | None = None,
    frame: int | None = None,
) -> PromptSet:
    """Return all prompts of a command as one set, and print notes on their files.

    Label images that name no frame are those of ``frame``, or else of frame 0, and in a folder
    those of the numbers in their names.

    Points and boxes get the ids 1, 2, ... in the order given, after those of masks and files.
    A single box and a single set of points belong to the same object.
    """
    from napari_sam2track.prompts import (
        PromptSet,
        parse_mask_source,
        prompts_from_boxes,
        prompts_from_texts,
        read_prompts,
    )

    prompts, (of_tables, of_masks) = PromptSet(), params
    if file is not None:
        found = read_prompts(file, shape, of_tables, z)
        tell_notes(file, found.notes)
        prompts = found.prompts
    for text in masks or ():
        path, at = parse_mask_source(text)
        at = frame if at is None else at
        prompts = prompts.merge(_masks_of(path, at, shape, of_masks))
    first = max(prompts.objects, default=0) + 1
    clicked = prompts_from_texts(points or (), first_id=first)
    together = len(points or ()) == 1 and len(boxes or ()) == 1
    after = first if together else first + len(points or ())
    boxed = prompts_from_boxes(boxes or (), first_id=after)
    return prompts.merge(clicked).merge(boxed)


def prompt_files(masks: Sequence[str] | None, file: Path | None) -> list[Path]:
    """Return the files that prompts are read from."""
    from napari_sam2track.prompts import parse_mask_source

    return [parse_mask_source(text)[0] for text in masks or ()] + ([] if file is None else [file])


def model_files(info: ModelInfo) -> list[Path]:
    """Return the files that a model is read from."""
    from napari_sam2track.models.download import model_path

    return [model_path(info), *([] if info.config is None else [Path(info.config)])]


def _masks_of(
    path: Path, frame: int | None, shape: tuple[int, int], params: MaskPromptParams
) -> PromptSet:
    """Return the labels of one frame, or of all in a folder, as mask prompts; print notes."""
    from napari_sam2track.formats.labels.label_stack import plane_stack
    from napari_sam2track.formats.labels.open_labels import open_labels
    from napari_sam2track.prompts import PromptSet, masks_from_labels
    from napari_sam2track.prompts.from_labels import VOID, void_in

    prompts = PromptSet()
    with open_labels(path, gaps=True) as stack:
        plane_stack(stack, "a mask prompt")
        if (stack.height, stack.width) != shape:
            raise FormatError(
                f"the labels {path} are {stack.width} x {stack.height} pixels, but the image is "
                f"{shape[1]} x {shape[0]}; give labels of the same size"
            )
        chosen = _chosen_masks(stack, path, frame)
        for at, number in chosen.items():
            prompts = prompts.merge(masks_from_labels(stack.read(at), number))
        notes = list(stack.notes)
    if frame is None and len(chosen) > 1:
        notes.append(
            f"the masks of {len(chosen)} frames ({_shortened(list(chosen.values()))}) are prompts; "
            f"{path}@{min(chosen.values())} takes those of one frame"
        )
    if params.void == "auto" and void_in(prompts.objects):
        prompts = prompts.remove(VOID)
        notes.append(
            f"the value {VOID} is taken for no object, as in DAVIS, and left out; --void keep "
            f"makes it object {VOID}"
        )
    elif prompts.objects == (VOID,):
        notes.append(f"the only value is {VOID}, so there is one object, with the id {VOID}")
    tell_notes(path, notes)
    return prompts


def _chosen_masks(stack: LabelStack, path: Path, frame: int | None) -> dict[int, int]:
    """Return which frames of a stack are taken, and the frame of the movie that each is for."""
    from napari_sam2track.frames.file_names import last_number
    from napari_sam2track.frames.zarr_store import is_zarr

    if stack.n_frames == 1:  # the only file of a folder may have a number as well
        number = last_number(Path(stack.frame_name(0))) if path.is_dir() else None
        return {0: number or 0 if frame is None else frame}
    if frame is None and path.is_dir() and not is_zarr(path):
        return dict(enumerate(stack.frame_numbers))
    wanted = frame or 0
    if wanted not in stack.frame_numbers:
        raise UsageError(
            f"--mask-prompts {path}@{wanted}: the labels have frames "
            f"{_shortened(stack.frame_numbers)}; choose one of them"
        )
    return {stack.frame_numbers.index(wanted): wanted}


def _shortened(numbers: Sequence[int], most: int = 6) -> str:
    """Return numbers in ascending order as text; of many, the first and the last."""
    first, last = numbers[0], numbers[-1]
    if len(numbers) == last - first + 1 > 1:
        return f"{first} to {last}"
    some = ", ".join(map(str, numbers[:most]))
    return some if len(numbers) <= most else f"{some}, ... {last}"


def open_movie(path: Path, params: FramesParams) -> Frames:
    """Open a movie with the options of the command."""
    from napari_sam2track import frames

    movie = frames.open_movie(path, params)
    tell_notes(path, movie.notes)
    return movie


def tell_notes(path: Path, notes: Iterable[str], told: Collection[str] = ()) -> None:
    """Print notes on an input that were not told yet, for a person."""
    for text in notes:
        if text not in told:
            typer.echo(f"Note: {path}: {text}", err=True)


def tell_read(movie: TrackedMovie) -> None:
    """Print what a file of tracks was taken for, and what of it is not used."""
    from napari_sam2track.formats.conversions import notes

    for text in notes(movie):
        typer.echo(f"Note: {text}", err=True)


def ready_device(name: str, threads: int | None) -> str:
    """Return the device; report the reason, unless a person named the device."""
    from napari_sam2track.models.device import choose_device, keep_freed_memory, set_threads

    keep_freed_memory()
    choice = choose_device(name)
    if threads is not None:
        set_threads(threads)
    if name == "auto":
        typer.echo(f"Device: {choice.device} ({choice.reason})", err=True)
    return choice.device
