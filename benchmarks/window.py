"""How a napari window feels while SAM2 works: run it under ``xvfb-run -a`` or on a real screen.

    python benchmarks/window.py [--objects 20] [--size 512] [--frames 40]

Measured: opening the dock; from a click to its mask; the longest gap of a 5 ms timer and the frames
scrolled through in a second, while objects are propagated.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=40)
    asked = parser.parse_args()

    import napari
    import numpy as np
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    from napari_sam2track._napari import work_folder
    from napari_sam2track.prompts import Point, Prompt, PromptSet
    from napari_sam2track.samples import centre_pixels, moving_cells

    root = Path(tempfile.mkdtemp())
    work_folder.work_root = lambda: root
    sample = moving_cells(asked.frames, asked.size, asked.size, n_cells=asked.objects, seed=1)
    viewer = napari.Viewer()
    viewer.add_image(sample.images_tyx, name="cells")
    app = QApplication.instance()

    def until(done: Callable[[], bool], seconds: float = 600) -> None:
        end = time.perf_counter() + seconds
        while not done():
            app.processEvents()
            time.sleep(0.002)  # an event loop waits as well
            if time.perf_counter() > end:
                sys.exit("it took too long")

    def idle(seconds: float) -> None:
        end = time.perf_counter() + seconds
        until(lambda: time.perf_counter() > end)

    idle(1)
    begin = time.perf_counter()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2track", "SAM2 Track")
    app.processEvents()
    print(f"dock opened in {time.perf_counter() - begin:.2f} s, torch: {'torch' in sys.modules}")

    until(lambda: dock._found is not None)
    dock.start(False)
    until(lambda: dock.project is not None)
    project = dock.project
    viewer.dims.set_current_step(0, 0)
    idle(1)
    centres = centre_pixels(sample.labels_tyx[0])
    times, seen = [], []
    project.work.labels_changed.connect(lambda frames: seen.append(frames))
    for k, (i, place) in enumerate(sorted(centres.items())[:11]):
        project.set_current(i)
        idle(0.3)
        begin = time.perf_counter()
        seen.clear()
        project.prompts.points.add([0, *place])
        until(lambda: bool(seen))
        if k == 0:
            took = time.perf_counter() - begin
            print(f"first click, with loading torch and the model: {took:.2f} s")
        else:
            times.append(1000 * (time.perf_counter() - begin))
    print(
        f"click to mask at {asked.size} x {asked.size}: median {np.median(times):.0f} ms, "
        f"longest {max(times):.0f} ms of {len(times)}"
    )
    prompts = {(i, 0): Prompt(points=(Point(*place),)) for i, place in centres.items()}
    project.say_prompts(PromptSet(prompts))
    until(lambda: not project.work.unseen())

    gaps: list[float] = []
    last = [time.perf_counter()]

    def tick() -> None:
        now = time.perf_counter()
        gaps.append(1000 * (now - last[0]))
        last[0] = now

    timer = QTimer()
    timer.timeout.connect(tick)
    for scroll in (False, True):
        gaps.clear()
        last[0] = time.perf_counter()
        timer.start(5)
        begin = time.perf_counter()
        if scroll:
            project.undo()
            until(lambda: not project.work.busy)
            idle(0.5)
            gaps.clear()
            begin = last[0] = time.perf_counter()
        project.propagate(direction="forward")
        steps = 0
        while project.status.active:
            app.processEvents()
            if scroll:
                viewer.dims.set_current_step(0, steps % asked.frames)
                viewer.window._qt_viewer.canvas.native.repaint()
                steps += 1
            else:
                time.sleep(0.002)
        took = time.perf_counter() - begin
        timer.stop()
        what = "propagating and scrolling" if scroll else "propagating"
        print(
            f"{what}: {asked.objects} objects x {asked.frames} frames in {took:.1f} s; timer of "
            f"5 ms: longest gap {max(gaps):.0f} ms, 99 % below {np.percentile(gaps, 99):.0f} ms"
            + (f"; {steps / took:.0f} frames scrolled a second" if scroll else "")
        )
    viewer.close()
    idle(0.5)


if __name__ == "__main__":
    main()
