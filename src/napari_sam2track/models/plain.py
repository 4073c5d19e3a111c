"""Plain values: the only ones in a config, wherever it came from."""

from __future__ import annotations

import reprlib
from typing import Any

from napari_sam2track.errors import ModelError

#: Far more than any network of SAM2's needs; a file may hold a value that contains itself, or one
#: that stands for billions.
MAX_DEPTH, MAX_VALUES, MAX_NUMBER = 32, 10_000, 2**31

_SIMPLE = (str, int, float, bool, type(None))


def plain_values(content: Any, name: str) -> Any:
    """Return a copy that consists of dict, list, str, int, float, bool and None only.

    A checkpoint that is read with ``weights_only=True``, and a YAML file, can also hold tuples,
    sets, dates and subclasses of all these. Code that looks at some kinds and passes on the
    others has a hole, so the others are refused, by their exact type.

    Parameters
    ----------
    content
        The values that were read.
    name
        Name of the content in a message, such as a path.

    Raises
    ------
    ModelError
        If it holds anything else, a key that is not a str, an interpolation of OmegaConf's
        (``${...}``, which could name any function), or too many values.
    """
    return _Copier(name).copy(content, "", 0)


class _Copier:
    """Copies values and counts them."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0

    def copy(self, value: Any, place: str, depth: int) -> Any:
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_VALUES:
            raise ModelError(
                f"the config {self.name} holds more than {MAX_VALUES} values or is nested deeper "
                f"than {MAX_DEPTH}, which no SAM2 network needs; give one like those in "
                "the package sam2"
            )
        kind = type(value)
        if kind is dict:
            return {
                self._key(key, place): self.copy(item, f"{place}.{key}", depth + 1)
                for key, item in value.items()
            }
        if kind is list:
            return [self.copy(item, f"{place}[{k}]", depth + 1) for k, item in enumerate(value)]
        if kind not in _SIMPLE:
            raise self._refused(f"a value of type {_named(kind)}", place)
        if kind is int and abs(value) > MAX_NUMBER:
            raise ModelError(
                f"the config {self.name} holds the number {reprlib.repr(value)}{_at(place)}, which "
                "no SAM2 network needs; give one like those in the package sam2"
            )
        if kind is str and "${" in value:
            raise ModelError(
                f"the config {self.name} holds the interpolation {value!r}{_at(place)}; "
                "interpolations are not resolved, since they can call functions: write the value"
            )
        return value

    def _key(self, key: Any, place: str) -> str:
        if type(key) is not str:
            raise self._refused(f"a key of type {_named(type(key))}", place)
        return key

    def _refused(self, what: str, place: str) -> ModelError:
        return ModelError(
            f"the config {self.name} holds {what}{_at(place)}; a config consists of dict, list, "
            "str, int, float, bool and None alone, so that nothing in it can run code"
        )


def _named(kind: type) -> str:
    """Return a type's name, with its module where that is not obvious."""
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _at(place: str) -> str:
    """Return the place of a value for a message; nothing at the top."""
    return f" at {place.removeprefix('.')}" if place else ""
