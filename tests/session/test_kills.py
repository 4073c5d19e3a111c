"""A run that is killed at a random point goes on and ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from napari_sam2track.samples import centre_pixels, moving_cells


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Starts `sam2track video` in a process of its own."""
    folder = tmp_path_factory.mktemp("kills")
    sample = moving_cells(14, 120, 150, 3, seed=2)
    tifffile.imwrite(folder / "movie.tif", sample.images_tyx, photometric="minisblack")
    clicks = centre_pixels(sample.labels_tyx[3])
    points = [f"3@{x},{y}" for y, x in clicks.values()]
    points[0] += f" 8@{centre_pixels(sample.labels_tyx[8])[1][1]},"
    points[0] += f"{centre_pixels(sample.labels_tyx[8])[1][0]}"

    def start(out, *options):
        begin = ["--video", folder / "movie.tif", "--overlay", "none", "--threads", "1"]
        for text in points:
            begin += ["--points", text]
        command = [sys.executable, "-m", "napari_sam2track", "video", "--out-dir", out]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [*map(str, [*command, *begin, *options])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )

    return start


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """The results of a run that nobody kills."""
    folder = tmp_path_factory.mktemp("kills") / "whole"
    process = run(folder)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    return folder


@pytest.mark.parametrize("seed", range(3))
def test_killed_and_resumed(run, whole, tmp_path, seed):
    killed = tmp_path / "killed"
    frames = killed / ".run" / "frames"
    chance = random.Random(seed)
    process = run(killed)
    wanted, deadline = chance.randint(1, 12), time.monotonic() + 120
    while not frames.exists() or len(list(frames.glob("*.frame"))) < wanted:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(chance.random() * 0.03)  # anywhere within a frame
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = run(killed, "--resume")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    for name in ("labels.tif", "tracks.csv"):
        assert (killed / name).exists()
    np.testing.assert_array_equal(
        tifffile.imread(whole / "labels.tif"), tifffile.imread(killed / "labels.tif")
    )
    assert (whole / "tracks.csv").read_text() == (killed / "tracks.csv").read_text()
    computed = int(told.split("To compute: ")[1].split()[0])
    assert computed <= 3 * 14 - wanted  # frames that were finished are not computed again
