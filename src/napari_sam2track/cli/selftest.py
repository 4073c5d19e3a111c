"""``sam2track selftest``: this engine beside SAM2's own predictor, on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_sam2track.cli._inputs import Config, Model, Threads
from napari_sam2track.errors import Sam2TrackError

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track selftest

  sam2track selftest --model sam2.1_hiera_tiny --frames 4
"""

MAX_LOGIT_DIFFERENCE = 1e-5
MAX_FLIPPED = 1e-4


def selftest(
    *,
    model: Model = "bundled",
    config: Config = None,
    frames: Annotated[
        int, typer.Option("--frames", min=2, max=24, help="Frames of the test movie.")
    ] = 20,
    threads: Threads = 1,
) -> None:
    """Compare with SAM2's own video predictor: same weights, same frames, on the CPU.

    Points, boxes, masks, objects that begin later, corrections and the backward pass,
    each in the modes exact and fast. Prints the differences; exits with 1 if
    they are larger than promised.
    """
    from rich.console import Console
    from rich.table import Table

    from napari_sam2track.models.device import set_threads
    from napari_sam2track.models.download import ready_model
    from napari_sam2track.models.loading import load_network

    info = ready_model(model, config)
    if threads is not None:
        set_threads(threads)
    from napari_sam2track.engine.official_predictor import PLAIN, cases, compare

    predictor = load_network(info, "cpu", target="predictor")
    movie, tests = cases(frames)
    table = Table(title=f"{info.name}, {frames} frames, against sam2's SAM2VideoPredictor")
    for name in (
        "case",
        "mode",
        "pixels that differ",
        "largest difference of logits",
        "time",
        "official",
    ):
        table.add_column(name, justify="left" if name in ("case", "mode") else "right")
    failed = []
    for case in tests:
        for equality in ("exact", "fast"):
            params = PLAIN.model_copy(update={"equality": equality, "later_prompts": case.later})
            found = compare(predictor, movie, case.prompts, params, case.step)
            table.add_row(
                case.name,
                equality,
                f"{found.flipped} of {found.pixels}",
                f"{found.logit_difference:.1e}",
                f"{found.seconds:.2f} s",
                f"{found.official_seconds:.2f} s",
            )
            exact = equality == "exact"
            if found.flipped > (0 if exact else MAX_FLIPPED * found.pixels) or (
                exact and found.logit_difference > MAX_LOGIT_DIFFERENCE
            ):
                failed.append(f"{case.name} ({equality})")
    Console().print(table)
    if failed:
        raise Sam2TrackError(
            f"differences from SAM2's predictor are larger than promised: {', '.join(failed)}; "
            "please report it with what sam2track info prints"
        )
    typer.echo(
        f"All as promised: exact has the same labels and logits within "
        f"{MAX_LOGIT_DIFFERENCE:g}, fast at most {MAX_FLIPPED:g} of the pixels."
    )
