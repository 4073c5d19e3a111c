"""``sam2track video``: follow objects through a movie or a stack."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
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
    collect_prompts,
    model_files,
    open_movie,
    prompt_files,
    ready_device,
    ready_model,
)
from napari_sam2track.cli._options import given_options, with_params
from napari_sam2track.cli._signals import after_this_step
from napari_sam2track.errors import (
    FormatError,
    FramesError,
    ModelError,
    OutputError,
    Sam2TrackError,
    UsageError,
)
from napari_sam2track.params import AutoParams, EngineParams, FramesParams, OutputParams

if TYPE_CHECKING:
    from napari_sam2track.prompts import PromptSet
    from napari_sam2track.session.run_store import RunStore
    from napari_sam2track.session.session import Session
    from napari_sam2track.session.session_file import SessionFile

SESSION = "session.json"
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


@with_params(output=OutputParams, frames=FramesParams, engine=EngineParams, auto=AutoParams)
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
) -> None:
    """Follow objects through a movie: per-frame labels, a table, an overlay video.

    Objects are prompted by points, boxes or masks on any frame; without
    prompts they are looked for (see the auto options). Ctrl-C keeps what is
    finished, and --resume goes on from there.
    """
    said = (points, box, mask_prompts, prompts)
    going_on = resume or undo
    changes = bool(correct or forget)
    if changes and not resume:
        raise UsageError("--correct and --forget change a run that is there; say --resume as well")
    if undo and (changes or any(said) or resume or session or estimate):
        raise UsageError("--undo goes alone: it puts back what the last run replaced")
    from napari_sam2track.session import results_folder
    from napari_sam2track.session.decisions import Decisions
    from napari_sam2track.session.run_store import RunStore
    from napari_sam2track.session.session import Session
    from napari_sam2track.storage.apart import check_apart
    from napari_sam2track.storage.scratch import scratch_folder

    with ExitStack() as held:
        if going_on:  # nobody else may change the run from before it is read
            if video is None:
                _check_there(out_dir)
            results_folder.check_folder(out_dir, going_on, overwrite)
            held.enter_context(results_folder.writing_to(out_dir))
        goes_on_as_it_was = undo or (resume and video is None)
        replay = _replayed(session, out_dir if goes_on_as_it_was else None, said)
        if replay is not None and session is None:
            frames, model, config = replay.frames, replay.model.name, replay.model.config
            engine = replay.engine.model_copy(update=given_options(ctx, engine))
            video = video or _source(replay, out_dir / results_folder.RUN / SESSION)
        elif replay is not None and session is not None:
            video = video or _source(replay, session)
            frames, engine, model, config = (
                replay.frames,
                replay.engine.model_copy(update=_as_it_was(replay)),
                replay.model.name,
                replay.model.config,
            )
        if video is None:
            raise UsageError("there is no movie; give one with --video, or a run with --session")
        movie = held.enter_context(open_movie(video, frames))
        if replay is None:
            wanted = collect_prompts(points, box, mask_prompts, prompts, movie.height, movie.width)
            if going_on and not any(said):  # the movie alone was given, or other settings
                wanted = _run_in(out_dir).prompt_set()
            find = auto if auto.discover or not (wanted or any(said)) else None
        else:
            wanted = replay.prompt_set()
            find = (auto if auto.discover else replay.auto) if session is None else None
        wanted = _changed(wanted, correct, forget)
        remembered = replay if replay is not None or not going_on else _run_in(out_dir)
        if remembered is not None and remembered.output is not None:
            output = remembered.output.model_copy(update=given_options(ctx, output))
        work = Session(movie, ready_model(model, config), wanted, engine, find)
        if session is not None and replay is not None and replay.decisions is not None:
            work.decided = Decisions.from_dict(replay.decisions)
        work.check()
        work.device = ready_device(device, threads)
        note = _session_file(work, video, frames, output)
        if replay is not None and session is not None:
            _same_inputs(replay, note, session)
        read = [video, *prompt_files(mask_prompts, prompts), *model_files(work.model)]
        read += [] if session is None else [session]
        outputs = (("the output", path) for path in results_folder.output_paths(out_dir))
        check_apart(outputs, read, " or another --out-dir")
        if not going_on:
            if estimate:
                with scratch_folder("sam2track-estimate") as nothing:
                    size = (movie.n_frames, movie.height, movie.width)
                    _tell_cost(work, work.stale(RunStore(nothing, size)))
                return
            results_folder.check_folder(out_dir, going_on, overwrite)
            _ = work.network  # what is wrong with the model or the sizes is said before any trace
            held.enter_context(results_folder.writing_to(out_dir))
            if results_folder.has_run(out_dir) and not overwrite:  # begun since it was looked at
                raise OutputError(f"another run has begun in {out_dir}; choose another folder")
            results_folder.clear_run(out_dir)
        store = RunStore(
            out_dir / results_folder.RUN,
            (movie.n_frames, movie.height, movie.width),
            precise=engine.equality == "exact",
        )
        store.begin(note, keep=not (estimate or undo))

        def write() -> None:
            made = work.decided
            decided = {} if made is None else {"mode": made.mode, "decisions": made.to_dict()}
            final = note.model_copy(update=decided)
            origin = _provenance(work, video, note.model.sha256, store.finished())
            outcome = results_folder.write_results(
                out_dir, store, work, final, origin, output, _watch
            )
            store.settle()
            for sentence in results_folder.what_was_kept(out_dir, outcome):
                typer.echo(f"Note: {sentence}", err=True)

        if undo:
            changed = store.undo()
            if changed is None:
                raise UsageError(f"there is no run in {out_dir} to undo; it has changed nothing")
            note = _run_in(out_dir)
            output = (note.output or output).model_copy(update=given_options(ctx, output))
            work.set_prompts(note.prompt_set())
            work.stale(store)  # knows what was decided
            write()
            typer.echo(f"{len(changed)} frames are as they were before the last run: {out_dir}")
            return
        stale = work.stale(store)
        damaged = _tell_damage(store, None)
        _tell_cost(work, stale)
        if estimate:
            return
        try:
            stopped = _run(work, store, sum(map(len, stale.values())))
        except Sam2TrackError:
            done = len(store.finished())
            if done:
                write()
                typer.echo(
                    f"{done} of {movie.n_frames} frames have results, which are in {out_dir}; "
                    "--resume goes on from there, --stop N --resume ends before the trouble",
                    err=True,
                )
            raise
        _tell_damage(store, damaged)
        write()
        if stopped:
            typer.echo(
                f"Stopped: {len(store.finished())} of {movie.n_frames} frames have results in "
                f"{out_dir}; go on with --resume",
                err=True,
            )
            raise typer.Exit(128 + stopped)
        if not output.keep_run:
            results_folder.clear_run(out_dir)
        _tell_result(work, out_dir)


def _tell_damage(store: RunStore, told: str | None) -> str | None:
    """Say what of the run was damaged, unless that was told; gives back what is told now."""
    found = store.damage()
    if found is not None and found != told:
        typer.echo(f"Note: {found}", err=True)
    return found


def _tell_result(work: Session, out_dir: Path) -> None:
    """What a person wants to know at the end."""
    decided = work.decided
    assert decided is not None
    objects = work.all_prompts().objects
    if not objects:
        typer.echo("No objects were found: give prompts, or lower --min-quality", err=True)
    events = decided.divisions
    if events:
        applied = sum(bool(d.daughters) for d in events)
        typer.echo(f"{len(events)} divisions, of which {applied} were applied: divisions.csv")
    typer.echo(
        f"{work.frames.n_frames} frames, {len(objects)} objects, {decided.mode} mode "
        f"({decided.reason}): {out_dir}"
    )


def _changed(prompts: PromptSet, correct: list[str] | None, forget: list[str] | None) -> PromptSet:
    """Prompts with the corrections of a person."""
    from napari_sam2track.prompts import Prompt, parse_object_points

    for text in forget or ():
        object_id, _, frame = text.partition("@")
        if not _NUMBER.fullmatch(object_id) or not (_NUMBER.fullmatch(frame) or not frame):
            raise UsageError(f"--forget {text!r}: write ID@FRAME, such as 2@30, or ID")
        prompts = prompts.remove(int(object_id), int(frame) if frame else None)
    for text in correct or ():
        object_id, equals, clicks = text.partition("=")
        if not equals or not _NUMBER.fullmatch(object_id.strip()):
            raise UsageError(
                f'--correct {text!r}: write ID=t@x,y:pos, such as "2=30@140,90:neg 150,92:pos"'
            )
        for t, points in parse_object_points(clicks).items():
            prompts = prompts.add(int(object_id), t, Prompt(points=points))
    return prompts


def _replayed(
    session: Path | None, folder: Path | None, prompts: tuple[object, ...]
) -> SessionFile | None:
    """The session to run again, or that of the run to go on with; it brings its own prompts."""
    if session is None and folder is None:
        return None
    if any(prompts):
        given = "--session" if session is not None else "--resume without --video"
        raise UsageError(f"{given} brings its own prompts; leave the others out")
    from napari_sam2track.session.session_file import read_session

    if session is not None:
        return read_session(session)
    assert folder is not None
    return _run_in(folder)


def _check_there(folder: Path) -> None:
    """Refuse a folder without a run."""
    from napari_sam2track.session import results_folder

    if not results_folder.has_run(folder):
        raise OutputError(
            f"there is no run in {folder} to go on with; give --video and prompts to start one"
        )


def _run_in(folder: Path) -> SessionFile:
    """The session of the run in a folder."""
    from napari_sam2track.session.results_folder import RUN
    from napari_sam2track.session.session_file import read_session

    try:
        return read_session(folder / RUN / SESSION)
    except FormatError as error:
        made = folder / SESSION
        way = f"run it again with --session {made} into another folder" if made.exists() else ""
        way = way or "start anew with --overwrite"
        raise FormatError(f"{error}; the results themselves are not touched: {way}") from error


def _source(replay: SessionFile, session: Path) -> Path:
    """The movie of a session."""
    from napari_sam2track.session.session_file import movie_of_session

    path = movie_of_session(replay, session)
    if path is None:
        raise FramesError(
            f"the movie of {session}, {replay.source}, is not there; say where it is with --video"
        )
    return path


def _as_it_was(replay: SessionFile) -> dict[str, Any]:
    """What was decided in the run itself: objects that were found were followed forward."""
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


def _session_file(
    work: Session, video: Path, frames: FramesParams, output: OutputParams
) -> SessionFile:
    from napari_sam2track.models.download import verify
    from napari_sam2track.session.session_file import ModelRef, session_of

    info = work.model
    name = info.name if info.kind != "local" else str(info.path)
    return session_of(
        source=str(video.absolute()),
        frames=frames,
        engine=work.engine,
        auto=work.auto,
        prompts=work.prompts,
        model=ModelRef(
            name=name, config=info.config if info.kind == "local" else None, sha256=verify(info)
        ),
        fingerprint=work.frames.fingerprint(),
        output=output,
    )


def _provenance(work: Session, video: Path, sha256: str | None, done: list[int]) -> dict[str, Any]:
    from napari_sam2track.formats.provenance import provenance

    return provenance(
        source=str(video),
        frames=done,
        parameters={
            **work.engine.model_dump(),
            "mode_used": None if work.decided is None else work.decided.mode,
            "auto": None if work.auto is None else work.auto.model_dump(),
            "movie": work.frames.describe(),
        },
        model={"name": work.model.name, "sha256": sha256},
    )


def _run(work: Session, store: RunStore, total: int) -> int:
    """Follow all objects with a progress bar; the number of the signal that ended it, or 0."""
    from napari_sam2track.cli._progress import progress

    steps = work.propagate(store)
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


def _tell_cost(work: Session, stale: dict[int, list[int]]) -> None:
    """Say what is to be done, and about what it costs, before it begins."""
    active = Counter(t for of_object in stale.values() for t in of_object)
    pairs, frames = active.total(), len(active)
    typer.echo(
        f"To compute: {pairs} object-frames ({len(stale)} objects, {frames} frames)", err=True
    )
    if not pairs or work.decided is None:
        return
    from napari_sam2track.engine.estimate import estimate

    most = max(active.values())
    cost = estimate(work.network, work.decided.mode, pairs, most, frames, work.engine)
    typer.echo(f"Estimate: {cost.text}", err=True)


def _watch(items: Iterable[Any], total: int, doing: str) -> Iterable[Any]:
    from napari_sam2track.cli._progress import progress

    return progress(items, total, doing)
