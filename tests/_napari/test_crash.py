"""A napari that is killed loses seconds of work, not more."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from napari_sam2track.samples import centre_pixels, moving_cells

CODE = """
import sys, time
from pathlib import Path
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
app = QApplication([])
from napari_sam2track._napari import work_folder
work_folder.work_root = lambda: Path(sys.argv[1])
from napari_sam2track._napari.project_setup import find_work, look_up, make_ready
from napari_sam2track._napari.movie_project import MovieProject
from napari_sam2track._napari.ui_scheduler import QtPump
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import EngineParams, FramesParams
from napari_sam2track.samples import centre_pixels, moving_cells
sample = moving_cells(5, 120, 120, n_cells=3, seed=3)
viewer = ViewerModel()
image = viewer.add_image(sample.images_tyx, name="cells")
found = next(look_up(find_work(image, FramesParams())))
*_, ready = make_ready(found, False)
project = MovieProject(viewer, image, ready, find_model("bundled"), EngineParams(), "cpu", QtPump())
project.told.connect(lambda level, text: print(level, text, flush=True))
project.prompts.points.add([0, *centre_pixels(sample.labels_tyx[0])[1]])
end = time.time() + 30
while not project.plane.read(0).any() and time.time() < end:
    app.processEvents()
project.propagate()
while (project.status.active or not project.status.total) and time.time() < end:
    app.processEvents()
project.rename(1, "anna")
saved = found.folder / "work.json"
while not saved.exists() or "anna" not in saved.read_text():
    app.processEvents()
print("ready", flush=True)
while True:
    app.processEvents()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_work_is_offered_again(tmp_path):
    from napari.components import ViewerModel

    from napari_sam2track._napari import work_folder
    from napari_sam2track._napari.project_setup import find_work, look_up, make_ready
    from napari_sam2track.params import FramesParams

    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env
    )
    try:
        lines = []
        while not lines or lines[-1] != "ready":
            line = process.stdout.readline()
            assert line, lines
            lines.append(line.strip())
        (lock,) = tmp_path.glob("*/in_use")
        assert int(lock.read_text().split()[0]) == process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    sample = moving_cells(5, 120, 120, n_cells=3, seed=3)
    image = ViewerModel().add_image(sample.images_tyx, name="other name")
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(work_folder, "work_root", lambda: tmp_path)
        found = next(look_up(find_work(image, FramesParams())))
        assert found.earlier is not None and found.earlier.names == {1: "anna"}
        *_, ready = make_ready(found, True)
    assert found.earlier.annotations().prompts.objects == (1,)
    y, x = centre_pixels(sample.labels_tyx[0])[1]
    assert np.asarray(ready.labels[0])[y, x] == 1
    assert ready.table.ids.tolist() == [1] and len(ready.table) == 5
