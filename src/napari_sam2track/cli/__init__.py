"""The command line: ``sam2track``.

How to add a command
--------------------
1. Write ``cli/NAME.py`` with a function of the same name. Its arguments are typer's; options
   that are parameters come from `params.py` through ``@with_params(group=GroupParams)``.
   Anything heavy (torch, scipy, files' libraries) is imported inside the function: this module
   imports all commands to print ``--help``, which has half a second.
2. Give the module an ``EXAMPLES`` string, shown below its help, and a ``COMMAND_CLASS`` if it
   has to know more than its arguments.
3. Name it in `_COMMANDS` below (a function), or in `_GROUPS` (a `typer.Typer` called ``app``).
Errors are raised, as ours (`errors.py`), and become a sentence and an exit code in `guarded`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from napari_sam2track.cli import (
    convert,
    demo,
    edit,
    evaluate,
    image,
    info,
    measure,
    models,
    selftest,
    suspects,
    track,
    train,
    validate,
    video,
)
from napari_sam2track.cli._run import guarded, set_debug
from napari_sam2track.cli._signals import exit_code, raise_when_told

_COMMANDS = (
    image,
    video,
    track,
    edit,
    suspects,
    measure,
    evaluate,
    convert,
    validate,
    train,
    demo,
    selftest,
    info,
)
_GROUPS = (models,)

app = typer.Typer(
    name="sam2track",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    """Print the version and stop."""
    if value:
        from napari_sam2track import __version__

        typer.echo(f"sam2track {__version__}")
        raise typer.Exit


@app.callback(epilog="Each command has its own help: sam2track track --help")
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show where an error comes from.", envvar="SAM2TRACK_DEBUG"),
    ] = False,
) -> None:
    """From a click to tracked masks: SAM2 for movies and stacks."""
    set_debug(debug)


for _module in _COMMANDS:
    _name = _module.__name__.rpartition(".")[2]
    _class = getattr(_module, "COMMAND_CLASS", None)
    app.command(_name, cls=_class, epilog=_module.EXAMPLES)(guarded(getattr(_module, _name)))
for _module in _GROUPS:
    app.add_typer(_module.app, name=_module.__name__.rpartition(".")[2])


def main() -> None:
    """Run the command line; the entry point of the script ``sam2track``."""
    raise_when_told()
    try:
        app(prog_name="sam2track")
    except KeyboardInterrupt as stop:  # before a command began
        sys.exit(exit_code(stop))
