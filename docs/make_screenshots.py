"""The pictures of the plugin in README and docs: each dock in use on real data.

    xvfb-run -a -s "-screen 0 1700x1300x24" python docs/make_screenshots.py [DATA]

DATA is a folder with ``cellseg/data_small.npz`` (laptrack's example, CC-BY 4.0,
doi 10.1038/sdata.2018.237) and ``bedroom/*.jpg`` (frames of SAM2's example video, Apache-2.0); what is
missing is left out. Pictures go to docs/images; look at them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtWidgets import QApplication

from napari_sam2track._napari import work_folder
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import centre_pixels

OUT = Path(__file__).parent / "images"
#: Width of a picture, in pixels.
WIDTH = 1100


def until(done: Callable[[], bool], seconds: float = 120) -> None:
    app, end = QApplication.instance(), time.monotonic() + seconds
    while not done():
        app.processEvents()
        time.sleep(0.002)
        if time.monotonic() > end:
            raise SystemExit("it took too long")


def idle(seconds: float = 0.5) -> None:
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def shot(viewer: Any, name: str) -> None:
    """The whole window, as a PNG with few colours."""
    idle(0.8)
    picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
    height = round(picture.height * WIDTH / picture.width)
    small = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    small.quantize(200, dither=Image.Dither.NONE).save(OUT / name, optimize=True)
    print(OUT / name)


def open_window() -> Any:
    viewer = napari.Viewer()
    idle()
    return viewer


def add_dock(viewer: Any, name: str) -> Any:
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2track", name)
    dock.window().resize(1600, 1180)
    idle()
    return dock


def start(dock: Any) -> Any:
    until(lambda: dock._found is not None)
    dock.start(False)
    until(lambda: dock.project is not None)
    dock.viewer.dims.set_current_step(0, 0)
    dock.viewer.reset_view()
    idle()
    return dock.project


def finish(project: Any) -> None:
    until(lambda: project.status.total > 0 and not project.status.active, 600)
    idle()


def cells(data: Path) -> None:
    """Real nuclei: start, click, propagate, correct, link and edit, export."""
    found = np.load(data / "cellseg" / "data_small.npz")
    images, truth = found["images"], found["labels"]
    viewer = open_window()
    viewer.add_image(images, name="nuclei", axis_labels=("t", "y", "x"))
    dock = add_dock(viewer, "SAM2 Track")
    until(lambda: dock._found is not None)
    shot(viewer, "dock-1-start.png")
    project = start(dock)
    for i, place in list(centre_pixels(truth[0]).items())[:8]:
        project.set_current(i)
        project.prompts.points.add([0, *place])
        until(lambda: not project.work.unseen())
        idle(0.1)
    shot(viewer, "dock-2-click.png")
    project.propagate(direction="forward")
    finish(project)
    project.go_to(3, 6)
    shot(viewer, "dock-3-propagate.png")
    frames = []
    for t in range(len(images)):
        project.go_to(None, t)
        idle(0.3)
        frames.append(viewer.screenshot(canvas_only=True, flash=False)[..., :3])
    dock.viewer.window.add_plugin_dock_widget("napari-sam2track", "SAM2 Tracks")
    idle(1)
    shot(viewer, "dock-4-tracks.png")
    dock.viewer.window.add_plugin_dock_widget("napari-sam2track", "SAM2 Export")
    idle(1)
    shot(viewer, "dock-5-export.png")
    viewer.close()
    idle()


def animation() -> None:
    """The main job on the sample: a click for each of five cells, and the run."""
    viewer = open_window()
    dock = add_dock(viewer, "SAM2 Track")
    dock.try_it()
    until(lambda: dock.project is not None)
    project = dock.project
    frames: list[Image.Image] = []
    seen: list[int] = []

    def take() -> None:
        picture = viewer.screenshot(canvas_only=False, flash=False)[..., :3]
        image = Image.fromarray(picture)
        frames.append(image.resize((800, round(800 * image.height / image.width))))

    def follow(status: Any) -> None:
        t = project.place.frame
        done = project.work.grid.states[:, :].any(axis=0).sum() if project.work.grid.ids else 0
        if done and done - 1 != t:
            project.go_to(None, int(done) - 1)
        seen.append(status.done)

    project.run_changed.connect(follow)
    last = 0.0
    while not project.status.total or project.status.active:
        idle(0.02)
        if time.monotonic() - last > 0.35:
            take()
            last = time.monotonic()
    take()
    for t in range(0, 24, 2):
        project.go_to(None, t)
        idle(0.05)
        take()
    palette = [f.quantize(96, dither=Image.Dither.NONE) for f in frames]
    palette[0].save(
        OUT / "main-job.gif",
        save_all=True,
        append_images=palette[1:],
        duration=180,
        loop=0,
        optimize=True,
    )
    print(OUT / "main-job.gif", len(frames))
    viewer.close()
    idle()


def bedroom(data: Path) -> None:
    """A home video: two clicks."""
    from napari_sam2track.frames import open_frames

    movie = open_frames(data / "bedroom")
    rgb = np.stack([movie.read(t) for t in range(movie.n_frames)])
    viewer = open_window()
    viewer.add_image(rgb, rgb=True, name="bedroom")
    dock = add_dock(viewer, "SAM2 Track")
    project = start(dock)
    prompts = {
        (1, 0): Prompt(points=(Point(340, 215),)),
        (2, 0): Prompt(points=(Point(430, 290),)),
    }
    project.say_prompts(PromptSet(prompts))
    until(lambda: not project.work.unseen())
    project.propagate(direction="forward")
    finish(project)
    project.go_to(None, 20)
    shot(viewer, "dock-video.png")
    viewer.close()
    idle()


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data")
    root = Path(tempfile.mkdtemp())
    work_folder.work_root = lambda: root
    OUT.mkdir(exist_ok=True)
    if (data / "cellseg").exists():
        cells(data)
    animation()


if __name__ == "__main__":
    main()
