"""The pictures of the plugin in README and docs: each dock in use on real data.

    xvfb-run -a -s "-screen 0 1700x1300x24" python docs/make/make_screenshots.py [DATA]

DATA is a folder with ``bedroom/*.jpg`` (frames of SAM2's example video, Apache-2.0) and
``bacteria`` (a colony in the layout of the Cell Tracking Challenge, van Vliet et al. 2018,
doi 10.1016/j.cels.2018.03.009); what is missing is left out. Pictures go to docs/images; look at
them.
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

OUT = Path(__file__).parents[1] / "images"
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


def add_dock(viewer: Any, name: str) -> Any:
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2track", name)
    dock.window().resize(1600, 1180)
    idle()
    return dock


def start(dock: Any) -> Any:
    until(lambda: dock.setup.found is not None)
    dock.start(False)
    until(lambda: dock.project is not None)
    dock.viewer.dims.set_current_step(0, 0)
    dock.viewer.reset_view()
    idle()
    return dock.project


def finish(project: Any) -> None:
    until(lambda: project.status.total > 0 and not project.status.active, 600)
    idle()


def bedroom(data: Path) -> None:
    """A home video, a box each for two objects: start, prompt, propagate and correct."""
    from napari_sam2track.frames import open_frames

    with open_frames(data / "bedroom") as movie:
        rgb = np.stack([movie.read(t) for t in range(movie.n_frames)])
    viewer = napari.Viewer()
    viewer.add_image(rgb, rgb=True, name="bedroom", axis_labels=("t", "y", "x"))
    dock = add_dock(viewer, "SAM2 Segment and follow")
    until(lambda: dock.setup.found is not None)
    shot(viewer, "dock-1-start.png")
    project = start(dock)
    for i, (y0, x0, y1, x1) in ((1, (168, 335, 300, 450)), (2, (297, 532, 418, 690))):
        project.set_current(i)
        corners = [[0, y0, x0], [0, y0, x1], [0, y1, x1], [0, y1, x0]]
        project.prompts.boxes.add_rectangles(np.array(corners, float))
        until(
            lambda i=i: i in project.work.annotations.prompts.objects and not project.work.unseen()
        )
        idle(0.2)
    project.rename(1, "shorts")
    project.rename(2, "pillow")
    shot(viewer, "dock-2-prompt.png")
    project.propagate(direction="forward")
    finish(project)
    # a correction: more of an object on one frame, which makes what follows stale
    project.go_to(2, 24)
    viewer.layers.selection.active = project.labels
    mask = project.plane.read(24) == 2
    y, x = (int(v) for v in np.argwhere(mask).mean(axis=0))
    project.labels.brush_size = 24
    project.labels.paint([24, y - 50, x - 40], 2)
    shot(viewer, "dock-3-propagate.png")
    viewer.close()
    idle()


def bacteria(data: Path) -> None:
    """Tracks of a growing colony: edit, suspects, lineage; and export."""
    import tifffile

    frames = sorted((data / "bacteria" / "01").glob("*.tif"))
    viewer = napari.Viewer()
    viewer.add_image(np.stack([tifffile.imread(path) for path in frames]), name="colony")
    viewer.open(data / "bacteria" / "01_GT" / "TRA", plugin="napari-sam2track")
    for layer in list(viewer.layers):
        if type(layer).__name__ == "Tracks":
            layer.visible = False
    dock = add_dock(viewer, "SAM2 Curate tracks")
    until(lambda: dock.project is not None)
    dock.suspects.find()
    until(lambda: not dock.project.background.busy)
    project = dock.project
    project.go_to(3, 12)
    viewer.reset_view()
    shot(viewer, "dock-4-tracks.png")
    viewer.window.remove_dock_widget(dock)
    idle()
    dock = add_dock(viewer, "SAM2 Export")
    idle(1.5)
    shot(viewer, "dock-5-export.png")
    viewer.close()
    idle()


def animation() -> None:
    """The main job on the sample: a click for each of five cells, and the run."""
    viewer = napari.Viewer()
    dock = add_dock(viewer, "SAM2 Segment and follow")
    dock.try_it()
    until(lambda: dock.project is not None)
    project = dock.project
    frames: list[Image.Image] = []
    seen: list[int] = []

    def take() -> None:
        picture = viewer.screenshot(canvas_only=False, flash=False)[..., :3]
        image = Image.fromarray(picture)
        frames.append(image.resize((720, round(720 * image.height / image.width))))

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
    palette = [f.quantize(64, dither=Image.Dither.NONE) for f in frames]
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


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data")
    root = Path(tempfile.mkdtemp())
    work_folder.work_root = lambda: root
    OUT.mkdir(exist_ok=True)
    for make in (bedroom, bacteria):
        if (data / make.__name__).exists():
            make(data)
    animation()


if __name__ == "__main__":
    main()
