"""Scripts: those in examples/ run and print what they promise; all others import what is there."""

from __future__ import annotations

import ast
import importlib.util
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


@pytest.mark.parametrize("folder", ["benchmarks", "docs/make", "examples"])
def test_scripts_import_what_is_there(folder):
    """Nobody else looks at them: neither mypy nor a test runs them."""
    scripts = sorted((FOLDER.parent / folder).glob("*.py"))
    if not scripts:
        pytest.skip(f"{folder} is not beside the tests")
    for path in scripts:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_sam2"):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    found = hasattr(module, alias.name) or importlib.util.find_spec(
                        f"{node.module}.{alias.name}"
                    )
                    assert found, f"{path.name} imports {alias.name} from {node.module}"
