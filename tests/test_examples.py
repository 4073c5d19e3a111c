"""The scripts in examples/ run, and print what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
SAYS = {
    "follow_clicks": "5 tracks",
    "correct_a_track": "other objects changed: False\nundone: True",
    "link_masks": "98 tracks, 58 daughters\nin the truth: 98 tracks",
    "edit_tracks": "saved and opened",
    "resume_in_a_folder": "are there now",
}


def test_all_are_tried():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_it_runs(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / f"{name}.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout
