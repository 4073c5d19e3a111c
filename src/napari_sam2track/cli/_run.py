"""Wrapper of every command: errors become one sentence on stderr and an exit code."""

from __future__ import annotations

import errno
import functools
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer

from napari_sam2track.cli._signals import exit_code
from napari_sam2track.errors import Sam2TrackError
from napari_sam2track.storage.recovery import recover

P = ParamSpec("P")
R = TypeVar("R")

ISSUES = "https://github.com/napari-sam2track/napari-sam2track/issues"
_debug = False


def set_debug(debug: bool) -> None:
    """Show tracebacks (``--debug``, or SAM2TRACK_DEBUG=1) from now on, or not."""
    global _debug
    _debug = debug


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command so that nothing leaves it but its result and `typer.Exit`.

    Our own errors exit with their `exit_code` (2: wrong options or names; 1: it
    failed), Ctrl-C with 130, everything else with 1. Each prints one sentence.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # tifffile's warnings on a file become errors of ours, or do not matter.
        logging.getLogger("tifffile").addHandler(logging.NullHandler())
        given = {str(value) for value in _flat((*args, *kwargs.values()))}
        try:
            for value in _flat((*args, *kwargs.values())):
                if isinstance(value, Path):
                    recover(value)
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise  # typer handles these
        except KeyboardInterrupt as told:
            raise _stopped("interrupted", exit_code(told)) from None
        except Exception as error:
            stop = _interruption(error)
            if stop is None:
                raise _failed(error, given) from error
            raise _stopped("interrupted", exit_code(stop)) from None

    return run


def _failed(error: Exception, given: Collection[str]) -> typer.Exit:
    """Print why a command failed."""
    if isinstance(error, Sam2TrackError):
        return _stopped(str(error), error.exit_code, given)
    if isinstance(error, MemoryError):
        hint = "close other programs, or work on fewer or smaller frames"
        return _stopped(f"out of memory ({error or 'no details'}); {hint}", 1)
    if isinstance(error, OSError):
        return _stopped(_os_error(error), 1)
    return _stopped(  # a bug of ours
        f"unexpected {type(error).__name__}: {_one_line(error)}; please report it at {ISSUES} with "
        "what sam2track --debug ... prints",
        1,
    )


def _interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the interrupt that stopped the command, if clearing up failed after it; else None."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    """Yield values, and those in lists of them."""
    for value in values:
        yield from value if isinstance(value, list | tuple) else (value,)


def _stopped(sentence: str, code: int, given: Collection[str] = ()) -> typer.Exit:
    """Print why the command ends, and return the exception that ends it.

    A sentence that begins with one of the words `given` by the person, such as the name of a
    folder, keeps it as it is.
    """
    from rich.console import Console

    if _debug:
        traceback.print_exc()
    text = sentence[:1].upper() + sentence[1:] if _is_word(sentence, given) else sentence
    # One line however narrow the terminal and whatever a name holds: it is copied into searches
    # and issues.
    text = re.sub(r"\s*[\r\n]\s*", " ", text)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print("Error: " if code <= 128 else "", style="red", end="", markup=False)
    console.print(text.rstrip(".") + ".", style="red", markup=False)
    return typer.Exit(code)


def _is_word(sentence: str, given: Collection[str]) -> bool:
    """Return whether a sentence begins with a word, not with a path or a name with its own case."""
    first = sentence.split(" ", 1)[0]
    return first.isalpha() and first.islower() and first not in given and not Path(first).exists()


def _os_error(error: OSError) -> str:
    """Return the message of an error of the system, with the file."""
    if error.filename is None and error.errno == errno.ENOENT:
        return "the folder that this was started in is gone; change to one that exists"
    reason = error.strerror or _one_line(error) or type(error).__name__
    return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else reason


def _one_line(error: BaseException) -> str:
    """Return the message of an error without line breaks."""
    return " ".join(str(error).split())


def is_interactive() -> bool:
    """Return whether a person may be watching stderr; logs get no progress bars."""
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
