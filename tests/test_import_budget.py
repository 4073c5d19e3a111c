"""Starting must be quick: ``--help`` loads no toolkit, and takes little beyond its libraries."""

import subprocess
import sys

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


def test_help_takes_little_beyond_the_libraries_that_draw_it():
    """A ratio of processor times: a slow or busy machine slows both sides alike."""
    pytest.importorskip("resource", reason="processor times of children need POSIX")
    ours = [sys.executable, "-m", "napari_sam2track", "--help"]
    libraries = [sys.executable, "-c", "import pydantic, typer, typer.rich_utils, rich.markdown"]
    seconds = [(processor_seconds(ours), processor_seconds(libraries)) for _ in range(5)]
    help_, least = (min(column) for column in zip(*seconds, strict=True))
    assert help_ < 3 * least


def processor_seconds(command: list[str]) -> float:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
