"""``sam2track demo``: the main job on a synthetic movie, with its truth beside it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2track.cli._inputs import Device, Overwrite, Threads, ready_device

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2track.prompts import PromptSet
    from napari_sam2track.samples import SampleMovie

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track demo

  sam2track demo --out-dir /tmp/demo --overwrite
"""


def demo(
    *,
    out_dir: Annotated[
        Path, typer.Option("--out-dir", help="Folder for the movie and the results.")
    ] = Path("sam2track-demo"),
    device: Device = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
) -> None:
    """Click once on each cell of a synthetic movie, follow them, compare with the truth.

    Works offline with the bundled model, in well under a minute on a laptop.
    """
    from napari_sam2track import samples
    from napari_sam2track.api import follow
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.prompts import Point, Prompt, PromptSet
    from napari_sam2track.session.results_folder import check_folder
    from napari_sam2track.storage.output import check_output

    begin = time.perf_counter()
    results = out_dir / "results"
    movie_path = out_dir / "movie.tif"
    where = ready_device(device, threads)
    check_folder(results, resume=False, overwrite=overwrite)
    for path in (movie_path, _truth_beside(movie_path)):
        check_output(path, overwrite)
    sample = samples.moving_cells()
    _write_movie(movie_path, sample, overwrite)
    clicks = samples.centre_pixels(sample.labels_tyx[0])
    prompts = PromptSet({(i, 0): Prompt(points=(Point(y, x),)) for i, (y, x) in clicks.items()})
    with follow(
        movie_path,
        prompts=prompts,
        device=where,
        out=results,
        overwrite=overwrite,
        progress=progress,
        direction="forward",
    ) as run:
        labels = [run.labels[t] for t in range(len(run.labels))]
    _report(sample, labels, prompts)
    typer.echo(
        f"\n{len(clicks)} cells, one click each, {len(labels)} frames: "
        f"{time.perf_counter() - begin:.1f} s in all"
    )
    typer.echo(f"Results: {results} (labels.tif, tracks.csv, overlay.mp4, session.json)")
    typer.echo(f"Look at them in napari:  napari {movie_path} {results / 'labels.tif'}")


def _truth_beside(path: Path) -> Path:
    """Return the path of the movie's truth."""
    return path.with_name("truth.tif")


def _write_movie(path: Path, sample: SampleMovie, overwrite: bool) -> None:
    """Write the movie, and its truth beside it."""
    import tifffile

    from napari_sam2track.storage.output import atomic_path

    for name, stack in (
        (path, sample.images_tyx),
        (_truth_beside(path), sample.labels_tyx),
    ):
        with atomic_path(name, overwrite) as part:
            tifffile.imwrite(
                part, stack, compression="zlib", photometric="minisblack", metadata={"axes": "TYX"}
            )


def _report(sample: SampleMovie, labels: list[NDArray[np.uint32]], prompts: PromptSet) -> None:
    """Print scores, with those of a trivial method."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from napari_sam2track.samples import mean_overlap

    truth = sample.labels_tyx
    ours = np.stack(labels)
    still = np.broadcast_to(ours[0], ours.shape)
    table = Table(title="Mean J (intersection over union with the truth)")
    table.add_column("")
    for name in ("first frame", "all later frames", "last frame"):
        table.add_column(name, justify="right")

    def row(name: str, stack: NDArray[Any]) -> None:
        table.add_row(
            name,
            f"{mean_overlap(truth[:1], stack[:1], 0):.3f}",
            f"{mean_overlap(truth, stack):.3f}",
            f"{mean_overlap(truth[-1:], stack[-1:], 0):.3f}",
        )

    row("sam2track, one click a cell", ours)
    row("its first masks, left in place", still)
    row("Otsu threshold, part under each click", _otsu(sample, prompts))
    Console().print(table)


def _otsu(sample: SampleMovie, prompts: PromptSet) -> NDArray[np.uint32]:
    """Return labels by a threshold: the part of the foreground under the click, in every frame."""
    import numpy as np
    from scipy import ndimage as ndi

    from napari_sam2track.samples import otsu_part

    out = np.zeros(sample.images_tyx.shape, np.uint32)
    for t, image in enumerate(sample.images_tyx):
        smooth = ndi.gaussian_filter(image.astype(np.float32), 1)
        for (object_id, _), prompt in prompts.items():
            point = prompt.points[0]
            out[t][otsu_part(smooth, int(point.y), int(point.x))] = object_id
    return out
