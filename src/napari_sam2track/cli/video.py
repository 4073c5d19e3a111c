"""``sam2track video``: follow objects through a movie or a stack."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
    open_movie,
    ready_device,
    ready_model,
)
from napari_sam2track.cli._options import with_params
from napari_sam2track.errors import FramesError, ModelError, Sam2TrackError, UsageError
from napari_sam2track.params import AutoParams, EngineParams, FramesParams, OutputParams

if TYPE_CHECKING:
    from napari_sam2track.session import Session
    from napari_sam2track.session_file import SessionFile

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track video --video input.mp4 --out-dir results --points "0@120,85:pos 30@140,90:pos"

  sam2track video --video stack.tif --out-dir results --mask-prompts first_frame.tif --save zarr

  sam2track video --video input.mp4 --out-dir results --every 20     [dim]finds objects itself[/dim]

  sam2track video --video input.mp4 --out-dir results --resume       [dim]after Ctrl-C[/dim]

  sam2track video --session results/session.json --out-dir again
"""


@with_params(output=OutputParams, frames=FramesParams, engine=EngineParams, auto=AutoParams)
def video(
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
            "--resume", help="Go on with a run that was stopped; give the same options again."
        ),
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
    from napari_sam2track import results_folder
    from napari_sam2track.prompts import prompts_to_dict
    from napari_sam2track.run_store import RunStore
    from napari_sam2track.session import Session

    replay = _replayed(session, (points, box, mask_prompts, prompts))
    asked = any((points, box, mask_prompts, prompts))
    if asked and auto.every:
        raise UsageError("--every looks for objects where no prompts are given; leave one out")
    if replay is not None and session is not None:
        video = video or _source(replay, session)
        frames, engine, model, config = (
            replay.frames,
            replay.engine.model_copy(update=_as_it_was(replay)),
            replay.model.name,
            replay.model.config,
        )
    if video is None:
        raise UsageError("there is no movie; give one with --video, or a run with --session")
    with open_movie(video, frames) as movie:
        if replay is None:
            wanted = collect_prompts(points, box, mask_prompts, prompts, movie.height, movie.width)
            find = None if asked else auto
        else:
            wanted, find = replay.prompt_set(), None
        work = Session(movie, ready_model(model, config), wanted, engine, find)
        work.check()
        work.device = ready_device(device, threads)
        note = _session_file(work, video, frames)
        if replay is not None and session is not None:
            _same_inputs(replay, note, session)
        results_folder.prepare(out_dir, resume, overwrite)
        store = RunStore(out_dir / results_folder.RUN, (movie.n_frames, movie.height, movie.width))
        store.begin(note)

        def write() -> None:
            decided = {"prompts": prompts_to_dict(work.prompts), "mode": work.mode[0]}
            final = note.model_copy(update=decided)
            origin = _provenance(work, video, note.model.sha256, store.finished())
            results_folder.write_results(
                out_dir, store, movie, final, work.prompts, origin, output, _watch
            )

        try:
            finished = _run(work, store)
        except Sam2TrackError:
            done = len(store.finished())
            if done:
                write()
                typer.echo(
                    f"{done} of {movie.n_frames} frames were finished and are in {out_dir}; "
                    "--resume goes on from there, --stop N --resume ends before the trouble",
                    err=True,
                )
            raise
        write()
    if not finished:
        typer.echo(
            f"Stopped: {len(store.finished())} of {movie.n_frames} frames have results in "
            f"{out_dir}; go on with --resume",
            err=True,
        )
        raise typer.Exit(130)
    results_folder.clear_run(out_dir)
    if not work.prompts:
        typer.echo("No objects were found: give prompts, or lower --min-quality", err=True)
    typer.echo(
        f"{movie.n_frames} frames, {len(work.prompts.objects)} objects, {work.mode[0]} "
        f"mode ({work.mode[1]}): {out_dir}"
    )


def _replayed(session: Path | None, prompts: tuple[object, ...]) -> SessionFile | None:
    """The session to run again; it brings its own prompts."""
    if session is None:
        return None
    if any(prompts):
        raise UsageError("--session brings its own prompts; leave the others out")
    from napari_sam2track.session_file import read_session

    return read_session(session)


def _source(replay: SessionFile, session: Path) -> Path:
    """The movie of a session: where it was, or beside the session file."""
    path = Path(replay.source)
    if path.exists():
        return path
    for folder in (session.parent, session.parent.parent):
        if (folder / path.name).exists():
            return folder / path.name
    raise FramesError(f"the movie of {session}, {path}, is not there; say where it is with --video")


def _as_it_was(replay: SessionFile) -> dict[str, Any]:
    """What was decided in the run itself: objects that were found were followed forward."""
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


def _session_file(work: Session, video: Path, frames: FramesParams) -> SessionFile:
    from napari_sam2track.models.download import verify
    from napari_sam2track.session_file import ModelRef, session_of

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
    )


def _provenance(work: Session, video: Path, sha256: str | None, done: list[int]) -> dict[str, Any]:
    from napari_sam2track.formats.provenance import provenance

    return provenance(
        source=str(video),
        frames=done,
        parameters={
            **work.engine.model_dump(),
            "mode_used": work.mode[0],
            "auto": None if work.auto is None else work.auto.model_dump(),
            "movie": work.frames.describe(),
        },
        model={"name": work.model.name, "sha256": sha256},
    )


def _run(work: Session, store: Any) -> bool:
    """Follow all objects with a progress bar; False if Ctrl-C ended it early."""
    from napari_sam2track.cli._progress import progress

    steps = work.propagate(store)
    total = sum(len(leg.order) for leg in work.legs())
    with _ctrl_c() as stopped:
        for _ in progress(steps, total, "Following", done=lambda step: step.done):
            if stopped():
                steps.close()
                return False
    return True


@contextmanager
def _ctrl_c() -> Iterator[Any]:
    """Let the first Ctrl-C end the frame in hand, so that the state is whole; a second one acts."""
    pressed: list[int] = []

    def note(number: int, _: Any) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _watch(items: Iterable[Any], total: int, doing: str) -> Iterable[Any]:
    from napari_sam2track.cli._progress import progress

    return progress(items, total, doing)
