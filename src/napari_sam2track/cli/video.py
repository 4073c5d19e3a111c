"""``sam2track video``: follow objects through a movie or a stack."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    tell_notes,
)
from napari_sam2track.cli._options import given_options, with_params
from napari_sam2track.cli._signals import after_this_step
from napari_sam2track.errors import (
    FramesError,
    ModelError,
    OutputError,
    Sam2TrackError,
    UsageError,
)
from napari_sam2track.params import AutoParams, EngineParams, FramesParams, OutputParams
from napari_sam2track.parsing.guard import quoted
from napari_sam2track.prompts.prompt_params import MaskPromptParams, PromptParams

if TYPE_CHECKING:
    from napari_sam2track.frames import Frames
    from napari_sam2track.prompts import PromptSet
    from napari_sam2track.session.run_folder import RunFolder
    from napari_sam2track.session.runner import Runner
    from napari_sam2track.session.session import Session
    from napari_sam2track.session.session_file import SessionFile

_NUMBER = re.compile(r"[0-9]{1,10}")

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track video --video input.mp4 --out-dir results --points "0@120,85:pos 30@140,90:pos"

  sam2track video --video stack.tif --out-dir results --mask-prompts first_frame.tif --save zarr

  sam2track video --video input.mp4 --out-dir results --discover 20  [dim]finds objects itself[/dim]

  sam2track video --out-dir results --resume                         [dim]after Ctrl-C[/dim]

  sam2track video --out-dir results --resume --correct "2=30@140,90:neg"

  sam2track video --session results/session.json --out-dir again
"""


