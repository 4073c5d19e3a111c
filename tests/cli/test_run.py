import errno
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from napari_sam2track.cli import app
from napari_sam2track.cli._run import guarded, set_debug
from napari_sam2track.errors import FormatError, PromptError


@pytest.fixture(autouse=True)
def quiet_again():
    yield
    set_debug(False)


def run(error: BaseException, debug: bool = False):
    test = typer.Typer()

    @test.command()
    @guarded
    def command() -> None:
        set_debug(debug)
        raise error

    return CliRunner().invoke(test)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (FormatError("a.tif is bad; do better"), 1, "Error: a.tif is bad; do better."),
        (FormatError("the mask [red] is bad."), 1, "Error: The mask [red] is bad."),
        (PromptError("no such prompt"), 2, "Error: No such prompt."),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (MemoryError("4 GB"), 1, "Error: Out of memory (4 GB); close other programs"),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "a.tif"),
            1,
            "Error: a.tif: No such file.",
        ),
        (OSError("strange"), 1, "Error: Strange."),
        (
            ZeroDivisionError("by\nzero"),
            1,
            "Error: Unexpected ZeroDivisionError: by zero; please report it at https://github.com/",
        ),
    ],
)
def test_errors_are_one_sentence_and_a_code(error, code, text):
    result = run(error)
    assert result.exit_code == code
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_what_was_typed_keeps_its_case():
    test = typer.Typer()

    @test.command()
    @guarded
    def command(folder: str) -> None:
        raise FormatError(f"{folder} does not exist")

    assert CliRunner().invoke(test, ["masks"]).stderr == "Error: masks does not exist.\n"


def test_debug_shows_where():
    result = run(ZeroDivisionError(), debug=True)
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "raise error" in result.stderr


def test_exit_is_let_through():
    assert run(typer.Exit(7)).exit_code == 7


def test_version():
    from napari_sam2track import __version__

    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"sam2track {__version__}\n")


def test_no_arguments_is_help():
    output = CliRunner().invoke(app, []).output
    assert "Usage" in output
    for command in ("track", "models"):
        assert command in output


def test_unknown_commands_are_usage_errors():
    result = CliRunner().invoke(app, ["trakc"])
    assert result.exit_code == 2
    assert "trakc" in result.output


@pytest.mark.parametrize("value", ["0", "1"])
def test_debug_from_the_environment(tmp_path, value):
    args = ["track", "--pred-dir", str(tmp_path / "x"), "--out", str(tmp_path / "o.json")]
    result = CliRunner().invoke(app, args, env={"SAM2TRACK_DEBUG": value})
    assert result.exit_code == 1
    assert ("Traceback" in result.stderr) == (value == "1")


def test_a_sentence_is_one_line_whatever_a_name_holds(sam2track, tmp_path):
    result = sam2track("validate", tmp_path / "two\nlines.tif")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "two lines.tif" in result.stderr


def test_a_working_directory_that_is_gone(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from napari_sam2track.cli import main; main()"
    command = [sys.executable, "-c", code, "track", "--pred-dir", "x", "--out", "y.json"]
    done = subprocess.run(command, cwd=gone, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is gone; change to one that exists" in done.stderr


def test_closed_streams(tmp_path):
    """As cron and some services start programs."""
    command = f"{sys.executable} -m napari_sam2track demo --out-dir {tmp_path / 'd'} 2>&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "d" / "results" / "labels.tif").exists()
