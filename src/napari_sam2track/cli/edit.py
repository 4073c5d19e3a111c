"""``sam2track edit``: correct tracks without opening them anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from napari_sam2track.cli._inputs import FromFormat, Overwrite, tell_read
from napari_sam2track.cli._options import with_params
from napari_sam2track.errors import EditError, FormatError, UsageError
from napari_sam2track.params import ReadParams, WriteParams

if TYPE_CHECKING:
    from napari_sam2track.tracks.editing.track_state import Edit

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track edit tracked.tif --out better.tif --merge 3,7 --split 5@12

  sam2track edit 01_RES --out 01_FIXED_RES --divide 5,9@12 --delete 4@30:

  sam2track edit labels.zarr --in-place --script edits.txt

  sam2track edit tracks.geff --dry-run --swap 3,4@10 --parent 8,9=5
"""

_GIVEN = "sam2track.given"
#: Formats in which other programs store more than we read.
_RICH = ("geff", "trackmate")


class EditCommand(TyperCommand):
    """Command that remembers the order of its options: edits are made in that order."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note the names of all options, then parse as usual."""
        ctx.meta[_GIVEN] = [arg.partition("=")[0] for arg in args if arg.startswith("--")]
        return super().parse_args(ctx, args)


COMMAND_CLASS = EditCommand


def _option(verb: str, text: str) -> Any:
    return typer.Option(
        f"--{verb}", help=text, show_default=False, rich_help_panel="Edits, made in their order"
    )


@with_params(read=ReadParams, write=WriteParams)
def edit(
    ctx: typer.Context,
    *,
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Labels whose values are track ids, any format.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="What to write; its name says the format.", show_default=False),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace IN, instead of --out.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing: say what each edit would do, or why not."),
    ] = False,
    from_format: FromFormat = None,
    to_format: Annotated[
        str | None,
        typer.Option(
            "--to",
            "--format",
            help="Format of --out, if its name does not say.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    merge: Annotated[
        list[str] | None,
        _option("merge", "3,7: track 7 becomes part of 3; '3,7 union': also where both are there."),
    ] = None,
    split: Annotated[
        list[str] | None, _option("split", "5@12: from frame 12 on track 5 has a new id.")
    ] = None,
    divide: Annotated[
        list[str] | None,
        _option(
            "divide",
            "5,9@12: track 5 divides; from frame 12 on it is a daughter (new id), as 9 is.",
        ),
    ] = None,
    swap: Annotated[
        list[str] | None, _option("swap", "3,4@10: exchange two tracks from frame 10 on.")
    ] = None,
    delete: Annotated[
        list[str] | None, _option("delete", "9: a track; 9@3:8: what it has in frames 3 to 8.")
    ] = None,
    relabel: Annotated[
        list[str] | None, _option("relabel", "3=12: give track 3 the id 12, which is free.")
    ] = None,
    parent: Annotated[
        list[str] | None, _option("parent", "8,9=5: tracks 8 and 9 are daughters of 5.")
    ] = None,
    no_parent: Annotated[
        list[str] | None, _option("no-parent", "8: track 8 has no parent.")
    ] = None,
    fill: Annotated[
        list[str] | None,
        _option(
            "fill",
            "5: draw what is missing between two masks of a track; 5@3:8: in these frames; "
            "'5 over': over others as well.",
        ),
    ] = None,
    script: Annotated[
        list[Path] | None,
        _option("script", "A file with one edit a line, such as split 5@12; # is a remark."),
    ] = None,
    read: ReadParams,
    write: WriteParams,
) -> None:
    """Correct tracks: merge, split, swap, delete, fill gaps, set parents.

    Edits are made in the order in which they are given, scripts where they
    stand. If one cannot be made, nothing is written. Frames are counted from
    0, and ranges include their end.
    """
    from napari_sam2track.cli._edits import run_edits
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.formats.tracks_files import open_tracks

    given = {
        **{"merge": merge, "split": split, "divide": divide, "swap": swap, "delete": delete},
        **{"relabel": relabel, "parent": parent, "no-parent": no_parent, "fill": fill},
        "script": script,
    }
    edits = _in_order(ctx.meta[_GIVEN], given)
    target, format_name = _target(source, out, in_place, dry_run, from_format, to_format)
    if target is not None and not in_place:
        from napari_sam2track.formats.tracks_files import files_of, files_read, format_named
        from napari_sam2track.storage.apart import check_apart
        from napari_sam2track.storage.output import check_output

        assert format_name is not None  # there is a target
        outputs = files_of(target, format_named(format_name))
        check_apart(outputs, [*files_read(source), *(script or ())], ", or say --in-place")
        check_output(target, overwrite)
    with open_tracks(source, from_format, options=read, progress=progress) as movie:
        tell_read(movie)
        if in_place and format_name in _RICH and "software" not in movie.provenance:
            raise UsageError(
                f"{source} was written by another program, and may hold what --in-place would "
                "lose (features, settings); write to another place with --out"
            )
        run_edits(movie, source, edits, target, format_name, write, overwrite or in_place)


def _in_order(names: Sequence[str], given: dict[str, Any]) -> list[Edit]:
    """Return the edits of all options, in the order of the command line."""
    from napari_sam2track.tracks.editing.edit_syntax import parse_edit, parse_script

    left = {verb: iter(values or ()) for verb, values in given.items()}
    edits: list[Edit] = []
    for name in names:
        verb = name.removeprefix("--")
        value = next(left[verb], None) if verb in left else None
        if isinstance(value, Path):
            try:
                text = value.read_text(encoding="utf-8-sig")
            except UnicodeDecodeError as error:
                raise EditError(f"{value} is not a text of edits: {error}") from error
            edits += parse_script(text, str(value))
        elif value is not None:
            try:
                edits += parse_edit(verb, value)
            except EditError as error:
                raise EditError(f"--{error}") from error
    if not edits:
        raise EditError("there are no edits to make; name at least one, such as --split 5@12")
    return edits


def _target(
    source: Path,
    out: Path | None,
    in_place: bool,
    dry_run: bool,
    from_format: str | None,
    to_format: str | None,
) -> tuple[Path | None, str | None]:
    """Return the output, None for none, and its format."""
    from napari_sam2track.formats.sniffing import format_of_input
    from napari_sam2track.formats.tracks_files import format_of_output

    if in_place and (out is not None or to_format is not None):
        raise UsageError("--in-place replaces the input in its format; leave out --out and --to")
    if dry_run:
        return None, None
    if in_place:
        if not source.exists():
            raise FormatError(f"{source} does not exist: give a file or a folder of labels")
        name = from_format or format_of_input(source)[0]
        if name == "ome-zarr" and not _is_labels_only(source):
            raise UsageError(
                f"{source} is not OME-Zarr labels alone, and --in-place would replace all that is "
                "in it; write to another place with --out"
            )
        return source, format_of_output(source, name).name
    if out is None:
        raise UsageError("say where to write with --out, or --in-place, or --dry-run")
    return out, format_of_output(out, to_format).name


def _is_labels_only(path: Path) -> bool:
    """Return whether a zarr is a group of labels, not an image with labels in it or an array."""
    import zarr

    node = zarr.open(str(path), mode="r")
    if not isinstance(node, zarr.Group):
        return False
    attributes = node.attrs.asdict()
    ome: Any = attributes.get("ome", attributes)
    return "image-label" in ome and "labels" not in node
