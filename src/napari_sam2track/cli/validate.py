"""``sam2track validate``: all that is wrong with a file of tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_sam2track.cli._progress import counted

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track validate 01_RES

  sam2track validate tracks.geff

  sam2track validate results/
"""


def validate(
    *,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A Cell Tracking Challenge folder, GEFF, tracks or labels in another format, or "
            "the folder of a run.",
        ),
    ],
) -> None:
    """List all that is wrong with tracks: errors, then warnings.

    Exits with 0 if there are no errors, else with 1.
    """
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.errors import FormatError
    from napari_sam2track.formats.findings import Finding, error
    from napari_sam2track.formats.validation import check

    if not path.exists():
        raise FormatError(f"{path} does not exist: give a file or folder with tracks")
    found: list[Finding] = []
    if (path / "session.json").is_file():
        from napari_sam2track.session.session_file import read_session

        try:
            read_session(path / "session.json")
        except FormatError as problem:
            found.append(error(str(problem)))
    found += check(path, progress)
    errors = sum(finding.severity == "error" for finding in found)
    for finding in found:
        typer.echo(f"{finding.severity}: {finding.text}")
    warnings = sum(finding.severity == "warning" for finding in found)
    if not errors + warnings:
        typer.echo(f"{path}: no problems")
    else:
        typer.echo(f"{path}: {counted(errors, 'error')}, {counted(warnings, 'warning')}")
    if errors:
        raise typer.Exit(1)
