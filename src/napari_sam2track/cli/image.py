"""``sam2track image``: masks of one image from clicks, boxes or masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2track.cli._inputs import (
    Boxes,
    Config,
    Device,
    MaskPrompts,
    Model,
    Overwrite,
    Points,
    PromptsFile,
    Threads,
    check_pixel_size,
    collect_prompts,
    model_files,
    open_movie,
    prompt_files,
    ready_device,
)
from napari_sam2track.cli._options import with_params
from napari_sam2track.errors import UsageError
from napari_sam2track.params import FramesParams, MaskParams
from napari_sam2track.prompts.prompt_params import MaskPromptParams, PromptParams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2track.prompts import PromptSet

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track image --image input.png --points "120,85:pos 160,90:neg" --out mask.png

  sam2track image --image cells.tif --points 40,52 --points 88,31 --out cells.png --overlay o.png

  sam2track image --image horse.jpg --box 30,40,300,280 --model sam2.1_hiera_tiny --out mask.png
"""


@with_params(
    frames=FramesParams, mask=MaskParams, of_tables=PromptParams, of_masks=MaskPromptParams
)
def image(
    *,
    image: Annotated[
        Path,
        typer.Option(
            "--image", help="Image, or a stack of which one frame is taken.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Mask to write, .png or .tif: 0 and 255 for one object, "
            "one value each for several.",
            show_default=False,
        ),
    ],
    points: Points = None,
    box: Boxes = None,
    mask_prompts: MaskPrompts = None,
    prompts: PromptsFile = None,
    frame: Annotated[int, typer.Option("--frame", min=0, help="Frame of a stack.")] = 0,
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay", help="Also write the image with the masks in colour.", show_default=False
        ),
    ] = None,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates",
            help="Also write every mask that SAM2 proposed "
            "for a single click into this folder; their scores are printed.",
            show_default=False,
        ),
    ] = None,
    model: Model = "bundled",
    config: Config = None,
    device: Device = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
    frames: FramesParams,
    mask: MaskParams,
    of_tables: PromptParams,
    of_masks: MaskPromptParams,
) -> None:
    """Outline objects in one image from clicks, boxes or masks."""
    from napari_sam2track.storage.apart import check_apart
    from napari_sam2track.storage.output import check_output

    check_pixel_size(of_tables, prompts)
    _check_suffix("--out", out, (".png", ".tif", ".tiff"))
    for path in (out, overlay):
        if path is not None:
            check_output(path, overwrite)
    if overlay is not None:
        _check_suffix("--overlay", overlay, (".png", ".jpg", ".jpeg", ".tif", ".tiff"))
    asked = (("--out", out), ("--overlay", overlay), ("--candidates", candidates))
    outputs = [(option, path) for option, path in asked if path is not None]
    check_apart(outputs, [image, *prompt_files(mask_prompts, prompts)])
    with open_movie(image, frames) as movie:
        if frame >= movie.n_frames:
            raise UsageError(
                f"--frame {frame} is outside {image}, which has {movie.n_frames} frames; choose "
                f"one from 0 to {movie.n_frames - 1}"
            )
        size, params = (movie.height, movie.width), (of_tables, of_masks)
        wanted = collect_prompts(points, box, mask_prompts, prompts, size, params, frames.z, frame)
        wanted = _on_frame(wanted, frame)
        if not wanted:
            raise UsageError(
                'there are no prompts; click on the object, as in --points "120,85:pos"'
            )
        from napari_sam2track.models.download import ready_model
        from napari_sam2track.prompts import validate_prompts

        validate_prompts(wanted, movie.n_frames, movie.height, movie.width)
        info = ready_model(model, config)
        check_apart(outputs, model_files(info))
        where = ready_device(device, threads)

        from napari_sam2track.engine.network.network import Network
        from napari_sam2track.engine.single_image import segment
        from napari_sam2track.models.loading import load_network

        found = segment(
            Network(load_network(info, where)), movie, frame, wanted, mask, candidates is not None
        )
        _write_mask(out, found.labels_yx, len(wanted.objects), overwrite)
        if overlay is not None:
            from napari_sam2track.formats.overlay import draw_overlay

            picture = draw_overlay(movie.read(frame), found.labels_yx, wanted.at_frame(frame))
            _write_image(overlay, picture, overwrite)
        if candidates is not None:
            for one in found.candidates:
                target = candidates / f"object_{one.object_id}_candidate_{one.rank}.png"
                _write_image(target, one.mask_yx.astype("uint8") * 255, overwrite)
    for item in found.objects:
        area = int((found.labels_yx == item.object_id).sum())
        typer.echo(f"object {item.object_id}: {area} pixels, predicted IoU {item.iou:.2f}")
    if candidates is not None:
        for one in found.candidates:
            typer.echo(
                f"  object {one.object_id}, candidate {one.rank}: predicted IoU {one.iou:.2f}"
            )
    typer.echo(f"{len(found.objects)} objects, {found.mode} mode ({found.reason}): {out}")


def _on_frame(prompts: PromptSet, frame: int) -> PromptSet:
    """Set the chosen frame for prompts that name none."""
    from napari_sam2track.prompts import PromptSet

    moved = PromptSet({(i, frame if t == 0 else t): p for (i, t), p in prompts.items()})
    others = sorted(set(moved.frames) - {frame})
    if others:
        raise UsageError(
            f"there are prompts on frame {others[0]}, but the image is frame {frame}; leave the "
            f"frame out of them, or choose it with --frame {others[0]}"
        )
    return moved


def _check_suffix(option: str, path: Path, known: tuple[str, ...]) -> None:
    if path.suffix.lower() not in known:
        raise UsageError(f"{option} {path}: use one of {', '.join(known)}")


def _write_mask(path: Path, labels_yx: NDArray[np.uint32], n_objects: int, overwrite: bool) -> None:
    """Write 0 and 255 for one object, labels for several; never a value too large for the type."""
    import numpy as np

    from napari_sam2track.errors import OutputError

    if n_objects == 1:
        _write_image(path, (labels_yx > 0).astype(np.uint8) * 255, overwrite)
        return
    largest = int(labels_yx.max())
    if largest > 65535 and path.suffix.lower() == ".png":
        raise OutputError(f"--out {path}: a PNG holds ids up to 65535, not {largest}; write a .tif")
    kind = np.uint8 if largest < 256 else np.uint16 if largest < 65536 else np.uint32
    _write_image(path, labels_yx.astype(kind), overwrite)


def _write_image(path: Path, pixels: NDArray[np.generic], overwrite: bool) -> None:
    from napari_sam2track.storage.output import atomic_path

    with atomic_path(path, overwrite) as temporary:
        if path.suffix.lower() in (".tif", ".tiff"):
            import tifffile

            tifffile.imwrite(
                temporary,
                pixels,
                compression="zlib",
                photometric="rgb" if pixels.ndim == 3 else "minisblack",
            )
        else:
            from PIL import Image

            Image.fromarray(pixels).save(temporary)
