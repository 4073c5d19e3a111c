"""Starting must be quick: half a second to ``--help``, and no toolkit that nobody asked for."""

import subprocess
import sys
import time

import pytest

HEAVY = (
    *("torch", "sam2", "hydra", "omegaconf", "napari", "qtpy", "PyQt6", "vispy", "superqt"),
    *("magicgui", "av", "zarr", "dask", "pandas", "skimage", "scipy"),
)

REPORT = "import sys; print(*(m for m in {heavy} if m in sys.modules), sep=chr(10))"


@pytest.mark.parametrize("statement", ["import napari_sam2track", "import napari_sam2track.cli"])
def test_importing_loads_nothing_heavy(statement):
    code = f"{statement}; {REPORT.format(heavy=HEAVY)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("args", [["--help"], ["track", "--help"], ["models", "--help"]])
def test_help_loads_nothing_heavy(args):
    code = (
        f"import sys; sys.argv = ['sam2track', *{args}]\n"
        "from napari_sam2track.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print('exit', end.code)\n"
        f"{REPORT.format(heavy=HEAVY)}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.partition("exit 0\n")[2].split() == []


def test_help_takes_less_than_half_a_second():
    command = [sys.executable, "-m", "napari_sam2track", "--help"]

    def seconds() -> float:
        begin = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        return time.perf_counter() - begin

    # The best of some: other programs can make it slower, nothing makes it faster.
    assert min(seconds() for _ in range(5)) < 0.5
