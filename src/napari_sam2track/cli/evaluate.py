"""``sam2track evaluate``: a result beside the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2track.cli._inputs import Overwrite, tell_read

if TYPE_CHECKING:
    from napari_sam2track.evaluation import Score

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track evaluate 01_RES 01_GT

  sam2track evaluate tracked.tif truth.tif --out scores.json
"""


def evaluate(
    *,
    pred: Annotated[
        Path, typer.Argument(metavar="PRED", help="The result: tracked labels in any format.")
    ],
    truth: Annotated[Path, typer.Argument(metavar="GT", help="The truth, of the same movie.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the scores as JSON, too.", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    r"""Score tracks beside the truth, and say which package gave which figure.

    DET, SEG, TRA, LNK and CHOTA are those of the Cell Tracking Challenge
    (py-ctcmetrics), division scores come from traccuracy, J is our own.
    The packages are an extra: pip install 'napari-sam2track\[eval]'.
    """
    from napari_sam2track import evaluation
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.evaluation.packages import check_installed
    from napari_sam2track.evaluation.truth_frames import on_truth_frames
    from napari_sam2track.formats.tracks_files import files_read, open_tracks
    from napari_sam2track.params import ReadParams
    from napari_sam2track.storage.apart import check_apart
    from napari_sam2track.storage.output import check_output

    check_installed()
    if out is not None:
        check_apart([("--out", out)], [*files_read(pred), *files_read(truth)])
        check_output(out, overwrite)
    options = ReadParams(gaps=True)
    with (
        open_tracks(pred, options=options, progress=progress) as found,
        open_tracks(truth, options=options, progress=progress) as true,
    ):
        for movie in (found, true):
            tell_read(movie)
        seg = _seg_folder(truth)
        cut, cut_truth, numbers = on_truth_frames(found, true)
        if numbers:
            listed = ", ".join(map(str, numbers[:10])) + ", ..." * (len(numbers) > 10)
            typer.echo(
                f"Note: only frames that have truth are scored, {len(numbers)} of them: {listed}",
                err=True,
            )
        scores = evaluation.evaluate(cut, cut_truth, seg, progress)
    _show(scores, seg)
    if out is not None:
        _write(out, scores, pred, truth, overwrite)


def _seg_folder(truth: Path) -> Path | None:
    """Return the segmentation masks beside the tracks of a ground truth, if there are any."""
    for folder in (truth / "SEG", truth.parent / "SEG"):
        if next(folder.glob("man_seg*.tif"), None) is not None:
            return folder
    return None


def _show(scores: list[Score], seg: Path | None) -> None:
    """Print a table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table("score", "value", "what", "computed by")
    table.columns[1].justify = "right"
    for score in scores:
        table.add_row(score.name, f"{score.value:.4f}", score.meaning, score.package)
    Console().print(table)
    where = f"with the masks in {seg}" if seg else "with the masks of the tracks themselves"
    typer.echo(f"SEG {where}.")


def _write(out: Path, scores: list[Score], pred: Path, truth: Path, overwrite: bool) -> None:
    """Write scores as JSON: NaN becomes null."""
    import json
    from dataclasses import asdict
    from math import isnan

    from napari_sam2track.storage.output import write_text_atomic

    rows = [asdict(s) | {"value": None if isnan(s.value) else s.value} for s in scores]
    content = {"result": str(pred), "truth": str(truth), "scores": rows}
    write_text_atomic(out, json.dumps(content, indent=2, allow_nan=False) + "\n", overwrite)