@with_params(
    output=OutputParams,
    frames=FramesParams,
    engine=EngineParams,
    auto=AutoParams,
    of_tables=PromptParams,
    of_masks=MaskPromptParams,
)
def video(
    ctx: typer.Context,
    *,
    video: Annotated[
        Path | None,
        typer.Option(
            "--video",
            help="Video, TIFF stack, folder of images, zarr or OME-Zarr, .npy.",
            show_default=False,
        ),
    ] = None,
    out_dir: Annotated[
        Path,
        typer.Option(
            "--out-dir",
            help="Folder for labels, tracks.csv, session.json and the overlay.",
            show_default=False,
        ),
    ],
    points: Points = None,
    box: Boxes = None,
    mask_prompts: MaskPrompts = None,
    prompts: PromptsFile = None,
    session: Annotated[
        Path | None,
        typer.Option(
            "--session",
            help="Run again what a session.json says; prompts and parameters come from it.",
            show_default=False,
        ),
    ] = None,
    model: Model = "bundled",
    config: Config = None,
    device: Device = "auto",
    threads: Threads = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in the folder, or correct it: what is stale is computed. "
            "Without --video, movie, prompts and parameters are those of the run, but for options "
            "of the engine that are given, and --discover; of the output, also with --video.",
        ),
    ] = False,
    correct: Annotated[
        list[str] | None,
        typer.Option(
            "--correct",
            help='With --resume: more clicks on an object of the run, "ID=t@x,y:pos x,y:neg".',
            show_default=False,
        ),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            "--forget",
            help='With --resume: delete the prompt of an object on a frame, "ID@t", or the object, '
            '"ID".',
            show_default=False,
        ),
    ] = None,
    undo: Annotated[
        bool,
        typer.Option(
            "--undo",
            help="Put back what the last run in the folder replaced; once more does it again.",
        ),
    ] = False,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Say what the run would cost, and end."),
    ] = False,
    overwrite: Overwrite = False,
    output: OutputParams,
    frames: FramesParams,
    engine: EngineParams,
    auto: AutoParams,
    of_tables: PromptParams,
    of_masks: MaskPromptParams,
) -> None:
    """Follow objects through a movie: per-frame labels, a table, an overlay video.

    Objects are prompted by points, boxes or masks on any frame; without
    prompts they are looked for (see the auto options). Ctrl-C keeps what is
    finished, and --resume goes on from there.
    """
    check_pixel_size(of_tables, prompts)
    said = (points, box, mask_prompts, prompts)
    going_on = resume or undo
    changes = bool(correct or forget)
    if changes and not resume:
        raise UsageError("--correct and --forget change a run that is there; say --resume as well")
    if undo and (changes or any(said) or resume or session or estimate):
        raise UsageError("--undo goes alone: it puts back what the last run replaced")
    from napari_sam2track.models.download import ready_model
    from napari_sam2track.session import results_folder
    from napari_sam2track.session.decisions import Decisions
    from napari_sam2track.session.run_folder import RunFolder, new_run, run_in
    from napari_sam2track.session.session import Session
    from napari_sam2track.session.session_file import movie_beside
    from napari_sam2track.storage.apart import check_apart

    with ExitStack() as held:
        if going_on:  # no other process may change the run before it is read
            if video is None:
                _check_there(out_dir)
            results_folder.check_folder(out_dir, going_on, overwrite)
            held.enter_context(results_folder.writing_to(out_dir))
        goes_on_as_it_was = undo or (resume and video is None)
        replay = _replayed(session, out_dir if goes_on_as_it_was else None, said)
        if replay is not None:
            frames, model, config = replay.frames, replay.model.name, replay.model.config
            if session is None:
                engine = replay.engine.model_copy(update=given_options(ctx, engine))
            else:
                engine = replay.engine.model_copy(update=_as_it_was(replay))
            video = video or movie_beside(replay, session or results_folder.session_of_run(out_dir))
        if video is None:
            raise UsageError("there is no movie; give one with --video, or a run with --session")
        movie, frames = _opened(video, frames, engine.stop)
        held.enter_context(movie)
        told = movie.notes
        if replay is None:
            shape, params = (movie.height, movie.width), (of_tables, of_masks)
            wanted = collect_prompts(points, box, mask_prompts, prompts, shape, params, frames.z)
            if going_on and not any(said):  # only the movie was given, or other settings
                wanted = run_in(out_dir).prompt_set()
            find = auto if auto.discover or not (wanted or any(said)) else None
        else:
            wanted = replay.prompt_set()
            find = (auto if auto.discover else replay.auto) if session is None else None
        wanted = _changed(wanted, correct, forget)
        remembered = replay if replay is not None or not going_on else run_in(out_dir)
        if remembered is not None and remembered.output is not None:
            output = remembered.output.model_copy(update=given_options(ctx, output))
        info = ready_model(model, config)
        asked = Session(movie, info, wanted, engine, find)
        if session is not None and replay is not None and replay.decisions is not None:
            asked = replace(asked, decided=Decisions.from_dict(replay.decisions))
        asked.check()
        asked = replace(asked, device=ready_device(device, threads))
        file = asked.to_file(str(video.absolute()), frames, output)
        if replay is not None and session is not None:
            _same_inputs(replay, file, session)
        read = [video, *prompt_files(mask_prompts, prompts), *model_files(info)]
        read += [] if session is None else [session]
        outputs = (("the output", path) for path in results_folder.output_paths(out_dir))
        check_apart(outputs, read, " or another --out-dir")
        if estimate and not going_on:
            _tell_cost_of_new(asked)
            return
        if going_on:
            run = RunFolder(out_dir, asked, file, str(video), keep=not (estimate or undo))
        else:
            run = held.enter_context(new_run(out_dir, asked, file, str(video), overwrite))
        if undo:
            _undo(ctx, run, output)
            return
        stale = run.runner.stale()
        damaged = _tell_damage(run, None)
        _tell_cost(run.runner, stale)
        if estimate:
            return
        try:
            stopped = _follow(run.runner, sum(map(len, stale.values())))
        except Sam2TrackError:
            done = len(run.store.finished())
            if done:
                _write(run, output)
                typer.echo(
                    f"{done} of {movie.n_frames} frames have results, which are in {out_dir}; "
                    "--resume goes on from there, --stop N --resume ends before the trouble",
                    err=True,
                )
            raise
        _tell_damage(run, damaged)
        _write(run, output)
        if stopped:
            typer.echo(
                f"Stopped: {len(run.store.finished())} of {movie.n_frames} frames have results in "
                f"{out_dir}; go on with --resume",
                err=True,
            )
            raise typer.Exit(128 + stopped)
        tell_notes(video, movie.notes, told)
        if not output.keep_run:
            results_folder.clear_run(out_dir)
        _tell_result(run)


def _opened(video: Path, frames: FramesParams, stop: int | None) -> tuple[Frames, FramesParams]:
    """Open the movie; of a file that was cut short, what is whole may be enough for --stop."""
    try:
        return open_movie(video, frames), frames
    except FramesError:
        if stop is None or frames.allow_truncated:
            raise
        frames = frames.model_copy(update={"allow_truncated": True})
        return open_movie(video, frames), frames


def _undo(ctx: typer.Context, run: RunFolder, output: OutputParams) -> None:
    """Undo the last run, and write the earlier results."""
    changed = run.undo()
    if changed is None:
        raise UsageError(f"there is no run in {run.folder} to undo; it has changed nothing")
    _write(run, (run.file.output or output).model_copy(update=given_options(ctx, output)))
    typer.echo(f"{len(changed)} frames are as they were before the last run: {run.folder}")


def _write(run: RunFolder, output: OutputParams) -> None:
    """Write the results, and report a person's files that were kept."""
    from napari_sam2track.cli._progress import progress

    for sentence in run.write(output, progress):
        typer.echo(f"Note: {sentence}", err=True)


def _tell_damage(run: RunFolder, told: str | None) -> str | None:
    """Report damage of the run that was not reported yet; return the new report."""
    found = run.store.damage()
    if found is not None and found != told:
        typer.echo(f"Note: {found}", err=True)
    return found


