"""``sam2track train``: fine-tunes a model on one's own labels."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2track.cli._inputs import Device, Threads, model_files, ready_device
from napari_sam2track.cli._options import with_params
from napari_sam2track.cli._signals import exit_code
from napari_sam2track.errors import Sam2TrackError, UsageError
from napari_sam2track.params import FramesParams
from napari_sam2track.training.tune_params import TuneParams

if TYPE_CHECKING:
    from napari_sam2track.models.registry import ModelInfo
    from napari_sam2track.training.fine_tuning import Tuning, TuningStep
    from napari_sam2track.training.labelled import LabelledMovie

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track train --data results --out my_cells

  sam2track train --data movie1 --data movie2 --base bundled --out my.pt --minutes 30

  sam2track train --data Fluo-N2DL-HeLa --base sam2.1_hiera_tiny --what decoder --device cuda
  --out hela.pt
"""


@with_params(shown=FramesParams, tune=TuneParams)
def train(
    *,
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            help="Folder with images and labels that you trust; may be given several times. "
            "Results of sam2track video, a Cell Tracking Challenge dataset (01 and 01_ST/SEG or "
            "01_GT/TRA), NAME.tif beside NAME_labels.tif (or _masks, _seg), or folders images and "
            "labels.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="The new model: a file, such as my.pt, or a name alone, such as my_cells, by "
            "which all commands and docks know it then.",
            show_default=False,
        ),
    ],
    base: Annotated[
        str,
        typer.Option("--base", help="Model to begin with: a name, or a file of weights."),
    ] = "bundled",
    config: Annotated[
        str | None,
        typer.Option(
            "--config", help="Architecture of a file of weights that does not say it itself."
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    shown: FramesParams,
    tune: TuneParams,
) -> None:
    """Fine-tune a model on your own labelled movies.

    Objects are seen in windows, from clicks, boxes and masks, and followed,
    as they are when the model is used. A part of the data is held out: what
    is best there is kept, and is written only if it is better than the model
    to begin with. Ctrl-C ends the training and keeps what is best so far.
    """
    from napari_sam2track.storage.apart import check_apart

    path = _target(out)
    from napari_sam2track.models.download import ready_model

    model = ready_model(base, config)
    check_apart([("--out", path)], [*data, *model_files(model)])
    chosen = ready_device(device, threads)

    from napari_sam2track.training.labelled import Examples, split

    with ExitStack() as opened:
        movies = _open(data, shown, opened)
        kept, held = split(movies, tune.hold_out)
        for name, part in (("Training on", kept), ("Judged by", held)):
            objects = sum(len(movie.rows) for movie in part)
            typer.echo(f"{name}: {', '.join(m.name for m in part)} ({objects} masks)")
        tuning = _tuning(model, Examples(kept, tune.weight), Examples(held), tune, chosen)
        before = _engine_scores(tuning, held[0])
        stopped = _follow(tuning)
        _keep(tuning, model, path, (kept, held), before)
    if stopped:
        raise typer.Exit(stopped)


def _target(out: Path) -> Path:
    """Return the path of the new model; refuse one that cannot be written."""
    from napari_sam2track.models.registry import UnknownModelError, find_model, models_dir
    from napari_sam2track.storage.output import check_output

    if out.suffix == "" and out.parent == Path():
        try:
            known = find_model(out.name)
        except UnknownModelError:
            known = None
        if known is not None:
            raise UsageError(
                f"there is a model {known.name} already; choose another name than {out}"
            )
        out = models_dir() / f"{out.name}.pt"
    elif out.suffix.lower() not in (".pt", ".pth"):
        raise UsageError(f"{out} does not end with .pt; weights of torch do")
    check_output(out)
    return out


def _open(folders: list[Path], asked: FramesParams, opened: ExitStack) -> list[LabelledMovie]:
    from napari_sam2track.training.data_folders import open_labelled

    movies: list[LabelledMovie] = []
    for folder in folders:
        for movie in open_labelled(folder, asked):
            opened.callback(movie.close)
            same = [m.name for m in movies if m.source.resolve() == movie.source.resolve()]
            if same:
                raise UsageError(
                    f"{folder} and {same[0]} show the same movie, {movie.source}: the model would "
                    "be judged by what it has learnt; give only the labels that you trust most"
                )
            movies.append(movie)
            note = movie.frames.describe().get("note")
            if note:
                typer.echo(f"{movie.name}: {note} (--channel)", err=True)
    return movies


def _tuning(model: ModelInfo, train: Any, held: Any, tune: TuneParams, device: str) -> Tuning:
    from napari_sam2track.engine.modes import choose_window_size
    from napari_sam2track.models.loading import load_config, load_network
    from napari_sam2track.training.fine_tuning import Tuning

    # windows as large as the engine's
    size, _ = choose_window_size(None, load_config(model)["image_size"], device)
    return Tuning(load_network(model, image_size=size), train, held, tune, device)


def _follow(tuning: Tuning) -> int:
    """Train with a bar and a line for each scoring of held-out windows.

    Returns
    -------
    int
        The exit code of the signal that ended it; 0 if none did.
    """
    from napari_sam2track.cli._progress import progress

    steps = tuning.run()
    bar = progress(steps, 0, "Training", unit="steps", done=lambda p: (p.step, p.total))
    try:
        for one in bar:
            if one.scores is not None:
                typer.echo(_line(one))
    except KeyboardInterrupt as told:
        steps.close()
        return exit_code(told)
    if tuning.gave_up:
        typer.echo(
            f"Stopped: {tuning.params.patience} looks in a row brought nothing better (--patience)"
        )
    return 0


def _line(one: TuningStep) -> str:
    scores = (
        ", ".join(f"{name} {value:.3f}" for name, value in one.scores.items()) if one.scores else ""
    )
    loss = f"loss {one.loss:.2f}, " if one.step else ""
    verdict = ""
    if one.step:
        verdict = " (best)" if one.best_step == one.step else f" (worse than at {one.best_step})"
    return f"step {one.step}: {loss}held out: {scores}{verdict}"


def _engine_scores(tuning: Tuning, movie: LabelledMovie) -> dict[str, float]:
    """Return scores of the best weights so far."""
    from napari_sam2track.training.report import scores_of

    typer.echo(f"Scoring by the engine: {movie.name}", err=True)
    return scores_of(tuning.kept(), movie)


def _keep(
    tuning: Tuning,
    model: ModelInfo,
    path: Path,
    movies: tuple[list[LabelledMovie], list[LabelledMovie]],
    before: dict[str, float],
) -> None:
    """Write the best weights, if they are better than those to begin with."""
    from napari_sam2track.models.loading import load_config
    from napari_sam2track.training.export import save_tuned, tuned_card
    from napari_sam2track.training.report import lines_of

    if not tuning.improved:
        raise Sam2TrackError(
            f"after {tuning.steps} steps nothing is better on what was held out than {model.name} "
            "was, so nothing is written; train longer (--minutes), with a lower --rate, or on more "
            "labels"
        )
    names = tuple([m.name for m in part] for part in movies)
    engine = {"before": before}
    try:
        engine["after"] = after = _engine_scores(tuning, movies[1][0])
    finally:  # the weights are written even if the scores fail
        card = tuned_card(path.stem, model, tuning, names, engine)
        save_tuned(path, tuning.best, load_config(model), card)
    typer.echo(f"{movies[1][0].name}, by the engine, before -> after:")
    for line in lines_of(before, after):
        typer.echo(f"  {line}")
    typer.echo(
        f"The model after {tuning.best_step} steps is in {path}; "
        f"use it with --model {_called(path)}"
    )


def _called(path: Path) -> str:
    from napari_sam2track.models.registry import models_dir

    return path.stem if path.parent == models_dir() else str(path)
