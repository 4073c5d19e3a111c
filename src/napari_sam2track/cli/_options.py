"""Command line options from the models in `params.py`, so that each is declared once."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import annotated_types
import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from napari_sam2track.errors import UsageError
from napari_sam2track.params import Params

R = TypeVar("R")


def with_params(**groups: type[Params]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command the options of groups of parameters.

    Every field becomes an option: ``min_iou`` is ``--min-iou``, with the field's default,
    bounds, description and choices. The command gets each group as one keyword argument, a
    checked model.

    Parameters
    ----------
    **groups
        Name of the command's keyword argument to its model, as in ``link=LinkParams``.

    Returns
    -------
    callable
        A decorator. The decorated function raises `UsageError` with the option's name when a
        value is refused by the model.

    Raises
    ------
    TypeError
        When decorating, if a field has the name of another option of the command.
    """

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        hints = get_type_hints(command, include_extras=True)
        own = [
            p.replace(annotation=hints.get(p.name, p.annotation))
            for p in inspect.signature(command).parameters.values()
            if p.name not in groups
        ]
        parameters = list(own)
        for model in groups.values():
            for name, info in model.model_fields.items():
                if name in {p.name for p in parameters}:
                    raise TypeError(f"{command.__name__} has two options called {name!r}")
                parameters.append(_option(name, info, panel=_panel(model)))

        @functools.wraps(command)
        def run(**kwargs: Any) -> R:
            for keyword, model in groups.items():
                values = {name: _plain(kwargs.pop(name)) for name in model.model_fields}
                kwargs[keyword] = _build(model, values)
            return command(**kwargs)

        # Options in no particular order: keyword only, so that defaults may precede none.
        ordered = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in ordered}
        return run

    return decorate


def given_options(context: typer.Context, model: Params) -> dict[str, Any]:
    """Return the fields of a group that stand on the command line, with their values.

    Parameters
    ----------
    context
        Context of the command that runs.
    model
        The group, as the command received it.
    """

    def given(name: str) -> bool:
        source = context.get_parameter_source(name)
        return source is not None and source.name != "DEFAULT"

    return {k: getattr(model, k) for k in type(model).model_fields if given(k)}


def option_name(field: str) -> str:
    """Return the option of a field: ``min_iou`` is ``--min-iou``."""
    return "--" + field.replace("_", "-")


def _option(name: str, info: FieldInfo, panel: str) -> inspect.Parameter:
    """Return a field of a model as a parameter of a typer command."""
    annotation = _typer_type(name, info.annotation)
    default = info.get_default(call_default_factory=True)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        default = annotation(default)
    text = (info.description or info.title or "") + _bounds(info)
    decls = [] if annotation is bool else [option_name(name)]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[annotation, typer.Option(*decls, help=text, rich_help_panel=panel)],
    )


def _typer_type(name: str, annotation: Any) -> Any:
    """Return typer's type for that of a field: choices as an Enum, tuples as lists."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return Enum(name, {str(choice): choice for choice in args}, type=str)
    if origin in (Union, types.UnionType) and len(args) == 2 and type(None) in args:
        (inner,) = (arg for arg in args if arg is not type(None))
        return _typer_type(name, inner) | None
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return list[args[0]]  # type: ignore[valid-type]
    if annotation in (bool, int, float, str) or inspect.isclass(annotation):
        return annotation
    raise TypeError(f"the parameter {name!r} of type {annotation} cannot be an option")


def _bounds(info: FieldInfo) -> str:
    """Return the bounds of a field in words, in brackets; the model itself checks them.

    Typer knows closed bounds only, and its message about them leaves out the value.
    """
    kinds = (
        (annotated_types.Ge, "ge", "at least"),
        (annotated_types.Gt, "gt", "above"),
        (annotated_types.Le, "le", "at most"),
        (annotated_types.Lt, "lt", "below"),
    )
    words = [
        f"{word} {getattr(bound, name):g}"
        for kind, name, word in kinds
        for bound in info.metadata
        if isinstance(bound, kind)
    ]
    return f" ({', '.join(words)})" if words else ""


def _panel(model: type[Params]) -> str:
    """Return the heading of a group of options: ``LinkParams`` is "Link options"."""
    return f"{model.__name__.removesuffix('Params')} options"


def _plain(value: Any) -> Any:
    """Convert a value of typer's to one of the model's."""
    if isinstance(value, Enum):
        return value.value
    return tuple(value) if isinstance(value, list) else value


def _build(model: type[Params], values: dict[str, Any]) -> Params:
    """Check the values; an error names the option of the first one that is refused."""
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        place = first["loc"][0] if first["loc"] else None
        named = f"{option_name(str(place))} {first['input']}" if place else str(values)
        reason = first["msg"].replace("Input should", "it should", 1).removeprefix("Value error, ")
        raise UsageError(f"{named} cannot be used: {reason}") from error