def _tell_result(run: RunFolder) -> None:
    """Report the result to a person at the end."""
    decided = run.runner.decided
    assert decided is not None
    objects = run.runner.all_prompts().objects
    if not objects:
        typer.echo("No objects were found: give prompts, or lower --min-quality", err=True)
    events = decided.divisions
    if events:
        applied = sum(bool(d.daughters) for d in events)
        typer.echo(f"{len(events)} divisions, of which {applied} were applied: divisions.csv")
    typer.echo(
        f"{run.store.n_frames} frames, {len(objects)} objects, {decided.mode} mode "
        f"({decided.reason}): {run.folder}"
    )


def _changed(prompts: PromptSet, correct: list[str] | None, forget: list[str] | None) -> PromptSet:
    """Return the prompts with the corrections of a person."""
    from napari_sam2track.prompts import Prompt, parse_object_points

    for text in forget or ():
        object_id, _, frame = text.partition("@")
        if not _NUMBER.fullmatch(object_id) or not (_NUMBER.fullmatch(frame) or not frame):
            raise UsageError(f"--forget {quoted(text)}: write ID@FRAME, such as 2@30, or ID")
        prompts = prompts.remove(int(object_id), int(frame) if frame else None)
    for text in correct or ():
        object_id, equals, clicks = text.partition("=")
        if not equals or not _NUMBER.fullmatch(object_id.strip()):
            raise UsageError(
                f"--correct {quoted(text)}: write ID=t@x,y:pos, such as "
                '"2=30@140,90:neg 150,92:pos"'
            )
        for t, points in parse_object_points(clicks).items():
            prompts = prompts.add(int(object_id), t, Prompt(points=points))
    return prompts


def _replayed(
    session: Path | None, folder: Path | None, prompts: tuple[object, ...]
) -> SessionFile | None:
    """Return the session to run again, or that of the run to resume, with its own prompts."""
    if session is None and folder is None:
        return None
    if any(prompts):
        given = "--session" if session is not None else "--resume without --video"
        raise UsageError(f"{given} brings its own prompts; leave the others out")
    from napari_sam2track.session.session_file import read_session

    if session is not None:
        return read_session(session)
    assert folder is not None
    from napari_sam2track.session.run_folder import run_in

    return run_in(folder)


def _check_there(folder: Path) -> None:
    """Refuse a folder without a run."""
    from napari_sam2track.session import results_folder

    if not results_folder.has_run(folder):
        raise OutputError(
            f"there is no run in {folder} to go on with; give --video and prompts to start one"
        )


def _as_it_was(replay: SessionFile) -> dict[str, Any]:
    """Return the settings of a run whose file has no decisions: its mode, and its direction."""
    if replay.decisions is not None:
        return {}
    decided: dict[str, Any] = {} if replay.mode is None else {"mode": replay.mode}
    return decided if replay.auto is None else {**decided, "direction": "forward"}


def _same_inputs(replay: SessionFile, now: SessionFile, session: Path) -> None:
    """Refuse to replay on another movie or with other weights."""
    if replay.fingerprint not in (None, now.fingerprint):
        raise FramesError(
            f"the movie {now.source} is not the one that {session} was made with: its pixels "
            "differ; say where that one is with --video"
        )
    if replay.model.sha256 not in (None, now.model.sha256):
        raise ModelError(
            f"the model {now.model.name} is not the one that {session} was made with: its weights "
            "have another sha256; install the version that the session names"
        )


def _follow(runner: Runner, total: int) -> int:
    """Follow all objects with a progress bar; return the signal that ended it, or 0."""
    from napari_sam2track.cli._progress import progress

    steps = runner.propagate()
    with after_this_step() as told:
        for _ in progress(
            steps,
            total,
            "Following",
            unit="object-frames",
            done=lambda step: (step.done, step.total),
        ):
            if told():
                steps.close()
                return told()
    return 0


def _tell_cost_of_new(session: Session) -> None:
    """Report the cost of a new run, without leaving a file."""
    from napari_sam2track.session.run_store import RunStore
    from napari_sam2track.session.runner import Runner
    from napari_sam2track.storage.scratch import scratch_folder

    movie = session.frames
    with scratch_folder("sam2track-estimate") as nothing:
        store = RunStore(nothing, (movie.n_frames, movie.height, movie.width))
        runner = Runner(session, store)
        _tell_cost(runner, runner.stale())


def _tell_cost(runner: Runner, stale: dict[int, list[int]]) -> None:
    """Report the amount of work and its cost, before it begins."""
    active = Counter(t for of_object in stale.values() for t in of_object)
    pairs, frames = active.total(), len(active)
    typer.echo(
        f"To compute: {pairs} object-frames ({len(stale)} objects, {frames} frames)", err=True
    )
    if not pairs or runner.decided is None:
        return
    from napari_sam2track.engine.estimate import estimate

    most = max(active.values())
    engine, mode = runner.session.engine, runner.decided.mode
    typer.echo(
        f"Estimate: {estimate(runner.network, mode, pairs, most, frames, engine).text}", err=True
    )
